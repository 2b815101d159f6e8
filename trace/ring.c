/* SPDX-License-Identifier: MIT */
/*
 * The producer's side of the trace region off the fast path: laying it out, attaching rings, going
 * from one sub-buffer to the next.
 *
 * Freestanding (linked into the hypervisor and into host programs). Takes no lock: init runs once
 * before the rest, each ring belongs to one processor. Reads nothing from the region but what
 * trace_region_init() wrote there during boot.
 */
#include "trace/ring.h"

#include "bench/mark.h"

/*
 * The slow path is called where the compiler believes all registers untouched; vector registers
 * are not saved.
 */
#define GENERAL_REGISTERS __attribute__((target("general-regs-only")))

static uint64_t round_up(uint64_t value, uint64_t to)
{
    return (value + to - 1) / to * to;
}

GENERAL_REGISTERS static void copy(uint8_t *to, const void *from, uint64_t size)
{
    const uint8_t *bytes = from;

    for (uint64_t i = 0; i < size; i++)
        to[i] = bytes[i];
}

static struct trace_ring_head *ring_heads(void *region)
{
    struct trace_region_head *head = region;

    return (struct trace_ring_head *)((uint8_t *)region + head->rings_offset);
}

int trace_region_init(void *region, uint64_t size, const struct trace_config *config)
{
    const uint32_t sub_size = config->sub_size ? config->sub_size : TRACE_SUB_SIZE;
    const uint32_t cpus = config->nr_cpus;
    const uint64_t rings_offset = round_up(sizeof(struct trace_region_head), 64);
    const uint64_t desc_offset = rings_offset + 2ull * cpus * sizeof(struct trace_ring_head);
    const uint64_t first = round_up(desc_offset + trace_descriptor_size + 1, TRACE_PAGE);
    const uint64_t nmi_total = (uint64_t)cpus * sub_size;
    struct trace_region_head *head = region;
    struct trace_ring_head *rings;
    uint64_t ring_size, offset = first;

    if (!cpus || 2ull * cpus > TRACE_MAX_RINGS || sub_size < TRACE_PAGE ||
        (sub_size & (sub_size - 1)) || size < first + nmi_total)
        return -1;
    ring_size = (size - first - nmi_total) / cpus / sub_size * sub_size;
    if (ring_size < 2ull * sub_size)
        return -1;

    *head = (struct trace_region_head){
        .version_major = TRACE_VERSION_MAJOR,
        .version_minor = TRACE_VERSION_MINOR,
        .state = TRACE_STATE_LIVE,
        .region_size = size,
        .desc_offset = desc_offset,
        .desc_size = trace_descriptor_size,
        .rings_offset = rings_offset,
        .nr_rings = 2 * cpus,
        .nr_cpus = cpus,
        .tsc_hz = config->tsc_hz,
        .tsc_source = config->tsc_source,
        .clock_mode = config->clock_mode,
        .classes = config->classes,
        .mask = config->mask,
    };
    head->build_id_size = config->build_id_size < TRACE_BUILD_ID_MAX ? config->build_id_size
                                                                     : TRACE_BUILD_ID_MAX;
    copy(head->build_id, config->build_id, head->build_id_size);
    copy((uint8_t *)region + desc_offset, trace_descriptor, trace_descriptor_size + 1);

    rings = ring_heads(region);
    for (uint32_t i = 0; i < 2 * cpus; i++) {
        const uint32_t kind = i < cpus ? TRACE_RING_NORMAL : TRACE_RING_NMI;

        rings[i] = (struct trace_ring_head){
            .cpu = i % cpus,
            .kind = kind,
            .mode = config->mode == TRACE_HELD && kind == TRACE_RING_NMI ? TRACE_RECORD : config->mode,
            .sub_size = sub_size,
            .offset = offset,
            .size = kind == TRACE_RING_NORMAL ? ring_size : sub_size,
        };
        offset += rings[i].size;
    }
    __asm__ volatile("" ::: "memory");
    head->magic = TRACE_MAGIC;
    return 0;
}

/* Start the sub-buffer at ring->pos, which is where one begins. */
GENERAL_REGISTERS static void open_sub_buffer(struct trace_ring *ring)
{
    struct trace_sub_head *sub = (struct trace_sub_head *)(ring->base + ring->pos);

    *sub = (struct trace_sub_head){ .seq = ring->pos / ring->sub_size, .lost = ring->lost };
    ring->limit = ring->pos + ring->sub_size;
    ring->pos += sizeof(*sub);
    __asm__ volatile("" ::: "memory");
    ring->shared->head = ring->pos;
}

int trace_ring_attach(struct trace_ring *ring, void *region, uint32_t cpu, uint32_t kind,
                      uint32_t mask)
{
    const struct trace_region_head *head = region;
    struct trace_ring_head *shared;

    if (cpu >= head->nr_cpus || kind > TRACE_RING_NMI)
        return -1;
    shared = &ring_heads(region)[kind == TRACE_RING_NORMAL ? cpu : head->nr_cpus + cpu];
    *ring = (struct trace_ring){
        .base = (uint8_t *)region + shared->offset,
        .shared = shared,
        .size = shared->size,
        .sub_size = shared->sub_size,
        .full_at = shared->mode == TRACE_RECORD ? shared->size : UINT64_MAX,
    };
    open_sub_buffer(ring);
    __asm__ volatile("" ::: "memory");
    ring->mask = mask;
    return 0;
}

void trace_region_finish(void *region)
{
    ((struct trace_region_head *)region)->state = TRACE_STATE_FINISHED;
}

/*
 * Go to the next sub-buffer of a ring.
 *
 * @return 1 where there is one, 0 where the ring is full
 */
GENERAL_REGISTERS static int next_sub_buffer(struct trace_ring *ring)
{
    uint64_t start = (ring->pos - 1) / ring->sub_size * ring->sub_size, back;

    ((struct trace_sub_head *)(ring->base + start))->used = ring->pos - start;
    MARK_FULL(); /* whatever the mode: a ring that is held costs what any other does */
    start += ring->sub_size;
    back = ring->size & -(uint64_t)(start % ring->size == 0); /* without a branch: going round costs what going on does */
    if (start == ring->full_at) {
        ring->limit = 0; /* so that a smaller record does not follow a gap */
        return 0;
    }
    ring->base -= back;
    ring->pos = start;
    open_sub_buffer(ring);
    return 1;
}

GENERAL_REGISTERS int trace_ring_room(struct trace_ring *ring, uint64_t size)
{
    if (ring->limit && size <= ring->sub_size - sizeof(struct trace_sub_head) &&
        next_sub_buffer(ring))
        return 1;
    ring->shared->lost = ++ring->lost;
    return 0;
}

GENERAL_REGISTERS void trace_ring_slow(struct trace_ring *ring,
                                       const struct trace_record_head *record)
{
    const uint64_t size = record->size;

    if (!trace_ring_room(ring, size))
        return;
    copy(ring->base + ring->pos, record, size);
    ring->pos += size;
    __asm__ volatile("" ::: "memory");
    ring->shared->head = ring->pos;
}

/* trace_ring_slow(), all general registers kept; the stack may be aligned to 8 only. */
__asm__(".pushsection .text.unlikely, \"ax\", @progbits\n"
        ".globl trace_ring_slow_saving\n"
        ".type trace_ring_slow_saving, @function\n"
        "trace_ring_slow_saving:\n"
        "push %rbp\n"
        "mov %rsp, %rbp\n"
        "push %rax\n"
        "push %rcx\n"
        "push %rdx\n"
        "push %rsi\n"
        "push %rdi\n"
        "push %r8\n"
        "push %r9\n"
        "push %r10\n"
        "push %r11\n"
        "sub $8, %rsp\n"
        "and $-16, %rsp\n"
        "call trace_ring_slow\n"
        "lea -72(%rbp), %rsp\n"
        "pop %r11\n"
        "pop %r10\n"
        "pop %r9\n"
        "pop %r8\n"
        "pop %rdi\n"
        "pop %rsi\n"
        "pop %rdx\n"
        "pop %rcx\n"
        "pop %rax\n"
        "pop %rbp\n"
        "ret\n"
        ".size trace_ring_slow_saving, . - trace_ring_slow_saving\n"
        ".popsection");

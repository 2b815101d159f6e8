/* SPDX-License-Identifier: MIT */
/*
 * Guest-physical memory: what is not there, what the hypervisor puts there, what is given back and comes again.
 *
 * A read of nothing answers all ones and a write is lost, as on a bus; every width and form of instruction that a kernel uses on
 * devices does so. Nothing that a guest names (frame, space, index) reaches memory that is not its own.
 */
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"
#include "evtchn.h"

#define HOLE 0x3f00000000ul /* 252 GiB: beyond any machine's memory here, within its addresses */

static volatile uint8_t *map(unsigned i, uint64_t paddr)
{
    pte_write(window_va(i), paddr | PTE_RW);
    return (volatile uint8_t *)window_va(i);
}

static void unmap(unsigned i)
{
    pte_write(window_va(i), 0);
}

static void hvm_hole_read(void)
{
    volatile uint8_t *p = map(0, HOLE);
    uint64_t v = 0, w = 0x1122334455667788;

    EXPECT(*p == 0xff && *(volatile uint16_t *)p == 0xffff && *(volatile uint32_t *)p == ~0u && *(volatile uint64_t *)p == ~0ul,
           "not all ones");
    __asm__ volatile("movzbl (%1), %k0" : "=r"(v) : "r"(p));
    EXPECT(v == 0xff, "movzx %lx", v);
    __asm__ volatile("movsbq (%1), %0" : "=r"(v) : "r"(p));
    EXPECT(v == ~0ul, "movsx %lx", v);
    __asm__ volatile("movb (%1), %b0" : "+r"(w) : "r"(p));
    EXPECT(w == 0x11223344556677ff, "movb %lx", w);
    __asm__ volatile("movw 8(%1), %w0" : "+r"(w) : "r"(p));
    EXPECT(w == 0x112233445566ffff, "movw %lx", w);
    unmap(0);
}
MICRO_TEST(hvm_hole_read, "hvm-hole-read", PLATFORM_PVH);

static void hvm_hole_write(void)
{
    volatile uint8_t *p = map(0, HOLE);

    *p = 0;
    *(volatile uint16_t *)(p + 2) = 0;
    *(volatile uint32_t *)(p + 4) = 0;
    *(volatile uint64_t *)(p + 8) = 0;
    __asm__ volatile("movl $0x12345678, 16(%0); movb $7, 20(%0)" ::"r"(p) : "memory");
    __asm__ volatile("movnti %1, 24(%0)" ::"r"(p), "r"(5) : "memory");
    EXPECT(*(volatile uint64_t *)(p + 8) == ~0ul && *(volatile uint32_t *)(p + 16) == ~0u, "a write was kept");
    unmap(0);
}
MICRO_TEST(hvm_hole_write, "hvm-hole-write", PLATFORM_PVH);

/* Moves of strings between memory and nothing. */
static void hvm_hole_string(void)
{
    volatile uint8_t *p = map(0, HOLE);
    uint8_t *page = page_alloc();
    const void *src = (const void *)p;
    void *dst = page;
    uint64_t n = 16;

    __asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(n)::"memory");
    EXPECT(page[0] == 0xff && page[15] == 0xff && page[16] == 0 && n == 0, "%x %x %x, rcx %lu", page[0], page[15], page[16], n);
    src = page;
    dst = (void *)p;
    n = 4;
    __asm__ volatile("rep movsq" : "+D"(dst), "+S"(src), "+c"(n)::"memory");
    EXPECT(n == 0 && dst == (void *)(p + 32) && src == page + 32, "rcx %lu", n);
    dst = (void *)p;
    n = 8;
    __asm__ volatile("rep stosl" : "+D"(dst), "+c"(n) : "a"(0) : "memory");
    EXPECT(n == 0 && dst == (void *)(p + 32), "rcx %lu", n);
    unmap(0);
    page_free(page);
}
MICRO_TEST(hvm_hole_string, "hvm-hole-string", PLATFORM_PVH);

/* Operations that read, change and write. */
static void hvm_hole_modify(void)
{
    volatile uint8_t *p = map(0, HOLE);
    uint32_t v = 5;
    uint8_t below, carry;

    __asm__ volatile("andl $0x0f, (%0); orl $1, (%0); xorl $1, (%0); addl $1, (%0)" ::"r"(p) : "memory", "cc");
    __asm__ volatile("cmpl $-1, (%1); setne %0" : "=q"(below) : "r"(p) : "cc");
    EXPECT(!below, "cmp with all ones differs");
    __asm__ volatile("testb $0x80, (%1); setz %0" : "=q"(below) : "r"(p) : "cc");
    EXPECT(!below, "test of a set bit");
    __asm__ volatile("xchg %0, (%1)" : "+r"(v) : "r"(p) : "memory");
    EXPECT(v == ~0u, "xchg %x", v);
    __asm__ volatile("btl $3, (%1); setc %0" : "=q"(carry) : "r"(p) : "cc");
    EXPECT(carry, "bt of a set bit");
    unmap(0);
}
MICRO_TEST(hvm_hole_modify, "hvm-hole-modify", PLATFORM_PVH);

/* An access that begins in memory and ends in nothing. */
static void hvm_hole_edge(void)
{
    uint8_t *page = page_alloc();
    volatile uint8_t *p = map(0, maddr_of(page)) + PAGE_SIZE - 4;
    uint64_t v;

    map(1, HOLE);
    *(uint32_t *)(page + PAGE_SIZE - 4) = 0x11223344;
    v = *(volatile uint64_t *)p;
    EXPECT(v == 0xffffffff11223344, "read %lx", v);
    *(volatile uint64_t *)p = 0x99aabbcc55667788;
    EXPECT(*(uint32_t *)(page + PAGE_SIZE - 4) == 0x55667788, "wrote %x", *(uint32_t *)(page + PAGE_SIZE - 4));
    unmap(0);
    unmap(1);
    page_free(page);
}
MICRO_TEST(hvm_hole_edge, "hvm-hole-edge", PLATFORM_PVH);

static void touch(void *arg)
{
    (void)*(volatile uint64_t *)arg;
}

/* Address bits that the processor has not are #PF with the bit that says so; those it has, and memory has not, are a hole. */
static void hvm_address_width(void)
{
    unsigned width = cpuid_bare(0x80000008, 0).a & 0xff;
    struct trap_caught c;

    EXPECT(width >= 36 && width <= 52, "%u bits", width);
    pte_write(window_va(0), (1ul << (width - 1)) | PTE_RW);
    EXPECT_RC(trap_try(touch, (void *)window_va(0), &c), -1);
    EXPECT(*(volatile uint64_t *)window_va(0) == ~0ul, "the last bit: %lx", *(volatile uint64_t *)window_va(0));
    pte_write(window_va(0), ((1ul << width) - PAGE_SIZE) | PTE_RW);
    EXPECT(*(volatile uint64_t *)window_va(0) == ~0ul, "the last page: %lx", *(volatile uint64_t *)window_va(0));
    pte_write(window_va(0), 0);
}
MICRO_TEST(hvm_address_width, "hvm-address-width", PLATFORM_PVH);

/* A page goes back, leaves nothing behind, and another comes in its place. */
static void hvm_balloon(void)
{
    uint8_t *page = page_alloc();
    xen_pfn_t gfn = mfn_of(page);
    struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};
    domid_t self = DOMID_SELF;
    long before = hc_memory_op(XENMEM_current_reservation, &self);

    set_xen_guest_handle(r.extent_start, &gfn);
    memset(page, 0x5a, PAGE_SIZE);
    EXPECT_RC(hc_memory_op(XENMEM_decrease_reservation, &r), 1);
    EXPECT(hc_memory_op(XENMEM_current_reservation, &self) == before - 1, "%ld pages, were %ld",
           hc_memory_op(XENMEM_current_reservation, &self), before);
    EXPECT(*(volatile uint64_t *)page == ~0ul, "a page given back reads %lx", *(volatile uint64_t *)page);
    *(volatile uint64_t *)page = 1;
    EXPECT(hc_memory_op(XENMEM_decrease_reservation, &r) <= 0, "given back twice");
    EXPECT_RC(hc_memory_op(XENMEM_populate_physmap, &r), 1);
    EXPECT(hc_memory_op(XENMEM_current_reservation, &self) == before, "%ld pages, were %ld",
           hc_memory_op(XENMEM_current_reservation, &self), before);
    *(volatile uint64_t *)page = 0x1234;
    EXPECT(*(volatile uint64_t *)page == 0x1234, "the new page holds %lx", *(volatile uint64_t *)page);
    memset(page, 0, PAGE_SIZE);
    page_free(page);
}
MICRO_TEST(hvm_balloon, "hvm-balloon", PLATFORM_PVH);

/* A frame that is in the hypervisor's hands: shared_info may move, and be seen nowhere else afterwards. */
static void hvm_shared_info_moves(void)
{
    uint8_t *page = page_alloc();
    struct shared_info *old = shared_info, *there = (struct shared_info *)page;
    uint32_t port;

    if (vcpu_info != &shared_info->vcpu_info[0]) {
        test_note("vcpu_info lies elsewhere");
    }
    EXPECT_RC(hc_add_to_physmap(XENMAPSPACE_shared_info, 0, mfn_of(page)), 0);
    EXPECT(there->wc_version == 0 || there->wc_sec, "no shared_info there");
    if (vcpu_info == &old->vcpu_info[0])
        vcpu_info = &there->vcpu_info[0];
    shared_info = there;
    port = port_ipi();
    events_reset_log();
    EXPECT_RC(port_send(port), 0);
    events_unmask();
    events_mask();
    EXPECT(ev_count == 1, "%u events by the page in its new place", ev_count);
    EXPECT_RC(port_close(port), 0);
    EXPECT_RC(hc_add_to_physmap(XENMAPSPACE_shared_info, 0, mfn_of(old)), 0);
    if (vcpu_info == &there->vcpu_info[0])
        vcpu_info = &old->vcpu_info[0];
    shared_info = old;
    /* The page beneath was given up: what is left is a hole, and can be filled. */
    xen_pfn_t gfn = mfn_of(page);
    struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};

    set_xen_guest_handle(r.extent_start, &gfn);
    EXPECT_RC(hc_memory_op(XENMEM_populate_physmap, &r), 1);
    memset(page, 0, PAGE_SIZE);
    page_free(page);
}
MICRO_TEST(hvm_shared_info_moves, "hvm-shared-info-moves", PLATFORM_PVH);

static void hvm_physmap_errors(void)
{
    uint8_t *page = page_alloc();
    struct xen_add_to_physmap x = {.domid = 0x1234, .space = XENMAPSPACE_shared_info, .gpfn = mfn_of(page)};
    struct xen_remove_from_physmap gone = {.domid = DOMID_SELF, .gpfn = HOLE >> PAGE_SHIFT};
    uint64_t mark = 0x600dda7a600dda7a;

    *(volatile uint64_t *)page = mark;
    EXPECT(hc_memory_op(XENMEM_add_to_physmap, &x) < 0, "into an absent domain");
    EXPECT(hc_add_to_physmap(99, 0, mfn_of(page)) < 0, "an unknown space");
    EXPECT(hc_add_to_physmap(XENMAPSPACE_shared_info, 1, mfn_of(page)) < 0, "a second shared_info");
    EXPECT(hc_add_to_physmap(XENMAPSPACE_grant_table, 1 << 20, mfn_of(page)) < 0, "a grant frame far too high");
    EXPECT(hc_add_to_physmap(XENMAPSPACE_gmfn, HOLE >> PAGE_SHIFT, mfn_of(page)) < 0, "a frame that is not there");
    EXPECT(hc_add_to_physmap(XENMAPSPACE_gmfn_foreign, 0, mfn_of(page)) < 0, "a foreign frame");
    EXPECT(hc_memory_op(XENMEM_add_to_physmap, (void *)HV_START) == -XEN_EFAULT, "arguments in the hypervisor");
    EXPECT(hc_memory_op(XENMEM_remove_from_physmap, &gone) < 0, "what is not there was removed");
    gone.gpfn = ~0ul;
    EXPECT(hc_memory_op(XENMEM_remove_from_physmap, &gone) < 0, "the last frame was removed");
    EXPECT(*(volatile uint64_t *)page == mark, "a refused call changed the page: %lx", *(volatile uint64_t *)page);
    page_free(page);
}
MICRO_TEST(hvm_physmap_errors, "hvm-physmap-errors", PLATFORM_PVH);

/* A frame of another place in the machine's numbering is not reachable: guest frames beyond RAM are holes, whatever they are called. */
static void hvm_foreign_frames(void)
{
    static const uint64_t gpa[] = {0xfffff000ul, 0x100000000ul * 8, 1ul << 36, HOLE, HOLE + (1ul << 30)};
    unsigned seen = 0;

    for (unsigned i = 0; i < sizeof(gpa) / sizeof(*gpa); i++) {
        volatile uint64_t *p = (volatile uint64_t *)map(0, gpa[i]);
        uint64_t v = *p;

        seen += v != ~0ul;
        unmap(0);
    }
    EXPECT(seen == 0, "%u of %u frames beyond memory can be read", seen, (unsigned)(sizeof(gpa) / sizeof(*gpa)));
}
MICRO_TEST(hvm_foreign_frames, "hvm-foreign-frames", PLATFORM_PVH);

/* Grant frames appear where the domain wants them. */
static void hvm_grant_frames(void)
{
    uint8_t *page = page_alloc();
    volatile struct grant_entry_v1 *e = (void *)page;
    xen_pfn_t gfn = mfn_of(page);
    struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};

    memset(page, 0x5a, PAGE_SIZE);
    EXPECT_RC(hc_add_to_physmap(XENMAPSPACE_grant_table, 0, gfn), 0);
    EXPECT(e[9].flags == 0, "entry 9 has flags %x", e[9].flags);
    e[9].frame = 5;
    e[9].flags = GTF_permit_access;
    EXPECT(e[9].frame == 5 && e[9].flags == GTF_permit_access, "entry 9 does not hold");
    e[9].flags = 0;
    struct xen_remove_from_physmap gone = {.domid = DOMID_SELF, .gpfn = gfn};

    EXPECT_RC(hc_memory_op(XENMEM_remove_from_physmap, &gone), 0);
    EXPECT(*(volatile uint64_t *)page == ~0ul, "removed, and still there");
    set_xen_guest_handle(r.extent_start, &gfn);
    EXPECT_RC(hc_memory_op(XENMEM_populate_physmap, &r), 1);
    memset(page, 0, PAGE_SIZE);
    page_free(page);
}
MICRO_TEST(hvm_grant_frames, "hvm-grant-frames", PLATFORM_PVH);

/* The code that exits is changed by a stale translation: what the processor executed counts, or a fault; never another instruction's
 * effect. */
static void hvm_stale_code(void)
{
    uint8_t *a = page_alloc(), *b = page_alloc();
    static const uint8_t cpuid[] = {0x53, 0x31, 0xc0, 0x31, 0xc9, 0x0f, 0xa2, 0x5b, 0xc3}; /* push rbx; ...; cpuid; pop rbx; ret */
    struct trap_caught c;
    int vector;

    memcpy(a, cpuid, sizeof(cpuid));
    memset(b, 0x0b, 64); /* or (%rbx), %ecx and so on: not what exits */
    b[9] = 0xc3;
    map(0, maddr_of(a));
    ((void (*)(void))window_va(0))(); /* now in the TLB */
    window_l1[0] = maddr_of(b) | PTE_RW; /* and not flushed */
    vector = trap_try((void (*)(void *))window_va(0), NULL, &c);
    EXPECT(vector == -1 || vector == VEC_UD || vector == VEC_PF || vector == VEC_GP, "vector %d", vector);
    test_note("vector %d", vector);
    unmap(0);
    page_free(a);
    page_free(b);
}
MICRO_TEST(hvm_stale_code, "hvm-stale-code", PLATFORM_PVH);

/* SPDX-License-Identifier: MIT */
/*
 * The machine's memory. Boot: take the loader's map, place frame records and M2P, build the final page tables, hand the
 * rest to the allocator of frames (buddy.c). Then: a small heap for the hypervisor's own objects.
 *
 * Locks: heap_lock, then buddy.c's.
 * Does not: know page types (pv/typing.c) or guests' maps.
 */
#include "mm.h"
#include "core/domain.h"
#include "pv/typing.h"
#include "x86.h"

extern u64 boot_l4[512], boot_l1_image[2048];
extern char __image_start[], __text_end[], __rodata_end[], __image_end[];

struct mem_range mem_map[MAX_MEM_RANGES];
unsigned int nr_mem_ranges;
u64 max_mfn, nr_total_frames, hv_cr3;

static struct { u64 start, end; } reserved[80]; /* 64 boot modules and what the hypervisor takes */
static u64 m2p_at;

u64 m2p_paddr(void)
{
    return m2p_at;
}

static unsigned int nr_reserved;
static u64 nr_tables; /* of the hypervisor's own, from the allocator; kept for the next vCPU */

static struct spinlock heap_lock = SPINLOCK(LOCK_HEAP);

void mm_reserve(u64 start, u64 end)
{
    BUG_ON(nr_reserved == ARRAY_SIZE(reserved));
    reserved[nr_reserved].start = start & PAGE_MASK;
    reserved[nr_reserved++].end = round_up(end, PAGE_SIZE);
}

/* If [start, end) meets a reserved range, the end of that range; else 0. */
static u64 reserved_behind(u64 start, u64 end)
{
    for (unsigned int i = 0; i < nr_reserved; i++)
        if (start < reserved[i].end && end > reserved[i].start)
            return reserved[i].end;
    return 0;
}

/* Boot-time: `size` bytes of memory below 4 GiB, 2 MiB aligned, taken from the top of what is free. */
static u64 boot_alloc_2m(u64 size)
{
    u64 best = 0;

    size = round_up(size, MB(2));
    for (unsigned int i = 0; i < nr_mem_ranges; i++) {
        struct mem_range *r = &mem_map[i];
        u64 end = min_of(r->start + r->size, GB(4)) & ~(MB(2) - 1);

        if (r->type != MEM_RAM)
            continue;
        for (u64 at = end; at >= size + r->start && at - size >= MB(2); at -= MB(2))
            if (!reserved_behind(at - size, at)) {
                best = max_of(best, at - size);
                break;
            }
    }
    if (!best)
        panic("no %llu KiB of free memory below 4 GiB for the frame records", (unsigned long long)size >> 10);
    mm_reserve(best, best + size);
    return best;
}

/* The next-level table under *e, made from an early or an ordinary page if absent. */
static u64 *table_below(u64 *e)
{
    if (!(*e & PTE_P)) {
        void *p = arch_alloc_pages(0);

        if (!p)
            panic("no memory for the hypervisor's page tables");
        nr_tables++;
        *e = (virt_to_mfn(p).n << PAGE_SHIFT) | PTE_P | PTE_RW | PTE_US | PTE_A;
    }
    return map_mfn(MFN((*e & PTE_MFN) >> PAGE_SHIFT));
}

static u64 *pte_slot(u64 va, int level)
{
    u64 *t = map_mfn(MFN(hv_cr3 >> PAGE_SHIFT));

    for (int l = 4; l > level; l--)
        t = table_below(&t[(va >> (12 + 9 * (l - 1))) & 511]);
    return &t[(va >> (12 + 9 * (level - 1))) & 511];
}

void mm_map_page(u64 va, u64 paddr, u64 flags)
{
    WRITE_ONCE(*pte_slot(va, 1), flags ? paddr | flags : 0);
    invlpg(va);
}

static void map_2m(u64 va, u64 paddr, u64 size, u64 flags)
{
    for (u64 off = 0; off < size; off += MB(2))
        *pte_slot(va + off, 2) = (paddr + off) | flags | PTE_PSE;
}

static u64 device_next = DEVICE_VIRT;

void *mm_map_device(u64 paddr, u64 size, bool cached)
{
    u64 first = paddr & PAGE_MASK, last = round_up(paddr + size, PAGE_SIZE), va = device_next;

    if (size >= MB(2)) { /* large regions (the trace ring) by 2 MiB where aligned */
        va = device_next = round_up(device_next, MB(2));
    }
    for (u64 at = first; at < last;) {
        u64 flags = PTE_P | PTE_RW | PTE_A | PTE_D | PTE_NX | PTE_G | (cached ? 0 : PTE_PCD | PTE_PWT);

        if (!(at & (MB(2) - 1)) && !(device_next & (MB(2) - 1)) && last - at >= MB(2)) {
            *pte_slot(device_next, 2) = at | flags | PTE_PSE;
            at += MB(2), device_next += MB(2);
        } else {
            mm_map_page(device_next, at, flags);
            at += PAGE_SIZE, device_next += PAGE_SIZE;
        }
    }
    return (void *)(va + (paddr - first));
}

void mm_copy_hv_slots(u64 *l4)
{
    const u64 *hv = map_mfn(MFN(hv_cr3 >> PAGE_SHIFT));

    for (int i = HV_FIRST_SLOT; i <= HV_LAST_SLOT; i++)
        l4[i] = hv[i];
}

void mm_protect_image(void)
{
    u64 cr4 = read_cr4();

    for (u64 va = (u64)__image_start; va < (u64)__image_end; va += PAGE_SIZE) {
        u64 flags = PTE_P | PTE_A | PTE_D | PTE_G;

        if (va >= (u64)__rodata_end)
            flags |= PTE_RW | PTE_NX;
        else if (va >= (u64)__text_end)
            flags |= PTE_NX;
        boot_l1_image[(va - IMAGE_VIRT) >> PAGE_SHIFT] = (va - IMAGE_VIRT + IMAGE_PADDR) | flags;
    }
    tlb_tick(get_cpu_info());
    if (cr4 & X86_CR4_PGE) {
        write_cr4(cr4 & ~(u64)X86_CR4_PGE);
        write_cr4(cr4);
    } else {
        write_cr3(read_cr3());
    }
}

__attribute__((noinline)) void scrub_frames(mfn_t mfn, u64 n)
{
    u64 at = (u64)map_mfn(mfn), end = at + (n << PAGE_SHIFT);

    while (at < end) /* 512 bytes a turn. By plain stores: see memset() in entry.S */
        __asm__ volatile(".set off, 0\n\t.rept 64\n\tmovq %1, off(%0)\n\t.set off, off + 8\n\t.endr\n\taddq $512, %0"
                         : "+r"(at)
                         : "r"(0ull)
                         : "memory");
}

void frame_adopt(mfn_t mfn, domid_t owner)
{
    *frame_of(mfn) = (struct frame){.word = FRAME_ALLOCATED | FRAME_REF, .owner = owner};
}

void mm_release(u64 start, u64 end)
{
    u64 at = max_of(start & PAGE_MASK, MB(1)) >> PAGE_SHIFT, last = (end + PAGE_SIZE - 1) >> PAGE_SHIFT, n;

    for (; at < last; at += max_of(n, 1ull)) {
        unsigned int order = 0;

        for (n = 0; at + n < last && frame_table[at + n].owner == DOMID_XEN && n < 512 - (at & 511); n++)
            ;
        if (!n)
            continue;
        while (order < 9 && !(at & (1ull << order)) && (2ull << order) <= n)
            order++;
        n = 1ull << order;
        frame_free(MFN(at), order);
    }
}

void *arch_alloc_pages(unsigned int order)
{
    mfn_t mfn = frame_alloc(DOMID_XEN, order, 0, 0);

    return mfn.n == MFN_INVALID.n ? NULL : memset(map_mfn(mfn), 0, PAGE_SIZE << order);
}

void arch_free_pages(void *p, unsigned int order)
{
    frame_free(virt_to_mfn(p), order);
}

void *arch_map_mfn(mfn_t mfn)
{
    return map_mfn(mfn);
}

mfn_t arch_virt_to_mfn(const void *p)
{
    return virt_to_mfn(p);
}

/* Heap: objects of 2^k bytes, 32 to 2048, carved from pages; larger ones are pages. A header of 16 bytes says which. */
struct heap_head {
    struct heap_head *next; /* free: next of its size */
    u32 shift;              /* log2 of the size; above 11: pages of order shift - 12 */
    u32 magic;
};
#define HEAP_MAGIC 0x50414548u
static struct heap_head *heap_free[12];
static u64 nr_heap_pages, nr_heap_objects;

void mm_report(u64 modules)
{
    printk("memory: %llu frames free, %llu in boot modules, %llu in page tables, %llu in the heap with %llu objects\n",
           (unsigned long long)nr_free_frames, (unsigned long long)modules, (unsigned long long)nr_tables,
           (unsigned long long)nr_heap_pages, (unsigned long long)nr_heap_objects);
}

void *arch_alloc(size_t size)
{
    struct heap_head *h;
    unsigned int shift = 5;

    while ((1ull << shift) < size + sizeof(*h))
        shift++;
    if (shift > 11) {
        if (shift < 12)
            shift = 12;
        h = arch_alloc_pages(shift - 12);
    } else {
        spin_lock(&heap_lock);
        h = heap_free[shift];
        if (!h) {
            char *page = arch_alloc_pages(0);

            nr_heap_pages += page != NULL;
            for (u64 at = 0; page && at < PAGE_SIZE; at += 1ull << shift) {
                struct heap_head *part = (struct heap_head *)(page + at);

                part->next = heap_free[shift];
                heap_free[shift] = part;
            }
            h = heap_free[shift];
        }
        if (h) {
            heap_free[shift] = h->next;
            nr_heap_objects++;
        }
        spin_unlock(&heap_lock);
    }
    if (!h)
        return NULL;
    memset(h, 0, 1ull << shift);
    h->shift = shift;
    h->magic = HEAP_MAGIC;
    return h + 1;
}

void arch_free(void *p)
{
    struct heap_head *h = p;

    if (!p)
        return;
    h--;
    BUG_ON(h->magic != HEAP_MAGIC);
    h->magic = 0;
    if (h->shift > 11) {
        arch_free_pages(h, h->shift - 12);
        return;
    }
    HOLD(&heap_lock);
    h->next = heap_free[h->shift];
    heap_free[h->shift] = h;
    nr_heap_objects--;
}

/* Hand [start, end) to the allocator but for reserved parts, in the largest aligned blocks. */
static void add_free(u64 start, u64 end)
{
    u64 at = round_up(start, PAGE_SIZE);

    while (at + PAGE_SIZE <= end) {
        u64 skip = reserved_behind(at, at + PAGE_SIZE);
        unsigned int order = 0;

        if (skip) {
            at = skip;
            continue;
        }
        while (order < BUDDY_MAX_ORDER && !(at & ((PAGE_SIZE << (order + 1)) - 1)) &&
               at + (PAGE_SIZE << (order + 1)) <= end &&
               !reserved_behind(at, at + (PAGE_SIZE << (order + 1))))
            order++;
        buddy_put(MFN(at >> PAGE_SHIFT), order);
        at += PAGE_SIZE << order;
    }
}

/* Records of frames [first, end) as new, and their M2P entries. */
static void fill_records(u64 first, u64 end, domid_t owner)
{
    _Pragma("GCC unroll 8") for (u64 i = first; i < end; i++)
    {
        frame_table[i] = (struct frame){.owner = owner};
        m2p[i] = M2P_INVALID;
    }
}

/* Each frame's record once: memory is free, what boot has reserved of it the hypervisor's, the rest devices. */
static void init_records(void)
{
    for (u64 at = 0, next; at < max_mfn; at = next) {
        domid_t owner = DOMID_IO;

        next = max_mfn;
        for (unsigned int i = 0; i < nr_mem_ranges && owner == DOMID_IO; i++) {
            u64 first = mem_map[i].start >> PAGE_SHIFT, end = (mem_map[i].start + mem_map[i].size) >> PAGE_SHIFT;

            if (mem_map[i].type != MEM_RAM || end <= at)
                continue;
            if (first <= at) {
                owner = DOMID_INVALID;
                next = end;
            } else {
                next = min_of(next, first);
            }
        }
        fill_records(at, next, owner);
    }
    for (unsigned int i = 0; i < nr_reserved; i++)
        for (u64 at = reserved[i].start >> PAGE_SHIFT; at < min_of(reserved[i].end >> PAGE_SHIFT, max_mfn); at++)
            if (frame_table[at].owner == DOMID_INVALID)
                frame_table[at].owner = DOMID_XEN;
}

void mm_init(void)
{
    u64 frames_at, frames_size, m2p_size;
    u64 *l4 = boot_l4;

    for (unsigned int i = 0; i < nr_mem_ranges; i++)
        if (mem_map[i].type == MEM_RAM) {
            max_mfn = max_of(max_mfn, (mem_map[i].start + mem_map[i].size) >> PAGE_SHIFT);
            nr_total_frames += mem_map[i].size >> PAGE_SHIFT;
        }
    mm_reserve(0, MB(1));
    mm_reserve(IMAGE_PADDR, IMAGE_PADDR + (u64)(__image_end - __image_start));
    hv_cr3 = (u64)boot_l4 - IMAGE_VIRT + IMAGE_PADDR;
    buddy_init();

    frames_size = max_mfn * sizeof(struct frame);
    m2p_size = max_mfn * 8;
    frames_at = boot_alloc_2m(frames_size);
    m2p_at = boot_alloc_2m(m2p_size);

    /*
     * Tables for the two arrays come from their own reserve, since the allocator does not run yet: one L3 (slot 261's
     * exists) and L2 pages. 2 MiB at most are needed for 512 GiB of memory.
     */
    {
        u64 at = boot_alloc_2m(MB(2)), next = at + DIRECTMAP;
        static const struct { u64 va; u64 flags; } area[] = {
            {FRAME_VIRT, PTE_P | PTE_RW | PTE_A | PTE_D | PTE_NX | PTE_G},
            {M2P_RW_VIRT, PTE_P | PTE_RW | PTE_A | PTE_D | PTE_NX | PTE_G},
            {M2P_RO_VIRT, PTE_P | PTE_US | PTE_A | PTE_NX | PTE_G},
        };
        memset((void *)next, 0, MB(2));
        for (unsigned int a = 0; a < ARRAY_SIZE(area); a++) {
            u64 pa = a == 0 ? frames_at : m2p_at, size = round_up(a == 0 ? frames_size : m2p_size, MB(2));

            for (u64 off = 0; off < size; off += MB(2)) {
                u64 va = area[a].va + off, *t = l4;

                for (int l = 4; l > 2; l--) {
                    u64 *e = &t[(va >> (12 + 9 * (l - 1))) & 511];

                    if (!(*e & PTE_P)) {
                        *e = (next - DIRECTMAP) | PTE_P | PTE_RW | PTE_US | PTE_A;
                        next += PAGE_SIZE;
                    }
                    t = (u64 *)(DIRECTMAP + (*e & PTE_MFN));
                }
                t[(va >> 21) & 511] = (pa + off) | area[a].flags | PTE_PSE;
            }
        }
        /* the read-only M2P is the only part that guests may see: no write right at the top */
        l4[256] &= ~PTE_RW;
    }
    l4[262] |= PTE_NX;
    l4[0] = 0;
    write_cr3(hv_cr3);

    init_records();
    for (unsigned int i = 0; i < nr_mem_ranges; i++)
        if (mem_map[i].type == MEM_RAM)
            add_free(mem_map[i].start, min_of(mem_map[i].start + mem_map[i].size, GB(4)));
    /* memory above what boot mapped */
    if (max_mfn > GB(4) >> PAGE_SHIFT) {
        map_2m(DIRECTMAP + GB(4), GB(4), (max_mfn << PAGE_SHIFT) - GB(4),
               PTE_P | PTE_RW | PTE_A | PTE_D | PTE_G);
        for (unsigned int i = 0; i < nr_mem_ranges; i++)
            if (mem_map[i].type == MEM_RAM && mem_map[i].start >= GB(4))
                add_free(mem_map[i].start, mem_map[i].start + mem_map[i].size);
    }
    /* every slot that guests' L4 tables copy must exist now, since the copies do not follow later changes */
    for (int i = HV_FIRST_SLOT; i <= HV_LAST_SLOT; i++)
        if (i == 261 || i == 262)
            (void)table_below(&l4[i]);
}

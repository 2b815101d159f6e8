/* SPDX-License-Identifier: MIT */
/*
 * The machine's memory: map, frame allocator, hypervisor heap, the hypervisor's own page tables.
 */
#ifndef PARANGON_MM_H
#define PARANGON_MM_H

#include "frame.h"

enum { MEM_RAM = 1, MEM_RESERVED = 2, MEM_ACPI = 3, MEM_NVS = 4, MEM_BAD = 5 };

struct mem_range {
    u64 start, size; /* bytes */
    u32 type;        /* the e820 types above */
};
#define MAX_MEM_RANGES 64
extern struct mem_range mem_map[MAX_MEM_RANGES];
extern unsigned int nr_mem_ranges;

/** Physical ranges that boot must not hand out: modules, loader information. */
void mm_reserve(u64 start, u64 end);
/** Build frame records, M2P, the final page tables and the allocator from mem_map. Called once, early. */
void mm_init(void);
/**
 * Give the pages that a boot module [start, end) touches to the allocator, but for those that became a domain's in place
 * (frame_adopt()). Once all modules have been consumed: two of them may meet within a page.
 */
void mm_release(u64 start, u64 end);
/**
 * One line in the log: where the memory is. Before the first and after the last domain the sum of the frames is the same,
 * and so is the number of objects. modules: frames that hold boot modules.
 */
void mm_report(u64 modules);

/* buddy.c */
#define BUDDY_MAX_ORDER 18
/** Before anything else; then each block of memory that is free at boot, aligned to its size. Its records are zeroed
 * or left over. */
void buddy_init(void);
void buddy_add(mfn_t mfn, unsigned int order);
/** The same of a block whose records say already that it is free (owner DOMID_INVALID, else 0). */
void buddy_put(mfn_t mfn, unsigned int order);
/**
 * Allocate 2^order frames for a domain (or DOMID_XEN), physically contiguous, each with one reference.
 * Contents are NOT cleared. @return first mfn, MFN_INVALID when there are none.
 * max_bits: highest physical address bit allowed (0: any), node: reserved for NUMA, 0.
 */
mfn_t frame_alloc(domid_t owner, unsigned int order, unsigned int max_bits, unsigned int node);
/** The same, all zeros: what is not known to be is cleared. */
mfn_t frame_alloc_clear(domid_t owner, unsigned int order, unsigned int max_bits, unsigned int node);
/**
 * Clear free memory until n frames are known to be clear or all are: what is promised to domains, before the first of them runs (no
 * TLB may lead a guest to a free frame yet). About 550 instructions a frame.
 */
void frames_clean(u64 n);
/** The last reference has gone: back to the free lists. The record must have no counts. */
void frame_free(mfn_t mfn, unsigned int order);
/**
 * Clear n frames before a domain gets them, since they may hold another's data or what was in memory before boot. All
 * scrubbing of the hypervisor's is here, out of line, so that tools count it apart by this symbol.
 */
void scrub_frames(mfn_t mfn, u64 n);
/** Free memory of the machine, in frames. */
extern u64 nr_free_frames;
extern u64 nr_total_frames;
/** Take frames that boot reserved (a module's) as memory of a domain, in place. */
void frame_adopt(mfn_t mfn, domid_t owner);

/** Map device memory (uncached) or memory (cached) for the hypervisor; permanent. NULL: no room. */
void *mm_map_device(u64 paddr, u64 size, bool cached);
/** Set one 4 KiB mapping of the hypervisor's own range, making tables as needed. flags: PTE bits, 0 unmaps. */
void mm_map_page(u64 va, u64 paddr, u64 flags);
/** The hypervisor's own L4 (physical), for idle and as the source of slots 256 to 271. */
extern u64 hv_cr3;
void mm_copy_hv_slots(u64 *l4);
/** Text read-only and executable, constants read-only, the rest not executable. */
void mm_protect_image(void);

/** Physical address of the machine-to-phys table. */
u64 m2p_paddr(void);

#endif

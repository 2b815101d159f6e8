/* SPDX-License-Identifier: MIT */
/*
 * Frame records: one of 16 bytes for every 4 KiB frame of memory, index = mfn (DESIGN §3, decision 2).
 *
 * `word` holds references, type and type count together, so that one compare-and-swap takes a reference and a type:
 *
 *   bits  0-27  references: 1 for the allocation itself, 1 for each page table entry, pin, base pointer, ... that names it
 *   bits 28-55  type references: how many users rely on the type
 *   bits 56-58  type (enum frame_type); it may change only while there are no type references
 *   bit  59     validated: every entry of this page table has been checked and holds its references
 *   bit  60     pinned: one type reference is held by the guest's pin
 *   bit  61     partial: (in)validation stopped at `position` and will be resumed
 *   bit  62     busy: a pcpu is changing the type or the entries
 *   bit  63     allocated: its owner has not given it up; without it nobody can take a new reference
 *
 * No count exceeds FRAME_COUNT_MAX: what would set its top bit is refused (-XEN_EBUSY), so one test of the new word covers
 * both. 16 bytes and no list links: a dying domain's frames are found by one scan of the records between the lowest and
 * highest mfn it ever had (about four instructions a frame), which costs nothing while it lives.
 * The invariant of PV isolation is stated in pv/typing.h.
 */
#ifndef PARANGON_FRAME_H
#define PARANGON_FRAME_H

#include "abi.h"
#include "layout.h"

enum frame_type { FT_NONE, FT_L1, FT_L2, FT_L3, FT_L4, FT_SEG, FT_WRITABLE, FT_SHARED };

struct frame {
    u64 word;
    u16 owner;     /* domid, DOMID_XEN: hypervisor, DOMID_IO: not memory, DOMID_INVALID: free */
    u16 position;  /* next entry to (in)validate while partial */
    u32 stamp;     /* tlb_clock_now() when the last type reference went; of a validated table of level 2 to 4: see FRAME_USED() */
};
_Static_assert(sizeof(struct frame) == 16, "one definition of the size: layout.h's FRAME_VIRT holds 2^32 of them");

#define FRAME_REF        1ull
#define FRAME_COUNT_MASK ((1ull << 28) - 1)
#define FRAME_COUNT_MAX  ((1ull << 27) - 1)
#define FRAME_TC_SHIFT   28
#define FRAME_TC         (1ull << FRAME_TC_SHIFT)
#define FRAME_TC_MASK    (FRAME_COUNT_MASK << FRAME_TC_SHIFT)
#define FRAME_REFS_FULL  (1ull << 27) /* set in a word whose references, */
#define FRAME_TC_FULL    (1ull << 55) /* or type references, exceed FRAME_COUNT_MAX */
#define FRAME_TYPE_SHIFT 56
#define FRAME_TYPE_MASK  (7ull << FRAME_TYPE_SHIFT)
#define FRAME_VALIDATED  (1ull << 59)
#define FRAME_PINNED     (1ull << 60)
#define FRAME_PARTIAL    (1ull << 61)
#define FRAME_BUSY       (1ull << 62)
#define FRAME_ALLOCATED  (1ull << 63)
#define FRAME_TYPE(t)    ((u64)(t) << FRAME_TYPE_SHIFT)

static inline u64 frame_refs(u64 word)
{
    return word & FRAME_COUNT_MASK;
}
static inline u64 frame_tc(u64 word)
{
    return (word & FRAME_TC_MASK) >> FRAME_TC_SHIFT;
}
static inline enum frame_type frame_type(u64 word)
{
    return (word & FRAME_TYPE_MASK) >> FRAME_TYPE_SHIFT;
}

/**
 * What one pcpu may elide (DESIGN §3, decision 7). Frame words and guests' page tables change by compare-and-swap, and tables of
 * a domain with several vCPUs under its lock. On a machine with one pcpu, with interrupts off inside the hypervisor, no handler
 * of an interrupt changes them, and plain stores do: pv/one_pcpu.c has the hot functions once more with 1 here.
 */
#ifndef ONE_PCPU
#define ONE_PCPU 0
#endif

/** Put `new` in place of *old, which has just been read; false (and *old is what is there): another pcpu was quicker. */
static inline bool word_change(u64 *word, u64 *old, u64 new)
{
    if (ONE_PCPU) {
        *(volatile u64 *)word = new;
        return true;
    }
    return __atomic_compare_exchange_n(word, old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/** First mfn behind all memory. Frames at or above it are devices. */
extern u64 max_mfn;

/* The array of records, the mapping of all memory, and the machine-to-phys table: fixed addresses in the hypervisor, pointers
 * in the host library (tests/host). */
#ifdef PARANGON_HOST
extern struct frame *frame_table;
extern u8 *host_memory;
extern u64 *m2p;
#define directmap ((u64)host_memory)
#else
#define frame_table ((struct frame *)FRAME_VIRT)
#define directmap   DIRECTMAP
#define m2p         ((u64 *)M2P_RW_VIRT)
#endif

static inline struct frame *frame_of(mfn_t mfn)
{
    return &frame_table[mfn.n];
}
static inline mfn_t frame_mfn(const struct frame *f)
{
    return MFN((u64)(f - frame_table));
}
static inline bool mfn_is_memory(mfn_t mfn)
{
    return mfn.n < max_mfn;
}
static inline void *map_mfn(mfn_t mfn)
{
    return (void *)(directmap + (mfn.n << PAGE_SHIFT));
}
static inline mfn_t virt_to_mfn(const void *p)
{
    return MFN(((u64)p - directmap) >> PAGE_SHIFT);
}

/** `position` of a page that the hypervisor shares with a domain: not counted as the domain's memory, not to be
 * ballooned out. */
#define FRAME_SHARED_BY_HV 0xffff
/** Bit of `position` of a free frame: it holds zeros (buddy.c). */
#define FRAME_CLEAN 0x100
/** Bit of `stamp` for entry i of a validated table of level 2 to 4: clear only while no entry of its sixteen is present. */
#define FRAME_USED(i) (1u << ((i) >> 4))
/** `stamp` of a partial page table whose references nobody else holds: stopped while it was being validated. */
#define FRAME_PARTIAL_ORPHAN 1u

/** M2P entry of a frame that no guest numbers. */
#define M2P_INVALID 0x5555555555555555ull

#endif

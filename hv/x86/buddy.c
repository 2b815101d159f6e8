/* SPDX-License-Identifier: MIT */
/*
 * The allocator of frames: blocks of 2^order frames, halved and joined again.
 *
 * Its lists lie in the frame records, never in the frames: a guest's TLB may still hold a translation of a frame that it has given
 * back, until the frame is allocated again (then it is flushed), and must find nothing of the hypervisor's there and reach nothing.
 * Of a free block's first frame, `word` holds the links and `position` the order + 1; all other free frames have 0 in both. `stamp`
 * stays, for the flush.
 *
 * Locks: buddy_lock, innermost. Freed pages are not cleared here; whoever gives a page to a guest clears it.
 * Host-compilable.
 */
#include "mm.h"
#include "core/domain.h"
#include "pv/typing.h"

#define LINK_BITS 31 /* frames below 8 TiB; bit 63 of a word, FRAME_ALLOCATED, stays clear */
#define LINK_MASK ((1ull << LINK_BITS) - 1)

static u32 first_free[BUDDY_MAX_ORDER + 1], last_free[BUDDY_MAX_ORDER + 1]; /* frame 0 is never free: none */
static struct spinlock buddy_lock = SPINLOCK(LOCK_BUDDY);
u64 nr_free_frames;

static u64 next_of(u64 mfn)
{
    return frame_table[mfn].word & LINK_MASK;
}

static u64 previous_of(u64 mfn)
{
    return frame_table[mfn].word >> LINK_BITS & LINK_MASK;
}

static void link_free(u64 previous, u64 next, unsigned int order)
{
    if (previous)
        frame_table[previous].word = (frame_table[previous].word & ~LINK_MASK) | next;
    else
        first_free[order] = next;
    if (next)
        frame_table[next].word = (frame_table[next].word & LINK_MASK) | previous << LINK_BITS;
    else
        last_free[order] = previous;
}

static void take_out(u64 mfn, unsigned int order)
{
    link_free(previous_of(mfn), next_of(mfn), order);
    frame_table[mfn].word = 0;
    frame_table[mfn].position = 0;
}

/* A block whose records say that it is free goes to the end of its list, joined with its neighbours. */
static void put(u64 mfn, unsigned int order)
{
    BUG_ON(!mfn || mfn > LINK_MASK);
    while (order < BUDDY_MAX_ORDER) {
        u64 other = mfn ^ (1ull << order);

        if (other + (1ull << order) > max_mfn || frame_table[other].owner != DOMID_INVALID ||
            frame_table[other].position != order + 1)
            break;
        take_out(other, order);
        mfn &= ~(1ull << order);
        order++;
    }
    frame_table[mfn].position = order + 1;
    frame_table[mfn].word = (u64)last_free[order] << LINK_BITS;
    link_free(last_free[order], mfn, order);
    last_free[order] = mfn;
}

void buddy_init(void)
{
    memset(first_free, 0, sizeof(first_free));
    memset(last_free, 0, sizeof(last_free));
    nr_free_frames = 0;
}

mfn_t frame_alloc(domid_t owner, unsigned int order, unsigned int max_bits, unsigned int node)
{
    u64 mfn = 0;
    u32 latest;

    spin_lock(&buddy_lock);
    for (unsigned int o = order; o <= BUDDY_MAX_ORDER && !mfn; o++) {
        for (mfn = first_free[o]; mfn; mfn = next_of(mfn))
            if (!max_bits || ((mfn + (1ull << order)) << PAGE_SHIFT) <= (1ull << max_bits))
                break;
        if (!mfn)
            continue;
        take_out(mfn, o);
        while (o > order) {
            o--;
            put(mfn + (1ull << o), o);
        }
    }
    if (mfn)
        nr_free_frames -= 1ull << order;
    spin_unlock(&buddy_lock);
    if (!mfn)
        return MFN_INVALID;
    latest = frame_table[mfn].stamp;
    for (u64 i = 0; i < (1ull << order); i++) {
        struct frame *f = &frame_table[mfn + i];

        if (unlikely(f->stamp != latest))
            latest = tlb_later(latest, f->stamp);
        *f = (struct frame){.word = FRAME_ALLOCATED | FRAME_REF, .owner = owner};
    }
    tlb_filter(latest); /* a TLB may still hold mappings that the last owner had */
    return MFN(mfn);
}

void buddy_put(mfn_t mfn, unsigned int order)
{
    spin_lock(&buddy_lock);
    put(mfn.n, order);
    nr_free_frames += 1ull << order;
    spin_unlock(&buddy_lock);
}

void buddy_add(mfn_t mfn, unsigned int order)
{
    for (u64 i = 0; i < (1ull << order); i++) {
        frame_table[mfn.n + i].word = 0;
        frame_table[mfn.n + i].position = 0;
        frame_table[mfn.n + i].owner = DOMID_INVALID;
    }
    buddy_put(mfn, order);
}

void frame_free(mfn_t mfn, unsigned int order)
{
    for (u64 i = 0; i < (1ull << order); i++)
        m2p[mfn.n + i] = M2P_INVALID;
    buddy_add(mfn, order);
}

/* SPDX-License-Identifier: MIT */
/*
 * The allocator of frames: blocks of 2^order frames, halved and joined again.
 *
 * Its lists lie in the frame records, never in the frames: a guest's TLB may still hold a translation of a frame that it has given
 * back, until the frame is allocated again (then it is flushed), and must find nothing of the hypervisor's there and reach nothing.
 * Of a free block's first frame, `word` holds the links and the low byte of `position` the order + 1; all other free frames have 0 in
 * both. `stamp` stays, for the flush.
 *
 * FRAME_CLEAN in `position` of a free frame, first of its block or not: it holds zeros, and no TLB leads a guest to it. frames_clean() says so of
 * memory that no guest has had; what is freed is not clean, whoever had it.
 *
 * Locks: buddy_lock, innermost. Freed pages are not cleared here; whoever gives a page to a guest clears it, or asks frame_alloc_clear().
 * Host-compilable.
 */
#include "mm.h"
#include "core/domain.h"
#include "pv/typing.h"

#define LINK_BITS 31 /* frames below 8 TiB; bit 63 of a word, FRAME_ALLOCATED, stays clear */
#define LINK_MASK ((1ull << LINK_BITS) - 1)

static u32 first_free[BUDDY_MAX_ORDER + 1], last_free[BUDDY_MAX_ORDER + 1]; /* frame 0 is never free: none */
/* Free frames for whoever wants one: of no list and no block, so that neither is halved and joined for each. */
#define SINGLES_ORDER 4
static u32 single[1u << SINGLES_ORDER];
static unsigned int nr_singles;
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
    frame_table[mfn].position &= FRAME_CLEAN;
}

/* To the end of its list, whatever its neighbours are. */
static void append(u64 mfn, unsigned int order)
{
    frame_table[mfn].position |= order + 1;
    frame_table[mfn].word = (u64)last_free[order] << LINK_BITS;
    link_free(last_free[order], mfn, order);
    last_free[order] = mfn;
}

/* A block whose records say that it is free goes to the end of its list, joined with its neighbours. */
static void put(u64 mfn, unsigned int order)
{
    BUG_ON(!mfn || mfn > LINK_MASK);
    while (order < BUDDY_MAX_ORDER) {
        u64 other = mfn ^ (1ull << order);

        if (other + (1ull << order) > max_mfn || frame_table[other].owner != DOMID_INVALID ||
            (frame_table[other].position & ~FRAME_CLEAN) != order + 1)
            break;
        take_out(other, order);
        mfn &= ~(1ull << order);
        order++;
    }
    append(mfn, order);
}

void buddy_init(void)
{
    memset(first_free, 0, sizeof(first_free));
    memset(last_free, 0, sizeof(last_free));
    nr_free_frames = nr_singles = 0;
}

/* A block from the first list that has one; 0: none. */
static u64 take(unsigned int order, unsigned int max_bits)
{
    for (unsigned int o = order; o <= BUDDY_MAX_ORDER; o++) {
        u64 mfn = first_free[o];

        while (max_bits && mfn && ((mfn + (1ull << order)) << PAGE_SHIFT) > (1ull << max_bits))
            mfn = next_of(mfn);
        if (!mfn)
            continue;
        take_out(mfn, o);
        while (o > order) {
            o--;
            append(mfn + (1ull << o), o); /* its neighbour is not free */
        }
        return mfn;
    }
    return 0;
}

/* Fill single[] with a block that nothing larger can come of, else with the first part of a larger one; the lowest frame goes first. */
static __attribute__((noinline)) void take_singles(void)
{
    unsigned int order = 0;
    u64 mfn;

    while (order < SINGLES_ORDER && !first_free[order])
        order++;
    mfn = take(order, 0);
    for (u64 i = 1ull << order; mfn && i--;)
        single[nr_singles++] = mfn + i;
}

/* A block, where only single frames between its halves are missing too. */
static u64 take_block(unsigned int order, unsigned int max_bits)
{
    u64 mfn = take(order, max_bits);

    if (mfn || !nr_singles)
        return mfn;
    while (nr_singles)
        put(single[--nr_singles], 0);
    return take(order, max_bits);
}

/* What of a record is not its word, in one. */
static __always_inline_ u64 rest_of(const struct frame *f)
{
    u64 rest;

    __builtin_memcpy(&rest, &f->owner, sizeof(rest));
    return rest;
}

/* frame_alloc(); *clean: all of it holds zeros. */
static __always_inline_ mfn_t alloc(domid_t owner, unsigned int order, unsigned int max_bits, bool *clean)
{
    const struct frame given = {.word = FRAME_ALLOCATED | FRAME_REF, .owner = owner};
    u64 mfn = 0, first, rest = rest_of(&given);
    u32 latest, marks;

    spin_lock(&buddy_lock);
    if (likely(!(order | max_bits))) {
        if (unlikely(!nr_singles))
            take_singles();
        if (likely(nr_singles))
            mfn = single[--nr_singles];
    } else {
        mfn = take_block(order, max_bits);
    }
    if (likely(mfn))
        nr_free_frames -= 1ull << order;
    spin_unlock(&buddy_lock);
    if (unlikely(!mfn))
        return MFN_INVALID;
    latest = frame_table[mfn].stamp;
    marks = frame_table[mfn].position;
    first = rest_of(&frame_table[mfn]);
    for (struct frame *f = &frame_table[mfn], *end = f + (1ull << order); f < end; f++) {
        if (unlikely(rest_of(f) != first)) {
            latest = tlb_later(latest, f->stamp);
            marks &= f->position;
        }
        f->word = given.word;
        __builtin_memcpy(&f->owner, &rest, sizeof(rest));
    }
    *clean = marks & FRAME_CLEAN;
    if (!*clean)
        tlb_filter(latest); /* a TLB may still hold mappings that the last owner had */
    return MFN(mfn);
}

mfn_t frame_alloc(domid_t owner, unsigned int order, unsigned int max_bits, unsigned int node)
{
    bool clean;

    return alloc(owner, order, max_bits, &clean);
}

static inline bool all_zeros(const u64 *at, u64 size)
{
    u64 any = 0;

    for (u64 i = 0; i < size / 8; i++)
        any |= at[i];
    return !any;
}

static __attribute__((noinline)) mfn_t alloc_clear(domid_t owner, unsigned int order, unsigned int max_bits)
{
    bool clean = true;
    mfn_t mfn = alloc(owner, order, max_bits, &clean);

    if (unlikely(!clean))
        scrub_frames(mfn, 1ull << order);
    ASSERT(mfn.n == MFN_INVALID.n || all_zeros(map_mfn(mfn), PAGE_SIZE << order));
    return mfn;
}

mfn_t frame_alloc_clear(domid_t owner, unsigned int order, unsigned int max_bits, unsigned int node)
{
    /* The usual one, a single clean frame that lies ready, without a call. */
    if (likely(!(order | max_bits)) && likely(spin_trylock(&buddy_lock))) {
        u64 mfn = likely(nr_singles) ? single[nr_singles - 1] : 0;
        struct frame *f = &frame_table[mfn];
        bool clean = mfn && (f->position & FRAME_CLEAN);

        if (likely(clean)) {
            nr_singles--;
            nr_free_frames--;
            *f = (struct frame){.word = FRAME_ALLOCATED | FRAME_REF, .owner = owner};
        }
        spin_unlock(&buddy_lock);
        if (likely(clean)) {
            ASSERT(all_zeros(map_mfn(MFN(mfn)), PAGE_SIZE));
            return MFN(mfn);
        }
    }
    return alloc_clear(owner, order, max_bits);
}

/* Clear what is not clean of [mfn, end), free frames, by runs. */
static void clean(u64 mfn, u64 end)
{
    while (mfn < end) {
        u64 first = mfn;

        for (; mfn < end && !(frame_table[mfn].position & FRAME_CLEAN); mfn++)
            frame_table[mfn].position |= FRAME_CLEAN;
        if (mfn != first)
            scrub_frames(MFN(first), mfn - first);
        else
            mfn++;
    }
}

void frames_clean(u64 n)
{
    HOLD(&buddy_lock);

    /* Blocks are taken from the smallest list that has one: all that are below 2 MiB, since single frames come from them, and then enough. */
    for (unsigned int order = 0; order <= BUDDY_MAX_ORDER && n; order++)
        for (u64 mfn = first_free[order]; mfn && n; mfn = next_of(mfn)) {
            u64 frames = order < 9 ? 1ull << order : min_of(1ull << order, n);

            clean(mfn, mfn + frames);
            n -= order < 9 ? 0 : frames;
        }
}

void buddy_put(mfn_t mfn, unsigned int order)
{
    HOLD(&buddy_lock);

    put(mfn.n, order);
    nr_free_frames += 1ull << order;
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

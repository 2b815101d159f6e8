/* SPDX-License-Identifier: MIT */
/*
 * The allocator of frames (hv/x86/buddy.c): whoever asks for cleared memory gets zeros, whether it was known to be clean, had been
 * another's, or is made of both; and no frame is lost or given twice.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>

#include "machine.h"
#include "x86/mm.h"
#include "x86/pv/typing.h"

#define FRAMES 4096
#define BLOCKS 64

static void start(void)
{
    host_machine_start(FRAMES, 1, "null");
}

TestSuite(buddy, .init = start, .fini = host_machine_stop);

static bool zeros(mfn_t mfn, u64 frames)
{
    const u64 *at = map_mfn(mfn);

    for (u64 i = 0; i < frames * (PAGE_SIZE / 8); i++)
        if (at[i])
            return false;
    return true;
}

static u64 nr_clean(void)
{
    u64 n = 0;

    for (u64 i = 0; i < FRAMES; i++)
        n += frame_table[i].owner == DOMID_INVALID && (frame_table[i].position & FRAME_CLEAN);
    return n;
}

Test(buddy, clean_frames_are_known_until_they_are_given_away)
{
    mfn_t mfn;

    cr_assert_eq(nr_clean(), 0);
    frames_clean(1024);
    cr_assert_geq(nr_clean(), 1024);
    cr_assert_lt(nr_clean(), nr_free_frames);
    frames_clean(FRAMES);
    cr_assert_eq(nr_clean(), nr_free_frames);
    mfn = frame_alloc_clear(1, 9, 0, 0);
    cr_assert_eq(nr_clean(), nr_free_frames);
    cr_assert(zeros(mfn, 512));
    frame_free(mfn, 9);
    cr_assert_eq(nr_clean(), nr_free_frames - 512, "what was somebody's is not clean");
}

Test(buddy, a_clean_frame_is_not_cleared_again_and_a_write_to_it_is_seen, .signal = SIGABRT)
{
    frames_clean(FRAMES);
    for (u64 i = 1; i < FRAMES; i++)
        if (frame_table[i].owner == DOMID_INVALID)
            *(u64 *)map_mfn(MFN(i)) = 1; /* as a stale TLB entry would let a guest */
    (void)frame_alloc_clear(1, 0, 0, 0);
}

Test(buddy, what_was_written_and_freed_comes_back_clear)
{
    struct { mfn_t mfn; unsigned int order; } block[BLOCKS] = {0};
    unsigned int seed = 1;
    u64 all = nr_free_frames, given = 0;

    for (unsigned int i = 0; i < 20000; i++) {
        unsigned int k = rand_r(&seed) % BLOCKS;

        if (i % 500 == 0)
            frames_clean(rand_r(&seed) % FRAMES);
        if (block[k].mfn.n) {
            for (u64 f = 0; f < 1ull << block[k].order; f++)
                cr_assert_eq(frame_table[block[k].mfn.n + f].owner, 1 + k);
            if (k % 2) /* in one piece, or frame by frame from behind */
                frame_free(block[k].mfn, block[k].order);
            else
                for (u64 f = 1ull << block[k].order; f--;)
                    frame_free(MFN(block[k].mfn.n + f), 0);
            given -= 1ull << block[k].order;
            block[k].mfn.n = 0;
            continue;
        }
        block[k].order = rand_r(&seed) % 4 ? 0 : rand_r(&seed) % 9;
        block[k].mfn = i % 3 ? frame_alloc_clear(1 + k, block[k].order, 0, 0) : frame_alloc(1 + k, block[k].order, i % 2 ? 23 : 0, 0);
        if (block[k].mfn.n == MFN_INVALID.n) {
            block[k].mfn.n = 0;
            continue;
        }
        if (i % 3)
            cr_assert(zeros(block[k].mfn, 1ull << block[k].order));
        else if (i % 2)
            cr_assert_leq(block[k].mfn.n + (1ull << block[k].order), 1ull << (23 - PAGE_SHIFT));
        memset(map_mfn(block[k].mfn), 0xa5, PAGE_SIZE << block[k].order);
        given += 1ull << block[k].order;
        cr_assert_eq(nr_free_frames + given, all);
    }
}

Test(buddy, single_frames_do_not_keep_a_block_apart)
{
    static mfn_t one[FRAMES];
    u64 n = 0, large = 0;
    mfn_t mfn;

    while ((mfn = frame_alloc(1, 0, 0, 0)).n != MFN_INVALID.n)
        one[n++] = mfn;
    cr_assert_eq(nr_free_frames, 0, "all can be had one by one");
    while (n)
        frame_free(one[--n], 0);
    (void)frame_alloc(1, 0, 0, 0); /* its neighbours wait for the next */
    while (frame_alloc(1, 9, 0, 0).n != MFN_INVALID.n)
        large++;
    cr_assert_geq(large, FRAMES / 512 - 2);
}

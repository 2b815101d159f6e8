/* SPDX-License-Identifier: MIT */
/*
 * Frames as tests and attacks need them: tables of a level, and the proof that a frame has no count
 * left on it.
 */
#ifndef MICRO_FRAMES_H
#define MICRO_FRAMES_H

#include "../kernel/hypercall.h"
#include "../kernel/micro.h"

/** A chain of tables without any mapping in it, all read-only, none pinned: t[0] is the L1, t[3]
 * the L4. */
struct table_tree {
    uint64_t *t[4];
};

/** Build the tree; t[level - 1][0] points one level down, down to `leaf` in the L1's slot 0 (0 =
 * empty). */
struct table_tree tree_build(uint64_t leaf);
/** Give the tree's pages back; fails the test when one of them cannot become writable again. */
void tree_free(struct table_tree *tree);

/** An empty page that is read-only, ready to be pinned. */
uint64_t *table_alloc(void);
void table_free(uint64_t *table);

/**
 * Fail the test unless the pool page is free of any count: it can be pinned as an L1, unpinned, and
 * written again. What an attack must leave behind.
 */
void expect_frame_clean(void *page, const char *what);

/**
 * Attack: put `entry` into an L1 (the window's slot 0) in each way there is (update_va_mapping,
 * mmu_update, a trapped write), and fail the test unless each is refused with `err` and the slot
 * stays empty.
 */
void expect_l1_refused(uint64_t entry, long err, const char *what);

/** mmuext_op pin of a level (1..4), and unpin. */
long pin(int level, const void *table);
long unpin(const void *table);

#define ENTRY_OF(page, bits) (mfn_of(page) << PAGE_SHIFT | (bits))

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Priority queue whose links lie inside the elements (a pairing heap), so that an insertion cannot
 * fail.
 *
 * Smallest key first; of equal keys the one inserted first, so the order never depends on
 * addresses. Insert is O(1); removing the first or any element is O(log n) amortized (Fredman,
 * Sedgewick, Sleator, Tarjan: The pairing heap, 1986). Used by timers (key: deadline) and by the
 * credit policy (key: virtual time). Takes no lock: the caller holds one.
 */
#ifndef PARANGON_PHEAP_H
#define PARANGON_PHEAP_H

#include "types.h"

struct pheap_node {
    u64 key;
    u64 seq;                         /* order of insertion, set by pheap_insert() */
    struct pheap_node *child;        /* first of the children */
    struct pheap_node *next, *prev;  /* siblings; prev of a first child is the parent */
};

struct pheap {
    struct pheap_node *root;
    u64 next_seq;
};

/** Insert n with n->key set by the caller; n is in no heap. */
void pheap_insert(struct pheap *h, struct pheap_node *n);
/** Insert n again with another key, in the place among equals that its first insertion gave it. */
void pheap_reinsert(struct pheap *h, struct pheap_node *n);
/** Take n, which is in h, out of it. */
void pheap_remove(struct pheap *h, struct pheap_node *n);

/** Take the first out of h, which has one, and insert n as pheap_insert() does. */
void pheap_replace_first(struct pheap *h, struct pheap_node *n);

/** The element with the smallest key, or NULL; it stays in the heap. */
static inline struct pheap_node *pheap_first(const struct pheap *h)
{
    return h->root;
}

#endif

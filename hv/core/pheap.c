/* SPDX-License-Identifier: MIT */
/*
 * Pairing heap: see pheap.h. Every loop is over the children of one node; nothing recurses.
 */
#include "pheap.h"

static bool before(const struct pheap_node *a, const struct pheap_node *b)
{
    return a->key < b->key || (a->key == b->key && a->seq < b->seq);
}

/* One tree of two, either of which may be NULL; roots have no siblings. */
static struct pheap_node *merge(struct pheap_node *a, struct pheap_node *b)
{
    struct pheap_node *top = a, *below = b;

    if (!a || !b)
        return a ? a : b;
    if (before(b, a)) {
        top = b;
        below = a;
    }
    below->next = top->child;
    if (below->next)
        below->next->prev = below;
    below->prev = top;
    top->child = below;
    return top;
}

/*
 * One tree of a list of siblings: merge them in pairs from the left, then the pairs from the right.
 */
static struct pheap_node *merge_siblings(struct pheap_node *n)
{
    struct pheap_node *pairs = NULL, *root = NULL;

    while (n) {
        struct pheap_node *a = n, *b = n->next;

        n = b ? b->next : NULL;
        a->next = a->prev = NULL;
        if (b)
            b->next = b->prev = NULL;
        a = merge(a, b);
        a->next = pairs;
        pairs = a;
    }
    while (pairs) {
        struct pheap_node *next = pairs->next;

        pairs->next = NULL;
        root = merge(root, pairs);
        pairs = next;
    }
    return root;
}

void pheap_reinsert(struct pheap *h, struct pheap_node *n)
{
    n->child = n->next = n->prev = NULL;
    h->root = merge(h->root, n);
}

void pheap_insert(struct pheap *h, struct pheap_node *n)
{
    n->seq = h->next_seq++;
    pheap_reinsert(h, n);
}

void pheap_remove(struct pheap *h, struct pheap_node *n)
{
    if (n == h->root) {
        h->root = merge_siblings(n->child);
    } else {
        if (n->prev->child == n)
            n->prev->child = n->next;
        else
            n->prev->next = n->next;
        if (n->next)
            n->next->prev = n->prev;
        h->root = merge(h->root, merge_siblings(n->child));
    }
    n->child = n->next = n->prev = NULL;
}

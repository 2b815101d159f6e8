/* SPDX-License-Identifier: MIT */
/*
 * Pairing heap: see pheap.h. Every loop is over the children of one node; nothing recurses.
 */
#include "pheap.h"

static bool before(const struct pheap_node *a, const struct pheap_node *b)
{
    return a->key < b->key || (a->key == b->key && a->seq < b->seq);
}

/* b comes below a, as the first child. */
static inline struct pheap_node *below(struct pheap_node *a, struct pheap_node *b)
{
    b->next = a->child;
    if (b->next)
        b->next->prev = b;
    b->prev = a;
    a->child = b;
    return a;
}

/* One tree of two; their siblings are forgotten. */
static inline struct pheap_node *link(struct pheap_node *a, struct pheap_node *b)
{
    return before(b, a) ? below(b, a) : below(a, b);
}

/*
 * One tree of a list of siblings: link them in pairs from the left, then the pairs from the right.
 */
static struct pheap_node *merge_siblings(struct pheap_node *n)
{
    struct pheap_node *root = NULL;

    while (n) {
        struct pheap_node *a = n, *b = a->next;

        n = NULL;
        if (b) {
            n = b->next;
            a = link(a, b);
        }
        a->next = root;
        root = a;
    }
    if (!root)
        return NULL;
    for (n = root->next; n;) {
        struct pheap_node *next = n->next;

        root = link(root, n);
        n = next;
    }
    root->next = root->prev = NULL;
    return root;
}

void pheap_reinsert(struct pheap *h, struct pheap_node *n)
{
    n->child = n->next = n->prev = NULL;
    h->root = h->root ? link(h->root, n) : n;
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
        if (n->child)
            h->root = link(h->root, merge_siblings(n->child));
    }
    n->child = n->next = n->prev = NULL;
}

void pheap_replace_first(struct pheap *h, struct pheap_node *n)
{
    struct pheap_node *first = h->root;

    n->child = n->prev = NULL;
    n->next = first->child; /* one of its children: they become one tree */
    n->seq = h->next_seq++;
    first->child = NULL;
    h->root = n->next ? merge_siblings(n) : n;
}

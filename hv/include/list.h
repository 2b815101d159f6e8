/* SPDX-License-Identifier: MIT */
/*
 * Doubly linked circular lists, the links inside the elements. Callers hold whatever lock guards the list.
 */
#ifndef PARANGON_LIST_H
#define PARANGON_LIST_H

#include "types.h"

struct list {
    struct list *next, *prev;
};

#define LIST_INIT(name) {&(name), &(name)}

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

/** Insert node before position: before the head means at the end of the list. */
static inline void list_add_before(struct list *pos, struct list *node)
{
    struct list *prev = pos->prev;

    node->prev = prev;
    node->next = pos;
    prev->next = pos->prev = node;
}

static inline void list_add_tail(struct list *head, struct list *node)
{
    list_add_before(head, node);
}

static inline void list_add_head(struct list *head, struct list *node)
{
    list_add_before(head->next, node);
}

/** Remove node; it is left empty, so removing it again does nothing and list_empty() on it tells. */
static inline void list_del(struct list *node)
{
    struct list *prev = node->prev, *next = node->next;

    prev->next = next;
    next->prev = prev;
    list_init(node);
}

#define list_entry(p, t, m)        container_of(p, t, m)
#define list_first(head, t, m)     list_entry((head)->next, t, m)
#define list_for_each(pos, head)   for (struct list *pos = (head)->next; pos != (head); pos = pos->next)
#define list_for_each_safe(pos, head)                                                              \
    for (struct list *pos = (head)->next, *pos##_next = pos->next; pos != (head);                  \
         pos = pos##_next, pos##_next = pos->next)

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The simulator's events: a heap of a fixed set of entries, each with the time of its next event.
 *
 * Every pcpu, vCPU and stream of arrivals has one entry for life, so that no event allocates. Four children a node: the tree is
 * shallow, and a node's children lie in one cache line. Of equal times the lower number comes first: the order never depends on
 * addresses or on history.
 */
#ifndef PARANGON_SIM_HEAP_H
#define PARANGON_SIM_HEAP_H

#include <stdbool.h>
#include <stdint.h>

#define SIM_NEVER UINT64_MAX

struct sim_heap {
    struct sim_heap_node {
        uint64_t time;
        uint32_t id;
    } *node;
    uint32_t *place; /* by id: its index in node[], or UINT32_MAX where it has no event */
    uint32_t nr;
};

static inline bool sim_heap_before(const struct sim_heap_node *a, const struct sim_heap_node *b)
{
    return a->time != b->time ? a->time < b->time : a->id < b->id;
}

static inline void sim_heap_up(struct sim_heap *h, uint32_t i, struct sim_heap_node n)
{
    while (i) {
        uint32_t parent = (i - 1) / 4;

        if (!sim_heap_before(&n, &h->node[parent]))
            break;
        h->node[i] = h->node[parent];
        h->place[h->node[i].id] = i;
        i = parent;
    }
    h->node[i] = n;
    h->place[n.id] = i;
}

static inline void sim_heap_down(struct sim_heap *h, uint32_t i, struct sim_heap_node n)
{
    for (;;) {
        uint32_t least = 4 * i + 1, end = least + 4 < h->nr ? least + 4 : h->nr;

        if (least >= h->nr)
            break;
        for (uint32_t child = least + 1; child < end; child++)
            if (sim_heap_before(&h->node[child], &h->node[least]))
                least = child;
        if (!sim_heap_before(&h->node[least], &n))
            break;
        h->node[i] = h->node[least];
        h->place[h->node[i].id] = i;
        i = least;
    }
    h->node[i] = n;
    h->place[n.id] = i;
}

/** The next event of id is at `time` (SIM_NEVER: it has none). O(log n). */
static inline void sim_heap_set(struct sim_heap *h, uint32_t id, uint64_t time)
{
    uint32_t i = h->place[id];
    struct sim_heap_node n = {time, id}, last;

    if (i == UINT32_MAX) {
        if (time != SIM_NEVER)
            sim_heap_up(h, h->nr++, n);
        return;
    }
    if (h->node[i].time == time)
        return;
    if (time != SIM_NEVER) {
        if (time < h->node[i].time)
            sim_heap_up(h, i, n);
        else
            sim_heap_down(h, i, n);
        return;
    }
    h->place[id] = UINT32_MAX;
    last = h->node[--h->nr];
    if (i == h->nr)
        return;
    if (i && sim_heap_before(&last, &h->node[(i - 1) / 4]))
        sim_heap_up(h, i, last);
    else
        sim_heap_down(h, i, last);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The simulator's events: a tournament over a fixed set of entries, each with the time of its next event.
 *
 * Every pcpu, vCPU and stream of arrivals has one entry for life, so that no event allocates or moves. The tree is complete: the
 * entries are its leaves, in the order of their numbers, and each inner node holds the earlier of its two children, which lie side by
 * side. A setting plays the matches from its leaf upwards again and stops where the winner stays the same: mostly after one or two,
 * since most events are far off; never more than log2 of the entries, each without a branch on the times, and against one node that
 * was not just written.
 * Of equal times the lower number comes first: the order never depends on addresses or on history.
 */
#ifndef PARANGON_SIM_EVENTS_H
#define PARANGON_SIM_EVENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define SIM_NEVER UINT64_MAX

struct sim_events {
    struct sim_event {
        uint64_t time; /* SIM_NEVER: it has no event */
        uint32_t id;
    } *node;          /* the children of i are 2i and 2i + 1; [1] is the earliest of all; [leaves + id] is an entry */
    uint32_t leaves;  /* a power of two */
};

/** Room for this many entries, none of which has an event. @return 0; -1: no memory */
static inline int sim_events_init(struct sim_events *e, uint32_t entries)
{
    for (e->leaves = 2; e->leaves < entries; e->leaves *= 2)
        ;
    e->node = aligned_alloc(64, 2 * (size_t)e->leaves * sizeof *e->node);
    for (uint32_t i = 2 * e->leaves; e->node && --i;)
        e->node[i] = i < e->leaves ? e->node[2 * i] : (struct sim_event){SIM_NEVER, i - e->leaves};
    return e->node ? 0 : -1;
}

/** The earliest of all; its time is SIM_NEVER where none has an event. */
static inline struct sim_event sim_events_first(const struct sim_events *e)
{
    return e->node[1];
}

/** The next event of id is at `time` (SIM_NEVER: it has none). O(log n). */
static inline void sim_events_set(struct sim_events *e, uint32_t id, uint64_t time)
{
    struct sim_event *node = e->node, winner = {time, id};
    uint32_t i = e->leaves + id;

    if (node[i].time == time)
        return;
    node[i].time = time;
    while (i > 1) {
        struct sim_event other = node[i ^ 1];
        bool loses = (other.time < winner.time) | ((other.time == winner.time) & i);

        winner.time = loses ? other.time : winner.time;
        winner.id = loses ? other.id : winner.id;
        i /= 2;
        if (node[i].time == winner.time && node[i].id == winner.id)
            return;
        node[i] = winner;
    }
}

#endif

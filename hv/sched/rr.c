/* SPDX-License-Identifier: MIT */
/*
 * Scheduling policy "rr": every runnable unit in turn, one slice each.
 *
 * Why it exists: the smallest policy that is still fair, a baseline for experiments and the first
 * one to read.
 * Locks: all operations run under the runqueue's lock; takes none itself.
 * Does not: know weights, caps or topology; let a woken unit preempt; move a unit to another pcpu
 * (see credit.c).
 */
#include "list.h"
#include "sched.h"

#define RR_SLICE MILLISECS(10)

struct rr_queue {
    struct list waiting;     /* runnable units but the one that runs, next first */
};

struct rr_unit {
    struct list node;
    struct sched_unit *unit;
};

static struct rr_queue *rr_queue(struct runqueue *q)
{
    return q->priv;
}

static struct rr_unit *rr_unit(struct sched_unit *u)
{
    return u->priv;
}

static void rr_queue_init(struct runqueue *q)
{
    list_init(&rr_queue(q)->waiting);
}

static void rr_unit_init(struct sched_unit *u)
{
    list_init(&rr_unit(u)->node);
    rr_unit(u)->unit = u;
}

/* The one that runs has had no limit if it was alone: its slice counts from when it was picked. */
static struct sched_wake_result rr_wake(struct runqueue *q, struct sched_unit *u, ns_t now)
{
    list_add_tail(&rr_queue(q)->waiting, &rr_unit(u)->node);
    return (struct sched_wake_result){.preempt = !q->curr, .decide_by = q->curr ? q->picked_at + RR_SLICE : NS_NEVER};
}

static void rr_sleep(struct runqueue *q, struct sched_unit *u, ns_t now)
{
    list_del(&rr_unit(u)->node);
}

/**
 * Choose what runs next on this pcpu: the longest waiting; what ran goes to the end. O(1).
 */
static struct sched_choice rr_pick(struct runqueue *q, struct sched_unit *prev, ns_t now)
{
    struct list *waiting = &rr_queue(q)->waiting;
    struct rr_unit *next;
    bool only;

    if (prev)
        list_add_tail(waiting, &rr_unit(prev)->node);
    if (list_empty(waiting))
        return (struct sched_choice){.slice = NS_NEVER, .why = SCHED_IDLE};

    next = list_first(waiting, struct rr_unit, node);
    list_del(&next->node);
    only = list_empty(waiting);
    return (struct sched_choice){
        .unit = next->unit, .slice = only ? NS_NEVER : RR_SLICE, .why = only ? SCHED_ONLY : SCHED_TURN};
}

SCHED_POLICY(rr, .doc = "every runnable vCPU in turn, 10 ms each", .queue_size = sizeof(struct rr_queue),
             .unit_size = sizeof(struct rr_unit), .queue_init = rr_queue_init, .unit_init = rr_unit_init,
             .wake = rr_wake, .sleep = rr_sleep, .pick = rr_pick);

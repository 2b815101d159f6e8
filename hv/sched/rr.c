/* SPDX-License-Identifier: MIT */
/*
 * Scheduling policy "rr": every runnable unit in turn, one slice each.
 *
 * Why it exists: the smallest policy that is still fair among the units of a pcpu, a baseline for
 * experiments and the first one to read. A unit wakes on an idle pcpu where there is one; a pcpu
 * that would idle takes over the longest waiting unit of another.
 * Locks: all operations run under the runqueue's lock; takes none itself.
 * Does not: know weights, caps or cores; let a woken unit preempt; even out runqueues of which none
 * is empty (see credit.c).
 */
#include "policy.h"

#define RR_SLICE MILLISECS(10)

struct rr_queue {
    struct list waiting;     /* runnable units but those that run, next first */
};

struct rr_unit {
    struct list node;
    struct sched_unit *unit;
};

static struct list *rr_waiting(struct runqueue *q)
{
    return &((struct rr_queue *)q->priv)->waiting;
}

static struct rr_unit *rr_unit(struct sched_unit *u)
{
    return u->priv;
}

static void rr_queue_init(struct runqueue *q, ns_t now)
{
    list_init(rr_waiting(q));
}

static void rr_unit_init(struct sched_unit *u)
{
    list_init(&rr_unit(u)->node);
    rr_unit(u)->unit = u;
}

/* The one that runs has had no limit if it was alone: its slice counts from when it was picked. */
static struct sched_wake_result rr_wake(struct runqueue *q, struct sched_unit *u, ns_t now)
{
    const struct sched_pcpu *p = sched_pcpu(u->cpu);

    list_add_tail(rr_waiting(q), &rr_unit(u)->node);
    return (struct sched_wake_result){.preempt = !p->curr, .cpu = u->cpu,
                                      .decide_by = p->curr ? p->picked_at + sched_slice(q->pool, RR_SLICE) : NS_NEVER};
}

static void rr_sleep(struct runqueue *q, struct sched_unit *u, ns_t now)
{
    list_del(&rr_unit(u)->node);
}

/* The longest waiting that may run on p. */
static struct sched_unit *rr_first(struct runqueue *q, const struct sched_pcpu *p)
{
    list_for_each(pos, rr_waiting(q)) {
        struct sched_unit *u = list_entry(pos, struct rr_unit, node)->unit;

        if (sched_allowed(u, p->cpu)) {
            list_del(&rr_unit(u)->node);
            return u;
        }
    }
    return NULL;
}

static struct sched_unit *rr_steal(struct runqueue *q, struct sched_pcpu *p, ns_t now)
{
    return rr_first(q, p);
}

/**
 * Choose what runs next on this pcpu: the longest waiting; what ran goes to the end. O(1) where
 * units may run anywhere.
 */
static struct sched_choice rr_pick(struct sched_pcpu *p, struct sched_unit *prev, ns_t now)
{
    struct sched_unit *next;
    bool only;

    if (prev)
        list_add_tail(rr_waiting(p->q), &rr_unit(prev)->node);
    next = rr_first(p->q, p);
    if (!next)
        return (struct sched_choice){.slice = NS_NEVER, .why = SCHED_IDLE};

    only = list_empty(rr_waiting(p->q));
    return (struct sched_choice){.unit = next, .slice = only ? NS_NEVER : sched_slice(p->q->pool, RR_SLICE),
                                 .why = only ? SCHED_ONLY : SCHED_TURN};
}

SCHED_POLICY(rr, .doc = "every runnable vCPU in turn, 10 ms each", .span = SPAN_CPU, .queue_size = sizeof(struct rr_queue),
             .unit_size = sizeof(struct rr_unit), .queue_init = rr_queue_init, .unit_init = rr_unit_init,
             .wake = rr_wake, .sleep = rr_sleep, .steal = rr_steal, .pick = rr_pick);

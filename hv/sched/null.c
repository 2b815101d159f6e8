/* SPDX-License-Identifier: MIT */
/*
 * Scheduling policy "null": each unit has a pcpu of its own; nothing is ever shared or limited.
 *
 * Why it exists: the floor of what scheduling can cost, for as many units as there are pcpus: a
 * wake-up and a pick are a few instructions, and no timer is ever set. A unit takes its pcpu when
 * it first wakes there and keeps it until it is destroyed, asleep or not. Units that come when the
 * pcpu is taken wait, in the order of coming, for its owner's end: they do not run before.
 * Locks: all operations run under the runqueue's lock; takes none itself.
 * Does not: know weights or caps; move a waiting unit to a pcpu that became free.
 */
#include "list.h"
#include "sched.h"

struct null_queue {
    struct sched_unit *owner;
    struct list waiting;
};

struct null_unit {
    struct list node;            /* among the waiting while runnable without a pcpu */
    struct sched_unit *unit;
};

static struct null_queue *null_queue(struct runqueue *q)
{
    return q->priv;
}

static struct null_unit *null_unit(struct sched_unit *u)
{
    return u->priv;
}

static void null_queue_init(struct runqueue *q)
{
    list_init(&null_queue(q)->waiting);
}

static void null_unit_init(struct sched_unit *u)
{
    list_init(&null_unit(u)->node);
    null_unit(u)->unit = u;
}

static struct sched_wake_result null_wake(struct runqueue *q, struct sched_unit *u, ns_t now)
{
    struct null_queue *n = null_queue(q);

    if (!n->owner)
        n->owner = u;
    if (n->owner != u)
        list_add_tail(&n->waiting, &null_unit(u)->node);
    return (struct sched_wake_result){.preempt = n->owner == u, .decide_by = NS_NEVER};
}

static void null_sleep(struct runqueue *q, struct sched_unit *u, ns_t now)
{
    list_del(&null_unit(u)->node);
}

static void null_unit_fini(struct runqueue *q, struct sched_unit *u)
{
    if (null_queue(q)->owner == u)
        null_queue(q)->owner = NULL;
}

static struct sched_choice null_pick(struct runqueue *q, struct sched_unit *prev, ns_t now)
{
    struct null_queue *n = null_queue(q);

    if (!n->owner && !list_empty(&n->waiting)) {
        n->owner = list_first(&n->waiting, struct null_unit, node)->unit;
        list_del(&null_unit(n->owner)->node);
    }
    if (!n->owner || !n->owner->runnable)
        return (struct sched_choice){.slice = NS_NEVER, .why = SCHED_IDLE};
    return (struct sched_choice){.unit = n->owner, .slice = NS_NEVER, .why = SCHED_ONLY};
}

SCHED_POLICY(null, .doc = "each vCPU has a processor of its own", .queue_size = sizeof(struct null_queue),
             .unit_size = sizeof(struct null_unit), .queue_init = null_queue_init, .unit_init = null_unit_init,
             .unit_fini = null_unit_fini, .wake = null_wake, .sleep = null_sleep, .pick = null_pick);

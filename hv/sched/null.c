/* SPDX-License-Identifier: MIT */
/*
 * Scheduling policy "null": each unit has a pcpu of its own; nothing is ever shared or limited.
 *
 * Why it exists: the floor of what scheduling can cost, for as many units as there are pcpus: a
 * wake-up and a pick are a few instructions, and no timer is ever set. A unit takes a pcpu without
 * an owner when it first wakes, and keeps it until it is destroyed or may not run there any more,
 * asleep or not. Units that come when all are taken wait, in the order of coming, for the end of an
 * owner: they do not run before.
 * Locks: all operations run under the runqueue's lock; takes none itself.
 * Does not: know weights or caps; share a runqueue between pcpus; take a pcpu from a sleeper.
 */
#include "policy.h"

struct null_queue {
    struct sched_unit *owner;    /* hint for other runqueues' wake-ups */
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

static void null_queue_init(struct runqueue *q, ns_t now)
{
    list_init(&null_queue(q)->waiting);
}

static void null_unit_init(struct sched_unit *u)
{
    list_init(&null_unit(u)->node);
    null_unit(u)->unit = u;
}

static void null_unit_fini(struct runqueue *q, struct sched_unit *u)
{
    if (null_queue(q)->owner == u) {
        null_queue(q)->owner = NULL;
        sched_kick(q, q->first); /* for who waits */
    }
}

/* Its own pcpu, else the next without an owner. */
static u16 null_place(struct sched_unit *u, ns_t now)
{
    struct null_queue *mine = null_queue(sched_queue_of(u));
    struct cpumask left = u->allowed;

    if (cpumask_test(&u->allowed, u->cpu) && (!mine->owner || mine->owner == u))
        return u->cpu;
    if (mine->owner == u)
        mine->owner = NULL;
    for (unsigned int cpu = u->cpu; (cpu = cpumask_cycle_of(&left, &left, cpu)) < NR_PCPUS; cpumask_clear(&left, cpu)) {
        if (!READ_ONCE(null_queue(sched_pcpu(cpu)->q)->owner))
            return cpu;
    }
    return cpumask_test(&u->allowed, u->cpu) ? u->cpu : cpumask_first(&u->allowed);
}

static struct sched_wake_result null_wake(struct runqueue *q, struct sched_unit *u, ns_t now)
{
    struct null_queue *n = null_queue(q);

    if (!n->owner)
        n->owner = u;
    if (n->owner != u)
        list_add_tail(&n->waiting, &null_unit(u)->node);
    return (struct sched_wake_result){.preempt = n->owner == u, .cpu = u->cpu, .decide_by = NS_NEVER};
}

static void null_sleep(struct runqueue *q, struct sched_unit *u, ns_t now)
{
    list_del(&null_unit(u)->node);
}

/* A pcpu without an owner takes over who waits elsewhere. */
static struct sched_unit *null_steal(struct runqueue *q, struct sched_pcpu *p, ns_t now)
{
    if (null_queue(p->q)->owner)
        return NULL;
    list_for_each(pos, &null_queue(q)->waiting) {
        struct sched_unit *u = list_entry(pos, struct null_unit, node)->unit;

        if (sched_allowed(u, p->cpu)) {
            list_del(pos);
            return u;
        }
    }
    return NULL;
}

static struct sched_choice null_pick(struct sched_pcpu *p, struct sched_unit *prev, ns_t now)
{
    struct null_queue *n = null_queue(p->q);

    if (n->owner && !sched_allowed(n->owner, p->cpu)) /* it goes elsewhere */
        n->owner = NULL;
    if (!n->owner && !list_empty(&n->waiting)) {
        n->owner = list_first(&n->waiting, struct null_unit, node)->unit;
        list_del(&null_unit(n->owner)->node);
    }
    if (!n->owner || !n->owner->runnable)
        return (struct sched_choice){.slice = NS_NEVER, .why = SCHED_IDLE};
    return (struct sched_choice){.unit = n->owner, .slice = NS_NEVER, .why = SCHED_ONLY};
}

SCHED_POLICY(null, .doc = "each vCPU has a processor of its own", .span = SPAN_CPU, .queue_size = sizeof(struct null_queue),
             .unit_size = sizeof(struct null_unit), .queue_init = null_queue_init, .unit_init = null_unit_init,
             .unit_fini = null_unit_fini, .place = null_place, .wake = null_wake, .sleep = null_sleep, .steal = null_steal,
             .pick = null_pick);

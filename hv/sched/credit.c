/* SPDX-License-Identifier: MIT */
/*
 * Scheduling policy "credit": processor time in proportion to weights, limited by caps, woken units
 * first.
 *
 * A domain earns credit at the rate that its weight gives it among the domains which compete at
 * that moment, and pays for the time that it uses: credit is what a fluid scheduler would have
 * given it, less what it got. Both are kept as virtual times: the pool's V runs at (processors /
 * sum of competing weights), a domain's vt at (its use / its weight), so credit = weight * (V -
 * vt). A domain's vt stands still while it waits, hence the order of the waiting does not change, a
 * heap holds it, and no periodic tick has to hand out credit: time is accounted when something
 * happens, exactly as used.
 *
 *   - UNDER is credit left (vt <= V), OVER is none. Next is the smallest vt: all UNDER before any
 *     OVER.
 *   - A slice is 30 ms; a unit that was preempted within it keeps its place and the rest of the
 *     slice. No limit when alone.
 *   - BOOST: a unit that wakes UNDER goes before all others, for at most 10 ms, in order of waking.
 *   - Sleeping earns no more than one slice of credit (in fluid time); debt is kept, and paid off
 *     while asleep.
 *   - CAP: in each period of 30 ms a domain may use cap % of one processor's time. It is parked
 *     when that is used up, until the period ends; what it overran (latency of the timer) is taken
 *     off the next one. Unused time is not carried over. A parked domain does not compete.
 *
 * Why actual time: with sampling at ticks, a unit that yields just before each tick is never
 * charged. Here it gains nothing.
 * Fairness: of n uncapped domains that always want to run, none is more than a slice ahead of the
 * fluid schedule, and none more than n * (its share) slices behind (the other n - 1 are ahead by a
 * slice at most, and V is their mean, by weight).
 * Weights belong to domains: all vCPUs of a domain share its credit and its cap.
 * Locks: runqueue lock by the framework; the pool's (struct credit_pool) inside it.
 * Does not: steal work from another pcpu's runqueue; know cores.
 */
#include "lib.h"
#include "list.h"
#include "core/pheap.h"
#include "sched.h"
#include "trace/trace.h"

#define SLICE        MILLISECS(30)
#define BOOST_SLICE  MILLISECS(10)
#define CAP_PERIOD   MILLISECS(30)
/* Less than this of a slice left is not worth a turn of its own. */
#define SLICE_LEAST  MICROSECS(500)
/* Less than this of a capped domain's time is not worth a turn. */
#define BUDGET_LEAST MICROSECS(10)
/*
 * Virtual time: 4,096 units are a nanosecond of a processor for weight 1. It starts away from 0 so
 * that a sleeper's credit does not wrap, and lasts 18 years with total weight 256, 26 days with
 * total weight 1.
 */
#define VT_SHIFT     12
#define VT_START     (1ull << 48)

struct credit_pool {
    struct spinlock lock;
    u64 vt;                  /* V */
    u64 rest;                /* remainder of its last division */
    ns_t updated;
    u64 weight;              /* sum over the domains that compete */
};

struct credit_domain {
    u64 vt;
    u64 rest;                /* remainder of its last division */
    u32 competing;           /* its units that are runnable and not parked */
    s64 budget;              /* capped: ns that it may still use in this period */
    u64 period;              /* the period (time / CAP_PERIOD) that budget is for */
};

struct credit_queue {
    struct pheap waiting;    /* by vt */
    struct list boosted;     /* in order of waking */
    struct list parked;      /* until the next period */
};

enum credit_place { NOWHERE, WAITING, BOOSTED, PARKED };

struct credit_unit {
    struct pheap_node node;
    struct list link;        /* in boosted or parked */
    struct sched_unit *unit;
    u8 place;                /* enum credit_place */
    bool in_boost;           /* runs because it was boosted */
    ns_t left;               /* of the slice that it was in when preempted; 0: none, or used up */
    ns_t used;               /* since the slice began */
    u64 slice_vt;            /* its domain's vt when the slice began */
};

static struct credit_pool *pool_of(const struct sched_domain *dom)
{
    return dom->pool->priv;
}

static struct credit_domain *domain_of(const struct sched_unit *u)
{
    return u->dom->priv;
}

static struct credit_unit *unit_of(const struct sched_unit *u)
{
    return u->priv;
}

static struct credit_queue *queue_of(const struct runqueue *q)
{
    return q->priv;
}

/* ---- virtual time ---- */

static void advance(struct cpupool *pool, ns_t now)
{
    struct credit_pool *p = pool->priv;
    u64 weight = p->weight ? p->weight : SCHED_WEIGHT_NORMAL;
    u64 ticks;

    if (now <= p->updated)
        return;
    ticks = (((now - p->updated) * pool->nr_cpus) << VT_SHIFT) + p->rest;
    p->vt += ticks / weight;
    p->rest = ticks % weight;
    p->updated = now;
}

/* Credit in ns of processor time, as the trace shows it in microseconds. */
static s64 credit_us(const struct credit_pool *p, const struct credit_domain *d, u16 weight)
{
    return (((s64)(p->vt - d->vt) >> 10) * weight >> (VT_SHIFT - 10)) / 1000;
}

static bool under(const struct credit_pool *p, const struct credit_domain *d)
{
    return d->vt <= p->vt;
}

/* Credit saved while asleep or parked is worth a slice at most. */
static void limit_savings(const struct credit_pool *p, struct credit_domain *d, u16 weight)
{
    u64 least = p->vt - (SLICE << VT_SHIFT) / weight;

    if (d->vt < least)
        d->vt = least;
}

/*
 * One more, or one less, of the domain's units wants to run: its weight counts while any does. V is
 * up to date.
 */
static void compete(struct sched_unit *u)
{
    struct credit_pool *p = pool_of(u->dom);

    if (domain_of(u)->competing++ == 0) {
        limit_savings(p, domain_of(u), u->dom->weight);
        p->weight += u->dom->weight;
    }
}

static void stop_competing(struct sched_unit *u)
{
    if (--domain_of(u)->competing == 0)
        pool_of(u->dom)->weight -= u->dom->weight;
}

/* ---- caps ---- */

/*
 * Give a capped domain the time of the present period; of those that it missed, only debts count.
 */
static void refill(const struct sched_domain *dom, struct credit_domain *d, ns_t now)
{
    u64 period = now / CAP_PERIOD;
    s64 quota = (s64)dom->cap * (s64)(CAP_PERIOD / 100);
    u64 missed = period - d->period;

    if (!missed)
        return;
    d->period = period;
    if (missed > 1000)
        d->budget = quota;
    else
        d->budget = min_of(d->budget + (s64)missed * quota, quota);
}

static bool out_of_budget(const struct sched_unit *u, ns_t now)
{
    if (!u->dom->cap)
        return false;
    refill(u->dom, domain_of(u), now);
    return domain_of(u)->budget < (s64)BUDGET_LEAST;
}

static ns_t next_period(ns_t now)
{
    return (now / CAP_PERIOD + 1) * CAP_PERIOD;
}

/* ---- queues ---- */

/* Where a preempted unit has a slice left it keeps the place that it had when the slice began. */
static u64 key_of(const struct sched_unit *u)
{
    return unit_of(u)->left ? unit_of(u)->slice_vt : domain_of(u)->vt;
}

static void enqueue(struct credit_queue *q, struct sched_unit *u)
{
    struct credit_unit *c = unit_of(u);

    c->node.key = key_of(u);
    c->place = WAITING;
    pheap_insert(&q->waiting, &c->node);
}

static void enqueue_boosted(struct credit_queue *q, struct sched_unit *u)
{
    unit_of(u)->place = BOOSTED;
    list_add_tail(&q->boosted, &unit_of(u)->link);
}

static void park(struct credit_queue *q, struct sched_unit *u)
{
    unit_of(u)->place = PARKED;
    unit_of(u)->left = 0;
    list_add_tail(&q->parked, &unit_of(u)->link);
}

static void dequeue(struct credit_queue *q, struct sched_unit *u)
{
    struct credit_unit *c = unit_of(u);

    if (c->place == WAITING)
        pheap_remove(&q->waiting, &c->node);
    else if (c->place != NOWHERE)
        list_del(&c->link);
    c->place = NOWHERE;
}

/* A period has begun: the parked compete again. */
static void unpark(struct credit_queue *q, ns_t now)
{
    list_for_each_safe(pos, &q->parked) {
        struct sched_unit *u = list_entry(pos, struct credit_unit, link)->unit;

        if (out_of_budget(u, now))
            continue;
        dequeue(q, u);
        compete(u);
        enqueue(q, u);
    }
}

/*
 * The first unit that may run, taken out of the queue; those whose domain has used up its time are
 * parked on the way.
 */
static struct sched_unit *take_first(struct credit_queue *q, ns_t now)
{
    struct pheap_node *n;
    struct sched_unit *u;

    for (;;) {
        if (!list_empty(&q->boosted)) {
            u = list_first(&q->boosted, struct credit_unit, link)->unit;
            dequeue(q, u);
            unit_of(u)->in_boost = true;
        } else if ((n = pheap_first(&q->waiting))) {
            u = container_of(n, struct credit_unit, node)->unit;
            /*
             * Another unit of its domain ran meanwhile: it stands further back now, but before that
             * one.
             */
            if (n->key < key_of(u)) {
                pheap_remove(&q->waiting, n);
                n->key = key_of(u);
                pheap_reinsert(&q->waiting, n);
                continue;
            }
            dequeue(q, u);
            unit_of(u)->in_boost = false;
        } else {
            return NULL;
        }
        if (!out_of_budget(u, now))
            return u;
        stop_competing(u);
        park(q, u);
    }
}

/* ---- the operations ---- */

static void credit_pool_init(struct cpupool *pool, ns_t now)
{
    struct credit_pool *p = pool->priv;

    spin_lock_init(&p->lock, LOCK_POLICY);
    p->vt = VT_START;
    p->updated = now;
}

static void credit_queue_init(struct runqueue *q)
{
    list_init(&queue_of(q)->boosted);
    list_init(&queue_of(q)->parked);
}

static void credit_domain_init(struct sched_domain *dom, ns_t now)
{
    struct credit_domain *d = dom->priv;
    struct credit_pool *p = pool_of(dom);

    spin_lock(&p->lock);
    advance(dom->pool, now);
    d->vt = p->vt;
    spin_unlock(&p->lock);
    d->period = now / CAP_PERIOD;
    d->budget = (s64)dom->cap * (s64)(CAP_PERIOD / 100);
}

static void credit_unit_init(struct sched_unit *u)
{
    list_init(&unit_of(u)->link);
    unit_of(u)->unit = u;
}

/* Credit is kept in time: with another weight the same credit is another distance from V. */
static void credit_params(struct sched_domain *dom, u16 weight, u16 cap, ns_t now)
{
    struct credit_pool *p = pool_of(dom);
    struct credit_domain *d = dom->priv;

    spin_lock(&p->lock);
    advance(dom->pool, now);
    limit_savings(p, d, dom->weight);
    if (under(p, d))
        d->vt = p->vt - (p->vt - d->vt) * dom->weight / weight;
    else
        d->vt = p->vt + (d->vt - p->vt) * dom->weight / weight;
    if (d->competing)
        p->weight += (u64)weight - dom->weight;
    if (cap != dom->cap) {
        d->period = now / CAP_PERIOD;
        d->budget = (s64)cap * (s64)(CAP_PERIOD / 100);
    }
    TRACE_sched_credit(dom->domain->id, 0, (s32)credit_us(p, d, weight), weight, cap);
    spin_unlock(&p->lock);
}

static struct sched_wake_result credit_wake(struct runqueue *q, struct sched_unit *u, ns_t now)
{
    struct credit_queue *cq = queue_of(q);
    struct credit_pool *p = pool_of(u->dom);
    struct sched_wake_result r = {.decide_by = NS_NEVER};

    spin_lock(&p->lock);
    unit_of(u)->left = 0;
    advance(q->pool, now);
    if (out_of_budget(u, now)) {
        park(cq, u);
        r.decide_by = next_period(now);
        spin_unlock(&p->lock);
        return r;
    }
    compete(u);
    if (under(p, domain_of(u))) {
        enqueue_boosted(cq, u);
        r.preempt = !q->curr || !unit_of(q->curr)->in_boost;
    } else {
        enqueue(cq, u);
        r.preempt = !q->curr;
    }
    /* What runs had no limit if it was alone: its slice counts from when it was picked. */
    if (q->curr)
        r.decide_by = q->picked_at + (unit_of(q->curr)->in_boost ? BOOST_SLICE : SLICE);
    spin_unlock(&p->lock);
    return r;
}

static void credit_sleep(struct runqueue *q, struct sched_unit *u, ns_t now)
{
    struct credit_pool *p = pool_of(u->dom);

    spin_lock(&p->lock);
    advance(q->pool, now);
    if (unit_of(u)->place != PARKED)
        stop_competing(u);
    dequeue(queue_of(q), u);
    spin_unlock(&p->lock);
}

static void credit_charge(struct runqueue *q, struct sched_unit *u, ns_t ran, ns_t now)
{
    struct credit_pool *p = pool_of(u->dom);
    struct credit_domain *d = domain_of(u);
    u64 ticks;

    spin_lock(&p->lock);
    ticks = (ran << VT_SHIFT) + d->rest;
    d->vt += ticks / u->dom->weight;
    d->rest = ticks % u->dom->weight;
    unit_of(u)->used += ran;
    if (u->dom->cap)
        d->budget -= (s64)ran;
    TRACE_sched_tick(u->dom->domain->id, u->vcpu->id, (s32)credit_us(p, d, u->dom->weight));
    spin_unlock(&p->lock);
}

/*
 * What ran and still wants to: keeps its slice if it was preempted within it, else goes where its
 * use has brought it.
 */
static void requeue(struct credit_queue *q, struct sched_unit *u)
{
    struct credit_unit *c = unit_of(u);

    c->left = 0;
    if (!c->in_boost && !u->yielded && c->used + SLICE_LEAST <= SLICE)
        c->left = SLICE - c->used;
    enqueue(q, u);
}

/**
 * Choose what runs next on this pcpu: the boosted, then by virtual time. O(log n), and O(n) when
 * capped domains come back.
 */
static struct sched_choice credit_pick(struct runqueue *q, struct sched_unit *prev, ns_t now)
{
    struct credit_queue *cq = queue_of(q);
    struct credit_pool *p = q->pool->priv;
    struct sched_choice choice = {.slice = NS_NEVER, .why = SCHED_IDLE};
    struct sched_unit *u, *yielded = NULL;
    bool others;

    spin_lock(&p->lock);
    advance(q->pool, now);
    if (!list_empty(&cq->parked))
        unpark(cq, now);
    if (prev)
        requeue(cq, prev);

    u = take_first(cq, now);
    if (u && u == prev && u->yielded) { /* give way: the next one, whoever it is */
        yielded = u;
        u = take_first(cq, now);
        if (u)
            enqueue(cq, yielded);
        else
            u = yielded;
    }
    others = pheap_first(&cq->waiting) || !list_empty(&cq->boosted);
    if (u) {
        struct credit_unit *c = unit_of(u);
        ns_t slice = c->in_boost ? BOOST_SLICE : c->left ? c->left : SLICE;

        if (!c->left) {
            c->slice_vt = domain_of(u)->vt;
            c->used = 0;
        }
        c->left = 0;
        choice.unit = u;
        choice.why = c->in_boost ? SCHED_BOOST : !others ? SCHED_ONLY : under(p, domain_of(u)) ? SCHED_UNDER : SCHED_OVER;
        if (others)
            choice.slice = slice;
        if (u->dom->cap)
            choice.slice = min_of(choice.slice, min_of((ns_t)domain_of(u)->budget, next_period(now) - now));
    }
    if (!list_empty(&cq->parked))
        choice.slice = min_of(choice.slice, next_period(now) - now);
    spin_unlock(&p->lock);
    return choice;
}

SCHED_POLICY(credit, .doc = "shares by weight, limits by cap, woken vCPUs first",
             .pool_size = sizeof(struct credit_pool), .queue_size = sizeof(struct credit_queue),
             .domain_size = sizeof(struct credit_domain), .unit_size = sizeof(struct credit_unit),
             .pool_init = credit_pool_init, .queue_init = credit_queue_init, .domain_init = credit_domain_init,
             .unit_init = credit_unit_init, .params = credit_params, .wake = credit_wake, .sleep = credit_sleep,
             .charge = credit_charge, .pick = credit_pick);

/* SPDX-License-Identifier: MIT */
/*
 * V, and who shares, is full or lingers: the inner half of fair.c, which alone includes it. fair.h says what it is all about.
 *
 * Locks: the pool's is held everywhere.
 * Does not: know caps but as what a domain is worth; queue units, but that go_first() queues them anew.
 */
#ifndef PARANGON_SCHED_FAIR_CLOCK_H
#define PARANGON_SCHED_FAIR_CLOCK_H

#include "fair.h"

/* ---- virtual time ---- */

/* Weight or pcpus have changed. Without anybody that shares, V runs as the lightest of the full is served; and debts fade without these. */
static void recount(struct fair_pool *p)
{
    const struct pheap_node *n = pheap_first(&p->full);

    p->fluid_cpus = (u64)max_of(p->cpus, 1);
    p->fluid_weight = p->weight ? CPU_WORTH * p->weight : p->fluid_cpus * SCHED_WEIGHT_NORMAL;
    if (!p->weight && n) {
        p->fluid_cpus = container_of(n, struct fair_domain, node)->worth;
        p->fluid_weight = (u64)CPU_WORTH * container_of(n, struct fair_domain, node)->weight;
    }
    p->counts++;
}

/* V goes on as time does. */
static inline void go_on(struct fair_pool *p, ns_t now)
{
    u64 passed = now - p->updated, ticks = 0;

    p->updated = now;
    if (unlikely(passed >> 31)) { /* seconds without a decision, or years */
        ticks = passed / p->fluid_weight * (p->fluid_cpus << VT_SHIFT);
        passed %= p->fluid_weight;
    }
    passed = (passed * p->fluid_cpus << VT_SHIFT) + p->rest;
    ticks += passed / p->fluid_weight;
    p->rest = passed % p->fluid_weight;
    p->vt += ticks;
    p->fluid += ticks;
}

/* How far V goes in this time, which may lie in the past: then it is less than 0. */
static s64 vt_of(const struct fair_pool *p, s64 ns)
{
    return ns * (s64)p->fluid_cpus * (1 << VT_SHIFT) / (s64)p->fluid_weight;
}

/* Credit that a domain may save, asleep or by giving way, in V: worth a slice, and no more than 30 ms. */
static u64 savings(const struct fair_domain *d)
{
    return (min_of(sched_slice(d->dom->pool, SLICE), SLICE) << VT_SHIFT) / d->weight;
}

/* What a domain leads or lags by the order of turns alone is less, in V. */
static u64 lag_most(const struct fair_domain *d)
{
    return LAG_SLICES * max_of(d->competing, 1u) * savings(d);
}

/* Where it would stand without what it may not save. */
static u64 vt_saved(const struct fair_pool *p, const struct fair_domain *d)
{
    return max_of(d->vt, p->vt - savings(d));
}

/* ---- feasible shares ---- */

static struct fair_domain *domain_at(struct pheap_node *n)
{
    return container_of(n, struct fair_domain, node);
}

/* Its weight would give it as much as it can use, or more, beside so much weight besides: what it does not get at once it gets never. */
static bool too_heavy(const struct fair_pool *p, const struct fair_domain *d, u64 besides)
{
    return (s64)d->weight * p->cpus >= (s64)(d->worth * (p->weight + besides));
}

/* d is full, and worth a pcpu for each unit: what these do not get at once they get never. */
static inline bool whole(const struct fair_domain *d)
{
    return d->set == FAIR_FULL && d->worth == CPU_WORTH * d->competing;
}

/* V goes so far at once, not by time: who does not share follows. */
static void move(struct fair_pool *p, s64 by)
{
    p->vt += (u64)by;
    p->along += (u64)by;
}

/*
 * Charge d for its units that run, up to now: a full one keeps up with V where it gets its worth. What units of a full one that wait leave,
 * those who share have had: V is where these are. Where domains may be full.
 */
static __attribute__((noinline)) void charge_running(struct fair_pool *p, struct fair_domain *d)
{
    if (whole(d) && d->running < d->competing && p->weight)
        move(p, (s64)((d->competing - d->running) * (p->updated - d->charged_at) << VT_SHIFT) / (s64)p->weight);
    if (d->running && d->set == FAIR_FULL)
        d->vt += d->running * ((p->fluid - d->charged_fluid) * CPU_WORTH / d->worth);
    else if (d->running)
        d->vt += d->running * (((p->updated - d->charged_at) << VT_SHIFT) / d->weight);
    d->charged_fluid = p->fluid;
    d->charged_at = p->updated;
}

/* Who does not share stays as far from V, whoever comes and goes. */
static void follow(const struct fair_pool *p, struct fair_domain *d)
{
    if (d->set != FAIR_FULL && d->set != FAIR_OUT)
        return;
    d->vt += p->along - d->along;
    d->moved += p->along - d->along;
    d->along = p->along;
}

/*
 * What d is behind V, times its weight, over the weight of those who share: V moves so far when d, with its credit or its debt, goes from
 * among them, and back when it comes. So V stays where they are on average. More than counts is credit that affinity keeps d from using.
 */
static s64 taken_along(const struct fair_pool *p, const struct fair_domain *d)
{
    s64 most = (s64)lag_most(d), behind = max_of(min_of((s64)(p->vt - d->vt), most), -most);

    return p->weight ? behind * d->weight / (s64)p->weight : 0;
}

static void leave_set(struct fair_pool *p, struct fair_domain *d)
{
    charge_running(p, d);
    if (d->set != FAIR_OUT && !d->competing)
        pheap_remove(&p->lingering, &d->lingers);
    if (d->set == FAIR_FULL) {
        pheap_remove(&p->full, &d->node);
        p->cpus += d->worth;
        follow(p, d);
        d->vt = vt_saved(p, d);
    } else if (d->set != FAIR_OUT) {
        if (d->set == FAIR_SHARING)
            pheap_remove(&p->sharing, &d->node);
        p->weight -= d->weight;
        d->along = p->along;
        move(p, taken_along(p, d));
    }
    d->set = FAIR_OUT;
    follow(p, d);
}

/* d's units go before all others from now on, or do not any more. */
static void go_first(struct fair_domain *d, bool first)
{
    if (d->first == first)
        return;
    d->first = first;
    list_for_each_safe(pos, &d->waiting) {
        struct fair_unit *c = list_entry(pos, struct fair_unit, in_domain);

        if (c->place != FAIR_BOOSTED && (c->node.key != FAIR_FULL_KEY) == first && !c->gave_way) {
            fair_dequeue(sched_pcpu(c->unit->cpu)->q, c->unit);
            fair_enqueue(sched_pcpu(c->unit->cpu)->q, c->unit);
        }
    }
}

static void share(struct fair_pool *p, struct fair_domain *d)
{
    move(p, -taken_along(p, d));
    follow(p, d);
    p->weight += d->weight;
    d->set = p->fills ? FAIR_SHARING : FAIR_ALONE;
    if (p->fills) {
        d->node.key = ~(((u64)d->weight << 32) / d->worth);
        pheap_insert(&p->sharing, &d->node);
    }
    go_first(d, false);
}

static void fill(struct fair_pool *p, struct fair_domain *d)
{
    p->cpus -= d->worth;
    d->set = FAIR_FULL;
    /* Of equal ones the last to fill shares first again, so that V's moves undo each other. */
    d->node.key = (((u64)d->weight << 32) / d->worth << 16) - (u16)p->nr_filled++;
    pheap_insert(&p->full, &d->node);
    go_first(d, whole(d));
}

/* The lightest of the full shares again, if it is not too heavy any more beside so much weight that comes. */
static bool unfill(struct fair_pool *p, u64 comes)
{
    struct pheap_node *n = pheap_first(&p->full);

    if (!n || too_heavy(p, domain_at(n), comes))
        return false;
    leave_set(p, domain_at(n));
    share(p, domain_at(n));
    return true;
}

/*
 * Somebody's weight or units, or the pcpus, have changed: who is too heavy is full, who is not any
 * more shares again. Moving one leaves those heavier than it where they are, so this ends.
 */
static void settle(struct fair_pool *p)
{
    do {
        struct pheap_node *n;

        while ((n = pheap_first(&p->sharing)) && too_heavy(p, domain_at(n), 0)) {
            leave_set(p, domain_at(n));
            if (domain_at(n)->competing)
                fill(p, domain_at(n));
        }
    } while (unfill(p, 0));
}

static void leave_for_good(struct fair_pool *p, struct fair_domain *d)
{
    leave_set(p, d);
    settle(p);
    recount(p);
}

/* V goes on while some linger: these leave as it comes by. */
static __attribute__((noinline)) void go_past(struct fair_pool *p, ns_t now)
{
    struct pheap_node *n;

    while ((n = pheap_first(&p->lingering)) && now > p->updated) {
        struct fair_domain *d = container_of(n, struct fair_domain, lingers);
        ns_t until = min_of(now, p->updated + (1ull << 34)); /* years at once would not fit */
        s64 left = (s64)(d->vt - p->vt);

        if (left > vt_of(p, (s64)(until - p->updated))) {
            go_on(p, until);
            continue;
        }
        if (left > 0)
            go_on(p, min_of(now, p->updated + (u64)left * p->fluid_weight / p->fluid_cpus / (1 << VT_SHIFT) + 1));
        d->vt = p->vt;
        leave_for_good(p, d);
    }
    if (now > p->updated)
        go_on(p, now);
}

/* V goes on, and time has passed. */
static inline void advance(struct fair_pool *p, ns_t now)
{
    if (unlikely(pheap_first(&p->lingering)))
        go_past(p, now);
    else
        go_on(p, now);
}

#endif

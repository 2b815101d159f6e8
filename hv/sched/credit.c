/* SPDX-License-Identifier: MIT */
/*
 * Scheduling policy "credit": processor time in proportion to weights, limited by caps, woken units
 * first.
 *
 * A domain earns credit at the rate that its weight gives it among the domains which compete at
 * that moment, and pays for the time that it uses: credit is what a fluid scheduler would have given
 * it, less what it got (fair.h: virtual time, feasible shares, caps). Each pcpu has a runqueue: the
 * boosted in order of waking, the others by virtual time.
 *
 *   - UNDER is credit left, OVER is none. Next is the domain that is furthest behind, so all UNDER
 *     go before any OVER.
 *   - A slice is 30 ms (or the pool's); a unit that was preempted within it keeps its place and the
 *     rest of the slice. No limit when nobody waits, and (of several pcpus) the pool has a pcpu for
 *     each unit.
 *   - BOOST: a unit that wakes UNDER goes before all others, for at most a third of a slice, in
 *     order of waking.
 *   - Sleeping earns no more than 30 ms of credit (in fluid time); debt is kept, and paid off while
 *     asleep.
 *   - CAP: as fair.h says.
 *   - Where: a unit wakes on an idle pcpu, the nearest. Where none is idle it stays, unless a pcpu
 *     taken by chance has a shorter queue.
 *   - Balancing: before each decision the pool's first waiting unit is compared with what is here.
 *     It is taken over where it is further behind by more than a sixteenth of a slice (of V), or
 *     where this pcpu would idle. So no pcpu runs a unit, for longer than its slice, while one that
 *     deserves more waits elsewhere.
 *
 * Why actual time: with sampling at ticks, a unit that yields just before each tick is never
 * charged. Here it gains nothing.
 * Fairness: of n uncapped domains that always want to run and may run anywhere, none is more than a
 * slice for each pcpu ahead of its feasible share by the fluid schedule, and none is behind by more
 * than what the others are ahead. Units of restricted affinity are in order on their own pcpu, but
 * only an idle pcpu looks for them elsewhere.
 * Weights belong to domains: all vCPUs of a domain share its credit and its cap.
 * Locks: runqueue lock by the framework; the pool's (fair.h) inside it.
 * Does not: know cores (see smt.c); scale past what one lock for V bears.
 */
#include "fair.h"
#include "trace/trace.h"

#define SLICE          MILLISECS(30)
#define BOOST_PART     3             /* a boost lasts this part of a slice */
#define BALANCE_PART   16            /* worth a migration: behind by more than this part of a slice */

static ns_t slice_of(const struct cpupool *pool)
{
    return sched_slice(pool, SLICE);
}

static u16 credit_place(struct sched_unit *u, ns_t now)
{
    struct sched_pcpu *home = sched_pcpu(u->cpu);
    u16 cpu = sched_nearest_idle(u, false);
    unsigned int other;

    if (cpu != SCHED_NO_CPU)
        return cpu;
    other = cpumask_cycle_of(&u->allowed, &u->allowed, sched_random(home) % NR_PCPUS);
    if (!cpumask_test(&u->allowed, u->cpu) || READ_ONCE(sched_pcpu(other)->q->waiting) + 1 < home->q->waiting)
        return other;
    return u->cpu;
}

static struct sched_wake_result credit_wake(struct runqueue *q, struct sched_unit *u, ns_t now)
{
    struct fair_pool *pool = fair_lock(q->pool, now);
    struct sched_pcpu *p = sched_pcpu(u->cpu);
    struct sched_wake_result r = {.decide_by = NS_NEVER, .cpu = u->cpu};
    bool boosted = p->curr && fair_unit(p->curr)->in_boost;

    if (!u->moved)
        fair_unit(u)->left = 0;
    if (fair_out_of_budget(u, now)) {
        fair_park(q, u);
        r.decide_by = fair_next_period(now);
        fair_unlock(pool);
        return r;
    }
    fair_compete(pool, u);
    if (!u->moved && fair_under(pool, fair_domain(u))) {
        fair_enqueue_boosted(q, u);
        TRACE_sched_boost(u->dom->domain->id, u->vcpu->id, fair_credit_us(pool, fair_domain(u)));
        r.preempt = !p->curr || !boosted;
    } else {
        fair_enqueue(q, u);
        r.preempt = !p->curr;
    }
    /* What runs had no limit if it was alone: its slice counts from when it was picked. */
    if (p->curr)
        r.decide_by = p->picked_at + (boosted ? slice_of(q->pool) / BOOST_PART : slice_of(q->pool));
    fair_unlock(pool);
    return r;
}

/* From where p should take a unit over before it decides. */
static struct runqueue *credit_balance(struct sched_pcpu *p, struct sched_unit *prev, ns_t now)
{
    struct fair_pool *pool = fair_lock(p->q->pool, now);
    struct runqueue *from = fair_first_queue(p->q);
    u64 mine = fair_first_key(p->q), theirs, margin;

    if (prev && prev->dom->cap) {
        fair_give_back(prev);
        if (fair_out_of_budget(prev, now))
            prev = NULL;
    }
    if (from) {
        theirs = fair_first_key(from);
        if (prev && fair_unit(prev)->in_boost && fair_unit(prev)->used < slice_of(p->q->pool) / BOOST_PART)
            mine = 0;
        else if (prev && fair_key(prev) < mine)
            mine = fair_key(prev);
        margin = fair_slice_vt(pool, slice_of(p->q->pool) / BALANCE_PART);
        if (mine != ~0ull && theirs + margin >= mine)
            from = NULL;
    }
    fair_unlock(pool);
    return from;
}

static struct sched_unit *credit_steal(struct runqueue *q, struct sched_pcpu *p, ns_t now)
{
    struct fair_pool *pool = fair_lock(q->pool, now);
    struct sched_unit *u = fair_take_first(q, p, now);

    if (u)
        fair_stop_competing(pool, u);
    fair_unlock(pool);
    return u;
}

/**
 * Choose what runs next on this pcpu: the boosted, then by virtual time. O(log n), and O(n) when
 * capped domains come back.
 */
static struct sched_choice credit_pick(struct sched_pcpu *p, struct sched_unit *prev, ns_t now)
{
    struct runqueue *q = p->q;
    struct fair_pool *pool = fair_lock(q->pool, now);
    ns_t slice = slice_of(q->pool);
    struct sched_choice choice;
    struct sched_unit *u;

    if (prev && prev->dom->cap)
        fair_give_back(prev);
    if (!list_empty(&fair_queue(q)->parked))
        fair_unpark(q, now);
    if (prev)
        fair_requeue(q, prev, slice);
    u = fair_take_first(q, p, now);
    if (u && u == prev && u->yielded) { /* give way: the next one, whoever it is */
        struct sched_unit *next = fair_take_first(q, p, now);

        if (next) {
            fair_enqueue(q, u);
            u = next;
        }
    }
    choice = fair_choice(p, u, slice, slice / BOOST_PART, now);
    fair_unlock(pool);
    return choice;
}

SCHED_POLICY(credit, .doc = "shares by weight, limits by cap, woken vCPUs first", .span = SPAN_CPU,
             .pool_size = sizeof(struct fair_pool), .queue_size = sizeof(struct fair_queue),
             .domain_size = sizeof(struct fair_domain), .unit_size = sizeof(struct fair_unit),
             .pool_init = fair_pool_init, .queue_init = fair_queue_init, .domain_init = fair_domain_init,
             .unit_init = fair_unit_init, .params = fair_params, .cpus_change = fair_cpus_change, .place = credit_place,
             .wake = credit_wake, .sleep = fair_sleep, .charge = fair_charge, .balance = credit_balance,
             .steal = credit_steal, .pick = credit_pick);

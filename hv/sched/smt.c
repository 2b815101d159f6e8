/* SPDX-License-Identifier: MIT */
/*
 * Scheduling policy "smt": credit's shares and caps, on threads that are not processors of their own.
 *
 * Two threads of a core share what makes it fast, and what leaks between neighbours. This policy
 * knows which pcpus belong together: a group is a runqueue's pcpus, the threads of a core or, with
 * span=socket, the pcpus of a socket (at most 16); with span=cpu a group is one pcpu.
 *
 *   - PLACEMENT: a unit wakes on an idle core before it wakes beside a busy thread. A core that
 *     has idled for a millisecond while another runs two units or more takes one of them over.
 *   - EXCLUSIVITY (the pool's `exclusive`): the pcpus of a group run units of one domain, or idle.
 *     The group has an owner while any of its pcpus runs. A pcpu that finds no unit of the owner
 *     idles, by force if others wait (SCHED_FORCED). When the owner's turn of a slice is over and
 *     another domain is first, or that one was boosted and the owner has had the rate limit, the
 *     group drains: every pcpu idles at its next decision, which comes at once; when the last one
 *     has stopped, the pcpu that asked makes the new owner. So at no instant do two domains run in a group.
 *   - Units of the owner that wait in other groups are taken over by a pcpu that would idle.
 *
 * Order, shares, caps, boost and slices are credit's (fair.h, credit.c). A domain is not charged
 * for the threads that idle for its sake: with exclusivity, shares are of what was used, and forced
 * idle time is reported beside them (sched_forced_idle(), event sched_forced_idle).
 * Locks: runqueue lock by the framework, which guards the group. The pool's (fair.h) inside it: while it is held, neither
 * what another group's pcpu runs nor a group's last owner goes away.
 * Does not: promise work conservation under exclusivity; weigh how much two units hurt each other.
 */
#include "fair.h"
#include "trace/trace.h"

#define RELIEVE_AFTER  MILLISECS(1)  /* a core idles so long before it takes over from a crowded one */

struct smt_pool {
    struct fair_pool fair;
    struct cpumask crowded;  /* first pcpu of the groups that run more units than they have cores */
};

struct smt_queue {
    struct fair_queue fair;
    u16 running;             /* its pcpus that run a unit */
    bool draining;           /* no pcpu begins to run before all have stopped, and then... */
    u16 claimant;            /* ...this one chooses first */
    struct sched_domain *owner; /* exclusive: of what runs, where anything does; NULL where that is so since just now */
    ns_t owned_since;
};

struct smt_cpu {
    bool runs;               /* counted in its group's running */
    ns_t idle_since;         /* it has picked nothing since then; 0: it runs */
};

static struct smt_queue *smt_queue(const struct runqueue *q)
{
    return q->priv;
}

static struct smt_cpu *smt_cpu(const struct sched_pcpu *p)
{
    return p->priv;
}

static bool exclusive(const struct runqueue *q)
{
    return q->pool->t.exclusive;
}

/* ---- groups ---- */

/* Does the group run more units than it has cores? After each change of what it runs. */
static inline void note_crowd(const struct runqueue *q)
{
    struct smt_pool *pool = q->pool->priv;
    bool crowded = q->nr_cpus > 1 && smt_queue(q)->running * sched_pcpu(q->first)->threads > q->nr_cpus;

    if (likely(crowded == cpumask_test(&pool->crowded, q->first)))
        return;
    if (crowded)
        cpumask_set_atomic(&pool->crowded, q->first);
    else
        cpumask_clear_atomic(&pool->crowded, q->first);
}

/* p runs a unit from now on, or nothing. */
static void set_runs(struct sched_pcpu *p, bool runs)
{
    struct smt_cpu *c = smt_cpu(p);

    if (c->runs != runs)
        smt_queue(p->q)->running += runs ? 1 : -1;
    c->runs = runs;
    if (runs)
        c->idle_since = 0;
}

/* Pcpus of p's group, other than p, that run, or that do not, decide anew. */
static void kick_others(struct sched_pcpu *p, bool running)
{
    cpumask_for_each(cpu, &p->q->cpus) {
        if (cpu != p->cpu && smt_cpu(sched_pcpu(cpu))->runs == running)
            sched_kick(p->q, cpu);
    }
}

/* A waiting unit of the domain, if there is one, that may run on p: one of q's, or (NULL) of another runqueue's. */
static struct sched_unit *waiting_of(const struct sched_domain *dom, const struct runqueue *q, const struct sched_pcpu *p)
{
    if (!dom)
        return NULL;
    list_for_each(pos, &((struct fair_domain *)dom->priv)->waiting) {
        struct sched_unit *u = list_entry(pos, struct fair_unit, in_domain)->unit;

        if (sched_allowed(u, p->cpu) && (q ? sched_queue_of(u) == q : sched_queue_of(u) != p->q))
            return u;
    }
    return NULL;
}

/* Another pcpu of p's group runs. */
static bool others_run(const struct sched_pcpu *p)
{
    return smt_queue(p->q)->running > smt_cpu(p)->runs;
}

/* ---- the operations ---- */

/* Another of the group, if there is one, is its first then. */
static void smt_cpu_fini(struct sched_pcpu *p)
{
    struct smt_pool *pool = p->q->pool->priv;
    HOLD(&pool->fair.lock);

    cpumask_clear_atomic(&pool->crowded, p->cpu);
}

/* find_crowded() may still look at it. */
static void smt_unit_fini(struct runqueue *q, struct sched_unit *u)
{
    HOLD(&fair_pool(q->pool)->lock);
}

static void smt_domain_fini(struct sched_domain *dom)
{
    fair_domain_fini(dom);
    HOLD(&fair_pool(dom->pool)->lock);
    for (unsigned int i = 0; i < dom->pool->nr_queues; i++) {
        struct sched_domain *owner = dom; /* unless a group has another by now */

        (void)__atomic_compare_exchange_n(&smt_queue(&dom->pool->queue[i])->owner, &owner, NULL, false, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED);
    }
}

/* Could u run there at once? Its group is free, or its own. */
static bool welcome(const struct sched_unit *u, unsigned int cpu)
{
    const struct smt_queue *g = smt_queue(sched_pcpu(cpu)->q);

    return !exclusive(sched_pcpu(cpu)->q) || !READ_ONCE(g->running) || READ_ONCE(g->owner) == u->dom;
}

static u16 smt_place(struct sched_unit *u, ns_t now)
{
    const struct cpupool *pool = u->dom->pool;
    u16 cpu = sched_nearest_idle(u, true);
    unsigned int other = u->cpu;

    if (cpu != SCHED_NO_CPU && welcome(u, cpu))
        return cpu;
    for (unsigned int tries = 0; cpu != SCHED_NO_CPU && tries < RUNQUEUE_CPUS; tries++) {
        other = cpumask_cycle_of(&pool->idle, &u->allowed, other + 1);
        if (other == NR_PCPUS)
            break;
        if (welcome(u, other))
            return other;
    }
    return sched_shorter(u);
}

static struct sched_wake_result smt_wake(struct runqueue *q, struct sched_unit *u, ns_t now)
{
    struct sched_wake_result r = fair_wake(q, u, now);
    struct sched_pcpu *p = sched_pcpu(u->cpu);

    if (p->curr && q->nr_cpus > 1 && fair_unit(u)->place != FAIR_PARKED && (!exclusive(q) || READ_ONCE(smt_queue(q)->owner) == u->dom))
        kick_others(p, false);
    return r;
}

static void smt_sleep(struct runqueue *q, struct sched_unit *u, ns_t now)
{
    struct sched_pcpu *p = sched_pcpu(u->cpu);

    fair_sleep(q, u, now);
    if (p->curr == u) {
        set_runs(p, false);
        note_crowd(q);
        if (!p->online && exclusive(q)) /* nobody decides here any more: the others do */
            kick_others(p, false);
    }
}

static struct runqueue *smt_balance(struct sched_pcpu *p, struct sched_unit *prev, ns_t now)
{
    struct sched_unit *u = NULL;
    struct fair_pool *pool;

    if (!exclusive(p->q) || !others_run(p))
        return fair_balance(p, prev, now);
    pool = fair_lock(p->q->pool, now);
    prev = fair_with_budget(prev, now);
    if (!prev && !smt_queue(p->q)->draining && !waiting_of(smt_queue(p->q)->owner, p->q, p))
        u = waiting_of(smt_queue(p->q)->owner, NULL, p);
    fair_unlock(pool);
    return u ? sched_queue_of(u) : NULL;
}

static struct sched_unit *smt_steal(struct runqueue *q, struct sched_pcpu *p, ns_t now)
{
    struct fair_pool *pool;
    struct sched_unit *u;

    if (!exclusive(q) || !others_run(p))
        return fair_steal(q, p, now);
    pool = fair_lock(q->pool, now);
    u = waiting_of(smt_queue(p->q)->owner, q, p);
    if (u)
        fair_dequeue(q, u);
    fair_unlock(pool);
    return u;
}

/*
 * u is first in the group, another pcpu of which runs the owner's. What p may run instead, or NULL.
 * u, where it is not chosen, goes back.
 */
static struct sched_unit *beside_owner(struct sched_pcpu *p, struct sched_unit *u, ns_t now)
{
    struct smt_queue *g = smt_queue(p->q);
    struct sched_unit *mate;

    if (u->dom == g->owner && !g->draining)
        return u;
    if (u->dom != g->owner && !g->draining) {
        ns_t turn = fair_unit(u)->in_boost ? p->q->pool->t.rate_limit : sched_slice(p->q->pool, SLICE);

        if (now >= g->owned_since + turn) {
            g->draining = true;
            g->claimant = p->cpu;
            kick_others(p, true);
        }
    }
    fair_put_back(p->q, u);
    mate = g->draining ? NULL : waiting_of(g->owner, p->q, p);
    if (!mate || fair_out_of_budget(mate, now))
        return NULL;
    fair_dequeue(p->q, mate);
    fair_unit(mate)->in_boost = false;
    return mate;
}

/* p idles, and its core with it: a crowded group's pcpu, if there is one, whose unit should come here. */
static bool find_crowded(const struct sched_pcpu *p, u16 *cpu)
{
    struct smt_pool *pool = p->q->pool->priv;
    struct cpumask left = pool->crowded;

    for (unsigned int first = p->cpu; (first = cpumask_cycle_of(&left, &left, first)) < NR_PCPUS; cpumask_clear(&left, first)) {
        const struct runqueue *q = sched_pcpu(first)->q;

        cpumask_for_each(c, &q->cpus) {
            const struct sched_unit *u = READ_ONCE(sched_pcpu(c)->curr);

            if (u && sched_allowed(u, p->cpu)) {
                *cpu = c;
                return true;
            }
        }
    }
    return false;
}

/* p has nothing to run: after a while, that of a crowded core. */
static void look_for_crowds(struct sched_pcpu *p, struct sched_choice *choice, ns_t now)
{
    const struct smt_pool *pool = p->q->pool->priv;
    struct smt_cpu *c = smt_cpu(p);

    if (!c->idle_since)
        c->idle_since = now;
    if (smt_queue(p->q)->running || cpumask_empty(&pool->crowded) || p->cpu != cpumask_first(&p->q->cpus))
        return;
    if (now < c->idle_since + RELIEVE_AFTER) {
        choice->slice = min_of(choice->slice, c->idle_since + RELIEVE_AFTER - now);
        return;
    }
    fair_lock(p->q->pool, now);
    choice->relieve = find_crowded(p, &choice->relieved);
    fair_unlock(p->q->pool->priv);
    if (choice->relieve)
        c->idle_since = now;
}

/* The same of what the group may run. */
static struct sched_choice pick_for_group(struct sched_pcpu *p, struct sched_unit *prev, ns_t now)
{
    struct runqueue *q = p->q;
    struct fair_pool *pool = fair_lock(q->pool, now);
    struct smt_queue *g = smt_queue(q);
    ns_t slice = sched_slice(q->pool, SLICE);
    struct sched_choice choice;
    struct sched_unit *u = NULL;
    bool forced, corun = false;

    set_runs(p, false);
    fair_before_pick(p, prev, now);
    if (unlikely(g->draining) && !g->running) { /* all have stopped */
        if (p->cpu == g->claimant || sched_pcpu(g->claimant)->online != q)
            g->draining = false;
        else
            sched_kick(q, g->claimant);
    }
    forced = g->draining;
    if (!g->draining)
        u = fair_take_next(p, prev, now);
    else if (prev)
        fair_enqueue(q, prev);
    if (u && g->running && exclusive(q)) {
        u = beside_owner(p, u, now);
        forced = !u;
        corun = u;
    }
    choice = fair_choice(p, u, now);
    if (u) {
        if (!g->running) {
            if (g->owner != u->dom)
                TRACE_sched_gang(q->first, g->owner ? g->owner->domain->id : DOMID_IDLE, u->dom->domain->id);
            if (q->nr_cpus > 1 && exclusive(q))
                kick_others(p, false);
            WRITE_ONCE(g->owner, u->dom);
            g->owned_since = now;
        }
        if (corun)
            choice.why = SCHED_CORUN;
        if (q->waiting > q->parked)
            choice.slice = min_of(choice.slice, slice);
    } else if (forced) {
        choice.why = SCHED_FORCED;
        if (!g->draining) /* a boosted one may ask before the owner's turn is over: it asks again */
            choice.slice = min_of(choice.slice, max_of(g->owned_since + slice, now + SLICE_LEAST) - now);
    }
    fair_unlock(pool);
    return choice;
}

/* Another number of the group's pcpus may run after this. */
static __attribute__((noinline)) struct sched_choice pick_and_count(struct sched_pcpu *p, struct sched_unit *prev, ns_t now)
{
    struct sched_choice choice = smt_queue(p->q)->draining || exclusive(p->q) ? pick_for_group(p, prev, now) : fair_pick(p, prev, now);

    set_runs(p, choice.unit);
    note_crowd(p->q);
    if (!choice.unit && choice.why != SCHED_FORCED)
        look_for_crowds(p, &choice, now);
    return choice;
}

/**
 * Choose what runs next on this pcpu: credit's order, within what the group may run. O(log n), and
 * O(n) when capped domains come back.
 */
static struct sched_choice smt_pick(struct sched_pcpu *p, struct sched_unit *prev, ns_t now)
{
    if (likely(prev && !prev->dom->cap && !smt_queue(p->q)->draining && !exclusive(p->q)))
        return fair_pick(p, prev, now); /* prev runs on, or another does: the group runs as many */
    return pick_and_count(p, prev, now);
}

SCHED_POLICY(smt, .doc = "credit that fills cores before threads; with exclusive, one domain a core", .span = SPAN_CORE,
             .pool_size = sizeof(struct smt_pool), .queue_size = sizeof(struct smt_queue), .cpu_size = sizeof(struct smt_cpu),
             .domain_size = sizeof(struct fair_domain), .unit_size = sizeof(struct fair_unit),
             .pool_init = fair_pool_init, .queue_init = fair_queue_init, .cpu_fini = smt_cpu_fini,
             .domain_init = fair_domain_init, .domain_fini = smt_domain_fini, .unit_init = fair_unit_init, .unit_fini = smt_unit_fini,
             .params = fair_params, .cpus_change = fair_cpus_change, .place = smt_place, .wake = smt_wake,
             .sleep = smt_sleep, .charge = fair_charge, .balance = smt_balance, .steal = smt_steal, .pick = smt_pick);

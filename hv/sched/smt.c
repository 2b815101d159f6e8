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
 * Locks: runqueue lock by the framework; the pool's (fair.h) inside it guards groups too.
 * Does not: promise work conservation under exclusivity; weigh how much two units hurt each other.
 */
#include "fair.h"
#include "trace/trace.h"

#define SLICE          MILLISECS(30)
#define BOOST_PART     3             /* a boost lasts this part of a slice */
#define BALANCE_PART   16            /* worth a migration: behind by more than this part of a slice */
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
    struct sched_domain *owner; /* of what runs, where anything does */
    ns_t owned_since;
};

struct smt_cpu {
    struct sched_unit *on;   /* what it runs */
    ns_t idle_since;         /* it has picked nothing since then; NS_NEVER: it runs */
};

static struct smt_queue *smt_queue(const struct runqueue *q)
{
    return q->priv;
}

static struct smt_cpu *smt_cpu(const struct sched_pcpu *p)
{
    return p->priv;
}

static ns_t slice_of(const struct cpupool *pool)
{
    return sched_slice(pool, SLICE);
}

static bool exclusive(const struct runqueue *q)
{
    return q->pool->t.exclusive;
}

/* ---- groups ---- */

static void note_crowd(const struct runqueue *q)
{
    struct smt_pool *pool = q->pool->priv;
    const struct sched_pcpu *p = sched_pcpu(q->first);

    if (smt_queue(q)->running * p->threads > q->nr_cpus)
        cpumask_set(&pool->crowded, q->first);
    else
        cpumask_clear(&pool->crowded, q->first);
}

static void runs(struct sched_pcpu *p, struct sched_unit *u, ns_t now)
{
    struct smt_queue *g = smt_queue(p->q);

    if (!g->running++) {
        if (g->owner != u->dom)
            TRACE_sched_gang(p->q->first, g->owner ? g->owner->domain->id : DOMID_IDLE, u->dom->domain->id);
        g->owner = u->dom;
        g->owned_since = now;
    }
    smt_cpu(p)->on = u;
    note_crowd(p->q);
}

static void runs_no_more(struct sched_pcpu *p)
{
    struct smt_queue *g = smt_queue(p->q);

    if (!smt_cpu(p)->on)
        return;
    smt_cpu(p)->on = NULL;
    g->running--;
    note_crowd(p->q);
}

/* Pcpus of p's group, other than p, that run, or that do not, decide anew. */
static void kick_others(struct sched_pcpu *p, bool running)
{
    cpumask_for_each(cpu, &p->q->cpus) {
        if (cpu != p->cpu && !smt_cpu(sched_pcpu(cpu))->on == !running)
            sched_kick(p->q, cpu);
    }
}

/* A waiting unit of the domain that may run on p: one of q's, or (NULL) of another runqueue's. */
static struct sched_unit *waiting_of(const struct sched_domain *dom, const struct runqueue *q, const struct sched_pcpu *p)
{
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
    return smt_queue(p->q)->running > (smt_cpu(p)->on != NULL);
}

/* ---- the operations ---- */

static void smt_queue_init(struct runqueue *q, ns_t now)
{
    fair_queue_init(q, now);
    smt_queue(q)->owner = NULL;
}

static void smt_cpu_init(struct sched_pcpu *p)
{
    smt_cpu(p)->idle_since = NS_NEVER;
}

static void smt_domain_fini(struct sched_domain *dom)
{
    struct fair_pool *p = fair_pool(dom->pool);

    spin_lock(&p->lock);
    for (unsigned int i = 0; i < dom->pool->nr_queues; i++) {
        if (smt_queue(dom->pool->queue[i])->owner == dom)
            smt_queue(dom->pool->queue[i])->owner = NULL;
    }
    fair_unlock(p);
}

/* Could u run there at once? Its group is free, or its own. */
static bool welcome(const struct sched_unit *u, unsigned int cpu)
{
    const struct smt_queue *g = smt_queue(sched_pcpu(cpu)->q);

    return !exclusive(sched_pcpu(cpu)->q) || !READ_ONCE(g->running) || READ_ONCE(g->owner) == u->dom;
}

static u16 smt_place(struct sched_unit *u, ns_t now)
{
    struct sched_pcpu *home = sched_pcpu(u->cpu);
    const struct cpupool *pool = home->q->pool;
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
    other = cpumask_cycle_of(&u->allowed, &u->allowed, sched_random(home) % NR_PCPUS);
    if (!cpumask_test(&u->allowed, u->cpu) ||
        (READ_ONCE(sched_pcpu(other)->q->waiting) + 1) * home->q->nr_cpus < home->q->waiting * sched_pcpu(other)->q->nr_cpus)
        return other;
    return u->cpu;
}

static struct sched_wake_result smt_wake(struct runqueue *q, struct sched_unit *u, ns_t now)
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
    r.preempt = !p->curr;
    if (!u->moved && fair_under(pool, fair_domain(u))) {
        fair_enqueue_boosted(q, u);
        TRACE_sched_boost(u->dom->domain->id, u->vcpu->id, fair_credit_us(pool, fair_domain(u)));
        r.preempt |= !boosted;
    } else {
        fair_enqueue(q, u);
    }
    if (p->curr) {
        r.decide_by = p->picked_at + (boosted ? slice_of(q->pool) / BOOST_PART : slice_of(q->pool));
        if (!exclusive(q) || smt_queue(q)->owner == u->dom)
            kick_others(p, false);
    }
    fair_unlock(pool);
    return r;
}

static void smt_sleep(struct runqueue *q, struct sched_unit *u, ns_t now)
{
    struct sched_pcpu *p = sched_pcpu(u->cpu);

    fair_sleep(q, u, now);
    if (p->curr == u) {
        struct fair_pool *pool = fair_lock(q->pool, now);

        runs_no_more(p);
        if (!p->online && exclusive(q)) /* nobody decides here any more: the others do */
            kick_others(p, false);
        fair_unlock(pool);
    }
}

static struct runqueue *smt_balance(struct sched_pcpu *p, struct sched_unit *prev, ns_t now)
{
    struct fair_pool *pool = fair_lock(p->q->pool, now);
    struct runqueue *from = NULL;

    if (prev && prev->dom->cap) {
        fair_give_back(prev);
        if (fair_out_of_budget(prev, now))
            prev = NULL;
    }
    if (exclusive(p->q) && others_run(p)) {
        struct sched_domain *owner = smt_queue(p->q)->owner;

        if (!prev && !smt_queue(p->q)->draining && !waiting_of(owner, p->q, p)) {
            struct sched_unit *u = waiting_of(owner, NULL, p);

            from = u ? sched_queue_of(u) : NULL;
        }
    } else if ((from = fair_first_queue(p->q))) {
        u64 mine = fair_first_key(p->q), theirs = fair_first_key(from);

        if (prev && fair_unit(prev)->in_boost && fair_unit(prev)->used < slice_of(p->q->pool) / BOOST_PART)
            mine = 0;
        else if (prev && fair_key(prev) < mine)
            mine = fair_key(prev);
        if (mine != ~0ull && theirs + fair_slice_vt(pool, slice_of(p->q->pool) / BALANCE_PART) >= mine)
            from = NULL;
    }
    fair_unlock(pool);
    return from;
}

static struct sched_unit *smt_steal(struct runqueue *q, struct sched_pcpu *p, ns_t now)
{
    struct fair_pool *pool = fair_lock(q->pool, now);
    struct sched_unit *u;

    if (exclusive(q) && others_run(p)) {
        u = waiting_of(smt_queue(p->q)->owner, q, p);
        if (u)
            fair_dequeue(q, u);
    } else {
        u = fair_take_first(q, p, now);
    }
    if (u)
        fair_stop_competing(pool, u);
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
        ns_t turn = fair_unit(u)->in_boost ? p->q->pool->t.rate_limit : slice_of(p->q->pool);

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
            const struct sched_unit *u = smt_cpu(sched_pcpu(c))->on;

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
    u16 cpu;

    if (c->idle_since == NS_NEVER)
        c->idle_since = now;
    if (smt_queue(p->q)->running || cpumask_empty(&pool->crowded) || p->cpu != cpumask_first(&p->q->cpus))
        return;
    if (now < c->idle_since + RELIEVE_AFTER) {
        choice->slice = min_of(choice->slice, c->idle_since + RELIEVE_AFTER - now);
    } else if (find_crowded(p, &cpu)) {
        choice->relieve = true;
        choice->relieved = cpu;
        c->idle_since = now;
    }
}

/**
 * Choose what runs next on this pcpu: credit's order, within what the group may run. O(log n), and
 * O(n) when capped domains come back.
 */
static struct sched_choice smt_pick(struct sched_pcpu *p, struct sched_unit *prev, ns_t now)
{
    struct runqueue *q = p->q;
    struct fair_pool *pool = fair_lock(q->pool, now);
    struct smt_queue *g = smt_queue(q);
    ns_t slice = slice_of(q->pool);
    struct sched_choice choice;
    struct sched_unit *u;
    bool forced, corun = false;

    runs_no_more(p);
    if (prev && prev->dom->cap)
        fair_give_back(prev);
    if (!list_empty(&g->fair.parked))
        fair_unpark(q, now);
    if (prev)
        fair_requeue(q, prev, slice);
    if (unlikely(g->draining) && !g->running) { /* all have stopped */
        if (p->cpu == g->claimant || !sched_pcpu(g->claimant)->online)
            g->draining = false;
        else
            sched_kick(q, g->claimant);
    }
    u = g->draining ? NULL : fair_take_first(q, p, now);
    if (u && u == prev && u->yielded) { /* give way: the next one, whoever it is */
        struct sched_unit *next = fair_take_first(q, p, now);

        if (next) {
            fair_enqueue(q, u);
            u = next;
        }
    }
    forced = g->draining;
    if (u && g->running && exclusive(q)) {
        u = beside_owner(p, u, now);
        forced = !u;
        corun = u;
    }
    choice = fair_choice(p, u, slice, slice / BOOST_PART, now);
    if (u) {
        bool was_free = !g->running;

        runs(p, u, now);
        smt_cpu(p)->idle_since = NS_NEVER;
        if (was_free && q->nr_cpus > 1 && exclusive(q))
            kick_others(p, false);
        if (corun)
            choice.why = SCHED_CORUN;
        if (exclusive(q) && q->waiting > q->parked)
            choice.slice = min_of(choice.slice, slice);
    } else if (forced) {
        choice.why = SCHED_FORCED;
        if (!g->draining) /* a boosted one may ask before the owner's turn is over: it asks again */
            choice.slice = min_of(choice.slice, max_of(g->owned_since + slice, now + SLICE_LEAST) - now);
    } else {
        look_for_crowds(p, &choice, now);
    }
    fair_unlock(pool);
    return choice;
}

SCHED_POLICY(smt, .doc = "credit that fills cores before threads; with exclusive, one domain a core", .span = SPAN_CORE,
             .pool_size = sizeof(struct smt_pool), .queue_size = sizeof(struct smt_queue), .cpu_size = sizeof(struct smt_cpu),
             .domain_size = sizeof(struct fair_domain), .unit_size = sizeof(struct fair_unit),
             .pool_init = fair_pool_init, .queue_init = smt_queue_init, .cpu_init = smt_cpu_init,
             .domain_init = fair_domain_init, .domain_fini = smt_domain_fini, .unit_init = fair_unit_init,
             .params = fair_params, .cpus_change = fair_cpus_change, .place = smt_place, .wake = smt_wake,
             .sleep = smt_sleep, .charge = fair_charge, .balance = smt_balance, .steal = smt_steal, .pick = smt_pick);

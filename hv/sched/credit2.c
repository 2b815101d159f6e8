/* SPDX-License-Identifier: MIT */
/*
 * Scheduling policy "credit2": a runqueue for a socket's pcpus, credit burned at a rate by weight,
 * and given anew to all when the first has none; load balanced between runqueues.
 *
 * The baseline: Xen's default policy today, as its published description has it, in code of our own.
 *
 *   - The pcpus of a socket (at most 16, threads of a core together; span= says otherwise) choose
 *     from one queue, most credit first.
 *   - A unit burns credit while it runs: a nanosecond of the heaviest weight that is about costs
 *     less than one of a light one (time * SCHED_WEIGHT_NORMAL / weight). Every vCPU has the weight
 *     of its domain for itself.
 *   - RESET: when the first to run has no credit, every unit of the runqueue gets 10 ms, as often
 *     as it takes. None can save more than 10 ms up. This is one addition: credit is kept as what
 *     was burned against what the runqueue has given.
 *   - SLICE: until the credit of the next waiting one is reached, at least 500 us and at most 2 ms
 *     (or the pool's slice); at most 10 ms where nobody waits here but somewhere. No limit where
 *     the pool has a pcpu for each unit.
 *   - WAKE: on an idle pcpu of the runqueue it was in, or of another; else it preempts the unit
 *     with the least credit of its runqueue, if it has more. No boost: who sleeps keeps credit.
 *   - LOAD: of each runqueue, the units that run or wait, averaged with a decay of 100 ms. A pcpu
 *     that would idle takes over from others at once; a busy one looks every 10 ms at one other by
 *     chance, and takes a unit if that one's average and present load per pcpu are higher by a
 *     unit's worth.
 *   - CAP: a domain has a budget for each period of 10 ms; those of its units that run take parts
 *     out of it and give back what they do not use, as in fair.h.
 *
 * Fairness: within a runqueue, of units that always want to run, credits differ by what one burns in
 * a slice. Between runqueues it is as good as their loads are even.
 * Locks: runqueue lock by the framework; the pool's inside it, for budgets only.
 * Does not: share a domain's weight among its vCPUs; promise shares across runqueues.
 */
#include "core/pheap.h"
#include "lib.h"
#include "policy.h"
#include "trace/trace.h"

#define CREDIT_RESET   MILLISECS(10)
#define SLICE_LEAST    MICROSECS(500)
#define SLICE_MOST     MILLISECS(2)
#define SLICE_ALONE    MILLISECS(10)
#define CAP_PERIOD     MILLISECS(10)
#define BUDGET_LEAST   MICROSECS(10)
#define BALANCE_PERIOD MILLISECS(10)
#define LOAD_DECAY     MILLISECS(100)
#define LOAD_ONE       1024
/* Credit that was given begins away from 0, so that burning never wraps. */
#define GIVEN_START    (1ull << 40)

struct credit2_pool {
    struct spinlock lock;        /* budgets */
};

struct credit2_queue {
    u64 given;                   /* ns of credit given to each unit so far */
    struct pheap waiting;        /* by what was burned: least first */
    struct list parked;
    u32 running;
    u64 load;                    /* average of units that run or wait, LOAD_ONE each; hint */
    ns_t load_at;
};

struct credit2_cpu {
    struct sched_unit *on;
    ns_t balanced;               /* when it last looked at another runqueue */
};

struct credit2_domain {
    s64 budget;
    u64 period;
};

enum credit2_place { NOWHERE, WAITING, PARKED };

struct credit2_unit {
    struct pheap_node node;
    struct list link;            /* in parked */
    struct sched_unit *unit;
    u64 burned;                  /* of->given - burned: its credit */
    struct runqueue *of;         /* the runqueue in which that counts; NULL: it was in none yet */
    u64 rest;
    u8 place;
    bool parked;
    s64 taken;                   /* of its domain's budget */
    u64 taken_period;
};

static struct credit2_queue *queue_of(const struct runqueue *q)
{
    return q->priv;
}

static struct credit2_unit *unit_of(const struct sched_unit *u)
{
    return u->priv;
}

static struct credit2_cpu *cpu_of(const struct sched_pcpu *p)
{
    return p->priv;
}

static struct sched_unit *unit_at(struct pheap_node *n)
{
    return container_of(n, struct credit2_unit, node)->unit;
}

static s64 credit(const struct runqueue *q, const struct sched_unit *u)
{
    return (s64)(queue_of(q)->given - unit_of(u)->burned);
}

/* ---- load ---- */

/* Bring q's average up to now; before the number of its units changes. */
static void track_load(struct runqueue *q, ns_t now)
{
    struct credit2_queue *c = queue_of(q);
    u64 present = (u64)(c->running + q->waiting - q->parked) * LOAD_ONE, passed;

    if (now <= c->load_at)
        return;
    passed = min_of(now - c->load_at, LOAD_DECAY);
    c->load_at = now;
    c->load = (c->load * (LOAD_DECAY - passed) + present * passed) / LOAD_DECAY;
}

/* ---- budgets ---- */

/* True: its domain may not use more in this period. */
static bool out_of_budget(const struct sched_unit *u, ns_t now)
{
    struct credit2_domain *d = u->dom->priv;
    s64 quota = (s64)u->dom->cap * (s64)(CAP_PERIOD / 100);
    u64 missed = now / CAP_PERIOD - d->period;

    if (!u->dom->cap)
        return false;
    if (missed) {
        d->period += missed;
        d->budget = missed > 1000 ? quota : min_of(d->budget + (s64)missed * quota, quota);
    }
    return d->budget < (s64)BUDGET_LEAST;
}

static ns_t next_period(ns_t now)
{
    return (now / CAP_PERIOD + 1) * CAP_PERIOD;
}

static ns_t take_budget(struct sched_unit *u, ns_t now)
{
    struct credit2_domain *d = u->dom->priv;
    u32 beside = min_of(u->dom->refs, (u32)u->dom->pool->nr_cpus);
    s64 part = max_of(d->budget / (s64)max_of(beside, 1u), (s64)BUDGET_LEAST);

    unit_of(u)->taken = min_of(part, d->budget);
    unit_of(u)->taken_period = d->period;
    d->budget -= unit_of(u)->taken;
    return min_of((ns_t)unit_of(u)->taken, next_period(now) - now);
}

static void give_back(struct sched_unit *u)
{
    struct credit2_domain *d = u->dom->priv;

    if (unit_of(u)->taken < 0 || unit_of(u)->taken_period == d->period)
        d->budget += unit_of(u)->taken;
    unit_of(u)->taken = 0;
}

static void lock_budget(const struct sched_unit *u)
{
    if (u->dom->cap)
        spin_lock(&((struct credit2_pool *)u->dom->pool->priv)->lock);
}

static void unlock_budget(const struct sched_unit *u)
{
    if (u->dom->cap)
        spin_unlock(&((struct credit2_pool *)u->dom->pool->priv)->lock);
}

/* ---- the queue ---- */

/* Nobody has saved more than a reset's worth. */
static void limit_credit(const struct runqueue *q, struct sched_unit *u)
{
    if (credit(q, u) > (s64)CREDIT_RESET)
        unit_of(u)->burned = queue_of(q)->given - CREDIT_RESET;
}

static void enqueue(struct runqueue *q, struct sched_unit *u)
{
    struct credit2_unit *c = unit_of(u);

    limit_credit(q, u);
    c->node.key = c->burned;
    c->place = WAITING;
    pheap_insert(&queue_of(q)->waiting, &c->node);
}

static void park(struct runqueue *q, struct sched_unit *u)
{
    unit_of(u)->place = PARKED;
    unit_of(u)->parked = !u->pinned;
    q->parked += unit_of(u)->parked;
    list_add_tail(&queue_of(q)->parked, &unit_of(u)->link);
}

static void dequeue(struct runqueue *q, struct sched_unit *u)
{
    struct credit2_unit *c = unit_of(u);

    if (c->place == WAITING)
        pheap_remove(&queue_of(q)->waiting, &c->node);
    else if (c->place == PARKED)
        q->parked -= c->parked;
    c->place = NOWHERE;
    list_del(&c->link);
}

static void unpark(struct runqueue *q, ns_t now)
{
    list_for_each_safe(pos, &queue_of(q)->parked) {
        struct sched_unit *u = list_entry(pos, struct credit2_unit, link)->unit;
        bool out;

        lock_budget(u);
        out = out_of_budget(u, now);
        unlock_budget(u);
        if (out)
            continue;
        dequeue(q, u);
        enqueue(q, u);
    }
}

/*
 * The waiting unit with most credit that may run on p. Where the first may not, those that may run
 * anywhere are behind it: it is set aside until one comes, which restricted affinity alone costs.
 */
static struct sched_unit *first_for(struct runqueue *q, const struct sched_pcpu *p)
{
    struct credit2_queue *c = queue_of(q);
    struct pheap_node *aside = NULL, *n;

    while ((n = pheap_first(&c->waiting)) && !sched_allowed(unit_at(n), p->cpu)) {
        pheap_remove(&c->waiting, n);
        n->next = aside;
        aside = n;
    }
    while (aside) {
        struct pheap_node *next = aside->next;

        pheap_reinsert(&c->waiting, aside);
        aside = next;
    }
    return n ? unit_at(n) : NULL;
}

/* The same, taken out; those whose domain has used up its time are parked on the way. */
static struct sched_unit *take_first(struct runqueue *q, const struct sched_pcpu *p, ns_t now)
{
    struct sched_unit *u;

    while ((u = first_for(q, p))) {
        bool out;

        dequeue(q, u);
        lock_budget(u);
        out = out_of_budget(u, now);
        unlock_budget(u);
        if (!out)
            return u;
        park(q, u);
    }
    return NULL;
}

/* p runs u, or nothing. */
static void note_running(struct sched_pcpu *p, struct sched_unit *u)
{
    struct credit2_cpu *c = cpu_of(p);

    queue_of(p->q)->running += (u != NULL) - (c->on != NULL);
    c->on = u;
}

/* ---- the operations ---- */

static void credit2_pool_init(struct cpupool *pool, ns_t now)
{
    spin_lock_init(&((struct credit2_pool *)pool->priv)->lock, LOCK_POLICY);
}

static void credit2_queue_init(struct runqueue *q, ns_t now)
{
    queue_of(q)->given = GIVEN_START;
    queue_of(q)->load_at = now;
    list_init(&queue_of(q)->parked);
}

static void credit2_domain_init(struct sched_domain *dom, ns_t now)
{
    struct credit2_domain *d = dom->priv;

    d->period = now / CAP_PERIOD;
    d->budget = (s64)dom->cap * (s64)(CAP_PERIOD / 100);
}

static void credit2_unit_init(struct sched_unit *u)
{
    list_init(&unit_of(u)->link);
    unit_of(u)->unit = u;
}

/* Credit is in time of normal weight: with another weight the same credit only burns otherwise. */
static void credit2_params(struct sched_domain *dom, u16 weight, u16 cap, ns_t now)
{
    struct credit2_domain *d = dom->priv;
    struct credit2_pool *pool = dom->pool->priv;

    spin_lock(&pool->lock);
    if (cap != dom->cap) {
        d->period = now / CAP_PERIOD;
        d->budget = (s64)cap * (s64)(CAP_PERIOD / 100);
    }
    spin_unlock(&pool->lock);
    TRACE_sched_credit(dom->domain->id, 0, 0, weight, cap);
}

/* u comes to q with the credit that it had in another runqueue, which may give some at this moment; new ones have a reset's. */
static void bring_credit(struct runqueue *q, struct sched_unit *u)
{
    struct credit2_unit *c = unit_of(u);
    u64 has = c->of ? READ_ONCE(queue_of(c->of)->given) - c->burned : CREDIT_RESET;

    if (c->of != q)
        c->burned = queue_of(q)->given - has;
    c->of = q;
}

/* The credit of what p runs, by now. */
static s64 credit_left(const struct sched_pcpu *p, ns_t now)
{
    ns_t ran = now > p->charged ? now - p->charged : 0;

    return credit(p->q, p->curr) - (s64)(ran * SCHED_WEIGHT_NORMAL / p->curr->dom->weight);
}

/*
 * The pcpu of q that is idle, and u's own first; else the one whose unit has least credit, if that
 * is less than u's. NR_PCPUS: none.
 */
static unsigned int whom_to_preempt(struct runqueue *q, const struct sched_unit *u, ns_t now)
{
    unsigned int best = NR_PCPUS;
    s64 least = credit(q, u);

    if (cpumask_test(&q->cpus, u->cpu) && !sched_pcpu(u->cpu)->curr)
        return u->cpu;
    cpumask_for_each(cpu, &q->cpus) {
        const struct sched_pcpu *p = sched_pcpu(cpu);

        if (!sched_allowed(u, cpu))
            continue;
        if (!p->curr)
            return cpu;
        if (credit_left(p, now) < least) {
            least = credit_left(p, now);
            best = cpu;
        }
    }
    return best;
}

static u16 credit2_place(struct sched_unit *u, ns_t now)
{
    struct sched_pcpu *home = sched_pcpu(u->cpu);
    u16 cpu = sched_nearest_idle(u, false);
    unsigned int other;

    if (cpu != SCHED_NO_CPU)
        return cpu;
    other = cpumask_cycle_of(&u->allowed, &u->allowed, sched_random(home) % NR_PCPUS);
    if (!cpumask_test(&u->allowed, u->cpu) ||
        (READ_ONCE(queue_of(sched_pcpu(other)->q)->load) + LOAD_ONE) * home->q->nr_cpus <
            READ_ONCE(queue_of(home->q)->load) * sched_pcpu(other)->q->nr_cpus)
        return other;
    return u->cpu;
}

static struct sched_wake_result credit2_wake(struct runqueue *q, struct sched_unit *u, ns_t now)
{
    struct sched_wake_result r = {.cpu = u->cpu, .decide_by = NS_NEVER};
    struct sched_pcpu *p = sched_pcpu(u->cpu);
    unsigned int cpu;
    bool out;

    track_load(q, now);
    lock_budget(u);
    out = out_of_budget(u, now);
    unlock_budget(u);
    bring_credit(q, u);
    limit_credit(q, u);
    if (out) {
        park(q, u);
        r.decide_by = next_period(now);
        return r;
    }
    cpu = whom_to_preempt(q, u, now);
    enqueue(q, u);
    if (cpu < NR_PCPUS) {
        r.preempt = true;
        r.cpu = cpu;
    } else if (p->curr) {
        r.decide_by = p->picked_at + sched_slice(q->pool, SLICE_MOST);
    }
    return r;
}

static void credit2_sleep(struct runqueue *q, struct sched_unit *u, ns_t now)
{
    struct sched_pcpu *p = sched_pcpu(u->cpu);

    track_load(q, now);
    dequeue(q, u);
    if (p->curr == u && cpu_of(p)->on == u)
        note_running(p, NULL);
    lock_budget(u);
    if (u->dom->cap)
        give_back(u);
    unlock_budget(u);
}

static void credit2_charge(struct sched_pcpu *p, struct sched_unit *u, ns_t ran, ns_t now)
{
    struct credit2_unit *c = unit_of(u);
    u64 cost = ran * SCHED_WEIGHT_NORMAL + c->rest;

    c->burned += cost / u->dom->weight;
    c->rest = cost % u->dom->weight;
    if (u->dom->cap)
        c->taken -= (s64)ran;
    TRACE_sched_tick(u->dom->domain->id, u->vcpu->id, (s32)(credit(p->q, u) / 1000));
}

/* Every BALANCE_PERIOD: is another runqueue, taken by chance, fuller than this one, with its unit gone? */
static struct runqueue *credit2_balance(struct sched_pcpu *p, struct sched_unit *prev, ns_t now)
{
    struct runqueue *q = p->q, *from;
    u64 mine, theirs, here, there;

    track_load(q, now);
    if (now < cpu_of(p)->balanced + BALANCE_PERIOD)
        return NULL;
    cpu_of(p)->balanced = now;
    from = q->pool->queue[sched_random(p) % q->pool->nr_queues];
    if (from == q || !from->nr_cpus || READ_ONCE(from->waiting) <= READ_ONCE(from->parked))
        return NULL;
    mine = queue_of(q)->load;
    theirs = READ_ONCE(queue_of(from)->load);
    here = queue_of(q)->running + q->waiting - q->parked;
    there = READ_ONCE(queue_of(from)->running) + from->waiting - from->parked;
    if (theirs * q->nr_cpus < (mine + LOAD_ONE) * from->nr_cpus || there * q->nr_cpus < (here + 1) * from->nr_cpus)
        return NULL;
    return from;
}

static struct sched_unit *credit2_steal(struct runqueue *q, struct sched_pcpu *p, ns_t now)
{
    track_load(q, now);
    return take_first(q, p, now);
}

/* How long u may run before another has more credit. */
static ns_t slice_for(const struct runqueue *q, const struct sched_unit *u)
{
    struct pheap_node *next = pheap_first(&queue_of(q)->waiting);
    ns_t most = sched_slice(q->pool, SLICE_MOST);
    s64 ahead;

    if (!next)
        return q->pool->nr_units > q->pool->nr_cpus ? sched_slice(q->pool, SLICE_ALONE) : NS_NEVER;
    ahead = (s64)(next->key - unit_of(u)->burned) * u->dom->weight / SCHED_WEIGHT_NORMAL;
    return min_of((ns_t)max_of(ahead, (s64)min_of(SLICE_LEAST, most)), most);
}

/**
 * Choose what runs next on this pcpu: the one with most credit. O(log n) where units may run
 * anywhere, and O(n) when capped domains come back.
 */
static struct sched_choice credit2_pick(struct sched_pcpu *p, struct sched_unit *prev, ns_t now)
{
    struct runqueue *q = p->q;
    struct credit2_queue *c = queue_of(q);
    struct sched_choice choice = {.slice = NS_NEVER, .why = SCHED_IDLE};
    struct sched_unit *u;

    track_load(q, now);
    if (prev && prev->dom->cap) {
        lock_budget(prev);
        give_back(prev);
        unlock_budget(prev);
    }
    if (!list_empty(&c->parked))
        unpark(q, now);
    if (prev)
        enqueue(q, prev);
    u = take_first(q, p, now);
    if (u && u == prev && u->yielded) {
        struct sched_unit *next = take_first(q, p, now);

        if (next) {
            enqueue(q, u);
            u = next;
        }
    }
    note_running(p, u);
    if (u) {
        if (credit(q, u) <= 0) {
            u64 given = (u64)(-credit(q, u)) / CREDIT_RESET * CREDIT_RESET + CREDIT_RESET;

            TRACE_sched_reset(q->first, (s32)(credit(q, u) / 1000), given);
            c->given += given;
        }
        choice.unit = u;
        choice.slice = slice_for(q, u);
        choice.why = choice.slice == NS_NEVER ? SCHED_ONLY : SCHED_TURN;
        if (u->dom->cap) {
            ns_t budget;

            lock_budget(u);
            budget = take_budget(u, now);
            unlock_budget(u);
            choice.slice = min_of(choice.slice, budget);
        }
    }
    if (!list_empty(&c->parked))
        choice.slice = min_of(choice.slice, next_period(now) - now);
    return choice;
}

SCHED_POLICY(credit2, .doc = "a queue for each socket, credit burned by weight, load balanced", .span = SPAN_SOCKET,
             .pool_size = sizeof(struct credit2_pool), .queue_size = sizeof(struct credit2_queue),
             .cpu_size = sizeof(struct credit2_cpu), .domain_size = sizeof(struct credit2_domain),
             .unit_size = sizeof(struct credit2_unit), .pool_init = credit2_pool_init, .queue_init = credit2_queue_init,
             .domain_init = credit2_domain_init, .unit_init = credit2_unit_init, .params = credit2_params,
             .place = credit2_place, .wake = credit2_wake, .sleep = credit2_sleep, .charge = credit2_charge,
             .balance = credit2_balance, .steal = credit2_steal, .pick = credit2_pick);

/* SPDX-License-Identifier: MIT */
/*
 * Scheduling policy "credit2": a runqueue for a socket's pcpus, credit burned at a rate by weight,
 * and given anew to all when the first has none; units stay where they ran.
 *
 * The baseline: Xen's default policy today, as its published description has it, in code of our own,
 * with two differences that its shares need: a weight is a domain's, and what was given counts for
 * the whole pool.
 *
 *   - The pcpus of a socket (at most 16, threads of a core together; span= says otherwise) share a
 *     runqueue, most credit first.
 *   - A unit burns credit while it runs: time * SCHED_WEIGHT_NORMAL / weight, times the number of
 *     its domain's units that want to run. So a domain with many vCPUs burns for all of them what
 *     one of the same weight with a single vCPU does.
 *   - RESET: when the first to run has no credit, every unit of the pool gets 10 ms, as often as it
 *     takes. This is one addition: credit is what the pool has given less what was burned, which can
 *     be compared between runqueues. Who sleeps or gives way saves no more than 10 ms. A unit that runs, and is given
 *     more than it burns because its weight is worth more than a pcpu, saves no more than LEAD_MOST, so
 *     that it stays ahead of those that take turns; what comes while it waits is its own. Who is behind waits
 *     until the others have burned that. Who is new begins with 5 ms: in the middle of the others.
 *   - SLICE: until the credit of the next waiting one is reached or 10 ms are burned, at least 500 us
 *     and at most 2 ms (or the pool's slice); where nobody waits here but somewhere, 2 to 10 ms. No limit where
 *     the pool has a pcpu for each unit.
 *   - WAKE: on an idle pcpu of the runqueue it was in, or of another. Else a unit that wakes with
 *     credit left goes before all others, for at most a slice, on the pcpu where it was, or, if one
 *     woken before runs or is awaited there, on the one whose unit has least credit; it keeps that where
 *     another runqueue takes it, or where a decision comes early. Without credit left it preempts where it has more.
 *   - MIGRATION is resisted: a pcpu prefers who waits at it (each has a heap) unless another of the
 *     runqueue has RESIST more credit, or what it burns in so long if that is less (up to three times
 *     RESIST where that is little time). A busy pcpu looks every 2 ms, and whenever what it runs has no credit, at one other runqueue by chance, and takes its first
 *     if that has so much more credit than what is here; one that would idle takes over at once.
 *   - CAP: a domain has a budget for each period of 10 ms; as budget.h has it.
 *
 * Fairness: of units that always want to run, in the whole pool, credits differ by RESIST and by what
 * one burns in a slice, so what domains got differs from their feasible shares by no more, however long.
 * Locks: runqueue lock by the framework; the pool's inside it, for budgets only. What was given, and
 * the numbers of units that want to run, are atomic.
 * Does not: average loads; count a domain's parked units out.
 */
#include "budget.h"
#include "core/pheap.h"
#include "lib.h"
#include "policy.h"
#include "trace/trace.h"

#define CREDIT_RESET   MILLISECS(10)
#define LEAD_MOST      MILLISECS(40) /* saved by what runs on */
#define RESIST         MILLISECS(5)
#define SLICE_LEAST    MICROSECS(500)
#define SLICE_MOST     MILLISECS(2)
#define SLICE_ALONE    MILLISECS(10)
#define CAP_PERIOD     MILLISECS(10)
#define BALANCE_PERIOD MILLISECS(2)
/* Credit that was given begins away from 0, so that burning never wraps. */
#define GIVEN_START    (1ull << 40)
/* The rank of a unit that goes before all others, and of none at all. */
#define RANK_FIRST     0ull
#define RANK_NONE      (~0ull >> 1)

struct credit2_pool {
    struct spinlock lock;        /* budgets */
    u64 given;                   /* ns of credit given to each unit so far */
};

struct credit2_queue {
    struct pheap waiting[RUNQUEUE_CPUS]; /* by pcpu: units that wait at it, by what was burned */
    u32 present;                 /* those heaps that hold something */
    u32 nr_slots;
    struct list parked;
};

struct credit2_cpu {
    u32 slot;                    /* its heap in the runqueue; two share one where there are more pcpus than heaps */
    bool asked;                  /* a woken unit waits for it to decide */
    ns_t balanced;               /* when it last looked at another runqueue */
    u64 beats;                   /* who is taken from another runqueue has to be of less rank */
};

struct credit2_domain {
    u32 competing;               /* its units that want to run */
    u64 idle_from;               /* the pool's given when the last of them went */
    struct budget budget;
};

enum credit2_place { NOWHERE, WAITING, PARKED };

struct credit2_unit {
    struct pheap_node node;
    struct list link;            /* in parked */
    struct sched_unit *unit;
    u64 burned;                  /* the pool's given - burned: its credit */
    u64 slept;                   /* the pool's given when it went to sleep */
    u64 rest;
    s64 had;                     /* its credit when it was picked */
    u64 resist;                  /* credit that it needs to have more to run where it does not wait */
    u8 place;
    u8 slot;                     /* of the heap that it waits in */
    bool parked;
    bool unlimited;              /* runs alone, without a limit: has no debt for that */
    bool boosted;                /* woke with credit left, and has not run its slice since */
    struct budget_part part;     /* of its domain's budget */
};

static struct credit2_pool *pool_of(const struct runqueue *q)
{
    return q->pool->priv;
}

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

static struct credit2_domain *domain_of(const struct sched_unit *u)
{
    return u->dom->priv;
}

static struct sched_unit *unit_at(struct pheap_node *n)
{
    return container_of(n, struct credit2_unit, node)->unit;
}

static s64 credit(const struct runqueue *q, const struct sched_unit *u)
{
    return (s64)(READ_ONCE(pool_of(q)->given) - unit_of(u)->burned);
}

/* What running so long burns, times its weight. */
static u64 cost_of(const struct sched_unit *u, ns_t ran)
{
    return ran * SCHED_WEIGHT_NORMAL * READ_ONCE(domain_of(u)->competing);
}

/*
 * What u burns in RESIST if that is no more (heavy ones would be off by so much longer), or what a light one burns in a
 * fifth of that (or they would move at each decision, where many burn much), up to three times RESIST.
 */
static void set_resist(const struct sched_unit *u, u16 weight)
{
    u64 burned = cost_of(u, RESIST) / weight;

    WRITE_ONCE(unit_of(u)->resist, min_of(burned, max_of(RESIST, min_of(burned / 5, 3 * RESIST))));
}

/* ---- budgets ---- */

static __attribute__((noinline)) bool used_up(const struct sched_unit *u, ns_t now)
{
    struct credit2_pool *pool = u->dom->pool->priv;
    HOLD(&pool->lock);

    return budget_is_gone(&domain_of(u)->budget, now);
}

/* True: its domain may not use more in this period. */
static inline bool out_of_budget(const struct sched_unit *u, ns_t now)
{
    return unlikely(u->dom->cap) && used_up(u, now);
}

/* u, of a capped domain, is about to run: take its part. @return how long it may run. */
static ns_t take_budget(struct sched_unit *u, ns_t now)
{
    struct credit2_pool *pool = u->dom->pool->priv;
    HOLD(&pool->lock);

    return budget_take(&domain_of(u)->budget, &unit_of(u)->part, min_of(u->dom->refs, (u32)u->dom->pool->nr_cpus), now);
}

static void give_back(struct sched_unit *u)
{
    struct credit2_pool *pool = u->dom->pool->priv;

    if (likely(!u->dom->cap))
        return;
    HOLD(&pool->lock);
    budget_return(&domain_of(u)->budget, &unit_of(u)->part);
}

/* ---- the queue ---- */

/* u has not saved more than this. */
static void limit_credit(const struct runqueue *q, struct sched_unit *u, s64 most)
{
    if (credit(q, u) > most)
        unit_of(u)->burned = READ_ONCE(pool_of(q)->given) - (u64)most;
}

/* Nor does what runs, and is given more than it burns, save up without end. */
static void limit_credit_of_running(const struct runqueue *q, struct sched_unit *u)
{
    limit_credit(q, u, max_of((s64)LEAD_MOST, unit_of(u)->had));
}

/* u comes to wait at p. */
static inline void note_waiting(struct sched_unit *u, const struct sched_pcpu *p)
{
    struct credit2_unit *w = unit_of(u);

    w->node.key = w->boosted ? RANK_FIRST : w->burned;
    w->place = WAITING;
    w->slot = cpu_of(p)->slot;
}

/* u waits at p, whose runqueue q is. */
static void enqueue(struct runqueue *q, struct sched_unit *u, const struct sched_pcpu *p)
{
    struct credit2_queue *c = queue_of(q);
    struct credit2_unit *w = unit_of(u);

    note_waiting(u, p);
    c->present |= 1u << w->slot;
    pheap_insert(&c->waiting[w->slot], &w->node);
}

static void park(struct runqueue *q, struct sched_unit *u)
{
    unit_of(u)->place = PARKED;
    unit_of(u)->boosted = false;
    unit_of(u)->parked = !u->pinned;
    q->parked += unit_of(u)->parked;
    list_add_tail(&queue_of(q)->parked, &unit_of(u)->link);
}

static void dequeue(struct runqueue *q, struct sched_unit *u)
{
    struct credit2_queue *c = queue_of(q);
    struct credit2_unit *w = unit_of(u);

    if (w->place == WAITING) {
        pheap_remove(&c->waiting[w->slot], &w->node);
        if (!pheap_first(&c->waiting[w->slot]))
            c->present &= ~(1u << w->slot);
    } else if (w->place == PARKED) {
        q->parked -= w->parked;
        list_del(&w->link);
    }
    w->place = NOWHERE;
}

static void unpark(struct runqueue *q, ns_t now)
{
    list_for_each_safe(pos, &queue_of(q)->parked) {
        struct sched_unit *u = list_entry(pos, struct credit2_unit, link)->unit;

        if (out_of_budget(u, now))
            continue;
        dequeue(q, u);
        limit_credit(q, u, 2 * CREDIT_RESET); /* a reset that came meanwhile others keep, too */
        enqueue(q, u, sched_pcpu(u->cpu));
    }
}

/*
 * The first of h that may run on p. Where the heap's first may not, those that may run anywhere are
 * behind it: it is set aside until one comes, which restricted affinity alone costs.
 */
static struct pheap_node *first_allowed(struct pheap *h, const struct sched_pcpu *p)
{
    struct pheap_node *aside = NULL, *n;

    while ((n = pheap_first(h)) && !sched_allowed(unit_at(n), p->cpu)) {
        pheap_remove(h, n);
        n->next = aside;
        aside = n;
    }
    while (aside) {
        struct pheap_node *next = aside->next;

        pheap_reinsert(h, aside);
        aside = next;
    }
    return n;
}

/* How far behind the unit of n is for a pcpu where it does not wait. */
static u64 rank_elsewhere(const struct pheap_node *n)
{
    return n->key == RANK_FIRST ? RANK_FIRST : n->key + container_of(n, struct credit2_unit, node)->resist;
}

/* The waiting unit that a pcpu had best run, and its rank there; the least rank of the other heaps' first. */
struct candidate {
    struct sched_unit *unit;     /* NULL, and RANK_NONE: none may run there */
    u64 rank, other;
};

static __attribute__((noinline)) struct candidate first_of_several(struct runqueue *q, const struct sched_pcpu *p)
{
    struct credit2_queue *c = queue_of(q);
    struct candidate best = {NULL, RANK_NONE, RANK_NONE};
    u32 own = p->q == q ? cpu_of(p)->slot : RUNQUEUE_CPUS;

    for (u32 left = c->present; left; left &= left - 1) {
        u32 slot = (u32)__builtin_ctz(left);
        struct pheap_node *n = pheap_first(&c->waiting[slot]);
        u64 rank = slot == own ? n->key : rank_elsewhere(n);

        if (rank > best.other || (!sched_allowed(unit_at(n), p->cpu) && !(n = first_allowed(&c->waiting[slot], p))))
            continue;
        rank = slot == own ? n->key : rank_elsewhere(n);
        if (rank < best.rank || (rank == best.rank && slot == own)) {
            best.other = best.rank;
            best.rank = rank;
            best.unit = unit_at(n);
        } else if (rank < best.other) {
            best.other = rank;
        }
    }
    return best;
}

/* Of q, for p; q is p's own runqueue or another. */
static inline struct candidate first_for(struct runqueue *q, const struct sched_pcpu *p)
{
    u32 own = cpu_of(p)->slot;

    if (likely(queue_of(q)->present == 1u << own && p->q == q)) {
        struct pheap_node *n = pheap_first(&queue_of(q)->waiting[own]);

        if (likely(sched_allowed(unit_at(n), p->cpu)))
            return (struct candidate){unit_at(n), n->key, RANK_NONE};
    }
    return first_of_several(q, p);
}

/* ---- the operations ---- */

static void credit2_pool_init(struct cpupool *pool, ns_t now)
{
    struct credit2_pool *c = pool->priv;

    spin_lock_init(&c->lock, LOCK_POLICY);
    c->given = GIVEN_START;
}

static void credit2_queue_init(struct runqueue *q, ns_t now)
{
    list_init(&queue_of(q)->parked);
}

static void credit2_cpu_init(struct sched_pcpu *p)
{
    cpu_of(p)->slot = queue_of(p->q)->nr_slots++ % RUNQUEUE_CPUS;
}

static void credit2_domain_init(struct sched_domain *dom, ns_t now)
{
    budget_set(&((struct credit2_domain *)dom->priv)->budget, CAP_PERIOD, dom->cap, now);
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
    HOLD(&pool->lock);

    if (cap != dom->cap)
        budget_set(&d->budget, CAP_PERIOD, cap, now);
    list_for_each(pos, &dom->units)
        set_resist(list_entry(pos, struct sched_unit, node), weight);
    TRACE_sched_credit(dom->domain->id, 0, 0, weight, cap);
}

/* The credit of what p runs, by now. */
static s64 credit_left(const struct sched_pcpu *p, ns_t now)
{
    ns_t ran = now > p->charged ? now - p->charged : 0;

    return credit(p->q, p->curr) - (s64)(cost_of(p->curr, ran) / p->curr->dom->weight);
}

/*
 * Where u, which wakes, shall run: on an idle pcpu of q, and its own first. If it is boosted: on its
 * own, or the one with least credit, if none that was boosted runs or is awaited there. Else where
 * the least credit is, if that is less than u's. NULL: nowhere now.
 */
static struct sched_pcpu *whom_to_preempt(struct runqueue *q, const struct sched_unit *u, ns_t now)
{
    struct sched_pcpu *best = NULL, *own = sched_pcpu(u->cpu);
    bool boosted = unit_of(u)->boosted;
    s64 least = boosted ? INT64_MAX : credit(q, u);

    if (own->online && !own->curr)
        return own;
    cpumask_for_each(cpu, &q->cpus) {
        struct sched_pcpu *p = sched_pcpu(cpu);
        s64 left;

        if (!sched_allowed(u, cpu))
            continue;
        if (!p->curr)
            return p;
        if (boosted && (cpu_of(p)->asked || unit_of(p->curr)->boosted))
            continue;
        left = boosted && p == own ? INT64_MIN : credit_left(p, now);
        if (left < least) {
            least = left;
            best = p;
        }
    }
    return best;
}

/* u wakes: asleep it has earned while its domain slept, as those who were awake had all that is the domain's. It has not saved too much. */
static void earn_asleep(const struct runqueue *q, struct sched_unit *u, u32 others)
{
    struct credit2_unit *w = unit_of(u);
    u64 missed = (others ? READ_ONCE(pool_of(q)->given) : max_of(w->slept, READ_ONCE(domain_of(u)->idle_from))) - w->slept;

    if (w->burned) /* else it is new */
        w->burned += missed - (u64)((credit(q, u) - (s64)missed) * (s64)others);
    limit_credit(q, u, w->burned ? CREDIT_RESET : CREDIT_RESET / 2);
}

static struct sched_wake_result credit2_wake(struct runqueue *q, struct sched_unit *u, ns_t now)
{
    struct sched_wake_result r = {.cpu = u->cpu, .decide_by = NS_NEVER};
    struct sched_pcpu *p = sched_pcpu(u->cpu), *to;
    u32 others = __atomic_fetch_add(&domain_of(u)->competing, 1, __ATOMIC_RELAXED);

    set_resist(u, u->dom->weight);
    if (!u->moved)
        earn_asleep(q, u, others);
    if (out_of_budget(u, now)) {
        park(q, u);
        r.decide_by = budget_period_end(CAP_PERIOD, now);
        return r;
    }
    unit_of(u)->boosted = (!u->moved || unit_of(u)->boosted) && credit(q, u) > 0;
    if (unit_of(u)->boosted && !u->moved)
        TRACE_sched_boost(u->dom->domain->id, u->vcpu->id, (s32)(credit(q, u) / 1000));
    to = whom_to_preempt(q, u, now);
    enqueue(q, u, to ? to : p);
    if (to) {
        cpu_of(to)->asked = true;
        r.preempt = true;
        r.cpu = to->cpu;
    } else if (p->curr) {
        r.decide_by = p->picked_at + sched_slice(q->pool, SLICE_MOST);
    }
    return r;
}

static void credit2_sleep(struct runqueue *q, struct sched_unit *u, ns_t now)
{
    if (u->running)
        limit_credit_of_running(q, u);
    dequeue(q, u);
    unit_of(u)->boosted = false;
    give_back(u);
    unit_of(u)->slept = READ_ONCE(pool_of(q)->given);
    unit_of(u)->burned += (u64)(credit(q, u) - credit(q, u) / (s64)__atomic_fetch_sub(&domain_of(u)->competing, 1, __ATOMIC_RELAXED));
    if (!READ_ONCE(domain_of(u)->competing))
        WRITE_ONCE(domain_of(u)->idle_from, unit_of(u)->slept);
}

static void credit2_charge(struct sched_pcpu *p, struct sched_unit *u, ns_t ran, ns_t now)
{
    struct credit2_unit *c = unit_of(u);
    u64 cost = cost_of(u, ran) + c->rest;

    c->burned += cost / u->dom->weight;
    c->rest = cost % u->dom->weight;
    if (unlikely(c->unlimited)) { /* else who wakes beside it would run for as long as it did */
        c->unlimited = false;
        c->burned = min_of(c->burned, READ_ONCE(pool_of(p->q)->given));
    }
    if (u->dom->cap)
        c->part.taken -= (s64)ran;
    TRACE_sched_tick(u->dom->domain->id, u->vcpu->id, (s32)(credit(p->q, u) / 1000));
}

/*
 * Every BALANCE_PERIOD, and at each decision while what runs here has no credit (all would soon be
 * given some for it), look at another runqueue, taken by chance: has its first clearly more than
 * what is here?
 */
static struct runqueue *credit2_balance(struct sched_pcpu *p, struct sched_unit *prev, ns_t now)
{
    struct runqueue *q = p->q, *from;
    struct credit2_cpu *c = cpu_of(p);
    unsigned int cpu;

    if (now < c->balanced + BALANCE_PERIOD && !(prev && credit(q, prev) <= 0))
        return NULL;
    c->balanced = now;
    cpu = sched_any_of(p, &q->pool->loaded);
    from = cpu == NR_PCPUS ? q : sched_pcpu(cpu)->q;
    if (from == q || READ_ONCE(from->waiting) <= READ_ONCE(from->parked))
        return NULL;
    c->beats = first_for(q, p).rank;
    if (prev)
        c->beats = unit_of(prev)->boosted ? RANK_FIRST : min_of(c->beats, unit_of(prev)->burned);
    if (c->beats != RANK_FIRST)
        return from;
    c->balanced = 0; /* nothing can be taken now: this was no look, or who wakes here every 2 ms would prevent each */
    return NULL;
}

static struct sched_unit *credit2_steal(struct runqueue *q, struct sched_pcpu *p, ns_t now)
{
    for (;;) {
        struct candidate first = first_for(q, p);
        struct sched_unit *u = first.unit;

        if (!u || first.rank >= cpu_of(p)->beats)
            return NULL;
        dequeue(q, u);
        if (!out_of_budget(u, now)) {
            __atomic_fetch_sub(&domain_of(u)->competing, 1, __ATOMIC_RELAXED);
            return u;
        }
        park(q, u);
    }
}

/* Nobody waits here: until u has burned what a reset gives, but no less than it may have beside others. */
static __attribute__((noinline)) ns_t slice_alone(const struct runqueue *q, const struct sched_unit *u)
{
    ns_t most = sched_slice(q->pool, SLICE_ALONE), reset = CREDIT_RESET * u->dom->weight / cost_of(u, 1);

    unit_of(u)->unlimited = q->pool->nr_units <= q->pool->nr_cpus;
    return unit_of(u)->unlimited ? NS_NEVER : min_of(max_of(reset, SLICE_MOST), most);
}

/* How long u may run before the one of rank `next` has more credit, or it has burned what a reset gives. */
static ns_t slice_for(const struct runqueue *q, const struct sched_unit *u, u64 next)
{
    ns_t most = sched_slice(q->pool, SLICE_MOST);
    s64 ahead;

    if (unlikely(!queue_of(q)->present))
        return slice_alone(q, u);
    ahead = unit_of(u)->boosted ? (s64)CREDIT_RESET : (s64)(next - unit_of(u)->burned);
    ahead = min_of(ahead, (s64)CREDIT_RESET) * u->dom->weight / (s64)cost_of(u, 1);
    return min_of((ns_t)max_of(ahead, (s64)min_of(SLICE_LEAST, most)), most);
}

/*
 * What p runs next: prev, or the first that waits, and then prev waits. Those without budget are parked on the
 * way. *next: the least rank of those that wait then.
 */
static struct sched_unit *choose(struct sched_pcpu *p, struct sched_unit *prev, u64 *next, ns_t now)
{
    struct runqueue *q = p->q;
    struct pheap *own = &queue_of(q)->waiting[cpu_of(p)->slot], *from;
    struct candidate first;

    for (;;) {
        first = first_for(q, p);
        if (prev && !(first.unit && (prev->yielded || first.rank < unit_of(prev)->burned))) {
            *next = first.rank;
            if (!out_of_budget(prev, now))
                return prev;
            park(q, prev);
            prev = NULL;
            continue;
        }
        if (!first.unit)
            return NULL;
        if (!out_of_budget(first.unit, now))
            break;
        dequeue(q, first.unit);
        park(q, first.unit);
    }
    from = &queue_of(q)->waiting[unit_of(first.unit)->slot];
    if (prev && from == own && pheap_first(own) == &unit_of(first.unit)->node) {
        unit_of(first.unit)->place = NOWHERE;
        note_waiting(prev, p);
        pheap_replace_first(own, &unit_of(prev)->node);
    } else {
        dequeue(q, first.unit);
        if (prev)
            enqueue(q, prev, p);
    }
    *next = first.other;
    if (pheap_first(own))
        *next = min_of(*next, pheap_first(own)->key);
    if (from != own && pheap_first(from))
        *next = min_of(*next, rank_elsewhere(pheap_first(from)));
    return first.unit;
}

/* u, which runs boosted, goes on: this decision is not for the end of its slice, and it has credit. Else it is boosted no more. */
static __attribute__((noinline)) bool boost_lasts(const struct sched_pcpu *p, struct sched_unit *u, ns_t now)
{
    return unit_of(u)->boosted = !u->yielded && now < p->started + sched_slice(p->q->pool, SLICE_MOST) &&
                                 credit(p->q, u) > (s64)MICROSECS(1) && !out_of_budget(u, now);
}

/* u, the first, has no credit: everybody gets some. @return what u has then. */
static __attribute__((noinline)) s64 reset(const struct runqueue *q, const struct sched_unit *u)
{
    struct credit2_pool *pool = pool_of(q);
    u64 given = (u64)(-credit(q, u)) / CREDIT_RESET * CREDIT_RESET + CREDIT_RESET;

    TRACE_sched_reset(q->first, (s32)(credit(q, u) / 1000), given);
    __atomic_fetch_add(&pool->given, given, __ATOMIC_RELAXED);
    return credit(q, u);
}

/**
 * Choose what runs next on this pcpu: the one with most credit, of those that wait at it, if no other
 * has clearly more. O(log n) where units may run anywhere, and O(n) when capped domains come back.
 */
static struct sched_choice credit2_pick(struct sched_pcpu *p, struct sched_unit *prev, ns_t now)
{
    struct runqueue *q = p->q;
    struct credit2_queue *c = queue_of(q);
    struct sched_choice choice = {.slice = NS_NEVER, .why = SCHED_IDLE};
    struct sched_unit *u;
    u64 next = RANK_NONE;

    cpu_of(p)->asked = false;
    cpu_of(p)->beats = RANK_NONE;
    if (prev) {
        give_back(prev);
        if (unlikely(prev->yielded))
            limit_credit(q, prev, CREDIT_RESET);
        else
            limit_credit_of_running(q, prev);
    }
    if (unlikely(!list_empty(&c->parked)))
        unpark(q, now);
    u = prev && unlikely(unit_of(prev)->boosted) && boost_lasts(p, prev, now) ? prev : choose(p, prev, &next, now);
    if (u) {
        s64 had = credit(q, u);

        if (had <= 0)
            had = reset(q, u);
        unit_of(u)->had = had;
        choice.unit = u;
        choice.slice = slice_for(q, u, next);
        choice.why = unit_of(u)->boosted ? SCHED_BOOST : choice.slice == NS_NEVER ? SCHED_ONLY : SCHED_TURN;
        if (u->dom->cap) {
            ns_t budget = take_budget(u, now);

            choice.slice = min_of(choice.slice, budget);
        }
    }
    if (unlikely(!list_empty(&c->parked)))
        choice.slice = min_of(choice.slice, budget_period_end(CAP_PERIOD, now) - now);
    return choice;
}

SCHED_POLICY(credit2, .doc = "a queue for each socket, credit burned by weight, units stay where they ran", .span = SPAN_SOCKET,
             .pool_size = sizeof(struct credit2_pool), .queue_size = sizeof(struct credit2_queue),
             .cpu_size = sizeof(struct credit2_cpu), .domain_size = sizeof(struct credit2_domain),
             .unit_size = sizeof(struct credit2_unit), .pool_init = credit2_pool_init, .queue_init = credit2_queue_init,
             .cpu_init = credit2_cpu_init, .domain_init = credit2_domain_init, .unit_init = credit2_unit_init,
             .params = credit2_params, .place = sched_place_by_length, .wake = credit2_wake, .sleep = credit2_sleep,
             .charge = credit2_charge, .balance = credit2_balance, .steal = credit2_steal, .pick = credit2_pick);

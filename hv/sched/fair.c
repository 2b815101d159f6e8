/* SPDX-License-Identifier: MIT */
/*
 * Weights and caps by virtual time: see fair.h.
 */
#include "fair.h"

#include "trace/trace.h"

/* ---- virtual time ---- */

/* Weight or pcpus have changed. Without anybody that shares, V runs as with normal weight on each pcpu, and debts fade. */
static void recount(struct fair_pool *p)
{
    p->fluid_cpus = (u64)max_of(p->cpus, 1);
    p->fluid_weight = p->weight ? CPU_WORTH * p->weight : p->fluid_cpus * SCHED_WEIGHT_NORMAL;
    p->counts++;
}

static inline void advance(struct fair_pool *p, ns_t now)
{
    u64 passed = now - p->updated, ticks;

    p->updated = now;
    if (unlikely(passed >> 31)) { /* seconds without a decision: exactness is not what matters */
        ticks = min_of(passed, 1ull << 46) * p->fluid_cpus / p->fluid_weight << VT_SHIFT;
    } else {
        passed = (passed * p->fluid_cpus << VT_SHIFT) + p->rest;
        ticks = passed / p->fluid_weight;
        p->rest = passed % p->fluid_weight;
    }
    p->vt += ticks;
    p->fluid += ticks;
}

s32 fair_credit_us(const struct fair_domain *d, u64 vt)
{
    return (((s64)(vt - d->vt) >> 10) * d->weight >> (VT_SHIFT - 10)) / 1000;
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

/* Its weight would give it as much as it can use, or more: what it does not get at once it gets never. */
static bool too_heavy(const struct fair_pool *p, const struct fair_domain *d)
{
    return (s64)d->weight * p->cpus >= (s64)(d->worth * p->weight);
}

/* What a unit of d that always runs is charged, from any one time to now: a full domain's keeps up with V. Where domains may be full. */
static u64 price(const struct fair_pool *p, const struct fair_domain *d)
{
    if (d->set == FAIR_FULL)
        return d->price + (p->fluid - d->price_fluid) / d->worth * CPU_WORTH;
    return d->price + ((p->updated - d->price_at) << VT_SHIFT) / d->weight;
}

/* A full domain is as far from V, whoever came and went. */
static void follow(const struct fair_pool *p, struct fair_domain *d)
{
    if (d->set != FAIR_FULL)
        return;
    d->vt += p->along - d->along;
    d->along = p->along;
}

static void leave_set(struct fair_pool *p, struct fair_domain *d)
{
    d->price = price(p, d);
    d->price_fluid = p->fluid;
    d->price_at = p->updated;
    if (d->set == FAIR_FULL) {
        pheap_remove(&p->full, &d->node);
        p->cpus += d->worth;
        d->first = false;
        follow(p, d);
        d->vt = max_of(d->vt, p->vt - d->saved); /* it had what it could use: no more savings than it came with */
    } else if (d->set != FAIR_OUT) {
        if (d->set == FAIR_SHARING)
            pheap_remove(&p->sharing, &d->node);
        p->weight -= d->weight;
    }
    d->set = FAIR_OUT;
}

static void share(struct fair_pool *p, struct fair_domain *d)
{
    p->weight += d->weight;
    d->set = p->fills ? FAIR_SHARING : FAIR_ALONE;
    if (p->fills) {
        d->node.key = ~(((u64)d->weight << 32) / d->worth);
        pheap_insert(&p->sharing, &d->node);
    }
}

static void fill(struct fair_pool *p, struct fair_domain *d)
{
    p->cpus -= d->worth;
    d->set = FAIR_FULL;
    d->along = p->along;
    d->saved = fair_under(p, d) ? p->vt - d->vt : 0;
    d->node.key = ((u64)d->weight << 32) / d->worth;
    pheap_insert(&p->full, &d->node);
    d->first = d->worth == CPU_WORTH * d->competing;
    if (!d->first)
        return;
    list_for_each_safe(pos, &d->waiting) { /* they go before all others now */
        struct sched_unit *u = list_entry(pos, struct fair_unit, in_domain)->unit;

        if (fair_unit(u)->place != FAIR_BOOSTED && fair_unit(u)->node.key != FAIR_FULL_KEY && !fair_unit(u)->gave_way) {
            fair_dequeue(sched_pcpu(u->cpu)->q, u);
            fair_enqueue(sched_pcpu(u->cpu)->q, u);
        }
    }
}

/*
 * Somebody's weight or units, or the pcpus, have changed: who is too heavy is full, who is not any
 * more shares again. Moving one leaves those heavier than it where they are, so this ends.
 */
static void settle(struct fair_pool *p)
{
    for (;;) {
        struct pheap_node *n = pheap_first(&p->sharing);
        struct fair_domain *d;

        if (n && too_heavy(p, domain_at(n))) {
            d = domain_at(n);
            leave_set(p, d);
            fill(p, d);
            continue;
        }
        n = pheap_first(&p->full);
        if (!n || too_heavy(p, domain_at(n)))
            return;
        d = domain_at(n);
        leave_set(p, d);
        share(p, d);
    }
}

/*
 * d comes, or goes, with its debt or with the credit that it may save: V moves to where those who share then are on average, by weight.
 * Else what sleepers spend would be nobody's, and who never sleeps fall further and further behind V. What counts is the credit that it
 * has while it is away, within the same limits both ways: so coming and going move nothing in the end, in whatever order domains do.
 */
static void take_along(struct fair_pool *p, const struct fair_domain *d, bool comes)
{
    s64 part, most = (s64)savings(d), least = -(s64)(DEBT_COUNTED << VT_SHIFT) / d->weight, lag;

    if (d->set == FAIR_FULL || p->weight == d->weight) /* nobody shares with it */
        return;
    part = (s64)(((u64)d->weight << PART_SHIFT) / p->weight);
    lag = max_of(min_of((s64)(p->vt - d->vt), most), least);
    if (!comes)
        lag = max_of(min_of(lag * (1 << PART_SHIFT) / ((1 << PART_SHIFT) - part), most), least);
    lag = comes ? -(lag * part >> PART_SHIFT) : lag * part >> PART_SHIFT;
    p->vt += (u64)lag;
    p->along += (u64)lag;
}

/* d has another number of units that compete, or another weight or cap. */
static void count_units(struct fair_pool *p, struct fair_domain *d, u32 competing, u16 weight, u16 cap)
{
    bool comes = !d->competing;

    if (!competing && !comes)
        take_along(p, d, false);
    leave_set(p, d);
    p->capped += (cap && competing) - (d->cap && d->competing);
    d->competing = competing;
    d->weight = weight;
    d->cap = cap;
    d->worth = CPU_WORTH * competing;
    if (cap) {
        d->worth = min_of(d->worth, (u32)cap);
        p->fills = true;
    }
    if (competing)
        share(p, d);
    if (p->fills)
        settle(p);
    recount(p);
    if (competing && comes)
        take_along(p, d, true);
}

void fair_compete(struct fair_pool *p, struct sched_unit *u)
{
    struct fair_domain *d = fair_domain(u);

    if (fair_unit(u)->competes) /* it moves only */
        return;
    fair_unit(u)->competes = true;
    if (!d->competing && !u->moved)
        d->vt = vt_saved(p, d);
    if (d->competing && !p->fills)
        d->competing++;
    else
        count_units(p, d, d->competing + 1, d->weight, d->cap);
}

void fair_stop_competing(struct fair_pool *p, struct sched_unit *u)
{
    struct fair_domain *d = fair_domain(u);

    fair_unit(u)->competes = false;
    if (d->competing > 1 && !p->fills)
        d->competing--;
    else
        count_units(p, d, d->competing - 1, d->weight, d->cap);
}

void fair_advance(struct fair_pool *p, const struct cpupool *pool, ns_t now)
{
    if (now > p->updated)
        advance(p, now);
    if (unlikely(p->nr_cpus != pool->nr_cpus)) {
        p->cpus += CPU_WORTH * ((s64)pool->nr_cpus - p->nr_cpus);
        p->nr_cpus = pool->nr_cpus;
        p->fills |= pool->several;
        settle(p);
        recount(p);
    }
}

/*
 * How long a unit of d may run at a time while others wait. The square: units of a domain run
 * together, and what they are ahead then, one with a single unit makes up for slowly.
 */
static inline ns_t slice_of(const struct fair_pool *p, const struct cpupool *pool, struct fair_domain *d)
{
    ns_t most = p->capped ? SLICE_CAPPED : p->nr_cpus > 1 ? SLICE_SEVERAL : SLICE;
    u64 share, beside;

    if (pool->t.slice)
        return p->capped ? min_of(pool->t.slice, SLICE_CAPPED) : pool->t.slice;
    if (likely(d->slice_count == p->counts))
        return d->slice;
    d->slice_count = p->counts;
    if (d->set == FAIR_FULL || !d->competing)
        return d->slice = most;
    beside = min_of(d->competing, (u32)p->nr_cpus);
    share = SHARE_PERIOD * d->weight * p->fluid_cpus / (p->fluid_weight * beside * beside);
    return d->slice = min_of(max_of(share, SLICE_SHORTEST), most);
}

/* ---- making, unmaking, parameters ---- */

void fair_pool_init(struct cpupool *pool, ns_t now)
{
    struct fair_pool *p = pool->priv;

    spin_lock_init(&p->lock, LOCK_POLICY);
    p->vt = VT_START;
    recount(p);
    p->updated = now;
}

void fair_queue_init(struct runqueue *q, ns_t now)
{
    struct fair_queue *f = fair_queue(q);

    list_init(&f->boosted);
    list_init(&f->parked);
    list_init(&f->pins);
    f->q = q;
}

void fair_domain_init(struct sched_domain *dom, ns_t now)
{
    struct fair_domain *d = dom->priv;
    struct fair_pool *p = fair_lock(dom->pool, now);

    d->vt = p->vt;
    d->weight = dom->weight;
    d->cap = dom->cap;
    budget_set(&d->budget, CAP_PERIOD, dom->cap, now);
    d->dom = dom;
    list_init(&d->waiting);
    fair_unlock(p);
}

void fair_unit_init(struct sched_unit *u)
{
    list_init(&fair_unit(u)->link);
    list_init(&fair_unit(u)->in_domain);
    fair_unit(u)->unit = u;
    fair_unit(u)->domain = fair_domain(u);
}

/* Credit is kept in time: with another weight the same credit is another distance from V. */
void fair_params(struct sched_domain *dom, u16 weight, u16 cap, ns_t now)
{
    struct fair_domain *d = dom->priv;
    struct fair_pool *p = fair_lock(dom->pool, now);

    follow(p, d);
    d->vt = vt_saved(p, d);
    if (fair_under(p, d))
        d->vt = p->vt - (p->vt - d->vt) * d->weight / weight;
    else
        d->vt = p->vt + (d->vt - p->vt) * d->weight / weight;
    count_units(p, d, d->competing, weight, cap);
    if (cap != dom->cap)
        budget_set(&d->budget, CAP_PERIOD, cap, now);
    TRACE_sched_credit(dom->domain->id, 0, fair_credit_us(d, p->vt), weight, cap);
    fair_unlock(p);
}

void fair_cpus_change(struct cpupool *pool, ns_t now)
{
    fair_unlock(fair_lock(pool, now));
}

/* Says so with V as it is by now, and unlocks. */
static __attribute__((noinline)) void end_charge(struct fair_pool *p, const struct sched_unit *u, ns_t now)
{
    TRACE_sched_tick(u->dom->domain->id, u->vcpu->id, fair_credit_us(fair_domain(u), p->vt + (u64)vt_of(p, (s64)(now - p->updated))));
    fair_unlock(p);
}

static __always_inline_ void charge_locked(struct fair_pool *p, struct sched_unit *u, ns_t ran, ns_t now)
{
    struct fair_unit *f = fair_unit(u);
    struct fair_domain *d = f->domain;
    u64 ticks = (ran << VT_SHIFT) + d->rest;

    if (p->fills && f->price != FAIR_UNPRICED) { /* else V may be as it was */
        if (now > p->updated)
            advance(p, now);
        d->vt -= f->price;
        f->price = price(p, d);
        d->vt += f->price;
        follow(p, d);
    } else {
        d->vt += ticks / d->weight;
        d->rest = ticks % d->weight;
    }
    f->used += ran;
    if (u->dom->cap)
        f->part.taken -= (s64)ran;
    end_charge(p, u, now);
}

static __attribute__((noinline)) void wait_and_charge(struct fair_pool *p, struct sched_unit *u, ns_t ran, ns_t now)
{
    spin_lock(&p->lock);
    charge_locked(p, u, ran, now);
}

/* Nothing in it returns here: no register is saved. */
void fair_charge(struct sched_pcpu *pcpu, struct sched_unit *u, ns_t ran, ns_t now)
{
    struct fair_pool *p = fair_pool(pcpu->q->pool);

    if (likely(spin_trylock(&p->lock)))
        charge_locked(p, u, ran, now);
    else
        wait_and_charge(p, u, ran, now);
}

bool fair_out_of_budget(const struct sched_unit *u, ns_t now)
{
    return unlikely(u->dom->cap) && budget_is_gone(&fair_domain(u)->budget, now);
}

/* ---- queues ---- */

/* The key of the first that waits (anywhere: and that any pcpu may take), 0: a boosted one, ~0: none. */
static u64 first_key(struct runqueue *q, bool anywhere)
{
    struct fair_queue *f = fair_queue(q);
    struct pheap_node *n = pheap_first(&f->waiting);

    list_for_each(pos, &f->boosted)
        if (!anywhere || !list_entry(pos, struct fair_unit, link)->unit->restricted)
            return 0;
    return n ? n->key : ~0ull;
}

static __attribute__((noinline)) void relist_among_several(struct runqueue *q)
{
    struct fair_queue *f = fair_queue(q);
    struct fair_pool *p = fair_pool(q->pool);
    u64 key = first_key(q, true);

    if (f->listed && f->node.key == key)
        return;
    if (f->listed)
        pheap_remove(&p->queues, &f->node);
    f->listed = key != ~0ull;
    if (f->listed) {
        f->node.key = key;
        pheap_insert(&p->queues, &f->node);
    }
}

/* The queue's first has changed: so has its place among the pool's. */
static inline void relist(struct runqueue *q)
{
    if (q->pool->nr_queues > 1)
        relist_among_several(q);
}

static struct sched_unit *unit_at(struct pheap_node *n)
{
    return container_of(n, struct fair_unit, node)->unit;
}

/* Others of its domain have had a slice for each of the domain's units, or more, since u came to wait. */
static __attribute__((noinline)) bool overdue(const struct sched_unit *u)
{
    const struct fair_domain *d = fair_domain(u);
    u64 set_back = fair_unit(u)->set_back;

    return set_back && set_back >= (d->competing * sched_slice(u->dom->pool, SLICE) << VT_SHIFT) / d->weight;
}

static void enqueue_at(struct runqueue *q, struct sched_unit *u, u64 key)
{
    struct fair_queue *f = fair_queue(q);
    struct fair_unit *c = fair_unit(u);

    c->node.key = key;
    list_add_tail(&fair_domain(u)->waiting, &c->in_domain);
    if (likely(!u->restricted)) {
        c->place = FAIR_WAITING;
        pheap_insert(&f->waiting, &c->node);
        relist(q);
    } else {
        c->place = FAIR_PINNED;
        pheap_insert(&f->pinned, &c->node);
        list_add_tail(&f->pins, &c->link);
        f->special++;
        fair_pool(q->pool)->nr_pinned++;
    }
}

void fair_enqueue(struct runqueue *q, struct sched_unit *u)
{
    enqueue_at(q, u, fair_key(fair_unit(u)));
}

/* Before all others but those boosted before, or (first) before these too. */
static void enqueue_boosted(struct runqueue *q, struct sched_unit *u, bool first)
{
    struct fair_queue *f = fair_queue(q);
    struct fair_unit *c = fair_unit(u);

    c->place = FAIR_BOOSTED;
    list_add_tail(&fair_domain(u)->waiting, &c->in_domain);
    f->special++;
    (first ? list_add_head : list_add_tail)(&f->boosted, &c->link);
    relist(q);
}

void fair_put_back(struct runqueue *q, struct sched_unit *u)
{
    if (fair_unit(u)->in_boost)
        enqueue_boosted(q, u, true);
    else
        fair_enqueue(q, u);
}

void fair_park(struct runqueue *q, struct sched_unit *u)
{
    fair_unit(u)->place = FAIR_PARKED;
    fair_unit(u)->left = 0;
    fair_unit(u)->parked = !u->pinned;
    q->parked += fair_unit(u)->parked;
    fair_pool(q->pool)->nr_parked++;
    fair_queue(q)->special++;
    list_add_tail(&fair_queue(q)->parked, &fair_unit(u)->link);
}

void fair_dequeue(struct runqueue *q, struct sched_unit *u)
{
    struct fair_queue *f = fair_queue(q);
    struct fair_unit *c = fair_unit(u);
    u8 place = c->place;

    if (place == FAIR_NOWHERE)
        return;
    c->place = FAIR_NOWHERE;
    if (place != FAIR_PARKED)
        list_del(&c->in_domain);
    if (place == FAIR_WAITING) {
        pheap_remove(&f->waiting, &c->node);
        relist(q);
        return;
    }
    list_del(&c->link);
    f->special--;
    if (place == FAIR_PINNED) {
        pheap_remove(&f->pinned, &c->node);
        fair_pool(q->pool)->nr_pinned--;
    } else if (place == FAIR_BOOSTED) {
        relist(q);
    } else {
        q->parked -= c->parked;
        fair_pool(q->pool)->nr_parked--;
    }
}

/* A period has begun: the parked that have budget wait again. */
static void unpark(struct runqueue *q, ns_t now)
{
    list_for_each_safe(pos, &fair_queue(q)->parked) {
        struct sched_unit *u = list_entry(pos, struct fair_unit, link)->unit;

        if (fair_out_of_budget(u, now))
            continue;
        fair_dequeue(q, u);
        fair_enqueue(q, u);
    }
}

/* The first of a list of units that may run on p. */
static struct sched_unit *first_allowed(struct list *list, const struct sched_pcpu *p)
{
    struct sched_unit *best = NULL;

    list_for_each(pos, list) {
        struct sched_unit *u = list_entry(pos, struct fair_unit, link)->unit;

        if (!sched_allowed(u, p->cpu))
            continue;
        if (fair_unit(u)->place == FAIR_BOOSTED)
            return u;
        if (!best || fair_unit(u)->node.key < fair_unit(best)->node.key)
            best = u;
    }
    return best;
}

/* Others of its domain ran meanwhile: it stands further back now, but before these; if it is not overdue. True: it moved. */
static inline bool set_back(struct pheap *h, struct pheap_node *n)
{
    u64 key = fair_key(container_of(n, struct fair_unit, node));

    if (likely(n->key >= key) || overdue(unit_at(n)))
        return false;
    fair_unit(unit_at(n))->set_back += key - n->key;
    pheap_remove(h, n);
    n->key = key;
    pheap_reinsert(h, n);
    return true;
}

/* The first of the heap, where it stands by now. */
static inline struct pheap_node *first_waiting(struct runqueue *q)
{
    struct fair_queue *f = fair_queue(q);
    struct pheap_node *n;

    while ((n = pheap_first(&f->waiting)) && set_back(&f->waiting, n))
        relist(q);
    return n;
}

struct sched_unit *fair_take_first(struct runqueue *q, const struct sched_pcpu *p, ns_t now)
{
    struct fair_queue *f = fair_queue(q);

    for (;;) {
        struct sched_unit *u = first_allowed(&f->boosted, p);
        bool boost = u;

        if (likely(!u)) {
            struct pheap_node *n = first_waiting(q);

            if (n)
                u = unit_at(n);
            if (unlikely(!list_empty(&f->pins))) {
                struct sched_unit *pin;

                while (set_back(&f->pinned, pheap_first(&f->pinned)))
                    ;
                pin = unit_at(pheap_first(&f->pinned));
                if (!sched_allowed(pin, p->cpu))
                    pin = first_allowed(&f->pins, p);
                if (pin && (!u || fair_unit(pin)->node.key < fair_unit(u)->node.key))
                    u = pin;
            }
            if (!u)
                return NULL;
        }
        fair_dequeue(q, u);
        fair_unit(u)->in_boost = boost;
        if (!fair_out_of_budget(u, now))
            return u;
        fair_park(q, u);
    }
}

/* What is left of the slice in which a unit, which ran, was preempted. */
static inline ns_t rest_of_slice(const struct fair_unit *c, bool yielded)
{
    return c->in_boost || yielded || c->used + SLICE_LEAST > c->turn ? 0 : c->turn - c->used;
}

void fair_before_pick(struct sched_pcpu *p, struct sched_unit *prev, ns_t now)
{
    if (prev) {
        fair_give_back(prev);
        fair_unit(prev)->left = rest_of_slice(fair_unit(prev), prev->yielded);
        fair_unit(prev)->gave_way = prev->yielded;
        if (prev->yielded)
            fair_domain(prev)->vt = vt_saved(fair_pool(p->q->pool), fair_domain(prev));
    }
    if (unlikely(!list_empty(&fair_queue(p->q)->parked)))
        unpark(p->q, now);
}

struct sched_unit *fair_take_next(struct sched_pcpu *p, struct sched_unit *prev, ns_t now)
{
    struct runqueue *q = p->q;
    struct sched_unit *u, *next;

    if (prev)
        fair_enqueue(q, prev);
    u = fair_take_first(q, p, now);
    if (u && u == prev && u->yielded && (next = fair_take_first(q, p, now))) {
        fair_enqueue(q, u);
        u = next;
    }
    return u;
}

struct runqueue *fair_balance(struct sched_pcpu *p, struct sched_unit *prev, ns_t now)
{
    struct runqueue *q = p->q;
    struct fair_pool *pool = fair_lock(q->pool, now);
    struct pheap_node *n = pheap_first(&pool->queues);
    struct runqueue *from = n ? container_of(n, struct fair_queue, node)->q : NULL;
    u64 mine = first_key(q, false);

    /* Where restricted affinity wastes what V gives, it follows the others, or who slept would go before them for long. */
    if (n && unlikely(n->key > pool->vt + DEBT_MOST))
        pool->vt = n->key - DEBT_MOST;
    prev = fair_with_budget(prev, now);
    if (prev && fair_unit(prev)->in_boost && fair_unit(prev)->used < fair_unit(prev)->turn / BOOST_PART)
        mine = 0;
    else if (prev)
        mine = min_of(mine, fair_key(fair_unit(prev)));
    if (from == q || (from && mine != ~0ull && n->key + (u64)vt_of(pool, (s64)(sched_slice(q->pool, SLICE) / BALANCE_PART)) >= mine))
        from = NULL;
    fair_unlock(pool);
    return from;
}

struct sched_unit *fair_steal(struct runqueue *q, struct sched_pcpu *p, ns_t now)
{
    struct fair_pool *pool = fair_lock(q->pool, now);
    struct sched_unit *u = fair_take_first(q, p, now);

    fair_unlock(pool);
    return u;
}

struct sched_wake_result fair_wake(struct runqueue *q, struct sched_unit *u, ns_t now)
{
    struct fair_pool *pool = fair_lock(q->pool, now);
    struct sched_pcpu *p = sched_pcpu(u->cpu);
    struct sched_wake_result r = {.decide_by = NS_NEVER, .cpu = u->cpu, .preempt = !p->curr};
    struct fair_unit *curr = p->curr ? fair_unit(p->curr) : NULL;

    if (!u->moved)
        fair_unit(u)->left = fair_unit(u)->set_back = fair_unit(u)->gave_way = 0;
    fair_compete(pool, u);
    if (fair_out_of_budget(u, now)) {
        fair_park(q, u);
        r.decide_by = budget_period_end(CAP_PERIOD, now);
        r.preempt = false;
        fair_unlock(pool);
        return r;
    }
    if ((!u->moved || fair_unit(u)->in_boost) && fair_under(pool, fair_domain(u))) {
        enqueue_boosted(q, u, false);
        TRACE_sched_boost(u->dom->domain->id, u->vcpu->id, fair_credit_us(fair_domain(u), pool->vt));
        r.preempt |= !curr || !curr->in_boost;
    } else {
        enqueue_at(q, u, u->moved && overdue(u) ? fair_unit(u)->node.key : fair_key(fair_unit(u)));
    }
    /* What runs had no limit if it was alone: its slice counts from when it was picked. */
    if (curr)
        r.decide_by = p->picked_at + (curr->in_boost ? curr->turn / BOOST_PART : curr->turn);
    fair_unlock(pool);
    return r;
}

void fair_sleep(struct runqueue *q, struct sched_unit *u, ns_t now)
{
    struct fair_pool *p = fair_lock(q->pool, now);

    fair_stop_competing(p, u);
    fair_dequeue(q, u);
    fair_give_back(u);
    fair_unlock(p);
}

/* A unit runs on in the slice that it was preempted in, or begins one. @return how long. */
static inline ns_t begin_slice(const struct fair_pool *p, const struct cpupool *pool, struct fair_unit *c)
{
    struct fair_domain *d = c->domain;
    ns_t left = c->left;

    c->gave_way = false;
    c->price = p->fills ? price(p, d) : FAIR_UNPRICED;
    if (left) {
        c->left = 0;
        return left;
    }
    c->set_back = 0;
    c->slice_vt = d->vt;
    c->used = 0;
    return c->turn = slice_of(p, pool, d);
}

/* With more units than pcpus one may come to wait elsewhere, and nobody would say so. */
static inline bool others_may_come(const struct cpupool *pool)
{
    return pool->nr_cpus > 1 && pool->nr_units > pool->nr_cpus;
}

struct sched_choice fair_choice(struct sched_pcpu *pcpu, struct sched_unit *u, ns_t now)
{
    struct runqueue *q = pcpu->q;
    struct fair_queue *f = fair_queue(q);
    const struct cpupool *pool = q->pool;
    struct fair_pool *p = fair_pool(pool);
    struct sched_choice choice = {.unit = u, .slice = NS_NEVER, .why = SCHED_IDLE};
    bool others = pheap_first(&f->waiting) || !list_empty(&f->boosted) || !list_empty(&f->pins);

    if (u) {
        bool boost = fair_unit(u)->in_boost;
        ns_t slice = begin_slice(p, pool, fair_unit(u));

        choice.why = boost ? SCHED_BOOST : !others ? SCHED_ONLY : fair_under(p, fair_domain(u)) ? SCHED_UNDER : SCHED_OVER;
        if (others || others_may_come(pool))
            choice.slice = boost ? slice / BOOST_PART : slice;
        if (u->dom->cap) {
            u32 beside = min_of(fair_domain(u)->competing, (u32)pool->nr_cpus);
            ns_t budget = budget_take(&fair_domain(u)->budget, &fair_unit(u)->part, beside, now);

            choice.slice = min_of(choice.slice, budget);
        }
    }
    if (unlikely(!list_empty(&f->parked)))
        choice.slice = min_of(choice.slice, budget_period_end(CAP_PERIOD, now) - now);
    else if (unlikely(p->nr_parked && u))
        choice.slice = min_of(choice.slice, budget_period_end(CAP_PERIOD, now) + UNPARKED_AFTER - now);
    return choice;
}

/*
 * The three in one for what most decisions are: prev runs on or is swapped with the heap's first, nobody
 * has a cap, or may not run here, or is boosted. False: it is not so.
 */
static __always_inline_ bool pick_quickly(struct sched_pcpu *pcpu, struct sched_unit *prev, struct sched_choice *choice, ns_t now)
{
    struct runqueue *q = pcpu->q;
    struct fair_queue *f = fair_queue(q);
    const struct cpupool *pool = q->pool;
    struct fair_pool *p = fair_pool(pool);
    struct fair_unit *c, *first = NULL;
    struct pheap_node *n;
    u64 key;

    if (unlikely(!prev || f->special || p->capped || prev->restricted))
        return false;
    n = first_waiting(q);
    if (n)
        first = container_of(n, struct fair_unit, node);
    c = fair_unit(prev);
    c->left = rest_of_slice(c, prev->yielded);
    c->gave_way = prev->yielded;
    if (unlikely(prev->yielded)) {
        fair_advance(p, pool, now);
        c->domain->vt = vt_saved(p, c->domain);
    }
    key = fair_key(c);
    if (n && (key >= n->key || prev->yielded)) {
        first->place = FAIR_NOWHERE;
        list_del(&first->in_domain);
        c->place = FAIR_WAITING;
        c->node.key = key;
        list_add_tail(&c->domain->waiting, &c->in_domain);
        pheap_replace_first(&f->waiting, &c->node);
        relist(q);
        c = first;
    }
    c->in_boost = false;
    choice->unit = c->unit;
    choice->slice = begin_slice(p, pool, c);
    if (!fair_under(p, c->domain) && now > p->updated) /* who is under is so by now, too */
        advance(p, now);
    choice->why = fair_under(p, c->domain) ? SCHED_UNDER : SCHED_OVER;
    if (!n) {
        choice->why = SCHED_ONLY;
        if (!others_may_come(pool))
            choice->slice = NS_NEVER;
    }
    choice->relieve = false;
    return true;
}

struct sched_choice fair_pick(struct sched_pcpu *p, struct sched_unit *prev, ns_t now)
{
    struct fair_pool *pool = fair_pool(p->q->pool);
    struct sched_choice choice;

    spin_lock(&pool->lock);
    if (unlikely(pool->nr_cpus != p->q->pool->nr_cpus || !pick_quickly(p, prev, &choice, now))) {
        fair_advance(pool, p->q->pool, now);
        fair_before_pick(p, prev, now);
        choice = fair_choice(p, fair_take_next(p, prev, now), now);
    }
    fair_unlock(pool);
    return choice;
}

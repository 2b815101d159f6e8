/* SPDX-License-Identifier: MIT */
/*
 * Weights and caps by virtual time: see fair.h.
 */
#include "fair_clock.h"

#include "trace/trace.h"

/* Credit in us of processor time when V is vt, for the trace. */
static s32 credit_us(const struct fair_domain *d, u64 vt)
{
    return (((s64)(vt - d->vt) >> 10) * d->weight >> (VT_SHIFT - 10)) / 1000;
}

/* ---- beside caps ---- */

/* How long d's units that wait may still do so before all have to run until the period ends, or its budget is lost (no cap: pcpus idle). */
static s64 laxity(struct fair_pool *p, struct fair_domain *d, ns_t now)
{
    s64 length = (s64)(budget_period_end(CAP_PERIOD, now) - now), units = min_of(d->competing, (u32)p->nr_cpus), need, budget;

    charge_running(p, d);
    need = ((s64)(p->vt - d->vt) + vt_of(p, length)) * d->weight >> VT_SHIFT;
    if (d->cap) {
        bool gone = budget_is_gone(&d->budget, now);

        budget = d->budget.left + (s64)(d->until - d->timed * now);
        need = gone || d->set == FAIR_FULL ? budget : min_of(need, budget);
    }
    return length - need / units;
}

/*
 * Beside caps, where pcpus can come to idle because the others have used what they may: who cannot wait any more goes first. With one
 * deadline for all, the period's end, nothing is lost by that as long as all need no more than there is, in whatever order the others
 * run. Of many domains there is always one that has something left. @return how long these can wait.
 */
static ns_t urge(struct fair_pool *p, ns_t now)
{
    bool few = p->capped && p->nr_domains <= URGED_MOST * p->nr_cpus;
    s64 least = (s64)SLICE;
    u32 free = 0;

    if (!few && !p->urged)
        return SLICE;
    p->urged = p->owed &= few;
    list_for_each(pos, &p->competing) {
        struct fair_domain *d = list_entry(pos, struct fair_domain, in_pool);
        s64 left = whole(d) ? 0 : p->owed ? laxity(p, d, now) : (s64)SLICE;

        free += d->set == FAIR_FULL && !whole(d) ? 0 : d->competing;
        go_first(d, left < (s64)BUDGET_LEAST);
        if (!d->first && !list_empty(&d->waiting))
            least = min_of(least, left);
    }
    p->owed = few && free < p->nr_cpus;
    return (ns_t)least;
}

/* ---- who comes and goes ---- */

/* d, which does not share, is about to come: who is full no more beside it shares before. It wakes (or has moved only). */
static void come_back(struct fair_pool *p, struct fair_domain *d, bool wakes)
{
    u64 passed = min_of(p->fluid - d->charged_fluid, FADES_MOST);

    while (p->fills && unfill(p, d->weight))
        ;
    follow(p, d);
    if (!wakes)
        return;
    d->saved -= min_of(d->saved, passed * p->weight / (p->weight + d->weight));
    d->vt = max_of(d->vt, p->vt - min_of(d->saved, savings(d)));
}

/* d has another number of units that compete, or another weight or cap. */
static void count_units(struct fair_pool *p, struct fair_domain *d, u32 competing, u16 weight, u16 cap)
{
    bool shared = d->set != FAIR_OUT && d->set != FAIR_FULL;

    leave_set(p, d);
    if (weight != d->weight) /* credit is kept in time: that is another distance from V */
        d->vt = p->vt - (u64)((s64)(p->vt - vt_saved(p, d)) * d->weight / weight);
    list_del(&d->in_pool);
    p->nr_domains += (competing != 0) - (d->competing != 0);
    p->capped += (cap && competing) - (d->cap && d->competing);
    d->competing = competing;
    d->weight = weight;
    d->cap = cap;
    d->worth = CPU_WORTH * max_of(competing, 1u);
    if (cap) {
        d->worth = min_of(d->worth, (u32)cap);
        p->fills = true;
    }
    if (competing) {
        list_add_tail(&p->competing, &d->in_pool);
        share(p, d);
    } else {
        d->first = false;
        d->saved = fair_under(p, d) ? p->vt - d->vt : 0;
        if (shared && !fair_under(p, d)) {
            share(p, d);
            d->lingers.key = d->vt;
            pheap_insert(&p->lingering, &d->lingers);
        }
    }
    if (p->fills)
        settle(p);
    recount(p);
    if (unlikely(p->urged && !p->capped)) /* nobody is any more */
        (void)urge(p, p->updated);
}

/*
 * u wants to run (or moves only): its domain's weight counts while any of its units does. @return it goes first: it came with credit, or
 * with little debt.
 */
static bool compete(struct fair_pool *p, struct sched_unit *u)
{
    struct fair_domain *d = fair_domain(u);
    bool first;

    if (d->set == FAIR_OUT)
        come_back(p, d, !u->moved);
    first = (s64)(d->vt - p->vt) * d->weight <= (s64)(min_of(sched_slice(u->dom->pool, SLICE), SLICE) << VT_SHIFT) / BOOST_DEBT_PART;
    if (!fair_unit(u)->competes) {
        fair_unit(u)->competes = true;
        if (d->competing && !p->fills)
            d->competing++;
        else
            count_units(p, d, d->competing + 1, d->weight, d->cap);
    }
    return first;
}

static void stop_competing(struct fair_pool *p, struct sched_unit *u)
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
        p->fills |= sched_nr_pcpus > 1;
        settle(p);
        recount(p);
    }
}

/* How long a unit of d may run at a time while others wait. The square: what units that run together are ahead, one alone makes up for slowly. */
static inline ns_t slice_of(const struct fair_pool *p, const struct cpupool *pool, struct fair_domain *d)
{
    u64 share, beside;
    ns_t most;

    if (likely(!pool->t.slice && d->slice_count == p->counts))
        return d->slice;
    most = p->capped ? p->owed ? SLICE_OWED : SLICE_CAPPED : p->nr_cpus > 1 ? SLICE_SEVERAL : SLICE;
    if (pool->t.slice)
        return p->capped ? min_of(pool->t.slice, most) : pool->t.slice;
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
    list_init(&p->competing);
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
    d->along = p->along;
    d->weight = dom->weight;
    d->cap = dom->cap;
    budget_set(&d->budget, CAP_PERIOD, dom->cap, now);
    d->dom = dom;
    list_init(&d->waiting);
    list_init(&d->in_pool);
    fair_unlock(p);
}

void fair_domain_fini(struct sched_domain *dom)
{
    struct fair_pool *p = dom->pool->priv;

    spin_lock(&p->lock);
    leave_for_good(p, dom->priv);
    fair_unlock(p);
}

void fair_unit_init(struct sched_unit *u)
{
    list_init(&fair_unit(u)->link);
    list_init(&fair_unit(u)->in_domain);
    fair_unit(u)->unit = u;
    fair_unit(u)->domain = fair_domain(u);
}

void fair_params(struct sched_domain *dom, u16 weight, u16 cap, ns_t now)
{
    struct fair_domain *d = dom->priv;
    struct fair_pool *p = fair_lock(dom->pool, now);

    count_units(p, d, d->competing, weight, cap);
    if (cap != dom->cap)
        budget_set(&d->budget, CAP_PERIOD, cap, now);
    TRACE_sched_credit(dom->domain->id, 0, credit_us(d, p->vt), weight, cap);
    fair_unlock(p);
}

void fair_cpus_change(struct cpupool *pool, ns_t now)
{
    fair_unlock(fair_lock(pool, now));
}

/* Says so with V as it is by now, and unlocks. */
static __attribute__((noinline)) void end_charge(struct fair_pool *p, const struct sched_unit *u, ns_t now)
{
    TRACE_sched_tick(u->dom->domain->id, u->vcpu->id, credit_us(fair_domain(u), p->vt + (u64)vt_of(p, (s64)(now - p->updated))));
    fair_unlock(p);
}

static __always_inline_ void count_use(struct fair_pool *p, struct sched_unit *u, ns_t ran, ns_t now)
{
    fair_unit(u)->used += ran;
    if (u->dom->cap)
        fair_unit(u)->part.taken -= (s64)ran;
    end_charge(p, u, now);
}

/* Where domains may be full; or after weeks alone, which are too long to be counted exactly. */
static __attribute__((noinline)) void charge_in_sets(struct fair_pool *p, struct sched_unit *u, ns_t ran, ns_t now)
{
    if (now > p->updated)
        advance(p, now);
    if (!fair_unit(u)->runs)
        fair_domain(u)->vt += ran / u->dom->weight << VT_SHIFT;
    charge_running(p, fair_domain(u));
    follow(p, fair_domain(u));
    count_use(p, u, ran, now);
}

static __always_inline_ void charge_locked(struct fair_pool *p, struct sched_unit *u, ns_t ran, ns_t now)
{
    struct fair_domain *d = fair_domain(u);
    u64 ticks = (ran << VT_SHIFT) + d->rest;

    if (unlikely(fair_unit(u)->runs | ran >> (64 - VT_SHIFT))) { /* else V may be as it was */
        charge_in_sets(p, u, ran, now);
        return;
    }
    d->vt += ticks / d->weight;
    d->rest = ticks % d->weight;
    count_use(p, u, ran, now);
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

/* Until the period ends. */
static void park(struct runqueue *q, struct sched_unit *u)
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

/* The first that may run on p, taken out of the queue; those on the way whose domain has used up its time are parked. */
static struct sched_unit *take_first(struct runqueue *q, const struct sched_pcpu *p, ns_t now)
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
        park(q, u);
    }
}

/* A unit of d gives way: what d may not save goes to those who share. */
static void give_up(struct fair_pool *p, struct fair_domain *d)
{
    s64 all;

    if (likely(d->vt == vt_saved(p, d)))
        return;
    all = taken_along(p, d);
    d->vt = vt_saved(p, d);
    if (d->set != FAIR_FULL)
        move(p, all - taken_along(p, d));
}

/* What is left of the slice in which a unit, which ran, was preempted. */
static inline ns_t rest_of_slice(const struct fair_unit *c, bool yielded)
{
    return c->in_boost || yielded || c->used + SLICE_LEAST > c->turn ? 0 : c->turn - c->used;
}

/* c runs from now on, or no more, where domains may be full. */
static __attribute__((noinline)) void start_running(struct fair_pool *p, struct fair_unit *c)
{
    struct fair_domain *d = c->domain;

    charge_running(p, d);
    if (c->unit->restricted && d->set == FAIR_SHARING) /* what that kept it from using */
        d->vt = max_of(d->vt, p->vt - lag_most(d));
    d->running++;
    c->runs = true;
}

static __attribute__((noinline)) void stop_running(struct fair_pool *p, struct fair_unit *c)
{
    charge_running(p, c->domain);
    c->domain->running--;
    c->runs = false;
}

void fair_before_pick(struct sched_pcpu *p, struct sched_unit *prev, ns_t now)
{
    if (prev) {
        fair_give_back(prev);
        if (fair_unit(prev)->runs)
            stop_running(fair_pool(p->q->pool), fair_unit(prev));
        fair_unit(prev)->left = rest_of_slice(fair_unit(prev), prev->yielded);
        fair_unit(prev)->gave_way = prev->yielded;
        if (prev->yielded)
            give_up(fair_pool(p->q->pool), fair_domain(prev));
    }
    if (unlikely(fair_pool(p->q->pool)->capped) && p->q->pool->nr_queues == 1) /* else it has been done to balance */
        (void)urge(fair_pool(p->q->pool), now);
    if (unlikely(!list_empty(&fair_queue(p->q)->parked)))
        unpark(p->q, now);
}

struct sched_unit *fair_take_next(struct sched_pcpu *p, struct sched_unit *prev, ns_t now)
{
    struct runqueue *q = p->q;
    struct sched_unit *u, *next;

    if (prev)
        fair_enqueue(q, prev);
    u = take_first(q, p, now);
    if (u && u == prev && u->yielded && (next = take_first(q, p, now))) {
        fair_enqueue(q, u);
        u = next;
    }
    return u;
}

/*
 * Who waits first has no more debt than turns make, as soon as V knows what full domains that wait leave: where affinity wastes what V
 * gives, V follows, or who slept would go first for long.
 */
static void limit_debts(struct fair_pool *p, const struct pheap_node *n)
{
    u64 most = lag_most(container_of(pheap_first(&container_of(n, struct fair_queue, node)->waiting), struct fair_unit, node)->domain);

    if (n->key <= p->vt + most)
        return;
    list_for_each(pos, &p->competing)
        charge_running(p, list_entry(pos, struct fair_domain, in_pool));
    if (n->key > p->vt + most)
        move(p, (s64)(n->key - most - p->vt));
}

struct runqueue *fair_balance(struct sched_pcpu *p, struct sched_unit *prev, ns_t now)
{
    struct runqueue *q = p->q;
    struct fair_pool *pool = fair_lock(q->pool, now);
    struct runqueue *from;
    struct pheap_node *n;
    u64 mine;

    prev = fair_with_budget(prev, now);
    if (unlikely(pool->capped))
        (void)urge(pool, now);
    mine = first_key(q, false);
    n = pheap_first(&pool->queues);
    from = n ? container_of(n, struct fair_queue, node)->q : NULL;
    if (n && n->key > pool->vt && !pool->nr_parked && !pool->owed) /* it does not speak for who is parked */
        limit_debts(pool, n);
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
    struct sched_unit *u = take_first(q, p, now);

    fair_unlock(pool);
    return u;
}

struct sched_wake_result fair_wake(struct runqueue *q, struct sched_unit *u, ns_t now)
{
    struct fair_pool *pool = fair_lock(q->pool, now);
    struct sched_pcpu *p = sched_pcpu(u->cpu);
    struct sched_wake_result r = {.decide_by = NS_NEVER, .cpu = u->cpu, .preempt = !p->curr};
    struct fair_unit *curr = p->curr ? fair_unit(p->curr) : NULL;
    bool first;

    if (!u->moved)
        fair_unit(u)->left = fair_unit(u)->set_back = fair_unit(u)->gave_way = 0;
    first = compete(pool, u);
    if (fair_out_of_budget(u, now)) {
        park(q, u);
        r.decide_by = budget_period_end(CAP_PERIOD, now);
        r.preempt = false;
        fair_unlock(pool);
        return r;
    }
    if ((!u->moved || fair_unit(u)->in_boost) && first) {
        enqueue_boosted(q, u, false);
        TRACE_sched_boost(u->dom->domain->id, u->vcpu->id, credit_us(fair_domain(u), pool->vt));
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

    if (fair_unit(u)->runs)
        stop_running(p, fair_unit(u));
    stop_competing(p, u);
    fair_dequeue(q, u);
    fair_give_back(u);
    fair_unlock(p);
}

/* A unit runs on in the slice that it was preempted in, or begins one. @return how long. */
static inline ns_t begin_slice(struct fair_pool *p, const struct cpupool *pool, struct fair_unit *c)
{
    struct fair_domain *d = c->domain;
    ns_t left = c->left;

    c->gave_way = false;
    if (unlikely(p->fills && !c->runs))
        start_running(p, c);
    if (left) {
        c->left = 0;
        return left;
    }
    c->set_back = 0;
    c->slice_vt = d->vt - d->moved;
    c->used = 0;
    return c->turn = slice_of(p, pool, d);
}

/* The same beside caps, of which d may have one. @return how long. */
static __attribute__((noinline)) ns_t begin_beside_caps(struct fair_pool *p, struct fair_unit *c, ns_t slice, ns_t now)
{
    struct fair_domain *d = c->domain;
    ns_t most = urge(p, now);

    /* Others of a domain that waits run, and it can wait longer than it seems: not too often. */
    slice = d->first ? slice : min_of(slice, max_of(most, UNPARKED_AFTER));
    if (!d->cap)
        return slice;
    most = budget_take(&d->budget, &c->part, min_of(d->competing, (u32)p->nr_cpus), now);
    fair_queue(sched_queue_of(c->unit))->special++;
    c->until = now + (ns_t)c->part.taken;
    d->until += c->until;
    d->timed++;
    return min_of(slice, most);
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
        if (unlikely(p->capped))
            choice.slice = begin_beside_caps(p, fair_unit(u), choice.slice, now);
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
static __always_inline_ bool pick_quickly(struct fair_pool *p, struct runqueue *q, struct sched_unit *prev, struct sched_choice *choice, ns_t now)
{
    struct fair_queue *f = fair_queue(q);
    const struct cpupool *pool = q->pool;
    struct fair_unit *c, *first = NULL;
    struct pheap_node *n;
    bool yielded;
    u64 key;

    if (unlikely(!prev || f->special | p->capped | prev->restricted))
        return false;
    n = first_waiting(q);
    if (n)
        first = container_of(n, struct fair_unit, node);
    c = fair_unit(prev);
    yielded = prev->yielded;
    c->left = rest_of_slice(c, yielded);
    if (unlikely(yielded)) {
        c->gave_way = true;
        if (now > p->updated)
            advance(p, now);
        if (c->domain->vt < p->vt)
            give_up(p, c->domain);
    }
    key = fair_key_of(c, yielded, c->left);
    if (n && (key >= n->key || yielded)) {
        if (unlikely(c->runs))
            stop_running(p, c);
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
    if (unlikely(pool->nr_cpus != p->q->pool->nr_cpus || !pick_quickly(pool, p->q, prev, &choice, now))) {
        fair_advance(pool, p->q->pool, now);
        fair_before_pick(p, prev, now);
        choice = fair_choice(p, fair_take_next(p, prev, now), now);
    }
    fair_unlock(pool);
    return choice;
}

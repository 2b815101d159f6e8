/* SPDX-License-Identifier: MIT */
/*
 * Weights and caps by virtual time: see fair.h.
 */
#include "fair.h"

#include "trace/trace.h"

/* ---- virtual time ---- */

/* What V is divided by: without anybody that shares, it runs as with normal weight on each pcpu, and debts fade. */
static u64 divisor(const struct fair_pool *p)
{
    return p->weight ? p->weight : (u64)max_of(p->cpus, 1) * SCHED_WEIGHT_NORMAL;
}

static void advance(struct fair_pool *p, ns_t now)
{
    u64 weight = divisor(p), cpus = max_of(p->cpus, 1), passed = now - p->updated, ticks;

    p->updated = now;
    if (unlikely(passed >> 38)) { /* minutes without a decision: exactness is not what matters */
        p->vt += passed / weight * cpus << VT_SHIFT;
        return;
    }
    ticks = (passed * cpus << VT_SHIFT) + p->rest;
    p->vt += ticks / weight;
    p->rest = ticks % weight;
}

s32 fair_credit_us(const struct fair_pool *p, const struct fair_domain *d)
{
    return (((s64)(p->vt - d->vt) >> 10) * d->weight >> (VT_SHIFT - 10)) / 1000;
}

u64 fair_slice_vt(const struct fair_pool *p, ns_t ns)
{
    return (ns * (u64)max_of(p->cpus, 1) << VT_SHIFT) / divisor(p);
}

/* Credit saved while asleep or parked is worth a slice of 30 ms at most. */
static void limit_savings(const struct fair_pool *p, struct fair_domain *d)
{
    u64 least = p->vt - (CAP_PERIOD << VT_SHIFT) / d->weight;

    if (d->vt < least)
        d->vt = least;
}

/* ---- feasible shares ---- */

static struct fair_domain *domain_at(struct pheap_node *n)
{
    return container_of(n, struct fair_domain, node);
}

/* Its weight would give it more pcpus than it has units. */
static bool too_heavy(const struct fair_pool *p, const struct fair_domain *d)
{
    return (s64)d->weight * p->cpus > (s64)(d->competing * p->weight);
}

static void leave_set(struct fair_pool *p, struct fair_domain *d)
{
    if (d->set == FAIR_FULL) {
        pheap_remove(&p->full, &d->node);
        p->cpus += d->competing;
        if (d->vt < p->vt) /* it had what it could use: no savings */
            d->vt = p->vt;
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
    d->set = p->several ? FAIR_SHARING : FAIR_ALONE;
    if (p->several) {
        d->node.key = ~(((u64)d->weight << 32) / d->competing);
        pheap_insert(&p->sharing, &d->node);
    }
}

static void fill(struct fair_pool *p, struct fair_domain *d)
{
    p->cpus -= d->competing;
    d->set = FAIR_FULL;
    d->node.key = ((u64)d->weight << 32) / d->competing;
    pheap_insert(&p->full, &d->node);
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

/* d has another number of units that compete, or another weight. */
static void count_units(struct fair_pool *p, struct fair_domain *d, u32 competing, u16 weight)
{
    leave_set(p, d);
    d->competing = competing;
    d->weight = weight;
    if (competing)
        share(p, d);
    if (p->several)
        settle(p);
}

void fair_compete(struct fair_pool *p, struct sched_unit *u)
{
    struct fair_domain *d = fair_domain(u);

    if (!d->competing)
        limit_savings(p, d);
    if (d->competing && !p->several)
        d->competing++;
    else
        count_units(p, d, d->competing + 1, d->weight);
}

void fair_stop_competing(struct fair_pool *p, struct sched_unit *u)
{
    struct fair_domain *d = fair_domain(u);

    if (d->competing > 1 && !p->several)
        d->competing--;
    else
        count_units(p, d, d->competing - 1, d->weight);
}

struct fair_pool *fair_lock(struct cpupool *pool, ns_t now)
{
    struct fair_pool *p = pool->priv;

    spin_lock(&p->lock);
    if (now > p->updated)
        advance(p, now);
    if (unlikely(p->nr_cpus != pool->nr_cpus)) {
        p->cpus += (s64)pool->nr_cpus - p->nr_cpus;
        p->nr_cpus = pool->nr_cpus;
        p->several = pool->several;
        settle(p);
    }
    return p;
}

/* ---- making, unmaking, parameters ---- */

void fair_pool_init(struct cpupool *pool, ns_t now)
{
    struct fair_pool *p = pool->priv;

    spin_lock_init(&p->lock, LOCK_POLICY);
    p->vt = VT_START;
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
    d->period = now / CAP_PERIOD;
    d->budget = (s64)dom->cap * (s64)(CAP_PERIOD / 100);
    d->dom = dom;
    list_init(&d->waiting);
    fair_unlock(p);
}

void fair_unit_init(struct sched_unit *u)
{
    list_init(&fair_unit(u)->link);
    list_init(&fair_unit(u)->in_domain);
    fair_unit(u)->unit = u;
}

/* Credit is kept in time: with another weight the same credit is another distance from V. */
void fair_params(struct sched_domain *dom, u16 weight, u16 cap, ns_t now)
{
    struct fair_domain *d = dom->priv;
    struct fair_pool *p = fair_lock(dom->pool, now);

    limit_savings(p, d);
    if (fair_under(p, d))
        d->vt = p->vt - (p->vt - d->vt) * d->weight / weight;
    else
        d->vt = p->vt + (d->vt - p->vt) * d->weight / weight;
    count_units(p, d, d->competing, weight);
    if (cap != dom->cap) {
        d->period = now / CAP_PERIOD;
        d->budget = (s64)cap * (s64)(CAP_PERIOD / 100);
    }
    TRACE_sched_credit(dom->domain->id, 0, fair_credit_us(p, d), weight, cap);
    fair_unlock(p);
}

void fair_cpus_change(struct cpupool *pool, ns_t now)
{
    fair_unlock(fair_lock(pool, now));
}

void fair_charge(struct sched_pcpu *pcpu, struct sched_unit *u, ns_t ran, ns_t now)
{
    struct fair_pool *p = fair_lock(pcpu->q->pool, now);
    struct fair_domain *d = fair_domain(u);
    struct fair_unit *f = fair_unit(u);
    u64 ticks, weight = d->weight;

    if (d->set == FAIR_FULL) { /* a unit of it that always runs keeps up with V */
        ticks = (ran * (u64)max_of(p->cpus, 1) << VT_SHIFT) + d->rest;
        weight = d->competing * divisor(p);
    } else {
        ticks = (ran << VT_SHIFT) + d->rest;
    }
    d->vt += ticks / weight;
    d->rest = ticks % weight;
    f->used += ran;
    if (u->dom->cap)
        f->taken -= (s64)ran;
    TRACE_sched_tick(u->dom->domain->id, u->vcpu->id, fair_credit_us(p, d));
    fair_unlock(p);
}

/* ---- caps ---- */

/* Give a capped domain the time of the present period; of those that it missed, only debts count. */
static void refill(const struct sched_domain *dom, struct fair_domain *d, ns_t now)
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

bool fair_out_of_budget(const struct sched_unit *u, ns_t now)
{
    if (likely(!u->dom->cap))
        return false;
    refill(u->dom, fair_domain(u), now);
    return fair_domain(u)->budget < (s64)BUDGET_LEAST;
}

ns_t fair_take_budget(struct sched_unit *u, ns_t now)
{
    struct fair_domain *d = fair_domain(u);
    struct fair_unit *f = fair_unit(u);
    u64 beside = min_of((u64)d->competing, (u64)u->dom->pool->nr_cpus);

    f->taken = min_of(max_of(d->budget / (s64)max_of(beside, 1ull), (s64)BUDGET_LEAST), d->budget);
    f->taken_period = d->period;
    d->budget -= f->taken;
    return min_of((ns_t)f->taken, fair_next_period(now) - now);
}

void fair_give_back(struct sched_unit *u)
{
    struct fair_domain *d = fair_domain(u);
    struct fair_unit *f = fair_unit(u);

    if (f->taken < 0 || f->taken_period == d->period)
        d->budget += f->taken;
    f->taken = 0;
}

/* ---- queues ---- */

u64 fair_first_key(struct runqueue *q)
{
    struct fair_queue *f = fair_queue(q);
    struct pheap_node *n = pheap_first(&f->waiting);

    return !list_empty(&f->boosted) ? 0 : n ? n->key : ~0ull;
}

static __attribute__((noinline)) void relist_among_several(struct runqueue *q)
{
    struct fair_queue *f = fair_queue(q);
    struct fair_pool *p = fair_pool(q->pool);
    u64 key = fair_first_key(q);

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

struct runqueue *fair_first_queue(struct runqueue *q)
{
    struct pheap_node *n = pheap_first(&fair_pool(q->pool)->queues);
    struct fair_queue *f = n ? container_of(n, struct fair_queue, node) : NULL;

    return f && f->q != q ? f->q : NULL;
}

static struct sched_unit *unit_at(struct pheap_node *n)
{
    return container_of(n, struct fair_unit, node)->unit;
}

void fair_enqueue(struct runqueue *q, struct sched_unit *u)
{
    struct fair_queue *f = fair_queue(q);
    struct fair_unit *c = fair_unit(u);

    c->node.key = fair_key(u);
    list_add_tail(&fair_domain(u)->waiting, &c->in_domain);
    if (likely(!u->restricted)) {
        c->place = FAIR_WAITING;
        pheap_insert(&f->waiting, &c->node);
        relist(q);
    } else {
        c->place = FAIR_PINNED;
        pheap_insert(&f->pinned, &c->node);
        list_add_tail(&f->pins, &c->link);
        fair_pool(q->pool)->nr_pinned++;
    }
}

void fair_enqueue_boosted(struct runqueue *q, struct sched_unit *u)
{
    struct fair_unit *c = fair_unit(u);

    c->place = FAIR_BOOSTED;
    list_add_tail(&fair_domain(u)->waiting, &c->in_domain);
    list_add_tail(&fair_queue(q)->boosted, &c->link);
    relist(q);
}

void fair_put_back(struct runqueue *q, struct sched_unit *u)
{
    struct fair_unit *c = fair_unit(u);

    if (!c->in_boost) {
        fair_enqueue(q, u);
        return;
    }
    c->place = FAIR_BOOSTED;
    list_add_tail(&fair_domain(u)->waiting, &c->in_domain);
    list_add_head(&fair_queue(q)->boosted, &c->link);
    relist(q);
}

void fair_park(struct runqueue *q, struct sched_unit *u)
{
    fair_unit(u)->place = FAIR_PARKED;
    fair_unit(u)->left = 0;
    fair_unit(u)->parked = !u->pinned;
    q->parked += fair_unit(u)->parked;
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
    if (place == FAIR_PINNED) {
        pheap_remove(&f->pinned, &c->node);
        fair_pool(q->pool)->nr_pinned--;
    } else if (place == FAIR_BOOSTED) {
        relist(q);
    } else {
        q->parked -= c->parked;
    }
}

void fair_requeue(struct runqueue *q, struct sched_unit *u, ns_t slice)
{
    struct fair_unit *c = fair_unit(u);

    c->left = 0;
    if (!c->in_boost && !u->yielded && c->used + SLICE_LEAST <= slice)
        c->left = slice - c->used;
    fair_enqueue(q, u);
}

void fair_unpark(struct runqueue *q, ns_t now)
{
    struct fair_pool *p = fair_pool(q->pool);

    list_for_each_safe(pos, &fair_queue(q)->parked) {
        struct sched_unit *u = list_entry(pos, struct fair_unit, link)->unit;

        if (fair_out_of_budget(u, now))
            continue;
        fair_dequeue(q, u);
        fair_compete(p, u);
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

/* Another unit of its domain ran meanwhile: it stands further back now, but before that one. True: it moved. */
static inline bool set_back(struct pheap *h, struct pheap_node *n)
{
    u64 key = fair_key(unit_at(n));

    if (n->key >= key)
        return false;
    pheap_remove(h, n);
    n->key = key;
    pheap_reinsert(h, n);
    return true;
}

struct sched_unit *fair_take_first(struct runqueue *q, const struct sched_pcpu *p, ns_t now)
{
    struct fair_queue *f = fair_queue(q);

    for (;;) {
        struct sched_unit *u = NULL;
        struct pheap_node *n;
        bool boost = false;

        if (!list_empty(&f->boosted) && (u = first_allowed(&f->boosted, p))) {
            boost = true;
        } else {
            while ((n = pheap_first(&f->waiting)) && set_back(&f->waiting, n))
                relist(q);
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
        fair_stop_competing(fair_pool(q->pool), u);
        fair_park(q, u);
    }
}

void fair_sleep(struct runqueue *q, struct sched_unit *u, ns_t now)
{
    struct fair_pool *p = fair_lock(q->pool, now);

    if (fair_unit(u)->place != FAIR_PARKED)
        fair_stop_competing(p, u);
    fair_dequeue(q, u);
    if (u->dom->cap)
        fair_give_back(u);
    fair_unlock(p);
}

struct sched_choice fair_choice(struct sched_pcpu *pcpu, struct sched_unit *u, ns_t slice, ns_t boost_slice, ns_t now)
{
    struct fair_queue *f = fair_queue(pcpu->q);
    struct fair_pool *p = fair_pool(pcpu->q->pool);
    struct sched_choice choice = {.unit = u, .slice = NS_NEVER, .why = SCHED_IDLE};
    bool others = pheap_first(&f->waiting) || !list_empty(&f->boosted) || !list_empty(&f->pins), limited;

    if (u) {
        struct fair_unit *c = fair_unit(u);
        ns_t turn = c->in_boost ? boost_slice : c->left ? c->left : slice;

        if (!c->left) {
            c->slice_vt = fair_domain(u)->vt;
            c->used = 0;
        }
        c->left = 0;
        /* With more units than pcpus one may come to wait elsewhere, and nobody would say so. */
        limited = others || (pcpu->q->pool->nr_queues > 1 && pcpu->q->pool->nr_units > pcpu->q->pool->nr_cpus);
        choice.why = c->in_boost ? SCHED_BOOST : !others ? SCHED_ONLY : fair_under(p, fair_domain(u)) ? SCHED_UNDER : SCHED_OVER;
        if (limited)
            choice.slice = turn;
        if (u->dom->cap) {
            ns_t budget = fair_take_budget(u, now);

            choice.slice = min_of(choice.slice, budget);
        }
    }
    if (!list_empty(&f->parked))
        choice.slice = min_of(choice.slice, fair_next_period(now) - now);
    return choice;
}

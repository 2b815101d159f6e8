/* SPDX-License-Identifier: MIT */
/*
 * The scheduling framework's still part: policies by name, pools, pcpus with their topology and
 * runqueues, units, parameters, affinity, unplugging. See sched.h and policy.h.
 *
 * A pool has a runqueue for each pcpu, core or socket, as its span says. A runqueue lives as long
 * as the pool; pcpus leave it and come back. Which pcpus a unit may run on (u->allowed) is its
 * affinity among the pool's online pcpus, or all of these where that leaves none: so unplugging
 * never strands a unit, and plugging in again restores what was asked for.
 * Locks: sched_lock around everything here (a block holds it to its end), runqueues' inside it.
 * Does not: merge or split runqueues of a pool that has pcpus; move a domain that runs to another
 * pool.
 */
#include "core/timer.h"
#include "framework.h"

struct sched_pcpu sched_pcpus[NR_PCPUS];
struct spinlock sched_lock = SPINLOCK(LOCK_SCHED);

static struct cpupool *pools[MAX_POOLS];
static u64 seed = 1;

static bool lock_all(void)
{
    bool recorded = sched_begin();

    spin_lock(&sched_lock);
    return recorded;
}

static void unlock_all(const bool *recorded)
{
    spin_unlock(&sched_lock);
    sched_end(*recorded);
}

/* An operation begins that ends with its block, on whichever way. */
#define HOLD_SCHED_LOCK() bool recorded __attribute__((cleanup(unlock_all))) = lock_all()

extern const struct sched_ops *const __start_sched_policies[];
extern const struct sched_ops *const __stop_sched_policies[];

const struct sched_ops *sched_policy_at(unsigned int n)
{
    return n < (unsigned int)(__stop_sched_policies - __start_sched_policies) ? __start_sched_policies[n] : NULL;
}

const struct sched_ops *sched_find_policy(const char *name)
{
    const struct sched_ops *ops;

    for (unsigned int n = 0; (ops = sched_policy_at(n)); n++) {
        if (!strcmp(ops->name, name))
            return ops;
    }
    return NULL;
}

const char *sched_policy_name(const struct sched_ops *ops)
{
    return ops->name;
}

const char *sched_policy_doc(const struct sched_ops *ops)
{
    return ops->doc;
}

/* ---- pools ---- */

struct cpupool *sched_pool(unsigned int id)
{
    return id < MAX_POOLS ? pools[id] : NULL;
}

void sched_seed(u64 s)
{
    seed = s;
}

static void free_pool(struct cpupool *pool)
{
    for (unsigned int i = 0; i < pool->nr_queues; i++) {
        arch_free(pool->queue[i]->priv);
        arch_free(pool->queue[i]);
    }
    arch_free(pool->priv);
    arch_free(pool);
}

static int make_pool(const struct sched_ops *ops, const struct sched_tunables *t)
{
    struct cpupool *pool = NULL;
    unsigned int id = 0;

    while (id < MAX_POOLS && pools[id])
        id++;
    if (id == MAX_POOLS || !(pool = arch_alloc(sizeof(*pool))))
        return -XEN_ENOMEM;
    pool->ops = ops;
    pool->t = *t;
    pool->id = id;
    list_init(&pool->domains);
    if (ops->pool_size && !(pool->priv = arch_alloc(ops->pool_size))) {
        arch_free(pool);
        return -XEN_ENOMEM;
    }
    if (ops->pool_init)
        ops->pool_init(pool, now_ns());
    pools[id] = pool;
    return id;
}

int sched_init(const char *policy)
{
    const struct sched_ops *ops = sched_find_policy(policy);
    int id;

    if (!ops) {
        printk("scheduler: there is no policy \"%s\"\n", policy);
        return -XEN_ENOENT;
    }
    for (unsigned int i = 0; i < MAX_POOLS; i++) {
        if (pools[i])
            free_pool(pools[i]);
        pools[i] = NULL;
    }
    for (unsigned int cpu = 0; cpu < NR_PCPUS; cpu++)
        arch_free(sched_pcpus[cpu].priv);
    memset(sched_pcpus, 0, sizeof(sched_pcpus));
    sched_turn = 0;
    id = make_pool(ops, &SCHED_TUNABLES_DEFAULT);
    return min_of(id, 0);
}

int sched_make_pools(const char *spec)
{
    while (*spec) {
        struct cpumask cpus = CPUMASK_NONE;
        const struct sched_ops *ops;
        const char *end;
        char name[16] = "";
        size_t n = 0;
        int id;

        if (!parse_list(spec, NR_PCPUS, cpus.word, &end) || *end != ':')
            return -XEN_EINVAL;
        for (unsigned int i = 0; i < MAX_POOLS; i++) {
            if (pools[i] && cpumask_meet(&cpus, &pools[i]->claimed))
                return -XEN_EINVAL;
        }
        spec = end + 1;
        while (*spec && *spec != '/' && n < sizeof(name) - 1)
            name[n++] = *spec++;
        if (*spec && *spec++ != '/')
            return -XEN_EINVAL;
        ops = sched_find_policy(name);
        if (!ops)
            return -XEN_ENOENT;
        id = make_pool(ops, &pools[0]->t);
        if (id < 0)
            return id;
        pools[id]->claimed = cpus;
        TRACE_sched_told(id, 0, TRACE_TOLD_CLAIMS, cpus.word[0], now_ns(), sched_turn);
        TRACE_sched_told(id, 0, TRACE_TOLD_POLICY, *(const u64 *)name, now_ns(), sched_turn);
    }
    return 0;
}

int sched_tune(struct cpupool *pool, const struct sched_tunables *t)
{
    HOLD_SCHED_LOCK();

    if (t->span != pool->t.span && pool->nr_queues)
        return -XEN_EBUSY;
    pool->t = *t;
    TRACE_sched_told(pool->id, t->span | t->exclusive << 7, TRACE_TOLD_TUNED, t->slice << 32 | (u32)t->rate_limit, now_ns(), sched_turn);
    return 0;
}

/* ---- pcpus ---- */

static struct cpupool *pool_of_cpu(unsigned int cpu)
{
    for (unsigned int i = 1; i < MAX_POOLS; i++) {
        if (pools[i] && cpumask_test(&pools[i]->claimed, cpu))
            return pools[i];
    }
    return pools[0];
}

/* Where p is among the pcpus that have come so far. */
static void find_place(struct sched_pcpu *p)
{
    arch_cpu_place(p->cpu, &p->place);
    p->core_first = p->cpu;
    p->threads = 0;
    p->core = p->socket = p->node = CPUMASK_NONE;
    for (unsigned int cpu = 0; cpu < NR_PCPUS; cpu++) {
        struct sched_pcpu *o = sched_pcpu(cpu);

        if (o != p && !o->q)
            continue;
        if (o->place.node == p->place.node) {
            cpumask_set(&p->node, cpu);
            cpumask_set(&o->node, p->cpu);
        }
        if (o->place.socket == p->place.socket) {
            cpumask_set(&p->socket, cpu);
            cpumask_set(&o->socket, p->cpu);
        }
        if (o->place.socket == p->place.socket && o->place.core == p->place.core) {
            cpumask_set(&p->core, cpu);
            cpumask_set(&o->core, p->cpu);
        }
    }
    cpumask_for_each(cpu, &p->core) {
        sched_pcpu(cpu)->threads = cpumask_weight(&p->core);
        sched_pcpu(cpu)->core_first = cpumask_first(&p->core);
    }
}

/* The runqueue that p shares by the pool's span, or NULL. */
static struct runqueue *shared_queue(const struct cpupool *pool, const struct sched_pcpu *p)
{
    unsigned int span = pool->t.span ? pool->t.span : pool->ops->span;

    if (span != SPAN_CORE && span != SPAN_SOCKET)
        return NULL;
    for (unsigned int i = 0; i < pool->nr_queues; i++) {
        if (cpumask_meet(&pool->queue[i]->cpus, &p->core))
            return pool->queue[i];
    }
    for (unsigned int i = 0; i < pool->nr_queues && span == SPAN_SOCKET; i++) {
        if (cpumask_meet(&pool->queue[i]->cpus, &p->socket) && pool->queue[i]->nr_cpus < RUNQUEUE_CPUS)
            return pool->queue[i];
    }
    return NULL;
}

static struct runqueue *make_queue(struct cpupool *pool, const struct sched_pcpu *p, ns_t now)
{
    const struct sched_ops *ops = pool->ops;
    struct runqueue *q = arch_alloc(sizeof(*q));

    if (!q)
        return NULL;
    if (ops->queue_size && !(q->priv = arch_alloc(ops->queue_size))) {
        arch_free(q);
        return NULL;
    }
    spin_lock_init(&q->lock, LOCK_RUNQUEUE);
    q->first = p->cpu;
    q->pool = pool;
    if (ops->queue_init)
        ops->queue_init(q, now);
    pool->queue[pool->nr_queues++] = q;
    return q;
}

/* Units' places after the pool's pcpus or their affinity have changed. */
static void find_allowed(struct sched_unit *u)
{
    const struct cpupool *pool = u->dom->pool;

    u->allowed = cpumask_and(&u->affinity, &pool->cpus);
    if (cpumask_empty(&u->allowed))
        u->allowed = pool->cpus;
    u->restricted = !cpumask_within(&pool->cpus, &u->allowed);
}

/*
 * Take u from where it may not be any more: if it waits it goes now, if it runs its pcpu gives it
 * away, if it sleeps it goes where it may, or when it wakes. Its runqueue is locked, and is not after it.
 */
static void send_away(struct sched_unit *u, struct runqueue *q, ns_t now)
{
    struct sched_pcpu *p = sched_pcpu(u->cpu);

    if (p->online && cpumask_test(&u->allowed, u->cpu)) {
        spin_unlock(&q->lock);
    } else if (u->running) {
        sched_decide_again(p, now);
        spin_unlock(&q->lock);
    } else {
        if (u->runnable)
            sched_unqueue(q, u, now);
        u->moved = true;
        sched_wake_unit(u, q);
    }
}

static void requeue_all(struct cpupool *pool, ns_t now)
{
    list_for_each(d, &pool->domains) {
        list_for_each(n, &list_entry(d, struct sched_domain, node)->units) {
            struct sched_unit *u = list_entry(n, struct sched_unit, node);
            struct runqueue *q = sched_lock_queue_of(u);

            find_allowed(u);
            send_away(u, q, now);
        }
    }
}

static void cpu_joins(struct cpupool *pool, struct sched_pcpu *p, ns_t now)
{
    struct runqueue *q = p->q;

    if (pool->ops->cpus_change)
        pool->ops->cpus_change(pool, now);
    spin_lock(&q->lock);
    cpumask_set(&q->cpus, p->cpu);
    q->nr_cpus++;
    cpumask_set(&pool->cpus, p->cpu);
    pool->nr_cpus++;
    p->online = true;
    spin_unlock(&q->lock);
    if (pool->nr_cpus > 1 && !pool->several) { /* from now on it is kept which are idle */
        pool->several = true;
        cpumask_for_each(cpu, &pool->cpus)
            sched_note_idle(sched_pcpu(cpu));
    } else if (pool->several) {
        sched_note_idle(p);
    }
    requeue_all(pool, now);
}

static int pcpu_create(struct vcpu *idle, ns_t now)
{
    struct sched_pcpu *p = sched_pcpu(idle->processor);
    struct cpupool *pool = pool_of_cpu(idle->processor);

    p->idle = idle;
    p->cpu = idle->processor;
    p->random = (seed + p->cpu) * 0x9e3779b97f4a7c15ull | 1;
    sched_setup_timer(p);
    if (pool->ops->cpu_size && !p->priv && !(p->priv = arch_alloc(pool->ops->cpu_size)))
        return -XEN_ENOMEM;
    find_place(p);
    TRACE_sched_told(DOMID_IDLE, p->cpu, TRACE_TOLD_CPU,
                     p->place.thread | (u64)p->place.core << 16 | (u64)p->place.socket << 32 | (u64)p->place.node << 48, now, sched_turn);
    if (!(p->q = shared_queue(pool, p)) && !(p->q = make_queue(pool, p, now)))
        return -XEN_ENOMEM;
    if (pool->ops->cpu_init)
        pool->ops->cpu_init(p);
    cpu_joins(pool, p, now);
    idle->runstate.state = RUNSTATE_running;
    idle->runstate.state_entry_time = now;
    return 0;
}

int sched_cpu_down(unsigned int cpu)
{
    struct sched_pcpu *p = sched_pcpu(cpu);
    struct cpupool *pool = p->q ? p->q->pool : NULL;
    struct runqueue *q = p->q;
    HOLD_SCHED_LOCK();
    ns_t now = now_ns();

    if (!pool || !p->online)
        return -XEN_ENOENT;
    if (pool->nr_cpus == 1)
        return -XEN_EBUSY;
    TRACE_sched_told(DOMID_IDLE, cpu, TRACE_TOLD_DOWN, 0, now, sched_turn);
    if (pool->ops->cpus_change)
        pool->ops->cpus_change(pool, now);
    spin_lock(&q->lock);
    p->online = false;
    cpumask_clear(&q->cpus, cpu);
    q->nr_cpus--;
    cpumask_clear(&pool->cpus, cpu);
    pool->nr_cpus--;
    cpumask_clear_atomic(&pool->idle, cpu);
    sched_decide_again(p, now);
    spin_unlock(&q->lock);
    requeue_all(pool, now);
    return 0;
}

bool sched_cpu_is_idle(unsigned int cpu)
{
    const struct sched_pcpu *p = sched_pcpu(cpu);

    return !READ_ONCE(p->online) && !READ_ONCE(p->curr) && !timer_active(&p->timer);
}

int sched_cpu_up(unsigned int cpu)
{
    struct sched_pcpu *p = sched_pcpu(cpu);
    HOLD_SCHED_LOCK();
    ns_t now = now_ns();

    if (!p->q)
        return -XEN_ENOENT;
    if (!p->online) {
        TRACE_sched_told(DOMID_IDLE, cpu, TRACE_TOLD_UP, 0, now, sched_turn);
        cpu_joins(p->q->pool, p, now);
    }
    arch_raise_schedule(cpu);
    return 0;
}

/* ---- domains and units ---- */

static struct sched_domain *scheduled(const struct domain *d)
{
    for (unsigned int i = 0; i < d->max_vcpus; i++) {
        if (d->vcpu[i] && d->vcpu[i]->unit)
            return d->vcpu[i]->unit->dom;
    }
    return NULL;
}

static struct sched_domain *make_domain(struct domain *d, struct cpupool *pool, ns_t now)
{
    const struct sched_ops *ops = pool->ops;
    struct sched_domain *dom = arch_alloc(sizeof(*dom) + ops->domain_size);

    if (!dom)
        return NULL;
    dom->domain = d;
    dom->pool = pool;
    dom->weight = d->weight ? d->weight : SCHED_WEIGHT_NORMAL;
    dom->cap = d->cap;
    d->weight = dom->weight;
    dom->priv = ops->domain_size ? dom + 1 : NULL;
    list_init(&dom->units);
    list_add_tail(&pool->domains, &dom->node);
    if (ops->domain_init)
        ops->domain_init(dom, now);
    return dom;
}

static void drop_domain(struct sched_domain *dom)
{
    if (dom->pool->ops->domain_fini)
        dom->pool->ops->domain_fini(dom);
    list_del(&dom->node);
    arch_free(dom);
}

static void leave_domain(struct sched_unit *u)
{
    list_del(&u->node);
    u->dom->pool->nr_units--;
    if (--u->dom->refs == 0)
        drop_domain(u->dom);
}

static void join_domain(struct sched_unit *u, struct sched_domain *dom)
{
    u->dom = dom;
    dom->refs++;
    dom->pool->nr_units++;
    list_add_tail(&dom->units, &u->node);
}

/* Make a unit of v in dom, on the pool's next pcpu, so that units spread over them in turn. */
static struct sched_unit *make_unit(struct vcpu *v, struct sched_domain *dom)
{
    const struct sched_ops *ops = dom->pool->ops;
    struct sched_unit *u = arch_alloc(sizeof(*u) + ops->unit_size); /* the policy's part behind it, but see sched_set_pool() */

    if (!u)
        return NULL;
    u->vcpu = v;
    u->dom = dom;
    u->priv = u + 1;
    u->affinity = u->soft = cpumask_all();
    find_allowed(u);
    u->cpu = dom->pool->last_cpu = cpumask_cycle_of(&u->allowed, &u->allowed, dom->pool->last_cpu + 1);
    join_domain(u, dom);
    if (ops->unit_init)
        ops->unit_init(u);
    return u;
}

int sched_vcpu_create(struct vcpu *v)
{
    struct sched_domain *dom;
    struct sched_unit *u = NULL;
    HOLD_SCHED_LOCK();
    ns_t now = now_ns();

    if (v->is_idle)
        return pcpu_create(v, now);

    dom = scheduled(v->domain);
    if (!dom)
        dom = make_domain(v->domain, pools[0], now);
    if (dom && !(u = make_unit(v, dom)) && !dom->refs)
        drop_domain(dom);
    if (!u)
        return -XEN_ENOMEM;
    TRACE_sched_told(v->domain->id, v->id, TRACE_TOLD_MADE, u->cpu, now, sched_turn);
    v->processor = u->cpu;
    v->runstate.state = RUNSTATE_offline;
    v->runstate.state_entry_time = now;
    v->unit = u;
    return 0;
}

/* u is off for good. Under sched_lock. */
static void drop_unit(struct sched_unit *u, ns_t now)
{
    struct runqueue *q = sched_lock_queue_of(u);

    if (u->runnable)
        sched_unqueue(q, u, now);
    if (q->pool->ops->unit_fini)
        q->pool->ops->unit_fini(q, u);
    sched_unlock(q, now);
    leave_domain(u);
    TRACE_sched_told(u->vcpu->domain->id, u->vcpu->id, TRACE_TOLD_FORGET, 0, now, sched_turn);
    if (u->priv != u + 1)
        arch_free(u->priv);
    arch_free(u);
}

void sched_vcpu_destroy(struct vcpu *v)
{
    HOLD_SCHED_LOCK();

    if (!v->unit)
        return;
    ASSERT_NAMED("sched_destroy_asleep", sched_is_off(v));
    drop_unit(v->unit, now_ns());
    v->unit = NULL;
}

/*
 * u, which is off, belongs to dom and its policy from now on. It stays the same unit: whoever comes
 * late to wake it finds it under one of the two runqueues' locks, and asleep.
 */
static void change_pool(struct sched_unit *u, struct sched_domain *dom, void *priv, ns_t now)
{
    struct runqueue *q = sched_lock_queue_of(u);
    void *old = u->priv;

    if (q->pool->ops->unit_fini)
        q->pool->ops->unit_fini(q, u);
    leave_domain(u);
    join_domain(u, dom);
    u->priv = priv;
    find_allowed(u);
    if (dom->pool->ops->unit_init)
        dom->pool->ops->unit_init(u);
    dom->pool->last_cpu = cpumask_cycle_of(&u->allowed, &u->allowed, dom->pool->last_cpu + 1);
    u->vcpu->processor = dom->pool->last_cpu;
    WRITE_ONCE(u->cpu, dom->pool->last_cpu);
    sched_unlock(q, now);
    if (old != u + 1)
        arch_free(old);
}

int sched_set_pool(struct domain *d, unsigned int id)
{
    struct cpupool *pool = sched_pool(id);
    void *priv[MAX_VCPUS] = {NULL};
    struct sched_domain *old, *dom;
    HOLD_SCHED_LOCK();
    ns_t now = now_ns();

    if (!pool)
        return -XEN_ENOENT;
    old = scheduled(d);
    if (old && old->pool == pool)
        return 0;
    if (!old || !pool->nr_cpus)
        return -XEN_EBUSY;
    for (unsigned int i = 0; i < d->max_vcpus; i++) {
        if (d->vcpu[i] && (!sched_is_off(d->vcpu[i]) || d->vcpu[i]->unit->runnable || !d->vcpu[i]->pause_flags))
            return -XEN_EBUSY;
    }
    dom = make_domain(d, pool, now);
    if (!dom)
        return -XEN_ENOMEM;
    TRACE_sched_told(d->id, 0, TRACE_TOLD_POOL, id, now, sched_turn);
    for (unsigned int i = 0; i < d->max_vcpus && pool->ops->unit_size; i++) {
        if (d->vcpu[i] && !(priv[i] = arch_alloc(pool->ops->unit_size)))
            goto undo;
    }
    for (unsigned int i = 0; i < d->max_vcpus; i++) {
        if (d->vcpu[i])
            change_pool(d->vcpu[i]->unit, dom, priv[i], now);
    }
    return 0;
undo:
    for (unsigned int i = 0; i < d->max_vcpus; i++)
        arch_free(priv[i]);
    drop_domain(dom);
    return -XEN_ENOMEM;
}

unsigned int sched_pool_of(const struct domain *d)
{
    HOLD_SCHED_LOCK();

    return d->vcpu[0]->unit->dom->pool->id;
}

int sched_pool_info(unsigned int id, struct sched_pool_info *info)
{
    HOLD_SCHED_LOCK();

    while (id < MAX_POOLS && !pools[id])
        id++;
    if (id >= MAX_POOLS)
        return -XEN_ENOENT;
    *info = (struct sched_pool_info){.id = id, .policy = pools[id]->ops->name, .t = pools[id]->t};
    info->cpus = pools[id]->cpus;
    list_for_each(d, &pools[id]->domains)
        info->nr_domains++;
    return 0;
}

/* ---- parameters ---- */

int sched_set_params(struct domain *d, u16 weight, u16 cap)
{
    struct sched_domain *dom;
    HOLD_SCHED_LOCK();
    ns_t now = now_ns();

    if (!weight || cap > 100 * d->max_vcpus)
        return -XEN_EINVAL;
    dom = scheduled(d);
    if (dom) {
        cpumask_for_each(cpu, &dom->pool->cpus) {
            struct sched_pcpu *p = sched_pcpu(cpu);

            spin_lock(&p->q->lock);
            sched_charge_current(p, now);
            spin_unlock(&p->q->lock);
        }
        if (dom->pool->ops->params)
            dom->pool->ops->params(dom, weight, cap, now);
        TRACE_sched_told(d->id, 0, TRACE_TOLD_PARAMS, (u32)cap << 16 | weight, now, sched_turn);
        dom->weight = weight;
        dom->cap = cap;
        cpumask_for_each(cpu, &dom->pool->cpus) {
            struct sched_pcpu *p = sched_pcpu(cpu);

            spin_lock(&p->q->lock);
            sched_decide_again(p, now);
            spin_unlock(&p->q->lock);
        }
    }
    d->weight = weight;
    d->cap = cap;
    return 0;
}

int sched_set_affinity_mask(struct vcpu *v, const struct cpumask *cpus)
{
    struct sched_unit *u = v->unit;
    struct runqueue *q;
    HOLD_SCHED_LOCK();
    ns_t now;

    if (!cpumask_meet(cpus, &u->dom->pool->cpus))
        return -XEN_EINVAL;
    q = sched_lock_queue_of(u);
    now = now_ns();
    TRACE_sched_told(v->domain->id, v->id, TRACE_TOLD_HARD, cpus->word[0], now, sched_turn);
    u->affinity = *cpus;
    find_allowed(u);
    send_away(u, q, now);
    return 0;
}

void sched_set_soft_affinity(struct vcpu *v, const struct cpumask *cpus)
{
    HOLD_SCHED_LOCK();
    struct runqueue *q = sched_lock_queue_of(v->unit);

    v->unit->soft = *cpus;
    TRACE_sched_told(v->domain->id, v->id, TRACE_TOLD_SOFT, cpus->word[0], now_ns(), sched_turn);
    spin_unlock(&q->lock);
}

void sched_get_affinity(const struct vcpu *v, struct cpumask *hard, struct cpumask *soft, struct cpumask *pool)
{
    HOLD_SCHED_LOCK();

    *hard = v->unit->affinity;
    *soft = v->unit->soft;
    *pool = v->unit->dom->pool->cpus;
}

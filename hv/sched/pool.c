/* SPDX-License-Identifier: MIT */
/*
 * The scheduling framework's still part: policies by name, pools, pcpus with their topology and
 * runqueues, units, parameters, affinity, unplugging. See sched.h and policy.h.
 *
 * A pool has a runqueue for each pcpu, core or socket, as its span says. A runqueue lives as long
 * as the pool; pcpus leave it and come back. Which pcpus a unit may run on (u->allowed) is its
 * affinity among the pool's online pcpus, or all of these where that leaves none: so unplugging
 * never strands a unit, and plugging in again restores what was asked for.
 *
 * A pcpu that is in no pool is free: its runqueue is `nowhere`, and it idles. One changes pools by
 * way of that: it goes offline, which sends its units away; when it idles, and no unit is left whose
 * runqueue is its own, it becomes free. Its own sched_run() may come at any time with the runqueue
 * that it had: it decides only if that is the one it is online in (p->online). Runqueues and pools
 * are static, so that whoever comes late to lock one, or to look at it, finds a lock and numbers.
 * Locks: sched_lock around everything here (a block holds it to its end), runqueues' inside it.
 * Does not: merge or split runqueues of a pool that has pcpus; move a domain that runs to another
 * pool.
 */
#include "core/timer.h"
#include "framework.h"

struct sched_pcpu sched_pcpus[NR_PCPUS];
static struct spinlock sched_lock = SPINLOCK(LOCK_SCHED); /* making and unmaking, parameters, affinity, pools */

static struct cpupool pools[MAX_POOLS + 1]; /* those that have a policy; the last is nowhere's */
static struct runqueue nowhere = {.lock = SPINLOCK(LOCK_RUNQUEUE), .pool = &pools[MAX_POOLS]};
unsigned int sched_nr_pcpus;
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
    return id < MAX_POOLS && pools[id].ops ? &pools[id] : NULL;
}

void sched_seed(u64 s)
{
    seed = s;
}

static void free_pool(struct cpupool *pool)
{
    for (unsigned int i = 0; i < pool->nr_queues; i++) {
        arch_free(pool->queue[i].priv);
        pool->queue[i].priv = NULL;
    }
    arch_free(pool->priv);
    memset(pool, 0, offsetof(struct cpupool, queue));
}

/* @return its number; -XEN_EEXIST; -XEN_ENOSPC: it is not of 0 to MAX_POOLS - 1; -XEN_ENOMEM */
static int make_pool(unsigned int id, const struct sched_ops *ops, const struct sched_tunables *t)
{
    struct cpupool *pool;

    if (id == SCHED_ANY)
        for (id = 0; sched_pool(id);)
            id++;
    if (sched_pool(id))
        return -XEN_EEXIST;
    if (id >= MAX_POOLS)
        return -XEN_ENOSPC;
    pool = &pools[id];
    if (ops->pool_size && !(pool->priv = arch_alloc(ops->pool_size)))
        return -XEN_ENOMEM;
    pool->ops = ops;
    pool->t = *t;
    pool->id = id;
    list_init(&pool->domains);
    if (ops->pool_init)
        ops->pool_init(pool, now_ns());
    return id;
}

int sched_init(const char *policy)
{
    const struct sched_ops *ops = sched_find_policy(policy);

    if (!ops) {
        printk("scheduler: there is no policy \"%s\"\n", policy);
        return -XEN_ENOENT;
    }
    for (unsigned int i = 0; i < MAX_POOLS; i++) {
        unsigned int nr = pools[i].nr_queues;

        free_pool(&pools[i]);
        memset(pools[i].queue, 0, nr * sizeof(pools[i].queue[0]));
    }
    for (unsigned int cpu = 0; cpu < NR_PCPUS; cpu++)
        arch_free(sched_pcpus[cpu].priv);
    memset(sched_pcpus, 0, sizeof(sched_pcpus));
    sched_turn = sched_nr_pcpus = 0;
    return make_pool(0, ops, &SCHED_TUNABLES_DEFAULT);
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
            if (cpumask_meet(&cpus, &pools[i].claimed))
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
        id = make_pool(SCHED_ANY, ops, &pools[0].t);
        if (id < 0)
            return id;
        pools[id].claimed = cpus;
        TRACE_sched_told(id, 0, TRACE_TOLD_CLAIMS, cpus.word[0], now_ns(), sched_turn);
        TRACE_sched_told(id, 0, TRACE_TOLD_POLICY, *(const u64 *)name, now_ns(), sched_turn);
    }
    return 0;
}

int sched_tune(struct cpupool *pool, const struct sched_tunables *t)
{
    HOLD_SCHED_LOCK();

    if (!pool->ops) /* it is no more */
        return -XEN_ENOENT;
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
        if (cpumask_test(&pools[i].claimed, cpu))
            return &pools[i];
    }
    return &pools[0];
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
static struct runqueue *shared_queue(struct cpupool *pool, const struct sched_pcpu *p)
{
    unsigned int span = pool->t.span ? pool->t.span : pool->ops->span;

    if (span != SPAN_CORE && span != SPAN_SOCKET)
        return NULL;
    for (unsigned int i = 0; i < pool->nr_queues; i++) {
        if (cpumask_meet(&pool->queue[i].members, &p->core))
            return &pool->queue[i];
    }
    for (unsigned int i = 0; i < pool->nr_queues && span == SPAN_SOCKET; i++) {
        if (cpumask_meet(&pool->queue[i].members, &p->socket) && pool->queue[i].nr_cpus < RUNQUEUE_CPUS)
            return &pool->queue[i];
    }
    return NULL;
}

/* A runqueue of p's own: one that all have left, if there is one. NULL: no memory. */
static struct runqueue *make_queue(struct cpupool *pool, const struct sched_pcpu *p, ns_t now)
{
    const struct sched_ops *ops = pool->ops;
    struct runqueue *q = pool->queue;

    while (q < pool->queue + pool->nr_queues && !cpumask_empty(&q->members))
        q++;
    arch_free(q->priv);
    if (!(q->priv = arch_alloc(max_of(ops->queue_size, 1ul))))
        return NULL;
    spin_lock_init(&q->lock, LOCK_RUNQUEUE);
    q->first = p->cpu;
    q->pool = pool;
    if (ops->queue_init)
        ops->queue_init(q, now);
    pool->nr_queues = max_of(pool->nr_queues, (u16)(q - pool->queue + 1));
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
 * away, if it sleeps it goes where it may, or when it wakes. Who waits is placed anew, too, if it may
 * run everywhere from now on, or not any more; and if the pool has a second runqueue since just now
 * (second), for the first did not tell who waits. Its runqueue is locked, and is not after it.
 */
static void send_away(struct sched_unit *u, struct runqueue *q, bool second, ns_t now)
{
    struct sched_pcpu *p = sched_pcpu(u->cpu);
    bool anew = u->runnable && !u->running && (second || u->pinned != u->restricted);

    if (p->online && cpumask_test(&u->allowed, u->cpu) && !anew) {
        spin_unlock(&q->lock);
    } else if (u->running) {
        sched_decide_again(p, now);
        spin_unlock(&q->lock);
    } else {
        u->moved |= u->runnable; /* or it sleeps, whoever is about to wake it */
        if (u->runnable)
            sched_unqueue(q, u, now);
        if (second && q->waiting)
            cpumask_set_atomic(&q->pool->loaded, q->first);
        u->sent = true;
        sched_wake_unit(u, q);
    }
}

/* What the pool's pcpus run is accounted, or decided anew. */
static void on_each_of(const struct cpupool *pool, bool decide, ns_t now)
{
    cpumask_for_each(cpu, &pool->cpus) {
        HOLD(&sched_pcpu(cpu)->q->lock);
        if (decide)
            sched_decide_again(sched_pcpu(cpu), now);
        else
            sched_charge_current(sched_pcpu(cpu), now);
    }
}

/* The pool has more units now: where nobody waited, what runs has no limit, and would keep its pcpu. */
static void limit_again(const struct cpupool *pool, ns_t now)
{
    if (pool->nr_units > pool->nr_cpus)
        on_each_of(pool, true, now);
}

static void requeue_all(struct cpupool *pool, bool second, ns_t now)
{
    list_for_each(d, &pool->domains) {
        list_for_each(n, &list_entry(d, struct sched_domain, node)->units) {
            struct sched_unit *u = list_entry(n, struct sched_unit, node);
            struct runqueue *q = sched_lock_queue_of(u);

            find_allowed(u);
            send_away(u, q, second, now);
        }
    }
}

/* p, whose runqueue is one of the pool's, takes part. */
static void cpu_joins(struct sched_pcpu *p, ns_t now)
{
    struct runqueue *q = p->q;
    struct cpupool *pool = q->pool;

    if (pool->ops->cpus_change)
        pool->ops->cpus_change(pool, now);
    spin_lock(&q->lock);
    cpumask_set(&q->cpus, p->cpu);
    q->nr_cpus++;
    cpumask_set(&pool->cpus, p->cpu);
    pool->nr_cpus++;
    p->online = q;
    spin_unlock(&q->lock);
    for (unsigned int cpu = 0; sched_nr_pcpus > 1 && cpu < NR_PCPUS; cpu++) { /* with the machine's second it begins to be kept who idles */
        struct sched_pcpu *o = sched_pcpu(cpu);

        if (o == p || (o->online && sched_nr_pcpus == 2 && !p->was_idle_once))
            sched_note_idle(o);
    }
    requeue_all(pool, pool->nr_queues == 2, now);
}

/* p gets a runqueue of the pool. @return 0, -XEN_ENOMEM */
static int attach(struct cpupool *pool, struct sched_pcpu *p, ns_t now)
{
    const struct sched_ops *ops = pool->ops;
    void *priv = ops->cpu_size ? arch_alloc(ops->cpu_size) : NULL;
    struct runqueue *q = shared_queue(pool, p);

    if ((ops->cpu_size && !priv) || (!q && !(q = make_queue(pool, p, now)))) {
        arch_free(priv);
        return -XEN_ENOMEM;
    }
    cpumask_set(&q->members, p->cpu);
    p->priv = priv;
    p->q = q;
    if (ops->cpu_init)
        ops->cpu_init(p);
    return 0;
}

static int pcpu_create(struct vcpu *idle, ns_t now)
{
    struct sched_pcpu *p = sched_pcpu(idle->processor);

    p->idle = idle;
    p->cpu = idle->processor;
    p->random = (seed + p->cpu) * 0x9e3779b97f4a7c15ull | 1;
    sched_setup_timer(p);
    find_place(p);
    TRACE_sched_told(DOMID_IDLE, p->cpu, TRACE_TOLD_CPU,
                     p->place.thread | (u64)p->place.core << 16 | (u64)p->place.socket << 32 | (u64)p->place.node << 48, now, sched_turn);
    if (attach(pool_of_cpu(p->cpu), p, now))
        return -XEN_ENOMEM;
    sched_nr_pcpus++;
    cpu_joins(p, now);
    idle->runstate.state = RUNSTATE_running;
    idle->runstate.state_entry_time = now;
    return 0;
}

/* p takes no part any more: what waits there goes now, what runs at its next decision. */
static void cpu_leaves(struct sched_pcpu *p, ns_t now)
{
    struct runqueue *q = p->q;
    struct cpupool *pool = q->pool;

    if (pool->ops->cpus_change)
        pool->ops->cpus_change(pool, now);
    spin_lock(&q->lock);
    p->online = NULL;
    cpumask_clear(&q->cpus, p->cpu);
    q->nr_cpus--;
    cpumask_clear(&pool->cpus, p->cpu);
    pool->nr_cpus--;
    cpumask_clear_atomic(&pool->idle, p->cpu);
    sched_decide_again(p, now);
    spin_unlock(&q->lock);
    requeue_all(pool, false, now);
    on_each_of(pool, true, now); /* who waits for it, too, as where a core has drained for it */
}

/* p, which has left and idles, becomes free. Who slept there since goes, too. */
static void detach(struct sched_pcpu *p, ns_t now)
{
    struct runqueue *q = p->q;
    struct cpupool *pool = q->pool;

    requeue_all(pool, false, now);
    spin_lock(&q->lock);
    if (pool->ops->cpu_fini)
        pool->ops->cpu_fini(p);
    cpumask_clear(&q->members, p->cpu);
    if (q->first == p->cpu && !cpumask_empty(&q->members)) {
        q->first = cpumask_first(&q->members);
        if (cpumask_test(&pool->loaded, p->cpu))
            cpumask_set_atomic(&pool->loaded, q->first);
    }
    cpumask_clear_atomic(&pool->loaded, p->cpu);
    p->q = &nowhere;
    spin_unlock(&q->lock);
    arch_free(p->priv);
    p->priv = NULL;
}

int sched_cpu_down(unsigned int cpu)
{
    struct sched_pcpu *p = sched_pcpu(cpu);
    HOLD_SCHED_LOCK();
    ns_t now = now_ns();

    if (!p->q || (!p->online && p->q != &nowhere))
        return -XEN_ENOENT;
    if (p->online && p->q->pool->nr_cpus == 1)
        return -XEN_EBUSY;
    TRACE_sched_told(DOMID_IDLE, cpu, TRACE_TOLD_DOWN, 0, now, sched_turn);
    p->unplugged = true;
    if (p->online)
        cpu_leaves(p, now);
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
    if (p->unplugged) {
        TRACE_sched_told(DOMID_IDLE, cpu, TRACE_TOLD_UP, 0, now, sched_turn);
        p->unplugged = false;
        if (p->q != &nowhere)
            cpu_joins(p, now);
    }
    arch_raise_schedule(cpu);
    return 0;
}

/* ---- pools made, changed and unmade at run time ---- */

int sched_create_pool(unsigned int id, const struct sched_ops *ops)
{
    HOLD_SCHED_LOCK();
    int made = make_pool(id, ops ? ops : pools[0].ops, &pools[0].t);
    u64 name = 0;

    if (made >= 0) {
        memcpy(&name, pools[made].ops->name, min_of(strlen(pools[made].ops->name), sizeof(name)));
        TRACE_sched_told(DOMID_IDLE, made, TRACE_TOLD_CREATED, name, now_ns(), sched_turn);
    }
    return made;
}

int sched_destroy_pool(unsigned int id)
{
    HOLD_SCHED_LOCK();
    struct cpupool *pool = sched_pool(id);
    ns_t now = now_ns();

    if (!pool)
        return -XEN_ENOENT;
    if (pool->nr_cpus || !list_empty(&pool->domains))
        return -XEN_EBUSY;
    for (unsigned int cpu = 0; cpu < NR_PCPUS; cpu++) { /* it is unplugged, or about to leave */
        struct sched_pcpu *p = sched_pcpu(cpu);

        if (!p->q || p->q->pool != pool)
            continue;
        if (!sched_cpu_is_idle(cpu))
            return -XEN_EAGAIN;
        detach(p, now);
    }
    TRACE_sched_told(DOMID_IDLE, id, TRACE_TOLD_DESTROYED, 0, now, sched_turn);
    free_pool(pool);
    return 0;
}

/* The pcpu of this number, or the last of the pool. @return 0; -XEN_EINVAL: there is none; else: it is not the pool's */
static int find_cpu(const struct cpupool *pool, unsigned int cpu, struct sched_pcpu **found, int other)
{
    *found = NULL;
    for (unsigned int n = 0; n < NR_PCPUS; n++) {
        struct sched_pcpu *p = sched_pcpu(n);

        if (p->q && (cpu == SCHED_ANY ? p->q->pool == pool && !p->unplugged : n == cpu))
            *found = p;
    }
    if (!*found)
        return cpu == SCHED_ANY ? other : -XEN_EINVAL;
    return (*found)->q->pool == pool ? 0 : other;
}

int sched_pool_add_cpu(unsigned int id, unsigned int cpu)
{
    HOLD_SCHED_LOCK();
    struct cpupool *pool = sched_pool(id);
    ns_t now = now_ns();
    struct sched_pcpu *p;
    int rc;

    if (!pool)
        return -XEN_ENOENT;
    rc = find_cpu(nowhere.pool, cpu, &p, -XEN_ENODEV);
    if (!rc)
        rc = p->unplugged ? -XEN_ENODEV : attach(pool, p, now);
    if (rc)
        return rc;
    TRACE_sched_told(DOMID_IDLE, p->cpu, TRACE_TOLD_JOINS, id, now, sched_turn);
    cpu_joins(p, now);
    arch_raise_schedule(p->cpu);
    return 0;
}

int sched_pool_remove_cpu(unsigned int id, unsigned int cpu)
{
    HOLD_SCHED_LOCK();
    struct cpupool *pool = sched_pool(id);
    ns_t now = now_ns();
    struct sched_pcpu *p;
    int rc;

    if (!pool)
        return -XEN_ENOENT;
    rc = find_cpu(pool, cpu, &p, -XEN_EADDRNOTAVAIL);
    if (rc)
        return rc;
    if (p->online) {
        if (pool->nr_cpus == 1 && (!id || !list_empty(&pool->domains)))
            return -XEN_EBUSY;
        TRACE_sched_told(DOMID_IDLE, p->cpu, TRACE_TOLD_LEAVES, id, now, sched_turn);
        cpu_leaves(p, now);
    }
    if (!sched_cpu_is_idle(p->cpu))
        return -XEN_EAGAIN;
    TRACE_sched_told(DOMID_IDLE, p->cpu, TRACE_TOLD_LEFT, id, now, sched_turn);
    detach(p, now);
    return 0;
}

void sched_free_cpus(struct cpumask *cpus)
{
    HOLD(&sched_lock);

    *cpus = CPUMASK_NONE;
    for (unsigned int cpu = 0; cpu < NR_PCPUS; cpu++) {
        if (sched_pcpu(cpu)->q == &nowhere && !sched_pcpu(cpu)->unplugged)
            cpumask_set(cpus, cpu);
    }
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
        dom = make_domain(v->domain, &pools[0], now);
    if (dom && !(u = make_unit(v, dom)) && !dom->refs)
        drop_domain(dom);
    if (!u)
        return -XEN_ENOMEM;
    TRACE_sched_told(v->domain->id, v->id, TRACE_TOLD_MADE, u->cpu, now, sched_turn);
    v->processor = u->cpu;
    v->runstate.state = RUNSTATE_offline;
    v->runstate.state_entry_time = now;
    v->unit = u;
    limit_again(dom->pool, now);
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
    sched_set_cpu(u, dom->pool->last_cpu, TRACE_MIGRATE_AFFINITY);
    sched_unlock(q, now);
    if (old != u + 1)
        arch_free(old);
}

int sched_set_pool(struct domain *d, unsigned int id)
{
    void *priv[MAX_VCPUS] = {NULL};
    struct sched_domain *old, *dom;
    HOLD_SCHED_LOCK();
    struct cpupool *pool = sched_pool(id);
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
    limit_again(pool, now);
    return 0;
undo:
    for (unsigned int i = 0; i < d->max_vcpus; i++)
        arch_free(priv[i]);
    drop_domain(dom);
    return -XEN_ENOMEM;
}

unsigned int sched_pool_of(const struct domain *d)
{
    HOLD(&sched_lock);

    return d->vcpu[0]->unit->dom->pool->id;
}

int sched_pool_info(unsigned int id, struct sched_pool_info *info)
{
    HOLD(&sched_lock);

    while (id < MAX_POOLS && !pools[id].ops)
        id++;
    if (id >= MAX_POOLS)
        return -XEN_ENOENT;
    *info = (struct sched_pool_info){.id = id, .policy = pools[id].ops->name, .t = pools[id].t, .cpus = pools[id].cpus};
    list_for_each(d, &pools[id].domains)
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
        on_each_of(dom->pool, false, now);
        if (dom->pool->ops->params)
            dom->pool->ops->params(dom, weight, cap, now);
        TRACE_sched_told(d->id, 0, TRACE_TOLD_PARAMS, (u32)cap << 16 | weight, now, sched_turn);
        dom->weight = weight;
        dom->cap = cap;
        on_each_of(dom->pool, true, now);
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
    send_away(u, q, false, now);
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
    HOLD(&sched_lock);

    *hard = v->unit->affinity;
    *soft = v->unit->soft;
    *pool = v->unit->dom->pool->cpus;
}

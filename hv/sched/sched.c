/* SPDX-License-Identifier: MIT */
/*
 * The scheduling framework: see sched.h for what it owns and what a policy owns.
 *
 * A vCPU's way: sched_wake() puts its unit into the runqueue of its pcpu; sched_run() on that pcpu,
 * called on the way out to a guest when somebody raised it, charges what ran, asks the policy and
 * switches. sched_sleep() takes a queued unit out at once; of a running one it only asks, and
 * sched_run() tells the policy. A wake-up in between undoes the request.
 *
 * There is no periodic tick: each decision may carry a time limit, for which one timer per pcpu is
 * set. A policy gives none where nothing else is runnable, so a lone vCPU is never disturbed.
 * Locks: sched_lock for making and unmaking, outside a runqueue's lock; both inside event port
 * locks, outside timer locks.
 * Does not: migrate a runnable unit between pcpus; it takes its runqueue when it wakes.
 */
#include "sched.h"

#include "core/arch.h"
#include "lib.h"
#include "core/timer.h"
#include "trace/trace.h"

struct sched_pcpu {
    struct runqueue rq;
    struct vcpu *idle;
    struct timer timer;          /* the next decision is due */
    ns_t decide_by;              /* its time; NS_NEVER: not set */
    ns_t started;                /* when rq.curr came to run, for the rate limit */
    ns_t charged;                /* time up to which rq.curr has been charged */
    bool wake_preempts;          /* a woken unit wants to go first */
    bool was_idle_once;          /* has made its first decision */
} __aligned_(64);

_Static_assert((int)SCHED_TURN == TRACE_PICK_TURN && (int)SCHED_BOOST == TRACE_PICK_BOOST &&
               (int)SCHED_UNDER == TRACE_PICK_UNDER && (int)SCHED_OVER == TRACE_PICK_OVER &&
               (int)SCHED_IDLE == TRACE_PICK_IDLE && (int)SCHED_ONLY == TRACE_PICK_ONLY,
               "the trace names what decided");

static struct sched_pcpu pcpus[NR_PCPUS];
static struct cpupool first_pool;
static struct spinlock sched_lock = SPINLOCK(LOCK_SCHED);

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

/* ---- the states of a vCPU ---- */

static int state_asleep(const struct vcpu *v)
{
    u32 flags = v->pause_flags;

    return (flags & ~(VPF_BLOCKED | VPF_POLLING)) ? RUNSTATE_offline : RUNSTATE_blocked;
}

static void runstate_change(struct vcpu *v, int state, ns_t now)
{
    struct vcpu_runstate_info *r = &v->runstate;

    if (r->state == state)
        return;
    r->time[r->state] += now - r->state_entry_time;
    r->state_entry_time = now;
    r->state = state;
}

void sched_get_runstate(const struct vcpu *v, struct vcpu_runstate_info *out)
{
    ns_t now = now_ns();

    *out = v->runstate;
    if (now > out->state_entry_time) {
        out->time[out->state] += now - out->state_entry_time;
        out->state_entry_time = now;
    }
}

static u16 trace_domid(const struct vcpu *v)
{
    return v->is_idle ? DOMID_IDLE : v->domain->id;
}

static u8 trace_state(const struct vcpu *v)
{
    if (v->is_idle)
        return TRACE_VCPU_IDLE;
    if (v->domain->dying || v->domain->shut_down)
        return TRACE_VCPU_DYING;
    if (vcpu_runnable(v))
        return TRACE_VCPU_RUNNABLE;
    return state_asleep(v) == RUNSTATE_blocked ? TRACE_VCPU_BLOCKED : TRACE_VCPU_OFFLINE;
}

static u8 trace_asleep(const struct vcpu *v)
{
    u32 flags = v->pause_flags;

    if (flags & VPF_DOWN)
        return TRACE_BLOCK_DOWN;
    if (flags & VPF_PAUSED)
        return TRACE_BLOCK_PAUSE;
    return flags & VPF_POLLING ? TRACE_BLOCK_POLL : TRACE_BLOCK_EVENT;
}

/* ---- the time limit of a decision ---- */

static void slice_ended(void *arg)
{
    struct sched_pcpu *p = arg;

    arch_raise_schedule(p->rq.cpu);
}

/* Decide again at `when` (NS_NEVER: no need) instead of at the limit set before. */
static void set_limit(struct sched_pcpu *p, ns_t when)
{
    p->decide_by = when;
    if (when != NS_NEVER)
        timer_set(&p->timer, p->rq.cpu, when);
    else
        timer_stop(&p->timer);
}

static void tighten_limit(struct sched_pcpu *p, ns_t when, ns_t now)
{
    if (when >= p->decide_by)
        return;
    if (when <= now) {
        p->decide_by = now;
        arch_raise_schedule(p->rq.cpu);
    } else {
        set_limit(p, when);
    }
}

/* ---- making and unmaking ---- */

int sched_init(const char *policy)
{
    const struct sched_ops *ops = sched_find_policy(policy);

    if (!ops) {
        printk("scheduler: there is no policy \"%s\"\n", policy);
        return -XEN_ENOENT;
    }
    arch_free(first_pool.priv);
    for (unsigned int cpu = 0; cpu < NR_PCPUS; cpu++)
        arch_free(pcpus[cpu].rq.priv);
    memset(&first_pool, 0, sizeof(first_pool));
    memset(pcpus, 0, sizeof(pcpus));
    first_pool.ops = ops;
    if (ops->pool_size && !(first_pool.priv = arch_alloc(ops->pool_size)))
        return -XEN_ENOMEM;
    if (ops->pool_init)
        ops->pool_init(&first_pool, now_ns());
    return 0;
}

static int pcpu_create(struct vcpu *idle)
{
    struct sched_pcpu *p = &pcpus[idle->processor];
    struct cpupool *pool = &first_pool;

    spin_lock_init(&p->rq.lock, LOCK_RUNQUEUE);
    p->idle = idle;
    p->rq.cpu = idle->processor;
    p->rq.pool = pool;
    p->decide_by = NS_NEVER;
    timer_setup(&p->timer, slice_ended, p);
    if (pool->ops->queue_size && !(p->rq.priv = arch_alloc(pool->ops->queue_size)))
        return -XEN_ENOMEM;
    if (pool->ops->queue_init)
        pool->ops->queue_init(&p->rq);
    spin_lock(&sched_lock);
    pool->cpus |= 1ull << idle->processor;
    pool->nr_cpus++;
    spin_unlock(&sched_lock);
    idle->runstate.state = RUNSTATE_running;
    idle->runstate.state_entry_time = now_ns();
    return 0;
}

/*
 * The scheduler's view of v's domain: that of another of its vCPUs, or a new one. Under sched_lock.
 */
static struct sched_domain *domain_of(const struct vcpu *v)
{
    struct domain *d = v->domain;
    const struct sched_ops *ops = first_pool.ops;
    struct sched_domain *dom;

    for (unsigned int i = 0; i < d->max_vcpus; i++) {
        if (d->vcpu[i] && d->vcpu[i] != v && d->vcpu[i]->unit)
            return d->vcpu[i]->unit->dom;
    }
    dom = arch_alloc(sizeof(*dom) + ops->domain_size);
    if (!dom)
        return NULL;
    dom->domain = d;
    dom->pool = &first_pool;
    dom->weight = d->weight ? d->weight : SCHED_WEIGHT_NORMAL;
    dom->cap = d->cap;
    d->weight = dom->weight;
    dom->priv = ops->domain_size ? dom + 1 : NULL;
    if (ops->domain_init)
        ops->domain_init(dom, now_ns());
    return dom;
}

/*
 * The pcpu of the pool and in the mask that follows `last`, so that units spread over them in turn.
 */
static u16 next_cpu(u64 mask, u16 last)
{
    u64 above = last + 1 < 64 ? mask >> (last + 1) << (last + 1) : 0;

    return __builtin_ctzll(above ? above : mask);
}

int sched_vcpu_create(struct vcpu *v)
{
    static u16 last_cpu;
    const struct sched_ops *ops = first_pool.ops;
    struct sched_unit *u;

    if (v->is_idle)
        return pcpu_create(v);

    u = arch_alloc(sizeof(*u) + ops->unit_size);
    if (!u)
        return -XEN_ENOMEM;
    spin_lock(&sched_lock);
    u->dom = domain_of(v);
    if (!u->dom) {
        spin_unlock(&sched_lock);
        arch_free(u);
        return -XEN_ENOMEM;
    }
    u->dom->refs++;
    u->cpu = last_cpu = next_cpu(first_pool.cpus, last_cpu);
    spin_unlock(&sched_lock);

    u->vcpu = v;
    u->affinity = ~0ull;
    u->priv = ops->unit_size ? u + 1 : NULL;
    if (ops->unit_init)
        ops->unit_init(u);
    v->processor = u->cpu;
    v->runstate.state = RUNSTATE_offline;
    v->runstate.state_entry_time = now_ns();
    v->unit = u;
    return 0;
}

void sched_vcpu_destroy(struct vcpu *v)
{
    struct sched_unit *u = v->unit;
    struct runqueue *q;

    if (!u)
        return;
    q = &pcpus[u->cpu].rq;
    ASSERT_NAMED("sched_destroy_asleep", !u->running);
    spin_lock(&sched_lock);
    spin_lock(&q->lock);
    if (u->runnable)
        q->pool->ops->sleep(q, u, now_ns());
    if (q->pool->ops->unit_fini)
        q->pool->ops->unit_fini(q, u);
    spin_unlock(&q->lock);
    v->unit = NULL;
    if (--u->dom->refs == 0)
        arch_free(u->dom);
    spin_unlock(&sched_lock);
    arch_free(u);
}

/* ---- waking and sleeping ---- */

/* Lock the runqueue that u belongs to. */
static struct sched_pcpu *lock_queue_of(const struct sched_unit *u)
{
    for (;;) {
        struct sched_pcpu *p = &pcpus[READ_ONCE(u->cpu)];

        spin_lock(&p->rq.lock);
        if (likely(p->rq.cpu == READ_ONCE(u->cpu)))
            return p;
        spin_unlock(&p->rq.lock);
    }
}

/* A unit that sleeps and may not run on its pcpu any more goes to another. */
static void move_if_not_allowed(struct sched_unit *u)
{
    if (unlikely(!(u->affinity & (1ull << u->cpu))))
        u->cpu = u->vcpu->processor = next_cpu(u->affinity & first_pool.cpus, u->cpu);
}

void sched_wake(struct vcpu *v)
{
    struct sched_unit *u = v->unit;
    struct sched_pcpu *p = lock_queue_of(u);
    struct sched_wake_result r;
    ns_t now;

    if (u->runnable || !vcpu_runnable(v)) {
        spin_unlock(&p->rq.lock);
        return;
    }
    now = now_ns();
    u->runnable = true;
    runstate_change(v, RUNSTATE_runnable, now);
    r = p->rq.pool->ops->wake(&p->rq, u, now);
    TRACE_sched_wake(v->domain->id, v->id, r.preempt);

    if (r.preempt) {
        ns_t may_switch = p->rq.curr ? p->started + SCHED_RATE_LIMIT : now;

        p->wake_preempts = true;
        tighten_limit(p, may_switch, now);
    }
    tighten_limit(p, r.decide_by, now);
    spin_unlock(&p->rq.lock);
}

void sched_sleep(struct vcpu *v)
{
    struct sched_unit *u = v->unit;
    struct sched_pcpu *p = lock_queue_of(u);

    if (u->running) {
        arch_raise_schedule(p->rq.cpu);
    } else if (!vcpu_runnable(v)) {
        ns_t now = now_ns();

        if (u->runnable) {
            u->runnable = false;
            p->rq.pool->ops->sleep(&p->rq, u, now);
            TRACE_sched_block(v->domain->id, v->id, trace_asleep(v));
            move_if_not_allowed(u);
        }
        runstate_change(v, state_asleep(v), now);
    }
    spin_unlock(&p->rq.lock);
}

void sched_block_current(void)
{
    struct vcpu *v = current_vcpu();

    __atomic_fetch_or(&v->pause_flags, VPF_BLOCKED, __ATOMIC_SEQ_CST);
    arch_raise_schedule(this_cpu());
}

void sched_yield_current(void)
{
    struct vcpu *v = current_vcpu();

    v->unit->yielded = true;
    TRACE_sched_yield(v->domain->id, v->id);
    arch_raise_schedule(this_cpu());
}

/* ---- deciding ---- */

/* Account what the running unit has used. */
static void charge_current(struct sched_pcpu *p, ns_t now)
{
    struct sched_unit *u = p->rq.curr;

    if (!u)
        return;
    if (p->rq.pool->ops->charge)
        p->rq.pool->ops->charge(&p->rq, u, now - p->charged, now);
    p->charged = now;
}

/* Why sched_run() was asked for, for the trace: numbers of `switch_reason`. */
static u8 switch_reason(const struct sched_pcpu *p, ns_t now)
{
    const struct sched_unit *u = p->rq.curr;

    if (!p->was_idle_once)
        return TRACE_SWITCH_START;
    if (!u)
        return TRACE_SWITCH_WAKE;
    if (!vcpu_runnable(u->vcpu))
        return state_asleep(u->vcpu) == RUNSTATE_blocked ? TRACE_SWITCH_BLOCK : TRACE_SWITCH_PAUSE;
    if (u->yielded)
        return TRACE_SWITCH_YIELD;
    return p->wake_preempts ? TRACE_SWITCH_WAKE : TRACE_SWITCH_SLICE_END;
}

void sched_run(void)
{
    struct sched_pcpu *p = &pcpus[this_cpu()];
    const struct sched_ops *ops = p->rq.pool->ops;
    struct sched_unit *prev, *stays = NULL;
    struct sched_choice choice;
    struct vcpu *from, *to;
    ns_t now, limit;
    u8 why;

    spin_lock(&p->rq.lock);
    now = now_ns();
    prev = p->rq.curr;
    why = switch_reason(p, now);
    p->was_idle_once = true;

    if (prev) {
        /* Raised too early, as by a wake-up whose time has not come: what runs, runs on. */
        if (vcpu_runnable(prev->vcpu) && !prev->yielded && now < p->decide_by) {
            spin_unlock(&p->rq.lock);
            return;
        }
        charge_current(p, now);
        if (vcpu_runnable(prev->vcpu)) {
            stays = prev;
        } else {
            prev->runnable = false;
            ops->sleep(&p->rq, prev, now);
            TRACE_sched_block(prev->dom->domain->id, prev->vcpu->id, trace_asleep(prev->vcpu));
            move_if_not_allowed(prev);
        }
    }
    choice = ops->pick(&p->rq, stays, now);
    if (prev)
        prev->yielded = false;
    p->wake_preempts = false;
    p->rq.picked_at = now;
    limit = choice.slice == NS_NEVER ? NS_NEVER : now + choice.slice;
    if (limit != p->decide_by || timer_active(&p->timer) != (limit != NS_NEVER))
        set_limit(p, limit);
    from = prev ? prev->vcpu : p->idle;
    to = choice.unit ? choice.unit->vcpu : p->idle;
    TRACE_sched_pick(trace_domid(to), to->id, choice.why, choice.slice);
    if (from == to) {
        spin_unlock(&p->rq.lock);
        return;
    }

    if (prev) {
        prev->running = false;
        runstate_change(from, stays ? RUNSTATE_runnable : state_asleep(from), now);
    } else {
        runstate_change(from, RUNSTATE_runnable, now);
    }
    if (choice.unit)
        choice.unit->running = true;
    p->rq.curr = choice.unit;
    p->started = p->charged = now;
    runstate_change(to, RUNSTATE_running, now);
    TRACE_sched_switch(trace_domid(from), from->id, trace_state(from), trace_domid(to), to->id, why, choice.slice);
    spin_unlock(&p->rq.lock);

    /*
     * Other vCPUs of the domain may look at from's state; its own copy is only seen when it runs
     * again.
     */
    if (prev && from->domain->max_vcpus > 1)
        runstate_copy_out(from);
    arch_context_switch(from, to);
    if (choice.unit)
        runstate_copy_out(to);
}

/* ---- parameters ---- */

int sched_set_params(struct domain *d, u16 weight, u16 cap)
{
    struct sched_domain *dom = d->vcpu[0] && d->vcpu[0]->unit ? d->vcpu[0]->unit->dom : NULL;
    ns_t now = now_ns();

    if (!weight || cap > 100 * d->max_vcpus)
        return -XEN_EINVAL;
    spin_lock(&sched_lock);
    if (dom) {
        u64 cpus = dom->pool->cpus;

        for (unsigned int cpu = 0; cpu < NR_PCPUS; cpu++) {
            if (cpus & (1ull << cpu)) {
                spin_lock(&pcpus[cpu].rq.lock);
                charge_current(&pcpus[cpu], now);
                spin_unlock(&pcpus[cpu].rq.lock);
            }
        }
        if (dom->pool->ops->params)
            dom->pool->ops->params(dom, weight, cap, now);
        dom->weight = weight;
        dom->cap = cap;
        for (unsigned int cpu = 0; cpu < NR_PCPUS; cpu++) {
            if (cpus & (1ull << cpu)) {
                pcpus[cpu].decide_by = now;
                arch_raise_schedule(cpu);
            }
        }
    }
    d->weight = weight;
    d->cap = cap;
    spin_unlock(&sched_lock);
    return 0;
}

int sched_set_affinity(struct vcpu *v, u64 cpus)
{
    struct sched_unit *u = v->unit;
    struct sched_pcpu *p;

    if (!(cpus & first_pool.cpus))
        return -XEN_EINVAL;
    p = lock_queue_of(u);
    u->affinity = cpus;
    if (!u->runnable)
        move_if_not_allowed(u);
    spin_unlock(&p->rq.lock);
    return 0;
}

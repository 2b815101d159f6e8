/* SPDX-License-Identifier: MIT */
/*
 * The scheduling framework, its moving part: see sched.h and policy.h. pool.c is the rest.
 *
 * A vCPU's way: sched_wake() asks the policy where, and puts its unit into the runqueue of that
 * pcpu; sched_run() on a pcpu, called on the way out to a guest when somebody raised it, charges
 * what ran, takes a unit from another runqueue where the policy wants that, asks the policy and
 * switches. sched_sleep() takes a queued unit out at once; of a running one it only asks, and
 * sched_run() tells the policy. A wake-up in between undoes the request.
 *
 * A unit changes runqueues in two ways: asleep, from one to the other under both locks (lower
 * address first); or stolen: the pcpu that wants it holds its own runqueue's lock and tries the
 * other's. Where that fails it decides again in 50 us, should it idle. A running unit that may not
 * stay is put to sleep, and woken elsewhere when its registers are in memory.
 *
 * There is no periodic tick: each decision may carry a time limit, for which one timer per pcpu is
 * set. A policy gives none where nothing else is runnable, so a lone vCPU is never disturbed.
 * Locks: sched_lock for making and unmaking, outside a runqueue's lock; both inside event port
 * locks, outside timer locks. Outside of both, where records are made, the turn (framework.h).
 */
#include "core/timer.h"
#include "framework.h"

/* An idle pcpu that could not look into another's runqueue looks again after this. */
#define STEAL_AGAIN MICROSECS(50)

_Static_assert((int)SCHED_TURN == TRACE_PICK_TURN && (int)SCHED_BOOST == TRACE_PICK_BOOST &&
               (int)SCHED_UNDER == TRACE_PICK_UNDER && (int)SCHED_OVER == TRACE_PICK_OVER &&
               (int)SCHED_IDLE == TRACE_PICK_IDLE && (int)SCHED_ONLY == TRACE_PICK_ONLY &&
               (int)SCHED_FORCED == TRACE_PICK_FORCED_IDLE && (int)SCHED_CORUN == TRACE_PICK_CORUN,
               "the trace names what decided");

struct spinlock sched_turns = SPINLOCK(LOCK_SCHED_TURN);
u32 sched_turn;

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
    if (now > r->state_entry_time) { /* one pcpu takes it from another, whose now was later */
        r->time[r->state] += now - r->state_entry_time;
        r->state_entry_time = now;
    }
    r->state = state;
}

void sched_get_runstate(const struct vcpu *v, struct vcpu_runstate_info *out)
{
    ns_t now = now_ns();

    *out = v->runstate;
    if (now > out->state_entry_time)
        out->time[out->state] += now - out->state_entry_time;
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

    arch_raise_schedule(p->cpu);
}

void sched_setup_timer(struct sched_pcpu *p)
{
    p->decide_by = NS_NEVER;
    timer_setup(&p->timer, slice_ended, p);
}

/*
 * Decide again at `when` (NS_NEVER: no need) instead of at the limit set before. A timer that fires earlier is left as it is, for the
 * limit mostly moves again before: sched_run(), raised too early, comes back here.
 */
static void set_limit(struct sched_pcpu *p, ns_t when)
{
    p->decide_by = when;
    if (when == NS_NEVER)
        timer_stop(&p->timer);
    else if (!timer_active(&p->timer) || timer_expires(&p->timer) > when)
        timer_set(&p->timer, p->cpu, when);
}

void sched_decide_again(struct sched_pcpu *p, ns_t now)
{
    p->decide_by = now;
    arch_raise_schedule(p->cpu);
}

static void tighten_limit(struct sched_pcpu *p, ns_t when, ns_t now)
{
    if (when >= p->decide_by)
        return;
    if (when <= now)
        sched_decide_again(p, now);
    else
        set_limit(p, when);
}

void sched_send_kicks(struct runqueue *q, ns_t now)
{
    struct cpumask kick = cpumask_and(&q->kick, &q->cpus);

    q->kick = CPUMASK_NONE;
    q->kicked = false;
    cpumask_for_each(cpu, &kick)
        sched_decide_again(sched_pcpu(cpu), now);
}

/* ---- idle pcpus ---- */

/* The whole core is idle, as far as one can see without a lock. */
static bool core_idle(const struct sched_pcpu *p)
{
    return p->threads == 1 || cpumask_within(&p->core, &p->q->pool->idle);
}

static void now_idle(struct sched_pcpu *p)
{
    struct cpupool *pool = p->q->pool;

    if (cpumask_test(&pool->idle, p->cpu))
        return;
    cpumask_set_atomic(&pool->idle, p->cpu);
    if (core_idle(p))
        cpumask_set_atomic(&pool->idle_cores, p->core_first);
}

static void now_busy(struct sched_pcpu *p)
{
    struct cpupool *pool = p->q->pool;

    if (!cpumask_test(&pool->idle, p->cpu))
        return;
    cpumask_clear_atomic(&pool->idle, p->cpu);
    if (cpumask_test(&pool->idle_cores, p->core_first))
        cpumask_clear_atomic(&pool->idle_cores, p->core_first);
}

void sched_note_idle(struct sched_pcpu *p)
{
    if (!READ_ONCE(p->curr) && !READ_ONCE(p->q->waiting))
        now_idle(p);
}

/* One of `set` that is idle and that u may run on; the first thread of an idle core where cores. */
static u16 idle_in(const struct sched_unit *u, const struct cpumask *may, const struct cpumask *set, bool cores)
{
    const struct cpupool *pool = u->dom->pool;
    struct cpumask m = cpumask_and(cores ? &pool->idle_cores : &pool->idle, set);
    unsigned int cpu = u->cpu;

    for (unsigned int tries = 0; tries < 4; tries++) {
        cpu = cpumask_cycle_of(&m, may, cpu);
        if (cpu == NR_PCPUS)
            break;
        if (!cores || core_idle(sched_pcpu(cpu)))
            return cpu;
        cpu++; /* the hint was old */
    }
    return SCHED_NO_CPU;
}

static u16 nearest_idle_of(const struct sched_unit *u, const struct cpumask *may, bool cores)
{
    const struct sched_pcpu *home = sched_pcpu(u->cpu);
    const struct cpupool *pool = u->dom->pool;
    u16 cpu;

    if (cpumask_test(may, u->cpu) && cpumask_test(&pool->idle, u->cpu) && (!cores || core_idle(home)))
        return u->cpu;
    if (!cores && home->threads > 1 && (cpu = idle_in(u, may, &home->core, false)) != SCHED_NO_CPU)
        return cpu;
    if ((cpu = idle_in(u, may, &home->socket, cores)) != SCHED_NO_CPU)
        return cpu;
    if ((cpu = idle_in(u, may, &home->node, cores)) != SCHED_NO_CPU)
        return cpu;
    return idle_in(u, may, &pool->cpus, cores);
}

u16 sched_nearest_idle(const struct sched_unit *u, bool cores_first)
{
    struct cpumask soft = cpumask_and(&u->allowed, &u->soft);
    u16 cpu = SCHED_NO_CPU;

    if (cpumask_empty(&u->dom->pool->idle))
        return SCHED_NO_CPU;
    for (int pass = cpumask_empty(&soft) || cpumask_within(&u->allowed, &soft) ? 1 : 0; pass < 2; pass++) {
        const struct cpumask *may = pass ? &u->allowed : &soft;

        if (cores_first)
            cpu = nearest_idle_of(u, may, true);
        if (cpu == SCHED_NO_CPU)
            cpu = nearest_idle_of(u, may, false);
        if (cpu != SCHED_NO_CPU)
            break;
    }
    return cpu;
}

/* For policies that have no wish. */
static u16 place_nearest(const struct sched_unit *u)
{
    u16 cpu = sched_nearest_idle(u, false);

    if (cpu != SCHED_NO_CPU)
        return cpu;
    return cpumask_test(&u->allowed, u->cpu) ? u->cpu : sched_any_of(sched_pcpu(u->cpu), &u->allowed);
}

u16 sched_shorter(const struct sched_unit *u)
{
    struct sched_pcpu *home = sched_pcpu(u->cpu);
    u16 cpu = sched_any_of(home, &u->allowed);
    const struct runqueue *q = sched_pcpu(cpu)->q;

    return !cpumask_test(&u->allowed, u->cpu) || (READ_ONCE(q->waiting) + 1) * home->q->nr_cpus < home->q->waiting * q->nr_cpus ? cpu : u->cpu;
}

u16 sched_place_by_length(struct sched_unit *u, ns_t now)
{
    u16 cpu = sched_nearest_idle(u, false);

    return cpu != SCHED_NO_CPU ? cpu : sched_shorter(u);
}

/* ---- waking and sleeping ---- */

struct runqueue *sched_lock_queue_of(const struct sched_unit *u)
{
    for (;;) {
        struct runqueue *q = sched_pcpu(READ_ONCE(u->cpu))->q;

        spin_lock(&q->lock);
        if (likely(q == sched_pcpu(READ_ONCE(u->cpu))->q))
            return q;
        spin_unlock(&q->lock);
    }
}

void sched_set_cpu(struct sched_unit *u, u16 cpu, u8 why)
{
    struct vcpu *v = u->vcpu;

    TRACE_sched_migrate(u->dom->domain->id, v->id, u->cpu, cpu, why);
    u->cpu = v->processor = cpu;
    timer_migrate(&v->singleshot, cpu);
    timer_migrate(&v->periodic, cpu);
    timer_migrate(&v->poll_timer, cpu);
}

/*
 * u, asleep in q, which is locked, is about to wake on pcpu cpu: give it to that pcpu's runqueue.
 * Its lock is held instead then. NULL: somebody else did something with u meanwhile; no lock is held.
 */
static struct runqueue *move_asleep(struct sched_unit *u, struct runqueue *q, u16 cpu)
{
    struct runqueue *to = sched_pcpu(cpu)->q;
    u16 from = u->cpu;

    if (to != q) {
        spin_unlock(&q->lock);
        spin_lock(q < to ? &q->lock : &to->lock);
        spin_lock(q < to ? &to->lock : &q->lock);
        if (u->cpu != from || u->runnable || !cpumask_test(&u->allowed, cpu) || sched_queue_of(u) != q || sched_pcpu(cpu)->q != to) {
            spin_unlock(&q->lock);
            spin_unlock(&to->lock);
            return NULL;
        }
        spin_unlock(&q->lock);
    }
    sched_set_cpu(u, cpu, u->moved | u->sent ? TRACE_MIGRATE_AFFINITY : TRACE_MIGRATE_WAKE);
    return to;
}

void sched_wake_unit(struct sched_unit *u, struct runqueue *q)
{
    struct vcpu *v = u->vcpu;
    struct sched_wake_result r;
    struct sched_pcpu *p;
    ns_t now;

    for (;;) {
        const struct sched_ops *ops = q->pool->ops;
        u16 cpu;

        if (u->runnable || (!vcpu_runnable(v) && !u->moved && !u->sent)) {
            spin_unlock(&q->lock);
            return;
        }
        now = now_ns();
        if (sched_nr_pcpus == 1)
            break;
        cpu = ops->place ? ops->place(u, now) : place_nearest(u);
        if (cpu == u->cpu || (q = move_asleep(u, q, cpu)))
            break;
        q = sched_lock_queue_of(u);
    }
    if (unlikely(u->moved | u->sent) && !vcpu_runnable(v)) {
        u->moved = u->sent = false;
        TRACE_sched_told(v->domain->id, v->id, TRACE_TOLD_PLACED, u->cpu, now, sched_turn);
        spin_unlock(&q->lock);
        return;
    }
    u->runnable = true;
    runstate_change(v, RUNSTATE_runnable, now);
    sched_waits(q, u);
    r = q->pool->ops->wake(q, u, now);
    u->moved = u->sent = false;
    TRACE_sched_wake(v->domain->id, v->id, r.preempt, (u32)now, sched_turn);

    p = sched_pcpu(r.cpu);
    if (r.preempt) {
        ns_t may_switch = p->curr ? p->started + q->pool->t.rate_limit : now;

        p->wake_preempts = true;
        if (sched_nr_pcpus > 1 && !p->curr)
            now_busy(p);
        tighten_limit(p, may_switch, now);
    }
    tighten_limit(p, r.decide_by, now);
    sched_unlock(q, now);
}

void sched_wake(struct vcpu *v)
{
    bool recorded = sched_begin();

    sched_wake_unit(v->unit, sched_lock_queue_of(v->unit));
    sched_end(recorded);
}

void sched_sleep(struct vcpu *v)
{
    bool recorded = sched_begin();
    struct sched_unit *u = v->unit;
    struct runqueue *q = sched_lock_queue_of(u);
    ns_t now = now_ns();

    if (u->running) {
        arch_raise_schedule(u->cpu);
    } else if (u->runnable && !vcpu_runnable(v)) {
        TRACE_sched_told(v->domain->id, v->id, TRACE_TOLD_ASLEEP, 0, now, sched_turn);
        sched_unqueue(q, u, now);
        TRACE_sched_block(v->domain->id, v->id, trace_asleep(v));
        runstate_change(v, state_asleep(v), now);
    }
    sched_unlock(q, now);
    sched_end(recorded);
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

bool sched_is_off(const struct vcpu *v)
{
    return !READ_ONCE(v->unit->running) && !__atomic_load_n(&v->unit->saving, __ATOMIC_ACQUIRE);
}

/* ---- deciding ---- */

void sched_charge_current(struct sched_pcpu *p, ns_t now)
{
    struct sched_unit *u = p->curr;

    if (!u || now < p->charged) /* another pcpu's now may be later */
        return;
    if (p->q->pool->ops->charge)
        p->q->pool->ops->charge(p, u, now - p->charged, now);
    p->charged = now;
}

/* Why sched_run() was asked for, for the trace: numbers of `switch_reason`. asleep: what ran does not want to any more. */
static u8 switch_reason(const struct sched_pcpu *p, bool asleep)
{
    const struct sched_unit *u = p->curr;

    if (!p->was_idle_once)
        return TRACE_SWITCH_START;
    if (!u)
        return TRACE_SWITCH_WAKE;
    if (asleep)
        return state_asleep(u->vcpu) == RUNSTATE_blocked ? TRACE_SWITCH_BLOCK : TRACE_SWITCH_PAUSE;
    if (u->yielded)
        return TRACE_SWITCH_YIELD;
    return p->wake_preempts ? TRACE_SWITCH_WAKE : TRACE_SWITCH_SLICE_END;
}

/* Take a unit out of another runqueue into p's, which is locked. False: none came; *again: try soon. */
static bool take_from(struct sched_pcpu *p, struct runqueue *from, ns_t now, bool *again)
{
    const struct sched_ops *ops = p->q->pool->ops;
    struct sched_unit *u;

    if (!spin_trylock(&from->lock)) {
        *again = true;
        return false;
    }
    u = from->pool == p->q->pool ? ops->steal(from, p, now) : NULL;
    if (u) {
        sched_waits_no_more(from, u);
        sched_set_cpu(u, p->cpu, TRACE_MIGRATE_BALANCE);
        u->moved = true;
        sched_waits(p->q, u);
        (void)ops->wake(p->q, u, now); /* p decides now, whatever it answers */
        u->moved = false;
    }
    sched_unlock(from, now);
    return u;
}

/* p would idle: a unit of the nearest runqueue in which one waits. */
static bool take_from_nearest(struct sched_pcpu *p, ns_t now, bool *again)
{
    const struct cpupool *pool = p->q->pool;
    const struct cpumask *const sets[] = {&p->socket, &p->node, &pool->cpus};

    for (unsigned int i = 0; i < ARRAY_SIZE(sets); i++) {
        struct cpumask m = cpumask_and(&pool->loaded, sets[i]);

        for (unsigned int cpu = p->cpu; (cpu = cpumask_cycle_of(&m, &m, cpu)) < NR_PCPUS; cpumask_clear(&m, cpu)) {
            const struct runqueue *from = sched_pcpu(cpu)->q;

            if (from != p->q && READ_ONCE(from->waiting) > READ_ONCE(from->parked) && take_from(p, sched_pcpu(cpu)->q, now, again))
                return true;
        }
    }
    return false;
}

static void balance(struct sched_pcpu *p, struct sched_unit *prev, ns_t now, bool *again)
{
    const struct sched_ops *ops = p->q->pool->ops;
    struct runqueue *from = ops->balance ? ops->balance(p, prev, now) : NULL;

    if (from)
        (void)take_from(p, from, now, again);
}

/*
 * p has decided to run something, and units wait while pcpus idle: these come and look. First for
 * one that `waits` from now on, having run; then for those behind p's choice, of which the ones that
 * may not run everywhere are not offered again at each decision, but to all where p has just been
 * idle: it may be that p was to run one of these, and took another's unit. And where p was to take a
 * unit of another runqueue, and found one of its own, another pcpu goes for that one.
 */
static void offer(struct sched_pcpu *p, const struct sched_unit *waits)
{
    const struct runqueue *q = p->q;
    struct cpumask left = q->pool->idle;
    s64 n = (s64)q->waiting - q->parked - (p->curr ? q->pinned : 0);
    unsigned int cpu;

    if (waits && waits->restricted) {
        struct cpumask may = cpumask_and(&left, &waits->allowed);

        cpumask_for_each(c, &may)
            arch_raise_schedule(c);
        n--;
    } else if (waits && (cpu = sched_nearest_idle(waits, false)) != SCHED_NO_CPU) {
        arch_raise_schedule(cpu);
        cpumask_clear(&left, cpu);
        n--;
    }
    if (!p->curr && q->pinned)
        n = NR_PCPUS;
    else if (!p->curr && n <= 0 && !cpumask_empty(&q->pool->loaded))
        n = 1;
    for (cpu = p->cpu; n > 0 && (cpu = cpumask_cycle_of(&left, &left, cpu)) < NR_PCPUS; n--) {
        cpumask_clear(&left, cpu);
        arch_raise_schedule(cpu);
    }
}

/* Idling that the policy forces begins, goes on or ends. */
static void note_forced_idle(struct sched_pcpu *p, bool forced, ns_t now)
{
    if (p->forced == forced)
        return;
    p->forced = forced;
    if (forced) {
        p->forced_since = now;
    } else {
        p->forced_total += now - p->forced_since;
        TRACE_sched_forced_idle(now - p->forced_since);
    }
}

ns_t sched_forced_idle(unsigned int cpu)
{
    const struct sched_pcpu *p = sched_pcpu(cpu);
    ns_t now = now_ns();

    return p->forced_total + (p->forced && now > p->forced_since ? now - p->forced_since : 0);
}

/* Who runs beside it on its core's other threads; another runqueue's may have changed by now. */
static void trace_corun(const struct sched_pcpu *p)
{
    cpumask_for_each(cpu, &p->core) {
        u32 beside = READ_ONCE(sched_pcpu(cpu)->running);

        if (cpu != p->cpu && beside)
            TRACE_sched_corun((u16)p->running, p->running >> 16 & 0xff, cpu, (u16)beside, beside >> 16 & 0xff);
    }
}

/*
 * u's registers are in memory. Only now may another pcpu switch to it; and only now may it be
 * destroyed, so that one that leaves is woken first: whoever ends its domain waits for
 * sched_is_off().
 */
static void saved(struct sched_unit *u, bool leaves)
{
    if (unlikely(leaves))
        sched_wake(u->vcpu);
    __atomic_store_n(&u->saving, false, __ATOMIC_RELEASE);
}

/* What the processor does for a decision; from leaves for another pcpu, or not. */
static __always_inline_ void switch_to(struct sched_pcpu *p, struct vcpu *from, struct vcpu *to, bool several, bool leaves)
{
    /*
     * Its last pcpu still stores its registers. This one's are stored before it waits, so that two
     * pcpus cannot wait for each other.
     */
    if (several && !to->is_idle && unlikely(__atomic_load_n(&to->unit->saving, __ATOMIC_ACQUIRE))) {
        if (!from->is_idle) {
            arch_context_switch(from, p->idle);
            saved(from->unit, leaves);
            from = p->idle;
        }
        while (__atomic_load_n(&to->unit->saving, __ATOMIC_ACQUIRE))
            arch_relax();
    }
    arch_context_switch(from, to);
    if (several && !from->is_idle)
        saved(from->unit, leaves);
}

/* several: the machine has several pcpus. */
static __always_inline_ void run(struct sched_pcpu *p, const bool several)
{
    struct runqueue *q;
    const struct sched_ops *ops;
    bool again = false, recorded;
    struct sched_unit *prev, *stays = NULL, *leaves = NULL;
    struct sched_choice choice;
    struct vcpu *from, *to;
    ns_t now, limit;
    u8 why = 0;

    recorded = sched_begin();
    q = p->q;
    spin_lock(&q->lock);
    ops = q->pool->ops;
    now = now_ns();
    prev = p->curr;
    if (prev) {
        bool runnable = vcpu_runnable(prev->vcpu);

        /* Raised too early, as by a wake-up whose time has not come: what runs, runs on. */
        if (runnable && !prev->yielded && now < p->decide_by && !p->replace) {
            set_limit(p, p->decide_by);
            spin_unlock(&q->lock);
            sched_end(recorded);
            return;
        }
        if (ops->charge)
            ops->charge(p, prev, now - p->charged, now);
        p->charged = now;
        if (!runnable) {
            sched_unqueue(q, prev, now);
            TRACE_sched_block(prev->dom->domain->id, prev->vcpu->id, trace_asleep(prev->vcpu));
        } else if (several && unlikely(p->replace || !p->online || !sched_allowed(prev, p->cpu))) {
            sched_unqueue(q, prev, now);
            prev->moved = true; /* by who wakes it first, or below */
            leaves = prev;
        } else {
            stays = prev;
        }
    }
    p->replace = false;
    if (unlikely(p->online != q)) { /* or it is another's by now: p has been asked again */
        choice = (struct sched_choice){.slice = NS_NEVER, .why = SCHED_IDLE};
    } else {
        if (several && q->pool->nr_queues > 1)
            balance(p, stays, now, &again);
        choice = ops->pick(p, stays, now);
    }
    if (unlikely(recorded))
        why = switch_reason(p, !stays && !leaves);
    p->was_idle_once = true;
    if (prev)
        prev->yielded = false;
    if (choice.unit != stays) {
        if (stays)
            sched_waits(q, stays);
        if (choice.unit)
            sched_waits_no_more(q, choice.unit);
    }
    if (!choice.unit && choice.why == SCHED_IDLE && several && q->pool->nr_queues > 1 && p->online == q && ops->steal &&
        !cpumask_empty(&q->pool->loaded) && take_from_nearest(p, now, &again)) {
        choice = ops->pick(p, NULL, now);
        if (choice.unit)
            sched_waits_no_more(q, choice.unit);
    }
    p->wake_preempts = false;
    p->picked_at = now;
    limit = choice.slice == NS_NEVER ? NS_NEVER : now + choice.slice;
    if (unlikely(again) && !choice.unit)
        limit = min_of(limit, now + STEAL_AGAIN);
    if (limit != p->decide_by || timer_active(&p->timer) != (limit != NS_NEVER))
        set_limit(p, limit);
    if (several) {
        note_forced_idle(p, choice.why == SCHED_FORCED, now);
        if (choice.unit || choice.why == SCHED_FORCED || !p->online)
            now_busy(p);
        else
            now_idle(p);
    }
    if (several && choice.unit && !cpumask_empty(&q->pool->idle))
        offer(p, choice.unit != stays ? stays : NULL);
    if (several && unlikely(choice.relieve)) {
        sched_pcpu(choice.relieved)->replace = true;
        arch_raise_schedule(choice.relieved);
    }
    if (unlikely(q->kicked))
        sched_send_kicks(q, now);
    from = prev ? prev->vcpu : p->idle;
    to = choice.unit ? choice.unit->vcpu : p->idle;
    if (unlikely(recorded)) /* or what it says would be looked up in vain */
        TRACE_sched_pick(trace_domid(to), to->id, choice.why, choice.slice, (u32)now, sched_turn);
    if (from == to) {
        spin_unlock(&q->lock);
        sched_end(recorded);
        return;
    }

    if (prev) {
        prev->running = false;
        prev->saving = several;
        runstate_change(from, stays || leaves ? RUNSTATE_runnable : state_asleep(from), now);
    } else {
        runstate_change(from, RUNSTATE_runnable, now);
    }
    if (choice.unit) {
        choice.unit->running = true;
        if (several && choice.unit->cpu != p->cpu)
            sched_set_cpu(choice.unit, p->cpu, TRACE_MIGRATE_SHARED);
    }
    p->curr = choice.unit;
    p->started = p->charged = now;
    runstate_change(to, RUNSTATE_running, now);
    if (unlikely(recorded))
        TRACE_sched_switch(trace_domid(from), from->id, trace_state(from), trace_domid(to), to->id, why, choice.slice);
    if (several) {
        p->running = choice.unit ? (u32)to->domain->id | (u32)to->id << 16 | 1u << 24 : 0;
        if (p->threads > 1 && choice.unit)
            trace_corun(p);
    }
    spin_unlock(&q->lock);
    sched_end(recorded);

    /*
     * Other vCPUs of the domain may look at from's state; its own copy is only seen when it runs
     * again.
     */
    if (prev && from->domain->max_vcpus > 1)
        runstate_copy_out(from);
    switch_to(p, from, to, several, leaves);
    if (choice.unit)
        runstate_copy_out(to);
}

void sched_run(void)
{
    struct sched_pcpu *p = sched_pcpu(this_cpu());

    __asm__("" : "+r"(p)); /* a pointer, and not a table and an index at each use */
    if (sched_nr_pcpus > 1)
        run(p, true);
    else
        run(p, false);
}

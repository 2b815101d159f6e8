/* SPDX-License-Identifier: MIT */
/*
 * Scheduling: the framework that the hypervisor calls, and the interface of a policy.
 *
 * The framework (sched.c) owns when: states and runstates of vCPUs, the slice timer, the rate
 * limit, affinity, trace. A policy owns the order: which of the runnable units goes next on a pcpu,
 * and for how long. Policies are pure (DESIGN §3, decision 8): time and wake-ups come in as
 * arguments, interrupts and timers go out as results; a policy calls nothing but lists, heaps and
 * the trace, so the simulator and the unit tests drive the same objects.
 *
 * What is scheduled is a unit (a vCPU; with core scheduling, the vCPUs of a core) on the pcpus of a
 * pool, each of which has a runqueue. A policy gets a piece of memory of its own in each of them,
 * zeroed, sized in its struct sched_ops.
 *
 * Locks: a runqueue's lock is taken by the framework around every operation of a policy; it is
 * taken inside event port locks and outside timer locks. Interrupts are off. What a policy keeps
 * per pool or domain it guards itself.
 */
#ifndef PARANGON_SCHED_H
#define PARANGON_SCHED_H

#include "core/domain.h"

#define SCHED_WEIGHT_NORMAL 256
#define SCHED_RATE_LIMIT    MILLISECS(1) /* a woken unit preempts none that has run less (but yield and block switch at once) */

/* What decided a choice: numbers of `pick_reason` in trace/events.def. */
enum sched_why {
    SCHED_TURN, SCHED_BOOST, SCHED_UNDER, SCHED_OVER, SCHED_IDLE, SCHED_ONLY,
};

struct sched_ops;

/** Pcpus that share one policy; a domain belongs to one. */
struct cpupool {
    const struct sched_ops *ops;
    u64 cpus;                    /* bit per pcpu */
    u16 nr_cpus;
    void *priv;                  /* the policy's */
};

/** A domain as the scheduler sees it: one per domain, shared by its units. */
struct sched_domain {
    struct domain *domain;
    struct cpupool *pool;
    u32 refs;                    /* units */
    u16 weight, cap;             /* as last given to the policy */
    void *priv;                  /* the policy's */
};

/** What a policy orders. */
struct sched_unit {
    struct vcpu *vcpu;           /* its only vCPU, as long as units are no cores */
    struct sched_domain *dom;
    u64 affinity;                /* pcpus it may run on */
    u16 cpu;                     /* runqueue it belongs to; changes only while it is not runnable */
    bool runnable;               /* the policy has been told wake() and not sleep() */
    bool running;                /* picked, on its pcpu now */
    bool yielded;                /* asked to give way; for the next pick() */
    void *priv;                  /* the policy's */
};

/** The runqueue of a pcpu. */
struct runqueue {
    struct spinlock lock;
    unsigned int cpu;
    struct cpupool *pool;
    struct sched_unit *curr;     /* runs now; NULL: the idle vCPU */
    ns_t picked_at;              /* when curr was last picked: its slice counts from here */
    void *priv;                  /* the policy's */
};

/** Answer to a wake-up. */
struct sched_wake_result {
    bool preempt;                /* goes before what runs now on its pcpu */
    ns_t decide_by;              /* pick() wants to be called no later (system time); NS_NEVER: no wish */
};

/** Answer to "what next?". */
struct sched_choice {
    struct sched_unit *unit;     /* NULL: nothing, the pcpu idles */
    ns_t slice;                  /* longest time until the next pick(); NS_NEVER: until something wakes, sleeps or yields */
    enum sched_why why;
};

/**
 * A policy. Missing operations (NULL) do nothing; wake, sleep and pick are required. Those with a
 * queue run under its lock. A policy's own data: pool->priv, queue->priv, dom->priv and unit->priv,
 * of the sizes given here (0: NULL).
 */
struct sched_ops {
    const char *name;
    const char *doc;             /* one line, for the list of policies */
    size_t pool_size, queue_size, domain_size, unit_size;

    void (*pool_init)(struct cpupool *pool, ns_t now);
    void (*queue_init)(struct runqueue *q);
    void (*domain_init)(struct sched_domain *dom, ns_t now);
    void (*unit_init)(struct sched_unit *u);
    /** The unit goes away; it is not runnable. */
    void (*unit_fini)(struct runqueue *q, struct sched_unit *u);

    /**
     * Weight or cap of the domain become those given; dom->weight and cap still have the old ones.
     * No runqueue is locked.
     */
    void (*params)(struct sched_domain *dom, u16 weight, u16 cap, ns_t now);
    /** u became runnable and belongs to q from now on. */
    struct sched_wake_result (*wake)(struct runqueue *q, struct sched_unit *u, ns_t now);
    /** u is no longer runnable: it was queued in q, or it is q->curr and will not run on. */
    void (*sleep)(struct runqueue *q, struct sched_unit *u, ns_t now);
    /** u, which is q->curr, has used the processor for `ran` ns since the last charge. */
    void (*charge)(struct runqueue *q, struct sched_unit *u, ns_t ran, ns_t now);
    /**
     * Choose what runs next. prev is what ran if it is still runnable (it is in no queue: choose it
     * again or queue it; prev->yielded says that it wants to give way), else NULL. The chosen unit
     * leaves the queue.
     */
    struct sched_choice (*pick)(struct runqueue *q, struct sched_unit *prev, ns_t now);
};

/**
 * Register a policy: SCHED_POLICY(rr, .doc = "...", .wake = rr_wake, ...); one line at the end of
 * its file.
 */
#define SCHED_POLICY(policy, ...)                                                                  \
    static const struct sched_ops policy##_ops = {.name = #policy, __VA_ARGS__};                   \
    static const struct sched_ops *const policy##_entry                                            \
        __attribute__((section("sched_policies"), used)) = &policy##_ops

/** The registered policy of this name, or NULL. */
const struct sched_ops *sched_find_policy(const char *name);
/** The n-th registered policy, NULL behind the last. */
const struct sched_ops *sched_policy_at(unsigned int n);

/**
 * Choose the policy of the first pool, to which every pcpu belongs, before the first vCPU is made.
 * (Again, when all are gone.)
 * @return 0; -XEN_ENOENT: no such policy; -XEN_ENOMEM.
 */
int sched_init(const char *policy);

/**
 * Take a new vCPU in, not running (its pause_flags say why, VPF_DOWN mostly). An idle vCPU
 * (v->is_idle) makes its v->processor a pcpu of the pool, with timer_init_cpu() done before. Uses
 * v->domain->weight (0: normal) and cap.
 * @return 0, -XEN_ENOMEM.
 */
int sched_vcpu_create(struct vcpu *v);
/** Forget v; it sleeps and no pcpu runs it any more. */
void sched_vcpu_destroy(struct vcpu *v);

/** v->pause_flags became 0: it may run. Harmless when it may already. From any pcpu. */
void sched_wake(struct vcpu *v);
/**
 * v->pause_flags is not 0: it must not run. If it runs, its pcpu is asked to schedule; it is off
 * when sched_run() returns there.
 */
void sched_sleep(struct vcpu *v);
/**
 * The current vCPU waits for an event: sets VPF_BLOCKED and asks for a switch at the next way out.
 * The caller then looks once more for pending events, and calls vcpu_unpause(v, VPF_BLOCKED) if
 * there is one: no wake-up is lost.
 */
void sched_block_current(void);
/** The current vCPU gives way to others, if there are any, and stays runnable. */
void sched_yield_current(void);

/**
 * Decide what this pcpu runs and switch to it: called with interrupts off on the way out to a guest
 * and from the idle loop, when arch_raise_schedule() was called for this pcpu. After it
 * current_vcpu() may be another.
 */
void sched_run(void);

/**
 * Weight (1..65535) and cap (percent of one pcpu, 0: none, at most 100 for each of its vCPUs) of a
 * domain, from now on.
 * @return 0, -XEN_EINVAL out of range.
 */
int sched_set_params(struct domain *d, u16 weight, u16 cap);
/**
 * Pcpus that v may run on. @return 0; -XEN_EINVAL: none of them is in its pool.
 * Takes effect when it next sleeps, or at once if it does.
 */
int sched_set_affinity(struct vcpu *v, u64 cpus);

/** v's time in each runstate up to now, as VCPUOP_get_runstate_info tells. */
void sched_get_runstate(const struct vcpu *v, struct vcpu_runstate_info *out);

#endif

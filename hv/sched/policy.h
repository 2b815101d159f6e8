/* SPDX-License-Identifier: MIT */
/*
 * The interface of a scheduling policy.
 *
 * A policy is pure (DESIGN §3, decision 8): time, wake-ups, topology and random numbers come in as
 * arguments; interrupts, timers and kicks go out as results. It calls nothing but lists, heaps, the
 * functions of this header and the trace, so that the hypervisor, the unit tests and the simulator
 * run the same object.
 *
 * What is scheduled is a unit (a vCPU). A pool's pcpus are divided into runqueues: one each, or one
 * for the threads of a core, or for a socket (at most RUNQUEUE_CPUS pcpus), as the policy's `span`
 * or the pool's says. Each pcpu, runqueue, pool, domain and unit has a piece of memory for the
 * policy, zeroed, of the size given in its struct sched_ops.
 *
 * Locks: the framework holds the runqueue's lock around every operation that is given a runqueue,
 * and it guards all of the runqueue's pcpus and the units that belong to it. What a policy keeps
 * per pool or domain is shared by runqueues: it guards that itself, by a lock of rank LOCK_POLICY,
 * which is taken inside a runqueue's. Fields marked "hint" may be read without any lock and may be
 * old.
 */
#ifndef PARANGON_SCHED_POLICY_H
#define PARANGON_SCHED_POLICY_H

#include "list.h"
#include "sched.h"

/** Most pcpus that share a runqueue (SPAN_SOCKET; threads of one core always share). */
#define RUNQUEUE_CPUS 16
#define MAX_POOLS     16

/* What decided a choice: numbers of `pick_reason` in trace/events.def. */
enum sched_why {
    SCHED_TURN, SCHED_BOOST, SCHED_UNDER, SCHED_OVER, SCHED_IDLE, SCHED_ONLY,
    SCHED_RATELIMIT, SCHED_FORCED, SCHED_CORUN,
};

/** The machine's pcpus that have come, unplugged ones too: it never falls. */
extern unsigned int sched_nr_pcpus;

/** One or several pcpus that choose from the same waiting units. */
struct runqueue {
    struct spinlock lock;
    u16 first;                   /* number of its first pcpu, which names it */
    u16 nr_cpus;
    bool kicked;                 /* sched_kick() was called */
    u32 waiting;                 /* units that are runnable and do not run; hint */
    u32 pinned;                  /* of these, those that may not run on each pcpu of the pool */
    u32 parked;                  /* of the others, those that may not run at all now; the policy counts them */
    struct cpupool *pool;
    struct cpumask cpus;         /* online */
    struct cpumask members;      /* whose runqueue it is, online or not */
    struct cpumask kick;
    void *priv;                  /* the policy's */
};

/** Pcpus that share one policy; a domain belongs to one. */
struct cpupool {
    const struct sched_ops *ops;
    struct sched_tunables t;
    u16 id, nr_cpus, nr_queues;
    struct cpumask cpus;         /* online */
    struct cpumask claimed;      /* its pcpus when they come */
    /* The next three are hints, not kept while the machine has one pcpu: */
    struct cpumask idle;         /* pcpus that have nothing to run and nothing on its way */
    struct cpumask idle_cores;   /* the first thread of each core all of whose threads are idle */
    struct cpumask loaded;       /* the first pcpu of each runqueue in which a unit waits */
    struct list domains;
    u32 nr_units;
    u16 last_cpu;                /* where the newest unit was put */
    void *priv;                  /* the policy's */
    struct runqueue queue[NR_PCPUS]; /* nr_queues of them, emptied ones among them; they outlive the pool */
};

/** A domain as the scheduler sees it: one per domain, shared by its units. */
struct sched_domain {
    struct list node;            /* in its pool */
    struct list units;
    struct domain *domain;
    struct cpupool *pool;
    u32 refs;                    /* units */
    u16 weight, cap;             /* as last given to the policy */
    void *priv;                  /* the policy's */
};

/** What a policy orders. */
struct sched_unit {
    struct vcpu *vcpu;           /* its only vCPU */
    struct sched_domain *dom;
    u16 cpu;                     /* pcpu that it runs on, or ran on last; its runqueue is that of this pcpu */
    bool runnable;               /* the policy has been told wake() and not sleep() */
    bool running;                /* picked, on its pcpu now */
    bool yielded;                /* asked to give way; for the next pick() */
    bool moved;                  /* wake() because it was moved, not because it slept: earns no favour */
    bool sent;                   /* asleep, and to be placed anew (framework) */
    bool restricted;             /* may not run on each pcpu of its pool */
    bool pinned;                 /* it was restricted when it came to wait */
    bool saving;                 /* its pcpu still stores its registers (framework) */
    void *priv;                  /* the policy's */
    struct cpumask allowed;      /* pcpus that it may run on now: hard affinity and online */
    struct cpumask soft;         /* pcpus that it had better run on */
    struct cpumask affinity;     /* as asked for */
    struct list node;            /* of its domain */
};

struct sched_pcpu {
    struct runqueue *q;
    struct sched_unit *curr;     /* runs now; NULL: the idle vCPU. For other runqueues' pcpus a hint */
    ns_t picked_at;              /* when curr was last picked: its slice counts from here */
    void *priv;                  /* the policy's */
    u16 cpu;
    const struct runqueue *online; /* q, where it decides; NULL: it takes no part, or not yet */
    /* the framework's own */
    bool unplugged;
    bool wake_preempts;          /* a woken unit wants to go first */
    bool was_idle_once;          /* has made its first decision */
    bool replace;                /* what runs should be placed anew, another pcpu thinks */
    bool forced;                 /* idles by choice of the policy though units wait */
    ns_t decide_by;              /* when the next decision is due; NS_NEVER: not set */
    ns_t started;                /* when curr came to run, for the rate limit */
    ns_t charged;                /* time up to which curr has been charged */
    ns_t forced_since, forced_total;
    struct vcpu *idle;
    struct timer timer;
    /* where it is; sets include itself, and pcpus that are not there yet */
    struct arch_cpu_place place;
    struct cpumask core, socket, node;
    u16 core_first;              /* first thread of its core */
    u16 threads;                 /* of its core, that exist */
    u32 running;                 /* curr's domain, vCPU << 16, 1 << 24; 0: none. A hint for other runqueues */
    u64 random;
} __aligned_(64);

extern struct sched_pcpu sched_pcpus[NR_PCPUS];

static inline struct sched_pcpu *sched_pcpu(unsigned int cpu)
{
    return &sched_pcpus[cpu];
}

static inline struct runqueue *sched_queue_of(const struct sched_unit *u)
{
    return sched_pcpus[u->cpu].q;
}

/** Answer to a wake-up. */
struct sched_wake_result {
    bool preempt;                /* goes before what runs now on pcpu `cpu` */
    u16 cpu;                     /* of the runqueue */
    ns_t decide_by;              /* that pcpu wants pick() to be called no later (system time); NS_NEVER: no wish */
};

/** Answer to "what next?". */
struct sched_choice {
    struct sched_unit *unit;     /* NULL: nothing, the pcpu idles */
    ns_t slice;                  /* longest time until the next pick(); NS_NEVER: until something wakes, sleeps or yields */
    enum sched_why why;
    bool relieve;                /* what pcpu `relieved`, of another runqueue, runs should be placed anew */
    u16 relieved;
};

/**
 * A policy. Missing operations (NULL) do nothing, or what is said; wake, sleep and pick are
 * required.
 */
struct sched_ops {
    const char *name;
    const char *doc;             /* one line, for the list of policies */
    enum sched_span span;        /* SPAN_POLICY: a runqueue per pcpu */
    size_t pool_size, queue_size, cpu_size, domain_size, unit_size;

    void (*pool_init)(struct cpupool *pool, ns_t now);
    void (*queue_init)(struct runqueue *q, ns_t now);
    void (*cpu_init)(struct sched_pcpu *p);
    /** p, which idles, leaves its runqueue, which is locked, for good: nothing may name it any more. */
    void (*cpu_fini)(struct sched_pcpu *p);
    void (*domain_init)(struct sched_domain *dom, ns_t now);
    /** No unit of it is left. */
    void (*domain_fini)(struct sched_domain *dom);
    void (*unit_init)(struct sched_unit *u);
    /** The unit goes away; it is not runnable. */
    void (*unit_fini)(struct runqueue *q, struct sched_unit *u);

    /**
     * Weight or cap of the domain become those given; dom->weight and cap still have the old ones.
     * No runqueue is locked.
     */
    void (*params)(struct sched_domain *dom, u16 weight, u16 cap, ns_t now);
    /** The pool is about to have another number of pcpus: account up to now. No runqueue is locked. */
    void (*cpus_change)(struct cpupool *pool, ns_t now);
    /**
     * Where should u go, which is about to wake? One of u->allowed. Its own runqueue is locked,
     * others are hints. Only on machines of several pcpus. NULL: the nearest idle one, else its
     * own, else (it may not run there any more) one by chance.
     */
    u16 (*place)(struct sched_unit *u, ns_t now);
    /** u became runnable and belongs to q, at pcpu u->cpu, from now on. */
    struct sched_wake_result (*wake)(struct runqueue *q, struct sched_unit *u, ns_t now);
    /** u is no longer runnable: it was queued in q, or it is u->cpu's curr and will not run on. */
    void (*sleep)(struct runqueue *q, struct sched_unit *u, ns_t now);
    /** u, which is p->curr, has used the processor for `ran` ns since the last charge. */
    void (*charge)(struct sched_pcpu *p, struct sched_unit *u, ns_t ran, ns_t now);
    /**
     * p is about to pick: from which other runqueue should a unit be taken before? NULL: none. Only
     * where a pool has several. Without this operation: the nearest in which one waits, where p
     * would idle.
     */
    struct runqueue *(*balance)(struct sched_pcpu *p, struct sched_unit *prev, ns_t now);
    /**
     * Take the unit that p had best run out of q, another's runqueue (both are locked), if there is
     * one that may run there; it comes back by wake() with u->moved. NULL: no unit of this policy
     * changes runqueues but to wake.
     */
    struct sched_unit *(*steal)(struct runqueue *q, struct sched_pcpu *p, ns_t now);
    /**
     * Choose what runs next on p. prev is what ran if it is still runnable (it is in no queue:
     * choose it again or queue it; prev->yielded says that it wants to give way), else NULL. The
     * chosen unit leaves the queue; it may run on p->cpu (u->allowed).
     */
    struct sched_choice (*pick)(struct sched_pcpu *p, struct sched_unit *prev, ns_t now);
};

/**
 * Register a policy: SCHED_POLICY(rr, .doc = "...", .wake = rr_wake, ...); one line at the end of
 * its file.
 */
#define SCHED_POLICY(policy, ...)                                                                  \
    static const struct sched_ops policy##_ops = {.name = #policy, __VA_ARGS__};                   \
    static const struct sched_ops *const policy##_entry                                            \
        __attribute__((section("sched_policies"), used)) = &policy##_ops

/** May u run there? */
static inline bool sched_allowed(const struct sched_unit *u, unsigned int cpu)
{
    return likely(!u->restricted) || cpumask_test(&u->allowed, cpu);
}

/** Another pcpu of q shall decide anew as soon as the running operation ends. */
static inline void sched_kick(struct runqueue *q, unsigned int cpu)
{
    cpumask_set(&q->kick, cpu);
    q->kicked = true;
}

/** The pool's slice, or the policy's own. */
static inline ns_t sched_slice(const struct cpupool *pool, ns_t own)
{
    return pool->t.slice ? pool->t.slice : own;
}

/** No idle pcpu; what sched_nearest_idle() answers then. */
#define SCHED_NO_CPU 0xffff
/**
 * The idle pcpu that u, which is about to wake, had best run on: its own, else the nearest (core,
 * socket, node, any), of its soft affinity before others. cores_first: one whose core is idle
 * before one with a busy sibling. SCHED_NO_CPU: none that it may run on is idle.
 */
u16 sched_nearest_idle(const struct sched_unit *u, bool cores_first);
/** One of the set by chance (xorshift, from p's own seed), seldom evenly; NR_PCPUS: it is empty. For p's pool. */
static inline unsigned int sched_any_of(struct sched_pcpu *p, const struct cpumask *set)
{
    const struct cpupool *pool = p->q->pool;

    p->random ^= p->random << 13;
    p->random ^= p->random >> 7;
    p->random ^= p->random << 17;
    return cpumask_cycle_of(set, set, pool->queue[(p->random >> 32) % pool->nr_queues].first);
}

/** Where none is idle: its own, but one by chance in whose runqueue clearly fewer wait, or if it may not run on its own. */
u16 sched_shorter(const struct sched_unit *u);
/** An idle pcpu, else that. */
u16 sched_place_by_length(struct sched_unit *u, ns_t now);

#endif

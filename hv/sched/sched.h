/* SPDX-License-Identifier: MIT */
/*
 * Scheduling: what the hypervisor calls. A policy's side is in policy.h.
 *
 * Any number of pcpus in pools, each pool with a policy of its own. The framework (sched.c, pool.c)
 * owns when: states and runstates of vCPUs, the slice timers, the rate limit, affinity, moving
 * between runqueues, unplugging of pcpus, trace. A policy owns the order and the place.
 *
 * The environment (the hypervisor, tests/host, the simulator) gives: now_ns(), this_cpu(),
 * current_vcpu(), timers (core/timer.h), and of core/arch.h arch_raise_schedule(),
 * arch_context_switch(), arch_alloc(), arch_free(), arch_cpu_place(); runstate_copy_out();
 * printk(). Interrupts are off wherever this is called.
 */
#ifndef PARANGON_SCHED_H
#define PARANGON_SCHED_H

#include "core/domain.h"
#include "cpumask.h"

#define SCHED_WEIGHT_NORMAL 256
#define SCHED_RATE_LIMIT    MILLISECS(1) /* default; see struct sched_tunables */

struct sched_ops;
struct cpupool;

/** Which pcpus share a runqueue, or (policy smt) run one domain at a time. */
enum sched_span { SPAN_POLICY, SPAN_CPU, SPAN_CORE, SPAN_SOCKET };

/** What may be set for a pool at run time. */
struct sched_tunables {
    ns_t slice;                  /* longest time between two decisions while others wait; 0: the policy's own */
    ns_t rate_limit;             /* a woken unit preempts none that has run less (but yield and block switch at once) */
    u8 span;                     /* enum sched_span; SPAN_POLICY: the policy's own. Before the pool's first pcpu only */
    bool exclusive;              /* policy smt: siblings run one domain, or idle */
};

/** What holds unless said otherwise: the policy's own slice and span, SCHED_RATE_LIMIT, not exclusive. */
#define SCHED_TUNABLES_DEFAULT ((struct sched_tunables){.rate_limit = SCHED_RATE_LIMIT})

/** The registered policy of this name, or NULL. */
const struct sched_ops *sched_find_policy(const char *name);
/** The n-th registered policy, NULL behind the last; and what it says of itself. */
const struct sched_ops *sched_policy_at(unsigned int n);
const char *sched_policy_name(const struct sched_ops *ops);
const char *sched_policy_doc(const struct sched_ops *ops);

/**
 * Begin: pool 0 with this policy and SCHED_TUNABLES_DEFAULT, to which every pcpu belongs that no
 * other pool claims. Before the first idle vCPU is made. (Again, when all vCPUs and pcpus are gone.)
 * @return 0; -XEN_ENOENT: no such policy; -XEN_ENOMEM.
 */
int sched_init(const char *policy);
/**
 * More pools, after sched_init() and before the pcpus they claim: "CPUS:POLICY" separated by '/',
 * CPUS as 2-3,6; "2-3:rr/4-7:smt" makes pools 1 and 2. Each gets the tunables of pool 0.
 * @return 0; -XEN_EINVAL: not of this form, or a pcpu claimed twice; -XEN_ENOENT: no such policy;
 *         -XEN_ENOMEM. What came before the mistake holds.
 */
int sched_make_pools(const char *spec);
/** Pool `id`, or NULL. */
struct cpupool *sched_pool(unsigned int id);
/**
 * Other tunables from now on.
 * @return 0; -XEN_EBUSY: another span, and the pool has pcpus; -XEN_ENOENT: it is no more.
 */
int sched_tune(struct cpupool *pool, const struct sched_tunables *t);
/** Seed of the random numbers that policies use (they are the same in each run unless this differs). */
void sched_seed(u64 seed);

/**
 * Take a new vCPU in, not running (its pause_flags say why, VPF_DOWN mostly). An idle vCPU
 * (v->is_idle) makes its v->processor a pcpu of the pool that claims it, with timer_init_cpu() done
 * before. Uses v->domain->weight (0: normal) and cap; the domain is in pool 0.
 * @return 0, -XEN_ENOMEM.
 */
int sched_vcpu_create(struct vcpu *v);
/** Forget v; it sleeps, and sched_is_off() says that no pcpu runs it any more. */
void sched_vcpu_destroy(struct vcpu *v);
/**
 * No pcpu runs v, and the one that did last is through with arch_context_switch(). Of a vCPU that
 * may be woken meanwhile the answer may be old.
 */
bool sched_is_off(const struct vcpu *v);

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
 * Pcpus that v may run on, from now on: if it runs elsewhere, its pcpu is asked to schedule and
 * gives it away. While none of them is online in its pool, v runs on any of the pool's.
 * @return 0; -XEN_EINVAL: none of them is in its pool.
 */
int sched_set_affinity_mask(struct vcpu *v, const struct cpumask *cpus);
/** The same for pcpus 0 to 63 of a word. */
static inline int sched_set_affinity(struct vcpu *v, u64 cpus)
{
    struct cpumask m = cpumask_from_word(cpus);

    return sched_set_affinity_mask(v, &m);
}
/** Pcpus that v had better run on, among those that it may. All: no preference. */
void sched_set_soft_affinity(struct vcpu *v, const struct cpumask *cpus);
/** What v may and had better run on, as asked for, and the pcpus of its pool that are online. */
void sched_get_affinity(const struct vcpu *v, struct cpumask *hard, struct cpumask *soft, struct cpumask *pool);
/**
 * Put a domain, all of whose vCPUs are off (sched_is_off()) and down or paused, into another pool.
 * @return 0; -XEN_ENOENT: no such pool; -XEN_EBUSY: a vCPU is not off, or the pool has no pcpus;
 *         -XEN_ENOMEM: it stays where it is.
 */
int sched_set_pool(struct domain *d, unsigned int id);

struct sched_pool_info {
    u32 id, nr_domains;
    const char *policy;
    struct sched_tunables t;
    struct cpumask cpus;         /* online */
};
/** The number of the pool that a domain is in. */
unsigned int sched_pool_of(const struct domain *d);
/** Of the first pool from number `id` on. @return 0; -XEN_ENOENT: there is none. */
int sched_pool_info(unsigned int id, struct sched_pool_info *info);

/** Of pools and pcpus: whichever. */
#define SCHED_ANY 0xffffffffu
/**
 * A pool with this policy (NULL: pool 0's), without pcpus and domains, and with the tunables of pool 0; of the first number that is free, or of
 * this one. @return its number; -XEN_EEXIST; -XEN_ENOSPC: there are no such numbers, or none is left; -XEN_ENOMEM
 */
int sched_create_pool(unsigned int id, const struct sched_ops *ops);
/**
 * It is no more; what it had of unplugged pcpus is free.
 * @return 0; -XEN_ENOENT; -XEN_EBUSY: it has pcpus or domains; -XEN_EAGAIN: a pcpu is about to leave it, ask again
 */
int sched_destroy_pool(unsigned int id);
/**
 * A free pcpu, this one or any, comes to a pool, and units to it.
 * @return 0; -XEN_ENOENT: no such pool; -XEN_EINVAL: no such pcpu; -XEN_ENODEV: it is not free, or unplugged, or none is free; -XEN_ENOMEM
 */
int sched_pool_add_cpu(unsigned int id, unsigned int cpu);
/**
 * A pcpu, this one or the pool's last, leaves its pool, as by sched_cpu_down(), and is free when this has returned 0.
 * @return 0; -XEN_EAGAIN: it is on its way, ask again; -XEN_EBUSY: there are domains that it is the last pcpu of, or it is pool 0's last;
 *         -XEN_ENOENT, -XEN_EINVAL as above; -XEN_EADDRNOTAVAIL (as Xen): it is not of this pool, or that has none
 */
int sched_pool_remove_cpu(unsigned int id, unsigned int cpu);
/** Pcpus that are in no pool, and not unplugged. */
void sched_free_cpus(struct cpumask *cpus);

/**
 * A pcpu leaves its pool: its waiting units go to others now, what runs there at its next
 * sched_run(), which is raised. Vcpus that may run nowhere else run anywhere in the pool until it
 * comes back. It is through when sched_cpu_is_idle().
 * @return 0 (at once where it is free); -XEN_EBUSY: it is the last of its pool; -XEN_ENOENT: it is no pcpu, or gone or leaving already.
 */
int sched_cpu_down(unsigned int cpu);
bool sched_cpu_is_idle(unsigned int cpu);
/** It comes back, to its pool if it has one: units that want it move to it. @return 0; -XEN_ENOENT: it was never a pcpu. */
int sched_cpu_up(unsigned int cpu);

/** v's runstate, since when, and its time in each up to now, as VCPUOP_get_runstate_info tells (xen/vcpu.h). */
void sched_get_runstate(const struct vcpu *v, struct vcpu_runstate_info *out);
/** Time that a pcpu has idled although units waited, because of exclusivity. */
ns_t sched_forced_idle(unsigned int cpu);

/**
 * Where class SCHED is recorded, the scheduler's operations come one after another, whichever
 * runqueues they are of, and their records carry their number: so a trace says all that decides what
 * follows, idle pcpus and other hints included, and a replay has nothing to guess (sim/replay.h).
 * Elsewhere they overlap as their locks let them. Outside sched_lock.
 */
extern struct spinlock sched_turns;
extern u32 sched_turn; /* of the operation that is under way */

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The processor's part of vCPUs, domains and pcpus in the simulator: in place of hv/x86/arch_types.h, so that hv/sched compiles
 * from the same sources. A simulated processor has no registers; what it does have is kept by sim/machine.c.
 */
#ifndef PARANGON_ARCH_TYPES_H
#define PARANGON_ARCH_TYPES_H

#include "types.h"

struct arch_vcpu {
    u32 index; /* of the simulator's own record of it */
};

struct arch_domain {
    u32 index;
};

struct vcpu;

/** The simulated instant, and the pcpu whose turn it is. */
extern ns_t sim_now;
extern unsigned int sim_cpu;
extern struct vcpu **sim_current; /* by pcpu: what runs there, idle vCPUs included */

static inline unsigned int this_cpu(void)
{
    return sim_cpu;
}

static inline struct vcpu *current_vcpu(void)
{
    return sim_current[sim_cpu];
}

static inline ns_t now_ns(void)
{
    return sim_now;
}

#endif

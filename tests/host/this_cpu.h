/* SPDX-License-Identifier: MIT */
/*
 * Where code finds the data of the processor that it runs on, in the simulated machine: in place of hv/x86/this_cpu.h.
 */
#ifndef PARANGON_THIS_CPU_H
#define PARANGON_THIS_CPU_H

#include "arch_types.h"

extern struct cpu_info host_cpu_info[];
extern unsigned int host_cpu;
extern ns_t host_now;

static inline struct cpu_info *get_cpu_info(void)
{
    return &host_cpu_info[host_cpu];
}

static inline struct cpu_info *cpu_info_of(unsigned int cpu)
{
    return &host_cpu_info[cpu];
}

static inline struct vcpu *current_vcpu(void)
{
    return get_cpu_info()->current;
}

static inline unsigned int this_cpu(void)
{
    return host_cpu;
}

static inline ns_t now_ns(void)
{
    return host_now;
}

#endif

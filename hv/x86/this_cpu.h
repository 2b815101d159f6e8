/* SPDX-License-Identifier: MIT */
/*
 * Where code finds the data of the processor that it runs on: struct cpu_info at the top of this pcpu's stack.
 *
 * Found by the include path, as insn.h is: the host library has its own. Included through arch_types.h only.
 */
#ifndef PARANGON_THIS_CPU_H
#define PARANGON_THIS_CPU_H

#include "arch_types.h"

static inline struct cpu_info *get_cpu_info(void)
{
    u64 sp;

    __asm__("mov %%rsp, %0" : "=r"(sp));
    return (struct cpu_info *)((sp | (STACK_SIZE - 1)) + 1) - 1;
}

extern u8 pcpu_stacks[];

/** Another pcpu's; of its fields only `work` may be changed from elsewhere. */
static inline struct cpu_info *cpu_info_of(unsigned int cpu)
{
    return (struct cpu_info *)(pcpu_stacks + STACK_SIZE * (cpu + 1)) - 1;
}

static inline struct vcpu *current_vcpu(void)
{
    return get_cpu_info()->current;
}

static inline unsigned int this_cpu(void)
{
    return get_cpu_info()->cpu;
}

ns_t now_ns(void);

#endif

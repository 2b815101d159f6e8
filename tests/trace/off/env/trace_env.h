/* SPDX-License-Identifier: MIT */
/* The trace environment of freestanding samples: as in the hypervisor, per-CPU data lie at the base of an aligned stack. */
#ifndef PARANGON_TESTS_TRACE_OFF_ENV_H
#define PARANGON_TESTS_TRACE_OFF_ENV_H

#include "trace/ring.h"
#include "trace/tsc.h"

#define SAMPLE_STACK_SIZE 32768ul

struct sample_pcpu {
    struct trace_ring trace;
};

static inline struct trace_ring *trace_this_ring(void)
{
    unsigned long stack;

    __asm__("mov %%rsp, %0" : "=r"(stack));
    return &((struct sample_pcpu *)(stack & ~(SAMPLE_STACK_SIZE - 1)))->trace;
}

static inline uint64_t trace_clock(void)
{
    return trace_tsc();
}

#endif

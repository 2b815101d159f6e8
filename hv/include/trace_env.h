/* SPDX-License-Identifier: MIT */
/* What trace/trace.h needs of the hypervisor: the ring of this pcpu, and the clock. */
#ifndef PARANGON_TRACE_ENV_H
#define PARANGON_TRACE_ENV_H

#include "core/arch.h"
#include "trace/ring.h"
#include "trace/tsc.h"

static inline struct trace_ring *trace_this_ring(void)
{
    return &get_cpu_info()->trace;
}
static inline uint64_t trace_clock(void)
{
    return trace_tsc();
}

#endif

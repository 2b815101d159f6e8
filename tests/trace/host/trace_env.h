/* SPDX-License-Identifier: MIT */
/*
 * The trace environment of the hypervisor's portable sources on the host: one ring, and a clock that
 * counts its readings, so that two builds of one scenario stamp alike. Comes before
 * hv/include/trace_env.h on the include path.
 */
#ifndef PARANGON_TESTS_TRACE_HOST_ENV_H
#define PARANGON_TESTS_TRACE_HOST_ENV_H

#include "trace/ring.h"

extern struct trace_ring scenario_ring;
extern uint64_t scenario_clock;

static inline struct trace_ring *trace_this_ring(void)
{
    return &scenario_ring;
}

static inline uint64_t trace_clock(void)
{
    return ++scenario_clock;
}

#endif

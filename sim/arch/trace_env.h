/* SPDX-License-Identifier: MIT */
/*
 * What trace/trace.h needs of the simulator: the ring of the pcpu whose turn it is, and a clock that counts simulated
 * nanoseconds. The rings are masked unless a trace was asked for.
 */
#ifndef PARANGON_TRACE_ENV_H
#define PARANGON_TRACE_ENV_H

#include <stdbool.h>
#include <stdint.h>

#include "arch_types.h"
#include "trace/ring.h"

extern struct trace_ring *sim_rings; /* by pcpu */

static inline struct trace_ring *trace_this_ring(void)
{
    return &sim_rings[sim_cpu];
}

/** A replay runs: it takes its turn before each record. */
extern bool sim_replays;
void sim_replay_records(void);

static inline uint64_t trace_clock(void)
{
    if (__builtin_expect(sim_replays, 0))
        sim_replay_records();
    return sim_now;
}

#endif

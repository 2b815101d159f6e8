/* SPDX-License-Identifier: MIT */
/*
 * The trace environment of the tests: rings in an array, a clock that moves by what the test says.
 * Stands in for hv/include/trace_env.h.
 */
#ifndef PARANGON_TESTS_TRACE_ENV_H
#define PARANGON_TESTS_TRACE_ENV_H

#include "trace/ring.h"

#define TEST_CPUS 8

struct test_machine {
    struct trace_ring ring[TEST_CPUS], nmi_ring[TEST_CPUS];
    uint32_t cpu;  /* the one that runs */
    uint64_t time; /* what the clock reads; each reading moves it by one */
};

extern struct test_machine test_machine;

static inline struct trace_ring *trace_this_ring(void)
{
    return &test_machine.ring[test_machine.cpu];
}

static inline uint64_t trace_clock(void)
{
    return ++test_machine.time;
}

#endif

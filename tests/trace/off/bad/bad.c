/* SPDX-License-Identifier: MIT */
/* What must not be: a tracer that evaluates its arguments although its class is off. The test must notice. */
#include "trace/trace.h"

#undef TRACE_sched_yield
#define TRACE_sched_yield leaky_yield

unsigned bad_count(unsigned *counter);

static inline void leaky_yield(uint16_t domid, uint8_t vcpu_id)
{
}

unsigned bad_count(unsigned *counter)
{
    TRACE_sched_yield((uint16_t)++*counter, 0);
    return 0;
}

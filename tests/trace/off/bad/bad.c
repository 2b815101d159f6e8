/* SPDX-License-Identifier: MIT */
/* A trace call as it must not be: its argument has a side effect, which stays when the call is off. The test must notice. */
#include "trace/trace.h"

unsigned bad_count(unsigned *counter);

unsigned bad_count(unsigned *counter)
{
    TRACE_sched_yield((uint16_t)++*counter, 0);
    return 0;
}

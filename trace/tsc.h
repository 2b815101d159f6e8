/* SPDX-License-Identifier: MIT */
/*
 * The trace clock of a real processor: the time stamp counter. Not serialising: a record's time is
 * good to a few dozen cycles.
 */
#ifndef PARANGON_TRACE_TSC_H
#define PARANGON_TRACE_TSC_H

#include <stdint.h>

static inline uint64_t trace_tsc(void)
{
    uint64_t low, high; /* RDTSC clears the upper halves */

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return high << 32 | low;
}

#endif

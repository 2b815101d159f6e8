/* SPDX-License-Identifier: MIT */
/*
 * Histogram of durations in logarithmic buckets: 128 to each power of two.
 *
 * Error bound: a percentile is the upper end of the bucket that holds it, at most 1/128 (0.8 %) above the true value, never below;
 * count, mean and maximum are exact.
 */
#ifndef PARANGON_SIM_HIST_H
#define PARANGON_SIM_HIST_H

#include <stdint.h>

#define SIM_HIST_SUB     128u
#define SIM_HIST_BUCKETS (SIM_HIST_SUB * 58u)

struct sim_hist {
    uint64_t count, max;
    double sum;
    uint32_t bucket[SIM_HIST_BUCKETS];
};

static inline void sim_hist_add(struct sim_hist *h, uint64_t ns)
{
    unsigned shift = ns < SIM_HIST_SUB ? 0 : 57 - (unsigned)__builtin_clzll(ns);

    h->bucket[shift ? shift * SIM_HIST_SUB + (ns >> (shift - 1)) - SIM_HIST_SUB : ns]++;
    h->count++;
    h->sum += (double)ns;
    if (ns > h->max)
        h->max = ns;
}

/** The value that a share `p` (0..1) of the durations does not exceed, ns; 0 where there are none. */
uint64_t sim_hist_percentile(const struct sim_hist *h, double p);

/** Add all of `from`. */
void sim_hist_merge(struct sim_hist *into, const struct sim_hist *from);

#endif

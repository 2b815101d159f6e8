/* SPDX-License-Identifier: MIT */
/* Percentiles of a histogram: see hist.h. */
#include "sim/hist.h"

#include <math.h>

/* The largest value that falls into a bucket. */
static uint64_t upper_end(unsigned bucket)
{
    unsigned shift = bucket / SIM_HIST_SUB;

    if (!shift)
        return bucket;
    return (((uint64_t)(bucket % SIM_HIST_SUB) + SIM_HIST_SUB + 1) << (shift - 1)) - 1;
}

uint64_t sim_hist_percentile(const struct sim_hist *h, double p)
{
    uint64_t rank = (uint64_t)ceil(p * (double)h->count), seen = 0;

    if (!h->count)
        return 0;
    for (unsigned i = 0; i < SIM_HIST_BUCKETS; i++) {
        seen += h->bucket[i];
        if (h->bucket[i] && seen >= rank)
            return upper_end(i) < h->max ? upper_end(i) : h->max;
    }
    return h->max;
}

void sim_hist_merge(struct sim_hist *into, const struct sim_hist *from)
{
    for (unsigned i = 0; i < SIM_HIST_BUCKETS; i++)
        into->bucket[i] += from->bucket[i];
    into->count += from->count;
    into->sum += from->sum;
    if (from->max > into->max)
        into->max = from->max;
}

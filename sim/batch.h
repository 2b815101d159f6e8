/* SPDX-License-Identifier: MIT */
/*
 * Many simulated runs and what they say together: the figures of each go into one result (struct run, points), and means,
 * intervals and paired differences come out of it.
 *
 * Statistics: means over seeds with Student's 95 % interval; a difference of two series is taken seed by seed (the same seed is the
 * same work at the same times), so its interval does not contain what the seeds have in common. With one seed there is none.
 */
#ifndef PARANGON_SIM_BATCH_H
#define PARANGON_SIM_BATCH_H

#include <stdio.h>

#include "analysis/results.h"
#include "sim/setup.h"

/** What one run says: of a load, or ("") of the machine. */
struct sim_metric {
    const char *name, *unit, *what;
    bool of_load;
    double (*get)(const struct sim_setup *setup, const struct sim_result *result, unsigned load);
};
extern const struct sim_metric sim_metrics[];
extern const unsigned sim_nr_metrics;

/** The metric of that name, NULL if there is none. */
const struct sim_metric *sim_metric(const char *name);

struct sim_estimate {
    unsigned n;       /* seeds */
    double mean, half; /* half of the 95 % interval; NAN with fewer than two seeds */
};

/** A result without points: mode "simulated". */
struct run *sim_batch_new(const char *experiment);

/**
 * Run once and add every metric as a point.
 * @return 0; -1: the simulator refused (it has said why)
 */
int sim_batch_run(struct run *batch, struct sim_setup *setup, const char *series, const char *key, const char *x);

/** One figure that is no metric of a run, as a point. */
void sim_batch_add(struct run *batch, const char *series, const char *key, const char *x, const char *metric, const char *unit,
                   uint64_t seed, double value);

/** Mean over the seeds; series, x, load (may be "") and metric name the points. */
struct sim_estimate sim_batch_mean(const struct run *batch, const char *series, const char *x, const char *load,
                                   const char *metric);

/** The same of b - a, seed by seed; with `relative`, of b / a - 1. */
struct sim_estimate sim_batch_difference(const struct run *batch, const char *a, const char *b, const char *x, const char *load,
                                         const char *metric, bool relative);

/**
 * Name the result by its content and write it as <folder>/sim-EXPERIMENT-ID.h5.
 * @return the path without .h5, to be freed: figures go beside it; NULL after a message
 */
char *sim_batch_write(struct run *batch, const struct sim_setup *setup, const char *folder);

/** A value of this unit in at most ten characters. In `text`, which is returned. */
const char *sim_value_text(char text[16], double value, const char *unit);

#endif

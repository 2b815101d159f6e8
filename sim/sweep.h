/* SPDX-License-Identifier: MIT */
/* `parangon sim --sweep`: one parameter varied, policies compared seed by seed. */
#ifndef PARANGON_SIM_SWEEP_H
#define PARANGON_SIM_SWEEP_H

#include "sim/batch.h"

struct sim_sweep {
    const char *key;          /* parameter (sim_setup_set()); "" with one value "": nothing is varied */
    char **values;
    unsigned nr_values;
    char **series;            /* policies; the first is what others are compared with */
    unsigned nr_series;
    unsigned seeds;           /* the setup's seed and those that follow it */
    const char *metric;       /* METRIC or LOAD.METRIC for the figure; NULL: chosen by the loads */
    const char *folder;       /* of the result */
    bool json;
};

/**
 * Run all, print the table (or JSON), write result and figure.
 * @return an exit status (analysis/results.h)
 */
int sim_sweep(const struct sim_sweep *sweep, struct sim_setup *setup);

/** What a figure of series over a parameter shows. */
struct sim_figure {
    const struct run *batch;
    const char *title, *key, *load, *metric, *note;
    const char *what, *unit;  /* of a metric that sim_metrics does not have; NULL */
    char *const *values;
    unsigned nr_values;
    char *const *series;
    unsigned nr_series;
    bool difference;          /* a second panel: relative to the first series, seed by seed */
    bool log_y;
};

/** Draw <stem>.svg and .png: mean and 95 % interval of each series. @return 0, -1 (said) */
int sim_figure_draw(const struct sim_figure *figure, const char *stem);

#endif

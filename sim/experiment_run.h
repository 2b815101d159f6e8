/* SPDX-License-Identifier: MIT */
/* What the experiments share (experiment.c). */
#ifndef PARANGON_SIM_EXPERIMENT_RUN_H
#define PARANGON_SIM_EXPERIMENT_RUN_H

#include "sim/experiment.h"
#include "sim/sweep.h"

#define EXPERIMENT_POLICIES 8

struct experiment {
    const struct sim_experiment_options *options;
    struct run *batch;
    unsigned seeds;
    char *policies[EXPERIMENT_POLICIES];
    unsigned nr_policies;
    bool failed;
};

/** Policies: those that the options name, or those of the list that are linked in. False: there are none. */
bool experiment_begin(struct experiment *e, const char *name, const struct sim_experiment_options *options, unsigned seeds,
                      const char *const *policies);
/** All seeds. After a failure nothing is run any more. @return 0, -1 */
int experiment_run(struct experiment *e, struct sim_setup *setup, const char *series, const char *key, const char *x);
/** Write and draw. @return an exit status */
int experiment_end(struct experiment *e, const struct sim_setup *setup, struct sim_figure *figure);
/** A setup from words: pairs of key and value, NULL at the end; key "load" adds one. */
void experiment_set(struct sim_setup *setup, const char *const *parameters);

/* smt.c */
int run_smt(const struct sim_experiment_options *options);

#endif

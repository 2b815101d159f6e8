/* SPDX-License-Identifier: MIT */
/* The scheduler experiments on the simulator, one command each: `parangon sim NAME`. */
#ifndef PARANGON_SIM_EXPERIMENT_H
#define PARANGON_SIM_EXPERIMENT_H

#include "sim/batch.h"

struct sim_experiment_options {
    unsigned seeds;           /* 0: as many as the experiment has by itself */
    const char *folder;       /* of result and figure */
    const char *matrix;       /* of smt: a file of smt-calibrate, or NULL: S = 0.5, 0.6, 0.7, 1 */
    char *const *policies;    /* NULL: those of the experiment that are linked in */
    unsigned nr_policies;
};

struct sim_experiment {
    const char *name, *what;
    int (*run)(const struct sim_experiment_options *options); /* an exit status */
};
extern const struct sim_experiment sim_experiments[];
extern const unsigned sim_nr_experiments;

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A configuration of the simulated machine in words: what options, sweeps and experiments set, and what a result states.
 *
 * Every parameter has a key; a load's are reached as NAME.KEY. Times take the suffixes ns, us, ms, s.
 */
#ifndef PARANGON_SIM_SETUP_H
#define PARANGON_SIM_SETUP_H

#include <jansson.h>

#include "sim/machine.h"

#define SIM_LOADS_MAX 64

enum sim_lag { SIM_LAG_FEW, SIM_LAG_OFF, SIM_LAG_ON }; /* follow a fluid schedule: where there are few domains */

struct sim_setup {
    struct sim_config config; /* config.loads is set by sim_setup_config() */
    struct sim_load loads[SIM_LOADS_MAX];
    unsigned nr_loads;
    unsigned vcpus;           /* of the mix that is made where no load is given; 0: as many as pcpus */
    bool skewed;              /* that mix: tenants of very different size instead of all kinds alike */
    enum sim_lag lag;
};

/** One pcpu to begin with, no loads, the costs that every result states. */
void sim_setup_init(struct sim_setup *setup);

/**
 * Set one parameter: cpus, threads, cores, sched, seed, seconds, warmup, slice, rate-limit, switch-cost, migrate-cost (one time, or
 * three: sibling thread, same socket, other socket), matrix (a number: everybody beside everybody; or a file of `smt-calibrate`),
 * vcpus, mix (all, skewed), lag (on, off); or NAME.KEY of a load.
 * @return 0; -1 with a message on stderr
 */
int sim_setup_set(struct sim_setup *setup, const char *key, const char *value);

/**
 * Add a group of domains: KIND[*DOMAINS][:KEY=VALUE]..., keys name, domains, vcpus, weight, cap, class, run, period, dist, util,
 * via (another service), via-run, spin (0, 1), cpus (FIRST-LAST).
 * @return 0; -1 with a message on stderr
 */
int sim_setup_load(struct sim_setup *setup, const char *spec);

/** A mix of all kinds over `setup->vcpus` vCPUs, where no load was given; and everything in place for sim_run(). */
const struct sim_config *sim_setup_config(struct sim_setup *setup);

/** What the result is conditional on: machine, costs, matrix, loads. */
json_t *sim_setup_json(const struct sim_setup *setup);

/** A time as people write it: 250 us. In `text`, which is returned. */
const char *sim_time_text(char text[16], double ns);

#endif

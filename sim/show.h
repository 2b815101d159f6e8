/* SPDX-License-Identifier: MIT */
/* What a person or a program sees of a simulated run: tables, one JSON object. */
#ifndef PARANGON_SIM_SHOW_H
#define PARANGON_SIM_SHOW_H

#include <stdio.h>

#include "sim/lag.h"
#include "sim/setup.h"

/** Tables of at most 130 columns: the machine and its costs, loads, domains (the first and last, where there are many), totals. */
void sim_show(FILE *out, const struct sim_setup *setup, const struct sim_result *result);

/** All figures; times in ns, shares of processors as numbers of processors; what was not followed is null. */
json_t *sim_show_json(const struct sim_setup *setup, const struct sim_result *result);

/** The same of a recorded trace beside the fluid schedule. */
void sim_show_lag(FILE *out, const struct sim_lags *lag);
json_t *sim_show_lag_json(const struct sim_lags *lag);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Synthetic runs: samples with known answers, so that the results room is tested without
 * machines.
 */
#ifndef PARANGON_SYNTHETIC_H
#define PARANGON_SYNTHETIC_H

#include "analysis/results.h"

/** Add one sample of `ops` = 1 with these counts per operation; all events measured and 0. */
void synthetic_add(struct run *run, const char *workload, enum run_kind kind, const char *platform,
                   enum run_class class, enum run_set set, uint32_t seed, uint64_t user,
                   uint64_t kernel, uint64_t hypervisor);

/**
 * A run like a real one: 10 programs and 25 operations, both classes, five platforms, a null
 * experiment, facts.
 * @param seeds   how many per row
 * @param growth  what PV's hypervisor executes more than usual, in percent of it
 */
struct run *synthetic_run(unsigned seeds, int growth);

#endif

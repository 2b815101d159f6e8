/* SPDX-License-Identifier: MIT */
/* What a result says about where it comes from: builds, inputs, command lines, the host's
 * processor. */
#ifndef PARANGON_PROVENANCE_H
#define PARANGON_PROVENANCE_H

#include <stdbool.h>

#include "analysis/results.h"
#include "bench/measure.h"

/**
 * Add provenance and inputs to a run.
 *
 * Paths appear as $SRC, $CACHE, $BUILD and nothing names the host or the user, unless keep_local.
 * What cannot be found out (no git, no /proc/cpuinfo) is left out.
 */
void provenance_add(struct run *run, const struct measurement *m, bool keep_local);

/** Name a run by 12 digits over its samples, plan, build and inputs: the same run twice has the
 * same name. */
void provenance_run_id(struct run *run);

#endif

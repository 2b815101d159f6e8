/* SPDX-License-Identifier: MIT */
/*
 * Modelled costs: events times the cost file (costs.def), as intervals. Labelled so wherever they stand, and never added to what was measured.
 */
#ifndef PARANGON_MODEL_H
#define PARANGON_MODEL_H

#include <stdio.h>

#include "analysis/stats.h"

struct model_interval {
    double low, high; /* NAN: nothing is modelled */
};

/** Cycles of world switches per 1,000 native instructions. Those of PV change rings and page tables, the others are VM exits. */
struct model_interval model_switches(const struct stats_row *row);

/** -1: a below b for certain, 1: above, 0: the intervals touch, and no order may be stated. */
int model_order(struct model_interval a, struct model_interval b);

/** Print the modelled table of a class; nothing where the run has no hardware-assisted domains. */
void model_print(FILE *out, const struct stats *stats, enum run_class class);

#endif

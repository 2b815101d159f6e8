/* SPDX-License-Identifier: MIT */
/*
 * The overhead budget: what the hypervisor's share of a workload should be, from counts of causes and unit costs of another run.
 *
 * Counts: the entries into the hypervisor by cause within the workload, and pieces of work within them (requests, tables, entries),
 * as the counting plugin saw them. Unit costs: the same causes in primitives of guests/micro, whose contents are known. Their product is
 * the prediction; it stands beside what was measured, and what is left, or has no unit cost, is shown and not spread over the rest.
 * Assumptions, each a source of error that the rest shows: a cause without a primitive of its own that is a short hypercall costs what the
 * null call does (rule "as"); within a multicall a call costs what it costs alone, less the entry, plus the dispatch.
 * Does not: predict the guest's own PV code, which stands in a column of its own as measured.
 */
#ifndef PARANGON_BUDGET_H
#define PARANGON_BUDGET_H

#include <stdio.h>

#include "analysis/results.h"

#define BUDGET_CAUSES_MAX 96

/* One cause within one workload, all its samples together. */
struct budget_cause {
    char name[RUN_NAME_MAX];
    double count;        /* entries, or pieces of work */
    double unit;         /* instructions each; NAN: there is no unit cost */
    double instructions; /* measured; NAN: of work within entries, not measured apart */
};

struct budget_row {
    const char *workload;
    double measured, predicted; /* hypervisor instructions over native's */
    double unpriced;            /* of measured: in causes that have no unit cost */
    double guest;               /* what the guest executes more than native, over native's */
    struct budget_cause cause[BUDGET_CAUSES_MAX];
    size_t nr_causes;
};

/**
 * The unit cost of a cause or piece of work, from a run of primitives.
 *
 * @param platform  of the workload: "pv", "pvh", "hvm", "hvm-pv", "xen-pv"
 * @return          instructions; NAN when there is none
 */
double budget_unit(const struct run *units, const char *platform, const char *cause);

/**
 * One workload's budget, class "default".
 *
 * @return 0; -1 when the run has no such row, native of it, or no causes (schema before 1.2)
 */
int budget_row(const struct run *units, const struct run *run, const char *platform, const char *workload, struct budget_row *row);

/** Print the budget of every program of a run, per platform; with `causes`, of each cause too. @return rows printed */
size_t budget_print(FILE *out, const struct run *units, const struct run *run, bool causes);

#endif

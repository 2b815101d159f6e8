/* SPDX-License-Identifier: MIT */
/*
 * What a person or a program sees of a run: tables on a terminal, one JSON object, the figure.
 *
 * Does not: read or write result files (results.h); decide what a number means (stats.h).
 */
#ifndef PARANGON_REPORT_H
#define PARANGON_REPORT_H

#include <stdio.h>
#include <jansson.h>

#include "analysis/results.h"

/**
 * Print the tables of a run, at most 140 columns wide: instructions and ratios per class with mean
 * and worst row, events per million native instructions, what still differs between the platforms.
 * The same run prints the same bytes.
 */
void report_tables(FILE *out, const struct run *run);

/** The run as one JSON object (rows, aggregates; not measured is null). The caller owns the
 * reference. */
json_t *report_json(const struct run *run);

/**
 * Draw the figure beside a result file: <stem>.svg and <stem>.png, where `result_path` is
 * <stem>.h5. Each file appears whole or not at all.
 * @return 0; -ENOENT when gnuplot is absent, -ENODATA when no row has both native and a platform to
 * show, or another -errno; one message on stderr
 */
int report_figure(const struct run *run, const char *result_path);

#endif

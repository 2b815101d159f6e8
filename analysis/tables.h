/* SPDX-License-Identifier: MIT */
/*
 * Parts that the printed tables share: how numbers look in narrow columns, and the table of what
 * still differs.
 */
#ifndef PARANGON_TABLES_H
#define PARANGON_TABLES_H

#include <stdbool.h>
#include <stdio.h>

#include "analysis/stats.h"

#define CELL_MAX 32

/* Each writes a short text for a value into `cell` and returns it; NAN gives "-" (not measured). */
const char *cell_count(char cell[CELL_MAX], double value);   /* 313, 285,693, 207.3 M, 1.649 G */
const char *cell_ratio(char cell[CELL_MAX], double value);   /* 1.009 */
const char *cell_percent(char cell[CELL_MAX], double value); /* a share: +0.73% */
const char *cell_rate(char cell[CELL_MAX], double value);    /* at most five characters */

/** The word for one flag (one bit) of a row, as it stands in tables and JSON; NULL for bits that
 * have none. */
const char *row_flag_name(uint32_t bit);

/** Is it a platform of hardware-assisted domains that report_assisted() has columns for? */
bool report_is_assisted(const char *platform);

/** Print the tables of hardware-assisted domains of a class; nothing when the run has none. */
void report_assisted(FILE *out, const struct stats *stats, enum run_class class);

/** Is it a primitive of guests/micro, with a table of its own? */
bool report_is_primitive(const char *workload);

/** Print the table of primitives; nothing when the run has none. */
void report_primitives(FILE *out, const struct stats *stats);

/** Print what still differs between the platforms, by the facts that they reported; nothing when
 * there are none. */
void print_differences(FILE *out, const struct run *run);

#endif

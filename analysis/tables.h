/* SPDX-License-Identifier: MIT */
/*
 * Parts that the printed tables share: how numbers look in narrow columns, and the table of what
 * still differs.
 */
#ifndef PARANGON_TABLES_H
#define PARANGON_TABLES_H

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

/** Print what still differs between the platforms, by the facts that they reported; nothing when
 * there are none. */
void print_differences(FILE *out, const struct run *run);

#endif

/* SPDX-License-Identifier: MIT */
/* The table /points of a result file: see points.c. */
#ifndef PARANGON_POINTS_H
#define PARANGON_POINTS_H

#include "analysis/results.h"
#include "analysis/table.h"

/** Nothing where there are no points. @return 0, or -errno as table_write() */
int points_write(const struct run *run, hid_t file);

/** Files before 1.2 have none. @return 0; -EBADMSG: the table is damaged */
int points_read(struct run *run, hid_t file);

#endif

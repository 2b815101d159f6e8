/* SPDX-License-Identifier: MIT */
/*
 * What a switch from one domain to another costs, for `parangon shares switch`: of two domains on one processor that do nothing but give way
 * (SCHEDOP_yield, guests/micro/tests/share.c), instructions of the hypervisor from a guest's hypercall to the other guest's next instruction.
 * It is all that lies between them: entry, the policy's decision, registers, page tables, times, and the return.
 */
#ifndef PARANGON_SHARES_SWITCH_H
#define PARANGON_SHARES_SWITCH_H

#include <stdio.h>

#include "bench/mark.h"
#include "bench/run.h"

#define SWITCH_INTERVALS 20  /* the first domain marks so many... */
#define SWITCH_TIMES     100 /* ...and gives way so often in each: */
#define SWITCH_MARKS     MARK_STR(SWITCH_INTERVALS) "-" MARK_STR(SWITCH_TIMES)
#define SWITCH_MOST      0.25 /* of Xen's instructions with the same policy, at most */

/** Of one machine: medians over the intervals in which no timer fired, for one switch. */
struct switch_cost {
    double hypervisor, guest, cr3_loads;
    double least, most; /* of hypervisor */
    unsigned times;     /* switches in these */
    unsigned left_out;  /* intervals in which one did, less than half */
};

/** A line of the table: the machine with its cost. */
struct switch_row {
    const char *on, *policy;
    struct switch_cost cost;
    double of_xen; /* its hypervisor instructions over those of Xen with the same policy; 0: Xen did not run */
};

/**
 * Read what an ended machine counted.
 *
 * @return 0; -1 with one line on stderr: no intervals, or the domains did not switch each time, or the processor did something else meanwhile
 *         in half of the intervals
 */
int switch_read(const struct boot *boot, struct switch_cost *cost);

/** Fill in `of_xen` of all rows. */
void switch_compare(struct switch_row *rows, size_t nr);
void switch_print(const struct switch_row *rows, size_t nr, const char *class);
/** Draw the rows as bars into <stem>.svg and .png. @return as gnuplot_draw() */
int switch_draw(const char *stem, const struct switch_row *rows, size_t nr, const char *class);

#endif

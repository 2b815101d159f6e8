/* SPDX-License-Identifier: MIT */
/*
 * Intervals of the counting plugin: differences of running totals between marks, and the file that
 * holds them.
 *
 * Order of a run: reset, PRE_DOMAIN, first instruction of guest kernel text (or first mark), BOOT,
 * INIT mark, then any number of BEGIN/END pairs. A mark out of order (END without BEGIN, BEGIN
 * twice, INIT twice) is told on stderr and changes nothing but, for BEGIN, the start of the open
 * interval.
 */
#ifndef PARANGON_PLUGIN_INTERVALS_H
#define PARANGON_PLUGIN_INTERVALS_H

#include <stdbool.h>
#include <stdint.h>

#include "../interval.h"
#include "block.h"

struct totals {
    uint64_t class[CLASS_NR];
    uint64_t apart; /* of CLASS_HYPERVISOR */
    uint64_t counter[COUNTER_NR];
};

/**
 * The guest's first kernel instruction is about to run: close PRE_DOMAIN, open BOOT. Later calls do
 * nothing.
 */
void interval_guest_starts(const struct totals *now);

/** The INIT mark: close BOOT. */
void interval_init(const struct totals *now);

void interval_begin(const struct totals *now);

/** @return  false when no interval was open */
bool interval_end(const struct totals *now);

/** What is being measured now: kind and seq of the record that is open; false between intervals. */
bool interval_open(enum interval_kind *kind, uint32_t *seq);

/**
 * Write the file: to a temporary name beside it, then renamed.
 *
 * @param valid    bit i: counter i was measured
 * @param inexact  blocks whose early end was not explained
 * @return         0, or -1 after one line on stderr
 */
int interval_write(const char *path, uint64_t valid, uint32_t inexact);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What `explain` puts on the screen: totals, the path of one operation side by side, the functions;
 * and the same as JSON.
 */
#ifndef PARANGON_EXPLAIN_SHOW_H
#define PARANGON_EXPLAIN_SHOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "bench/explain_path.h"
#include "bench/interval.h"

#define EXPLAIN_PLATFORMS_MAX 6

/** One platform's interval of an operation. */
struct explained {
    const char *platform, *class;
    uint64_t ops; /* operations in the interval */
    struct interval interval;
    uint64_t valid; /* of its counters, as in struct interval_file_head */
    struct path path;
    const struct path_segment *typical; /* path_typical() of it */
    uint64_t typical_times;
};

struct explain_view {
    const char *operation;
    unsigned width; /* of the screen, characters */
    bool full;      /* every segment and every function */
};

void explain_print(FILE *out, const struct explained *e, size_t nr,
                   const struct explain_view *view);

/**
 * Addresses and counts of a function on each platform. @return false when none of them executed it
 */
bool explain_print_addresses(FILE *out, const struct explained *e, size_t nr, const char *function);

/** The same as one object; the caller owns it. */
json_t *explain_json(const struct explained *e, size_t nr, const struct explain_view *view);

#endif

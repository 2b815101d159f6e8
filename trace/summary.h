/* SPDX-License-Identifier: MIT */
/*
 * Summary of a trace: entries into the hypervisor by cause, with count, least, median and total
 * time, and share.
 */
#ifndef PARANGON_TRACE_SUMMARY_H
#define PARANGON_TRACE_SUMMARY_H

#include <stdio.h>

#include "trace/reader.h"

/** One line: all records of one event and one cause. */
struct trace_row {
    const struct trace_event *event;
    uint64_t cause;    /* number of the cause; 0 where the event has none */
    uint64_t count;
    uint64_t min, median, max, total; /* ticks, of spans; what lies within counts too */
    uint64_t self;     /* ticks of the total that are not within another span of the same processor */
    uint64_t *samples; /* durations, sorted */
};

struct trace_summary {
    struct trace_row *rows; /* spans first, by falling self time; then the others, by falling count */
    size_t nr_rows;
    uint64_t records;
    uint64_t first, last; /* time stamps; last includes the duration of spans */
    uint64_t self;        /* of all rows: time within spans, each tick counted once a processor */
};

/**
 * Sum a trace up.
 *
 * The median of an even number of durations is the lower one of the middle pair, so it is a
 * duration that happened.
 */
void trace_summarise(struct trace_summary *summary, const struct trace_log *log);

void trace_summary_free(struct trace_summary *summary);

/** Print it as a table for people. */
void trace_summary_print(FILE *out, const struct trace_summary *summary,
                         const struct trace_log *log);

/** Print it as one JSON object (keys: trace/README.md). */
void trace_summary_json(FILE *out, const struct trace_summary *summary,
                        const struct trace_log *log);

#endif

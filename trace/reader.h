/* SPDX-License-Identifier: MIT */
/*
 * Reader of a trace region (ring.h): a file that backs the ivshmem memory, live or after the
 * machine's end, or a compact copy of one.
 *
 * A record is written when it ends, but stamped with its start where it is a span; so the records
 * of one ring are sorted by time here (a stable sort: equal stamps keep the order of the ring), and
 * trace_merge_next() gives those of all rings in the order of time. Host only. Trusts nothing in
 * the file: every offset and size is checked against the file's length.
 */
#ifndef PARANGON_TRACE_READER_H
#define PARANGON_TRACE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "trace/ring.h"
#include "trace/schema.h"

/** The domain of idle vCPUs in records: DOMID_IDLE of the public ABI (xen.h). */
#define TRACE_DOMID_IDLE 0x7fffu

/** One record in place: the bytes are those of the file. */
struct trace_item {
    uint64_t time;
    const uint8_t *record; /* struct trace_record_head and fields */
    const struct trace_event *event;
};

struct trace_stream {
    uint32_t cpu;
    uint32_t kind; /* enum trace_ring_kind */
    uint64_t lost;        /* records dropped, in all */
    uint64_t overwritten; /* flight recorder: sub-buffers that newer ones replaced */
    struct trace_item *items; /* by time */
    size_t nr_items;
};

struct trace_log {
    struct trace_region_head head;
    struct trace_schema *schema;
    struct trace_stream *streams;
    size_t nr_streams;
    uint64_t lost; /* of all streams */
    void *map;
    size_t map_size;
};

/**
 * Open a trace and find all its records.
 *
 * @return the log, to be closed by trace_log_close(); NULL on error, with the reason on stderr: no
 *         such file, not a trace, another version, or damaged (which record or offset).
 */
struct trace_log *trace_log_open(const char *path);

void trace_log_close(struct trace_log *log);

/** Position of a merge over all streams. */
struct trace_merge {
    const struct trace_log *log;
    size_t *heap; /* streams that have records left, the earliest first */
    size_t *next; /* by stream: its next record */
    size_t nr;
};

/** Begin to go through all streams in the order of time. Ended by trace_merge_end(). */
void trace_merge_begin(struct trace_merge *merge, const struct trace_log *log);

/**
 * The next record in the order of time; records with one stamp come in the order of their streams.
 *
 * @param stream  set to the stream that it belongs to
 * @return        NULL after the last
 */
const struct trace_item *trace_merge_next(struct trace_merge *merge,
                                          const struct trace_stream **stream);

void trace_merge_end(struct trace_merge *merge);

/** What the time stamps count, in words: "instructions (synthetic clock)" ... */
const char *trace_clock_words(uint32_t clock_mode);

/** How tsc_hz was found, in a word: "pit" ... */
const char *trace_tsc_source_word(uint32_t tsc_source);

/** Print a record as one line: [time] cpu event: field = value, ... */
void trace_print(FILE *out, const struct trace_stream *stream, const struct trace_item *item);

#endif

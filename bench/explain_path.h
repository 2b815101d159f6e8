/* SPDX-License-Identifier: MIT */
/*
 * The executed path of one interval, as functions: read from the counting plugin's recording
 * (plugin/path.h), cut into segments of one class, each a tree of calls, with what repeats folded.
 *
 * The plugin sees no calls and returns, so the tree is inferred: a function that is entered at its
 * first instruction is called by the one that ran; one entered elsewhere is returned to, if it is
 * among the callers, else it goes on from an earlier segment. Jumps to another function's start
 * look like calls. Counts are exact all the same.
 */
#ifndef PARANGON_EXPLAIN_PATH_H
#define PARANGON_EXPLAIN_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/explain_symbols.h"
#include "bench/explain_recording.h"

struct path_function {
    char *name;
    enum path_class class;
    uint64_t start;               /* 0 where there is no symbol */
    bool thunk;                   /* counts to its caller in trees */
    uint64_t calls, instructions; /* in the whole path */
};

/** One activation of a function within a segment, or several equal ones in a row. */
struct path_node {
    uint32_t function; /* index into path.function */
    uint32_t times;
    bool continued; /* entered not at its start: goes on from before */
    uint64_t self;  /* instructions of its own, per time */
    uint64_t total; /* with all it calls, per time */
    uint64_t hash;
    struct path_node *child;
    size_t nr, capacity;
};

/**
 * Code of one class from its entry until another class takes over; or a group of segments that
 * repeats.
 */
struct path_segment {
    enum path_class class;
    int vector;            /* of the interrupt or exception that began it, or PATH_NO_VECTOR */
    struct path_node root; /* its children are what the segment begins with; no function */
    struct path_segment *member; /* of a group; NULL for a segment */
    size_t nr_members;
    uint64_t times;        /* 1, or how often in a row */
    uint64_t instructions; /* per time */
    uint64_t hash;         /* of all of it, for folding */
};

struct path {
    struct path_function *function;
    size_t nr_functions, functions_capacity;
    struct path_segment *segment; /* in order, folded */
    size_t nr_segments, segments_capacity;
    /* A group: the median of operations that are alike but not equal; without members: none. */
    struct path_segment alike;
    uint64_t alike_least, alike_most;
    uint64_t instructions[PATH_CLASSES];
    bool truncated; /* the recording ended before the interval did */
    struct path_recording *recording;
};

/**
 * Read a recording and resolve it.
 *
 * @param kernel, hypervisor  symbols, sorted; may be empty, never NULL. User code is not resolved:
 *                            "(program)"
 * @return  0; -1 with one message on stderr (not readable, not a recording, damaged)
 */
int path_read(struct path *path, const char *file, const struct symbols *kernel,
              const struct symbols *hypervisor);

/**
 * What one operation usually is: the group of segments that covers most of the path, begun with
 * user code where it has some.
 *
 * Where no repetition covers half of the instructions exactly, the median of those that consist of
 * the same kinds of segments (path->alike).
 *
 * @param times  how often it happened in the interval
 * @return       the group, or NULL where nothing repeats
 */
const struct path_segment *path_typical(struct path *path, uint64_t *times);

/**
 * How often each instruction of a function ran: calls back with address and count, by address.
 * @return how many
 */
size_t path_addresses(const struct path *path, const char *function,
                      void (*each)(uint64_t address, uint64_t offset, uint64_t count, void *data),
                      void *data);

const char *path_class_name(enum path_class class);

void path_free(struct path *path);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The relay: copies a trace out of the shared memory while the machine runs, or after it, to a
 * compact file of the same format (ring.h).
 *
 * It maps the memory read-only, so it cannot touch what the hypervisor does; it may be slow, late
 * or absent.
 */
#ifndef PARANGON_TRACE_RELAY_H
#define PARANGON_TRACE_RELAY_H

#include <stdbool.h>
#include <stddef.h>

struct trace_relay_options {
    bool (*alive)(void *context); /* does the machine still run? NULL: it does not; copy what is there */
    void *context;
    unsigned poll_us;  /* between two looks at the rings; 0: 1000 */
    size_t chunk;      /* at most so many bytes of a ring at a look; 0: no limit */
};

/**
 * Copy the trace in the memory file `region` to the new file `out`, until the region is finished or
 * the machine has ended.
 *
 * `out` holds the used sub-buffers only, and depends on nothing but the records: not on the speed
 * of the relay nor on what the memory held before. A flight recorder is copied after the end. `out`
 * is written under another name and renamed when whole.
 *
 * @return 0; -1 on error (no trace was started, damaged ring, full disk), with the reason on
 *         stderr and no file left
 */
int trace_relay(const char *region, const char *out, const struct trace_relay_options *options);

#endif

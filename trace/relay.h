/* SPDX-License-Identifier: MIT */
/*
 * The relay: copies a trace out of the shared memory while the machine runs, or after it, to a
 * compact file of the same format (ring.h).
 *
 * It maps the memory read-only, so it cannot touch what the hypervisor does; it may be slow, late
 * or absent. But for a ring of mode TRACE_HELD: there it must be present, and the machine is held,
 * its clock with it, until the relay has taken a full sub-buffer; it may still be slow.
 */
#ifndef PARANGON_TRACE_RELAY_H
#define PARANGON_TRACE_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trace_record_head;

/** Who wants to see the records on their way. */
struct trace_relay_watcher {
    /** The descriptor table, before the first record. Not 0: end the relay as failed. */
    int (*begin)(const char *descriptor, size_t size);
    /** Each record once, whole, soon after it was made; those of one ring in the order of the ring. */
    void (*record)(const struct trace_record_head *record);
};

struct trace_relay_options {
    bool (*alive)(void *context); /* does the machine still run? NULL: it does not; copy what is there */
    void *context;
    unsigned poll_us;  /* between two looks at the rings; 0: 1000 */
    size_t chunk;      /* at most so many bytes of a ring at a look; 0: no limit */
    const struct trace_relay_watcher *watcher; /* NULL: nobody */
    /*
     * TRACE_HELD: the name of a socket to make (AF_UNIX). The counting plugin (hold=NAME) connects
     * to it, sends a byte where a sub-buffer is full, and holds the machine until a byte comes
     * back, or nobody is there any more. poll_us is then how long the answer is put off.
     */
    const char *hold;
    uint64_t *lost;    /* set to the number of records that did not fit; NULL: do not */
};

/**
 * Copy the trace in the memory file `region` to the new file `out`, until the region is finished or
 * the machine has ended.
 *
 * `out` holds the used sub-buffers only, and depends on nothing but the records: not on the speed
 * of the relay nor on what the memory held before. A flight recorder is copied after the end. `out`
 * is written under another name and renamed when whole.
 *
 * A ring of mode TRACE_HELD comes out as one of mode TRACE_RECORD that had room for all of it.
 *
 * @return 0; -1 on error (no trace was started, damaged ring, a held ring that was not waited for,
 *         full disk), with the reason on stderr and no file left
 */
int trace_relay(const char *region, const char *out, const struct trace_relay_options *options);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Holding the machine while a part of its trace ring is full (mark.h, MARK_KIND_FULL; trace/relay.h is the other side).
 *
 * The virtual processor stands still in a callback, and under icount its clock with it: how long that takes changes nothing in the
 * guest. Does not: look at the ring.
 */
#ifndef PARANGON_PLUGIN_HOLD_H
#define PARANGON_PLUGIN_HOLD_H

/** Hold by this socket (AF_UNIX, made by the relay). Without it, hold_machine() does nothing. */
void hold_setup(const char *socket);

/** Until the relay has drained the ring; at once after it has gone, which is said once on stderr. */
void hold_machine(void);

#endif

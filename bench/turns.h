/* SPDX-License-Identifier: MIT */
/*
 * How long one processor of a counted machine runs while the others stand still.
 *
 * Under -icount QEMU has one thread for all processors: each in turn runs an equal part of the time until the machine's next timer, and
 * an interrupt between processors is no reason to end a turn. Where the next timer is a slice's end, a turn lasts for milliseconds, and
 * whatever is to happen on another processor meanwhile (a timer that is due, a wake-up) happens that much later than it would.
 *
 * The remedy is a timer that ends all turns: an option ROM of ours has the firmware start channel 0 of the 8254, its interrupt masked.
 * No instruction is executed for it after the firmware. A hypervisor that sets the channel itself (Xen) loses it.
 */
#ifndef PARANGON_BENCH_TURNS_H
#define PARANGON_BENCH_TURNS_H

#include "bench/run.h"

/** All turns of the machine's processors together take no longer, in ns of counted time. */
#define TURNS_NS 25000

/** Write the option ROM. @return its file, for the caller to unlink and free; NULL after a message on stderr */
char *turns_make_rom(void);
/** Give the machine the option ROM at `rom`. */
void turns_bound(struct boot *boot, const char *rom);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Timers: one heap per physical CPU, one hardware deadline each.
 *
 * A timer belongs to the pcpu that it was last set on and fires there, from timer_run() (the pcpu's work loop or the
 * interrupt handler's exit), with interrupts off. The handler may set the timer again or destroy what holds it.
 * Locks: the heap's own, innermost of all; handlers run without it.
 */
#ifndef PARANGON_TIMER_H
#define PARANGON_TIMER_H

#include "types.h"

struct timer {
    ns_t expires;
    u32 heap_index;          /* 1.. when queued, 0 when not */
    u16 cpu;
    void (*fn)(void *arg);
    void *arg;
};

void timer_init_cpu(unsigned int cpu);
void timer_setup(struct timer *t, void (*fn)(void *arg), void *arg);
/** Fire at `expires` (system time) on pcpu cpu; replaces an earlier setting. A time in the past fires at once. */
void timer_set(struct timer *t, unsigned int cpu, ns_t expires);
void timer_stop(struct timer *t);
/** Move a queued timer to another pcpu. */
void timer_migrate(struct timer *t, unsigned int cpu);
static inline bool timer_active(const struct timer *t)
{
    return t->heap_index != 0;
}
/** Run what is due on this pcpu and program the hardware for the next. */
void timer_run(void);

#endif

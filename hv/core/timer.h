/* SPDX-License-Identifier: MIT */
/*
 * Timers: one heap per physical CPU, one hardware deadline each.
 *
 * A timer belongs to the pcpu that it was last set on and fires there, from timer_run() (the pcpu's
 * work loop or the interrupt handler's exit), with interrupts off. The handler may set the timer
 * again or destroy what holds it.
 * Setting cannot fail: the links lie in the timer (pheap.h). Timers with one deadline fire in the
 * order of setting.
 * Locks: the heap's own, innermost of all; handlers run without it. Callers serialize operations on
 * one timer.
 * Does not: wait in timer_stop() for a handler that already runs on another pcpu.
 */
#ifndef PARANGON_TIMER_H
#define PARANGON_TIMER_H

#include "pheap.h"
#include "types.h"

enum timer_state { TIMER_OFF, TIMER_QUEUED, TIMER_DUE };

struct timer {
    struct pheap_node node;  /* in the heap of `cpu` while TIMER_QUEUED; key: deadline */
    struct timer *due_next;  /* in its list of due timers while TIMER_DUE */
    void (*fn)(void *arg);
    void *arg;
    u16 cpu;
    u8 state;                /* enum timer_state */
};

/** Make a pcpu's heap ready; before the first timer_set() for it. */
void timer_init_cpu(unsigned int cpu);
/** Prepare a timer, not set, to call fn(arg). A zeroed timer may be stopped without. */
void timer_setup(struct timer *t, void (*fn)(void *arg), void *arg);
/**
 * Fire at `expires` (system time) on pcpu cpu; replaces an earlier setting. A time in the past
 * fires at once.
 */
void timer_set(struct timer *t, unsigned int cpu, ns_t expires);
void timer_stop(struct timer *t);
/**
 * Stop it for good: its handler does not run on any pcpu when this returns, nor will it, if nothing
 * but the handler sets it. Not with a lock held that the handler takes.
 */
void timer_settle(struct timer *t);
/** This pcpu, all but pcpu 0, has no timers from now on: those that it has, and new ones, go to pcpu 0; and the way back. */
void timer_close_cpu(unsigned int cpu);
void timer_open_cpu(unsigned int cpu);
/**
 * Move a queued timer to another pcpu. Where it is due already, or that pcpu is unplugged or busy
 * with its timers, it stays and fires where it is.
 */
void timer_migrate(struct timer *t, unsigned int cpu);
static inline bool timer_active(const struct timer *t)
{
    return t->state != TIMER_OFF;
}
/** When an active timer will fire. */
static inline ns_t timer_expires(const struct timer *t)
{
    return t->node.key;
}
/** Run what is due on this pcpu and program the hardware for the next. */
void timer_run(void);

#endif

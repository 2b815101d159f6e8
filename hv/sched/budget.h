/* SPDX-License-Identifier: MIT */
/*
 * Caps: the budget of processor time that a domain has in each period, of the policies that know caps (fair.h, credit2.c).
 *
 * In a period a domain may use cap % of one pcpu. A unit that is picked takes a part of what is left and, when it
 * stops, returns what it has not used: no number of pcpus overdraws it. What it overran (latency of a timer) is taken off the next
 * period. Unused time is not carried over.
 * Locks: the caller holds one of rank LOCK_POLICY.
 * Does not: say what becomes of a unit whose domain has nothing left.
 */
#ifndef PARANGON_SCHED_BUDGET_H
#define PARANGON_SCHED_BUDGET_H

#include "lib.h"

/* Less than this of a domain's time is not worth a turn. */
#define BUDGET_LEAST MICROSECS(10)

struct budget {
    s64 left, quota;             /* ns: that may still be taken in this period; of a period */
    u64 period;                  /* its number: time / length */
    ns_t length;
};

/** What a unit has taken, and not used yet. */
struct budget_part {
    s64 taken;
    u64 period;
};

/** A period of `length` ns has `cap` percent of it from now on, from the present one on. */
static inline void budget_set(struct budget *b, ns_t length, u16 cap, ns_t now)
{
    b->length = length;
    b->period = now / length;
    b->left = b->quota = (s64)cap * (s64)(length / 100);
}

/** When the period of length `length` ends that now is in. */
static inline ns_t budget_period_end(ns_t length, ns_t now)
{
    return (now / length + 1) * length;
}

/** Nothing is left that is worth a turn. A new period gives the quota; of those that were missed, only debts count. */
static inline bool budget_is_gone(struct budget *b, ns_t now)
{
    s64 missed = (s64)(now / b->length - b->period);

    if (missed > 0) { /* another pcpu's now may be later */
        b->period += missed;
        b->left = missed > 1000 ? b->quota : min_of(b->left + missed * b->quota, b->quota);
    }
    return b->left < (s64)BUDGET_LEAST;
}

/**
 * A unit begins to run, and takes its part: of what `beside` units, itself among them, may use, but no more than it can until
 * the period ends. @return how long it may run, ns.
 */
static inline ns_t budget_take(struct budget *b, struct budget_part *part, u32 beside, ns_t now)
{
    s64 most = min_of(b->left, (s64)(budget_period_end(b->length, now) - now));

    part->taken = min_of(max_of(b->left / (s64)max_of(beside, 1u), (s64)BUDGET_LEAST), most);
    part->period = b->period;
    b->left -= part->taken;
    return (ns_t)part->taken;
}

/** It has stopped, or is about to be picked again. What it used has been taken off part->taken. */
static inline void budget_return(struct budget *b, struct budget_part *part)
{
    if (part->taken < 0 || part->period == b->period)
        b->left += part->taken;
    part->taken = 0;
}

#endif

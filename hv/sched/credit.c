/* SPDX-License-Identifier: MIT */
/*
 * Scheduling policy "credit": processor time in proportion to weights, limited by caps, woken units
 * first.
 *
 * A domain earns credit at the rate that its weight gives it among the domains which compete at
 * that moment, and pays for the time that it uses: credit is what a fluid scheduler would have given
 * it, less what it got (fair.h: virtual time, feasible shares, caps). Each pcpu has a runqueue: the
 * boosted in order of waking, the others by virtual time.
 *
 *   - UNDER is credit left, OVER is none. Next is the domain that is furthest behind, so all UNDER
 *     go before any OVER.
 *   - A slice is 30 ms, on several pcpus 12 (or the pool's); a unit that was preempted within it keeps its place and the
 *     rest of the slice. No limit when nobody waits, and (of several pcpus) the pool has a pcpu for
 *     each unit.
 *   - BOOST: a unit that wakes UNDER goes before all others, for at most a third of a slice, in
 *     order of waking.
 *   - Sleeping earns no credit, and what is kept over it or over giving way is no more than 30 ms (in fluid time); debt is kept, and
 *     paid off while asleep as if it wanted to run.
 *   - CAP: as fair.h says.
 *   - Where: a unit wakes on an idle pcpu, the nearest. Where none is idle it stays, unless a pcpu
 *     taken by chance has a shorter queue.
 *   - Balancing: before each decision the pool's first waiting unit is compared with what is here.
 *     It is taken over where it is further behind by more than a sixteenth of a slice (of V), or
 *     where this pcpu would idle. So no pcpu runs a unit, for longer than its slice, while one that
 *     deserves more waits elsewhere.
 *
 * Why actual time: with sampling at ticks, a unit that yields just before each tick is never
 * charged. Here it gains nothing.
 * Fairness: of n uncapped domains that always want to run and may run anywhere, none is more than a
 * slice for each pcpu ahead of its feasible share by the fluid schedule, and none is behind by more
 * than what the others are ahead. Units of restricted affinity are in order on their own pcpu, but
 * only an idle pcpu looks for them elsewhere.
 * Weights belong to domains: all vCPUs of a domain share its credit and its cap.
 * Locks: runqueue lock by the framework; the pool's (fair.h) inside it.
 * Does not: know cores (see smt.c); scale past what one lock for V bears.
 */
#include "fair.h"
#include "trace/trace.h"

SCHED_POLICY(credit, .doc = "shares by weight, limits by cap, woken vCPUs first", .span = SPAN_CPU,
             .pool_size = sizeof(struct fair_pool), .queue_size = sizeof(struct fair_queue),
             .domain_size = sizeof(struct fair_domain), .unit_size = sizeof(struct fair_unit),
             .pool_init = fair_pool_init, .queue_init = fair_queue_init, .domain_init = fair_domain_init, .domain_fini = fair_domain_fini,
             .unit_init = fair_unit_init, .params = fair_params, .cpus_change = fair_cpus_change, .place = sched_place_by_length,
             .wake = fair_wake, .sleep = fair_sleep, .charge = fair_charge, .balance = fair_balance,
             .steal = fair_steal, .pick = fair_pick);

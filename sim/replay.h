/* SPDX-License-Identifier: MIT */
/*
 * A trace recorded on the hypervisor, replayed: the scheduler is told the same wake-ups, blocks and yields at the same times and
 * asked for each of its decisions again.
 *
 * What it proves: given what guests did, the decisions follow from the policy's code alone. Decisions are replayed at the time that
 * the scheduler had read (sched_pick's `now`), wake-ups at their time stamps, which are some instructions later. The first
 * difference ends the replay: what follows would be consequences. On several processors one may have found another's runqueue
 * locked and taken nothing from it; no record says so, and such a race is a difference here.
 * Domains are made when the trace says so, and get the weights and caps that it says (class LAUNCH, sched_credit); a trace without
 * has them all from the beginning, with those that are given. The policy is given; where the trace says another (sched_start), a line
 * on stderr says so. Without that record caps begin at another phase of their periods.
 */
#ifndef PARANGON_SIM_REPLAY_H
#define PARANGON_SIM_REPLAY_H

#include <stdio.h>

#include "sim/setup.h"

/** Weight and cap of a domain of the recorded machine. */
struct sim_replay_domain {
    unsigned domid, weight, cap;
};

struct sim_replay_result {
    uint64_t decisions, wakes, blocks, yields; /* replayed */
    bool differs;
    uint64_t at;                               /* ticks since the trace's first record, where it differs */
    unsigned cpu;
    char recorded[32], replayed[32];           /* what was chosen: "d1v0", "idle", "no decision" */
};

/**
 * Replay a trace under setup's policy, tunables and threads of a core.
 *
 * @return 0, with *result; -1 with a message on stderr: no trace, no scheduler records, the scheduler does not start
 */
int sim_replay(const char *path, const struct sim_setup *setup, const struct sim_replay_domain *domains, unsigned nr_domains,
               struct sim_replay_result *result);

#endif

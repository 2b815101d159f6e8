/* SPDX-License-Identifier: MIT */
/*
 * A trace recorded on the hypervisor, replayed: the scheduler is told the same wake-ups, blocks and yields, parameters and
 * affinities, at the same times, and asked for each of its decisions again.
 *
 * What it proves: given what guests did, the decisions follow from the policy's code alone: every record of a decision, wake-up, charge,
 * boost, reset and move, each with what it says. The first difference ends the replay: what follows would be consequences.
 * While it is recorded, the scheduler works on one processor at a time and numbers what it does (hv/sched/framework.h), so the order is known
 * on any number of processors, and nothing is searched for.
 * The trace says when processors and vCPUs came (sched_told), and where processors are; of a trace without that (the simulator's)
 * all are there from the beginning, as the setup says, with the weights and caps that are given. The policy is the trace's
 * (sched_start) unless one is given; where that is another, a line on stderr says so. Tunables are the trace's where it says them (sched_told).
 * Pools and their policies are the trace's; processors go and come back as it says.
 * Does not: replay a trace that lost records (it is refused), or in which the class of the scheduler was off for a while.
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
    uint64_t records;                          /* of all kinds, that came out as recorded */
    char policy[SIM_NAME_MAX];                 /* under which */
    bool differs;
    uint64_t at;                               /* ticks since the trace's first record, where it differs */
    unsigned cpu;
    char recorded[64], replayed[64];           /* what was chosen: "d1v0 (turn, 1000 ns)", "idle (...)"; another record; "no decision" */
};

/**
 * Replay a trace under setup's policy ("": the trace's), its tunables and threads of a core.
 *
 * @return 0, with *result; -1 with a message on stderr: no trace, records are lost, no scheduler records, the scheduler does not start
 */
int sim_replay(const char *path, const struct sim_setup *setup, const struct sim_replay_domain *domains, unsigned nr_domains,
               struct sim_replay_result *result);

#endif

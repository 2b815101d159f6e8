/* SPDX-License-Identifier: MIT */
/*
 * A recorded trace beside the fluid schedule: how far each domain was behind and ahead of it, with the simulator's own code (fluid.c).
 *
 * The fluid schedule gets the same work at the same instants: a vCPU that wakes brings what it then runs until it blocks; one that never
 * blocks again brings work without end. It is followed within a window, at whose beginning no domain is behind or ahead. What a
 * domain's service differs from its fluid share in any part of the window is at most what it was behind and what it was ahead, together.
 * Weights and caps are those in force when the window begins, or as given. Processors go and come back as the trace says.
 * Does not: know affinities, siblings, or several pools, which share no processors (such a trace is refused).
 */
#ifndef PARANGON_SIM_LAG_H
#define PARANGON_SIM_LAG_H

#include <stddef.h>
#include <stdint.h>

#include "sim/machine.h"

struct sim_replay_domain;

struct sim_lag_domain {
    unsigned domid, weight, cap;
    double fluid, got;    /* processors, in the mean: in the fluid schedule, and on the recorded machine */
    double behind, ahead; /* ns, at most */
};

struct sim_lags {
    double seconds;                 /* of the window */
    unsigned cpus;                  /* when it begins */
    struct sim_lag_domain *domains; /* by number; those that run or want to within the window or before */
    unsigned nr_domains;
};

/**
 * Read a trace's records of the scheduler and follow the fluid schedule beside them.
 *
 * @param from, to    the window, ns of the trace's clock (the hypervisor's system time); beyond the trace's ends: to these
 * @param given       weights and caps instead of the trace's
 * @return            0, with *lag (to be freed by sim_lag_free()); -1 with a message on stderr: no trace, records are lost or unknown,
 *                    several pools, no memory, nothing in the window
 */
int sim_lag_read(const char *path, uint64_t from, uint64_t to, const struct sim_replay_domain *given, unsigned nr_given, struct sim_lags *lag);
void sim_lag_free(struct sim_lags *lag);

/* ---- between what reads the trace (lag_trace.c) and what links the model (lag.c) ---- */

enum sim_lag_kind {
    SIM_LAG_WANTS, /* a vCPU of the domain wants to run, and brings work */
    SIM_LAG_RESTS, /* it does not any more */
    SIM_LAG_RUNS,  /* it comes to a processor */
    SIM_LAG_STOPS, /* it leaves it */
    SIM_LAG_CPUS,  /* so many processors from now on */
};

struct sim_lag_event {
    uint64_t at;      /* ns */
    double work;      /* WANTS: ns; INFINITY: without end */
    uint32_t subject; /* index of the domain; CPUS: their number */
    uint8_t kind;     /* enum sim_lag_kind */
};

/** Follow both schedules through the events, which are in the order of time, and set what lag->domains says of them. @return 0; -1: no memory */
int sim_lag_follow(struct sim_lags *lag, const struct sim_lag_event *events, size_t nr, uint64_t from, uint64_t to);

#endif

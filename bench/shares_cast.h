/* SPDX-License-Identifier: MIT */
/* The sets of domains of `parangon shares`: who they are and what they do. cmd_shares.c boots, simulates and compares them. */
#ifndef PARANGON_BENCH_SHARES_CAST_H
#define PARANGON_BENCH_SHARES_CAST_H

#include <stdbool.h>

#define SHARES_DOMAINS_MAX 16

struct shares_role {
    const char *name;
    unsigned weight, cap, vcpus; /* cap in percent of a processor, 0: none */
    unsigned run_us, sleep_us;   /* works and sleeps in turn; 0: computes all the time */
};

struct shares_cast {
    const char *name, *title;
    const char *cpus;            /* numbers of processors where none are asked for */
    bool wakes;                  /* the first domain sleeps: how late it comes to run is judged, not the shares */
    bool yields;                 /* they give way to each other: what a switch costs is counted (shares_switch.h), and shares are not */
    unsigned nr;
    struct shares_role roles[SHARES_DOMAINS_MAX];
};

/** @return the set of this name; NULL: there is none */
const struct shares_cast *shares_cast(const char *name);

#endif

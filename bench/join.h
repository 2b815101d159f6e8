/* SPDX-License-Identifier: MIT */
/*
 * From what a machine leaves, its console and the plugin's interval file, to samples of a run.
 *
 * The guest says what each measured interval was; the plugin says what it cost; neither knows the
 * other. The n-th sample line belongs to the n-th MEASURED interval. Where their numbers differ
 * nothing of that machine is used.
 */
#ifndef PARANGON_JOIN_H
#define PARANGON_JOIN_H

#include "analysis/results.h"
#include "bench/run.h"

/** What the samples of one machine have in common. */
struct join_request {
    const char *platform;
    enum run_class class;
    const uint32_t *seeds; /* planned; each workload must have every one of them: the main set, then the null set */
    size_t nr_seeds, nr_null;
    unsigned iters; /* measured intervals per seed, planned */
    bool facts;     /* keep what the guest says about itself */
    bool boot_rows; /* keep the intervals before the guest and of its boot as "boot-before" and
                       "boot" */
    bool apart;     /* interval.apart is measured: "boot-scrub", and not in "boot-before" */
};

/** What is wrong with the interval file that a machine has left; NULL when nothing is. Caller frees. */
char *join_intervals_damage(const struct boot *boot);

/**
 * Compare a machine with the same machine run again, which may have been stopped early: every
 * interval that both have, with all its counts and events.
 *
 * @param compared  receives how many intervals both have
 * @return  how many of them differ (the first is one line on stderr); -1 with one line on stderr
 * when one of the two has left none, or the second fewer measured ones than `samples` and the first
 */
int join_compare(const struct boot *boot, const struct boot *again, unsigned samples,
                 size_t *compared);

/**
 * Add everything of one ended machine to a run: samples, workloads seen first here, facts, console,
 * errors.
 *
 * A workload that failed, or lacks a planned sample, becomes an error of the run; so do a machine
 * that failed and one whose console and interval file do not fit. Each but a machine's failure,
 * which run_say_failures() prints, is also one line on stderr.
 *
 * @return the number of errors added
 */
int join_boot(struct run *run, const struct boot *boot, const struct join_request *request);

#endif

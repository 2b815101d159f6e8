/* SPDX-License-Identifier: MIT */
/*
 * Statistics of one run: what a number in a table means (DESIGN "What a number means").
 *
 * One row per (workload, platform, class). The classes of mitigations are never crossed: native of
 * the same class is the only reference of a row. Unknown values are NAN.
 *
 *   per operation  counts / ops of an interval; warm-up samples are left out
 *
 *   seed's value   median over its iterations; its parts (user, kernel, hypervisor, events)
 *                  are those of the middle iteration (of an even number: the mean of the two
 *                  in the middle), so that parts add up to totals
 *
 *   row            median, minimum, maximum over the seeds; the split is the middle seed's
 *
 *   ratio          per seed, platform / native with the same seed; then median, min, max
 *
 *   h              hypervisor instructions / native's total, per seed; median
 *
 *   g              ratio - 1 - h, so that ratio = 1 + g + h holds exactly. It differs from the
 *                  median over the seeds of (guest user + kernel - native) / native by at most
 *                  the range of the seeds' h
 *
 *   null spread    the largest |second / first - 1| when native (or the platform itself, where
 *                  it was run twice) is run again with other seeds, runs paired by rank. A
 *                  tuned row without a null experiment of its class takes that of native as
 *                  shipped: it says how far seeds move a workload, and compares no class with
 *                  another
 *
 * Error bounds. Minimum and maximum over K seeds enclose the median of the perturbations with
 * probability 1 - 2^(1-K) (order statistics, no assumption on their distribution): 94 % at K = 5,
 * 75 % at K = 3. By the same count, K differences have one sign by chance with probability 2^(1-K);
 * the demand that their median exceeds the null spread comes on top. Counts themselves are exact.
 *
 * Does not: print; read files; say anything about time.
 */
#ifndef PARANGON_STATS_H
#define PARANGON_STATS_H

#include "analysis/results.h"

/* Fewer seeds than this never make a difference distinguishable. */
#define STATS_SEEDS_MIN 3

struct stats_spread {
    double median, min, max;
};

/* The middle iteration of one seed, per operation. */
struct stats_seed {
    uint32_t seed;
    size_t iterations;
    double total, user, kernel, hypervisor;
    double native; /* native's total with the same seed and class; NAN when there is none */
    double events[COUNTER_NR]; /* NAN where not measured */
};

enum row_flag {                      /* beside enum sample_flag */
                ROW_QUICK = 1u << 8, /* fewer than STATS_SEEDS_MIN seeds: no claim */
                ROW_NO_NATIVE = 1u
                                << 9, /* native of this class was not measured with these seeds */
                ROW_NO_NULL =
                    1u << 10, /* no null experiment for this workload and class: no claim */
                ROW_INDISTINCT = 1u << 11,    /* not distinguishable from native */
                ROW_SEEDS_MISSING = 1u << 12, /* fewer seeds than native has */
                ROW_ERROR = 1u << 13,         /* the workload reported an error there */
};

struct stats_row {
    const char *workload;
    const char *platform;
    enum run_kind kind;
    enum run_class class;
    bool in_suite;
    uint32_t flags;    /* enum row_flag | enum sample_flag */
    size_t iterations; /* of all seeds, warm-up left out */
    size_t nr_seeds;
    struct stats_seed *seeds; /* by ascending seed */
    struct stats_spread count;
    double user, kernel, hypervisor; /* add up to count.median */
    struct stats_spread ratio;
    double guest_share, hypervisor_share;
    double null_spread;
    double events[COUNTER_NR]; /* per million native instructions, median over the seeds */
};

/* The equal-work arithmetic mean over the suite: value = 1 + guest + hypervisor. */
struct stats_aggregate {
    const char *platform;
    enum run_class class;
    bool whole; /* every member of the suite is in it */
    double value, guest, hypervisor;
    const struct stats_row *worst;            /* largest ratio */
    const struct stats_row *worst_hypervisor; /* largest hypervisor share */
    size_t nr_members;
    const struct stats_row **members;
};

struct stats {
    const struct run *run;  /* must outlive this */
    struct stats_row *rows; /* by plan order of workloads, then class, then platform */
    size_t nr_rows;
    struct stats_aggregate *aggregates;
    size_t nr_aggregates;
};

/** Compute all rows and aggregates. Never fails: what cannot be computed is NAN and flagged. */
struct stats *stats_new(const struct run *run);
void stats_free(struct stats *stats);

/** A row, or NULL. */
const struct stats_row *stats_find(const struct stats *stats, const char *workload,
                                   const char *platform, enum run_class class);

/** The aggregate of a platform and class, or NULL. */
const struct stats_aggregate *stats_mean(const struct stats *stats, const char *platform,
                                         enum run_class class);

/** How many workloads of a run belong to its suite. */
size_t stats_suite_size(const struct run *run);

/** Median of `count` values, which get sorted; NAN for none. */
double stats_median(double *values, size_t count);

/**
 * The paired sign rule.
 * @param differences  one per seed, relative; gets sorted
 * @param least        what |median| must exceed (the null spread); NAN makes every answer 0
 * @return -1 or 1, the common sign, when all differences have it and the rule holds; 0 otherwise
 */
int stats_sign(double *differences, size_t count, double least);

/**
 * Whether two rows of one workload and class differ (say PV and Xen PV), by their seeds in common.
 * @return the sign of a - b, 0 = not distinguishable
 */
int stats_differ(const struct stats_row *a, const struct stats_row *b);

/** Rank of a platform in tables: native first, then ours, then the peers; unknown ones last. */
int stats_platform_rank(const char *platform);

#endif

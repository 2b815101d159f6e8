/* SPDX-License-Identifier: MIT */
/*
 * A plan: what a run consists of, enough of it to run the same again. Kept as JSON in every result.
 *
 * A plan names platforms, classes, parts and seeds. A *part* is one boot: an image and the
 * workloads that run in it, one after another. Every platform and class runs the same parts, so
 * that what a workload finds of the boot before it is the same everywhere; several parts share the
 * cores better.
 */
#ifndef PARANGON_PLAN_H
#define PARANGON_PLAN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "bench/platform.h"
#include "bench/words.h"

#define PLAN_PARTS_MAX 8
#define PLAN_SEEDS_MAX 16

struct plan_part {
    char *name;             /* "micro" */
    char *image;            /* file in build/guests/linux; PLAN_MICRO: no Linux, but guests/micro and its primitives */
    struct words workloads; /* names of workloads or suites */
    uint32_t
        seeds[PLAN_SEEDS_MAX]; /* of the main set; the null set has these + PLAN_NULL_SEED_OFFSET */
    size_t nr_seeds;
    unsigned warmup, iters; /* intervals per seed */
    double native_seconds;  /* of one core, natively, beyond the boot: for estimates */
};

#define PLAN_NULL_SEED_OFFSET 100
#define PLAN_MICRO            "micro"

struct plan {
    char *experiment;
    struct words
        platforms;    /* "pv", in all classes that both can; "native-matched:default", in one */
    unsigned classes; /* bits 1 << RUN_DEFAULT, 1 << RUN_TUNED */
    bool quick;
    bool null_set; /* run native (class default) under other seeds too, after those of the main set in the same boot */
    /* Run each platform's first part a second time up to so many samples, and compare; 0: not. */
    unsigned repeat;
    struct plan_part part[PLAN_PARTS_MAX];
    size_t nr_parts;
};

/** An experiment: its name, one line about it, and the plan it makes. */
struct experiment {
    const char *name, *what;
    /** Fill the plan; `workloads` chooses single ones (empty: all). */
    void (*plan)(struct plan *plan, bool quick, const struct words *workloads);
};

extern const struct experiment *const experiment_table[]; /* ends with NULL */

/** @return the experiment of that name, or NULL */
const struct experiment *experiment_find(const char *name);

/**
 * One entry of plan.platforms, for one class.
 *
 * @return 0 and the platform, NULL where the plan leaves this class out; -1 when the name or class
 * is none
 */
int plan_platform(const struct plan *plan, size_t index, enum run_class class,
                  const struct platform **platform);

/** The plan as JSON text (sorted keys). Caller frees. */
char *plan_text(const struct plan *plan);

/** Read plan_text() back. @return 0, or -1 with one message on stderr: not a plan, or of another
 * kind */
int plan_parse(struct plan *plan, const char *text);

void plan_free(struct plan *plan);

/** Names of workloads that this build's guests know, in their order; ends with NULL. */
extern const char *const workload_names[];
/** Suites: names that stand for several workloads; ends with NULL. */
extern const char *const suite_names[];

/** The smallest image that has what these workloads and suites run: programs are in the large one,
 * which boots later. */
const char *workload_image(const struct words *names);

/** Is it a workload or a suite of this build? */
bool workload_known(const char *name);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Results of one run: what is in it, how it is built up in memory, written to and read from
 * HDF5.
 *
 * Why it exists: the harness collects (bench), this room keeps and computes (analysis). Both see
 * a run through this header; results/SCHEMA.md says how the same things lie in the file.
 * Rules: a run is built by one thread. Text is copied on every call. What was not measured is
 * marked as such (a bit of `measured` that is clear), never zero. Nothing here records a time, a
 * host name or a path by itself: callers pass paths as $SRC, $CACHE.
 * Does not: run machines, parse console lines, or compute statistics (stats.h) or print
 * (report.h).
 */
#ifndef PARANGON_RESULTS_H
#define PARANGON_RESULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <jansson.h>

#include "bench/interval.h"

#define RESULTS_SCHEMA_MAJOR 1
#define RESULTS_SCHEMA_MINOR 2

/* Exit statuses of every command of the command line (DESIGN "The command line"). */
enum exit_status {
    STATUS_DONE = 0,
    STATUS_CHECK_FAILED = 1,   /* a check failed: the overhead grew, the result does not repeat */
    STATUS_USAGE = 2,          /* bad option, unreadable or foreign file */
    STATUS_NOT_COMPARABLE = 3, /* other suite, mode, CPU model, schema */
    STATUS_INCOMPLETE = 4,     /* rows are missing, or the output could not be written */
};

enum run_kind { RUN_MICRO, RUN_MACRO };    /* "micro", "macro" */
enum run_class { RUN_DEFAULT, RUN_TUNED }; /* "default", "tuned": the class of mitigations */
enum run_set {
    RUN_MAIN,
    RUN_NULL
}; /* "main"; "null": the null experiment, same platform, other seeds */

/* Flags of a sample, and (or-ed together) of a row. */
enum sample_flag {
    SAMPLE_WARMUP = 1u << 0, /* cut by the plan's rule: kept in the file, not in the statistics */
    SAMPLE_UNREPEATED = 1u << 1, /* the same machine run again gave another count */
    SAMPLE_INEXACT =
        1u << 2, /* the plugin could not explain an early end of a block (nr_inexact) */
};

/* A bit per counter (1 << COUNTER_x): the counters that were measured. All of them: */
#define MEASURED_ALL ((1ull << COUNTER_NR) - 1)

/* Key of provenance: the hash of the frozen suite, where the one that ran has another. */
#define OTHER_SUITE_KEY "suite.frozen_sha256"

/* The fact of a platform that ran twice: "N intervals, M differ". */
#define REPEAT_FACT "repeat"

#define RUN_NAME_MAX 40 /* bytes with the final NUL: workload and platform names */

/**
 * One measured interval. Counts are for the whole interval, `ops` operations of it; instructions
 * and events as bench/interval.h. interval.kind, .seq and .apart are not kept in
 * files.
 */
struct run_sample {
    char workload[RUN_NAME_MAX]; /* "getppid", "gzip" */
    char platform[RUN_NAME_MAX]; /* "native", "native-matched", "pv", "xen-pv", "xen-pv-tuned" */
    enum run_kind kind;
    enum run_class class;
    enum run_set set;
    uint32_t seed;
    uint32_t iter;
    uint32_t flags; /* enum sample_flag */
    uint64_t ops;
    uint64_t measured; /* bits: which of interval.counter[] are measured */
    struct interval interval;
};

struct run_workload { /* in the order of the plan: tables keep it */
    char *name;
    enum run_kind kind;
    bool in_suite; /* counts for the aggregate of run.suite_id */
    char *params;  /* JSON object: package, version, corpus hash, request count... */
};

struct run_pair {
    char *key, *value;
};

struct run_input { /* an input of the run: kernel, Xen, QEMU, firmware, tools */
    char *name, *version, *sha256;
};

struct run_fact { /* one fact of the environment that a guest (or the harness) reported about a
                     platform */
    char *platform;
    enum run_class class;
    char *key, *value;
};

struct run_console { /* everything that one machine said; name as "pv-default-main" */
    char *name;
    char *text;
    size_t length;
};

struct run_trace { /* a raw trace that lies in the folder beside the file */
    char *name, *sha256;
    uint64_t bytes;
};

/* How many entries into the hypervisor cost so much, by cause, within one sample. */
struct run_histogram {
    char workload[RUN_NAME_MAX], platform[RUN_NAME_MAX];
    /* "syscall", "vector-14", "exit-io", "other"; "work-pin-tables": no entries, but pieces of work within them */
    char cause[RUN_NAME_MAX];
    enum run_class class;
    enum run_set set;
    uint32_t seed, iter;
    uint32_t size; /* 0: no instruction; n: 2^(n-1) to 2^n - 1 */
    uint64_t entries;
    uint64_t instructions; /* of the cause in this sample, all sizes together: in its first bar, 0 in the others */
};

/* One figure of one simulated run (mode "simulated"); NAN where it could not be had. */
struct run_point {
    char series[RUN_NAME_MAX];     /* what is compared: "credit2" */
    char key[RUN_NAME_MAX];        /* the parameter that was varied, and its value */
    char x[RUN_NAME_MAX];
    char load[RUN_NAME_MAX];       /* "": the whole machine */
    char metric[RUN_NAME_MAX];     /* "response-p99" */
    char unit[RUN_NAME_MAX];       /* "ns", "ratio", "events" */
    uint64_t seed;
    double value;
};

struct run_error { /* a workload or a whole machine ("" = all workloads) that gave no result */
    char *platform;
    enum run_class class;
    char *workload, *message;
};

/**
 * One run. Texts are never NULL after run_new() ("" = unknown); set them with run_text().
 */
struct run {
    char *run_id;        /* names the file: <experiment>-<run_id>.h5 */
    char *experiment;    /* "overhead" */
    char *mode;          /* "count", "hw-nested", "hw-metal" */
    char *unit;          /* "instructions", "cycles" */
    char *suite_id;      /* "macro-1" */
    char *suite_sha256;  /* identity of the suite: programs, versions, corpora, parameters */
    char *inputs_sha256; /* of inputs.lock */
    char *hv_build_id;   /* of build/hv/parangon */
    char *cpu_model;     /* "qemu64" */
    char *plan;          /* the plan as JSON text: enough to run it again */
    bool complete;       /* every planned sample is there */
    bool quick;          /* one seed: no claim of difference */

    struct run_workload *workloads;
    size_t nr_workloads;
    struct run_pair *provenance;
    size_t nr_provenance;
    struct run_input *inputs;
    size_t nr_inputs;
    struct run_fact *facts;
    size_t nr_facts;
    struct run_console *consoles;
    size_t nr_consoles;
    struct run_trace *traces;
    size_t nr_traces;
    struct run_error *errors;
    size_t nr_errors;
    struct run_histogram *histograms;
    size_t nr_histograms;
    struct run_sample *samples;
    size_t nr_samples;
    struct run_point *points;
    size_t nr_points;
};

/** A new, empty run: unit "instructions", mode "count", all else empty. Aborts when out of memory
 * (as all below). */
struct run *run_new(void);
void run_free(struct run *run);

/** Set one text of a run: run_text(&run->suite_id, "macro-1"). Copies; NULL means "". */
void run_text(char **slot, const char *value);

void run_add_workload(struct run *run, const char *name, enum run_kind kind, bool in_suite,
                      const char *params_json);
void run_add_provenance(struct run *run, const char *key, const char *value);
void run_add_input(struct run *run, const char *name, const char *version, const char *sha256);
void run_add_fact(struct run *run, const char *platform, enum run_class class, const char *key,
                  const char *value);
/** A JSON object of facts (the guest's "env" line): nested keys joined by '.', arrays by ' ', "ev"
 * left out. */
void run_add_facts_json(struct run *run, const char *platform, enum run_class class,
                        const json_t *facts);
void run_add_console(struct run *run, const char *name, const char *text, size_t length);
void run_add_trace(struct run *run, const char *name, const char *sha256, uint64_t bytes);
void run_add_error(struct run *run, const char *platform, enum run_class class,
                   const char *workload, const char *message);

/** Add one bar of a histogram (copied). Bars of the same sample, cause and size add up. */
void run_add_histogram(struct run *run, const struct run_histogram *bar);

/**
 * Add one sample (copied).
 * @return 0; -EINVAL with a message on stderr when ops is 0, a name is empty or not terminated, or
 * a count is 2^53 or more (columns of the file are doubles: exact below that)
 */
int run_add_sample(struct run *run, const struct run_sample *sample);

/** Add one point (copied). */
void run_add_point(struct run *run, const struct run_point *point);

/** SHA-256 over the points in their order: what the fingerprint is to samples. 64 digits and NUL. */
void run_points_hash(const struct run *run, char hex[65]);

/** qsort() order of `struct run_sample *` elements: workload, platform, class, set, seed,
 * iteration. */
int run_sample_order(const void *left, const void *right);

/**
 * Fingerprint: SHA-256 over the samples, ordered by (workload, platform, class, set, seed, iter),
 * with all counts and no times or paths. The same plan on the same inputs gives the same one;
 * people print 12 digits of it.
 * @param hex  receives 64 digits and NUL
 */
void run_fingerprint(const struct run *run, char hex[65]);

/** SHA-256 of a buffer as 64 hex digits and NUL. */
void sha256_hex(const void *data, size_t length, char hex[65]);
/** The same of a file. @return 0, or -errno (nothing printed). */
int sha256_file_hex(const char *path, char hex[65]);

/**
 * Write a run to one HDF5 file so that `path` is either whole or not there: the file is built in
 * memory, written to a nameless file of the same folder (O_TMPFILE), flushed to disk, and only then
 * given its name. Whoever kills the writer finds nothing. Where the file system has no nameless
 * files, "<path>.partial" is used and renamed; a killed writer may leave that, and the next write
 * to `path` replaces it.
 * @return 0; else -errno, one message on stderr, and no file (an older file of that name stays as
 * it was)
 */
int run_write(const struct run *run, const char *path);

/**
 * Read a run back. Reads every minor of its own major (unknown extras are skipped).
 * @return the run; NULL with one message on stderr: what was tried, what was found. *status (may be
 * NULL) then is STATUS_USAGE (missing, truncated, not ours) or STATUS_NOT_COMPARABLE (another
 * schema major)
 */
struct run *run_read(const char *path, enum exit_status *status);

/* Names of the enumerations, as they stand in files and tables; -1 when a name is unknown. */
const char *run_kind_name(enum run_kind kind);
const char *run_class_name(enum run_class class);
const char *run_set_name(enum run_set set);
int run_kind_of(const char *name);
int run_class_of(const char *name);
int run_set_of(const char *name);
extern const char *const counter_names[COUNTER_NR];
extern const char *const counter_whats[COUNTER_NR];

/* The commands of this room; argv[0] is the command's name. They return an enum exit_status. */
int cmd_budget(int argc, char **argv);
int cmd_compare(int argc, char **argv);
int cmd_gate(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_report(int argc, char **argv);

#endif

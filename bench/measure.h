/* SPDX-License-Identifier: MIT */
/*
 * Carry out a plan: machines from platforms and parts, the run engine, samples, provenance. What
 * `bench` and `rerun` share.
 */
#ifndef PARANGON_MEASURE_H
#define PARANGON_MEASURE_H

#include <stdbool.h>

#include "analysis/results.h"
#include "bench/inputs.h"
#include "bench/plan.h"
#include "bench/run.h"

struct measure_options {
    const char *kernel; /* guest kernel to use instead of the pinned one (ELF or bzImage); NULL */
    double time_limit;  /* seconds of silence after which a machine is killed; 0: the default */
    bool keep_local;    /* host name and full paths go into the result too */
    const char *hypervisor; /* instead of build/hv/parangon; NULL */
};

/** Everything a plan needs, found and checked before anything starts. */
struct measurement {
    struct inputs inputs;
    char *kernel, *unpacked_kernel, *hypervisor, *plugin;
    const char *cpu; /* model of all machines; NULL: MACHINE_CPU */
    struct boot *boots; /* one per platform, class, set and part */
    struct measure_slot *slots;
    size_t nr;
};

/**
 * Find inputs (fetching them where missing) and lay out the machines of a plan.
 *
 * @return 0; else an exit status with one message on stderr: STATUS_INCOMPLETE when a platform of
 * the plan cannot run here or an input cannot be had, STATUS_USAGE when the kernel the user names
 * is none
 */
int measure_prepare(struct measurement *m, const struct plan *plan,
                    const struct measure_options *options);

/**
 * Are inputs and hypervisor those of an earlier run? Says on stderr what is not.
 */
bool measure_comparable(const struct measurement *m, const struct run *before);

/** Print one line per machine: the command that would be run. */
void measure_print(const struct measurement *m, FILE *out);

/**
 * Run all machines and collect their samples into a new run, with an estimate first and progress on
 * stderr.
 *
 * @param result  the run, complete or not (run->complete says so; each error was one line on
 * stderr); NULL when not 0
 * @return 0; else an exit status: STATUS_INTERRUPTED, or STATUS_INCOMPLETE when no machine could be
 * started
 */
int measure_run(struct measurement *m, const struct plan *plan,
                const struct measure_options *options, struct run **result);

void measure_free(struct measurement *m);

#endif

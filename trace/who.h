/* SPDX-License-Identifier: MIT */
/*
 * Who ran where: the records of class SCHED as intervals of processors and as states of vCPUs.
 *
 * What a processor ran is made from that processor's own records, so it is right whatever the clocks of processors do to each
 * other. What a vCPU did is made from all, in the order of time; records with one time stamp may come in an order that they did
 * not happen in, so a wake-up of a vCPU that still runs is remembered, and holds if it leaves its processor at that very time.
 * A vCPU counts from its first record on.
 */
#ifndef PARANGON_TRACE_WHO_H
#define PARANGON_TRACE_WHO_H

#include <stdio.h>

#include "trace/reader.h"

enum who_state { WHO_RUNNING, WHO_WAITING, WHO_BLOCKED, WHO_OFFLINE, WHO_STATES };

/** A stretch in which a processor ran one vCPU. */
struct who_run {
    uint64_t from, to;
    uint32_t cpu;
    uint32_t vcpu;          /* index */
};

/** A stretch in which a vCPU was runnable and did not run. */
struct who_wait {
    uint64_t from, to;
    uint32_t vcpu;
};

struct who_vcpu {
    uint16_t domid;
    uint8_t id;
    uint64_t time[WHO_STATES]; /* ticks */
    uint64_t wakes, runs, migrations;
    uint64_t *latencies;    /* ticks from each waking to running, sorted */
    size_t nr_latencies;
    /* while it is made */
    enum who_state state;
    uint64_t since, woke, woke_early;
    uint32_t cpu, last_cpu;
};

struct who {
    struct who_vcpu *vcpus; /* by domain and number */
    size_t nr_vcpus;
    struct who_run *runs;   /* in the order in which they ended */
    size_t nr_runs;
    struct who_wait *waits;
    size_t nr_waits;
    uint32_t nr_cpus;
    uint64_t first, last;   /* time stamps of the first and the last record of the trace */
    uint64_t tsc_hz;
};

/**
 * Make it.
 *
 * @return 0; -1 with a message on stderr: the trace has no scheduler records (their class was masked or left out), or its layout
 *         of them is unknown
 */
int trace_who(struct who *who, const struct trace_log *log);
void trace_who_free(struct who *who);

/** Print what each vCPU did: run, wait, blocked, offline, stolen (wait and offline) time; percentiles of waking to running. */
void trace_who_print(FILE *out, const struct who *who);
/** The same as JSON: schema "parangon-trace-who-1", times in ticks, vcpus [domid, vcpu_id, run, wait, blocked, offline, ...]. */
void trace_who_json(FILE *out, const struct who *who);

/**
 * Draw <stem>.svg and .png: above, what each processor ran, below, what each vCPU did (where they are at most 48), from `from` to
 * `to`. Stretches too short to be seen are drawn together, in grey.
 * @return 0; -1 (said)
 */
int trace_who_draw(const struct who *who, const char *stem, uint64_t from, uint64_t to);

#endif

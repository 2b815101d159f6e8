/* SPDX-License-Identifier: MIT */
/* What a replay is told of a trace, in terms of numbers only: between what reads the trace and what links the scheduler. */
#ifndef PARANGON_SIM_REPLAY_STEPS_H
#define PARANGON_SIM_REPLAY_STEPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/machine.h"

#define SIM_POOLS_MAX 16 /* MAX_POOLS of hv/sched/policy.h */

struct sim_replay_vcpu {
    uint16_t domid;
    uint8_t id;
    uint16_t weight, cap;
    bool made;                      /* the trace says when; else it is there from the beginning */
};

/** Where a processor is. */
struct sim_replay_cpu {
    uint16_t thread, core, socket, node;
};

/** The scheduler's records that a replay goes by. All others (switch, corun...) follow from these, or are not decided. */
enum sim_replay_kind {
    SIM_REPLAY_PICK, SIM_REPLAY_WAKE, SIM_REPLAY_BLOCK, SIM_REPLAY_YIELD, SIM_REPLAY_TICK, SIM_REPLAY_BOOST, SIM_REPLAY_RESET,
    SIM_REPLAY_GANG, SIM_REPLAY_MIGRATE, SIM_REPLAY_TOLD, SIM_REPLAY_KINDS,
};

/** One of them. */
struct sim_replay_record {
    uint64_t at;                    /* ns: when it was made */
    uint64_t now;                   /* ns: what the scheduler worked by (pick, wake, told); else 0 */
    uint64_t ticks;                 /* its time stamp */
    uint32_t turn;                  /* number of the operation (pick, wake, told); else 0 */
    uint32_t vcpu;                  /* index of the vCPU; UINT32_MAX: an idle one's, or none */
    uint16_t cpu;                   /* where it was made */
    uint16_t domid;                 /* as it says; 0: it names no vCPU */
    uint8_t vcpu_id;
    uint8_t kind;                   /* enum sim_replay_kind */
    int64_t a, b;                   /* what it says besides, as sim_replay_fields names them */
};

/** The events' names, and the fields that are `a` and `b`; NULL: none. */
struct sim_replay_names {
    const char *event, *a, *b;
};
extern const struct sim_replay_names sim_replay_names[SIM_REPLAY_KINDS];

/** Records in the order of their processors' times; all of one processor in the order of its ring. */
struct sim_replay_input {
    const struct sim_config *config;
    const char *pools;                       /* besides pool 0, as sched_make_pools() takes them */
    const struct sim_replay_record *tuned;   /* tunables of pools before any processor came */
    size_t nr_tuned;
    const struct sim_replay_cpu *cpus;       /* config->cpus of them, which come as the records say; NULL: all from the beginning, placed as the configuration says */
    const struct sim_replay_vcpu *vcpus;
    unsigned nr_vcpus;
    const struct sim_replay_record *records;
    size_t nr_records;
    uint64_t begin;                          /* ns: when the recorded machine began */
};

struct sim_replay_outcome {
    size_t done;                    /* records that came out as recorded */
    size_t ended;                   /* index of the first that did not; nr_records: all did */
    bool came;                      /* where it ended, this came instead: */
    struct sim_replay_record instead;
};

/** @return 0; -1 (said): the scheduler does not start */
int sim_replay_run(const struct sim_replay_input *input, struct sim_replay_outcome *outcome);

#endif

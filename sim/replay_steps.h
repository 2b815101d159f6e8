/* SPDX-License-Identifier: MIT */
/* The steps of a replay, in terms of numbers only: between what reads the trace and what links the scheduler. */
#ifndef PARANGON_SIM_REPLAY_STEPS_H
#define PARANGON_SIM_REPLAY_STEPS_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/machine.h"

struct sim_replay_vcpu {
    uint16_t domid;
    uint8_t id;
    uint16_t weight, cap;
};

/**
 * vCPUs in the order of domains and numbers; the steps name them by their index. None is made yet.
 * @param now  when the recorded machine began, ns
 * @return 0; -1 (said)
 */
int sim_replay_begin(const struct sim_config *config, uint64_t now, const struct sim_replay_vcpu *vcpus, unsigned nr);
/** Make the domain whose first vCPU this is, with all of its vCPUs, down. Nothing happens if it is made. */
void sim_replay_create(uint64_t now, unsigned v);
/** Weight and cap of v's domain from now on; out of range: nothing happens. */
void sim_replay_params(uint64_t now, unsigned v, unsigned weight, unsigned cap);
/** now: ns. cpu: where the record was made. */
void sim_replay_wake(unsigned cpu, uint64_t now, unsigned v);
void sim_replay_block(unsigned cpu, uint64_t now, unsigned v, bool down);
void sim_replay_yield(unsigned cpu, uint64_t now);
/** Ask what runs next there. @return whether there was a decision: its choice */
bool sim_replay_decide(unsigned cpu, uint64_t now, unsigned *domid, unsigned *vcpu_id);
void sim_replay_end(void);

#endif

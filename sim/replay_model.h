/* SPDX-License-Identifier: MIT */
/* The half of a replay that links the scheduler (replay.c); the other half reads the trace (replay_trace.c). */
#ifndef PARANGON_SIM_REPLAY_MODEL_H
#define PARANGON_SIM_REPLAY_MODEL_H

#include "sim/model.h"
#include "sim/replay_steps.h"

/** Make the machine, and these vCPUs as far as the scheduler is not told of them. @return 0; -1 (said) */
int sim_model_begin(const struct sim_config *config, const struct sim_load *load, uint64_t now, const struct sim_replay_vcpu *vcpus,
                    unsigned nr);
void sim_model_end(void);

#endif

/* SPDX-License-Identifier: MIT */
/* The half of a replay that links the scheduler (replay.c) and the machine model; the other half reads the trace (replay_trace.c). */
#ifndef PARANGON_SIM_REPLAY_MODEL_H
#define PARANGON_SIM_REPLAY_MODEL_H

#include "sim/model.h"
#include "sim/replay_steps.h"

/** Make the machine, and its vCPUs as far as the scheduler is not told of them. @return 0; -1 (said) */
int sim_model_begin(const struct sim_replay_input *input);
void sim_model_end(void);
/** Processor cpu, which was not there, has come. */
void sim_model_cpu_comes(unsigned cpu);

/* replay.c, called by the model: */
/** The scheduler has its policy, and no processor yet. */
void sim_replay_makes_pools(void);
/** The operation waits for its turn. */
void sim_replay_waits(void);
/** Its decision is made, and `from` does not run any more. */
void sim_replay_switches(const struct vcpu *from);

#endif

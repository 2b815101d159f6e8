/* SPDX-License-Identifier: MIT */
/*
 * A recorded trace as a load: what each vCPU worked and what it waited for, so that another policy can be asked.
 *
 * A vCPU's time on processors becomes bursts of work. A wake-up becomes its cause: where another vCPU had just notified its domain
 * (evtchn_send on the processor that recorded the wake-up, at most SCRIPT_NEAR before it), it comes when that vCPU has got so far in
 * its own work; else it comes as long after the block as it did then (a timer, a device). So wake-ups move with the schedule.
 * Not known from a trace: what a vCPU would have done with time that it did not get. After its last record a vCPU waits for ever.
 */
#ifndef PARANGON_SIM_SCRIPT_H
#define PARANGON_SIM_SCRIPT_H

#include "sim/setup.h"

#define SCRIPT_NEAR 100000u /* ns */

enum sim_op_kind { SIM_OP_RUN, SIM_OP_SLEEP, SIM_OP_WAIT, SIM_OP_SIGNAL, SIM_OP_YIELD };

struct sim_op {
    enum sim_op_kind kind;
    uint64_t value; /* RUN, SLEEP: ns; SIGNAL: index of the vCPU */
};

/** Of one vCPU. */
struct sim_script {
    struct sim_op *ops;
    uint32_t nr;
};

struct sim_replay_domain;

/**
 * Read a trace and make it setup's loads: a group "dN" for each domain. Weights and caps are the trace's, or those given;
 * processors, where setup has 0, as many as the trace.
 *
 * @return 0, with setup->config.scripts (to be freed by sim_script_free()); -1 with a message on stderr
 */
int sim_script_read(const char *path, struct sim_setup *setup, const struct sim_replay_domain *domains, unsigned nr_domains);
void sim_script_free(struct sim_setup *setup);

#endif

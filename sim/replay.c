/* SPDX-License-Identifier: MIT */
/*
 * Replay of recorded decisions: see replay.h.
 *
 * Each decision is asked for where the trace has one, so no timer is ever run; what the policy answers is read from the record that
 * the scheduler itself makes of it, in a ring of one small buffer. The machine model takes no part: its functions of core/arch.h
 * are told that nothing is to be measured.
 */
#include "sim/replay_model.h"

#include <stdlib.h>
#include <string.h>

#include "core/timer.h"
#include "sched/sched.h"
#include "trace/trace.h"

#define BUFFER 8192u

/* The decision that the scheduler has just recorded. */
static struct {
    struct trace_ring_head head;
    uint8_t bytes[BUFFER];
} said;

int sim_replay_begin(const struct sim_config *config, uint64_t now, const struct sim_replay_vcpu *vcpus, unsigned nr)
{
    static const struct sim_load load = {.kind = SIM_HOG, .domains = 1, .vcpus = 1, .first_cpu = -1};

    return sim_model_begin(config, &load, now, vcpus, nr);
}

void sim_replay_create(uint64_t now, unsigned v)
{
    struct sim_domain *d = sim.vcpus[v].dom;

    sim_now = now;
    for (unsigned i = 0; i < d->nr_vcpus; i++)
        if (!d->vcpus[i].hv.unit && sched_vcpu_create(&d->vcpus[i].hv))
            panic("parangon: simulator: no memory for a vCPU\n");
}

void sim_replay_params(uint64_t now, unsigned v, unsigned weight, unsigned cap)
{
    sim_now = now;
    (void)sched_set_params(&sim.vcpus[v].dom->hv, weight, cap);
}

static void listen(unsigned cpu)
{
    sim_rings[cpu] = (struct trace_ring){.mask = TRACE_CLASS_SCHED, .base = said.bytes, .shared = &said.head, .limit = BUFFER,
                                         .size = BUFFER, .sub_size = BUFFER};
}

void sim_replay_wake(unsigned cpu, uint64_t now, unsigned v)
{
    sim_now = now;
    sim_cpu = cpu;
    sim.vcpus[v].hv.pause_flags = 0;
    sched_wake(&sim.vcpus[v].hv);
}

void sim_replay_block(unsigned cpu, uint64_t now, unsigned v, bool down)
{
    struct vcpu *hv = &sim.vcpus[v].hv;

    sim_now = now;
    sim_cpu = cpu;
    hv->pause_flags = down ? VPF_DOWN : VPF_BLOCKED;
    if (!sim.vcpus[v].running)
        sched_sleep(hv);
}

void sim_replay_yield(unsigned cpu, uint64_t now)
{
    sim_now = now;
    sim_cpu = cpu;
    if (!sim_current[cpu]->is_idle)
        sched_yield_current();
}

bool sim_replay_decide(unsigned cpu, uint64_t now, unsigned *domid, unsigned *vcpu_id)
{
    uint64_t at = 0;
    bool decided = false;

    sim_now = now;
    sim_cpu = cpu;
    listen(cpu);
    sched_run();
    while (at < sim_rings[cpu].pos) {
        struct trace_record_sched_pick pick;

        memcpy(&pick.head, said.bytes + at, sizeof pick.head);
        if (pick.head.event == TRACE_ID_sched_pick) {
            memcpy(&pick, said.bytes + at, sizeof pick);
            *domid = pick.domid;
            *vcpu_id = pick.vcpu_id;
            decided = true;
        }
        at += pick.head.size;
    }
    sim_rings[cpu].mask = 0;
    sim.raised_head = sim.raised_tail; /* the trace says when the next decisions are */
    for (unsigned c = 0; c < sim.nr_cpus; c++)
        sim.cpus[c].raised = sim.cpus[c].kicked = false;
    return decided;
}

void sim_replay_end(void)
{
    sim_model_end();
}

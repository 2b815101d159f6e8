/* SPDX-License-Identifier: MIT */
/* The half of lag.h that links the model: recorded runs drive the fluid schedule (fluid.c) in the place of the simulated machine. */
#include "sim/lag.h"

#include <stdlib.h>
#include <string.h>

#include "sim/model.h"

static const struct sim_config followed = {.fluid = true};

/* d has run up to now, on so many processors; the fluid schedule takes note. */
static void settle(struct sim_domain *d, uint32_t running, uint64_t *since)
{
    d->work += SIM_WORK((sim_now - *since) * running);
    *since = sim_now;
    sim_fluid_note(d);
}

static void come_to_pass(const struct sim_lag_event *e, uint32_t *running, uint64_t *since)
{
    struct sim_domain *d = &sim.domains[e->kind == SIM_LAG_CPUS ? 0 : e->subject];

    sim_now = e->at;
    switch ((enum sim_lag_kind)e->kind) {
    case SIM_LAG_WANTS:
        sim_fluid_change(d, 1);
        sim_fluid_arrive(d, e->work);
        break;
    case SIM_LAG_RESTS:
        sim_fluid_change(d, -1);
        break;
    case SIM_LAG_RUNS:
        settle(d, running[e->subject]++, &since[e->subject]);
        break;
    case SIM_LAG_STOPS:
        settle(d, running[e->subject]--, &since[e->subject]);
        break;
    case SIM_LAG_CPUS:
        sim_fluid_cpus(e->subject);
        break;
    }
}

int sim_lag_follow(struct sim_lags *lag, const struct sim_lag_event *events, size_t nr, uint64_t from, uint64_t to)
{
    uint32_t *running = calloc(lag->nr_domains, sizeof *running);
    uint64_t *since = calloc(lag->nr_domains, sizeof *since);
    int status = -1;

    memset(&sim, 0, sizeof(sim));
    sim.config = &followed;
    sim.nr_cpus = lag->cpus;
    sim.nr_domains = lag->nr_domains;
    sim.domains = calloc(sim.nr_domains, sizeof(*sim.domains));
    sim_now = sim.fluid_at = from;
    if (running && since && sim.domains && sim_fluid_init(sim.nr_domains) == 0) {
        for (u32 i = 0; i < sim.nr_domains; i++) {
            sim.domains[i].hv.weight = lag->domains[i].weight;
            sim.domains[i].hv.cap = lag->domains[i].cap;
            sim.domains[i].flow = SIM_NO_FLOW;
            since[i] = from;
        }
        for (size_t i = 0; i < nr; i++)
            come_to_pass(&events[i], running, since);
        sim_now = to;
        for (u32 i = 0; i < sim.nr_domains; i++) {
            struct sim_domain *d = &sim.domains[i];

            settle(d, running[i], &since[i]);
            lag->domains[i].got = d->work / 65536.0 / (to - from);
            lag->domains[i].fluid = sim_fluid_done(d) / (to - from);
            lag->domains[i].behind = d->behind;
            lag->domains[i].ahead = d->ahead;
        }
        status = 0;
    }
    sim_fluid_free();
    free(sim.domains);
    free(running);
    free(since);
    memset(&sim, 0, sizeof(sim));
    return status;
}

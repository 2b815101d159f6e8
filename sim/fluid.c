/* SPDX-License-Identifier: MIT */
/*
 * The fluid schedule beside the real one (generalised processor sharing: Parekh, Gallager 1993).
 *
 * It gets the same work at the same instants. At every instant the processors are divided among the domains that have work left in
 * it, in proportion to their weights; none gets more than its cap or its vCPUs that want to run can use (one at least: it may have
 * work left when the real one has none), and what it leaves goes to the others (water-filling). The lag of a domain is the work
 * done for it here less the work done in the real schedule, so that what switches cost is lag too. It is largest when the domain
 * begins to run and least when it stops: it is looked at there.
 * Over a whole run the same division by what each asks for in the long run gives the feasible shares.
 * Does not: know siblings. Where cores have several threads no fluid schedule is followed.
 */
#include "sim/model.h"

#include <math.h>

#define NOTHING 1e-3 /* ns of work: none is left */

/* The most that d can use, in processors. */
static double limit_of(const struct sim_domain *d)
{
    double most = d->runnable > 1 ? d->runnable : 1;

    return d->hv.cap && d->hv.cap < 100 * most ? d->hv.cap / 100.0 : most;
}

/* Divide the machine anew. */
static void share_out(void)
{
    double left = sim.nr_cpus, weight = 0;
    bool again = true;

    sim.fluid_stale = false;
    for (u32 i = 0; i < sim.nr_active; i++) {
        sim.active[i]->fluid_rate = -1;
        weight += sim.active[i]->hv.weight;
    }
    while (again) {
        double each = weight > 0.5 ? left / weight : 0;

        again = false;
        for (u32 i = 0; i < sim.nr_active; i++) {
            struct sim_domain *d = sim.active[i];
            double most = limit_of(d);

            if (d->fluid_rate >= 0 || d->hv.weight * each < most)
                continue;
            d->fluid_rate = most;
            left -= most;
            weight -= d->hv.weight;
            again = true;
        }
        for (u32 i = 0; i < sim.nr_active && !again; i++)
            if (sim.active[i]->fluid_rate < 0)
                sim.active[i]->fluid_rate = sim.active[i]->hv.weight * each;
    }
}

/* How long until the first domain has no work left, `most` at most. */
static double until_done(double most)
{
    for (u32 i = 0; i < sim.nr_active; i++) {
        const struct sim_domain *d = sim.active[i];

        if (d->backlog < most * d->fluid_rate)
            most = d->backlog / d->fluid_rate;
    }
    return most;
}

static void leave(u32 at)
{
    sim.active[at]->backlog = 0;
    sim.active[at]->flowing = false;
    sim.active[at] = sim.active[--sim.nr_active];
    sim.fluid_stale = true;
}

/* Let the fluid flow up to now. */
static void flow(void)
{
    double dt = sim_now - sim.fluid_at;

    sim.fluid_at = sim_now;
    while (dt > 0 && sim.nr_active) {
        double step;

        if (sim.fluid_stale)
            share_out();
        step = until_done(dt);
        dt -= step;
        for (u32 i = 0; i < sim.nr_active; i++) {
            sim.active[i]->fluid += sim.active[i]->fluid_rate * step;
            sim.active[i]->backlog -= sim.active[i]->fluid_rate * step;
        }
        for (u32 i = sim.nr_active; i--;)
            if (sim.active[i]->backlog <= NOTHING)
                leave(i);
    }
}

void sim_fluid_arrive(struct sim_domain *d, double ns)
{
    if (!sim.config->fluid)
        return;
    flow();
    if (!d->flowing) {
        d->flowing = true;
        sim.active[sim.nr_active++] = d;
        sim.fluid_stale = true;
    }
    d->backlog += ns;
}

void sim_fluid_change(struct sim_domain *d, int by)
{
    flow();
    d->runnable += by;
    sim.fluid_stale = true;
}

void sim_fluid_note(struct sim_domain *d)
{
    double lag;

    flow();
    lag = d->fluid - (double)d->work / 65536;
    d->behind = fmax(d->behind, lag);
    d->ahead = fmax(d->ahead, -lag);
}

void sim_fluid_reset(void)
{
    flow();
    for (u32 i = 0; i < sim.nr_domains; i++) {
        struct sim_domain *d = &sim.domains[i];

        d->fluid -= (double)d->work_before / 65536;
        d->behind = d->ahead = 0;
    }
}

/* ---- over the whole run ---- */

/* What others send through the first domain of a service, in processors. */
static double sent_through(const struct sim_load *l)
{
    double sum = 0;

    for (unsigned i = 0; i < sim.config->nr_loads; i++) {
        const struct sim_load *other = &sim.config->loads[i];

        if (*other->via && !strcmp(other->via, l->name))
            sum += other->domains * other->util / other->run * 2 * other->via_run;
    }
    return sum;
}

/* What a domain asks for in the long run, in processors; a hog asks for all that its vCPUs can use. */
static double demand_of(const struct sim_load *l)
{
    double most = l->vcpus;

    switch (l->kind) {
    case SIM_SERVICE:
        most = fmin(most, l->util + sent_through(l));
        break;
    case SIM_PERIODIC:
        most = fmin(most, l->vcpus * ((double)l->run / l->period));
        break;
    case SIM_INTERACTIVE:
    case SIM_BURSTY:
        most = l->vcpus * ((double)l->run / (l->run + l->period));
        break;
    default:
        break;
    }
    return l->cap ? fmin(most, l->cap / 100.0) : most;
}

void sim_fluid_feasible(struct sim_result *result)
{
    double left = sim.nr_cpus, weight = 0;
    bool again = true;

    for (u32 i = 0; i < sim.nr_domains; i++) {
        result->domains[i].feasible = -1;
        weight += sim.domains[i].hv.weight;
    }
    while (again) {
        double each = weight > 0.5 ? left / weight : 0;

        again = false;
        for (u32 i = 0; i < sim.nr_domains; i++) {
            const struct sim_domain *d = &sim.domains[i];
            double most = demand_of(d->load);

            if (result->domains[i].feasible >= 0 || d->hv.weight * each < most)
                continue;
            result->domains[i].feasible = most;
            left -= most;
            weight -= d->hv.weight;
            again = true;
        }
        for (u32 i = 0; i < sim.nr_domains && !again; i++)
            if (result->domains[i].feasible < 0)
                result->domains[i].feasible = sim.domains[i].hv.weight * each;
    }
}

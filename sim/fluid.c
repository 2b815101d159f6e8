/* SPDX-License-Identifier: MIT */
/*
 * The fluid schedule beside the real one (generalised processor sharing: Parekh, Gallager 1993).
 *
 * It gets the same work at the same instants. At every instant the processors are divided among the domains that have work left in
 * it, in proportion to their weights; none gets more than its cap or its vCPUs that want to run can use (one at least: it may have
 * work left when the real one has none), and what it leaves goes to the others (water-filling). The lag of a domain is the work
 * done for it here less the work done in the real schedule, so that what switches cost is lag too. It is largest when the domain
 * begins to run and least when it stops: it is looked at there.
 * Between two instants at which who gets how much changes, or a domain runs out of work, the work of each grows evenly: all domains are
 * brought up to date only then, and else one is asked what it has by now.
 * Over a whole run the same division by what each asks for in the long run gives the feasible shares.
 * Does not: know siblings. Where cores have several threads no fluid schedule is followed.
 */
#include "sim/model.h"

#include <math.h>
#include <stdlib.h>

#define NOTHING 1e-3 /* ns of work: none is left */

int sim_fluid_init(u32 nr_domains)
{
    struct sim_flows *f = &sim.flows;
    double *numbers = calloc(nr_domains, 5 * sizeof *numbers);

    f->domain = calloc(nr_domains, sizeof(struct sim_domain *));
    f->open = calloc(nr_domains, sizeof *f->open);
    f->rate = numbers;
    if (!numbers || !f->domain || !f->open)
        return -1;
    f->left = numbers + nr_domains;
    f->done = numbers + 2 * nr_domains;
    f->limit = numbers + 3 * nr_domains;
    f->weight = numbers + 4 * nr_domains;
    return 0;
}

void sim_fluid_free(void)
{
    free(sim.flows.domain);
    free(sim.flows.open);
    free(sim.flows.rate);
}

/* The most that d can use, in processors. */
static double limit_of(const struct sim_domain *d)
{
    double most = d->runnable > 1 ? d->runnable : 1;

    return d->hv.cap && d->hv.cap < 100 * most ? d->hv.cap / 100.0 : most;
}

/* Divide the machine anew: who gets all that it can use, which leaves more for the others, until nobody is left who does. */
static void share_out(void)
{
    const struct sim_flows *f = &sim.flows;
    const double *restrict limit = f->limit, *restrict weights = f->weight;
    double *restrict rate = f->rate;
    u32 *restrict open = f->open, nr = f->nr, still;
    double left = sim.nr_cpus, weight = 0, each;

    sim.fluid_stale = false;
    for (u32 i = 0; i < nr; i++) {
        open[i] = i;
        weight += weights[i];
    }
    for (;; nr = still) {
        each = weight > 0.5 ? left / weight : 0;
        still = 0;
        for (u32 k = 0; k < nr; k++) {
            u32 i = open[k];

            if (weights[i] * each < limit[i]) {
                open[still++] = i;
                continue;
            }
            rate[i] = limit[i];
            left -= limit[i];
            weight -= weights[i];
        }
        if (still == nr)
            break;
    }
    for (u32 k = 0; k < nr; k++)
        rate[open[k]] = weights[open[k]] * each;
}

/* How long until the first domain has no work left. */
static double until_done(void)
{
    const double *restrict left = sim.flows.left, *restrict rate = sim.flows.rate;
    double most = INFINITY;

    for (u32 i = 0, nr = sim.flows.nr; i < nr; i++)
        if (left[i] < most * rate[i])
            most = left[i] / rate[i];
    return most;
}

static void leave(u32 at)
{
    struct sim_flows *f = &sim.flows;
    u32 last = --f->nr;

    f->domain[at]->fluid = f->done[at];
    f->domain[at]->flow = SIM_NO_FLOW;
    if (at != last) {
        f->domain[at] = f->domain[last];
        f->rate[at] = f->rate[last];
        f->left[at] = f->left[last];
        f->done[at] = f->done[last];
        f->limit[at] = f->limit[last];
        f->weight[at] = f->weight[last];
        f->domain[at]->flow = at;
    }
    sim.fluid_stale = true;
}

/* All domains' work for so long, ns. @return whether one has none left */
static bool work_for(double step)
{
    const double *restrict rate = sim.flows.rate;
    double *restrict done = sim.flows.done, *restrict left = sim.flows.left;
    int ended = 0;

    for (u32 i = 0, nr = sim.flows.nr; i < nr; i++) {
        done[i] += rate[i] * step;
        left[i] -= rate[i] * step;
        ended |= left[i] <= NOTHING;
    }
    return ended;
}

/* Let the fluid flow up to now, and bring all domains up to date. */
static void flow(void)
{
    double dt = sim_now - sim.fluid_at;

    sim.fluid_at = sim_now;
    while (dt > 0 && sim.flows.nr) {
        double step;

        if (sim.fluid_stale) {
            share_out();
            sim.fluid_lasts = until_done();
        }
        step = fmin(dt, sim.fluid_lasts);
        dt -= step;
        sim.fluid_lasts -= step;
        if (!work_for(step)) {
            if (sim.fluid_lasts <= 0) /* work has come meanwhile */
                sim.fluid_lasts = until_done();
            continue;
        }
        for (u32 i = sim.flows.nr; i--;)
            if (sim.flows.left[i] <= NOTHING)
                leave(i);
    }
}

/* The same where it does not flow evenly since it was last brought up to date. */
static inline void flow_on(void)
{
    if (sim.fluid_stale || (double)(sim_now - sim.fluid_at) >= sim.fluid_lasts)
        flow();
}

void sim_fluid_arrive(struct sim_domain *d, double ns)
{
    struct sim_flows *f = &sim.flows;

    if (!sim.config->fluid)
        return;
    flow_on();
    if (d->flow == SIM_NO_FLOW) {
        flow();
        d->flow = f->nr++;
        f->domain[d->flow] = d;
        f->done[d->flow] = d->fluid;
        f->left[d->flow] = 0;
        f->limit[d->flow] = limit_of(d);
        f->weight[d->flow] = d->hv.weight;
        sim.fluid_stale = true;
    }
    f->left[d->flow] += ns;
}

void sim_fluid_change(struct sim_domain *d, int by)
{
    struct sim_flows *f = &sim.flows;
    double limit;

    flow_on();
    d->runnable += by;
    limit = limit_of(d);
    if (d->flow == SIM_NO_FLOW || f->limit[d->flow] == limit)
        return;
    if (!sim.fluid_stale && f->rate[d->flow] >= fmin(limit, f->limit[d->flow])) { /* else it gets as much as before */
        flow();
        sim.fluid_stale = true;
    }
    if (d->flow != SIM_NO_FLOW)
        f->limit[d->flow] = limit;
}

void sim_fluid_cpus(u32 nr)
{
    flow();
    sim.nr_cpus = nr;
    sim.fluid_stale = true;
}

double sim_fluid_done(struct sim_domain *d)
{
    flow_on();
    return d->flow == SIM_NO_FLOW ? d->fluid : sim.flows.done[d->flow] + sim.flows.rate[d->flow] * (double)(sim_now - sim.fluid_at);
}

void sim_fluid_note(struct sim_domain *d)
{
    double lag = sim_fluid_done(d) - (double)d->work / 65536;

    if (lag > d->behind)
        d->behind = lag;
    if (-lag > d->ahead)
        d->ahead = -lag;
}

void sim_fluid_reset(void)
{
    flow();
    for (u32 i = 0; i < sim.nr_domains; i++) {
        struct sim_domain *d = &sim.domains[i];

        *(d->flow == SIM_NO_FLOW ? &d->fluid : &sim.flows.done[d->flow]) -= (double)d->work_before / 65536;
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

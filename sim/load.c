/* SPDX-License-Identifier: MIT */
/*
 * What vCPUs want: the loads of machine.h as answers to "your burst is done" and "your timer has come".
 *
 * Every random number comes from the stream of its vCPU (bursts, sleeps) or of its domain (arrivals and their work), in an order
 * that no schedule changes.
 */
#include "sim/model.h"

#include <math.h>
#include <stdlib.h>

#include "sim/script.h"

#define QUEUE_FIRST 64u
#define QUEUE_MOST  (1u << 20) /* arrivals of a domain that wait; more are dropped and counted */
#define JITTER      0.1        /* of a fixed sleep, so that like vCPUs do not march in step */

static u64 draw(struct sim_random *r, enum sim_dist dist, u64 mean)
{
    double ns = mean;

    if (dist == SIM_EXP)
        ns = sim_random_exp(r, mean);
    else if (dist == SIM_PARETO)
        ns = sim_random_pareto(r, mean);
    return ns < 1 ? 1 : (u64)ns;
}

static void respond(struct sim_vcpu *v, ns_t since)
{
    v->load_result->done++;
    sim_hist_add(&v->load_result->response, sim_now - since);
}

/* ---- service: a queue of the domain, served by whichever of its vCPUs is free ---- */

static u64 work_of(const struct sim_request *r)
{
    return r->stage == SIM_COMING || r->stage == SIM_GOING ? SIM_WORK(r->origin->load->via_run) : r->work;
}

static void serve(struct sim_vcpu *v, struct sim_request request)
{
    v->request = request;
    sim_set_burst(v, work_of(&request));
}

static bool next_request(struct sim_domain *d, struct sim_request *request)
{
    if (d->queue_head == d->queue_tail)
        return false;
    *request = d->queue[d->queue_head++ & (d->queue_size - 1)];
    __builtin_prefetch(&d->queue[d->queue_head & (d->queue_size - 1)]); /* of a long queue, it has left the caches since it came */
    return true;
}

static void queue_request(struct sim_domain *d, struct sim_request request)
{
    u32 nr = d->queue_tail - d->queue_head;

    if (nr == d->queue_size) {
        u32 size = d->queue_size ? 2 * d->queue_size : QUEUE_FIRST;
        struct sim_request *queue = size <= QUEUE_MOST ? malloc(size * sizeof(*queue)) : NULL;

        if (!queue) {
            sim.dropped++;
            return;
        }
        for (u32 i = 0; i < nr; i++)
            queue[i] = d->queue[(d->queue_head + i) & (d->queue_size - 1)];
        free(d->queue);
        d->queue = queue;
        d->queue_size = size;
        d->queue_head = 0;
        d->queue_tail = nr;
    }
    d->queue[d->queue_tail++ & (d->queue_size - 1)] = request;
}

static void next_arrival(struct sim_domain *d)
{
    double between = (double)d->load->run / d->load->util;

    sim_set_arrival(d, sim_now + (u64)sim_random_exp(&d->random, between) + 1);
}

/* A request for d to work on. */
static void deliver(struct sim_domain *d, struct sim_request request)
{
    sim_fluid_arrive(d, (double)work_of(&request) / 65536);
    for (unsigned i = 0; i < d->nr_vcpus; i++) {
        if (d->vcpus[i].hv.pause_flags) {
            serve(&d->vcpus[i], request);
            sim_wake(&d->vcpus[i]);
            return;
        }
    }
    queue_request(d, request);
}

void sim_load_arrival(struct sim_domain *d)
{
    u64 work = draw(&d->random, d->load->dist, d->load->run);
    struct sim_request request = {sim_now, SIM_WORK(work), d, d->via ? SIM_COMING : SIM_DIRECT};

    next_arrival(d);
    deliver(d->via ? d->via : d, request);
}

/* v has done its part of its request: it goes on, or is answered; v takes the next. */
static void served(struct sim_vcpu *v)
{
    struct sim_request request = v->request;

    if (request.stage == SIM_COMING) {
        request.stage = SIM_IN;
        deliver(request.origin, request);
    } else if (request.stage == SIM_IN) {
        request.stage = SIM_GOING;
        deliver(request.origin->via, request);
    } else {
        request.origin->load_result->done++;
        sim_hist_add(&request.origin->load_result->response, sim_now - request.arrived);
    }
    if (next_request(v->dom, &request))
        serve(v, request);
    else
        sim_block(v);
}

/* ---- barrier: rounds of the whole domain ---- */

static void begin_round(struct sim_vcpu *v)
{
    u64 work = draw(&v->random, v->load->dist, v->load->run);

    sim_fluid_arrive(v->dom, work);
    sim_set_burst(v, SIM_WORK(work));
    v->spins = false;
    sim_wake(v);
}

static void at_barrier(struct sim_vcpu *v)
{
    struct sim_domain *d = v->dom;

    if (++d->arrived < d->nr_vcpus) {
        if (v->load->spin) {
            v->spins = true;
            sim_set_burst(v, SIM_FOREVER);
        } else {
            sim_block(v);
        }
        return;
    }
    respond(v, d->round);
    d->arrived = 0;
    d->round = sim_now;
    for (unsigned i = 0; i < d->nr_vcpus; i++)
        begin_round(&d->vcpus[i]);
}

/* ---- sleepers ---- */

static void sleep_then_work(struct sim_vcpu *v)
{
    const struct sim_load *l = v->load;
    u64 sleep = l->dist == SIM_FIXED && l->kind == SIM_INTERACTIVE
                    ? (u64)(l->period * (1 + JITTER * (sim_random_unit(&v->random) - 0.5)))
                    : draw(&v->random, SIM_EXP, l->period);

    sim_set_timer(v, sim_now + sleep);
}

static void work_for(struct sim_vcpu *v)
{
    u64 work = draw(&v->random, v->load->kind == SIM_BURSTY ? SIM_PARETO : v->load->dist, v->load->run);

    v->began = sim_now;
    sim_fluid_arrive(v->dom, work);
    sim_set_burst(v, SIM_WORK(work));
    sim_wake(v);
}

/* A release whose predecessor is done too late begins at once, and is counted from when it was due. */
static void release(struct sim_vcpu *v)
{
    v->began = v->release;
    v->release += v->load->period;
    sim_fluid_arrive(v->dom, v->load->run);
    sim_set_burst(v, SIM_WORK(v->load->run));
    sim_wake(v);
}

/* ---- scripts ---- */

/* The next burst of v, which runs or has been woken; false: it has to wait, for a timer that is set, or for an event. */
static bool next_step(struct sim_vcpu *v)
{
    const struct sim_script *script = &sim.config->scripts[v - sim.vcpus];

    while (v->op < script->nr) {
        const struct sim_op *op = &script->ops[v->op++];
        struct sim_vcpu *other;

        switch (op->kind) {
        case SIM_OP_RUN:
            sim_fluid_arrive(v->dom, op->value);
            sim_set_burst(v, SIM_WORK(op->value));
            return true;
        case SIM_OP_SLEEP:
            sim_set_timer(v, sim_now + op->value);
            return false;
        case SIM_OP_WAIT:
            if (!v->signals) {
                v->waits = true;
                return false;
            }
            v->signals--;
            break;
        case SIM_OP_SIGNAL:
            other = &sim.vcpus[op->value];
            if (!other->waits) {
                other->signals++;
                break;
            }
            other->waits = false;
            sim_load_timer(other);
            break;
        case SIM_OP_YIELD:
            if (v->running)
                sim_yield(v);
            break;
        }
    }
    return false;
}

static void script_done(struct sim_vcpu *v)
{
    if (next_step(v))
        return;
    respond(v, v->began);
    sim_block(v);
}

/* Its timer has come, or its event. */
static void script_wakes(struct sim_vcpu *v)
{
    v->began = sim_now;
    if (next_step(v))
        sim_wake(v);
}

/* ---- what the machine calls ---- */

void sim_load_start(struct sim_domain *d)
{
    const struct sim_load *l = d->load;

    d->round = sim_now;
    if (l->kind == SIM_SERVICE && l->util > 0)
        next_arrival(d);
    for (unsigned i = 0; i < d->nr_vcpus; i++) {
        struct sim_vcpu *v = &d->vcpus[i];

        switch (l->kind) {
        case SIM_HOG:
            v->left = SIM_FOREVER;
            sim_fluid_arrive(d, INFINITY);
            sim_wake(v);
            break;
        case SIM_YIELDER:
            v->left = SIM_WORK(l->run);
            sim_fluid_arrive(d, INFINITY);
            sim_wake(v);
            break;
        case SIM_BARRIER:
            begin_round(v);
            break;
        case SIM_PERIODIC:
            v->release = sim_now + (u64)(l->period * sim_random_unit(&v->random));
            sim_set_timer(v, v->release);
            break;
        case SIM_INTERACTIVE:
        case SIM_BURSTY:
            sleep_then_work(v);
            break;
        case SIM_SCRIPT:
            script_wakes(v);
            break;
        default:
            break;
        }
    }
}

void sim_load_done(struct sim_vcpu *v)
{
    switch (v->load->kind) {
    case SIM_YIELDER:
        v->left = SIM_WORK(v->load->run);
        v->load_result->done++;
        sim_yield(v);
        break;
    case SIM_PERIODIC:
        respond(v, v->began);
        if (v->release <= sim_now) {
            release(v);
            break;
        }
        sim_set_timer(v, v->release);
        sim_block(v);
        break;
    case SIM_INTERACTIVE:
    case SIM_BURSTY:
        respond(v, v->began);
        sleep_then_work(v);
        sim_block(v);
        break;
    case SIM_SERVICE:
        served(v);
        break;
    case SIM_BARRIER:
        at_barrier(v);
        break;
    case SIM_SCRIPT:
        script_done(v);
        break;
    default:
        break;
    }
}

void sim_load_timer(struct sim_vcpu *v)
{
    switch (v->load->kind) {
    case SIM_PERIODIC:
        release(v);
        break;
    case SIM_INTERACTIVE:
    case SIM_BURSTY:
        work_for(v);
        break;
    case SIM_SCRIPT:
        script_wakes(v);
        break;
    default:
        break;
    }
}

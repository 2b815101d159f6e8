/* SPDX-License-Identifier: MIT */
/*
 * The simulated machine: see machine.h for the model.
 *
 * The loop takes the earliest event, lets it happen, and then lets every pcpu that the scheduler was asked for decide
 * (sched_run()), in the order of asking, before time goes on. A pcpu has one event: its timer or the end of the burst that runs
 * there, whichever comes first. Progress is settled lazily, whenever a pcpu's occupant or its rate changes.
 * Work is counted in 2^-16 ns, rates in 2^-16, so that nothing is lost by rounding and no result depends on the compiler.
 */
#include "sim/replay_model.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include "core/timer.h"
#include "sched/sched.h"

#define RATE_ONE 65536u

ns_t sim_now;
unsigned int sim_cpu;
struct vcpu **sim_current;
struct trace_ring *sim_rings;
struct sim_machine sim;

const char *const sim_kind_names[SIM_KINDS] = {"hog",     "interactive", "periodic", "bursty",
                                               "service", "barrier",     "yielder", "script"};
const char *const sim_dist_names[SIM_DISTS] = {"fixed", "exp", "pareto"};

/* ---- integrals over the whole machine ---- */

/* Account the time since the last change of what idles and what waits. Before each such change. */
static void account(void)
{
    ns_t dt = sim_now - sim.accounted;

    if (!dt)
        return;
    sim.accounted = sim_now;
    if (sim.nr_waiting) {
        sim.idle_while_waiting += dt * min_of(sim.nr_idle, sim.nr_waiting);
        sim.forced_idle += dt * min_of(sim.nr_idle_beside, sim.nr_waiting);
    }
    sim.corun_same += dt * sim.cores_same;
    sim.corun_other += dt * sim.cores_other;
}

/* ---- progress ---- */

/* When what runs on this pcpu has done its burst. */
static ns_t burst_end(const struct sim_cpu *c)
{
    const struct sim_vcpu *v = c->runs;
    u64 work;

    if (!v || v->left == SIM_FOREVER)
        return SIM_NEVER;
    work = v->overhead + v->left + c->rate - 1; /* a division takes longer than all else here */
    return c->since + (c->rate == RATE_ONE ? work / RATE_ONE : work / c->rate);
}

/* The pcpu's next event is known by now; of the one whose turn it is when its turn ends. */
static void set_event(unsigned cpu)
{
    ns_t end = burst_end(&sim.cpus[cpu]), deadline = sim.cpus[cpu].deadline;

    if (cpu != sim.turn)
        sim_events_set(&sim.queue, cpu, max_of(min_of(end, deadline), sim_now));
}

/* Add what was done on this pcpu since it was last settled. */
static void settle(struct sim_cpu *c)
{
    struct sim_vcpu *v = c->runs;
    ns_t dt = sim_now - c->since;
    u64 done;

    c->since = sim_now;
    if (!v || !dt)
        return;
    v->dom->used += dt;
    done = dt * c->rate;
    if (v->overhead) {
        u64 part = min_of(done, v->overhead);

        v->overhead -= part;
        done -= part;
        sim.overhead += part;
    }
    if (v->left != SIM_FOREVER) {
        done = min_of(done, v->left);
        v->left -= done;
    }
    if (!v->spins)
        v->dom->work += done;
}

/* The rate of a thread, from what its siblings run. */
static u32 rate_of(unsigned cpu)
{
    const struct sim_cpu *first = &sim.cpus[cpu - cpu % sim.threads];
    double rate = 1;

    if (!sim.cpus[cpu].runs)
        return RATE_ONE;
    for (unsigned t = 0; t < sim.threads; t++) {
        if (first + t != &sim.cpus[cpu] && first[t].runs)
            rate *= sim.config->matrix[sim.cpus[cpu].runs->load->class][first[t].runs->load->class];
    }
    return (u32)(rate * RATE_ONE + 0.5);
}

/* What the threads of a core do together: counts for the integrals, with `sign` 1 or -1. */
static void count_core(unsigned cpu, int sign)
{
    const struct sim_cpu *first = &sim.cpus[cpu - cpu % sim.threads];
    unsigned busy = 0, idle = 0;
    bool other = false;
    const struct sim_domain *dom = NULL;

    for (unsigned t = 0; t < sim.threads; t++) {
        if (!first[t].runs) {
            idle++;
            continue;
        }
        busy++;
        other |= dom && dom != first[t].runs->dom;
        dom = first[t].runs->dom;
    }
    sim.nr_idle += sign * (int)idle;
    if (busy)
        sim.nr_idle_beside += sign * (int)idle;
    if (busy > 1)
        *(other ? &sim.cores_other : &sim.cores_same) += sign;
}

/* c goes from the list of one domain's pcpus to that of `to` (NULL: to none). */
static void enlist(struct sim_cpu *c, const struct sim_vcpu *to)
{
    if (c->runs) {
        *c->link = c->next;
        if (c->next)
            c->next->link = c->link;
    }
    if (to) {
        c->link = &to->dom->runs_on;
        c->next = *c->link;
        if (c->next)
            c->next->link = &c->next;
        *c->link = c;
    }
}

/* The processor is given to `to` (NULL: nobody). */
static void occupy(unsigned cpu, struct sim_vcpu *to)
{
    struct sim_cpu *c = &sim.cpus[cpu], *first = &sim.cpus[cpu - cpu % sim.threads];

    account();
    settle(c);
    if (sim.config->fluid)
        enlist(c, to);
    if (sim.threads == 1) {
        sim.nr_idle += (to == NULL) - (c->runs == NULL);
        c->runs = to;
        return;
    }
    count_core(cpu, -1);
    c->runs = to;
    count_core(cpu, 1);
    for (unsigned t = 0; t < sim.threads; t++) {
        u32 rate = rate_of(cpu - cpu % sim.threads + t);

        if (first[t].rate == rate)
            continue;
        settle(&first[t]);
        first[t].rate = rate;
        if (&first[t] != c)
            set_event(cpu - cpu % sim.threads + t);
    }
}

/* The lag of a domain that begins or ends to run, of all its vCPUs. */
static void note_lag(struct sim_domain *d)
{
    if (!sim.config->fluid)
        return;
    for (struct sim_cpu *c = d->runs_on; c; c = c->next)
        settle(c);
    sim_fluid_note(d);
}

/* How far pcpu b is from a: 0 a sibling thread, 1 the same socket, 2 another. */
static unsigned distance(unsigned a, unsigned b)
{
    if (a / sim.threads == b / sim.threads)
        return 0;
    return a / sim.threads / sim.cores == b / sim.threads / sim.cores ? 1 : 2;
}

/* ---- what the scheduler calls (arch.h) ---- */

void arch_raise_schedule(unsigned int cpu)
{
    if (sim.cpus[cpu].raised)
        return;
    sim.cpus[cpu].raised = true;
    sim.raised[sim.raised_tail] = cpu;
    sim.raised_tail = sim.raised_tail == sim.nr_cpus ? 0 : sim.raised_tail + 1;
}

void arch_kick_cpu(unsigned int cpu)
{
    if (cpu == sim_cpu)
        return;
    sim.cpus[cpu].kicked = true;
    arch_raise_schedule(cpu);
}

void arch_set_timer(ns_t deadline)
{
    sim.cpus[sim_cpu].deadline = deadline;
    set_event(sim_cpu);
}

void arch_context_switch(struct vcpu *prev, struct vcpu *next)
{
    unsigned cpu = sim_cpu;
    struct sim_vcpu *from = prev->is_idle ? NULL : &sim.vcpus[prev->arch.index];
    struct sim_vcpu *to = next->is_idle ? NULL : &sim.vcpus[next->arch.index];

    sim_replay_switches(prev);
    sim_current[cpu] = next;
    occupy(cpu, to);
    sim.switches += to != NULL;
    if (from) {
        from->overhead = 0;
        from->running = false;
        if (!prev->pause_flags)
            sim.nr_waiting++;
        note_lag(from->dom);
    }
    if (to) {
        sim.nr_waiting--;
        to->running = true;
        to->overhead = (u64)sim.config->switch_cost * RATE_ONE;
        if (to->last_cpu != cpu && to->last_cpu != SIM_NO_CPU) {
            unsigned d = distance(to->last_cpu, cpu);

            to->overhead += sim.config->migrate_cost[d] * RATE_ONE;
            sim.migrations++;
            sim.far_migrations += d == 2;
        }
        to->last_cpu = cpu;
        if (to->woke != SIM_NEVER) {
            sim_hist_add(&to->load_result->wake, sim_now - to->woke);
            to->woke = SIM_NEVER;
        }
        note_lag(to->dom);
    }
    if (sim.observer && sim.observer->switched)
        sim.observer->switched(sim.observer->context, sim_now, cpu, from ? (int)(from - sim.vcpus) : -1,
                               to ? (int)(to - sim.vcpus) : -1);
}

void runstate_copy_out(struct vcpu *v)
{
    /* No guest has registered an area: there is no guest memory. */
}

void arch_cpu_place(unsigned int cpu, struct arch_cpu_place *p)
{
    if (sim.placed) {
        *p = (struct arch_cpu_place){sim.placed[cpu].thread, sim.placed[cpu].core, sim.placed[cpu].socket, sim.placed[cpu].node};
        return;
    }
    p->thread = cpu % sim.threads;
    p->core = cpu / sim.threads % sim.cores;
    p->node = p->socket = cpu / sim.threads / sim.cores;
}

void arch_relax(void)
{
    /* One pcpu's turn at a time: nothing is ever waited for, but in a replay. */
    sim_replay_waits();
}

void *arch_alloc(size_t size)
{
    return calloc(1, size);
}

void arch_free(void *p)
{
    free(p);
}

void printk(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
}

void panic(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    abort();
}

/* ---- what loads do to their vCPUs ---- */

void sim_set_burst(struct sim_vcpu *v, u64 work)
{
    if (v->running)
        settle(&sim.cpus[v->last_cpu]);
    v->left = work;
    if (v->running)
        set_event(v->last_cpu);
}

void sim_block(struct sim_vcpu *v)
{
    if (sim.config->fluid)
        sim_fluid_change(v->dom, -1);
    if (sim.observer && sim.observer->blocked)
        sim.observer->blocked(sim.observer->context, sim_now, (int)(v - sim.vcpus));
    sim_cpu = v->last_cpu;
    sched_block_current();
}

void sim_yield(struct sim_vcpu *v)
{
    sim_cpu = v->last_cpu;
    sched_yield_current();
}

void sim_wake(struct sim_vcpu *v)
{
    struct vcpu *hv = &v->hv;

    if (!hv->pause_flags)
        return;
    account();
    sim.nr_waiting++;
    sim.wakes++;
    v->woke = sim_now;
    if (sim.config->fluid)
        sim_fluid_change(v->dom, 1);
    if (sim.observer && sim.observer->woke)
        sim.observer->woke(sim.observer->context, sim_now, (int)(v - sim.vcpus));
    hv->pause_flags = 0;
    sim_cpu = hv->processor;
    sched_wake(hv);
}

void sim_set_timer(struct sim_vcpu *v, ns_t when)
{
    sim_events_set(&sim.queue, sim.nr_cpus + (u32)(v - sim.vcpus), when);
}

void sim_set_arrival(struct sim_domain *d, ns_t when)
{
    sim_events_set(&sim.queue, sim.nr_cpus + sim.nr_vcpus + (u32)(d - sim.domains), when);
}

/* ---- the loop ---- */

bool sim_next_raised(void)
{
    if (sim.raised_head == sim.raised_tail)
        return false;
    sim_cpu = sim.raised[sim.raised_head];
    sim.raised_head = sim.raised_head == sim.nr_cpus ? 0 : sim.raised_head + 1;
    sim.cpus[sim_cpu].raised = false;
    return true;
}

/* Everybody who was asked to decides, before time goes on. */
static void decide(void)
{
    while (sim_next_raised()) {
        unsigned cpu = sim_cpu;
        struct sim_cpu *c = &sim.cpus[cpu];

        sim.turn = cpu;
        if (c->kicked) {
            c->kicked = false;
            timer_run();
        }
        account();
        sched_run();
        sim.turn = SIM_NO_CPU;
        sim.decisions++;
        set_event(cpu);
    }
}

static void cpu_event(unsigned cpu)
{
    struct sim_cpu *c = &sim.cpus[cpu];

    sim_cpu = sim.turn = cpu;
    if (burst_end(c) <= sim_now) {
        settle(c);
        sim_load_done(c->runs);
        sim_cpu = cpu;
    }
    if (c->deadline <= sim_now) {
        c->deadline = SIM_NEVER;
        timer_run();
    }
    sim.turn = SIM_NO_CPU;
    if (!c->raised) /* else it decides now, and sets it then */
        set_event(cpu);
}

void sim_run_until(ns_t end)
{
    decide();
    for (struct sim_event first; (first = sim_events_first(&sim.queue)).time <= end;) {
        u32 id = first.id;

        sim_now = first.time;
        sim.events++;
        if (id < sim.nr_cpus) {
            cpu_event(id);
        } else if (id < sim.nr_cpus + sim.nr_vcpus) {
            sim_events_set(&sim.queue, id, SIM_NEVER);
            sim_load_timer(&sim.vcpus[id - sim.nr_cpus]);
        } else {
            sim_load_arrival(&sim.domains[id - sim.nr_cpus - sim.nr_vcpus]);
        }
        decide();
    }
    sim_now = end;
}

/* Time up to now counts, for everything that is settled lazily. */
void sim_settle_all(void)
{
    account();
    for (unsigned cpu = 0; cpu < sim.nr_cpus; cpu++) {
        settle(&sim.cpus[cpu]);
        set_event(cpu);
    }
    for (unsigned i = 0; i < sim.nr_domains; i++)
        note_lag(&sim.domains[i]);
}

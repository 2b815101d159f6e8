/* SPDX-License-Identifier: MIT */
/*
 * A run of the simulated machine from its making to its result.
 *
 * All memory is taken here. Domains are made in the order of the loads, their vCPUs in order, so that the numbers of a run do not
 * depend on anything but its configuration.
 */
#include "sim/replay_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/timer.h"
#include "sched/sched.h"
#include "trace/trace.h"

static struct domain idle_domain;
static struct vcpu *idle_vcpus;

const char *sim_policy(unsigned n, const char **doc)
{
    const struct sched_ops *ops = sched_policy_at(n);

    if (ops && doc)
        *doc = sched_policy_doc(ops);
    return ops ? sched_policy_name(ops) : NULL;
}

bool sim_has_policy(const char *name)
{
    return sched_find_policy(name);
}

int sim_no_policy(const char *name)
{
    fprintf(stderr, "parangon: simulator: no policy \"%s\"; there are", name);
    for (unsigned n = 0; sim_policy(n, NULL); n++)
        fprintf(stderr, " %s", sim_policy(n, NULL));
    fprintf(stderr, "\n");
    return -1;
}

static double cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

/* ---- checking ---- */

static int refuse_config(const char *why)
{
    fprintf(stderr, "parangon: simulator: %s\n", why);
    return -1;
}

static const struct sim_load *find_load(const struct sim_config *config, const char *name)
{
    for (unsigned i = 0; i < config->nr_loads; i++)
        if (!strcmp(config->loads[i].name, name))
            return &config->loads[i];
    return NULL;
}

static int check_load(const struct sim_config *config, const struct sim_load *l)
{
    if (!l->domains || !l->vcpus || l->vcpus > SIM_VCPUS_MAX)
        return refuse_config("a load has 1 domain or more, of 1 to 32 vCPUs");
    if (l->class >= (config->classes ? config->classes : 1))
        return refuse_config("a load's class is not in the pair matrix");
    if (l->kind == SIM_SCRIPT)
        return config->scripts ? 0 : refuse_config("a script is read from a trace (--bursts)");
    if (l->kind != SIM_HOG && !l->run)
        return refuse_config("a load that is no hog needs run=TIME");
    if ((l->kind == SIM_PERIODIC || l->kind == SIM_INTERACTIVE || l->kind == SIM_BURSTY) && !l->period)
        return refuse_config("a load that sleeps needs period=TIME");
    if (*l->via) {
        const struct sim_load *via = find_load(config, l->via);

        if (l->kind != SIM_SERVICE || !via || via->kind != SIM_SERVICE || *via->via || !l->via_run)
            return refuse_config("via=NAME:via-run=TIME: a service sends its requests through another, which sends its own nowhere");
    }
    if (l->cap > 100 * l->vcpus)
        return refuse_config("a cap is at most 100 for each vCPU");
    if (l->first_cpu >= 0 && (l->first_cpu > l->last_cpu || (unsigned)l->last_cpu >= config->cpus))
        return refuse_config("an affinity is outside the machine");
    return 0;
}

static int check(const struct sim_config *config)
{
    u64 domains = 0;

    if (!config->cpus || config->cpus > SIM_CPUS_MAX || config->cpus > NR_PCPUS)
        return refuse_config("this build has 1 to 1024 pcpus at most");
    if (!config->threads || config->cpus % config->threads)
        return refuse_config("the pcpus are not whole cores");
    if (config->classes > SIM_CLASSES_MAX)
        return refuse_config("more classes than a pair matrix has here");
    for (unsigned i = 0; i < config->classes; i++)
        for (unsigned j = 0; j < config->classes; j++)
            if (!(config->matrix[i][j] >= 0.01 && config->matrix[i][j] <= 2))
                return refuse_config("an entry of the pair matrix is not within 0.01 to 2");
    if (!config->length)
        return refuse_config("nothing to measure: no time");
    for (unsigned i = 0; i < config->nr_loads; i++) {
        if (check_load(config, &config->loads[i]) < 0)
            return -1;
        domains += config->loads[i].domains;
    }
    if (!domains || domains > DOMID_FIRST_RESERVED - 1)
        return refuse_config("1 to 32,750 domains");
    return sim_has_policy(config->policy) ? 0 : sim_no_policy(config->policy);
}

/* ---- making and unmaking ---- */

static int allocate(const struct sim_config *config)
{
    memset(&sim, 0, sizeof(sim));
    sim.turn = SIM_NO_CPU;
    sim_cpu = 0; /* the last machine may have had more */
    sim.nr_cpus = config->cpus;
    sim.threads = config->threads;
    sim.cores = config->cores ? config->cores : config->cpus / config->threads;
    for (unsigned i = 0; i < config->nr_loads; i++) {
        sim.nr_domains += config->loads[i].domains;
        sim.nr_vcpus += config->loads[i].domains * config->loads[i].vcpus;
    }
    sim.cpus = calloc(sim.nr_cpus, sizeof(*sim.cpus));
    sim.raised = calloc(sim.nr_cpus + 1, sizeof(*sim.raised));
    sim.vcpus = calloc(sim.nr_vcpus, sizeof(*sim.vcpus));
    sim.domains = calloc(sim.nr_domains, sizeof(*sim.domains));
    sim_current = calloc(sim.nr_cpus, sizeof(struct vcpu *));
    sim_rings = calloc(sim.nr_cpus, sizeof(*sim_rings));
    idle_vcpus = calloc(sim.nr_cpus, sizeof(*idle_vcpus));
    if (!sim.cpus || !sim.raised || !sim.vcpus || !sim.domains || !sim_current || !sim_rings || !idle_vcpus ||
        sim_fluid_init(sim.nr_domains) < 0 || sim_events_init(&sim.queue, sim.nr_cpus + sim.nr_vcpus + sim.nr_domains) < 0)
        return refuse_config("not enough memory");
    for (u32 i = 0; i < sim.nr_domains; i++)
        sim.domains[i].flow = SIM_NO_FLOW;
    return 0;
}

/* The configuration of a machine that is driven from outside (replay). */
static struct sim_config driven;

static int start_scheduler(const struct sim_config *config)
{
    struct sched_tunables t = SCHED_TUNABLES_DEFAULT;

    t.slice = config->slice;
    if (config->rate_limit != SIM_RATE_LIMIT_OWN)
        t.rate_limit = config->rate_limit;
    t.span = config->span;
    t.exclusive = config->exclusive;
    if (sched_init(config->policy) || sched_tune(sched_pool(0), &t))
        return refuse_config("the scheduler does not start");
    if (config != &driven)
        sched_seed(config->seed);
    return 0;
}

void sim_model_cpu_comes(unsigned cpu)
{
    struct vcpu *idle = &idle_vcpus[cpu];

    sim.cpus[cpu] = (struct sim_cpu){.deadline = SIM_NEVER, .rate = 65536, .since = sim_now};
    timer_init_cpu(cpu);
    idle->is_idle = true;
    idle->domain = &idle_domain;
    idle->processor = cpu;
    sim_current[cpu] = idle;
    if (sched_vcpu_create(idle))
        abort();
    sim.nr_idle++;
}

static void start_cpus(void)
{
    for (sim_cpu = 0; sim_cpu < sim.nr_cpus; sim_cpu++)
        sim_model_cpu_comes(sim_cpu);
    sim_cpu = 0;
}

static int start_trace(const struct sim_config *config)
{
    struct trace_config t = {.nr_cpus = config->cpus,
                             .mask = TRACE_CLASS_SCHED,
                             .classes = TRACE_CLASSES,
                             .tsc_hz = 1000000000,
                             .tsc_source = TRACE_TSC_GIVEN,
                             .clock_mode = TRACE_CLOCK_SIMULATED};

    if (!config->trace)
        return 0;
    if (trace_region_init(config->trace, config->trace_size, &t))
        return refuse_config("the memory for the trace is too small for so many pcpus");
    for (unsigned cpu = 0; cpu < config->cpus; cpu++)
        trace_ring_attach(&sim_rings[cpu], config->trace, cpu, TRACE_RING_NORMAL, t.mask);
    return 0;
}

static struct cpumask affinity_of(const struct sim_load *l)
{
    struct cpumask mask = CPUMASK_NONE;

    for (int cpu = l->first_cpu; cpu >= 0 && cpu <= l->last_cpu; cpu++)
        cpumask_set(&mask, cpu);
    return mask;
}

static int start_domain(struct sim_domain *d, unsigned index, struct sim_vcpu *vcpus)
{
    const struct sim_load *l = d->load;
    struct cpumask affinity = affinity_of(l);

    d->index = index;
    d->vcpus = vcpus;
    d->nr_vcpus = l->vcpus;
    d->random = sim_random_stream(sim.config->seed, (u64)index << 8 | 0xff);
    d->hv.id = index + 1;
    d->hv.max_vcpus = l->vcpus;
    d->hv.weight = l->weight ? l->weight : SCHED_WEIGHT_NORMAL;
    d->hv.cap = l->cap;
    for (unsigned i = 0; i < l->vcpus; i++) {
        struct sim_vcpu *v = &vcpus[i];

        v->dom = d;
        v->load = l;
        v->load_result = d->load_result;
        v->last_cpu = SIM_NO_CPU;
        v->woke = SIM_NEVER;
        v->random = sim_random_stream(sim.config->seed, (u64)index << 8 | i);
        v->hv.domain = &d->hv;
        v->hv.id = i;
        v->hv.arch.index = (u32)(v - sim.vcpus);
        v->hv.pause_flags = VPF_BLOCKED;
        d->hv.vcpu[i] = &v->hv;
        if (sched_vcpu_create(&v->hv) || (l->first_cpu >= 0 && sched_set_affinity_mask(&v->hv, &affinity)))
            return refuse_config("the scheduler does not take a vCPU");
    }
    return 0;
}

static int start_domains(struct sim_result *result)
{
    struct sim_vcpu *vcpu = sim.vcpus;
    unsigned index = 0;

    for (unsigned i = 0; i < sim.config->nr_loads; i++) {
        for (unsigned k = 0; k < sim.config->loads[i].domains; k++, index++) {
            struct sim_domain *d = &sim.domains[index];

            d->load = &sim.config->loads[i];
            d->load_result = &result->loads[i];
            result->domains[index].load = i;
            result->domains[index].index = k;
            if (start_domain(d, index, vcpu) < 0)
                return -1;
            vcpu += d->nr_vcpus;
        }
    }
    for (unsigned i = 0; i < sim.nr_domains; i++)
        for (unsigned k = 0; k < sim.nr_domains && *sim.domains[i].load->via && !sim.domains[i].via; k++)
            if (!strcmp(sim.domains[k].load->name, sim.domains[i].load->via))
                sim.domains[i].via = &sim.domains[k];
    return 0;
}

static void stop(void)
{
    for (unsigned i = 0; i < sim.nr_vcpus && sim.vcpus; i++) {
        struct vcpu *v = &sim.vcpus[i].hv;

        if (!v->unit)
            continue;
        __atomic_fetch_or(&v->pause_flags, VPF_DOWN, __ATOMIC_SEQ_CST);
        sim_cpu = v->processor;
        sched_sleep(v);
    }
    while (sim_next_raised())
        sched_run();
    for (unsigned i = 0; i < sim.nr_vcpus && sim.vcpus; i++)
        sched_vcpu_destroy(&sim.vcpus[i].hv);
    for (unsigned i = 0; i < sim.nr_domains && sim.domains; i++)
        free(sim.domains[i].queue);
    free(sim.cpus);
    free(sim.raised);
    free(sim.vcpus);
    free(sim.domains);
    sim_fluid_free();
    free(sim.queue.node);
    free(sim_current);
    free(sim_rings);
    free(idle_vcpus);
}

/* ---- the result ---- */

/* Idle time that the scheduler says to have forced, on all pcpus. */
static u64 forced_claimed(void)
{
    u64 sum = 0;

    for (unsigned cpu = 0; cpu < sim.nr_cpus; cpu++)
        sum += sched_forced_idle(cpu);
    return sum;
}

/* What came before does not count. */
static void reset_statistics(struct sim_result *result)
{
    sim_settle_all();
    sim.accounted = sim_now;
    sim.forced_before = forced_claimed();
    sim.idle_while_waiting = sim.forced_idle = sim.corun_same = sim.corun_other = sim.overhead = 0;
    sim.decisions = sim.switches = sim.migrations = sim.far_migrations = sim.wakes = sim.events = sim.dropped = 0;
    for (unsigned i = 0; i < sim.nr_domains; i++) {
        sim.domains[i].work_before = sim.domains[i].work;
        sim.domains[i].used = sim.domains[i].work = 0;
    }
    for (unsigned i = 0; i < sim.config->nr_loads; i++)
        memset(&result->loads[i], 0, sizeof(result->loads[i]));
    sim_fluid_reset();
}

static void collect_domains(struct sim_result *result, double length)
{
    double weight = 0;

    sim_fluid_feasible(result);
    for (unsigned i = 0; i < sim.nr_domains; i++)
        weight += sim.domains[i].hv.weight;
    for (unsigned i = 0; i < sim.nr_domains; i++) {
        const struct sim_domain *d = &sim.domains[i];
        struct sim_domain_result *r = &result->domains[i];

        r->asked = sim.nr_cpus * d->hv.weight / weight;
        r->got = d->used / length;
        r->work = d->work / 65536.0 / length;
        r->behind = sim.config->fluid ? d->behind : NAN;
        r->ahead = sim.config->fluid ? d->ahead : NAN;
        result->loads[r->load].got += r->got;
        result->loads[r->load].work += r->work;
        result->busy += r->got / sim.nr_cpus;
        result->work += r->work;
    }
}

static void collect_runstates(struct sim_result *result)
{
    for (unsigned i = 0; i < sim.nr_vcpus; i++) {
        struct vcpu_runstate_info r;

        sched_get_runstate(&sim.vcpus[i].hv, &r);
        result->runstates[i] = (struct sim_runstate){.domid = sim.vcpus[i].dom->hv.id,
                                                     .vcpu_id = sim.vcpus[i].hv.id,
                                                     .running = r.time[RUNSTATE_running],
                                                     .runnable = r.time[RUNSTATE_runnable],
                                                     .blocked = r.time[RUNSTATE_blocked],
                                                     .offline = r.time[RUNSTATE_offline]};
    }
}

static void collect(struct sim_result *result, double host_seconds)
{
    double length = sim.config->length, all = length * sim.nr_cpus;

    sim_settle_all();
    result->seconds = length * 1e-9;
    result->host_seconds = host_seconds;
    result->decisions = sim.decisions;
    result->switches = sim.switches;
    result->migrations = sim.migrations;
    result->far_migrations = sim.far_migrations;
    result->wakes = sim.wakes;
    result->events = sim.events;
    result->dropped = sim.dropped;
    result->overhead = sim.overhead / 65536.0 / all;
    result->idle_while_waiting = sim.idle_while_waiting / all;
    result->forced_idle = sim.forced_idle / all;
    result->forced_counted = sim.forced_idle;
    result->forced_claimed = forced_claimed() - sim.forced_before;
    result->corun_same = sim.corun_same / (all / sim.threads);
    result->corun_other = sim.corun_other / (all / sim.threads);
    collect_domains(result, length);
    collect_runstates(result);
}

static int run_to_end(const struct sim_config *config, struct sim_result *result)
{
    double began;

    if (start_trace(config) < 0)
        return -1;
    for (unsigned i = 0; i < sim.nr_domains; i++)
        sim_load_start(&sim.domains[i]);
    sim_run_until(sim_now + config->warmup);
    reset_statistics(result);
    began = cpu_seconds();
    sim_run_until(sim_now + config->length);
    collect(result, cpu_seconds() - began);
    for (unsigned cpu = 0; cpu < config->cpus; cpu++)
        sim_rings[cpu].mask = 0; /* what is taken down is no part of the run */
    if (config->trace)
        trace_region_finish(config->trace);
    return 0;
}

int sim_run(const struct sim_config *config, const struct sim_observer *observer, struct sim_result *result)
{
    int status = -1;

    memset(result, 0, sizeof(*result));
    if (check(config) < 0)
        return -1;
    if (allocate(config) == 0) {
        sim.config = config;
        sim.observer = observer;
        sim_now = SECONDS(1);
        result->nr_loads = config->nr_loads;
        result->nr_domains = sim.nr_domains;
        result->loads = calloc(config->nr_loads, sizeof(*result->loads));
        result->domains = calloc(sim.nr_domains, sizeof(*result->domains));
        result->nr_vcpus = sim.nr_vcpus;
        result->runstates = calloc(sim.nr_vcpus, sizeof(*result->runstates));
        if (result->loads && result->domains && result->runstates && start_scheduler(config) == 0) {
            start_cpus();
            if (start_domains(result) == 0)
                status = run_to_end(config, result);
            sim.observer = NULL;
        }
    }
    stop();
    if (status < 0)
        sim_result_free(result);
    return status;
}

void sim_result_free(struct sim_result *result)
{
    free(result->loads);
    free(result->domains);
    free(result->runstates);
    memset(result, 0, sizeof(*result));
}

/* ---- a machine that is driven from outside (replay) ---- */

/* One domain of one load for each domain of the trace; all vCPUs down, the scheduler not told of them yet. */
static void make_driven(const struct sim_load *load, const struct sim_replay_vcpu *vcpus, unsigned nr)
{
    struct sim_domain *d = NULL;

    for (unsigned i = 0, index = 0; i < nr; i++) {
        struct sim_vcpu *v = &sim.vcpus[i];

        if (!i || vcpus[i].domid != vcpus[i - 1].domid) {
            d = &sim.domains[index++];
            d->load = load;
            d->vcpus = v;
            d->hv.id = vcpus[i].domid;
            d->hv.weight = vcpus[i].weight;
            d->hv.cap = vcpus[i].cap;
        }
        d->nr_vcpus++;
        d->hv.max_vcpus = d->nr_vcpus;
        d->hv.vcpu[vcpus[i].id] = &v->hv;
        v->dom = d;
        v->load = load;
        v->left = SIM_FOREVER;
        v->last_cpu = SIM_NO_CPU;
        v->woke = SIM_NEVER;
        v->hv.domain = &d->hv;
        v->hv.id = vcpus[i].id;
        v->hv.arch.index = i;
        v->hv.pause_flags = VPF_DOWN;
    }
}

int sim_model_begin(const struct sim_replay_input *input)
{
    static struct sim_load load;

    driven = *input->config;
    driven.fluid = false;
    load = (struct sim_load){.kind = SIM_HOG, .domains = input->nr_vcpus, .vcpus = 1, .first_cpu = -1};
    driven.loads = &load;
    driven.nr_loads = 1;
    if (check(&driven) < 0)
        return -1;
    sim_now = input->begin;
    if (allocate(&driven) == 0) {
        sim.config = &driven;
        sim.placed = input->cpus;
        if (start_scheduler(&driven) == 0) {
            sim_replay_makes_pools();
            if (!sim.placed) /* else they come as the trace says */
                start_cpus();
            make_driven(&load, input->vcpus, input->nr_vcpus);
            return 0;
        }
    }
    stop();
    return -1;
}

void sim_model_end(void)
{
    stop();
}

/* SPDX-License-Identifier: MIT */
/* The half of lag.h that reads the trace: when vCPUs wanted to run, and ran. */
#include "sim/lag.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/replay.h"
#include "trace/reader.h"

#define DOMAINS  65536u
#define NOTHING  SIZE_MAX

struct of_vcpu {
    const struct trace_event *event;
    const struct trace_field *dom, *vcpu;
};

struct lag_vcpu {
    bool wants, runs;
    uint64_t since; /* it came to its processor, or the window began */
    size_t burst;   /* its last event WANTS; NOTHING: before the window, or after it */
};

struct follower {
    const struct trace_log *log;
    struct of_vcpu wake, block, prev, next, told;
    const struct trace_field *what, *value;
    uint64_t from, to;
    bool begun, pools;
    unsigned cpus;
    struct lag_vcpu *vcpus[DOMAINS]; /* by domain: its SIM_VCPUS_MAX; NULL: not heard of */
    uint32_t index[DOMAINS];         /* in the lag's domains */
    unsigned weight[DOMAINS], cap[DOMAINS];
    struct sim_lag_event *events;
    size_t nr, room;
};

static bool find(struct of_vcpu *f, const struct trace_schema *schema, const char *event, const char *dom, const char *vcpu)
{
    f->event = trace_schema_event(schema, event);
    f->dom = f->event ? trace_event_field(f->event, dom) : NULL;
    f->vcpu = f->event ? trace_event_field(f->event, vcpu) : NULL;
    return f->dom && f->vcpu;
}

static uint64_t ns_of(const struct follower *f, uint64_t time)
{
    uint64_t hz = f->log->head.tsc_hz ? f->log->head.tsc_hz : 1000000000;

    return (uint64_t)((__uint128_t)time * 1000000000 / hz);
}

/* An event of the window; its subject is a domain's number, or that of processors. @return its index, or NOTHING */
static size_t note(struct follower *f, uint64_t at, enum sim_lag_kind kind, uint32_t subject)
{
    if (!f->begun || at > f->to)
        return NOTHING;
    if (f->nr == f->room) {
        f->room = f->room ? 2 * f->room : 4096;
        f->events = realloc(f->events, f->room * sizeof *f->events);
        if (!f->events)
            abort();
    }
    f->events[f->nr] = (struct sim_lag_event){.at = at, .subject = subject, .kind = kind};
    return f->nr++;
}

static struct lag_vcpu *vcpu_of(struct follower *f, const struct of_vcpu *of, const void *record, uint32_t *domain)
{
    uint32_t id = trace_field_value(of->vcpu, record) & (SIM_VCPUS_MAX - 1);

    *domain = trace_field_value(of->dom, record) & (DOMAINS - 1);
    if (*domain == TRACE_DOMID_IDLE)
        return NULL;
    if (!f->vcpus[*domain]) {
        f->vcpus[*domain] = calloc(SIM_VCPUS_MAX, sizeof(struct lag_vcpu));
        if (!f->vcpus[*domain])
            abort();
        for (unsigned i = 0; i < SIM_VCPUS_MAX; i++)
            f->vcpus[*domain][i].burst = NOTHING;
    }
    return &f->vcpus[*domain][id];
}

/* ---- the records ---- */

static void wants(struct follower *f, struct lag_vcpu *v, uint32_t domain, uint64_t now)
{
    if (v->wants)
        return;
    v->wants = true;
    v->burst = note(f, now, SIM_LAG_WANTS, domain);
}

static void runs(struct follower *f, struct lag_vcpu *v, uint32_t domain, uint64_t now)
{
    wants(f, v, domain, now);
    v->runs = true;
    v->since = now;
    (void)note(f, now, SIM_LAG_RUNS, domain);
}

static void stops(struct follower *f, struct lag_vcpu *v, uint32_t domain, uint64_t now)
{
    if (v->burst != NOTHING)
        f->events[v->burst].work += now - v->since;
    v->runs = false;
    (void)note(f, now, SIM_LAG_STOPS, domain);
}

static void told(struct follower *f, const void *record, uint64_t now)
{
    const char *what = trace_label(f->what->enumeration, trace_field_value(f->what, record));
    uint32_t domain = trace_field_value(f->told.dom, record) & (DOMAINS - 1);
    uint64_t value = trace_field_value(f->value, record);

    if (!what)
        return;
    if (!strcmp(what, "params") && !f->begun) {
        f->weight[domain] = value & 0xffff;
        f->cap[domain] = value >> 16 & 0xffff;
    } else if (!strcmp(what, "claims") || !strcmp(what, "created")) {
        f->pools = true;
    } else if (!strcmp(what, "cpu") || !strcmp(what, "up")) {
        (void)note(f, now, SIM_LAG_CPUS, ++f->cpus);
    } else if (!strcmp(what, "down")) {
        (void)note(f, now, SIM_LAG_CPUS, --f->cpus);
    }
}

static void take(struct follower *f, const struct trace_item *item, uint64_t now)
{
    struct lag_vcpu *v;
    uint32_t domain;

    if (item->event == f->wake.event) {
        if ((v = vcpu_of(f, &f->wake, item->record, &domain)))
            wants(f, v, domain, now);
    } else if (item->event == f->block.event) {
        v = vcpu_of(f, &f->block, item->record, &domain);
        if (v && v->wants)
            (void)note(f, now, SIM_LAG_RESTS, domain);
        if (v)
            v->wants = false;
    } else if (item->event == f->prev.event) {
        v = vcpu_of(f, &f->prev, item->record, &domain);
        if (v && v->runs)
            stops(f, v, domain, now);
        if ((v = vcpu_of(f, &f->next, item->record, &domain)))
            runs(f, v, domain, now);
    } else if (item->event == f->told.event) {
        told(f, item->record, now);
    }
}

/* The window begins: who wants to run, and runs. */
static void begin(struct follower *f, struct sim_lags *lag)
{
    f->begun = true;
    lag->cpus = f->cpus;
    for (uint32_t d = 0; d < DOMAINS; d++) {
        for (unsigned i = 0; i < SIM_VCPUS_MAX && f->vcpus[d]; i++) {
            struct lag_vcpu *v = &f->vcpus[d][i];

            if (v->wants || v->runs)
                v->burst = note(f, f->from, SIM_LAG_WANTS, d);
            if (v->runs) {
                v->since = f->from;
                (void)note(f, f->from, SIM_LAG_RUNS, d);
            }
            if (v->runs && !v->wants)
                (void)note(f, f->from, SIM_LAG_RESTS, d);
        }
    }
}

/* ---- the whole ---- */

/* The domains, and the events in their terms; bursts that did not end have no end. */
static int make_domains(struct follower *f, const struct sim_replay_domain *given, unsigned nr_given, struct sim_lags *lag)
{
    for (uint32_t d = 0; d < DOMAINS; d++)
        lag->nr_domains += f->vcpus[d] != NULL;
    lag->domains = calloc(lag->nr_domains + 1, sizeof *lag->domains);
    if (!lag->domains)
        return -1;
    lag->nr_domains = 0;
    for (uint32_t d = 0; d < DOMAINS; d++) {
        struct sim_lag_domain *domain = &lag->domains[lag->nr_domains];

        if (!f->vcpus[d])
            continue;
        *domain = (struct sim_lag_domain){.domid = d, .weight = f->weight[d] ? f->weight[d] : 256, .cap = f->cap[d]};
        for (unsigned k = 0; k < nr_given; k++) {
            if (given[k].domid == d) {
                domain->weight = given[k].weight;
                domain->cap = given[k].cap;
            }
        }
        for (unsigned i = 0; i < SIM_VCPUS_MAX; i++)
            if (f->vcpus[d][i].wants && f->vcpus[d][i].burst != NOTHING)
                f->events[f->vcpus[d][i].burst].work = INFINITY;
        f->index[d] = lag->nr_domains++;
    }
    for (size_t i = 0; i < f->nr; i++)
        if (f->events[i].kind != SIM_LAG_CPUS)
            f->events[i].subject = f->index[f->events[i].subject];
    return 0;
}

static bool find_fields(struct follower *f)
{
    const struct trace_schema *schema = f->log->schema;

    return find(&f->wake, schema, "sched_wake", "domid", "vcpu_id") && find(&f->block, schema, "sched_block", "domid", "vcpu_id") &&
           find(&f->prev, schema, "sched_switch", "prev_domid", "prev_vcpu_id") &&
           find(&f->next, schema, "sched_switch", "next_domid", "next_vcpu_id") && find(&f->told, schema, "sched_told", "domid", "vcpu_id") &&
           (f->what = trace_event_field(f->told.event, "what")) && (f->value = trace_event_field(f->told.event, "value"));
}

/* All records in the order of time. @return the last one's time */
static uint64_t read_all(struct follower *f, struct sim_lags *lag)
{
    const struct trace_stream *stream;
    const struct trace_item *item;
    struct trace_merge merge;
    uint64_t now = 0;

    trace_merge_begin(&merge, f->log);
    while ((item = trace_merge_next(&merge, &stream))) {
        uint64_t before = now;

        now = ns_of(f, item->time);
        if (!before && f->from < now)
            f->from = now;
        if (!f->cpus && item->event == f->wake.event)
            f->cpus = f->log->head.nr_cpus; /* which do not come: the simulator's */
        if (!f->begun && now >= f->from && f->cpus)
            begin(f, lag);
        take(f, item, now);
    }
    trace_merge_end(&merge);
    return now;
}

int sim_lag_read(const char *path, uint64_t from, uint64_t to, const struct sim_replay_domain *given, unsigned nr_given, struct sim_lags *lag)
{
    struct trace_log *log = trace_log_open(path);
    struct follower *f = calloc(1, sizeof *f);
    int status = -1;

    memset(lag, 0, sizeof *lag);
    if (log && f) {
        *f = (struct follower){.log = log, .from = from, .to = to};
        if (log->lost)
            fprintf(stderr, "parangon: %s: records are lost\n", path);
        else if (!find_fields(f))
            fprintf(stderr, "parangon: %s: no scheduler records that are known here\n", path);
        else {
            uint64_t last = read_all(f, lag);

            f->to = to < last ? to : last;
            if (f->pools)
                fprintf(stderr, "parangon: %s: of several pools, which share no processors\n", path);
            else if (!f->begun || f->from >= f->to || make_domains(f, given, nr_given, lag) < 0 || !lag->nr_domains)
                fprintf(stderr, "parangon: %s: nothing in this window\n", path);
            else
                status = sim_lag_follow(lag, f->events, f->nr, f->from, f->to);
            lag->seconds = (f->to - f->from) * 1e-9;
        }
        for (uint32_t d = 0; d < DOMAINS; d++)
            free(f->vcpus[d]);
        free(f->events);
    }
    free(f);
    if (log)
        trace_log_close(log);
    if (status < 0)
        sim_lag_free(lag);
    return status;
}

void sim_lag_free(struct sim_lags *lag)
{
    free(lag->domains);
    lag->domains = NULL;
}

/* SPDX-License-Identifier: MIT */
/* Who ran where, made from the records and printed: see who.h. Drawing: who_draw.c. */
#include "trace/who.h"

#include <err.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define NOWHERE  UINT32_MAX
#define NO_VCPU  UINT32_MAX
#define NO_TIME  UINT64_MAX
#define IDS      65536u

/* The fields that are read, by event; NULL where the trace lacks one. */
struct layout {
    const struct trace_event *sw, *wake, *block, *migrate;
    const struct trace_field *sw_prev_dom, *sw_prev_vcpu, *sw_prev_state, *sw_next_dom, *sw_next_vcpu;
    const struct trace_field *wake_dom, *wake_vcpu, *block_dom, *block_vcpu, *block_why;
};

struct maker {
    struct who *who;
    struct layout at;
    uint32_t *index;     /* of a vCPU: domid * 256 + id, or NO_VCPU */
    struct {
        uint32_t vcpu;
        uint64_t since;
    } *cpu;
};

static void *grow(void *array, size_t nr, size_t size)
{
    if (nr && (nr < 64 || (nr & (nr - 1))))
        return array;
    array = realloc(array, (nr ? 2 * nr : 64) * size);
    if (!array)
        err(4, "trace");
    return array;
}

static bool find_layout(struct layout *at, const struct trace_schema *schema)
{
    at->sw = trace_schema_event(schema, "sched_switch");
    at->wake = trace_schema_event(schema, "sched_wake");
    at->block = trace_schema_event(schema, "sched_block");
    if (!at->sw || !at->wake || !at->block)
        return false;
    at->sw_prev_dom = trace_event_field(at->sw, "prev_domid");
    at->sw_prev_vcpu = trace_event_field(at->sw, "prev_vcpu_id");
    at->sw_prev_state = trace_event_field(at->sw, "prev_state");
    at->sw_next_dom = trace_event_field(at->sw, "next_domid");
    at->sw_next_vcpu = trace_event_field(at->sw, "next_vcpu_id");
    at->wake_dom = trace_event_field(at->wake, "domid");
    at->wake_vcpu = trace_event_field(at->wake, "vcpu_id");
    at->block_dom = trace_event_field(at->block, "domid");
    at->block_vcpu = trace_event_field(at->block, "vcpu_id");
    at->block_why = trace_event_field(at->block, "why");
    return at->sw_prev_dom && at->sw_prev_vcpu && at->sw_prev_state && at->sw_prev_state->enumeration && at->sw_next_dom &&
           at->sw_next_vcpu && at->wake_dom && at->wake_vcpu && at->block_dom && at->block_vcpu && at->block_why &&
           at->block_why->enumeration;
}

/* The vCPU of two fields, made at its first record; NO_VCPU for an idle one. */
static uint32_t vcpu_of(struct maker *m, const void *record, const struct trace_field *dom, const struct trace_field *id,
                        uint64_t time)
{
    struct who *who = m->who;
    uint32_t domid = trace_field_value(dom, record) & 0xffff, number = trace_field_value(id, record) & 0xff;
    uint32_t *index = &m->index[domid * 256 + number];

    if (domid == TRACE_DOMID_IDLE)
        return NO_VCPU;
    if (*index == NO_VCPU) {
        who->vcpus = grow(who->vcpus, who->nr_vcpus, sizeof *who->vcpus);
        *index = who->nr_vcpus++;
        who->vcpus[*index] = (struct who_vcpu){.domid = domid, .id = number, .state = WHO_OFFLINE, .since = time, .woke = NO_TIME,
                                               .woke_early = NO_TIME, .cpu = NOWHERE, .last_cpu = NOWHERE};
    }
    return *index;
}

static void set_state(struct maker *m, uint32_t index, enum who_state state, uint64_t time)
{
    struct who *who = m->who;
    struct who_vcpu *v = &who->vcpus[index];

    if (time > v->since) {
        v->time[v->state] += time - v->since;
        if (v->state == WHO_WAITING) {
            who->waits = grow(who->waits, who->nr_waits, sizeof *who->waits);
            who->waits[who->nr_waits++] = (struct who_wait){v->since, time, index};
        }
        v->since = time;
    }
    v->state = state;
}

/* ---- the records ---- */

static void woken(struct maker *m, const struct trace_item *item)
{
    uint32_t index = vcpu_of(m, item->record, m->at.wake_dom, m->at.wake_vcpu, item->time);
    struct who_vcpu *v;

    if (index == NO_VCPU)
        return;
    v = &m->who->vcpus[index];
    v->wakes++;
    v->woke = item->time;
    if (v->state == WHO_RUNNING)
        v->woke_early = item->time;
    else
        set_state(m, index, WHO_WAITING, item->time);
}

static enum who_state asleep(const struct layout *at, const void *record)
{
    const char *why = trace_label(at->block_why->enumeration, trace_field_value(at->block_why, record));

    return why && (!strcmp(why, "block") || !strcmp(why, "poll")) ? WHO_BLOCKED : WHO_OFFLINE;
}

/* One that runs is told of by the switch that follows. */
static void blocked(struct maker *m, const struct trace_item *item)
{
    uint32_t index = vcpu_of(m, item->record, m->at.block_dom, m->at.block_vcpu, item->time);

    if (index != NO_VCPU && m->who->vcpus[index].state != WHO_RUNNING)
        set_state(m, index, asleep(&m->at, item->record), item->time);
}

static void leaves(struct maker *m, uint32_t cpu, const struct trace_item *item)
{
    struct who *who = m->who;
    uint32_t index = vcpu_of(m, item->record, m->at.sw_prev_dom, m->at.sw_prev_vcpu, item->time);
    const char *label =
        trace_label(m->at.sw_prev_state->enumeration, trace_field_value(m->at.sw_prev_state, item->record));
    struct who_vcpu *v;

    if (m->cpu[cpu].vcpu != NO_VCPU && item->time > m->cpu[cpu].since) {
        who->runs = grow(who->runs, who->nr_runs, sizeof *who->runs);
        who->runs[who->nr_runs++] = (struct who_run){m->cpu[cpu].since, item->time, cpu, m->cpu[cpu].vcpu};
    }
    m->cpu[cpu].vcpu = NO_VCPU;
    if (index == NO_VCPU)
        return;
    v = &who->vcpus[index];
    if (v->cpu != cpu && v->cpu != NOWHERE)
        return; /* it runs elsewhere already, by a record of the same time */
    v->cpu = NOWHERE;
    if (label && !strcmp(label, "runnable"))
        set_state(m, index, WHO_WAITING, item->time);
    else if (v->woke_early == item->time)
        set_state(m, index, WHO_WAITING, item->time);
    else
        set_state(m, index, label && !strcmp(label, "blocked") ? WHO_BLOCKED : WHO_OFFLINE, item->time);
}

static void comes(struct maker *m, uint32_t cpu, const struct trace_item *item)
{
    struct who *who = m->who;
    uint32_t index = vcpu_of(m, item->record, m->at.sw_next_dom, m->at.sw_next_vcpu, item->time);
    struct who_vcpu *v;

    if (index == NO_VCPU)
        return;
    m->cpu[cpu].vcpu = index;
    m->cpu[cpu].since = item->time;
    set_state(m, index, WHO_RUNNING, item->time);
    v = &who->vcpus[index];
    v->runs++;
    v->migrations += v->last_cpu != NOWHERE && v->last_cpu != cpu;
    v->cpu = v->last_cpu = cpu;
    v->woke_early = NO_TIME;
    if (v->woke == NO_TIME)
        return;
    v->latencies = grow(v->latencies, v->nr_latencies, sizeof *v->latencies);
    v->latencies[v->nr_latencies++] = item->time - v->woke;
    v->woke = NO_TIME;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* Put the vCPUs into the order of their names; runs and waits follow. */
static void sort_vcpus(struct maker *m)
{
    struct who *who = m->who;
    uint32_t *place = calloc(who->nr_vcpus + 1, sizeof *place), n = 0;
    struct who_vcpu *sorted = calloc(who->nr_vcpus + 1, sizeof *sorted);

    if (!place || !sorted)
        err(4, "trace");
    for (uint32_t name = 0; name < IDS * 256; name++) {
        if (m->index[name] == NO_VCPU)
            continue;
        sorted[n] = who->vcpus[m->index[name]];
        place[m->index[name]] = n++;
    }
    free(who->vcpus);
    who->vcpus = sorted;
    for (size_t i = 0; i < who->nr_runs; i++)
        who->runs[i].vcpu = place[who->runs[i].vcpu];
    for (size_t i = 0; i < who->nr_waits; i++)
        who->waits[i].vcpu = place[who->waits[i].vcpu];
    free(place);
}

static void finish(struct maker *m)
{
    struct who *who = m->who;

    for (uint32_t cpu = 0; cpu < who->nr_cpus; cpu++) {
        if (m->cpu[cpu].vcpu == NO_VCPU || who->last <= m->cpu[cpu].since)
            continue;
        who->runs = grow(who->runs, who->nr_runs, sizeof *who->runs);
        who->runs[who->nr_runs++] = (struct who_run){m->cpu[cpu].since, who->last, cpu, m->cpu[cpu].vcpu};
    }
    for (uint32_t i = 0; i < who->nr_vcpus; i++) {
        set_state(m, i, who->vcpus[i].state, who->last);
        qsort(who->vcpus[i].latencies, who->vcpus[i].nr_latencies, sizeof(uint64_t), compare_u64);
    }
    sort_vcpus(m);
}

int trace_who(struct who *who, const struct trace_log *log)
{
    struct maker m = {.who = who};
    const struct trace_stream *stream;
    const struct trace_item *item;
    struct trace_merge merge;
    bool any = false;

    *who = (struct who){.nr_cpus = log->head.nr_cpus, .tsc_hz = log->head.tsc_hz};
    if (!find_layout(&m.at, log->schema)) {
        warnx("this trace's description of the scheduler's records is not one that is known here");
        return -1;
    }
    for (size_t i = 0; i < log->nr_streams; i++)
        if (log->streams[i].cpu >= who->nr_cpus)
            who->nr_cpus = log->streams[i].cpu + 1;
    m.index = malloc(IDS * 256 * sizeof *m.index);
    m.cpu = calloc(who->nr_cpus + 1, sizeof *m.cpu);
    if (!m.index || !m.cpu)
        err(4, "trace");
    memset(m.index, 0xff, IDS * 256 * sizeof *m.index);
    for (uint32_t cpu = 0; cpu < who->nr_cpus; cpu++)
        m.cpu[cpu].vcpu = NO_VCPU;
    trace_merge_begin(&merge, log);
    while ((item = trace_merge_next(&merge, &stream))) {
        if (!any)
            who->first = item->time;
        any = true;
        who->last = item->time > who->last ? item->time : who->last;
        if (item->event == m.at.wake) {
            woken(&m, item);
        } else if (item->event == m.at.block) {
            blocked(&m, item);
        } else if (item->event == m.at.sw) {
            leaves(&m, stream->cpu, item);
            comes(&m, stream->cpu, item);
        }
    }
    trace_merge_end(&merge);
    finish(&m);
    free(m.index);
    free(m.cpu);
    if (who->nr_vcpus)
        return 0;
    warnx("no scheduler records in this trace: was their class on?");
    trace_who_free(who);
    return -1;
}

void trace_who_free(struct who *who)
{
    for (size_t i = 0; i < who->nr_vcpus; i++)
        free(who->vcpus[i].latencies);
    free(who->vcpus);
    free(who->runs);
    free(who->waits);
    *who = (struct who){0};
}

/* ---- printed ---- */

/* The smallest latency that a share p does not exceed; NO_TIME where there is none. */
static uint64_t percentile(const struct who_vcpu *v, double p)
{
    size_t rank = (size_t)(p * v->nr_latencies);

    if (!v->nr_latencies)
        return NO_TIME;
    return v->latencies[rank < v->nr_latencies ? rank : v->nr_latencies - 1];
}

static void print_us(FILE *out, const struct who *who, uint64_t ticks)
{
    if (ticks == NO_TIME)
        fprintf(out, " %11s", "-");
    else
        fprintf(out, " %11.1f", ticks * 1e6 / who->tsc_hz);
}

void trace_who_print(FILE *out, const struct who *who)
{
    struct who scaled = *who;

    if (!scaled.tsc_hz)
        scaled.tsc_hz = 1000000000;
    fprintf(out, "%-10s %9s %9s %9s %9s %9s | %8s %8s %6s | %11s %11s %11s %11s\n", "", "run", "wait", "blocked", "offline", "stolen", "",
            "", "", "to running", "", "", "");
    fprintf(out, "%-10s %9s %9s %9s %9s %9s | %8s %8s %6s | %11s %11s %11s %11s\n", "vCPU", "%", "%", "%", "%", "%", "wakes", "runs",
            "moves", "p50 us", "p90 us", "p99 us", "max us");
    for (size_t i = 0; i < who->nr_vcpus; i++) {
        const struct who_vcpu *v = &who->vcpus[i];
        double all = 0;
        char name[16];

        for (int s = 0; s < WHO_STATES; s++)
            all += v->time[s];
        snprintf(name, sizeof name, "d%uv%u", v->domid, v->id);
        fprintf(out, "%-10s", name);
        for (int s = 0; s < WHO_STATES; s++)
            fprintf(out, " %9.3f", all ? v->time[s] * 100 / all : 0);
        fprintf(out, " %9.3f | %8" PRIu64 " %8" PRIu64 " %6" PRIu64 " |",
                all ? (v->time[WHO_WAITING] + v->time[WHO_OFFLINE]) * 100 / all : 0, v->wakes, v->runs, v->migrations);
        print_us(out, &scaled, percentile(v, 0.50));
        print_us(out, &scaled, percentile(v, 0.90));
        print_us(out, &scaled, percentile(v, 0.99));
        print_us(out, &scaled, v->nr_latencies ? v->latencies[v->nr_latencies - 1] : NO_TIME);
        fputc('\n', out);
    }
    fprintf(out, "shares of the time from a vCPU's first record to the end; stolen: wait and offline, as a guest sees it\n");
}

static json_t *latency(const struct who_vcpu *v, double p)
{
    uint64_t ticks = percentile(v, p);

    return ticks == NO_TIME ? json_null() : json_integer((json_int_t)ticks);
}

void trace_who_json(FILE *out, const struct who *who)
{
    json_t *vcpus = json_array(), *all;

    for (size_t i = 0; i < who->nr_vcpus; i++) {
        const struct who_vcpu *v = &who->vcpus[i];

        json_array_append_new(
            vcpus, json_pack("{s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:{s:o, s:o, s:o, s:o}}", "domid", v->domid,
                             "vcpu_id", v->id, "run", (json_int_t)v->time[WHO_RUNNING], "wait", (json_int_t)v->time[WHO_WAITING],
                             "blocked", (json_int_t)v->time[WHO_BLOCKED], "offline", (json_int_t)v->time[WHO_OFFLINE], "stolen",
                             (json_int_t)(v->time[WHO_WAITING] + v->time[WHO_OFFLINE]), "wakes", (json_int_t)v->wakes, "runs",
                             (json_int_t)v->runs, "migrations", (json_int_t)v->migrations, "wake_to_run", "p50", latency(v, 0.50),
                             "p90", latency(v, 0.90), "p99", latency(v, 0.99), "max", latency(v, 1)));
    }
    all = json_pack("{s:s, s:I, s:i, s:I, s:I, s:o}", "schema", "parangon-trace-who-1", "tsc_hz", (json_int_t)who->tsc_hz, "cpus",
                    who->nr_cpus, "first", (json_int_t)who->first, "last", (json_int_t)who->last, "vcpus", vcpus);
    json_dumpf(all, out, JSON_INDENT(1));
    fputc('\n', out);
    json_decref(all);
}

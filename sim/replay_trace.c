/* SPDX-License-Identifier: MIT */
/* The half of a replay that reads the trace: see replay.h. */
#include "sim/replay.h"

#include <stdlib.h>
#include <string.h>

#include "sim/replay_steps.h"
#include "trace/reader.h"

/* An event's fields; NULL: it has none of this name. */
struct fields {
    const struct trace_event *event;
    const struct trace_field *dom, *vcpu, *a, *b, *now, *turn;
};

struct replay {
    const struct trace_log *log;
    struct fields of[SIM_REPLAY_KINDS];
    int64_t offset;                              /* ns: the recorded machine's system time less its time stamps */
    char policy[9];                              /* "": the trace does not say */
    int64_t made, cpu_comes, tuned, claims, has_policy; /* what sched_told says of a vCPU, of a processor, of pools */
    struct sim_replay_record tunables[SIM_POOLS_MAX]; /* that the pools began with, as far as the trace says */
    size_t nr_tunables;
    char pools[SIM_POOLS_MAX * 512];             /* besides pool 0: their processors and policies */
    struct sim_replay_vcpu *vcpus;
    unsigned nr_vcpus;
    uint32_t *index;  /* domid * 256 + vCPU */
    struct sim_replay_cpu cpus[SIM_CPUS_MAX];
    unsigned nr_cpus;                            /* that the trace tells of */
    struct sim_replay_record *records;
    size_t nr_records;
    uint64_t first;
};

static int64_t value(const struct trace_field *f, const void *record)
{
    return f ? (int64_t)trace_field_value(f, record) : 0;
}

/* The number of a label; -1: there is none. */
static int64_t number_of(const struct trace_enumeration *e, const char *label)
{
    for (size_t i = 0; e && i < e->nr_values; i++)
        if (!strcmp(e->values[i].label, label))
            return (int64_t)e->values[i].number;
    return -1;
}

/* What is known of the records here. False (said): a trace of another build, which lacks some. */
static bool find_fields(struct replay *r)
{
    for (unsigned k = 0; k < SIM_REPLAY_KINDS; k++) {
        const struct sim_replay_names *names = &sim_replay_names[k];
        struct fields *f = &r->of[k];

        f->event = trace_schema_event(r->log->schema, names->event);
        if (!f->event) {
            fprintf(stderr, "parangon: this trace cannot have records %s: it is of another build\n", names->event);
            return false;
        }
        f->dom = trace_event_field(f->event, "domid");
        f->vcpu = trace_event_field(f->event, "vcpu_id");
        f->a = names->a ? trace_event_field(f->event, names->a) : NULL;
        f->b = names->b ? trace_event_field(f->event, names->b) : NULL;
        f->now = trace_event_field(f->event, "now");
        f->turn = trace_event_field(f->event, "turn");
        if ((names->a && !f->a) || (names->b && !f->b) || (f->now && !f->turn)) {
            fprintf(stderr, "parangon: records %s of this trace are of another build\n", names->event);
            return false;
        }
    }
    r->made = number_of(r->of[SIM_REPLAY_TOLD].a->enumeration, "made");
    r->cpu_comes = number_of(r->of[SIM_REPLAY_TOLD].a->enumeration, "cpu");
    r->tuned = number_of(r->of[SIM_REPLAY_TOLD].a->enumeration, "tuned");
    r->claims = number_of(r->of[SIM_REPLAY_TOLD].a->enumeration, "claims");
    r->has_policy = number_of(r->of[SIM_REPLAY_TOLD].a->enumeration, "policy");
    return true;
}

static uint64_t ns_of(const struct replay *r, uint64_t time)
{
    uint64_t hz = r->log->head.tsc_hz ? r->log->head.tsc_hz : 1000000000;

    return (uint64_t)((__uint128_t)time * 1000000000 / hz) + (uint64_t)r->offset;
}

/* The policy, as the trace says. */
static void find_policy(struct replay *r)
{
    const struct trace_event *start = trace_schema_event(r->log->schema, "sched_start");
    const struct trace_field *policy = start ? trace_event_field(start, "policy") : NULL;

    for (size_t s = 0; s < r->log->nr_streams && policy; s++) {
        for (size_t i = 0; i < r->log->streams[s].nr_items && !*r->policy; i++) {
            uint64_t letters;

            if (r->log->streams[s].items[i].event != start)
                continue;
            letters = trace_field_value(policy, r->log->streams[s].items[i].record);
            memcpy(r->policy, &letters, sizeof letters);
        }
    }
}

/* The scheduler's clock: nothing is recorded before the time that it was done at, and something soon after. */
static void find_clock(struct replay *r)
{
    const struct trace_event *start = trace_schema_event(r->log->schema, "sched_start");
    const struct fields of[] = {r->of[SIM_REPLAY_TOLD],
                                {.event = start, .now = start ? trace_event_field(start, "system_time") : NULL}};
    int64_t least = INT64_MAX;

    for (size_t s = 0; s < r->log->nr_streams; s++) {
        for (size_t i = 0; i < r->log->streams[s].nr_items; i++) {
            const struct trace_item *item = &r->log->streams[s].items[i];

            for (unsigned k = 0; k < sizeof of / sizeof *of; k++) {
                int64_t late = (int64_t)ns_of(r, item->time) - value(of[k].now, item->record);

                if (of[k].now && item->event == of[k].event && late < least)
                    least = late;
            }
        }
    }
    r->offset = least == INT64_MAX ? 0 : -least;
}

/*
 * A time of which only the low 32 bits are recorded, at most 4 s before `at`: so long may a processor that is a thread of the host have
 * stood still between. It may be a little after `at`, by the two clocks' roundings.
 */
static uint64_t whole_time(uint64_t low, uint64_t at)
{
    const uint64_t latest = at + (1u << 28);

    return latest - ((latest - low) & 0xffffffff);
}

/* One record in numbers; its vCPU is not looked up yet. */
static struct sim_replay_record record_of(const struct replay *r, unsigned kind, unsigned cpu, const struct trace_item *item)
{
    const struct fields *f = &r->of[kind];
    struct sim_replay_record out = {.at = ns_of(r, item->time),
                                    .ticks = item->time,
                                    .vcpu = UINT32_MAX,
                                    .cpu = (uint16_t)cpu,
                                    .domid = (uint16_t)value(f->dom, item->record),
                                    .vcpu_id = (uint8_t)value(f->vcpu, item->record),
                                    .kind = (uint8_t)kind,
                                    .a = value(f->a, item->record),
                                    .b = value(f->b, item->record)};

    if (out.domid == TRACE_DOMID_IDLE && kind == SIM_REPLAY_PICK)
        out.vcpu_id = 0;
    out.now = (uint64_t)value(f->now, item->record);
    out.turn = (uint32_t)value(f->turn, item->record);
    if (kind == SIM_REPLAY_WAKE || kind == SIM_REPLAY_PICK)
        out.now = whole_time(out.now, out.at);
    return out;
}

/* A processor comes. */
static void note_cpu(struct replay *r, const struct sim_replay_record *told)
{
    uint64_t place = (uint64_t)told->b;

    r->cpus[told->vcpu_id] = (struct sim_replay_cpu){(uint16_t)place, (uint16_t)(place >> 16), (uint16_t)(place >> 32), (uint16_t)(place >> 48)};
    r->nr_cpus++;
}

/* A pool besides pool 0 is made, or what it has of processors or policy: "0,2-3:rr/". */
static void note_pool(struct replay *r, const struct sim_replay_record *told)
{
    size_t length = strlen(r->pools);

    for (unsigned cpu = 0; told->a == r->claims && cpu < 64; cpu++)
        if ((uint64_t)told->b >> cpu & 1)
            length += (size_t)snprintf(r->pools + length, sizeof r->pools - length, "%s%u", length && r->pools[length - 1] != '/' ? "," : "", cpu);
    if (told->a == r->has_policy)
        snprintf(r->pools + length, sizeof r->pools - length, ":%.8s/", (const char *)&told->b);
}

/* Does it say what the machine begins with? Then it is no operation of the replay. */
static bool of_beginning(struct replay *r, const struct sim_replay_record *record)
{
    if (record->kind != SIM_REPLAY_TOLD)
        return false;
    if (record->a == r->claims || record->a == r->has_policy)
        note_pool(r, record);
    else if (record->a == r->tuned && !r->nr_cpus && r->nr_tunables < SIM_POOLS_MAX)
        r->tunables[r->nr_tunables++] = *record;
    else
        return false;
    return true;
}

static bool means_vcpu(const struct replay *r, const struct sim_replay_record *record)
{
    return r->of[record->kind].dom && record->domid != TRACE_DOMID_IDLE && !(record->kind == SIM_REPLAY_TOLD && record->a == r->tuned);
}

/* All records that a replay goes by, and how many vCPUs each domain has. */
static void find_records(struct replay *r, unsigned *most, bool *made)
{
    for (size_t s = 0; s < r->log->nr_streams; s++) {
        const struct trace_stream *stream = &r->log->streams[s];

        for (size_t i = 0; i < stream->nr_items; i++) {
            unsigned kind = 0;
            struct sim_replay_record *record = &r->records[r->nr_records];

            while (kind < SIM_REPLAY_KINDS && r->of[kind].event != stream->items[i].event)
                kind++;
            if (kind == SIM_REPLAY_KINDS)
                continue;
            *record = record_of(r, kind, stream->cpu, &stream->items[i]);
            if (of_beginning(r, record))
                continue;
            r->nr_records++;
            if (kind == SIM_REPLAY_TOLD && record->a == r->cpu_comes)
                note_cpu(r, record);
            if (!means_vcpu(r, record))
                continue;
            if (record->vcpu_id >= most[record->domid])
                most[record->domid] = record->vcpu_id + 1u;
            made[record->domid] |= kind == SIM_REPLAY_TOLD && record->a == r->made;
        }
    }
}

/* All vCPUs that the trace tells of, in order, and which of them each record means. */
static int find_vcpus(struct replay *r, const struct sim_replay_domain *domains, unsigned nr_domains)
{
    unsigned *most = calloc(65536, sizeof *most), nr = 0;
    bool *made = calloc(65536, sizeof *made);

    r->index = calloc(65536 * 256, sizeof *r->index);
    if (most && made && r->index)
        find_records(r, most, made);
    for (unsigned d = 0; d < 65536 && most; d++)
        nr += most[d];
    r->vcpus = calloc(nr + 1, sizeof *r->vcpus);
    for (unsigned d = 0; d < 65536 && most && made && r->vcpus && r->index; d++) {
        struct sim_replay_vcpu v = {.domid = (uint16_t)d, .weight = 256, .made = made[d]};

        for (unsigned k = 0; k < nr_domains; k++) {
            if (domains[k].domid == d) {
                v.weight = (uint16_t)domains[k].weight;
                v.cap = (uint16_t)domains[k].cap;
            }
        }
        for (v.id = 0; v.id < most[d] && v.id < SIM_VCPUS_MAX; v.id++) {
            r->index[d * 256 + v.id] = r->nr_vcpus;
            r->vcpus[r->nr_vcpus++] = v;
        }
    }
    for (size_t i = 0; i < r->nr_records && r->index; i++) {
        struct sim_replay_record *record = &r->records[i];

        if (means_vcpu(r, record))
            record->vcpu = r->index[record->domid * 256u + record->vcpu_id];
    }
    free(most);
    free(made);
    if (r->nr_vcpus)
        return 0;
    fprintf(stderr, "parangon: no scheduler records in this trace: was their class on?\n");
    return -1;
}

/* A record in words: "d1v0", "idle" for a decision, "sched_wake d1v0 1" for others. */
static void name(const struct replay *r, char text[64], const struct sim_replay_record *record)
{
    char who[16] = "idle";

    if (record->domid != TRACE_DOMID_IDLE)
        snprintf(who, sizeof who, "d%uv%u", record->domid, record->vcpu_id);
    if (record->kind == SIM_REPLAY_PICK)
        snprintf(text, 64, "%s (%s, %lld ns)", who, trace_label(r->of[record->kind].a->enumeration, (uint64_t)record->a),
                 (long long)record->b);
    else if (r->of[record->kind].dom)
        snprintf(text, 64, "%s %s %lld", sim_replay_names[record->kind].event, who, (long long)record->a);
    else
        snprintf(text, 64, "%s %lld %lld", sim_replay_names[record->kind].event, (long long)record->a, (long long)record->b);
}

static void report(const struct replay *r, const struct sim_replay_outcome *o, struct sim_replay_result *result)
{
    const struct sim_replay_record *end = &r->records[o->ended];

    result->differs = o->ended < r->nr_records;
    result->records = o->done;
    for (size_t i = 0; i < r->nr_records; i++) {
        if (result->differs && r->records[i].at > end->at)
            continue;
        result->decisions += r->records[i].kind == SIM_REPLAY_PICK;
        result->wakes += r->records[i].kind == SIM_REPLAY_WAKE;
        result->blocks += r->records[i].kind == SIM_REPLAY_BLOCK;
        result->yields += r->records[i].kind == SIM_REPLAY_YIELD;
    }
    if (!result->differs)
        return;
    result->at = end->ticks - r->first;
    result->cpu = end->cpu;
    name(r, result->recorded, end);
    if (o->came)
        name(r, result->replayed, &o->instead);
    else
        snprintf(result->replayed, sizeof result->replayed, "no decision");
}

static int replay(struct replay *r, const struct sim_setup *setup, struct sim_replay_result *result)
{
    struct sim_config config = setup->config;
    struct sim_replay_outcome outcome;
    struct sim_replay_input input = {.config = &config,
                                     .vcpus = r->vcpus,
                                     .nr_vcpus = r->nr_vcpus,
                                     .records = r->records,
                                     .nr_records = r->nr_records,
                                     .pools = r->pools,
                                     .tuned = r->tunables,
                                     .nr_tuned = r->nr_tunables,
                                     .begin = ns_of(r, r->first)};

    memcpy(config.policy, result->policy, sizeof config.policy);
    config.cpus = r->nr_cpus ? r->nr_cpus : r->log->head.nr_cpus;
    if (r->nr_cpus) {
        input.cpus = r->cpus;
        config.threads = 1; /* the machine's; the scheduler is told of the recorded places */
    }
    for (size_t i = 0; i < r->nr_records; i++) {
        if (r->records[i].cpu >= config.cpus) {
            fprintf(stderr, "parangon: records of processor %u, and %u processors\n", r->records[i].cpu, config.cpus);
            return -1;
        }
    }
    if (config.cpus % config.threads) {
        fprintf(stderr, "parangon: the trace's %u processors are not whole cores of %u threads\n", config.cpus, config.threads);
        return -1;
    }
    if (sim_replay_run(&input, &outcome) < 0)
        return -1;
    report(r, &outcome, result);
    return 0;
}

/* The time stamp of the first record of all, and their number. */
static size_t measure(const struct trace_log *log, uint64_t *first)
{
    size_t nr = 0;

    *first = UINT64_MAX;
    for (size_t s = 0; s < log->nr_streams; s++) {
        nr += log->streams[s].nr_items;
        if (log->streams[s].nr_items && log->streams[s].items[0].time < *first)
            *first = log->streams[s].items[0].time;
    }
    return nr;
}

int sim_replay(const char *path, const struct sim_setup *setup, const struct sim_replay_domain *domains, unsigned nr_domains,
               struct sim_replay_result *result)
{
    struct trace_log *log = trace_log_open(path);
    struct replay *r = calloc(1, sizeof *r);
    int status = -1;

    memset(result, 0, sizeof *result);
    if (log && r) {
        r->log = log;
        r->records = calloc(measure(log, &r->first) + 1, sizeof *r->records);
        if (log->lost)
            fprintf(stderr, "parangon: %s: %llu records are lost: there is no replay without them\n", path, (unsigned long long)log->lost);
        else if (r->records && find_fields(r)) {
            find_policy(r);
            find_clock(r);
            snprintf(result->policy, sizeof result->policy, "%s", *setup->config.policy ? setup->config.policy : *r->policy ? r->policy : "credit");
            if (*r->policy && strncmp(r->policy, result->policy, sizeof r->policy - 1))
                fprintf(stderr, "parangon: the trace was made under the policy %s\n", r->policy);
            if (find_vcpus(r, domains, nr_domains) == 0)
                status = replay(r, setup, result);
        }
        free(r->vcpus);
        free(r->index);
        free(r->records);
    }
    free(r);
    if (log)
        trace_log_close(log);
    return status;
}

/* SPDX-License-Identifier: MIT */
/* The half of a replay that reads the trace: see replay.h. */
#include "sim/replay.h"

#include <stdlib.h>
#include <string.h>

#include "sim/replay_steps.h"
#include "trace/reader.h"

#define IDLE_DOM 0x7fffu /* DOMID_IDLE of the public ABI (xen.h) */

struct field2 {
    const struct trace_event *event;
    const struct trace_field *dom, *vcpu, *why;
};

struct replay {
    const struct trace_log *log;
    struct field2 wake, block, yield, pick, credit;
    const struct trace_field *weight, *cap;      /* of sched_credit */
    const struct trace_field *now;               /* of sched_pick; NULL: the time stamp has to serve */
    const struct trace_event *create;            /* NULL: the trace does not say when domains were made */
    const struct trace_field *create_dom;
    bool creates;                                /* it has such records */
    int64_t offset;                              /* ns: the recorded machine's system time less its time stamps */
    char policy[9];                              /* "": the trace does not say */
    struct sim_replay_vcpu *vcpus;
    unsigned nr_vcpus;
    uint32_t *index;  /* domid * 256 + vCPU */
    uint64_t first;
    struct sim_replay_result *result;
};

static bool find(struct field2 *f, const struct trace_schema *schema, const char *name)
{
    f->event = trace_schema_event(schema, name);
    f->dom = f->event ? trace_event_field(f->event, "domid") : NULL;
    f->vcpu = f->event ? trace_event_field(f->event, "vcpu_id") : NULL;
    f->why = f->event ? trace_event_field(f->event, "why") : NULL;
    return f->dom && f->vcpu;
}

static uint32_t name_of(const struct field2 *f, const void *record)
{
    return (trace_field_value(f->dom, record) & 0xffff) * 256 + (trace_field_value(f->vcpu, record) & 0xff);
}

/* All vCPUs that the trace tells of, and those of its domains that it does not, in order. */
static int find_vcpus(struct replay *r, const struct sim_replay_domain *domains, unsigned nr_domains)
{
    const struct trace_field *vcpus = r->create ? trace_event_field(r->create, "vcpus") : NULL;
    unsigned *most = calloc(65536, sizeof *most), nr = 0;

    r->index = calloc(65536 * 256, sizeof *r->index);
    for (size_t s = 0; s < r->log->nr_streams && most && r->index; s++) {
        for (size_t i = 0; i < r->log->streams[s].nr_items; i++) {
            const struct trace_item *item = &r->log->streams[s].items[i];
            const struct field2 *f = item->event == r->wake.event ? &r->wake : item->event == r->pick.event ? &r->pick : NULL;
            uint32_t dom, number;

            if (item->event == r->create && r->create_dom && vcpus) {
                r->creates = true;
                dom = trace_field_value(r->create_dom, item->record) & 0xffff;
                number = trace_field_value(vcpus, item->record) & 0xff;
            } else if (f) {
                dom = name_of(f, item->record) / 256;
                number = name_of(f, item->record) % 256 + 1;
            } else {
                continue;
            }
            if (dom != IDLE_DOM && number > most[dom])
                most[dom] = number;
        }
    }
    for (unsigned d = 0; d < 65536 && most; d++)
        nr += most[d];
    r->vcpus = calloc(nr + 1, sizeof *r->vcpus);
    for (unsigned d = 0; d < 65536 && most && r->vcpus && r->index; d++) {
        struct sim_replay_vcpu v = {.domid = d, .weight = 256};

        for (unsigned k = 0; k < nr_domains; k++) {
            if (domains[k].domid == d) {
                v.weight = domains[k].weight;
                v.cap = domains[k].cap;
            }
        }
        for (v.id = 0; v.id < most[d] && v.id < SIM_VCPUS_MAX; v.id++) {
            r->index[d * 256 + v.id] = r->nr_vcpus;
            r->vcpus[r->nr_vcpus++] = v;
        }
    }
    free(most);
    if (r->nr_vcpus)
        return 0;
    fprintf(stderr, "parangon: no scheduler records in this trace: was their class on?\n");
    return -1;
}

static uint64_t ns_of(const struct replay *r, uint64_t time)
{
    uint64_t hz = r->log->head.tsc_hz ? r->log->head.tsc_hz : 1000000000;

    return (uint64_t)((__uint128_t)time * 1000000000 / hz) + r->offset;
}

static void name(char text[32], bool decided, unsigned domid, unsigned id)
{
    if (!decided)
        snprintf(text, 32, "no decision");
    else if (domid == IDLE_DOM)
        snprintf(text, 32, "idle");
    else
        snprintf(text, 32, "d%uv%u", domid, id);
}

/* What the trace says of its beginning: the scheduler's clock, and its policy. */
static void find_start(struct replay *r)
{
    const struct trace_event *start = trace_schema_event(r->log->schema, "sched_start");
    const struct trace_field *clock = start ? trace_event_field(start, "system_time") : NULL;
    const struct trace_field *policy = start ? trace_event_field(start, "policy") : NULL;

    for (size_t s = 0; s < r->log->nr_streams && clock && policy; s++) {
        for (size_t i = 0; i < r->log->streams[s].nr_items; i++) {
            const struct trace_item *item = &r->log->streams[s].items[i];
            uint64_t letters;

            if (item->event != start)
                continue;
            r->offset = (int64_t)(trace_field_value(clock, item->record) - ns_of(r, item->time));
            letters = trace_field_value(policy, item->record);
            memcpy(r->policy, &letters, sizeof letters);
            return;
        }
    }
}

/* A domain is made, or has other parameters. */
static void domain_event(struct replay *r, const struct trace_item *item, uint64_t now)
{
    if (item->event == r->create && r->create_dom)
        sim_replay_create(now, r->index[(trace_field_value(r->create_dom, item->record) & 0xffff) * 256]);
    else if (item->event == r->credit.event && r->weight && r->cap)
        sim_replay_params(now, r->index[name_of(&r->credit, item->record) & ~255u], trace_field_value(r->weight, item->record),
                          trace_field_value(r->cap, item->record));
}

/* The decision again. False: another. */
static bool decide(struct replay *r, unsigned cpu, const struct trace_item *item, uint64_t now)
{
    uint32_t recorded = name_of(&r->pick, item->record);
    unsigned domid = 0, id = 0;
    bool decided = sim_replay_decide(cpu, now, &domid, &id);

    r->result->decisions++;
    if (decided && domid == recorded / 256 && (domid == IDLE_DOM || id == recorded % 256))
        return true;
    r->result->differs = true;
    r->result->at = item->time - r->first;
    r->result->cpu = cpu;
    name(r->result->recorded, true, recorded / 256, recorded % 256);
    name(r->result->replayed, decided, domid, id);
    return false;
}

/* ---- the order of steps ---- */

/*
 * A decision was made when the scheduler read its clock, with its runqueue locked; its record comes later, and where processors
 * take turns (an emulator) much later. So steps are taken in the order of these times: a decision at its own, and what its
 * processor recorded within it (the block of who ran) with it; all else at its time stamp.
 */
struct step {
    uint64_t now;
    size_t seq;
    uint32_t cpu;
    const struct trace_item *item;
};

static int compare_steps(const void *a, const void *b)
{
    const struct step *x = a, *y = b;

    if (x->now != y->now)
        return x->now < y->now ? -1 : 1;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* The steps of one processor's records, in the order of its time. */
static size_t steps_of(struct replay *r, const struct trace_stream *stream, struct step *steps, size_t seq)
{
    size_t nr = 0, pending = 0; /* steps since this processor's last decision */

    for (size_t i = 0; i < stream->nr_items; i++) {
        const struct trace_item *item = &stream->items[i];
        struct step step = {ns_of(r, item->time), seq + i, stream->cpu, item};

        if (item->event == r->pick.event) {
            if (r->now)
                step.now = trace_field_value(r->now, item->record);
            for (size_t k = pending; k < nr; k++)
                if (steps[k].now > step.now && steps[k].item->event == r->block.event)
                    steps[k].now = step.now;
        } else if (item->event != r->wake.event && item->event != r->block.event && item->event != r->yield.event &&
                   item->event != r->create && item->event != r->credit.event) {
            continue;
        }
        steps[nr++] = step;
        if (item->event == r->pick.event)
            pending = nr;
    }
    return nr;
}

static void replay_step(struct replay *r, const struct step *step, bool *go_on)
{
    const struct trace_item *item = step->item;
    uint64_t now = step->now;

    if (item->event == r->wake.event) {
        sim_replay_wake(step->cpu, now, r->index[name_of(&r->wake, item->record)]);
        r->result->wakes++;
    } else if (item->event == r->block.event) {
        const char *why = r->block.why ? trace_label(r->block.why->enumeration, trace_field_value(r->block.why, item->record)) : NULL;

        sim_replay_block(step->cpu, now, r->index[name_of(&r->block, item->record)], why && strcmp(why, "block") && strcmp(why, "poll"));
        r->result->blocks++;
    } else if (item->event == r->yield.event) {
        sim_replay_yield(step->cpu, now);
        r->result->yields++;
    } else if (item->event == r->pick.event) {
        *go_on = decide(r, step->cpu, item, now);
    } else {
        domain_event(r, item, now);
    }
}

static int replay_all(struct replay *r)
{
    size_t nr = 0, seq = 0;
    struct step *steps;
    bool go_on = true;

    for (size_t s = 0; s < r->log->nr_streams; s++)
        seq += r->log->streams[s].nr_items;
    steps = calloc(seq + 1, sizeof *steps);
    if (!steps) {
        fprintf(stderr, "parangon: not enough memory for %zu records\n", seq);
        return -1;
    }
    seq = 0;
    for (size_t s = 0; s < r->log->nr_streams; s++) {
        nr += steps_of(r, &r->log->streams[s], steps + nr, seq);
        seq += r->log->streams[s].nr_items;
    }
    qsort(steps, nr, sizeof *steps, compare_steps);
    for (unsigned v = 0; v < r->nr_vcpus && !r->creates; v++)
        sim_replay_create(ns_of(r, r->first), v);
    for (size_t i = 0; i < nr && go_on; i++)
        replay_step(r, &steps[i], &go_on);
    free(steps);
    return 0;
}

/* The time stamp of the first record of all. */
static uint64_t first_of(const struct trace_log *log)
{
    uint64_t first = UINT64_MAX;

    for (size_t s = 0; s < log->nr_streams; s++)
        if (log->streams[s].nr_items && log->streams[s].items[0].time < first)
            first = log->streams[s].items[0].time;
    return first;
}

int sim_replay(const char *path, const struct sim_setup *setup, const struct sim_replay_domain *domains, unsigned nr_domains,
               struct sim_replay_result *result)
{
    struct trace_log *log = trace_log_open(path);
    struct replay r = {.log = log, .result = result};
    struct sim_config config = setup->config;
    int status = -1;

    memset(result, 0, sizeof *result);
    if (!log)
        return -1;
    if (!find(&r.wake, log->schema, "sched_wake") || !find(&r.block, log->schema, "sched_block") ||
        !find(&r.yield, log->schema, "sched_yield") || !find(&r.pick, log->schema, "sched_pick")) {
        fprintf(stderr, "parangon: this trace's description of the scheduler's records is not one that is known here\n");
        trace_log_close(log);
        return -1;
    }
    r.create = trace_schema_event(log->schema, "domain_create");
    r.create_dom = r.create ? trace_event_field(r.create, "domid") : NULL;
    if (find(&r.credit, log->schema, "sched_credit")) {
        r.weight = trace_event_field(r.credit.event, "weight");
        r.cap = trace_event_field(r.credit.event, "cap");
    }
    r.now = trace_event_field(r.pick.event, "now");
    r.first = first_of(log);
    find_start(&r);
    if (*r.policy && strncmp(r.policy, config.policy, sizeof r.policy - 1))
        fprintf(stderr, "parangon: the trace was made under the policy %s\n", r.policy);
    if (find_vcpus(&r, domains, nr_domains) == 0) {
        config.cpus = log->head.nr_cpus;
        if (config.cpus % config.threads)
            fprintf(stderr, "parangon: the trace's %u processors are not whole cores of %u threads\n", config.cpus, config.threads);
        else if ((status = sim_replay_begin(&config, ns_of(&r, r.first), r.vcpus, r.nr_vcpus)) == 0) {
            status = replay_all(&r);
            sim_replay_end();
        }
    }
    free(r.vcpus);
    free(r.index);
    trace_log_close(log);
    return status;
}

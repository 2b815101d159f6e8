/* SPDX-License-Identifier: MIT */
/* Bursts and causes out of a trace: see script.h. */
#include "sim/script.h"

#include <stdlib.h>
#include <string.h>

#include "sim/replay.h"
#include "trace/reader.h"

#define NAMES    (65536u * 32u)
#define NOBODY   UINT32_MAX

struct field2 {
    const struct trace_event *event;
    const struct trace_field *dom, *vcpu;
};

/* A vCPU while its script is made. */
struct writer {
    uint32_t name;             /* domid * 32 + vCPU */
    struct sim_script script;
    uint64_t run;              /* ns worked and not yet written */
    uint64_t since, blocked;   /* ns: came to its processor; blocked */
    bool on;
};

struct reader {
    const struct trace_log *log;
    struct field2 wake, block, yield, prev, next, send;
    uint32_t *index;           /* by name; NOBODY */
    struct writer *vcpus;
    uint32_t nr;
    uint32_t *runs;            /* by processor: who runs there */
    uint64_t *sent;            /* by processor: ns of its last evtchn_send */
    uint16_t *sent_to;
    uint64_t first;
};

static bool find(struct field2 *f, const struct trace_schema *schema, const char *event, const char *dom, const char *vcpu)
{
    f->event = trace_schema_event(schema, event);
    f->dom = f->event ? trace_event_field(f->event, dom) : NULL;
    f->vcpu = f->event && vcpu ? trace_event_field(f->event, vcpu) : NULL;
    return f->dom && (f->vcpu || !vcpu);
}

static uint64_t ns_of(const struct reader *r, uint64_t time)
{
    uint64_t hz = r->log->head.tsc_hz ? r->log->head.tsc_hz : 1000000000;

    return (uint64_t)((__uint128_t)(time - r->first) * 1000000000 / hz);
}

static uint32_t named(struct reader *r, const struct field2 *f, const void *record)
{
    uint32_t dom = trace_field_value(f->dom, record) & 0xffff, id = trace_field_value(f->vcpu, record) & 31;

    return dom == TRACE_DOMID_IDLE ? NOBODY : r->index[dom * 32 + id];
}

static void write_op(struct writer *w, enum sim_op_kind kind, uint64_t value)
{
    uint32_t nr = w->script.nr;

    if (!(nr & (nr - 1))) {
        w->script.ops = realloc(w->script.ops, (nr ? 2 * nr : 1) * sizeof *w->script.ops);
        if (!w->script.ops)
            abort();
    }
    w->script.ops[w->script.nr++] = (struct sim_op){kind, value};
}

/* What it has worked up to now becomes a burst. */
static void write_run(struct writer *w, uint64_t now)
{
    if (w->on) {
        w->run += now - w->since;
        w->since = now;
    }
    if (w->run)
        write_op(w, SIM_OP_RUN, w->run);
    w->run = 0;
}

/* ---- the records ---- */

static void woken(struct reader *r, uint32_t cpu, const void *record, uint64_t now)
{
    uint32_t v = named(r, &r->wake, record), by = r->runs[cpu];

    if (v == NOBODY)
        return;
    if (by != NOBODY && by != v && r->sent_to[cpu] == r->vcpus[v].name / 32 && now - r->sent[cpu] <= SCRIPT_NEAR) {
        write_run(&r->vcpus[by], now);
        write_op(&r->vcpus[by], SIM_OP_SIGNAL, v);
        write_op(&r->vcpus[v], SIM_OP_WAIT, 0);
    } else {
        write_op(&r->vcpus[v], SIM_OP_SLEEP, now - r->vcpus[v].blocked);
    }
}

static void switched(struct reader *r, uint32_t cpu, const void *record, uint64_t now)
{
    uint32_t from = named(r, &r->prev, record), to = named(r, &r->next, record);

    if (from != NOBODY && r->vcpus[from].on) {
        r->vcpus[from].run += now - r->vcpus[from].since;
        r->vcpus[from].on = false;
    }
    if (to != NOBODY) {
        r->vcpus[to].on = true;
        r->vcpus[to].since = now;
    }
    r->runs[cpu] = to;
}

static void take(struct reader *r, const struct trace_stream *stream, const struct trace_item *item)
{
    uint64_t now = ns_of(r, item->time);
    uint32_t v;

    if (item->event == r->wake.event) {
        woken(r, stream->cpu, item->record, now);
    } else if (item->event == r->prev.event) {
        switched(r, stream->cpu, item->record, now);
    } else if (item->event == r->block.event) {
        if ((v = named(r, &r->block, item->record)) == NOBODY)
            return;
        write_run(&r->vcpus[v], now);
        r->vcpus[v].blocked = now;
    } else if (item->event == r->yield.event) {
        if ((v = named(r, &r->yield, item->record)) == NOBODY)
            return;
        write_run(&r->vcpus[v], now);
        write_op(&r->vcpus[v], SIM_OP_YIELD, 0);
    } else if (r->send.event && item->event == r->send.event) {
        r->sent[stream->cpu] = now;
        r->sent_to[stream->cpu] = trace_field_value(r->send.dom, item->record);
    }
}

/* Number the vCPUs by domain and number: each that the trace wakes, and those of its domain below it. */
static int number(struct reader *r)
{
    uint8_t *most = calloc(65536, 1);

    r->index = malloc(NAMES * sizeof *r->index);
    if (!most || !r->index)
        abort();
    memset(r->index, 0xff, NAMES * sizeof *r->index);
    for (size_t s = 0; s < r->log->nr_streams; s++) {
        for (size_t i = 0; i < r->log->streams[s].nr_items; i++) {
            const struct trace_item *item = &r->log->streams[s].items[i];
            uint32_t dom, id;

            if (item->event != r->wake.event)
                continue;
            dom = trace_field_value(r->wake.dom, item->record) & 0xffff;
            id = trace_field_value(r->wake.vcpu, item->record) & 31;
            if (id + 1 > most[dom])
                most[dom] = id + 1;
        }
    }
    for (uint32_t d = 0; d < 65536; d++)
        for (uint32_t id = 0; id < most[d]; id++)
            r->index[d * 32 + id] = r->nr++;
    r->vcpus = calloc(r->nr + 1, sizeof *r->vcpus);
    for (uint32_t n = 0; n < NAMES && r->vcpus; n++)
        if (r->index[n] != NOBODY)
            r->vcpus[r->index[n]].name = n;
    free(most);
    return r->nr ? 0 : -1;
}

/* ---- the loads ---- */

/* Weight and cap as the trace's last sched_credit of the domain has them. */
static void find_params(const struct reader *r, unsigned domid, struct sim_load *l)
{
    const struct trace_event *credit = trace_schema_event(r->log->schema, "sched_credit");
    const struct trace_field *dom = credit ? trace_event_field(credit, "domid") : NULL;
    const struct trace_field *weight = credit ? trace_event_field(credit, "weight") : NULL;
    const struct trace_field *cap = credit ? trace_event_field(credit, "cap") : NULL;

    for (size_t s = 0; s < r->log->nr_streams && dom && weight && cap; s++) {
        for (size_t i = 0; i < r->log->streams[s].nr_items; i++) {
            const struct trace_item *item = &r->log->streams[s].items[i];

            if (item->event != credit || trace_field_value(dom, item->record) != domid)
                continue;
            l->weight = trace_field_value(weight, item->record);
            l->cap = trace_field_value(cap, item->record);
        }
    }
}

static int make_loads(struct reader *r, struct sim_setup *setup, const struct sim_replay_domain *domains, unsigned nr_domains)
{
    struct sim_load *l = NULL;
    unsigned domid = 0;

    setup->nr_loads = 0;
    setup->config.scripts = calloc(r->nr, sizeof *setup->config.scripts);
    for (uint32_t v = 0; v < r->nr && setup->config.scripts; v++) {
        setup->config.scripts[v] = r->vcpus[v].script;
        if (!l || r->vcpus[v].name / 32 != domid) {
            domid = r->vcpus[v].name / 32;
            if (setup->nr_loads == SIM_LOADS_MAX) {
                fprintf(stderr, "parangon: the trace has more than %d domains\n", SIM_LOADS_MAX);
                return -1;
            }
            l = &setup->loads[setup->nr_loads++];
            *l = (struct sim_load){.kind = SIM_SCRIPT, .domains = 1, .weight = 256, .first_cpu = -1, .last_cpu = -1};
            snprintf(l->name, sizeof l->name, "d%u", domid);
            find_params(r, domid, l);
            for (unsigned k = 0; k < nr_domains; k++) {
                if (domains[k].domid != domid)
                    continue;
                l->weight = domains[k].weight;
                l->cap = domains[k].cap;
            }
        }
        l->vcpus++;
    }
    return setup->config.scripts ? 0 : -1;
}

int sim_script_read(const char *path, struct sim_setup *setup, const struct sim_replay_domain *domains, unsigned nr_domains)
{
    struct trace_log *log = trace_log_open(path);
    struct reader r = {.log = log};
    const struct trace_stream *stream;
    const struct trace_item *item;
    struct trace_merge merge;
    int status = -1;

    if (!log)
        return -1;
    if (!find(&r.wake, log->schema, "sched_wake", "domid", "vcpu_id") || !find(&r.block, log->schema, "sched_block", "domid", "vcpu_id") ||
        !find(&r.yield, log->schema, "sched_yield", "domid", "vcpu_id") ||
        !find(&r.prev, log->schema, "sched_switch", "prev_domid", "prev_vcpu_id") ||
        !find(&r.next, log->schema, "sched_switch", "next_domid", "next_vcpu_id") || number(&r) < 0) {
        fprintf(stderr, "parangon: no scheduler records that are known here in this trace\n");
        trace_log_close(log);
        free(r.index);
        return -1;
    }
    if (!setup->config.cpus)
        setup->config.cpus = log->head.nr_cpus;
    (void)find(&r.send, log->schema, "evtchn_send", "remote_domid", NULL);
    r.runs = calloc(TRACE_MAX_RINGS, sizeof *r.runs);
    r.sent = calloc(TRACE_MAX_RINGS, sizeof *r.sent);
    r.sent_to = calloc(TRACE_MAX_RINGS, sizeof *r.sent_to);
    if (r.runs && r.sent && r.sent_to && r.vcpus) {
        memset(r.runs, 0xff, TRACE_MAX_RINGS * sizeof *r.runs);
        memset(r.sent_to, 0xff, TRACE_MAX_RINGS * sizeof *r.sent_to);
        trace_merge_begin(&merge, log);
        while ((item = trace_merge_next(&merge, &stream))) {
            if (!r.first)
                r.first = item->time;
            if (stream->cpu < TRACE_MAX_RINGS)
                take(&r, stream, item);
        }
        trace_merge_end(&merge);
        for (uint32_t v = 0; v < r.nr; v++)
            write_run(&r.vcpus[v], r.vcpus[v].since);
        status = make_loads(&r, setup, domains, nr_domains);
    }
    free(r.runs);
    free(r.sent);
    free(r.sent_to);
    free(r.vcpus);
    free(r.index);
    trace_log_close(log);
    return status;
}

void sim_script_free(struct sim_setup *setup)
{
    unsigned v = 0;

    for (unsigned l = 0; l < setup->nr_loads && setup->config.scripts; l++)
        for (unsigned i = 0; i < setup->loads[l].vcpus; i++)
            free(setup->config.scripts[v++].ops);
    free(setup->config.scripts);
    setup->config.scripts = NULL;
}

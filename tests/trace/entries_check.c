/* SPDX-License-Identifier: MIT */
/*
 * Compares a trace of the hypervisor with what the counting plugin saw of the same run.
 *
 *   entries_check TRACE INTERVALS [INTERVALS-UNTRACED]
 *
 * The plugin counts changes from guest code to hypervisor code between the start of the first domain and the guest's INIT mark; it
 * shares no code with the hypervisor. In that time the trace must hold one record (hypercall, trap or irq; those within a multicall are
 * none) for each. The time of the mark follows from domain_start and the plugin's instruction count, since the trace clock counts
 * instructions (-icount shift=0) and a guest that does not idle passes no other time.
 * With INTERVALS-UNTRACED, of the same run with trace=off: prints per interval what tracing cost for each entry.
 * Exit status: 0 they agree, 1 they do not, 2 a file cannot be read or lacks what is needed.
 */
#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/interval.h"
#include "trace/reader.h"

struct intervals {
    struct interval_file_head head;
    struct interval *interval;
    size_t nr;
};

static void read_intervals(const char *path, struct intervals *intervals)
{
    FILE *in = fopen(path, "rbe");
    long size;

    if (!in || fread(&intervals->head, sizeof(intervals->head), 1, in) != 1)
        err(2, "%s", path);
    if (intervals->head.magic != INTERVAL_MAGIC || intervals->head.version != INTERVAL_VERSION ||
        intervals->head.nr_counters != COUNTER_NR)
        errx(2, "%s: not an interval file of this build", path);
    fseek(in, 0, SEEK_END);
    size = ftell(in) - (long)sizeof(intervals->head);
    fseek(in, sizeof(intervals->head), SEEK_SET);
    intervals->nr = size / sizeof(struct interval);
    intervals->interval = calloc(intervals->nr + 1, sizeof(struct interval));
    if (!intervals->interval ||
        fread(intervals->interval, sizeof(struct interval), intervals->nr, in) != intervals->nr)
        err(2, "%s", path);
    fclose(in);
}

static const struct interval *find(const struct intervals *intervals, uint32_t kind, uint32_t seq)
{
    for (size_t i = 0; i < intervals->nr; i++) {
        if (intervals->interval[i].kind == kind && intervals->interval[i].seq == seq)
            return &intervals->interval[i];
    }
    return NULL;
}

/* Entries into the hypervisor that the trace holds between two times. */
static uint64_t entries_between(const struct trace_log *log, uint64_t from, uint64_t to)
{
    uint64_t nr = 0;

    for (size_t i = 0; i < log->streams[0].nr_items; i++) {
        const struct trace_item *item = &log->streams[0].items[i];
        const struct trace_field *flags = trace_event_field(item->event, "flags");

        if (!item->event->is_span || item->time < from || item->time >= to)
            continue;
        if (flags && trace_field_value(flags, item->record) >= 4) /* within a multicall */
            continue;
        nr++;
    }
    return nr;
}

static uint64_t start_of_domain(const struct trace_log *log)
{
    for (size_t i = 0; i < log->streams[0].nr_items; i++) {
        if (strcmp(log->streams[0].items[i].event->name, "domain_start") == 0)
            return log->streams[0].items[i].time;
    }
    errx(2, "the trace has no domain_start");
}

static void print_cost(const struct intervals *traced, const struct intervals *untraced)
{
    printf("%-10s %10s %14s %14s %12s\n", "interval", "entries", "hv untraced", "hv traced", "per entry");
    for (size_t i = 0; i < traced->nr; i++) {
        const struct interval *with = &traced->interval[i];
        const struct interval *without = find(untraced, with->kind, with->seq);
        const uint64_t entries = with->counter[COUNTER_hv_entry];

        if (with->kind == INTERVAL_PRE_DOMAIN || !without || !entries)
            continue;
        printf("%s %-4u %11" PRIu64 " %14" PRIu64 " %14" PRIu64 " %12.1f\n",
               with->kind == INTERVAL_BOOT ? "boot " : "cost ", with->seq, entries, without->hypervisor, with->hypervisor,
               ((double)with->hypervisor - (double)without->hypervisor) / entries);
    }
}

int main(int argc, char **argv)
{
    struct intervals traced, untraced;
    const struct interval *boot;
    struct trace_log *log;
    uint64_t start, end, recorded, seen;

    if (argc != 3 && argc != 4)
        errx(2, "usage: entries_check TRACE INTERVALS [INTERVALS-UNTRACED]");
    log = trace_log_open(argv[1]);
    if (!log)
        return 2;
    read_intervals(argv[2], &traced);
    boot = find(&traced, INTERVAL_BOOT, 0);
    if (!boot)
        errx(2, "%s: the guest has not reached its INIT mark", argv[2]);
    start = start_of_domain(log);
    end = start + boot->user + boot->kernel + boot->hypervisor + boot->counter[COUNTER_rep_iter];
    recorded = entries_between(log, start, end);
    seen = boot->counter[COUNTER_hv_entry];
    printf("entries from the start of the domain to INIT: %" PRIu64 " seen by the plugin, %" PRIu64
           " recorded; %" PRIu64 " records lost\n",
           seen, recorded, log->lost);
    if (argc == 4) {
        read_intervals(argv[3], &untraced);
        print_cost(&traced, &untraced);
    }
    return recorded != seen || log->lost;
}

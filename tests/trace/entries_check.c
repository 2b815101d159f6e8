/* SPDX-License-Identifier: MIT */
/*
 * Compares a trace of the hypervisor with what the counting plugin saw of the same run.
 *
 *   entries_check TRACE INTERVALS [INTERVALS-UNTRACED]
 *
 * The plugin counts the SYSCALL instructions from reset to the guest's INIT mark; it shares no code
 * with the hypervisor. Up to then the trace must hold one record for each: a hypercall (not one
 * within a multicall), or the bounce of a guest user's system call. When that was follows from the
 * plugin's instruction count, since the trace clock counts instructions from reset (-icount
 * shift=0) and nothing idles.
 * With INTERVALS-UNTRACED, of the same run with trace=off: prints per measured interval what
 * tracing cost for each entry.
 * Exit status: 0 they agree, 1 they do not or records were lost, 2 a file cannot be read.
 */
#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/interval.h"
#include "trace/reader.h"
#include "trace/record.h"

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
    if (size != (long)(intervals->head.nr_intervals * sizeof(struct interval)))
        errx(2, "%s: broken off", path);
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

/* SYSCALL instructions that the trace knows of before a time. */
static uint64_t syscalls_before(const struct trace_log *log, uint64_t end)
{
    uint64_t nr = 0;

    for (size_t i = 0; i < log->streams[0].nr_items; i++) {
        const struct trace_item *item = &log->streams[0].items[i];
        const struct trace_field *flags = trace_event_field(item->event, "flags");
        const struct trace_field *kind = trace_event_field(item->event, "kind");

        if (item->time >= end)
            continue;
        if (strcmp(item->event->name, "hypercall") == 0)
            nr += trace_field_value(flags, item->record) < TRACE_HC_MULTICALL;
        else if (strcmp(item->event->name, "trap") == 0)
            nr += trace_field_value(kind, item->record) == TRACE_TRAP_SYSCALL_BOUNCE;
    }
    return nr;
}

/* Time of the INIT mark and SYSCALLs until then, out of the two intervals that end there. */
static uint64_t time_of_init(const struct intervals *intervals, uint64_t *syscalls)
{
    uint64_t time = 0;

    for (uint32_t kind = INTERVAL_PRE_DOMAIN; kind <= INTERVAL_BOOT; kind++) {
        const struct interval *part = find(intervals, kind, 0);

        if (!part)
            errx(2, "the guest has not reached its INIT mark");
        time += part->user + part->kernel + part->hypervisor + part->counter[COUNTER_rep_iter];
        *syscalls += part->counter[COUNTER_syscall];
    }
    return time;
}

static void print_cost(const struct intervals *traced, const struct intervals *untraced)
{
    printf("%-10s %10s %14s %14s %12s\n", "interval", "entries", "hv untraced", "hv traced", "per entry");
    for (size_t i = 0; i < traced->nr; i++) {
        const struct interval *with = &traced->interval[i];
        const struct interval *without = find(untraced, with->kind, with->seq);
        const uint64_t entries = with->counter[COUNTER_hv_entry];

        if (with->kind != INTERVAL_MEASURED || !without || !entries)
            continue;
        printf("%-10u %10" PRIu64 " %14" PRIu64 " %14" PRIu64 " %12.1f\n", with->seq, entries,
               without->hypervisor, with->hypervisor,
               ((double)with->hypervisor - (double)without->hypervisor) / entries);
    }
}

int main(int argc, char **argv)
{
    struct intervals traced, untraced;
    uint64_t init, seen = 0, recorded;
    struct trace_log *log;

    if (argc != 3 && argc != 4)
        errx(2, "usage: entries_check TRACE INTERVALS [INTERVALS-UNTRACED]");
    log = trace_log_open(argv[1]);
    if (!log)
        return 2;
    read_intervals(argv[2], &traced);
    init = time_of_init(&traced, &seen);
    recorded = syscalls_before(log, init);
    printf("SYSCALLs up to INIT, at %" PRIu64 ": %" PRIu64 " seen by the plugin, %" PRIu64
           " recorded; %" PRIu64 " records lost\n",
           init, seen, recorded, log->lost);
    if (argc == 4) {
        read_intervals(argv[3], &untraced);
        print_cost(&traced, &untraced);
    }
    return recorded != seen || !seen || log->lost;
}

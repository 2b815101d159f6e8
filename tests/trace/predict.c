/* SPDX-License-Identifier: MIT */
/*
 * Predicts what tracing costs, and compares a trace with what the counting plugin saw of the run.
 *
 *   predict UNITS TRACE ON OFF
 *
 * ON and OFF are folders with what the plugin counted (intervals, entries) and the console, of one
 * machine run with every class traced and with none (parangon trace record --counts). UNITS holds
 * the instructions that a record of each event costs. For every measured interval the prediction is
 * the sum over its records; the measurement is what the hypervisor executed more than untraced.
 *
 * Where an interval begins and ends in the trace the plugin's record of entries says, which shares
 * no code with the hypervisor: entry n of the run is record n of those that are entries. So the
 * number of entries must agree three ways, over the whole run and in every interval by SYSCALL and
 * others: the plugin's, the records, and the hypervisor's own counts on the console. Not counted
 * by the plugin are traps of guests that jumped to the hypervisor's addresses.
 * Exit status: 0 all agree, and each prediction within LIMIT percent; 1 not; 2 a file cannot be read.
 */
#include <err.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/interval.h"
#include "trace/reader.h"
#include "trace/record.h"

#define LIMIT      5.0
#define TOO_LITTLE 1000 /* instructions: too few for a percentage to say anything */
#define MAX        4096
#define HV_FIRST   0xffff800000000000ull
#define HV_LAST    0xffff87ffffffffffull

/* What the plugin says of a measured interval, and its name. */
struct part {
    char name[64];
    uint64_t first, end;       /* entries of the run */
    uint64_t syscalls, others; /* entries by cause */
    const struct interval *on, *off;
};

static struct part parts[MAX];
static size_t nr_parts;
static uint64_t run_entries;

/* Cost of a record by event and cause; cause "*": any other. */
static struct unit {
    char event[40], cause[40];
    double cost;
} units[MAX];
static size_t nr_units;

static FILE *open_in(const char *folder, const char *name)
{
    char path[4096];
    FILE *in;

    snprintf(path, sizeof(path), "%s%s%s", folder, *folder ? "/" : "", name);
    in = fopen(path, "re");
    if (!in)
        err(2, "%s", path);
    return in;
}

static void read_units(const char *path)
{
    FILE *in = open_in("", path);
    char line[256];

    while (fgets(line, sizeof(line), in)) {
        struct unit *u = &units[nr_units];

        if (*line != '#' && nr_units < MAX &&
            sscanf(line, "%39s %39s %lf", u->event, u->cause, &u->cost) == 3)
            nr_units++;
    }
    fclose(in);
}

static double unit_of(const struct trace_item *item)
{
    const struct trace_field *cause = item->event->cause;
    const char *label = NULL;

    if (cause)
        label = trace_label(cause->enumeration, trace_field_value(cause, item->record));
    if (strcmp(item->event->name, "hypercall") == 0) {
        const uint64_t flags =
            trace_field_value(trace_event_field(item->event, "flags"), item->record);

        if (flags >= TRACE_HC_MULTICALL)
            label = "in-multicall";
    }
    for (size_t i = 0; i < nr_units; i++)
        if (strcmp(units[i].event, item->event->name) == 0 &&
            (strcmp(units[i].cause, "*") == 0 || (label && strcmp(units[i].cause, label) == 0)))
            return units[i].cost;
    errx(2, "no cost stated for a record of %s", item->event->name);
}

static void read_entries(const char *folder)
{
    FILE *in = open_in(folder, "entries");
    char line[4096], cause[40];
    uint64_t nr, first, end;
    unsigned seq;

    while (fgets(line, sizeof(line), in)) {
        if (sscanf(line, "# measured %u is entries %" SCNu64 " to %" SCNu64, &seq, &first, &end) == 3 &&
            seq < MAX) {
            parts[seq].first = first;
            parts[seq].end = end;
            nr_parts = seq + 1;
        } else if (sscanf(line, "measured %u %*s %39s %" SCNu64, &seq, cause, &nr) == 3 && seq < MAX) {
            if (strcmp(cause, "syscall") == 0 || strncmp(cause, "hypercall-", 10) == 0)
                parts[seq].syscalls += nr;
            else
                parts[seq].others += nr;
        }
        sscanf(line, "# the run has %" SCNu64 " entries", &run_entries);
    }
    fclose(in);
}

/* The intervals of a run, by seq; never freed. */
static void read_intervals(const char *folder, bool on)
{
    FILE *in = open_in(folder, "intervals");
    struct interval_file_head head;
    struct interval *all;

    if (fread(&head, sizeof(head), 1, in) != 1 || head.magic != INTERVAL_MAGIC ||
        head.version != INTERVAL_VERSION || head.nr_counters != COUNTER_NR)
        errx(2, "%s/intervals: not an interval file of this build", folder);
    all = calloc(head.nr_intervals + 1, sizeof(*all));
    if (!all || fread(all, sizeof(*all), head.nr_intervals, in) != head.nr_intervals)
        errx(2, "%s/intervals: broken off", folder);
    for (uint32_t i = 0; i < head.nr_intervals; i++)
        if (all[i].kind == INTERVAL_MEASURED && all[i].seq < MAX)
            *(on ? &parts[all[i].seq].on : &parts[all[i].seq].off) = &all[i];
    fclose(in);
}

/* Names of the intervals, in the order in which the guest tells them; the hypervisor's own counts. */
static uint64_t read_console(const char *folder)
{
    FILE *in = open_in(folder, "console");
    uint64_t counted = 0, nr;
    char line[4096];
    size_t seq = 0;

    while (fgets(line, sizeof(line), in)) {
        char *at = strstr(line, "\"ev\":\"sample\""), *name = strstr(line, "\"workload\":\""), *by;

        if (at && name && seq < MAX)
            sscanf(name + 12, "%63[^\"]", parts[seq++].name);
        by = strstr(line, "entries by ");
        if (by && (sscanf(by, "entries by hypercall: %" SCNu64, &nr) == 1 ||
                   sscanf(by, "entries by trap kind: %" SCNu64, &nr) == 1 ||
                   sscanf(by, "entries by interrupt: %" SCNu64, &nr) == 1))
            counted += nr;
    }
    fclose(in);
    return counted;
}

enum entry { NO_ENTRY, SYSCALL, OTHER, UNSEEN };

static enum entry entry_of(const struct trace_item *item)
{
    const struct trace_event *event = item->event;

    if (strcmp(event->name, "hypercall") == 0)
        return trace_field_value(trace_event_field(event, "flags"), item->record) < TRACE_HC_MULTICALL
                   ? SYSCALL
                   : NO_ENTRY;
    if (strcmp(event->name, "irq") == 0)
        return trace_field_value(trace_event_field(event, "in_hypervisor"), item->record) ? NO_ENTRY
                                                                                         : OTHER;
    if (strcmp(event->name, "trap") == 0) {
        uint64_t rip = trace_field_value(trace_event_field(event, "rip"), item->record);

        if (rip >= HV_FIRST && rip <= HV_LAST)
            return UNSEEN;
        return trace_field_value(trace_event_field(event, "kind"), item->record) ==
                       TRACE_TRAP_SYSCALL_BOUNCE
                   ? SYSCALL
                   : OTHER;
    }
    return NO_ENTRY;
}

/* Records of the part: those from its first entry up to the entry behind its last. */
static bool compare(const struct part *part, const struct trace_stream *stream, const size_t *entry,
                    size_t nr_entries)
{
    const size_t from = part->first < nr_entries ? entry[part->first] : stream->nr_items;
    const size_t to = part->end < nr_entries ? entry[part->end] : stream->nr_items;
    uint64_t syscalls = 0, others = 0, records = 0;
    double predicted = 0, measured, share, difference;
    bool good = true;

    if (part->first == part->end || !part->on || !part->off)
        return true;
    for (size_t i = from; i < to; i++) {
        const enum entry what = entry_of(&stream->items[i]);

        syscalls += what == SYSCALL;
        others += what == OTHER;
        predicted += unit_of(&stream->items[i]);
        records++;
    }
    if (syscalls != part->syscalls || others != part->others) {
        printf("%s: the plugin saw %" PRIu64 " SYSCALLs and %" PRIu64 " other entries, the trace has %" PRIu64
               " and %" PRIu64 "\n",
               part->name, part->syscalls, part->others, syscalls, others);
        good = false;
    }
    measured = (double)part->on->hypervisor - (double)part->off->hypervisor;
    share = 100 * measured / (double)(part->off->user + part->off->kernel + part->off->hypervisor);
    difference = measured > 0 ? 100 * (predicted - measured) / measured : INFINITY;
    printf("%-22s %9" PRIu64 " %9" PRIu64 " %12.0f %12.0f %+11.2f%% %9.2f%%\n", part->name,
           part->end - part->first, records, predicted, measured, difference, share);
    if (predicted >= TOO_LITTLE && !(fabs(difference) <= LIMIT))
        good = false;
    return good;
}

int main(int argc, char **argv)
{
    const struct trace_stream *stream;
    struct trace_log *log;
    size_t *entry, nr = 0, unseen = 0;
    uint64_t counted;
    bool good = true;

    if (argc != 5)
        errx(2, "usage: predict UNITS TRACE ON OFF");
    read_units(argv[1]);
    log = trace_log_open(argv[2]);
    if (!log)
        return 2;
    read_entries(argv[3]);
    read_intervals(argv[3], true);
    read_intervals(argv[4], false);
    counted = read_console(argv[3]);
    stream = &log->streams[0];
    entry = calloc(stream->nr_items + 1, sizeof(*entry));
    if (!entry)
        err(2, "predict");
    for (size_t i = 0; i < stream->nr_items; i++) {
        const enum entry what = entry_of(&stream->items[i]);

        if (what == SYSCALL || what == OTHER)
            entry[nr++] = i;
        unseen += what == UNSEEN;
    }
    /* The hypercall that ends the machine does not come back to make its record. */
    printf("entries of the run: %" PRIu64 " seen by the plugin, %zu recorded, %" PRIu64
           " counted by the hypervisor; %" PRIu64 " records lost\n",
           run_entries, nr, counted, log->lost);
    if (log->lost || !nr || counted != run_entries + unseen || (nr != run_entries && nr + 1 != run_entries))
        good = false;
    printf("%-22s %9s %9s %12s %12s %12s %10s\n", "interval", "entries", "records", "predicted", "measured",
           "difference", "of all");
    for (size_t i = 0; i < nr_parts; i++)
        good &= compare(&parts[i], stream, entry, nr);
    trace_log_close(log);
    return !good;
}

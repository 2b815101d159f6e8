/* SPDX-License-Identifier: MIT */
/*
 * The tables of hardware-assisted domains: PVH, HVM with PV drivers, HVM, beside PV of the same run; at most 150 columns.
 *
 * Their base is native-matched as well as native: they can have large and global pages, which native-matched cannot, so both ratios
 * stand there. Events are the world switches and what causes them, per million native instructions.
 * Does not: compute (stats.c); print the block of PV and its peer (report.c).
 */
#include <math.h>
#include <string.h>

#include "analysis/tables.h"

#define WIDTH 149

static const struct {
    const char *platform, *title;
} assisted[] = {
    {"pvh", "PVH"},
    {"hvm-pv", "PV-on-HVM"},
    {"hvm", "HVM"},
};
#define NR (sizeof(assisted) / sizeof(assisted[0]))

bool report_is_assisted(const char *platform)
{
    for (size_t i = 0; i < NR; i++)
        if (!strcmp(platform, assisted[i].platform))
            return true;
    return false;
}

static bool any_row(const struct stats *stats, enum run_class class)
{
    for (size_t i = 0; i < stats->nr_rows; i++)
        if (stats->rows[i].class == class && report_is_assisted(stats->rows[i].platform) &&
            !report_is_primitive(stats->rows[i].workload))
            return true;
    return false;
}

static void rule(FILE *out)
{
    for (int i = 0; i < WIDTH; i++)
        fputc('-', out);
    fputc('\n', out);
}

/* Instructions over those of native-matched, medians of the seeds. */
static double over_matched(const struct stats_row *row, const struct stats_row *matched)
{
    return row && matched && matched->count.median > 0 ? row->count.median / matched->count.median : NAN;
}

static char mark(const struct stats *stats, const struct stats_row *row)
{
    if (!row || isnan(row->ratio.median) || stats->run->quick)
        return ' ';
    return row->flags & (ROW_QUICK | ROW_NO_NULL) ? '?' : row->flags & ROW_INDISTINCT ? '~' : ' ';
}

static void print_count_row(FILE *out, const struct stats *stats, const char *workload, enum run_class class)
{
    const struct stats_row *native = stats_find(stats, workload, "native", class);
    const struct stats_row *matched = stats_find(stats, workload, "native-matched", class);
    const struct stats_row *pv = stats_find(stats, workload, "pv", class);
    char a[CELL_MAX], b[CELL_MAX], c[CELL_MAX], d[CELL_MAX];

    fprintf(out, "%-16.16s %9s %7s | %6s%c %8s", workload, cell_count(a, native ? native->count.median : NAN),
            cell_ratio(b, matched ? matched->ratio.median : NAN), cell_ratio(c, pv ? pv->ratio.median : NAN), mark(stats, pv),
            cell_percent(d, pv ? pv->hypervisor_share : NAN));
    for (size_t i = 0; i < NR; i++) {
        const struct stats_row *row = stats_find(stats, workload, assisted[i].platform, class);

        fprintf(out, " | %6s%c %6s %8s %5s", cell_ratio(a, row ? row->ratio.median : NAN), mark(stats, row),
                cell_ratio(b, over_matched(row, matched)), cell_percent(c, row ? row->hypervisor_share : NAN),
                cell_rate(d, row ? row->events[COUNTER_vmrun] : NAN));
    }
    fputc('\n', out);
}

static double hypervisor_of(const struct stats_aggregate *mean)
{
    return mean ? mean->hypervisor : NAN;
}

static void print_means(FILE *out, const struct stats *stats, enum run_class class)
{
    const struct stats_aggregate *matched = stats_mean(stats, "native-matched", class), *pv = stats_mean(stats, "pv", class);
    char a[CELL_MAX], b[CELL_MAX], c[CELL_MAX], title[64];

    snprintf(title, sizeof(title), "mean of %zu, equal work", stats_suite_size(stats->run));
    fprintf(out, "%-26.26s %7s | %6s  %8s", title, cell_ratio(a, matched ? matched->value : NAN), cell_ratio(b, pv ? pv->value : NAN),
            cell_percent(c, hypervisor_of(pv)));
    for (size_t i = 0; i < NR; i++) {
        const struct stats_aggregate *mean = stats_mean(stats, assisted[i].platform, class);

        fprintf(out, " | %6s  %6s %8s %5s", cell_ratio(a, mean ? mean->value : NAN),
                cell_ratio(b, mean && matched && mean->nr_members == matched->nr_members ? mean->value / matched->value : NAN),
                cell_percent(c, hypervisor_of(mean)), "");
    }
    fprintf(out, "\n%-34s | %16s", "worst ratio", "");
    for (size_t i = 0; i < NR; i++) {
        const struct stats_aggregate *mean = stats_mean(stats, assisted[i].platform, class);

        fprintf(out, " | %6s  %-21.21s", cell_ratio(a, mean && mean->worst ? mean->worst->ratio.median : NAN),
                mean && mean->worst ? mean->worst->workload : "");
    }
    fputc('\n', out);
}

/* The events, each for the platforms that can have it: native, PV, then those of assisted[]. */
static const struct {
    const char *title;
    enum counter_id counter;
    bool native, pv;
} events[] = {
    {"world switches", COUNTER_hv_entry, false, true}, {"nested faults", COUNTER_nested_fault, false, false},
    {"interrupts", COUNTER_irq, true, false},          {"exceptions", COUNTER_exception, true, false},
    {"CR3 loads", COUNTER_cr3_load, true, false},
};
#define NR_EVENTS (sizeof(events) / sizeof(events[0]))

static void print_event_row(FILE *out, const struct stats *stats, const char *workload, enum run_class class)
{
    fprintf(out, "%-16.16s", workload);
    for (size_t e = 0; e < NR_EVENTS; e++) {
        const char *const platforms[] = {events[e].native ? "native" : events[e].pv ? "pv" : NULL, "pvh", "hvm-pv", "hvm"};

        fputs(" |", out);
        for (size_t p = 0; p < sizeof(platforms) / sizeof(platforms[0]); p++) {
            const struct stats_row *row = platforms[p] ? stats_find(stats, workload, platforms[p], class) : NULL;
            char cell[CELL_MAX];

            if (platforms[p])
                fprintf(out, " %5s", cell_rate(cell, row ? row->events[events[e].counter] : NAN));
        }
    }
    fputc('\n', out);
}

static void each_workload(FILE *out, const struct stats *stats, enum run_class class, enum run_kind kind,
                          void (*print)(FILE *, const struct stats *, const char *, enum run_class))
{
    const char *last = "";

    for (size_t i = 0; i < stats->nr_rows; i++) {
        const struct stats_row *row = &stats->rows[i];

        if (row->class != class || row->kind != kind || !strcmp(row->workload, last))
            continue;
        last = row->workload;
        print(out, stats, last, class);
    }
}

void report_assisted(FILE *out, const struct stats *stats, enum run_class class)
{
    if (!any_row(stats, class))
        return;
    fprintf(out, "\nHardware-assisted domains, class %s; CPU %s\n%-16s %9s %7s | %16s", run_class_name(class),
            stats->run->cpu_model, "", "", "matched", "PV      ");
    for (size_t i = 0; i < NR; i++)
        fprintf(out, " | %19s%10s", assisted[i].title, "");
    fprintf(out, "\n%-16s %9s %7s | %6s  %8s", "workload", "native", "ratio", "ratio", "hv");
    for (size_t i = 0; i < NR; i++)
        fprintf(out, " | %6s  %6s %8s %5s", "ratio", "to m", "hv", "exits");
    fputc('\n', out);
    rule(out);
    each_workload(out, stats, class, RUN_MACRO, print_count_row);
    if (stats_suite_size(stats->run)) {
        rule(out);
        print_means(out, stats, class);
        rule(out);
    }
    each_workload(out, stats, class, RUN_MICRO, print_count_row);
    fprintf(out, "ratio: to native; to m: to native-matched; exits: VM exits per million native instructions\n"
                 "\nEvents per million native instructions, class %s (n = native, HPV = PV-on-HVM)\n%-16s",
            run_class_name(class), "");
    for (size_t e = 0; e < NR_EVENTS; e++)
        fprintf(out, " | %*s", events[e].native || events[e].pv ? 23 : 17, events[e].title);
    fprintf(out, "\n%-16s", "workload");
    for (size_t e = 0; e < NR_EVENTS; e++)
        fprintf(out, " |%s   PVH   HPV   HVM", events[e].native ? "     n" : events[e].pv ? "    PV" : "");
    fputc('\n', out);
    rule(out);
    each_workload(out, stats, class, RUN_MACRO, print_event_row);
    each_workload(out, stats, class, RUN_MICRO, print_event_row);
}

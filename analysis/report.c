/* SPDX-License-Identifier: MIT */
/*
 * The tables that a person reads on a terminal: at most 140 columns, the same bytes for the same
 * run.
 *
 * One block per class of mitigations, since classes are never crossed: native, what
 * native-matched makes of it, ours, the peer; then the mean and the worst of the suite. A second
 * block has what instruction counts do not see. Hardware-assisted domains have tables of their own (report_assisted.c).
 * Does not: compute (stats.c), write JSON (report_json.c), draw (figure.c).
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "analysis/model.h"
#include "analysis/report.h"
#include "analysis/stats.h"
#include "analysis/tables.h"

/* Which platforms stand in the block of a class: ours, and the peer in the same class of
 * mitigations. */
static const struct {
    const char *title;
    const char *ours, *peer;
} blocks[] = {
    [RUN_DEFAULT] = {"mitigations as shipped", "pv", "xen-pv"},
    [RUN_TUNED] = {"mitigations off", "pv", "xen-pv-tuned"},
};

const char *cell_count(char cell[CELL_MAX], double value)
{
    if (isnan(value))
        return strcpy(cell, "-");
    if (value >= 1e9)
        snprintf(cell, CELL_MAX, "%.*f G", value < 1e10 ? 3 : value < 1e11 ? 2 : 1, value / 1e9);
    else if (value >= 1e6)
        snprintf(cell, CELL_MAX, "%.*f M", value < 1e7 ? 3 : value < 1e8 ? 2 : 1, value / 1e6);
    else if (value >= 999.5)
        snprintf(cell, CELL_MAX, "%.0f,%03.0f", floor(round(value) / 1000),
                 fmod(round(value), 1000));
    else
        snprintf(cell, CELL_MAX, "%.*f", value < 100 && value != floor(value) ? 1 : 0, value);
    return cell;
}

const char *cell_ratio(char cell[CELL_MAX], double value)
{
    if (isnan(value))
        return strcpy(cell, "-");
    snprintf(cell, CELL_MAX, "%.*f", fabs(value) < 999.9 ? 3 : 0, value);
    return cell;
}

const char *cell_percent(char cell[CELL_MAX], double value)
{
    if (isnan(value))
        return strcpy(cell, "-");
    snprintf(cell, CELL_MAX, "%+.*f%%", fabs(value) < 9.999 ? 2 : 0,
             fabs(value) < 5e-5 ? 0 : value * 100);
    return cell;
}

const char *cell_rate(char cell[CELL_MAX], double value)
{
    if (isnan(value))
        return strcpy(cell, "-");
    if (value == 0)
        return strcpy(cell, "0");
    if (value < 99.95)
        snprintf(cell, CELL_MAX, "%.*f", value < 9.995 ? 2 : 1, value);
    else if (value < 99999.5)
        snprintf(cell, CELL_MAX, "%.0f", value);
    else
        snprintf(cell, CELL_MAX, "%.0fk", value / 1e3);
    return cell;
}

const char *row_flag_name(uint32_t bit)
{
    switch (bit) {
    case SAMPLE_UNREPEATED:
        return "unrepeated";
    case SAMPLE_INEXACT:
        return "inexact";
    case ROW_QUICK:
        return "quick";
    case ROW_NO_NATIVE:
        return "no-native";
    case ROW_NO_NULL:
        return "no-null";
    case ROW_INDISTINCT:
        return "not-distinguishable";
    case ROW_SEEDS_MISSING:
        return "seeds-missing";
    case ROW_ERROR:
        return "error";
    default:
        return NULL;
    }
}

static void rule(FILE *out, int width)
{
    while (width--)
        fputc('-', out);
    fputc('\n', out);
}

/* The number of seeds that the rows of a kind have at most. */
static size_t seeds_of(const struct stats *stats, enum run_kind kind)
{
    size_t most = 0;

    for (size_t i = 0; i < stats->nr_rows; i++)
        if (stats->rows[i].kind == kind && stats->rows[i].nr_seeds > most)
            most = stats->rows[i].nr_seeds;
    return most;
}

static void print_head(FILE *out, const struct stats *stats)
{
    const struct run *run = stats->run;
    char fingerprint[65];

    run_fingerprint(run, fingerprint);
    fprintf(out, "%s %s: mode %s, %s%s per operation, REP folded\n", run->experiment, run->run_id,
            run->mode, run->unit, strcmp(run->mode, "count") ? "" : " (synthetic clock)");
    fprintf(out, "median over the seeds, %zu a program, %zu a single operation%s%s\n",
            seeds_of(stats, RUN_MACRO), seeds_of(stats, RUN_MICRO),
            run->quick ? "; QUICK: one seed, no claim of difference" : "",
            run->complete ? "" : "; INCOMPLETE");
    fprintf(out, "CPU %s", *run->cpu_model ? run->cpu_model : "unknown");
    if (*run->suite_id)
        fprintf(out, ", suite %s %.12s", run->suite_id, run->suite_sha256);
    if (*run->hv_build_id)
        fprintf(out, ", hypervisor %.12s", run->hv_build_id);
    fprintf(out, ", fingerprint %.12s\n", fingerprint);
    for (size_t i = 0; i < run->nr_provenance; i++)
        if (!strcmp(run->provenance[i].key, OTHER_SUITE_KEY))
            fprintf(out, "NOT THE FROZEN SUITE (%.12s): other packages; not comparable with it\n",
                    run->provenance[i].value);
}

/* The flags of a row that need a word beside the marks; `cell` grows by them. */
static void add_flags(char *cell, size_t size, const struct stats_row *row)
{
    uint32_t flags =
        row ? row->flags & ~(ROW_QUICK | ROW_INDISTINCT | ROW_NO_NULL | ROW_NO_NATIVE) : 0;

    for (uint32_t bit = 1; bit && bit <= flags; bit <<= 1) {
        const char *name = flags & bit ? row_flag_name(bit) : NULL;

        if (name && !strstr(cell, name))
            snprintf(cell + strlen(cell), size - strlen(cell), " %s", name);
    }
}

/* The mark behind a ratio: whether it can be told from 1. In a quick run the head says it for all.
 */
static const char *ratio_mark(const struct stats *stats, const struct stats_row *row)
{
    if (!row || isnan(row->ratio.median) || stats->run->quick)
        return " ";
    return row->flags & (ROW_QUICK | ROW_NO_NULL) ? "?" : row->flags & ROW_INDISTINCT ? "~" : " ";
}

static void print_platform_cells(FILE *out, const struct stats *stats, const struct stats_row *row)
{
    char count[CELL_MAX], ratio[CELL_MAX], guest[CELL_MAX], hypervisor[CELL_MAX];

    fprintf(out, " | %9s %7s%s%9s %8s", cell_count(count, row ? row->count.median : NAN),
            cell_ratio(ratio, row ? row->ratio.median : NAN), ratio_mark(stats, row),
            cell_percent(guest, row ? row->guest_share : NAN),
            cell_percent(hypervisor, row ? row->hypervisor_share : NAN));
}

static void print_row(FILE *out, const struct stats *stats, const char *workload,
                      enum run_class class)
{
    const struct stats_row *native = stats_find(stats, workload, "native", class);
    const struct stats_row *matched = stats_find(stats, workload, "native-matched", class);
    const struct stats_row *ours = stats_find(stats, workload, blocks[class].ours, class);
    const struct stats_row *peer = stats_find(stats, workload, blocks[class].peer, class);
    char count[CELL_MAX], ratio[CELL_MAX], against[CELL_MAX], flags[128] = "";

    fprintf(out, "%-22.22s %9s %7s", workload,
            cell_count(count, native ? native->count.median : NAN),
            cell_ratio(ratio, matched ? matched->ratio.median : NAN));
    print_platform_cells(out, stats, ours);
    print_platform_cells(out, stats, peer);
    bool both = ours && peer && peer->hypervisor > 0;

    if (ours && peer && stats_differ(ours, peer) > 0)
        strcpy(flags, " above-Xen");
    add_flags(flags, sizeof(flags), native);
    add_flags(flags, sizeof(flags), ours);
    add_flags(flags, sizeof(flags), peer);
    fprintf(out, " | %6s%.20s\n",
            cell_ratio(against, both ? ours->hypervisor / peer->hypervisor : NAN), flags);
}

/* A mean over a part of the suite says of how many members, so that nobody takes it for the whole.
 */
static void print_mean_cells(FILE *out, const struct stats *stats,
                             const struct stats_aggregate *mean)
{
    char part[64] = "", ratio[CELL_MAX], guest[CELL_MAX], hypervisor[CELL_MAX];

    if (mean && !mean->whole)
        snprintf(part, sizeof(part), "%zu of %zu", mean->nr_members, stats_suite_size(stats->run));
    fprintf(out, " | %9s %7s %9s %8s", part, cell_ratio(ratio, mean ? mean->value : NAN),
            cell_percent(guest, mean ? mean->guest : NAN),
            cell_percent(hypervisor, mean ? mean->hypervisor : NAN));
}

/* "worst" names two workloads of one platform: the largest ratio and the largest hypervisor share.
 */
static void print_worst_cells(FILE *out, const struct stats_aggregate *mean, bool hypervisor)
{
    const struct stats_row *row = !mean ? NULL : hypervisor ? mean->worst_hypervisor : mean->worst;
    char cell[CELL_MAX];

    if (hypervisor)
        fprintf(out, " | %26.26s %9s", row ? row->workload : "",
                cell_percent(cell, row ? row->hypervisor_share : NAN));
    else
        fprintf(out, " | %9.9s %7s %18s", row ? row->workload : "",
                cell_ratio(cell, row ? row->ratio.median : NAN), "");
}

static void print_means(FILE *out, const struct stats *stats, enum run_class class)
{
    const struct stats_aggregate *ours = stats_mean(stats, blocks[class].ours, class);
    const struct stats_aggregate *peer = stats_mean(stats, blocks[class].peer, class);
    const struct stats_aggregate *matched = stats_mean(stats, "native-matched", class);
    bool alike = ours && peer && ours->nr_members == peer->nr_members && peer->hypervisor > 0;
    char title[64], ratio[CELL_MAX], against[CELL_MAX];

    if (!ours && !peer)
        return;
    snprintf(title, sizeof(title), "mean of %zu, equal work", stats_suite_size(stats->run));
    fprintf(out, "%-32.32s %7s", title,
            cell_ratio(ratio, matched && matched->whole ? matched->value : NAN));
    print_mean_cells(out, stats, ours);
    print_mean_cells(out, stats, peer);
    fprintf(out, " | %6s\n",
            cell_ratio(against, alike ? ours->hypervisor / peer->hypervisor : NAN));
    fprintf(out, "%-40s", "worst ratio");
    print_worst_cells(out, ours, false);
    print_worst_cells(out, peer, false);
    fprintf(out, " |\n%-40s", "worst hypervisor share");
    print_worst_cells(out, ours, true);
    print_worst_cells(out, peer, true);
    fprintf(out, " |\n");
}

/* Whether a class has anything for its table of PV and the peer. */
static bool has_class(const struct stats *stats, enum run_class class)
{
    bool any = false, assisted = false;

    for (size_t i = 0; i < stats->nr_rows; i++) {
        const struct stats_row *row = &stats->rows[i];

        if (report_is_primitive(row->workload)) {
            assisted = true; /* has its own table */
            continue;
        }
        if (row->class == class &&
            (!strcmp(row->platform, blocks[class].ours) || !strcmp(row->platform, blocks[class].peer)))
            return true;
        any |= row->class == class;
        assisted |= row->class == class && report_is_assisted(row->platform);
    }
    return any && !assisted;
}

/* Call `print` once per workload of a class and kind, in table order. @return whether there was one
 */
static bool each_workload(FILE *out, const struct stats *stats, enum run_class class,
                          enum run_kind kind,
                          void (*print)(FILE *, const struct stats *, const char *, enum run_class))
{
    const char *last = "";
    bool any = false;

    for (size_t i = 0; i < stats->nr_rows; i++) {
        const struct stats_row *row = &stats->rows[i];

        if (row->class != class || row->kind != kind || !strcmp(row->workload, last))
            continue;
        last = row->workload;
        print(out, stats, last, class);
        any = true;
    }
    return any;
}

static void print_counts(FILE *out, const struct stats *stats, enum run_class class)
{
    fprintf(out, "\nClass %s: %s\n", run_class_name(class), blocks[class].title);
    fprintf(out, "%-22s %9s %7s | %36s | %36s | %6s\n", "", "", "matched", "PV, Parangon       ",
            class == RUN_TUNED ? "PV, Xen tuned      " : "PV, Xen          ", "hv of");
    fprintf(out, "%-22s %9s %7s", "workload", "native", "ratio");
    for (int i = 0; i < 2; i++)
        fprintf(out, " | %9s %7s %9s %8s", "instr.", "ratio", "guest", "hv");
    fprintf(out, " | %6s flags\n", "Xen's");
    rule(out, 132);
    if (each_workload(out, stats, class, RUN_MACRO, print_row)) {
        rule(out, 132);
        print_means(out, stats, class);
        rule(out, 132);
    }
    each_workload(out, stats, class, RUN_MICRO, print_row);
}

/* The event columns: a sum of counters that mean one thing to a reader; `native` only where native
 * can have it. */
static const struct {
    const char *title;
    int first, second; /* counters, -1 = none */
    bool native;
} event_columns[] = {
    {"CR3 loads", COUNTER_cr3_load, -1, true},
    {"CR0/4/8", COUNTER_cr_write, -1, true},
    {"INVLPG/PCID", COUNTER_invlpg, COUNTER_invpcid, true},
    {"WRMSR", COUNTER_wrmsr, -1, true},
    {"IRET", COUNTER_iret, -1, true},
    {"interrupts", COUNTER_irq, -1, true},
    {"hv entries", COUNTER_hv_entry, -1, false},
};
#define EVENT_COLUMNS (sizeof(event_columns) / sizeof(event_columns[0]))

static void print_rate(FILE *out, const struct stats_row *row, size_t column)
{
    int first = event_columns[column].first, second = event_columns[column].second;
    double rate = row ? row->events[first] : NAN;
    char cell[CELL_MAX];

    if (row && second >= 0)
        rate += row->events[second];
    fprintf(out, " %5s", cell_rate(cell, rate));
}

static void print_event_row(FILE *out, const struct stats *stats, const char *workload,
                            enum run_class class)
{
    const struct stats_row *native = stats_find(stats, workload, "native", class);
    const struct stats_row *ours = stats_find(stats, workload, blocks[class].ours, class);
    const struct stats_row *peer = stats_find(stats, workload, blocks[class].peer, class);

    fprintf(out, "%-19.19s", workload);
    for (size_t i = 0; i < EVENT_COLUMNS; i++) {
        if (event_columns[i].native)
            print_rate(out, native, i);
        print_rate(out, ours, i);
        print_rate(out, peer, i);
    }
    fputc('\n', out);
}

static void print_events(FILE *out, const struct stats *stats, enum run_class class)
{
    fprintf(out,
            "\nEvents per million native instructions, class %s (n = native, PV = Parangon)\n%-19s",
            run_class_name(class), "");
    for (size_t i = 0; i < EVENT_COLUMNS; i++)
        fprintf(out, " %*s", event_columns[i].native ? 17 : 11, event_columns[i].title);
    fprintf(out, "\n%-19s", "workload");
    for (size_t i = 0; i < EVENT_COLUMNS; i++)
        fprintf(out, "%s %5s %5s", event_columns[i].native ? "     n" : "", "PV", "Xen");
    fputc('\n', out);
    rule(out, 139);
    if (each_workload(out, stats, class, RUN_MACRO, print_event_row))
        rule(out, 139);
    each_workload(out, stats, class, RUN_MICRO, print_event_row);
}

/* Whether the tables have a column for a row. */
static bool row_shown(const struct stats_row *row)
{
    return !strcmp(row->platform, "native") || !strcmp(row->platform, "native-matched") ||
           report_is_assisted(row->platform) || !strcmp(row->platform, blocks[row->class].ours) ||
           !strcmp(row->platform, blocks[row->class].peer);
}

/* Which machines ran twice, and with what outcome. */
static void print_repeats(FILE *out, const struct run *run)
{
    const char *separator = "Run twice, all counts compared: ";

    for (size_t i = 0; i < run->nr_facts; i++)
        if (!strcmp(run->facts[i].key, REPEAT_FACT)) {
            fprintf(out, "%s%s %s", separator, run->facts[i].platform, run->facts[i].value);
            separator = "; ";
        }
    fputs(*separator == ';' ? "\n" : "Nothing ran twice: whether counts repeat was not checked\n",
          out);
}

static void print_foot(FILE *out, const struct stats *stats)
{
    const struct run *run = stats->run;
    size_t hidden = 0;

    fputs("\nratio = 1 + guest + hv, to native of the same class; guest: what the guest itself "
          "executes more than "
          "native; hv: the hypervisor's\n"
          "instructions over native's. matched: native without what PV cannot have. hv of Xen's: "
          "ours over Xen's "
          "hypervisor instructions.\n"
          "~ not distinguishable from native (differences of both signs, or within the null "
          "experiment)   "
          "? not judged (too few seeds, or no\n"
          "null experiment)   - not measured   above-Xen: more instructions in total than Xen\n",
          out);
    print_repeats(out, run);
    for (size_t i = 0; i < stats->nr_rows; i++)
        hidden += !row_shown(&stats->rows[i]) && !report_is_primitive(stats->rows[i].workload);
    if (hidden)
        fprintf(out, "%zu rows of other platforms have no column here: see --json\n", hidden);
    for (size_t i = 0; i < run->nr_errors; i++)
        fprintf(out, "no result: %s on %s/%s: %s\n",
                *run->errors[i].workload ? run->errors[i].workload : "all workloads",
                run->errors[i].platform, run_class_name(run->errors[i].class),
                run->errors[i].message);
}

void report_tables(FILE *out, const struct run *run)
{
    struct stats *stats;

    if (run->nr_points) {
        fprintf(out, "simulated: sim-%s %s, %zu figures; `parangon sim` prints its table, h5py reads /points\n", run->experiment,
                run->run_id, run->nr_points);
        return;
    }
    stats = stats_new(run);
    print_head(out, stats);
    for (enum run_class which = RUN_DEFAULT; which <= RUN_TUNED; which++)
        if (has_class(stats, which))
            print_counts(out, stats, which);
    for (enum run_class which = RUN_DEFAULT; which <= RUN_TUNED; which++)
        if (has_class(stats, which))
            print_events(out, stats, which);
    report_primitives(out, stats);
    for (enum run_class which = RUN_DEFAULT; which <= RUN_TUNED; which++) {
        report_assisted(out, stats, which);
        model_print(out, stats, which);
    }
    print_differences(out, run);
    print_foot(out, stats);
    stats_free(stats);
}

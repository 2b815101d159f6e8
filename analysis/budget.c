/* SPDX-License-Identifier: MIT */
/* The overhead budget (budget.h) and its command. */
#include <argp.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/budget.h"
#include "analysis/stats.h"
#include "analysis/tables.h"

/* ---- sums over a run ---- */

struct sum {
    double count, instructions;
};

static bool counts(const struct run *run, const struct run_histogram *h)
{
    for (size_t i = 0; i < run->nr_samples; i++) {
        const struct run_sample *s = &run->samples[i];

        if (s->seed == h->seed && s->iter == h->iter && s->set == h->set && s->class == h->class && !strcmp(s->platform, h->platform) &&
            !strcmp(s->workload, h->workload))
            return !(s->flags & SAMPLE_WARMUP);
    }
    return false;
}

/* What a cause has within the samples of a workload, warm-up left out. */
static struct sum sum_of(const struct run *run, const char *platform, const char *workload, const char *cause)
{
    struct sum sum = {0};

    for (size_t i = 0; i < run->nr_histograms; i++) {
        const struct run_histogram *h = &run->histograms[i];

        if (h->set == RUN_MAIN && h->class == RUN_DEFAULT && !strcmp(h->cause, cause) && !strcmp(h->workload, workload) &&
            !strcmp(h->platform, platform) && counts(run, h)) {
            sum.count += h->entries;
            sum.instructions += h->instructions;
        }
    }
    return sum;
}

/* All intervals of a workload, added up; seq is how many. */
static struct interval total_of(const struct run *run, const char *platform, const char *workload)
{
    struct interval total = {0};

    for (size_t i = 0; i < run->nr_samples; i++) {
        const struct run_sample *s = &run->samples[i];

        if (s->set == RUN_MAIN && s->class == RUN_DEFAULT && !(s->flags & SAMPLE_WARMUP) && !strcmp(s->platform, platform) &&
            !strcmp(s->workload, workload)) {
            total.user += s->interval.user;
            total.kernel += s->interval.kernel;
            total.hypervisor += s->interval.hypervisor;
            total.seq++;
        }
    }
    return total;
}

/* ---- unit costs ---- */

/* Which primitive's entries of a cause give its unit cost. `as`: another cause of that primitive stands for it. */
static const struct rule {
    const char *cause, *primitive, *as;
} rules[] = {
    {"syscall", "micro-syscall-bounce", NULL},
    {"hypercall-iret", "micro-syscall-bounce", NULL},
    {"vector-14", "micro-page-fault-masking", NULL},
    {"vector-14-kernel", "micro-pte-store", NULL},
    {"vector-13-kernel", "micro-rdmsr", NULL},
    {"vector-6-kernel", "micro-cpuid", NULL},
    {"hypercall-version", "micro-hypercall", NULL},
    {"hypercall-va_mapping", "micro-update-va-mapping", NULL},
    {"hypercall-mmuext-baseptr", "micro-cr3-switch", NULL},
    {"hypercall-mmuext-user-baseptr", "micro-cr3-switch", "hypercall-mmuext-baseptr"},
    {"hypercall-mmuext-invlpg-local", "micro-invlpg", NULL},
    {"hypercall-stack_switch", "micro-stack-switch", NULL},
    {"hypercall-segment_base", "micro-set-segment-base", NULL},
    {"hypercall-vcpu_op", "micro-os-timer-while-running", NULL},
    {"vector-240", "micro-os-timer-while-running", "vector-240-kernel"},
    {"vector-240-kernel", "micro-os-timer-while-running", NULL},
    {"exit-interrupt", "micro-os-timer-while-running", NULL},
    {"hypercall-event_channel", "micro-event-to-self", NULL},
    {"hypercall-sched_op", "micro-os-timer-and-sleep", NULL},
    {"exit-cpuid", "micro-cpuid-user", NULL},
    {"exit-io", "micro-port-in", NULL},
    {"exit-msr", "micro-x2apic-timer", NULL},
    {"exit-cr8-write", "micro-cr8-write", NULL},
    {"exit-device", "micro-xapic-eoi", NULL},
    {"exit-nested-fault", "micro-nested-fault-2m", NULL},
    {"exit-window", "micro-x2apic-self-ipi", NULL},
    {"exit-hlt", "micro-os-timer-and-sleep", NULL},
    {"exit-hypercall-version", "micro-hypercall", NULL},
    {"exit-hypercall-vcpu_op", "micro-os-timer-while-running", NULL},
    {"exit-hypercall-event_channel", "micro-event-to-self", NULL},
};

/* The same for a guest that knows of no hypervisor, before those: its clock is a PC's. */
static const struct rule pc_rules[] = {
    {"exit-interrupt", "micro-pc-timer-while-running", NULL},
    {"exit-msr", "micro-pc-timer-while-running", NULL},
    {"exit-device", "micro-pc-timer-while-running", NULL},
    {"exit-hlt", "micro-pc-timer-and-sleep", NULL},
};

/* Primitives run as PV or PVH: an HVM domain's exits are those of PVH. */
static const char *platform_of_units(const char *platform)
{
    return strncmp(platform, "hvm", 3) == 0 ? "pvh" : platform;
}

static double per_entry(const struct run *units, const char *platform, const char *primitive, const char *cause)
{
    struct sum sum = sum_of(units, platform, primitive, cause);

    return sum.count > 0 ? sum.instructions / sum.count : NAN;
}

/* What one more request costs, from a call with one and a call with many. */
static double per_request(const struct run *units, const char *platform, const char *one, const char *many, const char *cause, int more)
{
    return (per_entry(units, platform, many, cause) - per_entry(units, platform, one, cause)) / more;
}

static double null_call(const struct run *units, const char *platform)
{
    return per_entry(units, platform, "micro-hypercall", "hypercall-version");
}

/* Work within entries. A pin and an unpin of a table: what an empty one costs more than a short mmuext_op; an entry: what 512 add. */
static double work_unit(const struct run *units, const char *platform, const char *work)
{
    const char *pin = work[0] == 'u' ? "hypercall-mmuext-unpin" : "hypercall-mmuext-pin-l1";
    double request = per_request(units, platform, "micro-multicall-1", "micro-multicall-8", "hypercall-multicall", 7);
    char cause[RUN_NAME_MAX];

    if (!strcmp(work, "mmu-updates"))
        return per_request(units, platform, "micro-mmu-update-1", "micro-mmu-update-64", "hypercall-mmu_update", 63);
    if (!strcmp(work, "pin-tables") || !strcmp(work, "unpin-tables"))
        return per_entry(units, platform, "micro-pin-unpin-empty-l1", pin) -
               per_entry(units, platform, "micro-invlpg", "hypercall-mmuext-invlpg-local");
    if (!strcmp(work, "pin-entries") || !strcmp(work, "unpin-entries"))
        return per_request(units, platform, "micro-pin-unpin-empty-l1", "micro-pin-unpin-full-l1", pin, 512);
    if (!strncmp(work, "inner-", 6) && strcmp(work, "inner-mmuext")) {
        snprintf(cause, sizeof(cause), "hypercall-%s", work + 6);
        return budget_unit(units, platform, cause) - null_call(units, platform) + request;
    }
    return 0; /* multicall-calls, inner-mmuext: counted by their parts */
}

static const struct rule *find_rule(const struct rule *table, size_t nr, const char *cause)
{
    for (size_t i = 0; i < nr; i++)
        if (!strcmp(table[i].cause, cause))
            return &table[i];
    return NULL;
}

double budget_unit(const struct run *units, const char *platform, const char *cause)
{
    const char *of = platform_of_units(platform);
    const struct rule *rule = NULL;

    if (!strncmp(cause, "work-", 5))
        return work_unit(units, of, cause + 5);
    if (!strcmp(platform, "hvm"))
        rule = find_rule(pc_rules, sizeof(pc_rules) / sizeof(pc_rules[0]), cause);
    if (!rule)
        rule = find_rule(rules, sizeof(rules) / sizeof(rules[0]), cause);
    if (rule)
        return per_entry(units, of, rule->primitive, rule->as ? rule->as : cause);
    if (!strcmp(cause, "hypercall-mmu_update")) /* the call; its requests are work */
        return per_entry(units, of, "micro-mmu-update-toggle", cause) - work_unit(units, of, "mmu-updates");
    if (!strcmp(cause, "hypercall-multicall"))
        return per_entry(units, of, "micro-multicall-1", cause) -
               per_request(units, of, "micro-multicall-1", "micro-multicall-8", cause, 7);
    if (!strncmp(cause, "hypercall-mmuext-", 17)) /* pins and unpins: the tables are work */
        return per_entry(units, of, "micro-invlpg", "hypercall-mmuext-invlpg-local");
    if (!strncmp(cause, "exit-hypercall-", 15))
        return per_entry(units, of, "micro-hypercall", "exit-hypercall-version");
    if (!strncmp(cause, "hypercall-", 10))
        return null_call(units, of);
    return NAN;
}

/* ---- one workload ---- */

static void add_cause(struct budget_row *row, const struct run *units, const struct run *run, const char *platform, const char *cause)
{
    struct budget_cause *c = &row->cause[row->nr_causes];
    struct sum sum;

    for (size_t i = 0; i < row->nr_causes; i++)
        if (!strcmp(row->cause[i].name, cause))
            return;
    if (row->nr_causes == BUDGET_CAUSES_MAX)
        return;
    sum = sum_of(run, platform, row->workload, cause);
    snprintf(c->name, sizeof(c->name), "%s", cause);
    c->count = sum.count;
    c->instructions = strncmp(cause, "work-", 5) ? sum.instructions : NAN;
    c->unit = budget_unit(units, platform, cause);
    row->nr_causes++;
}

int budget_row(const struct run *units, const struct run *run, const char *platform, const char *workload, struct budget_row *row)
{
    struct interval ours = total_of(run, platform, workload), native = total_of(run, "native", workload);
    double all = native.user + native.kernel, predicted = 0, unpriced = 0;

    *row = (struct budget_row){.workload = workload};
    if (!ours.seq || ours.seq != native.seq || all <= 0)
        return -1;
    for (size_t i = 0; i < run->nr_histograms; i++) {
        const struct run_histogram *h = &run->histograms[i];

        if (h->set == RUN_MAIN && h->class == RUN_DEFAULT && !strcmp(h->workload, workload) && !strcmp(h->platform, platform))
            add_cause(row, units, run, platform, h->cause);
    }
    for (size_t i = 0; i < row->nr_causes; i++) {
        const struct budget_cause *c = &row->cause[i];

        if (!isnan(c->unit))
            predicted += c->count * c->unit;
        else if (!isnan(c->instructions))
            unpriced += c->instructions;
    }
    row->measured = ours.hypervisor / all;
    row->predicted = predicted / all;
    row->unpriced = unpriced / all;
    row->guest = (ours.user + ours.kernel) / all - 1;
    return row->nr_causes ? 0 : -1;
}

/* ---- printing ---- */

static const char *const platforms[] = {"pv", "pvh", "hvm-pv", "hvm", "xen-pv"};

static void print_causes(FILE *out, const struct budget_row *row)
{
    char count[CELL_MAX], unit[CELL_MAX], product[CELL_MAX], measured[CELL_MAX];

    for (size_t i = 0; i < row->nr_causes; i++) {
        const struct budget_cause *c = &row->cause[i];

        fprintf(out, "    %-34s %10s x %9s = %10s   measured %10s\n", c->name, cell_count(count, c->count), cell_count(unit, c->unit),
                cell_count(product, c->count * c->unit), cell_count(measured, c->instructions));
    }
}

static double error_of(const struct budget_row *row)
{
    return row->measured > 0 ? row->predicted / row->measured - 1 : NAN;
}

static size_t print_platform(FILE *out, const struct run *units, const struct run *run, const char *platform, bool causes)
{
    double errors[64];
    size_t nr = 0;
    struct budget_row row, worst = {0};
    char a[CELL_MAX], b[CELL_MAX], c[CELL_MAX], d[CELL_MAX], e[CELL_MAX], f[CELL_MAX];

    for (size_t i = 0; i < run->nr_workloads && nr < sizeof(errors) / sizeof(errors[0]); i++) {
        if (run->workloads[i].kind != RUN_MACRO || budget_row(units, run, platform, run->workloads[i].name, &row) < 0)
            continue;
        if (nr == 0)
            fprintf(out, "\n%-16s %10s %10s %8s | %10s %10s | %12s\n", platform, "measured", "predicted", "error", "rest", "no unit", "guest's own");
        fprintf(out, "%-16.16s %10s %10s %8s | %10s %10s | %12s\n", row.workload, cell_percent(a, row.measured), cell_percent(b, row.predicted),
                cell_percent(c, error_of(&row)), cell_percent(d, row.measured - row.predicted), cell_percent(e, row.unpriced),
                cell_percent(f, row.guest));
        if (causes)
            print_causes(out, &row);
        errors[nr++] = fabs(error_of(&row));
        if (!worst.workload || fabs(error_of(&row)) > fabs(error_of(&worst)))
            worst = row;
    }
    if (nr)
        fprintf(out, "%-16s median error %s, worst %s (%s)\n", "", cell_percent(a, stats_median(errors, nr)),
                cell_percent(b, fabs(error_of(&worst))), worst.workload);
    return nr;
}

size_t budget_print(FILE *out, const struct run *units, const struct run *run, bool causes)
{
    size_t nr = 0;

    fprintf(out, "Overhead budget: hypervisor instructions over native's, class default\n"
                 "counts of %s %s, unit costs of %s %s, hypervisors %.12s and %.12s\n",
            run->experiment, run->run_id, units->experiment, units->run_id, run->hv_build_id, units->hv_build_id);
    for (size_t i = 0; i < sizeof(platforms) / sizeof(platforms[0]); i++)
        nr += print_platform(out, units, run, platforms[i], causes);
    if (nr)
        fputs("\nrest: measured less predicted; no unit: of measured, in causes without a unit cost; guest's own: what the guest itself executes\n"
              "more than native, measured, not predicted\n",
              out);
    return nr;
}

/* ---- the command ---- */

struct budget_options {
    bool causes;
    const char *files[2];
    size_t nr_files;
};

static error_t option(int key, char *argument, struct argp_state *state)
{
    struct budget_options *options = state->input;

    switch (key) {
    case 'c':
        options->causes = true;
        return 0;
    case ARGP_KEY_ARG:
        if (options->nr_files == 2)
            argp_error(state, "two files: unit costs, then a run of programs");
        options->files[options->nr_files++] = argument;
        return 0;
    case ARGP_KEY_END:
        if (options->nr_files != 2)
            argp_error(state, "two files: unit costs (bench primitives), then a run of programs (bench, bench hvm)");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int cmd_budget(int argc, char **argv)
{
    static const struct argp_option list[] = {
        {"causes", 'c', NULL, 0, "Each cause with its count, unit cost and measured instructions"},
        {0},
    };
    static const struct argp argp = {
        list, option, "UNITS RUN",
        "Predict the hypervisor's share of each program of RUN from counts of causes and the unit costs of UNITS, a run of `bench primitives`, and "
        "print it beside the measured one.\vExit status: 0 done, 2 usage or unreadable file, 3 other schema, 4 nothing in RUN can be predicted."};
    struct budget_options options = {0};
    struct run *runs[2] = {NULL};
    enum exit_status status = STATUS_DONE;

    argp_err_exit_status = STATUS_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    for (int i = 0; i < 2 && !status; i++)
        runs[i] = run_read(options.files[i], &status);
    if (!status && runs[0] && runs[1] && !budget_print(stdout, runs[0], runs[1], options.causes)) {
        fprintf(stderr, "parangon: %s has no program with native and causes of entries (results before schema 1.2 have none)\n",
                options.files[1]);
        status = STATUS_INCOMPLETE;
    }
    for (int i = 0; i < 2; i++)
        if (runs[i])
            run_free(runs[i]);
    return status;
}

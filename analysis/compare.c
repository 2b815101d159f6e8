/* SPDX-License-Identifier: MIT */
/*
 * The commands `compare` (what changed between two runs, row by row) and `gate` (may this change
 * go in?).
 *
 * The overhead of a row is its ratio to native of its own run. Two runs are paired seed by seed;
 * the overhead grew (or fell) where all paired differences have one sign and their median
 * exceeds the larger null spread of the two runs. The same rule is asked of the hypervisor's
 * share alone. Only our own platforms can fail a check: native and the peers are shown, not
 * judged. The number of seeds is not bounded from below here: counts of the same seed are exact,
 * and a gate that misses growth is worse than one that asks for another look. With K seeds
 * chance gives one sign with probability 2^(1-K).
 * Does not: run anything; change a baseline.
 */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analysis/results.h"
#include "analysis/stats.h"
#include "analysis/tables.h"

enum verdict { SAME, GREW, FELL, WITHIN_NULL, UNJUDGED, ONLY_A, ONLY_B };

static const char *const verdict_names[] = {
    [SAME] = "same",        [GREW] = "GREW",
    [FELL] = "fell",        [WITHIN_NULL] = "within null",
    [UNJUDGED] = "no null", [ONLY_A] = "only in A",
    [ONLY_B] = "only in B",
};

/* One row of both runs. */
struct pair {
    const struct stats_row *a, *b;
    double change; /* median of paired differences of the ratio to native (of native: relative) */
    double share_change; /* of the hypervisor's share */
    double limit;        /* the null spread that they were judged by */
    enum verdict verdict;
};

static bool is_reference(const struct stats_row *row)
{
    return !strncmp(row->platform, "native", 6);
}

static bool is_ours(const struct stats_row *row)
{
    return !is_reference(row) && strncmp(row->platform, "xen", 3);
}

/* Say why two runs cannot be compared. @return whether they can */
static bool comparable(const struct run *a, const struct run *b, const char *path_a,
                       const char *path_b)
{
    const struct {
        const char *what, *a, *b;
    } keys[] = {
        {"experiment", a->experiment, b->experiment},
        {"mode", a->mode, b->mode},
        {"unit", a->unit, b->unit},
        {"CPU model", a->cpu_model, b->cpu_model},
        {"suite", a->suite_id, b->suite_id},
        {"suite hash", a->suite_sha256, b->suite_sha256},
    };

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strcmp(keys[i].a, keys[i].b)) {
            fprintf(stderr,
                    "parangon: %s and %s are not comparable: %s is \"%s\" there and \"%s\" here\n",
                    path_a, path_b, keys[i].what, keys[i].a, keys[i].b);
            return false;
        }
    }
    return true;
}

/* The overhead of one seed: ratio to native; for the references, which have none, relative to the
 * other run. */
static double seed_change(const struct stats_row *row, const struct stats_seed *a,
                          const struct stats_seed *b)
{
    if (is_reference(row))
        return b->total / a->total - 1;
    return b->total / b->native - a->total / a->native;
}

static void judge(struct pair *pair)
{
    const struct stats_row *a = pair->a, *b = pair->b;
    double *changes = calloc(a->nr_seeds + 1, sizeof(*changes));
    double *shares = calloc(a->nr_seeds + 1, sizeof(*shares));
    size_t count = 0;

    pair->limit = fmax(a->null_spread, b->null_spread);
    for (size_t i = 0, j = 0; changes && shares && i < a->nr_seeds && j < b->nr_seeds;) {
        const struct stats_seed *left = &a->seeds[i], *right = &b->seeds[j];

        if (left->seed == right->seed) {
            changes[count] = seed_change(a, left, right);
            shares[count] = right->hypervisor / right->native - left->hypervisor / left->native;
            count += !isnan(changes[count]);
        }
        i += left->seed <= right->seed;
        j += right->seed <= left->seed;
    }
    int sign = stats_sign(changes, count, pair->limit);
    int share_sign = stats_sign(shares, count, pair->limit);

    pair->change = stats_median(changes, count);
    pair->share_change = stats_median(shares, count);
    if (isnan(pair->change))
        pair->verdict = UNJUDGED;
    else if (pair->change == 0 && pair->share_change == 0)
        pair->verdict = SAME;
    else if (isnan(pair->limit))
        pair->verdict = UNJUDGED;
    else if (sign > 0 || (!sign && share_sign > 0))
        pair->verdict = GREW;
    else
        pair->verdict = sign < 0 || (!sign && share_sign < 0) ? FELL : WITHIN_NULL;
    free(changes);
    free(shares);
}

/* All rows of A with their partners in B, then the rows that only B has. */
static struct pair *pairs_of(const struct stats *a, const struct stats *b, size_t *count)
{
    struct pair *pairs = calloc(a->nr_rows + b->nr_rows + 1, sizeof(*pairs));

    *count = 0;
    for (size_t i = 0; pairs && i < a->nr_rows; i++) {
        const struct stats_row *row = &a->rows[i];
        struct pair pair = {.a = row, .b = stats_find(b, row->workload, row->platform, row->class)};

        pair.change = pair.share_change = pair.limit = NAN;
        pair.verdict = ONLY_A;
        if (pair.b)
            judge(&pair);
        pairs[(*count)++] = pair;
    }
    for (size_t i = 0; pairs && i < b->nr_rows; i++) {
        const struct stats_row *row = &b->rows[i];

        if (!stats_find(a, row->workload, row->platform, row->class))
            pairs[(*count)++] = (struct pair){NULL, row, NAN, NAN, NAN, ONLY_B};
    }
    return pairs;
}

static void print_pair(const struct pair *pair)
{
    const struct stats_row *any = pair->a ? pair->a : pair->b;
    char count_a[CELL_MAX], count_b[CELL_MAX], ratio_a[CELL_MAX], ratio_b[CELL_MAX];
    char change[CELL_MAX], share[CELL_MAX], limit[CELL_MAX];

    printf("%-22.22s %-14.14s %-7s | %9s %9s | %7s %7s | %9s %9s %8s | %s\n", any->workload,
           any->platform, run_class_name(any->class),
           cell_count(count_a, pair->a ? pair->a->count.median : NAN),
           cell_count(count_b, pair->b ? pair->b->count.median : NAN),
           cell_ratio(ratio_a, pair->a ? pair->a->ratio.median : NAN),
           cell_ratio(ratio_b, pair->b ? pair->b->ratio.median : NAN),
           cell_percent(change, pair->change), cell_percent(share, pair->share_change),
           cell_percent(limit, pair->limit), verdict_names[pair->verdict]);
}

static void print_pairs_head(const char *path_a, const char *path_b)
{
    printf("A: %s\nB: %s\nchange: of the ratio to native (of native: of the count), hv: of the "
           "hypervisor's "
           "share, both in percent of native;\nnull: what other seeds alone change\n\n",
           path_a, path_b);
    printf("%-22s %-14s %-7s | %9s %9s | %7s %7s | %9s %9s %8s |\n", "workload", "platform",
           "class", "A instr.", "B instr.", "ratio A", "ratio B", "change", "hv", "null");
    for (int i = 0; i < 130; i++)
        putchar('-');
    putchar('\n');
}

static void print_means(const struct stats *a, const struct stats *b)
{
    for (size_t i = 0; i < a->nr_aggregates; i++) {
        const struct stats_aggregate *mean = &a->aggregates[i];
        const struct stats_aggregate *other = stats_mean(b, mean->platform, mean->class);
        char ratio_a[CELL_MAX], ratio_b[CELL_MAX], change[CELL_MAX], share[CELL_MAX];
        bool alike = other && other->nr_members == mean->nr_members;

        printf("%-22.22s %-14.14s %-7s | %9s %9s | %7s %7s | %9s %9s %8s |%s\n",
               mean->whole ? "mean of the suite" : "mean of a part of it", mean->platform,
               run_class_name(mean->class), "", "", cell_ratio(ratio_a, mean->value),
               cell_ratio(ratio_b, other ? other->value : NAN),
               cell_percent(change, alike ? other->value - mean->value : NAN),
               cell_percent(share, alike ? other->hypervisor - mean->hypervisor : NAN), "",
               alike ? "" : " other members");
    }
}

static size_t count_ours(const struct pair *pairs, size_t count, enum verdict verdict)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++)
        found += pairs[i].verdict == verdict && is_ours(pairs[i].a ? pairs[i].a : pairs[i].b);
    return found;
}

/* Compare two runs and print it; `gate` prints only the rows of ours that are not as before. */
static enum exit_status compare_runs(const struct run *run_a, const struct run *run_b,
                                     const char *path_a, const char *path_b, bool gate)
{
    if (!comparable(run_a, run_b, path_a, path_b))
        return STATUS_NOT_COMPARABLE;
    struct stats *a = stats_new(run_a), *b = stats_new(run_b);
    size_t count;
    struct pair *pairs = pairs_of(a, b, &count);

    print_pairs_head(path_a, path_b);
    for (size_t i = 0; i < count; i++)
        if (!gate || (is_ours(pairs[i].a ? pairs[i].a : pairs[i].b) && pairs[i].verdict != SAME))
            print_pair(&pairs[i]);
    print_means(a, b);

    size_t grew = count_ours(pairs, count, GREW), lost = count_ours(pairs, count, ONLY_A);
    size_t unjudged = count_ours(pairs, count, UNJUDGED);

    printf("\n%zu grew, %zu fell, %zu within the null spread, %zu the same; %zu not judged, %zu "
           "missing in B, "
           "%zu new in B (our platforms)\n",
           grew, count_ours(pairs, count, FELL), count_ours(pairs, count, WITHIN_NULL),
           count_ours(pairs, count, SAME), unjudged, lost, count_ours(pairs, count, ONLY_B));
    free(pairs);
    stats_free(a);
    stats_free(b);
    if (grew)
        return STATUS_CHECK_FAILED;
    return lost || unjudged ? STATUS_INCOMPLETE : STATUS_DONE;
}

static enum exit_status compare_files(const char *path_a, const char *path_b, bool gate)
{
    enum exit_status status;
    struct run *a = run_read(path_a, &status);

    if (!a)
        return status;
    struct run *b = run_read(path_b, &status);

    if (b)
        status = compare_runs(a, b, path_a, path_b, gate);
    run_free(a);
    run_free(b);
    return fflush(stdout) ? STATUS_INCOMPLETE : status;
}

struct options {
    const char *files[2];
    int nr_files, wanted;
    const char *baseline;
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;

    switch (key) {
    case 'b':
        options->baseline = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (options->nr_files == options->wanted)
            argp_error(state, "too many files");
        options->files[options->nr_files++] = argument;
        return 0;
    case ARGP_KEY_END:
        if (options->nr_files < options->wanted)
            argp_error(state, "%d result file%s needed; those of your own runs lie in out/",
                       options->wanted, options->wanted > 1 ? "s are" : " is");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

#define STATUS_HELP                                                                                \
    "Exit status: 0 done, 1 the overhead of a platform of ours grew, 2 usage or unreadable file, " \
    "3 not "                                                                                       \
    "comparable (other experiment, mode, CPU model, suite or schema), 4 rows are missing or "      \
    "cannot be judged."

int cmd_compare(int argc, char **argv)
{
    static const struct argp argp = {
        NULL, parse_option, "A B",
        "Show what changed from result file A to result file B, row by row.\v" STATUS_HELP};
    struct options options = {.wanted = 2};

    argp_err_exit_status = STATUS_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    return compare_files(options.files[0], options.files[1], false);
}

/* Look for `name` in a folder and in those above it; `path` receives where it is. */
static bool find_above(const char *folder, const char *name, char *path, size_t size)
{
    char above[PATH_MAX];

    snprintf(above, sizeof(above), "%s", folder);
    while (*above) {
        snprintf(path, size, "%s/%s", above, name);
        if (!access(path, R_OK))
            return true;
        *strrchr(above, '/') = 0;
    }
    return false;
}

/* The tracked baseline of A's experiment: results/baseline-<experiment>.h5 above here or above the
 * program. */
static enum exit_status gate_baseline(const char *path, char *baseline, size_t size)
{
    enum exit_status status;
    struct run *run = run_read(path, &status);
    char name[256], folder[PATH_MAX] = "", program[PATH_MAX] = "";

    if (!run)
        return status;
    snprintf(name, sizeof(name), "results/baseline-%s.h5", run->experiment);
    run_free(run);
    if ((getcwd(folder, sizeof(folder)) && find_above(folder, name, baseline, size)) ||
        (readlink("/proc/self/exe", program, sizeof(program) - 1) > 0 &&
         find_above(program, name, baseline, size)))
        return STATUS_DONE;
    fprintf(stderr,
            "parangon: there is no %s in %s nor in a folder above it; name one with --baseline\n",
            name, folder);
    return STATUS_USAGE;
}

int cmd_gate(int argc, char **argv)
{
    static const struct argp_option list[] = {
        {"baseline", 'b', "FILE", 0,
         "Compare with this file (default: results/baseline-EXPERIMENT.h5)"},
        {0},
    };
    static const struct argp argp = {list, parse_option, "A",
                                     "Check a run against the baseline: fails where the overhead "
                                     "grew beyond the null spread.\v" STATUS_HELP};
    struct options options = {.wanted = 1};
    char baseline[PATH_MAX + 256];

    argp_err_exit_status = STATUS_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    if (!options.baseline) {
        enum exit_status status = gate_baseline(options.files[0], baseline, sizeof(baseline));

        if (status)
            return status;
        options.baseline = baseline;
    }
    return compare_files(options.baseline, options.files[0], true);
}

/* SPDX-License-Identifier: MIT */
/*
 * Statistics of one run: see stats.h for what each value means and for its error bounds.
 *
 * How: samples are sorted into groups (workload, platform, class, set); a group becomes a list
 * of seeds, a list of seeds a row; ratios then join each row with native of its class, seed by
 * seed.
 */
#define _GNU_SOURCE /* qsort_r */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>

#include "analysis/stats.h"

static const char *const platform_order[] = {
    "native", "native-matched", "pv", "pvh", "hvm", "hvm-pv", "xen-pv", "xen-pv-tuned", "xen-pvh",
};

/* The seeds of one group of samples. */
struct group {
    const struct run_sample *first;
    uint32_t flags;
    size_t iterations;
    size_t nr_seeds;
    struct stats_seed *seeds;
};

static void *need(void *memory)
{
    if (!memory) {
        fputs("parangon: out of memory while computing statistics\n", stderr);
        exit(STATUS_INCOMPLETE);
    }
    return memory;
}

int stats_platform_rank(const char *platform)
{
    int count = sizeof(platform_order) / sizeof(platform_order[0]);

    for (int i = 0; i < count; i++)
        if (!strcmp(platform, platform_order[i]))
            return i;
    return count;
}

double stats_median(double *values, size_t count)
{
    if (!count)
        return NAN;
    gsl_sort(values, 1, count);
    return gsl_stats_median_from_sorted_data(values, 1, count);
}

static struct stats_spread spread_of(double *values, size_t count)
{
    struct stats_spread spread = {NAN, NAN, NAN};

    if (count) {
        spread.median = stats_median(values, count); /* sorts */
        spread.min = values[0];
        spread.max = values[count - 1];
    }
    return spread;
}

int stats_sign(double *differences, size_t count, double least)
{
    if (!count || isnan(least))
        return 0;
    double median = stats_median(differences, count); /* sorts */

    if (fabs(median) <= least)
        return 0;
    return differences[0] > 0 ? 1 : differences[count - 1] < 0 ? -1 : 0;
}

/* One interval, per operation. */
static struct stats_seed per_operation(const struct run_sample *sample)
{
    const struct interval *counts = &sample->interval;
    double ops = sample->ops;
    struct stats_seed seed = {
        .seed = sample->seed,
        .user = counts->user / ops,
        .kernel = counts->kernel / ops,
        .hypervisor = counts->hypervisor / ops,
        .total = (double)(counts->user + counts->kernel + counts->hypervisor) / ops,
    };

    for (int i = 0; i < COUNTER_NR; i++)
        seed.events[i] = sample->measured >> i & 1 ? counts->counter[i] / ops : NAN;
    return seed;
}

static int by_total(const void *left, const void *right)
{
    const struct stats_seed *a = left, *b = right;

    if (a->total != b->total)
        return a->total < b->total ? -1 : 1;
    return (a->hypervisor > b->hypervisor) - (a->hypervisor < b->hypervisor);
}

/* The one in the middle by total, parts and all; the mean of the middle two when their number is
 * even. Sorts. */
static struct stats_seed middle(struct stats_seed *list, size_t count)
{
    qsort(list, count, sizeof(*list), by_total);
    struct stats_seed seed = list[count / 2];

    if (count % 2 == 0) {
        const struct stats_seed *other = &list[count / 2 - 1];

        seed.total = (seed.total + other->total) / 2;
        seed.user = (seed.user + other->user) / 2;
        seed.kernel = (seed.kernel + other->kernel) / 2;
        seed.hypervisor = (seed.hypervisor + other->hypervisor) / 2;
        for (int i = 0; i < COUNTER_NR; i++)
            seed.events[i] = (seed.events[i] + other->events[i]) / 2;
    }
    return seed;
}

static bool same_group(const struct run_sample *a, const struct run_sample *b)
{
    return !strcmp(a->workload, b->workload) && !strcmp(a->platform, b->platform) &&
           a->class == b->class && a->set == b->set;
}

/* Make a group of the `count` sorted samples of it; warm-up is left out. */
static struct group group_of(const struct run_sample **samples, size_t count)
{
    struct group group = {.first = samples[0]};
    struct stats_seed *iterations = need(calloc(count, sizeof(*iterations)));

    group.seeds = need(calloc(count, sizeof(*group.seeds)));
    for (size_t i = 0; i < count;) {
        uint32_t seed = samples[i]->seed;
        size_t nr = 0;

        for (; i < count && samples[i]->seed == seed; i++) {
            if (samples[i]->flags & SAMPLE_WARMUP)
                continue;
            group.flags |= samples[i]->flags;
            iterations[nr++] = per_operation(samples[i]);
        }
        if (nr) {
            group.seeds[group.nr_seeds] = middle(iterations, nr);
            group.seeds[group.nr_seeds].iterations = nr;
            group.seeds[group.nr_seeds++].seed = seed;
            group.iterations += nr;
        }
    }
    free(iterations);
    return group;
}

static struct group *groups_of(const struct run *run, size_t *nr_groups)
{
    const struct run_sample **order = need(calloc(run->nr_samples + 1, sizeof(*order)));
    struct group *groups = need(calloc(run->nr_samples + 1, sizeof(*groups)));

    *nr_groups = 0;
    for (size_t i = 0; i < run->nr_samples; i++)
        order[i] = &run->samples[i];
    qsort(order, run->nr_samples, sizeof(*order), run_sample_order);
    for (size_t i = 0, next; i < run->nr_samples; i = next) {
        for (next = i + 1; next < run->nr_samples && same_group(order[i], order[next]); next++)
            ;
        groups[*nr_groups] = group_of(order + i, next - i);
        if (groups[*nr_groups].nr_seeds)
            ++*nr_groups;
        else
            free(groups[*nr_groups].seeds);
    }
    free(order);
    return groups;
}

static const struct group *group_find(const struct group *groups, size_t count,
                                      const char *workload, const char *platform,
                                      enum run_class class, enum run_set set)
{
    for (size_t i = 0; i < count; i++) {
        const struct run_sample *first = groups[i].first;

        if (first->class == class && first->set == set && !strcmp(first->workload, workload) &&
            !strcmp(first->platform, platform))
            return &groups[i];
    }
    return NULL;
}

/* Largest |second / first - 1| of a platform that was run twice, paired by rank; NAN when it was
 * not. */
static double null_spread_of(const struct group *groups, size_t count, const char *workload,
                             const char *platform, enum run_class class)
{
    const struct group *first = group_find(groups, count, workload, platform, class, RUN_MAIN);
    const struct group *second = group_find(groups, count, workload, platform, class, RUN_NULL);
    double spread = NAN;

    if (!first || !second)
        return NAN;
    for (size_t i = 0; i < first->nr_seeds && i < second->nr_seeds; i++)
        spread = fmax(spread, fabs(second->seeds[i].total / first->seeds[i].total - 1));
    return spread;
}

/* Median over the seeds that native has too of one event, per million native instructions. */
static double event_rate(const struct stats_row *row, int event, double *rates)
{
    size_t count = 0;

    for (size_t i = 0; i < row->nr_seeds; i++) {
        if (isnan(row->seeds[i].native))
            continue;
        rates[count] = row->seeds[i].events[event] / row->seeds[i].native * 1e6;
        if (isnan(rates[count++]))
            return NAN;
    }
    return stats_median(rates, count);
}

/* Give each seed of a row native's total with the same seed. @return how many have one */
static size_t pair_seeds(struct stats_row *row, const struct stats_row *native)
{
    size_t count = 0;

    for (size_t i = 0, j = 0; i < row->nr_seeds; i++) {
        row->seeds[i].native = NAN;
        while (native && j < native->nr_seeds && native->seeds[j].seed < row->seeds[i].seed)
            j++;
        if (native && j < native->nr_seeds && native->seeds[j].seed == row->seeds[i].seed &&
            native->seeds[j].total > 0) {
            row->seeds[i].native = native->seeds[j].total;
            count++;
        }
    }
    return count;
}

/* Join a row with native of its class: ratios, shares, events, and whether the two can be told
 * apart. */
static void row_join(struct stats_row *row, const struct stats_row *native)
{
    double *ratios = need(calloc(row->nr_seeds, sizeof(*ratios)));
    double *differences = need(calloc(row->nr_seeds, sizeof(*differences)));
    double *shares = need(calloc(row->nr_seeds, sizeof(*shares)));
    size_t pairs = pair_seeds(row, native), count = 0;

    for (size_t i = 0; i < row->nr_seeds; i++) {
        const struct stats_seed *seed = &row->seeds[i];

        if (isnan(seed->native))
            continue;
        ratios[count] = seed->total / seed->native;
        differences[count] = ratios[count] - 1;
        shares[count++] = seed->hypervisor / seed->native;
    }
    row->ratio = spread_of(ratios, count);
    row->hypervisor_share = stats_median(shares, count);
    row->guest_share = row->ratio.median - 1 - row->hypervisor_share;
    for (int i = 0; i < COUNTER_NR; i++)
        row->events[i] = event_rate(row, i, shares);

    row->flags |= !pairs ? ROW_NO_NATIVE : 0;
    row->flags |= pairs && pairs < native->nr_seeds ? ROW_SEEDS_MISSING : 0;
    if (strcmp(row->platform, "native") && pairs) {
        row->flags |= pairs < STATS_SEEDS_MIN ? ROW_QUICK : 0;
        row->flags |= isnan(row->null_spread) ? ROW_NO_NULL : 0;
        if (pairs < STATS_SEEDS_MIN || !stats_sign(differences, pairs, row->null_spread))
            row->flags |= ROW_INDISTINCT;
    }
    free(ratios);
    free(differences);
    free(shares);
}

int stats_differ(const struct stats_row *a, const struct stats_row *b)
{
    double *differences = need(calloc(a->nr_seeds + 1, sizeof(*differences)));
    size_t count = 0;

    for (size_t i = 0, j = 0; i < a->nr_seeds && j < b->nr_seeds;) {
        if (a->seeds[i].seed != b->seeds[j].seed)
            a->seeds[i].seed < b->seeds[j].seed ? i++ : j++;
        else
            differences[count++] = a->seeds[i++].total / b->seeds[j++].total - 1;
    }
    int sign = count < STATS_SEEDS_MIN
                   ? 0
                   : stats_sign(differences, count, fmax(a->null_spread, b->null_spread));

    free(differences);
    return sign;
}

/* The place of a workload in the plan; those that the plan does not name come after it. */
static size_t plan_place(const struct run *run, const char *workload)
{
    size_t place = 0;

    while (place < run->nr_workloads && strcmp(run->workloads[place].name, workload))
        place++;
    return place;
}

static struct stats_row row_of(const struct run *run, const struct group *groups, size_t count,
                               const struct group *group)
{
    const struct run_sample *first = group->first;
    size_t place = plan_place(run, first->workload);
    struct stats_row row = {
        .workload = first->workload,
        .platform = first->platform,
        .kind = first->kind,
        .class = first->class,
        .in_suite = place < run->nr_workloads && run->workloads[place].in_suite,
        .flags = group->flags,
        .iterations = group->iterations,
        .nr_seeds = group->nr_seeds,
        .seeds = need(calloc(group->nr_seeds, sizeof(*row.seeds))),
    };
    struct stats_seed *sorted = need(calloc(group->nr_seeds, sizeof(*sorted)));
    double *totals = need(calloc(group->nr_seeds, sizeof(*totals)));

    memcpy(row.seeds, group->seeds, group->nr_seeds * sizeof(*row.seeds));
    memcpy(sorted, group->seeds, group->nr_seeds * sizeof(*sorted));
    for (size_t i = 0; i < group->nr_seeds; i++)
        totals[i] = group->seeds[i].total;
    row.count = spread_of(totals, group->nr_seeds);
    struct stats_seed typical = middle(sorted, group->nr_seeds);

    row.user = typical.user;
    row.kernel = typical.kernel;
    row.hypervisor = typical.hypervisor;
    row.null_spread = fmax(null_spread_of(groups, count, row.workload, "native", row.class),
                           null_spread_of(groups, count, row.workload, row.platform, row.class));
    if (isnan(row.null_spread))
        row.null_spread = null_spread_of(groups, count, row.workload, "native", RUN_DEFAULT);
    for (size_t i = 0; i < run->nr_errors; i++) {
        const struct run_error *error = &run->errors[i];

        if (error->class == row.class && !strcmp(error->platform, row.platform) &&
            (!*error->workload || !strcmp(error->workload, row.workload)))
            row.flags |= ROW_ERROR;
    }
    free(totals);
    free(sorted);
    return row;
}

static int row_order(const void *left, const void *right, void *context)
{
    const struct stats_row *a = left, *b = right;
    size_t place_a = plan_place(context, a->workload), place_b = plan_place(context, b->workload);
    int rank_a = stats_platform_rank(a->platform), rank_b = stats_platform_rank(b->platform);

    if (place_a != place_b)
        return place_a < place_b ? -1 : 1;
    if (strcmp(a->workload, b->workload))
        return strcmp(a->workload, b->workload);
    if (a->class != b->class)
        return a->class < b->class ? -1 : 1;
    return rank_a != rank_b ? rank_a - rank_b : strcmp(a->platform, b->platform);
}

const struct stats_row *stats_find(const struct stats *stats, const char *workload,
                                   const char *platform, enum run_class class)
{
    for (size_t i = 0; i < stats->nr_rows; i++) {
        const struct stats_row *row = &stats->rows[i];

        if (row->class == class && !strcmp(row->workload, workload) &&
            !strcmp(row->platform, platform))
            return row;
    }
    return NULL;
}

const struct stats_aggregate *stats_mean(const struct stats *stats, const char *platform,
                                         enum run_class class)
{
    for (size_t i = 0; i < stats->nr_aggregates; i++)
        if (stats->aggregates[i].class == class && !strcmp(stats->aggregates[i].platform, platform))
            return &stats->aggregates[i];
    return NULL;
}

size_t stats_suite_size(const struct run *run)
{
    size_t size = 0;

    for (size_t i = 0; i < run->nr_workloads; i++)
        size += run->workloads[i].in_suite;
    return size;
}

/* Equal work: each workload counts as one unit of native work, so the mean of ratios is the ratio
 * of the sums. */
static struct stats_aggregate aggregate_of(const struct stats *stats, const struct stats_row *like)
{
    struct stats_aggregate mean = {.platform = like->platform, .class = like->class};

    mean.members = need(calloc(stats->nr_rows, sizeof(*mean.members)));
    for (size_t i = 0; i < stats->nr_rows; i++) {
        const struct stats_row *row = &stats->rows[i];

        if (!row->in_suite || isnan(row->ratio.median) || row->class != like->class ||
            strcmp(row->platform, like->platform))
            continue;
        mean.members[mean.nr_members++] = row;
        mean.guest += row->guest_share;
        mean.hypervisor += row->hypervisor_share;
        if (!mean.worst || row->ratio.median > mean.worst->ratio.median)
            mean.worst = row;
        if (!mean.worst_hypervisor ||
            row->hypervisor_share > mean.worst_hypervisor->hypervisor_share)
            mean.worst_hypervisor = row;
    }
    mean.guest /= mean.nr_members;
    mean.hypervisor /= mean.nr_members;
    mean.value = 1 + mean.guest + mean.hypervisor;
    mean.whole = mean.nr_members == stats_suite_size(stats->run);
    return mean;
}

static int aggregate_order(const void *left, const void *right)
{
    const struct stats_aggregate *a = left, *b = right;
    int rank_a = stats_platform_rank(a->platform), rank_b = stats_platform_rank(b->platform);

    if (a->class != b->class)
        return a->class < b->class ? -1 : 1;
    return rank_a != rank_b ? rank_a - rank_b : strcmp(a->platform, b->platform);
}

static void add_aggregates(struct stats *stats)
{
    stats->aggregates = need(calloc(stats->nr_rows + 1, sizeof(*stats->aggregates)));
    for (size_t i = 0; i < stats->nr_rows; i++) {
        const struct stats_row *row = &stats->rows[i];

        if (row->in_suite && !isnan(row->ratio.median) && strcmp(row->platform, "native") &&
            !stats_mean(stats, row->platform, row->class))
            stats->aggregates[stats->nr_aggregates++] = aggregate_of(stats, row);
    }
    qsort(stats->aggregates, stats->nr_aggregates, sizeof(*stats->aggregates), aggregate_order);
}

struct stats *stats_new(const struct run *run)
{
    struct stats *stats = need(calloc(1, sizeof(*stats)));
    size_t nr_groups;
    struct group *groups = groups_of(run, &nr_groups);

    stats->run = run;
    stats->rows = need(calloc(nr_groups + 1, sizeof(*stats->rows)));
    for (size_t i = 0; i < nr_groups; i++)
        if (groups[i].first->set == RUN_MAIN)
            stats->rows[stats->nr_rows++] = row_of(run, groups, nr_groups, &groups[i]);
    qsort_r(stats->rows, stats->nr_rows, sizeof(*stats->rows), row_order, (void *)run);
    for (size_t i = 0; i < stats->nr_rows; i++)
        row_join(&stats->rows[i],
                 stats_find(stats, stats->rows[i].workload, "native", stats->rows[i].class));
    add_aggregates(stats);
    for (size_t i = 0; i < nr_groups; i++)
        free(groups[i].seeds);
    free(groups);
    return stats;
}

void stats_free(struct stats *stats)
{
    if (!stats)
        return;
    for (size_t i = 0; i < stats->nr_rows; i++)
        free(stats->rows[i].seeds);
    for (size_t i = 0; i < stats->nr_aggregates; i++)
        free(stats->aggregates[i].members);
    free(stats->rows);
    free(stats->aggregates);
    free(stats);
}

/* SPDX-License-Identifier: MIT */
/*
 * Statistics against values computed by hand: medians, ratios, shares, the paired sign rule, the
 * null experiment, the mean and the worst of the suite. Every expected number below is worked
 * out in the comment beside it.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "analysis/stats.h"
#include "synthetic.h"

#define NEAR(actual, expected) cr_assert(fabs((actual) - (expected)) < 1e-12)

static void add(struct run *run, const char *platform, uint32_t seed, uint64_t user,
                uint64_t kernel, uint64_t hypervisor)
{
    synthetic_add(run, "w", RUN_MICRO, platform, RUN_DEFAULT, RUN_MAIN, seed, user, kernel,
                  hypervisor);
}

static void add_null(struct run *run, uint32_t seed, uint64_t total)
{
    synthetic_add(run, "w", RUN_MICRO, "native", RUN_DEFAULT, RUN_NULL, seed, total, 0, 0);
}

/* native 100, 110, 120; pv 150, 154, 168 (of it hypervisor 20, 22, 12); null 101, 110, 118. */
static struct run *small_run(void)
{
    struct run *run = run_new();

    add(run, "native", 1, 60, 40, 0);
    add(run, "native", 2, 60, 50, 0);
    add(run, "native", 3, 60, 60, 0);
    add(run, "pv", 3, 60, 96, 12);
    add(run, "pv", 1, 60, 70, 20);
    add(run, "pv", 2, 60, 72, 22);
    add_null(run, 7, 101);
    add_null(run, 8, 110);
    add_null(run, 9, 118);
    return run;
}

Test(stats, row_by_hand)
{
    struct run *run = small_run();
    struct stats *stats = stats_new(run);
    const struct stats_row *pv = stats_find(stats, "w", "pv", RUN_DEFAULT);

    cr_assert_not_null(pv);
    cr_assert_eq(pv->nr_seeds, 3);
    cr_assert_eq(pv->iterations, 3);
    NEAR(pv->count.median, 154);
    NEAR(pv->count.min, 150);
    NEAR(pv->count.max, 168);
    /* The middle seed is the one of 154: its parts, which add up. */
    NEAR(pv->user, 60);
    NEAR(pv->kernel, 72);
    NEAR(pv->hypervisor, 22);
    /* 150/100 = 1.5, 154/110 = 1.4, 168/120 = 1.4: paired, not 154/110 of the medians by luck */
    NEAR(pv->ratio.median, 1.4);
    NEAR(pv->ratio.min, 1.4);
    NEAR(pv->ratio.max, 1.5);
    /* h: 20/100 = 0.2, 22/110 = 0.2, 12/120 = 0.1; g = 1.4 - 1 - 0.2 */
    NEAR(pv->hypervisor_share, 0.2);
    NEAR(pv->guest_share, 0.2);
    NEAR(1 + pv->guest_share + pv->hypervisor_share, pv->ratio.median);
    /* null: |101/100 - 1| = 0.01, 0, |118/120 - 1| = 0.01667 */
    NEAR(pv->null_spread, 1 - 118.0 / 120);
    cr_assert_eq(pv->flags, 0);
    stats_free(stats);
    run_free(run);
}

Test(stats, iterations_warm_up_and_operations)
{
    struct run *run = run_new();
    const uint64_t kernels[] = {5000, 400, 100, 300}; /* the first is warm-up */

    for (uint32_t i = 0; i < 4; i++) {
        struct run_sample sample = {.workload = "w",
                                    .platform = "native",
                                    .ops = 10,
                                    .seed = 1,
                                    .iter = i,
                                    .flags = i ? 0 : SAMPLE_WARMUP,
                                    .interval = {.kernel = kernels[i]}};

        cr_assert_eq(run_add_sample(run, &sample), 0);
    }
    struct stats *stats = stats_new(run);

    /* per operation 40, 10, 30: the median is 30 */
    cr_assert_eq(stats->nr_rows, 1);
    cr_assert_eq(stats->rows[0].iterations, 3);
    NEAR(stats->rows[0].count.median, 30);
    cr_assert(isnan(stats->rows[0].events[COUNTER_iret]), "no event was measured");
    stats_free(stats);
    run_free(run);
}

Test(stats, even_counts_take_the_mean_of_the_middle)
{
    struct run *run = run_new();

    add(run, "native", 1, 100, 0, 0);
    add(run, "native", 2, 200, 0, 0);
    add(run, "pv", 1, 100, 20, 40);  /* 160: 1.6, h 0.4 */
    add(run, "pv", 2, 200, 40, 100); /* 340: 1.7, h 0.5 */
    struct stats *stats = stats_new(run);
    const struct stats_row *pv = stats_find(stats, "w", "pv", RUN_DEFAULT);

    NEAR(pv->count.median, 250);
    NEAR(pv->user + pv->kernel + pv->hypervisor, 250);
    NEAR(pv->hypervisor, 70);
    NEAR(pv->ratio.median, 1.65);
    NEAR(pv->hypervisor_share, 0.45);
    cr_assert(pv->flags & ROW_QUICK, "two seeds make no claim");
    stats_free(stats);
    run_free(run);
}

Test(stats, classes_are_never_crossed)
{
    struct run *run = small_run();

    synthetic_add(run, "w", RUN_MICRO, "pv", RUN_TUNED, RUN_MAIN, 1, 60, 60, 10);
    struct stats *stats = stats_new(run);
    const struct stats_row *pv = stats_find(stats, "w", "pv", RUN_TUNED);

    cr_assert_not_null(pv);
    cr_assert(isnan(pv->ratio.median));
    cr_assert(isnan(pv->guest_share));
    cr_assert(isnan(pv->hypervisor_share));
    cr_assert(pv->flags & ROW_NO_NATIVE);
    NEAR(pv->count.median, 130);
    stats_free(stats);
    run_free(run);
}

Test(stats, seeds_without_a_partner_are_left_out)
{
    struct run *run = small_run();

    add(run, "xen-pv", 2, 60, 70, 35); /* 165/110 = 1.5 */
    add(run, "xen-pv", 4, 60, 70, 900);
    struct stats *stats = stats_new(run);
    const struct stats_row *xen = stats_find(stats, "w", "xen-pv", RUN_DEFAULT);

    NEAR(xen->ratio.median, 1.5);
    cr_assert(xen->flags & ROW_SEEDS_MISSING);
    stats_free(stats);
    run_free(run);
}

Test(stats, sign_rule)
{
    cr_assert_eq(stats_sign((double[]){0.02, 0.03, 0.05}, 3, 0.01), 1);
    cr_assert_eq(stats_sign((double[]){-0.02, -0.03, -0.05}, 3, 0.01), -1);
    cr_assert_eq(stats_sign((double[]){0.02, -0.0001, 0.05}, 3, 0.01), 0, "two signs");
    cr_assert_eq(stats_sign((double[]){0.02, 0, 0.05}, 3, 0.01), 0, "zero has no sign");
    cr_assert_eq(stats_sign((double[]){0.001, 0.01, 0.5}, 3, 0.01), 0, "the median is not above");
    cr_assert_eq(stats_sign((double[]){0.02, 0.03, 0.05}, 3, NAN), 0, "no null experiment");
    cr_assert_eq(stats_sign((double[]){0.001, 0.001}, 2, 0), 1, "counts may be exact");
    cr_assert_eq(stats_sign(NULL, 0, 0), 0);
}

Test(stats, null_experiment_decides)
{
    struct run *run = run_new();

    for (uint32_t seed = 1; seed <= 3; seed++) {
        add(run, "native", seed, 1000, 0, 0);
        add(run, "native-matched", seed, 1004, 0, 0);
        add(run, "pv", seed, 1004, 0, 2);
        add_null(run, 100 + seed, 1005);
    }
    struct stats *stats = stats_new(run);

    /* null spread 0.005; matched +0.004 is within it, pv +0.006 is not */
    NEAR(stats_find(stats, "w", "pv", RUN_DEFAULT)->null_spread, 0.005);
    cr_assert(stats_find(stats, "w", "native-matched", RUN_DEFAULT)->flags & ROW_INDISTINCT);
    cr_assert_eq(stats_find(stats, "w", "pv", RUN_DEFAULT)->flags, 0);
    cr_assert_eq(stats_find(stats, "w", "native", RUN_DEFAULT)->flags, 0);
    cr_assert_eq(stats_differ(stats_find(stats, "w", "pv", RUN_DEFAULT),
                              stats_find(stats, "w", "native-matched", RUN_DEFAULT)),
                 0, "0.2 percent apart, and seeds alone make 0.5");
    stats_free(stats);
    run_free(run);
}

Test(stats, without_null_experiment_no_claim)
{
    struct run *run = run_new();

    for (uint32_t seed = 1; seed <= 3; seed++) {
        add(run, "native", seed, 1000, 0, 0);
        add(run, "pv", seed, 2000, 0, 0);
    }
    struct stats *stats = stats_new(run);
    const struct stats_row *pv = stats_find(stats, "w", "pv", RUN_DEFAULT);

    cr_assert(pv->flags & ROW_NO_NULL);
    cr_assert(pv->flags & ROW_INDISTINCT);
    NEAR(pv->ratio.median, 2);
    stats_free(stats);
    run_free(run);
}

/* a: 1 + 0.10 + 0.02, b: 1 + 0.30 + 0.01, c is no member; the mean is 1 + 0.20 + 0.015. */
static struct run *suite_run(void)
{
    struct run *run = run_new();

    run_text(&run->suite_id, "macro-1");
    run_add_workload(run, "a", RUN_MACRO, true, NULL);
    run_add_workload(run, "b", RUN_MACRO, true, NULL);
    run_add_workload(run, "c", RUN_MACRO, false, NULL);
    synthetic_add(run, "a", RUN_MACRO, "native", RUN_DEFAULT, RUN_MAIN, 1, 1000000, 0, 0);
    synthetic_add(run, "a", RUN_MACRO, "pv", RUN_DEFAULT, RUN_MAIN, 1, 1000000, 100000, 20000);
    synthetic_add(run, "b", RUN_MACRO, "native", RUN_DEFAULT, RUN_MAIN, 1, 100, 0, 0);
    synthetic_add(run, "b", RUN_MACRO, "pv", RUN_DEFAULT, RUN_MAIN, 1, 100, 30, 1);
    synthetic_add(run, "c", RUN_MACRO, "native", RUN_DEFAULT, RUN_MAIN, 1, 100, 0, 0);
    synthetic_add(run, "c", RUN_MACRO, "pv", RUN_DEFAULT, RUN_MAIN, 1, 900, 0, 0);
    return run;
}

Test(stats, mean_and_worst_by_hand)
{
    struct run *run = suite_run();
    struct stats *stats = stats_new(run);
    const struct stats_aggregate *mean = stats_mean(stats, "pv", RUN_DEFAULT);

    cr_assert_eq(stats->nr_aggregates, 1, "native has no mean of its own");
    cr_assert(mean->whole);
    cr_assert_eq(mean->nr_members, 2);
    NEAR(mean->value, 1.215);
    NEAR(mean->guest, 0.20);
    NEAR(mean->hypervisor, 0.015);
    cr_assert_str_eq(mean->worst->workload, "b");
    NEAR(mean->worst->ratio.median, 1.31);
    cr_assert_str_eq(mean->worst_hypervisor->workload, "a");
    NEAR(mean->worst_hypervisor->hypervisor_share, 0.02);
    stats_free(stats);
    run_free(run);
}

Test(stats, mean_of_a_part_says_so)
{
    struct run *run = suite_run();

    run_add_workload(run, "d", RUN_MACRO, true, NULL);
    struct stats *stats = stats_new(run);

    cr_assert_not(stats_mean(stats, "pv", RUN_DEFAULT)->whole);
    stats_free(stats);
    run_free(run);
}

Test(stats, events_per_million_native_instructions)
{
    struct run *run = run_new();
    struct run_sample sample = {.workload = "w", .platform = "native", .ops = 2, .seed = 1};

    sample.interval.user = 4000; /* 2,000 per operation */
    sample.measured = 1ull << COUNTER_cr3_load;
    run_add_sample(run, &sample);
    strcpy(sample.platform, "pv");
    sample.interval.counter[COUNTER_cr3_load] = 6; /* 3 per operation: 1,500 per million */
    sample.interval.counter[COUNTER_iret] = 99;    /* not measured, so not to be seen */
    run_add_sample(run, &sample);
    struct stats *stats = stats_new(run);
    const struct stats_row *pv = stats_find(stats, "w", "pv", RUN_DEFAULT);

    NEAR(pv->events[COUNTER_cr3_load], 1500);
    cr_assert(isnan(pv->events[COUNTER_iret]));
    NEAR(stats_find(stats, "w", "native", RUN_DEFAULT)->events[COUNTER_cr3_load], 0);
    stats_free(stats);
    run_free(run);
}

Test(stats, errors_and_marks_reach_the_row)
{
    struct run *run = small_run();

    run->samples[3].flags = SAMPLE_UNREPEATED;
    run_add_error(run, "native", RUN_DEFAULT, "", "the machine stopped");
    struct stats *stats = stats_new(run);

    cr_assert_eq(stats_find(stats, "w", "pv", RUN_DEFAULT)->flags, SAMPLE_UNREPEATED);
    cr_assert_eq(stats_find(stats, "w", "native", RUN_DEFAULT)->flags, ROW_ERROR);
    stats_free(stats);
    run_free(run);
}

Test(stats, rows_stand_in_plan_order)
{
    struct run *run = synthetic_run(1, 0);
    struct stats *stats = stats_new(run);

    cr_assert_eq(stats->nr_rows, 35 * 7);
    cr_assert_str_eq(stats->rows[0].workload, "gzip");
    cr_assert_str_eq(stats->rows[0].platform, "native");
    cr_assert_str_eq(stats->rows[1].platform, "native-matched");
    cr_assert_str_eq(stats->rows[2].platform, "pv");
    cr_assert_str_eq(stats->rows[3].platform, "xen-pv");
    cr_assert_eq(stats->rows[4].class, RUN_TUNED);
    cr_assert_str_eq(stats->rows[7].workload, "xz");
    stats_free(stats);
    run_free(run);
}

Test(stats, an_empty_run_has_no_rows)
{
    struct run *run = run_new();
    struct stats *stats = stats_new(run);

    cr_assert_eq(stats->nr_rows, 0);
    cr_assert_eq(stats->nr_aggregates, 0);
    stats_free(stats);
    run_free(run);
}

Test(stats, the_null_experiment_of_native_as_shipped_serves_the_tuned_class)
{
    struct run *run = small_run();

    for (uint32_t seed = 1; seed <= 3; seed++) {
        synthetic_add(run, "w", RUN_MICRO, "native", RUN_TUNED, RUN_MAIN, seed, 1000, 0, 0);
        synthetic_add(run, "w", RUN_MICRO, "pv", RUN_TUNED, RUN_MAIN, seed, 1000, 0, 15);
        synthetic_add(run, "w", RUN_MICRO, "xen-pv-tuned", RUN_TUNED, RUN_MAIN, seed, 1000, 0, 50);
    }
    struct stats *stats = stats_new(run);
    const struct stats_row *pv = stats_find(stats, "w", "pv", RUN_TUNED);
    const struct stats_row *xen = stats_find(stats, "w", "xen-pv-tuned", RUN_TUNED);

    NEAR(pv->null_spread, 1 - 118.0 / 120); /* 1.67 percent: 1.5 is within it, 5 is not */
    cr_assert_eq(pv->flags, ROW_INDISTINCT);
    cr_assert_eq(xen->flags, 0);
    cr_assert_eq(stats_differ(pv, xen), -1);
    stats_free(stats);
    run_free(run);
}

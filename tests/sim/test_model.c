/* SPDX-License-Identifier: MIT */
/*
 * The simulated machine against closed forms, and against itself.
 *
 * Means are compared with the interval that their own spread over seeds gives (Student, 99.9 %, eight seeds), which has to be
 * narrow: a test that could pass with any value would prove nothing.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_statistics_double.h>

#include "sim/events.h"
#include "sim/random.h"
#include "sim/setup.h"

#define SEEDS 8

static void setup_with(struct sim_setup *setup, const char *const *parameters)
{
    sim_setup_init(setup);
    for (; *parameters; parameters += 2) {
        if (!strcmp(parameters[0], "load"))
            cr_assert_eq(sim_setup_load(setup, parameters[1]), 0);
        else
            cr_assert_eq(sim_setup_set(setup, parameters[0], parameters[1]), 0);
    }
}
#define SETUP(setup, ...) setup_with(setup, (const char *const[]){__VA_ARGS__, NULL})

static void run(struct sim_setup *setup, struct sim_result *result)
{
    cr_assert_eq(sim_run(sim_setup_config(setup), NULL, result), 0);
}

/* The mean response of the first load over SEEDS seeds is what the theory says, within `narrow` at most. */
static void expect_response(struct sim_setup *setup, double expected, double narrow)
{
    double mean[SEEDS], m, half;

    for (int i = 0; i < SEEDS; i++) {
        struct sim_result r;

        setup->config.seed = i + 1;
        run(setup, &r);
        cr_assert_gt(r.loads[0].response.count, 10000);
        mean[i] = r.loads[0].response.sum / (double)r.loads[0].response.count;
        sim_result_free(&r);
    }
    m = gsl_stats_mean(mean, 1, SEEDS);
    half = gsl_cdf_tdist_Pinv(0.9995, SEEDS - 1) * gsl_stats_sd_m(mean, 1, SEEDS, m) / sqrt(SEEDS);
    cr_assert_lt(half / expected, narrow, "the interval is too wide to prove anything: %.3g of %.3g", half, expected);
    cr_assert_lt(fabs(m - expected), half, "%.6g, by theory %.6g +- %.2g", m, expected, half);
}

/* ---- queues ---- */

/* Pollaczek-Khinchine: one vCPU alone, first come first served. */
Test(queues, m_m_1)
{
    struct sim_setup s;

    SETUP(&s, "sched", "rr", "switch-cost", "0", "seconds", "100", "load", "service:util=0.6:run=1ms:dist=exp");
    expect_response(&s, 1e6 / (1 - 0.6), 0.1);
}

Test(queues, m_d_1)
{
    struct sim_setup s;

    SETUP(&s, "sched", "rr", "switch-cost", "0", "seconds", "100", "load", "service:util=0.6:run=1ms:dist=fixed");
    expect_response(&s, 1e6 * (1 + 0.6 / (2 * (1 - 0.6))), 0.1);
}

/*
 * Processor sharing: a request of its own vCPU each, in turns of 20 us. The mean is that of M/M/1 whatever the distribution is.
 */
Test(queues, m_g_1_processor_sharing)
{
    static const char *const loads[] = {"service:util=0.6:run=1ms:dist=exp:vcpus=32", "service:util=0.6:run=1ms:dist=fixed:vcpus=32",
                                        "service:util=0.6:run=1ms:dist=pareto:vcpus=32"};

    for (int i = 0; i < 3; i++) {
        struct sim_setup s;

        SETUP(&s, "sched", "rr", "switch-cost", "0", "slice", "20us", "seconds", i == 2 ? "200" : "50", "load", loads[i], "lag", "off");
        expect_response(&s, 1e6 / (1 - 0.6), 0.15);
    }
}

/* Two threads that do not disturb each other are M/M/2. */
Test(smt, s_1_is_two_processors)
{
    struct sim_setup s;

    SETUP(&s, "sched", "credit", "cpus", "2", "threads", "2", "matrix", "1", "switch-cost", "0", "seconds", "100", "load",
          "service:util=0.6:run=1ms:dist=exp:vcpus=2");
    expect_response(&s, 1e6 / (1 - 0.3 * 0.3), 0.05);
}

/* Two that halve each other are one: as many requests in the system as in M/M/1. */
Test(smt, s_half_is_one_processor)
{
    struct sim_setup s;

    SETUP(&s, "sched", "credit", "cpus", "2", "threads", "2", "matrix", "0.5", "switch-cost", "0", "seconds", "100", "load",
          "service:util=0.6:run=1ms:dist=exp:vcpus=2");
    expect_response(&s, 1e6 / (1 - 0.6), 0.1);
}

Test(smt, work_is_by_the_matrix)
{
    struct sim_setup s;
    struct sim_result r;

    SETUP(&s, "cpus", "4", "threads", "2", "matrix", "0.7", "switch-cost", "0", "migrate-cost", "0", "load", "hog*4");
    run(&s, &r);
    cr_assert_float_eq(r.work, 4 * 0.7, 1e-3);
    cr_assert_float_eq(r.busy, 1, 1e-9);
    cr_assert_float_eq(r.corun_other, 1, 1e-9);
    sim_result_free(&r);
    SETUP(&s, "cpus", "2", "threads", "2", "matrix", "0.7", "switch-cost", "0", "load", "hog");
    run(&s, &r);
    cr_assert_float_eq(r.work, 1, 1e-9, "alone on its core");
    sim_result_free(&r);
}

/* ---- the fluid schedule ---- */

/* Turns of 10 ms among four: the last is three quarters of a turn behind when it begins, the first as much ahead when it ends. */
Test(fluid, lag_of_turns)
{
    struct sim_setup s;
    struct sim_result r;
    double behind = 0, ahead = 0;

    SETUP(&s, "sched", "rr", "slice", "10ms", "switch-cost", "0", "warmup", "0", "seconds", "4", "load", "hog*4");
    run(&s, &r);
    for (int i = 0; i < 4; i++) {
        behind = fmax(behind, r.domains[i].behind);
        ahead = fmax(ahead, r.domains[i].ahead);
        cr_assert_float_eq(r.domains[i].got, 0.25, 0.01 / 4);
    }
    cr_assert_float_eq(behind, 7.5e6, 10);
    cr_assert_float_eq(ahead, 7.5e6, 10);
    sim_result_free(&r);
}

/* What one cannot use goes to the others, by weight. */
Test(fluid, feasible_shares)
{
    struct sim_setup s;
    struct sim_result r;

    SETUP(&s, "cpus", "2", "load", "hog:name=heavy:weight=10000", "load", "hog:name=capped:cap=20", "load", "hog:name=a", "load",
          "hog:name=b:weight=512");
    run(&s, &r);
    cr_assert_float_eq(r.domains[0].feasible, 1, 1e-9, "one vCPU uses one processor");
    cr_assert_float_eq(r.domains[1].feasible, 0.2, 1e-9);
    cr_assert_float_eq(r.domains[2].feasible, 0.8 / 3, 1e-9);
    cr_assert_float_eq(r.domains[3].feasible, 1.6 / 3, 1e-9);
    sim_result_free(&r);
}

/* Weights 1 to 8 get 1 to 8 parts, to a slice. */
Test(fluid, credit_gives_the_feasible_shares)
{
    struct sim_setup s;
    struct sim_result r;
    char spec[64];

    sim_setup_init(&s);
    sim_setup_set(&s, "seconds", "20");
    sim_setup_set(&s, "switch-cost", "0");
    for (int w = 1; w <= 8; w++) {
        snprintf(spec, sizeof spec, "hog:name=w%d:weight=%d", w, 64 * w);
        cr_assert_eq(sim_setup_load(&s, spec), 0);
    }
    run(&s, &r);
    for (int w = 1; w <= 8; w++)
        cr_assert_float_eq(r.domains[w - 1].got, w / 36.0, 0.03 / 20, "weight %d: %.4f", w, r.domains[w - 1].got);
    sim_result_free(&r);
}

/* A cap of more than one processor, beside caps that come and go in each period: what each may use, and what is left by weight. */
Test(fluid, caps_above_one_processor)
{
    static char *const policies[] = {"credit", "credit2", "smt"};

    for (int i = 0; i < 3; i++) {
        struct sim_setup s;
        struct sim_result r;

        SETUP(&s, "sched", policies[i], "cpus", "4", "seconds", "10", "switch-cost", "0", "load", "hog:name=c25:weight=1024:cap=25", "load",
              "hog:name=c50:weight=2048:cap=50", "load", "hog:name=c150:weight=2048:cap=150:vcpus=2", "load", "hog*4");
        run(&s, &r);
        for (unsigned d = 0; d < r.nr_domains; d++)
            cr_assert_float_eq(r.domains[d].got / r.domains[d].feasible, 1, 0.01, "%s, domain %u: %.4f of %.4f", policies[i], d,
                               r.domains[d].got, r.domains[d].feasible);
        sim_result_free(&r);
    }
}

/* ---- costs, sums, repetition ---- */

Test(machine, switches_cost_what_is_said)
{
    struct sim_setup s;
    struct sim_result r;

    SETUP(&s, "sched", "rr", "slice", "5ms", "switch-cost", "100us", "load", "hog*4");
    run(&s, &r);
    cr_assert_float_eq(r.overhead, 100e-6 / 5e-3, 1e-4);
    cr_assert_float_eq(r.work, 1 - r.overhead, 1e-9);
    sim_result_free(&r);
}

Test(machine, times_add_up)
{
    const char *doc;

    for (unsigned n = 0; sim_policy(n, &doc); n++) {
        struct sim_setup s;
        struct sim_result r;
        double got = 0;

        SETUP(&s, "cpus", "8", "threads", "2", "matrix", "0.6", "vcpus", "40", "sched", sim_policy(n, NULL));
        run(&s, &r);
        for (unsigned i = 0; i < r.nr_domains; i++)
            got += r.domains[i].got;
        cr_assert_float_eq(got / 8, r.busy, 1e-9, "%s", sim_policy(n, NULL));
        for (unsigned i = 0; i < r.nr_vcpus; i++)
            cr_assert_eq(r.runstates[i].running + r.runstates[i].runnable + r.runstates[i].blocked + r.runstates[i].offline,
                         s.config.warmup + s.config.length, "%s", sim_policy(n, NULL));
        sim_result_free(&r);
    }
}

/* The same seed: the same decisions, to the byte of their trace. Another: others. */
Test(machine, repeats)
{
    enum { SIZE = 16 << 20 };
    char *trace[3];
    uint64_t decisions[3];

    for (int i = 0; i < 3; i++) {
        struct sim_setup s;
        struct sim_result r;
        struct sim_config *config;

        SETUP(&s, "cpus", "8", "threads", "2", "matrix", "0.6", "vcpus", "64", "seed", i == 2 ? "8" : "7");
        config = (struct sim_config *)sim_setup_config(&s);
        config->trace = trace[i] = aligned_alloc(4096, SIZE);
        memset(trace[i], 0, SIZE);
        config->trace_size = SIZE;
        cr_assert_eq(sim_run(config, NULL, &r), 0);
        decisions[i] = r.decisions;
        sim_result_free(&r);
    }
    cr_assert_gt(decisions[0], 500);
    cr_assert_eq(memcmp(trace[0], trace[1], SIZE), 0);
    cr_assert_neq(memcmp(trace[0], trace[2], SIZE), 0);
    for (int i = 0; i < 3; i++)
        free(trace[i]);
}

/* Every policy, at the size that the simulator is for. */
Test(machine, a_thousand_processors)
{
    struct sim_setup s;
    struct sim_result r;

    SETUP(&s, "cpus", "1024", "cores", "64", "vcpus", "10000", "seconds", "0.1", "warmup", "0");
    run(&s, &r);
    cr_assert_gt(r.busy, 0.9);
    cr_assert_eq(r.nr_vcpus, 10000);
    sim_result_free(&r);
}

/* ---- the parts ---- */

Test(parts, events_come_in_their_order)
{
    for (uint32_t nr = 1; nr <= 200; nr += 1 + nr / 3) {
        struct sim_events e;
        uint64_t time[200];
        struct sim_random r = {nr};

        cr_assert_eq(sim_events_init(&e, nr), 0);
        memset(time, 0xff, sizeof time);
        for (int step = 0; step < 10000; step++) {
            uint32_t id = sim_random_next(&r) % nr, first = 0;

            time[id] = sim_random_next(&r) % 4 ? sim_random_next(&r) % 1000 : SIM_NEVER;
            sim_events_set(&e, id, time[id]);
            for (uint32_t i = 1; i < nr; i++)
                if (time[i] < time[first])
                    first = i;
            cr_assert_eq(sim_events_first(&e).time, time[first], "%u entries, step %d", nr, step);
            cr_assert(time[first] == SIM_NEVER || sim_events_first(&e).id == first, "%u entries, step %d", nr, step);
        }
        free(e.node);
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

Test(parts, percentiles_keep_their_bound)
{
    static uint64_t values[20000];
    struct sim_hist *h = calloc(1, sizeof *h);
    struct sim_random r = {2};

    for (int i = 0; i < 20000; i++) {
        values[i] = (uint64_t)exp(sim_random_unit(&r) * 40);
        sim_hist_add(h, values[i]);
    }
    qsort(values, 20000, sizeof values[0], compare);
    for (double p = 0.01; p < 1; p += 0.01) {
        uint64_t exact = values[(size_t)ceil(p * 20000) - 1], said = sim_hist_percentile(h, p);

        cr_assert(said >= exact && said <= exact + exact / 128, "%.2f: %lu said %lu", p, exact, said);
    }
    cr_assert_eq(sim_hist_percentile(h, 1), values[19999]);
    free(h);
}

Test(parts, random_numbers_have_their_means)
{
    struct sim_random r = sim_random_stream(1, 2);
    double exponential = 0, pareto = 0;

    for (int i = 0; i < 2000000; i++) {
        exponential += sim_random_exp(&r, 5);
        pareto += sim_random_pareto(&r, 5);
    }
    cr_assert_float_eq(exponential / 2e6, 5, 0.02);
    cr_assert_float_eq(pareto / 2e6, 5, 0.1);
}

Test(parts, impossible_configurations_are_refused)
{
    static const char *const loads[] = {"hog:cap=200", "service:util=0.5:run=0ms", "hog:class=3", "hog:cpus=0-9"};
    struct sim_setup s;
    struct sim_result r;

    for (int i = 0; i < 4; i++) {
        SETUP(&s, "load", loads[i]);
        cr_assert_eq(sim_run(sim_setup_config(&s), NULL, &r), -1, "%s", loads[i]);
    }
    SETUP(&s, "cpus", "3", "threads", "2");
    cr_assert_eq(sim_run(sim_setup_config(&s), NULL, &r), -1);
    SETUP(&s, "sched", "nope");
    cr_assert_eq(sim_run(sim_setup_config(&s), NULL, &r), -1);
    cr_assert_eq(sim_setup_set(&s, "nope", "1"), -1);
    cr_assert_eq(sim_setup_set(&s, "switch-cost", "5"), -1, "no unit");
    cr_assert_eq(sim_setup_load(&s, "hog:weight=0"), -1);
    cr_assert_eq(sim_setup_load(&s, "nothing"), -1);
}

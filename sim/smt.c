/* SPDX-License-Identifier: MIT */
/*
 * The experiment about siblings: what a policy that knows cores is worth, and from which load on it is better to switch SMT off.
 *
 * Four cores of two threads; services whose arrivals are given, so that response times can be compared: their sum is varied from
 * 25 % to 150 % of what four threads do that run alone. Domains have one to four vCPUs, odd numbers too: where siblings run one
 * domain only, an odd vCPU leaves a thread idle. Series: the policies that are linked in; smt once more with exclusivity; and
 * credit on four cores without a second thread.
 * Throughput is work done; it cannot exceed what arrives, so beyond saturation it is the capacity.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/experiment_run.h"

#define CORES   4
#define DOMAINS 24 /* vCPUs in all; 24 is divisible by 1, 2, 3 and 4 */

static char *const percents[] = {"25", "50", "75", "100", "125", "150"};
#define NR_LOADS (sizeof percents / sizeof percents[0])

struct variant {
    char *name;
    const char *policy;
    bool exclusive, off;
};

static unsigned find_variants(struct experiment *e, struct variant v[EXPERIMENT_POLICIES + 2])
{
    unsigned nr = 0;

    for (unsigned p = 0; p < e->nr_policies; p++) {
        v[nr++] = (struct variant){e->policies[p], e->policies[p], false, false};
        if (!strcmp(e->policies[p], "smt"))
            v[nr++] = (struct variant){"smt exclusive", "smt", true, false};
    }
    v[nr++] = (struct variant){"SMT off", e->policies[0], false, true};
    return nr;
}

static void setup_for(struct sim_setup *setup, const struct variant *v, const char *matrix, int vcpus, const char *percent)
{
    char spec[96];

    experiment_set(setup, (const char *const[]){"seconds", "4", "warmup", "500ms", "lag", "off", NULL});
    sim_setup_set(setup, "cpus", v->off ? "4" : "8");
    sim_setup_set(setup, "threads", v->off ? "1" : "2");
    sim_setup_set(setup, "sched", v->policy);
    if (v->exclusive)
        sim_setup_set(setup, "exclusive", "on");
    sim_setup_set(setup, "matrix", matrix);
    snprintf(spec, sizeof spec, "service*%d:vcpus=%d:run=2ms:util=%g", DOMAINS / vcpus, vcpus,
             atof(percent) / 100 * CORES / (DOMAINS / vcpus));
    sim_setup_load(setup, spec);
}

/* The name of a row: matrix, vCPUs, load. */
static const char *x_of(char x[RUN_NAME_MAX], const char *matrix, int vcpus, const char *percent)
{
    snprintf(x, RUN_NAME_MAX, "S=%.12s v=%d load=%s", strrchr(matrix, '/') ? strrchr(matrix, '/') + 1 : matrix, vcpus, percent);
    return x;
}

/* The least load from which on SMT off answers 99 % of requests sooner, with an interval that leaves no doubt; NULL: none. */
static const char *overtakes(const struct experiment *e, const struct variant *v, const char *matrix, int vcpus)
{
    const char *from = NULL;

    for (size_t l = 0; l < NR_LOADS; l++) {
        char x[RUN_NAME_MAX];
        struct sim_estimate d = sim_batch_difference(e->batch, v->name, "SMT off", x_of(x, matrix, vcpus, percents[l]), "service",
                                                     "response-p99", false);

        if (d.mean + (isnan(d.half) ? 0 : d.half) >= 0)
            from = NULL;
        else if (!from)
            from = percents[l];
    }
    return from;
}

static void show(const struct experiment *e, const struct variant *v, unsigned nr, const char *matrix, int vcpus)
{
    char x[RUN_NAME_MAX];

    printf("\nS = %s, %d vCPU%s a domain; work that arrives, %% of four lone threads\n%-14s", matrix, vcpus, vcpus > 1 ? "s" : "", "");
    for (size_t l = 0; l < NR_LOADS; l++)
        printf(" | %16s", percents[l]);
    printf(" | SMT off\n%-14s", "");
    for (size_t l = 0; l < NR_LOADS; l++)
        printf(" | work  p99 ms idle");
    printf(" | sooner from\n");
    for (unsigned i = 0; i < nr; i++) {
        const char *from = v[i].off ? "" : overtakes(e, &v[i], matrix, vcpus);

        printf("%-14s", v[i].name);
        for (size_t l = 0; l < NR_LOADS; l++) {
            x_of(x, matrix, vcpus, percents[l]);
            printf(" | %4.2f %6.4g %4.1f", sim_batch_mean(e->batch, v[i].name, x, "", "work").mean,
                   sim_batch_mean(e->batch, v[i].name, x, "service", "response-p99").mean * 1e-6,
                   sim_batch_mean(e->batch, v[i].name, x, "", "forced-idle").mean * 100);
        }
        printf(" | %s%s\n", from ? from : "never", from && *from ? " %" : "");
    }
}

/* The figure: one matrix, two vCPUs, by load; as points under names that are the axis. */
static void points_of_figure(struct experiment *e, const struct variant *v, unsigned nr, const char *matrix)
{
    char x[RUN_NAME_MAX];

    for (unsigned i = 0; i < nr; i++) {
        for (size_t l = 0; l < NR_LOADS; l++) {
            size_t nr_points = e->batch->nr_points;

            x_of(x, matrix, 2, percents[l]);
            for (size_t k = 0; k < nr_points; k++) {
                struct run_point p = e->batch->points[k];

                if (!strcmp(p.x, x) && !strcmp(p.series, v[i].name) && !strcmp(p.metric, "response-p99"))
                    sim_batch_add(e->batch, v[i].name, "load", percents[l], "response-p99", "ns", p.seed, p.value);
            }
        }
    }
}

int run_smt(const struct sim_experiment_options *options)
{
    static const char *const policies[] = {"credit", "credit2", "smt", NULL};
    static const char *const uniform[] = {"0.5", "0.6", "0.7", "1"};
    const char *const *matrices = options->matrix ? &options->matrix : uniform;
    unsigned nr_matrices = options->matrix ? 1 : 4, nr;
    const char *shown = options->matrix ? options->matrix : "0.6";
    struct sim_figure figure = {.key = "work that arrives, % of four lone threads", .load = "", .metric = "response-p99", .values = (char **)percents,
                                .nr_values = NR_LOADS, .log_y = true, .title = "Four cores of two threads: response of services with 2 vCPUs",
                                .note = "simulated; pair matrix uniform, S = 0.6 unless given; mean and 95 % interval over seeds"};
    struct variant v[EXPERIMENT_POLICIES + 2];
    char *series[EXPERIMENT_POLICIES + 2], x[RUN_NAME_MAX];
    struct sim_setup setup;
    struct experiment e;

    if (!experiment_begin(&e, "smt", options, 5, policies))
        return STATUS_USAGE;
    nr = find_variants(&e, v);
    for (unsigned i = 0; i < nr; i++)
        series[i] = v[i].name;
    for (unsigned m = 0; m < nr_matrices; m++) {
        for (int vcpus = 1; vcpus <= 4 && !e.failed; vcpus++) {
            for (unsigned i = 0; i < nr; i++) {
                for (size_t l = 0; l < NR_LOADS; l++) {
                    setup_for(&setup, &v[i], matrices[m], vcpus, percents[l]);
                    experiment_run(&e, &setup, v[i].name, "matrix, vCPUs, load", x_of(x, matrices[m], vcpus, percents[l]));
                }
            }
            if (!e.failed)
                show(&e, v, nr, matrices[m], vcpus);
            fflush(stdout);
        }
    }
    printf("\nwork: processors' worth that run alone; p99 of the response; idle: forced, threads idle beside a busy sibling while vCPUs\n"
           "waited, %% of all threads. SMT off sooner: the least load from which its p99 is less, beyond doubt, for all loads above.\n");
    points_of_figure(&e, v, nr, shown);
    figure.series = series;
    figure.nr_series = nr;
    return experiment_end(&e, &setup, &figure);
}

/* SPDX-License-Identifier: MIT */
/*
 * The scheduler experiments: see experiment.h. Each says in its head comment what it asks and of whom it is; prints one table,
 * keeps one result and draws one figure. Published numbers that stand beside are those of the paper named.
 *
 * smt.c has the experiment about siblings.
 */
#include "sim/experiment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/experiment_run.h"

/* ---- what experiments share ---- */

bool experiment_begin(struct experiment *e, const char *name, const struct sim_experiment_options *options, unsigned seeds,
                      const char *const *policies)
{
    *e = (struct experiment){.options = options, .batch = sim_batch_new(name), .seeds = options->seeds ? options->seeds : seeds};
    for (unsigned i = 0; i < options->nr_policies && e->nr_policies < EXPERIMENT_POLICIES; i++) {
        if (!sim_has_policy(options->policies[i])) {
            sim_no_policy(options->policies[i]);
            run_free(e->batch);
            return false;
        }
        e->policies[e->nr_policies++] = options->policies[i];
    }
    for (; !options->nr_policies && *policies; policies++)
        if (sim_has_policy(*policies) && e->nr_policies < EXPERIMENT_POLICIES)
            e->policies[e->nr_policies++] = (char *)*policies;
    return e->nr_policies;
}

int experiment_run(struct experiment *e, struct sim_setup *setup, const char *series, const char *key, const char *x)
{
    for (unsigned seed = 1; seed <= e->seeds && !e->failed; seed++) {
        setup->config.seed = seed;
        if (sim_batch_run(e->batch, setup, series, key, x) < 0)
            e->failed = true;
    }
    return e->failed ? -1 : 0;
}

int experiment_end(struct experiment *e, const struct sim_setup *setup, struct sim_figure *figure)
{
    char *stem = e->failed ? NULL : sim_batch_write(e->batch, setup, e->options->folder);
    int status = e->failed ? STATUS_USAGE : STATUS_INCOMPLETE;

    figure->batch = e->batch;
    if (stem && sim_figure_draw(figure, stem) == 0)
        status = STATUS_DONE;
    fflush(stdout); /* the table first */
    if (stem)
        fprintf(stderr, "parangon: kept %s.h5, .svg, .png\n", stem);
    free(stem);
    run_free(e->batch);
    return status;
}

void experiment_set(struct sim_setup *setup, const char *const *parameters)
{
    sim_setup_init(setup);
    for (; *parameters; parameters += 2) {
        if (!strcmp(parameters[0], "load") ? sim_setup_load(setup, parameters[1]) : sim_setup_set(setup, parameters[0], parameters[1]))
            abort(); /* they stand in this file */
    }
}

/* ---- weights ---- */

/*
 * Barham et al., SOSP 2003, figure 5, the last pair of bars: eight domains with weights 1 to 8 on two processors. There, throughput
 * of the database that computes (OSDB-IR) was within 4 % of the share asked for, that of the one that waits for a disk (OSDB-OLTP)
 * was not in proportion. Here: eight that compute all the time; and eight that work about 1 ms, then wait about 4 ms.
 */
static char *const eight[] = {"1", "2", "3", "4", "5", "6", "7", "8"};

static void weights_setup(struct sim_setup *setup, bool waits)
{
    char spec[96];

    experiment_set(setup, (const char *const[]){"cpus", "2", "seconds", "20", NULL});
    for (int w = 1; w <= 8; w++) {
        snprintf(spec, sizeof spec, "%s:name=w%d:weight=%d%s", waits ? "interactive" : "hog", w, 64 * w, waits ? ":run=1ms:period=4ms" : "");
        sim_setup_load(setup, spec);
    }
}

/* The share of each, by its weight, as points of their own: the figure's. */
static void weights_points(struct experiment *e, const char *series)
{
    for (unsigned seed = 1; seed <= e->seeds; seed++) {
        double all = 0, got[8] = {0};

        for (size_t i = 0; i < e->batch->nr_points; i++) {
            const struct run_point *p = &e->batch->points[i];

            if (p->seed != seed || strcmp(p->series, series) || strcmp(p->metric, "processors") || p->load[0] != 'w')
                continue;
            got[p->load[1] - '1'] = p->value;
            all += p->value;
        }
        for (int w = 0; w < 8; w++)
            sim_batch_add(e->batch, series, "weight", eight[w], "share", "ratio", seed, got[w] / all);
    }
}

static int run_weights(const struct sim_experiment_options *options)
{
    static const char *const policies[] = {"credit", "credit2", "rr", NULL};
    struct sim_figure figure = {.title = "Eight domains with weights 1 to 8 on two processors", .key = "weight", .load = "",
                                .metric = "share", .what = "share of what all got", .unit = "ratio", .values = eight, .nr_values = 8,
                                .note = "simulated; 20 s, mean and 95 % interval over seeds; asked: w / 36. After SOSP'03, figure 5"};
    struct experiment e;
    struct sim_setup setup;
    char names[2 * EXPERIMENT_POLICIES + 1][40], *series[2 * EXPERIMENT_POLICIES + 1];
    unsigned nr = 0;

    if (!experiment_begin(&e, "weights", options, 5, policies))
        return STATUS_USAGE;
    series[nr] = strcpy(names[nr], "asked");
    nr++;
    for (int w = 1; w <= 8; w++)
        sim_batch_add(e.batch, "asked", "weight", eight[w - 1], "share", "ratio", 1, w / 36.0);
    for (unsigned p = 0; p < e.nr_policies; p++) {
        for (int waits = 0; waits < 2; waits++, nr++) {
            snprintf(names[nr], sizeof names[nr], "%.30s %s", e.policies[p], waits ? "waits" : "computes");
            series[nr] = names[nr];
            weights_setup(&setup, waits);
            sim_setup_set(&setup, "sched", e.policies[p]);
            if (experiment_run(&e, &setup, names[nr], "", "all") == 0)
                weights_points(&e, names[nr]);
        }
    }
    printf("%-20s", "weight");
    for (int w = 1; w <= 8; w++)
        printf(" %8d", w);
    printf(" %10s\n", "worst");
    for (unsigned s = 0; s < nr && !e.failed; s++) {
        double worst = 0;

        printf("%-20s", names[s]);
        for (int w = 1; w <= 8; w++) {
            double share = sim_batch_mean(e.batch, names[s], eight[w - 1], "", "share").mean;

            printf(" %7.2f%%", share * 100);
            if (fabs(share / (w / 36.0) - 1) > fabs(worst))
                worst = share / (w / 36.0) - 1;
        }
        printf(" %+9.1f%%\n", worst * 100);
    }
    printf("Share of what all eight got; worst: furthest from the share asked. SOSP'03: OSDB-IR (computes) within 4 %%, OSDB-OLTP (waits\n"
           "for its disk) not in proportion. What waits by its own will cannot use more than a fifth of its vCPU's time.\n");
    figure.series = series;
    figure.nr_series = nr;
    return experiment_end(&e, &setup, &figure);
}

/* ---- slices ---- */

/*
 * SOSP 2003, figure 6: up to 128 domains that compute, slices of 5 and 50 ms; at 128 the loss was 7.5 % with 5 ms, about none with
 * 50 ms. The cost of a switch (its cold caches) is what makes 7.5 % at 5 ms; then 50 ms is predicted, not fitted.
 */
#define PUBLISHED_LOSS 0.075

static double slice_loss(struct experiment *e, struct sim_setup *setup, const char *slice, const char *series, const char *domains)
{
    sim_setup_set(setup, "slice", slice);
    sim_setup_set(setup, "load.domains", domains);
    if (experiment_run(e, setup, series, "domains", domains) < 0)
        return NAN;
    return 1 - sim_batch_mean(e->batch, series, domains, "", "work").mean / setup->config.cpus;
}

static int run_slices(const struct sim_experiment_options *options)
{
    static const char *const policies[] = {"credit", NULL}; /* credit2 gives less than a slice where credits are level */
    static char *const counts[] = {"1", "2", "4", "8", "16", "32", "64", "128"}, *const slices[] = {"5ms", "50ms"};
    static char *series[] = {"slice 5 ms", "slice 50 ms"};
    struct sim_figure figure = {.title = "Loss by switches, 1 to 128 domains that compute", .key = "domains", .load = "", .metric = "loss",
                                .what = "work lost, of what one domain does", .unit = "ratio", .values = counts, .nr_values = 8,
                                .series = series, .nr_series = 2, .note = "simulated; cost of a switch fitted to 7.5 % at 128 domains and 5 ms "
                                "(SOSP'03, figure 6); 50 ms is a prediction"};
    struct experiment e;
    struct sim_setup setup;
    double loss, cost = 100e3;
    char text[32], shown[16];

    if (!experiment_begin(&e, "slices", options, 1, policies))
        return STATUS_USAGE;
    experiment_set(&setup, (const char *const[]){"cpus", "1", "seconds", "40", "warmup", "7s", "lag", "off", "load", "hog*1:name=load", NULL});
    sim_setup_set(&setup, "sched", e.policies[0]);
    for (int step = 0; step < 3 && !e.failed; step++) {
        setup.config.switch_cost = (uint64_t)cost;
        snprintf(text, sizeof text, "fit %d", step + 1);
        loss = slice_loss(&e, &setup, "5ms", text, "128");
        cost *= PUBLISHED_LOSS / loss;
    }
    setup.config.switch_cost = (uint64_t)cost;
    printf("policy %s; a switch costs %s, fitted to a loss of 7.5 %% with 128 domains and slices of 5 ms\n\n%-12s", e.policies[0],
           sim_time_text(shown, cost), "domains");
    for (int i = 0; i < 8; i++)
        printf(" %8s", counts[i]);
    printf(" | SOSP'03, 128\n");
    for (int s = 0; s < 2 && !e.failed; s++) {
        printf("%-12s", series[s]);
        for (int i = 0; i < 8; i++) {
            loss = slice_loss(&e, &setup, slices[s], series[s], counts[i]);
            sim_batch_add(e.batch, series[s], "domains", counts[i], "loss", "ratio", 1, loss);
            printf(" %7.2f%%", loss * 100);
        }
        printf(" | %s\n", s ? "about 0" : "7.5% (fitted)");
    }
    return experiment_end(&e, &setup, &figure);
}

/* ---- dom0 ---- */

/*
 * The design of Cherkasova, Gupta, Vahdat (2007): three web servers whose requests pass through dom0 before and after; dom0's
 * weight is varied, by policy, work-conserving (no caps) and not (each capped at its share). No number of the paper's figures
 * stands beside: none was at hand.
 */
static void dom0_setup(struct sim_setup *setup, const char *weight, bool capped)
{
    double w = atof(weight), all = w + 3;
    char spec[160];

    experiment_set(setup, (const char *const[]){"cpus", "1", "seconds", "20", "warmup", "2s", NULL});
    snprintf(spec, sizeof spec, "service:name=dom0:util=0:weight=%.0f:cap=%.0f", 256 * w, capped ? 100 * w / all : 0);
    sim_setup_load(setup, spec);
    snprintf(spec, sizeof spec, "service*3:name=web:util=0.22:run=500us:via=dom0:via-run=150us:cap=%.0f", capped ? 100 / all : 0);
    sim_setup_load(setup, spec);
}

static int run_dom0(const struct sim_experiment_options *options)
{
    static const char *const policies[] = {"credit", "credit2", "rr", NULL};
    static char *const weights[] = {"0.25", "0.5", "1", "2", "4", "8"};
    struct sim_figure figure = {.title = "Requests of three servers through dom0, by dom0's weight", .key = "weight of dom0, that of a server is 1",
                                .load = "web", .metric = "rate", .what = "requests answered", .values = weights, .nr_values = 6,
                                .note = "simulated; 1,320 requests a second, 106 % of a processor; capped: each at its share. Design of Cherkasova 2007"};
    struct experiment e;
    struct sim_setup setup;
    char names[2 * EXPERIMENT_POLICIES][40], *series[2 * EXPERIMENT_POLICIES], shown[16];
    unsigned nr = 0;

    if (!experiment_begin(&e, "dom0", options, 5, policies))
        return STATUS_USAGE;
    printf("requests answered a second, and 99th percentile of their response, by the weight of dom0\n\n%-18s", "");
    for (int i = 0; i < 6; i++)
        printf(" %18s", weights[i]);
    putchar('\n');
    for (unsigned p = 0; p < e.nr_policies; p++) {
        for (int capped = 0; capped < 2; capped++, nr++) {
            snprintf(names[nr], sizeof names[nr], "%.30s%s", e.policies[p], capped ? " capped" : "");
            series[nr] = names[nr];
            printf("%-18s", names[nr]);
            for (int i = 0; i < 6; i++) {
                dom0_setup(&setup, weights[i], capped);
                sim_setup_set(&setup, "sched", e.policies[p]);
                experiment_run(&e, &setup, names[nr], "weight", weights[i]);
                printf(" %7.0f %10s", sim_batch_mean(e.batch, names[nr], weights[i], "web", "rate").mean,
                       sim_time_text(shown, sim_batch_mean(e.batch, names[nr], weights[i], "web", "response-p99").mean));
            }
            putchar('\n');
        }
    }
    figure.series = series;
    figure.nr_series = nr;
    return experiment_end(&e, &setup, &figure);
}

/* ---- wakeup ---- */

/*
 * An interactive domain (1 ms of work each 10 ms; or varied: about as much, about as often) beside more and more that compute: how long
 * from waking to running.
 */
static int run_wakeup(const struct sim_experiment_options *options)
{
    static const char *const policies[] = {"credit", "credit2", "smt", "rr", NULL};
    static const char *const kinds[] = {"periodic", "interactive"};
    static char *const hogs[] = {"1", "2", "4", "8", "16", "32", "64"};
    struct sim_figure figure = {.title = "From waking to running, beside domains that compute", .key = "domains that compute, on 4 processors",
                                .load = "worker", .metric = "wake-p99", .values = hogs, .nr_values = 7, .log_y = true,
                                .note = "simulated; four domains with 1 ms of work each 10 ms; rate limit 1 ms; mean and 95 % interval; 0 is not on this axis"};
    struct experiment e;
    struct sim_setup setup;
    char names[2 * EXPERIMENT_POLICIES][40], *series[2 * EXPERIMENT_POLICIES], shown[16], load[40];

    if (!experiment_begin(&e, "wakeup", options, 5, policies))
        return STATUS_USAGE;
    printf("99th percentile from waking to running of 1 ms of work each 10 ms, and of about as much (goal: rate limit 1 ms + 100 us)\n\n%-16s", "hogs");
    for (int i = 0; i < 7; i++)
        printf(" %11s", hogs[i]);
    putchar('\n');
    for (unsigned s = 0; s < 2 * e.nr_policies; s++) {
        snprintf(names[s], sizeof names[s], "%.30s%s", e.policies[s / 2], s % 2 ? " varied" : "");
        series[s] = names[s];
        printf("%-16s", names[s]);
        snprintf(load, sizeof load, "%s*4:name=worker", kinds[s % 2]);
        for (int i = 0; i < 7; i++) {
            experiment_set(&setup, (const char *const[]){"cpus", "4", "seconds", "10", "lag", "off", "load", load, "load", "hog", NULL});
            sim_setup_set(&setup, "hog.domains", hogs[i]);
            sim_setup_set(&setup, "sched", e.policies[s / 2]);
            experiment_run(&e, &setup, names[s], "hogs", hogs[i]);
            printf(" %11s", sim_time_text(shown, sim_batch_mean(e.batch, names[s], hogs[i], "worker", "wake-p99").mean));
        }
        putchar('\n');
    }
    figure.series = series;
    figure.nr_series = 2 * e.nr_policies;
    return experiment_end(&e, &setup, &figure);
}

/* ---- decision ---- */

/*
 * What a decision costs the host that simulates, model included, by vCPUs and by processors: how it grows. Host time, the least of
 * the repetitions; only its shape says something about the hypervisor, where `count` mode counts instructions.
 */
static double host_ns(const struct sim_experiment_options *options, struct sim_setup *setup)
{
    unsigned repeat = options->seeds ? options->seeds : 3;
    double least = INFINITY;

    for (unsigned i = 0; i < repeat; i++) {
        struct sim_result r;

        if (sim_run(sim_setup_config(setup), NULL, &r) < 0)
            return NAN;
        least = fmin(least, r.host_seconds * 1e9 / (double)r.decisions);
        sim_result_free(&r);
    }
    return least;
}

static int run_decision(const struct sim_experiment_options *options)
{
    static const char *const policies[] = {"credit", "credit2", "smt", "rr", NULL};
    static char *const vcpus[] = {"10", "100", "1000", "10000"}, *const cpus[] = {"1", "4", "16", "64", "256", "1024"};
    struct sim_figure figure = {.title = "Host time of a decision, by vCPUs that want one processor", .key = "vCPUs", .load = "", .metric = "host-time",
                                .what = "host time of a decision with its simulation", .unit = "ns", .values = vcpus, .nr_values = 4,
                                .note = "time of this host, least of the repetitions: only the growth says something"};
    struct experiment e;
    struct sim_setup setup;

    if (!experiment_begin(&e, "decision", options, 1, policies))
        return STATUS_USAGE;
    printf("host ns a decision, simulation included\n%-12s", "1 cpu, vCPUs");
    for (int i = 0; i < 4; i++)
        printf(" %9s", vcpus[i]);
    printf(" | 8 a cpu:");
    for (int i = 0; i < 6; i++)
        printf(" %7s", cpus[i]);
    putchar('\n');
    for (unsigned p = 0; p < e.nr_policies; p++) {
        printf("%-12s", e.policies[p]);
        for (int i = 0; i < 10; i++) {
            const char *x = i < 4 ? vcpus[i] : cpus[i - 4];
            char n[16], series[40];
            double ns;

            experiment_set(&setup, (const char *const[]){"seconds", "1", "lag", "off", "load", "hog", "load", "interactive", NULL});
            snprintf(n, sizeof n, "%d", i < 4 ? atoi(x) / 2 : 4 * atoi(x));
            sim_setup_set(&setup, "hog.domains", n);
            sim_setup_set(&setup, "interactive.domains", n);
            sim_setup_set(&setup, "cpus", i < 4 ? "1" : x);
            sim_setup_set(&setup, "sched", e.policies[p]);
            if (i >= 4)
                setup.config.length = (uint64_t)fmax(2e10 / atoi(x), 1e8);
            else
                setup.config.length = 20000000000u;
            ns = host_ns(options, &setup);
            snprintf(series, sizeof series, "%.30s%s", e.policies[p], i < 4 ? "" : " by cpus");
            sim_batch_add(e.batch, series, i < 4 ? "vcpus" : "cpus", x, "host-time", "ns", 1, ns);
            printf(i == 4 ? " |         " : "");
            printf(i < 4 ? " %9.0f" : " %7.0f", ns);
            fflush(stdout);
        }
        putchar('\n');
    }
    figure.series = e.policies;
    figure.nr_series = e.nr_policies;
    return experiment_end(&e, &setup, &figure);
}

const struct sim_experiment sim_experiments[] = {
    {"weights", "eight domains, weights 1 to 8 (SOSP'03, figure 5)", run_weights},
    {"slices", "128 domains, slices of 5 and 50 ms: fit one, predict the other (SOSP'03, figure 6)", run_slices},
    {"dom0", "dom0's weight, by policy, capped or not (after Cherkasova 2007)", run_dom0},
    {"smt", "credit against SMT-aware against no SMT, by matrix, load and vCPUs", run_smt},
    {"wakeup", "from waking to running, beside domains that compute", run_wakeup},
    {"decision", "host time of a decision, by vCPUs and processors", run_decision},
};
const unsigned sim_nr_experiments = sizeof sim_experiments / sizeof sim_experiments[0];

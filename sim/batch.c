/* SPDX-License-Identifier: MIT */
/* Figures of many simulated runs: see batch.h. */
#include "sim/batch.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_statistics_double.h>

/* ---- metrics ---- */

static double percentile(const struct sim_hist *h, double p)
{
    return h->count ? (double)sim_hist_percentile(h, p) : NAN;
}

#define OF_LOAD(name, expression)                                                                                                  \
    static double get_##name(const struct sim_setup *setup, const struct sim_result *r, unsigned load)                            \
    {                                                                                                                              \
        const struct sim_load_result *l = &r->loads[load];                                                                         \
        return expression;                                                                                                         \
    }
#define OF_MACHINE(name, expression)                                                                                               \
    static double get_##name(const struct sim_setup *setup, const struct sim_result *r, unsigned load)                            \
    {                                                                                                                              \
        return expression;                                                                                                         \
    }

OF_LOAD(response_mean, l->response.count ? l->response.sum / (double)l->response.count : NAN)
OF_LOAD(response_p50, percentile(&l->response, 0.50))
OF_LOAD(response_p99, percentile(&l->response, 0.99))
OF_LOAD(wake_p50, percentile(&l->wake, 0.50))
OF_LOAD(wake_p99, percentile(&l->wake, 0.99))
OF_LOAD(rate, setup->loads[load].kind == SIM_HOG ? NAN : (double)l->done / r->seconds)
OF_LOAD(processors, l->got)
OF_LOAD(load_work, l->work)
OF_MACHINE(work, r->work)
OF_MACHINE(overhead, r->overhead)
OF_MACHINE(idle_while_waiting, r->idle_while_waiting)
OF_MACHINE(forced_idle, r->forced_idle)
OF_MACHINE(corun_other, r->corun_other)
OF_MACHINE(migrations, (double)r->migrations / r->seconds)
OF_MACHINE(switches, (double)r->switches / r->seconds)

static double get_share_error(const struct sim_setup *setup, const struct sim_result *r, unsigned load)
{
    double worst = 0;

    for (unsigned i = 0; i < r->nr_domains; i++)
        worst = fmax(worst, fabs(r->domains[i].got / r->domains[i].feasible - 1));
    return worst;
}

static double get_lag(const struct sim_setup *setup, const struct sim_result *r, unsigned load)
{
    double worst = 0;

    for (unsigned i = 0; i < r->nr_domains; i++)
        worst = isnan(r->domains[i].behind) ? NAN : fmax(worst, r->domains[i].behind);
    return worst;
}

const struct sim_metric sim_metrics[] = {
    {"response-mean", "ns", "mean response time", true, get_response_mean},
    {"response-p50", "ns", "median response time", true, get_response_p50},
    {"response-p99", "ns", "99th percentile of the response time", true, get_response_p99},
    {"wake-p50", "ns", "median time from waking to running", true, get_wake_p50},
    {"wake-p99", "ns", "99th percentile of the time from waking to running", true, get_wake_p99},
    {"rate", "events", "requests, bursts or rounds done a second", true, get_rate},
    {"processors", "processors", "processors that it had", true, get_processors},
    {"load-work", "processors", "work done, in processors that run alone", true, get_load_work},
    {"work", "processors", "work done by all, in processors that run alone", false, get_work},
    {"share-error", "ratio", "largest difference of a domain from its feasible share", false, get_share_error},
    {"lag", "ns", "largest lag of a domain behind the fluid schedule", false, get_lag},
    {"overhead", "ratio", "share of the machine that switches and moves cost", false, get_overhead},
    {"idle-while-waiting", "ratio", "share of the machine that idled while vCPUs waited", false, get_idle_while_waiting},
    {"forced-idle", "ratio", "of that, beside a busy sibling", false, get_forced_idle},
    {"corun-other", "ratio", "share of the cores' time that threads ran several domains", false, get_corun_other},
    {"migrations", "events", "moves to another processor a second", false, get_migrations},
    {"switches", "events", "switches a second", false, get_switches},
};
const unsigned sim_nr_metrics = sizeof sim_metrics / sizeof sim_metrics[0];

const struct sim_metric *sim_metric(const char *name)
{
    for (unsigned i = 0; i < sim_nr_metrics; i++)
        if (!strcmp(sim_metrics[i].name, name))
            return &sim_metrics[i];
    return NULL;
}

/* ---- runs ---- */

struct run *sim_batch_new(const char *experiment)
{
    struct run *batch = run_new();

    run_text(&batch->experiment, experiment);
    run_text(&batch->mode, "simulated");
    run_text(&batch->unit, "ns");
    batch->complete = true;
    return batch;
}

static void add_point(struct run *batch, const char *series, const char *key, const char *x, const char *load, const char *metric,
                      const char *unit, uint64_t seed, double value)
{
    struct run_point p = {.seed = seed, .value = value};

    snprintf(p.series, sizeof p.series, "%s", series);
    snprintf(p.key, sizeof p.key, "%s", key);
    snprintf(p.x, sizeof p.x, "%s", x);
    snprintf(p.load, sizeof p.load, "%s", load);
    snprintf(p.metric, sizeof p.metric, "%s", metric);
    snprintf(p.unit, sizeof p.unit, "%s", unit);
    run_add_point(batch, &p);
}

int sim_batch_run(struct run *batch, struct sim_setup *setup, const char *series, const char *key, const char *x)
{
    struct sim_result result;

    if (sim_run(sim_setup_config(setup), NULL, &result) < 0)
        return -1;
    for (unsigned m = 0; m < sim_nr_metrics; m++) {
        const struct sim_metric *metric = &sim_metrics[m];

        for (unsigned l = 0; l < (metric->of_load ? result.nr_loads : 1); l++) {
            double value = metric->get(setup, &result, l);

            if (!isnan(value))
                add_point(batch, series, key, x, metric->of_load ? setup->loads[l].name : "", metric->name, metric->unit,
                          setup->config.seed, value);
        }
    }
    sim_result_free(&result);
    return 0;
}

void sim_batch_add(struct run *batch, const char *series, const char *key, const char *x, const char *metric, const char *unit,
                   uint64_t seed, double value)
{
    add_point(batch, series, key, x, "", metric, unit, seed, value);
}

/* ---- estimates ---- */

static bool is_point(const struct run_point *p, const char *series, const char *x, const char *load, const char *metric)
{
    return !strcmp(p->metric, metric) && !strcmp(p->series, series) && !strcmp(p->x, x) && !strcmp(p->load, load);
}

/* Mean and interval of n values. */
static struct sim_estimate estimate(const double *values, unsigned n)
{
    struct sim_estimate e = {n, NAN, NAN};

    if (n)
        e.mean = gsl_stats_mean(values, 1, n);
    if (n > 1)
        e.half = gsl_cdf_tdist_Pinv(0.975, n - 1) * gsl_stats_sd_m(values, 1, n, e.mean) / sqrt(n);
    return e;
}

/* The values of the points of a name, with their seeds, in order; to be freed. */
static unsigned collect(const struct run *batch, const char *series, const char *x, const char *load, const char *metric,
                        double **values, uint64_t **seeds)
{
    unsigned n = 0;

    *values = calloc(batch->nr_points + 1, sizeof **values);
    *seeds = calloc(batch->nr_points + 1, sizeof **seeds);
    for (size_t i = 0; i < batch->nr_points && *values && *seeds; i++) {
        if (!is_point(&batch->points[i], series, x, load, metric))
            continue;
        (*values)[n] = batch->points[i].value;
        (*seeds)[n++] = batch->points[i].seed;
    }
    return n;
}

struct sim_estimate sim_batch_mean(const struct run *batch, const char *series, const char *x, const char *load, const char *metric)
{
    struct sim_estimate e;
    double *values;
    uint64_t *seeds;

    unsigned n = collect(batch, series, x, load, metric, &values, &seeds);

    e = estimate(values, n);
    free(values);
    free(seeds);
    return e;
}

struct sim_estimate sim_batch_difference(const struct run *batch, const char *a, const char *b, const char *x, const char *load,
                                         const char *metric, bool relative)
{
    double *values_a, *values_b;
    uint64_t *seeds_a, *seeds_b;
    unsigned nr_a = collect(batch, a, x, load, metric, &values_a, &seeds_a);
    unsigned nr_b = collect(batch, b, x, load, metric, &values_b, &seeds_b), n = 0;
    struct sim_estimate e;

    for (unsigned i = 0; i < nr_a; i++) {
        for (unsigned k = 0; k < nr_b; k++) {
            if (seeds_a[i] != seeds_b[k])
                continue;
            values_a[n++] = relative ? values_b[k] / values_a[i] - 1 : values_b[k] - values_a[i];
            break;
        }
    }
    e = estimate(values_a, n);
    free(values_a);
    free(values_b);
    free(seeds_a);
    free(seeds_b);
    return e;
}

/* ---- the result ---- */

char *sim_batch_write(struct run *batch, const struct sim_setup *setup, const char *folder)
{
    json_t *plan = sim_setup_json(setup);
    char *text = json_dumps(plan, JSON_INDENT(1) | JSON_REAL_PRECISION(15)), hash[65], *path = NULL, *stem = NULL;

    run_text(&batch->plan, text);
    run_points_hash(batch, hash);
    hash[12] = 0;
    run_text(&batch->run_id, hash);
    if (mkdir(folder, 0777) < 0 && errno != EEXIST)
        fprintf(stderr, "parangon: %s: %s\n", folder, strerror(errno));
    else if (asprintf(&stem, "%s/sim-%s-%s", folder, batch->experiment, hash) >= 0 && asprintf(&path, "%s.h5", stem) >= 0 &&
             run_write(batch, path) < 0) {
        free(stem);
        stem = NULL;
    }
    free(path);
    free(text);
    json_decref(plan);
    return stem;
}

const char *sim_value_text(char text[16], double value, const char *unit)
{
    if (isnan(value))
        snprintf(text, 16, "-");
    else if (!strcmp(unit, "ns"))
        sim_time_text(text, fabs(value));
    else if (!strcmp(unit, "ratio"))
        snprintf(text, 16, "%.3f %%", fabs(value) * 100);
    else if (!strcmp(unit, "events"))
        snprintf(text, 16, "%.1f /s", fabs(value));
    else
        snprintf(text, 16, "%.4f", fabs(value));
    if (value < 0) {
        memmove(text + 1, text, strlen(text) + 1);
        *text = '-';
    }
    return text;
}

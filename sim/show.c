/* SPDX-License-Identifier: MIT */
/* Tables and JSON of a simulated run: see show.h. */
#include "sim/show.h"

#include <math.h>
#include <string.h>

#define DOMAIN_LINES 16 /* of a table; more are summed up by their loads */

static const struct {
    const char *key;
    double p;
} percentiles[] = {{"p50", 0.50}, {"p90", 0.90}, {"p99", 0.99}, {"p999", 0.999}};

/* ---- tables ---- */

static void show_machine(FILE *out, const struct sim_setup *setup)
{
    const struct sim_config *c = &setup->config;
    char a[16], b[16], d[16], e[16];
    unsigned vcpus = 0, domains = 0;

    for (unsigned i = 0; i < setup->nr_loads; i++) {
        domains += setup->loads[i].domains;
        vcpus += setup->loads[i].domains * setup->loads[i].vcpus;
    }
    fprintf(out, "simulated: policy %s, %u pcpus of %u thread%s a core, %u domains, %u vCPUs, seed %llu\n", c->policy, c->cpus,
            c->threads, c->threads == 1 ? "" : "s", domains, vcpus, (unsigned long long)c->seed);
    fprintf(out, "model: pair matrix %s; switch %s; move within a core %s, a socket %s, beyond %s\n\n", c->matrix_name,
            sim_time_text(a, c->switch_cost), sim_time_text(b, c->migrate_cost[0]), sim_time_text(d, c->migrate_cost[1]),
            sim_time_text(e, c->migrate_cost[2]));
}

static void show_loads(FILE *out, const struct sim_setup *setup, const struct sim_result *r)
{
    char t[16];

    fprintf(out, "%-14s %-11s %7s %5s | %8s %8s %10s | %-43s | %-32s\n", "", "", "", "", "", "", "", "response time",
            "from waking to running");
    fprintf(out, "%-14s %-11s %7s %5s | %8s %8s %10s | %10s %10s %10s %10s | %10s %10s %10s\n", "load", "kind", "domains", "vCPUs",
            "pcpus", "work", "done", "p50", "p90", "p99", "p99.9", "p50", "p99", "max");
    for (unsigned i = 0; i < r->nr_loads; i++) {
        const struct sim_load *l = &setup->loads[i];
        const struct sim_load_result *lr = &r->loads[i];

        fprintf(out, "%-14.14s %-11s %7u %5u | %8.3f %8.3f ", l->name, sim_kind_names[l->kind], l->domains, l->vcpus, lr->got,
                lr->work);
        if (l->kind == SIM_HOG)
            fprintf(out, "%10s |", "-");
        else
            fprintf(out, "%10llu |", (unsigned long long)lr->done);
        for (unsigned k = 0; k < 4; k++)
            fprintf(out, " %10s",
                    sim_time_text(t, lr->response.count ? sim_hist_percentile(&lr->response, percentiles[k].p) : NAN));
        fprintf(out, " |");
        fprintf(out, " %10s", sim_time_text(t, lr->wake.count ? sim_hist_percentile(&lr->wake, 0.50) : NAN));
        fprintf(out, " %10s", sim_time_text(t, lr->wake.count ? sim_hist_percentile(&lr->wake, 0.99) : NAN));
        fprintf(out, " %10s\n", sim_time_text(t, lr->wake.count ? (double)lr->wake.max : NAN));
    }
}

static void show_domain(FILE *out, const struct sim_setup *setup, const struct sim_domain_result *d, const char *name,
                        unsigned weight)
{
    char behind[16], ahead[16];

    fprintf(out, "%-20s %7u | %9.4f ", name, weight, d->asked);
    fprintf(out, "%9.4f %9.4f %+7.2f%% | ", d->feasible, d->got, (d->got / d->feasible - 1) * 100);
    fprintf(out, "%10s %10s\n", sim_time_text(behind, d->behind), sim_time_text(ahead, d->ahead));
}

/* Each domain, or where they are many the one furthest behind of each load. */
static void show_domains(FILE *out, const struct sim_setup *setup, const struct sim_result *r)
{
    char name[SIM_NAME_MAX + 12];

    fprintf(out, "\n%-20s %7s | %9s %9s %9s %8s | %10s %10s\n", r->nr_domains > DOMAIN_LINES ? "furthest behind" : "domain",
            "weight", "asked", "feasible", "got", "differs", "behind", "ahead");
    for (unsigned i = 0; i < r->nr_loads; i++) {
        const struct sim_domain_result *worst = NULL;

        for (unsigned k = 0; k < r->nr_domains; k++) {
            const struct sim_domain_result *d = &r->domains[k];

            if (d->load != i)
                continue;
            snprintf(name, sizeof name, "%s-%u", setup->loads[i].name, d->index);
            if (r->nr_domains <= DOMAIN_LINES)
                show_domain(out, setup, d, name, setup->loads[i].weight);
            else if (!worst || (isnan(d->behind) ? d->got < worst->got : d->behind > worst->behind))
                worst = d;
        }
        if (worst) {
            snprintf(name, sizeof name, "%s-%u", setup->loads[i].name, worst->index);
            show_domain(out, setup, worst, name, setup->loads[i].weight);
        }
    }
    fprintf(out, "processors by weight, by weight and demand, and got; behind, ahead: of a fluid schedule, at most\n");
}

void sim_show(FILE *out, const struct sim_setup *setup, const struct sim_result *r)
{
    show_machine(out, setup);
    show_loads(out, setup, r);
    show_domains(out, setup, r);
    fprintf(out, "\nmachine  %.2f %% busy, %.3f %% of it all overhead, %.3f processors' work; idle while others waited %.3f %%",
            r->busy * 100, r->overhead * 100, r->work, r->idle_while_waiting * 100);
    if (setup->config.threads > 1)
        fprintf(out, ",\n         of it beside a busy sibling %.3f %%; threads of a core busy together %.2f %% with one domain, "
                     "%.2f %% with several",
                r->forced_idle * 100, r->corun_same * 100, r->corun_other * 100);
    fprintf(out, "\ncounts   %llu decisions, %llu switches, %llu wake-ups, %llu migrations (%llu to another socket)",
            (unsigned long long)r->decisions, (unsigned long long)r->switches, (unsigned long long)r->wakes,
            (unsigned long long)r->migrations, (unsigned long long)r->far_migrations);
    if (r->dropped)
        fprintf(out, ", %llu arrivals dropped", (unsigned long long)r->dropped);
    fprintf(out, "\n");
}

/* ---- JSON ---- */

static json_t *number(double x)
{
    return isnan(x) ? json_null() : json_real(x);
}

static json_t *hist_json(const struct sim_hist *h)
{
    json_t *o = json_pack("{s:I}", "count", (json_int_t)h->count);

    if (!h->count)
        return o;
    json_object_set_new(o, "mean_ns", json_real(h->sum / (double)h->count));
    for (unsigned k = 0; k < 4; k++) {
        char key[16];

        snprintf(key, sizeof key, "%s_ns", percentiles[k].key);
        json_object_set_new(o, key, json_integer((json_int_t)sim_hist_percentile(h, percentiles[k].p)));
    }
    json_object_set_new(o, "max_ns", json_integer((json_int_t)h->max));
    return o;
}

/* What the trace is to agree with. */
static json_t *runstates_json(const struct sim_result *r)
{
    json_t *vcpus = json_array();

    for (unsigned i = 0; i < r->nr_vcpus; i++) {
        const struct sim_runstate *v = &r->runstates[i];

        json_array_append_new(vcpus, json_pack("{s:i, s:i, s:I, s:I, s:I, s:I}", "domid", v->domid, "vcpu_id", v->vcpu_id, "running",
                                               (json_int_t)v->running, "runnable", (json_int_t)v->runnable, "blocked",
                                               (json_int_t)v->blocked, "offline", (json_int_t)v->offline));
    }
    return vcpus;
}

json_t *sim_show_json(const struct sim_setup *setup, const struct sim_result *r)
{
    json_t *loads = json_array(), *domains = json_array();

    for (unsigned i = 0; i < r->nr_loads; i++) {
        const struct sim_load_result *l = &r->loads[i];

        json_array_append_new(loads, json_pack("{s:s, s:f, s:f, s:I, s:o, s:o}", "load", setup->loads[i].name, "processors", l->got,
                                               "work", l->work, "done", (json_int_t)l->done, "response", hist_json(&l->response),
                                               "wake", hist_json(&l->wake)));
    }
    for (unsigned i = 0; i < r->nr_domains; i++) {
        const struct sim_domain_result *d = &r->domains[i];

        json_array_append_new(domains,
                              json_pack("{s:s, s:i, s:f, s:f, s:f, s:f, s:o, s:o}", "load", setup->loads[d->load].name, "index",
                                        d->index, "asked", d->asked, "feasible", d->feasible, "got", d->got, "work", d->work,
                                        "behind_ns", number(d->behind), "ahead_ns", number(d->ahead)));
    }
    json_t *all = json_pack("{s:s, s:o, s:f, s:o, s:o, s:{s:f, s:f, s:f, s:f, s:f, s:f, s:f}, s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I}}",
                     "schema", "parangon-sim-1", "setup", sim_setup_json(setup), "seconds", r->seconds, "loads", loads, "domains",
                     domains, "machine", "busy", r->busy, "overhead", r->overhead, "work", r->work, "idle_while_waiting",
                     r->idle_while_waiting, "forced_idle", r->forced_idle, "corun_same", r->corun_same, "corun_other", r->corun_other,
                     "counts", "decisions", (json_int_t)r->decisions, "switches", (json_int_t)r->switches, "wakes",
                     (json_int_t)r->wakes, "migrations", (json_int_t)r->migrations, "far_migrations", (json_int_t)r->far_migrations,
                     "events", (json_int_t)r->events, "dropped", (json_int_t)r->dropped);

    if (setup->config.trace)
        json_object_set_new(all, "runstates", runstates_json(r));
    return all;
}

/* ---- a trace beside the fluid schedule ---- */

void sim_show_lag(FILE *out, const struct sim_lags *lag)
{
    fprintf(out, "%.3f s on %u processors\n\n%-8s %7s %5s | %9s %9s | %10s %10s %10s\n", lag->seconds, lag->cpus, "domain", "weight", "cap",
            "fluid", "got", "behind", "ahead", "any window");
    for (unsigned i = 0; i < lag->nr_domains; i++) {
        const struct sim_lag_domain *d = &lag->domains[i];
        char behind[16], ahead[16], both[16];

        fprintf(out, "d%-7u %7u %5u | %9.4f %9.4f | %10s %10s %10s\n", d->domid, d->weight, d->cap, d->fluid, d->got,
                sim_time_text(behind, d->behind), sim_time_text(ahead, d->ahead), sim_time_text(both, d->behind + d->ahead));
    }
    fprintf(out, "processors in a fluid schedule, and got; behind, ahead: of it, at most; any window: what its service differs there, at most\n");
}

json_t *sim_show_lag_json(const struct sim_lags *lag)
{
    json_t *domains = json_array();

    for (unsigned i = 0; i < lag->nr_domains; i++) {
        const struct sim_lag_domain *d = &lag->domains[i];

        json_array_append_new(domains, json_pack("{s:i, s:i, s:i, s:f, s:f, s:f, s:f}", "domid", d->domid, "weight", d->weight, "cap", d->cap,
                                                 "fluid", d->fluid, "got", d->got, "behind_ns", d->behind, "ahead_ns", d->ahead));
    }
    return json_pack("{s:s, s:f, s:i, s:o}", "schema", "parangon-lag-1", "seconds", lag->seconds, "cpus", lag->cpus, "domains", domains);
}

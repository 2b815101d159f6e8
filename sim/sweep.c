/* SPDX-License-Identifier: MIT */
/* Sweeps over one parameter, their table and figure: see sweep.h. */
#include "sim/sweep.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trace/gnuplot.h"

static const char *const colors[] = {"#1b6ca8", "#d1630f", "#3a8a3a", "#8a3a8a", "#8a6d3a", "#555555", "#b03a5b", "#2a9d8f"};
#define NR_COLORS (sizeof colors / sizeof colors[0])

/* ---- the figure ---- */

/* All values are numbers: the axis is one of numbers, not of names. A suffix of a time counts. */
static bool numeric(const struct sim_figure *f, double *numbers)
{
    static const struct {
        const char *suffix;
        double factor;
    } units[] = {{"", 1}, {"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1}};

    for (unsigned i = 0; i < f->nr_values; i++) {
        char *end;
        bool known = false;

        numbers[i] = strtod(f->values[i], &end);
        for (size_t k = 0; k < sizeof units / sizeof units[0] && end != f->values[i]; k++) {
            if (strcmp(end, units[k].suffix))
                continue;
            numbers[i] *= units[k].factor;
            known = true;
        }
        if (!known)
            return false;
    }
    return true;
}

/* How values of a unit are drawn, the largest of which is so large: times as a unit in which they have few digits. */
struct axis {
    double scale;
    const char *words;
};

static struct axis axis_of(const char *unit, double largest)
{
    if (!strcmp(unit, "ns"))
        return largest < 1e4 ? (struct axis){1, "ns"} : largest < 1e7 ? (struct axis){1e-3, "us"} : (struct axis){1e-6, "ms"};
    if (!strcmp(unit, "ratio"))
        return (struct axis){100, "%"};
    return (struct axis){1, strcmp(unit, "events") ? unit : "a second"};
}

/* NAN: no run has a value. */
static double largest_of(const struct sim_figure *f)
{
    double largest = NAN;

    for (unsigned s = 0; s < f->nr_series; s++)
        for (unsigned i = 0; i < f->nr_values; i++)
            largest = fmax(largest, sim_batch_mean(f->batch, f->series[s], f->values[i], f->load, f->metric).mean);
    return largest;
}

static void put_x_axis(FILE *out, const struct sim_figure *f, const double *numbers, bool by_number)
{
    double low = 0, high = f->nr_values - 1.0;

    if (by_number) {
        low = high = numbers[0];
        for (unsigned i = 0; i < f->nr_values; i++) {
            low = fmin(low, numbers[i]);
            high = fmax(high, numbers[i]);
        }
    }
    if (by_number && low > 0 && high / low >= 30)
        fprintf(out, "set logscale x\nset xrange [%g:%g]\n", low / 1.15, high * 1.15);
    else
        fprintf(out, "set xrange [%g:%g]\n", low - (high - low) * 0.04 - (high == low), high + (high - low) * 0.04 + (high == low));
    fputs("set xtics (", out);
    for (unsigned i = 0; i < f->nr_values; i++) {
        fputs(i ? ", " : "", out);
        gnuplot_quote(out, f->values[i]);
        fprintf(out, " %g", by_number ? numbers[i] : i);
    }
    fputs(")\n", out);
}

static void put_data(FILE *out, const struct sim_figure *f, const double *numbers, bool by_number, double scale, bool difference)
{
    for (unsigned s = difference; s < f->nr_series; s++) {
        fprintf(out, "$d%u << END\n", s);
        for (unsigned i = 0; i < f->nr_values; i++) {
            struct sim_estimate e = difference ? sim_batch_difference(f->batch, f->series[0], f->series[s], f->values[i], f->load,
                                                                      f->metric, true)
                                               : sim_batch_mean(f->batch, f->series[s], f->values[i], f->load, f->metric);

            if (!isnan(e.mean))
                fprintf(out, "%g %.9g %.9g\n", by_number ? numbers[i] : i, e.mean * scale, isnan(e.half) ? 0 : e.half * scale);
        }
        fputs("END\n", out);
    }
    fputs("plot ", out);
    for (unsigned s = difference; s < f->nr_series; s++) {
        fprintf(out, "%s$d%u using 1:2 with lines lc rgb '%s' lw 1.4 notitle, '' using 1:2:3 with yerrorbars pt %u ps 0.8 lc rgb '%s' title ",
                s > difference ? ", " : "", s, colors[s % NR_COLORS], 4 + 2 * (s % 5) + 1, colors[s % NR_COLORS]);
        gnuplot_quote(out, f->series[s]);
    }
    fputc('\n', out);
}

static void put_figure(FILE *out, const void *context)
{
    const struct sim_figure *f = context;
    const struct sim_metric *metric = sim_metric(f->metric);
    const char *unit = f->unit ? f->unit : metric ? metric->unit : "";
    double *numbers = calloc(f->nr_values + 1, sizeof *numbers);
    bool by_number = numbers && numeric(f, numbers);
    struct axis axis = axis_of(unit, largest_of(f));
    char label[200];

    fprintf(out, "set multiplot\nset lmargin at screen 0.11\nset rmargin at screen 0.97\nset bmargin at screen %g\n"
                 "set tmargin at screen 0.86\nset grid ytics lc rgb '#dddddd'\nset bars small\nset key at graph 0,1.1 left horizontal Left reverse\n",
            f->difference ? 0.42 : 0.17);
    fputs("set label ", out);
    gnuplot_quote(out, f->title);
    fputs(" at screen 0.02,0.965 font ',13'\nset label ", out);
    gnuplot_quote(out, f->note);
    fputs(" at screen 0.02,0.025 font ',8' tc rgb '#333333'\n", out);
    put_x_axis(out, f, numbers, by_number);
    snprintf(label, sizeof label, "%s, %s", f->what ? f->what : metric ? metric->what : f->metric, axis.words);
    fputs("set ylabel ", out);
    gnuplot_quote(out, label);
    fprintf(out, "\nset yrange [%s]\n%s", f->log_y ? "*:*" : "0:*", f->log_y ? "set logscale y\n" : "");
    if (!f->difference) {
        fputs("set xlabel ", out);
        gnuplot_quote(out, f->key);
        fputc('\n', out);
    }
    put_data(out, f, numbers, by_number, axis.scale, false);
    if (f->difference) {
        fputs("unset label\nset tmargin at screen 0.35\nset bmargin at screen 0.14\nunset logscale y\nset yrange [*:*]\nset ylabel ", out);
        snprintf(label, sizeof label, "over %s, %%", f->series[0]);
        gnuplot_quote(out, label);
        fputs("\nset xlabel ", out);
        gnuplot_quote(out, f->key);
        fputs("\nset arrow 1 from graph 0, first 0 to graph 1, first 0 nohead lc rgb '#333333'\nunset key\n", out);
        put_data(out, f, numbers, by_number, 100, true);
    }
    fputs("unset multiplot\n", out);
    free(numbers);
}

int sim_figure_draw(const struct sim_figure *figure, const char *stem)
{
    return gnuplot_draw(stem, 760, figure->difference ? 620 : 440, put_figure, figure);
}

/* ---- the table ---- */

static void show_row(const struct run *batch, const struct sim_sweep *sweep, const char *value, const char *load,
                     const struct sim_metric *metric)
{
    char mean[16], half[16], relative[16], name[80];
    bool any = false;

    for (unsigned s = 0; s < sweep->nr_series; s++)
        any |= fabs(sim_batch_mean(batch, sweep->series[s], value, load, metric->name).mean) > 0;
    if (!any)
        return;
    snprintf(name, sizeof name, "%s%s%s", load, *load ? " " : "", metric->name);
    for (unsigned s = 0; s < sweep->nr_series; s++) {
        struct sim_estimate e = sim_batch_mean(batch, sweep->series[s], value, load, metric->name), d, r;

        printf("%-10s %-28s %-10s %11s %11s", s ? "" : value, s ? "" : name, sweep->series[s], sim_value_text(mean, e.mean, metric->unit),
               sim_value_text(half, e.half, metric->unit));
        if (s) {
            d = sim_batch_difference(batch, sweep->series[0], sweep->series[s], value, load, metric->name, false);
            r = sim_batch_difference(batch, sweep->series[0], sweep->series[s], value, load, metric->name, true);
            snprintf(relative, sizeof relative, isfinite(r.mean) ? "%+.2f %%" : "-", r.mean * 100);
            printf(" | %11s %11s %12s %s", sim_value_text(mean, d.mean, metric->unit), sim_value_text(half, d.half, metric->unit),
                   relative, isnan(d.half) || fabs(d.mean) <= d.half ? "not distinguishable" : "");
        }
        putchar('\n');
    }
}

static void show_table(const struct run *batch, const struct sim_sweep *sweep, const struct sim_setup *setup)
{
    static const char *const of_load[] = {"response-p50", "response-p99", "wake-p99", "rate", "processors", "load-work"};
    static const char *const of_machine[] = {"work", "share-error", "lag", "idle-while-waiting", "forced-idle", "corun-other", "migrations"};

    printf("%-10.10s %-28s %-10s %11s %11s | %11s %11s %12s\n", sweep->key, "figure", "policy", "mean", "+- 95 %", "difference", "+- 95 %",
           "relative");
    for (unsigned v = 0; v < sweep->nr_values; v++) {
        for (unsigned l = 0; l < setup->nr_loads; l++)
            for (size_t m = 0; m < sizeof of_load / sizeof of_load[0]; m++)
                show_row(batch, sweep, sweep->values[v], setup->loads[l].name, sim_metric(of_load[m]));
        for (size_t m = 0; m < sizeof of_machine / sizeof of_machine[0]; m++)
            show_row(batch, sweep, sweep->values[v], "", sim_metric(of_machine[m]));
    }
    printf("Over %u seeds; differences of a policy from %s, seed by seed. Figures that are 0 throughout are left out.\n", sweep->seeds,
           sweep->series[0]);
}

static json_t *estimate_json(struct sim_estimate e)
{
    return json_pack("{s:i, s:o, s:o}", "n", e.n, "mean", isnan(e.mean) ? json_null() : json_real(e.mean), "half_95",
                     isnan(e.half) ? json_null() : json_real(e.half));
}

static void show_json(const struct run *batch, const struct sim_sweep *sweep, const struct sim_setup *setup)
{
    json_t *rows = json_array(), *all;

    for (unsigned v = 0; v < sweep->nr_values; v++) {
        for (unsigned m = 0; m < sim_nr_metrics; m++) {
            const struct sim_metric *metric = &sim_metrics[m];

            for (unsigned l = 0; l < (metric->of_load ? setup->nr_loads : 1); l++) {
                const char *load = metric->of_load ? setup->loads[l].name : "";

                for (unsigned s = 0; s < sweep->nr_series; s++) {
                    struct sim_estimate e = sim_batch_mean(batch, sweep->series[s], sweep->values[v], load, metric->name);
                    json_t *row;

                    if (!e.n)
                        continue;
                    row = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "x", sweep->values[v], "series", sweep->series[s], "load", load, "metric",
                                    metric->name, "unit", metric->unit, "value", estimate_json(e));
                    if (s)
                        json_object_set_new(row, "difference",
                                            estimate_json(sim_batch_difference(batch, sweep->series[0], sweep->series[s], sweep->values[v],
                                                                               load, metric->name, false)));
                    json_array_append_new(rows, row);
                }
            }
        }
    }
    all = json_pack("{s:s, s:s, s:i, s:o, s:o}", "schema", "parangon-sim-sweep-1", "key", sweep->key, "seeds", sweep->seeds, "setup",
                    sim_setup_json(setup), "rows", rows);
    json_dumpf(all, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
    putchar('\n');
    json_decref(all);
}

/* ---- running ---- */

static int run_all(struct run *batch, const struct sim_sweep *sweep, struct sim_setup *setup)
{
    uint64_t first = setup->config.seed;
    unsigned done = 0, all = sweep->nr_values * sweep->nr_series * sweep->seeds;

    for (unsigned v = 0; v < sweep->nr_values; v++) {
        if (*sweep->key && sim_setup_set(setup, sweep->key, sweep->values[v]) < 0)
            return STATUS_USAGE;
        for (unsigned s = 0; s < sweep->nr_series; s++) {
            if (sim_setup_set(setup, "sched", sweep->series[s]) < 0)
                return STATUS_USAGE;
            for (unsigned i = 0; i < sweep->seeds; i++, done++) {
                setup->config.seed = first + i;
                if (sim_batch_run(batch, setup, sweep->series[s], sweep->key, sweep->values[v]) < 0)
                    return STATUS_USAGE;
            }
        }
        fprintf(stderr, "parangon: %u of %u simulations\n", done, all);
    }
    setup->config.seed = first;
    return STATUS_DONE;
}

/* What the figure shows: as asked, of the first load that responds if it names none. @return 0; -1 after a message */
static int choose_metric(const struct sim_sweep *sweep, const struct sim_setup *setup, char load[SIM_NAME_MAX], const char **metric)
{
    const char *dot = sweep->metric ? strrchr(sweep->metric, '.') : NULL, *responds = "";
    bool known = false;

    *load = 0;
    for (unsigned l = setup->nr_loads; l--;) {
        if (setup->loads[l].kind != SIM_HOG && setup->loads[l].kind != SIM_YIELDER)
            responds = setup->loads[l].name;
        known |= dot && strlen(setup->loads[l].name) == (size_t)(dot - sweep->metric) && !strncmp(sweep->metric, setup->loads[l].name, dot - sweep->metric);
    }
    *metric = dot ? dot + 1 : sweep->metric ? sweep->metric : *responds ? "response-p99" : "share-error";
    if (dot && !known) {
        fprintf(stderr, "parangon sim: --metric %s: no load has that name\n", sweep->metric);
        return -1;
    }
    if (dot && !sim_metric(*metric)->of_load) {
        fprintf(stderr, "parangon sim: --metric %s: %s is of the machine, not of a load\n", sweep->metric, *metric);
        return -1;
    }
    if (sim_metric(*metric)->of_load && !dot && !*responds) {
        fprintf(stderr, "parangon sim: --metric %s: of which load? LOAD.%s\n", sweep->metric, *metric);
        return -1;
    }
    if (sim_metric(*metric)->of_load)
        snprintf(load, SIM_NAME_MAX, "%.*s", dot ? (int)(dot - sweep->metric) : SIM_NAME_MAX, dot ? sweep->metric : responds);
    return 0;
}

int sim_sweep(const struct sim_sweep *sweep, struct sim_setup *setup)
{
    struct run *batch = sim_batch_new("sweep");
    struct sim_figure figure = {.batch = batch, .key = sweep->key, .values = sweep->values, .nr_values = sweep->nr_values,
                                .series = sweep->series, .nr_series = sweep->nr_series, .difference = sweep->nr_series > 1 && sweep->seeds > 1};
    char load[SIM_NAME_MAX], title[200], note[200], *stem = NULL;
    int status = choose_metric(sweep, setup, load, &figure.metric) < 0 ? STATUS_USAGE : run_all(batch, sweep, setup);

    if (status == STATUS_DONE) {
        if (sweep->json)
            show_json(batch, sweep, setup);
        else
            show_table(batch, sweep, setup);
        stem = sim_batch_write(batch, setup, sweep->folder);
        status = stem ? STATUS_DONE : STATUS_INCOMPLETE;
    }
    if (stem && sweep->nr_values > 1) {
        snprintf(title, sizeof title, "%s%s%s by %s", load, *load ? ": " : "", figure.metric, sweep->key);
        snprintf(note, sizeof note, "simulated: %u pcpus, %u a core, pair matrix %s; mean and 95 %% interval of %u seeds",
                 setup->config.cpus, setup->config.threads, setup->config.matrix_name, sweep->seeds);
        figure.title = title;
        figure.note = note;
        figure.load = load;
        if (isnan(largest_of(&figure)))
            fprintf(stderr, "parangon: no figure: no run has a value of %s%s%s\n", load, *load ? "." : "", figure.metric);
        else
            status = sim_figure_draw(&figure, stem) < 0 ? STATUS_INCOMPLETE : STATUS_DONE;
    }
    fflush(stdout); /* the table first */
    if (stem)
        fprintf(stderr, "parangon: kept %s.h5%s\n", stem, sweep->nr_values > 1 && !isnan(largest_of(&figure)) ? ", .svg, .png" : "");
    free(stem);
    run_free(batch);
    return status;
}

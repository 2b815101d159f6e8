/* SPDX-License-Identifier: MIT */
/*
 * The figure of a run: what each workload executes more than native, ours beside the peer, drawn
 * by gnuplot.
 *
 * Two panels above each other (the suite with its mean; single operations), a column per class
 * of mitigations. One horizontal bar per platform, guest and hypervisor stacked, whiskers from
 * the smallest to the largest seed, the total as a number at its end. The axes are linear:
 * stacked bars on a logarithmic axis would lie.
 * Does not: use time; hide rows (what was not measured has no bar and says so).
 */
#define _GNU_SOURCE /* asprintf */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_sort.h>

#include "analysis/report.h"
#include "analysis/stats.h"
#include "analysis/tables.h"
#include "trace/gnuplot.h"

/* Sizes in pixels of the PNG; the SVG has the same shape. */
#define ROW_HEIGHT     27
#define LABEL_WIDTH    190
#define SINGLE_WIDTH   880 /* of the column, where there is but one class */
#define COLUMN_WIDTH   520
#define COLUMN_GAP     26
#define MARGIN_RIGHT   26
#define HEAD_HEIGHT    104
#define PANEL_GAP      86
#define FOOT_HEIGHT    112
#define PANEL_ROWS_MAX 256
#define OUTLIER        3.0 /* a row so many times longer than the next does not set the axis */
#define BAR_HALF       0.19
/* Room for the numbers at the ends of the bars, of the bars' range: plain ones, and such as say that a bar is cut. */
#define NUMBER_ROOM     0.17
#define CUT_NUMBER_ROOM 0.30

/* Ours and the peer; choose_bars() puts PVH in the place of a peer that was not measured. */
static struct {
    const char *platform, *title, *guest_color, *hypervisor_color;
    double offset; /* of the bar from the middle of its row */
} bars[2][2] = {
    [RUN_DEFAULT] = {{"pv", "Parangon", "#a8cdea", "#1b6ca8", 0.21},
                     {"xen-pv", "Xen 4.17", "#f7c59a", "#d1630f", -0.21}},
    [RUN_TUNED] = {{"pv", "Parangon", "#a8cdea", "#1b6ca8", 0.21},
                   {"xen-pv-tuned", "Xen 4.17", "#f7c59a", "#d1630f", -0.21}},
};

static const char *const class_titles[] = {
    [RUN_DEFAULT] = "class default: mitigations as shipped",
    [RUN_TUNED] = "class tuned: mitigations off",
};

/* One panel: the workloads of a kind, in table order. */
struct panel {
    enum run_kind kind;
    const char *title;
    const char *names[PANEL_ROWS_MAX];
    size_t nr_names;
    bool mean;                  /* one more row: the mean of the suite */
    double low, high;           /* of the bars, in percent; those beyond are cut */
    double axis_low, axis_high; /* with room for the numbers */
};

struct figure {
    const struct stats *stats;
    struct panel panels[2];
    size_t nr_panels;
    enum run_class classes[2];
    size_t nr_classes;
    int width, height, column_width;
};

static size_t panel_rows(const struct panel *panel)
{
    return panel->nr_names + panel->mean;
}

/* What one bar shows, in percent of native's instructions; false when it was not measured. */
struct bar {
    double guest, hypervisor, low, high;
    bool claimed; /* distinguishable from native (in a quick run, which claims nothing: always) */
    const char *note; /* what stands behind the number */
};

static bool bar_of(const struct figure *figure, const struct panel *panel, size_t row,
                   enum run_class class, int which, struct bar *bar)
{
    const char *platform = bars[class][which].platform;

    if (row == panel->nr_names) {
        const struct stats_aggregate *mean = stats_mean(figure->stats, platform, class);

        if (!mean)
            return false;
        *bar = (struct bar){mean->guest * 100,
                            mean->hypervisor * 100,
                            NAN,
                            NAN,
                            true,
                            mean->whole ? "" : " (part of the suite)"};
        return true;
    }
    const struct stats_row *found = stats_find(figure->stats, panel->names[row], platform, class);

    if (!found || isnan(found->ratio.median))
        return false;
    *bar = (struct bar){found->guest_share * 100,
                        found->hypervisor_share * 100,
                        (found->ratio.min - 1) * 100,
                        (found->ratio.max - 1) * 100,
                        figure->stats->run->quick ||
                            !(found->flags & (ROW_QUICK | ROW_NO_NULL | ROW_INDISTINCT)),
                        ""};
    return true;
}

/* A round number that is not less than `value`: 1, 2, 5 times a power of ten. */
static double round_up(double value)
{
    double power = pow(10, floor(log10(value)));
    double digits = value / power;

    return power * (digits <= 1 ? 1 : digits <= 2 ? 2 : digits <= 5 ? 5 : 10);
}

/* The ends of the bars of one row, whiskers included, over both platforms and all classes. */
static void row_range(const struct figure *figure, const struct panel *panel, size_t row,
                      double *low, double *high)
{
    *low = *high = 0;
    for (size_t i = 0; i < figure->nr_classes; i++) {
        for (int which = 0; which < 2; which++) {
            struct bar bar;

            if (!bar_of(figure, panel, row, figure->classes[i], which, &bar))
                continue;
            *high = fmax(*high, fmax(fmax(bar.guest, 0) + bar.hypervisor, bar.high));
            *low = fmin(*low, fmin(bar.guest, bar.low));
        }
    }
}

/*
 * One axis for both classes, with room for the numbers at the ends of the bars. A row that would
 * press all others together (more than OUTLIER times the next) does not set the axis: its bars are
 * cut, and their numbers say so.
 */
static void panel_range(const struct figure *figure, struct panel *panel)
{
    size_t rows = panel_rows(panel);
    double highs[PANEL_ROWS_MAX + 1], low, high, room;

    for (size_t row = 0; row < rows; row++)
        row_range(figure, panel, row, &low, &highs[row]);
    gsl_sort(highs, 1, rows);
    while (rows > 1 && highs[rows - 1] > OUTLIER * highs[rows - 2])
        rows--;
    panel->low = 0;
    panel->high = fmax(highs[rows - 1], 1);
    for (size_t row = 0; row < panel_rows(panel); row++) {
        row_range(figure, panel, row, &low, &high);
        if (high <= panel->high)
            panel->low = fmin(panel->low, low);
    }
    panel->low = fmax(panel->low, -panel->high);
    panel->axis_low = panel->low - (panel->low < 0 ? (panel->high - panel->low) * 0.01 : 0);
    room = rows < panel_rows(panel) ? CUT_NUMBER_ROOM : NUMBER_ROOM;
    panel->axis_high = panel->high + (panel->high - panel->low) * room;
}

static void add_panel(struct figure *figure, enum run_kind kind, const char *title)
{
    struct panel *panel = &figure->panels[figure->nr_panels];

    *panel = (struct panel){.kind = kind, .title = title};
    for (size_t i = 0; i < figure->stats->nr_rows; i++) {
        const struct stats_row *row = &figure->stats->rows[i];
        const char *last = panel->nr_names ? panel->names[panel->nr_names - 1] : "";

        if (row->kind == kind && strcmp(row->platform, "native") && strcmp(row->workload, last) &&
            !isnan(row->ratio.median) && !report_is_primitive(row->workload) &&
            panel->nr_names < PANEL_ROWS_MAX)
            panel->names[panel->nr_names++] = row->workload;
    }
    panel->mean = kind == RUN_MACRO && figure->stats->nr_aggregates;
    if (!panel->nr_names)
        return;
    panel_range(figure, panel);
    figure->nr_panels++;
}

static void choose_bars(const struct stats *stats)
{
    bool peer = false, pvh = false;

    for (size_t i = 0; i < stats->nr_rows; i++) {
        peer |= !strncmp(stats->rows[i].platform, "xen-pv", 6);
        pvh |= !strcmp(stats->rows[i].platform, "pvh");
    }
    for (enum run_class which = RUN_DEFAULT; which <= RUN_TUNED; which++) {
        bool instead = pvh && !peer;

        bars[which][0].title = instead ? "PV" : "Parangon";
        bars[which][1].platform = instead ? "pvh" : which == RUN_TUNED ? "xen-pv-tuned" : "xen-pv";
        bars[which][1].title = instead ? "PVH" : "Xen 4.17";
    }
}

static void layout(struct figure *figure)
{
    choose_bars(figure->stats);
    for (enum run_class which = RUN_DEFAULT; which <= RUN_TUNED; which++) {
        bool any = false;

        for (size_t i = 0; i < figure->stats->nr_rows; i++) {
            const struct stats_row *row = &figure->stats->rows[i];

            any |= row->class == which && !isnan(row->ratio.median) && !report_is_primitive(row->workload) &&
                   (!strcmp(row->platform, bars[which][0].platform) ||
                    !strcmp(row->platform, bars[which][1].platform));
        }
        if (any)
            figure->classes[figure->nr_classes++] = which;
    }
    if (!figure->nr_classes)
        return;
    add_panel(figure, RUN_MACRO, "whole programs");
    add_panel(figure, RUN_MICRO, "single operations");
    figure->column_width = figure->nr_classes > 1 ? COLUMN_WIDTH : SINGLE_WIDTH;
    figure->width = LABEL_WIDTH + MARGIN_RIGHT + figure->nr_classes * figure->column_width +
                    (figure->nr_classes - 1) * COLUMN_GAP;
    figure->height = HEAD_HEIGHT + FOOT_HEIGHT + (figure->nr_panels - 1) * PANEL_GAP;
    for (size_t i = 0; i < figure->nr_panels; i++)
        figure->height += panel_rows(&figure->panels[i]) * ROW_HEIGHT;
}

/* Whether a platform was measured at all in a class: if not, its bars are left out without a word.
 */
static bool has_platform(const struct figure *figure, enum run_class class, int which)
{
    for (size_t i = 0; i < figure->stats->nr_rows; i++)
        if (figure->stats->rows[i].class == class &&
            !strcmp(figure->stats->rows[i].platform, bars[class][which].platform))
            return true;
    return false;
}

static double cut(const struct panel *panel, double value)
{
    return fmin(fmax(value, panel->low), panel->high);
}

/* The bars of one panel, class and platform: y, guest from, to, hypervisor from, to, whisker, place
 * of the number, number. */
static void put_data(FILE *out, const struct figure *figure, const struct panel *panel,
                     enum run_class class, int which)
{
    const char *missing = has_platform(figure, class, which) ? "not measured" : "";

    fprintf(out, "$data%d << END\n", which);
    for (size_t row = 0; row < panel_rows(panel); row++) {
        struct bar bar;
        double y = -(double)row + bars[class][which].offset;

        if (!bar_of(figure, panel, row, class, which, &bar)) {
            fprintf(out, "%.2f 0 0 0 0 NaN NaN 0 \"%s\"\n", y, missing);
            continue;
        }
        double start = fmax(bar.guest, 0), end = start + bar.hypervisor;
        double total = bar.guest + bar.hypervisor;

        double place = fmax(fmax(end, total), bar.high);

        fprintf(out, "%.2f %.5f %.5f %.5f %.5f ", y, cut(panel, fmin(bar.guest, 0)),
                cut(panel, start), cut(panel, start), cut(panel, end));
        if (isnan(bar.low))
            fputs("NaN NaN ", out);
        else
            fprintf(out, "%.5f %.5f ", cut(panel, bar.low), cut(panel, bar.high));
        int decimals = fabs(total) < 9.995 ? 2 : fabs(total) < 99.95 ? 1 : 0;

        fprintf(out, "%.5f \"%s%s%.*f %%%s\"\n", cut(panel, place),
                place > panel->high ? "bar cut: " : "", bar.claimed ? total < 0 ? "" : "+" : "~ ",
                decimals, total, bar.note);
    }
    fputs("END\n", out);
}

static void put_axes(FILE *out, const struct figure *figure, const struct panel *panel, bool first)
{
    double step = round_up((panel->axis_high - panel->axis_low) / 8);

    fprintf(out, "set xrange [%g:%g]\nset yrange [%g:0.6]\nset xtics %g format '%%g %%%%'\n",
            panel->axis_low, panel->axis_high, -(double)panel_rows(panel) + 0.4, step);
    fputs("set ytics (", out);
    for (size_t row = 0; row < panel_rows(panel); row++) {
        fputs(row ? ", " : "", out);
        gnuplot_quote(out, !first                   ? ""
                        : row == panel->nr_names ? "mean, equal work"
                                                 : panel->names[row]);
        fprintf(out, " %d", -(int)row);
    }
    fprintf(out, ")\nset xlabel '%s executed more than native, in %% of native' offset 0,0.3\n",
            strcmp(figure->stats->run->mode, "count") ? figure->stats->run->unit
                                                      : "instructions (synthetic clock)");
    if (panel->mean)
        fprintf(out,
                "set arrow 1 from graph 0, first %g to graph 1, first %g nohead lc rgb '#555555' "
                "lw 1\n",
                0.5 - (double)panel->nr_names, 0.5 - (double)panel->nr_names);
    else
        fputs("unset arrow 1\n", out);
}

/* One plot: a panel in the column of a class, between the given heights (pixels from the top). */
static void put_plot(FILE *out, const struct figure *figure, const struct panel *panel,
                     size_t column, int top, int bottom)
{
    enum run_class class = figure->classes[column];
    double left = LABEL_WIDTH + column * (figure->column_width + COLUMN_GAP);

    fprintf(out, "set lmargin at screen %.5f\nset rmargin at screen %.5f\n", left / figure->width,
            (left + figure->column_width) / figure->width);
    fprintf(out, "set tmargin at screen %.5f\nset bmargin at screen %.5f\n",
            1 - (double)top / figure->height, 1 - (double)bottom / figure->height);
    put_axes(out, figure, panel, column == 0);
    fprintf(out, "set title '%s; %s' offset 0,-0.5\n", panel->title, class_titles[class]);
    for (int which = 0; which < 2; which++)
        put_data(out, figure, panel, class, which);
    fputs("plot ", out);
    for (int which = 0; which < 2; which++) {
        fprintf(
            out,
            "%s$data%d using 2:1:2:3:($1-%g):($1+%g) with boxxyerror fs solid 1 noborder lc rgb "
            "'%s' notitle, \\\n"
            " '' using 4:1:4:5:($1-%g):($1+%g) with boxxyerror fs solid 1 noborder lc rgb '%s' "
            "notitle, \\\n"
            " '' using 7:1:6:7 with xerrorbars pt 0 lw 1 lc rgb '#333333' notitle, \\\n"
            " '' using 8:1:9 with labels left offset 0.6,0 font ',8.5' tc rgb '#333333' notitle",
            which ? ", \\\n " : "", which, BAR_HALF, BAR_HALF, bars[class][which].guest_color,
            BAR_HALF, BAR_HALF, bars[class][which].hypervisor_color);
    }
    fputs("\n", out);
}

/* The colours' meaning, as boxes and texts in one line under the title. */
static void put_legend(FILE *out, const struct figure *figure)
{
    const double y = 1 - 62.0 / figure->height, half = 6.0 / figure->height;
    double x = LABEL_WIDTH;

    for (int which = 0; which < 2; which++) {
        for (int part = 0; part < 2; part++) {
            fprintf(out,
                    "set object rectangle from screen %.5f,%.5f to screen %.5f,%.5f fs solid 1 "
                    "noborder "
                    "fc rgb '%s' front\n",
                    x / figure->width, y - half, (x + 22) / figure->width, y + half,
                    part ? bars[0][which].hypervisor_color : bars[0][which].guest_color);
            fprintf(out, "set label '%s: %s' at screen %.5f,%.5f left front font ',10'\n",
                    bars[0][which].title, part ? "hypervisor" : "guest", (x + 28) / figure->width,
                    y);
            x += part ? 200 : 150;
        }
    }
}

static void put_texts(FILE *out, const struct figure *figure)
{
    const struct run *run = figure->stats->run;
    char fingerprint[65], text[512];

    run_fingerprint(run, fingerprint);
    fprintf(out,
            "set label 'What virtualization costs Linux: instructions executed beyond those of "
            "the same workload native' at screen %.5f,%.5f left "
            "font ',15'\n",
            24.0 / figure->width, 1 - 26.0 / figure->height);
    put_legend(out, figure);
    const char *const lines[] = {
        "Guest: what the guest itself executes more than native. Hypervisor: its own instructions. "
        "Whiskers: smallest and largest seed.",
        run->quick
            ? "QUICK: one seed, no claim of difference."
            : "A ~ marks what cannot be told from native (other seeds change as much), or was "
              "not judged.",
        text,
    };

    snprintf(text, sizeof(text),
             "Mode %s, REP folded; CPU %s, one vCPU%s%s %.12s%s%.12s; fingerprint %.12s%s",
             run->mode, run->cpu_model, *run->suite_id ? "; suite " : "", run->suite_id,
             run->suite_sha256, *run->hv_build_id ? "; hypervisor " : "", run->hv_build_id,
             fingerprint, run->complete ? "" : "; INCOMPLETE");
    for (int i = 0; i < 3; i++) {
        fputs("set label ", out);
        gnuplot_quote(out, lines[i]);
        fprintf(out, " at screen %.5f,%.5f left font ',9' tc rgb '#333333'\n", 24.0 / figure->width,
                (14.0 + (2 - i) * 15) / figure->height);
    }
}

/* The script behind the setting of terminal and output (gnuplot_draw). */
static void put_script(FILE *out, const void *context)
{
    const struct figure *figure = context;
    int top = HEAD_HEIGHT;

    fputs("set multiplot\nset grid xtics lc rgb '#dddddd' lw 1\nunset key\n"
          "set bars small\nset arrow 2 from first 0, graph 0 to first 0, graph 1 nohead lc rgb "
          "'#333333' lw 1.2 front\n",
          out);
    put_texts(out, figure);
    for (size_t i = 0; i < figure->nr_panels; i++) {
        int bottom = top + panel_rows(&figure->panels[i]) * ROW_HEIGHT;

        for (size_t column = 0; column < figure->nr_classes; column++) {
            put_plot(out, figure, &figure->panels[i], column, top, bottom);
            if (!i && !column)
                fputs("unset label\nunset object\n", out);
        }
        top = bottom + PANEL_GAP;
    }
    fputs("unset multiplot\n", out);
}

int report_figure(const struct run *run, const char *result_path)
{
    struct stats *stats = stats_new(run);
    struct figure figure = {.stats = stats};
    size_t length = strlen(result_path);
    char *stem = NULL;
    int error;

    if (length > 3 && !strcmp(result_path + length - 3, ".h5"))
        length -= 3;
    layout(&figure);
    if (!figure.nr_panels) {
        fprintf(stderr, "parangon: no figure for %s: no workload was measured both natively and as a domain\n", result_path);
        error = -ENODATA;
    } else if (asprintf(&stem, "%.*s", (int)length, result_path) < 0) {
        fprintf(stderr, "parangon: no figure for %s: out of memory\n", result_path);
        error = -ENOMEM;
    } else {
        error = gnuplot_draw(stem, figure.width, figure.height, put_script, &figure);
        free(stem);
    }
    stats_free(stats);
    return error;
}

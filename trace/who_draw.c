/* SPDX-License-Identifier: MIT */
/* Who ran where, as a picture: see who.h. A colour a domain; the waiting is red. */
#include <stdlib.h>
#include <string.h>

#include "trace/gnuplot.h"
#include "trace/who.h"

#define VCPUS_DRAWN 48   /* rows of the lower panel; with more it is left out */
#define WIDTH       1100 /* pixels */
#define MARGIN      0.07 /* of the width, left */
#define FINEST      1000 /* stretches shorter than this part of the time shown are drawn together */
#define NR_COLORS   12
#define HALF        0.38 /* of a bar's height */

static const char *const colors[NR_COLORS] = {"#1b6ca8", "#d1630f", "#3a8a3a", "#8a3a8a", "#c9a227", "#2a9d8f",
                                              "#b03a5b", "#6d597a", "#7f8c3a", "#457b9d", "#a0522d", "#355070"};

struct picture {
    const struct who *who;
    uint64_t from, to;
    bool vcpus;      /* the lower panel too */
    int height;
};

static double ms(const struct picture *p, uint64_t ticks)
{
    return (double)ticks * 1e3 / (p->who->tsc_hz ? p->who->tsc_hz : 1000000000);
}

static double at(const struct picture *p, uint64_t time)
{
    return ms(p, time < p->from ? 0 : (time > p->to ? p->to : time) - p->from);
}

static bool shown(const struct picture *p, uint64_t from, uint64_t to)
{
    return to > p->from && from < p->to;
}

static bool fine(const struct picture *p, uint64_t from, uint64_t to)
{
    return to - from < (p->to - p->from) / FINEST;
}

static void bar(FILE *out, const struct picture *p, uint64_t from, uint64_t to, double row)
{
    fprintf(out, "%.9g %.9g %.9g\n", at(p, from), at(p, to), -row);
}

/* What all data blocks hold but the grey: stretches of the domains of one colour. */
static size_t put_color(FILE *out, const struct picture *p, unsigned color, bool by_vcpu)
{
    size_t nr = 0;

    fprintf(out, "$c%u << END\n", color);
    for (size_t i = 0; i < p->who->nr_runs; i++) {
        const struct who_run *r = &p->who->runs[i];

        if (p->who->vcpus[r->vcpu].domid % NR_COLORS != color || !shown(p, r->from, r->to) || fine(p, r->from, r->to))
            continue;
        bar(out, p, r->from, r->to, by_vcpu ? r->vcpu : r->cpu);
        nr++;
    }
    fputs("END\n", out);
    return nr;
}

/* Neighbouring short stretches of one row, as one. */
static size_t put_fine(FILE *out, const struct picture *p, bool by_vcpu)
{
    uint32_t rows = by_vcpu ? p->who->nr_vcpus : p->who->nr_cpus;
    struct {
        uint64_t from, to;
    } *open = calloc(rows + 1, sizeof *open);
    size_t nr = 0;

    fputs("$fine << END\n", out);
    for (size_t i = 0; open && i < p->who->nr_runs; i++) {
        const struct who_run *r = &p->who->runs[i];
        uint32_t row = by_vcpu ? r->vcpu : r->cpu;

        if (!shown(p, r->from, r->to) || !fine(p, r->from, r->to))
            continue;
        if (open[row].to && !fine(p, open[row].to, r->from > open[row].to ? r->from : open[row].to)) {
            bar(out, p, open[row].from, open[row].to, row);
            nr++;
            open[row].to = 0;
        }
        if (!open[row].to)
            open[row].from = r->from;
        open[row].to = r->to;
    }
    for (uint32_t row = 0; open && row < rows; row++) {
        if (!open[row].to)
            continue;
        bar(out, p, open[row].from, open[row].to, row);
        nr++;
    }
    fputs("END\n", out);
    free(open);
    return nr;
}

static size_t put_waits(FILE *out, const struct picture *p)
{
    size_t nr = 0;

    fputs("$wait << END\n", out);
    for (size_t i = 0; i < p->who->nr_waits; i++) {
        const struct who_wait *w = &p->who->waits[i];

        if (!shown(p, w->from, w->to) || fine(p, w->from, w->to))
            continue;
        bar(out, p, w->from, w->to, w->vcpu);
        nr++;
    }
    fputs("END\n", out);
    return nr;
}

/* A name for a colour: its domains, the first few of them. */
static void title_of(const struct picture *p, unsigned color, char *text, size_t size)
{
    unsigned nr = 0;
    int last = -1;

    *text = 0;
    for (size_t i = 0; i < p->who->nr_vcpus; i++) {
        const struct who_vcpu *v = &p->who->vcpus[i];

        if (v->domid % NR_COLORS != color || v->domid == last)
            continue;
        last = v->domid;
        if (++nr > 3) {
            strncat(text, "...", size - strlen(text) - 1);
            return;
        }
        snprintf(text + strlen(text), size - strlen(text), "%sd%u", nr > 1 ? "," : "", v->domid);
    }
}

static void put_panel(FILE *out, const struct picture *p, bool by_vcpu)
{
    static const char style[] = "using 1:3:1:2:($3-%g):($3+%g) with boxxyerror fs solid 1 noborder lc rgb '%s' ";
    size_t nr[NR_COLORS], nr_fine, nr_waits = 0;
    bool any = false;
    char title[64];

    for (unsigned c = 0; c < NR_COLORS; c++)
        nr[c] = put_color(out, p, c, by_vcpu);
    nr_fine = put_fine(out, p, by_vcpu);
    if (by_vcpu)
        nr_waits = put_waits(out, p);
    fputs("plot ", out);
    if (nr_waits) {
        fputs("$wait ", out);
        fprintf(out, style, HALF / 2, HALF / 2, "#f2b5b5");
        fputs("title 'waits'", out);
        any = true;
    }
    for (unsigned c = 0; c < NR_COLORS; c++) {
        if (!nr[c])
            continue;
        title_of(p, c, title, sizeof title);
        fprintf(out, "%s$c%u ", any ? ", " : "", c);
        fprintf(out, style, HALF, HALF, colors[c]);
        fprintf(out, by_vcpu ? "notitle" : "title '%s'", title);
        any = true;
    }
    if (nr_fine) {
        fprintf(out, "%s$fine ", any ? ", " : "");
        fprintf(out, style, HALF, HALF, "#9a9a9a");
        fputs(by_vcpu ? "notitle" : "title 'several, too short to show'", out);
        any = true;
    }
    fputs(any ? "\n" : "1/0 notitle\n", out);
}

static void put_rows(FILE *out, const struct picture *p, bool by_vcpu)
{
    uint32_t rows = by_vcpu ? p->who->nr_vcpus : p->who->nr_cpus, step = 1 + (rows - 1) / 64;

    fprintf(out, "set yrange [%g:0.6]\nset ytics (", -(double)rows + 0.4);
    for (uint32_t row = 0; row < rows; row += step) {
        if (by_vcpu)
            fprintf(out, "%s'd%uv%u' %d", row ? ", " : "", p->who->vcpus[row].domid, p->who->vcpus[row].id, -(int)row);
        else
            fprintf(out, "%s'cpu %u' %d", row ? ", " : "", row, -(int)row);
    }
    fputs(")\n", out);
}

static int row_height(uint32_t rows)
{
    return rows <= 16 ? 22 : rows <= 64 ? 14 : 4;
}

static void put(FILE *out, const void *context)
{
    const struct picture *p = context;
    double above = 84.0 + row_height(p->who->nr_cpus) * p->who->nr_cpus;

    fprintf(out, "set multiplot\nset lmargin at screen %g\nset rmargin at screen 0.985\nset xrange [0:%.9g]\nset grid xtics lc rgb '#dddddd'\n",
            MARGIN, ms(p, p->to - p->from));
    fprintf(out, "set key at screen 0.985, screen %g right top horizontal Left reverse samplen 1 maxrows 2 font ',9'\n", 1 - 14.0 / p->height);
    fprintf(out, "set label 'who ran where' at screen 0.01, screen %g font ',13'\n", 1 - 18.0 / p->height);
    fprintf(out, "set tmargin at screen %g\nset bmargin at screen %g\n", 1 - 70.0 / p->height, 1 - (above - 14) / p->height);
    if (!p->vcpus)
        fprintf(out, "set xlabel 'ms from %.6g ms on'\n", ms(p, p->from - p->who->first));
    put_rows(out, p, false);
    put_panel(out, p, false);
    if (p->vcpus) {
        fprintf(out, "unset label\nset key at screen 0.985, screen %g right bottom\nset tmargin at screen %g\nset bmargin at screen %g\n",
                4.0 / p->height, 1 - (above + 26) / p->height, 50.0 / p->height);
        fprintf(out, "set xlabel 'ms from %.6g ms on'\n", ms(p, p->from - p->who->first));
        put_rows(out, p, true);
        put_panel(out, p, true);
    }
    fputs("unset multiplot\n", out);
}

int trace_who_draw(const struct who *who, const char *stem, uint64_t from, uint64_t to)
{
    struct picture p = {.who = who, .from = from, .to = to, .vcpus = who->nr_vcpus <= VCPUS_DRAWN};

    p.height = 84 + row_height(who->nr_cpus) * who->nr_cpus + 40;
    if (p.vcpus)
        p.height += 40 + row_height(who->nr_vcpus) * who->nr_vcpus;
    return gnuplot_draw(stem, WIDTH, p.height, put, &p);
}

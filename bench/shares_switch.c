/* SPDX-License-Identifier: MIT */
/* What a switch from one domain to another costs: see shares_switch.h. */
#include "bench/shares_switch.h"

#include <stdlib.h>
#include <string.h>

#include "bench/interval.h"
#include "bench/join.h"
#include "trace/gnuplot.h"

#define SWITCHES (2.0 * SWITCH_TIMES) /* in an interval: away and back each time */

static int by_hypervisor(const void *a, const void *b)
{
    const struct interval *x = a, *y = b;

    return (x->hypervisor > y->hypervisor) - (x->hypervisor < y->hypervisor);
}

/* The first domain says that each time somebody else ran before it came back. */
static bool all_switched(const char *console)
{
    const char *line = console ? strstr(console, "(d1) MICRO yields ") : NULL;
    unsigned times, away;

    return line && sscanf(line, "(d1) MICRO yields %u, away %u", &times, &away) == 2 && times == SWITCH_INTERVALS * SWITCH_TIMES && away == times;
}

int switch_read(const struct boot *boot, struct switch_cost *cost)
{
    const struct interval_file_head *head = boot->intervals;
    char *why = join_intervals_damage(boot);
    struct interval *list;
    unsigned nr = 0, all = 0;
    int status = -1;

    if (why || !all_switched(boot->console)) {
        fprintf(stderr, "parangon: %s: %s\n", boot->name, why ? why : boot->failure ? boot->failure : "a domain gave way and came back at once, or said nothing");
        free(why);
        return -1;
    }
    if (head->nr_inexact)
        fprintf(stderr, "parangon: warning: %s: the plugin could not explain %u ends of blocks: counts are not exact\n", boot->name, head->nr_inexact);
    list = malloc(head->nr_intervals * sizeof *list + 1);
    if (!list)
        abort();
    for (unsigned i = 0; i < head->nr_intervals; i++) {
        const struct interval *at = &((const struct interval *)(head + 1))[i];

        if (at->kind != INTERVAL_MEASURED)
            continue;
        all++;
        if (at->counter[COUNTER_hv_entry] == SWITCHES) /* else a timer fired in it */
            list[nr++] = *at;
    }
    qsort(list, nr, sizeof *list, by_hypervisor);
    if (all == SWITCH_INTERVALS && nr > SWITCH_INTERVALS / 2) {
        const struct interval *half = &list[(nr - 1) / 2];

        *cost = (struct switch_cost){.hypervisor = half->hypervisor / SWITCHES, .guest = (half->user + half->kernel) / SWITCHES,
                                     .cr3_loads = half->counter[COUNTER_cr3_load] / SWITCHES, .least = list[0].hypervisor / SWITCHES,
                                     .most = list[nr - 1].hypervisor / SWITCHES, .times = nr * (unsigned)SWITCHES, .left_out = all - nr};
        status = 0;
    }
    if (status)
        fprintf(stderr, "parangon: %s: %u intervals instead of %d, and in %u one entry into the hypervisor for each switch, as in more than half it should be\n",
                boot->name, all, SWITCH_INTERVALS, nr);
    free(list);
    return status;
}

void switch_compare(struct switch_row *rows, size_t nr)
{
    for (size_t i = 0; i < nr; i++)
        for (size_t j = 0; j < nr; j++)
            if (!strcmp(rows[j].on, "xen") && !strcmp(rows[j].policy, rows[i].policy))
                rows[i].of_xen = rows[i].cost.hypervisor / rows[j].cost.hypervisor;
}

void switch_print(const struct switch_row *rows, size_t nr, const char *class)
{
    printf("Two PV domains that give way to each other on one processor, class %s; for a switch, from guest to guest: instructions (REP folded), events\n\n",
           class);
    printf("%-8s %-8s %8s %10s %10s %10s %7s %10s %8s %9s\n", "on", "policy", "switches", "hypervisor", "least", "most", "guest", "CR3 loads", "left out", "of Xen's");
    for (size_t i = 0; i < nr; i++) {
        const struct switch_cost *c = &rows[i].cost;

        printf("%-8s %-8s %8u %10.1f %10.1f %10.1f %7.1f %10.2f %8u", rows[i].on, rows[i].policy, c->times, c->hypervisor, c->least, c->most, c->guest,
               c->cr3_loads, c->left_out);
        if (rows[i].of_xen)
            printf(" %9.3f\n", rows[i].of_xen);
        else
            printf(" %9s\n", "-");
    }
    printf("hypervisor: median over those of %d intervals, of %d switches each, in which no timer fired; the others are left out\n", SWITCH_INTERVALS, (int)SWITCHES);
}

struct figure {
    const struct switch_row *rows;
    size_t nr;
    const char *class;
};

static void put_figure(FILE *out, const void *context)
{
    const struct figure *f = context;

    fprintf(out, "set title \"A switch from one PV domain to another, class %s\\nhypervisor instructions, from guest to guest\"\n", f->class);
    fputs("set ylabel \"instructions\"\nset yrange [0:*]\nset grid ytics\nset nokey\nset style fill solid 0.8\nset boxwidth 0.6\n$cost << END\n", out);
    for (size_t i = 0; i < f->nr; i++)
        fprintf(out, "%zu \"%s %s\" %.1f %d\n", i, f->rows[i].on, f->rows[i].policy, f->rows[i].cost.hypervisor, strcmp(f->rows[i].on, "xen") ? 1 : 2);
    fputs("END\nplot $cost using 1:3:4:xtic(2) with boxes lc variable, $cost using 1:3:(sprintf(\"%.0f\", $3)) with labels offset 0,0.7\n", out);
}

int switch_draw(const char *stem, const struct switch_row *rows, size_t nr, const char *class)
{
    return gnuplot_draw(stem, 900, 500, put_figure, &(struct figure){rows, nr, class});
}

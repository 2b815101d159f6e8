/* SPDX-License-Identifier: MIT */
/* model.h: two products and one comparison. */
#include "analysis/model.h"

#include <math.h>
#include <string.h>

#include "analysis/tables.h"

enum cost {
#define COST(name, low, high, source) COST_##name,
#include "analysis/costs.def"
#undef COST
    NR_COSTS
};

static const struct {
    double low, high;
    const char *source;
} costs[NR_COSTS] = {
#define COST(name, low, high, source) {low, high, source},
#include "analysis/costs.def"
#undef COST
};

static const struct {
    const char *platform, *title;
} shown[] = {{"pv", "PV"}, {"pvh", "PVH"}, {"hvm-pv", "PV-on-HVM"}, {"hvm", "HVM"}};
#define NR_SHOWN (sizeof(shown) / sizeof(shown[0]))

struct model_interval model_switches(const struct stats_row *row)
{
    bool pv = row && (!strcmp(row->platform, "pv") || !strncmp(row->platform, "xen-pv", 6)) && strcmp(row->platform, "xen-pvh");
    bool assisted = row && (report_is_assisted(row->platform) || !strcmp(row->platform, "xen-pvh"));
    enum cost cost = pv ? COST_ring_switch : COST_vm_switch;
    double rate = !pv && !assisted ? NAN : row->events[pv ? COUNTER_hv_entry : COUNTER_vmrun];

    return (struct model_interval){rate * costs[cost].low / 1000, rate * costs[cost].high / 1000};
}

int model_order(struct model_interval a, struct model_interval b)
{
    return a.high < b.low ? -1 : a.low > b.high ? 1 : 0;
}

static void print_row(FILE *out, const struct stats *stats, const char *workload, enum run_class class)
{
    struct model_interval of[NR_SHOWN];
    char low[CELL_MAX], high[CELL_MAX];
    bool any = false;

    for (size_t p = 0; p < NR_SHOWN; p++) {
        of[p] = model_switches(stats_find(stats, workload, shown[p].platform, class));
        any |= p > 0 && !isnan(of[p].low);
    }
    if (!any || strncmp(workload, "boot-", 5) == 0) /* what comes before the guest has no switches */
        return;
    fprintf(out, "%-16.16s", workload);
    for (size_t p = 0; p < NR_SHOWN; p++)
        fprintf(out, " | %7s to %7s", cell_rate(low, of[p].low), cell_rate(high, of[p].high));
    fprintf(out, " | %s\n", model_order(of[1], of[0]) < 0 ? "PVH below PV" : model_order(of[1], of[0]) > 0 ? "PVH above PV" : "no order");
}

void model_print(FILE *out, const struct stats *stats, enum run_class class)
{
    const char *last = "";
    bool head = false;

    for (size_t i = 0; i < stats->nr_rows; i++)
        head |= stats->rows[i].class == class && report_is_assisted(stats->rows[i].platform) &&
                !report_is_primitive(stats->rows[i].workload);
    if (!head)
        return;
    fprintf(out, "\nMODELLED, not measured: cycles of world switches per 1,000 native instructions, class %s\n%-16s", run_class_name(class),
            "workload");
    for (size_t p = 0; p < NR_SHOWN; p++)
        fprintf(out, " | %18s", shown[p].title);
    fputs(" | order of these\n", out);
    for (size_t i = 0; i < stats->nr_rows; i++) {
        const struct stats_row *row = &stats->rows[i];

        if (row->class == class && strcmp(row->workload, last)) {
            last = row->workload;
            print_row(out, stats, last, class);
        }
    }
    for (size_t i = 0; i < NR_COSTS; i++)
        fprintf(out, "%.0f to %.0f cycles: %s\n", costs[i].low, costs[i].high, costs[i].source);
    fputs("An order is stated where the intervals are disjoint, and of world switches alone: page walks, which nested paging makes 3.9 to 4.57 times\n"
          "as long (Bhargava et al., ASPLOS 2008), CR3 loads and TLB flushes are not in it, so no order in time follows\n",
          out);
}

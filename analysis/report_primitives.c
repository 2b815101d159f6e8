/* SPDX-License-Identifier: MIT */
/*
 * The table of primitives: single operations of guests/micro, in hypervisor instructions per operation, ours beside the peer's, PV and
 * PVH. An operation that a kind of guest does without entering the hypervisor stands as 0: it was counted.
 * Does not: subtract the guest's loop around an operation, which executes nothing in a hypervisor.
 */
#include <math.h>
#include <string.h>

#include "analysis/tables.h"

static const struct {
    const char *title, *ours, *peer;
} kinds[] = {
    {"PV", "pv", "xen-pv"},
    {"PVH", "pvh", "xen-pvh"},
};

bool report_is_primitive(const char *workload)
{
    return strncmp(workload, "micro-", 6) == 0;
}

static void print_row(FILE *out, const struct stats *stats, const char *workload)
{
    const struct stats_row *native = stats_find(stats, workload, "native", RUN_DEFAULT);
    char cell[CELL_MAX];

    fprintf(out, "%-24.24s %8s", workload + strlen("micro-"), cell_count(cell, native ? native->count.median : NAN));
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        const struct stats_row *ours = stats_find(stats, workload, kinds[k].ours, RUN_DEFAULT);
        const struct stats_row *peer = stats_find(stats, workload, kinds[k].peer, RUN_DEFAULT);
        double exits = ours && peer && ours->seeds[0].events[COUNTER_hv_entry] >= 0 ? ours->seeds[0].events[COUNTER_hv_entry] : NAN;

        fprintf(out, " | %9s", cell_count(cell, ours ? round(ours->hypervisor) : NAN));
        fprintf(out, " %9s", cell_count(cell, peer ? round(peer->hypervisor) : NAN));
        fprintf(out, " %7s", cell_ratio(cell, ours && peer && peer->hypervisor >= 1 ? ours->hypervisor / peer->hypervisor : NAN));
        fprintf(out, " %7s", cell_rate(cell, exits));
    }
    fputc('\n', out);
}

void report_primitives(FILE *out, const struct stats *stats)
{
    const char *last = "";
    bool head = false;

    for (size_t i = 0; i < stats->nr_rows; i++) {
        const struct stats_row *row = &stats->rows[i];

        if (!report_is_primitive(row->workload) || !strcmp(row->workload, last))
            continue;
        if (!head) {
            fprintf(out, "\nPrimitives: hypervisor instructions per operation (guests/micro, CPU %s)\n%-24s %8s", stats->run->cpu_model,
                    "", "native");
            for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
                fprintf(out, " | %20s%15s", kinds[k].title, "");
            fprintf(out, "\n%-24s %8s", "operation", "all");
            for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
                fprintf(out, " | %9s %9s %7s %7s", "ours", "Xen", "of Xen", "entries");
            fputs("\n---------------------------------------------------------------------------------------------------------------\n", out);
            head = true;
        }
        last = row->workload;
        print_row(out, stats, last);
    }
    if (head)
        fputs("all: instructions per operation, the loop's included; entries: of ours into the hypervisor, per operation. QEMU's SVM tells "
              "no next\ninstruction (nrip-save): where the guest's instruction must be read, PVH rows are some 400 above those of a processor that does\n",
              out);
}

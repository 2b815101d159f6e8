/* SPDX-License-Identifier: MIT */
/*
 * A run as one JSON object, for programs (`--json`). results/SCHEMA.md lists its keys.
 *
 * Not measured is null. Keys and elements come in a fixed order, so that equal runs give equal
 * text.
 */
#include <math.h>
#include <string.h>

#include "analysis/model.h"
#include "analysis/report.h"
#include "analysis/stats.h"
#include "analysis/tables.h"

static json_t *number(double value)
{
    if (isnan(value))
        return json_null();
    if (value == floor(value) && fabs(value) < 9007199254740992.0)
        return json_integer((json_int_t)value);
    return json_real(value);
}

static json_t *spread(const struct stats_spread *values)
{
    return json_pack("{s:o, s:o, s:o}", "median", number(values->median), "min",
                     number(values->min), "max", number(values->max));
}

static json_t *flags_of(uint32_t flags)
{
    json_t *list = json_array();

    for (uint32_t bit = 1; bit; bit <<= 1)
        if ((flags & bit) && row_flag_name(bit))
            json_array_append_new(list, json_string(row_flag_name(bit)));
    return list;
}

static json_t *row_json(const struct run *run, const struct stats_row *row)
{
    json_t *events = json_object();
    struct model_interval switches = model_switches(row);

    for (int i = 0; i < COUNTER_NR; i++)
        json_object_set_new(events, counter_names[i], number(row->events[i]));
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:{s:o, s:o, s:o},"
                     " s:{s:o, s:o}, s:o, s:{s:o, s:o}, s:o}",
                     "workload", row->workload, "kind", run_kind_name(row->kind), "platform",
                     row->platform, "class", run_class_name(row->class), "unit", run->unit,
                     "iterations", (json_int_t)row->iterations, "seeds", (json_int_t)row->nr_seeds,
                     "median", number(row->count.median), "min", number(row->count.min), "max",
                     number(row->count.max), "ratio_to_native", spread(&row->ratio), "split",
                     "user", number(row->user), "kernel", number(row->kernel), "hypervisor",
                     number(row->hypervisor), "share", "guest", number(row->guest_share),
                     "hypervisor", number(row->hypervisor_share), "events", events,
                     "modelled_switch_cycles", "low", number(switches.low), "high",
                     number(switches.high), "flags",
                     flags_of(row->flags));
}

/* One aggregate: the total ratio, or (`hypervisor`) the hypervisor's share alone, each with its own
 * worst row. */
static json_t *aggregate_json(const struct run *run, const struct stats_aggregate *mean,
                              bool hypervisor)
{
    const struct stats_row *worst = hypervisor ? mean->worst_hypervisor : mean->worst;
    json_t *members = json_array();
    char name[128];

    snprintf(name, sizeof(name), "%s%s%s", run->suite_id, mean->whole ? "" : " (part)",
             hypervisor ? " hypervisor share" : "");
    for (size_t i = 0; i < mean->nr_members; i++)
        json_array_append_new(members, json_string(mean->members[i]->workload));
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:{s:s, s:o}, s:o}", "name", name, "method",
        "equal-work arithmetic mean of ratios to native", "platform", mean->platform, "class",
        run_class_name(mean->class), "value", number(hypervisor ? mean->hypervisor : mean->value),
        "guest", number(mean->guest), "hypervisor", number(mean->hypervisor), "worst", "workload",
        worst->workload, "value",
        number(hypervisor ? worst->hypervisor_share : worst->ratio.median), "members", members);
}

json_t *report_json(const struct run *run)
{
    struct stats *stats = stats_new(run);
    json_t *rows = json_array(), *aggregates = json_array();
    char fingerprint[65], schema[32];

    run_fingerprint(run, fingerprint);
    snprintf(schema, sizeof(schema), "%d.%d", RESULTS_SCHEMA_MAJOR, RESULTS_SCHEMA_MINOR);
    for (size_t i = 0; i < stats->nr_rows; i++)
        json_array_append_new(rows, row_json(run, &stats->rows[i]));
    for (size_t i = 0; i < stats->nr_aggregates; i++) {
        json_array_append_new(aggregates, aggregate_json(run, &stats->aggregates[i], false));
        json_array_append_new(aggregates, aggregate_json(run, &stats->aggregates[i], true));
    }
    stats_free(stats);
    return json_pack("{s:s, s:s, s:s, s:s, s:{s:s, s:s}, s:s, s:s, s:s, s:b, s:o, s:o}", "schema",
                     schema, "run_id", run->run_id, "experiment", run->experiment, "mode",
                     run->mode, "suite", "id", run->suite_id, "sha256", run->suite_sha256,
                     "inputs_sha256", run->inputs_sha256, "hv_build_id", run->hv_build_id,
                     "fingerprint", fingerprint, "complete", run->complete, "rows", rows,
                     "aggregates", aggregates);
}

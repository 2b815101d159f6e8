/* SPDX-License-Identifier: MIT */
/*
 * The overhead budget by runs small enough to compute by hand: unit costs of calls, requests, tables and calls within multicalls, a workload
 * of known counts, what has no unit cost, warm-up left out. Modelled intervals: which cost is whose, and when an order may be stated.
 */
#include <math.h>

#include <criterion/criterion.h>

#include "analysis/budget.h"
#include "analysis/model.h"

static void add(struct run *run, const char *platform, const char *workload, uint64_t user, uint64_t hypervisor, uint32_t iter, uint32_t flags)
{
    struct run_sample s = {.kind = RUN_MACRO, .iter = iter, .flags = flags, .ops = 1, .measured = MEASURED_ALL,
                           .interval = {.user = user, .hypervisor = hypervisor}};

    snprintf(s.workload, sizeof(s.workload), "%s", workload);
    snprintf(s.platform, sizeof(s.platform), "%s", platform);
    cr_assert_eq(run_add_sample(run, &s), 0);
}

static void bar(struct run *run, const char *platform, const char *workload, const char *cause, uint64_t entries, uint64_t instructions,
                uint32_t iter)
{
    struct run_histogram h = {.iter = iter, .entries = entries, .instructions = instructions};

    snprintf(h.workload, sizeof(h.workload), "%s", workload);
    snprintf(h.platform, sizeof(h.platform), "%s", platform);
    snprintf(h.cause, sizeof(h.cause), "%s", cause);
    run_add_histogram(run, &h);
}

/* One primitive: so many entries of one cause at this cost each. */
static void primitive(struct run *run, const char *platform, const char *name, const char *cause, uint64_t entries, uint64_t each)
{
    add(run, platform, name, 1000, entries * each, 0, 0);
    bar(run, platform, name, cause, entries, entries * each, 0);
}

static struct run *units(void)
{
    struct run *run = run_new();

    primitive(run, "pv", "micro-hypercall", "hypercall-version", 10, 70);
    primitive(run, "pv", "micro-syscall-bounce", "syscall", 10, 40);
    primitive(run, "pv", "micro-mmu-update-1", "hypercall-mmu_update", 10, 220);
    primitive(run, "pv", "micro-mmu-update-toggle", "hypercall-mmu_update", 10, 200);
    primitive(run, "pv", "micro-mmu-update-64", "hypercall-mmu_update", 10, 220 + 63 * 150);
    primitive(run, "pv", "micro-multicall-1", "hypercall-multicall", 10, 240);
    primitive(run, "pv", "micro-multicall-8", "hypercall-multicall", 10, 240 + 7 * 160);
    primitive(run, "pv", "micro-update-va-mapping", "hypercall-va_mapping", 10, 230);
    primitive(run, "pv", "micro-invlpg", "hypercall-mmuext-invlpg-local", 10, 120);
    primitive(run, "pv", "micro-pin-unpin-empty-l1", "hypercall-mmuext-pin-l1", 10, 1120);
    primitive(run, "pv", "micro-pin-unpin-full-l1", "hypercall-mmuext-pin-l1", 10, 1120 + 512 * 30);
    primitive(run, "pvh", "micro-cpuid-user", "exit-cpuid", 10, 200);
    primitive(run, "pvh", "micro-os-timer-and-sleep", "exit-hlt", 10, 4000);
    primitive(run, "pvh", "micro-pc-timer-and-sleep", "exit-hlt", 10, 3500);
    return run;
}

Test(budget, unit_costs_are_those_of_the_primitives)
{
    struct run *u = units();

    cr_assert_float_eq(budget_unit(u, "pv", "syscall"), 40, 1e-9);
    cr_assert_float_eq(budget_unit(u, "pv", "work-mmu-updates"), 150, 1e-9);
    cr_assert_float_eq(budget_unit(u, "pv", "hypercall-mmu_update"), 50, 1e-9);
    cr_assert_float_eq(budget_unit(u, "pv", "hypercall-multicall"), 80, 1e-9);
    cr_assert_float_eq(budget_unit(u, "pv", "work-inner-va_mapping"), 230 - 70 + 160, 1e-9);
    cr_assert_float_eq(budget_unit(u, "pv", "work-pin-tables"), 1000, 1e-9);
    cr_assert_float_eq(budget_unit(u, "pv", "work-pin-entries"), 30, 1e-9);
    cr_assert_float_eq(budget_unit(u, "pv", "hypercall-physdev"), 70, 1e-9, "a call without a primitive is a null call");
    cr_assert_float_eq(budget_unit(u, "hvm", "exit-cpuid"), 200, 1e-9, "HVM's exits are PVH's");
    cr_assert_float_eq(budget_unit(u, "hvm-pv", "exit-hlt"), 4000, 1e-9, "with PV drivers it sleeps as PVH does");
    cr_assert_float_eq(budget_unit(u, "hvm", "exit-hlt"), 3500, 1e-9, "without, by a PC's clock");
    cr_assert(isnan(budget_unit(u, "pv", "vector-32")));
    cr_assert(isnan(budget_unit(u, "pvh", "exit-io")), "its primitive was not run");
    run_free(u);
}

Test(budget, a_row_is_counts_times_unit_costs)
{
    struct run *u = units(), *run = run_new();
    struct budget_row row;

    add(run, "native", "shell", 100000, 0, 1, 0);
    add(run, "native", "shell", 900000, 0, 0, SAMPLE_WARMUP);
    add(run, "pv", "shell", 102000, 5000, 1, 0);
    add(run, "pv", "shell", 999999, 99999, 0, SAMPLE_WARMUP);
    bar(run, "pv", "shell", "syscall", 50, 2100, 1);
    bar(run, "pv", "shell", "syscall", 700, 70000, 0); /* of the warm-up */
    bar(run, "pv", "shell", "hypercall-mmu_update", 2, 1500, 1);
    bar(run, "pv", "shell", "work-mmu-updates", 10, 0, 1);
    bar(run, "pv", "shell", "vector-32", 1, 900, 1);
    cr_assert_eq(budget_row(u, run, "pv", "shell", &row), 0);
    cr_assert_float_eq(row.measured, 0.05, 1e-12);
    cr_assert_float_eq(row.predicted, (50 * 40 + 2 * 50 + 10 * 150) / 100000.0, 1e-12);
    cr_assert_float_eq(row.unpriced, 0.009, 1e-12);
    cr_assert_float_eq(row.guest, 0.02, 1e-12);
    cr_assert_eq(row.nr_causes, 4);
    cr_assert_eq(budget_row(u, run, "pvh", "shell", &row), -1);
    cr_assert_eq(budget_row(u, run, "pv", "gzip", &row), -1);
    run_free(run);
    run_free(u);
}

Test(model, world_switches_cost_what_their_kind_costs)
{
    struct stats_row row = {.platform = "pv"};

    row.events[COUNTER_hv_entry] = 500; /* per million */
    row.events[COUNTER_vmrun] = 100;
    cr_assert_float_eq(model_switches(&row).low, 500 * 288 / 1000.0, 1e-9);
    cr_assert_float_eq(model_switches(&row).high, 500 * 448 / 1000.0, 1e-9);
    row.platform = "pvh";
    cr_assert_float_eq(model_switches(&row).low, 100 * 262 / 1000.0, 1e-9);
    cr_assert_float_eq(model_switches(&row).high, 100 * 2123 / 1000.0, 1e-9);
    row.platform = "native";
    cr_assert(isnan(model_switches(&row).low));
    cr_assert(isnan(model_switches(NULL).high));
}

Test(model, no_order_where_intervals_touch)
{
    cr_assert_eq(model_order((struct model_interval){1, 2}, (struct model_interval){3, 4}), -1);
    cr_assert_eq(model_order((struct model_interval){3, 4}, (struct model_interval){1, 2}), 1);
    cr_assert_eq(model_order((struct model_interval){1, 3}, (struct model_interval){3, 4}), 0);
    cr_assert_eq(model_order((struct model_interval){1, 9}, (struct model_interval){3, 4}), 0);
    cr_assert_eq(model_order((struct model_interval){NAN, NAN}, (struct model_interval){3, 4}), 0);
}

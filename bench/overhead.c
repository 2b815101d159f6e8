/* SPDX-License-Identifier: MIT */
/*
 * Experiment "overhead": what paravirtualization costs, our own and Debian's Xen beside native, in both classes.
 *
 * Two parts: `micro` (one operation of the kernel a workload) in the small image, and `macro` (the frozen suite of programs) in the full one.
 * The null experiment is native again under other seeds. --quick runs one seed in the class "default"
 * only, without native-matched and the null experiment: figures to look at, not to claim.
 *
 * Budget, in seconds of one core under -icount (70 to 100 million instructions a second): two cores give a full run
 * of 15 minutes 1,800, a quick one of 2 minutes 240.
 */
#include <string.h>

#include "bench/paths.h"
#include "bench/plan.h"

static struct plan_part *add_part(struct plan *plan, const char *name, const char *image, unsigned seeds,
                                  unsigned iters, double native_seconds)
{
    struct plan_part *part = &plan->part[plan->nr_parts++];

    part->name = format("%s", name);
    part->image = format("%s", image);
    for (unsigned i = 1; i <= seeds; i++)
        part->seeds[part->nr_seeds++] = i;
    part->warmup = 1;
    part->iters = iters;
    part->native_seconds = native_seconds;
    return part;
}

static void overhead_plan(struct plan *plan, bool quick, const struct words *workloads)
{
    struct plan_part *part;

    plan->experiment = format("overhead");
    plan->quick = quick;
    plan->null_set = !quick;
    plan->classes = quick ? 1u << RUN_DEFAULT : 1u << RUN_DEFAULT | 1u << RUN_TUNED;
    for (size_t i = 0; platform_table[i]; i++)
        if (!quick || platform_table[i] != &platform_native_matched)
            words_add(&plan->platforms, "%s", platform_table[i]->name);
    if (workloads->nr) {
        part = add_part(plan, "chosen", "initrd.cpio", quick ? 1 : 5, quick ? 1 : 2, 20);
        for (size_t i = 0; i < workloads->nr; i++)
            words_add(&part->workloads, "%s", workloads->word[i]);
        return;
    }
    part = add_part(plan, "micro", "initrd-micro.cpio", quick ? 1 : 5, quick ? 1 : 2, quick ? 6 : 40);
    words_add(&part->workloads, "micro");
    part = add_part(plan, "macro", "initrd.cpio", quick ? 1 : 3, 1, quick ? 20 : 50);
    words_add(&part->workloads, "macro-1");
}

static const struct experiment experiment_overhead = {
    .name = "overhead",
    .what = "what paravirtualization costs against native, beside Debian's Xen",
    .plan = overhead_plan,
};

const struct experiment *const experiment_table[] = {
    &experiment_overhead,
    NULL,
};

const struct experiment *experiment_find(const char *name)
{
    for (size_t i = 0; experiment_table[i]; i++)
        if (strcmp(experiment_table[i]->name, name) == 0)
            return experiment_table[i];
    return NULL;
}

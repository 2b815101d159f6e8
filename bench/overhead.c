/* SPDX-License-Identifier: MIT */
/*
 * Experiment "overhead": what paravirtualization costs, our own and Debian's Xen beside native, in
 * both classes. "hvm" is the same for hardware-assisted domains, in the class "default"; "primitives"
 * has the single operations of guests/micro.
 *
 * Two parts: `micro` (one operation of the kernel a workload) in the small image, and `macro` (the
 * frozen suite of programs) in the full one, each with warm-up under three seeds. (In one boot they
 * take as long, and the full image leaves too little memory for random-256m.) The null
 * experiment is native under other seeds, after these in the same boot. native-matched runs in the class "default" only:
 * what it takes away, large and global pages, has nothing to do with mitigations, and a machine of it costs a
 * minute and a half of a full run. --platform native-matched measures it in both.
 * --quick is one machine per platform, one seed, the class "default", and a choice of workloads:
 * figures to look at, not to claim.
 *
 * Budget, in processor seconds: 15 minutes on two cores are 1,800 for a full run, two minutes 240 for
 * a quick one. Plain code runs at 400 million instructions a second under -icount; what costs is a
 * page table load (QEMU forgets its TLB and finds every block again: nginx, redis and every PV system
 * call run at 15 to 30 million), an iteration of REP (50 ns) and a PAUSE (300 ns: a native boot
 * calibrates its timer with ten million). `bench` prints what each machine took.
 */
#include <stdlib.h>
#include <string.h>

#include "bench/paths.h"
#include "bench/plan.h"

static struct plan_part *add_part(struct plan *plan, const char *name, const char *image,
                                  unsigned seeds, unsigned iters, double native_seconds)
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

/* Samples that the second run of a platform's first machine goes on to. */
#define FULL_REPEAT  9 /* the control rows and a system call, under three seeds */
#define QUICK_REPEAT 3

/* What a quick run can do in its time: a primitive of each kind, and three programs. */
static const char *const quick_workloads[] = {
    "getppid",   "open-close", "sig-catch", "prot-fault", "fault-anon",
    "fault-cow", "mmap-1m",    "fork-exit", "fork-exec",  "ctx-2p-0k",
    "pipe-rtt",  "gzip",       "sqlite",    "shell",
};

static void overhead_plan(struct plan *plan, bool quick, const struct words *workloads)
{
    struct plan_part *part;

    plan->experiment = format("overhead");
    plan->quick = quick;
    plan->null_set = !quick;
    plan->repeat = quick ? QUICK_REPEAT : FULL_REPEAT;
    plan->classes = quick ? 1u << RUN_DEFAULT : 1u << RUN_DEFAULT | 1u << RUN_TUNED;
    for (size_t i = 0; platform_table[i]; i++)
        if (platform_table[i]->cpu) /* on another processor model: when --platform asks for it */
            continue;
        else if (platform_table[i] != &platform_native_matched)
            words_add(&plan->platforms, "%s", platform_table[i]->name);
        else if (!quick)
            words_add(&plan->platforms, "%s:default", platform_table[i]->name);

    if (workloads->nr || quick) {
        part = add_part(plan, quick ? "quick" : "chosen",
                        workloads->nr ? workload_image(workloads) : "initrd.cpio", quick ? 1 : 3, 1,
                        18);
        for (size_t i = 0; i < workloads->nr; i++)
            words_add(&part->workloads, "%s", workloads->word[i]);
        for (size_t i = 0; !workloads->nr && i < sizeof quick_workloads / sizeof quick_workloads[0];
             i++)
            words_add(&part->workloads, "%s", quick_workloads[i]);
        return;
    }
    part = add_part(plan, "micro", "initrd-micro.cpio", 3, 1, 20);
    words_add(&part->workloads, "micro");
    part = add_part(plan, "macro", "initrd.cpio", 3, 1, 130);
    words_add(&part->workloads, "macro-1");
}

/* Hardware-assisted domains beside PV: all on the processor model that they need, so native and PV are measured on it again. */
static void hvm_plan(struct plan *plan, bool quick, const struct words *workloads)
{
    static const char *const platforms[] = {"native", "native-matched", "pv", "pvh", "hvm-pv", "hvm"};

    overhead_plan(plan, quick, workloads);
    free(plan->experiment);
    plan->experiment = format("hvm");
    plan->classes = 1u << RUN_DEFAULT; /* nothing of what the classes differ in is on these paths */
    if (quick)
        plan->repeat = 0; /* a full run says whether its machines repeat */
    words_free(&plan->platforms);
    for (size_t i = 0; i < sizeof platforms / sizeof platforms[0]; i++)
        words_add(&plan->platforms, "%s", platforms[i]);
}

static const struct experiment experiment_hvm = {
    .name = "hvm",
    .what = "what hardware assistance costs: PVH, HVM and HVM with PV drivers beside PV and native; some 10 minutes on 2 cores",
    .plan = hvm_plan,
};

/* Single operations of guests/micro: also the unit costs of the overhead budget. */
static void primitives_plan(struct plan *plan, bool quick, const struct words *workloads)
{
    static const char *const platforms[] = {"native", "pv", "pvh", "xen-pv", "xen-pvh"};
    struct plan_part *part;

    (void)workloads; /* they all run: a few seconds a machine */
    plan->experiment = format("primitives");
    plan->quick = quick;
    plan->classes = 1u << RUN_DEFAULT;
    for (size_t i = 0; i < sizeof platforms / sizeof platforms[0]; i++)
        words_add(&plan->platforms, "%s", platforms[i]);
    part = add_part(plan, "primitives", PLAN_MICRO, 0, 1, 1);
    part->seeds[part->nr_seeds++] = 0; /* nothing is perturbed */
    part->warmup = 0;                  /* the kernel settles each operation itself */
}

static const struct experiment experiment_primitives = {
    .name = "primitives",
    .what = "hypervisor instructions of single operations of guests/micro, PV and PVH, beside Debian's Xen; under a minute",
    .plan = primitives_plan,
};

static const struct experiment experiment_overhead = {
    .name = "overhead",
    .what = "what paravirtualization costs against native, beside Debian's Xen",
    .plan = overhead_plan,
};

const struct experiment *const experiment_table[] = {
    &experiment_overhead,
    &experiment_hvm,
    &experiment_primitives,
    NULL,
};

const struct experiment *experiment_find(const char *name)
{
    for (size_t i = 0; experiment_table[i]; i++)
        if (strcmp(experiment_table[i]->name, name) == 0)
            return experiment_table[i];
    return NULL;
}

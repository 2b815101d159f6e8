/* SPDX-License-Identifier: MIT */
/* Carry out a plan (measure.h). */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/explain_symbols.h"
#include "bench/join.h"
#include "bench/kernel.h"
#include "bench/measure.h"
#include "bench/paths.h"
#include "bench/provenance.h"

#define SILENCE_SECONDS 240.0 /* the longest preparation of a program works for about 40 */
#define TOTAL_SECONDS   7200.0
#define REPEAT_SECONDS  2.0 /* of the samples that are repeated, natively: for estimates */
#define NULL_SHARE      0.6 /* of a part's seconds, what other seeds in the same boot add: for estimates */

/* One machine of the plan, in the order of boots[]. */
struct measure_slot {
    const struct platform *platform;
    enum run_class class;
    const struct plan_part *part;
    uint32_t seeds[2 * PLAN_SEEDS_MAX]; /* the main set, then the null set */
    size_t nr_seeds, nr_null;           /* of the main set; of the null set, 0: it does not run here */
    bool first_part;
    bool repeats;  /* the machine `of` again, compared with it and not used otherwise */
    size_t of;     /* index */
    bool apart;    /* the plugin counts the clearing of memory apart */
};

void measure_free(struct measurement *m)
{
    for (size_t i = 0; i < m->nr; i++)
        boot_free(&m->boots[i]);
    free(m->boots);
    free(m->slots);
    if (m->unpacked_kernel)
        unlink(m->unpacked_kernel);
    free(m->unpacked_kernel);
    *m = (struct measurement){0};
}

/* The kernel the user names, unpacked where it is a bzImage. 0 or an exit status. */
static int take_kernel(struct measurement *m, const char *path)
{
    const char *base = paths_temporary();
    int format_of = kernel_format(path);

    if (format_of < 0) {
        fprintf(stderr, "parangon: the kernel %s cannot be read: %s\n", path, strerror(-format_of));
        return STATUS_USAGE;
    }
    if (format_of == KERNEL_FOREIGN) {
        fprintf(stderr, "parangon: %s is no kernel: neither an ELF image nor a bzImage\n", path);
        return STATUS_USAGE;
    }
    m->kernel = realpath(path, NULL);
    if (format_of == KERNEL_BZIMAGE) {
        m->unpacked_kernel = format("%s/parangon-kernel.%d", base, getpid());
        if (kernel_unpack(path, m->unpacked_kernel) < 0)
            return STATUS_USAGE;
        m->kernel = m->unpacked_kernel;
    }
    return 0;
}

static bool is_micro(const struct plan_part *part)
{
    return strcmp(part->image, PLAN_MICRO) == 0;
}

static char *guest_args(const struct measure_slot *slot)
{
    char *workloads, *args;
    struct words seeds = {0};
    char *list;

    if (is_micro(slot->part))
        return format("tests=none costs=1");
    workloads = words_join(&slot->part->workloads, '+');

    for (size_t i = 0; i < slot->nr_seeds + slot->nr_null; i++)
        words_add(&seeds, "%u", slot->seeds[i]);
    list = words_join(&seeds, '+');
    args = format("pgn.workloads=%s pgn.seeds=%s pgn.warmup=%u pgn.iters=%u", workloads, list,
                  slot->part->warmup, slot->part->iters);
    words_free(&seeds);
    free(list);
    free(workloads);
    return args;
}

/* The plugin's argument: where to write, and the functions to count apart. @return whether there are
 * some */
static bool plugin_args(char **args, const char *plugin, const struct platform *platform,
                        const struct machine *machine)
{
    const char *file = platform->symbols ? platform->symbols(machine) : NULL;
    struct symbols symbols = {0};
    bool found = false;

    *args = format("%s,out=" BOOT_INTERVALS "%s", plugin,
                   platform->symbols ? ",entries=" BOOT_ENTRIES : "");
    if (!platform->clears || !file || symbols_add_elf(&symbols, file) < 0)
        return false;
    symbols_sort(&symbols);
    for (size_t i = 0; platform->clears[i]; i++)
        for (size_t k = 0; k < symbols.nr; k++)
            if (strcmp(symbols.symbol[k].name, platform->clears[i]) == 0) {
                char *more = format("%s,apart=%" PRIx64 "-%" PRIx64, *args, symbols.symbol[k].start,
                                    symbols.symbol[k].end);

                free(*args);
                *args = more;
                found = true;
            }
    symbols_free(&symbols);
    return found;
}

/* Lay out one machine: its command for QEMU with the names of links, and the same with full paths.
 */
static int add_boot(struct measurement *m, const struct measure_slot *slot,
                    const struct measure_options *options)
{
    const char *set = slot->repeats ? "again" : run_set_name(RUN_MAIN);
    const bool programs = strcmp(slot->part->image, "initrd.cpio") == 0;
    const double more = slot->nr_null ? NULL_SHARE * slot->nr_null / slot->nr_seeds : 0;
    struct boot *boot = &m->boots[m->nr];
    char *args = guest_args(slot), *plugin = NULL, *plan = NULL;
    const bool micro = is_micro(slot->part);
    char *ramdisk = micro ? NULL : format("%s/guests/linux/%s", paths_get()->build, slot->part->image);
    char *kernel = micro ? format("%s/guests/micro/micro", paths_get()->build) : format("%s", m->kernel);
    struct inputs linked_inputs = m->inputs;
    struct machine full = {.inputs = &m->inputs,
                           .hypervisor = m->hypervisor,
                           .kernel = kernel,
                           .ramdisk = ramdisk,
                           .micro = micro,
                           .guest_args = args,
                           .class = slot->class,
                           .cpu = m->cpu,
                           .console = "file:" BOOT_CONSOLE};
    struct machine linked;
    const char *why = slot->platform->absent(slot->platform, &full);
    struct words shown = {0};
    int result = 0;
    bool apart;

    if (why) {
        fprintf(stderr, "parangon: platform %s cannot run here: %s\n", slot->platform->name, why);
        result = options->kernel ? STATUS_USAGE : STATUS_INCOMPLETE;
        goto out;
    }
    apart = plugin_args(&plugin, m->plugin, slot->platform, &full);
    full.plugin = plugin;
    plan = platform_plan_file(slot->platform, &full);
    full.plan = plan;
    linked = full;
    boot->name = format("%s-%s-%s-%s", slot->platform->name, run_class_name(slot->class), set,
                        slot->part->name);
    boot->estimate =
        slot->platform->boot_seconds +
        (programs ? slot->platform->slow_down : slot->platform->slow_down_single) * (1 + more) *
            (slot->repeats ? REPEAT_SECONDS : slot->part->native_seconds);

    slot->platform->command(slot->platform, &full, &shown);
    boot->shown = words_line(&shown);
    linked.hypervisor = "hypervisor";
    linked.kernel = "vmlinux";
    linked.ramdisk = micro ? NULL : "initrd";
    linked.plan = "guest.plan";
    linked.inputs = &linked_inputs;
    linked_inputs.xen = "xen";
    slot->platform->command(slot->platform, &linked, &boot->argv);
    boot_link(boot, "vmlinux", kernel);
    if (ramdisk)
        boot_link(boot, "initrd", ramdisk);
    if (plan)
        boot_link(boot, "guest.plan", plan);
    boot_link(boot, "hypervisor", m->hypervisor);
    boot_link(boot, "xen", m->inputs.xen ? m->inputs.xen : "");
    m->slots[m->nr] = *slot;
    m->slots[m->nr++].apart = apart;
out:
    words_free(&shown);
    free(kernel);
    free(ramdisk);
    free(plan);
    free(plugin);
    free(args);
    return result;
}

/* All parts on one platform in one class. The null experiment is native once more under other seeds, after the main
 * set in the same boot. 0 or an exit status. */
static int add_machines(struct measurement *m, const struct plan *plan,
                        const struct measure_options *options, const struct platform *platform,
                        enum run_class class)
{
    const bool null_set = plan->null_set && platform == &platform_native && class == RUN_DEFAULT;
    int result = 0;

    for (size_t p = 0; p < plan->nr_parts && !result; p++) {
        struct measure_slot slot = {.platform = platform,
                                    .class = class,
                                    .part = &plan->part[p],
                                    .nr_seeds = plan->part[p].nr_seeds,
                                    .nr_null = null_set ? plan->part[p].nr_seeds : 0,
                                    .first_part = p == 0};

        for (size_t i = 0; i < slot.nr_seeds; i++) {
            slot.seeds[i] = slot.part->seeds[i];
            slot.seeds[slot.nr_seeds + i] = slot.part->seeds[i] + PLAN_NULL_SEED_OFFSET;
        }
        result = add_boot(m, &slot, options);
    }
    return result;
}

/*
 * The first machine of each platform once more, to be stopped early. Of the peers, and of the native ones, the
 * first stands for all; a quick run repeats our own hypervisor's machines alone. 0 or an exit status.
 */
static int add_repeats(struct measurement *m, const struct plan *plan,
                       const struct measure_options *options)
{
    size_t nr = m->nr;
    bool peers_done = plan->quick, natives_done = plan->quick;
    int result = 0;

    for (size_t i = 0; i < nr && !result; i++) {
        struct measure_slot slot = m->slots[i];
        bool native = !slot.platform->symbols, first = !(slot.platform->peer && peers_done) && !(native && natives_done);

        for (size_t k = 0; k < i; k++)
            first &= m->slots[k].platform != slot.platform;
        if (!first)
            continue;
        peers_done |= slot.platform->peer;
        natives_done |= native;
        slot.repeats = true;
        slot.of = i;
        m->boots[m->nr].stop_after = plan->repeat * (slot.nr_seeds + slot.nr_null) / slot.nr_seeds;
        result = add_boot(m, &slot, options);
    }
    return result;
}

int measure_prepare(struct measurement *m, const struct plan *plan,
                    const struct measure_options *options)
{
    size_t most = plan->platforms.nr * 2 * plan->nr_parts + plan->platforms.nr;
    int result = 0;

    *m = (struct measurement){0};
    if (inputs_get(&m->inputs, INPUTS_FETCH) < 0)
        return STATUS_INCOMPLETE;
    m->kernel = m->inputs.kernel;
    if (options->kernel && (result = take_kernel(m, options->kernel)))
        return result;
    m->cpu = platform_cpu_of_all(&plan->platforms);
    m->hypervisor = options->hypervisor ? realpath(options->hypervisor, NULL)
                                        : format("%s/hv/parangon", paths_get()->build);
    m->plugin = format("%s/bench/plugin/libcount.so", paths_get()->build);
    m->boots = calloc(most, sizeof *m->boots);
    m->slots = calloc(most, sizeof *m->slots);
    if (!m->boots || !m->slots)
        abort();
    for (size_t i = 0; i < plan->platforms.nr; i++)
        for (int class = RUN_DEFAULT; class <= RUN_TUNED && !result; class++) {
            const struct platform *platform;

            if (plan_platform(plan, i, class, &platform) < 0) {
                fprintf(stderr, "parangon: this build has no platform \"%s\"\n",
                        plan->platforms.word[i]);
                result = STATUS_USAGE;
            } else if (platform) {
                result = add_machines(m, plan, options, platform, class);
            }
        }
    if (plan->repeat && !result)
        result = add_repeats(m, plan, options);
    return result;
}

bool measure_comparable(const struct measurement *m, const struct run *before)
{
    char *build_id = kernel_build_id(m->hypervisor);
    bool same_inputs = strcmp(before->inputs_sha256, m->inputs.lock_sha256) == 0;
    bool same_build = strcmp(before->hv_build_id, build_id ? build_id : "") == 0;

    if (!same_inputs)
        fprintf(stderr,
                "parangon: not comparable: the result has inputs %.12s, here they are %.12s "
                "(inputs.lock)\n",
                before->inputs_sha256, m->inputs.lock_sha256);
    if (!same_build)
        fprintf(
            stderr,
            "parangon: not comparable: the result has hypervisor build %.12s, here it is %.12s\n",
            *before->hv_build_id ? before->hv_build_id : "(none)", build_id ? build_id : "(none)");
    free(build_id);
    return same_inputs && same_build;
}

void measure_print(const struct measurement *m, FILE *out)
{
    for (size_t i = 0; i < m->nr; i++)
        fprintf(out, "# %s: about %.0f processor seconds\n%s\n", m->boots[i].name,
                m->boots[i].estimate, m->boots[i].shown);
    fprintf(out, "# together about %.0f processor seconds, %.0f by the clock on %u cores\n",
            run_estimate(m->boots, m->nr, 1), run_estimate(m->boots, m->nr, run_cores()),
            run_cores());
}

/* Only chosen members of a suite ran: its identity is the suite's and theirs together, so that
 * nothing takes the aggregate for that of the whole suite. */
static void identify_part_of_suite(struct run *run)
{
    char *text = NULL, hex[65];
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        abort();
    fprintf(out, "%s\n", run->suite_sha256);
    for (size_t i = 0; i < run->nr_workloads; i++)
        if (run->workloads[i].in_suite)
            fprintf(out, "%s\n", run->workloads[i].name);
    fclose(out);
    sha256_hex(text, size, hex);
    run_text(&run->suite_sha256, hex);
    free(text);
}

/* The image's suite is not the frozen one (packages that have left the mirror: fetch-packages): say so
 * here and in the result. */
static void note_other_suite(struct run *run)
{
    char *path = format("%s/guests/linux/%s.json", paths_get()->root, run->suite_id);
    json_t *frozen = json_load_file(path, 0, NULL);
    const char *hash = json_string_value(json_object_get(frozen, "sha256_of_suite"));

    if (hash && strcmp(hash, run->suite_sha256) != 0) {
        fprintf(stderr,
                "parangon: warning: suite %s was built from other packages than it was frozen with "
                "(%.12s, not %.12s): its results are not comparable with those of the frozen one\n",
                run->suite_id, run->suite_sha256, hash);
        run_add_provenance(run, OTHER_SUITE_KEY, hash);
    }
    json_decref(frozen);
    free(path);
}

/* Does the plan run a whole suite? */
static bool whole_suite(const struct plan *plan, const char *suite)
{
    for (size_t i = 0; i < plan->nr_parts; i++)
        if (words_has(&plan->part[i].workloads, suite))
            return true;
    return false;
}

/* Compare a machine with its second run; mark all samples of the platform when they differ. @return
 * errors added */
static int compare_repeat(struct run *run, const struct measurement *m, size_t i)
{
    const struct measure_slot *slot = &m->slots[i];
    const char *platform = slot->platform->name;
    size_t compared;
    int differ;
    char *fact;

    if (m->boots[i].failure || m->boots[slot->of].failure)
        differ = -1;
    else
        differ = join_compare(&m->boots[slot->of], &m->boots[i], m->boots[i].stop_after, &compared);
    if (differ < 0) {
        run_add_error(run, platform, slot->class, "", "its second run cannot be compared");
        return 1;
    }
    for (size_t k = 0; differ && k < run->nr_samples; k++)
        if (strcmp(run->samples[k].platform, platform) == 0)
            run->samples[k].flags |= SAMPLE_UNREPEATED;
    fact = format("%zu intervals, %d differ", compared, differ);
    run_add_fact(run, platform, slot->class, REPEAT_FACT, fact);
    free(fact);
    return 0;
}

int measure_run(struct measurement *m, const struct plan *plan,
                const struct measure_options *options, struct run **result)
{
    const struct run_limits limits = {.silence_seconds = options->time_limit ? options->time_limit
                                                                             : SILENCE_SECONDS,
                                      .total_seconds = TOTAL_SECONDS,
                                      .progress = true};
    int status, errors = 0, seconds = (int)run_estimate(m->boots, m->nr, run_cores());
    struct run *run;
    char *text;

    *result = NULL;
    fprintf(stderr, "parangon: %zu machines on %u cores, about %d:%02d minutes\n", m->nr,
            run_cores(), seconds / 60, seconds % 60);
    status = run_boots(m->boots, m->nr, &limits);
    if (status)
        return status == STATUS_INTERRUPTED ? status : STATUS_INCOMPLETE;
    run_say_work(m->boots, m->nr);

    run = run_new();
    run_text(&run->experiment, plan->experiment);
    run_text(&run->mode, "count");
    run_text(&run->unit, "instructions");
    run_text(&run->cpu_model, m->cpu ? m->cpu : MACHINE_CPU);
    run_text(&run->inputs_sha256, m->inputs.lock_sha256);
    run->quick = plan->quick;
    text = plan_text(plan);
    run_text(&run->plan, text);
    free(text);
    provenance_add(run, m, options->keep_local);
    for (size_t i = 0; i < m->nr; i++) {
        const struct measure_slot *slot = &m->slots[i];
        const struct join_request request = {.platform = slot->platform->name,
                                             .class = slot->class,
                                             .seeds = slot->seeds,
                                             .nr_seeds = slot->nr_seeds,
                                             .nr_null = slot->nr_null,
                                             .iters = slot->part->iters,
                                             .facts = slot->first_part,
                                             .boot_rows = slot->first_part && !is_micro(slot->part),
                                             .apart = slot->apart};

        if (!slot->repeats)
            errors += join_boot(run, &m->boots[i], &request);
    }
    for (size_t i = 0; i < m->nr; i++)
        if (m->slots[i].repeats)
            errors += compare_repeat(run, m, i);
    run_add_workload(run, "boot-before", RUN_MICRO, false,
                     "{\"unit\":\"all until the guest kernel runs, firmware included, clearing of "
                     "memory left out where boot-scrub has it\"}");
    run_add_workload(run, "boot-scrub", RUN_MICRO, false,
                     "{\"unit\":\"clearing of memory by the hypervisor until the guest kernel "
                     "runs\"}");
    run_add_workload(run, "boot", RUN_MICRO, false,
                     "{\"unit\":\"from the guest kernel to its first process\"}");
    if (*run->suite_id)
        note_other_suite(run);
    if (*run->suite_id && !whole_suite(plan, run->suite_id))
        identify_part_of_suite(run);
    run_say_failures(m->boots, m->nr);
    run->complete = errors == 0;
    *result = run;
    return 0;
}

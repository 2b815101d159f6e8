/* SPDX-License-Identifier: MIT */
/* `parangon bench`: carry out an experiment, print its table, keep the result and its figure. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analysis/report.h"
#include "bench/command.h"
#include "bench/measure.h"
#include "bench/paths.h"
#include "bench/plan.h"
#include "bench/provenance.h"

struct options {
    const struct experiment *experiment;
    struct words platforms, workloads;
    bool quick, json, dry_run;
    const char *out;
    struct measure_options measure;
};

enum { OPT_QUICK = 0x100, OPT_DRY, OPT_KEEP, OPT_KERNEL, OPT_LIMIT, OPT_HV };

static const struct argp_option option_table[] = {
    {"quick", OPT_QUICK, NULL, 0,
     "One seed, one class, fewer platforms: at most two minutes on two cores. To look at, not to "
     "claim"},
    {"platform", 'p', "NAME,...", 0, "Only these platforms (native is always run: ratios need it)"},
    {"workload", 'w', "NAME,...", 0, "Only these workloads or suites, in one machine per platform"},
    {"json", 'j', NULL, 0, "Print one JSON object instead of tables"},
    {"dry-run", OPT_DRY, NULL, 0, "Print the QEMU command lines and run nothing"},
    {"out", 'o', "FOLDER", 0, "Where the result goes (default out/)"},
    {"kernel", OPT_KERNEL, "FILE", 0, "Another guest kernel: an ELF image or a bzImage"},
    {"hypervisor", OPT_HV, "FILE", 0, "Another build of the hypervisor for the platform pv"},
    {"time-limit", OPT_LIMIT, "SECONDS", 0,
     "Kill a machine that works for so long without a word (default 240)"},
    {"keep-local", OPT_KEEP, NULL, 0, "Keep host name and full paths in the result"},
    {0},
};

static void check_names(struct argp_state *state, const struct words *words, const char *what,
                        bool platforms)
{
    for (size_t i = 0; i < words->nr; i++)
        if (platforms ? !platform_find(words->word[i]) : !workload_known(words->word[i]))
            argp_error(state, "no %s \"%s\" (parangon list shows them)", what, words->word[i]);
    if (!words->nr)
        argp_error(state, "no %s given", what);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    char *end;

    switch (key) {
    case OPT_QUICK:
        o->quick = true;
        return 0;
    case 'p':
        words_split(&o->platforms, arg, ',');
        check_names(state, &o->platforms, "platform", true);
        return 0;
    case 'w':
        words_split(&o->workloads, arg, ',');
        check_names(state, &o->workloads, "workload", false);
        return 0;
    case 'j':
        o->json = true;
        return 0;
    case OPT_DRY:
        o->dry_run = true;
        return 0;
    case 'o':
        o->out = arg;
        return 0;
    case OPT_KERNEL:
        o->measure.kernel = arg;
        return 0;
    case OPT_HV:
        if (access(arg, R_OK) != 0)
            argp_error(state, "the hypervisor %s cannot be read: %s", arg, strerror(errno));
        o->measure.hypervisor = arg;
        return 0;
    case OPT_KEEP:
        o->measure.keep_local = true;
        return 0;
    case OPT_LIMIT:
        o->measure.time_limit = strtod(arg, &end);
        if (*end || !(o->measure.time_limit > 0))
            argp_error(state, "--time-limit takes seconds, more than 0, not \"%s\"", arg);
        return 0;
    case ARGP_KEY_ARG:
        if (o->experiment)
            argp_error(state, "one experiment at a time");
        o->experiment = experiment_find(arg);
        if (!o->experiment)
            argp_error(state, "no experiment \"%s\" (parangon list shows them)", arg);
        return 0;
    case ARGP_KEY_END:
        if (!o->experiment)
            o->experiment = experiment_table[0];
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = option_table,
    .parser = parse,
    .args_doc = "[EXPERIMENT]",
    .doc = "Carry out an experiment (default: overhead): run the same workloads on every platform, "
           "print what they "
           "cost, and keep the result as out/EXPERIMENT-ID.h5 with its figure beside it.",
};

/* Narrow a plan to the platforms the user names; native stays, ratios need it. */
static void choose_platforms(struct plan *plan, const struct words *chosen)
{
    struct words kept = {0};

    for (size_t i = 0; platform_table[i]; i++)
        if (platform_table[i] == &platform_native || words_has(chosen, platform_table[i]->name))
            words_add(&kept, "%s", platform_table[i]->name);
    words_free(&plan->platforms);
    plan->platforms = kept;
}

/* Write the result file and its figure. 0, or STATUS_INCOMPLETE after a message. */
static int keep(struct run *run, const char *folder)
{
    char *path;
    int result = 0;

    provenance_run_id(run);
    path = format("%s/%s-%s.h5", folder, run->experiment, run->run_id);
    if (paths_make_parent(path) < 0 || run_write(run, path) < 0) {
        result = STATUS_INCOMPLETE;
    } else {
        fprintf(stderr, "parangon: kept %s\n", path);
        if (report_figure(run, path) == 0)
            fprintf(stderr, "parangon: figures %.*s.svg and .png\n", (int)strlen(path) - 3, path);
    }
    free(path);
    return result;
}

int cmd_bench(int argc, char **argv)
{
    struct options o = {0};
    struct measurement m;
    struct plan plan = {0};
    struct run *run = NULL;
    int status, kept;

    command_parse(&argp, argc, argv, &o);
    o.experiment->plan(&plan, o.quick, &o.workloads);
    if (o.platforms.nr)
        choose_platforms(&plan, &o.platforms);

    status = measure_prepare(&m, &plan, &o.measure);
    if (!status && o.dry_run)
        measure_print(&m, stdout);
    else if (!status)
        status = measure_run(&m, &plan, &o.measure, &run);
    if (run && !run->nr_samples) {
        fprintf(stderr, "parangon: no sample at all: nothing kept\n");
        status = STATUS_INCOMPLETE;
    } else if (run) {
        kept = keep(run, o.out ? o.out : paths_get()->out);
        if (o.json) {
            json_t *json = report_json(run);

            json_dumpf(json, stdout, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
            putchar('\n');
            json_decref(json);
        } else {
            report_tables(stdout, run);
        }
        status = kept ? kept : run->complete ? STATUS_DONE : STATUS_INCOMPLETE;
        if (!run->complete)
            fprintf(stderr,
                    "parangon: incomplete: %zu errors (above); the rows that are there are whole\n",
                    run->nr_errors);
    }
    if (run)
        run_free(run);
    measure_free(&m);
    plan_free(&plan);
    words_free(&o.platforms);
    words_free(&o.workloads);
    return status;
}

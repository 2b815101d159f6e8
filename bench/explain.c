/* SPDX-License-Identifier: MIT */
/*
 * `parangon explain OPERATION --on pv,xen-pv`: the executed path of an operation by function,
 * platforms side by side.
 *
 * Each platform boots once and runs the operation under one seed: the workload warms up, then one
 * interval is measured and its path recorded by the counting plugin. What is shown is that
 * interval, to the instruction.
 * Does not: time anything; resolve functions of user programs.
 */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analysis/results.h"
#include "bench/command.h"
#include "bench/explain_show.h"
#include "bench/explain_symbols.h"
#include "bench/join.h"
#include "bench/measure.h"
#include "bench/paths.h"

#define WIDTH_DEFAULT 100
#define WIDTH_MIN     60
#define TOKENS_MAX    64000000 /* of a recording: about 160 million instructions, a quarter of a gigabyte */
#define SILENCE       240.0
#define TOTAL         1800.0

struct options {
    struct explain_view view;
    struct words platforms;
    enum run_class class;
    const char *function, *seed;
    bool json;
};

/* One platform's machine. */
struct subject {
    struct measurement m;
    const struct platform *platform;
    enum run_class class;
    char *recording;
};

enum { OPT_ON = 0x100, OPT_CLASS, OPT_JSON, OPT_FULL, OPT_ASM, OPT_WIDTH, OPT_SEED };

static const struct argp_option option_table[] = {
    {"on", OPT_ON, "PLATFORMS", 0,
     "Which, with commas between; default pv,xen-pv (parangon list shows all)"},
    {"class", OPT_CLASS, "CLASS", 0, "Mitigations: default or tuned"},
    {"full", OPT_FULL, NULL, 0,
     "The whole interval and every function, not one operation and the largest"},
    {"asm", OPT_ASM, "FUNCTION", 0,
     "Instead: the addresses that this function executed, with counts"},
    {"json", OPT_JSON, NULL, 0, "One JSON object"},
    {"width", OPT_WIDTH, "COLUMNS", 0, "Of the screen; default 100"},
    {"seed", OPT_SEED, "N", 0, "Another perturbation; default 1"},
    {0},
};

static bool is_suite(const char *name)
{
    for (size_t i = 0; suite_names[i]; i++)
        if (strcmp(suite_names[i], name) == 0)
            return true;
    return false;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;

    switch (key) {
    case OPT_ON:
        words_free(&o->platforms);
        words_split(&o->platforms, arg, ',');
        for (size_t i = 0; i < o->platforms.nr; i++)
            if (!platform_find(o->platforms.word[i]))
                argp_error(state, "no platform \"%s\" (parangon list shows them)",
                           o->platforms.word[i]);
        if (o->platforms.nr == 0 || o->platforms.nr > EXPLAIN_PLATFORMS_MAX)
            argp_error(state, "one to %d platforms", EXPLAIN_PLATFORMS_MAX);
        return 0;
    case OPT_CLASS:
        if (run_class_of(arg) < 0)
            argp_error(state, "no class \"%s\": default or tuned", arg);
        o->class = run_class_of(arg);
        return 0;
    case OPT_FULL:
        o->view.full = true;
        return 0;
    case OPT_ASM:
        o->function = arg;
        return 0;
    case OPT_JSON:
        o->json = true;
        return 0;
    case OPT_WIDTH:
        o->view.width = (unsigned)strtoul(arg, NULL, 10);
        if (o->view.width < WIDTH_MIN || o->view.width > 1000)
            argp_error(state, "a width from %d to 1000", WIDTH_MIN);
        return 0;
    case OPT_SEED:
        if (strspn(arg, "0123456789") != strlen(arg) || !*arg || strlen(arg) > 9)
            argp_error(state, "a seed is a number");
        o->seed = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (o->view.operation)
            argp_error(state, "one operation at a time");
        for (char *c = arg; *c; c++)
            if (*c == '_')
                *c = '-';
        if (!workload_known(arg) || is_suite(arg))
            argp_error(state, "no operation \"%s\" (parangon list shows the workloads)", arg);
        o->view.operation = arg;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state,
                   "which operation? for example: parangon explain getppid --on pv,xen-pv,native");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = option_table,
    .parser = parse,
    .args_doc = "OPERATION",
    .doc = "The path that an operation executes, by function, with instruction counts, platforms "
           "side by side: the time line of "
           "one operation, and a summary. OPERATION is a workload (parangon list).",
};

/* The machine as `bench` would build it, with the path recorded besides. 0 or an exit status. */
static int subject_prepare(struct subject *s, const struct options *o, const char *folder,
                           const char *name)
{
    static const struct measure_options options;
    struct plan plan = {.nr_parts = 1};
    int status;

    s->platform = platform_find(name);
    s->class = platform_has_class(s->platform, o->class) ? o->class
               : o->class == RUN_DEFAULT                 ? RUN_TUNED
                                                         : RUN_DEFAULT;
    s->recording = format("%s/%s", folder, name);
    plan.experiment = format("explain");
    plan.classes = 1u << s->class;
    words_add(&plan.platforms, "%s", name);
    plan.part[0] = (struct plan_part){.name = format("explain"),
                                      .nr_seeds = 1,
                                      .iters = 1,
                                      .warmup = 1,
                                      .native_seconds = 2};
    plan.part[0].seeds[0] = (uint32_t)strtoul(o->seed, NULL, 10);
    words_add(&plan.part[0].workloads, "%s", o->view.operation);
    plan.part[0].image = format("%s", workload_image(&plan.part[0].workloads));
    status = measure_prepare(&s->m, &plan, &options);
    if (!status) {
        struct words *argv = &s->m.boots[0].argv;

        for (size_t i = 1; i < argv->nr; i++) {
            if (strcmp(argv->word[i - 1], "-plugin") == 0) {
                char *with =
                    format("%s,trace=%s,trace_max=%d", argv->word[i], s->recording, TOKENS_MAX);

                free(argv->word[i]);
                argv->word[i] = with;
            }
        }
    }
    plan_free(&plan);
    return status;
}

/* How many operations the interval held: the guest's one sample line says so. 0 when it did not. */
static uint64_t sample_ops(const char *console)
{
    for (const char *line = console; line && *line; line = strchr(line, '\n')) {
        const char *at = strstr(line, "@PGN "), *ev;
        json_t *object;
        uint64_t ops;

        if (!at)
            break;
        line = at + 5;
        object = json_loads(line, JSON_DISABLE_EOF_CHECK, NULL);
        ev = json_string_value(json_object_get(object, "ev"));
        ops = ev && strcmp(ev, "sample") == 0
                  ? (uint64_t)json_integer_value(json_object_get(object, "ops"))
                  : 0;
        json_decref(object);
        if (ops)
            return ops;
    }
    return 0;
}

/* What the plugin and the guest say about the interval. */
static int take_interval(struct explained *e, const struct boot *boot)
{
    const struct interval_file_head *head = boot->intervals;
    const struct interval *interval = (const void *)(head + 1);
    char *why;

    e->ops = boot->console ? sample_ops(boot->console) : 0;
    if (!e->ops) {
        fprintf(stderr, "parangon: %s: the guest measured nothing; its last words:\n%s\n",
                boot->name,
                boot->console_size > 600 ? boot->console + boot->console_size - 600
                : boot->console          ? boot->console
                                         : "");
        return -1;
    }
    why = join_intervals_damage(boot);
    if (why) {
        fprintf(stderr, "parangon: %s: %s\n", boot->name, why);
        free(why);
        return -1;
    }
    if (head->nr_inexact)
        fprintf(stderr,
                "parangon: warning: %s: the plugin could not explain %u ends of blocks: counts are "
                "not exact\n",
                boot->name, head->nr_inexact);
    e->valid = head->valid;
    for (uint32_t i = 0; i < head->nr_intervals; i++) {
        if (interval[i].kind == INTERVAL_MEASURED) {
            e->interval = interval[i];
            return 0;
        }
    }
    fprintf(stderr, "parangon: %s: no measured interval\n", boot->name);
    return -1;
}

static int take_path(struct explained *e, const struct subject *s, const struct symbols *kernel)
{
    const struct machine machine = {.inputs = &s->m.inputs, .hypervisor = s->m.hypervisor};
    const char *file = s->platform->symbols ? s->platform->symbols(&machine) : NULL;
    struct symbols hypervisor = {0};
    int result = file ? symbols_add_elf(&hypervisor, file) : 0;

    if (result >= 0) {
        symbols_sort(&hypervisor);
        result = path_read(&e->path, s->recording, kernel, &hypervisor);
    }
    e->typical = result < 0 ? NULL : path_typical(&e->path, &e->typical_times);
    symbols_free(&hypervisor);
    return result < 0 ? -1 : 0;
}

static int show(const struct options *o, const struct explained *e, size_t nr)
{
    json_t *object;

    if (o->function)
        return explain_print_addresses(stdout, e, nr, o->function) ? STATUS_DONE
                                                                   : STATUS_CHECK_FAILED;
    if (!o->json) {
        explain_print(stdout, e, nr, &o->view);
        return STATUS_DONE;
    }
    object = explain_json(e, nr, &o->view);
    json_dumpf(object, stdout, JSON_INDENT(1));
    putchar('\n');
    json_decref(object);
    return STATUS_DONE;
}

/* Run all, read what they left, show it. */
static int explain(const struct options *o, struct subject *subject, size_t nr)
{
    const struct run_limits limits = {
        .silence_seconds = SILENCE, .total_seconds = TOTAL, .progress = true};
    struct explained e[EXPLAIN_PLATFORMS_MAX] = {0};
    struct boot boots[EXPLAIN_PLATFORMS_MAX];
    struct symbols kernel = {0};
    int status;

    for (size_t i = 0; i < nr; i++)
        boots[i] = subject[i].m.boots[0];
    status = run_boots(boots, nr, &limits);
    for (size_t i = 0; i < nr; i++)
        subject[i].m.boots[0] = boots[i];
    if (status)
        return status == STATUS_INTERRUPTED ? status : STATUS_INCOMPLETE;
    if (run_say_failures(boots, nr))
        return STATUS_INCOMPLETE;

    if (symbols_add_kallsyms(&kernel, subject[0].m.kernel) < 0)
        return STATUS_INCOMPLETE;
    symbols_sort(&kernel);
    for (size_t i = 0; i < nr && !status; i++) {
        e[i].platform = subject[i].platform->name;
        e[i].class = run_class_name(subject[i].class);
        if (take_interval(&e[i], &boots[i]) < 0 || take_path(&e[i], &subject[i], &kernel) < 0)
            status = STATUS_INCOMPLETE;
    }
    if (!status)
        status = show(o, e, nr);
    for (size_t i = 0; i < nr; i++)
        path_free(&e[i].path);
    symbols_free(&kernel);
    return status;
}

int cmd_explain(int argc, char **argv)
{
    struct options o = {.view.width = WIDTH_DEFAULT, .seed = "1", .class = RUN_DEFAULT};
    const char *base = paths_temporary();
    char *folder = format("%s/parangon-explain.XXXXXX", base);
    struct subject subject[EXPLAIN_PLATFORMS_MAX] = {0};
    int status = 0;
    size_t nr = 0;

    words_split(&o.platforms, "pv,xen-pv", ',');
    command_parse(&argp, argc, argv, &o);
    paths_get(); /* ends the program where there is no source tree: before there is a folder */
    if (!mkdtemp(folder)) {
        fprintf(stderr, "parangon: no temporary folder %s: %s\n", folder, strerror(errno));
        return STATUS_INCOMPLETE;
    }
    for (; nr < o.platforms.nr && !status; nr++)
        status = subject_prepare(&subject[nr], &o, folder, o.platforms.word[nr]);
    if (!status)
        status = explain(&o, subject, nr);
    for (size_t i = 0; i < nr; i++) {
        unlink(subject[i].recording);
        free(subject[i].recording);
        measure_free(&subject[i].m);
    }
    rmdir(folder);
    free(folder);
    words_free(&o.platforms);
    return status;
}

/* SPDX-License-Identifier: MIT */
/*
 * The commands `report` (tables and figure of a result file) and `export` (data for other
 * tools).
 *
 * Results go to stdout, messages to stderr; exit statuses as enum exit_status. compare.c has
 * `compare` and `gate`.
 */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/report.h"
#include "analysis/results.h"

#define FILES_MAX 64

enum { KEY_JSON = 256, KEY_NO_FIGURE, KEY_CSV };

struct report_options {
    bool json, no_figure;
    size_t nr_files;
    const char *files[FILES_MAX];
};

static error_t report_option(int key, char *argument, struct argp_state *state)
{
    struct report_options *options = state->input;

    switch (key) {
    case KEY_JSON:
        options->json = true;
        return 0;
    case KEY_NO_FIGURE:
        options->no_figure = true;
        return 0;
    case ARGP_KEY_ARG:
        if (options->nr_files == FILES_MAX)
            argp_error(state, "at most %d files at a time", FILES_MAX);
        options->files[options->nr_files++] = argument;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "which result file? Those of your own runs lie in out/");
        return EINVAL;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Print one run as a JSON object and a newline. */
static int print_json(FILE *out, const struct run *run)
{
    json_t *object = report_json(run);
    int error = json_dumpf(object, out, JSON_INDENT(1)) ? -EIO : 0;

    fputc('\n', out);
    json_decref(object);
    return error;
}

static enum exit_status report_one(const struct report_options *options, const char *path)
{
    enum exit_status status;
    struct run *run = run_read(path, &status);

    if (!run)
        return status;
    if (options->json && print_json(stdout, run))
        status = STATUS_INCOMPLETE;
    else if (!options->json)
        report_tables(stdout, run);
    if (!options->no_figure && !run->nr_points && report_figure(run, path))
        status = STATUS_INCOMPLETE;
    if (!run->complete)
        status = STATUS_INCOMPLETE;
    run_free(run);
    return status;
}

int cmd_report(int argc, char **argv)
{
    static const struct argp_option list[] = {
        {"json", KEY_JSON, NULL, 0, "Print one JSON object per file instead of tables"},
        {"no-figure", KEY_NO_FIGURE, NULL, 0, "Draw nothing"},
        {0},
    };
    static const struct argp argp = {
        list, report_option, "FILE...",
        "Print the tables of result files, and draw FILE.svg and FILE.png beside each.\v"
        "Exit status: 0 done, 2 usage or unreadable file, 3 other schema, 4 the run or its figure "
        "is incomplete."};
    struct report_options options = {0};
    enum exit_status worst = STATUS_DONE;

    argp_err_exit_status = STATUS_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    for (size_t i = 0; i < options.nr_files; i++) {
        enum exit_status status = report_one(&options, options.files[i]);

        worst = worst ? worst : status;
    }
    return fflush(stdout) ? STATUS_INCOMPLETE : worst;
}

struct export_options {
    const char *file, *output, *what;
    bool json;
};

static error_t export_option(int key, char *argument, struct argp_state *state)
{
    struct export_options *options = state->input;

    switch (key) {
    case KEY_JSON:
        options->json = true;
        return 0;
    case KEY_CSV:
        options->json = false;
        return 0;
    case 'o':
        options->output = argument;
        return 0;
    case 'w':
        if (strcmp(argument, "samples") && strcmp(argument, "rows") &&
            strcmp(argument, "environment"))
            argp_error(state, "there is no '%s': choose samples, rows or environment", argument);
        options->what = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (options->file)
            argp_error(state, "one result file at a time");
        options->file = argument;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "which result file? Those of your own runs lie in out/");
        return EINVAL;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static json_t *samples_json(const struct run *run)
{
    json_t *list = json_array();

    for (size_t i = 0; i < run->nr_samples; i++) {
        const struct run_sample *s = &run->samples[i];
        json_t *object = json_pack(
            "{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "workload", s->workload,
            "kind", run_kind_name(s->kind), "platform", s->platform, "class",
            run_class_name(s->class), "set", run_set_name(s->set), "seed", (json_int_t)s->seed,
            "iter", (json_int_t)s->iter, "flags", (json_int_t)s->flags, "ops", (json_int_t)s->ops,
            "user", (json_int_t)s->interval.user, "kernel", (json_int_t)s->interval.kernel,
            "hypervisor", (json_int_t)s->interval.hypervisor);

        for (int c = 0; c < COUNTER_NR; c++)
            json_object_set_new(object, counter_names[c],
                                s->measured >> c & 1
                                    ? json_integer((json_int_t)s->interval.counter[c])
                                    : json_null());
        json_array_append_new(list, object);
    }
    return list;
}

static json_t *environment_json(const struct run *run)
{
    json_t *list = json_array();

    for (size_t i = 0; i < run->nr_facts; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s, s:s}", "platform", run->facts[i].platform,
                                        "class", run_class_name(run->facts[i].class), "key",
                                        run->facts[i].key, "value", run->facts[i].value));
    return list;
}

/* What the user asked for, as an array of objects that all have the same keys. */
static json_t *table_json(const struct run *run, const char *what)
{
    if (!strcmp(what, "samples"))
        return samples_json(run);
    if (!strcmp(what, "environment"))
        return environment_json(run);
    json_t *whole = report_json(run);
    json_t *rows = json_incref(json_object_get(whole, "rows"));

    json_decref(whole);
    return rows;
}

/* One cell as RFC 4180 has it: quoted where needed; null is empty; an array is its members with
 * blanks. */
static void csv_cell(FILE *out, const json_t *value)
{
    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++)
            fprintf(out, "%s%s", i ? " " : "", json_string_value(json_array_get(value, i)));
    } else if (json_is_string(value)) {
        const char *text = json_string_value(value);
        bool quote = strpbrk(text, ",\"\r\n") != NULL;

        if (quote)
            fputc('"', out);
        for (; *text; text++)
            fputs(*text == '"' ? "\"\"" : (char[]){*text, 0}, out);
        if (quote)
            fputc('"', out);
    } else if (json_is_integer(value)) {
        fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    } else if (json_is_real(value)) {
        fprintf(out, "%.17g", json_real_value(value));
    }
}

/* Print the keys (`value` NULL) or the values of one object; those of nested objects are joined by
 * '_'. */
static void csv_fields(FILE *out, const json_t *object, const char *prefix, bool keys, bool *first)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)object, key, value)
    {
        char full[128];

        snprintf(full, sizeof(full), "%s%s%s", prefix, *prefix ? "_" : "", key);
        if (json_is_object(value)) {
            csv_fields(out, value, full, keys, first);
            continue;
        }
        if (!*first)
            fputc(',', out);
        *first = false;
        if (keys)
            fputs(full, out);
        else
            csv_cell(out, value);
    }
}

static void print_csv(FILE *out, const json_t *table)
{
    for (size_t i = 0; i < json_array_size(table); i++) {
        bool first = true;

        if (!i) {
            csv_fields(out, json_array_get(table, 0), "", true, &first);
            fputs("\r\n", out);
            first = true;
        }
        csv_fields(out, json_array_get(table, i), "", false, &first);
        fputs("\r\n", out);
    }
}

/* Write the table to a stream that is closed here. */
static enum exit_status export_to(FILE *out, const struct export_options *options,
                                  const json_t *table)
{
    bool failed = false;

    if (options->json)
        failed = json_dumpf(table, out, JSON_INDENT(1)) || fputc('\n', out) == EOF;
    else
        print_csv(out, table);
    failed |= ferror(out) != 0;
    failed |= (out == stdout ? fflush(out) : fclose(out)) != 0;
    if (failed)
        fprintf(stderr, "parangon: cannot write %s: %s\n",
                options->output ? options->output : "to stdout", strerror(errno));
    if (failed && options->output)
        remove(options->output);
    return failed ? STATUS_INCOMPLETE : STATUS_DONE;
}

int cmd_export(int argc, char **argv)
{
    static const struct argp_option list[] = {
        {"csv", KEY_CSV, NULL, 0, "As CSV, RFC 4180, not measured is empty (the default)"},
        {"json", KEY_JSON, NULL, 0, "As a JSON array of objects, not measured is null"},
        {"what", 'w', "TABLE", 0,
         "samples: every interval (the default); rows: medians, ratios, shares; environment: facts "
         "of the platforms"},
        {"output", 'o', "FILE", 0, "Write there instead of stdout"},
        {0},
    };
    static const struct argp argp = {list, export_option, "FILE",
                                     "Turn a result file into data for other tools.\v"
                                     "Exit status: 0 done, 2 usage or unreadable file, 3 other "
                                     "schema, 4 the output could not be written."};
    struct export_options options = {.what = "samples"};
    enum exit_status status;

    argp_err_exit_status = STATUS_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    struct run *run = run_read(options.file, &status);

    if (!run)
        return status;
    FILE *out = options.output ? fopen(options.output, "w") : stdout;

    if (out) {
        json_t *table = table_json(run, options.what);

        status = export_to(out, &options, table);
        json_decref(table);
    } else {
        fprintf(stderr, "parangon: cannot write %s: %s\n", options.output, strerror(errno));
        status = STATUS_INCOMPLETE;
    }
    run_free(run);
    return status;
}

/* SPDX-License-Identifier: MIT */
/*
 * The command `parangon trace`: see command.h. Parses arguments, opens the trace, calls ctf.c,
 * summary.c, relay.c or lttng.c.
 */
#include "trace/command.h"

#include <argp.h>
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/ctf.h"
#include "trace/hdf5.h"
#include "trace/reader.h"
#include "trace/relay.h"
#include "trace/republish.h"
#include "trace/summary.h"
#include "trace/tracecompass.h"
#include "trace/who.h"

#define EXIT_FAILED     1
#define EXIT_USAGE      2
#define EXIT_INCOMPLETE 4

struct arguments {
    const char *input;
    const char *output, *hdf5;
    bool events, json, lttng;
    long pid;
    unsigned poll_us;
    size_t chunk;
    const char *hold;
    double from_ms, length_ms;
};

enum { KEY_EVENTS = 256, KEY_JSON, KEY_LTTNG, KEY_PID, KEY_POLL, KEY_CHUNK, KEY_HOLD, KEY_FROM, KEY_LENGTH, KEY_HDF5 };

static long positive(const char *text, struct argp_state *state)
{
    char *end;
    const long value = strtol(text, &end, 10);

    if (*end || end == text || value <= 0)
        argp_error(state, "'%s' is not a positive number", text);
    return value;
}

static double milliseconds(const char *text, struct argp_state *state)
{
    char *end;
    const double value = strtod(text, &end);

    if (*end || end == text || !(value >= 0 && value <= 1e12))
        argp_error(state, "'%s' is not a number of milliseconds", text);
    return value;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *arguments = state->input;

    switch (key) {
    case 'o':
        arguments->output = arg;
        return 0;
    case KEY_EVENTS:
        arguments->events = true;
        return 0;
    case KEY_JSON:
        arguments->json = true;
        return 0;
    case KEY_LTTNG:
        arguments->lttng = true;
        return 0;
    case KEY_HDF5:
        arguments->hdf5 = arg;
        return 0;
    case KEY_PID:
        arguments->pid = positive(arg, state);
        return 0;
    case KEY_POLL:
        arguments->poll_us = positive(arg, state);
        return 0;
    case KEY_FROM:
        arguments->from_ms = milliseconds(arg, state);
        return 0;
    case KEY_LENGTH:
        arguments->length_ms = milliseconds(arg, state);
        return 0;
    case KEY_HOLD:
        arguments->hold = arg;
        return 0;
    case KEY_CHUNK:
        arguments->chunk = positive(arg, state);
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->input)
            argp_error(state, "one trace at a time");
        arguments->input = arg;
        return 0;
    case ARGP_KEY_END:
        if (!arguments->input)
            argp_error(state, "which trace? name its file");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option show_options[] = {
    { "events", KEY_EVENTS, NULL, 0, "print every record, in the order of time", 0 },
    { "json", KEY_JSON, NULL, 0, "print the summary as one JSON object", 0 },
    { 0 },
};
static const struct argp show_argp = {
    show_options, parse, "FILE",
    "Summarise a trace: entries into the hypervisor by cause, with count, least, median and total time and share."
    "\vFILE is what `trace record` wrote, or the memory file of a running machine. Exit status: 0 done, 1 damaged, "
    "4 done, but the trace has lost records.",
    NULL, NULL, NULL
};

static const struct argp_option who_options[] = {
    { "output", 'o', "STEM", 0, "draw STEM.svg and STEM.png: what each processor ran, what each vCPU did", 0 },
    { "from", KEY_FROM, "MS", 0, "draw from there on (default: the first record)", 0 },
    { "length", KEY_LENGTH, "MS", 0, "draw so much (default: all)", 0 },
    { "json", KEY_JSON, NULL, 0, "print one JSON object", 0 },
    { 0 },
};
static const struct argp who_argp = {
    who_options, parse, "FILE",
    "Who ran where: for each vCPU its run, wait, blocked and stolen time and how long it took from waking to running; a picture.",
    NULL, NULL, NULL
};

static const struct argp_option export_options[] = {
    { "output", 'o', "FOLDER", 0, "write CTF 1.8 to this new folder, with an XML analysis for Trace Compass beside it (FOLDER.xml)", 0 },
    { "lttng", KEY_LTTNG, NULL, 0,
      "publish the records as LTTng-UST events of provider \"parangon\", to the sessions that listen", 0 },
    { "hdf5", KEY_HDF5, "FILE.h5", 0, "write one table per event, for h5py and its like", 0 },
    { 0 },
};
static const struct argp export_argp = {
    export_options, parse, "FILE",
    "Export a trace as CTF for babeltrace2 and Trace Compass, as HDF5, or into an LTTng session.", NULL, NULL, NULL
};

static const struct argp_option relay_options[] = {
    { "output", 'o', "FILE", 0, "the trace, compact (needed)", 0 },
    { "pid", KEY_PID, "PID", 0, "follow while this process lives; without it, copy what is there", 0 },
    { "poll", KEY_POLL, "US", 0, "look at the rings every so many microseconds (1000)", 0 },
    { "hold", KEY_HOLD, "SOCKET", 0, "make this socket for the counting plugin (hold=SOCKET), which holds a machine with the option trace-hold", 0 },
    { "chunk", KEY_CHUNK, "BYTES", 0, "take at most so much of a ring at a look", 0 },
    { "lttng", KEY_LTTNG, NULL, 0,
      "also publish each record as an LTTng-UST event of provider \"parangon\", as it comes", 0 },
    { 0 },
};
static const struct argp relay_argp = {
    relay_options, parse, "MEMORY-FILE",
    "Copy a trace out of the shared memory of a machine, while it runs or after it.", NULL, NULL, NULL
};

static int parse_arguments(const struct argp *argp, const char *name, int argc, char **argv,
                           struct arguments *arguments)
{
    char *full;
    int result;

    if (asprintf(&full, "parangon trace %s", name) < 0)
        err(EXIT_INCOMPLETE, "trace");
    argv[0] = full;
    argp_err_exit_status = EXIT_USAGE;
    result = argp_parse(argp, argc, argv, 0, NULL, arguments);
    return result;
}

static int status_of(const struct trace_log *log)
{
    if (!log->lost)
        return 0;
    warnx("%llu records were lost: the trace is not whole (a larger ring keeps more)",
          (unsigned long long)log->lost);
    return EXIT_INCOMPLETE;
}

static int show(int argc, char **argv)
{
    struct arguments arguments = { 0 };
    struct trace_log *log;
    int status;

    parse_arguments(&show_argp, "show", argc, argv, &arguments);
    log = trace_log_open(arguments.input);
    if (!log)
        return EXIT_FAILED;
    if (arguments.events) {
        const struct trace_stream *stream;
        const struct trace_item *item;
        struct trace_merge merge;

        trace_merge_begin(&merge, log);
        while ((item = trace_merge_next(&merge, &stream)))
            trace_print(stdout, stream, item);
        trace_merge_end(&merge);
    } else {
        struct trace_summary summary;

        trace_summarise(&summary, log);
        if (arguments.json)
            trace_summary_json(stdout, &summary, log);
        else
            trace_summary_print(stdout, &summary, log);
        trace_summary_free(&summary);
    }
    status = status_of(log);
    trace_log_close(log);
    return fflush(stdout) == 0 ? status : EXIT_FAILED;
}

static int draw(const struct who *who, const struct arguments *arguments)
{
    const double ticks = (who->tsc_hz ? who->tsc_hz : 1000000000) / 1e3;
    const uint64_t from = who->first + (uint64_t)(arguments->from_ms * ticks);
    uint64_t to = who->last;

    if (arguments->length_ms > 0 && from + (uint64_t)(arguments->length_ms * ticks) < to)
        to = from + (uint64_t)(arguments->length_ms * ticks);
    if (from >= to) {
        warnx("nothing to draw: the trace is %g ms long", (who->last - who->first) / ticks);
        return EXIT_USAGE;
    }
    return trace_who_draw(who, arguments->output, from, to) < 0 ? EXIT_FAILED : 0;
}

static int who(int argc, char **argv)
{
    struct arguments arguments = { 0 };
    struct trace_log *log;
    struct who made;
    int status, drawn = 0;

    parse_arguments(&who_argp, "who", argc, argv, &arguments);
    log = trace_log_open(arguments.input);
    if (!log)
        return EXIT_FAILED;
    if (trace_who(&made, log) < 0) {
        trace_log_close(log);
        return EXIT_FAILED;
    }
    if (arguments.json)
        trace_who_json(stdout, &made);
    else
        trace_who_print(stdout, &made);
    if (arguments.output)
        drawn = draw(&made, &arguments);
    trace_who_free(&made);
    status = status_of(log);
    trace_log_close(log);
    return fflush(stdout) ? EXIT_FAILED : drawn ? drawn : status;
}

static int export(int argc, char **argv)
{
    struct arguments arguments = { 0 };
    struct trace_log *log;
    int status;

    parse_arguments(&export_argp, "export", argc, argv, &arguments);
    if (!arguments.output && !arguments.lttng && !arguments.hdf5) {
        warnx("where to? -o FOLDER, --hdf5 FILE.h5, or --lttng");
        return EXIT_USAGE;
    }
    log = trace_log_open(arguments.input);
    if (!log)
        return EXIT_FAILED;
    status = status_of(log);
    if (arguments.output && (trace_ctf_write(log, arguments.output) < 0 || tracecompass_write(arguments.output) < 0))
        status = EXIT_FAILED;
    if (arguments.hdf5 && trace_hdf5_write(log, arguments.hdf5) < 0)
        status = EXIT_FAILED;
    if (arguments.lttng && trace_republish(log) < 0)
        status = EXIT_FAILED;
    trace_log_close(log);
    return status;
}

static bool process_lives(void *pid)
{
    return kill((pid_t) * (long *)pid, 0) == 0 || errno == EPERM;
}

static int relay(int argc, char **argv)
{
    struct arguments arguments = { 0 };
    struct trace_relay_options options = { 0 };

    parse_arguments(&relay_argp, "relay", argc, argv, &arguments);
    if (!arguments.output) {
        warnx("where to? -o FILE");
        return EXIT_USAGE;
    }
    options.poll_us = arguments.poll_us;
    options.chunk = arguments.chunk;
    options.hold = arguments.hold;
    if (arguments.lttng)
        options.watcher = &trace_republish_live;
    if (arguments.pid) {
        options.alive = process_lives;
        options.context = &arguments.pid;
    }
    return trace_relay(arguments.input, arguments.output, &options) < 0 ? EXIT_FAILED : 0;
}

static void usage(FILE *out)
{
    fputs("Usage: parangon trace record [OPTION...]          run a guest and keep its trace\n"
          "       parangon trace show FILE [--events|--json] summary by cause, or every record\n"
          "       parangon trace who FILE [-o STEM]          what each vCPU did; a picture of who ran where\n"
          "       parangon trace export FILE -o FOLDER       as CTF 1.8; --hdf5 FILE.h5; --lttng: into an LTTng session\n"
          "       parangon trace relay MEMORY-FILE -o FILE   copy a trace out of a machine's shared memory\n"
          "Each takes --help. Events: trace/EVENTS.md.\n",
          out);
}

int trace_command(int argc, char **argv, trace_record_fn *record)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } commands[] = { { "show", show }, { "who", who }, { "export", export }, { "relay", relay } };

    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)) {
        usage(stdout);
        return 0;
    }
    if (argc > 1 && record && strcmp(argv[1], "record") == 0)
        return record(argc - 1, argv + 1);
    for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    }
    usage(stderr);
    return EXIT_USAGE;
}

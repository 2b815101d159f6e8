/* SPDX-License-Identifier: MIT */
/*
 * `parangon trace`: show, export and relay are the trace room's; `record` is here, since it runs a
 * machine.
 *
 * The hypervisor writes its records into memory shared with this host, large enough for the whole
 * run, so that nothing is lost and nothing waits; when the machine has ended the used part is
 * copied to the result. With --hold the memory may be small: the machine is held while a part of it
 * is full, and the relay, a thread here, takes that. The memory file lies in the temporary folder. A
 * trace that has lost records is kept, and is a failure all the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analysis/results.h"
#include "bench/command.h"
#include "bench/paths.h"
#include "bench/plan.h"
#include "bench/run.h"
#include "trace/command.h"
#include "trace/relay.h"

struct options {
    const char *output;
    struct words workloads;
    enum run_class class;
    unsigned memory_mib, iters;
    double time_limit;
    const char *counts;
    bool untraced, hold;
};

enum { OPT_CLASS = 0x100, OPT_MEMORY, OPT_LIMIT, OPT_ITERS, OPT_COUNTS, OPT_UNTRACED, OPT_HOLD };

static const struct argp_option option_table[] = {
    {"output", 'o', "FILE", 0, "The trace (default out/trace.ptr)"},
    {"workload", 'w', "NAME,...", 0, "Workloads to run in the guest (default getppid)"},
    {"iters", OPT_ITERS, "N", 0, "Measured intervals of each (default 1)"},
    {"class", OPT_CLASS, "CLASS", 0, "Mitigations: default or tuned"},
    {"memory", OPT_MEMORY, "MIB", 0,
     "Room for records, a power of two (default 256); what does not fit is counted as lost"},
    {"counts", OPT_COUNTS, "FOLDER", 0,
     "Also keep what the counting plugin counted in the same run (intervals, entries) and the "
     "console"},
    {"untraced", OPT_UNTRACED, NULL, 0,
     "The same machine with nothing recorded, for comparison; needs --counts"},
    {"hold", OPT_HOLD, NULL, 0,
     "Hold the machine while a part of that room is full, and take what is there: nothing is lost, however small it is. Changes no count"},
    {"time-limit", OPT_LIMIT, "SECONDS", 0,
     "Kill a machine that works for so long without a word (default 240)"},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    char *end;
    long number;

    switch (key) {
    case 'o':
        o->output = arg;
        return 0;
    case 'w':
        words_split(&o->workloads, arg, ',');
        for (size_t i = 0; i < o->workloads.nr; i++)
            if (!workload_known(o->workloads.word[i]))
                argp_error(state, "no workload \"%s\" (parangon list shows them)",
                           o->workloads.word[i]);
        return 0;
    case OPT_CLASS:
        if (run_class_of(arg) < 0)
            argp_error(state, "no class \"%s\": default or tuned", arg);
        o->class = run_class_of(arg);
        return 0;
    case OPT_MEMORY:
        number = strtol(arg, &end, 10);
        if (*end || number < 1 || number > 4096 || number & (number - 1))
            argp_error(state, "--memory takes a power of two of MiB, 1 to 4096, not \"%s\"", arg);
        o->memory_mib = number;
        return 0;
    case OPT_ITERS:
        number = strtol(arg, &end, 10);
        if (*end || number < 1 || number > 1000)
            argp_error(state, "--iters takes 1 to 1000, not \"%s\"", arg);
        o->iters = number;
        return 0;
    case OPT_COUNTS:
        if (!*arg || strchr(arg, ','))
            argp_error(state, "--counts takes a folder without commas in its name");
        o->counts = arg;
        return 0;
    case OPT_UNTRACED:
        o->untraced = true;
        return 0;
    case OPT_HOLD:
        o->hold = true;
        return 0;
    case ARGP_KEY_END:
        if (o->untraced && !o->counts)
            argp_error(state, "--untraced leaves nothing without --counts");
        if (o->untraced && o->hold)
            argp_error(state, "--untraced fills no memory that --hold could drain");
        return 0;
    case OPT_LIMIT:
        o->time_limit = strtod(arg, &end);
        if (*end || !(o->time_limit > 0))
            argp_error(state, "--time-limit takes seconds, more than 0, not \"%s\"", arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = option_table,
    .parser = parse,
    .doc = "Run workloads in a guest on the platform pv, and keep every record of the hypervisor. "
           "`parangon trace show FILE` "
           "summarises it.",
};

static int keep(const char *folder, const char *name, const void *bytes, size_t size)
{
    char *path = format("%s/%s", folder, name);
    FILE *out = fopen(path, "wb");
    int failed = !out || fwrite(bytes, 1, size, out) != size;

    failed |= out && fclose(out) != 0;
    if (failed)
        fprintf(stderr, "parangon: %s: %s\n", path, strerror(errno));
    free(path);
    return failed ? -1 : 0;
}

/* The relay that follows a held machine. */
struct follower {
    pthread_t thread;
    const char *memory, *output;
    char *socket; /* NULL: none, the trace is taken at the end */
    uint64_t lost;
    atomic_bool running; /* the machine */
    int result;
};

static bool follower_goes_on(void *context)
{
    return atomic_load(&((struct follower *)context)->running);
}

static void *follow(void *data)
{
    struct follower *f = data;

    f->result = trace_relay(f->memory, f->output,
                            &(struct trace_relay_options){
                                .alive = follower_goes_on, .context = f, .hold = f->socket, .lost = &f->lost});
    return NULL;
}

/* The trace out of the shared memory; a machine that failed has one too, and there it is wanted most. */
static int keep_trace(struct follower *f)
{
    const char *output = f->output;
    uint64_t lost;

    if (!f->socket)
        follow(f);
    lost = f->lost;
    if (f->result < 0)
        return STATUS_INCOMPLETE;
    fprintf(stderr, "parangon: kept %s (parangon trace show %s)\n", output, output);
    if (!lost)
        return 0;
    fprintf(stderr,
            "parangon: %llu records did not fit and are lost: the trace is not whole (--memory "
            "gives more room)\n",
            (unsigned long long)lost);
    return STATUS_INCOMPLETE;
}

static int record_into(const struct options *o, const struct machine *machine, struct follower *f)
{
    struct run_limits limits = {
        .silence_seconds = o->time_limit, .total_seconds = 3600, .progress = true};
    struct boot boot = {.name = format("pv-%s-trace", run_class_name(o->class)), .estimate = 60};
    const char *why = platform_pv.absent(&platform_pv, machine);
    int status;

    if (why) {
        fprintf(stderr, "parangon: nothing to trace here: %s\n", why);
        boot_free(&boot);
        return STATUS_INCOMPLETE;
    }
    platform_pv.command(&platform_pv, machine, &boot.argv);
    f->running = f->socket != NULL;
    if (f->socket && pthread_create(&f->thread, NULL, follow, f) != 0) {
        fprintf(stderr, "parangon: no thread to drain the trace memory\n");
        boot_free(&boot);
        return STATUS_INCOMPLETE;
    }
    status = run_boots(&boot, 1, &limits);
    if (f->socket) {
        f->running = false;
        pthread_join(f->thread, NULL);
    }
    if (!status && run_say_failures(&boot, 1))
        status = STATUS_INCOMPLETE;
    if (status != STATUS_INTERRUPTED && status >= 0) {
        if (!o->untraced && keep_trace(f))
            status = STATUS_INCOMPLETE;
        if (o->counts && (keep(o->counts, "console", boot.console, boot.console_size) < 0 ||
                          keep(o->counts, "intervals", boot.intervals, boot.intervals_size) < 0))
            status = STATUS_INCOMPLETE;
    }
    boot_free(&boot);
    return status < 0 ? STATUS_INCOMPLETE : status;
}

static int record(int argc, char **argv)
{
    struct options o = {
        .output = "out/trace.ptr", .memory_mib = 256, .iters = 1, .time_limit = 240};
    struct follower follower = {0};
    struct inputs inputs;
    char *workloads, *memory, *plugin = NULL, *folder = NULL;
    int status;

    argv[0] = "parangon trace record";
    command_parse(&argp, argc, argv, &o);
    if (!o.workloads.nr)
        words_add(&o.workloads, "getppid");
    if (inputs_get(&inputs, INPUTS_FETCH) < 0)
        return STATUS_INCOMPLETE;
    if (o.counts) {
        if ((mkdir(o.counts, 0777) < 0 && errno != EEXIST) || !(folder = realpath(o.counts, NULL))) {
            fprintf(stderr, "parangon: %s: %s\n", o.counts, strerror(errno));
            return STATUS_INCOMPLETE;
        }
        plugin = format("%s/bench/plugin/libcount.so,out=" BOOT_INTERVALS ",entries=%s/entries",
                        paths_get()->build, folder);
        free(folder);
    }
    if (paths_make_parent(o.output) < 0 || !(memory = paths_make_temporary("trace", (size_t)o.memory_mib << 20)))
        return STATUS_INCOMPLETE;
    follower.memory = memory;
    follower.output = o.output;
    if (o.hold) {
        char *with;

        follower.socket = format("%s.hold", memory);
        with = plugin ? format("%s,hold=%s", plugin, follower.socket)
                      : format("%s/bench/plugin/libcount.so,out=" BOOT_INTERVALS ",hold=%s", paths_get()->build, follower.socket);
        free(plugin);
        plugin = with;
    }
    workloads = words_join(&o.workloads, '+');
    status = record_into(
        &o,
        &(struct machine){.inputs = &inputs,
                          .class = o.class,
                          .kernel = inputs.kernel,
                          .console = "file:" BOOT_CONSOLE,
                          .hypervisor = format("%s/hv/parangon", paths_get()->build),
                          .ramdisk = format("%s/guests/linux/initrd.cpio", paths_get()->build),
                          .guest_args =
                              format("pgn.workloads=%s pgn.seeds=1 pgn.warmup=1 pgn.iters=%u",
                                     workloads, o.iters),
                          .hv_args = o.untraced ? "no-trace" : o.hold ? "trace-hold" : NULL,
                          .plugin = plugin,
                          .trace_file = memory,
                          .trace_mib = o.memory_mib},
        &follower);
    unlink(memory);
    free(memory);
    free(follower.socket);
    free(plugin);
    free(workloads);
    words_free(&o.workloads);
    return status;
}

int cmd_trace(int argc, char **argv)
{
    argv[0] = "trace";
    return trace_command(argc, argv, record);
}

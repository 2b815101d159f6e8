/* SPDX-License-Identifier: MIT */
/*
 * `parangon sim`: one run of the simulated machine, its table or JSON.
 *
 * How fast the simulator ran goes to stderr: it is not of the result, which is the same on every machine.
 */
#include "sim/command.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "analysis/results.h"
#include "sim/experiment.h"
#include "sim/replay.h"
#include "sim/script.h"
#include "sim/show.h"
#include "sim/sweep.h"

/* What the command does, as bits: an option says in which of these it is taken, and is refused in the others. */
enum mode { RUN = 1, SWEEP = 2, EXPERIMENT = 4, REPLAY = 8, LAG_OF = 16 };
#define ANY_RUN (RUN | SWEEP)

struct options {
    enum mode mode;
    struct sim_setup setup;
    bool json;
    const char *trace;
    unsigned trace_mib;
    struct sim_sweep sweep;
    bool sweeps;
    const struct sim_experiment *experiment;
    const char *matrix;       /* as given, for an experiment */
    uint64_t given;           /* options, by their place in all_options */
    const char *replay, *bursts, *lag_of;
    uint64_t from, to;        /* ns: the window of lag_of */
    struct sim_replay_domain domains[64];
    unsigned nr_domains;
};

/* Options that are parameters of the machine: the key is the option's name. */
#define PARAMETERS(X)                                                                                                              \
    X("cpus", ANY_RUN, "N", "Processors (threads), 1 to 1024 (default 1)")                                                          \
    X("threads", ANY_RUN | REPLAY, "N", "Threads of a core (default 1)")                                                            \
    X("cores", ANY_RUN | REPLAY, "N", "Cores of a socket (default: all)")                                                           \
    X("vcpus", ANY_RUN, "N", "vCPUs of a mix of all kinds, where no --load is given (default: as many as processors)")              \
    X("mix", ANY_RUN, "all|skewed", "That mix: all kinds alike, or 32 tenants, the k-th of 1/k of the first one's size and weight") \
    X("sched", ANY_RUN | REPLAY, "POLICY", "Scheduling policy (default credit)")                                                    \
    X("seconds", ANY_RUN, "N", "Simulated and measured (default 1)")                                                                \
    X("warmup", ANY_RUN, "TIME", "Simulated before that (default 100ms)")                                                           \
    X("seed", ANY_RUN | REPLAY, "N", "Seed of the loads (default 1)")                                                               \
    X("slice", ANY_RUN | REPLAY, "TIME", "Slice of the policy (default: its own)")                                                  \
    X("rate-limit", ANY_RUN | REPLAY, "TIME", "Least time before a preemption (default 1ms)")                                       \
    X("span", ANY_RUN | REPLAY, "policy|cpu|core|socket", "Processors that share a runqueue (default: the policy's own)")           \
    X("exclusive", ANY_RUN | REPLAY, "on|off", "Policy smt: threads of a core run one domain or idle (default off)")                \
    X("switch-cost", ANY_RUN, "TIME", "Work lost by a switch (default 1500ns)")                                                     \
    X("migrate-cost", ANY_RUN, "T[,T,T]", "Work lost by a move: to a sibling thread, in the socket, beyond (default 0,10us,30us)")  \
    X("matrix", ANY_RUN | EXPERIMENT, "S|FILE", "Pair matrix: one number for all pairs, or a file of smt-calibrate (default 1)")    \
    X("lag", ANY_RUN, "on|off", "Follow a fluid schedule too, one thread a core (default: up to 64 domains)")

enum { OPT_FIRST = 0x100, OPT_LOAD = 0x200, OPT_JSON, OPT_TRACE, OPT_TRACE_MEMORY, OPT_SWEEP, OPT_SEEDS, OPT_COMPARE, OPT_METRIC, OPT_REPLAY, OPT_BURSTS, OPT_LAG_OF, OPT_WINDOW, OPT_DOMAIN };

#define AS_KEY(name, modes, arg, doc) name,
static const char *const parameter_keys[] = {PARAMETERS(AS_KEY)};
#define NR_PARAMETERS (sizeof parameter_keys / sizeof parameter_keys[0])

#define AS_OPTION(n, m, a, d) {{.name = n, .arg = a, .doc = d}, m},
static const struct sim_option {
    struct argp_option option;
    unsigned modes;
} all_options[] = {
    PARAMETERS(AS_OPTION)
    {{"load", OPT_LOAD, "KIND[*DOMAINS][:KEY=VALUE]...", 0,
      "A group of domains: hog, interactive, periodic, bursty, service, barrier, yielder; keys name, vcpus, weight, cap, class, "
      "run, period, dist (fixed, exp, pareto), util, via, via-run, spin, cpus"}, ANY_RUN},
    {{"json", OPT_JSON, NULL, 0, "All figures as one JSON object"}, ANY_RUN | LAG_OF},
    {{"trace", OPT_TRACE, "FILE", 0, "Keep a trace of every decision, as `parangon trace record` does on the hypervisor"}, RUN},
    {{"trace-memory", OPT_TRACE_MEMORY, "MIB", 0, "Room for it (default 256)"}, RUN},
    {{"replay", OPT_REPLAY, "FILE", 0, "Ask for the decisions of a recorded trace again; the first that differs is printed (exit status 1)"}, REPLAY},
    {{"bursts", OPT_BURSTS, "FILE", 0, "A recorded trace as the load: its bursts of work, and the causes of its wake-ups"}, ANY_RUN},
    {{"lag-of", OPT_LAG_OF, "FILE", 0, "How far each domain of a recorded trace was behind and ahead of a fluid schedule"}, LAG_OF},
    {{"window", OPT_WINDOW, "FROM-TO", 0, "That within a window, ms of the trace's clock (default: all of it)"}, LAG_OF},
    {{"domain", OPT_DOMAIN, "ID:WEIGHT[:CAP]", 0, "Weight and cap of a domain of the trace (default 256, none)"}, ANY_RUN | REPLAY | LAG_OF},
    {{"sweep", OPT_SWEEP, "KEY=A,B,...", 0, "Run for each value of a parameter (any option above, or LOAD.KEY); table, result, figure"}, SWEEP},
    {{"seeds", OPT_SEEDS, "N", 0, "Seeds of a sweep, or of a comparison (default 10)"}, SWEEP | EXPERIMENT},
    {{"compare", OPT_COMPARE, "POLICY,POLICY...", 0, "Compare policies with the first, seed by seed"}, SWEEP | EXPERIMENT},
    {{"metric", OPT_METRIC, "[LOAD.]METRIC", 0, "What the figure of a sweep shows (default response-p99 of the first load that responds)"}, SWEEP},
    {{"out", 'o', "FOLDER", 0, "Where the result of a sweep goes (default out)"}, SWEEP | EXPERIMENT},
};
#define NR_OPTIONS (sizeof all_options / sizeof all_options[0])

static struct argp_option option_table[NR_OPTIONS + 1];

static void make_options(void)
{
    for (size_t i = 0; i < NR_OPTIONS; i++) {
        option_table[i] = all_options[i].option;
        if (i < NR_PARAMETERS)
            option_table[i].key = OPT_FIRST + (int)i;
    }
}

_Static_assert(NR_OPTIONS <= 64, "struct options says in one word which were given");

static bool was_given(const struct options *o, const char *name)
{
    for (size_t i = 0; i < NR_OPTIONS; i++)
        if (!strcmp(all_options[i].option.name, name))
            return o->given >> i & 1;
    abort(); /* it stands above */
}

static bool is_of_mix(const char *key)
{
    return key && (!strcmp(key, "vcpus") || !strcmp(key, "mix"));
}

/* The mode that was asked for, once all of the options that it does not take, or that leave each other without effect, are refused. */
static enum mode mode_of(const struct options *o, struct argp_state *state)
{
    enum mode mode = o->replay ? REPLAY : o->lag_of ? LAG_OF : o->experiment ? EXPERIMENT : o->sweeps ? SWEEP : RUN;
    const char *name = mode == REPLAY ? "--replay" : mode == LAG_OF ? "--lag-of" : mode == EXPERIMENT ? "an experiment" : mode == SWEEP ? "a sweep" : "one run";

    for (size_t i = 0; i < NR_OPTIONS; i++)
        if (o->given >> i & 1 && !(all_options[i].modes & mode))
            argp_error(state, "%s does not take --%s", name, all_options[i].option.name);
    if (mode == SWEEP && o->sweep.nr_series && (was_given(o, "sched") || (o->sweep.key && !strcmp(o->sweep.key, "sched"))))
        argp_error(state, "the policies are those of --compare: leave out --sched, and do not sweep it");
    if (mode == SWEEP && was_given(o, "metric") && !o->sweep.key)
        argp_error(state, "--metric says what the figure of a --sweep shows");
    if (o->experiment && mode != EXPERIMENT)
        argp_error(state, "%s does not take an experiment", name);
    if (o->bursts && o->setup.nr_loads)
        argp_error(state, "the trace of --bursts is the load: leave out --load");
    if (o->bursts && was_given(o, "warmup"))
        argp_error(state, "--bursts begins where the trace does: leave out --warmup");
    if ((o->bursts || o->setup.nr_loads) && (was_given(o, "vcpus") || was_given(o, "mix") || is_of_mix(o->sweep.key)))
        argp_error(state, "--vcpus and --mix describe the load where none is given: leave them out, or --load and --bursts");
    if (o->nr_domains && mode & ANY_RUN && !o->bursts)
        argp_error(state, "--domain is of a trace: --replay, --bursts or --lag-of");
    return mode;
}

/* The words of a list, in place. */
static char **split(char *list, unsigned *nr)
{
    char **words = calloc(strlen(list) / 2 + 2, sizeof *words), *save;

    *nr = 0;
    for (char *word = strtok_r(list, ",", &save); word && words; word = strtok_r(NULL, ",", &save))
        words[(*nr)++] = word;
    return words;
}

static void parse_sweep(struct options *o, char *arg, struct argp_state *state)
{
    char *equals = strchr(arg, '=');

    if (!equals)
        argp_error(state, "--sweep takes KEY=A,B,..., not \"%s\"", arg);
    if (o->sweep.key)
        argp_error(state, "one --sweep at a time: over %s, or over %.*s", o->sweep.key, (int)(equals - arg), arg);
    *equals = 0;
    o->sweep.key = arg;
    o->sweep.values = split(equals + 1, &o->sweep.nr_values);
    if (!o->sweep.nr_values)
        argp_error(state, "--sweep %s: no values", arg);
    for (unsigned i = 1; i < o->sweep.nr_values; i++)
        for (unsigned j = 0; j < i; j++)
            if (!strcmp(o->sweep.values[i], o->sweep.values[j]))
                argp_error(state, "--sweep %s: %s twice", arg, o->sweep.values[i]);
    o->sweeps = true;
}

static void parse_domain(struct options *o, const char *arg, struct argp_state *state)
{
    struct sim_replay_domain d = {0};
    int end = 0, words = sscanf(arg, "%u:%u%n:%u%n", &d.domid, &d.weight, &end, &d.cap, &end);

    if (words < 2 || arg[end] || !d.weight || d.weight > 65535 || d.cap > 3200 || d.domid > 65535)
        argp_error(state, "--domain takes ID:WEIGHT or ID:WEIGHT:CAP, not \"%s\"", arg);
    for (unsigned i = 0; i < o->nr_domains; i++)
        if (o->domains[i].domid == d.domid)
            argp_error(state, "--domain %u twice", d.domid);
    if (o->nr_domains == sizeof o->domains / sizeof o->domains[0])
        argp_error(state, "more than %u domains", o->nr_domains);
    o->domains[o->nr_domains++] = d;
}

static void parse_window(struct options *o, const char *arg, struct argp_state *state)
{
    unsigned from, to;
    int end = 0;

    if (sscanf(arg, "%u-%u%n", &from, &to, &end) != 2 || arg[end] || from >= to)
        argp_error(state, "--window takes FROM-TO, not \"%s\"", arg);
    o->from = from * 1000000ull;
    o->to = to * 1000000ull;
}

static void check_metric(const char *name, struct argp_state *state)
{
    const char *dot = strrchr(name, '.');

    if (sim_metric(dot ? dot + 1 : name))
        return;
    fprintf(stderr, "parangon: no metric \"%s\"; there are\n", name);
    for (unsigned i = 0; i < sim_nr_metrics; i++)
        fprintf(stderr, "  %s%-20s %s\n", sim_metrics[i].of_load ? "LOAD." : "     ", sim_metrics[i].name, sim_metrics[i].what);
    exit(STATUS_USAGE);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    char *end;
    long number;

    for (size_t i = 0; i < NR_OPTIONS; i++)
        o->given |= (uint64_t)(option_table[i].key == key) << i;
    if (key >= OPT_FIRST && key < OPT_FIRST + (int)NR_PARAMETERS) {
        if (sim_setup_set(&o->setup, parameter_keys[key - OPT_FIRST], arg) < 0)
            exit(STATUS_USAGE);
        if (!strcmp(parameter_keys[key - OPT_FIRST], "matrix"))
            o->matrix = arg;
        return 0;
    }
    switch (key) {
    case OPT_LOAD:
        if (sim_setup_load(&o->setup, arg) < 0)
            exit(STATUS_USAGE);
        return 0;
    case OPT_SWEEP:
        parse_sweep(o, arg, state);
        return 0;
    case OPT_SEEDS:
        number = strtol(arg, &end, 10);
        if (*end || number < 1 || number > 100000)
            argp_error(state, "--seeds takes 1 to 100000, not \"%s\"", arg);
        o->sweep.seeds = number;
        return 0;
    case OPT_COMPARE:
        o->sweep.series = split(arg, &o->sweep.nr_series);
        if (!o->sweep.nr_series)
            argp_error(state, "--compare takes policies");
        o->sweeps = true;
        return 0;
    case OPT_REPLAY:
        o->replay = arg;
        return 0;
    case OPT_BURSTS:
        o->bursts = arg;
        return 0;
    case OPT_LAG_OF:
        o->lag_of = arg;
        return 0;
    case OPT_WINDOW:
        parse_window(o, arg, state);
        return 0;
    case OPT_DOMAIN:
        parse_domain(o, arg, state);
        return 0;
    case OPT_METRIC:
        check_metric(arg, state);
        o->sweep.metric = arg;
        return 0;
    case 'o':
        o->sweep.folder = arg;
        return 0;
    case ARGP_KEY_ARG:
        for (unsigned i = 0; i < sim_nr_experiments; i++)
            if (!strcmp(sim_experiments[i].name, arg))
                o->experiment = &sim_experiments[i];
        if (!o->experiment)
            argp_error(state, "no experiment \"%s\"", arg);
        return 0;
    case OPT_JSON:
        o->json = true;
        return 0;
    case OPT_TRACE:
        o->trace = arg;
        return 0;
    case OPT_TRACE_MEMORY:
        number = strtol(arg, &end, 10);
        if (*end || number < 1 || number > 4096)
            argp_error(state, "--trace-memory takes 1 to 4096 MiB, not \"%s\"", arg);
        o->trace_mib = number;
        return 0;
    case ARGP_KEY_END:
        o->mode = mode_of(o, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = option_table,
    .parser = parse,
    .args_doc = "[EXPERIMENT]",
    .doc = "Run the hypervisor's own scheduler on a simulated machine, and say what each load got."
           "\vExperiments, each a table, a result and a figure (they take --seeds, --compare, --matrix and -o):\n"
           "  weights    eight domains, weights 1 to 8 (SOSP'03, figure 5)\n"
           "  slices     128 domains, slices of 5 and 50 ms (SOSP'03, figure 6)\n"
           "  dom0       dom0's weight, by policy, capped or not\n"
           "  smt        SMT-aware or not, by matrix, load and vCPUs; the load from which SMT off is better\n"
           "  wakeup     from waking to running, beside domains that compute\n"
           "  decision   host time of a decision, by vCPUs and processors\n"
           "The same options and seed give the same result everywhere. Times are of the model that the table states, never of a real "
           "machine.",
};

/* The file that holds the trace, as memory; NULL after a message. */
static void *map_trace(const char *path, uint64_t size)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0666);
    void *memory = MAP_FAILED;

    if (fd >= 0 && ftruncate(fd, (off_t)size) == 0)
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        fprintf(stderr, "parangon: %s: %s\n", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return memory == MAP_FAILED ? NULL : memory;
}

static int simulate(struct options *o)
{
    struct sim_config *config = (struct sim_config *)sim_setup_config(&o->setup);
    struct sim_result result;

    if (o->trace) {
        config->trace_size = (uint64_t)o->trace_mib << 20;
        if (!(config->trace = map_trace(o->trace, config->trace_size)))
            return STATUS_INCOMPLETE;
    }
    if (sim_run(config, NULL, &result) < 0)
        return STATUS_USAGE;
    if (o->json) {
        json_t *json = sim_show_json(&o->setup, &result);

        json_dumpf(json, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
        putchar('\n');
        json_decref(json);
    } else {
        sim_show(stdout, &o->setup, &result);
    }
    fprintf(stderr, "parangon: simulated %.3g s in %.3g s of processor time: %.3g million decisions a second\n", result.seconds,
            result.host_seconds, (double)result.decisions / result.host_seconds * 1e-6);
    sim_result_free(&result);
    return STATUS_DONE;
}

static int sweep(struct options *o)
{
    char *policy = o->setup.config.policy, *nothing = "";
    int status;

    if (!o->sweep.nr_series) {
        o->sweep.series = calloc(1, sizeof(char *));
        o->sweep.series[o->sweep.nr_series++] = strdup(policy);
    }
    if (!o->sweep.nr_values) {
        o->sweep.values = calloc(1, sizeof(char *));
        o->sweep.values[o->sweep.nr_values++] = nothing;
        o->sweep.key = "";
    }
    o->sweep.json = o->json;
    (void)sim_setup_config(&o->setup);
    status = sim_sweep(&o->sweep, &o->setup);
    free(o->sweep.values);
    free(o->sweep.series);
    return status;
}

static int replay(const struct options *o)
{
    struct sim_replay_result r;

    struct sim_setup setup = o->setup;

    if (!was_given(o, "sched"))
        *setup.config.policy = 0;
    if (sim_replay(o->replay, &setup, o->domains, o->nr_domains, &r) < 0)
        return STATUS_USAGE;
    printf("replayed under %s: %llu decisions, %llu wake-ups, %llu blocks, %llu yields\n", r.policy,
           (unsigned long long)r.decisions, (unsigned long long)r.wakes, (unsigned long long)r.blocks, (unsigned long long)r.yields);
    printf("%llu records\n", (unsigned long long)r.records);
    if (!r.differs) {
        printf("every decision as recorded\n");
        return STATUS_DONE;
    }
    printf("decision %llu differs: %llu ticks after the first record, on processor %u: recorded %s, replayed %s\n",
           (unsigned long long)r.decisions, (unsigned long long)r.at, r.cpu, r.recorded, r.replayed);
    return STATUS_CHECK_FAILED;
}

static int lag_of(const struct options *o)
{
    struct sim_lags lag;

    if (sim_lag_read(o->lag_of, o->from, o->to, o->domains, o->nr_domains, &lag) < 0)
        return STATUS_USAGE;
    if (o->json) {
        json_t *json = sim_show_lag_json(&lag);

        json_dumpf(json, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
        putchar('\n');
        json_decref(json);
    } else {
        sim_show_lag(stdout, &lag);
    }
    sim_lag_free(&lag);
    return STATUS_DONE;
}

int cmd_sim(int argc, char **argv)
{
    struct options o = {.trace_mib = 256, .to = UINT64_MAX, .sweep = {.seeds = 10, .folder = "out"}};
    int status;

    sim_setup_init(&o.setup);
    make_options();
    argp_err_exit_status = STATUS_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    if (o.mode == REPLAY)
        return replay(&o);
    if (o.mode == LAG_OF)
        return lag_of(&o);
    if (o.mode == EXPERIMENT)
        return o.experiment->run(&(struct sim_experiment_options){.seeds = was_given(&o, "seeds") ? o.sweep.seeds : 0,
                                                                  .folder = o.sweep.folder,
                                                                  .matrix = o.matrix,
                                                                  .policies = o.sweep.series,
                                                                  .nr_policies = o.sweep.nr_series});
    if (o.bursts) {
        o.setup.config.warmup = 0;
        if (!was_given(&o, "cpus"))
            o.setup.config.cpus = 0;
        if (sim_script_read(o.bursts, &o.setup, o.domains, o.nr_domains) < 0)
            return STATUS_USAGE;
    }
    status = o.mode == SWEEP ? sweep(&o) : simulate(&o);
    sim_script_free(&o.setup);
    return status;
}

/* SPDX-License-Identifier: MIT */
/*
 * `parangon shares`: do domains get the share of the processors that their weights and caps ask for, and how soon does one run that wakes?
 * On the hypervisor itself, in counted time, beside the simulator with the same domains.
 *
 * Five sets of domains (bench/shares_cast.c): `weights`, which is the rest of this page; `crowd`, the same twice, for eight processors; `caps`, domains with a cap of 25, 50 and 150 %
 * beside some that compute without, so that a cap binds and what it leaves goes to the others; `wakeup`, one that works 1 ms and sleeps
 * about 9 ms beside seven that compute, which shall run within the rate limit and 100 us of its timer, p99; `switch`, two that give way to
 * each other, for what a switch costs beside Xen's (shares_switch.h).
 *
 * Eight domains of one vCPU that compute all the time, weights 1 to 8 (times 64): the design of SOSP'03, figure 5, on one to eight
 * processors. Each tells how long it ran and waited within one window of system time, from its runstate (guests/micro/tests/share.c).
 * The trace of the same run gives the worst error in any window: the most that a domain was behind the fluid schedule and the most that it
 * was ahead, together (sim/lag.h, with the simulator's own code), and the longest stretch that one ran, which is the slice in force (of
 * domains of one vCPU). What is owed is the feasible share (nobody can use more than one processor), as the simulator's water-filling has it.
 *
 * Counted time: an instruction is 2^SHIFT ns, for all processors of a machine together, so decisions and shares are real and repeat to
 * the byte, and the work done in a share means nothing. Several processors take turns that are short (turns.h; under Xen they are as long as
 * its timers let them be). The simulator takes no time for switches here: its lines show the policy alone.
 * With --on xen the same domains run on Debian's Xen, under its own credit and credit2, made by a first domain that then only sleeps
 * (guests/linux/xen_shares.c): shares and waits, in the same window and by the same guest, without a trace.
 * Does not: say anything about speed.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analysis/results.h"
#include "bench/command.h"
#include "bench/inputs.h"
#include "bench/paths.h"
#include "bench/platform.h"
#include "bench/run.h"
#include "bench/shares_cast.h"
#include "bench/shares_switch.h"
#include "bench/turns.h"
#include "bench/xen_shares.h"
#include "sim/lag.h"
#include "sim/setup.h"
#include "trace/gnuplot.h"
#include "trace/who.h"

#define DOMAINS   SHARES_DOMAINS_MAX
#define CPUS_MOST 8
#define SHIFT     4    /* 16 ns an instruction */
#define FROM_MS   2000 /* all domains compute by then */
#define SWITCH_FROM_MS 100 /* and give way, where an instruction is a nanosecond... */
#define SWITCH_TO_MS   300 /* ...until then */
#define TRACE_MIB 32
#define MOST      0.01 /* what is asked of a share: within 1 % of itself, ... */
#define JUDGED    10   /* ... in windows of so many seconds: in shorter ones the slices at both ends weigh more than that */
#define CASES_MAX 64
#define LATEST_US 1100 /* what is asked of a wake-up, p99: the rate limit of 1 ms and 100 us */

/* One machine: what was asked, and what came of it. */
struct shares {
    const struct shares_cast *cast;
    const char *policy;
    bool xen;                      /* on Debian's Xen: no trace, no plan */
    unsigned cpus;
    char *plan, *memory;           /* files: the launch plan (Xen: the ramdisk), the trace */
    const char *turns;             /* and the option ROM, of all cases */
    double owed[DOMAINS];          /* processors */
    double got[DOMAINS], simulated[DOMAINS];
    double window_ms, longest_ms;  /* worst error of a domain in any window; the longest stretch that one ran */
    unsigned half_us, p99_us, most_us; /* waits of the domain that waits longest at p99; or of the one that wakes, after its wake-ups */
    double sim_us[3];              /* the simulator's, of the one that wakes */
    unsigned told;                 /* domains that have told their share */
    struct switch_cost cost;       /* of domains that give way */
};

struct options {
    const struct shares_cast *cast;
    struct words policies, cpus, on;
    enum run_class class;
    unsigned seconds;
    const char *slice;             /* us; NULL: the policy's own */
    const char *folder;
};

enum { OPT_ON = 256, OPT_SCHED, OPT_CPUS, OPT_SECONDS, OPT_SLICE, OPT_CLASS };

static const struct argp_option option_table[] = {
    {"on", OPT_ON, "A,B", 0, "hypervisors: parangon, xen (parangon; for switch both)", 0},
    {"sched", OPT_SCHED, "A,B", 0, "policies (credit,credit2)", 0},
    {"cpus", OPT_CPUS, "A,B", 0, "numbers of processors, 1 to 8 (1,2,4,8)", 0},
    {"seconds", OPT_SECONDS, "N", 0, "length of the window in counted time, 1 to 60 (10)", 0},
    {"slice", OPT_SLICE, "US", 0, "slice of the policies, 100 to 1000000 (each policy's own)", 0},
    {"class", OPT_CLASS, "CLASS", 0, "mitigations of the hypervisors: default or tuned (default)", 0},
    {NULL, 'o', "FOLDER", 0, "where the figure goes (out)", 0},
    {0},
};

static long number_of(struct argp_state *state, const char *what, const char *text, long least, long most)
{
    char *end;
    long n = strtol(text, &end, 10);

    if (!*text || *end || n < least || n > most)
        argp_error(state, "%s is a number from %ld to %ld, not \"%s\"", what, least, most, text);
    return n;
}

/* Policies that know weights. */
static bool policy_known(const char *name)
{
    return !strcmp(name, "credit") || !strcmp(name, "credit2") || !strcmp(name, "smt");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;

    switch (key) {
    case OPT_ON:
        words_split(&o->on, arg, ',');
        for (size_t i = 0; i < o->on.nr; i++)
            if (strcmp(o->on.word[i], "parangon") && strcmp(o->on.word[i], "xen"))
                argp_error(state, "hypervisors are parangon and xen, not \"%s\"", o->on.word[i]);
        return 0;
    case OPT_SCHED:
        words_split(&o->policies, arg, ',');
        for (size_t i = 0; i < o->policies.nr; i++)
            if (!policy_known(o->policies.word[i]))
                argp_error(state, "no policy with weights is \"%s\": credit, credit2 or smt", o->policies.word[i]);
        return 0;
    case OPT_CPUS:
        words_split(&o->cpus, arg, ',');
        for (size_t i = 0; i < o->cpus.nr; i++)
            (void)number_of(state, "--cpus", o->cpus.word[i], 1, CPUS_MOST);
        return 0;
    case OPT_SECONDS:
        o->seconds = number_of(state, "--seconds", arg, 1, 60);
        return 0;
    case OPT_SLICE:
        (void)number_of(state, "--slice", arg, 100, 1000000);
        o->slice = arg;
        return 0;
    case OPT_CLASS:
        if (run_class_of(arg) < 0)
            argp_error(state, "no class \"%s\": default or tuned", arg);
        o->class = run_class_of(arg);
        return 0;
    case 'o':
        o->folder = arg;
        return 0;
    case ARGP_KEY_ARG:
        o->cast = shares_cast(arg);
        if (!o->cast || state->arg_num)
            argp_error(state, "one of weights, crowd, caps, wakeup, switch, not \"%s\"", arg);
        return 0;
    case ARGP_KEY_END:
        if (!o->policies.nr)
            words_split(&o->policies, "credit,credit2", ',');
        if (!o->on.nr)
            words_split(&o->on, o->cast->yields ? "parangon,xen" : "parangon", ',');
        if (words_has(&o->on, "xen") && (words_has(&o->policies, "smt") || o->slice))
            argp_error(state, "Xen has credit and credit2, each with its own slice");
        if (words_has(&o->on, "xen") && (o->cast == shares_cast("caps") || o->cast->wakes))
            argp_error(state, "on Xen there are weights, crowd and switch only");
        if (o->cast->yields && (o->slice || (o->cpus.nr && (o->cpus.nr > 1 || strcmp(o->cpus.word[0], "1")))))
            argp_error(state, "switches are counted on one processor, with each policy's own slice");
        if (!o->cpus.nr)
            words_split(&o->cpus, o->cast->cpus, ',');
        if (o->on.nr * o->policies.nr * o->cpus.nr > CASES_MAX)
            argp_error(state, "that is more than %d machines", CASES_MAX);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = option_table,
    .parser = parse,
    .args_doc = "[weights|crowd|caps|wakeup|switch]",
    .doc = "Shares and wake-ups on the hypervisor, in counted time, beside the simulator's. weights (default): eight domains that compute, weights 1 to 8. "
           "crowd: sixteen, those twice. caps: domains with caps beside some without. wakeup: one that sleeps and works beside seven that compute. switch: two that give way to each other; instructions of a switch, beside Xen's. "
           "Exit status 1 where a share is more than 1 % off in a window of 10 s or longer, a wake-up, p99, later than 1.1 ms, or a switch more than half of Xen's.",
};

/* ---- the machines ---- */

/* What domain d does, a word of its command line; on Xen times are from its own start. */
static char *does(const struct shares *s, unsigned d, unsigned to_ms)
{
    const struct shares_role *r = &s->cast->roles[d];
    const char *start = s->xen ? "+" : "";

    return s->cast->yields ? format("yield=%s%d-%d", start, SWITCH_FROM_MS, SWITCH_TO_MS)
           : r->run_us     ? format("wake=%d-%u-%u-%u", FROM_MS, to_ms, r->run_us, r->sleep_us)
                           : format("spin=%s%d-%u", start, FROM_MS, to_ms);
}

/* And the first one besides. */
static const char *first_does(const struct shares *s)
{
    return s->cast->yields ? "yield-marks=" SWITCH_MARKS : "";
}

/* Further options of the hypervisor: what its class needs, as everywhere else. */
static const char *class_options(const struct options *o, const struct shares *s)
{
    return o->class == RUN_DEFAULT ? "" : (s->xen ? &platform_xen_pv_tuned : &platform_pv)->options[o->class];
}

static void write_plan(const struct shares *s, unsigned to_ms)
{
    FILE *out = fopen(s->plan, "w");

    if (!out)
        return; /* QEMU says so */
    fputs("parangon-plan 1\n", out);
    for (unsigned d = 0; d < s->cast->nr; d++) {
        const struct shares_role *r = &s->cast->roles[d];
        char *what = does(s, d, to_ms);

        fprintf(out, "domain %s\n  kernel = micro\n  memory = 8M\n  weight = %u\n  cap = %u\n  vcpus = %u\n", r->name, r->weight, r->cap, r->vcpus);
        fprintf(out, "  cmdline = tests=none costs=none spin-vcpus=%u %s %s\n", r->vcpus, what, d ? "" : first_does(s));
        free(what);
    }
    fclose(out);
}

static void command(const struct options *o, const struct inputs *inputs, const struct shares *s, unsigned to_ms, struct boot *boot)
{
    const char *options = class_options(o, s);
    struct words *a = &boot->argv;

    boot->name = format("%s%s-%u", s->xen ? "xen-" : "", s->policy, s->cpus);
    boot->estimate = (s->xen ? 40 : 10) + o->seconds;
    words_add(a, "%s", inputs->qemu);
    for (size_t i = 0; i < 3; i++)
        if (inputs->firmware[i])
            words_option(a, "-L", "%s", inputs->firmware[i]);
    words_option(a, "-M", "pc");
    words_option(a, "-cpu", "qemu64");
    words_option(a, "-smp", "%u", s->cpus);
    words_option(a, "-m", s->xen ? "640" : "256");
    words_option(a, "-accel", "tcg");
    words_option(a, "-icount", "shift=%d,sleep=off", s->cast->yields ? 0 : SHIFT);
    words_option(a, "-rtc", "base=2026-01-01T00:00:00,clock=vm");
    words_option(a, "-seed", "1");
    words_add(a, "-nodefaults");
    words_add(a, "-no-user-config");
    words_add(a, "-no-reboot");
    words_option(a, "-display", "none");
    words_option(a, "-serial", "file:" BOOT_CONSOLE);
    if (s->cast->yields)
        words_option(a, "-plugin", "%s/bench/plugin/libcount.so,out=" BOOT_INTERVALS, paths_get()->build);
    if (s->xen) {
        char *what = does(s, 0, to_ms);

        xen_shares_command(inputs, s->plan, s->policy, options, s->cast->nr, what, first_does(s), boot);
        free(what);
        return;
    }
    boot_link(boot, "shares.plan", s->plan);
    boot_link(boot, "hypervisor", format("%s/hv/parangon", paths_get()->build)); /* QEMU tells its name to the machine */
    boot_link(boot, "micro", format("%s/guests/micro/micro", paths_get()->build));
    if (!s->cast->yields) {
        words_option(a, "-object", "memory-backend-file,id=trace,share=on,mem-path=%s,size=%dM", s->memory, TRACE_MIB);
        words_option(a, "-device", "ivshmem-plain,memdev=trace");
    }
    if (s->cpus > 1)
        turns_bound(boot, s->turns);
    words_option(a, "-kernel", "hypervisor");
    words_option(a, "-append", "%ssched=%s%s%s%s%s", s->cast->yields ? "" : "trace trace-classes=SCHED ", s->policy, o->slice ? " sched-slice=" : "",
                 o->slice ? o->slice : "", *options ? " " : "", options);
    words_option(a, "-initrd", "shares.plan,micro");
}

/* ---- what they said ---- */

static void read_console(struct shares *s, const char *console)
{
    for (const char *line = console; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        unsigned d, nr, half, p99, most;
        double ran, of;

        if (sscanf(line, "(d%u) MICRO share ran %lf of %lf us", &d, &ran, &of) == 3 && d >= 1 && d <= DOMAINS && of > 0) {
            s->got[d - 1] = ran / of;
            s->told++;
        } else if (sscanf(line, s->cast->wakes ? "(d%u) MICRO wakes %u: half %u, p99 %u, most %u us"
                                               : "(d%u) MICRO waits %u: half %u, p99 %u, most %u us", &d, &nr, &half, &p99, &most) == 5 && p99 >= s->p99_us) {
            s->half_us = half;
            s->p99_us = p99;
            s->most_us = most;
        }
    }
}

/* The worst error in any window, and the longest stretch, both within the window of the shares less a tenth of a second each side. */
static int read_trace(struct shares *s, unsigned to_ms)
{
    struct trace_log *log = trace_log_open(s->memory);
    struct sim_lags lags;
    struct who who;

    if (!log)
        return -1;
    if (log->lost || trace_who(&who, log) < 0 ||
        sim_lag_read(s->memory, (FROM_MS + 100) * 1000000ull, (to_ms - 100) * 1000000ull, NULL, 0, &lags) < 0) {
        fprintf(stderr, "parangon: the trace of %s on %u processors is not whole\n", s->policy, s->cpus);
        trace_log_close(log);
        return -1;
    }
    for (unsigned d = 0; d < lags.nr_domains; d++)
        s->window_ms = fmax(s->window_ms, (lags.domains[d].behind + lags.domains[d].ahead) * 1e-6);
    for (size_t i = 0; i < who.nr_runs; i++) {
        const struct who_run *r = &who.runs[i];
        unsigned d = who.vcpus[r->vcpu].domid - 1u;

        if (d < s->cast->nr && s->owed[d] < 1 && s->cast->roles[d].vcpus == 1 && /* who has a processor of its own has no slice */
            r->to > (FROM_MS + 100) * (who.tsc_hz / 1000) && r->from < (to_ms - 100) * (who.tsc_hz / 1000))
            s->longest_ms = fmax(s->longest_ms, (r->to - r->from) * 1e3 / who.tsc_hz);
    }
    sim_lag_free(&lags);
    trace_who_free(&who);
    trace_log_close(log);
    return 0;
}

/* The same domains in the simulator, one for one: S = 1, switches cost nothing. */
static int simulate(const struct options *o, struct shares *s)
{
    struct sim_setup setup;
    struct sim_result result;
    char text[128];
    int failed = 0;

    sim_setup_init(&setup);
    failed |= sim_setup_set(&setup, "sched", s->policy);
    snprintf(text, sizeof text, "%u", s->cpus);
    failed |= sim_setup_set(&setup, "cpus", text);
    failed |= sim_setup_set(&setup, "switch-cost", "0");
    failed |= sim_setup_set(&setup, "migrate-cost", "0");
    failed |= sim_setup_set(&setup, "warmup", "1s");
    snprintf(text, sizeof text, "%u", o->seconds);
    failed |= sim_setup_set(&setup, "seconds", text);
    if (o->slice) {
        snprintf(text, sizeof text, "%sus", o->slice);
        failed |= sim_setup_set(&setup, "slice", text);
    }
    for (unsigned d = 0; d < s->cast->nr; d++) {
        const struct shares_role *r = &s->cast->roles[d];
        int n = snprintf(text, sizeof text, "%s:name=%s:weight=%u:cap=%u:vcpus=%u", r->run_us ? "interactive" : "hog", r->name, r->weight, r->cap, r->vcpus);

        if (r->run_us)
            snprintf(text + n, sizeof text - n, ":run=%uus:period=%uus", r->run_us, r->sleep_us);
        failed |= sim_setup_load(&setup, text);
    }
    if (failed || sim_run(sim_setup_config(&setup), NULL, &result) < 0)
        return -1;
    for (unsigned d = 0; d < result.nr_domains && d < DOMAINS; d++) {
        s->owed[d] = result.domains[d].feasible;
        s->simulated[d] = result.domains[d].got;
    }
    for (unsigned i = 0; i < 3 && s->cast->wakes; i++) /* the first is the one that wakes */
        s->sim_us[i] = sim_hist_percentile(&result.loads[0].wake, (const double[]){0.5, 0.99, 1}[i]) / 1e3;
    sim_result_free(&result);
    return 0;
}

/* All that a machine and the simulator say of shares. */
static int read_shares(const struct options *o, struct shares *s, const struct boot *boot, unsigned to_ms)
{
    if (simulate(o, s) < 0)
        return -1;
    if (boot->console)
        read_console(s, boot->console);
    if (s->told != s->cast->nr) {
        fprintf(stderr, "parangon: %s: %u of %d domains told their share; %s\n", boot->name, s->told, s->cast->nr, boot->failure ? boot->failure : "");
        return -1;
    }
    return s->xen ? 0 : read_trace(s, to_ms);
}

/* ---- table and figure ---- */

static double worst(const struct shares *s, const double *got, const double *owed)
{
    double most = 0;

    for (unsigned d = 0; d < s->cast->nr; d++)
        most = fmax(most, fabs(got[d] / owed[d] - 1));
    return most;
}

static void print_table(const struct options *o, const struct shares *s, size_t nr)
{
    printf("%s; counted time (%d ns an instruction), %u s; processors got\n\n", o->cast->title, 1 << SHIFT, o->seconds);
    printf("%-8s %-8s %4s ", "on", "policy", "cpus");
    for (unsigned d = 0; d < o->cast->nr; d++)
        printf(" %7s", o->cast->roles[d].name);
    printf("   worst   any window  longest run   sim: worst  from it   %s half      p99     most%s\n", o->cast->wakes ? "late" : "wait",
           o->cast->wakes ? "   sim: half      p99     most" : "");
    for (size_t i = 0; i < nr; i++, s++) {
        printf("%-8s %-8s %4u ", s->xen ? "xen" : "parangon", s->policy, s->cpus);
        for (unsigned d = 0; d < o->cast->nr; d++)
            printf(" %7.4f", s->got[d]);
        printf("  %5.2f %%", 100 * worst(s, s->got, s->owed));
        if (s->xen)
            printf("  %8s     %8s        %5s      %5s   ", "-", "-", "-", "-");
        else
            printf("  %8.1f ms  %8.1f ms     %5.2f %%  %5.2f %%", s->window_ms, s->longest_ms, 100 * worst(s, s->simulated, s->owed),
                   100 * worst(s, s->got, s->simulated));
        printf("  %7.1f  %7.1f  %7.1f ms", s->half_us / 1e3, s->p99_us / 1e3, s->most_us / 1e3);
        if (o->cast->wakes)
            printf("   %7.1f  %7.1f  %7.1f ms", s->sim_us[0] / 1e3, s->sim_us[1] / 1e3, s->sim_us[2] / 1e3);
        printf("\n");
    }
}

struct figure {
    const struct shares *s;
    size_t nr;
};

/* Bars: how late the one that wakes comes to run, on the hypervisor and in the simulator. */
static void put_wakeups(FILE *out, const struct figure *f)
{
    fprintf(out, "set title \"%s\\nfrom its timer to running\"\n", f->s->cast->title);
    fprintf(out, "set ylabel \"ms\"\nset yrange [0:*]\nset key outside right top\nset grid ytics\nset style data histograms\nset style fill solid 0.8\n"
                 "set boxwidth 0.9\n$late << END\n");
    for (size_t i = 0; i < f->nr; i++)
        fprintf(out, "\"%s, %u cpus\" %g %g %g %g %g\n", f->s[i].policy, f->s[i].cpus, f->s[i].half_us / 1e3, f->s[i].p99_us / 1e3, f->s[i].most_us / 1e3,
                f->s[i].sim_us[1] / 1e3, LATEST_US / 1e3);
    fputs("END\nplot $late using 2:xtic(1) title \"half\", $late using 3 title \"p99\", $late using 4 title \"most\", "
          "$late using 5 title \"p99, simulator\", $late using 6 with lines lw 2 title \"asked of p99\"\n", out);
}

static void put_figure(FILE *out, const void *context)
{
    const struct figure *f = context;
    const struct shares_cast *cast = f->s->cast;

    if (cast->wakes) {
        put_wakeups(out, f);
        return;
    }
    fprintf(out, "set title \"%s\\nprocessors got on the hypervisor (marks), in the simulator (crosses), owed (lines)\"\n", cast->title);
    fprintf(out, "set xlabel \"domain\"\nset ylabel \"processors\"\nset xrange [0.5:%u.5]\nset yrange [0:*]\nset key outside right top\nset grid ytics\nset xtics (",
            cast->nr);
    for (unsigned d = 0; d < cast->nr; d++)
        fprintf(out, "%s\"%s\" %u", d ? ", " : "", cast->roles[d].name, d + 1);
    fputs(")\n", out);
    for (size_t i = 0; i < f->nr; i++) {
        fprintf(out, "$run%zu << END\n", i);
        for (unsigned d = 0; d < cast->nr; d++)
            fprintf(out, "%g %.6f %.6f %.6f\n", d + 1 + 0.08 * ((double)i - f->nr / 2.0) / f->nr, f->s[i].got[d], f->s[i].owed[d], f->s[i].simulated[d]);
        fputs("END\n", out);
    }
    fputs("plot ", out);
    for (size_t i = 0; i < f->nr; i++)
        fprintf(out, "%s$run%zu using 1:3 with lines lc %zu notitle, $run%zu using 1:4 with points pt 2 ps 0.9 lc %zu notitle, "
                     "$run%zu using 1:2 with points pt %d ps 0.8 lc %zu title \"%s%s, %u processor%s\"", i ? ", " : "", i, i + 1, i, i + 1, i,
                f->s[i].xen ? 6 : 7, i + 1, f->s[i].xen ? "Xen's " : "", f->s[i].policy, f->s[i].cpus, f->s[i].cpus == 1 ? "" : "s");
    fputs("\n", out);
}

/* What is asked was not met. */
static bool missed(const struct options *o, const struct shares *s)
{
    if (s->xen)
        return false;
    if (s->cast->wakes)
        return s->p99_us > LATEST_US;
    return o->seconds >= JUDGED && worst(s, s->got, s->owed) > MOST;
}

/* Table and figure of what switches cost. @return an exit status */
static int show_switches(const struct options *o, const struct shares *s, size_t nr, const char *stem)
{
    struct switch_row rows[CASES_MAX];
    int status = 0;

    for (size_t i = 0; i < nr; i++)
        rows[i] = (struct switch_row){.on = s[i].xen ? "xen" : "parangon", .policy = s[i].policy, .cost = s[i].cost};
    switch_compare(rows, nr);
    switch_print(rows, nr, run_class_name(o->class));
    for (size_t i = 0; i < nr; i++)
        if (!s[i].xen && rows[i].of_xen > SWITCH_MOST)
            status = STATUS_CHECK_FAILED;
    return switch_draw(stem, rows, nr, run_class_name(o->class)) < 0 ? STATUS_INCOMPLETE : status;
}

/* Of shares and wake-ups. */
static int show_shares(const struct options *o, const struct shares *s, size_t nr, const char *stem)
{
    print_table(o, s, nr);
    if (gnuplot_draw(stem, 1000, 600, put_figure, &(struct figure){s, nr}) < 0)
        return STATUS_INCOMPLETE;
    for (size_t i = 0; i < nr; i++)
        if (missed(o, &s[i]))
            return STATUS_CHECK_FAILED;
    return 0;
}

int cmd_shares(int argc, char **argv)
{
    struct options o = {.cast = shares_cast("weights"), .seconds = 10, .folder = paths_get()->out};
    struct run_limits limits = {.silence_seconds = 900, .total_seconds = 3600, .progress = true};
    struct shares cases[CASES_MAX] = {0};
    struct boot boots[CASES_MAX] = {0};
    struct inputs inputs;
    unsigned to_ms;
    size_t nr = 0;
    int status = 0;
    char *stem, *turns;

    command_parse(&argp, argc, argv, &o);
    if (inputs_get(&inputs, INPUTS_FETCH) < 0 || !(turns = turns_make_rom()))
        return STATUS_INCOMPLETE;
    to_ms = FROM_MS + 1000 * o.seconds;
    for (size_t p = 0; p < o.policies.nr; p++)
        for (size_t c = 0; c < o.cpus.nr; c++)
            for (size_t h = 0; h < o.on.nr; h++, nr++) {
                struct shares *s = &cases[nr];

                *s = (struct shares){.cast = o.cast, .policy = o.policies.word[p], .xen = !strcmp(o.on.word[h], "xen"), .cpus = atoi(o.cpus.word[c]),
                                     .plan = paths_make_temporary("plan", 0), .memory = paths_make_temporary("trace", (size_t)TRACE_MIB << 20),
                                     .turns = turns};
                if (!s->plan || !s->memory)
                    return STATUS_INCOMPLETE;
                if (!s->xen)
                    write_plan(s, to_ms);
                else if (xen_shares_ramdisk(&inputs, s->plan) < 0)
                    status = STATUS_INCOMPLETE;
                command(&o, &inputs, s, to_ms, &boots[nr]);
            }
    if (!status)
        status = run_boots(boots, nr, &limits);
    for (size_t i = 0; i < nr; i++) {
        struct shares *s = &cases[i];

        if (!status && (o.cast->yields ? switch_read(&boots[i], &s->cost) : read_shares(&o, s, &boots[i], to_ms)) < 0)
            status = STATUS_INCOMPLETE;
        unlink(s->plan);
        unlink(s->memory);
        boot_free(&boots[i]);
    }
    unlink(turns);
    free(turns);
    if (status)
        return status < 0 ? STATUS_INCOMPLETE : status;
    if (mkdir(o.folder, 0777) < 0 && errno != EEXIST)
        return STATUS_INCOMPLETE;
    stem = format(o.cast == shares_cast("weights") ? "%s/shares" : "%s/shares-%s", o.folder, o.cast->name);
    status = (o.cast->yields ? show_switches : show_shares)(&o, cases, nr, stem);
    if (status != STATUS_INCOMPLETE)
        fprintf(stderr, "parangon: kept %s.svg, .png\n", stem);
    return status;
}

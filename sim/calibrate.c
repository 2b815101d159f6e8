/* SPDX-License-Identifier: MIT */
/*
 * `parangon smt-calibrate`: how fast a program of class i goes on a thread while its sibling runs class j, relative to i alone: the
 * pair matrix S[i][j] of the simulator, measured in user space on a machine that has siblings.
 *
 * Six classes, each a loop that does one thing only (classes below). A measurement is a window in which two pinned processes run
 * their loops; what counts is rounds per ns of processor time, so that being preempted by others does not look like contention,
 * and a window in which either had less than 98 % of its processor is thrown away and taken again. Every repetition measures all
 * classes alone and all pairs, in turn, so that slow changes of clock frequency hit all alike; S is the mean over repetitions of
 * the ratio within one, with Student's 95 % interval.
 *
 * Does not: pretend. Where no core has two threads it says so and measures nothing, unless two processors are named (--cpus); what
 * they are is in the result. In a virtual machine siblings are what its topology claims.
 */
#include <argp.h>
#include <errno.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_statistics_double.h>
#include <jansson.h>

#include "analysis/results.h"
#include "sim/command.h"

#define SMALL     (24u << 10)  /* bytes: within a first-level cache */
#define LARGE     (64u << 20)  /* bytes: beyond the caches that a thread has for itself */
#define LINE      64u
#define REPEAT_MAX 100
#define KEPT      0.98         /* least share of a window that both ran */
#define TRIES     500          /* windows taken for one that is kept, at most */

/* ---- what the classes do: some thousand operations a round ---- */

struct memory {
    uint64_t *small, *large;
    void **chain;
    uint64_t random;
};

static uint64_t do_alu(struct memory *m)
{
    uint64_t a = m->random, b = 3, c = 5, d = 7;

    for (int i = 0; i < 2000; i++) {
        a = a * 5 + b;
        b ^= c << 3;
        c += d ^ 0x55;
        d = d * 3 + 1;
        __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
    }
    return a + b + c + d;
}

static uint64_t do_cache(struct memory *m)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < SMALL / sizeof *m->small; i += 2) {
        sum += m->small[i];
        m->small[i + 1] = sum;
    }
    return sum;
}

static uint64_t do_stream(struct memory *m)
{
    static __thread unsigned at;
    uint64_t sum = 0;

    for (unsigned i = 0; i < 8192; i++)
        sum += m->large[(at + i) % (LARGE / sizeof *m->large)];
    at = (at + 8192) % (LARGE / sizeof *m->large);
    return sum;
}

static uint64_t do_chase(struct memory *m)
{
    static __thread void **at;
    void **p = at ? at : m->chain;

    for (int i = 0; i < 100; i++)
        p = *p;
    at = p;
    return (uintptr_t)p;
}

static uint64_t do_branch(struct memory *m)
{
    uint64_t x = m->random, n = 0;

    for (int i = 0; i < 2000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        if (x & 1)
            __asm__ volatile("addq $1, %0" : "+r"(n));
        else
            __asm__ volatile("subq $3, %0" : "+r"(n));
    }
    m->random = x;
    return n;
}

static uint64_t do_syscall(struct memory *m)
{
    uint64_t n = 0;

    for (int i = 0; i < 20; i++)
        n += syscall(SYS_getppid);
    return n;
}

static const struct {
    const char *name, *what;
    uint64_t (*round)(struct memory *);
} classes[] = {
    {"alu", "integer arithmetic in registers", do_alu},
    {"cache", "reads and writes in the first-level cache", do_cache},
    {"stream", "reads 64 MiB in order", do_stream},
    {"chase", "follows pointers through 64 MiB", do_chase},
    {"branch", "branches that cannot be predicted", do_branch},
    {"syscall", "system calls", do_syscall},
};
#define NR (sizeof classes / sizeof classes[0])

/* ---- one side: a process pinned to its processor ---- */

struct side {
    volatile uint32_t go;       /* number of the window to run; written by the parent */
    volatile uint32_t done;     /* ... and that has been run */
    volatile int class;         /* -1: idle in this window */
    volatile uint64_t window;   /* ns */
    double rounds, cpu_ns, wall_ns;
};

static uint64_t now(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
}

static void pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) < 0)
        _exit(1);
}

static void make_memory(struct memory *m)
{
    unsigned nr = LARGE / LINE;
    uint32_t *order = malloc(nr * sizeof *order);

    *m = (struct memory){.random = 88172645463325252u};
    m->small = calloc(1, SMALL);
    m->large = malloc(LARGE);
    m->chain = malloc(LARGE);
    if (!order || !m->small || !m->large || !m->chain)
        _exit(1);
    memset(m->large, 1, LARGE);
    for (unsigned i = 0; i < nr; i++)
        order[i] = i;
    for (unsigned i = nr - 1; i; i--) { /* Sattolo: one cycle through all lines */
        unsigned k;
        uint32_t t;

        m->random = m->random * 6364136223846793005u + 1442695040888963407u;
        k = (m->random >> 33) % i;
        t = order[i];
        order[i] = order[k];
        order[k] = t;
    }
    for (unsigned i = 0; i < nr; i++)
        m->chain[(size_t)order[i] * (LINE / sizeof(void *))] = &m->chain[(size_t)order[(i + 1) % nr] * (LINE / sizeof(void *))];
    free(order);
}

static void run_window(struct side *s, struct memory *m)
{
    uint64_t wall, cpu, keep = 0;
    double rounds = 0;

    if (s->class < 0)
        return;
    wall = now(CLOCK_MONOTONIC);
    cpu = now(CLOCK_THREAD_CPUTIME_ID);
    while (now(CLOCK_MONOTONIC) - wall < s->window) {
        for (int i = 0; i < 8; i++)
            keep += classes[s->class].round(m);
        rounds += 8;
    }
    m->small[0] = keep;
    s->cpu_ns = now(CLOCK_THREAD_CPUTIME_ID) - cpu;
    s->wall_ns = now(CLOCK_MONOTONIC) - wall;
    s->rounds = rounds;
}

static pid_t start_side(struct side *s, int cpu)
{
    struct memory m;
    pid_t child = fork();

    if (child)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin(cpu);
    make_memory(&m);
    s->done = 1;
    for (uint32_t last = 1;; last++) {
        while (s->go == last - 1) {
            struct timespec nap = {0, 50000};

            nanosleep(&nap, NULL);
        }
        run_window(s, &m);
        __atomic_store_n(&s->done, last + 1, __ATOMIC_RELEASE);
    }
}

/* ---- the measurement ---- */

struct measurement {
    struct side *side;          /* two */
    pid_t child[2];
    uint32_t nr_windows;
    double window_ms;
    unsigned repeat;
    uint64_t thrown;
    /* by repetition */
    double alone[REPEAT_MAX][NR][2], beside[REPEAT_MAX][NR][NR];
};

/* A window with these classes (-1: idle). @return 0; -1: a side has died; 1: one was kept from running */
static int window(struct measurement *m, int a, int b)
{
    const int class[2] = {a, b};
    bool whole = true;

    m->nr_windows++;
    for (int i = 0; i < 2; i++) {
        m->side[i].class = class[i];
        m->side[i].window = (uint64_t)(m->window_ms * 1e6);
        __atomic_store_n(&m->side[i].go, m->nr_windows, __ATOMIC_RELEASE);
    }
    for (int i = 0; i < 2; i++) {
        while (__atomic_load_n(&m->side[i].done, __ATOMIC_ACQUIRE) != m->nr_windows + 1) {
            struct timespec nap = {0, 200000};

            if (waitpid(m->child[i], NULL, WNOHANG) == m->child[i]) {
                m->child[i] = 0;
                return -1;
            }
            nanosleep(&nap, NULL);
        }
        if (class[i] >= 0 && m->side[i].cpu_ns < KEPT * m->side[i].wall_ns)
            whole = false;
    }
    m->thrown += !whole;
    return whole ? 0 : 1;
}

static double rate(const struct side *s)
{
    return s->rounds / s->cpu_ns;
}

/* The same, again until it is kept. */
static int whole_window(struct measurement *m, int a, int b)
{
    int result = 1;

    for (int i = 0; i < TRIES && result > 0; i++)
        result = window(m, a, b);
    return result;
}

static int repetition(struct measurement *m, unsigned r)
{
    int result = 0;

    for (unsigned i = 0; i < NR && !result; i++) {
        for (int side = 0; side < 2 && !result; side++) {
            result = whole_window(m, side ? -1 : (int)i, side ? (int)i : -1);
            m->alone[r][i][side] = rate(&m->side[side]);
        }
    }
    for (unsigned i = 0; i < NR && !result; i++) {
        for (unsigned j = i; j < NR && !result; j++) {
            double first, second;

            result = whole_window(m, i, j);
            first = rate(&m->side[0]) / m->alone[r][i][0];
            second = rate(&m->side[1]) / m->alone[r][j][1];
            m->beside[r][i][j] = first;
            m->beside[r][j][i] = i == j ? (first + second) / 2 : second;
        }
    }
    return result;
}

static int measure(struct measurement *m, const int cpus[2])
{
    int result = 0;

    m->side = mmap(NULL, 2 * sizeof *m->side, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (m->side == MAP_FAILED)
        return -1;
    for (int i = 0; i < 2; i++) {
        fflush(NULL);
        if ((m->child[i] = start_side(&m->side[i], cpus[i])) < 0)
            return -1;
    }
    for (int i = 0; i < 2; i++) {
        while (!m->side[i].done && m->child[i]) {
            if (waitpid(m->child[i], NULL, WNOHANG) == m->child[i])
                m->child[i] = 0;
            usleep(1000);
        }
        if (!m->child[i])
            result = -1;
    }
    for (unsigned r = 0; r < m->repeat && !result; r++) {
        result = repetition(m, r);
        fprintf(stderr, "parangon: repetition %u of %u, %llu windows taken again\n", r + 1, m->repeat, (unsigned long long)m->thrown);
    }
    for (int i = 0; i < 2; i++) {
        if (m->child[i] > 0) {
            kill(m->child[i], SIGKILL);
            waitpid(m->child[i], NULL, 0);
        }
    }
    return result;
}

/* ---- which processors ---- */

/* The first two threads of a core, by what the system says. @return whether there are such */
static bool find_siblings(int cpus[2])
{
    for (int cpu = 0; cpu < 4096; cpu++) {
        char path[96];
        int a, b;
        char between;
        FILE *f;

        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
        if (!(f = fopen(path, "r")))
            continue;
        if (fscanf(f, "%d%c%d", &a, &between, &b) == 3 && (between == ',' || between == '-')) {
            cpus[0] = a;
            cpus[1] = between == '-' ? a + 1 : b;
            fclose(f);
            return true;
        }
        fclose(f);
    }
    return false;
}

static bool are_siblings(const int cpus[2])
{
    char path[96], list[256] = "";
    FILE *f;
    int a = -1, b = -1;
    char between = 0;

    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpus[0]);
    if (!(f = fopen(path, "r")))
        return false;
    if (!fgets(list, sizeof list, f))
        list[0] = 0;
    fclose(f);
    if (sscanf(list, "%d%c%d", &a, &between, &b) != 3)
        return false;
    if (between == '-')
        return cpus[0] >= a && cpus[0] <= b && cpus[1] >= a && cpus[1] <= b;
    return (a == cpus[0] && b == cpus[1]) || (a == cpus[1] && b == cpus[0]);
}

/* ---- the result ---- */

static void estimate(const struct measurement *m, unsigned i, unsigned j, double *mean, double *half)
{
    double s[REPEAT_MAX];

    for (unsigned r = 0; r < m->repeat; r++)
        s[r] = m->beside[r][i][j];
    *mean = gsl_stats_mean(s, 1, m->repeat);
    *half = gsl_cdf_tdist_Pinv(0.975, m->repeat - 1) * gsl_stats_sd_m(s, 1, m->repeat, *mean) / sqrt(m->repeat);
}

static json_t *result_json(const struct measurement *m, const int cpus[2], bool siblings)
{
    json_t *names = json_array(), *s = json_array(), *halves = json_array();

    for (unsigned i = 0; i < NR; i++) {
        json_t *row = json_array(), *half_row = json_array();

        json_array_append_new(names, json_string(classes[i].name));
        for (unsigned j = 0; j < NR; j++) {
            double mean, half;

            estimate(m, i, j, &mean, &half);
            json_array_append_new(row, json_real(mean));
            json_array_append_new(half_row, json_real(half));
        }
        json_array_append_new(s, row);
        json_array_append_new(halves, half_row);
    }
    return json_pack("{s:s, s:o, s:o, s:o, s:[i,i], s:b, s:i, s:f, s:I}", "schema", "parangon-pair-matrix-1", "classes", names, "S", s,
                     "half_95", halves, "cpus", cpus[0], cpus[1], "siblings", siblings, "repetitions", m->repeat, "window_ms",
                     m->window_ms, "windows_taken_again", (json_int_t)m->thrown);
}

static void show(const struct measurement *m, const int cpus[2], bool siblings)
{
    printf("pair matrix S[i][j]: progress of i beside j over i alone, on processors %d and %d, %s\n"
           "mean and 95 %% interval of %u repetitions, windows of %g ms\n\n%-10s",
           cpus[0], cpus[1], siblings ? "threads of one core" : "NOT threads of one core: this is no SMT contention", m->repeat,
           m->window_ms, "i \\ j");
    for (unsigned j = 0; j < NR; j++)
        printf(" %16s", classes[j].name);
    putchar('\n');
    for (unsigned i = 0; i < NR; i++) {
        printf("%-10s", classes[i].name);
        for (unsigned j = 0; j < NR; j++) {
            double mean, half;

            estimate(m, i, j, &mean, &half);
            printf("  %6.3f +- %5.3f", mean, half);
        }
        putchar('\n');
    }
    putchar('\n');
    for (unsigned i = 0; i < NR; i++)
        printf("%-10s %s\n", classes[i].name, classes[i].what);
}

/* ---- the command ---- */

struct options {
    int cpus[2];
    bool given, json;
    unsigned repeat;
    double window_ms;
    const char *output;
};

enum { OPT_CPUS = 0x100, OPT_REPEAT, OPT_WINDOW, OPT_JSON };

static const struct argp_option option_table[] = {
    {"cpus", OPT_CPUS, "A,B", 0, "These two processors, whatever they are (default: the first two threads of one core)"},
    {"repeat", OPT_REPEAT, "N", 0, "Repetitions, 2 to 100 (default 10)"},
    {"window", OPT_WINDOW, "MS", 0, "Length of a window (default 10)"},
    {"output", 'o', "FILE", 0, "Keep the matrix for `parangon sim --matrix FILE`"},
    {"json", OPT_JSON, NULL, 0, "Print it as JSON"},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    char *end;
    int length = 0;

    switch (key) {
    case OPT_CPUS:
        if (sscanf(arg, "%d,%d%n", &o->cpus[0], &o->cpus[1], &length) != 2 || arg[length] || o->cpus[0] < 0 || o->cpus[1] < 0 ||
            o->cpus[0] == o->cpus[1] || o->cpus[0] >= CPU_SETSIZE || o->cpus[1] >= CPU_SETSIZE)
            argp_error(state, "--cpus takes two different processors as 0,1, not \"%s\"", arg);
        o->given = true;
        return 0;
    case OPT_REPEAT:
        o->repeat = strtoul(arg, &end, 10);
        if (*end || o->repeat < 2 || o->repeat > REPEAT_MAX)
            argp_error(state, "--repeat takes 2 to %d, not \"%s\"", REPEAT_MAX, arg);
        return 0;
    case OPT_WINDOW:
        o->window_ms = strtod(arg, &end);
        if (*end || !(o->window_ms >= 1 && o->window_ms <= 10000))
            argp_error(state, "--window takes 1 to 10000 milliseconds, not \"%s\"", arg);
        return 0;
    case 'o':
        o->output = arg;
        return 0;
    case OPT_JSON:
        o->json = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = option_table,
    .parser = parse,
    .doc = "Measure how much threads of one core slow each other down, for the simulator's pair matrix.",
};

static int keep(const struct options *o, const struct measurement *m)
{
    json_t *json = result_json(m, o->cpus, are_siblings(o->cpus));
    int status = STATUS_DONE;

    if (o->json) {
        json_dumpf(json, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
        putchar('\n');
    } else {
        show(m, o->cpus, are_siblings(o->cpus));
    }
    if (o->output && json_dump_file(json, o->output, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) < 0) {
        fprintf(stderr, "parangon: %s: %s\n", o->output, strerror(errno));
        status = STATUS_INCOMPLETE;
    }
    json_decref(json);
    return status;
}

int cmd_smt_calibrate(int argc, char **argv)
{
    struct options o = {.repeat = 10, .window_ms = 10};
    struct measurement *m;
    int result;

    argp_err_exit_status = STATUS_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    if (!o.given && !find_siblings(o.cpus)) {
        fprintf(stderr, "parangon: no core of this machine has two threads (/sys/devices/system/cpu/*/topology/thread_siblings_list): "
                        "there is no SMT to measure. --cpus A,B measures two processors as they are.\n");
        return STATUS_INCOMPLETE;
    }
    if (!(m = calloc(1, sizeof *m)))
        return STATUS_INCOMPLETE;
    m->repeat = o.repeat;
    m->window_ms = o.window_ms;
    result = measure(m, o.cpus);
    if (result)
        fprintf(stderr, result < 0 ? "parangon: processors %d and %d cannot be used (are there such?)\n"
                                   : "parangon: processors %d and %d are too busy: of %d windows none was whole\n",
                o.cpus[0], o.cpus[1], TRIES);
    result = result ? STATUS_INCOMPLETE : keep(&o, m);
    free(m);
    return result;
}

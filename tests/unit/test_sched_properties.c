/* SPDX-License-Identifier: MIT */
/*
 * Properties of every scheduling policy, on random machines under random loads (sim/).
 *
 * A seed makes a machine (1 to 16 pcpus, 1, 2 or 4 threads a core, one socket or several), a policy
 * with its tunables, and loads, runs it for some simulated time and holds, at every step:
 *
 *   lost       a vCPU that may run is running, or waits and runs within a bound (no starvation, no
 *              lost wake-up); one that is blocked does not run
 *   idle       no pcpu idles for longer than IDLE_BOUND while a vCPU waits that may run there (not
 *              under exclusivity, nor under "null", which promise it not)
 *   affinity   a vCPU runs only where it may
 *   cap        no domain gets more than its cap in any period of 30 ms
 *   exclusive  no two domains run on one core, not for 1 ns
 *   share      hogs that may run anywhere get their feasible share within 1 %, or a slice for each
 *              of a domain's vCPUs, over 10 s or 20 rounds, whichever is longer
 *
 * A found seed prints the command that repeats it. Usage: unit_sched_properties [--seeds N]
 * [--first SEED] [--policy NAME] [--verbose].
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>

#include "sim/machine.h"
#include "sim/random.h"

#define MS(n)      ((uint64_t)(n) * 1000000)
#define CAP_PERIOD MS(30)
#define MAX_VCPUS  256
#define NOBODY     (-1)

/* No pcpu idles longer beside a vCPU that waits and may run there: what the framework states. */
#define IDLE_BOUND 50000

static const char *program;
static const char *only_policy;
static bool verbose;

static struct {
    struct sim_config config;
    struct sim_load loads[8];
    unsigned nr_vcpus, nr_domains;
    unsigned domain_of[MAX_VCPUS], load_of[MAX_VCPUS];
    /* now */
    int runs[SIM_CPUS_MAX];
    int on[MAX_VCPUS];              /* pcpu, or NOBODY */
    bool awake[MAX_VCPUS];
    uint64_t waits_since[MAX_VCPUS];
    uint64_t idle_since;            /* the machine idles beside who waits; 0: it does not */
    uint64_t ran_since[MAX_VCPUS];
    uint64_t cap_used[MAX_VCPUS];   /* by domain, in this period */
    uint64_t period[MAX_VCPUS];
    uint64_t longest_wait;
    double worst_share;
    uint64_t seed;
    bool shares;                    /* this machine is for shares */
    bool failed;
} t;

static uint64_t draw(uint64_t below)
{
    static uint64_t s;

    if (!below) {
        s = t.seed * 0x9e3779b97f4a7c15ull + 0x7f4a7c15;
        return 0;
    }
    s ^= s << 13;
    s ^= s >> 7;
    s ^= s << 17;
    return (s >> 11) % below;
}

static void fail(uint64_t now, const char *property, const char *what)
{
    if (t.failed)
        return;
    t.failed = true;
    printf("seed %llu: %s: %s, at %.6f s\n", (unsigned long long)t.seed, property, what, now * 1e-9);
    printf("  policy %s, %u pcpus, %u threads a core, %u cores a socket, slice %.1f ms\n", t.config.policy, t.config.cpus,
           t.config.threads, t.config.cores, t.config.slice * 1e-6);
    for (unsigned i = 0; i < t.config.nr_loads; i++) {
        const struct sim_load *l = &t.loads[i];

        printf("  %u x %s, %u vCPUs, weight %u, cap %u, run %.3f ms, period %.3f ms, pcpus %d-%d\n", l->domains,
               sim_kind_names[l->kind], l->vcpus, l->weight, l->cap, l->run * 1e-6, l->period * 1e-6, l->first_cpu, l->last_cpu);
    }
    printf("repeat: %s --first %llu --seeds 1 --verbose%s%s\n", program, (unsigned long long)t.seed,
           only_policy ? " --policy " : "", only_policy ? only_policy : "");
}

static bool may_run(unsigned v, unsigned cpu)
{
    const struct sim_load *l = &t.loads[t.load_of[v]];

    return l->first_cpu < 0 || ((int)cpu >= l->first_cpu && (int)cpu <= l->last_cpu);
}

/* ---- at each step ---- */

static bool has_caps(void)
{
    return !strcmp(t.config.policy, "credit") || !strcmp(t.config.policy, "credit2") || !strcmp(t.config.policy, "smt");
}

/* Add the time that v ran to what its domain used, period by period. */
static void charge(unsigned v, uint64_t now)
{
    const struct sim_load *l = &t.loads[t.load_of[v]];
    unsigned d = t.domain_of[v];
    uint64_t from = t.ran_since[v];

    while (from < now) {
        uint64_t period = from / CAP_PERIOD, end = (period + 1) * CAP_PERIOD;

        if (period != t.period[d]) {
            t.period[d] = period;
            t.cap_used[d] = 0;
        }
        end = end < now ? end : now;
        t.cap_used[d] += end - from;
        if (l->cap && has_caps() && t.cap_used[d] > CAP_PERIOD / 100 * l->cap)
            fail(now, "cap", "a domain got more than its cap in a period");
        from = end;
    }
    t.ran_since[v] = now;
}

/* Does a pcpu idle that somebody who waits may use? */
static bool idles_beside_waiting(void)
{
    for (unsigned v = 0; v < t.nr_vcpus; v++) {
        if (!t.awake[v] || t.on[v] != NOBODY || t.loads[t.load_of[v]].cap)
            continue;
        for (unsigned cpu = 0; cpu < t.config.cpus; cpu++) {
            if (t.runs[cpu] == NOBODY && may_run(v, cpu))
                return true;
        }
    }
    return false;
}

static bool promises_work_conservation(void)
{
    return strcmp(t.config.policy, "null") && !t.config.exclusive;
}

static void note_idle(uint64_t now)
{
    bool idles;

    if (!promises_work_conservation())
        return;
    if (t.idle_since && now > t.idle_since + IDLE_BOUND)
        fail(now, "idle", "a pcpu idled while a vCPU waited that may run there");
    idles = idles_beside_waiting();
    if (!idles)
        t.idle_since = 0;
    else if (!t.idle_since)
        t.idle_since = now;
}

static void check_core(uint64_t now, unsigned cpu)
{
    unsigned first = cpu - cpu % t.config.threads;
    int d = NOBODY;

    for (unsigned i = first; i < first + t.config.threads; i++) {
        if (t.runs[i] == NOBODY)
            continue;
        if (d != NOBODY && (unsigned)d != t.domain_of[t.runs[i]])
            fail(now, "exclusive", "two domains run on one core");
        d = t.domain_of[t.runs[i]];
    }
}

static void switched(void *context, uint64_t now, unsigned cpu, int from, int to)
{
    note_idle(now);
    if (from >= 0) {
        if (t.on[from] != (int)cpu)
            fail(now, "lost", "a vCPU left a pcpu that it was not on");
        charge(from, now);
        t.on[from] = NOBODY;
        t.waits_since[from] = now;
    }
    t.runs[cpu] = to;
    if (to >= 0) {
        if (!t.awake[to])
            fail(now, "lost", "a blocked vCPU runs");
        if (t.on[to] != NOBODY)
            fail(now, "lost", "a vCPU runs twice");
        if (!may_run(to, cpu))
            fail(now, "affinity", "a vCPU runs where it may not");
        t.on[to] = cpu;
        t.ran_since[to] = now;
        if (now - t.waits_since[to] > t.longest_wait)
            t.longest_wait = now - t.waits_since[to];
    }
    if (t.config.exclusive && !strcmp(t.config.policy, "smt"))
        check_core(now, cpu);
    note_idle(now);
}

static void woke(void *context, uint64_t now, int v)
{
    note_idle(now);
    t.awake[v] = true;
    t.waits_since[v] = now;
    note_idle(now);
}

static void blocked(void *context, uint64_t now, int v)
{
    note_idle(now);
    t.awake[v] = false;
}

/* ---- a seed's machine ---- */

static uint16_t a_weight(void)
{
    static const uint16_t weights[] = {64, 128, 256, 256, 256, 512, 1024, 2048};

    return weights[draw(8)];
}

static void make_load(struct sim_load *l, unsigned room)
{
    static const enum sim_kind kinds[] = {SIM_HOG, SIM_HOG, SIM_INTERACTIVE, SIM_PERIODIC, SIM_BURSTY, SIM_YIELDER, SIM_SERVICE, SIM_BARRIER};

    *l = (struct sim_load){.kind = kinds[draw(8)], .vcpus = 1 + (draw(3) ? 0 : draw(4)), .weight = a_weight(), .first_cpu = -1,
                           .last_cpu = -1, .run = 50000 + draw(MS(5)), .dist = draw(3), .util = 0.1 + draw(100) / 100.0};
    snprintf(l->name, sizeof(l->name), "load%u", t.config.nr_loads);
    l->period = l->run * (1 + draw(10));
    l->domains = 1 + draw(4);
    if (l->domains * l->vcpus > room)
        l->domains = l->vcpus = 1;
    if (!draw(4))
        l->cap = 5 + draw(95 * l->vcpus);
    if (!draw(4)) {
        l->first_cpu = draw(t.config.cpus);
        l->last_cpu = l->first_cpu + draw(t.config.cpus - l->first_cpu);
    }
}

/* Weights and nothing else: hogs that may run anywhere, for long enough that a slice is little. */
static bool make_share_machine(void)
{
    if (draw(8))
        return false;
    t.shares = true;
    t.config.length = MS(10000);
    t.config.warmup = MS(500);
    return true;
}

/* 20 rounds: a round gives the lightest domain a slice. */
static void lengthen(void)
{
    uint64_t sum = 0, least = ~0ull, rounds;

    for (unsigned i = 0; i < t.config.nr_loads; i++) {
        sum += (uint64_t)t.loads[i].weight * t.loads[i].domains;
        least = t.loads[i].weight < least ? t.loads[i].weight : least;
    }
    rounds = 20 * (t.config.slice ? t.config.slice : MS(30)) * sum / least / t.config.cpus;
    if (t.config.length < rounds)
        t.config.length = rounds;
}

static const char *a_policy(void)
{
    unsigned n = 0;

    while (sim_policy(n, NULL))
        n++;
    return sim_policy(draw(n), NULL);
}

static void make_machine(void)
{
    static const unsigned threads[] = {1, 1, 2, 2, 4};
    uint64_t seed = t.seed;

    memset(&t, 0, sizeof(t));
    t.seed = seed;
    draw(0);
    for (int i = 0; i < 8; i++)
        draw(2);
    t.config.threads = threads[draw(5)];
    t.config.cpus = t.config.threads * (1 + draw(16 / t.config.threads));
    t.config.cores = draw(2) ? 0 : 1 + draw(4);
    t.config.seed = seed;
    t.config.classes = 1;
    t.config.matrix[0][0] = 1;
    t.config.loads = t.loads;
    t.config.length = MS(500 + draw(1500));
    t.config.slice = draw(3) ? 0 : MS(1 + draw(30));
    t.config.rate_limit = draw(3) ? 0 : draw(MS(2));
    snprintf(t.config.policy, sizeof(t.config.policy), "%s", only_policy ? only_policy : a_policy());
    make_share_machine();
    t.config.exclusive = !t.shares && !strcmp(t.config.policy, "smt") && draw(2);
    for (unsigned n = 1 + draw(6), room = 120; n; n--) {
        struct sim_load *l = &t.loads[t.config.nr_loads];

        make_load(l, room);
        if (t.shares) {
            l->kind = SIM_HOG;
            l->cap = 0;
            l->first_cpu = l->last_cpu = -1;
        }
        room -= l->domains * l->vcpus;
        for (unsigned d = 0; d < l->domains; d++, t.nr_domains++)
            for (unsigned v = 0; v < l->vcpus; v++, t.nr_vcpus++) {
                t.domain_of[t.nr_vcpus] = t.nr_domains;
                t.load_of[t.nr_vcpus] = t.config.nr_loads;
            }
        t.config.nr_loads++;
    }
    if (t.shares)
        lengthen();
    for (unsigned i = 0; i < SIM_CPUS_MAX; i++)
        t.runs[i] = NOBODY;
    for (unsigned i = 0; i < MAX_VCPUS; i++) {
        t.on[i] = NOBODY;
        t.period[i] = ~0ull;
    }
}

/*
 * Policies that promise shares: what each domain got is within 1 % of its feasible share, or within
 * what a slice for each of its vCPUs makes of the time, which is more for the lightest.
 */
static void check_shares(const struct sim_result *r)
{
    double slice = (t.config.slice ? t.config.slice : MS(30)) * 1e-9 / r->seconds;

    if (strcmp(t.config.policy, "credit") && strcmp(t.config.policy, "smt") && strcmp(t.config.policy, "credit2"))
        return;
    for (unsigned d = 0; d < r->nr_domains; d++) {
        const struct sim_load *l = &t.loads[r->domains[d].load];
        double error = fabs(r->domains[d].got - r->domains[d].feasible);
        double bound = fmax(r->domains[d].feasible * 0.01, slice * fmin(l->vcpus, t.config.cpus));
        char what[96];

        if (error / r->domains[d].feasible > t.worst_share)
            t.worst_share = error / r->domains[d].feasible;
        if (error <= bound)
            continue;
        snprintf(what, sizeof(what), "domain %u got %.4f pcpus of %.4f", d, r->domains[d].got, r->domains[d].feasible);
        fail((uint64_t)(r->seconds * 1e9), "share", what);
    }
}

static bool run_seed(uint64_t seed)
{
    static const struct sim_observer observer = {.switched = switched, .woke = woke, .blocked = blocked};
    struct sim_result result;

    t.seed = seed;
    make_machine();
    if (sim_run(&t.config, &observer, &result) < 0) {
        fail(0, "setup", "the machine could not be made");
        return false;
    }
    if (verbose)
        printf("seed %llu: %s, %u pcpus, %u vCPUs, %llu decisions, longest wait %.3f ms\n", (unsigned long long)seed,
               t.config.policy, t.config.cpus, t.nr_vcpus, (unsigned long long)result.decisions, t.longest_wait * 1e-6);
    if (t.shares)
        check_shares(&result);
    if (t.shares && verbose)
        printf("  shares: worst error %.2f %%\n", 100 * t.worst_share);
    sim_result_free(&result);
    return !t.failed;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"seeds", required_argument, NULL, 'n'}, {"first", required_argument, NULL, 'f'},
                                            {"policy", required_argument, NULL, 'p'}, {"verbose", no_argument, NULL, 'v'}, {0}};
    unsigned long long seeds = 1000, first = 1;
    unsigned failed = 0;
    int opt;

    program = argv[0];
    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (opt) {
        case 'n':
            seeds = strtoull(optarg, NULL, 0);
            break;
        case 'f':
            first = strtoull(optarg, NULL, 0);
            break;
        case 'p':
            only_policy = optarg;
            break;
        case 'v':
            verbose = true;
            break;
        default:
            return 2;
        }
    }
    for (unsigned long long i = 0; i < seeds && failed < 10; i++)
        failed += !run_seed(first + i);
    printf("%llu seeds, %u failed\n", seeds, failed);
    return failed != 0;
}

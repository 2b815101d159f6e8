/* SPDX-License-Identifier: MIT */
/*
 * Properties of every scheduling policy, on random machines under random loads (sim/).
 *
 * A seed makes a machine (1 to 16 pcpus, 1, 2 or 4 threads a core, one socket or several), a policy
 * with its tunables, and loads, runs it for some simulated time and holds, at every step or at the end:
 *
 *   lost       a vCPU that is blocked does not run; one that may run is where the scheduler says
 *   starve     a vCPU that wants to run waits no longer than it takes to earn WAIT_SLICES slices and a
 *              boost at its share by weight (policies that share; no cap, any pcpu, no exclusivity, and nobody
 *              who gives way: who runs instead gets ahead, and waits for it later)
 *   idle       no pcpu idles for longer than IDLE_BOUND while a vCPU waits that may run there (not
 *              under exclusivity, nor under "null", which promise it not)
 *   affinity   a vCPU runs only where it may
 *   cap        no domain gets more than its cap in any period of 30 ms
 *   exclusive  no two domains run on one core, not for 1 ns
 *   forced     where vCPUs always wait, a thread that idles beside a busy one is forced to: what the
 *              scheduler says of that is, to the ns, what the model counts; or less, if it has idled
 *              with nobody in its own runqueue, of which the scheduler does not say that it forced it
 *   share      hogs that may run anywhere get their feasible share within 1 % over 10 s or 20 rounds,
 *              whichever is longer; in machines of even seeds some have caps (none under credit2); with a
 *              slice that the machine sets (and for the policies that do not shorten theirs) within a slice
 *              for each of a domain's vCPUs, if that is more
 *   window     with the policy's own slices (credit, smt; no caps) none of them is off by more than a slice of
 *              30 ms, for each of its vCPUs that can run at once, in any window of that time
 *   counters   credit and smt keep weights, pcpus, sets and units as counted by hand, after each event
 *   exploit    beside domains that give way just before a slice of 30 or 2 ms or a tick of 10 ms ends,
 *              hogs get no less than that: nothing is gained by it
 *
 * At the end it says how often each was put to the test, and the largest lag behind a fluid schedule;
 * of 1,000 seeds or more, none may have gone untried.
 * A found seed prints the command that repeats it. Usage: unit_sched_properties [--seeds N]
 * [--first SEED] [--policy NAME] [--jobs N] [--verbose]. A million: --seeds 1000000 --jobs 2.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fair_counters.h"
#include "seeds.h"
#include "sim/machine.h"
#include "sim/random.h"

#define MS(n)      ((uint64_t)(n) * 1000000)
#define CAP_PERIOD MS(30)
#define MAX_VCPUS  256
#define NOBODY     (-1)

/* No pcpu idles longer beside a vCPU that waits and may run there: what the framework states. */
#define IDLE_BOUND 50000

/* See "starve" above: ahead by a slice when it stops, behind by one when it is due, and each of the others that
 * were due before is ahead by one. */
#define WAIT_SLICES 4

/* A process that has found so many seeds ends. */
#define FAILED_ENOUGH 10

/* How often a property was put to the test, over all seeds. */
static struct tried {
    unsigned long waits, caps, cores_changed, forced_machines, forced_equal, shares, exploits, windows, counts;
    unsigned long seeds, failed;
    double lag, lag_slices, wait, window; /* ns; the same in slices; worst wait and window, of their bounds */
} tried;

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
    unsigned idle_cpus, waiting;    /* pcpus that run nothing; vCPUs that wait, without a cap */
    uint64_t waits_since[MAX_VCPUS];
    uint64_t idle_since;            /* the machine idles beside who waits; 0: it does not */
    uint64_t ran_since[MAX_VCPUS];
    uint64_t cap_used[MAX_VCPUS];   /* by domain, in this period */
    uint64_t period[MAX_VCPUS];
    uint64_t longest_wait;
    uint64_t last;                  /* when anything happened last, at the end the end */
    uint64_t waited[MAX_VCPUS];     /* longest */
    unsigned core_owner[SIM_CPUS_MAX];
    double worst_share;
    uint64_t seed;
    bool shares;                    /* this machine is for shares */
    bool yielders;
    bool exploited;                 /* ...in which some give way early */
    bool forced;                    /* for idle time that is forced */
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
        tried.caps += l->cap != 0;
        if (l->cap && has_caps() && t.cap_used[d] > CAP_PERIOD / 100 * l->cap)
            fail(now, "cap", "a domain got more than its cap in a period");
        from = end;
    }
    t.ran_since[v] = now;
}

/* Does v wait, for a processor and not for its budget? */
static bool waits(unsigned v)
{
    return t.awake[v] && t.on[v] == NOBODY && !t.loads[t.load_of[v]].cap;
}

/* Does a pcpu idle that somebody who waits may use? */
static bool idles_beside_waiting(void)
{
    if (!t.idle_cpus || !t.waiting)
        return false;
    for (unsigned v = 0; v < t.nr_vcpus; v++) {
        if (!waits(v))
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

static void check_counters(uint64_t now)
{
    const char *wrong;

    if (strcmp(t.config.policy, "credit") && strcmp(t.config.policy, "smt"))
        return;
    tried.counts++;
    wrong = fair_counters_wrong();
    if (wrong)
        fail(now, "counters", wrong);
}

static void note_idle(uint64_t now)
{
    bool idles;

    t.last = now;
    check_counters(now);
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
    if (d != NOBODY && t.config.threads > 1) {
        tried.cores_changed += t.core_owner[first] != (unsigned)d + 1;
        t.core_owner[first] = d + 1;
    }
}

static void note_wait(unsigned v, uint64_t now)
{
    uint64_t waited = now - t.waits_since[v];

    if (waited > t.waited[v])
        t.waited[v] = waited;
    if (waited > t.longest_wait)
        t.longest_wait = waited;
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
        t.waiting += waits(from);
    }
    t.idle_cpus += (to < 0) - (t.runs[cpu] == NOBODY);
    t.runs[cpu] = to;
    if (to >= 0) {
        if (!t.awake[to])
            fail(now, "lost", "a blocked vCPU runs");
        if (t.on[to] != NOBODY)
            fail(now, "lost", "a vCPU runs twice");
        if (!may_run(to, cpu))
            fail(now, "affinity", "a vCPU runs where it may not");
        t.waiting -= waits(to);
        t.on[to] = cpu;
        t.ran_since[to] = now;
        note_wait(to, now);
    }
    if (t.config.exclusive && !strcmp(t.config.policy, "smt"))
        check_core(now, cpu);
    note_idle(now);
}

static void woke(void *context, uint64_t now, int v)
{
    note_idle(now);
    t.waiting -= waits(v);
    t.awake[v] = true;
    t.waiting += waits(v);
    t.waits_since[v] = now;
    note_idle(now);
}

static void blocked(void *context, uint64_t now, int v)
{
    note_idle(now);
    t.waiting -= waits(v);
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
    t.exploited = !draw(3);
    if (t.exploited)
        t.config.warmup = t.config.slice = 0; /* what some give away at first is given back later */
    return true;
}

/* Exclusivity, domains of fewer vCPUs than a core may have threads, and always more who wait than threads that idle. */
static void make_forced_machine(void)
{
    if (t.shares || draw(3) || t.config.threads == 1 || strcmp(t.config.policy, "smt"))
        return;
    t.forced = t.config.exclusive = true;
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

/* It always wants to run, but gives way when its use is about to be looked at. */
static void make_exploiter(struct sim_load *l)
{
    uint64_t when[] = {MS(30), MS(10), MS(2)};

    l->kind = SIM_YIELDER;
    l->dist = SIM_FIXED;
    l->run = when[draw(3)];
    l->run -= l->run > 20000 ? 10000 : l->run / 2;
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
    make_forced_machine();
    t.config.fluid = t.shares && t.config.threads == 1;
    for (unsigned n = 1 + draw(6), room = 120; n; n--) {
        struct sim_load *l = &t.loads[t.config.nr_loads];

        make_load(l, room);
        if (t.shares) {
            l->kind = SIM_HOG;
            if (t.exploited || seed % 2 || !strcmp(t.config.policy, "credit2")) /* every other machine has no caps */
                l->cap = 0;
            l->first_cpu = l->last_cpu = -1;
            if (t.exploited && draw(2))
                make_exploiter(l);
        } else if (t.forced) {
            unsigned vcpus = 1 + draw(2);

            *l = (struct sim_load){.kind = SIM_HOG, .domains = 24 / vcpus, .vcpus = vcpus, .weight = l->weight, .first_cpu = -1,
                                   .last_cpu = -1};
        }
        room -= l->domains * l->vcpus;
        for (unsigned d = 0; d < l->domains; d++, t.nr_domains++)
            for (unsigned v = 0; v < l->vcpus; v++, t.nr_vcpus++) {
                t.domain_of[t.nr_vcpus] = t.nr_domains;
                t.load_of[t.nr_vcpus] = t.config.nr_loads;
            }
        t.yielders |= l->kind == SIM_YIELDER;
        t.config.nr_loads++;
    }
    if (t.shares)
        lengthen();
    for (unsigned i = 0; i < SIM_CPUS_MAX; i++)
        t.runs[i] = NOBODY;
    t.idle_cpus = t.config.cpus;
    for (unsigned i = 0; i < MAX_VCPUS; i++) {
        t.on[i] = NOBODY;
        t.period[i] = ~0ull;
    }
}

static bool promises_shares(void)
{
    return has_caps(); /* the same ones */
}

static double slice_length(void)
{
    return t.config.slice ? t.config.slice : MS(30);
}

static void note_lag(double behind)
{
    tried.lag = fmax(tried.lag, behind);
    tried.lag_slices = fmax(tried.lag_slices, behind / slice_length());
}

/* No window is worse than the most that a domain was behind and the most that it was ahead, together. */
static void check_window(const struct sim_load *l, double most)
{
    double bound = slice_length() * fmin(l->vcpus, t.config.cpus);
    char what[96];

    tried.windows++;
    tried.window = fmax(tried.window, most / bound);
    if (most <= bound)
        return;
    snprintf(what, sizeof(what), "off by %.1f ms in a window, %.1f at most", most * 1e-6, bound * 1e-6);
    fail(t.last, "window", what);
}

/*
 * Policies that promise shares: what each domain got is within 1 % of its feasible share, or within what a slice
 * for each of its vCPUs makes of the time, which may be more. credit and smt make their own slices short enough.
 */
static void check_shares(const struct sim_result *r)
{
    bool own = !t.config.slice && strcmp(t.config.policy, "credit2"), caps = false;

    for (unsigned i = 0; i < t.config.nr_loads; i++)
        caps |= t.loads[i].cap != 0;
    for (unsigned d = 0; promises_shares() && d < r->nr_domains; d++) {
        const struct sim_load *l = &t.loads[r->domains[d].load];
        double feasible = r->domains[d].feasible, error = r->domains[d].got - feasible;
        double slices = slice_length() * 1e-9 / r->seconds * fmin(l->vcpus, t.config.cpus);
        double bound = fmax(feasible * 0.01, own ? MS(1) * 1e-9 * l->vcpus / r->seconds : slices);
        char what[96];

        tried.shares++;
        tried.exploits += t.exploited && l->kind == SIM_HOG;
        if (t.config.fluid && !t.exploited && !caps) {
            note_lag(r->domains[d].behind);
            if (own)
                check_window(l, r->domains[d].behind + r->domains[d].ahead);
        }
        if (fabs(error) / feasible > t.worst_share && l->kind == SIM_HOG)
            t.worst_share = fabs(error) / feasible;
        /* Who gives way may get less, and others more for it. */
        if (l->kind == SIM_YIELDER || (error >= -bound && (error <= bound || t.exploited)))
            continue;
        snprintf(what, sizeof(what), "domain %u got %.4f pcpus of %.4f", d, r->domains[d].got, feasible);
        fail((uint64_t)(r->seconds * 1e9), t.exploited ? "exploit" : "share", what);
    }
}

/* What a vCPU waits, at most, for what its domain's weight is worth beside all others. */
static void check_waits(void)
{
    uint64_t weights = 0;

    for (unsigned i = 0; i < t.config.nr_loads; i++)
        weights += (uint64_t)t.loads[i].weight * t.loads[i].domains;
    for (unsigned v = 0; v < t.nr_vcpus; v++) {
        const struct sim_load *l = &t.loads[t.load_of[v]];
        double share = fmin(1, (double)l->weight / weights * t.config.cpus / l->vcpus);
        double slice = strcmp(t.config.policy, "credit2") ? slice_length() : fmax(slice_length(), MS(10)); /* a reset's worth */
        double bound = WAIT_SLICES * slice / share + MS(30);
        char what[96];

        if (t.awake[v] && t.on[v] == NOBODY)
            note_wait(v, t.last);
        if (!promises_shares() || t.yielders || t.config.exclusive || l->cap || l->first_cpu >= 0)
            continue;
        tried.waits++;
        if (t.waited[v] / bound > tried.wait)
            tried.wait = t.waited[v] / bound;
        if (t.waited[v] <= bound)
            continue;
        snprintf(what, sizeof(what), "vCPU %u waited %.1f ms, %.1f at most", v, t.waited[v] * 1e-6, bound * 1e-6);
        fail(t.last, "starve", what);
    }
}

static void check_forced(const struct sim_result *r)
{
    tried.forced_machines += r->forced_claimed != 0;
    tried.forced_equal += r->forced_claimed != 0 && r->forced_claimed == r->forced_counted;
    if (r->forced_claimed > r->forced_counted)
        fail(t.config.length, "forced", "idle time that was forced does not add up");
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
    if (t.forced)
        check_forced(&result);
    check_waits();
    if (t.shares && verbose)
        printf("  shares: worst error %.2f %%\n", 100 * t.worst_share);
    sim_result_free(&result);
    return !t.failed;
}

/* Every `step`-th seed from `first` on; no more than ten failures are printed. */
static void run_seeds(uint64_t first, uint64_t seeds, unsigned step)
{
    for (uint64_t i = 0; i < seeds && tried.failed < FAILED_ENOUGH; i += step, tried.seeds++)
        tried.failed += !run_seed(first + i);
}

static void add(struct tried *sum, const struct tried *part)
{
    sum->waits += part->waits;
    sum->caps += part->caps;
    sum->cores_changed += part->cores_changed;
    sum->forced_machines += part->forced_machines;
    sum->forced_equal += part->forced_equal;
    sum->shares += part->shares;
    sum->exploits += part->exploits;
    sum->windows += part->windows;
    sum->counts += part->counts;
    sum->seeds += part->seeds;
    sum->failed += part->failed;
    sum->lag = fmax(sum->lag, part->lag);
    sum->lag_slices = fmax(sum->lag_slices, part->lag_slices);
    sum->wait = fmax(sum->wait, part->wait);
    sum->window = fmax(sum->window, part->window);
}

/* The seeds in `jobs` processes: the scheduler has static state. -1: one of them has not come to its end. */
static int run_jobs(uint64_t first, uint64_t seeds, unsigned jobs)
{
    struct tried sum = {0};
    int fds[2], status = 0;

    if (jobs < 2) {
        run_seeds(first, seeds, 1);
        return 0;
    }
    if (pipe(fds) < 0)
        return -1;
    fflush(stdout);
    for (unsigned job = 0; job < jobs; job++) {
        if (fork() == 0) {
            run_seeds(first + job, seeds > job ? seeds - job : 0, jobs);
            fflush(stdout);
            _exit(write(fds[1], &tried, sizeof(tried)) != sizeof(tried));
        }
    }
    close(fds[1]);
    for (unsigned job = 0; job < jobs; job++) {
        struct tried part;

        if (read(fds[0], &part, sizeof(part)) != sizeof(part))
            status = -1;
        else
            add(&sum, &part);
    }
    while (wait(NULL) > 0)
        ;
    tried = sum;
    return status;
}

/* Nothing passes because it was never put to the test. */
static bool all_were_tried(uint64_t seeds)
{
    if (seeds < 1000 || only_policy)
        return true;
    return tried.waits && tried.caps && tried.cores_changed && tried.forced_equal && tried.shares && tried.exploits &&
           tried.windows && tried.counts;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"seeds", required_argument, NULL, 'n'}, {"first", required_argument, NULL, 'f'},
                                            {"policy", required_argument, NULL, 'p'}, {"jobs", required_argument, NULL, 'j'},
                                            {"verbose", no_argument, NULL, 'v'}, {0}};
    uint64_t seeds = 1000, first = 1;
    unsigned jobs = 1;
    int opt;

    program = argv[0];
    setvbuf(stdout, NULL, _IOLBF, 0); /* what was found is not lost when a long run is ended */
    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (opt) {
        case 'n':
            seeds = seeds_number("seeds", optarg);
            break;
        case 'f':
            first = seeds_number("first", optarg);
            break;
        case 'p':
            only_policy = seeds_policy(optarg);
            break;
        case 'j':
            jobs = seeds_number("jobs", optarg);
            break;
        case 'v':
            verbose = true;
            break;
        default:
            return 2;
        }
    }
    if (run_jobs(first, seeds, jobs) < 0) {
        printf("a process has not come to its end\n");
        return 1;
    }
    printf("tried: %lu waits (longest %.0f %% of its bound), %lu capped stretches, %lu changes of a core's domain, %lu machines with "
           "forced idle time (%lu equal to the ns), %lu shares, %lu of them beside domains that give way early, %lu in any window (worst "
           "%.0f %% of its bound), %lu counts by hand\n",
           tried.waits, tried.wait * 100, tried.caps, tried.cores_changed, tried.forced_machines, tried.forced_equal, tried.shares, tried.exploits,
           tried.windows, tried.window * 100, tried.counts);
    printf("largest lag behind a fluid schedule: %.1f ms, or %.1f slices\n", tried.lag * 1e-6, tried.lag_slices);
    printf("%lu seeds, %lu failed%s%s\n", tried.seeds, tried.failed, tried.seeds < seeds ? ": no more were tried" : "",
           all_were_tried(seeds) ? "" : ", something was not tried");
    return tried.failed || !all_were_tried(seeds);
}

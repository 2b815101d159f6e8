/* SPDX-License-Identifier: MIT */
/*
 * The simulated machine: pcpus, loads and time, under the hypervisor's own scheduler.
 *
 * Why it exists: hv/sched/ is linked here from the same sources as into the hypervisor. This model stands for everything else:
 * processors that make progress at a stated rate, guests that want to run and stop wanting to, interrupts and timers. What it
 * measures are the scheduler's decisions and their consequences under a stated model, never time of a real machine.
 *
 * The model, all of it:
 *   - A vCPU on a thread whose siblings idle does one nanosecond of work a nanosecond. Beside a busy sibling of class j a vCPU of
 *     class i does S[i][j] of that; with more than one busy sibling the factors multiply.
 *   - After a switch to another vCPU, `switch_cost` is worked first (at the same rate, counted as overhead, not as work); after a
 *     move to another pcpu also migrate_cost[] by how far it was: same core, same socket, other socket. What of it is left when
 *     the vCPU is preempted is dropped; it is paid anew with the next switch.
 *   - Interrupts, IPIs, wake-ups and decisions take no time.
 *   - pcpus are numbered thread first: pcpu / threads is the core, core / cores the socket. NUMA nodes are sockets.
 *
 * Deterministic: the same configuration and seed give the same decisions. Random numbers of a load do not depend on the schedule.
 * One machine at a time in a process (hv/sched has static state); no allocation but at start (and when a queue of arrivals
 * grows beyond what it ever was).
 * Does not: print, parse, or know experiments.
 */
#ifndef PARANGON_SIM_MACHINE_H
#define PARANGON_SIM_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/hist.h"

#define SIM_CPUS_MAX    1024
#define SIM_CLASSES_MAX 8
#define SIM_NAME_MAX    32
#define SIM_VCPUS_MAX   32 /* of a domain */
#define SIM_RATE_LIMIT_OWN UINT64_MAX

/** What a load does. */
enum sim_kind {
    SIM_HOG,         /* always wants to run */
    SIM_INTERACTIVE, /* sleeps for about `period`, then works for about `run`; response time from waking to done */
    SIM_PERIODIC,    /* is released each `period` and works `run`; response time from release to done */
    SIM_BURSTY,      /* as interactive, with bursts of widely different length (bounded Pareto) */
    SIM_SERVICE,     /* open loop: Poisson arrivals of requests of about `run`, whether or not earlier ones are done */
    SIM_BARRIER,     /* all vCPUs of the domain work about `run`, then wait for each other */
    SIM_YIELDER,     /* works `run`, gives way, works on */
    SIM_SCRIPT,      /* bursts and causes out of a recorded trace (script.h); response time from waking to blocking */
    SIM_KINDS
};
extern const char *const sim_kind_names[SIM_KINDS];

enum sim_dist { SIM_FIXED, SIM_EXP, SIM_PARETO, SIM_DISTS };
extern const char *const sim_dist_names[SIM_DISTS];

struct sim_script;

/** A group of like domains. */
struct sim_load {
    char name[SIM_NAME_MAX];
    enum sim_kind kind;
    unsigned domains, vcpus; /* vcpus: of each domain */
    uint16_t weight, cap;    /* 0: 256; no cap */
    unsigned class;          /* row and column of the pair matrix */
    uint64_t run, period;    /* ns */
    enum sim_dist dist;      /* of run (service, interactive, barrier) */
    double util;             /* service: work that arrives, in processors for each domain; 0: only what others send it */
    char via[SIM_NAME_MAX];  /* service: each request is worked on for via_run by the first domain of this service, before and after */
    uint64_t via_run;        /* ns */
    bool spin;               /* barrier: wait by spinning instead of blocking */
    int first_cpu, last_cpu; /* may run there only; -1: anywhere */
};

struct sim_config {
    unsigned cpus, threads, cores;   /* threads of a core, cores of a socket (0: all on one) */
    char policy[SIM_NAME_MAX];
    uint64_t seed;
    uint64_t slice;                  /* ns; 0: the policy's own */
    uint64_t rate_limit;             /* ns; SIM_RATE_LIMIT_OWN: as the scheduler has it */
    unsigned span;                   /* pcpus of a runqueue: 0 the policy's own, 1 one, 2 a core's, 3 a socket's */
    bool exclusive;                  /* policy smt: siblings run one domain, or idle */
    uint64_t switch_cost;            /* ns */
    uint64_t migrate_cost[3];        /* ns: to a sibling thread, within the socket, to another socket */
    unsigned classes;                /* of the matrix; 0: one, without contention */
    double matrix[SIM_CLASSES_MAX][SIM_CLASSES_MAX];
    char matrix_name[SIM_NAME_MAX];  /* where the matrix is from, for the result */
    uint64_t warmup, length;         /* ns: not measured; measured after it */
    bool fluid;                      /* follow a fluid schedule too, at a cost of the number of domains with each switch; one thread a core */
    const struct sim_load *loads;
    unsigned nr_loads;
    struct sim_script *scripts;      /* by vCPU, where loads are scripts; else NULL */
    void *trace;                     /* memory for a trace region of trace_size bytes, or NULL */
    uint64_t trace_size;
};

/** What one domain got. */
struct sim_domain_result {
    unsigned load, index;
    double asked;    /* processors: its weight's share of the machine */
    double feasible; /* processors: its share by weight of a machine that gives nobody more than it asks for in the long run or
                        may use by its cap */
    double got;      /* processors: time on pcpus */
    double behind;   /* ns: largest lag behind the fluid schedule (fluid.c); NAN: not followed */
    double ahead;    /* ns: the largest lead; NAN */
    double work;     /* ns of work done a ns */
};

/** The scheduler's own runstate counters of one vCPU at the end, ns since it was made. */
struct sim_runstate {
    uint16_t domid;
    uint8_t vcpu_id;
    uint64_t running, runnable, blocked, offline;
};

struct sim_load_result {
    double got, work;          /* processors, over its domains */
    uint64_t done;             /* requests, bursts, releases or rounds */
    struct sim_hist response;  /* ns */
    struct sim_hist wake;      /* ns from waking to running */
};

struct sim_result {
    double seconds;            /* simulated and measured */
    uint64_t decisions;        /* times that the scheduler was asked what to run */
    uint64_t switches, migrations, wakes, events;
    uint64_t far_migrations;   /* to another socket */
    double host_seconds;       /* processor time that the simulation took */
    double busy, overhead;     /* share of the machine's time */
    double idle_while_waiting; /* share: pcpus idle while as many vCPUs waited */
    double forced_idle;        /* share: as that, of pcpus whose sibling is busy */
    uint64_t forced_counted, forced_claimed; /* ns of it: as the model counts, as the scheduler says of itself */
    double corun_same, corun_other; /* share of the cores' time with two threads busy, by one domain, by several */
    double work;               /* processors' worth of work done */
    uint64_t dropped;          /* arrivals beyond the queue's limit */
    unsigned nr_loads, nr_domains;
    struct sim_load_result *loads;
    struct sim_domain_result *domains;
    struct sim_runstate *runstates; /* of all vCPUs */
    unsigned nr_vcpus;
};

/** Told of what happens; for tests that check a property at every step. Any may be NULL. */
struct sim_observer {
    void *context;
    /* From and to: index of the vCPU (in the order of loads, domains, vCPUs), -1 the idle one. */
    void (*switched)(void *context, uint64_t now, unsigned cpu, int from, int to);
    void (*woke)(void *context, uint64_t now, int vcpu);
    void (*blocked)(void *context, uint64_t now, int vcpu);
};

/**
 * Make the machine, run it for warmup and length, take it down.
 *
 * @param observer  NULL: none
 * @param result    to be freed by sim_result_free()
 * @return 0; -1 with a message on stderr: no such policy, an impossible configuration, no memory
 */
int sim_run(const struct sim_config *config, const struct sim_observer *observer, struct sim_result *result);

void sim_result_free(struct sim_result *result);

/** The n-th policy that is linked in and a line about it; NULL behind the last. */
const char *sim_policy(unsigned n, const char **doc);
bool sim_has_policy(const char *name);
/** Say that there is none of that name, and which there are. @return -1 */
int sim_no_policy(const char *name);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The inside of the simulated machine, shared by its files: machine.c (processors and time), start.c (making it, results),
 * load.c (what vCPUs want), fluid.c (the fluid schedule beside it).
 */
#ifndef PARANGON_SIM_MODEL_H
#define PARANGON_SIM_MODEL_H

#include "core/domain.h"
#include "sim/events.h"
#include "sim/machine.h"
#include "sim/random.h"
#include "sim/replay_steps.h"

#define SIM_FOREVER UINT64_MAX /* a burst without end */
#define SIM_NO_CPU  UINT32_MAX
#define SIM_NO_FLOW UINT32_MAX
#define SIM_WORK(ns) ((u64)(ns) << 16) /* work is counted in 2^-16 ns */

struct sim_domain;

/* A request of a service. On its way through another domain: there, in its own, there again. */
enum sim_stage { SIM_DIRECT, SIM_COMING, SIM_IN, SIM_GOING };

struct sim_request {
    ns_t arrived;
    u64 work;                      /* in its own domain, 2^-16 ns */
    struct sim_domain *origin;
    enum sim_stage stage;
};

struct sim_vcpu {
    struct vcpu hv;                /* what the scheduler knows of it */
    struct sim_domain *dom;
    const struct sim_load *load;
    struct sim_load_result *load_result;
    u64 left;                      /* work left of the burst; SIM_FOREVER */
    u64 overhead;                  /* work to be done before it */
    u32 last_cpu;                  /* where it runs or last ran */
    bool running;
    bool spins;                    /* the burst is waiting, not work */
    ns_t woke;                     /* when, until it runs; else SIM_NEVER */
    ns_t began;                    /* of the present burst or request, for its response time */
    ns_t release;                  /* periodic: the next */
    struct sim_random random;
    struct sim_request request;    /* service: that it works on */
    u32 op, signals;               /* script: its next step; events that have come and are not waited for yet */
    bool waits;                    /* script: for an event */
};

struct sim_domain {
    struct domain hv;
    const struct sim_load *load;
    struct sim_load_result *load_result;
    struct sim_vcpu *vcpus;
    unsigned nr_vcpus, index;
    u64 used;                      /* ns on pcpus */
    u64 work, work_before;         /* 2^-16 ns, since the statistics began and before */
    struct sim_random random;
    /* service: requests that wait, oldest first; a ring */
    struct sim_request *queue;
    u32 queue_size, queue_head, queue_tail;
    struct sim_domain *via;        /* through which its requests go, or NULL */
    /* barrier */
    unsigned arrived;
    ns_t round;
    /* fluid schedule */
    struct sim_cpu *runs_on;       /* the first of the pcpus that it runs on, in no order */
    u32 runnable;                  /* vCPUs that want to run */
    u32 flow;                      /* it has work left there: its index in `flows`; else SIM_NO_FLOW */
    double fluid;                  /* work done there, ns; while it flows, flows.done has it */
    double behind, ahead;
};

struct sim_cpu {
    struct sim_vcpu *runs;         /* NULL: idle */
    ns_t since;                    /* up to when progress is settled */
    ns_t deadline;                 /* of its timer interrupt */
    u32 rate;                      /* 2^-16 */
    bool raised, kicked;
    struct sim_cpu *next, **link;  /* fluid schedule: the next pcpu of the domain; what points here */
};

struct sim_machine {
    const struct sim_config *config;
    const struct sim_observer *observer;
    const struct sim_replay_cpu *placed; /* replay: where each pcpu is; NULL: as the configuration says */
    unsigned nr_cpus, threads, cores;
    u32 nr_vcpus, nr_domains;
    struct sim_cpu *cpus;
    struct sim_vcpu *vcpus;
    struct sim_domain *domains;
    struct sim_events queue;
    u32 *raised;                   /* pcpus asked to decide, in order: a ring, in which each is once at most */
    u32 raised_head, raised_tail;
    u32 turn;                      /* the pcpu whose turn it is, whose event is set at the end; SIM_NO_CPU */
    /* what is now */
    int nr_waiting;                /* runnable, not running */
    int nr_idle, nr_idle_beside, cores_same, cores_other;
    /* since the statistics began */
    ns_t accounted;
    u64 forced_before;             /* what the scheduler said then */
    u64 idle_while_waiting, forced_idle, corun_same, corun_other, overhead;
    u64 decisions, switches, migrations, far_migrations, wakes, events, dropped;
    /* fluid schedule */
    struct sim_flows {
        struct sim_domain **domain;
        double *rate, *left, *done; /* processors; ns of work */
        double *limit, *weight;     /* for the division: the most that it can use */
        u32 *open;                  /* who is not at its limit: within the division only */
        u32 nr;
    } flows;                       /* of the domains that have work left there; one array each, for loops over many */
    ns_t fluid_at;                 /* all domains' work there is as of then */
    double fluid_lasts;            /* from then, ns: it flows evenly for so long */
    bool fluid_stale;              /* who gets how much has to be found anew */
};

extern struct sim_machine sim;

/* machine.c */
/** v's burst is this long from now on. */
void sim_set_burst(struct sim_vcpu *v, u64 work);
/** v, which runs, waits for an event; sim_wake() ends that. */
void sim_block(struct sim_vcpu *v);
void sim_wake(struct sim_vcpu *v);
void sim_yield(struct sim_vcpu *v);
/** The next sim_load_timer(v), sim_load_arrival(d); SIM_NEVER: none. */
void sim_set_timer(struct sim_vcpu *v, ns_t when);
void sim_set_arrival(struct sim_domain *d, ns_t when);
void sim_run_until(ns_t end);
void sim_settle_all(void);
/** sim_cpu becomes the next pcpu that was asked to decide. False: there is none. */
bool sim_next_raised(void);

/* load.c */
/** The machine starts: first burst or first sleep of each vCPU, all blocked so far. */
void sim_load_start(struct sim_domain *d);
/** v, which runs, has done its burst. */
void sim_load_done(struct sim_vcpu *v);
/** v's timer has come. */
void sim_load_timer(struct sim_vcpu *v);
/** A request for d arrives. */
void sim_load_arrival(struct sim_domain *d);

/* fluid.c */
/** Room for the fluid of so many domains. @return 0; -1: no memory */
int sim_fluid_init(u32 nr_domains);
void sim_fluid_free(void);
/** So much work for d has come, ns of work; INFINITY for a hog. */
void sim_fluid_arrive(struct sim_domain *d, double ns);
/** One vCPU of d more (1) or less (-1) wants to run. */
void sim_fluid_change(struct sim_domain *d, int by);
/** d begins or ends to run: where its lag is at its ends. */
void sim_fluid_note(struct sim_domain *d);
/** The machine has so many processors from now on. */
void sim_fluid_cpus(u32 nr);
/** The work done for d in the fluid schedule, ns, up to now. */
double sim_fluid_done(struct sim_domain *d);
/** Statistics begin: `work` has become `work_before`; lags count from now on. */
void sim_fluid_reset(void);
/** Set the feasible share of each domain. */
void sim_fluid_feasible(struct sim_result *result);

#endif

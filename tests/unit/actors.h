/* SPDX-License-Identifier: MIT */
/*
 * Loads for scheduler tests: vCPUs that run, sleep and yield by a rule, in virtual time, on the
 * simulated machine.
 */
#ifndef PARANGON_TESTS_ACTORS_H
#define PARANGON_TESTS_ACTORS_H

#include "machine.h"

enum actor_rule {
    HOG,       /* always wants to run */
    SLEEPER,   /* runs `run`, sleeps `rest`, again and again */
    YIELDER,   /* runs `run`, yields */
};

struct actor {
    struct vcpu *v;
    enum actor_rule rule;
    ns_t run, rest;
    ns_t left;         /* of the present burst */
    ns_t wake_at;      /* NS_NEVER: awake */
    ns_t woke;         /* when it last woke, until it runs */
    bool waiting;
    ns_t used;         /* processor time, as the test saw it */
    ns_t worst_wait;   /* longest time from waking to running */
};

/** Add an actor for vCPU v; bursts begin now. */
struct actor *actor_add(struct vcpu *v, enum actor_rule rule, ns_t run, ns_t rest);
/** Forget all, for the next test. */
void actors_reset(void);
/**
 * Let time pass on pcpu 0; checks at each step that what runs may run. Returns the time that nobody
 * ran.
 */
ns_t actors_run(ns_t ns);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Loads for scheduler tests: see actors.h. Time goes from one event to the next: a burst or a rest
 * ends, an interrupt comes.
 */
#include "actors.h"

#include <criterion/criterion.h>

#include "sched/sched.h"

#define MAX_ACTORS 32

static struct actor actors[MAX_ACTORS];
static unsigned int nr_actors;

void actors_reset(void)
{
    nr_actors = 0;
}

struct actor *actor_add(struct vcpu *v, enum actor_rule rule, ns_t run, ns_t rest)
{
    struct actor *a = &actors[nr_actors++];

    cr_assert_leq(nr_actors, MAX_ACTORS);
    *a = (struct actor){.v = v, .rule = rule, .run = run, .rest = rest, .left = run, .wake_at = NS_NEVER,
                        .woke = host_now, .waiting = true};
    return a;
}

static struct actor *actor_of(const struct vcpu *v)
{
    for (unsigned int i = 0; i < nr_actors; i++) {
        if (actors[i].v == v)
            return &actors[i];
    }
    return NULL;
}

/* The burst is over: sleep or yield, and begin the next. */
static void end_burst(struct actor *a)
{
    a->left = a->run;
    if (a->rule == SLEEPER) {
        a->wake_at = host_now + a->rest;
        sched_block_current();
    } else {
        sched_yield_current();
    }
}

static void wake_those_due(void)
{
    for (unsigned int i = 0; i < nr_actors; i++) {
        struct actor *a = &actors[i];

        if (a->wake_at > host_now)
            continue;
        a->wake_at = NS_NEVER;
        a->woke = host_now;
        a->waiting = true;
        vcpu_unpause(a->v, VPF_BLOCKED);
    }
}

ns_t actors_run(ns_t ns)
{
    ns_t until = host_now + ns, idle = 0;

    host_schedule();
    while (host_now < until) {
        struct vcpu *v = host_running(0);
        struct actor *a = actor_of(v);
        ns_t step = until - host_now;

        cr_assert(v->is_idle || (a && vcpu_runnable(v)), "what runs may run");
        if (a && a->waiting) {
            a->waiting = false;
            a->worst_wait = max_of(a->worst_wait, host_now - a->woke);
        }
        if (a && a->rule != HOG)
            step = min_of(step, a->left);
        for (unsigned int i = 0; i < nr_actors; i++) {
            if (actors[i].wake_at != NS_NEVER)
                step = min_of(step, actors[i].wake_at - host_now);
        }
        if (host_next_interrupt() != NS_NEVER)
            step = min_of(step, host_next_interrupt() - host_now);

        if (a)
            a->used += step;
        else
            idle += step;
        /*
         * What the running vCPU does at this moment comes before the interrupt that may come with
         * it.
         */
        host_now += step;
        if (a && a->rule != HOG) {
            a->left -= step;
            if (!a->left)
                end_burst(a);
        }
        wake_those_due();
        host_advance(0);
    }
    return idle;
}

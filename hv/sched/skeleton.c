/* SPDX-License-Identifier: MIT */
/*
 * Scheduling policy "skeleton": where a new policy begins. Copy this file, rename, change the parts
 * marked (1) to (7).
 *
 * It works, and is compiled and tested as the others are: last woken, first run, each for up to 5
 * ms; the shortest order that is obviously not the one you want. The head comment of your copy is
 * its contract: say what order it keeps, why one would want it, which locks it takes, and what it
 * does not do.
 *
 * Locks: all operations run under the runqueue's lock; takes none itself. What you keep per pool or
 * per domain is shared by runqueues: guard it with a spin lock of your own, taken inside the
 * runqueue's (credit.c).
 * Does not: prevent starvation.
 *
 * Rules of a policy (policy.h has the interface):
 *   - Pure: time comes in as `now` and `ran`, never from a clock; a wish for an interrupt goes out
 *     as a limit. No random numbers, no printk, no allocation: memory comes from the framework by
 *     the sizes in SCHED_POLICY.
 *   - A unit is in your queue exactly while it is runnable and runs nowhere: wake() puts it in,
 *     pick() takes the chosen one out and may put prev in, sleep() takes it out if it is in.
 *   - Give no time limit where nothing else waits: a lone vCPU must not be disturbed.
 *
 * To try it: add your file to hv/CMakeLists.txt, build, boot with sched=NAME. Every policy that is
 * registered is driven by tests/unit/test_sched.c without a further word.
 */
#include "policy.h"

/* (1) The longest time that a unit runs while others wait. */
#define SKELETON_SLICE MILLISECS(5)

/* (2) What you keep for each runqueue (of one pcpu, unless .span says otherwise)... */
struct skeleton_queue {
    struct list waiting;
};

/* (3) ...and for each unit. `unit` leads back from a link in a list to what the framework knows. */
struct skeleton_unit {
    struct list node;
    struct sched_unit *unit;
};

static struct list *waiting(struct runqueue *q)
{
    return &((struct skeleton_queue *)q->priv)->waiting;
}

static struct list *node(struct sched_unit *u)
{
    return &((struct skeleton_unit *)u->priv)->node;
}

static void skeleton_queue_init(struct runqueue *q, ns_t now)
{
    list_init(waiting(q));
}

static void skeleton_unit_init(struct sched_unit *u)
{
    list_init(node(u));
    ((struct skeleton_unit *)u->priv)->unit = u;
}

/*
 * (4) A unit became runnable: queue it; say whether it goes before what runs on its pcpu, and by
 * when that one should decide again.
 */
static struct sched_wake_result skeleton_wake(struct runqueue *q, struct sched_unit *u, ns_t now)
{
    const struct sched_pcpu *p = sched_pcpu(u->cpu);

    list_add_head(waiting(q), node(u));
    return (struct sched_wake_result){.preempt = !p->curr, .cpu = u->cpu,
                                      .decide_by = p->curr ? p->picked_at + SKELETON_SLICE : NS_NEVER};
}

/*
 * (5) A unit is not runnable any more. Where it is its pcpu's curr it is in no queue, and
 * list_del() does nothing.
 */
static void skeleton_sleep(struct runqueue *q, struct sched_unit *u, ns_t now)
{
    list_del(node(u));
}

/* The first waiting unit that may run on p, taken out of the queue. */
static struct sched_unit *take_first(struct runqueue *q, const struct sched_pcpu *p)
{
    list_for_each(pos, waiting(q)) {
        struct sched_unit *u = list_entry(pos, struct skeleton_unit, node)->unit;

        if (sched_allowed(u, p->cpu)) {
            list_del(node(u));
            return u;
        }
    }
    return NULL;
}

/*
 * (6) The decision. prev still wants to run, or is NULL; prev->yielded says that it would rather
 * not be the next.
 */
static struct sched_choice skeleton_pick(struct sched_pcpu *p, struct sched_unit *prev, ns_t now)
{
    struct sched_unit *next;

    if (prev)
        list_add_tail(waiting(p->q), node(prev));
    next = take_first(p->q, p);
    if (!next)
        return (struct sched_choice){.slice = NS_NEVER, .why = SCHED_IDLE};
    if (list_empty(waiting(p->q)))
        return (struct sched_choice){.unit = next, .slice = NS_NEVER, .why = SCHED_ONLY};
    return (struct sched_choice){.unit = next, .slice = SKELETON_SLICE, .why = SCHED_TURN};
}

/* (7) p, of another runqueue, would idle: what of ours should it run instead? */
static struct sched_unit *skeleton_steal(struct runqueue *q, struct sched_pcpu *p, ns_t now)
{
    return take_first(q, p);
}

/*
 * Optional: .pool_init, .domain_init, .unit_fini, .params (weight and cap), .charge (time used),
 * .place (which pcpu to wake on), .balance (when to take from others). See credit.c.
 */
SCHED_POLICY(skeleton, .doc = "the template for a new policy", .queue_size = sizeof(struct skeleton_queue),
             .unit_size = sizeof(struct skeleton_unit), .queue_init = skeleton_queue_init,
             .unit_init = skeleton_unit_init, .wake = skeleton_wake, .sleep = skeleton_sleep, .pick = skeleton_pick,
             .steal = skeleton_steal);

/* SPDX-License-Identifier: MIT */
/*
 * What the files of the framework share (sched.c: waking, sleeping, deciding; pool.c: pools, pcpus,
 * units, parameters, affinity). Policies see policy.h only.
 */
#ifndef PARANGON_SCHED_FRAMEWORK_H
#define PARANGON_SCHED_FRAMEWORK_H

#include "core/arch.h"
#include "lib.h"
#include "policy.h"
#include "trace/trace.h"

/** An operation begins, or ends: sched_end() with what sched_begin() said. */
static inline bool sched_begin(void)
{
    bool recorded = TRACE_RECORDS(SCHED);

    if (recorded) {
        spin_lock(&sched_turns);
        sched_turn++;
    }
    return recorded;
}
static inline void sched_end(bool recorded)
{
    if (unlikely(recorded))
        spin_unlock(&sched_turns);
}

/** u's pcpu from now on. The timers of its guest come along: they shall not interrupt the pcpu that it has left. */
void sched_set_cpu(struct sched_unit *u, u16 cpu, u8 why);
/** Lock the runqueue that u belongs to. */
struct runqueue *sched_lock_queue_of(const struct sched_unit *u);
/**
 * u sleeps, and its runqueue q is locked: it wakes if its vCPU may run, where its policy places it.
 * With u->moved or u->sent it is placed in any case. The runqueue is unlocked.
 */
void sched_wake_unit(struct sched_unit *u, struct runqueue *q);
/** Account what p's running unit has used. Its runqueue is locked. */
void sched_charge_current(struct sched_pcpu *p, ns_t now);
/** p shall decide anew: its runqueue is locked. */
void sched_decide_again(struct sched_pcpu *p, ns_t now);
/** Those that the policy wants to decide anew shall; q is locked. */
void sched_send_kicks(struct runqueue *q, ns_t now);
/** An operation on q is over: the policy's kicks go out, and its lock is given up. */
static inline void sched_unlock(struct runqueue *q, ns_t now)
{
    if (unlikely(q->kicked))
        sched_send_kicks(q, now);
    spin_unlock(&q->lock);
}
/** p may be idle: others may place units there if it is. */
void sched_note_idle(struct sched_pcpu *p);
/** Make its slice timer, not set. */
void sched_setup_timer(struct sched_pcpu *p);

/** u comes to wait in q, or does not any more. Locked. */
static inline void sched_waits(struct runqueue *q, struct sched_unit *u)
{
    u->pinned = u->restricted;
    q->pinned += u->pinned;
    if (q->waiting++ == 0 && q->pool->nr_queues > 1)
        cpumask_set_atomic(&q->pool->loaded, q->first);
}

static inline void sched_waits_no_more(struct runqueue *q, struct sched_unit *u)
{
    q->pinned -= u->pinned;
    if (--q->waiting == 0 && q->pool->nr_queues > 1)
        cpumask_clear_atomic(&q->pool->loaded, q->first);
}

/** A queued or running unit is taken from its policy. Locked. */
static inline void sched_unqueue(struct runqueue *q, struct sched_unit *u, ns_t now)
{
    if (!u->running)
        sched_waits_no_more(q, u);
    u->runnable = false;
    q->pool->ops->sleep(q, u, now);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Timers: see timer.h.
 *
 * The hardware deadline is lazy: a pcpu's interrupt is programmed when its earliest deadline moves
 * forward, and left alone when it moves back (a timer stopped or set later), for that is mostly
 * followed by another setting. The price is now and then an interrupt that finds nothing due;
 * timer_run() programs the hardware anew each time, so none is lost even if an interrupt comes
 * early.
 */
#include "timer.h"

#include "arch.h"
#include "domain.h"
#include "lib.h"

struct timer_cpu {
    struct spinlock lock;
    struct pheap heap;
    struct timer *due;    /* taken from the heap by timer_run(), not yet fired */
    struct timer *firing; /* its handler runs; not to be looked into */
    bool closed;          /* the pcpu is unplugged: timers go to pcpu 0 */
    ns_t programmed;      /* what the hardware was last told */
} __aligned_(64);

static struct timer_cpu timer_cpus[NR_PCPUS];

static struct timer *first_queued(const struct timer_cpu *c)
{
    struct pheap_node *n = pheap_first(&c->heap);

    return n ? container_of(n, struct timer, node) : NULL;
}

/* Lock the heap that t belongs to: t->cpu may change until the lock is held. */
static struct timer_cpu *lock_of(const struct timer *t)
{
    for (;;) {
        unsigned int cpu = READ_ONCE(t->cpu);
        struct timer_cpu *c = &timer_cpus[cpu];

        spin_lock(&c->lock);
        if (likely(cpu == READ_ONCE(t->cpu)))
            return c;
        spin_unlock(&c->lock);
    }
}

/* Take t out of what it is in. */
static void dequeue(struct timer_cpu *c, struct timer *t)
{
    if (t->state == TIMER_QUEUED) {
        pheap_remove(&c->heap, &t->node);
    } else if (t->state == TIMER_DUE) {
        struct timer **p = &c->due;

        while (*p != t)
            p = &(*p)->due_next;
        *p = t->due_next;
    }
    t->state = TIMER_OFF;
}

static void enqueue(struct timer_cpu *c, struct timer *t, unsigned int cpu, ns_t expires)
{
    t->cpu = cpu;
    t->node.key = expires;
    t->state = TIMER_QUEUED;
    pheap_insert(&c->heap, &t->node);

    if (expires >= c->programmed)
        return;
    if (cpu == this_cpu()) {
        c->programmed = expires;
        arch_set_timer(expires);
    } else {
        arch_kick_cpu(cpu);
    }
}

void timer_init_cpu(unsigned int cpu)
{
    struct timer_cpu *c = &timer_cpus[cpu];

    memset(c, 0, sizeof(*c));
    c->programmed = NS_NEVER;
    spin_lock_init(&c->lock, LOCK_TIMER);
}

void timer_setup(struct timer *t, void (*fn)(void *arg), void *arg)
{
    memset(t, 0, sizeof(*t));
    t->fn = fn;
    t->arg = arg;
}

/*
 * A timer changes heaps while it is in none: t->cpu says at each moment whose lock guards it, so
 * that one who stops it meanwhile, from another pcpu, never looks for it in the wrong heap.
 */
void timer_set(struct timer *t, unsigned int cpu, ns_t expires)
{
    struct timer_cpu *c;

    ASSERT_NAMED("timer_is_set_up", t->fn);
    ASSERT_NAMED("timer_cpu_exists", cpu < NR_PCPUS);
    for (;;) {
        c = lock_of(t);
        dequeue(c, t);
        if (unlikely(t->cpu == cpu && c->closed))
            cpu = 0;
        if (likely(t->cpu == cpu))
            break;
        WRITE_ONCE(t->cpu, cpu);
        spin_unlock(&c->lock);
    }
    enqueue(c, t, cpu, expires);
    spin_unlock(&c->lock);
}

void timer_stop(struct timer *t)
{
    struct timer_cpu *c;

    if (!timer_active(t))
        return;
    c = lock_of(t);
    dequeue(c, t);
    spin_unlock(&c->lock);
}

void timer_settle(struct timer *t)
{
    for (;;) {
        struct timer_cpu *c = lock_of(t);
        bool firing = c->firing == t;

        dequeue(c, t);
        spin_unlock(&c->lock);
        if (!firing)
            return;
        arch_relax();
    }
}

void timer_close_cpu(unsigned int cpu)
{
    struct timer_cpu *c = &timer_cpus[cpu], *to = &timer_cpus[0];
    struct timer *t;

    spin_lock(&c->lock);
    while (!spin_trylock(&to->lock)) /* nobody waits for one timer lock inside another */
        arch_relax();
    c->closed = true;
    while ((t = first_queued(c))) {
        pheap_remove(&c->heap, &t->node);
        enqueue(to, t, 0, timer_expires(t));
    }
    c->programmed = NS_NEVER;
    arch_set_timer(NS_NEVER);
    spin_unlock(&to->lock);
    spin_unlock(&c->lock);
}

void timer_open_cpu(unsigned int cpu)
{
    HOLD(&timer_cpus[cpu].lock);

    timer_cpus[cpu].closed = false;
}

void timer_migrate(struct timer *t, unsigned int cpu)
{
    struct timer_cpu *c, *to = &timer_cpus[cpu];

    if (!timer_active(t) || t->cpu == cpu)
        return;
    c = lock_of(t);
    if (t->state == TIMER_QUEUED && to != c && spin_trylock(&to->lock)) {
        if (!to->closed) {
            dequeue(c, t);
            enqueue(to, t, cpu, timer_expires(t));
        }
        spin_unlock(&to->lock);
    }
    spin_unlock(&c->lock);
}

/*
 * What is due is taken from the heap before the first handler runs: a handler that sets its timer
 * into the past makes another interrupt, not an endless loop here. Until its turn comes a due timer
 * can still be stopped or set again.
 */
void timer_run(void)
{
    struct timer_cpu *c = &timer_cpus[this_cpu()];
    ns_t now = now_ns();
    struct timer **tail = &c->due;
    struct timer *t;

    spin_lock(&c->lock);
    while (*tail)
        tail = &(*tail)->due_next;
    while ((t = first_queued(c)) && timer_expires(t) <= now) {
        pheap_remove(&c->heap, &t->node);
        t->state = TIMER_DUE;
        t->due_next = NULL;
        *tail = t;
        tail = &t->due_next;
    }
    while ((t = c->due)) {
        void (*fn)(void *arg) = t->fn;
        void *arg = t->arg;

        c->due = t->due_next;
        t->state = TIMER_OFF;
        c->firing = t;
        spin_unlock(&c->lock);
        fn(arg);
        spin_lock(&c->lock);
        c->firing = NULL;
    }
    t = first_queued(c);
    c->programmed = t ? timer_expires(t) : NS_NEVER;
    arch_set_timer(c->programmed);
    spin_unlock(&c->lock);
}

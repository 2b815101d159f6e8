/* SPDX-License-Identifier: MIT */
/*
 * The lock order, asserted (DESIGN §3, decision 7): each pcpu remembers which locks it holds, and to wait for one whose
 * rank is not further down ends the machine with both ranks, on the first pass, whether or not anybody else wanted
 * them. In debug builds and the host library only; a release build has neither this file nor a call of it.
 *
 * The order itself is enum lock_rank (include/lib.h). Does not: check locks that are tried (spin_trylock()), since a
 * processor that does not wait cannot be part of a deadlock; they are remembered all the same.
 */
#include "arch.h"
#include "domain.h"
#include "lib.h"

/** Most locks that one pcpu holds at once: more is a mistake of its own. */
#define MAX_HELD 12

static struct {
    unsigned int nr;
    const struct spinlock *lock[MAX_HELD]; /* in the order in which they were taken */
} held[NR_PCPUS];

static const char *const names[] = {
    [LOCK_REAPING] = "reaping",       [LOCK_DEVICES] = "devices",         [LOCK_PAGE_TABLES] = "page tables",
    [LOCK_TOPOLOGY] = "topology",       [LOCK_EVTCHN] = "evtchn",
    [LOCK_PORT] = "port",             [LOCK_VIRQ] = "virq",               [LOCK_CONSOLE] = "console",
    [LOCK_FIFO_QUEUE] = "FIFO queue", [LOCK_GRANT] = "grant",             [LOCK_P2M] = "p2m",
    [LOCK_DOMAIN_LIST] = "domain list", [LOCK_DOMAIN] = "domain",         [LOCK_APIC_TIMER] = "local APIC timer",
    [LOCK_SCHED_TURN] = "turn of sched", [LOCK_SCHED] = "sched",
    [LOCK_RUNQUEUE] = "runqueue",     [LOCK_POLICY] = "policy",           [LOCK_TIMER] = "timer",
    [LOCK_HEAP] = "heap",             [LOCK_BUDDY] = "buddy",             [LOCK_LOG] = "log"};

/** May a lock be waited for by one who holds `top`? */
static bool follows(const struct spinlock *top, const struct spinlock *l)
{
    if (l->rank != top->rank)
        return l->rank > top->rank;
    return l > top && (l->rank == LOCK_PORT || l->rank == LOCK_FIFO_QUEUE || l->rank == LOCK_GRANT ||
                       l->rank == LOCK_RUNQUEUE);
}

void lock_order_wait(const struct spinlock *l)
{
    unsigned int cpu = this_cpu();

    if (l->rank == LOCK_NONE || l->rank >= ARRAY_SIZE(names))
        panic("lock %p was never given a rank", (const void *)l);
    for (unsigned int i = 0; i < held[cpu].nr; i++)
        if (!follows(held[cpu].lock[i], l))
            panic("lock order: a %s lock is taken inside a %s lock", names[l->rank], names[held[cpu].lock[i]->rank]);
}

void lock_order_taken(const struct spinlock *l)
{
    unsigned int cpu = this_cpu();

    if (held[cpu].nr == MAX_HELD)
        panic("lock order: %d locks are held at once", MAX_HELD);
    held[cpu].lock[held[cpu].nr++] = l;
}

void lock_order_given(const struct spinlock *l)
{
    unsigned int cpu = this_cpu(), i = held[cpu].nr;

    while (i > 0 && held[cpu].lock[i - 1] != l)
        i--;
    if (i == 0)
        panic("lock order: a %s lock is given up that is not held", names[l->rank]);
    for (held[cpu].nr--; i <= held[cpu].nr; i++)
        held[cpu].lock[i - 1] = held[cpu].lock[i];
}

void lock_order_none(void)
{
    unsigned int cpu = this_cpu();

    if (held[cpu].nr)
        panic("lock order: a %s lock is still held", names[held[cpu].lock[held[cpu].nr - 1]->rank]);
}

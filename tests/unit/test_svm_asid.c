/* SPDX-License-Identifier: MIT */
/*
 * Flushes of nested translations across pcpus on SVM (hv/x86/hvm/svm_asid.h): a pcpu that runs a vCPU, and one that changes a nested entry and then
 * goes on as if nobody used the old one, in every order in which their steps can fall. The TLB is a model: one translation for each address-space
 * number, which is filled when the guest first uses it and stays until everything is flushed.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "x86/hvm/svm_asid.h"

#define NUMBERS 4 /* 1 to 3 are guests'; the first one given is the last of its generation */
#define FLUSHES 2
#define ENTRIES 3

struct machine {
    unsigned int entry, done;     /* version of the nested entry; the newest that nobody may use an older one of */
    u64 seen;
    bool interrupt;               /* sent, not served */
    struct svm_asids asids;
    u32 asid;
    bool flush_all, picked;
    unsigned int tlb[NUMBERS];    /* the version that is remembered; 0: none */
    unsigned int at[2];           /* steps taken by who runs, and who flushes */
};

enum { WAIT, LOOK, TAKE, RUN, STEPS };
/* Behind what it waits for, as svm.c; and before, which is wrong. */
static const int as_in_svm[STEPS] = {WAIT, LOOK, TAKE, RUN}, too_early[STEPS] = {LOOK, TAKE, WAIT, RUN};
static unsigned long stale, orders;

static void running_pcpu(struct machine *m, const int *order)
{
    switch (order[m->at[0]++ % STEPS]) {
    case WAIT: /* for a lock */
        m->interrupt = false;
        break;
    case LOOK:
        m->picked = !m->seen;
        if (m->picked)
            m->asid = svm_next_asid(&m->asids, &m->flush_all);
        break;
    case TAKE:
        if (m->picked)
            svm_asid_taken(&m->asids, &m->seen);
        break;
    case RUN:
        if (m->flush_all)
            memset(m->tlb, 0, sizeof(m->tlb));
        m->flush_all = false;
        if (m->interrupt) { /* the guest's first instruction does not execute */
            m->interrupt = false;
            break;
        }
        if (!m->tlb[m->asid])
            m->tlb[m->asid] = m->entry;
        stale += m->tlb[m->asid] < m->done;
        break;
    }
}

/* False: it waits. */
static bool flushing_pcpu(struct machine *m)
{
    switch (m->at[1] % 4) {
    case 0:
        m->entry++;
        break;
    case 1:
        m->seen = 0;
        break;
    case 2:
        m->interrupt = true;
        break;
    case 3:
        if (m->interrupt)
            return false;
        m->done = m->entry;
        break;
    }
    m->at[1]++;
    return true;
}

static void every_order(const struct machine *m, const int *order)
{
    struct machine next;

    if (m->at[0] == STEPS * ENTRIES) {
        orders++;
        return;
    }
    next = *m;
    running_pcpu(&next, order);
    every_order(&next, order);
    next = *m;
    if (m->at[1] < 4 * FLUSHES && flushing_pcpu(&next))
        every_order(&next, order);
}

static unsigned long stale_uses(const int *order)
{
    struct machine m = {.entry = 1, .asids = {.next = NUMBERS - 1, .nr = NUMBERS, .generation = 1}};

    stale = orders = 0;
    every_order(&m, order);
    cr_expect_gt(orders, 10000);
    return stale;
}

Test(svm_asid, no_flush_is_missed)
{
    cr_expect_eq(stale_uses(as_in_svm), 0);
}

Test(svm_asid, a_look_before_the_wait_is_found_out)
{
    cr_expect_gt(stale_uses(too_early), 0);
}

Test(svm_asid, numbers_come_again_only_behind_a_flush)
{
    struct svm_asids a = {.next = 1, .nr = NUMBERS, .generation = 1};
    bool used[NUMBERS] = {false}, flush_all;

    for (unsigned int i = 0; i < 20; i++) {
        u32 n;

        flush_all = false;
        n = svm_next_asid(&a, &flush_all);
        if (flush_all)
            memset(used, 0, sizeof(used));
        cr_assert(n > 0 && n < NUMBERS && !used[n]);
        used[n] = true;
    }
}

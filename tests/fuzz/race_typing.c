/* SPDX-License-Identifier: MIT */
/*
 * Frame words and page-table entries under real threads: several processors take and drop references of the same frames, while a
 * processor's walker sets A and D in the entry that another changes.
 *
 *   race_typing -n ROUNDS
 *
 * Everything that is done is undone, so each word must be at its end what it was at its beginning: one lost change shows. One frame
 * goes from owner to owner with the same word each time: nobody may get a reference for the domain that has just lost it. No frame
 * changes its type here (that takes the domain's lock, and the simulated TLBs are one thread's); fuzz_typing does that.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "pv_host.h"
#include "x86/pv/pv.h"
#include "x86/pv/typing.h"
#include "x86/x86.h"

#define FRAMES  512
#define FLAGS   (PTE_P | PTE_RW | PTE_US)
#define HOLDERS 2

static struct domain *d;
static u64 l1, page[2], wanderer;
static unsigned long rounds = 1000000;
static bool changing, wandering;
static unsigned long marks;

static void check(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "race_typing: %s\n", what);
        exit(1);
    }
}

/* References of a data page and of a table, taken and dropped. */
static void *hold(void *unused)
{
    struct frame *f = frame_of(MFN(page[0]));

    (void)unused;
    for (unsigned long i = 0; i < rounds; i++) {
        check(frame_get(f, d), "no reference of a page that its domain has");
        check(!frame_get_type(MFN(page[0]), FT_WRITABLE, d), "no writable reference of a writable page");
        check(!frame_put_type(MFN(page[0]), false), "a writable reference cannot be dropped");
        frame_put(f);
        check(!frame_get_type(MFN(l1), FT_L1, d), "no reference of a validated table");
        check(!frame_get_table(MFN(l1), FT_L1, d), "no second one");
        check(!frame_put_table(MFN(l1)), "it cannot be dropped");
        check(!frame_put_type(MFN(l1), false), "nor the first");
    }
    return NULL;
}

/* An entry goes from page to page, and its free bits change, A and D kept. */
static void *change(void *unused)
{
    u64 *entry = map_mfn(MFN(l1));

    (void)unused;
    for (unsigned long i = 0; i < rounds; i++)
        for (unsigned int step = 0; step < 4; step++) {
            u64 val = page[step >> 1] << PAGE_SHIFT | (step & 1 ? FLAGS | PTE_AVL : FLAGS);

            check(!pte_change(entry, val, 1, d, true), "an entry cannot be changed");
        }
    __atomic_store_n(&changing, false, __ATOMIC_RELEASE);
    return NULL;
}

/* What a processor's walker does to an entry in use. */
static void *walk(void *unused)
{
    u64 *entry = map_mfn(MFN(l1));

    (void)unused;
    while (__atomic_load_n(&changing, __ATOMIC_ACQUIRE)) {
        __atomic_fetch_or(entry, PTE_A | PTE_D, __ATOMIC_SEQ_CST);
        __atomic_fetch_and(entry, ~(u64)(PTE_A | PTE_D), __ATOMIC_SEQ_CST);
        marks++;
    }
    return NULL;
}

/* Freed and given to somebody else, again and again, whenever nobody but the allocation refers to it. */
static void *wander(void *allocated)
{
    struct frame *f = frame_of(MFN(wanderer));
    const u64 word = *(const u64 *)allocated;

    while (__atomic_load_n(&wandering, __ATOMIC_ACQUIRE)) {
        u64 now = word;

        if (!__atomic_compare_exchange_n(&f->word, &now, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            continue;
        __atomic_store_n(&f->owner, f->owner == d->id ? DOMID_XEN : d->id, __ATOMIC_SEQ_CST);
        __atomic_store_n(&f->word, word, __ATOMIC_SEQ_CST);
    }
    return NULL;
}

/* A reference is one of a frame that is this domain's as long as it is held. */
static void *catch(void *unused)
{
    struct frame *f = frame_of(MFN(wanderer));

    (void)unused;
    for (unsigned long i = 0; i < 4 * rounds; i++) {
        if (!frame_get(f, d))
            continue;
        check(__atomic_load_n(&f->owner, __ATOMIC_SEQ_CST) == d->id, "a reference of a frame that is another's by now");
        frame_put(f);
    }
    __atomic_store_n(&wandering, false, __ATOMIC_RELEASE);
    return NULL;
}

int main(int argc, char **argv)
{
    u64 before[FRAMES];
    pthread_t thread[HOLDERS + 4];
    unsigned int n = 0;

    if (argc > 2 && strcmp(argv[1], "-n") == 0)
        rounds = strtoul(argv[2], NULL, 10);
    host_machine_start(FRAMES, 1, "null");
    d = host_domain(1, 1, 0);
    host_load_l4(d->vcpu[0]);
    host_set_current(d->vcpu[0]);
    l1 = host_frame(d).n, page[0] = host_frame(d).n, page[1] = host_frame(d).n, wanderer = host_frame(d).n;
    *(u64 *)map_mfn(MFN(l1)) = page[0] << PAGE_SHIFT | FLAGS;
    check(!frame_pin(MFN(l1), FT_L1, d), "the table cannot be pinned");
    for (unsigned int i = 0; i < 2; i++)
        check(!frame_get_type(MFN(page[i]), FT_WRITABLE, d), "a page cannot be made writable");
    check(!pte_change(map_mfn(MFN(l1)), page[1] << PAGE_SHIFT | FLAGS | PTE_AVL, 1, d, false), "the entry cannot be set");
    for (unsigned int i = 0; i < FRAMES; i++)
        before[i] = frame_table[i].word;

    changing = wandering = true;
    pthread_create(&thread[n++], NULL, change, NULL);
    pthread_create(&thread[n++], NULL, walk, NULL);
    pthread_create(&thread[n++], NULL, wander, &before[wanderer]);
    pthread_create(&thread[n++], NULL, catch, NULL);
    for (unsigned int i = 0; i < HOLDERS; i++)
        pthread_create(&thread[n++], NULL, hold, NULL);
    while (n)
        pthread_join(thread[--n], NULL);
    frame_of(MFN(wanderer))->owner = d->id;

    for (unsigned int i = 0; i < FRAMES; i++)
        if (before[i] != frame_table[i].word) {
            fprintf(stderr, "race_typing: frame %x is %llx, was %llx\n", i, (unsigned long long)frame_table[i].word,
                    (unsigned long long)before[i]);
            return 1;
        }
    check((*(u64 *)map_mfn(MFN(l1)) & PTE_MFN) == page[1] << PAGE_SHIFT, "the entry names another page than the last one");
    printf("race_typing: %lu rounds on %u threads, %lu marks of the walker; all words as they were\n", rounds, HOLDERS + 4, marks);
    host_machine_stop();
    return 0;
}

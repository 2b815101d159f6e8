/* SPDX-License-Identifier: MIT */
/*
 * Address-space numbers of a pcpu's tagged TLB (APM vol. 2 §15.16): a vCPU whose translations are to go gets a number that nothing is tagged with.
 * When the numbers are used up, everything is flushed and all begin again, in a new generation.
 *
 * A vCPU's `seen` is the generation that its number is of; 0: of none, which hvm_ops.flush() of any pcpu stores. That a flush is never missed:
 *  1. Who changes a nested table writes the entry, stores 0, and interrupts the pcpus that have the vCPU, in this order, and goes on only when each has
 *     served that: in an interrupt's exit, or where it waits for a lock.
 *  2. The loop looks at `seen` behind both, as the last thing before an entry, with interrupts off: a 0 that came while it waited is found.
 *  3. A 0 that comes later finds an interrupt waiting at the entry, which exits before the guest's first instruction, and 2 follows.
 *  4. A 0 that is overwritten here, since it came between the look and the store, is of a change that the new number knows: the store is an
 *     XCHG, behind which the change is visible, and nothing is tagged with the number before it.
 */
#ifndef PARANGON_HVM_SVM_ASID_H
#define PARANGON_HVM_SVM_ASID_H

#include "types.h"

struct svm_asids {
    u32 next, nr; /* the next one to give, and their number: 1 to nr - 1 are guests' */
    u64 generation;
};

/** A number that nothing is tagged with. *flush_all: all is to be flushed at the entry; else it is left as it is. */
static inline u32 svm_next_asid(struct svm_asids *a, bool *flush_all)
{
    if (a->next >= a->nr) {
        a->next = 1;
        a->generation++;
        *flush_all = true;
    }
    return a->next++;
}

/** The vCPU has it: `seen` is the generation. */
static inline void svm_asid_taken(const struct svm_asids *a, u64 *seen)
{
    __atomic_exchange_n(seen, a->generation, __ATOMIC_SEQ_CST);
}

#endif

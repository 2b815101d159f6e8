/* SPDX-License-Identifier: MIT */
/*
 * Hypercall family "skeleton": where a new family begins. Copy this file, rename, change the parts
 * marked (1) to (6).
 *
 * It is compiled with the others and called by nobody: no number of the ABI is its own. The head
 * comment of your copy says which header of the ABI it follows, who may call it, which locks it
 * takes, and what it does not do.
 *
 * This one adds up 64-bit words of the caller's memory, a page at a time.
 *
 * Locks: none. Does not: check for overflow of the sum.
 *
 * To put a family in: one CALL() line in core/hypercall.h, which makes its prototype too, its file in
 * hv/CMakeLists.txt, and a test in guests/micro/tests (skeleton.c there), which runs on Debian's Xen
 * too.
 */
#include "hypercall.h"

/* (1) Sub-operations and arguments. Those of the ABI come from its headers (abi.h); never write
 * them again. */
#define SKELETON_add 0

struct skeleton_add {
    u64 at;   /* IN: address of the words */
    u64 nr;   /* IN: how many; OUT: 0 when done */
    u64 sum;  /* IN: what to begin with; OUT: the sum */
};

#define WORDS_AT_ONCE 64

/* (2) The prototype: in core/hypercall.h for a real one. Six arguments, as the ABI numbers them. */
long do_skeleton_op(u64 cmd, u64 arg, u64 a3, u64 a4, u64 a5, u64 a6);

static long add(struct skeleton_add *op, gva_t arg)
{
    u64 words[WORDS_AT_ONCE];

    while (op->nr) {
        u64 n = min_of(op->nr, (u64)WORDS_AT_ONCE);

        /* (3) Guest memory only through guest.h. It refuses the hypervisor's addresses and survives
         * a fault; the guest may change its memory at any time, so use the copy, and never read
         * twice what you have checked. */
        if (guest_copy_from(words, op->at, n * sizeof(words[0])))
            return -XEN_EFAULT;
        for (u64 i = 0; i < n; i++)
            op->sum += words[i];
        op->at += n * sizeof(words[0]);
        op->nr -= n;

        /* (4) What the guest can make long stops when other work waits: leave your progress where
         * the call will find it, and have the call issued again. Nothing may be held across this
         * return: no lock, no reference. */
        if (op->nr && hypercall_preempt_check()) {
            if (!guest_write(arg, op))
                return -XEN_EFAULT;
            return hypercall_continue(__HYPERVISOR_arch_7, 2, (u64)SKELETON_add, (u64)arg);
        }
    }
    return guest_write(arg, op) ? 0 : -XEN_EFAULT;
}

/**
 * The family. Runs on the caller's pcpu with interrupts off; the dispatcher traces it, with its
 * arguments and its result.
 *
 * @return 0; -XEN_EFAULT: arg, or what it names, cannot be read or written; -XEN_EPERM: not the
 *         privileged domain; -XEN_ENOSYS: no such sub-operation
 */
long do_skeleton_op(u64 cmd, u64 arg, u64 a3, u64 a4, u64 a5, u64 a6)
{
    struct domain *d = current_vcpu()->domain;
    struct skeleton_add op;

    /* (5) Rights first. refuse() logs the first of each kind, traces all, and gives back the error.
     */
    if (!d->privileged)
        return refuse(d, __HYPERVISOR_arch_7, cmd, -XEN_EPERM);
    switch ((u32)cmd) {
    case SKELETON_add:
        return guest_read(&op, arg) ? add(&op, arg) : -XEN_EFAULT;
    /* (6) What is not there is refused with the errno that the ABI names: no silence, no success,
     * no crash. */
    default:
        return refuse(d, __HYPERVISOR_arch_7, cmd, -XEN_ENOSYS);
    }
}

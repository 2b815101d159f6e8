/* SPDX-License-Identifier: MIT */
/*
 * Marks: how a program inside the guest tells the counting plugin where a measured interval begins and ends.
 *
 * A mark is one 8-byte NOP (0f 1f 84 00 disp32: nopl disp32(%rax,%rax,1), SDM vol. 2B "NOP") whose displacement
 * carries MARK_MAGIC in its upper half and the kind in its lower half. It is a NOP on every platform (native,
 * PV, PVH, HVM, metal), never traps, and costs one instruction; the plugin recognises the bytes when it
 * translates them. What the interval *is* (workload, seed, iteration) the guest says on its console afterwards,
 * in the same order; the harness joins the two sequences and refuses a run where their lengths differ.
 *
 * Shared by guest programs, guests/micro, the trace ring and the plugin. Does not depend on anything.
 */
#ifndef PARANGON_MARK_H
#define PARANGON_MARK_H

#define MARK_MAGIC      0x5047 /* "PG" */
#define MARK_KIND_BEGIN 1      /* a measured interval begins after this instruction */
#define MARK_KIND_END   2      /* it ends before this instruction */
#define MARK_KIND_INIT  3      /* the guest's first user process runs (boot is over) */
#define MARK_KIND_DOM   4      /* the hypervisor is about to enter its first domain */
#define MARK_KIND_FULL  5      /* a part of the hypervisor's trace ring is full: it waits here until that is drained */

#define MARK_STR2(x) #x
#define MARK_STR(x)  MARK_STR2(x)
#define MARK(kind)                                                                                 \
    __asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0x00\n\t.short " MARK_STR(kind) ", " MARK_STR(       \
                         MARK_MAGIC) ::                                                            \
                         : "memory")

#define MARK_BEGIN()  MARK(MARK_KIND_BEGIN)
#define MARK_END()    MARK(MARK_KIND_END)
#define MARK_INIT()   MARK(MARK_KIND_INIT)
#define MARK_DOMAIN() MARK(MARK_KIND_DOM)
#define MARK_FULL()   MARK(MARK_KIND_FULL)

#endif

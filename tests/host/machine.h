/* SPDX-License-Identifier: MIT */
/*
 * The simulated machine that the host library runs on: the processor's side of hv/core/arch.h,
 * guest.h and frame typing for tests.
 *
 * Memory is one array of frames with records as on the real machine; time stands still until
 * host_advance() moves it; pcpus are numbers. A test sets which vCPU is current, or lets the
 * scheduler decide with host_schedule(). A guest's virtual address space is flat: HOST_GUEST_SIZE
 * bytes at HOST_GUEST_BASE, which belong to whichever domain is current and are no frames. The TLB
 * model remembers for each pcpu and frame whether a guest may have cached a writable mapping of it,
 * or an entry of it as page table, since that pcpu's last flush: host_tlb_writable() and
 * host_tlb_table() tell.
 */
#ifndef PARANGON_TESTS_MACHINE_H
#define PARANGON_TESTS_MACHINE_H

#include <setjmp.h>

#include "core/domain.h"
#include "core/guest.h"
#include "x86/frame.h"

#define HOST_GUEST_BASE 0x10000000ull
#define HOST_GUEST_SIZE MB(1)

/**
 * Start with an empty machine of `frames` frames and `cpus` pcpus with idle vCPUs, time 1 s,
 * scheduling policy `policy`.
 */
void host_machine_start(u64 frames, unsigned int cpus, const char *policy);
/** Free all that it holds; leaks are the sanitizer's to find. */
void host_machine_stop(void);

/* ---- domains ---- */

/**
 * A PV domain whose vCPUs are ready to run (not paused), with `frames` frames of memory; aborts if
 * it cannot be made.
 */
struct domain *host_domain(domid_t id, unsigned int vcpus, u64 frames);
/**
 * Give v an empty page table to run on as guest kernel, as the builder of domains does; one of its domain's frames. Page-table
 * calls need it.
 */
void host_load_l4(struct vcpu *v);
/** What the simulated machine counts for a vCPU. */
struct host_vcpu {
    u64 switches_in, switches_out; /* context switches */
    u64 events;                    /* arch_event_pending() calls */
    u64 continued[7];              /* last arch_hypercall_continue(): op, then arguments */
    bool has_continued;
};
struct host_vcpu *host_vcpu(const struct vcpu *v);
/** Destroy it wholly, as the reaper would. */
void host_domain_end(struct domain *d);
/**
 * A frame of memory for d, with the reference of its allocation; MFN_INVALID when there is none.
 */
mfn_t host_frame(struct domain *d);

/**
 * The reference of a frame's allocation: whether it is there still; and drop it, as ballooning out
 * does.
 */
bool host_allocation_held(mfn_t mfn);
void host_drop_allocation(mfn_t mfn);
/** A page of the hypervisor's that its domain may map (arch_share_page()). */
bool host_is_shared(mfn_t mfn);
/** References as writable that are held of d's own frames: without page tables, what arch_get_guest_frame() took. */
u64 host_frames_taken(const struct domain *d);

/** References and type references that the portable part holds of a frame (held.c), since the machine's start. */
struct host_held {
    u32 refs, types;
};
struct host_held host_held(mfn_t mfn);
void host_held_reset(u64 frames);

/* ---- processors and time ---- */

/** Run on this pcpu from now on: current is what it last ran. */
void host_on_cpu(unsigned int cpu);
/**
 * Make v current, as for a hypercall of it, until host_on_cpu() or a switch: the scheduler is not
 * asked and does not know.
 */
void host_set_current(struct vcpu *v);
/** Run the scheduler of each pcpu for which it was raised, until none is. */
void host_schedule(void);
/** Let time pass, firing timers and running the scheduler where it is raised. */
void host_advance(ns_t ns);
/** The next moment at which a timer interrupt is programmed; NS_NEVER: none. */
ns_t host_next_interrupt(void);
/** Timer interrupts taken, and times that the timer was programmed, since the start. */
extern u64 host_timer_interrupts, host_timer_programmed;
/** vCPU that ran last on a pcpu. */
struct vcpu *host_running(unsigned int cpu);
/** Time that v has run, ns. */
ns_t host_time_run(const struct vcpu *v);
/** Whether the scheduler has been asked for. */
bool host_schedule_raised(unsigned int cpu);

/* ---- guest memory ---- */

extern u8 host_guest[HOST_GUEST_SIZE];
/**
 * Room for n bytes in the flat guest memory, zeroed; *gva its address there. All is free again
 * after host_guest_reset().
 */
void *host_guest_alloc(size_t n, gva_t *gva);
void host_guest_reset(void);
/** Copies to or from a guest fail from the n-th byte on, as if it unmapped the page; ~0: never. */
extern size_t host_guest_fault_after;

/* ---- failure and preemption ---- */

/** The n-th allocation from now fails, once (1: the next); 0: none. */
extern unsigned int host_fail_alloc;
/** arch_preempt_needed() is true at its n-th call from now, once; 0: never. */
extern unsigned int host_preempt_after;
/**
 * Where arch_machine_end() goes with longjmp(host_machine_end, 1 + how), if host_catch_end is set.
 */
extern jmp_buf host_machine_end;
extern bool host_catch_end;
/** Threads of a core and cores of a socket, before host_machine_start(). Each pcpu a core, one socket, unless a test says else. */
extern unsigned int host_threads, host_cores;
/** Further pools as sched_make_pools() takes them, before host_machine_start(); NULL: none. */
extern const char *host_pools;
/** Called at the end of each context switch, and of each call that makes a pcpu decide; NULL (at each start): nothing is. */
extern void (*host_on_switch)(struct vcpu *prev);
extern void (*host_on_raise)(unsigned int cpu);

/* ---- what was said ---- */

/** All that went to the console since the last host_console_clear(), zero-terminated. */
const char *host_console(void);
void host_console_clear(void);
bool host_console_has(const char *text);
/** Characters that arch_console_read() will give. */
void host_console_type(const char *s);

/* ---- the TLB model ---- */

/**
 * The guest that is current here wrote to a frame through a mapping, or walked through a table: the
 * TLB may hold that now.
 */
void host_tlb_touch_writable(mfn_t mfn);
void host_tlb_touch_table(mfn_t mfn);
/** The same for a mapping of any kind, readable at least. */
void host_tlb_touch_page(mfn_t mfn);
/** Any pcpu's TLB may hold it still. */
bool host_tlb_writable(mfn_t mfn);
bool host_tlb_table(mfn_t mfn);
/** A TLB may hold a mapping of what has become somebody else's frame (free ones are nobody's). */
bool host_tlb_strangers(mfn_t mfn);
/** Full flush of this pcpu. */
void host_tlb_flush(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Where hv/core and the processor meet: the only header through which portable code reaches hv/x86,
 * and all that a host build has to provide (tests/host/arch_host.c) to run hv/core, hv/sched and
 * frame typing as a library.
 *
 * arch_types.h (hv/x86, or tests/host) defines struct arch_vcpu, struct arch_domain and these
 * inlines:
 *   struct vcpu *current_vcpu(void)      the vCPU that runs on this physical CPU, idle included
 *   unsigned int this_cpu(void)          number of this physical CPU
 *   ns_t now_ns(void)                    system time
 */
#ifndef PARANGON_ARCH_H
#define PARANGON_ARCH_H

#include "types.h"

struct vcpu;
struct domain;

#include "arch_types.h"

/**
 * Pages of hypervisor memory, mapped, zeroed; NULL when there are none. order: log2 of the number
 * of pages.
 */
void *arch_alloc_pages(unsigned int order);
void arch_free_pages(void *p, unsigned int order);
/**
 * Small zeroed objects from the hypervisor's heap (any size up to 1 MiB); NULL when there are none.
 */
void *arch_alloc(size_t size);
void arch_free(void *p); /* NULL: does nothing */

/** Frames of the machine that are free. */
u64 arch_free_memory(void);

/** The hypervisor's address of a frame (permanent mapping of all memory), and back. */
void *arch_map_mfn(mfn_t mfn);
mfn_t arch_virt_to_mfn(const void *p);

/**
 * Take a frame that guest d names (PV: by gfn = mfn or pfn as the call defines), owned by d and
 * typed writable, and keep it so (reference and type reference) until arch_put_guest_frame(). For
 * pages that hypervisor and guest share:
 * vcpu_info, runstate areas by address, FIFO control blocks and event arrays.
 *
 * @return 0 and *va its address in the hypervisor; -XEN_EINVAL if it is not such a frame,
 *         -XEN_EPERM if not d's.
 */
int arch_get_guest_frame(struct domain *d, gfn_t gfn, void **va);
void arch_put_guest_frame(struct domain *d, void *va);

/** Who owns a frame: the id of a domain, DOMID_XEN, DOMID_IO for what is no memory, DOMID_INVALID if free. */
u16 arch_frame_owner(mfn_t mfn);
/** May d reach this frame, which is no memory but a device's registers? */
bool arch_device_allowed(const struct domain *d, mfn_t mfn);
/** The guest frame that a machine frame of d's is (of a PV domain: its pseudo-physical one), as d or its map says. False: none. */
bool arch_gfn_of(const struct domain *d, mfn_t mfn, gfn_t *gfn);
/** A guest frame of d's map is this machine frame from now on. */
void arch_set_gfn(mfn_t mfn, gfn_t gfn);
/** d begins or ends to log which of its frames are written (dirty.h): its hot entries leave their short paths meanwhile. */
void arch_log_dirty(struct domain *d, bool on);
/**
 * Take a frame of `owner` for somebody else's use (a mapping by grant, a foreign entry of a p2m):
 * one reference, and with `writable` a type reference that keeps it from being a page table. The
 * owner may die meanwhile; the frame lives until arch_drop_frame() with the same `writable`.
 *
 * @return 0; -XEN_EINVAL: not its memory; -XEN_EBUSY: writable asked of a page table or of a frame
 *         with segment descriptors, or a count at its limit
 */
int arch_hold_frame(const struct domain *owner, mfn_t mfn, bool writable);
void arch_drop_frame(mfn_t mfn, bool writable);

/**
 * Map a frame that the current domain holds by a grant into its page tables, in place of what is there: by the entry that
 * maps `where`, or with by_entry at the entry at machine address `where`. avail: what the guest wants in the entry's
 * available bits. The entry takes a hold of its own. @return GNTST_okay, GNTST_general_error: no such entry
 */
int16_t arch_grant_map(u64 where, bool by_entry, const struct domain *granter, mfn_t mfn, bool writable, u32 avail);
/** Clear it again, if it maps that frame; other processors' and this one's TLB may hold it until arch_grant_flush(). */
int16_t arch_grant_unmap(u64 where, bool by_entry, mfn_t mfn);
void arch_grant_flush(void);

/**
 * Make a hypervisor page (from arch_alloc_pages) one that domain d may map, writable or not;
 * returns its mfn.
 */
mfn_t arch_share_page(struct domain *d, void *page, bool writable);
/** Take that back; the page itself is freed when the guest has dropped its last mapping. */
void arch_unshare_page(struct domain *d, void *page);

struct vcpu_time_info;
/** How guests compute system time from the TSC; the same on every pcpu, for ever. */
void arch_time_info(struct vcpu_time_info *t);
/** Write the wall clock into d's shared_info. */
void time_publish_wallclock(struct domain *d);
/**
 * Domain d says that at system time `system_time` it was secs and nsecs since 1970: every domain is
 * told.
 */
void time_set_wallclock(struct domain *d, u64 secs, u32 nsecs, u64 system_time);

/** Program this pcpu's timer interrupt for deadline (system time; NS_NEVER: none). */
void arch_set_timer(ns_t deadline);
/** Make pcpu look at its timers and work soon (no-op for this pcpu, an IPI for another). */
void arch_kick_cpu(unsigned int cpu);
/** Ask a pcpu, this one or another, to run the scheduler before it next enters a guest. */
void arch_raise_schedule(unsigned int cpu);
/**
 * Tell v that it has an event: wakes nothing, only makes it take the upcall at its next entry (a
 * kick if it runs elsewhere).
 */
void arch_event_pending(struct vcpu *v);
/**
 * v, which runs here and has made a hypercall, would take an event or an interrupt if it went on: its mask is open
 * (vcpu_info's, or the interrupt flag where that is what masks).
 */
bool arch_event_waits(struct vcpu *v);

/** v has something to look at before it goes on: interrupts the pcpu that it runs on, if another. */
void arch_kick_vcpu(const struct vcpu *v);

/**
 * The scheduler chose `next` on this pcpu while `prev` ran: swap their processor state. Called with
 * interrupts off. `next` may have run elsewhere last: waits until that pcpu has given its state up.
 */
void arch_context_switch(struct vcpu *prev, struct vcpu *next);

/**
 * v does not run: true once no pcpu holds any of its state; one that still does is asked to give it
 * up.
 */
bool arch_vcpu_settled(struct vcpu *v);
/** Create and destroy the processor's part of a vCPU and a domain. 0 or a negative error. */
int arch_vcpu_create(struct vcpu *v);
void arch_vcpu_destroy(struct vcpu *v);
int arch_domain_create(struct domain *d);
/**
 * Give back a dying domain's memory, piece by piece. 0 when done, -XEN_ERESTART when there is more.
 */
int arch_domain_relinquish(struct domain *d);
void arch_domain_destroy(struct domain *d);

/** memory_op's command has the extent that it goes on from above the sub-operation. */
#define MEMOP_EXTENT_SHIFT 6
#define MEMOP_CMD_MASK     ((1u << MEMOP_EXTENT_SHIFT) - 1)
/** The rest of memory_op: what works on a guest's memory as the processor maps it. */
long arch_memory_op(u64 cmd, u64 arg);
/** May d make this hypercall (0 to 63) at all? Calls for a PV domain's page tables and traps are no others'. */
bool arch_hypercall_allowed(const struct domain *d, unsigned int op);
/** The running hypercall should stop and be continued: true if an interrupt or other work waits. */
bool arch_preempt_needed(void);

/**
 * Make the current vCPU issue hypercall op again with these arguments: its instruction pointer goes
 * back over the hypercall instruction, its registers get op and args. @return the value that the
 * hypercall's function returns to the dispatcher.
 */
long arch_hypercall_continue(unsigned int op, unsigned int nr_args, const u64 *args);
/** XENVER_get_features: the bits of a 32-bit submap (0..XENFEAT_NR_SUBMAPS-1) for domain d. */
u32 arch_features(const struct domain *d, unsigned int submap);
/**
 * The build id of the hypervisor's image (XENVER_build_id) and its length; NULL if it was linked
 * without.
 */
const void *arch_build_id(size_t *len);
/** The hypervisor's own command line, zero-terminated. */
const char *arch_command_line(void);
/** What XEN_SYSCTL_physinfo tells of the machine. */
struct arch_physinfo {
    u32 nr_cpus;               /* online: 0..nr_cpus-1 */
    u32 cpu_khz;
    u64 total_pages, free_pages, max_mfn;
};
void arch_get_physinfo(struct arch_physinfo *p);
/** Pcpus of the machine: 0 to n-1, fixed once it has booted; those that run (a bit each); the local APIC's id of one. */
unsigned int arch_nr_cpus(void);
u64 arch_online_mask(void);
u32 arch_cpu_apic_id(unsigned int cpu);
/**
 * Unplug a pcpu: what runs there goes to others, and it is gone (arch_online_mask()) soon after; plug it in again.
 * @return 0; -XEN_EINVAL: there is none such; -XEN_EOPNOTSUPP: pcpu 0 stays; -XEN_EBUSY: it is gone, about to go or to come, or the last of its pool
 */
int arch_cpu_down(unsigned int cpu);
int arch_cpu_up(unsigned int cpu);
/** Where a pcpu is: thread within its core, core within its socket, socket, NUMA node. Known before its idle vCPU is made. */
struct arch_cpu_place {
    u16 thread, core, socket, node;
};
void arch_cpu_place(unsigned int cpu, struct arch_cpu_place *p);
/** Log the registers and the top of the stack of a vCPU whose domain is crashed; a hypercall that it is in says so in its trace record. */
void arch_dump_guest(const struct vcpu *v);
/**
 * VCPUOP_initialise: load a vCPU that is down and not initialised from the guest's
 * vcpu_guest_context or vcpu_hvm_context; *online: the guest wants it up at once. One caller at a
 * time for a vCPU.
 * @return 0, -XEN_EFAULT, -XEN_EINVAL (state that a guest may not have), -XEN_ENOMEM,
 *         -XEN_ERESTART: stopped half way, call again
 */
int arch_vcpu_initialise(struct vcpu *v, gva_t context, bool *online);
/** An NMI for v (VCPUOP_send_nmi), which may run anywhere, or not. One that waits already is the same one. */
void arch_send_nmi(struct vcpu *v);
/** PHYSDEVOP_set_iopl for the current vCPU, iopl 0..3: virtual, the processor's own stays 0. */
void arch_set_iopl(struct vcpu *v, unsigned int iopl);
/**
 * guest_copy_to() in the current vCPU's kernel address space even where its user one is loaded.
 * Returns bytes not copied.
 */
size_t arch_copy_to_guest_kernel(u64 dst, const void *src, size_t n);

/** Characters from the physical console, at most n, without waiting; returns how many. */
size_t arch_console_read(char *buf, size_t n);
/** Write characters to the physical console (serial port). */
void arch_console_write(const char *s, size_t n);

/** Power the machine off, or halt or reboot it. Never returns. */
enum machine_end { MACHINE_POWEROFF, MACHINE_HALT, MACHINE_REBOOT };
void arch_machine_end(enum machine_end how) __attribute__((noreturn));

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls: one table lists them all (hv/hypercall/table.c), one file per family implements them.
 *
 * An implementation takes up to six arguments as the ABI numbers them and returns the value for the
 * guest, negative errno of the ABI on error. Guest pointers come as gva_t and are read through
 * guest.h. A long one calls hypercall_preempt_check() between steps and returns
 * hypercall_continue(op, args...): the instruction is then executed again with the changed
 * arguments, inside a multicall too. Arguments have a width: those of 32-bit callers come
 * zero-extended through hypercall_table_32, whose functions translate structures
 * (hypercall/compat.c).
 */
#ifndef PARANGON_HYPERCALL_H
#define PARANGON_HYPERCALL_H

#include "domain.h"
#include "guest.h"

typedef long hypercall_fn(u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6);

struct hypercall {
    hypercall_fn *fn;      /* NULL: -XEN_ENOSYS */
    const char *name;
    u8 nr_args;            /* how many are defined, for the trace and for clobbering */
};

#define NR_HYPERCALLS 64
extern const struct hypercall hypercall_table[NR_HYPERCALLS];
/** The same for 32-bit callers: arguments zero-extended, of results the lower half counts. */
extern const struct hypercall hypercall_table_32[NR_HYPERCALLS];

/** True when a long operation should stop here and be continued. */
bool hypercall_preempt_check(void);
/**
 * Arrange for the current hypercall to be issued again with these arguments; returns the value to
 * return.
 */
long hypercall_continue(unsigned int op, unsigned int nr_args, ...);

/* Families. Each returns as its xen header says; all are in hv/hypercall/ unless said otherwise. */
long do_event_channel_op(u64 cmd, u64 arg, u64, u64, u64, u64);
long do_sched_op(u64 cmd, u64 arg, u64, u64, u64, u64);
long do_sched_op_compat(u64 cmd, u64 arg, u64, u64, u64, u64);
long do_vcpu_op(u64 cmd, u64 vcpuid, u64 arg, u64, u64, u64);
long do_set_timer_op(u64 deadline, u64, u64, u64, u64, u64);
long do_grant_table_op(u64 cmd, u64 arg, u64 count, u64, u64, u64);
long do_xen_version(u64 cmd, u64 arg, u64, u64, u64, u64);
long do_console_io(u64 cmd, u64 count, u64 buffer, u64, u64, u64);
long do_multicall(u64 list, u64 nr, u64, u64, u64, u64);
long do_multicall_32(u64 list, u64 nr, u64, u64, u64, u64);
long do_vm_assist(u64 cmd, u64 type, u64, u64, u64, u64);
/* memory, in hv/hypercall/memory.c */
long do_memory_op(u64 cmd, u64 arg, u64, u64, u64, u64);
/* privileged machine calls */
long do_physdev_op(u64 cmd, u64 arg, u64, u64, u64, u64);
long do_platform_op(u64 arg, u64, u64, u64, u64, u64);
/** What a domctl and a sysctl tell of a domain (domctl.c). */
struct xen_domctl_getdomaininfo;
void domain_get_info(const struct domain *d, struct xen_domctl_getdomaininfo *info);
long do_mca(u64 arg, u64, u64, u64, u64, u64);
long do_sysctl(u64 arg, u64, u64, u64, u64, u64);
long do_domctl(u64 arg, u64, u64, u64, u64, u64);
/* hv/x86/hvm */
long do_hvm_op(u64 cmd, u64 arg, u64, u64, u64, u64);
/* hv/x86/pv */
long do_set_trap_table(u64 traps, u64, u64, u64, u64, u64);
long do_mmu_update(u64 reqs, u64 count, u64 pdone, u64 foreigndom, u64, u64);
long do_set_gdt(u64 frames, u64 entries, u64, u64, u64, u64);
long do_stack_switch(u64 ss, u64 esp, u64, u64, u64, u64);
long do_set_callbacks(u64 event, u64 failsafe, u64 sysc, u64, u64, u64);
long do_fpu_taskswitch(u64 set, u64, u64, u64, u64, u64);
long do_set_debugreg(u64 reg, u64 value, u64, u64, u64, u64);
long do_get_debugreg(u64 reg, u64, u64, u64, u64, u64);
long do_update_descriptor(u64 ma, u64 desc, u64, u64, u64, u64);
long do_update_va_mapping(u64 va, u64 val, u64 flags, u64, u64, u64);
long do_update_va_mapping_otherdomain(u64 va, u64 val, u64 flags, u64 domid, u64, u64);
long do_iret(u64, u64, u64, u64, u64, u64);
long do_set_segment_base(u64 which, u64 base, u64, u64, u64, u64);
long do_mmuext_op(u64 ops, u64 count, u64 pdone, u64 foreigndom, u64, u64);
long do_callback_op(u64 cmd, u64 arg, u64, u64, u64, u64);

#endif

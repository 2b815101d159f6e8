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

/**
 * The families: CALL(number of the ABI, function). Each returns as its header of the ABI says. All are in
 * hv/hypercall/ but those behind "hv/x86".
 */
#define HYPERCALLS(CALL)                                                                           \
    CALL(event_channel_op, do_event_channel_op)                                                    \
    CALL(sched_op, do_sched_op)                                                                    \
    CALL(sched_op_compat, do_sched_op_compat)                                                      \
    CALL(vcpu_op, do_vcpu_op)                                                                      \
    CALL(set_timer_op, do_set_timer_op)                                                            \
    CALL(grant_table_op, do_grant_table_op)                                                        \
    CALL(xen_version, do_xen_version)                                                              \
    CALL(console_io, do_console_io)                                                                \
    CALL(multicall, do_multicall)                                                                  \
    CALL(vm_assist, do_vm_assist)                                                                  \
    CALL(memory_op, do_memory_op)                                                                  \
    CALL(physdev_op, do_physdev_op)                                                                \
    CALL(platform_op, do_platform_op)                                                              \
    CALL(arch_0, do_mca)                                                                           \
    CALL(sysctl, do_sysctl)                                                                        \
    CALL(domctl, do_domctl)                                                                        \
    CALL(xsm_op, do_xsm_op)                                                                        \
    CALL(xenpmu_op, do_xenpmu_op)                                                                  \
    /* hv/x86/hvm */                                                                               \
    CALL(hvm_op, do_hvm_op)                                                                        \
    /* hv/x86/pv */                                                                                \
    CALL(set_trap_table, do_set_trap_table)                                                        \
    CALL(mmu_update, do_mmu_update)                                                                \
    CALL(set_gdt, do_set_gdt)                                                                      \
    CALL(stack_switch, do_stack_switch)                                                            \
    CALL(set_callbacks, do_set_callbacks)                                                          \
    CALL(fpu_taskswitch, do_fpu_taskswitch)                                                        \
    CALL(set_debugreg, do_set_debugreg)                                                            \
    CALL(get_debugreg, do_get_debugreg)                                                            \
    CALL(update_descriptor, do_update_descriptor)                                                  \
    CALL(update_va_mapping, do_update_va_mapping)                                                  \
    CALL(update_va_mapping_otherdomain, do_update_va_mapping_otherdomain)                          \
    CALL(iret, do_iret)                                                                            \
    CALL(set_segment_base, do_set_segment_base)                                                    \
    CALL(mmuext_op, do_mmuext_op)                                                                  \
    CALL(callback_op, do_callback_op)

#define DECLARE_HYPERCALL(number, function) hypercall_fn function;
HYPERCALLS(DECLARE_HYPERCALL)
hypercall_fn do_multicall_32;

/**
 * A sub-operation of a family. Its structure is copied in before the call, and out behind it where it answers and fn
 * returns 0.
 */
struct subop {
    long (*fn)(struct vcpu *v, void *op, gva_t arg); /* NULL: there is none. arg: where op came from */
    u16 size;              /* of the structure; 0: it takes none */
    bool answers;
    bool privileged;       /* for the privileged domain only */
};
#define SUBOP_MAX 64       /* bytes of the largest structure */
/**
 * Call sub-operation cmd of a family (number: of the ABI) for v.
 * @return what its function does; -XEN_EFAULT; refused: -XEN_ENOSYS, there is none; -XEN_EPERM
 */
long subop_call(unsigned int number, const struct subop *table, size_t nr, u64 cmd, struct vcpu *v, gva_t arg);

/**
 * What the privileged domain's calls begin with: read the structure of `size` bytes at arg, whose first words are the
 * sub-operation and the version of the interface.
 * @return 0; -XEN_EPERM (refused), -XEN_EFAULT, -XEN_EACCES: another version
 */
long privileged_read(unsigned int number, void *op, gva_t arg, size_t size, u32 version);
/** A sub-operation has returned rc: copy out what it answers where it went well. @return rc; -XEN_EFAULT */
#define privileged_answer(rc, arg, op) (!(rc) && !guest_write((arg), (op)) ? -XEN_EFAULT : (rc))

/** What a domctl and a sysctl tell of a domain (domctl.c). */
struct xen_domctl_getdomaininfo;
void domain_get_info(const struct domain *d, struct xen_domctl_getdomaininfo *info);
/**
 * A set of pcpus to and from the caller's bitmap, as far as that reaches; what it has beyond our pcpus is cleared, up to a page
 * of it, and pcpus that are not there are not read (sysctl.c). @return 0, -XEN_EFAULT
 */
struct xenctl_bitmap;
long put_cpumask(const struct xenctl_bitmap *to, const struct cpumask *cpus);
long get_cpumask(struct cpumask *cpus, const struct xenctl_bitmap *from);
/** Xen's number of a scheduling policy; 0 of one that Xen has not (sysctl.c). */
u32 policy_number(const char *name);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls of 32-bit callers: arguments are zero-extended; structures that hold pointers or longs are laid out otherwise and are
 * refused (-XEN_ENOSYS) until they are translated.
 */
#include "hvm.h"
#include "core/hypercall.h"

long hvm_hypercall32(u64 op, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6)
{
    struct domain *d = current_vcpu()->domain;

    switch (op) { /* calls all of whose structures are alike in both widths */
    case __HYPERVISOR_event_channel_op:
    case __HYPERVISOR_hvm_op:
    case __HYPERVISOR_console_io:
    case __HYPERVISOR_vm_assist:
        return hypercall_table[op].fn(a1, a2, a3, a4, a5, a6);
    case __HYPERVISOR_sched_op:
        if (a1 != SCHEDOP_poll)
            return do_sched_op(a1, a2, a3, a4, a5, a6);
        break;
    case __HYPERVISOR_xen_version:
        if (a1 == XENVER_version || a1 == XENVER_extraversion || a1 == XENVER_get_features || a1 == XENVER_pagesize)
            return do_xen_version(a1, a2, a3, a4, a5, a6);
        break;
    default:
        break;
    }
    return refuse(d, op, (u32)a1, -XEN_ENOSYS);
}

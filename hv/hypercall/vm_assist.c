/* SPDX-License-Identifier: MIT */
/*
 * VM_ASSIST: favours that a PV guest asks for (xen/xen.h: VMASST_*). The bits are kept in
 * d->vm_assist; who grants one reads it there.
 *
 * 4gb_segments and pae_extended_cr3 concern 32-bit guests and change nothing in a 64-bit one;
 * writable_pagetables is what every PV domain has (writes to page tables are emulated). Xen accepts
 * them all from a 64-bit guest, and stock Linux asks for them.
 */
#include "hypercall.h"

#define BIT_OF(type) (1ull << VMASST_TYPE_##type)

static const u64 allowed = BIT_OF(4gb_segments) | BIT_OF(4gb_segments_notify) |
                           BIT_OF(writable_pagetables) | BIT_OF(pae_extended_cr3) |
                           BIT_OF(architectural_iopl) | BIT_OF(runstate_update_flag) |
                           BIT_OF(m2p_strict);

long do_vm_assist(u64 cmd, u64 type, u64 a3, u64 a4, u64 a5, u64 a6)
{
    struct domain *d = current_vcpu()->domain;

    if (type >= 64 || !(allowed & (1ull << type)))
        return refuse(d, __HYPERVISOR_vm_assist, type, -XEN_EINVAL);
    switch ((u32)cmd) {
    case VMASST_CMD_enable:
        set_bit(type, &d->vm_assist);
        return 0;
    case VMASST_CMD_disable:
        clear_bit(type, &d->vm_assist);
        return 0;
    default:
        return refuse(d, __HYPERVISOR_vm_assist, type, -XEN_ENOSYS);
    }
}

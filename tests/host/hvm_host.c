/* SPDX-License-Identifier: MIT */
/*
 * In place of hv/x86/hvm: the simulated machine has no virtualization of its own, so no domain of its kind can be made and the rest is
 * never reached.
 */
#include "core/hypercall.h"
#include "x86/hvm/hvm.h"

int hvm_domain_create(struct domain *d)
{
    return -XEN_EOPNOTSUPP;
}

int hvm_domain_relinquish(struct domain *d)
{
    return 0;
}

void hvm_domain_destroy(struct domain *d)
{
}

int hvm_populate(struct domain *d, gfn_t gfn)
{
    return -XEN_ENOENT;
}

long hvm_memory_op(struct domain *d, unsigned int cmd, gva_t arg)
{
    return -XEN_ENOSYS;
}

bool hvm_change_extent(struct domain *d, unsigned int cmd, u64 gfn, unsigned int order)
{
    return false;
}

long do_hvm_op(u64 cmd, u64 arg, u64 a3, u64 a4, u64 a5, u64 a6)
{
    return refuse(current_vcpu()->domain, __HYPERVISOR_hvm_op, (u32)cmd, -XEN_ENOSYS);
}

bool arch_hypercall_allowed(const struct domain *d, unsigned int op)
{
    return true;
}

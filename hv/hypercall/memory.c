/* SPDX-License-Identifier: MIT */
/*
 * memory_op: how much memory a domain has, may have, and has set aside for it (xen/memory.h). What works on a guest's
 * memory as the processor maps it is arch_memory_op().
 */
#define __XEN_TOOLS__ 1
#include "hypercall.h"

/** Calls that take just a domain id: the caller's own, or any for the privileged. */
static long domain_number(struct domain *caller, unsigned int cmd, gva_t arg)
{
    struct domain *d;
    domid_t id;
    long n;

    if (!guest_read(&id, arg))
        return -XEN_EFAULT;
    if (id != DOMID_SELF && id != caller->id && !caller->privileged)
        return refuse(caller, __HYPERVISOR_memory_op, cmd, -XEN_EPERM);
    d = domain_get(id);
    if (!d)
        return -XEN_ESRCH;
    n = cmd == XENMEM_current_reservation   ? (long)(d->tot_pages + d->p2m.nr_paged)
        : cmd == XENMEM_maximum_reservation ? (long)d->max_pages
                                            : (long)d->max_ever_pfn;
    domain_put(d);
    return n;
}

static long claim_pages(struct domain *caller, u64 start, gva_t arg)
{
    struct xen_memory_reservation r;
    struct domain *d;
    long rc;

    if (start)
        return -XEN_EINVAL;
    if (!guest_read(&r, arg))
        return -XEN_EFAULT;
    if (r.extent_start.p || r.extent_order || r.mem_flags)
        return -XEN_EINVAL;
    d = r.domid == DOMID_SELF ? NULL : domain_get(r.domid);
    if (!d)
        return -XEN_EINVAL;
    rc = caller->privileged ? domain_claim(d, r.nr_extents)
                            : refuse(caller, __HYPERVISOR_memory_op, XENMEM_claim_pages, -XEN_EPERM);
    domain_put(d);
    return rc;
}

long do_memory_op(u64 full_cmd, u64 arg, u64 a3, u64 a4, u64 a5, u64 a6)
{
    struct domain *d = current_vcpu()->domain;
    unsigned int cmd = full_cmd & MEMOP_CMD_MASK;

    switch (cmd) {
    case XENMEM_current_reservation:
    case XENMEM_maximum_reservation:
    case XENMEM_maximum_gpfn:
        return domain_number(d, cmd, arg);
    case XENMEM_claim_pages:
        return claim_pages(d, full_cmd >> MEMOP_EXTENT_SHIFT, arg);
    case XENMEM_get_vnumainfo:
        return -XEN_EOPNOTSUPP;
    default:
        return arch_memory_op(full_cmd, arg);
    }
}

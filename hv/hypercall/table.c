/* SPDX-License-Identifier: MIT */
/*
 * All 64 hypercalls, by number (xen/xen.h), and how families reach their sub-operations. What is not
 * listed gets -XEN_ENOSYS.
 *
 * Some calls exist to be refused: stock kernels and tools make them on every Xen and know the error
 * it answers with.
 */
#include "hypercall.h"

/** The security module's calls: no module here, as in Debian's Xen. */
long do_xsm_op(u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6)
{
    return -XEN_ENOSYS;
}

/** Virtual performance counters are off, as on Xen without "vpmu". */
long do_xenpmu_op(u64 cmd, u64 arg, u64 a3, u64 a4, u64 a5, u64 a6)
{
    return -XEN_EOPNOTSUPP;
}

#define ROW(number, function) [__HYPERVISOR_##number] = {.fn = function, .name = #number},

const struct hypercall hypercall_table[NR_HYPERCALLS] = {HYPERCALLS(ROW)};

long subop_call(unsigned int number, const struct subop *table, size_t nr, u64 cmd, struct vcpu *v, gva_t arg)
{
    const struct subop *s = &table[(u32)cmd];
    u64 op[SUBOP_MAX / 8];
    long rc;

    if ((u32)cmd >= nr || !s->fn)
        return refuse(v->domain, number, cmd, -XEN_ENOSYS);
    if (s->privileged && !v->domain->privileged)
        return refuse(v->domain, number, cmd, -XEN_EPERM);
    if (s->size && guest_copy_from(op, arg, s->size))
        return -XEN_EFAULT;
    rc = s->fn(v, op, arg);
    return !rc && s->answers && guest_copy_to(arg, op, s->size) ? -XEN_EFAULT : rc;
}

long privileged_read(unsigned int number, void *op, gva_t arg, size_t size, u32 version)
{
    struct domain *d = current_vcpu()->domain;

    if (!d->privileged)
        return refuse(d, number, 0, -XEN_EPERM);
    if (guest_copy_from(op, arg, size))
        return -XEN_EFAULT;
    return ((const u32 *)op)[1] == version ? 0 : -XEN_EACCES;
}

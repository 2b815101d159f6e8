/* SPDX-License-Identifier: MIT */
/*
 * GRANT_TABLE_OP: set-up, size and version of a domain's table (xen/grant_table.h).
 *
 * Version 1 only: 2 gets -XEN_ENOSYS, as from a Xen that is told so. Does not yet: map, unmap,
 * copy, transfer (-XEN_ENOSYS).
 */
#include "grant.h"
#include "hypercall.h"
#include <trace/trace.h>

/** The domain that a call is about, with a reference; NULL and a GNTST_ status otherwise. */
static struct domain *target(domid_t id, int16_t *status)
{
    struct domain *caller = current_vcpu()->domain, *d = domain_get(id);

    *status = GNTST_okay;
    if (!d) {
        *status = GNTST_bad_domain;
    } else if (d != caller && !caller->privileged) {
        domain_put(d);
        *status = GNTST_permission_denied;
        return NULL;
    }
    return d;
}

static long setup_table(gva_t arg, u64 count)
{
    struct gnttab_setup_table op;
    struct domain *d;

    if (count != 1)
        return -XEN_EINVAL;
    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    d = target(op.dom, &op.status);
    if (d) {
        if (grant_grow(d, op.nr_frames))
            op.status = GNTST_general_error;
        for (u32 i = 0; i < op.nr_frames && op.status == GNTST_okay; i++) {
            xen_pfn_t frame = grant_frame_mfn(d, i).n;

            if (!guest_write((gva_t)op.frame_list.p + i * sizeof(frame), &frame))
                op.status = GNTST_bad_virt_addr;
        }
        TRACE_grant_op(current_vcpu()->domain->id, d->id, GNTTABOP_setup_table, op.status,
                       op.nr_frames);
        domain_put(d);
    }
    return guest_write(arg, &op) ? 0 : -XEN_EFAULT;
}

static long query_size(gva_t arg, u64 count)
{
    struct gnttab_query_size op;
    struct domain *d;

    if (count != 1)
        return -XEN_EINVAL;
    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    d = target(op.dom, &op.status);
    if (d) {
        op.nr_frames = d->nr_grant_frames;
        op.max_nr_frames = d->max_grant_frames;
        domain_put(d);
    }
    return guest_write(arg, &op) ? 0 : -XEN_EFAULT;
}

static long set_version(gva_t arg)
{
    struct domain *d = current_vcpu()->domain;
    struct gnttab_set_version op;
    long rc = 0;

    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    if (op.version == 2)
        rc = -XEN_ENOSYS;
    else if (op.version != 1)
        rc = -XEN_EINVAL;
    op.version = d->grant_version;
    return guest_write(arg, &op) ? rc : -XEN_EFAULT;
}

static long get_version(gva_t arg)
{
    struct gnttab_get_version op;
    struct domain *d;
    int16_t status;

    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    d = target(op.dom, &status);
    if (!d)
        return status == GNTST_bad_domain ? -XEN_ESRCH : -XEN_EPERM;
    op.version = d->grant_version;
    domain_put(d);
    return guest_write(arg, &op) ? 0 : -XEN_EFAULT;
}

static long swap(gva_t arg, u64 count)
{
    struct domain *d = current_vcpu()->domain;
    struct gnttab_swap_grant_ref op;

    for (; count; count--, arg += sizeof(op)) {
        if (hypercall_preempt_check())
            return hypercall_continue(__HYPERVISOR_grant_table_op, 3, (u64)GNTTABOP_swap_grant_ref,
                                      (u64)arg, count);
        if (!guest_read(&op, arg))
            return -XEN_EFAULT;
        switch (grant_swap(d, op.ref_a, op.ref_b)) {
        case 0:
            op.status = GNTST_okay;
            break;
        case -XEN_EBUSY:
            op.status = GNTST_eagain;
            break;
        default:
            op.status = GNTST_bad_gntref;
        }
        TRACE_grant_op(d->id, d->id, GNTTABOP_swap_grant_ref, op.status, op.ref_a);
        if (!guest_write(arg, &op))
            return -XEN_EFAULT;
    }
    return 0;
}

long do_grant_table_op(u64 cmd, u64 arg, u64 count, u64 a4, u64 a5, u64 a6)
{
    struct domain *d = current_vcpu()->domain;

    count = (u32)count;
    if ((s32)count < 0)
        return -XEN_EINVAL;
    switch ((u32)cmd) {
    case GNTTABOP_setup_table:
        return setup_table(arg, count);
    case GNTTABOP_query_size:
        return query_size(arg, count);
    case GNTTABOP_set_version:
        return count == 1 ? set_version(arg) : -XEN_EINVAL;
    case GNTTABOP_get_version:
        return count == 1 ? get_version(arg) : -XEN_EINVAL;
    case GNTTABOP_swap_grant_ref:
        return swap(arg, count);
    default:
        return refuse(d, __HYPERVISOR_grant_table_op, cmd, -XEN_ENOSYS);
    }
}

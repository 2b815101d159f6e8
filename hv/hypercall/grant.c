/* SPDX-License-Identifier: MIT */
/*
 * GRANT_TABLE_OP: a domain's table, and mapping and copying by the grants of others
 * (xen/grant_table.h).
 *
 * Lists of operations make way between two; each has a status of its own. A mapping of an
 * auto-translated domain goes to its physical map, one of a paravirtual domain to its page tables.
 * Version 1 only: 2 gets -XEN_ENOSYS, as from a Xen that is told so. Does not: transfer, replace,
 * dump, flush caches (-XEN_ENOSYS).
 */
#include "dirty.h"
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

static long setup_table(gva_t arg)
{
    struct gnttab_setup_table op;
    struct domain *d;

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

static long query_size(gva_t arg)
{
    struct gnttab_query_size op;
    struct domain *d;

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

static void swap_one(struct domain *d, struct gnttab_swap_grant_ref *op)
{
    int rc = grant_swap(d, op->ref_a, op->ref_b);

    op->status = !rc ? GNTST_okay : rc == -XEN_EBUSY ? GNTST_eagain : GNTST_bad_gntref;
}

/* ---- mapping ---- */

/** Let the current domain see a frame that it holds by a grant; the page-table or p2m entry takes a hold of its own. */
static int16_t host_map(struct domain *d, const struct gnttab_map_grant_ref *op, const struct domain *granter, mfn_t mfn,
                        bool writable)
{
    bool by_entry = op->flags & GNTMAP_contains_pte;
    struct p2m_entry was;

    if (!d->p2m.ops)
        return arch_grant_map(op->host_addr, by_entry, granter, mfn, writable, op->flags >> _GNTMAP_guest_avail0);
    if (by_entry || (op->host_addr & ~PAGE_MASK) || arch_hold_frame(granter, mfn, writable))
        return GNTST_general_error;
    if (p2m_set(d, GFN(op->host_addr >> PAGE_SHIFT), ~0u, mfn, writable ? P2M_GRANT_RW : P2M_GRANT_RO, &was)) {
        arch_drop_frame(mfn, writable);
        return GNTST_general_error;
    }
    return GNTST_okay;
}

static int16_t host_unmap(struct domain *d, u64 host_addr, const struct grant_mapping *m)
{
    enum p2m_type type, want = m->flags & GNTMAP_readonly ? P2M_GRANT_RO : P2M_GRANT_RW;
    gfn_t gfn = GFN(host_addr >> PAGE_SHIFT);
    struct p2m_entry was;

    if (!d->p2m.ops)
        return arch_grant_unmap(host_addr, m->flags & GNTMAP_contains_pte, MFN(m->mfn));
    if ((host_addr & ~PAGE_MASK) || p2m_get(d, gfn, &type, NULL).n != m->mfn || type != want || p2m_remove(d, gfn, P2M_BIT(want), &was))
        return GNTST_general_error;
    return GNTST_okay;
}

static void map_one(struct domain *d, struct gnttab_map_grant_ref *op)
{
    bool writable = !(op->flags & GNTMAP_readonly);
    struct grant_mapping m = {.ref = op->ref, .flags = (u16)op->flags};
    mfn_t mfn;

    if (!(op->flags & (GNTMAP_host_map | GNTMAP_device_map))) {
        op->status = GNTST_bad_gntref;
        return;
    }
    m.granter = op->dom == DOMID_SELF ? NULL : domain_get(op->dom);
    if (!m.granter) {
        op->status = GNTST_bad_domain;
        return;
    }
    op->status = grant_acquire(m.granter, op->ref, d->id, writable, &mfn);
    if (op->status != GNTST_okay)
        goto put;
    m.mfn = mfn.n;
    op->status = grant_handle_new(d, &m, &op->handle);
    if (op->status != GNTST_okay)
        goto release;
    if (op->flags & GNTMAP_host_map)
        op->status = host_map(d, op, m.granter, mfn, writable);
    if (op->status == GNTST_okay) {
        op->dev_bus_addr = op->flags & GNTMAP_device_map ? mfn.n << PAGE_SHIFT : 0;
        return;
    }
    grant_handle_set(d, op->handle, 0);
release:
    grant_release(m.granter, op->ref, writable, mfn);
put:
    domain_put(m.granter);
}

/** What is to be done behind a flush: the mapping has gone from all tables. */
static void unmap_one(struct domain *d, struct gnttab_unmap_grant_ref *op)
{
    struct grant_mapping m;
    u32 left;

    op->status = GNTST_okay;
    if (!grant_handle_get(d, op->handle, &m)) {
        op->status = GNTST_bad_handle;
        return;
    }
    left = m.flags;
    if (op->dev_bus_addr && (m.flags & GNTMAP_device_map)) {
        if (op->dev_bus_addr != m.mfn << PAGE_SHIFT) {
            op->status = GNTST_general_error;
            return;
        }
        left &= ~(u32)GNTMAP_device_map;
    }
    if (op->host_addr && (m.flags & GNTMAP_host_map)) {
        op->status = host_unmap(d, op->host_addr, &m);
        if (op->status != GNTST_okay)
            return;
        left &= ~(u32)GNTMAP_host_map;
        if (!d->p2m.ops)
            arch_grant_flush(); /* before the frame can go to somebody else, and before its owner trusts it again */
    }
    grant_handle_set(d, op->handle, left);
    if (!(left & (GNTMAP_host_map | GNTMAP_device_map))) {
        grant_release(m.granter, m.ref, !(m.flags & GNTMAP_readonly), MFN(m.mfn));
        domain_put(m.granter);
    }
}

/* ---- copying ---- */

/** One end of a copy: a frame of the caller's own, or of whoever granted it. */
struct copy_end {
    struct domain *d;
    mfn_t mfn;
    grant_ref_t ref;
    bool granted, writable;
};

static int16_t copy_begin(struct domain *caller, const struct gnttab_copy_ptr *p, bool granted, bool writable, struct copy_end *e)
{
    int16_t status;
    int rc;

    *e = (struct copy_end){.granted = granted, .writable = writable, .ref = p->u.ref};
    e->d = domain_get(p->domid);
    if (!e->d)
        return GNTST_bad_domain;
    if (granted) {
        status = grant_acquire(e->d, e->ref, caller->id, writable, &e->mfn);
    } else if (e->d != caller) {
        status = GNTST_permission_denied;
    } else {
        e->mfn = p2m_get(e->d, GFN(p->u.gmfn), NULL, NULL);
        rc = arch_hold_frame(e->d, e->mfn, writable);
        status = !rc ? GNTST_okay : rc == -XEN_EBUSY ? GNTST_general_error : GNTST_bad_page;
    }
    if (status != GNTST_okay) {
        domain_put(e->d);
        e->d = NULL;
    }
    return status;
}

static void copy_end(struct copy_end *e)
{
    gfn_t gfn;

    if (!e->d)
        return;
    if (e->granted) {
        grant_release(e->d, e->ref, e->writable, e->mfn);
    } else {
        if (e->writable && arch_gfn_of(e->d, e->mfn, &gfn))
            mark_dirty(e->d, gfn);
        arch_drop_frame(e->mfn, e->writable);
    }
    domain_put(e->d);
}

static int16_t copy_one(struct domain *caller, const struct gnttab_copy *op)
{
    struct copy_end from = {0}, to = {0};
    int16_t status;

    if ((u32)op->source.offset + op->len > PAGE_SIZE || (u32)op->dest.offset + op->len > PAGE_SIZE)
        return GNTST_bad_copy_arg;
    status = copy_begin(caller, &op->source, op->flags & GNTCOPY_source_gref, false, &from);
    if (status == GNTST_okay)
        status = copy_begin(caller, &op->dest, op->flags & GNTCOPY_dest_gref, true, &to);
    if (status == GNTST_okay) /* the two may be one frame */
        memmove((u8 *)arch_map_mfn(to.mfn) + op->dest.offset, (const u8 *)arch_map_mfn(from.mfn) + op->source.offset, op->len);
    copy_end(&to);
    copy_end(&from);
    return status;
}

/* ---- lists ---- */

/** Operations one after the other, each with a status of its own. A mapping whose handle cannot be told stays: the guest can guess it at most. */
static long each(u64 cmd, gva_t arg, u64 count)
{
    struct domain *d = current_vcpu()->domain;
    union {
        struct gnttab_map_grant_ref map;
        struct gnttab_unmap_grant_ref unmap;
        struct gnttab_swap_grant_ref swap;
        struct gnttab_copy copy;
    } op;
    size_t size = cmd == GNTTABOP_map_grant_ref ? sizeof(op.map) : cmd == GNTTABOP_unmap_grant_ref ? sizeof(op.unmap)
                : cmd == GNTTABOP_copy ? sizeof(op.copy) : sizeof(op.swap);
    size_t answer = cmd == GNTTABOP_copy ? offsetof(struct gnttab_copy, status) : 0; /* the rest may be what was copied to */

    for (; count; count--, arg += size) {
        if (guest_copy_from(&op, arg, size))
            return -XEN_EFAULT;
        switch (cmd) {
        case GNTTABOP_map_grant_ref:
            map_one(d, &op.map);
            TRACE_grant_op(d->id, op.map.dom, cmd, op.map.status, op.map.ref);
            break;
        case GNTTABOP_unmap_grant_ref:
            unmap_one(d, &op.unmap);
            TRACE_grant_op(d->id, d->id, cmd, op.unmap.status, op.unmap.handle);
            break;
        case GNTTABOP_copy:
            op.copy.status = copy_one(d, &op.copy);
            TRACE_grant_op(d->id, op.copy.dest.domid, cmd, op.copy.status, op.copy.len);
            break;
        default:
            swap_one(d, &op.swap);
            TRACE_grant_op(d->id, d->id, cmd, op.swap.status, op.swap.ref_a);
        }
        if (guest_copy_to(arg + answer, (u8 *)&op + answer, size - answer))
            return -XEN_EFAULT;
        if (count > 1 && hypercall_preempt_check())
            return hypercall_continue(__HYPERVISOR_grant_table_op, 3, cmd, (u64)(arg + size), count - 1);
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
        return count == 1 ? setup_table(arg) : -XEN_EINVAL;
    case GNTTABOP_map_grant_ref:
    case GNTTABOP_unmap_grant_ref:
    case GNTTABOP_copy:
    case GNTTABOP_swap_grant_ref:
        return each((u32)cmd, arg, count);
    case GNTTABOP_query_size:
        return count == 1 ? query_size(arg) : -XEN_EINVAL;
    case GNTTABOP_set_version:
        return count == 1 ? set_version(arg) : -XEN_EINVAL;
    case GNTTABOP_get_version:
        return count == 1 ? get_version(arg) : -XEN_EINVAL;
    default:
        return refuse(d, __HYPERVISOR_grant_table_op, cmd, -XEN_ENOSYS);
    }
}

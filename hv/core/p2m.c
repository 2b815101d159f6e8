/* SPDX-License-Identifier: MIT */
/*
 * The rules of physical maps: what an entry may name, what it holds, and that nothing is given back
 * while a processor may still use it. p2m.h is the contract; the tables are behind struct p2m_ops.
 *
 * Lock: p2m.lock around each look-up and change. Holds are given back after it, and after a flush.
 */
#include "dirty.h"

/** Guest frames between two looks at whether something waits. */
#define STEP 512

void p2m_init(struct domain *d, const struct p2m_ops *ops)
{
    d->p2m.ops = ops;
}

mfn_t p2m_get(struct domain *d, gfn_t gfn, enum p2m_type *type, unsigned int *order)
{
    enum p2m_type t = P2M_RAM;
    unsigned int o = 0;
    mfn_t mfn = MFN(gfn.n);

    if (d->p2m.ops) {
        HOLD(&d->p2m.lock);
        if (gfn.n < P2M_LIMIT) {
            mfn = d->p2m.ops->lookup(d, gfn, &t, &o);
        } else {
            mfn = MFN_INVALID;
            t = P2M_NONE;
        }
    }
    if (type)
        *type = t;
    if (order)
        *order = o;
    return mfn;
}

static int check_gfn(const struct domain *d, gfn_t gfn)
{
    return !d->p2m.ops ? -XEN_EOPNOTSUPP : gfn.n >= P2M_LIMIT ? -XEN_EINVAL : 0;
}

/** May d's map name this frame as this type? */
static int check_target(const struct domain *d, mfn_t mfn, enum p2m_type type)
{
    switch (type) {
    case P2M_RAM:
    case P2M_LOGDIRTY:
    case P2M_SHARED:
        return arch_frame_owner(mfn) == d->id ? 0 : -XEN_EINVAL;
    case P2M_GRANT_RW:
    case P2M_GRANT_RO:
    case P2M_FOREIGN:
        return 0;
    case P2M_MMIO:
        return arch_frame_owner(mfn) == DOMID_IO && arch_device_allowed(d, mfn) ? 0 : -XEN_EPERM;
    default: /* paged memory has no frame, none is p2m_remove()'s */
        return -XEN_EINVAL;
    }
}

/**
 * One step, whatever other pcpus do with the map: if what stands at gfn is of these types, something else stands there now; *was
 * is what it was, and its hold is given back after the flush. 0, -XEN_ENOENT: it is of another type; -XEN_ENOMEM.
 */
static int exchange(struct domain *d, gfn_t gfn, u32 types, mfn_t mfn, enum p2m_type type, struct p2m_entry *was)
{
    unsigned int order;
    int rc = -XEN_ENOENT;

    spin_lock(&d->p2m.lock);
    was->mfn = d->p2m.ops->lookup(d, gfn, &was->type, &order);
    if (types & P2M_BIT(was->type))
        rc = d->p2m.ops->write(d, gfn, mfn, type, P2M_ORDER_4K);
    if (!rc) {
        d->p2m.ops->flush(d);
        d->p2m.nr_held += p2m_type_holds(type) - p2m_type_holds(was->type);
        if (type != P2M_NONE)
            d->p2m.end = max_of(d->p2m.end, gfn.n + 1);
    }
    spin_unlock(&d->p2m.lock);
    if (!rc && p2m_type_holds(was->type))
        arch_drop_frame(was->mfn, p2m_type_writable(was->type));
    return rc;
}

int p2m_set(struct domain *d, gfn_t gfn, u32 types, mfn_t mfn, enum p2m_type type, struct p2m_entry *was)
{
    int rc = check_gfn(d, gfn);

    if (!rc)
        rc = check_target(d, mfn, type);
    if (!rc)
        rc = exchange(d, gfn, types, mfn, type, was);
    if (!rc && p2m_type_is_ram(type)) { /* the machine-to-guest table follows, and its contents count as written */
        d->max_ever_pfn = max_of(d->max_ever_pfn, gfn.n);
        arch_set_gfn(mfn, gfn);
        mark_dirty(d, gfn);
    }
    return rc;
}

int p2m_remove(struct domain *d, gfn_t gfn, u32 types, struct p2m_entry *was)
{
    int rc = check_gfn(d, gfn);

    return rc ? rc : exchange(d, gfn, types, MFN_INVALID, P2M_NONE, was);
}

int p2m_change_type(struct domain *d, gfn_t gfn, u64 nr, enum p2m_type from, enum p2m_type to,
                    u64 *done)
{
    u64 at = 0, looked = 0;
    int rc = 0;

    *done = 0;
    if (!d->p2m.ops)
        return -XEN_EOPNOTSUPP;
    if (from == to || !p2m_type_is_ram(from) || !p2m_type_is_ram(to) || gfn.n > P2M_LIMIT ||
        nr > P2M_LIMIT - gfn.n)
        return -XEN_EINVAL;
    spin_lock(&d->p2m.lock);
    nr = min_of(nr, d->p2m.end > gfn.n ? d->p2m.end - gfn.n : 0);
    while (at < nr) {
        enum p2m_type t;
        unsigned int order;
        mfn_t mfn;
        u64 n;

        if (++looked % STEP == 0 && arch_preempt_needed()) {
            rc = -XEN_ERESTART;
            break;
        }
        mfn = d->p2m.ops->lookup(d, GFN(gfn.n + at), &t, &order);
        n = 1ull << order;
        if (t == from) {
            /* Log-dirty counts single frames; what lies partly outside the range is split too. */
            if (to == P2M_LOGDIRTY || ((gfn.n + at) & (n - 1)) || n > nr - at) {
                order = 0;
                n = 1;
            }
            rc = d->p2m.ops->write(d, GFN(gfn.n + at), mfn, to, order);
            if (rc)
                break;
            for (u64 i = 0; i < n && to == P2M_RAM; i++)
                mark_dirty(d, GFN(gfn.n + at + i));
            at += n;
        } else {
            at += n - ((gfn.n + at) & (n - 1));
        }
    }
    d->p2m.ops->flush(d);
    spin_unlock(&d->p2m.lock);
    *done = min_of(at, nr);
    return rc;
}

int p2m_teardown(struct domain *d)
{
    struct p2m *p = &d->p2m;

    if (!p->ops)
        return 0;
    while (p->nr_held && p->teardown < p->end) {
        struct p2m_entry was;

        if (exchange(d, GFN(p->teardown), P2M_HOLDING, MFN_INVALID, P2M_NONE, &was) == -XEN_ENOMEM)
            panic("p2m of domain %u: no memory to take an entry out", d->id); /* nothing larger than 4 KiB holds anything: no table is needed */
        if (++p->teardown % STEP == 0 && arch_preempt_needed())
            return -XEN_ERESTART;
    }
    p->ops->destroy(d);
    p->ops = NULL;
    return 0;
}

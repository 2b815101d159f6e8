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
        spin_lock(&d->p2m.lock);
        if (gfn.n < P2M_LIMIT) {
            mfn = d->p2m.ops->lookup(d, gfn, &t, &o);
        } else {
            mfn = MFN_INVALID;
            t = P2M_NONE;
        }
        spin_unlock(&d->p2m.lock);
    }
    if (type)
        *type = t;
    if (order)
        *order = o;
    return mfn;
}

static bool order_valid(unsigned int order)
{
    return order == P2M_ORDER_4K || order == P2M_ORDER_2M || order == P2M_ORDER_1G;
}

static int check_range(const struct domain *d, gfn_t gfn, unsigned int order)
{
    u64 n = 1ull << order;

    if (!d->p2m.ops)
        return -XEN_EOPNOTSUPP;
    if (!order_valid(order) || (gfn.n & (n - 1)) || gfn.n > P2M_LIMIT - n)
        return -XEN_EINVAL;
    return 0;
}

/** May d's map name these frames as this type? */
static int check_target(const struct domain *d, mfn_t mfn, enum p2m_type type, unsigned int order)
{
    u64 n = 1ull << order;

    if (mfn.n & (n - 1))
        return -XEN_EINVAL;
    switch (type) {
    case P2M_RAM:
    case P2M_LOGDIRTY:
    case P2M_SHARED:
        for (u64 i = 0; i < n; i++)
            if (arch_frame_owner(MFN(mfn.n + i)) != d->id)
                return -XEN_EINVAL;
        return 0;
    case P2M_GRANT_RW:
    case P2M_GRANT_RO:
    case P2M_FOREIGN:
        return order ? -XEN_EINVAL : 0;
    case P2M_MMIO:
        for (u64 i = 0; i < n; i++)
            if (arch_frame_owner(MFN(mfn.n + i)) != DOMID_IO || !arch_device_allowed(d, MFN(mfn.n + i)))
                return -XEN_EPERM;
        return 0;
    default: /* paged memory has no frame, none is p2m_remove()'s */
        return -XEN_EINVAL;
    }
}

/** The holds of entries that are about to go, at most one entry at a time. */
struct held {
    mfn_t mfn;
    bool any, writable;
};

static struct held held_at(struct domain *d, gfn_t gfn)
{
    enum p2m_type t;
    unsigned int order;
    mfn_t mfn = d->p2m.ops->lookup(d, gfn, &t, &order);

    return (struct held){.mfn = mfn, .any = p2m_type_holds(t), .writable = p2m_type_writable(t)};
}

/**
 * Take out, one by one, what holds another domain's frame in a range: afterwards the rest can go or
 * be replaced in one piece.
 */
static int drop_holds(struct domain *d, gfn_t gfn, u64 n)
{
    for (u64 i = 0; i < n && READ_ONCE(d->p2m.nr_held); i++) {
        struct held h;
        int rc = 0;

        spin_lock(&d->p2m.lock);
        h = held_at(d, GFN(gfn.n + i));
        if (h.any) {
            rc = d->p2m.ops->write(d, GFN(gfn.n + i), MFN_INVALID, P2M_NONE, 0);
            if (!rc) {
                d->p2m.ops->flush(d);
                d->p2m.nr_held--;
            }
        }
        spin_unlock(&d->p2m.lock);
        if (rc)
            return rc;
        if (h.any)
            arch_drop_frame(h.mfn, h.writable);
    }
    return 0;
}

/** Memory has come: the machine-to-guest table follows, and its contents count as written. */
static void note_memory(struct domain *d, gfn_t gfn, mfn_t mfn, u64 n)
{
    d->max_ever_pfn = max_of(d->max_ever_pfn, gfn.n + n - 1);
    for (u64 i = 0; i < n; i++) {
        arch_set_gfn(MFN(mfn.n + i), GFN(gfn.n + i));
        mark_dirty(d, GFN(gfn.n + i));
    }
}

int p2m_set(struct domain *d, gfn_t gfn, mfn_t mfn, enum p2m_type type, unsigned int order)
{
    int rc = check_range(d, gfn, order);

    if (!rc)
        rc = check_target(d, mfn, type, order);
    if (!rc)
        rc = drop_holds(d, gfn, 1ull << order);
    if (rc)
        return rc;
    spin_lock(&d->p2m.lock);
    rc = d->p2m.ops->write(d, gfn, mfn, type, order);
    if (!rc) {
        d->p2m.ops->flush(d);
        d->p2m.nr_held += p2m_type_holds(type);
        d->p2m.end = max_of(d->p2m.end, gfn.n + (1ull << order));
    }
    spin_unlock(&d->p2m.lock);
    if (!rc && p2m_type_is_ram(type))
        note_memory(d, gfn, mfn, 1ull << order);
    return rc;
}

int p2m_remove(struct domain *d, gfn_t gfn, unsigned int order)
{
    int rc = check_range(d, gfn, order);

    if (!rc)
        rc = drop_holds(d, gfn, 1ull << order);
    if (rc)
        return rc;
    spin_lock(&d->p2m.lock);
    rc = d->p2m.ops->write(d, gfn, MFN_INVALID, P2M_NONE, order);
    if (!rc)
        d->p2m.ops->flush(d);
    spin_unlock(&d->p2m.lock);
    return rc;
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
            if (to == P2M_LOGDIRTY || !order_valid(order) || ((gfn.n + at) & (n - 1)) || n > nr - at) {
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
        u64 n = min_of((u64)STEP, p->end - p->teardown);
        int rc = drop_holds(d, GFN(p->teardown), n);

        if (rc == -XEN_ENOMEM) /* nothing larger than 4 KiB holds anything: no table is needed */
            panic("p2m of domain %u: no memory to take an entry out", d->id);
        p->teardown += n;
        if (arch_preempt_needed())
            return -XEN_ERESTART;
    }
    p->ops->destroy(d);
    p->ops = NULL;
    return 0;
}

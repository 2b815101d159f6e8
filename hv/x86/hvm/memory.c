/* SPDX-License-Identifier: MIT */
/*
 * Memory of hardware-assisted domains: population on demand, and the XENMEM_ calls of an auto-translated domain (xen/memory.h), where
 * a frame number is the guest's own; those that read a list of extents begin in x86/pv/memory_op.c.
 *
 * The builder leaves memory P2M_PAGED; it comes, cleared, when it is first touched, by 2 MiB where the machine has that and the entry
 * is as large. Whoever takes memory out of the map frees it here: no processor uses the translation any more then (p2m_remove()).
 * Does not: map memory of other domains (grants are the grant table's), exchange (pointless here: -XEN_ENOSYS).
 */
#include "hvm.h"
#include "core/compat.h"
#include "core/grant.h"
#include "core/guest.h"
#include "core/hypercall.h"
#include "x86/mm.h"
#include "x86/pv/pv.h"
#include "x86/pv/typing.h"

/* Let go of a frame that has left the map. */
static void release(mfn_t mfn)
{
    struct frame *f = frame_of(mfn);

    __atomic_and_fetch(&f->word, ~FRAME_ALLOCATED, __ATOMIC_SEQ_CST);
    frame_put(f);
}

void hvm_release_frames(mfn_t mfn, unsigned int order)
{
    for (u64 i = 0; i < (1ull << order); i++)
        release(MFN(mfn.n + i));
}

int hvm_populate(struct domain *d, gfn_t gfn)
{
    int was = hvm_fill(d, gfn);

    return was == P2M_PAGED ? 0 : was < 0 ? was : -XEN_ENOENT;
}

int hvm_mark_dirty(struct domain *d, gfn_t gfn)
{
    u64 done;

    return p2m_change_type(d, gfn, 1, P2M_LOGDIRTY, P2M_RAM, &done);
}

/* Something of the domain's has left the map: memory is given back to the machine. */
static void gone(struct domain *d, const struct p2m_entry *was)
{
    if (p2m_type_is_ram(was->type))
        release(was->mfn);
    else if (was->type == P2M_PAGED)
        __atomic_fetch_sub(&d->p2m.nr_paged, 1, __ATOMIC_RELAXED);
}

/* Take what is at a guest frame out of the map, if it is of these types. 0 or an error of p2m_remove(). */
static int take_out(struct domain *d, gfn_t gfn, u32 types)
{
    struct p2m_entry was;
    int rc = p2m_remove(d, gfn, types, &was);

    if (!rc)
        gone(d, &was);
    return rc;
}

bool hvm_change_extent(struct domain *d, unsigned int cmd, u64 gfn, unsigned int order)
{
    struct p2m_entry was;
    u64 end = gfn + (1ull << order);

    if (gfn >= P2M_LIMIT - (1ull << order))
        return false;
    for (; gfn < end; gfn++) {
        mfn_t mfn;

        if (cmd == XENMEM_decrease_reservation) {
            if (take_out(d, GFN(gfn), P2M_OWN))
                return false;
            continue;
        }
        mfn = domain_alloc_frame(d, 0, 0);
        if (mfn.n == MFN_INVALID.n)
            return false;
        if (p2m_set(d, GFN(gfn), P2M_BIT(P2M_NONE), mfn, P2M_RAM, &was)) {
            release(mfn);
            return false;
        }
    }
    return true;
}

static long add_to_physmap(struct domain *d, const struct xen_add_to_physmap *op)
{
    struct p2m_entry was;
    mfn_t mfn;
    gfn_t old;
    long rc = memory_op_domain(d, op->domid, XENMEM_add_to_physmap);

    if (rc)
        return rc;
    switch (op->space) {
    case XENMAPSPACE_shared_info:
        if (op->idx)
            return -XEN_EINVAL;
        mfn = arch_virt_to_mfn(d->shared_info);
        break;
    case XENMAPSPACE_grant_table:
        if (op->idx >= d->max_grant_frames || grant_grow(d, op->idx + 1))
            return -XEN_EINVAL;
        mfn = grant_frame_mfn(d, op->idx);
        break;
    default:
        return refuse(d, __HYPERVISOR_memory_op, XENMEM_add_to_physmap, -XEN_ENOSYS);
    }
    if (op->gpfn >= P2M_LIMIT)
        return -XEN_EINVAL;
    /* It moves: where it was before (the M2P remembers) there is nothing now. */
    old = GFN(m2p[mfn.n]);
    if (old.n < P2M_LIMIT && p2m_get(d, old, NULL, NULL).n == mfn.n)
        (void)p2m_remove(d, old, P2M_BIT(P2M_SHARED), &was);
    rc = p2m_set(d, GFN(op->gpfn), ~0u, mfn, P2M_SHARED, &was);
    if (rc)
        return rc;
    gone(d, &was);
    m2p[mfn.n] = op->gpfn;
    if (op->space == XENMAPSPACE_shared_info) /* laid out for the kernel that maps it */
        domain_set_width(d, current_vcpu()->compat != NULL);
    return 0;
}

static long remove_from_physmap(struct domain *d, gva_t arg)
{
    struct xen_remove_from_physmap op;
    long rc;

    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    rc = memory_op_domain(d, op.domid, XENMEM_remove_from_physmap);
    return rc ? rc : op.gpfn >= P2M_LIMIT ? -XEN_EINVAL : take_out(d, GFN(op.gpfn), P2M_ANYTHING);
}

unsigned int hvm_memory_map(const struct domain *d, struct hvm_memmap_table_entry *e)
{
    const struct hvm_domain *hd = d->arch.hvm;
    unsigned int n = 0;

    e[n++] = (struct hvm_memmap_table_entry){.addr = 0, .size = hd->ram_end_low, .type = XEN_HVM_MEMMAP_TYPE_RAM};
    e[n++] = (struct hvm_memmap_table_entry){.addr = HVM_ACPI_AT, .size = HVM_ACPI_SIZE, .type = XEN_HVM_MEMMAP_TYPE_ACPI};
    e[n++] = (struct hvm_memmap_table_entry){.addr = HVM_SPECIAL_AT, .size = HVM_SPECIAL_SIZE, .type = XEN_HVM_MEMMAP_TYPE_RESERVED};
    if (hd->ram_end_high)
        e[n++] = (struct hvm_memmap_table_entry){.addr = GB(4), .size = hd->ram_end_high - GB(4), .type = XEN_HVM_MEMMAP_TYPE_RAM};
    return n;
}

static long memory_map(struct domain *d, gva_t arg)
{
    struct hvm_memmap_table_entry e[HVM_MEMMAP_MAX];
    struct xen_memory_map m;
    unsigned int n = hvm_memory_map(d, e);

    if (!guest_read(&m, arg))
        return -XEN_EFAULT;
    if (m.nr_entries < n)
        return -XEN_EINVAL;
    for (unsigned int i = 0; i < n; i++) /* 20 bytes each, as a BIOS gives them */
        if (guest_copy_to((gva_t)m.buffer.p + i * 20, &e[i], 20))
            return -XEN_EFAULT;
    m.nr_entries = n;
    return guest_write(arg, &m) ? 0 : -XEN_EFAULT;
}

long hvm_memory_op(struct domain *d, unsigned int cmd, gva_t arg)
{
    struct xen_add_to_physmap add;

    switch (cmd) {
    case XENMEM_add_to_physmap:
        return guest_read(&add, arg) ? add_to_physmap(d, &add) : -XEN_EFAULT;
    case XENMEM_remove_from_physmap:
        return remove_from_physmap(d, arg);
    case XENMEM_memory_map:
        return memory_map(d, arg);
    default:
        return refuse(d, __HYPERVISOR_memory_op, cmd, -XEN_ENOSYS);
    }
}

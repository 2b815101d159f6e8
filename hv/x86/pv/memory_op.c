/* SPDX-License-Identifier: MIT */
/*
 * memory_op of PV domains: how one asks for memory, gives it back, and learns how it lies (xen/memory.h); lists of extents of
 * all domains. What knows nothing of the processor is in hypercall/memory.c; what only an auto-translated domain asks, in x86/hvm/memory.c.
 *
 * For a PV domain a gmfn is an mfn. Extents go one by one; a call that is interrupted goes on from the extent in the upper bits of its
 * command (MEMOP_EXTENT_SHIFT). The number of extents done is the result, not an error, where memory ran out half way.
 */
#include "core/hypercall.h"
#include "x86/hvm/hvm.h"
#include "x86/mm.h"
#include "x86/pv/pv.h"
#include "x86/pv/typing.h"
#include <trace/trace.h>

#define MAX_ORDER 9

long memory_op_domain(struct domain *d, domid_t id, unsigned int cmd)
{
    if (id == DOMID_SELF || id == d->id)
        return 0;
    return refuse(d, __HYPERVISOR_memory_op, cmd, d->privileged ? -XEN_ESRCH : -XEN_EPERM);
}

static bool gpfn_ok(u64 gpfn)
{
    return gpfn < 1ull << 40;
}

/* Give frame mfn back to the machine. False: not d's, or one that the hypervisor shares. */
static bool release_frame(struct domain *d, mfn_t mfn)
{
    struct frame *f;
    u64 w;

    if (!mfn_is_memory(mfn))
        return false;
    f = frame_of(mfn);
    w = f->word;
    if (f->owner != d->id || f->position == FRAME_SHARED_BY_HV)
        return false;
    do {
        if (!(w & FRAME_ALLOCATED) || (w & FRAME_PINNED))
            return false;
    } while (!__atomic_compare_exchange_n(&f->word, &w, w & ~FRAME_ALLOCATED, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_RELAXED));
    frame_put(f);
    return true;
}

/* The same for a block of them, up to the first that cannot go. False: there was one. */
static bool release_block(struct domain *d, mfn_t first, unsigned int order)
{
    u64 k = 0;

    while (k < (1ull << order) && release_frame(d, MFN(first.n + k)))
        k++;
    return k == 1ull << order;
}

static unsigned int max_bits(const struct xen_memory_reservation *r)
{
    unsigned int bits = XENMEMF_get_address_bits(r->mem_flags);

    return bits > 52 ? 0 : bits;
}

/* One extent of a PV domain's. False: it cannot be. */
static bool change_extent(struct domain *d, unsigned int cmd, const struct xen_memory_reservation *r, u64 gpfn, gva_t slot)
{
    mfn_t mfn;

    if (cmd == XENMEM_decrease_reservation)
        return release_block(d, MFN(gpfn), r->extent_order);
    if (!gpfn_ok(gpfn + (1ull << r->extent_order)))
        return false;
    mfn = domain_alloc_frame(d, r->extent_order, max_bits(r));
    if (mfn.n == MFN_INVALID.n)
        return false;
    for (u64 k = 0; k < (1ull << r->extent_order); k++)
        m2p[mfn.n + k] = cmd == XENMEM_populate_physmap ? gpfn + k : M2P_INVALID;
    if (r->extent_start.p && !guest_write(slot, &mfn.n)) {
        (void)release_block(d, mfn, r->extent_order);
        return false;
    }
    return true;
}

/* increase_reservation, decrease_reservation, populate_physmap: all of the same shape. */
static long reservation(struct domain *d, unsigned int cmd, u64 start, gva_t arg)
{
    struct xen_memory_reservation r;
    gva_t list;
    u64 i;
    long err;

    if (!guest_read(&r, arg))
        return -XEN_EFAULT;
    err = memory_op_domain(d, r.domid, cmd);
    if (err)
        return err;
    if (start > r.nr_extents)
        return -XEN_EINVAL;
    if (r.extent_order > (d->privileged && !d->p2m.ops ? MAX_ORDER * 2 : MAX_ORDER))
        return start;
    list = (gva_t)r.extent_start.p;
    if (cmd != XENMEM_increase_reservation && !d->p2m.ops && !guest_range_ok(list, r.nr_extents * 8))
        return -XEN_EFAULT;

    for (i = start; i < r.nr_extents; i++) {
        u64 gpfn = 0;

        if (i != start && hypercall_preempt_check())
            return hypercall_continue(__HYPERVISOR_memory_op, 2, (u64)cmd | i << MEMOP_EXTENT_SHIFT, (u64)arg);
        if (cmd != XENMEM_increase_reservation && !guest_read(&gpfn, list + i * 8))
            break;
        if (d->p2m.ops ? !hvm_change_extent(d, cmd, gpfn, r.extent_order) : !change_extent(d, cmd, &r, gpfn, list + i * 8))
            break;
    }
    TRACE_balloon(d->id, cmd, r.nr_extents, i);
    return i;
}

/* Nothing but the allocation refers to this frame of d's. */
static bool unused(const struct domain *d, mfn_t mfn)
{
    const struct frame *f = frame_of(mfn);

    return mfn_is_memory(mfn) && f->owner == d->id && f->position != FRAME_SHARED_BY_HV && (f->word & FRAME_ALLOCATED) &&
           frame_refs(f->word) == 1 && !frame_tc(f->word);
}

/* exchange: some small extents against one contiguous one (or the reverse), chunk by chunk. */
static long exchange(struct domain *d, gva_t arg)
{
    struct xen_memory_exchange x;
    unsigned int order, in_per_chunk, out_per_chunk;
    u64 chunk, nr_chunks;
    long err;

    if (!guest_read(&x, arg))
        return -XEN_EFAULT;
    err = memory_op_domain(d, x.in.domid, XENMEM_exchange);
    if (err || x.in.domid != x.out.domid)
        return err ? err : -XEN_EINVAL;
    if (x.in.extent_order > MAX_ORDER || x.out.extent_order > MAX_ORDER ||
        (x.in.nr_extents << x.in.extent_order) != (x.out.nr_extents << x.out.extent_order) ||
        x.in.nr_extents > ~0u >> MAX_ORDER || x.out.nr_extents > ~0u >> MAX_ORDER)
        return -XEN_EINVAL;
    if (!d->privileged && x.out.extent_order > 0)
        return -XEN_EPERM;
    order = max_of(x.in.extent_order, x.out.extent_order);
    in_per_chunk = 1u << (order - x.in.extent_order);
    out_per_chunk = 1u << (order - x.out.extent_order);
    nr_chunks = (x.in.nr_extents << x.in.extent_order) >> order;
    if (x.in.nr_extents % in_per_chunk || x.out.nr_extents % out_per_chunk || x.nr_exchanged > x.in.nr_extents)
        return -XEN_EINVAL;

    for (chunk = x.nr_exchanged / in_per_chunk; chunk < nr_chunks; chunk++) {
        mfn_t got[1 << MAX_ORDER];
        u64 gmfn, gpfn;

        if (chunk != x.nr_exchanged / in_per_chunk && hypercall_preempt_check()) { /* each call does something */
            x.nr_exchanged = chunk * in_per_chunk;
            if (!guest_write(arg, &x))
                return -XEN_EFAULT;
            return hypercall_continue(__HYPERVISOR_memory_op, 2, (u64)XENMEM_exchange, (u64)arg);
        }
        err = 0;
        /* Check all, take the new, then give up the old: a failure leaves the guest as it was. */
        for (unsigned int k = 0; k < in_per_chunk && !err; k++) {
            if (!guest_read(&gmfn, (gva_t)x.in.extent_start.p + (chunk * in_per_chunk + k) * 8))
                err = -XEN_EFAULT;
            for (u64 j = 0; j < (1ull << x.in.extent_order) && !err; j++)
                err = unused(d, MFN(gmfn + j)) ? 0 : -XEN_EINVAL;
        }
        if (err)
            break;
        {
            unsigned int n;

            for (n = 0; n < out_per_chunk; n++) {
                got[n] = frame_alloc(DOMID_XEN, x.out.extent_order, max_bits(&x.out), 0); /* not the guest's yet */
                if (got[n].n == MFN_INVALID.n)
                    break;
                scrub_frames(got[n], 1ull << x.out.extent_order);
            }
            if (n < out_per_chunk) {
                while (n--)
                    frame_free(got[n], x.out.extent_order);
                err = -XEN_ENOMEM;
                break;
            }
        }
        for (unsigned int k = 0; k < in_per_chunk; k++) {
            if (!guest_read(&gmfn, (gva_t)x.in.extent_start.p + (chunk * in_per_chunk + k) * 8))
                continue;
            for (u64 j = 0; j < (1ull << x.in.extent_order); j++)
                if (unused(d, MFN(gmfn + j)))
                    (void)release_frame(d, MFN(gmfn + j));
        }
        if (!domain_take(d, 1ull << order)) { /* it named one twice, or changed the list or used them meanwhile */
            for (unsigned int k = 0; k < out_per_chunk; k++)
                frame_free(got[k], x.out.extent_order);
            err = -XEN_EINVAL;
            break;
        }
        for (unsigned int k = 0; k < out_per_chunk; k++)
            for (u64 j = 0; j < (1ull << x.out.extent_order); j++)
                WRITE_ONCE(frame_of(MFN(got[k].n + j))->owner, d->id);
        for (unsigned int k = 0; k < out_per_chunk; k++) {
            gva_t slot = (gva_t)x.out.extent_start.p + (chunk * out_per_chunk + k) * 8;

            if (!guest_read(&gpfn, slot) || !guest_write(slot, &got[k].n)) {
                err = -XEN_EFAULT;
                break;
            }
            for (u64 j = 0; j < (1ull << x.out.extent_order); j++)
                m2p[got[k].n + j] = gpfn + j;
        }
        if (err)
            break;
    }
    x.nr_exchanged = chunk * in_per_chunk;
    if (guest_copy_to(arg + offsetof(struct xen_memory_exchange, nr_exchanged), &x.nr_exchanged, sizeof(x.nr_exchanged)))
        return -XEN_EFAULT;
    return err;
}

struct e820_entry {
    u64 addr, size;
    u32 type;
} __packed_;

/* The machine's map for the first domain; a plain one for others, which see their pseudo-physical memory. */
static long memory_map(struct domain *d, gva_t arg, bool machine)
{
    struct xen_memory_map m;
    struct e820_entry e;
    unsigned int n = 0;

    if (machine && !d->privileged)
        return refuse(d, __HYPERVISOR_memory_op, XENMEM_machine_memory_map, -XEN_EPERM);
    if (!guest_read(&m, arg))
        return -XEN_EFAULT;
    if (machine) {
        for (n = 0; n < nr_mem_ranges && n < m.nr_entries; n++) {
            e = (struct e820_entry){mem_map[n].start, mem_map[n].size, mem_map[n].type};
            if (!guest_write((gva_t)m.buffer.p + n * sizeof(e), &e))
                return -XEN_EFAULT;
        }
        if (n < nr_mem_ranges)
            return -XEN_EINVAL;
    } else {
        if (m.nr_entries < 1)
            return -XEN_EINVAL;
        e = (struct e820_entry){0, d->max_pages << PAGE_SHIFT, 1};
        if (!guest_write((gva_t)m.buffer.p, &e))
            return -XEN_EFAULT;
        n = 1;
    }
    m.nr_entries = n;
    return guest_write(arg, &m) ? 0 : -XEN_EFAULT;
}

static long machphys_mapping(gva_t arg)
{
    struct xen_machphys_mapping m = {
        .v_start = M2P_RO_VIRT,
        .v_end = M2P_RO_VIRT + (1ull << 39),
        .max_mfn = max_mfn - 1,
    };

    return guest_write(arg, &m) ? 0 : -XEN_EFAULT;
}

static long machphys_mfn_list(struct domain *d, gva_t arg)
{
    struct xen_machphys_mfn_list l;
    u64 per = MB(2) >> PAGE_SHIFT, n, limit = (max_mfn * 8 + MB(2) - 1) / MB(2);

    if (!d->privileged)
        return refuse(d, __HYPERVISOR_memory_op, XENMEM_machphys_mfn_list, -XEN_EPERM);
    if (!guest_read(&l, arg))
        return -XEN_EFAULT;
    for (n = 0; n < l.max_extents && n < limit; n++) {
        u64 mfn = (m2p_paddr() >> PAGE_SHIFT) + n * per;

        if (!guest_write((gva_t)l.extent_start.p + n * 8, &mfn))
            return -XEN_EFAULT;
    }
    l.nr_extents = n;
    return guest_write(arg, &l) ? 0 : -XEN_EFAULT;
}

long arch_memory_op(u64 full_cmd, u64 arg)
{
    struct domain *d = current_vcpu()->domain;
    unsigned int cmd = full_cmd & MEMOP_CMD_MASK;
    u64 start = full_cmd >> MEMOP_EXTENT_SHIFT;

    switch (cmd) {
    case XENMEM_increase_reservation:
        if (unlikely(d->p2m.ops != NULL)) /* its frames have numbers, which it says */
            return refuse(d, __HYPERVISOR_memory_op, cmd, -XEN_ENOSYS);
        return reservation(d, cmd, start, arg);
    case XENMEM_decrease_reservation:
    case XENMEM_populate_physmap:
        return reservation(d, cmd, start, arg);
    case XENMEM_maximum_ram_page:
        return max_mfn - 1;
    default:
        if (unlikely(d->p2m.ops != NULL))
            return hvm_memory_op(d, cmd, arg);
    }
    switch (cmd) {
    case XENMEM_exchange:
        return exchange(d, arg);
    case XENMEM_machphys_mapping:
        return machphys_mapping(arg);
    case XENMEM_machphys_mfn_list:
        return machphys_mfn_list(d, arg);
    case XENMEM_memory_map:
        return memory_map(d, arg, false);
    case XENMEM_machine_memory_map:
        return memory_map(d, arg, true);
    default:
        return refuse(d, __HYPERVISOR_memory_op, cmd, -XEN_ENOSYS);
    }
}

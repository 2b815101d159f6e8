/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls of 32-bit callers: one table, as table.c's for 64-bit ones (DESIGN §3, decision 5).
 *
 * Arguments come zero-extended. A call whose structures are alike in both widths goes straight to its function. The others
 * are translated here: the 32-bit structure is read, its 64-bit form written into a frame, the function called with the
 * frame's address in the window (core/compat.h), and what it wrote back copied out in the 32-bit form. Lists go one element
 * at a time, so that only this file continues a call.
 * Does not: calls of paravirtual kernels (page tables, traps, descriptors); starting further vCPUs.
 */
#define __XEN_TOOLS__ 1
#include "compat.h"
#include "hypercall.h"
#include <xen/hvm/hvm_op.h>

#define FN(name) static long name(u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6)

static long refused(unsigned int op, u64 sub)
{
    return refuse(current_vcpu()->domain, op, (u32)sub, -XEN_ENOSYS);
}

/** Call the 64-bit function with the window open. One that wants to be continued is at fault: it gets one element at a time. */
static long translated(struct compat_frame *f, unsigned int op, u64 a1, u64 a2, u64 a3)
{
    struct vcpu *v = current_vcpu();
    long rc;

    f->continued = false;
    v->compat = f;
    rc = hypercall_table[op].fn(a1, a2, a3, 0, 0, 0);
    v->compat = NULL;
    BUG_ON(f->continued);
    return rc;
}

/* ---- memory_op ---- */

struct reservation_32 {
    u32 extent_start, nr_extents, extent_order, mem_flags;
    u16 domid;
};
struct add_to_physmap_32 {
    u16 domid, size;
    u32 space, idx, gpfn;
};
struct remove_from_physmap_32 {
    u16 domid;
    u32 gpfn;
};

static long reservation(unsigned int cmd, u32 start, gva_t arg)
{
    struct compat_frame f;
    struct xen_memory_reservation *r = (void *)f.buffer;
    u64 *gfn = (void *)(f.buffer + 64);
    struct reservation_32 op;
    u32 i;

    if (guest_copy_from(&op, arg, offsetof(struct reservation_32, domid) + 2))
        return -XEN_EFAULT;
    if (start > op.nr_extents)
        return -XEN_EINVAL;
    for (i = start; i < op.nr_extents; i++) {
        u32 at = op.extent_start + i * 4, given = 0;
        long rc;

        if (i != start && hypercall_preempt_check())
            return hypercall_continue(__HYPERVISOR_memory_op, 2, (u64)(cmd | i << MEMOP_EXTENT_SHIFT), (u64)arg);
        if (op.extent_start && !guest_read(&given, at))
            break;
        *gfn = given;
        *r = (struct xen_memory_reservation){
            .nr_extents = 1, .extent_order = op.extent_order, .mem_flags = op.mem_flags, .domid = op.domid};
        if (op.extent_start)
            r->extent_start.p = (void *)(COMPAT_WINDOW + 64);
        rc = translated(&f, __HYPERVISOR_memory_op, cmd, COMPAT_WINDOW, 0);
        if (rc != 1)
            return rc < 0 && i == 0 ? rc : (long)i;
        given = (u32)*gfn;
        if (op.extent_start && cmd != XENMEM_decrease_reservation && !guest_write(at, &given))
            return i + 1;
    }
    return i;
}

static long claim(gva_t arg)
{
    struct compat_frame f;
    struct reservation_32 op;

    if (guest_copy_from(&op, arg, offsetof(struct reservation_32, domid) + 2))
        return -XEN_EFAULT;
    *(struct xen_memory_reservation *)f.buffer = (struct xen_memory_reservation){
        .nr_extents = op.nr_extents, .extent_order = op.extent_order, .mem_flags = op.mem_flags, .domid = op.domid};
    if (op.extent_start) /* must be none: let the function refuse it */
        ((struct xen_memory_reservation *)f.buffer)->extent_start.p = (void *)(u64)op.extent_start;
    return translated(&f, __HYPERVISOR_memory_op, XENMEM_claim_pages, COMPAT_WINDOW, 0);
}

static long add_to_physmap(gva_t arg)
{
    struct compat_frame f;
    struct add_to_physmap_32 op;

    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    if (op.space == XENMAPSPACE_gmfn_range)
        return refused(__HYPERVISOR_memory_op, XENMEM_add_to_physmap);
    *(struct xen_add_to_physmap *)f.buffer =
        (struct xen_add_to_physmap){.domid = op.domid, .size = op.size, .space = op.space, .idx = op.idx, .gpfn = op.gpfn};
    return translated(&f, __HYPERVISOR_memory_op, XENMEM_add_to_physmap, COMPAT_WINDOW, 0);
}

static long remove_from_physmap(gva_t arg)
{
    struct compat_frame f;
    struct remove_from_physmap_32 op;

    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    *(struct xen_remove_from_physmap *)f.buffer = (struct xen_remove_from_physmap){.domid = op.domid, .gpfn = op.gpfn};
    return translated(&f, __HYPERVISOR_memory_op, XENMEM_remove_from_physmap, COMPAT_WINDOW, 0);
}

static long memory_map(gva_t arg)
{
    struct compat_frame f;
    struct xen_memory_map *m = (void *)f.buffer;
    u32 op[2]; /* entries, buffer */
    long rc;

    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    *m = (struct xen_memory_map){.nr_entries = op[0]};
    m->buffer.p = (void *)(u64)op[1];
    rc = translated(&f, __HYPERVISOR_memory_op, XENMEM_memory_map, COMPAT_WINDOW, 0);
    op[0] = m->nr_entries;
    return rc ? rc : guest_write(arg, &op[0]) ? 0 : -XEN_EFAULT;
}

FN(compat_memory_op)
{
    unsigned int cmd = a1 & ((1u << MEMOP_EXTENT_SHIFT) - 1);

    switch (cmd) {
    case XENMEM_increase_reservation:
    case XENMEM_decrease_reservation:
    case XENMEM_populate_physmap:
        return reservation(cmd, (u32)a1 >> MEMOP_EXTENT_SHIFT, a2);
    case XENMEM_claim_pages:
        return claim(a2);
    case XENMEM_add_to_physmap:
        return add_to_physmap(a2);
    case XENMEM_remove_from_physmap:
        return remove_from_physmap(a2);
    case XENMEM_memory_map:
        return memory_map(a2);
    case XENMEM_current_reservation: /* these take the number of a domain, or nothing */
    case XENMEM_maximum_reservation:
    case XENMEM_maximum_gpfn:
    case XENMEM_maximum_ram_page:
    case XENMEM_get_vnumainfo:
        return do_memory_op(a1, a2, 0, 0, 0, 0);
    default:
        return refused(__HYPERVISOR_memory_op, cmd);
    }
}

/* ---- vcpu_op, sched_op, set_timer_op ---- */

static long get_runstate(u64 vcpu, gva_t arg)
{
    struct compat_frame f;
    const struct vcpu_runstate_info *wide = (void *)f.buffer;
    struct runstate_info_32 info;
    long rc = translated(&f, __HYPERVISOR_vcpu_op, VCPUOP_get_runstate_info, vcpu, COMPAT_WINDOW);

    if (rc)
        return rc;
    info = runstate_narrow(wide);
    return guest_write(arg, &info) ? 0 : -XEN_EFAULT;
}

FN(compat_vcpu_op)
{
    struct compat_frame f;
    u32 handle;

    switch ((u32)a1) {
    case VCPUOP_set_singleshot_timer: /* 12 bytes, 16 with the padding of the 64-bit form */
        if (guest_copy_from(f.buffer, a3, 12))
            return -XEN_EFAULT;
        return translated(&f, __HYPERVISOR_vcpu_op, a1, a2, COMPAT_WINDOW);
    case VCPUOP_register_runstate_memory_area:
        if (!guest_read(&handle, a3))
            return -XEN_EFAULT;
        *(u64 *)f.buffer = handle;
        return translated(&f, __HYPERVISOR_vcpu_op, a1, a2, COMPAT_WINDOW);
    case VCPUOP_get_runstate_info:
        return get_runstate(a2, a3);
    case VCPUOP_initialise:
        return refused(__HYPERVISOR_vcpu_op, a1);
    default: /* alike in both widths, or without a structure */
        return do_vcpu_op(a1, a2, a3, 0, 0, 0);
    }
}

FN(compat_sched_op)
{
    struct compat_frame f;
    struct {
        u32 ports, nr_ports;
        u64 timeout;
    } op;

    if ((u32)a1 != SCHEDOP_poll)
        return do_sched_op(a1, a2, 0, 0, 0, 0);
    if (!guest_read(&op, a2))
        return -XEN_EFAULT;
    *(struct sched_poll *)f.buffer = (struct sched_poll){.nr_ports = op.nr_ports, .timeout = op.timeout};
    ((struct sched_poll *)f.buffer)->ports.p = (void *)(u64)op.ports;
    return translated(&f, __HYPERVISOR_sched_op, a1, COMPAT_WINDOW, 0);
}

FN(compat_set_timer_op)
{
    return do_set_timer_op((u32)a1 | a2 << 32, 0, 0, 0, 0, 0);
}

/* ---- xen_version ---- */

FN(compat_xen_version)
{
    struct compat_frame f;
    long rc;

    if ((u32)a1 != XENVER_platform_parameters)
        return do_xen_version(a1, a2, 0, 0, 0, 0);
    rc = translated(&f, __HYPERVISOR_xen_version, a1, COMPAT_WINDOW, 0);
    if (!rc) { /* where the hypervisor begins: nowhere in 4 GiB, which the low half of its address would deny */
        u32 start = 0;

        rc = guest_write(a2, &start) ? 0 : -XEN_EFAULT;
    }
    return rc;
}

/* ---- grant_table_op ---- */

static long setup_table(gva_t arg)
{
    struct compat_frame f;
    struct gnttab_setup_table *op = (void *)f.buffer;
    const u64 *frame = (void *)(f.buffer + 64);
    struct {
        u16 dom, pad;
        u32 nr_frames;
        int16_t status, pad2;
        u32 frame_list;
    } narrow;
    long rc;

    if (!guest_read(&narrow, arg))
        return -XEN_EFAULT;
    if (narrow.nr_frames > (COMPAT_WINDOW_SIZE - 64) / 8)
        return refused(__HYPERVISOR_grant_table_op, GNTTABOP_setup_table);
    *op = (struct gnttab_setup_table){.dom = narrow.dom, .nr_frames = narrow.nr_frames};
    op->frame_list.p = (void *)(COMPAT_WINDOW + 64);
    rc = translated(&f, __HYPERVISOR_grant_table_op, GNTTABOP_setup_table, COMPAT_WINDOW, 1);
    if (rc)
        return rc;
    narrow.status = op->status;
    for (u32 i = 0; i < narrow.nr_frames && narrow.status == GNTST_okay; i++) {
        u32 n = (u32)frame[i];

        if (!guest_write((gva_t)(u32)(narrow.frame_list + i * 4), &n))
            narrow.status = GNTST_bad_virt_addr;
    }
    return guest_write(arg, &narrow) ? 0 : -XEN_EFAULT;
}

struct copy_32 {
    struct {
        u32 what;
        u16 domid, offset;
    } source, dest;
    u16 len, flags;
    int16_t status, pad;
};

static long copy(gva_t arg, u32 count)
{
    struct compat_frame f;
    struct gnttab_copy *op = (void *)f.buffer;
    struct copy_32 narrow;

    for (; count; count--, arg += sizeof(narrow)) {
        long rc;

        if (!guest_read(&narrow, arg))
            return -XEN_EFAULT;
        memset(op, 0, sizeof(*op));
        op->source.u.gmfn = narrow.source.what;
        op->source.domid = narrow.source.domid;
        op->source.offset = narrow.source.offset;
        op->dest.u.gmfn = narrow.dest.what;
        op->dest.domid = narrow.dest.domid;
        op->dest.offset = narrow.dest.offset;
        op->len = narrow.len;
        op->flags = narrow.flags;
        rc = translated(&f, __HYPERVISOR_grant_table_op, GNTTABOP_copy, COMPAT_WINDOW, 1);
        if (rc)
            return rc;
        narrow.status = op->status;
        if (!guest_write(arg, &narrow))
            return -XEN_EFAULT;
        if (count > 1 && hypercall_preempt_check())
            return hypercall_continue(__HYPERVISOR_grant_table_op, 3, (u64)GNTTABOP_copy, (u64)arg + sizeof(narrow), (u64)(count - 1));
    }
    return 0;
}

FN(compat_grant_table_op)
{
    switch ((u32)a1) {
    case GNTTABOP_setup_table:
        return (u32)a3 == 1 ? setup_table(a2) : -XEN_EINVAL;
    case GNTTABOP_copy:
        return (s32)a3 < 0 ? -XEN_EINVAL : copy(a2, (u32)a3);
    case GNTTABOP_map_grant_ref: /* alike in both widths */
    case GNTTABOP_unmap_grant_ref:
    case GNTTABOP_query_size:
    case GNTTABOP_set_version:
    case GNTTABOP_get_version:
    case GNTTABOP_swap_grant_ref:
        return do_grant_table_op(a1, a2, a3, 0, 0, 0);
    default:
        return refused(__HYPERVISOR_grant_table_op, a1);
    }
}

/* ---- physdev_op, hvm_op ---- */

FN(compat_physdev_op)
{
    struct compat_frame f;
    u32 gmfn;

    switch ((u32)a1) {
    case PHYSDEVOP_pirq_eoi_gmfn_v2:
        if (!guest_read(&gmfn, a2))
            return -XEN_EFAULT;
        *(u64 *)f.buffer = gmfn;
        return translated(&f, __HYPERVISOR_physdev_op, a1, COMPAT_WINDOW, 0);
    case PHYSDEVOP_map_pirq: /* a base address lies elsewhere, and is of no use without MSI */
        if (guest_copy_from(f.buffer, a2, offsetof(struct physdev_map_pirq, table_base) - 4))
            return -XEN_EFAULT;
        {
            long rc = translated(&f, __HYPERVISOR_physdev_op, a1, COMPAT_WINDOW, 0);
            const struct physdev_map_pirq *op = (void *)f.buffer;

            if (!rc && guest_copy_to(a2 + offsetof(struct physdev_map_pirq, pirq), &op->pirq, sizeof(op->pirq)))
                rc = -XEN_EFAULT;
            return rc;
        }
    default:
        return do_physdev_op(a1, a2, 0, 0, 0, 0);
    }
}

FN(compat_hvm_op) /* every structure of a guest's own calls is of fixed widths */
{
    hypercall_fn *fn = hypercall_table[__HYPERVISOR_hvm_op].fn;

    return fn ? fn(a1, a2, a3, 0, 0, 0) : refused(__HYPERVISOR_hvm_op, a1);
}

#define CALL(number, function) [__HYPERVISOR_##number] = {.fn = function, .name = #number}

const struct hypercall hypercall_table_32[NR_HYPERCALLS] = {
    CALL(memory_op, compat_memory_op),
    CALL(multicall, do_multicall_32),
    CALL(set_timer_op, compat_set_timer_op),
    CALL(xen_version, compat_xen_version),
    CALL(console_io, do_console_io),
    CALL(grant_table_op, compat_grant_table_op),
    CALL(vm_assist, do_vm_assist),
    CALL(vcpu_op, compat_vcpu_op),
    CALL(xsm_op, do_xsm_op),
    CALL(sched_op, compat_sched_op),
    CALL(event_channel_op, do_event_channel_op),
    CALL(physdev_op, compat_physdev_op),
    CALL(hvm_op, compat_hvm_op),
    CALL(sysctl, do_sysctl), /* laid out for both widths alike, and so is the next */
    CALL(domctl, do_domctl),
};

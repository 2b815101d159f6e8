/* SPDX-License-Identifier: MIT */
/*
 * PHYSDEV_OP: physical interrupts and PCI devices of the privileged domain (xen/physdev.h). Others
 * get -XEN_EPERM, but for their own I/O privilege level.
 *
 * No device is routed to a domain yet. A pirq is the number of the interrupt line itself; one can
 * be mapped and bound to a port, and nothing raises it. PCI devices are taken note of by nobody.
 * I/O APICs are the hypervisor's: reading one gets -XEN_EINVAL, upon which Linux uses a picture of
 * its own. MSI gets -XEN_ENOSYS.
 */
#include "evtchn.h"
#include "hypercall.h"

static long refused(u64 cmd, long err)
{
    return refuse(current_vcpu()->domain, __HYPERVISOR_physdev_op, cmd, err);
}

static long set_iopl(struct vcpu *v, gva_t arg)
{
    struct physdev_set_iopl op;

    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    if (op.iopl > 3)
        return -XEN_EINVAL;
    arch_set_iopl(v, op.iopl);
    return 0;
}

static long irq_status_query(gva_t arg)
{
    struct physdev_irq_status_query op;

    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    if (op.irq >= NR_PIRQS)
        return -XEN_EINVAL;
    op.flags = 0; /* no acknowledgement needed, not shared */
    return guest_write(arg, &op) ? 0 : -XEN_EFAULT;
}

static long alloc_irq_vector(gva_t arg)
{
    struct physdev_irq op;

    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    if (op.irq >= NR_PIRQS)
        return -XEN_EINVAL;
    /* vectors are the hypervisor's own business: the guest only hands it back */
    op.vector = op.irq;
    return guest_write(arg, &op) ? 0 : -XEN_EFAULT;
}

static long map_pirq(struct domain *d, gva_t arg)
{
    struct physdev_map_pirq op;

    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    if (op.domid != DOMID_SELF && op.domid != d->id)
        return refused(PHYSDEVOP_map_pirq, -XEN_ENOSYS);
    if (op.type != MAP_PIRQ_TYPE_GSI)
        return refused(PHYSDEVOP_map_pirq, -XEN_ENOSYS);
    if (op.index < 0 || op.index >= NR_PIRQS)
        return -XEN_EINVAL;
    if (op.pirq < 0)
        op.pirq = op.index;
    if (op.pirq >= NR_PIRQS)
        return -XEN_EINVAL;
    return guest_write(arg, &op) ? 0 : -XEN_EFAULT;
}

static long setup_gsi(gva_t arg)
{
    struct physdev_setup_gsi op;

    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    return op.gsi < 0 || op.gsi >= NR_PIRQS ? -XEN_EINVAL : 0;
}

/**
 * A page of one bit per pirq that says "acknowledge by hypercall"; with no device it stays zero.
 */
static long pirq_eoi_page(struct domain *d, gva_t arg)
{
    struct physdev_pirq_eoi_gmfn op;
    void *page;
    long rc;

    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    if (d->pirq_eoi)
        return -XEN_EBUSY;
    rc = arch_get_guest_frame(d, GFN(op.gmfn), &page);
    if (rc)
        return rc;
    memset(page, 0, PAGE_SIZE);
    d->pirq_eoi = page;
    return 0;
}

long do_physdev_op(u64 cmd, u64 arg, u64 a3, u64 a4, u64 a5, u64 a6)
{
    struct vcpu *v = current_vcpu();
    struct domain *d = v->domain;

    switch ((u32)cmd) {
    case PHYSDEVOP_set_iopl:
        return set_iopl(v, arg);
    case PHYSDEVOP_pirq_eoi_gmfn_v2:
        return pirq_eoi_page(d, arg);
    default:
        if (!d->privileged)
            return refused(cmd, -XEN_EPERM);
    }
    switch ((u32)cmd) {
    case PHYSDEVOP_irq_status_query:
        return irq_status_query(arg);
    case PHYSDEVOP_alloc_irq_vector:
        return alloc_irq_vector(arg);
    case PHYSDEVOP_map_pirq:
        return map_pirq(d, arg);
    case PHYSDEVOP_setup_gsi:
        return setup_gsi(arg);
    case PHYSDEVOP_eoi:
    case PHYSDEVOP_unmap_pirq:
    case PHYSDEVOP_pci_device_add:
    case PHYSDEVOP_pci_device_remove:
    case PHYSDEVOP_pci_mmcfg_reserved:
    case PHYSDEVOP_dbgp_op:
        return 0;
    case PHYSDEVOP_apic_read:
    case PHYSDEVOP_apic_write:
        return -XEN_EINVAL;
    default:
        return refused(cmd, -XEN_ENOSYS);
    }
}

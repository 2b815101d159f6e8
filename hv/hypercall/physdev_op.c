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

static long set_iopl(struct vcpu *v, void *arg, gva_t at)
{
    const struct physdev_set_iopl *op = arg;

    if (op->iopl > 3)
        return -XEN_EINVAL;
    arch_set_iopl(v, op->iopl);
    return 0;
}

static long irq_status_query(struct vcpu *v, void *arg, gva_t at)
{
    struct physdev_irq_status_query *op = arg;

    op->flags = 0; /* no acknowledgement needed, not shared */
    return op->irq < NR_PIRQS ? 0 : -XEN_EINVAL;
}

static long alloc_irq_vector(struct vcpu *v, void *arg, gva_t at)
{
    struct physdev_irq *op = arg;

    op->vector = op->irq; /* vectors are the hypervisor's own business: the guest only hands it back */
    return op->irq < NR_PIRQS ? 0 : -XEN_EINVAL;
}

static long map_pirq(struct vcpu *v, void *arg, gva_t at)
{
    struct physdev_map_pirq *op = arg;

    if ((op->domid != DOMID_SELF && op->domid != v->domain->id) || op->type != MAP_PIRQ_TYPE_GSI)
        return refuse(v->domain, __HYPERVISOR_physdev_op, PHYSDEVOP_map_pirq, -XEN_ENOSYS);
    if (op->index < 0 || op->index >= NR_PIRQS)
        return -XEN_EINVAL;
    if (op->pirq < 0)
        op->pirq = op->index;
    return op->pirq < NR_PIRQS ? 0 : -XEN_EINVAL;
}

static long setup_gsi(struct vcpu *v, void *arg, gva_t at)
{
    const struct physdev_setup_gsi *op = arg;

    return op->gsi < 0 || op->gsi >= NR_PIRQS ? -XEN_EINVAL : 0;
}

/**
 * A page of one bit per pirq that says "acknowledge by hypercall"; with no device it stays zero.
 */
static long pirq_eoi_page(struct vcpu *v, void *arg, gva_t at)
{
    const struct physdev_pirq_eoi_gmfn *op = arg;
    struct domain *d = v->domain;
    void *page;
    long rc;

    if (d->pirq_eoi)
        return -XEN_EBUSY;
    rc = arch_get_guest_frame(d, GFN(op->gmfn), &page);
    if (rc)
        return rc;
    memset(page, 0, PAGE_SIZE);
    d->pirq_eoi = page;
    return 0;
}

/* What nobody takes note of. */
static long accept(struct vcpu *v, void *arg, gva_t at)
{
    return 0;
}

static long no_io_apic(struct vcpu *v, void *arg, gva_t at)
{
    return -XEN_EINVAL;
}

static const struct subop subops[] = {
    [PHYSDEVOP_set_iopl] = {set_iopl, sizeof(struct physdev_set_iopl)},
    [PHYSDEVOP_pirq_eoi_gmfn_v2] = {pirq_eoi_page, sizeof(struct physdev_pirq_eoi_gmfn)},
    [PHYSDEVOP_irq_status_query] = {irq_status_query, sizeof(struct physdev_irq_status_query), .answers = true, .privileged = true},
    [PHYSDEVOP_alloc_irq_vector] = {alloc_irq_vector, sizeof(struct physdev_irq), .answers = true, .privileged = true},
    [PHYSDEVOP_map_pirq] = {map_pirq, sizeof(struct physdev_map_pirq), .answers = true, .privileged = true},
    [PHYSDEVOP_setup_gsi] = {setup_gsi, sizeof(struct physdev_setup_gsi), .privileged = true},
    [PHYSDEVOP_eoi] = {accept, .privileged = true},
    [PHYSDEVOP_unmap_pirq] = {accept, .privileged = true},
    [PHYSDEVOP_pci_device_add] = {accept, .privileged = true},
    [PHYSDEVOP_pci_device_remove] = {accept, .privileged = true},
    [PHYSDEVOP_pci_mmcfg_reserved] = {accept, .privileged = true},
    [PHYSDEVOP_dbgp_op] = {accept, .privileged = true},
    [PHYSDEVOP_apic_read] = {no_io_apic, .privileged = true},
    [PHYSDEVOP_apic_write] = {no_io_apic, .privileged = true},
};

long do_physdev_op(u64 cmd, u64 arg, u64 a3, u64 a4, u64 a5, u64 a6)
{
    return subop_call(__HYPERVISOR_physdev_op, subops, ARRAY_SIZE(subops), cmd, current_vcpu(), arg);
}

/* SPDX-License-Identifier: MIT */
/*
 * MCA: machine checks, for the privileged domain (xen/arch-x86/xen-mca.h); others get -XEN_EPERM.
 *
 * A machine check ends the machine here (x86/traps.c), so there is never telemetry to fetch; the processors are told, by which the
 * stock kernel's driver sizes its tables. Does not: inject errors, which ask for hardware (-XEN_EINVAL, as what is unknown).
 */
#include "hypercall.h"
#include <xen/arch-x86/xen-mca.h>

static long fetch(struct xen_mc_fetch *f)
{
    bool ack = f->flags & XEN_MC_ACK; /* of nothing */
    u32 kind = f->flags & ~XEN_MC_ACK;

    if ((kind != XEN_MC_NONURGENT && kind != XEN_MC_URGENT) || (!ack && !f->data.p))
        return -XEN_EINVAL;
    f->flags = ack ? XEN_MC_OK : XEN_MC_NODATA;
    f->fetch_id = 0;
    return 0;
}

/* As many as there is room for. The sizes are those of XEN_SYSCTL_physinfo. */
static long put_cpus(struct xen_mc_physcpuinfo *info)
{
    u32 nr = arch_nr_cpus();

    info->ncpus = info->info.p ? min_of(info->ncpus, nr) : nr;
    for (u32 cpu = 0; info->info.p && cpu < info->ncpus; cpu++) {
        struct mcinfo_logical_cpu c = {.mc_cpunr = cpu, .mc_apicid = arch_cpu_apic_id(cpu), .mc_ncores = nr, .mc_ncores_active = nr,
                                       .mc_nthreads = 1};

        if (guest_copy_to((gva_t)info->info.p + cpu * sizeof(c), &c, sizeof(c)))
            return -XEN_EFAULT;
    }
    return 0;
}

long do_mca(u64 arg, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6)
{
    struct xen_mc op;
    long rc = privileged_read(__HYPERVISOR_mca, &op, arg, sizeof(op), XEN_MCA_INTERFACE_VERSION);

    if (rc)
        return rc;
    switch (op.cmd) {
    case XEN_MC_fetch:
        rc = fetch(&op.u.mc_fetch);
        break;
    case XEN_MC_physcpuinfo:
        rc = put_cpus(&op.u.mc_physcpuinfo);
        break;
    default:
        return refuse(current_vcpu()->domain, __HYPERVISOR_mca, op.cmd, -XEN_EINVAL);
    }
    return privileged_answer(rc, arg, &op);
}

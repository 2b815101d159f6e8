/* SPDX-License-Identifier: MIT */
/*
 * SYSCTL: what the stock kernel itself asks as privileged domain, and the log (xen/sysctl.h);
 * others get -XEN_EPERM.
 * The toolstack's operations get -XEN_ENOSYS until they are written.
 */
#define __XEN_TOOLS__ 1
#include "hypercall.h"
#include "log.h"
#include <xen/sysctl.h>

static long physinfo(struct xen_sysctl_physinfo *info)
{
    struct arch_physinfo p;

    arch_get_physinfo(&p);
    *info = (struct xen_sysctl_physinfo){
        .threads_per_core = 1,
        .cores_per_socket = p.nr_cpus,
        .nr_cpus = p.nr_cpus,
        .max_cpu_id = p.nr_cpus - 1,
        .nr_nodes = 1,
        .cpu_khz = p.cpu_khz,
        .capabilities = XEN_SYSCTL_PHYSCAP_pv | XEN_SYSCTL_PHYSCAP_gnttab_v1,
        .total_pages = p.total_pages,
        .free_pages = p.free_pages,
        .max_mfn = p.max_mfn,
    };
    return 0;
}

static long read_console(struct xen_sysctl_readconsole *op)
{
    char text[256];
    u32 from = op->incremental ? op->index : 0, done = 0;

    while (done < op->count) {
        size_t n = log_read(&from, text, min_of(sizeof(text), op->count - done));

        if (n == 0)
            break;
        if (guest_copy_to((gva_t)op->buffer.p + done, text, n))
            return -XEN_EFAULT;
        done += n;
    }
    op->count = done;
    op->index = from;
    if (op->clear)
        log_clear();
    return 0;
}

long do_sysctl(u64 arg, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6)
{
    struct domain *d = current_vcpu()->domain;
    struct xen_sysctl op;
    long rc;

    if (!d->privileged)
        return refuse(d, __HYPERVISOR_sysctl, 0, -XEN_EPERM);
    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    if (op.interface_version != XEN_SYSCTL_INTERFACE_VERSION)
        return -XEN_EACCES;
    switch (op.cmd) {
    case XEN_SYSCTL_physinfo:
        rc = physinfo(&op.u.physinfo);
        break;
    case XEN_SYSCTL_readconsole:
        rc = read_console(&op.u.readconsole);
        break;
    case XEN_SYSCTL_debug_keys:
        return 0; /* no key does anything, as where Xen knows none */
    default:
        return refuse(d, __HYPERVISOR_sysctl, op.cmd, -XEN_ENOSYS);
    }
    if (!rc && !guest_write(arg, &op))
        rc = -XEN_EFAULT;
    return rc;
}

/* SPDX-License-Identifier: MIT */
/*
 * PLATFORM_OP: the machine's clock, processors, power and firmware, for the privileged domain
 * (xen/platform.h); others get -XEN_EPERM.
 *
 * The hypervisor asks no firmware for disks or screens, so there is nothing to tell about them:
 * -XEN_ESRCH, Xen's answer for a disk that is not there, and -XEN_ENOSYS for what a machine without
 * EFI cannot have.
 */
#include "hypercall.h"

static long firmware_info(const struct xenpf_firmware_info *info)
{
    return info->type == XEN_FW_DISK_INFO || info->type == XEN_FW_DISK_MBR_SIGNATURE ? -XEN_ESRCH : -XEN_ENOSYS;
}

static void get_cpuinfo(struct xenpf_pcpuinfo *info)
{
    info->max_present = arch_nr_cpus() - 1;
    if (info->xen_cpuid > info->max_present) {
        info->flags = XEN_PCPU_FLAGS_INVALID;
    } else {
        info->flags = arch_online_mask() >> info->xen_cpuid & 1 ? XEN_PCPU_FLAGS_ONLINE : 0;
        info->apic_id = info->acpi_id = arch_cpu_apic_id(info->xen_cpuid);
    }
}

static long set_time(struct domain *d, const struct xenpf_settime64 *t)
{
    if (t->mbz || t->nsecs >= SECONDS(1) || t->secs >= 1ull << 34)
        return -XEN_EINVAL;
    time_set_wallclock(d, t->secs, t->nsecs, t->system_time);
    return 0;
}

/**
 * Soft-off ends the machine, as its registers would; other states need devices to come back from.
 */
static long enter_acpi_sleep(struct domain *d, const struct xenpf_enter_acpi_sleep *op)
{
    if (op->sleep_state != 5)
        return -XEN_EOPNOTSUPP;
    domain_shutdown(d, SHUTDOWN_poweroff);
    return 0;
}

long do_platform_op(u64 arg, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6)
{
    struct domain *d = current_vcpu()->domain;
    struct xen_platform_op op;
    long rc = privileged_read(__HYPERVISOR_platform_op, &op, arg, sizeof(op), XENPF_INTERFACE_VERSION);

    if (rc)
        return rc;
    switch (op.cmd) {
    case XENPF_settime64:
        return set_time(d, &op.u.settime64);
    case XENPF_firmware_info:
        return firmware_info(&op.u.firmware_info);
    case XENPF_enter_acpi_sleep:
        return enter_acpi_sleep(d, &op.u.enter_acpi_sleep);
    case XENPF_cpu_online:
        return arch_cpu_up(op.u.cpu_ol.cpuid);
    case XENPF_cpu_offline:
        return arch_cpu_down(op.u.cpu_ol.cpuid);
    case XENPF_get_cpuinfo:
        get_cpuinfo(&op.u.pcpu_info);
        return guest_write(arg, &op) ? 0 : -XEN_EFAULT;
    default:
        return refuse(d, __HYPERVISOR_platform_op, op.cmd, -XEN_ENOSYS);
    }
}

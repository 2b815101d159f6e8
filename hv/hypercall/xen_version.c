/* SPDX-License-Identifier: MIT */
/*
 * XEN_VERSION: what this hypervisor is (xen/version.h). The ABI of Xen 4.17, with an extra version
 * of our own.
 *
 * Nothing here tells when, where or by whom the image was built: two clones build identical bytes.
 * The build id tells it.
 */
#include "hypercall.h"

static const char extraversion[16] = "-parangon";
static const char capabilities[1024] = "xen-3.0-x86_64 ";
static const char changeset[64] = "unavailable";
static const struct xen_compile_info compile_info = {.compiler = "gcc " __VERSION__};

/** Copy a fixed-size string out. */
static long give(gva_t arg, const void *text, size_t size)
{
    return guest_copy_to(arg, text, size) ? -XEN_EFAULT : 0;
}

static long get_features(struct domain *d, gva_t arg)
{
    struct xen_feature_info info;

    if (!guest_read(&info, arg))
        return -XEN_EFAULT;
    if (info.submap_idx >= XENFEAT_NR_SUBMAPS)
        return -XEN_EINVAL;
    info.submap = arch_features(d, info.submap_idx);
    return guest_write(arg, &info) ? 0 : -XEN_EFAULT;
}

static long platform_parameters(gva_t arg)
{
    struct xen_platform_parameters params = {.virt_start = HYPERVISOR_VIRT_START};

    return guest_write(arg, &params) ? 0 : -XEN_EFAULT;
}

static long command_line(struct domain *d, gva_t arg)
{
    const char *text = d->privileged ? arch_command_line() : "<denied>";
    size_t n = strnlen(text, sizeof(xen_commandline_t) - 1);
    static const char zero;

    if (guest_copy_to(arg, text, n) || guest_copy_to(arg + n, &zero, 1))
        return -XEN_EFAULT;
    return 0;
}

static long build_id(struct domain *d, gva_t arg)
{
    u32 room;
    size_t len;
    const void *id = arch_build_id(&len);

    if (!d->privileged)
        return -XEN_EPERM;
    if (!id)
        return -XEN_ENODATA;
    if (!arg)
        return len;
    if (!guest_read(&room, arg))
        return -XEN_EFAULT;
    if (room == 0)
        return -XEN_EINVAL;
    if (len > room)
        return -XEN_ENOBUFS;
    return guest_copy_to(arg + offsetof(struct xen_build_id, buf), id, len) ? -XEN_EFAULT
                                                                            : (long)len;
}

static __attribute__((noinline)) long others(u64 cmd, u64 arg)
{
    static const xen_domain_handle_t no_handle;
    struct domain *d = current_vcpu()->domain;

    switch ((u32)cmd) {
    case XENVER_extraversion:
        return give(arg, extraversion, sizeof(extraversion));
    case XENVER_compile_info:
        return give(arg, &compile_info, sizeof(compile_info));
    case XENVER_capabilities:
        return give(arg, capabilities, sizeof(capabilities));
    case XENVER_changeset:
        return give(arg, changeset, sizeof(changeset));
    case XENVER_platform_parameters:
        return platform_parameters(arg);
    case XENVER_get_features:
        return get_features(d, arg);
    case XENVER_pagesize:
        return arg ? -XEN_EINVAL : (long)PAGE_SIZE;
    case XENVER_guest_handle:
        return give(arg, no_handle, sizeof(no_handle)); /* nobody has given the domain one */
    case XENVER_commandline:
        return command_line(d, arg);
    case XENVER_build_id:
        return build_id(d, arg);
    default:
        return refuse(d, __HYPERVISOR_xen_version, cmd, -XEN_ENOSYS);
    }
}

/* Kernels ask for the version to be let into the hypervisor, which looks for events then: nothing may be slow before it. */
long do_xen_version(u64 cmd, u64 arg, u64 a3, u64 a4, u64 a5, u64 a6)
{
    return likely((u32)cmd == XENVER_version) ? XEN_VERSION_MAJOR << 16 | XEN_VERSION_MINOR : others(cmd, arg);
}

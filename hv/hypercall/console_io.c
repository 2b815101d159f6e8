/* SPDX-License-Identifier: MIT */
/*
 * CONSOLE_IO: the privileged domain's way to the physical console (xen/xen.h). Others get
 * -XEN_EPERM, as from a release build of Xen.
 */
#include "hypercall.h"
#include "log.h"

#define CHUNK 128

static long console_write(u64 count, gva_t buffer)
{
    char text[CHUNK];

    while (count) {
        size_t n = min_of(count, sizeof(text));

        if (guest_copy_from(text, buffer, n))
            return -XEN_EFAULT;
        log_write(text, n);
        buffer += n;
        count -= n;
        if (count && hypercall_preempt_check())
            return hypercall_continue(__HYPERVISOR_console_io, 3, (u64)CONSOLEIO_write, count,
                                      (u64)buffer);
    }
    return 0;
}

static long console_read(u64 count, gva_t buffer)
{
    char text[CHUNK];
    size_t n = arch_console_read(text, min_of(count, sizeof(text)));

    return guest_copy_to(buffer, text, n) ? -XEN_EFAULT : (long)n;
}

long do_console_io(u64 cmd, u64 count, u64 buffer, u64 a4, u64 a5, u64 a6)
{
    struct domain *d = current_vcpu()->domain;

    if (!d->privileged)
        return -XEN_EPERM; /* stock kernels try it in every domain */
    if ((s32)count < 0)
        return -XEN_EINVAL;
    switch ((u32)cmd) {
    case CONSOLEIO_write:
        return console_write((u32)count, buffer);
    case CONSOLEIO_read:
        return console_read((u32)count, buffer);
    default:
        return refuse(d, __HYPERVISOR_console_io, cmd, -XEN_ENOSYS);
    }
}

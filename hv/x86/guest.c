/* SPDX-License-Identifier: MIT */
/*
 * Guest memory on this processor. By address (core/guest.h): a range check, then a copy whose faults are fixed up (entry.S).
 * By frame (core/arch.h): holds for another domain's use, by the rules of frame typing.
 */
#include "core/guest.h"
#include "pv/pv.h"
#include "pv/typing.h"

size_t guest_copy(void *dst, const void *src, size_t n);
size_t guest_zero(void *dst, size_t n);

size_t guest_copy_from(void *dst, gva_t src, size_t n)
{
    return likely(guest_range_ok(src, n)) ? guest_copy(dst, (const void *)src, n) : n;
}

size_t guest_copy_to(gva_t dst, const void *src, size_t n)
{
    return likely(guest_range_ok(dst, n)) ? guest_copy((void *)dst, src, n) : n;
}

size_t guest_clear(gva_t dst, size_t n)
{
    return likely(guest_range_ok(dst, n)) ? guest_zero((void *)dst, n) : n;
}

size_t arch_copy_to_guest_kernel(u64 dst, const void *src, size_t n)
{
    struct vcpu *v = current_vcpu();
    size_t left;

    if (guest_kernel_mode(v))
        return guest_copy_to(dst, src, n);
    pv_toggle_mode(v);
    left = guest_copy_to(dst, src, n);
    pv_toggle_mode(v);
    return left;
}

u16 arch_frame_owner(mfn_t mfn)
{
    return mfn_is_memory(mfn) ? frame_of(mfn)->owner : DOMID_IO;
}

bool arch_device_allowed(const struct domain *d, mfn_t mfn)
{
    return io_mem_allowed(d, mfn);
}

int arch_hold_frame(const struct domain *owner, mfn_t mfn, bool writable)
{
    if (!mfn_is_memory(mfn))
        return -XEN_EINVAL;
    if (writable)
        return frame_get_type(mfn, FT_WRITABLE, owner);
    return frame_get(frame_of(mfn), owner) ? 0 : -XEN_EINVAL;
}

void arch_drop_frame(mfn_t mfn, bool writable)
{
    if (writable)
        (void)frame_put_type(mfn, false);
    else
        frame_put(frame_of(mfn));
}

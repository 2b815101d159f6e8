/* SPDX-License-Identifier: MIT */
/* core/guest.h on this processor: range check, then a copy whose faults are fixed up (entry.S). */
#include "core/guest.h"
#include "pv/pv.h"

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

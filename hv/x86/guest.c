/* SPDX-License-Identifier: MIT */
/*
 * Guest memory on this processor. By address (core/guest.h): a range check, then a copy whose faults are fixed up (entry.S); a
 * hardware-assisted guest's through its own page tables (hvm/access.c).
 * By frame (core/arch.h): holds for another domain's use, by the rules of frame typing.
 */
#include "core/compat.h"
#include "core/dirty.h"
#include "core/guest.h"
#include "hvm/hvm.h"
#include "pv/pv.h"
#include "pv/typing.h"

size_t guest_copy(void *dst, const void *src, size_t n);
size_t guest_zero(void *dst, size_t n);

/* The vendor is looked at first: where there is none, that is all it costs. */
static __always_inline_ bool by_walk(void)
{
    return unlikely(hvm_ops != NULL) && is_hvm_vcpu(current_vcpu());
}

size_t guest_copy_from(void *dst, gva_t src, size_t n)
{
    if (by_walk()) {
        const void *window = compat_window(src, n);

        if (likely(!window))
            return hvm_guest_copy_from(dst, src, n);
        memcpy(dst, window, n);
        return 0;
    }
    return likely(guest_range_ok(src, n)) ? guest_copy(dst, (const void *)src, n) : n;
}

void guest_mark_written(gva_t va, size_t n)
{
    struct vcpu *v = current_vcpu();
    struct domain *d = v->domain;
    u64 end = va + n;
    gfn_t gfn;

    if (!d->dirty || d->kind != DOMAIN_PV) /* an auto-translated domain's map tells */
        return;
    for (va &= PAGE_MASK; va < end; va += PAGE_SIZE) {
        const u64 *entry;
        u64 pte;

        tables_lock(d);
        entry = pv_walk(v, va, 1);
        pte = entry ? *entry : 0;
        tables_unlock(d);
        if ((pte & PTE_P) && arch_gfn_of(d, MFN((pte & PTE_MFN) >> PAGE_SHIFT), &gfn))
            mark_dirty(d, gfn);
    }
}

/* The same as guest_copy_to() and guest_clear() while a domain logs what is written: the mark comes behind the write. */
static __cold_ size_t copy_and_mark(gva_t dst, const void *src, size_t n)
{
    size_t left = n;

    if (guest_range_ok(dst, n))
        left = src ? guest_copy((void *)dst, src, n) : guest_zero((void *)dst, n);
    if (left < n)
        guest_mark_written(dst, n - left);
    return left;
}

size_t guest_copy_to(gva_t dst, const void *src, size_t n)
{
    if (by_walk()) {
        void *window = compat_window(dst, n);

        if (likely(!window))
            return hvm_guest_copy_to(dst, src, n);
        memcpy(window, src, n);
        return 0;
    }
    if (unlikely(dirty_logs))
        return copy_and_mark(dst, src, n);
    return likely(guest_range_ok(dst, n)) ? guest_copy((void *)dst, src, n) : n;
}

size_t guest_clear(gva_t dst, size_t n)
{
    if (by_walk())
        return hvm_guest_clear(dst, n);
    if (unlikely(dirty_logs))
        return copy_and_mark(dst, NULL, n);
    return likely(guest_range_ok(dst, n)) ? guest_zero((void *)dst, n) : n;
}

static __attribute__((noinline)) size_t copy_in_kernel_mode(struct vcpu *v, u64 dst, const void *src, size_t n)
{
    size_t left;

    pv_toggle_mode(v);
    left = guest_copy_to(dst, src, n);
    pv_toggle_mode(v);
    return left;
}

size_t arch_copy_to_guest_kernel(u64 dst, const void *src, size_t n)
{
    struct vcpu *v = current_vcpu();

    return is_hvm_vcpu(v) || guest_kernel_mode(v) ? guest_copy_to(dst, src, n) : copy_in_kernel_mode(v, dst, src, n);
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

bool arch_gfn_of(const struct domain *d, mfn_t mfn, gfn_t *gfn)
{
    if (!mfn_is_memory(mfn) || frame_of(mfn)->owner != d->id || m2p[mfn.n] >= P2M_LIMIT)
        return false;
    *gfn = GFN(m2p[mfn.n]);
    return true;
}

void arch_set_gfn(mfn_t mfn, gfn_t gfn)
{
    m2p[mfn.n] = gfn.n;
}

void arch_log_dirty(struct domain *d, bool on)
{
    for (unsigned int i = 0; i < d->max_vcpus; i++) {
        u32 *flags = &d->vcpu[i]->arch.flags;

        *flags = on ? *flags | VF_SLOW : *flags & ~(u32)VF_SLOW;
    }
}

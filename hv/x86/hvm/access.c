/* SPDX-License-Identifier: MIT */
/*
 * Memory of a hardware-assisted guest as the hypervisor reaches it: a linear address through the guest's own page tables, a
 * guest-physical one through its p2m, then the mapping of all memory. Nothing of the guest's is ever mapped or dereferenced otherwise.
 *
 * The walk is the processor's (APM vol. 2 §5.2 to 5.4): none, 32-bit with 4 MiB pages, PAE, 4-level. It checks present, write (with CR0.WP),
 * user and no-execute bits, and leaves accessed and dirty bits alone but for a write, which sets both as the processor would.
 * The guest may change its tables meanwhile: each entry is read once. Memory that is there but not populated is populated here.
 * Does not: check reserved bits, SMEP, SMAP and protection keys; a hypercall's arguments are the kernel's to give.
 */
#include "hvm.h"
#include "core/guest.h"
#include "x86/frame.h"

#define CR0_PG X86_CR0_PG
#define CR4_PSE (1u << 4)

/* The slow way, remembered in w (NULL: nowhere). The epoch is older than the look-up: what is taken out of the map meanwhile is not found again. */
static __attribute__((noinline)) void *look_up(struct domain *d, u64 gpa, bool write, struct hvm_window *w)
{
    struct hvm_domain *hd = d->arch.hvm;
    u64 epoch = READ_ONCE(hd->window_epoch);
    enum p2m_type type;
    mfn_t mfn = p2m_get(d, GFN(gpa >> PAGE_SHIFT), &type, NULL);

    if (unlikely(mfn.n == MFN_INVALID.n)) {
        if (hvm_populate(d, GFN(gpa >> PAGE_SHIFT)))
            return NULL;
        epoch = READ_ONCE(hd->window_epoch);
        mfn = p2m_get(d, GFN(gpa >> PAGE_SHIFT), &type, NULL);
    }
    if (type == P2M_LOGDIRTY && write && !hvm_mark_dirty(d, GFN(gpa >> PAGE_SHIFT)))
        type = P2M_RAM;
    if (type == P2M_MMIO || !mfn_is_memory(mfn) || (write && !p2m_type_writable(type)))
        return NULL;
    if (type == P2M_RAM && w)
        *w = (struct hvm_window){epoch + (gpa >> PAGE_SHIFT), map_mfn(mfn)};
    return (u8 *)map_mfn(mfn) + (gpa & ~PAGE_MASK);
}

/*
 * The hypervisor's address of a guest-physical one, good to the end of its page; NULL where no memory of the right kind is. It stays good until this
 * pcpu waits for another or takes interrupts (nested.c). For the current vCPU's domain, with the windows of what is looked for.
 */
static __always_inline_ void *map_own(struct domain *d, struct hvm_window *windows, u64 gpa, bool write)
{
    struct hvm_window *w = &windows[(gpa >> PAGE_SHIFT) % HVM_WINDOWS_EACH];

    return likely(w->tag == d->arch.hvm->window_epoch + (gpa >> PAGE_SHIFT)) ? w->at + (gpa & ~PAGE_MASK)
                                                                              : look_up(d, gpa, write, w);
}

/* The same for any domain. */
static __always_inline_ void *map_physical(struct domain *d, u64 gpa, bool write)
{
    struct vcpu *v = current_vcpu();

    return likely(v->domain == d) ? map_own(d, v->arch.hvm->window + HVM_WINDOWS_PAGE, gpa, write) : look_up(d, gpa, write, NULL);
}

/* One level of a walk: the entry of `size` bytes at guest-physical `where`. False: nothing there. */
static bool read_entry(struct domain *d, u64 where, unsigned int size, u64 *entry)
{
    const void *at = map_physical(d, where, false);

    if (!at)
        return false;
    *entry = size == 8 ? READ_ONCE(*(const u64 *)at) : READ_ONCE(*(const u32 *)at);
    return true;
}

/* A write through the entry at `where`: accessed and dirty, as the processor sets them, which is a write of the page table too. */
static __cold_ bool set_dirty(struct domain *d, u64 where)
{
    u32 *at = map_physical(d, where, true);

    if (at)
        __atomic_fetch_or(at, (u32)(PTE_A | PTE_D), __ATOMIC_RELAXED);
    return at;
}

/* The usual one: long mode. */
static bool walk_4_levels(struct domain *d, u64 table, u64 linear, u32 access, bool wp, bool has_nx, u64 *gpa, u32 *error)
{
    u64 rights = PTE_RW | PTE_US, nx = 0, e, where;
    const u64 *at;
    struct hvm_window *windows = current_vcpu()->arch.hvm->window + HVM_WINDOWS_DATA;
    unsigned int shift = 39;

    for (;; shift -= 9, windows += HVM_WINDOWS_EACH) {
        where = table + (linear >> shift & 511) * 8;
        at = map_own(d, windows, where, false);
        if (unlikely(!at))
            return false;
        e = READ_ONCE(*at);
        if (unlikely(!(e & PTE_P)))
            return false;
        rights &= e;
        nx |= e;
        if (shift == 12 || ((e & PTE_PSE) && shift < 39))
            break;
        table = e & PTE_MFN;
    }
    *gpa = (e & PTE_MFN & ~((1ull << shift) - 1)) | (linear & ((1ull << shift) - 1));
    *error |= 1;
    if ((access & HVM_ACCESS_USER) && !(rights & PTE_US))
        return false;
    if (access & HVM_ACCESS_WRITE) {
        if (!(rights & PTE_RW) && ((access & HVM_ACCESS_USER) || wp))
            return false;
        if (unlikely((e & (PTE_A | PTE_D)) != (PTE_A | PTE_D)) && !set_dirty(d, where))
            return false;
    }
    return !((access & HVM_ACCESS_FETCH) && has_nx && (nx & PTE_NX));
}

bool hvm_translate(struct vcpu *v, u64 linear, u32 access, u64 *gpa, u32 *error)
{
    struct domain *d = v->domain;
    u64 cr0 = hvm_ops->get(v, HVM_CR0), cr3, cr4, efer, table, where, rights = PTE_RW | PTE_US, e = 0, nx = 0;
    unsigned int level, size;

    *error = access;
    if (!(cr0 & CR0_PG)) {
        *gpa = (u32)linear;
        return true;
    }
    cr3 = hvm_ops->get(v, HVM_CR3);
    efer = hvm_ops->get(v, HVM_EFER);
    if (efer & EFER_LMA)
        return is_canonical(linear) && walk_4_levels(d, cr3 & PTE_MFN, linear, access, cr0 & X86_CR0_WP, efer & EFER_NX, gpa, error);
    cr4 = hvm_ops->get(v, HVM_CR4);
    if (cr4 & X86_CR4_PAE) {
        linear = (u32)linear;
        if (!read_entry(d, (cr3 & ~31ull & 0xffffffff) + (linear >> 30) * 8, 8, &e) || !(e & PTE_P))
            return false;
        level = 2;
        size = 8;
        table = e & PTE_MFN;
    } else {
        linear = (u32)linear;
        level = 2;
        size = 4;
        table = cr3 & 0xfffff000;
    }
    for (;; level--) {
        unsigned int bits = size == 8 ? 9 : 10, shift = 12 + bits * (level - 1);
        u64 mask = size == 8 ? PTE_MFN : 0xfffff000;

        where = table + ((linear >> shift) & ((1u << bits) - 1)) * size;
        if (!read_entry(d, where, size, &e) || !(e & PTE_P))
            return false;
        rights &= e;
        nx |= size == 8 && (efer & EFER_NX) ? e & PTE_NX : 0;
        if (level == 1 || ((e & PTE_PSE) && level < 4 && (size == 8 || (cr4 & CR4_PSE)))) {
            u64 offset = (1ull << shift) - 1;

            *gpa = (e & mask & ~offset) | (linear & offset);
            if (size == 4 && level == 2) /* PSE-36: bits 13 to 20 are bits 32 to 39 */
                *gpa |= (e & 0x1fe000) << 19;
            break;
        }
        table = e & mask;
    }
    *error |= 1;
    if ((access & HVM_ACCESS_USER) && !(rights & PTE_US))
        return false;
    if ((access & HVM_ACCESS_WRITE) && !(rights & PTE_RW) && ((access & HVM_ACCESS_USER) || (cr0 & X86_CR0_WP)))
        return false;
    if ((access & HVM_ACCESS_FETCH) && nx)
        return false;
    return !(access & HVM_ACCESS_WRITE) || (e & (PTE_A | PTE_D)) == (PTE_A | PTE_D) || set_dirty(d, where);
}

const u8 *hvm_code_at(struct vcpu *v, u64 cr3, u64 rip, unsigned int n)
{
    struct hvm_window *windows = v->arch.hvm->window + HVM_WINDOWS_CODE, *page = windows + HVM_WINDOWS_PAGE;
    struct domain *d = v->domain;
    u64 e = cr3;

    if (unlikely((rip & ~PAGE_MASK) > PAGE_SIZE - n || !is_canonical(rip)))
        return NULL;
    for (unsigned int shift = 39;; shift -= 9, windows += HVM_WINDOWS_EACH) {
        const u64 *at = map_own(d, windows, (e & PTE_MFN) + (rip >> shift & 511) * 8, false);

        if (unlikely(!at))
            return NULL;
        e = READ_ONCE(*at);
        if (unlikely(!(e & PTE_P)))
            return NULL;
        if (shift == 12)
            return map_own(d, page, (e & PTE_MFN) | (rip & ~PAGE_MASK), false);
        if (unlikely(e & PTE_PSE) && shift < 39) {
            u64 offset = (1ull << shift) - 1;

            return map_own(d, page, (e & PTE_MFN & ~offset) | (rip & offset), false);
        }
    }
}

/* Both directions: to guest where src is set. */
static size_t copy_linear(u8 *to, const u8 *src, u64 linear, size_t n, u32 access, u32 *error, u64 *fault)
{
    struct vcpu *v = current_vcpu();
    bool write = access & HVM_ACCESS_WRITE;

    while (n) {
        size_t part = min_of(PAGE_SIZE - (linear & ~PAGE_MASK), n);
        u64 gpa;
        u32 why = access;
        void *at = hvm_translate(v, linear, access, &gpa, &why) ? map_physical(v->domain, gpa, write) : NULL;

        if (!at) {
            if (error)
                *error = why;
            if (fault)
                *fault = linear;
            return n;
        }
        if (!write) {
            memcpy(to, at, part);
            to += part;
        } else if (src) {
            memcpy(at, src, part);
            src += part;
        } else {
            memset(at, 0, part);
        }
        linear += part;
        n -= part;
    }
    return 0;
}

size_t hvm_copy_from_linear(void *dst, u64 linear, size_t n, u32 access, u32 *error, u64 *fault)
{
    return copy_linear(dst, NULL, linear, n, access & ~HVM_ACCESS_WRITE, error, fault);
}

size_t hvm_copy_to_linear(u64 linear, const void *src, size_t n, u32 access, u32 *error, u64 *fault)
{
    return copy_linear(NULL, src, linear, n, access | HVM_ACCESS_WRITE, error, fault);
}

static size_t copy_physical(struct domain *d, u8 *to, const u8 *src, u64 gpa, size_t n)
{
    while (n) {
        size_t part = min_of(PAGE_SIZE - (gpa & ~PAGE_MASK), n);
        void *at = map_physical(d, gpa, !to);

        if (!at)
            return n;
        if (to) {
            memcpy(to, at, part);
            to += part;
        } else {
            memcpy(at, src, part);
            src += part;
        }
        gpa += part;
        n -= part;
    }
    return 0;
}

size_t hvm_copy_from_physical(struct domain *d, void *dst, u64 gpa, size_t n)
{
    return copy_physical(d, dst, NULL, gpa, n);
}

size_t hvm_copy_to_physical(struct domain *d, u64 gpa, const void *src, size_t n)
{
    return copy_physical(d, NULL, src, gpa, n);
}

size_t hvm_guest_copy_from(void *dst, u64 src, size_t n)
{
    return copy_linear(dst, NULL, src, n, 0, NULL, NULL);
}

size_t hvm_guest_copy_to(u64 dst, const void *src, size_t n)
{
    return copy_linear(NULL, src, dst, n, HVM_ACCESS_WRITE, NULL, NULL);
}

size_t hvm_guest_clear(u64 dst, size_t n)
{
    return copy_linear(NULL, NULL, dst, n, HVM_ACCESS_WRITE, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * The memory of a domain: accounting in one place, pages shared with the hypervisor, and giving all back at the end.
 *
 * A frame is counted in tot_pages from allocation until its last reference goes, so a guest cannot hold more than its maximum by
 * keeping mappings of what it ballooned out. Frames are cleared before a guest sees them.
 * Locks: domain->lock for the counts.
 */
#include "pv.h"
#include "typing.h"
#include "io_rights.h"
#include "x86/hvm/hvm.h"
#include "x86/mm.h"
#include <trace/trace.h>

/**
 * Take 2^order cleared frames for d, within its maximum.
 * @return the first mfn; MFN_INVALID: no memory, or it would exceed max_pages
 */
mfn_t domain_alloc_frame(struct domain *d, unsigned int order, unsigned int max_bits)
{
    mfn_t mfn;

    if (!domain_take(d, 1ull << order))
        return MFN_INVALID;
    mfn = frame_alloc_clear(d->id, order, max_bits, 0);
    if (unlikely(mfn.n == MFN_INVALID.n || !domain_taken(d, 1ull << order))) {
        if (mfn.n != MFN_INVALID.n)
            frame_free(mfn, order);
        domain_give_back(d, 1ull << order);
        return MFN_INVALID;
    }
    TRACE_page_alloc(mfn.n, d->id, order);
    return mfn;
}

void frame_release(struct frame *f)
{
    mfn_t mfn = frame_mfn(f);
    domid_t id = f->owner;
    bool counted = f->position != FRAME_SHARED_BY_HV;
    struct domain *d = current_vcpu()->domain;

    if (d->id != id)
        d = counted ? domain_get(id) : NULL;
    if (counted && d)
        domain_give_back(d, 1);
    if (d && d != current_vcpu()->domain)
        domain_put(d);
    TRACE_page_free(mfn.n, id, 0);
    f->stamp = tlb_clock_now(); /* whoever gets it next flushes what this TLB may hold */
    frame_free(mfn, 0);
}

int arch_get_guest_frame(struct domain *d, gfn_t gfn, void **va)
{
    mfn_t mfn = MFN(gfn.n);
    int err;

    if (is_hvm_domain(d)) {
        enum p2m_type type;

        (void)hvm_populate(d, gfn);
        mfn = p2m_get(d, gfn, &type, NULL);
        if (!p2m_type_is_ram(type))
            return -XEN_EINVAL;
    }
    if (!mfn_is_memory(mfn))
        return -XEN_EINVAL;
    if (frame_of(mfn)->owner != d->id)
        return -XEN_EPERM;
    err = frame_get_type(mfn, FT_WRITABLE, d);
    if (err)
        return -XEN_EINVAL;
    *va = map_mfn(mfn);
    return 0;
}

void arch_put_guest_frame(struct domain *d, void *va)
{
    (void)frame_put_type(virt_to_mfn((void *)((u64)va & PAGE_MASK)), false);
}

mfn_t arch_share_page(struct domain *d, void *page, bool writable)
{
    mfn_t mfn = virt_to_mfn(page);
    struct frame *f = frame_of(mfn);

    /* The hypervisor's own type reference keeps the page from ever becoming a table. */
    f->owner = d->id;
    f->position = FRAME_SHARED_BY_HV;
    f->word = FRAME_ALLOCATED | FRAME_TYPE(writable ? FT_WRITABLE : FT_SHARED) | FRAME_VALIDATED | FRAME_TC | (2 * FRAME_REF);
    return mfn;
}

void arch_unshare_page(struct domain *d, void *page)
{
    mfn_t mfn = virt_to_mfn(page);
    struct frame *f = frame_of(mfn);

    __atomic_and_fetch(&f->word, ~FRAME_ALLOCATED, __ATOMIC_SEQ_CST);
    (void)frame_put_type(mfn, false);
    frame_put(f);
}

int arch_domain_create(struct domain *d)
{
    spin_lock_init(&d->arch.mm_lock, LOCK_PAGE_TABLES);
    if (d->kind != DOMAIN_PV)
        return hvm_domain_create(d);
    return d->privileged ? io_rights_first_domain(d) : 0;
}

/* Base pointers and descriptor tables of all its vCPUs. */
static int relinquish_vcpus(struct domain *d)
{
    for (unsigned int i = 0; i < d->max_vcpus; i++) {
        struct vcpu *v = d->vcpu[i];
        u64 *cr3[2];

        if (!v)
            continue;
        pv_drop_gdt(v);
        pv_drop_ldt(v);
        cr3[0] = &v->arch.cr3_user;
        cr3[1] = &v->arch.cr3_kernel;
        for (int k = 0; k < 2; k++)
            if (*cr3[k]) {
                if (frame_put_type(MFN(*cr3[k] >> PAGE_SHIFT), true) == -XEN_ERESTART)
                    return -XEN_ERESTART;
                *cr3[k] = 0;
            }
    }
    return 0;
}

/* One frame of a dying domain: pins, half-finished validation, the allocation itself. */
static int relinquish_frame(struct domain *d, struct frame *f)
{
    u64 w = f->word;

    if (f->position == FRAME_SHARED_BY_HV && frame_type(w) >= FT_SEG)
        return 0; /* the core gives it back when it frees the domain */
    if (w & FRAME_PINNED) {
        int err = frame_unpin(frame_mfn(f), d);

        if (err == -XEN_ERESTART)
            return err;
    } else if ((w & FRAME_PARTIAL) && f->stamp == FRAME_PARTIAL_ORPHAN) {
        if (frame_put_type(frame_mfn(f), true) == -XEN_ERESTART)
            return -XEN_ERESTART;
    }
    if (f->owner == d->id && (f->word & FRAME_ALLOCATED)) {
        __atomic_and_fetch(&f->word, ~FRAME_ALLOCATED, __ATOMIC_SEQ_CST);
        frame_put(f);
    }
    return 0;
}

/* Go over all frames from relinquish_pos on; -XEN_ERESTART: not through yet. */
static int each_frame(struct domain *d, int (*fn)(struct domain *d, struct frame *f))
{
    for (; d->arch.relinquish_pos < max_mfn; d->arch.relinquish_pos++) {
        struct frame *f = &frame_table[d->arch.relinquish_pos];

        if (f->owner == d->id && f->word && fn(d, f))
            return -XEN_ERESTART;
        if (!(d->arch.relinquish_pos & 1023) && arch_preempt_needed()) {
            d->arch.relinquish_pos++;
            return -XEN_ERESTART;
        }
    }
    d->arch.relinquish_pos = 0;
    return 0;
}

/* What others still hold (by grants) outlives the domain, in nobody's account: its id may be another's by then. */
static int orphan_frame(struct domain *d, struct frame *f)
{
    if (f->position != FRAME_SHARED_BY_HV) {
        f->owner = DOMID_XEN;
        d->tot_pages--;
    }
    return 0;
}

int arch_domain_relinquish(struct domain *d)
{
    if (d->arch.relinquish_stage == 0) {
        if (is_hvm_domain(d) ? hvm_domain_relinquish(d) : relinquish_vcpus(d))
            return -XEN_ERESTART;
        d->arch.relinquish_stage = 1;
        d->arch.relinquish_pos = 0;
    }
    if (d->arch.relinquish_stage == 1) {
        if (each_frame(d, relinquish_frame))
            return -XEN_ERESTART;
        d->arch.relinquish_stage = 2;
        if (d->tot_pages)
            printk("domain %u: %llu frames are held by others still\n", d->id, (unsigned long long)d->tot_pages);
    }
    return d->tot_pages ? each_frame(d, orphan_frame) : 0;
}

void arch_domain_destroy(struct domain *d)
{
    if (is_hvm_domain(d))
        hvm_domain_destroy(d);
    arch_free(d->arch.io);
}

u64 arch_free_memory(void)
{
    return nr_free_frames;
}

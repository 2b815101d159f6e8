/* SPDX-License-Identifier: MIT */
/*
 * The descriptor tables of a PV vCPU: what a guest may put there, set_gdt, update_descriptor, the LDT by demand.
 *
 * Each vCPU has 128 KiB of the hypervisor's addresses (layout.h, DESC_VIRT): its GDT, whose first 14 pages are guest frames typed
 * as segment descriptors and whose 15th is the hypervisor's, then its LDT, mapped page by page when the processor first reads it.
 * No guest can reach that range; only segment loads read it.
 * Sources: SDM vol. 3 §3.4.5 (descriptors), xen/arch-x86/xen.h (FIRST_RESERVED_GDT_PAGE).
 */
#include "pv.h"
#include "typing.h"
#include "x86/mm.h"
#include "core/hypercall.h"

#define DESC_PRESENT (1ull << 47)
#define DESC_SEGMENT (1ull << 44)
#define DESC_DPL3    (3ull << 45)

/**
 * May a guest have this descriptor? Code and data segments only: no gates, TSS or LDT. Kernels bring segments of ring 0; what is put in
 * force is the same segment with DPL 3, the ring that guest kernels run in. An absent descriptor may hold anything.
 */
static bool desc_ok(u64 *desc)
{
    if (!(*desc & DESC_PRESENT))
        return true;
    if (!(*desc & DESC_SEGMENT))
        return false;
    *desc |= DESC_DPL3;
    return true;
}

/* The page is typed: no guest can write it meanwhile. */
static bool desc_page_ok(u64 *page, unsigned int nr)
{
    for (unsigned int i = 0; i < nr; i++)
        if (!desc_ok(&page[i]))
            return false;
    return true;
}

/* Take a frame as segment descriptors, checked. */
static int desc_frame_get(struct vcpu *v, mfn_t mfn)
{
    int err = frame_get_type(mfn, FT_SEG, v->domain);

    if (err)
        return err;
    if (!desc_page_ok(map_mfn(mfn), 512)) {
        (void)frame_put_type(mfn, false);
        return -XEN_EINVAL;
    }
    return 0;
}

void pv_drop_gdt(struct vcpu *v)
{
    for (unsigned int i = 0; i < 14; i++)
        if (v->arch.gdt_frame[i]) {
            mm_map_page(pv_gdt_va(v) + i * PAGE_SIZE, 0, 0);
            (void)frame_put_type(MFN(v->arch.gdt_frame[i]), false);
            v->arch.gdt_frame[i] = 0;
        }
    v->arch.gdt_entries = 0;
}

void pv_drop_ldt(struct vcpu *v)
{
    for (unsigned int i = 0; i < 16; i++)
        if (v->arch.ldt_mapped[i]) {
            mm_map_page(pv_ldt_va(v) + i * PAGE_SIZE, 0, 0);
            (void)frame_put_type(MFN(v->arch.ldt_mapped[i]), false);
            v->arch.ldt_mapped[i] = 0;
        }
}

bool pv_ldt_fault(struct vcpu *v, u64 cr2)
{
    u64 off = cr2 - pv_ldt_va(v), *entry, pte;
    mfn_t mfn;

    if (off >= KB(64) || off >= v->arch.ldt_entries * 8ull)
        return false;
    tables_lock(v->domain);
    entry = pv_walk(v, v->arch.ldt_base + (off & PAGE_MASK), 1);
    pte = entry ? *entry : 0;
    tables_unlock(v->domain);
    if (!(pte & PTE_P))
        return false;
    mfn = MFN((pte & PTE_MFN) >> PAGE_SHIFT);
    if (v->arch.ldt_mapped[off >> PAGE_SHIFT] || desc_frame_get(v, mfn))
        return false;
    v->arch.ldt_mapped[off >> PAGE_SHIFT] = mfn.n;
    mm_map_page(pv_ldt_va(v) + (off & PAGE_MASK), mfn.n << PAGE_SHIFT, DESC_PTE);
    return true;
}

int pv_set_gdt(struct vcpu *v, const u64 *list, u64 entries)
{
    unsigned int nr = (entries + 511) / 512, i;
    int err = 0;

    if (entries > FIRST_RESERVED_GDT_ENTRY)
        return -XEN_EINVAL;
    for (i = 0; i < nr; i++) {
        err = desc_frame_get(v, MFN(list[i]));
        if (err)
            break;
    }
    if (err) {
        while (i--)
            (void)frame_put_type(MFN(list[i]), false);
        return -XEN_EINVAL;
    }
    pv_drop_gdt(v);
    for (i = 0; i < nr; i++) {
        v->arch.gdt_frame[i] = list[i];
        mm_map_page(pv_gdt_va(v) + i * PAGE_SIZE, list[i] << PAGE_SHIFT, DESC_PTE);
    }
    v->arch.gdt_entries = entries;
    return 0;
}

long do_set_gdt(u64 frames, u64 entries, u64 a3, u64 a4, u64 a5, u64 a6)
{
    u64 list[14];

    if (entries > FIRST_RESERVED_GDT_ENTRY)
        return -XEN_EINVAL;
    if (guest_copy_from(list, frames, (entries + 511) / 512 * 8))
        return -XEN_EFAULT;
    return pv_set_gdt(current_vcpu(), list, entries);
}

long do_update_descriptor(u64 ma, u64 desc, u64 a3, u64 a4, u64 a5, u64 a6)
{
    struct domain *d = current_vcpu()->domain;
    mfn_t mfn = MFN(ma >> PAGE_SHIFT);
    int err = -XEN_EINVAL;

    if ((ma & 7) || !mfn_is_memory(mfn) || !desc_ok(&desc))
        return -XEN_EINVAL;
    /* A frame of descriptors is changed as such; any other must be one that the guest may write. Held meanwhile: what another vCPU does
     * with it cannot make a page table of it. */
    if (frame_type(READ_ONCE(frame_of(mfn)->word)) == FT_SEG)
        err = frame_get_type(mfn, FT_SEG, d);
    if (err)
        err = frame_get_type(mfn, FT_WRITABLE, d);
    if (!err) {
        WRITE_ONCE(*(u64 *)(directmap + ma), desc);
        (void)frame_put_type(mfn, false);
    }
    return err;
}

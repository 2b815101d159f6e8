/* SPDX-License-Identifier: MIT */
/*
 * The hypercalls of paravirtual domains on the simulated machine: page tables by
 * hv/x86/pv/typing.c, as on the real one; what needs a processor (descriptor tables, segments,
 * iret) answers -XEN_ENOSYS here.
 *
 * mmu_update and mmuext_op decode their requests themselves: hv/x86/pv/mmu.c reads them with
 * instructions of the processor.
 */
#include "core/hypercall.h"
#include "machine.h"
#include "pv_host.h"
#include "x86/pv/typing.h"
#include "x86/x86.h"

u64 host_cr3(const struct vcpu *v)
{
    return v->arch.cr3;
}

/*
 * One request of mmu_update: an entry of a table by typing.c, or a write to a frame that is none.
 */
static int update_one(struct domain *d, u64 ptr, u64 val)
{
    unsigned int cmd = ptr & 3;
    mfn_t mfn = MFN(ptr >> PAGE_SHIFT);
    struct frame *f;
    u64 *entry;
    int err;

    if (!mfn_is_memory(mfn))
        return -XEN_EINVAL;
    f = frame_of(mfn);
    if (!(f->word & FRAME_ALLOCATED) || f->owner != d->id)
        return -XEN_EINVAL;
    if (cmd == MMU_MACHPHYS_UPDATE) {
        m2p[mfn.n] = val;
        return 0;
    }
    if (cmd == 3 || (ptr & 4))
        return cmd == 3 ? -XEN_ENOSYS : -XEN_EINVAL;
    entry = (u64 *)((char *)map_mfn(mfn) + (ptr & ~PAGE_MASK & ~7ull));
    if ((f->word & FRAME_VALIDATED) && frame_tc(f->word) && frame_type(f->word) >= FT_L1 && frame_type(f->word) <= FT_L4)
        return pte_change(entry, val, frame_type(f->word), d, cmd == MMU_PT_UPDATE_PRESERVE_AD);
    err = frame_get_type(mfn, FT_WRITABLE, d);
    if (err)
        return err;
    *entry = val;
    return frame_put_type(mfn, false);
}

long do_mmu_update(u64 reqs, u64 count, u64 pdone, u64 foreigndom, u64 a5, u64 a6)
{
    struct domain *d = current_vcpu()->domain;
    struct mmu_update req;
    u32 done = 0;
    long err = 0;

    for (; done < (u32)count; done++, reqs += sizeof(req)) {
        if (!guest_read(&req, reqs))
            return -XEN_EFAULT;
        do
            err = update_one(d, req.ptr, req.val);
        while (err == -XEN_ERESTART);
        if (err)
            break;
    }
    return pdone && !guest_write(pdone, &done) ? -XEN_EFAULT : err;
}

static int new_base(struct vcpu *v, mfn_t mfn)
{
    u64 old = v->arch.cr3;
    int err;

    if (old == mfn.n)
        return 0;
    do
        err = frame_get_type(mfn, FT_L4, v->domain);
    while (err == -XEN_ERESTART);
    if (err)
        return err;
    v->arch.cr3 = mfn.n;
    host_tlb_flush();
    if (old)
        (void)frame_put_type(MFN(old), false);
    return 0;
}

long do_mmuext_op(u64 ops, u64 count, u64 pdone, u64 foreigndom, u64 a5, u64 a6)
{
    struct vcpu *v = current_vcpu();
    struct mmuext_op op;
    u32 done = 0;
    long err = 0;

    for (; done < (u32)count && !err; ops += sizeof(op)) {
        if (!guest_read(&op, ops))
            return -XEN_EFAULT;
        switch (op.cmd) {
        case MMUEXT_NEW_BASEPTR:
            err = new_base(v, MFN(op.arg1.mfn));
            break;
        case MMUEXT_TLB_FLUSH_LOCAL:
            host_tlb_flush();
            break;
        case MMUEXT_PIN_L1_TABLE:
        case MMUEXT_PIN_L2_TABLE:
        case MMUEXT_PIN_L3_TABLE:
        case MMUEXT_PIN_L4_TABLE:
            do
                err = frame_pin(MFN(op.arg1.mfn), FT_L1 + (op.cmd - MMUEXT_PIN_L1_TABLE), v->domain);
            while (err == -XEN_ERESTART);
            break;
        case MMUEXT_UNPIN_TABLE:
            do
                err = frame_unpin(MFN(op.arg1.mfn), v->domain);
            while (err == -XEN_ERESTART);
            break;
        default:
            err = -XEN_ENOSYS;
        }
        done += !err;
    }
    return pdone && !guest_write(pdone, &done) ? -XEN_EFAULT : err;
}

/* The entry of a level (1: maps va) in the current address space, or NULL. */
static u64 *walk(const struct vcpu *v, u64 va)
{
    u64 *t = map_mfn(MFN(v->arch.cr3));

    for (unsigned int level = 4; level > 1; level--) {
        u64 e = t[(va >> (12 + 9 * (level - 1))) & 511];

        if (!(e & PTE_P))
            return NULL;
        t = map_mfn(MFN((e & PTE_MFN) >> PAGE_SHIFT));
    }
    return &t[(va >> PAGE_SHIFT) & 511];
}

long do_update_va_mapping(u64 va, u64 val, u64 flags, u64 a4, u64 a5, u64 a6)
{
    struct vcpu *v = current_vcpu();
    u64 *entry;
    int err;

    if ((va >= HV_START && va < HV_END) || !v->arch.cr3 || !(entry = walk(v, va)))
        return -XEN_EINVAL;
    err = pte_change(entry, val, 1, v->domain, false);
    if (!err && (flags & UVMF_FLUSHTYPE_MASK))
        host_tlb_flush();
    return err;
}

void host_drop_cr3(struct vcpu *v)
{
    u64 old = v->arch.cr3;

    v->arch.cr3 = 0;
    if (old)
        (void)frame_put_type(MFN(old), false);
}

#define NEEDS_A_PROCESSOR(name)                                                                    \
    long name(u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6)                                      \
    {                                                                                              \
        return -XEN_ENOSYS;                                                                        \
    }

NEEDS_A_PROCESSOR(do_set_trap_table)
NEEDS_A_PROCESSOR(do_set_gdt)
NEEDS_A_PROCESSOR(do_stack_switch)
NEEDS_A_PROCESSOR(do_set_callbacks)
NEEDS_A_PROCESSOR(do_fpu_taskswitch)
NEEDS_A_PROCESSOR(do_set_debugreg)
NEEDS_A_PROCESSOR(do_get_debugreg)
NEEDS_A_PROCESSOR(do_update_descriptor)
NEEDS_A_PROCESSOR(do_update_va_mapping_otherdomain)
NEEDS_A_PROCESSOR(do_iret)
NEEDS_A_PROCESSOR(do_set_segment_base)
NEEDS_A_PROCESSOR(do_callback_op)
NEEDS_A_PROCESSOR(do_memory_op)

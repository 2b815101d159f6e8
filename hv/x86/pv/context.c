/* SPDX-License-Identifier: MIT */
/*
 * VCPUOP_initialise of a PV domain: the registers, tables and callbacks that another of its vCPUs starts with.
 *
 * All of struct vcpu_guest_context (xen/arch-x86/xen.h) is the guest's word. It is copied once; every address in it is checked before
 * anything is taken; then the page tables are taken, which may stop half way; what cannot fail comes last. Base pointers that were taken
 * before a stop stay with the vCPU, which cannot run yet, so that the call goes on from there when it is issued again, and the end of the
 * domain finds them.
 * Debug registers that a guest may not have are left at their reset values, as on Xen; control registers but CR0.TS, CR1 (the user's
 * page table) and CR3 do not count.
 * Locks: the domain's page tables while base pointers are taken. One caller at a time for a vCPU (hypercall/vcpu_op.c), and the vCPU is down and has never run.
 */
#include "pv.h"
#include "typing.h"
#include "x86/cpu.h"

/** Bits of MXCSR that are not reserved on every processor with SSE2 (SDM vol. 1 §10.2.3, §11.6.6). */
#define MXCSR_ALWAYS 0xffbfu

static bool addresses_ok(const struct vcpu_guest_context *c)
{
    const u64 canonical[] = {c->user_regs.rip, c->user_regs.rsp, c->fs_base, c->gs_base_kernel, c->gs_base_user};
    const u64 callbacks[] = {c->event_callback_eip, c->failsafe_callback_eip, c->syscall_callback_eip};

    for (unsigned int i = 0; i < ARRAY_SIZE(canonical); i++)
        if (!is_canonical(canonical[i]))
            return false;
    for (unsigned int i = 0; i < ARRAY_SIZE(callbacks); i++)
        if (!pv_callback_ok(callbacks[i]))
            return false;
    for (unsigned int i = 0; i < ARRAY_SIZE(c->trap_ctxt); i++)
        if (!pv_callback_ok(c->trap_ctxt[i].address))
            return false;
    /* Frames are written below it; 0 is a vCPU that has none yet. */
    return !c->kernel_sp || (is_canonical(c->kernel_sp) && pv_kernel_sp_ok(c->kernel_sp));
}

static void load_fpu(struct vcpu *v, const struct vcpu_guest_context *c)
{
    u32 mxcsr;

    memcpy(v->arch.fpu, c->fpu_ctxt.x, 464); /* the rest is the software's, and not loaded */
    memcpy(&mxcsr, c->fpu_ctxt.x + 24, sizeof(mxcsr));
    ((u32 *)v->arch.fpu)[24 / 4] = mxcsr & MXCSR_ALWAYS;
}

static void load_registers(struct vcpu *v, const struct vcpu_guest_context *c)
{
    struct arch_vcpu *a = &v->arch;

    _Static_assert(offsetof(struct cpu_user_regs, es) == sizeof(a->regs), "struct regs is the ABI's without the data segments");
    memcpy(&a->regs, &c->user_regs, sizeof(a->regs));
    a->iopl = (a->regs.rflags >> 12) & 3;
    a->regs.rflags = (a->regs.rflags & GUEST_FLAGS_OK) | X86_FLAGS_IF | X86_FLAGS_ONE;
    a->regs.cs |= 3; /* ring 3, whatever it asks for; a selector that cannot be loaded is its failsafe callback's */
    a->regs.ss |= 3;
    a->regs.error_code = a->regs.vector = 0;
    a->ds = c->user_regs.ds;
    a->es = c->user_regs.es;
    a->fs = c->user_regs.fs;
    a->gs = c->user_regs.gs;
    a->fs_base = c->fs_base;
    a->gs_base_kernel = c->gs_base_kernel;
    a->gs_base_user = c->gs_base_user;
    a->kernel_ss = c->kernel_ss | 3;
    a->kernel_sp = c->kernel_sp & ~15ull;
    a->cr0_ts = c->ctrlreg[0] & X86_CR0_TS;
    for (unsigned int i = 0; i < ARRAY_SIZE(c->debugreg); i++)
        (void)pv_note_debugreg(v, i, c->debugreg[i]);
}

static void load_callbacks(struct vcpu *v, const struct vcpu_guest_context *c)
{
    struct arch_vcpu *a = &v->arch;

    a->event_rip = c->event_callback_eip;
    a->failsafe_rip = c->failsafe_callback_eip;
    a->failsafe_masks = c->flags & VGCF_failsafe_disables_events;
    a->syscall_rip = c->syscall_callback_eip;
    memset(a->trap, 0, sizeof(a->trap));
    for (unsigned int i = 0; i < ARRAY_SIZE(c->trap_ctxt); i++)
        a->trap[i] = (struct trap_entry){.rip = c->trap_ctxt[i].address, .cs = c->trap_ctxt[i].cs, .dpl = TI_GET_DPL(&c->trap_ctxt[i]),
                                         .masks = TI_GET_IF(&c->trap_ctxt[i])};
    a->pf_masks = a->trap[VEC_PF].masks;
    a->flags = (a->flags & VF_SLOW) | (c->flags & VGCF_in_kernel ? VF_KERNEL : 0) | (a->cr3_user ? 0 : VF_NO_USER) |
               (c->flags & VGCF_syscall_disables_events ? VF_SYSCALL_MASKS : 0);
}

static int load(struct vcpu *v, const struct vcpu_guest_context *c)
{
    int err;

    if (!addresses_ok(c) || !pv_ldt_ok(c->ldt_base, c->ldt_ents) || !(c->ctrlreg[3] >> PAGE_SHIFT) ||
        (!(c->flags & VGCF_in_kernel) && !(c->ctrlreg[1] >> PAGE_SHIFT)))
        return -XEN_EINVAL;
    tables_lock(v->domain);
    err = change_base(v->domain, &v->arch.cr3_kernel, MFN(c->ctrlreg[3] >> PAGE_SHIFT));
    if (!err)
        err = change_base(v->domain, &v->arch.cr3_user, MFN(c->ctrlreg[1] >> PAGE_SHIFT));
    tables_unlock(v->domain);
    if (err == -XEN_ERESTART)
        return err;
    if (!err)
        err = pv_set_gdt(v, c->gdt_frames, c->gdt_ents);
    if (err) {
        tables_lock(v->domain);
        (void)change_base(v->domain, &v->arch.cr3_user, MFN(0));
        (void)change_base(v->domain, &v->arch.cr3_kernel, MFN(0));
        tables_unlock(v->domain);
        return -XEN_EINVAL;
    }
    v->arch.ldt_base = c->ldt_base;
    v->arch.ldt_entries = c->ldt_ents;
    if (c->flags & VGCF_i387_valid)
        load_fpu(v, c);
    load_registers(v, c);
    load_callbacks(v, c);
    return 0;
}

int pv_vcpu_initialise(struct vcpu *v, gva_t context, bool *online)
{
    struct vcpu_guest_context *c = arch_alloc(sizeof(*c));
    int err = -XEN_EFAULT;

    if (!c)
        return -XEN_ENOMEM;
    if (guest_read(c, context)) {
        err = load(v, c);
        *online = c->flags & VGCF_online;
    }
    arch_free(c);
    return err;
}

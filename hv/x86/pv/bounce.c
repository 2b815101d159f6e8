/* SPDX-License-Identifier: MIT */
/*
 * Into the guest kernel: exceptions, events, failsafe and system calls (the general form), and back by iret.
 *
 * The frame on the guest kernel's stack (xen/arch-x86/xen-x86_64.h): rcx r11 [error] rip cs rflags rsp ss, where bit 32 of the cs
 * word tells whether events were masked. Code segments of guest kernels appear with RPL 0 in frames.
 */
#include "pv.h"
#include "core/dirty.h"
#include "core/hypercall.h"
#include "x86/mm.h"
#include <trace/trace.h>

void pv_toggle_mode(struct vcpu *v)
{
    v->arch.flags ^= VF_KERNEL;
    swapgs();
    tlb_tick(get_cpu_info());
    write_cr3(v->arch.flags & VF_KERNEL ? v->arch.cr3_kernel : v->arch.cr3_user);
}

bool pv_bounce(struct vcpu *v, struct regs *r, u64 rip, bool mask, bool has_error, u32 error)
{
    bool masked = v->info->evtchn_upcall_mask, ok;
    u64 sp, cs = r->cs, flags = r->rflags & ~(u64)(X86_FLAGS_IF | X86_FLAGS_IOPL);

    if (guest_kernel_mode(v)) {
        sp = r->rsp & ~15ull;
        cs &= ~3ull;
    } else {
        pv_toggle_mode(v);
        sp = v->arch.kernel_sp;
    }
    if (!masked)
        flags |= X86_FLAGS_IF;
    if (v->domain->vm_assist & (1u << VMASST_TYPE_architectural_iopl))
        flags |= (u64)v->arch.iopl << 12;
    sp -= has_error ? 64 : 56;
    if (unlikely(!guest_range_ok(sp, 64) || !rip)) {
        domain_crash(v->domain, rip ? "its kernel's stack lies at %#llx, in the hypervisor" : "it has no handler (stack %#llx)",
                     (unsigned long long)sp);
        return false;
    }
    stac();
    ok = guest_put8(sp, r->rcx) && guest_put8(sp + 8, r->r11);
    if (has_error)
        ok = ok && guest_put8(sp + 16, (u64)error);
    {
        u64 at = sp + (has_error ? 24 : 16);

        ok = ok && guest_put8(at, r->rip) && guest_put8(at + 8, cs | (u64)masked << 32) &&
             guest_put8(at + 16, flags) && guest_put8(at + 24, r->rsp) && guest_put8(at + 32, (u64)r->ss);
    }
    clac();
    if (unlikely(!ok)) {
        domain_crash(v->domain, "no room for a frame on its kernel's stack at %#llx", (unsigned long long)sp);
        return false;
    }
    if (unlikely(dirty_logs))
        guest_mark_written(sp, 64);
    if (mask)
        v->info->evtchn_upcall_mask = 1;
    r->rip = rip;
    r->cs = SEL_CS64;
    r->rflags = X86_FLAGS_IF | X86_FLAGS_ONE;
    r->rsp = sp;
    r->ss = SEL_DS;
    return true;
}

/* Exceptions that push an error code: #DF #TS #NP #SS #GP #PF #AC. */
#define HAS_ERROR (1u << 8 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 17)

void pv_inject_exception(struct vcpu *v, struct regs *r, unsigned int vector, u32 error, u64 cr2)
{
    const struct trap_entry *t = &v->arch.trap[vector];

    if (vector == VEC_PF) {
        v->info->arch.cr2 = cr2;
        error = (error & ~4u) | (guest_kernel_mode(v) ? 0 : 4);
    }
    if (unlikely(!t->rip)) {
        domain_crash(v->domain, "exception %u (error %#x, address %#llx) and no handler for it", vector, error,
                     (unsigned long long)(vector == VEC_PF ? cr2 : r->rip));
        return;
    }
    (void)pv_bounce(v, r, t->rip, t->masks, vector < 32 && (HAS_ERROR >> vector & 1), error);
}

bool pv_deliver_nmi(struct vcpu *v, struct regs *r)
{
    const struct trap_entry *t = &v->arch.trap[VEC_NMI];

    if (v->arch.flags & VF_IN_NMI)
        return false;
    v->arch.nmi_pending = false;
    if (!t->rip)
        return false;
    v->arch.flags |= VF_IN_NMI;
    return pv_bounce(v, r, t->rip, t->masks, false, 0);
}

void pv_inject_failsafe(struct vcpu *v, struct regs *r)
{
    u64 sp;
    u32 sel[4] = {v->arch.ds, v->arch.es, v->arch.fs, v->arch.gs};

    if (!v->arch.failsafe_rip) {
        domain_crash(v->domain, "a bad selector and no failsafe callback");
        return;
    }
    /* The failsafe frame has four more words below rcx r11 on top: ds es fs gs (xen-x86_64.h: "rcx r11 ds es fs gs rip cs ..."). */
    if (!pv_bounce(v, r, v->arch.failsafe_rip, v->arch.failsafe_masks, false, 0))
        return;
    sp = r->rsp - 32;
    if (!guest_range_ok(sp, 48) || guest_copy_to(sp, (u64[]){r->rcx, r->r11, sel[0], sel[1], sel[2], sel[3]}, 48)) {
        domain_crash(v->domain, "no room for a failsafe frame on its kernel's stack at %#llx", (unsigned long long)sp);
        return;
    }
    r->rsp = sp;
}

void pv_iret_fault(struct regs *r)
{
    struct vcpu *v = current_vcpu();

    r->cs = SEL_CS64;
    r->ss = SEL_DS;
    if (!is_canonical(r->rip))
        pv_inject_exception(v, r, VEC_GP, 0, 0);
    else
        pv_inject_failsafe(v, r);
}

/* How a hypercall left the hypervisor, for its record. */
static u8 how_left(const struct vcpu *v, bool again)
{
    if (v->domain->crashed)
        return TRACE_HC_CRASHED;
    if (again)
        return TRACE_HC_CONTINUED;
    return vcpu_runnable(v) ? TRACE_HC_DONE : TRACE_HC_DESCHEDULED;
}

/** From entry.S: SYSCALL that the fast paths did not take. */
void pv_syscall_general(struct regs *r);
void pv_syscall_general(struct regs *r)
{
    struct vcpu *v = current_vcpu();
    struct entry_counts *count = &get_cpu_info()->count;

    if (!guest_kernel_mode(v)) {
        u64 start = TRACE_START(EXIT);
        u64 rip = r->rip;

        count->trap[TRACE_TRAP_SYSCALL_BOUNCE]++;
        if (pv_bounce(v, r, v->arch.syscall_rip, v->arch.flags & VF_SYSCALL_MASKS, false, 0))
            r->rflags = X86_FLAGS_IF | X86_FLAGS_ONE;
        TRACE_trap(start, v->domain->id, v->id, trap_result(v, TRACE_RES_BOUNCED), TRACE_TRAP_SYSCALL_BOUNCE, (u32)r->rax,
                   0, rip);
        return;
    }
    {
        u64 start = TRACE_START(HYPERCALL);
        u64 op = r->rax, a1 = r->rdi, a2 = r->rsi, a3 = r->rdx;
        u64 rip = r->rip;
        long ret;

        count->hypercall[op < NR_HYPERCALLS ? op : HYPERCALL_NONE]++;
        ret = op < NR_HYPERCALLS && hypercall_table[op].fn
                  ? hypercall_table[op].fn(a1, a2, a3, r->r10, r->r8, r->r9)
                  : refuse(v->domain, (u32)op, 0, -XEN_ENOSYS);
        r->rax = ret;
        TRACE_hypercall(start, v->domain->id, v->id, how_left(v, r->rip != rip && op != __HYPERVISOR_iret), op, a1, a2,
                        a3, ret);
    }
}

long pv_hypercall_unknown(struct regs *r);
long pv_hypercall_unknown(struct regs *r)
{
    get_cpu_info()->count.hypercall[HYPERCALL_NONE]++;
    return refuse(current_vcpu()->domain, (u32)r->rax, 0, -XEN_ENOSYS);
}

/** From entry.S: SYSCALL from 32-bit guest code. There is no 32-bit callback yet: the guest sees an invalid opcode. */
void pv_syscall32(struct regs *r);
void pv_syscall32(struct regs *r)
{
    struct vcpu *v = current_vcpu();
    u64 start = TRACE_START(EXIT), rip = r->rip;

    get_cpu_info()->count.trap[TRACE_TRAP_EXCEPTION_BOUNCE]++;
    r->rip -= 2;
    pv_inject_exception(v, r, VEC_UD, 0, 0);
    TRACE_trap(start, v->domain->id, v->id, trap_result(v, TRACE_RES_BOUNCED), TRACE_TRAP_EXCEPTION_BOUNCE, VEC_UD, 0, rip);
}

/** From entry.S: no room for the frame of a hot bounce (kind: enum trace_trap_kind) on the guest kernel's stack. */
void pv_bounce_failed(struct regs *r, u32 kind);
void pv_bounce_failed(struct regs *r, u32 kind)
{
    struct vcpu *v = current_vcpu();

    get_cpu_info()->count.trap[kind]++;
    domain_crash(v->domain, "no room for the frame of a system call or page fault on the guest kernel's stack");
    TRACE_trap(get_cpu_info()->entry_tsc, v->domain->id, v->id, TRACE_RES_CRASHED, kind, 0, 0, r->rip);
}

long do_iret(u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6)
{
    struct vcpu *v = current_vcpu();
    struct regs *r = &get_cpu_info()->regs;
    struct iret_context f;

    if (unlikely(!guest_read(&f, r->rsp))) {
        domain_crash(v->domain, "iret: no frame at %#llx", (unsigned long long)r->rsp);
        return 0;
    }
    if ((f.cs & 3) == 3) {
        if (!v->arch.cr3_user) {
            domain_crash(v->domain, "iret to user mode without a user page table");
            return 0;
        }
        pv_toggle_mode(v);
    }
    if (unlikely(v->arch.flags & VF_IN_NMI)) { /* on its way out the next one is looked for */
        v->arch.flags &= ~(u32)VF_IN_NMI;
        if (v->arch.nmi_pending)
            arch_raise_schedule(this_cpu());
    }
    /* Whatever the guest asks for: ring 3, no IOPL, NT, VM, VIF; interrupts on. A selector that cannot be loaded faults at IRETQ. */
    if (v->domain->vm_assist & (1u << VMASST_TYPE_architectural_iopl))
        v->arch.iopl = (f.rflags >> 12) & 3;
    r->rip = f.rip;
    r->cs = (u16)(f.cs | 3);
    r->rflags = (f.rflags & GUEST_FLAGS_OK) | X86_FLAGS_IF | X86_FLAGS_ONE;
    r->rsp = f.rsp;
    r->ss = (u16)(f.ss | 3);
    r->rcx = f.rcx;
    r->r11 = f.r11;
    v->info->evtchn_upcall_mask = !(f.rflags & X86_FLAGS_IF);
    return f.rax;
}

long do_stack_switch(u64 ss, u64 esp, u64 a3, u64 a4, u64 a5, u64 a6)
{
    struct vcpu *v = current_vcpu();

    if (unlikely(!pv_kernel_sp_ok(esp)))
        return -XEN_EPERM;
    v->arch.kernel_ss = ss | 3;
    v->arch.kernel_sp = esp & ~15ull;
    return 0;
}

static long set_callback(struct vcpu *v, unsigned int type, u64 rip, bool masks)
{
    if (!pv_callback_ok(rip))
        return -XEN_EINVAL;
    switch (type) {
    case CALLBACKTYPE_event:
        v->arch.event_rip = rip;
        return 0;
    case CALLBACKTYPE_failsafe:
        v->arch.failsafe_rip = rip;
        v->arch.failsafe_masks = masks;
        return 0;
    case CALLBACKTYPE_syscall:
        v->arch.syscall_rip = rip;
        v->arch.flags = (v->arch.flags & ~VF_SYSCALL_MASKS) | (masks ? VF_SYSCALL_MASKS : 0);
        return 0;
    case CALLBACKTYPE_nmi:      /* kept with the traps: entered when an NMI is sent to this vCPU */
        v->arch.trap[VEC_NMI] = (struct trap_entry){.rip = rip, .masks = true};
        return 0;
    case CALLBACKTYPE_sysenter: /* accepted, never used: SYSENTER faults, SYSCALL from 32-bit code is #UD */
    case CALLBACKTYPE_syscall32:
        return 0;
    default:
        return -XEN_ENOSYS;
    }
}

long do_set_callbacks(u64 event, u64 failsafe, u64 sysc, u64 a4, u64 a5, u64 a6)
{
    struct vcpu *v = current_vcpu();

    if (!pv_callback_ok(event) || !pv_callback_ok(failsafe) || !pv_callback_ok(sysc))
        return -XEN_EINVAL;
    (void)set_callback(v, CALLBACKTYPE_event, event, true);
    (void)set_callback(v, CALLBACKTYPE_failsafe, failsafe, false);
    (void)set_callback(v, CALLBACKTYPE_syscall, sysc, v->arch.flags & VF_SYSCALL_MASKS);
    return 0;
}

long do_callback_op(u64 cmd, u64 arg, u64 a3, u64 a4, u64 a5, u64 a6)
{
    struct vcpu *v = current_vcpu();

    if (cmd == CALLBACKOP_register) {
        struct callback_register reg;

        if (!guest_read(&reg, arg))
            return -XEN_EFAULT;
        return set_callback(v, reg.type, reg.address, reg.flags & CALLBACKF_mask_events);
    }
    if (cmd == CALLBACKOP_unregister) {
        struct callback_unregister unreg;

        if (!guest_read(&unreg, arg))
            return -XEN_EFAULT;
        if (unreg.type != CALLBACKTYPE_nmi)
            return unreg.type <= CALLBACKTYPE_syscall32 ? -XEN_EINVAL : -XEN_ENOSYS;
        v->arch.trap[VEC_NMI].rip = 0;
        return 0;
    }
    return refuse(v->domain, __HYPERVISOR_callback_op, cmd, -XEN_ENOSYS);
}

long do_set_trap_table(u64 traps, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6)
{
    struct vcpu *v = current_vcpu();
    struct trap_info t;

    if (!traps) {
        memset(v->arch.trap, 0, sizeof(v->arch.trap));
        v->arch.pf_masks = 0;
        return 0;
    }
    for (unsigned int n = 0; n <= 256; n++, traps += sizeof(t)) {
        if (!guest_read(&t, traps))
            return -XEN_EFAULT;
        if (!t.address)
            return 0;
        if (!pv_callback_ok(t.address))
            return -XEN_EINVAL;
        v->arch.trap[t.vector] = (struct trap_entry){.rip = t.address, .cs = t.cs, .dpl = TI_GET_DPL(&t),
                                                     .masks = TI_GET_IF(&t)};
        if (t.vector == VEC_PF)
            v->arch.pf_masks = TI_GET_IF(&t) != 0;
    }
    return -XEN_EINVAL;
}

/** An event is pending and the guest takes events: enter its event callback. */
void pv_deliver_event(struct vcpu *v, struct regs *r);
void pv_deliver_event(struct vcpu *v, struct regs *r)
{
    TRACE_evtchn_upcall(v->domain->id, v->id, r->rip);
    (void)pv_bounce(v, r, v->arch.event_rip, true, false, 0);
}

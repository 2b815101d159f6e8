/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls of hardware-assisted guests: who may call what, in which registers, and HVM_OP (xen/hvm/hvm_op.h, xen/hvm/params.h).
 *
 * Calls that manage a PV domain's page tables, traps and descriptors are not there (-XEN_ENOSYS): they would act on state that such a
 * vCPU has not. 64-bit callers: RAX, then RDI RSI RDX R10 R8 R9; 32-bit ones: EAX, then EBX ECX EDX ESI EDI EBP.
 */
#include "hot.h"
#include "core/guest.h"
#include "core/hypercall.h"
#include <trace/trace.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>

#define CALL(n) (1ull << __HYPERVISOR_##n)
static const u64 callable = CALL(memory_op) | CALL(multicall) | CALL(set_timer_op) | CALL(xen_version) | CALL(console_io) |
                            CALL(grant_table_op) | CALL(vm_assist) | CALL(vcpu_op) | CALL(xsm_op) | CALL(sched_op) |
                            CALL(event_channel_op) | CALL(physdev_op) | CALL(hvm_op) | CALL(platform_op) | CALL(sysctl) | CALL(domctl) | CALL(xenpmu_op);

bool arch_hypercall_allowed(const struct domain *d, unsigned int op)
{
    return !d->arch.hvm || (callable >> op & 1);
}

u64 hvm_callable(bool hide_xen)
{
    u64 ops = hide_xen ? 0 : callable;

    for (unsigned int op = 0; op < NR_HYPERCALLS; op++)
        if (!hypercall_table[op].fn)
            ops &= ~(1ull << op);
    return ops;
}

void hvm_hypercall(struct vcpu *v, struct regs *r)
{
    struct domain *d = v->domain;
    u64 start, op, a1, a2, a3, rip = r->rip;
    u32 caller = v->arch.hvm->exit.caller;
    bool wide = caller & HVM_WIDE;
    hypercall_fn *fn;
    long ret;

    if (unlikely(caller & 3)) {
        r->rax = (u64)-XEN_EPERM;
        return;
    }
    op = wide ? r->rax : (u32)r->rax;
    fn = hvm_callee(d, op);
    if (unlikely(!fn)) {
        r->rax = refuse(d, op < NR_HYPERCALLS ? op : 0, 0, -XEN_ENOSYS);
        return;
    }
    start = TRACE_START(HYPERCALL);
    get_cpu_info()->count.hypercall[op]++;
    if (likely(wide)) {
        a1 = r->rdi;
        a2 = r->rsi;
        a3 = r->rdx;
        ret = fn(a1, a2, a3, r->r10, r->r8, r->r9);
        r->rax = ret;
    } else {
        a1 = (u32)r->rbx;
        a2 = (u32)r->rcx;
        a3 = (u32)r->rdx;
        ret = hvm_hypercall32(op, a1, a2, a3, (u32)r->rsi, (u32)r->rdi, (u32)r->rbp);
        r->rax = (u32)ret;
    }
    TRACE_hypercall(start, d->id, v->id, d->crashed ? TRACE_HC_CRASHED : r->rip != rip ? TRACE_HC_CONTINUED : TRACE_HC_DONE, op, a1, a2,
                    a3, ret);
}

void hvm_hypercall_continue(struct vcpu *v, struct regs *r, unsigned int nr_args, const u64 *args)
{
    u64 *wide[6] = {&r->rdi, &r->rsi, &r->rdx, &r->r10, &r->r8, &r->r9};
    u64 *narrow[6] = {&r->rbx, &r->rcx, &r->rdx, &r->rsi, &r->rdi, &r->rbp};
    u64 **to = v->arch.hvm->exit.caller & HVM_WIDE ? wide : narrow;

    for (unsigned int i = 0; i < nr_args; i++)
        *to[i] = args[i];
    r->rip -= v->arch.hvm->exit.length;
}

/* ---- HVM_OP ---- */

static long set_param(struct domain *d, u32 index, u64 value)
{
    struct hvm_domain *hd = d->arch.hvm;

    switch (index) {
    case HVM_PARAM_CALLBACK_IRQ:
        switch (value >> 56) {
        case HVM_PARAM_CALLBACK_TYPE_VECTOR:
            if ((value & 0xff) < 16)
                return -XEN_EINVAL;
            hd->callback_vector = (u8)value;
            break;
        case HVM_PARAM_CALLBACK_TYPE_GSI:
            /* A line of the I/O APIC is not offered; kernels that have upcalls by per-vCPU vector name one and never use it. */
            if ((u32)value && !current_vcpu()->arch.hvm->upcall_vector)
                return -XEN_EOPNOTSUPP;
            hd->callback_vector = 0;
            break;
        default:
            return -XEN_EOPNOTSUPP;
        }
        hd->param[index] = value;
        return 0;
    case HVM_PARAM_TIMER_MODE: /* what a guest may set of its own, and which changes nothing here */
    case HVM_PARAM_VM_GENERATION_ID_ADDR:
        hd->param[index] = value;
        return 0;
    default:
        return index < ARRAY_SIZE(hd->param) ? -XEN_EPERM : -XEN_EINVAL;
    }
}

static long param(gva_t arg, bool set)
{
    struct domain *d = current_vcpu()->domain;
    struct xen_hvm_param op;

    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    if (op.domid != DOMID_SELF && op.domid != d->id)
        return d->privileged ? -XEN_ESRCH : -XEN_EPERM;
    if (set)
        return set_param(d, op.index, op.value);
    if (op.index >= ARRAY_SIZE(d->arch.hvm->param))
        return -XEN_EINVAL;
    op.value = d->arch.hvm->param[op.index];
    return guest_write(arg, &op) ? 0 : -XEN_EFAULT;
}

static long set_upcall_vector(gva_t arg)
{
    struct domain *d = current_vcpu()->domain;
    struct xen_hvm_evtchn_upcall_vector op;

    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    if (op.vector < 16)
        return -XEN_EINVAL;
    if (op.vcpu >= d->max_vcpus)
        return -XEN_ENOENT;
    d->vcpu[op.vcpu]->arch.hvm->upcall_vector = op.vector;
    if (d->vcpu[op.vcpu]->info->evtchn_upcall_pending)
        arch_event_pending(d->vcpu[op.vcpu]);
    return 0;
}

long do_hvm_op(u64 cmd, u64 arg, u64 a3, u64 a4, u64 a5, u64 a6)
{
    struct domain *d = current_vcpu()->domain;

    if (!d->arch.hvm)
        return refuse(d, __HYPERVISOR_hvm_op, (u32)cmd, -XEN_ENOSYS);
    switch ((u32)cmd) {
    case HVMOP_set_param:
        return param(arg, true);
    case HVMOP_get_param:
        return param(arg, false);
    case HVMOP_set_evtchn_upcall_vector:
        return set_upcall_vector(arg);
    case HVMOP_pagetable_dying: /* shadow paging's alone: kernels ask, and take the refusal */
        return -XEN_EINVAL;
    default:
        return refuse(d, __HYPERVISOR_hvm_op, (u32)cmd, -XEN_ENOSYS);
    }
}

/* SPDX-License-Identifier: MIT */
/*
 * VMX: from one exit to the next entry (SDM vol. 3 ch. 26 to 28). vmx_exited() tells struct hvm_exit_info what the exit was, lets
 * hvm_exited() handle it, and writes into the VMCS what has changed.
 *
 * Guest state that an entry would refuse (§27.3.1), and that a guest can bring about, is made right here: an RIP behind the end of 32-bit code, a
 * step of the trap flag under a shadow, an exception into real mode with an error code, NMIs under their own blocking. All else the processor saved
 * itself, or vmx_write_cr() checked. An entry that fails all the same ends its domain alone.
 */
#include "hot.h"
#include "vmx.h"
#include "x86/cpu.h"

/* What an exit says, besides its reason. */
#define INSTRUCTION 1u         /* it was an instruction: its length is told, and its end ends a shadow */
#define VECTORING   2u         /* it may have come while an event was delivered */
#define DETAILS     4u         /* describe() has more to say */

/* Basic exit reasons (appendix C). Those left out are never asked for. */
static const struct { u8 why, what; } reason_of[] = {
    [0] = {1 + HVM_EXIT_EXCEPTION, VECTORING | DETAILS},
    [1] = {1 + HVM_EXIT_INTERRUPT, 0},
    [2] = {1 + HVM_EXIT_SHUTDOWN, 0},
    [3] = {1 + HVM_EXIT_INTERRUPT, 0},                 /* INIT: stays pending outside VMX operation */
    [7] = {1 + HVM_EXIT_WINDOW, 0},
    [8] = {1 + HVM_EXIT_WINDOW, 0},                    /* for an NMI */
    [9] = {1 + HVM_EXIT_TASK_SWITCH, VECTORING},
    [10] = {1 + HVM_EXIT_CPUID, INSTRUCTION},
    [11] = {1 + HVM_EXIT_FORBIDDEN, INSTRUCTION | DETAILS}, /* GETSEC */
    [12] = {1 + HVM_EXIT_HLT, INSTRUCTION},
    [13] = {1 + HVM_EXIT_CACHE, INSTRUCTION},
    [15] = {1 + HVM_EXIT_FORBIDDEN, INSTRUCTION | DETAILS}, /* RDPMC */
    [18] = {1 + HVM_EXIT_HYPERCALL, INSTRUCTION | DETAILS},
    [19 ... 27] = {1 + HVM_EXIT_FORBIDDEN, INSTRUCTION | DETAILS}, /* VMX's own */
    [28] = {1 + HVM_EXIT_CR_WRITE, INSTRUCTION | DETAILS},
    [30] = {1 + HVM_EXIT_IO, INSTRUCTION | DETAILS},
    [31] = {1 + HVM_EXIT_MSR_READ, INSTRUCTION},
    [32] = {1 + HVM_EXIT_MSR_WRITE, INSTRUCTION},
    [36] = {1 + HVM_EXIT_FORBIDDEN, INSTRUCTION | DETAILS}, /* MWAIT */
    [39] = {1 + HVM_EXIT_FORBIDDEN, INSTRUCTION | DETAILS}, /* MONITOR */
    [40] = {1 + HVM_EXIT_PAUSE, INSTRUCTION},
    [43] = {1 + HVM_EXIT_WINDOW, 0},                   /* task priority lowered */
    [48] = {1 + HVM_EXIT_NESTED_FAULT, VECTORING | DETAILS},
    [49] = {1 + HVM_EXIT_INVALID, VECTORING},          /* an EPT entry that means nothing */
    [50] = {1 + HVM_EXIT_FORBIDDEN, INSTRUCTION | DETAILS}, /* INVEPT, INVVPID */
    [53] = {1 + HVM_EXIT_FORBIDDEN, INSTRUCTION | DETAILS},
    [54] = {1 + HVM_EXIT_CACHE, INSTRUCTION},
    [55] = {1 + HVM_EXIT_XSETBV, INSTRUCTION},
};

/* Table 28-5, and the instruction information of INS (table 28-8). */
static void describe_io(struct hvm_exit_info *x, u64 rip)
{
    u32 q = vmread(VMCS_QUALIFICATION);

    x->io.port = q >> 16;
    x->io.size = (q & 7) + 1;
    x->io.in = q >> 3 & 1;
    x->io.string = q >> 4 & 1;
    x->io.next_rip = rip + x->length;
    if (unlikely(x->io.string)) {
        x->io.rep = q >> 5 & 1;
        x->io.address_size = vmx_caps.string_info ? 2u << (vmread(VMCS_INSTRUCTION) >> 7 & 3) : 0;
    }
}

/* An IRET that unblocked NMIs has faulted, and is to be tried again with them blocked (§28.2.3). */
static void block_nmi_again(struct vmx_vcpu *x, u64 said)
{
    if ((said & EVENT_UNBLOCKS_NMI) && !(x->event & HVM_EVENT_VALID))
        x->blocked |= BLOCKED_BY_NMI;
}

static enum hvm_exit describe_exception(struct vcpu *v, struct regs *r, struct vmx_vcpu *x, struct hvm_exit_info *info)
{
    u32 event = vmread(VMCS_EXIT_EVENT);
    u64 q;

    if (HVM_EVENT_TYPE(event) == HVM_EVENT_NMI) { /* outside the guest it is for the hypervisor, whose IRET unblocks the next */
        __asm__ volatile("int $2" ::: "memory");
        return HVM_EXIT_NMI;
    }
    info->exception.vector = event;
    info->exception.has_error = event & HVM_EVENT_ERROR;
    info->exception.error = event & HVM_EVENT_ERROR ? vmread(VMCS_EXIT_ERROR) : 0;
    block_nmi_again(x, event);
    if (info->exception.vector == VEC_DB) { /* neither DR6 nor DR7.GD has changed (§28.1) */
        q = vmread(VMCS_QUALIFICATION);
        vmx_set(v, HVM_DR6, (vmx_get(v, HVM_DR6) & ~15ull) | (q & 0x600f));
        if (q & 1u << 13)
            vmx_set(v, HVM_DR7, vmx_get(v, HVM_DR7) & ~(1ull << 13));
        if (HVM_EVENT_TYPE(event) > EVENT_SOFTWARE) /* INT1 is a trap */
            r->rip += vmread(VMCS_LENGTH);
    }
    return HVM_EXIT_EXCEPTION;
}

static enum hvm_exit describe(struct vcpu *v, struct regs *r, struct vmx_vcpu *x, struct hvm_exit_info *info, unsigned int reason,
                              enum hvm_exit why)
{
    u64 q;

    switch (why) {
    case HVM_EXIT_HYPERCALL:
        info->caller = hvm_ops->caller(v);
        return why;
    case HVM_EXIT_IO:
        describe_io(info, r->rip);
        return why;
    case HVM_EXIT_NESTED_FAULT: /* table 28-7 */
        q = vmread(VMCS_QUALIFICATION);
        info->fault.gpa = vmread(VMCS_GUEST_PHYSICAL);
        info->fault.write = q & 2;
        info->fault.fetch = q & 4;
        info->fault.present = q & 0x38;
        block_nmi_again(x, q);
        return why;
    case HVM_EXIT_CR_WRITE: /* table 28-3: MOV to CR0 or CR4 is the only one that is asked for */
        q = vmread(VMCS_QUALIFICATION);
        info->cr.cr = q & 15;
        info->cr.reg = q >> 8 & 15;
        info->cr.known = true;
        return q & 0x30 ? HVM_EXIT_UNKNOWN : why;
    case HVM_EXIT_FORBIDDEN:
        info->general_protection = reason == 15;
        return why;
    case HVM_EXIT_EXCEPTION:
        return describe_exception(v, r, x, info);
    default:
        return why;
    }
}

/* What the exit interrupted is delivered again; INT n and its kin execute again. An NMI's delivery has blocked NMIs. */
static void deliver_again(struct vmx_vcpu *x)
{
    u32 event = vmread(VMCS_VECTORING);

    if (likely(!(event & HVM_EVENT_VALID)) || HVM_EVENT_TYPE(event) >= EVENT_SOFTWARE)
        return;
    x->event = (event & (HVM_EVENT_VALID | HVM_EVENT_ERROR | 0x7ff)) | (event & HVM_EVENT_ERROR ? vmread(VMCS_VECTORING_ERROR) << 32 : 0);
    if (HVM_EVENT_TYPE(event) == HVM_EVENT_NMI)
        x->blocked &= ~BLOCKED_BY_NMI;
}

/* §27.2.1.3, §27.3.1.5. */
static __attribute__((noinline)) void write_event(struct vmx_vcpu *x, struct regs *r)
{
    u32 event = x->event;
    unsigned int type = HVM_EVENT_TYPE(event);
    u8 vector = event;

    x->blocked &= ~(BLOCKED_BY_STI | BLOCKED_BY_MOV_SS); /* there is no shadow behind an event's delivery (§27.7.1) */
    if (type == HVM_EVENT_EXCEPTION && vector != VEC_DB && vector != VEC_DF)
        r->rflags |= X86_FLAGS_RF; /* in the frame of a fault */
    if (event & HVM_EVENT_ERROR) {
        if (vmread(VMCS_GUEST_CR0) & X86_CR0_PE)
            vmwrite(VMCS_ENTRY_ERROR, x->event >> 32);
        else
            event &= ~HVM_EVENT_ERROR;
    }
    vmwrite(VMCS_ENTRY_EVENT, event);
    x->event = 0;
}

/* An RIP that emulation left behind 4 GiB of 32-bit code: as the processor does, it begins anew at 0. */
static __cold_ void check_rip(struct vcpu *v, struct regs *r)
{
    if (!(hvm_ops->caller(v) & HVM_WIDE))
        r->rip = (u32)r->rip;
}

/* A shadow is left: under it a step of the trap flag is pending, or there is none. */
static __attribute__((noinline)) void write_shadow(struct vmx_vcpu *x, struct regs *r)
{
    if (x->blocked & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS)) {
        u64 pending = vmread(VMCS_PENDING_DEBUG) & ~(u64)PENDING_STEP;

        vmwrite(VMCS_PENDING_DEBUG, pending | (r->rflags & X86_FLAGS_TF ? PENDING_STEP : 0));
    }
    vmwrite(VMCS_INTERRUPTIBILITY, x->blocked);
    x->blocked_in_vmcs = x->blocked;
}

/* This pcpu catches up with the flushes of the domain's nested tables. */
static __cold_ void flush_nested(struct domain *d, struct vmx_vcpu *x)
{
    x->nested_seen = d->arch.hvm->nested_seen[this_cpu()] = READ_ONCE(d->arch.hvm->nested_generation);
    vmx_invept(vmx_eptp(d));
}

/* Everything that differs from what the VMCS has; how to enter. */
static __always_inline_ unsigned int prepare(struct vcpu *v, struct regs *r, struct vmx_vcpu *x)
{
    if (unlikely(!x->vpid_generation))
        vmx_new_vpid(x);
    if (unlikely(x->nested_seen != READ_ONCE(v->domain->arch.hvm->nested_generation)))
        flush_nested(v->domain, x);
    if (unlikely(x->event & HVM_EVENT_VALID))
        write_event(x, r);
    if (r->rip != x->rip) {
        if (unlikely((r->rip ^ x->rip) >> 32))
            check_rip(v, r);
        vmwrite(VMCS_GUEST_RIP, r->rip);
    }
    if (unlikely(r->rsp != x->rsp))
        vmwrite(VMCS_GUEST_RSP, r->rsp);
    if (unlikely(r->rflags != x->rflags))
        vmwrite(VMCS_GUEST_RFLAGS, r->rflags);
    if (unlikely(x->blocked | x->blocked_in_vmcs))
        write_shadow(x, r);
    if (unlikely(x->threshold != x->apic_page[VMX_TPR_AT] >> 4)) { /* lowering it exits */
        x->threshold = x->apic_page[VMX_TPR_AT] >> 4;
        vmwrite(VMCS_TPR_THRESHOLD, x->threshold);
    }
    if (likely(x->launched))
        return vmx_caps.resume;
    x->launched = true; /* where that fails, it never runs again */
    return vmx_caps.resume ^ VMX_RESUME ^ VMX_LAUNCH;
}

/* ---- the loop ---- */

/* Everything but what follows: the whole description, the handler of exit.c. */
static __attribute__((noinline)) unsigned int general(struct vcpu *v, struct regs *r, u32 reason)
{
    struct hvm_vcpu *h = v->arch.hvm;
    struct vmx_vcpu *x = h->vmx;
    struct hvm_exit_info *info = &h->exit;
    enum hvm_exit why = HVM_EXIT_UNKNOWN;

    info->code = reason;
    r->rip = x->rip = vmread(VMCS_GUEST_RIP);
    r->rsp = x->rsp = vmread(VMCS_GUEST_RSP);
    r->rflags = x->rflags = vmread(VMCS_GUEST_RFLAGS);
    x->blocked = x->blocked_in_vmcs = vmread(VMCS_INTERRUPTIBILITY);
    if (likely(reason < ARRAY_SIZE(reason_of))) {
        unsigned int what = reason_of[reason].what;

        if (likely(reason_of[reason].why))
            why = reason_of[reason].why - 1;
        if (what & INSTRUCTION) {
            info->length = vmread(VMCS_LENGTH);
            x->blocked &= ~(BLOCKED_BY_STI | BLOCKED_BY_MOV_SS);
        } else if (what & VECTORING) {
            deliver_again(x);
        }
        if (what & DETAILS)
            why = describe(v, r, x, info, reason, why);
    } else if (reason == (REASON_FAILED_ENTRY | REASON_MACHINE_CHECK)) {
        info->exception.vector = VEC_MC;
        why = HVM_EXIT_EXCEPTION;
    } else if (reason & REASON_FAILED_ENTRY) {
        why = HVM_EXIT_INVALID;
    }
    if (!hvm_exited(v, r, why))
        return 0;
    (void)vmx_load(v);
    return prepare(v, r, x);
}

void vmx_entry_failed(struct vcpu *v, struct regs *r)
{
    v->arch.hvm->exit.code = REASON_FAILED_ENTRY | (u32)vmread(VMCS_INSTRUCTION_ERROR) << 16;
    (void)hvm_exited(v, r, HVM_EXIT_INVALID);
}

static __always_inline_ u64 next_rip(void)
{
    return vmread(VMCS_GUEST_RIP) + vmread(VMCS_LENGTH);
}

/* A hot way was taken, and something waits: the registers that it has left where they were are looked at. */
static __attribute__((noinline)) unsigned int settle(struct vcpu *v, struct regs *r)
{
    struct vmx_vcpu *x = vmx_load(v);

    r->rip = x->rip = vmread(VMCS_GUEST_RIP);
    r->rsp = x->rsp = vmread(VMCS_GUEST_RSP);
    r->rflags = x->rflags = vmread(VMCS_GUEST_RFLAGS);
    x->blocked = x->blocked_in_vmcs = vmread(VMCS_INTERRUPTIBILITY);
    return hvm_settle(v, r) ? prepare(v, r, x) : 0;
}

/* A hot way ends: the instruction has been emulated, its shadow is over, and nothing else in the VMCS is other than it was. */
static __always_inline_ unsigned int end(struct vcpu *v, struct hvm_vcpu *h, struct regs *r, u64 next)
{
    u64 blocked = vmread(VMCS_INTERRUPTIBILITY);

    vmwrite(VMCS_GUEST_RIP, next);
    if (unlikely(blocked))
        vmwrite(VMCS_INTERRUPTIBILITY, blocked & ~(u64)(BLOCKED_BY_STI | BLOCKED_BY_MOV_SS));
    return likely(!hvm_something_waits(v, h)) ? vmx_caps.resume : settle(v, r);
}

/*
 * A lock was taken: who waits for one serves other pcpus' calls, a flush of the domain's nested tables among them, which is then to be
 * caught up with. how: what a hot way would answer.
 */
static __always_inline_ unsigned int after_lock(struct vcpu *v, struct hvm_vcpu *h, struct regs *r, unsigned int how)
{
    return likely(h->vmx->nested_seen == READ_ONCE(v->domain->arch.hvm->nested_generation)) || !how ? how : settle(v, r);
}

/* 64-bit kernel code runs. */
static __always_inline_ bool wide_kernel(void)
{
    return (vmread(VMCS_GUEST_ACCESS + 2) & ACCESS_L) && !(vmread(VMCS_GUEST_ACCESS + 4) & 3 << 5) &&
           (vmread(VMCS_GUEST_EFER) & EFER_LMA);
}

/* A call may change the map, build a domain (whose VMCS is loaded then), or be issued again. */
static __attribute__((noinline)) unsigned int hypercall(struct vcpu *v, struct regs *r, hypercall_fn *fn)
{
    struct hvm_vcpu *h = v->arch.hvm;
    struct hvm_domain *hd = v->domain->arch.hvm;

    h->exit.length = vmread(VMCS_LENGTH); /* hvm_hypercall_continue() asks for both */
    h->exit.caller = HVM_WIDE;
    r->rip = next_rip();
    h->count[HVM_EXIT_HYPERCALL]++;
    get_cpu_info()->count.hypercall[r->rax]++;
    r->rax = fn(r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9);
    if (unlikely(vmx_pcpu[this_cpu()].loaded != h->vmx || h->vmx->nested_seen != READ_ONCE(hd->nested_generation))) {
        (void)vmx_load(v);
        vmwrite(VMCS_GUEST_RIP, r->rip);
        return settle(v, r);
    }
    return end(v, h, r, r->rip);
}

static __attribute__((noinline)) unsigned int write_msr(struct vcpu *v, struct regs *r)
{
    struct hvm_vcpu *h = v->arch.hvm;

    if (!hvm_apic_wrmsr(v, h, r->rcx, (u32)r->rax | r->rdx << 32))
        return general(v, r, REASON_WRMSR);
    h->count[HVM_EXIT_MSR_WRITE]++;
    return after_lock(v, h, r, end(v, h, r, next_rip()));
}

static __attribute__((noinline)) unsigned int read_msr(struct vcpu *v, struct regs *r)
{
    struct hvm_vcpu *h = v->arch.hvm;
    u64 value;

    if (unlikely(!hvm_msr_read(v, (u32)r->rcx, &value)))
        return general(v, r, REASON_RDMSR);
    r->rax = (u32)value;
    r->rdx = value >> 32;
    h->count[HVM_EXIT_MSR_READ]++;
    return after_lock(v, h, r, end(v, h, r, next_rip()));
}

/* The instruction executes again, under the shadow that it was under; what was being delivered, or an IRET that unblocked NMIs, is general()'s. */
static __attribute__((noinline)) unsigned int memory_fault(struct vcpu *v, struct regs *r)
{
    struct hvm_vcpu *h = v->arch.hvm;

    if (unlikely((vmread(VMCS_VECTORING) & HVM_EVENT_VALID) || (vmread(VMCS_QUALIFICATION) & EVENT_UNBLOCKS_NMI)) ||
        unlikely(!hvm_memory_came(v, vmread(VMCS_GUEST_PHYSICAL))))
        return general(v, r, REASON_EPT_VIOLATION);
    h->count[HVM_EXIT_NESTED_FAULT]++;
    return after_lock(v, h, r, likely(!hvm_something_waits(v, h)) ? vmx_caps.resume : settle(v, r));
}

static __always_inline_ unsigned int port_of_nobody(struct vcpu *v, struct regs *r, u32 q)
{
    struct hvm_vcpu *h = v->arch.hvm;

    if (q & 8)
        r->rax = hvm_in_from_nobody(r->rax, (q & 7) + 1);
    h->count[HVM_EXIT_IO]++;
    return end(v, h, r, next_rip());
}

static __always_inline_ unsigned int known_cpuid(struct vcpu *v, struct hvm_vcpu *h, struct regs *r, const struct hvm_cpuid_answer *a)
{
    h->count[HVM_EXIT_CPUID]++;
    r->rax = a->eax;
    r->rbx = a->ebx;
    r->rcx = a->ecx | (unlikely(a->leaf == ~1u) && (vmread(VMCS_GUEST_CR4) & X86_CR4_OSXSAVE) ? HVM_CPUID_OSXSAVE : 0);
    r->rdx = a->edx;
    return end(v, h, r, next_rip());
}

unsigned int vmx_exited(struct vcpu *v, struct regs *r)
{
    struct hvm_vcpu *h = v->arch.hvm;
    u32 reason = vmread(VMCS_REASON);

    if (hvm_traced() || unlikely(reason > REASON_WRMSR) || unlikely(vmread(VMCS_GUEST_RFLAGS) & (X86_FLAGS_TF | X86_FLAGS_RF)))
        return reason == REASON_EPT_VIOLATION && !hvm_traced() ? memory_fault(v, r) : general(v, r, reason);
    if (reason == REASON_VMCALL) {
        hypercall_fn *fn = hvm_callee(v->domain, r->rax);

        if (likely(fn && wide_kernel()))
            return hypercall(v, r, fn);
    } else if (reason == REASON_WRMSR) {
        return write_msr(v, r);
    } else if (reason == REASON_RDMSR) {
        return read_msr(v, r);
    } else if (reason == REASON_CPUID) {
        const struct hvm_cpuid_answer *a = hvm_cpuid_known(h, (u32)r->rax, (u32)r->rcx);

        if (likely(a))
            return known_cpuid(v, h, r, a);
    } else if (reason == REASON_IO) {
        u32 q = vmread(VMCS_QUALIFICATION);

        if (!(q & 16) && hvm_io_no_port(&v->domain->arch.hvm->io, q >> 16))
            return port_of_nobody(v, r, q);
    }
    return general(v, r, reason);
}

void vmx_run(struct vcpu *v, struct regs *r)
{
    struct vmx_vcpu *x = vmx_load(v);

    if (unlikely(x->vpid_generation != vmx_pcpu[this_cpu()].generation))
        x->vpid_generation = 0;
    x->nested_seen = v->domain->arch.hvm->nested_seen[this_cpu()];
    vmx_enter(r, v, prepare(v, r, x));
}

/* ---- control registers ---- */

bool vmx_load_pdptes(struct vcpu *v)
{
    u64 entry[4], reserved = 0x1e6 | ~((1ull << min_of(cpu_features.phys_bits, 40u)) - 1);

    if (hvm_copy_from_physical(v->domain, entry, vmread(VMCS_GUEST_CR3) & 0xffffffe0, sizeof(entry)))
        return false;
    for (unsigned int i = 0; i < 4; i++)
        if ((entry[i] & 1) && (entry[i] & reserved))
            return false;
    for (unsigned int i = 0; i < 4; i++)
        vmwrite(VMCS_GUEST_PDPTE + 2 * i, entry[i]);
    return true;
}

/*
 * CR0 (§2.5, §4.1.2, vol. 2 MOV to control registers): combinations that mean nothing are #GP; with PG, LMA follows LME. The exit
 * comes before the processor has looked at the value (§26.1.1).
 */
static bool guest_cr0(struct vcpu *v, u64 value)
{
    u64 old = vmx_get(v, HVM_CR0), efer = vmx_get(v, HVM_EFER), changed;
    bool wide = hvm_ops->caller(v) & HVM_WIDE;

    if (value >> 32 || ((value & X86_CR0_PG) && !(value & X86_CR0_PE)) || ((value & X86_CR0_NW) && !(value & X86_CR0_CD)))
        return false;
    value = (value & 0xe005002f) | X86_CR0_ET;
    changed = value ^ old;
    if (changed & X86_CR0_PG) {
        if ((value & X86_CR0_PG) && (efer & EFER_LME)) {
            struct hvm_segment cs, tr;

            hvm_ops->get_segment(v, HVM_CS, &cs);
            hvm_ops->get_segment(v, HVM_TR, &tr);
            if (!(vmx_get(v, HVM_CR4) & X86_CR4_PAE) || (cs.attributes & HVM_SEG_L) || (tr.attributes & 15) == 3)
                return false;
            efer |= EFER_LMA;
        } else if (wide) {
            return false;
        } else {
            efer &= ~(u64)EFER_LMA;
        }
    }
    if ((changed & (X86_CR0_PG | X86_CR0_CD | X86_CR0_NW)) && (value & X86_CR0_PG) && (vmx_get(v, HVM_CR4) & X86_CR4_PAE) &&
        !(efer & EFER_LMA) && !vmx_load_pdptes(v))
        return false;
    vmx_set(v, HVM_CR0, value);
    vmx_set(v, HVM_EFER, efer);
    return true;
}

/* CR4 exits where a bit would be set that the guest has not. */
bool vmx_write_cr(struct vcpu *v, u8 cr, u64 value)
{
    return cr == 0 && guest_cr0(v, value);
}

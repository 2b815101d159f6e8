/* SPDX-License-Identifier: MIT */
/*
 * AMD's SVM behind struct hvm_ops: enabling, the VMCB, what is intercepted, what an exit was, and from one exit to the next entry: the exits
 * of hot.h are dealt with right here, all others by hvm_exited() (APM vol. 2 ch. 15).
 *
 * What never exits: page faults and all other exceptions but #DB, #AC and #MC; control registers but writes of the task priority (CR8);
 * INVLPG; RDTSC and RDTSCP; the MSRs of the save area. What always does: CPUID, HLT, ports, the other MSRs, SVM's own instructions,
 * interrupts of the machine. #DB and #AC exit because a guest can make their delivery endless, with no interrupt taken in between.
 * PAUSE exits where a domain has several vCPUs, one of which may wait for another that does not run: in loops where the processor has a
 * filter (§15.14.4); each time where it has none (QEMU's TCG), and then only with fewer pcpus than vCPUs.
 * Tagged TLB: each vCPU has an address-space number (§15.16) of this pcpu; to flush it, it gets another one. When the numbers are
 * used up, everything is flushed and all begin again (a generation; svm_asid.h).
 * NMIs: while the guest handles one, from its injection to its next IRET, another waits (§15.9, §15.20; virtual NMIs, §15.21.10, are not used). IRET
 * exits meanwhile, before it has executed; it then executes by one step of the trap flag, behind which NMIs go in again. So does an instruction
 * in a shadow of MOV SS or STI that an NMI waits behind; if that one stores or loads RFLAGS, the guest's own trap flag can be wrong once.
 * Every exception exits meanwhile, so that no frame has the flag.
 * Without nrip-save (QEMU's TCG) the next RIP of the usual instructions is found by reading them; exit.length is 0 where that fails.
 * Ports have it always (§15.10.2). There, interrupts go in as virtual interrupts (inject_once()).
 */
#include "svm.h"
#include "svm_asid.h"
#include "hot.h"
#include "x86/cpu.h"
#include "x86/mm.h"

#define EXIT_DB      (0x40 + VEC_DB)
#define EXIT_CPUID   0x72
#define EXIT_IRET    0x74
#define EXIT_IO      0x7b
#define EXIT_MSR     0x7c
#define EXIT_VMMCALL 0x81
#define EXIT_NPF     0x400

/* Exceptions that exit, and those with an error code. */
#define EXCEPTIONS (1u << VEC_DB | 1u << VEC_AC | 1u << VEC_MC)
#define WITH_ERROR (0xfu << VEC_TS | 1u << VEC_PF | 1u << VEC_AC)

/* A loop that waits: so many PAUSEs, no two further apart than this in cycles (§15.14.4). At 40 to 65 cycles each some 10 us: what a vCPU
 * that runs has done by then, and a thousandth of what one takes that does not. */
#define PAUSE_COUNT 500
#define PAUSE_GAP   512

static struct {
    u64 host_vmcb;             /* physical: TR, FS, GS and MSRs of the hypervisor itself */
    struct svm_asids asids;
} pcpu_svm[NR_PCPUS];

static svm_exit_fn exited, exited_without_nrip;
static bool has_nrip, has_pause_filter;

static bool present(void)
{
    u32 a, b, c, d;

    if (cpu_features.cpuid_max_ext < 0x8000000a)
        return false;
    cpuid(0x80000001, 0, &a, &b, &c, &d);
    if (!(c & (1u << 2)))
        return false;
    if (d & (1u << 26)) /* §15.25.3: nested tables are the host's in long mode */
        hvm_largest_order = P2M_ORDER_1G;
    cpuid(0x8000000a, 0, &a, &b, &c, &d);
    if (!(d & 1)) {
        printk("SVM without nested paging: it is not used\n");
        return false;
    }
    has_nrip = d & (1u << 3);
    has_pause_filter = d & (1u << 10);
    if (rdmsr(MSR_VM_CR) & VM_CR_SVMDIS) {
        printk("SVM is there, and firmware has turned it off\n");
        return false;
    }
    return true;
}

/** §15.4: EFER.SVME, the host's save area, and a VMCB for what VMRUN does not keep (§15.5.2). */
static int cpu_init_svm(unsigned int cpu)
{
    u32 a, b, c, d;
    void *save = arch_alloc_pages(0), *own = arch_alloc_pages(0);

    if (!save || !own)
        return -XEN_ENOMEM;
    cpuid(0x8000000a, 0, &a, &b, &c, &d);
    pcpu_svm[cpu].asids = (struct svm_asids){.next = 1, .nr = b, .generation = 1};
    if (b < 2)
        return -XEN_EOPNOTSUPP;
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
    wrmsr(MSR_VM_HSAVE_PA, virt_to_mfn(save).n << PAGE_SHIFT);
    pcpu_svm[cpu].host_vmcb = virt_to_mfn(own).n << PAGE_SHIFT;
    __asm__ volatile("vmsave %%rax" ::"a"(pcpu_svm[cpu].host_vmcb) : "memory");
    if (!cpu)
        printk("SVM: %u address-space numbers%s%s\n", b, has_nrip ? ", next RIP told" : "",
               hvm_rsb_overwrite ? "; return stack overwritten behind guests" : "");
    return 0;
}

/* §15.11: two bits an MSR. */
static void direct_msr(u8 *map, u32 msr)
{
    u32 bit = msr < 0x2000 ? msr * 2 : 0x800 * 8 + (msr - 0xc0000000) * 2;

    map[bit / 8] &= ~(3u << bit % 8);
}

static int vcpu_create_svm(struct vcpu *v)
{
    struct hvm_vcpu *h = v->arch.hvm;
    struct vmcb *m = arch_alloc_pages(0);

    if (!m)
        return -XEN_ENOMEM;
    h->vmcb = m;
    h->vmcb_paddr = virt_to_mfn(m).n << PAGE_SHIFT;
    h->event = &m->event_injection;
    m->exceptions = EXCEPTIONS;
    m->intercept1 = SVM_INTR | SVM_NMI | SVM_SMI | SVM_INIT | SVM_RDPMC | SVM_CPUID | SVM_RSM | SVM_INVD | SVM_HLT | SVM_INVLPGA |
                    SVM_IOIO | SVM_MSR | SVM_TASK_SWITCH | SVM_FERR_FREEZE | SVM_SHUTDOWN;
    m->intercept2 = SVM_ALL_VM | SVM_WBINVD | SVM_MONITOR | SVM_XSETBV | SVM_RDPRU;
    m->intercept3 = SVM_BROADCAST;
    /* CR8: an interrupt that it held back must go in when it is lowered; and QEMU 10 aborts at a MOV to CR8 under V_IRQ. */
    m->cr_write = 1u << 8;
    m->iopm = virt_to_mfn(v->domain->arch.hvm->io_map).n << PAGE_SHIFT;
    m->msrpm = virt_to_mfn(v->domain->arch.hvm->msr_map).n << PAGE_SHIFT;
    m->virtual_interrupt = SVM_V_INTR_MASKING;
    m->nested_paging = 1;
    m->nested_cr3 = virt_to_mfn(v->domain->arch.hvm->root).n << PAGE_SHIFT;
    m->g_pat = HVM_PAT_RESET;
    if (has_pause_filter ? v->domain->max_vcpus > 1 : !(arch_online_mask() >> (v->domain->max_vcpus - 1))) {
        m->intercept1 |= SVM_PAUSE;
        m->pause_count = PAUSE_COUNT;
        m->pause_threshold = PAUSE_GAP;
    }
    return 0;
}

static void vcpu_destroy_svm(struct vcpu *v)
{
    if (v->arch.hvm->vmcb)
        arch_free_pages(v->arch.hvm->vmcb, 0);
}

/* A vCPU that moved to another pcpu has no number there; with one pcpu it keeps its own while the generation lasts. */
static void switch_to(struct vcpu *v)
{
    if (cpu_features.rdtscp)
        wrmsr(MSR_TSC_AUX, v->arch.hvm->tsc_aux);
}

static void switch_from(struct vcpu *v)
{
    if (cpu_features.rdtscp) {
        v->arch.hvm->tsc_aux = rdmsr(MSR_TSC_AUX);
        wrmsr(MSR_TSC_AUX, 0);
    }
}

static __cold_ void new_asid(struct hvm_vcpu *h)
{
    struct svm_asids *a = &pcpu_svm[this_cpu()].asids;
    bool flush_all = false;

    h->vmcb->asid = svm_next_asid(a, &flush_all);
    if (flush_all)
        h->vmcb->tlb_control = SVM_TLB_FLUSH_ALL;
    svm_asid_taken(a, &h->asid_generation);
}

/* Exit codes below 0x90 (APM vol. 2 appendix C): one more than the reason; 0: never asked for. */
static const u8 reason_of[0x90] = {
    [0x18] = 1 + HVM_EXIT_CR_WRITE,
    [0x40 ... 0x5f] = 1 + HVM_EXIT_EXCEPTION,
    [0x60] = 1 + HVM_EXIT_INTERRUPT, [0x61] = 1 + HVM_EXIT_NMI, [0x62] = 1 + HVM_EXIT_INTERRUPT, [0x63] = 1 + HVM_EXIT_INTERRUPT,
    [0x64] = 1 + HVM_EXIT_WINDOW, [0x6f] = 1 + HVM_EXIT_FORBIDDEN, [0x72] = 1 + HVM_EXIT_CPUID, [0x73] = 1 + HVM_EXIT_FORBIDDEN, [EXIT_IRET] = 1 + HVM_EXIT_WINDOW,
    [0x76] = 1 + HVM_EXIT_CACHE, [0x77] = 1 + HVM_EXIT_PAUSE, [0x78] = 1 + HVM_EXIT_HLT, [0x7a] = 1 + HVM_EXIT_FORBIDDEN, [0x7b] = 1 + HVM_EXIT_IO, [0x7c] = 1 + HVM_EXIT_MSR_READ,
    [0x7d] = 1 + HVM_EXIT_TASK_SWITCH, [0x7f] = 1 + HVM_EXIT_SHUTDOWN, [0x80] = 1 + HVM_EXIT_FORBIDDEN, [0x81] = 1 + HVM_EXIT_HYPERCALL,
    [0x82 ... 0x86] = 1 + HVM_EXIT_FORBIDDEN, [0x89] = 1 + HVM_EXIT_CACHE, [0x8a ... 0x8c] = 1 + HVM_EXIT_FORBIDDEN, [0x8d] = 1 + HVM_EXIT_XSETBV,
    [0x8e] = 1 + HVM_EXIT_FORBIDDEN,
};

/* Bits of EXITINFO1 of a port access (§15.10.2). */
static void describe_io(struct hvm_exit_info *x, const struct vmcb *m)
{
    u64 i = m->exit_info1;

    x->io.port = i >> 16;
    x->io.size = i >> 4 & 7; /* a bit each for 1, 2 and 4 bytes, which is the size */
    x->io.in = i & 1;
    x->io.string = i >> 2 & 1;
    if (unlikely(x->io.string)) {
        x->io.rep = i >> 3 & 1;
        x->io.address_size = i & 0x80 ? 2 : i & 0x100 ? 4 : i & 0x200 ? 8 : 0; /* QEMU tells none */
    }
    x->io.next_rip = m->exit_info2;
}

static u32 caller(const struct vcpu *v)
{
    const struct vmcb *m = v->arch.hvm->vmcb;

    return m->cpl | ((m->segment[HVM_CS].attributes & HVM_SEG_L) && (m->efer & EFER_LMA) ? HVM_WIDE : 0);
}

static __always_inline_ void take_registers(struct regs *r, const struct vmcb *m)
{
    r->rax = m->rax;
    r->rip = m->rip;
    r->rsp = m->rsp;
    r->rflags = m->rflags;
}

static __always_inline_ bool stepping(const struct hvm_vcpu *h)
{
    return h->nmi >= SVM_NMI_IRET;
}

/* Before an entry. An event that goes in with it ends a step: what it interrupts is not the instruction's flags. */
static __always_inline_ void give_registers(struct hvm_vcpu *h, struct vmcb *m, const struct regs *r)
{
    m->rax = r->rax;
    m->rip = r->rip;
    m->rsp = r->rsp;
    m->rflags = r->rflags;
    if (likely(!stepping(h)))
        return;
    if (m->event_injection & HVM_EVENT_VALID) {
        h->nmi = SVM_NMI_OPEN;
        h->check_irq = true;
    } else {
        m->rflags |= h->step_flag;
        m->exceptions = ~0u;
    }
}

/* After any exit of a step; the flags that IRET has loaded are the guest's. */
static __cold_ void take_flag(const struct hvm_vcpu *h, struct vmcb *m)
{
    m->exceptions = EXCEPTIONS;
    if (m->exit_code != EXIT_DB || h->nmi == SVM_NMI_SHADOW)
        m->rflags &= ~h->step_flag;
}

/* One instruction executes, and exits behind it. */
static void step(struct hvm_vcpu *h, struct vmcb *m, enum svm_nmi kind)
{
    h->nmi = kind;
    h->step_flag = ~m->rflags & X86_FLAGS_TF;
    h->step_dr6 = m->dr6;
}

/* #DB, which was a step's. False: it is the guest's too, that has its own trap flag or met a breakpoint. */
static bool stepped(struct hvm_vcpu *h, struct vmcb *m)
{
    u64 met = m->dr6 & ~h->step_dr6 & 15;

    h->nmi = SVM_NMI_OPEN;
    h->check_irq = true;
    if (h->step_flag)
        m->dr6 = h->step_dr6 | met;
    return h->step_flag && !met;
}

/* Which exit it was, with what handlers want to know of it. */
static __always_inline_ enum hvm_exit describe(struct vcpu *v, struct vmcb *m, struct hvm_exit_info *x)
{
    u64 code = m->exit_code;
    enum hvm_exit why;

    x->code = (u32)code;
    x->length = m->next_rip ? (u8)(m->next_rip - m->rip) : 0;
    if (likely(code < ARRAY_SIZE(reason_of) && reason_of[code])) {
        why = reason_of[code] - 1;
        if (why == HVM_EXIT_CPUID) {
            m->shadow = 0;
        } else if (why == HVM_EXIT_HYPERCALL) {
            m->shadow = 0;
            x->caller = caller(v);
        } else if (why == HVM_EXIT_IO) {
            m->shadow = 0;
            describe_io(x, m);
        } else if (why == HVM_EXIT_MSR_READ) {
            m->shadow = 0;
            why += m->exit_info1 & 1;
        } else if (why == HVM_EXIT_WINDOW && code == EXIT_IRET) {
            m->intercept1 &= ~SVM_IRET;
            step(v->arch.hvm, m, SVM_NMI_IRET);
        } else if (why == HVM_EXIT_EXCEPTION) {
            if (unlikely(stepping(v->arch.hvm)) && code == EXIT_DB && stepped(v->arch.hvm, m))
                return HVM_EXIT_WINDOW;
            x->exception.vector = code - 0x40;
            x->exception.has_error = WITH_ERROR >> x->exception.vector & 1;
            x->exception.error = (u32)m->exit_info1;
            if (code == 0x40 + VEC_PF)
                m->cr2 = m->exit_info2;
        } else if (why == HVM_EXIT_CR_WRITE) {
            x->cr.cr = 8;
            x->cr.known = false;
        } else if (why == HVM_EXIT_FORBIDDEN) {
            x->general_protection = code == 0x6f;
        }
        return why;
    }
    if (code == 0x400) { /* §15.25.6 */
        x->fault.gpa = m->exit_info2;
        x->fault.present = m->exit_info1 & 1;
        x->fault.write = m->exit_info1 & 2;
        x->fault.fetch = m->exit_info1 & 16;
        return HVM_EXIT_NESTED_FAULT;
    }
    return (s64)code == -1 || (u32)code == ~0u ? HVM_EXIT_INVALID : HVM_EXIT_UNKNOWN;
}

/* 64-bit code runs. */
static __always_inline_ bool wide(const struct vmcb *m)
{
    return (m->segment[HVM_CS].attributes & HVM_SEG_L) && (m->efer & EFER_LMA);
}

/* What nrip-save would have put there, for the usual instructions of 64-bit code; 0 for all others. */
static void find_next_rip(struct vcpu *v, struct vmcb *m)
{
    u64 code = m->exit_code;
    unsigned int length = 0;
    const u8 *at;

    m->next_rip = 0;
    if ((code != EXIT_CPUID && code != EXIT_MSR && code != EXIT_VMMCALL) || !wide(m))
        return;
    at = hvm_code_at(v, m->cr3, m->rip, 3);
    if (unlikely(!at || at[0] != 0x0f))
        return;
    if (code == EXIT_CPUID)
        length = at[1] == 0xa2 ? 2 : 0;
    else if (code == EXIT_MSR)
        length = at[1] == (m->exit_info1 & 1 ? 0x30 : 0x32) ? 2 : 0;
    else
        length = at[1] == 0x01 && at[2] == 0xd9 ? 3 : 0;
    if (likely(length))
        m->next_rip = m->rip + length;
}

static void close_window(struct vcpu *v)
{
    struct vmcb *m = v->arch.hvm->vmcb;

    m->virtual_interrupt &= ~(SVM_V_IRQ | SVM_V_IGNORE_TPR);
    m->intercept1 &= ~SVM_VINTR;
}

/* ---- the loop ---- */

/* To the next entry, behind all that waits; a vCPU whose translations were dropped meanwhile gets another address-space number (svm_asid.h). */
static __always_inline_ bool enter_again(struct hvm_vcpu *h)
{
    if (unlikely(!READ_ONCE(h->asid_generation)))
        new_asid(h);
    return true;
}

/* What the exit interrupted is delivered again; it is laid out as what is injected (§15.7.2, §15.20). */
static __always_inline_ void deliver_again(struct vmcb *m)
{
    if (unlikely(m->exit_int_info & HVM_EVENT_VALID) && HVM_EVENT_TYPE(m->exit_int_info) != 4) /* INT n executes again */
        m->event_injection = m->exit_int_info;
}

static __attribute__((noinline)) bool general(struct vcpu *v, struct regs *r)
{
    struct hvm_vcpu *h = v->arch.hvm;
    struct vmcb *m = h->vmcb;

    if (unlikely(stepping(h)))
        take_flag(h, m);
    take_registers(r, m);
    deliver_again(m);
    if (!hvm_exited(v, r, describe(v, m, &h->exit)))
        return false;
    give_registers(h, m, r);
    return enter_again(h);
}

/* A hot way begins: the registers behind the instruction, which is emulated now. */
static __always_inline_ void begin(struct regs *r, struct vmcb *m, u64 next_rip)
{
    r->rax = m->rax;
    r->rip = next_rip;
    r->rsp = m->rsp;
    r->rflags = m->rflags & ~(u64)X86_FLAGS_RF;
    m->shadow = 0;
}

/* And ends. */
static __always_inline_ bool end(struct vcpu *v, struct hvm_vcpu *h, struct vmcb *m, struct regs *r, enum hvm_exit why)
{
    h->count[why]++;
    if (hvm_something_waits(v, h) && !hvm_settle(v, r))
        return false;
    m->rax = r->rax;
    m->rip = r->rip;
    m->rflags = r->rflags;
    return enter_again(h);
}

static __attribute__((noinline)) bool hypercall(struct vcpu *v, struct regs *r, struct vmcb *m, hypercall_fn *fn)
{
    struct hvm_vcpu *h = v->arch.hvm;

    u64 next = m->next_rip;

    h->exit.length = next - m->rip; /* hvm_hypercall_continue() asks for both */
    h->exit.caller = HVM_WIDE;
    begin(r, m, next);
    get_cpu_info()->count.hypercall[r->rax]++;
    r->rax = fn(r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9);
    return end(v, h, m, r, HVM_EXIT_HYPERCALL);
}

static __attribute__((noinline)) bool write_msr(struct vcpu *v, struct regs *r, struct vmcb *m)
{
    struct hvm_vcpu *h = v->arch.hvm;

    if (!hvm_apic_wrmsr(v, h, r->rcx, (u32)m->rax | r->rdx << 32))
        return general(v, r);
    begin(r, m, m->next_rip);
    return end(v, h, m, r, HVM_EXIT_MSR_WRITE);
}

static __attribute__((noinline)) bool port_of_nobody(struct vcpu *v, struct regs *r, struct vmcb *m)
{
    u64 i = m->exit_info1;

    begin(r, m, m->exit_info2);
    if (i & 1)
        r->rax = hvm_in_from_nobody(r->rax, i >> 4 & 7);
    return end(v, v->arch.hvm, m, r, HVM_EXIT_IO);
}

/* The first touch of memory changes no register. */
static __attribute__((noinline)) bool memory_fault(struct vcpu *v, struct regs *r, struct vmcb *m)
{
    struct hvm_vcpu *h = v->arch.hvm;

    if (unlikely(!hvm_memory_came(v, m->exit_info2)))
        return general(v, r);
    deliver_again(m);
    h->count[HVM_EXIT_NESTED_FAULT]++;
    if (hvm_something_waits(v, h)) {
        take_registers(r, m);
        if (!hvm_settle(v, r))
            return false;
        give_registers(h, m, r);
    }
    return enter_again(h);
}

/* Only the registers that CPUID changes are touched: nothing else looks at the others. */
static __always_inline_ bool known_cpuid(struct hvm_vcpu *h, struct regs *r, struct vmcb *m, const struct hvm_cpuid_answer *a)
{
    h->count[HVM_EXIT_CPUID]++;
    m->rax = a->eax;
    r->rbx = a->ebx;
    r->rcx = a->ecx | (unlikely(a->leaf == ~1u) && (m->cr4 & X86_CR4_OSXSAVE) ? HVM_CPUID_OSXSAVE : 0);
    r->rdx = a->edx;
    m->rip = m->next_rip;
    m->rflags &= ~(u64)X86_FLAGS_RF;
    m->shadow = 0;
    return enter_again(h);
}

static bool exited(struct vcpu *v, struct regs *r)
{
    struct hvm_vcpu *h = v->arch.hvm;
    struct vmcb *m = h->vmcb;
    u64 code = m->exit_code;

    m->tlb_control = 0;
    m->event_injection = 0;
    if (hvm_traced() || unlikely(m->rflags & X86_FLAGS_TF))
        return general(v, r);
    if (code == EXIT_IO && m->exit_info2 && !(m->exit_info1 & 4) && hvm_io_no_port(&v->domain->arch.hvm->io, m->exit_info1 >> 16))
        return port_of_nobody(v, r, m);
    if (unlikely(!m->next_rip))
        return code == EXIT_NPF ? memory_fault(v, r, m) : general(v, r);
    if (code == EXIT_VMMCALL && likely(!m->cpl && wide(m))) {
        hypercall_fn *fn = hvm_callee(v->domain, m->rax);

        if (likely(fn))
            return hypercall(v, r, m, fn);
    } else if (code == EXIT_MSR && m->exit_info1) {
        return write_msr(v, r, m);
    } else if (code == EXIT_CPUID) {
        const struct hvm_cpuid_answer *a = hvm_cpuid_known(h, (u32)m->rax, (u32)r->rcx);

        if (likely(a) && !hvm_something_waits(v, h))
            return known_cpuid(h, r, m, a);
    } else if (code == EXIT_NPF) {
        return memory_fault(v, r, m);
    }
    return general(v, r);
}

/*
 * QEMU's VMRUN keeps the vector of an interrupt that it has injected as that of an exception to come: where neither an exit nor an exception
 * follows before it looks again (at a timer's time, by -icount), it delivers the vector once more, whatever IF says. As a virtual
 * interrupt (§15.21.4) it goes in once. Not where the window is to be opened by the same means.
 */
static __cold_ void inject_once(struct vmcb *m)
{
    if (HVM_EVENT_TYPE(m->event_injection) == HVM_EVENT_INTERRUPT && !(m->intercept1 & SVM_VINTR)) {
        m->virtual_interrupt = (u32)m->virtual_interrupt | SVM_V_IRQ | SVM_V_IGNORE_TPR | (m->event_injection & 0xff) << 32;
        m->event_injection = 0;
    }
}

static bool exited_without_nrip(struct vcpu *v, struct regs *r)
{
    struct vmcb *m = v->arch.hvm->vmcb;

    if (unlikely(m->virtual_interrupt & SVM_V_IRQ) && !(m->intercept1 & SVM_VINTR)) { /* inject_once()'s exited before it was delivered */
        m->exit_int_info = m->virtual_interrupt >> 32 | HVM_EVENT_VALID;
        close_window(v);
    }
    find_next_rip(v, m);
    if (!exited(v, r))
        return false;
    if (unlikely(m->event_injection))
        inject_once(m);
    return true;
}

static void run(struct vcpu *v, struct regs *r)
{
    struct hvm_vcpu *h = v->arch.hvm;

    if (READ_ONCE(h->asid_generation) != pcpu_svm[this_cpu()].asids.generation)
        new_asid(h);
    give_registers(h, h->vmcb, r);
    if (!has_nrip && h->vmcb->event_injection)
        inject_once(h->vmcb);
    svm_loop(r, h->vmcb_paddr, pcpu_svm[this_cpu()].host_vmcb, v, has_nrip ? exited : exited_without_nrip);
}

static bool take_nmi(struct vcpu *v)
{
    struct hvm_vcpu *h = v->arch.hvm;

    if (h->nmi != SVM_NMI_OPEN)
        return false;
    if (h->vmcb->shadow & 1) {
        step(h, h->vmcb, SVM_NMI_SHADOW);
        return false;
    }
    h->nmi = SVM_NMI_HELD;
    h->vmcb->intercept1 |= SVM_IRET;
    return true;
}

static bool shadowed(const struct vcpu *v)
{
    return (v->arch.hvm->vmcb->shadow & 1) || stepping(v->arch.hvm);
}

/* A virtual interrupt that nobody will see: it exits before it is delivered (§15.21.4), and is then taken away. A step exits by itself. */
static void open_window(struct vcpu *v)
{
    struct vmcb *m = v->arch.hvm->vmcb;

    if (unlikely(stepping(v->arch.hvm))) {
        v->arch.hvm->check_irq = true;
        return;
    }
    m->virtual_interrupt |= SVM_V_IRQ | SVM_V_IGNORE_TPR;
    m->intercept1 |= SVM_VINTR;
}

static void clear_shadow(struct vcpu *v)
{
    v->arch.hvm->vmcb->shadow = 0;
}

static void clear_blocking(struct vcpu *v)
{
    clear_shadow(v);
    v->arch.hvm->nmi = SVM_NMI_OPEN;
}

static void get_segment(const struct vcpu *v, enum hvm_segment_name n, struct hvm_segment *s)
{
    const struct vmcb_segment *from = &v->arch.hvm->vmcb->segment[n];

    *s = (struct hvm_segment){from->selector, from->attributes, from->limit, from->base};
}

static void set_segment(struct vcpu *v, enum hvm_segment_name n, const struct hvm_segment *s)
{
    v->arch.hvm->vmcb->segment[n] = (struct vmcb_segment){s->selector, s->attributes, s->limit, s->base};
    if (n == HVM_SS)
        v->arch.hvm->vmcb->cpl = (s->attributes >> 5) & 3;
}

static const u16 register_at[HVM_NR_REGISTERS] = {
    [HVM_CR0] = offsetof(struct vmcb, cr0), [HVM_CR2] = offsetof(struct vmcb, cr2), [HVM_CR3] = offsetof(struct vmcb, cr3),
    [HVM_CR4] = offsetof(struct vmcb, cr4), [HVM_EFER] = offsetof(struct vmcb, efer), [HVM_PAT] = offsetof(struct vmcb, g_pat),
    [HVM_DR6] = offsetof(struct vmcb, dr6), [HVM_DR7] = offsetof(struct vmcb, dr7),
    [HVM_KERNEL_GS_BASE] = offsetof(struct vmcb, kernel_gs_base), [HVM_STAR] = offsetof(struct vmcb, star),
    [HVM_LSTAR] = offsetof(struct vmcb, lstar), [HVM_CSTAR] = offsetof(struct vmcb, cstar),
    [HVM_SYSCALL_MASK] = offsetof(struct vmcb, sfmask), [HVM_SYSENTER_CS] = offsetof(struct vmcb, sysenter_cs),
    [HVM_SYSENTER_ESP] = offsetof(struct vmcb, sysenter_esp), [HVM_SYSENTER_EIP] = offsetof(struct vmcb, sysenter_eip),
};

static u64 get(const struct vcpu *v, enum hvm_register n)
{
    const struct vmcb *m = v->arch.hvm->vmcb;

    if (n == HVM_CPL)
        return m->cpl;
    return *(const u64 *)((const char *)m + register_at[n]) & (n == HVM_EFER ? ~(u64)EFER_SVME : ~0ull);
}

static void set(struct vcpu *v, enum hvm_register n, u64 value)
{
    struct vmcb *m = v->arch.hvm->vmcb;

    if (n == HVM_CPL)
        m->cpl = value & 3;
    else
        *(u64 *)((char *)m + register_at[n]) = value | (n == HVM_EFER ? EFER_SVME : 0);
}

static void set_tpr(struct vcpu *v, u8 cr8)
{
    struct vmcb *m = v->arch.hvm->vmcb;

    m->virtual_interrupt = (m->virtual_interrupt & ~0xfull) | (cr8 & 15);
}

static u8 get_tpr(const struct vcpu *v)
{
    return v->arch.hvm->vmcb->virtual_interrupt & 15;
}

static void flush(struct vcpu *v)
{
    __atomic_store_n(&v->arch.hvm->asid_generation, 0, __ATOMIC_SEQ_CST); /* of no pcpu: theirs begin with 1 */
}

static bool dump(const struct vcpu *v)
{
    const struct vmcb *m = v->arch.hvm->vmcb;

    printk("VMCB exit %#llx info %#llx %#llx interrupted %#llx shadow %#llx vintr %#llx asid %u ncr3 %llx\n",
           (unsigned long long)m->exit_code, (unsigned long long)m->exit_info1, (unsigned long long)m->exit_info2,
           (unsigned long long)m->exit_int_info, (unsigned long long)m->shadow, (unsigned long long)m->virtual_interrupt, m->asid,
           (unsigned long long)m->nested_cr3);
    return true;
}

const struct hvm_ops svm_ops = {
    .name = "SVM",
    .hypercall_code = {0x0f, 0x01, 0xd9},
    .p2m = &npt_ops,
    .present = present,
    .cpu_init = cpu_init_svm,
    .vcpu_create = vcpu_create_svm,
    .vcpu_destroy = vcpu_destroy_svm,
    .run = run,
    .get = get,
    .set = set,
    .io_map_order = 2,  /* 12 KiB */
    .msr_map_order = 1,
    HVM_OPS_NAMED_ALIKE,
};

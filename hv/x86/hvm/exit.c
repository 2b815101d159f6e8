/* SPDX-License-Identifier: MIT */
/*
 * What to do with each exit of a hardware-assisted guest: one named handler a reason, in the table at the end.
 *
 * A handler finds the guest's registers in *r and what the processor told in *x; it emulates, injects, or crashes the domain alone. It
 * leaves RIP behind the instruction where it emulated one. Sources: APM vol. 2 ch. 15 and §8.2 (exceptions), SDM vol. 3 ch. 25, 27.
 */
#include "hvm.h"
#include "decode.h"
#include "hot.h"
#include "core/evtchn.h"
#include "sched/sched.h"
#include "x86/cpu.h"
#include <trace/trace.h>

#define EXC_BIT(n) (1u << (n))
/* Exceptions of which a second makes a double fault (SDM vol. 3 table 6-5); #PF is one too, of its own class. */
#define CONTRIBUTORY (EXC_BIT(VEC_DE) | EXC_BIT(VEC_TS) | EXC_BIT(VEC_NP) | EXC_BIT(VEC_SS) | EXC_BIT(VEC_GP))

/* Let the guest take an exception at its next entry; two that collide become #DF, three a shutdown (SDM vol. 3 table 6-5). */
static void hvm_inject_exception(struct vcpu *v, u8 vector, bool has_error, u32 error)
{
    if (unlikely(hvm_injecting(v))) {
        u64 first = *v->arch.hvm->event;
        u8 was = first & 0xff;

        if (HVM_EVENT_TYPE(first) == HVM_EVENT_EXCEPTION) {
            if (was == VEC_DF) {
                domain_crash(v->domain, "triple fault: exception %u on the way to its double fault handler", vector);
                return;
            }
            if ((CONTRIBUTORY & EXC_BIT(was) && CONTRIBUTORY & EXC_BIT(vector)) ||
                (was == VEC_PF && (vector == VEC_PF || (CONTRIBUTORY & EXC_BIT(vector))))) {
                vector = VEC_DF;
                has_error = true;
                error = 0;
            }
        }
    }
    hvm_inject(v, HVM_EVENT_EXCEPTION, vector, has_error, error);
}

void hvm_inject_page_fault(struct vcpu *v, u32 error, u64 cr2)
{
    hvm_ops->set(v, HVM_CR2, cr2);
    hvm_inject_exception(v, VEC_PF, true, error);
}

static void general_protection(struct vcpu *v)
{
    hvm_inject_exception(v, VEC_GP, true, 0);
}

enum insn_mode hvm_code_mode(struct vcpu *v, u64 *base)
{
    struct hvm_segment cs;

    *base = 0;
    if (likely(hvm_ops->caller(v) & HVM_WIDE))
        return INSN_64;
    hvm_ops->get_segment(v, HVM_CS, &cs);
    *base = cs.base;
    return cs.attributes & HVM_SEG_D ? INSN_32 : INSN_16;
}

unsigned int hvm_fetch(struct vcpu *v, struct regs *r, u8 *bytes, enum insn_mode *mode)
{
    u64 base, fault;
    u32 error, access = HVM_ACCESS_FETCH | (hvm_ops->get(v, HVM_CPL) == 3 ? HVM_ACCESS_USER : 0);
    unsigned int n;

    *mode = hvm_code_mode(v, &base);
    n = INSN_MAX - hvm_copy_from_linear(bytes, *mode == INSN_64 ? r->rip : (u32)(base + r->rip), INSN_MAX, access, &error, &fault);
    if (!n)
        hvm_inject_page_fault(v, error, fault);
    return n;
}

static void go_behind(struct vcpu *v, struct regs *r, u64 rip)
{
    r->rip = rip;
    r->rflags &= ~(u64)X86_FLAGS_RF;
    if (unlikely(r->rflags & X86_FLAGS_TF)) {
        hvm_ops->set(v, HVM_DR6, hvm_ops->get(v, HVM_DR6) | 1u << 14);
        hvm_inject_exception(v, VEC_DB, false, 0);
    }
}

/* Which instruction stands there, by the reason of the exit. */
static const u8 instruction_of[HVM_EXIT_NR] = { /* one more than its kind; 0: one of several */
    [HVM_EXIT_CPUID] = 1 + INSN_CPUID, [HVM_EXIT_HYPERCALL] = 1 + INSN_VMMCALL, [HVM_EXIT_MSR_READ] = 1 + INSN_RDMSR,
    [HVM_EXIT_MSR_WRITE] = 1 + INSN_WRMSR, [HVM_EXIT_HLT] = 1 + INSN_HLT, [HVM_EXIT_XSETBV] = 1 + INSN_XSETBV,
    [HVM_EXIT_PAUSE] = 1 + INSN_PAUSE,
};

/* The length of the instruction that exited, read from the guest where the processor did not tell it. */
static bool find_length(struct vcpu *v, struct regs *r, enum hvm_exit why, struct hvm_exit_info *x)
{
    u8 bytes[INSN_MAX + 1];
    enum insn_mode mode;
    struct insn i;
    unsigned int n;

    if (likely(x->length))
        return true;
    n = hvm_fetch(v, r, bytes, &mode);
    if (!n)
        return false;
    if (instruction_of[why])
        x->length = insn_length(instruction_of[why] - 1, bytes, n, mode);
    else
        x->length = insn_decode(&i, bytes, n, mode) ? i.length : 0;
    if (!x->length) /* the guest has changed it since */
        hvm_inject_exception(v, VEC_UD, false, 0);
    return x->length;
}

void hvm_skip(struct vcpu *v, struct regs *r)
{
    hvm_ops->clear_shadow(v);
    go_behind(v, r, r->rip + v->arch.hvm->exit.length);
}

/* ---- the machine's own ---- */

/* Interrupts are held until here; take them, as in the idle loop. What they note is done when hvm_run() returns. */
static void exit_interrupt(struct vcpu *v, struct regs *r, struct hvm_exit_info *x)
{
    __asm__ volatile("sti; nop; cli" ::: "memory");
}

/* It was taken at STGI, by the hypervisor's own handler. */
static void exit_nmi(struct vcpu *v, struct regs *r, struct hvm_exit_info *x)
{
    get_cpu_info()->count.trap[TRACE_TRAP_NMI]++;
}

static void exit_window(struct vcpu *v, struct regs *r, struct hvm_exit_info *x)
{
    hvm_ops->close_window(v);
    v->arch.hvm->check_irq = true;
}

/* ---- instructions ---- */

static void exit_cpuid(struct vcpu *v, struct regs *r, struct hvm_exit_info *x)
{
    u32 out[4];

    if (unlikely(!find_length(v, r, HVM_EXIT_CPUID, x)))
        return;
    x->raw[0] = (u32)r->rax;
    hvm_cpuid(v, (u32)r->rax, (u32)r->rcx, out);
    r->rax = out[0];
    r->rbx = out[1];
    r->rcx = out[2];
    r->rdx = out[3];
    go_behind(v, r, r->rip + x->length);
}

static void exit_hypercall(struct vcpu *v, struct regs *r, struct hvm_exit_info *x)
{
    if (unlikely(v->domain->arch.hvm->hide_xen)) {
        hvm_inject_exception(v, VEC_UD, false, 0);
        return;
    }
    if (unlikely(!find_length(v, r, HVM_EXIT_HYPERCALL, x)))
        return;
    go_behind(v, r, r->rip + x->length);
    hvm_hypercall(v, r);
}

static void exit_msr_read(struct vcpu *v, struct regs *r, struct hvm_exit_info *x)
{
    u64 value;

    if (unlikely(!find_length(v, r, HVM_EXIT_MSR_READ, x)))
        return;
    x->raw[0] = (u32)r->rcx;
    if (!hvm_msr_read(v, (u32)r->rcx, &value)) {
        general_protection(v);
        return;
    }
    r->rax = (u32)value;
    r->rdx = value >> 32;
    go_behind(v, r, r->rip + x->length);
}

static void exit_msr_write(struct vcpu *v, struct regs *r, struct hvm_exit_info *x)
{
    if (unlikely(!find_length(v, r, HVM_EXIT_MSR_WRITE, x)))
        return;
    x->raw[0] = (u32)r->rcx;
    if (!hvm_msr_write(v, (u32)r->rcx, (u32)r->rax | r->rdx << 32))
        general_protection(v);
    else
        go_behind(v, r, r->rip + x->length);
}

/* With interrupts off nothing but an NMI could wake it: the last vCPU of a domain that does so has ended it, as on Xen. */
static void exit_hlt(struct vcpu *v, struct regs *r, struct hvm_exit_info *x)
{
    if (!find_length(v, r, HVM_EXIT_HLT, x))
        return;
    hvm_skip(v, r);
    if (!(r->rflags & X86_FLAGS_IF)) {
        vcpu_down(v);
        return;
    }
    if (hvm_irq_waits(v)) {
        v->arch.hvm->check_irq = true;
        return;
    }
    sched_block_current();
    if (hvm_irq_waits(v))
        vcpu_unpause(v, VPF_BLOCKED); /* it came in between */
}

/* It waits for another vCPU of its domain, which may want this pcpu. */
static void exit_pause(struct vcpu *v, struct regs *r, struct hvm_exit_info *x)
{
    if (!find_length(v, r, HVM_EXIT_PAUSE, x))
        return;
    hvm_skip(v, r);
    sched_yield_current();
}

/* XCR0 (SDM vol. 3 §13.3): x87 always, AVX with SSE, nothing that the processor or the hypervisor has not. */
static void exit_xsetbv(struct vcpu *v, struct regs *r, struct hvm_exit_info *x)
{
    u64 value = (u32)r->rax | r->rdx << 32;

    if (!find_length(v, r, HVM_EXIT_XSETBV, x))
        return;
    if ((u32)r->rcx || hvm_ops->get(v, HVM_CPL) || !(value & 1) || (value & ~cpu_features.xcr0) || ((value & 4) && !(value & 2)) ||
        !cpu_features.xsave || !(hvm_ops->get(v, HVM_CR4) & X86_CR4_OSXSAVE)) {
        general_protection(v);
        return;
    }
    v->arch.xcr0 = value;
    __asm__ volatile("xsetbv" ::"c"(0), "a"((u32)value), "d"((u32)(value >> 32)));
    hvm_skip(v, r);
}

/* Memory is coherent and nothing is passed through: there is nothing to write back. */
static void exit_cache(struct vcpu *v, struct regs *r, struct hvm_exit_info *x)
{
    if (find_length(v, r, HVM_EXIT_CACHE, x))
        hvm_skip(v, r);
}

static void exit_forbidden(struct vcpu *v, struct regs *r, struct hvm_exit_info *x)
{
    if (x->general_protection)
        general_protection(v);
    else
        hvm_inject_exception(v, VEC_UD, false, 0);
}

/*
 * MOV to CR8, the task priority (APM vol. 2 §8.6.4), is the only one that exits with SVM; VMX leaves writes that concern the hypervisor's
 * bits of CR0 and CR4, and tells the register.
 */
static void exit_cr_write(struct vcpu *v, struct regs *r, struct hvm_exit_info *x)
{
    u8 bytes[INSN_MAX + 1];
    enum insn_mode mode;
    struct insn i;
    unsigned int n;
    u64 value;

    if (x->cr.known) {
        u64 next = r->rip + x->length;

        value = *gpr(r, x->cr.reg);
        if (hvm_ops->write_cr(v, x->cr.cr, hvm_ops->caller(v) & HVM_WIDE ? value : (u32)value))
            go_behind(v, r, next);
        else
            general_protection(v);
        return;
    }
    n = hvm_fetch(v, r, bytes, &mode);
    if (!n)
        return;
    if (!insn_decode(&i, bytes, n, mode) || i.map != MAP_0F || i.opcode != 0x22) { /* the guest has changed it since */
        hvm_inject_exception(v, VEC_UD, false, 0);
        return;
    }
    value = *gpr(r, i.rm);
    if (mode != INSN_64)
        value = (u32)value;
    if (value > 15) {
        general_protection(v);
        return;
    }
    hvm_ops->set_tpr(v, value);
    vlapic_set_cr8(v->arch.hvm->vlapic, value);
    v->arch.hvm->check_irq = true;
    go_behind(v, r, r->rip + i.length);
}

/* ---- ports ---- */

static void io_one(struct vcpu *v, struct regs *r, const struct hvm_exit_info *x)
{
    struct hvm_io *io = &v->domain->arch.hvm->io;
    u64 value;

    if (hvm_io_no_port(io, x->io.port)) {
        if (x->io.in)
            r->rax = hvm_in_from_nobody(r->rax, x->io.size);
        return;
    }
    if (!x->io.in) {
        (void)hvm_io_write(io, HVM_IO_PORT, x->io.port, x->io.size,
                           x->io.size == 4 ? (u32)r->rax : x->io.size == 2 ? (u16)r->rax : (u8)r->rax);
        return;
    }
    (void)hvm_io_read(io, HVM_IO_PORT, x->io.port, x->io.size, &value);
    if (x->io.size == 4)
        r->rax = (u32)value;
    else if (x->io.size == 2)
        r->rax = (r->rax & ~0xffffull) | (u16)value;
    else
        r->rax = (r->rax & ~0xffull) | (u8)value;
}

/* A register as an address of 2, 4 or 8 bytes counts; the rest of it stays, but that 32 bits clear the upper half. */
static u64 as_address(u64 value, unsigned int size)
{
    return size == 8 ? value : size == 4 ? (u32)value : (u16)value;
}
static void set_address(u64 *reg, u64 value, unsigned int size)
{
    *reg = size == 2 ? (*reg & ~0xffffull) | (u16)value : as_address(value, size);
}

/* INS and OUTS: at most a page's worth of a REP at a time, then the instruction executes again. True: it is done. */
static bool io_string(struct vcpu *v, struct regs *r, const struct hvm_exit_info *x)
{
    struct hvm_io *io = &v->domain->arch.hvm->io;
    unsigned int size = x->io.size, width = x->io.address_size, done = 0;
    u32 access = hvm_ops->get(v, HVM_CPL) == 3 ? HVM_ACCESS_USER : 0, error;
    u64 *index = x->io.in ? &r->rdi : &r->rsi, value = 0, fault;
    s64 step = r->rflags & X86_FLAGS_DF ? -(s64)size : (s64)size;
    struct hvm_segment segment;
    u64 base;
    bool long_mode = hvm_code_mode(v, &base) == INSN_64;
    enum hvm_segment_name name = x->io.in ? HVM_ES : HVM_DS;

    if (!x->io.in || !width) { /* an override counts for OUTS alone */
        u8 bytes[INSN_MAX + 1];
        enum insn_mode mode;
        struct insn i;
        unsigned int n = hvm_fetch(v, r, bytes, &mode);

        if (!n)
            return false;
        if (!insn_decode(&i, bytes, n, mode)) { /* the guest has changed it since */
            hvm_inject_exception(v, VEC_UD, false, 0);
            return false;
        }
        width = i.addr_size;
        if (!x->io.in && i.override != SEG_NONE)
            name = (enum hvm_segment_name)i.override; /* numbered alike */
    }
    hvm_ops->get_segment(v, name, &segment);
    if (long_mode && name != HVM_FS && name != HVM_GS)
        segment.base = 0;
    while (!x->io.rep || as_address(r->rcx, width)) {
        u64 linear = segment.base + as_address(*index, width);

        if (!long_mode)
            linear = (u32)linear;
        if (x->io.in) {
            (void)hvm_io_read(io, HVM_IO_PORT, x->io.port, size, &value);
            if (hvm_copy_to_linear(linear, &value, size, access, &error, &fault)) {
                hvm_inject_page_fault(v, error, fault);
                return false;
            }
        } else {
            if (hvm_copy_from_linear(&value, linear, size, access, &error, &fault)) {
                hvm_inject_page_fault(v, error, fault);
                return false;
            }
            (void)hvm_io_write(io, HVM_IO_PORT, x->io.port, size, value);
        }
        set_address(index, *index + step, width);
        if (!x->io.rep)
            return true;
        set_address(&r->rcx, r->rcx - 1, width);
        if (++done == 512 && as_address(r->rcx, width))
            return false;
    }
    return true;
}

static void exit_io(struct vcpu *v, struct regs *r, struct hvm_exit_info *x)
{
    u64 next = x->io.next_rip;

    if (unlikely(!next)) {
        if (!find_length(v, r, HVM_EXIT_IO, x))
            return;
        next = r->rip + x->length;
    }
    if (likely(!x->io.string))
        io_one(v, r, x);
    else if (!io_string(v, r, x))
        return;
    go_behind(v, r, next);
}

/* ---- memory ---- */

/* The same fault again and again means that what resolved it did not help: a mistake here, and its domain's end. */
static bool no_progress(struct hvm_vcpu *h, u64 gpa)
{
    if (gpa != h->repeated_at) {
        h->repeated_at = gpa;
        h->repeated = 0;
    }
    return ++h->repeated > 64;
}

static void exit_nested_fault(struct vcpu *v, struct regs *r, struct hvm_exit_info *x)
{
    struct domain *d = v->domain;
    gfn_t gfn = GFN(x->fault.gpa >> PAGE_SHIFT);
    int type = hvm_fill(d, gfn), rc = 0;

    if (type < 0)
        rc = type;
    else if (type == P2M_PAGED)
        return; /* it has come */
    else if (type == P2M_LOGDIRTY && x->fault.write)
        rc = hvm_mark_dirty(d, gfn);
    else if (p2m_type_is_ram(type) && p2m_type_writable(type))
        rc = 0; /* it is there: another look-up was older than the table */
    else {
        hvm_mmio(v, r, x->fault.gpa);
        return;
    }
    if (rc)
        domain_crash(d, "no memory for guest frame %#llx (%d)", (unsigned long long)gfn.n, rc);
    else if (no_progress(v->arch.hvm, x->fault.gpa))
        domain_crash(d, "it faults at %#llx without end", (unsigned long long)x->fault.gpa);
}

/* ---- exceptions and ends ---- */

static void exit_exception(struct vcpu *v, struct regs *r, struct hvm_exit_info *x)
{
    if (x->exception.vector == VEC_MC)
        panic("machine check (a guest ran, rip %#llx)", (unsigned long long)r->rip);
    hvm_inject_exception(v, x->exception.vector, x->exception.has_error, x->exception.error);
}

static void exit_task_switch(struct vcpu *v, struct regs *r, struct hvm_exit_info *x)
{
    domain_crash(v->domain, "a switch of hardware tasks, which is not emulated");
}

static void exit_shutdown(struct vcpu *v, struct regs *r, struct hvm_exit_info *x)
{
    domain_crash(v->domain, "triple fault");
}

static void exit_invalid(struct vcpu *v, struct regs *r, struct hvm_exit_info *x)
{
    domain_crash(v->domain, "the processor refuses its state");
}

static void exit_unknown(struct vcpu *v, struct regs *r, struct hvm_exit_info *x)
{
    domain_crash(v->domain, "exit %#x, which nobody asked for", x->code);
}

static void (*const handlers[HVM_EXIT_NR])(struct vcpu *v, struct regs *r, struct hvm_exit_info *x) = {
    [HVM_EXIT_INTERRUPT] = exit_interrupt, [HVM_EXIT_NMI] = exit_nmi, [HVM_EXIT_WINDOW] = exit_window, [HVM_EXIT_CPUID] = exit_cpuid,
    [HVM_EXIT_HYPERCALL] = exit_hypercall, [HVM_EXIT_IO] = exit_io, [HVM_EXIT_MSR_READ] = exit_msr_read,
    [HVM_EXIT_MSR_WRITE] = exit_msr_write, [HVM_EXIT_NESTED_FAULT] = exit_nested_fault, [HVM_EXIT_HLT] = exit_hlt,
    [HVM_EXIT_EXCEPTION] = exit_exception, [HVM_EXIT_CR_WRITE] = exit_cr_write, [HVM_EXIT_XSETBV] = exit_xsetbv,
    [HVM_EXIT_CACHE] = exit_cache, [HVM_EXIT_FORBIDDEN] = exit_forbidden, [HVM_EXIT_TASK_SWITCH] = exit_task_switch,
    [HVM_EXIT_SHUTDOWN] = exit_shutdown, [HVM_EXIT_INVALID] = exit_invalid, [HVM_EXIT_UNKNOWN] = exit_unknown,
    [HVM_EXIT_PAUSE] = exit_pause,
};

bool hvm_exited(struct vcpu *v, struct regs *r, enum hvm_exit why)
{
    struct hvm_vcpu *h = v->arch.hvm;
    u64 start = TRACE_START(EXIT), rip = r->rip;

    h->count[why]++;
    handlers[why](v, r, &h->exit);
    TRACE_vmexit(start, v->domain->id, v->id, why, h->exit.code, h->exit.raw[0], rip);
    return !hvm_something_waits(v, h) || hvm_settle(v, r);
}

bool hvm_settle(struct vcpu *v, struct regs *r)
{
    if (get_cpu_info()->work || v->pause_flags)
        return false;
    if (v->arch.hvm->check_irq || v->info->evtchn_upcall_pending)
        hvm_irq_assist(v, r);
    return true;
}

const char *const hvm_exit_names[HVM_EXIT_NR] = {
    [HVM_EXIT_INTERRUPT] = "interrupt", [HVM_EXIT_NMI] = "NMI", [HVM_EXIT_WINDOW] = "interrupt window", [HVM_EXIT_CPUID] = "CPUID",
    [HVM_EXIT_HYPERCALL] = "hypercall", [HVM_EXIT_IO] = "port", [HVM_EXIT_MSR_READ] = "RDMSR", [HVM_EXIT_MSR_WRITE] = "WRMSR",
    [HVM_EXIT_NESTED_FAULT] = "nested fault", [HVM_EXIT_HLT] = "HLT", [HVM_EXIT_EXCEPTION] = "exception",
    [HVM_EXIT_CR_WRITE] = "MOV to CR", [HVM_EXIT_XSETBV] = "XSETBV", [HVM_EXIT_CACHE] = "cache", [HVM_EXIT_FORBIDDEN] = "forbidden",
    [HVM_EXIT_TASK_SWITCH] = "task switch", [HVM_EXIT_SHUTDOWN] = "shutdown", [HVM_EXIT_INVALID] = "invalid state",
    [HVM_EXIT_UNKNOWN] = "unknown", [HVM_EXIT_PAUSE] = "PAUSE",
};

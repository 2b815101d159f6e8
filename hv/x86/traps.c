/* SPDX-License-Identifier: MIT */
/*
 * What to do with a trap or interrupt once its registers are saved (entry.S), and the work of a pcpu before it enters a guest.
 *
 * trap_from_guest() has the whole dispatch on one screen. Interrupts only acknowledge, note work and leave; the work is done on the
 * way out, by exit_to_guest_work(): timers, the scheduler, the event upcall, and the idle loop where nothing is runnable.
 */
#include "cpu.h"
#include "mm.h"
#include "smp.h"
#include "hvm/hvm.h"
#include "pv/pv.h"
#include "core/evtchn.h"
#include "core/timer.h"
#include "sched/sched.h"
#include <trace/trace.h>

void trap_from_guest(struct regs *r);
void page_fault_from_guest(struct regs *r);
void trap_from_hypervisor(struct regs *r);
void iret_frame_fault(struct regs *r);
void exit_to_guest_work(struct regs *r);
void pv_deliver_event(struct vcpu *v, struct regs *r);

bool (*pv_write_fault)(struct vcpu *v, struct regs *r, u64 cr2) = pv_ptwr;

extern const struct { u64 from, to; } __fixup_start[], __fixup_end[];
extern char __image_start[], __text_end[];

/* An interrupt: who took it, for the trace. */
static u32 interrupt(unsigned int vector)
{
    struct cpu_info *c = get_cpu_info();

    if (vector == VEC_TIMER) {
        apic_eoi();
        work_raise(c, WORK_TIMER);
        return TRACE_IRQ_TIMER;
    }
    if (vector == VEC_KICK) {
        apic_eoi();
        return TRACE_IRQ_IPI_RESCHEDULE;
    }
    if (vector == VEC_CALL) {
        apic_eoi();
        smp_stop_if_asked();
        smp_serve();
        return TRACE_IRQ_IPI_CALL;
    }
    if (vector >= VEC_PIC && vector < VEC_PIC + 16) {
        unsigned int irq = vector - VEC_PIC;

        if (irq == 4) {
            serial_irq();
            pic_eoi(irq);
            work_raise(c, WORK_INPUT); /* whom it concerns is told where no lock is held */
            return TRACE_IRQ_SERIAL;
        }
        if (irq != 7 && irq != 15) /* those without a bit in service are spurious: no EOI */
            pic_eoi(irq);
        return TRACE_IRQ_SPURIOUS;
    }
    if (vector != VEC_SPURIOUS)
        apic_eoi();
    return TRACE_IRQ_SPURIOUS;
}

#define OUTCOME(kind, result) ((kind) | (result) << 16)

static u32 page_fault(struct vcpu *v, struct regs *r)
{
    struct cpu_info *c = get_cpu_info();
    u64 cr2 = read_cr2();

    c->note_code = r->error_code;
    c->note_addr = cr2;
    if (unlikely(cr2 >= HV_START && cr2 < HV_END)) {
        /* a segment load that reads a page of the guest's LDT for the first time */
        if (cr2 >= DESC_VIRT && cr2 < DEVICE_VIRT && pv_ldt_fault(v, cr2))
            return OUTCOME(TRACE_TRAP_PAGE_FAULT_FIXED, TRACE_RES_RETRY);
        r->error_code &= ~1u; /* the guest learns nothing of what is mapped here */
    } else if ((r->error_code & 0xb) == 3 && guest_kernel_mode(v) && pv_write_fault(v, r, cr2)) {
        return OUTCOME(TRACE_TRAP_PTWR, TRACE_RES_DONE);
    }
    pv_inject_exception(v, r, VEC_PF, r->error_code, cr2);
    return OUTCOME(TRACE_TRAP_PAGE_FAULT_BOUNCE, TRACE_RES_BOUNCED);
}

static u32 debug_trap(struct vcpu *v, struct regs *r)
{
    u64 dr6 = read_dr6();

    v->arch.dr[6] |= dr6 & 0xe00f;
    write_dr6(0xffff0ff0);
    get_cpu_info()->note_addr = dr6;
    pv_inject_exception(v, r, VEC_DB, 0, 0);
    return OUTCOME(TRACE_TRAP_DEBUG, TRACE_RES_BOUNCED);
}

static u32 device_not_available(struct vcpu *v, struct regs *r)
{
    pv_set_cr0_ts(v, false);
    if (v->arch.trap[VEC_NM].rip)
        pv_inject_exception(v, r, VEC_NM, 0, 0);
    return OUTCOME(TRACE_TRAP_DEVICE_NOT_AVAILABLE, TRACE_RES_BOUNCED);
}

static u32 dispatch(struct vcpu *v, struct regs *r)
{
    struct cpu_info *c = get_cpu_info();

    switch (r->vector) {
    case VEC_GP:
        return pv_general_protection(v, r);
    case VEC_UD:
        return pv_invalid_opcode(v, r);
    case VEC_NM:
        return device_not_available(v, r);
    case VEC_DB:
        return debug_trap(v, r);
    case VEC_BP:
    case VEC_OF:
        c->note_code = r->vector;
        pv_inject_exception(v, r, r->vector, 0, 0);
        return OUTCOME(TRACE_TRAP_INT_N, TRACE_RES_BOUNCED);
    case VEC_NMI:
        smp_stop_if_asked();
        printk("NMI while a guest ran, port 0x61 is %#x\n", inb(0x61));
        return OUTCOME(TRACE_TRAP_NMI, TRACE_RES_DONE);
    case VEC_MC:
        panic("machine check (a guest ran, rip %#llx)", (unsigned long long)r->rip);
    case VEC_DF:
        panic("double fault from a guest, rip %#llx", (unsigned long long)r->rip);
    default:
        c->note_code = r->vector;
        pv_inject_exception(v, r, r->vector, r->error_code, 0);
        return OUTCOME(TRACE_TRAP_EXCEPTION_BOUNCE, TRACE_RES_BOUNCED);
    }
}

void trap_from_guest(struct regs *r)
{
    struct cpu_info *c = get_cpu_info();
    struct vcpu *v = c->current;
    u32 outcome;
    u64 rip = r->rip;

    if (r->vector >= 32) {
        u64 start = TRACE_START(IRQ);

        c->count.irq++;
        outcome = interrupt(r->vector);
        TRACE_irq(start, v->domain->id, v->id, r->vector, outcome, 0);
        return;
    }
    {
        u64 start = TRACE_START(EXIT);

        outcome = dispatch(v, r);
        c->count.trap[outcome & 31]++;
        TRACE_trap(start, v->domain->id, v->id, trap_result(v, outcome >> 16), outcome & 0xffff, c->note_code, c->note_addr,
                   rip);
    }
}

/** The one that counts, apart from the rest: entry.S comes here for page faults that it does not bounce itself. */
void page_fault_from_guest(struct regs *r)
{
    struct cpu_info *c = get_cpu_info();
    struct vcpu *v = c->current;
    u64 rip = r->rip, start = TRACE_START(EXIT);
    u32 outcome = page_fault(v, r);

    c->count.trap[outcome & 31]++;
    TRACE_trap(start, v->domain->id, v->id, trap_result(v, outcome >> 16), outcome & 0xffff, c->note_code, c->note_addr, rip);
}

/** From entry.S: an iret to the guest faulted on its frame; r is that frame again. */
void iret_frame_fault(struct regs *r)
{
    pv_save_selectors(current_vcpu());
    pv_iret_fault(r);
}

/** From hypervisor code: an interrupt in the idle loop or a preemption window, a fault on guest memory, or a bug. */
void trap_from_hypervisor(struct regs *r)
{
    if (r->vector >= 32) {
        struct vcpu *v = current_vcpu();
        u64 start = TRACE_START(IRQ);
        u32 who = interrupt(r->vector);

        get_cpu_info()->count.irq_in_hv++;
        TRACE_irq(start, v->domain->id, v->id, r->vector, who, 1);
        return;
    }
    if (r->vector == VEC_NMI || r->vector == VEC_MC) { /* these may come within a record: they have a ring of their own */
        struct cpu_info *c = get_cpu_info();
        u64 start = TRACE_START(EXIT);

        c->count.nmi_in_hv++;
        TRACE_ON_trap(&c->trace_nmi, start, c->current->domain->id, c->current->id, TRACE_RES_DONE,
                      r->vector == VEC_NMI ? TRACE_TRAP_NMI : TRACE_TRAP_MACHINE_CHECK, 0, 0, r->rip);
        if (r->vector == VEC_NMI) {
            smp_stop_if_asked();
            return;
        }
    }
    if (r->vector == VEC_DB) { /* a guest's breakpoint on data that the hypervisor touched for it */
        current_vcpu()->arch.dr[6] |= read_dr6() & 0xe00f;
        write_dr6(0xffff0ff0);
        return;
    }
    if (r->vector == VEC_PF) {
        u64 cr2 = read_cr2();
        struct vcpu *v = current_vcpu();

        /* a selector of the guest's LDT, loaded for it by the hypervisor */
        if (cr2 >= DESC_VIRT && cr2 < DEVICE_VIRT && !v->is_idle && pv_ldt_fault(v, cr2))
            return;
    }
    if (r->vector != VEC_DF && r->vector != VEC_MC)
        for (const __typeof__(*__fixup_start) *f = __fixup_start; f < __fixup_end; f++)
            if (f->from == r->rip) {
                r->rip = f->to;
                return;
            }
    dump_regs(r, current_vcpu());
    panic("exception %u in the hypervisor, error %#x, rip %#llx, cr2 %#llx", r->vector, r->error_code,
          (unsigned long long)r->rip, (unsigned long long)read_cr2());
}

/* One line: the numbers of what was counted, each with its count. */
static void report_counts(const char *what, const u64 *count, unsigned int nr)
{
    u64 sum = 0;

    for (unsigned int i = 0; i < nr; i++)
        sum += count[i];
    printk("entries by %s: %llu =", what, (unsigned long long)sum);
    for (unsigned int i = 0; i < nr; i++)
        if (count[i])
            printk(" %u:%llu", i, (unsigned long long)count[i]);
    printk("\n");
}

void entries_report(void)
{
    static struct entry_counts sum; /* too large for the stack; of 64-bit counters only */
    u64 *to = (u64 *)&sum;

    memset(&sum, 0, sizeof(sum));
    for (unsigned int cpu = 0; cpu < arch_nr_cpus(); cpu++)
        for (unsigned int i = 0; i < sizeof(sum) / 8; i++)
            to[i] += ((const u64 *)&cpu_info_of(cpu)->count)[i];
    report_counts("hypercall", sum.hypercall, HYPERCALL_NONE + 1);
    report_counts("trap kind", sum.trap, 32);
    printk("entries by interrupt: %llu; not entries, within the hypervisor: %llu and %llu NMI\n", (unsigned long long)sum.irq,
           (unsigned long long)sum.irq_in_hv, (unsigned long long)sum.nmi_in_hv);
}

/* Nothing is runnable: end domains that are through, else sleep until an interrupt. */
static void idle(struct cpu_info *c)
{
    if (c->resident && unlikely(!pv_only_waits(c->resident)))
        pv_leave_resident();
    smp_leave_if_asked();
    if (domain_reap())
        arch_relax(); /* it may wait for a pcpu that waits for this one, and interrupts are off */
    else if (!c->work)
        __asm__ volatile("sti; hlt; cli" ::: "memory");
}

/** Everything that waits for this pcpu, until it can enter a guest. r is the pcpu's guest frame, changed by a context switch. */
void exit_to_guest_work(struct regs *r)
{
    struct cpu_info *c = get_cpu_info();

    for (;;) {
        struct vcpu *v;

        while (c->work) {
            if (c->work & WORK_TIMER) {
                work_take(c, WORK_TIMER);
                timer_run();
            }
            if (unlikely(c->work & WORK_INPUT)) {
                work_take(c, WORK_INPUT);
                evtchn_send_global_virq(VIRQ_CONSOLE);
                hvm_platform_input(hardware_domain);
            }
            if (c->work & WORK_SCHED) {
                work_take(c, WORK_SCHED);
                sched_run();
            }
        }
        v = c->current;
        if (v->is_idle) {
            idle(c);
            continue;
        }
        if (v->pause_flags) { /* its domain was crashed or paused by what it just did */
            arch_raise_schedule(c->cpu);
            continue;
        }
        if (is_hvm_vcpu(v)) { /* enters the guest and comes back with work */
            hvm_run(v, r);
            continue;
        }
        if (unlikely(v->arch.nmi_pending) && pv_deliver_nmi(v, r))
            continue;
        if (v->info->evtchn_upcall_pending && !v->info->evtchn_upcall_mask) {
            pv_deliver_event(v, r);
            continue;
        }
        return;
    }
}

bool arch_preempt_needed(void)
{
    return irq_window();
}

long arch_hypercall_continue(unsigned int op, unsigned int nr_args, const u64 *args)
{
    struct cpu_info *c = get_cpu_info();
    struct regs *r = &c->regs;
    u64 *to[6] = {&r->rdi, &r->rsi, &r->rdx, &r->r10, &r->r8, &r->r9};

    if (is_hvm_vcpu(current_vcpu())) {
        hvm_hypercall_continue(current_vcpu(), r, nr_args, args);
        return op;
    }
    c->entry_op |= ENTRY_OP_AGAIN;
    for (unsigned int i = 0; i < 3; i++)
        c->entry_args[i] = *to[i];
    for (unsigned int i = 0; i < nr_args; i++)
        *to[i] = args[i];
    r->rip -= 2;
    return op;
}

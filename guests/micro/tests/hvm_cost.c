/* SPDX-License-Identifier: MIT */
/*
 * Costs of a hardware-assisted guest: one exit of each kind, and what must not exit. See cost.c for how a run is counted.
 *
 * The local APIC's are measured on the bare machine too; there they are the access alone.
 */
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"
#include "evtchn.h"

#define OPS       1000
#define APIC_PAGE 0xfee00000ul
#define MSR_BASE  0x1bu
#define BASE_EXTD 0x400ul
#define X2_EOI    0x80bu
#define X2_ICR    0x830u
#define VECTOR    0x41

extern char u_cpuid_loop[];

/* A register that holds still and is not switched with the guest: reading it exits. */
static void run_msr_exit(unsigned ops)
{
    for (unsigned i = 0; i < ops; i++)
        rdmsr(MSR_BASE);
}
MICRO_COST(msr_exit, "rdmsr-apic-base", PLATFORM_OWN, OPS, NULL, run_msr_exit, NULL);

static void run_wrmsr(unsigned ops)
{
    for (unsigned i = 0; i < ops; i++)
        wrmsr(0xc0000102, i);
}
MICRO_COST(wrmsr_free, "wrmsr-gs-base", PLATFORM_OWN, OPS, NULL, run_wrmsr, NULL);

static void run_port_in(unsigned ops)
{
    for (unsigned i = 0; i < ops; i++)
        inb(0x80);
}
MICRO_COST(port_in, "port-in", PLATFORM_OWN, OPS, NULL, run_port_in, NULL);

static void run_cr(unsigned ops)
{
    uint64_t cr0 = read_cr0();

    for (unsigned i = 0; i < ops; i++) {
        __asm__ volatile("clts");
        __asm__ volatile("mov %0, %%cr0" ::"r"(cr0) : "memory");
    }
}
MICRO_COST(cr0_pair, "clts-cr0-write", PLATFORM_OWN, OPS, NULL, run_cr, NULL);

static void run_cr8(unsigned ops)
{
    for (unsigned i = 0; i < ops; i++)
        __asm__ volatile("mov %0, %%cr8" ::"r"(0ul));
}
MICRO_COST(cr8_write, "cr8-write", PLATFORM_PVH, OPS, NULL, run_cr8, NULL);

/* By a program: its instruction lies in page tables that change with it. */
static void run_cpuid_user(unsigned ops)
{
    struct user_regs r = user_entry(u_cpuid_loop);
    struct trap_caught c;

    r.rdi = ops;
    user_run(&r, &c);
}
MICRO_COST(cpuid_user, "cpuid-user", PLATFORM_OWN, OPS, NULL, run_cpuid_user, NULL);

/* ---- memory ---- */

static bool hole_setup(void)
{
    return pte_write(window_va(0), 0x3f00000000ul | PTE_RW) == 0;
}

static void run_mmio(unsigned ops)
{
    for (unsigned i = 0; i < ops; i++)
        (void)*(volatile uint32_t *)window_va(0);
}

static void hole_teardown(void)
{
    pte_write(window_va(0), 0);
}
MICRO_COST(mmio, "mmio-read", PLATFORM_PVH, OPS, hole_setup, run_mmio, hole_teardown);

/* Memory that nobody has touched: from 16 MiB on, one word every 2 MiB, then where those ended one every 4 KiB. */
static uint64_t fresh = 16ul << 20;

static bool fresh_setup(void)
{
    if (start_pages < 64 << 8) { /* 64 MiB */
        test_note("too little memory");
        return false;
    }
    return true;
}

static void run_fresh(unsigned ops)
{
    for (unsigned i = 0; i < ops; i++, fresh += 2ul << 20)
        *(volatile uint64_t *)fresh = 1;
}
MICRO_COST(nested_fault, "nested-fault-2m", PLATFORM_PVH, 8, fresh_setup, run_fresh, NULL);

/* The same by single pages: the end of memory that is no whole 2 MiB has such entries (dom0_mem=65M). */
#define FRESH_OPS 32
static unsigned next_page;

static bool pages_setup(void)
{
    uint64_t end = start_pages << PAGE_SHIFT, first = end & ~((2ul << 20) - 1);

    if (end - first < 2 * FRESH_OPS * PAGE_SIZE) {
        test_note("memory ends at 2 MiB");
        return false;
    }
    for (unsigned i = 0; i < 2 * FRESH_OPS; i++)
        pte_write(window_va(i), (first + i * PAGE_SIZE) | PTE_RW);
    next_page = 0;
    return true;
}

static void run_pages(unsigned ops)
{
    for (unsigned i = 0; i < ops; i++)
        *(volatile uint64_t *)window_va(next_page++) = 1;
}

static void pages_teardown(void)
{
    for (unsigned i = 0; i < 2 * FRESH_OPS; i++)
        pte_write(window_va(i), 0);
}
MICRO_COST(nested_fault_4k, "nested-fault-4k", PLATFORM_PVH, FRESH_OPS, pages_setup, run_pages, pages_teardown);

/* ---- local APIC ---- */

static bool x2apic_setup(void)
{
    if (!(cpuid_bare(1, 0).c >> 21 & 1))
        return false;
    phys_ptr(APIC_PAGE);
    if (!(rdmsr(MSR_BASE) & BASE_EXTD))
        wrmsr(MSR_BASE, rdmsr(MSR_BASE) | BASE_EXTD);
    wrmsr(0x80f, 0x1ff);
    return true;
}

/* An end of interrupt with interrupts in service: those of classes 2 to 13, each taken within the handler of the one before. */
#define EOI_OPS 6

static void open_again(unsigned vector)
{
    __asm__ volatile("sti; nop; cli" ::: "memory");
}

static bool eoi_setup(void)
{
    if (!x2apic_setup())
        return false;
    irq_hook = open_again;
    for (unsigned class = 2; class < 2 + 2 * EOI_OPS; class++) {
        wrmsr(X2_ICR, 0x40000 | class << 4);
        __asm__ volatile("sti; nop; cli" ::: "memory");
    }
    return true;
}

static void run_x2apic_eoi(unsigned ops)
{
    for (unsigned i = 0; i < ops; i++)
        wrmsr(X2_EOI, 0);
}

static void eoi_teardown(void)
{
    irq_hook = NULL;
}
MICRO_COST(x2apic_eoi, "x2apic-eoi", PLATFORM_PVH, EOI_OPS, eoi_setup, run_x2apic_eoi, eoi_teardown);

/* One that is far off, masked: what a kernel's clock does at each of its ticks. */
static void run_x2apic_timer(unsigned ops)
{
    for (unsigned i = 0; i < ops; i++)
        wrmsr(0x838, 1000000000);
}

static bool timer_setup(void)
{
    if (!x2apic_setup())
        return false;
    wrmsr(0x832, 0x10000 | VECTOR);
    return true;
}

static void timer_teardown(void)
{
    wrmsr(0x838, 0);
}
MICRO_COST(x2apic_timer, "x2apic-timer", PLATFORM_PVH, OPS, timer_setup, run_x2apic_timer, timer_teardown);

static void ended(unsigned vector)
{
    wrmsr(X2_EOI, 0);
}

static bool ipi_setup(void)
{
    irq_hook = ended;
    return x2apic_setup();
}

/* Sent, delivered, ended. */
static void run_ipi(unsigned ops)
{
    for (unsigned i = 0; i < ops; i++) {
        wrmsr(X2_ICR, 0x40000 | VECTOR);
        __asm__ volatile("sti; nop; cli" ::: "memory");
    }
}

static void ipi_teardown(void)
{
    irq_hook = NULL;
}
MICRO_COST(self_ipi, "x2apic-self-ipi", PLATFORM_PVH, OPS, ipi_setup, run_ipi, ipi_teardown);

static bool xapic_setup(void)
{
    uint64_t base = rdmsr(MSR_BASE);

    if (base & BASE_EXTD) {
        wrmsr(MSR_BASE, base & ~0xc00ul);
        wrmsr(MSR_BASE, base & ~BASE_EXTD);
    }
    *(volatile uint32_t *)((uint8_t *)phys_ptr(APIC_PAGE) + 0xf0) = 0x1ff;
    return true;
}

static void run_xapic_eoi(unsigned ops)
{
    for (unsigned i = 0; i < ops; i++)
        *(volatile uint32_t *)(APIC_PAGE + 0xb0) = 0;
}
MICRO_COST(xapic_eoi, "xapic-eoi", PLATFORM_OWN, OPS, xapic_setup, run_xapic_eoi, NULL);

/* A timer some way off, and sleep until it comes. */
static uint32_t timer_port;

static bool halt_setup(void)
{
    struct evtchn_bind_virq b = {.virq = VIRQ_TIMER, .vcpu = 0};

    if (hc_evtchn(EVTCHNOP_bind_virq, &b))
        return false;
    timer_port = b.port;
    port_mask(b.port, false);
    return true;
}

static void run_halt(unsigned ops)
{
    for (unsigned i = 0; i < ops; i++) {
        struct vcpu_set_singleshot_timer t = {.timeout_abs_ns = now_ns() + 200000};

        hc_vcpu_op(VCPUOP_set_singleshot_timer, 0, &t);
        events_wait();
        events_mask();
    }
}

static void halt_teardown(void)
{
    port_close(timer_port);
}
MICRO_COST(halt, "timer-and-sleep", PLATFORM_XEN, 100, halt_setup, run_halt, halt_teardown);

/* A timer that comes while the guest works. */
static volatile unsigned timers_seen;

static void timer_seen(uint32_t port)
{
    (void)port;
    timers_seen++;
}

static bool busy_setup(void)
{
    ev_hook = timer_seen;
    return halt_setup();
}

static void run_busy(unsigned ops)
{
    events_unmask();
    for (unsigned i = 0; i < ops; i++) {
        struct vcpu_set_singleshot_timer t = {.timeout_abs_ns = now_ns() + 50000};
        unsigned seen = timers_seen;

        hc_vcpu_op(VCPUOP_set_singleshot_timer, 0, &t);
        while (timers_seen == seen)
            barrier();
    }
    events_mask();
}

static void busy_teardown(void)
{
    ev_hook = NULL;
    halt_teardown();
}
MICRO_COST(timer_busy, "timer-while-running", PLATFORM_XEN, 100, busy_setup, run_busy, busy_teardown);

/*
 * The same two as an operating system has them: events by FIFO, the timer's before all others, times of the vCPU copied out to the guest
 * whenever it comes to the processor.
 */
static struct vcpu_runstate_info runstate;

static void copy_runstate(struct vcpu_runstate_info *to)
{
    struct vcpu_register_runstate_memory_area r = {.addr.v = to};

    EXPECT_RC(hc_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &r), 0);
}

static bool os_setup(void)
{
    struct evtchn_set_priority p;

    if (!fifo_on() || !halt_setup())
        return false;
    p = (struct evtchn_set_priority){.port = timer_port, .priority = EVTCHN_FIFO_PRIORITY_MAX};
    EXPECT_RC(hc_evtchn(EVTCHNOP_set_priority, &p), 0);
    copy_runstate(&runstate);
    return true;
}

static void os_teardown(void)
{
    copy_runstate(NULL);
    halt_teardown();
    fifo_off();
}
MICRO_COST(os_halt, "os-timer-and-sleep", PLATFORM_XEN, 100, os_setup, run_halt, os_teardown);

static bool os_busy_setup(void)
{
    ev_hook = timer_seen;
    return os_setup();
}

static void os_busy_teardown(void)
{
    ev_hook = NULL;
    os_teardown();
}
MICRO_COST(os_timer_busy, "os-timer-while-running", PLATFORM_XEN, 100, os_busy_setup, run_busy, os_busy_teardown);

/* And as one has them that knows of no hypervisor: the local APIC's timer by deadline, its interrupt ended through the APIC's page. */
#define DEADLINE_MODE 0x40000u

static volatile uint32_t *apic(unsigned reg)
{
    return (volatile uint32_t *)((uint8_t *)phys_ptr(APIC_PAGE) + reg);
}

static void pc_timer_seen(unsigned vector)
{
    timers_seen += vector == VECTOR;
    *apic(0xb0) = 0;
}

static bool pc_setup(void)
{
    xapic_setup();
    *apic(0x320) = DEADLINE_MODE | VECTOR;
    irq_hook = pc_timer_seen;
    return true;
}

static void run_pc_halt(unsigned ops)
{
    for (unsigned i = 0; i < ops; i++) {
        wrmsr(0x6e0, rdtsc() + 200000);
        __asm__ volatile("sti; hlt; cli" ::: "memory");
    }
}

static void run_pc_busy(unsigned ops)
{
    __asm__ volatile("sti" ::: "memory");
    for (unsigned i = 0; i < ops; i++) {
        unsigned seen = timers_seen;

        wrmsr(0x6e0, rdtsc() + 50000);
        while (timers_seen == seen)
            barrier();
    }
    __asm__ volatile("cli" ::: "memory");
}

static void pc_teardown(void)
{
    irq_hook = NULL;
    *apic(0x320) = 0x10000 | VECTOR;
}
MICRO_COST(pc_halt, "pc-timer-and-sleep", PLATFORM_PVH, 100, pc_setup, run_pc_halt, pc_teardown);
MICRO_COST(pc_timer_busy, "pc-timer-while-running", PLATFORM_PVH, 100, pc_setup, run_pc_busy, pc_teardown);

/* An event to itself that comes by a vector of the local APIC, whose end is told; event-to-self is the same by callback vector. Last: events
 * come so for the rest of the run. */
static uint32_t apic_port;

static void upcall_end(void)
{
    wrmsr(X2_EOI, 0);
}

static bool event_apic_setup(void)
{
    struct xen_hvm_evtchn_upcall_vector u = {.vcpu = 0, .vector = EVENT_VECTOR};

    if (!x2apic_setup() || hc_hvm_op(HVMOP_set_evtchn_upcall_vector, &u))
        return false;
    ev_eoi = upcall_end;
    apic_port = port_ipi();
    events_unmask();
    return true;
}

static void run_event_apic(unsigned ops)
{
    for (unsigned i = 0; i < ops; i++)
        port_send(apic_port);
}

static void event_apic_teardown(void)
{
    events_mask();
    port_close(apic_port);
}
MICRO_COST(event_apic, "event-to-self-by-apic", PLATFORM_PVH, OPS, event_apic_setup, run_event_apic, event_apic_teardown);

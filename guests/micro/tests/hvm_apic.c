/* SPDX-License-Identifier: MIT */
/*
 * The local APIC of a PVH domain, by its page and by its MSRs: identity, modes, self-IPIs, priorities, the timer, what is refused.
 *
 * Everything runs with interrupts off but where a test turns them on for a moment. Each test leaves the APIC in xAPIC mode where
 * the domain started so, software-enabled or not as it was, with all local entries masked.
 * Sources: SDM vol. 3 ch. 10 (registers §10.4, ICR §10.6, priorities §10.8, x2APIC §10.12), APM vol. 2 ch. 16.
 */
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"
#include "evtchn.h"

#define APIC_PAGE 0xfee00000ul
#define MSR_BASE  0x1bu
#define BASE_EN   0x800ul
#define BASE_EXTD 0x400ul
#define X2(reg)   (0x800u + (reg) / 16)

enum { ID = 0x20, VERSION = 0x30, TPR = 0x80, PPR = 0xa0, EOI = 0xb0, SVR = 0xf0, ISR = 0x100, IRR = 0x200, ESR = 0x280, ICR = 0x300,
       ICR_HIGH = 0x310, LVT_TIMER = 0x320, LVT_LINT0 = 0x350, COUNT = 0x380, NOW = 0x390, DIVIDE = 0x3e0, SELF = 0x3f0 };

#define MASKED 0x10000u
#define VECTOR_LOW  0x41
#define VECTOR_HIGH 0x81

static bool x2;
static volatile unsigned taken, taken_vector[8];

static uint32_t apic_read(unsigned reg)
{
    return x2 ? (uint32_t)rdmsr(X2(reg)) : *(volatile uint32_t *)(APIC_PAGE + reg);
}

static void apic_write(unsigned reg, uint32_t value)
{
    if (x2)
        wrmsr(X2(reg), value);
    else
        *(volatile uint32_t *)(APIC_PAGE + reg) = value;
}

static bool bit_of(unsigned base, unsigned vector)
{
    return apic_read(base + vector / 32 * 16) >> vector % 32 & 1;
}

static void take(unsigned vector)
{
    if (taken < 8)
        taken_vector[taken] = vector;
    taken++;
    apic_write(EOI, 0);
}

static void take_without_eoi(unsigned vector)
{
    taken_vector[taken++ & 7] = vector;
}

static void window(void)
{
    __asm__ volatile("sti; nop; nop; cli" ::: "memory");
}

static void apic_on(bool want_x2)
{
    uint64_t base = rdmsr(MSR_BASE);

    phys_ptr(APIC_PAGE);
    x2 = base & BASE_EXTD;
    if (want_x2 && !x2) {
        wrmsr(MSR_BASE, base | BASE_EXTD);
        x2 = true;
    }
    if (!want_x2 && x2) { /* the way back leads through off */
        wrmsr(MSR_BASE, base & ~(BASE_EN | BASE_EXTD));
        wrmsr(MSR_BASE, (base & ~BASE_EXTD) | BASE_EN);
        x2 = false;
    }
    apic_write(SVR, 0x1ff);
    apic_write(TPR, 0);
    apic_write(LVT_TIMER, MASKED);
    taken = 0;
    irq_hook = take;
}

static void apic_off(void)
{
    irq_hook = NULL;
    apic_write(LVT_TIMER, MASKED);
    apic_write(COUNT, 0);
    apic_write(TPR, 0);
}

static void self_ipi(unsigned vector)
{
    apic_write(ICR, 0x40000 | vector); /* shorthand: self */
}

/* ---- both modes ---- */

static void identity(void)
{
    uint32_t version = apic_read(VERSION);

    EXPECT((version & 0xff) >= 0x10 && (version & 0xff) <= 0x1f, "version %x", version);
    EXPECT((version >> 16 & 0xff) >= 3, "%u local entries", (version >> 16 & 0xff) + 1);
    EXPECT((x2 ? apic_read(ID) : apic_read(ID) >> 24) == cpuid_bare(1, 0).b >> 24, "ID %x, CPUID says %u", apic_read(ID),
           cpuid_bare(1, 0).b >> 24);
    EXPECT((apic_read(SVR) & 0x1ff) == 0x1ff, "SVR %x", apic_read(SVR));
}

static void ipi(void)
{
    self_ipi(VECTOR_LOW);
    EXPECT(taken == 0, "an interrupt with interrupts off");
    EXPECT(bit_of(IRR, VECTOR_LOW), "not requested");
    self_ipi(VECTOR_LOW); /* requested already: one interrupt */
    self_ipi(VECTOR_HIGH);
    window();
    EXPECT(taken == 2 && taken_vector[0] == VECTOR_HIGH && taken_vector[1] == VECTOR_LOW, "%u taken, first %x", taken,
           taken_vector[0]);
    EXPECT(!bit_of(IRR, VECTOR_LOW) && !bit_of(ISR, VECTOR_LOW) && !bit_of(ISR, VECTOR_HIGH), "left requested or in service");
}

static void priorities(void)
{
    apic_write(TPR, 0x50);
    self_ipi(VECTOR_LOW);
    window();
    EXPECT(taken == 0, "below the task priority, and taken");
    EXPECT(apic_read(PPR) == 0x50, "PPR %x", apic_read(PPR));
    self_ipi(VECTOR_HIGH);
    window();
    EXPECT(taken == 1 && taken_vector[0] == VECTOR_HIGH, "%u taken above the task priority", taken);
    apic_write(TPR, 0);
    window();
    EXPECT(taken == 2 && taken_vector[1] == VECTOR_LOW, "%u taken with the priority lowered", taken);
    /* In service, a vector holds back its equals and those below until its end. */
    taken = 0;
    irq_hook = take_without_eoi;
    self_ipi(VECTOR_HIGH);
    window();
    EXPECT(taken == 1 && bit_of(ISR, VECTOR_HIGH), "%u taken", taken);
    EXPECT((apic_read(PPR) & 0xf0) == (VECTOR_HIGH & 0xf0), "PPR %x", apic_read(PPR));
    self_ipi(VECTOR_LOW);
    self_ipi(VECTOR_HIGH);
    window();
    EXPECT(taken == 1, "%u taken while one of their class is in service", taken);
    apic_write(EOI, 0);
    window();
    EXPECT(taken == 2 && taken_vector[1] == VECTOR_HIGH, "%u taken after the end", taken);
    irq_hook = take;
    apic_write(EOI, 0);
    window();
    EXPECT(taken == 3, "%u taken after both ends", taken);
}

/* CR8 is the task priority too, and what it held back comes when it is lowered. */
static void cr8(void)
{
    __asm__ volatile("mov %0, %%cr8" ::"r"(5ul));
    EXPECT(apic_read(TPR) == 0x50, "CR8 5, TPR %x", apic_read(TPR));
    self_ipi(VECTOR_LOW);
    window();
    EXPECT(taken == 0, "below CR8, and taken");
    __asm__ volatile("mov %0, %%cr8" ::"r"(0ul));
    window();
    EXPECT(taken == 1, "%u taken with CR8 lowered", taken);
}

static void timer(void)
{
    uint32_t now;
    uint64_t end;

    apic_write(DIVIDE, 0xb); /* by one */
    apic_write(LVT_TIMER, VECTOR_LOW);
    apic_write(COUNT, 0xffffffff);
    now = apic_read(NOW);
    EXPECT(now && now != 0xffffffff, "counter %x", now);
    EXPECT(apic_read(NOW) < now, "it does not count down");
    apic_write(COUNT, 0);
    EXPECT(apic_read(NOW) == 0, "a stopped counter shows %x", apic_read(NOW));
    apic_write(COUNT, 200000); /* one shot; far enough not to be over before HLT matters */
    __asm__ volatile("sti; hlt; cli" ::: "memory");
    EXPECT(taken == 1 && taken_vector[0] == VECTOR_LOW, "%u taken of a one-shot timer", taken);
    for (end = now_ns() + 3000000; now_ns() < end;)
        window();
    EXPECT(taken == 1, "%u taken of a one-shot timer, later", taken);
    taken = 0;
    apic_write(LVT_TIMER, 0x20000 | VECTOR_HIGH);
    apic_write(COUNT, 1000000);
    while (taken < 3)
        __asm__ volatile("sti; hlt; cli" ::: "memory");
    apic_write(LVT_TIMER, 0x20000 | MASKED | VECTOR_HIGH);
    taken = 0;
    for (end = now_ns() + 5000000; now_ns() < end;)
        window();
    EXPECT(taken <= 1, "%u taken of a masked timer", taken);
    apic_write(COUNT, 0);
}

/* An interrupt that the guest would take ends its poll. Thrice: the first ones may come before the hypercall on a busy machine. */
static void ends_poll(void)
{
    struct sched_poll p = {.nr_ports = 0};
    bool early = false;

    apic_write(DIVIDE, 0xb);
    apic_write(LVT_TIMER, VECTOR_LOW);
    for (unsigned int i = 0; i < 3 && !early; i++) {
        taken = 0;
        p.timeout = now_ns() + 500000000;
        apic_write(COUNT, 5000000);
        __asm__ volatile("sti" ::: "memory");
        EXPECT_RC(hc_sched_op(SCHEDOP_poll, &p), 0);
        __asm__ volatile("cli" ::: "memory");
        early = now_ns() < p.timeout;
        EXPECT(taken == 1, "%u taken", taken);
    }
    EXPECT(early, "the interrupt did not end the poll");
    apic_write(LVT_TIMER, MASKED);
}

static volatile unsigned inside, within;

static void take_slowly(unsigned vector)
{
    uint64_t end = now_ns() + 150000000;

    within += inside;
    inside = 1;
    taken++;
    while (now_ns() < end) /* no exit, no exception */
        ;
    inside = 0;
    apic_write(EOI, 0);
}

/* An interrupt is delivered once, however long its handler runs with interrupts off. */
static void once(void)
{
    irq_hook = take_slowly;
    self_ipi(VECTOR_LOW);
    window();
    EXPECT(taken == 1 && !within, "%u taken of one, %u within its handler", taken, within);
}

static void refused_vectors(void)
{
    apic_write(ESR, 0);
    apic_write(ESR, 0);
    self_ipi(5);
    window();
    EXPECT(taken == 0, "vector 5 was delivered");
    apic_write(ESR, 0);
    EXPECT(apic_read(ESR) & 0x60, "ESR %x after an illegal vector", apic_read(ESR));
    apic_write(ESR, 0);
}

/* Software-disabled, its local entries are masked and nothing of its own arrives. */
static void disabled(void)
{
    apic_write(LVT_TIMER, VECTOR_LOW);
    apic_write(SVR, 0xff);
    EXPECT(apic_read(LVT_TIMER) & MASKED, "LVT %x", apic_read(LVT_TIMER));
    apic_write(LVT_TIMER, VECTOR_LOW);
    EXPECT(apic_read(LVT_TIMER) & MASKED, "LVT %x could be unmasked", apic_read(LVT_TIMER));
    apic_write(SVR, 0x1ff);
}

static void in_mode(bool want_x2, void (*fn)(void))
{
    if (want_x2 && !(cpuid_bare(1, 0).c >> 21 & 1)) {
        test_skip("no x2APIC");
        return;
    }
    apic_on(want_x2);
    fn();
    apic_off();
}

#define BOTH_MODES(fn, name)                                                                                                          \
    static void xapic_##fn(void)                                                                                                      \
    {                                                                                                                                 \
        in_mode(false, fn);                                                                                                           \
    }                                                                                                                                 \
    MICRO_TEST(xapic_##fn, "hvm-xapic-" name, PLATFORM_PVH);                                                                          \
    static void x2apic_##fn(void)                                                                                                     \
    {                                                                                                                                 \
        in_mode(true, fn);                                                                                                            \
    }                                                                                                                                 \
    MICRO_TEST(x2apic_##fn, "hvm-x2apic-" name, PLATFORM_PVH)

BOTH_MODES(identity, "identity");
BOTH_MODES(ipi, "self-ipi");
BOTH_MODES(priorities, "priorities");
BOTH_MODES(cr8, "cr8");
BOTH_MODES(timer, "timer");
BOTH_MODES(ends_poll, "ends-poll");
BOTH_MODES(once, "once");
BOTH_MODES(refused_vectors, "vectors");
BOTH_MODES(disabled, "disabled");

/* ---- one mode ---- */

static void do_rdmsr(void *arg)
{
    rdmsr((uint32_t)(uint64_t)arg);
}

static void do_wrmsr(void *arg)
{
    uint64_t *a = arg;

    wrmsr((uint32_t)a[0], a[1]);
}

static int write_try(uint32_t msr, uint64_t value)
{
    uint64_t a[2] = {msr, value};
    struct trap_caught c;

    return trap_try(do_wrmsr, a, &c);
}

static void x2apic_msrs(void)
{
    struct trap_caught c;

    wrmsr(X2(SELF), VECTOR_HIGH);
    window();
    EXPECT(taken == 1 && taken_vector[0] == VECTOR_HIGH, "%u taken by the self-IPI register", taken);
    EXPECT(trap_try(do_rdmsr, (void *)(uint64_t)X2(EOI), &c) == VEC_GP, "EOI can be read");
    EXPECT(trap_try(do_rdmsr, (void *)(uint64_t)X2(ICR_HIGH), &c) == VEC_GP, "the upper ICR exists");
    EXPECT(trap_try(do_rdmsr, (void *)0x8fful, &c) == VEC_GP, "the last register exists");
    EXPECT(write_try(X2(ID), 5) == VEC_GP, "the ID can be written");
    EXPECT(write_try(X2(VERSION), 0) == VEC_GP, "the version can be written");
    EXPECT(write_try(X2(EOI), 1) == VEC_GP, "EOI takes 1");
    EXPECT(write_try(X2(TPR), 0x100) == VEC_GP, "TPR takes 256");
    EXPECT(write_try(X2(SELF), 0x141) == VEC_GP, "a self-IPI takes 9 bits");
    EXPECT(write_try(X2(SVR), 1ul << 32 | 0x1ff) == VEC_GP, "SVR takes 33 bits");
}

static void x2apic_registers(void)
{
    in_mode(true, x2apic_msrs);
}
MICRO_TEST(x2apic_registers, "hvm-x2apic-registers", PLATFORM_PVH);

/* In xAPIC mode there are no MSRs; parts of registers, odd places and what lies between registers do no harm. */
static void xapic_page(void)
{
    volatile uint8_t *p = (volatile uint8_t *)APIC_PAGE;
    struct trap_caught c;

    EXPECT(trap_try(do_rdmsr, (void *)(uint64_t)X2(ID), &c) == VEC_GP, "an x2APIC register in xAPIC mode");
    for (unsigned i = 0; i < PAGE_SIZE; i += 13) {
        (void)*(volatile uint32_t *)(p + i % (PAGE_SIZE - 8));
        (void)*(volatile uint64_t *)(p + i % (PAGE_SIZE - 8));
        (void)p[i];
    }
    for (unsigned i = 0x400; i < PAGE_SIZE; i += 4)
        *(volatile uint32_t *)(p + i) = ~0u;
    *(volatile uint32_t *)(p + VERSION) = ~0u; /* read-only */
    p[TPR + 1] = 0xff;
    *(volatile uint64_t *)(p + 0xff8) = 0;
    window();
    EXPECT(taken == 0, "%u interrupts out of nowhere", taken);
    EXPECT((apic_read(VERSION) & 0xff) <= 0x1f, "version %x", apic_read(VERSION));
}

static void xapic_edges(void)
{
    in_mode(false, xapic_page);
}
MICRO_TEST(xapic_edges, "hvm-xapic-edges", PLATFORM_PVH);

/* Tricks with APIC_BASE: reserved bits, impossible transitions. The address stays, or moves for this domain alone. */
static void apic_base(void)
{
    uint64_t base;

    apic_on(false);
    base = rdmsr(MSR_BASE);
    EXPECT(write_try(MSR_BASE, base | 1) == VEC_GP, "bit 0");
    EXPECT(write_try(MSR_BASE, base | 1ul << 60) == VEC_GP, "bit 60");
    EXPECT(write_try(MSR_BASE, (base & ~BASE_EN) | BASE_EXTD) == VEC_GP, "x2APIC mode without an APIC");
    if (cpuid_bare(1, 0).c >> 21 & 1) {
        EXPECT(write_try(MSR_BASE, base | BASE_EXTD) == -1, "x2APIC mode refused");
        EXPECT(write_try(MSR_BASE, base) == VEC_GP, "x2APIC mode left for xAPIC mode");
        EXPECT(write_try(MSR_BASE, base & ~BASE_EN) == -1, "disabling refused");
        EXPECT(write_try(MSR_BASE, base | BASE_EXTD) == VEC_GP, "x2APIC mode out of nothing");
        EXPECT(write_try(MSR_BASE, base) == -1, "enabling refused");
    }
    EXPECT(rdmsr(MSR_BASE) == base, "APIC_BASE %lx, was %lx", rdmsr(MSR_BASE), base);
    write_try(MSR_BASE, (base & 0xfff) | 0x100000); /* over the kernel's own image: it must run on */
    write_try(MSR_BASE, base);
    EXPECT(rdmsr(MSR_BASE) == base, "APIC_BASE %lx, was %lx", rdmsr(MSR_BASE), base);
    x2 = false;
    apic_off();
}
MICRO_TEST(apic_base, "hvm-apic-base", PLATFORM_PVH);

/* ---- NMI ---- */

static volatile unsigned within; /* NMIs taken when the first one's handler ended */

static void nmi_to_self(void)
{
    apic_write(ICR_HIGH, apic_read(ID));
    apic_write(ICR, 0x4400); /* to a physical destination, NMI */
    __asm__ volatile("" ::: "memory");
}

static void take_nmi(unsigned vector)
{
    taken_vector[taken++ & 7] = vector;
    if (taken == 1) { /* another one waits for IRET */
        nmi_to_self();
        within = taken;
    }
}

/* An NMI asks for no interrupt flag. While one is handled the next waits (SDM vol. 3 §6.7.1). */
static void nmi(void)
{
    apic_on(false);
    irq_hook = take_nmi;
    within = 0;
    nmi_to_self();
    EXPECT(taken == 2 && taken_vector[0] == 2 && taken_vector[1] == 2, "%u taken of two, vector %u", taken, taken_vector[0]);
    EXPECT(within == 1, "%u taken before the first one's IRET", within);
    nmi_to_self();
    EXPECT(taken == 3, "%u taken of three", taken);
    apic_off();
}
MICRO_TEST(nmi, "hvm-nmi", PLATFORM_PVH);

static volatile unsigned before_iret, behind_iret;
static volatile uint64_t flags_behind_iret;

/* IRET to the next instruction, with these flags; the flags there. */
static uint64_t iret_here(uint64_t flags)
{
    uint64_t behind;

    __asm__ volatile("mov %%rsp, %%rax\n\tmov %%ss, %%ecx\n\tpush %%rcx\n\tpush %%rax\n\tpush %1\n\tmov %%cs, %%ecx\n\tpush %%rcx\n\t"
                     "lea 1f(%%rip), %%rcx\n\tpush %%rcx\n\tiretq\n1:\tpushfq\n\tpop %0"
                     : "=&r"(behind) : "r"(flags) : "rax", "rcx", "memory", "cc");
    return behind;
}

static void take_nmi_and_iret(unsigned vector)
{
    taken++;
    if (taken != 1)
        return;
    nmi_to_self();
    nmi_to_self(); /* two that wait are one */
    before_iret = taken;
    flags_behind_iret = iret_here(2);
    behind_iret = taken;
}

/* Any IRET lets NMIs in again, the handler's own or another, and interrupts stay as masked as they were; nothing of how it is done shows. */
static void nmi_iret(void)
{
    uint64_t dr6;

    apic_on(false);
    irq_hook = take_nmi_and_iret;
    __asm__ volatile("mov %0, %%dr6" ::"r"(0xffff0ff0ul));
    for (unsigned i = 0; i < 3; i++) {
        taken = before_iret = behind_iret = 0;
        nmi_to_self();
        EXPECT(before_iret == 1 && behind_iret == 2 && taken == 2, "%u taken before IRET, %u behind it, %u in all", before_iret, behind_iret,
               taken);
        EXPECT(!(flags_behind_iret & (1u << 8 | 1u << 9)), "flags %lx behind IRET", flags_behind_iret);
    }
    __asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
    EXPECT((dr6 & 0xf00f) == 0, "DR6 %lx", dr6);
    apic_off();
}
MICRO_TEST(nmi_iret, "hvm-nmi-iret", PLATFORM_PVH);

static void upcall_end(void)
{
    taken++;
    apic_write(EOI, 0);
}

/* Event upcalls by a vector of the local APIC: as any interrupt, with its end to be told. For the rest of the run events come so. */
static void upcall_vector(void)
{
    struct xen_hvm_evtchn_upcall_vector u = {.vcpu = 0, .vector = EVENT_VECTOR};
    struct xen_hvm_evtchn_upcall_vector bad = {.vcpu = 0, .vector = 5}, absent = {.vcpu = 7, .vector = EVENT_VECTOR};
    uint32_t port;

    EXPECT(hc_hvm_op(HVMOP_set_evtchn_upcall_vector, &bad) == -XEN_EINVAL, "vector 5 accepted");
    EXPECT(hc_hvm_op(HVMOP_set_evtchn_upcall_vector, &absent) < 0, "vCPU 7 accepted");
    apic_on(false);
    ev_eoi = upcall_end;
    EXPECT_RC(hc_hvm_op(HVMOP_set_evtchn_upcall_vector, &u), 0);
    EXPECT_RC(hc_hvm_set_param(HVM_PARAM_CALLBACK_IRQ, 1), 0); /* Linux names a line then, which is never used */
    EXPECT_RC(hc_hvm_set_param(HVM_PARAM_CALLBACK_IRQ, (uint64_t)HVM_PARAM_CALLBACK_TYPE_VECTOR << 56 | EVENT_VECTOR), 0);
    window(); /* what was pending already */
    taken = 0;
    events_reset_log();
    port = port_ipi();
    EXPECT_RC(port_send(port), 0);
    EXPECT(bit_of(IRR, EVENT_VECTOR), "not requested of the local APIC");
    window();
    EXPECT(taken >= 1 && ev_count == 1, "%u interrupts, %u events", taken, ev_count);
    EXPECT_RC(port_send(port), 0);
    window();
    EXPECT(taken >= 2 && ev_count == 2, "%u interrupts, %u events", taken, ev_count);
    test_note("%u interrupts for 2 events", taken); /* Xen delivers by the callback vector as well */
    EXPECT_RC(port_close(port), 0);
    apic_off();
}
MICRO_TEST(upcall_vector, "hvm-upcall-vector", PLATFORM_PVH);

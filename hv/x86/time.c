/* SPDX-License-Identifier: MIT */
/*
 * Time and interrupts of this machine: TSC against the PIT, the local APIC's one-shot timer, the legacy PICs.
 *
 * System time is (tsc - tsc_at_boot) scaled by a 32.32 factor, the same arithmetic that guests use from their vcpu_time_info
 * (xen/xen.h), so both read the same nanosecond. Under QEMU -icount shift=0 one tick is one instruction.
 * Sources: SDM vol. 3 §10 (APIC), §17.17 (TSC), Intel 8254 and 8259A data sheets.
 */
#include "cpu.h"
#include "core/compat.h"
#include "mm.h"

#define PIT_HZ 1193182u
#define APIC_EOI      0xb0
#define APIC_SPIV     0xf0
#define APIC_ID       0x20
#define APIC_TPR      0x80
#define APIC_ICR      0x300 /* its upper half, the destination, at 0x310 */
#define APIC_LVT_TIMER 0x320
#define APIC_LVT_LINT0 0x350
#define APIC_LVT_LINT1 0x360
#define APIC_LVT_ERROR 0x370
#define APIC_TIMER_INIT 0x380
#define APIC_TIMER_NOW  0x390
#define APIC_TIMER_DIV  0x3e0

u64 tsc_hz;
static cycles_t tsc_boot;
static u32 ns_mul;      /* ns = (ticks << shift) * ns_mul >> 32 */
static int8_t ns_shift;
static u64 tick_mul;    /* APIC ticks per ns, 32.32 */
static volatile u32 *apic;
static u64 wallclock_sec; /* since 1970, at system time 0 */
static u32 wallclock_nsec;

static inline u32 apic_read(u32 reg)
{
    return cpu_features.x2apic ? (u32)rdmsr(0x800 + (reg >> 4)) : apic[reg / 4];
}
static inline void apic_write(u32 reg, u32 v)
{
    if (cpu_features.x2apic)
        wrmsr(0x800 + (reg >> 4), v);
    else
        apic[reg / 4] = v;
}

ns_t tsc_to_ns(cycles_t delta)
{
    u64 v = ns_shift >= 0 ? delta << ns_shift : delta >> -ns_shift;

    return (u64)((unsigned __int128)v * ns_mul >> 32);
}

ns_t now_ns(void)
{
    return tsc_to_ns(rdtsc() - tsc_boot);
}

void apic_eoi(void)
{
    apic_write(APIC_EOI, 0);
}

u32 apic_id(void)
{
    u32 id = apic_read(APIC_ID);

    return cpu_features.x2apic ? id : id >> 24;
}

void apic_command(u32 to, u32 command)
{
    if (cpu_features.x2apic) { /* not ordered behind stores by itself (SDM vol. 3 §10.12.3) */
        __asm__ volatile("mfence" ::: "memory");
        wrmsr(0x800 + (APIC_ICR >> 4), (u64)to << 32 | command);
        return;
    }
    while (apic_read(APIC_ICR) & 0x1000) /* the last one is on its way */
        __builtin_ia32_pause();
    apic_write(APIC_ICR + 0x10, to << 24);
    apic_write(APIC_ICR, command);
}

void pic_init(void)
{
    outb(0x20, 0x11);
    outb(0xa0, 0x11);
    outb(0x21, VEC_PIC);
    outb(0xa1, VEC_PIC + 8);
    outb(0x21, 4);
    outb(0xa1, 2);
    outb(0x21, 1);
    outb(0xa1, 1);
    outb(0x21, 0xfb);
    outb(0xa1, 0xff);
}

void pic_unmask(unsigned int irq)
{
    u16 port = irq < 8 ? 0x21 : 0xa1;

    outb(port, inb(port) & ~(1u << (irq & 7)));
}

void pic_eoi(unsigned int irq)
{
    if (irq >= 8)
        outb(0xa0, 0x20);
    outb(0x20, 0x20);
}

void apic_init(void)
{
    u64 base = rdmsr(MSR_APIC_BASE);

    if (cpu_features.x2apic) {
        wrmsr(MSR_APIC_BASE, base | 3u << 10);
    } else {
        wrmsr(MSR_APIC_BASE, base | 1u << 11);
        if (!apic) /* at the same address on every pcpu */
            apic = mm_map_device(base & 0xffffff000ull, PAGE_SIZE, false);
        if (!apic)
            panic("the local APIC cannot be mapped");
    }
    apic_write(APIC_TPR, 0);
    apic_write(APIC_SPIV, 0x100 | VEC_SPURIOUS);
    apic_write(APIC_LVT_LINT0, this_cpu() ? 0x10000 : 0x700); /* ExtINT: the PICs interrupt pcpu 0 */
    apic_write(APIC_LVT_LINT1, this_cpu() ? 0x10000 : 0x400); /* NMI */
    apic_write(APIC_LVT_ERROR, 0x10000);
    apic_write(APIC_TIMER_DIV, 0xb);   /* by 1 */
    apic_write(APIC_LVT_TIMER, VEC_TIMER);
}

static u8 rtc(u8 reg)
{
    outb(0x70, reg);
    return inb(0x71);
}

static u32 rtc_value(u8 reg, bool binary)
{
    u8 v = rtc(reg);

    return binary ? v : (v >> 4) * 10 + (v & 15);
}

static void read_wallclock(void)
{
    bool binary;
    u32 spin = 0;
    u64 sec;

    while ((rtc(0x0a) & 0x80) && ++spin < 10000)
        __builtin_ia32_pause();
    binary = rtc(0x0b) & 4;
    sec = days_from_civil(2000 + rtc_value(9, binary), rtc_value(8, binary), rtc_value(7, binary)) * 86400 +
          rtc_value(4, binary) * 3600 + rtc_value(2, binary) * 60 + rtc_value(0, binary);
    wallclock_sec = sec;
}

/* Measure TSC and APIC timer over so many counts of PIT channel 2 (gate on, speaker off). */
static void measure(u32 count, u64 *tsc, u64 *apic_ticks)
{
    u8 gate = (inb(0x61) & ~2) | 1;
    cycles_t t0;
    u32 a0;
    u64 spins = 0;

    outb(0x61, gate & ~1);
    outb(0x43, 0xb0); /* channel 2, mode 0 */
    outb(0x42, count & 0xff);
    outb(0x42, count >> 8);
    apic_write(APIC_LVT_TIMER, 0x10000);
    apic_write(APIC_TIMER_INIT, ~0u);
    outb(0x61, gate);
    t0 = rdtsc();
    a0 = apic_read(APIC_TIMER_NOW);
    while (!(inb(0x61) & 0x20))
        if (++spins > 10000000)
            panic("the PIT does not count: no clock to measure the TSC with");
    *tsc = (rdtsc() - t0) * PIT_HZ / count;
    *apic_ticks = (u64)(a0 - apic_read(APIC_TIMER_NOW)) * PIT_HZ / count;
    apic_write(APIC_TIMER_INIT, 0);
    apic_write(APIC_LVT_TIMER, VEC_TIMER);
}

static bool agree(u64 a, u64 b)
{
    return (a > b ? a - b : b - a) <= b / 256;
}

/* Over 2 ms. A host that runs something else meanwhile makes a measurement wrong by any factor: until one of 1 ms agrees. */
static void calibrate(u64 *tsc, u64 *apic_ticks)
{
    u64 check_tsc, check_apic;

    for (unsigned int tries = 0; tries < 64; tries++) {
        measure(PIT_HZ / 500, tsc, apic_ticks);
        measure(PIT_HZ / 1000, &check_tsc, &check_apic);
        if (agree(*tsc, check_tsc) && agree(*apic_ticks, check_apic))
            return;
    }
    printk("no two measurements of the TSC agree: time may run wrong\n");
}

/* (a << 32) / b, where the quotient fits 64 bits. */
static u64 shifted_ratio(u64 a, u64 b)
{
    u64 quotient, high = a >> 32, low = a << 32;

    __asm__("divq %3" : "=a"(quotient), "+d"(high) : "0"(low), "r"(b) : "cc");
    return quotient;
}

void time_init(void)
{
    u64 apic_hz, hz;

    calibrate(&tsc_hz, &apic_hz);
    /* A measurement over 2 ms is good to about 0.05 %: round to 1 MHz where that is nearer than its error. */
    hz = (tsc_hz + 500000) / 1000000 * 1000000;
    if ((hz > tsc_hz ? hz - tsc_hz : tsc_hz - hz) < tsc_hz / 1000)
        tsc_hz = hz;
    hz = (apic_hz + 500000) / 1000000 * 1000000;
    if ((hz > apic_hz ? hz - apic_hz : apic_hz - hz) < apic_hz / 1000)
        apic_hz = hz;
    for (hz = tsc_hz, ns_shift = 0; hz > 2000000000ull; hz >>= 1)
        ns_shift--;
    for (; hz <= 1000000000ull; hz <<= 1)
        ns_shift++;
    ns_mul = (u32)shifted_ratio(1000000000, hz);
    tick_mul = shifted_ratio(apic_hz, 1000000000);
    tsc_boot = rdtsc();
    read_wallclock();
    printk("TSC %llu kHz, APIC timer %llu kHz (PIT)\n", (unsigned long long)tsc_hz / 1000,
           (unsigned long long)apic_hz / 1000);
}

void arch_set_timer(ns_t deadline)
{
    ns_t now;
    u64 ticks;

    if (deadline == NS_NEVER) {
        apic_write(APIC_TIMER_INIT, 0);
        return;
    }
    now = now_ns();
    ticks = deadline > now ? (u64)(((unsigned __int128)(deadline - now) * tick_mul) >> 32) : 0;
    apic_write(APIC_TIMER_INIT, ticks < 1 ? 1 : ticks > 0xffffffff ? 0xffffffff : (u32)ticks);
}

void arch_time_info(struct vcpu_time_info *t)
{
    /* Stable: system time is the TSC, in one scale for all time and all pcpus, so that no two vCPUs can read it backwards
     * (xen.h), whatever the TSC does. */
    *t = (struct vcpu_time_info){.version = 2, .tsc_timestamp = tsc_boot, .tsc_to_system_mul = ns_mul, .tsc_shift = ns_shift,
                                 .flags = XEN_PVCLOCK_TSC_STABLE_BIT};
}

void time_publish(struct vcpu *v)
{
    arch_time_info(&v->info->time); /* before it runs, and never again: one scale for all time */
}

void time_publish_wallclock(struct domain *d)
{
    struct shared_wallclock w = shared_info_wallclock(d);

    WRITE_ONCE(*w.version, *w.version | 1); /* odd: being changed */
    barrier();
    *w.sec = (u32)wallclock_sec;
    *w.sec_hi = wallclock_sec >> 32;
    *w.nsec = wallclock_nsec;
    barrier();
    WRITE_ONCE(*w.version, *w.version + 1);
}

void time_set_wallclock(struct domain *d, u64 secs, u32 nsecs, u64 system_time)
{
    u64 boot = SECONDS(secs) + nsecs - system_time; /* 64 bits of ns reach the year 2554 */

    wallclock_sec = boot / SECONDS(1);
    wallclock_nsec = boot % SECONDS(1);
    list_for_each(pos, &domain_list)
        time_publish_wallclock(list_entry(pos, struct domain, node));
}

bool irq_window(void)
{
    __asm__ volatile("sti; nop; cli" ::: "memory");
    return READ_ONCE(get_cpu_info()->work) != 0;
}

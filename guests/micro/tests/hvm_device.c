/* SPDX-License-Identifier: MIT */
/*
 * The devices of a PC, native or an HVM domain's: timer interrupts by 8254 and 8259A, the same by I/O APIC, the clock's registers, the serial
 * line's loopback, ACPI's timer. tests/devices has their every register; here they are reached as a kernel reaches them.
 */
#include "../kernel/micro.h"

#define PIC1   0x20
#define PIC2   0xa0
#define PIT    0x40
#define RTC    0x70
#define COM1   0x3f8
#define IOAPIC 0xfec00000ul
#define APIC   0xfee00000ul

static unsigned taken, last_vector;

static bool no_pc(void)
{
    if (!has_pc)
        test_skip("not for this platform");
    return !has_pc;
}

/* Interrupts until `want` were taken, for a while at most. */
static void take(unsigned want)
{
    for (uint64_t end = rdtsc() + 4000000000ul; taken < want && rdtsc() < end;)
        __asm__ volatile("sti; nop; nop; cli" ::: "memory");
}

static void pit_rate(unsigned count)
{
    outb(PIT + 3, 0x34); /* channel 0, both bytes, mode 2 */
    outb(PIT, (uint8_t)count);
    outb(PIT, (uint8_t)(count >> 8));
}

/* The local APIC lets the 8259A's interrupts through, as firmware leaves it: enabled, LINT0 ExtINT. */
static void virtual_wire(void)
{
    volatile uint8_t *apic = phys_ptr(APIC);

    if (rdmsr(0x1b) & 0x400) {
        wrmsr(0x80f, 0x1ff);
        wrmsr(0x835, 0x700);
    } else {
        *(volatile uint32_t *)(apic + 0xf0) = 0x1ff;
        *(volatile uint32_t *)(apic + 0x350) = 0x700;
    }
}

static void pic_tick(unsigned vector)
{
    taken++;
    last_vector = vector;
    outb(PIC1, 0x20);
}

static void pic_pit(void)
{
    static const uint8_t first[] = {0x30, 4, 1}, second[] = {0x38, 2, 1};

    if (no_pc())
        return;
    outb(PIC1, 0x11);
    outb(PIC2, 0x11);
    for (unsigned i = 0; i < 3; i++) {
        outb(PIC1 + 1, first[i]);
        outb(PIC2 + 1, second[i]);
    }
    taken = 0;
    irq_hook = pic_tick;
    virtual_wire();
    pit_rate(1193); /* a millisecond */
    outb(PIC1 + 1, 0xfe);
    take(3);
    outb(PIC1 + 1, 0xff);
    __asm__ volatile("sti; nop; nop; cli" ::: "memory"); /* what was requested before */
    EXPECT(taken >= 3 && last_vector == 0x30, "%u taken, vector %x", taken, last_vector);
    taken = 0;
    __asm__ volatile("sti; nop; nop; cli" ::: "memory");
    EXPECT(taken == 0, "%u taken while masked", taken);
    irq_hook = NULL;
}
MICRO_TEST(pic_pit, "hvm-device-pic-pit", PLATFORM_OWN);

static void rtc(void)
{
    uint8_t seconds, status;

    if (no_pc())
        return;
    outb(RTC, 0x0d);
    EXPECT(inb(RTC + 1) & 0x80, "its memory is not valid");
    do {
        outb(RTC, 0x0a);
    } while (inb(RTC + 1) & 0x80);
    outb(RTC, 0x0b);
    status = inb(RTC + 1);
    outb(RTC, 0);
    seconds = inb(RTC + 1);
    if (!(status & 4))
        seconds = (uint8_t)(seconds - 6 * (seconds >> 4));
    EXPECT(seconds < 60, "second %u", seconds);
}
MICRO_TEST(rtc, "hvm-device-rtc", PLATFORM_OWN);

static void uart(void)
{
    uint8_t mcr;

    if (no_pc())
        return;
    while ((inb(COM1 + 5) & 0x60) != 0x60)
        ;
    mcr = inb(COM1 + 4);
    outb(COM1 + 4, 0x10); /* loopback */
    outb(COM1, 0xa7);
    for (unsigned i = 0; i < 100000 && !(inb(COM1 + 5) & 1); i++)
        ;
    EXPECT((inb(COM1 + 5) & 1) && inb(COM1) == 0xa7, "nothing comes back");
    outb(COM1 + 4, mcr);
    outb(COM1 + 7, 0x5a);
    EXPECT(inb(COM1 + 7) == 0x5a, "scratch register %x", inb(COM1 + 7));
}
MICRO_TEST(uart, "hvm-device-uart", PLATFORM_OWN);

/* 3.579545 MHz, 32 bits (ACPI 6.5 §4.8.3.3), at the port that the FADT names. */
static void pm_timer(void)
{
    const uint8_t *fadt = acpi_table("FACP");
    uint32_t first, now;
    uint16_t port;

    if (!fadt || !(port = *(const uint16_t *)(fadt + 76))) {
        test_skip("not for this platform");
        return;
    }
    first = now = inl(port);
    for (uint64_t end = rdtsc() + 4000000000ul; now - first < 3580 && rdtsc() < end;)
        now = inl(port);
    EXPECT(now - first >= 3580 && now - first < 1u << 31, "from %x to %x", first, now);
}
MICRO_TEST(pm_timer, "hvm-device-pm-timer", PLATFORM_OWN);

/* ---- I/O APIC ---- */

static void apic_tick(unsigned vector)
{
    taken++;
    last_vector = vector;
    *(volatile uint32_t *)(APIC + 0xb0) = 0;
}

static void ioapic(void)
{
    volatile uint32_t *select, *window;
    uint64_t base = rdmsr(0x1b);

    if (no_pc())
        return;
    if (base & 0x400) {
        test_note("x2APIC mode");
        return;
    }
    select = phys_ptr(IOAPIC);
    window = select + 4;
    *(volatile uint32_t *)((uint8_t *)phys_ptr(APIC) + 0xf0) = 0x1ff;
    *select = 1;
    EXPECT((*window >> 16 & 0xff) >= 23, "version %x", *window);
    taken = 0;
    irq_hook = apic_tick;
    pit_rate(1193);
    *select = 0x15; /* input 2, the timer's: to APIC 0, vector 0x51, edge */
    *window = 0;
    *select = 0x14;
    *window = 0x51;
    take(3);
    *window = 0x10051;
    __asm__ volatile("sti; nop; nop; cli" ::: "memory"); /* what was requested before */
    EXPECT(taken >= 3 && last_vector == 0x51, "%u taken, vector %x", taken, last_vector);
    irq_hook = NULL;
}
MICRO_TEST(ioapic, "hvm-device-ioapic", PLATFORM_OWN);

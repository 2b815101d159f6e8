/* SPDX-License-Identifier: MIT */
/*
 * Clocks: 8254 and port 61h, MC146818, ACPI's timer and power (the data sheets named in their files).
 */
#include <criterion/criterion.h>

#include "board.h"
#include "hv/x86/hvm/vdevice.h"

static void start(void)
{
    board_start(1, true);
}

TestSuite(clocks, .init = start, .fini = board_stop);

#define TICKS(n) vdevice_ns(n, 1193182)

/* Channel 0 in a mode, low then high byte. Rises that the mode itself made are forgotten. */
static void pit(u8 mode, u16 count)
{
    port_out(0x43, 0x30 | mode << 1);
    port_out(0x40, count);
    port_out(0x40, count >> 8);
    board.rises[0] = 0;
}

static u16 pit_count(void)
{
    u8 low;

    port_out(0x43, 0x00);
    low = port_in(0x40);
    return low | port_in(0x40) << 8;
}

Test(clocks, ticks_and_back)
{
    for (u64 t = 0; t < 3000000; t += 997)
        cr_assert_eq(vdevice_ticks(vdevice_ns(t, 1193182), 1193182), t);
    cr_assert_eq(vdevice_ticks(SECONDS(1000000000), 3579545), 3579545000000000ull);
}

Test(clocks, pit_mode_0_ends_once)
{
    pit(0, 1000);
    cr_assert_eq(pit_count(), 1000);
    host_advance(TICKS(400));
    cr_assert_eq(pit_count(), 600);
    cr_assert_eq(board.rises[0], 0);
    host_advance(TICKS(600));
    cr_assert_eq(board.rises[0], 1);
    host_advance(SECONDS(1));
    cr_assert_eq(board.rises[0], 1);
}

Test(clocks, pit_modes_2_and_3_repeat)
{
    for (u8 mode = 2; mode <= 3; mode++) {
        pit(mode, 11932); /* 100 Hz, nearly */
        host_advance(SECONDS(1) + MILLISECS(1));
        cr_assert_eq(board.rises[0], 100);
    }
    pit(2, 0); /* 65,536 */
    host_advance(SECONDS(1));
    cr_assert_eq(board.rises[0], 18);
}

Test(clocks, pit_counts_down)
{
    pit(2, 100);
    cr_assert_eq(pit_count(), 100);
    host_advance(TICKS(99));
    cr_assert_eq(pit_count(), 1);
    host_advance(TICKS(1) + 1);
    cr_assert_eq(pit_count(), 100);
    port_out(0x43, 0x36); /* square wave counts by two */
    port_out(0x40, 100);
    port_out(0x40, 0);
    host_advance(TICKS(10));
    cr_assert_eq(pit_count(), 80);
    port_out(0x43, 0x35); /* BCD */
    port_out(0x40, 0x00);
    port_out(0x40, 0x10);
    host_advance(TICKS(1));
    cr_assert_eq(pit_count(), 0x0999);
}

Test(clocks, pit_latches_and_reads_back)
{
    pit(2, 5000);
    host_advance(TICKS(1000));
    port_out(0x43, 0xc2); /* both of channel 0 */
    host_advance(TICKS(500));
    cr_assert_eq(port_in(0x40), 0x80 | 0x30 | 4, "output high, two bytes, mode 2");
    cr_assert_eq(port_in(0x40), 4000 & 0xff);
    cr_assert_eq(port_in(0x40), 4000 >> 8);
    cr_assert_eq(pit_count(), 3500);
}

Test(clocks, pit_channel_2_and_its_gate)
{
    port_out(0x61, 0);
    port_out(0x43, 0xb0);
    port_out(0x42, 0xe8);
    port_out(0x42, 0x03);
    host_advance(TICKS(5000));
    cr_assert_eq(port_in(0x61) & 0x20, 0, "the gate holds it");
    port_out(0x61, 1);
    host_advance(TICKS(999));
    cr_assert_eq(port_in(0x61) & 0x20, 0);
    host_advance(TICKS(2));
    cr_assert_eq(port_in(0x61) & 0x21, 0x21);
}

Test(clocks, pit_late_and_tiny_periods)
{
    u64 before;

    pit(2, 11932);
    host_now += SECONDS(3600); /* an hour unattended */
    host_advance(0);
    cr_assert_eq(board.rises[0], 1);
    pit(2, 1);
    before = host_timer_interrupts;
    host_advance(MILLISECS(10));
    cr_assert_leq(host_timer_interrupts - before, 501);
    for (unsigned int v = 0; v < 256; v++) { /* any control word, a few counts, both gates */
        port_out(0x43, v);
        port_out_n(0x40, 4, v * 0x01010101u);
        port_out(0x61, v);
        host_advance(TICKS(v));
        (void)port_in_n(0x40, 4);
        (void)port_in(0x61);
    }
}

static u8 cmos(u8 reg)
{
    port_out(0x70, reg);
    return port_in(0x71);
}

static void cmos_out(u8 reg, u8 v)
{
    port_out(0x70, reg);
    port_out(0x71, v);
}

Test(clocks, rtc_tells_the_date)
{
    cr_assert_eq(cmos(0), 0);
    cr_assert_eq(cmos(4), 0);
    cr_assert_eq(cmos(6), 5, "1 January 2026 is a Thursday");
    cr_assert_eq(cmos(7), 1);
    cr_assert_eq(cmos(8), 1);
    cr_assert_eq(cmos(9), 0x26);
    cr_assert_eq(cmos(0x32), 0x20);
    cr_assert_eq(cmos(0x0d), 0x80);
    host_now += SECONDS(86400ull * 58 + 86399);
    cr_assert_eq(cmos(8), 2);
    cr_assert_eq(cmos(7), 0x28);
    cr_assert_eq(cmos(4), 0x23);
    host_now += SECONDS(1);
    cr_assert_eq(cmos(8), 3, "2026 has no 29 February");
    cmos_out(0x0b, 0x04); /* binary, twelve hours */
    host_now += SECONDS(3600 * 13);
    cr_assert_eq(cmos(4), 0x81);
    cr_assert_eq(cmos(9), 26);
}

Test(clocks, rtc_can_be_set)
{
    cmos_out(0x0b, 0x82);
    cmos_out(0, 0x58);
    cmos_out(2, 0x59);
    cmos_out(4, 0x23);
    cmos_out(7, 0x28);
    cmos_out(8, 0x02);
    cmos_out(9, 0x24);
    host_now += SECONDS(100);
    cr_assert_eq(cmos(0), 0x58, "it stands while it is set");
    cr_assert_eq(cmos(0x0a) & 0x80, 0);
    cmos_out(0x0b, 0x02);
    host_now += SECONDS(2);
    cr_assert_eq(cmos(7), 0x29, "2024 has a 29 February");
    cr_assert_eq(cmos(8), 2);
    for (u8 reg = 0; reg < 10; reg++) /* nonsense, while it runs */
        cmos_out(reg, 0xff);
    for (u8 reg = 0; reg < 10; reg++)
        (void)cmos(reg);
    host_now += SECONDS(86400);
    cr_assert_leq(cmos(8), 0x12);
    cr_assert_leq(cmos(7), 0x31);
}

Test(clocks, rtc_update_in_progress)
{
    host_now += SECONDS(1) - MICROSECS(245);
    cr_assert_eq(cmos(0x0a) & 0x80, 0);
    host_now += MICROSECS(2);
    cr_assert_eq(cmos(0x0a) & 0x80, 0x80);
    host_now += MICROSECS(243);
    cr_assert_eq(cmos(0x0a) & 0x80, 0);
}

Test(clocks, rtc_interrupts)
{
    (void)cmos(0x0c);
    cmos_out(0x0b, 0x12); /* each update */
    board.rises[8] = 0;
    host_advance(SECONDS(1));
    cr_assert_eq(board.rises[8], 1);
    host_advance(SECONDS(10));
    cr_assert_eq(board.rises[8], 1, "not again before it is acknowledged");
    cr_assert_eq(cmos(0x0c) & 0x90, 0x90);
    cr_assert_eq(board.lines & 0x100, 0);
    cmos_out(0x0b, 0x42); /* periodic, 1,024 Hz */
    board.rises[8] = 0;
    for (int i = 0; i < 1024; i++) {
        host_advance(SECONDS(1) / 1024);
        (void)cmos(0x0c);
    }
    cr_assert_geq(board.rises[8], 1023);
    cr_assert_leq(board.rises[8], 1025);
}

Test(clocks, rtc_alarm)
{
    cmos_out(1, 0x30);
    cmos_out(3, 0x01);
    cmos_out(5, 0xff); /* any hour */
    (void)cmos(0x0c);
    cmos_out(0x0b, 0x22);
    board.rises[8] = 0;
    host_advance(SECONDS(89));
    cr_assert_eq(board.rises[8], 0);
    host_advance(SECONDS(1));
    cr_assert_eq(board.rises[8], 1);
    cr_assert_eq(cmos(0x0c) & 0xa0, 0xa0);
    host_now += SECONDS(86400); /* missed by a day: once */
    host_advance(0);
    cr_assert_eq(board.rises[8], 2);
    cmos_out(1, 0x77); /* never */
    (void)cmos(0x0c);
    cr_assert_eq(host_next_interrupt(), NS_NEVER);
}

Test(clocks, pm_timer_and_its_status)
{
    u32 a = port_in_n(0xb008, 4), b;

    host_advance(SECONDS(1));
    b = port_in_n(0xb008, 4);
    cr_assert_eq(b - a, 3579545);
    port_out_n(0xb000, 2, 0xffff);
    cr_assert_eq(port_in_n(0xb000, 2), 0);
    port_out_n(0xb002, 2, 1);
    host_advance(SECONDS(599));
    cr_assert_eq(board.rises[9], 1, "the highest bit has changed");
    cr_assert_eq(port_in_n(0xb000, 2) & 1, 1);
    port_out_n(0xb000, 2, 1);
    cr_assert_eq(board.lines & 0x200, 0);
}

Test(clocks, power_off_and_reset)
{
    cr_assert_eq(port_in_n(0xb004, 2), 1);
    port_out_n(0xb004, 2, 3u << 10 | 1u << 13);
    cr_assert_eq(board.power, 0, "sleep type 3 is nothing here");
    port_out(0xcf9, 2);
    cr_assert_eq(board.power, 0);
    port_out(0xcf9, 6);
    cr_assert_eq(board.power, 1 + SHUTDOWN_reboot);
    port_out_n(0xb004, 2, 5u << 10 | 1u << 13);
    cr_assert_eq(board.power, 1 + SHUTDOWN_poweroff);
    board.power = 0;
    port_out(0xb005, 0x34); /* byte by byte too */
    cr_assert_eq(board.power, 1 + SHUTDOWN_poweroff);
}

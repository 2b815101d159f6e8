/* SPDX-License-Identifier: MIT */
/*
 * The local APIC: modes, priorities, end of interrupt, messages, timer, errors, and what a hostile guest may try (SDM vol. 3 ch. 10).
 */
#include <criterion/criterion.h>

#include "board.h"

enum { TPR = 0x80, PPR = 0xa0, EOI = 0xb0, LDR = 0xd0, DFR = 0xe0, SVR = 0xf0, ISR = 0x100, IRR = 0x200, ESR = 0x280, ICR = 0x300, ICR2 = 0x310,
       LVT_TIMER = 0x320, LVT_LINT0 = 0x350, LVT_ERROR = 0x370, TMICT = 0x380, TMCCT = 0x390, TDCR = 0x3e0 };
#define MASKED (1u << 16)
#define BASE 0xfee00000ull
#define EN (1u << 11)
#define EXTD (1u << 10)

static struct vlapic *l;

static void start(void)
{
    board_start(3, true);
    for (unsigned int i = 0; i < 3; i++)
        vlapic_mmio_write(board.apic[i], SVR, 4, 0x1ff);
    l = board.apic[0];
}

TestSuite(vlapic, .init = start, .fini = board_stop);

static void to_x2apic(void)
{
    cr_assert(vlapic_msr_write(l, 0x1b, BASE | EN | EXTD));
}

Test(vlapic, is_quiet_after_reset)
{
    vlapic_reset(l);
    cr_assert_eq(apic_in(SVR), 0xff);
    cr_assert_eq(apic_in(0x30), 0x50014);
    cr_assert_eq(apic_in(DFR), ~0u);
    for (unsigned int lvt = LVT_TIMER; lvt <= LVT_ERROR; lvt += 16)
        cr_assert_eq(apic_in(lvt), MASKED);
    vlapic_raise(l, 0x40, false);
    cr_assert_eq(vlapic_pending(l), -1, "it is software-disabled");
}

Test(vlapic, base_has_the_manuals_transitions)
{
    static const struct { u32 from, to; bool legal; } t[] = {
        {EN, EN, true}, {EN, EN | EXTD, true}, {EN, 0, true}, {EN, EXTD, false}, {0, 0, true}, {0, EN, true}, {0, EN | EXTD, false}, {0, EXTD, false},
        {EN | EXTD, EN, false}, {EN | EXTD, 0, true}, {EN | EXTD, EXTD, false}, {EN | EXTD, EN | EXTD, true}};

    for (unsigned int i = 0; i < ARRAY_SIZE(t); i++) {
        u64 v;

        cr_assert(vlapic_msr_write(l, 0x1b, BASE)); /* off, then up to where it is to come from */
        if (t[i].from & EN)
            cr_assert(vlapic_msr_write(l, 0x1b, BASE | EN));
        if (t[i].from & EXTD)
            cr_assert(vlapic_msr_write(l, 0x1b, BASE | EN | EXTD));
        cr_assert_eq(vlapic_msr_write(l, 0x1b, BASE | t[i].to), t[i].legal, "%#x to %#x", t[i].from, t[i].to);
        cr_assert(vlapic_msr_read(l, 0x1b, &v));
        cr_assert_eq(v, BASE | 0x100 | (t[i].legal ? t[i].to : t[i].from));
        cr_assert_eq(vlapic_mmio_base(l), (v & (EN | EXTD)) == EN ? BASE : ~0ull);
    }
    cr_assert_not(vlapic_msr_write(l, 0x1b, 0xfed00000 | EN), "the page does not move");
    cr_assert_not(vlapic_msr_write(l, 0x1b, BASE | EN | 1));
    cr_assert_not(vlapic_msr_write(l, 0x1b, 1ull << 52 | BASE | EN));
}

Test(vlapic, without_x2apic_the_mode_is_refused)
{
    u64 v;

    board_stop();
    board_start(1, false);
    cr_assert_not(vlapic_msr_write(board.apic[0], 0x1b, BASE | EN | EXTD));
    cr_assert_not(vlapic_msr_read(board.apic[0], 0x802, &v), "its MSRs are not there in xAPIC mode");
}

Test(vlapic, highest_class_goes_first)
{
    vlapic_raise(l, 0x31, false);
    vlapic_raise(l, 0x45, false);
    cr_assert_eq(vlapic_pending(l), 0x45);
    vlapic_accept(l, 0x45);
    cr_assert_eq(vlapic_pending(l), -1);
    cr_assert_eq(apic_in(PPR), 0x40);
    vlapic_raise(l, 0x4f, false);
    cr_assert_eq(vlapic_pending(l), -1, "the same class waits");
    vlapic_raise(l, 0x50, false);
    cr_assert_eq(vlapic_pending(l), 0x50);
    vlapic_accept(l, 0x50);
    apic_out(EOI, 0);
    cr_assert_eq(apic_in(PPR), 0x40);
    cr_assert_eq(vlapic_pending(l), -1);
    apic_out(EOI, 0);
    cr_assert_eq(vlapic_pending(l), 0x4f);
    vlapic_accept(l, 0x4f);
    apic_out(EOI, 0);
    vlapic_accept(l, 0x31);
    apic_out(EOI, 0);
    apic_out(EOI, 0); /* one too many does nothing */
    cr_assert_eq(vlapic_pending(l), -1);
    cr_assert_eq(apic_in(PPR), 0);
}

Test(vlapic, task_priority_holds_back_and_lets_go)
{
    apic_out(TPR, 0x50);
    cr_assert_eq(board.cr8, 5);
    vlapic_raise(l, 0x51, false);
    cr_assert_eq(vlapic_pending(l), -1);
    cr_assert_eq(apic_in(IRR + 0x20), 1u << 17);
    board.kicks = 0;
    apic_out(TPR, 0x4f);
    cr_assert_eq(vlapic_pending(l), 0x51);
    cr_assert_eq(board.kicks, 1);
    vlapic_set_cr8(l, 4);
    cr_assert_eq(apic_in(TPR), 0x4f, "the same priority by CR8 leaves the low bits");
    vlapic_set_cr8(l, 15);
    cr_assert_eq(vlapic_pending(l), -1);
    cr_assert_eq(vlapic_cr8(l), 15);
}

Test(vlapic, level_interrupts_tell_the_io_apic)
{
    vlapic_raise(l, 0x60, true);
    vlapic_accept(l, 0x60);
    apic_out(EOI, 0);
    cr_assert_eq(board.eois, 1);
    cr_assert_eq(board.eoi_vector, 0x60);
    vlapic_raise(l, 0x60, false);
    vlapic_accept(l, 0x60);
    apic_out(EOI, 0);
    cr_assert_eq(board.eois, 1);
}

Test(vlapic, messages_find_their_destinations)
{
    u64 pending[3];

#define SENT(a, b, c)                                                                                                       \
    do {                                                                                                                    \
        for (int i = 0; i < 3; i++) {                                                                                       \
            pending[i] = vlapic_pending(board.apic[i]) == 0x70;                                                             \
            if (pending[i]) {                                                                                               \
                vlapic_accept(board.apic[i], 0x70);                                                                         \
                vlapic_mmio_write(board.apic[i], EOI, 4, 0);                                                                \
            }                                                                                                               \
        }                                                                                                                   \
        cr_assert(pending[0] == (a) && pending[1] == (b) && pending[2] == (c), "sent to %d %d %d", (int)pending[0], (int)pending[1], \
                  (int)pending[2]);                                                                                         \
    } while (0)
    for (int i = 0; i < 3; i++)
        vlapic_mmio_write(board.apic[i], LDR, 4, 1u << (24 + i));
    apic_out(ICR, 0x70 | 1u << 18); /* self */
    SENT(1, 0, 0);
    apic_out(ICR, 0x70 | 2u << 18); /* all */
    SENT(1, 1, 1);
    apic_out(ICR, 0x70 | 3u << 18); /* all others */
    SENT(0, 1, 1);
    apic_out(ICR2, 2u << 24);
    apic_out(ICR, 0x70);
    SENT(0, 0, 1);
    apic_out(ICR2, 0xffu << 24);
    apic_out(ICR, 0x70);
    SENT(1, 1, 1);
    apic_out(ICR2, 5u << 24);
    apic_out(ICR, 0x70 | 1u << 11); /* logical, flat */
    SENT(1, 0, 1);
    for (int i = 0; i < 3; i++) {
        vlapic_mmio_write(board.apic[i], DFR, 4, 0); /* clusters: two of the first, one of the second */
        vlapic_mmio_write(board.apic[i], LDR, 4, (i == 2 ? 0x11u : i == 1 ? 0x02u : 0x01u) << 24);
    }
    apic_out(ICR2, 0x03u << 24);
    apic_out(ICR, 0x70 | 1u << 11);
    SENT(1, 1, 0);
    apic_out(ICR2, 0xf1u << 24);
    apic_out(ICR, 0x70 | 1u << 11);
    SENT(1, 0, 1);
    apic_out(ICR2, 0x13u << 24);
    apic_out(ICR, 0x70 | 1u << 8 | 1u << 11); /* lowest priority: one of them */
    SENT(0, 0, 1);
}

Test(vlapic, x2apic_has_its_own_destinations)
{
    u64 v;

    to_x2apic();
    cr_assert(vlapic_msr_read(l, 0x80d, &v) && v == 1);
    cr_assert(vlapic_msr_write(l, 0x83f, 0x55));
    cr_assert_eq(vlapic_pending(l), 0x55);
    cr_assert(vlapic_msr_write(l, 0x830, 1ull << 32 | 0x71));
    cr_assert_eq(vlapic_pending(board.apic[1]), 0x71);
    cr_assert(vlapic_msr_read(l, 0x830, &v) && v == (1ull << 32 | 0x71));
    cr_assert(vlapic_matches(l, 0x00000001, true));
    cr_assert_not(vlapic_matches(l, 0x00010001, true));
    cr_assert_not(vlapic_matches(l, 0xff, false));
    cr_assert(vlapic_matches(l, ~0u, false));
}

Test(vlapic, x2apic_refuses_what_the_manual_reserves)
{
    static const struct { u32 msr; u64 value; } bad[] = {
        {0x80b, 1}, {0x80b, 1ull << 32}, {0x808, 0x100}, {0x802, 0}, {0x803, 0}, {0x80a, 0}, {0x80d, 0}, {0x80e, 0}, {0x80f, 0x200},
        {0x810, 0}, {0x820, 0}, {0x828, 1}, {0x830, 1u << 13}, {0x830, 1u << 20}, {0x831, 0}, {0x832, 1u << 20}, {0x835, 1u << 17},
        {0x838, 1ull << 32}, {0x839, 0}, {0x83e, 4}, {0x83f, 0x100}, {0x840, 0}, {0x8ff, 0}, {0x800, 0}};
    u64 v;

    to_x2apic();
    for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
        cr_assert_not(vlapic_msr_write(l, bad[i].msr, bad[i].value), "MSR %#x takes %#llx", bad[i].msr, (unsigned long long)bad[i].value);
    cr_assert_not(vlapic_msr_read(l, 0x80b, &v), "write-only");
    cr_assert_not(vlapic_msr_read(l, 0x83f, &v), "write-only");
    cr_assert_not(vlapic_msr_read(l, 0x80e, &v), "not there");
    cr_assert_not(vlapic_msr_read(l, 0x831, &v), "not there");
    cr_assert_eq(vlapic_mmio_read(l, 0x20, 4), ~0ull, "the page is gone");
}

Test(vlapic, one_shot_timer_fires_once)
{
    apic_out(LVT_TIMER, 0x40);
    apic_out(TDCR, 0xb); /* by one */
    apic_out(TMICT, 1000000);
    host_advance(400000);
    cr_assert_eq(apic_in(TMCCT), 600000);
    host_advance(599999);
    cr_assert_eq(vlapic_pending(l), -1);
    host_advance(1);
    cr_assert_eq(vlapic_pending(l), 0x40);
    cr_assert_eq(apic_in(TMCCT), 0);
    vlapic_accept(l, 0x40);
    apic_out(EOI, 0);
    host_advance(SECONDS(5));
    cr_assert_eq(vlapic_pending(l), -1);
}

Test(vlapic, divider_and_largest_count)
{
    apic_out(LVT_TIMER, 0x40);
    apic_out(TDCR, 0xa); /* by 128 */
    cr_assert_eq(apic_in(TDCR), 0xa);
    apic_out(TMICT, ~0u);
    host_advance(SECONDS(549)); /* 2^32 - 1 times 128 ns */
    cr_assert_eq(vlapic_pending(l), -1);
    host_advance(SECONDS(1));
    cr_assert_eq(vlapic_pending(l), 0x40);
    apic_out(TMICT, 1000);
    apic_out(TDCR, 0xb); /* what is left runs at the new rate */
    host_advance(1000);
    cr_assert_eq(apic_in(TMCCT), 0);
    apic_out(TMICT, 5);
    apic_out(TMICT, 0); /* a count of 0 stops it */
    vlapic_accept(l, 0x40);
    apic_out(EOI, 0);
    host_advance(SECONDS(1));
    cr_assert_eq(vlapic_pending(l), -1);
}

Test(vlapic, periodic_timer_keeps_its_phase_and_drops_what_it_missed)
{
    unsigned int n = 0;

    apic_out(LVT_TIMER, 0x40 | 1u << 17);
    apic_out(TDCR, 0xb);
    apic_out(TMICT, MILLISECS(1));
    for (int i = 0; i < 10; i++) {
        host_advance(MILLISECS(1));
        if (vlapic_pending(l) == 0x40) {
            vlapic_accept(l, 0x40);
            apic_out(EOI, 0);
            n++;
        }
    }
    cr_assert_eq(n, 10);
    host_now += SECONDS(1000) + 300000; /* nobody looked for a long time */
    host_advance(0);
    cr_assert_eq(vlapic_pending(l), 0x40);
    vlapic_accept(l, 0x40);
    apic_out(EOI, 0);
    cr_assert_eq(host_next_interrupt(), host_now + 700000);
}

Test(vlapic, a_tiny_period_does_not_take_the_machine)
{
    u64 before;

    apic_out(LVT_TIMER, 0x40 | 1u << 17);
    apic_out(TDCR, 0xb);
    apic_out(TMICT, 1);
    host_advance(1);
    before = host_timer_interrupts;
    host_advance(MILLISECS(1));
    cr_assert_leq(host_timer_interrupts - before, 51);
    cr_assert_geq(host_timer_interrupts - before, 49);
}

Test(vlapic, tsc_deadline)
{
    u64 v;

    cr_assert(vlapic_msr_write(l, 0x6e0, host_now + 500));
    cr_assert(vlapic_msr_read(l, 0x6e0, &v) && v == 0, "without the mode it is not armed");
    apic_out(LVT_TIMER, 0x41 | 2u << 17);
    apic_out(TMICT, 100);
    host_advance(SECONDS(1));
    cr_assert_eq(vlapic_pending(l), -1, "the count has no effect in this mode");
    cr_assert(vlapic_msr_write(l, 0x6e0, host_now + 500));
    cr_assert(vlapic_msr_read(l, 0x6e0, &v) && v == host_now + 500);
    host_advance(500);
    cr_assert_eq(vlapic_pending(l), 0x41);
    cr_assert(vlapic_msr_read(l, 0x6e0, &v) && v == 0);
    vlapic_accept(l, 0x41);
    apic_out(EOI, 0);
    cr_assert(vlapic_msr_write(l, 0x6e0, 1)); /* long over */
    cr_assert_eq(vlapic_pending(l), 0x41);
    cr_assert(vlapic_msr_write(l, 0x6e0, ~0ull));
    cr_assert(vlapic_msr_write(l, 0x6e0, 0));
    vlapic_accept(l, 0x41);
    apic_out(EOI, 0);
    cr_assert(vlapic_msr_write(l, 0x6e0, host_now + 100));
    apic_out(LVT_TIMER, 0x41); /* leaving the mode disarms */
    host_advance(SECONDS(1));
    cr_assert_eq(vlapic_pending(l), -1);
}

Test(vlapic, errors_are_latched_and_told)
{
    apic_out(LVT_ERROR, 0x33);
    apic_out(ICR, 0x0f | 1u << 18);
    cr_assert_eq(vlapic_pending(l), 0x33);
    cr_assert_eq(apic_in(ESR), 0, "not before it is latched");
    apic_out(ESR, 0);
    cr_assert_eq(apic_in(ESR), 0x20);
    vlapic_raise(l, 3, false);
    (void)apic_in(0x40); /* reserved */
    apic_out(ESR, 0);
    cr_assert_eq(apic_in(ESR), 0xc0);
    apic_out(LVT_ERROR, 0x02); /* an illegal vector of its own: no endless loop */
    (void)apic_in(0x40);
    apic_out(ESR, 0);
    cr_assert_eq(apic_in(ESR), 0xc0);
}

Test(vlapic, software_disable_masks_and_drops)
{
    apic_out(LVT_TIMER, 0x40);
    apic_out(SVR, 0xff);
    cr_assert_eq(apic_in(LVT_TIMER), 0x40 | MASKED);
    apic_out(LVT_TIMER, 0x40);
    cr_assert_eq(apic_in(LVT_TIMER), 0x40 | MASKED);
    vlapic_raise(l, 0x80, false);
    apic_out(SVR, 0x1ff);
    cr_assert_eq(vlapic_pending(l), -1);
}

Test(vlapic, virtual_wire_lets_the_8259_through)
{
    cr_assert_not(vlapic_accepts_pic(l));
    vlapic_virtual_wire(l);
    cr_assert(vlapic_accepts_pic(l));
    apic_out(LVT_LINT0, 0x700 | MASKED);
    cr_assert_not(vlapic_accepts_pic(l));
    cr_assert(vlapic_msr_write(l, 0x1b, BASE));
    cr_assert(vlapic_accepts_pic(l), "a disabled APIC is not in the way");
}

Test(vlapic, every_offset_and_width_is_harmless)
{
    for (unsigned int pass = 0; pass < 2; pass++)
        for (unsigned int at = 0; at < 0x1000; at++)
            for (unsigned int size = 1; size <= 8; size *= 2) {
                (void)vlapic_mmio_read(l, 0xfee00000 + at, size);
                vlapic_mmio_write(l, 0xfee00000 + at, size, pass ? ~0ull : 0x5a5a5a5a5a5a5a5aull);
            }
    host_advance(SECONDS(1));
    cr_assert(vlapic_pending(l) == -1 || vlapic_pending(l) >= 16);
}

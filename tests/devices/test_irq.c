/* SPDX-License-Identifier: MIT */
/*
 * Interrupt controllers: the pair of 8259A (its data sheet) and the I/O APIC (82093AA data sheet).
 */
#include <criterion/criterion.h>

#include "board.h"

static void start(void)
{
    board_start(1, true);
    vlapic_mmio_write(board.apic[0], 0xf0, 4, 0x1ff);
}

TestSuite(irq, .init = start, .fini = board_stop);

/* As a PC's firmware: vectors 0x20 and 0x28, all unmasked. icw4: 1, and more modes. */
static void program(u8 icw4)
{
    port_out(0x20, 0x11);
    port_out(0x21, 0x20);
    port_out(0x21, 0x04);
    port_out(0x21, icw4);
    port_out(0xa0, 0x11);
    port_out(0xa1, 0x28);
    port_out(0xa1, 0x02);
    port_out(0xa1, icw4);
    port_out(0x21, 0);
    port_out(0xa1, 0);
}

static void pulse(unsigned int irq)
{
    vpic_set(board.pic, irq, false);
    vpic_set(board.pic, irq, true);
}

static u8 in_service(u16 port)
{
    port_out(port, 0x0b);
    return port_in(port);
}

Test(irq, pic_is_silent_until_programmed)
{
    pulse(0);
    cr_assert_eq(vpic_pending(board.pic), -1);
}

Test(irq, pic_priorities_and_cascade)
{
    program(1);
    pulse(5);
    pulse(12);
    pulse(1);
    cr_assert_eq(vpic_accept(board.pic), 0x21);
    cr_assert_eq(vpic_pending(board.pic), -1, "1 in service holds the rest back");
    port_out(0x20, 0x20);
    cr_assert_eq(vpic_accept(board.pic), 0x2c);
    cr_assert_eq(in_service(0x20), 0x04);
    cr_assert_eq(in_service(0xa0), 0x10);
    pulse(9);
    cr_assert_eq(vpic_pending(board.pic), -1, "without special fully nested mode the first chip does not pass it on");
    port_out(0xa0, 0x20);
    port_out(0x20, 0x20);
    cr_assert_eq(vpic_accept(board.pic), 0x29);
    port_out(0xa0, 0x61); /* specific */
    port_out(0x20, 0x62);
    cr_assert_eq(vpic_accept(board.pic), 0x25);
}

Test(irq, pic_special_fully_nested)
{
    program(0x11);
    pulse(12);
    cr_assert_eq(vpic_accept(board.pic), 0x2c);
    pulse(9);
    cr_assert_eq(vpic_accept(board.pic), 0x29);
    pulse(14);
    cr_assert_eq(vpic_pending(board.pic), -1);
}

Test(irq, pic_spurious_interrupts)
{
    program(1);
    pulse(3);
    vpic_set(board.pic, 3, false);
    cr_assert_eq(vpic_pending(board.pic), -1);
    cr_assert_eq(vpic_accept(board.pic), 0x27, "gone before it was acknowledged");
    cr_assert_eq(in_service(0x20), 0);
    cr_assert_eq(vpic_accept(board.pic), 0x27);
}

Test(irq, pic_masks)
{
    program(1);
    port_out(0x21, 0xff);
    pulse(4);
    cr_assert_eq(vpic_pending(board.pic), -1);
    cr_assert_eq(port_in(0x21), 0xff);
    port_out(0x21, 0xef);
    cr_assert_eq(vpic_pending(board.pic), 0x24, "an edge on a masked input is kept");
}

Test(irq, pic_automatic_end_and_rotation)
{
    program(3);
    pulse(0);
    cr_assert_eq(vpic_accept(board.pic), 0x20);
    cr_assert_eq(in_service(0x20), 0);
    port_out(0x20, 0x80); /* rotate with it */
    pulse(3);
    cr_assert_eq(vpic_accept(board.pic), 0x23);
    pulse(3);
    pulse(4);
    cr_assert_eq(vpic_accept(board.pic), 0x24, "3 is the lowest now");
    program(1);
    port_out(0x20, 0xc3); /* 3 is the lowest, 4 the highest */
    pulse(0);
    pulse(4);
    cr_assert_eq(vpic_accept(board.pic), 0x24);
    port_out(0x20, 0xa0); /* end, and 4 becomes the lowest */
    pulse(4);
    cr_assert_eq(vpic_accept(board.pic), 0x20);
}

Test(irq, pic_special_mask)
{
    program(1);
    pulse(1);
    cr_assert_eq(vpic_accept(board.pic), 0x21);
    port_out(0x20, 0x68);
    port_out(0x21, 0x02);
    pulse(6);
    cr_assert_eq(vpic_accept(board.pic), 0x26, "a masked input in service holds nothing back");
}

Test(irq, pic_levels)
{
    program(1);
    port_out_n(0x4d0, 2, 0xffff);
    cr_assert_eq(port_in(0x4d0), 0xf8);
    cr_assert_eq(port_in(0x4d1), 0xde);
    vpic_set(board.pic, 5, true);
    cr_assert_eq(vpic_accept(board.pic), 0x25);
    port_out(0x20, 0x20);
    cr_assert_eq(vpic_pending(board.pic), 0x25, "it is on still");
    vpic_set(board.pic, 5, false);
    cr_assert_eq(vpic_pending(board.pic), -1);
}

Test(irq, pic_polling)
{
    program(1);
    pulse(7);
    port_out(0x20, 0x0c);
    cr_assert_eq(port_in(0x20), 0x87);
    cr_assert_eq(in_service(0x20), 0x80);
    port_out(0x20, 0x0c);
    cr_assert_eq(port_in(0x20), 0);
}

Test(irq, ioapic_registers)
{
    cr_assert_eq(ioapic_in(1), 0x170011);
    ioapic_out(0, ~0u);
    cr_assert_eq(ioapic_in(0), 0x0f000000);
    for (unsigned int pin = 0; pin < 24; pin++)
        cr_assert_eq(ioapic_in(0x10 + 2 * pin), 0x10000);
    ioapic_out(0x10, ~0u);
    cr_assert_eq(ioapic_in(0x10), 0x1afff, "status bits are read-only");
    ioapic_out(0x11, ~0u);
    cr_assert_eq(ioapic_in(0x11), 0xff000000);
    cr_assert_eq(ioapic_in(0x40), 0);
    ioapic_out(0x40, ~0u);
    cr_assert_eq(ioapic_in(0xff), 0);
}

Test(irq, ioapic_edges)
{
    hvm_irq_line(board.d, 4, true);
    ioapic_out(0x10 + 8, 0x41);
    cr_assert_eq(board.messages, 0, "an edge on a masked input is lost");
    hvm_irq_line(board.d, 4, true);
    cr_assert_eq(board.messages, 0, "no edge");
    hvm_irq_line(board.d, 4, false);
    hvm_irq_line(board.d, 4, true);
    cr_assert_eq(board.messages, 1);
    cr_assert_eq(vlapic_pending(board.apic[0]), 0x41);
    hvm_irq_line(board.d, 0, true);
    ioapic_out(0x10 + 4, 0x30);
    hvm_irq_line(board.d, 0, false);
    hvm_irq_line(board.d, 0, true);
    cr_assert_eq(board.last.vector, 0x30, "line 0 is at input 2");
}

Test(irq, ioapic_levels_until_they_are_served)
{
    ioapic_out(0x10 + 18, 0x8051);
    hvm_irq_line(board.d, 9, true);
    cr_assert_eq(board.messages, 1);
    cr_assert_eq(ioapic_in(0x10 + 18), 0xc051, "remote IRR");
    hvm_irq_line(board.d, 9, false);
    hvm_irq_line(board.d, 9, true);
    cr_assert_eq(board.messages, 1);
    vlapic_accept(board.apic[0], 0x51);
    vlapic_mmio_write(board.apic[0], 0xb0, 4, 0);
    cr_assert_eq(board.messages, 2, "on still: sent again");
    hvm_irq_line(board.d, 9, false);
    vlapic_accept(board.apic[0], 0x51);
    vlapic_mmio_write(board.apic[0], 0xb0, 4, 0);
    cr_assert_eq(board.messages, 2);
    cr_assert_eq(ioapic_in(0x10 + 18), 0x8051);
    ioapic_out(0x10 + 18, 0x18051);
    hvm_irq_line(board.d, 9, true);
    cr_assert_eq(board.messages, 2, "masked");
    ioapic_out(0x10 + 18, 0x8051);
    cr_assert_eq(board.messages, 3, "unmasking lets a level through");
    ioapic_out(0x10 + 18, 0x10051);
    cr_assert_eq(ioapic_in(0x10 + 18), 0x10051, "as edge it forgets");
}

/* SPDX-License-Identifier: MIT */
/*
 * The 16550: what a driver probes, interrupts of transmitter and receiver, loopback (PC16550D data sheet).
 */
#include <criterion/criterion.h>

#include "board.h"

enum { DATA = 0x3f8, IER, IIR, LCR, MCR, LSR, MSR, SCR };

static void start(void)
{
    board_start(1, true);
    port_out(MCR, 0x0b); /* OUT2: interrupts reach the line */
}

TestSuite(vuart, .init = start, .fini = board_stop);

static bool line(void)
{
    return board.lines >> 4 & 1;
}

Test(vuart, looks_like_a_16550a)
{
    port_out(IER, 0xff);
    cr_assert_eq(port_in(IER), 0x0f);
    port_out(IER, 0);
    port_out(SCR, 0xa5);
    cr_assert_eq(port_in(SCR), 0xa5);
    port_out(IIR, 0x01);
    cr_assert_eq(port_in(IIR) & 0xc0, 0xc0);
    port_out(IIR, 0);
    cr_assert_eq(port_in(IIR), 0x01);
    port_out(LCR, 0x83);
    port_out_n(DATA, 2, 0x0c);
    cr_assert_eq(port_in_n(DATA, 2), 0x0c);
    port_out(LCR, 0x03);
    cr_assert_eq(port_in(IER), 0);
    cr_assert_eq(port_in(LSR), 0x60);
    cr_assert_eq(port_in(MSR), 0xb0);
}

Test(vuart, loopback_turns_the_modem_around)
{
    port_out(MCR, 0x1a); /* as Linux probes: loop, OUT2, RTS */
    cr_assert_eq(port_in(MSR) & 0xf0, 0x90);
    port_out(DATA, 'x');
    cr_assert_eq(board.out_fill, 0);
    cr_assert_eq(port_in(LSR) & 1, 1);
    cr_assert_eq(port_in(DATA), 'x');
    port_out(IER, 0x0f);
    cr_assert_not(line(), "no interrupt leaves it in loopback");
}

Test(vuart, transmits_at_once_and_says_so)
{
    port_out(DATA, 'a');
    port_out(DATA, 'b');
    cr_assert_eq(board.out_fill, 2);
    cr_assert_arr_eq(board.out, "ab", 2);
    cr_assert_not(line());
    port_out(IER, 0x02);
    cr_assert(line());
    cr_assert_eq(port_in(IIR) & 0x0f, 0x02);
    cr_assert_not(line(), "reading the cause ends it");
    port_out(DATA, 'c');
    cr_assert(line());
    port_out(IER, 0);
    cr_assert_not(line());
}

Test(vuart, receives_by_trigger_and_timeout)
{
    port_out(IIR, 0x81); /* FIFO, trigger at 8 */
    port_out(IER, 0x01);
    board.in = "hi";
    vuart_poll(board.uart);
    cr_assert(line());
    cr_assert_eq(port_in(IIR) & 0x0f, 0x0c);
    board.in = "12345678";
    vuart_poll(board.uart);
    cr_assert_eq(port_in(IIR) & 0x0f, 0x04);
    cr_assert_eq(port_in(DATA), 'h');
    cr_assert_eq(port_in(DATA), 'i');
    for (char c = '1'; c <= '8'; c++)
        cr_assert_eq(port_in(DATA), c);
    cr_assert_eq(port_in(LSR) & 1, 0);
    cr_assert_not(line());
    cr_assert_eq(port_in(DATA), 0);
}

Test(vuart, overrun_is_an_error_of_loopback_only)
{
    port_out(MCR, 0x18);
    port_out(DATA, '1');
    port_out(DATA, '2'); /* without FIFO there is room for one */
    cr_assert_eq(port_in(LSR) & 3, 3);
    cr_assert_eq(port_in(LSR) & 3, 1, "told once");
    board.in = "abc";
    vuart_poll(board.uart);
    cr_assert_str_eq(board.in, "abc", "the line is cut in loopback");
}

Test(vuart, a_long_input_waits_at_the_line)
{
    board.in = "0123456789abcdef0123456789";
    port_out(IIR, 0x01);
    vuart_poll(board.uart);
    for (const char *c = "0123456789abcdef0123456789"; *c; c++)
        cr_assert_eq(port_in(DATA), *c);
}

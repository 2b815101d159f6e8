/* SPDX-License-Identifier: MIT */
/*
 * The serial console: a 16550 at COM1, polled for output, interrupt-driven for input (IRQ 4).
 *
 * Source: the 16550D data sheet's register set. Does not: change the speed that the firmware or `com1=` set, beyond 115200.
 */
#include "cpu.h"

#define COM1 0x3f8
enum { REG_DATA = 0, REG_IER = 1, REG_FCR = 2, REG_LCR = 3, REG_MCR = 4, REG_LSR = 5 };
#define LSR_DATA_READY 0x01
#define LSR_THR_EMPTY  0x20

static char input[256];
static unsigned int input_head, input_tail;
static bool present;

void serial_init(void)
{
    outb(COM1 + REG_IER, 0);
    outb(COM1 + REG_LCR, 0x80);
    outb(COM1 + REG_DATA, 1); /* divisor 1: 115200 */
    outb(COM1 + REG_IER, 0);
    outb(COM1 + REG_LCR, 0x03);
    outb(COM1 + REG_FCR, 0x07);
    outb(COM1 + REG_MCR, 0x0b);
    present = inb(COM1 + REG_LSR) != 0xff;
    if (present)
        outb(COM1 + REG_IER, 0x01);
}

void serial_close(void)
{
    if (present)
        outb(COM1 + REG_IER, 0);
    present = false;
}

static void put(char c)
{
    for (unsigned int spin = 0; !(inb(COM1 + REG_LSR) & LSR_THR_EMPTY) && spin < 100000; spin++)
        __builtin_ia32_pause();
    outb(COM1 + REG_DATA, c);
}

void arch_console_write(const char *s, size_t n)
{
    if (!present)
        return;
    for (; n; n--, s++) {
        if (*s == '\n')
            put('\r');
        put(*s);
    }
}

/** Characters have arrived: keep them (dropping the newest when the buffer is full). Called with interrupts off. */
void serial_irq(void)
{
    while (inb(COM1 + REG_LSR) & LSR_DATA_READY) {
        char c = inb(COM1 + REG_DATA);

        if ((input_head + 1) % sizeof(input) != input_tail) {
            input[input_head] = c;
            input_head = (input_head + 1) % sizeof(input);
        }
    }
}

/** Take up to n characters of input; returns how many. */
size_t arch_console_read(char *buf, size_t n)
{
    size_t got = 0;

    while (got < n && input_tail != input_head) {
        buf[got++] = input[input_tail];
        input_tail = (input_tail + 1) % sizeof(input);
    }
    return got;
}

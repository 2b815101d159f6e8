/* SPDX-License-Identifier: MIT */
/*
 * The serial port 16550A. device.h has the interface; hvm_uart_put() and hvm_uart_get() are its line.
 * Source: National Semiconductor PC16550D data sheet.
 *
 * The line is infinitely fast: what is written to the transmitter is gone at once, so its holding register and shift register are
 * always empty, and the divisor only reads back. Loopback as the data sheet §8.6.7 has it. Input comes when the line has it: at
 * vuart_poll(), and when the guest looks at an empty receiver.
 * Does not: break and parity or framing errors, modem signals from outside (CTS, DSR, DCD are on), DMA mode.
 */
#include "vdevice.h"

#define FIFO 16

enum { RBR_THR = 0, IER = 1, IIR_FCR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6, SCR = 7 };
#define IER_RECEIVED  0x01
#define IER_EMPTY     0x02
#define IER_LINE      0x04
#define IER_MODEM     0x08
#define IIR_NONE      0x01
#define IIR_LINE      0x06
#define IIR_RECEIVED  0x04
#define IIR_TIMEOUT   0x0c
#define IIR_EMPTY     0x02
#define IIR_MODEM     0x00
#define LCR_DLAB      0x80
#define MCR_OUT2      0x08
#define MCR_LOOP      0x10
#define LSR_READY     0x01
#define LSR_OVERRUN   0x02
#define LSR_THRE_TEMT 0x60

struct vuart {
    u8 ier, fcr, lcr, mcr, scr;
    u8 lsr_errors;    /* LSR_OVERRUN, until LSR is read */
    u8 msr_delta;     /* changes of modem signals until MSR is read */
    u8 divisor[2];
    u8 fifo[FIFO];
    u8 head, used;
    bool empty_pending; /* "transmitter empty" is to be told */
    u16 port;
    unsigned int gsi;
    struct domain *d;
};

static unsigned int capacity(const struct vuart *u)
{
    return u->fcr & 1 ? FIFO : 1;
}

static unsigned int trigger(const struct vuart *u)
{
    static const u8 level[4] = {1, 4, 8, 14};

    return u->fcr & 1 ? level[u->fcr >> 6] : 1;
}

static void receive(struct vuart *u, u8 c)
{
    if (u->used == capacity(u)) {
        u->lsr_errors |= LSR_OVERRUN;
        return;
    }
    u->fifo[(u->head + u->used++) % FIFO] = c;
}

/* Fill the receiver from the line. */
static void take_input(struct vuart *u)
{
    int c;

    while (!(u->mcr & MCR_LOOP) && u->used < capacity(u) && (c = hvm_uart_get(u->d)) >= 0)
        receive(u, c);
}

static u8 cause(const struct vuart *u)
{
    if (u->ier & IER_LINE && u->lsr_errors)
        return IIR_LINE;
    if (u->ier & IER_RECEIVED && u->used)
        return u->used >= trigger(u) ? IIR_RECEIVED : IIR_TIMEOUT;
    if (u->ier & IER_EMPTY && u->empty_pending)
        return IIR_EMPTY;
    if (u->ier & IER_MODEM && u->msr_delta)
        return IIR_MODEM;
    return IIR_NONE;
}

/* OUT2 gates the interrupt on a PC. */
static void update(struct vuart *u)
{
    hvm_irq_line(u->d, u->gsi, u->mcr & MCR_OUT2 && !(u->mcr & MCR_LOOP) && cause(u) != IIR_NONE);
}

/* CTS, DSR, RI, DCD in bits 4 to 7: in loopback RTS, DTR, OUT1 and OUT2. */
static u8 modem(const struct vuart *u)
{
    if (!(u->mcr & MCR_LOOP))
        return 0xb0;
    return (u->mcr & 2) << 3 | (u->mcr & 1) << 5 | (u->mcr & 0x0c) << 4;
}

static u8 read_one(struct vuart *u, unsigned int reg)
{
    u8 v;

    switch (reg) {
    case RBR_THR:
        if (u->lcr & LCR_DLAB)
            return u->divisor[0];
        take_input(u);
        if (!u->used)
            return 0;
        v = u->fifo[u->head];
        u->head = (u->head + 1) % FIFO;
        u->used--;
        return v;
    case IER:
        return u->lcr & LCR_DLAB ? u->divisor[1] : u->ier;
    case IIR_FCR:
        v = cause(u);
        if (v == IIR_EMPTY)
            u->empty_pending = false;
        return v | (u->fcr & 1 ? 0xc0 : 0);
    case LCR:
        return u->lcr;
    case MCR:
        return u->mcr;
    case LSR:
        take_input(u);
        v = LSR_THRE_TEMT | u->lsr_errors | (u->used ? LSR_READY : 0);
        u->lsr_errors = 0;
        return v;
    case MSR:
        v = modem(u) | u->msr_delta;
        u->msr_delta = 0;
        return v;
    default:
        return u->scr;
    }
}

static void write_fcr(struct vuart *u, u8 v)
{
    if ((v ^ u->fcr) & 1 || v & 2) /* switching FIFOs on or off empties them */
        u->head = u->used = 0;
    u->fcr = v & 1 ? v & 0xc9 : 0;
}

static void write_mcr(struct vuart *u, u8 v)
{
    u8 before = modem(u), changed;

    u->mcr = v & 0x1f;
    changed = before ^ modem(u);
    /* RI tells its end only (data sheet §8.6.8). */
    u->msr_delta |= (changed & 0xb0) >> 4 | (before & ~modem(u) & 0x40) >> 4;
}

static void write_one(struct vuart *u, unsigned int reg, u8 v)
{
    switch (reg) {
    case RBR_THR:
        if (u->lcr & LCR_DLAB) {
            u->divisor[0] = v;
            break;
        }
        if (u->mcr & MCR_LOOP)
            receive(u, v);
        else
            hvm_uart_put(u->d, v);
        u->empty_pending = true;
        break;
    case IER:
        if (u->lcr & LCR_DLAB) {
            u->divisor[1] = v;
            break;
        }
        if (~u->ier & v & IER_EMPTY)
            u->empty_pending = true;
        u->ier = v & 0x0f;
        break;
    case IIR_FCR:
        write_fcr(u, v);
        break;
    case LCR:
        u->lcr = v;
        break;
    case MCR:
        write_mcr(u, v);
        break;
    case SCR:
        u->scr = v;
        break;
    }
}

static u64 read_ports(void *dev, u64 at, unsigned int size)
{
    struct vuart *u = dev;
    u64 value = 0;

    for (unsigned int i = 0; i < size; i++)
        value |= (u64)read_one(u, (at - u->port + i) & 7) << 8 * i;
    update(u);
    return value;
}

static void write_ports(void *dev, u64 at, unsigned int size, u64 value)
{
    struct vuart *u = dev;

    for (unsigned int i = 0; i < size; i++)
        write_one(u, (at - u->port + i) & 7, value >> 8 * i);
    update(u);
}

void vuart_poll(struct vuart *u)
{
    take_input(u);
    update(u);
}

struct vuart *vuart_create(struct domain *d, struct hvm_io *io, u16 port, unsigned int gsi)
{
    struct vuart *u = arch_alloc(sizeof(*u));

    if (!u)
        return NULL;
    u->d = d;
    u->port = port;
    u->gsi = gsi;
    u->divisor[0] = 1; /* 115,200 baud */
    return hvm_io_register_all(io, HVM_IO_PORT, u, &(struct hvm_io_handler){port, port + 7u, read_ports, write_ports, u}, 1);
}

void vuart_destroy(struct vuart *u)
{
    arch_free(u);
}

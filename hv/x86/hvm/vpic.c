/* SPDX-License-Identifier: MIT */
/*
 * The pair of interrupt controllers: two 8259A, the second at input 2 of the first, and the edge/level registers of the ISA bridge.
 * device.h has the interface. Source: Intel 8259A data sheet (order 231468); ELCR: Intel 82371SB data sheet §2.5.4.
 *
 * Priorities fixed or rotating, special mask, special fully nested, automatic end of interrupt, polling. An input that falls before it
 * was acknowledged gives the spurious vector of its chip (input 7) without a bit in service. Inputs 0, 1, 2, 8 and 13 are edges always.
 * Does not: single mode (ICW1 bit 1 only leaves ICW3 out), the 8085's calls, buffered mode.
 */
#include "vdevice.h"

struct chip {
    u8 irr, isr, imr;
    u8 line;       /* levels of the inputs */
    u8 level;      /* ELCR: inputs that are levels, not edges */
    u8 level_may;  /* of these, those that may be */
    u8 base;       /* vector of input 0 */
    u8 lowest;     /* input of the lowest priority: 7, or as rotated */
    u8 expects;    /* next write to the odd port: ICW 2, 3, 4, or 0: the mask */
    bool expects_icw4, single, auto_eoi, rotate_auto, special_mask, special_nested, read_isr, poll;
};

struct vpic {
    struct chip chip[2]; /* first, second */
    struct domain *d;
};

/* Of a set of inputs the one of the highest priority, -1: empty. */
static int first_of(const struct chip *c, u8 set)
{
    unsigned int shift = (c->lowest + 1) & 7;

    set = set >> shift | set << (8 - shift);
    return set ? (int)((__builtin_ctz(set) + shift) & 7) : -1;
}

static unsigned int rank(const struct chip *c, unsigned int input)
{
    return (input - c->lowest - 1) & 7;
}

/* The input that the chip asks its output for, -1: none. */
static int wanted(const struct chip *c)
{
    u8 in_service = c->special_mask ? c->isr & ~c->imr : c->isr;
    int input = first_of(c, c->irr & ~c->imr & (c->special_mask ? ~c->isr : 0xff)), busy;

    if (input < 0)
        return -1;
    if (c->special_mask)
        return input;
    if (c->special_nested) /* an input in service does not hold its own chip's higher inputs back */
        in_service &= ~(1u << input);
    busy = first_of(c, in_service);
    return busy >= 0 && rank(c, busy) <= rank(c, input) ? -1 : input;
}

static void set_input(struct chip *c, unsigned int input, bool level)
{
    u8 bit = 1u << input;

    if (c->level & bit)
        c->irr = level ? c->irr | bit : c->irr & ~bit;
    else if (level && !(c->line & bit))
        c->irr |= bit;
    else if (!level)
        c->irr &= ~bit;
    c->line = level ? c->line | bit : c->line & ~bit;
}

/* Anything may have changed: the second chip's output is the first's input, the first's is the processor's. */
static void update(struct vpic *p)
{
    set_input(&p->chip[0], 2, wanted(&p->chip[1]) >= 0);
    if (wanted(&p->chip[0]) >= 0)
        hvm_vcpu_kick(p->d->vcpu[0]);
}

void vpic_set(struct vpic *p, unsigned int irq, bool level)
{
    if (irq == 2 || irq > 15)
        return;
    set_input(&p->chip[irq >> 3], irq & 7, level);
    update(p);
}

/* The processor, or a poll, takes an input of this chip. */
static void acknowledge(struct chip *c, unsigned int input)
{
    u8 bit = 1u << input;

    if (c->auto_eoi) {
        if (c->rotate_auto)
            c->lowest = input;
    } else {
        c->isr |= bit;
    }
    if (!(c->level & bit))
        c->irr &= ~bit;
}

int vpic_pending(const struct vpic *p)
{
    int input = wanted(&p->chip[0]), second;

    if (input != 2)
        return input < 0 ? -1 : p->chip[0].base + input;
    second = wanted(&p->chip[1]);
    return p->chip[1].base + (second < 0 ? 7 : second);
}

u8 vpic_accept(struct vpic *p)
{
    int input = wanted(&p->chip[0]);
    u8 vector;

    if (input < 0)
        return p->chip[0].base + 7;
    acknowledge(&p->chip[0], input);
    vector = p->chip[0].base + input;
    if (input == 2) {
        input = wanted(&p->chip[1]);
        if (input >= 0)
            acknowledge(&p->chip[1], input);
        vector = p->chip[1].base + (input < 0 ? 7 : input);
    }
    update(p);
    return vector;
}

static void initialise(struct chip *c, u8 icw1)
{
    c->irr = c->level & c->line;
    c->isr = c->imr = 0;
    c->lowest = 7;
    c->auto_eoi = c->rotate_auto = c->special_mask = c->special_nested = c->read_isr = c->poll = false;
    c->single = icw1 & 2;
    c->expects_icw4 = icw1 & 1;
    c->expects = 2;
}

static void operate(struct chip *c, u8 ocw2)
{
    u8 command = ocw2 >> 5;
    int input = command & 2 ? ocw2 & 7 : first_of(c, c->special_mask ? c->isr & ~c->imr : c->isr);

    switch (command) {
    case 0: case 4: /* rotation with automatic end of interrupt: off, on */
        c->rotate_auto = command == 4;
        break;
    case 1: case 3: case 5: case 7: /* end of interrupt: highest or named, without and with rotation */
        if (input < 0)
            break;
        c->isr &= ~(1u << input);
        if (command & 4)
            c->lowest = input;
        break;
    case 6: /* set priority */
        c->lowest = input;
        break;
    }
}

static void write_even(struct chip *c, u8 v)
{
    if (v & 0x10) {
        initialise(c, v);
    } else if (v & 0x08) {
        c->poll = v & 4;
        if (v & 2)
            c->read_isr = v & 1;
        if (v & 0x40)
            c->special_mask = v & 0x20;
    } else {
        operate(c, v);
    }
}

static void write_odd(struct chip *c, u8 v)
{
    switch (c->expects) {
    case 0:
        c->imr = v;
        break;
    case 2:
        c->base = v & 0xf8;
        c->expects = !c->single ? 3 : c->expects_icw4 ? 4 : 0;
        break;
    case 3: /* which input the second is at: fixed by the wiring */
        c->expects = c->expects_icw4 ? 4 : 0;
        break;
    case 4:
        c->auto_eoi = v & 2;
        c->special_nested = v & 0x10;
        c->expects = 0;
        break;
    }
}

static u8 read_poll(struct chip *c)
{
    int input = wanted(c);

    c->poll = false;
    if (input < 0)
        return 0;
    acknowledge(c, input);
    return 0x80 | input;
}

static u64 read_ports(void *dev, u64 at, unsigned int size)
{
    struct vpic *p = dev;
    u64 value = 0;

    for (unsigned int i = 0; i < size; i++) {
        struct chip *c = &p->chip[at + i >= 0xa0];
        u8 v = (at + i) & 1 ? c->imr : c->poll ? read_poll(c) : c->read_isr ? c->isr : c->irr;

        value |= (u64)v << 8 * i;
    }
    update(p);
    return value;
}

static void write_ports(void *dev, u64 at, unsigned int size, u64 value)
{
    struct vpic *p = dev;

    for (unsigned int i = 0; i < size; i++) {
        struct chip *c = &p->chip[at + i >= 0xa0];

        if ((at + i) & 1)
            write_odd(c, value >> 8 * i);
        else
            write_even(c, value >> 8 * i);
    }
    update(p);
}

static u64 read_elcr(void *dev, u64 at, unsigned int size)
{
    struct vpic *p = dev;

    return size == 2 ? p->chip[0].level | p->chip[1].level << 8 : p->chip[at & 1].level;
}

static void write_elcr(void *dev, u64 at, unsigned int size, u64 value)
{
    struct vpic *p = dev;

    for (unsigned int i = 0; i < size; i++) {
        struct chip *c = &p->chip[(at + i) & 1];

        c->level = value >> 8 * i & c->level_may;
        c->irr = (c->irr & ~c->level) | (c->line & c->level);
    }
    update(p);
}

struct vpic *vpic_create(struct domain *d, struct hvm_io *io)
{
    struct vpic *p = arch_alloc(sizeof(*p));

    if (!p)
        return NULL;
    p->d = d;
    for (unsigned int i = 0; i < 2; i++) {
        p->chip[i].lowest = 7;
        p->chip[i].imr = 0xff; /* quiet until it is programmed */
        p->chip[i].level_may = i ? 0xde : 0xf8;
    }
    p->chip[0].base = 0x08;
    p->chip[1].base = 0x70;
    return hvm_io_register_all(io, HVM_IO_PORT, p, (struct hvm_io_handler[]){
        {0x20, 0x21, read_ports, write_ports, p},
        {0xa0, 0xa1, read_ports, write_ports, p},
        {0x4d0, 0x4d1, read_elcr, write_elcr, p}}, 3);
}

void vpic_destroy(struct vpic *p)
{
    arch_free(p);
}

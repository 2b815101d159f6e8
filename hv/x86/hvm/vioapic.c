/* SPDX-License-Identifier: MIT */
/*
 * The I/O APIC: 24 inputs, each with an entry that says which message it sends. device.h has the interface.
 * Source: Intel 82093AA data sheet (order 290566), §3.
 *
 * Inputs are active or not: polarity is kept and read back, and has no effect. An edge on a masked input is lost (§3.2.4). A level is
 * sent once and again after the guest's end of interrupt, while it lasts; writing an entry as edge ends it too.
 * Does not: an EOI register (version 11h has none), arbitration, SMI.
 */
#include "vdevice.h"

#define PINS 24
#define VERSION 0x11u

#define E_VECTOR 0xffull
#define E_MODE(e) ((e) >> 8 & 7)
#define E_LOGICAL (1ull << 11)
#define E_REMOTE_IRR (1ull << 14)
#define E_LEVEL (1ull << 15)
#define E_MASKED (1ull << 16)
#define E_WRITABLE 0xff0000000001afffull

struct vioapic {
    u64 entry[PINS];
    u32 lines;     /* levels of the inputs */
    u32 id;
    u8 select;
    struct domain *d;
};

static void send(struct vioapic *p, unsigned int pin)
{
    u64 e = p->entry[pin];
    struct vlapic_message m = {
        .dest = e >> 56, .logical = e & E_LOGICAL, .level = e & E_LEVEL, .mode = E_MODE(e), .vector = e & E_VECTOR,
    };

    if (m.dest == 0xff)
        m.dest = ~0u;
    if (e & E_LEVEL)
        p->entry[pin] |= E_REMOTE_IRR;
    hvm_apic_deliver(p->d, &m);
}

/* A level input sends if it is on, unmasked and not being served. */
static void look_at_level(struct vioapic *p, unsigned int pin)
{
    if (p->lines >> pin & 1 && (p->entry[pin] & (E_LEVEL | E_MASKED | E_REMOTE_IRR)) == E_LEVEL)
        send(p, pin);
}

void vioapic_set(struct vioapic *p, unsigned int gsi, bool level)
{
    u32 bit = 1u << gsi;
    bool rises;

    if (gsi >= PINS)
        return;
    rises = level && !(p->lines & bit);
    p->lines = level ? p->lines | bit : p->lines & ~bit;
    if (p->entry[gsi] & E_LEVEL)
        look_at_level(p, gsi);
    else if (rises && !(p->entry[gsi] & E_MASKED))
        send(p, gsi);
}

void vioapic_eoi(struct vioapic *p, u8 vector)
{
    for (unsigned int pin = 0; pin < PINS; pin++) {
        if ((p->entry[pin] & (E_VECTOR | E_LEVEL | E_REMOTE_IRR)) != (vector | E_LEVEL | E_REMOTE_IRR))
            continue;
        p->entry[pin] &= ~E_REMOTE_IRR;
        look_at_level(p, pin);
    }
}

static u32 read_register(const struct vioapic *p)
{
    unsigned int pin = (p->select - 0x10u) / 2;

    switch (p->select) {
    case 0x00:
    case 0x02:
        return p->id;
    case 0x01:
        return VERSION | (PINS - 1) << 16;
    }
    return p->select >= 0x10 && pin < PINS ? p->entry[pin] >> 32 * (p->select & 1) : 0;
}

static void write_register(struct vioapic *p, u32 value)
{
    unsigned int pin = (p->select - 0x10u) / 2, shift = 32 * (p->select & 1);
    u64 *e, may = E_WRITABLE & 0xffffffffull << shift;

    if (p->select == 0x00)
        p->id = value & 0x0f000000;
    if (p->select < 0x10 || pin >= PINS)
        return;
    e = &p->entry[pin];
    *e = (*e & ~may) | ((u64)value << shift & may);
    if (!(*e & E_LEVEL))
        *e &= ~E_REMOTE_IRR;
    look_at_level(p, pin);
}

static u64 mmio_read(void *dev, u64 at, unsigned int size)
{
    struct vioapic *p = dev;

    switch (at & 0xff) {
    case 0x00:
        return p->select;
    case 0x10:
        return read_register(p);
    }
    return 0;
}

static void mmio_write(void *dev, u64 at, unsigned int size, u64 value)
{
    struct vioapic *p = dev;

    switch (at & 0xff) {
    case 0x00:
        p->select = value;
        break;
    case 0x10:
        if (size >= 4)
            write_register(p, value);
        break;
    }
}

struct vioapic *vioapic_create(struct domain *d, struct hvm_io *io, u64 base)
{
    struct vioapic *p = arch_alloc(sizeof(*p));

    if (!p)
        return NULL;
    p->d = d;
    for (unsigned int pin = 0; pin < PINS; pin++)
        p->entry[pin] = E_MASKED;
    return hvm_io_register_all(io, HVM_IO_MEMORY, p, &(struct hvm_io_handler){base, base + PAGE_SIZE - 1, mmio_read, mmio_write, p}, 1);
}

void vioapic_destroy(struct vioapic *p)
{
    arch_free(p);
}

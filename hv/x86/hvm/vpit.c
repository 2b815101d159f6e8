/* SPDX-License-Identifier: MIT */
/*
 * The interval timer 8254 and port 0x61, which has its third channel's gate and output. device.h has the interface.
 * Source: Intel 8254 data sheet (order 231164); port 61h: Intel 82371SB data sheet §2.5.3.
 *
 * Each count and output is a function of system time, 1,193,182 ticks a second; nothing is stepped. All six modes, binary and BCD,
 * latch and read-back. Channel 0 interrupts (line 0) at each rise of its output; channel 1 only counts.
 * Timer policy: interrupts that are late become one, never more than one in VDEVICE_PERIOD_MIN; the phase is kept.
 * A count that is written while the channel counts takes effect at once (data sheet: modes 2 and 3 at the end of the period).
 */
#include "vdevice.h"

#define HZ 1193182u
#define REFRESH_NS 15085 /* port 61h bit 4 toggles with each memory refresh */

struct channel {
    u8 mode;          /* 0 to 5 */
    u8 access;        /* 1 low byte, 2 high byte, 3 low then high */
    bool bcd, gate;
    bool loaded, counting; /* loaded: a count was written since the mode was */
    bool write_high, read_high; /* access 3: the high byte is next */
    bool halted;      /* mode 0: the low byte was written, the high one is awaited */
    u8 low;           /* of a count half written */
    bool status_latched;
    u8 status;
    u8 latched;       /* bytes of `latch` still to be read: bit 0 low, bit 1 high */
    u16 latch;
    u32 count;        /* 1 to 65,536 (BCD: 10,000) */
    ns_t start;       /* when it began from `count`, while it counts */
    u64 held;         /* ticks it had counted when it stopped */
};

struct vpit {
    struct channel ch[3];
    u8 port61;        /* bits 0 and 1 as written */
    struct timer timer; /* next rise of channel 0's output */
    struct domain *d;
    struct hvm_io *io;
};

static u64 elapsed(const struct channel *c, ns_t now)
{
    return c->counting ? vdevice_ticks(now - c->start, HZ) : c->held;
}

/* Modes 2 and 3 begin again at the end. */
static bool repeats(const struct channel *c)
{
    return c->mode == 2 || c->mode == 3;
}

static bool output(const struct channel *c, ns_t now)
{
    u64 t = elapsed(c, now);

    if (!c->loaded)
        return c->mode != 0;
    switch (c->mode) {
    case 0:
        return t >= c->count;
    case 1: /* high until triggered */
        return !c->counting || t >= c->count;
    case 2:
        return !c->gate || t % c->count != c->count - 1;
    case 3:
        return !c->gate || t % c->count < (c->count + 1) / 2;
    default:
        return t != c->count;
    }
}

/* The counter as it would be read. */
static u16 counter(const struct channel *c, ns_t now)
{
    u64 t = elapsed(c, now);
    u32 modulus = c->bcd ? 10000 : 65536, n;

    if (!c->loaded)
        return 0;
    if (c->mode == 3)
        n = c->count - 2 * (t % c->count) % c->count;
    else if (c->mode == 2)
        n = c->count - t % c->count;
    else
        n = (c->count + modulus - t % modulus) % modulus;
    n %= modulus;
    return c->bcd ? (u32)vdevice_to_bcd(n / 100) << 8 | vdevice_to_bcd(n % 100) : n;
}

/* Ticks after the start at which the output next rises behind tick t; ~0: never. */
static u64 next_rise(const struct channel *c, u64 t)
{
    if (!c->loaded || !c->counting)
        return ~0ull;
    if (repeats(c))
        return (t / c->count + 1) * c->count;
    if (c->mode == 0)
        return t < c->count ? c->count : ~0ull;
    return c->mode == 4 && t <= c->count ? c->count + 1 : ~0ull;
}

/* Set the timer to channel 0's next interrupt that is behind `now`. */
static void arm(struct vpit *p, ns_t now)
{
    struct channel *c = &p->ch[0];
    u64 rise = next_rise(c, elapsed(c, now));

    if (rise == ~0ull) {
        timer_stop(&p->timer);
        return;
    }
    if (repeats(c) && c->start + vdevice_ns(rise, HZ) < now + VDEVICE_PERIOD_MIN && vdevice_ns(c->count, HZ) < VDEVICE_PERIOD_MIN)
        rise = next_rise(c, elapsed(c, now + VDEVICE_PERIOD_MIN));
    timer_set(&p->timer, p->d->vcpu[0]->processor, c->start + vdevice_ns(rise, HZ));
}

static void rose(void *arg)
{
    struct vpit *p = arg;
    HOLD(&p->io->lock);

    hvm_irq_line(p->d, 0, false);
    hvm_irq_line(p->d, 0, true);
    arm(p, now_ns());
}

/* After a change to channel 0: its line, if low, and its next interrupt. */
static void changed(struct vpit *p, unsigned int n, ns_t now)
{
    if (n)
        return;
    hvm_irq_line(p->d, 0, output(&p->ch[0], now));
    arm(p, now);
}

static void begin(struct channel *c, ns_t now)
{
    c->start = now;
    c->held = 0;
    c->counting = true;
}

static void stop(struct channel *c, ns_t now)
{
    c->held = elapsed(c, now);
    c->counting = false;
}

static void set_gate(struct channel *c, bool gate, ns_t now)
{
    bool rises = gate && !c->gate;

    if (gate == c->gate)
        return;
    if (c->mode == 0 || c->mode == 4) { /* a low gate holds the count */
        if (rises && c->loaded && !c->counting && !c->halted) {
            c->start = now - vdevice_ns(c->held, HZ);
            c->counting = true;
        } else if (!rises && c->counting) {
            stop(c, now);
        }
    } else if (rises && c->loaded) { /* a rising gate begins anew */
        begin(c, now);
    } else if (!rises && repeats(c) && c->counting) {
        stop(c, now);
    }
    c->gate = gate;
}

static void load(struct channel *c, u16 value, ns_t now)
{
    c->count = c->bcd ? (vdevice_from_bcd(value >> 8) * 100 + vdevice_from_bcd(value & 0xff)) % 10000 : value;
    if (!c->count)
        c->count = c->bcd ? 10000 : 65536;
    if (repeats(c) && c->count < 2)
        c->count = 2; /* 1 is illegal there */
    c->loaded = true;
    c->halted = false;
    if (c->mode == 1 || c->mode == 5) /* waits for its trigger */
        return;
    begin(c, now);
    if (!c->gate)
        stop(c, now);
}

static void write_count(struct vpit *p, unsigned int n, u8 v)
{
    struct channel *c = &p->ch[n];
    ns_t now = now_ns();

    if (c->access == 3 && !c->write_high) {
        c->low = v;
        c->write_high = true;
        if (c->mode == 0 && c->counting) {
            stop(c, now);
            c->halted = true;
        }
    } else {
        c->write_high = false;
        load(c, c->access == 1 ? v : c->access == 2 ? v << 8 : v << 8 | c->low, now);
    }
    changed(p, n, now);
}

static void latch_count(struct channel *c, ns_t now)
{
    if (c->latched)
        return;
    c->latch = counter(c, now);
    c->latched = c->access;
    c->read_high = false;
}

static void latch_status(struct channel *c, ns_t now)
{
    if (c->status_latched)
        return;
    c->status = output(c, now) << 7 | !c->loaded << 6 | c->access << 4 | c->mode << 1 | c->bcd;
    c->status_latched = true;
}

static void write_control(struct vpit *p, u8 v)
{
    unsigned int n = v >> 6;
    ns_t now = now_ns();
    struct channel *c;
    bool gate;

    if (n == 3) { /* read-back */
        for (unsigned int i = 0; i < 3; i++) {
            if (!(v >> (i + 1) & 1))
                continue;
            if (!(v & 0x20))
                latch_count(&p->ch[i], now);
            if (!(v & 0x10))
                latch_status(&p->ch[i], now);
        }
        return;
    }
    c = &p->ch[n];
    if (!(v & 0x30)) {
        latch_count(c, now);
        return;
    }
    gate = c->gate;
    *c = (struct channel){.mode = v >> 1 & 7, .access = v >> 4 & 3, .bcd = v & 1, .gate = gate, .count = 65536};
    if (c->mode > 5)
        c->mode -= 4;
    changed(p, n, now);
}

static u8 read_count(struct channel *c)
{
    u16 value;
    bool high;

    if (c->status_latched) {
        c->status_latched = false;
        return c->status;
    }
    value = c->latched ? c->latch : counter(c, now_ns());
    high = c->access == 2 || (c->access == 3 && c->read_high);
    if (c->access == 3)
        c->read_high = !c->read_high;
    c->latched &= high ? ~2 : ~1;
    return high ? value >> 8 : value;
}

static u64 read_ports(void *dev, u64 at, unsigned int size)
{
    struct vpit *p = dev;
    u64 value = 0;

    for (unsigned int i = 0; i < size; i++) {
        unsigned int n = (at + i) & 3;

        value |= (u64)(n < 3 ? read_count(&p->ch[n]) : 0) << 8 * i;
    }
    return value;
}

static void write_ports(void *dev, u64 at, unsigned int size, u64 value)
{
    struct vpit *p = dev;

    for (unsigned int i = 0; i < size; i++) {
        unsigned int n = (at + i) & 3;

        if (n < 3)
            write_count(p, n, value >> 8 * i);
        else
            write_control(p, value >> 8 * i);
    }
}

static u64 read_61(void *dev, u64 at, unsigned int size)
{
    struct vpit *p = dev;
    ns_t now = now_ns();

    return p->port61 | (now / REFRESH_NS & 1) << 4 | (u64)output(&p->ch[2], now) << 5;
}

static void write_61(void *dev, u64 at, unsigned int size, u64 value)
{
    struct vpit *p = dev;

    p->port61 = value & 3;
    set_gate(&p->ch[2], value & 1, now_ns());
}

struct vpit *vpit_create(struct domain *d, struct hvm_io *io)
{
    struct vpit *p = arch_alloc(sizeof(*p));

    if (!p)
        return NULL;
    p->d = d;
    p->io = io;
    for (unsigned int i = 0; i < 3; i++)
        p->ch[i] = (struct channel){.access = 3, .gate = i < 2, .count = 65536};
    timer_setup(&p->timer, rose, p);
    return hvm_io_register_all(io, HVM_IO_PORT, p, (struct hvm_io_handler[]){
        {0x40, 0x43, read_ports, write_ports, p},
        {0x61, 0x61, read_61, write_61, p}}, 2);
}

void vpit_destroy(struct vpit *p)
{
    if (p)
        timer_stop(&p->timer);
    arch_free(p);
}

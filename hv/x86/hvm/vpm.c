/* SPDX-License-Identifier: MIT */
/*
 * ACPI fixed hardware: the PM1a event and control blocks, the power management timer (32 bits), and the reset register at port 0xcf9.
 * device.h has the interface. Source: ACPI specification 6.4 §4.8.3 (PM1, PM timer), §4.8.3.6 (reset register);
 * port CF9h: Intel 82371SB data sheet §2.5.6.
 *
 * ACPI mode is on always (SCI_EN reads 1; there is no SMI command port). Sleep type 5 with SLP_EN is soft-off; other types do nothing.
 * The system control interrupt is line 9. The timer's status bit is computed when it is looked at; a timer of the hypervisor runs only
 * while its interrupt is enabled and not flagged.
 */
#include "vdevice.h"

#define HZ 3579545u
#define SCI 9
#define RESET_PORT 0xcf9
#define STS_TIMER    0x0001
#define STS_WRITABLE 0x8731 /* written as 1: cleared */
#define EN_WRITABLE  0x0721
#define CNT_SCI_EN   0x0001
#define CNT_WRITABLE 0x1c06
#define CNT_SLP_EN   0x2000
#define HALF (1ull << 31)  /* the status bit is set when the timer's highest bit changes */

struct vpm {
    u16 status, enable, control, port;
    u8 reset;
    u64 halves;    /* changes of the highest bit that are in status */
    struct timer timer;
    struct domain *d;
    struct hvm_io *io;
};

static u64 ticks(ns_t now)
{
    return vdevice_ticks(now, HZ);
}

static void update(struct vpm *p)
{
    ns_t now = now_ns();
    u64 halves = ticks(now) / HALF;

    if (halves != p->halves) {
        p->halves = halves;
        p->status |= STS_TIMER;
    }
    hvm_irq_line(p->d, SCI, p->status & p->enable);
    if (p->enable & ~p->status & STS_TIMER)
        timer_set(&p->timer, p->d->vcpu[0]->processor, vdevice_ns((halves + 1) * HALF, HZ));
    else
        timer_stop(&p->timer);
}

static void due(void *arg)
{
    struct vpm *p = arg;
    HOLD(&p->io->lock);

    update(p);
}

static u8 read_one(struct vpm *p, unsigned int offset, u32 timer)
{
    switch (offset) {
    case VPM_EVENT: case VPM_EVENT + 1:
        return p->status >> 8 * offset;
    case VPM_EVENT + 2: case VPM_EVENT + 3:
        return p->enable >> 8 * (offset - 2);
    case VPM_CONTROL: case VPM_CONTROL + 1:
        return (p->control | CNT_SCI_EN) >> 8 * (offset - VPM_CONTROL);
    case VPM_TIMER ... VPM_TIMER + 3:
        return timer >> 8 * (offset - VPM_TIMER);
    }
    return 0;
}

static u64 read_ports(void *dev, u64 at, unsigned int size)
{
    struct vpm *p = dev;
    unsigned int offset = at - p->port;
    u32 timer = ticks(now_ns());
    u64 value = 0;

    if (likely(offset == VPM_TIMER && size == 4))
        return timer;
    update(p);
    for (unsigned int i = 0; i < size; i++)
        value |= (u64)read_one(p, offset + i, timer) << 8 * i;
    return value;
}

static void write_one(struct vpm *p, unsigned int offset, u8 v)
{
    unsigned int shift = 8 * (offset & 1);
    u16 mask = 0xff << shift, bits = v << shift;

    switch (offset) {
    case VPM_EVENT: case VPM_EVENT + 1:
        p->status &= ~(bits & STS_WRITABLE);
        break;
    case VPM_EVENT + 2: case VPM_EVENT + 3:
        p->enable = (p->enable & ~mask) | (bits & EN_WRITABLE);
        break;
    case VPM_CONTROL: case VPM_CONTROL + 1:
        p->control = (p->control & ~mask) | (bits & CNT_WRITABLE);
        if (bits & CNT_SLP_EN && (p->control >> 10 & 7) == 5)
            hvm_power(p->d, SHUTDOWN_poweroff);
        break;
    }
}

static void write_ports(void *dev, u64 at, unsigned int size, u64 value)
{
    struct vpm *p = dev;

    update(p); /* what the timer set before this write */
    for (unsigned int i = 0; i < size; i++)
        write_one(p, at - p->port + i, value >> 8 * i);
    update(p);
}

static u64 read_reset(void *dev, u64 at, unsigned int size)
{
    struct vpm *p = dev;

    return p->reset;
}

/* Bit 2 going from 0 to 1 resets the machine. */
static void write_reset(void *dev, u64 at, unsigned int size, u64 value)
{
    struct vpm *p = dev;
    bool rises = value & ~(u64)p->reset & 4;

    p->reset = value & 0x0e;
    if (rises)
        hvm_power(p->d, SHUTDOWN_reboot);
}

struct vpm *vpm_create(struct domain *d, struct hvm_io *io, u16 port)
{
    struct vpm *p = arch_alloc(sizeof(*p));

    if (!p)
        return NULL;
    p->d = d;
    p->io = io;
    p->port = port;
    p->halves = ticks(now_ns()) / HALF;
    timer_setup(&p->timer, due, p);
    return hvm_io_register_all(io, HVM_IO_PORT, p, (struct hvm_io_handler[]){
        {port, port + VPM_LENGTH - 1u, read_ports, write_ports, p},
        {RESET_PORT, RESET_PORT, read_reset, write_reset, p}}, 2);
}

void vpm_destroy(struct vpm *p)
{
    if (p)
        timer_stop(&p->timer);
    arch_free(p);
}

/* SPDX-License-Identifier: MIT */
/*
 * Where the devices of a hardware-assisted domain and the rest of hv/x86/hvm meet. Includes nothing of the processor: the device
 * files (vlapic.c, vioapic.c, vpic.c, vpit.c, vrtc.c, vuart.c, vpm.c) and decode.c compile in the host library too.
 *
 * How a device hooks in: its _create() allocates it and calls hvm_io_register() for its ports and memory; an access that exits is
 * looked up by hvm_io_access() and comes to the handler, already split to 1, 2, 4 (memory: 8) bytes that lie within one handler's
 * range. What nobody has registered reads as ones, and writes to it are dropped.
 * How a device interrupts: it drives a line by hvm_irq_line(d, gsi, level) (platform.c), which tells PIC and I/O APIC; they
 * tell the local APIC or the vCPU. Whoever makes an interrupt deliverable calls hvm_vcpu_kick(v); that wakes a vCPU in HLT and sees to
 * it that interrupts are looked for before its next entry.
 * How an interrupt is found: irq.c asks, before each entry, event upcall (callback vector), vlapic_pending(), vpic_pending() where
 * the local APIC lets it through (vlapic_accepts_pic()); the first one that there is goes in if the guest takes interrupts, with
 * vlapic_accept() or vpic_accept(); else the vendor's interrupt window is opened.
 * Time: now_ns() is the time of every device, and struct timer (core/timer.h) wakes it. The guest's TSC is the machine's, never
 * trapped; a device's counter is a function of now_ns(), not of exits.
 * Locks: struct hvm_io has one for all devices of a domain. It is taken around each access to them, by their timers, and by platform.c
 * where the rest asks them; what they call (hvm_irq_line(), hvm_power() ...) is called with it. Local APICs are outside of it (vlapic.c).
 * Values that a guest writes are attacks: a handler accepts any value of its size.
 */
#ifndef PARANGON_HVM_DEVICE_H
#define PARANGON_HVM_DEVICE_H

#include "core/domain.h"
#include "core/timer.h"

/* ---- ports and memory ---- */

enum hvm_io_space { HVM_IO_PORT, HVM_IO_MEMORY, HVM_IO_SPACES };

struct hvm_io_handler {
    u64 first, last; /* ports or guest-physical addresses, inclusive */
    /** size 1, 2, 4 or (memory) 8; the value in the low bytes, those above are ignored. */
    u64 (*read)(void *dev, u64 at, unsigned int size);
    void (*write)(void *dev, u64 at, unsigned int size, u64 value);
    void *dev;
    bool unlocked; /* called without the devices' lock */
};

#define HVM_IO_MAX 32 /* handlers of each space */

/** What a domain's devices have registered, sorted by `first`. */
struct hvm_io {
    struct spinlock lock;
    struct hvm_io_handler handler[HVM_IO_SPACES][HVM_IO_MAX];
    unsigned int nr[HVM_IO_SPACES];
    u64 ports[1024 / 4]; /* a bit for each 4 ports among which some are registered */
};

/** True where nobody has registered this port, nor (size 4 at most) one that an access there reaches. */
static inline bool hvm_io_no_port(const struct hvm_io *io, u32 port)
{
    return !((io->ports[port >> 8] >> (port >> 2 & 63) | io->ports[(port + 3) >> 8 & 255] >> ((port + 3) >> 2 & 63)) & 1);
}

/** Register a range. -XEN_EEXIST: it meets another's, -XEN_ENOSPC: too many, -XEN_EINVAL: empty. */
int hvm_io_register(struct hvm_io *io, enum hvm_io_space space, const struct hvm_io_handler *h);
/** The nr ranges of a device that arch_alloc() gave; it is freed where one cannot be registered. @return dev; NULL */
void *hvm_io_register_all(struct hvm_io *io, enum hvm_io_space space, void *dev, const struct hvm_io_handler *h, unsigned int nr);
/** One access. False: nobody's; a read then gives ones. */
bool hvm_io_read(struct hvm_io *io, enum hvm_io_space space, u64 at, unsigned int size, u64 *value);
bool hvm_io_write(struct hvm_io *io, enum hvm_io_space space, u64 at, unsigned int size, u64 value);

/* ---- what devices call; platform.c and irq.c have it, tests/ stand in for it ---- */

/** An interrupt may have become deliverable to v: wake it from HLT and SCHEDOP_poll, look for interrupts before its next entry. */
void hvm_vcpu_kick(struct vcpu *v);
/** Drive interrupt line gsi (0 to 23; 0 to 15 are the ISA lines, the PIC's and the I/O APIC's) of a domain. Level until changed. */
void hvm_irq_line(struct domain *d, unsigned int gsi, bool level);
/** Deliver a message from I/O APIC or local APIC (SDM vol. 3 §10.11): destination and mode as in its address and data. */
struct vlapic;
struct vlapic_message {
    u32 dest;        /* APIC id, or logical destination */
    bool logical, level;
    u8 mode;         /* 0 fixed, 1 lowest priority, 2 SMI, 4 NMI, 5 INIT, 6 STARTUP, 7 ExtINT */
    u8 vector;
    const struct vlapic *except; /* all but this one; NULL: all that match */
};
void hvm_apic_deliver(struct domain *d, const struct vlapic_message *m);
/** The guest has ended a level-triggered interrupt of this vector: the I/O APIC looks at its lines again. */
void hvm_apic_eoi(struct domain *d, u8 vector);
/** The guest switched its machine off or reset it. how: SHUTDOWN_poweroff or SHUTDOWN_reboot (xen/sched.h). */
void hvm_power(struct domain *d, unsigned int how);
/** The guest wrote its task priority by a register: CR8 as the processor keeps it follows. */
void hvm_vcpu_tpr(struct vcpu *v, u8 cr8);
/** System time (now_ns()) at which the guest's TSC reaches `tsc`; a time that is over already: any that is over. */
ns_t hvm_tsc_deadline(u64 tsc);
/** Characters of the 16550's transmitter, and a receiver's next one (-1: none). */
void hvm_uart_put(struct domain *d, u8 c);
int hvm_uart_get(struct domain *d);

/* ---- local APIC (vlapic.c; SDM vol. 3 §10, APM vol. 2 §16) ---- */

/** Reset state, xAPIC enabled at 0xfee00000; BSP bit for vCPU 0. x2apic: x2APIC mode may be entered. NULL: no memory. */
struct vlapic *vlapic_create(struct vcpu *v, u32 apic_id, bool x2apic);
void vlapic_destroy(struct vlapic *l);
/** Registers as after INIT; APIC_BASE and ID stay. */
void vlapic_reset(struct vlapic *l);
/** As firmware leaves the boot processor's: software-enabled, LINT0 ExtINT, LINT1 NMI (SDM vol. 3 §10.5.1, virtual wire). */
void vlapic_virtual_wire(struct vlapic *l);
/** MSRs 0x1b (APIC_BASE), 0x6e0 (TSC_DEADLINE) and 0x800 to 0x8ff. False: #GP. */
bool vlapic_msr_read(struct vlapic *l, u32 msr, u64 *value);
bool vlapic_msr_write(struct vlapic *l, u32 msr, u64 value);
/** Its page of registers (xAPIC mode), for hvm_io_register() with dev = the vlapic. */
u64 vlapic_mmio_read(void *l, u64 at, unsigned int size);
void vlapic_mmio_write(void *l, u64 at, unsigned int size, u64 value);
/** Guest-physical address of that page; ~0 where it is disabled or in x2APIC mode. */
u64 vlapic_mmio_base(const struct vlapic *l);
/** An interrupt for this APIC: sets IRR (and TMR), kicks the vCPU. */
void vlapic_raise(struct vlapic *l, u8 vector, bool level);
/** Highest vector of IRR above the processor priority, -1: none (or the APIC is off). Cheap: it is asked before each entry. */
int vlapic_pending(const struct vlapic *l);
/** The vCPU takes it: IRR to ISR. */
void vlapic_accept(struct vlapic *l, u8 vector);
/** CR8, the upper four bits of TPR. */
u8 vlapic_cr8(const struct vlapic *l);
void vlapic_set_cr8(struct vlapic *l, u8 cr8);
/** ExtINT from the PIC goes through (LINT0 unmasked ExtINT, or the APIC is disabled). */
bool vlapic_accepts_pic(const struct vlapic *l);
/** Is this message for it? For hvm_apic_deliver(). */
bool vlapic_matches(const struct vlapic *l, u32 dest, bool logical);
/** It takes interrupts: enabled by APIC_BASE and SVR. */
bool vlapic_enabled(const struct vlapic *l);
/** Its processor priority (PPR): of those that match a lowest-priority message, the lowest is to get it. */
u8 vlapic_priority(const struct vlapic *l);
u32 vlapic_id(const struct vlapic *l);

/* ---- the rest of the platform of an HVM domain ---- */

struct vpic;
struct vpic *vpic_create(struct domain *d, struct hvm_io *io);        /* ports 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1 */
void vpic_destroy(struct vpic *p);
void vpic_set(struct vpic *p, unsigned int irq, bool level);
int vpic_pending(const struct vpic *p);                               /* vector, -1: none */
u8 vpic_accept(struct vpic *p);                                       /* acknowledge; the vector (a spurious one if it has gone) */

struct vioapic;
struct vioapic *vioapic_create(struct domain *d, struct hvm_io *io, u64 base); /* 24 lines, at 0xfec00000 */
void vioapic_destroy(struct vioapic *p);
void vioapic_set(struct vioapic *p, unsigned int gsi, bool level);
void vioapic_eoi(struct vioapic *p, u8 vector);

struct vpit;
struct vpit *vpit_create(struct domain *d, struct hvm_io *io);        /* ports 0x40 to 0x43, 0x61; line 0 (I/O APIC: 2) */
void vpit_destroy(struct vpit *p);
struct vrtc;
struct vrtc *vrtc_create(struct domain *d, struct hvm_io *io, u64 secs_at_0); /* 0x70, 0x71; seconds since 1970 at now_ns() 0; line 8 */
void vrtc_destroy(struct vrtc *p);
struct vuart;
struct vuart *vuart_create(struct domain *d, struct hvm_io *io, u16 port, unsigned int gsi); /* 0x3f8, line 4 */
void vuart_destroy(struct vuart *p);
void vuart_poll(struct vuart *p);                                     /* hvm_uart_get() may have something */
struct vpm;
struct vpm *vpm_create(struct domain *d, struct hvm_io *io, u16 port); /* ACPI: PM1 event, PM1 control (S5), PM timer, at port */
void vpm_destroy(struct vpm *p);
/** Offsets from `port` for the FADT. */
#define VPM_EVENT   0 /* PM1a event block, 4 bytes */
#define VPM_CONTROL 4 /* PM1a control block, 2 bytes; sleep type 5 is soft-off */
#define VPM_TIMER   8 /* PM timer, 4 bytes, 3.579545 MHz, 32 bits */
#define VPM_LENGTH  16

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A board for the devices of hardware-assisted domains: all of them on one domain of the simulated machine, with what they reach out to
 * (device.h) recorded here instead of done.
 */
#ifndef PARANGON_TESTS_BOARD_H
#define PARANGON_TESTS_BOARD_H

#include "hv/x86/hvm/device.h"
#include "tests/host/machine.h"

struct board {
    struct domain *d;
    struct hvm_io io;
    struct vlapic *apic[4];       /* of vCPU i, APIC id i */
    unsigned int nr_apics;
    struct vpic *pic;
    struct vioapic *ioapic;
    struct vpit *pit;
    struct vrtc *rtc;
    struct vuart *uart;
    struct vpm *pm;

    u64 kicks;
    u32 lines;                    /* levels */
    u64 rises[24];                /* of each line */
    struct vlapic_message last;   /* of hvm_apic_deliver() */
    u64 messages;
    u64 eois;
    u8 eoi_vector;
    unsigned int power;           /* 1 + how; 0: not called */
    u8 cr8;
    u8 out[256];
    unsigned int out_fill;
    const char *in;               /* characters to come; NULL: none */
};

extern struct board board;

/** Build it with this many vCPUs; x2apic: their APICs may have that mode. Time is one second. */
void board_start(unsigned int vcpus, bool x2apic);
void board_stop(void);

/* Ports, one byte or as many as it says; local and I/O APIC. */
u8 port_in(u16 port);
void port_out(u16 port, u8 v);
u32 port_in_n(u16 port, unsigned int size);
void port_out_n(u16 port, unsigned int size, u32 v);
u32 apic_in(unsigned int offset);
void apic_out(unsigned int offset, u32 v);
u32 ioapic_in(u8 reg);
void ioapic_out(u8 reg, u32 v);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What the device files share beside device.h: clocks as functions of system time, and the least distance of interrupts.
 */
#ifndef PARANGON_HVM_VDEVICE_H
#define PARANGON_HVM_VDEVICE_H

#include "device.h"
#include "lib.h"

/**
 * A periodic timer never interrupts more often, whatever the guest programs: what it missed is lost, the phase is kept. The hypervisor's
 * own time for one such interrupt is a small part of this.
 */
#define VDEVICE_PERIOD_MIN MICROSECS(20)

/** Ticks of a clock of hz (below 2^30) in ns, rounded down. */
static inline u64 vdevice_ticks(ns_t ns, u32 hz)
{
    return ns / SECONDS(1) * hz + ns % SECONDS(1) * hz / SECONDS(1);
}

/** The first time at which that clock, started at 0, has counted so many ticks. */
static inline ns_t vdevice_ns(u64 ticks, u32 hz)
{
    return ticks / hz * SECONDS(1) + (ticks % hz * SECONDS(1) + hz - 1) / hz;
}

/** Two decimal digits in one byte, and back (0 to 99; other bytes give some number below 256). */
static inline u8 vdevice_to_bcd(unsigned int n)
{
    return n / 10 << 4 | n % 10;
}
static inline unsigned int vdevice_from_bcd(u8 bcd)
{
    return (bcd >> 4) * 10 + (bcd & 15);
}

#endif

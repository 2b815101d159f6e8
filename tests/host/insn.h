/* SPDX-License-Identifier: MIT */
/*
 * The processor's instructions in the simulated machine, in place of hv/x86/insn.h: what the files of hv/x86 that run here need.
 *
 * They check what the processor, or the isolation of domains, would not forgive: CR3 gets validated top-level tables only, base
 * registers canonical addresses, an unprivileged domain never reaches a port, and single accesses to guest memory never lie in
 * the hypervisor's range. Each of these aborts. arch_host.c has the bodies.
 */
#ifndef PARANGON_INSN_H
#define PARANGON_INSN_H

#include "types.h"

u64 rdmsr(u32 msr);
void wrmsr(u32 msr, u64 v);
bool rdmsr_safe(u32 msr, u64 *v);
bool wrmsr_safe(u32 msr, u64 v);
u64 read_cr0(void);
void write_cr0(u64 v);
u64 read_cr3(void);
/** Flushes the TLB model of this pcpu. */
void write_cr3(u64 v);
void swapgs(void);
void xsetbv(u32 n, u64 v);
u32 host_port_in(u16 port, unsigned int size);
void host_port_out(u16 port, unsigned int size, u32 v);

/** The clock stands still between host_advance() calls. */
cycles_t rdtsc(void);

/** The TLB model knows frames, not addresses: nothing that isolation rests on may count on INVLPG. */
static inline void invlpg(u64 va)
{
    (void)va;
}
static inline void wbinvd(void)
{
}
/** A processor without features. */
static inline void cpuid(u32 leaf, u32 sub, u32 *a, u32 *b, u32 *c, u32 *d)
{
    (void)leaf;
    (void)sub;
    *a = *b = *c = *d = 0;
}

static inline u8 inb(u16 port)
{
    return host_port_in(port, 1);
}
static inline u16 inw(u16 port)
{
    return host_port_in(port, 2);
}
static inline u32 inl(u16 port)
{
    return host_port_in(port, 4);
}
static inline void outb(u16 port, u8 v)
{
    host_port_out(port, 1, v);
}
static inline void outw(u16 port, u16 v)
{
    host_port_out(port, 2, v);
}
static inline void outl(u16 port, u32 v)
{
    host_port_out(port, 4, v);
}

/* Access to guest memory, allowed between the two. */
void stac(void);
void clac(void);
bool guest_put8(u64 va, u64 val);
bool guest_get8(u64 va, u64 *val);

#endif

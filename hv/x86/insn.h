/* SPDX-License-Identifier: MIT */
/*
 * Instructions of the processor that C cannot say, each as a function of its name; and single accesses to guest memory.
 *
 * Found by the include path: the host library has the same functions over its simulated machine (tests/host/insn.h), so the files
 * that use no other instructions than these run there from the same source. Included through x86.h.
 */
#ifndef PARANGON_INSN_H
#define PARANGON_INSN_H

#include "types.h"

/** Read an MSR into memory, half by half. */
static inline void rdmsr_to(u32 msr, u64 *to)
{
    u32 *half = (u32 *)to;

    __asm__ volatile("rdmsr" : "=a"(half[0]), "=d"(half[1]) : "c"(msr));
}
static inline u64 rdmsr(u32 msr)
{
    u32 lo, hi;

    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return (u64)hi << 32 | lo;
}
static inline void wrmsr(u32 msr, u64 v)
{
    __asm__ volatile("wrmsr" ::"c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}
/** RDMSR and WRMSR that survive #GP; false then. In entry.S's fix-up table. */
bool rdmsr_safe(u32 msr, u64 *v);
bool wrmsr_safe(u32 msr, u64 v);

static inline cycles_t rdtsc(void)
{
    u32 lo, hi;

    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (u64)hi << 32 | lo;
}

#define REGISTER(name, ...)                                                                        \
    static inline u64 read_##name(void)                                                            \
    {                                                                                              \
        u64 v;                                                                                     \
        __asm__ volatile("mov %%" #name ", %0" : "=r"(v));                                         \
        return v;                                                                                  \
    }                                                                                              \
    static inline void write_##name(u64 v)                                                         \
    {                                                                                              \
        __asm__ volatile("mov %0, %%" #name ::"r"(v) : __VA_ARGS__);                               \
    }
REGISTER(cr0, "memory")
REGISTER(cr2, "memory")
REGISTER(cr3, "memory")
REGISTER(cr4, "memory")
REGISTER(dr0)
REGISTER(dr1)
REGISTER(dr2)
REGISTER(dr3)
REGISTER(dr6)
REGISTER(dr7)
#undef REGISTER

/** DR0 to DR3: where breakpoints lie. None is in force meanwhile that may lie in the hypervisor. */
static inline void write_breakpoints(const u64 dr[4])
{
    write_dr0(dr[0]);
    write_dr1(dr[1]);
    write_dr2(dr[2]);
    write_dr3(dr[3]);
}

static inline void invlpg(u64 va)
{
    __asm__ volatile("invlpg (%0)" ::"r"(va) : "memory");
}

static inline void cpuid(u32 leaf, u32 sub, u32 *a, u32 *b, u32 *c, u32 *d)
{
    __asm__ volatile("cpuid" : "=a"(*a), "=b"(*b), "=c"(*c), "=d"(*d) : "a"(leaf), "c"(sub));
}

static inline u8 inb(u16 port)
{
    u8 v;
    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline u16 inw(u16 port)
{
    u16 v;
    __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline u32 inl(u16 port)
{
    u32 v;
    __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline void outb(u16 port, u8 v)
{
    __asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}
static inline void outw(u16 port, u16 v)
{
    __asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(port));
}
static inline void outl(u16 port, u32 v)
{
    __asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port));
}

static inline void wbinvd(void)
{
    __asm__ volatile("wbinvd" ::: "memory");
}
static inline void xsetbv(u32 n, u64 v)
{
    __asm__ volatile("xsetbv" ::"c"(n), "a"((u32)v), "d"((u32)(v >> 32)));
}

static inline void swapgs(void)
{
    __asm__ volatile("swapgs" ::: "memory");
}

/* ---- guest memory: between stac() and clac() only, on addresses already checked (guest_range_ok()) ---- */

#define GUEST_SITE(op)                                                                             \
    __asm__ volatile("661: nopl (%%rax)\n\t.pushsection .smap_sites, \"a\"\n\t.quad 661b, " #op \
                     "\n\t.popsection" ::                                                          \
                         : "memory")
#define stac() GUEST_SITE(0xcb)
#define clac() GUEST_SITE(0xca)

/** One 8-byte access to guest memory between stac() and clac(), on an address already checked; false if it faults. */
#define guest_put8(va, val)                                                                        \
    ({                                                                                             \
        __label__ fault, out;                                                                      \
        bool ok_ = true;                                                                           \
        __asm__ goto("1: movq %1, (%0)\n\t.pushsection .fixup_table, \"a\"\n\t.quad 1b, %l[fault]\n\t.popsection" \
                     :                                                                             \
                     : "r"(va), "er"((u64)(val))                                                   \
                     : "memory"                                                                    \
                     : fault);                                                                     \
        goto out;                                                                                  \
    fault:                                                                                         \
        ok_ = false;                                                                               \
    out:                                                                                           \
        ok_;                                                                                       \
    })
static inline bool guest_get8(u64 va, u64 *val)
{
    u64 v;

    __asm__ goto("1: movq (%1), %0\n\t.pushsection .fixup_table, \"a\"\n\t.quad 1b, %l[fault]\n\t.popsection"
                 : "=r"(v)
                 : "r"(va)
                 : "memory"
                 : fault);
    *val = v;
    return true;
fault:
    return false;
}

#endif

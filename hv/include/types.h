/* SPDX-License-Identifier: MIT */
/*
 * The numbers of the hypervisor, with their units in their types. Included first by every file of hv/.
 *
 * Frame numbers are wrapped in structures so that the compiler keeps machine frames, guest frames and plain
 * integers apart; times are plain 64-bit numbers named for their unit.
 */
#ifndef PARANGON_TYPES_H
#define PARANGON_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

/** Machine frame number: a 4 KiB frame of the machine's physical memory. */
typedef struct {
    u64 n;
} mfn_t;
/** Guest frame number: a frame as the guest numbers it (equal to the mfn for a PV domain's page tables). */
typedef struct {
    u64 n;
} gfn_t;
/** Nanoseconds since the hypervisor started (system time of the Xen ABI). */
typedef u64 ns_t;
/** Ticks of the time stamp counter. */
typedef u64 cycles_t;
/** A guest's virtual address, never dereferenced by the hypervisor but through guest.h. */
typedef u64 gva_t;

#define MFN(x)      ((mfn_t){(x)})
#define GFN(x)      ((gfn_t){(x)})
#define MFN_INVALID MFN(~0ull)

#define PAGE_SHIFT 12
#define PAGE_SIZE  (1ull << PAGE_SHIFT)
#define PAGE_MASK  (~(PAGE_SIZE - 1))

#define KB(n)      ((u64)(n) << 10)
#define MB(n)      ((u64)(n) << 20)
#define GB(n)      ((u64)(n) << 30)
#define MICROSECS(n) ((ns_t)(n) * 1000)
#define MILLISECS(n) ((ns_t)(n) * 1000000)
#define SECONDS(n)   ((ns_t)(n) * 1000000000)
#define NS_NEVER     (~(ns_t)0)

#define ARRAY_SIZE(a)          (sizeof(a) / sizeof((a)[0]))
#define container_of(p, t, m)  ((t *)((char *)(p)-offsetof(t, m)))
#define likely(x)              __builtin_expect(!!(x), 1)
#define unlikely(x)            __builtin_expect(!!(x), 0)
#define __always_inline_       inline __attribute__((always_inline))
#define __cold_                __attribute__((cold, noinline))
#define __packed_              __attribute__((packed))
#define __aligned_(n)          __attribute__((aligned(n)))
#define __printf_(f, a)        __attribute__((format(printf, f, a)))
#define min_of(a, b)           ((a) < (b) ? (a) : (b))
#define max_of(a, b)           ((a) > (b) ? (a) : (b))
#define round_up(x, n)         (((x) + (n)-1) & ~((n)-1))
#define barrier()              __asm__ volatile("" ::: "memory")
#define READ_ONCE(x)           (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v)       (*(volatile __typeof__(x) *)&(x) = (v))

#endif

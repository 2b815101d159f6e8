/* SPDX-License-Identifier: MIT */
/*
 * What every file of the hypervisor may use: memory and string functions, the log, assertions, bit operations,
 * spin locks. The freestanding build gets them from hv/core/lib.c and hv/x86; the host library from the C library.
 */
#ifndef PARANGON_LIB_H
#define PARANGON_LIB_H

#include "types.h"

#ifdef PARANGON_HOST
#include <stdio.h>
#include <string.h>
#else
void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
int snprintf(char *buf, size_t size, const char *fmt, ...) __printf_(3, 4);
int vsnprintf(char *buf, size_t size, const char *fmt, __builtin_va_list ap);
#endif

/** Parse an unsigned number (decimal, or hexadecimal after 0x); *end is set behind it. No number: 0, *end == s. */
u64 parse_u64(const char *s, const char **end);
/** The same followed by an optional K, M or G (powers of 1,024); without a suffix the number counts `unit` bytes. */
u64 parse_size(const char *s, u64 unit, const char **end);

/**
 * Set the bits of a list of numbers below nr, "0,2-3"; *end is set behind it. @return false: it is none
 */
bool parse_list(const char *s, unsigned int nr, u64 *bits, const char **end);

/**
 * Write one message to the hypervisor's log (serial console and log ring). printf formats: %d %u %x %lx %llx %p %s %c
 * with width, zero fill and precision of strings. May be called in any state.
 */
void printk(const char *fmt, ...) __printf_(1, 2);

/** Stop the machine with a message, registers and a symbolized stack. Never returns. */
void panic(const char *fmt, ...) __printf_(1, 2) __attribute__((noreturn, cold));

/** A precondition, checked in debug builds; each has a stable name that tests and logs can refer to. */
#ifndef NDEBUG
#define ASSERT_NAMED(name, cond)                                                                   \
    do {                                                                                           \
        if (unlikely(!(cond)))                                                                     \
            panic("assertion %s failed: %s at %s:%d", name, #cond, __FILE__, __LINE__);            \
    } while (0)
#else
#define ASSERT_NAMED(name, cond) ((void)sizeof(cond))
#endif
#define ASSERT(cond) ASSERT_NAMED(__func__, cond)
/** A state that the code above makes impossible, checked in every build. */
#define BUG_ON(cond)                                                                               \
    do {                                                                                           \
        if (unlikely(cond))                                                                        \
            panic("impossible: %s at %s:%d", #cond, __FILE__, __LINE__);                           \
    } while (0)

/* Bits in arrays of 64-bit words; the atomic forms are locked on x86. */
static inline bool test_bit(unsigned int n, const volatile void *p)
{
    return (((const volatile u64 *)p)[n / 64] >> (n % 64)) & 1;
}
static inline bool test_and_set_bit(unsigned int n, volatile void *p)
{
    u64 bit = 1ull << (n % 64);
    return __atomic_fetch_or(&((volatile u64 *)p)[n / 64], bit, __ATOMIC_SEQ_CST) & bit;
}
static inline bool test_and_clear_bit(unsigned int n, volatile void *p)
{
    u64 bit = 1ull << (n % 64);
    return __atomic_fetch_and(&((volatile u64 *)p)[n / 64], ~bit, __ATOMIC_SEQ_CST) & bit;
}
static inline void set_bit(unsigned int n, volatile void *p)
{
    (void)test_and_set_bit(n, p);
}
static inline void clear_bit(unsigned int n, volatile void *p)
{
    (void)test_and_clear_bit(n, p);
}

/**
 * The lock order (DESIGN §3, decision 7), outermost first: a processor that holds a lock may wait for those
 * further down only. hv/README.md says what each guards. Of two locks of LOCK_PORT, of LOCK_FIFO_QUEUE, of
 * LOCK_GRANT or of LOCK_RUNQUEUE the one of the lower address comes first; no two of another rank are held at once.
 */
enum lock_rank {
    LOCK_NONE, /* never initialised */
    LOCK_REAPING, LOCK_DEVICES, LOCK_PAGE_TABLES, LOCK_TOPOLOGY, LOCK_EVTCHN, LOCK_PORT, LOCK_VIRQ, LOCK_CONSOLE,
    LOCK_FIFO_QUEUE, LOCK_GRANT, LOCK_P2M, LOCK_DOMAIN_LIST, LOCK_DOMAIN, LOCK_APIC_TIMER,
    LOCK_SCHED_TURN, LOCK_SCHED, LOCK_RUNQUEUE, LOCK_POLICY, LOCK_TIMER, LOCK_HEAP, LOCK_BUDDY, LOCK_LOG
};

/**
 * In each loop that waits for another pcpu: a pause, and what others ask of this one meanwhile (hv/x86/smp.h), since who
 * is waited for may be waiting for that.
 */
void arch_relax(void);

/**
 * Spin lock. Interrupts are off wherever the hypervisor takes one (it runs with interrupts off but in the idle
 * loop and at preemption points), so there is no irq-saving form. A debug build keeps the rank in the lock and
 * asserts the order (core/lock_order.c); in a release build the rank is nowhere.
 */
struct spinlock {
#ifdef NDEBUG
    u32 taken;
#else
    u16 taken, rank;
#endif
};

#ifdef NDEBUG
#define SPINLOCK(r) {0}
static inline void spin_lock_init(struct spinlock *l, enum lock_rank rank)
{
}
static inline void lock_order_wait(const struct spinlock *l)
{
}
static inline void lock_order_taken(const struct spinlock *l)
{
}
static inline void lock_order_given(const struct spinlock *l)
{
}
static inline void lock_order_none(void)
{
}
#else
/** Initialiser of a lock of static storage; others lie in zeroed memory and are given their rank once. */
#define SPINLOCK(r) {.rank = (r)}
static inline void spin_lock_init(struct spinlock *l, enum lock_rank rank)
{
    l->rank = rank;
}
/** This pcpu is about to wait for l, has it, gives it up; it holds none at all. */
void lock_order_wait(const struct spinlock *l);
void lock_order_taken(const struct spinlock *l);
void lock_order_given(const struct spinlock *l);
void lock_order_none(void);
#endif

static inline void spin_lock(struct spinlock *l)
{
    lock_order_wait(l);
    while (unlikely(__atomic_exchange_n(&l->taken, 1, __ATOMIC_ACQUIRE)))
        arch_relax();
    lock_order_taken(l);
}
/** Take it if it is free. Not waiting, it may be tried in any order. */
static inline bool spin_trylock(struct spinlock *l)
{
    bool taken = !__atomic_exchange_n(&l->taken, 1, __ATOMIC_ACQUIRE);

    if (taken)
        lock_order_taken(l);
    return taken;
}
static inline void spin_unlock(struct spinlock *l)
{
    lock_order_given(l);
    __atomic_store_n(&l->taken, 0, __ATOMIC_RELEASE);
}

/** Hold a lock from here to the end of the block, on whichever way out of it. */
#define HOLD(l)                                                                                    \
    struct spinlock *held __attribute__((cleanup(spin_release))) = (l);                            \
    spin_lock(held)
static inline void spin_release(struct spinlock **held)
{
    spin_unlock(*held);
}

/** Days since 1970-01-01 of a date in the Gregorian calendar (month 1 to 12): in years that begin on 1 March, so that the leap day is the last. */
static inline u64 days_from_civil(unsigned int year, unsigned int month, unsigned int day)
{
    unsigned int y = year - (month <= 2), m = (month + 9) % 12;

    return (u64)365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The micro kernel as its tests see it: platform, memory, traps, user mode, events, results.
 *
 * One kernel, three ways to start: native (multiboot 1 or the PVH note), as a PV domain and as a PVH
 * domain of the Xen ABI. A test is a
 * function without arguments that is registered by one MICRO_TEST() line; it reports through
 * EXPECT() and REQUIRE(). Everything but tests/smp.c runs on one vCPU, with events masked unless a test unmasks
 * them, on one stack plus the trap stack.
 *
 * Does not: schedule, free page tables behind a test's back, or hide a hypercall's errno.
 */
#ifndef MICRO_H
#define MICRO_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xen/xen.h>

/* ---- platform ---- */

enum micro_platform { PLATFORM_NATIVE = 1, PLATFORM_PV = 2, PLATFORM_PVH = 4 };
/** Sets of them: a hypervisor with the Xen ABI; tables and descriptors of our own; all. */
#define PLATFORM_XEN (PLATFORM_PV | PLATFORM_PVH)
#define PLATFORM_OWN (PLATFORM_NATIVE | PLATFORM_PVH)
#define PLATFORM_ANY (PLATFORM_NATIVE | PLATFORM_PV | PLATFORM_PVH)

/** What this boot runs on; set before main, never changes. */
extern enum micro_platform platform;
/** Selectors that the platform gives user mode and kernel mode. */
extern uint16_t user_cs, user_ss, kernel_cs, kernel_ss;
/** start_info of a PV domain; NULL elsewhere. */
extern struct start_info *start_info;
/** What the PVH boot protocol hands over, on a hypervisor or without one; NULL elsewhere. */
extern const struct hvm_start_info *pvh_info;
/** Xen's first CPUID leaf, of a PVH domain; 0 elsewhere. */
extern uint32_t xen_leaf;
/** Flags of the start of day, SIF_*; 0 when native. */
extern uint32_t start_flags;
/** Frames that the domain has at its start, as far as it is told. */
extern uint64_t start_pages;
/** This vCPU's vcpu_info: in shared_info until a test registers another; NULL when native. */
extern struct vcpu_info *vcpu_info;
/** The shared_info page, mapped; NULL when native. */
extern struct shared_info *shared_info;

/** Whether this is a domain with the first domain's rights. False when native. */
static inline bool privileged(void)
{
    return start_flags & SIF_PRIVILEGED;
}

void pv_main(struct start_info *si);
/** Entry without a hypervisor's page tables: multiboot 1 or PVH, which magic tells. */
void native_main(uint32_t magic, uint32_t info);
/** Run what the command line selects, then power off. */
void micro_main(const char *cmdline) __attribute__((noreturn));
/** Leave by a reboot instead of a power-off; domains only. */
extern bool end_by_reboot;
/** The devices of a PC are there: native, or an HVM domain. */
extern bool has_pc;
/** An ACPI table by its signature, of an HVM domain; NULL: none. */
const uint8_t *acpi_table(const char *signature);
/** Power off: SCHEDOP_shutdown of a domain, ACPI or isa-debug-exit when native. */
void platform_poweroff(void) __attribute__((noreturn));
/** Write bytes to the platform's console: console_io, the console ring of a domain without it, port
 * 0xe9 of a PVH domain without either, or COM1. */
void console_write(const char *s, size_t len);
/** Time since boot in ns: pvclock of a domain; TSC cycles when native (compare only with itself). */
uint64_t now_ns(void);

/** Spin on one vCPU or two between two system times (ms) and print the share of a processor had; PV only. */
void share_run(unsigned from_ms, unsigned to_ms, unsigned vcpus, bool marked);
/** Sleep about sleep_us and work run_us in turn until to_ms; print how late it came to run when its timer was due, from from_ms on; PV only. */
void wake_run(unsigned from_ms, unsigned to_ms, unsigned run_us, unsigned sleep_us);
/** Give way until to_ms, from from_ms on so many times in each of these marked intervals; print how often others ran meanwhile; PV only. */
void yield_run(unsigned from_ms, unsigned to_ms, unsigned intervals, unsigned times);

/* ---- strings and output ---- */

void *memset(void *d, int c, size_t n);
void *memcpy(void *d, const void *s, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
bool str_starts(const char *s, const char *prefix);
bool str_equal(const char *a, const char *b);
/** %s %c %d %u %x %p, with l for 64 bits. */
void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/** The same into buf, cut to size; returns the length. */
int format(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int vformat(char *buf, size_t size, const char *fmt, va_list ap);

/* ---- tests ---- */

struct micro_test {
    const char *name; /* group-what, the first word is the file's group */
    int platforms;    /* enum micro_platform bits where it can run */
    void (*run)(void);
    bool crash;   /* ends the domain by contract: only run when named in full */
    bool in_full; /* so is this one: it needs more than its own domain */
};

#define MICRO_TEST_(id, ...)                                                                       \
    static const struct micro_test id                                                              \
        __attribute__((section("micro_tests"), used, aligned(8))) = {__VA_ARGS__}
/** Register a test that every run may include. */
#define MICRO_TEST(fn, name_, platforms_) MICRO_TEST_(reg_##fn, name_, platforms_, fn, false)
/** Register a test that needs a partner, so that it runs by its full name only. */
#define MICRO_PAIR_TEST(fn, name_, platforms_) MICRO_TEST_(reg_##fn, name_, platforms_, fn, false, true)
/** Register a test that needs a domain with several vCPUs: by its full name only, too. */
#define MICRO_SMP_TEST MICRO_PAIR_TEST
/** Register a test that must end with the domain crashed; it runs alone, by its full name. */
#define MICRO_CRASH_TEST(fn, name_, platforms_) MICRO_TEST_(reg_##fn, name_, platforms_, fn, true)

/** A primitive whose cost is counted between marks: setup once, then op() for each operation. */
struct micro_cost {
    const char *name;
    int platforms;
    unsigned ops; /* operations within one pair of marks */
    bool (*setup)(void);
    void (*run)(unsigned ops);
    void (*teardown)(void);
};
#define MICRO_COST(id, ...)                                                                        \
    static const struct micro_cost cost_##id                                                       \
        __attribute__((section("micro_costs"), used, aligned(8))) = {__VA_ARGS__}

void test_fail(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/** Mark the running test as not applicable here, with the reason. */
void test_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/** Add to the detail that is printed behind the result. */
void test_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool test_failed(void);
/** A crash test may also end here: the hypervisor refused what would have led to the crash. */
void test_refused(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** Note a failure and go on, so that the test still cleans up. */
#define EXPECT(cond, ...)                                                                          \
    do {                                                                                           \
        if (!(cond))                                                                               \
            test_fail(__FILE_NAME__, __LINE__, __VA_ARGS__);                                       \
    } while (0)
/** Note a failure and leave the test. */
#define REQUIRE(cond, ...)                                                                         \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            test_fail(__FILE_NAME__, __LINE__, __VA_ARGS__);                                       \
            return;                                                                                \
        }                                                                                          \
    } while (0)
/** The call must return exactly this number. */
#define EXPECT_RC(call, want)                                                                      \
    do {                                                                                           \
        long rc_ = (call);                                                                         \
        if (rc_ != (want))                                                                         \
            test_fail(__FILE_NAME__, __LINE__, "%s = %ld, want %ld", #call, rc_, (long)(want));    \
    } while (0)

/* ---- memory ---- */

#define PAGE_SIZE  4096ul
#define PAGE_SHIFT 12
#define PTE_P      0x001ul
#define PTE_W      0x002ul
#define PTE_U      0x004ul
#define PTE_PWT    0x008ul
#define PTE_PCD    0x010ul
#define PTE_A      0x020ul
#define PTE_D      0x040ul
#define PTE_PSE    0x080ul
#define PTE_G      0x100ul
#define PTE_NX     (1ul << 63)
#define PTE_ADDR   0x000ffffffffff000ul
#define PTE_RO     (PTE_P | PTE_A)
#define PTE_RW     (PTE_P | PTE_W | PTE_A | PTE_D)
#define PTE_TABLE  (PTE_P | PTE_W | PTE_U | PTE_A)

#define WINDOW_VA 0x0000200000000000ul /* 512 pages whose L1 the tests own */
#define USER_VA   0x0000400000000000ul /* user program and data, in kernel and user tables */
#define HV_START 0xffff800000000000ul
#define HV_END   0xffff880000000000ul

/** A zeroed page of the pool, mapped writable; never NULL (an empty pool ends the run). */
void *page_alloc(void);
/** Give a page back; it must be writable again. */
void page_free(void *page);
/** Frame of a page of the boot region (image, pool, p2m, boot tables): the machine's on PV, else the
 * guest-physical one. */
uint64_t mfn_of(const void *va);
uint64_t maddr_of(const void *va);
/** Boot-region address of a machine frame; NULL if it is not of the boot region. */
void *va_of_mfn(uint64_t mfn);
/** Machine frame of a pseudo-physical frame, whether mapped or not; PV only. */
uint64_t mfn_of_pfn(uint64_t pfn);
/** Machine address of the L1 entry that maps va; 0 if there is none. */
uint64_t pte_maddr(uint64_t va);
/** The L1 entry that maps va, as the hypervisor shows it; 0 if there is none. */
uint64_t pte_read(uint64_t va);
/** Pointer (read-only on PV) to the entry of va at a level (1..4); NULL if the walk ends above. */
uint64_t *pt_entry(uint64_t va, int level);
/** Set the L1 entry of va and invalidate its translation. Returns 0 or the hypercall's errno. */
long pte_write(uint64_t va, uint64_t pte);
/** Change the boot mapping of a page to read-only, or back. Returns 0 or errno. */
long page_readonly(void *page);
long page_writable(void *page);
/** The L1 table behind WINDOW_VA (read-only on PV), and the address of its i-th page. */
extern uint64_t *window_l1;
static inline uint64_t window_va(unsigned i)
{
    return WINDOW_VA + i * PAGE_SIZE;
}
void memory_init(void);
/** Address of a (guest-)physical address below 4 GiB, mapped on demand by 2 MiB pages; not on PV. */
void *phys_ptr(uint64_t paddr);
/** Root of the kernel's page table, and of the user's (0 until user_init). */
extern uint64_t *kernel_l4, *user_l4;

/* ---- traps ---- */

/* What every entry into the kernel saves; the same on all platforms. cs has RPL 0 for kernel mode.
 */
struct trap_frame {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

enum {
    VEC_DE = 0,
    VEC_DB = 1,
    VEC_BP = 3,
    VEC_OF = 4,
    VEC_UD = 6,
    VEC_NM = 7,
    VEC_TS = 10,
    VEC_NP = 11,
    VEC_SS = 12,
    VEC_GP = 13,
    VEC_PF = 14,
    VEC_MF = 16,
    VEC_XM = 19,
    VEC_SYSCALL = 0x100,
    VEC_EVENT = 0x101,
    VEC_FAILSAFE = 0x102,
};

#define X86_CF   0x1ul
#define X86_TF   0x100ul
#define X86_IF   0x200ul
#define X86_IOPL 0x3000ul
#define X86_NT   0x4000ul
#define X86_VM   0x20000ul
#define X86_AC   0x40000ul

/** What the last trap_try() or user_run() caught: the frame and, for a page fault, the address. */
struct trap_caught {
    struct trap_frame frame;
    uint64_t cr2;
    bool masked; /* PV: were upcalls masked on entry to the handler */
};

/**
 * Call fn(arg) and catch the first exception it raises in kernel mode.
 *
 * @return the vector, with out filled; -1 when fn returned.
 */
int trap_try(void (*fn)(void *), void *arg, struct trap_caught *out);

/* Registers for user_run(): what the user program gets. */
struct user_regs {
    uint64_t rip, rsp, rflags, rax, rbx, rcx, rdx, rdi, rsi;
    uint16_t cs, ss;
};

/** Fill in the defaults: entry at a label of the user program, its stack, interrupts on. */
struct user_regs user_entry(const void *label);
/**
 * Enter user mode and come back at its first syscall, exception or int.
 *
 * @return the vector (VEC_SYSCALL for a syscall, VEC_FAILSAFE when the hypervisor could not enter).
 */
int user_run(const struct user_regs *regs, struct trap_caught *out);
/** User-space address of a label of user.S. */
uint64_t user_addr(const void *label);
/** The page of data that user and kernel share, at its user address (mapped in both tables). */
extern volatile uint64_t *user_data;
struct iret_context;
/** user_run() with the iret hypercall's own argument, to be set up as a test likes; PV only. */
int user_run_iret(const struct iret_context *iret, struct trap_caught *out);
/**
 * Let the next n entries from user mode by this vector return at once, `skip` bytes further on (for
 * counting the cost of a bounce).
 */
void user_absorb(int vector, unsigned n, unsigned skip);
void user_init(void);

/** SYSCALL with any number in all of rax, past the hypercall page if there is one. */
long raw_hypercall(uint64_t nr, uint64_t a1, uint64_t a2);
void trap_init_pv(void);
void trap_init_native(void);
/** Descriptor of the kernel's own tables; not on PV. Selector FLAT32_CS is 32-bit code at level 0. */
#define FLAT32_CS 0x38
#define FLAT16_CS 0x40
#define FLAT16_DS 0x48
/** Called for each interrupt (NMI, vector 32 and above but EVENT_VECTOR) while set; NULL: unexpected. */
extern void (*irq_hook)(unsigned vector);
/** The vector that a PVH domain asks to have its event upcalls by. */
#define EVENT_VECTOR 0xf3
/** Frames of the hypervisor's trap table are reset to the kernel's own (after a test changed it).
 */
long trap_table_default(void);
/** Entry stub of a vector (or VEC_EVENT...), for tests that register callbacks themselves. */
uint64_t trap_stub(int vector);
/** Top of the stack that traps from user mode use. */
uint64_t trap_stack_top(void);

/* ---- events ---- */

#define EV_LOG 64
/** Upcalls taken, and the ports they found, in order of handling; reset by events_reset_log(). */
extern volatile unsigned ev_upcalls, ev_count;
extern volatile uint32_t ev_log[EV_LOG];
/** Where the last upcall interrupted (rip). */
extern volatile uint64_t ev_rip;
/** Called at the begin of each upcall: tells the local APIC of its end, where it delivered it; NULL by default. */
extern void (*ev_eoi)(void);
/** Called for each port after it is logged; NULL by default. */
extern void (*ev_hook)(uint32_t port);

void events_reset_log(void);
/** Mask upcalls: vcpu_info's mask on PV, the interrupt flag on PVH. */
void events_mask(void);
/** Whether they are masked now. */
bool events_masked(void);
/** Unmask upcalls; what is pending is delivered before this returns. */
void events_unmask(void);
/** Unmask and sleep until an event comes: SCHEDOP_block on PV, STI and HLT on PVH. 0 or errno. */
long events_wait(void);
void event_upcall(void);
/** Pending and mask bits of a port, whichever ABI (2-level or FIFO) is in use. */
bool port_pending(uint32_t port);
void port_mask(uint32_t port, bool masked);
void port_clear(uint32_t port);
/** FIFO state: set by the test that switches the domain over. */
#define FIFO_PAGES 16
extern struct evtchn_fifo_control_block *fifo_control;
extern uint32_t *fifo_page[FIFO_PAGES];

/* ---- instructions ---- */

static inline void outb(uint16_t port, uint8_t v)
{
    __asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}

static inline void outl(uint16_t port, uint32_t v)
{
    __asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port));
}

static inline void outw(uint16_t port, uint16_t v)
{
    __asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
    uint8_t v;
    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static inline uint32_t inl(uint16_t port)
{
    uint32_t v;
    __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static inline uint64_t rdtsc(void)
{
    uint32_t lo, hi;
    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (uint64_t)hi << 32 | lo;
}

static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t lo, hi;
    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return (uint64_t)hi << 32 | lo;
}

static inline void wrmsr(uint32_t msr, uint64_t v)
{
    __asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
}

static inline void invlpg(uint64_t va)
{
    __asm__ volatile("invlpg (%0)" ::"r"(va) : "memory");
}

static inline uint64_t read_cr3(void)
{
    uint64_t v;
    __asm__ volatile("mov %%cr3, %0" : "=r"(v));
    return v;
}

static inline uint64_t read_cr0(void)
{
    uint64_t v;
    __asm__ volatile("mov %%cr0, %0" : "=r"(v));
    return v;
}

static inline uint64_t read_cr4(void)
{
    uint64_t v;
    __asm__ volatile("mov %%cr4, %0" : "=r"(v));
    return v;
}

static inline void write_cr3(uint64_t v)
{
    __asm__ volatile("mov %0, %%cr3" ::"r"(v) : "memory");
}

static inline void barrier(void)
{
    __asm__ volatile("" ::: "memory");
}

struct cpuid_regs {
    uint32_t a, b, c, d;
};

/** CPUID as the processor answers it, without the hypervisor. */
static inline struct cpuid_regs cpuid_bare(uint32_t leaf, uint32_t sub)
{
    struct cpuid_regs r;
    __asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(sub));
    return r;
}

/** CPUID by the forced-emulation prefix (xen/arch-x86/xen.h): the hypervisor answers. PV only. */
static inline struct cpuid_regs cpuid_forced(uint32_t leaf, uint32_t sub)
{
    struct cpuid_regs r;
    __asm__ volatile("ud2a; .ascii \"xen\"; cpuid"
                     : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d)
                     : "a"(leaf), "c"(sub));
    return r;
}

#endif

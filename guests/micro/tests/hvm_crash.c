/* SPDX-License-Identifier: MIT */
/*
 * Hostile guests with hardware's help: what may end the domain, and must not end anything else. One per boot, by full name.
 *
 * The other right outcome is a refusal: the exception that the processor or the hypervisor raises, and the domain goes on.
 */
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"

#define RIGHT PLATFORM_PVH

static void refused(const char *what, int vector)
{
    test_refused("%s: vector %d", what, vector);
}

/* ---- impossible states ---- */

static void set_cr0(void *arg)
{
    __asm__ volatile("mov %0, %%cr0" ::"r"(arg) : "memory");
}

static void set_cr3(void *arg)
{
    __asm__ volatile("mov %0, %%cr3" ::"r"(arg) : "memory");
}

static void set_cr4(void *arg)
{
    __asm__ volatile("mov %0, %%cr4" ::"r"(arg) : "memory");
}

static void set_efer(void *arg)
{
    wrmsr(0xc0000080, (uint64_t)arg);
}

/* Not every processor (or emulator of one) refuses the write itself; the next entry of the guest must then fail. */
static void impossible(const char *what, void (*set)(void *), uint64_t value, uint64_t undo)
{
    struct trap_caught c;
    int vector = trap_try(set, (void *)value, &c);

    if (vector < 0) {
        for (unsigned i = 0; i < 1000; i++)
            cpuid_bare(0, 0); /* an exit each */
        set((void *)undo);    /* it goes on with the value: allowed where the value was ignored */
        test_refused("%s: ignored", what);
        return;
    }
    refused(what, vector);
}

static void crash_cr0_protection(void)
{
    impossible("paging without protection", set_cr0, read_cr0() & ~1ul, read_cr0());
}
MICRO_CRASH_TEST(crash_cr0_protection, "crash-hvm-cr0-protection", RIGHT);

static void crash_cr0_write_through(void)
{
    impossible("NW without CD", set_cr0, (read_cr0() | 0x20000000) & ~0x40000000ul, read_cr0());
}
MICRO_CRASH_TEST(crash_cr0_write_through, "crash-hvm-cr0-nw", RIGHT);

static void crash_cr0_upper(void)
{
    impossible("upper half of CR0", set_cr0, read_cr0() | 1ul << 40, read_cr0());
}
MICRO_CRASH_TEST(crash_cr0_upper, "crash-hvm-cr0-upper", RIGHT);

static void crash_cr4_pae(void)
{
    impossible("long mode without PAE", set_cr4, read_cr4() & ~0x20ul, read_cr4());
}
MICRO_CRASH_TEST(crash_cr4_pae, "crash-hvm-cr4-pae", RIGHT);

static void crash_cr4_reserved(void)
{
    impossible("reserved bit of CR4", set_cr4, read_cr4() | 1ul << 30, read_cr4());
}
MICRO_CRASH_TEST(crash_cr4_reserved, "crash-hvm-cr4-reserved", RIGHT);

static void crash_cr4_upper(void)
{
    impossible("upper half of CR4", set_cr4, read_cr4() | 1ul << 40, read_cr4());
}
MICRO_CRASH_TEST(crash_cr4_upper, "crash-hvm-cr4-upper", RIGHT);

static void crash_cr3_reserved(void)
{
    impossible("CR3 beyond the processor's addresses", set_cr3, read_cr3() | 1ul << 51, read_cr3());
}
MICRO_CRASH_TEST(crash_cr3_reserved, "crash-hvm-cr3-reserved", RIGHT);

static void crash_efer_lme(void)
{
    impossible("EFER.LME cleared under paging", set_efer, rdmsr(0xc0000080) & ~0x100ul, rdmsr(0xc0000080));
}
MICRO_CRASH_TEST(crash_efer_lme, "crash-hvm-efer-lme", RIGHT);

static void crash_efer_svme(void)
{
    impossible("EFER.SVME", set_efer, rdmsr(0xc0000080) | 0x1000, rdmsr(0xc0000080));
}
MICRO_CRASH_TEST(crash_efer_svme, "crash-hvm-efer-svme", RIGHT);

/* ---- page tables where there is no memory ---- */

/* A root far beyond memory: the very next fetch has no translation. */
static void crash_cr3_hole(void)
{
    set_cr3((void *)0x3f00000000ul);
    test_fail(__FILE_NAME__, __LINE__, "the kernel runs on without page tables");
}
MICRO_CRASH_TEST(crash_cr3_hole, "crash-hvm-cr3-hole", RIGHT);

static void load(void *arg)
{
    (void)*(volatile uint64_t *)arg;
}

/* A table of the walk lies beyond memory: the access fails, by a page fault or by the domain's end. */
static void crash_table_hole(void)
{
    uint64_t *e = pt_entry(WINDOW_VA, 2), old = *e;
    struct trap_caught c;
    int vector;

    *(volatile uint64_t *)e = 0x3f00000000ul | PTE_TABLE;
    write_cr3(read_cr3());
    vector = trap_try(load, (void *)WINDOW_VA, &c);
    *(volatile uint64_t *)e = old;
    write_cr3(read_cr3());
    refused("a table beyond memory", vector);
}
MICRO_CRASH_TEST(crash_table_hole, "crash-hvm-table-hole", RIGHT);

/* Code where there is no memory. */
static void crash_fetch_hole(void)
{
    struct trap_caught c;
    int vector;

    pte_write(window_va(0), 0x3f00000000ul | PTE_RW);
    vector = trap_try((void (*)(void *))window_va(0), NULL, &c);
    pte_write(window_va(0), 0);
    refused("a fetch beyond memory", vector);
}
MICRO_CRASH_TEST(crash_fetch_hole, "crash-hvm-fetch-hole", RIGHT);

/* The stack of an exception lies where there is no memory: delivery itself has no translation. */
static void crash_stack_hole(void)
{
    pte_write(window_va(0), 0x3f00000000ul | PTE_RW);
    __asm__ volatile("mov %0, %%rsp; ud2" ::"r"(window_va(1)) : "memory");
}
MICRO_CRASH_TEST(crash_stack_hole, "crash-hvm-stack-hole", RIGHT);

/* ---- hostile descriptors ---- */

struct descriptor_table {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

/* No handler at all: a triple fault. */
static void crash_idt_empty(void)
{
    struct descriptor_table idt = {0, 0};

    __asm__ volatile("lidt %0; int3" ::"m"(idt));
}
MICRO_CRASH_TEST(crash_idt_empty, "crash-hvm-triple-fault", RIGHT);

static void crash_idt_unmapped(void)
{
    struct descriptor_table idt = {0xfff, window_va(100)};

    __asm__ volatile("lidt %0; ud2" ::"m"(idt));
}
MICRO_CRASH_TEST(crash_idt_unmapped, "crash-hvm-idt-unmapped", RIGHT);

static void crash_idt_hole(void)
{
    struct descriptor_table idt = {0xfff, window_va(0)};

    pte_write(window_va(0), 0x3f00000000ul | PTE_RW);
    __asm__ volatile("lidt %0; ud2" ::"m"(idt));
}
MICRO_CRASH_TEST(crash_idt_hole, "crash-hvm-idt-hole", RIGHT);

static void crash_gdt_empty(void)
{
    struct descriptor_table gdt = {0, 0};

    __asm__ volatile("lgdt %0; ud2" ::"m"(gdt)); /* the gate's code segment is not there */
}
MICRO_CRASH_TEST(crash_gdt_empty, "crash-hvm-gdt-empty", RIGHT);

extern char u_ud2[];

/* The task state has no stack for level 0 to come back to. */
static void crash_tss(void)
{
    static uint8_t tss[104];
    struct descriptor_table gdt;
    struct user_regs r = user_entry(u_ud2);
    struct trap_caught c;
    uint64_t *d;

    __asm__ volatile("sgdt %0" : "=m"(gdt));
    d = (uint64_t *)(gdt.base + 0x28);
    memset(tss, 0x80, sizeof(tss)); /* not canonical */
    d[0] = (sizeof(tss) - 1) | (PTR(tss) & 0xffffff) << 16 | 0x89ul << 40 | (PTR(tss) >> 24 & 0xff) << 56;
    d[1] = PTR(tss) >> 32;
    __asm__ volatile("ltr %w0" ::"r"(0x28));
    user_run(&r, &c);
}
MICRO_CRASH_TEST(crash_tss, "crash-hvm-tss", RIGHT);

/* ---- no way on ---- */

/* HLT with interrupts off and nobody to wake it: the domain ends, as on Xen, by a power-off. */
static void crash_hlt(void)
{
    __asm__ volatile("cli; hlt");
}
MICRO_CRASH_TEST(crash_hlt, "crash-hvm-hlt", RIGHT);

/* The shutdown hypercall with a reason that nobody knows. */
static void crash_shutdown_unknown(void)
{
    struct sched_shutdown s = {.reason = 0xdead};
    long rc = hc_sched_op(SCHEDOP_shutdown, &s);

    test_refused("shutdown: %ld", rc);
}
MICRO_CRASH_TEST(crash_shutdown_unknown, "crash-hvm-shutdown-unknown", RIGHT);

/* SPDX-License-Identifier: MIT */
/*
 * A physical CPU's set-up: features, descriptor tables, system-call entry, control registers.
 *
 * Sources: SDM vol. 3 §2.5 (control registers), §6.10 (IDT), §8.2 (TSS in 64-bit mode), APM vol. 2 §6.1.1 (STAR, LSTAR, CSTAR).
 */
#include "cpu.h"
#include "frame.h"
#include "mm.h"

extern char syscall_stubs[], syscall_stubs_traced[], syscall32_stubs[], page_fault_traced[];
extern char rsb_overwrite[];
extern u8 pcpu_stacks[];
extern const u64 __rsb_sites_start[], __rsb_sites_end[];
extern const u64 vector_table[256];
extern const struct { u64 at, op; } __smap_sites_start[], __smap_sites_end[];

struct cpu_features cpu_features;
struct spec_ctrl spec_ctrl;

struct gate {
    u16 offset_low, selector;
    u8 ist, type;
    u16 offset_mid;
    u32 offset_high, zero;
} __packed_;
struct tss {
    u32 reserved0;
    u64 rsp[3], reserved1, ist[7], reserved2;
    u16 reserved3, iomap;
} __packed_;

static struct gate idt[256] __aligned_(16);
static u64 gdt_pages[NR_PCPUS][512] __aligned_(4096); /* the hypervisor's part of each pcpu's */
static struct tss tss[NR_PCPUS] __aligned_(16);

enum { IST_NONE, IST_DF, IST_NMI, IST_MC, IST_DB };

void cpu_detect(void)
{
    u32 a, b, c, d;

    cpuid(0, 0, &cpu_features.cpuid_max, &b, &c, &d);
    cpu_features.amd = b == 0x68747541; /* "Auth" */
    cpuid(1, 0, &a, &b, &c, &d);
    cpu_features.pge = d & (1u << 13);
    cpu_features.pat = d & (1u << 16);
    cpu_features.x2apic = c & (1u << 21);
    cpu_features.xsave = c & (1u << 26);
    if (cpu_features.cpuid_max >= 7) {
        cpuid(7, 0, &a, &b, &c, &d);
        cpu_features.fsgsbase = b & (1u << 0);
        cpu_features.smep = b & (1u << 7);
        cpu_features.smap = b & (1u << 20);
        cpu_features.umip = c & (1u << 2);
    }
    cpuid(0x80000000, 0, &cpu_features.cpuid_max_ext, &b, &c, &d);
    cpuid(0x80000001, 0, &a, &b, &c, &d);
    cpu_features.nx = d & (1u << 20);
    cpu_features.rdtscp = d & (1u << 27);
    cpu_features.phys_bits = 36;
    if (cpu_features.cpuid_max_ext >= 0x80000008) {
        cpuid(0x80000008, 0, &a, &b, &c, &d);
        cpu_features.phys_bits = a & 0xff;
    }
    if (cpu_features.cpuid_max_ext >= 0x80000007) {
        cpuid(0x80000007, 0, &a, &b, &c, &d);
        cpu_features.invtsc = d & (1u << 8);
    }
    cpu_features.xsave_size = 512;
    cpu_features.xcr0 = 3;
    if (cpu_features.xsave) {
        cpuid(0xd, 0, &a, &b, &c, &d);
        cpu_features.xcr0 = a & 0x7; /* x87, SSE, AVX: what guests are offered */
    }
}

/* Patch the marked NOPs to STAC or CLAC (0f 01 cb / 0f 01 ca). Text is still writable through the mapping of all memory. */
static void patch_smap(void)
{
    for (const __typeof__(*__smap_sites_start) *s = __smap_sites_start; s < __smap_sites_end; s++) {
        u8 *p = (u8 *)(DIRECTMAP + s->at - IMAGE_VIRT + IMAGE_PADDR);

        p[0] = 0x0f;
        p[1] = 0x01;
        p[2] = s->op;
    }
}

/* Patch the marked NOPs to `call rsb_overwrite`. */
static void patch_rsb(void)
{
    for (const u64 *s = __rsb_sites_start; s < __rsb_sites_end; s++) {
        u8 *p = (u8 *)(DIRECTMAP + *s - IMAGE_VIRT + IMAGE_PADDR);
        s32 to = (s32)((u64)rsb_overwrite - (*s + 5));

        p[0] = 0xe8;
        memcpy(p + 1, &to, 4);
    }
}

static void set_gate(unsigned int n, u64 entry, u8 ist, u8 dpl)
{
    idt[n] = (struct gate){.offset_low = entry, .selector = SEL_HV_CS, .ist = ist, .type = 0x8e | dpl << 5,
                           .offset_mid = entry >> 16, .offset_high = entry >> 32};
}

/* A system descriptor (TSS, LDT) takes two slots. */
static void set_system_descriptor(u64 *slot, u64 base, u32 limit, u8 type)
{
    slot[0] = (limit & 0xffff) | (base & 0xffffff) << 16 | (u64)type << 40 | ((base >> 24) & 0xff) << 56;
    slot[1] = base >> 32;
}

u64 cpu_gdt_page(unsigned int cpu)
{
    return (u64)gdt_pages[cpu] - IMAGE_VIRT + IMAGE_PADDR;
}

/* What lies before the page is never read: no selector in use names it. */
static u64 cpu_gdt_base(unsigned int cpu)
{
    return (u64)gdt_pages[cpu] - 14 * PAGE_SIZE;
}

void cpu_load_own_gdt(void)
{
    struct { u16 limit; u64 base; } __packed_ table = {15 * PAGE_SIZE - 1, cpu_gdt_base(this_cpu())};

    __asm__ volatile("lgdt %0" ::"m"(table));
}

void cpu_trace_entries(unsigned int cpu)
{
    wrmsr(MSR_LSTAR, (u64)syscall_stubs_traced + 32 * cpu);
    set_gate(VEC_PF, (u64)page_fault_traced, 0, 0);
}

static void fill_idt(void)
{
    for (unsigned int n = 0; n < 256; n++)
        set_gate(n, vector_table[n], 0, n == VEC_BP || n == VEC_OF ? 3 : 0);
    set_gate(VEC_DF, vector_table[VEC_DF], IST_DF, 0);
    set_gate(VEC_NMI, vector_table[VEC_NMI], IST_NMI, 0);
    set_gate(VEC_MC, vector_table[VEC_MC], IST_MC, 0);
    set_gate(VEC_DB, vector_table[VEC_DB], IST_DB, 0);
}

void cpu_init(unsigned int cpu)
{
    u8 *stack = pcpu_stacks + STACK_SIZE * cpu;
    struct tss *t = &tss[cpu];
    struct { u16 limit; u64 base; } __packed_ table;
    u64 star, *gdt_page = gdt_pages[cpu];

    t->rsp[0] = (u64)&get_cpu_info()->regs + sizeof(struct regs);
    t->ist[IST_DF - 1] = (u64)stack + IST_SIZE;
    t->ist[IST_NMI - 1] = (u64)stack + IST_SIZE * 2;
    t->ist[IST_MC - 1] = (u64)stack + IST_SIZE * 3;
    t->ist[IST_DB - 1] = (u64)stack + IST_SIZE * 4;
    t->iomap = sizeof(*t);

    gdt_page[(SEL_HV_CS & 0xfff) >> 3] = 0x00af9b000000ffff;
    gdt_page[(SEL_HV_DS & 0xfff) >> 3] = 0x00cf93000000ffff;
    gdt_page[(SEL_CS32 & 0xfff) >> 3] = 0x00cffb000000ffff;
    gdt_page[(SEL_DS & 0xfff) >> 3] = 0x00cff3000000ffff;
    gdt_page[(SEL_CS64 & 0xfff) >> 3] = 0x00affb000000ffff;
    set_system_descriptor(&gdt_page[(SEL_TSS & 0xfff) >> 3], (u64)t, sizeof(*t) - 1, 0x89);

    cpu_load_own_gdt();
    __asm__ volatile("pushq %0\n\tlea 1f(%%rip), %%rax\n\tpush %%rax\n\tlretq\n1:\n\tmov %1, %%ss" ::"i"(SEL_HV_CS),
                     "r"((u32)0)
                     : "rax", "memory");
    __asm__ volatile("ltr %w0" ::"r"(SEL_TSS));
    __asm__ volatile("lldt %w0" ::"r"(0));

    if (!cpu) /* one IDT for all */
        fill_idt();
    table.limit = sizeof(idt) - 1;
    table.base = (u64)idt;
    __asm__ volatile("lidt %0" ::"m"(table));

    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE | (cpu_features.nx ? EFER_NX : 0));
    star = (u64)SEL_CS32 << 48 | (u64)SEL_HV_CS << 32;
    wrmsr(MSR_STAR, star);
    wrmsr(MSR_LSTAR, (u64)syscall_stubs + 32 * cpu);
    wrmsr(MSR_CSTAR, (u64)syscall32_stubs + 32 * cpu);
    wrmsr(MSR_SYSCALL_MASK, X86_FLAGS_TF | X86_FLAGS_IF | X86_FLAGS_DF | X86_FLAGS_IOPL | X86_FLAGS_NT |
                                X86_FLAGS_RF | X86_FLAGS_AC);
    wrmsr_safe(0x174, 0); /* SYSENTER_CS null: SYSENTER from a guest is #GP */
    wrmsr_safe(0x175, 0);
    wrmsr_safe(0x176, 0);

    cpu_features.cr4 = X86_CR4_PAE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | X86_CR4_DE |
                       (cpu_features.pge ? X86_CR4_PGE : 0) | (cpu_features.smep ? X86_CR4_SMEP : 0) |
                       (cpu_features.umip ? X86_CR4_UMIP : 0) |
                       (cpu_features.fsgsbase ? X86_CR4_FSGSBASE : 0) |
                       (cpu_features.xsave ? X86_CR4_OSXSAVE : 0);
    if (cpu_features.smap)
        cpu_features.cr4 |= X86_CR4_SMAP;
    if (!cpu && cpu_features.smap)
        patch_smap();
    if (!cpu && spec_ctrl.rsb_overwrite)
        patch_rsb();
    write_cr4(cpu_features.cr4);
    write_cr0(X86_CR0_PG | X86_CR0_WP | X86_CR0_NE | X86_CR0_ET | X86_CR0_MP | 1);
    __asm__ volatile("fninit");
    if (cpu_features.xsave) {
        u32 a, b, c, d;

        __asm__ volatile("xsetbv" ::"c"(0), "a"((u32)cpu_features.xcr0), "d"(0));
        cpuid(0xd, 0, &a, &b, &c, &d);
        cpu_features.xsave_size = b;
    }
}

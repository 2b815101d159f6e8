/* SPDX-License-Identifier: MIT */
/*
 * The processor state of a PV vCPU: segment selectors and bases, debug registers, FPU; and the context switch. Its descriptor
 * tables are desc.c's.
 *
 * Sources: SDM vol. 3 §13 (XSAVE), §17.2 (debug registers).
 */
#include "pv.h"
#include "typing.h"
#include "x86/hvm/hvm.h"
#include "x86/mm.h"
#include "x86/cpu.h"
#include "x86/smp.h"
#include "core/hypercall.h"
#include <trace/trace.h>

bool load_ds(u16 sel), load_es(u16 sel), load_fs(u16 sel), load_gs_user(u16 sel);

static u64 slot_used[(NR_PCPUS * MAX_VCPUS) / 64];

long do_set_segment_base(u64 which, u64 base, u64 a3, u64 a4, u64 a5, u64 a6)
{
    /* The processor's registers are what counts while a vCPU runs; the copies in v->arch are taken when it leaves. */
    static const u32 msr[] = {[SEGBASE_FS] = MSR_FS_BASE,
                              [SEGBASE_GS_USER] = MSR_KERNEL_GS_BASE, /* the guest kernel runs: the user's base waits there */
                              [SEGBASE_GS_KERNEL] = MSR_GS_BASE};

    if (which == SEGBASE_GS_USER_SEL) {
        (void)load_gs_user((u16)base); /* a selector that cannot be loaded becomes null */
        return 0;
    }
    if (unlikely(which >= ARRAY_SIZE(msr) || !is_canonical(base)))
        return -XEN_EINVAL;
    wrmsr(msr[which], base);
    return 0;
}

/* ---- debug registers: a breakpoint must lie in the guest's part of the address space ---- */

long pv_note_debugreg(struct vcpu *v, unsigned int reg, u64 value)
{
    if (reg <= 3) {
        if (!is_canonical(value) || !guest_range_ok(value, 8))
            return -XEN_EPERM;
    } else if (reg == 6) {
        value = (value & 0x0000e00f) | 0xffff0ff0;
    } else if (reg == 7) {
        /* No I/O breakpoints (they need CR4.DE), no general detect, upper half zero. */
        if (value & ~0xffffffffull)
            return -XEN_EPERM;
        value = (value & 0xffff0fff & ~(1ull << 13)) | 0x400;
        for (unsigned int i = 16; i < 32; i += 4)
            if (((value >> i) & 3) == 2)
                return -XEN_EPERM;
    } else {
        return -XEN_ENODEV;
    }
    v->arch.dr[reg] = value;
    return 0;
}

/* DR6 stays clean here: what a trap sets goes to the guest's own (traps.c). */
static void load_debugregs(const struct vcpu *v)
{
    write_breakpoints(v->arch.dr);
    write_dr7(v->arch.dr[7]);
}

long do_set_debugreg(u64 reg, u64 value, u64 a3, u64 a4, u64 a5, u64 a6)
{
    struct vcpu *v = current_vcpu();
    long err = pv_note_debugreg(v, reg < 8 ? reg : 8, value);

    /* Addresses without a breakpoint do not survive other vCPUs in the processor: the one that is set brings all. */
    if (!err && (reg == 7 || v->arch.dr[7] & 0xff))
        load_debugregs(v);
    return err;
}

long do_get_debugreg(u64 reg, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6)
{
    struct vcpu *v = current_vcpu();

    return reg < 8 && reg != 4 && reg != 5 ? (long)v->arch.dr[reg] : -XEN_ENODEV;
}

/* ---- FPU ---- */

void pv_set_cr0_ts(struct vcpu *v, bool set)
{
    v->arch.cr0_ts = set ? X86_CR0_TS : 0;
    write_cr0((read_cr0() & ~(u64)X86_CR0_TS) | v->arch.cr0_ts);
}

long do_fpu_taskswitch(u64 set, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6)
{
    pv_set_cr0_ts(current_vcpu(), set);
    return 0;
}

static void fpu_save(struct vcpu *v)
{
    __asm__ volatile("clts");
    if (cpu_features.xsave) { /* what the guest has turned off in XCR0 is still its own */
        if (v->arch.xcr0 != cpu_features.xcr0)
            __asm__ volatile("xsetbv" ::"c"(0), "a"((u32)cpu_features.xcr0), "d"(0));
        __asm__ volatile("xsave64 (%0)" ::"r"(v->arch.fpu), "a"((u32)cpu_features.xcr0), "d"(0) : "memory");
    } else
        __asm__ volatile("fxsave64 (%0)" ::"r"(v->arch.fpu) : "memory");
}

static void fpu_load(struct vcpu *v)
{
    __asm__ volatile("clts");
    if (cpu_features.xsave) {
        __asm__ volatile("xsetbv" ::"c"(0), "a"((u32)cpu_features.xcr0), "d"(0));
        __asm__ volatile("xrstor64 (%0)" ::"r"(v->arch.fpu), "a"((u32)cpu_features.xcr0), "d"(0) : "memory");
        __asm__ volatile("xsetbv" ::"c"(0), "a"((u32)v->arch.xcr0), "d"(0));
    } else {
        __asm__ volatile("fxrstor64 (%0)" ::"r"(v->arch.fpu) : "memory");
    }
}

/* ---- context switch ---- */

/* This pcpu's page behind v's own in its GDT; and what this TLB may remember of v's tables from before v was elsewhere is forgotten. */
static __cold_ void descriptors_to_this_cpu(struct vcpu *v)
{
    for (u64 va = pv_gdt_va(v); va < pv_gdt_va(v) + KB(128); va += PAGE_SIZE)
        invlpg(va);
    mm_map_page(pv_gdt_va(v) + 14 * PAGE_SIZE, cpu_gdt_page(this_cpu()), DESC_PTE);
    v->arch.desc_cpu = this_cpu() + 1;
}

/** Load v's descriptor tables. */
void pv_load_vcpu(struct vcpu *v)
{
    struct { u16 limit; u64 base; } __packed_ gdtr = {15 * PAGE_SIZE - 1, pv_gdt_va(v)};

    if (unlikely(v->arch.desc_cpu != this_cpu() + 1))
        descriptors_to_this_cpu(v);
    __asm__ volatile("lgdt %0" ::"m"(gdtr));
    if (v->arch.ldt_entries) {
        u64 *gdt = (u64 *)(DIRECTMAP + cpu_gdt_page(this_cpu()));
        u64 base = pv_ldt_va(v), limit = v->arch.ldt_entries * 8 - 1;

        gdt[(SEL_LDT & 0xfff) >> 3] = (limit & 0xffff) | (base & 0xffffff) << 16 | 0x82ull << 40 | ((base >> 24) & 0xff) << 56;
        gdt[((SEL_LDT & 0xfff) >> 3) + 1] = base >> 32;
        __asm__ volatile("lldt %w0" ::"r"(SEL_LDT));
    } else {
        __asm__ volatile("lldt %w0" ::"r"(0));
    }
}

void pv_save_selectors(struct vcpu *v)
{
    __asm__ volatile("mov %%ds, %0" : "=m"(v->arch.ds));
    __asm__ volatile("mov %%es, %0" : "=m"(v->arch.es));
    __asm__ volatile("mov %%fs, %0" : "=m"(v->arch.fs));
    __asm__ volatile("mov %%gs, %0" : "=m"(v->arch.gs));
}

static void save_segments(struct vcpu *v)
{
    pv_save_selectors(v);
    /* With FSGSBASE a guest changes its bases without a trap: read them back. */
    rdmsr_to(MSR_FS_BASE, &v->arch.fs_base);
    if (guest_kernel_mode(v)) {
        rdmsr_to(MSR_GS_BASE, &v->arch.gs_base_kernel);
        rdmsr_to(MSR_KERNEL_GS_BASE, &v->arch.gs_base_user);
    } else {
        rdmsr_to(MSR_GS_BASE, &v->arch.gs_base_user);
        rdmsr_to(MSR_KERNEL_GS_BASE, &v->arch.gs_base_kernel);
    }
}

/* True if every selector could be loaded. */
static bool load_segments(struct vcpu *v)
{
    bool ok = true;

    ok &= load_ds(v->arch.ds);
    ok &= load_es(v->arch.es);
    ok &= load_fs(v->arch.fs);
    ok &= load_gs_user(v->arch.gs);
    wrmsr(MSR_FS_BASE, v->arch.fs_base);
    wrmsr(MSR_GS_BASE, guest_kernel_mode(v) ? v->arch.gs_base_kernel : v->arch.gs_base_user);
    wrmsr(MSR_KERNEL_GS_BASE, guest_kernel_mode(v) ? v->arch.gs_base_user : v->arch.gs_base_kernel);
    return ok;
}

static void leave(struct cpu_info *c, struct vcpu *v)
{
    v->arch.regs = c->regs;
    if (is_hvm_vcpu(v))
        hvm_switch_from(v);
    else
        save_segments(v);
    fpu_save(v);
}

static void enter_idle(struct cpu_info *c)
{
    tlb_tick(c);
    write_cr3(hv_cr3);
    write_dr7(0x400);
}

/* This pcpu has nothing of v's any more, its page tables included: another may load it. */
static inline void give_up(struct vcpu *v)
{
    __atomic_store_n(&v->arch.loaded_on, VCPU_NOWHERE, __ATOMIC_RELEASE);
}

void pv_leave_resident(void)
{
    struct cpu_info *c = get_cpu_info();
    struct vcpu *v = c->resident;

    leave(c, v);
    c->resident = NULL;
    enter_idle(c);
    give_up(v);
}

/* Another pcpu has `next` still: it is about to leave it there, or waits in it. First leave what this one has, which that one may want. */
static __cold_ struct vcpu *wait_for(struct cpu_info *c, struct vcpu *prev, struct vcpu *next)
{
    struct vcpu *idle = c->idle;

    if (!prev->is_idle) {
        leave(c, prev);
        c->current = idle;
        enter_idle(c);
        give_up(prev);
    } else if (c->resident) {
        pv_leave_resident();
    }
    while (!arch_vcpu_settled(next))
        arch_relax();
    return idle;
}

/*
 * A PV vCPU that only waits stays in the processor while nothing else runs: its tables, registers and FPU are where they were when it
 * goes on. It leaves when another vCPU comes, and before its domain is taken apart (idle(), traps.c). One that has breakpoints set
 * always leaves, for they would be the hypervisor's; so does one of several whose siblings may change their page tables on another pcpu.
 */
void arch_context_switch(struct vcpu *prev, struct vcpu *next)
{
    struct cpu_info *c = get_cpu_info();

    if (unlikely(next->arch.loaded_on != VCPU_NOWHERE && next->arch.loaded_on != c->cpu + 1))
        prev = wait_for(c, prev, next);
    if (next->is_idle && !is_hvm_vcpu(prev) && pv_only_waits(prev) && !(prev->arch.dr[7] & 0xff) &&
        !(several_pcpus && prev->domain->max_vcpus > 1)) {
        c->resident = prev;
        c->current = next;
        return;
    }
    if (prev->is_idle && c->resident) {
        prev = c->resident;
        c->resident = NULL;
        if (prev == next) {
            c->current = next;
            return;
        }
    }
    if (!prev->is_idle)
        leave(c, prev);
    c->current = next;
    if (next->is_idle) {
        enter_idle(c);
        give_up(prev);
        return;
    }
    c->regs = next->arch.regs;
    next->arch.loaded_on = c->cpu + 1;
    if (is_hvm_vcpu(next)) {
        fpu_load(next);
        hvm_switch_to(next);
        give_up(prev);
        return;
    }
    tlb_tick(c);
    write_cr3(guest_kernel_mode(next) ? next->arch.cr3_kernel : next->arch.cr3_user);
    give_up(prev);
    pv_load_vcpu(next);
    fpu_load(next);
    pv_set_cr0_ts(next, next->arch.cr0_ts);
    if ((next->arch.dr[7] | prev->arch.dr[7]) & 0xff)
        load_debugregs(next);
    if (!load_segments(next))
        pv_inject_failsafe(next, &c->regs);
}

static void free_fpu(struct vcpu *v)
{
    arch_free_pages(v->arch.fpu, cpu_features.xsave_size > PAGE_SIZE ? 1 : 0);
}

int arch_vcpu_create(struct vcpu *v)
{
    struct arch_vcpu *a = &v->arch;

    a->dr[6] = 0xffff0ff0;
    a->dr[7] = 0x400;
    a->xcr0 = 1;
    a->flags = VF_KERNEL | VF_NO_USER;
    a->trace_id = v->domain->id | (u32)v->id << 16;
    if (v->is_idle)
        return 0;
    a->fpu = arch_alloc_pages(cpu_features.xsave_size > PAGE_SIZE ? 1 : 0);
    if (!a->fpu)
        return -XEN_ENOMEM;
    ((u16 *)a->fpu)[0] = 0x37f;        /* FCW */
    ((u32 *)a->fpu)[24 / 4] = 0x1f80;  /* MXCSR */
    if (cpu_features.xsave)
        ((u64 *)a->fpu)[512 / 8] = 3;  /* XSTATE_BV: x87 and SSE as above */
    if (is_hvm_domain(v->domain)) {
        int rc = hvm_vcpu_create(v);

        if (rc)
            free_fpu(v);
        return rc;
    }
    for (a->slot = 1; a->slot < NR_PCPUS * MAX_VCPUS; a->slot++)
        if (!test_and_set_bit(a->slot, slot_used))
            break;
    if (a->slot == NR_PCPUS * MAX_VCPUS) {
        free_fpu(v);
        return -XEN_ENOSPC;
    }
    mm_map_page(pv_gdt_va(v) + 14 * PAGE_SIZE, cpu_gdt_page(0), DESC_PTE);
    return 0;
}

int arch_vcpu_initialise(struct vcpu *v, gva_t context, bool *online)
{
    return is_hvm_vcpu(v) ? hvm_vcpu_initialise(v, context) : pv_vcpu_initialise(v, context, online);
}

/* The pcpu that it runs on passes through its work before it enters the guest again. */
void arch_send_nmi(struct vcpu *v)
{
    if (is_hvm_vcpu(v)) {
        hvm_vcpu_nmi(v);
        return;
    }
    __atomic_store_n(&v->arch.nmi_pending, true, __ATOMIC_SEQ_CST);
    vcpu_unblock(v);
    arch_raise_schedule(v->processor);
}

void arch_vcpu_destroy(struct vcpu *v)
{
    if (v->is_idle)
        return;
    free_fpu(v);
    if (is_hvm_vcpu(v))
        hvm_vcpu_destroy(v);
    else
        clear_bit(v->arch.slot, slot_used);
}

/* SPDX-License-Identifier: MIT */
/*
 * Intel's VMX behind struct hvm_ops: domains, vCPUs and their VMCS, registers and segments, injection (SDM vol. 3 ch. 25 to 29). vmx_exit.c
 * has the exits, vmx_cpu.c what is a physical CPU's, vmx.h the numbers.
 *
 * What never exits: page faults and all other exceptions but #DB, #AC and #MC; CR3, CR0 but for NE, CD and NW, CR4 but for bits that the guest
 * has not (so CLTS and LMSW never do: none of their bits is among these); INVLPG; RDTSC and RDTSCP; the MSRs of system calls and segments; task
 * priority (CR8, by the TPR shadow) unless it is lowered. What always does: CPUID, HLT, ports, the other MSRs, XSETBV, VMX's own
 * instructions, interrupts of the machine. #DB and #AC exit because a guest can make their delivery endless. Loops with PAUSE exit where a
 * domain has several vCPUs, one of which may wait for another that does not run (PAUSE-loop exiting, in ring 0).
 * What no VMCS keeps stays in the processor while the vCPU is on it and is exchanged by switch_to() and switch_from(): CR2, DR6, the MSRs
 * of SYSCALL and SWAPGS. The hypervisor uses none of them meanwhile.
 * Tagged TLB: each vCPU has a VPID of its pcpu, and gets another one when it comes to another pcpu; nested tables are tagged by their root,
 * and are flushed by a generation of the domain's that each pcpu catches up with before it enters one of its vCPUs.
 * Several pcpus: a vCPU's VMCS is cleared when it leaves one (§25.11.1).
 */
#include "vmx.h"
#include "x86/cpu.h"
#include "x86/mm.h"

/* A loop that waits (§26.1.3), in cycles: between two PAUSEs, and in all: some 10 us, as in svm.c. */
#define PAUSE_GAP    512
#define PAUSE_WINDOW 32768

static const u32 kept_msr[VMX_NR_MSRS] = {
    [VMX_STAR] = MSR_STAR, [VMX_LSTAR] = MSR_LSTAR, [VMX_CSTAR] = MSR_CSTAR, [VMX_SYSCALL_MASK] = MSR_SYSCALL_MASK,
    [VMX_KERNEL_GS_BASE] = MSR_KERNEL_GS_BASE,
};

/* §25.6.9: 1 KiB each for reads of low and high MSRs, then for writes. */
static void direct_msr(u8 *map, u32 msr)
{
    u32 at = msr < 0x2000 ? msr : 0x400 * 8 + (msr - 0xc0000000);

    map[at / 8] &= ~(1u << at % 8);
    map[0x800 + at / 8] &= ~(1u << at % 8);
}

/** EPT pointer (§25.6.11): write-back tables of four levels, no accessed and dirty flags. */
u64 vmx_eptp(const struct domain *d)
{
    return virt_to_mfn(d->arch.hvm->root).n << PAGE_SHIFT | 3 << 3 | 6;
}

/* ---- segments ---- */

/* Where a segment is in the VMCS: its selector, limit, access rights and base lie at the same distance behind the first of their kind. */
static const u8 segment_index[HVM_NR_SEGMENTS] = {
    [HVM_ES] = 0, [HVM_CS] = 2, [HVM_SS] = 4, [HVM_DS] = 6, [HVM_FS] = 8, [HVM_GS] = 10,
    [HVM_LDTR] = 12, [HVM_TR] = 14, [HVM_GDTR] = 16, [HVM_IDTR] = 18,
};

static bool is_table(enum hvm_segment_name n)
{
    return n == HVM_GDTR || n == HVM_IDTR;
}

static void get_segment(const struct vcpu *v, enum hvm_segment_name n, struct hvm_segment *s)
{
    unsigned int i = segment_index[n];
    struct vmx_vcpu *x = vmx_load(v);

    *s = (struct hvm_segment){.limit = vmread(VMCS_GUEST_LIMIT + i), .base = vmread(VMCS_GUEST_BASE + i)};
    if (!is_table(n)) {
        u32 access = vmread(VMCS_GUEST_ACCESS + i);

        s->selector = vmread(VMCS_GUEST_SELECTOR + i);
        s->attributes = (access & 0xff & ~(access & ACCESS_UNUSABLE ? 0x80u : 0)) | (access >> 4 & 0xf00);
    }
    vmx_done(x);
}

/* Access rights (§25.4.1) are the descriptor's own bits, and "unusable", which is what not present means here. */
static void set_segment(struct vcpu *v, enum hvm_segment_name n, const struct hvm_segment *s)
{
    unsigned int i = segment_index[n];
    struct vmx_vcpu *x = vmx_load(v);

    vmwrite(VMCS_GUEST_LIMIT + i, s->limit);
    vmwrite(VMCS_GUEST_BASE + i, s->base);
    if (!is_table(n)) {
        vmwrite(VMCS_GUEST_SELECTOR + i, s->selector);
        vmwrite(VMCS_GUEST_ACCESS + i,
                (s->attributes & 0xff) | (s->attributes & 0xf00) << 4 | (s->attributes & 0x80 ? 0 : ACCESS_UNUSABLE));
    }
    vmx_done(x);
}

static u32 caller(const struct vcpu *v)
{
    struct vmx_vcpu *x = vmx_load(v);
    u32 level = vmread(VMCS_GUEST_ACCESS + 4) >> 5 & 3; /* of the stack: a conforming code segment's is another */
    bool wide = (vmread(VMCS_GUEST_ACCESS + 2) & ACCESS_L) && (vmread(VMCS_GUEST_EFER) & EFER_LMA);

    vmx_done(x);
    return level | (wide ? HVM_WIDE : 0);
}

/* ---- registers ---- */

static const u16 field_of[HVM_NR_REGISTERS] = {
    [HVM_CR3] = VMCS_GUEST_CR3, [HVM_EFER] = VMCS_GUEST_EFER, [HVM_PAT] = VMCS_GUEST_PAT, [HVM_DR7] = VMCS_GUEST_DR7,
    [HVM_SYSENTER_CS] = VMCS_GUEST_SYSENTER_CS, [HVM_SYSENTER_ESP] = VMCS_GUEST_SYSENTER_ESP,
    [HVM_SYSENTER_EIP] = VMCS_GUEST_SYSENTER_EIP,
};

/* Which of the MSRs that no VMCS keeps; VMX_NR_MSRS or more: none. Both kinds of numbers have one order. */
static unsigned int msr_of(enum hvm_register n)
{
    return (unsigned int)n - HVM_KERNEL_GS_BASE;
}
_Static_assert(HVM_SYSCALL_MASK - HVM_KERNEL_GS_BASE == (int)VMX_SYSCALL_MASK && VMX_SYSCALL_MASK == VMX_NR_MSRS - 1, "order of MSRs");

static u64 get_loaded(const struct vmx_vcpu *x, enum hvm_register n)
{
    unsigned int msr;

    if (likely(field_of[n]))
        return vmread(field_of[n]);
    switch (n) {
    case HVM_CR0:
        return (vmread(VMCS_GUEST_CR0) & ~vmx_caps.cr0_host) | (x->cr0_shadow & vmx_caps.cr0_host);
    case HVM_CR4: /* of the hypervisor's bits none is set in what the guest sees */
        return vmread(VMCS_GUEST_CR4) & ~vmx_caps.cr4_host;
    case HVM_CPL:
        return vmread(VMCS_GUEST_ACCESS + 4) >> 5 & 3;
    case HVM_CR2:
        return x->on_cpu ? read_cr2() : x->cr2;
    case HVM_DR6:
        return x->on_cpu ? read_dr6() : x->dr6;
    default:
        msr = msr_of(n);
        return x->on_cpu ? rdmsr(kept_msr[msr]) : x->msr[msr];
    }
}

u64 vmx_get(const struct vcpu *v, enum hvm_register n)
{
    struct vmx_vcpu *x = vmx_load(v);
    u64 value = get_loaded(x, n);

    vmx_done(x);
    return value;
}

/** EFER and CR0 are written together where LMA follows PG: §27.3.1.1 wants LMA, LME under paging and the entry control to agree. */
void vmx_set(struct vcpu *v, enum hvm_register n, u64 value)
{
    struct vmx_vcpu *x = vmx_load(v);
    unsigned int msr;

    switch (n) {
    case HVM_CR0:
        x->cr0_shadow = value;
        vmwrite(VMCS_CR0_SHADOW, value);
        vmwrite(VMCS_GUEST_CR0, (value & ~(u64)(X86_CR0_CD | X86_CR0_NW)) | vmx_caps.cr0_set);
        x->vpid_generation = 0;
        break;
    case HVM_CR4:
        vmwrite(VMCS_GUEST_CR4, value | X86_CR4_VMXE);
        x->vpid_generation = 0;
        break;
    case HVM_EFER:
        x->entry_controls = (x->entry_controls & ~ENTRY_GUEST_64) | (value & EFER_LMA ? ENTRY_GUEST_64 : 0);
        vmwrite(VMCS_ENTRY, x->entry_controls);
        vmwrite(VMCS_GUEST_EFER, value);
        x->vpid_generation = 0;
        break;
    case HVM_CR3:
        vmwrite(VMCS_GUEST_CR3, value);
        x->vpid_generation = 0;
        if ((vmread(VMCS_GUEST_CR0) & X86_CR0_PG) && (vmread(VMCS_GUEST_CR4) & X86_CR4_PAE) && !(vmread(VMCS_GUEST_EFER) & EFER_LMA) &&
            !vmx_load_pdptes(v))
            vmwrite(VMCS_GUEST_PDPTE, ~0ull); /* which the entry refuses (§27.3.1.6) */
        break;
    case HVM_CPL:
        vmwrite(VMCS_GUEST_ACCESS + 4, (vmread(VMCS_GUEST_ACCESS + 4) & ~(3ull << 5)) | (value & 3) << 5);
        break;
    case HVM_CR2:
        if (x->on_cpu)
            write_cr2(value);
        x->cr2 = value;
        break;
    case HVM_DR6:
        if (x->on_cpu)
            write_dr6(value);
        x->dr6 = value;
        break;
    default:
        msr = msr_of(n);
        if (msr >= VMX_NR_MSRS) {
            vmwrite(field_of[n], value);
            break;
        }
        if (x->on_cpu)
            wrmsr(kept_msr[msr], value);
        x->msr[msr] = value;
        break;
    }
    vmx_done(x);
}

/* An entry wants the threshold to be no higher (§27.2.1.1); prepare() in vmx_exit.c raises it. */
static void set_tpr(struct vcpu *v, u8 cr8)
{
    struct vmx_vcpu *x = v->arch.hvm->vmx;

    x->apic_page[VMX_TPR_AT] = (cr8 & 15) << 4;
    if (unlikely(x->threshold > (cr8 & 15))) {
        (void)vmx_load(v);
        x->threshold = cr8 & 15;
        vmwrite(VMCS_TPR_THRESHOLD, x->threshold);
        vmx_done(x);
    }
}

static u8 get_tpr(const struct vcpu *v)
{
    return v->arch.hvm->vmx->apic_page[VMX_TPR_AT] >> 4;
}

/* ---- events ---- */

static bool take_nmi(struct vcpu *v)
{
    struct vmx_vcpu *x = vmx_load(v);

    if (likely(!(x->blocked & (BLOCKED_BY_NMI | BLOCKED_BY_MOV_SS))))
        return true;
    x->primary |= PRIMARY_NMI_WINDOW;
    vmwrite(VMCS_PRIMARY, x->primary);
    return false;
}

static bool shadowed(const struct vcpu *v)
{
    return v->arch.hvm->vmx->blocked & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS);
}

static void open_window(struct vcpu *v)
{
    struct vmx_vcpu *x = vmx_load(v);

    if (!(x->primary & PRIMARY_WINDOW)) {
        x->primary |= PRIMARY_WINDOW;
        vmwrite(VMCS_PRIMARY, x->primary);
    }
}

/* Both windows: what still waits opens its own again. */
static void close_window(struct vcpu *v)
{
    struct vmx_vcpu *x = vmx_load(v);

    if (x->primary & (PRIMARY_WINDOW | PRIMARY_NMI_WINDOW)) {
        x->primary &= ~(PRIMARY_WINDOW | PRIMARY_NMI_WINDOW);
        vmwrite(VMCS_PRIMARY, x->primary);
    }
}

static void clear_shadow(struct vcpu *v)
{
    v->arch.hvm->vmx->blocked &= ~(BLOCKED_BY_STI | BLOCKED_BY_MOV_SS);
}

static void clear_blocking(struct vcpu *v)
{
    struct vmx_vcpu *x = vmx_load(v);

    x->blocked = 0;
    vmwrite(VMCS_PENDING_DEBUG, 0);
}

/* ---- vCPUs ---- */

static void vcpu_destroy_vmx(struct vcpu *v)
{
    struct vmx_vcpu *x = v->arch.hvm->vmx;

    if (!x)
        return;
    if (x->vmcs) {
        vmx_clear(x);
        arch_free_pages(x->vmcs, 0);
    }
    if (x->apic_page)
        arch_free_pages(x->apic_page, 0);
    arch_free(x);
    v->arch.hvm->vmx = NULL;
}

/* Page faults: with bit 14 of the exceptions clear, none exits (§26.2). */
static const u16 zero_at_first[] = {
    VMCS_PF_MASK, VMCS_PF_MATCH, VMCS_CR3_TARGETS, VMCS_EXIT_MSR_STORES, VMCS_EXIT_MSR_LOADS, VMCS_ENTRY_EVENT, VMCS_TPR_THRESHOLD,
    VMCS_TSC_OFFSET, VMCS_CR4_SHADOW, VMCS_GUEST_DEBUGCTL, VMCS_INTERRUPTIBILITY, VMCS_ACTIVITY, VMCS_PENDING_DEBUG,
    VMCS_GUEST_SYSENTER_CS, VMCS_GUEST_SYSENTER_ESP, VMCS_GUEST_SYSENTER_EIP,
};

/* What the guest does not see, and what of its state is zero through INIT. */
static void write_controls(struct vcpu *v, struct vmx_vcpu *x)
{
    const struct hvm_domain *hd = v->domain->arch.hvm;
    u64 io = virt_to_mfn(hd->io_map).n << PAGE_SHIFT;
    u32 secondary = vmx_caps.secondary & ~(v->domain->max_vcpus > 1 ? 0 : SECONDARY_PAUSE_LOOP);

    for (unsigned int i = 0; i < ARRAY_SIZE(zero_at_first); i++)
        vmwrite(zero_at_first[i], 0);
    vmwrite(VMCS_PIN, vmx_caps.pin);
    vmwrite(VMCS_PRIMARY, x->primary);
    vmwrite(VMCS_SECONDARY, secondary);
    if (secondary & SECONDARY_PAUSE_LOOP) {
        vmwrite(VMCS_PAUSE_GAP, PAUSE_GAP);
        vmwrite(VMCS_PAUSE_WINDOW, PAUSE_WINDOW);
    }
    vmwrite(VMCS_EXIT, vmx_caps.exit);
    vmwrite(VMCS_ENTRY, x->entry_controls);
    vmwrite(VMCS_EXCEPTIONS, 1u << VEC_DB | 1u << VEC_AC | 1u << VEC_MC);
    vmwrite(VMCS_ENTRY_MSR_LOADS, vmx_caps.entry_list != 0);
    vmwrite(VMCS_ENTRY_MSR_LIST, vmx_caps.entry_list);
    vmwrite(VMCS_IO_BITMAP_A, io);
    vmwrite(VMCS_IO_BITMAP_B, io + PAGE_SIZE);
    vmwrite(VMCS_MSR_BITMAP, virt_to_mfn(hd->msr_map).n << PAGE_SHIFT);
    vmwrite(VMCS_VIRTUAL_APIC, virt_to_mfn(x->apic_page).n << PAGE_SHIFT);
    vmwrite(VMCS_EPTP, vmx_eptp(v->domain));
    vmwrite(VMCS_LINK, ~0ull);
    vmwrite(VMCS_CR0_MASK, vmx_caps.cr0_host);
    vmwrite(VMCS_CR4_MASK, vmx_caps.cr4_host);
}

static int vcpu_create_vmx(struct vcpu *v)
{
    struct vmx_vcpu *x = arch_alloc(sizeof(*x));

    if (!x)
        return -XEN_ENOMEM;
    v->arch.hvm->vmx = x;
    v->arch.hvm->event = &x->event;
    x->vmcs = arch_alloc_pages(0);
    x->apic_page = arch_alloc_pages(0);
    if (!x->vmcs || !x->apic_page) /* the caller destroys */
        return -XEN_ENOMEM;
    x->vmcs_paddr = virt_to_mfn(x->vmcs).n << PAGE_SHIFT;
    x->host_of = -1;
    x->active_on = this_cpu(); /* so that it is cleared once, as §25.11.3 wants it before its first use */
    *(u32 *)x->vmcs = vmx_caps.revision;
    vmx_clear(x);
    vmx_load(v);
    x->primary = vmx_caps.primary;
    x->entry_controls = vmx_caps.entry;
    write_controls(v, x);
    vmx_set(v, HVM_PAT, HVM_PAT_RESET);
    x->rip = x->rsp = x->rflags = ~0ull; /* what the VMCS has is to be written */
    vmx_clear(x); /* whichever pcpu runs it activates it */
    return 0;
}

static void switch_to(struct vcpu *v)
{
    struct vmx_pcpu *p = &vmx_pcpu[this_cpu()];
    struct vmx_vcpu *x = vmx_load(v);

    if (unlikely(x->host_of != (s32)this_cpu())) {
        vmx_write_host_state();
        x->host_of = this_cpu();
    }
    for (unsigned int i = 0; i < VMX_NR_MSRS; i++) {
        p->msr[i] = rdmsr(kept_msr[i]);
        wrmsr(kept_msr[i], x->msr[i]);
    }
    if (cpu_features.rdtscp)
        wrmsr(MSR_TSC_AUX, v->arch.hvm->tsc_aux);
    write_cr2(x->cr2);
    write_dr6(x->dr6);
    x->on_cpu = true;
}

/* An exit leaves the limits of GDTR and IDTR at 64 KiB (§28.5.2): whoever comes loads its GDT, and no vector is above 255. */
static void switch_from(struct vcpu *v)
{
    struct vmx_pcpu *p = &vmx_pcpu[this_cpu()];
    struct vmx_vcpu *x = v->arch.hvm->vmx;

    x->on_cpu = false;
    x->cr2 = read_cr2();
    x->dr6 = read_dr6();
    for (unsigned int i = 0; i < VMX_NR_MSRS; i++) {
        x->msr[i] = rdmsr(kept_msr[i]);
        wrmsr(kept_msr[i], p->msr[i]);
    }
    if (cpu_features.rdtscp) {
        v->arch.hvm->tsc_aux = rdmsr(MSR_TSC_AUX);
        wrmsr(MSR_TSC_AUX, 0);
    }
    if (!vmx_one_pcpu())
        vmx_clear(x);
}

static void flush(struct vcpu *v)
{
    __atomic_add_fetch(&v->domain->arch.hvm->nested_generation, 1, __ATOMIC_SEQ_CST);
}

static unsigned long long field(const struct vcpu *v, enum vmcs_field f)
{
    vmx_load(v);
    return vmread(f);
}

static bool dump(const struct vcpu *v)
{
    struct vmx_vcpu *x = v->arch.hvm->vmx;

    if (x->active_on >= 0 && x->active_on != (s32)this_cpu()) {
        printk("its VMCS is at work on pcpu %d\n", x->active_on);
        return false;
    }
    printk("VMCS exit %#llx qualification %#llx gpa %#llx event %#llx vectoring %#llx instruction error %llu\n",
           field(v, VMCS_REASON), field(v, VMCS_QUALIFICATION), field(v, VMCS_GUEST_PHYSICAL), field(v, VMCS_EXIT_EVENT),
           field(v, VMCS_VECTORING), field(v, VMCS_INSTRUCTION_ERROR));
    printk("controls pin %llx primary %llx secondary %llx exit %llx entry %llx interruptibility %llx activity %llu pending debug %llx\n",
           field(v, VMCS_PIN), field(v, VMCS_PRIMARY), field(v, VMCS_SECONDARY), field(v, VMCS_EXIT), field(v, VMCS_ENTRY),
           field(v, VMCS_INTERRUPTIBILITY), field(v, VMCS_ACTIVITY), field(v, VMCS_PENDING_DEBUG));
    printk("in the VMCS: rip %llx rsp %llx rflags %llx cr0 %llx cr4 %llx eptp %llx pdpte %llx %llx %llx %llx\n", field(v, VMCS_GUEST_RIP),
           field(v, VMCS_GUEST_RSP), field(v, VMCS_GUEST_RFLAGS), field(v, VMCS_GUEST_CR0), field(v, VMCS_GUEST_CR4), field(v, VMCS_EPTP),
           field(v, VMCS_GUEST_PDPTE), field(v, VMCS_GUEST_PDPTE + 2), field(v, VMCS_GUEST_PDPTE + 4), field(v, VMCS_GUEST_PDPTE + 6));
    vmx_done(x);
    return true;
}

const struct hvm_ops vmx_ops = {
    .name = "VMX",
    .hypercall_code = {0x0f, 0x01, 0xc1}, /* VMCALL */
    .p2m = &ept_ops,
    .present = vmx_present,
    .cpu_init = vmx_cpu_init,
    .vcpu_create = vcpu_create_vmx,
    .vcpu_destroy = vcpu_destroy_vmx,
    .run = vmx_run,
    .get = vmx_get,
    .set = vmx_set,
    .write_cr = vmx_write_cr,
    .io_map_order = 1,  /* bitmaps A and B */
    HVM_OPS_NAMED_ALIKE,
};

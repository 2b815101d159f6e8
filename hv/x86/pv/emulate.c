/* SPDX-License-Identifier: MIT */
/*
 * Privileged instructions of guest kernels. They run in ring 3, so each raises #GP (or #UD for the forced CPUID) and comes
 * here: port I/O, control and debug registers, MSRs, CPUID, CLI and STI, CLTS, HLT, INVLPG, WBINVD, XSETBV; and INT n
 * through a gate.
 *
 * CLI and STI do nothing (the event mask in vcpu_info is the guest's IF). MOV from CR3 gives the guest's own table. Ports:
 * io_rights.h decides; ports of the legacy timer read 0 and absent PCI reads all-ones but for 0xcf8 (see pci_address). What
 * a guest may not do is the exception that the processor would raise: #GP.
 * Sources: SDM vol. 2 (opcodes), xen/arch-x86/cpuid.h (leaves 0x40000000), xen/arch-x86/xen-x86_64.h (forced emulation
 * prefix).
 */
#include "pv.h"
#include "io_rights.h"
#include "typing.h"
#include "x86/cpu.h"
#include "core/hypercall.h"
#include "sched/sched.h"
#include <trace/trace.h>
#include <xen/arch-x86/cpuid.h>

#define OUTCOME(kind, result) ((kind) | (result) << 16)
#define NOTE(code, addr)      (get_cpu_info()->note_code = (code), get_cpu_info()->note_addr = (addr))

unsigned int pv_fetch(const struct regs *r, u8 *buf)
{
    size_t left;

    if (!guest_range_ok(r->rip, 15))
        return 0;
    if (likely((r->rip & ~PAGE_MASK) <= PAGE_SIZE - 16)) { /* two moves where the page holds them */
        bool ok;

        stac();
        ok = guest_get8(r->rip, (u64 *)buf) && guest_get8(r->rip + 8, (u64 *)(buf + 8));
        clac();
        return ok ? 15 : 0;
    }
    left = guest_copy_from(buf, r->rip, 15);
    return 15 - left;
}

/* ---- CPUID as a domain sees it ---- */

#define BIT(n) (1u << (n))

static void pv_cpuid(struct vcpu *v, u32 leaf, u32 sub, u32 out[4])
{
    u32 *a = &out[0], *b = &out[1], *c = &out[2], *d = &out[3];

    *a = *b = *c = *d = 0;
    if (leaf >= XEN_CPUID_FIRST_LEAF && leaf < XEN_CPUID_FIRST_LEAF + 0x100) {
        switch (leaf - XEN_CPUID_FIRST_LEAF) {
        case 0:
            *a = XEN_CPUID_FIRST_LEAF + 5;
            *b = XEN_CPUID_SIGNATURE_EBX;
            *c = XEN_CPUID_SIGNATURE_ECX;
            *d = XEN_CPUID_SIGNATURE_EDX;
            break;
        case 1:
            *a = XEN_VERSION_MAJOR << 16 | XEN_VERSION_MINOR;
            break;
        case 2: /* one hypercall page, filled by a write to MSR 0x40000000 */
            *a = 1;
            *b = 0x40000000;
            *c = XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD;
            break;
        case 3:
            if (sub == 0) {
                *c = (u32)(tsc_hz / 1000);
            } else if (sub == 2) {
                *a = (u32)(tsc_hz / 1000);
            }
            break;
        case 5:
            *b = 0;
            *a = cpu_features.phys_bits;
            break;
        }
        return;
    }
    if (leaf >= 0x40000000 && leaf < 0x80000000)
        return;
    if ((leaf < 0x40000000 && leaf > cpu_features.cpuid_max) || (leaf >= 0x80000000 && leaf > cpu_features.cpuid_max_ext))
        return;
    cpuid(leaf, sub, a, b, c, d);
    switch (leaf) {
    case 1:
        /* Not for a PV kernel: VME PSE PGE MTRR PSE36 SEP(AMD long mode) DS ACPI; DTES64 MONITOR VMX SMX EIST TM2 CNXT PDCM PCID DCA x2APIC
         * TSC-deadline. */
        *d &= ~(BIT(1) | BIT(3) | BIT(13) | BIT(12) | BIT(17) | BIT(21) | BIT(22) | BIT(29) | BIT(31));
        if (cpu_features.amd)
            *d &= ~BIT(11);
        *c &= ~(BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(7) | BIT(8) | BIT(10) | BIT(14) | BIT(15) | BIT(17) | BIT(18) |
                BIT(21) | BIT(24) | BIT(27));
        if (v->arch.cr4 & X86_CR4_OSXSAVE)
            *c |= BIT(27);
        if (!cpu_features.xsave) /* XSAVE, and what needs it: FMA AVX F16C */
            *c &= ~(BIT(12) | BIT(26) | BIT(28) | BIT(29));
        *c |= BIT(31);
        break;
    case 5: /* MONITOR */
    case 6: /* thermal and power */
    case 0xa: /* PMU */
    case 0x8000000a: /* SVM */
    case 0x8000001f: /* SEV */
        *a = *b = *c = *d = 0;
        break;
    case 7:
        if (sub == 0) {
            /* keep FSGSBASE BMI1 AVX2 BMI2 ERMS RDSEED ADX CLFLUSHOPT CLWB SHA; no SMEP, SMAP, INVPCID, MPX, PKU,
             * LA57, UMIP */
            *b &= BIT(0) | BIT(3) | BIT(5) | BIT(8) | BIT(9) | BIT(18) | BIT(19) | BIT(23) | BIT(24) | BIT(29);
            *c &= BIT(9) | BIT(10) | BIT(22);
            *d = 0;
            if (!cpu_features.fsgsbase)
                *b &= ~BIT(0);
            if (!cpu_features.xsave) { /* AVX2 VAES VPCLMULQDQ */
                *b &= ~BIT(5);
                *c &= ~(BIT(9) | BIT(10));
            }
        } else {
            *a = *b = *c = *d = 0;
        }
        break;
    case 0xd:
        if (!cpu_features.xsave) {
            *a = *b = *c = *d = 0;
        } else if (sub == 0) {
            *a &= (u32)cpu_features.xcr0;
            *d = 0;
            *c = cpu_features.xsave_size;
        } else if (sub == 1) {
            *a &= BIT(0) | BIT(2); /* XSAVEOPT, XGETBV(1); not XSAVEC, XSAVES */
            *b = *c = *d = 0;
        } else if (sub > 62 || !(cpu_features.xcr0 >> sub & 1)) {
            *a = *b = *c = *d = 0;
        }
        break;
    case 0x80000001:
        *d &= ~(BIT(1) | BIT(3) | BIT(12) | BIT(13) | BIT(17) | BIT(25) | BIT(26) | BIT(27));
        *d |= cpu_features.rdtscp ? BIT(27) : 0;
        *c &= ~(BIT(2) | BIT(3) | BIT(9) | BIT(10) | BIT(11) | BIT(12) | BIT(13) | BIT(15) | BIT(19) | BIT(22) | BIT(23) | BIT(24));
        break;
    case 0x80000007:
        *a = *b = *c = 0;
        *d &= BIT(8);
        break;
    }
}

static void emulate_cpuid(struct vcpu *v, struct regs *r)
{
    u32 out[4];

    NOTE((u32)r->rax, r->rcx);
    pv_cpuid(v, (u32)r->rax, (u32)r->rcx, out);
    r->rax = out[0];
    r->rbx = out[1];
    r->rcx = out[2];
    r->rdx = out[3];
}

/** #UD: the prefix `ud2; "xen"` before CPUID asks for the domain's CPUID; any other is the guest's own. */
u32 pv_invalid_opcode(struct vcpu *v, struct regs *r)
{
    static const u8 forced[] = {0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2};
    u8 b[16];

    if (pv_fetch(r, b) >= sizeof(forced) && !memcmp(b, forced, sizeof(forced))) {
        r->rip += sizeof(forced);
        emulate_cpuid(v, r);
        return OUTCOME(TRACE_TRAP_EMUL_CPUID, TRACE_RES_DONE);
    }
    NOTE(VEC_UD, 0);
    pv_inject_exception(v, r, VEC_UD, 0, 0);
    return OUTCOME(TRACE_TRAP_EXCEPTION_BOUNCE, TRACE_RES_BOUNCED);
}

/* ---- ports ---- */

/* Whether the virtual IOPL lets this mode do port I/O, CLI and STI. Without the assist a guest kernel counts as ring 1, and asks for its
 * IOPL by PHYSDEVOP_set_iopl (xen.h, VMASST_TYPE_architectural_iopl). */
static bool iopl_ok(const struct vcpu *v)
{
    bool architectural = v->domain->vm_assist & (1u << VMASST_TYPE_architectural_iopl);
    unsigned int ring = !guest_kernel_mode(v) ? 3 : architectural ? 0 : 1;

    return v->arch.iopl >= ring;
}

/* Configuration address (port 0xcf8) of each domain's last write; the hidden function answers as absent. */
static u32 pci_address;

static u32 port_in(struct vcpu *v, u16 port, unsigned int size)
{
    u32 ones = size == 4 ? ~0u : (1u << (size * 8)) - 1;

    /* The legacy timer's channel 2: a guest that calibrates against it must see its loop end at once. */
    if (port == 0x42 || port == 0x40 || port == 0x43)
        return 0;
    if (port == 0x61)
        return 0x20;
    if (!io_port_allowed(v->domain, port, size))
        return ones;
    if (port == 0xcf8 && size == 4)
        return pci_address;
    if (port >= 0xcfc && port <= 0xcff) {
        if ((int)((pci_address >> 8) & 0xffff) == pci_hidden_bdf)
            return ones;
        outl(0xcf8, pci_address);
    }
    return size == 1 ? inb(port) : size == 2 ? inw(port) : inl(port);
}

static void port_out(struct vcpu *v, u16 port, unsigned int size, u32 val)
{
    if (port == 0x42 || port == 0x40 || port == 0x43 || port == 0x61 || !io_port_allowed(v->domain, port, size))
        return;
    if (port == 0xcf8 && size == 4) {
        pci_address = val;
        return;
    }
    if (port >= 0xcfc && port <= 0xcff) {
        if ((int)((pci_address >> 8) & 0xffff) == pci_hidden_bdf)
            return;
        outl(0xcf8, pci_address);
    }
    if (size == 1)
        outb(port, val);
    else if (size == 2)
        outw(port, val);
    else
        outl(port, val);
}

/* ---- MSRs ---- */

static bool msr_read(struct vcpu *v, u32 msr, u64 *val)
{
    switch (msr) {
    case MSR_FS_BASE:
    case MSR_GS_BASE:
    case MSR_KERNEL_GS_BASE:
        *val = rdmsr(msr);
        return true;
    case MSR_APIC_BASE:
        *val = 0xfee00000 | BIT(11) | (v->id == 0 ? BIT(8) : 0);
        return true;
    case MSR_EFER: /* as the guest's architecture: long mode, system calls, NX */
        *val = EFER_SCE | EFER_LME | EFER_LMA | (cpu_features.nx ? EFER_NX : 0);
        return true;
    case 0x277: /* PAT: what is in force */
        if (!cpu_features.pat)
            return false;
        *val = rdmsr(msr);
        return true;
    case 0x179: /* machine check: a domain has no banks; errors are the hypervisor's */
    case 0x17a:
        *val = 0;
        return true;
    case 0x8b: /* microcode revision */
    case 0x17: /* platform */
        *val = 0;
        return rdmsr_safe(msr, val);
    case MSR_TSC_AUX:
        *val = 0;
        return cpu_features.rdtscp;
    case 0x10:
        *val = rdtsc();
        return true;
    default:
        return false;
    }
}

void pv_hypercall_page(void *page);
/** Fill a page of the guest's with the hypercall stubs of the PV ABI. */
void pv_hypercall_page(void *page)
{
    /* mov $n, %eax; syscall; ret: each 32 bytes. iret keeps rcx r11 rax for its frame (xen-x86_64.h). */
    for (unsigned int i = 0; i < PAGE_SIZE / 32; i++) {
        u8 *p = (u8 *)page + i * 32;

        memset(p, 0xcc, 32);
        if (i == __HYPERVISOR_iret) {
            memcpy(p, (u8[]){0x51, 0x41, 0x53, 0x50, 0xb8, i, 0, 0, 0, 0x0f, 0x05}, 11);
            continue;
        }
        memcpy(p, (u8[]){0x51, 0x41, 0x53, 0xb8, i, 0, 0, 0, 0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3}, 14);
    }
}

static bool msr_write(struct vcpu *v, u32 msr, u64 val)
{
    switch (msr) {
    case MSR_FS_BASE:
    case MSR_GS_BASE:
    case MSR_KERNEL_GS_BASE:
        if (!is_canonical(val))
            return false;
        wrmsr(msr, val);
        if (msr == MSR_FS_BASE)
            v->arch.fs_base = val;
        else if (msr == MSR_GS_BASE)
            v->arch.gs_base_kernel = val;
        else
            v->arch.gs_base_user = val;
        return true;
    case 0x40000000: { /* hypercall page: the gfn in bits 12 and up, page index below must be 0 */
        mfn_t mfn = MFN(val >> PAGE_SHIFT);

        if ((val & ~PAGE_MASK) || frame_get_type(mfn, FT_WRITABLE, v->domain))
            return false;
        pv_hypercall_page(map_mfn(mfn));
        (void)frame_put_type(mfn, false);
        return true;
    }
    case 0x17a: /* machine check status: nothing to clear */
        return true;
    case 0x277:
        return cpu_features.pat && val == rdmsr(0x277);
    default:
        return false;
    }
}

/* ---- #GP ---- */

struct fetch {
    u8 b[16];
    unsigned int n, at, rex, opsize, rep;
};

/* IN or OUT between the accumulator and a port. */
static __always_inline_ void port_io(struct vcpu *v, struct regs *r, bool out, u16 port, unsigned int size)
{
    u32 val;

    if (out) {
        val = (u32)r->rax;
        if (size < 4)
            val &= (1u << (size * 8)) - 1;
        NOTE(port, val);
        port_out(v, port, size, val);
        return;
    }
    val = port_in(v, port, size);
    NOTE(port, val);
    if (size == 4)
        r->rax = val;
    else if (size == 2)
        r->rax = (r->rax & ~0xffffull) | (val & 0xffff);
    else
        r->rax = (r->rax & ~0xffull) | (val & 0xff);
}

/* IN, OUT and their string forms, at b[at]. One iteration of REP at a time: the instruction executes again. */
static u32 emulate_pio(struct vcpu *v, struct regs *r, struct fetch *f)
{
    u8 op = f->b[f->at];
    bool out = op & 2, string = op >= 0x6c && op <= 0x6f, by_imm = op >= 0xe4 && op <= 0xe7;
    unsigned int size = op & 1 ? f->opsize : 1;
    u16 port = by_imm ? f->b[f->at + 1] : (u16)r->rdx;
    u32 val = 0, kind = out ? TRACE_TRAP_EMUL_OUT : TRACE_TRAP_EMUL_IN;

    if (size == 8)
        size = 4;
    if (string) {
        s64 step = r->rflags & X86_FLAGS_DF ? -(s64)size : (s64)size;

        if (!f->rep || r->rcx) {
            if (out) {
                if (guest_copy_from(&val, r->rsi, size)) {
                    pv_inject_exception(v, r, VEC_PF, 0, r->rsi);
                    return OUTCOME(kind, TRACE_RES_BOUNCED);
                }
                port_out(v, port, size, val);
                r->rsi += step;
            } else {
                val = port_in(v, port, size);
                if (guest_copy_to(r->rdi, &val, size)) {
                    pv_inject_exception(v, r, VEC_PF, 2, r->rdi);
                    return OUTCOME(kind, TRACE_RES_BOUNCED);
                }
                r->rdi += step;
            }
            NOTE(port, val);
            if (f->rep && --r->rcx)
                return OUTCOME(kind, TRACE_RES_RETRY);
        }
    } else {
        port_io(v, r, out, port, size);
    }
    r->rip += f->at + 1 + by_imm;
    return OUTCOME(kind, TRACE_RES_DONE);
}

/* A guest's CR0, but for TS. */
#define GUEST_CR0 (X86_CR0_PG | X86_CR0_WP | X86_CR0_NE | X86_CR0_ET | X86_CR0_MP | X86_CR0_AM | 1u)

static bool read_cr(struct vcpu *v, unsigned int n, u64 *val)
{
    switch (n) {
    case 0:
        *val = GUEST_CR0 | v->arch.cr0_ts;
        return true;
    case 2:
        *val = v->info->arch.cr2;
        return true;
    case 3: /* the guest's own root; a PV guest's gfn is its mfn */
        *val = v->arch.cr3_kernel;
        return true;
    case 4:
        *val = X86_CR4_PAE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | X86_CR4_DE | (v->arch.cr4 & X86_CR4_OSXSAVE) |
               (cpu_features.fsgsbase ? X86_CR4_FSGSBASE : 0) | (v->arch.cr4 & X86_CR4_TSD);
        return true;
    default:
        return false;
    }
}

static bool write_cr(struct vcpu *v, unsigned int n, u64 val)
{
    switch (n) {
    case 0:
        /* Only TS may change. */
        if ((val ^ GUEST_CR0) & ~(u64)X86_CR0_TS)
            return false;
        pv_set_cr0_ts(v, val & X86_CR0_TS);
        return true;
    case 2:
        v->info->arch.cr2 = val;
        return true;
    case 4:
        v->arch.cr4 = val & (X86_CR4_TSD | (cpu_features.xsave ? X86_CR4_OSXSAVE : 0));
        return true;
    case 3:
        return !(val & ~PTE_MFN) && pv_new_base(v, MFN(val >> PAGE_SHIFT)) == 0;
    default:
        return false;
    }
}

static bool write_dr(struct vcpu *v, unsigned int n, u64 val)
{
    return do_set_debugreg(n == 4 ? 6 : n == 5 ? 7 : n, val, 0, 0, 0, 0) == 0;
}

/* Two-byte opcodes, b[at] behind 0f. Returns the trap kind or ~0. *len: length of opcode and operands. */
static u32 emulate_0f(struct vcpu *v, struct regs *r, struct fetch *f, unsigned int *len)
{
    const u8 *b = &f->b[f->at];
    u64 val = 0, *reg = gpr(r, (b[1] & 7) | (f->rex & 1 ? 8 : 0));
    unsigned int cr = ((b[1] >> 3) & 7) | (f->rex & 4 ? 8 : 0);

    *len = 1;
    switch (b[0]) {
    case 0x01:
        *len = 2;
        if (b[1] == 0xd1) { /* XSETBV */
            val = (u32)r->rax | r->rdx << 32;
            if (!cpu_features.xsave || !(v->arch.cr4 & X86_CR4_OSXSAVE) || (u32)r->rcx || !(val & 1) ||
                (val & ~cpu_features.xcr0) || ((val & 4) && !(val & 2)))
                return ~0u;
            v->arch.xcr0 = val;
            xsetbv(0, val);
            NOTE(0, val);
            return TRACE_TRAP_EMUL_XSETBV;
        }
        if ((b[1] & 0xf8) == 0xe0) { /* SMSW reg */
            (void)read_cr(v, 0, reg);
            return TRACE_TRAP_EMUL_CR_READ;
        }
        if ((b[1] & 0xf8) == 0xf0) { /* LMSW reg */
            pv_set_cr0_ts(v, *reg & X86_CR0_TS);
            return TRACE_TRAP_EMUL_CR_WRITE;
        }
        return ~0u;
    case 0x06:
        pv_set_cr0_ts(v, false);
        return TRACE_TRAP_EMUL_CR_WRITE;
    case 0x08:
    case 0x09: /* INVD, WBINVD: a domain without devices of its own has no memory to write back */
        return TRACE_TRAP_EMUL_INVLPG;
    case 0x20:
        *len = 2;
        if (!read_cr(v, cr, reg))
            return ~0u;
        NOTE(cr, *reg);
        return TRACE_TRAP_EMUL_CR_READ;
    case 0x22:
        *len = 2;
        NOTE(cr, *reg);
        return write_cr(v, cr, *reg) ? TRACE_TRAP_EMUL_CR_WRITE : ~0u;
    case 0x21:
        *len = 2;
        if (cr > 7)
            return ~0u;
        *reg = v->arch.dr[cr == 4 ? 6 : cr == 5 ? 7 : cr];
        NOTE(cr, *reg);
        return TRACE_TRAP_EMUL_DR;
    case 0x23:
        *len = 2;
        NOTE(cr, *reg);
        return cr <= 7 && write_dr(v, cr, *reg) ? TRACE_TRAP_EMUL_DR : ~0u;
    case 0x30:
        val = (u32)r->rax | r->rdx << 32;
        NOTE((u32)r->rcx, val);
        return msr_write(v, (u32)r->rcx, val) ? TRACE_TRAP_EMUL_WRMSR : ~0u;
    case 0x31:
        val = rdtsc();
        r->rax = (u32)val;
        r->rdx = val >> 32;
        return TRACE_TRAP_EMUL_RDTSC;
    case 0x32:
        if (!msr_read(v, (u32)r->rcx, &val)) {
            NOTE((u32)r->rcx, 0);
            return ~0u;
        }
        NOTE((u32)r->rcx, val);
        r->rax = (u32)val;
        r->rdx = val >> 32;
        return TRACE_TRAP_EMUL_RDMSR;
    case 0xa2:
        emulate_cpuid(v, r);
        return TRACE_TRAP_EMUL_CPUID;
    default:
        return ~0u;
    }
}

static u32 bounce_gp(struct vcpu *v, struct regs *r)
{
    pv_inject_exception(v, r, VEC_GP, r->error_code, 0);
    return OUTCOME(TRACE_TRAP_GP_BOUNCE, TRACE_RES_BOUNCED);
}

/* INT n through a gate that the guest set: the IDT lets no ring-3 code use its own gates but 3 and 4 (error code: n
 * << 3 | 2). */
static u32 software_interrupt(struct vcpu *v, struct regs *r)
{
    unsigned int n = (r->error_code >> 3) & 0xff;
    const struct trap_entry *t = &v->arch.trap[n];
    u8 b[16];

    if (!t->rip || (!guest_kernel_mode(v) && t->dpl < 3))
        return bounce_gp(v, r);
    if (pv_fetch(r, b) < 2 || b[0] != 0xcd || b[1] != n)
        return bounce_gp(v, r);
    r->rip += 2;
    NOTE(n, 0);
    (void)pv_bounce(v, r, t->rip, t->masks, false, 0);
    return OUTCOME(TRACE_TRAP_INT_N, TRACE_RES_BOUNCED);
}

static u32 emulate(struct vcpu *v, struct regs *r, struct fetch *f);

/* What most faults are, decoded on the spot: IN and OUT, with or without an operand-size prefix, CLI and STI. */
u32 pv_general_protection(struct vcpu *v, struct regs *r)
{
    struct fetch f;
    unsigned int at;
    u8 op;

    NOTE(r->error_code, 0);
    if (unlikely(r->error_code)) {
        if ((r->error_code & 7) == 2)
            return software_interrupt(v, r);
        return bounce_gp(v, r);
    }
    f.n = pv_fetch(r, f.b);
    if (unlikely(f.n < 15))
        memset(f.b + f.n, 0, sizeof(f.b) - f.n);
    at = f.b[0] == 0x66;
    op = f.b[at];
    if (likely(f.n == 15 && ((op & 0xf4) == 0xe4 || (op & 0xfe) == 0xfa))) {
        if (unlikely(!iopl_ok(v)))
            return bounce_gp(v, r);
        r->rip += at + 1;
        /* CLI and STI have no effect, as on Xen: POPF, which ends such a section, cannot be trapped, and events would
         * stay off. */
        if ((op & 0xfe) == 0xfa)
            return OUTCOME(TRACE_TRAP_EMUL_IF, TRACE_RES_DONE);
        r->rip += !(op & 8);
        port_io(v, r, op & 2, op & 8 ? (u16)r->rdx : f.b[at + 1], !(op & 1) ? 1 : at ? 2 : 4);
        return OUTCOME(op & 2 ? TRACE_TRAP_EMUL_OUT : TRACE_TRAP_EMUL_IN, TRACE_RES_DONE);
    }
    return emulate(v, r, &f);
}

/* Any other, by its prefixes and opcode. */
static __attribute__((noinline)) u32 emulate(struct vcpu *v, struct regs *r, struct fetch *f)
{
    u32 kind;

    f->at = f->rex = f->rep = 0;
    f->opsize = 4;
    while (f->at < f->n && f->at < 8) {
        u8 p = f->b[f->at];

        if (p == 0x66)
            f->opsize = 2;
        else if (p == 0xf2 || p == 0xf3)
            f->rep = p;
        else if (p != 0xf0 && p != 0x2e && p != 0x36 && p != 0x3e && p != 0x26 && p != 0x64 && p != 0x65 && p != 0x67)
            break;
        f->at++;
    }
    if ((f->b[f->at] & 0xf0) == 0x40)
        f->rex = f->b[f->at++];
    if (f->at + 3 > f->n)
        return bounce_gp(v, r);

    switch (f->b[f->at]) {
    case 0x6c ... 0x6f:
    case 0xe4 ... 0xe7:
    case 0xec ... 0xef:
        return iopl_ok(v) ? emulate_pio(v, r, f) : bounce_gp(v, r);
    case 0xfa:
    case 0xfb:
        if (!iopl_ok(v))
            return bounce_gp(v, r);
        r->rip += f->at + 1;
        return OUTCOME(TRACE_TRAP_EMUL_IF, TRACE_RES_DONE);
    case 0x0f: {
        unsigned int len;

        if (!guest_kernel_mode(v) && f->b[f->at + 1] != 0xa2)
            return bounce_gp(v, r);
        f->at++;
        kind = emulate_0f(v, r, f, &len);
        if (kind == ~0u)
            return bounce_gp(v, r);
        r->rip += f->at + len;
        return OUTCOME(kind, TRACE_RES_DONE);
    }
    case 0xf4: /* HLT: as blocking with events as they are; a guest that masks them and halts is not coming back by itself */
        if (guest_kernel_mode(v)) {
            r->rip += f->at + 1;
            sched_block_current();
            return OUTCOME(TRACE_TRAP_EMUL_INVLPG, TRACE_RES_DONE);
        }
        return bounce_gp(v, r);
    default:
        return bounce_gp(v, r);
    }
}

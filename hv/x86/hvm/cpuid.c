/* SPDX-License-Identifier: MIT */
/*
 * What a hardware-assisted guest may know of its processor: CPUID and the MSRs that exit.
 *
 * CPUID: what the machine has, through a list of what this hypervisor can give (nothing unlisted gets through); the Xen leaves of
 * xen/arch-x86/cpuid.h from 0x40000000 on, but for a domain from which Xen is hidden. MSRs: the few that are the guest's, known ones that
 * read as zero and ignore writes as far as kernels touch them; #GP for all others.
 * Sources: SDM vol. 2 CPUID, APM vol. 3 appendix E, SDM vol. 4 (MSRs), AMD BKDG (C001_ MSRs).
 */
#include "hvm.h"
#include "x86/cpu.h"
#include <xen/arch-x86/cpuid.h>

#define B(n) (1u << (n))

/* Leaf 1. SSE3 PCLMUL SSSE3 FMA CX16 SSE4.1 SSE4.2 MOVBE POPCNT AES XSAVE AVX F16C RDRAND */
#define L1_ECX (B(0) | B(1) | B(9) | B(12) | B(13) | B(19) | B(20) | B(22) | B(23) | B(25) | B(26) | B(28) | B(29) | B(30))
#define L1_ECX_X2APIC B(21)
#define L1_ECX_DEADLINE B(24)
#define L1_ECX_HYPERVISOR B(31)
/* FPU VME DE PSE TSC MSR PAE MCE CX8 APIC SEP PGE MCA CMOV PAT PSE36 CLFLUSH MMX FXSR SSE SSE2: no MTRR, nested paging has the types */
#define L1_EDX (B(0) | B(1) | B(2) | B(3) | B(4) | B(5) | B(6) | B(7) | B(8) | B(9) | B(11) | B(13) | B(14) | B(15) | B(16) | B(17) | \
                B(19) | B(23) | B(24) | B(25) | B(26))
/* Leaf 7. FSGSBASE BMI1 AVX2 SMEP BMI2 ERMS RDSEED ADX SMAP CLFLUSHOPT CLWB SHA; UMIP; FSRM */
#define L7_EBX (B(0) | B(3) | B(5) | B(7) | B(8) | B(9) | B(18) | B(19) | B(20) | B(23) | B(24) | B(29))
#define L7_ECX B(2)
#define L7_EDX B(4)
/* Leaf 80000001. LAHF CR8 ABM SSE4A MISALIGNSSE PREFETCHW; SYSCALL NX MMXEXT FFXSR-less 1G-pages RDTSCP LM 3DNOW(EXT) and those of leaf 1 */
#define E1_ECX (B(0) | B(4) | B(5) | B(6) | B(7) | B(8))
#define E1_EDX ((L1_EDX & 0x0183f3ffu) | B(11) | B(20) | B(22) | B(26) | B(27) | B(29) | B(30) | B(31))

static void xen_leaf(struct vcpu *v, u32 leaf, u32 sub, u32 out[4])
{
    const struct hvm_domain *hd = v->domain->arch.hvm;

    out[0] = out[1] = out[2] = out[3] = 0;
    switch (leaf - XEN_CPUID_FIRST_LEAF) {
    case 0:
        out[0] = XEN_CPUID_LEAF(4);
        out[1] = XEN_CPUID_SIGNATURE_EBX;
        out[2] = XEN_CPUID_SIGNATURE_ECX;
        out[3] = XEN_CPUID_SIGNATURE_EDX;
        break;
    case 1:
        out[0] = XEN_VERSION_MAJOR << 16 | XEN_VERSION_MINOR;
        break;
    case 2: /* one hypercall page, placed by this MSR */
        out[0] = 1;
        out[1] = 0x40000000;
        out[2] = XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD;
        break;
    case 3:
        if (sub == 0) { /* TSC: native, never emulated */
            out[0] = cpu_features.invtsc ? B(1) : 0;
            out[1] = 2;
            out[2] = (u32)(tsc_hz / 1000);
        } else if (sub == 2) {
            out[0] = (u32)(tsc_hz / 1000);
        }
        break;
    case 4:
        out[0] = XEN_HVM_CPUID_VCPU_ID_PRESENT | XEN_HVM_CPUID_DOMID_PRESENT |
                 (hd->upcall_by_apic ? XEN_HVM_CPUID_UPCALL_VECTOR : 0);
        out[1] = v->id;
        out[2] = v->domain->id;
        break;
    default:
        break;
    }
}

/* XSAVE areas (SDM vol. 1 §13.2): the components that the hypervisor switches. */
static void xsave_leaf(struct vcpu *v, u32 sub, u32 out[4])
{
    if (!cpu_features.xsave || sub > 2) {
        out[0] = out[1] = out[2] = out[3] = 0;
        return;
    }
    if (sub == 0) {
        out[0] = (u32)cpu_features.xcr0;
        out[1] = v->arch.xcr0 & 4 ? cpu_features.xsave_size : 576;
        out[2] = cpu_features.xsave_size;
        out[3] = 0;
    } else if (sub == 1) {
        out[0] &= B(0) | B(2); /* XSAVEOPT, XGETBV of 1 */
        out[1] = out[2] = out[3] = 0;
    } else if (!(cpu_features.xcr0 & 4)) {
        out[0] = out[1] = out[2] = out[3] = 0;
    }
}

static void answer(struct vcpu *v, u32 leaf, u32 sub, u32 out[4])
{
    const struct hvm_domain *hd = v->domain->arch.hvm;
    u32 max = leaf & 0x80000000 ? min_of(cpu_features.cpuid_max_ext, 0x80000008u) : min_of(cpu_features.cpuid_max, 0xdu);

    if (leaf - XEN_CPUID_FIRST_LEAF < 0x10000) {
        if (hd->hide_xen || leaf - XEN_CPUID_FIRST_LEAF > 4)
            out[0] = out[1] = out[2] = out[3] = 0;
        else
            xen_leaf(v, leaf, sub, out);
        return;
    }
    if (leaf > max) {
        out[0] = out[1] = out[2] = out[3] = 0;
        return;
    }
    cpuid(leaf, sub, &out[0], &out[1], &out[2], &out[3]);
    switch (leaf) {
    case 0:
    case 0x80000000:
        out[0] = max;
        break;
    case 1:
        out[1] = (out[1] & 0xff00) | 1u << 16 | vlapic_id(v->arch.hvm->vlapic) << 24;
        out[2] = (out[2] & L1_ECX) | L1_ECX_X2APIC | (hd->hide_xen ? 0 : L1_ECX_HYPERVISOR) | (hd->platform ? L1_ECX_DEADLINE : 0);
        if (!cpu_features.xsave)
            out[2] &= ~(B(26) | B(28) | B(29) | B(12));
        out[3] &= L1_EDX;
        break;
    case 7:
        out[0] = 0;
        out[1] = sub ? 0 : out[1] & L7_EBX & ~(cpu_features.xsave ? 0 : B(5));
        out[2] = sub ? 0 : out[2] & L7_ECX;
        out[3] = sub ? 0 : out[3] & L7_EDX;
        break;
    case 0xd:
        xsave_leaf(v, sub, out);
        break;
    case 2: case 4: /* caches */
        break;
    case 0x80000001:
        out[1] = 0;
        out[2] &= E1_ECX;
        out[3] &= E1_EDX & ~(cpu_features.rdtscp ? 0 : B(27));
        break;
    case 0x80000002: case 0x80000003: case 0x80000004: case 0x80000005: case 0x80000006:
        break;
    case 0x80000007:
        out[0] = out[1] = out[2] = 0;
        out[3] &= B(8);
        break;
    case 0x80000008: /* addresses: the p2m ends at 40 bits */
        out[0] = min_of(out[0] & 0xff, 40u) | (out[0] & 0xff00);
        out[1] = out[2] = out[3] = 0;
        break;
    default: /* power, performance counters, topology of the machine */
        out[0] = out[1] = out[2] = out[3] = 0;
        break;
    }
}

void hvm_cpuid(struct vcpu *v, u32 leaf, u32 sub, u32 out[4])
{
    answer(v, leaf, sub, out);
    if (leaf != 0xd || !cpu_features.xsave) /* that shows XCR0 */
        v->arch.hvm->cpuid[HVM_CPUID_SLOT(leaf, sub)] = (struct hvm_cpuid_answer){~leaf, ~sub, out[0], out[1], out[2], out[3]};
    if (leaf == 1 && (hvm_ops->get(v, HVM_CR4) & X86_CR4_OSXSAVE))
        out[2] |= HVM_CPUID_OSXSAVE;
}

/* EFER (APM vol. 2 §3.1.7): SVME is the hypervisor's; LMA follows LME and CR0.PG, and LME may not change under paging. */
static bool write_efer(struct vcpu *v, u64 value)
{
    u64 old = hvm_ops->get(v, HVM_EFER);

    if (value & ~(u64)(EFER_SCE | EFER_LME | EFER_LMA | EFER_NX))
        return false;
    if (((value ^ old) & EFER_LME) && (hvm_ops->get(v, HVM_CR0) & X86_CR0_PG))
        return false;
    hvm_ops->set(v, HVM_EFER, (value & ~(u64)EFER_LMA) | (old & EFER_LMA));
    return true;
}

/* A page of stubs, 32 bytes a call: mov $n, %eax; vmmcall or vmcall; ret (xen/arch-x86/xen-x86_64.h). Right in 32-bit code too. */
static bool hypercall_page(struct vcpu *v, u64 value)
{
    u8 stub[32];

    if ((value & ~PAGE_MASK) || v->domain->arch.hvm->hide_xen)
        return false;
    for (unsigned int i = 0; i < PAGE_SIZE / sizeof(stub); i++) {
        memset(stub, 0xcc, sizeof(stub));
        if (i != __HYPERVISOR_iret) {
            memcpy(stub, (u8[]){0xb8, i, 0, 0, 0, 0, 0, 0, 0xc3}, 9);
            memcpy(stub + 5, hvm_ops->hypercall_code, 3);
        }
        if (hvm_copy_to_physical(v->domain, value + i * sizeof(stub), stub, sizeof(stub)))
            return false;
    }
    return true;
}

#define MSR_MISC_ENABLE 0x1a0
#define MISC_ENABLE     (B(0) | B(11) | B(12)) /* fast strings; neither branch trace nor precise events (SDM vol. 4, table 2-2) */

/* Registers that kernels look at on any AMD or Intel processor and that say nothing here: zero, writes ignored. */
static bool reads_as_zero(u32 msr)
{
    switch (msr) {
    case 0x8b:                                       /* microcode revision */
    case 0x179: case 0x17a: case 0x1d9:              /* machine check: no banks; DEBUGCTL */
    case 0xc0010015: case 0xc001001f: case 0xc0010055: /* HWCR, NB_CFG, INT_PENDING */
    case 0xc0010010: case 0xc0011029: case 0xc0011022: /* SYSCFG, DE_CFG, DC_CFG */
        return true;
    default:
        return false;
    }
}

bool hvm_msr_read(struct vcpu *v, u32 msr, u64 *value)
{
    *value = 0;
    if (hvm_is_apic_msr(msr)) {
        if ((msr & ~2u) == 0x808) /* TPR, PPR: CR8 may have been written without an exit */
            vlapic_set_cr8(v->arch.hvm->vlapic, hvm_ops->get_tpr(v));
        return vlapic_msr_read(v->arch.hvm->vlapic, msr, value);
    }
    switch (msr) {
    case 0x10:
        *value = rdtsc();
        return true;
    case MSR_EFER:
        *value = hvm_ops->get(v, HVM_EFER);
        return true;
    case 0x277:
        *value = hvm_ops->get(v, HVM_PAT);
        return true;
    case MSR_TSC_AUX:
        return false;
    case MSR_MISC_ENABLE: /* Intel's kernels look whether NX is turned off: it is not */
        *value = MISC_ENABLE;
        return !cpu_features.amd;
    default:
        return reads_as_zero(msr);
    }
}

bool hvm_msr_write(struct vcpu *v, u32 msr, u64 value)
{
    if (hvm_is_apic_msr(msr)) {
        vlapic_set_cr8(v->arch.hvm->vlapic, hvm_ops->get_tpr(v));
        if (!vlapic_msr_write(v->arch.hvm->vlapic, msr, value))
            return false;
        if (!hvm_apic_msr_kicks(msr))
            hvm_apic_changed(v);
        return true;
    }
    switch (msr) {
    case MSR_EFER:
        return write_efer(v, value);
    case 0x277:
        for (unsigned int i = 0; i < 8; i++) { /* types 0, 1, 4 to 7 (APM vol. 2 §7.8.1) */
            u8 type = value >> 8 * i;

            if (type > 7 || type == 2 || type == 3)
                return false;
        }
        hvm_ops->set(v, HVM_PAT, value);
        return true;
    case 0x10: /* setting it would need an offset; kernels that try expect it to stay */
        return true;
    case MSR_MISC_ENABLE:
        return !cpu_features.amd && value == MISC_ENABLE;
    case 0x40000000:
        return hypercall_page(v, value);
    default:
        return reads_as_zero(msr);
    }
}

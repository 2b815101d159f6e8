/* SPDX-License-Identifier: MIT */
/*
 * VMX as a physical CPU has it: capabilities, VMXON, which VMCS is loaded, the host's fields, the tagged TLB (SDM vol. 3 ch. 24, 25, 29,
 * appendix A).
 *
 * Needed, and refused without: the TRUE controls (else every CR3 load would exit), EPT with four levels and write-back tables, unrestricted
 * guests, virtual NMIs, TPR shadow, bitmaps, EFER and PAT exchanged by entry and exit, INVEPT. Every processor with unrestricted guests has
 * them. VPID is used where it is there.
 * A VMCS is active on one pcpu at most (§25.1): vmx_load_slow() activates, vmx_clear() writes it back.
 */
#include "vmx.h"
#include "vmx_clearing.h"
#include "x86/cpu.h"
#include "x86/mm.h"

#define MSR_FEATURE_CONTROL 0x3a
#define FEATURE_LOCKED      (1u << 0)
#define FEATURE_VMX         (1u << 2)
#define MSR_ARCH_CAPABILITIES 0x10a
#define MSR_FLUSH_CMD       0x10b
#define FLUSH_L1D           1u
#define MSR_PAT             0x277
#define MSR_VMX_BASIC       0x480
#define MSR_VMX_MISC        0x485
#define MSR_VMX_CR0_FIXED0  0x486
#define MSR_VMX_CR0_FIXED1  0x487
#define MSR_VMX_CR4_FIXED0  0x488
#define MSR_VMX_CR4_FIXED1  0x489
#define MSR_VMX_SECONDARY   0x48b
#define MSR_VMX_EPT_VPID    0x48c
#define MSR_VMX_TRUE_PIN    0x48d
#define MSR_VMX_TRUE_PROC   0x48e
#define MSR_VMX_TRUE_EXIT   0x48f
#define MSR_VMX_TRUE_ENTRY  0x490

#define BASIC_STRING_INFO   (1ull << 54)
#define BASIC_TRUE_CONTROLS (1ull << 55)
#define MISC_STORES_LMA     (1u << 5)
#define EPT_4_LEVELS        (1ull << 6)
#define EPT_WRITE_BACK      (1ull << 14)
#define EPT_2M              (1ull << 16)
#define EPT_1G              (1ull << 17)
#define EPT_INVEPT          (1ull << 20 | 1ull << 25)
#define VPID_INVVPID_ALL    (1ull << 32 | 1ull << 42)
#define NR_VPIDS            65536u

/** What a guest may change of CR4 where the processor has it: VME PVI TSD DE PSE PAE MCE PGE PCE OSFXSR OSXMMEXCPT UMIP FSGSBASE OSXSAVE SMEP SMAP. */
#define CR4_GUEST 0x350fffu

struct vmx_pcpu vmx_pcpu[NR_PCPUS];
struct vmx_caps vmx_caps;
static unsigned int nr_on;

/* Settle a control word (appendix A.3 to A.5): what is wanted and what the processor insists on. False: something needed is not there. */
static bool settle(u32 msr, u32 need, u32 like, u32 *out)
{
    u64 can = rdmsr(msr);

    *out = (need | like | (u32)can) & (u32)(can >> 32);
    return (*out & need) == need;
}

static bool controls_ok(void)
{
    struct vmx_caps *c = &vmx_caps;
    u64 ept;

    if (!settle(MSR_VMX_TRUE_PIN, PIN_EXTERNAL_INTERRUPT | PIN_NMI | PIN_VIRTUAL_NMI, 0, &c->pin) ||
        !settle(MSR_VMX_TRUE_PROC,
                PRIMARY_HLT | PRIMARY_MWAIT | PRIMARY_RDPMC | PRIMARY_TPR_SHADOW | PRIMARY_IO_BITMAPS | PRIMARY_MSR_BITMAPS |
                    PRIMARY_MONITOR | PRIMARY_SECONDARY,
                0, &c->primary) ||
        (c->primary & (PRIMARY_CR3_LOAD | PRIMARY_CR3_STORE | PRIMARY_INVLPG | PRIMARY_RDTSC)) ||
        !settle(MSR_VMX_SECONDARY, SECONDARY_EPT | SECONDARY_UNRESTRICTED | (cpu_features.rdtscp ? SECONDARY_RDTSCP : 0),
                SECONDARY_VPID | SECONDARY_WBINVD | SECONDARY_PAUSE_LOOP, &c->secondary) ||
        !settle(MSR_VMX_TRUE_EXIT,
                EXIT_SAVE_DEBUG | EXIT_HOST_64 | EXIT_SAVE_PAT | EXIT_LOAD_PAT | EXIT_SAVE_EFER | EXIT_LOAD_EFER, 0, &c->exit) ||
        !settle(MSR_VMX_TRUE_ENTRY, ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER, 0, &c->entry))
        return false;
    ept = rdmsr(MSR_VMX_EPT_VPID);
    c->vpid = (c->secondary & SECONDARY_VPID) && (ept & VPID_INVVPID_ALL) == VPID_INVVPID_ALL;
    if (!c->vpid)
        c->secondary &= ~SECONDARY_VPID;
    if (ept & EPT_1G)
        hvm_largest_order = P2M_ORDER_1G;
    return (ept & (EPT_4_LEVELS | EPT_WRITE_BACK | EPT_2M | EPT_INVEPT)) == (EPT_4_LEVELS | EPT_WRITE_BACK | EPT_2M | EPT_INVEPT) &&
           (rdmsr(MSR_VMX_MISC) & MISC_STORES_LMA);
}

/*
 * spec-ctrl: what entries clear. The cache by an entry's own list of MSRs (§25.8.2), which it loads when it has read all else; the buffers
 * by VERW, with every register the guest's already. Where there is nothing to do it costs no instruction. 0, -XEN_ENOMEM.
 */
static int choose_clearing(enum vmx_clearing *what)
{
    struct { u32 msr, zero; u64 value; } *list;
    u32 a, b, c, d;
    u64 capabilities = 0;

    vmx_caps.resume = VMX_RESUME;
    *what = VMX_CLEARS_NOTHING;
    if (!hvm_rsb_overwrite || cpu_features.cpuid_max < 7)
        return 0;
    cpuid(7, 0, &a, &b, &c, &d);
    if (d & CPUID7_D_ARCH_CAPABILITIES)
        (void)rdmsr_safe(MSR_ARCH_CAPABILITIES, &capabilities);
    *what = vmx_clearing(b, d, capabilities);
    if (*what == VMX_CLEARS_BUFFERS) {
        vmx_caps.resume |= VMX_CLEAR;
    } else if (*what == VMX_CLEARS_L1D) {
        list = arch_alloc_pages(0);
        if (!list)
            return -XEN_ENOMEM;
        list->msr = MSR_FLUSH_CMD;
        list->value = FLUSH_L1D;
        vmx_caps.entry_list = virt_to_mfn(list).n << PAGE_SHIFT;
    }
    return 0;
}

bool vmx_present(void)
{
    u64 basic, control = 0;
    u32 a, b, c, d;

    cpuid(1, 0, &a, &b, &c, &d);
    if (!(c & (1u << 5)))
        return false;
    (void)rdmsr_safe(MSR_FEATURE_CONTROL, &control);
    if ((control & FEATURE_LOCKED) && !(control & FEATURE_VMX)) {
        printk("VMX is there, and firmware has turned it off\n");
        return false;
    }
    basic = rdmsr(MSR_VMX_BASIC);
    if (!(basic & BASIC_TRUE_CONTROLS) || !controls_ok()) {
        printk("VMX without EPT, unrestricted guests or what goes with them: it is not used\n");
        return false;
    }
    vmx_caps.revision = (u32)basic & 0x7fffffff;
    vmx_caps.string_info = basic & BASIC_STRING_INFO;
    /* §24.8: an unrestricted guest may clear PE and PG. CD and NW stay the hypervisor's, or a guest could turn the caches off. */
    vmx_caps.cr0_set = rdmsr(MSR_VMX_CR0_FIXED0) & ~(u64)(X86_CR0_PE | X86_CR0_PG);
    vmx_caps.cr0_host = (u32)(vmx_caps.cr0_set | X86_CR0_CD | X86_CR0_NW);
    vmx_caps.cr4_host = ~(rdmsr(MSR_VMX_CR4_FIXED1) & CR4_GUEST & ~(cpu_features.xsave ? 0u : X86_CR4_OSXSAVE));
    return true;
}

/**
 * §24.7: the feature-control register, CR4.VMXE, a region with the revision for VMXON. On the pcpu that is to have it.
 */
int vmx_cpu_init(unsigned int cpu)
{
    struct vmx_pcpu *p = &vmx_pcpu[cpu];
    u64 control = rdmsr(MSR_FEATURE_CONTROL), at;
    enum vmx_clearing clears = VMX_CLEARS_NOTHING;
    bool failed;

    if (cpu == 0 && choose_clearing(&clears))
        return -XEN_ENOMEM;
    p->vmxon = arch_alloc_pages(0);
    if (!p->vmxon)
        return -XEN_ENOMEM;
    if (!(control & FEATURE_LOCKED))
        wrmsr(MSR_FEATURE_CONTROL, control | FEATURE_LOCKED | FEATURE_VMX);
    *(u32 *)p->vmxon = vmx_caps.revision;
    at = virt_to_mfn(p->vmxon).n << PAGE_SHIFT;
    cpu_features.cr4 |= X86_CR4_VMXE;
    write_cr4(cpu_features.cr4);
    if ((read_cr0() & rdmsr(MSR_VMX_CR0_FIXED0)) != rdmsr(MSR_VMX_CR0_FIXED0) || (read_cr0() & ~rdmsr(MSR_VMX_CR0_FIXED1)) ||
        (read_cr4() & rdmsr(MSR_VMX_CR4_FIXED0)) != rdmsr(MSR_VMX_CR4_FIXED0) || (read_cr4() & ~rdmsr(MSR_VMX_CR4_FIXED1)))
        failed = true;
    else
        __asm__ volatile("vmxon %1" : "=@ccbe"(failed) : "m"(at) : "memory");
    if (failed) {
        cpu_features.cr4 &= ~(u64)X86_CR4_VMXE;
        write_cr4(cpu_features.cr4);
        arch_free_pages(p->vmxon, 0);
        p->vmxon = NULL;
        return -XEN_EOPNOTSUPP;
    }
    p->generation = 1;
    p->next_vpid = 1;
    nr_on++;
    if (cpu == 0)
        printk("VMX: revision %#x%s%s%s\n", vmx_caps.revision, vmx_caps.vpid ? ", VPID" : "",
               hvm_rsb_overwrite ? "; return stack overwritten behind guests" : "",
               clears == VMX_CLEARS_L1D       ? "; L1 data cache flushed at each entry"
               : clears == VMX_CLEARS_BUFFERS ? "; buffers cleared at each entry"
                                              : "");
    return 0;
}

bool vmx_one_pcpu(void)
{
    return nr_on == 1;
}

__cold_ void vmx_load_slow(struct vmx_vcpu *x)
{
    unsigned int cpu = this_cpu();

    ASSERT(x->active_on < 0 || x->active_on == (s32)cpu);
    __asm__ volatile("vmptrld %0" ::"m"(x->vmcs_paddr) : "memory", "cc");
    x->active_on = cpu;
    vmx_pcpu[cpu].loaded = x;
}

void vmx_clear(struct vmx_vcpu *x)
{
    if (x->active_on >= 0)
        __asm__ volatile("vmclear %0" ::"m"(x->vmcs_paddr) : "memory", "cc");
    if (vmx_pcpu[this_cpu()].loaded == x)
        vmx_pcpu[this_cpu()].loaded = NULL;
    x->active_on = -1;
    x->launched = false;
    x->vpid_generation = 0;
}

static u64 descriptor_base(const u64 *d)
{
    return (d[0] >> 16 & 0xffffff) | (d[0] >> 56 & 0xff) << 24 | d[1] << 32;
}

/* §27.2.2, §27.2.3. The hypervisor's CR3 is loaded already; CR0.TS is clear while it works. */
void vmx_write_host_state(void)
{
    struct { u16 limit; u64 base; } __packed_ gdtr, idtr;
    u16 cs, ss, tr;

    __asm__ volatile("sgdt %0\n\tsidt %1" : "=m"(gdtr), "=m"(idtr));
    __asm__ volatile("mov %%cs, %0\n\tmov %%ss, %1\n\tstr %2" : "=r"(cs), "=r"(ss), "=r"(tr));
    vmwrite(VMCS_HOST_CR0, read_cr0() & ~(u64)X86_CR0_TS);
    vmwrite(VMCS_HOST_CR3, read_cr3());
    vmwrite(VMCS_HOST_CR4, read_cr4());
    vmwrite(VMCS_HOST_CS, cs);
    vmwrite(VMCS_HOST_SS, ss);
    vmwrite(VMCS_HOST_DS, 0);
    vmwrite(VMCS_HOST_ES, 0);
    vmwrite(VMCS_HOST_FS, 0);
    vmwrite(VMCS_HOST_GS, 0);
    vmwrite(VMCS_HOST_TR, tr);
    vmwrite(VMCS_HOST_FS_BASE, 0);
    vmwrite(VMCS_HOST_GS_BASE, 0);
    vmwrite(VMCS_HOST_TR_BASE, descriptor_base((u64 *)(gdtr.base + (tr & ~7u))));
    vmwrite(VMCS_HOST_GDTR_BASE, gdtr.base);
    vmwrite(VMCS_HOST_IDTR_BASE, idtr.base);
    vmwrite(VMCS_HOST_SYSENTER_CS, 0);
    vmwrite(VMCS_HOST_SYSENTER_ESP, 0);
    vmwrite(VMCS_HOST_SYSENTER_EIP, 0);
    vmwrite(VMCS_HOST_EFER, rdmsr(MSR_EFER));
    vmwrite(VMCS_HOST_PAT, rdmsr(MSR_PAT));
    vmwrite(VMCS_HOST_RIP, (u64)vmx_exit_point);
}

/* When the numbers are used up, everything is flushed and all begin again (a generation). */
__cold_ void vmx_new_vpid(struct vmx_vcpu *x)
{
    struct vmx_pcpu *p = &vmx_pcpu[this_cpu()];
    struct { u64 vpid, address; } all = {0, 0};

    x->vpid_generation = p->generation;
    if (!vmx_caps.vpid)
        return;
    if (p->next_vpid == NR_VPIDS) {
        p->next_vpid = 1;
        x->vpid_generation = ++p->generation;
        __asm__ volatile("invvpid %0, %1" ::"m"(all), "r"(2ul) : "memory", "cc");
    }
    vmwrite(VMCS_VPID, p->next_vpid++);
}

__cold_ void vmx_invept(u64 eptp)
{
    struct { u64 eptp, zero; } one = {eptp, 0};

    __asm__ volatile("invept %0, %1" ::"m"(one), "r"(1ul) : "memory", "cc");
}

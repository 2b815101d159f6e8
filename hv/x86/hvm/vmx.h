/* SPDX-License-Identifier: MIT */
/*
 * The virtual machine control structure of Intel's VMX and the numbers around it (SDM vol. 3 ch. 25 and appendices A, B). For vmx*.c alone.
 *
 *   vmx.c       struct hvm_ops: domains, vCPUs, registers, injection        vmx_cpu.c   a pcpu's part: what it can do, VMXON, VMCS loaded
 *   vmx_exit.c  exits, what they were, and the next entry                   vmx_entry.S the world switch
 */
#ifndef PARANGON_HVM_VMX_H
#define PARANGON_HVM_VMX_H

#include "hvm.h"

/* Fields (appendix B). */
enum vmcs_field {
    VMCS_VPID = 0x0000,
    VMCS_GUEST_SELECTOR = 0x0800, /* of ES; the others of its kind behind it, two apart (segment_index()) */
    VMCS_HOST_ES = 0x0c00, VMCS_HOST_CS = 0x0c02, VMCS_HOST_SS = 0x0c04, VMCS_HOST_DS = 0x0c06, VMCS_HOST_FS = 0x0c08,
    VMCS_HOST_GS = 0x0c0a, VMCS_HOST_TR = 0x0c0c,
    VMCS_IO_BITMAP_A = 0x2000, VMCS_IO_BITMAP_B = 0x2002, VMCS_MSR_BITMAP = 0x2004,
    VMCS_ENTRY_MSR_LIST = 0x200a, VMCS_TSC_OFFSET = 0x2010, VMCS_VIRTUAL_APIC = 0x2012,
    VMCS_EPTP = 0x201a, VMCS_GUEST_PHYSICAL = 0x2400, VMCS_LINK = 0x2800, VMCS_GUEST_DEBUGCTL = 0x2802, VMCS_GUEST_PAT = 0x2804,
    VMCS_GUEST_EFER = 0x2806, VMCS_GUEST_PDPTE = 0x280a, VMCS_HOST_PAT = 0x2c00, VMCS_HOST_EFER = 0x2c02,
    VMCS_PIN = 0x4000, VMCS_PRIMARY = 0x4002, VMCS_EXCEPTIONS = 0x4004, VMCS_PF_MASK = 0x4006, VMCS_PF_MATCH = 0x4008,
    VMCS_CR3_TARGETS = 0x400a, VMCS_EXIT = 0x400c, VMCS_EXIT_MSR_STORES = 0x400e, VMCS_EXIT_MSR_LOADS = 0x4010, VMCS_ENTRY = 0x4012,
    VMCS_ENTRY_MSR_LOADS = 0x4014, VMCS_ENTRY_EVENT = 0x4016, VMCS_ENTRY_ERROR = 0x4018, VMCS_ENTRY_LENGTH = 0x401a,
    VMCS_TPR_THRESHOLD = 0x401c, VMCS_SECONDARY = 0x401e, VMCS_PAUSE_GAP = 0x4020, VMCS_PAUSE_WINDOW = 0x4022,
    VMCS_INSTRUCTION_ERROR = 0x4400, VMCS_REASON = 0x4402, VMCS_EXIT_EVENT = 0x4404, VMCS_EXIT_ERROR = 0x4406, VMCS_VECTORING = 0x4408,
    VMCS_VECTORING_ERROR = 0x440a, VMCS_LENGTH = 0x440c, VMCS_INSTRUCTION = 0x440e,
    VMCS_GUEST_LIMIT = 0x4800, VMCS_GUEST_ACCESS = 0x4814, VMCS_INTERRUPTIBILITY = 0x4824, VMCS_ACTIVITY = 0x4826,
    VMCS_GUEST_SYSENTER_CS = 0x482a, VMCS_HOST_SYSENTER_CS = 0x4c00,
    VMCS_CR0_MASK = 0x6000, VMCS_CR4_MASK = 0x6002, VMCS_CR0_SHADOW = 0x6004, VMCS_CR4_SHADOW = 0x6006, VMCS_QUALIFICATION = 0x6400,
    VMCS_GUEST_CR0 = 0x6800, VMCS_GUEST_CR3 = 0x6802, VMCS_GUEST_CR4 = 0x6804, VMCS_GUEST_BASE = 0x6806, VMCS_GUEST_DR7 = 0x681a,
    VMCS_GUEST_RSP = 0x681c, VMCS_GUEST_RIP = 0x681e, VMCS_GUEST_RFLAGS = 0x6820, VMCS_PENDING_DEBUG = 0x6822,
    VMCS_GUEST_SYSENTER_ESP = 0x6824, VMCS_GUEST_SYSENTER_EIP = 0x6826,
    VMCS_HOST_CR0 = 0x6c00, VMCS_HOST_CR3 = 0x6c02, VMCS_HOST_CR4 = 0x6c04, VMCS_HOST_FS_BASE = 0x6c06, VMCS_HOST_GS_BASE = 0x6c08,
    VMCS_HOST_TR_BASE = 0x6c0a, VMCS_HOST_GDTR_BASE = 0x6c0c, VMCS_HOST_IDTR_BASE = 0x6c0e, VMCS_HOST_SYSENTER_ESP = 0x6c10,
    VMCS_HOST_SYSENTER_EIP = 0x6c12, VMCS_HOST_RSP = 0x6c14, VMCS_HOST_RIP = 0x6c16
};

/* Controls (§25.6 to §25.8). */
#define PIN_EXTERNAL_INTERRUPT (1u << 0)
#define PIN_NMI                (1u << 3)
#define PIN_VIRTUAL_NMI        (1u << 5)
#define PRIMARY_WINDOW         (1u << 2)
#define PRIMARY_HLT            (1u << 7)
#define PRIMARY_INVLPG         (1u << 9)
#define PRIMARY_MWAIT          (1u << 10)
#define PRIMARY_RDPMC          (1u << 11)
#define PRIMARY_RDTSC          (1u << 12)
#define PRIMARY_CR3_LOAD       (1u << 15)
#define PRIMARY_CR3_STORE      (1u << 16)
#define PRIMARY_TPR_SHADOW     (1u << 21)
#define PRIMARY_NMI_WINDOW     (1u << 22)
#define PRIMARY_IO_BITMAPS     (1u << 25)
#define PRIMARY_MSR_BITMAPS    (1u << 28)
#define PRIMARY_MONITOR        (1u << 29)
#define PRIMARY_SECONDARY      (1u << 31)
#define SECONDARY_EPT          (1u << 1)
#define SECONDARY_RDTSCP       (1u << 3)
#define SECONDARY_VPID         (1u << 5)
#define SECONDARY_WBINVD       (1u << 6)
#define SECONDARY_UNRESTRICTED (1u << 7)
#define SECONDARY_PAUSE_LOOP   (1u << 10)
#define EXIT_SAVE_DEBUG        (1u << 2)
#define EXIT_HOST_64           (1u << 9)
#define EXIT_SAVE_PAT          (1u << 18)
#define EXIT_LOAD_PAT          (1u << 19)
#define EXIT_SAVE_EFER         (1u << 20)
#define EXIT_LOAD_EFER         (1u << 21)
#define ENTRY_LOAD_DEBUG       (1u << 2)
#define ENTRY_GUEST_64         (1u << 9)
#define ENTRY_LOAD_PAT         (1u << 14)
#define ENTRY_LOAD_EFER        (1u << 15)

/* Events (hvm.h), in and out, are laid out alike (§25.8.3, §25.9.2). */
#define EVENT_UNBLOCKS_NMI (1u << 12) /* an IRET faulted that had unblocked them; in a qualification too */
#define EVENT_SOFTWARE     4u         /* INT n; the two above are INT1, and INT3 and INTO */

/* Interruptibility (§25.4.2), pending debug exceptions. */
#define BLOCKED_BY_STI    (1u << 0)
#define BLOCKED_BY_MOV_SS (1u << 1)
#define BLOCKED_BY_NMI    (1u << 3)
#define PENDING_STEP      (1u << 14)

#define ACCESS_UNUSABLE (1u << 16)
#define ACCESS_L        (1u << 13)

#define REASON_FAILED_ENTRY  (1u << 31)
#define REASON_CPUID         10u
#define REASON_VMCALL        18u
#define REASON_IO            30u
#define REASON_RDMSR         31u
#define REASON_WRMSR         32u
#define REASON_MACHINE_CHECK 41u
#define REASON_EPT_VIOLATION 48u

#define X86_CR4_VMXE (1u << 13)
#define X86_CR0_PE   (1u << 0)
#define X86_CR0_NW   (1u << 29)
#define X86_CR0_CD   (1u << 30)

#define VMX_TPR_AT 0x80 /* in apic_page */

/* What of a guest's no VMCS keeps: in the processor while the vCPU is on it, here while it is off. */
enum { VMX_KERNEL_GS_BASE, VMX_STAR, VMX_LSTAR, VMX_CSTAR, VMX_SYSCALL_MASK, VMX_NR_MSRS };

struct vmx_vcpu {
    void *vmcs;
    u64 vmcs_paddr;
    u8 *apic_page;             /* for the task priority alone (§30.1.1) */
    s32 active_on;             /* pcpu whose VMCS cache may hold it, -1: none */
    s32 host_of;               /* pcpu whose state the host fields have, -1: none */
    bool launched;
    bool on_cpu;               /* registers below are in the processor */
    u64 vpid_generation;       /* of active_on; 0: the next entry needs another number */
    u64 nested_seen;           /* while it runs: flushes of its domain's nested tables that this pcpu has caught up with */
    u32 primary, threshold, entry_controls;
    u64 cr0_shadow;
    u64 rip, rsp, rflags;      /* as the VMCS has them */
    u32 blocked, blocked_in_vmcs;
    u64 event;                 /* to be injected, the error code in the upper half */
    u64 msr[VMX_NR_MSRS], cr2, dr6;
};

/** One pcpu's: the VMCS that is loaded, numbers for its tagged TLB, MSRs of the hypervisor's while a guest's are in force. */
struct vmx_pcpu {
    struct vmx_vcpu *loaded;
    void *vmxon;
    u32 next_vpid;
    u64 generation;
    u64 msr[VMX_NR_MSRS];
};
extern struct vmx_pcpu vmx_pcpu[NR_PCPUS];

/** The controls that this hypervisor runs guests with, and what the processor's capabilities make of the registers. */
struct vmx_caps {
    u32 revision;
    u32 pin, primary, secondary, exit, entry;
    bool string_info;          /* the instruction-information field tells of INS and OUTS */
    bool vpid;
    u64 cr0_host, cr4_host;    /* bits that the guest may not change; of CR0 those that must be set: cr0_set */
    u64 cr0_set;
    u32 resume;                /* how a guest is entered again: VMX_RESUME, with VMX_CLEAR where the processor wants its buffers cleared */
    u64 entry_list;            /* physical address of what an entry loads into MSRs: the command to flush the L1 data cache; 0: nothing */
};
extern struct vmx_caps vmx_caps;

static inline u64 vmread(enum vmcs_field field)
{
    u64 value;

    __asm__ volatile("vmread %1, %0" : "=r"(value) : "r"((u64)field) : "cc");
    return value;
}
static inline void vmwrite(enum vmcs_field field, u64 value)
{
    __asm__ volatile("vmwrite %1, %0" ::"r"((u64)field), "r"(value) : "cc");
}

/* ---- vmx_cpu.c ---- */
bool vmx_present(void);
int vmx_cpu_init(unsigned int cpu);
/** Let VMREAD and VMWRITE reach x's VMCS, and no other, until another one is loaded. It may not be active on another pcpu. */
void vmx_load_slow(struct vmx_vcpu *x);
/** Write back what the processor keeps of x's VMCS, on the pcpu where it is active; the next entry is a launch. */
void vmx_clear(struct vmx_vcpu *x);
/** Host fields of the loaded VMCS, for this pcpu as it is now. */
void vmx_write_host_state(void);
/** Leave the VMCS of vCPUs that leave this pcpu active on it: there is no other. */
bool vmx_one_pcpu(void);
/** A number for x of this pcpu's tagged TLB (§29.1), in its VMCS. */
void vmx_new_vpid(struct vmx_vcpu *x);
/** Forget what the TLB has by the nested tables of this root (§29.4.3.1). */
void vmx_invept(u64 eptp);

static inline struct vmx_vcpu *vmx_load(const struct vcpu *v)
{
    struct vmx_vcpu *x = v->arch.hvm->vmx;

    if (unlikely(vmx_pcpu[this_cpu()].loaded != x))
        vmx_load_slow(x);
    return x;
}

/** After vmx_load() for a vCPU that may be off the processor: it may come to another one next, so nothing of it stays in this one. */
static inline void vmx_done(struct vmx_vcpu *x)
{
    if (unlikely(!x->on_cpu) && !vmx_one_pcpu())
        vmx_clear(x);
}

/* ---- vmx.c ---- */
u64 vmx_eptp(const struct domain *d);
u64 vmx_get(const struct vcpu *v, enum hvm_register n);
void vmx_set(struct vcpu *v, enum hvm_register n, u64 value);

/* ---- vmx_exit.c ---- */
void vmx_run(struct vcpu *v, struct regs *r);
/** From vmx_entry.S after each exit. 0: leave the loop; else how to enter again. */
unsigned int vmx_exited(struct vcpu *v, struct regs *r);
/** From there too: the processor refuses to enter at all, and v does not run again. */
void vmx_entry_failed(struct vcpu *v, struct regs *r);
/** PAE paging begins, or its caches change: the four entries at CR3 are loaded now (§4.4.1), which no exit does for us. False: a reserved bit. */
bool vmx_load_pdptes(struct vcpu *v);
/** A write to CR0 or CR4 that the processor left to the hypervisor (§25.6.6). False: #GP. */
bool vmx_write_cr(struct vcpu *v, u8 cr, u64 value);

/* ---- vmx_entry.S ---- */
#define VMX_LAUNCH 1u
#define VMX_RESUME 2u
#define VMX_CLEAR  4u
/** World switches with the registers in *r until vmx_exited() says 0; how: VMX_LAUNCH or VMX_RESUME, and VMX_CLEAR to execute VERW first. v's
 * VMCS is loaded. */
void vmx_enter(struct regs *r, struct vcpu *v, unsigned int how);
extern char vmx_exit_point[];

#endif

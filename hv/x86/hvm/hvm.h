/* SPDX-License-Identifier: MIT */
/*
 * Hardware-assisted domains (PVH and HVM): what the files of this folder share, and what the rest of hv/x86 calls.
 *
 *   hvm.c       creation and end of domains and vCPUs, the exit loop    svm.c       AMD: VMCB, exits, intercepts (APM vol. 2 ch. 15)
 *   exit.c      a named handler for each exit reason                    svm_entry.S the world switch
 *   irq.c       which interrupt goes in before an entry                 npt.c       AMD's format of nested tables
 *   cpuid.c     CPUID and MSR policy                                    access.c    guest memory by guest's page tables
 *   vmx*.c      Intel: VMCS, exits, controls (SDM vol. 3 ch. 24-30)     vmx_entry.S its world switch; world_switch.inc: what both share
 *   nested.c    nested tables of either format                          ept.c       Intel's format
 *   hypercall.c the hypercalls that such a domain may make, HVMOP_*     build.c     from a boot module to a PVH or HVM domain
 *   startup.c   vCPUs that come and go: INIT, STARTUP, VCPUOP_initialise
 *   io.c        registered port and memory ranges                       acpi.c      its ACPI tables
 *   platform.c  devices together; device.h is their interface           decode.c    instruction decoder (decode.h)
 *
 * One exit loop, two vendors: everything that knows the processor's virtualization stands behind struct hvm_ops; the vendor is
 * chosen once, by hvm_init(). What a handler needs of the exit is in struct hvm_exit_info, filled by the vendor, the same for both.
 *
 * Registers: while a vCPU is on the processor its general registers, RIP, RSP and RFLAGS are in cpu_info.regs, as a PV guest's are;
 * run() takes them from there and puts them there at each exit. Segments, control registers and system MSRs stay in the VMCB or VMCS and are read
 * by get_segment() and get(). While it is off the processor they are in v->arch.regs.
 * The loop: exit_to_guest_work() (traps.c) calls hvm_run() with nothing pending for the pcpu; the vendor's run() enters the guest
 * and calls hvm_exited() after each exit, which handles it and says no when there is work again (c->work) or the vCPU may not run
 * on: a crash is a pause.
 * Memory: the hypervisor's own page tables (hv_cr3) are loaded while such a vCPU is current; the guest's memory is reached through its
 * p2m and the mapping of all memory. No guest-controlled pointer is ever loaded by the hypervisor.
 * Locks: none of its own; p2m.lock inside, the devices' (device.h). What other pcpus change of a vCPU: check_irq, nmi_pending, startup.
 */
#ifndef PARANGON_HVM_H
#define PARANGON_HVM_H

#include "core/domain.h"
#include <xen/arch-x86/hvm/start_info.h>
#include "decode.h"
#include "device.h"
#include "emulate.h"
#include "../x86.h"

/** Why a guest left its world: what exit handlers are named by, whoever made the processor. */
enum hvm_exit {
    HVM_EXIT_INTERRUPT,   /* a physical interrupt */
    HVM_EXIT_NMI,
    HVM_EXIT_WINDOW,      /* the guest takes interrupts now */
    HVM_EXIT_CPUID,
    HVM_EXIT_HYPERCALL,   /* VMMCALL, VMCALL */
    HVM_EXIT_IO, HVM_EXIT_MSR_READ, HVM_EXIT_MSR_WRITE,
    HVM_EXIT_NESTED_FAULT, /* no translation of a guest-physical address, or one that forbids it */
    HVM_EXIT_HLT,
    HVM_EXIT_EXCEPTION,   /* #DB and #AC, which a guest could make endless; #MC */
    HVM_EXIT_CR_WRITE, HVM_EXIT_XSETBV,
    HVM_EXIT_CACHE,       /* INVD, WBINVD */
    HVM_EXIT_FORBIDDEN,   /* instructions that such a guest has not: VMRUN and its kin, MONITOR, MWAIT, RDPMC, SKINIT: #UD or #GP */
    HVM_EXIT_TASK_SWITCH,
    HVM_EXIT_SHUTDOWN,    /* triple fault */
    HVM_EXIT_INVALID,     /* the processor refuses the state: the hypervisor's or the guest's mistake */
    HVM_EXIT_UNKNOWN,
    HVM_EXIT_PAUSE,       /* in a loop, of one of several vCPUs; without a filter (QEMU) any, where there are fewer pcpus than vCPUs */
    HVM_EXIT_NR
};

struct hvm_exit_info {
    u32 code;             /* the processor's own number, for the log */
    u8 length;            /* of the instruction; 0: not told (svm without nrip-save), hvm_skip() finds it */
    u8 caller;            /* HYPERCALL: as by hvm_ops.caller() */
    union {
        struct { u16 port; u8 size, address_size; bool in, string, rep; u64 next_rip; } io; /* next_rip, address_size 0: by reading it */
        struct { u64 gpa; bool write, fetch, present; } fault; /* present: there is an entry, and it forbids the access */
        struct { u8 vector; bool has_error; u32 error; } exception;
        struct { u8 cr, reg; bool known; } cr;                 /* MOV to CR; known: the register's number is told */
        bool general_protection;                               /* FORBIDDEN: #GP instead of #UD */
        u64 raw[4];
    };
};

enum hvm_segment_name { HVM_ES, HVM_CS, HVM_SS, HVM_DS, HVM_FS, HVM_GS, HVM_GDTR, HVM_LDTR, HVM_IDTR, HVM_TR, HVM_NR_SEGMENTS };
struct hvm_segment {
    u16 selector, attributes; /* attributes: type 0-3, S 4, DPL 5-6, P 7, AVL 8, L 9, D 10, G 11 (APM vol. 2 §15.5.1) */
    u32 limit;
    u64 base;
};
#define HVM_SEG_L (1u << 9)
#define HVM_SEG_D (1u << 10)

enum hvm_register { HVM_CR0, HVM_CR2, HVM_CR3, HVM_CR4, HVM_EFER, HVM_PAT, HVM_CPL, HVM_DR6, HVM_DR7, HVM_KERNEL_GS_BASE, HVM_STAR, HVM_LSTAR,
                    HVM_CSTAR, HVM_SYSCALL_MASK, HVM_SYSENTER_CS, HVM_SYSENTER_ESP, HVM_SYSENTER_EIP, HVM_NR_REGISTERS };

/** The PAT of a processor that was just turned on (SDM vol. 3 table 12-12). */
#define HVM_PAT_RESET 0x0007040600070406ull

enum hvm_event_type { HVM_EVENT_INTERRUPT = 0, HVM_EVENT_NMI = 2, HVM_EVENT_EXCEPTION = 3 };
/** An event as both vendors lay it out (APM vol. 2 §15.20, SDM vol. 3 §25.8.3): vector, type in bits 8 to 10, these; above them an error code. */
#define HVM_EVENT_ERROR   (1ull << 11)
#define HVM_EVENT_VALID   (1ull << 31)
#define HVM_EVENT_TYPE(e) ((e) >> 8 & 7)

/** What a vendor offers. Chosen by hvm_init(); calls are for the vCPU that is on this processor but where said otherwise. */
struct hvm_ops {
    const char *name;
    u8 hypercall_code[3];      /* VMMCALL or VMCALL, for the hypercall page */
    const struct p2m_ops *p2m;
    /** The processor has it and firmware allows it. Boot, before any other. */
    bool (*present)(void);
    /** Enable it on this pcpu. 0, -XEN_ENOMEM, -XEN_EOPNOTSUPP. */
    int (*cpu_init)(unsigned int cpu);
    /** Sizes of a domain's permission maps, in which a set bit makes an access exit: log2 of their pages. */
    u8 io_map_order, msr_map_order;
    /** No access to this MSR exits; below 0x2000, or so from 0xc0000000 on. */
    void (*direct_msr)(u8 *map, u32 msr);
    /** What stays as it is through INIT; hvm_after_init() makes the rest. 0, -XEN_ENOMEM. */
    int (*vcpu_create)(struct vcpu *v);
    void (*vcpu_destroy)(struct vcpu *v);
    /** Comes to, or leaves, this pcpu. */
    void (*switch_to)(struct vcpu *v);
    void (*switch_from)(struct vcpu *v);

    /**
     * Enter the guest with the registers in *r; after each exit put them back there, fill v->arch.hvm->exit and call hvm_exited();
     * enter again as long as that says so. Interrupts are off before and after.
     */
    void (*run)(struct vcpu *v, struct regs *r);

    /** The guest takes an NMI now, and handles it from here on; false: it is asked for anew at the exit that comes when it would. */
    bool (*take_nmi)(struct vcpu *v);
    /** A shadow of STI or MOV SS, or a step, keeps interrupts out. */
    bool (*shadowed)(const struct vcpu *v);
    /** Exit as soon as it would, once (HVM_EXIT_WINDOW). */
    void (*open_window)(struct vcpu *v);
    void (*close_window)(struct vcpu *v);
    /** No shadow of STI or MOV SS any more; run() does it for exits by an instruction that is emulated always. */
    void (*clear_shadow)(struct vcpu *v);
    /** As after INIT: nor do NMIs wait for the end of one, or is a trap pending. */
    void (*clear_blocking)(struct vcpu *v);

    void (*get_segment)(const struct vcpu *v, enum hvm_segment_name n, struct hvm_segment *s);
    void (*set_segment)(struct vcpu *v, enum hvm_segment_name n, const struct hvm_segment *s);
    u64 (*get)(const struct vcpu *v, enum hvm_register n);
    void (*set)(struct vcpu *v, enum hvm_register n, u64 value);
    /** The guest writes a control register, and the exit told which and from where (exit.cr.known). False: #GP. NULL: none tells. */
    bool (*write_cr)(struct vcpu *v, u8 cr, u64 value);
    /** Task priority that the guest set without an exit (CR8), in and out. */
    void (*set_tpr)(struct vcpu *v, u8 cr8);
    u8 (*get_tpr)(const struct vcpu *v);

    /** Privilege level of the code that runs, in bits 0 and 1; HVM_WIDE where it is 64-bit code. */
    u32 (*caller)(const struct vcpu *v);
    /** Translations of this vCPU may not be used any more: by a new address-space number at its next entry. Any pcpu. */
    void (*flush)(struct vcpu *v);
    /** What is the vendor's own of the state to the log. False: the rest cannot be asked for here. */
    bool (*dump)(const struct vcpu *v);
};

/** Of a vendor's operations those whose functions have the same names in its file. */
#define HVM_OPS_NAMED_ALIKE                                                                        \
    .switch_to = switch_to, .switch_from = switch_from, .take_nmi = take_nmi, .shadowed = shadowed, .open_window = open_window, \
    .close_window = close_window, .clear_shadow = clear_shadow, .clear_blocking = clear_blocking,  \
    .get_segment = get_segment, .set_segment = set_segment, .set_tpr = set_tpr, .get_tpr = get_tpr, \
    .direct_msr = direct_msr, .caller = caller, .flush = flush, .dump = dump

#define HVM_WIDE 4u

extern const struct hvm_ops svm_ops, vmx_ops;
/** Nested tables in AMD's and in Intel's format (npt.c, ept.c). */
extern const struct p2m_ops npt_ops, ept_ops;
/** The vendor found; NULL: no hardware-assisted domains here. */
extern const struct hvm_ops *hvm_ops;
/** Overwrite the return predictor when a vendor's loop ends: a guest in ring 0 can leave hypervisor addresses in it. */
extern u32 hvm_rsb_overwrite;
/** The largest entry of nested tables that the processor knows: P2M_ORDER_1G, or P2M_ORDER_2M. */
extern unsigned int hvm_largest_order;

/** What CPUID said. Leaf and subleaf are stored inverted, so that zeros are a right entry too: leaf ~0 is above all, and has zeros. */
struct hvm_cpuid_answer {
    u32 leaf, sub;
    u32 eax, ebx, ecx, edx;
};
#define HVM_CPUID_ANSWERS 64           /* a program that starts asks 33 times, with whatever it has in ECX */
#define HVM_CPUID_OSXSAVE (1u << 27) /* leaf 1, ECX: CR4.OSXSAVE, never remembered */
#define HVM_CPUID_SLOT(leaf, sub) (((leaf) * 0x9e3779b1u ^ (sub) * 0x85ebca6bu) >> 26)

/**
 * Where a page of the guest's RAM is, remembered for the walks of its page tables; forgotten at any change of the p2m. Each level of tables and
 * the page at the end have windows of their own, of data and of code: no two pages of one walk ever drive each other out.
 */
struct hvm_window {
    u64 tag;                   /* guest frame number + the domain's window_epoch */
    u8 *at;
};
#define HVM_WINDOWS_EACH 16
#define HVM_WINDOWS      (2 * 5 * HVM_WINDOWS_EACH)
#define HVM_WINDOWS_DATA 0
#define HVM_WINDOWS_PAGE (4 * HVM_WINDOWS_EACH) /* behind the four levels */
#define HVM_WINDOWS_CODE (5 * HVM_WINDOWS_EACH)
#define HVM_WINDOW_EPOCH (1ull << 40) /* above any guest frame number of a page table */

enum svm_nmi { SVM_NMI_OPEN, SVM_NMI_HELD, SVM_NMI_IRET, SVM_NMI_SHADOW }; /* the last two: one instruction of that kind is stepped */

struct vmcb;
struct hvm_vcpu {
    struct hvm_exit_info exit;
    struct hvm_window window[HVM_WINDOWS];
    struct vlapic *vlapic;
    u8 upcall_vector;          /* HVMOP_set_evtchn_upcall_vector: by local APIC, 0: none */
    bool upcall_waits;         /* an event upcall by it, until the local APIC is enabled */
    bool check_irq;            /* look for interrupts before the next entry */
    u64 *event;                /* where the vendor has what the next entry delivers: an exit interrupted it, or hvm_inject()'s; 0: none */
    u64 tsc_aux;               /* while it is off the processor */
    u64 count[HVM_EXIT_NR];
    u64 repeated, repeated_at; /* nested faults in a row at one address */
    bool nmi_pending;
    u32 startup;               /* what waits for it to begin with (startup.c); 0: nothing */
    struct vcpu_hvm_context *context; /* and the registers of VCPUOP_initialise */
    struct emulate_wait wait;  /* an instruction that waits for a device model, and where it reached */
    u64 wait_gpa;
    struct hvm_cpuid_answer cpuid[HVM_CPUID_ANSWERS];
    /* svm.c */
    struct vmcb *vmcb;
    u64 vmcb_paddr;
    u32 last_cpu;              /* the pcpu that it was last loaded on */
    u64 asid_generation;       /* 0: the next entry needs another number */
    enum svm_nmi nmi;          /* whether the guest takes NMIs */
    u64 step_flag, step_dr6;   /* of a step: RFLAGS.TF where the guest has not set it itself; its DR6 */
    struct vmx_vcpu *vmx;      /* vmx.h */
};

/* Where things are in guest-physical memory: RAM up to HVM_LOW_END at most, the rest of it from 4 GiB on. */
#define HVM_LOW_END      0xf0000000ull
#define HVM_ACPI_AT      0xfc000000ull /* RSDP first */
#define HVM_ACPI_SIZE    0x1000ull
#define HVM_SPECIAL_AT   0xfeff8000ull /* the console ring, and room */
#define HVM_SPECIAL_SIZE 0x8000ull
#define HVM_CONSOLE_GFN  0xfeff8ull
#define HVM_EXTRA_PAGES  2             /* frames besides its memory: the two above */
#define HVM_MEMMAP_MAX   4
#define HVM_SLEEP_PORT   0xb004        /* PVH: ACPI sleep control, and status behind it */
#define HVM_PM_PORT      0xb000        /* HVM: PM1 event, control, timer */

struct hvm_platform;           /* the devices, platform.c */

struct hvm_domain {
    u64 window_epoch;          /* of its vCPUs' windows; never 0, which a window that was never filled has */
    struct hvm_io io;          /* what exits to a device */
    struct hvm_platform *platform; /* HVM only */
    u64 param[36];             /* HVM_PARAM_*, xen/hvm/params.h */
    u8 callback_vector;        /* of all vCPUs' events, 0: none */
    u64 callable;              /* by hvm_callable() */
    bool hide_xen;             /* no Xen leaves, no hypercalls: an unmodified kernel */
    bool upcall_by_apic;       /* CPUID offers the per-vCPU upcall vector, which costs an EOI an event */
    u64 ram_end_low, ram_end_high; /* bytes: RAM is [0, low) and [4 GiB, high) */
    u64 *root;                 /* nested tables, hypervisor's mapping; p2m.lock guards what is below */
    u64 nr_tables;
    bool stale;                /* an entry was changed that a processor may have kept (nested.c) */
    u64 retired;               /* an entry that led to tables, which are freed at the flush; 0: none */
    unsigned int retired_level;
    /* VMX: counts flushes of the nested tables; what each pcpu has caught up with. */
    u64 nested_generation, nested_seen[NR_PCPUS];
    u8 *msr_map, *io_map;      /* permission maps in the vendor's format */
    /* Memory accesses that wait for a device model (ioreq.c): a page of struct ioreq per domain; each such vCPU has VPF_IN_HV set. */
    const struct hvm_model *model; /* NULL: none */
    void *ioreq_page;
};

static inline bool is_hvm_vcpu(const struct vcpu *v)
{
    return v->arch.hvm != NULL;
}
static inline bool is_hvm_domain(const struct domain *d)
{
    return d->arch.hvm != NULL;
}

static inline bool hvm_injecting(const struct vcpu *v)
{
    return *v->arch.hvm->event & HVM_EVENT_VALID;
}
/** Let the next entry deliver an event. Replaces one that waits: callers ask hvm_injecting() first, and take_nmi() for an NMI. */
static inline void hvm_inject(struct vcpu *v, enum hvm_event_type type, u8 vector, bool has_error, u32 error)
{
    *v->arch.hvm->event = vector | (u64)type << 8 | (has_error ? HVM_EVENT_ERROR | (u64)error << 32 : 0) | HVM_EVENT_VALID;
}

/* ---- hvm.c ---- */
/** Find and enable the vendor on the boot processor; one line in the log. Without one, PVH and HVM domains are refused. */
void hvm_init(void);
/** arch_domain_create() and the rest of arch.h, for domains of these kinds. Errors as there. */
int hvm_domain_create(struct domain *d);
int hvm_domain_relinquish(struct domain *d);
void hvm_domain_destroy(struct domain *d);
int hvm_vcpu_create(struct vcpu *v);
void hvm_vcpu_destroy(struct vcpu *v);
void hvm_switch_to(struct vcpu *v);
void hvm_switch_from(struct vcpu *v);
/** Run the current vCPU until its pcpu has other work. r: cpu_info.regs. */
void hvm_run(struct vcpu *v, struct regs *r);
/** Log everything about v (arch_dump_guest). */
void hvm_dump(const struct vcpu *v);

/* ---- exit.c ---- */
extern const char *const hvm_exit_names[HVM_EXIT_NR];
/**
 * What the vendor's run() calls after each exit, with the registers in *r and v->arch.hvm->exit filled: counts, handles and records it,
 * and sees to interrupts for the next entry. True: enter again.
 */
bool hvm_exited(struct vcpu *v, struct regs *r, enum hvm_exit why);
/** The end of it, for exits that were handled already (hot.h). */
bool hvm_settle(struct vcpu *v, struct regs *r);
/** Go behind the instruction that exited; exit.length is known. */
void hvm_skip(struct vcpu *v, struct regs *r);
/** The mode and the base of the code that runs. */
enum insn_mode hvm_code_mode(struct vcpu *v, u64 *base);
/** Up to INSN_MAX bytes at RIP; 0: none can be read, and the guest gets its page fault. */
unsigned int hvm_fetch(struct vcpu *v, struct regs *r, u8 *bytes, enum insn_mode *mode);
void hvm_inject_page_fault(struct vcpu *v, u32 error, u64 cr2);

/* ---- mmio.c ---- */
/** An access to a guest-physical address without memory: the device's there, or nobody's; or the end of the domain. */
void hvm_mmio(struct vcpu *v, struct regs *r, u64 gpa);
/** Go on with the current vCPU's instruction that waited for a device model. False: it waits still, or v may not run on. */
bool hvm_mmio_resume(struct vcpu *v, struct regs *r);

/* ---- ioreq.c, vdevice.c ---- */
/** Who answers accesses to a range of guest-physical memory, later and from outside. */
struct hvm_model {
    u64 first, last;
    void (*request)(const struct hvm_model *m, struct vcpu *v); /* v's slot of the ioreq page has one */
    void (*detached)(const struct hvm_model *m);
};
/** 0, -XEN_EBUSY (d has one), -XEN_ENOMEM. m stays until detached() is called. */
int hvm_model_attach(struct domain *d, const struct hvm_model *m);
void hvm_model_detach(struct domain *d);
/** An access of the current vCPU in the model's range: EMULATE_WAIT, and EMULATE_DONE when it is tried again after the answer. */
enum emulate_result hvm_model_access(struct vcpu *v, u64 gpa, unsigned int size, u64 *value, bool write);
/** The model's answer to v's request (data: what was read); one that nobody waits for is dropped. */
void hvm_model_answer(struct vcpu *v, u64 data);
/** Option hvm-test-device, and the device for d. Errors of hvm_model_attach(). */
extern bool hvm_test_device;
int vdevice_attach(struct domain *d);

/* ---- startup.c ---- */
/** INIT: v stops, and begins anew at its next STARTUP. The boot processor's: the machine is reset. From any pcpu. */
void hvm_vcpu_init(struct vcpu *v);
/** STARTUP: a vCPU that is down begins in real mode at vector << 12. From any pcpu. */
void hvm_vcpu_startup(struct vcpu *v, u8 vector);
/** An NMI for v. From any pcpu. */
void hvm_vcpu_nmi(struct vcpu *v);
/** v's state after INIT (SDM vol. 3 table 9-1), on its own pcpu, or off the processor. */
void hvm_after_init(struct vcpu *v, struct regs *r);
/** What h->startup says, on v's own pcpu before it enters the guest. */
void hvm_start_up(struct vcpu *v, struct regs *r);
/** VCPUOP_initialise by a struct vcpu_hvm_context. Errors of arch_vcpu_initialise(). */
int hvm_vcpu_initialise(struct vcpu *v, gva_t context);

/* ---- irq.c ---- */
/** The guest changed its local APIC: task priority, the place of its page, what may be deliverable. */
void hvm_apic_changed(struct vcpu *v);
/** What is deliverable goes in with the next entry, or the window is opened for it. */
void hvm_irq_assist(struct vcpu *v, struct regs *r);
/**
 * v, which runs here and has come out by an instruction that waits (HLT, a hypercall), would take an NMI, an interrupt or an event upcall
 * if it went on: nothing is held back by a shadow, and by IF as in the registers.
 */
bool hvm_irq_waits(struct vcpu *v);

/* ---- cpuid.c ---- */
/** The answer, remembered where it cannot change. */
void hvm_cpuid(struct vcpu *v, u32 leaf, u32 sub, u32 out[4]);
/** False: #GP. */
bool hvm_msr_read(struct vcpu *v, u32 msr, u64 *value);
bool hvm_msr_write(struct vcpu *v, u32 msr, u64 value);

#define MSR_APIC_TSC_DEADLINE 0x6e0
/** MSRs of the local APIC (vlapic.c). */
static inline bool hvm_is_apic_msr(u32 msr)
{
    return msr - 0x800 < 0x100 || msr == MSR_APIC_TSC_DEADLINE || msr == MSR_APIC_BASE;
}
/** EOI, ICR, self-IPI, timer: what they make deliverable kicks the vCPU by itself; after other writes interrupts are looked for. */
static inline bool hvm_apic_msr_kicks(u32 msr)
{
    return msr == 0x80b || msr == 0x830 || msr == 0x838 || msr == 0x83f || msr == MSR_APIC_TSC_DEADLINE;
}

/* ---- access.c ---- */
/** What a walk asks for; error code bits of #PF. */
#define HVM_ACCESS_WRITE 2u
#define HVM_ACCESS_USER  4u
#define HVM_ACCESS_FETCH 16u
/**
 * Guest-physical address of a linear one in the current vCPU's address space, by whatever paging is on (none, 32-bit, PAE, 4-level).
 * @return true; false with *error the error code of the #PF that the access deserves
 */
bool hvm_translate(struct vcpu *v, u64 linear, u32 access, u64 *gpa, u32 *error);
/** Copies between the hypervisor and linear or guest-physical addresses; bytes not copied. *fault (may be NULL): where it stopped. */
size_t hvm_copy_from_linear(void *dst, u64 linear, size_t n, u32 access, u32 *error, u64 *fault);
size_t hvm_copy_to_linear(u64 linear, const void *src, size_t n, u32 access, u32 *error, u64 *fault);
size_t hvm_copy_from_physical(struct domain *d, void *dst, u64 gpa, size_t n);
size_t hvm_copy_to_physical(struct domain *d, u64 gpa, const void *src, size_t n);
/**
 * 64-bit code at RIP as the hypervisor reaches it, for the processor that does not tell an instruction's length: n bytes at least. NULL:
 * across a page's end, or not mapped; the guest may have changed it since it was executed. Rights are not looked at.
 */
const u8 *hvm_code_at(struct vcpu *v, u64 cr3, u64 rip, unsigned int n);
/** core/guest.h for a current HVM vCPU. */
size_t hvm_guest_copy_from(void *dst, u64 src, size_t n);
size_t hvm_guest_copy_to(u64 dst, const void *src, size_t n);
size_t hvm_guest_clear(u64 dst, size_t n);

/* ---- memory.c ---- */
/** struct p2m_ops.fill of a guest frame. The way of every first touch of memory. */
static __always_inline_ int hvm_fill(struct domain *d, gfn_t gfn)
{
    int was;

    if (unlikely(gfn.n >= P2M_LIMIT))
        return P2M_NONE;
    spin_lock(&d->p2m.lock);
    was = d->p2m.ops->fill(d, gfn);
    spin_unlock(&d->p2m.lock);
    return was;
}
/** Let there be memory at a guest frame that the domain has but did not use yet. 0; -XEN_ENOENT: it has none there; -XEN_ENOMEM. */
int hvm_populate(struct domain *d, gfn_t gfn);
/** Give 2^order frames back to the machine that are in no map of their domain's any more, or not yet. */
void hvm_release_frames(mfn_t mfn, unsigned int order);
/** A write to log-dirty memory: mark it and make it ordinary. 0 or an error of p2m_set(). */
int hvm_mark_dirty(struct domain *d, gfn_t gfn);
/** The domain's memory map, at most HVM_MEMMAP_MAX entries; returns how many. */
unsigned int hvm_memory_map(const struct domain *d, struct hvm_memmap_table_entry *e);
/** XENMEM_ calls that only an auto-translated domain may make; d: the current one. */
long hvm_memory_op(struct domain *d, unsigned int cmd, gva_t arg);
/** XENMEM_decrease_reservation and populate_physmap: 2^order guest frames of d's, one by one. False: the rest stays as it was. */
bool hvm_change_extent(struct domain *d, unsigned int cmd, u64 gfn, unsigned int order);

/* ---- hypercall.c ---- */
/** A bit for each hypercall that such a domain may make and that is there. */
u64 hvm_callable(bool hide_xen);
/** VMMCALL or VMCALL, RIP behind it already: the call that RAX names, with the registers of the caller's width (xen/arch-x86/xen-x86_64.h, xen-x86_32.h). */
void hvm_hypercall(struct vcpu *v, struct regs *r);
/** The current call is issued again with these arguments. */
void hvm_hypercall_continue(struct vcpu *v, struct regs *r, unsigned int nr_args, const u64 *args);
/** The same for a 32-bit caller, whose structures are laid out otherwise. */
long hvm_hypercall32(u64 op, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6);

/* ---- build.c ---- */
struct launch_domain;
/** Make a PVH or HVM domain as planned. 0 and *out, or a negative error after one line in the log. */
int hvm_build(const struct launch_domain *plan, domid_t id, struct domain **out);
/** acpi.c: tables at guest-physical `at`, at most 4 KiB written to `to`; returns their length. */
size_t hvm_acpi_tables(const struct domain *d, void *to, u64 at);

/* ---- platform.c ---- */
/** The devices of an HVM domain. 0, -XEN_ENOMEM. */
int hvm_platform_create(struct domain *d);
void hvm_platform_destroy(struct domain *d);
/** A vector that the PIC would deliver, -1: none; and take it. */
int hvm_platform_pic_pending(struct domain *d);
u8 hvm_platform_pic_accept(struct domain *d);
/** What every such domain has: the local APICs' page and, by option, the test device. HVM domains: by hvm_platform_create(). Errors of
 * hvm_io_register() and vdevice_attach(). */
int hvm_apic_register(struct domain *d);
/** Characters have come in at the physical console; d may be NULL or of any kind. */
void hvm_platform_input(struct domain *d);

#endif

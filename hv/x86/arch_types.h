/* SPDX-License-Identifier: MIT */
/*
 * The processor's part of vCPUs, domains and physical CPUs on x86-64. Included through hv/core/arch.h only.
 *
 * struct cpu_info lies at the top of each pcpu's stack (DESIGN §3, decision 6): both guest modes run in ring 3 with
 * their own GS bases, so the hypervisor finds its per-CPU data from its stack pointer, never from GS.
 */
#ifndef PARANGON_ARCH_TYPES_H
#define PARANGON_ARCH_TYPES_H

#include "layout.h"
#include "lib.h"
#include "types.h"
#include <trace/ring.h>

/** Registers of a guest at its entry into the hypervisor, in the order of the ABI's cpu_user_regs; the hardware's frame ends it. */
struct regs {
    u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    u32 error_code, vector;
    u64 rip;
    u16 cs, pad0;
    u8 saved_upcall_mask, pad1[3];
    u64 rflags, rsp;
    u16 ss, pad2[3];
};

/** Where in it the general registers are, in the processor's order: RAX RCX RDX RBX RSP RBP RSI RDI R8 to R15. */
static const u16 gpr_at[16] = {
    offsetof(struct regs, rax), offsetof(struct regs, rcx), offsetof(struct regs, rdx), offsetof(struct regs, rbx),
    offsetof(struct regs, rsp), offsetof(struct regs, rbp), offsetof(struct regs, rsi), offsetof(struct regs, rdi),
    offsetof(struct regs, r8),  offsetof(struct regs, r9),  offsetof(struct regs, r10), offsetof(struct regs, r11),
    offsetof(struct regs, r12), offsetof(struct regs, r13), offsetof(struct regs, r14), offsetof(struct regs, r15)};

/** General register n of a guest, 0 to 15 in that order. */
static inline u64 *gpr(struct regs *r, unsigned int n)
{
    return (u64 *)((u8 *)r + gpr_at[n & 15]);
}

/** What a pcpu has to do before it next enters a guest: bits of cpu_info.work. */
enum cpu_work { WORK_TIMER = 1u << 0, WORK_SCHED = 1u << 1, WORK_INPUT = 1u << 2 };

/**
 * Entries from guests, by cause; always counted. Each entry is one of these, and one trace record where all is traced:
 * their sum is the number of times that guests were left (entries_report()).
 */
struct entry_counts {
    u64 trap[32];              /* by enum trace_trap_kind */
    u64 hypercall[65];         /* by number; the last: numbers that are none */
    u64 irq;
    u64 irq_in_hv, nmi_in_hv;  /* these interrupted the hypervisor: not entries */
};
#define HYPERCALL_NONE 64
#define ENTRY_OP_AGAIN   0x80000000u
#define ENTRY_OP_CRASHED 0x40000000u

struct cpu_info {
    struct regs regs;          /* RSP0 of the TSS points behind it */
    struct vcpu *current;
    struct vcpu *resident;     /* while the idle vCPU runs: the PV vCPU whose state the processor still has, or NULL */
    struct vcpu *idle;         /* this pcpu's */
    u32 work;                  /* enum cpu_work */
    u32 cpu;
    u64 note_addr;             /* what a trap was about, for its trace record: address or value, */
    u32 note_code, note_pad;   /* and number of the port, MSR, register, leaf or vector */
    u64 entry_tsc;             /* of a traced hot entry: its start, */
    u32 entry_op, entry_pad;   /* the number of its hypercall (ENTRY_OP_AGAIN: stopped half way; both: its domain ended), */
    u64 entry_args[3];         /* and what that was called with, where it was changed to be issued again */
    u64 flush_clock;           /* full flushes of this pcpu's TLB, TLB_TICK each; below that its number (frame.h: stamps) */
    struct entry_counts count;
    struct trace_ring trace, trace_nmi; /* of NMI and #MC in the hypervisor, which may come within a record */
};
/* RSP0 points behind regs and must be 16-byte aligned, or the processor would align it (SDM vol. 3 §6.14.2). */
_Static_assert((sizeof(struct cpu_info) - sizeof(struct regs)) % 16 == 0, "RSP0");

/** Modes and switches of a vCPU that the entry code compares in one instruction. */
#define VF_KERNEL        0x01 /* in guest kernel mode */
#define VF_SYSCALL_MASKS 0x02 /* the syscall callback is entered with events masked */
#define VF_SLOW          0x04 /* something (a log of written frames) wants every entry to take the general path */
#define VF_IN_NMI        0x10 /* its NMI handler runs: the next waits for iret */
#define VF_NO_USER       0x08 /* no user page table yet: iret to user mode must not take the fast path */
/** The two states of a vCPU whose hot entries entry.S takes by itself. */
#define VF_FAST_USER     (VF_SYSCALL_MASKS)
#define VF_FAST_KERNEL   (VF_FAST_USER | VF_KERNEL)

struct trap_entry {
    u64 rip;
    u16 cs;
    u8 dpl;                    /* lowest privilege that may use it by INT n (0..3) */
    bool masks;                /* entered with events masked */
};

/** The last of a vCPU's instructions that wrote a page table by fault, as decoded (pv/ptwr.c). */
struct ptwr_insn {
    u64 rip, bytes;            /* where it is, and its eight bytes: those that follow it included */
    u8 form, len, reg, keep;
};

struct hvm_vcpu;
struct hvm_domain;

#define VCPU_NOWHERE 0u

struct arch_vcpu {
    u32 flags;                 /* VF_* */
    u32 loaded_on;             /* 1 + the pcpu whose registers are v's (it runs, is being switched, or is resident); VCPU_NOWHERE */
    u32 pf_masks;              /* 1: its page-fault handler is entered with events masked */
    u32 slot;                  /* index of its descriptor-table area */
    u32 trace_id;              /* domain | vcpu << 16, as trace records begin */
    u64 cr3_kernel, cr3_user;  /* physical addresses of the L4 tables; user 0: none given yet */
    u64 kernel_sp;             /* guest kernel stack for entries from user mode, 16-byte aligned */
    u64 kernel_ss;
    u64 syscall_rip, event_rip, failsafe_rip;
    bool event_masks, failsafe_masks;
    u64 fs_base, gs_base_kernel, gs_base_user;
    u16 ds, es, fs, gs;
    u64 cr0_ts;                /* guest CR0.TS as last set (X86_CR0_TS or 0) */
    u64 cr4;                   /* guest's view */
    u64 dr[8];                 /* debug registers: 0-3, 6, 7 */
    u32 iopl;                  /* virtual */
    u64 xcr0;
    u64 gdt_frame[14];
    u32 gdt_entries;
    u64 ldt_base;
    u32 ldt_entries;
    u64 ldt_mapped[16];        /* mfn of each LDT page mapped by demand, 0: none */
    u32 desc_cpu;              /* 1 + the pcpu that its descriptor tables were last loaded on; 0: none yet */
    struct ptwr_insn ptwr;
    struct trap_entry trap[256];
    struct regs regs;          /* while it does not run */
    void *fpu;                 /* XSAVE or FXSAVE area, 64-byte aligned */
    bool nmi_pending;          /* PV */
    struct hvm_vcpu *hvm;      /* hvm/hvm.h; NULL: paravirtual */
};

struct arch_domain {
    struct spinlock mm_lock;   /* PV with several vCPUs on several pcpus: its page tables (pv/mmu.c) */
    u64 relinquish_pos;        /* next frame to look at while dying */
    u32 relinquish_stage;
    struct io_rights *io;      /* ports and memory it may reach (io_rights.h) */
    struct hvm_domain *hvm;    /* the same */
};

#include <this_cpu.h>

/** Give a pcpu work, take note that it will be done now, count a full flush of its TLB. Others may give it work at any time. */
static inline void work_raise(struct cpu_info *c, u32 work)
{
    (void)__atomic_fetch_or(&c->work, work, __ATOMIC_SEQ_CST);
}
static inline void work_take(struct cpu_info *c, u32 work)
{
    (void)__atomic_fetch_and(&c->work, ~work, __ATOMIC_SEQ_CST);
}
/** A stamp (struct frame) is the flush clock of the pcpu that made it: its number in the lowest bits, TLB_ANY: any pcpu's. */
#define TLB_TICK 128
#define TLB_ANY  (TLB_TICK - 1)
static inline void tlb_tick(struct cpu_info *c)
{
    c->flush_clock += TLB_TICK;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The virtual machine control block of AMD's SVM and the numbers around it (APM vol. 2, appendix B and ch. 15). For svm.c alone.
 */
#ifndef PARANGON_HVM_SVM_H
#define PARANGON_HVM_SVM_H

#include "hvm.h"

struct vmcb_segment {
    u16 selector, attributes;
    u32 limit;
    u64 base;
};

struct vmcb {
    /* control area */
    u16 cr_read, cr_write, dr_read, dr_write;  /* intercepts, a bit a register */
    u32 exceptions, intercept1, intercept2, intercept3;
    u8 pad0[0x3c - 0x18];
    u16 pause_threshold, pause_count;
    u64 iopm, msrpm, tsc_offset;
    u32 asid;
    u8 tlb_control, pad1[3];
    u64 virtual_interrupt;
    u64 shadow;
    u64 exit_code, exit_info1, exit_info2, exit_int_info;
    u64 nested_paging, avic_bar, ghcb;
    u64 event_injection, nested_cr3, lbr_control;
    u64 clean;
    u64 next_rip;
    u8 nr_bytes, bytes[15];
    u8 pad2[0x400 - 0xe0];
    /* state save area */
    struct vmcb_segment segment[10];           /* in the order of enum hvm_segment_name */
    u8 pad3[0x4cb - 0x4a0];
    u8 cpl;
    u8 pad4[4];
    u64 efer;
    u8 pad5[0x548 - 0x4d8];
    u64 cr4, cr3, cr0, dr7, dr6, rflags, rip;
    u8 pad6[0x5d8 - 0x580];
    u64 rsp;
    u8 pad7[0x5f8 - 0x5e0];
    u64 rax, star, lstar, cstar, sfmask, kernel_gs_base, sysenter_cs, sysenter_esp, sysenter_eip, cr2;
    u8 pad8[0x668 - 0x648];
    u64 g_pat;
    u8 pad9[0x1000 - 0x670];
};
_Static_assert(sizeof(struct vmcb) == 4096, "VMCB");
_Static_assert(offsetof(struct vmcb, iopm) == 0x40 && offsetof(struct vmcb, asid) == 0x58 &&
               offsetof(struct vmcb, virtual_interrupt) == 0x60 && offsetof(struct vmcb, exit_code) == 0x70 &&
               offsetof(struct vmcb, nested_paging) == 0x90 && offsetof(struct vmcb, event_injection) == 0xa8 &&
               offsetof(struct vmcb, nested_cr3) == 0xb0 && offsetof(struct vmcb, clean) == 0xc0 &&
               offsetof(struct vmcb, next_rip) == 0xc8 && offsetof(struct vmcb, segment) == 0x400, "VMCB control area");
_Static_assert(offsetof(struct vmcb, cpl) == 0x4cb && offsetof(struct vmcb, efer) == 0x4d0 && offsetof(struct vmcb, cr4) == 0x548 &&
               offsetof(struct vmcb, rip) == 0x578 && offsetof(struct vmcb, rsp) == 0x5d8 && offsetof(struct vmcb, rax) == 0x5f8 &&
               offsetof(struct vmcb, cr2) == 0x640 && offsetof(struct vmcb, g_pat) == 0x668, "VMCB save area");

/* intercept1 */
#define SVM_INTR          (1u << 0)
#define SVM_NMI           (1u << 1)
#define SVM_SMI           (1u << 2)
#define SVM_INIT          (1u << 3)
#define SVM_VINTR         (1u << 4)
#define SVM_RDPMC         (1u << 15)
#define SVM_CPUID         (1u << 18)
#define SVM_IRET          (1u << 20)
#define SVM_RSM           (1u << 19)
#define SVM_INVD          (1u << 22)
#define SVM_PAUSE         (1u << 23)
#define SVM_HLT           (1u << 24)
#define SVM_INVLPGA       (1u << 26)
#define SVM_IOIO          (1u << 27)
#define SVM_MSR           (1u << 28)
#define SVM_TASK_SWITCH   (1u << 29)
#define SVM_FERR_FREEZE   (1u << 30)
#define SVM_SHUTDOWN      (1u << 31)
/* intercept2: VMRUN VMMCALL VMLOAD VMSAVE STGI CLGI SKINIT, WBINVD, MONITOR MWAIT (both forms), XSETBV, RDPRU */
#define SVM_ALL_VM        0x7fu
#define SVM_WBINVD        (1u << 9)
#define SVM_MONITOR       (7u << 10)
#define SVM_XSETBV        (1u << 13)
#define SVM_RDPRU         (1u << 14)
/* intercept3: INVLPGB (both forms), MCOMMIT, TLBSYNC */
#define SVM_BROADCAST     0x1bu

#define SVM_TLB_FLUSH_ALL  1
#define SVM_V_IRQ          (1ull << 8)
#define SVM_V_IGNORE_TPR   (1ull << 20)
#define SVM_V_INTR_MASKING (1ull << 24)

#define MSR_VM_CR       0xc0010114
#define MSR_VM_HSAVE_PA 0xc0010117
#define VM_CR_SVMDIS    (1u << 4)
#define EFER_SVME       (1u << 12)

/** What is called after each exit; false: the loop ends. */
typedef bool svm_exit_fn(struct vcpu *v, struct regs *r);
/**
 * svm_entry.S: enter the guest until exited() says no. regs: cpu_info.regs; the physical addresses of the guest's VMCB and of this
 * pcpu's own state.
 */
void svm_loop(struct regs *regs, u64 vmcb, u64 host, struct vcpu *v, svm_exit_fn *exited);

#endif

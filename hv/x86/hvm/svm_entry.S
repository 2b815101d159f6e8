/* SPDX-License-Identifier: MIT */
/*
 * SVM's world switch (APM vol. 2 §15.5). VMRUN keeps what the hypervisor needs to go on; FS, GS, TR, LDTR and the system-call MSRs
 * are exchanged by VMSAVE and VMLOAD. Between CLGI and STGI nothing interrupts: not even an NMI, which would find the guest's TR.
 * VMRUN is entered with IF set, so that a physical interrupt makes the guest exit (V_INTR_MASKING, §15.21.1); IF is off again
 * before STGI, and the interrupt is taken where the exit handler opens for it.
 */
#include "asm_offsets.h"

    .section .text.entry, "ax"
    .code64
    .globl svm_enter
    .align 64
svm_enter:                              /* RDI: struct regs, RSI: guest's VMCB, RDX: host's */
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push %rdx
    push %rdi
    mov %rsi, %rax
    clgi
    sti
    mov R_rbx(%rdi), %rbx
    mov R_rcx(%rdi), %rcx
    mov R_rdx(%rdi), %rdx
    mov R_rsi(%rdi), %rsi
    mov R_rbp(%rdi), %rbp
    mov R_r8(%rdi), %r8
    mov R_r9(%rdi), %r9
    mov R_r10(%rdi), %r10
    mov R_r11(%rdi), %r11
    mov R_r12(%rdi), %r12
    mov R_r13(%rdi), %r13
    mov R_r14(%rdi), %r14
    mov R_r15(%rdi), %r15
    mov R_rdi(%rdi), %rdi
    vmload %rax
    vmrun %rax
    vmsave %rax
    xchg %rdi, (%rsp)
    mov %rbx, R_rbx(%rdi)
    mov %rcx, R_rcx(%rdi)
    mov %rdx, R_rdx(%rdi)
    mov %rsi, R_rsi(%rdi)
    mov %rbp, R_rbp(%rdi)
    mov %r8, R_r8(%rdi)
    mov %r9, R_r9(%rdi)
    mov %r10, R_r10(%rdi)
    mov %r11, R_r11(%rdi)
    mov %r12, R_r12(%rdi)
    mov %r13, R_r13(%rdi)
    mov %r14, R_r14(%rdi)
    mov %r15, R_r15(%rdi)
    pop R_rdi(%rdi)
    pop %rax
    vmload %rax
    cli
    stgi
    cmpl $0, svm_rsb_overwrite(%rip)
    jne 2f
1:  pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
2:  call rsb_overwrite
    jmp 1b

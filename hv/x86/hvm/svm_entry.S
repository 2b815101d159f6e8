/* SPDX-License-Identifier: MIT */
/*
 * SVM's world switch (APM vol. 2 §15.5). VMRUN keeps what the hypervisor needs to go on; FS, GS, TR, LDTR and the system-call MSRs
 * are exchanged by VMSAVE and VMLOAD. Between CLGI and STGI nothing interrupts: not even an NMI, which would find the guest's TR.
 * VMRUN is entered with IF set, so that a physical interrupt makes the guest exit (V_INTR_MASKING, §15.21.1); IF is off again
 * before STGI, and the interrupt is taken where the exit handler opens for it.
 *
 * The loop is here, so that the registers that C keeps across calls are saved once and not at each exit: svm.c says
 * whether the guest is entered again. Every return within it matches a call made since the exit, so no prediction that the guest left
 * behind is used before the loop ends; there the return stack is overwritten (spec-ctrl).
 */
#include "asm_offsets.h"

    .section .text.entry, "ax"
    .code64
    .globl svm_loop
    .align 64
svm_loop:                               /* RDI: struct regs, RSI: guest's VMCB, RDX: host's, RCX: vCPU, R8: svm_exited() */
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %r8
    .align 16
1:  mov 16(%rsp), %rax
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
    mov 8(%rsp), %rax
    mov %rbx, R_rbx(%rax)
    mov %rcx, R_rcx(%rax)
    mov %rdx, R_rdx(%rax)
    mov %rsi, R_rsi(%rax)
    mov %rdi, R_rdi(%rax)
    mov %rbp, R_rbp(%rax)
    mov %r8, R_r8(%rax)
    mov %r9, R_r9(%rax)
    mov %r10, R_r10(%rax)
    mov %r11, R_r11(%rax)
    mov %r12, R_r12(%rax)
    mov %r13, R_r13(%rax)
    mov %r14, R_r14(%rax)
    mov %r15, R_r15(%rax)
    mov %rax, %rsi
    mov 24(%rsp), %rax
    vmload %rax
    cli
    stgi
    mov 32(%rsp), %rdi
    call *(%rsp)                        /* RSI: struct regs */
    mov 8(%rsp), %rdi
    test %al, %al
    jne 1b
    add $40, %rsp
    cmpl $0, hvm_rsb_overwrite(%rip)
    jne 3f
2:  pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
3:  call rsb_overwrite
    jmp 2b

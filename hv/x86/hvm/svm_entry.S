/* SPDX-License-Identifier: MIT */
/*
 * SVM's world switch (APM vol. 2 §15.5). VMRUN keeps what the hypervisor needs to go on; FS, GS, TR, LDTR and the system-call MSRs
 * are exchanged by VMSAVE and VMLOAD. Between CLGI and STGI nothing interrupts: not even an NMI, which would find the guest's TR.
 * VMRUN is entered with IF set, so that a physical interrupt makes the guest exit (V_INTR_MASKING, §15.21.1); IF is off again
 * before STGI, and the interrupt is taken where the exit handler opens for it.
 *
 * The loop is here, so that the registers that C keeps across calls are saved once and not at each exit: svm.c says
 * whether the guest is entered again.
 */
#include "world_switch.inc"

    .section .text.entry, "ax"
    .code64
    .globl svm_loop
    .align 64
svm_loop:                               /* RDI: struct regs, RSI: guest's VMCB, RDX: host's, RCX: vCPU, R8: svm_exited() */
    PUSH_KEPT
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %r8
    .align 16
1:  mov 16(%rsp), %rax
    clgi
    sti
    LOAD_GUEST
    vmload %rax
    vmrun %rax
    vmsave %rax
    mov 8(%rsp), %rax
    STORE_GUEST %rax
    mov %rdi, R_rdi(%rax)
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
    LEAVE_LOOP 40

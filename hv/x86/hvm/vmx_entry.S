/* SPDX-License-Identifier: MIT */
/*
 * VMX's world switch (SDM vol. 3 ch. 27, 28). The processor exchanges RIP, RSP, RFLAGS, segments, CR0, CR3, CR4, EFER, PAT and DR7;
 * general registers are exchanged here, and what else a guest has stays in the processor while its vCPU is on it (vmx.c).
 *
 * The loop is here, so that the registers that C keeps across calls are saved once and not at each exit: vmx_exited() says whether
 * and how the guest is entered again. An entry that the processor refuses before it has begun falls through VMLAUNCH or VMRESUME,
 * with the registers still in struct regs. The return predictor, in which a guest may have left addresses, is overwritten when the
 * loop ends: within it each return matches a call made since the exit.
 */
#include "asm_offsets.h"

    .section .text.entry, "ax"
    .code64
    .globl vmx_enter, vmx_exit_point
    .align 64
vmx_enter:                              /* RDI: struct regs, RSI: vCPU, EDX: VMX_LAUNCH or VMX_RESUME */
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push %rsi
    push %rdi
    mov $0x6c14, %eax                   /* VMCS_HOST_RSP */
    vmwrite %rsp, %rax
    mov %edx, %eax
    .align 16
1:  cmp $1, %eax
    mov R_rax(%rdi), %rax
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
    je 2f
    vmresume
    jmp 6f
2:  vmlaunch
6:  mov 8(%rsp), %rdi
    mov (%rsp), %rsi
    call vmx_entry_failed
    jmp 3f
vmx_exit_point:
    push %rdi
    mov 8(%rsp), %rdi
    mov %rax, R_rax(%rdi)
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
    mov %rdi, %rsi
    mov 8(%rsp), %rdi
    call vmx_exited                     /* vCPU, struct regs */
    mov (%rsp), %rdi
    test %eax, %eax
    jne 1b
3:  add $16, %rsp
    cmpl $0, hvm_rsb_overwrite(%rip)
    jne 5f
4:  pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
5:  call rsb_overwrite
    jmp 4b

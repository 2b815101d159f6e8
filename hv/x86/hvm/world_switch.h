/* SPDX-License-Identifier: MIT */
/*
 * What SVM's and VMX's world switch have in common, as macros of the assembler: the registers that C keeps across calls, and the
 * general registers of a guest in struct regs. For svm_entry.S and vmx_entry.S alone.
 */
#ifndef PARANGON_HVM_WORLD_SWITCH_H
#define PARANGON_HVM_WORLD_SWITCH_H

#include "asm_offsets.h"

/* What C expects back as it was. */
.macro PUSH_KEPT
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
.endm

/*
 * Leave the loop: `drop` bytes of stack, then back to C. The return predictor, in which a guest may have left addresses, is
 * overwritten here (spec-ctrl): within the loop each return matches a call made since the exit.
 */
.macro LEAVE_LOOP drop
    add $\drop, %rsp
    cmpl $0, hvm_rsb_overwrite(%rip)
    jne 82f
81: pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
82: call rsb_overwrite
    jmp 81b
.endm

/* All of the guest's but RAX, from struct regs at RDI; no flag changes. */
.macro LOAD_GUEST
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
.endm

/* All of them but RAX and RDI, of which one is `to`, struct regs, and the other the caller's to store. */
.macro STORE_GUEST to
    mov %rbx, R_rbx(\to)
    mov %rcx, R_rcx(\to)
    mov %rdx, R_rdx(\to)
    mov %rsi, R_rsi(\to)
    mov %rbp, R_rbp(\to)
    mov %r8, R_r8(\to)
    mov %r9, R_r9(\to)
    mov %r10, R_r10(\to)
    mov %r11, R_r11(\to)
    mov %r12, R_r12(\to)
    mov %r13, R_r13(\to)
    mov %r14, R_r14(\to)
    mov %r15, R_r15(\to)
.endm

#endif

/* SPDX-License-Identifier: MIT */
/*
 * VMX's world switch (SDM vol. 3 ch. 27, 28). The processor exchanges RIP, RSP, RFLAGS, segments, CR0, CR3, CR4, EFER, PAT and DR7;
 * general registers are exchanged here, and what else a guest has stays in the processor while its vCPU is on it (vmx.c).
 *
 * The loop is here, so that the registers that C keeps across calls are saved once and not at each exit: vmx_exited() says whether
 * and how the guest is entered again. An entry that the processor refuses before it has begun falls through VMLAUNCH or VMRESUME,
 * with the registers still in struct regs.
 */
#include "world_switch.inc"
#include "x86/layout.h"

    .section .text.entry, "ax"
    .code64
    .globl vmx_enter, vmx_exit_point
    .align 64
vmx_enter:                              /* RDI: struct regs, RSI: vCPU, EDX: VMX_LAUNCH or VMX_RESUME, with or without VMX_CLEAR */
    PUSH_KEPT
    push %rsi
    push %rdi
    mov $0x6c14, %eax                   /* VMCS_HOST_RSP */
    vmwrite %rsp, %rax
    mov %edx, %eax
    .align 16
1:  cmp $2, %eax                        /* the answers: 1 below, 2 equal, 5 above with even parity of the difference, 6 with odd */
    mov R_rax(%rdi), %rax
    LOAD_GUEST
    jne 2f
    vmresume
    jmp 6f
2:  jb 4f
    verw data_selector(%rip)            /* changes ZF alone */
    jp 4f
    vmresume
    jmp 6f
4:  vmlaunch
6:  mov 8(%rsp), %rdi
    mov (%rsp), %rsi
    call vmx_entry_failed
    jmp 3f
vmx_exit_point:
    push %rdi
    mov 8(%rsp), %rdi
    mov %rax, R_rax(%rdi)
    STORE_GUEST %rdi
    pop R_rdi(%rdi)
    mov %rdi, %rsi
    mov 8(%rsp), %rdi
    call vmx_exited                     /* vCPU, struct regs */
    mov (%rsp), %rdi
    test %eax, %eax
    jne 1b
3:  LEAVE_LOOP 16

    .section .rodata, "a"
    .align 2
data_selector:                          /* any that may be written: VERW clears the buffers in its form with memory alone */
    .word SEL_HV_DS

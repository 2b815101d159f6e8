/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls by SYSCALL, for the link without a hypercall page. See hypercall.h.
 * Registers of the ABI: xen/arch-x86/xen-x86_64.h. The hypervisor clobbers rcx and r11.
 */
    .text
    .globl hypercall, hcall_iret
hypercall:
    mov %edi, %eax
    mov %rsi, %rdi
    mov %rdx, %rsi
    mov %rcx, %rdx
    mov %r8, %r10
    mov %r9, %r8
    syscall
    ret

/* Jumped to with rip, cs, rflags, rsp, ss on the stack and every register as it is to be restored. */
hcall_iret:
    pushq $0                    /* iret_context.flags */
    push %rcx
    push %r11
    push %rax
    mov $23, %eax
    syscall

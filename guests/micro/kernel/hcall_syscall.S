/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls by instruction, for the link without a hypercall page. See hypercall.h.
 * Registers of the ABI: xen/arch-x86/xen-x86_64.h. hypercall_gate is the instruction of this platform: SYSCALL on PV,
 * which clobbers rcx and r11, VMMCALL or VMCALL on PVH.
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
    jmp *hypercall_gate(%rip)

/* Jumped to with rip, cs, rflags, rsp, ss on the stack and every register as it is to be restored. */
hcall_iret:
    pushq $0                    /* iret_context.flags */
    push %rcx
    push %r11
    push %rax
    mov $23, %eax
    syscall

/* uint64_t hypercall_page_paddr(void): 0, there is none. */
    .globl hypercall_page_paddr
hypercall_page_paddr:
    xor %eax, %eax
    ret

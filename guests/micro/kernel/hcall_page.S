/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls through the hypercall page, and the note that asks for one. See hypercall.h.
 * A PVH domain has it filled in by writing its address to an MSR (platform.c). The slot of iret pushes rcx, r11 and rax itself; flags are the caller's.
 */
    .text
    .globl hypercall, hcall_iret
hypercall:
    mov %edi, %eax
    shl $5, %rax
    add $hypercall_page, %rax
    mov %rsi, %rdi
    mov %rdx, %rsi
    mov %rcx, %rdx
    mov %r8, %r10
    mov %r9, %r8
    jmp *%rax

hcall_iret:
    pushq $0                    /* iret_context.flags */
    jmp hypercall_page + 23 * 32

/* uint64_t hypercall_page_paddr(void): where a PVH domain asks to have it filled in. */
    .globl hypercall_page_paddr
hypercall_page_paddr:
    mov $hypercall_page, %rax
    mov $VIRT_BASE, %rdx
    sub %rdx, %rax
    ret

    .balign 4096
hypercall_page:
    .fill 4096, 1, 0x90

    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 8, 2               /* XEN_ELFNOTE_HYPERCALL_PAGE */
    .asciz "Xen"
    .quad hypercall_page

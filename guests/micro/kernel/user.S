/* SPDX-License-Identifier: MIT */
/*
 * The user program: small pieces, each entered by user_run() and left by its first syscall, exception or int.
 * Mapped at USER_VA in the kernel's and the user's table; position-independent. The page after the code is the
 * data page, the one after that the stack.
 */
    .section .user, "ax"
    .balign 4096
    .globl user_code
user_code:

    .macro PIECE name
    .balign 16
    .globl \name
\name:
    .endm

PIECE u_syscall
    syscall
    jmp u_syscall

PIECE u_syscall_loop            /* rbx system calls, then ud2 */
1:  syscall
    dec %rbx
    jnz 1b
    ud2

PIECE u_int3
    int3
    syscall

PIECE u_int80
    int $0x80
    syscall

PIECE u_int81
    int $0x81
    syscall

PIECE u_int13
    int $13
    syscall

PIECE u_ud2
    ud2

PIECE u_div0
    xor %ecx, %ecx
    xor %edx, %edx
    div %ecx

PIECE u_load                    /* rax = [rdi] */
    mov (%rdi), %rax
    syscall

PIECE u_store                   /* [rdi] = rsi */
    mov %rsi, (%rdi)
    syscall

PIECE u_load_loop               /* rbx loads of two bytes' length from [rdi], then ud2 */
1:  movb (%rdi), %al
    dec %rbx
    jnz 1b
    ud2

PIECE u_cpuid_loop              /* rdi times CPUID, then ud2 */
1:  xor %eax, %eax
    cpuid
    dec %rdi
    jnz 1b
    ud2

PIECE u_hlt
    hlt

PIECE u_cli
    cli
    syscall

PIECE u_in                      /* al = port 0x80 */
    inb $0x80, %al
    syscall

PIECE u_vmmcall                 /* a hypercall, by AMD's instruction; rax is what came back */
    vmmcall
    syscall

PIECE u_vmcall                  /* by Intel's */
    vmcall
    syscall

PIECE u_load_fs                 /* rax = fs:[rdi] */
    mov %fs:(%rdi), %rax
    syscall

PIECE u_load_gs
    mov %gs:(%rdi), %rax
    syscall

PIECE u_regs                    /* selectors and flags: rax = cs, rbx = ss, rcx = gs, rdx = rflags */
    mov %cs, %eax
    mov %ss, %ebx
    mov %gs, %ecx
    pushf
    pop %rdx
    mov %rcx, %rsi
    syscall

PIECE u_spin                    /* until the first word of the data page is not 0 */
    lea user_data_page(%rip), %rdi
1:  cmpq $0, (%rdi)
    je 1b
    syscall

    .balign 4096
    .globl user_data_page
user_data_page:
    .fill 4096, 1, 0
    .fill 4096, 1, 0
    .globl user_end
user_end:

/* SPDX-License-Identifier: MIT */
/*
 * Entries into the kernel, for all platforms, and the ways out.
 *
 * Every entry ends in trap_common with a struct trap_frame (micro.h) on the stack, and leaves through the
 * jump that trap_exit names: IRETQ with tables of our own (native, PVH), the iret hypercall on PV. A PV entry finds rcx and r11 pushed
 * by the hypervisor on top of the usual frame (xen/arch-x86/xen-x86_64.h).
 */
    .text

/* One stub of 16 bytes for each vector. 8, 10-14, 17 and 21 come with an error code. */
    .balign 16
    .globl pv_stubs, native_stubs
pv_stubs:
    .set n, 0
    .rept 256
    .balign 16
    pop %rcx
    pop %r11
    .if !(n == 8 || (n >= 10 && n <= 14) || n == 17 || n == 21)
    pushq $0
    .endif
    pushq $n
    jmp trap_common
    .set n, n + 1
    .endr

    .balign 16
native_stubs:
    .set n, 0
    .rept 256
    .balign 16
    .if !(n == 8 || (n >= 10 && n <= 14) || n == 17 || n == 21)
    pushq $0
    .endif
    pushq $n
    jmp trap_common
    .set n, n + 1
    .endr

    .globl pv_syscall, pv_event, pv_failsafe, native_syscall
pv_syscall:
    pop %rcx
    pop %r11
    pushq $0
    pushq $0x100
    jmp trap_common

pv_event:
    pop %rcx
    pop %r11
    pushq $0
    pushq $0x101
    jmp trap_common

/* ds, es, fs and gs as they were precede rip; the kernel keeps null ones. */
pv_failsafe:
    pop %rcx
    pop %r11
    add $32, %rsp
    pushq $0
    pushq $0x102
    jmp trap_common

native_syscall:
    mov %rsp, native_user_rsp(%rip)
    mov native_kernel_rsp(%rip), %rsp
    pushq user_ss(%rip)
    pushq native_user_rsp(%rip)
    push %r11
    pushq user_cs(%rip)
    push %rcx
    pushq $0
    pushq $0x100

trap_common:
    push %rdi
    push %rsi
    push %rdx
    push %rcx
    push %rax
    push %r8
    push %r9
    push %r10
    push %r11
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    cld
    mov %rsp, %rdi
    call trap_dispatch
    .globl trap_return
trap_return:
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rax
    pop %rcx
    pop %rdx
    pop %rsi
    pop %rdi
    add $16, %rsp
    jmp *trap_exit(%rip)

    .globl native_iret
native_iret:
    iretq

/* void trap_leave(const struct trap_frame *): enter what the frame says, never return. */
    .globl trap_leave
trap_leave:
    mov %rdi, %rsp
    jmp trap_return

/* void iret_raw(const struct iret_context *): the iret hypercall on a context as it stands. */
    .globl iret_raw
iret_raw:
    mov %rdi, %rsp
    mov $23, %eax
    syscall

/* long raw_hypercall(nr, a1, a2) */
    .globl raw_hypercall
raw_hypercall:
    mov %rdi, %rax
    mov %rsi, %rdi
    mov %rdx, %rsi
    jmp *hypercall_gate(%rip)

/* What hypercall_gate points to: the instruction that this platform's hypervisor listens to. */
    .globl gate_syscall, gate_vmmcall, gate_vmcall
gate_syscall:
    syscall
    ret
gate_vmmcall:
    vmmcall
    ret
gate_vmcall:
    vmcall
    ret

/* int ctx_save(struct ctx *): 0 now; what ctx_jump or a patched frame puts into rax later. */
    .globl ctx_save, ctx_jump
ctx_save:
    pop %rdx
    mov %rbx, (%rdi)
    mov %rbp, 8(%rdi)
    mov %r12, 16(%rdi)
    mov %r13, 24(%rdi)
    mov %r14, 32(%rdi)
    mov %r15, 40(%rdi)
    mov %rsp, 48(%rdi)
    mov %rdx, 56(%rdi)
    xor %eax, %eax
    jmp *%rdx

ctx_jump:
    mov %esi, %eax
    mov (%rdi), %rbx
    mov 8(%rdi), %rbp
    mov 16(%rdi), %r12
    mov 24(%rdi), %r13
    mov 32(%rdi), %r14
    mov 40(%rdi), %r15
    mov 48(%rdi), %rsp
    jmp *56(%rdi)

    .data
    .balign 8
    .globl native_user_rsp, native_kernel_rsp, hypercall_gate
hypercall_gate:    .quad gate_syscall
native_user_rsp:   .quad 0
native_kernel_rsp: .quad 0

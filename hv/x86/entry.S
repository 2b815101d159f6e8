/* SPDX-License-Identifier: MIT */
/*
 * Every way into the hypervisor and every way back to a guest.
 *
 * Traps and interrupts from ring 3 arrive on the pcpu's stack with the hardware's frame already at the end of
 * cpu_info.regs; SYSCALL arrives on the guest's stack and finds the pcpu through a stub of its own. Two paths are hot and
 * stay in this file: the bounce of a guest user's system call into its kernel, and the iret hypercall back. Both need the
 * vCPU's flags to equal one constant, so that everything rare (tracing, odd modes, pending events) costs no test of its own.
 * They contain no RET and no indirect jump: nothing here can be steered by a guest's branch predictor entries.
 *
 * Guest memory is touched between STAC and CLAC only, each access with an entry in the fix-up table.
 * Interrupts are off from entry to exit. Sources: APM vol. 2 §6.1.1 (SYSCALL), §8.9 (frames), xen/arch-x86/xen-x86_64.h (iret).
 */
#include "asm_offsets.h"
#include "layout.h"

/* Three-byte NOPs that setup patches to STAC and CLAC where the processor has SMAP. */
.macro SMAP_SITE op
661: nopl (%rax)
    .pushsection .smap_sites, "a"
    .quad 661b, \op
    .popsection
.endm
#define STAC SMAP_SITE 0xcb
#define CLAC SMAP_SITE 0xca

/* If the instruction at `from` faults, go on at `to`. */
.macro FIXUP from, to
    .pushsection .fixup_table, "a"
    .quad \from, \to
    .popsection
.endm

    .section .text.entry, "ax"
    .code64

/* ---- SYSCALL: one stub per pcpu, then the common path with RSP = its cpu_info ---- */
    .align 32
    .globl syscall_stubs
syscall_stubs:
    .set cpu, 0
    .rept NR_PCPUS_MAX
    .align 32
    mov %rsp, pcpu_stacks + STACK_SIZE * (cpu + 1) - CPU_INFO_size + R_rsp(%rip)
    lea pcpu_stacks + STACK_SIZE * (cpu + 1) - CPU_INFO_size(%rip), %rsp
    jmp syscall_common
    .set cpu, cpu + 1
    .endr

    .align 64
syscall_common:
    mov %rax, R_rax(%rsp)
    mov %rdx, R_rdx(%rsp)
    mov CI_current(%rsp), %rdx
    cmpl $VF_FAST_USER_C, V_flags(%rdx)
    jne from_kernel

/* A system call of guest user code: enter its kernel at the registered callback with the seven-word frame
 * rcx r11 rip cs rflags rsp ss, events masked. */
    mov V_info(%rdx), %rax
    cmpb $0, INFO_mask(%rax)
    jne syscall_general                 /* user code with events masked: IF of the frame would differ */
    movb $1, INFO_mask(%rax)
    mov V_cr3_kernel(%rdx), %rax
    mov %rax, %cr3
    mov V_kernel_sp(%rdx), %rax
    swapgs
    STAC
1:  movq $SEL_DS, -8(%rax)
2:  movq $SEL_CS64, -32(%rax)
3:  mov %rcx, -40(%rax)
4:  mov %rcx, -56(%rax)
5:  mov %r11, -24(%rax)
6:  mov %r11, -48(%rax)
    mov R_rsp(%rsp), %rcx
7:  mov %rcx, -16(%rax)
    CLAC
    orl $VF_KERNEL_C, V_flags(%rdx)
    incq CI_count + C_SYSCALL(%rsp)
    mov V_syscall_rip(%rdx), %rcx
    mov R_rdx(%rsp), %rdx
    lea -56(%rax), %r11
    mov R_rax(%rsp), %rax
    mov %r11, %rsp
    mov $0x202, %r11d
    sysretq
    FIXUP 1b, bounce_fault
    FIXUP 2b, bounce_fault
    FIXUP 3b, bounce_fault
    FIXUP 4b, bounce_fault
    FIXUP 5b, bounce_fault
    FIXUP 6b, bounce_fault
    FIXUP 7b, bounce_fault

from_kernel:
    cmpl $VF_FAST_KERNEL_C, V_flags(%rdx)
    jne syscall_general
    cmp $23, %eax                       /* __HYPERVISOR_iret */
    jne hypercall

/* iret to guest user mode: read rax r11 rcx flags rip cs rflags rsp ss from the guest kernel's stack, take the frame only in
 * its usual form (64-bit user code, low addresses, events on, none pending); anything else goes to do_iret(). */
    mov R_rsp(%rsp), %rcx
    mov $(HV_END >> 32), %eax
    shl $32, %rax
    cmp %rax, %rcx
    jb syscall_general
    mov V_info(%rdx), %rax
    cmpb $0, INFO_pending(%rax)
    jne syscall_general
    STAC
1:  cmpl $SEL_CS64, 40(%rcx)
    jne iret_general
2:  mov 48(%rcx), %r11
    test $0x200, %r11d
    jz iret_general
    and $GUEST_FLAGS_MASK | 0x202, %r11d
3:  cmpl $SEL_DS, 64(%rcx)
    jne iret_general
4:  pushq 56(%rcx)                      /* rsp: below cpu_info is free stack */
5:  mov 32(%rcx), %rcx                  /* rip */
    movabs $0x00007fffffffefff, %rax
    cmp %rax, %rcx
    ja iret_general_pop
    mov V_info(%rdx), %rax
    movb $0, INFO_mask(%rax)
    xorl $VF_KERNEL_C, V_flags(%rdx)
    incq CI_count + C_IRET + 8(%rsp)
    mov R_rsp + 8(%rsp), %rax
6:  cmp %rcx, 16(%rax)                  /* SYSRET serves where rcx and r11 are the frame's rip and rflags */
    jne iret_slow_regs
7:  cmp %r11, 8(%rax)
    jne iret_slow_regs
8:  mov (%rax), %rax
    CLAC
    mov %rax, R_rax + 8(%rsp)
    mov V_cr3_user(%rdx), %rax
    mov %rax, %cr3
    swapgs
    mov R_rdx + 8(%rsp), %rdx
    mov R_rax + 8(%rsp), %rax
    pop %rsp
    sysretq
    FIXUP 1b, iret_general
    FIXUP 2b, iret_general
    FIXUP 3b, iret_general
    FIXUP 4b, iret_general
    FIXUP 5b, iret_general_pop
    FIXUP 6b, iret_undo
    FIXUP 7b, iret_undo
    FIXUP 8b, iret_undo

iret_slow_regs:                         /* RAX = guest frame, RCX = rip, R11 = rflags, (RSP) = user's rsp */
    movq %rcx, CI_scratch + 8(%rsp)
1:  mov 16(%rax), %rcx
    mov %r11, R_r11 + 8(%rsp)
2:  mov 8(%rax), %r11
3:  mov (%rax), %rax
    CLAC
    pushq %rax                          /* (RSP): rax, user rsp */
    mov V_cr3_user(%rdx), %rax
    mov %rax, %cr3
    swapgs
    mov R_rdx + 16(%rsp), %rdx
    mov 8(%rsp), %rax
    mov %rax, R_rsp + 16(%rsp)
    movq $SEL_DS, R_ss + 16(%rsp)
    movq $SEL_CS64, R_cs + 16(%rsp)
    mov R_r11 + 16(%rsp), %rax
    mov %rax, R_rflags + 16(%rsp)
    mov CI_scratch + 16(%rsp), %rax
    mov %rax, R_rip + 16(%rsp)
    pop %rax
    lea R_rip + 8(%rsp), %rsp
    iretq
    FIXUP 1b, iret_undo
    FIXUP 2b, iret_undo
    FIXUP 3b, iret_undo

iret_undo:                              /* the frame vanished half way: back to kernel mode, then as any bad frame */
    orl $VF_KERNEL_C, V_flags(%rdx)
iret_general_pop:
    add $8, %rsp
iret_general:
    CLAC
    xor %ecx, %ecx
    mov $0x202, %r11d
    jmp syscall_general

bounce_fault:                           /* no room for the frame on the guest kernel's stack */
    CLAC
    orl $VF_KERNEL_C, V_flags(%rdx)
    lea bounce_fault_text(%rip), %rdi
    call pv_crash_current
    jmp exit_work

/* ---- any other hypercall of a guest kernel ---- */
.macro SAVE_SYSCALL_REGS
    mov %rcx, R_rcx(%rsp)
    mov %rcx, R_rip(%rsp)
    mov %r11, R_r11(%rsp)
    mov %r11, R_rflags(%rsp)
    mov %rdi, R_rdi(%rsp)
    mov %rsi, R_rsi(%rsp)
    mov %r8, R_r8(%rsp)
    mov %r9, R_r9(%rsp)
    mov %r10, R_r10(%rsp)
    mov %rbx, R_rbx(%rsp)
    mov %rbp, R_rbp(%rsp)
    mov %r12, R_r12(%rsp)
    mov %r13, R_r13(%rsp)
    mov %r14, R_r14(%rsp)
    mov %r15, R_r15(%rsp)
    movl $0x100, R_vector(%rsp)
    movq $SEL_CS64, R_cs(%rsp)
    movq $SEL_DS, R_ss(%rsp)
.endm

    .align 16
hypercall:
    SAVE_SYSCALL_REGS
    mov R_rdx(%rsp), %rdx
    cmp $64, %rax
    jae hypercall_unknown
    incq CI_hypercall_count(%rsp, %rax, 8)
    lea hypercall_entry(%rip), %rcx
    mov (%rcx, %rax, 8), %rax
    mov %r10, %rcx
    call *%rax
hypercall_done:
    mov %rax, R_rax(%rsp)
    mov CI_current(%rsp), %rdx
    mov V_info(%rdx), %rdx
    mov CI_work(%rsp), %ecx
    test %ecx, %ecx
    jnz exit_work
    cmpw $1, (%rdx)                     /* an event is pending and not masked */
    je exit_work
    mov R_rip(%rsp), %rcx
    test %rcx, %rcx
    jns restore_all                     /* SYSRET only to where no instruction can have left a non-canonical RIP */
    mov R_rdx(%rsp), %rdx
    mov R_rdi(%rsp), %rdi
    mov R_rsi(%rsp), %rsi
    mov R_r8(%rsp), %r8
    mov R_r9(%rsp), %r9
    mov R_r10(%rsp), %r10
    mov R_rflags(%rsp), %r11
    mov R_rsp(%rsp), %rsp
    sysretq

hypercall_unknown:
    mov %rsp, %rdi
    call pv_hypercall_unknown
    jmp hypercall_done

/* ---- SYSCALL, general form: C does it ---- */
syscall_general:                        /* RAX, RDX saved; RCX, R11 as SYSCALL left them */
    SAVE_SYSCALL_REGS
    mov %rsp, %rdi
    call pv_syscall_general
    jmp exit_check

    .globl syscall32_entry
syscall32_stub:                         /* SYSCALL from 32-bit code (AMD only), through the stub of pcpu 0's scheme */
    .globl syscall32_stubs
    .align 32
syscall32_stubs:
    .set cpu, 0
    .rept NR_PCPUS_MAX
    .align 32
    mov %rsp, pcpu_stacks + STACK_SIZE * (cpu + 1) - CPU_INFO_size + R_rsp(%rip)
    lea pcpu_stacks + STACK_SIZE * (cpu + 1) - CPU_INFO_size(%rip), %rsp
    jmp syscall32_common
    .set cpu, cpu + 1
    .endr
syscall32_common:
    mov %rax, R_rax(%rsp)
    mov %rdx, R_rdx(%rsp)
    SAVE_SYSCALL_REGS
    movq $SEL_CS32, R_cs(%rsp)
    mov %rsp, %rdi
    call pv_syscall32
    jmp exit_check

/* ---- traps and interrupts ---- */
.macro SAVE_ALL
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
.endm
.macro RESTORE_ALL
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
.endm

    .align 64
    .globl trap_common
trap_common:
    SAVE_ALL
    cld
    CLAC
    testb $3, R_cs(%rsp)
    jz from_hypervisor
    mov %rsp, %rdi
    call trap_from_guest
exit_check:
    mov CI_current(%rsp), %rdx
    mov V_info(%rdx), %rax
    mov CI_work(%rsp), %ecx
    test %ecx, %ecx
    jnz exit_work
    cmpw $1, (%rax)
    jne restore_all
    .globl exit_work
exit_work:
    mov %rsp, %rdi
    call exit_to_guest_work
restore_all:
    RESTORE_ALL
    add $8, %rsp
    .globl guest_iretq
guest_iretq:
    iretq
    FIXUP guest_iretq, iret_fault
from_hypervisor:
    mov %rsp, %rdi
    call trap_from_hypervisor
    RESTORE_ALL
    add $8, %rsp
    iretq

/* The frame for a guest could not be loaded (a selector of its own tables went bad). RSP is again at that frame. */
iret_fault:
    pushq $0
    movl $13, 4(%rsp)
    SAVE_ALL
    mov %rsp, %rdi
    call pv_iret_fault
    jmp exit_check

/* The first entry into a vCPU, and any that must load everything: RSP = cpu_info. */
    .globl enter_guest
enter_guest:
    mov %rdi, %rsp
    jmp exit_work

/* NMI, #MC, #DB, #DF run on stacks of their own. From guest code: move to the pcpu's stack as any trap. */
    .align 16
trap_ist:
    SAVE_ALL
    cld
    CLAC
    testb $3, R_cs(%rsp)
    jz from_hypervisor
    mov %rsp, %rsi
    mov %rsp, %rdi
    or $(STACK_SIZE - 1), %rdi
    sub $(CPU_INFO_size - 1), %rdi
    mov %rdi, %rsp
    mov $(REGS_size / 8), %ecx
    rep movsq
    mov %rsp, %rdi
    call trap_from_guest
    jmp exit_check

.macro VECTOR n, error, to
    .align 16
vector_\n:
    .if \error == 0
    pushq $0
    .endif
    movl $\n, 4(%rsp)
    jmp \to
    .pushsection .rodata.vectors, "a"
    .quad vector_\n
    .popsection
.endm
    .section .rodata.vectors, "a"
    .align 8
    .globl vector_table
vector_table:
    .section .text.entry, "ax"
    .altmacro
    .set n, 0
    .rept 256
    .if n == 8
    VECTOR %n, 1, trap_ist
    .elseif n == 1 || n == 2 || n == 18
    VECTOR %n, 0, trap_ist
    .elseif n == 10 || n == 11 || n == 12 || n == 13 || n == 14 || n == 17 || n == 21 || n == 29 || n == 30
    VECTOR %n, 1, trap_common
    .else
    VECTOR %n, 0, trap_common
    .endif
    .set n, n + 1
    .endr
    .noaltmacro

/* ---- accesses that may fault ---- */

/* size_t guest_copy(void *dst, const void *src, size_t n): bytes not copied. Addresses have been checked. */
    .globl guest_copy
guest_copy:
    mov %rdx, %rcx
    cmp $8, %rdx
    je 3f
    STAC
1:  rep movsb
2:  CLAC
    mov %rcx, %rax
    ret
3:  STAC
4:  mov (%rsi), %rax
5:  mov %rax, (%rdi)
    xor %ecx, %ecx
    jmp 2b
    FIXUP 1b, 2b
    FIXUP 4b, 2b
    FIXUP 5b, 2b

    .globl guest_zero
guest_zero:                             /* size_t guest_zero(void *dst, size_t n) */
    mov %rsi, %rcx
    xor %eax, %eax
    STAC
1:  rep stosb
2:  CLAC
    mov %rcx, %rax
    ret
    FIXUP 1b, 2b

/* bool rdmsr_safe(u32 msr, u64 *v); bool wrmsr_safe(u32 msr, u64 v) */
    .globl rdmsr_safe
rdmsr_safe:
    mov %edi, %ecx
1:  rdmsr
    shl $32, %rdx
    or %rdx, %rax
    mov %rax, (%rsi)
    mov $1, %eax
    ret
2:  xor %eax, %eax
    ret
    FIXUP 1b, 2b
    .globl wrmsr_safe
wrmsr_safe:
    mov %edi, %ecx
    mov %esi, %eax
    mov %rsi, %rdx
    shr $32, %rdx
1:  wrmsr
    mov $1, %eax
    ret
2:  xor %eax, %eax
    ret
    FIXUP 1b, 2b

/* bool load_segments: each loads one selector; false (and a null selector) where it cannot be loaded. */
.macro LOAD_SEGMENT name, reg
    .globl load_\name
load_\name:
1:  mov %di, %\reg
    mov $1, %eax
    ret
2:  xor %eax, %eax
    mov %eax, %\reg
    ret
    FIXUP 1b, 2b
.endm
LOAD_SEGMENT ds, ds
LOAD_SEGMENT es, es
LOAD_SEGMENT fs, fs
    .globl load_gs_user
load_gs_user:                           /* the guest user's GS, while the guest kernel's base is the active one */
    swapgs
1:  mov %di, %gs
    swapgs
    mov $1, %eax
    ret
2:  xor %eax, %eax
    mov %eax, %gs
    swapgs
    ret
    FIXUP 1b, 2b

    .globl memcpy
    .globl memset
memcpy:                                 /* by words, then the rest by bytes */
    mov %rdi, %rax
    mov %rdx, %rcx
    shr $3, %rcx
    rep movsq
    mov %edx, %ecx
    and $7, %ecx
    rep movsb
    ret
memset:
    mov %rdi, %r8
    movzbl %sil, %eax
    movabs $0x0101010101010101, %rcx
    imul %rcx, %rax
    mov %rdx, %rcx
    shr $3, %rcx
    rep stosq
    mov %edx, %ecx
    and $7, %ecx
    rep stosb
    mov %r8, %rax
    ret
    .globl memmove
memmove:
    mov %rdi, %rax
    mov %rdx, %rcx
    mov %rdi, %r8
    sub %rsi, %r8
    cmp %rdx, %r8
    jb 1f
    rep movsb
    ret
1:  lea -1(%rdi, %rdx), %rdi
    lea -1(%rsi, %rdx), %rsi
    std
    rep movsb
    cld
    ret

    .section .rodata
bounce_fault_text:
    .asciz "no room for a system call's frame on the guest kernel's stack"


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

/* Where a guest may have filled the return predictor and the processor would follow it into guest memory (no SMEP), this NOP is
 * patched to a call of rsb_overwrite (spec_ctrl, cpu.c). Not on the hot paths, which have no RET to steer, nor on the way to a
 * hypercall's function, whose returns each match a call made since the entry, as in an operating system's system calls. */
.macro RSB_SITE
671: .byte 0x0f, 0x1f, 0x44, 0x00, 0x00
    .pushsection .rsb_sites, "a"
    .quad 671b
    .popsection
.endm

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
    incq CI_flush_clock(%rsp)
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

/* iret to guest user mode: rax r11 rcx flags rip cs rflags rsp ss on the guest kernel's stack become the frame of an IRETQ at the end of
 * cpu_info.regs. What the guest puts there cannot hurt: ring 3 and harmless flags are forced, the rest IRETQ checks, and its fault is
 * the guest's (iret_fault). Frames for the guest kernel itself, with events off, or with one pending, go to do_iret(). */
    mov R_rsp(%rsp), %rcx
    movabs $HV_END, %rax
    cmp %rax, %rcx
    jb syscall_general
    mov V_info(%rdx), %rax
    cmpb $0, INFO_pending(%rax)
    jne syscall_general
    STAC
1:  mov 40(%rcx), %r11d
    and $3, %r11d
    cmp $3, %r11d
    jne iret_general
2:  mov 48(%rcx), %r11
    test $0x200, %r11d
    jz iret_general
    and $GUEST_FLAGS_MASK | 0x202, %r11d
    lea REGS_size(%rsp), %rsp
3:  pushq 64(%rcx)                      /* ss */
4:  pushq 56(%rcx)                      /* rsp */
    push %r11
5:  pushq 40(%rcx)                      /* cs */
6:  pushq 32(%rcx)                      /* rip */
7:  pushq 16(%rcx)                      /* the guest's rcx and rax, in the place of the error code and below */
8:  pushq (%rcx)
9:  mov 8(%rcx), %r11
    CLAC
    movb $0, INFO_mask(%rax)
    xorl $VF_KERNEL_C, V_flags(%rdx)
    mov V_cr3_user(%rdx), %rax
    mov %rax, %cr3
    swapgs
    incq CI_count + C_IRET - R_rip + 16(%rsp)
    incq CI_flush_clock - R_rip + 16(%rsp)
    mov R_rdx - R_rip + 16(%rsp), %rdx
    pop %rax
    pop %rcx
    jmp guest_iretq
    FIXUP 1b, iret_general
    FIXUP 2b, iret_general
    FIXUP 3b, iret_general
    FIXUP 4b, iret_general
    FIXUP 5b, iret_general
    FIXUP 6b, iret_general
    FIXUP 7b, iret_general
    FIXUP 8b, iret_general
    FIXUP 9b, iret_general

iret_general:                           /* back to RSP = cpu_info, the guest's stack pointer in its place */
    CLAC
    or $(STACK_SIZE - 1), %rsp
    sub $(CPU_INFO_size - 1), %rsp
    mov %rcx, R_rsp(%rsp)
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
    RSB_SITE
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

/* #PF of guest user code that its kernel handles: the frame rcx r11 error rip cs rflags rsp ss on the guest kernel's stack, CR2 in
 * vcpu_info, events masked. What faults in the hypervisor's addresses, or in guest kernel mode, goes the general way.
 * RSP is at the error code; OFF(x) is a field of regs from there. */
#define OFF(x) ((x) - R_error_code)(%rsp)
    .align 64
page_fault:
    testb $3, OFF(R_cs)
    jz page_fault_hypervisor
    mov %rax, OFF(R_rax)
    mov %rdx, OFF(R_rdx)
    mov %rcx, OFF(R_rcx)
    mov OFF(CI_current), %rdx
    cmpl $VF_FAST_USER_C, V_flags(%rdx)
    jne page_fault_general
    cmpl $0, V_pf_masks(%rdx)
    je page_fault_general
    mov V_info(%rdx), %rax
    cmpb $0, INFO_mask(%rax)
    jne page_fault_general
    mov %cr2, %rcx
    test %rcx, %rcx
    js page_fault_general               /* an address of the upper half: perhaps ours */
    movb $1, INFO_mask(%rax)
    mov %rcx, INFO_cr2(%rax)
    mov V_cr3_kernel(%rdx), %rax
    mov %rax, %cr3
    mov V_kernel_sp(%rdx), %rax
    swapgs
    STAC
    mov OFF(R_rcx), %rcx
1:  mov %rcx, -64(%rax)
2:  mov %r11, -56(%rax)
    mov OFF(R_error_code), %ecx
3:  mov %rcx, -48(%rax)
    mov OFF(R_rip), %rcx
4:  mov %rcx, -40(%rax)
    mov OFF(R_cs), %rcx
5:  mov %rcx, -32(%rax)
    mov OFF(R_rflags), %rcx
6:  mov %rcx, -24(%rax)
    mov OFF(R_rsp), %rcx
7:  mov %rcx, -16(%rax)
    mov OFF(R_ss), %rcx
8:  mov %rcx, -8(%rax)
    CLAC
    orl $VF_KERNEL_C, V_flags(%rdx)
    incq OFF(CI_count + C_PF_BOUNCE)
    incq OFF(CI_flush_clock)
    mov V_pf_rip(%rdx), %rcx
    mov OFF(R_rdx), %rdx
    lea -64(%rax), %r11
    mov OFF(R_rax), %rax
    mov %r11, %rsp
    mov $0x202, %r11d
    sysretq
    FIXUP 1b, page_fault_no_room
    FIXUP 2b, page_fault_no_room
    FIXUP 3b, page_fault_no_room
    FIXUP 4b, page_fault_no_room
    FIXUP 5b, page_fault_no_room
    FIXUP 6b, page_fault_no_room
    FIXUP 7b, page_fault_no_room
    FIXUP 8b, page_fault_no_room

page_fault_no_room:
    sub $R_error_code, %rsp
    jmp bounce_fault
page_fault_hypervisor:
    movl $14, 4(%rsp)
    jmp trap_common

page_fault_general:                     /* RAX, RDX, RCX are saved already */
    movl $14, 4(%rsp)
    sub $R_error_code, %rsp
    mov %rdi, R_rdi(%rsp)
    mov %rsi, R_rsi(%rsp)
    mov %r8, R_r8(%rsp)
    mov %r9, R_r9(%rsp)
    mov %r10, R_r10(%rsp)
    mov %r11, R_r11(%rsp)
    mov %rbx, R_rbx(%rsp)
    mov %rbp, R_rbp(%rsp)
    mov %r12, R_r12(%rsp)
    mov %r13, R_r13(%rsp)
    mov %r14, R_r14(%rsp)
    mov %r15, R_r15(%rsp)
    cld
    CLAC
    RSB_SITE
    mov %rsp, %rdi
    call page_fault_from_guest
    jmp exit_check

    .align 64
    .globl trap_common
trap_common:
    SAVE_ALL
    cld
    CLAC
    testb $3, R_cs(%rsp)
    jz from_hypervisor
    RSB_SITE
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
    .elseif n == 14
    .align 16
vector_14:
    jmp page_fault
    .pushsection .rodata.vectors, "a"
    .quad vector_14
    .popsection
    .elseif n == 10 || n == 11 || n == 12 || n == 13 || n == 17 || n == 21 || n == 29 || n == 30
    VECTOR %n, 1, trap_common
    .else
    VECTOR %n, 0, trap_common
    .endif
    .set n, n + 1
    .endr
    .noaltmacro

/* Fill the return predictor with 32 harmless entries. Clobbers nothing but flags. */
    .globl rsb_overwrite
rsb_overwrite:
    .rept 32
    call 1f
    int3
1:
    .endr
    add $(32 * 8), %rsp
    ret

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

/* Large blocks go by plain moves: REP is interruptible, and an emulator that is interrupted from outside in the middle of one counts an
 * iteration twice, which would make two runs of one boot differ. The rest, and small blocks, by REP. */
    .globl memcpy
    .globl memset
memcpy:
    mov %rdi, %rax
    mov %rdx, %rcx
    shr $6, %rcx
    cmp $16, %rcx
    jb 2f
1:  mov (%rsi), %r8
    mov 8(%rsi), %r9
    mov 16(%rsi), %r10
    mov 24(%rsi), %r11
    mov %r8, (%rdi)
    mov %r9, 8(%rdi)
    mov %r10, 16(%rdi)
    mov %r11, 24(%rdi)
    mov 32(%rsi), %r8
    mov 40(%rsi), %r9
    mov 48(%rsi), %r10
    mov 56(%rsi), %r11
    mov %r8, 32(%rdi)
    mov %r9, 40(%rdi)
    mov %r10, 48(%rdi)
    mov %r11, 56(%rdi)
    add $64, %rsi
    add $64, %rdi
    dec %rcx
    jnz 1b
    and $63, %edx
2:  mov %rdx, %rcx
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
    shr $7, %rcx
    cmp $8, %rcx
    jb 2f
1:  .set at, 0
    .rept 16
    mov %rax, at(%rdi)
    .set at, at + 8
    .endr
    sub $-128, %rdi
    dec %rcx
    jnz 1b
    and $127, %edx
2:  mov %rdx, %rcx
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


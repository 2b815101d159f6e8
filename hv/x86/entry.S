/* SPDX-License-Identifier: MIT */
/*
 * Every way into the hypervisor and every way back to a guest.
 *
 * Traps and interrupts from ring 3 arrive on the pcpu's stack with the hardware's frame already at the end of
 * cpu_info.regs; SYSCALL arrives on the guest's stack and finds the pcpu through a stub of its own. Four paths are hot and
 * stay in this file: the bounce of a guest user's system call into its kernel, the iret hypercall back, the way to a hypercall's
 * function and back, and the bounce of a guest user's page fault. They need the vCPU's flags to equal one constant, so that
 * everything rare (odd modes, pending events) costs no test of its own. But for the call of that function they contain no RET and no
 * indirect jump: nothing here can be steered by a guest's branch predictor entries.
 *
 * Each hot path exists twice, from one text: the second, _traced, makes its trace record on the way (events.def: hypercall, trap).
 * Which pair is entered is what LSTAR and the gate of #PF say (cpu_trace_entries()), so tracing that is off costs nothing.
 *
 * Guest memory is touched between STAC and CLAC only, each access with an entry in the fix-up table.
 * Interrupts are off from entry to exit. Sources: APM vol. 2 §6.1.1 (SYSCALL), §8.9 (frames), xen/arch-x86/xen-x86_64.h (iret).
 */
#include "asm_offsets.h"
#include "layout.h"

#ifndef TRACE_CLASSES
#define TRACE_CLASSES TRACE_CLASSES_ALL_C
#endif

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

/* If an instruction at one of `from` faults, go on at `to`. */
.macro FIXUP to, from:vararg
    .pushsection .fixup_table, "a"
    .irp label, \from
    .quad \label, \to
    .endr
    .popsection
.endm

/*
 * A record of the trace ring, as trace/emit_ring.h makes it. RSP + off is cpu_info; entry_tsc is the start of the entry.
 * RECORD_BEGIN: space for `size` bytes at RCX, with head, start, duration and whose it is; `result` is the byte behind that. Where the
 * class is masked, or the ring full, on at `done`. RECORD_END: hand it to the reader. Both clobber RAX, RDX; the fields between may too.
 */
.macro ENTRY_STARTS off
    rdtsc
    mov %eax, CI_entry_tsc + \off(%rsp)
    mov %edx, CI_entry_tsc + 4 + \off(%rsp)
.endm
.macro RECORD_BEGIN class, event, size, result, off, done
    testl $\class, CI_trace_mask + \off(%rsp)
    jz \done
681:
    mov CI_trace_pos + \off(%rsp), %rcx
    lea \size(%rcx), %rax
    cmp CI_trace_limit + \off(%rsp), %rax
    ja 682f
    mov %rax, CI_trace_pos + \off(%rsp)
    add CI_trace_base + \off(%rsp), %rcx
    movl $\event | \size << 16, (%rcx)
    rdtsc
    mov CI_entry_tsc + \off(%rsp), %rdx
    mov %rdx, TR_time(%rcx)
    sub %edx, %eax
    mov %eax, TR_duration(%rcx)
    mov CI_current + \off(%rsp), %rdx
    mov V_trace_id(%rdx), %eax
    .if \result
    or $\result << 24, %eax
    .endif
    mov %eax, TR_domid(%rcx)
    .pushsection .text.entry.cold, "ax"
682:                                    /* the sub-buffer is used up; below cpu_info the stack is free */
    lea \off(%rsp), %rsp
    mov $\size, %eax
    call record_room
    lea -(\off)(%rsp), %rsp
    jnz 681b
    jmp \done
    .popsection
.endm
.macro RECORD_END off
    mov CI_trace_pos + \off(%rsp), %rax
    mov CI_trace_shared + \off(%rsp), %rdx
    mov %rax, RING_head(%rdx)
.endm
/* A hypercall's, RSP = cpu_info. Clobbers RAX, RCX, RDX. */
.macro HYPERCALL_RECORD result, a1, a2, a3, may_block=0
    .if (TRACE_CLASSES) & TRACE_CLASS_HYPERCALL_C
    RECORD_BEGIN TRACE_CLASS_HYPERCALL_C, TRACE_ID_hypercall_C, HYPERCALL_size, \result, 0, 683f
    .if \may_block
    cmpl $0, V_pause_flags(%rdx)
    setne TR_result(%rcx)               /* TRACE_HC_DESCHEDULED or TRACE_HC_DONE */
    .endif
    mov CI_entry_op(%rsp), %eax
    mov %ax, HYPERCALL_op(%rcx)
    mov \a1(%rsp), %rax
    mov %rax, HYPERCALL_a1(%rcx)
    mov \a2(%rsp), %rax
    mov %rax, HYPERCALL_a2(%rcx)
    mov \a3(%rsp), %rax
    mov %rax, HYPERCALL_a3(%rcx)
    mov R_rax(%rsp), %rax
    mov %rax, HYPERCALL_ret(%rcx)
    RECORD_END 0
683:
    .endif
.endm

    .section .text.entry, "ax"
    .code64

/* ---- SYSCALL: one stub per pcpu, then the common path with RSP = its cpu_info ---- */
.macro SYSCALL_STUBS name, to
    .align 32
    .globl \name
\name:
    .set cpu, 0
    .rept NR_PCPUS_MAX
    .align 32
    mov %rsp, pcpu_stacks + STACK_SIZE * (cpu + 1) - CPU_INFO_size + R_rsp(%rip)
    lea pcpu_stacks + STACK_SIZE * (cpu + 1) - CPU_INFO_size(%rip), %rsp
    jmp \to
    .set cpu, cpu + 1
    .endr
.endm

.macro SAVE_SYSCALL_FRAME              /* what C keeps, and what SYSCALL does not say */
    mov %rbx, R_rbx(%rsp)
    mov %rbp, R_rbp(%rsp)
    mov %r12, R_r12(%rsp)
    mov %r13, R_r13(%rsp)
    mov %r14, R_r14(%rsp)
    mov %r15, R_r15(%rsp)
    movl $VEC_SYSCALL_C, R_vector(%rsp)
    movq $SEL_CS64, R_cs(%rsp)
    movq $SEL_DS, R_ss(%rsp)
.endm

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
    SAVE_SYSCALL_FRAME
.endm

.macro SYSCALL_PATHS t, traced
    .align 64
syscall_common\t:
    mov %rax, R_rax(%rsp)
    mov %rdx, R_rdx(%rsp)
    .if \traced
    ENTRY_STARTS 0
    .endif
    mov CI_current(%rsp), %rdx
    cmpl $VF_FAST_USER_C, V_flags(%rdx)
    jne from_kernel\t

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
    .if \traced
    mov %rcx, R_rip(%rsp)
    .endif
3:  mov %rcx, -40(%rax)
4:  mov %rcx, -56(%rax)
5:  mov %r11, -24(%rax)
6:  mov %r11, -48(%rax)
    mov R_rsp(%rsp), %rcx
7:  mov %rcx, -16(%rax)
    CLAC
    orl $VF_KERNEL_C, V_flags(%rdx)
    incq CI_syscalls(%rsp)
    addq $TLB_TICK_C, CI_flush_clock(%rsp)
    .if \traced && (TRACE_CLASSES) & TRACE_CLASS_EXIT_C
    RECORD_BEGIN TRACE_CLASS_EXIT_C, TRACE_ID_trap_C, TRAP_size, TRACE_RES_BOUNCED_C, 0, 8f
    movw $TRACE_TRAP_SYSCALL_BOUNCE_C, TRAP_kind(%rcx)
    mov R_rax(%rsp), %eax
    mov %eax, TRAP_code(%rcx)
    movq $0, TRAP_addr(%rcx)
    mov R_rip(%rsp), %rax
    mov %rax, TRAP_rip(%rcx)
    RECORD_END 0
8:  mov CI_current(%rsp), %rdx
    mov V_kernel_sp(%rdx), %rax
    .endif
    mov V_syscall_rip(%rdx), %rcx
    mov R_rdx(%rsp), %rdx
    lea -56(%rax), %r11
    mov R_rax(%rsp), %rax
    mov %r11, %rsp
    mov $0x202, %r11d
    sysretq
    FIXUP bounce_fault, 1b, 2b, 3b, 4b, 5b, 6b, 7b

from_kernel\t:
    cmpl $VF_FAST_KERNEL_C, V_flags(%rdx)
    jne kernel_not_ready\t
    .if \traced
    mov R_rax(%rsp), %rax
    .endif
    cmp $23, %eax                       /* __HYPERVISOR_iret */
    jne hypercall\t

/* iret to guest user mode: rax r11 rcx flags rip cs rflags rsp ss on the guest kernel's stack become the frame of an IRETQ at the end of
 * cpu_info.regs. What the guest puts there cannot hurt: it is read once, then ring 3 is checked and harmless flags are forced; the rest
 * IRETQ checks, and its fault is the guest's (iret_fault). Frames for the guest kernel itself, with events off, or with one pending, go to do_iret(). */
    mov R_rsp(%rsp), %rcx
    cmpl $HV_END >> 32, R_rsp + 4(%rsp)
    jb syscall_general
    mov V_info(%rdx), %rax
    cmpb $0, INFO_pending(%rax)
    jne syscall_general
    STAC
    lea REGS_size(%rsp), %rsp
1:  pushq 64(%rcx)                      /* ss */
2:  pushq 56(%rcx)                      /* rsp */
3:  pushq 48(%rcx)                      /* rflags */
4:  pushq 40(%rcx)                      /* cs */
5:  pushq 32(%rcx)                      /* rip */
    mov 8(%rsp), %r11d
    not %r11d
    test $3, %r11b
    jnz iret_general\t
    testb $2, 17(%rsp)                  /* RFLAGS.IF */
    jz iret_general\t
    andq $GUEST_FLAGS_MASK | 0x202, 16(%rsp)
    movb $0, INFO_mask(%rax)            /* do_iret() sets it too, if it comes to that */
6:  mov 8(%rcx), %r11
7:  mov (%rcx), %rax
8:  mov 16(%rcx), %rcx
    CLAC
    xorl $VF_KERNEL_C, V_flags(%rdx)
    mov V_cr3_user(%rdx), %rdx
    mov %rdx, %cr3
    swapgs
    incq CI_hypercalls + 23 * 8 - R_rip(%rsp)
    addq $TLB_TICK_C, CI_flush_clock - R_rip(%rsp)
    .if \traced && (TRACE_CLASSES) & TRACE_CLASS_HYPERCALL_C
    mov %rax, R_rax - R_rip(%rsp)
    mov %rcx, R_rcx - R_rip(%rsp)
    RECORD_BEGIN TRACE_CLASS_HYPERCALL_C, TRACE_ID_hypercall_C, HYPERCALL_size, TRACE_HC_DONE_C, -R_rip, 10f
    movw $23, HYPERCALL_op(%rcx)
    mov %rdi, HYPERCALL_a1(%rcx)
    mov %rsi, HYPERCALL_a2(%rcx)
    mov R_rdx - R_rip(%rsp), %rax
    mov %rax, HYPERCALL_a3(%rcx)
    mov R_rax - R_rip(%rsp), %rax
    mov %rax, HYPERCALL_ret(%rcx)
    RECORD_END -R_rip
10: mov R_rax - R_rip(%rsp), %rax
    mov R_rcx - R_rip(%rsp), %rcx
    .endif
    mov R_rdx - R_rip(%rsp), %rdx
9:  iretq
    FIXUP iret_general\t, 1b, 2b, 3b, 4b, 5b, 6b, 7b, 8b
    FIXUP iret_fault, 9b

iret_general\t:                           /* back to RSP = cpu_info, the guest's stack pointer in its place */
    CLAC
    or $(STACK_SIZE - 1), %rsp
    sub $(CPU_INFO_size - 1), %rsp
    mov %rcx, R_rsp(%rsp)
    xor %ecx, %ecx
    mov $0x202, %r11d
    jmp syscall_general

/* A kernel that has no user page table now (a kernel thread runs, or the kernel starts) cannot take the short way to user mode; its other
 * hypercalls need none. */
kernel_not_ready\t:
    mov V_flags(%rdx), %edx
    and $VF_KERNEL_C | VF_SLOW_C, %edx
    cmp $VF_KERNEL_C, %edx
    jne syscall_general
    .if \traced
    mov R_rax(%rsp), %rax
    .endif
    cmp $23, %eax
    je syscall_general

/* Any other hypercall of a guest kernel. What its C function keeps, and what follows from the rest, is saved only where it is wanted
 * (SAVE_THE_REST): RBX, RBP, R12 to R15, CS, SS, and RCX and R11, which SYSCALL made RIP and RFLAGS. */
    .align 16
hypercall\t:
    mov %rcx, R_rip(%rsp)
    mov %r11, R_rflags(%rsp)
    mov %rdi, R_rdi(%rsp)
    mov %rsi, R_rsi(%rsp)
    mov %r8, R_r8(%rsp)
    mov %r9, R_r9(%rsp)
    mov %r10, R_r10(%rsp)
    movl $VEC_HYPERCALL_C, R_vector(%rsp)
    mov R_rdx(%rsp), %rdx
    cmp $64, %rax
    jae hypercall_unknown\t
    incq CI_hypercalls(%rsp, %rax, 8)
    .if \traced
    mov %eax, CI_entry_op(%rsp)
    .endif
    lea hypercall_entry(%rip), %rcx
    mov (%rcx, %rax, 8), %rax
    mov %r10, %rcx
    call *%rax
hypercall_done\t:
    .if \traced
    mov %rax, R_rax(%rsp)
    cmpl $0, CI_work(%rsp)
    jne hypercall_left
    cmpl $0, CI_entry_op(%rsp)
    jl hypercall_left
    HYPERCALL_RECORD TRACE_HC_DONE_C, R_rdi, R_rsi, R_rdx
    mov R_rax(%rsp), %rax
    .else
    cmpl $0, CI_work(%rsp)
    jne hypercall_work
    .endif
    mov CI_current(%rsp), %rdx
    mov V_info(%rdx), %rdx
    cmpw $1, (%rdx)                     /* an event is pending and not masked */
    je hypercall_work
    mov R_rip(%rsp), %rcx
    test %rcx, %rcx
    jns hypercall_iretq                 /* SYSRET only to where no instruction can have left a non-canonical RIP */
    mov R_rdx(%rsp), %rdx
    mov R_rdi(%rsp), %rdi
    mov R_rsi(%rsp), %rsi
    mov R_r8(%rsp), %r8
    mov R_r9(%rsp), %r9
    mov R_r10(%rsp), %r10
    mov R_rflags(%rsp), %r11
    mov R_rsp(%rsp), %rsp
    sysretq

hypercall_unknown\t:
    .if \traced
    movzwl %ax, %eax
    mov %eax, CI_entry_op(%rsp)
    .endif
    mov %rsp, %rdi
    call pv_hypercall_unknown
    jmp hypercall_done\t

.endm

SYSCALL_STUBS syscall_stubs, syscall_common
SYSCALL_PATHS "", 0

bounce_fault:                           /* no room for the frame on the guest kernel's stack */
    CLAC
    mov $TRACE_TRAP_SYSCALL_BOUNCE_C, %esi
bounce_failed:
    orl $VF_KERNEL_C, V_flags(%rdx)
    mov %rsp, %rdi
    call pv_bounce_failed
    jmp exit_work

.macro SAVE_THE_REST                    /* R_rax has the result */
    mov R_rip(%rsp), %rcx
    mov %rcx, R_rcx(%rsp)
    mov R_rflags(%rsp), %rcx
    mov %rcx, R_r11(%rsp)
    SAVE_SYSCALL_FRAME
.endm
hypercall_work:
    mov %rax, R_rax(%rsp)
    SAVE_THE_REST
    jmp exit_work
hypercall_iretq:
    mov %rax, R_rax(%rsp)
    SAVE_THE_REST
    jmp restore_all

/* ---- SYSCALL, general form: C does it ---- */
syscall_general:                        /* RAX, RDX saved; RCX, R11 as SYSCALL left them */
    SAVE_SYSCALL_REGS
    RSB_SITE
    mov %rsp, %rdi
    call pv_syscall_general
    jmp exit_check

/* SYSCALL from 32-bit code (AMD only) */
SYSCALL_STUBS syscall32_stubs, syscall32_common
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
.macro PAGE_FAULT_PATH t, traced
    .align 64
page_fault\t:
    testb $3, OFF(R_cs)
    jz page_fault_hypervisor
    mov %rax, OFF(R_rax)
    mov %rdx, OFF(R_rdx)
    mov %rcx, OFF(R_rcx)
    .if \traced
    ENTRY_STARTS -R_error_code
    .endif
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
    incq OFF(CI_page_faults)
    addq $TLB_TICK_C, OFF(CI_flush_clock)
    .if \traced && (TRACE_CLASSES) & TRACE_CLASS_EXIT_C
    RECORD_BEGIN TRACE_CLASS_EXIT_C, TRACE_ID_trap_C, TRAP_size, TRACE_RES_BOUNCED_C, -R_error_code, 9f
    movw $TRACE_TRAP_PAGE_FAULT_BOUNCE_C, TRAP_kind(%rcx)
    mov OFF(R_error_code), %eax
    mov %eax, TRAP_code(%rcx)
    mov %cr2, %rax
    mov %rax, TRAP_addr(%rcx)
    mov OFF(R_rip), %rax
    mov %rax, TRAP_rip(%rcx)
    RECORD_END -R_error_code
9:  mov OFF(CI_current), %rdx
    mov V_kernel_sp(%rdx), %rax
    .endif
    mov V_pf_rip(%rdx), %rcx
    mov OFF(R_rdx), %rdx
    lea -64(%rax), %r11
    mov OFF(R_rax), %rax
    mov %r11, %rsp
    mov $0x202, %r11d
    sysretq
    FIXUP page_fault_no_room, 1b, 2b, 3b, 4b, 5b, 6b, 7b, 8b
.endm

PAGE_FAULT_PATH "", 0

page_fault_no_room:
    CLAC
    sub $R_error_code, %rsp
    mov $TRACE_TRAP_PAGE_FAULT_BOUNCE_C, %esi
    jmp bounce_failed
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
guest_iretq:
    iretq
    FIXUP iret_fault, guest_iretq
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
    call iret_frame_fault
    jmp exit_check

/* ---- the traced twins ---- */
    .globl page_fault_traced
#if (TRACE_CLASSES) & (TRACE_CLASS_HYPERCALL_C | TRACE_CLASS_EXIT_C)
SYSCALL_STUBS syscall_stubs_traced, syscall_common_traced
SYSCALL_PATHS _traced, 1
PAGE_FAULT_PATH _traced, 1

hypercall_left:                         /* there is work, or it has to be issued again, or it ended its domain */
    cmpl $0, CI_entry_op(%rsp)
    jl 1f
    HYPERCALL_RECORD TRACE_HC_DONE_C, R_rdi, R_rsi, R_rdx, 1
    SAVE_THE_REST
    jmp exit_work
1:  testl $ENTRY_OP_CRASHED_C, CI_entry_op(%rsp)
    jnz 2f
    HYPERCALL_RECORD TRACE_HC_CONTINUED_C, CI_entry_args, 8+CI_entry_args, 16+CI_entry_args
    SAVE_THE_REST
    jmp exit_work
2:  HYPERCALL_RECORD TRACE_HC_CRASHED_C, R_rdi, R_rsi, R_rdx
    SAVE_THE_REST
    jmp exit_work

/* EAX: size of a record that does not fit; RSP is below cpu_info. Not zero: now it does. Keeps all registers but RAX. */
record_room:
    push %rdi
    push %rsi
    push %r8
    push %r9
    push %r10
    push %r11
    push %rdx
    push %rcx
    cld
    lea CI_trace + 9 * 8(%rsp), %rdi
    mov %eax, %esi
    call trace_ring_room
    pop %rcx
    pop %rdx
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rsi
    pop %rdi
    test %eax, %eax
    ret
#else
    .globl syscall_stubs_traced
    .set syscall_stubs_traced, syscall_stubs
    .set page_fault_traced, page_fault
#endif

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
    .pushsection .rodata.vectors, "a"
    .quad page_fault
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
    FIXUP 2b, 1b, 4b, 5b

    .globl guest_zero
guest_zero:                             /* size_t guest_zero(void *dst, size_t n) */
    mov %rsi, %rcx
    xor %eax, %eax
    STAC
1:  rep stosb
2:  CLAC
    mov %rcx, %rax
    ret
    FIXUP 2b, 1b

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
    FIXUP 2b, 1b
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
    FIXUP 2b, 1b

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
    FIXUP 2b, 1b
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
    FIXUP 2b, 1b

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


/* SPDX-License-Identifier: MIT */
/*
 * A guest whose instructions are known by number: the cases that check.c expects, in this order.
 *
 * Boots by multiboot 1, goes to 64-bit mode and runs each case between marks, all in ring 0 but for
 * guests of SVM: the plugin classifies by address, so the same memory is mapped at 0 ("user"), at
 * KERNEL and at HV, and handlers are entered through aliases. The code of SVM's guests is classified
 * by their privilege level; their hypervisor is `world`, at HV. They have its page tables, and nested
 * ones of the same addresses, without the 2 MiB at NESTED_HOLE until a nested fault. Before and after each case it reads the TSC, which -icount
 * makes a count of instructions, and prints the difference as "tsc <hex>". Powers off through QEMU's
 * PIIX4 power management.
 */
#include "../../bench/mark.h"

#define KERNEL 0xffffffff80000000
#define HV     0xffff800000000000
#define HV_AGAIN 0xffff808000000000
#define HOLE   0x1000000 /* pages that are absent until they are touched */
#define APIC   0xfee00000
#define NESTED_HOLE 0x1e00000

/* A VMCB (AMD APM vol. 2, appendix B). */
#define V_INTERCEPT1 0x0c
#define V_INTERCEPT2 0x10
#define V_ASID       0x58
#define V_INTR       0x60
#define V_NESTED     0x90
#define V_EVENT      0xa8
#define V_NESTED_CR3 0xb0
#define V_CS         0x410
#define V_SS         0x420
#define V_GDTR       0x460
#define V_IDTR       0x480
#define V_CPL        0x4cb
#define V_EFER       0x4d0
#define V_CR4        0x548
#define V_CR3        0x550
#define V_CR0        0x558
#define V_RFLAGS     0x570
#define V_RIP        0x578
#define V_RSP        0x5d8
#define EFER_SVME    0x1000
#define MSR_EFER     0xc0000080
#define MSR_HSAVE    0xc0010117

    .section .multiboot, "a"
    .align 4
    .long 0x1badb002, 0x00010000, -(0x1badb002 + 0x00010000)
    .long multiboot, image_start, image_data_end, image_end, start
multiboot = image_start

    .macro mark kind
    .byte 0x0f, 0x1f, 0x84, 0x00
    .short \kind, MARK_MAGIC
    .endm

    .macro begin
    rdtsc
    shl $32, %rdx
    lea (%rax, %rdx), %r15
    mark MARK_KIND_BEGIN
    .endm

    .macro end
    mark MARK_KIND_END
    rdtsc
    shl $32, %rdx
    add %rdx, %rax
    sub %r15, %rax
    call print_tsc
    .endm

    /* Gate of a vector; type 0x8e is an interrupt gate that is present. */
    .macro gate vector, target, type = 0x8e
    mov $\vector, %edi
    movabs $\target, %rax
    mov $\type, %edx
    call set_gate
    .endm

    /* Make ready a guest of SVM: where it begins, its privilege level, what is skipped at its exits but the last. */
    .macro guest entry, cpl, skip = 0, event = 0
    movabs $\entry, %rax
    mov %rax, vmcb + V_RIP
    movb $\cpl, vmcb + V_CPL
    movw $8 + \cpl, vmcb + V_CS
    movw $0x29b + \cpl * 0x20, vmcb + V_CS + 2
    movw $0x093 + \cpl * 0x20, vmcb + V_SS + 2
    movq $guest_stack_end, vmcb + V_RSP
    movq $2, vmcb + V_RFLAGS
    movq $\skip, skip
    movl $\event, vmcb + V_EVENT
    movl $0, npt_pd + (NESTED_HOLE >> 21) * 8
    .endm

    /* Run it until it has exited so often: 4 instructions of "user", 9 of the hypervisor an exit and 1. */
    .macro run exits
    mov $vmcb, %eax
    mov $\exits, %r14d
    movabs $HV + world, %rdx
    call *%rdx
    .endm

    .text
    .code32
    .globl start
start:
    mov $stack_end, %esp
    movl $pdpt + 7, pml4
    movl $pdpt + 7, pml4 + 256 * 8
    movl $pdpt + 7, pml4 + 257 * 8
    movl $pdpt + 7, pml4 + 511 * 8
    movl $pd + 7, pdpt
    movl $pd + 7, pdpt + 510 * 8
    movl $pd_apic + 3, pdpt + 3 * 8
    movl $APIC + 0x93, pd_apic + ((APIC >> 21) & 511) * 8
    xor %ecx, %ecx
1:  mov %ecx, %eax
    shl $21, %eax
    or $0x87, %eax
    mov %eax, pd(, %ecx, 8)
    mov %eax, npt_pd(, %ecx, 8)
    inc %ecx
    cmp $16, %ecx
    jb 1b
    movl $pt + 7, pd + (HOLE >> 21) * 8
    movl $npt_pdpt + 7, npt_pml4
    movl $npt_pd + 7, npt_pdpt

    mov $0x20, %eax
    mov %eax, %cr4
    mov $pml4, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax
    wrmsr
    mov %cr0, %eax
    or $0x80010000, %eax
    mov %eax, %cr0
    lgdt gdt_pointer
    ljmp $8, $start64

    .code64
start64:
    xor %eax, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $0xff, %al
    out %al, $0x21
    out %al, $0xa1
    gate 0, KERNEL + on_divide
    gate 6, HV + on_undefined
    gate 11, KERNEL + on_absent_gate
    gate 14, KERNEL + on_page_fault
    gate 0x40, HV + on_interrupt
    gate 0x80, KERNEL + on_int80
    gate 0x90, 0, 0x0e
    lidt idt_pointer
    mov $APIC, %ebx
    movl $0x1ff, 0xf0(%rbx)
    sti
    mark MARK_KIND_DOM /* changes nothing */
    mark MARK_KIND_INIT

    /* empty */
    begin
    end

    /* straight */
    begin
    .rept 100
    nop
    .endr
    end

    /* loop */
    begin
    mov $1000, %ecx
1:  dec %ecx
    jnz 1b
    end

    /* rep */
    begin
    mov $target, %edi
    mov $source, %esi
    mov $1000, %ecx
    rep movsb
    xor %eax, %eax
    mov $target, %edi
    mov $512, %ecx
    rep stosq
    xor %ecx, %ecx
    rep stosb
    mov $source, %esi
    mov $target, %edi
    mov $64, %ecx
    repe cmpsb
    mov $target, %edi
    mov $32, %ecx
    repe scasw
    end

    /* fault: in the middle of a block */
    begin
    mov $HOLE, %esi
    nop
    mov (%rsi), %eax
    nop
    mov %eax, 4096(%rsi)
    nop
    end

    /* rep_fault: three pages appear under one REP */
    begin
    mov $HOLE + 0x2800, %edi
    mov $source, %esi
    mov $8192, %ecx
    rep movsb
    end

    /* not_retired: UD2, and INT through an absent gate */
    begin
    nop
    ud2
    nop
    int $0x90
    nop
    end

    /* int80 */
    begin
    nop
    int $0x80
    nop
    end

    /* device: an access in the middle of a block that raises an interrupt */
    begin
    mov $APIC + 0x300, %eax
    nop
    movl $0x40040, (%rax)
    .rept 5
    nop
    .endr
    jmp 1f
1:  nop
    end

    /* rep_interrupt: a periodic timer under one long REP */
    movl $0xb, 0x3e0(%rbx)
    movl $0x20040, 0x320(%rbx)
    begin
    movl $3001, 0x380(%rbx)
    xor %eax, %eax
    mov $target, %edi
    mov $60000, %ecx
    rep stosb
    movl $0, 0x380(%rbx)
    nop
    end

    /* hypervisor and kernel code by address */
    begin
    movabs $HV + leaf, %rax
    call *%rax
    end
    begin
    movabs $KERNEL + leaf2, %rax
    call *%rax
    end

    /* divide: a fault without memory access */
    xor %ecx, %ecx
    begin
    nop
    div %ecx
    nop
    end

    /* last_fault: the last instruction of a block faults */
    movl $HOLE + 0x6003, pt + 6 * 8
    movq $1f, HOLE + 0x6000
    movl $0, pt + 6 * 8
    invlpg HOLE + 0x6000
    begin
    nop
    jmp *HOLE + 0x6000
1:  nop
    end

    /* alias, alias_again: a fault in code that runs at two addresses; QEMU translates it once */
    begin
    mov $HOLE + 0x7000, %esi
    movabs $HV + touch, %rax
    call *%rax
    end
    begin
    mov $HOLE + 0x8000, %esi
    movabs $HV_AGAIN + touch, %rax
    call *%rax
    end

    /* events */
    begin
    mov %cr3, %rax
    mov %rax, %cr3
    xor %eax, %eax
    cpuid
    invlpg (%rsi)
    clts
    mov $0xc0000101, %ecx
    rdmsr
    wrmsr
    swapgs
    swapgs
    rdtsc
    in $0x61, %al
    end
    mov $APIC, %ebx

    /* What is the same for all guests. */
    mov $MSR_EFER, %ecx
    rdmsr
    or $EFER_SVME, %eax
    wrmsr
    mov %eax, vmcb + V_EFER
    mov $MSR_HSAVE, %ecx
    mov $hsave, %eax
    xor %edx, %edx
    wrmsr
    movl $1 << 18 | 1, vmcb + V_INTERCEPT1 /* CPUID, INTR */
    movl $3, vmcb + V_INTERCEPT2           /* VMRUN, VMMCALL */
    movl $1, vmcb + V_ASID
    movl $1 << 24, vmcb + V_INTR           /* the machine's interrupts follow the hypervisor's flag */
    movl $1, vmcb + V_NESTED
    movl $npt_pml4, vmcb + V_NESTED_CR3
    movl $gdt_end - gdt - 1, vmcb + V_GDTR + 4
    movq $gdt, vmcb + V_GDTR + 8
    movl $256 * 16 - 1, vmcb + V_IDTR + 4
    movq $idt, vmcb + V_IDTR + 8
    mov %cr0, %rax
    mov %rax, vmcb + V_CR0
    mov %cr3, %rax
    mov %rax, vmcb + V_CR3
    mov %cr4, %rax
    mov %rax, vmcb + V_CR4
    movq $vm_landing, NESTED_HOLE

    /* svm_kernel, svm_user, svm_alias: the level counts, not the address */
    guest vm_cpuid, 0, 2
    begin
    run 2
    end
    guest KERNEL + vm_cpuid, 3, 2
    begin
    run 2
    end
    guest HV + vm_cpuid, 0, 2
    begin
    run 2
    end

    /* svm_nested_fault: in the middle of a block, by its last instruction, under REP */
    guest vm_touch, 0
    begin
    run 2
    end
    guest vm_jump, 0
    begin
    run 2
    end
    guest vm_copy, 3
    begin
    run 2
    end

    /* svm_inject: an event that enters with the guest */
    guest vm_end, 0, 0, 0x80000080
    begin
    run 1
    end

    /* svm_fault: the guest's own page fault, its frame behind two walks */
    guest vm_fault, 0
    begin
    run 1
    end

    /* svm_interrupt: the machine's timer ends a guest's loop */
    guest vm_loop, 3
    movl $0xb, 0x3e0(%rbx)
    movl $0x40, 0x320(%rbx)
    begin
    movl $2000, 0x380(%rbx)
    run 2
    end

    cli
    mov $0x604, %dx
    mov $0x2000, %ax
    out %ax, %dx
1:  hlt
    jmp 1b

leaf:
    nop
    nop
    ret

leaf2:
    nop
    nop
    ret
touch:
    nop
    mov (%rsi), %eax
    nop
    ret

on_divide:
    addq $2, (%rsp)
    iretq

on_undefined:
    addq $2, (%rsp)
    iretq

on_absent_gate:
    add $8, %rsp
    addq $2, (%rsp)
    iretq

on_page_fault:
    push %rax
    push %rbx
    mov %cr2, %rax
    mov %rax, %rbx
    shr $12, %ebx
    and $511, %ebx
    and $-4096, %rax
    or $3, %rax
    mov %rax, pt(, %rbx, 8)
    pop %rbx
    pop %rax
    add $8, %rsp
    iretq

on_interrupt:
    push %rax
    mov $APIC + 0xb0, %eax
    movl $0, (%rax)
    pop %rax
    iretq

on_int80:
    iretq

/* eax: the VMCB; r14d: exits to come */
world:
    clgi
    vmrun %rax
    dec %r14d
    mov skip, %rdx
    add %rdx, V_RIP(%rax)
    movl $NESTED_HOLE + 0x87, npt_pd + (NESTED_HOLE >> 21) * 8
    stgi
    test %r14d, %r14d
    jnz world
    ret

vm_cpuid:
    nop
    nop
    cpuid
vm_end:
    nop
    vmmcall

vm_touch:
    nop
    mov NESTED_HOLE, %r8
    nop
    vmmcall

vm_jump:
    nop
    jmp *NESTED_HOLE
vm_landing:
    nop
    vmmcall

vm_copy:
    mov $NESTED_HOLE - 3000, %edi
    mov $source, %esi
    mov $4000, %ecx
    rep movsb
    vmmcall

vm_fault:
    nop
    mov HOLE + 0x9000, %r8
    nop
    vmmcall

vm_loop:
    mov $5000, %r8d
1:  dec %r8d
    jnz 1b
    vmmcall

/* edi: vector, rax: target, dl: type */
set_gate:
    shl $4, %edi
    add $idt, %edi
    mov %ax, (%rdi)
    movw $8, 2(%rdi)
    movb $0, 4(%rdi)
    mov %dl, 5(%rdi)
    shr $16, %rax
    mov %ax, 6(%rdi)
    shr $16, %rax
    mov %eax, 8(%rdi)
    ret

/* rax: the number */
print_tsc:
    push %rax
    mov $0x3f8, %edx
    mov $prefix, %esi
    mov $4, %ecx
    rep outsb
    pop %rsi
    mov $16, %ecx
1:  rol $4, %rsi
    mov %esi, %eax
    and $15, %eax
    mov digits(%rax), %al
    out %al, %dx
    dec %ecx
    jnz 1b
    mov $10, %al
    out %al, %dx
    ret

    .section .rodata
prefix: .ascii "tsc "
digits: .ascii "0123456789abcdef"
    .align 8
gdt:
    .quad 0, 0x00209a0000000000
gdt_end:
gdt_pointer:
    .short gdt_end - gdt - 1
    .long gdt
idt_pointer:
    .short 256 * 16 - 1
    .quad idt

    .bss
    .align 4096
pml4: .skip 4096
pdpt: .skip 4096
pd: .skip 4096
pd_apic: .skip 4096
pt: .skip 4096
idt: .skip 4096
stack: .skip 4096
stack_end:
npt_pml4: .skip 4096
npt_pdpt: .skip 4096
npt_pd: .skip 4096
vmcb: .skip 4096
hsave: .skip 4096
guest_stack: .skip 4096
guest_stack_end:
skip: .skip 8
source: .skip 65536
target: .skip 65536

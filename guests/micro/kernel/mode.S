/* SPDX-License-Identifier: MIT */
/*
 * Code for the processor's other modes, copied below 1 MiB (MODE_PADDR, mapped one to one) and called there from 64-bit code:
 * 32-bit code of long mode, which makes one hypercall; 32-bit protected mode without paging and real mode; and 32-bit protected mode
 * with whatever paging C has made tables for. They leave what they saw in the data page behind the code. Interrupts are off throughout. Selectors are those of trap.c's table, whose
 * place long mode alone can reach: this code brings one of its own. hvm_mode.c has the C side, with the data page's layout.
 */
    .set MODE_PADDR, 0x60000
    .set DATA, 0x61000
    .macro at reg, sym
    mov $(\sym - mode_code + MODE_PADDR), \reg
    .endm

    .section .rodata
    .balign 16
    .globl mode_code, mode_code_end, mode_call32, mode_tour, mode_paging
mode_code:
mode_gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0, 0, 0, 0
    .quad 0x00cf9b000000ffff    /* 0x38: 32-bit code */
    .quad 0x00009b060000ffff    /* 0x40: 16-bit code from MODE_PADDR on */
    .quad 0x000093000000ffff    /* 0x48: 16-bit data from 0 on */
mode_gdtr:
    .short . - mode_gdt - 1
    .quad mode_gdt - mode_code + MODE_PADDR
mode_real_idtr:
    .short 0x3ff
    .long 0, 0

    .macro LEAVE64
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, DATA + 0x80
    sgdt DATA + 0x90
    sidt DATA + 0xa0
    mov %cr0, %rax
    mov %rax, DATA + 0xb0
    lgdt mode_gdtr - mode_code + MODE_PADDR
    .endm

    .macro BACK64
    lgdt DATA + 0x90
    lidt DATA + 0xa0
    mov DATA + 0x80, %rsp
    mov $0x10, %eax
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %ds
    mov %eax, %es
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
    .endm

    .macro ENTER32              /* 32-bit code of long mode, on a stack of its own */
    pushq $0x38
    pushq $(1f - mode_code + MODE_PADDR)
    lretq
    .code32
1:  mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $(DATA + 0x800), %esp
    .endm

    .macro HYPERCALL32          /* AMD's instruction where DATA + 0x18 says so */
    cmpl $0, DATA + 0x18
    je 2f
    vmmcall
    jmp 3f
2:  vmcall
3:
    .endm

/* void mode_call32(void): eax, ebx, ecx, edx, esi, edi from DATA + 0; eax and ebx to DATA + 0x40. AMD's instruction where DATA + 0x18. */
    .code64
mode_call32:
    LEAVE64
    ENTER32
    mov DATA + 0x0, %eax
    mov DATA + 0x4, %ebx
    mov DATA + 0x8, %ecx
    mov DATA + 0xc, %edx
    mov DATA + 0x10, %esi
    mov DATA + 0x14, %edi
    HYPERCALL32
    mov %eax, DATA + 0x40
    mov %ebx, DATA + 0x44
    mov %esp, DATA + 0x48
    ljmp $8, $(4f - mode_code + MODE_PADDR)
    .code64
4:  BACK64

/* void mode_tour(void): 32-bit without paging, 16-bit protected, real, and back. */
mode_tour:
    LEAVE64
    ENTER32
    mov %cr0, %eax
    and $0x7fffffff, %eax
    mov %eax, %cr0              /* no paging: 32-bit protected mode */
    mov $0xc0000080, %ecx
    rdmsr
    mov %eax, DATA + 0x44       /* LMA is gone */
    and $~0x100, %eax
    wrmsr
    xor %eax, %eax
    cpuid
    mov %ebx, DATA + 0x48
    xor %eax, %eax
    dec %eax
    mov $0x1f38, %dx
    in %dx, %ax
    mov %eax, DATA + 0x4c
    mov $0x11111111, %eax
    push %eax
    pop DATA + 0x50
    mov $17, %eax               /* a hypercall from here: xen_version, XENVER_version */
    xor %ebx, %ebx
    xor %ecx, %ecx
    HYPERCALL32
    mov %eax, DATA + 0x54
    ljmp $0x40, $(4f - mode_code)
    .code16
4:  mov $0x48, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    mov %cr0, %eax
    and $0xfe, %al
    mov %eax, %cr0
    ljmp $(MODE_PADDR >> 4), $(5f - mode_code)
5:  mov $(DATA >> 4), %ax       /* real mode */
    mov %ax, %ds
    mov %ax, %ss
    mov $0x800, %sp
    xor %ax, %ax
    mov %ax, %es
    lidtl %cs:(mode_real_idtr - mode_code)
    movw $(6f - mode_code), %es:(0x60 * 4)
    movw $(MODE_PADDR >> 4), %es:(0x60 * 4 + 2)
    movw $0, 0x58
    int $0x60
    jmp 7f
6:  incw 0x58                   /* the handler */
    iretw
7:  movl $0xffffffff, %eax
    mov $0x1f38, %dx
    in %dx, %al
    mov %eax, 0x5c
    xor %eax, %eax
    cpuid
    mov %ebx, 0x60
    rdtsc
    mov %eax, 0x64
    mov $0x1f38, %dx
    movl $0x12340003, %ecx      /* addresses of 16 bits: the upper half is no count */
    movw $0x700, %di
    push %ds
    pop %es
    cld
    rep insb                    /* three bytes from nobody */
    mov %di, 0x68
    mov 0x700, %eax
    mov %eax, 0x6c
    smsw %ax
    mov %ax, 0x70
    lgdtl %cs:(mode_gdtr - mode_code)
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    ljmpl $0x38, $(8f - mode_code + MODE_PADDR)
    .code32
8:  mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax
    wrmsr
    mov DATA + 0xb0, %eax
    mov %eax, %cr0              /* paging, and with it long mode */
    ljmp $8, $(9f - mode_code + MODE_PADDR)
    .code64
9:  BACK64

/*
 * void mode_paging(void): 32-bit protected mode with paging by CR3 and CR4 from DATA + 0x100; addresses of memory, of the hypercall
 * page and of no memory at DATA + 0x108. What it saw goes to DATA + 0xd0.
 */
    .code64
mode_paging:
    LEAVE64
    mov %cr3, %rax
    mov %rax, DATA + 0xb8
    mov %cr4, %rax
    mov %rax, DATA + 0xc0
    ENTER32
    mov %cr0, %eax
    and $0x7fffffff, %eax
    mov %eax, %cr0
    mov $0xc0000080, %ecx
    rdmsr
    and $~0x100, %eax
    wrmsr
    mov DATA + 0x104, %eax
    mov %eax, %cr4
    mov DATA + 0x100, %eax
    mov %eax, %cr3
    mov %cr0, %eax
    or $0x80000000, %eax
    mov %eax, %cr0
    xor %eax, %eax
    cpuid
    mov %ebx, DATA + 0xd0
    mov $17, %eax               /* xen_version: XENVER_extraversion to the mapped address, */
    mov $1, %ebx
    mov DATA + 0x108, %ecx
    HYPERCALL32
    mov %eax, DATA + 0xd4
    mov $17, %eax               /* and to one that is not mapped */
    mov $1, %ebx
    mov $0xa0000000, %ecx
    HYPERCALL32
    mov %eax, DATA + 0xd8
    xor %ebx, %ebx              /* XENVER_version by the hypercall page */
    xor %ecx, %ecx
    mov DATA + 0x10c, %eax
    add $(17 * 32), %eax
    call *%eax
    mov %eax, DATA + 0xdc
    mov DATA + 0x110, %eax
    mov 4(%eax), %eax           /* nobody's memory */
    mov %eax, DATA + 0xe0
    mov DATA + 0x108, %edi      /* nobody's port, to mapped memory */
    add $64, %edi
    mov $0x1f38, %dx
    mov $3, %ecx
    cld
    rep insb
    sub DATA + 0x108, %edi
    mov %edi, DATA + 0xe4
    mov %cr0, %eax
    and $0x7fffffff, %eax
    mov %eax, %cr0
    mov DATA + 0xc0, %eax
    mov %eax, %cr4
    mov DATA + 0xb8, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax
    wrmsr
    mov DATA + 0xb0, %eax
    mov %eax, %cr0
    ljmp $8, $(4f - mode_code + MODE_PADDR)
    .code64
4:  BACK64
mode_code_end:

/* SPDX-License-Identifier: MIT */
/*
 * From the boot loader to C: multiboot 1, multiboot 2 and PVH entry points (all 32-bit protected mode, paging off),
 * the first page tables, long mode. Ends in setup_start(kind, info address) on pcpu 0's stack. Other processors start by
 * the trampoline, and end in ap_start() on their own (smp.c).
 *
 * Sources: Multiboot Specification 0.6.96 §3, Multiboot2 §3, xen/arch-x86/hvm/start_info.h, SDM vol. 3 §9.8.5.
 */
#include "asm_offsets.h"
#include "layout.h"

#define PA(x) ((x) - IMAGE_VIRT + IMAGE_PADDR)

/* Fill `count` entries of a page table: `first`, and each the `step` more. */
.macro FILL table, first, step, count
    mov $PA(\table), %edi
    mov $\first, %eax
    mov $\count, %ecx
1:  mov %eax, (%edi)
    add $8, %edi
    add $\step, %eax
    loop 1b
.endm

#define MB1_MAGIC  0x1badb002
#define MB1_FLAGS  0x00010003 /* page-aligned modules, memory map, address fields valid */
#define MB2_MAGIC  0xe85250d6

    .section .multiboot, "ax"
    .align 8
multiboot1_header:
    .long MB1_MAGIC
    .long MB1_FLAGS
    .long -(MB1_MAGIC + MB1_FLAGS)
    .long PA(multiboot1_header)
    .long IMAGE_PADDR
    .long __load_end_paddr
    .long __image_end_paddr
    .long PA(start32)

    .align 8
multiboot2_header:
    .long MB2_MAGIC
    .long 0
    .long multiboot2_end - multiboot2_header
    .long -(MB2_MAGIC + 0 + (multiboot2_end - multiboot2_header))
    /* address tag: load by addresses, as multiboot 1 */
    .short 2, 0
    .long 24
    .long PA(multiboot2_header), IMAGE_PADDR, __load_end_paddr, __image_end_paddr
    /* entry address tag */
    .short 3, 0
    .long 12
    .long PA(start32)
    .align 8
    /* module alignment tag */
    .short 6, 0
    .long 8
    /* end */
    .short 0, 0
    .long 8
multiboot2_end:

    .section .note.Xen, "a"
    .align 4
    .long 4, 4, 18              /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long PA(start_pvh)
    .align 4

    .section .text.entry, "ax"
    .code32
    .globl start32
start_pvh:
    cld
    cli
    mov $0x336ec578, %eax       /* hvm_start_info's magic says what EBX points to */
start32:
    cld
    cli
    mov %eax, %ebp              /* keep: magic of the loader, address of its information */
    mov %ebx, %esi
    lgdt PA(boot_gdtr)
    ljmp $8, $PA(1f)
1:  mov $16, %ecx
    mov %ecx, %ds
    mov %ecx, %es
    mov %ecx, %ss
    mov $PA(boot_stack_end), %esp

    /* clear .bss (the stack in it too), for a loader that does not */
    mov $PA(__load_end), %edi
    mov $PA(__image_end), %ecx
    sub %edi, %ecx
    shr $2, %ecx
    xor %eax, %eax
    rep stosl

    mov $0x80000000, %eax
    cpuid
    cmp $0x80000001, %eax
    jb no_long_mode
    mov $0x80000001, %eax
    cpuid
    bt $29, %edx
    jnc no_long_mode

    /* L4: slot 0 identity, slot 261 image, slot 262 all memory */
    mov $PA(boot_l3) + 3, %eax
    mov %eax, PA(boot_l4)
    mov %eax, PA(boot_l4) + 262 * 8
    mov $PA(boot_l3_image) + 3, %eax
    mov %eax, PA(boot_l4) + 261 * 8
    /* the first 4 GiB, 2 MiB pages */
    FILL boot_l3, PA(boot_l2) + 3, 4096, 4
    FILL boot_l2, 0x83, 0x200000, 2048
    /* the image, 4 KiB pages */
    mov $PA(boot_l2_image) + 3, %eax
    mov %eax, PA(boot_l3_image) + ((IMAGE_VIRT >> 30) & 511) * 8
    FILL boot_l2_image, PA(boot_l1_image) + 3, 4096, 4
    FILL boot_l1_image, IMAGE_PADDR + 3, 4096, 2048

    mov $0x20, %eax             /* PAE */
    mov %eax, %cr4
    mov $PA(boot_l4), %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax             /* LME */
    wrmsr
    mov $0x80010033, %eax       /* PG WP NE ET MP PE */
    mov %eax, %cr0
    ljmp $24, $PA(start64_low)

no_long_mode:
    mov $PA(no_long_mode_text), %esi
1:  lodsb
    test %al, %al
    jz 2f
    mov $0x3f8, %dx
    outb %al, %dx
    jmp 1b
2:  hlt
    jmp 2b

    .code64
start64_low:
    movabs $start64, %rax
    jmp *%rax
start64:
    xor %eax, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    lea pcpu_stacks + STACK_SIZE - CPU_INFO_size(%rip), %rsp
    mov %ebp, %edi
    mov %esi, %esi
    xor %ebp, %ebp
    call setup_start
    ud2
ap_start64:
    xor %eax, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    mov ap_stack(%rip), %rsp
    xor %ebp, %ebp
    call ap_start
    ud2

/* Where another processor starts, copied to TRAMPOLINE: real mode, CS its segment, IP 0. */
    .section .rodata
    .code16
    .globl trampoline, trampoline_end
trampoline:
    cli
    cld
    mov %cs, %ax
    mov %ax, %ds
    lgdtl boot_gdtr_real - trampoline
    mov $0x11, %eax             /* ET PE */
    mov %eax, %cr0
    ljmpl $8, $(TRAMPOLINE + 1f - trampoline)
    .code32
1:  mov $16, %ecx
    mov %ecx, %ds
    mov %ecx, %es
    mov %ecx, %ss
    mov $0x20, %eax             /* PAE */
    mov %eax, %cr4
    mov $PA(ap_l4), %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    rdmsr
    or $0x900, %eax             /* NXE LME */
    wrmsr
    mov $0x80010033, %eax       /* PG WP NE ET MP PE */
    mov %eax, %cr0
    ljmp $24, $(TRAMPOLINE + 2f - trampoline)
    .code64
2:  movabs $ap_start64, %rax
    jmp *%rax
    .align 8
boot_gdtr_real:
    .short 31
    .long PA(boot_gdt)
trampoline_end:

    .align 8
boot_gdt:
    .quad 0
    .quad 0x00cf9b000000ffff    /* 0x08 32-bit code */
    .quad 0x00cf93000000ffff    /* 0x10 data */
    .quad 0x00af9b000000ffff    /* 0x18 64-bit code */
boot_gdtr:
    .short 31
    .long PA(boot_gdt)
no_long_mode_text:
    .asciz "parangon: this processor has no 64-bit mode; an x86-64 processor is needed\r\n"

    .section .bss.stacks, "aw", @nobits
    .align STACK_SIZE
    .globl pcpu_stacks
pcpu_stacks:
    .skip STACK_SIZE * NR_PCPUS_MAX
    .bss
    .align 4096
    .globl boot_l4
boot_l4:       .skip 4096
    .globl boot_l3
boot_l3:       .skip 4096
    .globl ap_l4
ap_l4:         .skip 4096       /* of a processor that starts: the hypervisor's, and the first 4 GiB where they are */
boot_l3_image: .skip 4096
boot_l2:       .skip 4096 * 4
boot_l2_image: .skip 4096
    .globl boot_l1_image
boot_l1_image: .skip 4096 * 4
    .skip 256
boot_stack_end:
    .align 8
    .globl ap_stack
ap_stack:      .skip 8

/* SPDX-License-Identifier: MIT */
/*
 * Entry by multiboot 1 (`qemu -kernel`): 32-bit protected mode, no paging, eax = magic, ebx = information.
 *
 * multiboot.S has the header; boot_pvh.S enters here too, and boot_linux.S at boot_enter64. Maps the first GiB with 2 MiB pages, both at 0 and at the
 * image's virtual base, turns on long mode and goes to native_main(). Physical addresses are offsets within this section
 * from LOAD_PADDR, where the linker script puts it.
 */
    .set LOAD_PADDR, 0x101000
    .macro PHYS_LONG sym
    .long \sym - boot_base + LOAD_PADDR
    .endm

    .section .boot, "awx"
    .balign 4096
boot_base:
    .balign 8
boot_gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
boot_gdtr:
    .short 23
    PHYS_LONG boot_gdt
    .long 0                     /* LGDT of 64-bit code reads eight bytes */

    .code32
    .globl native_start
native_start:
    cli
    cld
    mov %eax, %edi
    mov %ebx, %esi
    mov $(boot_l2 - boot_base + LOAD_PADDR), %ecx
    xor %edx, %edx
1:  mov %edx, %eax
    shl $21, %eax
    or $0x83, %eax
    mov %eax, (%ecx, %edx, 8)
    inc %edx
    cmp $512, %edx
    jne 1b
    mov $(boot_l4 - boot_base + LOAD_PADDR), %eax
    mov %eax, %cr3
    mov %cr4, %eax
    or $0xa0, %eax              /* PAE, PGE */
    mov %eax, %cr4
    mov $0xc0000080, %ecx       /* EFER: LME, NXE, SCE */
    rdmsr
    or $0x901, %eax
    wrmsr
    mov %cr0, %eax
    or $0x80010000, %eax        /* PG, WP */
    mov %eax, %cr0
    lgdt boot_gdtr - boot_base + LOAD_PADDR
    ljmp $8, $(1f - boot_base + LOAD_PADDR)

    .code64
    .globl boot_enter64, boot_l2, boot_l4, boot_gdtr
1:
boot_enter64:                   /* EDI = magic, RSI = what it says, GDTR = boot_gdtr; 64-bit code at any selector */
    mov $16, %eax
    mov %eax, %ss
    mov %eax, %ds
    mov %eax, %es
    movabs $native_high, %rax
    jmp *%rax

    .balign 4096
boot_l4:
    .quad boot_l3 - boot_base + LOAD_PADDR + 7
    .fill 510, 8, 0
    .quad boot_l3 - boot_base + LOAD_PADDR + 7
boot_l3:
    .quad boot_l2 - boot_base + LOAD_PADDR + 7
    .fill 509, 8, 0
    .quad boot_l2 - boot_base + LOAD_PADDR + 7
    .quad 0
boot_l2:
    .fill 512, 8, 0

    .text
native_high:
    xor %ebp, %ebp
    mov $boot_stack_top, %rsp
    pushq $8
    pushq $1f
    lretq
1:  call native_main
    ud2

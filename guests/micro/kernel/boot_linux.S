/* SPDX-License-Identifier: MIT */
/*
 * Entry by Linux's 64-bit boot protocol, as an HVM domain is started: long mode, an identity mapping that is the loader's, no descriptor
 * tables, RSI = the zero page. Goes over to the tables of boot_native.S and native_main(). LOAD_PADDR is that file's.
 */
    .set HDRS, 0x53726448
    .section .boot.more, "awx"
    .code64
    .globl linux_start
linux_start:
    cli
    cld
    lea boot_l2(%rip), %rcx
    xor %edx, %edx
1:  mov %rdx, %rax
    shl $21, %rax
    or $0x83, %rax
    mov %rax, (%rcx, %rdx, 8)
    inc %edx
    cmp $512, %edx
    jne 1b
    lgdt boot_gdtr(%rip)
    lea boot_l4(%rip), %rax
    mov %rax, %cr3
    mov %cr4, %rax
    or $0xa0, %eax              /* PAE, PGE */
    mov %rax, %cr4
    mov $0xc0000080, %ecx       /* EFER: NXE, SCE */
    rdmsr
    or $0x801, %eax
    wrmsr
    mov %cr0, %rax
    or $0x10000, %eax           /* WP */
    mov %rax, %cr0
    mov $HDRS, %edi
    jmp boot_enter64

/* SPDX-License-Identifier: MIT */
/*
 * Entry of a PV domain (xen/xen.h, start of day): 64-bit, flat segments, boot page tables, rsi = start_info.
 * The notes say where; VIRT_BASE comes from the link, so that one object serves both.
 */
    .macro NOTE type, desc:vararg
    .balign 4
    .long 4, 1f - 0f, \type
    .asciz "Xen"
0:  \desc
1:
    .balign 4
    .endm

    .section .note.Xen, "a", @note
    NOTE 6, .asciz "micro"                      /* GUEST_OS */
    NOTE 5, .asciz "xen-3.0"                    /* XEN_VERSION */
    NOTE 8, .asciz "generic"                    /* LOADER */
    NOTE 1, .quad pv_start                      /* ENTRY */
    NOTE 3, .quad VIRT_BASE                     /* VIRT_BASE */
    NOTE 4, .quad 0                             /* PADDR_OFFSET */
    NOTE 9, .asciz "yes"                        /* PAE_MODE */
    NOTE 10, .asciz "!writable_page_tables|pae_pgdir_above_4gb"
    NOTE 12, .quad 0xffff800000000000           /* HV_START_LOW */

    .text
    .globl pv_start
pv_start:
    cld
    xor %ebp, %ebp
    mov $boot_stack_top, %rsp
    mov %rsi, %rdi
    call pv_main
    ud2

    .bss
    .balign 4096
boot_stack:
    .skip 32768
    .globl boot_stack_top
boot_stack_top:

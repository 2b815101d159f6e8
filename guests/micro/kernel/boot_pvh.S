/* SPDX-License-Identifier: MIT */
/*
 * Entry by the PVH boot protocol (xen/arch-x86/hvm/start_info.h): 32-bit protected mode, flat segments, no paging,
 * ebx = hvm_start_info. The ELF note says where. Who enters here may be a hypervisor with the Xen ABI, or nobody:
 * QEMU starts ELF images by this note too. native_main() finds out.
 */
    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 8, 18              /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .quad pvh_start_paddr

    .section .boot.more, "awx"
    .code32
    .globl pvh_start
pvh_start:
    mov $0x336ec578, %eax       /* XEN_HVM_START_MAGIC_VALUE */
    jmp native_start

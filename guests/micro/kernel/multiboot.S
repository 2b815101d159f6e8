/* SPDX-License-Identifier: MIT */
/*
 * The multiboot 1 header, with load addresses (flag 16) so that a 64-bit ELF is accepted; the linker script keeps the
 * image flat for it and puts this section first. A link without this file is one that QEMU enters by the PVH note
 * (boot_pvh.S) instead.
 */
    .section .boot.header, "a"
    .balign 8
    .long 0x1badb002, 0x00010003, -(0x1badb002 + 0x00010003)
    .long header_paddr, header_paddr, load_end_paddr, bss_end_paddr, native_start_paddr

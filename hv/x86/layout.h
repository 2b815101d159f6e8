/* SPDX-License-Identifier: MIT */
/*
 * Where things are in the hypervisor's address range, L4 slots 256 to 271 of every address space (xen/arch-x86/
 * xen-x86_64.h: "hypervisor-reserved"). Used by C, assembly and the linker script.
 *
 *   slot 256  0xffff800000000000  M2P, read-only, visible to guests (part of the ABI)
 *   slot 261  0xffff828000000000  M2P, writable
 *             0xffff82b000000000  descriptor tables, 128 KiB per vCPU: GDT (64 KiB), LDT (64 KiB)
 *             0xffff82c000000000  devices and the trace ring (uncached or cached mappings made at boot)
 *             0xffff82d080000000  the image
 *             0xffff82e000000000  frame records
 *   slot 262  0xffff830000000000  all memory, 2 MiB pages
 *   to 271    0xffff87ffffffffff
 * No page here carries the USER bit but the read-only M2P.
 */
#ifndef PARANGON_LAYOUT_H
#define PARANGON_LAYOUT_H

#define IMAGE_PADDR   0x200000
#define IMAGE_VIRT    0xffff82d080000000
#define DIRECTMAP     0xffff830000000000
#define FRAME_VIRT    0xffff82e000000000
#define M2P_RO_VIRT   0xffff800000000000
#define M2P_RW_VIRT   0xffff828000000000
#define DESC_VIRT     0xffff82b000000000
#define DEVICE_VIRT   0xffff82c000000000
#define HV_START      0xffff800000000000
#define HV_END        0xffff880000000000 /* first byte behind */
#define HV_FIRST_SLOT 256
#define HV_LAST_SLOT  271

#define TRAMPOLINE    0x8000 /* physical: where another processor starts in real mode (boot.S) */

#define STACK_ORDER 3 /* 32 KiB per pcpu: IST stacks below, main stack above, struct cpu_info at the top */
#define STACK_SIZE  (4096 << STACK_ORDER)
#define IST_SIZE    4096

/* The hypervisor's page of the GDT (xen/arch-x86/xen.h: FIRST_RESERVED_GDT_PAGE 14). */
#define SEL_HV_CS     0xe008
#define SEL_HV_DS     0xe010
#define SEL_CS32      0xe023
#define SEL_DS        0xe02b
#define SEL_CS64      0xe033
#define SEL_TSS       0xe040
#define SEL_LDT       0xe050

#endif

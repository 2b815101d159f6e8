/* SPDX-License-Identifier: MIT */
/*
 * The architecture's constants (SDM vol. 3, APM vol. 2), and through insn.h the instructions that C cannot say.
 */
#ifndef PARANGON_X86_H
#define PARANGON_X86_H

#include "types.h"

#define X86_FLAGS_CF    (1u << 0)
#define X86_FLAGS_ONE   (1u << 1)
#define X86_FLAGS_PF    (1u << 2)
#define X86_FLAGS_AF    (1u << 4)
#define X86_FLAGS_ZF    (1u << 6)
#define X86_FLAGS_SF    (1u << 7)
#define X86_FLAGS_TF    (1u << 8)
#define X86_FLAGS_IF    (1u << 9)
#define X86_FLAGS_DF    (1u << 10)
#define X86_FLAGS_OF    (1u << 11)
#define X86_FLAGS_IOPL  (3u << 12)
#define X86_FLAGS_NT    (1u << 14)
#define X86_FLAGS_RF    (1u << 16)
#define X86_FLAGS_AC    (1u << 18)
#define X86_FLAGS_ID    (1u << 21)
/** Flags that a guest may have set while it runs; IF is always set then, IOPL never. */
#define GUEST_FLAGS_OK                                                                             \
    (X86_FLAGS_CF | X86_FLAGS_PF | X86_FLAGS_AF | X86_FLAGS_ZF | X86_FLAGS_SF | X86_FLAGS_TF |     \
     X86_FLAGS_DF | X86_FLAGS_OF | X86_FLAGS_RF | X86_FLAGS_AC | X86_FLAGS_ID)

#define X86_CR0_MP (1u << 1)
#define X86_CR0_TS (1u << 3)
#define X86_CR0_NE (1u << 5)
#define X86_CR0_ET (1u << 4)
#define X86_CR0_WP (1u << 16)
#define X86_CR0_AM (1u << 18)
#define X86_CR0_PG (1u << 31)
#define X86_CR4_TSD        (1u << 2)
#define X86_CR4_DE         (1u << 3)
#define X86_CR4_PAE        (1u << 5)
#define X86_CR4_PGE        (1u << 7)
#define X86_CR4_OSFXSR     (1u << 9)
#define X86_CR4_OSXMMEXCPT (1u << 10)
#define X86_CR4_UMIP       (1u << 11)
#define X86_CR4_FSGSBASE   (1u << 16)
#define X86_CR4_OSXSAVE    (1u << 18)
#define X86_CR4_SMEP       (1u << 20)
#define X86_CR4_SMAP       (1u << 21)

#define MSR_APIC_BASE      0x1b
#define MSR_EFER           0xc0000080
#define MSR_STAR           0xc0000081
#define MSR_LSTAR          0xc0000082
#define MSR_CSTAR          0xc0000083
#define MSR_SYSCALL_MASK   0xc0000084
#define MSR_FS_BASE        0xc0000100
#define MSR_GS_BASE        0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define MSR_TSC_AUX        0xc0000103
#define EFER_SCE           (1u << 0)
#define EFER_LME           (1u << 8)
#define EFER_LMA           (1u << 10)
#define EFER_NX            (1u << 11)

#define PTE_P   0x001ull
#define PTE_RW  0x002ull
#define PTE_US  0x004ull
#define PTE_PWT 0x008ull
#define PTE_PCD 0x010ull
#define PTE_A   0x020ull
#define PTE_D   0x040ull
#define PTE_PSE 0x080ull
#define PTE_PAT 0x080ull
#define PTE_G   0x100ull
#define PTE_AVL 0xe00ull
#define PTE_NX  (1ull << 63)
#define PTE_MFN 0x000ffffffffff000ull

enum vector {
    VEC_DE = 0, VEC_DB = 1, VEC_NMI = 2, VEC_BP = 3, VEC_OF = 4, VEC_BR = 5, VEC_UD = 6, VEC_NM = 7, VEC_DF = 8,
    VEC_TS = 10, VEC_NP = 11, VEC_SS = 12, VEC_GP = 13, VEC_PF = 14, VEC_MF = 16, VEC_AC = 17, VEC_MC = 18, VEC_XM = 19,
    VEC_PIC = 0x20, /* 16 legacy interrupts */
    VEC_TIMER = 0xf0, VEC_KICK = 0xf1, VEC_CALL = 0xf2, VEC_SPURIOUS = 0xff,
    /* In regs.vector, entered by SYSCALL: all registers are there; or a hypercall, of which RBX, RBP and R12 to R15 are still the
     * processor's, and RCX, R11, CS and SS follow from the rest (entry.S). */
    VEC_SYSCALL = 0x100, VEC_HYPERCALL = 0x101
};

/** What an ACPI table begins with (ACPI 6.4 §5.2.6). */
struct acpi_header {
    char signature[4];
    u32 length;
    u8 revision, checksum;
    char oem[6], table[8];
    u32 oem_revision, creator, creator_revision;
} __packed_;

#include <insn.h>

static inline bool is_canonical(u64 va)
{
    return ((s64)(va << 16) >> 16) == (s64)va;
}

#endif

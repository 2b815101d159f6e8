/* SPDX-License-Identifier: MIT */
/*
 * What the processor wants cleared before a guest runs, so that the guest cannot read what others left in it: the first-level data cache
 * (L1 terminal fault) or its fill, store and load buffers (microarchitectural data sampling, TSX asynchronous abort). What a processor
 * enumerates decides, and nothing else: CPUID leaf 7, IA32_ARCH_CAPABILITIES (SDM vol. 4 table 2-2, MSR 0x10a) and Intel's documents "L1 Terminal
 * Fault" and "Microarchitectural Data Sampling".
 */
#ifndef PARANGON_HVM_VMX_CLEARING_H
#define PARANGON_HVM_VMX_CLEARING_H

#include "types.h"

#define CPUID7_B_RTM               (1u << 11)
#define CPUID7_D_MD_CLEAR          (1u << 10) /* VERW clears the buffers */
#define CPUID7_D_L1D_FLUSH         (1u << 28) /* there is MSR 0x10b */
#define CPUID7_D_ARCH_CAPABILITIES (1u << 29) /* there is MSR 0x10a */

#define ARCH_RDCL_NO    (1u << 0)
#define ARCH_SKIP_L1DFL (1u << 3) /* a hypervisor below us does it */
#define ARCH_MDS_NO     (1u << 5)
#define ARCH_TAA_NO     (1u << 8)

enum vmx_clearing { VMX_CLEARS_NOTHING, VMX_CLEARS_BUFFERS, VMX_CLEARS_L1D };

/** From leaf 7's EBX and EDX, and the MSR (0 where there is none). Flushing the cache clears the buffers too, so it is never both. */
static inline enum vmx_clearing vmx_clearing(u32 ebx, u32 edx, u64 capabilities)
{
    if ((edx & CPUID7_D_L1D_FLUSH) && !(capabilities & (ARCH_RDCL_NO | ARCH_SKIP_L1DFL)))
        return VMX_CLEARS_L1D;
    if (!(edx & CPUID7_D_MD_CLEAR))
        return VMX_CLEARS_NOTHING;
    if (!(capabilities & ARCH_MDS_NO) || ((ebx & CPUID7_B_RTM) && !(capabilities & ARCH_TAA_NO)))
        return VMX_CLEARS_BUFFERS;
    return VMX_CLEARS_NOTHING;
}

#endif

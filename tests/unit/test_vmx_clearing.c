/* SPDX-License-Identifier: MIT */
/*
 * What an entry on Intel's processors clears (hv/x86/hvm/vmx_clearing.h), by processors as they enumerate themselves: CPUID leaf 7 and
 * IA32_ARCH_CAPABILITIES with the microcode of Intel's documents.
 */
#include <criterion/criterion.h>

#include "x86/hvm/vmx_clearing.h"

#define RTM (1u << 11)

static const struct {
    const char *what;
    u32 ebx, edx;
    u64 capabilities;
    enum vmx_clearing want;
} cases[] = {
    {"Haswell before the microcode", RTM, 0, 0, VMX_CLEARS_NOTHING},
    {"Haswell with that of 2018", RTM, 1u << 26 | 1u << 27 | 1u << 28, 0, VMX_CLEARS_L1D},
    {"Haswell with that of 2019", RTM, 1u << 10 | 1u << 28, 0, VMX_CLEARS_L1D},
    {"the same in a guest whose hypervisor flushes", RTM, 1u << 10 | 1u << 28 | 1u << 29, 1u << 3, VMX_CLEARS_BUFFERS},
    {"an early Cascade Lake: RDCL_NO", RTM, 1u << 10 | 1u << 28 | 1u << 29, 0xb, VMX_CLEARS_BUFFERS},
    {"a late one: MDS_NO too, with TSX", RTM, 1u << 10 | 1u << 28 | 1u << 29, 0x2b, VMX_CLEARS_BUFFERS},
    {"the same with TSX turned off", 0, 1u << 10 | 1u << 28 | 1u << 29, 0x2b, VMX_CLEARS_NOTHING},
    {"Ice Lake server: TAA_NO", RTM, 1u << 10 | 1u << 28 | 1u << 29, 0x16b, VMX_CLEARS_NOTHING},
    {"no MSR of capabilities", 0, 1u << 10, 0, VMX_CLEARS_BUFFERS},
};

Test(vmx_clearing, as_enumerated)
{
    for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_eq(vmx_clearing(cases[i].ebx, cases[i].edx, cases[i].capabilities), cases[i].want, "%s", cases[i].what);
}

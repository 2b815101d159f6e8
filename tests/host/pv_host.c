/* SPDX-License-Identifier: MIT */
/*
 * What paravirtual domains need of a real machine, in the simulated one: the hypervisor's page tables (slots of an L4, the area of
 * descriptor tables), features of the processor, the memory map. Page tables, hypercalls, descriptor tables, memory, emulation
 * and bounces are the hypervisor's own files (hv/x86/pv); only what is left in pv/vcpu.c answers -XEN_ENOSYS here.
 */
#include "core/hypercall.h"
#include "machine.h"
#include "pv_host.h"
#include "x86/cpu.h"
#include "x86/mm.h"
#include "x86/pv/pv.h"

struct cpu_features cpu_features = {.nx = true, .phys_bits = 40, .cpuid_max = 7, .cpuid_max_ext = 0x80000008, .xsave = true,
                                    .xcr0 = 7, .pat = false, .rdtscp = true};
u64 tsc_hz = 1000000000;
u64 hv_cr3; /* frame 0, which is nobody's */

/* ---- the hypervisor's page tables ---- */

static u64 desc_page[NR_PCPUS * MAX_VCPUS][32]; /* per slot of descriptor tables: frames mapped; 0: none */

void mm_map_page(u64 va, u64 paddr, u64 flags)
{
    u64 off = va - DESC_VIRT;

    BUG_ON(off >= sizeof(desc_page) / sizeof(desc_page[0]) * KB(128) || (va & ~PAGE_MASK));
    BUG_ON(flags && flags != DESC_PTE);
    BUG_ON(off / KB(64) % 2 == 0 && off % KB(64) >= 14 * PAGE_SIZE); /* the hypervisor's own page of a GDT */
    desc_page[off / KB(128)][off / PAGE_SIZE % 32] = flags ? paddr >> PAGE_SHIFT : 0;
}

u64 host_desc_page(const struct vcpu *v, unsigned int i)
{
    return desc_page[v->arch.slot][i];
}

void mm_copy_hv_slots(u64 *l4)
{
    for (unsigned int i = HV_FIRST_SLOT; i <= HV_LAST_SLOT; i++)
        l4[i] = HOST_HV_SLOT(i);
}

/* ---- the memory map ---- */

struct mem_range mem_map[MAX_MEM_RANGES] = {{0, 0x9fc00, MEM_RAM}, {MB(1), MB(63), MEM_RAM}, {0xfee00000, 4096, MEM_RESERVED}};
unsigned int nr_mem_ranges = 3;

u64 m2p_paddr(void)
{
    return 0;
}

/* ---- mm.c ---- */

void scrub_frames(mfn_t mfn, u64 n)
{
    memset(map_mfn(mfn), 0, n << PAGE_SHIFT);
}

void frame_adopt(mfn_t mfn, domid_t owner)
{
    *frame_of(mfn) = (struct frame){.word = FRAME_ALLOCATED | FRAME_REF, .owner = owner};
}

void time_publish(struct vcpu *v)
{
}

/* ---- vcpu.c ---- */

void pv_load_vcpu(struct vcpu *v)
{
}

void pv_set_cr0_ts(struct vcpu *v, bool set)
{
    v->arch.cr0_ts = set ? X86_CR0_TS : 0;
}

#define NEEDS_A_PROCESSOR(name)                                                                    \
    long name(u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6)                                      \
    {                                                                                              \
        return -XEN_ENOSYS;                                                                        \
    }

NEEDS_A_PROCESSOR(do_fpu_taskswitch)
NEEDS_A_PROCESSOR(do_set_debugreg)
NEEDS_A_PROCESSOR(do_get_debugreg)
NEEDS_A_PROCESSOR(do_set_segment_base)

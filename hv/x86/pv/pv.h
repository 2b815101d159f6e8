/* SPDX-License-Identifier: MIT */
/*
 * Paravirtual domains: what the files of this folder offer to each other and to entry code.
 *
 *   build.c    makes the first domains out of boot modules        typing.c   frame types (typing.h)
 *   bounce.c   exceptions, events and system calls into guests    mmu.c      page-table hypercalls
 *   emulate.c  privileged instructions (#GP, #UD)                 ptwr.c     writes to page tables by fault
 *   vcpu.c     segments, debug registers, context switch          memory.c   memory accounting of domains, balloon
 *   desc.c     descriptor tables                                  grant_map.c mappings of other domains' frames by grant
 */
#ifndef PARANGON_PV_H
#define PARANGON_PV_H

#include "core/domain.h"
#include "core/guest.h"
#include "../x86.h"
#include "../frame.h"
#include <trace/record.h>

static inline bool guest_kernel_mode(const struct vcpu *v)
{
    return v->arch.flags & VF_KERNEL;
}

/** True for addresses that a guest may name: canonical or not, but none of the range is the hypervisor's, and it does not wrap. */
static inline bool guest_range_ok(gva_t va, u64 n)
{
    return va + n >= va && (va + n <= HV_START || va >= HV_END);
}

/* bounce.c */
/** Enter the guest kernel's handler of an exception. cr2 counts for #PF only. Crashes the domain where that cannot be. */
void pv_inject_exception(struct vcpu *v, struct regs *r, unsigned int vector, u32 error, u64 cr2);
/** The frame on the guest kernel's stack and the new RIP; false: no room (the domain has been crashed). */
bool pv_bounce(struct vcpu *v, struct regs *r, u64 rip, bool mask, bool has_error, u32 error);
/** Enter the NMI handler of v, which has one pending and may take it. False: not now. */
bool pv_deliver_nmi(struct vcpu *v, struct regs *r);
/** With the selectors that v->arch holds. */
void pv_inject_failsafe(struct vcpu *v, struct regs *r);
/** An iret to the guest faulted on its frame, which r is again; its selectors are in v->arch. */
void pv_iret_fault(struct regs *r);
/** Change between guest kernel and guest user: page tables and GS base. */
void pv_toggle_mode(struct vcpu *v);

/** What became of a trap, for its record: the result, or that it ended its domain. */
static inline u8 trap_result(const struct vcpu *v, u8 result)
{
    return unlikely(v->domain->crashed) ? TRACE_RES_CRASHED : result;
}

/* emulate.c */
/** #GP in a guest: emulate what its kernel may do, else bounce. Returns trap kind and result for the trace. */
u32 pv_general_protection(struct vcpu *v, struct regs *r);
u32 pv_invalid_opcode(struct vcpu *v, struct regs *r);
/** Bytes of a guest's instruction at RIP; returns how many could be read (up to 15). */
unsigned int pv_fetch(const struct regs *r, u8 *buf);

/** Where a guest may have a handler. */
static inline bool pv_callback_ok(u64 rip)
{
    return is_canonical(rip) && guest_range_ok(rip, 1);
}
/** Where its kernel's stack may be: frames are written below. */
static inline bool pv_kernel_sp_ok(u64 sp)
{
    return guest_range_ok((sp & ~15ull) - 64, 64);
}

/* context.c */
/**
 * Load v, which is down and has never run, from a struct vcpu_guest_context; *online: it is to be brought up at once.
 * @return 0; -XEN_EFAULT; -XEN_EINVAL: something that a guest may not have; -XEN_ENOMEM; -XEN_ERESTART: stopped half way, call again
 */
int pv_vcpu_initialise(struct vcpu *v, gva_t context, bool *online);

/* ptwr.c */
/** A write fault on a page table of the domain: emulate the write. False: not such a fault. */
bool pv_ptwr(struct vcpu *v, struct regs *r, u64 cr2);

/* one_pcpu.c */
/** pv_ptwr(), or its form for a machine with one pcpu. */
extern bool (*pv_write_fault)(struct vcpu *v, struct regs *r, u64 cr2);
/** This machine has one pcpu: from now on the forms of page-table functions that need not mind another. */
void one_pcpu(void);

/* mmu.c */
/** The entry of the current address space that maps va at a level (1: L1 entry), or NULL. */
u64 *pv_walk(struct vcpu *v, u64 va, unsigned int level);
/** The same for an L1 entry under the table that cr3 names, inline for the hot paths. */
static inline u64 *pv_walk_l1(u64 cr3, u64 va)
{
    u64 e = *(u64 *)(directmap + cr3 + ((va >> 36) & 0xff8));

    if (unlikely(!(e & PTE_P)))
        return NULL;
    e = *(u64 *)(directmap + (e & PTE_MFN) + ((va >> 27) & 0xff8));
    if (unlikely(!(e & PTE_P)))
        return NULL;
    e = *(u64 *)(directmap + (e & PTE_MFN) + ((va >> 18) & 0xff8));
    if (unlikely(!(e & PTE_P)))
        return NULL;
    return (u64 *)(directmap + (e & PTE_MFN) + ((va >> 9) & 0xff8));
}
/** Install another L4 of the domain as its kernel's (MMUEXT_NEW_BASEPTR, MOV to CR3). Errors as frame_get_type(). */
int pv_new_base(struct vcpu *v, mfn_t mfn);

/* vcpu.c */
void pv_load_vcpu(struct vcpu *v);
/** Nothing but an event, or a time limit, keeps v from running. */
static inline bool pv_only_waits(const struct vcpu *v)
{
    return !(v->pause_flags & ~(u32)(VPF_BLOCKED | VPF_POLLING));
}
/** The idle vCPU runs, and cpu_info.resident is set: save that one's state and leave its page tables. */
void pv_leave_resident(void);
/** Note in v, which runs, the data selectors that the processor has. */
void pv_save_selectors(struct vcpu *v);
/** Restore what load_* could not load: failsafe callback for the guest. */
void pv_set_cr0_ts(struct vcpu *v, bool set);
/** Check a value for debug register 0 to 3, 6 or 7, make it harmless, and keep it for when v is next loaded. Errors of set_debugreg. */
long pv_note_debugreg(struct vcpu *v, unsigned int reg, u64 value);

/* desc.c */
/** How the pages of a vCPU's descriptor tables are mapped, and where: its GDT, then its LDT. */
#define DESC_PTE (PTE_P | PTE_RW | PTE_A | PTE_D | PTE_NX | PTE_G)
static inline u64 pv_gdt_va(const struct vcpu *v)
{
    return DESC_VIRT + (u64)v->arch.slot * KB(128);
}
static inline u64 pv_ldt_va(const struct vcpu *v)
{
    return pv_gdt_va(v) + KB(64);
}
/** A segment load faulted inside the LDT area: map the page of the guest's LDT. */
bool pv_ldt_fault(struct vcpu *v, u64 cr2);
void pv_drop_gdt(struct vcpu *v);
/** Make these frames (one for each 512 entries, at most 14) v's GDT. 0, -XEN_EINVAL. */
int pv_set_gdt(struct vcpu *v, const u64 *frames, u64 entries);
/** May an LDT of so many entries lie there? */
static inline bool pv_ldt_ok(u64 base, u64 entries)
{
    return entries <= 8192 && !(base & ~PAGE_MASK) &&
           (!entries || (is_canonical(base) && guest_range_ok(base, entries * 8)));
}
void pv_drop_ldt(struct vcpu *v);

/* memory_op.c */
/** 0: id is the caller d's own domain; -XEN_EPERM, -XEN_ESRCH: domains do not reach into each other's memory here yet. */
long memory_op_domain(struct domain *d, domid_t id, unsigned int cmd);

/* memory.c */
mfn_t domain_alloc_frame(struct domain *d, unsigned int order, unsigned int max_bits);

#endif

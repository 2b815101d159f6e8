/* SPDX-License-Identifier: MIT */
/*
 * The exits that guests make most, as inlines for the vendors' loops: CPUID with a remembered answer, a hypercall of a 64-bit kernel,
 * WRMSR to the local APIC, a port that is nobody's, the first touch of memory.
 *
 * Who takes a hot way does what exit.c's handler would, with the same counts, and falls back to hvm_exited() for all that is not usual: a
 * trace of exits or hypercalls, an instruction of unknown length, the trap flag, another mode, a refused value.
 */
#ifndef PARANGON_HVM_HOT_H
#define PARANGON_HVM_HOT_H

#include "core/hypercall.h"
#include "hvm.h"
#include <trace/trace.h>

/** Records of exits or hypercalls are wanted: hot ways make none. */
static __always_inline_ bool hvm_traced(void)
{
    if (!TRACE_COMPILED(EXIT) && !TRACE_COMPILED(HYPERCALL))
        return false;
    return unlikely(get_cpu_info()->trace.mask & (TRACE_CLASS_EXIT | TRACE_CLASS_HYPERCALL));
}

/** False where the guest may be entered again at once; else hvm_settle() says what is to be done. */
static __always_inline_ bool hvm_something_waits(const struct vcpu *v, const struct hvm_vcpu *h)
{
    return unlikely(get_cpu_info()->work | v->pause_flags | (u32)h->check_irq | (u32)v->info->evtchn_upcall_pending);
}

/**
 * The remembered answer to CPUID; NULL: ask hvm_cpuid(). To leaf 1's ECX the caller adds OSXSAVE, which is CR4's.
 */
static __always_inline_ const struct hvm_cpuid_answer *hvm_cpuid_known(const struct hvm_vcpu *h, u32 leaf, u32 sub)
{
    const struct hvm_cpuid_answer *a = &h->cpuid[HVM_CPUID_SLOT(leaf, sub)];

    return likely(a->leaf == ~leaf && a->sub == ~sub) ? a : NULL;
}

/** A hypercall that d may make; NULL: none that is there. */
static __always_inline_ hypercall_fn *hvm_callee(const struct domain *d, u64 op)
{
    return likely(op < NR_HYPERCALLS && (d->arch.hvm->callable >> op & 1)) ? hypercall_table[op].fn : NULL;
}

/** A write by WRMSR to the local APIC; false: it is another MSR, or refused (and then nothing is done). */
static __always_inline_ bool hvm_apic_wrmsr(struct vcpu *v, struct hvm_vcpu *h, u32 msr, u64 value)
{
    if (!hvm_is_apic_msr(msr) || unlikely(!vlapic_msr_write(h->vlapic, msr, value)))
        return false;
    if (unlikely(!hvm_apic_msr_kicks(msr)))
        hvm_apic_changed(v);
    return true;
}

/** A nested fault where memory was promised: it has come, and the instruction executes again. False: it is something else, or there is none. */
static __always_inline_ bool hvm_memory_came(struct vcpu *v, u64 gpa)
{
    return likely(hvm_fill(v->domain, GFN(gpa >> PAGE_SHIFT)) == P2M_PAGED);
}

/** RAX after IN from a port that is nobody's. */
static __always_inline_ u64 hvm_in_from_nobody(u64 rax, unsigned int size)
{
    return size == 4 ? 0xffffffff : rax | (size == 2 ? 0xffff : 0xff);
}

#endif

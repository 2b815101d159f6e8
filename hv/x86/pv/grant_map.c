/* SPDX-License-Identifier: MIT */
/*
 * Mappings by grant in a paravirtual domain's page tables (core/arch.h: arch_grant_map()). The one way to an L1 entry that
 * names another domain's frame: typing.c refuses such an entry in every other.
 *
 * The entry has a hold of its own, so whatever takes the entry away later (the guest's own write, the end of its table)
 * gives that back by the usual rules, and unmapping by handle afterwards finds another entry and says so.
 * Does not: check the grant (core/grant.c); batch flushes (hypercall/grant.c calls arch_grant_flush() once).
 */
#include "pv.h"
#include "typing.h"
#include "x86/mm.h"
#include "x86/smp.h"

#define AVAIL_SHIFT 9
#define AVAIL_BITS  7u

/* The L1 entry of the current domain that a grant operation names, within a validated table of its own; NULL: none. */
static u64 *entry_at(u64 where, bool by_entry)
{
    struct vcpu *v = current_vcpu();
    const struct frame *table;
    u64 *entry;

    if (by_entry) {
        if ((where & 7) || !mfn_is_memory(MFN(where >> PAGE_SHIFT)))
            return NULL;
        entry = (u64 *)(directmap + where);
    } else {
        if (!is_canonical(where) || (where >= HV_START && where < HV_END))
            return NULL;
        entry = pv_walk(v, where, 1);
        if (!entry)
            return NULL;
    }
    table = frame_of(virt_to_mfn(entry));
    if (table->owner != v->domain->id || frame_type(table->word) != FT_L1 || !frame_tc(table->word) ||
        !(table->word & FRAME_VALIDATED) || (table->word & FRAME_BUSY))
        return NULL;
    return entry;
}

/* Put `new` there and give back what the old entry held. */
static void replace(u64 *entry, u64 new)
{
    u64 old = __atomic_exchange_n(entry, new, __ATOMIC_SEQ_CST);
    mfn_t mfn = MFN((old & PTE_MFN) >> PAGE_SHIFT);

    if ((old & PTE_P) && mfn_is_memory(mfn) && frame_of(mfn)->owner != DOMID_IO)
        arch_drop_frame(mfn, old & PTE_RW);
}

int16_t arch_grant_map(u64 where, bool by_entry, const struct domain *granter, mfn_t mfn, bool writable, u32 avail)
{
    struct domain *d = current_vcpu()->domain;
    int16_t status = GNTST_general_error;
    u64 *entry, pte = mfn.n << PAGE_SHIFT | PTE_P | PTE_A | PTE_NX | (writable ? PTE_RW | PTE_D : 0);

    tables_lock(d);
    entry = entry_at(where, by_entry);
    if (entry && !arch_hold_frame(granter, mfn, writable)) {
        replace(entry, pte_in_force(pte | (u64)(avail & AVAIL_BITS) << AVAIL_SHIFT, 1));
        status = GNTST_okay;
    }
    tables_unlock(d);
    return status;
}

int16_t arch_grant_unmap(u64 where, bool by_entry, mfn_t mfn)
{
    struct domain *d = current_vcpu()->domain;
    int16_t status = GNTST_general_error;
    u64 *entry;

    tables_lock(d);
    entry = entry_at(where, by_entry);
    if (entry && (*entry & PTE_P) && (*entry & PTE_MFN) >> PAGE_SHIFT == mfn.n) {
        replace(entry, 0);
        status = GNTST_okay;
    }
    tables_unlock(d);
    return status;
}

void arch_grant_flush(void)
{
    tlb_flush_domain(current_vcpu()->domain, ~0ull);
}

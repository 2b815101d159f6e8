/* SPDX-License-Identifier: MIT */
/*
 * Frame typing: the isolation of paravirtual domains. Everything that decides whether a guest may use a frame in some way
 * is in typing.c; nothing else writes a page table entry of a guest or changes a frame's type.
 *
 * The invariant, true whenever a guest runs:
 *   1. A present L1 entry of a validated L1 table maps a frame that its domain owns or was given by a grant (or a device frame that it has rights to),
 *      holds one reference to it, and, if the entry is writable, one type reference of type `writable`.
 *   2. A present entry of a validated L2, L3 or L4 table names a validated table one level below of the same owner and holds a
 *      reference and a type reference to it. Slots 256 to 271 of an L4 are the hypervisor's.
 *   3. A frame has one type while it has type references. Hence no frame is a page table (or holds segment descriptors) and
 *      writable by a guest at once.
 *   4. No TLB holds a writable mapping of a frame when its type changes away from `writable` (the stamp against the pcpu's clock).
 *   5. CR3 of a vCPU is a validated L4 of its domain, with a reference and a type reference.
 * Debug builds assert 3 at every change; tests/fuzz walks all tables after every call and recounts.
 *
 * Locks: the page tables of a domain with several vCPUs change under its mm_lock (tables_lock()), which callers of pte_change(),
 * frame_pin() and the like hold; frame words, which other domains change too, by compare-and-swap. What one pcpu may elide says
 * ONE_PCPU (frame.h). FRAME_BUSY marks a table whose entries are being checked. Order: upper level before lower.
 * Host-compilable: needs frame.h's arrays and arch_preempt_needed() only.
 */
#ifndef PARANGON_PV_TYPING_H
#define PARANGON_PV_TYPING_H

#include "../frame.h"
#include "core/domain.h"

/**
 * The entry in force for what a guest wrote: the only place that adds bits (DESIGN §3, decision 4). There is no way back,
 * and none is needed: guests read their tables where they lie, and so see what is in force.
 */
u64 pte_in_force(u64 guest, unsigned int level);

/** Take or drop a plain reference. get: false if the frame is not memory of d, is free, or its count is at the limit. */
bool frame_get(struct frame *f, const struct domain *d);
void frame_put(struct frame *f);

/**
 * Take a reference and a type reference of this type; page tables are validated if they are not yet.
 * @return 0; -XEN_EINVAL: it has another type, an entry is not allowed, or not d's; -XEN_EBUSY: count at its limit, or writable asked
 *         of a frame that is a table or holds descriptors; -XEN_EPERM: an entry names a device that d has no right to;
 *         -XEN_ERESTART: stopped half way (frame stays partial, nothing is held by the caller), call again.
 */
int frame_get_type(mfn_t mfn, enum frame_type type, const struct domain *d);
/** Drop both. With preemptible, -XEN_ERESTART means: partly invalidated, the references are still held, call again. */
int frame_put_type(mfn_t mfn, bool preemptible);

/**
 * Change one entry of a validated table (level 1 to 4) of d, owned and referenced by the caller's reference to the table.
 * @param entry       hypervisor address of the entry
 * @param val         new value as the guest writes it
 * @param preserve_ad keep the accessed and dirty bits that hardware has set meanwhile
 * @param expected    with `compare`: change it only if the entry still holds this
 * @return 0, -XEN_EINVAL (not allowed), -XEN_EBUSY, -XEN_ERESTART, -XEN_EAGAIN (compare failed)
 */
int pte_change(u64 *entry, u64 val, unsigned int level, struct domain *d, bool preserve_ad);
int pte_change_if(u64 *entry, u64 expected, u64 val, struct domain *d);

/** frame_get_type() of a page table, its usual case first: it is validated and in use already. */
static inline int frame_get_table(mfn_t mfn, enum frame_type type, const struct domain *d)
{
    if (likely(mfn_is_memory(mfn))) {
        struct frame *f = frame_of(mfn);
        u64 w = f->word;
        const u64 settled = FRAME_TYPE_MASK | FRAME_VALIDATED | FRAME_ALLOCATED | FRAME_BUSY | FRAME_PARTIAL;

        if (likely(((w + FRAME_REF + FRAME_TC) & (settled | FRAME_REFS_FULL | FRAME_TC_FULL)) ==
                       (FRAME_TYPE(type) | FRAME_VALIDATED | FRAME_ALLOCATED) &&
                   f->owner == d->id && frame_tc(w) && word_change(&f->word, &w, w + FRAME_REF + FRAME_TC)))
            return 0; /* a table in use has the owner's references: it was not freed meanwhile */
    }
    return frame_get_type(mfn, type, d);
}

/** frame_put_type() of a page table, its usual case first: others use it too. */
static inline int frame_put_table(mfn_t mfn)
{
    struct frame *f = frame_of(mfn);
    u64 w = f->word;

    if (likely(frame_tc(w) > 1 && !(w & (FRAME_BUSY | FRAME_PARTIAL)) &&
               word_change(&f->word, &w, w - FRAME_REF - FRAME_TC)))
        return 0;
    return frame_put_type(mfn, false);
}

/** Slots of an L4 that belong to the hypervisor. */
static inline bool l4_slot_is_hv(unsigned int i)
{
    return i >= HV_FIRST_SLOT && i <= HV_LAST_SLOT;
}

/** Pin and unpin (MMUEXT_PIN_*): -XEN_EINVAL for a wrong type, a second pin or an unpinned frame. */
int frame_pin(mfn_t mfn, enum frame_type type, struct domain *d);
int frame_unpin(mfn_t mfn, struct domain *d);

/** Keep the page tables of a domain as they are, or are to be. One vCPU has no other to mind, nor has one pcpu. */
static inline void tables_lock(struct domain *d)
{
    if (!ONE_PCPU && unlikely(d->max_vcpus > 1))
        spin_lock(&d->arch.mm_lock);
}
static inline void tables_unlock(struct domain *d)
{
    if (!ONE_PCPU && unlikely(d->max_vcpus > 1))
        spin_unlock(&d->arch.mm_lock);
}

/** The last reference of a frame has gone: account and free it. Implemented by the environment (pv/memory). */
void frame_release(struct frame *f);
/** Make *cr3, of a vCPU of d that does not run with it, name this L4; 0: none. @return 0, or why it cannot be one */
static inline int change_base(struct domain *d, u64 *cr3, mfn_t mfn)
{
    u64 old = *cr3;
    int err;

    if (old == mfn.n << PAGE_SHIFT)
        return 0;
    if (mfn.n) {
        err = frame_get_table(mfn, FT_L4, d);
        if (err)
            return err;
    }
    *cr3 = mfn.n << PAGE_SHIFT;
    if (old)
        (void)frame_put_table(MFN(old >> PAGE_SHIFT));
    return 0;
}
/** Fill the hypervisor's slots of a new L4. */
void l4_init_slots(u64 *l4);
/**
 * Stamps: when a frame lost its last type reference, or was freed, in a form that tells which TLBs may still hold it.
 * A vCPU's mappings are in the TLB of the pcpu that has it loaded only, since each load of another flushes: of a domain with one
 * vCPU the stamp is that pcpu's clock, of one with several the number of an epoch, which ends when every pcpu has been flushed.
 */
u32 tlb_clock_now(void);
/** A frame with this stamp becomes something else: flush where a TLB may still hold it. */
void tlb_filter(u32 stamp);
/** One stamp for two frames. */
u32 tlb_later(u32 a, u32 b);
/** May d map this frame that is not memory (device registers)? */
bool io_mem_allowed(const struct domain *d, mfn_t mfn);

#endif

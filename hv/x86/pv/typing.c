/* SPDX-License-Identifier: MIT */
/* Frame typing and validation; typing.h is the contract. Hot paths first: they are what fork, exec and exit cost. */
#include "typing.h"
#include "x86/x86.h"
#include <trace/trace.h>

/* Bits that a guest may set in a present entry. Everything else (PSE above L1, GLOBAL, bits 52 to 62, bits above the machine's
 * physical addresses) is refused, as Xen refuses it. */
#define L1_BITS (PTE_P | PTE_RW | PTE_US | PTE_PWT | PTE_PCD | PTE_A | PTE_D | PTE_PAT | PTE_AVL | PTE_NX)
#define LN_BITS (PTE_P | PTE_RW | PTE_US | PTE_PWT | PTE_PCD | PTE_A | PTE_D | PTE_AVL | PTE_NX)

static inline mfn_t pte_mfn(u64 pte)
{
    return MFN((pte & PTE_MFN) >> PAGE_SHIFT);
}

/* Guest kernel and guest user both run in ring 3: every mapping in force is a user mapping. */
u64 pte_in_force(u64 guest, unsigned int level)
{
    return guest & PTE_P ? guest | PTE_US : guest;
}

u64 pte_as_seen(u64 hardware, unsigned int level)
{
    return hardware;
}

/* Compare-and-swap of a frame word. With one pcpu and interrupts off nobody else writes it, yet the locked form stays: it counts as
 * one instruction, and the host's fuzzers run with threads. */
static inline bool word_change(struct frame *f, u64 *old, u64 new)
{
    return __atomic_compare_exchange_n(&f->word, old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static __always_inline_ bool take_reference(struct frame *f, const struct domain *d)
{
    u64 w = f->word;

    do {
        if (unlikely(!(w & FRAME_ALLOCATED) || f->owner != d->id || frame_refs(w) >= FRAME_COUNT_MAX))
            return false;
    } while (!word_change(f, &w, w + FRAME_REF));
    return true;
}

bool frame_get(struct frame *f, const struct domain *d)
{
    return take_reference(f, d);
}

static __always_inline_ void drop_reference(struct frame *f)
{
    u64 w = __atomic_fetch_sub(&f->word, FRAME_REF, __ATOMIC_SEQ_CST);

    ASSERT_NAMED("frame_put", frame_refs(w) > 0);
    if (unlikely(frame_refs(w) == 1))
        frame_release(f);
}

void frame_put(struct frame *f)
{
    drop_reference(f);
}

/* Reference plus type reference of a frame that is writable already, or becomes it: the usual case of a data page. */
static int get_writable(struct frame *f, const struct domain *d)
{
    u64 w = f->word, new;

    do {
        if (unlikely(!(w & FRAME_ALLOCATED) || f->owner != d->id))
            return -XEN_EINVAL;
        if (likely(frame_type(w) == FT_WRITABLE)) {
            if (unlikely(frame_refs(w) >= FRAME_COUNT_MAX || frame_tc(w) >= FRAME_COUNT_MAX))
                return -XEN_EBUSY;
            new = w + FRAME_REF + FRAME_TC;
        } else {
            if (frame_tc(w))
                return -XEN_EBUSY;
            if (frame_refs(w) >= FRAME_COUNT_MAX)
                return -XEN_EBUSY;
            /* A former page table: this TLB's walker may still hold entries of it. */
            if (frame_type(w) != FT_NONE)
                tlb_filter(f->stamp);
            new = (w & ~(FRAME_TYPE_MASK | FRAME_VALIDATED)) + FRAME_TYPE(FT_WRITABLE) + FRAME_REF + FRAME_TC;
        }
    } while (!word_change(f, &w, new));
    return 0;
}

static void put_writable(struct frame *f)
{
    u64 w = f->word;

    do {
        ASSERT_NAMED("put_writable", frame_type(w) == FT_WRITABLE && frame_tc(w) > 0 && frame_refs(w) > 0);
        if (frame_tc(w) == 1)
            f->stamp = tlb_clock_now();
    } while (!word_change(f, &w, w - FRAME_REF - FRAME_TC));
    if (unlikely(frame_refs(w) == 1))
        frame_release(f);
}

/* ---- L1 entries ---- */

static int l1e_get_device(u64 pte, const struct domain *d);

/** Take what a present L1 entry refers to. 0 or an error; nothing is held on error. */
static __always_inline_ int l1e_get(u64 pte, const struct domain *d)
{
    struct frame *f;
    mfn_t mfn = pte_mfn(pte);

    if (unlikely(pte & ~(L1_BITS | PTE_MFN)))
        return -XEN_EINVAL;
    if (unlikely(!mfn_is_memory(mfn)))
        return l1e_get_device(pte, d);
    f = frame_of(mfn);
    if (unlikely(f->owner != d->id))
        return f->owner == DOMID_IO ? l1e_get_device(pte, d) : -XEN_EINVAL;
    if (pte & PTE_RW)
        return get_writable(f, d);
    return likely(take_reference(f, d)) ? 0 : -XEN_EINVAL;
}

static __cold_ int l1e_get_device(u64 pte, const struct domain *d)
{
    return io_mem_allowed(d, pte_mfn(pte)) ? 0 : -XEN_EPERM;
}

static __always_inline_ void l1e_put(u64 pte)
{
    mfn_t mfn = pte_mfn(pte);
    struct frame *f;

    if (unlikely(!mfn_is_memory(mfn)))
        return;
    f = frame_of(mfn);
    if (unlikely(f->owner == DOMID_IO))
        return;
    if (pte & PTE_RW)
        put_writable(f);
    else
        drop_reference(f);
}

/** Take what a present entry of level 2 to 4 refers to: a table one level below. */
static int lne_get(u64 pte, unsigned int level, const struct domain *d)
{
    mfn_t mfn = pte_mfn(pte);

    if (pte & ~(LN_BITS | PTE_MFN))
        return -XEN_EINVAL;
    return frame_get_table(mfn, (enum frame_type)(level - 1), d);
}

/* ---- whole tables ---- */

static void invalidate_l1(u64 *t, unsigned int end)
{
    for (unsigned int i = 0; i < end; i += 8) {
        if (!((t[i] | t[i + 1] | t[i + 2] | t[i + 3] | t[i + 4] | t[i + 5] | t[i + 6] | t[i + 7]) & PTE_P))
            continue;
        for (unsigned int j = i; j < i + 8 && j < end; j++)
            if (t[j] & PTE_P)
                l1e_put(t[j]);
    }
}

static int validate_l1(u64 *t, const struct domain *d)
{
    unsigned int i, j;
    int err;

    for (i = 0; i < 512; i += 8) {
        if (!((t[i] | t[i + 1] | t[i + 2] | t[i + 3] | t[i + 4] | t[i + 5] | t[i + 6] | t[i + 7]) & PTE_P))
            continue;
        for (j = i; j < i + 8; j++) {
            u64 pte = t[j];

            if (!(pte & PTE_P))
                continue;
            err = l1e_get(pte, d);
            if (unlikely(err)) {
                invalidate_l1(t, j);
                return err;
            }
            t[j] = pte_in_force(pte, 1);
        }
    }
    return 0;
}

/* Levels 2 to 4 keep their position in the frame record, so that both directions can stop and go on. Between groups of eight entries
 * they look whether something waits: a table below does so itself, so a stop is never more than eight L1 tables away. */
static int invalidate_ln(struct frame *f, u64 *t, unsigned int level, bool preemptible)
{
    unsigned int i = f->position;

    while (i > 0) {
        if (!(i & 7)) {
            const u64 *g = &t[i - 8];

            if (!((g[0] | g[1] | g[2] | g[3] | g[4] | g[5] | g[6] | g[7]) & PTE_P)) {
                i -= 8;
                continue;
            }
            if (preemptible && arch_preempt_needed())
                goto stop;
        }
        if ((t[i - 1] & PTE_P) && !(level == 4 && l4_slot_is_hv(i - 1)) &&
            (preemptible ? frame_put_type(pte_mfn(t[i - 1]), true) : frame_put_table(pte_mfn(t[i - 1]))) == -XEN_ERESTART)
            goto stop;
        i--;
    }
    f->position = 0;
    return 0;
stop:
    f->position = i;
    return -XEN_ERESTART;
}

/* A stopped invalidation may have stopped within the table that the last entry in force names: make that one whole again. */
static __cold_ int revalidate_last(struct frame *f, const u64 *t, unsigned int level, const struct domain *d)
{
    u64 pte = t[f->position - 1];
    int err;

    if (!(pte & PTE_P) || (level == 4 && l4_slot_is_hv(f->position - 1)) || !(frame_of(pte_mfn(pte))->word & FRAME_PARTIAL))
        return 0;
    err = frame_get_type(pte_mfn(pte), (enum frame_type)(level - 1), d);
    return err ? err : frame_put_type(pte_mfn(pte), false);
}

static int validate_ln(struct frame *f, u64 *t, unsigned int level, const struct domain *d)
{
    unsigned int i = f->position;
    int err = 0;

    if (unlikely(i > 0)) {
        err = revalidate_last(f, t, level, d);
        if (err)
            return err;
    }
    while (i < 512) {
        if (!(i & 7)) {
            const u64 *g = &t[i];

            if (!((g[0] | g[1] | g[2] | g[3] | g[4] | g[5] | g[6] | g[7]) & PTE_P)) {
                i += 8;
                continue;
            }
            if (i != f->position && arch_preempt_needed()) {
                err = -XEN_ERESTART;
                break;
            }
        }
        if ((t[i] & PTE_P) && !(level == 4 && l4_slot_is_hv(i))) {
            err = lne_get(t[i], level, d);
            if (err)
                break;
            t[i] = pte_in_force(t[i], level);
        }
        i++;
    }
    f->position = i;
    if (!err && level == 4)
        l4_init_slots(t);
    return err;
}

/* The frame is BUSY and holds one type reference; validate its entries. */
static int validate(struct frame *f, enum frame_type type, const struct domain *d)
{
    u64 *t = map_mfn(frame_mfn(f));
    int err;

    if (type == FT_L1)
        return validate_l1(t, d);
    err = validate_ln(f, t, type, d);
    if (err && err != -XEN_ERESTART)
        (void)invalidate_ln(f, t, type, false);
    return err;
}

static inline void word_set_clear(struct frame *f, u64 set, u64 clear)
{
    u64 w = f->word;

    while (!word_change(f, &w, (w & ~clear) | set))
        ;
}

int frame_get_type(mfn_t mfn, enum frame_type type, const struct domain *d)
{
    struct frame *f;
    u64 w, new;
    int err;

    if (!mfn_is_memory(mfn))
        return -XEN_EINVAL;
    f = frame_of(mfn);
    if (type == FT_WRITABLE)
        return get_writable(f, d);
    w = f->word;
    do {
        if (!(w & FRAME_ALLOCATED) || f->owner != d->id)
            return -XEN_EINVAL;
        if (frame_refs(w) >= FRAME_COUNT_MAX || frame_tc(w) >= FRAME_COUNT_MAX)
            return -XEN_EBUSY;
        if (w & FRAME_BUSY) /* this pcpu is validating it further up: a table that contains itself */
            return -XEN_EINVAL;
        if (frame_tc(w)) {
            if (frame_type(w) != type)
                return -XEN_EINVAL;
            if (likely(w & FRAME_VALIDATED)) {
                new = w + FRAME_REF + FRAME_TC;
                continue;
            }
            /* partial: take it up where it stopped. A stopped validation's own references become the caller's; those of a
             * stopped invalidation are still its holder's (a pin, an entry, a base pointer). */
            new = (w & ~FRAME_PARTIAL) | FRAME_BUSY;
            if (f->stamp != FRAME_PARTIAL_ORPHAN)
                new += FRAME_REF + FRAME_TC;
        } else {
            if (frame_type(w) != type && frame_type(w) != FT_NONE)
                tlb_filter(f->stamp);
            new = ((w & ~(FRAME_TYPE_MASK | FRAME_VALIDATED)) | FRAME_TYPE(type) | FRAME_BUSY) + FRAME_REF + FRAME_TC;
        }
    } while (!word_change(f, &w, new));
    if (!(new & FRAME_BUSY))
        return 0;

    if (!frame_tc(w)) {
        f->position = 0;
        TRACE_frame_type_change(mfn.n, f->owner, frame_type(w), type);
    }
    if (type == FT_SEG || type == FT_SHARED) {
        word_set_clear(f, FRAME_VALIDATED, FRAME_BUSY);
        return 0;
    }
    err = validate(f, type, d);
    if (likely(!err)) {
        word_set_clear(f, FRAME_VALIDATED, FRAME_BUSY);
    } else if (frame_tc(new) > 1) { /* the holder of a stopped invalidation remains, and will finish it */
        w = f->word;
        while (!word_change(f, &w, ((w & ~FRAME_BUSY) | FRAME_PARTIAL) - FRAME_REF - FRAME_TC))
            ;
    } else if (err == -XEN_ERESTART) {
        f->stamp = FRAME_PARTIAL_ORPHAN;
        word_set_clear(f, FRAME_PARTIAL, FRAME_BUSY); /* keeps its reference and type reference */
    } else {
        w = f->word;
        f->stamp = tlb_clock_now();
        while (!word_change(f, &w, (w & ~(FRAME_BUSY | FRAME_TYPE_MASK)) - FRAME_REF - FRAME_TC))
            ;
    }
    return err;
}

int frame_put_type(mfn_t mfn, bool preemptible)
{
    struct frame *f = frame_of(mfn);
    u64 w = f->word;
    enum frame_type type = frame_type(w);

    if (type == FT_WRITABLE) {
        put_writable(f);
        return 0;
    }
    for (;;) {
        ASSERT_NAMED("frame_put_type", frame_tc(w) > 0 && frame_refs(w) > 0);
        if (frame_tc(w) > 1 || !(type >= FT_L1 && type <= FT_L4)) {
            if (frame_tc(w) == 1)
                f->stamp = tlb_clock_now();
            if (word_change(f, &w, w - FRAME_REF - FRAME_TC))
                break;
            continue;
        }
        /* the last one: the entries give back what they hold */
        if (!word_change(f, &w, (w & ~(FRAME_VALIDATED | FRAME_PARTIAL)) | FRAME_BUSY))
            continue;
        if (type == FT_L1) {
            invalidate_l1(map_mfn(mfn), 512);
        } else {
            if (w & FRAME_VALIDATED)
                f->position = 512;
            if (invalidate_ln(f, map_mfn(mfn), type, preemptible) == -XEN_ERESTART) {
                if (!(w & FRAME_PARTIAL))
                    f->stamp = 0;
                word_set_clear(f, FRAME_PARTIAL, FRAME_BUSY);
                return -XEN_ERESTART;
            }
        }
        f->stamp = tlb_clock_now();
        w = f->word;
        while (!word_change(f, &w, (w & ~(FRAME_BUSY | FRAME_VALIDATED)) - FRAME_REF - FRAME_TC))
            ;
        break;
    }
    if (frame_refs(w) == 1)
        frame_release(f);
    return 0;
}

int frame_pin(mfn_t mfn, enum frame_type type, struct domain *d)
{
    struct frame *f;
    u64 w;
    int err = frame_get_type(mfn, type, d);

    if (err)
        return err;
    f = frame_of(mfn);
    w = f->word;
    do {
        if (w & FRAME_PINNED) {
            (void)frame_put_type(mfn, false);
            return -XEN_EINVAL;
        }
    } while (!word_change(f, &w, w | FRAME_PINNED));
    TRACE_frame_pin(mfn.n, d->id, type);
    return 0;
}

int frame_unpin(mfn_t mfn, struct domain *d)
{
    struct frame *f;
    u64 w;
    int err;

    if (!mfn_is_memory(mfn))
        return -XEN_EINVAL;
    f = frame_of(mfn);
    w = f->word;
    do {
        if (!(w & FRAME_ALLOCATED) || f->owner != d->id || !(w & FRAME_PINNED) || (w & FRAME_BUSY))
            return -XEN_EINVAL;
    } while (!word_change(f, &w, w & ~FRAME_PINNED));
    err = frame_put_type(mfn, true);
    if (err == -XEN_ERESTART)
        word_set_clear(f, FRAME_PINNED, 0); /* the pin's references are still held: unpin again */
    else
        TRACE_frame_unpin(mfn.n, d->id, frame_type(w));
    return err;
}

/* ---- changing one entry ---- */

static __always_inline_ int l1_change(u64 *entry, u64 old, u64 val, struct domain *d, bool preserve_ad)
{
    u64 now = old;
    int err;

    if (!(val & PTE_P)) {
        while (!__atomic_compare_exchange_n(entry, &now, val, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
            ;
        if (now & PTE_P)
            l1e_put(now);
        return 0;
    }
    val = pte_in_force(val, 1);
    /* The same frame with the same right to write: nothing is taken or dropped. */
    if ((old & PTE_P) && !((old ^ val) & (PTE_MFN | PTE_RW)) && !(val & ~(L1_BITS | PTE_MFN))) {
        for (;;) {
            u64 new = preserve_ad ? val | (now & (PTE_A | PTE_D)) : val;

            if (__atomic_compare_exchange_n(entry, &now, new, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
                return 0;
            if ((now ^ old) & ~(PTE_A | PTE_D))
                return -XEN_EAGAIN;
        }
    }
    err = l1e_get(val, d);
    if (unlikely(err))
        return err;
    for (;;) {
        u64 new = preserve_ad ? val | (now & (PTE_A | PTE_D)) : val;

        if (__atomic_compare_exchange_n(entry, &now, new, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
            break;
    }
    if (now & PTE_P)
        l1e_put(now);
    return 0;
}

/* Writable to read-only, the frame unchanged: the reference stays, the type reference goes. */
static void drop_write(struct frame *f)
{
    u64 w = f->word;

    do {
        if (frame_tc(w) == 1)
            f->stamp = tlb_clock_now();
    } while (!word_change(f, &w, w - FRAME_TC));
}

int pte_change_if(u64 *entry, u64 expected, u64 val, struct domain *d)
{
    u64 new = pte_in_force(val, 1);
    int err;

    /* What fork does to each private page: only the right to write goes (and flags of the guest's own change). */
    if ((expected & new & PTE_P) && !((expected ^ new) & PTE_MFN) && (expected & PTE_RW) && !(new & PTE_RW) &&
        !(new & ~(L1_BITS | PTE_MFN))) {
        mfn_t mfn = pte_mfn(new);

        if (!__atomic_compare_exchange_n(entry, &expected, new, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
            return -XEN_EAGAIN;
        if (mfn_is_memory(mfn) && frame_of(mfn)->owner != DOMID_IO)
            drop_write(frame_of(mfn));
        return 0;
    }

    if (new & PTE_P) {
        err = l1e_get(new, d);
        if (err)
            return err;
    }
    if (!__atomic_compare_exchange_n(entry, &expected, new, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
        if (new & PTE_P)
            l1e_put(new);
        return -XEN_EAGAIN;
    }
    if (expected & PTE_P)
        l1e_put(expected);
    return 0;
}

int pte_change(u64 *entry, u64 val, unsigned int level, struct domain *d, bool preserve_ad)
{
    u64 old = *entry;
    int err;

    if (level == 1)
        return l1_change(entry, old, val, d, preserve_ad);
    if (level == 4 && l4_slot_is_hv(((u64)entry & ~PAGE_MASK) / 8))
        return -XEN_EINVAL;
    if (val & PTE_P) {
        if (val & ~(LN_BITS | PTE_MFN))
            return -XEN_EINVAL;
        val = pte_in_force(val, level);
        if ((old & PTE_P) && !((old ^ val) & PTE_MFN)) { /* same table, other rights */
            WRITE_ONCE(*entry, preserve_ad ? val | (old & (PTE_A | PTE_D)) : val);
            return 0;
        }
        err = lne_get(val, level, d);
        if (err)
            return err;
    }
    WRITE_ONCE(*entry, val);
    if (old & PTE_P)
        (void)frame_put_type(pte_mfn(old), false);
    return 0;
}

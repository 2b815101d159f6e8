/* SPDX-License-Identifier: MIT */
/* Frame typing and validation; typing.h is the contract. Hot paths first: they are what fork, exec and exit cost. */
#include "typing.h"
#include "x86/x86.h"
#include <trace/trace.h>

/* Bits that a guest may set in a present entry. Everything else (PSE above L1, GLOBAL, bits 52 to 62, bits above the
 * machine's physical addresses) is refused, as Xen refuses it. */
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

/* A reference has gone of a frame that its owner has given up: with the last one, the frame goes. */
static __cold_ void put_given_up(struct frame *f, u64 word)
{
    if (!frame_refs(ONE_PCPU ? READ_ONCE(f->word) : word))
        frame_release(f);
}

/* Between the look at the owner and the change of the word the frame may have been freed, and become another's with the same
 * word. The reference holds it now: look again. */
static __always_inline_ bool still_owned(const struct frame *f, const struct domain *d)
{
    return ONE_PCPU || READ_ONCE(f->owner) == d->id;
}

/* FRAME_ALLOCATED is the word's sign. */
static __always_inline_ bool take_reference(struct frame *f, const struct domain *d)
{
    u64 w = f->word;

    do {
        if (unlikely((s64)w >= 0 || ((w + FRAME_REF) & FRAME_REFS_FULL) || f->owner != d->id))
            return false;
    } while (!word_change(&f->word, &w, w + FRAME_REF));
    return likely(still_owned(f, d)) || (frame_put(f), false);
}

bool frame_get(struct frame *f, const struct domain *d)
{
    return take_reference(f, d);
}

/* The allocation holds a reference, so the last one can go only once FRAME_ALLOCATED, the word's sign, has gone. */
static __always_inline_ void drop_reference(struct frame *f)
{
    u64 w;

    ASSERT_NAMED("frame_put", frame_refs(f->word) > 0);
    w = ONE_PCPU ? (f->word -= FRAME_REF) : __atomic_sub_fetch(&f->word, FRAME_REF, __ATOMIC_SEQ_CST);
    if (unlikely((s64)w >= 0))
        put_given_up(f, w);
}

void frame_put(struct frame *f)
{
    drop_reference(f);
}

/* A frame of another type becomes writable. Not: a table or descriptors in use, or a count at its limit. */
static __cold_ int become_writable(struct frame *f, u64 w, u64 *new)
{
    if (!(w & FRAME_ALLOCATED))
        return -XEN_EINVAL;
    if (frame_type(w) == FT_WRITABLE || frame_tc(w) || frame_refs(w) >= FRAME_COUNT_MAX)
        return -XEN_EBUSY;
    /* A former page table: this TLB's walker may still hold entries of it. */
    if (frame_type(w) != FT_NONE)
        tlb_filter(f->stamp);
    *new = (w & ~(FRAME_TYPE_MASK | FRAME_VALIDATED)) + FRAME_TYPE(FT_WRITABLE) + FRAME_REF + FRAME_TC;
    return 0;
}

/* It is another's: nothing is held of it. */
static __cold_ int give_back(struct frame *f)
{
    (void)frame_put_type(frame_mfn(f), false);
    return -XEN_EINVAL;
}

/* Reference plus type reference of a frame that is writable already, or becomes it: the usual case of a data page. */
static __always_inline_ int get_writable(struct frame *f, const struct domain *d)
{
    const u64 tested = FRAME_TYPE_MASK | FRAME_ALLOCATED | FRAME_REFS_FULL | FRAME_TC_FULL;
    u64 w = f->word, new;

    if (unlikely(f->owner != d->id))
        return -XEN_EINVAL;
    do {
        new = w + FRAME_REF + FRAME_TC;
        if (unlikely((new & tested) != (FRAME_TYPE(FT_WRITABLE) | FRAME_ALLOCATED))) {
            if ((new & (tested | FRAME_TC_MASK)) == (FRAME_ALLOCATED | FRAME_TC)) { /* nothing yet */
                new += FRAME_TYPE(FT_WRITABLE);
            } else {
                int err = become_writable(f, w, &new);

                if (err)
                    return err;
            }
        }
    } while (!word_change(&f->word, &w, new));
    return likely(still_owned(f, d)) ? 0 : give_back(f);
}

static __always_inline_ void put_writable(struct frame *f)
{
    u64 w = f->word;

    do {
        ASSERT_NAMED("put_writable", frame_type(w) == FT_WRITABLE && frame_tc(w) > 0 && frame_refs(w) > 0);
        if (unlikely(frame_tc(w) == 1))
            f->stamp = tlb_clock_now();
    } while (!word_change(&f->word, &w, w - FRAME_REF - FRAME_TC));
    if (unlikely((s64)w >= 0))
        put_given_up(f, w - FRAME_REF);
}

/* ---- L1 entries ---- */

static int l1e_get_device(u64 pte, const struct domain *d);

/** Take what a present L1 entry refers to. 0 or an error; nothing is held on error. */
static __always_inline_ int l1e_get(u64 pte, const struct domain *d)
{
    u64 odd = pte & (~(L1_BITS | PTE_MFN) | PTE_RW); /* 0: read-only, PTE_RW: writable, else refused */
    mfn_t mfn = pte_mfn(pte);
    struct frame *f;

    if (unlikely(!mfn_is_memory(mfn)))
        return l1e_get_device(pte, d);
    f = frame_of(mfn);
    if (unlikely(f->owner != d->id))
        return f->owner == DOMID_IO ? l1e_get_device(pte, d) : -XEN_EINVAL;
    if (!odd)
        return likely(take_reference(f, d)) ? 0 : -XEN_EINVAL;
    return likely(odd == PTE_RW) ? get_writable(f, d) : -XEN_EINVAL;
}

static __cold_ int l1e_get_device(u64 pte, const struct domain *d)
{
    if (pte & ~(L1_BITS | PTE_MFN))
        return -XEN_EINVAL;
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

/* The entries of a group, or'ed: bit 0 says whether any is present. Most groups of most tables are empty, so tables are
 * scanned by groups: eight of an L1, where pages lie together, 32 and then eight of the others. */
#define OR4(g) ((g)[0] | (g)[1] | (g)[2] | (g)[3])
#define OR8(g) (OR4(g) | OR4((g) + 4))

static __always_inline_ bool any_of_32(const u64 *g)
{
    return (OR8(g) | OR8(g + 8) | OR8(g + 16) | OR8(g + 24)) & PTE_P;
}

/* Give back what the entries before `end` hold. */
static void invalidate_l1(const u64 *t, unsigned int end)
{
    for (const u64 *g = t; g < t + end; g += 8) {
        const u64 *stop = g + 8 <= t + end ? g + 8 : t + end;

        if (!(OR8(g) & PTE_P))
            continue;
        for (const u64 *p = g; p < stop; p++)
            if (*p & PTE_P)
                l1e_put(*p);
    }
}

static int validate_l1(u64 *t, const struct domain *d)
{
    for (u64 *g = t; g < t + 512; g += 8) {
        if (!(OR8(g) & PTE_P))
            continue;
        for (u64 *p = g; p < g + 8; p++) {
            u64 pte = *p;
            int err;

            if (!(pte & PTE_P))
                continue;
            err = l1e_get(pte, d);
            if (unlikely(err)) {
                invalidate_l1(t, p - t);
                return err;
            }
            *p = pte_in_force(pte, 1);
        }
    }
    return 0;
}

/* Levels 2 to 4 keep their position in the frame record, so that both directions can stop and go on. Between groups of
 * eight entries they look whether something waits: a table below does so itself, so a stop is never more than eight L1
 * tables away.
 * used: FRAME_USED() bits of groups to look at; above `position` it does not matter. */
static int invalidate_ln(struct frame *f, u64 *t, unsigned int level, bool preemptible, u32 used)
{
    unsigned int i = f->position;

    while (i > 0) {
        if (!(i & 7)) {
            if (!(i & 15)) {
                if (!(used & FRAME_USED(i - 16))) {
                    i -= 16;
                    continue;
                }
            }
            if (!(OR8(&t[i - 8]) & PTE_P)) {
                i -= 8;
                continue;
            }
            if (preemptible && i != f->position && arch_preempt_needed()) /* each call does something */
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
    u32 used = 0;
    int err = 0;

    if (unlikely(i > 0)) {
        err = revalidate_last(f, t, level, d);
        if (err)
            return err;
        used = (FRAME_USED(i - 1) << 1) - 1; /* nobody remembers where the entries before are */
    }
    while (i < 512) {
        if (!(i & 7)) {
            if (!(i & 31) && !any_of_32(&t[i])) {
                i += 32;
                continue;
            }
            if (!(OR8(&t[i]) & PTE_P)) {
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
            used |= FRAME_USED(i);
        }
        i++;
    }
    f->position = i;
    if (err)
        return err;
    if (level == 4)
        l4_init_slots(t);
    f->stamp = used;
    return 0;
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
        (void)invalidate_ln(f, t, type, false, ~0u);
    return err;
}

static inline void word_set_clear(struct frame *f, u64 set, u64 clear)
{
    u64 w = f->word;

    while (!word_change(&f->word, &w, (w & ~clear) | set))
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
    } while (!word_change(&f->word, &w, new));
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
        while (!word_change(&f->word, &w, ((w & ~FRAME_BUSY) | FRAME_PARTIAL) - FRAME_REF - FRAME_TC))
            ;
    } else if (err == -XEN_ERESTART) {
        f->stamp = FRAME_PARTIAL_ORPHAN;
        word_set_clear(f, FRAME_PARTIAL, FRAME_BUSY); /* keeps its reference and type reference */
    } else {
        /* What was of this type already stays so: nothing has been flushed, and a TLB may walk through it. */
        u64 type_bits = frame_type(w) == type ? 0 : FRAME_TYPE_MASK;

        w = f->word;
        f->stamp = tlb_clock_now();
        while (!word_change(&f->word, &w, (w & ~(FRAME_BUSY | type_bits)) - FRAME_REF - FRAME_TC))
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
            if (word_change(&f->word, &w, w - FRAME_REF - FRAME_TC))
                break;
            continue;
        }
        /* the last one: the entries give back what they hold */
        if (!word_change(&f->word, &w, (w & ~(FRAME_VALIDATED | FRAME_PARTIAL)) | FRAME_BUSY))
            continue;
        if (type == FT_L1) {
            invalidate_l1(map_mfn(mfn), 512);
        } else {
            if (w & FRAME_VALIDATED)
                f->position = 512;
            if (invalidate_ln(f, map_mfn(mfn), type, preemptible, w & FRAME_VALIDATED ? f->stamp : ~0u) == -XEN_ERESTART) {
                if (!(w & FRAME_PARTIAL))
                    f->stamp = 0;
                word_set_clear(f, FRAME_PARTIAL, FRAME_BUSY);
                return -XEN_ERESTART;
            }
        }
        f->stamp = tlb_clock_now();
        w = f->word;
        while (!word_change(&f->word, &w, (w & ~(FRAME_BUSY | FRAME_VALIDATED)) - FRAME_REF - FRAME_TC))
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
    } while (!word_change(&f->word, &w, w | FRAME_PINNED));
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
    } while (!word_change(&f->word, &w, w & ~FRAME_PINNED));
    err = frame_put_type(mfn, true);
    if (err == -XEN_ERESTART)
        word_set_clear(f, FRAME_PINNED, 0); /* the pin's references are still held: unpin again */
    else
        TRACE_frame_unpin(mfn.n, d->id, frame_type(w));
    return err;
}

/* ---- changing one entry ---- */

/* Put `new` in an entry that still holds `expected`; else false. */
static __always_inline_ bool l1_replace(u64 *entry, u64 expected, u64 new)
{
    return (!ONE_PCPU || READ_ONCE(*entry) == expected) && word_change(entry, &expected, new);
}

/* Put `new` in place of what an L1 entry holds, which was `old`; hardware may have set A and D meanwhile. Returns
 * what was replaced. */
static __always_inline_ u64 l1_exchange(u64 *entry, u64 old, u64 new, bool preserve_ad)
{
    while (!word_change(entry, &old, preserve_ad ? new | (old & (PTE_A | PTE_D)) : new))
        ;
    return old;
}

static __always_inline_ int l1_change(u64 *entry, u64 old, u64 val, struct domain *d, bool preserve_ad)
{
    int err;

    if (val & PTE_P) {
        val = pte_in_force(val, 1);
        /* The same frame with the same right to write: nothing is taken or dropped. */
        if ((old & PTE_P) && !((old ^ val) & (PTE_MFN | PTE_RW)) && !(val & ~(L1_BITS | PTE_MFN))) {
            u64 now = old;

            while (!word_change(entry, &now, preserve_ad ? val | (now & (PTE_A | PTE_D)) : val))
                if ((now ^ old) & ~(PTE_A | PTE_D))
                    return -XEN_EAGAIN;
            return 0;
        }
        err = l1e_get(val, d);
        if (unlikely(err))
            return err;
    } else {
        preserve_ad = false;
    }
    old = l1_exchange(entry, old, val, preserve_ad);
    if (old & PTE_P)
        l1e_put(old);
    return 0;
}

/* Writable to read-only, the frame unchanged: the reference stays, the type reference goes. */
static __always_inline_ void drop_write(struct frame *f)
{
    u64 w = f->word;

    do {
        if (unlikely(frame_tc(w) == 1))
            f->stamp = tlb_clock_now();
    } while (!word_change(&f->word, &w, w - FRAME_TC));
}

int pte_change_if(u64 *entry, u64 expected, u64 val, struct domain *d)
{
    u64 new = pte_in_force(val, 1);
    int err;

    /* What fork does to each private page: only the right to write goes (and flags of the guest's own change). */
    if (likely((expected & new & PTE_P) && !((expected ^ new) & PTE_MFN) && (expected & PTE_RW) &&
               !(new & (~(L1_BITS | PTE_MFN) | PTE_RW)))) {
        mfn_t mfn = pte_mfn(new);

        if (!l1_replace(entry, expected, new))
            return -XEN_EAGAIN;
        if (likely(mfn_is_memory(mfn)) && likely(frame_of(mfn)->owner != DOMID_IO))
            drop_write(frame_of(mfn));
        return 0;
    }

    if (new & PTE_P) {
        err = l1e_get(new, d);
        if (err)
            return err;
    }
    if (!l1_replace(entry, expected, new)) {
        if (new & PTE_P)
            l1e_put(new);
        return -XEN_EAGAIN;
    }
    if (expected & PTE_P)
        l1e_put(expected);
    return 0;
}

/* An entry of level 2 to 4. */
static int ln_change(u64 *entry, u64 val, unsigned int level, struct domain *d, bool preserve_ad)
{
    unsigned int i = ((u64)entry & ~PAGE_MASK) / 8;
    u64 old = *entry;
    int err;

    if (level == 4 && l4_slot_is_hv(i))
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
        frame_of(virt_to_mfn(entry))->stamp |= FRAME_USED(i);
    }
    WRITE_ONCE(*entry, val);
    if (old & PTE_P)
        (void)frame_put_type(pte_mfn(old), false);
    return 0;
}

int pte_change(u64 *entry, u64 val, unsigned int level, struct domain *d, bool preserve_ad)
{
    return likely(level == 1) ? l1_change(entry, *entry, val, d, preserve_ad) : ln_change(entry, val, level, d, preserve_ad);
}

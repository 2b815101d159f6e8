/* SPDX-License-Identifier: MIT */
/*
 * Nested page tables behind struct p2m_ops, for both formats (nested.h).
 *
 * Bits 52 to 55 of an entry, which the processor ignores, hold its p2m type; an absent entry with a type is paged memory. Tables are pages
 * of the hypervisor's.
 * Lock: p2m.lock, held by the caller. The caller flushes after writing: then every pcpu that has a vCPU of the domain has left the guest, walks its
 * tables no more, and is at no copy of the hypervisor's from or to the page that was there (it waits, or takes interrupts). A table
 * that went out of use is freed after that. A flush is one only where an entry was changed that a processor may have kept: nothing is kept of an
 * absent one (APM vol. 2 §15.25.12, SDM vol. 3 §29.4.3.2).
 */
#include "nested.h"
#include "x86/pv/pv.h"
#include "x86/smp.h"

#define TYPE_SHIFT 52
#define TYPE_MASK  (15ull << TYPE_SHIFT)

static enum p2m_type type_of(u64 e)
{
    return (e & TYPE_MASK) >> TYPE_SHIFT;
}

static u64 *table_of(u64 e)
{
    return map_mfn(MFN((e & PTE_MFN) >> PAGE_SHIFT));
}

static bool is_leaf(u64 e, unsigned int level)
{
    return level == 1 || (e & PTE_PSE);
}

static unsigned int index_at(gfn_t gfn, unsigned int level)
{
    return (gfn.n >> (9 * (level - 1))) & 511;
}

/* What the processor sees of a mapping of this type. */
static u64 entry_of(const struct nested_format *f, mfn_t mfn, enum p2m_type type, unsigned int level)
{
    u64 e = (u64)type << TYPE_SHIFT;

    if (type == P2M_NONE)
        return 0;
    if (type == P2M_PAGED)
        return e;
    e |= mfn.n << PAGE_SHIFT | f->leaf[type];
    return level > 1 ? e | PTE_PSE : e;
}

mfn_t nested_lookup(const struct nested_format *f, struct domain *d, gfn_t gfn, enum p2m_type *type, unsigned int *order)
{
    u64 *t = d->arch.hvm->root;

    for (unsigned int level = 4;; level--) {
        u64 e = t[index_at(gfn, level)];

        *order = 9 * (level - 1);
        if (!(e & f->present)) {
            *type = type_of(e);
            return MFN_INVALID;
        }
        if (is_leaf(e, level)) {
            *type = type_of(e);
            return MFN(((e & PTE_MFN) >> PAGE_SHIFT) + (gfn.n & ((1ull << *order) - 1)));
        }
        t = table_of(e);
    }
}

static void free_tables(const struct nested_format *f, struct domain *d, u64 e, unsigned int level)
{
    u64 *t;

    if (!(e & f->present) || is_leaf(e, level))
        return;
    t = table_of(e);
    if (level > 2)
        for (unsigned int i = 0; i < 512; i++)
            free_tables(f, d, t[i], level - 1);
    arch_free_pages(t, 0);
    d->arch.hvm->nr_tables--;
}

/* The table below entry *e of a level, made, or split out of a larger mapping, where there is none. NULL: no memory. */
static u64 *table_below(const struct nested_format *f, struct domain *d, u64 *e, unsigned int level)
{
    u64 *t;

    if ((*e & f->present) && !is_leaf(*e, level))
        return table_of(*e);
    t = arch_alloc_pages(0);
    if (!t)
        return NULL;
    d->arch.hvm->nr_tables++;
    if (*e) { /* 512 smaller ones say the same */
        u64 part = level == 2 ? *e & ~PTE_PSE : *e, step = *e & f->present ? PAGE_SIZE << (9 * (level - 2)) : 0;

        for (unsigned int i = 0; i < 512; i++)
            t[i] = part + i * step;
    }
    WRITE_ONCE(*e, (virt_to_mfn(t).n << PAGE_SHIFT) | f->table);
    return t;
}

/*
 * What vCPUs remember of the map (access.c) counts no more. Before two epochs could be taken for each other, all is cleared; whoever reads it
 * meanwhile finds an old epoch.
 */
static void forget_windows(struct domain *d)
{
    struct hvm_domain *hd = d->arch.hvm;

    if (unlikely(hd->window_epoch + HVM_WINDOW_EPOCH < hd->window_epoch))
        for (unsigned int i = 0; i < d->max_vcpus; i++)
            if (d->vcpu[i] && d->vcpu[i]->arch.hvm)
                memset(d->vcpu[i]->arch.hvm->window, 0, sizeof(d->vcpu[i]->arch.hvm->window));
    WRITE_ONCE(hd->window_epoch, max_of(hd->window_epoch + HVM_WINDOW_EPOCH, HVM_WINDOW_EPOCH));
}

int nested_write(const struct nested_format *f, struct domain *d, gfn_t gfn, mfn_t mfn, enum p2m_type type, unsigned int order)
{
    struct hvm_domain *hd = d->arch.hvm;
    unsigned int to = order / 9 + 1;
    u64 *t = hd->root, *e, old;

    if (unlikely(hd->retired))
        nested_flush(f, d);
    for (unsigned int level = 4; level > to; level--) {
        e = &t[index_at(gfn, level)];
        if (type == P2M_NONE && !*e)
            return 0;
        t = table_below(f, d, e, level);
        if (!t)
            return -XEN_ENOMEM;
    }
    e = &t[index_at(gfn, to)];
    old = *e;
    WRITE_ONCE(*e, entry_of(f, mfn, type, to));
    if (old & f->present) {
        hd->stale = true;
        forget_windows(d);
        if (!is_leaf(old, to)) {
            hd->retired = old;
            hd->retired_level = to;
        }
    }
    return 0;
}

/* Memory of 2^order frames has come to what entry *e of a level, or a part of it, promised. 0 or -XEN_ENOMEM. */
static __always_inline_ int came(const struct nested_format *f, struct domain *d, gfn_t gfn, u64 *e, unsigned int level, mfn_t mfn,
                                 unsigned int order, enum p2m_type type)
{
    if (likely(order == 9 * (level - 1))) {
        WRITE_ONCE(*e, entry_of(f, mfn, type, level)); /* nothing was there: nothing is flushed */
    } else if (nested_write(f, d, gfn, mfn, type, order)) {
        hvm_release_frames(mfn, order);
        return -XEN_ENOMEM;
    }
    __atomic_fetch_sub(&d->p2m.nr_paged, 1ull << order, __ATOMIC_RELAXED);
    for (u64 i = 0; i < (1ull << order); i++)
        m2p[mfn.n + i] = gfn.n + i;
    return 0;
}

/* nested_fill() where the walk ended above single frames. */
static __attribute__((noinline)) int fill_large(const struct nested_format *f, struct domain *d, gfn_t gfn, u64 *e, unsigned int level)
{
    bool logged = READ_ONCE(d->dirty); /* by single frames; who turns it on goes over the map, under the lock, behind us */
    enum p2m_type was = type_of(*e), type = logged ? P2M_LOGDIRTY : P2M_RAM;
    unsigned int order = P2M_ORDER_2M;
    mfn_t mfn = MFN_INVALID;

    if (was != P2M_PAGED)
        return was;
    if (likely(!logged))
        mfn = domain_alloc_frame(d, order, 0);
    if (unlikely(mfn.n == MFN_INVALID.n)) {
        order = P2M_ORDER_4K;
        mfn = domain_alloc_frame(d, order, 0);
    }
    gfn.n &= ~((1ull << order) - 1);
    return mfn.n == MFN_INVALID.n || came(f, d, gfn, e, level, mfn, order, type) ? -XEN_ENOMEM : P2M_PAGED;
}

int nested_fill(const struct nested_format *f, struct domain *d, gfn_t gfn)
{
    u64 *e = &d->arch.hvm->root[index_at(gfn, 4)], entry;
    enum p2m_type type;
    mfn_t mfn;

#define DOWN(level)                                                                                                                  \
    entry = *e;                                                                                                                      \
    if (unlikely(!(entry & f->present) || (entry & PTE_PSE)))                                                                        \
        return fill_large(f, d, gfn, e, level);                                                                                      \
    e = &table_of(entry)[index_at(gfn, level - 1)]
    DOWN(4);
    DOWN(3);
    DOWN(2);
#undef DOWN
    type = type_of(*e);
    if (unlikely(type != P2M_PAGED))
        return type;
    type = unlikely(READ_ONCE(d->dirty)) ? P2M_LOGDIRTY : P2M_RAM;
    mfn = domain_alloc_frame(d, P2M_ORDER_4K, 0);
    if (unlikely(mfn.n == MFN_INVALID.n))
        return -XEN_ENOMEM;
    (void)came(f, d, gfn, e, 1, mfn, P2M_ORDER_4K, type);
    return P2M_PAGED;
}

void nested_flush(const struct nested_format *f, struct domain *d)
{
    struct hvm_domain *hd = d->arch.hvm;

    if (!hd->stale)
        return;
    hd->stale = false;
    for (unsigned int i = 0; i < d->max_vcpus; i++)
        if (d->vcpu[i] && d->vcpu[i]->arch.hvm)
            hvm_ops->flush(d->vcpu[i]);
    if (several_pcpus)
        tlb_flush_domain(d, ~0ull);
    if (hd->retired) {
        free_tables(f, d, hd->retired, hd->retired_level);
        hd->retired = 0;
    }
}

void nested_destroy(const struct nested_format *f, struct domain *d)
{
    u64 *root = d->arch.hvm->root;

    nested_flush(f, d);
    for (unsigned int i = 0; i < 512; i++) {
        free_tables(f, d, root[i], 4);
        root[i] = 0;
    }
}

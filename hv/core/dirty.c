/* SPDX-License-Identifier: MIT */
/*
 * Log-dirty: the bitmap, and what becomes of a physical map while a domain logs. dirty.h is the contract.
 *
 * The bitmap is in pages of 32,768 bits, all allocated at the start, so that marking cannot fail.
 */
#include "dirty.h"
#include "evtchn_port.h"

#define BITS_PER_PAGE (8 * PAGE_SIZE)

struct dirty_log {
    u64 nr;                    /* guest frames 0..nr-1 */
    u64 protect_next;          /* start and stop: the next guest frame whose entry is to be changed */
    bool stopping;
    u64 *page[];
};

u32 dirty_logs;

static u64 *word_of(const struct dirty_log *l, u64 gfn)
{
    return &l->page[gfn / BITS_PER_PAGE][gfn % BITS_PER_PAGE / 64];
}

void dirty_log_free(struct domain *d)
{
    struct dirty_log *l = d->dirty;

    if (!l)
        return;
    d->dirty = NULL;
    arch_log_dirty(d, false);
    __atomic_fetch_sub(&dirty_logs, 1, __ATOMIC_SEQ_CST);
    for (u64 i = 0; i * BITS_PER_PAGE < l->nr; i++)
        if (l->page[i])
            arch_free_pages(l->page[i], 0);
    arch_free(l);
}

/** Change ram into log-dirty or back, going on where it stopped. */
static int protect(struct domain *d, enum p2m_type from, enum p2m_type to)
{
    struct dirty_log *l = d->dirty;
    u64 done;
    int rc;

    if (!d->p2m.ops)
        return 0;
    rc = p2m_change_type(d, GFN(l->protect_next), l->nr - l->protect_next, from, to, &done);
    l->protect_next += done;
    return rc;
}

int dirty_log_start(struct domain *d, u64 nr)
{
    struct dirty_log *l = d->dirty;
    u64 pages = (nr + BITS_PER_PAGE - 1) / BITS_PER_PAGE;
    int rc;

    if (nr == 0 || nr > P2M_LIMIT)
        return -XEN_EINVAL;
    if (!l) {
        l = arch_alloc(sizeof(*l) + pages * sizeof(l->page[0]));
        if (!l)
            return -XEN_ENOMEM;
        l->nr = nr;
        d->dirty = l;
        __atomic_fetch_add(&dirty_logs, 1, __ATOMIC_SEQ_CST);
        for (u64 i = 0; i < pages; i++) {
            l->page[i] = arch_alloc_pages(0);
            if (!l->page[i]) {
                dirty_log_free(d);
                return -XEN_ENOMEM;
            }
        }
        arch_log_dirty(d, true);
    } else if (l->stopping || l->protect_next == l->nr || !d->p2m.ops) {
        return -XEN_EEXIST;
    }
    rc = protect(d, P2M_RAM, P2M_LOGDIRTY);
    if (!rc)
        l->protect_next = l->nr;
    else if (rc != -XEN_ERESTART)
        (void)dirty_log_stop(d);
    return rc;
}

int dirty_log_stop(struct domain *d)
{
    struct dirty_log *l = d->dirty;
    int rc;

    if (!l)
        return 0;
    if (!l->stopping) {
        l->stopping = true;
        l->protect_next = 0;
    }
    rc = protect(d, P2M_LOGDIRTY, P2M_RAM);
    if (!rc)
        dirty_log_free(d);
    return rc;
}

void dirty_log_mark(struct domain *d, gfn_t gfn)
{
    struct dirty_log *l = d->dirty;

    if (gfn.n < l->nr && !l->stopping)
        __atomic_fetch_or(word_of(l, gfn.n), 1ull << (gfn.n % 64), __ATOMIC_RELAXED);
}

static void mark_page(struct domain *d, const void *page)
{
    gfn_t gfn;

    if (page && arch_gfn_of(d, arch_virt_to_mfn(page), &gfn))
        dirty_log_mark(d, gfn);
}

/** Pages that are written without a mark. */
static void mark_shared(struct domain *d)
{
    for (unsigned int i = 0; i < d->max_vcpus; i++)
        mark_page(d, d->vcpu[i]->info_page);
    evtchn_fifo_for_each_page(d, mark_page);
    mark_page(d, d->console_page);
    mark_page(d, d->pirq_eoi);
}

long dirty_log_read(struct domain *d, u64 first, u64 *words, unsigned int n, bool clean)
{
    struct dirty_log *l = d->dirty;
    long count = 0;

    if (!l || first % 64)
        return -XEN_EINVAL;
    mark_shared(d);
    for (unsigned int i = 0; i < n; i++) {
        u64 gfn = first + 64 * (u64)i, done;

        words[i] = 0;
        if (gfn < first || gfn >= l->nr)
            continue;
        /* Protect, then take the bits: a write between the two is in this reading and in the next. */
        words[i] = __atomic_load_n(word_of(l, gfn), __ATOMIC_SEQ_CST);
        if (clean && words[i]) {
            if (d->p2m.ops &&
                p2m_change_type(d, GFN(gfn), min_of(64, l->nr - gfn), P2M_RAM, P2M_LOGDIRTY, &done) == -XEN_ENOMEM)
                return -XEN_ENOMEM;
            words[i] = __atomic_exchange_n(word_of(l, gfn), 0, __ATOMIC_SEQ_CST);
        }
        for (u64 left = words[i]; left; left &= left - 1)
            count++;
    }
    return count;
}

/* SPDX-License-Identifier: MIT */
/*
 * Grant tables, version 1: pages, uses and mappings. grant.h is the contract.
 *
 * Locks: d->lock for the table of pages, grant_lock for uses and mappings; never both sides' at once. An entry is the
 * guest's: what is checked is a copy, and the two flags that the hypervisor owns change by compare-and-swap against it.
 */
#include "dirty.h"
#include "grant.h"

#define ENTRIES_PER_PAGE  ((u32)(PAGE_SIZE / sizeof(grant_entry_v1_t)))
#define MAPPINGS_PER_PAGE ((u32)(PAGE_SIZE / sizeof(struct grant_mapping)))
#define MAPPING_PAGES     ((GRANT_MAX_MAPPINGS + MAPPINGS_PER_PAGE - 1) / MAPPINGS_PER_PAGE)
#define NO_HANDLE         (~0u)
/** Most users of one grant, of each kind. */
#define MAX_USES          0xfff0u

/** A grant in use. Both counts 0: it is not. */
struct grant_use {
    u64 mfn;
    domid_t user;
    u16 readers, writers, pad;
};
#define USE_ORDER 1 /* pages of a table of uses: 512 of 16 bytes for each page of entries */
_Static_assert(ENTRIES_PER_PAGE * sizeof(struct grant_use) == PAGE_SIZE << USE_ORDER, "uses of one page of entries");
_Static_assert(sizeof(grant_entry_v1_t) == 8 && offsetof(grant_entry_v1_t, domid) == 2, "flags and domid are one word");

int grant_init(struct domain *d)
{
    d->max_grant_frames = GRANT_DEFAULT_MAX_FRAMES;
    d->grant_version = 1;
    d->grant_free = NO_HANDLE;
    d->grant_frame = arch_alloc(d->max_grant_frames * sizeof(*d->grant_frame));
    d->grant_use = arch_alloc(d->max_grant_frames * sizeof(*d->grant_use));
    d->grant_mapping = arch_alloc(MAPPING_PAGES * sizeof(*d->grant_mapping));
    if (!d->grant_frame || !d->grant_use || !d->grant_mapping)
        return -XEN_ENOMEM;
    return grant_grow(d, 1);
}

int grant_grow(struct domain *d, unsigned int n)
{
    if (n > d->max_grant_frames)
        return -XEN_EINVAL;
    HOLD(&d->lock);
    while (d->nr_grant_frames < n) {
        void *page = arch_alloc_pages(0), *uses = page ? arch_alloc_pages(USE_ORDER) : NULL;

        if (!uses) {
            if (page)
                arch_free_pages(page, 0);
            return -XEN_ENOMEM;
        }
        (void)arch_share_page(d, page, true);
        d->grant_use[d->nr_grant_frames] = uses;
        d->grant_frame[d->nr_grant_frames] = page;
        __atomic_store_n(&d->nr_grant_frames, d->nr_grant_frames + 1, __ATOMIC_RELEASE);
    }
    return 0;
}

mfn_t grant_frame_mfn(const struct domain *d, unsigned int i)
{
    if (i >= __atomic_load_n(&d->nr_grant_frames, __ATOMIC_ACQUIRE))
        return MFN_INVALID;
    return arch_virt_to_mfn(d->grant_frame[i]);
}

static bool ref_valid(const struct domain *d, grant_ref_t ref)
{
    return ref < __atomic_load_n(&d->nr_grant_frames, __ATOMIC_ACQUIRE) * ENTRIES_PER_PAGE;
}

static grant_entry_v1_t *entry_of(const struct domain *d, grant_ref_t ref)
{
    return (grant_entry_v1_t *)d->grant_frame[ref / ENTRIES_PER_PAGE] + ref % ENTRIES_PER_PAGE;
}

static struct grant_use *use_of(const struct domain *d, grant_ref_t ref)
{
    return d->grant_use[ref / ENTRIES_PER_PAGE] + ref % ENTRIES_PER_PAGE;
}

static bool in_use(const struct grant_use *u)
{
    return u->readers || u->writers;
}

int grant_swap(struct domain *d, grant_ref_t a, grant_ref_t b)
{
    grant_entry_v1_t copy;
    HOLD(&d->grant_lock);

    if (!ref_valid(d, a) || !ref_valid(d, b))
        return -XEN_EINVAL;
    if (in_use(use_of(d, a)) || in_use(use_of(d, b)))
        return -XEN_EBUSY;
    copy = *entry_of(d, a);
    *entry_of(d, a) = *entry_of(d, b);
    *entry_of(d, b) = copy;
    return 0;
}

/* ---- the granter's side ---- */

/**
 * Check the guest's entry and mark it as used, in one step: flags and user's id are one word, and the entry must not
 * change between the look and the mark.
 */
static int16_t mark_entry(grant_entry_v1_t *e, domid_t user, bool writable)
{
    u32 *word = (u32 *)e, old = __atomic_load_n(word, __ATOMIC_ACQUIRE);
    u32 flags = GTF_reading | (writable ? GTF_writing : 0);

    /* A guest that changes its entry for ever on another processor gets an error for it. */
    for (unsigned int tries = 0; tries < 16; tries++) {
        if ((old & GTF_type_mask) != GTF_permit_access || old >> 16 != user || (writable && (old & GTF_readonly)))
            return GNTST_general_error;
        if (__atomic_compare_exchange_n(word, &old, old | flags, false, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE))
            return GNTST_okay;
    }
    return GNTST_general_error;
}

static void unmark_entry(grant_entry_v1_t *e, const struct grant_use *u)
{
    if (!u->writers)
        __atomic_fetch_and(&e->flags, (u16)~GTF_writing, __ATOMIC_SEQ_CST);
    if (!in_use(u))
        __atomic_fetch_and(&e->flags, (u16)~GTF_reading, __ATOMIC_SEQ_CST);
}

int16_t grant_acquire(struct domain *d, grant_ref_t ref, domid_t user, bool writable, mfn_t *mfn)
{
    grant_entry_v1_t *e;
    struct grant_use *u;
    int16_t status = GNTST_okay;
    mfn_t frame;
    int rc;

    HOLD(&d->grant_lock);
    if (d->dying || !ref_valid(d, ref))
        return d->dying ? GNTST_general_error : GNTST_bad_gntref;
    e = entry_of(d, ref);
    u = use_of(d, ref);
    if (in_use(u) && (u->user != user || u->readers >= MAX_USES || u->writers >= MAX_USES))
        status = GNTST_general_error;
    if (status == GNTST_okay && (!in_use(u) || (writable && !u->writers)))
        status = mark_entry(e, user, writable);
    if (status != GNTST_okay)
        return status;
    frame = in_use(u) ? MFN(u->mfn) : p2m_get(d, GFN(READ_ONCE(e->frame)), NULL, NULL);
    rc = arch_hold_frame(d, frame, writable);
    if (rc) {
        unmark_entry(e, u);
        return rc == -XEN_EBUSY ? GNTST_general_error : GNTST_bad_page;
    }
    u->mfn = frame.n;
    u->user = user;
    *(writable ? &u->writers : &u->readers) += 1;
    *mfn = frame;
    return GNTST_okay;
}

void grant_release(struct domain *d, grant_ref_t ref, bool writable, mfn_t mfn)
{
    gfn_t gfn;

    spin_lock(&d->grant_lock);
    if (ref_valid(d, ref)) {
        struct grant_use *u = use_of(d, ref);

        ASSERT_NAMED("grant_release", *(writable ? &u->writers : &u->readers) > 0);
        *(writable ? &u->writers : &u->readers) -= 1;
        unmark_entry(entry_of(d, ref), u);
    }
    if (writable && d->dirty && arch_gfn_of(d, mfn, &gfn))
        dirty_log_mark(d, gfn);
    spin_unlock(&d->grant_lock);
    arch_drop_frame(mfn, writable);
}

/* ---- the user's side ---- */

static struct grant_mapping *mapping_of(const struct domain *d, grant_handle_t handle)
{
    return &d->grant_mapping[handle / MAPPINGS_PER_PAGE][handle % MAPPINGS_PER_PAGE];
}

/** One more page of mappings, all free. Called with grant_lock held. */
static bool more_handles(struct domain *d)
{
    u32 first = d->nr_grant_handles;
    struct grant_mapping *page;

    if (first >= MAPPING_PAGES * MAPPINGS_PER_PAGE || !(page = arch_alloc_pages(0)))
        return false;
    d->grant_mapping[first / MAPPINGS_PER_PAGE] = page;
    d->nr_grant_handles += MAPPINGS_PER_PAGE;
    for (u32 i = 0; i < MAPPINGS_PER_PAGE; i++)
        page[i].ref = i + 1 < MAPPINGS_PER_PAGE ? first + i + 1 : NO_HANDLE;
    d->grant_free = first;
    return true;
}

int16_t grant_handle_new(struct domain *d, const struct grant_mapping *m, grant_handle_t *handle)
{
    struct grant_mapping *slot;
    HOLD(&d->grant_lock);

    if (d->grant_free == NO_HANDLE && !more_handles(d))
        return GNTST_no_space;
    slot = mapping_of(d, d->grant_free);
    *handle = d->grant_free;
    d->grant_free = slot->ref;
    *slot = *m;
    return GNTST_okay;
}

bool grant_handle_get(struct domain *d, grant_handle_t handle, struct grant_mapping *m)
{
    HOLD(&d->grant_lock);

    if (handle >= d->nr_grant_handles || !mapping_of(d, handle)->flags)
        return false;
    *m = *mapping_of(d, handle);
    return true;
}

void grant_handle_set(struct domain *d, grant_handle_t handle, u32 flags)
{
    struct grant_mapping *m = mapping_of(d, handle);

    HOLD(&d->grant_lock);

    if (flags & (GNTMAP_host_map | GNTMAP_device_map)) {
        m->flags = flags;
    } else {
        m->flags = 0;
        m->ref = d->grant_free;
        d->grant_free = handle;
    }
}

/* ---- the end ---- */

int grant_drop_mappings(struct domain *d)
{
    for (; d->grant_dropped < d->nr_grant_handles; d->grant_dropped++) {
        struct grant_mapping m;

        if (!grant_handle_get(d, d->grant_dropped, &m))
            continue;
        grant_handle_set(d, d->grant_dropped, 0);
        grant_release(m.granter, m.ref, !(m.flags & GNTMAP_readonly), MFN(m.mfn));
        domain_put(m.granter);
        if ((d->grant_dropped & 63) == 63 && arch_preempt_needed()) {
            d->grant_dropped++;
            return -XEN_ERESTART;
        }
    }
    return 0;
}

void grant_destroy(struct domain *d)
{
    HOLD(&d->grant_lock);

    while (d->nr_grant_frames) {
        d->nr_grant_frames--;
        arch_unshare_page(d, d->grant_frame[d->nr_grant_frames]);
        arch_free_pages(d->grant_use[d->nr_grant_frames], USE_ORDER);
    }
    while (d->nr_grant_handles) {
        d->nr_grant_handles -= MAPPINGS_PER_PAGE;
        arch_free_pages(d->grant_mapping[d->nr_grant_handles / MAPPINGS_PER_PAGE], 0);
    }
    arch_free(d->grant_frame);
    arch_free(d->grant_use);
    arch_free(d->grant_mapping);
    d->grant_frame = NULL;
    d->grant_use = NULL;
    d->grant_mapping = NULL;
    d->grant_free = NO_HANDLE;
    d->max_grant_frames = 0;
}

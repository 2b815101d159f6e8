/* SPDX-License-Identifier: MIT */
/*
 * The shared pages of grant tables, version 1: set-up, growth, swap, end.
 *
 * Lock: d->lock for the table of pages. Entries are the guest's: the hypervisor only ever reads a
 * copy of one.
 * Does not: map or copy by grant; no domain holds another's frame through a table yet, so entries
 * are never in use.
 */
#include "grant.h"

#define ENTRIES_PER_PAGE (PAGE_SIZE / sizeof(grant_entry_v1_t))

int grant_init(struct domain *d)
{
    d->max_grant_frames = GRANT_DEFAULT_MAX_FRAMES;
    d->grant_version = 1;
    d->grant_frame = arch_alloc(d->max_grant_frames * sizeof(*d->grant_frame));
    if (!d->grant_frame)
        return -XEN_ENOMEM;
    return grant_grow(d, 1);
}

int grant_grow(struct domain *d, unsigned int n)
{
    int rc = 0;

    if (n > d->max_grant_frames)
        return -XEN_EINVAL;
    spin_lock(&d->lock);
    while (d->nr_grant_frames < n && !rc) {
        void *page = arch_alloc_pages(0);

        if (!page) {
            rc = -XEN_ENOMEM;
        } else {
            (void)arch_share_page(d, page, true);
            d->grant_frame[d->nr_grant_frames] = page;
            __atomic_store_n(&d->nr_grant_frames, d->nr_grant_frames + 1, __ATOMIC_RELEASE);
        }
    }
    spin_unlock(&d->lock);
    return rc;
}

mfn_t grant_frame_mfn(const struct domain *d, unsigned int i)
{
    if (i >= __atomic_load_n(&d->nr_grant_frames, __ATOMIC_ACQUIRE))
        return MFN_INVALID;
    return arch_virt_to_mfn(d->grant_frame[i]);
}

int grant_swap(struct domain *d, grant_ref_t a, grant_ref_t b)
{
    u32 end = __atomic_load_n(&d->nr_grant_frames, __ATOMIC_ACQUIRE) * ENTRIES_PER_PAGE;
    grant_entry_v1_t *ea, *eb, copy;
    int rc = 0;

    if (a >= end || b >= end)
        return -XEN_EINVAL;
    ea = (grant_entry_v1_t *)d->grant_frame[a / ENTRIES_PER_PAGE] + a % ENTRIES_PER_PAGE;
    eb = (grant_entry_v1_t *)d->grant_frame[b / ENTRIES_PER_PAGE] + b % ENTRIES_PER_PAGE;
    spin_lock(&d->lock);
    if ((READ_ONCE(ea->flags) | READ_ONCE(eb->flags)) & (GTF_reading | GTF_writing)) {
        rc = -XEN_EBUSY;
    } else {
        copy = *ea;
        *ea = *eb;
        *eb = copy;
    }
    spin_unlock(&d->lock);
    return rc;
}

void grant_destroy(struct domain *d)
{
    spin_lock(&d->lock);
    while (d->nr_grant_frames) {
        d->nr_grant_frames--;
        arch_unshare_page(d, d->grant_frame[d->nr_grant_frames]);
    }
    spin_unlock(&d->lock);
    arch_free(d->grant_frame);
    d->grant_frame = NULL;
    d->max_grant_frames = 0;
}

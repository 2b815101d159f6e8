/* SPDX-License-Identifier: MIT */
/*
 * Grant tables, version 1 (xen/grant_table.h): the pages in which a domain names frames that others may use, which of its
 * grants are in use, and what each domain has mapped by others'. The hypercall is hv/hypercall/grant.c.
 *
 * Two sides. The granter has, for each grant in use, a count of readers and writers, the user's id and the frame as it was
 * when the first of them came; the guest's own entry is read once for that and gets GTF_reading and GTF_writing as the ABI
 * says. The user has a mapping with a handle for each map; a mapping holds the frame (arch_hold_frame()) until it is
 * unmapped or its domain dies, and the page-table entry or p2m entry behind it holds it once more for itself. So neither
 * end's death, nor a guest that overwrites its entry, leaves anything dangling: frames of a dead granter live until their
 * last mapping goes.
 * Locks: grant_lock of one domain at a time.
 */
#ifndef PARANGON_GRANT_H
#define PARANGON_GRANT_H

#include "domain.h"

/** Most pages of a table, where nothing else is said: 64, 32,768 grants (Xen's default). */
#define GRANT_DEFAULT_MAX_FRAMES 64
/** Most mappings of one domain: their records are the hypervisor's memory. */
#define GRANT_MAX_MAPPINGS 32768

/** A table of one page, version 1. 0 or -XEN_ENOMEM. */
int grant_init(struct domain *d);
/**
 * Let the table have n pages at least. 0, -XEN_EINVAL beyond the maximum, -XEN_ENOMEM (then it has
 * grown less far).
 */
int grant_grow(struct domain *d, unsigned int n);
/** Machine frame of page i of the table; MFN_INVALID if there is none. */
mfn_t grant_frame_mfn(const struct domain *d, unsigned int i);
/** Swap two entries. 0, or -XEN_EINVAL if one is not in the table, -XEN_EBUSY if one is in use. */
int grant_swap(struct domain *d, grant_ref_t a, grant_ref_t b);
/** A dying domain's: give up all that it has mapped of others. 0, or -XEN_ERESTART to be called again. */
int grant_drop_mappings(struct domain *d);
/** Give the pages back. */
void grant_destroy(struct domain *d);

/**
 * Use a grant of d's on behalf of `user`: count it, and hold its frame (arch_hold_frame()).
 * @return GNTST_okay and *mfn; GNTST_bad_gntref: not in the table; GNTST_general_error: not granted to `user`, or not for
 *         writing, in use too often, or a frame that may not be written by others (a page table); GNTST_bad_page: the entry
 *         names no memory of d's
 */
int16_t grant_acquire(struct domain *d, grant_ref_t ref, domid_t user, bool writable, mfn_t *mfn);
/** End one use, and the hold. d may be dying, its table gone. */
void grant_release(struct domain *d, grant_ref_t ref, bool writable, mfn_t mfn);

/** A mapping, as its user's table has it. */
struct grant_mapping {
    u64 mfn;
    struct domain *granter;    /* with a reference */
    grant_ref_t ref;           /* free: the next free handle */
    u32 flags;                 /* GNTMAP_device_map, _host_map, _readonly; 0: free */
};
/** A handle for a new mapping of d's. GNTST_okay or GNTST_no_space. */
int16_t grant_handle_new(struct domain *d, const struct grant_mapping *m, grant_handle_t *handle);
/** The mapping of a handle; false: there is none. */
bool grant_handle_get(struct domain *d, grant_handle_t handle, struct grant_mapping *m);
/** Change what is left of a mapping (flags); no host and no device mapping: the handle is free again. */
void grant_handle_set(struct domain *d, grant_handle_t handle, u32 flags);

#endif

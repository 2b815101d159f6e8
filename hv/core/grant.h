/* SPDX-License-Identifier: MIT */
/*
 * Grant tables: the pages that a domain and the hypervisor share so that the domain can name frames
 * others may use (xen/grant_table.h, version 1 entries). The hypercall is hv/hypercall/grant.c.
 */
#ifndef PARANGON_GRANT_H
#define PARANGON_GRANT_H

#include "domain.h"

/** Most pages of a table, where nothing else is said: 64, 32,768 grants (Xen's default). */
#define GRANT_DEFAULT_MAX_FRAMES 64

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
/** Give the pages back. */
void grant_destroy(struct domain *d);

#endif

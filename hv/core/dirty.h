/* SPDX-License-Identifier: MIT */
/*
 * Log-dirty: which guest frames of a domain have been written since somebody last asked (DESIGN §3, decision 3). One bitmap
 * by guest frame number, for PV domains (pseudo-physical frames) and auto-translated ones alike; live migration reads it.
 *
 * Who marks: copies to guest memory and frames on guests' stacks (x86/guest.c, x86/pv/bounce.c), entries of a physical map
 * that change from log-dirty to ram (p2m.c). Pages that the hypervisor shares with the guest for long (vcpu_info, event
 * words, the console ring) are written without a mark: each reading counts them as dirty. While no domain logs, all this
 * costs one test of dirty_logs.
 * Locks: none; bits change by atomic operations. Start and stop are for a domain whose vCPUs are paused.
 * Does not: write-protect a PV domain's page tables' entries; what a PV guest writes itself is not seen yet.
 */
#ifndef PARANGON_DIRTY_H
#define PARANGON_DIRTY_H

#include "domain.h"

/** Domains that log now. */
extern u32 dirty_logs;

/**
 * Begin to log guest frames 0..nr-1, none of them dirty. An auto-translated domain's ram becomes log-dirty.
 * @return 0; -XEN_EEXIST: it logs already; -XEN_EINVAL: nr is 0 or beyond P2M_LIMIT; -XEN_ENOMEM;
 *         -XEN_ERESTART: call again, with the same nr
 */
int dirty_log_start(struct domain *d, u64 nr);
/** End it: 0, or -XEN_ERESTART to be called again. No log: nothing happens. */
int dirty_log_stop(struct domain *d);
/** A dying domain's: forget the bitmap. */
void dirty_log_free(struct domain *d);

void dirty_log_mark(struct domain *d, gfn_t gfn);
/** Guest frame gfn of d is being written by other means than the guest's own instruction. */
static inline void mark_dirty(struct domain *d, gfn_t gfn)
{
    if (unlikely(d->dirty != NULL))
        dirty_log_mark(d, gfn);
}

/**
 * Read the bits of 64 * n guest frames from `first` (a multiple of 64) on into words[]; with `clean` they are clear
 * afterwards and the next write to each is noticed again. Frames beyond the log read as clean.
 * @return how many are dirty; -XEN_EINVAL: no log, or first is no multiple of 64; -XEN_ENOMEM: nothing was cleaned
 */
long dirty_log_read(struct domain *d, u64 first, u64 *words, unsigned int n, bool clean);

#endif

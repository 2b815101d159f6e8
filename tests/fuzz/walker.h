/* SPDX-License-Identifier: MIT */
/*
 * The invariant of frame typing (hv/x86/pv/typing.h), checked by recounting everything from the
 * tables.
 */
#ifndef PARANGON_FUZZ_WALKER_H
#define PARANGON_FUZZ_WALKER_H

#include "core/domain.h"
#include "fuzz.h"
#include "x86/frame.h"

/**
 * What tests hold beside tables, pins and base pointers: references and type references per frame.
 */
struct held {
    u32 refs, types;
};

/**
 * Walk all tables, count what they refer to, add pins, base pointers of all vCPUs, allocations and
 * `held`, and compare with the records of all frames. Aborts through FUZZ_CHECK() at the first
 * difference. Checks besides: types along every entry, owners, and that no TLB may write to a table
 * or walk a frame that is none.
 */
void walk_all(const struct held *held);

/**
 * An entry for a table of this level: at times empty or not present, else a frame that pick_frame() takes for the level below (0: data) with
 * bits of protection, rarely one of `odd`. Recorded seeds rely on the order of what is drawn.
 */
u64 fuzz_entry(struct fuzz_input *in, unsigned int level, u64 (*pick_frame)(struct fuzz_input *in, unsigned int role), const u64 *odd,
               size_t nr_odd);

#endif

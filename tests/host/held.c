/* SPDX-License-Identifier: MIT */
/*
 * What the portable part holds of guests' frames, counted as it takes and drops them: the linker leads the calls of hv/core and
 * hv/hypercall through here (--wrap), so the walker can tell these references from any that were lost.
 *
 * Does not: see calls within the file that implements them.
 */
#include <stdlib.h>

#include "machine.h"

static struct host_held *held;
static u64 nr;

void host_held_reset(u64 frames)
{
    free(held);
    held = frames ? calloc(frames, sizeof(*held)) : NULL;
    nr = frames;
}

struct host_held host_held(mfn_t mfn)
{
    return held[mfn.n];
}

static void count(mfn_t mfn, bool writable, int n)
{
    held[mfn.n].refs += n;
    held[mfn.n].types += writable ? n : 0;
}

int __real_arch_get_guest_frame(struct domain *d, gfn_t gfn, void **va);
int __wrap_arch_get_guest_frame(struct domain *d, gfn_t gfn, void **va);
int __wrap_arch_get_guest_frame(struct domain *d, gfn_t gfn, void **va)
{
    int err = __real_arch_get_guest_frame(d, gfn, va);

    if (!err)
        count(virt_to_mfn(*va), true, 1);
    return err;
}

void __real_arch_put_guest_frame(struct domain *d, void *va);
void __wrap_arch_put_guest_frame(struct domain *d, void *va);
void __wrap_arch_put_guest_frame(struct domain *d, void *va)
{
    count(virt_to_mfn(va), true, -1);
    __real_arch_put_guest_frame(d, va);
}

int __real_arch_hold_frame(const struct domain *owner, mfn_t mfn, bool writable);
int __wrap_arch_hold_frame(const struct domain *owner, mfn_t mfn, bool writable);
int __wrap_arch_hold_frame(const struct domain *owner, mfn_t mfn, bool writable)
{
    int err = __real_arch_hold_frame(owner, mfn, writable);

    if (!err)
        count(mfn, writable, 1);
    return err;
}

void __real_arch_drop_frame(mfn_t mfn, bool writable);
void __wrap_arch_drop_frame(mfn_t mfn, bool writable);
void __wrap_arch_drop_frame(mfn_t mfn, bool writable)
{
    count(mfn, writable, -1);
    __real_arch_drop_frame(mfn, writable);
}

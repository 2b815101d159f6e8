/* SPDX-License-Identifier: MIT */
/*
 * 32-bit callers (DESIGN §3, decision 5): structures that the ABI lays out differently for them, and the window through which
 * a translated argument reaches a hypercall's function. hv/hypercall/compat.c translates; the layouts follow from
 * xen/arch-x86/xen-x86_32.h (longs, pointers and frame numbers of 4 bytes, 8-byte numbers aligned to 4).
 *
 * The window: while a translated call runs, addresses from COMPAT_WINDOW on, which no 32-bit caller can name, mean the
 * frame's buffer in the hypervisor. Accessors to guest memory ask compat_window() where they leave their usual path.
 */
#ifndef PARANGON_COMPAT_H
#define PARANGON_COMPAT_H

#include "domain.h"

#define COMPAT_WINDOW      (1ull << 46)
#define COMPAT_WINDOW_SIZE 1024

struct compat_frame {
    bool continued;            /* the function wanted to be issued again, with these arguments */
    unsigned int op;
    u64 args[6];
    u8 buffer[COMPAT_WINDOW_SIZE] __aligned_(8);
};

/** Where n bytes at an address of the window are; NULL: not in the window, or no translated call runs. */
static inline void *compat_window(gva_t gva, size_t n)
{
    struct compat_frame *f = current_vcpu()->compat;

    if (likely(!f) || gva < COMPAT_WINDOW || n > COMPAT_WINDOW_SIZE || gva - COMPAT_WINDOW > COMPAT_WINDOW_SIZE - n)
        return NULL;
    return f->buffer + (gva - COMPAT_WINDOW);
}

/* ---- pages shared with a 32-bit guest ---- */

struct vcpu_info_32 {
    u8 evtchn_upcall_pending, evtchn_upcall_mask, pad[2];
    u32 evtchn_pending_sel;
    u32 cr2, arch_pad[5];
    struct vcpu_time_info time;
};
struct shared_info_32 {
    struct vcpu_info_32 vcpu_info[XEN_LEGACY_MAX_VCPUS];
    u32 evtchn_pending[32], evtchn_mask[32];
    u32 wc_version, wc_sec, wc_nsec;
    u32 max_pfn, pfn_to_mfn_frame_list_list, nmi_reason, p2m_cr3, p2m_vaddr, p2m_generation;
    u32 wc_sec_hi;
};
_Static_assert(sizeof(struct vcpu_info_32) == sizeof(struct vcpu_info) &&
               offsetof(struct vcpu_info_32, time) == offsetof(struct vcpu_info, time) &&
               offsetof(struct shared_info_32, evtchn_pending) == offsetof(struct shared_info, evtchn_pending),
               "what both widths have at one place is written without asking for the width");

/** Two-level ports of a 32-bit guest: a selector word of 32 bits, each for a word of 32. */
#define EVTCHN_2L_NR_CHANNELS_32 1024

static inline void *shared_info_mask(const struct domain *d)
{
    return unlikely(d->narrow) ? (void *)((struct shared_info_32 *)d->shared_info)->evtchn_mask
                               : (void *)d->shared_info->evtchn_mask;
}
/** Set the bit of a pending port in the selector of v; false if it was set. */
static inline bool vcpu_info_select(struct vcpu *v, u32 port)
{
    if (unlikely(v->domain->narrow))
        return !(__atomic_fetch_or(&((struct vcpu_info_32 *)v->info)->evtchn_pending_sel, 1u << (port / 32), __ATOMIC_SEQ_CST) &
                 1u << (port / 32));
    return !test_and_set_bit(port / 64, &v->info->evtchn_pending_sel);
}
/** The wall clock's fields. */
struct shared_wallclock {
    u32 *version, *sec, *nsec, *sec_hi;
};
static inline struct shared_wallclock shared_info_wallclock(struct domain *d)
{
    struct shared_info *s = d->shared_info;
    struct shared_info_32 *n = (void *)s;

    return d->narrow ? (struct shared_wallclock){&n->wc_version, &n->wc_sec, &n->wc_nsec, &n->wc_sec_hi}
                     : (struct shared_wallclock){&s->wc_version, &s->wc_sec, &s->wc_nsec, &s->wc_sec_hi};
}
/**
 * The domain has mapped its shared_info: the kernel that did so is of this width, and the page is laid out for it from now on.
 * Whoever calls is the domain's own vCPU, before it uses the page.
 */
void domain_set_width(struct domain *d, bool narrow);

struct runstate_info_32 {
    s32 state;
    u64 state_entry_time, time[4];
} __packed_;
static inline struct runstate_info_32 runstate_narrow(const struct vcpu_runstate_info *w)
{
    return (struct runstate_info_32){.state = w->state,
                                     .state_entry_time = w->state_entry_time,
                                     .time = {w->time[0], w->time[1], w->time[2], w->time[3]}};
}

#endif

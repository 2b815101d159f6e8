/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor as the back end of unprivileged domains' consoles, as long as no dom0 is.
 *
 * The guest writes out[] and out_prod, then sends on its port; that send comes here. Output is
 * drained at once, so the ring is empty whenever the guest's send returns, and a guest never waits
 * for room. The indices are the guest's to scribble on: the hypervisor keeps its own consumer index
 * and takes no more than the ring holds.
 *
 * Lock: d->console_lock, around the ring and the line. Does not: feed input; in[] stays empty.
 */
#include "console.h"
#include "evtchn.h"
#include "log.h"
#include <xen/io/console.h>

static void end_line(struct domain *d)
{
    u32 n = d->console_fill;

    if (n && d->console_line[n - 1] == '\r')
        n--;
    log_domain_line(d->id, d->console_line, n);
    d->console_fill = 0;
}

static void take_lines(struct domain *d, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '\n') {
            end_line(d);
            continue;
        }
        if (d->console_fill == sizeof(d->console_line))
            end_line(d);
        d->console_line[d->console_fill++] = s[i];
    }
}

/** Move what there is out of the ring; true if it was full. d->console_lock is held. */
static bool drain(struct domain *d)
{
    struct xencons_interface *ring = d->console_page;
    char chunk[256];
    u32 prod, left;
    bool was_full;

    if (!ring)
        return false;
    prod = READ_ONCE(ring->out_prod);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    left = prod - d->console_cons;
    if (left > sizeof(ring->out)) {
        /* More than a ring full: the guest's index makes no sense. Skip to it. */
        d->console_cons = prod;
        left = 0;
    }
    was_full = left == sizeof(ring->out);
    while (left) {
        u32 at = MASK_XENCONS_IDX(d->console_cons, ring->out);
        size_t n = min_of(left, sizeof(ring->out) - at);

        n = min_of(n, sizeof(chunk));
        memcpy(chunk, ring->out + at, n);
        take_lines(d, chunk, n);
        d->console_cons += n;
        left -= n;
    }
    __atomic_store_n(&ring->out_cons, d->console_cons, __ATOMIC_RELEASE);
    return was_full;
}

void console_drain(struct domain *d)
{
    bool was_full;

    spin_lock(&d->console_lock);
    was_full = drain(d);
    spin_unlock(&d->console_lock);
    if (was_full)
        evtchn_notify(d, d->console_port);
}

void console_flush(struct domain *d)
{
    HOLD(&d->console_lock);

    (void)drain(d);
    if (d->console_fill)
        end_line(d);
}

int console_attach(struct domain *d, gfn_t gfn)
{
    void *ring;
    int rc = arch_get_guest_frame(d, gfn, &ring);

    if (rc)
        return rc;
    rc = evtchn_bind_hypervisor(d, console_drain, &d->console_port);
    if (rc) {
        arch_put_guest_frame(d, ring);
        return rc;
    }
    HOLD(&d->console_lock);
    d->console_page = ring;
    return 0;
}

void console_detach(struct domain *d)
{
    void *ring;

    spin_lock(&d->console_lock);
    ring = d->console_page;
    d->console_page = NULL;
    spin_unlock(&d->console_lock);
    if (ring)
        arch_put_guest_frame(d, ring);
}

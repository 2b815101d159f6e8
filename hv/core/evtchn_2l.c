/* SPDX-License-Identifier: MIT */
/*
 * Two-level event delivery: a pending and a mask bitmap in shared_info, a selector word per vCPU
 * (xen/xen.h: shared_info, vcpu_info).
 * The state of every domain until it asks for FIFO. Up to 4,096 ports, 1,024 of a 32-bit guest.
 *
 * No lock: each bit is changed by one atomic operation, and a guest that scribbles in its page
 * confuses itself alone.
 */
#include "compat.h"
#include "evtchn_port.h"

/** Set the selector bit of a pending, unmasked port and tell v. */
static void select_port(struct vcpu *v, evtchn_port_t port)
{
    if (vcpu_info_select(v, port))
        evtchn_tell(v);
}

void evtchn_2l_set_pending(struct vcpu *v, evtchn_port_t port)
{
    struct shared_info *s = v->domain->shared_info;

    if (test_and_set_bit(port, s->evtchn_pending))
        return;
    if (!test_bit(port, shared_info_mask(v->domain)))
        select_port(v, port);
}

void evtchn_2l_clear_pending(struct domain *d, evtchn_port_t port)
{
    clear_bit(port, d->shared_info->evtchn_pending);
}

void evtchn_2l_unmask(struct vcpu *v, evtchn_port_t port)
{
    struct shared_info *s = v->domain->shared_info;

    if (test_and_clear_bit(port, shared_info_mask(v->domain)) && test_bit(port, s->evtchn_pending))
        select_port(v, port);
}

bool evtchn_2l_is_pending(const struct domain *d, evtchn_port_t port)
{
    return test_bit(port, d->shared_info->evtchn_pending);
}

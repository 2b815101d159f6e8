/* SPDX-License-Identifier: MIT */
/* EVENT_CHANNEL_OP as a guest issues it: the argument lies in its memory, and comes back from there. */
#ifndef PARANGON_TEST_EVENT_OP_H
#define PARANGON_TEST_EVENT_OP_H

#include <string.h>

#include "core/hypercall.h"
#include "machine.h"

static inline long event_op(unsigned int cmd, void *arg, size_t size)
{
    gva_t gva;
    void *guest;
    long rc;

    host_guest_reset();
    guest = host_guest_alloc(size, &gva);
    memcpy(guest, arg, size);
    rc = do_event_channel_op(cmd, gva, 0, 0, 0, 0);
    memcpy(arg, guest, size);
    return rc;
}

/** OP(send, &struct evtchn_send): EVTCHNOP_send by the current vCPU. */
#define OP(cmd, ptr) event_op(EVTCHNOP_##cmd, ptr, sizeof(*(ptr)))

#endif

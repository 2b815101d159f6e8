/* SPDX-License-Identifier: MIT */
/*
 * Consoles of unprivileged domains: a ring in the guest's memory (xen/io/console.h), drained into
 * the hypervisor's log.
 */
#ifndef PARANGON_CONSOLE_H
#define PARANGON_CONSOLE_H

#include "domain.h"

/**
 * Give a new domain its console: a zeroed frame of the domain's becomes the ring, and is kept so
 * until the domain has ended. The port for start_info is d->console_port afterwards.
 * @return 0, or an error of arch_get_guest_frame() or evtchn_bind_hypervisor().
 */
int console_attach(struct domain *d, gfn_t gfn);
/** Read what the guest has written, log whole lines. */
void console_drain(struct domain *d);
/** Drain, and log an unfinished line too: the domain has ended. */
void console_flush(struct domain *d);
/** Give the ring back. */
void console_detach(struct domain *d);

#endif

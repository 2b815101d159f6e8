/* SPDX-License-Identifier: MIT */
/*
 * Consoles of unprivileged domains: a ring in the guest's memory (xen/io/console.h), drained into the hypervisor's log.
 */
#ifndef PARANGON_CONSOLE_H
#define PARANGON_CONSOLE_H

#include "domain.h"

/** Option "console=raw": where a domain is alone, its console goes out as it is, without prefix. */
extern bool console_raw;

/**
 * Give a new domain its console: ring is the hypervisor's address of a zeroed page of the guest's. The port for start_info is
 * d->console_port afterwards. @return 0 or an error of evtchn_bind_hypervisor().
 */
int console_attach(struct domain *d, void *ring);
/** Read what the guest has written, log whole lines. */
void console_drain(struct domain *d);
/** Drain, and log an unfinished line too: the domain has ended. */
void console_flush(struct domain *d);
/** Forget the ring. */
void console_detach(struct domain *d);

#endif

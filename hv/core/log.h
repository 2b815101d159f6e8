/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's log: what goes to the physical console is kept in a ring for
 * XEN_SYSCTL_readconsole too.
 *
 * printk() is in lib.h. Each line of the hypervisor's own begins with "(prg) ", one of domain N
 * with "(dN) "; text of the privileged domain's console goes out as it is.
 */
#ifndef PARANGON_LOG_H
#define PARANGON_LOG_H

#include "lib.h"

/** Write text as it is. */
void log_write(const char *s, size_t n);
/** Write one line of a domain, behind its prefix "(dN) "; a newline is added. */
void log_domain_line(unsigned int domid, const char *s, size_t n);
/**
 * Copy from the ring, oldest first.
 *
 * @param from  index of the first byte wanted, counted since boot modulo 2^32; older ones are
 *              skipped. Set behind what was read.
 * @return      bytes copied, at most n
 */
size_t log_read(u32 *from, char *dst, size_t n);
/** Forget what the ring holds. */
void log_clear(void);

#endif

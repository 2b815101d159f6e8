/* SPDX-License-Identifier: MIT */
/*
 * What the event-channel tests share. The test functions run once by each ABI.
 */
#ifndef MICRO_EVTCHN_H
#define MICRO_EVTCHN_H

#include <stdbool.h>
#include <stdint.h>

/** A new IPI port of vCPU 0, unmasked. */
uint32_t port_ipi(void);
long port_close(uint32_t port);
long port_send(uint32_t port);
/** Use the FIFO ABI from here on, if it is not so already; false: refused. And the 2-level one again; every port is closed by that. */
bool fifo_on(void);
void fifo_off(void);

void evtchn_delivery(void);
void evtchn_port_mask(void);
void evtchn_interdomain(void);

#endif

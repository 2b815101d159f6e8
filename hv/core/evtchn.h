/* SPDX-License-Identifier: MIT */
/*
 * Event channels: ports, their bindings, and the two ways of telling a guest (two-level bitmaps, FIFO queues).
 *
 * evtchn.c owns ports and hypercalls; evtchn_2l.c and evtchn_fifo.c each provide one struct evtchn_ops. A domain starts
 * two-level and changes to FIFO with EVTCHNOP_init_control, once. Port 0 is never valid.
 * Locks: domain->evtchn_lock for the port table, then the lock of a port; of two ports the lower address first.
 */
#ifndef PARANGON_EVTCHN_H
#define PARANGON_EVTCHN_H

#include "domain.h"

enum evtchn_state { ECS_FREE, ECS_RESERVED, ECS_UNBOUND, ECS_INTERDOMAIN, ECS_PIRQ, ECS_VIRQ, ECS_IPI, ECS_HYPERVISOR };

/** EVENT_CHANNEL_OP hypercall. @return 0 or the error that xen/event_channel.h names. */
long evtchn_op(unsigned int cmd, gva_t arg);

int evtchn_init(struct domain *d);
/** Close all ports of a dying domain. */
void evtchn_destroy(struct domain *d);

/** Send on a local port of d (EVTCHNOP_send). 0, -XEN_EINVAL for a port that cannot send. */
int evtchn_send(struct domain *d, evtchn_port_t port);
/** Raise a VIRQ: of this vCPU (VIRQ_TIMER...), or a global one of the hardware domain. Not bound: nothing happens. */
void evtchn_send_virq(struct vcpu *v, unsigned int virq);
void evtchn_send_global_virq(unsigned int virq);
/** Make the hypervisor the other end of a new port of d (console ring of a domain without dom0). */
int evtchn_bind_hypervisor(struct domain *d, void (*notify)(struct domain *d), evtchn_port_t *port);
/** Tell d through a port whose other end is the hypervisor. */
void evtchn_notify(struct domain *d, evtchn_port_t port);
/** VCPUOP_register_vcpu_info moved v's vcpu_info: carry pending state over. */
void evtchn_info_moved(struct vcpu *v);
/** True if any of n ports is pending and so SCHEDOP_poll must not sleep. */
bool evtchn_port_pending(struct domain *d, evtchn_port_t port);

#endif

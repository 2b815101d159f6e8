/* SPDX-License-Identifier: MIT */
/*
 * Event channels: ports, their bindings, and the two ways of telling a guest (two-level bitmaps,
 * FIFO queues).
 *
 * evtchn.c owns ports and bindings, evtchn_2l.c and evtchn_fifo.c tell the guest,
 * hv/hypercall/evtchn_op.c is the hypercall. A domain starts two-level and changes to FIFO with
 * EVTCHNOP_init_control, once. Port 0 is never valid.
 * Locks: domain->evtchn_lock for the port table, then the lock of a port; of two ports the lower
 * address first.
 */
#ifndef PARANGON_EVTCHN_H
#define PARANGON_EVTCHN_H

#include "domain.h"

enum evtchn_state {
    ECS_FREE, ECS_RESERVED, ECS_UNBOUND, ECS_INTERDOMAIN, ECS_PIRQ, ECS_VIRQ, ECS_IPI,
    ECS_HYPERVISOR
};

/** Physical interrupts that a privileged domain may bind (pirq 0..NR_PIRQS-1). */
#define NR_PIRQS 256

/**
 * Most ports of an unprivileged domain: their records are the hypervisor's memory (512 KiB then). A
 * privileged one has all of FIFO's.
 */
#define EVTCHN_MAX_UNPRIVILEGED 16384

/** Prepare a new domain's ports. 0 or -XEN_ENOMEM (evtchn_free() cleans up). */
int evtchn_init(struct domain *d);
/**
 * Close all ports of a dying domain, give its frames back. 0, or -XEN_ERESTART to be called again.
 */
int evtchn_destroy(struct domain *d);
/** Free the records of a domain that nobody refers to any more. */
void evtchn_free(struct domain *d);

/** Send on a local port of d (EVTCHNOP_send). 0, -XEN_EINVAL for a port that cannot send. */
int evtchn_send(struct domain *d, evtchn_port_t port);
/**
 * Raise a VIRQ: of this vCPU (VIRQ_TIMER...), or a global one of the hardware domain. Not bound:
 * nothing happens.
 */
void evtchn_send_virq(struct vcpu *v, unsigned int virq);
void evtchn_send_global_virq(unsigned int virq);
/** Make the hypervisor the other end of a new port of d (console ring of a domain without dom0). */
int evtchn_bind_hypervisor(struct domain *d, void (*notify)(struct domain *d), evtchn_port_t *port);
/** Tell d through a port whose other end is the hypervisor. */
void evtchn_notify(struct domain *d, evtchn_port_t port);
/** VCPUOP_register_vcpu_info moved v's vcpu_info: carry pending state over. */
void evtchn_info_moved(struct vcpu *v);
/** True if the port is pending and so SCHEDOP_poll must not sleep. */
bool evtchn_port_pending(struct domain *d, evtchn_port_t port);
/** A port number that has a record (bound or not). */
bool evtchn_port_valid(struct domain *d, evtchn_port_t port);
/** VIRQs of a domain, not of each vCPU (xen/xen.h marks them G). */
bool virq_is_global(unsigned int virq);

/*
 * The operations of EVENT_CHANNEL_OP, on behalf of domain d whose rights have been checked. New
 * ports come back in *port. Errors:
 * -XEN_EINVAL for a port or state that does not allow it, -XEN_ENOENT for a vCPU that d has not,
 * -XEN_EEXIST for a VIRQ or pirq that is bound, -XEN_ENOSPC without free ports, -XEN_ENOMEM,
 * -XEN_EPERM (pirq of an unprivileged domain).
 */
int evtchn_alloc_unbound(struct domain *d, domid_t allowed, evtchn_port_t *port);
int evtchn_bind_interdomain(struct domain *d, struct domain *remote, evtchn_port_t remote_port,
                            evtchn_port_t *port);
int evtchn_bind_virq(struct domain *d, unsigned int virq, unsigned int vcpu, evtchn_port_t *port);
int evtchn_bind_ipi(struct domain *d, unsigned int vcpu, evtchn_port_t *port);
int evtchn_bind_pirq(struct domain *d, unsigned int pirq, evtchn_port_t *port);
/** by_guest: refuse to close what belongs to the hypervisor. */
int evtchn_close(struct domain *d, evtchn_port_t port, bool by_guest);
int evtchn_status(struct domain *d, struct evtchn_status *op);
int evtchn_bind_vcpu(struct domain *d, evtchn_port_t port, unsigned int vcpu);
int evtchn_unmask(struct domain *d, evtchn_port_t port);
/** 0 (first) to 15; -XEN_ENOSYS before FIFO. */
int evtchn_set_priority(struct domain *d, evtchn_port_t port, unsigned int priority);
/** Close all that is the guest's, back to two-level. 0, or -XEN_ERESTART to be called again. */
int evtchn_reset(struct domain *d);
/**
 * Errors of arch_get_guest_frame() too; -XEN_ENOSYS for expand_array before init_control,
 * -XEN_ENOSPC for a full array.
 */
int evtchn_init_control(struct domain *d, struct evtchn_init_control *op);
int evtchn_expand_array(struct domain *d, u64 gfn);

#endif

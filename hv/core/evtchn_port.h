/* SPDX-License-Identifier: MIT */
/*
 * Ports of event channels as evtchn.c, evtchn_2l.c and evtchn_fifo.c share them; nobody else
 * includes this.
 *
 * A port's record is 32 bytes, 128 of them in a page ("bucket"); buckets are made on demand in
 * order and live as long as the domain, so a record once found stays valid while its domain does.
 */
#ifndef PARANGON_EVTCHN_PORT_H
#define PARANGON_EVTCHN_PORT_H

#include "evtchn.h"

struct evtchn {
    struct spinlock lock;
    u8 state;                    /* enum evtchn_state */
    u8 priority;                 /* FIFO: queue to be linked to, 0 is served first */
    u8 last_priority;            /* FIFO: queue that it was last linked to ... */
    /* FIFO: became pending before the guest gave a page for its word */
    bool pending_unmapped;
    u16 notify_vcpu;             /* vCPU that is told */
    u16 last_vcpu;               /* ... and of which vCPU */
    u16 allowed_domid;           /* UNBOUND: who may bind to it */
    u16 pad;
    union {
        evtchn_port_t remote_port; /* INTERDOMAIN */
        u32 source;              /* VIRQ, PIRQ: its number */
    };
    union {
        /* INTERDOMAIN; valid while the port is bound (see topology lock in evtchn.c) */
        struct domain *remote;
        void (*notify)(struct domain *d); /* HYPERVISOR */
    };
};

#define EVTCHNS_PER_BUCKET (PAGE_SIZE / sizeof(struct evtchn))

/** The record of a port below d->nr_valid_ports. */
static inline struct evtchn *evtchn_record(const struct domain *d, evtchn_port_t port)
{
    return &d->evtchn_bucket[port / EVTCHNS_PER_BUCKET][port % EVTCHNS_PER_BUCKET];
}

/** The record of a port that a guest names; NULL if there is none. */
static inline struct evtchn *evtchn_lookup(const struct domain *d, evtchn_port_t port)
{
    if (unlikely(port >= __atomic_load_n(&d->nr_valid_ports, __ATOMIC_ACQUIRE)))
        return NULL;
    return evtchn_record(d, port);
}

/** An unmasked event waits for v: tell it once, and end its block or poll. */
static inline void evtchn_tell(struct vcpu *v)
{
    if (__atomic_exchange_n(&v->info->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST))
        return;
    if (v->pause_flags & (VPF_BLOCKED | VPF_POLLING))
        vcpu_unblock(v);
    arch_event_pending(v);
}

/* Two-level bitmaps in shared_info (evtchn_2l.c). */
void evtchn_2l_set_pending(struct vcpu *v, evtchn_port_t port);
void evtchn_2l_clear_pending(struct domain *d, evtchn_port_t port);
void evtchn_2l_unmask(struct vcpu *v, evtchn_port_t port);
bool evtchn_2l_is_pending(const struct domain *d, evtchn_port_t port);

/* FIFO queues (evtchn_fifo.c). */
void evtchn_fifo_set_pending(struct vcpu *v, struct evtchn *c, evtchn_port_t port);
void evtchn_fifo_clear_pending(struct domain *d, struct evtchn *c, evtchn_port_t port);
void evtchn_fifo_unmask(struct vcpu *v, struct evtchn *c, evtchn_port_t port);
bool evtchn_fifo_is_pending(const struct domain *d, evtchn_port_t port);
/** Still in a queue, so that the port may not be given out again. */
bool evtchn_fifo_is_linked(const struct domain *d, evtchn_port_t port);
/** Call fn for each page of the guest's that FIFO delivery writes to. Called with the vCPUs paused. */
void evtchn_fifo_for_each_page(struct domain *d, void (*fn)(struct domain *d, const void *page));
/** EVTCHNOP_init_control, _expand_array. Called with d->evtchn_lock held. */
int evtchn_fifo_init_control(struct domain *d, struct evtchn_init_control *op);
int evtchn_fifo_expand_array(struct domain *d, u64 gfn);
/**
 * Back to two-level, all frames given back; every port is closed or the hypervisor's. Called with
 * d->evtchn_lock held.
 */
void evtchn_fifo_destroy(struct domain *d);

#endif

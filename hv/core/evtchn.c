/* SPDX-License-Identifier: MIT */
/*
 * Event channels: the table of ports, their bindings, and sending (xen/event_channel.h says what
 * each operation means).
 * How a guest is told is the business of evtchn_2l.c and evtchn_fifo.c; the hypercall itself is in
 * hv/hypercall/evtchn_op.c.
 *
 * Locks, outermost first:
 *   topology_lock      binding and closing, the rare operations: while it is held no interdomain
 *                      port changes its other end, so a pointer to the other domain stays good
 *                      between looking at a port and locking its peer
 *   d->evtchn_lock     allocation of ports, the FIFO's frames
 *   a port's lock      its state; of two ports the lower address first. Sending takes that of the
 *                      sending port alone: whoever changes the other end holds it too
 *   v->virq_lock       the ports of v's VIRQs
 * Ports are given out lowest first, as guests' memory follows the highest number.
 */
#include "compat.h"
#include "evtchn_port.h"
#include <trace/trace.h>

static struct spinlock topology_lock = SPINLOCK(LOCK_TOPOLOGY);

static u32 port_limit(const struct domain *d)
{
    u32 limit = d->evtchn_fifo_on ? EVTCHN_FIFO_NR_CHANNELS : d->narrow ? EVTCHN_2L_NR_CHANNELS_32 : EVTCHN_2L_NR_CHANNELS;

    return min_of(limit, d->max_ports);
}

/**
 * May this record be given out? Under FIFO a closed port can still be in a queue of the guest's.
 */
static bool port_available(const struct domain *d, const struct evtchn *c, evtchn_port_t port)
{
    return c->state == ECS_FREE && !(d->evtchn_fifo_on && evtchn_fifo_is_linked(d, port));
}

/**
 * Make the next bucket of records. Called with d->evtchn_lock held. 0, -XEN_ENOSPC, -XEN_ENOMEM.
 */
static int add_bucket(struct domain *d)
{
    struct evtchn *bucket;

    if (d->nr_valid_ports >= port_limit(d))
        return -XEN_ENOSPC;
    bucket = arch_alloc_pages(0);
    if (!bucket)
        return -XEN_ENOMEM;
    for (unsigned int i = 0; i < EVTCHNS_PER_BUCKET; i++) {
        spin_lock_init(&bucket[i].lock, LOCK_PORT);
        bucket[i].priority = bucket[i].last_priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
    }
    d->evtchn_bucket[d->nr_valid_ports / EVTCHNS_PER_BUCKET] = bucket;
    __atomic_store_n(&d->nr_valid_ports, d->nr_valid_ports + EVTCHNS_PER_BUCKET, __ATOMIC_RELEASE);
    return 0;
}

/**
 * Reserve the lowest free port; the caller binds it or calls release_port(). Returns it, or a
 * negative error.
 */
static int reserve_port(struct domain *d)
{
    u32 passed = 0; /* the first free one that could not be given out yet */
    HOLD(&d->evtchn_lock);

    for (u32 port = d->evtchn_hint;; port++) {
        int rc = port >= d->nr_valid_ports && port < port_limit(d) && !d->dying ? add_bucket(d) : 0;

        if (rc || d->dying || port >= port_limit(d))
            return rc ? rc : d->dying ? -XEN_EINVAL : -XEN_ENOSPC;
        if (port_available(d, evtchn_record(d, port), port)) {
            evtchn_record(d, port)->state = ECS_RESERVED;
            d->evtchn_hint = passed ? passed : port + 1;
            return port;
        }
        if (!passed && evtchn_record(d, port)->state == ECS_FREE)
            passed = port;
    }
}

/** Give a port back whose state is already ECS_FREE, or is ECS_RESERVED because binding failed. */
static void release_port(struct domain *d, evtchn_port_t port)
{
    HOLD(&d->evtchn_lock);

    evtchn_record(d, port)->state = ECS_FREE;
    if (port < d->evtchn_hint)
        d->evtchn_hint = port;
}

static __cold_ void wake_pollers(struct domain *d, evtchn_port_t port)
{
    for (u32 left = READ_ONCE(d->poll_mask); left; left &= left - 1) {
        struct vcpu *v = d->vcpu[__builtin_ctz(left)];

        if (v->poll_port == 0 || v->poll_port == port)
            vcpu_unblock(v);
    }
}

/** Make a port of d pending. Called with the lock of a port that keeps this one bound. */
static inline void set_pending(struct domain *d, struct evtchn *c, evtchn_port_t port)
{
    struct vcpu *v = d->vcpu[c->notify_vcpu];

    TRACE_evtchn_pending(d->id, v->id, port);
    if (likely(d->evtchn_fifo_on))
        evtchn_fifo_set_pending(v, c, port);
    else
        evtchn_2l_set_pending(v, port);
    if (unlikely(d->poll_mask))
        wake_pollers(d, port);
}

int evtchn_send(struct domain *d, evtchn_port_t port)
{
    struct evtchn *c = evtchn_lookup(d, port);
    void (*notify)(struct domain *d) = NULL;
    int rc = 0;

    if (unlikely(!c))
        return -XEN_EINVAL;
    spin_lock(&c->lock);
    switch (c->state) {
    case ECS_INTERDOMAIN:
        TRACE_evtchn_send(d->id, c->remote->id, port, c->remote_port);
        set_pending(c->remote, evtchn_record(c->remote, c->remote_port), c->remote_port);
        break;
    case ECS_IPI:
        TRACE_evtchn_send(d->id, d->id, port, port);
        set_pending(d, c, port);
        break;
    case ECS_HYPERVISOR:
        TRACE_evtchn_send(d->id, DOMID_HV, port, 0);
        notify = c->notify;
        break;
    case ECS_UNBOUND:
        break; /* nobody there yet: the event is lost, as the ABI has it */
    default:
        rc = -XEN_EINVAL;
    }
    spin_unlock(&c->lock);
    if (notify)
        notify(d); /* it may want to use the port */
    return rc;
}

void evtchn_send_virq(struct vcpu *v, unsigned int virq)
{
    struct domain *d = v->domain;
    HOLD(&v->virq_lock);
    evtchn_port_t port = v->virq_port[virq];

    if (port)
        set_pending(d, evtchn_record(d, port), port);
}

void evtchn_send_global_virq(unsigned int virq)
{
    if (hardware_domain)
        evtchn_send_virq(hardware_domain->vcpu[0], virq);
}

void evtchn_notify(struct domain *d, evtchn_port_t port)
{
    struct evtchn *c = evtchn_lookup(d, port);

    if (!c)
        return;
    HOLD(&c->lock);
    if (c->state == ECS_HYPERVISOR)
        set_pending(d, c, port);
}

bool evtchn_port_pending(struct domain *d, evtchn_port_t port)
{
    return d->evtchn_fifo_on ? evtchn_fifo_is_pending(d, port) : evtchn_2l_is_pending(d, port);
}

bool evtchn_port_valid(struct domain *d, evtchn_port_t port)
{
    return port != 0 && evtchn_lookup(d, port);
}

void evtchn_info_moved(struct vcpu *v)
{
    /* Nothing may get lost on the way: the guest looks at everything once. */
    if (!v->domain->evtchn_fifo_on)
        __atomic_store_n(&v->info->evtchn_pending_sel, ~0ul, __ATOMIC_SEQ_CST);
    __atomic_store_n(&v->info->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST);
    arch_event_pending(v);
}

/**
 * Give d's lowest free port this binding: all of `as` but what is every binding's. slot: where its number is kept, 0 while
 * none is; NULL: nowhere. The trace says kind, peer and value.
 * @return 0 and *port; -XEN_EEXIST: the slot has one; what reserve_port() says
 */
static int bind(struct domain *d, const struct evtchn *as, u32 *slot, evtchn_port_t *port, u8 kind, domid_t peer, u32 value)
{
    evtchn_port_t none = 0;
    int new = reserve_port(d);
    struct evtchn *c;
    bool taken;

    if (new < 0)
        return new;
    c = evtchn_record(d, new);
    spin_lock(&c->lock);
    c->allowed_domid = as->allowed_domid;
    c->source = as->source;
    c->notify = as->notify;
    c->notify_vcpu = as->notify_vcpu;
    c->priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
    c->state = as->state;
    taken = slot && !__atomic_compare_exchange_n(slot, &none, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    if (taken)
        c->state = ECS_RESERVED;
    spin_unlock(&c->lock);
    if (taken) {
        release_port(d, new);
        return -XEN_EEXIST;
    }
    *port = new;
    TRACE_evtchn_bind(d->id, peer, *port, value, kind);
    return 0;
}

int evtchn_alloc_unbound(struct domain *d, domid_t allowed, evtchn_port_t *port)
{
    return bind(d, &(struct evtchn){.state = ECS_UNBOUND, .allowed_domid = allowed}, NULL, port, TRACE_EVTCHN_UNBOUND, allowed, 0);
}

static void lock_pair(struct evtchn *a, struct evtchn *b)
{
    spin_lock(a < b ? &a->lock : &b->lock);
    if (a != b)
        spin_lock(a < b ? &b->lock : &a->lock);
}

static void unlock_pair(struct evtchn *a, struct evtchn *b)
{
    if (a != b)
        spin_unlock(a < b ? &b->lock : &a->lock);
    spin_unlock(a < b ? &a->lock : &b->lock);
}

int evtchn_bind_interdomain(struct domain *d, struct domain *remote, evtchn_port_t remote_port,
                            evtchn_port_t *port)
{
    struct evtchn *c, *rc = evtchn_lookup(remote, remote_port);
    int new;

    if (!rc)
        return -XEN_EINVAL;
    new = reserve_port(d);
    if (new < 0)
        return new;
    c = evtchn_record(d, new);

    spin_lock(&topology_lock);
    lock_pair(c, rc);
    if (rc->state != ECS_UNBOUND || rc->allowed_domid != d->id || remote->dying) {
        unlock_pair(c, rc);
        spin_unlock(&topology_lock);
        release_port(d, new);
        return -XEN_EINVAL;
    }
    c->remote = remote;
    c->remote_port = remote_port;
    c->notify_vcpu = 0;
    c->priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
    c->state = ECS_INTERDOMAIN;
    rc->remote = d;
    rc->remote_port = new;
    rc->state = ECS_INTERDOMAIN;
    /* The peer may have sent before anybody listened. */
    set_pending(d, c, new);
    unlock_pair(c, rc);
    spin_unlock(&topology_lock);
    TRACE_evtchn_bind(d->id, remote->id, new, remote_port, TRACE_EVTCHN_INTERDOMAIN);
    *port = new;
    return 0;
}

bool virq_is_global(unsigned int virq)
{
    return virq != VIRQ_TIMER && virq != VIRQ_DEBUG && virq != VIRQ_XENOPROF && virq != VIRQ_XENPMU;
}

int evtchn_bind_virq(struct domain *d, unsigned int virq, unsigned int vcpu, evtchn_port_t *port)
{
    if (virq >= NR_VIRQS || (virq_is_global(virq) && vcpu != 0))
        return -XEN_EINVAL;
    if (vcpu >= d->max_vcpus)
        return -XEN_ENOENT;
    return bind(d, &(struct evtchn){.state = ECS_VIRQ, .source = virq, .notify_vcpu = vcpu}, &d->vcpu[vcpu]->virq_port[virq], port,
                TRACE_EVTCHN_VIRQ, d->id, virq);
}

int evtchn_bind_ipi(struct domain *d, unsigned int vcpu, evtchn_port_t *port)
{
    if (vcpu >= d->max_vcpus)
        return -XEN_ENOENT;
    return bind(d, &(struct evtchn){.state = ECS_IPI, .notify_vcpu = vcpu}, NULL, port, TRACE_EVTCHN_IPI, d->id, vcpu);
}

int evtchn_bind_pirq(struct domain *d, unsigned int pirq, evtchn_port_t *port)
{
    if (!d->pirq_port)
        return -XEN_EPERM;
    if (pirq >= NR_PIRQS)
        return -XEN_EINVAL;
    return bind(d, &(struct evtchn){.state = ECS_PIRQ, .source = pirq}, &d->pirq_port[pirq], port, TRACE_EVTCHN_PIRQ, d->id, pirq);
}

int evtchn_bind_hypervisor(struct domain *d, void (*notify)(struct domain *d), evtchn_port_t *port)
{
    return bind(d, &(struct evtchn){.state = ECS_HYPERVISOR, .notify = notify}, NULL, port, TRACE_EVTCHN_INTERDOMAIN, DOMID_HV, 0);
}

/** Undo what a VIRQ binding left in its vCPU; global ones are vCPU 0's wherever they notify. */
static void unbind_virq(struct domain *d, const struct evtchn *c)
{
    struct vcpu *v = d->vcpu[virq_is_global(c->source) ? 0 : c->notify_vcpu];

    HOLD(&v->virq_lock);

    v->virq_port[c->source] = 0;
}

int evtchn_close(struct domain *d, evtchn_port_t port, bool by_guest)
{
    struct evtchn *c = evtchn_lookup(d, port), *peer;

    if (!c || port == 0)
        return -XEN_EINVAL;
    HOLD(&topology_lock);
    /* Under the topology lock no other end comes or goes, so this look is good. */
    peer = READ_ONCE(c->state) == ECS_INTERDOMAIN ? evtchn_record(c->remote, c->remote_port) : c;
    lock_pair(c, peer);
    switch (c->state) {
    case ECS_FREE:
    case ECS_RESERVED:
        goto refused;
    case ECS_HYPERVISOR:
        if (by_guest)
            goto refused;
        break;
    case ECS_VIRQ:
        unbind_virq(d, c);
        break;
    case ECS_PIRQ:
        WRITE_ONCE(d->pirq_port[c->source], 0);
        break;
    case ECS_INTERDOMAIN:
        peer->state = ECS_UNBOUND;
        peer->allowed_domid = d->id;
        break;
    }
    if (d->evtchn_fifo_on)
        evtchn_fifo_clear_pending(d, c, port);
    else
        evtchn_2l_clear_pending(d, port);
    c->notify_vcpu = 0;
    c->state = ECS_RESERVED; /* nobody gets it before release_port() */
    unlock_pair(c, peer);
    release_port(d, port);
    TRACE_evtchn_close(d->id, port);
    return 0;

refused:
    unlock_pair(c, peer);
    return -XEN_EINVAL;
}

int evtchn_status(struct domain *d, struct evtchn_status *op)
{
    struct evtchn *c = evtchn_lookup(d, op->port);

    if (!c)
        return -XEN_EINVAL;
    HOLD(&c->lock);
    switch (c->state) {
    case ECS_UNBOUND:
        op->status = EVTCHNSTAT_unbound;
        op->u.unbound.dom = c->allowed_domid;
        break;
    case ECS_INTERDOMAIN:
        op->status = EVTCHNSTAT_interdomain;
        op->u.interdomain.dom = c->remote->id;
        op->u.interdomain.port = c->remote_port;
        break;
    case ECS_HYPERVISOR:
        op->status = EVTCHNSTAT_interdomain;
        op->u.interdomain.dom = DOMID_HV;
        op->u.interdomain.port = 0;
        break;
    case ECS_PIRQ:
        op->status = EVTCHNSTAT_pirq;
        op->u.pirq = c->source;
        break;
    case ECS_VIRQ:
        op->status = EVTCHNSTAT_virq;
        op->u.virq = c->source;
        break;
    case ECS_IPI:
        op->status = EVTCHNSTAT_ipi;
        break;
    default:
        op->status = EVTCHNSTAT_closed;
    }
    op->vcpu = c->notify_vcpu;
    return 0;
}

int evtchn_bind_vcpu(struct domain *d, evtchn_port_t port, unsigned int vcpu)
{
    struct evtchn *c = evtchn_lookup(d, port);

    if (vcpu >= d->max_vcpus)
        return -XEN_ENOENT;
    if (!c)
        return -XEN_EINVAL;
    HOLD(&c->lock);
    switch (c->state) {
    case ECS_VIRQ:
        if (!virq_is_global(c->source))
            return -XEN_EINVAL;
        break;
    case ECS_UNBOUND:
    case ECS_INTERDOMAIN:
    case ECS_PIRQ:
    case ECS_HYPERVISOR:
        break;
    default:
        return -XEN_EINVAL;
    }
    c->notify_vcpu = vcpu;
    return 0;
}

int evtchn_unmask(struct domain *d, evtchn_port_t port)
{
    struct evtchn *c = evtchn_lookup(d, port);
    struct vcpu *v;

    if (unlikely(!c))
        return -XEN_EINVAL;
    HOLD(&c->lock);
    v = d->vcpu[c->notify_vcpu];
    if (likely(d->evtchn_fifo_on))
        evtchn_fifo_unmask(v, c, port);
    else
        evtchn_2l_unmask(v, port);
    return 0;
}

int evtchn_set_priority(struct domain *d, evtchn_port_t port, unsigned int priority)
{
    struct evtchn *c = evtchn_lookup(d, port);

    if (!d->evtchn_fifo_on)
        return -XEN_ENOSYS;
    if (!c || priority > EVTCHN_FIFO_PRIORITY_MIN)
        return -XEN_EINVAL;
    HOLD(&c->lock);
    c->priority = priority;
    return 0;
}

/**
 * Close the ports from d->evtchn_close_next on; -XEN_ERESTART where it should let others go first.
 */
static int close_all(struct domain *d, bool by_guest)
{
    u32 end = d->nr_valid_ports;

    while (d->evtchn_close_next < end) {
        /* a free port's refusal is no news */
        (void)evtchn_close(d, d->evtchn_close_next++, by_guest);
        if (d->evtchn_close_next % EVTCHNS_PER_BUCKET == 0 && d->evtchn_close_next < end &&
            arch_preempt_needed())
            return -XEN_ERESTART;
    }
    d->evtchn_close_next = 0;
    return 0;
}

int evtchn_reset(struct domain *d)
{
    int rc = close_all(d, true);

    if (rc || !d->evtchn_fifo_on)
        return rc;
    HOLD(&d->evtchn_lock);
    d->evtchn_fifo_on = false;
    /*
     * Ports of the hypervisor are still open: whoever is sending on one comes to an end before its
     * queue goes.
     */
    for (evtchn_port_t port = 1; port < d->nr_valid_ports; port++) {
        spin_lock(&evtchn_record(d, port)->lock);
        spin_unlock(&evtchn_record(d, port)->lock);
    }
    evtchn_fifo_destroy(d);
    return 0;
}

int evtchn_init_control(struct domain *d, struct evtchn_init_control *op)
{
    HOLD(&d->evtchn_lock);

    return evtchn_fifo_init_control(d, op);
}

int evtchn_expand_array(struct domain *d, u64 gfn)
{
    HOLD(&d->evtchn_lock);

    return evtchn_fifo_expand_array(d, gfn);
}

int evtchn_init(struct domain *d)
{
    spin_lock_init(&d->evtchn_lock, LOCK_EVTCHN);
    d->max_ports = d->privileged ? EVTCHN_FIFO_NR_CHANNELS : EVTCHN_MAX_UNPRIVILEGED;
    d->evtchn_bucket = arch_alloc(d->max_ports / EVTCHNS_PER_BUCKET * sizeof(*d->evtchn_bucket));
    if (!d->evtchn_bucket)
        return -XEN_ENOMEM;
    if (d->privileged) {
        d->pirq_port = arch_alloc(NR_PIRQS * sizeof(*d->pirq_port));
        if (!d->pirq_port)
            return -XEN_ENOMEM;
    }
    HOLD(&d->evtchn_lock);
    if (add_bucket(d))
        return -XEN_ENOMEM;
    evtchn_record(d, 0)->state = ECS_RESERVED; /* port 0 is never valid */
    d->evtchn_hint = 1;
    return 0;
}

int evtchn_destroy(struct domain *d)
{
    int rc;

    /* whoever was reserving a port has one by now, or sees that d is dying */
    spin_lock(&d->evtchn_lock);
    spin_unlock(&d->evtchn_lock);
    rc = close_all(d, false);
    if (rc)
        return rc;
    spin_lock(&d->evtchn_lock);
    evtchn_fifo_destroy(d);
    spin_unlock(&d->evtchn_lock);
    if (d->pirq_eoi)
        arch_put_guest_frame(d, d->pirq_eoi);
    d->pirq_eoi = NULL;
    return 0;
}

void evtchn_free(struct domain *d)
{
    if (d->evtchn_bucket)
        for (u32 i = 0; i < d->nr_valid_ports / EVTCHNS_PER_BUCKET; i++)
            arch_free_pages(d->evtchn_bucket[i], 0);
    arch_free(d->evtchn_bucket);
    arch_free(d->pirq_port);
}

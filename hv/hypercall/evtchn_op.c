/* SPDX-License-Identifier: MIT */
/*
 * EVENT_CHANNEL_OP: arguments in, rights checked, hv/core/evtchn.c called, results out
 * (xen/event_channel.h).
 *
 * Send and unmask, which guests issue all the time, come first and touch nothing else.
 */
#include "evtchn.h"
#include "hypercall.h"

/**
 * The domain that a call is about: the caller's own, or any other for a privileged caller. NULL and
 * *rc otherwise.
 */
static struct domain *target(domid_t id, long *rc)
{
    struct domain *caller = current_vcpu()->domain, *d;

    *rc = -XEN_EPERM;
    if (id != DOMID_SELF && id != caller->id && !caller->privileged)
        return NULL;
    *rc = -XEN_ESRCH;
    d = domain_get(id);
    if (d)
        *rc = 0;
    return d;
}

/** The end of every operation that makes a port: tell the guest which, or close it again. Returns rc, or -XEN_EFAULT. */
static long tell_port(struct domain *d, const evtchn_port_t *port, long rc, gva_t arg, const void *op, size_t size)
{
    if (rc || !guest_copy_to(arg, op, size))
        return rc;
    (void)evtchn_close(d, *port, false);
    return -XEN_EFAULT;
}

static long alloc_unbound(struct vcpu *v, void *arg, gva_t at)
{
    struct evtchn_alloc_unbound *op = arg;
    long rc;
    struct domain *d = target(op->dom, &rc);

    if (!d)
        return rc;
    rc = evtchn_alloc_unbound(d, op->remote_dom == DOMID_SELF ? v->domain->id : op->remote_dom, &op->port);
    rc = tell_port(d, &op->port, rc, at, op, sizeof(*op));
    domain_put(d);
    return rc;
}

static long bind_interdomain(struct vcpu *v, void *arg, gva_t at)
{
    struct evtchn_bind_interdomain *op = arg;
    struct domain *remote = domain_get(op->remote_dom);
    long rc;

    if (!remote)
        return -XEN_ESRCH;
    rc = evtchn_bind_interdomain(v->domain, remote, op->remote_port, &op->local_port);
    domain_put(remote);
    return tell_port(v->domain, &op->local_port, rc, at, op, sizeof(*op));
}

static long bind_pirq(struct vcpu *v, void *arg, gva_t at)
{
    struct evtchn_bind_pirq *op = arg;
    long rc = evtchn_bind_pirq(v->domain, op->pirq, &op->port);

    rc = tell_port(v->domain, &op->port, rc, at, op, sizeof(*op));
    return rc == -XEN_EPERM ? refuse(v->domain, __HYPERVISOR_event_channel_op, EVTCHNOP_bind_pirq, rc) : rc;
}

static long status(struct vcpu *v, void *arg, gva_t at)
{
    struct evtchn_status *op = arg;
    long rc;
    struct domain *d = target(op->dom, &rc);

    if (!d)
        return rc;
    rc = evtchn_status(d, op);
    domain_put(d);
    return rc;
}

static long reset(struct vcpu *v, void *arg, gva_t at)
{
    const struct evtchn_reset *op = arg;
    long rc;
    struct domain *d = target(op->dom, &rc);

    if (!d)
        return rc;
    rc = evtchn_reset(d);
    domain_put(d);
    if (rc == -XEN_ERESTART)
        return hypercall_continue(__HYPERVISOR_event_channel_op, 2, (u64)EVTCHNOP_reset, (u64)at);
    return rc;
}

/* Those that only pass on what their structure says. */
#define PASS_ON(name, type, call)                                                                  \
    static long name(struct vcpu *v, void *arg, gva_t at)                                          \
    {                                                                                              \
        struct type *op = arg;                                                                     \
                                                                                                   \
        return call;                                                                               \
    }
PASS_ON(bind_virq, evtchn_bind_virq,
        tell_port(v->domain, &op->port, evtchn_bind_virq(v->domain, op->virq, op->vcpu, &op->port), at, op, sizeof(*op)))
PASS_ON(bind_ipi, evtchn_bind_ipi,
        tell_port(v->domain, &op->port, evtchn_bind_ipi(v->domain, op->vcpu, &op->port), at, op, sizeof(*op)))
PASS_ON(close_port, evtchn_close, evtchn_close(v->domain, op->port, true))
PASS_ON(bind_vcpu, evtchn_bind_vcpu, evtchn_bind_vcpu(v->domain, op->port, op->vcpu))
PASS_ON(init_control, evtchn_init_control, evtchn_init_control(v->domain, op))
PASS_ON(expand_array, evtchn_expand_array, evtchn_expand_array(v->domain, op->array_gfn))
PASS_ON(set_priority, evtchn_set_priority, evtchn_set_priority(v->domain, op->port, op->priority))

static const struct subop subops[] = {
    [EVTCHNOP_alloc_unbound] = {alloc_unbound, sizeof(struct evtchn_alloc_unbound)},
    [EVTCHNOP_bind_interdomain] = {bind_interdomain, sizeof(struct evtchn_bind_interdomain)},
    [EVTCHNOP_bind_virq] = {bind_virq, sizeof(struct evtchn_bind_virq)},
    [EVTCHNOP_bind_ipi] = {bind_ipi, sizeof(struct evtchn_bind_ipi)},
    [EVTCHNOP_bind_pirq] = {bind_pirq, sizeof(struct evtchn_bind_pirq)},
    [EVTCHNOP_close] = {close_port, sizeof(struct evtchn_close)},
    [EVTCHNOP_status] = {status, sizeof(struct evtchn_status), .answers = true},
    [EVTCHNOP_bind_vcpu] = {bind_vcpu, sizeof(struct evtchn_bind_vcpu)},
    [EVTCHNOP_reset] = {reset, sizeof(struct evtchn_reset)},
    [EVTCHNOP_init_control] = {init_control, sizeof(struct evtchn_init_control), .answers = true},
    [EVTCHNOP_expand_array] = {expand_array, sizeof(struct evtchn_expand_array)},
    [EVTCHNOP_set_priority] = {set_priority, sizeof(struct evtchn_set_priority)},
};

long do_event_channel_op(u64 cmd, u64 arg, u64 a3, u64 a4, u64 a5, u64 a6)
{
    struct vcpu *v = current_vcpu();
    union {
        struct evtchn_send send;
        struct evtchn_unmask unmask;
    } op;

    switch ((u32)cmd) {
    case EVTCHNOP_send:
        return guest_read(&op.send, arg) ? evtchn_send(v->domain, op.send.port) : -XEN_EFAULT;
    case EVTCHNOP_unmask:
        return guest_read(&op.unmask, arg) ? evtchn_unmask(v->domain, op.unmask.port) : -XEN_EFAULT;
    default:
        return subop_call(__HYPERVISOR_event_channel_op, subops, ARRAY_SIZE(subops), cmd, v, arg);
    }
}

/* SPDX-License-Identifier: MIT */
/*
 * EVENT_CHANNEL_OP: arguments in, rights checked, hv/core/evtchn.c called, results out
 * (xen/event_channel.h).
 *
 * Send and unmask, which guests issue all the time, come first and touch nothing else.
 */
#include "evtchn.h"
#include "hypercall.h"

static long refused(u64 cmd, long err)
{
    return refuse(current_vcpu()->domain, __HYPERVISOR_event_channel_op, cmd, err);
}

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
static long tell_port(struct domain *d, evtchn_port_t port, long rc, gva_t arg, const void *op, size_t size)
{
    if (rc || !guest_copy_to(arg, op, size))
        return rc;
    (void)evtchn_close(d, port, false);
    return -XEN_EFAULT;
}

static long alloc_unbound(gva_t arg)
{
    struct evtchn_alloc_unbound op;
    struct domain *d;
    domid_t allowed;
    long rc;

    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    d = target(op.dom, &rc);
    if (!d)
        return rc;
    allowed = op.remote_dom == DOMID_SELF ? current_vcpu()->domain->id : op.remote_dom;
    rc = evtchn_alloc_unbound(d, allowed, &op.port);
    rc = tell_port(d, op.port, rc, arg, &op, sizeof(op));
    domain_put(d);
    return rc;
}

static long bind_interdomain(struct domain *d, gva_t arg)
{
    struct evtchn_bind_interdomain op;
    struct domain *remote;
    long rc;

    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    remote = domain_get(op.remote_dom);
    if (!remote)
        return -XEN_ESRCH;
    rc = evtchn_bind_interdomain(d, remote, op.remote_port, &op.local_port);
    domain_put(remote);
    return tell_port(d, op.local_port, rc, arg, &op, sizeof(op));
}

static long bind_virq(struct domain *d, gva_t arg)
{
    struct evtchn_bind_virq op;
    long rc = guest_read(&op, arg) ? evtchn_bind_virq(d, op.virq, op.vcpu, &op.port) : -XEN_EFAULT;

    return tell_port(d, op.port, rc, arg, &op, sizeof(op));
}

static long bind_ipi(struct domain *d, gva_t arg)
{
    struct evtchn_bind_ipi op;
    long rc = guest_read(&op, arg) ? evtchn_bind_ipi(d, op.vcpu, &op.port) : -XEN_EFAULT;

    return tell_port(d, op.port, rc, arg, &op, sizeof(op));
}

static long bind_pirq(struct domain *d, gva_t arg)
{
    struct evtchn_bind_pirq op;
    long rc = guest_read(&op, arg) ? evtchn_bind_pirq(d, op.pirq, &op.port) : -XEN_EFAULT;

    rc = tell_port(d, op.port, rc, arg, &op, sizeof(op));
    return rc == -XEN_EPERM ? refused(EVTCHNOP_bind_pirq, rc) : rc;
}

static long status(gva_t arg)
{
    struct evtchn_status op;
    struct domain *d;
    long rc;

    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    d = target(op.dom, &rc);
    if (!d)
        return rc;
    rc = evtchn_status(d, &op);
    domain_put(d);
    if (!rc && !guest_write(arg, &op))
        rc = -XEN_EFAULT;
    return rc;
}

static long reset(gva_t arg)
{
    struct evtchn_reset op;
    struct domain *d;
    long rc;

    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    d = target(op.dom, &rc);
    if (!d)
        return rc;
    rc = evtchn_reset(d);
    domain_put(d);
    if (rc == -XEN_ERESTART)
        return hypercall_continue(__HYPERVISOR_event_channel_op, 2, (u64)EVTCHNOP_reset, (u64)arg);
    return rc;
}

static long init_control(struct domain *d, gva_t arg)
{
    struct evtchn_init_control op;
    long rc;

    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    rc = evtchn_init_control(d, &op);
    if (!rc && !guest_write(arg, &op))
        rc = -XEN_EFAULT;
    return rc;
}

long do_event_channel_op(u64 cmd, u64 arg, u64 a3, u64 a4, u64 a5, u64 a6)
{
    struct domain *d = current_vcpu()->domain;
    union {
        struct evtchn_send send;
        struct evtchn_unmask unmask;
        struct evtchn_close close;
        struct evtchn_bind_vcpu bind_vcpu;
        struct evtchn_expand_array expand_array;
        struct evtchn_set_priority set_priority;
    } op;

    switch ((u32)cmd) {
    case EVTCHNOP_send:
        return guest_read(&op.send, arg) ? evtchn_send(d, op.send.port) : -XEN_EFAULT;
    case EVTCHNOP_unmask:
        return guest_read(&op.unmask, arg) ? evtchn_unmask(d, op.unmask.port) : -XEN_EFAULT;
    case EVTCHNOP_alloc_unbound:
        return alloc_unbound(arg);
    case EVTCHNOP_bind_interdomain:
        return bind_interdomain(d, arg);
    case EVTCHNOP_bind_virq:
        return bind_virq(d, arg);
    case EVTCHNOP_bind_ipi:
        return bind_ipi(d, arg);
    case EVTCHNOP_bind_pirq:
        return bind_pirq(d, arg);
    case EVTCHNOP_close:
        return guest_read(&op.close, arg) ? evtchn_close(d, op.close.port, true) : -XEN_EFAULT;
    case EVTCHNOP_status:
        return status(arg);
    case EVTCHNOP_bind_vcpu:
        return guest_read(&op.bind_vcpu, arg)
                   ? evtchn_bind_vcpu(d, op.bind_vcpu.port, op.bind_vcpu.vcpu)
                   : -XEN_EFAULT;
    case EVTCHNOP_reset:
        return reset(arg);
    case EVTCHNOP_init_control:
        return init_control(d, arg);
    case EVTCHNOP_expand_array:
        return guest_read(&op.expand_array, arg) ? evtchn_expand_array(d, op.expand_array.array_gfn)
                                                 : -XEN_EFAULT;
    case EVTCHNOP_set_priority:
        return guest_read(&op.set_priority, arg)
                   ? evtchn_set_priority(d, op.set_priority.port, op.set_priority.priority)
                   : -XEN_EFAULT;
    default:
        return refused(cmd, -XEN_ENOSYS);
    }
}

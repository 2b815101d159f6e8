/* SPDX-License-Identifier: MIT */
/*
 * SCHED_OP: a vCPU gives up its processor, or a domain ends (xen/sched.h). The two-argument form of
 * old guests too.
 *
 * Does not: pinning by the guest (-XEN_EPERM).
 */
#include "evtchn.h"
#include "hypercall.h"
#include "sched/sched.h"
#include <trace/trace.h>

/** Most ports of one SCHEDOP_poll, as on Xen. */
#define MAX_POLL_PORTS 128

static long block(struct vcpu *v)
{
    v->info->evtchn_upcall_mask = 0;
    if (READ_ONCE(v->info->evtchn_upcall_pending))
        return 0;
    sched_block_current();
    if (READ_ONCE(v->info->evtchn_upcall_pending))
        vcpu_unpause(v, VPF_BLOCKED); /* it came in between */
    return 0;
}

/** Is one of the ports pending? 1, 0, or a negative error. */
static long any_pending(struct domain *d, gva_t ports, unsigned int n)
{
    evtchn_port_t port;

    for (unsigned int i = 0; i < n; i++) {
        if (!guest_read(&port, ports + i * sizeof(port)))
            return -XEN_EFAULT;
        if (!evtchn_port_valid(d, port))
            return -XEN_EINVAL;
        if (evtchn_port_pending(d, port))
            return 1;
    }
    return 0;
}

static __attribute__((noinline)) long poll(struct vcpu *v, gva_t arg)
{
    struct domain *d = v->domain;
    struct sched_poll op;
    evtchn_port_t port = 0;
    long rc;

    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    if (op.nr_ports > MAX_POLL_PORTS)
        return -XEN_EINVAL;
    if (op.nr_ports == 1 && !guest_read(&port, (gva_t)op.ports.p))
        return -XEN_EFAULT;

    /* Be a poller first, then look: an event between the two wakes it. */
    v->poll_port = port;
    if (op.timeout)
        timer_set(&v->poll_timer, v->processor, op.timeout);
    __atomic_fetch_or(&d->poll_mask, 1u << v->id, __ATOMIC_SEQ_CST);
    vcpu_pause(v, VPF_POLLING);
    rc = any_pending(d, (gva_t)op.ports.p, op.nr_ports);
    if (rc || arch_event_waits(v)) {
        vcpu_unblock(v);
        return min_of(rc, 0);
    }
    return 0;
}

static __attribute__((noinline)) long remote_shutdown(struct domain *caller, gva_t arg)
{
    struct sched_remote_shutdown op;
    struct domain *d;

    if (!caller->privileged)
        return -XEN_EPERM;
    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    d = domain_get(op.domain_id);
    if (!d)
        return -XEN_ESRCH;
    domain_shutdown(d, op.reason);
    domain_put(d);
    return 0;
}

/** A timer that ends the domain unless it is set anew: id 0 makes one (result: its id), another with timeout 0 ends that one. */
static __attribute__((noinline)) long watchdog(struct domain *d, gva_t arg)
{
    struct sched_watchdog op;
    unsigned int i;

    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    if (op.id > ARRAY_SIZE(d->watchdog))
        return -XEN_EINVAL;
    if (op.id == 0) {
        for (i = 0; i < ARRAY_SIZE(d->watchdog) && (d->watchdogs & (1u << i)); i++)
            ;
        if (i == ARRAY_SIZE(d->watchdog))
            return -XEN_ENOSPC;
        d->watchdogs |= 1u << i;
    } else {
        i = op.id - 1;
        if (!(d->watchdogs & (1u << i)))
            return -XEN_EINVAL;
    }
    if (op.timeout || op.id == 0) {
        timer_set(&d->watchdog[i], this_cpu(), now_ns() + SECONDS(op.timeout));
    } else {
        timer_stop(&d->watchdog[i]);
        d->watchdogs &= ~(1u << i);
    }
    return op.id ? 0 : (long)i + 1;
}

static __attribute__((noinline)) long shutdown_code(struct domain *d, u32 reason)
{
    if (reason > SHUTDOWN_MAX)
        return -XEN_EINVAL;
    if (!d->latched_code)
        d->latched_code = reason + 1;
    return 0;
}

long do_sched_op(u64 cmd, u64 arg, u64 a3, u64 a4, u64 a5, u64 a6)
{
    struct sched_shutdown op;
    struct vcpu *v;

    if ((u32)cmd == SCHEDOP_yield) { /* what spinning vCPUs do most: it needs none of these */
        sched_yield_current();
        return 0;
    }
    v = current_vcpu();
    switch ((u32)cmd) {
    case SCHEDOP_block:
        return block(v);
    case SCHEDOP_poll:
        return poll(v, arg);
    case SCHEDOP_shutdown:
        if (!guest_read(&op, arg))
            return -XEN_EFAULT;
        domain_shutdown(v->domain, op.reason);
        return 0;
    case SCHEDOP_shutdown_code:
        return guest_read(&op, arg) ? shutdown_code(v->domain, op.reason) : -XEN_EFAULT;
    case SCHEDOP_watchdog:
        return watchdog(v->domain, arg);
    case SCHEDOP_remote_shutdown:
        return remote_shutdown(v->domain, arg);
    case SCHEDOP_pin_override:
        return refuse(v->domain, __HYPERVISOR_sched_op, cmd, -XEN_EPERM);
    default:
        return refuse(v->domain, __HYPERVISOR_sched_op, cmd, -XEN_ENOSYS);
    }
}

long do_sched_op_compat(u64 cmd, u64 arg, u64 a3, u64 a4, u64 a5, u64 a6)
{
    struct vcpu *v = current_vcpu();

    switch ((u32)cmd) {
    case SCHEDOP_yield:
        sched_yield_current();
        return 0;
    case SCHEDOP_block:
        return block(v);
    case SCHEDOP_shutdown:
        domain_shutdown(v->domain, arg);
        return 0;
    default:
        return refuse(v->domain, __HYPERVISOR_sched_op_compat, cmd, -XEN_ENOSYS);
    }
}

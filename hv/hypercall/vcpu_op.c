/* SPDX-License-Identifier: MIT */
/*
 * VCPU_OP and SET_TIMER_OP: vCPUs up and down, their timers, runstates and vcpu_info (xen/vcpu.h).
 *
 * A vCPU that the domain has not gives -XEN_ENOENT; stock Linux asks for all 8,192 that it could
 * use. Timers are delivered as VIRQ_TIMER. Does not: physical ids (-XEN_EINVAL, as for a vCPU that
 * is not pinned).
 */
#include "compat.h"
#include "evtchn.h"
#include "hypercall.h"
#include "sched/sched.h"

/** Shortest period of a guest's periodic timer, as on Xen. */
#define MIN_PERIOD MILLISECS(1)

static long set_singleshot(struct vcpu *v, gva_t arg)
{
    struct vcpu_set_singleshot_timer op;

    if (v != current_vcpu())
        return -XEN_EINVAL;
    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    if ((op.flags & VCPU_SSHOTTMR_future) && op.timeout_abs_ns < now_ns())
        return -XEN_ETIME;
    timer_set(&v->singleshot, v->processor, op.timeout_abs_ns);
    return 0;
}

static long set_periodic(struct vcpu *v, gva_t arg)
{
    struct vcpu_set_periodic_timer op;

    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    if (op.period_ns < MIN_PERIOD || op.period_ns > SECONDS(100000000))
        return -XEN_EINVAL;
    v->periodic_period = op.period_ns;
    timer_set(&v->periodic, v->processor, now_ns() + op.period_ns);
    return 0;
}

static long stop_periodic(struct vcpu *v)
{
    v->periodic_period = 0;
    timer_stop(&v->periodic);
    return 0;
}

static long stop_singleshot(struct vcpu *v)
{
    if (v != current_vcpu())
        return -XEN_EINVAL;
    timer_stop(&v->singleshot);
    return 0;
}

/* Two vCPUs may want to start the same third: one of them comes back and finds it done. */
static long initialise(struct vcpu *v, gva_t arg)
{
    bool online = false;
    long rc;

    if (__atomic_test_and_set(&v->being_initialised, __ATOMIC_ACQUIRE))
        return hypercall_continue(__HYPERVISOR_vcpu_op, 3, (u64)VCPUOP_initialise, (u64)v->id, (u64)arg);
    rc = v->initialised ? -XEN_EEXIST : arch_vcpu_initialise(v, arg, &online);
    if (!rc)
        __atomic_store_n(&v->initialised, true, __ATOMIC_RELEASE);
    __atomic_clear(&v->being_initialised, __ATOMIC_RELEASE);
    if (!rc && online)
        vcpu_unpause(v, VPF_DOWN);
    if (rc == -XEN_ERESTART)
        return hypercall_continue(__HYPERVISOR_vcpu_op, 3, (u64)VCPUOP_initialise, (u64)v->id, (u64)arg);
    return rc;
}

static long up(struct vcpu *v)
{
    if (!__atomic_load_n(&v->initialised, __ATOMIC_ACQUIRE))
        return -XEN_EINVAL;
    vcpu_unpause(v, VPF_DOWN);
    return 0;
}

static long get_runstate(struct vcpu *v, gva_t arg)
{
    struct vcpu_runstate_info info;

    sched_get_runstate(v, &info);
    return guest_write(arg, &info) ? 0 : -XEN_EFAULT;
}

static long register_runstate(struct vcpu *v, gva_t arg)
{
    bool narrow = current_vcpu()->compat != NULL;
    struct vcpu_register_runstate_memory_area op;
    struct runstate_info_32 narrow_info;
    struct vcpu_runstate_info info;

    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    sched_get_runstate(v, &info);
    narrow_info = runstate_narrow(&info);
    if (op.addr.p && !(narrow ? guest_write(op.addr.p, &narrow_info) : guest_write(op.addr.p, &info)))
        return -XEN_EFAULT;
    v->runstate_guest = op.addr.p;
    v->runstate_narrow = narrow;
    return 0;
}

/** A second copy of the time, as the guest's user programs may read it. It never changes, so it is written once. */
static long register_time(gva_t arg)
{
    struct vcpu_register_time_memory_area op;
    struct vcpu_time_info now;

    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    arch_time_info(&now);
    return !op.addr.p || guest_write(op.addr.p, &now) ? 0 : -XEN_EFAULT;
}

static long register_info(struct vcpu *v, gva_t arg)
{
    struct vcpu_register_vcpu_info op;
    struct vcpu_info *new;
    void *page, *none = NULL;
    long rc;

    if (!guest_read(&op, arg))
        return -XEN_EFAULT;
    if (v->info_page)
        return -XEN_EINVAL;
    if (op.offset > PAGE_SIZE - sizeof(*new) || op.offset % 8)
        return -XEN_ENXIO;
    if (v != current_vcpu() && !(v->pause_flags & VPF_DOWN))
        return -XEN_EINVAL;
    rc = arch_get_guest_frame(v->domain, GFN(op.mfn), &page);
    if (rc)
        return rc;
    if (!__atomic_compare_exchange_n(&v->info_page, &none, page, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        arch_put_guest_frame(v->domain, page); /* another vCPU gave it one at the same time */
        return -XEN_EINVAL;
    }
    new = (void *)((char *)page + op.offset);
    memcpy(new, v->info, sizeof(*new));
    __atomic_store_n(&v->info, new, __ATOMIC_SEQ_CST);
    evtchn_info_moved(v);
    return 0;
}

long do_vcpu_op(u64 cmd, u64 vcpuid, u64 arg, u64 a4, u64 a5, u64 a6)
{
    struct domain *d = current_vcpu()->domain;
    struct vcpu *v;

    if ((u32)vcpuid >= d->max_vcpus)
        return -XEN_ENOENT;
    v = d->vcpu[(u32)vcpuid];

    switch ((u32)cmd) {
    case VCPUOP_set_singleshot_timer:
        return set_singleshot(v, arg);
    case VCPUOP_stop_singleshot_timer:
        return stop_singleshot(v);
    case VCPUOP_set_periodic_timer:
        return set_periodic(v, arg);
    case VCPUOP_stop_periodic_timer:
        return stop_periodic(v);
    case VCPUOP_initialise:
        return initialise(v, arg);
    case VCPUOP_up:
        return up(v);
    case VCPUOP_down:
        vcpu_down(v);
        return 0;
    case VCPUOP_is_up:
        return !(READ_ONCE(v->pause_flags) & VPF_DOWN);
    case VCPUOP_get_runstate_info:
        return get_runstate(v, arg);
    case VCPUOP_register_runstate_memory_area:
        return register_runstate(v, arg);
    case VCPUOP_register_vcpu_info:
        return register_info(v, arg);
    case VCPUOP_register_vcpu_time_memory_area:
        return register_time(arg);
    case VCPUOP_send_nmi:
        arch_send_nmi(v);
        return 0;
    case VCPUOP_get_physid:
        return -XEN_EINVAL;
    default:
        return refuse(d, __HYPERVISOR_vcpu_op, cmd, -XEN_ENOSYS);
    }
}

long do_set_timer_op(u64 deadline, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6)
{
    struct vcpu *v = current_vcpu();

    if (deadline)
        timer_set(&v->singleshot, v->processor, deadline);
    else
        timer_stop(&v->singleshot);
    return 0;
}

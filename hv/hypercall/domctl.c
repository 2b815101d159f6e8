/* SPDX-License-Identifier: MIT */
/*
 * DOMCTL: what the privileged domain's tools ask about and do to other domains (xen/domctl.h): their state, their vCPUs' places,
 * weights and caps, pausing, and the log of written frames (log-dirty), by which memory is copied while its domain runs. Others get
 * -XEN_EPERM, other operations -XEN_ENOSYS.
 *
 * While a log is begun, read or ended, the domain is paused here, as on Xen. Reading is one piece of work whatever its length, but takes
 * interrupts between steps. Only auto-translated domains can log: a PV domain's own writes are not seen (dirty.h), -XEN_EOPNOTSUPP as on
 * Debian's Xen.
 */
#define __XEN_TOOLS__ 1
#include "dirty.h"
#include "hypercall.h"
#include "sched/sched.h"
#include <xen/domctl.h>

/* Words of a bitmap between two looks at interrupts; 4,096 frames. */
#define STEP_WORDS 64

void domain_get_info(const struct domain *d, struct xen_domctl_getdomaininfo *info)
{
    bool blocked = true, running = false;

    *info = (struct xen_domctl_getdomaininfo){
        .domain = d->id,
        .tot_pages = d->tot_pages,
        .max_pages = d->max_pages,
        .outstanding_pages = d->claimed_pages,
        .shared_info_frame = arch_virt_to_mfn(d->shared_info).n,
        .max_vcpu_id = XEN_INVALID_MAX_VCPU_ID,
        .gpaddr_bits = 40,
    };
    for (unsigned int i = 0; i < d->max_vcpus; i++) {
        const struct vcpu *v = d->vcpu[i];

        if (!v)
            continue;
        info->max_vcpu_id = i;
        info->cpu_time += v->runstate.time[RUNSTATE_running];
        if (v->pause_flags & VPF_DOWN)
            continue;
        info->nr_online_vcpus++;
        running |= v->runstate.state == RUNSTATE_running;
        blocked &= (v->pause_flags & VPF_BLOCKED) != 0;
    }
    info->flags = (d->dying ? XEN_DOMINF_dying : 0) | (d->shut_down ? XEN_DOMINF_shutdown : 0) | (d->tool_pauses ? XEN_DOMINF_paused : 0) |
                  (blocked ? XEN_DOMINF_blocked : 0) | (running ? XEN_DOMINF_running : 0) |
                  (d->kind == DOMAIN_PV ? 0 : XEN_DOMINF_hvm_guest | XEN_DOMINF_hap) | (u32)d->shutdown_code << XEN_DOMINF_shutdownshift;
}

/* Bits of the frames from 0 on to the caller's bitmap, of op->pages at most; op->pages becomes how many there were. */
static long read_log(struct domain *d, struct xen_domctl_shadow_op *op, bool clean)
{
    u64 words[STEP_WORDS], pages = min_of(op->pages, d->max_ever_pfn + 1);

    op->stats = (struct xen_domctl_shadow_op_stats){0};
    for (u64 first = 0; first < pages; first += 64 * STEP_WORDS) {
        u64 nr = min_of(pages - first, 64ull * STEP_WORDS);
        long dirty = dirty_log_read(d, first, words, (nr + 63) / 64, clean);

        if (dirty < 0)
            return dirty;
        op->stats.dirty_count += dirty;
        if (op->dirty_bitmap.p && guest_copy_to((gva_t)op->dirty_bitmap.p + first / 8, words, (nr + 7) / 8))
            return -XEN_EFAULT;
        (void)hypercall_preempt_check();
    }
    op->pages = pages;
    return 0;
}

static long shadow_op(struct domain *d, struct xen_domctl_shadow_op *op)
{
    long rc;

    if (!d->p2m.ops)
        return -XEN_EOPNOTSUPP;
    if (op->op == XEN_DOMCTL_SHADOW_OP_ENABLE && op->mode != XEN_DOMCTL_SHADOW_ENABLE_LOG_DIRTY)
        return -XEN_EINVAL;
    domain_pause(d);
    switch (op->op) {
    case XEN_DOMCTL_SHADOW_OP_ENABLE:
    case XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY:
        rc = dirty_log_start(d, d->max_ever_pfn + 1);
        break;
    case XEN_DOMCTL_SHADOW_OP_CLEAN:
    case XEN_DOMCTL_SHADOW_OP_PEEK:
        rc = read_log(d, op, op->op == XEN_DOMCTL_SHADOW_OP_CLEAN);
        break;
    case XEN_DOMCTL_SHADOW_OP_OFF:
        rc = dirty_log_stop(d);
        break;
    default:
        rc = -XEN_EINVAL;
        break;
    }
    domain_unpause(d);
    return rc;
}

/* XEN_DOMCTL_setvcpuaffinity: both masks are read before either counts. What is in force then, or with get what was asked for, is told. */
static long vcpu_affinity(struct vcpu *v, const struct xen_domctl_vcpuaffinity *op, bool set)
{
    bool hard = op->flags & XEN_VCPUAFFINITY_HARD, soft = op->flags & XEN_VCPUAFFINITY_SOFT;
    struct cpumask h, s, pool;
    long rc = 0;

    if (!op->flags || (hard && !op->cpumap_hard.bitmap.p) || (soft && !op->cpumap_soft.bitmap.p))
        return -XEN_EINVAL;
    if (set) {
        if ((hard && get_cpumask(&h, &op->cpumap_hard)) || (soft && get_cpumask(&s, &op->cpumap_soft)))
            return -XEN_EFAULT;
        if (hard)
            rc = sched_set_affinity_mask(v, &h);
        if (soft && !rc)
            sched_set_soft_affinity(v, &s);
    }
    sched_get_affinity(v, &h, &s, &pool);
    if (set) {
        h = cpumask_and(&h, &pool);
        s = cpumask_and(&s, &h);
    }
    if (!rc && hard)
        rc = put_cpumask(&op->cpumap_hard, &h);
    return rc || !soft ? rc : put_cpumask(&op->cpumap_soft, &s);
}

static long vcpu_info(const struct vcpu *v, struct xen_domctl_getvcpuinfo *info)
{
    struct vcpu_runstate_info r;

    sched_get_runstate(v, &r);
    info->online = !(v->pause_flags & VPF_DOWN);
    info->blocked = (v->pause_flags & VPF_BLOCKED) != 0;
    info->running = r.state == RUNSTATE_running;
    info->cpu_time = r.time[RUNSTATE_running];
    info->cpu = v->processor;
    return 0;
}

/* Weight and cap, which credit's and credit2's structures hold alike. Put, a weight of 0 leaves what is, and so does credit's cap of all ones. */
static long scheduler_op(struct domain *d, struct xen_domctl_scheduler_op *op)
{
    struct xen_domctl_sched_credit *p = &op->u.credit;
    struct sched_pool_info pool;

    if (sched_pool_info(sched_pool_of(d), &pool) || !op->sched_id || op->sched_id != policy_number(pool.policy) ||
        op->sched_id == XEN_SCHEDULER_NULL)
        return -XEN_EINVAL;
    switch (op->cmd) {
    case XEN_DOMCTL_SCHEDOP_getinfo:
        *p = (struct xen_domctl_sched_credit){.weight = d->weight, .cap = d->cap};
        return 0;
    case XEN_DOMCTL_SCHEDOP_putinfo:
        if (op->sched_id == XEN_SCHEDULER_CREDIT && p->cap == (u16)~0u)
            p->cap = d->cap;
        return sched_set_params(d, p->weight ? p->weight : d->weight, p->cap);
    default:
        return -XEN_EINVAL;
    }
}

/* On Xen pausing and its end are counted; the end of none is an error. */
static long unpause(struct domain *d)
{
    if (!READ_ONCE(d->tool_pauses))
        return -XEN_EINVAL;
    domain_unpause(d);
    return 0;
}

long do_domctl(u64 arg, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6)
{
    struct domain *caller = current_vcpu()->domain, *d;
    struct vcpu *v;
    struct xen_domctl op;
    bool answer = false;
    long rc = privileged_read(__HYPERVISOR_domctl, &op, arg, sizeof(op), XEN_DOMCTL_INTERFACE_VERSION);

    if (rc)
        return rc;
    d = op.cmd == XEN_DOMCTL_getdomaininfo ? domain_get_from(op.domain) : domain_get(op.domain);
    if (!d)
        return -XEN_ESRCH;
    switch (op.cmd) {
    case XEN_DOMCTL_getdomaininfo:
        domain_get_info(d, &op.u.getdomaininfo);
        op.domain = d->id;
        answer = true;
        break;
    case XEN_DOMCTL_pausedomain:
        rc = d == caller ? -XEN_EINVAL : 0;
        if (!rc)
            domain_pause(d);
        break;
    case XEN_DOMCTL_unpausedomain:
        rc = d == caller ? -XEN_EINVAL : unpause(d);
        break;
    case XEN_DOMCTL_shadow_op:
        rc = d == caller ? -XEN_EINVAL : d->dying ? -XEN_ESRCH : shadow_op(d, &op.u.shadow_op);
        answer = !rc;
        break;
    case XEN_DOMCTL_setvcpuaffinity:
    case XEN_DOMCTL_getvcpuaffinity:
    case XEN_DOMCTL_getvcpuinfo: /* these begin with the number of a vCPU */
        v = op.u.getvcpuinfo.vcpu < d->max_vcpus ? d->vcpu[op.u.getvcpuinfo.vcpu] : NULL;
        rc = !v                                  ? -XEN_EINVAL
             : op.cmd == XEN_DOMCTL_getvcpuinfo ? vcpu_info(v, &op.u.getvcpuinfo)
                                                 : vcpu_affinity(v, &op.u.vcpuaffinity, op.cmd == XEN_DOMCTL_setvcpuaffinity);
        answer = !rc;
        break;
    case XEN_DOMCTL_scheduler_op:
        rc = scheduler_op(d, &op.u.scheduler_op);
        answer = !rc;
        break;
    default:
        rc = refuse(caller, __HYPERVISOR_domctl, op.cmd, -XEN_ENOSYS);
        break;
    }
    domain_put(d);
    if (rc == -XEN_ERESTART)
        return hypercall_continue(__HYPERVISOR_domctl, 1, arg);
    if (answer && !guest_write(arg, &op))
        rc = -XEN_EFAULT;
    return rc;
}

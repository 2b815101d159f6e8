/* SPDX-License-Identifier: MIT */
/*
 * SYSCTL: what the stock kernel itself asks as privileged domain, the log, and what lists show of the machine and its domains
 * (xen/sysctl.h); others get -XEN_EPERM.
 * Of pools of processors: making and unmaking them, what there are, their tunables, moving processors and domains.
 * The toolstack's other operations get -XEN_ENOSYS until they are written.
 */
#define __XEN_TOOLS__ 1
#include "hypercall.h"
#include "log.h"
#include "sched/sched.h"
#include <xen/sysctl.h>

static void physinfo(struct xen_sysctl_physinfo *info)
{
    struct arch_physinfo p;

    arch_get_physinfo(&p);
    *info = (struct xen_sysctl_physinfo){
        .threads_per_core = 1,
        .cores_per_socket = p.nr_cpus,
        .nr_cpus = p.nr_cpus,
        .max_cpu_id = p.nr_cpus - 1,
        .nr_nodes = 1,
        .cpu_khz = p.cpu_khz,
        .capabilities = XEN_SYSCTL_PHYSCAP_pv | XEN_SYSCTL_PHYSCAP_gnttab_v1,
        .total_pages = p.total_pages,
        .free_pages = p.free_pages,
        .max_mfn = p.max_mfn,
    };
}

static long read_console(struct xen_sysctl_readconsole *op)
{
    char text[256];
    u32 from = op->incremental ? op->index : 0, done = 0;

    while (done < op->count) {
        size_t n = log_read(&from, text, min_of(sizeof(text), op->count - done));

        if (n == 0)
            break;
        if (guest_copy_to((gva_t)op->buffer.p + done, text, n))
            return -XEN_EFAULT;
        done += n;
    }
    op->count = done;
    op->index = from;
    if (op->clear)
        log_clear();
    return 0;
}

long put_cpumask(const struct xenctl_bitmap *to, const struct cpumask *cpus)
{
    u32 all = min_of((to->nr_bits + 7ull) / 8, PAGE_SIZE), n = min_of(all, (u32)sizeof(cpus->word));

    if (guest_copy_to((gva_t)to->bitmap.p, cpus->word, n) || guest_clear((gva_t)to->bitmap.p + n, all - n))
        return -XEN_EFAULT;
    return 0;
}

long get_cpumask(struct cpumask *cpus, const struct xenctl_bitmap *from)
{
    u32 bits = min_of(from->nr_bits, arch_nr_cpus());

    *cpus = CPUMASK_NONE;
    if (guest_copy_from(cpus->word, (gva_t)from->bitmap.p, (bits + 7) / 8))
        return -XEN_EFAULT;
    for (unsigned int cpu = bits; cpu < round_up(bits, 8); cpu++)
        cpumask_clear(cpus, cpu);
    return 0;
}

u32 policy_number(const char *name)
{
    return !strcmp(name, "credit")    ? XEN_SCHEDULER_CREDIT
           : !strcmp(name, "credit2") ? XEN_SCHEDULER_CREDIT2
           : !strcmp(name, "null")    ? XEN_SCHEDULER_NULL
                                      : 0;
}

static long move_domain(const struct xen_sysctl_cpupool_op *op)
{
    struct domain *d = op->domid < DOMID_FIRST_RESERVED ? domain_get(op->domid) : NULL;
    long rc = sched_pool(op->cpupool_id) ? -XEN_EINVAL : -XEN_ENOENT;

    if (d && d != current_vcpu()->domain && !d->dying) { /* the caller runs: it cannot be off its pool's processors */
        domain_pause(d);
        rc = sched_set_pool(d, op->cpupool_id);
        domain_unpause(d);
    }
    if (d)
        domain_put(d);
    return rc;
}

/* The policy that has this number of Xen's, of which 0 is none; or NULL. */
static const struct sched_ops *policy_of(u32 number)
{
    const struct sched_ops *ops;
    unsigned int n = 0;

    while ((ops = sched_policy_at(n++)) && (!number || policy_number(sched_policy_name(ops)) != number))
        ;
    return ops;
}

static long cpupool_op(struct domain *caller, struct xen_sysctl_cpupool_op *op)
{
    const struct sched_ops *ops;
    struct sched_pool_info info;
    long rc;

    switch (op->op) {
    case XEN_SYSCTL_CPUPOOL_OP_CREATE: /* 0, the number of policies that Xen has not: pool 0's */
        ops = policy_of(op->sched_id);
        rc = ops || !op->sched_id ? sched_create_pool(op->cpupool_id, ops) : -XEN_ENOENT;
        op->cpupool_id = rc;
        return min_of(rc, 0l);
    case XEN_SYSCTL_CPUPOOL_OP_DESTROY:
        return sched_destroy_pool(op->cpupool_id);
    case XEN_SYSCTL_CPUPOOL_OP_INFO:
        if (sched_pool_info(op->cpupool_id, &info))
            return -XEN_ENOENT;
        op->cpupool_id = info.id;
        op->sched_id = policy_number(info.policy);
        op->n_dom = info.nr_domains;
        return put_cpumask(&op->cpumap, &info.cpus);
    case XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN:
        return move_domain(op);
    case XEN_SYSCTL_CPUPOOL_OP_ADDCPU:
        return sched_pool_add_cpu(op->cpupool_id, op->cpu);
    case XEN_SYSCTL_CPUPOOL_OP_RMCPU:
        return sched_pool_remove_cpu(op->cpupool_id, op->cpu);
    case XEN_SYSCTL_CPUPOOL_OP_FREEINFO:
        sched_free_cpus(&info.cpus);
        return put_cpumask(&op->cpumap, &info.cpus);
    default:
        return refuse(caller, __HYPERVISOR_sysctl, XEN_SYSCTL_cpupool_op, -XEN_EOPNOTSUPP);
    }
}

/* Tunables of a pool whose policy is one of Xen's that have any: a slice of milliseconds (0 here: the policy's own, 30), a rate limit. */
static long scheduler_op(struct xen_sysctl_scheduler_op *op)
{
    struct cpupool *pool = sched_pool(op->cpupool_id);
    struct xen_sysctl_credit_schedule *credit = &op->u.sched_credit;
    bool slices = op->sched_id == XEN_SCHEDULER_CREDIT;
    u32 *limit = slices ? &credit->ratelimit_us : &op->u.sched_credit2.ratelimit_us;
    struct sched_pool_info info;

    if (op->cmd > XEN_SYSCTL_SCHEDOP_getinfo)
        return -XEN_EINVAL;
    if (!pool || sched_pool_info(op->cpupool_id, &info))
        return -XEN_ESRCH;
    if ((!slices && op->sched_id != XEN_SCHEDULER_CREDIT2) || op->sched_id != policy_number(info.policy))
        return -XEN_EINVAL;
    if (op->cmd == XEN_SYSCTL_SCHEDOP_putinfo) {
        if (*limit && (*limit < XEN_SYSCTL_SCHED_RATELIMIT_MIN || *limit > XEN_SYSCTL_SCHED_RATELIMIT_MAX))
            return -XEN_EINVAL;
        if (slices && (credit->tslice_ms < XEN_SYSCTL_CSCHED_TSLICE_MIN || credit->tslice_ms > XEN_SYSCTL_CSCHED_TSLICE_MAX ||
                       *limit > 1000 * credit->tslice_ms || credit->vcpu_migr_delay_us))
            return -XEN_EINVAL;
        info.t.rate_limit = MICROSECS(*limit);
        if (slices)
            info.t.slice = MILLISECS(credit->tslice_ms);
        return sched_tune(pool, &info.t);
    }
    *limit = info.t.rate_limit / MICROSECS(1);
    if (slices) {
        credit->tslice_ms = info.t.slice ? info.t.slice / MILLISECS(1) : 30;
        credit->vcpu_migr_delay_us = 0; /* what a vCPU has in a cache is no reason to leave it there */
    }
    return 0;
}

static long topology(struct xen_sysctl_cputopoinfo *op)
{
    u32 nr = arch_nr_cpus(), room = op->cputopo.p ? op->num_cpus : 0;

    for (u32 cpu = 0; cpu < min_of(room, nr); cpu++) {
        struct arch_cpu_place p;
        struct xen_sysctl_cputopo place;

        arch_cpu_place(cpu, &p);
        place = (struct xen_sysctl_cputopo){.core = p.core, .socket = p.socket}; /* one node, as numa() says */
        if (guest_copy_to((gva_t)op->cputopo.p + cpu * sizeof(place), &place, sizeof(place)))
            return -XEN_EFAULT;
    }
    op->num_cpus = nr;
    return 0;
}

/* One node, which is all memory and 10 from itself, as ACPI counts distances. */
static long numa(struct xen_sysctl_numainfo *op)
{
    struct arch_physinfo p;
    struct xen_sysctl_meminfo memory;
    u32 distance = 10;

    arch_get_physinfo(&p);
    memory = (struct xen_sysctl_meminfo){.memsize = p.total_pages << PAGE_SHIFT, .memfree = p.free_pages << PAGE_SHIFT};
    if (op->num_nodes && ((op->meminfo.p && !guest_write((gva_t)op->meminfo.p, &memory)) ||
                          (op->distance.p && !guest_write((gva_t)op->distance.p, &distance))))
        return -XEN_EFAULT;
    op->num_nodes = 1;
    return 0;
}

/* Domains by number, from the first on, as many as the caller has room for. */
static long list_domains(struct xen_sysctl_getdomaininfolist *op)
{
    u32 first = op->first_domain;

    for (op->num_domains = 0; op->num_domains < op->max_domains; op->num_domains++) {
        struct domain *d = first < DOMID_FIRST_RESERVED ? domain_get_from(first) : NULL;
        struct xen_domctl_getdomaininfo info;

        if (!d)
            break;
        domain_get_info(d, &info);
        first = d->id + 1;
        domain_put(d);
        if (guest_copy_to((gva_t)op->buffer.p + op->num_domains * sizeof(info), &info, sizeof(info)))
            return -XEN_EFAULT;
    }
    return 0;
}

long do_sysctl(u64 arg, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6)
{
    struct domain *d = current_vcpu()->domain;
    struct sched_pool_info pool = {.policy = ""};
    struct xen_sysctl op;
    long rc = privileged_read(__HYPERVISOR_sysctl, &op, arg, sizeof(op), XEN_SYSCTL_INTERFACE_VERSION);

    if (rc)
        return rc;
    switch (op.cmd) {
    case XEN_SYSCTL_physinfo:
        physinfo(&op.u.physinfo);
        break;
    case XEN_SYSCTL_readconsole:
        rc = read_console(&op.u.readconsole);
        break;
    case XEN_SYSCTL_cpupool_op:
        rc = cpupool_op(d, &op.u.cpupool_op);
        break;
    case XEN_SYSCTL_scheduler_op:
        rc = scheduler_op(&op.u.scheduler_op);
        break;
    case XEN_SYSCTL_cputopoinfo:
        rc = topology(&op.u.cputopoinfo);
        break;
    case XEN_SYSCTL_numainfo:
        rc = numa(&op.u.numainfo);
        break;
    case XEN_SYSCTL_sched_id:
        rc = sched_pool_info(0, &pool);
        op.u.sched_id.sched_id = policy_number(pool.policy);
        break;
    case XEN_SYSCTL_getdomaininfolist:
        rc = list_domains(&op.u.getdomaininfolist);
        break;
    case XEN_SYSCTL_debug_keys:
        return 0; /* no key does anything, as where Xen knows none */
    default:
        return refuse(d, __HYPERVISOR_sysctl, op.cmd, -XEN_ENOSYS);
    }
    return privileged_answer(rc, arg, &op);
}

/* SPDX-License-Identifier: MIT */
/*
 * What the first domain does with processors while other domains run: unplugs and plugs them in again, twenty times each; moves
 * domains between pools; makes pools, gives them processors, empties and unmakes them. tests/boot/smp and tests/boot/sched boot
 * those beside it and look that none is lost.
 * Source: xen/platform.h, xen/sysctl.h.
 */
#define __XEN_TOOLS__ 1
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"
#include <xen/platform.h>
#include <xen/sysctl.h>

#define ROUNDS 20

static struct xen_platform_op op;

static long platform_op(uint32_t cmd)
{
    op.cmd = cmd;
    op.interface_version = XENPF_INTERFACE_VERSION;
    return hypercall(__HYPERVISOR_platform_op, PTR(&op), 0, 0, 0, 0);
}

static long plug(uint32_t cmd, uint32_t cpu)
{
    memset(&op, 0, sizeof(op));
    op.u.cpu_ol.cpuid = cpu;
    return platform_op(cmd);
}

/* Flags of a pcpu, or ~0; *last: the highest number. */
static uint32_t flags_of(uint32_t cpu, uint32_t *last)
{
    memset(&op, 0, sizeof(op));
    op.u.pcpu_info.xen_cpuid = cpu;
    if (platform_op(XENPF_get_cpuinfo))
        return ~0u;
    *last = op.u.pcpu_info.max_present;
    return op.u.pcpu_info.flags;
}

/* Wait, at most two seconds, until it is online or is not. */
static bool becomes(uint32_t cpu, bool online)
{
    struct sched_poll poll = {.nr_ports = 0};
    uint32_t last;

    for (unsigned ms = 0; ms < 2000; ms++) {
        if (!(flags_of(cpu, &last) & XEN_PCPU_FLAGS_ONLINE) == !online)
            return true;
        poll.timeout = now_ns() + 1000000;
        (void)hypercall(__HYPERVISOR_sched_op, SCHEDOP_poll, PTR(&poll), 0, 0, 0);
    }
    return false;
}

static void unplug(void)
{
    uint32_t last = 0;

    EXPECT(flags_of(0, &last) == XEN_PCPU_FLAGS_ONLINE, "pcpu 0 is not online");
    EXPECT(plug(XENPF_cpu_offline, 0) == -XEN_EOPNOTSUPP, "pcpu 0 can be unplugged");
    EXPECT(plug(XENPF_cpu_offline, last + 1) == -XEN_EINVAL, "a pcpu that is not there");
    EXPECT(plug(XENPF_cpu_online, last + 1) == -XEN_EINVAL, "a pcpu that is not there");
    if (!last) {
        test_skip("one pcpu");
        return;
    }
    for (unsigned round = 0; round < ROUNDS && !test_failed(); round++) {
        for (uint32_t cpu = 1; cpu <= last; cpu++) {
            EXPECT(plug(XENPF_cpu_offline, cpu) == 0, "pcpu %u, round %u", cpu, round);
            EXPECT(plug(XENPF_cpu_offline, cpu) == -XEN_EBUSY, "pcpu %u twice", cpu);
            EXPECT(becomes(cpu, false), "pcpu %u stays, round %u", cpu, round);
        }
        for (uint32_t cpu = last; cpu > 0; cpu--) {
            EXPECT(plug(XENPF_cpu_online, cpu) == 0, "pcpu %u, round %u", cpu, round);
            EXPECT(becomes(cpu, true), "pcpu %u does not come, round %u", cpu, round);
        }
    }
}
MICRO_PAIR_TEST(unplug, "pcpu-unplug", PLATFORM_PV);

static struct xen_sysctl ctl;
static uint64_t cpus[4];

/* One operation on a pool; what it tells is in ctl then, its processors in cpus[]. */
static long pool_op(uint32_t operation, uint32_t pool, uint32_t domain)
{
    memset(&ctl, 0, sizeof(ctl));
    memset(cpus, 0xff, sizeof(cpus));
    ctl.cmd = XEN_SYSCTL_cpupool_op;
    ctl.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    ctl.u.cpupool_op.op = operation;
    ctl.u.cpupool_op.cpupool_id = pool;
    ctl.u.cpupool_op.domid = domain;
    ctl.u.cpupool_op.cpumap.nr_bits = 192;
    set_xen_guest_handle_raw(ctl.u.cpupool_op.cpumap.bitmap, (void *)cpus);
    return hypercall(__HYPERVISOR_sysctl, PTR(&ctl), 0, 0, 0, 0);
}

/* For a machine of four processors with pools=2-3:rr, and six domains beside this one, two of them in pool 1. */
static void pools(void)
{
    struct sched_poll poll = {.nr_ports = 0};
    unsigned moved = 0, now = 1;

    EXPECT_RC(pool_op(XEN_SYSCTL_CPUPOOL_OP_INFO, 0, 0), 0);
    EXPECT(ctl.u.cpupool_op.sched_id == XEN_SCHEDULER_CREDIT && ctl.u.cpupool_op.n_dom == 5, "pool 0: policy %u, %u domains",
           ctl.u.cpupool_op.sched_id, ctl.u.cpupool_op.n_dom);
    EXPECT(cpus[0] == 3 && !cpus[1] && !cpus[2] && !~cpus[3], "pool 0: processors %lx %lx %lx", cpus[0], cpus[1], cpus[2]);
    EXPECT_RC(pool_op(XEN_SYSCTL_CPUPOOL_OP_INFO, 1, 0), 0);
    EXPECT(cpus[0] == 0xc && ctl.u.cpupool_op.n_dom == 2, "pool 1: processors %lx, %u domains", cpus[0], ctl.u.cpupool_op.n_dom);
    EXPECT_RC(pool_op(XEN_SYSCTL_CPUPOOL_OP_INFO, 2, 0), -XEN_ENOENT);
    EXPECT_RC(pool_op(XEN_SYSCTL_CPUPOOL_OP_FREEINFO, 0, 0), 0);
    EXPECT(!cpus[0], "processors %lx are in no pool", cpus[0]);
    EXPECT_RC(pool_op(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, 1, 0), -XEN_EINVAL);
    EXPECT_RC(pool_op(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, 1, DOMID_SELF), -XEN_EINVAL);
    EXPECT_RC(pool_op(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, 1, 999), -XEN_EINVAL);
    EXPECT_RC(pool_op(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, 7, 1), -XEN_ENOENT);
    for (unsigned round = 0; round < 5000 && now && !test_failed(); round++, moved += now) { /* until all have ended */
        now = 0;
        for (uint32_t domain = 1; domain <= 6; domain++) {
            long rc = pool_op(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, (domain + round) & 1, domain);

            EXPECT(rc == 0 || rc == -XEN_EINVAL, "domain %u, round %u: %ld", domain, round, rc); /* or it has ended */
            now += rc == 0;
        }
        poll.timeout = now_ns() + 1000000;
        (void)hypercall(__HYPERVISOR_sched_op, SCHEDOP_poll, PTR(&poll), 0, 0, 0);
    }
    EXPECT(moved > ROUNDS, "only %u moves", moved);
    test_note("%u moves", moved);
}
MICRO_PAIR_TEST(pools, "pcpu-pools", PLATFORM_PV);

/* One operation with a policy or a processor, which share no pool's information. */
static long change(uint32_t operation, uint32_t pool, uint32_t scheduler, uint32_t cpu)
{
    memset(&ctl, 0, sizeof(ctl));
    ctl.cmd = XEN_SYSCTL_cpupool_op;
    ctl.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    ctl.u.cpupool_op.op = operation;
    ctl.u.cpupool_op.cpupool_id = pool;
    ctl.u.cpupool_op.sched_id = scheduler;
    ctl.u.cpupool_op.cpu = cpu;
    return hypercall(__HYPERVISOR_sysctl, PTR(&ctl), 0, 0, 0, 0);
}

static long create_pool(uint32_t pool, uint32_t scheduler)
{
    return change(XEN_SYSCTL_CPUPOOL_OP_CREATE, pool, scheduler, 0);
}

static long destroy_pool(uint32_t pool)
{
    return change(XEN_SYSCTL_CPUPOOL_OP_DESTROY, pool, 0, 0);
}

static long add_cpu(uint32_t pool, uint32_t cpu)
{
    return change(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, pool, 0, cpu);
}

/* As libxc does: as long as the hypervisor says that it will be soon. */
static long remove_cpu(uint32_t pool, uint32_t cpu)
{
    long rc;

    for (unsigned tries = 0; tries < 100000; tries++) {
        rc = change(XEN_SYSCTL_CPUPOOL_OP_RMCPU, pool, 0, cpu);
        if (rc != -XEN_EAGAIN)
            break;
        (void)hypercall(__HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0, 0, 0);
    }
    return rc;
}

/* The errors, and a pool without processors; on Xen, too. */
static void pools_made(void)
{
    bool several;
    long rc;

    if (!privileged()) {
        for (uint32_t operation = 0; operation <= 9; operation++)
            EXPECT_RC(change(operation, operation & 1 ? 0 : ~0u, XEN_SCHEDULER_CREDIT, 0), -XEN_EPERM);
        return;
    }
    EXPECT_RC(create_pool(0, XEN_SCHEDULER_CREDIT), -XEN_EEXIST);
    EXPECT_RC(create_pool(XEN_SYSCTL_CPUPOOL_PAR_ANY, 77), -XEN_ENOENT);
    EXPECT_RC(create_pool(3, XEN_SCHEDULER_CREDIT2), 0); /* on one processor Xen has no more than two pools at a time */
    EXPECT(ctl.u.cpupool_op.cpupool_id == 3, "pool %u", ctl.u.cpupool_op.cpupool_id);
    EXPECT_RC(pool_op(XEN_SYSCTL_CPUPOOL_OP_INFO, 1, 0), 0);
    EXPECT(ctl.u.cpupool_op.cpupool_id == 3 && ctl.u.cpupool_op.sched_id == XEN_SCHEDULER_CREDIT2 && !ctl.u.cpupool_op.n_dom && !cpus[0],
           "pool %u, policy %u, %u domains, processors %lx", ctl.u.cpupool_op.cpupool_id, ctl.u.cpupool_op.sched_id,
           ctl.u.cpupool_op.n_dom, cpus[0]);
    EXPECT_RC(destroy_pool(3), 0);
    EXPECT_RC(create_pool(XEN_SYSCTL_CPUPOOL_PAR_ANY, XEN_SCHEDULER_CREDIT), 0);
    EXPECT(ctl.u.cpupool_op.cpupool_id == 1, "pool %u", ctl.u.cpupool_op.cpupool_id);
    EXPECT_RC(pool_op(XEN_SYSCTL_CPUPOOL_OP_FREEINFO, 0, 0), 0);
    EXPECT(!cpus[0], "processors %lx are in no pool", cpus[0]);
    EXPECT_RC(add_cpu(1, 0), -XEN_ENODEV);
    EXPECT_RC(add_cpu(1, 4095), -XEN_EINVAL);
    EXPECT_RC(add_cpu(1, XEN_SYSCTL_CPUPOOL_PAR_ANY - 1), -XEN_EINVAL);
    EXPECT_RC(add_cpu(1, XEN_SYSCTL_CPUPOOL_PAR_ANY), -XEN_ENODEV);
    EXPECT_RC(add_cpu(2, 0), -XEN_ENOENT);
    EXPECT_RC(remove_cpu(2, 0), -XEN_ENOENT);
    EXPECT_RC(remove_cpu(1, 0), -XEN_EADDRNOTAVAIL);
    EXPECT_RC(remove_cpu(1, 4095), -XEN_EINVAL);
    EXPECT_RC(pool_op(XEN_SYSCTL_CPUPOOL_OP_INFO, 0, 0), 0);
    several = cpus[0] & (cpus[0] - 1);
    rc = remove_cpu(0, 0);
    EXPECT(several ? !rc : rc == -XEN_EBUSY || rc == -XEN_EINVAL, "a processor, or the last: %ld", rc); /* Xen: EINVAL */
    EXPECT_RC(add_cpu(0, 0), several ? 0 : -XEN_ENODEV);
    EXPECT_RC(destroy_pool(0), -XEN_EBUSY);
    EXPECT_RC(destroy_pool(2), -XEN_ENOENT);
    EXPECT_RC(destroy_pool(XEN_SYSCTL_CPUPOOL_PAR_ANY), -XEN_ENOENT);
    EXPECT_RC(destroy_pool(1), 0);
    EXPECT_RC(destroy_pool(1), -XEN_ENOENT);
    EXPECT_RC(pool_op(XEN_SYSCTL_CPUPOOL_OP_INFO, 1, 0), -XEN_ENOENT);
}
MICRO_TEST(pools_made, "sysctl-pools", PLATFORM_XEN);

/* ---- changes in random order ---- */

#define POOLS 4
#define STEPS 200

static uint32_t seed = 1;

static uint32_t chance(uint32_t n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 16) % n;
}

static void rest(void)
{
    struct sched_poll poll = {.timeout = now_ns() + 1000000};

    (void)hypercall(__HYPERVISOR_sched_op, SCHEDOP_poll, PTR(&poll), 0, 0, 0);
}

/* Every processor is in one pool, or free. */
static void all_there(uint64_t all)
{
    uint64_t seen;

    EXPECT_RC(pool_op(XEN_SYSCTL_CPUPOOL_OP_FREEINFO, 0, 0), 0);
    seen = cpus[0];
    for (uint32_t pool = 0; pool_op(XEN_SYSCTL_CPUPOOL_OP_INFO, pool, 0) == 0; pool = ctl.u.cpupool_op.cpupool_id + 1) {
        EXPECT(!(seen & cpus[0]), "pool %u: processors %lx, of %lx", ctl.u.cpupool_op.cpupool_id, cpus[0], seen);
        seen |= cpus[0];
    }
    EXPECT(seen == all, "processors %lx of %lx", seen, all);
}

/* One change, which may be refused, of a machine with so many processors and domains beside this one. @return it was made */
static bool one_change(uint32_t pcpus, uint32_t nr_domains)
{
    static const uint32_t policies[] = {XEN_SCHEDULER_CREDIT, XEN_SCHEDULER_CREDIT2, 0};
    uint32_t pool = chance(POOLS), cpu = chance(pcpus);
    long rc;

    switch (chance(nr_domains ? 7 : 5)) {
    case 0:
        rc = create_pool(pool, policies[chance(3)]);
        EXPECT(rc == 0 || rc == -XEN_EEXIST || rc == -XEN_ENOENT, "create: %ld", rc);
        break;
    case 1:
        rc = destroy_pool(pool);
        EXPECT(rc == 0 || rc == -XEN_EBUSY || rc == -XEN_ENOENT, "destroy: %ld", rc);
        break;
    case 2:
    case 3:
        rc = add_cpu(pool, chance(3) ? XEN_SYSCTL_CPUPOOL_PAR_ANY : cpu);
        EXPECT(rc == 0 || rc == -XEN_ENODEV || rc == -XEN_ENOENT, "add: %ld", rc);
        break;
    case 4:
        rc = remove_cpu(pool, cpu);
        EXPECT(rc == 0 || rc == -XEN_EADDRNOTAVAIL || rc == -XEN_ENOENT || rc == -XEN_EBUSY, "remove: %ld", rc);
        break;
    default:
        rc = pool_op(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, pool, 1 + chance(nr_domains));
        EXPECT(rc == 0 || rc == -XEN_EINVAL || rc == -XEN_ENOENT || rc == -XEN_EBUSY, "move: %ld", rc);
    }
    return rc == 0;
}

/* All processors and domains are pool 0's again. */
static void back_to_one(uint64_t all, uint32_t nr_domains)
{
    while (add_cpu(0, XEN_SYSCTL_CPUPOOL_PAR_ANY) == 0)
        ;
    for (uint32_t domain = 1; domain <= nr_domains; domain++)
        (void)pool_op(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, 0, domain);
    for (uint32_t pool = 1; pool < POOLS; pool++) {
        while (remove_cpu(pool, XEN_SYSCTL_CPUPOOL_PAR_ANY) == 0)
            ;
        (void)destroy_pool(pool);
    }
    while (add_cpu(0, XEN_SYSCTL_CPUPOOL_PAR_ANY) == 0)
        ;
    EXPECT_RC(pool_op(XEN_SYSCTL_CPUPOOL_OP_INFO, 0, 0), 0);
    EXPECT(cpus[0] == all, "pool 0 has processors %lx of %lx", cpus[0], all);
    EXPECT_RC(pool_op(XEN_SYSCTL_CPUPOOL_OP_INFO, 1, 0), -XEN_ENOENT);
}

static uint64_t free_pages(void)
{
    memset(&ctl, 0, sizeof(ctl));
    ctl.cmd = XEN_SYSCTL_physinfo;
    ctl.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    return hypercall(__HYPERVISOR_sysctl, PTR(&ctl), 0, 0, 0, 0) ? 0 : ctl.u.physinfo.free_pages;
}

/* For a machine with all processors in pool 0, and six domains beside this one, which end by themselves. */
static void pools_live(void)
{
    uint32_t pcpus = 0, made = 0, now = 1;
    uint64_t all, pages = 0;

    EXPECT_RC(pool_op(XEN_SYSCTL_CPUPOOL_OP_INFO, 0, 0), 0);
    all = cpus[0];
    while (all >> pcpus & 1)
        pcpus++;
    for (unsigned step = 0; step < STEPS && !test_failed(); step++) {
        made += one_change(pcpus, 6);
        all_there(all);
        rest();
    }
    test_note("%u of %u changes were made", made, STEPS);
    EXPECT(made > STEPS / 8, "only %u changes", made);
    back_to_one(all, 6);
    while (now && !test_failed()) { /* until all have ended */
        now = 0;
        for (uint32_t domain = 1; domain <= 6; domain++)
            now += pool_op(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, 0, domain) == 0;
        rest();
    }
    for (unsigned round = 0; round < 2; round++) { /* the same twice: what the hypervisor's heap keeps for later, it has after the first */
        seed = 1;
        pages = free_pages();
        for (unsigned step = 0; step < STEPS && !test_failed(); step++)
            (void)one_change(pcpus, 0);
        back_to_one(all, 0);
    }
    EXPECT(free_pages() == pages && pages, "%lu pages of %lu", free_pages(), pages);
}
MICRO_PAIR_TEST(pools_live, "pcpu-change-pools", PLATFORM_PV);

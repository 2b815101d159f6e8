/* SPDX-License-Identifier: MIT */
/*
 * What the first domain does with processors while other domains run: unplugs and plugs them in again, twenty times each; moves
 * domains between pools. tests/boot/smp boots those beside it and looks that none is lost.
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
    EXPECT_RC(pool_op(XEN_SYSCTL_CPUPOOL_OP_CREATE, 7, 1), -XEN_EOPNOTSUPP);
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

/* SPDX-License-Identifier: MIT */
/*
 * What the privileged domain asks about the machine: machine checks (xen/arch-x86/xen-mca.h), as Debian's kernel does at boot,
 * and the sysctls of `xl info` and `xl list` (xen/sysctl.h). No machine check ever comes here; that is an answer too.
 */
#define __XEN_TOOLS__ 1
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"
#include <xen/arch-x86/xen-mca.h>
#include <xen/domctl.h>
#include <xen/sysctl.h>

#define CPUS_MAX 64

static struct xen_mc mc;
static xen_mc_logical_cpu_t cpus[CPUS_MAX];
static mc_info_t telemetry;
static struct xen_sysctl op;

static long mca(uint32_t cmd)
{
    mc.cmd = cmd;
    mc.interface_version = XEN_MCA_INTERFACE_VERSION;
    return hypercall(__HYPERVISOR_mca, PTR(&mc), 0, 0, 0, 0);
}

static long mca_fetch(uint32_t flags)
{
    memset(&mc, 0, sizeof(mc));
    mc.u.mc_fetch.flags = flags;
    mc.u.mc_fetch.data.p = &telemetry;
    return mca(XEN_MC_fetch);
}

static long mca_cpus(uint32_t room, void *to)
{
    memset(&mc, 0, sizeof(mc));
    mc.u.mc_physcpuinfo.ncpus = room;
    mc.u.mc_physcpuinfo.info.p = to;
    return mca(XEN_MC_physcpuinfo);
}

static void mca_asked(void)
{
    uint32_t nr;

    if (!privileged()) {
        EXPECT_RC(mca_fetch(XEN_MC_NONURGENT), -XEN_EPERM);
        return;
    }
    EXPECT_RC(mca_fetch(XEN_MC_NONURGENT), 0);
    EXPECT(mc.u.mc_fetch.flags == XEN_MC_NODATA && !mc.u.mc_fetch.fetch_id, "flags %x", mc.u.mc_fetch.flags);
    EXPECT_RC(mca_fetch(XEN_MC_URGENT), 0);
    EXPECT(mc.u.mc_fetch.flags == XEN_MC_NODATA, "flags %x", mc.u.mc_fetch.flags);
    EXPECT_RC(mca_fetch(XEN_MC_URGENT | XEN_MC_ACK), 0); /* of what was never fetched: no matter */
    EXPECT_RC(mca_fetch(0), -XEN_EINVAL);
    EXPECT_RC(mca_fetch(XEN_MC_URGENT | XEN_MC_NONURGENT), -XEN_EINVAL);
    EXPECT_RC(mca_cpus(0, NULL), 0);
    nr = mc.u.mc_physcpuinfo.ncpus;
    EXPECT(nr >= 1 && nr <= CPUS_MAX, "%u cpus", nr);
    memset(cpus, 0xff, sizeof(cpus));
    EXPECT_RC(mca_cpus(CPUS_MAX, cpus), 0);
    EXPECT(mc.u.mc_physcpuinfo.ncpus == nr, "%u cpus", mc.u.mc_physcpuinfo.ncpus);
    for (uint32_t i = 0; i < nr; i++)
        EXPECT(cpus[i].mc_cpunr == i && cpus[i].mc_ncores >= 1 && cpus[i].mc_ncores <= CPUS_MAX, "cpu %u is %u", i, cpus[i].mc_cpunr);
    EXPECT(cpus[nr].mc_cpunr == ~0u, "more is written than there is");
    mc.interface_version = 1;
    EXPECT_RC(hypercall(__HYPERVISOR_mca, PTR(&mc), 0, 0, 0, 0), -XEN_EACCES);
    EXPECT_RC(mca(99), -XEN_EINVAL);
    EXPECT_RC(hypercall(__HYPERVISOR_mca, HV_START, 0, 0, 0, 0), -XEN_EFAULT);
}
MICRO_TEST(mca_asked, "mca", PLATFORM_PV);

static long sysctl(uint32_t cmd)
{
    op.cmd = cmd;
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    return hypercall(__HYPERVISOR_sysctl, PTR(&op), 0, 0, 0, 0);
}

static void sysctl_of_machine(void)
{
    memset(&op, 0, sizeof(op));
    if (!privileged()) {
        EXPECT_RC(sysctl(XEN_SYSCTL_sched_id), -XEN_EPERM);
        return;
    }
    EXPECT_RC(sysctl(XEN_SYSCTL_sched_id), 0);
    EXPECT(op.u.sched_id.sched_id >= XEN_SCHEDULER_CREDIT && op.u.sched_id.sched_id <= XEN_SCHEDULER_NULL, "scheduler %u", op.u.sched_id.sched_id);
    memset(&op, 0, sizeof(op));
    op.u.perfc_op.cmd = XEN_SYSCTL_PERFCOP_query;
    EXPECT_RC(sysctl(XEN_SYSCTL_perfc_op), -XEN_ENOSYS);
}
MICRO_TEST(sysctl_of_machine, "sysctl-machine", PLATFORM_XEN);

static void sysctl_of_domains(void)
{
    static xen_domctl_getdomaininfo_t info[4];

    memset(&op, 0, sizeof(op));
    if (!privileged()) {
        EXPECT_RC(sysctl(XEN_SYSCTL_getdomaininfolist), -XEN_EPERM);
        return;
    }
    op.u.getdomaininfolist.max_domains = 4;
    op.u.getdomaininfolist.buffer.p = info;
    EXPECT_RC(sysctl(XEN_SYSCTL_getdomaininfolist), 0);
    EXPECT(op.u.getdomaininfolist.num_domains >= 1, "%u domains", op.u.getdomaininfolist.num_domains);
    EXPECT(info[0].domain == 0 && info[0].nr_online_vcpus >= 1, "domain %u, %u vcpus", info[0].domain, info[0].nr_online_vcpus);
    EXPECT(info[0].tot_pages && info[0].tot_pages <= info[0].max_pages, "%lu pages", info[0].tot_pages); /* PVH: what is populated */
    EXPECT(platform != PLATFORM_PV || info[0].tot_pages >= start_pages, "%lu pages", info[0].tot_pages);
    op.u.getdomaininfolist.max_domains = 0;
    EXPECT_RC(sysctl(XEN_SYSCTL_getdomaininfolist), 0);
    EXPECT(op.u.getdomaininfolist.num_domains == 0, "%u domains", op.u.getdomaininfolist.num_domains);
    op.u.getdomaininfolist.first_domain = 0x7000;
    op.u.getdomaininfolist.max_domains = 4;
    EXPECT_RC(sysctl(XEN_SYSCTL_getdomaininfolist), 0);
    EXPECT(op.u.getdomaininfolist.num_domains == 0, "%u domains from 0x7000 on", op.u.getdomaininfolist.num_domains);
    op.u.getdomaininfolist.first_domain = 0;
    op.u.getdomaininfolist.buffer.p = (void *)HV_START;
    EXPECT_RC(sysctl(XEN_SYSCTL_getdomaininfolist), -XEN_EFAULT);
}
MICRO_TEST(sysctl_of_domains, "sysctl-domains", PLATFORM_XEN);

static struct xen_domctl ctl;
static uint64_t hard[2], soft[2];

static long domctl(uint32_t cmd)
{
    ctl.cmd = cmd;
    ctl.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    ctl.domain = 0;
    return hypercall(__HYPERVISOR_domctl, PTR(&ctl), 0, 0, 0, 0);
}

/* Affinity of vCPU 0, both masks of 128 bits. */
static long affinity(uint32_t cmd, uint32_t vcpu, uint32_t flags)
{
    memset(&ctl, 0, sizeof(ctl));
    ctl.u.vcpuaffinity.vcpu = vcpu;
    ctl.u.vcpuaffinity.flags = flags;
    ctl.u.vcpuaffinity.cpumap_hard.nr_bits = ctl.u.vcpuaffinity.cpumap_soft.nr_bits = 128;
    ctl.u.vcpuaffinity.cpumap_hard.bitmap.p = (void *)hard;
    ctl.u.vcpuaffinity.cpumap_soft.bitmap.p = (void *)soft;
    return domctl(cmd);
}

static void domctl_of_affinity(void)
{
    const uint32_t both = XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT;

    if (!privileged()) {
        EXPECT_RC(affinity(XEN_DOMCTL_getvcpuaffinity, 0, both), -XEN_EPERM);
        return;
    }
    EXPECT_RC(affinity(XEN_DOMCTL_getvcpuaffinity, 0, both), 0);
    EXPECT((hard[0] & 1) && (soft[0] & 1), "hard %lx, soft %lx", hard[0], soft[0]);
    hard[0] = 1 | 1ul << 40; /* pcpu 0, and one that is not there */
    soft[0] = ~0ul;
    hard[1] = soft[1] = ~0ul;
    EXPECT_RC(affinity(XEN_DOMCTL_setvcpuaffinity, 0, both), 0);
    EXPECT(hard[0] == 1 && soft[0] == 1 && !hard[1] && !soft[1], "hard %lx, soft %lx", hard[0], soft[0]);
    EXPECT_RC(affinity(XEN_DOMCTL_getvcpuaffinity, 0, XEN_VCPUAFFINITY_HARD), 0);
    EXPECT(hard[0] == 1, "hard %lx", hard[0]);
    hard[0] = 1ul << 63; /* none of the pool */
    EXPECT_RC(affinity(XEN_DOMCTL_setvcpuaffinity, 0, XEN_VCPUAFFINITY_HARD), -XEN_EINVAL);
    EXPECT_RC(affinity(XEN_DOMCTL_getvcpuaffinity, 0, XEN_VCPUAFFINITY_HARD), 0);
    EXPECT(hard[0] == 1, "hard %lx, behind a refusal", hard[0]);
    soft[0] = 0; /* none that it had better run on: no preference */
    EXPECT_RC(affinity(XEN_DOMCTL_setvcpuaffinity, 0, XEN_VCPUAFFINITY_SOFT), 0);
    EXPECT(!soft[0], "soft %lx", soft[0]);
    EXPECT_RC(affinity(XEN_DOMCTL_setvcpuaffinity, 0, 0), -XEN_EINVAL);
    EXPECT_RC(affinity(XEN_DOMCTL_setvcpuaffinity, 4096, both), -XEN_EINVAL);
    EXPECT_RC(affinity(XEN_DOMCTL_getvcpuaffinity, ~0u, both), -XEN_EINVAL);
    ctl.u.vcpuaffinity.vcpu = 0;
    ctl.u.vcpuaffinity.cpumap_hard.bitmap.p = NULL;
    EXPECT_RC(domctl(XEN_DOMCTL_setvcpuaffinity), -XEN_EINVAL);
    ctl.u.vcpuaffinity.cpumap_hard.bitmap.p = (void *)HV_START;
    EXPECT_RC(domctl(XEN_DOMCTL_setvcpuaffinity), -XEN_EFAULT);
    ctl.u.vcpuaffinity.flags = XEN_VCPUAFFINITY_HARD;
    EXPECT_RC(domctl(XEN_DOMCTL_getvcpuaffinity), -XEN_EFAULT);
    hard[0] = soft[0] = hard[1] = soft[1] = ~0ul;
    EXPECT_RC(affinity(XEN_DOMCTL_setvcpuaffinity, 0, both), 0);

    memset(&ctl, 0, sizeof(ctl));
    EXPECT_RC(domctl(XEN_DOMCTL_getvcpuinfo), 0);
    EXPECT(ctl.u.getvcpuinfo.online == 1 && ctl.u.getvcpuinfo.running == 1 && !ctl.u.getvcpuinfo.blocked && ctl.u.getvcpuinfo.cpu_time,
           "online %u, running %u", ctl.u.getvcpuinfo.online, ctl.u.getvcpuinfo.running);
    ctl.u.getvcpuinfo.vcpu = 99;
    EXPECT_RC(domctl(XEN_DOMCTL_getvcpuinfo), -XEN_EINVAL);
}
MICRO_TEST(domctl_of_affinity, "domctl-affinity", PLATFORM_XEN);

static long weigh(uint32_t scheduler, uint32_t cmd, uint16_t weight, uint16_t cap)
{
    memset(&ctl, 0, sizeof(ctl));
    ctl.u.scheduler_op.sched_id = scheduler;
    ctl.u.scheduler_op.cmd = cmd;
    ctl.u.scheduler_op.u.credit.weight = weight;
    ctl.u.scheduler_op.u.credit.cap = cap;
    return domctl(XEN_DOMCTL_scheduler_op);
}

static void domctl_of_weight(void)
{
    const struct xen_domctl_sched_credit *now = &ctl.u.scheduler_op.u.credit;
    uint32_t scheduler;

    if (!privileged()) {
        EXPECT_RC(weigh(XEN_SCHEDULER_CREDIT, XEN_DOMCTL_SCHEDOP_getinfo, 0, 0), -XEN_EPERM);
        return;
    }
    memset(&op, 0, sizeof(op));
    EXPECT_RC(sysctl(XEN_SYSCTL_sched_id), 0);
    scheduler = op.u.sched_id.sched_id;
    EXPECT_RC(weigh(scheduler, XEN_DOMCTL_SCHEDOP_putinfo, 512, 90), 0);
    EXPECT_RC(weigh(scheduler, XEN_DOMCTL_SCHEDOP_putinfo, 0, 0xffff), scheduler == XEN_SCHEDULER_CREDIT ? 0 : -XEN_EINVAL);
    EXPECT_RC(weigh(scheduler, XEN_DOMCTL_SCHEDOP_getinfo, 0, 0), 0);
    EXPECT(now->weight == 512 && now->cap == 90, "weight %u, cap %u", now->weight, now->cap);
    EXPECT_RC(weigh(scheduler, XEN_DOMCTL_SCHEDOP_putinfo, 256, 0), 0);
    EXPECT_RC(weigh(scheduler, XEN_DOMCTL_SCHEDOP_putvcpuinfo, 256, 0), -XEN_EINVAL);
    EXPECT_RC(weigh(scheduler, 77, 256, 0), -XEN_EINVAL);
    EXPECT_RC(weigh(XEN_SCHEDULER_RTDS, XEN_DOMCTL_SCHEDOP_getinfo, 0, 0), -XEN_EINVAL);
    EXPECT_RC(weigh(0, XEN_DOMCTL_SCHEDOP_getinfo, 0, 0), -XEN_EINVAL);
}
MICRO_TEST(domctl_of_weight, "domctl-weight", PLATFORM_XEN);

static long tune(uint32_t pool, uint32_t scheduler, uint32_t cmd)
{
    op.u.scheduler_op.cpupool_id = pool;
    op.u.scheduler_op.sched_id = scheduler;
    op.u.scheduler_op.cmd = cmd;
    return sysctl(XEN_SYSCTL_scheduler_op);
}

static void sysctl_of_scheduler(void)
{
    uint32_t scheduler, was, *limit;

    memset(&op, 0, sizeof(op));
    if (!privileged()) {
        EXPECT_RC(tune(0, XEN_SCHEDULER_CREDIT, XEN_SYSCTL_SCHEDOP_getinfo), -XEN_EPERM);
        return;
    }
    EXPECT_RC(sysctl(XEN_SYSCTL_sched_id), 0);
    scheduler = op.u.sched_id.sched_id;
    memset(&op, 0, sizeof(op));
    limit = scheduler == XEN_SCHEDULER_CREDIT ? &op.u.scheduler_op.u.sched_credit.ratelimit_us : &op.u.scheduler_op.u.sched_credit2.ratelimit_us;
    EXPECT_RC(tune(0, scheduler, XEN_SYSCTL_SCHEDOP_getinfo), 0);
    EXPECT(scheduler != XEN_SCHEDULER_CREDIT || op.u.scheduler_op.u.sched_credit.tslice_ms == 30, "slice %u",
           op.u.scheduler_op.u.sched_credit.tslice_ms);
    was = *limit;
    *limit = 5000;
    EXPECT_RC(tune(0, scheduler, XEN_SYSCTL_SCHEDOP_putinfo), 0);
    *limit = 0;
    EXPECT_RC(tune(0, scheduler, XEN_SYSCTL_SCHEDOP_getinfo), 0);
    EXPECT(*limit == 5000, "limit %u", *limit);
    *limit = was;
    EXPECT_RC(tune(0, scheduler, XEN_SYSCTL_SCHEDOP_putinfo), 0);
    *limit = 99;
    EXPECT_RC(tune(0, scheduler, XEN_SYSCTL_SCHEDOP_putinfo), -XEN_EINVAL);
    *limit = 500001;
    EXPECT_RC(tune(0, scheduler, XEN_SYSCTL_SCHEDOP_putinfo), -XEN_EINVAL);
    EXPECT_RC(tune(0, scheduler, 2), -XEN_EINVAL);
    EXPECT_RC(tune(77, scheduler, XEN_SYSCTL_SCHEDOP_getinfo), -XEN_ESRCH);
    EXPECT_RC(tune(~0u, scheduler, XEN_SYSCTL_SCHEDOP_getinfo), -XEN_ESRCH);
    EXPECT_RC(tune(0, XEN_SCHEDULER_NULL, XEN_SYSCTL_SCHEDOP_getinfo), -XEN_EINVAL);
}
MICRO_TEST(sysctl_of_scheduler, "sysctl-scheduler", PLATFORM_XEN);

static void sysctl_of_topology(void)
{
    static struct xen_sysctl_cputopo place[2];
    static struct xen_sysctl_meminfo memory[2];
    static uint32_t distance[4];

    memset(&op, 0, sizeof(op));
    if (!privileged()) {
        EXPECT_RC(sysctl(XEN_SYSCTL_cputopoinfo), -XEN_EPERM);
        EXPECT_RC(sysctl(XEN_SYSCTL_numainfo), -XEN_EPERM);
        return;
    }
    EXPECT_RC(sysctl(XEN_SYSCTL_cputopoinfo), 0);
    EXPECT(op.u.cputopoinfo.num_cpus >= 1, "%u cpus", op.u.cputopoinfo.num_cpus);
    memset(place, 0xff, sizeof(place));
    op.u.cputopoinfo.num_cpus = 1;
    op.u.cputopoinfo.cputopo.p = place;
    EXPECT_RC(sysctl(XEN_SYSCTL_cputopoinfo), 0);
    EXPECT((place[0].core == 0 || place[0].core == XEN_INVALID_CORE_ID) && place[0].socket == 0 && place[0].node == 0 && place[1].core == ~0u, "core %u, socket %u, node %u",
           place[0].core, place[0].socket, place[0].node);
    op.u.cputopoinfo.num_cpus = ~0u;
    op.u.cputopoinfo.cputopo.p = (void *)HV_START;
    EXPECT_RC(sysctl(XEN_SYSCTL_cputopoinfo), -XEN_EFAULT);

    memset(&op, 0, sizeof(op));
    EXPECT_RC(sysctl(XEN_SYSCTL_numainfo), 0);
    EXPECT(op.u.numainfo.num_nodes == 1, "%u nodes", op.u.numainfo.num_nodes);
    op.u.numainfo.num_nodes = 2;
    op.u.numainfo.meminfo.p = memory;
    op.u.numainfo.distance.p = distance;
    EXPECT_RC(sysctl(XEN_SYSCTL_numainfo), 0);
    EXPECT(op.u.numainfo.num_nodes == 1 && memory[0].memsize > memory[0].memfree && !memory[1].memsize && distance[0] == 10 && !distance[1],
           "%u nodes, %lu bytes, %lu free, distance %u", op.u.numainfo.num_nodes, memory[0].memsize, memory[0].memfree, distance[0]);
    op.u.numainfo.num_nodes = 1;
    op.u.numainfo.meminfo.p = (void *)HV_START;
    EXPECT_RC(sysctl(XEN_SYSCTL_numainfo), -XEN_EFAULT);
}
MICRO_TEST(sysctl_of_topology, "sysctl-topology", PLATFORM_XEN);

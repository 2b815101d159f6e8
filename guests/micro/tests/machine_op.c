/* SPDX-License-Identifier: MIT */
/*
 * What the privileged domain asks about the machine: machine checks (xen/arch-x86/xen-mca.h), as Debian's kernel does at boot,
 * and the sysctls of `xl info` and `xl list` (xen/sysctl.h). No machine check ever comes here; that is an answer too.
 */
#define __XEN_TOOLS__ 1
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"
#include <xen/arch-x86/xen-mca.h>
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

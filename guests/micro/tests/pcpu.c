/* SPDX-License-Identifier: MIT */
/*
 * Physical CPUs unplugged and plugged in again by the first domain, twenty times each, while other domains run (tests/boot/smp
 * boots those beside it and looks that none is lost).
 */
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"
#include <xen/platform.h>

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

/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's portable sources at work on the simulated machine, under trace: three domains, the
 * credit scheduler, blocking, waking, yielding, event channels, a refused request.
 *
 *   scenario MEMORY-FILE
 *
 * Built twice from the same sources. As it is, its records go to the ring in MEMORY-FILE; with
 * -DTRACE_LTTNG the same calls are LTTng-UST events (and the file stays empty of records).
 */
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/evtchn.h"
#include "machine.h"
#include "sched/sched.h"
#include "trace/trace.h"

#define SCENARIO_REGION (4 << 20)

struct trace_ring scenario_ring;
uint64_t scenario_clock;

static void *start_trace(const char *path)
{
    const struct trace_config config = {
        .nr_cpus = 1, .mode = TRACE_RECORD, .mask = TRACE_CLASSES_ALL, .classes = TRACE_CLASSES,
        .clock_mode = TRACE_CLOCK_UNTIMED, .build_id = "scenario", .build_id_size = 8,
    };
    const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0666);
    void *region;

    if (fd < 0 || ftruncate(fd, SCENARIO_REGION) < 0)
        err(2, "%s", path);
    region = mmap(NULL, SCENARIO_REGION, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (region == MAP_FAILED || trace_region_init(region, SCENARIO_REGION, &config) < 0 ||
        trace_ring_attach(&scenario_ring, region, 0, TRACE_RING_NORMAL, config.mask) < 0)
        errx(2, "no ring");
    return region;
}

/* What the running vCPU does at step i: sleeps (until waked at a later step), yields, or runs on. */
static void act(unsigned int i)
{
    if (host_running(0)->is_idle)
        return;
    if (i % 3 == 0)
        sched_block_current();
    else if (i % 3 == 1)
        sched_yield_current();
    host_schedule();
}

static void run(void)
{
    struct domain *d[3];
    evtchn_port_t port[3];

    host_machine_start(2048, 1, "credit");
    for (domid_t i = 0; i < 3; i++) {
        d[i] = host_domain(i + 1, 1, 0);
        sched_set_params(d[i], 128 << i, i == 2 ? 40 : 0);
        evtchn_bind_ipi(d[i], 0, &port[i]);
    }
    host_schedule();
    for (unsigned int i = 0; i < 400; i++) {
        struct domain *woken = d[i * 7 % 3];

        host_advance(MILLISECS(1 + i % 9));
        act(i);
        evtchn_send(woken, port[i * 7 % 3]);
        vcpu_unpause(woken->vcpu[0], VPF_BLOCKED);
        host_schedule();
    }
    evtchn_send(d[0], 4000); /* no such port */
    for (int i = 0; i < 3; i++) {
        evtchn_close(d[i], port[i], true);
        host_domain_end(d[i]);
    }
    host_machine_stop();
}

int main(int argc, char **argv)
{
    void *region;

    if (argc != 2)
        errx(2, "usage: scenario MEMORY-FILE");
    region = start_trace(argv[1]);
    run();
    trace_region_finish(region);
    return 0;
}

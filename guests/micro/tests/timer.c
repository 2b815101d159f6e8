/* SPDX-License-Identifier: MIT */
/*
 * Timers of the vCPU, and waiting for them: singleshot, periodic, block, poll, yield.
 */
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"
#include "evtchn.h"

/* Both timers off (a domain may start with a periodic one), VIRQ_TIMER bound, nothing pending. */
static uint32_t port_timer(void)
{
    struct evtchn_bind_virq b = {.virq = VIRQ_TIMER, .vcpu = 0};

    EXPECT_RC(hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL), 0);
    EXPECT_RC(hc_vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL), 0);
    EXPECT_RC(hc_evtchn(EVTCHNOP_bind_virq, &b), 0);
    port_mask(b.port, false);
    port_clear(b.port);
    events_reset_log();
    return b.port;
}

static long singleshot(uint64_t at, uint32_t flags)
{
    struct vcpu_set_singleshot_timer t = {.timeout_abs_ns = at, .flags = flags};

    return hc_vcpu_op(VCPUOP_set_singleshot_timer, 0, &t);
}

static void timer_future(void)
{
    uint32_t port = port_timer();
    uint64_t at = now_ns() + 3000000, took;

    EXPECT_RC(singleshot(at, 0), 0);
    EXPECT_RC(events_wait(), 0);
    took = now_ns();
    EXPECT(ev_count == 1 && ev_log[0] == port, "%u events", ev_count);
    EXPECT(took >= at, "woke %lu ns early", at - took);
    EXPECT(!events_masked(), "block did not unmask");
    events_mask();
    EXPECT_RC(port_close(port), 0);
    test_note("%lu ns late", took - at);
}
MICRO_TEST(timer_future, "timer-singleshot-future", PLATFORM_XEN);

static void timer_past(void)
{
    uint32_t port = port_timer();
    long rc = singleshot(1, VCPU_SSHOTTMR_future);

    /* With the flag the hypervisor may refuse by -ETIME, or ignore it; without, the event comes at
     * once. */
    EXPECT(rc == 0 || rc == -XEN_ETIME, "past, with the flag: %ld", rc);
    EXPECT_RC(singleshot(1, 0), 0);
    EXPECT_RC(events_wait(), 0);
    EXPECT(ev_count == 1, "%u events", ev_count);
    events_mask();
    EXPECT_RC(port_close(port), 0);
}
MICRO_TEST(timer_past, "timer-singleshot-past", PLATFORM_XEN);

static void timer_stop(void)
{
    uint32_t port = port_timer();
    uint64_t end;

    /* Long enough for the host to stall between the two calls. */
    EXPECT_RC(singleshot(now_ns() + 100000000, 0), 0);
    EXPECT_RC(hc_vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL), 0);
    events_unmask();
    for (end = now_ns() + 120000000; now_ns() < end;)
        hc_sched_op(SCHEDOP_yield, NULL);
    events_mask();
    EXPECT(ev_count == 0, "%u events of a stopped timer", ev_count);
    EXPECT_RC(port_close(port), 0);
}
MICRO_TEST(timer_stop, "timer-singleshot-stop", PLATFORM_XEN);

static void timer_set_timer_op(void)
{
    uint32_t port = port_timer();

    EXPECT_RC(hc_set_timer_op(now_ns() + 1000000), 0);
    EXPECT_RC(events_wait(), 0);
    EXPECT(ev_count == 1, "%u events", ev_count);
    events_mask();
    EXPECT_RC(hc_set_timer_op(now_ns() + 100000000), 0);
    EXPECT_RC(hc_set_timer_op(0), 0); /* 0 stops it */
    EXPECT_RC(port_close(port), 0);
}
MICRO_TEST(timer_set_timer_op, "timer-set-timer-op", PLATFORM_XEN);

/* Spinning, not blocked: the periodic timer of Xen runs with the vCPU and does not wake it. */
static void timer_periodic(void)
{
    struct vcpu_set_periodic_timer p = {.period_ns = 2000000}, fast = {.period_ns = 1000};
    uint32_t port = port_timer();
    uint64_t start;

    EXPECT_RC(hc_vcpu_op(VCPUOP_set_periodic_timer, 0, &fast), -XEN_EINVAL);
    EXPECT_RC(hc_vcpu_op(VCPUOP_set_periodic_timer, 0, &p), 0);
    start = now_ns();
    events_unmask();
    while (ev_count < 5 && now_ns() - start < 500 * p.period_ns)
        ;
    EXPECT(ev_count >= 5, "%u events in %lu ns", ev_count, now_ns() - start);
    EXPECT(now_ns() - start >= 4 * p.period_ns, "5 periods took %lu ns", now_ns() - start);
    EXPECT_RC(hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL), 0);
    events_mask();
    EXPECT_RC(port_close(port), 0);
}
MICRO_TEST(timer_periodic, "timer-periodic", PLATFORM_XEN);

static void timer_errors(void)
{
    EXPECT_RC(hc_vcpu_op(VCPUOP_set_singleshot_timer, 0, (void *)HV_START), -XEN_EFAULT);
    EXPECT_RC(hc_vcpu_op(VCPUOP_set_periodic_timer, 0, (void *)HV_START), -XEN_EFAULT);
    EXPECT_RC(hc_vcpu_op(VCPUOP_stop_singleshot_timer, 7, NULL), -XEN_ENOENT);
}
MICRO_TEST(timer_errors, "timer-errors", PLATFORM_XEN);

/* ---- sched_op ---- */

static void sched_yield_block(void)
{
    uint32_t port = port_ipi();

    EXPECT_RC(hc_sched_op(SCHEDOP_yield, NULL), 0);
    events_reset_log();
    EXPECT_RC(port_send(port), 0);
    EXPECT_RC(events_wait(), 0); /* pending work: returns, with the event taken */
    EXPECT(ev_count == 1, "%u events", ev_count);
    events_mask();
    EXPECT_RC(port_close(port), 0);
}
MICRO_TEST(sched_yield_block, "sched-yield-block", PLATFORM_XEN);

static void sched_poll(void)
{
    uint32_t port = port_ipi();
    struct sched_poll p = {.nr_ports = 1, .timeout = now_ns() + 20000000};
    uint64_t end = p.timeout;

    set_xen_guest_handle(p.ports, &port);
    EXPECT_RC(hc_sched_op(SCHEDOP_poll, &p), 0); /* nothing comes: the timeout ends it */
    EXPECT(now_ns() >= end, "poll came back %lu ns early", end - now_ns());
    EXPECT_RC(port_send(port), 0);
    p.timeout = 0;
    EXPECT_RC(hc_sched_op(SCHEDOP_poll, &p), 0); /* pending already: at once */
    EXPECT(port_pending(port), "poll took the event");
    p.nr_ports = 129;
    EXPECT_RC(hc_sched_op(SCHEDOP_poll, &p), -XEN_EINVAL);
    p.nr_ports = 1;
    set_xen_guest_handle(p.ports, (uint32_t *)HV_START);
    EXPECT_RC(hc_sched_op(SCHEDOP_poll, &p), -XEN_EFAULT);
    port_clear(port);
    events_unmask();
    events_mask();
    EXPECT_RC(port_close(port), 0);
}
MICRO_TEST(sched_poll, "sched-poll", PLATFORM_XEN);

/* A kernel that waits for a lock has events masked (a PVH one by IF), and others pending meanwhile: they do not end its poll. */
static void sched_poll_masked(void)
{
    uint32_t pending = port_ipi(), port = port_ipi();
    struct sched_poll p = {.nr_ports = 1};

    events_mask();
    EXPECT_RC(port_send(pending), 0);
    p.timeout = now_ns() + 20000000;
    set_xen_guest_handle(p.ports, &port);
    EXPECT_RC(hc_sched_op(SCHEDOP_poll, &p), 0);
    EXPECT(now_ns() >= p.timeout, "poll came back %lu ns early", p.timeout - now_ns());
    events_reset_log();
    events_unmask();
    events_mask();
    EXPECT(ev_count == 1 && ev_log[0] == pending, "%u events", ev_count);
    EXPECT_RC(port_close(pending), 0);
    EXPECT_RC(port_close(port), 0);
}
MICRO_TEST(sched_poll_masked, "sched-poll-masked", PLATFORM_XEN);

/* Set, fed and ended in time; what a watchdog does in the end, tests/unit shows. */
static void sched_watchdog(void)
{
    struct sched_watchdog w = {.id = 0, .timeout = 30};

    EXPECT_RC(hc_sched_op(SCHEDOP_watchdog, &w), 1);
    EXPECT_RC(hc_sched_op(SCHEDOP_watchdog, &w), 2);
    EXPECT((int)hc_sched_op(SCHEDOP_watchdog, &w) == -XEN_ENOSPC, "a third"); /* Xen returns 32 bits of it */
    for (w.id = 1; w.id <= 2; w.id++) {
        w.timeout = 40;
        EXPECT_RC(hc_sched_op(SCHEDOP_watchdog, &w), 0);
        w.timeout = 0;
        EXPECT_RC(hc_sched_op(SCHEDOP_watchdog, &w), 0);
        EXPECT_RC(hc_sched_op(SCHEDOP_watchdog, &w), -XEN_EINVAL);
    }
    w.id = 3;
    EXPECT_RC(hc_sched_op(SCHEDOP_watchdog, &w), -XEN_EINVAL);
    EXPECT_RC(hc_sched_op(SCHEDOP_watchdog, (void *)HV_START), -XEN_EFAULT);
}
MICRO_TEST(sched_watchdog, "sched-watchdog", PLATFORM_XEN);

static void sched_errors(void)
{
    EXPECT_RC(hc_sched_op(99, NULL), -XEN_ENOSYS);
    EXPECT_RC(hc_sched_op(SCHEDOP_shutdown, (void *)HV_START), -XEN_EFAULT);
    EXPECT_RC(hc_sched_op(SCHEDOP_poll, (void *)HV_START), -XEN_EFAULT);
}
MICRO_TEST(sched_errors, "sched-errors", PLATFORM_XEN);

/* SPDX-License-Identifier: MIT */
/*
 * Event channels by the 2-level ABI: every operation, masks, delivery to the upcall. evtchn_fifo.c
 * goes on.
 */
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"
#include "evtchn.h"

uint32_t port_ipi(void)
{
    struct evtchn_bind_ipi b = {.vcpu = 0};

    EXPECT_RC(hc_evtchn(EVTCHNOP_bind_ipi, &b), 0);
    port_mask(b.port, false);
    return b.port;
}

long port_close(uint32_t port)
{
    struct evtchn_close c = {.port = port};

    return hc_evtchn(EVTCHNOP_close, &c);
}

long port_send(uint32_t port)
{
    struct evtchn_send s = {.port = port};

    return hc_evtchn(EVTCHNOP_send, &s);
}

static uint32_t status_of(uint32_t port)
{
    struct evtchn_status s = {.dom = DOMID_SELF, .port = port};

    return hc_evtchn(EVTCHNOP_status, &s) ? ~0u : s.status;
}

void evtchn_delivery(void)
{
    uint32_t port = port_ipi();

    EXPECT(status_of(port) == EVTCHNSTAT_ipi, "status %u", status_of(port));
    events_reset_log();
    EXPECT_RC(port_send(port), 0);
    EXPECT(ev_upcalls == 0, "an upcall while masked");
    EXPECT(port_pending(port) && vcpu_info->evtchn_upcall_pending, "not pending");
    events_unmask();
    EXPECT(ev_upcalls == 1 && ev_count == 1 && ev_log[0] == port, "upcalls %u, ports %u, first %u",
           ev_upcalls, ev_count, ev_log[0]);
    EXPECT_RC(port_send(port), 0); /* unmasked: the upcall comes before the call returns */
    EXPECT(ev_upcalls == 2 && ev_count == 2, "upcalls %u, ports %u", ev_upcalls, ev_count);
    EXPECT(!events_masked(), "the way back left upcalls masked");
    events_mask();
    EXPECT_RC(port_close(port), 0);
    EXPECT(status_of(port) == EVTCHNSTAT_closed, "status %u", status_of(port));
}
MICRO_TEST(evtchn_delivery, "evtchn-2l-delivery", PLATFORM_XEN);

void evtchn_port_mask(void)
{
    uint32_t port = port_ipi();
    struct evtchn_unmask u = {.port = port};

    events_reset_log();
    events_unmask();
    port_mask(port, true);
    EXPECT_RC(port_send(port), 0);
    EXPECT(ev_count == 0 && port_pending(port), "a masked port was delivered");
    EXPECT_RC(hc_evtchn(EVTCHNOP_unmask, &u), 0);
    EXPECT(ev_count == 1 && ev_log[0] == port && !port_pending(port), "unmask delivered %u",
           ev_count);
    EXPECT_RC(hc_evtchn(EVTCHNOP_unmask, &u), 0);
    EXPECT(ev_count == 1, "unmask of a quiet port delivered");
    events_mask();
    EXPECT_RC(port_close(port), 0);
}
MICRO_TEST(evtchn_port_mask, "evtchn-2l-mask", PLATFORM_XEN);

void evtchn_interdomain(void)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
    struct evtchn_bind_interdomain b = {.remote_dom = DOMID_SELF};
    struct evtchn_status s = {.dom = DOMID_SELF};

    EXPECT_RC(hc_evtchn(EVTCHNOP_alloc_unbound, &a), 0);
    EXPECT(status_of(a.port) == EVTCHNSTAT_unbound, "status %u", status_of(a.port));
    b.remote_port = a.port;
    EXPECT_RC(hc_evtchn(EVTCHNOP_bind_interdomain, &b), 0);
    EXPECT(b.local_port != a.port, "both ends are port %u", a.port);
    s.port = b.local_port;
    EXPECT_RC(hc_evtchn(EVTCHNOP_status, &s), 0);
    EXPECT(s.status == EVTCHNSTAT_interdomain && s.u.interdomain.port == a.port,
           "status %u port %u", s.status, s.u.interdomain.port);
    port_mask(a.port, false);
    port_mask(b.local_port, false);
    events_unmask(); /* binding marks the new port pending: take that first */
    events_reset_log();
    EXPECT_RC(port_send(b.local_port), 0);
    EXPECT(ev_count == 1 && ev_log[0] == a.port, "ports %u, first %u, want %u", ev_count, ev_log[0],
           a.port);
    EXPECT_RC(port_send(a.port), 0);
    EXPECT(ev_count == 2 && ev_log[1] == b.local_port, "ports %u, second %u", ev_count, ev_log[1]);
    events_mask();
    EXPECT_RC(port_close(b.local_port), 0);
    EXPECT(status_of(a.port) == EVTCHNSTAT_unbound, "after a close the other end is %u",
           status_of(a.port));
    EXPECT_RC(port_close(a.port), 0);
}
MICRO_TEST(evtchn_interdomain, "evtchn-2l-interdomain", PLATFORM_XEN);

static void evtchn_virq(void)
{
    struct evtchn_bind_virq b = {.virq = VIRQ_TIMER, .vcpu = 0}, again = b;
    struct evtchn_bind_virq bad = {.virq = NR_VIRQS, .vcpu = 0},
                            absent = {.virq = VIRQ_DEBUG, .vcpu = 7};
    struct evtchn_bind_virq global = {.virq = VIRQ_DOM_EXC, .vcpu = 1};

    EXPECT_RC(hc_evtchn(EVTCHNOP_bind_virq, &b), 0);
    EXPECT(status_of(b.port) == EVTCHNSTAT_virq, "status %u", status_of(b.port));
    EXPECT_RC(hc_evtchn(EVTCHNOP_bind_virq, &again), -XEN_EEXIST);
    EXPECT_RC(hc_evtchn(EVTCHNOP_bind_virq, &bad), -XEN_EINVAL);
    EXPECT_RC(hc_evtchn(EVTCHNOP_bind_virq, &absent), -XEN_ENOENT);
    EXPECT_RC(hc_evtchn(EVTCHNOP_bind_virq, &global), -XEN_EINVAL);
    EXPECT_RC(port_send(b.port), -XEN_EINVAL);
    EXPECT_RC(port_close(b.port), 0);
    EXPECT_RC(hc_evtchn(EVTCHNOP_bind_virq, &again), 0);
    EXPECT_RC(port_close(again.port), 0);
}
MICRO_TEST(evtchn_virq, "evtchn-virq", PLATFORM_XEN);

static void evtchn_errors(void)
{
    struct evtchn_alloc_unbound a = {.dom = 0x1234, .remote_dom = DOMID_SELF};
    struct evtchn_bind_interdomain b = {.remote_dom = DOMID_SELF, .remote_port = 999};
    struct evtchn_bind_ipi ipi = {.vcpu = 7};
    struct evtchn_status s = {.dom = 0x1234, .port = 1};
    struct evtchn_unmask u = {.port = 1 << 20};
    struct evtchn_bind_vcpu v = {.vcpu = 0};

    EXPECT_RC(port_send(0), -XEN_EINVAL);
    EXPECT_RC(port_send(999), -XEN_EINVAL);
    EXPECT_RC(port_send(1 << 20), -XEN_EINVAL);
    EXPECT_RC(port_send(0xffffffff), -XEN_EINVAL);
    EXPECT_RC(port_close(0), -XEN_EINVAL);
    EXPECT_RC(port_close(999), -XEN_EINVAL);
    EXPECT_RC(port_close(1 << 20), -XEN_EINVAL);
    EXPECT_RC(hc_evtchn(EVTCHNOP_unmask, &u), -XEN_EINVAL);
    /* A domain without rights over others may as well be told that it has none. */
    EXPECT_RC(hc_evtchn(EVTCHNOP_alloc_unbound, &a), privileged() ? -XEN_ESRCH : -XEN_EPERM);
    EXPECT_RC(hc_evtchn(EVTCHNOP_bind_interdomain, &b), -XEN_EINVAL);
    b.remote_dom = 0x1234;
    EXPECT_RC(hc_evtchn(EVTCHNOP_bind_interdomain, &b), -XEN_ESRCH);
    EXPECT_RC(hc_evtchn(EVTCHNOP_bind_ipi, &ipi), -XEN_ENOENT);
    EXPECT_RC(hc_evtchn(EVTCHNOP_status, &s), privileged() ? -XEN_ESRCH : -XEN_EPERM);
    EXPECT_RC(hc_evtchn(99, &s), -XEN_ENOSYS);
    EXPECT_RC(hc_evtchn(EVTCHNOP_send, (void *)HV_START), -XEN_EFAULT);
    v.port = port_ipi();
    EXPECT_RC(hc_evtchn(EVTCHNOP_bind_vcpu, &v), -XEN_EINVAL); /* IPIs stay where they are */
    EXPECT_RC(port_close(v.port), 0);
}
MICRO_TEST(evtchn_errors, "evtchn-errors", PLATFORM_XEN);

static void evtchn_bind_vcpu(void)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
    struct evtchn_bind_vcpu v = {.vcpu = 0};

    EXPECT_RC(hc_evtchn(EVTCHNOP_alloc_unbound, &a), 0);
    v.port = a.port;
    EXPECT_RC(hc_evtchn(EVTCHNOP_bind_vcpu, &v), 0);
    v.vcpu = 5;
    EXPECT_RC(hc_evtchn(EVTCHNOP_bind_vcpu, &v), -XEN_ENOENT);
    EXPECT_RC(port_close(a.port), 0);
}
MICRO_TEST(evtchn_bind_vcpu, "evtchn-bind-vcpu", PLATFORM_XEN);

/* All ports there are by the 2-level ABI; the one after them is refused, and all come back. */
static void evtchn_exhaust(void)
{
    static uint16_t ports[EVTCHN_2L_NR_CHANNELS];
    unsigned n = 0;
    long rc;

    for (;;) {
        struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};

        rc = hc_evtchn(EVTCHNOP_alloc_unbound, &a);
        if (rc || n == EVTCHN_2L_NR_CHANNELS)
            break;
        ports[n++] = (uint16_t)a.port;
    }
    EXPECT(rc == -XEN_ENOSPC, "after %u ports: %ld", n, rc);
    EXPECT(n > EVTCHN_2L_NR_CHANNELS / 2, "only %u ports", n);
    test_note("%u ports", n);
    while (n)
        EXPECT_RC(port_close(ports[--n]), 0);
}
MICRO_TEST(evtchn_exhaust, "evtchn-2l-exhaust", PLATFORM_XEN);

extern char u_spin[];

static void wake_user(uint32_t port)
{
    user_data[0] = 1;
}

/* An event interrupts user mode, and user mode goes on after it. */
static void evtchn_from_user(void)
{
    struct evtchn_bind_virq b = {.virq = VIRQ_TIMER, .vcpu = 0};
    struct vcpu_set_singleshot_timer t = {.timeout_abs_ns = now_ns() + 2000000};
    struct user_regs r = user_entry(u_spin);
    struct trap_caught c;

    EXPECT_RC(hc_evtchn(EVTCHNOP_bind_virq, &b), 0);
    port_mask(b.port, false);
    user_data[0] = 0;
    ev_hook = wake_user;
    events_reset_log();
    EXPECT_RC(hc_vcpu_op(VCPUOP_set_singleshot_timer, 0, &t), 0);
    EXPECT_RC(user_run(&r, &c), VEC_SYSCALL); /* its IF is set, so upcalls are unmasked there */
    EXPECT(ev_count == 1, "%u events", ev_count);
    ev_hook = NULL;
    user_data[0] = 0;
    EXPECT_RC(port_close(b.port), 0);
}
MICRO_TEST(evtchn_from_user, "evtchn-from-user", PLATFORM_XEN);

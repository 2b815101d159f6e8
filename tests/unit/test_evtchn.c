/* SPDX-License-Identifier: MIT */
/*
 * Event channels, two-level: what EVENT_CHANNEL_OP promises (xen/event_channel.h), seen as a guest
 * sees it: hypercalls in, shared_info and vcpu_info out. FIFO is test_evtchn_fifo.c.
 */
#include <criterion/criterion.h>

#include "core/evtchn.h"
#include "core/hypercall.h"
#include "event_op.h"
#include "machine.h"

static struct domain *d1, *d2;

static void start(void)
{
    host_machine_start(4096, 1, "credit");
    d1 = host_domain(1, 2, 16);
    d2 = host_domain(2, 1, 16);
    host_set_current(d1->vcpu[0]);
}

static void stop(void)
{
    host_machine_stop();
}

TestSuite(evtchn, .init = start, .fini = stop);

static evtchn_port_t unbound(struct domain *allowed)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = allowed->id};

    cr_assert_eq(OP(alloc_unbound, &a), 0);
    return a.port;
}

/** Bind the current domain to a port of another. */
static evtchn_port_t bind_to(struct domain *remote, evtchn_port_t port)
{
    struct evtchn_bind_interdomain b = {.remote_dom = remote->id, .remote_port = port};

    cr_assert_eq(OP(bind_interdomain, &b), 0);
    return b.local_port;
}

static long send(evtchn_port_t port)
{
    struct evtchn_send s = {.port = port};

    return OP(send, &s);
}

static long close_port(evtchn_port_t port)
{
    struct evtchn_close c = {.port = port};

    return OP(close, &c);
}

static u32 status_of(domid_t dom, evtchn_port_t port)
{
    struct evtchn_status s = {.dom = dom, .port = port};

    cr_assert_eq(OP(status, &s), 0);
    return s.status;
}

static bool pending(struct domain *d, evtchn_port_t port)
{
    return test_bit(port, d->shared_info->evtchn_pending);
}

Test(evtchn, unknown_operation_and_bad_pointer)
{
    cr_expect_eq(do_event_channel_op(99, HOST_GUEST_BASE, 0, 0, 0, 0), -XEN_ENOSYS);
    cr_expect(host_console_has("hypercall 32"), "the refusal has its line");
    for (unsigned int cmd = 0; cmd <= EVTCHNOP_set_priority; cmd++) {
        cr_expect_eq(do_event_channel_op(cmd, 0xffff800000000000, 0, 0, 0, 0), -XEN_EFAULT,
                     "operation %u", cmd);
        cr_expect_eq(do_event_channel_op(cmd, ~0ull - 1, 0, 0, 0, 0), -XEN_EFAULT,
                     "operation %u, wrapping", cmd);
    }
}

Test(evtchn, ports_are_given_lowest_first_and_zero_never)
{
    cr_expect_eq(unbound(d2), 1);
    cr_expect_eq(unbound(d2), 2);
    cr_expect_eq(unbound(d2), 3);
    cr_expect_eq(close_port(2), 0);
    cr_expect_eq(unbound(d2), 2);
    cr_expect_eq(unbound(d2), 4);
    cr_expect_eq(close_port(0), -XEN_EINVAL);
    cr_expect_eq(send(0), -XEN_EINVAL);
    cr_expect_eq(close_port(100), -XEN_EINVAL);
    cr_expect_eq(close_port(~0u), -XEN_EINVAL);
}

Test(evtchn, interdomain_send_reaches_the_other_end)
{
    evtchn_port_t p1 = unbound(d2), p2;

    cr_expect_eq(status_of(DOMID_SELF, p1), EVTCHNSTAT_unbound);
    cr_expect_eq(send(p1), 0, "an unbound port swallows events");
    host_set_current(d2->vcpu[0]);
    p2 = bind_to(d1, p1);
    cr_expect(pending(d2, p2), "binding makes the new port pending");
    cr_expect_eq(status_of(DOMID_SELF, p2), EVTCHNSTAT_interdomain);

    cr_expect_not(pending(d1, p1));
    cr_expect_eq(send(p2), 0);
    cr_expect(pending(d1, p1));
    cr_expect_eq(d1->vcpu[0]->info->evtchn_pending_sel, 1ul << (p1 / 64));
    cr_expect_eq(d1->vcpu[0]->info->evtchn_upcall_pending, 1);
    cr_expect_eq(host_vcpu(d1->vcpu[0])->events, 1);
    cr_expect_eq(send(p2), 0);
    cr_expect_eq(host_vcpu(d1->vcpu[0])->events, 1, "told once until it has looked");

    cr_expect_eq(close_port(p2), 0);
    host_set_current(d1->vcpu[0]);
    cr_expect_eq(status_of(DOMID_SELF, p1), EVTCHNSTAT_unbound, "the other end waits again");
    cr_expect_eq(close_port(p1), 0);
    cr_expect_eq(status_of(DOMID_SELF, p1), EVTCHNSTAT_closed);
}

Test(evtchn, binding_needs_an_invitation)
{
    struct evtchn_bind_interdomain b = {.remote_dom = 1, .remote_port = unbound(d1)};

    host_set_current(d2->vcpu[0]);
    cr_expect_eq(OP(bind_interdomain, &b), -XEN_EINVAL, "invited is another domain");
    b.remote_port = 77;
    cr_expect_eq(OP(bind_interdomain, &b), -XEN_EINVAL);
    b.remote_port = 40000;
    cr_expect_eq(OP(bind_interdomain, &b), -XEN_EINVAL);
    b.remote_dom = 9;
    cr_expect_eq(OP(bind_interdomain, &b), -XEN_ESRCH);
    cr_expect_eq(unbound(d1), 1, "no port was lost on the way");
}

Test(evtchn, loopback)
{
    evtchn_port_t p = unbound(d1), q = bind_to(d1, p);

    d1->shared_info->evtchn_pending[0] = 0;
    cr_expect_eq(send(p), 0);
    cr_expect(pending(d1, q));
    cr_expect_not(pending(d1, p));
    cr_expect_eq(send(q), 0);
    cr_expect(pending(d1, p));
    cr_expect_eq(close_port(q), 0);
    cr_expect_eq(send(p), 0);
    cr_expect_not(pending(d1, q));
}

Test(evtchn, unprivileged_acts_for_itself_only)
{
    struct evtchn_alloc_unbound a = {.dom = 2, .remote_dom = DOMID_SELF};
    struct evtchn_status s = {.dom = 2, .port = 1};
    struct evtchn_reset r = {.dom = 2};
    struct evtchn_bind_pirq p = {.pirq = 3};

    cr_expect_eq(OP(alloc_unbound, &a), -XEN_EPERM);
    cr_expect_eq(OP(status, &s), -XEN_EPERM);
    cr_expect_eq(OP(reset, &r), -XEN_EPERM);
    cr_expect_eq(OP(bind_pirq, &p), -XEN_EPERM);
    d1->privileged = true;
    cr_expect_eq(OP(alloc_unbound, &a), 0);
    a.dom = 7;
    cr_expect_eq(OP(alloc_unbound, &a), -XEN_ESRCH);
}

Test(evtchn, virqs)
{
    struct evtchn_bind_virq b = {.virq = VIRQ_TIMER, .vcpu = 1};
    struct evtchn_bind_vcpu m = {.vcpu = 0};

    evtchn_send_virq(d1->vcpu[1], VIRQ_TIMER);
    cr_expect_eq(host_vcpu(d1->vcpu[1])->events, 0, "not bound: nothing");
    cr_expect_eq(OP(bind_virq, &b), 0);
    cr_expect_eq(OP(bind_virq, &b), -XEN_EEXIST);
    evtchn_send_virq(d1->vcpu[1], VIRQ_TIMER);
    cr_expect_eq(host_vcpu(d1->vcpu[1])->events, 1);
    cr_expect_eq(host_vcpu(d1->vcpu[0])->events, 0);
    cr_expect_eq(send(b.port), -XEN_EINVAL, "a VIRQ is no port to send on");
    m.port = b.port;
    cr_expect_eq(OP(bind_vcpu, &m), -XEN_EINVAL, "a per-vCPU VIRQ stays where it is");
    cr_expect_eq(close_port(b.port), 0);
    evtchn_send_virq(d1->vcpu[1], VIRQ_TIMER);
    cr_expect_eq(host_vcpu(d1->vcpu[1])->events, 1);
    cr_expect_eq(OP(bind_virq, &b), 0, "free again");

    b = (struct evtchn_bind_virq){.virq = VIRQ_CONSOLE, .vcpu = 1};
    cr_expect_eq(OP(bind_virq, &b), -XEN_EINVAL, "a global one begins at vCPU 0");
    b.vcpu = 0;
    cr_expect_eq(OP(bind_virq, &b), 0);
    m = (struct evtchn_bind_vcpu){.port = b.port, .vcpu = 1};
    cr_expect_eq(OP(bind_vcpu, &m), 0);
    cr_expect_eq(close_port(b.port), 0);
    cr_expect_eq(OP(bind_virq, &b), 0, "closing after a move frees it too");
    b = (struct evtchn_bind_virq){.virq = NR_VIRQS};
    cr_expect_eq(OP(bind_virq, &b), -XEN_EINVAL);
    b = (struct evtchn_bind_virq){.virq = VIRQ_TIMER, .vcpu = 2};
    cr_expect_eq(OP(bind_virq, &b), -XEN_ENOENT);
}

Test(evtchn, ipis_and_where_they_go)
{
    struct evtchn_bind_ipi b = {.vcpu = 1};
    struct evtchn_bind_vcpu m = {.vcpu = 0};

    cr_expect_eq(OP(bind_ipi, &b), 0);
    cr_expect_eq(send(b.port), 0);
    cr_expect_eq(d1->vcpu[1]->info->evtchn_upcall_pending, 1);
    m.port = b.port;
    cr_expect_eq(OP(bind_vcpu, &m), -XEN_EINVAL);
    m.vcpu = 2;
    cr_expect_eq(OP(bind_vcpu, &m), -XEN_ENOENT);
    b.vcpu = 2;
    cr_expect_eq(OP(bind_ipi, &b), -XEN_ENOENT);
}

Test(evtchn, mask_holds_back_and_unmask_delivers)
{
    struct evtchn_bind_ipi b = {.vcpu = 0};
    struct evtchn_unmask u;

    cr_expect_eq(OP(bind_ipi, &b), 0);
    set_bit(b.port, d1->shared_info->evtchn_mask);
    cr_expect_eq(send(b.port), 0);
    cr_expect(pending(d1, b.port));
    cr_expect_eq(d1->vcpu[0]->info->evtchn_upcall_pending, 0);
    u.port = b.port;
    cr_expect_eq(OP(unmask, &u), 0);
    cr_expect_eq(d1->vcpu[0]->info->evtchn_upcall_pending, 1);
    cr_expect_not(test_bit(b.port, d1->shared_info->evtchn_mask));
    u.port = 5000;
    cr_expect_eq(OP(unmask, &u), -XEN_EINVAL);
}

Test(evtchn, pirqs_of_the_privileged)
{
    struct evtchn_bind_pirq p = {.pirq = 9};
    struct domain *d0;

    cr_assert_eq(domain_create(0, DOMAIN_PV, true, 1, 16, &d0), 0);
    host_set_current(d0->vcpu[0]);
    cr_expect_eq(OP(bind_pirq, &p), 0);
    cr_expect_eq(OP(bind_pirq, &p), -XEN_EEXIST);
    cr_expect_eq(close_port(p.port), 0);
    cr_expect_eq(OP(bind_pirq, &p), 0);
    p.pirq = NR_PIRQS;
    cr_expect_eq(OP(bind_pirq, &p), -XEN_EINVAL);
    hardware_domain = NULL; /* its end shall not end the machine */
    host_set_current(d1->vcpu[0]);
}

Test(evtchn, all_4095_ports_and_no_more)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = 2};

    for (evtchn_port_t p = 1; p < 4096; p++)
        cr_assert_eq(unbound(d2), p);
    cr_expect_eq(OP(alloc_unbound, &a), -XEN_ENOSPC);
    cr_expect_eq(close_port(2048), 0);
    cr_expect_eq(unbound(d2), 2048);
}

Test(evtchn, reset_closes_all_and_goes_on_after_preemption)
{
    struct evtchn_reset r = {.dom = DOMID_SELF};
    evtchn_port_t p1 = unbound(d2), p2;

    host_set_current(d2->vcpu[0]);
    p2 = bind_to(d1, p1);
    host_set_current(d1->vcpu[0]);
    for (unsigned int i = 0; i < 600; i++)
        unbound(d2);
    host_preempt_after = 2;
    cr_expect_eq(OP(reset, &r), -XEN_ERESTART);
    cr_expect(host_vcpu(d1->vcpu[0])->has_continued);
    cr_expect_eq(host_vcpu(d1->vcpu[0])->continued[0], __HYPERVISOR_event_channel_op);
    cr_expect_eq(host_vcpu(d1->vcpu[0])->continued[1], EVTCHNOP_reset);
    cr_expect_eq(OP(reset, &r), 0);
    for (evtchn_port_t p = 1; p < 600; p++)
        cr_expect_eq(status_of(DOMID_SELF, p), EVTCHNSTAT_closed);
    cr_expect_eq(unbound(d2), 1);
    host_set_current(d2->vcpu[0]);
    cr_expect_eq(status_of(DOMID_SELF, p2), EVTCHNSTAT_unbound);
}

Test(evtchn, a_result_that_cannot_be_written_leaves_no_port)
{
    struct evtchn_bind_ipi b = {.vcpu = 0};
    gva_t gva;
    struct evtchn_bind_ipi *guest = host_guest_alloc(sizeof(b), &gva);

    *guest = b;
    host_guest_fault_after = sizeof(b); /* reading works, writing back does not */
    cr_expect_eq(do_event_channel_op(EVTCHNOP_bind_ipi, gva, 0, 0, 0, 0), -XEN_EFAULT);
    host_guest_fault_after = ~(size_t)0;
    cr_expect_eq(unbound(d2), 1);
}

static unsigned int notified;
static void count(struct domain *d)
{
    notified++;
    evtchn_notify(d, 1); /* as the console does: the port's lock is free here */
}

Test(evtchn, the_hypervisor_as_the_other_end)
{
    struct evtchn_reset r = {.dom = DOMID_SELF};
    evtchn_port_t port;

    cr_assert_eq(evtchn_bind_hypervisor(d1, count, &port), 0);
    cr_expect_eq(port, 1);
    cr_expect_eq(send(port), 0);
    cr_expect_eq(notified, 1);
    cr_expect(pending(d1, port));
    cr_expect_eq(close_port(port), -XEN_EINVAL, "not the guest's to close");
    cr_expect_eq(OP(reset, &r), 0);
    cr_expect_eq(send(port), 0, "nor to reset");
    cr_expect_eq(notified, 2);
}

Test(evtchn, out_of_memory_is_an_error_and_no_more)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = 2};

    for (unsigned int i = 1; i < 128; i++)
        unbound(d2);
    host_fail_alloc = 1;
    cr_expect_eq(OP(alloc_unbound, &a), -XEN_ENOMEM);
    cr_expect_eq(OP(alloc_unbound, &a), 0);
    cr_expect_eq(a.port, 128);
}

Test(evtchn, moving_vcpu_info_loses_nothing)
{
    struct vcpu *v = d1->vcpu[0];
    struct vcpu_register_vcpu_info reg = {.mfn = host_frame(d1).n, .offset = 64};
    gva_t gva;

    memcpy(host_guest_alloc(sizeof(reg), &gva), &reg, sizeof(reg));
    v->info->arch.cr2 = 0x1234;
    cr_expect_eq(do_vcpu_op(VCPUOP_register_vcpu_info, 0, gva, 0, 0, 0), 0);
    cr_expect_eq((u64)v->info % PAGE_SIZE, 64);
    cr_expect_eq(v->info->arch.cr2, 0x1234);
    cr_expect_eq(v->info->evtchn_upcall_pending, 1);
    cr_expect_eq(v->info->evtchn_pending_sel, ~0ul);
    cr_expect_eq(do_vcpu_op(VCPUOP_register_vcpu_info, 0, gva, 0, 0, 0), -XEN_EINVAL, "only once");
}

/* SPDX-License-Identifier: MIT */
/*
 * The life of domains, their consoles and grant tables, VCPU_OP and SCHED_OP.
 */
#include <criterion/criterion.h>

#include "core/console.h"
#include "core/evtchn.h"
#include "core/grant.h"
#include "core/hypercall.h"
#include "machine.h"
#include <xen/io/console.h>

static struct domain *d;

static void start(void)
{
    host_machine_start(4096, 1, "credit");
    d = host_domain(1, 2, 16);
    host_set_current(d->vcpu[0]);
}

static void stop(void)
{
    host_machine_stop();
}

TestSuite(domain, .init = start, .fini = stop);

static void *guest(const void *src, size_t n, gva_t *gva)
{
    return memcpy(host_guest_alloc(n, gva), src, n);
}

/* ---- creation, look-up, end ---- */

Test(domain, creation_checks_its_arguments)
{
    struct domain *other;

    cr_expect_eq(domain_create(1, DOMAIN_PV, false, 1, 16, &other), -XEN_EEXIST);
    cr_expect_eq(domain_create(2, DOMAIN_PV, false, 0, 16, &other), -XEN_EINVAL);
    cr_expect_eq(domain_create(2, DOMAIN_PV, false, MAX_VCPUS + 1, 16, &other), -XEN_EINVAL);
    cr_expect_eq(domain_create(DOMID_SELF, DOMAIN_PV, false, 1, 16, &other), -XEN_EINVAL);
}

Test(domain, creation_that_runs_out_of_memory_leaves_nothing)
{
    struct domain *other;
    unsigned int n;

    for (n = 1; n < 100; n++) {
        host_fail_alloc = n;
        if (domain_create(2, DOMAIN_PV, false, 2, 16, &other) == 0)
            break;
        cr_expect_null(domain_get(2));
    }
    cr_expect_gt(n, 5);
    cr_expect_lt(n, 100);
    host_fail_alloc = 0;
}

Test(domain, look_up_takes_a_reference)
{
    struct domain *found = domain_get(DOMID_SELF);

    cr_expect_eq(found, d);
    cr_expect_eq(d->refs, 2);
    domain_put(found);
    cr_expect_null(domain_get(77));
    host_domain(2, 1, 4);
    found = domain_get(2);
    cr_expect_eq(found->id, 2);
    domain_put(found);
}

Test(domain, a_reference_outlives_the_domain)
{
    struct domain *other = host_domain(2, 1, 4), *held = domain_get(2);

    host_domain_end(other);
    cr_expect_null(domain_get(2));
    cr_expect(held->dying, "still there for whoever holds it");
    domain_put(held);
}

Test(domain, destruction_in_steps)
{
    struct domain *other = host_domain(2, 2, 16);
    unsigned int steps = 1;
    evtchn_port_t port;

    for (unsigned int i = 0; i < 500; i++)
        cr_assert_eq(evtchn_alloc_unbound(other, 1, &port), 0);
    domain_shutdown(other, SHUTDOWN_poweroff);
    host_preempt_after = 1;
    while (domain_kill(other) == -XEN_ERESTART)
        host_preempt_after = ++steps; /* a bit further each time */
    host_preempt_after = 0;
    cr_expect_geq(steps, 4, "%u", steps);
    cr_expect_null(domain_get(2));
}

Test(domain, peers_of_a_dead_domain_wait_again)
{
    struct domain *other = host_domain(2, 1, 4);
    struct evtchn_status s = {0};
    evtchn_port_t p, q;

    cr_assert_eq(evtchn_alloc_unbound(d, 2, &p), 0);
    cr_assert_eq(evtchn_bind_interdomain(other, d, p, &q), 0);
    host_domain_end(other);
    s.port = p;
    cr_expect_eq(evtchn_status(d, &s), 0);
    cr_expect_eq(s.status, EVTCHNSTAT_unbound);
    cr_expect_eq(evtchn_send(d, p), 0);
}

Test(domain, the_reaper_ends_the_machine_with_the_last)
{
    struct domain *other = host_domain(2, 1, 4);
    int how;

    host_catch_end = true;
    domain_shutdown(other, SHUTDOWN_poweroff);
    host_schedule();
    cr_expect_not(domain_reap());
    cr_expect_null(domain_get(2));
    cr_expect_not_null(domain_get(1), "one that still lives stays");
    domain_put(d);

    domain_shutdown(d, SHUTDOWN_reboot);
    host_schedule();
    cr_expect(host_running(0)->is_idle);
    how = setjmp(host_machine_end);
    if (how == 0) {
        while (domain_reap())
            ;
        cr_assert_fail("the machine goes on without domains");
    }
    cr_expect_eq(how, 1 + MACHINE_POWEROFF);
}

Test(domain, noreboot_halts)
{
    host_catch_end = true;
    machine_noreboot = true;
    domain_shutdown(d, SHUTDOWN_crash);
    host_schedule();
    switch (setjmp(host_machine_end)) {
    case 0:
        while (domain_reap())
            ;
        cr_assert_fail("not ended");
    case 1 + MACHINE_HALT:
        break;
    default:
        cr_assert_fail("not halted");
    }
}

Test(domain, the_first_domain_takes_the_machine_with_it)
{
    struct domain *d0;
    int how;

    cr_assert_eq(domain_create(0, DOMAIN_PV, true, 1, 16, &d0), 0);
    cr_expect_eq(hardware_domain, d0);
    host_catch_end = true;
    how = setjmp(host_machine_end);
    if (how == 0)
        domain_shutdown(d0, SHUTDOWN_reboot);
    cr_expect_eq(how, 1 + MACHINE_REBOOT);
}

Test(domain, a_crash_ends_that_domain_alone)
{
    struct domain *other = host_domain(2, 1, 4);

    host_console_clear();
    domain_crash(d, "it did %s", "wrong");
    cr_expect(host_console_has("domain 1 is crashed: it did wrong"));
    cr_expect(host_console_has("registers of"));
    cr_expect(d->crashed);
    cr_expect_eq(d->shutdown_code, SHUTDOWN_crash);
    cr_expect_neq(d->vcpu[0]->pause_flags, 0);
    cr_expect_neq(d->vcpu[1]->pause_flags, 0);
    cr_expect_eq(other->vcpu[0]->pause_flags, 0);
    host_console_clear();
    domain_crash(d, "again");
    cr_expect_str_empty(host_console(), "it ends once");
}

Test(domain, a_global_virq_tells_the_first_domain)
{
    struct domain *d0;
    evtchn_port_t port;

    cr_assert_eq(domain_create(0, DOMAIN_PV, true, 1, 16, &d0), 0);
    cr_assert_eq(evtchn_bind_virq(d0, VIRQ_DOM_EXC, 0, &port), 0);
    domain_shutdown(d, SHUTDOWN_poweroff);
    cr_expect(test_bit(port, d0->shared_info->evtchn_pending));
    hardware_domain = NULL;
}

/* ---- console ring ---- */

static struct xencons_interface *attach_console(void)
{
    mfn_t mfn = host_frame(d);

    cr_assert_eq(console_attach(d, GFN(mfn.n)), 0);
    host_console_clear();
    return arch_map_mfn(mfn);
}

static void guest_prints(struct xencons_interface *ring, const char *text)
{
    for (; *text; text++)
        ring->out[MASK_XENCONS_IDX(ring->out_prod++, ring->out)] = *text;
    cr_assert_eq(evtchn_send(d, d->console_port), 0);
}

Test(domain, console_lines_have_their_prefix)
{
    struct xencons_interface *ring = attach_console();

    guest_prints(ring, "hel");
    cr_expect_str_empty(host_console());
    guest_prints(ring, "lo\r\nworld\n");
    cr_expect_str_eq(host_console(), "(d1) hello\n(d1) world\n");
    cr_expect_eq(ring->out_cons, ring->out_prod);
    for (unsigned int i = 0; i < 1000; i++) {
        host_console_clear();
        guest_prints(ring, "again and again\n");
        cr_assert_str_eq(host_console(), "(d1) again and again\n");
    }
}

Test(domain, console_ends_with_the_unfinished_line)
{
    struct xencons_interface *ring = attach_console();

    guest_prints(ring, "no newline");
    domain_shutdown(d, SHUTDOWN_poweroff);
    cr_expect(host_console_has("(d1) no newline\n"));
}

Test(domain, console_with_senseless_indices)
{
    struct xencons_interface *ring = attach_console();
    u64 state = 7;

    for (unsigned int i = 0; i < 10000; i++) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        ring->out_prod = state >> 32;
        ring->out_cons = state >> 13;
        console_drain(d);
        cr_assert_eq(ring->out_cons, ring->out_prod);
    }
    guest_prints(ring, "\n");
    host_console_clear();
    guest_prints(ring, "sane again\n");
    cr_expect_str_eq(host_console(), "(d1) sane again\n");
}

Test(domain, console_frame_must_be_the_domains)
{
    struct domain *other = host_domain(2, 1, 4);

    cr_expect_lt(console_attach(d, GFN(host_frame(other).n)), 0);
    cr_expect_lt(console_attach(d, GFN(1ull << 40)), 0);
}

/* ---- grant tables ---- */

Test(domain, grant_table_set_up)
{
    struct gnttab_query_size q = {.dom = DOMID_SELF}, *gq;
    struct gnttab_setup_table s = {.dom = DOMID_SELF, .nr_frames = 3}, *gs;
    xen_pfn_t *frames;
    gva_t gva, frames_gva;

    gq = guest(&q, sizeof(q), &gva);
    cr_expect_eq(do_grant_table_op(GNTTABOP_query_size, gva, 1, 0, 0, 0), 0);
    cr_expect_eq(gq->status, GNTST_okay);
    cr_expect_eq(gq->nr_frames, 1);
    cr_expect_eq(gq->max_nr_frames, 64);
    cr_expect_eq(do_grant_table_op(GNTTABOP_query_size, gva, 2, 0, 0, 0), -XEN_EINVAL);

    frames = host_guest_alloc(64 * sizeof(*frames), &frames_gva);
    gs = guest(&s, sizeof(s), &gva);
    gs->frame_list.p = (void *)frames_gva;
    cr_expect_eq(do_grant_table_op(GNTTABOP_setup_table, gva, 1, 0, 0, 0), 0);
    cr_expect_eq(gs->status, GNTST_okay);
    cr_expect_eq(d->nr_grant_frames, 3);
    for (unsigned int i = 0; i < 3; i++)
        cr_expect_eq(frames[i], grant_frame_mfn(d, i).n);
    gs->nr_frames = 65;
    cr_expect_eq(do_grant_table_op(GNTTABOP_setup_table, gva, 1, 0, 0, 0), 0);
    cr_expect_eq(gs->status, GNTST_general_error);
    gs->nr_frames = 1;
    gs->dom = 9;
    cr_expect_eq(do_grant_table_op(GNTTABOP_setup_table, gva, 1, 0, 0, 0), 0);
    cr_expect_eq(gs->status, GNTST_bad_domain);
    host_domain(2, 1, 4);
    gs->dom = 2;
    cr_expect_eq(do_grant_table_op(GNTTABOP_setup_table, gva, 1, 0, 0, 0), 0);
    cr_expect_eq(gs->status, GNTST_permission_denied);
}

Test(domain, grant_versions)
{
    struct gnttab_set_version *s;
    struct gnttab_get_version *g;
    gva_t gva;

    s = host_guest_alloc(sizeof(*s), &gva);
    s->version = 1;
    cr_expect_eq(do_grant_table_op(GNTTABOP_set_version, gva, 1, 0, 0, 0), 0);
    s->version = 2;
    cr_expect_eq(do_grant_table_op(GNTTABOP_set_version, gva, 1, 0, 0, 0), -XEN_ENOSYS);
    cr_expect_eq(s->version, 1);
    s->version = 3;
    cr_expect_eq(do_grant_table_op(GNTTABOP_set_version, gva, 1, 0, 0, 0), -XEN_EINVAL);
    g = host_guest_alloc(sizeof(*g), &gva);
    g->dom = DOMID_SELF;
    cr_expect_eq(do_grant_table_op(GNTTABOP_get_version, gva, 1, 0, 0, 0), 0);
    cr_expect_eq(g->version, 1);
    g->dom = 9;
    cr_expect_eq(do_grant_table_op(GNTTABOP_get_version, gva, 1, 0, 0, 0), -XEN_ESRCH);
}

Test(domain, grant_entries_are_swapped)
{
    grant_entry_v1_t *e = d->grant_frame[0];
    mfn_t mfn;

    e[8] = (grant_entry_v1_t){.flags = GTF_permit_access, .domid = 5, .frame = 50};
    cr_expect_eq(grant_swap(d, 8, 511), 0);
    cr_expect_eq(e[511].frame, 50);
    cr_expect_eq(e[8].frame, 0);
    cr_expect_eq(grant_swap(d, 8, 512), -XEN_EINVAL);
    cr_expect_eq(grant_swap(d, ~0u, 8), -XEN_EINVAL);
    e[511].flags |= GTF_reading; /* what the guest writes there is its own affair */
    cr_expect_eq(grant_swap(d, 8, 511), 0);
    e[8] = (grant_entry_v1_t){.flags = GTF_permit_access, .domid = 5, .frame = (u32)host_frame(d).n};
    cr_expect_eq(grant_acquire(d, 8, 5, false, &mfn), GNTST_okay);
    cr_expect_eq(grant_swap(d, 8, 511), -XEN_EBUSY);
    grant_release(d, 8, false, mfn);
    cr_expect_eq(grant_swap(d, 8, 511), 0);
}

/* ---- VCPU_OP ---- */

Test(domain, absent_vcpus)
{
    cr_expect_eq(do_vcpu_op(VCPUOP_is_up, 0, 0, 0, 0, 0), 1);
    cr_expect_eq(do_vcpu_op(VCPUOP_is_up, 1, 0, 0, 0, 0), 1);
    for (u64 id = 2; id < 8192; id++)
        cr_assert_eq(do_vcpu_op(VCPUOP_is_up, id, 0, 0, 0, 0), -XEN_ENOENT);
    cr_expect_eq(do_vcpu_op(99, 5, 0, 0, 0, 0), -XEN_ENOENT);
}

Test(domain, vcpus_go_down_and_up)
{
    gva_t gva;

    cr_expect_eq(do_vcpu_op(VCPUOP_down, 1, 0, 0, 0, 0), 0);
    cr_expect_eq(do_vcpu_op(VCPUOP_is_up, 1, 0, 0, 0, 0), 0);
    cr_expect_eq(do_vcpu_op(VCPUOP_up, 1, 0, 0, 0, 0), 0);
    cr_expect_eq(do_vcpu_op(VCPUOP_is_up, 1, 0, 0, 0, 0), 1);
    cr_expect_eq(do_vcpu_op(VCPUOP_initialise, 1, 0, 0, 0, 0), -XEN_EEXIST);
    do_vcpu_op(VCPUOP_down, 1, 0, 0, 0, 0);
    d->vcpu[1]->initialised = false;
    cr_expect_eq(do_vcpu_op(VCPUOP_up, 1, 0, 0, 0, 0), -XEN_EINVAL);
    cr_expect_eq(do_vcpu_op(VCPUOP_initialise, 1, 8, 0, 0, 0), -XEN_EFAULT);
    host_guest_alloc(8192, &gva);
    cr_expect_eq(do_vcpu_op(VCPUOP_initialise, 1, gva, 0, 0, 0), 0);
    cr_expect_eq(do_vcpu_op(VCPUOP_up, 1, 0, 0, 0, 0), 0);
    do_vcpu_op(VCPUOP_down, 1, 0, 0, 0, 0);
    do_vcpu_op(VCPUOP_down, 0, 0, 0, 0, 0);
    cr_expect(d->shut_down, "the last one down ends the domain");
}

Test(domain, singleshot_timer)
{
    struct vcpu_set_singleshot_timer t = {.timeout_abs_ns = now_ns() + MILLISECS(3)}, *g;
    evtchn_port_t port;
    gva_t gva;

    cr_assert_eq(evtchn_bind_virq(d, VIRQ_TIMER, 0, &port), 0);
    g = guest(&t, sizeof(t), &gva);
    cr_expect_eq(do_vcpu_op(VCPUOP_set_singleshot_timer, 0, gva, 0, 0, 0), 0);
    host_advance(MILLISECS(2));
    cr_expect_not(evtchn_port_pending(d, port));
    host_advance(MILLISECS(2));
    cr_expect(evtchn_port_pending(d, port));
    g->flags = VCPU_SSHOTTMR_future;
    host_set_current(d->vcpu[0]);
    cr_expect_eq(do_vcpu_op(VCPUOP_set_singleshot_timer, 0, gva, 0, 0, 0), -XEN_ETIME);
    cr_expect_eq(do_vcpu_op(VCPUOP_set_singleshot_timer, 1, gva, 0, 0, 0), -XEN_EINVAL,
                 "its own only");
    cr_expect_eq(do_vcpu_op(VCPUOP_stop_singleshot_timer, 0, 0, 0, 0, 0), 0);
    g->flags = 0; /* in the past, but not asked to say so: at once */
    d->shared_info->evtchn_pending[0] = 0;
    cr_expect_eq(do_vcpu_op(VCPUOP_set_singleshot_timer, 0, gva, 0, 0, 0), 0);
    host_advance(1);
    cr_expect(evtchn_port_pending(d, port));
}

Test(domain, periodic_timer)
{
    struct vcpu_set_periodic_timer t = {.period_ns = MILLISECS(10)}, *g;
    unsigned int ticks = 0;
    evtchn_port_t port;
    gva_t gva;

    cr_assert_eq(evtchn_bind_virq(d, VIRQ_TIMER, 0, &port), 0);
    g = guest(&t, sizeof(t), &gva);
    cr_expect_eq(do_vcpu_op(VCPUOP_set_periodic_timer, 0, gva, 0, 0, 0), 0);
    for (unsigned int i = 0; i < 100; i++) {
        host_advance(MILLISECS(1));
        ticks += test_and_clear_bit(port, d->shared_info->evtchn_pending);
    }
    cr_expect_geq(ticks, 9);
    cr_expect_leq(ticks, 10);
    cr_expect_eq(do_vcpu_op(VCPUOP_stop_periodic_timer, 0, 0, 0, 0, 0), 0);
    host_advance(MILLISECS(100));
    cr_expect_not(evtchn_port_pending(d, port));
    g->period_ns = 1000;
    cr_expect_eq(do_vcpu_op(VCPUOP_set_periodic_timer, 0, gva, 0, 0, 0), -XEN_EINVAL);
}

Test(domain, runstates)
{
    struct vcpu_register_runstate_memory_area area, *g;
    struct vcpu_runstate_info *info, was;
    gva_t gva, info_gva;

    info = host_guest_alloc(sizeof(*info), &info_gva);
    area.addr.p = info_gva;
    g = guest(&area, sizeof(area), &gva);
    cr_expect_eq(do_vcpu_op(VCPUOP_register_runstate_memory_area, 0, gva, 0, 0, 0), 0);
    memset(info, 0xff, sizeof(*info));
    d->vm_assist = 1ull << VMASST_TYPE_runstate_update_flag;
    runstate_copy_out(d->vcpu[0]);
    cr_expect_leq(info->state, RUNSTATE_offline);
    cr_expect_eq(info->state_entry_time & XEN_RUNSTATE_UPDATE, 0);
    g->addr.p = 0xffff800000000000;
    cr_expect_eq(do_vcpu_op(VCPUOP_register_runstate_memory_area, 0, gva, 0, 0, 0), -XEN_EFAULT);
    g->addr.p = 0;
    cr_expect_eq(do_vcpu_op(VCPUOP_register_runstate_memory_area, 0, gva, 0, 0, 0), 0);
    cr_expect_eq(do_vcpu_op(VCPUOP_get_runstate_info, 0, info_gva, 0, 0, 0), 0);
    was = *info;
    host_advance(MILLISECS(3)); /* what goes on is its time, not since when */
    cr_expect_eq(do_vcpu_op(VCPUOP_get_runstate_info, 0, info_gva, 0, 0, 0), 0);
    cr_expect_eq(info->state_entry_time, was.state_entry_time);
    cr_expect_eq(info->time[info->state], was.time[was.state] + MILLISECS(3));
    cr_expect_eq(do_vcpu_op(VCPUOP_get_runstate_info, 0, 16, 0, 0, 0), -XEN_EFAULT);
}

/* ---- SCHED_OP ---- */

Test(domain, block_until_an_event)
{
    evtchn_port_t port;

    cr_assert_eq(evtchn_bind_virq(d, VIRQ_TIMER, 0, &port), 0);
    cr_expect_eq(do_sched_op(SCHEDOP_block, 0, 0, 0, 0, 0), 0);
    cr_expect(d->vcpu[0]->pause_flags & VPF_BLOCKED);
    cr_expect_eq(d->vcpu[0]->info->evtchn_upcall_mask, 0);
    evtchn_send_virq(d->vcpu[0], VIRQ_TIMER);
    cr_expect_eq(d->vcpu[0]->pause_flags, 0);
    cr_expect_eq(do_sched_op(SCHEDOP_block, 0, 0, 0, 0, 0), 0);
    cr_expect_eq(d->vcpu[0]->pause_flags, 0, "an event waits: no block");
}

static long poll(evtchn_port_t *ports, unsigned int n, ns_t timeout)
{
    struct sched_poll p = {.nr_ports = n, .timeout = timeout};
    gva_t gva, ports_gva;

    host_guest_reset();
    guest(ports, n * sizeof(*ports), &ports_gva);
    p.ports.p = (void *)ports_gva;
    guest(&p, sizeof(p), &gva);
    host_set_current(d->vcpu[0]);
    return do_sched_op(SCHEDOP_poll, gva, 0, 0, 0, 0);
}

Test(domain, poll_one_port_several_ports_and_the_clock)
{
    evtchn_port_t p[3];
    struct vcpu *v = d->vcpu[0];

    for (unsigned int i = 0; i < 3; i++) {
        cr_assert_eq(evtchn_bind_ipi(d, 1, &p[i]), 0);
        set_bit(p[i], d->shared_info->evtchn_mask);
    }
    cr_expect_eq(poll(p, 1, 0), 0);
    cr_expect(v->pause_flags & VPF_POLLING);
    evtchn_send(d, p[1]);
    cr_expect(v->pause_flags & VPF_POLLING, "another port");
    evtchn_send(d, p[0]);
    cr_expect_eq(v->pause_flags, 0);
    cr_expect_eq(d->poll_mask, 0);

    cr_expect_eq(poll(p, 3, 0), 0);
    cr_expect_eq(v->pause_flags, 0, "one is pending");
    d->shared_info->evtchn_pending[0] = 0;
    cr_expect_eq(poll(p, 3, 0), 0);
    cr_expect(v->pause_flags & VPF_POLLING);
    evtchn_send(d, p[2]);
    cr_expect_eq(v->pause_flags, 0);

    d->shared_info->evtchn_pending[0] = 0;
    cr_expect_eq(poll(p, 2, now_ns() + MILLISECS(5)), 0);
    host_advance(MILLISECS(4));
    cr_expect(v->pause_flags & VPF_POLLING);
    host_advance(MILLISECS(2));
    cr_expect_eq(v->pause_flags, 0);
    cr_expect_eq(d->poll_mask, 0);

    p[2] = 5000;
    cr_expect_eq(poll(p, 3, 0), -XEN_EINVAL);
    cr_expect_eq(v->pause_flags, 0, "an error does not sleep");
    cr_expect_eq(poll(p, 0, now_ns() + MILLISECS(1)), 0);
    host_advance(MILLISECS(2));
    cr_expect_eq(v->pause_flags, 0);
    cr_expect_eq(do_sched_op(SCHEDOP_poll, 8, 0, 0, 0, 0), -XEN_EFAULT);
}

Test(domain, shutdown_reasons)
{
    struct sched_shutdown s = {.reason = SHUTDOWN_reboot}, *g;
    struct sched_remote_shutdown r = {.domain_id = 2, .reason = SHUTDOWN_poweroff};
    struct domain *other = host_domain(2, 1, 4);
    gva_t gva, r_gva;

    host_set_current(d->vcpu[0]);
    g = guest(&s, sizeof(s), &gva);
    guest(&r, sizeof(r), &r_gva);
    cr_expect_eq(do_sched_op(SCHEDOP_remote_shutdown, r_gva, 0, 0, 0, 0), -XEN_EPERM);
    d->privileged = true;
    cr_expect_eq(do_sched_op(SCHEDOP_remote_shutdown, r_gva, 0, 0, 0, 0), 0);
    cr_expect(other->shut_down);
    g->reason = 99;
    cr_expect_eq(do_sched_op(SCHEDOP_shutdown_code, gva, 0, 0, 0, 0), -XEN_EINVAL);
    g->reason = SHUTDOWN_reboot;
    cr_expect_eq(do_sched_op(SCHEDOP_shutdown_code, gva, 0, 0, 0, 0), 0);
    g->reason = SHUTDOWN_crash;
    cr_expect_eq(do_sched_op(SCHEDOP_shutdown, gva, 0, 0, 0, 0), 0);
    cr_expect_eq(d->shutdown_code, SHUTDOWN_reboot, "the latched one is reported");
    cr_expect_eq(do_sched_op(SCHEDOP_pin_override, 0, 0, 0, 0, 0), -XEN_EPERM);
    cr_expect_eq(do_sched_op(SCHEDOP_watchdog, 0, 0, 0, 0, 0), -XEN_EFAULT);
}

static long watchdog(u32 id, u32 timeout)
{
    struct sched_watchdog op = {.id = id, .timeout = timeout};
    gva_t gva;

    host_guest_reset();
    guest(&op, sizeof(op), &gva);
    return do_sched_op(SCHEDOP_watchdog, gva, 0, 0, 0, 0);
}

Test(domain, a_watchdog_ends_it_unless_it_is_fed)
{
    cr_expect_eq(watchdog(1, 5), -XEN_EINVAL, "none is set");
    cr_expect_eq(watchdog(3, 5), -XEN_EINVAL);
    cr_expect_eq(watchdog(0, 5), 1);
    cr_expect_eq(watchdog(0, 60), 2);
    cr_expect_eq(watchdog(0, 5), -XEN_ENOSPC);
    host_advance(SECONDS(4));
    host_set_current(d->vcpu[0]);
    cr_expect_eq(watchdog(1, 5), 0);
    host_advance(SECONDS(4));
    cr_expect_not(d->shut_down);
    host_set_current(d->vcpu[0]);
    cr_expect_eq(watchdog(1, 0), 0);
    cr_expect_eq(watchdog(1, 0), -XEN_EINVAL);
    host_advance(SECONDS(20));
    cr_expect_not(d->shut_down, "it was ended");
    host_advance(SECONDS(40));
    cr_expect(d->shut_down);
    cr_expect_eq(d->shutdown_code, SHUTDOWN_watchdog);
}

/* What is counted first cannot be taken twice: of two that come when one frame is left, one gets it. */
Test(domain, maximum_holds_for_those_who_take_at_once)
{
    d->max_pages = d->tot_pages + 3;
    cr_expect(domain_take(d, 2));
    cr_expect_not(domain_take(d, 2), "between the first one's counting and its allocation");
    cr_expect(domain_take(d, 1));
    cr_expect_not(domain_take(d, 1));
    domain_give_back(d, 3);
    cr_expect_neq(host_frame(d).n, MFN_INVALID.n);
    d->max_pages = d->tot_pages;
    cr_expect_eq(host_frame(d).n, MFN_INVALID.n);
    cr_expect_eq(d->tot_pages, d->max_pages, "what was refused is not counted");
}

Test(domain, claimed_memory_is_kept_from_others)
{
    struct domain *other = host_domain(2, 1, 0);
    u64 free = arch_free_memory();

    d->max_pages = other->max_pages = 100000;
    cr_expect_eq(domain_claim(d, d->tot_pages), -XEN_EINVAL, "it has so much");
    cr_expect_eq(domain_claim(d, 100001), -XEN_EINVAL);
    cr_expect_eq(domain_claim(d, d->tot_pages + free + 1), -XEN_ENOMEM);
    cr_expect_eq(domain_claim(d, d->tot_pages + free - 1), 0);
    cr_expect_eq(domain_claim(d, d->tot_pages + 5), -XEN_EINVAL, "a second claim");
    cr_expect_neq(host_frame(other).n, MFN_INVALID.n);
    cr_expect_eq(host_frame(other).n, MFN_INVALID.n, "the rest is set aside");
    cr_expect_neq(host_frame(d).n, MFN_INVALID.n);
    cr_expect_eq(d->claimed_pages, free - 2);
    cr_expect_eq(domain_claim(d, 0), 0);
    cr_expect_neq(host_frame(other).n, MFN_INVALID.n);
    cr_expect_eq(domain_claim(d, d->tot_pages + 10), 0);
    host_domain_end(d);
    host_set_current(other->vcpu[0]);
    while (host_frame(other).n != MFN_INVALID.n)
        ;
    cr_expect_eq(arch_free_memory(), 0, "a claim ends with its domain");
}

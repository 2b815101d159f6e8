/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls of 32-bit callers (hv/hypercall/compat.c): each structure in the layout of xen/arch-x86/xen-x86_32.h, written out here word
 * by word, with a canary behind what the ABI gives the hypervisor to write.
 */
#include <criterion/criterion.h>

#include "core/compat.h"
#include "core/evtchn.h"
#include "core/hypercall.h"
#include "machine.h"

#define CANARY 0xc0de5a5au

static struct domain *d;
static struct vcpu *v;

static void start(void)
{
    host_machine_start(4096, 1, "credit");
    d = host_domain(1, 2, 16);
    v = d->vcpu[0];
    host_set_current(v);
}

TestSuite(compat, .init = start, .fini = host_machine_stop);

static long call(unsigned int op, u64 a1, u64 a2, u64 a3)
{
    long rc = hypercall_table_32[op].fn(a1, a2, a3, 0, 0, 0);

    cr_assert_null(v->compat, "the window is closed again");
    return rc;
}
#define CALL(op, a1, a2, a3) call(__HYPERVISOR_##op, a1, a2, a3)

static u32 *words(unsigned int n, gva_t *gva)
{
    u32 *w = host_guest_alloc((n + 1) * 4, gva);

    w[n] = CANARY;
    return w;
}

Test(compat, what_is_alike_goes_through)
{
    gva_t gva;
    u32 *w = words(2, &gva);

    w[0] = DOMID_SELF | DOMID_SELF << 16;
    cr_assert_eq(CALL(event_channel_op, EVTCHNOP_alloc_unbound, gva, 0), 0);
    cr_assert_eq(w[1], 1);
    cr_assert_eq(w[2], CANARY);
    cr_assert_eq(CALL(xen_version, XENVER_version, 0, 0), 4 << 16 | 17);
    cr_assert_eq(CALL(vcpu_op, VCPUOP_is_up, 7, 0), -XEN_ENOENT);
    cr_assert_eq(CALL(xsm_op, 0, 0, 0), -XEN_ENOSYS);
    cr_assert_null(hypercall_table_32[__HYPERVISOR_mmu_update].fn, "no call of a paravirtual kernel's");
}

Test(compat, platform_parameters_are_one_word)
{
    gva_t gva;
    u32 *w = words(1, &gva);

    w[0] = 1;
    cr_assert_eq(CALL(xen_version, XENVER_platform_parameters, gva, 0), 0);
    cr_assert_eq(w[0], 0);
    cr_assert_eq(w[1], CANARY);
}

Test(compat, memory_comes_and_goes_in_words)
{
    gva_t list_gva, gva;
    u32 *list = words(4, &list_gva), *w = words(5, &gva);
    u64 pages = d->tot_pages;

    w[0] = (u32)list_gva, w[1] = 4, w[4] = DOMID_SELF;
    for (u32 i = 0; i < 4; i++)
        list[i] = 100 + i;
    cr_assert_eq(CALL(memory_op, XENMEM_populate_physmap, gva, 0), 4);
    cr_assert_eq(d->tot_pages, pages + 4);
    for (u32 i = 0; i < 4; i++) {
        cr_assert_eq(frame_of(MFN(list[i]))->owner, d->id);
        cr_assert_eq(m2p[list[i]], 100 + i);
    }
    cr_assert_eq(list[4], CANARY);
    list[2] = ~0u;
    cr_assert_eq(CALL(memory_op, XENMEM_decrease_reservation, gva, 0), 2, "up to the one that cannot be");
    cr_assert_eq(d->tot_pages, pages + 2);
    cr_assert_eq(w[5], CANARY);
    cr_assert_eq(CALL(memory_op, XENMEM_decrease_reservation, HOST_GUEST_BASE - 4, 0), -XEN_EFAULT);
    w[4] = 7;
    cr_assert_lt(CALL(memory_op, XENMEM_populate_physmap, gva, 0), 0, "another domain's");
}

Test(compat, a_long_list_is_continued_with_the_callers_arguments)
{
    gva_t list_gva, gva;
    u32 *list = words(8, &list_gva), *w = words(5, &gva);

    w[0] = (u32)list_gva, w[1] = 8, w[4] = DOMID_SELF;
    for (u32 i = 0; i < 8; i++)
        list[i] = 100 + i;
    host_preempt_after = 3;
    (void)CALL(memory_op, XENMEM_populate_physmap, gva, 0);
    cr_assert(host_vcpu(v)->has_continued);
    cr_assert_eq(host_vcpu(v)->continued[0], __HYPERVISOR_memory_op);
    cr_assert_eq(host_vcpu(v)->continued[2], gva);
    cr_assert_eq(CALL(memory_op, host_vcpu(v)->continued[1], host_vcpu(v)->continued[2], 0), 8);
    cr_assert_eq(m2p[list[7]], 107);
}

Test(compat, timers)
{
    gva_t gva;
    u32 *w = words(3, &gva);
    u64 when = host_now + 1000;

    memcpy(w, &when, 8);
    cr_assert_eq(CALL(vcpu_op, VCPUOP_set_singleshot_timer, 0, gva), 0);
    cr_assert_eq(host_next_interrupt(), when);
    cr_assert_eq(w[3], CANARY);
    when += 5000;
    cr_assert_eq(CALL(set_timer_op, (u32)when, when >> 32, 0), 0);
    cr_assert_eq(v->singleshot.node.key, when);
    host_guest_reset();
    (void)host_guest_alloc(HOST_GUEST_SIZE - 16, &gva);
    (void)host_guest_alloc(12, &gva);
    cr_assert_eq(CALL(vcpu_op, VCPUOP_set_singleshot_timer, 0, gva + 4), 0, "12 bytes at the end of its memory");
}

Test(compat, runstate_is_44_bytes)
{
    gva_t gva, area_gva;
    u32 *w = words(2, &gva), *area = words(11, &area_gva);
    u64 entry;

    w[0] = (u32)area_gva;
    w[1] = 0xdeadbeef; /* a 32-bit guest writes the first word of the union alone */
    cr_assert_eq(CALL(vcpu_op, VCPUOP_register_runstate_memory_area, 0, gva), 0);
    cr_assert_eq(v->runstate_guest, area_gva);
    memset(area, 0xff, 44);
    runstate_copy_out(v);
    cr_assert_eq(area[0], (u32)v->runstate.state);
    memcpy(&entry, &area[1], 8);
    cr_assert_eq(entry, v->runstate.state_entry_time);
    cr_assert_eq(area[11], CANARY);
    memset(area, 0xff, 44);
    cr_assert_eq(CALL(vcpu_op, VCPUOP_get_runstate_info, 0, area_gva), 0);
    cr_assert_eq(area[0], (u32)v->runstate.state);
    cr_assert_eq(area[11], CANARY);
}

Test(compat, poll_takes_a_word_for_its_ports)
{
    gva_t gva, ports_gva;
    u32 *w = words(4, &gva), *ports = words(2, &ports_gva);
    evtchn_port_t port;

    cr_assert_eq(evtchn_bind_ipi(d, 0, &port), 0);
    ports[0] = ports[1] = port;
    w[0] = (u32)ports_gva, w[1] = 2;
    cr_assert_eq(evtchn_send(d, port), 0);
    cr_assert_eq(CALL(sched_op, SCHEDOP_poll, gva, 0), 0);
    cr_assert_not(v->pause_flags & VPF_POLLING, "one is pending");
    ports[1] = 4000;
    evtchn_close(d, port, true);
    w[1] = 200;
    cr_assert_eq(CALL(sched_op, SCHEDOP_poll, gva, 0), -XEN_EINVAL);
}

Test(compat, multicall_entries_are_32_bytes)
{
    gva_t gva, arg_gva;
    u32 *w = words(4 * 8, &gva), *arg = words(2, &arg_gva);

    arg[0] = DOMID_SELF | DOMID_SELF << 16;
    w[0] = __HYPERVISOR_xen_version;
    w[8] = __HYPERVISOR_event_channel_op, w[8 + 2] = EVTCHNOP_alloc_unbound, w[8 + 3] = (u32)arg_gva;
    w[16] = __HYPERVISOR_multicall;
    w[24] = 1000;
    cr_assert_eq(CALL(multicall, gva, 4, 0), 0);
    cr_assert_eq(w[1], 4 << 16 | 17);
    cr_assert_eq(w[8 + 1], 0);
    cr_assert_eq(arg[1], 1);
    cr_assert_eq((s32)w[16 + 1], -XEN_EINVAL);
    cr_assert_eq((s32)w[24 + 1], -XEN_ENOSYS);
    cr_assert_eq(w[32], CANARY);
}

Test(compat, a_multicall_entry_that_stops_goes_on)
{
    gva_t list_gva, arg_gva, gva;
    u32 *list = words(8, &list_gva), *arg = words(5, &arg_gva), *w = words(8, &gva);

    arg[0] = (u32)list_gva, arg[1] = 8, arg[4] = DOMID_SELF;
    for (u32 i = 0; i < 8; i++)
        list[i] = 100 + i;
    w[0] = __HYPERVISOR_memory_op, w[2] = XENMEM_populate_physmap, w[3] = (u32)arg_gva;
    host_preempt_after = 2;
    (void)CALL(multicall, gva, 1, 0);
    cr_assert(host_vcpu(v)->has_continued);
    cr_assert_eq(host_vcpu(v)->continued[0], __HYPERVISOR_multicall);
    cr_assert_neq(w[2], XENMEM_populate_physmap, "where it goes on stands in the list");
    cr_assert_eq(CALL(multicall, host_vcpu(v)->continued[1], host_vcpu(v)->continued[2], 0), 0);
    cr_assert_eq(w[1], 8);
    cr_assert_eq(m2p[list[7]], 107);
}

Test(compat, grant_table_frames_are_words)
{
    gva_t gva, list_gva;
    u32 *list = words(2, &list_gva), *w = words(4, &gva);

    w[0] = DOMID_SELF, w[1] = 2, w[3] = (u32)list_gva;
    cr_assert_eq(CALL(grant_table_op, GNTTABOP_setup_table, gva, 1), 0);
    cr_assert_eq((int16_t)w[2], GNTST_okay);
    cr_assert(host_is_shared(MFN(list[0])) && host_is_shared(MFN(list[1])));
    cr_assert_eq(list[2], CANARY);
    w[1] = 5000;
    cr_assert_lt(CALL(grant_table_op, GNTTABOP_setup_table, gva, 1), 0);
    cr_assert_eq(CALL(grant_table_op, GNTTABOP_setup_table, gva, 2), -XEN_EINVAL);
}

Test(compat, the_window_is_no_way_in)
{
    u64 secret;

    cr_assert_neq(guest_copy_from(&secret, COMPAT_WINDOW, 8), 0, "closed while no translated call runs");
    cr_assert_eq(CALL(event_channel_op, EVTCHNOP_send, COMPAT_WINDOW, 0), -XEN_EFAULT);
    {
        struct compat_frame f;

        v->compat = &f;
        cr_assert_eq(guest_copy_from(&secret, COMPAT_WINDOW + COMPAT_WINDOW_SIZE - 8, 8), 0);
        cr_assert_neq(guest_copy_from(&secret, COMPAT_WINDOW + COMPAT_WINDOW_SIZE - 7, 8), 0);
        cr_assert_neq(guest_copy_from(&secret, COMPAT_WINDOW - 1, 8), 0);
        v->compat = NULL;
    }
}

Test(compat, two_level_events_in_a_32_bit_page)
{
    struct shared_info_32 *s = (void *)d->shared_info;
    struct vcpu_info_32 *info = (void *)v->info;
    evtchn_port_t port = 0;

    domain_set_width(d, true);
    memset(s->evtchn_pending, 0, sizeof(s->evtchn_pending));
    while (port < 70)
        cr_assert_eq(evtchn_bind_ipi(d, 0, &port), 0);
    s->evtchn_mask[2] = 1u << (69 - 64);
    cr_assert_eq(evtchn_send(d, 69), 0);
    cr_assert_eq(evtchn_send(d, 70), 0);
    cr_assert_eq(s->evtchn_pending[2], 1u << 5 | 1u << 6);
    cr_assert_eq(info->evtchn_pending_sel, 1u << 2, "a word of 32 ports for each bit");
    cr_assert_eq(info->evtchn_upcall_pending, 1);
    info->evtchn_pending_sel = 0;
    info->evtchn_upcall_pending = 0;
    cr_assert_eq(evtchn_unmask(d, 69), 0);
    cr_assert_eq(info->evtchn_pending_sel, 1u << 2);
    cr_assert_eq(s->evtchn_mask[2], 0);
    while (evtchn_bind_ipi(d, 0, &port) == 0)
        ;
    cr_assert_eq(port, 1023, "1,024 ports, the first never valid");
}

Test(compat, the_wall_clock_of_each_width)
{
    struct shared_info_32 *s = (void *)d->shared_info;

    time_set_wallclock(d, 1ull << 33 | 5, 6, 0);
    cr_assert_eq(d->shared_info->wc_sec_hi, 2);
    domain_set_width(d, true);
    cr_assert_eq(s->wc_sec, 5);
    cr_assert_eq(s->wc_sec_hi, 2);
    cr_assert_eq(s->wc_nsec, 6);
}

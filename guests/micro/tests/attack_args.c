/* SPDX-License-Identifier: MIT */
/*
 * Attacks by argument pointers: every hypercall that reads or writes guest memory gets the first
 * and the last byte of the hypervisor's range, ranges that cross into it, and ranges that wrap.
 * Each must answer -EFAULT (or what its interface says instead), and the machine-to-phys table,
 * which lies at the first byte, is unchanged there.
 */
#include "frames.h"
#include <xen/platform.h>

static const uint64_t pointers[] = {
    HV_START,                               /* the first byte */
    HV_START - 1,                           /* not canonical, and crosses into the first byte */
    HV_START - 8,       0xffff80407fffffff, /* behind the M2P */
    0xffff82d080200000,                     /* where Xen's text is */
    0xffff830000000000,                     /* and its direct map */
    HV_END - 1,                             /* the last byte */
    HV_END - 8,         0x0000800000000000, /* the first non-canonical address */
    0x8000000000000000, ~0ul,               /* wraps */
    ~0ul - 7,
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define P        0xdeadbeef00000000ul /* stands for the pointer under attack */

static const struct attack {
    const char *what;
    unsigned nr;
    uint64_t arg[5];
    long want; /* the errno; 1 = anything below or equal to 0 (the interface reports elsewhere) */
} attacks[] = {
    {"set_trap_table", __HYPERVISOR_set_trap_table, {P}, -XEN_EFAULT},
    {"mmu_update", __HYPERVISOR_mmu_update, {P, 1, 0, DOMID_SELF}, -XEN_EFAULT},
    {"mmu_update many", __HYPERVISOR_mmu_update, {P, 0x1000, 0, DOMID_SELF}, -XEN_EFAULT},
    {"set_gdt", __HYPERVISOR_set_gdt, {P, 512}, -XEN_EFAULT},
    {"memory_op decrease", __HYPERVISOR_memory_op, {XENMEM_decrease_reservation, P}, 1},
    {"memory_op maximum", __HYPERVISOR_memory_op, {XENMEM_maximum_reservation, P}, -XEN_EFAULT},
    {"memory_op machphys", __HYPERVISOR_memory_op, {XENMEM_machphys_mapping, P}, -XEN_EFAULT},
    {"memory_op mfn list", __HYPERVISOR_memory_op, {XENMEM_machphys_mfn_list, P}, -XEN_EFAULT},
    {"memory_op exchange", __HYPERVISOR_memory_op, {XENMEM_exchange, P}, -XEN_EFAULT},
    {"memory_op memory_map", __HYPERVISOR_memory_op, {XENMEM_memory_map, P}, 1},
    {"multicall", __HYPERVISOR_multicall, {P, 1}, -XEN_EFAULT},
    {"multicall many", __HYPERVISOR_multicall, {P, 0x10000}, -XEN_EFAULT},
    {"xen_version extraversion", __HYPERVISOR_xen_version, {XENVER_extraversion, P}, -XEN_EFAULT},
    {"xen_version compile_info", __HYPERVISOR_xen_version, {XENVER_compile_info, P}, -XEN_EFAULT},
    {"xen_version capabilities", __HYPERVISOR_xen_version, {XENVER_capabilities, P}, -XEN_EFAULT},
    {"xen_version changeset", __HYPERVISOR_xen_version, {XENVER_changeset, P}, -XEN_EFAULT},
    {"xen_version parameters",
     __HYPERVISOR_xen_version,
     {XENVER_platform_parameters, P},
     -XEN_EFAULT},
    {"xen_version features", __HYPERVISOR_xen_version, {XENVER_get_features, P}, -XEN_EFAULT},
    {"xen_version commandline", __HYPERVISOR_xen_version, {XENVER_commandline, P}, -XEN_EFAULT},
    {"xen_version build_id", __HYPERVISOR_xen_version, {XENVER_build_id, P}, -XEN_EFAULT},
    {"console_io write", __HYPERVISOR_console_io, {CONSOLEIO_write, 64, P}, -XEN_EFAULT},
    {"grant query_size", __HYPERVISOR_grant_table_op, {GNTTABOP_query_size, P, 1}, -XEN_EFAULT},
    {"grant setup_table", __HYPERVISOR_grant_table_op, {GNTTABOP_setup_table, P, 1}, -XEN_EFAULT},
    {"grant set_version", __HYPERVISOR_grant_table_op, {GNTTABOP_set_version, P, 1}, -XEN_EFAULT},
    {"grant map", __HYPERVISOR_grant_table_op, {GNTTABOP_map_grant_ref, P, 1}, 1},
    {"grant copy", __HYPERVISOR_grant_table_op, {GNTTABOP_copy, P, 1}, 1},
    {"vcpu_op runstate", __HYPERVISOR_vcpu_op, {VCPUOP_get_runstate_info, 0, P}, -XEN_EFAULT},
    {"vcpu_op register runstate",
     __HYPERVISOR_vcpu_op,
     {VCPUOP_register_runstate_memory_area, 0, P},
     -XEN_EFAULT},
    {"vcpu_op vcpu_info", __HYPERVISOR_vcpu_op, {VCPUOP_register_vcpu_info, 0, P}, -XEN_EFAULT},
    {"vcpu_op singleshot", __HYPERVISOR_vcpu_op, {VCPUOP_set_singleshot_timer, 0, P}, -XEN_EFAULT},
    {"vcpu_op periodic", __HYPERVISOR_vcpu_op, {VCPUOP_set_periodic_timer, 0, P}, -XEN_EFAULT},
    {"mmuext_op", __HYPERVISOR_mmuext_op, {P, 1, 0, DOMID_SELF}, -XEN_EFAULT},
    {"mmuext_op many", __HYPERVISOR_mmuext_op, {P, 0x1000, 0, DOMID_SELF}, -XEN_EFAULT},
    {"sched_op shutdown", __HYPERVISOR_sched_op, {SCHEDOP_shutdown, P}, -XEN_EFAULT},
    {"sched_op poll", __HYPERVISOR_sched_op, {SCHEDOP_poll, P}, -XEN_EFAULT},
    {"callback_op register", __HYPERVISOR_callback_op, {CALLBACKOP_register, P}, -XEN_EFAULT},
    {"callback_op unregister", __HYPERVISOR_callback_op, {CALLBACKOP_unregister, P}, -XEN_EFAULT},
    {"evtchn alloc_unbound",
     __HYPERVISOR_event_channel_op,
     {EVTCHNOP_alloc_unbound, P},
     -XEN_EFAULT},
    {"evtchn bind_virq", __HYPERVISOR_event_channel_op, {EVTCHNOP_bind_virq, P}, -XEN_EFAULT},
    {"evtchn bind_ipi", __HYPERVISOR_event_channel_op, {EVTCHNOP_bind_ipi, P}, -XEN_EFAULT},
    {"evtchn close", __HYPERVISOR_event_channel_op, {EVTCHNOP_close, P}, -XEN_EFAULT},
    {"evtchn send", __HYPERVISOR_event_channel_op, {EVTCHNOP_send, P}, -XEN_EFAULT},
    {"evtchn status", __HYPERVISOR_event_channel_op, {EVTCHNOP_status, P}, -XEN_EFAULT},
    {"evtchn unmask", __HYPERVISOR_event_channel_op, {EVTCHNOP_unmask, P}, -XEN_EFAULT},
    {"evtchn init_control", __HYPERVISOR_event_channel_op, {EVTCHNOP_init_control, P}, -XEN_EFAULT},
    {"evtchn expand_array", __HYPERVISOR_event_channel_op, {EVTCHNOP_expand_array, P}, -XEN_EFAULT},
    {"evtchn bind_interdomain", __HYPERVISOR_event_channel_op, {EVTCHNOP_bind_interdomain, P}, -XEN_EFAULT},
    {"evtchn bind_pirq", __HYPERVISOR_event_channel_op, {EVTCHNOP_bind_pirq, P}, -XEN_EFAULT},
    {"evtchn bind_vcpu", __HYPERVISOR_event_channel_op, {EVTCHNOP_bind_vcpu, P}, -XEN_EFAULT},
    {"evtchn reset", __HYPERVISOR_event_channel_op, {EVTCHNOP_reset, P}, -XEN_EFAULT},
    {"evtchn set_priority", __HYPERVISOR_event_channel_op, {EVTCHNOP_set_priority, P}, -XEN_EFAULT},
    {"grant swap", __HYPERVISOR_grant_table_op, {GNTTABOP_swap_grant_ref, P, 1}, -XEN_EFAULT},
    {"grant unmap", __HYPERVISOR_grant_table_op, {GNTTABOP_unmap_grant_ref, P, 1}, 1},
    {"vcpu_op initialise", __HYPERVISOR_vcpu_op, {VCPUOP_initialise, 0, P}, 1},
    {"sched_op remote_shutdown", __HYPERVISOR_sched_op, {SCHEDOP_remote_shutdown, P}, 1},
    {"mmu_update continued", __HYPERVISOR_mmu_update, {P, 0x80000001, 0, DOMID_SELF}, -XEN_EFAULT},
    {"mmuext_op continued", __HYPERVISOR_mmuext_op, {P, 0x80000001, 0, DOMID_SELF}, -XEN_EFAULT},
    {"mmuext_op LDT", __HYPERVISOR_mmuext_op, {P, 3, 0, DOMID_SELF}, -XEN_EFAULT},
    {"console_io read", __HYPERVISOR_console_io, {CONSOLEIO_read, 64, P}, 1},
    {"sysctl", __HYPERVISOR_sysctl, {P}, 1},
    {"domctl", __HYPERVISOR_domctl, {P}, 1},
    {"physdev irq_status", __HYPERVISOR_physdev_op, {PHYSDEVOP_irq_status_query, P}, 1},
    {"physdev eoi page", __HYPERVISOR_physdev_op, {PHYSDEVOP_pirq_eoi_gmfn_v2, P}, 1},
    {"physdev apic read", __HYPERVISOR_physdev_op, {PHYSDEVOP_apic_read, P}, 1},
    {"physdev set_iopl", __HYPERVISOR_physdev_op, {PHYSDEVOP_set_iopl, P}, -XEN_EFAULT},
    {"platform_op", __HYPERVISOR_platform_op, {P}, 1},
};

/* Of the frames below 1 MiB: the M2P's first bytes, which are under attack. No domain has these frames; others' entries change as they run. */
static uint64_t m2p_sum(void)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < 256; i++)
        sum = sum * 31 + machine_to_phys_mapping[i];
    return sum;
}

static void pointers_attacked(void)
{
    uint64_t before = m2p_sum();

    for (unsigned i = 0; i < COUNT(attacks); i++) {
        const struct attack *a = &attacks[i];

        for (unsigned p = 0; p < COUNT(pointers); p++) {
            uint64_t arg[5];
            long rc;

            for (unsigned n = 0; n < 5; n++)
                arg[n] = a->arg[n] == P ? pointers[p] : a->arg[n];
            rc = hypercall(a->nr, arg[0], arg[1], arg[2], arg[3], arg[4]);
            if (rc == -XEN_EPERM && !privileged())
                continue;
            EXPECT(a->want == 1 ? rc <= 0 : rc == a->want, "%s of %lx: %ld, want %ld", a->what,
                   pointers[p], rc, a->want);
        }
    }
    EXPECT(m2p_sum() == before, "the M2P changed");
    test_note("%u calls", (unsigned)(COUNT(attacks) * COUNT(pointers)));
}
MICRO_TEST(pointers_attacked, "attack-args-pointers", PLATFORM_PV);

/* Pointers within arguments: the structure is fine, what it names is not. */
static void nested_pointers(void)
{
    static struct vcpu_runstate_info own;
    struct vcpu_register_runstate_memory_area own_area = {.addr.v = &own};
    uint64_t before = m2p_sum();
    domid_t self = DOMID_SELF;
    long pages = hc_memory_op(XENMEM_current_reservation, &self);

    for (unsigned i = 0; i < COUNT(pointers); i++) {
        struct sched_poll poll = {.nr_ports = 1};
        struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};
        struct gnttab_setup_table g = {.dom = DOMID_SELF, .nr_frames = 1};
        struct vcpu_register_runstate_memory_area area = {.addr.p = pointers[i]};
        struct mmu_update u = {pte_maddr(window_va(0)), 0};
        long rc;

        set_xen_guest_handle(poll.ports, (evtchn_port_t *)pointers[i]);
        EXPECT(hc_sched_op(SCHEDOP_poll, &poll) == -XEN_EFAULT, "poll of %lx", pointers[i]);
        /* Behind the hypervisor's range a pointer is the guest's own: a frame may come and its
         * number be lost. */
        set_xen_guest_handle(r.extent_start, (xen_pfn_t *)pointers[i]);
        for (unsigned cmd = 0; cmd <= 1 && pointers[i] < HV_END; cmd++)
            EXPECT(hc_memory_op(cmd, &r) <= 0, "memory_op %u of %lx", cmd, pointers[i]);
        if (pointers[i] < HV_END)
            EXPECT(hc_memory_op(XENMEM_populate_physmap, &r) <= 0, "populate of %lx", pointers[i]);
        set_xen_guest_handle(g.frame_list, (xen_pfn_t *)pointers[i]);
        rc = hc_grant_table_op(GNTTABOP_setup_table, &g, 1);
        EXPECT(rc < 0 || g.status < 0, "setup_table to %lx: %ld, status %d", pointers[i], rc,
               g.status);
        rc = hc_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &area);
        EXPECT(rc == -XEN_EFAULT || pointers[i] >= HV_END, "runstate at %lx: %ld", pointers[i], rc);
        rc = hc_mmu_update(&u, 1, (unsigned *)pointers[i], DOMID_SELF);
        EXPECT(rc == -XEN_EFAULT || rc == 0, "mmu_update's done at %lx: %ld", pointers[i], rc);
    }
    EXPECT_RC(hc_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &own_area), 0);
    EXPECT(m2p_sum() == before, "the M2P changed");
    EXPECT_RC(hc_memory_op(XENMEM_current_reservation, &self), pages);
}
MICRO_TEST(nested_pointers, "attack-args-nested", PLATFORM_PV);

/* Counts whose bytes exceed the address space, or the mapped memory: the arrays end where a page
 * ends. */
static void huge_counts(void)
{
    uint8_t *page = page_alloc(), *end = (uint8_t *)window_va(1);
    struct mmu_update *u = (struct mmu_update *)end - 1;
    struct multicall_entry *m = (struct multicall_entry *)end - 1;
    xen_pfn_t extent = 0xffffffff;
    struct xen_memory_reservation r = {.nr_extents = ~0ul, .domid = DOMID_SELF};

    EXPECT_RC(pte_write(window_va(0), ENTRY_OF(page, PTE_RW)), 0);
    u->ptr = pte_maddr(window_va(2));
    EXPECT(hc_mmu_update(u, 0x7fffffff, NULL, DOMID_SELF) < 0, "mmu_update");
    m->op = 63;
    EXPECT(hc_multicall(m, 0xffffffff) < 0, "multicall");
    EXPECT((long)m->result == -XEN_ENOSYS || m->result == 0, "multicall: result %ld",
           (long)m->result);
    EXPECT(hc_grant_table_op(GNTTABOP_query_size, end - 8, 0xffffffff) < 0, "grant_table_op");
    EXPECT_RC(pte_write(window_va(0), 0), 0);
    expect_frame_clean(page, "page");
    page_free(page);
    set_xen_guest_handle(r.extent_start, &extent);
    EXPECT(hc_memory_op(XENMEM_populate_physmap, &r) <= 0, "populate");
    r.nr_extents = 1;
    r.extent_order = 60;
    EXPECT(hc_memory_op(XENMEM_populate_physmap, &r) <= 0, "populate of order 60");
    EXPECT(hc_memory_op(XENMEM_decrease_reservation, &r) <= 0, "decrease of order 60");
    r.extent_order = 0xffffffff;
    EXPECT(hc_memory_op(XENMEM_increase_reservation, &r) <= 0, "increase of order 2^32 - 1");
}
MICRO_TEST(huge_counts, "attack-args-counts", PLATFORM_PV);

static void multicall_in_multicall(void)
{
    struct multicall_entry deep[3] = {{.op = __HYPERVISOR_multicall},
                                      {.op = __HYPERVISOR_multicall},
                                      {.op = __HYPERVISOR_xen_version}};

    deep[0].args[0] = PTR(&deep[0]); /* itself */
    deep[0].args[1] = 3;
    deep[1].args[0] = HV_START;
    deep[1].args[1] = 1;
    EXPECT_RC(hc_multicall(deep, 3), 0);
    EXPECT((long)deep[0].result == -XEN_EINVAL, "itself: %ld", (long)deep[0].result);
    EXPECT((long)deep[1].result == -XEN_EINVAL, "the hypervisor's: %ld", (long)deep[1].result);
    EXPECT(deep[2].result == 0x40011, "the call after them: %lx", deep[2].result);
}
MICRO_TEST(multicall_in_multicall, "attack-multicall-in-multicall", PLATFORM_PV);

/* Hypercalls that need a context of their own must not work from a multicall in a harmful way. */
static void multicall_special(void)
{
    struct multicall_entry m[2] = {
        {.op = __HYPERVISOR_stack_switch, .args = {kernel_ss, trap_stack_top()}},
        {.op = __HYPERVISOR_xen_version, .args = {XENVER_version}},
    };

    EXPECT_RC(hc_multicall(m, 2), 0);
    EXPECT(m[0].result == 0 && m[1].result == 0x40011, "%ld, %lx", (long)m[0].result, m[1].result);
}
MICRO_TEST(multicall_special, "attack-multicall-special", PLATFORM_PV);

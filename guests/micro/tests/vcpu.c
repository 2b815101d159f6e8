/* SPDX-License-Identifier: MIT */
/*
 * vcpu_op: which vCPUs there are, the runstate area, the vcpu_info page, and vm_assist.
 */
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"
#include "evtchn.h"

static void vcpu_is_up(void)
{
    EXPECT_RC(hc_vcpu_op(VCPUOP_is_up, 0, NULL), 1);
    for (unsigned v = 1; v < 8192; v = v * 2 + 1)
        EXPECT(hc_vcpu_op(VCPUOP_is_up, v, NULL) == -XEN_ENOENT, "vCPU %u", v);
    EXPECT_RC(hc_vcpu_op(VCPUOP_is_up, 0xffffffff, NULL), -XEN_ENOENT);
    EXPECT_RC(hc_vcpu_op(99, 0, NULL), -XEN_ENOSYS);
}
MICRO_TEST(vcpu_is_up, "vcpu-is-up", PLATFORM_XEN);

static void vcpu_runstate(void)
{
    static struct vcpu_runstate_info area, copy;
    struct vcpu_register_runstate_memory_area r = {.addr.v = &area};
    uint64_t end, sum, now;

    EXPECT_RC(hc_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &r), 0);
    EXPECT(area.state == RUNSTATE_running, "state %d", area.state);
    EXPECT(area.state_entry_time <= now_ns(), "entered in the future");
    EXPECT_RC(hc_vcpu_op(VCPUOP_get_runstate_info, 0, &copy), 0);
    EXPECT(copy.state == RUNSTATE_running &&
               copy.time[RUNSTATE_running] >= area.time[RUNSTATE_running],
           "state %d", copy.state);
    /* It runs since it was last scheduled, whenever it asks; a busy host may take it off in between. */
    for (unsigned i = 0; i < 100 && copy.state_entry_time != area.state_entry_time; i++)
        EXPECT_RC(hc_vcpu_op(VCPUOP_get_runstate_info, 0, &copy), 0);
    EXPECT(copy.state_entry_time == area.state_entry_time, "entered at %lu, in the area at %lu", copy.state_entry_time, area.state_entry_time);
    now = now_ns();
    sum = copy.time[0] + copy.time[1] + copy.time[2] + copy.time[3];
    EXPECT(sum <= now, "the states' times exceed the clock: %lu, %lu", sum, now);

    /* Time spent blocked arrives in the area. */
    struct sched_poll p = {.nr_ports = 0};

    end = area.time[RUNSTATE_blocked];
    /* More than one attempt: a busy host may let all of the time pass before the call is made. */
    for (unsigned i = 0; i < 10 && area.time[RUNSTATE_blocked] < end + 1000000; i++) {
        p.timeout = now_ns() + 30000000;
        EXPECT_RC(hc_sched_op(SCHEDOP_poll, &p), 0);
    }
    EXPECT(area.time[RUNSTATE_blocked] >= end + 1000000, "blocked %lu ns, was %lu",
           area.time[RUNSTATE_blocked], end);
    EXPECT(area.state == RUNSTATE_running, "state %d", area.state);
    EXPECT_RC(hc_vcpu_op(VCPUOP_register_runstate_memory_area, 1, &r), -XEN_ENOENT);
    EXPECT_RC(hc_vcpu_op(VCPUOP_get_runstate_info, 0, (void *)HV_START), -XEN_EFAULT);
}
MICRO_TEST(vcpu_runstate, "vcpu-runstate", PLATFORM_XEN);

/* Moves vcpu_info for the rest of the run. A second time is refused. */
static void vcpu_info_page(void)
{
    uint8_t *page = page_alloc();
    struct vcpu_register_vcpu_info r = {.mfn = mfn_of(page), .offset = PAGE_SIZE - 32};
    struct vcpu_info *there = (struct vcpu_info *)(page + 128);
    uint32_t port;

    if (vcpu_info != &shared_info->vcpu_info[0]) {
        test_skip("registered already");
        return;
    }
    EXPECT_RC(hc_vcpu_op(VCPUOP_register_vcpu_info, 0, &r), -XEN_ENXIO);
    r.offset = 4;
    EXPECT_RC(hc_vcpu_op(VCPUOP_register_vcpu_info, 0, &r), -XEN_ENXIO);
    r.offset = 128;
    EXPECT_RC(hc_vcpu_op(VCPUOP_register_vcpu_info, 1, &r), -XEN_ENOENT);
    r.mfn = mfn_of(window_l1);
    if (platform == PLATFORM_PV)
        EXPECT(hc_vcpu_op(VCPUOP_register_vcpu_info, 0, &r) < 0, "a page table became vcpu_info");
    r.mfn = mfn_of(page);
    REQUIRE(hc_vcpu_op(VCPUOP_register_vcpu_info, 0, &r) == 0, "refused");
    EXPECT(platform == PLATFORM_PVH || there->evtchn_upcall_mask == 1,
           "the mask was not taken over");
    EXPECT(there->time.tsc_to_system_mul, "no clock in the new place");
    vcpu_info = there;
    EXPECT_RC(hc_vcpu_op(VCPUOP_register_vcpu_info, 0, &r), -XEN_EINVAL);
    if (platform == PLATFORM_PV)
        EXPECT(page_readonly(page) == 0 && hc_mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(page), 0) < 0,
               "the page in use was pinned as L1");
    EXPECT_RC(page_writable(page), 0);
    port = port_ipi();
    events_unmask();
    events_reset_log();
    EXPECT_RC(port_send(port), 0);
    EXPECT(ev_count == 1, "%u events by the new page", ev_count);
    events_mask();
    EXPECT_RC(port_close(port), 0);
}
MICRO_TEST(vcpu_info_page, "vcpu-info-page", PLATFORM_XEN);

static void vcpu_vm_assist(void)
{
    EXPECT_RC(hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_4gb_segments), 0);
    EXPECT_RC(hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0);
    EXPECT_RC(hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_pae_extended_cr3), 0);
    EXPECT_RC(hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_runstate_update_flag), 0);
    EXPECT_RC(hc_vm_assist(VMASST_CMD_disable, VMASST_TYPE_runstate_update_flag), 0);
    EXPECT_RC(hc_vm_assist(VMASST_CMD_enable, 31), -XEN_EINVAL);
    EXPECT_RC(hc_vm_assist(99, VMASST_TYPE_4gb_segments), -XEN_ENOSYS);
}
MICRO_TEST(vcpu_vm_assist, "vcpu-vm-assist", PLATFORM_PV);

/* SPDX-License-Identifier: MIT */
/*
 * Multicalls and the continuation of long hypercalls (hv/hypercall/multicall.c), and what is
 * refused of the hypercalls of the portable core: unknown sub-operations, wrong versions, calls of
 * the unprivileged.
 */
#include <criterion/criterion.h>

#include "core/evtchn.h"
#include "core/hypercall.h"
#include "machine.h"

static struct domain *d;
static struct multicall_entry *list;
static gva_t list_gva;

static void start(void)
{
    host_machine_start(4096, 1, "credit");
    d = host_domain(1, 1, 16);
    host_set_current(d->vcpu[0]);
    list = host_guest_alloc(32 * sizeof(*list), &list_gva);
}

static void stop(void)
{
    host_machine_stop();
}

TestSuite(multicall, .init = start, .fini = stop);

static void version_call(struct multicall_entry *e)
{
    *e = (struct multicall_entry){
        .op = __HYPERVISOR_xen_version, .result = 0x5555, .args = {XENVER_version}};
}

Test(multicall, each_entry_gets_its_result)
{
    for (unsigned int i = 0; i < 4; i++)
        version_call(&list[i]);
    list[1].op = 63;
    list[2].op = 1000000;
    cr_expect_eq(do_multicall(list_gva, 4, 0, 0, 0, 0), 0,
                 "errors are the entries', not the multicall's");
    cr_expect_eq(list[0].result, 4 << 16 | 17);
    cr_expect_eq((long)list[1].result, -XEN_ENOSYS);
    cr_expect_eq((long)list[2].result, -XEN_ENOSYS);
    cr_expect_eq(list[3].result, 4 << 16 | 17);
    cr_expect_null(d->vcpu[0]->multicall);
}

Test(multicall, none_is_fine)
{
    cr_expect_eq(do_multicall(0, 0, 0, 0, 0, 0), 0);
}

Test(multicall, a_multicall_in_a_multicall_is_refused)
{
    list[0] = (struct multicall_entry){.op = __HYPERVISOR_multicall,
                                       .args = {list_gva + 8 * sizeof(*list), 1}};
    version_call(&list[1]);
    version_call(&list[8]);
    cr_expect_eq(do_multicall(list_gva, 2, 0, 0, 0, 0), 0);
    cr_expect_eq((long)list[0].result, -XEN_EINVAL);
    cr_expect_eq(list[1].result, 4 << 16 | 17, "the others go on");
    cr_expect_eq(list[8].result, 0x5555, "the inner one was not executed");
}

Test(multicall, iret_in_a_multicall_is_refused)
{
    list[0] = (struct multicall_entry){.op = __HYPERVISOR_iret};
    cr_expect_eq(do_multicall(list_gva, 1, 0, 0, 0, 0), 0);
    cr_expect_eq((long)list[0].result, -XEN_ENOSYS);
}

Test(multicall, it_makes_way_between_entries)
{
    u64 *continued = host_vcpu(d->vcpu[0])->continued;

    for (unsigned int i = 0; i < 8; i++)
        version_call(&list[i]);
    host_preempt_after = 3;
    (void)do_multicall(list_gva, 8, 0, 0, 0, 0);
    cr_expect(host_vcpu(d->vcpu[0])->has_continued);
    cr_expect_eq(continued[0], __HYPERVISOR_multicall);
    cr_expect_eq(continued[1], list_gva + 3 * sizeof(*list));
    cr_expect_eq(continued[2], 5);
    cr_expect_eq(list[2].result, 4 << 16 | 17);
    cr_expect_eq(list[3].result, 0x5555);
    cr_expect_eq(do_multicall(continued[1], continued[2], 0, 0, 0, 0), 0);
    cr_expect_eq(list[7].result, 4 << 16 | 17);
}

Test(multicall, not_after_the_last_entry)
{
    version_call(&list[0]);
    host_preempt_after = 1;
    cr_expect_eq(do_multicall(list_gva, 1, 0, 0, 0, 0), 0);
    cr_expect_not(host_vcpu(d->vcpu[0])->has_continued);
}

Test(multicall, an_entry_that_stops_half_way_is_changed_and_issued_again)
{
    struct gnttab_swap_grant_ref *swap;
    u64 *continued = host_vcpu(d->vcpu[0])->continued;
    gva_t gva;

    swap = host_guest_alloc(4 * sizeof(*swap), &gva);
    for (unsigned int i = 0; i < 4; i++)
        swap[i] = (struct gnttab_swap_grant_ref){.ref_a = 8 + i, .ref_b = 16 + i, .status = 77};
    version_call(&list[0]);
    list[1] = (struct multicall_entry){.op = __HYPERVISOR_grant_table_op,
                                       .args = {GNTTABOP_swap_grant_ref, gva, 4}};
    version_call(&list[2]);
    host_preempt_after = 3; /* one look after entry 0, then after each swap */
    (void)do_multicall(list_gva, 3, 0, 0, 0, 0);
    cr_expect_eq(continued[0], __HYPERVISOR_multicall);
    cr_expect_eq(continued[1], list_gva + sizeof(*list), "it goes on with the same entry");
    cr_expect_eq(continued[2], 2);
    cr_expect_eq(list[1].op, __HYPERVISOR_grant_table_op);
    cr_expect_eq(list[1].args[1], gva + 2 * sizeof(*swap));
    cr_expect_eq(list[1].args[2], 2);
    cr_expect_eq(swap[1].status, GNTST_okay);
    cr_expect_eq(swap[2].status, 77);
    cr_expect_eq(do_multicall(continued[1], continued[2], 0, 0, 0, 0), 0);
    cr_expect_eq(swap[3].status, GNTST_okay);
    cr_expect_eq(list[1].result, 0);
    cr_expect_eq(list[2].result, 4 << 16 | 17);
}

Test(multicall, lists_out_of_reach)
{
    cr_expect_eq(do_multicall(0xffff800000000000, 1, 0, 0, 0, 0), -XEN_EFAULT);
    cr_expect_eq(do_multicall(~0ull - 8, 2, 0, 0, 0, 0), -XEN_EFAULT);
    version_call(&list[0]);
    host_guest_fault_after = sizeof(*list); /* read, but the result cannot be written */
    cr_expect_eq(do_multicall(list_gva, 1, 0, 0, 0, 0), -XEN_EFAULT);
    cr_expect_null(d->vcpu[0]->multicall, "and nothing is left behind");
}

Test(multicall, unknown_sub_operations_are_refused_and_logged_once)
{
    static const u64 calls[] = {__HYPERVISOR_sched_op, __HYPERVISOR_vcpu_op,
                                __HYPERVISOR_event_channel_op, __HYPERVISOR_grant_table_op,
                                __HYPERVISOR_xen_version};

    for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++) {
        hypercall_fn *fn = hypercall_table[calls[i]].fn;

        host_console_clear();
        cr_expect_eq(fn(99, 0, 0, 0, 0, 0), -XEN_ENOSYS, "%s", hypercall_table[calls[i]].name);
        cr_expect_str_not_empty(host_console());
        host_console_clear();
        cr_expect_eq(fn(98, 0, 0, 0, 0, 0), -XEN_ENOSYS);
        cr_expect_str_empty(host_console(), "%s says it once", hypercall_table[calls[i]].name);
    }
}

Test(multicall, the_unprivileged_are_refused)
{
    gva_t gva;

    host_guest_alloc(512, &gva);
    cr_expect_eq(do_console_io(CONSOLEIO_write, 1, gva, 0, 0, 0), -XEN_EPERM);
    cr_expect_eq(do_platform_op(gva, 0, 0, 0, 0, 0), -XEN_EPERM);
    cr_expect_eq(do_sysctl(gva, 0, 0, 0, 0, 0), -XEN_EPERM);
    cr_expect_eq(do_physdev_op(PHYSDEVOP_setup_gsi, gva, 0, 0, 0, 0), -XEN_EPERM);
    cr_expect_eq(do_xen_version(XENVER_build_id, gva, 0, 0, 0, 0), -XEN_EPERM);
    cr_expect_eq(do_vm_assist(VMASST_CMD_enable, 63, 0, 0, 0, 0), -XEN_EINVAL);
    d->privileged = true;
    cr_expect_eq(do_platform_op(gva, 0, 0, 0, 0, 0), -XEN_EACCES, "interface version");
    cr_expect_eq(do_sysctl(gva, 0, 0, 0, 0, 0), -XEN_EACCES);
    cr_expect_eq(do_console_io(CONSOLEIO_write, ~0ull, gva, 0, 0, 0), -XEN_EINVAL);
}

Test(multicall, the_privileged_write_to_the_console)
{
    char *text;
    gva_t gva;

    d->privileged = true;
    text = host_guest_alloc(300, &gva);
    memset(text, 'x', 300);
    host_console_clear();
    host_preempt_after = 1;
    (void)do_console_io(CONSOLEIO_write, 300, gva, 0, 0, 0);
    cr_expect_eq(strlen(host_console()), 128);
    cr_expect_eq(host_vcpu(d->vcpu[0])->continued[2], 172);
    cr_expect_eq(do_console_io(CONSOLEIO_write, 172, host_vcpu(d->vcpu[0])->continued[3], 0, 0, 0), 0);
    cr_expect_eq(strlen(host_console()), 300);
    host_console_type("hello");
    cr_expect_eq(do_console_io(CONSOLEIO_read, 3, gva, 0, 0, 0), 3);
    cr_expect_eq(do_console_io(CONSOLEIO_read, 30, gva + 3, 0, 0, 0), 2);
    cr_expect_eq(memcmp(text, "hello", 5), 0);
    cr_expect_eq(do_console_io(CONSOLEIO_read, 30, gva, 0, 0, 0), 0);
}

Test(multicall, versions)
{
    struct xen_feature_info *f;
    u32 *id;
    gva_t gva, id_gva;
    char *text = host_guest_alloc(1024, &gva);

    cr_expect_eq(do_xen_version(XENVER_extraversion, gva, 0, 0, 0, 0), 0);
    cr_expect_str_eq(text, "-parangon");
    cr_expect_eq(do_xen_version(XENVER_pagesize, 0, 0, 0, 0, 0), 4096);
    cr_expect_eq(do_xen_version(XENVER_pagesize, gva, 0, 0, 0, 0), -XEN_EINVAL);
    cr_expect_eq(do_xen_version(XENVER_commandline, gva, 0, 0, 0, 0), 0);
    cr_expect_str_eq(text, "<denied>");
    cr_expect_eq(do_xen_version(XENVER_capabilities, gva, 0, 0, 0, 0), 0);
    cr_expect_str_eq(text, "xen-3.0-x86_64 ");
    f = (void *)text;
    f->submap_idx = 1;
    cr_expect_eq(do_xen_version(XENVER_get_features, gva, 0, 0, 0, 0), -XEN_EINVAL);
    f->submap_idx = 0;
    cr_expect_eq(do_xen_version(XENVER_get_features, gva, 0, 0, 0, 0), 0);
    cr_expect_neq(f->submap, 0);

    d->privileged = true;
    id = host_guest_alloc(64, &id_gva);
    cr_expect_eq(do_xen_version(XENVER_build_id, 0, 0, 0, 0, 0), 20);
    cr_expect_eq(do_xen_version(XENVER_build_id, id_gva, 0, 0, 0, 0), -XEN_EINVAL);
    *id = 19;
    cr_expect_eq(do_xen_version(XENVER_build_id, id_gva, 0, 0, 0, 0), -XEN_ENOBUFS);
    *id = 20;
    cr_expect_eq(do_xen_version(XENVER_build_id, id_gva, 0, 0, 0, 0), 20);
}

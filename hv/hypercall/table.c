/* SPDX-License-Identifier: MIT */
/*
 * All 64 hypercalls, by number (xen/xen.h). What is not listed, or has no function, gets
 * -XEN_ENOSYS.
 *
 * Some calls exist to be refused: stock kernels and tools make them on every Xen and know the error
 * it answers with.
 */
#include "hypercall.h"

/** The security module's calls: no module here, as in Debian's Xen. */
static long do_xsm_op(u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6)
{
    return -XEN_ENOSYS;
}

/** Virtual performance counters are off, as on Xen without "vpmu". */
static long do_xenpmu_op(u64 cmd, u64 arg, u64 a3, u64 a4, u64 a5, u64 a6)
{
    return -XEN_EOPNOTSUPP;
}

#define CALL(number, function, args)                                                               \
    [__HYPERVISOR_##number] = {.fn = function, .name = #number, .nr_args = args}
#define NAME_ONLY(number) [__HYPERVISOR_##number] = {.name = #number}

const struct hypercall hypercall_table[NR_HYPERCALLS] = {
    CALL(set_trap_table, do_set_trap_table, 1),
    CALL(mmu_update, do_mmu_update, 4),
    CALL(set_gdt, do_set_gdt, 2),
    CALL(stack_switch, do_stack_switch, 2),
    CALL(set_callbacks, do_set_callbacks, 3),
    CALL(fpu_taskswitch, do_fpu_taskswitch, 1),
    CALL(sched_op_compat, do_sched_op_compat, 2),
    CALL(platform_op, do_platform_op, 1),
    CALL(set_debugreg, do_set_debugreg, 2),
    CALL(get_debugreg, do_get_debugreg, 1),
    CALL(update_descriptor, do_update_descriptor, 2),
    CALL(memory_op, do_memory_op, 2),
    CALL(multicall, do_multicall, 2),
    CALL(update_va_mapping, do_update_va_mapping, 3),
    CALL(set_timer_op, do_set_timer_op, 1),
    NAME_ONLY(event_channel_op_compat),
    CALL(xen_version, do_xen_version, 2),
    CALL(console_io, do_console_io, 3),
    NAME_ONLY(physdev_op_compat),
    CALL(grant_table_op, do_grant_table_op, 3),
    CALL(vm_assist, do_vm_assist, 2),
    CALL(update_va_mapping_otherdomain, do_update_va_mapping_otherdomain, 4),
    CALL(iret, do_iret, 0),
    CALL(vcpu_op, do_vcpu_op, 3),
    CALL(set_segment_base, do_set_segment_base, 2),
    CALL(mmuext_op, do_mmuext_op, 4),
    CALL(xsm_op, do_xsm_op, 1),
    NAME_ONLY(nmi_op),
    CALL(sched_op, do_sched_op, 2),
    CALL(callback_op, do_callback_op, 2),
    NAME_ONLY(xenoprof_op),
    CALL(event_channel_op, do_event_channel_op, 2),
    CALL(physdev_op, do_physdev_op, 2),
    CALL(hvm_op, do_hvm_op, 2),
    CALL(sysctl, do_sysctl, 1),
    CALL(domctl, do_domctl, 1),
    NAME_ONLY(kexec_op),
    NAME_ONLY(tmem_op),
    NAME_ONLY(argo_op),
    CALL(xenpmu_op, do_xenpmu_op, 2),
    NAME_ONLY(dm_op),
    NAME_ONLY(hypfs_op),
    CALL(arch_0, do_mca, 1), /* mca */
    NAME_ONLY(arch_1), /* paging_domctl_cont */
    NAME_ONLY(arch_2),
    NAME_ONLY(arch_3),
    NAME_ONLY(arch_4),
    NAME_ONLY(arch_5),
    NAME_ONLY(arch_6),
    NAME_ONLY(arch_7),
};

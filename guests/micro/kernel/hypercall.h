/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls with their C types, one wrapper each, over hypercall() of the linked entry file.
 *
 * hcall_syscall.S issues the platform's instruction; hcall_page.S calls the page that the hypervisor filled
 * in. The objects are the same for both links. Returns are the hypervisor's own: 0 or above, or a
 * negative errno.
 */
#ifndef MICRO_HYPERCALL_H
#define MICRO_HYPERCALL_H

#include "micro.h"
#include <xen/callback.h>
#include <xen/errno.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

/** Any hypercall by number; unused arguments are ignored by the hypervisor. */
long hypercall(unsigned nr, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5);

#define PTR(p) ((uint64_t)(p))

static inline long hc_set_trap_table(const struct trap_info *t)
{
    return hypercall(__HYPERVISOR_set_trap_table, PTR(t), 0, 0, 0, 0);
}

static inline long hc_mmu_update(const struct mmu_update *u, unsigned n, unsigned *done,
                                 unsigned dom)
{
    return hypercall(__HYPERVISOR_mmu_update, PTR(u), n, PTR(done), dom, 0);
}

static inline long hc_mmuext_op(const struct mmuext_op *op, unsigned n, unsigned *done,
                                unsigned dom)
{
    return hypercall(__HYPERVISOR_mmuext_op, PTR(op), n, PTR(done), dom, 0);
}

/** mmuext_op of one command on a frame. */
static inline long hc_mmuext(unsigned cmd, uint64_t mfn_or_va, uint64_t arg2)
{
    struct mmuext_op op = {.cmd = cmd, .arg1.mfn = mfn_or_va, .arg2.src_mfn = arg2};
    return hc_mmuext_op(&op, 1, NULL, DOMID_SELF);
}

/** mmu_update of one entry. ptr carries the command in bits 1:0. */
static inline long hc_mmu_update1(uint64_t ptr, uint64_t val)
{
    struct mmu_update u = {ptr, val};
    return hc_mmu_update(&u, 1, NULL, DOMID_SELF);
}

static inline long hc_update_va_mapping(uint64_t va, uint64_t pte, uint64_t flags)
{
    return hypercall(__HYPERVISOR_update_va_mapping, va, pte, flags, 0, 0);
}

static inline long hc_set_gdt(const xen_pfn_t *frames, unsigned entries)
{
    return hypercall(__HYPERVISOR_set_gdt, PTR(frames), entries, 0, 0, 0);
}

static inline long hc_stack_switch(uint64_t ss, uint64_t sp)
{
    return hypercall(__HYPERVISOR_stack_switch, ss, sp, 0, 0, 0);
}

static inline long hc_set_callbacks(uint64_t event, uint64_t failsafe, uint64_t syscall)
{
    return hypercall(__HYPERVISOR_set_callbacks, event, failsafe, syscall, 0, 0);
}

static inline long hc_callback_register(unsigned type, unsigned flags, uint64_t address)
{
    struct callback_register r = {.type = type, .flags = flags, .address = address};
    return hypercall(__HYPERVISOR_callback_op, CALLBACKOP_register, PTR(&r), 0, 0, 0);
}

static inline long hc_fpu_taskswitch(bool set)
{
    return hypercall(__HYPERVISOR_fpu_taskswitch, set, 0, 0, 0, 0);
}

static inline long hc_set_debugreg(unsigned reg, uint64_t v)
{
    return hypercall(__HYPERVISOR_set_debugreg, reg, v, 0, 0, 0);
}

static inline long hc_get_debugreg(unsigned reg)
{
    return hypercall(__HYPERVISOR_get_debugreg, reg, 0, 0, 0, 0);
}

static inline long hc_update_descriptor(uint64_t maddr, uint64_t desc)
{
    return hypercall(__HYPERVISOR_update_descriptor, maddr, desc, 0, 0, 0);
}

static inline long hc_memory_op(unsigned cmd, void *arg)
{
    return hypercall(__HYPERVISOR_memory_op, cmd, PTR(arg), 0, 0, 0);
}

static inline long hc_multicall(struct multicall_entry *calls, unsigned n)
{
    return hypercall(__HYPERVISOR_multicall, PTR(calls), n, 0, 0, 0);
}

static inline long hc_xen_version(unsigned cmd, void *arg)
{
    return hypercall(__HYPERVISOR_xen_version, cmd, PTR(arg), 0, 0, 0);
}

static inline long hc_console_io(unsigned cmd, unsigned count, void *buf)
{
    return hypercall(__HYPERVISOR_console_io, cmd, count, PTR(buf), 0, 0);
}

static inline long hc_grant_table_op(unsigned cmd, void *arg, unsigned n)
{
    return hypercall(__HYPERVISOR_grant_table_op, cmd, PTR(arg), n, 0, 0);
}

static inline long hc_domctl(void *arg)
{
    return hypercall(__HYPERVISOR_domctl, (uint64_t)arg, 0, 0, 0, 0);
}

static inline long hc_vm_assist(unsigned cmd, unsigned type)
{
    return hypercall(__HYPERVISOR_vm_assist, cmd, type, 0, 0, 0);
}

static inline long hc_vcpu_op(unsigned cmd, unsigned vcpu, void *arg)
{
    return hypercall(__HYPERVISOR_vcpu_op, cmd, vcpu, PTR(arg), 0, 0);
}

static inline long hc_set_segment_base(unsigned which, uint64_t base)
{
    return hypercall(__HYPERVISOR_set_segment_base, which, base, 0, 0, 0);
}

static inline long hc_set_timer_op(uint64_t ns)
{
    return hypercall(__HYPERVISOR_set_timer_op, ns, 0, 0, 0, 0);
}

static inline long hc_sched_op(unsigned cmd, void *arg)
{
    return hypercall(__HYPERVISOR_sched_op, cmd, PTR(arg), 0, 0, 0);
}

/** The level from which ports may be used: 0 nobody, 1 the kernel, 3 user mode too. */
static inline long hc_set_iopl(unsigned level)
{
    struct physdev_set_iopl p = {.iopl = level};
    return hypercall(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, PTR(&p), 0, 0, 0);
}

static inline long hc_hvm_op(unsigned cmd, void *arg)
{
    return hypercall(__HYPERVISOR_hvm_op, cmd, PTR(arg), 0, 0, 0);
}

static inline long hc_hvm_set_param(uint32_t index, uint64_t value)
{
    struct xen_hvm_param p = {.domid = DOMID_SELF, .index = index, .value = value};
    return hc_hvm_op(HVMOP_set_param, &p);
}

/** 0 and *value, or a negative errno. */
static inline long hc_hvm_get_param(uint32_t index, uint64_t *value)
{
    struct xen_hvm_param p = {.domid = DOMID_SELF, .index = index};
    long rc = hc_hvm_op(HVMOP_get_param, &p);

    *value = p.value;
    return rc;
}

/** Put a frame of another space (XENMAPSPACE_*) at a guest frame of ours; not on PV. */
static inline long hc_add_to_physmap(unsigned space, uint64_t idx, uint64_t gfn)
{
    struct xen_add_to_physmap x = {
        .domid = DOMID_SELF, .space = space, .idx = idx, .gpfn = gfn};
    return hc_memory_op(XENMEM_add_to_physmap, &x);
}

static inline long hc_evtchn(unsigned cmd, void *arg)
{
    return hypercall(__HYPERVISOR_event_channel_op, cmd, PTR(arg), 0, 0, 0);
}

#endif

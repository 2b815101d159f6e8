/* SPDX-License-Identifier: MIT */
/*
 * Costs: one primitive each, counted between marks by the plugin, with the native equivalent where
 * there is one.
 *
 * A run is a loop of `ops` operations; `loop` is that loop alone, to be subtracted. What a run
 * needs is set up before the marks. Instruction counts are the harness's business: nothing is
 * measured here.
 */
#include "evtchn.h"
#include "frames.h"

#define BOTH PLATFORM_ANY
#define OPS  1000

extern char u_syscall_loop[], u_load_loop[], u_int80[];

static uint64_t *page_a, *page_b;
static struct mmu_update updates[64];

static void run_loop(unsigned ops)
{
    for (unsigned i = 0; i < ops; i++)
        barrier();
}
MICRO_COST(loop, "loop", BOTH, OPS, NULL, run_loop, NULL);

static void run_null(unsigned ops)
{
    for (unsigned i = 0; i < ops; i++)
        hc_xen_version(XENVER_version, NULL);
}
MICRO_COST(null, "hypercall", PLATFORM_XEN, OPS, NULL, run_null, NULL);

/* What a call costs within a multicall, and the multicall around it. */
static void run_multicall(unsigned calls, unsigned ops)
{
    struct multicall_entry m[8];

    for (unsigned n = 0; n < calls; n++)
        m[n] = (struct multicall_entry){.op = __HYPERVISOR_xen_version, .args = {XENVER_version, 0}};
    for (unsigned i = 0; i < ops; i++)
        hc_multicall(m, calls);
}

static void run_multicall_1(unsigned ops)
{
    run_multicall(1, ops);
}
MICRO_COST(multicall_1, "multicall-1", PLATFORM_PV, OPS, NULL, run_multicall_1, NULL);

static void run_multicall_8(unsigned ops)
{
    run_multicall(8, ops);
}
MICRO_COST(multicall_8, "multicall-8", PLATFORM_PV, OPS, NULL, run_multicall_8, NULL);

/* ---- user mode ---- */

static void bounce(const void *piece, int vector, unsigned skip, unsigned ops)
{
    struct user_regs r = user_entry(piece);
    struct trap_caught c;

    r.rbx = ops;
    r.rdi = USER_VA + 511 * PAGE_SIZE; /* not mapped */
    user_absorb(vector, ops, skip);
    user_run(&r, &c);
}

static void run_syscall(unsigned ops)
{
    bounce(u_syscall_loop, VEC_SYSCALL, 0, ops);
}
MICRO_COST(syscall, "syscall-bounce", BOTH, OPS, NULL, run_syscall, NULL);

static void run_page_fault(unsigned ops)
{
    bounce(u_load_loop, VEC_PF, 2, ops);
}
MICRO_COST(page_fault, "page-fault-bounce", BOTH, OPS, NULL, run_page_fault, NULL);

/* As an operating system has it: events open in user mode, and masked by the handler's entry in the trap table. */
static bool masking_setup(void)
{
    struct trap_info t[2] = {{.vector = VEC_PF, .flags = 4, .cs = kernel_cs, .address = trap_stub(VEC_PF)}, {0}};

    if (hc_set_trap_table(t))
        return false;
    events_unmask();
    return true;
}

static void masking_teardown(void)
{
    events_mask();
    trap_table_default();
}
MICRO_COST(page_fault_masking, "page-fault-masking", PLATFORM_PV, OPS, masking_setup, run_page_fault, masking_teardown);

/* ---- page tables ---- */

static bool two_pages(void)
{
    page_a = page_alloc();
    page_b = page_alloc();
    for (unsigned i = 0; i < 64; i++)
        updates[i].ptr = pte_maddr(window_va(i));
    return true;
}

static void two_pages_free(void)
{
    for (unsigned i = 0; i < 64; i++)
        pte_write(window_va(i), 0);
    page_free(page_a);
    page_free(page_b);
}

/* Natively the store and INVLPG that the call stands for. */
static void run_va_mapping(unsigned ops)
{
    uint64_t entry[2] = {ENTRY_OF(page_a, PTE_RW), ENTRY_OF(page_b, PTE_RW)};

    for (unsigned i = 0; i < ops; i++) {
        if (platform == PLATFORM_PV) {
            hc_update_va_mapping(window_va(0), entry[i & 1], UVMF_INVLPG);
        } else {
            *(volatile uint64_t *)&window_l1[0] = entry[i & 1];
            invlpg(window_va(0));
        }
    }
}
MICRO_COST(va_mapping, "update-va-mapping", BOTH, OPS, two_pages, run_va_mapping, two_pages_free);

static void run_mmu_update(unsigned batch, unsigned ops)
{
    uint64_t entry[2] = {ENTRY_OF(page_a, PTE_RW), ENTRY_OF(page_b, PTE_RW)};

    for (unsigned i = 0; i < ops; i++) {
        for (unsigned n = 0; n < batch; n++)
            updates[n].val = entry[i & 1];
        hc_mmu_update(updates, batch, NULL, DOMID_SELF);
    }
}

static void run_mmu_update_1(unsigned ops)
{
    run_mmu_update(1, ops);
}
MICRO_COST(mmu_update_1, "mmu-update-1", PLATFORM_PV, OPS, two_pages, run_mmu_update_1,
           two_pages_free);

/* An entry that is filled and emptied in turn. */
static void run_mmu_update_toggle(unsigned ops)
{
    for (unsigned i = 0; i < ops; i++) {
        updates[0].val = i & 1 ? 0 : ENTRY_OF(page_a, PTE_RW);
        hc_mmu_update(updates, 1, NULL, DOMID_SELF);
    }
}
MICRO_COST(mmu_update_toggle, "mmu-update-toggle", PLATFORM_PV, OPS, two_pages, run_mmu_update_toggle,
           two_pages_free);

static void run_mmu_update_64(unsigned ops)
{
    run_mmu_update(64, ops);
}
MICRO_COST(mmu_update_64, "mmu-update-64", PLATFORM_PV, 100, two_pages, run_mmu_update_64,
           two_pages_free);

/* The native equivalent of both, and of an emulated write. On PV each store traps. */
static void run_pte_store(unsigned ops)
{
    uint64_t entry[2] = {ENTRY_OF(page_a, PTE_RW), ENTRY_OF(page_a, PTE_RO)};

    for (unsigned i = 0; i < ops; i++)
        *(volatile uint64_t *)&window_l1[i & 1] = entry[i >> 1 & 1];
}

static bool pte_store_setup(void)
{
    if (platform == PLATFORM_PV)
        hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables);
    return two_pages();
}
MICRO_COST(pte_store, "pte-store", BOTH, OPS, pte_store_setup, run_pte_store, two_pages_free);

static bool pin_empty_setup(void)
{
    page_a = page_alloc();
    return page_readonly(page_a) == 0;
}

static bool pin_full_setup(void)
{
    page_a = page_alloc();
    page_b = page_alloc();
    for (unsigned i = 0; i < 512; i++)
        page_a[i] = ENTRY_OF(page_b, PTE_RW);
    return page_readonly(page_a) == 0;
}

static void run_pin(unsigned ops)
{
    for (unsigned i = 0; i < ops; i++) {
        pin(1, page_a);
        unpin(page_a);
    }
}

static void pin_teardown(void)
{
    page_writable(page_a);
    page_free(page_a);
}
MICRO_COST(pin_empty, "pin-unpin-empty-l1", PLATFORM_PV, 100, pin_empty_setup, run_pin,
           pin_teardown);
MICRO_COST(pin_full, "pin-unpin-full-l1", PLATFORM_PV, 100, pin_full_setup, run_pin, pin_teardown);

static uint64_t *other_root;

static bool root_setup(void)
{
    other_root = page_alloc();
    for (unsigned i = 0; i < 512; i++) {
        if (platform != PLATFORM_PV || i < 256 || i > 271)
            other_root[i] = kernel_l4[i];
    }
    if (platform != PLATFORM_PV)
        return true;
    return page_readonly(other_root) == 0 && pin(4, other_root) == 0;
}

static void run_root(unsigned ops)
{
    uint64_t mfn[2] = {mfn_of(other_root), mfn_of(kernel_l4)};

    for (unsigned i = 0; i < ops; i++) {
        if (platform == PLATFORM_PV)
            hc_mmuext(MMUEXT_NEW_BASEPTR, mfn[i & 1], 0);
        else
            write_cr3(mfn[i & 1] << PAGE_SHIFT);
    }
}

static void root_teardown(void)
{
    if (platform == PLATFORM_PV) {
        unpin(other_root);
        page_writable(other_root);
    }
    page_free(other_root);
}
MICRO_COST(root, "cr3-switch", BOTH, OPS, root_setup, run_root, root_teardown);

static void run_invlpg(unsigned ops)
{
    for (unsigned i = 0; i < ops; i++) {
        if (platform == PLATFORM_PV)
            hc_mmuext(MMUEXT_INVLPG_LOCAL, window_va(0), 0);
        else
            invlpg(window_va(0));
    }
}
MICRO_COST(invlpg, "invlpg", BOTH, OPS, NULL, run_invlpg, NULL);

/* ---- events and timers ---- */

static uint32_t port;

static bool event_setup(void)
{
    port = port_ipi();
    events_unmask();
    return true;
}

static void event_teardown(void)
{
    events_mask();
    port_close(port);
}

static void run_event(unsigned ops)
{
    for (unsigned i = 0; i < ops; i++)
        port_send(port);
}
MICRO_COST(event, "event-to-self", PLATFORM_XEN, OPS, event_setup, run_event, event_teardown);

static void run_timer(unsigned ops)
{
    struct vcpu_set_singleshot_timer t = {.timeout_abs_ns = now_ns() + 10000000000};

    for (unsigned i = 0; i < ops; i++)
        hc_vcpu_op(VCPUOP_set_singleshot_timer, 0, &t);
}

static void timer_teardown(void)
{
    hc_vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL);
}
MICRO_COST(timer, "timer-set", PLATFORM_XEN, OPS, NULL, run_timer, timer_teardown);

/* ---- processor state ---- */

static void run_stack_switch(unsigned ops)
{
    for (unsigned i = 0; i < ops; i++)
        hc_stack_switch(kernel_ss, trap_stack_top());
}
MICRO_COST(stack_switch, "stack-switch", PLATFORM_PV, OPS, NULL, run_stack_switch, NULL);

static void run_segment_base(unsigned ops)
{
    for (unsigned i = 0; i < ops; i++) {
        if (platform == PLATFORM_PV)
            hc_set_segment_base(SEGBASE_FS, 0x1000);
        else
            wrmsr(0xc0000100, 0x1000);
    }
}
MICRO_COST(segment_base, "set-segment-base", BOTH, OPS, NULL, run_segment_base, NULL);

static void run_cpuid(unsigned ops)
{
    for (unsigned i = 0; i < ops; i++) {
        if (platform == PLATFORM_PV)
            cpuid_forced(1, 0);
        else
            cpuid_bare(1, 0);
    }
}
MICRO_COST(cpuid, "cpuid", BOTH, OPS, NULL, run_cpuid, NULL);

static void run_rdmsr(unsigned ops)
{
    for (unsigned i = 0; i < ops; i++)
        rdmsr(0xc0000080);
}
MICRO_COST(rdmsr, "rdmsr", BOTH, OPS, NULL, run_rdmsr, NULL);

static bool port_setup(void)
{
    return platform != PLATFORM_PV || hc_set_iopl(1) == 0;
}

static void port_teardown(void)
{
    if (platform == PLATFORM_PV)
        hc_set_iopl(0);
}

static void run_port(unsigned ops)
{
    for (unsigned i = 0; i < ops; i++)
        outb(0x80, 0);
}
MICRO_COST(port_out, "port-out", BOTH, OPS, port_setup, run_port, port_teardown);

static void run_rdtsc(unsigned ops)
{
    for (unsigned i = 0; i < ops; i++)
        rdtsc();
}
MICRO_COST(rdtsc, "rdtsc", BOTH, OPS, NULL, run_rdtsc, NULL);

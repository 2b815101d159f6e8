/* SPDX-License-Identifier: MIT */
/*
 * Several vCPUs: bring-up, down and up again, events between them, and attacks that need two: hostile contexts, tables changed by one
 * while another has them loaded, races for types, descriptors in use; PVH: INIT, STARTUP and interrupts by local APIC.
 *
 * The others run ap_main() on a stack each: they wait, giving way, for a function to call. They have no handlers: what they call must not
 * fault, and their events stay masked. These tests run by name, in a domain with two vCPUs or more (tests/micro/run -p).
 * Sources: xen/vcpu.h, xen/arch-x86/xen.h (vcpu_guest_context), xen/hvm/hvm_vcpu.h, SDM vol. 3 §8.4, §10.6.
 */
#include "frames.h"
#include "evtchn.h"
#include <xen/hvm/hvm_vcpu.h>

#define APS      4
#define AP_STACK 8192
#define ROUNDS   200

/* What vCPU i is asked to do. */
static struct {
    void (*volatile fn)(unsigned vcpu);
    volatile unsigned alive; /* counts what it has done */
} ap[APS];

static uint8_t ap_stack[APS][AP_STACK] __attribute__((aligned(4096)));
static struct vcpu_guest_context context __attribute__((aligned(4096)));
static struct vcpu_hvm_context hvm_context;
static volatile bool stop;
static volatile unsigned ap_faults;
static volatile long ap_rc;

static void give_way(void)
{
    hc_sched_op(SCHEDOP_yield, NULL);
}

static void ap_main(unsigned vcpu) __attribute__((noreturn));
static void ap_main(unsigned vcpu)
{
    for (;;) {
        void (*fn)(unsigned) = ap[vcpu].fn;

        if (fn) {
            fn(vcpu);
            ap[vcpu].fn = NULL;
        }
        ap[vcpu].alive++;
        give_way();
    }
}

/* To the machine's interrupts too: Bochs 2.7 lets none of them leave a VMX guest before the guest's IF has changed. vCPU 0 alone has handlers. */
static void give_way_to_all(void)
{
    if (platform == PLATFORM_PVH)
        __asm__ volatile("pushf; sti; nop; popf" ::: "memory");
    give_way();
}

/* Does it come to be so within a second? */
#define SOON(cond)                                                                                 \
    ({                                                                                             \
        uint64_t end_ = now_ns() + 1000000000;                                                     \
        while (!(cond) && now_ns() < end_)                                                         \
            give_way_to_all();                                                                     \
        (cond);                                                                                    \
    })

/* A page fault of vCPU 1, whose function ends with it: its loop begins anew. */
static void ap_page_fault(void)
{
    ap_faults++;
    ap[1].fn = NULL;
    __asm__ volatile("mov %0, %%rsp; mov $1, %%edi; jmp *%1" ::"r"(ap_stack[1] + AP_STACK - 8), "r"(ap_main) : "memory");
    __builtin_unreachable();
}

static void set_context(unsigned vcpu)
{
    memset(&context, 0, sizeof(context));
    context.flags = VGCF_in_kernel;
    context.user_regs.rip = PTR(ap_main);
    context.user_regs.rdi = vcpu;
    context.user_regs.rsp = PTR(ap_stack[vcpu]) + AP_STACK - 8;
    context.user_regs.cs = kernel_cs;
    context.user_regs.ss = kernel_ss;
    context.kernel_ss = kernel_ss;
    context.kernel_sp = PTR(ap_stack[vcpu]) + AP_STACK;
    context.ctrlreg[3] = mfn_of(kernel_l4) << PAGE_SHIFT;
    context.trap_ctxt[14].cs = kernel_cs;
    context.trap_ctxt[14].address = PTR(ap_page_fault);
}

static long initialise(unsigned vcpu)
{
    if (platform == PLATFORM_PV) {
        set_context(vcpu);
        return hc_vcpu_op(VCPUOP_initialise, vcpu, &context);
    }
    memset(&hvm_context, 0, sizeof(hvm_context));
    hvm_context.mode = VCPU_HVM_MODE_64B;
    hvm_context.cpu_regs.x86_64.rip = PTR(ap_main);
    hvm_context.cpu_regs.x86_64.rdi = vcpu;
    hvm_context.cpu_regs.x86_64.rsp = PTR(ap_stack[vcpu]) + AP_STACK - 8;
    hvm_context.cpu_regs.x86_64.rflags = 2;
    hvm_context.cpu_regs.x86_64.cr0 = read_cr0();
    hvm_context.cpu_regs.x86_64.cr3 = read_cr3();
    hvm_context.cpu_regs.x86_64.cr4 = read_cr4();
    hvm_context.cpu_regs.x86_64.efer = rdmsr(0xc0000080) & 0xd00;
    return hc_vcpu_op(VCPUOP_initialise, vcpu, &hvm_context);
}

/* vCPU 1 runs ap_main(). */
static bool start_ap(void)
{
    unsigned before = ap[1].alive;
    long rc = hc_vcpu_op(VCPUOP_is_up, 1, NULL);

    if (rc == 0) {
        rc = initialise(1);
        EXPECT(rc == 0 || rc == -XEN_EEXIST, "initialise = %ld", rc);
        rc = hc_vcpu_op(VCPUOP_up, 1, NULL);
    }
    EXPECT(rc >= 0, "vCPU 1: %ld", rc);
    EXPECT(SOON(ap[1].alive != before), "vCPU 1 does not run");
    return !test_failed();
}

static void ask(void (*fn)(unsigned))
{
    ap[1].fn = fn;
}

static bool ap_done(void)
{
    return SOON(!ap[1].fn);
}

/* ---- both kinds ---- */

static void go_down(unsigned vcpu)
{
    ap_rc = hc_vcpu_op(VCPUOP_down, vcpu, NULL);
}

static void smp_bring_up(void)
{
    unsigned before;

    EXPECT_RC(hc_vcpu_op(VCPUOP_is_up, 1, NULL), 0);
    EXPECT_RC(hc_vcpu_op(VCPUOP_up, 1, NULL), -XEN_EINVAL);
    EXPECT_RC(hc_vcpu_op(VCPUOP_initialise, 64, &context), -XEN_ENOENT);
    EXPECT_RC(hc_vcpu_op(VCPUOP_initialise, 1, (void *)HV_START), -XEN_EFAULT);
    EXPECT_RC(initialise(0), -XEN_EEXIST);
    EXPECT_RC(initialise(1), 0);
    EXPECT_RC(hc_vcpu_op(VCPUOP_is_up, 1, NULL), 0);
    EXPECT_RC(initialise(1), -XEN_EEXIST);
    EXPECT(!ap[1].alive, "it runs before it was brought up");
    EXPECT_RC(hc_vcpu_op(VCPUOP_up, 1, NULL), 0);
    EXPECT_RC(hc_vcpu_op(VCPUOP_is_up, 1, NULL), 1);
    REQUIRE(SOON(ap[1].alive), "it does not run");
    EXPECT_RC(hc_vcpu_op(VCPUOP_up, 1, NULL), 0);

    /* It takes itself down, and goes on where it was when it is brought up. */
    ap_rc = 1;
    ask(go_down);
    EXPECT(SOON(hc_vcpu_op(VCPUOP_is_up, 1, NULL) == 0), "it did not go down");
    before = ap[1].alive;
    EXPECT_RC(hc_vcpu_op(VCPUOP_up, 1, NULL), 0);
    EXPECT(SOON(ap[1].alive != before), "it does not go on");
    EXPECT(ap_rc == 0, "down = %ld", ap_rc);

    /* Another takes it down. */
    EXPECT_RC(hc_vcpu_op(VCPUOP_down, 1, NULL), 0);
    EXPECT_RC(hc_vcpu_op(VCPUOP_is_up, 1, NULL), 0);
    give_way();
    before = ap[1].alive;
    for (unsigned i = 0; i < 100; i++)
        give_way();
    EXPECT(ap[1].alive == before, "it runs on while it is down");
    EXPECT_RC(hc_vcpu_op(VCPUOP_up, 1, NULL), 0);
    EXPECT(SOON(ap[1].alive != before), "it does not go on");
}
MICRO_SMP_TEST(smp_bring_up, "smp-bring-up", PLATFORM_XEN);

static uint32_t to_ap, to_bsp;

static uint32_t ipi_port(unsigned vcpu)
{
    struct evtchn_bind_ipi b = {.vcpu = vcpu};

    EXPECT_RC(hc_evtchn(EVTCHNOP_bind_ipi, &b), 0);
    port_mask(b.port, true); /* taken by polling */
    return b.port;
}

/* Sleep until the port is pending. */
static long poll_port(uint32_t port)
{
    struct sched_poll p = {.nr_ports = 1, .timeout = now_ns() + 3000000000ul};
    evtchn_port_t which = port;
    long rc;

    set_xen_guest_handle(p.ports, &which);
    rc = hc_sched_op(SCHEDOP_poll, &p);
    if (!rc && !port_pending(port))
        rc = -XEN_ETIME;
    port_clear(port);
    return rc;
}

static void answer(unsigned vcpu)
{
    ap_rc = 0;
    for (unsigned i = 0; i < ROUNDS && !ap_rc; i++) {
        ap_rc = poll_port(to_ap);
        if (!ap_rc)
            ap_rc = port_send(to_bsp);
    }
}

static void smp_ipi(void)
{
    struct evtchn_status s = {.dom = DOMID_SELF};
    struct evtchn_bind_vcpu bind = {.vcpu = 0};
    long rc = 0;

    if (!start_ap())
        return;
    to_ap = ipi_port(1);
    to_bsp = ipi_port(0);
    s.port = to_ap;
    EXPECT_RC(hc_evtchn(EVTCHNOP_status, &s), 0);
    EXPECT(s.status == EVTCHNSTAT_ipi && s.vcpu == 1, "status %u, vCPU %u", s.status, s.vcpu);
    bind.port = to_ap;
    EXPECT_RC(hc_evtchn(EVTCHNOP_bind_vcpu, &bind), -XEN_EINVAL);
    ask(answer);
    for (unsigned i = 0; i < ROUNDS && !rc; i++) {
        rc = port_send(to_ap);
        if (!rc)
            rc = poll_port(to_bsp);
    }
    EXPECT(rc == 0, "%ld after a round", rc);
    EXPECT(ap_done() && ap_rc == 0, "the other: %ld", ap_rc);
    EXPECT_RC(port_close(to_ap), 0);
    EXPECT_RC(port_close(to_bsp), 0);
}
MICRO_SMP_TEST(smp_ipi, "smp-ipi", PLATFORM_XEN);

/* ---- vCPUs that spin for each other ---- */

static volatile unsigned turn;

static void wait_for_turn(unsigned n)
{
    while (turn != n && !stop)
        __asm__ volatile("pause");
}

static void pong(unsigned vcpu)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        wait_for_turn(2 * i + 1);
        turn++;
    }
}

/* Who waits in a loop with PAUSE gives way: on one processor each turn would take a slice else, 2 s in all and more. */
static void smp_pause(void)
{
    uint64_t began, took;

    if (!start_ap())
        return;
    turn = 0;
    stop = false;
    ap[1].fn = pong;
    began = now_ns();
    for (unsigned i = 0; i < ROUNDS; i++) {
        turn++;
        wait_for_turn(2 * i + 2);
    }
    took = now_ns() - began;
    EXPECT(took < 1000000000, "%u turns took %lu us", 2 * ROUNDS, took / 1000);
    EXPECT(ap_done(), "it does not come to its end");
    test_note("%lu ns a turn", took / (2 * ROUNDS));
}
MICRO_SMP_TEST(smp_pause, "smp-pause", PLATFORM_PVH);

/* A timer of each vCPU arrives at that one's port. */
static uint32_t timer_port;

static void await_timer(unsigned vcpu)
{
    struct vcpu_set_singleshot_timer t = {.timeout_abs_ns = now_ns() + 2000000};
    long rc = hc_vcpu_op(VCPUOP_set_singleshot_timer, vcpu, &t);

    ap_rc = rc ? rc : poll_port(timer_port);
}

static void smp_timer(void)
{
    struct evtchn_bind_virq b = {.virq = VIRQ_TIMER, .vcpu = 1};
    struct vcpu_set_singleshot_timer t = {.timeout_abs_ns = now_ns()};

    if (!start_ap())
        return;
    EXPECT_RC(hc_evtchn(EVTCHNOP_bind_virq, &b), 0);
    timer_port = b.port;
    port_mask(timer_port, true);
    EXPECT_RC(hc_evtchn(EVTCHNOP_bind_virq, &b), -XEN_EEXIST);
    EXPECT_RC(hc_vcpu_op(VCPUOP_set_singleshot_timer, 1, &t), -XEN_EINVAL);
    EXPECT_RC(hc_vcpu_op(VCPUOP_stop_singleshot_timer, 1, NULL), -XEN_EINVAL);
    EXPECT_RC(hc_vcpu_op(VCPUOP_stop_periodic_timer, 1, NULL), 0);
    ask(await_timer);
    EXPECT(ap_done() && ap_rc == 0, "its timer: %ld", ap_rc);
    EXPECT_RC(port_close(timer_port), 0);
    b = (struct evtchn_bind_virq){.virq = VIRQ_CONSOLE, .vcpu = 1}; /* a global one */
    EXPECT_RC(hc_evtchn(EVTCHNOP_bind_virq, &b), -XEN_EINVAL);
    b = (struct evtchn_bind_virq){.virq = VIRQ_TIMER, .vcpu = 64};
    EXPECT_RC(hc_evtchn(EVTCHNOP_bind_virq, &b), -XEN_ENOENT);
}
MICRO_SMP_TEST(smp_timer, "smp-timer", PLATFORM_XEN);

/* An NMI arrives at once, and again after the first has returned; a copy of the time is as good as the first. */
static void nmi(void *vcpu)
{
    (void)hc_vcpu_op(VCPUOP_send_nmi, (unsigned)PTR(vcpu), NULL);
    for (volatile unsigned i = 0; i < 1000; i++)
        ;
}

static void nmi_to_bsp(unsigned vcpu)
{
    (void)vcpu;
    ap_rc = hc_vcpu_op(VCPUOP_send_nmi, 0, NULL);
}

static void wait_for_nmi(void *unused)
{
    (void)unused;
    ask(nmi_to_bsp);
    SOON(false);
}

static void smp_nmi(void)
{
    struct trap_caught c;

    if (!start_ap())
        return;
    for (unsigned i = 0; i < 3; i++)
        EXPECT(trap_try(nmi, NULL, &c) == 2, "no NMI");
    EXPECT(trap_try(wait_for_nmi, NULL, &c) == 2, "no NMI from the other");
    EXPECT(ap_done() && ap_rc == 0, "send_nmi = %ld", ap_rc);
    EXPECT_RC(hc_vcpu_op(VCPUOP_send_nmi, 64, NULL), -XEN_ENOENT);
}
MICRO_SMP_TEST(smp_nmi, "smp-nmi", PLATFORM_XEN);

static void smp_time_area(void)
{
    static struct vcpu_time_info copy;
    struct vcpu_register_time_memory_area r = {.addr.v = &copy};

    EXPECT_RC(hc_vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &r), 0);
    EXPECT(copy.version && !(copy.version & 1) && copy.tsc_to_system_mul == vcpu_info->time.tsc_to_system_mul, "version %u",
           copy.version);
    r.addr.v = (void *)HV_START;
    EXPECT(hc_vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &r) == -XEN_EFAULT, "in the hypervisor");
}
MICRO_SMP_TEST(smp_time_area, "smp-time-area", PLATFORM_XEN);

/* ---- PV: attacks ---- */

/* VCPUOP_initialise of vCPU 2 by `context` as it stands must be refused, and leave it as it was. */
static void refused(long err, const char *what)
{
    long rc = hc_vcpu_op(VCPUOP_initialise, 2, &context);

    EXPECT(rc == err, "%s: %ld, want %ld", what, rc, err);
    EXPECT(hc_vcpu_op(VCPUOP_up, 2, NULL) == -XEN_EINVAL, "%s: it can be brought up", what);
    set_context(2);
}

#define NOT_CANONICAL 0x0000800000000000ul

static void smp_hostile_context(void)
{
    uint64_t *page = page_alloc();

    REQUIRE(hc_vcpu_op(VCPUOP_is_up, 2, NULL) == 0, "there is no vCPU 2 that is down");
    set_context(2);
    context.user_regs.rip = NOT_CANONICAL;
    refused(-XEN_EINVAL, "rip");
    context.user_regs.rsp = NOT_CANONICAL;
    refused(-XEN_EINVAL, "rsp");
    context.kernel_sp = NOT_CANONICAL;
    refused(-XEN_EINVAL, "kernel stack");
    context.event_callback_eip = NOT_CANONICAL;
    refused(-XEN_EINVAL, "event callback");
    context.failsafe_callback_eip = NOT_CANONICAL;
    refused(-XEN_EINVAL, "failsafe callback");
    context.syscall_callback_eip = NOT_CANONICAL;
    refused(-XEN_EINVAL, "syscall callback");
    context.trap_ctxt[14].address = NOT_CANONICAL;
    refused(-XEN_EINVAL, "a handler");
    context.fs_base = NOT_CANONICAL;
    refused(-XEN_EINVAL, "FS base");
    context.gs_base_kernel = NOT_CANONICAL;
    refused(-XEN_EINVAL, "kernel GS base");
    context.gs_base_user = NOT_CANONICAL;
    refused(-XEN_EINVAL, "user GS base");
    context.ldt_base = WINDOW_VA;
    context.ldt_ents = 8193;
    refused(-XEN_EINVAL, "LDT too long");
    context.ldt_base = WINDOW_VA + 8;
    context.ldt_ents = 1;
    refused(-XEN_EINVAL, "LDT not at a page");
    context.ldt_base = HV_START;
    context.ldt_ents = 1;
    refused(-XEN_EINVAL, "LDT in the hypervisor");
    context.gdt_ents = 14 * 512 + 1;
    refused(-XEN_EINVAL, "GDT too long");
    context.gdt_frames[0] = mfn_of(page); /* mapped writable */
    context.gdt_ents = 512;
    refused(-XEN_EINVAL, "GDT in a writable page");
    context.gdt_frames[0] = mfn_of(kernel_l4);
    context.gdt_ents = 512;
    refused(-XEN_EINVAL, "GDT in a page table");
    context.ctrlreg[3] = mfn_of(page) << PAGE_SHIFT;
    refused(-XEN_EINVAL, "CR3 is a writable page");
    context.ctrlreg[3] = mfn_of(window_l1) << PAGE_SHIFT;
    refused(-XEN_EINVAL, "CR3 is an L1");
    context.ctrlreg[3] = 0xfffffffful << PAGE_SHIFT;
    refused(-XEN_EINVAL, "CR3 is no memory");
    context.ctrlreg[1] = mfn_of(page) << PAGE_SHIFT;
    refused(-XEN_EINVAL, "the user's CR3 is a writable page");
    context.flags = 0;
    refused(-XEN_EINVAL, "user mode without its page table");
    expect_frame_clean(page, "the page that was named");
    page_free(page);
}
MICRO_SMP_TEST(smp_hostile_context, "smp-hostile-context", PLATFORM_PV);

/* Addresses of the hypervisor, which Xen takes and makes harmless when they are used. */
static void smp_hypervisor_addresses(void)
{
    REQUIRE(hc_vcpu_op(VCPUOP_is_up, 2, NULL) == 0, "there is no vCPU 2 that is down");
    set_context(2);
    context.kernel_sp = HV_START + 4096;
    refused(-XEN_EINVAL, "kernel stack");
    context.kernel_sp = HV_START + 32; /* a frame would begin below and end within */
    refused(-XEN_EINVAL, "kernel stack at the edge");
    context.event_callback_eip = HV_START;
    refused(-XEN_EINVAL, "event callback");
    context.trap_ctxt[3].address = HV_START;
    refused(-XEN_EINVAL, "a handler");
    context.ctrlreg[3] = 0;
    refused(-XEN_EINVAL, "no CR3");
}
MICRO_SMP_TEST(smp_hypervisor_addresses, "smp-hypervisor-addresses", PLATFORM_PV);

/* Two vCPUs set the same entries to two pages; afterwards nothing is left on either. */
static void *race_page[2];

static void set_entries(unsigned vcpu)
{
    while (!stop)
        for (unsigned i = 0; i < 4; i++) {
            (void)hc_update_va_mapping(window_va(i), mfn_of(race_page[i & 1]) << PAGE_SHIFT | PTE_RW, UVMF_NONE);
            (void)hc_update_va_mapping(window_va(i), 0, UVMF_INVLPG);
            if (vcpu && !(i & 3))
                give_way();
        }
}

static void smp_entry_race(void)
{
    if (!start_ap())
        return;
    race_page[0] = page_alloc();
    race_page[1] = page_alloc();
    stop = false;
    ask(set_entries);
    for (unsigned n = 0; n < 20 * ROUNDS; n++) {
        unsigned i = n & 3;
        uint64_t at = maddr_of(&window_l1[i]);

        (void)hc_mmu_update1(at, mfn_of(race_page[n >> 2 & 1]) << PAGE_SHIFT | (n & 8 ? PTE_RW : PTE_RO));
        (void)hc_mmu_update1(at | MMU_PT_UPDATE_PRESERVE_AD, mfn_of(race_page[~n & 1]) << PAGE_SHIFT | PTE_RO);
        if (!(n & 15))
            give_way();
    }
    stop = true;
    EXPECT(ap_done(), "it does not end");
    for (unsigned i = 0; i < 4; i++)
        EXPECT_RC(hc_update_va_mapping(window_va(i), 0, UVMF_ALL | UVMF_TLB_FLUSH), 0);
    for (unsigned i = 0; i < 2; i++) {
        expect_frame_clean(race_page[i], "a page that two vCPUs mapped");
        page_free(race_page[i]);
    }
}
MICRO_SMP_TEST(smp_entry_race, "smp-entry-race", PLATFORM_PV);

/* Two vCPUs pin and unpin a tree, by its root and by its L1; a third party is the mapping of its pages. */
static struct table_tree race_tree;
static volatile long odd_rc;

static void note(long rc)
{
    if (rc != 0 && rc != -XEN_EINVAL && rc != -XEN_EBUSY)
        odd_rc = rc;
}

static void pin_l1(unsigned vcpu)
{
    while (!stop) {
        note(pin(1, race_tree.t[0]));
        note(page_writable(race_tree.t[1]));
        note(page_readonly(race_tree.t[1]));
        note(unpin(race_tree.t[0]));
        if (vcpu)
            give_way();
    }
}

static void smp_pin_race(void)
{
    void *leaf = page_alloc();

    if (!start_ap())
        return;
    race_tree = tree_build(ENTRY_OF(leaf, PTE_RW));
    stop = false;
    odd_rc = 0;
    ask(pin_l1);
    for (unsigned n = 0; n < 5 * ROUNDS; n++) {
        note(pin(4, race_tree.t[3]));
        if (n & 1)
            note(pin(2, race_tree.t[1]));
        note(unpin(race_tree.t[3]));
        if (n & 1)
            note(unpin(race_tree.t[1]));
        if (!(n & 7))
            give_way();
    }
    stop = true;
    EXPECT(ap_done(), "it does not end");
    EXPECT(!odd_rc, "an odd result: %ld", odd_rc);
    for (int i = 0; i < 4; i++)
        note(unpin(race_tree.t[i]));
    EXPECT_RC(unpin(race_tree.t[3]), -XEN_EINVAL);
    for (int i = 3; i >= 0; i--)
        expect_frame_clean(race_tree.t[i], "a table that two vCPUs pinned");
    expect_frame_clean(leaf, "what it mapped");
    for (int i = 0; i < 4; i++)
        page_free(race_tree.t[i]);
    page_free(leaf);
}
MICRO_SMP_TEST(smp_pin_race, "smp-pin-race", PLATFORM_PV);

/* What one vCPU's GDT is in, another cannot write, map writable or make a table of. */
static uint64_t *gdt_page;

static void take_gdt(unsigned vcpu)
{
    xen_pfn_t frame = mfn_of(gdt_page);

    (void)vcpu;
    ap_rc = hc_set_gdt(&frame, 512);
}

static void drop_gdt(unsigned vcpu)
{
    (void)vcpu;
    ap_rc = hc_set_gdt(NULL, 0);
}

static void smp_gdt_in_use(void)
{
    if (!start_ap())
        return;
    gdt_page = page_alloc();
    EXPECT_RC(page_readonly(gdt_page), 0);
    ask(take_gdt);
    EXPECT(ap_done() && ap_rc == 0, "set_gdt = %ld", ap_rc);
    EXPECT(page_writable(gdt_page) < 0, "a page with another's descriptors became writable");
    EXPECT(pin(1, gdt_page) < 0, "a page with another's descriptors became a table");
    EXPECT(hc_update_va_mapping(window_va(0), ENTRY_OF(gdt_page, PTE_RW), UVMF_INVLPG) < 0, "and was mapped writable");
    EXPECT(hc_update_descriptor(maddr_of(&gdt_page[4]), 0x0000890000000067ul) < 0, "a TSS in another's GDT");
    EXPECT_RC(hc_update_descriptor(maddr_of(&gdt_page[4]), 0x00affb000000fffful), 0);
    ask(drop_gdt);
    EXPECT(ap_done() && ap_rc == 0, "set_gdt = %ld", ap_rc);
    expect_frame_clean(gdt_page, "the page of the other's GDT");
    page_free(gdt_page);
}
MICRO_SMP_TEST(smp_gdt_in_use, "smp-gdt-in-use", PLATFORM_PV);

/* A root that another vCPU has loaded stays a page table when it is unpinned. */
static uint64_t *other_l4;

static void load_other(unsigned vcpu)
{
    (void)vcpu;
    ap_rc = hc_mmuext(MMUEXT_NEW_BASEPTR, mfn_of(other_l4), 0);
}

static void load_own(unsigned vcpu)
{
    (void)vcpu;
    ap_rc = hc_mmuext(MMUEXT_NEW_BASEPTR, mfn_of(kernel_l4), 0);
}

static void smp_root_in_use(void)
{
    if (!start_ap())
        return;
    other_l4 = page_alloc();
    for (unsigned i = 0; i < 512; i++)
        other_l4[i] = i >= 256 && i < 272 ? 0 : kernel_l4[i];
    EXPECT_RC(page_readonly(other_l4), 0);
    EXPECT_RC(pin(4, other_l4), 0);
    ask(load_other);
    EXPECT(ap_done() && ap_rc == 0, "new_baseptr = %ld", ap_rc);
    EXPECT_RC(unpin(other_l4), 0);
    EXPECT(page_writable(other_l4) < 0, "the root that another uses became writable");
    EXPECT(pin(1, other_l4) < 0, "it became an L1");
    EXPECT_RC(hc_mmu_update1(maddr_of(&other_l4[300]), 0), 0);
    EXPECT(hc_mmu_update1(maddr_of(&other_l4[260]), 0) < 0, "a slot of the hypervisor's was cleared");
    ask(load_own);
    EXPECT(ap_done() && ap_rc == 0, "new_baseptr = %ld", ap_rc);
    expect_frame_clean(other_l4, "the root that the other had");
    page_free(other_l4);
}
MICRO_SMP_TEST(smp_root_in_use, "smp-root-in-use", PLATFORM_PV);

/* One page, mapped for both: when it has been made read-only and flushed for all, the other's writes do not reach it. */
static void write_on(unsigned vcpu)
{
    volatile uint64_t *p = (volatile uint64_t *)window_va(vcpu);

    while (!stop) {
        ++*p;
        if (!(*p & 63))
            give_way();
    }
}

static void smp_flush(void)
{
    uint64_t *a, *b;
    struct mmuext_op op = {.cmd = MMUEXT_INVLPG_ALL, .arg1.linear_addr = window_va(1)};

    if (!start_ap())
        return;
    a = page_alloc();
    b = page_alloc();
    EXPECT_RC(hc_update_va_mapping(window_va(1), ENTRY_OF(a, PTE_RW), UVMF_NONE), 0);
    stop = false;
    ask(write_on);
    for (unsigned n = 0; n < ROUNDS; n++) {
        uint64_t *from = n & 1 ? b : a, *to = n & 1 ? a : b, seen;

        SOON(*(volatile uint64_t *)from > n); /* it writes where it is to write */
        EXPECT_RC(hc_update_va_mapping(window_va(1), ENTRY_OF(to, PTE_RW), n & 2 ? UVMF_INVLPG | UVMF_ALL : UVMF_NONE), 0);
        if (!(n & 2))
            EXPECT_RC(hc_mmuext_op(&op, 1, NULL, DOMID_SELF), 0);
        seen = *(volatile uint64_t *)from;
        give_way();
        for (volatile unsigned i = 0; i < 2000; i++)
            ;
        EXPECT(*(volatile uint64_t *)from == seen, "round %u: a write went to the page that was unmapped", n);
    }
    stop = true;
    EXPECT(ap_done(), "it does not end");
    EXPECT_RC(hc_update_va_mapping(window_va(1), 0, UVMF_INVLPG | UVMF_ALL), 0);
    page_free(a);
    page_free(b);
}
MICRO_SMP_TEST(smp_flush, "smp-flush", PLATFORM_PV);

/*
 * A page that vCPU 1 has in its TLB, writable, becomes a page table, and nobody asks for a flush but what the change itself must
 * bring: its next write there faults, or it would be an entry that nobody has checked. The entry is one that is refused whoever
 * writes it: a frame of the hypervisor's.
 */
static volatile uint64_t *volatile stale_page;
static volatile unsigned stale_step;

static void write_stale(unsigned vcpu)
{
    (void)vcpu;
    stale_page[1] = 1; /* it is in the TLB now */
    stale_step = 1;
    while (stale_step != 2)
        __asm__ volatile("pause"); /* no exit, and counted QEMU's turn ends: else each round takes one as long as the next timer is away */
    stale_page[0] = mfn_of(kernel_l4) << PAGE_SHIFT | PTE_RW;
    stale_step = 3;
}

static void smp_retype(void)
{
    unsigned before = ap_faults, rounds = 0;

    if (!start_ap())
        return;
    for (; rounds < ROUNDS && !test_failed(); rounds++) {
        uint64_t *page = page_alloc();
        long unmapped, pinned;

        stale_page = page;
        stale_step = 0;
        ask(write_stale);
        REQUIRE(SOON(stale_step == 1), "vCPU 1 does not write");
        *(volatile uint64_t *)&page[1] = 0;
        unmapped = hc_update_va_mapping(PTR(page), mfn_of(page) << PAGE_SHIFT | PTE_RO, 0); /* no flush */
        pinned = pin(1, page);
        EXPECT(unmapped == 0 && pinned == 0, "round %u: it cannot become a table (%ld, %ld)", rounds, unmapped, pinned);
        stale_step = 2;
        EXPECT(SOON(!ap[1].fn), "vCPU 1 does not come back");
        EXPECT(page[0] == 0, "round %u: an entry that nobody has checked: %lx", rounds, page[0]);
        EXPECT(ap_faults == before + rounds + 1, "round %u: %u faults", rounds, ap_faults - before);
        EXPECT_RC(unpin(page), 0);
        EXPECT_RC(page_writable(page), 0);
        page_free(page);
    }
    test_note("%u rounds", rounds);
}
MICRO_SMP_TEST(smp_retype, "smp-retype", PLATFORM_PV);

/* ---- PVH: the local APIC ---- */

#define APIC_PAGE 0xfee00000ul
#define ICR       0x300
#define ICR_HIGH  0x310
#define SVR       0xf0
#define EOI       0xb0
#define VECTOR    0x51

static volatile uint32_t *apic(unsigned reg)
{
    return (volatile uint32_t *)((char *)phys_ptr(APIC_PAGE) + reg);
}

static void send(uint32_t apic_id, uint32_t icr)
{
    *apic(ICR_HIGH) = apic_id << 24;
    *apic(ICR) = icr;
}

static uint32_t apic_id_of(unsigned vcpu)
{
    return vcpu * 2; /* as the MADT of these domains says */
}

static volatile unsigned taken;

static void take(unsigned vector)
{
    taken += vector == VECTOR;
    *apic(EOI) = 0;
}

static void send_ipis(unsigned vcpu)
{
    (void)vcpu;
    *apic(SVR) = 0x1ff;
    send(apic_id_of(0), VECTOR | 0x4000);
    while (taken < 1 && !stop)
        give_way();
    send(0, VECTOR | 0xc4000); /* all but itself */
    while (taken < 2 && !stop)
        give_way();
    send(0xff, VECTOR | 0x4000); /* broadcast: itself too */
    while (taken < 3 && !stop)
        give_way();
    send(apic_id_of(0), VECTOR | 0x4100); /* lowest priority */
}

static void smp_apic_ipi(void)
{
    if (!start_ap())
        return;
    *apic(SVR) = 0x1ff;
    taken = 0;
    stop = false;
    irq_hook = take;
    __asm__ volatile("sti" ::: "memory");
    ask(send_ipis);
    EXPECT(SOON(taken == 4), "%u of 4 interrupts", taken);
    stop = true;
    EXPECT(ap_done(), "the other does not end");
    __asm__ volatile("cli" ::: "memory");
    irq_hook = NULL;
    EXPECT(taken == 4, "%u interrupts", taken);
    *apic(SVR) = 0xff;
}
MICRO_SMP_TEST(smp_apic_ipi, "smp-apic-ipi", PLATFORM_PVH);

/*
 * STARTUP's code at a page below 1 MiB. What it leaves at 0x100: how often it began, the machine status word, CS, flags; then it
 * halts for good, or spins or halts with interrupts on, or spins with them off.
 */
#define INIT    0x4500
#define STARTUP 0x4600 /* and the page's number */
enum then { HALT_FOR_GOOD, SPIN, HALT, SPIN_DEAF };

struct left {
    uint16_t count, msw, cs, flags;
};

static volatile struct left *put_code(unsigned number, enum then then)
{
    static const uint8_t begin[] = {0x2e, 0x0f, 0x01, 0x26, 0x02, 0x01, /* smsw %cs:0x102 */
                                    0x2e, 0x8c, 0x0e, 0x04, 0x01,       /* mov %cs, %cs:0x104 */
                                    0xbc, 0x00, 0x02, 0x0e, 0x17,       /* mov $0x200, %sp; push %cs; pop %ss */
                                    0xbc, 0x00, 0x02, 0x9c,             /* mov $0x200, %sp; pushf */
                                    0x2e, 0x8f, 0x06, 0x06, 0x01,       /* pop %cs:0x106 */
                                    0x2e, 0xf0, 0xff, 0x06, 0x00, 0x01, /* lock incw %cs:0x100 */};
    static const uint8_t end[][4] = {{0xfa, 0xf4, 0xeb, 0xfc}, {0xfb, 0xeb, 0xfe}, {0xfb, 0xf4, 0xeb, 0xfd}, {0xfa, 0xeb, 0xfe}};
    uint8_t *page = phys_ptr((uint64_t)number << PAGE_SHIFT);

    memset(page, 0, PAGE_SIZE);
    memcpy(page, begin, sizeof(begin));
    memcpy(page + sizeof(begin), end[then], sizeof(end[then]));
    return (volatile struct left *)(page + 0x100);
}

static bool is_up(unsigned vcpu)
{
    return hc_vcpu_op(VCPUOP_is_up, vcpu, NULL) == 1;
}

static void wait_a_while(void)
{
    for (unsigned i = 0; i < 200; i++)
        give_way_to_all();
}

/* vCPU n begins at the page as after INIT: in real mode, whatever it did before. */
static void expect_begins(unsigned n, unsigned number, enum then then, const char *from)
{
    volatile struct left *left = put_code(number, then);

    send(apic_id_of(n), INIT);
    EXPECT(SOON(!is_up(n)), "%s: INIT did not stop it", from);
    send(apic_id_of(n), STARTUP | number);
    EXPECT(SOON(left->count == 1), "%s: it began %u times", from, left->count);
    EXPECT(!(left->msw & 1) && left->cs == number << 8 && !(left->flags & 0x200), "%s: msw %x cs %x flags %x", from, left->msw, left->cs,
           left->flags);
}

static void init_itself(unsigned vcpu)
{
    send(apic_id_of(vcpu), INIT);
    ap_rc = 1;
}

/* From 64-bit code, by another and by itself, from real mode, from a halt, from INIT. Behind the others: vCPU 1 loses what it ran. */
static void smp_init(void)
{
    volatile struct left *eight, *nine;
    unsigned before;

    if (!start_ap())
        return;
    send(apic_id_of(1), INIT);
    EXPECT(SOON(!is_up(1)), "INIT did not stop it");
    before = ap[1].alive;
    wait_a_while();
    EXPECT(ap[1].alive == before, "it runs on after INIT");
    expect_begins(1, 8, SPIN, "64-bit code");

    /* To one that runs STARTUP is nothing; after INIT the first counts, and the second finds it running. */
    nine = put_code(9, SPIN);
    send(apic_id_of(1), STARTUP | 9);
    wait_a_while();
    EXPECT(nine->count == 0, "STARTUP moved one that ran");
    expect_begins(1, 8, HALT, "a loop in real mode");
    eight = put_code(8, SPIN);
    send(apic_id_of(1), INIT);
    send(apic_id_of(1), INIT);
    send(apic_id_of(1), STARTUP | 8);
    EXPECT(SOON(eight->count == 1), "two INITs: it began %u times", eight->count);
    send(apic_id_of(1), STARTUP | 9);
    wait_a_while();
    EXPECT(eight->count == 1 && nine->count == 0, "it began %u and %u times", eight->count, nine->count);

    /* Between INIT and STARTUP nothing reaches it. */
    expect_begins(1, 8, HALT, "a loop");
    send(apic_id_of(1), INIT);
    EXPECT(SOON(!is_up(1)), "INIT did not stop a halted one");
    send(apic_id_of(1), VECTOR | 0x4000);
    send(apic_id_of(1), 0x4400); /* NMI */
    wait_a_while();
    EXPECT(!is_up(1), "an interrupt started it");
    expect_begins(1, 9, HALT_FOR_GOOD, "INIT");
}
MICRO_SMP_TEST(smp_init, "smp-init", PLATFORM_PVH);

/* One that takes itself down by INIT, in 64-bit code: vCPU 3. */
static void smp_init_self(void)
{
    REQUIRE(!is_up(3), "there is no vCPU 3 that is down");
    EXPECT_RC(initialise(3), 0);
    EXPECT_RC(hc_vcpu_op(VCPUOP_up, 3, NULL), 0);
    EXPECT(SOON(ap[3].alive), "it does not run");
    ap_rc = 0;
    ap[3].fn = init_itself;
    EXPECT(SOON(!is_up(3)), "it did not stop");
    EXPECT(ap_rc == 0, "it went on behind its own INIT");
    expect_begins(3, 8, HALT_FOR_GOOD, "its own INIT");
}
MICRO_SMP_TEST(smp_init_self, "smp-init-self", PLATFORM_PVH);

/* One that spins with interrupts off for ever: INIT asks for none. */
static void smp_init_deaf(void)
{
    if (cpuid_bare(0, 0).b == 0x756e6547) { /* Genu */
        test_skip("Bochs interrupts no VMX guest whose IF stays clear");
        return;
    }
    expect_begins(3, 8, SPIN_DEAF, "whatever it did");
    wait_a_while();
    expect_begins(3, 9, SPIN_DEAF, "a loop with interrupts off");
    expect_begins(3, 8, HALT_FOR_GOOD, "another");
}
MICRO_SMP_TEST(smp_init_deaf, "smp-init-deaf", PLATFORM_PVH);

/* As fast as they can be sent, with NMIs and interrupts in between: whatever it was at, the last INIT and STARTUP count. */
static void smp_init_storm(void)
{
    static const uint16_t at[2] = {0xc000 >> 4, 0};
    static const uint8_t iret[] = {0xcf};
    uint16_t *vectors = phys_ptr(0);

    for (unsigned i = 0; i < 256; i++) { /* segment:offset of an IRET */
        vectors[2 * i] = at[1];
        vectors[2 * i + 1] = at[0];
    }
    memcpy(phys_ptr(0xc000), iret, sizeof(iret));
    put_code(8, HALT);
    put_code(9, SPIN);
    for (unsigned i = 0; i < 5 * ROUNDS; i++) {
        static const uint32_t sent[] = {INIT, STARTUP | 8, 0x4400, STARTUP | 9, VECTOR | 0x4000, INIT, STARTUP | 9, 0x4400, 0x4400};

        send(apic_id_of(3), sent[i % 9]);
        if (i % 7 == 0)
            give_way();
    }
    expect_begins(3, 8, HALT_FOR_GOOD, "a storm");
}
MICRO_SMP_TEST(smp_init_storm, "smp-init-storm", PLATFORM_PVH);

/* The last test, for it takes away what the others run on. */
static void smp_startup(void)
{
    volatile struct left *left = put_code(8, HALT_FOR_GOOD);

    REQUIRE(!is_up(3), "there is no vCPU 3 that is down");
    send(apic_id_of(3), INIT);
    give_way();
    EXPECT(left->count == 0, "INIT alone started it");
    send(apic_id_of(3), STARTUP | 8);
    EXPECT(SOON(left->count == 1), "it did not start: %u", left->count);
    EXPECT(SOON(!is_up(3)), "a halt with interrupts off left it up");
    send(0, 0xc0000 | INIT); /* all but this one */
    send(0, 0xc0000 | STARTUP | 8);
    EXPECT(SOON(left->count >= 2), "it did not start again: %u", left->count);
    SOON(!is_up(3));
    send(apic_id_of(0), STARTUP | 8); /* to this one, which runs: nothing */
    send(0x7f, INIT);                 /* to nobody */
}
MICRO_SMP_TEST(smp_startup, "smp-startup", PLATFORM_PVH);

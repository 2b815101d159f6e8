/* SPDX-License-Identifier: MIT */
/*
 * Attacks by processor state: descriptors, iret, flags, debug registers, bases and callbacks. Where
 * the contract is that the domain ends, the test is a crash test (attack_crash.c).
 */
#include "evtchn.h"
#include "frames.h"

#define GATE_TARGET_HV 0xe008 /* a selector of the hypervisor's part of the GDT */

extern char u_syscall[], u_regs[], u_in[], u_load_gs[], u_load_fs[], u_ud2[];

/* ---- descriptors ---- */

struct bad_descriptor {
    const char *what;
    uint64_t value;
};

static const struct bad_descriptor system_descriptors[] = {
    {"TSS", 0x0000890000000067},       {"busy TSS", 0x00008b0000000067},
    {"LDT", 0x000082000000ffff},       {"interrupt gate", 0x00008e00e0080000},
    {"trap gate", 0x00008f00e0080000}, {"16-bit call gate", 0x0000e400e0080000},
    {"task gate", 0x0000e500e0080000},
};

/* Code and data of ring 0 (or 1, 2): refused, or lowered to ring 3 before they are in force. */
static const struct bad_descriptor ring0_descriptors[] = {
    {"64-bit code, DPL 0", 0x00af9b000000ffff}, {"conforming code, DPL 0", 0x00af9f000000ffff},
    {"data, DPL 0", 0x00cf93000000ffff},        {"32-bit code, DPL 1", 0x00cfbb000000ffff},
    {"data, DPL 2", 0x00cfd3000000ffff},
};

#define COUNT(a)   (sizeof(a) / sizeof((a)[0]))
#define PRESENT(d) ((d) >> 47 & 1)
#define DPL_OF(d)  ((d) >> 45 & 3)

static void gdt_system(void)
{
    for (unsigned i = 0; i < COUNT(system_descriptors); i++) {
        uint64_t *gdt = page_alloc(), good;
        xen_pfn_t frame = mfn_of(gdt);
        long rc;

        gdt[8] = system_descriptors[i].value;
        EXPECT_RC(page_readonly(gdt), 0);
        rc = hc_set_gdt(&frame, 512);
        EXPECT(rc == -XEN_EINVAL, "%s in a new GDT: %ld", system_descriptors[i].what, rc);
        expect_frame_clean(gdt, system_descriptors[i].what);

        EXPECT_RC(page_readonly(gdt), 0);
        EXPECT_RC(hc_set_gdt(&frame, 512), 0);
        good = gdt[8];
        rc = hc_update_descriptor(maddr_of(&gdt[8]), system_descriptors[i].value);
        EXPECT(rc == -XEN_EINVAL, "%s by update: %ld", system_descriptors[i].what, rc);
        EXPECT(((volatile uint64_t *)gdt)[8] == good, "%s: the descriptor changed",
               system_descriptors[i].what);
        EXPECT_RC(hc_set_gdt(NULL, 0), 0);
        expect_frame_clean(gdt, system_descriptors[i].what);
        page_free(gdt);
    }
}
MICRO_TEST(gdt_system, "attack-gdt-system", PLATFORM_PV);

static void gdt_ring0(void)
{
    for (unsigned i = 0; i < COUNT(ring0_descriptors); i++) {
        volatile uint64_t *gdt = page_alloc();
        xen_pfn_t frame = mfn_of((void *)gdt);

        gdt[8] = ring0_descriptors[i].value;
        EXPECT_RC(page_readonly((void *)gdt), 0);
        if (hc_set_gdt(&frame, 512) == 0) {
            EXPECT(!PRESENT(gdt[8]) || DPL_OF(gdt[8]) == 3, "%s is in force: %lx",
                   ring0_descriptors[i].what, gdt[8]);
            hc_update_descriptor(maddr_of((void *)&gdt[9]), ring0_descriptors[i].value);
            EXPECT(!PRESENT(gdt[9]) || DPL_OF(gdt[9]) == 3, "%s is in force by update: %lx",
                   ring0_descriptors[i].what, gdt[9]);
            EXPECT_RC(hc_set_gdt(NULL, 0), 0);
        }
        expect_frame_clean((void *)gdt, ring0_descriptors[i].what);
        page_free((void *)gdt);
    }
}
MICRO_TEST(gdt_ring0, "attack-gdt-ring0", PLATFORM_PV);

/* Call through selector 0x43 (descriptor 8). */
static void far_call(void *arg)
{
    static struct {
        uint64_t offset;
        uint16_t selector;
    } __attribute__((packed)) p = {0, 8 * 8 + 3};

    __asm__ volatile("rex.W lcall *%0" ::"m"(p) : "memory");
}

/* A call gate to the hypervisor's code: refused, or made harmless; using it must not reach ring 0.
 */
static void gdt_call_gate(void)
{
    volatile uint64_t *gdt = page_alloc();
    xen_pfn_t frame = mfn_of((void *)gdt);
    struct trap_caught c;
    long rc;

    gdt[8] = 0x0000ec0000000000 | (uint64_t)GATE_TARGET_HV << 16; /* 64-bit call gate, DPL 3 */
    gdt[9] = 0xffff82d0;
    EXPECT_RC(page_readonly((void *)gdt), 0);
    rc = hc_set_gdt(&frame, 512);
    if (rc == 0) {
        int v = trap_try(far_call, NULL, &c);

        EXPECT(v == VEC_GP || v == VEC_NP || v == VEC_PF, "the call gave vector %d", v);
        EXPECT_RC(hc_set_gdt(NULL, 0), 0);
    }
    test_note("set_gdt: %ld", rc);
    expect_frame_clean((void *)gdt, "GDT");
    page_free((void *)gdt);
}
MICRO_TEST(gdt_call_gate, "attack-gdt-call-gate", PLATFORM_PV);

static void load_from_ldt(void *arg)
{
    __asm__ volatile("mov %0, %%es" ::"r"(8 * 8 + 7));
    __asm__ volatile("mov %0, %%es" ::"r"(0));
}

/* An LDT is looked at when it is set or when it is used; either way a bad one does not come into
 * force. */
static void ldt_system(void)
{
    for (unsigned i = 0; i < COUNT(system_descriptors); i++) {
        uint64_t *ldt = page_alloc();
        struct trap_caught c;

        ldt[8] = system_descriptors[i].value;
        EXPECT_RC(page_readonly(ldt), 0);
        if (hc_mmuext(MMUEXT_SET_LDT, PTR(ldt), 512) == 0)
            EXPECT(trap_try(load_from_ldt, NULL, &c) != -1, "%s was used",
                   system_descriptors[i].what);
        EXPECT_RC(hc_mmuext(MMUEXT_SET_LDT, 0, 0), 0);
        expect_frame_clean(ldt, system_descriptors[i].what);
        page_free(ldt);
    }
}
MICRO_TEST(ldt_system, "attack-ldt-system", PLATFORM_PV);

static void ldt_address(void)
{
    struct trap_caught c;

    EXPECT_RC(hc_mmuext(MMUEXT_SET_LDT, HV_START, 512), -XEN_EINVAL);
    EXPECT_RC(hc_mmuext(MMUEXT_SET_LDT, 0xffff87fffffff000, 512), -XEN_EINVAL);
    EXPECT_RC(hc_mmuext(MMUEXT_SET_LDT, 0x8000000000000000, 512), -XEN_EINVAL);
    /* One that wraps may be refused when it is set or when it is used. */
    if (hc_mmuext(MMUEXT_SET_LDT, 0xfffffffffffff000, 8192) == 0)
        EXPECT(trap_try(load_from_ldt, NULL, &c) != -1, "a wrapping LDT was used");
    /* A writable page cannot be the LDT in force: using it faults. */
    if (hc_mmuext(MMUEXT_SET_LDT, PTR(user_data), 512) == 0)
        EXPECT(trap_try(load_from_ldt, NULL, &c) != -1, "a writable LDT was used");
    EXPECT_RC(hc_mmuext(MMUEXT_SET_LDT, 0, 0), 0);
}
MICRO_TEST(ldt_address, "attack-ldt-address", PLATFORM_PV);

/* ---- iret ---- */

static struct iret_context user_context(const void *piece)
{
    return (struct iret_context){
        .rip = user_addr(piece),
        .rsp = user_addr(u_syscall) + 4096,
        .rflags = X86_IF | 2,
        .cs = user_cs,
        .ss = user_ss,
    };
}

/* The domain lives and can still enter user mode properly. */
static void expect_user_works(void)
{
    struct user_regs r = user_entry(u_syscall);
    struct trap_caught c;

    EXPECT(user_run(&r, &c) == VEC_SYSCALL, "user mode does not work any more");
}

static void iret_selectors(void)
{
    static const uint16_t cs[] = {0xe008, 0xe00b, 0xe010, 0x08,   0x0b, 0x10,
                                  0,      3,      0x33,   0xfffb, 0x7};

    for (unsigned i = 0; i < COUNT(cs); i++) {
        struct iret_context x = user_context(u_regs);
        struct trap_caught c;
        int v;

        x.cs = cs[i] | 3u;
        v = user_run_iret(&x, &c);
        EXPECT(v == VEC_FAILSAFE || v == VEC_GP || v == VEC_NP, "cs %x: vector %d", cs[i] | 3, v);
        x = user_context(u_regs);
        x.ss = cs[i];
        v = user_run_iret(&x, &c);
        /* Some are usable after all; the stack segment must be one of ring 3 then. */
        EXPECT(v != VEC_SYSCALL || (c.frame.rbx & 3) == 3, "ss %x: user mode ran with ss %lx",
               cs[i], c.frame.rbx);
    }
    expect_user_works();
}
MICRO_TEST(iret_selectors, "attack-iret-selectors", PLATFORM_PV);

static void iret_flags(void)
{
    static const struct {
        const char *what;
        uint64_t set;
    } f[] = {
        {"IOPL", X86_IOPL},           {"VM", X86_VM},    {"NT", X86_NT},
        {"VIF, VIP", 3ul << 19},      {"RF", 1ul << 16}, {"all", 0xffffffffffffffff & ~X86_TF},
        {"high", 0xffffffff00000000},
    };

    for (unsigned i = 0; i < COUNT(f); i++) {
        for (unsigned form = 0; form < 2; form++) {
            struct iret_context x = user_context(u_regs);
            struct trap_caught c;
            int v;

            x.rflags |= f[i].set;
            x.flags = form ? VGCF_in_syscall : 0;
            v = user_run_iret(&x, &c);
            EXPECT(v == VEC_SYSCALL || v == VEC_FAILSAFE || v == VEC_GP, "%s: vector %d", f[i].what,
                   v);
            if (v == VEC_SYSCALL) {
                EXPECT(!(c.frame.rdx & (X86_IOPL | X86_VM)), "%s: user rflags %lx", f[i].what,
                       c.frame.rdx);
                EXPECT(c.frame.rdx & X86_IF, "%s: user mode ran with interrupts off", f[i].what);
            }
        }
    }
    expect_user_works();
}
MICRO_TEST(iret_flags, "attack-iret-flags", PLATFORM_PV);

/* Interrupts stay on in user mode whatever the frame says: the hypervisor's timer must work. */
static void iret_interrupts_off(void)
{
    struct iret_context x = user_context(u_regs);
    struct trap_caught c;

    x.rflags = 2;
    EXPECT_RC(user_run_iret(&x, &c), VEC_SYSCALL);
    EXPECT(c.frame.rdx & X86_IF, "user rflags %lx", c.frame.rdx);
}
MICRO_TEST(iret_interrupts_off, "attack-iret-interrupts-off", PLATFORM_PV);

/* With IOPL asked for by the frame, ports must still be closed to user mode. */
static void iret_iopl_ports(void)
{
    struct iret_context x = user_context(u_in);
    struct trap_caught c;

    x.rflags |= X86_IOPL;
    EXPECT_RC(user_run_iret(&x, &c), VEC_GP);
}
MICRO_TEST(iret_iopl_ports, "attack-iret-iopl-ports", PLATFORM_PV);

static void iret_rip(void)
{
    static const uint64_t rip[] = {0x8000000000000000, 0x0000800000000000, 0xffff7fffffffffff,
                                   0xffff800000000000, 0xffff82d080200000, 0xffff87ffffffffff,
                                   0x00007ffffffffffe};

    for (unsigned i = 0; i < COUNT(rip); i++) {
        for (unsigned form = 0; form < 2; form++) {
            struct iret_context x = user_context(u_regs);
            struct trap_caught c;
            int v;

            x.rip = rip[i];
            x.flags = form ? VGCF_in_syscall : 0;
            v = user_run_iret(&x, &c);
            EXPECT(v == VEC_FAILSAFE || v == VEC_GP || v == VEC_PF, "rip %lx: vector %d", rip[i],
                   v);
        }
    }
    expect_user_works();
}
MICRO_TEST(iret_rip, "attack-iret-rip", PLATFORM_PV);

static void iret_rsp(void)
{
    static const uint64_t rsp[] = {
        0, 8, 0x8000000000000000, 0xffff800000000000, 0xffff87fffffffff8, ~0ul};

    for (unsigned i = 0; i < COUNT(rsp); i++) {
        struct iret_context x = user_context(u_syscall);
        struct trap_caught c;

        x.rsp = rsp[i];
        EXPECT(user_run_iret(&x, &c) == VEC_SYSCALL, "rsp %lx: vector %lu", rsp[i], c.frame.vector);
        EXPECT(c.frame.rsp == rsp[i], "rsp %lx came back as %lx", rsp[i], c.frame.rsp);
    }
}
MICRO_TEST(iret_rsp, "attack-iret-rsp", PLATFORM_PV);

/* A SYSCALL whose return address is the first non-canonical one: SYSRET to it would fault in ring
 * 0. */
static void syscall_at_the_edge(void)
{
    struct iret_context x = user_context(u_syscall);
    struct trap_caught c;

    x.rip = 0x0000800000000000;
    x.rcx = x.rip;
    x.r11 = x.rflags;
    x.flags = VGCF_in_syscall;
    EXPECT(user_run_iret(&x, &c) != VEC_SYSCALL, "user mode ran at a non-canonical address");
    expect_user_works();
}
MICRO_TEST(syscall_at_the_edge, "attack-sysret-edge", PLATFORM_PV);

/* ---- code of 16 and 32 bits ---- */

#define SEL32   (8 * 8 + 3) /* descriptors of the GDT below */
#define SEL16   (9 * 8 + 3)
#define SELDATA (10 * 8 + 3)

/* What such code may try: each comes back to the kernel by one of the vectors, from where it was (SYSCALL: in the ABI's own
 * segment of 32 bits). */
static const struct short_code {
    const char *what;
    uint8_t code[8];
    int vector, or_else; /* or_else: on processors where the instruction faults */
    unsigned rip;        /* where it is left, from its start */
} short_codes[] = {
    {"int3", {0xcc}, VEC_BP, VEC_BP, 1},
    {"ud2", {0x0f, 0x0b}, VEC_UD, VEC_UD, 0},
    {"hlt", {0xf4}, VEC_GP, VEC_GP, 0},
    {"in", {0xe4, 0x80}, VEC_GP, VEC_GP, 0},
    {"syscall", {0x0f, 0x05}, VEC_UD, VEC_GP, 0},
    {"sysenter", {0x0f, 0x34}, VEC_GP, VEC_UD, 0},
    {"lcall to the hypervisor", {0x9a, 0, 0, 0, 0, 0x08, 0xe0}, VEC_GP, VEC_GP, 0},
    {"a frame on a stack that is not there", {0xbc, 0, 0, 0, 0x10, 0x50}, VEC_PF, VEC_PF, 5},
};

/* The first page of user mode's addresses, where such code can reach itself. */
static void run_short_code(const uint8_t *page, uint16_t selector, const char *bits)
{
    for (unsigned i = 0; i < COUNT(short_codes); i++) {
        const struct short_code *s = &short_codes[i];
        struct user_regs r = user_entry(u_syscall);
        struct trap_caught c;
        int v;

        if (selector == SEL16 && s->code[0] != 0xcc && s->code[0] != 0x0f && s->code[0] != 0xf4)
            continue;
        memcpy((void *)page, s->code, sizeof(s->code));
        r.cs = selector;
        r.ss = SELDATA;
        r.rip = 0;
        r.rsp = 0x800;
        v = user_run(&r, &c);
        EXPECT(v == s->vector || v == s->or_else, "%s of %s bits: vector %d", s->what, bits, v);
        EXPECT(c.frame.rip == s->rip && (c.frame.cs == selector || (s->code[1] == 5 && c.frame.cs == FLAT_USER_CS32)), "%s of %s bits: left at %lx:%lx", s->what,
               bits, c.frame.cs, c.frame.rip);
    }
}

static void short_segments(void)
{
    uint8_t *page = page_alloc();
    uint64_t *gdt = page_alloc();
    struct table_tree t = tree_build(ENTRY_OF(page, PTE_RO | PTE_U));
    xen_pfn_t frame = mfn_of(gdt);

    REQUIRE(!user_l4[0], "user mode has something at address 0");
    gdt[8] = 0x00cffb000000ffff;
    gdt[9] = 0x008ffb000000ffff;
    gdt[10] = 0x00cff3000000ffff;
    EXPECT_RC(page_readonly(gdt), 0);
    EXPECT_RC(hc_set_gdt(&frame, 512), 0);
    EXPECT_RC(hc_mmu_update1(maddr_of(&user_l4[0]), ENTRY_OF(t.t[2], PTE_TABLE)), 0);
    run_short_code(page, SEL32, "32");
    run_short_code(page, SEL16, "16");
    expect_user_works();
    EXPECT_RC(hc_mmu_update1(maddr_of(&user_l4[0]), 0), 0);
    EXPECT_RC(hc_set_gdt(NULL, 0), 0);
    expect_frame_clean(gdt, "GDT");
    tree_free(&t);
    page_free(gdt);
    page_free(page);
}
MICRO_TEST(short_segments, "attack-code-16-32", PLATFORM_PV);

/* ---- debug registers ---- */

static void mov_dr0(void *arg)
{
    __asm__ volatile("mov %0, %%dr0" ::"r"(arg));
}

static void mov_dr7(void *arg)
{
    __asm__ volatile("mov %0, %%dr7" ::"r"(arg));
}

static void debug_registers(void)
{
    static const uint64_t bad[] = {HV_START, 0xffff82d080200000, HV_END - 1};
    struct trap_caught c;

    EXPECT_RC(hc_set_debugreg(0, 0x1000), 0);
    for (unsigned i = 0; i < COUNT(bad); i++) {
        for (unsigned r = 0; r < 4; r++)
            EXPECT(hc_set_debugreg(r, bad[i]) == -XEN_EPERM, "DR%u = %lx: %ld", r, bad[i],
                   hc_set_debugreg(r, bad[i]));
        EXPECT(trap_try(mov_dr0, (void *)bad[i], &c) == VEC_GP, "mov of %lx to DR0: no #GP",
               bad[i]);
    }
    EXPECT_RC(hc_set_debugreg(0, 0x8000000000000000), -XEN_EPERM);
    EXPECT_RC(hc_get_debugreg(0), 0x1000);
    EXPECT(hc_set_debugreg(7, 1ul << 32) < 0, "bit 32 of DR7 was accepted");
    EXPECT_RC(trap_try(mov_dr7, (void *)(1ul << 32), &c), VEC_GP);
    EXPECT(hc_set_debugreg(7, 0x2400) != 0 || !(hc_get_debugreg(7) & 0x2000),
           "general detect is on");
    EXPECT_RC(hc_set_debugreg(7, 0x400), 0);
    EXPECT_RC(hc_set_debugreg(0, 0), 0);
}
MICRO_TEST(debug_registers, "attack-debugreg", PLATFORM_PV);

/* ---- bases, callbacks, stacks ---- */

static void segment_base(void)
{
    static const uint64_t bad[] = {0x8000000000000000, 0x0000800000000000, 0xffff7fffffffffff};

    for (unsigned i = 0; i < COUNT(bad); i++) {
        for (unsigned which = SEGBASE_FS; which <= SEGBASE_GS_KERNEL; which++)
            EXPECT(hc_set_segment_base(which, bad[i]) == -XEN_EINVAL, "base %u = %lx: %ld", which,
                   bad[i], hc_set_segment_base(which, bad[i]));
    }
    expect_user_works();
}
MICRO_TEST(segment_base, "attack-segment-base", PLATFORM_PV);

static void set_gs_selector(void *arg)
{
    hc_set_segment_base(SEGBASE_GS_USER_SEL, PTR(arg));
}

/* A selector that cannot be loaded is refused, or the null selector is taken; nobody faults. */
static void gs_selector(void)
{
    static const uint16_t bad[] = {0xe008, 0xe010, 0xfff8, 0x1234, 7, 0xe040, 0xe048};

    for (unsigned i = 0; i < COUNT(bad); i++) {
        struct user_regs r = user_entry(u_regs);
        struct trap_caught c;
        int v = trap_try(set_gs_selector, (void *)(uint64_t)bad[i], &c);

        EXPECT(v == -1, "selector %x: vector %d in the kernel", bad[i], v);
        v = user_run(&r, &c);
        EXPECT(v == VEC_SYSCALL, "selector %x: vector %d", bad[i], v);
        EXPECT((uint16_t)c.frame.rsi != (bad[i] & ~3u), "selector %x was loaded", bad[i]);
        EXPECT_RC(hc_set_segment_base(SEGBASE_GS_USER_SEL, 0), 0);
    }
}
MICRO_TEST(gs_selector, "attack-gs-selector", PLATFORM_PV);

static void callbacks(void)
{
    static const unsigned types[] = {CALLBACKTYPE_event, CALLBACKTYPE_failsafe,
                                     CALLBACKTYPE_syscall, CALLBACKTYPE_nmi};
    uint32_t port;
    static const uint64_t bad[] = {0x8000000000000000, 0x0000800000000000, 0xffff7fffffffffff};

    for (unsigned i = 0; i < COUNT(bad); i++) {
        for (unsigned t = 0; t < COUNT(types); t++)
            EXPECT(hc_callback_register(types[t], 0, bad[i]) == -XEN_EINVAL, "type %u at %lx: %ld",
                   types[t], bad[i], hc_callback_register(types[t], 0, bad[i]));
        /* This older call has no way to say which; it may leave the bad one out and succeed. */
        hc_set_callbacks(bad[i], bad[i], bad[i]);
    }
    expect_user_works();
    events_reset_log();
    port = port_ipi();
    EXPECT_RC(port_send(port), 0);
    events_unmask();
    events_mask();
    EXPECT(ev_count == 1, "%u events by the callback that was to be replaced", ev_count);
    EXPECT_RC(port_close(port), 0);
    EXPECT_RC(hc_callback_register(CALLBACKTYPE_event, 0, trap_stub(VEC_EVENT)), 0);
    EXPECT_RC(
        hc_callback_register(CALLBACKTYPE_failsafe, CALLBACKF_mask_events, trap_stub(VEC_FAILSAFE)),
        0);
    EXPECT_RC(
        hc_callback_register(CALLBACKTYPE_syscall, CALLBACKF_mask_events, trap_stub(VEC_SYSCALL)),
        0);
}
MICRO_TEST(callbacks, "attack-callbacks", PLATFORM_PV);

/* A callback within the hypervisor is refused, or runs in ring 3 there: a page fault of the guest's
 * own. */
static void callback_hypervisor(void)
{
    struct user_regs r = user_entry(u_syscall);
    struct trap_caught c;
    long rc = hc_callback_register(CALLBACKTYPE_syscall, 0, 0xffff82d080200000);

    if (rc == 0) {
        EXPECT_RC(user_run(&r, &c), VEC_PF);
        EXPECT(c.frame.rip == 0xffff82d080200000, "rip %lx", c.frame.rip);
    } else {
        EXPECT(rc == -XEN_EINVAL, "%ld", rc);
    }
    EXPECT_RC(
        hc_callback_register(CALLBACKTYPE_syscall, CALLBACKF_mask_events, trap_stub(VEC_SYSCALL)),
        0);
    expect_user_works();
    test_note("register: %ld", rc);
}
MICRO_TEST(callback_hypervisor, "attack-callback-hypervisor", PLATFORM_PV);

/*
 * The bad selector of a return reaches the guest kernel, and the domain lives: by the failsafe
 * callback, or as the #GP of the user context it was to enter (Xen 4.17).
 */
static void failsafe(void)
{
    struct iret_context x = user_context(u_syscall);
    struct trap_caught c;
    int v;

    x.cs = 0x33;
    v = user_run_iret(&x, &c);
    EXPECT(v == VEC_FAILSAFE || v == VEC_GP, "vector %d", v);
    EXPECT(v != VEC_FAILSAFE || c.masked, "the callback did not mask events as registered");
    EXPECT(v != VEC_GP || c.frame.rip == x.rip, "rip %lx", c.frame.rip);
    expect_user_works();
    test_note(v == VEC_GP ? "by #GP" : "by the failsafe callback");
}
MICRO_TEST(failsafe, "attack-bad-selector-on-return", PLATFORM_PV);

static void wrmsr_value(void *arg)
{
    uint64_t *a = arg;

    wrmsr((uint32_t)a[0], a[1]);
}

/* MSRs by which the processor would enter ring 0 elsewhere. Refused, or without effect. */
static void msrs(void)
{
    static const uint32_t msr[] = {0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084,
                                   0x174,      0x175,      0x176,      0x1d9};
    struct trap_caught c;

    for (unsigned i = 0; i < COUNT(msr); i++) {
        uint64_t a[2] = {msr[i], 0x1000};

        trap_try(wrmsr_value, a, &c);
        EXPECT(hc_xen_version(XENVER_version, NULL) == 0x40011, "MSR %x", msr[i]);
    }
    uint64_t efer[2] = {0xc0000080, 0};

    trap_try(wrmsr_value, efer, &c);
    EXPECT(rdmsr(0xc0000080) & 0x400, "EFER %lx", rdmsr(0xc0000080));
    expect_user_works();
}
MICRO_TEST(msrs, "attack-msrs", PLATFORM_PV);

/* SPDX-License-Identifier: MIT */
/*
 * Traps: each exception reaches the handler with the right vector, error code, address and return
 * point, from kernel and from user mode; software interrupts obey the table's levels; every form of
 * iret.
 */
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"

#define BOTH PLATFORM_ANY

extern char u_syscall[], u_int3[], u_int80[], u_int81[], u_int13[], u_ud2[], u_div0[], u_load[];
extern char u_store[], u_hlt[], u_cli[], u_in[], u_regs[];

/* Kernel-mode faults always look the same to the handler: code and stack selectors of the kernel.
 */
static void expect_kernel_frame(const struct trap_caught *c)
{
    EXPECT((c->frame.cs & 3) == 0, "cs %lx does not say kernel mode", c->frame.cs);
    EXPECT((c->frame.ss | 3) == (kernel_ss | 3u), "ss %lx", c->frame.ss);
}

static void do_int3(void *arg)
{
    __asm__ volatile("int3");
}

static void trap_breakpoint(void)
{
    struct trap_caught c;

    EXPECT_RC(trap_try(do_int3, NULL, &c), VEC_BP);
    expect_kernel_frame(&c);
    EXPECT(*(uint8_t *)(c.frame.rip - 1) == 0xcc, "rip %lx is not behind int3", c.frame.rip);
}
MICRO_TEST(trap_breakpoint, "trap-breakpoint", BOTH);

static void do_div0(void *arg)
{
    __asm__ volatile("xor %%ecx, %%ecx; xor %%edx, %%edx; div %%ecx" ::: "rax", "rcx", "rdx");
}

static void trap_divide(void)
{
    struct trap_caught c;

    EXPECT_RC(trap_try(do_div0, NULL, &c), VEC_DE);
    expect_kernel_frame(&c);
    EXPECT(*(uint8_t *)c.frame.rip == 0xf7, "rip %lx is not at div", c.frame.rip);
}
MICRO_TEST(trap_divide, "trap-divide", BOTH);

static void do_ud2(void *arg)
{
    __asm__ volatile("ud2");
}

static void trap_undefined(void)
{
    struct trap_caught c;

    EXPECT_RC(trap_try(do_ud2, NULL, &c), VEC_UD);
    expect_kernel_frame(&c);
    EXPECT(*(uint8_t *)c.frame.rip == 0x0f, "rip %lx is not at ud2", c.frame.rip);
}
MICRO_TEST(trap_undefined, "trap-undefined", BOTH);

static void do_load(void *arg)
{
    (void)*(volatile uint8_t *)arg;
}

static void do_store(void *arg)
{
    *(volatile uint8_t *)arg = 1;
}

static void do_jump(void *arg)
{
    ((void (*)(void))arg)();
}

static void trap_page_fault(void)
{
    uint64_t va = window_va(5), *page = page_alloc();
    struct trap_caught c;

    EXPECT_RC(trap_try(do_load, (void *)(va + 7), &c), VEC_PF);
    EXPECT(c.frame.error == 0 && c.cr2 == va + 7, "load: error %lx cr2 %lx", c.frame.error, c.cr2);
    EXPECT_RC(trap_try(do_store, (void *)(va + 9), &c), VEC_PF);
    EXPECT(c.frame.error == 2 && c.cr2 == va + 9, "store: error %lx cr2 %lx", c.frame.error, c.cr2);
    expect_kernel_frame(&c);

    EXPECT_RC(pte_write(va, mfn_of(page) << PAGE_SHIFT | PTE_RO | PTE_NX), 0);
    EXPECT_RC(trap_try(do_load, (void *)va, &c), -1);
    EXPECT_RC(trap_try(do_store, (void *)va, &c), VEC_PF);
    EXPECT(c.frame.error == 3 && c.cr2 == va, "store to ro: error %lx cr2 %lx", c.frame.error,
           c.cr2);
    EXPECT_RC(trap_try(do_jump, (void *)va, &c), VEC_PF);
    EXPECT(c.frame.error == 0x11 && c.cr2 == va && c.frame.rip == va,
           "fetch nx: error %lx cr2 %lx rip %lx", c.frame.error, c.cr2, c.frame.rip);
    EXPECT_RC(pte_write(va, 0), 0);
    page_free(page);
}
MICRO_TEST(trap_page_fault, "trap-page-fault", BOTH);

/* Addresses of the hypervisor are not mapped for the guest: a fault like any other, no crash. */
static void trap_page_fault_hypervisor(void)
{
    static const uint64_t vas[] = {0xffff804000000000, 0xffff82d080200000, 0xffff830000000000,
                                   0xffff87fffffffff8};
    struct trap_caught c;

    for (unsigned i = 0; i < sizeof(vas) / sizeof(*vas); i++) {
        int v = trap_try(do_store, (void *)vas[i], &c);

        EXPECT(v == VEC_PF && c.cr2 == vas[i], "store to %lx: vector %d cr2 %lx", vas[i], v, c.cr2);
    }
    EXPECT_RC(trap_try(do_store, machine_to_phys_mapping, &c), VEC_PF);
    EXPECT_RC(trap_try(do_load, machine_to_phys_mapping, &c), -1);
}
MICRO_TEST(trap_page_fault_hypervisor, "trap-page-fault-hypervisor", PLATFORM_PV);

static void trap_general_protection(void)
{
    struct trap_caught c;

    EXPECT_RC(trap_try(do_load, (void *)0x8000000000000000, &c), VEC_GP);
    EXPECT(c.frame.error == 0, "error %lx", c.frame.error);
    expect_kernel_frame(&c);
}
MICRO_TEST(trap_general_protection, "trap-general-protection", BOTH);

static void do_bad_ds(void *arg)
{
    __asm__ volatile("mov %0, %%es" ::"r"(0xfff8));
}

static void do_lgdt(void *arg)
{
    uint8_t image[10] = {0};

    __asm__ volatile("lgdt (%0)" ::"r"(image) : "memory");
}

static void do_ltr(void *arg)
{
    __asm__ volatile("ltr %w0" ::"r"(0xe040));
}

static void trap_gp_privileged(void)
{
    struct trap_caught c;

    EXPECT_RC(trap_try(do_lgdt, NULL, &c), VEC_GP);
    EXPECT(c.frame.error == 0, "lgdt: error %lx", c.frame.error);
    EXPECT_RC(trap_try(do_ltr, NULL, &c), VEC_GP);
    EXPECT_RC(trap_try(do_bad_ds, NULL, &c), VEC_GP);
    EXPECT(c.frame.error == 0xfff8, "es: error %lx", c.frame.error);
}
MICRO_TEST(trap_gp_privileged, "trap-gp-privileged", PLATFORM_PV);

static void do_fnop(void *arg)
{
    __asm__ volatile("fnop");
}

static void trap_device_not_available(void)
{
    struct trap_caught c;

    EXPECT_RC(hc_fpu_taskswitch(true), 0);
    EXPECT_RC(trap_try(do_fnop, NULL, &c), VEC_NM);
    EXPECT_RC(trap_try(do_fnop, NULL, &c), -1); /* delivery of #NM clears TS */
    EXPECT_RC(hc_fpu_taskswitch(true), 0);
    EXPECT_RC(hc_fpu_taskswitch(false), 0);
    EXPECT_RC(trap_try(do_fnop, NULL, &c), -1);
}
MICRO_TEST(trap_device_not_available, "trap-device-not-available", PLATFORM_PV);

/* ---- user mode ---- */

static int run_piece(const void *piece, uint64_t rdi, uint64_t rsi, struct trap_caught *c)
{
    struct user_regs r = user_entry(piece);
    int v;

    r.rdi = rdi;
    r.rsi = rsi;
    v = user_run(&r, c);
    EXPECT((c->frame.cs & 3) == 3, "cs %lx does not say user mode", c->frame.cs);
    return v;
}

static void trap_user_syscall(void)
{
    struct user_regs r = user_entry(u_syscall);
    struct trap_caught c;

    r.rax = 0x1234;
    r.rbx = 0x5678;
    r.rdi = 0x9abc;
    EXPECT_RC(user_run(&r, &c), VEC_SYSCALL);
    EXPECT(c.frame.rax == 0x1234 && c.frame.rbx == 0x5678 && c.frame.rdi == 0x9abc,
           "registers lost");
    EXPECT(c.frame.rip == user_addr(u_syscall) + 2, "rip %lx", c.frame.rip);
    EXPECT(c.frame.rcx == c.frame.rip, "rcx %lx", c.frame.rcx);
    EXPECT(c.frame.rsp == r.rsp, "rsp %lx", c.frame.rsp);
    EXPECT(c.frame.rflags & X86_IF, "rflags %lx", c.frame.rflags);
    EXPECT((c.frame.cs & 0xffff) == user_cs && (c.frame.ss & 0xffff) == user_ss, "cs %lx ss %lx",
           c.frame.cs, c.frame.ss);
}
MICRO_TEST(trap_user_syscall, "trap-user-syscall", BOTH);

static void trap_user_exceptions(void)
{
    struct trap_caught c;

    EXPECT_RC(run_piece(u_ud2, 0, 0, &c), VEC_UD);
    EXPECT_RC(run_piece(u_div0, 0, 0, &c), VEC_DE);
    EXPECT_RC(run_piece(u_int3, 0, 0, &c), VEC_BP);
    EXPECT(c.frame.rip == user_addr(u_int3) + 1, "int3: rip %lx", c.frame.rip);
    EXPECT_RC(run_piece(u_hlt, 0, 0, &c), VEC_GP);
    EXPECT(c.frame.error == 0 && c.frame.rip == user_addr(u_hlt), "hlt: error %lx rip %lx",
           c.frame.error, c.frame.rip);
    EXPECT_RC(run_piece(u_cli, 0, 0, &c), VEC_GP);
    EXPECT_RC(run_piece(u_in, 0, 0, &c), VEC_GP);
    EXPECT_RC(run_piece(u_load, 0x8000000000000000, 0, &c), VEC_GP);
}
MICRO_TEST(trap_user_exceptions, "trap-user-exceptions", BOTH);

static void trap_user_page_fault(void)
{
    uint64_t unmapped = USER_VA + 511 * PAGE_SIZE;
    struct trap_caught c;

    EXPECT_RC(run_piece(u_load, unmapped + 3, 0, &c), VEC_PF);
    EXPECT(c.frame.error == 4 && c.cr2 == unmapped + 3, "load: error %lx cr2 %lx", c.frame.error,
           c.cr2);
    EXPECT_RC(run_piece(u_store, unmapped, 1, &c), VEC_PF);
    EXPECT(c.frame.error == 6 && c.cr2 == unmapped, "store: error %lx cr2 %lx", c.frame.error,
           c.cr2);
    EXPECT_RC(run_piece(u_store, PTR(user_data) + 8, 77, &c), VEC_SYSCALL);
    EXPECT(user_data[1] == 77, "a store of user mode did not arrive");
    EXPECT_RC(run_piece(u_load, PTR(user_data) + 8, 0, &c), VEC_SYSCALL);
    EXPECT(c.frame.rax == 77, "load: %lx", c.frame.rax);
}
MICRO_TEST(trap_user_page_fault, "trap-user-page-fault", BOTH);

/* The kernel's memory does not exist for user mode: on PV another page table, natively the U bit.
 */
static void trap_user_isolation(void)
{
    static uint64_t secret = 42;
    struct trap_caught c;

    EXPECT_RC(run_piece(u_load, PTR(&secret), 0, &c), VEC_PF);
    EXPECT(c.frame.error == (platform == PLATFORM_PV ? 4u : 5u) && c.cr2 == PTR(&secret),
           "error %lx cr2 %lx", c.frame.error, c.cr2);
    if (platform == PLATFORM_PV) {
        EXPECT_RC(run_piece(u_load, 0xffff830000000000, 0, &c), VEC_PF);
        EXPECT((c.frame.error & 4) && c.cr2 == 0xffff830000000000, "error %lx cr2 %lx",
               c.frame.error, c.cr2);
    }
}
MICRO_TEST(trap_user_isolation, "trap-user-isolation", PLATFORM_PV);

static void trap_user_int(void)
{
    struct trap_caught c;

    EXPECT_RC(run_piece(u_int80, 0, 0, &c), 0x80);
    EXPECT(c.frame.rip == user_addr(u_int80) + 2, "rip %lx", c.frame.rip);
    EXPECT_RC(run_piece(u_int81, 0, 0, &c), VEC_GP);
    EXPECT(c.frame.error == 0x81 * 8 + 2, "int 81: error %lx", c.frame.error);
    EXPECT(c.frame.rip == user_addr(u_int81), "int 81: rip %lx", c.frame.rip);
    EXPECT_RC(run_piece(u_int13, 0, 0, &c), VEC_GP);
    EXPECT(c.frame.error == 13 * 8 + 2, "int 13: error %lx", c.frame.error);
}
MICRO_TEST(trap_user_int, "trap-user-int", BOTH);

/* A level of 3 opens a vector to user mode, the default table closes it again. */
static void trap_user_int_levels(void)
{
    struct trap_info t[2] = {
        {.vector = 0x81, .flags = 3, .cs = kernel_cs, .address = trap_stub(0x81)},
    };
    struct trap_caught c;

    EXPECT_RC(hc_set_trap_table(t), 0);
    EXPECT_RC(run_piece(u_int81, 0, 0, &c), 0x81);
    EXPECT_RC(trap_table_default(), 0);
    EXPECT_RC(run_piece(u_int81, 0, 0, &c), VEC_GP);
}
MICRO_TEST(trap_user_int_levels, "trap-user-int-levels", PLATFORM_PV);

static void trap_user_single_step(void)
{
    struct user_regs r = user_entry(u_regs);
    struct trap_caught c;

    r.rflags |= X86_TF;
    EXPECT_RC(user_run(&r, &c), VEC_DB);
    EXPECT(c.frame.rip > user_addr(u_regs) && c.frame.rip < user_addr(u_regs) + 4, "rip %lx",
           c.frame.rip);
}
MICRO_TEST(trap_user_single_step, "trap-user-single-step", BOTH);

/* ---- tables and masks ---- */

static void trap_table_mask(void)
{
    struct trap_info t[2] = {
        {.vector = VEC_BP, .flags = 3 | 4, .cs = kernel_cs, .address = trap_stub(VEC_BP)},
    };
    struct trap_caught c;

    events_unmask();
    EXPECT_RC(trap_try(do_int3, NULL, &c), VEC_BP);
    EXPECT(!c.masked && (c.frame.rflags & X86_IF), "unmasked gate: masked %d rflags %lx", c.masked,
           c.frame.rflags);
    EXPECT(!vcpu_info->evtchn_upcall_mask, "the way back did not unmask");
    EXPECT_RC(hc_set_trap_table(t), 0);
    EXPECT_RC(trap_try(do_int3, NULL, &c), VEC_BP);
    EXPECT(c.masked && (c.frame.rflags & X86_IF), "masking gate: masked %d rflags %lx", c.masked,
           c.frame.rflags);
    EXPECT(!vcpu_info->evtchn_upcall_mask, "the way back did not unmask");
    events_mask();
    EXPECT_RC(trap_try(do_int3, NULL, &c), VEC_BP);
    EXPECT(c.masked && !(c.frame.rflags & X86_IF), "while masked: masked %d rflags %lx", c.masked,
           c.frame.rflags);
    EXPECT(vcpu_info->evtchn_upcall_mask, "the way back unmasked");
    EXPECT_RC(trap_table_default(), 0);
}
MICRO_TEST(trap_table_mask, "trap-table-mask", PLATFORM_PV);

static void trap_table_errors(void)
{
    struct trap_info t[2] = {
        {.vector = 0x82, .cs = kernel_cs, .address = 0x8000000000000000},
    };

    EXPECT_RC(hc_set_trap_table(t), -XEN_EINVAL);
    EXPECT_RC(hc_set_trap_table((void *)HV_START), -XEN_EFAULT);
    EXPECT_RC(hc_set_trap_table((void *)window_va(7)), -XEN_EFAULT);
}
MICRO_TEST(trap_table_errors, "trap-table-errors", PLATFORM_PV);

static void trap_syscall_mask(void)
{
    struct trap_caught c;

    EXPECT_RC(run_piece(u_syscall, 0, 0, &c), VEC_SYSCALL);
    EXPECT(c.masked, "masking callback: not masked");
    EXPECT_RC(hc_callback_register(CALLBACKTYPE_syscall, 0, trap_stub(VEC_SYSCALL)), 0);
    EXPECT_RC(run_piece(u_syscall, 0, 0, &c), VEC_SYSCALL);
    EXPECT(!c.masked, "plain callback: masked");
    EXPECT_RC(
        hc_callback_register(CALLBACKTYPE_syscall, CALLBACKF_mask_events, trap_stub(VEC_SYSCALL)),
        0);
}
MICRO_TEST(trap_syscall_mask, "trap-syscall-mask", PLATFORM_PV);

static void trap_set_callbacks(void)
{
    struct trap_caught c;

    EXPECT_RC(
        hc_set_callbacks(trap_stub(VEC_EVENT), trap_stub(VEC_FAILSAFE), trap_stub(VEC_SYSCALL)), 0);
    EXPECT_RC(run_piece(u_syscall, 0, 0, &c), VEC_SYSCALL);
    EXPECT_RC(hc_callback_register(99, 0, trap_stub(VEC_EVENT)), -XEN_ENOSYS);
    EXPECT_RC(
        hc_callback_register(CALLBACKTYPE_syscall, CALLBACKF_mask_events, trap_stub(VEC_SYSCALL)),
        0);
    EXPECT_RC(
        hc_callback_register(CALLBACKTYPE_failsafe, CALLBACKF_mask_events, trap_stub(VEC_FAILSAFE)),
        0);
}
MICRO_TEST(trap_set_callbacks, "trap-set-callbacks", PLATFORM_PV);

/* ---- iret ---- */

/* IRETQ by the guest kernel itself, to itself: legal with its real (ring 3) selectors. */
static void trap_iret_direct(void)
{
    uint64_t cs = platform == PLATFORM_PV ? kernel_cs | 3 : kernel_cs, ss = kernel_ss, done = 0;

    __asm__ volatile("mov %%rsp, %%rax; push %2; push %%rax; pushf; push %1; lea 1f(%%rip), %%rax; "
                     "push %%rax; iretq; 1: mov $1, %0"
                     : "+r"(done)
                     : "r"(cs), "r"(ss)
                     : "rax", "memory");
    EXPECT(done == 1, "lost");
}
MICRO_TEST(trap_iret_direct, "trap-iret-direct", BOTH);

static void trap_iret_syscall_form(void)
{
    struct iret_context i = {
        .flags = VGCF_in_syscall,
        .rip = user_addr(u_syscall),
        .rsp = user_addr(u_syscall) + 4096,
        .rflags = X86_IF | 2 | X86_CF,
        .rax = 0x77,
        .rcx = 1,
        .r11 = 2,
        .cs = user_cs,
        .ss = user_ss,
    };
    struct trap_caught c;

    EXPECT_RC(user_run_iret(&i, &c), VEC_SYSCALL);
    EXPECT(c.frame.rax == 0x77, "rax %lx", c.frame.rax);
    EXPECT(c.frame.rip == user_addr(u_syscall) + 2, "rip %lx", c.frame.rip);
    EXPECT((c.frame.rflags & (X86_CF | X86_IF)) == (X86_CF | X86_IF), "rflags %lx", c.frame.rflags);
}
MICRO_TEST(trap_iret_syscall_form, "trap-iret-syscall-form", PLATFORM_PV);

/* The full form restores rcx and r11 too. u_ud2 traps at once, and shows them. */
static void trap_iret_full_form(void)
{
    struct iret_context i = {
        .rip = user_addr(u_ud2),
        .rsp = user_addr(u_syscall) + 4096,
        .rflags = X86_IF | 2,
        .rax = 0x77,
        .rcx = 0x1111,
        .r11 = 0x2222,
        .cs = user_cs,
        .ss = user_ss,
    };
    struct trap_caught c;

    EXPECT_RC(user_run_iret(&i, &c), VEC_UD);
    EXPECT(c.frame.rax == 0x77 && c.frame.rcx == 0x1111 && c.frame.r11 == 0x2222, "rcx %lx r11 %lx",
           c.frame.rcx, c.frame.r11);
}
MICRO_TEST(trap_iret_full_form, "trap-iret-full-form", PLATFORM_PV);

/* stack_switch says where traps from user mode land. */
static void trap_stack_switch(void)
{
    uint8_t *stack = page_alloc();
    struct trap_caught c;
    bool used = false;

    EXPECT_RC(hc_stack_switch(kernel_ss, PTR(stack) + PAGE_SIZE), 0);
    EXPECT_RC(run_piece(u_ud2, 0, 0, &c), VEC_UD);
    for (unsigned i = 0; i < PAGE_SIZE; i++)
        used |= stack[i] != 0;
    EXPECT(used, "the new stack was not used");
    EXPECT_RC(hc_stack_switch(kernel_ss, trap_stack_top()), 0);
    page_free(stack);
}
MICRO_TEST(trap_stack_switch, "trap-stack-switch", PLATFORM_PV);

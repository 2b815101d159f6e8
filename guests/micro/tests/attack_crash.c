/* SPDX-License-Identifier: MIT */
/*
 * Crash tests: what ends the domain, by contract, and nobody else. One per boot, selected by its
 * full name.
 *
 * A hypervisor that refuses the call which prepares the crash is as good: the test passes by
 * test_refused().
 */
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"

extern char u_ud2[];

static void crash_shutdown(void)
{
    struct sched_shutdown s = {.reason = SHUTDOWN_crash};

    hc_sched_op(SCHEDOP_shutdown, &s);
}
MICRO_CRASH_TEST(crash_shutdown, "crash-shutdown", PLATFORM_XEN);

/* Bounce a trap of user mode to a stack that the hypervisor cannot or must not write. */
static void trap_onto(uint64_t stack)
{
    struct user_regs r = user_entry(u_ud2);
    struct trap_caught c;
    long rc = hc_stack_switch(kernel_ss, stack);

    if (rc < 0) {
        test_refused("stack_switch: %ld", rc);
        hc_stack_switch(kernel_ss, trap_stack_top());
        return;
    }
    user_run(&r, &c);
}

static void crash_stack_hypervisor(void)
{
    trap_onto(0xffff830000001000);
}
MICRO_CRASH_TEST(crash_stack_hypervisor, "crash-stack-hypervisor", PLATFORM_PV);

static void crash_stack_m2p(void)
{
    trap_onto(HV_START + 4096);
}
MICRO_CRASH_TEST(crash_stack_m2p, "crash-stack-m2p", PLATFORM_PV);

/* The frame's first word would be the last one below the hypervisor's end. */
static void crash_stack_edge(void)
{
    trap_onto(HV_END + 8);
}
MICRO_CRASH_TEST(crash_stack_edge, "crash-stack-edge", PLATFORM_PV);

static void crash_stack_unmapped(void)
{
    trap_onto(window_va(200));
}
MICRO_CRASH_TEST(crash_stack_unmapped, "crash-stack-unmapped", PLATFORM_PV);

static void crash_stack_noncanonical(void)
{
    trap_onto(0x8000000000001000);
}
MICRO_CRASH_TEST(crash_stack_noncanonical, "crash-stack-noncanonical", PLATFORM_PV);

/* A page table is as little a stack as the hypervisor's memory. */
static void crash_stack_table(void)
{
    trap_onto((uint64_t)window_l1 + 4096);
}
MICRO_CRASH_TEST(crash_stack_table, "crash-stack-table", PLATFORM_PV);

static void crash_no_handler(void)
{
    hc_set_trap_table(NULL);
    __asm__ volatile("ud2");
}
MICRO_CRASH_TEST(crash_no_handler, "crash-no-handler", PLATFORM_PV);

/* The iret hypercall's frame lies in the hypervisor. */
static void crash_iret_frame(void)
{
    __asm__ volatile("mov %0, %%rsp; mov $23, %%eax; syscall" ::"r"(0xffff830000001000ul)
                     : "memory");
}
MICRO_CRASH_TEST(crash_iret_frame, "crash-iret-frame", PLATFORM_PV);

static void crash_iret_frame_unmapped(void)
{
    __asm__ volatile("mov %0, %%rsp; mov $23, %%eax; syscall" ::"r"(window_va(200)) : "memory");
}
MICRO_CRASH_TEST(crash_iret_frame_unmapped, "crash-iret-frame-unmapped", PLATFORM_PV);

/* User mode without a user page table. */
static void crash_no_user_table(void)
{
    struct user_regs r = user_entry(u_ud2);
    struct trap_caught c;

    hc_mmuext(MMUEXT_NEW_USER_BASEPTR, 0, 0);
    user_run(&r, &c);
}
MICRO_CRASH_TEST(crash_no_user_table, "crash-no-user-table", PLATFORM_PV);

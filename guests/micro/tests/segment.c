/* SPDX-License-Identifier: MIT */
/*
 * Segments: bases of FS and GS in their four forms, GDT and LDT set-up, descriptor updates, debug
 * registers.
 */
#include "frames.h"

extern char u_load_fs[], u_load_gs[], u_regs[], u_syscall[];

static uint64_t load_fs0(void)
{
    uint64_t v;

    __asm__ volatile("mov %%fs:0, %0" : "=r"(v));
    return v;
}

static uint64_t load_gs0(void)
{
    uint64_t v;

    __asm__ volatile("mov %%gs:0, %0" : "=r"(v));
    return v;
}

static uint64_t user_load(const void *piece)
{
    struct user_regs r = user_entry(piece);
    struct trap_caught c;

    EXPECT_RC(user_run(&r, &c), VEC_SYSCALL);
    return c.frame.rax;
}

static void segment_bases(void)
{
    static uint64_t in_fs = 0xf5, in_gs = 0x65;

    EXPECT_RC(hc_set_segment_base(SEGBASE_FS, PTR(&in_fs)), 0);
    EXPECT(load_fs0() == 0xf5, "FS base");
    EXPECT_RC(hc_set_segment_base(SEGBASE_GS_KERNEL, PTR(&in_gs)), 0);
    EXPECT(load_gs0() == 0x65, "kernel GS base");
    user_data[16] = 0x05e4;
    EXPECT_RC(hc_set_segment_base(SEGBASE_GS_USER, PTR(&user_data[16])), 0);
    EXPECT(load_gs0() == 0x65, "kernel GS base after the user's was set");
    EXPECT(user_load(u_load_gs) == 0x05e4, "user GS base");
    EXPECT(load_gs0() == 0x65, "kernel GS base after user mode");
    EXPECT_RC(hc_set_segment_base(SEGBASE_FS, PTR(&user_data[16])), 0);
    EXPECT(user_load(u_load_fs) == 0x05e4, "FS base in user mode");
    EXPECT_RC(hc_set_segment_base(4, 0), -XEN_EINVAL);
}
MICRO_TEST(segment_bases, "segment-bases", PLATFORM_PV);

static void segment_gs_selector(void)
{
    struct user_regs r = user_entry(u_regs);
    struct trap_caught c;

    EXPECT_RC(hc_set_segment_base(SEGBASE_GS_USER_SEL, user_ss), 0);
    EXPECT_RC(user_run(&r, &c), VEC_SYSCALL);
    EXPECT((uint16_t)c.frame.rsi == user_ss, "user GS %lx, want %x", c.frame.rsi, user_ss);
    EXPECT((uint16_t)c.frame.rax == user_cs && (uint16_t)c.frame.rbx == user_ss, "cs %lx ss %lx",
           c.frame.rax, c.frame.rbx);
    EXPECT_RC(hc_set_segment_base(SEGBASE_GS_USER_SEL, 0), 0);
    EXPECT_RC(user_run(&r, &c), VEC_SYSCALL);
    EXPECT((uint16_t)c.frame.rsi == 0, "user GS %lx, want 0", c.frame.rsi);
}
MICRO_TEST(segment_gs_selector, "segment-gs-selector", PLATFORM_PV);

/* ---- descriptor tables ---- */

#define DATA3 0x00cff3000000ffff /* present, DPL 3, writable data, flat */

static uint64_t limit_of(uint16_t selector, bool *valid)
{
    uint64_t limit = 0;
    uint8_t zf;

    __asm__ volatile("lsl %2, %0; setz %1"
                     : "=&r"(limit), "=q"(zf)
                     : "r"((uint64_t)selector)
                     : "cc");
    *valid = zf;
    return limit;
}

static void segment_gdt(void)
{
    uint64_t *gdt = page_alloc();
    xen_pfn_t frame = mfn_of(gdt), bad = 0xffffffff;
    bool valid;

    gdt[5] = DATA3;
    EXPECT(hc_set_gdt(&frame, 512) == -XEN_EINVAL, "a writable page became a GDT");
    EXPECT_RC(page_readonly(gdt), 0);
    EXPECT_RC(hc_set_gdt(&frame, 512), 0);
    EXPECT(limit_of(5 * 8 + 3, &valid) == 0xffffffff && valid, "descriptor 5 is not in force");
    EXPECT(page_writable(gdt) != 0, "the GDT in use became writable");

    EXPECT_RC(hc_update_descriptor(maddr_of(&gdt[6]), DATA3), 0);
    limit_of(6 * 8 + 3, &valid);
    EXPECT(valid, "descriptor 6 is not in force");
    EXPECT_RC(hc_update_descriptor(maddr_of(&gdt[6]), 0), 0);
    limit_of(6 * 8 + 3, &valid);
    EXPECT(!valid, "descriptor 6 is still in force");
    EXPECT_RC(hc_update_descriptor(maddr_of(&gdt[6]) + 1, 0), -XEN_EINVAL);
    EXPECT_RC(hc_update_descriptor(0xffffffff000, 0), -XEN_EINVAL);

    EXPECT_RC(hc_set_gdt(&frame, FIRST_RESERVED_GDT_ENTRY + 1), -XEN_EINVAL);
    EXPECT_RC(hc_set_gdt(&bad, 512), -XEN_EINVAL);
    EXPECT_RC(hc_set_gdt((void *)HV_START, 512), -XEN_EFAULT);
    limit_of(5 * 8 + 3, &valid);
    EXPECT(valid, "a refused GDT replaced the one in force");
    EXPECT_RC(hc_set_gdt(NULL, 0), 0);
    EXPECT_RC(page_writable(gdt), 0);
    expect_frame_clean(gdt, "GDT");
    page_free(gdt);
}
MICRO_TEST(segment_gdt, "segment-gdt", PLATFORM_PV);

static void segment_ldt(void)
{
    uint64_t *ldt = page_alloc();
    bool valid;

    ldt[3] = DATA3;
    EXPECT_RC(page_readonly(ldt), 0);
    EXPECT_RC(hc_mmuext(MMUEXT_SET_LDT, PTR(ldt), 512), 0);
    limit_of(3 * 8 + 7, &valid);
    EXPECT(valid, "descriptor 3 is not in force");
    EXPECT(page_writable(ldt) != 0, "the LDT in use became writable");
    EXPECT_RC(hc_update_descriptor(maddr_of(&ldt[3]), 0), 0);
    limit_of(3 * 8 + 7, &valid);
    EXPECT(!valid, "descriptor 3 is still in force");
    EXPECT_RC(hc_mmuext(MMUEXT_SET_LDT, PTR(ldt) + 8, 512), -XEN_EINVAL);
    EXPECT_RC(hc_mmuext(MMUEXT_SET_LDT, PTR(ldt), 8193), -XEN_EINVAL);
    EXPECT_RC(hc_mmuext(MMUEXT_SET_LDT, 0, 0), 0);
    EXPECT_RC(page_writable(ldt), 0);
    expect_frame_clean(ldt, "LDT");
    page_free(ldt);
}
MICRO_TEST(segment_ldt, "segment-ldt", PLATFORM_PV);

/* ---- debug registers ---- */

static void do_target(void *arg)
{
    ((void (*)(void))arg)();
}

static void target(void)
{
    barrier();
}

static void segment_debugreg(void)
{
    struct trap_caught c;

    for (unsigned i = 0; i < 4; i++) {
        EXPECT_RC(hc_set_debugreg(i, 0x1000 + i), 0);
        EXPECT_RC(hc_get_debugreg(i), 0x1000 + i);
    }
    EXPECT_RC(hc_set_debugreg(0, PTR(target)), 0);
    EXPECT_RC(hc_sched_op(SCHEDOP_yield, NULL), 0); /* another domain's own address comes between */
    EXPECT_RC(hc_set_debugreg(7, 0x401), 0);        /* execute, local 0 */
    EXPECT_RC(trap_try(do_target, target, &c), VEC_DB);
    EXPECT(c.frame.rip == PTR(target), "rip %lx, want %lx", c.frame.rip, PTR(target));
    EXPECT((hc_get_debugreg(6) & 15) == 1, "DR6 %lx", hc_get_debugreg(6));
    EXPECT_RC(hc_set_debugreg(7, 0x400), 0);
    EXPECT_RC(hc_set_debugreg(6, 0), 0);
    EXPECT_RC(trap_try(do_target, target, &c), -1);
    EXPECT_RC(hc_set_debugreg(8, 0), -XEN_ENODEV);
    EXPECT_RC(hc_get_debugreg(8), -XEN_ENODEV);
    for (unsigned i = 0; i < 4; i++)
        EXPECT_RC(hc_set_debugreg(i, 0), 0);
}
MICRO_TEST(segment_debugreg, "segment-debugreg", PLATFORM_PV);

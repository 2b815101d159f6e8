/* SPDX-License-Identifier: MIT */
/*
 * Instructions that the hypervisor carries out for the guest: page-table writes in every form Linux
 * uses, CPUID, MSRs, ports, control registers, TSC.
 */
#include "frames.h"

/* ---- writes to page tables ---- */

/* Run `code` on *e (window_l1's slot 2), which holds `before`; expect `after` in the bits that
 * matter. */
#define PT_WRITE(what, before, after, code)                                                        \
    do {                                                                                           \
        uint64_t got_;                                                                             \
        EXPECT_RC(pte_write(window_va(2), before), 0);                                             \
        code;                                                                                      \
        got_ = *(volatile uint64_t *)e;                                                            \
        EXPECT(((got_ ^ (after)) & MATTERS) == 0, "%s: %lx, want %lx", what, got_,                 \
               (uint64_t)(after));                                                                 \
    } while (0)
#define MATTERS (PTE_ADDR | PTE_P | PTE_W | PTE_A | PTE_D | PTE_NX)

static void emul_pt_write_mov(void)
{
    uint64_t *a = page_alloc(), *b = page_alloc(), *e = &window_l1[2];
    uint64_t rw = ENTRY_OF(a, PTE_RW), ro = ENTRY_OF(a, PTE_RO), other = ENTRY_OF(b, PTE_RW);

    hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables);
    PT_WRITE("mov 8", 0, rw, *(volatile uint64_t *)e = rw);
    PT_WRITE("mov 8 to another frame", rw, other, *(volatile uint64_t *)e = other);
    PT_WRITE("mov 8 of zero", rw, 0, *(volatile uint64_t *)e = 0);
    PT_WRITE("mov imm32", rw, 0, __asm__ volatile("movq $0, %0" : "=m"(*e)));
    PT_WRITE("mov 4", rw, ro, *(volatile uint32_t *)e = (uint32_t)ro);
    PT_WRITE("mov 1", rw, ro, *(volatile uint8_t *)e = (uint8_t)ro);
    hc_mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
    EXPECT_RC(pte_write(window_va(2), 0), 0);
    expect_frame_clean(a, "a");
    expect_frame_clean(b, "b");
    page_free(a);
    page_free(b);
}
MICRO_TEST(emul_pt_write_mov, "emul-pt-write-mov", PLATFORM_PV);

static void emul_pt_write_locked(void)
{
    uint64_t *a = page_alloc(), *e = &window_l1[2], old;
    uint64_t rw = ENTRY_OF(a, PTE_RW), ro = ENTRY_OF(a, PTE_P | PTE_A | PTE_D);

    hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables);
    PT_WRITE("lock andb", rw, ro, __asm__ volatile("lock andb $0xfd, %0" : "+m"(*(uint8_t *)e)));
    PT_WRITE("lock andl", rw, ro, __asm__ volatile("lock andl $~2, %0" : "+m"(*(uint32_t *)e)));
    PT_WRITE("lock andq", rw, ro, __asm__ volatile("lock andq $~2, %0" : "+m"(*e)));
    PT_WRITE("lock orb", ro, rw, __asm__ volatile("lock orb $2, %0" : "+m"(*(uint8_t *)e)));
    PT_WRITE("lock btr", rw, ro, __asm__ volatile("lock btrq $1, %0" : "+m"(*e)::"cc"));
    PT_WRITE("lock bts", ro, rw, __asm__ volatile("lock btsq $1, %0" : "+m"(*e)::"cc"));
    PT_WRITE("plain and", rw, ro, __asm__ volatile("andq $~2, %0" : "+m"(*e)));

    old = 0;
    PT_WRITE("xchg", rw, 0, __asm__ volatile("xchgq %0, %1" : "+r"(old), "+m"(*e)));
    EXPECT(((old ^ rw) & MATTERS) == 0, "xchg returned %lx, want %lx", old, rw);
    hc_mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
    EXPECT_RC(pte_write(window_va(2), 0), 0);
    expect_frame_clean(a, "a");
    page_free(a);
}
MICRO_TEST(emul_pt_write_locked, "emul-pt-write-locked", PLATFORM_PV);

static void emul_pt_write_cmpxchg(void)
{
    uint64_t *a = page_alloc(), *e = &window_l1[2], old = 0;
    uint64_t rw = ENTRY_OF(a, PTE_RW), ro = ENTRY_OF(a, PTE_P | PTE_A | PTE_D);
    uint8_t equal = 0, old8;
    uint32_t old32;

    hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables);
    PT_WRITE("cmpxchg 8", rw, ro, {
        old = *(volatile uint64_t *)e;
        __asm__ volatile("lock cmpxchgq %3, %1; sete %0"
                         : "=q"(equal), "+m"(*e), "+a"(old)
                         : "r"(ro)
                         : "cc");
    });
    EXPECT(equal, "cmpxchg 8 did not match");
    PT_WRITE("cmpxchg 8 unequal", rw, rw, {
        old = 0x1000;
        __asm__ volatile("lock cmpxchgq %3, %1; sete %0"
                         : "=q"(equal), "+m"(*e), "+a"(old)
                         : "r"(ro)
                         : "cc");
    });
    EXPECT(!equal, "cmpxchg 8 matched a wrong value");
    EXPECT(((old ^ rw) & MATTERS) == 0, "cmpxchg 8 returned %lx, want %lx", old, rw);
    PT_WRITE("cmpxchg 4", rw, ro, {
        old32 = *(volatile uint32_t *)e;
        __asm__ volatile("lock cmpxchgl %3, %1; sete %0"
                         : "=q"(equal), "+m"(*(uint32_t *)e), "+a"(old32)
                         : "r"((uint32_t)ro)
                         : "cc");
    });
    EXPECT(equal, "cmpxchg 4 did not match");
    PT_WRITE("cmpxchg 1", rw, ro, {
        old8 = *(volatile uint8_t *)e;
        __asm__ volatile("lock cmpxchgb %3, %1; sete %0"
                         : "=q"(equal), "+m"(*(uint8_t *)e), "+a"(old8)
                         : "q"((uint8_t)(ro | PTE_U))
                         : "cc");
    });
    EXPECT(equal, "cmpxchg 1 did not match");
    hc_mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
    EXPECT_RC(pte_write(window_va(2), 0), 0);
    expect_frame_clean(a, "a");
    page_free(a);
}
MICRO_TEST(emul_pt_write_cmpxchg, "emul-pt-write-cmpxchg", PLATFORM_PV);

static void store8(void *arg)
{
    *(volatile uint64_t *)arg = 0;
}

/* A write that faults for another reason is the guest's own fault, with the guest's address. */
static void emul_pt_write_not(void)
{
    uint64_t *a = page_alloc();
    struct trap_caught c;

    EXPECT_RC(page_readonly(a), 0);
    EXPECT_RC(trap_try(store8, a, &c), VEC_PF);
    EXPECT(c.frame.error == 3 && c.cr2 == PTR(a), "plain ro page: error %lx cr2 %lx", c.frame.error,
           c.cr2);
    EXPECT_RC(trap_try(store8, kernel_l4, &c), VEC_PF);
    EXPECT(c.cr2 == PTR(kernel_l4), "L4: cr2 %lx", c.cr2);
    EXPECT_RC(page_writable(a), 0);
    page_free(a);
}
MICRO_TEST(emul_pt_write_not, "emul-pt-write-not", PLATFORM_PV);

/* ---- CPUID, MSRs, TSC ---- */

static void emul_cpuid(void)
{
    struct cpuid_regs r = cpuid_forced(0x40000000, 0);

    EXPECT(r.b == 0x566e6558 && r.c == 0x65584d4d && r.d == 0x4d4d566e,
           "no Xen signature: %x %x %x", r.b, r.c, r.d);
    EXPECT(r.a >= 0x40000002, "highest leaf %x", r.a);
    r = cpuid_forced(0x40000001, 0);
    EXPECT(r.a == 0x40011, "version %x", r.a);
    r = cpuid_forced(1, 0);
    EXPECT((r.d & 1) && (r.c & 1u << 31), "leaf 1: ecx %x edx %x", r.c, r.d);
    EXPECT(!(r.c & 1u << 3) && !(r.c & 1u << 5), "monitor or vmx is offered: %x", r.c);
    r = cpuid_forced(0x80000001, 0);
    EXPECT((r.d & 1u << 29) && (r.d & 1u << 11) && (r.d & 1u << 20), "leaf 80000001: edx %x", r.d);
    EXPECT(!(r.d & 1u << 26) && !(r.c & 1u << 2), "1 GiB pages or SVM are offered: %x %x", r.c,
           r.d);
}
MICRO_TEST(emul_cpuid, "emul-cpuid", PLATFORM_PV);

static void do_rdmsr(void *arg)
{
    *(uint64_t *)arg = rdmsr((uint32_t) * (uint64_t *)arg);
}

static void do_wrmsr(void *arg)
{
    uint64_t *a = arg;

    wrmsr((uint32_t)a[0], a[1]);
}

static void emul_rdmsr(void)
{
    uint64_t v = 0xc0000080;
    struct trap_caught c;

    EXPECT_RC(trap_try(do_rdmsr, &v, &c), -1);
    EXPECT((v & 0x501) == 0x501, "EFER %lx", v);
    v = 0xc0000100;
    EXPECT_RC(trap_try(do_rdmsr, &v, &c), -1);
    v = 0x1b;
    EXPECT_RC(trap_try(do_rdmsr, &v, &c), -1);
    v = 0x12345678;
    EXPECT_RC(trap_try(do_rdmsr, &v, &c), VEC_GP);
    EXPECT(c.frame.error == 0, "error %lx", c.frame.error);
}
MICRO_TEST(emul_rdmsr, "emul-rdmsr", PLATFORM_PV);

static void emul_wrmsr(void)
{
    uint64_t a[2] = {0xc0000100, 0x12345000};
    struct trap_caught c;

    EXPECT_RC(trap_try(do_wrmsr, a, &c), -1);
    EXPECT(rdmsr(0xc0000100) == 0x12345000, "FS base %lx", rdmsr(0xc0000100));
    a[1] = 0x8000000000000000;
    EXPECT_RC(trap_try(do_wrmsr, a, &c), VEC_GP);
    EXPECT(rdmsr(0xc0000100) == 0x12345000, "FS base %lx after a refused write", rdmsr(0xc0000100));
    a[1] = 0;
    EXPECT_RC(trap_try(do_wrmsr, a, &c), -1);
    a[0] = 0xc0000082; /* LSTAR is the hypervisor's own */
    a[1] = 0x1000;
    EXPECT_RC(trap_try(do_wrmsr, a, &c), VEC_GP);
}
MICRO_TEST(emul_wrmsr, "emul-wrmsr", PLATFORM_PV);

static void emul_rdtsc(void)
{
    uint64_t a = rdtsc(), b = rdtsc();

    EXPECT(b > a, "TSC went from %lx to %lx", a, b);
}
MICRO_TEST(emul_rdtsc, "emul-rdtsc", PLATFORM_ANY);

static void emul_clock(void)
{
    uint64_t a = now_ns(), b = now_ns(), tsc = rdtsc();

    EXPECT(vcpu_info->time.tsc_to_system_mul, "no multiplier");
    EXPECT(b >= a && a > 0, "clock went from %lu to %lu", a, b);
    while (rdtsc() - tsc < 1000000)
        ;
    EXPECT(now_ns() > b, "clock stands still at %lu", b);
}
MICRO_TEST(emul_clock, "emul-clock", PLATFORM_PV);

/* ---- ports ---- */

static void do_in(void *arg)
{
    *(uint64_t *)arg = inb((uint16_t) * (uint64_t *)arg);
}

static void do_out(void *arg)
{
    outb((uint16_t) * (uint64_t *)arg, 0);
}

/*
 * Ports need IOPL 1 from physdev_op. With it the privileged domain reads real ports, another domain
 * all-ones or an emulated device; none gets a fault.
 */
static void emul_ports(void)
{
    static const uint16_t ports[] = {0x42, 0x61, 0x71, 0x80, 0xcf8, 0xcfc};
    struct trap_caught c;
    uint64_t v = 0x42;

    EXPECT_RC(trap_try(do_in, &v, &c), VEC_GP);
    EXPECT_RC(hc_set_iopl(4), -XEN_EINVAL);
    EXPECT_RC(hc_set_iopl(1), 0);
    for (unsigned i = 0; i < sizeof(ports) / sizeof(*ports); i++) {
        v = ports[i];
        EXPECT(trap_try(do_in, &v, &c) == -1, "in %x raised %lu", ports[i], c.frame.vector);
    }
    v = 0x80;
    EXPECT_RC(trap_try(do_out, &v, &c), -1);
    test_note("port 42 reads %x, cfc %x", inb(0x42), inl(0xcfc));
    EXPECT_RC(hc_set_iopl(0), 0);
    v = 0x42;
    EXPECT_RC(trap_try(do_in, &v, &c), VEC_GP);
}
MICRO_TEST(emul_ports, "emul-ports", PLATFORM_PV);

/* ---- control registers ---- */

static void write_cr0(void *v)
{
    __asm__ volatile("mov %0, %%cr0" ::"r"(*(uint64_t *)v));
}

static void do_fnop(void *arg)
{
    __asm__ volatile("fnop");
}

static void emul_cr0(void)
{
    uint64_t cr0 = read_cr0(), ts = cr0 | 8, bad = cr0 ^ 0x10000;
    struct trap_caught c;

    EXPECT((cr0 & 0x80000001) == 0x80000001, "cr0 %lx", cr0);
    EXPECT_RC(trap_try(write_cr0, &ts, &c), -1);
    EXPECT(read_cr0() & 8, "TS not set");
    EXPECT_RC(trap_try(do_fnop, NULL, &c), VEC_NM);
    EXPECT_RC(trap_try(write_cr0, &ts, &c), -1);
    __asm__ volatile("clts");
    EXPECT(!(read_cr0() & 8), "CLTS left TS set");
    EXPECT_RC(trap_try(do_fnop, NULL, &c), -1);
    EXPECT_RC(trap_try(write_cr0, &bad, &c), VEC_GP);
    EXPECT(read_cr0() == (cr0 & ~8ul), "cr0 %lx after a refused write", read_cr0());
}
MICRO_TEST(emul_cr0, "emul-cr0", PLATFORM_PV);

static void do_write_cr3(void *arg)
{
    write_cr3(*(uint64_t *)arg);
}

static void emul_cr2_cr3(void)
{
    uint64_t v, cr3 = read_cr3(), bad = mfn_of(window_l1) << PAGE_SHIFT;
    struct trap_caught c;

    EXPECT(cr3 == mfn_of(kernel_l4) << PAGE_SHIFT, "cr3 %lx", cr3);
    EXPECT_RC(trap_try(do_write_cr3, &cr3, &c), -1);
    EXPECT_RC(trap_try(do_write_cr3, &bad, &c), VEC_GP);
    EXPECT(read_cr3() == cr3, "cr3 %lx after a refused write", read_cr3());
    __asm__ volatile("mov %0, %%cr2" ::"r"(0x1234567ul));
    __asm__ volatile("mov %%cr2, %0" : "=r"(v));
    EXPECT(v == 0x1234567, "cr2 %lx", v);
}
MICRO_TEST(emul_cr2_cr3, "emul-cr2-cr3", PLATFORM_PV);

static void do_write_cr4(void *arg)
{
    __asm__ volatile("mov %0, %%cr4" ::"r"(*(uint64_t *)arg));
}

static void emul_cr4(void)
{
    uint64_t cr4, pse;
    struct trap_caught c;

    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    EXPECT(cr4 & 0x20, "cr4 %lx lacks PAE", cr4);
    EXPECT_RC(trap_try(do_write_cr4, &cr4, &c), -1);
    pse = cr4 ^ 0x20; /* taking PAE away must have no effect */
    trap_try(do_write_cr4, &pse, &c);
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    EXPECT(cr4 & 0x20, "PAE could be cleared: %lx", cr4);
}
MICRO_TEST(emul_cr4, "emul-cr4", PLATFORM_PV);

static void emul_wbinvd(void)
{
    uint8_t cf = 0;

    __asm__ volatile("wbinvd; clc; setc %0" : "=r"(cf)::"memory");
    EXPECT(cf == 0, "flags lost");
}
MICRO_TEST(emul_wbinvd, "emul-wbinvd", PLATFORM_PV);

/* Like ports, they need IOPL; then they are accepted and do nothing. */
static void do_cli(void *arg)
{
    __asm__ volatile("cli; sti");
}

static void emul_cli_sti(void)
{
    struct trap_caught c;

    EXPECT_RC(trap_try(do_cli, NULL, &c), VEC_GP);
    EXPECT_RC(hc_set_iopl(1), 0);
    EXPECT_RC(trap_try(do_cli, NULL, &c), -1);
    EXPECT_RC(hc_set_iopl(0), 0);
    EXPECT(vcpu_info->evtchn_upcall_mask, "sti unmasked upcalls");
    events_mask();
}
MICRO_TEST(emul_cli_sti, "emul-cli-sti", PLATFORM_PV);

static void do_xgetbv(void *arg)
{
    uint32_t a, d;

    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    *(uint64_t *)arg = (uint64_t)d << 32 | a;
}

static void do_xsetbv(void *arg)
{
    __asm__ volatile("xsetbv" ::"a"((uint32_t) * (uint64_t *)arg), "d"(0), "c"(0));
}

static void emul_xsetbv(void)
{
    uint64_t cr4, xcr0 = 0, bad = 2;
    struct trap_caught c;

    if (!(cpuid_forced(1, 0).c & 1u << 26)) {
        test_skip("no XSAVE on this processor");
        return;
    }
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    cr4 |= 1ul << 18;
    EXPECT_RC(trap_try(do_write_cr4, &cr4, &c), -1);
    EXPECT(cpuid_forced(1, 0).c & 1u << 27, "OSXSAVE does not follow CR4");
    EXPECT_RC(trap_try(do_xgetbv, &xcr0, &c), -1);
    EXPECT(xcr0 & 1, "xcr0 %lx", xcr0);
    EXPECT_RC(trap_try(do_xsetbv, &xcr0, &c), -1);
    EXPECT_RC(trap_try(do_xsetbv, &bad, &c), VEC_GP); /* SSE without x87 */
}
MICRO_TEST(emul_xsetbv, "emul-xsetbv", PLATFORM_PV);

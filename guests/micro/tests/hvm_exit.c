/* SPDX-License-Identifier: MIT */
/*
 * Instructions that leave a hardware-assisted guest: CPUID, MSRs, ports, control registers, XSETBV, HLT's kin, and what an
 * exit must not disturb: registers, flags, the trap flag, the shadow of STI.
 *
 * hvm_crash.c has what may end the domain. Most hold on the bare processor too and run there; what is the hypervisor's policy runs as PVH only. Where several outcomes
 * are right (a processor's choice), the test names them.
 */
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"
#include "evtchn.h"
#include <xen/arch-x86/cpuid.h>

#define MSR_EFER     0xc0000080u
#define MSR_PAT      0x277u
#define CR4_PAE      0x20ul
#define CR4_OSXSAVE  0x40000ul
#define CPUID1_XSAVE (1u << 26)

/* ---- one access that may fault ---- */

struct access {
    uint32_t nr;
    uint64_t value;
};

static void do_rdmsr(void *arg)
{
    struct access *a = arg;

    a->value = rdmsr(a->nr);
}

static void do_wrmsr(void *arg)
{
    struct access *a = arg;

    wrmsr(a->nr, a->value);
}

static void do_cr0(void *arg)
{
    __asm__ volatile("mov %0, %%cr0" ::"r"(*(uint64_t *)arg) : "memory");
}

static void do_cr3(void *arg)
{
    write_cr3(*(uint64_t *)arg);
}

static void do_cr4(void *arg)
{
    __asm__ volatile("mov %0, %%cr4" ::"r"(*(uint64_t *)arg) : "memory");
}

static void do_cr8(void *arg)
{
    __asm__ volatile("mov %0, %%cr8" ::"r"(*(uint64_t *)arg) : "memory");
}

/* The vector of an attempt, -1: none. */
static int wrmsr_try(uint32_t msr, uint64_t value)
{
    struct access a = {msr, value};
    struct trap_caught c;

    return trap_try(do_wrmsr, &a, &c);
}

static int rdmsr_try(uint32_t msr, uint64_t *value)
{
    struct access a = {msr, 0};
    struct trap_caught c;
    int vector = trap_try(do_rdmsr, &a, &c);

    *value = a.value;
    return vector;
}

/* ---- CPUID ---- */

static void hvm_cpuid_policy(void)
{
    struct cpuid_regs r = cpuid_bare(1, 0), top;

    EXPECT(r.c >> 31, "leaf 1 hides that there is a hypervisor");
    EXPECT(!(r.c & (1u << 5)), "VMX is offered");
    EXPECT(!(r.c & (1u << 3)), "MONITOR is offered");
    EXPECT(!(cpuid_bare(0x80000001, 0).c & (1u << 2)), "SVM is offered");
    EXPECT(r.d & (1u << 9), "no APIC");
    EXPECT(r.d & (1u << 4), "no TSC");
    r = cpuid_bare(xen_leaf, 0);
    EXPECT(r.a >= xen_leaf + 2, "last Xen leaf %x", r.a);
    top = cpuid_bare(r.a + 1, 0);
    EXPECT(!top.a && !top.b && !top.c && !top.d, "a Xen leaf behind the last: %x", top.a);
    r = cpuid_bare(xen_leaf + 1, 0);
    EXPECT(r.a == 0x40011, "version %x", r.a);
    r = cpuid_bare(xen_leaf + 2, 0);
    EXPECT(r.a == 1 && r.b >> 24 == 0x40, "%u hypercall pages by MSR %x", r.a, r.b);
    r = cpuid_bare(xen_leaf + 4, 0);
    EXPECT(!(r.a & XEN_HVM_CPUID_VCPU_ID_PRESENT) || r.b == 0, "vCPU %u", r.b);
}
MICRO_TEST(hvm_cpuid_policy, "hvm-cpuid-policy", PLATFORM_PVH);

/* Results are 32 bits wide, other registers stay, and every form of the instruction has its own length. */
static void hvm_cpuid_registers(void)
{
    static const char want[] = "cpuid disturbed a register";
    register uint64_t r8 __asm__("r8") = 0x8888888888888888, r15 __asm__("r15") = 0x1515151515151515;
    uint64_t a = 0xffffffff00000000, b = ~0ul, c = 0xffffffff00000000, d = ~0ul, si = 0x123456789abcdef0, n = 0;

    __asm__ volatile("cpuid; inc %[n];"
                     ".byte 0x66, 0x0f, 0xa2; inc %[n];"       /* prefixes change nothing but the length */
                     ".byte 0x48, 0x0f, 0xa2; inc %[n];"
                     ".byte 0x2e, 0x66, 0x40, 0x0f, 0xa2; inc %[n];"
                     "xor %%eax, %%eax; xor %%ecx, %%ecx; cpuid"
                     : "+a"(a), "+b"(b), "+c"(c), "+d"(d), "+S"(si), [n] "+D"(n), "+r"(r8), "+r"(r15));
    EXPECT(n == 4, "%lu of 4 instructions behind a CPUID ran", n);
    EXPECT(!(a >> 32) && !(b >> 32) && !(c >> 32) && !(d >> 32), "an upper half: %lx %lx %lx %lx", a, b, c, d);
    EXPECT(si == 0x123456789abcdef0 && r8 == 0x8888888888888888 && r15 == 0x1515151515151515, "%s", want);
    EXPECT((uint32_t)a == cpuid_bare(0, 0).a && (uint32_t)b == cpuid_bare(0, 0).b, "two answers: %x", (uint32_t)a);
}
MICRO_TEST(hvm_cpuid_registers, "hvm-cpuid-registers", PLATFORM_OWN);

/* The instruction lies across a page boundary, then at the very end of what is mapped. */
static void hvm_cpuid_edges(void)
{
    uint8_t *page = page_alloc(), *next = page_alloc();
    struct trap_caught c;
    uint32_t (*fn)(void) = (uint32_t(*)(void))(window_va(1) - 6);
    static const uint8_t code[] = {0x31, 0xc0, 0x31, 0xc9, 0x53, 0x0f, 0xa2, 0x5b, 0xc3};

    memcpy(page + PAGE_SIZE - 6, code, 6); /* xor eax, eax; xor ecx, ecx; push rbx; cpuid ... */
    memcpy(next, code + 6, 3);             /* ... its second byte; pop rbx; ret */
    pte_write(window_va(0), mfn_of(page) << PAGE_SHIFT | PTE_RW);
    pte_write(window_va(1), mfn_of(next) << PAGE_SHIFT | PTE_RW);
    EXPECT(fn() == cpuid_bare(0, 0).a, "across a page boundary: %x", fn());
    /* cpuid as the last two bytes: what follows is not mapped, and is not needed before it has executed. */
    page[PAGE_SIZE - 2] = 0x0f;
    page[PAGE_SIZE - 1] = 0xa2;
    pte_write(window_va(1), 0);
    EXPECT_RC(trap_try((void (*)(void *))(window_va(1) - 2), NULL, &c), VEC_PF);
    EXPECT(c.cr2 == window_va(1) && c.frame.rip == window_va(1), "cr2 %lx rip %lx", c.cr2, c.frame.rip);
    pte_write(window_va(0), 0);
    page_free(page);
    page_free(next);
}
MICRO_TEST(hvm_cpuid_edges, "hvm-cpuid-edges", PLATFORM_OWN);

/* ---- MSRs ---- */

static void hvm_msr_roundtrip(void)
{
    static const struct {
        uint32_t msr;
        uint64_t value;
    } t[] = {
        {0xc0000100, 0x00007fff12345678}, /* FS base */
        {0xc0000101, 0xffff900012345678}, /* GS base */
        {0xc0000102, 0xffffffffffff0000}, /* the other GS base */
        {0xc0000083, 0xffffffff81000000}, /* CSTAR */
        {0x174, 0x10},                    /* SYSENTER CS, ESP, EIP */
        {0x175, 0x1000},
        {0x176, 0x2000},
        {MSR_PAT, 0x0007010600070106},
    };

    for (unsigned i = 0; i < sizeof(t) / sizeof(*t); i++) {
        uint64_t old = rdmsr(t[i].msr);

        wrmsr(t[i].msr, t[i].value);
        EXPECT(rdmsr(t[i].msr) == t[i].value, "MSR %x: %lx, wrote %lx", t[i].msr, rdmsr(t[i].msr), t[i].value);
        wrmsr(t[i].msr, old);
        EXPECT(rdmsr(t[i].msr) == old, "MSR %x: %lx, restored %lx", t[i].msr, rdmsr(t[i].msr), old);
    }
}
MICRO_TEST(hvm_msr_roundtrip, "hvm-msr-roundtrip", PLATFORM_OWN);

/* RDMSR and WRMSR take 32 bits of each register, and RDMSR clears the upper halves. */
static void hvm_msr_halves(void)
{
    uint64_t a = ~0ul, d = ~0ul, c = 0xffffffff00000000 | MSR_EFER;

    __asm__ volatile("rdmsr" : "+a"(a), "+d"(d) : "c"(c));
    EXPECT(!(a >> 32) && !(d >> 32), "rax %lx rdx %lx", a, d);
    EXPECT((a & 0xd01) == 0xd01, "EFER %lx lacks SCE, LME, LMA or NXE", a);
    __asm__ volatile("wrmsr" ::"a"(a | 0xabcd000000000000), "d"(0x1234000000000000ul), "c"(c));
    EXPECT(rdmsr(MSR_EFER) == a, "EFER %lx", rdmsr(MSR_EFER));
}
MICRO_TEST(hvm_msr_halves, "hvm-msr-halves", PLATFORM_OWN);

static void hvm_msr_policy(void)
{
    static const uint32_t none[] = {0xdeadbeef, 0x4000ffff, 0xc0020000, 0xffffffff, 0x00002000};
    /* The machine's own, for virtualization: a write has no effect, refused or not (AMD's HSAVE_PA may be kept: it means nothing). */
    static const uint32_t machine[] = {0x480, 0x3a};
    uint64_t value, efer = rdmsr(MSR_EFER), pat = rdmsr(MSR_PAT);

    for (unsigned i = 0; i < sizeof(none) / sizeof(*none); i++) {
        EXPECT(rdmsr_try(none[i], &value) == VEC_GP, "MSR %x can be read: %lx", none[i], value);
        EXPECT(wrmsr_try(none[i], 0) == VEC_GP, "MSR %x can be written", none[i]);
    }
    for (unsigned i = 0; i < sizeof(machine) / sizeof(*machine); i++)
        EXPECT(wrmsr_try(machine[i], 0x123000) == VEC_GP || rdmsr_try(machine[i], &value) == VEC_GP || value != 0x123000,
               "MSR %x can be written", machine[i]);
    EXPECT(wrmsr_try(MSR_EFER, efer | 1ul << 12) == VEC_GP, "SVME can be set");
    EXPECT(wrmsr_try(MSR_EFER, efer | 1ul << 1) == VEC_GP, "a reserved bit of EFER can be set");
    EXPECT(wrmsr_try(MSR_EFER, efer | 1ul << 40) == VEC_GP, "an upper bit of EFER can be set");
    EXPECT(wrmsr_try(MSR_EFER, efer & ~0x100ul) == VEC_GP, "long mode can be left under paging");
    EXPECT(rdmsr(MSR_EFER) == efer, "EFER %lx, was %lx", rdmsr(MSR_EFER), efer);
    /* Bad memory types: refused, or left to a processor that does not look. */
    EXPECT(wrmsr_try(MSR_PAT, 0x0007010600070102) == VEC_GP || rdmsr(MSR_PAT) == 0x0007010600070102, "PAT %lx", rdmsr(MSR_PAT));
    wrmsr_try(MSR_PAT, 0x0807010600070106);
    wrmsr(MSR_PAT, pat);
    EXPECT(rdmsr(MSR_PAT) == pat, "PAT %lx, was %lx", rdmsr(MSR_PAT), pat);
}
MICRO_TEST(hvm_msr_policy, "hvm-msr-policy", PLATFORM_PVH);

/* The clock runs on, and RDTSC and its MSR agree. */
static void hvm_msr_tsc(void)
{
    uint64_t before = rdtsc(), by_msr = rdmsr(0x10), after = rdtsc();

    EXPECT(before <= by_msr && by_msr <= after, "TSC %lx, MSR %lx, TSC %lx", before, by_msr, after);
}
MICRO_TEST(hvm_msr_tsc, "hvm-msr-tsc", PLATFORM_PVH);

/* Where the hypercall page goes is checked: not beyond memory, not within a page. */
static void hvm_msr_hypercall_page(void)
{
    uint32_t msr = cpuid_bare(xen_leaf + 2, 0).b;
    uint8_t *page = page_alloc(), *at = page + __HYPERVISOR_xen_version * 32;
    uint64_t rax;

    wrmsr(msr, maddr_of(page));
    __asm__ volatile("call *%[at]" : "=a"(rax) : [at] "r"(at), "D"(XENVER_version), "S"(0) : "memory", "rcx", "r11");
    EXPECT(rax == 0x40011, "the page's own call answers %lx", rax);
    wrmsr_try(msr, 0x7ffffffff000); /* may be refused or ignored */
    wrmsr_try(msr, ~0xffful);
    EXPECT(hc_xen_version(XENVER_version, NULL) == 0x40011, "hypercalls are gone");
    page_free(page);
}
MICRO_TEST(hvm_msr_hypercall_page, "hvm-msr-hypercall-page", PLATFORM_PVH);

/* ---- control registers ---- */

static void hvm_cr_roundtrip(void)
{
    uint64_t v, cr0 = read_cr0(), cr4 = read_cr4(), ts = cr0 | 8, pge = cr4 ^ 0x80;

    for (uint64_t i = 0; i < 16; i++) {
        do_cr8(&i);
        __asm__ volatile("mov %%cr8, %0" : "=r"(v));
        EXPECT(v == i, "CR8 %lu, wrote %lu", v, i);
    }
    v = 0;
    do_cr8(&v);
    __asm__ volatile("mov %1, %%cr2; mov %%cr2, %0" : "=r"(v) : "r"(0xffff888012345678ul));
    EXPECT(v == 0xffff888012345678, "CR2 %lx", v);
    do_cr0(&ts);
    EXPECT(read_cr0() == ts, "CR0 %lx, wrote %lx", read_cr0(), ts);
    __asm__ volatile("clts");
    EXPECT(!(read_cr0() & 8), "CLTS left TS");
    __asm__ volatile("smsw %0" : "=r"(v));
    EXPECT((v & 0xffff) == (cr0 & 0xfff7), "SMSW %lx, CR0 %lx", v, cr0);
    __asm__ volatile("lmsw %w0" ::"r"(v | 8));
    EXPECT(read_cr0() & 8, "LMSW did not set TS");
    do_cr0(&cr0);
    do_cr4(&pge);
    EXPECT(read_cr4() == pge, "CR4 %lx, wrote %lx", read_cr4(), pge);
    do_cr4(&cr4);
    v = read_cr3();
    do_cr3(&v);
    EXPECT(read_cr3() == v, "CR3 %lx, wrote %lx", read_cr3(), v);
}
MICRO_TEST(hvm_cr_roundtrip, "hvm-cr-roundtrip", PLATFORM_OWN);

/* ---- XSETBV ---- */

static void do_xsetbv(void *arg)
{
    struct access *a = arg;

    __asm__ volatile("xsetbv" ::"c"(a->nr), "a"((uint32_t)a->value), "d"((uint32_t)(a->value >> 32)));
}

static int xsetbv_try(uint32_t nr, uint64_t value)
{
    struct access a = {nr, value};
    struct trap_caught c;

    return trap_try(do_xsetbv, &a, &c);
}

static void hvm_xsetbv(void)
{
    uint64_t cr4 = read_cr4(), with = cr4 | CR4_OSXSAVE, all;
    uint32_t lo, hi;

    if (!(cpuid_bare(1, 0).c & CPUID1_XSAVE)) {
        EXPECT_RC(xsetbv_try(0, 1), VEC_UD);
        test_note("no XSAVE");
        return;
    }
    do_cr4(&with);
    EXPECT(cpuid_bare(1, 0).c >> 27 & 1, "CPUID does not follow CR4.OSXSAVE");
    all = cpuid_bare(0xd, 0).a;
    EXPECT_RC(xsetbv_try(0, 0), VEC_GP);
    EXPECT_RC(xsetbv_try(0, 2), VEC_GP);
    EXPECT_RC(xsetbv_try(0, 5), VEC_GP);
    EXPECT_RC(xsetbv_try(1, 1), VEC_GP);
    EXPECT_RC(xsetbv_try(0, 1ul << 62 | 1), VEC_GP);
    EXPECT_RC(xsetbv_try(0, all | 1ul << 40 | 1), VEC_GP);
    EXPECT_RC(xsetbv_try(0, 3), -1);
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    EXPECT(lo == 3 && hi == 0, "XCR0 %x %x", lo, hi);
    EXPECT_RC(xsetbv_try(0, 1), -1);
    do_cr4(&cr4);
    EXPECT(!(cpuid_bare(1, 0).c >> 27 & 1), "CPUID does not follow CR4.OSXSAVE back");
}
MICRO_TEST(hvm_xsetbv, "hvm-xsetbv", PLATFORM_OWN);

/* ---- ports ---- */

static uint16_t inw(uint16_t port)
{
    uint16_t v;

    __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

/* Nobody answers at this port: all ones, in the width of the access; the rest of rax as the width wants it. */
#define PORT_NONE 0x1f38

static void hvm_port_absent(void)
{
    uint64_t rax;

    EXPECT(inb(PORT_NONE) == 0xff && inw(PORT_NONE) == 0xffff && inl(PORT_NONE) == 0xffffffff, "%x %x %x", inb(PORT_NONE),
           inw(PORT_NONE), inl(PORT_NONE));
    __asm__ volatile("inb %w1, %%al" : "=a"(rax) : "d"(PORT_NONE), "0"(0x1122334455667700ul));
    EXPECT(rax == 0x11223344556677ff, "inb: rax %lx", rax);
    __asm__ volatile("inw %w1, %%ax" : "=a"(rax) : "d"(PORT_NONE), "0"(0x1122334455660000ul));
    EXPECT(rax == 0x112233445566ffff, "inw: rax %lx", rax);
    __asm__ volatile("inl %w1, %%eax" : "=a"(rax) : "d"(PORT_NONE), "0"(0x1122334400000000ul));
    EXPECT(rax == 0xffffffff, "inl: rax %lx", rax);
    outb(PORT_NONE, 0);
    outw(PORT_NONE, 0);
    outl(PORT_NONE, 0);
    inl(0xffff); /* the last port and three behind it */
}
MICRO_TEST(hvm_port_absent, "hvm-port-absent", PLATFORM_OWN);

struct string {
    uint64_t rdi, rcx;
};

static void do_insb(void *arg)
{
    struct string *s = arg;

    __asm__ volatile("rep insb" : "+D"(s->rdi), "+c"(s->rcx) : "d"(PORT_NONE) : "memory");
}

/* String forms: the buffer, the count, backwards, across a page, and a buffer that ends in the middle. */
static void hvm_port_string(void)
{
    uint8_t *page = page_alloc();
    struct string s = {PTR(page) + 16, 5};
    uint64_t rsi = PTR(page), rcx = 0;
    struct trap_caught c;

    do_insb(&s);
    EXPECT(s.rcx == 0 && s.rdi == PTR(page) + 21, "rcx %lu, rdi %lx", s.rcx, s.rdi);
    EXPECT(page[15] == 0 && page[16] == 0xff && page[20] == 0xff && page[21] == 0, "%x %x %x %x", page[15], page[16], page[20],
           page[21]);
    __asm__ volatile("rep outsb" : "+S"(rsi), "+c"(rcx) : "d"(PORT_NONE) : "memory");
    EXPECT(rsi == PTR(page) && rcx == 0, "none: rsi %lx rcx %lu", rsi, rcx);
    rcx = 3;
    rsi = PTR(page) + 8;
    __asm__ volatile("std; rep outsw; cld" : "+S"(rsi), "+c"(rcx) : "d"(PORT_NONE) : "memory");
    EXPECT(rsi == PTR(page) + 2 && rcx == 0, "backwards: rsi %lx rcx %lu", rsi, rcx);
    pte_write(window_va(0), mfn_of(page) << PAGE_SHIFT | PTE_RW);
    s = (struct string){window_va(1) - 3, 9};
    EXPECT_RC(trap_try(do_insb, &s, &c), VEC_PF);
    EXPECT(c.cr2 == window_va(1) && c.frame.rcx == 6 && c.frame.rdi == window_va(1), "cr2 %lx rcx %lu rdi %lx", c.cr2,
           c.frame.rcx, c.frame.rdi);
    EXPECT(c.frame.error == 2, "error %lx", c.frame.error);
    EXPECT(page[PAGE_SIZE - 4] == 0 && page[PAGE_SIZE - 3] == 0xff && page[PAGE_SIZE - 1] == 0xff, "the bytes before the fault");
    pte_write(window_va(0), mfn_of(page) << PAGE_SHIFT | PTE_RO);
    s = (struct string){window_va(0), 1};
    EXPECT_RC(trap_try(do_insb, &s, &c), VEC_PF);
    EXPECT(c.frame.error == 3, "into a read-only page: error %lx", c.frame.error);
    pte_write(window_va(0), 0);
    page_free(page);
}
MICRO_TEST(hvm_port_string, "hvm-port-string", PLATFORM_OWN);

/* User mode may use no port, and no hypercall. */
extern char u_in[], u_cli[], u_hlt[], u_vmmcall[], u_vmcall[], gate_vmcall[];
extern void *hypercall_gate;

static void hvm_user(void)
{
    static const struct {
        const char *what, *piece;
    } t[] = {{"in", u_in}, {"cli", u_cli}, {"hlt", u_hlt}};
    struct trap_caught c;

    for (unsigned i = 0; i < sizeof(t) / sizeof(*t); i++) {
        struct user_regs r = user_entry(t[i].piece);
        int vector = user_run(&r, &c);

        EXPECT(vector == VEC_GP && c.frame.rip == r.rip, "%s: vector %d at %lx", t[i].what, vector, c.frame.rip);
    }
}
MICRO_TEST(hvm_user, "hvm-user-refused", PLATFORM_OWN);

static void hvm_user_hypercall(void)
{
    struct user_regs r = user_entry(hypercall_gate == gate_vmcall ? u_vmcall : u_vmmcall);
    struct trap_caught c;

    r.rax = __HYPERVISOR_xen_version;
    r.rdi = XENVER_version;
    EXPECT_RC(user_run(&r, &c), VEC_SYSCALL);
    EXPECT((long)c.frame.rax == -XEN_EPERM, "a hypercall of user mode: %ld", (long)c.frame.rax);
}
MICRO_TEST(hvm_user_hypercall, "hvm-user-hypercall", PLATFORM_PVH);

/* ---- what such a guest has not ---- */

static void x_vmrun(void *arg) { __asm__ volatile("vmrun" ::"a"(0)); }
static void x_vmload(void *arg) { __asm__ volatile("vmload" ::"a"(0)); }
static void x_vmsave(void *arg) { __asm__ volatile("vmsave" ::"a"(0)); }
static void x_stgi(void *arg) { __asm__ volatile("stgi"); }
static void x_clgi(void *arg) { __asm__ volatile("clgi"); }
static void x_skinit(void *arg) { __asm__ volatile("skinit" ::"a"(0)); }
static void x_invlpga(void *arg) { __asm__ volatile("invlpga" ::"a"(0), "c"(0)); }
static void x_vmlaunch(void *arg) { __asm__ volatile("vmlaunch"); }
static void x_rsm(void *arg) { __asm__ volatile("rsm"); }
static void x_rdpmc(void *arg) { __asm__ volatile("rdpmc" ::"c"(0) : "eax", "edx"); }
static void x_mwait(void *arg) { __asm__ volatile("mwait" ::"a"(0), "c"(0)); }

static void hvm_forbidden(void)
{
    static const struct {
        const char *what;
        void (*fn)(void *);
    } t[] = {{"vmrun", x_vmrun}, {"vmload", x_vmload},   {"vmsave", x_vmsave}, {"stgi", x_stgi},   {"clgi", x_clgi},
             {"skinit", x_skinit}, {"invlpga", x_invlpga}, {"vmlaunch", x_vmlaunch},   {"rsm", x_rsm}};
    struct trap_caught c;
    int vector;

    for (unsigned i = 0; i < sizeof(t) / sizeof(*t); i++) {
        vector = trap_try(t[i].fn, NULL, &c);
        EXPECT(vector == VEC_UD, "%s: vector %d", t[i].what, vector);
    }
    vector = trap_try(x_rdpmc, NULL, &c);
    EXPECT(vector == VEC_GP || vector == VEC_UD, "rdpmc: vector %d", vector);
    vector = trap_try(x_mwait, NULL, &c);
    EXPECT(vector == VEC_UD, "mwait: vector %d", vector);
}
MICRO_TEST(hvm_forbidden, "hvm-forbidden", PLATFORM_PVH);

static void do_wbinvd(void *arg)
{
    __asm__ volatile("wbinvd" ::: "memory");
}

static void do_invd(void *arg)
{
    __asm__ volatile("invd" ::: "memory");
}

/* Both do nothing for a guest, or are refused. */
static void hvm_cache(void)
{
    uint64_t v = 0x5a;

    struct trap_caught c;
    int vector = trap_try(do_wbinvd, NULL, &c);

    EXPECT(vector == -1 || vector == VEC_GP, "wbinvd: vector %d", vector);
    vector = trap_try(do_invd, NULL, &c); /* must not lose what is written */
    EXPECT(vector == -1 || vector == VEC_GP, "invd: vector %d", vector);
    EXPECT(*(volatile uint64_t *)&v == 0x5a, "a write was lost: %lx", v);
    invlpg(PTR(&v));
}
MICRO_TEST(hvm_cache, "hvm-cache", PLATFORM_OWN);

/* ---- what an exit must not disturb ---- */

static void step_over_cpuid(void *arg)
{
    __asm__ volatile("pushf; orl $0x100, (%%rsp); popf; nop" ::: "memory"); /* #DB after the nop */
}

static void step_cpuid(void *arg)
{
    uint32_t a = 0, c = 0;

    __asm__ volatile("pushf; orl $0x100, (%%rsp); popf; cpuid; nop; nop" : "+a"(a), "+c"(c)::"rbx", "rdx", "memory");
}

static void step_port(void *arg)
{
    __asm__ volatile("pushf; orl $0x100, (%%rsp); popf; inb $0x80, %%al; nop; nop" ::: "rax", "memory");
}

/* Single steps end behind the instruction that exited, not one later. */
static void hvm_single_step(void)
{
    struct trap_caught c;

    EXPECT_RC(trap_try(step_over_cpuid, NULL, &c), VEC_DB);
    EXPECT_RC(trap_try(step_cpuid, NULL, &c), VEC_DB);
    EXPECT(*(uint16_t *)(c.frame.rip - 2) == 0xa20f, "#DB at %lx, behind %x", c.frame.rip, *(uint16_t *)(c.frame.rip - 2));
    EXPECT_RC(trap_try(step_port, NULL, &c), VEC_DB);
    EXPECT(*(uint16_t *)(c.frame.rip - 2) == 0x80e4, "#DB at %lx, behind %x", c.frame.rip, *(uint16_t *)(c.frame.rip - 2));
}
MICRO_TEST(hvm_single_step, "hvm-single-step", PLATFORM_OWN);

/* An instruction that exits ends the shadow of STI like any other: the event comes behind it, not before and not later. */
static void hvm_sti_shadow(void)
{
    uint32_t port = port_ipi();
    uint64_t behind;

    events_reset_log();
    EXPECT_RC(port_send(port), 0);
    __asm__ volatile("lea 1f(%%rip), %0; xor %%eax, %%eax; sti; cpuid; 1: nop; nop; cli"
                     : "=&r"(behind)::"rax", "rbx", "rcx", "rdx", "memory");
    EXPECT(ev_upcalls >= 1, "no upcall");
    EXPECT(ev_rip == behind, "upcall at %lx, CPUID ends at %lx", ev_rip, behind);
    events_mask();
    EXPECT_RC(port_close(port), 0);
}
MICRO_TEST(hvm_sti_shadow, "hvm-sti-shadow", PLATFORM_PVH);

/* Data breakpoints are the guest's own, across exits. */
static void write_watched(void *arg)
{
    cpuid_bare(0, 0);
    *(volatile uint64_t *)arg = 1;
}

static void hvm_breakpoint(void)
{
    static uint64_t watched;
    struct trap_caught c;
    uint64_t dr6;

    __asm__ volatile("mov %0, %%dr6; mov %1, %%dr0; mov %2, %%dr7" ::"r"(0xffff0ff0ul), "r"(&watched), "r"(0xd0401ul));
    EXPECT_RC(trap_try(write_watched, &watched, &c), VEC_DB);
    __asm__ volatile("mov %%dr6, %0; mov %1, %%dr7" : "=&r"(dr6) : "r"(0x400ul));
    EXPECT(dr6 & 1, "DR6 %lx", dr6);
    EXPECT(watched == 1, "the write was lost");
}
MICRO_TEST(hvm_breakpoint, "hvm-breakpoint", PLATFORM_OWN);

/* x87 and SSE registers are the guest's own, across exits and a world switch. */
static void hvm_fpu(void)
{
    uint64_t cr0 = read_cr0(), off = cr0 & ~0xcul, cr4 = read_cr4(), on = cr4 | 0x600, got[2] = {0, 0};
    uint64_t want[2] = {0x0123456789abcdef, 0xfedcba9876543210};

    do_cr0(&off);
    do_cr4(&on);
    __asm__ volatile("movups %1, %%xmm5; fninit; fld1" ::"m"(got), "m"(want[0]));
    __asm__ volatile("movups %0, %%xmm7" ::"m"(want));
    for (unsigned i = 0; i < 100; i++)
        cpuid_bare(i & 1, 0);
    if (platform == PLATFORM_PVH)
        hc_sched_op(SCHEDOP_yield, NULL);
    __asm__ volatile("movups %%xmm7, %0; fstp %%st" : "=m"(got));
    EXPECT(got[0] == want[0] && got[1] == want[1], "xmm7 %lx %lx", got[0], got[1]);
    do_cr4(&cr4);
    do_cr0(&cr0);
}
MICRO_TEST(hvm_fpu, "hvm-fpu", PLATFORM_OWN);

/* SPDX-License-Identifier: MIT */
/*
 * xen_version operations, and what an unknown hypercall answers.
 */
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"
#include <xen/features.h>

static void version_number(void)
{
    long v = hc_xen_version(XENVER_version, NULL);

    EXPECT(v == 0x40011, "version %lx, want 4.17", (uint64_t)v);
}
MICRO_TEST(version_number, "version-number", PLATFORM_XEN);

static void version_strings(void)
{
    xen_extraversion_t extra = {0};
    xen_capabilities_info_t caps = {0};
    xen_changeset_info_t changeset = {0};
    struct xen_compile_info compile = {0};
    static xen_commandline_t cmdline;
    bool found = false;

    EXPECT_RC(hc_xen_version(XENVER_extraversion, extra), 0);
    EXPECT(extra[0], "empty extraversion");
    EXPECT_RC(hc_xen_version(XENVER_capabilities, caps), 0);
    for (unsigned i = 0; caps[i]; i++)
        found |= str_starts(&caps[i], "xen-3.0-x86_64");
    EXPECT(found, "capabilities lack xen-3.0-x86_64: %s", caps);
    EXPECT_RC(hc_xen_version(XENVER_changeset, changeset), 0);
    EXPECT_RC(hc_xen_version(XENVER_compile_info, &compile), 0);
    EXPECT_RC(hc_xen_version(XENVER_commandline, cmdline), 0);
    test_note("4.17%s", extra);
}
MICRO_TEST(version_strings, "version-strings", PLATFORM_XEN);

static void version_facts(void)
{
    struct xen_platform_parameters p = {0};
    struct xen_feature_info f = {.submap_idx = 0};
    struct xen_feature_info bad = {.submap_idx = 1};

    EXPECT_RC(hc_xen_version(XENVER_pagesize, NULL), (long)PAGE_SIZE);
    EXPECT_RC(hc_xen_version(XENVER_platform_parameters, &p), 0);
    EXPECT(p.virt_start == HV_START, "virt_start %lx", p.virt_start);
    EXPECT_RC(hc_xen_version(XENVER_get_features, &f), 0);
    EXPECT(platform != PLATFORM_PV || f.submap & (1u << XENFEAT_mmu_pt_update_preserve_ad),
           "features %x", f.submap);
    EXPECT(!(f.submap & (1u << XENFEAT_writable_page_tables)) == (platform == PLATFORM_PV),
           "features %x", f.submap);
    EXPECT(!(f.submap & (1u << XENFEAT_auto_translated_physmap)) == (platform == PLATFORM_PV),
           "features %x", f.submap);
    EXPECT(!(f.submap & (1u << XENFEAT_hvm_callback_vector)) == (platform == PLATFORM_PV),
           "features %x", f.submap);
    EXPECT(!!(f.submap & (1u << XENFEAT_dom0)) == !!(start_flags & SIF_INITDOMAIN),
           "features %x", f.submap);
    EXPECT_RC(hc_xen_version(XENVER_get_features, &bad), -XEN_EINVAL);
}
MICRO_TEST(version_facts, "version-facts", PLATFORM_XEN);

static void version_build_id(void)
{
    struct {
        xen_build_id_t head;
        uint8_t room[64];
    } b = {.head.len = 64};
    long n = hc_xen_version(XENVER_build_id, NULL);

    if (!privileged()) {
        EXPECT(n == -XEN_EPERM, "for an unprivileged domain: %ld", n);
        return;
    }
    EXPECT(n > 0 && n <= 64, "length %ld", n);
    EXPECT_RC(hc_xen_version(XENVER_build_id, &b), n);
    b.head.len = 1;
    EXPECT_RC(hc_xen_version(XENVER_build_id, &b), -XEN_ENOBUFS);
}
MICRO_TEST(version_build_id, "version-build-id", PLATFORM_XEN);

static void version_errors(void)
{
    EXPECT_RC(hc_xen_version(99, NULL), -XEN_ENOSYS);
    EXPECT_RC(hc_xen_version(XENVER_extraversion, (void *)HV_START), -XEN_EFAULT);
    EXPECT_RC(hc_xen_version(XENVER_capabilities, (void *)window_va(9)), -XEN_EFAULT);
}
MICRO_TEST(version_errors, "version-errors", PLATFORM_XEN);

static void hypercall_unknown(void)
{
    static const uint64_t numbers[] = {
        11,  43,   47,         55,         63,        64,
        127, 1000, 0x7fffffff, 0xffffffff, 1ul << 32, 1ul << 32 | __HYPERVISOR_xen_version,
        ~0ul};

    for (unsigned i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        long rc = raw_hypercall(numbers[i], XENVER_version, 0);

        EXPECT(rc == -XEN_ENOSYS, "hypercall %lx = %ld", numbers[i], rc);
    }
    EXPECT(raw_hypercall(__HYPERVISOR_xen_version, XENVER_version, 0) > 0,
           "a direct SYSCALL fails");
    EXPECT_RC(hypercall(__HYPERVISOR_xsm_op, 0, 0, 0, 0, 0), -XEN_ENOSYS);
    EXPECT_RC(hypercall(__HYPERVISOR_tmem_op, 0, 0, 0, 0, 0), -XEN_ENOSYS);
}
MICRO_TEST(hypercall_unknown, "hypercall-unknown", PLATFORM_XEN);

/* The argument registers may be clobbered; all others, and the stack, must not. */
static void hypercall_registers(void)
{
    register uint64_t r9 __asm__("r9") = 0x9999, r12 __asm__("r12") = 0x1212;
    register uint64_t r13 __asm__("r13") = 0x1313, r14 __asm__("r14") = 0x1414;
    register uint64_t r15 __asm__("r15") = 0x1515;
    uint64_t rax = __HYPERVISOR_xen_version, rdi = XENVER_version, rsi = 0, rbx = 0xbbbb;

    __asm__ volatile("syscall"
                     : "+a"(rax), "+D"(rdi), "+S"(rsi), "+b"(rbx), "+r"(r9), "+r"(r12), "+r"(r13),
                       "+r"(r14), "+r"(r15)
                     :
                     : "rcx", "rdx", "r8", "r10", "r11", "memory");
    EXPECT(rax == 0x40011, "rax %lx", rax);
    EXPECT(rbx == 0xbbbb && r9 == 0x9999 && r12 == 0x1212 && r13 == 0x1313 && r14 == 0x1414 &&
               r15 == 0x1515,
           "a register was lost");
}
MICRO_TEST(hypercall_registers, "hypercall-registers", PLATFORM_PV);

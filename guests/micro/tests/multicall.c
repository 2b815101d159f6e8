/* SPDX-License-Identifier: MIT */
/*
 * multicall: each entry gets its own result, an error does not stop the rest, nesting is refused.
 */
#include "frames.h"

static struct multicall_entry version_call(void)
{
    return (struct multicall_entry){.op = __HYPERVISOR_xen_version, .args = {XENVER_version, 0}};
}

static void multicall_results(void)
{
    uint64_t *a = page_alloc();
    struct multicall_entry m[6] = {
        version_call(),
        {.op = __HYPERVISOR_update_va_mapping,
         .args = {window_va(0), ENTRY_OF(a, PTE_RW), UVMF_INVLPG}},
        {.op = 63},
        {.op = __HYPERVISOR_update_va_mapping, .args = {HV_START, ENTRY_OF(a, PTE_RW), 0}},
        {.op = ~0ul},
        version_call(),
    };

    EXPECT_RC(hc_multicall(m, 6), 0);
    EXPECT(m[0].result == 0x40011 && m[5].result == 0x40011, "version %lx, %lx", m[0].result,
           m[5].result);
    EXPECT(m[1].result == 0 && (window_l1[0] & PTE_P), "mapping: %ld", (long)m[1].result);
    EXPECT((long)m[2].result == -XEN_ENOSYS, "unknown: %ld", (long)m[2].result);
    EXPECT((long)m[3].result == -XEN_EINVAL, "bad address: %ld", (long)m[3].result);
    EXPECT((long)m[4].result == -XEN_ENOSYS, "huge: %ld", (long)m[4].result);
    EXPECT_RC(hc_multicall(m, 0), 0);
    EXPECT_RC(pte_write(window_va(0), 0), 0);
    page_free(a);
}
MICRO_TEST(multicall_results, "multicall-results", PLATFORM_PV);

static void multicall_errors(void)
{
    EXPECT_RC(hc_multicall((void *)HV_START, 1), -XEN_EFAULT);
    EXPECT_RC(hc_multicall((void *)window_va(9), 1), -XEN_EFAULT);
}
MICRO_TEST(multicall_errors, "multicall-errors", PLATFORM_XEN);

static void multicall_nested(void)
{
    struct multicall_entry inner[1] = {version_call()};
    struct multicall_entry outer[2] = {
        {.op = __HYPERVISOR_multicall, .args = {PTR(inner), 1}},
        version_call(),
    };

    EXPECT_RC(hc_multicall(outer, 2), 0);
    EXPECT((long)outer[0].result == -XEN_EINVAL, "nested: %ld", (long)outer[0].result);
    EXPECT(outer[1].result == 0x40011, "the call after it: %lx", outer[1].result);
    EXPECT(inner[0].result == 0, "the inner call ran");
}
MICRO_TEST(multicall_nested, "multicall-nested", PLATFORM_XEN);

/* Longer than any slice: the hypervisor may stop and go on, nothing is lost or done twice. */
static void multicall_long(void)
{
    enum { N = 2000 };
    static struct multicall_entry m[N];
    uint64_t *a = page_alloc();

    for (unsigned i = 0; i < N; i++)
        m[i] = (struct multicall_entry){
            .op = __HYPERVISOR_update_va_mapping,
            .args = {window_va(i % 512), ENTRY_OF(a, PTE_RW), UVMF_NONE},
        };
    EXPECT_RC(hc_multicall(m, N), 0);
    for (unsigned i = 0; i < N; i++)
        EXPECT(m[i].result == 0, "entry %u: %ld", i, (long)m[i].result);
    for (unsigned i = 0; i < 512; i++)
        m[i] =
            (struct multicall_entry){.op = __HYPERVISOR_update_va_mapping, .args = {window_va(i)}};
    EXPECT_RC(hc_multicall(m, 512), 0);
    hc_mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
    expect_frame_clean(a, "page");
    page_free(a);
}
MICRO_TEST(multicall_long, "multicall-long", PLATFORM_PV);

/* An mmu_update of many requests within a multicall, which may have to be continued from within. */
static void multicall_continued(void)
{
    enum { N = 2048 };
    static struct mmu_update u[N];
    uint64_t *a = page_alloc();
    unsigned done = 0;
    struct multicall_entry m[2] = {
        {.op = __HYPERVISOR_mmu_update, .args = {PTR(u), N, PTR(&done), DOMID_SELF}},
        version_call(),
    };

    for (unsigned i = 0; i < N; i++)
        u[i] = (struct mmu_update){pte_maddr(window_va(i % 512)),
                                   i < N - 512 ? ENTRY_OF(a, PTE_RW) : 0};
    EXPECT_RC(hc_multicall(m, 2), 0);
    EXPECT(m[0].result == 0 && done == N, "result %ld, done %u", (long)m[0].result, done);
    EXPECT(m[1].result == 0x40011, "version %lx", m[1].result);
    hc_mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
    expect_frame_clean(a, "page");
    page_free(a);
}
MICRO_TEST(multicall_continued, "multicall-continued", PLATFORM_PV);

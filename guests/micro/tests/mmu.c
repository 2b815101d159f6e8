/* SPDX-License-Identifier: MIT */
/*
 * Page-table hypercalls: update_va_mapping with each flush, mmu_update's commands, mmuext_op's.
 */
#include "frames.h"

/* A page whose first word is a mark. */
static uint64_t *marked_page(uint64_t mark)
{
    uint64_t *p = page_alloc();

    *p = mark;
    return p;
}

static uint64_t peek(uint64_t va)
{
    return *(volatile uint64_t *)va;
}

static void mmu_va_mapping_flushes(void)
{
    uint64_t *a = marked_page(0xa), *b = marked_page(0xb), va = window_va(0);
    static const uint64_t flags[] = {UVMF_TLB_FLUSH | UVMF_LOCAL, UVMF_INVLPG | UVMF_LOCAL,
                                     UVMF_TLB_FLUSH | UVMF_ALL, UVMF_INVLPG | UVMF_ALL};
    static uint64_t vcpus __attribute__((aligned(8))) = 1;

    for (unsigned i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
        EXPECT_RC(hc_update_va_mapping(va, ENTRY_OF(a, PTE_RW), flags[i]), 0);
        EXPECT(peek(va) == 0xa, "flags %lx: a not seen", flags[i]);
        EXPECT_RC(hc_update_va_mapping(va, ENTRY_OF(b, PTE_RW), flags[i]), 0);
        EXPECT(peek(va) == 0xb, "flags %lx: b not seen", flags[i]);
    }
    EXPECT_RC(hc_update_va_mapping(va, ENTRY_OF(a, PTE_RW), UVMF_INVLPG | UVMF_MULTI | PTR(&vcpus)),
              0);
    EXPECT(peek(va) == 0xa, "multi invlpg: a not seen");
    EXPECT_RC(
        hc_update_va_mapping(va, ENTRY_OF(b, PTE_RW), UVMF_TLB_FLUSH | UVMF_MULTI | PTR(&vcpus)),
        0);
    EXPECT(peek(va) == 0xb, "multi flush: b not seen");
    EXPECT_RC(hc_update_va_mapping(va, ENTRY_OF(a, PTE_RW), UVMF_NONE), 0);
    EXPECT_RC(hc_mmuext(MMUEXT_INVLPG_LOCAL, va, 0), 0);
    EXPECT(peek(va) == 0xa, "none, then invlpg: a not seen");
    EXPECT_RC(hc_update_va_mapping(va, 0, UVMF_INVLPG), 0);
    page_free(a);
    page_free(b);
}
MICRO_TEST(mmu_va_mapping_flushes, "mmu-va-mapping-flushes", PLATFORM_PV);

static void mmu_va_mapping_errors(void)
{
    uint64_t *a = page_alloc();
    long rc;

    EXPECT_RC(hc_update_va_mapping(HV_START, ENTRY_OF(a, PTE_RW), 0), -XEN_EINVAL);
    EXPECT_RC(hc_update_va_mapping(HV_END - PAGE_SIZE, ENTRY_OF(a, PTE_RW), 0), -XEN_EINVAL);
    EXPECT_RC(hc_update_va_mapping(0x0000300000000000, ENTRY_OF(a, PTE_RW), 0), -XEN_EINVAL);
    /* The set of vCPUs lies in the hypervisor: refused, or not even looked at where there is one
     * vCPU. */
    rc = hc_update_va_mapping(window_va(0), ENTRY_OF(a, PTE_RW), UVMF_INVLPG | HV_START);
    EXPECT(rc == -XEN_EFAULT || rc == 0, "vCPU set in the hypervisor: %ld", rc);
    pte_write(window_va(0), 0);
    page_free(a);
}
MICRO_TEST(mmu_va_mapping_errors, "mmu-va-mapping-errors", PLATFORM_PV);

/* What the guest asked for is what it reads back: address, P, W, NX, and the bits it may use. */
static void mmu_entry_readback(void)
{
    static const uint64_t bits[] = {
        PTE_P,           PTE_P | PTE_W,   PTE_P | PTE_NX,  PTE_P | PTE_W | PTE_A | PTE_D,
        PTE_P | PTE_PWT, PTE_P | PTE_PCD, PTE_P | 1ul << 9};
    uint64_t *a = page_alloc();

    for (unsigned i = 0; i < sizeof(bits) / sizeof(*bits); i++) {
        uint64_t want = ENTRY_OF(a, bits[i]), got;

        EXPECT_RC(pte_write(window_va(1), want), 0);
        got = pte_read(window_va(1));
        EXPECT(((got ^ want) & (PTE_ADDR | bits[i] | PTE_P | PTE_W | PTE_NX | PTE_PCD)) == 0,
               "wrote %lx, read %lx", want, got);
    }
    EXPECT_RC(pte_write(window_va(1), 0x123456789000), 0);
    EXPECT(pte_read(window_va(1)) == 0x123456789000, "a not-present entry changed: %lx",
           pte_read(window_va(1)));
    EXPECT_RC(pte_write(window_va(1), 0), 0);
    page_free(a);
}
MICRO_TEST(mmu_entry_readback, "mmu-entry-readback", PLATFORM_PV);

static void mmu_update_normal(void)
{
    enum { N = 64 };
    struct mmu_update u[N];
    uint64_t *page[4];
    unsigned done = 0;

    for (unsigned i = 0; i < 4; i++)
        page[i] = marked_page(i);
    for (unsigned i = 0; i < N; i++)
        u[i] = (struct mmu_update){pte_maddr(window_va(i)), ENTRY_OF(page[i % 4], PTE_RW)};
    EXPECT_RC(hc_mmu_update(u, N, &done, DOMID_SELF), 0);
    EXPECT(done == N, "done %u", done);
    for (unsigned i = 0; i < N; i++)
        EXPECT(peek(window_va(i)) == i % 4, "entry %u", i);
    for (unsigned i = 0; i < N; i++)
        u[i].val = 0;
    EXPECT_RC(hc_mmu_update(u, N, NULL, DOMID_SELF), 0);
    hc_mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
    for (unsigned i = 0; i < 4; i++)
        page_free(page[i]);
}
MICRO_TEST(mmu_update_normal, "mmu-update-normal", PLATFORM_PV);

/* The first bad request ends the batch; done says how many were carried out. */
static void mmu_update_partial(void)
{
    uint64_t *a = marked_page(1);
    struct mmu_update u[4];
    unsigned done = 99;

    for (unsigned i = 0; i < 4; i++)
        u[i] = (struct mmu_update){pte_maddr(window_va(i)), ENTRY_OF(a, PTE_RW)};
    u[2].val = ENTRY_OF(window_l1, PTE_RW);
    EXPECT(hc_mmu_update(u, 4, &done, DOMID_SELF) < 0, "a writable map of a table was accepted");
    EXPECT(done == 2, "done %u, want 2", done);
    EXPECT(window_l1[1] & PTE_P, "the second request is missing");
    EXPECT(!(window_l1[3] & PTE_P), "the fourth request was carried out");
    pte_write(window_va(0), 0);
    pte_write(window_va(1), 0);
    page_free(a);
}
MICRO_TEST(mmu_update_partial, "mmu-update-partial", PLATFORM_PV);

static void mmu_update_preserve_ad(void)
{
    uint64_t *a = marked_page(1), va = window_va(0), maddr = pte_maddr(va);

    EXPECT_RC(hc_mmu_update1(maddr, ENTRY_OF(a, PTE_P | PTE_W)), 0);
    EXPECT(!(window_l1[0] & (PTE_A | PTE_D)), "fresh entry %lx", window_l1[0]);
    *(volatile uint64_t *)va = 2;
    barrier();
    EXPECT((*(volatile uint64_t *)&window_l1[0] & (PTE_A | PTE_D)) == (PTE_A | PTE_D),
           "after a store %lx", window_l1[0]);
    EXPECT_RC(hc_mmu_update1(maddr | MMU_PT_UPDATE_PRESERVE_AD, ENTRY_OF(a, PTE_P)), 0);
    EXPECT((window_l1[0] & (PTE_A | PTE_D | PTE_W)) == (PTE_A | PTE_D), "A, D not preserved: %lx",
           window_l1[0]);
    EXPECT_RC(hc_mmu_update1(maddr | MMU_NORMAL_PT_UPDATE, ENTRY_OF(a, PTE_P)), 0);
    EXPECT(!(window_l1[0] & (PTE_A | PTE_D)), "a normal update kept A or D: %lx", window_l1[0]);
    EXPECT_RC(hc_mmu_update1(maddr | MMU_PT_UPDATE_NO_TRANSLATE, 0), 0);
    hc_mmuext(MMUEXT_INVLPG_LOCAL, va, 0);
    page_free(a);
}
MICRO_TEST(mmu_update_preserve_ad, "mmu-update-preserve-ad", PLATFORM_PV);

static void mmu_update_machphys(void)
{
    uint64_t *a = page_alloc(), mfn = mfn_of(a), pfn = machine_to_phys_mapping[mfn];
    volatile unsigned long *m2p = machine_to_phys_mapping;

    EXPECT_RC(hc_mmu_update1(mfn << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, 0x12345), 0);
    EXPECT(m2p[mfn] == 0x12345, "M2P %lx", m2p[mfn]);
    EXPECT_RC(hc_mmu_update1(mfn << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, pfn), 0);
    EXPECT(m2p[mfn] == pfn, "M2P %lx", m2p[mfn]);
    page_free(a);
}
MICRO_TEST(mmu_update_machphys, "mmu-update-machphys", PLATFORM_PV);

static void mmu_update_errors(void)
{
    uint64_t *a = page_alloc();
    struct mmu_update u = {maddr_of(a), 0};
    unsigned done = 99;

    EXPECT_RC(hc_mmu_update((void *)HV_START, 1, NULL, DOMID_SELF), -XEN_EFAULT);
    EXPECT_RC(hc_mmu_update((void *)window_va(9), 1, &done, DOMID_SELF), -XEN_EFAULT);
    EXPECT_RC(hc_mmu_update(&u, 1, NULL, 0x1234), -XEN_ESRCH);
    EXPECT_RC(hc_mmu_update(&u, 0, NULL, DOMID_SELF), 0);
    /* A plain page is no page table, but may be written through this call. */
    a[0] = 1;
    EXPECT_RC(hc_mmu_update(&u, 1, NULL, DOMID_SELF), 0);
    EXPECT(*(volatile uint64_t *)a == 0, "the plain write is missing");
    page_free(a);
}
MICRO_TEST(mmu_update_errors, "mmu-update-errors", PLATFORM_PV);

/* ---- pinning ---- */

static void mmu_pin_levels(void)
{
    uint64_t *leaf = page_alloc();

    for (int level = 1; level <= 4; level++) {
        struct table_tree t = tree_build(ENTRY_OF(leaf, PTE_RW));

        EXPECT_RC(pin(level, t.t[level - 1]), 0);
        for (int l = 1; l <= level; l++)
            EXPECT(page_writable(t.t[l - 1]) != 0, "level %d of a pinned L%d became writable", l,
                   level);
        EXPECT_RC(unpin(t.t[level - 1]), 0);
        tree_free(&t);
    }
    expect_frame_clean(leaf, "leaf");
    page_free(leaf);
}
MICRO_TEST(mmu_pin_levels, "mmu-pin-levels", PLATFORM_PV);

static void mmu_pin_full_l1(void)
{
    uint64_t *leaf = page_alloc(), *l1 = page_alloc();

    for (unsigned i = 0; i < 512; i++)
        l1[i] = ENTRY_OF(leaf, PTE_RW);
    EXPECT_RC(page_readonly(l1), 0);
    EXPECT_RC(pin(1, l1), 0);
    EXPECT(page_readonly(leaf) == 0 && pin(1, leaf) != 0,
           "a frame mapped writable 512 times was pinned");
    EXPECT_RC(unpin(l1), 0);
    table_free(l1);
    expect_frame_clean(leaf, "leaf");
    page_free(leaf);
}
MICRO_TEST(mmu_pin_full_l1, "mmu-pin-full-l1", PLATFORM_PV);

static void mmu_pin_errors(void)
{
    uint64_t *t = table_alloc();

    EXPECT_RC(unpin(t), -XEN_EINVAL);
    EXPECT_RC(pin(1, t), 0);
    EXPECT_RC(pin(1, t), -XEN_EINVAL);
    EXPECT_RC(pin(2, t), -XEN_EINVAL);
    EXPECT_RC(unpin(t), 0);
    EXPECT_RC(unpin(t), -XEN_EINVAL);
    EXPECT_RC(hc_mmuext(MMUEXT_PIN_L1_TABLE, 0xffffffff, 0), -XEN_EINVAL);
    EXPECT_RC(hc_mmuext(99, 0, 0), -XEN_ENOSYS);
    table_free(t);
}
MICRO_TEST(mmu_pin_errors, "mmu-pin-errors", PLATFORM_PV);

/* ---- base pointers ---- */

/* A copy of the kernel's root that shares everything the guest has below it. */
static uint64_t *copy_of_root(void)
{
    uint64_t *l4 = page_alloc();

    for (unsigned i = 0; i < 512; i++) {
        if (i < 256 || i > 271)
            l4[i] = kernel_l4[i];
    }
    EXPECT_RC(page_readonly(l4), 0);
    return l4;
}

static void mmu_new_baseptr(void)
{
    uint64_t *l4 = copy_of_root(), cr3;

    EXPECT_RC(pin(4, l4), 0);
    EXPECT_RC(hc_mmuext(MMUEXT_NEW_BASEPTR, mfn_of(l4), 0), 0);
    cr3 = read_cr3();
    EXPECT(cr3 >> PAGE_SHIFT == mfn_of(l4), "cr3 %lx", cr3);
    EXPECT_RC(unpin(l4), 0);
    EXPECT(page_writable(l4) != 0, "the root in use became writable");
    EXPECT_RC(hc_mmuext(MMUEXT_NEW_BASEPTR, mfn_of(kernel_l4), 0), 0);
    table_free(l4);
}
MICRO_TEST(mmu_new_baseptr, "mmu-new-baseptr", PLATFORM_PV);

/* Installing a root that is not pinned validates it then and there. */
static void mmu_new_baseptr_unpinned(void)
{
    uint64_t *l4 = copy_of_root(), *bad = table_alloc();

    EXPECT_RC(hc_mmuext(MMUEXT_NEW_BASEPTR, mfn_of(l4), 0), 0);
    EXPECT_RC(hc_mmuext(MMUEXT_NEW_BASEPTR, mfn_of(kernel_l4), 0), 0);
    EXPECT_RC(hc_mmuext(MMUEXT_NEW_BASEPTR, 0xfffffffful, 0), -XEN_EINVAL);
    EXPECT(read_cr3() >> PAGE_SHIFT == mfn_of(kernel_l4), "a refused root was installed");
    table_free(l4);
    table_free(bad);
}
MICRO_TEST(mmu_new_baseptr_unpinned, "mmu-new-baseptr-unpinned", PLATFORM_PV);

extern char u_load[], u_syscall[];

static void mmu_new_user_baseptr(void)
{
    uint64_t *l4 = page_alloc();
    struct user_regs r = user_entry(u_syscall);
    struct trap_caught c;

    l4[USER_VA >> 39 & 511] = user_l4[USER_VA >> 39 & 511];
    EXPECT_RC(page_readonly(l4), 0);
    EXPECT_RC(pin(4, l4), 0);
    EXPECT_RC(hc_mmuext(MMUEXT_NEW_USER_BASEPTR, mfn_of(l4), 0), 0);
    EXPECT_RC(user_run(&r, &c), VEC_SYSCALL);
    EXPECT(page_writable(l4) != 0, "the user root in use became writable");
    EXPECT_RC(hc_mmuext(MMUEXT_NEW_USER_BASEPTR, mfn_of(user_l4), 0), 0);
    EXPECT_RC(unpin(l4), 0);
    table_free(l4);
    EXPECT_RC(user_run(&r, &c), VEC_SYSCALL);
    EXPECT_RC(hc_mmuext(MMUEXT_NEW_USER_BASEPTR, 0xffffffff, 0), -XEN_EINVAL);
    EXPECT_RC(hc_mmuext(MMUEXT_NEW_USER_BASEPTR, 0, 0), 0);
    EXPECT_RC(hc_mmuext(MMUEXT_NEW_USER_BASEPTR, mfn_of(user_l4), 0), 0);
    EXPECT_RC(user_run(&r, &c), VEC_SYSCALL);
}
MICRO_TEST(mmu_new_user_baseptr, "mmu-new-user-baseptr", PLATFORM_PV);

/* ---- flushes and pages ---- */

static void mmu_flush_ops(void)
{
    uint64_t *a = marked_page(0xa), *b = marked_page(0xb), va = window_va(0), vcpus = 1;
    long rc;
    struct {
        unsigned cmd;
        uint64_t arg1, arg2;
    } f[] = {
        {MMUEXT_TLB_FLUSH_LOCAL, 0, 0},
        {MMUEXT_INVLPG_LOCAL, va, 0},
        {MMUEXT_TLB_FLUSH_ALL, 0, 0},
        {MMUEXT_INVLPG_ALL, va, 0},
        {MMUEXT_TLB_FLUSH_MULTI, 0, PTR(&vcpus)},
        {MMUEXT_INVLPG_MULTI, va, PTR(&vcpus)},
    };

    for (unsigned i = 0; i < sizeof(f) / sizeof(*f); i++) {
        uint64_t *page = i & 1 ? a : b;

        EXPECT_RC(hc_mmu_update1(pte_maddr(va), ENTRY_OF(page, PTE_RW)), 0);
        EXPECT(hc_mmuext(f[i].cmd, f[i].arg1, f[i].arg2) == 0, "command %u", f[i].cmd);
        EXPECT(peek(va) == *page, "command %u did not flush", f[i].cmd);
    }
    EXPECT_RC(hc_mmuext(MMUEXT_FLUSH_CACHE, 0, 0), privileged() ? 0 : -XEN_EACCES);
    rc = hc_mmuext(MMUEXT_INVLPG_MULTI, va, HV_START);
    EXPECT(rc == -XEN_EINVAL || rc == 0, "vCPU set in the hypervisor: %ld", rc);
    EXPECT_RC(pte_write(va, 0), 0);
    page_free(a);
    page_free(b);
}
MICRO_TEST(mmu_flush_ops, "mmu-flush-ops", PLATFORM_PV);

static void mmu_clear_copy_page(void)
{
    uint64_t *a = marked_page(0xa), *b = page_alloc();

    a[511] = 0xaa;
    EXPECT_RC(hc_mmuext(MMUEXT_COPY_PAGE, mfn_of(b), mfn_of(a)), 0);
    EXPECT(b[0] == 0xa && b[511] == 0xaa, "not copied");
    EXPECT_RC(hc_mmuext(MMUEXT_CLEAR_PAGE, mfn_of(b), 0), 0);
    EXPECT(*(volatile uint64_t *)b == 0 && b[511] == 0, "not cleared");
    EXPECT(hc_mmuext(MMUEXT_CLEAR_PAGE, mfn_of(window_l1), 0) < 0, "a page table was cleared");
    EXPECT(hc_mmuext(MMUEXT_COPY_PAGE, mfn_of(window_l1), mfn_of(a)) < 0,
           "a page table was copied over");
    EXPECT(window_l1[0] == 0 && pt_entry(WINDOW_VA, 1) == window_l1, "the window's table changed");
    page_free(a);
    page_free(b);
}
MICRO_TEST(mmu_clear_copy_page, "mmu-clear-copy-page", PLATFORM_PV);

/* Several commands in one call; the first error ends it and done tells. */
static void mmu_ext_batch(void)
{
    uint64_t *t = table_alloc();
    struct mmuext_op op[4] = {
        {.cmd = MMUEXT_PIN_L1_TABLE, .arg1.mfn = mfn_of(t)},
        {.cmd = MMUEXT_UNPIN_TABLE, .arg1.mfn = mfn_of(t)},
        {.cmd = MMUEXT_UNPIN_TABLE, .arg1.mfn = mfn_of(t)},
        {.cmd = MMUEXT_PIN_L1_TABLE, .arg1.mfn = mfn_of(t)},
    };
    unsigned done = 99;

    EXPECT_RC(hc_mmuext_op(op, 4, &done, DOMID_SELF), -XEN_EINVAL);
    EXPECT(done == 2, "done %u", done);
    EXPECT_RC(hc_mmuext_op(op, 2, &done, DOMID_SELF), 0);
    EXPECT(done == 2, "done %u", done);
    EXPECT_RC(hc_mmuext_op((void *)HV_START, 1, NULL, DOMID_SELF), -XEN_EFAULT);
    EXPECT_RC(hc_mmuext_op(op, 2, NULL, 0x1234), -XEN_ESRCH);
    table_free(t);
}
MICRO_TEST(mmu_ext_batch, "mmu-ext-batch", PLATFORM_PV);

/* A long batch is worked off completely although the hypervisor may stop and go on in between. */
static void mmu_update_long(void)
{
    enum { N = 4096 };
    static struct mmu_update u[N];
    uint64_t *a = marked_page(7);
    unsigned done = 0;

    for (unsigned i = 0; i < N; i++)
        u[i] = (struct mmu_update){pte_maddr(window_va(i % 512)),
                                   ENTRY_OF(a, i % 2 ? PTE_RW : PTE_RO)};
    EXPECT_RC(hc_mmu_update(u, N, &done, DOMID_SELF), 0);
    EXPECT(done == N, "done %u", done);
    for (unsigned i = 0; i < 512; i++)
        u[i].val = 0;
    EXPECT_RC(hc_mmu_update(u, 512, NULL, DOMID_SELF), 0);
    hc_mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
    expect_frame_clean(a, "page");
    page_free(a);
}
MICRO_TEST(mmu_update_long, "mmu-update-long", PLATFORM_PV);

/* SPDX-License-Identifier: MIT */
/*
 * Attacks on the page-table invariant: no writable mapping of a table, no mapping of what is not
 * the domain's.
 *
 * Each asserts the errno, that the entry is as it was, and by expect_frame_clean() that every frame
 * involved can still be pinned, unpinned and written: no count was lost or left behind. None may
 * end the domain.
 */
#include "frames.h"

/* The tables in force for an address, one per level. */
static uint64_t *table_in_force(uint64_t va, int level)
{
    return (uint64_t *)(PTR(pt_entry(va, level)) & ~(PAGE_SIZE - 1));
}

/* ---- writable maps of tables ---- */

static void writable_own_tables(void)
{
    static const char *const what[] = {"L1", "L2", "L3", "L4"};
    struct table_tree t = tree_build(0);

    for (int level = 1; level <= 4; level++)
        expect_l1_refused(ENTRY_OF(table_in_force(WINDOW_VA, level), PTE_RW), -XEN_EBUSY,
                          what[level - 1]);
    expect_l1_refused(ENTRY_OF(user_l4, PTE_RW), -XEN_EBUSY, "user L4");
    EXPECT_RC(pin(4, t.t[3]), 0);
    for (int level = 1; level <= 4; level++)
        expect_l1_refused(ENTRY_OF(t.t[level - 1], PTE_RW), -XEN_EBUSY, "pinned");
    EXPECT_RC(unpin(t.t[3]), 0);
    for (int i = 0; i < 4; i++)
        expect_frame_clean(t.t[i], what[i]);
    tree_free(&t);
}
MICRO_TEST(writable_own_tables, "attack-writable-table", PLATFORM_PV);

/* The other way round: a page with a writable mapping does not become a table of any level, by pin
 * or entry. */
static void table_of_writable(void)
{
    uint64_t *page = page_alloc();

    for (int level = 1; level <= 4; level++)
        EXPECT(pin(level, page) == -XEN_EINVAL, "pin L%d of a writable page: %ld", level,
               pin(level, page));
    for (int level = 2; level <= 4; level++) {
        uint64_t *e = pt_entry(WINDOW_VA, level) + 1; /* the empty neighbour */
        long rc;

        REQUIRE(*e == 0, "the neighbour at level %d is in use", level);
        rc = hc_mmu_update1(maddr_of(e), ENTRY_OF(page, PTE_TABLE));
        EXPECT(rc == -XEN_EINVAL, "level %d entry: %ld", level, rc);
        EXPECT(*(volatile uint64_t *)e == 0, "level %d: an entry was left", level);
    }
    page[0] = 1;
    expect_frame_clean(page, "page");
    page_free(page);
}
MICRO_TEST(table_of_writable, "attack-table-of-writable", PLATFORM_PV);

/* A table that maps itself, or its own parents, writable is refused as a whole. */
static void writable_inside_pin(void)
{
    for (int level = 1; level <= 4; level++) {
        struct table_tree t = tree_build(0);
        long rc;

        EXPECT_RC(page_writable(t.t[0]), 0);
        t.t[0][7] = ENTRY_OF(t.t[level - 1], PTE_RW);
        EXPECT_RC(page_readonly(t.t[0]), 0);
        rc = pin(4, t.t[3]);
        EXPECT(rc < 0, "an L4 whose L1 maps its L%d writable was pinned", level);
        for (int i = 0; i < 4; i++)
            expect_frame_clean(t.t[i], "member");
        tree_free(&t);
    }
}
MICRO_TEST(writable_inside_pin, "attack-writable-inside-pin", PLATFORM_PV);

/* ---- reserved slots and bits ---- */

static void hypervisor_slots(void)
{
    struct table_tree t = tree_build(0);
    uint64_t before[16];

    EXPECT_RC(pin(3, t.t[2]), 0);
    for (unsigned i = 0; i < 16; i++) {
        uint64_t *e = &kernel_l4[256 + i];
        long rc;

        before[i] = *e;
        rc = hc_mmu_update1(maddr_of(e), ENTRY_OF(t.t[2], PTE_TABLE));
        EXPECT(rc == -XEN_EINVAL, "slot %u: %ld", 256 + i, rc);
        rc = hc_mmu_update1(maddr_of(e), 0);
        EXPECT(rc == -XEN_EINVAL, "slot %u cleared: %ld", 256 + i, rc);
        EXPECT(((*(volatile uint64_t *)e ^ before[i]) & ~(PTE_A | PTE_D)) == 0, "slot %u changed",
               256 + i);
    }
    EXPECT_RC(unpin(t.t[2]), 0);
    for (int i = 0; i < 4; i++)
        expect_frame_clean(t.t[i], "member");
    tree_free(&t);
}
MICRO_TEST(hypervisor_slots, "attack-l4-slots", PLATFORM_PV);

/* What the guest left in these slots before the pin must not be in force after it. */
static void hypervisor_slots_by_pin(void)
{
    struct table_tree t = tree_build(0);
    uint64_t evil;

    EXPECT_RC(page_writable(t.t[3]), 0);
    evil = ENTRY_OF(t.t[2], PTE_TABLE);
    for (unsigned i = 256; i < 272; i++)
        t.t[3][i] = evil;
    EXPECT_RC(page_readonly(t.t[3]), 0);
    if (pin(4, t.t[3]) == 0) {
        for (unsigned i = 256; i < 272; i++)
            EXPECT((((volatile uint64_t *)t.t[3])[i] & PTE_ADDR) != (evil & PTE_ADDR),
                   "slot %u is in force", i);
        EXPECT_RC(unpin(t.t[3]), 0);
    }
    for (int i = 0; i < 4; i++)
        expect_frame_clean(t.t[i], "member");
    tree_free(&t);
}
MICRO_TEST(hypervisor_slots_by_pin, "attack-l4-slots-by-pin", PLATFORM_PV);

/* Large pages: a 2 MiB or 1 GiB entry would map frames that nobody checks. */
static void pse(void)
{
    uint64_t *page = page_alloc();

    EXPECT_RC(page_readonly(page), 0);
    for (int level = 2; level <= 4; level++) {
        uint64_t *e = pt_entry(WINDOW_VA, level) + 1;
        long rc = hc_mmu_update1(maddr_of(e), ENTRY_OF(page, PTE_TABLE | PTE_PSE));

        EXPECT(rc == -XEN_EINVAL, "level %d: %ld", level, rc);
        rc = hc_mmu_update1(maddr_of(e), (mfn_of(page) & ~511ul) << PAGE_SHIFT | PTE_RW | PTE_PSE);
        EXPECT(rc == -XEN_EINVAL, "level %d, aligned: %ld", level, rc);
        EXPECT(*(volatile uint64_t *)e == 0, "level %d: an entry was left", level);
    }
    expect_frame_clean(page, "page");
    page_free(page);
}
MICRO_TEST(pse, "attack-pse", PLATFORM_PV);

/* The same inside a table that is pinned as a whole. */
static void pse_inside_pin(void)
{
    for (int level = 2; level <= 4; level++) {
        struct table_tree t = tree_build(0);

        EXPECT_RC(page_writable(t.t[level - 1]), 0);
        t.t[level - 1][3] = ENTRY_OF(t.t[0], PTE_RW | PTE_PSE);
        EXPECT_RC(page_readonly(t.t[level - 1]), 0);
        EXPECT(pin(4, t.t[3]) == -XEN_EINVAL, "level %d: %ld", level, pin(4, t.t[3]));
        for (int i = 0; i < 4; i++)
            expect_frame_clean(t.t[i], "member");
        tree_free(&t);
    }
}
MICRO_TEST(pse_inside_pin, "attack-pse-inside-pin", PLATFORM_PV);

static void reserved_bits(void)
{
    uint64_t *page = page_alloc();

    /* Beyond any frame there is, up to the last address bit. As if it were I/O memory that nobody
     * was given. */
    for (unsigned bit = 40; bit < 52; bit++)
        expect_l1_refused((mfn_of(page) << PAGE_SHIFT | 1ul << bit) | PTE_RW, -XEN_EPERM,
                          "address bit");
    for (int level = 2; level <= 4; level++) {
        uint64_t *e = pt_entry(WINDOW_VA, level) + 1;
        long rc = hc_mmu_update1(maddr_of(e), ENTRY_OF(page, PTE_TABLE) | 1ul << 51);

        EXPECT(rc == -XEN_EINVAL, "level %d: %ld", level, rc);
        rc = hc_mmu_update1(maddr_of(e), ENTRY_OF(page, PTE_TABLE | PTE_G));
        EXPECT(rc < 0, "level %d with G: %ld", level, rc);
        EXPECT(*(volatile uint64_t *)e == 0, "level %d: an entry was left", level);
    }
    expect_frame_clean(page, "page");
    page_free(page);
}
MICRO_TEST(reserved_bits, "attack-reserved-bits", PLATFORM_PV);

/* ---- linear and self maps ---- */

/* A root that maps itself read-only is what Xen allows (a linear page table); writable is never. */
static void self_map(void)
{
    uint64_t *e = &kernel_l4[300], rw = ENTRY_OF(kernel_l4, PTE_RW);
    uint64_t va = 0xffff000000000000 | 300ul << 39 | 300ul << 30 | 300ul << 21 | 300ul << 12;
    long rc;

    rc = hc_mmu_update1(maddr_of(e), rw);
    EXPECT(rc == -XEN_EINVAL, "writable: %ld", rc);
    EXPECT(*(volatile uint64_t *)e == 0, "an entry was left");
    rc = hc_mmu_update1(maddr_of(e), ENTRY_OF(kernel_l4, PTE_P | PTE_A));
    if (rc == 0) {
        EXPECT(*(volatile uint64_t *)va == kernel_l4[0], "the linear map shows something else");
        EXPECT(page_writable(kernel_l4) != 0, "the root became writable");
        EXPECT_RC(hc_mmu_update1(maddr_of(e), 0), 0);
        hc_mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
    }
    EXPECT(*(volatile uint64_t *)e == 0, "an entry was left");
    test_note("read-only: %ld", rc);
}
MICRO_TEST(self_map, "attack-self-map", PLATFORM_PV);

/* The same one and two levels down: a table used at the level above its own, in a tree that is not
 * in force. */
static void linear_map(void)
{
    for (int level = 2; level <= 4; level++) {
        struct table_tree t = tree_build(0);
        long rc;

        EXPECT_RC(pin(4, t.t[3]), 0);
        rc = hc_mmu_update1(maddr_of(&t.t[level - 1][5]), ENTRY_OF(t.t[level - 1], PTE_TABLE));
        EXPECT(rc == -XEN_EINVAL, "level %d, writable: %ld", level, rc);
        EXPECT(((volatile uint64_t *)t.t[level - 1])[5] == 0, "level %d: an entry was left", level);
        rc = hc_mmu_update1(maddr_of(&t.t[level - 1][5]), ENTRY_OF(t.t[level - 1], PTE_P));
        if (rc == 0)
            EXPECT_RC(hc_mmu_update1(maddr_of(&t.t[level - 1][5]), 0), 0);
        EXPECT_RC(unpin(t.t[3]), 0);
        for (int i = 0; i < 4; i++)
            expect_frame_clean(t.t[i], "member");
        tree_free(&t);
    }
}
MICRO_TEST(linear_map, "attack-linear-map", PLATFORM_PV);

/* ---- levels, pins, counts ---- */

static void wrong_level(void)
{
    struct table_tree t = tree_build(0);

    EXPECT_RC(pin(4, t.t[3]), 0);
    for (int is = 1; is <= 4; is++) {
        for (int as = 1; as <= 4; as++) {
            long rc;

            if (is == as)
                continue;
            rc = pin(as, t.t[is - 1]);
            EXPECT(rc < 0, "an L%d was pinned as L%d", is, as);
            if (as == 4)
                continue;
            rc = hc_mmu_update1(maddr_of(&t.t[as][9]), ENTRY_OF(t.t[is - 1], PTE_TABLE));
            EXPECT(rc < 0, "an L%d was entered as L%d", is, as);
            EXPECT(((volatile uint64_t *)t.t[as])[9] == 0, "an entry was left");
        }
        EXPECT(is == 4 || hc_mmuext(MMUEXT_NEW_BASEPTR, mfn_of(t.t[is - 1]), 0) < 0,
               "an L%d became the root", is);
        EXPECT(is == 4 || hc_mmuext(MMUEXT_NEW_USER_BASEPTR, mfn_of(t.t[is - 1]), 0) < 0,
               "an L%d became the user root", is);
    }
    EXPECT(read_cr3() >> PAGE_SHIFT == mfn_of(kernel_l4), "the root changed");
    EXPECT_RC(unpin(t.t[3]), 0);
    for (int i = 0; i < 4; i++)
        expect_frame_clean(t.t[i], "member");
    tree_free(&t);
}
MICRO_TEST(wrong_level, "attack-wrong-level", PLATFORM_PV);

static void double_pin(void)
{
    struct table_tree t = tree_build(0);

    for (int level = 1; level <= 4; level++) {
        EXPECT_RC(pin(level, t.t[level - 1]), 0);
        EXPECT_RC(pin(level, t.t[level - 1]), -XEN_EINVAL);
        EXPECT_RC(unpin(t.t[level - 1]), 0);
        EXPECT_RC(unpin(t.t[level - 1]), -XEN_EINVAL);
    }
    /* Pinned, and held by a parent: unpinning leaves the parent's hold. */
    EXPECT_RC(pin(4, t.t[3]), 0);
    EXPECT_RC(pin(1, t.t[0]), 0);
    EXPECT_RC(unpin(t.t[0]), 0);
    EXPECT_RC(unpin(t.t[0]), -XEN_EINVAL);
    EXPECT(page_writable(t.t[0]) != 0, "an L1 in use became writable");
    EXPECT_RC(unpin(t.t[3]), 0);
    for (int i = 0; i < 4; i++)
        expect_frame_clean(t.t[i], "member");
    tree_free(&t);
}
MICRO_TEST(double_pin, "attack-double-pin", PLATFORM_PV);

/* 512 x 512 references by entries and a thousand batches more: counts must neither wrap nor stick.
 */
static void count_overflow(void)
{
    uint64_t *leaf = page_alloc(), *l1 = page_alloc(), *l2 = page_alloc(), *l3 = page_alloc();
    uint64_t *more[32];

    for (unsigned i = 0; i < 512; i++) {
        l1[i] = ENTRY_OF(leaf, PTE_RW);
        l2[i] = ENTRY_OF(l1, PTE_TABLE);
        l3[i] = ENTRY_OF(l2, PTE_TABLE);
    }
    EXPECT(!page_readonly(l1) && !page_readonly(l2) && !page_readonly(l3), "read-only");
    EXPECT_RC(pin(3, l3), 0);
    for (unsigned n = 0; n < 32; n++) {
        more[n] = page_alloc();
        for (unsigned i = 0; i < 512; i++)
            more[n][i] = ENTRY_OF(leaf, i & 1 ? PTE_RW : PTE_RO);
        EXPECT_RC(page_readonly(more[n]), 0);
        EXPECT_RC(pin(1, more[n]), 0);
    }
    page_readonly(leaf);
    EXPECT(pin(1, leaf) == -XEN_EINVAL, "a frame with 8,704 writable mappings was pinned");
    for (unsigned n = 0; n < 32; n++) {
        EXPECT_RC(unpin(more[n]), 0);
        table_free(more[n]);
    }
    EXPECT(pin(1, leaf) == -XEN_EINVAL, "a frame with 512 writable mappings was pinned");
    EXPECT_RC(unpin(l3), 0);
    table_free(l3);
    table_free(l2);
    table_free(l1);
    expect_frame_clean(leaf, "leaf");
    EXPECT_RC(page_writable(leaf), 0);
    page_free(leaf);
}
MICRO_TEST(count_overflow, "attack-count-overflow", PLATFORM_PV);

/* ---- frames of others ---- */

static struct e820 {
    uint64_t start, size;
    uint32_t type;
} __attribute__((packed)) e820[64];

/* Frames of the grant table belong to the hypervisor, but are shared with this domain, writable. */
static bool is_grant_frame(uint64_t mfn)
{
    static xen_pfn_t frames[64];
    struct gnttab_query_size q = {.dom = DOMID_SELF};
    static unsigned known;

    if (!known && hc_grant_table_op(GNTTABOP_query_size, &q, 1) == 0 && q.nr_frames <= 64) {
        struct gnttab_setup_table s = {.dom = DOMID_SELF, .nr_frames = q.nr_frames};

        set_xen_guest_handle(s.frame_list, frames);
        if (hc_grant_table_op(GNTTABOP_setup_table, &s, 1) == 0 && s.status == GNTST_okay)
            known = q.nr_frames;
    }
    for (unsigned i = 0; i < known; i++) {
        if (frames[i] == mfn)
            return true;
    }
    return false;
}

/* RAM above 1 MiB that is not this domain's: every `step`-th frame is handed to attack(). Returns
 * how many. */
static unsigned each_foreign_frame(unsigned step, void (*attack)(uint64_t mfn))
{
    struct xen_memory_map m = {.nr_entries = 64};
    unsigned n = 0;

    set_xen_guest_handle(m.buffer, e820);
    if (hc_memory_op(XENMEM_machine_memory_map, &m) != 0) {
        test_skip("not privileged, so no map of the machine");
        return 0;
    }
    for (unsigned i = 0; i < m.nr_entries; i++) {
        uint64_t mfn = e820[i].start >> PAGE_SHIFT;
        uint64_t end = (e820[i].start + e820[i].size) >> PAGE_SHIFT;

        if (e820[i].type != 1)
            continue;
        for (mfn = mfn < 256 ? 256 : mfn; mfn < end; mfn += step) {
            uint64_t pfn = machine_to_phys_mapping[mfn];

            if (pfn < start_info->nr_pages && mfn_of_pfn(pfn) == mfn)
                continue;
            if (mfn == start_info->shared_info >> PAGE_SHIFT || is_grant_frame(mfn))
                continue;
            attack(mfn);
            n++;
        }
    }
    return n;
}

static unsigned refusals[64];

static void refusal(long rc)
{
    if (rc < 0 && rc > -64)
        refusals[-rc]++;
}

static void map_foreign(uint64_t mfn)
{
    static const uint64_t bits[] = {PTE_RW, PTE_RO};

    for (unsigned i = 0; i < 2; i++) {
        long rc = hc_update_va_mapping(window_va(0), mfn << PAGE_SHIFT | bits[i], UVMF_INVLPG);

        EXPECT(rc < 0, "frame %lx mapped %s", mfn, i ? "read-only" : "writable");
        EXPECT(window_l1[0] == 0, "frame %lx: an entry was left", mfn);
        if (window_l1[0])
            pte_write(window_va(0), 0);
        refusal(rc);
    }
}

static void foreign_frames(void)
{
    unsigned n;

    memset(refusals, 0, sizeof(refusals));
    n = each_foreign_frame(7, map_foreign);
    if (!n)
        return;
    EXPECT(n > 100, "only %u frames", n);
    for (unsigned e = 1; e < 64; e++) {
        if (refusals[e])
            test_note("errno %u: %u", e, refusals[e]);
    }
}
MICRO_TEST(foreign_frames, "attack-foreign-frame", PLATFORM_PV);

static void use_foreign(uint64_t mfn)
{
    for (unsigned cmd = MMUEXT_PIN_L1_TABLE; cmd <= MMUEXT_NEW_BASEPTR; cmd++)
        EXPECT(hc_mmuext(cmd, mfn, 0) < 0, "mmuext %u of frame %lx", cmd, mfn);
    EXPECT(hc_mmuext(MMUEXT_NEW_USER_BASEPTR, mfn, 0) < 0, "user root %lx", mfn);
    EXPECT(hc_mmuext(MMUEXT_CLEAR_PAGE, mfn, 0) < 0, "clear of frame %lx", mfn);
    EXPECT(hc_mmuext(MMUEXT_COPY_PAGE, mfn_of(window_l1), mfn) < 0, "copy of frame %lx", mfn);
    EXPECT(hc_mmu_update1(mfn << PAGE_SHIFT, 0) < 0, "mmu_update in frame %lx", mfn);
    EXPECT(hc_mmu_update1(mfn << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, 5) < 0, "M2P of frame %lx", mfn);
    EXPECT(hc_update_descriptor(mfn << PAGE_SHIFT, 0) < 0, "descriptor in frame %lx", mfn);
    for (int level = 2; level <= 4; level++) {
        uint64_t *e = pt_entry(WINDOW_VA, level) + 1;

        EXPECT(hc_mmu_update1(maddr_of(e), mfn << PAGE_SHIFT | PTE_TABLE) < 0,
               "level %d entry to %lx", level, mfn);
        EXPECT(*(volatile uint64_t *)e == 0, "level %d: an entry was left", level);
    }
}

static void foreign_tables(void)
{
    unsigned n = each_foreign_frame(61, use_foreign);

    if (n) {
        EXPECT(read_cr3() >> PAGE_SHIFT == mfn_of(kernel_l4), "the root changed");
        test_note("%u frames", n);
    }
}
MICRO_TEST(foreign_tables, "attack-foreign-table", PLATFORM_PV);

/* Frames of the hypervisor that the guest knows by number: the M2P's, and the tables behind its own
 * L4 slots. */
static void hypervisor_frames(void)
{
    xen_pfn_t frames[4] = {0};
    struct xen_machphys_mfn_list l = {.max_extents = 4};

    set_xen_guest_handle(l.extent_start, frames);
    if (hc_memory_op(XENMEM_machphys_mfn_list, &l) != 0) {
        EXPECT(!privileged(), "no frames of the M2P");
        l.nr_extents = 0;
    }
    for (unsigned i = 0; i < l.nr_extents; i++) {
        long rc;

        if (!frames[i])
            continue;
        rc = hc_update_va_mapping(window_va(0), frames[i] << PAGE_SHIFT | PTE_RW, UVMF_INVLPG);
        EXPECT(rc < 0 && !window_l1[0], "M2P frame %lx: %ld", frames[i], rc);
        use_foreign(frames[i]);
    }
    for (unsigned i = 256; i < 272; i++) {
        uint64_t mfn = (kernel_l4[i] & PTE_ADDR) >> PAGE_SHIFT;

        if ((kernel_l4[i] & PTE_P) && mfn != mfn_of(kernel_l4)) {
            map_foreign(mfn);
            use_foreign(mfn);
        }
    }
    EXPECT(start_info->shared_info, "no shared_info");
    for (unsigned cmd = MMUEXT_PIN_L1_TABLE; cmd <= MMUEXT_PIN_L4_TABLE; cmd++)
        EXPECT(hc_mmuext(cmd, start_info->shared_info >> PAGE_SHIFT, 0) < 0,
               "shared_info pinned, mmuext %u", cmd);
}
MICRO_TEST(hypervisor_frames, "attack-hypervisor-frame", PLATFORM_PV);

/* A page given back while it is mapped: it must not come out again before the mapping is gone. */
static void freed_while_mapped(void)
{
    enum { N = 32 };
    uint64_t *page = page_alloc(), old = mfn_of(page), pfn = machine_to_phys_mapping[old];
    xen_pfn_t extent = old;
    struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};
    long rc;

    page[0] = 0x5ec4e7;
    set_xen_guest_handle(r.extent_start, &extent);
    rc = hc_memory_op(XENMEM_decrease_reservation, &r);
    test_note("decrease: %ld", rc);
    if (rc != 1) { /* refused: the page must still be whole */
        EXPECT(page[0] == 0x5ec4e7, "the page changed");
        page[0] = 0;
        expect_frame_clean(page, "page");
        page_free(page);
        return;
    }
    for (unsigned i = 0; i < N; i++) {
        extent = pfn;
        rc = hc_memory_op(XENMEM_populate_physmap, &r);
        if (rc == 0 && i == 0) { /* it counts as the domain's until the mapping is gone */
            EXPECT_RC(pte_write(PTR(page), 0), 0);
            old = ~0ul;
            rc = hc_memory_op(XENMEM_populate_physmap, &r);
        }
        REQUIRE(rc == 1, "populate %u: %ld", i, rc);
        EXPECT(extent != old, "the frame came out again while it was mapped");
        EXPECT(machine_to_phys_mapping[extent] == pfn, "M2P of %lx: %lx", extent,
               machine_to_phys_mapping[extent]);
        if (i + 1 < N)
            EXPECT_RC(hc_memory_op(XENMEM_decrease_reservation, &r), 1);
    }
    ((uint64_t *)start_info->mfn_list)[pfn] = extent;
    EXPECT_RC(page_writable(page), 0);
    expect_frame_clean(page, "new page");
    page_free(page);
}
MICRO_TEST(freed_while_mapped, "attack-freed-while-mapped", PLATFORM_PV);

/* ---- stale translations ---- */

/* What would be stored: an entry that maps a table writable, so that emulation refuses it as well.
 */
static void stale_store(void *arg)
{
    *(volatile uint64_t *)arg = ENTRY_OF(window_l1, PTE_RW);
}

/* Written through a writable mapping, unmapped without a flush, then retyped: the old translation
 * is dead. */
static void stale_tlb(void)
{
    for (int level = 1; level <= 4; level++) {
        volatile uint64_t *page = page_alloc();
        uint64_t va = window_va(3), rc;
        struct trap_caught c;

        EXPECT_RC(pte_write(va, ENTRY_OF((void *)page, PTE_RW)), 0);
        *(volatile uint64_t *)va = 1; /* now the TLB holds it */
        *(volatile uint64_t *)va = 0;
        EXPECT_RC(hc_update_va_mapping(PTR(page), ENTRY_OF((void *)page, PTE_RO), UVMF_NONE), 0);
        EXPECT_RC(hc_update_va_mapping(va, 0, UVMF_NONE), 0);
        rc = (uint64_t)pin(level, (void *)page);
        EXPECT(rc == 0, "pin as L%d: %ld", level, (long)rc);
        EXPECT(trap_try(stale_store, (void *)va, &c) == VEC_PF, "L%d: a stale store did not fault",
               level);
        EXPECT(trap_try(stale_store, (void *)(PTR(page) + 8), &c) == VEC_PF,
               "L%d: a stale store by the boot mapping did not fault", level);
        EXPECT(page[0] == 0 && page[1] == 0, "L%d: a stale store reached the table: %lx %lx", level,
               page[0], page[1]);
        EXPECT_RC(unpin((void *)page), 0);
        expect_frame_clean((void *)page, "page");
        page_free((void *)page);
    }
}
MICRO_TEST(stale_tlb, "attack-stale-tlb", PLATFORM_PV);

static void stale_tlb_gdt(void)
{
    volatile uint64_t *page = page_alloc();
    xen_pfn_t frame = mfn_of((void *)page);
    uint64_t va = window_va(3);
    struct trap_caught c;

    EXPECT_RC(pte_write(va, ENTRY_OF((void *)page, PTE_RW)), 0);
    *(volatile uint64_t *)va = 0;
    EXPECT_RC(hc_update_va_mapping(PTR(page), ENTRY_OF((void *)page, PTE_RO), UVMF_NONE), 0);
    EXPECT_RC(hc_update_va_mapping(va, 0, UVMF_NONE), 0);
    EXPECT_RC(hc_set_gdt(&frame, 512), 0);
    EXPECT_RC(trap_try(stale_store, (void *)va, &c), VEC_PF);
    EXPECT(page[0] == 0, "a stale store reached the GDT");
    EXPECT_RC(hc_set_gdt(NULL, 0), 0);
    expect_frame_clean((void *)page, "page");
    page_free((void *)page);
}
MICRO_TEST(stale_tlb_gdt, "attack-stale-tlb-gdt", PLATFORM_PV);

extern char u_store[];

/* The same with a translation that user mode made. */
static void stale_tlb_user(void)
{
    volatile uint64_t *page = page_alloc();
    uint64_t va = USER_VA + 100 * PAGE_SIZE;
    struct user_regs r = user_entry(u_store);
    struct trap_caught c;

    r.rdi = va;
    r.rsi = 0;
    EXPECT_RC(pte_write(va, ENTRY_OF((void *)page, PTE_RW | PTE_U)), 0);
    EXPECT_RC(user_run(&r, &c), VEC_SYSCALL);
    EXPECT_RC(hc_update_va_mapping(PTR(page), ENTRY_OF((void *)page, PTE_RO), UVMF_NONE), 0);
    EXPECT_RC(hc_update_va_mapping(va, 0, UVMF_NONE), 0);
    EXPECT_RC(pin(1, (void *)page), 0);
    r.rsi = ENTRY_OF(window_l1, PTE_RW);
    EXPECT_RC(user_run(&r, &c), VEC_PF);
    EXPECT(page[0] == 0, "a stale store of user mode reached the table");
    EXPECT_RC(unpin((void *)page), 0);
    expect_frame_clean((void *)page, "page");
    page_free((void *)page);
}
MICRO_TEST(stale_tlb_user, "attack-stale-tlb-user", PLATFORM_PV);

/* Two words at an address, and back: what a hypervisor might keep in memory that it thinks free. */
static void stale_scribble(void *arg)
{
    ((volatile uint64_t *)arg)[0] = 0x4141414141414141;
    ((volatile uint64_t *)arg)[1] = 0x4242424242424242;
}

static uint64_t stale_word;

static void stale_peek(void *arg)
{
    stale_word = *(volatile uint64_t *)arg;
}

/* Given back while the TLB still has its writable translation: whatever is written there reaches
 * nobody, and what can be read is not the hypervisor's. */
static void stale_tlb_freed(void)
{
    uint64_t *page = page_alloc(), pfn = machine_to_phys_mapping[mfn_of(page)], va = window_va(5);
    xen_pfn_t extent = mfn_of(page), more[16];
    struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};
    struct trap_caught c;
    long got;

    EXPECT_RC(pte_write(va, ENTRY_OF(page, PTE_RW)), 0);
    memset((void *)va, 0, PAGE_SIZE);
    EXPECT_RC(hc_update_va_mapping(PTR(page), 0, UVMF_NONE), 0);
    EXPECT_RC(hc_update_va_mapping(va, 0, UVMF_NONE), 0);
    set_xen_guest_handle(r.extent_start, &extent);
    EXPECT_RC(hc_memory_op(XENMEM_decrease_reservation, &r), 1);
    for (unsigned i = 0; i < 512; i++) {
        if (trap_try(stale_peek, (void *)(va + i * 8), &c) != VEC_PF)
            EXPECT(!stale_word, "word %u of a free frame reads %lx", i, stale_word);
    }
    (void)trap_try(stale_scribble, (void *)va, &c);

    /* Memory still comes and goes. */
    set_xen_guest_handle(r.extent_start, more);
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < 16; i++)
            more[i] = 0;
        r.nr_extents = 16;
        got = hc_memory_op(XENMEM_increase_reservation, &r);
        for (long i = 0; i < got; i++)
            EXPECT(more[i] < hc_memory_op(XENMEM_maximum_ram_page, NULL) + 1ul, "frame %lx", more[i]);
        r.nr_extents = got > 0 ? got : 0;
        EXPECT_RC(hc_memory_op(XENMEM_decrease_reservation, &r), got);
    }

    extent = pfn;
    r.nr_extents = 1;
    set_xen_guest_handle(r.extent_start, &extent);
    EXPECT_RC(hc_memory_op(XENMEM_populate_physmap, &r), 1);
    ((uint64_t *)start_info->mfn_list)[pfn] = extent;
    EXPECT_RC(page_writable(page), 0);
    expect_frame_clean(page, "new page");
    page_free(page);
}
MICRO_TEST(stale_tlb_freed, "attack-stale-tlb-freed", PLATFORM_PV);

/* ---- trapped writes ---- */

static void store_half(void *arg)
{
    *(volatile uint8_t *)&window_l1[4] = (uint8_t)PTR(arg);
}

/* A byte at a time: the entry may become dangerous by its smallest part. */
static void trapped_partial(void)
{
    uint64_t ro = ENTRY_OF(window_l1, PTE_RO);
    struct trap_caught c;

    hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables);
    EXPECT_RC(pte_write(window_va(4), ro), 0); /* a read-only map of a table is fine */
    EXPECT_RC(trap_try(store_half, (void *)PTE_RW, &c), VEC_PF);
    EXPECT(!(((volatile uint64_t *)window_l1)[4] & PTE_W), "the table is writable");
    EXPECT_RC(trap_try(stale_store, (void *)(window_va(4) + 8 * 100), &c), VEC_PF);
    EXPECT(window_l1[100] == 0, "a store reached the table");
    EXPECT_RC(pte_write(window_va(4), 0), 0);
}
MICRO_TEST(trapped_partial, "attack-trapped-partial", PLATFORM_PV);

/* ---- by other domains' ids ---- */

static void other_domains(void)
{
    static const domid_t ids[] = {DOMID_XEN,  DOMID_IO, DOMID_COW, DOMID_INVALID,
                                  DOMID_IDLE, 0x1234,        0x7fef};
    struct mmu_update u = {pte_maddr(window_va(0)), mfn_of(window_l1) << PAGE_SHIFT | PTE_RW};
    struct mmuext_op op = {.cmd = MMUEXT_UNPIN_TABLE, .arg1.mfn = mfn_of(kernel_l4)};

    for (unsigned i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
        long rc = hc_mmu_update(&u, 1, NULL, ids[i]);

        EXPECT(rc < 0 && !window_l1[0], "mmu_update for %x: %ld", ids[i], rc);
        rc = hypercall(__HYPERVISOR_update_va_mapping_otherdomain, window_va(0), u.val, UVMF_INVLPG,
                       ids[i], 0);
        EXPECT(rc < 0 && !window_l1[0], "update_va_mapping for %x: %ld", ids[i], rc);
        rc = hc_mmuext_op(&op, 1, NULL, ids[i]);
        EXPECT(rc < 0, "unpin for %x: %ld", ids[i], rc);
    }
    EXPECT(page_writable(kernel_l4) != 0, "the root became writable");
}
MICRO_TEST(other_domains, "attack-other-domains", PLATFORM_PV);

/* Addresses of no half (bits 47 and 63 differ) whose table indices are those of the hypervisor's slots: a walk by bits 12 to 47
 * alone would take the hypervisor's tables, and what its large pages hold, for the guest's. */
static void address_of_no_half(void)
{
    for (uint64_t slot = 256; slot <= 271; slot++)
        for (uint64_t i = 0; i < 64; i++) {
            uint64_t va = slot << 39 | (i & 7) << 30 | (i >> 3) << 21;
            long rc = hc_update_va_mapping(va, 0, UVMF_NONE);

            if (rc >= 0) {
                EXPECT(rc < 0, "update_va_mapping at %lx: %ld", va, rc);
                return;
            }
        }
}
MICRO_TEST(address_of_no_half, "attack-address-of-no-half", PLATFORM_PV);

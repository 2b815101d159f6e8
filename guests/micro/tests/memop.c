/* SPDX-License-Identifier: MIT */
/*
 * memory_op: giving memory back and getting it again, exchange, and what the machine looks like.
 */
#include "frames.h"

/* Another frame stands behind a page of the boot region now; the p2m lies there too and is the
 * guest's own. */
static void p2m_set(uint64_t pfn, uint64_t mfn)
{
    ((uint64_t *)start_info->mfn_list)[pfn] = mfn;
}

static struct xen_memory_reservation reservation(xen_pfn_t *extents, unsigned n)
{
    struct xen_memory_reservation r = {.nr_extents = n, .domid = DOMID_SELF};

    set_xen_guest_handle(r.extent_start, extents);
    return r;
}

static long count_of(unsigned cmd)
{
    domid_t self = DOMID_SELF;

    return hc_memory_op(cmd, &self);
}

static void memop_counts(void)
{
    long current = count_of(XENMEM_current_reservation),
         maximum = count_of(XENMEM_maximum_reservation);

    EXPECT(current >= (long)start_pages - 1, "current %ld of %lu", current,
           start_pages);
    EXPECT(maximum >= current || maximum < 0, "maximum %ld, current %ld", maximum, current);
    EXPECT(hc_memory_op(XENMEM_maximum_ram_page, NULL) > (long)start_pages, "ram page %ld",
           hc_memory_op(XENMEM_maximum_ram_page, NULL));
    EXPECT_RC(hc_memory_op(60, NULL), -XEN_ENOSYS);
}
MICRO_TEST(memop_counts, "memop-counts", PLATFORM_XEN);

static void memop_machphys(void)
{
    struct xen_machphys_mapping m = {0};

    EXPECT_RC(hc_memory_op(XENMEM_machphys_mapping, &m), 0);
    EXPECT(m.v_start == HV_START && m.v_end > m.v_start && m.v_end <= 0xffff808000000000,
           "M2P from %lx to %lx", m.v_start, m.v_end);
    EXPECT(m.max_mfn >= mfn_of(kernel_l4), "max_mfn %lx", m.max_mfn);
}
MICRO_TEST(memop_machphys, "memop-machphys", PLATFORM_PV);

struct e820 {
    uint64_t start, size;
    uint32_t type;
} __attribute__((packed));

static void memop_memory_map(void)
{
    static struct e820 e[64];
    struct xen_memory_map m = {.nr_entries = 64};
    uint64_t ram = 0;
    /* The machine's map is for a PV domain with rights; a PVH domain has a map of its own. */
    unsigned cmd = platform == PLATFORM_PV ? XENMEM_machine_memory_map : XENMEM_memory_map;
    long rc;

    set_xen_guest_handle(m.buffer, e);
    rc = hc_memory_op(cmd, &m);
    if (privileged() || platform == PLATFORM_PVH) {
        EXPECT(rc == 0 && m.nr_entries >= 1 && m.nr_entries <= 64, "%ld, %u entries", rc,
               m.nr_entries);
        for (unsigned i = 0; i < m.nr_entries && i < 64; i++)
            ram += e[i].type == 1 ? e[i].size : 0;
        EXPECT(ram >= start_pages << PAGE_SHIFT, "only %lx bytes of RAM", ram);
        m.nr_entries = 1;
        rc = hc_memory_op(cmd, &m);
        EXPECT(rc < 0 || m.nr_entries == 1, "a full buffer: %ld, %u entries", rc, m.nr_entries);
    } else {
        EXPECT(rc == -XEN_EPERM, "machine_memory_map = %ld", rc);
    }
}
MICRO_TEST(memop_memory_map, "memop-memory-map", PLATFORM_XEN);

/* A page goes back, cannot be mapped any more, and another comes in its place. */
static void memop_balloon(void)
{
    uint64_t *page = page_alloc(), old = mfn_of(page), pfn = machine_to_phys_mapping[old];
    long before = count_of(XENMEM_current_reservation);
    xen_pfn_t extent = old;
    struct xen_memory_reservation r = reservation(&extent, 1);

    REQUIRE(pte_write(PTR(page), 0) == 0, "cannot unmap");
    EXPECT_RC(hc_memory_op(XENMEM_decrease_reservation, &r), 1);
    EXPECT(count_of(XENMEM_current_reservation) == before - 1, "reservation %ld, was %ld",
           count_of(XENMEM_current_reservation), before);
    EXPECT(pte_write(window_va(0), old << PAGE_SHIFT | PTE_RW) != 0,
           "a page given back could be mapped");
    EXPECT_RC(hc_memory_op(XENMEM_decrease_reservation, &r), 0);

    extent = pfn;
    r = reservation(&extent, 1);
    EXPECT_RC(hc_memory_op(XENMEM_populate_physmap, &r), 1);
    EXPECT(machine_to_phys_mapping[extent] == pfn, "M2P of the new page: %lx",
           machine_to_phys_mapping[extent]);
    EXPECT(count_of(XENMEM_current_reservation) == before, "reservation %ld, was %ld",
           count_of(XENMEM_current_reservation), before);
    p2m_set(pfn, extent);
    EXPECT_RC(page_writable(page), 0);
    memset(page, 0x5a, PAGE_SIZE);
    EXPECT(page[100] == 0x5a5a5a5a5a5a5a5a, "the new page does not hold data");
    expect_frame_clean(page, "new page");
    page_free(page);
}
MICRO_TEST(memop_balloon, "memop-balloon", PLATFORM_PV);

static void memop_increase(void)
{
    uint64_t *page = page_alloc(), pfn = machine_to_phys_mapping[mfn_of(page)];
    xen_pfn_t extent = mfn_of(page);
    struct xen_memory_reservation r = reservation(&extent, 1);

    REQUIRE(pte_write(PTR(page), 0) == 0, "cannot unmap");
    EXPECT_RC(hc_memory_op(XENMEM_decrease_reservation, &r), 1);
    r = reservation(&extent, 1);
    EXPECT_RC(hc_memory_op(XENMEM_increase_reservation, &r), 1);
    p2m_set(pfn, extent);
    EXPECT_RC(hc_mmu_update1(extent << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, pfn), 0);
    EXPECT_RC(page_writable(page), 0);
    page[0] = 1;
    expect_frame_clean(page, "new page");
    page_free(page);
}
MICRO_TEST(memop_increase, "memop-increase", PLATFORM_PV);

/* These calls return the number of extents done, or an errno: Xen answers 0 where the first one is
 * refused. */
static void memop_errors(void)
{
    xen_pfn_t extent = 0xffffffff;
    struct xen_memory_reservation r = reservation(&extent, 1);
    static const unsigned cmds[] = {XENMEM_decrease_reservation, XENMEM_increase_reservation,
                                    XENMEM_populate_physmap};

    EXPECT(hc_memory_op(XENMEM_decrease_reservation, &r) <= 0, "an absent frame was given back");
    for (unsigned i = 0; i < 3; i++) {
        r = reservation((xen_pfn_t *)HV_START, 1);
        if (platform == PLATFORM_PV || cmds[i] != XENMEM_increase_reservation) /* PVH: no list */
            EXPECT(hc_memory_op(cmds[i], &r) <= 0, "command %u: a list in the hypervisor", cmds[i]);
        EXPECT(hc_memory_op(cmds[i], (void *)HV_START) <= 0,
               "command %u: arguments in the hypervisor", cmds[i]);
        r = reservation(&extent, 1);
        r.domid = 0x1234;
        EXPECT(hc_memory_op(cmds[i], &r) <= 0, "command %u: an absent domain", cmds[i]);
    }
    EXPECT_RC(hc_memory_op(XENMEM_machphys_mapping, (void *)HV_START),
              platform == PLATFORM_PV ? -XEN_EFAULT : -XEN_ENOSYS);
}
MICRO_TEST(memop_errors, "memop-errors", PLATFORM_XEN);

static void memop_exchange(void)
{
    uint64_t *page = page_alloc(), old = mfn_of(page), pfn = machine_to_phys_mapping[old];
    xen_pfn_t in = old, out = pfn;
    struct xen_memory_exchange x = {.in = reservation(&in, 1), .out = reservation(&out, 1)};

    REQUIRE(pte_write(PTR(page), 0) == 0, "cannot unmap");
    EXPECT_RC(hc_memory_op(XENMEM_exchange, &x), 0);
    EXPECT(x.nr_exchanged == 1, "%lu exchanged", x.nr_exchanged);
    EXPECT(machine_to_phys_mapping[out] == pfn, "M2P of the new page: %lx",
           machine_to_phys_mapping[out]);
    p2m_set(pfn, out);
    EXPECT_RC(page_writable(page), 0);
    expect_frame_clean(page, "new page");
    page_free(page);
}
MICRO_TEST(memop_exchange, "memop-exchange", PLATFORM_PV);

/* One frame named twice in exchange for two: the domain must not own more than before. */
static void memop_exchange_twice(void)
{
    uint64_t *page = page_alloc(), old = mfn_of(page), pfn = machine_to_phys_mapping[old];
    xen_pfn_t in[2] = {old, old}, out = pfn, again = pfn;
    struct xen_memory_exchange x = {.in = reservation(in, 2), .out = reservation(&out, 1)};
    long before = count_of(XENMEM_current_reservation), rc, after;

    REQUIRE(pte_write(PTR(page), 0) == 0, "cannot unmap");
    x.out.extent_order = 1;
    rc = hc_memory_op(XENMEM_exchange, &x);
    after = count_of(XENMEM_current_reservation);
    EXPECT(rc < 0 && x.nr_exchanged == 0, "exchange = %ld, %lu exchanged", rc, x.nr_exchanged);
    EXPECT(after <= before, "%ld frames, %ld before", after, before);
    test_note("%ld, %ld frames of %ld", rc, after, before);
    if (after < before) { /* it is lost: another for it */
        struct xen_memory_reservation r = reservation(&again, 1);

        REQUIRE(hc_memory_op(XENMEM_populate_physmap, &r) == 1, "it does not get the lost one back");
        p2m_set(pfn, again);
    }
    EXPECT_RC(page_writable(page), 0);
    page_free(page);
}
MICRO_TEST(memop_exchange_twice, "memop-exchange-twice", PLATFORM_PV);

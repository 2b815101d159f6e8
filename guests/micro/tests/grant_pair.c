/* SPDX-License-Identifier: MIT */
/*
 * A grant between two domains, 1 and 2 of a launch plan (tests/boot/many): 1 grants a page and ends while 2 has it mapped; 2 goes on using
 * the page, then lets go of it. It runs by its full name only.
 */
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"
#include "frames.h"

#define REF   30
#define HELLO 0xfeedfacecafe0001ul
#define REPLY 0xfeedfacecafe0002ul

static const uint64_t patience = 20000000000ul; /* ns */

static int16_t size_of(uint16_t dom)
{
    struct gnttab_query_size q = {.dom = dom};

    return hc_grant_table_op(GNTTABOP_query_size, &q, 1) ? 77 : q.status;
}

static void rest(void)
{
    struct sched_poll p = {.timeout = now_ns() + 1000000};

    hc_sched_op(SCHEDOP_poll, &p);
}

static void owner(volatile uint64_t *page)
{
    static xen_pfn_t frame;
    struct gnttab_setup_table s = {.dom = DOMID_SELF, .nr_frames = 1};
    volatile struct grant_entry_v1 *e = (void *)window_va(4);
    uint64_t end = now_ns() + patience;

    set_xen_guest_handle(s.frame_list, &frame);
    EXPECT_RC(hc_grant_table_op(GNTTABOP_setup_table, &s, 1), 0);
    EXPECT_RC(pte_write(window_va(4), frame << PAGE_SHIFT | PTE_RW), 0);
    page[0] = HELLO;
    e[REF].frame = (uint32_t)mfn_of((void *)page);
    e[REF].domid = 2;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    e[REF].flags = GTF_permit_access;
    while (page[1] != REPLY && now_ns() < end)
        rest();
    EXPECT(page[1] == REPLY, "no reply, grant flags %x", e[REF].flags);
    EXPECT((e[REF].flags & (GTF_reading | GTF_writing)) == (GTF_reading | GTF_writing), "flags %x", e[REF].flags);
    EXPECT_RC(page_readonly((void *)page), 0);
    page = NULL;
    EXPECT(hc_mmuext(MMUEXT_PIN_L1_TABLE, e[REF].frame, 0) < 0, "a page table of what another may write");
    /* ends here, the grant in use */
}

static void user(void)
{
    volatile uint64_t *mapped = (void *)window_va(5);
    struct gnttab_map_grant_ref m = {.host_addr = window_va(5), .flags = GNTMAP_host_map, .ref = REF, .dom = 1}, again;
    struct gnttab_unmap_grant_ref u = {.host_addr = window_va(5)};
    uint64_t end = now_ns() + patience, entry;

    do {
        rest();
        EXPECT_RC(hc_grant_table_op(GNTTABOP_map_grant_ref, &m, 1), 0);
    } while (m.status != GNTST_okay && now_ns() < end);
    EXPECT(m.status == GNTST_okay, "status %d", m.status);
    if (m.status != GNTST_okay)
        return;
    entry = pte_read(window_va(5));
    EXPECT(mapped[0] == HELLO, "it holds %lx", mapped[0]);
    EXPECT_RC(pte_write(window_va(6), entry), -XEN_EINVAL);
    EXPECT(hc_mmuext(MMUEXT_PIN_L1_TABLE, entry >> PAGE_SHIFT & 0xffffffffff, 0) < 0, "a page table of another's frame");
    mapped[1] = REPLY;
    do {
        again = m;
        again.host_addr = window_va(7);
        rest(); /* an ended domain is given back when the processor has nothing better to do */
        EXPECT_RC(hc_grant_table_op(GNTTABOP_map_grant_ref, &again, 1), 0);
        if (again.status == GNTST_okay) {
            struct gnttab_unmap_grant_ref back = {.host_addr = again.host_addr, .handle = again.handle};

            EXPECT_RC(hc_grant_table_op(GNTTABOP_unmap_grant_ref, &back, 1), 0);
            EXPECT(back.status == GNTST_okay, "unmap of the second: %d", back.status);
        }
    } while (again.status != GNTST_bad_domain && now_ns() < end);
    EXPECT(again.status == GNTST_bad_domain, "its owner does not go: %d", again.status);
    EXPECT(mapped[0] == HELLO && mapped[1] == REPLY, "the page of a dead domain has changed: %lx %lx", mapped[0], mapped[1]);
    u.handle = m.handle;
    EXPECT_RC(hc_grant_table_op(GNTTABOP_unmap_grant_ref, &u, 1), 0);
    EXPECT(u.status == GNTST_okay, "unmap: %d", u.status);
}

static void grant_pair(void)
{
    int16_t first = size_of(1), second = size_of(2);

    if (first == GNTST_okay && second == GNTST_permission_denied)
        owner(page_alloc());
    else if (second == GNTST_okay)
        user();
    else
        test_skip("alone");
}
MICRO_PAIR_TEST(grant_pair, "grant-pair", PLATFORM_PV);

/* SPDX-License-Identifier: MIT */
/*
 * Grant table set-up: size, frames, version. Grants themselves need a second domain.
 */
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"

static void grant_query_size(void)
{
    struct gnttab_query_size q = {.dom = DOMID_SELF};

    EXPECT_RC(hc_grant_table_op(GNTTABOP_query_size, &q, 1), 0);
    EXPECT(q.status == GNTST_okay, "status %d", q.status);
    EXPECT(q.max_nr_frames >= 1 && q.nr_frames <= q.max_nr_frames, "%u of %u frames", q.nr_frames,
           q.max_nr_frames);
    q.dom = 0x1234;
    EXPECT_RC(hc_grant_table_op(GNTTABOP_query_size, &q, 1), 0);
    EXPECT(q.status == GNTST_bad_domain, "absent domain: status %d", q.status);
}
MICRO_TEST(grant_query_size, "grant-query-size", PLATFORM_XEN);

static void grant_version(void)
{
    struct gnttab_set_version s = {.version = 3};
    struct gnttab_get_version g = {.dom = DOMID_SELF};

    EXPECT_RC(hc_grant_table_op(GNTTABOP_set_version, &s, 1), -XEN_EINVAL);
    s.version = 1;
    EXPECT_RC(hc_grant_table_op(GNTTABOP_set_version, &s, 1), 0);
    EXPECT_RC(hc_grant_table_op(GNTTABOP_get_version, &g, 1), 0);
    EXPECT(g.version == 1, "version %u", g.version);
}
MICRO_TEST(grant_version, "grant-version", PLATFORM_XEN);

/* The frames may be mapped and written by their domain, but never become page tables. */
static void grant_setup_table(void)
{
    xen_pfn_t frames[4] = {0};
    struct gnttab_setup_table s = {.dom = DOMID_SELF, .nr_frames = 2};
    volatile struct grant_entry_v1 *e = (void *)window_va(0);

    set_xen_guest_handle(s.frame_list, frames);
    EXPECT_RC(hc_grant_table_op(GNTTABOP_setup_table, &s, 1), 0);
    EXPECT(s.status == GNTST_okay && frames[0] && frames[1] && frames[0] != frames[1],
           "status %d, frames %lx %lx", s.status, frames[0], frames[1]);
    EXPECT_RC(pte_write(window_va(0), frames[0] << PAGE_SHIFT | PTE_RW), 0);
    if (pte_read(window_va(0)) & PTE_P) {
        EXPECT(e[9].flags == 0, "entry 9 has flags %x", e[9].flags);
        e[9].frame = 5;
        e[9].flags = GTF_permit_access;
        EXPECT(e[9].frame == 5 && e[9].flags == GTF_permit_access, "entry 9 does not hold");
        e[9].flags = 0;
    }
    EXPECT_RC(pte_write(window_va(0), 0), 0);
    EXPECT(hc_mmuext(MMUEXT_PIN_L1_TABLE, frames[0], 0) < 0, "a grant frame was pinned as L1");
    s.nr_frames = 100000;
    hc_grant_table_op(GNTTABOP_setup_table, &s, 1);
    EXPECT(s.status == GNTST_general_error, "too many frames: status %d", s.status);
}
MICRO_TEST(grant_setup_table, "grant-setup-table", PLATFORM_PV);

static void grant_errors(void)
{
    struct gnttab_query_size q = {.dom = DOMID_SELF};

    EXPECT_RC(hc_grant_table_op(99, &q, 1), -XEN_ENOSYS);
    EXPECT_RC(hc_grant_table_op(GNTTABOP_query_size, (void *)HV_START, 1), -XEN_EFAULT);
    EXPECT_RC(hc_grant_table_op(GNTTABOP_query_size, &q, 2), -XEN_EINVAL);
}
MICRO_TEST(grant_errors, "grant-errors", PLATFORM_XEN);

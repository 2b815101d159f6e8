/* SPDX-License-Identifier: MIT */
/*
 * Mapping and copying by grant. One domain is enough: it grants to itself, which Xen allows too. Each test ends with the
 * proof that no count is left on the frame; what only a second domain can show is in tests/unit/test_grant.c.
 */
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"
#include "frames.h"

#define REF 20

static volatile struct grant_entry_v1 *entries; /* the first page of the table, mapped; NULL: not possible here */
static uint16_t self;

/* A port that is left for oneself tells one's own number. */
static bool know_self(void)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
    struct evtchn_status s = {.dom = DOMID_SELF};
    struct evtchn_close c;
    bool ok = !hc_evtchn(EVTCHNOP_alloc_unbound, &a);

    s.port = c.port = a.port;
    ok = ok && !hc_evtchn(EVTCHNOP_status, &s) && s.status == EVTCHNSTAT_unbound;
    self = s.u.unbound.dom;
    (void)hc_evtchn(EVTCHNOP_close, &c);
    return ok;
}

static bool begin(void)
{
    static xen_pfn_t frame;
    struct gnttab_setup_table s = {.dom = DOMID_SELF, .nr_frames = 1};

    set_xen_guest_handle(s.frame_list, &frame);
    EXPECT_RC(hc_grant_table_op(GNTTABOP_setup_table, &s, 1), 0);
    EXPECT(know_self(), "no own number");
    EXPECT_RC(pte_write(window_va(4), frame << PAGE_SHIFT | PTE_RW), 0);
    entries = (void *)window_va(4);
    return (pte_read(window_va(4)) & PTE_P) && s.status == GNTST_okay;
}

static void end(void)
{
    EXPECT_RC(pte_write(window_va(4), 0), 0);
}

static void grant(const void *page, uint16_t flags)
{
    entries[REF].frame = (uint32_t)mfn_of(page);
    entries[REF].domid = self;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    entries[REF].flags = GTF_permit_access | flags;
}

static int map(struct gnttab_map_grant_ref *m)
{
    m->status = 77;
    EXPECT_RC(hc_grant_table_op(GNTTABOP_map_grant_ref, m, 1), 0);
    return m->status;
}

static int unmap(struct gnttab_map_grant_ref *m)
{
    struct gnttab_unmap_grant_ref u = {.host_addr = m->host_addr, .handle = m->handle, .status = 77};

    EXPECT_RC(hc_grant_table_op(GNTTABOP_unmap_grant_ref, &u, 1), 0);
    return u.status;
}

static void grant_map_and_unmap(void)
{
    volatile uint64_t *page = page_alloc(), *mapped = (void *)window_va(5);
    struct gnttab_map_grant_ref m = {.host_addr = window_va(5), .flags = GNTMAP_host_map, .ref = REF};

    if (!begin())
        return;
    m.dom = self;
    grant((void *)page, 0);
    EXPECT(map(&m) == GNTST_okay, "status %d", m.status);
    if (m.status == GNTST_okay) {
        EXPECT((entries[REF].flags & (GTF_reading | GTF_writing)) == (GTF_reading | GTF_writing), "flags %x", entries[REF].flags);
        page[3] = 0x1122;
        EXPECT(mapped[3] == 0x1122, "it is another frame");
        mapped[4] = 0x3344;
        EXPECT(page[4] == 0x3344, "a write does not arrive");
        EXPECT(unmap(&m) == GNTST_okay, "unmap");
        EXPECT(!(pte_read(window_va(5)) & PTE_P), "it is mapped still");
        EXPECT(!(entries[REF].flags & (GTF_reading | GTF_writing)), "flags %x after it", entries[REF].flags);
        EXPECT(unmap(&m) == GNTST_bad_handle, "a second time");
    }
    entries[REF].flags = 0;
    end();
    expect_frame_clean((void *)page, "page granted and mapped");
    page_free((void *)page);
}
MICRO_TEST(grant_map_and_unmap, "grant-map", PLATFORM_PV);

static void grant_map_by_entry(void)
{
    volatile uint64_t *page = page_alloc(), *mapped = (void *)window_va(5);
    struct gnttab_map_grant_ref m = {.flags = GNTMAP_host_map | GNTMAP_contains_pte | GNTMAP_readonly, .ref = REF};

    if (!begin())
        return;
    m.dom = self;
    m.host_addr = pte_maddr(window_va(5));
    grant((void *)page, GTF_readonly);
    page[0] = 0x77;
    EXPECT(map(&m) == GNTST_okay, "status %d", m.status);
    if (m.status == GNTST_okay) {
        EXPECT(mapped[0] == 0x77, "it is another frame");
        EXPECT(!(pte_read(window_va(5)) & PTE_W), "the entry is writable");
        EXPECT((entries[REF].flags & (GTF_reading | GTF_writing)) == GTF_reading, "flags %x", entries[REF].flags);
        EXPECT(unmap(&m) == GNTST_okay, "unmap");
    }
    m.flags &= ~GNTMAP_readonly;
    EXPECT(map(&m) == GNTST_general_error, "writable by a read-only grant: %d", m.status);
    m.host_addr += 4;
    m.flags |= GNTMAP_readonly;
    EXPECT(map(&m) == GNTST_general_error, "an entry that is none: %d", m.status);
    entries[REF].flags = 0;
    end();
    expect_frame_clean((void *)page, "page granted read-only");
    page_free((void *)page);
}
MICRO_TEST(grant_map_by_entry, "grant-map-entry", PLATFORM_PV);

static void attack_grant_refused(void)
{
    void *page = page_alloc();
    struct gnttab_map_grant_ref m = {.host_addr = window_va(5), .flags = GNTMAP_host_map, .ref = REF};
    struct gnttab_unmap_grant_ref u = {.host_addr = window_va(5), .handle = 0x7fffffff};

    if (!begin())
        return;
    m.dom = self;
    EXPECT(map(&m) == GNTST_general_error, "a grant of nothing: %d", m.status);
    grant(page, 0);
    entries[REF].domid = self + 9;
    EXPECT(map(&m) == GNTST_general_error, "another's grant: %d", m.status);
    entries[REF].domid = self;
    m.ref = 0x7fffffff;
    EXPECT(map(&m) == GNTST_bad_gntref, "no such grant: %d", m.status);
    m.ref = REF;
    m.dom = 0x1234;
    EXPECT(map(&m) == GNTST_bad_domain, "no such domain: %d", m.status);
    m.dom = self;
    m.flags = 0;
    EXPECT(map(&m) == GNTST_bad_gntref, "a map of nothing: %d", m.status);
    m.flags = GNTMAP_host_map;
    m.host_addr = HV_START;
    EXPECT(map(&m) == GNTST_general_error, "into the hypervisor: %d", m.status);
    m.host_addr = 0x8000000000000000;
    EXPECT(map(&m) == GNTST_general_error, "at an address of no half: %d", m.status);
    m.flags |= GNTMAP_contains_pte;
    m.host_addr = mfn_of(page) << PAGE_SHIFT;
    EXPECT(map(&m) == GNTST_general_error, "into a page that is no table: %d", m.status);
    EXPECT_RC(hc_grant_table_op(GNTTABOP_unmap_grant_ref, &u, 1), 0);
    EXPECT(u.status == GNTST_bad_handle, "unmap of no handle: %d", u.status);
    EXPECT(!(entries[REF].flags & (GTF_reading | GTF_writing)), "flags %x remain", entries[REF].flags);
    entries[REF].flags = 0;
    end();
    expect_frame_clean(page, "page of refused grants");
    page_free(page);
}
MICRO_TEST(attack_grant_refused, "attack-grant-refused", PLATFORM_PV);

/* A page table may be read by a grant, never written. */
static void attack_grant_page_table(void)
{
    uint64_t *table = table_alloc();
    struct gnttab_map_grant_ref m = {.host_addr = window_va(5), .flags = GNTMAP_host_map, .ref = REF};

    if (!begin())
        return;
    m.dom = self;
    EXPECT_RC(pin(1, table), 0);
    grant(table, 0);
    EXPECT(map(&m) == GNTST_general_error, "a table, writable: %d", m.status);
    EXPECT(!(pte_read(window_va(5)) & PTE_P), "it is mapped");
    m.flags |= GNTMAP_readonly;
    EXPECT(map(&m) == GNTST_okay, "a table, to read: %d", m.status);
    if (m.status == GNTST_okay)
        EXPECT(unmap(&m) == GNTST_okay, "unmap");
    EXPECT_RC(unpin(table), 0);
    entries[REF].flags = 0;
    end();
    table_free(table);
}
MICRO_TEST(attack_grant_page_table, "attack-grant-page-table", PLATFORM_PV);

/* While it is mapped by a grant for writing, its owner can make no table of it. */
static void attack_grant_retype(void)
{
    uint64_t *table = table_alloc();
    struct gnttab_map_grant_ref m = {.host_addr = window_va(5), .flags = GNTMAP_host_map, .ref = REF};

    if (!begin())
        return;
    m.dom = self;
    grant(table, 0);
    EXPECT(map(&m) == GNTST_okay, "status %d", m.status);
    if (m.status == GNTST_okay) {
        EXPECT(pin(1, table) < 0, "a table that a grant's user may write");
        entries[REF].flags = 0; /* taken back while it is mapped: that changes nothing */
        EXPECT(pin(1, table) < 0, "after the grant was taken back");
        EXPECT(unmap(&m) == GNTST_okay, "unmap");
    }
    EXPECT_RC(pin(1, table), 0);
    EXPECT_RC(unpin(table), 0);
    entries[REF].flags = 0;
    end();
    table_free(table);
}
MICRO_TEST(attack_grant_retype, "attack-grant-retype", PLATFORM_PV);

static int copy(struct gnttab_copy *c)
{
    c->status = 77;
    EXPECT_RC(hc_grant_table_op(GNTTABOP_copy, c, 1), 0);
    return c->status;
}

static void grant_copying(void)
{
    char *from = page_alloc(), *to = page_alloc();
    uint64_t *table = table_alloc();
    struct gnttab_copy c = {.source.u.gmfn = mfn_of(from), .source.domid = DOMID_SELF, .source.offset = 100,
                            .dest.u.ref = REF, .dest.offset = 200, .len = 50, .flags = GNTCOPY_dest_gref};

    if (!begin())
        return;
    c.dest.domid = self;
    for (unsigned i = 0; i < 50; i++) {
        from[100 + i] = 'a' + i % 26;
        to[199 + i] = 0;
    }
    to[250] = 0;
    grant(to, 0);
    EXPECT(copy(&c) == GNTST_okay, "status %d", c.status);
    EXPECT(to[199] == 0 && to[200] == 'a' && to[249] == 'a' + 49 % 26 && to[250] == 0, "other bytes");
    EXPECT(!(entries[REF].flags & (GTF_reading | GTF_writing)), "flags %x remain", entries[REF].flags);
    grant(to, GTF_readonly);
    EXPECT(copy(&c) == GNTST_general_error, "to a read-only grant: %d", c.status);
    grant(to, 0);
    c.dest.offset = 4096 - 49;
    EXPECT(copy(&c) == GNTST_bad_copy_arg, "over the end: %d", c.status);
    c.dest.offset = 0;
    c.len = 65535;
    EXPECT(copy(&c) == GNTST_bad_copy_arg, "more than a page: %d", c.status);
    c.len = 8;
    c.source.u.gmfn = 1ul << 40;
    EXPECT(copy(&c) != GNTST_okay, "from no frame");
    EXPECT_RC(pin(1, table), 0);
    c.source.u.gmfn = mfn_of(from);
    grant(table, 0);
    EXPECT(copy(&c) == GNTST_general_error, "onto a page table: %d", c.status);
    EXPECT(table[0] == 0, "the table has changed");
    EXPECT_RC(unpin(table), 0);
    entries[REF].flags = 0;
    end();
    expect_frame_clean(from, "source of a copy");
    expect_frame_clean(to, "target of a copy");
    table_free(table);
    page_free(from);
    page_free(to);
}
MICRO_TEST(grant_copying, "grant-copy", PLATFORM_PV);

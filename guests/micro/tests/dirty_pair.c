/* SPDX-License-Identifier: MIT */
/*
 * Log-dirty between two domains of a launch plan (tests/boot/logdirty): the privileged one, paravirtual, logs what domain 1, a PVH one,
 * writes, and must find exactly the pages of the tables below: by instructions of many kinds, across page boundaries, by the hypervisor
 * (results of hypercalls, a grant copy), by a mapping of another domain, in memory of 2 MiB that was there and in memory that was not.
 * It runs by its full name only.
 */
#define __XEN_TOOLS__ 1
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"
#include "frames.h"
#include <xen/domctl.h>

#define WRITER   1
#define AREA     (32ul << 20) /* guest-physical: four times 2 MiB, of which the third is not touched before */
#define AREA_GFN (AREA >> PAGE_SHIFT)
#define PAGES    2048
#define UNTOUCHED 1024        /* its first page */
#define COPY_REF 20
#define MAP_REF  21
#define COPIED   300          /* page that is granted for a copy, and one for a mapping */
#define MAPPED   301
#define HELLO    0xfeedfacecafe0003ul

/* What the writer writes in each round, by page of the area; the rest of what it does there is reading. */
static const uint16_t first_round[] = {0, 1, 7, 63, 64, 65, 100, 101, 110, 111, 130, 140, 141, 255, 510, 511, 512, 600, UNTOUCHED + 5};
static const uint16_t second_round[] = {7, 8, 64, 300, 511, 700, UNTOUCHED + 5, UNTOUCHED + 6};

static uint32_t port;
static uint8_t bitmap[(AREA_GFN + PAGES) / 8] __attribute__((aligned(8)));

static void tell(void)
{
    struct evtchn_send s = {.port = port};

    EXPECT_RC(hc_evtchn(EVTCHNOP_send, &s), 0);
}

/* The other's word; false after ten seconds. */
static bool await(void)
{
    struct sched_poll p = {.nr_ports = 1, .timeout = now_ns() + 10000000000ul};

    set_xen_guest_handle(p.ports, &port);
    while (!port_pending(port) && now_ns() < p.timeout)
        hc_sched_op(SCHEDOP_poll, &p);
    if (!port_pending(port))
        return false;
    port_clear(port);
    return true;
}

/* ---- the writer ---- */

static volatile uint8_t *page(unsigned i)
{
    return (volatile uint8_t *)phys_ptr(AREA) + i * PAGE_SIZE;
}

static void write_first(void)
{
    uint64_t sum = 0, n = 512;
    volatile uint8_t *to = page(110) + 4092;

    page(0)[0] = 1;
    *(volatile uint64_t *)(page(1) + 8) = 1;
    __asm__ volatile("lock incl %0" : "+m"(*(volatile uint32_t *)page(7)));
    __asm__ volatile("xchg %0, %1" : "+r"(sum), "+m"(*(volatile uint64_t *)page(63)));
    __asm__ volatile("rep stosq" : "+D"(*(uint64_t *)&(uint64_t){(uint64_t)page(64)}), "+c"(n) : "a"(0) : "memory");
    __asm__ volatile("btsl $3, %0" : "+m"(*(volatile uint32_t *)(page(65) + 4000)));
    *(volatile uint64_t *)(page(100) + 4092) = 1; /* half of it on the next page */
    __asm__ volatile("movsq" : "+D"(to) : "S"(page(200)) : "memory");
    EXPECT_RC(hc_xen_version(XENVER_extraversion, (void *)page(130)), 0);
    EXPECT_RC(hc_xen_version(XENVER_changeset, (void *)(page(140) + 4080)), 0);
    page(255)[4095] = 1;
    page(510)[0] = 1;
    *(volatile uint16_t *)(page(511) + 4095) = 0x101; /* and page 512, of the next 2 MiB */
    page(UNTOUCHED + 5)[9] = 1;
    for (unsigned i = 0; i < 512; i++) /* no writes */
        sum += *page(i) + *page(512 + i) + *page(UNTOUCHED + i);
    sum |= 1;
    __asm__ volatile("cmpxchg %2, %1" : "+a"(sum), "+m"(*(volatile uint64_t *)page(600)) : "r"(n) : "cc"); /* not equal: writes what is there */
}

static void write_second(void)
{
    for (unsigned i = 0; i < sizeof(second_round) / sizeof(second_round[0]); i++)
        page(second_round[i])[i] = 1;
}

static void writer(void)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = 0};
    struct xen_domctl op = {.cmd = XEN_DOMCTL_getdomaininfo, .interface_version = XEN_DOMCTL_INTERFACE_VERSION};
    volatile struct grant_entry_v1 *e = page_alloc();

    EXPECT_RC(hc_domctl(&op), -XEN_EPERM);
    EXPECT_RC(hc_add_to_physmap(XENMAPSPACE_grant_table, 0, mfn_of((void *)e)), 0);
    for (unsigned i = 0; i < PAGES; i += 512)
        if (i != UNTOUCHED)
            *page(i) = 0;
    for (unsigned ref = COPY_REF; ref <= MAP_REF; ref++) {
        e[ref].frame = (uint32_t)AREA_GFN + (ref == COPY_REF ? COPIED : MAPPED);
        e[ref].domid = 0;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        e[ref].flags = GTF_permit_access;
    }
    EXPECT_RC(hc_evtchn(EVTCHNOP_alloc_unbound, &a), 0);
    port = a.port;
    EXPECT(await(), "nobody logs"); /* bound */
    write_first();
    tell();
    EXPECT(await(), "no word after the first round");
    EXPECT(*(volatile uint64_t *)page(COPIED) == HELLO && *(volatile uint64_t *)page(MAPPED) == HELLO, "what was granted holds %lx %lx",
           *(volatile uint64_t *)page(COPIED), *(volatile uint64_t *)page(MAPPED));
    write_second();
    tell();
    EXPECT(await(), "no word after the second round");
    tell();
}

/* ---- the logger ---- */

static long shadow_op(uint16_t dom, unsigned what, void *bits, struct xen_domctl_shadow_op *out)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_shadow_op, .interface_version = XEN_DOMCTL_INTERFACE_VERSION, .domain = dom};
    long rc;

    op.u.shadow_op.op = what;
    op.u.shadow_op.pages = AREA_GFN + PAGES;
    set_xen_guest_handle(op.u.shadow_op.dirty_bitmap, bits);
    rc = hc_domctl(&op);
    if (out)
        *out = op.u.shadow_op;
    return rc;
}

/* The bits of the area are exactly these pages. */
static void expect_dirty(unsigned what, const uint16_t *want, unsigned n, const char *when)
{
    struct xen_domctl_shadow_op op;
    unsigned count = 0;

    memset(bitmap, 0xa5, sizeof(bitmap));
    EXPECT_RC(shadow_op(WRITER, what, bitmap, &op), 0);
    EXPECT(op.pages == AREA_GFN + PAGES, "%s: %lu pages", when, (unsigned long)op.pages);
    for (unsigned i = 0; i < PAGES; i++) {
        bool dirty = bitmap[(AREA_GFN + i) / 8] >> (AREA_GFN + i) % 8 & 1, should = false;

        for (unsigned k = 0; k < n; k++)
            should |= want[k] == i;
        count += dirty;
        if (dirty != should)
            test_fail(__FILE_NAME__, __LINE__, "%s: page %u is %s", when, i, dirty ? "dirty" : "clean");
    }
    EXPECT(op.stats.dirty_count >= count, "%s: %u dirty, and %u bits", when, op.stats.dirty_count, count);
}

static uint32_t flags_of(uint16_t dom, uint64_t *time)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_getdomaininfo, .interface_version = XEN_DOMCTL_INTERFACE_VERSION, .domain = dom};
    long rc = hc_domctl(&op);

    if (rc || op.domain != dom)
        return ~0u;
    *time = op.u.getdomaininfo.cpu_time;
    return op.u.getdomaininfo.flags;
}

static long control(uint16_t dom, unsigned cmd)
{
    struct xen_domctl op = {.cmd = cmd, .interface_version = XEN_DOMCTL_INTERFACE_VERSION, .domain = dom};

    return hc_domctl(&op);
}

static void rest(void)
{
    struct sched_poll p = {.timeout = now_ns() + 5000000};

    hc_sched_op(SCHEDOP_poll, &p);
}

static void pausing(void)
{
    uint64_t before, after;

    EXPECT_RC(control(WRITER, XEN_DOMCTL_unpausedomain), -XEN_EINVAL);
    EXPECT_RC(control(WRITER, XEN_DOMCTL_pausedomain), 0);
    EXPECT_RC(control(WRITER, XEN_DOMCTL_pausedomain), 0);
    EXPECT_RC(control(WRITER, XEN_DOMCTL_unpausedomain), 0);
    EXPECT(flags_of(WRITER, &before) & XEN_DOMINF_paused, "flags %x", flags_of(WRITER, &before));
    tell();
    rest();
    EXPECT(flags_of(WRITER, &after) & XEN_DOMINF_hvm_guest, "flags %x", flags_of(WRITER, &after));
    EXPECT(before == after, "it ran for %lu ns while it was paused", after - before);
    EXPECT_RC(control(WRITER, XEN_DOMCTL_unpausedomain), 0);
}

static void refusals(void)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_getdomaininfo, .interface_version = 1};

    EXPECT_RC(hc_domctl(&op), -XEN_EACCES);
    EXPECT_RC(hc_domctl((void *)0xffff800000000000ul), -XEN_EFAULT);
    EXPECT_RC(control(0, XEN_DOMCTL_pausedomain), -XEN_EINVAL);
    EXPECT_RC(control(77, XEN_DOMCTL_pausedomain), -XEN_ESRCH);
    EXPECT_RC(control(WRITER, 9999), -XEN_ENOSYS);
    EXPECT_RC(shadow_op(0, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, NULL, NULL), -XEN_EINVAL);
    EXPECT_RC(shadow_op(WRITER, 99, NULL, NULL), -XEN_EINVAL);
    EXPECT_RC(shadow_op(WRITER, XEN_DOMCTL_SHADOW_OP_PEEK, bitmap, NULL), -XEN_EINVAL);
    EXPECT_RC(shadow_op(WRITER, XEN_DOMCTL_SHADOW_OP_OFF, NULL, NULL), 0);
}

static void by_grants(void)
{
    static uint64_t hello = HELLO;
    static const uint16_t both[] = {COPIED, MAPPED};
    struct gnttab_copy c = {.len = 8, .flags = GNTCOPY_dest_gref, .source.domid = DOMID_SELF, .dest.domid = WRITER, .dest.u.ref = COPY_REF};
    struct gnttab_map_grant_ref m = {.host_addr = window_va(5), .flags = GNTMAP_host_map, .ref = MAP_REF, .dom = WRITER};
    struct gnttab_unmap_grant_ref u = {.host_addr = window_va(5)};

    c.source.u.gmfn = mfn_of((void *)((uintptr_t)&hello & ~(PAGE_SIZE - 1)));
    c.source.offset = (uintptr_t)&hello & (PAGE_SIZE - 1);
    EXPECT_RC(hc_grant_table_op(GNTTABOP_copy, &c, 1), 0);
    EXPECT(c.status == GNTST_okay, "copy: %d", c.status);
    EXPECT_RC(hc_grant_table_op(GNTTABOP_map_grant_ref, &m, 1), 0);
    EXPECT(m.status == GNTST_okay, "map: %d", m.status);
    if (m.status == GNTST_okay) {
        *(volatile uint64_t *)window_va(5) = HELLO;
        u.handle = m.handle;
        EXPECT_RC(hc_grant_table_op(GNTTABOP_unmap_grant_ref, &u, 1), 0);
    }
    expect_dirty(XEN_DOMCTL_SHADOW_OP_CLEAN, both, 2, "by grants");
}

static void logger(void)
{
    struct evtchn_bind_interdomain b = {.remote_dom = WRITER};
    uint64_t end = now_ns() + 10000000000ul, time;
    uint32_t flags;

    do {
        rest();
        for (b.remote_port = 1; b.remote_port < 32 && hc_evtchn(EVTCHNOP_bind_interdomain, &b); b.remote_port++)
            ;
    } while (b.remote_port == 32 && now_ns() < end);
    EXPECT(b.remote_port < 32, "the writer is not there");
    port = b.local_port;
    port_clear(port);
    rest();
    refusals();
    EXPECT_RC(shadow_op(WRITER, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, NULL, NULL), 0);
    EXPECT_RC(shadow_op(WRITER, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, NULL, NULL), -XEN_EEXIST);
    EXPECT_RC(shadow_op(WRITER, XEN_DOMCTL_SHADOW_OP_PEEK, (void *)0xffff800000000000ul, NULL), -XEN_EFAULT);
    expect_dirty(XEN_DOMCTL_SHADOW_OP_PEEK, NULL, 0, "at first");
    pausing(); /* and the word to begin */
    EXPECT(await(), "no first round");
    expect_dirty(XEN_DOMCTL_SHADOW_OP_PEEK, first_round, sizeof(first_round) / 2, "first round");
    expect_dirty(XEN_DOMCTL_SHADOW_OP_CLEAN, first_round, sizeof(first_round) / 2, "cleaning");
    expect_dirty(XEN_DOMCTL_SHADOW_OP_PEEK, NULL, 0, "cleaned");
    by_grants();
    tell();
    EXPECT(await(), "no second round");
    expect_dirty(XEN_DOMCTL_SHADOW_OP_CLEAN, second_round, sizeof(second_round) / 2, "second round");
    EXPECT_RC(shadow_op(WRITER, XEN_DOMCTL_SHADOW_OP_OFF, NULL, NULL), 0);
    EXPECT_RC(shadow_op(WRITER, XEN_DOMCTL_SHADOW_OP_PEEK, bitmap, NULL), -XEN_EINVAL);
    tell();
    EXPECT(await(), "no last word");
    do { /* it ends before the machine does, which goes with this domain */
        rest();
        flags = flags_of(WRITER, &time);
    } while (flags != ~0u && now_ns() < end);
}

static void dirty_pair(void)
{
    if (platform == PLATFORM_PVH && !privileged())
        writer();
    else if (platform == PLATFORM_PV && privileged())
        logger();
    else
        test_skip("not one of the pair");
}
MICRO_PAIR_TEST(dirty_pair, "dirty-pair", PLATFORM_XEN);

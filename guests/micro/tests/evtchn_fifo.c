/* SPDX-License-Identifier: MIT */
/*
 * Event channels by the FIFO ABI: the switch to it, growth, priorities, order, more ports than
 * 2-level has.
 *
 * The first test switches the domain over for all that follow; each says so when that has not
 * happened.
 */
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"
#include "evtchn.h"

#define WORDS_PER_PAGE (PAGE_SIZE / sizeof(event_word_t))

bool fifo_on(void)
{
    struct evtchn_init_control c = {.vcpu = 0};
    struct evtchn_expand_array e;

    if (fifo_control)
        return true;
    fifo_page[0] = page_alloc();
    fifo_control = page_alloc();
    c.control_gfn = mfn_of(fifo_control);
    if (hc_evtchn(EVTCHNOP_init_control, &c) != 0) {
        fifo_control = NULL;
        return false;
    }
    e.array_gfn = mfn_of(fifo_page[0]);
    for (unsigned i = 0; i < WORDS_PER_PAGE; i++)
        fifo_page[0][i] = 1u << EVTCHN_FIFO_MASKED;
    EXPECT_RC(hc_evtchn(EVTCHNOP_expand_array, &e), 0);
    EXPECT(c.link_bits == EVTCHN_FIFO_LINK_BITS, "link bits %u", c.link_bits);
    return true;
}

void fifo_off(void)
{
    struct evtchn_reset r = {.dom = DOMID_SELF};

    EXPECT_RC(hc_evtchn(EVTCHNOP_reset, &r), 0);
    page_free(fifo_page[0]);
    page_free(fifo_control);
    fifo_control = NULL;
}

/* The refusals come first: they need the domain as it was. */
static void fifo_init(void)
{
    struct evtchn_init_control c = {.vcpu = 7};
    uint64_t *page = page_alloc();

    if (!fifo_control) {
        struct evtchn_expand_array e = {.array_gfn = mfn_of(page)};
        struct evtchn_set_priority p = {.port = 1, .priority = 3};

        EXPECT_RC(hc_evtchn(EVTCHNOP_expand_array, &e), -XEN_EOPNOTSUPP);
        EXPECT(hc_evtchn(EVTCHNOP_set_priority, &p) < 0, "a priority without FIFO was accepted");
    }
    c.control_gfn = mfn_of(page);
    EXPECT_RC(hc_evtchn(EVTCHNOP_init_control, &c), -XEN_ENOENT);
    c.vcpu = 0;
    c.offset = 4;
    EXPECT_RC(hc_evtchn(EVTCHNOP_init_control, &c), -XEN_EINVAL);
    c.offset = PAGE_SIZE - 8;
    EXPECT_RC(hc_evtchn(EVTCHNOP_init_control, &c), -XEN_EINVAL);
    c.offset = 0;
    c.control_gfn = mfn_of(window_l1);
    if (platform == PLATFORM_PV) /* elsewhere a page table is a page like any other */
        EXPECT(hc_evtchn(EVTCHNOP_init_control, &c) < 0, "a page table became a control block");
    REQUIRE(fifo_on(), "init_control refused");
    /* Events go on to be delivered, by the new queues. */
    evtchn_delivery();
    page_free(page);
}
MICRO_TEST(fifo_init, "evtchn-fifo-init", PLATFORM_XEN);

static void fifo_mask(void)
{
    REQUIRE(fifo_on(), "no FIFO");
    evtchn_port_mask();
}
MICRO_TEST(fifo_mask, "evtchn-fifo-mask", PLATFORM_XEN);

static void fifo_interdomain(void)
{
    REQUIRE(fifo_on(), "no FIFO");
    evtchn_interdomain();
}
MICRO_TEST(fifo_interdomain, "evtchn-fifo-interdomain", PLATFORM_XEN);

/* Sent in one order, found by priority; within one priority, first in, first out. */
static void fifo_priorities(void)
{
    enum { N = 6 };
    static const uint32_t priority[N] = {15, 7, 0, 7, 3, 0};
    static const unsigned order[N] = {2, 5, 4, 1, 3, 0};
    uint32_t port[N];

    REQUIRE(fifo_on(), "no FIFO");
    for (unsigned i = 0; i < N; i++) {
        struct evtchn_set_priority p;

        port[i] = port_ipi();
        p = (struct evtchn_set_priority){.port = port[i], .priority = priority[i]};
        EXPECT_RC(hc_evtchn(EVTCHNOP_set_priority, &p), 0);
    }
    events_reset_log();
    for (unsigned i = 0; i < N; i++)
        EXPECT_RC(port_send(port[i]), 0);
    EXPECT_RC(port_send(port[0]), 0); /* linked already: no second entry */
    events_unmask();
    events_mask();
    EXPECT(ev_count == N, "%u events", ev_count);
    for (unsigned i = 0; i < N; i++)
        EXPECT(ev_log[i] == port[order[i]], "place %u: port %u, want %u", i, ev_log[i],
               port[order[i]]);
    for (unsigned i = 0; i < N; i++)
        EXPECT_RC(port_close(port[i]), 0);
}
MICRO_TEST(fifo_priorities, "evtchn-fifo-priorities", PLATFORM_XEN);

static void fifo_priority_errors(void)
{
    struct evtchn_set_priority p = {.priority = 16};

    REQUIRE(fifo_on(), "no FIFO");
    p.port = port_ipi();
    EXPECT_RC(hc_evtchn(EVTCHNOP_set_priority, &p), -XEN_EINVAL);
    EXPECT_RC(port_close(p.port), 0);
    p.priority = 1;
    p.port = 1 << 19;
    EXPECT_RC(hc_evtchn(EVTCHNOP_set_priority, &p), -XEN_EINVAL);
}
MICRO_TEST(fifo_priority_errors, "evtchn-fifo-priority-errors", PLATFORM_XEN);

/* Grow the array to hold more than 4,096 ports, use the highest, give all back. */
static void fifo_growth(void)
{
    enum { PORTS = 4500 };
    static uint32_t ports[PORTS];
    uint32_t highest = 0;
    unsigned n;

    REQUIRE(fifo_on(), "no FIFO");
    for (unsigned p = 1; p * WORDS_PER_PAGE < PORTS + WORDS_PER_PAGE; p++) {
        struct evtchn_expand_array e;

        if (fifo_page[p])
            continue;
        fifo_page[p] = page_alloc();
        e.array_gfn = mfn_of(fifo_page[p]);
        for (unsigned i = 0; i < WORDS_PER_PAGE; i++)
            fifo_page[p][i] = 1u << EVTCHN_FIFO_MASKED;
        EXPECT_RC(hc_evtchn(EVTCHNOP_expand_array, &e), 0);
    }
    for (n = 0; n < PORTS; n++) {
        struct evtchn_bind_ipi b = {.vcpu = 0};
        long rc = hc_evtchn(EVTCHNOP_bind_ipi, &b);

        if (rc) {
            EXPECT(false, "port %u: %ld", n, rc);
            break;
        }
        ports[n] = b.port;
        if (b.port > highest)
            highest = b.port;
    }
    EXPECT(highest > EVTCHN_2L_NR_CHANNELS, "highest port %u", highest);
    if (highest) {
        port_mask(highest, false);
        events_reset_log();
        EXPECT_RC(port_send(highest), 0);
        events_unmask();
        events_mask();
        EXPECT(ev_count == 1 && ev_log[0] == highest, "%u events, first %u", ev_count, ev_log[0]);
        port_mask(highest, true);
    }
    while (n)
        EXPECT_RC(port_close(ports[--n]), 0);
    test_note("highest port %u", highest);
}
MICRO_TEST(fifo_growth, "evtchn-fifo-growth", PLATFORM_XEN);

/* The pages given to the hypervisor stay plain writable memory: they must not become page tables.
 */
static void fifo_pages_held(void)
{
    REQUIRE(fifo_on(), "no FIFO");
    EXPECT_RC(page_readonly(fifo_page[0]), 0);
    EXPECT(hc_mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(fifo_page[0]), 0) < 0,
           "an event array was pinned as L1");
    EXPECT_RC(page_writable(fifo_page[0]), 0);
}
MICRO_TEST(fifo_pages_held, "evtchn-fifo-pages-held", PLATFORM_PV);

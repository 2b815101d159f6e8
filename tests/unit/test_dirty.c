/* SPDX-License-Identifier: MIT */
/*
 * Log-dirty (hv/core/dirty.c): what is marked, read and cleaned, for a domain that keeps its own p2m and for one with a physical map.
 */
#include <criterion/criterion.h>

#include "core/dirty.h"
#include "core/hypercall.h"
#include "event_op.h"
#include "machine.h"

#define GFNS 256

static struct {
    u64 mfn;
    enum p2m_type type;
} map[GFNS];
static struct domain *d;

static mfn_t lookup(struct domain *of, gfn_t gfn, enum p2m_type *type, unsigned int *order)
{
    *order = 0;
    *type = gfn.n < GFNS ? map[gfn.n].type : P2M_NONE;
    return *type == P2M_NONE ? MFN_INVALID : MFN(map[gfn.n].mfn);
}

static int write_entry(struct domain *of, gfn_t gfn, mfn_t mfn, enum p2m_type type, unsigned int order)
{
    map[gfn.n].mfn = mfn.n;
    map[gfn.n].type = type;
    return 0;
}

static void nothing(struct domain *of)
{
}

static const struct p2m_ops ops = {.lookup = lookup, .write = write_entry, .flush = nothing, .destroy = nothing};

static void start(void)
{
    host_machine_start(1024, 1, "null");
    d = host_domain(1, 2, 0);
    host_set_current(d->vcpu[0]);
}

TestSuite(dirty, .init = start, .fini = host_machine_stop);

Test(dirty, without_a_log_nothing_happens)
{
    u64 w;

    mark_dirty(d, GFN(3));
    cr_assert_eq(dirty_logs, 0);
    cr_assert_eq(dirty_log_read(d, 0, &w, 1, true), -XEN_EINVAL);
    cr_assert_eq(dirty_log_stop(d), 0);
}

Test(dirty, marks_are_read_and_cleaned)
{
    u64 w[4];

    cr_assert_eq(dirty_log_start(d, 0), -XEN_EINVAL);
    cr_assert_eq(dirty_log_start(d, P2M_LIMIT + 1), -XEN_EINVAL);
    cr_assert_eq(dirty_log_start(d, 200), 0);
    cr_assert_eq(dirty_log_start(d, 200), -XEN_EEXIST);
    cr_assert_eq(dirty_logs, 1);
    mark_dirty(d, GFN(0));
    mark_dirty(d, GFN(63));
    mark_dirty(d, GFN(199));
    mark_dirty(d, GFN(200)); /* beyond it */
    mark_dirty(d, GFN(~0ull));
    cr_assert_eq(dirty_log_read(d, 0, w, 4, false), 3);
    cr_assert_eq(w[0], 1ull << 63 | 1);
    cr_assert_eq(w[3], 1ull << 7);
    cr_assert_eq(dirty_log_read(d, 64, w, 1, true), 0);
    cr_assert_eq(dirty_log_read(d, 0, w, 4, true), 3, "reading other frames cleaned none of these");
    cr_assert_eq(dirty_log_read(d, 0, w, 4, true), 0);
    cr_assert_eq(dirty_log_read(d, 1, w, 1, true), -XEN_EINVAL);
    cr_assert_eq(dirty_log_read(d, ~63ull, w, 4, true), 0);
    cr_assert_eq(dirty_log_stop(d), 0);
    cr_assert_eq(dirty_logs, 0);
}

Test(dirty, pages_shared_for_long_are_dirty_each_time)
{
    gva_t gva;
    struct vcpu_register_vcpu_info *op = host_guest_alloc(sizeof(*op), &gva);
    mfn_t info = host_frame(d), control = host_frame(d), words = host_frame(d);
    struct evtchn_init_control init = {.control_gfn = control.n};
    struct evtchn_expand_array expand = {.array_gfn = words.n};
    u64 w;

    m2p[info.n] = 5;
    m2p[control.n] = 6;
    m2p[words.n] = 7;
    op->mfn = info.n;
    cr_assert_eq(do_vcpu_op(VCPUOP_register_vcpu_info, 0, gva, 0, 0, 0), 0);
    cr_assert_eq(OP(init_control, &init), 0);
    cr_assert_eq(OP(expand_array, &expand), 0);
    cr_assert_eq(dirty_log_start(d, 64), 0);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(dirty_log_read(d, 0, &w, 1, true), 3);
        cr_assert_eq(w, 7ull << 5);
    }
}

Test(dirty, a_map_is_protected_and_tells_of_writes)
{
    struct p2m_entry was;
    mfn_t frame[3];
    u64 w, done;

    p2m_init(d, &ops);
    for (unsigned int i = 0; i < 3; i++) {
        frame[i] = host_frame(d);
        if (i < 2)
            cr_assert_eq(p2m_set(d, GFN(10 + i), ~0u, frame[i], P2M_RAM, &was), 0);
    }
    cr_assert_eq(dirty_log_start(d, GFNS), 0);
    cr_assert_eq(map[10].type, P2M_LOGDIRTY);
    cr_assert_eq(map[11].type, P2M_LOGDIRTY);
    cr_assert_eq(p2m_change_type(d, GFN(11), 1, P2M_LOGDIRTY, P2M_RAM, &done), 0); /* what a write fault does */
    cr_assert_eq(p2m_set(d, GFN(12), ~0u, frame[2], P2M_RAM, &was), 0);                    /* memory that comes is new */
    cr_assert_eq(dirty_log_read(d, 0, &w, 1, true), 2);
    cr_assert_eq(w, 3ull << 11);
    cr_assert_eq(map[11].type, P2M_LOGDIRTY, "protected again");
    cr_assert_eq(map[12].type, P2M_LOGDIRTY);
    cr_assert_eq(dirty_log_read(d, 0, &w, 1, true), 0);
    cr_assert_eq(dirty_log_stop(d), 0);
    cr_assert_eq(map[10].type, P2M_RAM);
    cr_assert_eq(map[12].type, P2M_RAM);
}

Test(dirty, starting_and_stopping_make_way)
{
    u64 w;

    p2m_init(d, &ops);
    for (u64 gfn = 0; gfn < GFNS; gfn++)
        map[gfn].type = P2M_RAM;
    d->p2m.end = 2048;
    host_preempt_after = 1;
    cr_assert_eq(dirty_log_start(d, 2048), -XEN_ERESTART);
    cr_assert_eq(dirty_log_start(d, 2048), 0);
    cr_assert_eq(map[0].type, P2M_LOGDIRTY);
    cr_assert_eq(map[GFNS - 1].type, P2M_LOGDIRTY);
    cr_assert_eq(dirty_log_read(d, 0, &w, 1, false), 0);
    host_preempt_after = 1;
    cr_assert_eq(dirty_log_stop(d), -XEN_ERESTART);
    cr_assert_eq(dirty_log_stop(d), 0);
    cr_assert_eq(map[GFNS - 1].type, P2M_RAM);
}

Test(dirty, no_memory_leaves_no_log)
{
    for (unsigned int n = 1; n <= 2; n++) {
        host_fail_alloc = n;
        cr_assert_eq(dirty_log_start(d, 64), -XEN_ENOMEM);
        cr_assert_null(d->dirty);
        cr_assert_eq(dirty_logs, 0);
    }
}

Test(dirty, a_domain_may_die_while_it_logs)
{
    cr_assert_eq(dirty_log_start(d, 64), 0);
    host_domain_end(d);
    cr_assert_eq(dirty_logs, 0);
}

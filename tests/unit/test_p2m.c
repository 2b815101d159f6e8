/* SPDX-License-Identifier: MIT */
/*
 * Physical maps (hv/core/p2m.c) over a format of the plainest kind: one array of entries, each of which remembers the order
 * that it was written with. What may stand in a map, what an entry holds, and what goes when.
 */
#include <criterion/criterion.h>

#include "core/p2m.h"
#include "machine.h"
#include "x86/pv/typing.h"

#define FRAMES 2048
#define GFNS   2048

static struct {
    u64 mfn;
    u8 type, order;
} map[GFNS];
static unsigned int flushes, destroyed, fail_after;
static bool dirty; /* written and not flushed */
static struct domain *d, *other;
static struct p2m_entry was;

/* What a look-up leaves in the taken lock: it is gone when the lock has been given up and taken again. */
#define LOOKED 2

static mfn_t lookup(struct domain *of, gfn_t gfn, enum p2m_type *type, unsigned int *order)
{
    of->p2m.lock.taken = LOOKED;
    *type = P2M_NONE;
    *order = 0;
    if (gfn.n >= GFNS || !map[gfn.n].type)
        return MFN_INVALID;
    *type = map[gfn.n].type;
    *order = map[gfn.n].order;
    return MFN(map[gfn.n].mfn);
}

/* As a builder does, before anybody runs. */
static int put(gfn_t gfn, mfn_t mfn, enum p2m_type type, unsigned int order)
{
    u64 first = gfn.n, n = 1ull << order;

    if (fail_after && --fail_after == 0)
        return -XEN_ENOMEM;
    cr_assert(gfn.n + n <= GFNS);
    if (map[gfn.n].order > order) /* split what is in the way */
        for (u64 i = first & ~((1ull << map[first].order) - 1), end = i + (1ull << map[first].order); i < end; i++)
            map[i].order = 0;
    for (u64 i = 0; i < n; i++) {
        map[first + i].mfn = mfn.n + i;
        map[first + i].type = type;
        map[first + i].order = order;
    }
    dirty = true;
    return 0;
}

static int write_entry(struct domain *of, gfn_t gfn, mfn_t mfn, enum p2m_type type, unsigned int order)
{
    cr_assert_eq(of->p2m.lock.taken, LOOKED, "another pcpu could change the entry between the look and the change");
    return put(gfn, mfn, type, order);
}

static void flush(struct domain *of)
{
    flushes++;
    dirty = false;
}

static void destroy(struct domain *of)
{
    destroyed++;
}

static const struct p2m_ops ops = {.lookup = lookup, .write = write_entry, .flush = flush, .destroy = destroy};

static void start(void)
{
    host_machine_start(FRAMES, 1, "null");
    d = host_domain(1, 1, 0);
    other = host_domain(2, 1, 0);
    d->max_pages = other->max_pages = FRAMES;
    host_set_current(d->vcpu[0]);
    memset(map, 0, sizeof(map));
    flushes = destroyed = fail_after = 0;
    p2m_init(d, &ops);
}

TestSuite(p2m, .init = start, .fini = host_machine_stop);

static enum p2m_type type_at(u64 gfn)
{
    enum p2m_type t;

    p2m_get(d, GFN(gfn), &t, NULL);
    return t;
}

Test(p2m, without_a_map_a_guest_frame_is_a_machine_frame)
{
    enum p2m_type t;
    unsigned int order;

    cr_assert_eq(p2m_get(other, GFN(77), &t, &order).n, 77);
    cr_assert_eq(t, P2M_RAM);
    cr_assert_eq(order, 0);
    cr_assert_eq(p2m_set(other, GFN(1), ~0u, MFN(1), P2M_RAM, &was), -XEN_EOPNOTSUPP);
    cr_assert_eq(p2m_remove(other, GFN(1), P2M_ANYTHING, &was), -XEN_EOPNOTSUPP);
}

Test(p2m, ram_is_the_domains_own)
{
    mfn_t mine = host_frame(d), theirs = host_frame(other);

    cr_assert_eq(p2m_set(d, GFN(5), ~0u, mine, P2M_RAM, &was), 0);
    cr_assert_eq(p2m_get(d, GFN(5), NULL, NULL).n, mine.n);
    cr_assert_eq(d->max_ever_pfn, 5);
    cr_assert_not(dirty, "a changed entry has been flushed");
    cr_assert_eq(p2m_set(d, GFN(6), ~0u, theirs, P2M_RAM, &was), -XEN_EINVAL);
    cr_assert_eq(p2m_set(d, GFN(6), ~0u, MFN(FRAMES + 1), P2M_RAM, &was), -XEN_EINVAL);
    cr_assert_eq(type_at(6), P2M_NONE);
    cr_assert_eq(p2m_remove(d, GFN(5), P2M_ANYTHING, &was), 0);
    cr_assert_eq(p2m_get(d, GFN(5), NULL, NULL).n, MFN_INVALID.n);
    cr_assert(host_allocation_held(mine), "the frame is still the domain's");
    cr_assert(was.mfn.n == mine.n && was.type == P2M_RAM, "the caller is told what to free");
    cr_assert_eq(p2m_remove(d, GFN(5), P2M_ANYTHING, &was), -XEN_ENOENT, "nothing there");
}

Test(p2m, only_what_was_meant_goes)
{
    mfn_t mine = host_frame(d), second = host_frame(d);

    cr_assert_eq(p2m_set(d, GFN(4), P2M_BIT(P2M_NONE), mine, P2M_RAM, &was), 0);
    cr_assert_eq(p2m_set(d, GFN(4), P2M_BIT(P2M_NONE), second, P2M_RAM, &was), -XEN_ENOENT, "another pcpu was first");
    cr_assert_eq(p2m_remove(d, GFN(4), P2M_HOLDING, &was), -XEN_ENOENT);
    cr_assert_eq(p2m_get(d, GFN(4), NULL, NULL).n, mine.n);
    cr_assert_eq(p2m_set(d, GFN(4), ~0u, second, P2M_SHARED, &was), 0);
    cr_assert(was.mfn.n == mine.n && was.type == P2M_RAM, "whoever replaced it frees it");
}

Test(p2m, types_and_limits)
{
    mfn_t mine = host_frame(d);

    cr_assert_eq(p2m_set(d, GFN(P2M_LIMIT), ~0u, mine, P2M_RAM, &was), -XEN_EINVAL);
    cr_assert_eq(p2m_set(d, GFN(~0ull), ~0u, mine, P2M_RAM, &was), -XEN_EINVAL);
    cr_assert_eq(p2m_get(d, GFN(~0ull), NULL, NULL).n, MFN_INVALID.n);
    cr_assert_eq(p2m_remove(d, GFN(P2M_LIMIT), P2M_ANYTHING, &was), -XEN_EINVAL);
    cr_assert_eq(p2m_set(d, GFN(1), ~0u, mine, P2M_NONE, &was), -XEN_EINVAL);
    cr_assert_eq(p2m_set(d, GFN(1), ~0u, mine, P2M_PAGED, &was), -XEN_EINVAL);
    cr_assert_eq(p2m_set(d, GFN(1), ~0u, mine, P2M_NR_TYPES, &was), -XEN_EINVAL);
}

Test(p2m, device_frames_need_a_right)
{
    struct domain *first;

    cr_assert_eq(p2m_set(d, GFN(9), ~0u, MFN(FRAMES + 5), P2M_MMIO, &was), -XEN_EPERM);
    cr_assert_eq(domain_create(0, DOMAIN_PV, true, 1, 64, &first), 0);
    p2m_init(first, &ops);
    cr_assert_eq(p2m_set(first, GFN(9), ~0u, MFN(FRAMES + 5), P2M_MMIO, &was), 0);
    cr_assert_eq(p2m_set(first, GFN(9), ~0u, host_frame(first), P2M_MMIO, &was), -XEN_EPERM, "memory is no device");
    hardware_domain = NULL; /* its end is not the machine's here */
}

Test(p2m, an_entry_owns_the_hold_of_anothers_frame)
{
    mfn_t theirs = host_frame(other);
    u64 before = frame_of(theirs)->word;

    cr_assert_eq(arch_hold_frame(other, theirs, true), 0);
    cr_assert_eq(p2m_set(d, GFN(20), ~0u, theirs, P2M_GRANT_RW, &was), 0);
    cr_assert_eq(d->p2m.nr_held, 1);
    cr_assert_eq(frame_get_type(theirs, FT_L1, other), -XEN_EINVAL, "no page table while another may write it");
    cr_assert_eq(p2m_remove(d, GFN(20), P2M_ANYTHING, &was), 0);
    cr_assert_eq(frame_refs(frame_of(theirs)->word), frame_refs(before));
    cr_assert_eq(frame_tc(frame_of(theirs)->word), 0);
    cr_assert_eq(d->p2m.nr_held, 0);

    cr_assert_eq(arch_hold_frame(other, theirs, false), 0);
    cr_assert_eq(p2m_set(d, GFN(20), ~0u, theirs, P2M_GRANT_RO, &was), 0);
    cr_assert_eq(frame_get_type(theirs, FT_WRITABLE, other), 0);
    cr_assert_eq(frame_put_type(theirs, false), 0);
    cr_assert_eq(p2m_set(d, GFN(20), ~0u, host_frame(d), P2M_RAM, &was), 0, "replaced");
    cr_assert_eq(frame_refs(frame_of(theirs)->word), 1, "the hold went with the entry");
}

Test(p2m, holding_refuses_page_tables_and_what_is_not_the_owners)
{
    mfn_t table = host_frame(other), mine = host_frame(d);

    cr_assert_eq(frame_pin(table, FT_L1, other), 0);
    cr_assert_eq(arch_hold_frame(other, table, true), -XEN_EBUSY);
    cr_assert_eq(arch_hold_frame(other, table, false), 0, "to read it is harmless");
    arch_drop_frame(table, false);
    cr_assert_eq(arch_hold_frame(other, mine, false), -XEN_EINVAL);
    cr_assert_eq(arch_hold_frame(other, MFN(FRAMES), false), -XEN_EINVAL);
    cr_assert_eq(frame_unpin(table, other), 0);
}

Test(p2m, a_failed_change_changes_nothing)
{
    mfn_t theirs = host_frame(other), mine = host_frame(d);

    cr_assert_eq(arch_hold_frame(other, theirs, true), 0);
    fail_after = 1;
    cr_assert_eq(p2m_set(d, GFN(3), ~0u, theirs, P2M_FOREIGN, &was), -XEN_ENOMEM);
    cr_assert_eq(d->p2m.nr_held, 0);
    cr_assert_eq(p2m_set(d, GFN(3), ~0u, theirs, P2M_FOREIGN, &was), 0);
    fail_after = 1;
    cr_assert_eq(p2m_set(d, GFN(3), ~0u, mine, P2M_RAM, &was), -XEN_ENOMEM);
    cr_assert_eq(type_at(3), P2M_FOREIGN);
    cr_assert_eq(frame_refs(frame_of(theirs)->word), 2);
}

Test(p2m, log_dirty_counts_single_frames)
{
    u64 done;
    mfn_t first = host_frame(d);

    cr_assert_leq(first.n, 512);
    for (unsigned int i = 0; i < 1024 && host_frame(d).n != 1023; i++)
        ;
    cr_assert_eq(arch_frame_owner(MFN(1023)), d->id);
    cr_assert_eq(put(GFN(0), MFN(512), P2M_RAM, 9), 0);
    cr_assert_eq(p2m_set(d, GFN(600), ~0u, first, P2M_RAM, &was), 0);
    cr_assert_eq(p2m_change_type(d, GFN(0), P2M_LIMIT, P2M_RAM, P2M_LOGDIRTY, &done), 0);
    cr_assert_not(dirty);
    for (u64 gfn = 0; gfn < 512; gfn++) {
        cr_assert_eq(map[gfn].order, 0);
        cr_assert_eq(map[gfn].mfn, 512 + gfn);
        cr_assert_eq(type_at(gfn), P2M_LOGDIRTY);
    }
    cr_assert_eq(type_at(600), P2M_LOGDIRTY);
    cr_assert_eq(p2m_change_type(d, GFN(7), 2, P2M_LOGDIRTY, P2M_RAM, &done), 0);
    cr_assert_eq(type_at(6), P2M_LOGDIRTY);
    cr_assert_eq(type_at(7), P2M_RAM);
    cr_assert_eq(type_at(9), P2M_LOGDIRTY);
    cr_assert_eq(p2m_change_type(d, GFN(0), 1, P2M_RAM, P2M_MMIO, &done), -XEN_EINVAL);

    host_preempt_after = 1;
    cr_assert_eq(p2m_change_type(d, GFN(0), 601, P2M_LOGDIRTY, P2M_RAM, &done), -XEN_ERESTART);
    cr_assert_eq(done, 511);
    cr_assert_eq(p2m_change_type(d, GFN(done), 601 - done, P2M_LOGDIRTY, P2M_RAM, &done), 0);
    cr_assert_eq(type_at(600), P2M_RAM);
}

Test(p2m, teardown_gives_back_all_holds)
{
    mfn_t theirs = host_frame(other);

    for (u64 gfn = 100; gfn < 1800; gfn += 100) {
        cr_assert_eq(arch_hold_frame(other, theirs, gfn % 200), 0);
        cr_assert_eq(p2m_set(d, GFN(gfn), ~0u, theirs, gfn % 200 ? P2M_GRANT_RW : P2M_GRANT_RO, &was), 0);
    }
    host_preempt_after = 1;
    cr_assert_eq(p2m_teardown(d), -XEN_ERESTART);
    cr_assert_eq(p2m_teardown(d), 0);
    cr_assert_eq(frame_refs(frame_of(theirs)->word), 1);
    cr_assert_eq(frame_tc(frame_of(theirs)->word), 0);
    cr_assert_eq(destroyed, 1);
    cr_assert_eq(p2m_teardown(d), 0);
    cr_assert_eq(destroyed, 1);
}

Test(p2m, the_owner_may_die_first)
{
    mfn_t theirs = host_frame(other);

    cr_assert_eq(arch_hold_frame(other, theirs, true), 0);
    cr_assert_eq(p2m_set(d, GFN(1), ~0u, theirs, P2M_GRANT_RW, &was), 0);
    host_domain_end(other);
    cr_assert_eq(frame_of(theirs)->owner, DOMID_XEN, "the frame lives while it is mapped, in nobody's account");
    cr_assert_eq(p2m_remove(d, GFN(1), P2M_ANYTHING, &was), 0);
    cr_assert_eq(frame_of(theirs)->owner, DOMID_INVALID);
}

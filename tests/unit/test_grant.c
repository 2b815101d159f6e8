/* SPDX-License-Identifier: MIT */
/*
 * Grants between two domains: what the user of a grant can do with another's frame, what it cannot, and what the end of
 * either leaves behind. The user maps at entries of an L1 table of its own.
 */
#include <criterion/criterion.h>

#include "core/grant.h"
#include "core/hypercall.h"
#include "machine.h"
#include "x86/pv/typing.h"
#include "x86/x86.h"

#define REF 9

static struct domain *owner, *user;
static mfn_t page, l1;
static u64 refs, types;

static grant_entry_v1_t *entry(grant_ref_t ref)
{
    return (grant_entry_v1_t *)owner->grant_frame[0] + ref;
}

static void grant(mfn_t mfn, u16 flags)
{
    *entry(REF) = (grant_entry_v1_t){.flags = GTF_permit_access | flags, .domid = user->id, .frame = (u32)mfn.n};
}

static void start(void)
{
    host_machine_start(1024, 1, "null");
    owner = host_domain(1, 1, 0);
    user = host_domain(2, 1, 0);
    host_set_current(user->vcpu[0]);
    page = host_frame(owner);
    l1 = host_frame(user);
    cr_assert_eq(frame_pin(l1, FT_L1, user), 0);
    refs = frame_refs(frame_of(page)->word);
    types = frame_tc(frame_of(page)->word);
    grant(page, 0);
}

TestSuite(grant, .init = start, .fini = host_machine_stop);

static u64 *slot(unsigned int i)
{
    return (u64 *)map_mfn(l1) + i;
}

static u64 slot_address(unsigned int i)
{
    return (l1.n << PAGE_SHIFT) + i * 8;
}

static int map(unsigned int i, u32 flags, grant_handle_t *handle)
{
    gva_t gva;
    struct gnttab_map_grant_ref *op;

    host_guest_reset();
    op = host_guest_alloc(sizeof(*op), &gva);
    *op = (struct gnttab_map_grant_ref){
        .host_addr = slot_address(i), .flags = GNTMAP_host_map | GNTMAP_contains_pte | flags, .ref = REF, .dom = owner->id};
    cr_assert_eq(do_grant_table_op(GNTTABOP_map_grant_ref, gva, 1, 0, 0, 0), 0);
    *handle = op->handle;
    return op->status;
}

static int unmap(unsigned int i, grant_handle_t handle)
{
    gva_t gva;
    struct gnttab_unmap_grant_ref *op;

    host_guest_reset();
    op = host_guest_alloc(sizeof(*op), &gva);
    *op = (struct gnttab_unmap_grant_ref){.host_addr = slot_address(i), .handle = handle};
    cr_assert_eq(do_grant_table_op(GNTTABOP_unmap_grant_ref, gva, 1, 0, 0, 0), 0);
    return op->status;
}

/* mmu_update by the user. */
static long update(unsigned int i, u64 val)
{
    gva_t gva;
    struct mmu_update *req;

    host_guest_reset();
    req = host_guest_alloc(sizeof(*req), &gva);
    *req = (struct mmu_update){.ptr = slot_address(i), .val = val};
    return do_mmu_update(gva, 1, 0, DOMID_SELF, 0, 0);
}

static void as_before(void)
{
    cr_assert_eq(frame_refs(frame_of(page)->word), refs, "%d references", (int)frame_refs(frame_of(page)->word));
    cr_assert_eq(frame_tc(frame_of(page)->word), types, "%d type references", (int)frame_tc(frame_of(page)->word));
    cr_assert_eq(entry(REF)->flags & (GTF_reading | GTF_writing), 0);
}

Test(grant, a_frame_is_mapped_and_unmapped)
{
    grant_handle_t handle;

    cr_assert_eq(map(3, 0, &handle), GNTST_okay);
    cr_assert_eq((*slot(3) & PTE_MFN) >> PAGE_SHIFT, page.n);
    cr_assert_eq(*slot(3) & (PTE_P | PTE_RW), PTE_P | PTE_RW);
    cr_assert_eq(frame_type(frame_of(page)->word), FT_WRITABLE);
    cr_assert_eq(frame_refs(frame_of(page)->word), refs + 2, "the handle's and the entry's");
    cr_assert_eq(entry(REF)->flags & (GTF_reading | GTF_writing), GTF_reading | GTF_writing);
    cr_assert_eq(frame_pin(page, FT_L1, owner), -XEN_EINVAL, "no table of it meanwhile");
    cr_assert_eq(unmap(3, handle), GNTST_okay);
    cr_assert_eq(*slot(3), 0);
    as_before();
    cr_assert_eq(unmap(3, handle), GNTST_bad_handle);
    cr_assert_eq(frame_pin(page, FT_L1, owner), 0);
    cr_assert_eq(frame_unpin(page, owner), 0);
}

Test(grant, read_only_stays_read_only)
{
    grant_handle_t handle;

    grant(page, GTF_readonly);
    cr_assert_eq(map(3, 0, &handle), GNTST_general_error);
    as_before();
    cr_assert_eq(map(3, GNTMAP_readonly, &handle), GNTST_okay);
    cr_assert_eq(update(3, *slot(3) | PTE_RW), -XEN_EINVAL, "the user makes it writable");
    cr_assert_eq(update(4, *slot(3)), -XEN_EINVAL, "the user copies the entry");
    cr_assert_not(*slot(3) & PTE_RW);
    cr_assert_eq(frame_tc(frame_of(page)->word), 0);
    cr_assert_eq(unmap(3, handle), GNTST_okay);
    as_before();
}

Test(grant, a_list_that_is_stopped_each_time_comes_to_its_end)
{
    struct host_vcpu *h = host_vcpu(user->vcpu[0]);
    struct gnttab_swap_grant_ref *swap;
    gva_t gva;

    swap = host_guest_alloc(3 * sizeof(*swap), &gva);
    for (unsigned int i = 0; i < 3; i++)
        swap[i] = (struct gnttab_swap_grant_ref){.ref_a = 10 + i, .ref_b = 20 + i, .status = 77};
    host_preempt_after = 1;
    (void)do_grant_table_op(GNTTABOP_swap_grant_ref, gva, 3, 0, 0, 0);
    for (u64 left = 2; left; left--) {
        cr_assert(h->has_continued);
        cr_assert_eq(h->continued[3], left);
        cr_assert_eq(swap[2 - left].status, GNTST_okay);
        cr_assert_eq(swap[3 - left].status, 77);
        h->has_continued = false;
        host_preempt_after = 1;
        (void)do_grant_table_op(h->continued[1], h->continued[2], h->continued[3], 0, 0, 0);
    }
    cr_assert_not(h->has_continued);
    cr_assert_eq(swap[2].status, GNTST_okay);
}

Test(grant, without_a_grant_there_is_no_way)
{
    cr_assert_eq(update(3, page.n << PAGE_SHIFT | PTE_P), -XEN_EINVAL);
    cr_assert_eq(update(3, page.n << PAGE_SHIFT | PTE_P | PTE_RW), -XEN_EINVAL);
}

Test(grant, what_the_grant_does_not_say_is_refused)
{
    grant_handle_t handle;

    entry(REF)->domid = 7;
    cr_assert_eq(map(0, 0, &handle), GNTST_general_error);
    entry(REF)->domid = user->id;
    entry(REF)->flags = GTF_accept_transfer;
    cr_assert_eq(map(0, 0, &handle), GNTST_general_error);
    grant(l1, 0);
    cr_assert_eq(map(0, GNTMAP_readonly, &handle), GNTST_bad_page, "the owner grants what is not its own");
    grant(MFN(1u << 30), 0);
    cr_assert_eq(map(0, 0, &handle), GNTST_bad_page);
    as_before();
    {
        mfn_t table = host_frame(owner);

        cr_assert_eq(frame_pin(table, FT_L1, owner), 0);
        grant(table, 0);
        cr_assert_eq(map(0, 0, &handle), GNTST_general_error, "a page table, writable");
        cr_assert_eq(entry(REF)->flags, GTF_permit_access);
        cr_assert_eq(frame_unpin(table, owner), 0);
    }
}

Test(grant, an_overwritten_entry_gives_back_its_own)
{
    grant_handle_t handle;

    cr_assert_eq(map(3, 0, &handle), GNTST_okay);
    cr_assert_eq(update(3, 0), 0);
    cr_assert_eq(frame_refs(frame_of(page)->word), refs + 1, "the handle holds on");
    cr_assert_eq(unmap(3, handle), GNTST_general_error);
    cr_assert_eq(frame_refs(frame_of(page)->word), refs + 1);
    host_set_current(owner->vcpu[0]);
    host_domain_end(user);
    as_before();
}

Test(grant, a_table_that_ends_gives_back_and_is_no_way_back)
{
    grant_handle_t handle;
    u64 granted;

    cr_assert_eq(map(3, 0, &handle), GNTST_okay);
    granted = *slot(3);
    cr_assert_eq(frame_unpin(l1, user), 0);
    cr_assert_eq(frame_refs(frame_of(page)->word), refs + 1);
    cr_assert_eq(*slot(3), granted, "what stands in it is the guest's");
    cr_assert_eq(frame_pin(l1, FT_L1, user), -XEN_EINVAL);
    *slot(3) = 0;
    cr_assert_eq(frame_pin(l1, FT_L1, user), 0);
}

Test(grant, a_map_replaces_what_was_there)
{
    mfn_t mine = host_frame(user);
    grant_handle_t handle;

    cr_assert_eq(update(3, mine.n << PAGE_SHIFT | PTE_P | PTE_RW | PTE_US), 0);
    cr_assert_eq(map(3, 0, &handle), GNTST_okay);
    cr_assert_eq(frame_refs(frame_of(mine)->word), 1);
    cr_assert_eq(frame_tc(frame_of(mine)->word), 0);
    cr_assert_eq(unmap(3, handle), GNTST_okay);
    as_before();
}

Test(grant, the_owner_may_die_first)
{
    grant_handle_t handle;

    cr_assert_eq(map(3, 0, &handle), GNTST_okay);
    host_domain_end(owner);
    host_set_current(user->vcpu[0]);
    cr_assert_eq(frame_of(page)->owner, DOMID_XEN, "nobody's, not that of whoever gets the number next");
    cr_assert_eq(frame_refs(frame_of(page)->word), 2);
    cr_assert_eq(unmap(3, handle), GNTST_okay);
    cr_assert_eq(frame_of(page)->owner, DOMID_INVALID, "now it is free");
    {
        gva_t gva;
        struct gnttab_map_grant_ref *op = host_guest_alloc(sizeof(*op), &gva);

        *op = (struct gnttab_map_grant_ref){.host_addr = slot_address(3), .flags = GNTMAP_host_map | GNTMAP_contains_pte, .dom = 1};
        cr_assert_eq(do_grant_table_op(GNTTABOP_map_grant_ref, gva, 1, 0, 0, 0), 0);
        cr_assert_eq(op->status, GNTST_bad_domain);
    }
}

Test(grant, the_user_may_die_first)
{
    grant_handle_t handle;

    cr_assert_eq(map(3, 0, &handle), GNTST_okay);
    cr_assert_eq(map(4, GNTMAP_readonly, &handle), GNTST_okay);
    host_set_current(owner->vcpu[0]);
    host_domain_end(user);
    as_before();
}

Test(grant, both_may_die)
{
    grant_handle_t handle;

    cr_assert_eq(map(3, 0, &handle), GNTST_okay);
    host_domain_end(owner);
    host_on_cpu(0);
    host_domain_end(user);
    cr_assert_eq(frame_of(page)->owner, DOMID_INVALID);
}

Test(grant, uses_are_counted)
{
    grant_handle_t a, b;

    cr_assert_eq(map(3, GNTMAP_readonly, &a), GNTST_okay);
    cr_assert_eq(map(4, 0, &b), GNTST_okay);
    cr_assert_neq(a, b);
    entry(REF)->flags = 0; /* taken back: what is mapped stays */
    cr_assert_eq(unmap(4, b), GNTST_okay);
    cr_assert_eq(unmap(3, b), GNTST_bad_handle);
    cr_assert_eq(unmap(4, a), GNTST_general_error, "it is mapped elsewhere");
    host_set_current(owner->vcpu[0]);
    cr_assert_eq(grant_swap(owner, REF, 10), -XEN_EBUSY);
    host_set_current(user->vcpu[0]);
    cr_assert_eq(unmap(3, a), GNTST_okay);
    cr_assert_eq(grant_swap(owner, REF, 10), 0);
    as_before();
}

Test(grant, no_memory_for_a_handle)
{
    grant_handle_t handle;

    host_fail_alloc = 1;
    cr_assert_eq(map(3, 0, &handle), GNTST_no_space);
    cr_assert_eq(*slot(3), 0);
    as_before();
    cr_assert_eq(map(3, 0, &handle), GNTST_okay);
    cr_assert_eq(unmap(3, handle), GNTST_okay);
}

Test(grant, a_long_list_makes_way)
{
    gva_t gva;
    struct gnttab_map_grant_ref *op = host_guest_alloc(4 * sizeof(*op), &gva);
    struct host_vcpu *h = host_vcpu(user->vcpu[0]);

    for (unsigned int i = 0; i < 4; i++)
        op[i] = (struct gnttab_map_grant_ref){
            .host_addr = slot_address(i), .flags = GNTMAP_host_map | GNTMAP_contains_pte, .ref = REF, .dom = owner->id, .status = 77};
    host_preempt_after = 2;
    (void)do_grant_table_op(GNTTABOP_map_grant_ref, gva, 4, 0, 0, 0);
    cr_assert(h->has_continued);
    cr_assert_eq(op[1].status, GNTST_okay);
    cr_assert_eq(op[2].status, 77);
    cr_assert_eq(do_grant_table_op(h->continued[1], h->continued[2], h->continued[3], 0, 0, 0), 0);
    cr_assert_eq(op[3].status, GNTST_okay);
}

Test(grant, copies_between_domains)
{
    mfn_t mine = host_frame(user);
    gva_t gva;
    struct gnttab_copy *op = host_guest_alloc(sizeof(*op), &gva);

    memcpy((u8 *)map_mfn(mine) + 10, "parangon", 8);
    *op = (struct gnttab_copy){.source = {.u.gmfn = mine.n, .domid = DOMID_SELF, .offset = 10},
                               .dest = {.u.ref = REF, .domid = owner->id, .offset = 4088},
                               .len = 8,
                               .flags = GNTCOPY_dest_gref};
    cr_assert_eq(do_grant_table_op(GNTTABOP_copy, gva, 1, 0, 0, 0), 0);
    cr_assert_eq(op->status, GNTST_okay);
    cr_assert_eq(memcmp((u8 *)map_mfn(page) + 4088, "parangon", 8), 0);
    as_before();
    op->flags = 0;
    op->dest.u.gmfn = page.n;
    cr_assert_eq(do_grant_table_op(GNTTABOP_copy, gva, 1, 0, 0, 0), 0);
    cr_assert_eq(op->status, GNTST_permission_denied, "by frame number only one's own");
    op->dest = (struct gnttab_copy_ptr){.u.gmfn = l1.n, .domid = DOMID_SELF};
    cr_assert_eq(do_grant_table_op(GNTTABOP_copy, gva, 1, 0, 0, 0), 0);
    cr_assert_eq(op->status, GNTST_general_error, "onto one's own page table");
    cr_assert_eq(*slot(0), 0);
}

/* ---- a user with a physical map ---- */

static struct {
    u64 mfn;
    enum p2m_type type;
} p2m[16];

static mfn_t lookup(struct domain *d, gfn_t gfn, enum p2m_type *type, unsigned int *order)
{
    *order = 0;
    *type = gfn.n < 16 ? p2m[gfn.n].type : P2M_NONE;
    return *type == P2M_NONE ? MFN_INVALID : MFN(p2m[gfn.n].mfn);
}

static int write_entry(struct domain *d, gfn_t gfn, mfn_t mfn, enum p2m_type type, unsigned int order)
{
    if (gfn.n >= 16)
        return -XEN_ENOMEM;
    p2m[gfn.n].mfn = mfn.n;
    p2m[gfn.n].type = type;
    return 0;
}

static void nothing(struct domain *d)
{
}

static const struct p2m_ops ops = {.lookup = lookup, .write = write_entry, .flush = nothing, .destroy = nothing};

Test(grant, an_auto_translated_user_maps_into_its_p2m)
{
    gva_t gva;
    struct gnttab_map_grant_ref *op = host_guest_alloc(sizeof(*op), &gva);
    struct gnttab_unmap_grant_ref un = {.host_addr = 5 << PAGE_SHIFT};
    void *guest;

    p2m_init(user, &ops);
    *op = (struct gnttab_map_grant_ref){.host_addr = 5 << PAGE_SHIFT, .flags = GNTMAP_host_map, .ref = REF, .dom = owner->id};
    cr_assert_eq(do_grant_table_op(GNTTABOP_map_grant_ref, gva, 1, 0, 0, 0), 0);
    cr_assert_eq(op->status, GNTST_okay);
    cr_assert_eq(p2m[5].type, P2M_GRANT_RW);
    cr_assert_eq(p2m[5].mfn, page.n);
    cr_assert_eq(frame_refs(frame_of(page)->word), refs + 2);
    un.handle = op->handle;
    host_guest_reset();
    guest = host_guest_alloc(sizeof(un), &gva);
    memcpy(guest, &un, sizeof(un));
    cr_assert_eq(do_grant_table_op(GNTTABOP_unmap_grant_ref, gva, 1, 0, 0, 0), 0);
    cr_assert_eq(((struct gnttab_unmap_grant_ref *)guest)->status, GNTST_okay);
    cr_assert_eq(p2m[5].type, P2M_NONE);
    as_before();
}

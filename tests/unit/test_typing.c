/* SPDX-License-Identifier: MIT */
/*
 * Frame typing, case by case: what a paravirtual guest may not do is refused with its errno, and no
 * record changes. The fuzzer (tests/fuzz/fuzz_typing.c) looks for what nobody thought of; this says
 * what is meant.
 */
#include <criterion/criterion.h>

#include "core/hypercall.h"
#include "machine.h"
#include "pv_host.h"
#include "x86/pv/io_rights.h"
#include "x86/pv/pv.h"
#include "x86/pv/typing.h"
#include "x86/x86.h"

#define FRAMES 512
#define FLAGS  (PTE_P | PTE_RW | PTE_US)

static struct domain *d, *other;
static u64 l4, l3, l2, l1, page;
static struct frame before[FRAMES];

static u64 *table(u64 mfn)
{
    return map_mfn(MFN(mfn));
}

static u64 frame_in(struct domain *domain)
{
    return host_frame(domain).n;
}

/*
 * Two domains; the first with one frame for each level, chained through slot 0, none of them typed
 * yet.
 */
static void start(void)
{
    host_machine_start(FRAMES, 1, "null");
    d = host_domain(1, 1, 0);
    other = host_domain(2, 1, 1);
    host_load_l4(d->vcpu[0]);
    host_set_current(d->vcpu[0]);
    l4 = frame_in(d), l3 = frame_in(d), l2 = frame_in(d), l1 = frame_in(d), page = frame_in(d);
    table(l4)[0] = l3 << PAGE_SHIFT | FLAGS;
    table(l3)[0] = l2 << PAGE_SHIFT | FLAGS;
    table(l2)[0] = l1 << PAGE_SHIFT | FLAGS;
    table(l1)[0] = page << PAGE_SHIFT | FLAGS;
}

TestSuite(typing, .init = start, .fini = host_machine_stop);

static void remember(void)
{
    memcpy(before, frame_table, sizeof(before));
}

static void nothing_changed(void)
{
    for (u64 i = 0; i < FRAMES; i++)
        cr_assert_eq(before[i].word, frame_table[i].word, "frame %x: %llx, was %llx", (unsigned int)i,
                     (unsigned long long)frame_table[i].word, (unsigned long long)before[i].word);
}

static int pin(u64 mfn, enum frame_type type)
{
    return frame_pin(MFN(mfn), type, d);
}

/* mmu_update of one entry, as the hypercall. */
static long update(u64 mfn, unsigned int slot, u64 val)
{
    gva_t gva;
    struct mmu_update *req;

    host_guest_reset();
    req = host_guest_alloc(sizeof(*req), &gva);
    req->ptr = mfn << PAGE_SHIFT | slot * 8;
    req->val = val;
    return do_mmu_update(gva, 1, 0, DOMID_SELF, 0, 0);
}

/* The same for what must be refused. */
static void refused(long err, u64 mfn, unsigned int slot, u64 val)
{
    u64 old = table(mfn)[slot];
    long got;

    remember();
    got = update(mfn, slot, val);
    cr_assert_eq(got, err, "entry %llx: %ld instead of %ld", (unsigned long long)val, got, err);
    cr_assert_eq(table(mfn)[slot], old);
    nothing_changed();
}

static void type_is(u64 mfn, enum frame_type type, u64 types, u64 refs)
{
    u64 w = frame_table[mfn].word;

    cr_assert_eq(frame_type(w), type, "type %d", frame_type(w));
    cr_assert_eq(frame_tc(w), types, "%d type references", (int)frame_tc(w));
    cr_assert_eq(frame_refs(w), refs, "%d references", (int)frame_refs(w));
}

Test(typing, pinning_validates_all_below)
{
    cr_assert_eq(pin(l4, FT_L4), 0);
    type_is(l4, FT_L4, 1, 2);
    type_is(l3, FT_L3, 1, 2);
    type_is(l2, FT_L2, 1, 2);
    type_is(l1, FT_L1, 1, 2);
    type_is(page, FT_WRITABLE, 1, 2);
    cr_assert_eq(table(l4)[HV_FIRST_SLOT], 0xdead000000000000ull | HV_FIRST_SLOT, "the hypervisor's slots are filled");
    cr_assert_eq(frame_unpin(MFN(l4), d), 0);
    type_is(page, FT_WRITABLE, 0, 1);
    type_is(l1, FT_L1, 0, 1);
    type_is(l4, FT_L4, 0, 1);
}

Test(typing, no_writable_mapping_of_a_page_table)
{
    cr_assert_eq(pin(l4, FT_L4), 0);
    refused(-XEN_EBUSY, l1, 1, l1 << PAGE_SHIFT | FLAGS);
    refused(-XEN_EBUSY, l1, 1, l2 << PAGE_SHIFT | FLAGS);
    refused(-XEN_EBUSY, l1, 1, l3 << PAGE_SHIFT | FLAGS);
    refused(-XEN_EBUSY, l1, 1, l4 << PAGE_SHIFT | FLAGS);
    cr_assert_eq(update(l1, 1, l4 << PAGE_SHIFT | PTE_P | PTE_US), 0, "read-only is allowed");
    refused(-XEN_EBUSY, l1, 1, l4 << PAGE_SHIFT | FLAGS);
}

Test(typing, a_page_mapped_writable_becomes_no_table)
{
    u64 fresh = frame_in(d);

    cr_assert_eq(pin(l4, FT_L4), 0);
    cr_assert_eq(update(l1, 5, fresh << PAGE_SHIFT | FLAGS), 0);
    remember();
    for (int type = FT_L1; type <= FT_SEG; type++)
        cr_assert_eq(frame_get_type(MFN(fresh), type, d), -XEN_EINVAL);
    nothing_changed();
    cr_assert_eq(update(l1, 5, 0), 0);
    cr_assert_eq(pin(fresh, FT_L1), 0);
}

Test(typing, mapping_of_a_validated_table_in_itself_read_only_then_pinned)
{
    table(l1)[3] = l1 << PAGE_SHIFT | PTE_P | PTE_US;
    cr_assert_eq(pin(l4, FT_L4), 0);
    type_is(l1, FT_L1, 1, 3);
    table(page)[0] = page << PAGE_SHIFT | FLAGS; /* only memory */
    cr_assert_eq(frame_unpin(MFN(l4), d), 0);
    type_is(l1, FT_L1, 0, 1);
}

Test(typing, writable_map_of_itself_is_found_while_validating)
{
    table(l1)[3] = l1 << PAGE_SHIFT | FLAGS;
    remember();
    cr_assert_eq(pin(l1, FT_L1), -XEN_EBUSY);
    type_is(l1, FT_NONE, 0, 1);
    type_is(page, FT_WRITABLE, 0, 1);
    table(l1)[3] = l2 << PAGE_SHIFT | FLAGS;
    cr_assert_neq(pin(l4, FT_L4), 0);
    type_is(l2, FT_NONE, 0, 1);
    type_is(l4, FT_NONE, 0, 1);
}

Test(typing, linear_maps_of_upper_tables_are_refused)
{
    cr_assert_eq(pin(l4, FT_L4), 0);
    refused(-XEN_EINVAL, l4, 8, l4 << PAGE_SHIFT | FLAGS);
    refused(-XEN_EINVAL, l4, 8, l4 << PAGE_SHIFT | PTE_P | PTE_US);
    refused(-XEN_EINVAL, l3, 8, l3 << PAGE_SHIFT | PTE_P | PTE_US);
    refused(-XEN_EINVAL, l2, 8, l3 << PAGE_SHIFT | PTE_P | PTE_US);
    refused(-XEN_EINVAL, l4, 8, l2 << PAGE_SHIFT | PTE_P | PTE_US);
}

Test(typing, the_hypervisors_slots_are_not_the_guests)
{
    cr_assert_eq(pin(l4, FT_L4), 0);
    for (unsigned int slot = HV_FIRST_SLOT; slot <= HV_LAST_SLOT; slot++) {
        refused(-XEN_EINVAL, l4, slot, l3 << PAGE_SHIFT | FLAGS);
        refused(-XEN_EINVAL, l4, slot, 0);
    }
    cr_assert_eq(update(l4, HV_FIRST_SLOT - 1, l3 << PAGE_SHIFT | FLAGS), 0);
    cr_assert_eq(update(l4, HV_LAST_SLOT + 1, l3 << PAGE_SHIFT | FLAGS), 0);
}

Test(typing, bits_that_are_not_the_guests)
{
    static const u64 never[] = {PTE_G, 1ull << 52, 1ull << 55, 1ull << 58, 1ull << 62};

    cr_assert_eq(pin(l4, FT_L4), 0);
    for (size_t i = 0; i < ARRAY_SIZE(never); i++) {
        refused(-XEN_EINVAL, l1, 2, page << PAGE_SHIFT | FLAGS | never[i]);
        refused(-XEN_EINVAL, l1, 0, page << PAGE_SHIFT | FLAGS | never[i]);
        refused(-XEN_EINVAL, l2, 2, l1 << PAGE_SHIFT | FLAGS | never[i]);
        refused(-XEN_EINVAL, l4, 2, l3 << PAGE_SHIFT | FLAGS | never[i]);
    }
    refused(-XEN_EINVAL, l2, 2, page << PAGE_SHIFT | FLAGS | PTE_PSE);
    refused(-XEN_EINVAL, l3, 2, 0 | FLAGS | PTE_PSE);
    cr_assert_eq(update(l1, 2, page << PAGE_SHIFT | FLAGS | PTE_NX | PTE_PCD | PTE_AVL), 0);
}

Test(typing, every_present_entry_is_a_user_mapping)
{
    cr_assert_eq(pin(l4, FT_L4), 0);
    cr_assert_eq(update(l1, 2, page << PAGE_SHIFT | PTE_P), 0);
    cr_assert_eq(table(l1)[2], page << PAGE_SHIFT | PTE_P | PTE_US);
    cr_assert_eq(update(l1, 2, 0x1230), 0);
    cr_assert_eq(table(l1)[2], 0x1230, "an entry that is not present is the guest's own");
}

Test(typing, frames_of_others_are_refused)
{
    u64 foreign = frame_in(other), hv = virt_to_mfn(arch_alloc_pages(0)).n, free = FRAMES - 1;

    cr_assert_eq(pin(l4, FT_L4), 0);
    for (int ro = 0; ro < 2; ro++) {
        u64 flags = ro ? PTE_P | PTE_US : FLAGS;

        refused(-XEN_EINVAL, l1, 1, foreign << PAGE_SHIFT | flags);
        refused(-XEN_EINVAL, l1, 1, hv << PAGE_SHIFT | flags);
        refused(-XEN_EINVAL, l1, 1, free << PAGE_SHIFT | flags);
        refused(-XEN_EPERM, l1, 1, (u64)FRAMES << PAGE_SHIFT | flags); /* a device, if anything */
        refused(-XEN_EINVAL, l2, 1, foreign << PAGE_SHIFT | flags);
        refused(-XEN_EINVAL, l2, 1, (1ull << 39) << PAGE_SHIFT | flags);
    }
    remember();
    cr_assert_eq(pin(foreign, FT_L1), -XEN_EINVAL);
    cr_assert_eq(pin(hv, FT_L1), -XEN_EINVAL);
    cr_assert_eq(pin(free, FT_L1), -XEN_EINVAL);
    cr_assert_eq(pin(FRAMES, FT_L1), -XEN_EINVAL);
    cr_assert_eq(frame_unpin(MFN(FRAMES), d), -XEN_EINVAL);
    cr_assert_eq(frame_unpin(MFN(foreign), d), -XEN_EINVAL);
    cr_assert_eq(update(foreign, 0, 0), -XEN_EINVAL);
    nothing_changed();
    arch_free_pages(map_mfn(MFN(hv)), 0);
}

Test(typing, devices_need_the_right)
{
    cr_assert_eq(pin(l4, FT_L4), 0);
    refused(-XEN_EPERM, l1, 1, 0xfee00000ull | FLAGS);
    cr_assert_eq(io_rights_first_domain(d), 0);
    remember();
    cr_assert_eq(update(l1, 1, 0xfee00000ull | FLAGS), 0);
    cr_assert_eq(update(l1, 1, 0), 0);
    nothing_changed();
}

/* mmuext_op on one frame, as the hypercall. */
static long mmuext(unsigned int cmd, u64 mfn, u64 src)
{
    gva_t gva;
    struct mmuext_op *op;

    host_guest_reset();
    op = host_guest_alloc(sizeof(*op), &gva);
    op->cmd = cmd;
    op->arg1.mfn = mfn;
    op->arg2.src_mfn = src;
    return do_mmuext_op(gva, 1, 0, DOMID_SELF, 0, 0);
}

Test(typing, pages_are_cleared_and_copied_within_the_domain)
{
    u64 foreign = frame_in(other), empty = frame_in(d);

    table(foreign)[1] = 42;
    table(page)[1] = 43;
    cr_assert_eq(pin(l4, FT_L4), 0);
    remember();
    cr_assert_eq(mmuext(MMUEXT_COPY_PAGE, empty, foreign), -XEN_EINVAL);
    cr_assert_eq(table(empty)[1], 0, "another domain's page was read");
    cr_assert_eq(mmuext(MMUEXT_COPY_PAGE, foreign, page), -XEN_EINVAL);
    cr_assert_eq(mmuext(MMUEXT_CLEAR_PAGE, foreign, 0), -XEN_EINVAL);
    cr_assert_eq(table(foreign)[1], 42, "another domain's page was written");
    cr_assert_eq(mmuext(MMUEXT_CLEAR_PAGE, l1, 0), -XEN_EBUSY);
    cr_assert(table(l1)[0] & PTE_P);
    nothing_changed();
    cr_assert_eq(mmuext(MMUEXT_COPY_PAGE, empty, page), 0);
    cr_assert_eq(table(empty)[1], 43);
    cr_assert_eq(mmuext(MMUEXT_CLEAR_PAGE, empty, 0), 0);
    cr_assert_eq(table(empty)[1], 0);
}

Test(typing, pins_belong_to_their_domain)
{
    u64 foreign = frame_in(other);

    cr_assert_eq(frame_pin(MFN(foreign), FT_L4, other), 0);
    remember();
    cr_assert_eq(mmuext(MMUEXT_UNPIN_TABLE, foreign, 0), -XEN_EINVAL);
    nothing_changed();
    cr_assert_eq(frame_unpin(MFN(foreign), other), 0);
}

Test(typing, pins_of_the_wrong_level_and_twice)
{
    u64 empty = frame_in(d);

    cr_assert_eq(pin(l4, FT_L4), 0);
    remember();
    cr_assert_eq(pin(l4, FT_L4), -XEN_EINVAL, "pinned already");
    cr_assert_eq(pin(l4, FT_L3), -XEN_EINVAL, "is an L4");
    cr_assert_eq(pin(l1, FT_L2), -XEN_EINVAL, "is an L1");
    cr_assert_eq(frame_unpin(MFN(l3), d), -XEN_EINVAL, "is not pinned");
    nothing_changed();
    cr_assert_eq(pin(empty, FT_L2), 0);
    cr_assert_eq(frame_unpin(MFN(empty), d), 0);
    cr_assert_eq(frame_unpin(MFN(empty), d), -XEN_EINVAL);
    cr_assert_eq(pin(empty, FT_L3), 0, "free again for another level");
}

Test(typing, counts_do_not_overflow)
{
    u64 add;

    cr_assert_eq(pin(l4, FT_L4), 0);
    add = FRAME_COUNT_MAX - frame_refs(frame_table[page].word);
    frame_table[page].word += add;
    refused(-XEN_EBUSY, l1, 1, page << PAGE_SHIFT | FLAGS);
    refused(-XEN_EINVAL, l1, 1, page << PAGE_SHIFT | PTE_P | PTE_US);
    frame_table[page].word -= add;
    add = FRAME_COUNT_MAX - frame_refs(frame_table[l1].word);
    frame_table[l1].word += add;
    refused(-XEN_EBUSY, l2, 1, l1 << PAGE_SHIFT | FLAGS);
    frame_table[l1].word -= add;
    cr_assert_eq(update(l2, 1, l1 << PAGE_SHIFT | FLAGS), 0);
}

Test(typing, no_tlb_keeps_a_writable_mapping_of_a_new_table)
{
    cr_assert_eq(pin(l4, FT_L4), 0);
    host_tlb_touch_writable(MFN(page));
    cr_assert_eq(update(l1, 0, 0), 0, "taken away without a flush");
    memset(table(page), 0, PAGE_SIZE);
    cr_assert(host_tlb_writable(MFN(page)));
    cr_assert_eq(pin(page, FT_L1), 0);
    cr_assert_not(host_tlb_writable(MFN(page)), "flushed when the type changed");
}

Test(typing, no_tlb_walks_through_a_page_that_was_a_table)
{
    cr_assert_eq(pin(l4, FT_L4), 0);
    host_tlb_touch_table(MFN(l1));
    cr_assert_eq(update(l2, 0, 0), 0);
    cr_assert_eq(frame_get_type(MFN(l1), FT_WRITABLE, d), 0);
    cr_assert_not(host_tlb_table(MFN(l1)));
    cr_assert_eq(frame_put_type(MFN(l1), false), 0);
}

Test(typing, no_tlb_walks_through_a_former_table_that_could_not_be_one_again)
{
    cr_assert_eq(pin(l4, FT_L4), 0);
    host_tlb_touch_table(MFN(l1));
    cr_assert_eq(update(l2, 0, 0), 0, "taken away without a flush");
    table(l1)[3] = l1 << PAGE_SHIFT | FLAGS;
    cr_assert_eq(pin(l1, FT_L1), -XEN_EBUSY);
    cr_assert_eq(frame_get_type(MFN(l1), FT_WRITABLE, d), 0);
    cr_assert_not(host_tlb_table(MFN(l1)), "flushed, although no table of its type in between");
    cr_assert_eq(frame_put_type(MFN(l1), false), 0);
}

Test(typing, no_tlb_walks_through_a_former_table_that_is_written_to)
{
    cr_assert_eq(pin(l4, FT_L4), 0);
    host_tlb_touch_table(MFN(l1));
    cr_assert_eq(update(l2, 0, 0), 0, "taken away without a flush");
    cr_assert(host_tlb_table(MFN(l1)));
    cr_assert_eq(update(l1, 5, l4 << PAGE_SHIFT | FLAGS), 0, "no table: what is written does not matter");
    cr_assert_not(host_tlb_table(MFN(l1)), "but to a TLB");
}

Test(typing, a_flush_is_not_made_twice)
{
    u32 clock;

    cr_assert_eq(pin(l4, FT_L4), 0);
    cr_assert_eq(update(l1, 0, 0), 0);
    host_tlb_flush();
    clock = tlb_clock_now();
    memset(table(page), 0, PAGE_SIZE);
    cr_assert_eq(pin(page, FT_L1), 0);
    cr_assert_eq(tlb_clock_now(), clock, "the guest had flushed since");
}

Test(typing, stopped_validation_goes_on_where_it_stopped)
{
    for (unsigned int i = 0; i < 8; i++)
        table(l3)[i * 8] = l2 << PAGE_SHIFT | FLAGS;
    host_preempt_after = 4;
    cr_assert_eq(pin(l4, FT_L4), -XEN_ERESTART);
    cr_assert(frame_table[l4].word & FRAME_PARTIAL);
    refused(-XEN_EBUSY, l4, 9, 0);
    cr_assert_eq(pin(l4, FT_L3), -XEN_EINVAL, "it is on its way to be an L4");
    cr_assert_eq(pin(l4, FT_L4), 0);
    type_is(l2, FT_L2, 8, 9);
    type_is(l4, FT_L4, 1, 2);
}

Test(typing, abandoned_validation_is_cleaned_up_with_the_domain)
{
    for (unsigned int i = 0; i < 8; i++)
        table(l3)[i * 8] = l2 << PAGE_SHIFT | FLAGS;
    host_preempt_after = 2;
    cr_assert_eq(pin(l4, FT_L4), -XEN_ERESTART);
    host_on_cpu(0);
    host_domain_end(d);
    for (u64 i = 1; i < FRAMES; i++)
        cr_assert_neq(frame_table[i].owner, 1);
}

Test(typing, stopped_unpin_can_be_pinned_again)
{
    for (unsigned int i = 0; i < 8; i++)
        table(l3)[i * 8] = l2 << PAGE_SHIFT | FLAGS;
    cr_assert_eq(pin(l4, FT_L4), 0);
    host_preempt_after = 4;
    cr_assert_eq(frame_unpin(MFN(l4), d), -XEN_ERESTART);
    cr_assert_eq(frame_get_type(MFN(l4), FT_L4, d), 0, "as the base of a vCPU");
    type_is(l4, FT_L4, 2, 3);
    type_is(l2, FT_L2, 8, 9);
    cr_assert_eq(frame_unpin(MFN(l4), d), 0);
    cr_assert_eq(frame_put_type(MFN(l4), false), 0);
    type_is(l2, FT_L2, 0, 1);
}

/* It stopped within a table below: that one must be whole again before the upper one counts as valid. */
Test(typing, stopped_unpin_mends_the_table_below)
{
    table(l2)[8] = l1 << PAGE_SHIFT | FLAGS;
    table(l2)[16] = l1 << PAGE_SHIFT | FLAGS;
    for (unsigned int after = 1; after < 8; after++) {
        int err;

        cr_assert_eq(pin(l4, FT_L4), 0);
        host_preempt_after = after;
        err = frame_unpin(MFN(l4), d);
        host_preempt_after = 0;
        if (err) {
            cr_assert_eq(err, -XEN_ERESTART);
            cr_assert_eq(frame_get_type(MFN(l4), FT_L4, d), 0);
            cr_assert(frame_table[l3].word & frame_table[l2].word & FRAME_VALIDATED, "after %u", after);
            type_is(l1, FT_L1, 3, 4);
            cr_assert_eq(frame_put_type(MFN(l4), false), 0);
            cr_assert_eq(frame_unpin(MFN(l4), d), 0);
        }
        type_is(l1, FT_L1, 0, 1);
    }
}

Test(typing, pin_and_unpin_end_though_something_always_waits)
{
    unsigned int stops = 0, pins;
    int err;

    for (unsigned int i = 0; i < 8; i++)
        table(l3)[i * 8] = l2 << PAGE_SHIFT | FLAGS;
    do {
        host_preempt_after = 1;
        err = pin(l4, FT_L4);
    } while (err == -XEN_ERESTART && ++stops < 100);
    cr_assert_eq(err, 0, "%d after %u stops", err, stops);
    pins = stops;
    do {
        host_preempt_after = 1;
        err = frame_unpin(MFN(l4), d);
    } while (err == -XEN_ERESTART && ++stops < 100);
    cr_assert_eq(err, 0, "%d after %u stops", err, stops - pins);
    cr_assert(pins && stops > pins, "nothing stopped");
    type_is(l2, FT_L2, 0, 1);
}

Test(typing, ballooned_out_frames_live_until_they_are_unmapped)
{
    cr_assert_eq(pin(l4, FT_L4), 0);
    host_drop_allocation(MFN(page));
    type_is(page, FT_WRITABLE, 1, 1);
    refused(-XEN_EINVAL, l1, 1, page << PAGE_SHIFT | FLAGS);
    cr_assert_eq(update(l1, 0, 0), 0);
    cr_assert_eq(frame_table[page].owner, DOMID_INVALID);
}

Test(typing, compare_and_change)
{
    u64 *entry = &table(l1)[0], old;

    cr_assert_eq(pin(l4, FT_L4), 0);
    old = *entry;
    remember();
    cr_assert_eq(pte_change_if(entry, old ^ PTE_A, 0, d), -XEN_EAGAIN);
    cr_assert_eq(pte_change_if(entry, old ^ PTE_A, old, d), -XEN_EAGAIN);
    cr_assert_eq(pte_change_if(entry, old, l1 << PAGE_SHIFT | FLAGS, d), -XEN_EBUSY);
    nothing_changed();
    cr_assert_eq(pte_change_if(entry, old, 0, d), 0);
    type_is(page, FT_WRITABLE, 0, 1);
}

/* What fork does to each private page. */
Test(typing, the_right_to_write_goes_alone)
{
    u64 *entry = &table(l1)[0];

    cr_assert_eq(pin(l4, FT_L4), 0);
    type_is(page, FT_WRITABLE, 1, 2);
    remember();
    cr_assert_eq(pte_change_if(entry, *entry ^ PTE_D, *entry & ~PTE_RW, d), -XEN_EAGAIN);
    cr_assert_eq(pte_change_if(entry, *entry, (*entry & ~PTE_RW) | PTE_G, d), -XEN_EINVAL);
    nothing_changed();
    host_tlb_touch_writable(MFN(page));
    cr_assert_eq(pte_change_if(entry, *entry, *entry & ~PTE_RW, d), 0);
    type_is(page, FT_WRITABLE, 0, 2);
    memset(table(page), 0, PAGE_SIZE);
    cr_assert_eq(pin(page, FT_L1), 0);
    cr_assert_not(host_tlb_writable(MFN(page)));
}

Test(typing, accessed_and_dirty_are_kept_on_demand)
{
    gva_t gva;
    struct mmu_update *req = host_guest_alloc(sizeof(*req), &gva);

    cr_assert_eq(pin(l4, FT_L4), 0);
    table(l1)[0] |= PTE_A | PTE_D; /* the processor's doing */
    req->ptr = l1 << PAGE_SHIFT | MMU_PT_UPDATE_PRESERVE_AD;
    req->val = page << PAGE_SHIFT | FLAGS;
    cr_assert_eq(do_mmu_update(gva, 1, 0, DOMID_SELF, 0, 0), 0);
    cr_assert_eq(table(l1)[0], page << PAGE_SHIFT | FLAGS | PTE_A | PTE_D);
    cr_assert_eq(update(l1, 0, page << PAGE_SHIFT | FLAGS), 0);
    cr_assert_eq(table(l1)[0], page << PAGE_SHIFT | FLAGS);
}

/* What deliberate holes have shown to be seen by luck only (tests/fuzz/mutants). */

Test(typing, requests_in_the_hypervisor_are_not_read)
{
    cr_assert_eq(do_mmu_update(HV_START, 1, 0, DOMID_SELF, 0, 0), -XEN_EFAULT);
    cr_assert_eq(do_mmu_update(HV_END - 8, 1, 0, DOMID_SELF, 0, 0), -XEN_EFAULT);
    cr_assert_eq(do_mmuext_op(HV_START, 1, 0, DOMID_SELF, 0, 0), -XEN_EFAULT);
}

/* Every frame that is free is taken: none may be in the TLB still. */
static void reuse_all(void)
{
    void *p;

    host_drop_allocation(MFN(page));
    cr_assert_eq(frame_table[page].owner, DOMID_INVALID);
    while ((p = arch_alloc_pages(0)))
        cr_assert_not(host_tlb_strangers(virt_to_mfn(p)), "the TLB holds frame %x", (unsigned int)virt_to_mfn(p).n);
}

Test(typing, freed_frames_are_in_no_tlb_when_they_are_used_again)
{
    cr_assert_eq(pin(l4, FT_L4), 0);
    host_tlb_touch_page(MFN(page));
    cr_assert_eq(update(l1, 0, 0), 0);
    reuse_all();
}

Test(typing, nor_are_those_that_were_mapped_read_only)
{
    cr_assert_eq(pin(l4, FT_L4), 0);
    cr_assert_eq(update(l1, 0, page << PAGE_SHIFT | (FLAGS & ~PTE_RW)), 0);
    host_tlb_flush();
    host_tlb_touch_page(MFN(page));
    cr_assert_eq(update(l1, 0, 0), 0);
    reuse_all();
}

/* Gates and system descriptors, present: call, interrupt and trap gate, TSS, LDT (SDM vol. 3, table 3-2). Absent, they may be anything. */
Test(typing, only_segments_are_descriptors)
{
    static const u8 types[] = {0xc, 0xe, 0xf, 0x9, 0xb, 0x2};
    u64 *entry = table(page), segment = 0x00cff2000000ffffull;

    remember();
    for (unsigned int i = 0; i < ARRAY_SIZE(types); i++) {
        cr_assert_eq(do_update_descriptor(page << PAGE_SHIFT, 1ull << 47 | 3ull << 45 | (u64)types[i] << 40, 0, 0, 0, 0), -XEN_EINVAL);
        cr_assert_eq(entry[0], 0);
    }
    nothing_changed();
    cr_assert_eq(do_update_descriptor(page << PAGE_SHIFT, 0xcull << 40, 0, 0, 0, 0), 0);
    cr_assert_eq(do_update_descriptor(page << PAGE_SHIFT, segment, 0, 0, 0, 0), 0);
    cr_assert_eq(entry[0], segment);
}

Test(typing, a_pinned_frame_is_not_given_back)
{
    struct xen_memory_reservation *r;
    xen_pfn_t *list;
    gva_t gva, at;

    cr_assert_eq(pin(l4, FT_L4), 0);
    host_guest_reset();
    r = host_guest_alloc(sizeof(*r), &gva);
    list = host_guest_alloc(8, &at);
    *list = l4;
    *r = (struct xen_memory_reservation){.nr_extents = 1, .domid = DOMID_SELF};
    r->extent_start.p = (void *)at;
    cr_assert_eq(do_memory_op(XENMEM_decrease_reservation, gva, 0, 0, 0, 0), 0);
    cr_assert(host_allocation_held(MFN(l4)));
}

Test(typing, a_stack_in_the_hypervisor_is_not_written)
{
    struct vcpu *v = d->vcpu[0];
    struct regs r = {.rsp = HV_START + 0x1000, .cs = SEL_CS64, .ss = SEL_DS};

    v->arch.trap[VEC_GP].rip = HOST_GUEST_BASE;
    pv_inject_exception(v, &r, VEC_GP, 0, 0);
    cr_assert(d->crashed);
}

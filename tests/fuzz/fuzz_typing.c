/* SPDX-License-Identifier: MIT */
/*
 * Frame typing under two hostile domains: tables of any shape, pinned, loaded, changed, abandoned
 * half way, ballooned out from under their mappings; counts near their limit; after each call the
 * walker recounts everything.
 *
 * Frames have roles by number (data, L1 to L4), so that random entries make deep tables often
 * enough; one entry in five ignores them. A guest writes to a frame directly while it is no table.
 */
#include <stdlib.h>

#include "core/hypercall.h"
#include "fuzz.h"
#include "machine.h"
#include "pv_host.h"
#include "walker.h"
#include "x86/mm.h"
#include "x86/pv/io_rights.h"
#include "x86/pv/typing.h"
#include "x86/x86.h"

#define FRAMES     160
#define PER_DOMAIN 40
#define ROLES      8    /* roles 0-3: data; 4-7: L1-L4 */
#define ANY_ROLE   (~0u)

const char fuzz_name[] = "typing";
const size_t fuzz_bytes = 6000;

static struct domain *domains[2];
static struct vcpu *me;
static u64 mine[2][PER_DOMAIN];
static struct held held[FRAMES];
static u32 limit_refs[FRAMES], limit_types[FRAMES]; /* of `held`: what stands for billions of mappings */
static u32 plain[FRAMES];                            /* of `held`: references without a type */
static u64 io_frame;

static unsigned int self(void)
{
    return me == domains[0]->vcpu[0] ? 0 : 1;
}

/* A frame for a role: mostly own and fitting, sometimes anything. */
static u64 pick_frame(struct fuzz_input *in, unsigned int role)
{
    unsigned int how = fuzz_u8(in);
    u64 i = fuzz_below(in, PER_DOMAIN);

    if (how < 8)
        return mine[1 - self()][i];
    if (how < 12)
        return fuzz_below(in, FRAMES);
    if (how < 14)
        return FRAMES + fuzz_below(in, 4) * (how == 12 ? 1 : 1ull << 38);
    if (how < 17)
        return io_frame;
    if (how < 60 || role == ANY_ROLE)
        return mine[self()][i];
    if (role == 0)
        return mine[self()][i / ROLES * ROLES + i % 4];
    return mine[self()][i / ROLES * ROLES + 3 + role];
}

/* An entry for a table of this level. */
static u64 pick_entry(struct fuzz_input *in, unsigned int level)
{
    static const u64 odd[] = {PTE_G, PTE_PSE, 1ull << 52, 1ull << 58, 1ull << 62, 1ull << 51, PTE_NX, PTE_PCD | PTE_PWT};

    return fuzz_entry(in, level, pick_frame, odd, ARRAY_SIZE(odd));
}

static unsigned int pick_slot(struct fuzz_input *in)
{
    /*
     * Few slots, so that entries are met again: the ends, the hypervisor's borders, and some
     * between.
     */
    static const u16 slots[] = {0, 1, 7, 8, 9, 255, 256, 271, 272, 300, 504, 511};

    return fuzz_chance(in, 90) ? slots[fuzz_u8(in) % ARRAY_SIZE(slots)] : fuzz_below(in, 512);
}

static bool guest_may_write(u64 mfn)
{
    u64 w = frame_table[mfn].word;

    return frame_table[mfn].owner == me->domain->id && (!frame_tc(w) || frame_type(w) == FT_WRITABLE);
}

/* ---- what a guest does ---- */

/* Prepare a table-to-be, while it is none. */
static void guest_fills(struct fuzz_input *in)
{
    unsigned int level = 1 + fuzz_below(in, 4), entries = fuzz_below(in, 12);
    u64 mfn = pick_frame(in, level);

    if (mfn >= FRAMES || !guest_may_write(mfn))
        return;
    for (unsigned int i = 0; i < entries; i++)
        ((u64 *)map_mfn(MFN(mfn)))[pick_slot(in)] = pick_entry(in, level);
}

/* Any present slot of a table, or -1. */
static int present_slot(struct fuzz_input *in, u64 mfn, unsigned int level)
{
    const u64 *t = map_mfn(MFN(mfn));

    for (unsigned int tries = 0; tries < 16; tries++) {
        unsigned int slot = pick_slot(in);

        if ((t[slot] & PTE_P) && !(level == 4 && l4_slot_is_hv(slot)))
            return slot;
    }
    return -1;
}

/*
 * Reach through the current tables: the TLB remembers the way, and the page if it may be written.
 * Returns how far down it came (1: to a page), with the tables and slots on the way; 5 without
 * tables.
 */
static unsigned int guest_touches(struct fuzz_input *in, u64 table[5], int slot[5])
{
    bool writable = true;
    unsigned int level;
    u64 mfn = host_cr3(me);

    for (level = 4; level >= 1 && mfn && mfn < FRAMES; level--) {
        table[level] = mfn;
        slot[level] = present_slot(in, mfn, level);
        if (slot[level] < 0)
            break;
        host_tlb_touch_table(MFN(mfn));
        writable &= (((u64 *)map_mfn(MFN(mfn)))[slot[level]] & PTE_RW) != 0;
        mfn = (((u64 *)map_mfn(MFN(mfn)))[slot[level]] & PTE_MFN) >> PAGE_SHIFT;
    }
    if (level == 0 && writable && mfn < FRAMES && frame_table[mfn].owner != DOMID_IO) {
        host_tlb_touch_writable(MFN(mfn));
        ((u64 *)map_mfn(MFN(mfn)))[pick_slot(in)] = pick_entry(in, 1 + fuzz_below(in, 4));
    }
    return level + 1;
}

/* ---- what it asks the hypervisor for ---- */

/* What no table is, before and after the one request, may be written to, but not while a TLB walks through it. */
static void check_plain_store(const struct mmu_update *req, u64 word, u64 before)
{
    u64 mfn = req->ptr >> PAGE_SHIFT;

    if (frame_table[mfn].owner == me->domain->id && !frame_tc(word) && !frame_tc(frame_table[mfn].word))
        FUZZ_CHECK(*((u64 *)map_mfn(MFN(mfn)) + (req->ptr & ~PAGE_MASK) / 8) == before || !host_tlb_table(MFN(mfn)),
                   "frame %llx is written to, and a TLB may walk through it", (unsigned long long)mfn);
}

static void call_mmu_update(struct fuzz_input *in)
{
    unsigned int count = 1 + fuzz_below(in, 4);
    u64 mfn, word = 0, before = 0;
    gva_t gva, done;
    struct mmu_update *req;

    host_guest_reset();
    req = host_guest_alloc(count * sizeof(*req), &gva);
    host_guest_alloc(4, &done);
    for (unsigned int i = 0; i < count; i++) {
        unsigned int level = 1 + fuzz_below(in, 4), cmd = fuzz_u8(in);

        req[i].ptr = pick_frame(in, level) << PAGE_SHIFT | pick_slot(in) * 8;
        req[i].ptr |= cmd < 200 ? MMU_NORMAL_PT_UPDATE : cmd < 240 ? MMU_PT_UPDATE_PRESERVE_AD : cmd < 246 ? 4 : cmd & 3;
        req[i].val = pick_entry(in, level);
    }
    mfn = req->ptr >> PAGE_SHIFT;
    if (mfn < FRAMES) {
        word = frame_table[mfn].word;
        before = *((u64 *)map_mfn(MFN(mfn)) + (req->ptr & ~PAGE_MASK) / 8);
    }
    (void)hypercall_table[__HYPERVISOR_mmu_update].fn(gva, count, fuzz_chance(in, 50) ? done : 0, DOMID_SELF, 0, 0);
    if (count == 1 && mfn < FRAMES)
        check_plain_store(req, word, before);
}

static void call_mmuext(struct fuzz_input *in, unsigned int cmd, u64 mfn)
{
    gva_t gva;
    struct mmuext_op *op;

    host_guest_reset();
    op = host_guest_alloc(sizeof(*op), &gva);
    op->cmd = cmd;
    op->arg1.mfn = mfn;
    (void)hypercall_table[__HYPERVISOR_mmuext_op].fn(gva, 1, 0, DOMID_SELF, 0, 0);
}

/*
 * One step of pin or unpin, which may stop half way; the guest then does something else before it
 * goes on, or never does.
 */
static void step(struct fuzz_input *in, bool pin, unsigned int level, u64 mfn)
{
    host_preempt_after = 1 + fuzz_below(in, 6);
    if (pin)
        (void)frame_pin(MFN(mfn), FT_L1 + level - 1, me->domain);
    else
        (void)frame_unpin(MFN(mfn), me->domain);
    host_preempt_after = 0;
}

static void call_va_mapping(struct fuzz_input *in)
{
    u64 va = 0;

    for (unsigned int level = 4; level >= 1; level--)
        va = va << 9 | pick_slot(in);
    va <<= PAGE_SHIFT;
    if (va & 1ull << 47)
        va |= 0xffffull << 48;
    (void)hypercall_table[__HYPERVISOR_update_va_mapping].fn(va, pick_entry(in, 1), fuzz_chance(in, 30) ? UVMF_TLB_FLUSH : UVMF_NONE,
                                                             0, 0, 0);
}

/* An emulated compare-and-exchange on an L1 entry, with the right or a wrong expectation. */
static void emulated_write(struct fuzz_input *in)
{
    u64 mfn = pick_frame(in, 1), *entry, val;
    int slot;

    if (mfn >= FRAMES || frame_table[mfn].owner != me->domain->id || frame_type(frame_table[mfn].word) != FT_L1 ||
        !(frame_table[mfn].word & FRAME_VALIDATED) || !frame_tc(frame_table[mfn].word))
        return;
    entry = (u64 *)map_mfn(MFN(mfn)) + pick_slot(in);
    if (fuzz_chance(in, 50)) { /* as fork does: only the right to write goes, and perhaps a flag of the guest's own */
        slot = present_slot(in, mfn, 1);
        if (slot < 0)
            return;
        entry = (u64 *)map_mfn(MFN(mfn)) + slot;
        val = (*entry & ~PTE_RW) ^ (fuzz_chance(in, 20) ? PTE_AVL : 0) ^ (fuzz_chance(in, 10) ? PTE_G : 0);
    } else {
        val = pick_entry(in, 1);
    }
    (void)pte_change_if(entry, fuzz_chance(in, 80) ? *entry : *entry ^ PTE_A, val, me->domain);
}

/* The processor sets accessed and dirty bits at any time. */
static void processor_sets_bits(struct fuzz_input *in)
{
    u64 mfn = pick_frame(in, 1 + fuzz_below(in, 4));
    u64 *entry;

    if (mfn >= FRAMES || !(frame_table[mfn].word & FRAME_VALIDATED) || frame_type(frame_table[mfn].word) > FT_L4)
        return;
    entry = (u64 *)map_mfn(MFN(mfn)) + pick_slot(in);
    if ((*entry & PTE_P) && !(frame_type(frame_table[mfn].word) == FT_L4 && l4_slot_is_hv(((u64)entry & ~PAGE_MASK) / 8)))
        *entry |= PTE_A | (*entry & PTE_RW ? PTE_D : 0);
}

static void drop_plain(u64 mfn)
{
    plain[mfn]--;
    held[mfn].refs--;
    frame_put(frame_of(MFN(mfn)));
}

/*
 * The hypervisor takes a page of the guest: vcpu_info, descriptor tables, an array; and gives it
 * back.
 */
static void hypervisor_holds(struct fuzz_input *in, bool take)
{
    static const enum frame_type types[] = {FT_SEG, FT_SEG, FT_WRITABLE, FT_SHARED};
    enum frame_type type = types[fuzz_u8(in) % ARRAY_SIZE(types)];
    u64 mfn = pick_frame(in, 0);

    if (mfn >= FRAMES || host_is_shared(MFN(mfn)))
        return;
    if (fuzz_chance(in, 40)) { /* a plain reference, as for reading */
        if (take && plain[mfn] < 8 && frame_get(frame_of(MFN(mfn)), me->domain)) {
            plain[mfn]++;
            held[mfn].refs++;
        } else if (!take && plain[mfn]) {
            drop_plain(mfn);
        }
    } else if (take && held[mfn].types < 8) {
        if (frame_get_type(MFN(mfn), type, me->domain) == 0) {
            held[mfn].refs++;
            held[mfn].types++;
        }
    } else if (held[mfn].types > limit_types[mfn]) {
        held[mfn].refs--;
        held[mfn].types--;
        (void)frame_put_type(MFN(mfn), fuzz_chance(in, 50));
    }
}

/* The guest gives a frame back while it may be mapped or a table still (decrease_reservation). */
static void balloon_out(struct fuzz_input *in)
{
    u64 mfn = pick_frame(in, ANY_ROLE);

    if (mfn < FRAMES && frame_table[mfn].owner == me->domain->id)
        host_drop_allocation(MFN(mfn));
}

static void balloon_in(struct fuzz_input *in)
{
    u64 i = fuzz_below(in, PER_DOMAIN);
    mfn_t mfn;

    if (frame_table[mine[self()][i]].owner == me->domain->id && host_allocation_held(MFN(mine[self()][i])))
        return;
    mfn = host_frame(me->domain);
    if (mfn.n != MFN_INVALID.n)
        mine[self()][i] = mfn.n;
}

/*
 * Take back what near_the_limit() added; the last ones as a guest would, so that what follows from
 * them happens.
 */
static void drop_limit(u64 mfn)
{
    u32 refs = limit_refs[mfn], types = limit_types[mfn];

    if (!refs)
        return;
    held[mfn].refs -= refs;
    held[mfn].types -= types;
    limit_refs[mfn] = limit_types[mfn] = 0;
    if (types) {
        frame_table[mfn].word -= (types - 1) * (FRAME_REF + FRAME_TC);
        (void)frame_put_type(MFN(mfn), false);
    }
    frame_table[mfn].word -= (refs - types - 1) * FRAME_REF;
    frame_put(frame_of(MFN(mfn)));
}

/*
 * As many mappings as the record can count, or nearly: what stands for them is only added to the
 * counts.
 */
static void near_the_limit(struct fuzz_input *in, bool set)
{
    u64 mfn = pick_frame(in, fuzz_below(in, 5));
    u32 add;

    if (mfn >= FRAMES || frame_table[mfn].owner != me->domain->id)
        return;
    if (set && !limit_refs[mfn] && frame_refs(frame_table[mfn].word)) {
        add = FRAME_COUNT_MAX - fuzz_below(in, 3) - frame_refs(frame_table[mfn].word);
        limit_refs[mfn] = add;
        held[mfn].refs += add;
        frame_table[mfn].word += add * FRAME_REF;
        if (frame_tc(frame_table[mfn].word) && (frame_table[mfn].word & FRAME_VALIDATED || frame_type(frame_table[mfn].word) == FT_WRITABLE)) {
            limit_types[mfn] = add - 8;
            held[mfn].types += add - 8;
            frame_table[mfn].word += (u64)(add - 8) * FRAME_TC;
        }
    } else if (!set && limit_refs[mfn]) {
        drop_limit(mfn);
    }
}

/*
 * What a TLB could betray: reach a page or a table, take the entry that leads to it away without a
 * flush, and put the frame to another use at once.
 */
static void reuse_behind_the_tlb(struct fuzz_input *in)
{
    u64 table[5], target;
    int slot[5];
    unsigned int level = guest_touches(in, table, slot);
    bool to_table;
    gva_t gva;
    struct mmu_update *req;

    if (level > 3)
        return;
    level += level < 3 ? fuzz_below(in, 2) : 0;
    target = (((u64 *)map_mfn(MFN(table[level])))[slot[level]] & PTE_MFN) >> PAGE_SHIFT;
    host_guest_reset();
    req = host_guest_alloc(sizeof(*req), &gva);
    req->ptr = table[level] << PAGE_SHIFT | (unsigned int)slot[level] * 8;
    req->val = 0;
    (void)hypercall_table[__HYPERVISOR_mmu_update].fn(gva, 1, 0, DOMID_SELF, 0, 0);
    if (target >= FRAMES || frame_table[target].owner != me->domain->id || host_is_shared(MFN(target)))
        return;
    to_table = fuzz_chance(in, 50);
    if (to_table) {
        memset(map_mfn(MFN(target)), 0, guest_may_write(target) ? PAGE_SIZE : 0);
        call_mmuext(in, MMUEXT_PIN_L1_TABLE + fuzz_below(in, 4), target);
    } else if (frame_get_type(MFN(target), level == 1 ? FT_SEG : FT_WRITABLE, me->domain) == 0) {
        held[target].refs++;
        held[target].types++;
    }
}

static void one_operation(struct fuzz_input *in)
{
    unsigned int op = fuzz_u8(in), level = 1 + fuzz_below(in, 4);
    u64 table[5];
    int slot[5];

    if (op < 50)
        guest_fills(in);
    else if (op < 72)
        (void)guest_touches(in, table, slot);
    else if (op < 85)
        reuse_behind_the_tlb(in);
    else if (op < 130)
        call_mmu_update(in);
    else if (op < 155)
        call_mmuext(in, MMUEXT_PIN_L1_TABLE + level - 1, pick_frame(in, level));
    else if (op < 167)
        call_mmuext(in, MMUEXT_UNPIN_TABLE, pick_frame(in, level));
    else if (op < 185)
        call_mmuext(in, MMUEXT_NEW_BASEPTR, pick_frame(in, 4));
    else if (op < 200)
        call_va_mapping(in);
    else if (op < 209)
        emulated_write(in);
    else if (op < 214)
        processor_sets_bits(in);
    else if (op < 220)
        hypervisor_holds(in, fuzz_chance(in, 60));
    else if (op < 226)
        balloon_out(in);
    else if (op < 232)
        balloon_in(in);
    else if (op < 236)
        near_the_limit(in, fuzz_chance(in, 40));
    else if (op < 247)
        step(in, fuzz_chance(in, 60), level, pick_frame(in, level));
    else if (op < 250)
        host_tlb_flush();
    else
        me = domains[1 - self()]->vcpu[0];
    host_set_current(me);
}

/* ---- a sequence ---- */

static void begin(void)
{
    host_machine_start(FRAMES, 1, "null");
    memset(held, 0, sizeof(held));
    memset(limit_refs, 0, sizeof(limit_refs));
    memset(limit_types, 0, sizeof(limit_types));
    memset(plain, 0, sizeof(plain));
    io_frame = frame_alloc(DOMID_IO, 0, 0, 0).n; /* from now on nobody's memory */
    frame_table[io_frame].word = 0;
    for (int k = 0; k < 2; k++) {
        u64 n = 0;

        domains[k] = host_domain(k, 1, PER_DOMAIN);
        if (k == 0)
            FUZZ_CHECK(io_rights_first_domain(domains[k]) == 0, "no memory");
        for (u64 mfn = 1; mfn < FRAMES && n < PER_DOMAIN; mfn++) {
            if (frame_table[mfn].owner == k && !host_is_shared(MFN(mfn)))
                mine[k][n++] = mfn;
        }
        host_load_l4(domains[k]->vcpu[0]);
    }
    me = domains[0]->vcpu[0];
    host_set_current(me);
}

/* Everything is given back: no frame may stay. */
static void end(void)
{
    for (u64 mfn = 0; mfn < FRAMES; mfn++) {
        drop_limit(mfn);
        while (plain[mfn])
            drop_plain(mfn);
        while (frame_table[mfn].owner < 2 && held[mfn].types && !host_is_shared(MFN(mfn))) {
            held[mfn].refs--;
            held[mfn].types--;
            (void)frame_put_type(MFN(mfn), false);
        }
    }
    walk_all(held);
    for (int k = 0; k < 2; k++)
        host_domain_end(domains[k]);
    for (u64 mfn = 0; mfn < FRAMES; mfn++)
        FUZZ_CHECK(frame_table[mfn].owner > 1, "frame %llx of d%d is still there: word %llx", (unsigned long long)mfn,
                   frame_table[mfn].owner, (unsigned long long)frame_table[mfn].word);
    host_machine_stop();
}

void fuzz_one(struct fuzz_input *in)
{
    begin();
    walk_all(held);
    while (fuzz_more(in)) {
        one_operation(in);
        walk_all(held);
    }
    end();
}

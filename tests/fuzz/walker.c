/* SPDX-License-Identifier: MIT */
/*
 * The invariant of frame typing: see walker.h. Shares no code with typing.c but the layout of the
 * records.
 */
#include "walker.h"

#include <stdlib.h>

#include "machine.h"
#include "pv_host.h"
#include "x86/x86.h"

static struct held *count;

static unsigned long long n(mfn_t mfn)
{
    return mfn.n;
}

static bool is_table(u64 word)
{
    return frame_type(word) >= FT_L1 && frame_type(word) <= FT_L4;
}

/* How many entries of a table hold what they refer to. */
static unsigned int entries_in_force(const struct frame *f)
{
    if (!is_table(f->word) || !frame_tc(f->word))
        return 0;
    if (f->word & FRAME_VALIDATED)
        return 512;
    return f->word & FRAME_PARTIAL ? f->position : 0;
}

static void count_l1_entry(const struct frame *table, u64 e)
{
    mfn_t target = MFN((e & PTE_MFN) >> PAGE_SHIFT);
    const struct frame *f;

    if (!mfn_is_memory(target) || frame_of(target)->owner == DOMID_IO)
        return;
    f = frame_of(target);
    FUZZ_CHECK(f->word & FRAME_ALLOCATED || frame_refs(f->word), "L1 %llx maps the free frame %llx", n(frame_mfn(table)), n(target));
    FUZZ_CHECK(f->owner == table->owner, "L1 %llx of d%d maps frame %llx of d%d", n(frame_mfn(table)), table->owner, n(target), f->owner);
    FUZZ_CHECK(e & PTE_US, "L1 %llx has an entry that is no user mapping", n(frame_mfn(table)));
    count[target.n].refs++;
    if (e & PTE_RW) {
        FUZZ_CHECK(frame_type(f->word) == FT_WRITABLE, "L1 %llx maps frame %llx of type %d writable", n(frame_mfn(table)),
                   n(target), frame_type(f->word));
        count[target.n].types++;
    }
}

static void count_ln_entry(const struct frame *table, u64 e)
{
    unsigned int level = frame_type(table->word);
    mfn_t target = MFN((e & PTE_MFN) >> PAGE_SHIFT);
    const struct frame *f;

    FUZZ_CHECK(mfn_is_memory(target), "L%u %llx names %llx, which is no memory", level, n(frame_mfn(table)), n(target));
    f = frame_of(target);
    FUZZ_CHECK(!(e & PTE_PSE), "L%u %llx has a large page", level, n(frame_mfn(table)));
    FUZZ_CHECK(f->owner == table->owner, "L%u %llx names a frame of d%d", level, n(frame_mfn(table)), f->owner);
    FUZZ_CHECK(frame_type(f->word) == (enum frame_type)(level - 1), "L%u %llx names frame %llx of type %d", level,
               n(frame_mfn(table)), n(target), frame_type(f->word));
    FUZZ_CHECK((f->word & FRAME_VALIDATED) || !(table->word & FRAME_VALIDATED), "validated L%u %llx names frame %llx, which is not",
               level, n(frame_mfn(table)), n(target));
    count[target.n].refs++;
    count[target.n].types++;
}

static void walk_table(const struct frame *f)
{
    const u64 *t = map_mfn(frame_mfn(f));
    unsigned int level = frame_type(f->word), end = entries_in_force(f);

    for (unsigned int i = 0; i < end; i++) {
        if (level == 4 && i >= HV_FIRST_SLOT && i <= HV_LAST_SLOT) {
            FUZZ_CHECK(!(f->word & FRAME_VALIDATED) || t[i] == HOST_HV_SLOT(i), "L4 %llx: slot %u is not the hypervisor's",
                       n(frame_mfn(f)), i);
            continue;
        }
        if (!(t[i] & PTE_P))
            continue;
        if (level == 1)
            count_l1_entry(f, t[i]);
        else
            count_ln_entry(f, t[i]);
    }
}

static void check_frame(mfn_t mfn)
{
    const struct frame *f = frame_of(mfn);
    u64 w = f->word;

    FUZZ_CHECK(!(w & FRAME_BUSY), "frame %llx is busy between two calls", n(mfn));
    FUZZ_CHECK(frame_refs(w) == count[mfn.n].refs, "frame %llx (type %d) has %llu references, %u were counted", n(mfn),
               frame_type(w), (unsigned long long)frame_refs(w), count[mfn.n].refs);
    FUZZ_CHECK(frame_tc(w) == count[mfn.n].types, "frame %llx (type %d) has %llu type references, %u were counted", n(mfn),
               frame_type(w), (unsigned long long)frame_tc(w), count[mfn.n].types);
    FUZZ_CHECK(frame_refs(w) <= FRAME_COUNT_MAX && frame_tc(w) <= FRAME_COUNT_MAX, "frame %llx is counted beyond the limit", n(mfn));
    FUZZ_CHECK(frame_refs(w), "frame %llx is held by nothing and was not released", n(mfn));
    FUZZ_CHECK(!(w & FRAME_PARTIAL) || !(w & FRAME_VALIDATED), "frame %llx is validated and partial", n(mfn));
    FUZZ_CHECK(!host_tlb_strangers(mfn), "frame %llx is d%d's, and a TLB may hold a mapping of its last owner's", n(mfn), f->owner);
    if (is_table(w) && entries_in_force(f))
        FUZZ_CHECK(!host_tlb_writable(mfn), "frame %llx is a table, and a TLB may hold a writable mapping of it", n(mfn));
    if (frame_type(w) == FT_SEG && frame_tc(w))
        FUZZ_CHECK(!host_tlb_writable(mfn), "frame %llx holds descriptors, and a TLB may hold a writable mapping of it", n(mfn));
    if (frame_type(w) == FT_WRITABLE && frame_tc(w))
        FUZZ_CHECK(!host_tlb_table(mfn), "frame %llx is writable, and a TLB may walk through it", n(mfn));
}

static void count_base(const struct vcpu *v, u64 cr3)
{
    u64 mfn = cr3 >> PAGE_SHIFT;

    if (!cr3)
        return;
    FUZZ_CHECK(frame_type(frame_table[mfn].word) == FT_L4 && frame_table[mfn].owner == v->domain->id, "CR3 %llx is no L4 of d%d",
               (unsigned long long)mfn, v->domain->id);
    FUZZ_CHECK(frame_table[mfn].word & FRAME_VALIDATED || v->domain->dying, "CR3 %llx is not validated", (unsigned long long)mfn);
    count[mfn].refs++;
    count[mfn].types++;
}

/* A frame that a descriptor table maps, as the processor sees it: segments of ring 3 only. */
static void count_desc(const struct vcpu *v, unsigned int page, u64 mfn)
{
    const u64 *t = map_mfn(MFN(mfn));

    FUZZ_CHECK(host_desc_page(v, page) == mfn, "d%uv%u: page %u of its descriptors maps %llx, its record says %llx", v->domain->id,
               v->id, page, (unsigned long long)host_desc_page(v, page), (unsigned long long)mfn);
    if (!mfn)
        return;
    FUZZ_CHECK(frame_type(frame_table[mfn].word) == FT_SEG && frame_table[mfn].owner == v->domain->id,
               "d%uv%u: frame %llx of descriptors is not typed", v->domain->id, v->id, (unsigned long long)mfn);
    for (unsigned int i = 0; i < 512; i++)
        FUZZ_CHECK(!(t[i] >> 47 & 1) || ((t[i] >> 44 & 1) && (t[i] >> 45 & 3) == 3), "d%uv%u: descriptor %llx is in force",
                   v->domain->id, v->id, (unsigned long long)t[i]);
    count[mfn].refs++;
    count[mfn].types++;
}

static void count_vcpu(const struct vcpu *v)
{
    count_base(v, v->arch.cr3_kernel);
    count_base(v, v->arch.cr3_user);
    for (unsigned int i = 0; i < 14; i++)
        count_desc(v, i, v->arch.gdt_frame[i]);
    for (unsigned int i = 0; i < 16; i++)
        count_desc(v, 16 + i, v->arch.ldt_mapped[i]);
}

void walk_all(const struct held *held)
{
    static u64 room;

    if (room < max_mfn) {
        count = realloc(count, max_mfn * sizeof(*count));
        room = max_mfn;
    }
    memcpy(count, held, max_mfn * sizeof(*count));
    for (u64 i = 0; i < max_mfn; i++) {
        const struct frame *f = &frame_table[i];

        if (f->owner == DOMID_INVALID || f->owner == DOMID_IO)
            continue;
        count[i].refs += host_held(MFN(i)).refs + host_allocation_held(MFN(i));
        count[i].types += host_held(MFN(i)).types;
        if (host_allocation_held(MFN(i)) && host_is_shared(MFN(i))) { /* the hypervisor's own use of it */
            count[i].refs++;
            count[i].types++;
        }
        if (f->word & FRAME_PINNED) {
            count[i].refs++;
            count[i].types++;
        }
        if ((f->word & FRAME_PARTIAL) && f->stamp == FRAME_PARTIAL_ORPHAN) { /* stopped validation keeps its own */
            count[i].refs++;
            count[i].types++;
        }
        walk_table(f);
    }
    list_for_each(pos, &domain_list) {
        const struct domain *d = list_entry(pos, struct domain, node);

        for (unsigned int i = 0; i < d->max_vcpus; i++) {
            count_vcpu(d->vcpu[i]);
        }
    }
    for (u64 i = 0; i < max_mfn; i++) {
        if (frame_table[i].owner != DOMID_INVALID && frame_table[i].owner != DOMID_IO)
            check_frame(MFN(i));
    }
}

u64 fuzz_entry(struct fuzz_input *in, unsigned int level, u64 (*pick_frame)(struct fuzz_input *in, unsigned int role), const u64 *odd,
               size_t nr_odd)
{
    u64 e;

    if (fuzz_chance(in, 15))
        return fuzz_chance(in, 50) ? 0 : fuzz_bits(in, 8) & ~PTE_P;
    e = pick_frame(in, level - 1) << PAGE_SHIFT | PTE_P;
    if (fuzz_chance(in, level == 1 ? 50 : 90))
        e |= PTE_RW;
    if (fuzz_chance(in, 80))
        e |= PTE_US;
    if (fuzz_chance(in, 30))
        e |= PTE_A | PTE_D;
    if (fuzz_chance(in, 3))
        e |= odd[fuzz_u8(in) % nr_odd];
    return e;
}

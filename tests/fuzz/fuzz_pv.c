/* SPDX-License-Identifier: MIT */
/*
 * Two hostile paravirtual domains with all that touches page tables: mmu_update, update_va_mapping, mmuext_op, descriptor tables,
 * memory_op, pages shared with the hypervisor, emulated writes and privileged instructions, iret and bounces, singly, in
 * multicalls and stopped half way; domains die and come again in between.
 *
 * One domain has two vCPUs, the other one. Each starts with a small address space: page j of it maps frame j of its own, writable unless its role (role()) is that
 * of a table. After each operation the walker recounts all references (walker.c), and here is checked what a guest may never have:
 *
 *   selectors of a ring below 3, flags with IOPL, NT or VM, an RIP or stack pointer that iret would fault on in the hypervisor
 *   a CR3 that is not its vCPU's own table, a change to memory, M2P or registers that the call says it has not made
 *   another domain's memory
 */
#include <stdlib.h>

#include "core/hypercall.h"
#include "fuzz.h"
#include "machine.h"
#include "pv_host.h"
#include "walker.h"
#include "x86/pv/io_rights.h"
#include "x86/pv/pv.h"
#include "x86/pv/typing.h"

#define FRAMES     256
#define PER_DOMAIN 40
#define VCPUS(k)   (2 - (k)) /* of domain k: calls are shorter where there is but one */
#define ENTRIES    6       /* of a multicall */
#define CODE       (HOST_GUEST_BASE + HOST_GUEST_SIZE - 8192)
#define STACK      (HOST_GUEST_BASE + HOST_GUEST_SIZE - 4096)

const char fuzz_name[] = "pv";
const size_t fuzz_bytes = 6000;

static struct domain *domains[2];
static bool dying[2];      /* being destroyed, step by step */
static struct vcpu *me, *idle; /* me: NULL while no domain lives */
static u64 mine[2][PER_DOMAIN];
static const struct held nothing[FRAMES];

static unsigned int self(void)
{
    return me->domain == domains[0] ? 0 : 1;
}

static u64 *table(u64 mfn)
{
    return map_mfn(MFN(mfn));
}

/* What frame number i of a domain is meant for: 0 data, 1 to 4 a table of that level. */
static unsigned int role(unsigned int i)
{
    return i % 8 < 4 ? 0 : i % 8 - 3;
}

/* A frame for a role: mostly own and fitting, sometimes anything. */
static u64 pick_frame(struct fuzz_input *in, unsigned int wanted)
{
    unsigned int how = fuzz_u8(in), i = fuzz_below(in, PER_DOMAIN);

    if (how < 6)
        return mine[1 - self()][i];
    if (how < 10)
        return fuzz_below(in, FRAMES);
    if (how < 12)
        return FRAMES + fuzz_bits(in, 4) * (how == 10 ? 1 : 1ull << 20);
    if (how < 40)
        return mine[self()][i];
    return mine[self()][i / 8 * 8 + (wanted ? wanted + 3 : i % 4)];
}

static u64 pick_entry(struct fuzz_input *in, unsigned int level)
{
    static const u64 odd[] = {PTE_G, PTE_PSE, 1ull << 52, 1ull << 58, 1ull << 62, 1ull << 51, PTE_NX, PTE_PCD | PTE_PWT, PTE_AVL};

    return fuzz_entry(in, level, pick_frame, odd, ARRAY_SIZE(odd));
}

static unsigned int pick_slot(struct fuzz_input *in)
{
    static const u16 slots[] = {0, 1, 5, 7, 8, 9, 255, 256, 271, 272, 504, 511};

    return fuzz_chance(in, 85) ? slots[fuzz_u8(in) % ARRAY_SIZE(slots)] : fuzz_below(in, 512);
}

static u64 canonical(u64 va)
{
    return (u64)((s64)(va << 16) >> 16);
}

/* Mostly a page of the address space that begin_domain() made. */
static u64 pick_va(struct fuzz_input *in)
{
    static const u64 odd[] = {HV_START - 4096, HV_START, HV_END - 4096, HV_END, 0x0000800000000000, ~0ull << 12, DESC_VIRT, M2P_RO_VIRT};
    u64 va = 0;
    unsigned int how = fuzz_u8(in);

    if (how < 200)
        return fuzz_below(in, PER_DOMAIN) << PAGE_SHIFT;
    if (how < 212)
        return odd[fuzz_u8(in) % ARRAY_SIZE(odd)];
    for (unsigned int level = 4; level >= 1; level--)
        va = va << 9 | pick_slot(in);
    return how < 250 ? canonical(va << PAGE_SHIFT) : va << PAGE_SHIFT;
}

static bool guest_may_write(u64 mfn)
{
    const struct frame *f = &frame_table[mfn];

    return mfn < FRAMES && f->owner == me->domain->id && !host_is_shared(MFN(mfn)) &&
           (!frame_tc(f->word) || frame_type(f->word) == FT_WRITABLE);
}

/* Prepare what is to be a table or descriptors, while it is none. */
static void guest_fills(struct fuzz_input *in)
{
    unsigned int level = 1 + fuzz_below(in, 4), entries = fuzz_below(in, 10);
    u64 mfn = pick_frame(in, level);

    if (!guest_may_write(mfn))
        return;
    if (fuzz_chance(in, 10)) { /* descriptors: absent, or segments, or what is refused */
        memset(table(mfn), 0, PAGE_SIZE);
        while (entries--)
            table(mfn)[pick_slot(in)] = fuzz_chance(in, 70) ? 0x00af9b000000ffff : fuzz_bits(in, 8);
        return;
    }
    while (entries--)
        table(mfn)[pick_slot(in)] = pick_entry(in, level);
}

/* The table that the processor walks now. */
static u64 root(void)
{
    return (guest_kernel_mode(me) ? me->arch.cr3_kernel : me->arch.cr3_user) >> PAGE_SHIFT;
}

/* Reach through the current tables; the TLB remembers the way, and the page. A page that may be written is. */
static void guest_touches(struct fuzz_input *in)
{
    u64 va = pick_va(in), mfn = root(), e;
    bool writable = true;

    for (unsigned int level = 4; level >= 1; level--) {
        unsigned int slot = (va >> (12 + 9 * (level - 1))) & 511;

        if (level == 4 && l4_slot_is_hv(slot))
            return;
        e = table(mfn)[slot];
        if (!(e & PTE_P))
            return;
        host_tlb_touch_table(MFN(mfn));
        table(mfn)[slot] |= PTE_A;
        writable &= (e & PTE_RW) != 0;
        mfn = (e & PTE_MFN) >> PAGE_SHIFT;
        FUZZ_CHECK(mfn < FRAMES || level == 1, "d%u walks to %llx", me->domain->id, (unsigned long long)mfn);
        if (mfn >= FRAMES || frame_table[mfn].owner == DOMID_IO)
            return;
    }
    host_tlb_touch_page(MFN(mfn));
    if (writable) {
        host_tlb_touch_writable(MFN(mfn));
        if (!host_is_shared(MFN(mfn)))
            table(mfn)[pick_slot(in)] = pick_entry(in, 1 + fuzz_below(in, 4));
    }
}

/* ---- hypercalls ---- */

static gva_t area(size_t n, void **p)
{
    gva_t gva;

    *p = host_guest_alloc(n, &gva);
    return gva;
}

static u64 pick_domid(struct fuzz_input *in)
{
    static const u64 ids[] = {0, 1, 2, DOMID_IO, DOMID_XEN, DOMID_INVALID, DOMID_SELF, 1ull << 16 | DOMID_SELF,
                              2ull << 16 | DOMID_SELF, (u64)(DOMID_SELF + 1) << 16 | DOMID_SELF, ~0ull};

    return fuzz_chance(in, 93) ? DOMID_SELF : ids[fuzz_u8(in) % ARRAY_SIZE(ids)];
}

/* A count for `real` elements: sometimes too many, or with the bit that continuations use. */
static u64 pick_count(struct fuzz_input *in, unsigned int real)
{
    unsigned int how = fuzz_u8(in);

    return how < 240 ? real : how < 246 ? real | 1ull << 31 : how < 250 ? real + 3 : how < 252 ? 0 : fuzz_bits(in, 5);
}

static void choose_mmu_update(struct fuzz_input *in, struct multicall_entry *e)
{
    unsigned int n = fuzz_chance(in, 80) ? 1 + fuzz_below(in, 3) : 16 + fuzz_below(in, 20);
    struct mmu_update *req;
    void *done;

    *e = (struct multicall_entry){.op = __HYPERVISOR_mmu_update, .args = {area(n * sizeof(*req), (void **)&req), pick_count(in, n)}};
    e->args[2] = fuzz_chance(in, 50) ? area(4, &done) : 0;
    e->args[3] = pick_domid(in);
    for (unsigned int i = 0; i < n; i++) {
        unsigned int level = 1 + fuzz_below(in, 4), cmd = fuzz_u8(in);

        req[i].ptr = pick_frame(in, level) << PAGE_SHIFT | pick_slot(in) * 8;
        req[i].ptr |= cmd < 190 ? MMU_NORMAL_PT_UPDATE : cmd < 225 ? MMU_PT_UPDATE_PRESERVE_AD : cmd < 235 ? MMU_MACHPHYS_UPDATE : cmd & 7;
        req[i].val = pick_entry(in, level);
    }
}

static void choose_mmuext(struct fuzz_input *in, struct multicall_entry *e)
{
    unsigned int n = fuzz_chance(in, 70) ? 1 : 2 + fuzz_below(in, 12);
    struct mmuext_op *op;
    void *done;

    *e = (struct multicall_entry){.op = __HYPERVISOR_mmuext_op, .args = {area(n * sizeof(*op), (void **)&op), pick_count(in, n)}};
    e->args[2] = fuzz_chance(in, 30) ? area(4, &done) : 0;
    e->args[3] = pick_domid(in);
    for (unsigned int i = 0; i < n; i++) {
        unsigned int how = fuzz_u8(in), level = 1 + fuzz_below(in, 4);

        if (how < 90) {
            op[i].cmd = MMUEXT_PIN_L1_TABLE + level - 1;
            op[i].arg1.mfn = pick_frame(in, level);
        } else if (how < 140) {
            op[i].cmd = MMUEXT_UNPIN_TABLE;
            op[i].arg1.mfn = pick_frame(in, level);
        } else if (how < 190) {
            op[i].cmd = how < 165 ? MMUEXT_NEW_BASEPTR : MMUEXT_NEW_USER_BASEPTR;
            op[i].arg1.mfn = how == 189 ? 0 : pick_frame(in, 4);
        } else if (how < 205) {
            op[i].cmd = MMUEXT_SET_LDT;
            op[i].arg1.linear_addr = fuzz_chance(in, 90) ? pick_va(in) : fuzz_bits(in, 8);
            op[i].arg2.nr_ents = fuzz_chance(in, 90) ? fuzz_below(in, 8) * 512 : fuzz_bits(in, 4);
        } else if (how < 225) {
            op[i].cmd = how < 215 ? MMUEXT_CLEAR_PAGE : MMUEXT_COPY_PAGE;
            op[i].arg1.mfn = pick_frame(in, level - 1);
            op[i].arg2.src_mfn = pick_frame(in, level);
        } else {
            op[i].cmd = fuzz_u8(in) % 24;
            op[i].arg1.mfn = pick_va(in);
        }
    }
}

static void choose_memory(struct fuzz_input *in, struct multicall_entry *e)
{
    unsigned int how = fuzz_u8(in), n = 1 + fuzz_below(in, 4);
    struct xen_memory_reservation *r;
    struct xen_memory_exchange *x;
    u64 *list, *out;

    *e = (struct multicall_entry){.op = __HYPERVISOR_memory_op};
    if (how < 40) {
        e->args[0] = XENMEM_exchange;
        e->args[1] = area(sizeof(*x), (void **)&x);
        x->in = (struct xen_memory_reservation){.nr_extents = n, .domid = DOMID_SELF, .extent_order = fuzz_chance(in, 10)};
        x->out = (struct xen_memory_reservation){.nr_extents = n, .domid = DOMID_SELF, .extent_order = fuzz_chance(in, 10)};
        x->in.extent_start.p = (void *)area(n * 8, (void **)&list);
        x->out.extent_start.p = (void *)area(n * 8, (void **)&out);
        for (unsigned int i = 0; i < n; i++) {
            list[i] = pick_frame(in, fuzz_below(in, 5));
            out[i] = fuzz_below(in, 64);
        }
        return;
    }
    e->args[0] = how < 130   ? XENMEM_decrease_reservation
                 : how < 180 ? XENMEM_increase_reservation
                 : how < 230 ? XENMEM_populate_physmap
                             : fuzz_u8(in) % 48;
    if (fuzz_chance(in, 5))
        e->args[0] |= fuzz_bits(in, 2) << 6; /* as if continued */
    e->args[1] = area(sizeof(*r), (void **)&r);
    *r = (struct xen_memory_reservation){.nr_extents = n, .domid = fuzz_chance(in, 95) ? DOMID_SELF : fuzz_bits(in, 2)};
    r->extent_order = fuzz_chance(in, 90) ? 0 : fuzz_u8(in) % 12;
    r->mem_flags = fuzz_chance(in, 90) ? 0 : fuzz_bits(in, 2);
    r->extent_start.p = (void *)area(n * 8, (void **)&list);
    for (unsigned int i = 0; i < n; i++)
        list[i] = pick_frame(in, fuzz_below(in, 5));
}

static void choose_descriptors(struct fuzz_input *in, struct multicall_entry *e)
{
    u64 *list;

    if (fuzz_chance(in, 60)) {
        unsigned int n = fuzz_below(in, 4);

        *e = (struct multicall_entry){.op = __HYPERVISOR_set_gdt, .args = {area(14 * 8, (void **)&list), n * 512}};
        for (unsigned int i = 0; i < n; i++)
            list[i] = pick_frame(in, fuzz_chance(in, 20));
        if (fuzz_chance(in, 10))
            e->args[1] = fuzz_bits(in, 2);
    } else {
        *e = (struct multicall_entry){.op = __HYPERVISOR_update_descriptor, .args = {pick_frame(in, fuzz_chance(in, 20)) << PAGE_SHIFT}};
        e->args[0] |= pick_slot(in) * 8 + fuzz_chance(in, 3);
        e->args[1] = fuzz_chance(in, 60) ? 0x00af9b000000ffff : fuzz_bits(in, 8);
    }
}

/* What makes the hypervisor keep a frame of the guest's: event arrays, vcpu_info, grant tables; and gives it back. */
static void choose_shared(struct fuzz_input *in, struct multicall_entry *e)
{
    union {
        struct evtchn_init_control control;
        struct evtchn_expand_array array;
        struct evtchn_reset reset;
        struct vcpu_register_vcpu_info info;
        struct gnttab_setup_table setup;
        u64 words[8];
    } *a;
    unsigned int how = fuzz_u8(in);
    gva_t gva = area(sizeof(*a), (void **)&a);
    void *list;

    *e = (struct multicall_entry){.op = __HYPERVISOR_event_channel_op, .args = {0, gva}};
    if (how < 70) {
        e->args[0] = EVTCHNOP_init_control;
        a->control = (struct evtchn_init_control){.control_gfn = pick_frame(in, 0), .offset = fuzz_below(in, 500) * 8,
                                                  .vcpu = fuzz_below(in, 3)};
    } else if (how < 130) {
        e->args[0] = EVTCHNOP_expand_array;
        a->array.array_gfn = pick_frame(in, 0);
    } else if (how < 150) {
        e->args[0] = EVTCHNOP_reset;
        a->reset.dom = DOMID_SELF;
    } else if (how < 200) {
        e->op = __HYPERVISOR_vcpu_op;
        e->args[0] = VCPUOP_register_vcpu_info;
        e->args[1] = fuzz_below(in, 3);
        e->args[2] = gva;
        a->info = (struct vcpu_register_vcpu_info){.mfn = pick_frame(in, 0), .offset = fuzz_below(in, 64) * 64};
    } else {
        e->op = __HYPERVISOR_grant_table_op;
        e->args[0] = how < 230 ? GNTTABOP_setup_table : GNTTABOP_query_size;
        e->args[1] = gva;
        e->args[2] = 1;
        a->setup.dom = DOMID_SELF;
        a->setup.nr_frames = fuzz_below(in, 5);
        a->setup.frame_list.p = (void *)area(64, &list);
    }
}

static void choose_rest(struct fuzz_input *in, struct multicall_entry *e)
{
    static const u8 ops[] = {__HYPERVISOR_set_trap_table, __HYPERVISOR_stack_switch, __HYPERVISOR_set_callbacks, __HYPERVISOR_callback_op,
                             __HYPERVISOR_vm_assist, __HYPERVISOR_update_va_mapping_otherdomain, __HYPERVISOR_physdev_op,
                             __HYPERVISOR_multicall};
    u64 *words;
    gva_t gva = area(256, (void **)&words);

    for (unsigned int i = 0; i < 8; i++)
        words[i] = fuzz_chance(in, 50) ? fuzz_below(in, 8) : fuzz_chance(in, 80) ? pick_va(in) : fuzz_bits(in, 8);
    *e = (struct multicall_entry){.op = ops[fuzz_u8(in) % ARRAY_SIZE(ops)], .args = {gva, gva, gva, DOMID_SELF}};
    if (e->op == __HYPERVISOR_stack_switch) {
        e->args[1] = fuzz_chance(in, 60) ? STACK + fuzz_below(in, 4096) : pick_va(in) + fuzz_below(in, 128);
    } else if (e->op == __HYPERVISOR_set_callbacks) {
        for (unsigned int i = 0; i < 3; i++)
            e->args[i] = fuzz_chance(in, 80) ? CODE : canonical(fuzz_bits(in, 8));
    } else if (e->op == __HYPERVISOR_vm_assist) {
        e->args[0] = fuzz_below(in, 2);
        e->args[1] = fuzz_below(in, 6);
    } else if (e->op == __HYPERVISOR_update_va_mapping_otherdomain) {
        e->args[0] = pick_va(in);
        e->args[1] = pick_entry(in, 1);
        e->args[2] = 0;
        e->args[3] = pick_domid(in);
    } else if (e->op == __HYPERVISOR_physdev_op || e->op == __HYPERVISOR_callback_op) {
        e->args[0] = fuzz_u8(in) % 32;
        e->args[1] = gva;
    }
}

static void choose(struct fuzz_input *in, struct multicall_entry *e)
{
    unsigned int how = fuzz_u8(in);

    if (how < 70) {
        choose_mmu_update(in, e);
    } else if (how < 140) {
        choose_mmuext(in, e);
    } else if (how < 170) {
        static const u64 flags[] = {UVMF_NONE, UVMF_INVLPG | UVMF_LOCAL, UVMF_TLB_FLUSH | UVMF_ALL, 3};

        *e = (struct multicall_entry){.op = __HYPERVISOR_update_va_mapping, .args = {pick_va(in), pick_entry(in, 1)}};
        e->args[2] = flags[fuzz_u8(in) % ARRAY_SIZE(flags)];
    } else if (how < 200) {
        choose_memory(in, e);
    } else if (how < 220) {
        choose_descriptors(in, e);
    } else if (how < 238) {
        choose_shared(in, e);
    } else {
        choose_rest(in, e);
    }
    if (fuzz_chance(in, 3)) /* what should be a pointer, mostly */
        e->args[fuzz_below(in, 3)] = pick_va(in);
}

/* Go on with a call that stopped, as the processor does when it issues it again; or never. */
static void go_on(struct fuzz_input *in)
{
    struct host_vcpu *h = host_vcpu(me);

    while (h->has_continued && !me->domain->shut_down && fuzz_chance(in, 85)) {
        h->has_continued = false;
        if (fuzz_chance(in, 40))
            host_preempt_after = 1 + fuzz_below(in, 4);
        (void)hypercall_table[h->continued[0]].fn(h->continued[1], h->continued[2], h->continued[3], h->continued[4], h->continued[5],
                                                  h->continued[6]);
    }
    h->has_continued = false;
    host_preempt_after = 0;
}

static void hypercall(struct fuzz_input *in)
{
    struct multicall_entry e, *list;
    unsigned int n = fuzz_chance(in, 70) ? 1 : 1 + fuzz_below(in, ENTRIES);
    gva_t gva;

    if (fuzz_chance(in, 40))
        host_preempt_after = 1 + fuzz_below(in, 6);
    if (fuzz_chance(in, 2))
        host_guest_fault_after = fuzz_below(in, 200);
    if (n == 1) {
        choose(in, &e);
        (void)hypercall_table[e.op].fn(e.args[0], e.args[1], e.args[2], e.args[3], e.args[4], e.args[5]);
    } else {
        list = host_guest_alloc(n * sizeof(*list), &gva);
        for (unsigned int i = 0; i < n; i++)
            choose(in, &list[i]);
        (void)do_multicall(gva, n, 0, 0, 0, 0);
    }
    host_guest_fault_after = ~(size_t)0;
    go_on(in);
}

/* ---- instructions ---- */

/* Code at the end of guest memory, at times at the very end: n bytes, then what is there. */
static struct regs *set_code(struct fuzz_input *in, const u8 *code, unsigned int n)
{
    struct regs *r = &get_cpu_info()->regs;
    u64 *reg = (u64 *)r;

    for (unsigned int i = 0; i < 15; i++)
        reg[i] = fuzz_chance(in, 70) ? pick_entry(in, 1 + fuzz_chance(in, 20)) : fuzz_bits(in, 8);
    r->rip = fuzz_chance(in, 95) ? CODE + fuzz_below(in, 512) : HOST_GUEST_BASE + HOST_GUEST_SIZE - n;
    if (fuzz_chance(in, 1))
        r->rip = pick_va(in);
    else
        memcpy(host_guest + (r->rip - HOST_GUEST_BASE), code, n);
    r->rsp = STACK + fuzz_below(in, 4000);
    return r;
}

/* A form that writes memory, with its operands at random, or just bytes. */
static unsigned int write_form(struct fuzz_input *in, u8 *code)
{
    static const u8 one_byte[] = {0x00, 0x01, 0x08, 0x09, 0x10, 0x11, 0x18, 0x19, 0x20, 0x21, 0x28, 0x29, 0x30, 0x31, 0x80, 0x81,
                                  0x83, 0x86, 0x87, 0x88, 0x89, 0x89, 0x89, 0xc6, 0xc7, 0xf6, 0xf7, 0xfe, 0xff, 0xaa, 0xab};
    static const u8 two_byte[] = {0xb0, 0xb1, 0xc0, 0xc1, 0xab, 0xb3, 0xbb, 0xba};
    static const u8 prefixes[] = {0xf0, 0x66, 0x3e, 0x2e, 0x64, 0x65, 0xf3};
    unsigned int n = 0;

    for (unsigned int i = 0; i < 15; i++)
        code[i] = fuzz_u8(in);
    if (fuzz_chance(in, 5))
        return 15;
    while (n < 4 && fuzz_chance(in, 25))
        code[n++] = prefixes[fuzz_u8(in) % ARRAY_SIZE(prefixes)];
    if (fuzz_chance(in, 60))
        code[n++] = 0x48;
    else if (fuzz_chance(in, 50))
        code[n++] = 0x40 | (fuzz_u8(in) & 15);
    if (fuzz_chance(in, 30)) {
        code[n++] = 0x0f;
        code[n++] = two_byte[fuzz_u8(in) % ARRAY_SIZE(two_byte)];
    } else {
        code[n++] = one_byte[fuzz_u8(in) % ARRAY_SIZE(one_byte)];
    }
    if (fuzz_chance(in, 90))
        code[n] &= 0xbf; /* ModRM: memory with a short displacement, or none */
    return 15;
}

static u64 snapshot[FRAMES][512];

static void remember_memory(void)
{
    memcpy(snapshot, host_memory, sizeof(snapshot));
}

static void expect_memory_as_before(const char *what)
{
    for (u64 mfn = 0; mfn < FRAMES; mfn++)
        FUZZ_CHECK(!memcmp(snapshot[mfn], table(mfn), PAGE_SIZE), "%s, but frame %llx has changed", what, (unsigned long long)mfn);
}

/* A write that faulted, as the page-fault handler sees it. */
static void faulting_write(struct fuzz_input *in)
{
    struct regs *r, before;
    u8 code[16];
    unsigned int j = fuzz_chance(in, 90) ? fuzz_below(in, PER_DOMAIN / 8) * 8 + 4 : fuzz_below(in, PER_DOMAIN);
    u64 cr2 = fuzz_chance(in, 95) ? (u64)j << PAGE_SHIFT : pick_va(in), *at;

    if (!guest_kernel_mode(me))
        return;
    cr2 |= pick_slot(in) * 8 + (fuzz_chance(in, 70) ? 0 : fuzz_u8(in) & 7);
    r = set_code(in, code, write_form(in, code));
    at = is_canonical(cr2) && (cr2 < HV_START || cr2 >= HV_END) ? pv_walk_l1(me->arch.cr3_kernel, cr2) : NULL;
    if (at && (*at & PTE_P) && (*at & PTE_MFN) >> PAGE_SHIFT < FRAMES && fuzz_chance(in, 40)) /* what CMPXCHG expects */
        r->rax = table((*at & PTE_MFN) >> PAGE_SHIFT)[cr2 / 8 % 512];
    before = *r;
    remember_memory();
    if (is_canonical(cr2) && (cr2 < HV_START || cr2 >= HV_END) && !pv_ptwr(me, r, cr2)) {
        expect_memory_as_before("a write was not emulated");
        FUZZ_CHECK(!memcmp(&before, r, sizeof(before)), "a write was not emulated, but registers have changed");
    }
}

/* A privileged instruction, #UD or #GP with any error code. */
static void exception(struct fuzz_input *in)
{
    static const u8 plain[] = {0x6c, 0x6d, 0x6e, 0x6f, 0xe4, 0xe5, 0xe6, 0xe7, 0xec, 0xed, 0xee, 0xef, 0xfa, 0xfb, 0xf4, 0xcd};
    static const u8 extended[] = {0x01, 0x06, 0x08, 0x09, 0x20, 0x21, 0x22, 0x23, 0x30, 0x30, 0x31, 0x32, 0xa2};
    static const u32 msrs[] = {0x40000000, MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_EFER, 0x277, 0x1b};
    struct regs *r;
    u8 code[16];
    unsigned int n = 0;

    for (unsigned int i = 0; i < 15; i++)
        code[i] = fuzz_u8(in);
    if (fuzz_chance(in, 20))
        code[n++] = fuzz_chance(in, 50) ? 0x66 : 0xf3;
    if (fuzz_chance(in, 20))
        code[n++] = 0x40 | (fuzz_u8(in) & 15);
    if (fuzz_chance(in, 60)) {
        code[n++] = 0x0f;
        code[n] = extended[fuzz_u8(in) % ARRAY_SIZE(extended)];
    } else {
        code[n] = plain[fuzz_u8(in) % ARRAY_SIZE(plain)];
    }
    r = set_code(in, code, 15);
    r->error_code = fuzz_chance(in, 85) ? 0 : fuzz_bits(in, 2);
    if (fuzz_chance(in, 60))
        r->rcx = msrs[fuzz_u8(in) % ARRAY_SIZE(msrs)];
    if (r->rcx == 0x40000000) {
        r->rax = (u32)(pick_frame(in, fuzz_below(in, 2)) << PAGE_SHIFT);
        r->rdx = 0;
    }
    if (fuzz_chance(in, 85))
        (void)pv_general_protection(me, r);
    else
        (void)pv_invalid_opcode(me, r);
}

/* Into the kernel by an exception or system call, back by iret: what is in the frame is the guest's to choose. */
static void change_mode(struct fuzz_input *in)
{
    struct regs *r = &get_cpu_info()->regs;
    struct iret_context f;
    u64 *word = (u64 *)&f;

    if (!guest_kernel_mode(me) || fuzz_chance(in, 20)) {
        if (fuzz_chance(in, 10))
            r->rsp = pick_va(in) + fuzz_below(in, 128);
        pv_inject_exception(me, r, fuzz_u8(in) % 32, fuzz_bits(in, 2), pick_va(in));
        return;
    }
    for (unsigned int i = 0; i < sizeof(f) / 8; i++)
        word[i] = fuzz_bits(in, 8);
    if (fuzz_chance(in, 80))
        f.cs = fuzz_chance(in, 50) ? FLAT_KERNEL_CS64 : FLAT_USER_CS64;
    r->rsp = fuzz_chance(in, 95) ? STACK - 512 + fuzz_below(in, 256) : pick_va(in) + fuzz_below(in, 128);
    if (fuzz_chance(in, 30))
        f.rip = canonical(f.rip);
    (void)guest_copy_to(r->rsp, &f, sizeof(f));
    r->rax = do_iret(0, 0, 0, 0, 0, 0);
    if (!is_canonical(r->rip))
        r->rip = CODE; /* IRETQ would fault, and pv_iret_fault() answer */
}

/* The processor reads a page of an LDT for the first time. */
static void ldt_fault(struct fuzz_input *in)
{
    (void)pv_ldt_fault(me, pv_ldt_va(me) + fuzz_below(in, 20) * PAGE_SIZE / 2);
}

/* ---- what must always hold ---- */

static void check_registers(void)
{
    const struct regs *r = &get_cpu_info()->regs;
    u64 cr3 = guest_kernel_mode(me) ? me->arch.cr3_kernel : me->arch.cr3_user;

    if (me->domain->shut_down)
        return;
    FUZZ_CHECK((r->cs & 3) == 3 && (r->ss & 3) == 3, "selectors %x %x", r->cs, r->ss);
    FUZZ_CHECK(!(r->rflags & ~(u64)(GUEST_FLAGS_OK | X86_FLAGS_IF | X86_FLAGS_ONE)) && (r->rflags & X86_FLAGS_IF), "flags %llx",
               (unsigned long long)r->rflags);
    FUZZ_CHECK(cr3 && read_cr3() == cr3, "CR3 is %llx, d%uv%u has %llx", (unsigned long long)read_cr3(), me->domain->id, me->id,
               (unsigned long long)cr3);
    FUZZ_CHECK(!me->multicall, "still in a multicall");
    FUZZ_CHECK(!me->arch.kernel_sp || me->arch.kernel_sp <= HV_START || me->arch.kernel_sp >= HV_END, "kernel stack %llx",
               (unsigned long long)me->arch.kernel_sp);
}

/* M2P entries are their frame's owner's to change. */
static u64 m2p_before[FRAMES];
static u16 owner_before[FRAMES];

static void remember_m2p(void)
{
    for (u64 i = 0; i < FRAMES; i++) {
        m2p_before[i] = m2p[i];
        owner_before[i] = frame_table[i].owner;
    }
}

static void check_m2p(void)
{
    for (u64 i = 0; i < FRAMES; i++)
        FUZZ_CHECK(m2p[i] == m2p_before[i] || owner_before[i] == me->domain->id || owner_before[i] != frame_table[i].owner,
                   "M2P of frame %llx (of d%d) was changed by d%d", (unsigned long long)i, owner_before[i], me->domain->id);
}

/* The other domain's frames are its own; those that the hypervisor writes for it (event words, vcpu_info) are left out. */
static bool is_others(u64 mfn)
{
    return frame_table[mfn].owner < 2 && frame_table[mfn].owner != me->domain->id && !host_is_shared(MFN(mfn)) &&
           !host_held(MFN(mfn)).refs;
}

static void check_others(void)
{
    for (u64 mfn = 0; mfn < FRAMES; mfn++)
        FUZZ_CHECK(!is_others(mfn) || owner_before[mfn] == me->domain->id || !memcmp(snapshot[mfn], table(mfn), PAGE_SIZE),
                   "frame %llx of another domain has changed", (unsigned long long)mfn);
}

/* ---- domains ---- */

/* Page j of the new address space maps frame j: a table by slots 0 of four levels. */
static void begin_domain(unsigned int k)
{
    struct domain *d = host_domain(k, VCPUS(k), PER_DOMAIN);
    unsigned int n = 0;

    domains[k] = d;
    if (k == 0) {
        d->privileged = true;
        FUZZ_CHECK(io_rights_first_domain(d) == 0, "no memory");
    }
    for (u64 mfn = 1; mfn < FRAMES && n < PER_DOMAIN; mfn++)
        if (frame_table[mfn].owner == k && !host_is_shared(MFN(mfn)))
            mine[k][n++] = mfn;
    for (unsigned int j = 0; j < PER_DOMAIN; j++)
        table(mine[k][4])[j] = mine[k][j] << PAGE_SHIFT | PTE_P | PTE_US | (role(j) ? 0 : PTE_RW);
    for (unsigned int level = 2; level <= 4; level++)
        table(mine[k][level + 3])[0] = mine[k][level + 2] << PAGE_SHIFT | PTE_P | PTE_US | PTE_RW;
    for (unsigned int i = 0; i < VCPUS(k); i++) {
        struct vcpu *v = d->vcpu[i];

        FUZZ_CHECK(frame_get_type(MFN(mine[k][7]), FT_L4, d) == 0, "the first tables are refused");
        v->arch.cr3_kernel = mine[k][7] << PAGE_SHIFT;
        v->arch.kernel_sp = STACK;
        v->arch.syscall_rip = v->arch.event_rip = v->arch.failsafe_rip = CODE;
        for (unsigned int t = 0; t < 32; t++)
            v->arch.trap[t].rip = CODE;
    }
}

/* Another vCPU runs, of either domain, in what mode and with what registers it left. */
static void switch_to(struct vcpu *v)
{
    struct cpu_info *c = get_cpu_info();

    if (me)
        me->arch.regs = c->regs;
    me = v;
    c->regs = v->arch.regs;
    c->regs.cs = SEL_CS64;
    c->regs.ss = SEL_DS;
    c->regs.rflags = X86_FLAGS_IF | X86_FLAGS_ONE;
    host_set_current(v);
}

static void check_none_left(unsigned int k)
{
    for (u64 mfn = 0; mfn < FRAMES; mfn++)
        FUZZ_CHECK(frame_table[mfn].owner != k, "frame %llx of d%u is still there: word %llx", (unsigned long long)mfn, k,
                   (unsigned long long)frame_table[mfn].word);
}

/* A domain that has ended is destroyed, in steps, while the other goes on; then it comes again. */
static bool end_domain(struct fuzz_input *in, unsigned int k)
{
    int err;

    if (me && me->domain == domains[k]) {
        if (!dying[1 - k]) {
            switch_to(domains[1 - k]->vcpu[0]);
        } else {
            host_set_current(idle);
            me = NULL;
        }
    }
    if (!domains[k]->shut_down)
        domain_shutdown(domains[k], SHUTDOWN_crash);
    host_preempt_after = fuzz_more(in) ? 1 + fuzz_below(in, 8) : 0;
    err = domain_kill(domains[k]);
    host_preempt_after = 0;
    if (err) {
        FUZZ_CHECK(err == -XEN_ERESTART, "domain_kill(): %d", err);
        return false;
    }
    check_none_left(k);
    return true;
}

static void other_vcpu(struct fuzz_input *in)
{
    unsigned int k = dying[1 - self()] ? self() : fuzz_below(in, 2);

    switch_to(domains[k]->vcpu[fuzz_below(in, VCPUS(k))]);
}

static void one_operation(struct fuzz_input *in)
{
    unsigned int op = fuzz_u8(in);
    bool watch_others = fuzz_chance(in, 25);
    struct domain *d = me->domain;

    host_guest_reset();
    remember_m2p();
    if (watch_others)
        remember_memory();
    if (op < 30)
        guest_fills(in);
    else if (op < 55)
        guest_touches(in);
    else if (op < 110 || (op < 170 && !guest_kernel_mode(me)))
        faulting_write(in);
    else if (op < 205 && guest_kernel_mode(me))
        hypercall(in);
    else if (op < 220)
        exception(in);
    else if (op < 240)
        change_mode(in);
    else if (op < 246)
        ldt_fault(in);
    else
        other_vcpu(in);
    if (me->pause_flags & VPF_BLOCKED) /* HLT: an event comes at once, before the scheduler takes it off */
        vcpu_unblock(me);
    check_m2p();
    check_registers();
    if (watch_others && me->domain == d && (op < 55 || op >= 110)) /* a faulting write has had its own snapshot */
        check_others();
}

void fuzz_one(struct fuzz_input *in)
{
    dying[0] = dying[1] = false;
    host_machine_start(FRAMES, 1, "null");
    idle = current_vcpu();
    begin_domain(0);
    begin_domain(1);
    me = NULL;
    switch_to(domains[0]->vcpu[0]);
    walk_all(nothing);
    while (fuzz_more(in)) {
        for (unsigned int k = 0; k < 2; k++) {
            dying[k] |= domains[k]->shut_down || (fuzz_u8(in) == 0 && fuzz_chance(in, 30));
            while (dying[k] && (dying[1 - k] || fuzz_chance(in, 50) || !fuzz_more(in))) {
                dying[k] = !end_domain(in, k);
                walk_all(nothing);
                if (!dying[k])
                    begin_domain(k);
            }
        }
        if (!me || dying[self()])
            switch_to(domains[dying[0]]->vcpu[0]); /* one of them lives now */
        one_operation(in);
        walk_all(nothing);
    }
    for (unsigned int k = 0; k < 2; k++) {
        host_set_current(idle);
        if (!domains[k]->shut_down)
            domain_shutdown(domains[k], SHUTDOWN_poweroff);
        host_domain_end(domains[k]);
        check_none_left(k);
    }
    host_machine_stop();
}

/* SPDX-License-Identifier: MIT */
/*
 * The counting plugin of QEMU TCG: instructions by class and events, between the marks of the
 * guest.
 *
 * How it counts. QEMU runs code in translation blocks. A block adds its length to its class when
 * its *last* instruction begins, and says through `cur` what the vCPU does: OPEN | id from the
 * block's first instruction on, the plain id from its last instruction on. A block that starts
 * while `cur` is OPEN was preceded by one that ended early:
 *   * it starts inside that block: QEMU left it for a device access or for code that changed
 *     itself, and resumes;
 *   * it starts at a gate's target (idt.h): a fault, and the frame on the stack tells at which
 *     instruction.
 * What the early block did execute is added then. A gate's target is also where it is seen that the
 * last instruction of a block did not retire, and it is taken off again. So counts are those of
 * instructions retired, exactly, at a cost of four inline operations per block and no callback but
 * for rare events.
 *
 * REP. Under -icount every iteration is a run of a block of its own. A block that consists of one
 * REP instruction counts an iteration, and only when `cur` is not that REP already does it count an
 * instruction. One that is interrupted counts when it finally ends.
 *
 * Classes follow from addresses (README.md here), and within a guest of SVM from its privilege
 * level; ids of guest blocks are marked with GUEST, so that one comparison at the start of a
 * hypervisor block finds both an early end and an entry from guest code.
 *
 * SVM. VMRUN ends its block; the block behind it is where a VM exit arrives, as an interrupt does at
 * a gate's target, and the VMCB tells what a frame tells there (svm.h).
 *
 * Changes nothing in the guest: it reads, at gate targets and VM exits, RSP or RAX and the frame or
 * VMCB, by debug accesses without side effects.
 * Does not: follow guests of VMX, which TCG does not have; count exactly on several vCPUs without
 * icount.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../mark.h"
#include "block.h"
#include "hold.h"
#include "hypercall.h"
#include "idt.h"
#include "insn.h"
#include "intervals.h"
#include "memory.h"
#include "qemu_api.h"
#include "record.h"
#include "svm.h"

#define USER_END    0x0000800000000000ull
#define HV_START    0xffff800000000000ull
#define HV_END      0xffff880000000000ull
#define KERNEL_TEXT 0xffffffff80000000ull
#define SUPERVISOR  0x8000000000000000ull

#define PF_FETCH 0x10 /* of #PF's error code: an instruction fetch (SDM vol. 3, 4.7) */

#define ID_MASK 0xffffffffull
#define GUEST   (1ull << 40)
#define OPEN    (1ull << 41)

#define CR0_PE    1
#define EFLAGS_VM (1u << 17)

#define VCPUS_MAX 64
#define APART_MAX 16

QEMU_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

/* A vCPU's running numbers, written by inline operations. */
struct score {
    uint64_t cur;       /* 0, or block id | GUEST | OPEN */
    uint64_t recording; /* 1 while the path is recorded */
    uint64_t in_guest;  /* 1 from VMRUN to the VM exit */
    uint64_t class[CLASS_NR];
    uint64_t apart; /* of CLASS_HYPERVISOR: in blocks marked so */
    uint64_t counter[COUNTER_NR]; /* rep_bytes is kept doubled: CMPS reads each element twice */
};

#define FIELD(member) ((struct qemu_u64){scoreboard, offsetof(struct score, member)})
#define COUNTER_FIELD(id)                                                                          \
    ((struct qemu_u64){scoreboard, offsetof(struct score, counter) + (id) * sizeof(uint64_t)})
#define CLASS_FIELD(c)                                                                             \
    ((struct qemu_u64){scoreboard, offsetof(struct score, class) + (c) * sizeof(uint64_t)})

/* An interrupt or exception that arrives at its gate's target. */
struct delivery {
    int vector;
    uint64_t rip;   /* where its frame returns to */
    bool interrupt; /* asynchronous: the instruction at rip was not begun */
    bool fetch;     /* a fault of the fetch at rip: the instruction before has retired */
};

struct mark_site {
    const struct block *block;
    int index;
    uint8_t kind;
};

static struct qemu_plugin_scoreboard *scoreboard;
static struct {
    struct qemu_plugin_register *rsp, *rax, *cs, *cr0, *eflags;
} reg; /* of every vCPU */
/* What a vCPU had at VMRUN, and has again behind it; the root is of the guest's nested tables, 0: none. */
static struct {
    uint64_t rax, rsp, nested_root;
} vmrun[VCPUS_MAX];
static struct glib_bytes *scratch;
static bool guest_started;
static enum code_class early_class =
    CLASS_KERNEL; /* where CLASS_EARLY belongs; fixed when the guest starts */
static const char *out_file, *path_file;
static uint32_t nr_inexact;

/* Functions of the hypervisor whose instructions are counted apart, too: apart=FROM-TO. */
static struct {
    uint64_t from, to;
} apart[APART_MAX];
static unsigned nr_apart;

static bool is_apart(uint64_t vaddr)
{
    for (unsigned i = 0; i < nr_apart; i++)
        if (vaddr >= apart[i].from && vaddr < apart[i].to)
            return true;
    return false;
}

/* Instructions of a block, counted (or, negative, taken off) where no inline operation does. */
static void count_class(struct score *s, const struct block *b, int64_t nr)
{
    s->class[b->class] += nr;
    if (b->apart)
        s->apart += nr;
}

/* Is the vCPU that translates below ring 3? */
static bool is_privileged(void)
{
    if (!(memory_register(reg.cr0, CR0_PE) & CR0_PE))
        return true;
    return !(memory_register(reg.eflags, 0) & EFLAGS_VM) && (memory_register(reg.cs, 0) & 3) != 3;
}

/* The class by addresses alone: of all code but that of SVM's guests. */
static enum code_class class_of(uint64_t vaddr)
{
    if (vaddr < USER_END)
        return guest_started ? CLASS_USER : CLASS_EARLY;
    if (vaddr >= HV_START && vaddr < HV_END)
        return CLASS_HYPERVISOR;
    return CLASS_KERNEL;
}

/*
 * The class of a block that is being translated, which QEMU does when a vCPU is about to run it, and
 * anew for another privilege level or a guest. The plugin is not told which vCPU that is: where they
 * do not agree on being in a guest, code outside the hypervisor's range is a guest's.
 */
static enum code_class class_at_translation(uint64_t vaddr, bool *in_guest)
{
    int all = qemu_plugin_num_vcpus(), guests = 0;
    uint64_t root = 0;

    for (int v = 0; v < all && v < VCPUS_MAX; v++) {
        if (!((const struct score *)qemu_plugin_scoreboard_find(scoreboard, v))->in_guest)
            continue;
        if (svm_is_behind_vmrun(vaddr) && memory_register(reg.rax, 0) == vmrun[v].rax &&
            memory_register(reg.rsp, 0) == vmrun[v].rsp)
            break; /* it has just left its guest */
        guests++;
        root = vmrun[v].nested_root;
    }
    *in_guest = guests && (guests == all || class_of(vaddr) != CLASS_HYPERVISOR);
    memory_follow(*in_guest ? root : 0);
    if (!*in_guest)
        return class_of(vaddr);
    if (is_privileged())
        return CLASS_KERNEL;
    return guests == all || class_of(vaddr) == CLASS_EARLY ? CLASS_USER : class_of(vaddr);
}

static uint64_t cur_of(const struct block *b)
{
    return b->id | (b->class == CLASS_USER || b->class == CLASS_KERNEL ? GUEST : 0);
}

static struct totals totals_now(void)
{
    struct totals t = {0};

    for (int v = 0; v < qemu_plugin_num_vcpus(); v++) {
        const struct score *s = qemu_plugin_scoreboard_find(scoreboard, v);

        for (int c = 0; c < CLASS_NR; c++)
            t.class[c] += s->class[c];
        t.apart += s->apart;
        for (int i = 0; i < COUNTER_NR; i++)
            t.counter[i] += s->counter[i];
    }
    t.counter[COUNTER_rep_bytes] /= 2;
    t.class[early_class] += t.class[CLASS_EARLY];
    t.class[CLASS_EARLY] = 0;
    return t;
}

/* Instructions of hypervisor code so far, those of CLASS_EARLY not included. */
static uint64_t hypervisor_now(void)
{
    uint64_t sum = 0;

    for (int v = 0; v < qemu_plugin_num_vcpus(); v++)
        sum += ((const struct score *)qemu_plugin_scoreboard_find(scoreboard, v))
                   ->class[CLASS_HYPERVISOR];
    return sum;
}

/* Read memory as this vCPU sees it. */
static void follow(unsigned vcpu, const struct score *s)
{
    memory_follow(s->in_guest && vcpu < VCPUS_MAX ? vmrun[vcpu].nested_root : 0);
}

/* A vector is delivered: its frame is at RSP, behind an error code or not. */
static bool read_frame(struct delivery *d)
{
    uint64_t sp = memory_register(reg.rsp, 0), words[2];
    bool has_error = idt_has_error_code(d->vector);

    if (!sp || !memory_read(sp, scratch, sizeof(words)))
        return false;
    memcpy(words, scratch->data, sizeof(words));
    d->rip = words[has_error];
    d->interrupt = d->vector >= IDT_NR_FAULTS || d->vector == IDT_VECTOR_NMI;
    d->fetch = d->vector == IDT_VECTOR_PF && (words[0] & PF_FETCH);
    return true;
}

static void uncount_event(struct score *s, const struct block *b, int index)
{
    if (block_event(b, index) != INSN_NO_EVENT)
        s->counter[block_event(b, index)]--;
}

/* The last instruction of b did not retire: taken off, to be counted when it is executed again. */
static void uncount_last(struct score *s, const struct block *b, bool interrupt)
{
    count_class(s, b, -1);
    path_cut_last();
    if (b->last_flags & INSN_REP) {
        /* The iterations done stay; one of them was counted as the instruction. */
        if (interrupt)
            s->counter[COUNTER_rep_iter]++;
    } else {
        uncount_event(s, b, b->nr - 1);
    }
}

/* Settle what block `from` executed before the delivery. */
static void settle_at_gate(struct score *s, const struct block *from, bool open,
                           const struct delivery *d)
{
    int index = block_index(from, d->rip);
    bool interrupt = d->interrupt || d->vector == IDT_VECTOR_DB;

    if (open) {
        if (index < 0 || index >= from->nr) {
            nr_inexact++;
            return;
        }
        count_class(s, from, index);
        path_cut(index);
        if (!interrupt)
            uncount_event(s, from, index);
    } else if (index == from->nr - 1 && !d->fetch &&
               (interrupt ? from->last_flags & INSN_REP : !(from->last_flags & INSN_BRANCH))) {
        uncount_last(s, from, interrupt);
    }
}

/*
 * A block that starts at a gate's target: delivery, unless the code before simply runs or jumps
 * there.
 */
static void on_gate(unsigned vcpu, void *data)
{
    struct score *s = qemu_plugin_scoreboard_find(scoreboard, vcpu);
    const struct block *b = data, *from = s->cur ? block_get(s->cur & ID_MASK) : NULL;
    struct delivery d = {.vector = idt_vector(b->vaddr)};
    bool open = s->cur & OPEN;

    if (!from || d.vector < 0)
        return;
    if (!open && (block_end(from) == b->vaddr || from->target == b->vaddr))
        return;
    follow(vcpu, s);
    if (!read_frame(&d)) {
        nr_inexact++;
        return;
    }

    if (!(from->last_flags & INSN_VMRUN)) /* else the hypervisor has put the event in */
        settle_at_gate(s, from, open, &d);
    if (open || !(from->last_flags & INSN_SOFT) || block_index(from, d.rip) != from->nr)
        s->counter[d.interrupt ? COUNTER_irq : COUNTER_exception]++;
    path_vector(d.vector);
    if (b->class == CLASS_HYPERVISOR && class_of(d.rip) != CLASS_HYPERVISOR) {
        s->counter[COUNTER_hv_entry]++;
        entries_add(b->vaddr, from->class == CLASS_USER ? d.vector : ENTRY_KERNEL(d.vector), hypervisor_now());
    }
    s->cur = cur_of(b); /* an entry by gate is not an entry by instruction too */
}

/* The guest of this VMCB runs next. */
static void on_vmrun(unsigned vcpu, void *data)
{
    struct score *s = qemu_plugin_scoreboard_find(scoreboard, vcpu);

    s->in_guest = 1;
    if (vcpu >= VCPUS_MAX)
        return;
    vmrun[vcpu].rax = memory_register(reg.rax, 0);
    vmrun[vcpu].rsp = memory_register(reg.rsp, 0);
    vmrun[vcpu].nested_root = svm_nested_root(vmrun[vcpu].rax);
}

/* A block behind VMRUN starts: a VM exit, or an entry that failed. */
static void on_vmexit(unsigned vcpu, void *data)
{
    struct score *s = qemu_plugin_scoreboard_find(scoreboard, vcpu);
    const struct block *b = data, *from = s->cur ? block_get(s->cur & ID_MASK) : NULL;
    bool open = s->cur & OPEN;
    struct delivery d;
    struct svm_exit x;

    if (!s->in_guest) /* the hypervisor has jumped here */
        return;
    s->in_guest = 0;
    if (!svm_read_exit(memory_register(reg.rax, 0), &x)) {
        nr_inexact++;
        x = (struct svm_exit){0};
    } else if (from && !(from->last_flags & INSN_VMRUN && !open)) {
        d = (struct delivery){
            .vector = x.vector, .rip = x.rip, .interrupt = x.interrupt, .fetch = x.fetch};
        settle_at_gate(s, from, open, &d);
    }
    s->counter[COUNTER_hv_entry]++;
    if (x.code == SVM_EXIT_NESTED_FAULT || x.code == SVM_EXIT_DEVICE)
        s->counter[COUNTER_nested_fault]++;
    entries_add(b->vaddr, x.code == SVM_EXIT_HYPERCALL ? ENTRY_VMMCALL(x.rax) : ENTRY_EXIT(x.code), hypervisor_now());
    s->cur = cur_of(b);
}

/* The block before ended early, and this one is no gate's target. */
static void settle_at_resume(unsigned vcpu, struct score *s, const struct block *b)
{
    const struct block *from = block_get(s->cur & ID_MASK);
    int index = block_index(from, b->vaddr);

    if (index < 0 || index >= from->nr) {
        follow(vcpu, s);
        idt_refresh();
        if (idt_vector(b->vaddr) >= 0) {
            on_gate(vcpu, (void *)b);
            return;
        }
        nr_inexact++;
    } else {
        count_class(s, from, index);
        path_cut(index);
    }
    s->cur = cur_of(from);
}

/* A guest block starts while `cur` is OPEN. */
static void on_resume(unsigned vcpu, void *data)
{
    settle_at_resume(vcpu, qemu_plugin_scoreboard_find(scoreboard, vcpu), data);
}

/* Why the hypervisor is entered behind this block of a guest's, which no gate led out of. */
static int cause_after(unsigned vcpu, const struct score *s, const struct block *from)
{
    if (block_event(from, from->nr - 1) != COUNTER_syscall)
        return ENTRY_OTHER;
    if (from->class == CLASS_USER)
        return ENTRY_SYSCALL;
    follow(vcpu, s);
    return ENTRY_HYPERCALL(hypercall_read(entries_work()));
}

/* A hypervisor block starts while `cur` is OPEN or a guest's. */
static void on_enter(unsigned vcpu, void *data)
{
    struct score *s = qemu_plugin_scoreboard_find(scoreboard, vcpu);
    const struct block *b = data, *from;

    if (s->cur & OPEN)
        settle_at_resume(vcpu, s, b);
    if (!(s->cur & GUEST))
        return;
    from = block_get(s->cur & ID_MASK);
    s->counter[COUNTER_hv_entry]++;
    if (entries_work())
        entries_add(b->vaddr, cause_after(vcpu, s, from), hypervisor_now());
}

/* A block of one REP instruction starts, and the instruction before was not that REP. */
static void on_rep(unsigned vcpu, void *data)
{
    struct score *s = qemu_plugin_scoreboard_find(scoreboard, vcpu);
    const struct block *b = data;

    if (b->class == CLASS_HYPERVISOR)
        on_enter(vcpu, data);
    else if (s->cur & OPEN)
        settle_at_resume(vcpu, s, b);
    s->cur = cur_of(b);
    count_class(s, b, 1);
    s->counter
        [COUNTER_rep_iter]--; /* counted inline next; this iteration is the instruction itself */
    if (path_active())
        path_block(b);
}

static void on_path(unsigned vcpu, void *data)
{
    path_block(data);
}

static void on_guest_start(unsigned vcpu, void *data)
{
    struct totals now;

    if (guest_started)
        return;
    guest_started = true;
    now = totals_now();
    interval_guest_starts(&now);
    entries_reset();
}

static void set_recording(void)
{
    for (int v = 0; v < qemu_plugin_num_vcpus(); v++) {
        struct score *s = qemu_plugin_scoreboard_find(scoreboard, v);

        s->recording = path_active();
    }
}

/*
 * Runs before the mark, a NOP that cannot fault. Its block is not added yet: index instructions of
 * it have retired.
 */
static void on_mark(unsigned vcpu, void *data)
{
    const struct mark_site *site = data;
    struct totals now;
    enum interval_kind kind;
    uint32_t seq;

    if (site->kind == MARK_KIND_FULL) {
        if (site->block->class == CLASS_HYPERVISOR) /* else it is not the hypervisor's */
            hold_machine();
        return;
    }
    now = totals_now();
    now.class[site->block->class] += site->index;
    switch (site->kind) {
    case MARK_KIND_BEGIN:
        guest_started = true;
        now.class[site->block->class]++;
        interval_begin(&now);
        interval_open(&kind, &seq);
        entries_reset();
        path_begin(seq, site->block, site->index);
        set_recording();
        break;
    case MARK_KIND_END:
        interval_open(&kind, &seq);
        if (interval_end(&now)) {
            entries_close("measured", seq, hypervisor_now());
            path_end(site->block, site->index);
            set_recording();
        }
        break;
    case MARK_KIND_INIT:
        guest_started = true;
        interval_init(&now);
        entries_close("boot", 0, hypervisor_now());
        break;
    }
}

static void instrument_mark(struct qemu_plugin_insn *insn, const struct block *b, int index,
                            uint8_t kind)
{
    struct mark_site *site = malloc(sizeof(*site));

    if (!site) {
        fprintf(stderr, "count plugin: no memory for a mark\n");
        exit(1);
    }
    *site = (struct mark_site){.block = b, .index = index, .kind = kind};
    qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, QEMU_CB_NO_REGS, site);
}

static void instrument_rep_bytes(struct qemu_plugin_insn *insn, const struct insn *what)
{
    qemu_plugin_register_vcpu_mem_inline_per_vcpu(insn, what->rep_reads ? QEMU_MEM_R : QEMU_MEM_W,
                                                  QEMU_ADD_U64, COUNTER_FIELD(COUNTER_rep_bytes),
                                                  what->rep_reads == 2 ? what->rep_size
                                                                       : 2 * what->rep_size);
}

static void instrument_start(struct qemu_plugin_tb *tb, struct block *b, bool single_rep,
                             bool in_guest)
{
    bool hypervisor = b->class == CLASS_HYPERVISOR;

    if (hypervisor && !guest_started)
        early_class = CLASS_HYPERVISOR;
    if (!in_guest && svm_is_behind_vmrun(b->vaddr))
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_vmexit, QEMU_CB_R_REGS, b);
    if (b->vaddr >= SUPERVISOR || (in_guest && b->class == CLASS_KERNEL)) {
        idt_refresh();
        if (idt_vector(b->vaddr) >= 0)
            qemu_plugin_register_vcpu_tb_exec_cb(tb, on_gate, QEMU_CB_R_REGS, b);
    }
    if (single_rep) {
        qemu_plugin_register_vcpu_tb_exec_cond_cb(tb, on_rep, QEMU_CB_R_REGS, QEMU_COND_NE,
                                                  FIELD(cur), cur_of(b), b);
        qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_ADD_U64,
                                                          COUNTER_FIELD(COUNTER_rep_iter), 1);
    } else {
        qemu_plugin_register_vcpu_tb_exec_cond_cb(tb, hypervisor ? on_enter : on_resume,
                                                  QEMU_CB_R_REGS, QEMU_COND_GE, FIELD(cur),
                                                  hypervisor ? GUEST : OPEN, b);
    }
    if ((b->vaddr >= KERNEL_TEXT || in_guest) && !guest_started)
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_guest_start, QEMU_CB_NO_REGS, b);
    if (path_file && !single_rep)
        qemu_plugin_register_vcpu_tb_exec_cond_cb(tb, on_path, QEMU_CB_NO_REGS, QEMU_COND_EQ,
                                                  FIELD(recording), 1, b);
}

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3ull; /* FNV-1a */
    return hash;
}

static uint64_t hash_start(uint64_t vaddr)
{
    return hash_bytes(0xcbf29ce484222325ull, &vaddr, sizeof(vaddr));
}

static struct block *intern(uint64_t vaddr, enum code_class class, const uint8_t *lengths,
                            const uint8_t *events, int nr, const struct insn *last, uint64_t hash)
{
    static union {
        struct block b;
        uint8_t space[sizeof(struct block) + 2 * BLOCK_INSNS_MAX];
    } draft;

    draft.b = (struct block){
        .vaddr = vaddr,
        .hash = hash ^ hash >> 29,
        .target = last->target,
        .nr = nr,
        .class = class,
        .last_flags = last->flags,
        .apart = class == CLASS_HYPERVISOR && is_apart(vaddr),
    };
    memcpy(draft.b.body, lengths, nr);
    memcpy(draft.b.body + nr, events, nr);
    for (int i = 0; i < nr; i++)
        draft.b.bytes += lengths[i];
    return block_intern(&draft.b);
}

/*
 * The REP instruction at the end of a longer block, as the block that its further iterations run.
 */
static const struct block *rep_block(const struct block *b, const struct insn *rep,
                                     const uint8_t *bytes)
{
    uint8_t length = b->body[b->nr - 1];
    uint64_t vaddr = block_end(b) - length;

    return intern(vaddr, b->class, &length, &rep->event, 1, rep,
                  hash_bytes(hash_start(vaddr), bytes, length));
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    static struct insn insns[BLOCK_INSNS_MAX];
    static uint8_t lengths[BLOCK_INSNS_MAX], events[BLOCK_INSNS_MAX];
    int nr = qemu_plugin_tb_n_insns(tb);
    uint64_t vaddr = qemu_plugin_tb_vaddr(tb), pc = vaddr, hash = hash_start(vaddr);
    uint8_t bytes[INSN_MAX];
    const struct block *last_block;
    struct block *b;
    bool rep, in_guest;

    for (int i = 0; i < nr; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

        lengths[i] = qemu_plugin_insn_data(insn, bytes, sizeof(bytes));
        insns[i] = insn_decode(bytes, lengths[i], pc);
        events[i] = insns[i].event;
        hash = hash_bytes(hash, bytes, lengths[i]);
        pc += lengths[i];
    }
    b = intern(vaddr, class_at_translation(vaddr, &in_guest), lengths, events, nr, &insns[nr - 1],
               hash);
    if (b->last_flags & INSN_VMRUN)
        svm_add_vmrun(block_end(b));
    rep = insns[nr - 1].flags & INSN_REP;
    last_block = rep && nr > 1 ? rep_block(b, &insns[nr - 1], bytes) : b;

    instrument_start(tb, b, rep && nr == 1, in_guest);
    if (nr > 1)
        qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_STORE_U64, FIELD(cur),
                                                          cur_of(b) | OPEN);
    for (int i = 0; i < nr; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

        if (insns[i].mark)
            instrument_mark(insn, b, i, insns[i].mark);
        if (events[i] != INSN_NO_EVENT)
            qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, QEMU_ADD_U64,
                                                                COUNTER_FIELD(events[i]), 1);
        if (insns[i].flags & INSN_VMRUN)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_vmrun, QEMU_CB_R_REGS, NULL);
        if (insns[i].flags & INSN_LIDT)
            idt_watch(insn);
        if (insns[i].flags & INSN_REP)
            instrument_rep_bytes(insn, &insns[i]);
        if (i == nr - 1 && !(rep && nr == 1)) {
            qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, QEMU_STORE_U64, FIELD(cur),
                                                                cur_of(last_block));
            qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, QEMU_ADD_U64,
                                                                CLASS_FIELD(b->class), nr);
            if (b->apart)
                qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, QEMU_ADD_U64,
                                                                    FIELD(apart), nr);
        }
    }
}

static void on_vcpu(qemu_plugin_id_t id, unsigned vcpu)
{
    struct glib_array *list = qemu_plugin_get_registers();
    const struct qemu_reg_descriptor *all = (const void *)list->data;

    if (!scratch)
        scratch = g_byte_array_new();
    for (unsigned i = 0; i < list->len; i++) {
        memory_take_register(&all[i]);
        hypercall_take_register(&all[i]);
        if (strcmp(all[i].name, "rsp") == 0)
            reg.rsp = all[i].handle;
        else if (strcmp(all[i].name, "rax") == 0)
            reg.rax = all[i].handle;
        else if (strcmp(all[i].name, "cs") == 0)
            reg.cs = all[i].handle;
        else if (strcmp(all[i].name, "cr0") == 0)
            reg.cr0 = all[i].handle;
        else if (strcmp(all[i].name, "eflags") == 0)
            reg.eflags = all[i].handle;
    }
    g_array_free(list, 1);
}

static void on_exit_machine(qemu_plugin_id_t id, void *data)
{
    uint64_t valid = (1ull << COUNTER_NR) - 1;

    if (!idt_sound())
        valid &= ~(1ull << COUNTER_irq | 1ull << COUNTER_exception);
    if (nr_inexact)
        fprintf(stderr,
                "count plugin: %" PRIu32 " blocks ended early for no reason that it knows\n",
                nr_inexact);
    interval_write(out_file, valid, nr_inexact);
    path_write();
    entries_write();
}

static int take_argument(const char *arg, uint64_t *path_seq, uint64_t *path_max)
{
    if (strncmp(arg, "out=", 4) == 0)
        out_file = arg + 4;
    else if (strncmp(arg, "entries=", 8) == 0)
        entries_setup(arg + 8);
    else if (strncmp(arg, "hold=", 5) == 0)
        hold_setup(arg + 5);
    else if (strncmp(arg, "apart=", 6) == 0 && nr_apart < APART_MAX &&
             sscanf(arg + 6, "%" SCNx64 "-%" SCNx64, &apart[nr_apart].from, &apart[nr_apart].to) ==
                 2)
        nr_apart++;
    else if (strncmp(arg, "trace=", 6) == 0)
        path_file = arg + 6;
    else if (strncmp(arg, "trace_seq=", 10) == 0)
        *path_seq = strtoull(arg + 10, NULL, 0);
    else if (strncmp(arg, "trace_max=", 10) == 0)
        *path_max = strtoull(arg + 10, NULL, 0);
    else
        return -1;
    return 0;
}

QEMU_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc,
                                    char **argv);

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv)
{
    uint64_t path_seq = 0, path_max = 1u << 26;

    if (!info->system_emulation || strcmp(info->target_name, "x86_64") != 0) {
        fprintf(stderr, "count plugin: needs qemu-system-x86_64, not %s\n", info->target_name);
        return -1;
    }
    for (int i = 0; i < argc; i++) {
        if (take_argument(argv[i], &path_seq, &path_max)) {
            fprintf(stderr, "count plugin: unknown argument '%s'\n", argv[i]);
            return -1;
        }
    }
    if (!out_file) {
        fprintf(stderr, "count plugin: out=FILE is missing\n");
        return -1;
    }
    if (path_file)
        path_setup(path_file, path_seq, path_max);

    scoreboard = qemu_plugin_scoreboard_new(sizeof(struct score));
    qemu_plugin_register_vcpu_init_cb(id, on_vcpu);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    qemu_plugin_register_atexit_cb(id, on_exit_machine, NULL);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Emulated writes to page tables do what the processor does: each form, with every register and random values, is executed here on
 * ordinary memory by this machine's processor, and emulated on an entry; memory, registers and flags must come out the same.
 *
 * Entries are not present, so that any value may be written; what may not is typing's affair. Flags that the manual leaves undefined
 * are not compared (SDM vol. 2: AF of logical operations; all but CF of bit tests).
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "core/hypercall.h"
#include "machine.h"
#include "x86/pv/pv.h"
#include "x86/pv/typing.h"

#define FLAGS  (PTE_P | PTE_RW | PTE_US)
#define ARITH  (X86_FLAGS_CF | X86_FLAGS_PF | X86_FLAGS_AF | X86_FLAGS_ZF | X86_FLAGS_SF | X86_FLAGS_OF)
#define TRIALS 40

static struct domain *d;
static struct vcpu *v;
static u64 *l1, code_gva;
static u8 *code;

/* Page 0 of the address space is the L1 itself, read-only: its entries are written by faults at their offset. */
static void start(void)
{
    u64 table[5];

    host_machine_start(512, 1, "null");
    d = host_domain(1, 1, 0);
    v = d->vcpu[0];
    for (unsigned int level = 1; level <= 4; level++)
        table[level] = host_frame(d).n;
    for (unsigned int level = 2; level <= 4; level++)
        ((u64 *)map_mfn(MFN(table[level])))[0] = table[level - 1] << PAGE_SHIFT | FLAGS;
    l1 = map_mfn(MFN(table[1]));
    l1[0] = table[1] << PAGE_SHIFT | PTE_P | PTE_US;
    cr_assert_eq(frame_get_type(MFN(table[4]), FT_L4, d), 0);
    v->arch.cr3_kernel = table[4] << PAGE_SHIFT;
    host_set_current(v);
    code = host_guest_alloc(64, &code_gva);
}

TestSuite(ptwr, .init = start, .fini = host_machine_stop);

static u64 random64(void)
{
    static u64 x = 88172645463325252ull;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

/* What the native run takes and gives: registers in encoding order but rsp; the memory operand is at [rdi]. */
struct state {
    u64 reg[16];
    u64 flags;
};

/*
 * Execute one instruction with these registers. A small function is written around it: load all, run, store all.
 */
static void run_natively(const u8 *insn, unsigned int len, struct state *s)
{
    static u8 *page;
    u8 *p;

    if (!page)
        page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    p = page;
    memcpy(p, insn, len);
    p += len;
    memcpy(p, (u8[]){0xff, 0x25, 64 - 6 - len, 0, 0, 0}, 6); /* jmp *[rip + x]: to what lies at page + 64 */
    __asm__ volatile("push %%rbp\n\tpush %%rbx\n\tpush %[s]\n\t"
                     "lea 1f(%%rip), %%rax\n\tmov %%rax, (%[back])\n\t"
                     "push %[page]\n\t"
                     "mov %[s], %%r15\n\t"
                     "push 128(%%r15)\n\tpopf\n\t"
                     "mov 0(%%r15), %%rax\n\tmov 8(%%r15), %%rcx\n\tmov 16(%%r15), %%rdx\n\tmov 24(%%r15), %%rbx\n\t"
                     "mov 40(%%r15), %%rbp\n\tmov 48(%%r15), %%rsi\n\tmov 56(%%r15), %%rdi\n\tmov 64(%%r15), %%r8\n\t"
                     "mov 72(%%r15), %%r9\n\tmov 80(%%r15), %%r10\n\tmov 88(%%r15), %%r11\n\tmov 96(%%r15), %%r12\n\t"
                     "mov 104(%%r15), %%r13\n\tmov 112(%%r15), %%r14\n\tmov 120(%%r15), %%r15\n\t"
                     "ret\n"
                     "1:\n\t"
                     "xchg (%%rsp), %%r15\n\t" /* r15: the state; its own value on the stack */
                     "mov %%rax, 0(%%r15)\n\tmov %%rcx, 8(%%r15)\n\tmov %%rdx, 16(%%r15)\n\tmov %%rbx, 24(%%r15)\n\t"
                     "mov %%rbp, 40(%%r15)\n\tmov %%rsi, 48(%%r15)\n\tmov %%rdi, 56(%%r15)\n\tmov %%r8, 64(%%r15)\n\t"
                     "mov %%r9, 72(%%r15)\n\tmov %%r10, 80(%%r15)\n\tmov %%r11, 88(%%r15)\n\tmov %%r12, 96(%%r15)\n\t"
                     "mov %%r13, 104(%%r15)\n\tmov %%r14, 112(%%r15)\n\t"
                     "pushf\n\tpop 128(%%r15)\n\tpop 120(%%r15)\n\t"
                     "pop %%rbx\n\tpop %%rbp\n\tcld"
                     :
                     : [s] "S"(s), [back] "D"(page + 64), [page] "d"(page)
                     : "rax", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
}

static void to_regs(const struct state *s, struct regs *r)
{
    const u64 *g = s->reg;

    *r = (struct regs){.rax = g[0], .rcx = g[1], .rdx = g[2], .rbx = g[3], .rsp = 0x1000, .rbp = g[5], .rsi = g[6], .rdi = g[7],
                       .r8 = g[8], .r9 = g[9], .r10 = g[10], .r11 = g[11], .r12 = g[12], .r13 = g[13], .r14 = g[14], .r15 = g[15],
                       .rflags = s->flags | X86_FLAGS_IF, .rip = code_gva};
}

static void same_registers(const char *what, const struct state *s, const struct regs *r, bool moves_rdi)
{
    const u64 got[16] = {r->rax, r->rcx, r->rdx, r->rbx, 0, r->rbp, r->rsi, r->rdi, r->r8, r->r9, r->r10, r->r11, r->r12, r->r13, r->r14, r->r15};

    for (unsigned int i = 0; i < 16; i++)
        if (i != 4 && !(i == 7 && moves_rdi))
            cr_assert_eq(got[i], s->reg[i], "%s: register %u is %llx, the processor's %llx", what, i, (unsigned long long)got[i],
                         (unsigned long long)s->reg[i]);
}

/* One instruction with its operand at [rdi], on both; `undefined`: flags that are not compared. */
static void try(const char *what, const u8 *insn, unsigned int len, unsigned int size, u64 undefined)
{
    for (unsigned int trial = 0; trial < TRIALS; trial++) {
        unsigned int off = size == 8 ? 0 : random64() % (8 / size) * size;
        u64 memory = random64() & ~PTE_P, old = memory, *entry = &l1[100 + trial % 7];
        struct state s = {.flags = 2 | (random64() & ARITH)};
        struct regs r;

        for (unsigned int i = 0; i < 16; i++)
            s.reg[i] = random64();
        if (trial % 2) /* CMPXCHG that succeeds */
            s.reg[0] = memory >> off * 8;
        s.reg[7] = (u64)&memory + off;
        memcpy(code, insn, len);
        *entry = old;
        to_regs(&s, &r);
        run_natively(insn, len, &s);
        if (memory & PTE_P)
            continue; /* would be present */
        cr_assert(pv_ptwr(v, &r, (u64)((u8 *)entry - (u8 *)l1) + off), "%s: not emulated", what);
        cr_assert_eq(*entry, memory, "%s: entry %llx becomes %llx, the processor's %llx", what, (unsigned long long)old,
                     (unsigned long long)*entry, (unsigned long long)memory);
        cr_assert_eq(r.rip, code_gva + len, "%s: length %d", what, (int)(r.rip - code_gva));
        same_registers(what, &s, &r, (insn[len - 1] & 0xfe) == 0xaa);
        cr_assert_eq(r.rflags & ARITH & ~undefined, s.flags & ARITH & ~undefined, "%s: flags %llx, the processor's %llx", what,
                     (unsigned long long)r.rflags, (unsigned long long)s.flags);
        *entry = 0;
    }
}

/* Prefixes for an operand of `size` bytes and register operand `reg`, then opcode bytes and ModRM [rdi]. */
static unsigned int encode(u8 *b, unsigned int size, unsigned int reg, bool two_byte, u8 opcode, bool lock)
{
    unsigned int n = 0;
    u8 rex = (size == 8 ? 8 : 0) | (reg & 8 ? 4 : 0);

    if (lock)
        b[n++] = 0xf0;
    if (size == 2)
        b[n++] = 0x66;
    if (rex || (size == 1 && random64() % 2)) /* a byte with REX is of SPL to DIL, without of AH to BH */
        b[n++] = 0x40 | rex;
    if (two_byte)
        b[n++] = 0x0f;
    b[n++] = opcode;
    b[n++] = (reg & 7) << 3 | 7;
    return n;
}

static const unsigned int sizes[] = {1, 2, 4, 8};

/* Registers that the form may name: not rsp (4), which the native run needs, nor rdi (7), which holds the address. */
#define FOR_EACH_REGISTER(r) for (unsigned int r = 0; r < 16; r++) if (r % 8 != 4 && r % 8 != 7)

Test(ptwr, moves_and_exchanges)
{
    u8 b[16];

    for (unsigned int i = 0; i < 4; i++)
        FOR_EACH_REGISTER(reg)
        {
            try("mov", b, encode(b, sizes[i], reg, false, sizes[i] == 1 ? 0x88 : 0x89, false), sizes[i], 0);
            try("xchg", b, encode(b, sizes[i], reg, false, sizes[i] == 1 ? 0x86 : 0x87, reg & 1), sizes[i], 0);
            try("xadd", b, encode(b, sizes[i], reg, true, sizes[i] == 1 ? 0xc0 : 0xc1, reg & 1), sizes[i], 0);
            try("cmpxchg", b, encode(b, sizes[i], reg, true, sizes[i] == 1 ? 0xb0 : 0xb1, reg & 1), sizes[i], 0);
        }
}

Test(ptwr, arithmetic)
{
    static const char *const names[] = {"add", "or", "adc", "sbb", "and", "sub", "xor"};
    static const u64 undefined[] = {0, X86_FLAGS_AF, 0, 0, X86_FLAGS_AF, 0, X86_FLAGS_AF};
    u8 b[16];

    for (unsigned int op = 0; op < 7; op++)
        for (unsigned int i = 0; i < 4; i++) {
            unsigned int size = sizes[i], n;

            FOR_EACH_REGISTER(reg)
                try(names[op], b, encode(b, size, reg, false, op << 3 | (size > 1), reg & 1), size, undefined[op]);
            n = encode(b, size, op, false, size == 1 ? 0x80 : 0x83, false);
            b[n++] = random64();
            try(names[op], b, n, size, undefined[op]);
            if (size == 1)
                continue;
            n = encode(b, size, op, false, 0x81, true);
            for (unsigned int k = 0; k < (size == 2 ? 2 : 4); k++)
                b[n++] = random64();
            try(names[op], b, n, size, undefined[op]);
        }
}

Test(ptwr, one_operand)
{
    u8 b[16];

    for (unsigned int i = 0; i < 4; i++) {
        unsigned int size = sizes[i], n;

        try("not", b, encode(b, size, 2, false, size == 1 ? 0xf6 : 0xf7, true), size, 0);
        try("neg", b, encode(b, size, 3, false, size == 1 ? 0xf6 : 0xf7, false), size, 0);
        try("inc", b, encode(b, size, 0, false, size == 1 ? 0xfe : 0xff, false), size, 0);
        try("dec", b, encode(b, size, 1, false, size == 1 ? 0xfe : 0xff, true), size, 0);
        n = encode(b, size, 0, false, size == 1 ? 0xc6 : 0xc7, false);
        for (unsigned int k = 0; k < (size == 8 ? 4 : size); k++)
            b[n++] = random64();
        try("mov constant", b, n, size, 0);
    }
}

Test(ptwr, bit_tests)
{
    static const char *const names[] = {"bts", "btr", "btc"};
    u8 b[16];

    for (unsigned int op = 0; op < 3; op++)
        for (unsigned int i = 1; i < 4; i++) {
            unsigned int n = encode(b, sizes[i], 5 + op, true, 0xba, true);

            b[n++] = random64();
            try(names[op], b, n, sizes[i], ARITH & ~X86_FLAGS_CF & ~X86_FLAGS_ZF);
        }
}

/* A write over the end of an entry, and what writes no memory or is no form of these, is left to the guest as a fault. */
Test(ptwr, refusals_change_nothing)
{
    static const struct {
        const char *what;
        u8 b[8];
        unsigned int off;
    } cases[] = {{"over two entries", {0x48, 0x89, 0x07}, 4}, {"two bytes over two entries", {0x66, 0x89, 0x07}, 7},
                 {"four bytes over two entries", {0x0f, 0xb1, 0x07}, 6}, {"cmp", {0x48, 0x39, 0x07}, 0},
                 {"test", {0xf6, 0x07, 1}, 0}, {"a register operand", {0x48, 0x89, 0xc7}, 0}, {"movnti", {0x0f, 0xc3, 0x07}, 0},
                 {"bt", {0x0f, 0xba, 0x27, 1}, 0}, {"call", {0xff, 0x17}, 0}, {"cmpxchg16b", {0x48, 0x0f, 0xc7, 0x0f}, 0}};

    for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
        struct state s = {.flags = 2};
        struct regs r, before;

        for (unsigned int k = 0; k < 16; k++)
            s.reg[k] = random64();
        to_regs(&s, &r);
        before = r;
        l1[200] = 0x123456788;
        l1[201] = 0x876543210;
        memset(code, 0x90, 16);
        memcpy(code, cases[i].b, sizeof(cases[i].b));
        cr_assert_not(pv_ptwr(v, &r, 200 * 8 + cases[i].off), "%s", cases[i].what);
        cr_assert(l1[200] == 0x123456788 && l1[201] == 0x876543210, "%s: memory has changed", cases[i].what);
        cr_assert_eq(memcmp(&r, &before, sizeof(r)), 0, "%s: registers have changed", cases[i].what);
    }
}

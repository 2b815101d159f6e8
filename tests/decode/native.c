/* SPDX-License-Identifier: MIT */
/*
 * The emulator against the processor that runs this test: the same instruction, registers, flags and memory for both; afterwards registers,
 * flags and memory must be the same.
 *
 *   emulate_native [-n CASES] [-s SEED]
 *
 * A case is one instruction of those that emulate.h names, with random operand size, registers, address form (base, index, scale,
 * displacement, RIP-relative), immediate, with and without REX, register contents and memory, at an address that both reach: a window in the middle of
 * a page. To the emulator the window is memory by linear address (half of the cases) or a device at a known guest-physical address. AF is not
 * compared where the manual leaves it undefined (AND, OR, XOR, TEST). In 64-bit code.
 * Exit status: 0 no difference, 1 some (the first ten are printed), 2 usage.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hv/x86/hvm/emulate.h"

#define WINDOW_SIZE 4096
#define MIDDLE 2048

/* Registers by their number, flags, for both. RSP is not used by an instruction. */
struct state {
    u64 r[16];
    u64 flags;
};

static unsigned long long seed = 1;
static u8 *code, *window;      /* pages below 2 GiB, so that displacements reach them */
static u8 window_before[WINDOW_SIZE], window_native[WINDOW_SIZE];
static bool as_device;

static u64 random64(void) /* splitmix64 */
{
    u64 z = seed += 0x9e3779b97f4a7c15ull;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static unsigned int below(unsigned int n)
{
    return random64() % n;
}

/* ---- the processor ---- */

#define FLAGS 0xcd5ull

/* Load all registers from *s but RSP, run the instruction at code, store them. The code page begins with the instruction and goes on with a
 * jump to `back`. */
void run_native(struct state *s, void *entry);
extern const char native_back[];
__asm__(".text\n"
        "run_native:\n"
        "  push %rbx\n  push %rbp\n  push %r12\n  push %r13\n  push %r14\n  push %r15\n"
        "  push %rdi\n"
        "  push %rsi\n" /* entry, for ret */
        "  mov %rdi, %rax\n"
        "  push 128(%rax)\n  popfq\n" /* flags */
        "  mov 8(%rax), %rcx\n  mov 16(%rax), %rdx\n  mov 24(%rax), %rbx\n  mov 40(%rax), %rbp\n  mov 48(%rax), %rsi\n  mov 56(%rax), %rdi\n"
        "  mov 64(%rax), %r8\n  mov 72(%rax), %r9\n  mov 80(%rax), %r10\n  mov 88(%rax), %r11\n  mov 96(%rax), %r12\n  mov 104(%rax), %r13\n"
        "  mov 112(%rax), %r14\n  mov 120(%rax), %r15\n  mov 0(%rax), %rax\n"
        "  ret\n"
        "native_back:\n"
        "  pushfq\n"
        "  push %rax\n"
        "  mov 16(%rsp), %rax\n" /* state */
        "  mov %rcx, 8(%rax)\n  mov %rdx, 16(%rax)\n  mov %rbx, 24(%rax)\n  mov %rbp, 40(%rax)\n  mov %rsi, 48(%rax)\n  mov %rdi, 56(%rax)\n"
        "  mov %r8, 64(%rax)\n  mov %r9, 72(%rax)\n  mov %r10, 80(%rax)\n  mov %r11, 88(%rax)\n  mov %r12, 96(%rax)\n  mov %r13, 104(%rax)\n"
        "  mov %r14, 112(%rax)\n  mov %r15, 120(%rax)\n"
        "  pop %rcx\n  mov %rcx, 0(%rax)\n  pop %rcx\n  mov %rcx, 128(%rax)\n"
        "  add $8, %rsp\n"
        "  cld\n"
        "  pop %r15\n  pop %r14\n  pop %r13\n  pop %r12\n  pop %rbp\n  pop %rbx\n"
        "  ret\n");

static void run_on_processor(struct state *s, const u8 *bytes, unsigned int n)
{
    const u8 *back = (const u8 *)native_back;

    memcpy(code, bytes, n);
    /* jmp *0(%rip): the address follows */
    memcpy(code + n, (u8[]){0xff, 0x25, 0, 0, 0, 0}, 6);
    memcpy(code + n + 6, &back, 8);
    run_native(s, code);
}

/* ---- the emulator ---- */

static enum emulate_result access_window(struct emulate *e, u64 linear, unsigned int size, u64 *value, bool write)
{
    if (linear < (u64)window || linear + size > (u64)window + WINDOW_SIZE) {
        printf("outside of the window: %#llx\n", (unsigned long long)linear);
        exit(1);
    }
    if (write)
        memcpy((void *)linear, value, size);
    else {
        *value = random64(); /* what is above `size` bytes must not matter */
        memcpy(value, (void *)linear, size);
    }
    return EMULATE_DONE;
}

static enum emulate_result memory(struct emulate *e, u64 linear, unsigned int size, u64 *value, bool write)
{
    return access_window(e, linear, size, value, write);
}

static enum emulate_result device(struct emulate *e, u64 gpa, unsigned int size, u64 *value, bool write)
{
    return access_window(e, (u64)window + (gpa & (WINDOW_SIZE - 1)), size, value, write);
}

static u64 base(struct emulate *e, unsigned int segment)
{
    return 0;
}

static const struct emulate_ops ops = {memory, device, base};

static enum emulate_result run_on_emulator(struct state *s, const u8 *bytes, unsigned int n, u64 target)
{
    static const u16 reg_at[16] = {0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120};
    struct emulate e = {.regs = s->r, .reg_at = reg_at, .rip = (u64)code, .rflags = s->flags, .mode = INSN_64, .ops = &ops};
    enum emulate_result rc;
    u8 padded[INSN_MAX];

    for (unsigned int i = 0; i < INSN_MAX; i++)
        padded[i] = i < n ? bytes[i] : random64();
    if (as_device) {
        e.gpa = 0xfee00000 | (target & (WINDOW_SIZE - 1));
        e.gpa_known = true;
    }
    rc = emulate(&e, padded, sizeof(padded));
    s->flags = e.rflags;
    if (rc == EMULATE_DONE && e.rip != (u64)code + n) {
        printf("it went %llu bytes on, not %u\n", (unsigned long long)(e.rip - (u64)code), n);
        return EMULATE_UNKNOWN;
    }
    return rc;
}

/* ---- cases ---- */

enum form { RM_REG, RM_IMM8, RM_IMMZ, RM_ONLY, MOFFS_, STRING_ };
static const struct template {
    u8 map, opcode, digit, form; /* digit 8: a register */
    bool byte_form;              /* opcode - 1 is the same on bytes */
    bool no_af;
} templates[] = {
    {0, 0x89, 8, RM_REG, 1, 0}, {0, 0x8b, 8, RM_REG, 1, 0}, {0, 0xc7, 0, RM_IMMZ, 1, 0}, {0, 0xa1, 8, MOFFS_, 1, 0}, {0, 0xa3, 8, MOFFS_, 1, 0},
    {0, 0x01, 8, RM_REG, 1, 0}, {0, 0x03, 8, RM_REG, 1, 0}, {0, 0x09, 8, RM_REG, 1, 1}, {0, 0x0b, 8, RM_REG, 1, 1}, {0, 0x11, 8, RM_REG, 1, 0},
    {0, 0x13, 8, RM_REG, 1, 0}, {0, 0x19, 8, RM_REG, 1, 0}, {0, 0x1b, 8, RM_REG, 1, 0}, {0, 0x21, 8, RM_REG, 1, 1}, {0, 0x23, 8, RM_REG, 1, 1},
    {0, 0x29, 8, RM_REG, 1, 0}, {0, 0x2b, 8, RM_REG, 1, 0}, {0, 0x31, 8, RM_REG, 1, 1}, {0, 0x33, 8, RM_REG, 1, 1}, {0, 0x39, 8, RM_REG, 1, 0},
    {0, 0x3b, 8, RM_REG, 1, 0}, {0, 0x63, 8, RM_REG, 0, 0},
    {0, 0x81, 0, RM_IMMZ, 1, 0}, {0, 0x81, 1, RM_IMMZ, 1, 1}, {0, 0x81, 2, RM_IMMZ, 1, 0}, {0, 0x81, 3, RM_IMMZ, 1, 0}, {0, 0x81, 4, RM_IMMZ, 1, 1},
    {0, 0x81, 5, RM_IMMZ, 1, 0}, {0, 0x81, 6, RM_IMMZ, 1, 1}, {0, 0x81, 7, RM_IMMZ, 1, 0}, {0, 0x83, 0, RM_IMM8, 0, 0}, {0, 0x83, 1, RM_IMM8, 0, 1},
    {0, 0x83, 5, RM_IMM8, 0, 0}, {0, 0x83, 7, RM_IMM8, 0, 0}, {0, 0x85, 8, RM_REG, 1, 1}, {0, 0x87, 8, RM_REG, 1, 0},
    {0, 0xf7, 0, RM_IMMZ, 1, 1}, {0, 0xf7, 1, RM_IMMZ, 1, 1}, {0, 0xf7, 2, RM_ONLY, 1, 0}, {0, 0xf7, 3, RM_ONLY, 1, 0},
    {0, 0xff, 0, RM_ONLY, 1, 0}, {0, 0xff, 1, RM_ONLY, 1, 0},
    {0, 0xa5, 8, STRING_, 1, 0}, {0, 0xab, 8, STRING_, 1, 0}, {0, 0xad, 8, STRING_, 1, 0},
    {1, 0xb6, 8, RM_REG, 0, 0}, {1, 0xb7, 8, RM_REG, 0, 0}, {1, 0xbe, 8, RM_REG, 0, 0}, {1, 0xbf, 8, RM_REG, 0, 0},
    {1, 0xa3, 8, RM_REG, 0, 0}, {1, 0xab, 8, RM_REG, 0, 0}, {1, 0xb3, 8, RM_REG, 0, 0}, {1, 0xbb, 8, RM_REG, 0, 0},
    {1, 0xba, 4, RM_IMM8, 0, 0}, {1, 0xba, 5, RM_IMM8, 0, 0}, {1, 0xba, 6, RM_IMM8, 0, 0}, {1, 0xba, 7, RM_IMM8, 0, 0},
    {1, 0xb1, 8, RM_REG, 1, 0}, {1, 0xc1, 8, RM_REG, 1, 0}, {1, 0xc3, 8, RM_REG, 0, 0},
};

struct encoder {
    u8 bytes[32];
    unsigned int n;
};

static void put(struct encoder *c, u64 v, unsigned int size)
{
    memcpy(c->bytes + c->n, &v, size);
    c->n += size;
}

/* The memory operand of an address form that ends at `target`, with ModRM.reg `reg`; sets the registers it uses. Bits X and B go to *rex.
 * imm: bytes behind it, for RIP-relative forms. */
static void put_operand(struct encoder *c, struct state *s, unsigned int reg, u64 target, u8 *rex, unsigned int imm, unsigned int rex_at, int keep)
{
    unsigned int base_reg, index_reg, scale = below(4), mod = below(3);
    s32 disp = mod == 1 ? (signed char)random64() : mod == 2 ? (s32)(random64() % 100000) - 50000 : 0;

    switch (below(4)) {
    case 0: /* RIP-relative */
        put(c, (reg & 7) << 3 | 5, 1);
        put(c, (u32)(target - ((u64)code + c->n + 4 + imm)), 4);
        break;
    case 1: /* absolute, by SIB */
        put(c, (reg & 7) << 3 | 4, 1);
        put(c, 0x25, 1);
        put(c, (u32)target, 4);
        break;
    case 2: /* base and displacement */
        do
            base_reg = below(16);
        while ((base_reg & 7) == 4 || ((base_reg & 7) == 5 && mod == 0) || (int)base_reg == keep);
        put(c, mod << 6 | (reg & 7) << 3 | (base_reg & 7), 1);
        put(c, (u32)disp, mod == 1 ? 1 : mod == 2 ? 4 : 0);
        s->r[base_reg] = target - (s64)disp;
        *rex |= base_reg >> 3 ? REX_B : 0;
        break;
    default: /* base, index, scale */
        do
            base_reg = below(16), index_reg = below(16);
        while (base_reg == 4 || index_reg == 4 || base_reg == index_reg || ((base_reg & 7) == 5 && mod == 0) || (int)base_reg == keep ||
               (int)index_reg == keep);
        put(c, mod << 6 | (reg & 7) << 3 | 4, 1);
        put(c, scale << 6 | (index_reg & 7) << 3 | (base_reg & 7), 1);
        put(c, (u32)disp, mod == 1 ? 1 : mod == 2 ? 4 : 0);
        s->r[base_reg] = target - (s64)disp - (s->r[index_reg] << scale);
        *rex |= (base_reg >> 3 ? REX_B : 0) | (index_reg >> 3 ? REX_X : 0);
    }
    c->bytes[rex_at] = 0x40 | *rex;
}

/* One case. False: a difference, printed. */
static bool one_case(void)
{
    const struct template *t = &templates[below(ARRAY_SIZE(templates))];
    bool byte = t->byte_form && below(3) == 0;
    unsigned int size_choice = below(3), op_size = size_choice == 0 ? 2 : size_choice == 1 ? 4 : 8, reg, imm = 0, rex_at;
    unsigned int size = byte ? 1 : op_size;
    u64 target = (u64)window + MIDDLE - 512 + below(1024), compare = FLAGS, string_count = 1;
    struct encoder c = {.n = 0};
    struct state before, native, emulated;
    u8 rex = op_size == 8 ? REX_W : 0;
    bool bits_by_register = t->map == 1 && (t->opcode & 0xe7) == 0xa3, no_rep = true;
    enum emulate_result rc;

    if (t->opcode == 0x87) /* XCHG locks the bus: not across cache lines, which hosts may punish */
        target &= ~7ull;
    as_device = below(2);
    for (int i = 0; i < 16; i++)
        before.r[i] = below(4) ? random64() : below(2) ? below(4) : 0 - (u64)below(4);
    before.r[4] = 0;
    before.flags = 0x202 | (random64() & (FLAGS & ~0x400ull));
    for (unsigned int i = 0; i < WINDOW_SIZE; i += 8) {
        u64 v = below(4) ? random64() : below(2) ? 0 : ~0ull;

        memcpy(window_before + i, &v, 8);
    }
    do
        reg = t->digit < 8 ? t->digit : below(16);
    while (reg == 4 && t->digit == 8); /* RSP is the test's own */
    if (t->form == STRING_) {
        no_rep = below(2);
        before.flags |= below(2) ? 0x400 : 0;
        string_count = no_rep ? 1 : below(40);
        if (!no_rep)
            before.r[1] = string_count;
        before.r[6] = (u64)window + MIDDLE - 256 + below(512);
        before.r[7] = (u64)window + MIDDLE - 256 + below(512);
        as_device = false;
    }
    if (bits_by_register) /* within the window */
        before.r[reg] = (before.r[reg] & 0xfff) - 0x800;
    if (op_size == 2)
        put(&c, 0x66, 1);
    if (t->form == STRING_ && !no_rep)
        put(&c, 0xf3, 1);
    rex |= reg >> 3 && t->digit == 8 && t->form == RM_REG ? REX_R : 0;
    rex_at = c.n;
    put(&c, 0x40 | rex, 1);
    if (t->map)
        put(&c, 0x0f, 1);
    put(&c, t->opcode - byte, 1);
    imm = t->form == RM_IMM8 ? 1 : t->form == RM_IMMZ ? (byte ? 1 : op_size == 2 ? 2 : 4) : 0;
    if (t->form == MOFFS_) {
        put(&c, target, 8);
    } else if (t->form != STRING_) {
        /* CMPXCHG needs RAX, BT its register. */
        put_operand(&c, &before, reg, target, &rex, imm, rex_at, bits_by_register ? (int)reg : t->map == 1 && t->opcode == 0xb1 ? 0 : -1);
        put(&c, random64(), imm);
        if (!rex && below(2)) { /* without REX: AH to BH, and the emulator's short way */
            unsigned int modrm = rex_at + (t->map ? 2 : 1);
            u32 disp;

            memmove(c.bytes + rex_at, c.bytes + rex_at + 1, c.n - rex_at - 1);
            c.n--;
            if ((c.bytes[modrm] & 0xc7) == 5) { /* the next instruction is a byte nearer */
                memcpy(&disp, c.bytes + modrm + 1, 4);
                disp++;
                memcpy(c.bytes + modrm + 1, &disp, 4);
            }
        }
    }
    if (t->map == 1 && t->opcode == 0xb1 && below(2)) /* let it be equal, often */
        memcpy(&before.r[0], window_before + (target - (u64)window), 8);
    if (t->map == 1 && t->opcode == 0xc3 && op_size == 2)
        return true; /* no such instruction */
    if (t->no_af)
        compare &= ~0x10ull;
    if (t->map == 1 && (bits_by_register || t->opcode == 0xba))
        compare = 0x401; /* CF alone is defined */

    native = emulated = before;
    memcpy(window, window_before, WINDOW_SIZE);
    run_on_processor(&native, c.bytes, c.n);
    memcpy(window_native, window, WINDOW_SIZE);
    memcpy(window, window_before, WINDOW_SIZE);
    rc = run_on_emulator(&emulated, c.bytes, c.n, target);
    native.r[4] = emulated.r[4];
    if (rc == EMULATE_DONE && !memcmp(native.r, emulated.r, sizeof(native.r)) && (native.flags & compare) == (emulated.flags & compare) &&
        !memcmp(window, window_native, WINDOW_SIZE))
        return true;
    printf("differs (result %d):", rc);
    for (unsigned int i = 0; i < c.n; i++)
        printf(" %02x", c.bytes[i]);
    printf(" size %u flags %#llx -> native %#llx, emulated %#llx; memory %s\n", size, (unsigned long long)before.flags,
           (unsigned long long)native.flags, (unsigned long long)emulated.flags, memcmp(window, window_native, WINDOW_SIZE) ? "differs" : "equal");
    for (int i = 0; i < 16; i++)
        if (native.r[i] != emulated.r[i])
            printf("   r%d %#llx -> native %#llx, emulated %#llx\n", i, (unsigned long long)before.r[i], (unsigned long long)native.r[i],
                   (unsigned long long)emulated.r[i]);
    return false;
}

int main(int argc, char **argv)
{
    unsigned long long n = 200000, bad = 0, done;
    int opt;

    while ((opt = getopt(argc, argv, "n:s:")) != -1) {
        switch (opt) {
        case 'n':
            n = strtoull(optarg, NULL, 0);
            break;
        case 's':
            seed = strtoull(optarg, NULL, 0);
            break;
        default:
            fprintf(stderr, "usage: emulate_native [-n CASES] [-s SEED]\n");
            return 2;
        }
    }
    code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    window = mmap(NULL, WINDOW_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (code == MAP_FAILED || window == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    for (done = 0; done < n && bad < 10; done++)
        bad += !one_case();
    printf("%llu instructions, %llu differ\n", done, bad);
    return bad != 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * The instruction decoder; decode.h is the contract.
 *
 * What follows the opcode is read from two tables, a byte an opcode: ModRM or not, and which immediate. The rest of an
 * opcode's meaning is the caller's. Pure: no state, no memory but what it is given.
 */
#include "decode.h"
#include "lib.h"

/* What follows an opcode. */
enum {
    F_M = 0x10,         /* ModRM */
    F_NOT = 0x20,       /* undefined, or a prefix */
    F_NOT64 = 0x40,     /* undefined in 64-bit code */
    F_IMM = 0x0f,       /* which immediate: */
    I_NONE = 0,
    I_8, I_16, I_4, I_Z, /* 1 byte; 2; 4; 2 or 4 by operand size */
    I_V,                /* 2, 4 or 8 by operand size */
    I_REL,              /* a near branch: 4 in 64-bit code, else as I_Z */
    I_FAR, I_ENTER,     /* offset and selector; 2 and 1 */
    I_MOFFS,            /* an address of address size: a memory operand */
    I_GROUP3_8, I_GROUP3_Z, /* TEST of group 3 has an immediate, the others have none */
};

#define M   F_M
#define M8  (F_M | I_8)
#define MZ  (F_M | I_Z)
#define X   F_NOT
#define O   F_NOT64
#define Z64 (F_NOT64 | I_8)

static const u8 one_byte[256] = {
    /* 00 */ M, M, M, M, I_8, I_Z, O, O, M, M, M, M, I_8, I_Z, O, X,
    /* 10 */ M, M, M, M, I_8, I_Z, O, O, M, M, M, M, I_8, I_Z, O, O,
    /* 20 */ M, M, M, M, I_8, I_Z, X, O, M, M, M, M, I_8, I_Z, X, O,
    /* 30 */ M, M, M, M, I_8, I_Z, X, O, M, M, M, M, I_8, I_Z, X, O,
    /* 40 */ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    /* 50 */ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    /* 60 */ O, O, M | O, M, X, X, X, X, I_Z, MZ, I_8, M8, 0, 0, 0, 0,
    /* 70 */ I_8, I_8, I_8, I_8, I_8, I_8, I_8, I_8, I_8, I_8, I_8, I_8, I_8, I_8, I_8, I_8,
    /* 80 */ M8, MZ, M8 | O, M8, M, M, M, M, M, M, M, M, M, M, M, M,
    /* 90 */ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, I_FAR | O, 0, 0, 0, 0, 0,
    /* a0 */ I_MOFFS, I_MOFFS, I_MOFFS, I_MOFFS, 0, 0, 0, 0, I_8, I_Z, 0, 0, 0, 0, 0, 0,
    /* b0 */ I_8, I_8, I_8, I_8, I_8, I_8, I_8, I_8, I_V, I_V, I_V, I_V, I_V, I_V, I_V, I_V,
    /* c0 */ M8, M8, I_16, 0, M | O, M | O, M8, MZ, I_ENTER, 0, I_16, 0, 0, I_8, O, 0,
    /* d0 */ M, M, M, M, Z64, Z64, O, 0, M, M, M, M, M, M, M, M,
    /* e0 */ I_8, I_8, I_8, I_8, I_8, I_8, I_8, I_8, I_REL, I_REL, I_FAR | O, I_8, 0, 0, 0, 0,
    /* f0 */ X, 0, X, X, 0, 0, M | I_GROUP3_8, M | I_GROUP3_Z, 0, 0, 0, 0, 0, 0, M, M,
};

static const u8 two_byte[256] = {
    /* 00 */ M, M, M, M, X, 0, 0, 0, 0, 0, X, 0, X, M, 0, X,
    /* 10 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
    /* 20 */ M, M, M, M, X, X, X, X, M, M, M, M, M, M, M, M,
    /* 30 */ 0, 0, 0, 0, 0, 0, X, 0, X, X, X, X, X, X, X, X,
    /* 40 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
    /* 50 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
    /* 60 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
    /* 70 */ M8, M8, M8, M8, M, M, M, 0, M, M, X, X, M, M, M, M,
    /* 80 */ I_REL, I_REL, I_REL, I_REL, I_REL, I_REL, I_REL, I_REL, I_REL, I_REL, I_REL, I_REL, I_REL, I_REL, I_REL, I_REL,
    /* 90 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
    /* a0 */ 0, 0, 0, M, M8, M, M, M, 0, 0, 0, M, M8, M, M, M,
    /* b0 */ M, M, M, M, M, M, M, M, M, M, M8, M, M, M, M, M,
    /* c0 */ M, M, M8, M, M8, M8, M8, M, 0, 0, 0, 0, 0, 0, 0, 0,
    /* d0 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
    /* e0 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
    /* f0 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
};

#undef M
#undef M8
#undef MZ
#undef X
#undef O
#undef Z64

/* The bytes, and how far they are read. */
struct reader {
    const u8 *bytes;
    unsigned int n, at;
};

/* Take `size` bytes, at most 8, little-endian. False: there are not as many. */
static bool take(struct reader *r, unsigned int size, u64 *out)
{
    u64 v = 0;

    if (unlikely(r->at + size > r->n))
        return false;
    for (unsigned int i = 0; i < size; i++)
        v |= (u64)r->bytes[r->at + i] << 8 * i;
    r->at += size;
    *out = v;
    return true;
}

static s64 sign_extend(u64 v, unsigned int size)
{
    unsigned int shift = 64 - 8 * size;

    return size ? (s64)(v << shift) >> shift : 0;
}

/* Prefixes up to the opcode's first byte, which *opcode gets. A REX prefix counts only right before the opcode. */
static bool take_prefixes(struct insn *i, struct reader *r, enum insn_mode mode, u8 *opcode)
{
    bool addr_size = false;
    u64 b;

    i->override = SEG_NONE;
    for (;;) {
        if (!take(r, 1, &b))
            return false;
        if (mode == INSN_64 && (b & 0xf0) == 0x40) {
            i->rex = b & 0x0f;
            i->rex_seen = true;
            continue;
        }
        switch (b) {
        case 0x26: case 0x2e: case 0x36: case 0x3e: /* without effect in 64-bit code */
            if (mode != INSN_64)
                i->override = (b >> 3) & 3;
            break;
        case 0x64: case 0x65:
            i->override = SEG_FS + (b & 1);
            break;
        case 0x66:
            i->size_prefix = true;
            break;
        case 0x67:
            addr_size = true;
            break;
        case 0xf0:
            i->lock = true;
            break;
        case 0xf2: case 0xf3:
            i->rep = b;
            break;
        default:
            i->op_size = i->rex & REX_W ? 8 : (mode == INSN_16) != i->size_prefix ? 2 : 4;
            i->addr_size = !addr_size ? mode : mode == INSN_32 ? 2 : 4;
            *opcode = b;
            return true;
        }
        i->rex = 0;
        i->rex_seen = false;
    }
}

/* The memory operand of 16-bit addressing (SDM vol. 2 table 2-1). */
static bool take_address16(struct insn *i, struct reader *r, unsigned int mod)
{
    static const u8 base[8] = {3, 3, 5, 5, 6, 7, 5, 3}, index[8] = {6, 7, 6, 7, INSN_NO_REG, INSN_NO_REG, INSN_NO_REG, INSN_NO_REG};
    unsigned int rm = i->modrm & 7, size = mod == 3 ? 0 : mod;
    u64 v;

    i->base = base[rm];
    i->index = index[rm];
    if (mod == 0 && rm == 6) {
        i->base = INSN_NO_REG;
        size = 2;
    }
    if (!take(r, size, &v))
        return false;
    i->disp = sign_extend(v, size);
    return true;
}

/* The memory operand of 32 and 64-bit addressing (tables 2-2 and 2-3). */
static bool take_address(struct insn *i, struct reader *r, unsigned int mod, enum insn_mode mode)
{
    unsigned int rm = i->modrm & 7, size = mod == 1 ? 1 : mod == 2 ? 4 : 0;
    u64 v;

    i->base = rm | (i->rex & REX_B) << 3;
    if (rm == 4) {
        if (!take(r, 1, &v))
            return false;
        i->scale = 1 << (v >> 6);
        i->index = (v >> 3 & 7) | (i->rex & REX_X) << 2;
        if (i->index == 4)
            i->index = INSN_NO_REG;
        i->base = (v & 7) | (i->rex & REX_B) << 3;
        if (mod == 0 && (v & 7) == 5) {
            i->base = INSN_NO_REG;
            size = 4;
        }
    } else if (mod == 0 && rm == 5) {
        i->base = mode == INSN_64 ? INSN_RIP : INSN_NO_REG;
        size = 4;
    }
    if (!take(r, size, &v))
        return false;
    i->disp = sign_extend(v, size);
    return true;
}

static bool take_modrm(struct insn *i, struct reader *r, enum insn_mode mode)
{
    unsigned int mod;
    u64 v;

    if (!take(r, 1, &v))
        return false;
    i->modrm = v;
    i->has_modrm = true;
    i->reg = (v >> 3 & 7) | (i->rex & REX_R) << 1;
    i->rm = (v & 7) | (i->rex & REX_B) << 3;
    mod = v >> 6;
    /* MOV to and from control and debug registers knows registers only, whatever mod says. */
    if (mod == 3 || (i->map == MAP_0F && (i->opcode & 0xfc) == 0x20 && !i->vex))
        return true;
    i->mem = true;
    if (!(i->addr_size == 2 ? take_address16(i, r, mod) : take_address(i, r, mod, mode)))
        return false;
    i->segment = i->override != SEG_NONE           ? i->override
                 : i->base == 4 || i->base == 5    ? SEG_SS
                                                   : SEG_DS;
    return true;
}

/*
 * VEX, EVEX and XOP stand in place of LES, LDS, BOUND and POP, by bits that those cannot have (SDM vol. 2 §2.3.5, §2.7.1; APM
 * vol. 6 §1.1.1). @return bytes of the prefix behind its first, 0: it is the old instruction
 */
static unsigned int extended_prefix(u8 opcode, const struct reader *r, enum insn_mode mode)
{
    u8 next = r->at < r->n ? r->bytes[r->at] : 0;

    switch (opcode) {
    case 0xc4: case 0xc5: case 0x62:
        if (mode != INSN_64 && next < 0xc0)
            return 0;
        return opcode == 0xc5 ? 1 : opcode == 0xc4 ? 2 : 3;
    case 0x8f:
        return (next & 0x1f) >= 8 ? 2 : 0;
    }
    return 0;
}

/* What follows the opcode of a VEX, EVEX or XOP form, or -1 for an error. size: bytes of the prefix behind `first`. */
static int take_extended(struct insn *i, struct reader *r, u8 first, unsigned int size)
{
    unsigned int map;
    u64 prefix, b;

    if (!take(r, size, &prefix) || !take(r, 1, &b))
        return -INSN_E_SHORT;
    map = first == 0xc5 ? 1 : first == 0x62 ? prefix & 7 : prefix & 0x1f;
    i->vex = true;
    i->opcode = b;
    if (first == 0x8f)
        return map == 8 ? F_M | I_8 : map == 9 ? F_M : map == 10 ? F_M | I_4 : -INSN_E_UNKNOWN;
    if (map == 0 || map == 4 || map > (first == 0x62 ? 6 : 3))
        return -INSN_E_UNKNOWN;
    if (map == 1) /* as without the prefix; VZEROUPPER has no ModRM */
        return b == 0x77 && first != 0x62 ? 0 : F_M | ((two_byte[b] & F_IMM) == I_8 ? I_8 : 0);
    return map == 3 ? F_M | I_8 : F_M;
}

/* Map, opcode and what follows it. Negative: -enum insn_error. */
static int take_opcode(struct insn *i, struct reader *r, enum insn_mode mode, u8 first)
{
    unsigned int size;
    u64 b;
    u8 what;

    i->opcode = first;
    if (first != 0x0f) {
        size = extended_prefix(first, r, mode);
        if (unlikely(size))
            return take_extended(i, r, first, size);
        what = one_byte[first];
    } else {
        if (!take(r, 1, &b))
            return -INSN_E_SHORT;
        i->opcode = b;
        i->map = MAP_0F;
        what = two_byte[b];
        if (b == 0x38 || b == 0x3a) {
            i->map = b == 0x38 ? MAP_0F38 : MAP_0F3A;
            what = b == 0x38 ? F_M : F_M | I_8;
            if (!take(r, 1, &b))
                return -INSN_E_SHORT;
            i->opcode = b;
        }
    }
    if (what & F_NOT || (what & F_NOT64 && mode == INSN_64))
        return -INSN_E_UNKNOWN;
    return what;
}

static unsigned int immediate_size(const struct insn *i, unsigned int what, enum insn_mode mode)
{
    unsigned int z = min_of(i->op_size, 4);

    switch (what & F_IMM) {
    case I_8:
        return 1;
    case I_16:
        return 2;
    case I_4:
        return 4;
    case I_Z:
        return z;
    case I_V:
        return i->op_size;
    case I_REL:
        return mode == INSN_64 ? 4 : z;
    case I_FAR:
        return z + 2;
    case I_ENTER:
        return 3;
    case I_GROUP3_8:
        return (i->modrm & 0x30) == 0 ? 1 : 0;
    case I_GROUP3_Z:
        return (i->modrm & 0x30) == 0 ? z : 0;
    }
    /* EXTRQ and INSERTQ have two bytes where VMREAD has none. */
    if (i->map == MAP_0F && i->opcode == 0x78 && !i->vex && (i->rep == 0xf2 || i->size_prefix))
        return 2;
    return 0;
}

/* insn_decode() but for where an error goes: 0 or enum insn_error. */
static int decode(struct insn *i, struct reader *r, enum insn_mode mode)
{
    int what;
    u64 moffs;
    u8 first;

    *i = (struct insn){.base = INSN_NO_REG, .index = INSN_NO_REG, .scale = 1, .segment = SEG_DS};
    if (!take_prefixes(i, r, mode, &first))
        return INSN_E_SHORT;
    what = take_opcode(i, r, mode, first);
    if (what < 0)
        return -what;
    if (what & F_M && !take_modrm(i, r, mode))
        return INSN_E_SHORT;
    if ((what & F_IMM) == I_MOFFS) {
        if (!take(r, i->addr_size, &moffs))
            return INSN_E_SHORT;
        i->mem = true;
        i->disp = (s64)moffs;
        i->segment = i->override != SEG_NONE ? i->override : SEG_DS;
    } else {
        i->imm_size = immediate_size(i, what, mode);
        if (!take(r, i->imm_size, &i->imm))
            return INSN_E_SHORT;
    }
    i->length = r->at;
    return 0;
}

bool insn_decode(struct insn *i, const u8 *bytes, unsigned int n, enum insn_mode mode)
{
    struct reader r = {.bytes = bytes, .n = min_of(n, INSN_MAX)};
    int error = decode(i, &r, mode);

    i->error = error == INSN_E_SHORT && n >= INSN_MAX ? INSN_E_LONG : error;
    return !error;
}

/* ---- Lengths of known instructions ---- */

/*
 * plain: the first four bytes (little-endian) under the mask are the form without prefix and operand, plain_len long.
 * Other forms: map, opcode under opcode_mask, ModRM under modrm_mask (0: none looked at).
 */
struct kind {
    u32 plain, plain_mask;
    u8 plain_len, map, opcode, opcode_mask, modrm, modrm_mask, needs;
};
enum { NEEDS_MEM = 1, NEEDS_F3 = 2 };

#define ONE(op)         {op, 0xff, 1, MAP_ONE, op, 0xff, 0, 0, 0}
#define ONE_LIKE(op, m) {0, 0, 0, MAP_ONE, op, m, 0, 0, 0}
#define TWO(op)         {0x0f | (op) << 8, 0xffff, 2, MAP_0F, op, 0xff, 0, 0, 0}
#define TWO_LIKE(op, m) {0, 0, 0, MAP_0F, op, m, 0, 0, 0}
#define THREE(rm)       {0x010f | (rm) << 16, 0xffffff, 3, MAP_0F, 0x01, 0xff, rm, 0xff, 0}
#define GROUP7(digit, n) {0, 0, 0, MAP_0F, 0x01, 0xff, (digit) << 3, 0x38, n}

static const struct kind kinds[INSN_KINDS] = {
    [INSN_CPUID] = TWO(0xa2),
    [INSN_RDMSR] = TWO(0x32),
    [INSN_WRMSR] = TWO(0x30),
    [INSN_HLT] = ONE(0xf4),
    [INSN_VMMCALL] = THREE(0xd9),
    [INSN_VMCALL] = THREE(0xc1),
    [INSN_RDTSC] = TWO(0x31),
    [INSN_RDTSCP] = THREE(0xf9),
    [INSN_RDPMC] = TWO(0x33),
    [INSN_PAUSE] = {0x90f3, 0xffff, 2, MAP_ONE, 0x90, 0xff, 0, 0, NEEDS_F3},
    [INSN_XSETBV] = THREE(0xd1),
    [INSN_CLTS] = TWO(0x06),
    [INSN_INVD] = TWO(0x08),
    [INSN_WBINVD] = TWO(0x09),
    [INSN_RSM] = TWO(0xaa),
    [INSN_MONITOR] = THREE(0xc8),
    [INSN_MWAIT] = THREE(0xc9),
    [INSN_SVM] = {0, 0, 0, MAP_0F, 0x01, 0xff, 0xd8, 0xf8, 0}, /* VMRUN VMMCALL VMLOAD VMSAVE STGI CLGI SKINIT INVLPGA */
    [INSN_ICEBP] = ONE(0xf1),
    [INSN_INT3] = ONE(0xcc),
    [INSN_INTO] = ONE(0xce),
    [INSN_INT] = {0xcd, 0xff, 2, MAP_ONE, 0xcd, 0xff, 0, 0, 0},
    [INSN_PUSHF] = ONE(0x9c),
    [INSN_POPF] = ONE(0x9d),
    [INSN_IRET] = ONE(0xcf),
    [INSN_IN] = ONE_LIKE(0xe4, 0xf6),
    [INSN_OUT] = ONE_LIKE(0xe6, 0xf6),
    [INSN_INS] = ONE_LIKE(0x6c, 0xfe),
    [INSN_OUTS] = ONE_LIKE(0x6e, 0xfe),
    [INSN_MOV_CR] = TWO_LIKE(0x20, 0xfd),
    [INSN_MOV_DR] = TWO_LIKE(0x21, 0xfd),
    [INSN_LMSW] = GROUP7(6, 0),
    [INSN_SMSW] = GROUP7(4, 0),
    [INSN_INVLPG] = GROUP7(7, NEEDS_MEM),
    [INSN_INVPCID] = {0, 0, 0, MAP_0F38, 0x82, 0xff, 0, 0, 0},
    [INSN_TABLE_0F00] = TWO_LIKE(0x00, 0xff),             /* SLDT STR LLDT LTR VERR VERW */
    [INSN_TABLE_0F01] = {0, 0, 0, MAP_0F, 0x01, 0xff, 0, 0x20, NEEDS_MEM}, /* SGDT SIDT LGDT LIDT */
    [INSN_VMX] = {0, 0, 0, MAP_0F, 0x01, 0xff, 0xc0, 0xf8, 0},     /* VMCALL VMLAUNCH VMRESUME VMXOFF */
};

static __cold_ unsigned int length_by_decoding(const struct kind *k, const u8 *bytes, unsigned int n, enum insn_mode mode)
{
    struct insn i;

    if (!insn_decode(&i, bytes, n, mode) || i.vex || i.map != k->map || (i.opcode & k->opcode_mask) != k->opcode ||
        (i.modrm & k->modrm_mask) != k->modrm || (k->needs & NEEDS_MEM && !i.mem) || (k->needs & NEEDS_F3 && i.rep != 0xf3))
        return 0;
    return i.length;
}

unsigned int insn_length(enum insn_kind kind, const u8 *bytes, unsigned int n, enum insn_mode mode)
{
    const struct kind *k = &kinds[kind];
    u32 first;

    if (likely(n >= sizeof(first))) {
        memcpy(&first, bytes, sizeof(first));
        if (likely((first & k->plain_mask) == k->plain && k->plain_len))
            return k->plain_len;
    }
    return length_by_decoding(k, bytes, n, mode);
}

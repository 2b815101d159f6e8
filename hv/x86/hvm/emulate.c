/* SPDX-License-Identifier: MIT */
/*
 * The emulator; emulate.h is the contract. Source: SDM vol. 2 (operation and flags of each instruction).
 */
#include "emulate.h"
#include "lib.h"

#define CF 0x001ull
#define PF 0x004ull
#define AF 0x010ull
#define ZF 0x040ull
#define SF 0x080ull
#define DF 0x400ull
#define OF 0x800ull
#define ARITHMETIC (CF | PF | AF | ZF | SF | OF)

enum { RAX = 0, RCX = 1, RSI = 6, RDI = 7 };

/* ---- registers ---- */

static inline u64 *gpr(struct emulate *e, unsigned int n)
{
    return (u64 *)((u8 *)e->regs + e->reg_at[n & 15]);
}

static inline u64 size_mask(unsigned int size)
{
    return ~0ull >> (64 - 8 * size);
}

/* Register n as an operand of `size` bytes. AH to BH are numbers 4 to 7 without REX. */
static u64 read_reg(struct emulate *e, const struct insn *i, unsigned int n, unsigned int size)
{
    if (size == 1 && !i->rex_seen && n >= 4)
        return *gpr(e, n - 4) >> 8 & 0xff;
    return *gpr(e, n) & size_mask(size);
}

static void write_reg(struct emulate *e, const struct insn *i, unsigned int n, unsigned int size, u64 v)
{
    u64 *p = gpr(e, n), mask = size_mask(size);

    if (size == 4)
        mask = ~0ull;
    if (size == 1 && !i->rex_seen && n >= 4) {
        p = gpr(e, n - 4);
        mask = 0xff00;
        v <<= 8;
    } else {
        v &= size_mask(size);
    }
    *p = (*p & ~mask) | (v & mask);
}

static u64 sign_extend(u64 v, unsigned int size)
{
    unsigned int shift = 64 - 8 * size;

    return (u64)((s64)(v << shift) >> shift);
}

/* ---- memory ---- */

enum emulate_result emulate_device(struct emulate *e, u64 gpa, unsigned int size, u64 *value, bool write)
{
    struct emulate_wait *w = e->wait;
    enum emulate_result r;

    if (w && unlikely(e->at < w->done)) {
        if (!write)
            *value = w->value[e->at];
        e->at++;
        return EMULATE_DONE;
    }
    r = e->ops->device(e, gpa, size, value, write);
    if (w && r == EMULATE_DONE && w->done < ARRAY_SIZE(w->value)) {
        w->value[w->done++] = *value;
        e->at++;
    }
    return r;
}

static u64 truncate_address(u64 v, unsigned int size)
{
    return size == 8 ? v : v & size_mask(size);
}

static u64 linear_of(struct emulate *e, unsigned int segment, u64 offset)
{
    if (e->mode == INSN_64)
        return segment >= SEG_FS ? offset + e->ops->base(e, segment) : offset;
    return (u32)(offset + e->ops->base(e, segment));
}

/* The linear address of the memory operand, `more` bytes on. */
static u64 operand_address(struct emulate *e, const struct insn *i, s64 more)
{
    u64 offset = (u64)i->disp + (u64)more;

    if (i->base == INSN_RIP)
        offset += e->rip + i->length;
    else if (i->base != INSN_NO_REG)
        offset += *gpr(e, i->base);
    if (i->index != INSN_NO_REG)
        offset += *gpr(e, i->index) * i->scale;
    return linear_of(e, i->segment, truncate_address(offset, i->addr_size));
}

/*
 * Access the memory operand. The processor told which guest-physical address faulted: where that is the operand's first byte and all of
 * it lies in one page, no walk is needed.
 */
static enum emulate_result operand(struct emulate *e, const struct insn *i, s64 more, unsigned int size, u64 *value, bool write)
{
    u64 linear = operand_address(e, i, more);

    if (likely(e->gpa_known && !more && ((linear ^ e->gpa) & (PAGE_SIZE - 1)) == 0 && (linear & (PAGE_SIZE - 1)) + size <= PAGE_SIZE))
        return emulate_device(e, e->gpa, size, value, write);
    return e->ops->memory(e, linear, size, value, write);
}

/* ---- arithmetic ---- */

enum alu { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };

static u64 result_flags(u64 r, unsigned int size)
{
    return (__builtin_parity(r & 0xff) ? 0 : PF) | (r ? 0 : ZF) | (r >> (8 * size - 1) & 1 ? SF : 0);
}

/* a op b, both within `size` bytes; *flags: arithmetic flags before and after. */
static u64 compute(enum alu op, u64 a, u64 b, unsigned int size, u64 *flags)
{
    u64 mask = size_mask(size), sign = 1ull << (8 * size - 1), carry = (op == ALU_ADC || op == ALU_SBB) && *flags & CF, r, f = 0;

    switch (op) {
    case ALU_ADD:
    case ALU_ADC:
        r = (a + b + carry) & mask;
        f = (((a & b) | ((a | b) & ~r)) & sign ? CF : 0) | (~(a ^ b) & (a ^ r) & sign ? OF : 0) | ((a ^ b ^ r) & AF);
        break;
    case ALU_SUB:
    case ALU_CMP:
    case ALU_SBB:
        r = (a - b - carry) & mask;
        f = (((~a & b) | ((~a | b) & r)) & sign ? CF : 0) | ((a ^ b) & (a ^ r) & sign ? OF : 0) | ((a ^ b ^ r) & AF);
        break;
    case ALU_OR:
        r = a | b;
        break;
    case ALU_AND:
        r = a & b;
        break;
    default:
        r = a ^ b;
    }
    *flags = (*flags & ~ARITHMETIC) | f | result_flags(r, size);
    return r;
}

/* ---- instructions ---- */

/* Read the operand, compute with b, write it back unless it is a comparison; then the flags. */
static enum emulate_result modify(struct emulate *e, const struct insn *i, enum alu op, u64 b, unsigned int size, bool write, u64 keep)
{
    u64 a, r, flags = e->rflags;
    enum emulate_result rc = operand(e, i, 0, size, &a, false);

    if (rc != EMULATE_DONE)
        return rc;
    r = compute(op, a & size_mask(size), b & size_mask(size), size, &flags);
    if (write) {
        rc = operand(e, i, 0, size, &r, true);
        if (rc != EMULATE_DONE)
            return rc;
    }
    e->rflags = (flags & ~keep) | (e->rflags & keep);
    return EMULATE_DONE;
}

/* A register by the operand: its old value comes from the instruction's register. */
static enum emulate_result load_alu(struct emulate *e, const struct insn *i, enum alu op, unsigned int size)
{
    u64 b, r, flags = e->rflags;
    enum emulate_result rc = operand(e, i, 0, size, &b, false);

    if (rc != EMULATE_DONE)
        return rc;
    r = compute(op, read_reg(e, i, i->reg, size), b & size_mask(size), size, &flags);
    if (op != ALU_CMP)
        write_reg(e, i, i->reg, size, r);
    e->rflags = flags;
    return EMULATE_DONE;
}

/* Register = operand of `size` bytes, extended to `to` bytes. */
static enum emulate_result load(struct emulate *e, const struct insn *i, unsigned int n, unsigned int size, unsigned int to, bool sign)
{
    u64 v;
    enum emulate_result rc = operand(e, i, 0, size, &v, false);

    if (rc == EMULATE_DONE)
        write_reg(e, i, n, to, sign ? sign_extend(v, size) : v & size_mask(size));
    return rc;
}

static enum emulate_result store(struct emulate *e, const struct insn *i, unsigned int size, u64 v)
{
    v &= size_mask(size);
    return operand(e, i, 0, size, &v, true);
}

static enum emulate_result exchange(struct emulate *e, const struct insn *i, unsigned int size)
{
    u64 old, new = read_reg(e, i, i->reg, size);
    enum emulate_result rc = operand(e, i, 0, size, &old, false);

    if (rc == EMULATE_DONE)
        rc = operand(e, i, 0, size, &new, true);
    if (rc == EMULATE_DONE)
        write_reg(e, i, i->reg, size, old);
    return rc;
}

static enum emulate_result exchange_add(struct emulate *e, const struct insn *i, unsigned int size)
{
    u64 old, new, flags = e->rflags;
    enum emulate_result rc = operand(e, i, 0, size, &old, false);

    if (rc != EMULATE_DONE)
        return rc;
    old &= size_mask(size);
    new = compute(ALU_ADD, old, read_reg(e, i, i->reg, size), size, &flags);
    rc = operand(e, i, 0, size, &new, true);
    if (rc != EMULATE_DONE)
        return rc;
    write_reg(e, i, i->reg, size, old);
    e->rflags = flags;
    return EMULATE_DONE;
}

/* The operand is written in either case (SDM: the destination receives a write cycle without regard to the result). */
static enum emulate_result compare_exchange(struct emulate *e, const struct insn *i, unsigned int size)
{
    u64 old, new, flags = e->rflags, mask = size_mask(size);
    enum emulate_result rc = operand(e, i, 0, size, &old, false);

    if (rc != EMULATE_DONE)
        return rc;
    old &= mask;
    (void)compute(ALU_CMP, *gpr(e, RAX) & mask, old, size, &flags);
    new = flags & ZF ? read_reg(e, i, i->reg, size) : old;
    rc = operand(e, i, 0, size, &new, true);
    if (rc != EMULATE_DONE)
        return rc;
    if (!(flags & ZF)) {
        u64 *rax = gpr(e, RAX);

        *rax = size == 4 ? old : (*rax & ~mask) | old;
    }
    e->rflags = flags;
    return EMULATE_DONE;
}

/* BT, BTS, BTR, BTC (op 0 to 3). A bit number in a register reaches beyond the operand; an immediate does not. */
static enum emulate_result bit_test(struct emulate *e, const struct insn *i, unsigned int op, bool by_register)
{
    unsigned int size = i->op_size, bits = 8 * size;
    s64 n = by_register ? (s64)sign_extend(read_reg(e, i, i->reg, size), size) : (s64)(i->imm & (bits - 1)), more;
    u64 v, bit = 1ull << ((u64)n & (bits - 1));
    enum emulate_result rc;
    bool was;

    more = (n >> (size == 8 ? 6 : size == 4 ? 5 : 4)) * size;
    rc = operand(e, i, more, size, &v, false);
    if (rc != EMULATE_DONE)
        return rc;
    was = v & bit;
    if (op) {
        v = op == 1 ? v | bit : op == 2 ? v & ~bit : v ^ bit;
        rc = operand(e, i, more, size, &v, true);
        if (rc != EMULATE_DONE)
            return rc;
    }
    e->rflags = (e->rflags & ~CF) | (was ? CF : 0);
    return EMULATE_DONE;
}

/* ---- strings ---- */

static void step(struct emulate *e, unsigned int reg, unsigned int size, unsigned int addr_size)
{
    u64 *p = gpr(e, reg), mask = addr_size == 2 ? 0xffff : ~0ull, v;

    v = truncate_address(e->rflags & DF ? *p - size : *p + size, addr_size);
    *p = (*p & ~mask) | (v & mask);
}

/* One element of MOVS (a4, a5), STOS (aa, ab) or LODS (ac, ad). */
static enum emulate_result string_one(struct emulate *e, const struct insn *i, unsigned int size)
{
    bool loads = i->opcode < 0xa6 || i->opcode >= 0xac, stores = i->opcode < 0xac;
    unsigned int source = i->override != SEG_NONE ? i->override : SEG_DS;
    u64 v = *gpr(e, RAX) & size_mask(size);
    enum emulate_result rc;

    if (loads) {
        rc = e->ops->memory(e, linear_of(e, source, truncate_address(*gpr(e, RSI), i->addr_size)), size, &v, false);
        if (rc != EMULATE_DONE)
            return rc;
    }
    if (stores) {
        rc = e->ops->memory(e, linear_of(e, SEG_ES, truncate_address(*gpr(e, RDI), i->addr_size)), size, &v, true);
        if (rc != EMULATE_DONE)
            return rc;
        step(e, RDI, size, i->addr_size);
    } else {
        u64 *rax = gpr(e, RAX), mask = size == 4 ? ~0ull : size_mask(size);

        *rax = (*rax & ~mask) | (v & size_mask(size));
    }
    if (loads)
        step(e, RSI, size, i->addr_size);
    return EMULATE_DONE;
}

static void iteration_done(struct emulate *e)
{
    e->at = 0;
    if (e->wait)
        e->wait->done = 0;
}

static enum emulate_result string(struct emulate *e, const struct insn *i, unsigned int size)
{
    unsigned int left = EMULATE_REP_MAX;
    enum emulate_result rc;

    if (!i->rep)
        return string_one(e, i, size);
    while (truncate_address(*gpr(e, RCX), i->addr_size)) {
        u64 *rcx = gpr(e, RCX), mask = i->addr_size == 2 ? 0xffff : ~0ull;

        if (!left--)
            return EMULATE_AGAIN;
        rc = string_one(e, i, size);
        if (rc != EMULATE_DONE)
            return rc;
        *rcx = (*rcx & ~mask) | (truncate_address(*rcx - 1, i->addr_size) & mask);
        iteration_done(e);
    }
    return EMULATE_DONE;
}

/* ---- which instruction ---- */

static enum emulate_result execute_one_byte(struct emulate *e, const struct insn *i)
{
    unsigned int size = i->opcode & 1 ? i->op_size : 1, digit = i->reg & 7;
    u64 reg;

    switch (i->opcode) {
    case 0xa4: case 0xa5: case 0xaa ... 0xad:
        return string(e, i, size);
    }
    if (!i->mem)
        return EMULATE_UNKNOWN;
    reg = read_reg(e, i, i->reg, size);
    switch (i->opcode) {
    case 0x88: case 0x89:
        return store(e, i, size, reg);
    case 0x8a: case 0x8b:
        return load(e, i, i->reg, size, size, false);
    case 0xc6: case 0xc7:
        return digit ? EMULATE_UNKNOWN : store(e, i, size, sign_extend(i->imm, i->imm_size));
    case 0xa0: case 0xa1:
        return load(e, i, RAX, size, size, false);
    case 0xa2: case 0xa3:
        return store(e, i, size, *gpr(e, RAX));
    case 0x00 ... 0x3b:
        if (i->opcode & 4) /* forms without memory; they have no ModRM */
            return EMULATE_UNKNOWN;
        if (i->opcode & 2)
            return load_alu(e, i, i->opcode >> 3, size);
        return modify(e, i, i->opcode >> 3, reg, size, i->opcode >> 3 != ALU_CMP, 0);
    case 0x63: /* MOVSXD; in other modes ARPL */
        return e->mode == INSN_64 ? load(e, i, i->reg, min_of(i->op_size, 4), i->op_size, true) : EMULATE_UNKNOWN;
    case 0x80: case 0x81: case 0x83:
        return modify(e, i, digit, sign_extend(i->imm, i->imm_size), size, digit != ALU_CMP, 0);
    case 0x84: case 0x85:
        return modify(e, i, ALU_AND, reg, size, false, 0);
    case 0x86: case 0x87:
        return exchange(e, i, size);
    case 0xf6: case 0xf7:
        if (digit <= 1)
            return modify(e, i, ALU_AND, sign_extend(i->imm, i->imm_size), size, false, 0);
        if (digit == 2)
            return modify(e, i, ALU_XOR, ~0ull, size, true, ARITHMETIC);
        if (digit == 3) { /* 0 - a: SUB with its operands turned around has the same flags */
            u64 a, r, flags = e->rflags;
            enum emulate_result rc = operand(e, i, 0, size, &a, false);

            if (rc != EMULATE_DONE)
                return rc;
            r = compute(ALU_SUB, 0, a & size_mask(size), size, &flags);
            rc = operand(e, i, 0, size, &r, true);
            if (rc == EMULATE_DONE)
                e->rflags = flags;
            return rc;
        }
        return EMULATE_UNKNOWN;
    case 0xfe: case 0xff:
        return digit > 1 ? EMULATE_UNKNOWN : modify(e, i, digit ? ALU_SUB : ALU_ADD, 1, size, true, CF);
    }
    return EMULATE_UNKNOWN;
}

static enum emulate_result execute_two_byte(struct emulate *e, const struct insn *i)
{
    if (!i->mem)
        return EMULATE_UNKNOWN;
    switch (i->opcode) {
    case 0xb6: case 0xb7: case 0xbe: case 0xbf:
        return load(e, i, i->reg, i->opcode & 1 ? 2 : 1, i->op_size, i->opcode & 8);
    case 0xa3: case 0xab: case 0xb3: case 0xbb:
        return bit_test(e, i, i->opcode >> 3 & 3, true);
    case 0xba:
        return i->reg & 4 ? bit_test(e, i, i->reg & 3, false) : EMULATE_UNKNOWN;
    case 0xb0: case 0xb1:
        return compare_exchange(e, i, i->opcode & 1 ? i->op_size : 1);
    case 0xc0: case 0xc1:
        return exchange_add(e, i, i->opcode & 1 ? i->op_size : 1);
    case 0xc3: /* MOVNTI */
        return i->op_size == 2 || i->rep ? EMULATE_UNKNOWN : store(e, i, i->op_size, read_reg(e, i, i->reg, i->op_size));
    }
    return EMULATE_UNKNOWN;
}

/*
 * The short way: MOV of 32 bits between a register, or an immediate, and memory, without prefix, as kernels write the registers of
 * APICs. The address needs no computing: the processor gave it, and it is not at the start of a page (where the access might have begun in
 * the page before). @return length, 0: not such a one
 */
static unsigned int plain_move(const struct emulate *e, const u8 *b, unsigned int n)
{
    unsigned int mod, rm, length = 2;

    if (n < 11 || !e->gpa_known || e->gpa & 3 || !(e->gpa & (PAGE_SIZE - 1)) || e->mode == INSN_16)
        return 0;
    if ((b[0] & ~2) != 0x89 && (b[0] != 0xc7 || b[1] & 0x38))
        return 0;
    mod = b[1] >> 6;
    rm = b[1] & 7;
    if (mod == 3)
        return 0;
    if (rm == 4) { /* SIB */
        length++;
        rm = b[2] & 7;
    }
    if (mod == 1)
        length += 1;
    else if (mod == 2 || rm == 5)
        length += 4;
    return b[0] == 0xc7 ? length + 4 : length;
}

static enum emulate_result execute_plain_move(struct emulate *e, const u8 *b, unsigned int length)
{
    u64 *reg = gpr(e, b[1] >> 3 & 7), v;
    u32 imm;
    enum emulate_result rc;

    if (b[0] == 0x8b) {
        rc = e->ops->device(e, e->gpa, 4, &v, false);
        if (rc == EMULATE_DONE)
            *reg = (u32)v;
    } else {
        v = (u32)*reg;
        if (b[0] == 0xc7) {
            memcpy(&imm, b + length - 4, sizeof(imm));
            v = imm;
        }
        rc = e->ops->device(e, e->gpa, 4, &v, true);
    }
    if (rc == EMULATE_DONE)
        e->rip = e->mode == INSN_64 ? e->rip + length : (u32)(e->rip + length);
    return rc;
}

/* The instruction waits: the next attempt begins with it as it is decoded here. */
static __cold_ enum emulate_result begin_to_wait(struct emulate *e, const struct insn *i)
{
    if (!e->wait)
        return EMULATE_UNKNOWN;
    e->wait->active = true;
    e->wait->insn = *i;
    return EMULATE_WAIT;
}

enum emulate_result emulate(struct emulate *e, const u8 *bytes, unsigned int n)
{
    struct emulate_wait *w = e->wait;
    bool waited = w && w->active;
    enum emulate_result rc;
    struct insn insn, *i = &insn;
    unsigned int length;

    e->at = 0;
    if (likely(!waited)) {
        if (w)
            w->done = 0;
        length = plain_move(e, bytes, n);
        rc = length ? execute_plain_move(e, bytes, length) : EMULATE_UNKNOWN;
        if (likely(length && rc != EMULATE_WAIT))
            return rc;
        if (!insn_decode(i, bytes, n, e->mode) || i->vex)
            return EMULATE_UNKNOWN;
        if (rc == EMULATE_WAIT)
            return begin_to_wait(e, i);
    } else {
        insn = w->insn;
    }
    rc = i->map == MAP_ONE ? execute_one_byte(e, i) : i->map == MAP_0F ? execute_two_byte(e, i) : EMULATE_UNKNOWN;
    if (unlikely(rc == EMULATE_WAIT))
        return begin_to_wait(e, i);
    if (w) {
        w->active = false;
        w->done = 0;
    }
    if (rc == EMULATE_DONE) {
        e->rip += i->length;
        if (e->mode != INSN_64)
            e->rip = (u32)e->rip;
    }
    return rc;
}

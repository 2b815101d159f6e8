/* SPDX-License-Identifier: MIT */
/*
 * Writes to page tables by fault. A guest kernel maps its L1 tables read-only; where it writes one with an ordinary
 * instruction instead of a hypercall, the fault comes here: the instruction is decoded, its result computed, and the entry
 * changed by typing.c's rules with a compare-and-swap on the real entry, so that locked forms are as atomic as the guest
 * believes.
 *
 * Forms: MOV, XCHG, CMPXCHG, XADD, ADD OR ADC SBB AND SUB XOR, NOT NEG INC DEC, BTS BTR BTC, STOS, of 1, 2, 4 and 8 bytes,
 * with or without LOCK, as long as the access stays within one entry. Sources: SDM vol. 2, opcode maps; §3.4.3.1 of vol. 1
 * for flags. Does not: compute the effective address; the fault gives it (CR2), the rest of the instruction only its
 * length.
 */
#include "pv.h"
#include "typing.h"
#include <trace/trace.h>

struct insn {
    u8 rex, opcode, modrm, len, size; /* size of the operand, bytes */
    bool two_byte, opsize16;
    u64 imm;
};

/* Length of ModRM, SIB and displacement; 0 for a register operand (cannot fault on memory). */
static inline unsigned int modrm_length(const u8 *p, bool *memory)
{
    u8 mod = p[0] >> 6, rm = p[0] & 7;
    unsigned int n = 1;

    *memory = mod != 3;
    if (mod == 3)
        return 1;
    if (rm == 4) {
        n++;
        if (mod == 0 && (p[1] & 7) == 5)
            n += 4;
    } else if (mod == 0 && rm == 5) {
        n += 4;
    }
    return n + (mod == 1 ? 1 : mod == 2 ? 4 : 0);
}

static u64 mask_of(unsigned int size)
{
    return size == 8 ? ~0ull : (1ull << (size * 8)) - 1;
}

/* The register operand of ModRM.reg (with REX.R); AH to BH for bytes without REX. */
static u64 read_reg(struct regs *r, const struct insn *in, unsigned int n)
{
    if (in->size == 1 && !in->rex && n >= 4 && n < 8)
        return (*gpr(r, n - 4) >> 8) & 0xff;
    return *gpr(r, n) & mask_of(in->size);
}

static void write_reg(struct regs *r, const struct insn *in, unsigned int n, u64 v)
{
    u64 *p;

    if (in->size == 1 && !in->rex && n >= 4 && n < 8) {
        p = gpr(r, n - 4);
        *p = (*p & ~0xff00ull) | (v & 0xff) << 8;
        return;
    }
    p = gpr(r, n);
    if (in->size == 8)
        *p = v;
    else if (in->size == 4)
        *p = (u32)v;
    else
        *p = (*p & ~mask_of(in->size)) | (v & mask_of(in->size));
}

#define ARITH_FLAGS (X86_FLAGS_CF | X86_FLAGS_PF | X86_FLAGS_AF | X86_FLAGS_ZF | X86_FLAGS_SF | X86_FLAGS_OF)

static inline u64 result_flags(u64 v, unsigned int size)
{
    u64 f = 0;

    v &= mask_of(size);
    if (!v)
        f |= X86_FLAGS_ZF;
    if (v >> (size * 8 - 1))
        f |= X86_FLAGS_SF;
    if (!__builtin_parity(v & 0xff))
        f |= X86_FLAGS_PF;
    return f;
}

/* dst op src for the eight operations of opcode group 1; flags set as the processor would. */
static u64 alu(unsigned int op, u64 dst, u64 src, unsigned int size, u64 *flags)
{
    u64 m = mask_of(size), carry = *flags & X86_FLAGS_CF ? 1 : 0, v, f = 0, top = 1ull << (size * 8 - 1);

    dst &= m;
    src &= m;
    switch (op) {
    case 1: v = dst | src; break;
    case 4: v = dst & src; break;
    case 6: v = dst ^ src; break;
    case 0:
    case 2:
        carry = op == 2 ? carry : 0;
        v = (dst + src + carry) & m;
        if (v < dst || (carry && v == dst))
            f |= X86_FLAGS_CF;
        if ((dst ^ v) & (src ^ v) & top)
            f |= X86_FLAGS_OF;
        f |= (dst ^ src ^ v) & X86_FLAGS_AF;
        break;
    default: /* 3 SBB, 5 SUB, 7 CMP */
        carry = op == 3 ? carry : 0;
        v = (dst - src - carry) & m;
        if (dst < src || (carry && dst == src))
            f |= X86_FLAGS_CF;
        if ((dst ^ src) & (dst ^ v) & top)
            f |= X86_FLAGS_OF;
        f |= (dst ^ src ^ v) & X86_FLAGS_AF;
        break;
    }
    *flags = (*flags & ~(u64)ARITH_FLAGS) | f | result_flags(v, size);
    return v;
}

/* Decode what can write memory. False: not one of the forms above. */
static bool decode(const u8 *b, unsigned int n, struct insn *in)
{
    unsigned int i = 0, imm = 0;
    bool memory = true;

    for (;; i++) {
        if (i >= n)
            return false;
        if (b[i] == 0x66)
            in->opsize16 = true;
        else if (b[i] != 0xf0 && b[i] != 0x3e && b[i] != 0x2e && b[i] != 0x26 && b[i] != 0x36 && b[i] != 0x64 && b[i] != 0x65)
            break;
    }
    if ((b[i] & 0xf0) == 0x40)
        in->rex = b[i++];
    if (b[i] == 0x0f) {
        in->two_byte = true;
        i++;
    }
    in->opcode = b[i++];
    in->size = in->rex & 8 ? 8 : in->opsize16 ? 2 : 4;
    if (in->two_byte) {
        switch (in->opcode) {
        case 0xb0: case 0xc0: in->size = 1; break;      /* CMPXCHG, XADD of bytes */
        case 0xb1: case 0xc1: case 0xab: case 0xb3: case 0xbb: break;
        case 0xba: imm = 1; break;
        default: return false;
        }
    } else {
        u8 op = in->opcode;

        if (op == 0xaa || op == 0xab) { /* STOS */
            if (op == 0xaa)
                in->size = 1;
            in->len = i;
            return i <= n;
        }
        if (!(op & 1) && op != 0xc7)
            in->size = 1;
        if (op < 0x40 && (op & 7) < 2)
            ;
        else if (op == 0x80)
            imm = 1;
        else if (op == 0x81)
            imm = in->size == 2 ? 2 : 4;
        else if (op == 0x83)
            imm = 1;
        else if (op == 0xc6)
            imm = 1;
        else if (op == 0xc7)
            imm = in->size == 2 ? 2 : 4;
        else if (!(op == 0x86 || op == 0x87 || op == 0x88 || op == 0x89 || op == 0xf6 || op == 0xf7 || op == 0xfe || op == 0xff))
            return false;
    }
    if (i >= n)
        return false;
    in->modrm = b[i];
    i += modrm_length(b + i, &memory);
    if (!memory || i + imm > n)
        return false;
    for (unsigned int k = 0; k < imm; k++)
        in->imm |= (u64)b[i + k] << (8 * k);
    if (imm && imm < 8 && (in->imm >> (imm * 8 - 1) & 1)) /* immediates are sign-extended */
        in->imm |= ~0ull << (imm * 8);
    in->len = i + imm;
    return true;
}

/* The operand's new value from its old one; false where the form is not known. *reg_out takes what goes back to a
 * register. */
static bool execute(struct regs *r, const struct insn *in, u64 old, u64 *new, u64 *flags, u64 *reg_out, int *reg_n)
{
    unsigned int reg = ((in->modrm >> 3) & 7) | (in->rex & 4 ? 8 : 0), sub = (in->modrm >> 3) & 7;
    u64 src = read_reg(r, in, reg), bit;
    u8 op = in->opcode;

    *reg_n = -1;
    if (in->two_byte) {
        switch (op) {
        case 0xb0: case 0xb1: { /* CMPXCHG */
            u64 acc = r->rax & mask_of(in->size);

            (void)alu(7, acc, old, in->size, flags);
            if (acc == old) {
                *new = src;
            } else {
                *new = old;
                *reg_n = 0;
                *reg_out = old;
            }
            return true;
        }
        case 0xc0: case 0xc1: /* XADD */
            *new = alu(0, old, src, in->size, flags);
            *reg_n = reg;
            *reg_out = old;
            return true;
        case 0xba:
            if (sub < 5)
                return false;
            bit = 1ull << (in->imm & (in->size * 8 - 1));
            break;
        default: /* BTS BTR BTC with a register: the fault's address already includes the offset's words */
            bit = 1ull << (src & (in->size * 8 - 1));
            sub = op == 0xab ? 5 : op == 0xb3 ? 6 : 7;
            break;
        }
        *flags = (*flags & ~(u64)X86_FLAGS_CF) | (old & bit ? X86_FLAGS_CF : 0);
        *new = sub == 5 ? old | bit : sub == 6 ? old & ~bit : old ^ bit;
        return true;
    }
    if (op < 0x40) {
        if (op >> 3 == 7) /* CMP writes nothing */
            return false;
        *new = alu(op >> 3, old, src, in->size, flags);
        return true;
    }
    switch (op) {
    case 0x88: case 0x89: *new = src; return true;
    case 0xc6: case 0xc7: *new = in->imm; return sub == 0;
    case 0xaa: case 0xab: *new = r->rax; return true;
    case 0x86: case 0x87:
        *new = src;
        *reg_n = reg;
        *reg_out = old;
        return true;
    case 0x80: case 0x81: case 0x83:
        if (sub == 7)
            return false;
        *new = alu(sub, old, in->imm, in->size, flags);
        return true;
    case 0xf6: case 0xf7:
        if (sub == 2)
            *new = ~old;
        else if (sub == 3)
            *new = alu(5, 0, old, in->size, flags);
        else
            return false;
        return true;
    case 0xfe: case 0xff: { /* INC and DEC leave the carry */
        u64 carry = *flags & X86_FLAGS_CF;

        if (sub > 1)
            return false;
        *new = alu(sub == 0 ? 0 : 5, old, 1, in->size, flags);
        *flags = (*flags & ~(u64)X86_FLAGS_CF) | carry;
        return true;
    }
    default:
        return false;
    }
}

/* Put val where old is still; false: the guest's other vCPU was quicker, compute again. */
static bool store(u64 *entry, u64 old, u64 val, struct domain *d, int *err)
{
    *err = pte_change_if(entry, old, val, d);
    return *err != -XEN_EAGAIN;
}

/*
 * The forms in which kernels write entries: MOV and XCHG of 8 bytes from a register (set_pte, clear and flush), LOCK AND of
 * one byte by a constant or AL to BL (write protection at fork). A kernel that writes many writes them by one instruction:
 * each vCPU remembers how its last one was decoded, by address and bytes.
 */
enum { FORM_NONE, FORM_MOV, FORM_XCHG, FORM_AND_REG, FORM_AND_CONST };

/* Decode one of these; false: another form, or longer than eight bytes. */
static bool decode_usual(const u8 *b, struct ptwr_insn *in)
{
    unsigned int i = b[0] == 0xf0 || b[0] == 0x3e, rex = 0; /* a kernel on one CPU turns LOCK into a DS prefix */
    bool memory;

    in->form = FORM_NONE;
    if ((b[i] & 0xf0) == 0x40)
        rex = b[i++];
    in->len = i + 1 + modrm_length(b + i + 1, &memory);
    in->reg = ((b[i + 1] >> 3) & 7) | (rex & 4 ? 8 : 0);
    if (!memory)
        return false;
    if ((rex & 8) && b[i] == 0x89)
        in->form = FORM_MOV;
    else if ((rex & 8) && b[i] == 0x87)
        in->form = FORM_XCHG;
    else if (b[i] == 0x20 && (b[i + 1] & 0x38) < 0x20)
        in->form = FORM_AND_REG;
    else if (b[i] == 0x80 && (b[i + 1] & 0x38) == 0x20) {
        in->form = FORM_AND_CONST;
        in->keep = b[in->len++];
    }
    return in->form != FORM_NONE && in->len <= 8;
}

/* PF, ZF and SF of a byte, as AND leaves them (CF, OF and AF clear). */
static inline u64 flags_of_byte(u8 v)
{
    u16 ax;

    __asm__("testb %1, %1; lahf" : "=a"(ax) : "q"(v) : "cc");
    return (ax >> 8) & (X86_FLAGS_PF | X86_FLAGS_ZF | X86_FLAGS_SF);
}

/* Execute one of these on an entry, or on its byte `off`. False: the guest may not have what it would write, or not
 * one of these. */
static __always_inline_ bool execute_usual(struct vcpu *v, struct regs *r, const struct ptwr_insn *in, u64 *entry,
                                           unsigned int off)
{
    u64 old, new, *reg;
    int err;

    if (in->form >= FORM_AND_REG) {
        u8 keep = likely(in->form == FORM_AND_CONST) ? in->keep : (u8)*gpr(r, in->reg);

        do {
            old = READ_ONCE(*entry);
            new = old & ~((u64)(u8)~keep << (off * 8));
        } while (unlikely(!store(entry, old, new, v->domain, &err)));
        if (unlikely(err))
            return false;
        r->rflags = (r->rflags & ~(u64)ARITH_FLAGS) | flags_of_byte(new >> (off * 8));
    } else {
        if (in->form == FORM_NONE || off)
            return false;
        reg = gpr(r, in->reg);
        new = *reg;
        do
            old = READ_ONCE(*entry);
        while (unlikely(!store(entry, old, new, v->domain, &err)));
        if (unlikely(err))
            return false;
        if (in->form == FORM_XCHG)
            *reg = old;
    }
    r->rip += in->len;
    return true;
}

/* Any form, as it comes. False: no such form, or an entry that the guest may not have. */
static __attribute__((noinline)) bool decode_and_execute(struct vcpu *v, struct regs *r, u64 *entry, unsigned int off)
{
    struct ptwr_insn *last = &v->arch.ptwr;
    u64 old, new, val, flags, reg_out = 0, m;
    struct insn in = {0};
    int reg_n, err;
    u8 bytes[16];
    unsigned int n = pv_fetch(r, bytes);

    if (n == 15 && decode_usual(bytes, last) && !(last->form <= FORM_XCHG && off)) {
        last->rip = r->rip;
        memcpy(&last->bytes, bytes, sizeof(last->bytes));
        return execute_usual(v, r, last, entry, off);
    }
    last->form = FORM_NONE;
    if (!decode(bytes, n, &in) || off + in.size > 8)
        return false;
    m = mask_of(in.size) << (off * 8);
    do {
        old = READ_ONCE(*entry);
        flags = r->rflags;
        if (!execute(r, &in, (old & m) >> (off * 8), &new, &flags, &reg_out, &reg_n))
            return false;
        val = (old & ~m) | (new << (off * 8) & m);
    } while (!store(entry, old, val, v->domain, &err));
    if (err) /* an entry that the guest may not have: it is told by the fault */
        return false;
    if (reg_n >= 0)
        write_reg(r, &in, reg_n, reg_out);
    if (!in.two_byte && (in.opcode == 0xaa || in.opcode == 0xab))
        r->rdi += r->rflags & X86_FLAGS_DF ? -(u64)in.size : in.size;
    r->rflags = (r->rflags & ~(u64)ARITH_FLAGS) | (flags & ARITH_FLAGS);
    r->rip += in.len;
    return true;
}

static __always_inline_ bool ptwr_locked(struct vcpu *v, struct regs *r, u64 cr2)
{
    u64 *map = pv_walk_l1(v->arch.cr3_kernel, cr2), *entry, pte, bytes;
    const u64 settled = FRAME_TYPE_MASK | FRAME_VALIDATED;
    struct frame *f;
    bool ok;

    if (!map)
        return false;
    pte = *map;
    if ((pte & (PTE_P | PTE_RW)) != PTE_P || !mfn_is_memory(MFN((pte & PTE_MFN) >> PAGE_SHIFT)))
        return false;
    f = frame_of(MFN((pte & PTE_MFN) >> PAGE_SHIFT));
    if ((f->word & settled) != (FRAME_TYPE(FT_L1) | FRAME_VALIDATED) || !frame_tc(f->word) ||
        f->owner != v->domain->id)
        return false;
    entry = (u64 *)(directmap + (pte & PTE_MFN) + (cr2 & ~PAGE_MASK & ~7ull));
    if (likely(r->rip == v->arch.ptwr.rip)) {
        stac();
        ok = guest_get8(r->rip, &bytes);
        clac();
        if (likely(ok && bytes == v->arch.ptwr.bytes && v->arch.ptwr.form) &&
            execute_usual(v, r, &v->arch.ptwr, entry, cr2 & 7))
            return true;
    }
    return decode_and_execute(v, r, entry, cr2 & 7);
}

bool pv_ptwr(struct vcpu *v, struct regs *r, u64 cr2)
{
    bool done;

    tables_lock(v->domain);
    done = ptwr_locked(v, r, cr2);
    tables_unlock(v->domain);
    return done;
}

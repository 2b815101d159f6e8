/* SPDX-License-Identifier: MIT */
/*
 * The instruction decoder of hardware-assisted domains: length of an instruction where the processor does not tell it, and the
 * operands of those that touch device memory or move strings through ports. Pure: bytes in, description out; it reads no guest
 * memory and knows no vCPU (APM vol. 3, SDM vol. 2).
 */
#ifndef PARANGON_HVM_DECODE_H
#define PARANGON_HVM_DECODE_H

#include "types.h"

#define INSN_MAX 15 /* bytes */

enum insn_mode { INSN_16, INSN_32, INSN_64 }; /* default operand and address size of the code segment */

enum insn_kind {
    INSN_OTHER,     /* length known, no operands described */
    INSN_LOAD,      /* register = memory, zero- or sign-extended (mov, movzx, movsx, movsxd) */
    INSN_STORE,     /* memory = register or immediate */
    INSN_ALU,       /* register OP memory, memory OP register or immediate: and or xor add sub cmp test, with flags */
    INSN_XCHG, INSN_CMPXCHG, INSN_BITOP,
    INSN_STRING,    /* movs, stos, lods, ins, outs: with or without REP */
};

enum insn_alu { INSN_ADD, INSN_OR, INSN_ADC, INSN_SBB, INSN_AND, INSN_SUB, INSN_XOR, INSN_CMP, INSN_TEST, INSN_NOT, INSN_INC, INSN_DEC,
                INSN_BT, INSN_BTS, INSN_BTR, INSN_BTC };

/** Registers by their number in encodings: rax rcx rdx rbx rsp rbp rsi rdi r8 to r15. */
#define INSN_NO_REG 0xff

struct insn {
    u8 length;
    u8 kind;              /* enum insn_kind */
    u8 map, opcode;       /* 0: one byte, 1: 0f, 2: 0f 38, 3: 0f 3a */
    u8 op_size;           /* bytes of the memory operand: 1, 2, 4, 8 */
    u8 reg_size;          /* bytes of the register operand written by a load */
    u8 address_size;      /* 2, 4, 8 */
    u8 segment;           /* override: 0 es 1 cs 2 ss 3 ds 4 fs 5 gs, 0xff none */
    bool rep, repne, lock, sign_extend, has_memory, has_immediate, rex, high_byte; /* high_byte: register 4 to 7 is ah ch dh bh */
    bool memory_is_destination;
    u8 alu;               /* enum insn_alu */
    u8 modrm, reg;        /* reg: the register operand's number */
    u8 base, index, scale; /* of the memory operand; INSN_NO_REG; scale 1, 2, 4, 8 */
    bool rip_relative;
    s64 displacement, immediate;
};

/**
 * Decode one instruction from at most nr bytes. False: not an instruction, or it needs more bytes than there are.
 * length is right for every instruction of 64-, 32- and 16-bit code that is described in the manual (VEX and EVEX too).
 */
bool insn_decode(struct insn *i, const u8 *bytes, unsigned int nr, enum insn_mode mode);

#endif

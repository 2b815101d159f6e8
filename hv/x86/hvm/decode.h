/* SPDX-License-Identifier: MIT */
/*
 * The instruction decoder: what a guest's instruction is, how long, and which operands it has, from its bytes alone.
 *
 * Why it exists: an exit has to step over the instruction that caused it, and some processors do not say how long that is
 * (SVM without nRIP save); an access to a device's memory and a string port instruction have to be carried out (emulate.h).
 * One decoder serves all of these, in 16, 32 and 64-bit code. Pure: it knows no vCPU and compiles in the host library too.
 *
 * Bytes come from the caller, who fetched them once: what the guest writes over its code afterwards has no effect.
 * Does not: fetch, execute, or judge whether the processor would have raised #UD. An instruction that caused an exit was
 * accepted by the processor; of bytes that changed since, only the length is wrong, and only their guest suffers.
 * Of VEX, EVEX and XOP forms only the length is told; 3DNow! is not known. None of them exits by its opcode.
 * Sources: SDM vol. 2 ch. 2 and appendix A (formats, opcode maps), APM vol. 3 ch. 1 and appendix A.
 * In 64-bit code a near branch with an operand-size prefix has a 32-bit displacement (Intel; AMD: 16-bit).
 */
#ifndef PARANGON_HVM_DECODE_H
#define PARANGON_HVM_DECODE_H

#include "types.h"

#define INSN_MAX 15 /* bytes */

/** Of the code segment; the value is its default address size in bytes. */
enum insn_mode { INSN_16 = 2, INSN_32 = 4, INSN_64 = 8 };

enum insn_segment { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_COUNT, SEG_NONE = 0xff };

enum insn_map { MAP_ONE, MAP_0F, MAP_0F38, MAP_0F3A };

enum insn_error {
    INSN_E_SHORT = 1, /* the bytes end before the instruction does */
    INSN_E_LONG,      /* more than 15 bytes: the processor raises #GP */
    INSN_E_UNKNOWN,   /* no instruction that this decoder knows */
};

#define REX_W 8
#define REX_R 4
#define REX_X 2
#define REX_B 1

/** Base of an address: a register by its number in encodings (rax rcx rdx rbx rsp rbp rsi rdi r8 to r15), or one of these. */
#define INSN_NO_REG 0xff
#define INSN_RIP    0xfe

struct insn {
    u8 length;
    u8 error;         /* enum insn_error where insn_decode() was false */
    u8 map;           /* enum insn_map */
    u8 opcode;        /* last byte of the opcode */
    u8 rep;           /* 0xf2, 0xf3 (the last of them), or 0 */
    bool lock;
    bool size_prefix; /* 0x66 was there */
    bool vex;         /* VEX, EVEX or XOP: of what follows only length is right */
    bool rex_seen;    /* byte registers 4 to 7 are SPL to DIL, else AH to BH */
    u8 rex;           /* REX_W, REX_R, REX_X, REX_B */
    u8 op_size;       /* of operands that are not bytes: 2, 4 or 8 */
    u8 addr_size;     /* 2, 4 or 8 */
    u8 override;      /* segment prefix in force, or SEG_NONE */
    bool has_modrm;
    bool mem;         /* the r/m operand, or moffs, is memory: base, index, scale, disp, segment say where */
    u8 modrm;
    u8 reg;           /* ModRM.reg with REX.R; the digit of a group is reg & 7 */
    u8 rm;            /* a register operand: ModRM.rm with REX.B */
    u8 base, index, scale; /* numbers of registers, INSN_NO_REG or INSN_RIP; scale 1, 2, 4, 8 */
    u8 segment;       /* of the memory operand: the override, else the base's */
    u8 imm_size;      /* bytes, 0: none */
    s64 disp;         /* sign-extended; moffs: the address */
    u64 imm;          /* zero-extended from imm_size bytes; ENTER: 16 bits, then 8; a far pointer: offset, then selector */
};

/** Decode the instruction at bytes[0..n-1]. False: i->error says why, the rest is undefined. */
bool insn_decode(struct insn *i, const u8 *bytes, unsigned int n, enum insn_mode mode);

/** Instructions that cause exits by what they are. */
enum insn_kind {
    INSN_CPUID, INSN_RDMSR, INSN_WRMSR, INSN_HLT, INSN_VMMCALL, INSN_VMCALL, INSN_RDTSC, INSN_RDTSCP, INSN_RDPMC, INSN_PAUSE,
    INSN_XSETBV, INSN_CLTS, INSN_INVD, INSN_WBINVD, INSN_RSM, INSN_MONITOR, INSN_MWAIT, INSN_SVM, INSN_ICEBP, INSN_INT3,
    INSN_INTO, INSN_INT, INSN_PUSHF, INSN_POPF, INSN_IRET, INSN_IN, INSN_OUT, INSN_INS, INSN_OUTS, INSN_MOV_CR, INSN_MOV_DR,
    INSN_LMSW, INSN_SMSW, INSN_INVLPG, INSN_INVPCID, INSN_TABLE_0F00, INSN_TABLE_0F01, INSN_VMX, INSN_KINDS
};

/**
 * Length of the instruction of a known kind at bytes[0..n-1]; 0 if another instruction stands there (the guest changed it,
 * or it is longer than n). The plain form (no prefix, no operand) costs a load, a mask and a comparison where n is 4 or more.
 */
unsigned int insn_length(enum insn_kind kind, const u8 *bytes, unsigned int n, enum insn_mode mode);

#endif

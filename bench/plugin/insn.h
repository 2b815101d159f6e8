/* SPDX-License-Identifier: MIT */
/*
 * What one x86 instruction is to the counting plugin: which event it is, whether it repeats, where
 * it may jump.
 *
 * Why it exists: QEMU hands over the bytes of an instruction, already delimited; a dozen opcodes
 * matter. This is no disassembler: it never finds a length, and what it does not know is
 * INSN_PLAIN.
 * Does not: know the processor's mode. In 16- and 32-bit code the bytes 40–4f are whole
 * instructions and not prefixes; being one byte long they leave nothing to decode, so the 64-bit
 * reading stays harmless.
 */
#ifndef PARANGON_PLUGIN_INSN_H
#define PARANGON_PLUGIN_INSN_H

#include <stddef.h>
#include <stdint.h>

#include "../interval.h"

#define INSN_MAX      15
#define INSN_NO_EVENT 0xff

enum insn_flag {
    INSN_REP = 1,    /* a string instruction under REP, REPE or REPNE */
    INSN_BRANCH = 2, /* a direct jump: cannot fault; insn.target is set */
    INSN_SOFT = 4,   /* INT n, INT3, INT1: enters its gate after it has retired */
    INSN_CALL = 8,   /* a direct call: insn.target is set */
    INSN_LIDT = 16,
    INSN_VMRUN = 32, /* the guest runs next */
};

struct insn {
    uint8_t flags; /* enum insn_flag */
    uint8_t event; /* enum counter_id that one execution counts, or INSN_NO_EVENT */
    uint8_t mark;  /* MARK_KIND_* (mark.h), 0: none */
    uint8_t rep_reads; /* of a REP: reads per iteration that move an element; 0: its writes do */
    uint8_t rep_size; /* of a REP: bytes of an element */
    uint64_t target;  /* of a direct jump or call */
};

/**
 * Decode one instruction.
 *
 * @param bytes  the instruction's bytes
 * @param len    how many, 1 to INSN_MAX
 * @param pc     its address, for relative targets
 * @return       what it is; never fails
 *
 * Opcodes: Intel SDM vol. 2, appendix A (opcode map); AMD APM vol. 3 for VMRUN.
 */
struct insn insn_decode(const uint8_t *bytes, size_t len, uint64_t pc);

#endif

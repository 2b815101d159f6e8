/* SPDX-License-Identifier: MIT */
/*
 * The decoder of insn.h: prefixes, then one switch per opcode map.
 */
#include "insn.h"

#include <stdbool.h>
#include <string.h>

#include "../mark.h"

struct prefixes {
    bool opsize, rep, repne;
    uint8_t rex;
};

static size_t read_prefixes(const uint8_t *bytes, size_t len, struct prefixes *p)
{
    size_t i = 0;

    for (; i < len; i++) {
        switch (bytes[i]) {
        case 0x66:
            p->opsize = true;
            continue;
        case 0xf3:
            p->rep = true;
            continue;
        case 0xf2:
            p->repne = true;
            continue;
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
        case 0x64:
        case 0x65:
        case 0x67:
        case 0xf0:
            continue;
        }
        break;
    }
    if (i < len && (bytes[i] & 0xf0) == 0x40)
        p->rex = bytes[i++];
    return i;
}

/* 0f 01: the group whose register forms are instructions of their own. */
static void decode_0f01(struct insn *insn, uint8_t modrm)
{
    unsigned reg = (modrm >> 3) & 7;

    if (modrm < 0xc0) {
        if (reg == 7)
            insn->event = COUNTER_invlpg;
        else if (reg == 6)
            insn->event = COUNTER_cr_write; /* LMSW */
        else if (reg == 3)
            insn->flags |= INSN_LIDT;
        return;
    }
    switch (modrm) {
    case 0xd8: /* VMRUN */
        insn->flags |= INSN_VMRUN;
        insn->event = COUNTER_vmrun;
        return;
    case 0xc2: /* VMLAUNCH */
    case 0xc3: /* VMRESUME */
        insn->event = COUNTER_vmrun;
        return;
    case 0xf8: /* SWAPGS */
        insn->event = COUNTER_wrbase;
        return;
    case 0xf9: /* RDTSCP */
        insn->event = COUNTER_rdtsc;
        return;
    }
    if (reg == 6)
        insn->event = COUNTER_cr_write;
}

static void decode_0f(struct insn *insn, const uint8_t *op, size_t len, const struct prefixes *p,
                      uint64_t end)
{
    uint8_t modrm = len > 2 ? op[2] : 0;
    unsigned reg = ((modrm >> 3) & 7) | (p->rex & 4 ? 8 : 0);
    int32_t rel;

    switch (op[1]) {
    case 0x01:
        decode_0f01(insn, modrm);
        break;
    case 0x05:
        insn->event = COUNTER_syscall;
        break;
    case 0x06: /* CLTS */
        insn->event = COUNTER_cr_write;
        break;
    case 0x07:
        insn->event = COUNTER_sysret;
        break;
    case 0x1f:
        if (len == 8 && modrm == 0x84 && op[3] == 0x00 && op[6] == (MARK_MAGIC & 0xff) &&
            op[7] == MARK_MAGIC >> 8 && op[5] == 0)
            insn->mark = op[4];
        break;
    case 0x22:
        if (reg == 3)
            insn->event = COUNTER_cr3_load;
        else if (reg == 0 || reg == 4 || reg == 8)
            insn->event = COUNTER_cr_write;
        break;
    case 0x30:
        insn->event = COUNTER_wrmsr;
        break;
    case 0x31:
        insn->event = COUNTER_rdtsc;
        break;
    case 0x32:
        insn->event = COUNTER_rdmsr;
        break;
    case 0x38:
        if (modrm == 0x82 && p->opsize)
            insn->event = COUNTER_invpcid;
        break;
    case 0x80 ... 0x8f:
        if (len == 6) {
            memcpy(&rel, op + 2, sizeof(rel));
            insn->flags |= INSN_BRANCH;
            insn->target = end + (int64_t)rel;
        }
        break;
    case 0xa2:
        insn->event = COUNTER_cpuid;
        break;
    case 0xae:
        if (p->rep && modrm >= 0xc0 && ((modrm >> 3) & 6) == 2) /* WRFSBASE, WRGSBASE */
            insn->event = COUNTER_wrbase;
        break;
    }
}

static void decode_string(struct insn *insn, uint8_t op, const struct prefixes *p)
{
    if (!p->rep && !p->repne)
        return;
    insn->flags |= INSN_REP;
    insn->rep_size = !(op & 1) ? 1 : p->rex & 8 ? 8 : p->opsize ? 2 : 4;
    if (op < 0x70 && insn->rep_size == 8)
        insn->rep_size = 4; /* INS and OUTS have no 64-bit form */

    switch (op & 0xfe) {
    case 0xa6: /* CMPS reads both operands */
        insn->rep_reads = 2;
        break;
    case 0xac: /* LODS */
    case 0xae: /* SCAS */
    case 0x6e: /* OUTS */
        insn->rep_reads = 1;
        break;
    default: /* MOVS, STOS, INS */
        insn->rep_reads = 0;
    }
}

struct insn insn_decode(const uint8_t *bytes, size_t len, uint64_t pc)
{
    struct insn insn = {.event = INSN_NO_EVENT};
    struct prefixes p = {0};
    size_t at = read_prefixes(bytes, len, &p);
    const uint8_t *op = bytes + at;
    uint64_t end = pc + len;
    int32_t rel;

    len -= at;
    if (len == 0)
        return insn;

    switch (op[0]) {
    case 0x0f:
        if (len > 1)
            decode_0f(&insn, op, len, &p, end);
        break;
    case 0x6c ... 0x6f:
        insn.event = COUNTER_pio;
        decode_string(&insn, op[0], &p);
        break;
    case 0xa4 ... 0xa7:
    case 0xaa ... 0xaf:
        decode_string(&insn, op[0], &p);
        break;
    case 0x70 ... 0x7f:
    case 0xe0 ... 0xe3:
    case 0xeb:
        if (len == 2) {
            insn.flags |= INSN_BRANCH;
            insn.target = end + (int64_t)(int8_t)op[1];
        }
        break;
    case 0xe8:
    case 0xe9:
        if (len == 5) {
            memcpy(&rel, op + 1, sizeof(rel));
            insn.flags |= op[0] == 0xe8 ? INSN_CALL : INSN_BRANCH;
            insn.target = end + (int64_t)rel;
        }
        break;
    case 0xcc:
    case 0xcd:
    case 0xf1:
        insn.flags |= INSN_SOFT;
        insn.event = COUNTER_intn;
        break;
    case 0xcf:
        insn.event = COUNTER_iret;
        break;
    case 0xe4 ... 0xe7:
    case 0xec ... 0xef:
        insn.event = COUNTER_pio;
        break;
    case 0xf4:
        insn.event = COUNTER_hlt;
        break;
    }
    return insn;
}

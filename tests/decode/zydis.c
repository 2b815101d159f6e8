/* SPDX-License-Identifier: MIT */
/*
 * The decoder against Zydis: length, addressing, immediates, over every opcode with every ModRM byte and over random bytes,
 * in 16, 32 and 64-bit code.
 *
 *   decode_zydis [-n RANDOM_STRINGS] [-s SEED]
 *
 * insn_length() is held to insn_decode() on the random bytes, and to a list of what each kind is. Bytes lie at the end of their own
 * allocation, so that the address sanitizer sees a look behind them.
 *
 * Where both decode, length, address size, memory operand and immediates must be equal. Where they differ by design, the
 * difference has a name (enum why below) and is counted; any other is an error. Exit status: 0 no error, 1 some (the first
 * twenty are printed), 2 usage.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <Zydis/Zydis.h>

#include "hv/x86/hvm/decode.h"

enum why {
    EQUAL,            /* both decode, and agree */
    BOTH_REFUSE,      /* neither decodes */
    SHORT_BOTH,       /* both want more bytes */
    LONG_BOTH,        /* both find more than 15 bytes */
    EXTENDED,         /* VEX, EVEX, XOP: equal in length, which is all that decode.h promises */
    AMD_3DNOW,        /* known to Zydis only (decode.h) */
    NOT_JUDGED,       /* undefined for Zydis: decode.h does not judge what the processor accepts */
    UNDEFINED_EITHER, /* undefined for us by opcode; Zydis wants more bytes first, or finds it too long */
    LONG_SOON,        /* cut, so more bytes are wanted here; Zydis sees already that they would be more than 15 */
    KNC_JUMP,         /* JKZD, JKNZD: VEX-coded jumps of Knights Corner, which no later processor has */
    FIXED_ADDRESS,    /* ENCLS, ENCLU, ENCLV, MPX: Zydis tells the one address size they have, whatever the prefix */
    NOTRACK,          /* 3e before a near indirect jump or call: CET's prefix for Zydis, here DS too (without effect in 64-bit code) */
    ZYDIS_R13,        /* Zydis 4.0.0 gives base R13 to a SIB without base (mod 0, base 5) under 67 and REX.B; SDM table 2-3: none */
    WRONG,
    NR_WHY
};
static const char *const why_name[NR_WHY] = {
    "equal", "both refuse", "both want more bytes", "both find it too long",
    "VEX, EVEX, XOP: equal length", "3DNow!: Zydis only", "undefined for Zydis, not judged here", "undefined here before Zydis has seen enough",
    "cut, too long for Zydis already", "Knights Corner's VEX jumps", "address size fixed by the instruction", "3e as NOTRACK", "SIB without base under 67 and REX.B (Zydis 4.0.0)", "WRONG",
};

static ZydisDecoder decoder[9];
static unsigned long long count[NR_WHY];
static unsigned long long state = 1;

static u64 random64(void) /* splitmix64 */
{
    u64 z = state += 0x9e3779b97f4a7c15ull;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static int number_of(ZydisRegister r, enum insn_mode mode)
{
    if (r == ZYDIS_REGISTER_NONE)
        return INSN_NO_REG;
    if (r == ZYDIS_REGISTER_EIP || r == ZYDIS_REGISTER_RIP)
        return INSN_RIP;
    (void)mode;
    return ZydisRegisterGetId(r);
}

static int segment_of(ZydisRegister r)
{
    return r == ZYDIS_REGISTER_NONE ? SEG_NONE : (int)(r - ZYDIS_REGISTER_ES);
}

/* What is different, or NULL. */
static const char *compare(const struct insn *i, const ZydisDecodedInstruction *z, const ZydisDecodedOperand *op, enum insn_mode mode)
{
    if (i->length != z->length)
        return "length";
    if (i->addr_size * 8 != z->address_width)
        return "address size";
    if (i->has_modrm != !!(z->attributes & ZYDIS_ATTRIB_HAS_MODRM))
        return "ModRM";
    for (int k = 0; k < z->operand_count; k++) {
        u64 wrong;
        int seg;

        if (op[k].type != ZYDIS_OPERAND_TYPE_MEMORY || (op[k].visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN))
            continue;
        if (op[k].encoding == ZYDIS_OPERAND_ENCODING_NONE) /* strings, XLAT: their registers are the opcode's */
            continue;
        if (!i->mem)
            return "no memory operand";
        if (number_of(op[k].mem.base, mode) != i->base)
            return "base";
        /* MIB (bndstx) and VSIB are the only others; neither has another index encoding here. */
        if (number_of(op[k].mem.index, mode) != i->index)
            return "index";
        if (i->index != INSN_NO_REG && op[k].mem.type != ZYDIS_MEMOP_TYPE_MIB && op[k].mem.scale != i->scale)
            return "scale";
        /* An address wraps at its size, so a moffs may stand signed or not. */
        wrong = (op[k].mem.disp.has_displacement ? (u64)op[k].mem.disp.value : 0) ^ (u64)i->disp;
        if (wrong << (64 - 8 * i->addr_size))
            return "displacement";
        seg = segment_of(op[k].mem.segment);
        /* ES, CS, SS and DS have base 0 in 64-bit code, so which of them it is does not matter. */
        if (seg != i->segment && op[k].mem.type != ZYDIS_MEMOP_TYPE_AGEN && !(mode == INSN_64 && seg < SEG_FS && i->segment < SEG_FS))
            return "segment";
    }
    if (z->raw.imm[0].size + z->raw.imm[1].size != i->imm_size * 8 && !i->mem)
        return "size of the immediates";
    if (i->imm_size && z->raw.imm[0].size) {
        u64 low = z->raw.imm[0].value.u, all;
        unsigned int bits = z->raw.imm[0].size;

        low &= bits == 64 ? ~0ull : (1ull << bits) - 1;
        all = z->raw.imm[1].size ? low | (z->raw.imm[1].value.u & ((1ull << z->raw.imm[1].size) - 1)) << bits : low;
        if (all != i->imm)
            return "immediate";
    }
    return NULL;
}

/* The name of a difference in operands, WRONG if it has none. */
static enum why difference(const char *what, const struct insn *i, const ZydisDecodedInstruction *z, enum insn_mode mode)
{
    const char *name = ZydisMnemonicGetString(z->mnemonic);

    if (!strcmp(what, "VEX length") && z->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX && (!strcmp(name, "jkzd") || !strcmp(name, "jknzd")))
        return KNC_JUMP;
    if (!strcmp(what, "address size") && (!strncmp(name, "encl", 4) || !strncmp(name, "bnd", 3)))
        return FIXED_ADDRESS;
    if (!strcmp(what, "segment") && i->override == SEG_DS && i->map == MAP_ONE && i->opcode == 0xff &&
        (!strcmp(name, "jmp") || !strcmp(name, "call")))
        return NOTRACK;
    if (!strcmp(what, "base") && mode == INSN_64 && i->addr_size == 4 && i->rex & REX_B && i->modrm < 0x40 && i->base == INSN_NO_REG)
        return ZYDIS_R13;
    return WRONG;
}

static void check(const u8 *bytes, unsigned int n, enum insn_mode mode)
{
    ZydisDecodedInstruction z;
    ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
    struct insn i;
    ZyanStatus status = ZydisDecoderDecodeFull(&decoder[mode], bytes, n, &z, op);
    int r = insn_decode(&i, bytes, n, mode) ? 0 : i.error;
    const char *what = NULL;
    enum why why = WRONG;

    if (ZYAN_SUCCESS(status)) {
        if (z.encoding == ZYDIS_INSTRUCTION_ENCODING_3DNOW) {
            why = r == INSN_E_UNKNOWN ? AMD_3DNOW : WRONG;
        } else if (r) {
            what = "not decoded here";
        } else if (i.vex || z.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY) {
            what = "VEX length";
            why = i.vex && z.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY && i.length == z.length ? EXTENDED
                                                                                                   : difference(what, &i, &z, mode);
        } else {
            what = compare(&i, &z, op, mode);
            why = what ? difference(what, &i, &z, mode) : EQUAL;
        }
    } else if (status == ZYDIS_STATUS_NO_MORE_DATA) {
        why = r == INSN_E_SHORT                                                      ? SHORT_BOTH
              : r == INSN_E_UNKNOWN                                                  ? UNDEFINED_EITHER
              : !r && i.vex && (i.opcode | 1) == 0x85                             ? KNC_JUMP /* decode.h tells no map of VEX */
                                                                                     : WRONG;
        what = "Zydis wants more bytes";
    } else if (status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG) {
        why = r == INSN_E_LONG ? LONG_BOTH : r == INSN_E_SHORT ? LONG_SOON : r == INSN_E_UNKNOWN ? UNDEFINED_EITHER : WRONG;
        what = "Zydis finds it too long";
    } else {
        why = r ? BOTH_REFUSE : NOT_JUDGED;
    }
    count[why]++;
    if (why == WRONG && count[WRONG] <= 20) {
        printf("%2d-bit:", mode * 8);
        for (unsigned int k = 0; k < n; k++)
            printf(" %02x", bytes[k]);
        printf(": %s; here %d, length %d; Zydis %08x, length %d, %s\n", what ? what : "?", r, r ? 0 : i.length, status,
               ZYAN_SUCCESS(status) ? z.length : 0, ZYAN_SUCCESS(status) ? ZydisMnemonicGetString(z.mnemonic) : "-");
    }
}

/* Of each kind, instructions that are it, with their lengths. */
static void check_kinds(void)
{
    static const struct { enum insn_kind kind; enum insn_mode mode; unsigned int length; const char *bytes; } is[] = {
        {INSN_CPUID, INSN_64, 2, "\x0f\xa2"}, {INSN_CPUID, INSN_32, 3, "\x66\x0f\xa2"}, {INSN_CPUID, INSN_64, 4, "\xf3\x48\x0f\xa2"},
        {INSN_RDMSR, INSN_64, 2, "\x0f\x32"}, {INSN_WRMSR, INSN_64, 2, "\x0f\x30"}, {INSN_WRMSR, INSN_64, 3, "\x3e\x0f\x30"},
        {INSN_HLT, INSN_16, 1, "\xf4"}, {INSN_HLT, INSN_64, 2, "\x48\xf4"}, {INSN_VMMCALL, INSN_64, 3, "\x0f\x01\xd9"},
        {INSN_VMCALL, INSN_32, 3, "\x0f\x01\xc1"}, {INSN_RDTSC, INSN_64, 2, "\x0f\x31"}, {INSN_RDTSCP, INSN_64, 3, "\x0f\x01\xf9"},
        {INSN_RDPMC, INSN_64, 2, "\x0f\x33"}, {INSN_PAUSE, INSN_64, 2, "\xf3\x90"}, {INSN_PAUSE, INSN_64, 3, "\xf3\x66\x90"},
        {INSN_XSETBV, INSN_64, 3, "\x0f\x01\xd1"}, {INSN_CLTS, INSN_64, 2, "\x0f\x06"}, {INSN_INVD, INSN_64, 2, "\x0f\x08"},
        {INSN_WBINVD, INSN_64, 2, "\x0f\x09"}, {INSN_MONITOR, INSN_64, 3, "\x0f\x01\xc8"}, {INSN_MWAIT, INSN_64, 3, "\x0f\x01\xc9"},
        {INSN_SVM, INSN_64, 3, "\x0f\x01\xd8"}, {INSN_SVM, INSN_64, 3, "\x0f\x01\xdf"}, {INSN_ICEBP, INSN_64, 1, "\xf1"},
        {INSN_INT3, INSN_64, 1, "\xcc"}, {INSN_INTO, INSN_32, 1, "\xce"}, {INSN_INT, INSN_64, 2, "\xcd\x80"}, {INSN_PUSHF, INSN_64, 1, "\x9c"},
        {INSN_POPF, INSN_16, 2, "\x66\x9d"}, {INSN_IRET, INSN_64, 2, "\x48\xcf"}, {INSN_IN, INSN_64, 1, "\xec"}, {INSN_IN, INSN_64, 2, "\xe4\x71"},
        {INSN_OUT, INSN_64, 2, "\x66\xef"}, {INSN_OUT, INSN_64, 2, "\xe6\x80"}, {INSN_INS, INSN_64, 2, "\xf3\x6d"},
        {INSN_OUTS, INSN_64, 3, "\xf3\x66\x6f"}, {INSN_MOV_CR, INSN_64, 3, "\x0f\x22\xc0"}, {INSN_MOV_CR, INSN_64, 4, "\x44\x0f\x20\xc0"},
        {INSN_MOV_DR, INSN_64, 3, "\x0f\x23\xf8"}, {INSN_LMSW, INSN_64, 3, "\x0f\x01\xf0"}, {INSN_SMSW, INSN_64, 5, "\x0f\x01\x64\x24\x08"},
        {INSN_INVLPG, INSN_64, 3, "\x0f\x01\x38"}, {INSN_INVLPG, INSN_64, 8, "\x0f\x01\x3c\x25\x00\x10\x00\x00"},
        {INSN_INVPCID, INSN_64, 5, "\x66\x0f\x38\x82\x01"}, {INSN_TABLE_0F00, INSN_64, 3, "\x0f\x00\xd8"},
        {INSN_TABLE_0F01, INSN_64, 3, "\x0f\x01\x18"}, {INSN_VMX, INSN_64, 3, "\x0f\x01\xc2"}};
    static const struct { enum insn_kind kind; unsigned int n; const char *bytes; } is_not[] = {
        {INSN_INVLPG, 3, "\x0f\x01\xf8"}, {INSN_PAUSE, 1, "\x90"}, {INSN_CPUID, 1, "\x0f"}, {INSN_HLT, 2, "\x0f\xa2"}, {INSN_INT, 1, "\xcd"},
        {INSN_TABLE_0F01, 3, "\x0f\x01\xd8"}, {INSN_RDTSC, 2, "\xc5\xf8"}};

    for (unsigned int i = 0; i < ARRAY_SIZE(is); i++) {
        unsigned int length = is[i].length;

        for (unsigned int n = length; n <= INSN_MAX; n++) {
            u8 bytes[INSN_MAX] = {0};

            memcpy(bytes, is[i].bytes, length);
            if (insn_length(is[i].kind, bytes, n, is[i].mode) != length) {
                printf("kind %d, entry %u, %u bytes: length %u\n", is[i].kind, i, n, insn_length(is[i].kind, bytes, n, is[i].mode));
                count[WRONG]++;
            }
        }
    }
    for (unsigned int i = 0; i < ARRAY_SIZE(is_not); i++)
        if (insn_length(is_not[i].kind, (const u8 *)is_not[i].bytes, is_not[i].n, INSN_64)) {
            printf("kind %d is taken for what it is not, entry %u\n", is_not[i].kind, i);
            count[WRONG]++;
        }
}

/* Every kind's length of these bytes is none or the decoder's. */
static void check_lengths(const u8 *bytes, unsigned int n, enum insn_mode mode)
{
    struct insn i;
    bool ok = insn_decode(&i, bytes, n, mode);

    for (unsigned int k = 0; k < INSN_KINDS; k++) {
        unsigned int length = insn_length(k, bytes, n, mode);

        if (k == INSN_INTO && mode == INSN_64) /* undefined there: no exit asks for it */
            continue;
        if (length && (!ok || length != i.length)) {
            printf("kind %u: length %u, decoded %d\n", k, length, ok ? i.length : -1);
            count[WRONG]++;
        }
    }
}

/* Every opcode of every map with every ModRM byte, a few SIB bytes, behind each of these prefixes. */
static void check_all_opcodes(enum insn_mode mode)
{
    static const char *const prefixes[] = {"", "\x66", "\x67", "\xf3", "\xf2", "\xf0", "\x64", "\x2e", "\x41", "\x48", "\x4f", "\x66\x48", "\x67\x44",
                                           /* and, before one byte of opcode, VEX and EVEX */
                                           "\xc5\xf8", "\xc5\xf9", "\xc4\xe1\x7b", "\xc4\xe2\x79", "\xc4\xe3\x79", "\x62\xf1\x7c\x48",
                                           "\x62\xf2\x7d\x48", "\x62\xf3\x7d\x48", "\x8f\xe8\x78", "\x8f\xe9\x78", "\x8f\xea\x78"};
    const unsigned int vex = ARRAY_SIZE(prefixes) - 11;
    static const char *const maps[] = {"", "\x0f", "\x0f\x38", "\x0f\x3a"};
    static const u8 sibs[] = {0x00, 0x24, 0x25, 0x65, 0xe5, 0x9c};
    u8 bytes[24];

    for (unsigned int p = 0; p < ARRAY_SIZE(prefixes); p++)
        for (unsigned int m = 0; m < (p < vex ? ARRAY_SIZE(maps) : 1); m++)
            for (unsigned int opcode = 0; opcode < 256; opcode++)
                for (unsigned int modrm = 0; modrm < 256; modrm++) {
                    bool has_sib = (modrm & 7) == 4 && modrm < 0xc0;

                    for (unsigned int s = 0; s < (has_sib ? ARRAY_SIZE(sibs) : 1); s++) {
                        unsigned int n = strlen(prefixes[p]), k = strlen(maps[m]);

                        memcpy(bytes, prefixes[p], n);
                        memcpy(bytes + n, maps[m], k);
                        n += k;
                        bytes[n++] = opcode;
                        bytes[n++] = modrm;
                        bytes[n] = sibs[s];
                        for (k = has_sib ? 1 : 0; k < 12; k++)
                            bytes[n + k] = random64();
                        check(bytes, INSN_MAX, mode);
                    }
                }
}

/* Strings of legacy prefixes and a REX prefix before random bytes, cut anywhere. */
static void check_random(unsigned long long n)
{
    static const u8 prefix[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x40, 0x48, 0x4d};
    static const enum insn_mode modes[] = {INSN_16, INSN_32, INSN_64};

    while (n--) {
        u64 r[3] = {random64(), random64(), random64()};
        u8 bytes[INSN_MAX + 8], *exact;
        unsigned int nr, len;

        memcpy(bytes, r, sizeof(bytes));
        r[0] = random64();
        nr = r[0] % 64 == 0 ? (r[0] >> 8) % 16 : (r[0] >> 8) % 4;
        for (unsigned int k = 0; k < nr; k++)
            bytes[k] = prefix[random64() % sizeof(prefix)];
        if (r[0] >> 16 & 1)
            bytes[nr] = 0x0f;
        len = (r[0] >> 20) % 4 ? INSN_MAX : 1 + (r[0] >> 24) % INSN_MAX;
        exact = malloc(len);
        if (!exact)
            exit(1);
        memcpy(exact, bytes, len);
        check(exact, len, modes[(r[0] >> 40) % 3]);
        if ((r[0] >> 50) % 8 == 0)
            check_lengths(exact, len, modes[(r[0] >> 40) % 3]);
        free(exact);
    }
}

int main(int argc, char **argv)
{
    unsigned long long n = 1000000, total = 0;
    int opt;

    while ((opt = getopt(argc, argv, "n:s:")) != -1) {
        switch (opt) {
        case 'n':
            n = strtoull(optarg, NULL, 0);
            break;
        case 's':
            state = strtoull(optarg, NULL, 0);
            break;
        default:
            fprintf(stderr, "usage: decode_zydis [-n RANDOM_STRINGS] [-s SEED]\n");
            return 2;
        }
    }
    ZydisDecoderInit(&decoder[INSN_16], ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
    ZydisDecoderInit(&decoder[INSN_32], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    ZydisDecoderInit(&decoder[INSN_64], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    check_kinds();
    check_all_opcodes(INSN_16);
    check_all_opcodes(INSN_32);
    check_all_opcodes(INSN_64);
    check_random(n);
    for (int k = 0; k < NR_WHY; k++) {
        printf("%10llu  %s\n", count[k], why_name[k]);
        total += count[k];
    }
    printf("%10llu  instructions in all\n", total);
    /* Fewer than a third equal would mean that the comparison looks at nothing. */
    return count[WRONG] || count[EQUAL] < total / 3;
}

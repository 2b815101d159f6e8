/* SPDX-License-Identifier: MIT */
/*
 * The emulator: carries out the instruction with which a guest reached for a device's memory.
 *
 * What it knows: MOV in all forms but segment, control and vector registers, MOVZX, MOVSX, MOVSXD, MOVNTI, MOVS, STOS, LODS with REP, XCHG,
 * CMPXCHG, XADD, the arithmetic of group 1, TEST, NOT, NEG, INC, DEC, BT, BTS, BTR, BTC: what kernels use on registers of devices. Flags are
 * the processor's (SDM vol. 2), undefined ones are cleared. Anything else is EMULATE_UNKNOWN.
 *
 * It reaches registers, memory and devices through struct emulate_ops alone and compiles in the host library. LOCK and XCHG are as
 * atomic as the device's handler is.
 * Waiting: a device model outside of the hypervisor answers later (EMULATE_WAIT). Nothing has changed then but what emulate_wait keeps:
 * the decoded instruction and the device accesses that are done. The next emulate() with it goes on behind them, whatever the guest
 * has written over its code meanwhile.
 * Does not: check segment limits and rights (kernels that use devices are flat), debug exceptions (the caller's, after the instruction).
 */
#ifndef PARANGON_HVM_EMULATE_H
#define PARANGON_HVM_EMULATE_H

#include "decode.h"

enum emulate_result {
    EMULATE_DONE,    /* registers are changed, rip is behind it */
    EMULATE_AGAIN,   /* a REP that has more to do: registers are changed, rip is at it still */
    EMULATE_WAIT,    /* a device model has to answer first; nothing is changed */
    EMULATE_FAULT,   /* the operation that said so has noted which exception; of a REP, what came before is done */
    EMULATE_UNKNOWN, /* not among those above, or no instruction */
};

/** Iterations of a REP before EMULATE_AGAIN. */
#define EMULATE_REP_MAX 128

struct emulate;
struct emulate_ops {
    /** Guest memory at a linear address with the guest's own rights, 1, 2, 4 or 8 bytes, across pages too. Where a device is: emulate_device(). */
    enum emulate_result (*memory)(struct emulate *e, u64 linear, unsigned int size, u64 *value, bool write);
    /** A device's memory at a guest-physical address. What nobody has claimed reads ones. */
    enum emulate_result (*device)(struct emulate *e, u64 gpa, unsigned int size, u64 *value, bool write);
    /** Base of a segment (enum insn_segment); in 64-bit code asked for FS and GS only. */
    u64 (*base)(struct emulate *e, unsigned int segment);
};

/** What an instruction that waits has done. Zeroed: nothing. Belongs to the vCPU. */
struct emulate_wait {
    bool active;
    u8 done;          /* device accesses of this iteration that are over */
    u64 value[4];     /* and what the reads among them gave */
    struct insn insn;
};

struct emulate {
    void *regs;             /* the general registers: number n is the u64 at regs + reg_at[n] */
    const u16 *reg_at;      /* 16 offsets */
    u64 rip, rflags;
    enum insn_mode mode;
    u64 gpa;                /* guest-physical address that faulted */
    bool gpa_known;         /* false: only by walking */
    struct emulate_wait *wait;
    const struct emulate_ops *ops;
    void *ctx;              /* the operations' own */
    u8 at;                  /* of wait->done, those passed in this attempt */
};

/** Carry out the instruction at bytes[0..n-1] (not looked at where e->wait is active). */
enum emulate_result emulate(struct emulate *e, const u8 *bytes, unsigned int n);

/** One access to a device within emulate(): what an earlier attempt has done is not done again. For ops->memory(). */
enum emulate_result emulate_device(struct emulate *e, u64 gpa, unsigned int size, u64 *value, bool write);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Translation blocks as the plugin remembers them: address, instruction boundaries, events.
 *
 * Why it exists: an inline operation carries one number, and that number must lead back to the
 * instructions of the block. Equal blocks (same address, same bytes, same class) share one entry, however often
 * QEMU translates them again, so the table grows with the code and not with the run, and ids do not
 * depend on QEMU's flushes.
 * Does not: free anything before the process ends.
 */
#ifndef PARANGON_PLUGIN_BLOCK_H
#define PARANGON_PLUGIN_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum code_class {
    CLASS_USER,
    CLASS_KERNEL,
    CLASS_HYPERVISOR,
    CLASS_EARLY, /* low addresses before the guest: the hypervisor's, or the kernel's */
    CLASS_NR
};

struct block {
    uint64_t vaddr; /* of the first translation */
    uint64_t hash;
    uint64_t target;    /* of the last instruction, where it is a direct jump or call */
    uint32_t id;        /* from 1 */
    uint32_t next;      /* id of the next block with the same hash bucket, 0: none */
    uint16_t nr;        /* instructions, at least 1 */
    uint16_t bytes;     /* of all of them */
    uint8_t class;      /* enum code_class */
    uint8_t last_flags; /* enum insn_flag of the last instruction */
    bool apart;         /* hypervisor code whose instructions are counted apart, too */
    uint8_t body[];     /* nr lengths, then nr event ids (INSN_NO_EVENT: none) */
};

/*
 * Bytes that a block may take while it is put together: lengths and events of QEMU's largest block.
 */
#define BLOCK_INSNS_MAX 512

/**
 * The entry for a block: an equal one that is known already, or a new one.
 *
 * @param draft  all fields but id and next filled in, body with 2 * nr bytes
 * @return       the entry, alive until the process ends. Ends the process when memory runs out.
 */
struct block *block_intern(const struct block *draft);

/** The block with this id (1 to the newest). */
struct block *block_get(uint32_t id);

/**
 * Which instruction of a block starts at an address.
 *
 * Compares offsets within a page: QEMU shares one translation among all virtual addresses of a
 * physical page, and vaddr is where it was translated first. No block is longer than a page and an
 * instruction.
 *
 * @return  its index, nr for the address just behind the block, -1 for an address that starts none
 */
int block_index(const struct block *b, uint64_t pc);

/** The event of instruction i, INSN_NO_EVENT where it has none. */
static inline uint8_t block_event(const struct block *b, int i)
{
    return b->body[b->nr + i];
}

static inline uint64_t block_end(const struct block *b)
{
    return b->vaddr + b->bytes;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The executed path of one interval, block by block: the file that the plugin writes with
 * trace=FILE and `explain` reads. Shared by both; plain little-endian memory images.
 *
 * Layout: struct path_head, nr_blocks times (struct path_block, then nr instruction lengths of one
 * byte each), then nr_tokens tokens of uint32_t. A token is a kind in its upper bits and a value:
 *   PATH_BLOCK   block number value runs (from its first instruction to its last, unless the tokens
 *                around it differ)
 *   PATH_FROM    the next block begins at its instruction number value (the interval begins within
 *                it)
 *   PATH_CUT     the previous block ended before its instruction number value (fault, or the
 *                interval's end)
 *   PATH_VECTOR  an interrupt or exception with that vector is taken; the next block is its handler
 * Iterations of one REP instruction beyond its first leave no token. Blocks are numbered in the
 * order of their first run. The counts that follow from the tokens are those of the interval in
 * bench/interval.h's file.
 */
#ifndef PARANGON_PLUGIN_PATH_H
#define PARANGON_PLUGIN_PATH_H

#include <stdint.h>

#define PATH_MAGIC   0x3148544150474150ull
#define PATH_VERSION 1u

#define PATH_KIND   0xc0000000u
#define PATH_BLOCK  0x00000000u
#define PATH_FROM   0x40000000u
#define PATH_CUT    0x80000000u
#define PATH_VECTOR 0xc0000000u

struct path_head {
    uint64_t magic;
    uint32_t version;
    uint32_t seq; /* which MEASURED interval */
    uint32_t nr_blocks;
    uint32_t truncated; /* 1: the tokens end before the interval does (trace_max) */
    uint64_t nr_tokens;
};

struct path_block {
    uint64_t vaddr;
    uint16_t nr;    /* instructions */
    uint16_t class; /* enum code_class (block.h): 0 user, 1 kernel, 2 hypervisor */
    uint32_t flags; /* PATH_* flags of the last instruction */
};

#define PATH_ENDS_CALL 1u /* the block ends in a direct call */
#define PATH_ENDS_REP  2u /* the block ends in a REP string instruction */

#endif

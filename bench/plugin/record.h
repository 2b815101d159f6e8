/* SPDX-License-Identifier: MIT */
/*
 * What the plugin can record besides counts: the path of one interval (path.h) and the entries into
 * the hypervisor. Both are off unless asked for; recording never changes a count.
 */
#ifndef PARANGON_PLUGIN_RECORD_H
#define PARANGON_PLUGIN_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "block.h"

/** Record interval number seq into this file, at most max tokens of it. */
void path_setup(const char *file, uint32_t seq, uint64_t max);

/** True while tokens are being taken. */
bool path_active(void);

/** An interval begins behind instruction index of block b, or ends before it. */
void path_begin(uint32_t seq, const struct block *b, int index);
void path_end(const struct block *b, int index);

/**
 * A block starts; not to be called for the further iterations of a REP. Only while path_active().
 */
void path_block(const struct block *b);

/**
 * The block before ended early, before its instruction index; a vector is delivered. Nothing while
 * not active.
 */
void path_cut(int index);
void path_cut_last(void); /* before its last instruction */
void path_vector(int vector);

/**
 * Write the file. @return 0, or -1 after one line on stderr (also when the interval never came).
 */
int path_write(void);

/* Sizes of entries: the last is for all above. */
#define ENTRY_SIZES 40

#define ENTRY_SYSCALL (-1)
#define ENTRY_OTHER   (-2)
#define ENTRY_KERNEL(vector)   (256 + (vector)) /* a vector that arrives in the guest's kernel */
#define ENTRY_HYPERCALL(which) (0x10000 + (int)(which)) /* by SYSCALL of its kernel (hypercall.h) */
#define ENTRY_VMMCALL(number)  (0x8000 + (int)((number) & 0xff)) /* a VM exit for a hypercall */
#define ENTRY_EXIT(code) (-16 - (int)((code) & 0xffff)) /* a VM exit with this code (svm.h) */

/**
 * Record entries into this file, as text: kind, interval, first address, cause, entries,
 * instructions, then the histogram of what each cost as pairs size:entries. Size 0 is no instruction,
 * size n is 2^(n-1) to 2^n - 1.
 */
void entries_setup(const char *file);

/**
 * The hypervisor is entered from guest code.
 *
 * @param pc     its first instruction
 * @param cause  vector, or one of ENTRY_*
 * @param now    hypervisor instructions executed so far; what is added until the next entry belongs
 *               to this one
 */
void entries_add(uint64_t pc, int cause, uint64_t now);

/** Pieces of work within entries (hypercall.h): where to count those of the open interval. NULL: nobody asks. */
uint64_t *entries_work(void);

/** An interval ends: its lines are put together under this name, and the record starts anew. */
void entries_close(const char *kind, uint32_t seq, uint64_t now);

/** An interval begins: forget what came before. */
void entries_reset(void);

/** Write the file. @return 0, or -1 after one line on stderr. */
int entries_write(void);

#endif

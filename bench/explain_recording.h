/* SPDX-License-Identifier: MIT */
/*
 * The counting plugin's recording of an executed path (plugin/path.h), read and checked, and walked block by block.
 */
#ifndef PARANGON_EXPLAIN_RECORDING_H
#define PARANGON_EXPLAIN_RECORDING_H

#include <stdint.h>

#include "bench/plugin/path.h"

enum path_class { PATH_USER, PATH_KERNEL, PATH_HYPERVISOR, PATH_EARLY, PATH_CLASSES };

#define PATH_NO_VECTOR (-1)

struct recorded_block {
    struct path_block head; /* nr is 1 at least, class an enum path_class */
    uint8_t *length; /* bytes of each of its head.nr instructions */
};

struct recording {
    struct path_head head;
    struct recorded_block *block; /* head.nr_blocks */
    uint32_t *token;              /* head.nr_tokens; each PATH_BLOCK names a block that is there */
};

/**
 * Read a recording.
 *
 * @return  0; -1 with one message on stderr (not readable, not a recording, damaged), and nothing to free
 */
int recording_read(struct recording *recording, const char *file);

/**
 * Call back for each run of a block, in order: instructions [from, to) of block number `block` have run; never none.
 * `vector` is that of the interrupt or exception taken just before, or PATH_NO_VECTOR.
 */
void recording_walk(const struct recording *recording,
                    void (*each)(void *data, uint32_t block, uint32_t from, uint32_t to, int vector), void *data);

void recording_free(struct recording *recording);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The table of block.h: an array of pointers by id, and a hash table of ids that doubles as it
 * fills.
 */
#include "block.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES 4096u

static struct block **blocks; /* by id; blocks[0] is unused */
static uint32_t nr_blocks, capacity;
static uint32_t *buckets;
static uint32_t nr_buckets;

static void *grow(void *old, size_t bytes)
{
    void *p = realloc(old, bytes);

    if (!p) {
        fprintf(stderr, "count plugin: no memory for %zu bytes of block table\n", bytes);
        exit(1);
    }
    return p;
}

static void rehash(void)
{
    nr_buckets = nr_buckets ? nr_buckets * 2 : 1u << 14;
    buckets = grow(buckets, nr_buckets * sizeof(*buckets));
    memset(buckets, 0, nr_buckets * sizeof(*buckets));
    for (uint32_t id = 1; id <= nr_blocks; id++) {
        uint32_t *head = &buckets[blocks[id]->hash & (nr_buckets - 1)];

        blocks[id]->next = *head;
        *head = id;
    }
}

struct block *block_intern(const struct block *draft)
{
    size_t body = 2 * (size_t)draft->nr;
    struct block *b;

    if (nr_blocks >= nr_buckets / 2)
        rehash();
    for (uint32_t id = buckets[draft->hash & (nr_buckets - 1)]; id; id = b->next) {
        b = blocks[id];
        if (b->hash == draft->hash && b->vaddr == draft->vaddr && b->nr == draft->nr &&
            b->class == draft->class &&
            memcmp(b->body, draft->body, body) == 0)
            return b;
    }

    if (nr_blocks + 1 >= capacity) {
        capacity = capacity ? capacity * 2 : 1u << 14;
        blocks = grow(blocks, capacity * sizeof(*blocks));
    }
    b = grow(NULL, sizeof(*b) + body);
    memcpy(b, draft, sizeof(*b) + body);
    b->id = ++nr_blocks;
    blocks[b->id] = b;
    uint32_t *head = &buckets[b->hash & (nr_buckets - 1)];
    b->next = *head;
    *head = b->id;
    return b;
}

struct block *block_get(uint32_t id)
{
    return blocks[id];
}

int block_index(const struct block *b, uint64_t pc)
{
    uint64_t at = b->vaddr;

    for (int i = 0; i < b->nr; i++) {
        if (((at ^ pc) & (PAGE_BYTES - 1)) == 0)
            return i;
        at += b->body[i];
    }
    return ((at ^ pc) & (PAGE_BYTES - 1)) == 0 ? b->nr : -1;
}

/* SPDX-License-Identifier: MIT */
/* explain_recording.h: numbers of blocks and tokens are checked against the file's size before memory is taken for them. */
#include "bench/explain_recording.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_head(struct path_head *head, FILE *f)
{
    uint64_t size;
    long at;

    if (fread(head, sizeof *head, 1, f) != 1 || head->magic != PATH_MAGIC || head->version != PATH_VERSION)
        return false;
    at = ftell(f);
    fseek(f, 0, SEEK_END);
    size = (uint64_t)(ftell(f) - at);
    fseek(f, at, SEEK_SET);
    return head->nr_tokens <= size / 4 && head->nr_blocks <= size / sizeof(struct path_block);
}

static bool read_blocks(struct recording *r, FILE *f)
{
    for (uint32_t i = 0; i < r->head.nr_blocks; i++) {
        struct recorded_block *b = &r->block[i];

        if (fread(&b->head, sizeof b->head, 1, f) != 1 || b->head.nr == 0 || b->head.class >= PATH_CLASSES)
            return false;
        b->length = malloc(b->head.nr);
        if (!b->length)
            abort();
        if (fread(b->length, b->head.nr, 1, f) != 1)
            return false;
    }
    return true;
}

static bool read_tokens(struct recording *r, FILE *f)
{
    if (fread(r->token, 4, r->head.nr_tokens, f) != r->head.nr_tokens)
        return false;
    for (uint64_t i = 0; i < r->head.nr_tokens; i++)
        if ((r->token[i] & PATH_KIND) == PATH_BLOCK && r->token[i] >= r->head.nr_blocks)
            return false;
    return true;
}

int recording_read(struct recording *r, const char *file)
{
    FILE *f = fopen(file, "rb");
    bool good;

    *r = (struct recording){0};
    if (!f) {
        fprintf(stderr, "parangon: no recording of the path in %s: %s\n", file, strerror(errno));
        return -1;
    }
    good = read_head(&r->head, f);
    if (good) {
        r->block = calloc(r->head.nr_blocks + 1u, sizeof *r->block);
        r->token = calloc(r->head.nr_tokens + 1, sizeof *r->token);
        if (!r->block || !r->token)
            abort();
        good = read_blocks(r, f) && read_tokens(r, f);
    }
    fclose(f);
    if (good)
        return 0;
    fprintf(stderr, "parangon: %s is damaged, or no recording of this build's plugin\n", file);
    recording_free(r);
    return -1;
}

void recording_walk(const struct recording *r,
                    void (*each)(void *data, uint32_t block, uint32_t from, uint32_t to, int vector), void *data)
{
    int vector = PATH_NO_VECTOR;
    uint32_t from = 0;

    for (uint64_t i = 0; i < r->head.nr_tokens; i++) {
        uint32_t value = r->token[i] & ~PATH_KIND, to;

        switch (r->token[i] & PATH_KIND) {
        case PATH_FROM:
            from = value;
            break;
        case PATH_VECTOR:
            vector = (int)value;
            break;
        case PATH_BLOCK:
            to = r->block[value].head.nr;
            if (i + 1 < r->head.nr_tokens && (r->token[i + 1] & PATH_KIND) == PATH_CUT &&
                (r->token[i + 1] & ~PATH_KIND) < to)
                to = r->token[i + 1] & ~PATH_KIND;
            if (from < to) {
                each(data, value, from, to, vector);
                vector = PATH_NO_VECTOR;
            }
            from = 0;
            break;
        }
    }
}

void recording_free(struct recording *r)
{
    for (uint32_t i = 0; r->block && i < r->head.nr_blocks; i++)
        free(r->block[i].length);
    free(r->block);
    free(r->token);
    *r = (struct recording){0};
}

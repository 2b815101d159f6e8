/* SPDX-License-Identifier: MIT */
/*
 * What a decision costs: of an executed path that the counting plugin recorded (bench/plugin/path.h), the instructions of each
 * decision, from the entry of sched_run() until the policy's pick has returned to it.
 *
 * Usage: decision_cost PATH HYPERVISOR POLICY. One line: decisions, least, median and most instructions; with PARTS in the environment
 * also the mean of each function. A call of sched_run() that ends without a pick is no decision.
 * Exit status: 0; 1 where the path has no decision, or is damaged; 2 usage.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/explain_path.h"
#include "bench/plugin/path.h"

struct block {
    struct path_block head;
    size_t function; /* index of its first instruction's symbol; nr of symbols: none */
};

/* What is known of the path so far. */
static struct {
    const struct symbols *symbols;
    size_t run, pick; /* sched_run(), and the policy's pick or what it calls first */
    bool deciding, picked;
    uint64_t cost;
    uint64_t *costs;
    size_t nr;
    uint64_t *now, *parts; /* by function: of this decision, of all */
} d;

static void end_decision(void)
{
    if (d.picked) {
        d.costs = realloc(d.costs, (d.nr + 1) * sizeof *d.costs);
        if (!d.costs)
            abort();
        d.costs[d.nr++] = d.cost;
        for (size_t i = 0; i < d.symbols->nr; i++)
            d.parts[i] += d.now[i];
    }
    memset(d.now, 0, (d.symbols->nr + 1) * sizeof *d.now);
    d.deciding = d.picked = false;
    d.cost = 0;
}

/* `nr` instructions of a block have run. */
static void execute(const struct block *b, uint32_t nr)
{
    bool entered = d.run < d.symbols->nr && b->head.vaddr == d.symbols->symbol[d.run].start;

    if (entered || (d.deciding && (b->head.class != PATH_HYPERVISOR || (d.picked && b->function == d.run))))
        end_decision();
    d.deciding |= entered;
    if (!d.deciding)
        return;
    d.picked |= b->function == d.pick;
    d.cost += nr;
    d.now[b->function] += nr;
}

static size_t find(const char *name)
{
    for (size_t i = 0; i < d.symbols->nr; i++)
        if (!strcmp(d.symbols->symbol[i].name, name))
            return i;
    return d.symbols->nr;
}

static bool read_blocks(FILE *f, struct block *blocks, uint32_t nr)
{
    for (uint32_t i = 0; i < nr; i++) {
        const struct symbol *s;

        if (fread(&blocks[i].head, sizeof blocks[i].head, 1, f) != 1 || fseek(f, blocks[i].head.nr, SEEK_CUR))
            return false;
        s = symbols_find(d.symbols, blocks[i].head.vaddr);
        blocks[i].function = s ? (size_t)(s - d.symbols->symbol) : d.symbols->nr;
    }
    return true;
}

/* A token is judged when the one behind it is known: it may cut it. */
static bool walk(FILE *f)
{
    struct path_head head;
    struct block *blocks;
    const struct block *b = NULL;
    uint32_t token, from = 0, first = 0;
    bool good;

    if (fread(&head, sizeof head, 1, f) != 1 || head.magic != PATH_MAGIC || head.version != PATH_VERSION ||
        !(blocks = calloc(head.nr_blocks + 1ul, sizeof *blocks)))
        return false;
    good = read_blocks(f, blocks, head.nr_blocks);
    for (uint64_t i = 0; good && i < head.nr_tokens; i++) {
        uint32_t value;

        good = fread(&token, sizeof token, 1, f) == 1;
        value = token & ~PATH_KIND;
        if (b && (!good || (token & PATH_KIND) != PATH_CUT))
            execute(b, b->head.nr - first);
        else if (b && value > first)
            execute(b, value - first);
        b = NULL;
        if ((token & PATH_KIND) == PATH_FROM)
            from = value;
        if (!good || (token & PATH_KIND) != PATH_BLOCK)
            continue;
        good = value < head.nr_blocks;
        b = &blocks[value];
        first = from;
        from = 0;
    }
    free(blocks);
    return good;
}

static int by_cost(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

int main(int argc, char **argv)
{
    struct symbols symbols = {0};
    char name[64];
    FILE *f;

    if (argc != 4) {
        fprintf(stderr, "usage: decision_cost PATH HYPERVISOR POLICY\n");
        return 2;
    }
    if (symbols_add_elf(&symbols, argv[2]) < 0)
        return 1;
    symbols_sort(&symbols);
    d.symbols = &symbols;
    d.now = calloc(symbols.nr + 1, sizeof *d.now);
    d.parts = calloc(symbols.nr + 1, sizeof *d.parts);
    d.run = find("sched_run");
    snprintf(name, sizeof name, "%s_pick", strcmp(argv[3], "credit") ? argv[3] : "fair");
    d.pick = find(name);
    f = fopen(argv[1], "rb");
    if (!f || !d.now || !d.parts || d.pick == symbols.nr || !walk(f) || !d.nr) {
        fprintf(stderr, "decision_cost: no decision of %s in %s\n", name, argv[1]);
        return 1;
    }
    fclose(f);
    qsort(d.costs, d.nr, sizeof *d.costs, by_cost);
    printf("%s: %zu decisions, %lu to %lu instructions, half of them at most %lu\n", argv[3], d.nr, (unsigned long)d.costs[0],
           (unsigned long)d.costs[d.nr - 1], (unsigned long)d.costs[(d.nr - 1) / 2]);
    for (size_t i = 0; getenv("PARTS") && i < symbols.nr; i++)
        if (d.parts[i])
            printf("  %-32s %8.1f\n", symbols.symbol[i].name, (double)d.parts[i] / d.nr);
    free(d.costs);
    free(d.now);
    free(d.parts);
    symbols_free(&symbols);
    return 0;
}

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

#include "bench/explain_symbols.h"
#include "bench/explain_recording.h"

/* What is known of the path so far. */
static struct {
    const struct symbols *symbols;
    struct recording path;
    size_t *function; /* by block: the symbol that it begins in; nr of symbols: none */
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

static void execute(void *data, uint32_t number, uint32_t from, uint32_t to, int vector)
{
    const struct path_block *b = &d.path.block[number].head;
    size_t function = d.function[number];
    bool entered = d.run < d.symbols->nr && b->vaddr == d.symbols->symbol[d.run].start;

    if (entered || (d.deciding && (b->class != PATH_HYPERVISOR || (d.picked && function == d.run))))
        end_decision();
    d.deciding |= entered;
    if (!d.deciding)
        return;
    d.picked |= function == d.pick;
    d.cost += to - from;
    d.now[function] += to - from;
}

static size_t find(const char *name)
{
    for (size_t i = 0; i < d.symbols->nr; i++)
        if (!strcmp(d.symbols->symbol[i].name, name))
            return i;
    return d.symbols->nr;
}

static void find_functions(void)
{
    d.function = calloc(d.path.head.nr_blocks + 1ul, sizeof *d.function);
    if (!d.function)
        abort();
    for (uint32_t i = 0; i < d.path.head.nr_blocks; i++) {
        const struct symbol *s = symbols_find(d.symbols, d.path.block[i].head.vaddr);

        d.function[i] = s ? (size_t)(s - d.symbols->symbol) : d.symbols->nr;
    }
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
    if (!d.now || !d.parts)
        abort();
    if (recording_read(&d.path, argv[1]) < 0)
        return 1;
    find_functions();
    recording_walk(&d.path, execute, NULL);
    if (d.pick == symbols.nr || !d.nr) {
        fprintf(stderr, "decision_cost: no decision of %s in %s\n", name, argv[1]);
        return 1;
    }
    qsort(d.costs, d.nr, sizeof *d.costs, by_cost);
    printf("%s: %zu decisions, %lu to %lu instructions, half of them at most %lu\n", argv[3], d.nr, (unsigned long)d.costs[0],
           (unsigned long)d.costs[d.nr - 1], (unsigned long)d.costs[(d.nr - 1) / 2]);
    for (size_t i = 0; getenv("PARTS") && i < symbols.nr; i++)
        if (d.parts[i])
            printf("  %-32s %8.1f\n", symbols.symbol[i].name, (double)d.parts[i] / d.nr);
    recording_free(&d.path);
    free(d.function);
    free(d.costs);
    free(d.now);
    free(d.parts);
    symbols_free(&symbols);
    return 0;
}

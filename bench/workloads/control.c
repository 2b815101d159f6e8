/* SPDX-License-Identifier: MIT */
/*
 * Control rows: work that a hypervisor has no part in. A ratio to native other than 1.000 here is
 * an error of the measurement (or, for the random walk, shows what instruction counts cannot: it
 * costs page walks, not instructions).
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include "workload.h"

#define WALK_BYTES (256ul << 20)

static unsigned char *walk;

static int user_loop_run(unsigned long ops)
{
    __asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(ops) : : "cc");
    return 0;
}

const struct workload workload_user_loop = {
    .name = "user-loop",
    .suite = "micro",
    .unit = "iteration of two instructions",
    .ops = 4000000,
    .flags = WORKLOAD_WARM_ONCE,
    .run = user_loop_run,
};

static int random_open(void)
{
    walk = mmap(NULL, WALK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (walk == MAP_FAILED)
        return fail("mmap of 256 MB: %m");
    if (populate(walk, WALK_BYTES))
        return -1;
    for (unsigned long i = 0; i < WALK_BYTES; i += PAGE)
        walk[i] = (unsigned char)(i >> 12);
    return 0;
}

/* xorshift64 (Marsaglia 2003) over byte addresses; the sum keeps the loads alive */
static int random_run(unsigned long ops)
{
    uint64_t x = 88172645463325252ull;
    volatile unsigned char sink;
    unsigned char sum = 0;

    while (ops--) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        sum += walk[x & (WALK_BYTES - 1)];
    }
    sink = sum;
    (void)sink;
    return 0;
}

static void random_close(void)
{
    munmap(walk, WALK_BYTES);
}

const struct workload workload_random_256m = {
    .name = "random-256m",
    .suite = "micro",
    .unit = "byte read",
    .params = "\"bytes\":268435456",
    .ops = 500000,
    .flags = WORKLOAD_WARM_ONCE,
    .open = random_open,
    .run = random_run,
    .close = random_close,
};

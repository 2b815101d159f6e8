/* SPDX-License-Identifier: MIT */
/*
 * Seeded perturbations: the same program, moved. A count that repeats to the instruction can still
 * depend on where the timer tick falls and which frames the allocator hands out; running under
 * several seeds shows by how much (DESIGN, "Same is not precise"). The same seed does the same on
 * every platform.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runner.h"
#include "workload.h"

#define KEPT_MIN   64u
#define KEPT_RANGE 1024u
#define PAD_RANGE  2048u
#define TICK_LOOPS                                                                                 \
    2000000u /* of two instructions: one tick at 250 Hz and 1 instruction a nanosecond */

/* Streams of one seed that must not resemble each other */
enum stream { STREAM_PAGES = 1, STREAM_PAD, STREAM_STACK, STREAM_TICK };

/* splitmix64 (Steele, Lea, Flood, OOPSLA 2014) */
static uint64_t next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static uint64_t start(uint64_t seed, enum stream stream)
{
    uint64_t state = seed * 0x100 + stream;

    next(&state);
    return state;
}

static void pad_environment(uint64_t seed)
{
    static char pad[PAD_RANGE + 1];
    uint64_t rng = start(seed, STREAM_PAD);

    memset(pad, 0, sizeof(pad));
    memset(pad, 'x', seed ? next(&rng) % PAD_RANGE : 0);
    setenv("PGN_PAD", pad, 1);
}

int perturb_begin(uint64_t seed)
{
    static const char page[PAGE] = {1};
    uint64_t rng = start(seed, STREAM_PAGES);
    unsigned long pages;
    int fd;

    pad_environment(seed);
    if (!seed)
        return -1;

    fd = memfd_create("perturbation", MFD_CLOEXEC);
    if (fd < 0)
        return fail("memfd: %m");
    pages = KEPT_MIN + next(&rng) % KEPT_RANGE;
    for (unsigned long i = 0; i < pages; i++)
        if (pwrite(fd, page, PAGE, (off_t)(i * PAGE)) != (ssize_t)PAGE) {
            close(fd);
            return fail("%lu kept pages: %m", pages);
        }
    for (unsigned long i = 0; i < pages; i++)
        if (next(&rng) & 1)
            fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(i * PAGE), PAGE);
    return fd;
}

void perturb_end(int fd)
{
    if (fd >= 0)
        close(fd);
}

size_t perturb_stack(uint64_t seed)
{
    uint64_t rng = start(seed, STREAM_STACK);

    return seed ? next(&rng) % 256 * 16 : 0;
}

int perturb_write_random(int fd, size_t bytes)
{
    uint64_t rng = 0;

    for (; bytes >= sizeof(rng); bytes -= sizeof(rng)) {
        uint64_t word = next(&rng);

        if (write(fd, &word, sizeof(word)) != (ssize_t)sizeof(word))
            return -1;
    }
    return 0;
}

void perturb_spin(uint64_t seed, unsigned interval)
{
    uint64_t rng = start(seed + ((uint64_t)interval << 32), STREAM_TICK);
    unsigned long loops = seed ? next(&rng) % TICK_LOOPS + 1 : 1;

    __asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(loops) : : "cc");
}

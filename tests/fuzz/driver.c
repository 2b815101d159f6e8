/* SPDX-License-Identifier: MIT */
/*
 * The own driver of a fuzz target: sequences from seeds, the same for the same seed on every
 * machine.
 *
 *   fuzz_TARGET [-n SEQUENCES] [-s FIRST_SEED] [-t SECONDS]
 *
 * Runs seeds FIRST_SEED, FIRST_SEED + 1, ... until that many sequences are done or the time is
 * over. Prints the seed of a failing sequence and the command that repeats it. Exit status: 0 done,
 * other: a failure (abort, sanitizer), 2 usage.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

static u64 seed;

static void say_seed(void)
{
    char line[128];
    int n = snprintf(line, sizeof(line), "\nFAILED with seed %llu; again: fuzz_%s -n 1 -s %llu\n", (unsigned long long)seed,
                     fuzz_name, (unsigned long long)seed);

    if (write(STDERR_FILENO, line, n) < 0)
        _exit(1);
}

static void on_abort(int sig)
{
    say_seed();
    signal(sig, SIG_DFL);
    raise(sig);
}

/* Called by the address sanitizer before it ends the process. */
void __asan_on_error(void);
void __asan_on_error(void)
{
    say_seed();
}

/* splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). */
static u64 next_random(u64 *state)
{
    u64 z = *state += 0x9e3779b97f4a7c15ull;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static void run_seed(u8 *data)
{
    u64 state = seed;
    struct fuzz_input in = {.data = data, .size = fuzz_bytes};

    for (size_t i = 0; i < fuzz_bytes; i += 8) {
        u64 r = next_random(&state);

        memcpy(data + i, &r, fuzz_bytes - i < 8 ? fuzz_bytes - i : 8);
    }
    fuzz_one(&in);
}

int main(int argc, char **argv)
{
    unsigned long long sequences = 1000, first = 1, seconds = 0, done = 0;
    u8 *data = malloc(fuzz_bytes);
    time_t end;
    int opt;

    while ((opt = getopt(argc, argv, "n:s:t:")) != -1) {
        switch (opt) {
        case 'n':
            sequences = strtoull(optarg, NULL, 0);
            break;
        case 's':
            first = strtoull(optarg, NULL, 0);
            break;
        case 't':
            seconds = strtoull(optarg, NULL, 0);
            break;
        default:
            fprintf(stderr, "usage: fuzz_%s [-n SEQUENCES] [-s FIRST_SEED] [-t SECONDS]\n", fuzz_name);
            return 2;
        }
    }
    signal(SIGABRT, on_abort);
    signal(SIGSEGV, on_abort);
    end = time(NULL) + (time_t)seconds;
    for (seed = first; done < sequences && (!seconds || time(NULL) < end); seed++, done++)
        run_seed(data);
    printf("fuzz_%s: %llu sequences, seeds %llu to %llu, no failure\n", fuzz_name, done, first, first + done - 1);
    free(data);
    return 0;
}

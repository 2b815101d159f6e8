/* SPDX-License-Identifier: MIT */
/*
 * Fuzzers of the host library: what a target gives, and the bytes that it is driven by.
 *
 * A target turns bytes into calls and checks its invariants after each. The own driver (driver.c)
 * makes the bytes from a seed and prints the seed of a failure; built with clang, libFuzzer finds
 * the bytes by coverage (the same function).
 */
#ifndef PARANGON_FUZZ_H
#define PARANGON_FUZZ_H

#include "lib.h"

/** Bytes to be taken one after the other; behind the end they are 0. */
struct fuzz_input {
    const u8 *data;
    size_t size, at;
};

static inline bool fuzz_more(const struct fuzz_input *in)
{
    return in->at < in->size;
}

static inline u8 fuzz_u8(struct fuzz_input *in)
{
    return in->at < in->size ? in->data[in->at++] : 0;
}

static inline u64 fuzz_bits(struct fuzz_input *in, unsigned int bytes)
{
    u64 v = 0;

    while (bytes--)
        v = v << 8 | fuzz_u8(in);
    return v;
}

/** A number below n (n up to 65,536). */
static inline u64 fuzz_below(struct fuzz_input *in, u64 n)
{
    return (n > 256 ? fuzz_bits(in, 2) : fuzz_u8(in)) % n;
}

/** True in about `percent` of the cases. */
static inline bool fuzz_chance(struct fuzz_input *in, unsigned int percent)
{
    return fuzz_u8(in) < percent * 256 / 100;
}

/**
 * The target's name for messages, how many bytes a sequence takes, and one sequence. A broken
 * invariant aborts.
 */
extern const char fuzz_name[];
extern const size_t fuzz_bytes;
void fuzz_one(struct fuzz_input *in);

/** Unless cond: say what is wrong and abort. */
#define FUZZ_CHECK(cond, fmt, ...)                                                                 \
    do {                                                                                           \
        if (unlikely(!(cond)))                                                                     \
            panic("%s:%d: " fmt, __FILE__, __LINE__, ##__VA_ARGS__);                               \
    } while (0)

#endif

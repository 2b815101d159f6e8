/* SPDX-License-Identifier: MIT */
/*
 * Sets of physical CPUs, one bit each, as wide as NR_PCPUS: one word in the hypervisor, where each
 * of these is a few instructions; the simulator compiles the same sources with NR_PCPUS=1024.
 * Nothing here is atomic but the two that say so. A search that finds none gives NR_PCPUS.
 */
#ifndef PARANGON_CPUMASK_H
#define PARANGON_CPUMASK_H

#include "types.h"

#ifndef NR_PCPUS
#define NR_PCPUS 64
#endif

#define CPUMASK_WORDS ((NR_PCPUS + 63) / 64)

struct cpumask {
    u64 word[CPUMASK_WORDS];
};

#define CPUMASK_NONE ((struct cpumask){{0}})

static inline bool cpumask_test(const struct cpumask *m, unsigned int cpu)
{
    return (__atomic_load_n(&m->word[cpu / 64], __ATOMIC_RELAXED) >> (cpu % 64)) & 1;
}

static inline void cpumask_set(struct cpumask *m, unsigned int cpu)
{
    m->word[cpu / 64] |= 1ull << (cpu % 64);
}

static inline void cpumask_clear(struct cpumask *m, unsigned int cpu)
{
    m->word[cpu / 64] &= ~(1ull << (cpu % 64));
}

/** Set or clear a bit that other pcpus may write neighbours of. */
static inline void cpumask_set_atomic(struct cpumask *m, unsigned int cpu)
{
    __atomic_fetch_or(&m->word[cpu / 64], 1ull << (cpu % 64), __ATOMIC_SEQ_CST);
}

static inline void cpumask_clear_atomic(struct cpumask *m, unsigned int cpu)
{
    __atomic_fetch_and(&m->word[cpu / 64], ~(1ull << (cpu % 64)), __ATOMIC_SEQ_CST);
}

/** The pcpus 0 to 63 of a word. */
static inline struct cpumask cpumask_from_word(u64 word)
{
    struct cpumask m = CPUMASK_NONE;

    m.word[0] = word;
    return m;
}

static inline struct cpumask cpumask_all(void)
{
    struct cpumask m;

    for (unsigned int i = 0; i < CPUMASK_WORDS; i++)
        m.word[i] = ~0ull;
    return m;
}

static inline struct cpumask cpumask_and(const struct cpumask *a, const struct cpumask *b)
{
    struct cpumask m;

    for (unsigned int i = 0; i < CPUMASK_WORDS; i++)
        m.word[i] = a->word[i] & b->word[i];
    return m;
}

static inline bool cpumask_empty(const struct cpumask *m)
{
    for (unsigned int i = 0; i < CPUMASK_WORDS; i++) {
        if (m->word[i])
            return false;
    }
    return true;
}

static inline bool cpumask_meet(const struct cpumask *a, const struct cpumask *b)
{
    for (unsigned int i = 0; i < CPUMASK_WORDS; i++) {
        if (a->word[i] & b->word[i])
            return true;
    }
    return false;
}

/** Is a within b? */
static inline bool cpumask_within(const struct cpumask *a, const struct cpumask *b)
{
    for (unsigned int i = 0; i < CPUMASK_WORDS; i++) {
        if (a->word[i] & ~b->word[i])
            return false;
    }
    return true;
}

static inline unsigned int cpumask_weight(const struct cpumask *m)
{
    unsigned int n = 0;

    for (unsigned int i = 0; i < CPUMASK_WORDS; i++) {
        for (u64 w = m->word[i]; w; w &= w - 1)
            n++;
    }
    return n;
}

/** The first pcpu of both sets that is not below `from`. */
static inline unsigned int cpumask_next_of(const struct cpumask *a, const struct cpumask *b, unsigned int from)
{
    for (unsigned int i = from / 64; i < CPUMASK_WORDS; i++) {
        u64 w = a->word[i] & b->word[i];

        if (i == from / 64)
            w &= ~0ull << (from % 64);
        if (w)
            return i * 64 + __builtin_ctzll(w);
    }
    return NR_PCPUS;
}

static inline unsigned int cpumask_next(const struct cpumask *m, unsigned int from)
{
    return cpumask_next_of(m, m, from);
}

static inline unsigned int cpumask_first(const struct cpumask *m)
{
    return cpumask_next(m, 0);
}

/** The first pcpu of both sets at or above `from`, else the first of all. */
static inline unsigned int cpumask_cycle_of(const struct cpumask *a, const struct cpumask *b, unsigned int from)
{
    unsigned int cpu = from < NR_PCPUS ? cpumask_next_of(a, b, from) : NR_PCPUS;

    return cpu < NR_PCPUS ? cpu : cpumask_next_of(a, b, 0);
}

#define cpumask_for_each(cpu, mask)                                                                \
    for (unsigned int cpu = cpumask_first(mask); cpu < NR_PCPUS; cpu = cpu + 1 < NR_PCPUS ? cpumask_next(mask, cpu + 1) : NR_PCPUS)

#endif

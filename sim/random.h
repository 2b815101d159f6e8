/* SPDX-License-Identifier: MIT */
/*
 * Random numbers of the simulator: a stream of its own for every vCPU and every source of arrivals, made from seed and number.
 * So the same seed gives every policy the same work at the same times, and their results can be compared in pairs.
 *
 * splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014).
 */
#ifndef PARANGON_SIM_RANDOM_H
#define PARANGON_SIM_RANDOM_H

#include <math.h>
#include <stdint.h>

struct sim_random {
    uint64_t state;
};

static inline uint64_t sim_random_next(struct sim_random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline struct sim_random sim_random_stream(uint64_t seed, uint64_t number)
{
    struct sim_random r = {seed * 0xd1342543de82ef95u + number * 0xaf251af3b0f025b5u + 1};

    (void)sim_random_next(&r);
    return (struct sim_random){sim_random_next(&r)};
}

/** In (0, 1], 53 bits. */
static inline double sim_random_unit(struct sim_random *r)
{
    return ((sim_random_next(r) >> 11) + 1) * 0x1p-53;
}

/** Exponential with this mean. */
static inline double sim_random_exp(struct sim_random *r, double mean)
{
    return -mean * log(sim_random_unit(r));
}

/** Bounded Pareto with shape 1.5 and a largest value 1,000 times the least, scaled to this mean. */
static inline double sim_random_pareto(struct sim_random *r, double mean)
{
    const double a = 1.5, ratio = 1000, tail = pow(ratio, -a);
    const double unscaled = a / (a - 1) * (1 - pow(ratio, 1 - a)) / (1 - tail);

    return mean / unscaled * pow(1 - (1 - sim_random_unit(r)) * (1 - tail), -1 / a);
}

#endif

/* SPDX-License-Identifier: MIT */
/* What the programs of random machines are asked for: a wrong word is refused, or a long run would have tried nothing. */
#ifndef PARANGON_TESTS_UNIT_SEEDS_H
#define PARANGON_TESTS_UNIT_SEEDS_H

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/machine.h"

/** A whole number of 1 and more; for anything else a message, and the program ends with status 2. */
static inline uint64_t seeds_number(const char *option, const char *text)
{
    char *end;
    uint64_t number;

    errno = 0;
    number = strtoull(text, &end, 0);
    if (isdigit((unsigned char)*text) && !*end && !errno && number)
        return number;
    fprintf(stderr, "--%s %s: a whole number from 1 on is wanted\n", option, text);
    exit(2);
}

/** The name of a policy; for another one a message, and the program ends with status 2. */
static inline const char *seeds_policy(const char *name)
{
    if (sim_has_policy(name))
        return name;
    sim_no_policy(name);
    exit(2);
}

#endif

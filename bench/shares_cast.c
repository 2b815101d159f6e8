/* SPDX-License-Identifier: MIT */
/* The sets of domains of `parangon shares`: see shares_cast.h. Their weights are chosen so that the caps bind on two processors (25 and 50 %) and on four (all). */
#include "bench/shares_cast.h"

#include <stddef.h>
#include <string.h>

static const struct shares_cast casts[] = {
    {"weights", "Eight domains that compute, weights 1 to 8", "1,2,4,8", false, false, 8,
     {{"w1", 64, 0, 1, 0, 0}, {"w2", 128, 0, 1, 0, 0}, {"w3", 192, 0, 1, 0, 0}, {"w4", 256, 0, 1, 0, 0},
      {"w5", 320, 0, 1, 0, 0}, {"w6", 384, 0, 1, 0, 0}, {"w7", 448, 0, 1, 0, 0}, {"w8", 512, 0, 1, 0, 0}}},
    {"crowd", "Sixteen domains that compute, weights 1 to 8 twice", "4,8", false, false, 16,
     {{"a1", 64, 0, 1, 0, 0}, {"a2", 128, 0, 1, 0, 0}, {"a3", 192, 0, 1, 0, 0}, {"a4", 256, 0, 1, 0, 0},
      {"a5", 320, 0, 1, 0, 0}, {"a6", 384, 0, 1, 0, 0}, {"a7", 448, 0, 1, 0, 0}, {"a8", 512, 0, 1, 0, 0},
      {"b1", 64, 0, 1, 0, 0}, {"b2", 128, 0, 1, 0, 0}, {"b3", 192, 0, 1, 0, 0}, {"b4", 256, 0, 1, 0, 0},
      {"b5", 320, 0, 1, 0, 0}, {"b6", 384, 0, 1, 0, 0}, {"b7", 448, 0, 1, 0, 0}, {"b8", 512, 0, 1, 0, 0}}},
    {"caps", "Caps of 25, 50 and 150 % beside four domains without", "2,4", false, false, 7,
     {{"c25", 1024, 25, 1, 0, 0}, {"c50", 2048, 50, 1, 0, 0}, {"c150", 2048, 150, 2, 0, 0},
      {"h1", 256, 0, 1, 0, 0}, {"h2", 256, 0, 1, 0, 0}, {"h3", 256, 0, 1, 0, 0}, {"h4", 256, 0, 1, 0, 0}}},
    {"wakeup", "One domain that works 1 ms and sleeps about 9 ms beside seven that compute", "1,2,4", true, false, 8,
     {{"wakes", 256, 0, 1, 1000, 9000}, {"h1", 256, 0, 1, 0, 0}, {"h2", 256, 0, 1, 0, 0}, {"h3", 256, 0, 1, 0, 0},
      {"h4", 256, 0, 1, 0, 0}, {"h5", 256, 0, 1, 0, 0}, {"h6", 256, 0, 1, 0, 0}, {"h7", 256, 0, 1, 0, 0}}},
    {"switch", "Two domains that give way to each other", "1", false, true, 2, {{"a", 64, 0, 1, 0, 0}, {"b", 128, 0, 1, 0, 0}}},
};

const struct shares_cast *shares_cast(const char *name)
{
    for (size_t i = 0; i < sizeof casts / sizeof casts[0]; i++)
        if (!strcmp(casts[i].name, name))
            return &casts[i];
    return NULL;
}

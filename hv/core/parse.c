/* SPDX-License-Identifier: MIT */
/*
 * Numbers in command lines and launch plans. Freestanding and host alike.
 */
#include "lib.h"

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 16;
}

u64 parse_u64(const char *s, const char **end)
{
    int base = 10;
    u64 value = 0;

    if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X') && digit_value(s[2]) < 16) {
        base = 16;
        s += 2;
    }
    while (digit_value(*s) < base)
        value = value * base + digit_value(*s++);
    *end = s;
    return value;
}

bool parse_list(const char *s, unsigned int nr, u64 *bits, const char **end)
{
    for (;; s = *end + 1) {
        u64 first = parse_u64(s, end), last = first;

        if (*end == s)
            return false;
        if (**end == '-') {
            s = *end + 1;
            last = parse_u64(s, end);
            if (*end == s)
                return false;
        }
        if (first > last || last >= nr)
            return false;
        for (u64 n = first; n <= last; n++)
            bits[n / 64] |= 1ull << (n % 64);
        if (**end != ',')
            return true;
    }
}

u64 parse_size(const char *s, u64 unit, const char **end)
{
    u64 value = parse_u64(s, end);

    if (*end == s)
        return 0;
    switch (**end) {
    case 'k':
    case 'K':
        unit = KB(1);
        break;
    case 'm':
    case 'M':
        unit = MB(1);
        break;
    case 'g':
    case 'G':
        unit = GB(1);
        break;
    default:
        return value * unit;
    }
    (*end)++;
    return value * unit;
}

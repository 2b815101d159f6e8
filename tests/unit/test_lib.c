/* SPDX-License-Identifier: MIT */
/*
 * The freestanding library (hv/core/lib.c, compiled here under names of its own) against the C
 * library, and numbers of command lines (parse.c).
 */
#include <criterion/criterion.h>
#include <limits.h>

#include "freestanding.h"
#include "lib.h"

#define SAME(fmt, ...)                                                                             \
    do {                                                                                           \
        char ours[128], theirs[128];                                                               \
        int n1 = prg_snprintf(ours, sizeof(ours), fmt, ##__VA_ARGS__);                             \
        int n2 = snprintf(theirs, sizeof(theirs), fmt, ##__VA_ARGS__);                             \
        cr_assert_str_eq(ours, theirs, "%s", fmt);                                                 \
        cr_assert_eq(n1, n2, "%s", fmt);                                                           \
    } while (0)

Test(lib, snprintf_integers)
{
    SAME("plain text");
    SAME("%d %d %d %d", 0, -1, INT_MAX, INT_MIN);
    SAME("%u %x", 4000000000u, 0xdeadbeefu);
    SAME("%ld %lu %lx", -5L, 18446744073709551615UL, 0xffff800000000000UL);
    SAME("%lld %llu %llx", -9223372036854775807LL, 1ULL << 63, 0x123456789abcdefULL);
    SAME("[%5d] [%-5d] [%05d]", 42, 42, 42);
    SAME("[%08x] [%4x]", 0xbeef, 0xbeef);
    SAME("[%016lx]", 0x1234UL);
    SAME("100%%");
}

Test(lib, snprintf_text)
{
    SAME("%s|%10s|%-10s|", "abc", "abc", "abc");
    SAME("%.3s|%.*s|%.0s|", "abcdef", 2, "abcdef", "abc");
    SAME("%c%c", 'x', 'y');
    SAME("%*d", 8, 42);
}

Test(lib, snprintf_bounds)
{
    char buf[8];

    memset(buf, '#', sizeof(buf));
    cr_assert_eq(prg_snprintf(buf, 4, "%s", "abcdefgh"), 8);
    cr_assert_str_eq(buf, "abc");
    cr_assert_eq(buf[4], '#', "nothing behind the room given");
    cr_assert_eq(prg_snprintf(buf, 1, "%d", 12345), 5);
    cr_assert_str_eq(buf, "");
    cr_assert_eq(prg_snprintf(NULL, 0, "%d", 12345), 5);
}

Test(lib, memory)
{
    cr_assert_eq(prg_memcmp("abc", "abc", 3), 0);
    cr_assert_lt(prg_memcmp("abc", "abd", 3), 0);
    cr_assert_gt(prg_memcmp("\xff", "\x01", 1), 0, "bytes are unsigned");
    cr_assert_eq(prg_memcmp("abX", "abY", 2), 0);
}

Test(lib, strings)
{
    cr_assert_eq(prg_strlen("hello"), 5);
    cr_assert_eq(prg_strnlen("hello", 3), 3);
    cr_assert_eq(prg_strcmp("a", "a"), 0);
    cr_assert_lt(prg_strcmp("a", "b"), 0);
    cr_assert_gt(prg_strcmp("ab", "a"), 0);
    cr_assert_eq(prg_strncmp("abX", "abY", 2), 0);
}

static void parses(const char *s, u64 value, const char *rest)
{
    const char *end;

    cr_assert_eq(parse_u64(s, &end), value, "%s", s);
    cr_assert_str_eq(end, rest, "%s", s);
}

Test(lib, parse_u64)
{
    parses("0", 0, "");
    parses("12,rest", 12, ",rest");
    parses("0x1fG", 0x1f, "G");
    parses("0xg", 0, "xg");
    parses("18446744073709551615", ~0ull, "");
    parses("", 0, "");
    parses("abc", 0, "abc");
}

static void sizes(const char *s, u64 unit, u64 value, const char *rest)
{
    const char *end;

    cr_assert_eq(parse_size(s, unit, &end), value, "%s", s);
    cr_assert_str_eq(end, rest, "%s", s);
}

Test(lib, parse_size)
{
    sizes("128M", 1, MB(128), "");
    sizes("4k", 1, 4096, "");
    sizes("2G,", 1, GB(2), ",");
    sizes("512", MB(1), MB(512), "");
    sizes("512", 1, 512, "");
    sizes("x", MB(1), 0, "x");
}

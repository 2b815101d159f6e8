/* SPDX-License-Identifier: MIT */
/*
 * Strings, and printing of the few formats that test lines need.
 */
#include "micro.h"

void *memset(void *d, int c, size_t n)
{
    void *ret = d;

    __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
    return ret;
}

void *memcpy(void *d, const void *s, size_t n)
{
    void *ret = d;

    __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n)::"memory");
    return ret;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *x = a, *y = b;

    for (; n; n--, x++, y++) {
        if (*x != *y)
            return *x - *y;
    }
    return 0;
}

size_t strlen(const char *s)
{
    size_t n = 0;

    while (s[n])
        n++;
    return n;
}

bool str_starts(const char *s, const char *prefix)
{
    return memcmp(s, prefix, strlen(prefix)) == 0;
}

bool str_equal(const char *a, const char *b)
{
    return strlen(a) == strlen(b) && memcmp(a, b, strlen(a)) == 0;
}

struct sink {
    char *buf;
    size_t size, used;
};

static void put(struct sink *s, char c)
{
    if (s->used + 1 < s->size)
        s->buf[s->used++] = c;
}

static void put_number(struct sink *s, uint64_t v, unsigned base)
{
    char digits[24];
    unsigned n = 0;

    do {
        digits[n++] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v);
    while (n)
        put(s, digits[--n]);
}

int vformat(char *buf, size_t size, const char *fmt, va_list ap)
{
    struct sink s = {buf, size, 0};

    for (; *fmt; fmt++) {
        bool wide = false;

        if (*fmt != '%') {
            put(&s, *fmt);
            continue;
        }
        for (fmt++; *fmt == 'l'; fmt++)
            wide = true;
        switch (*fmt) {
        case 's':
            for (const char *p = va_arg(ap, const char *); *p; p++)
                put(&s, *p);
            break;
        case 'c':
            put(&s, (char)va_arg(ap, int));
            break;
        case 'd': {
            int64_t v = wide ? va_arg(ap, int64_t) : va_arg(ap, int);

            if (v < 0)
                put(&s, '-');
            put_number(&s, v < 0 ? -(uint64_t)v : (uint64_t)v, 10);
            break;
        }
        case 'u':
            put_number(&s, wide ? va_arg(ap, uint64_t) : va_arg(ap, unsigned), 10);
            break;
        case 'p':
            put_number(&s, va_arg(ap, uint64_t), 16);
            break;
        case 'x':
            put_number(&s, wide ? va_arg(ap, uint64_t) : va_arg(ap, unsigned), 16);
            break;
        default:
            put(&s, *fmt);
        }
    }
    buf[s.used] = 0;
    return (int)s.used;
}

int format(char *buf, size_t size, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vformat(buf, size, fmt, ap);
    va_end(ap);
    return n;
}

void print(const char *fmt, ...)
{
    static char line[512];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vformat(line, sizeof(line), fmt, ap);
    va_end(ap);
    console_write(line, (size_t)n);
}

/* SPDX-License-Identifier: MIT */
/*
 * String functions and formatted output of the freestanding hypervisor, with the C library's names
 * and meaning.
 * Not in the host library, which has the C library. memcpy, memmove and memset are the processor's
 * (hv/x86).
 *
 * vsnprintf() knows %d %i %u %x %X %p %s %c %%, the lengths l, ll and z, a width, zero fill, left
 * alignment, # for x and, for strings, a precision; width and precision may be '*'. No floating
 * point.
 */
#include "lib.h"

int memcmp(const void *a, const void *b, size_t n)
{
    const u8 *x = a, *y = b;

    for (size_t i = 0; i < n; i++)
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    return 0;
}

size_t strlen(const char *s)
{
    size_t n = 0;

    while (s[n])
        n++;
    return n;
}

size_t strnlen(const char *s, size_t max)
{
    size_t n = 0;

    while (n < max && s[n])
        n++;
    return n;
}

int strcmp(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return (u8)*a - (u8)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i] || !a[i])
            return (u8)a[i] - (u8)b[i];
    return 0;
}

/** Where formatted characters go; counts those that do not fit too. */
struct out {
    char *buf;
    size_t size, fill;
};

static void put(struct out *o, char c)
{
    if (o->fill + 1 < o->size)
        o->buf[o->fill] = c;
    o->fill++;
}

static void pad(struct out *o, char c, int n)
{
    for (; n > 0; n--)
        put(o, c);
}

static void put_text(struct out *o, const char *s, size_t n, int width, bool left)
{
    if (!left)
        pad(o, ' ', width - (int)n);
    for (size_t i = 0; i < n; i++)
        put(o, s[i]);
    if (left)
        pad(o, ' ', width - (int)n);
}

/** How one number is to look. */
struct number_format {
    unsigned int base;
    int width;
    bool upper, zero, left, negative;
    bool prefix; /* 0x in front */
};

static void put_number(struct out *o, u64 value, const struct number_format *f)
{
    char digits[24];
    int n = 0, fill;

    do {
        digits[n++] = (f->upper ? "0123456789ABCDEF" : "0123456789abcdef")[value % f->base];
        value /= f->base;
    } while (value);
    fill = f->width - n - f->negative - 2 * f->prefix;
    if (!f->left && !f->zero)
        pad(o, ' ', fill);
    if (f->negative)
        put(o, '-');
    if (f->prefix) {
        put(o, '0');
        put(o, 'x');
    }
    if (f->zero)
        pad(o, '0', fill);
    for (int i = n; i > 0; i--)
        put(o, digits[i - 1]);
    if (f->left)
        pad(o, ' ', fill);
}

static u64 take_unsigned(__builtin_va_list *ap, int length)
{
    return length ? __builtin_va_arg(*ap, unsigned long) : __builtin_va_arg(*ap, unsigned int);
}

static s64 take_signed(__builtin_va_list *ap, int length)
{
    return length ? __builtin_va_arg(*ap, long) : __builtin_va_arg(*ap, int);
}

static int take_count(const char **fmt, __builtin_va_list *ap)
{
    int n = 0;

    if (**fmt == '*') {
        (*fmt)++;
        return __builtin_va_arg(*ap, int);
    }
    while (**fmt >= '0' && **fmt <= '9')
        n = n * 10 + (*(*fmt)++ - '0');
    return n;
}

/** One conversion; fmt stands behind the '%'. Returns where the format goes on. */
static const char *convert(struct out *o, const char *fmt, __builtin_va_list *ap)
{
    struct number_format f = {.base = 10};
    int precision = -1, length = 0;
    const char *s;
    s64 value;
    char c;

    for (;; fmt++) {
        if (*fmt == '0')
            f.zero = true;
        else if (*fmt == '-')
            f.left = true;
        else if (*fmt == '#')
            f.prefix = true;
        else
            break;
    }
    f.zero = f.zero && !f.left;
    f.width = take_count(&fmt, ap);
    if (*fmt == '.') {
        fmt++;
        precision = take_count(&fmt, ap);
    }
    while (*fmt == 'l' || *fmt == 'z') {
        length++;
        fmt++;
    }

    switch (*fmt) {
    case 'd':
    case 'i':
        f.prefix = false;
        value = take_signed(ap, length);
        f.negative = value < 0;
        put_number(o, f.negative ? -(u64)value : (u64)value, &f);
        break;
    case 'u':
        f.prefix = false;
        put_number(o, take_unsigned(ap, length), &f);
        break;
    case 'X':
    case 'x':
        f.base = 16;
        f.upper = *fmt == 'X';
        value = take_unsigned(ap, length);
        f.prefix = f.prefix && value;
        put_number(o, value, &f);
        break;
    case 'p':
        f = (struct number_format){.base = 16, .width = 16, .zero = true};
        put_number(o, (u64) __builtin_va_arg(*ap, void *), &f);
        break;
    case 's':
        s = __builtin_va_arg(*ap, const char *);
        if (!s)
            s = "(null)";
        put_text(o, s, precision >= 0 ? strnlen(s, precision) : strlen(s), f.width, f.left);
        break;
    case 'c':
        c = __builtin_va_arg(*ap, int);
        put_text(o, &c, 1, f.width, f.left);
        break;
    case '\0':
        return fmt;
    default:
        put(o, *fmt);
    }
    return fmt + 1;
}

int vsnprintf(char *buf, size_t size, const char *fmt, __builtin_va_list args)
{
    struct out o = {buf, size, 0};
    __builtin_va_list ap;

    __builtin_va_copy(ap, args);
    while (*fmt) {
        if (*fmt != '%')
            put(&o, *fmt++);
        else
            fmt = convert(&o, fmt + 1, &ap);
    }
    __builtin_va_end(ap);
    if (size)
        buf[o.fill < size ? o.fill : size - 1] = '\0';
    return o.fill;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
    __builtin_va_list ap;
    int n;

    __builtin_va_start(ap, fmt);
    n = vsnprintf(buf, size, fmt, ap);
    __builtin_va_end(ap);
    return n;
}

/* SPDX-License-Identifier: MIT */
/*
 * Lines to the harness: `@PGN ` and one JSON object, written to standard output in a single call so
 * that the kernel's own messages cannot fall into the middle of one. bench/README.md has the
 * protocol.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runner.h"

static void append(struct line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void append(struct line *l, const char *fmt, ...)
{
    size_t room = sizeof(l->text) - l->used;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(l->text + l->used, room, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= room)
        l->overflow = 1;
    else
        l->used += (size_t)n;
}

static void append_quoted(struct line *l, const char *s)
{
    append(l, "\"");
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;

        if (c == '"' || c == '\\')
            append(l, "\\%c", c);
        else if (c < 0x20 || c > 0x7e)
            append(l, "\\u%04x", c);
        else
            append(l, "%c", c);
    }
    append(l, "\"");
}

static void append_key(struct line *l, const char *key)
{
    if (l->text[l->used - 1] != '{')
        append(l, ",");
    append_quoted(l, key);
    append(l, ":");
}

void line_begin(struct line *l, const char *event)
{
    l->used = 0;
    l->overflow = 0;
    append(l, "@PGN {");
    line_string(l, "ev", event);
}

void line_string(struct line *l, const char *key, const char *value)
{
    append_key(l, key);
    append_quoted(l, value);
}

void line_number(struct line *l, const char *key, long long value)
{
    append_key(l, key);
    append(l, "%lld", value);
}

void line_json(struct line *l, const char *key, const char *json)
{
    append_key(l, key);
    append(l, "%s", json);
}

void line_object_begin(struct line *l, const char *key)
{
    append_key(l, key);
    append(l, "{");
}

void line_object_end(struct line *l)
{
    append(l, "}");
}

void line_send(struct line *l)
{
    const char *p = l->text;
    size_t left;

    if (l->overflow) {
        line_begin(l, "error");
        line_string(l, "msg", "a line to the harness was longer than its buffer");
    }
    append(l, "}\n");
    for (left = l->used; left;) {
        ssize_t n = write(STDOUT_FILENO, p, left);

        if (n <= 0)
            return;
        p += n;
        left -= (size_t)n;
    }
}

const char *slurp(const char *path, char *buf, size_t size)
{
    size_t used = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        ssize_t n;

        while (used < size - 1 && (n = read(fd, buf + used, size - 1 - used)) > 0)
            used += (size_t)n;
        close(fd);
    }
    while (used && buf[used - 1] == '\n')
        used--;
    buf[used] = 0;
    return buf;
}

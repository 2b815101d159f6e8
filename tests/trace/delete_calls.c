/* SPDX-License-Identifier: MIT */
/*
 * Deletes trace calls from C source text: see delete_calls.h. Knows comments, strings, characters
 * and brackets; no more of C.
 */
#include "delete_calls.h"

#include <ctype.h>
#include <err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The end of what starts at `at`: a comment, a string, a character, or one byte. */
static const char *skip(const char *at)
{
    if (at[0] == '/' && at[1] == '*') {
        const char *end = strstr(at + 2, "*/");

        return end ? end + 2 : at + strlen(at);
    }
    if (at[0] == '/' && at[1] == '/')
        return at + strcspn(at, "\n");
    if (*at == '"' || *at == '\'') {
        const char quote = *at++;

        while (*at && *at != quote && *at != '\n')
            at += *at == '\\' && at[1] ? 2 : 1;
        return *at ? at + 1 : at;
    }
    return at + 1;
}

/* After the bracket that closes the one at `at`; NULL where none does. */
static const char *closing(const char *at)
{
    int depth = 0;

    while (*at) {
        if (*at == '(')
            depth++;
        else if (*at == ')' && --depth == 0)
            return at + 1;
        at = skip(at);
    }
    return NULL;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/*
 * Is this word, `length` long and followed by the bracket at `open`, a call of one of the classes?
 */
static bool is_call(const char *word, size_t length, const char *open,
                    const struct trace_schema *schema, uint64_t classes, bool *is_start)
{
    char name[128];

    if (length >= sizeof(name) || strncmp(word, "TRACE_", 6) != 0)
        return false;
    snprintf(name, sizeof(name), "%.*s", (int)length, word);
    *is_start = strcmp(name, "TRACE_START") == 0;
    for (size_t i = 0; *is_start && i < schema->nr_classes; i++) {
        const char *class = open + 1 + strspn(open + 1, " \t");
        const size_t size = strlen(schema->classes[i].name);

        if (strncmp(class, schema->classes[i].name, size) == 0 && !is_word(class[size]))
            return classes >> schema->classes[i].bit & 1;
    }
    for (size_t i = 0; !*is_start && i < schema->nr_events; i++) {
        const struct trace_event *event = &schema->events[i];

        if (strcmp(name + 6, event->name) == 0 ||
            (strncmp(name, "TRACE_ON_", 9) == 0 && strcmp(name + 9, event->name) == 0))
            return classes >> event->class->bit & 1;
    }
    return false;
}

char *delete_trace_calls(const char *text, const struct trace_schema *schema, uint64_t classes,
                         unsigned *deleted)
{
    static const char zero[] = "((uint64_t)0)";
    char *copy, *to;
    const char *at = text;

    to = copy = malloc(strlen(text) * 2 + sizeof(zero)); /* TRACE_START(X) is longer than what replaces it */
    if (!copy)
        err(1, "delete_calls");
    while (*at) {
        const char *end = at;
        bool is_start = false;

        while (is_word(*end))
            end++;
        if (end == at) {
            end = skip(at);
        } else {
            const char *open = end + strspn(end, " \t");

            if (*open == '(' && is_call(at, end - at, open, schema, classes, &is_start)) {
                const char *after = closing(open);

                if (!after) {
                    free(copy);
                    return NULL;
                }
                if (is_start)
                    to = stpcpy(to, zero);
                for (; at < after; at++) {
                    if (*at == '\n')
                        *to++ = '\n';
                }
                ++*deleted;
                continue;
            }
        }
        memcpy(to, at, end - at);
        to += end - at;
        at = end;
    }
    *to = '\0';
    return copy;
}

/* SPDX-License-Identifier: MIT */
/* A growing list of words (words.h). */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/words.h"

static void append(struct words *words, char *word)
{
    char **grown = realloc(words->word, (words->nr + 2) * sizeof *grown);

    if (!grown || !word)
        abort();
    words->word = grown;
    grown[words->nr++] = word;
    grown[words->nr] = NULL;
}

static char *vformat(const char *fmt, va_list args)
{
    char *text;

    if (vasprintf(&text, fmt, args) < 0)
        abort();
    return text;
}

void words_add(struct words *words, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    append(words, vformat(fmt, args));
    va_end(args);
}

void words_option(struct words *words, const char *option, const char *fmt, ...)
{
    va_list args;

    append(words, strdup(option));
    va_start(args, fmt);
    append(words, vformat(fmt, args));
    va_end(args);
}

void words_split(struct words *words, const char *text, char separator)
{
    while (*text) {
        size_t length = strcspn(text, (char[]){separator, '\0'});

        if (length)
            append(words, strndup(text, length));
        text += length + (text[length] != '\0');
    }
}

int words_has(const struct words *words, const char *word)
{
    for (size_t i = 0; i < words->nr; i++)
        if (strcmp(words->word[i], word) == 0)
            return 1;
    return 0;
}

void words_free(struct words *words)
{
    for (size_t i = 0; i < words->nr; i++)
        free(words->word[i]);
    free(words->word);
    *words = (struct words){0};
}

char *words_line(const struct words *words)
{
    char *line = NULL;
    size_t size;
    FILE *out = open_memstream(&line, &size);

    if (!out)
        abort();
    for (size_t i = 0; i < words->nr; i++) {
        const char *word = words->word[i];
        int plain = *word && !word[strcspn(word, " \t\n\"'\\$&;|<>()*?[]#~`!{}")];

        if (i)
            fputc(' ', out);
        if (plain) {
            fputs(word, out);
            continue;
        }
        fputc('\'', out);
        for (; *word; word++) {
            if (*word == '\'')
                fputs("'\\''", out);
            else
                fputc(*word, out);
        }
        fputc('\'', out);
    }
    fclose(out);
    return line;
}

char *words_join(const struct words *words, char separator)
{
    char *line = NULL;
    size_t size;
    FILE *out = open_memstream(&line, &size);

    if (!out)
        abort();
    for (size_t i = 0; i < words->nr; i++)
        fprintf(out, "%s%s", i ? (char[]){separator, '\0'} : "", words->word[i]);
    fclose(out);
    return line;
}

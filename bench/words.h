/* SPDX-License-Identifier: MIT */
/* A growing list of words: an argument vector in the making. NULL-terminated at any time. */
#ifndef PARANGON_WORDS_H
#define PARANGON_WORDS_H

#include <stddef.h>

struct words {
    char **word; /* NULL while empty */
    size_t nr;
};

/** Append one word, printf-style. Aborts when out of memory. */
void words_add(struct words *words, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** Append an option and its value: "-m", "1024". The value is printf-style. */
void words_option(struct words *words, const char *option, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** Append the non-empty parts of a text between separators. */
void words_split(struct words *words, const char *text, char separator);

/** 1 when the list holds the word. */
int words_has(const struct words *words, const char *word);

void words_free(struct words *words);

/** All words in one line as a shell takes them (quoted where needed). The caller frees it. */
char *words_line(const struct words *words);

/** All words, joined by one character. The caller frees it. */
char *words_join(const struct words *words, char separator);

#endif

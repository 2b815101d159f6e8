/* SPDX-License-Identifier: MIT */
/*
 * The freestanding library under names that do not clash with the C library's (CMakeLists.txt renames them).
 */
#ifndef PARANGON_TESTS_FREESTANDING_H
#define PARANGON_TESTS_FREESTANDING_H

#include <stddef.h>

int prg_memcmp(const void *a, const void *b, size_t n);
size_t prg_strlen(const char *s);
size_t prg_strnlen(const char *s, size_t max);
int prg_strcmp(const char *a, const char *b);
int prg_strncmp(const char *a, const char *b, size_t n);
char *prg_strchr(const char *s, int c);
char *prg_strstr(const char *s, const char *what);
int prg_snprintf(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif

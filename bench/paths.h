/* SPDX-License-Identifier: MIT */
/*
 * Where things are: the source tree, the build, the cache of inputs, the folder for results.
 *
 * Why it exists: no path is compiled in, so that two clones build identical bytes.
 */
#ifndef PARANGON_PATHS_H
#define PARANGON_PATHS_H

#include <stddef.h>

struct paths {
    char *root;  /* the source tree: where inputs.lock lies */
    char *build; /* the build folder that this program runs from */
    char *cache; /* $PARANGON_CACHE, else cache/ in the source tree */
    char *out;   /* $PARANGON_OUT, else out/ in the folder the caller stands in */
};

/**
 * Find them (once; later calls return the same).
 *
 * root is $PARANGON_ROOT, else the nearest folder with inputs.lock above the program or the working
 * folder. Exits with status 2 and one message when there is none.
 */
const struct paths *paths_get(void);

/** A new string, printf-style. Aborts when out of memory. */
char *format(const char *fmt, ...) __attribute__((format(printf, 1, 2), malloc));

/** Make the folder that a file is to lie in (one level). @return 0, or -1 with a message on stderr
 */
int paths_make_parent(const char *file);

/** The folder for what does not outlive a run: $TMPDIR where it is set and not empty, else /tmp. */
const char *paths_temporary(void);

/**
 * A new file there, named after `what`, of so many bytes, all holes. @return its name, for the caller to unlink
 * and free; NULL after a message on stderr.
 */
char *paths_make_temporary(const char *what, size_t size);

/** A copy of `text` with every occurrence of a folder of paths_get() replaced by $CACHE, $BUILD or
 * $SRC. */
char *paths_neutral(const char *text);

#endif

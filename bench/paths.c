/* SPDX-License-Identifier: MIT */
/* Where things are (paths.h). */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/paths.h"

char *format(const char *fmt, ...)
{
    va_list args;
    char *text;

    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        abort();
    va_end(args);
    return text;
}

/* The nearest folder at or above `from` that holds inputs.lock and bench/; NULL when there is none.
 */
static char *find_root(const char *from)
{
    char at[PATH_MAX];

    if (!realpath(from, at))
        return NULL;
    for (;;) {
        char *lock = format("%s/inputs.lock", at), *bench = format("%s/bench", at);
        int found = access(lock, R_OK) == 0 && access(bench, X_OK) == 0;
        char *slash;

        free(lock);
        free(bench);
        if (found)
            return format("%s", at);
        slash = strrchr(at, '/');
        if (!slash || slash == at)
            return NULL;
        *slash = '\0';
    }
}

const struct paths *paths_get(void)
{
    static struct paths paths;
    const char *root = getenv("PARANGON_ROOT"), *cache = getenv("PARANGON_CACHE");
    const char *out = getenv("PARANGON_OUT");
    char exe[PATH_MAX], *slash;
    ssize_t length;

    if (paths.root)
        return &paths;

    length = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (length < 0)
        length = 0;
    exe[length] = '\0';
    for (int up = 0; up < 2; up++) /* .../build/bench/parangon */
        if ((slash = strrchr(exe, '/')))
            *slash = '\0';
    paths.build = format("%s", exe);
    paths.root = find_root(root && *root ? root : paths.build);
    if (!paths.root)
        paths.root = find_root(".");
    if (!paths.root) {
        fprintf(
            stderr,
            "parangon: no inputs.lock above this program or this folder: run it in a clone of the "
            "sources, or set PARANGON_ROOT\n");
        exit(2);
    }
    paths.cache = cache && *cache ? format("%s", cache) : format("%s/cache", paths.root);
    paths.out = format("%s", out && *out ? out : "out");
    return &paths;
}

int paths_make_parent(const char *file)
{
    char *folder = format("%s", file), *slash = strrchr(folder, '/');
    int result = 0;

    if (slash && slash != folder) {
        *slash = '\0';
        result = mkdir(folder, 0777);
        if (result < 0 && errno == EEXIST)
            result = 0;
        if (result < 0)
            fprintf(stderr, "parangon: cannot make the folder %s: %s\n", folder, strerror(errno));
    }
    free(folder);
    return result;
}

char *paths_neutral(const char *text)
{
    const struct paths *p = paths_get();
    const struct {
        const char *folder, *name;
    } known[] = {{p->cache, "$CACHE"}, {p->build, "$BUILD"}, {p->root, "$SRC"}};
    char *result = NULL;
    size_t size;
    FILE *out = open_memstream(&result, &size);

    if (!out)
        abort();
    while (*text) {
        size_t i, length = 0;

        for (i = 0; i < sizeof known / sizeof known[0]; i++) {
            length = strlen(known[i].folder);
            if (strncmp(text, known[i].folder, length) == 0 &&
                (text[length] == '/' || text[length] == '\0' || strchr(" ,\"", text[length])))
                break;
        }
        if (i < sizeof known / sizeof known[0]) {
            fputs(known[i].name, out);
            text += length;
        } else {
            fputc(*text++, out);
        }
    }
    fclose(out);
    return result;
}

const char *paths_temporary(void)
{
    const char *folder = getenv("TMPDIR");

    return folder && *folder ? folder : "/tmp";
}

char *paths_make_temporary(const char *what, size_t size)
{
    char *path = format("%s/parangon-%s.XXXXXX", paths_temporary(), what);
    int fd = mkstemp(path);

    if (fd >= 0 && ftruncate(fd, (off_t)size) == 0) {
        close(fd);
        return path;
    }
    fprintf(stderr, "parangon: cannot make a file for the %s in %s: %s\n", what, paths_temporary(), strerror(errno));
    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
    free(path);
    return NULL;
}

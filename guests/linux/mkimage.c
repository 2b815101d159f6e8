/* SPDX-License-Identifier: MIT */
/*
 * Builds a Linux guest image (an uncompressed cpio newc archive, the kernel's initramfs) from a
 * recipe: files picked out of Debian packages (read directly, nothing is unpacked or installed),
 * our own programs, folders, links and devices.
 *
 * The same recipe, packages and programs give the same bytes, in any folder, as any user: entries
 * are sorted by path, owners, times and inode numbers are ours. No root, no chroot, no maintainer
 * script runs.
 *
 * Recipe lines (README.md has them with examples): dir, link, node, file, built, deb, concat,
 * include. Also writes a manifest, if asked: one line per entry, with size, SHA-256 and package of
 * each file. Does not: fetch packages (fetch-packages does), resolve dependencies, compress.
 */
#include <archive.h>
#include <archive_entry.h>
#include <argp.h>
#include <errno.h>
#include <error.h>
#include <fnmatch.h>
#include <openssl/sha.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lock.h"

#define FIXED_TIME 1767225600 /* 2026-01-01T00:00:00Z, of every entry */
#define WORDS_MAX  64

struct entry {
    char *path; /* without the leading slash */
    mode_t mode;
    uid_t uid;
    gid_t gid;
    dev_t rdev;
    const char *package; /* that it comes from, NULL for our own */
    char *target;        /* of a symbolic link */
    void *data;          /* of a regular file */
    size_t size;
};

struct image {
    struct entry *entry;
    size_t nr, room;
    const char *debs, *built, *lock;
    const char *package; /* that is being read, noted in entries made meanwhile */
};

/* Where an error is: the recipe's line */
static const char *at_file = "";
static unsigned at_line;

static _Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static _Noreturn void die(const char *fmt, ...)
{
    va_list ap;

    if (at_line)
        fprintf(stderr, "mkimage: %s:%u: ", at_file, at_line);
    else
        fprintf(stderr, "mkimage: ");
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(1);
}

static void *checked(void *p)
{
    if (!p)
        die("out of memory");
    return p;
}

/* Debian 12 has /bin, /sbin, /lib and /lib64 merged into /usr, while packages still name the old
 * places. */
static char *image_path(const char *path)
{
    static const char *const merged[] = {"bin/", "sbin/", "lib/", "lib64/"};
    char *out;

    while (*path == '/' || (path[0] == '.' && path[1] == '/'))
        path++;
    for (size_t i = 0; i < sizeof(merged) / sizeof(merged[0]); i++)
        if (strncmp(path, merged[i], strlen(merged[i])) == 0) {
            if (asprintf(&out, "usr/%s", path) < 0)
                die("out of memory");
            return out;
        }
    return checked(strdup(path));
}

static struct entry *find_entry(struct image *im, const char *path)
{
    for (size_t i = 0; i < im->nr; i++)
        if (strcmp(im->entry[i].path, path) == 0)
            return &im->entry[i];
    return NULL;
}

static struct entry *add_entry(struct image *im, const char *path, mode_t mode)
{
    char *name = image_path(path);
    struct entry *e = find_entry(im, name);

    if (e) {
        if (!S_ISDIR(e->mode) || !S_ISDIR(mode))
            die("/%s is in the image twice", name);
        free(name);
        e->mode = mode;
        return e;
    }
    for (char *slash = strrchr(name, '/'); slash; slash = NULL) {
        *slash = 0;
        if (!find_entry(im, name))
            add_entry(im, name, S_IFDIR | 0755);
        *slash = '/';
    }
    if (im->nr == im->room) {
        im->room = im->room ? im->room * 2 : 256;
        im->entry = checked(realloc(im->entry, im->room * sizeof(*im->entry)));
    }
    e = &im->entry[im->nr++];
    *e = (struct entry){.path = name, .mode = mode, .package = S_ISDIR(mode) ? NULL : im->package};
    return e;
}

static void read_file(struct entry *e, const char *folder, const char *name)
{
    char *path;
    FILE *f;
    struct stat st;

    if (asprintf(&path, "%s/%s", folder, name) < 0)
        die("out of memory");
    f = fopen(path, "rb");
    if (!f || fstat(fileno(f), &st))
        die("%s: %s", path, strerror(errno));
    e->size = (size_t)st.st_size;
    e->data = checked(malloc(e->size + 1));
    if (fread(e->data, 1, e->size, f) != e->size)
        die("%s: short read", path);
    fclose(f);
    free(path);
}

/* The name of a package's file in the folder of packages: NAME_SHA256.deb, the hash from the lock.
 */
static char *package_path(const struct image *im, const char *package)
{
    FILE *f = fopen(im->lock, "r");
    struct lock_package locked;
    char *path = NULL;

    if (!f)
        die("%s: %s", im->lock, strerror(errno));
    while (!path && lock_next(f, &locked))
        if (strcmp(locked.name, package) == 0 &&
            asprintf(&path, "%s/%s_%s.deb", im->debs, locked.name, locked.sha256) < 0)
            die("out of memory");
    fclose(f);
    if (!path)
        die("package %s is not in %s", package, im->lock);
    return path;
}

/* A .deb is an ar archive; the member data.tar.* holds the files. */
struct deb {
    struct archive *outer, *inner;
    char block[1 << 16];
};

static la_ssize_t read_member(struct archive *a, void *opaque, const void **buffer)
{
    struct deb *d = opaque;

    *buffer = d->block;
    return archive_read_data(d->outer, d->block, sizeof(d->block));
}

static struct deb *deb_open(const struct image *im, const char *package)
{
    struct deb *d = checked(calloc(1, sizeof(*d)));
    char *path = package_path(im, package);
    struct archive_entry *ae;

    d->outer = checked(archive_read_new());
    archive_read_support_format_ar(d->outer);
    if (archive_read_open_filename(d->outer, path, 1 << 16))
        die("%s: %s", path, archive_error_string(d->outer));
    do {
        if (archive_read_next_header(d->outer, &ae))
            die("%s has no data.tar", path);
    } while (strncmp(archive_entry_pathname(ae), "data.tar", 8) != 0);

    d->inner = checked(archive_read_new());
    archive_read_support_format_tar(d->inner);
    archive_read_support_filter_all(d->inner);
    if (archive_read_open(d->inner, d, NULL, read_member, NULL))
        die("%s: %s", path, archive_error_string(d->inner));
    free(path);
    return d;
}

static void deb_close(struct deb *d)
{
    archive_read_free(d->inner);
    archive_read_free(d->outer);
    free(d);
}

static void *read_data(struct deb *d, struct archive_entry *ae, size_t *size)
{
    char *data;

    *size = (size_t)archive_entry_size(ae);
    data = checked(malloc(*size + 1));
    if (archive_read_data(d->inner, data, *size) != (la_ssize_t)*size)
        die("%s: %s", archive_entry_pathname(ae), archive_error_string(d->inner));
    return data;
}

/* A `*` in a pattern matches slashes too. used[] notes which patterns have matched something. */
static int wanted(const char *path, char **pattern, int n, unsigned char *used)
{
    int hit = 0;

    for (int i = 0; i < n; i++)
        if (fnmatch(pattern[i], path, 0) == 0)
            used[i] = hit = 1;
    return hit;
}

static void check_used(const char *package, char **pattern, int n, const unsigned char *used)
{
    for (int i = 0; i < n; i++)
        if (!used[i])
            die("package %s has nothing like %s", package, pattern[i]);
}

/* deb PACKAGE PATTERN...: files and links of the package, folders above them as needed */
static void do_deb(struct image *im, char **word, int n)
{
    struct deb *d = deb_open(im, word[1]);
    struct archive_entry *ae;
    unsigned char used[WORDS_MAX] = {0};
    int r;

    im->package = checked(strdup(word[1]));
    while ((r = archive_read_next_header(d->inner, &ae)) == ARCHIVE_OK) {
        const char *path = archive_entry_pathname(ae) + 1; /* after the dot */
        struct entry *e;

        if (archive_entry_filetype(ae) == AE_IFDIR || !wanted(path, word + 2, n - 2, used))
            continue;
        if (archive_entry_hardlink(ae)) {
            struct entry *of, copy;
            char *name = image_path(archive_entry_hardlink(ae));

            of = find_entry(im, name);
            if (!of)
                die("%s is a hard link to %s, which is not picked", path, name);
            copy = *of;
            e = add_entry(im, path, copy.mode);
            e->data = copy.data;
            e->size = copy.size;
            free(name);
            continue;
        }
        e = add_entry(im, path, archive_entry_mode(ae));
        if (archive_entry_filetype(ae) == AE_IFLNK)
            e->target = checked(strdup(archive_entry_symlink(ae)));
        else
            e->data = read_data(d, ae, &e->size);
    }
    if (r != ARCHIVE_EOF)
        die("package %s: %s", word[1], archive_error_string(d->inner));
    check_used(word[1], word + 2, n - 2, used);
    deb_close(d);
    im->package = NULL;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->path, ((const struct entry *)b)->path);
}

/* concat PATH MODE BYTES PACKAGE PATTERN...: one file out of many, in the order of their paths, cut
 * at BYTES */
static void do_concat(struct image *im, char **word, int n)
{
    struct deb *d = deb_open(im, word[4]);
    struct archive_entry *ae;
    struct image parts = {0};
    struct entry *e = add_entry(im, word[1], S_IFREG | (mode_t)strtoul(word[2], NULL, 8));
    size_t limit = strtoull(word[3], NULL, 0);
    unsigned char used[WORDS_MAX] = {0};

    while (archive_read_next_header(d->inner, &ae) == ARCHIVE_OK)
        if (archive_entry_filetype(ae) == AE_IFREG && !archive_entry_hardlink(ae) &&
            wanted(archive_entry_pathname(ae) + 1, word + 5, n - 5, used)) {
            struct entry *part = add_entry(&parts, archive_entry_pathname(ae), S_IFREG);

            part->data = read_data(d, ae, &part->size);
        }
    check_used(word[4], word + 5, n - 5, used);
    deb_close(d);

    qsort(parts.entry, parts.nr, sizeof(*parts.entry), by_path);
    e->data = checked(malloc(limit + 1));
    for (size_t i = 0; i < parts.nr; i++) {
        struct entry *part = &parts.entry[i];
        size_t take = part->size < limit - e->size ? part->size : limit - e->size;

        if (take)
            memcpy((char *)e->data + e->size, part->data, take);
        e->size += take;
        free(part->data);
        free(part->path);
    }
    free(parts.entry);
    if (e->size != limit)
        die("only %zu bytes match, %zu are wanted", e->size, limit);
}

static void read_recipe(struct image *im, const char *path);

static void do_line(struct image *im, char **word, int n, const char *folder)
{
    const char *what = word[0];
    struct entry *e;

    if (strcmp(what, "dir") == 0 && (n == 3 || n == 5)) {
        e = add_entry(im, word[1], S_IFDIR | (mode_t)strtoul(word[2], NULL, 8));
        e->uid = n == 5 ? (uid_t)atoi(word[3]) : 0;
        e->gid = n == 5 ? (gid_t)atoi(word[4]) : 0;
    } else if (strcmp(what, "link") == 0 && n == 3) {
        add_entry(im, word[1], S_IFLNK | 0777)->target = checked(strdup(word[2]));
    } else if (strcmp(what, "node") == 0 && n == 5) {
        e = add_entry(im, word[1], S_IFCHR | (mode_t)strtoul(word[2], NULL, 8));
        e->rdev = makedev((unsigned)atoi(word[3]), (unsigned)atoi(word[4]));
    } else if (strcmp(what, "file") == 0 && n == 4) {
        read_file(add_entry(im, word[1], S_IFREG | (mode_t)strtoul(word[2], NULL, 8)), folder,
                  word[3]);
    } else if (strcmp(what, "built") == 0 && n == 4) {
        read_file(add_entry(im, word[1], S_IFREG | (mode_t)strtoul(word[2], NULL, 8)), im->built,
                  word[3]);
    } else if (strcmp(what, "deb") == 0 && n >= 3) {
        do_deb(im, word, n);
    } else if (strcmp(what, "concat") == 0 && n >= 6) {
        do_concat(im, word, n);
    } else if (strcmp(what, "include") == 0 && n == 2) {
        char *path;

        if (asprintf(&path, "%s/%s", folder, word[1]) < 0)
            die("out of memory");
        read_recipe(im, path);
        free(path);
    } else {
        die("not a recipe line: %s with %d words", what, n - 1);
    }
}

static void read_recipe(struct image *im, const char *path)
{
    const char *outer_file = at_file;
    unsigned outer_line = at_line;
    const char *slash = strrchr(path, '/');
    char *folder = checked(slash ? strndup(path, (size_t)(slash - path)) : strdup("."));
    char text[4096];
    FILE *f = fopen(path, "r");

    if (!f)
        die("%s: %s", path, strerror(errno));
    at_file = path;
    at_line = 0;
    while (fgets(text, sizeof(text), f)) {
        char *word[WORDS_MAX], *save = NULL;
        int n = 0;

        at_line++;
        text[strcspn(text, "#\n")] = 0;
        for (char *w = strtok_r(text, " \t", &save); w && n < WORDS_MAX;
             w = strtok_r(NULL, " \t", &save))
            word[n++] = w;
        if (n == WORDS_MAX)
            die("more than %d words", WORDS_MAX - 1);
        if (n)
            do_line(im, word, n, folder);
    }
    fclose(f);
    free(folder);
    at_file = outer_file;
    at_line = outer_line;
}

static void write_image(const struct image *im, const char *out)
{
    struct archive *a = checked(archive_write_new());
    char *temporary;

    if (asprintf(&temporary, "%s.tmp", out) < 0)
        die("out of memory");
    archive_write_set_format_cpio_newc(a);
    archive_write_set_bytes_in_last_block(a, 1);
    if (archive_write_open_filename(a, temporary))
        die("%s: %s", temporary, archive_error_string(a));
    for (size_t i = 0; i < im->nr; i++) {
        const struct entry *e = &im->entry[i];
        struct archive_entry *ae = checked(archive_entry_new());

        archive_entry_set_pathname(ae, e->path);
        archive_entry_set_mode(ae, e->mode);
        archive_entry_set_uid(ae, e->uid);
        archive_entry_set_gid(ae, e->gid);
        archive_entry_set_mtime(ae, FIXED_TIME, 0);
        archive_entry_set_ino(ae, (la_int64_t)i + 1);
        archive_entry_set_nlink(ae, S_ISDIR(e->mode) ? 2 : 1);
        archive_entry_set_dev(ae, 0);
        if (S_ISCHR(e->mode))
            archive_entry_set_rdev(ae, e->rdev);
        if (S_ISLNK(e->mode))
            archive_entry_set_symlink(ae, e->target);
        archive_entry_set_size(ae, S_ISREG(e->mode) ? (la_int64_t)e->size : 0);
        if (archive_write_header(a, ae) ||
            (S_ISREG(e->mode) && archive_write_data(a, e->data, e->size) != (la_ssize_t)e->size))
            die("%s: %s", e->path, archive_error_string(a));
        archive_entry_free(ae);
    }
    if (archive_write_close(a))
        die("%s: %s", temporary, archive_error_string(a));
    archive_write_free(a);
    if (rename(temporary, out))
        die("%s: %s", out, strerror(errno));
    free(temporary);
}

static void write_manifest(const struct image *im, const char *out)
{
    FILE *f = fopen(out, "w");

    if (!f)
        die("%s: %s", out, strerror(errno));
    for (size_t i = 0; i < im->nr; i++) {
        const struct entry *e = &im->entry[i];
        unsigned char sha[SHA256_DIGEST_LENGTH];

        fprintf(f, "%06o %u:%u /%s", (unsigned)e->mode, (unsigned)e->uid, (unsigned)e->gid,
                e->path);
        if (S_ISLNK(e->mode))
            fprintf(f, " -> %s", e->target);
        if (S_ISREG(e->mode)) {
            SHA256(e->data, e->size, sha);
            fprintf(f, " %zu ", e->size);
            for (size_t b = 0; b < sizeof(sha); b++)
                fprintf(f, "%02x", sha[b]);
            fprintf(f, " %s", e->package ? e->package : "-");
        }
        fputc('\n', f);
    }
    if (fclose(f))
        die("%s: %s", out, strerror(errno));
}

struct arguments {
    struct image im;
    const char *recipe, *out, *manifest;
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;

    switch (key) {
    case 'd':
        a->im.debs = arg;
        return 0;
    case 'l':
        a->im.lock = arg;
        return 0;
    case 'b':
        a->im.built = arg;
        return 0;
    case 'm':
        a->manifest = arg;
        return 0;
    case 'o':
        a->out = arg;
        return 0;
    case ARGP_KEY_ARG:
        a->recipe = arg;
        return 0;
    case ARGP_KEY_END:
        if (!a->recipe || !a->out)
            argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"debs", 'd', "FOLDER", 0, "packages, as fetch-packages leaves them", 0},
        {"lock", 'l', "FILE", 0, "versions and SHA-256 of the packages", 0},
        {"built", 'b', "FOLDER", 0, "our own programs", 0},
        {"manifest", 'm', "FILE", 0, "write a list of all entries there", 0},
        {"output", 'o', "FILE", 0, "the image", 0},
        {0},
    };
    static const struct argp argp = {
        options,
        parse_option,
        "RECIPE",
        "Build a Linux guest image from a recipe.\v"
        "Exit status: 0 built, 1 not (one message says why), 64 usage.",
        NULL,
        NULL,
        NULL};
    struct arguments a = {.im = {.debs = ".", .built = ".", .lock = "packages.lock"}};

    argp_parse(&argp, argc, argv, 0, NULL, &a);
    read_recipe(&a.im, a.recipe);
    at_line = 0;
    qsort(a.im.entry, a.im.nr, sizeof(*a.im.entry), by_path);
    write_image(&a.im, a.out);
    if (a.manifest)
        write_manifest(&a.im, a.manifest);
    return 0;
}

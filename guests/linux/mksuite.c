/* SPDX-License-Identifier: MIT */
/*
 * Writes, or checks, the identity of a frozen suite of workloads: macro-1.json. The identity is
 * everything that decides what an interval does, so that a change of any of it is seen: the
 * packages with version and SHA-256, each file of the image, corpora, request counts and
 * parameters, and the text of our own sources that run between the marks.
 *
 * A suite is frozen: what is built must be what stands in its file. The one exception is stated, not
 * hidden: where packages that the lock names could not be had any more, and others stand in for them
 * (fetch-packages), the identity is written with its own hash, so that nothing takes results of it
 * for those of the frozen suite.
 *
 * `sha256_of_suite` is the SHA-256 of the same object without that member, as compact JSON with
 * sorted keys. Not part of it: the runner outside the marks, the C compiler that built it, the
 * kernel (the harness names that).
 */
#include <argp.h>
#include <errno.h>
#include <jansson.h>
#include <openssl/sha.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lock.h"

#define HASH_KEY "sha256_of_suite"
#define HEX_SIZE (2 * SHA256_DIGEST_LENGTH + 1)

struct arguments {
    const char *suite, *list, *manifest, *lock, *frozen_lock, *members, *check, *out;
    const char *sources[32];
    size_t nr_sources;
};

static _Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static _Noreturn void die(const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "mksuite: ");
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(1);
}

static FILE *open_text(const char *path)
{
    FILE *f = fopen(path, "r");

    if (!f)
        die("%s: %s", path, strerror(errno));
    return f;
}

static void hex(const unsigned char *sha, char out[HEX_SIZE])
{
    for (int i = 0; i < SHA256_DIGEST_LENGTH; i++)
        sprintf(out + 2 * i, "%02x", sha[i]);
}

static void hash_file(const char *path, char out[HEX_SIZE])
{
    unsigned char sha[SHA256_DIGEST_LENGTH];
    static char text[1 << 20];
    FILE *f = open_text(path);
    size_t n = fread(text, 1, sizeof(text), f);

    if (n == sizeof(text))
        die("%s is larger than %zu bytes", path, sizeof(text) - 1);
    fclose(f);
    SHA256((unsigned char *)text, n, sha);
    hex(sha, out);
}

/* Hash of an object as compact JSON with sorted keys */
static void hash_object(const json_t *object, char out[HEX_SIZE])
{
    unsigned char sha[SHA256_DIGEST_LENGTH];
    char *dump = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);

    SHA256((unsigned char *)dump, strlen(dump), sha);
    free(dump);
    hex(sha, out);
}

/* Package name to version and hash of its file */
static json_t *read_lock(const char *path)
{
    json_t *packages = json_object();
    struct lock_package p;
    FILE *f = open_text(path);

    while (lock_next(f, &p))
        json_object_set_new(packages, p.name,
                            json_pack("{s:s, s:s}", "version", p.version, "sha256", p.sha256));
    fclose(f);
    return packages;
}

/*
 * Every entry of the image but those that may change without changing the suite (the runner, this
 * identity): path to what the manifest says of it.
 */
static json_t *read_manifest(const char *path)
{
    static const char *const outside[] = {"/init",
                                          "/usr/bin/pgn-true",
                                          "/usr/lib/x86_64-linux-gnu/libicudata.so.72",
                                          "/usr/lib/parangon/icunone.so",
                                          "/etc/parangon",
                                          NULL};
    json_t *files = json_object();
    char line[1024];
    FILE *f = open_text(path);

    while (fgets(line, sizeof(line), f)) {
        char *name = strchr(line, '/');
        char *end = name + strcspn(name, " \n");
        int skip = 0;

        line[strcspn(line, "\n")] = 0;
        for (size_t i = 0; outside[i]; i++)
            skip |= strncmp(name, outside[i], strlen(outside[i])) == 0;
        if (skip)
            continue;
        name[-1] = 0;
        if (*end)
            *end++ = 0;
        json_object_set_new(files, name, json_sprintf("%s%s%s", line, *end ? " " : "", end));
    }
    fclose(f);
    return files;
}

/* The package at the end of what the manifest says of a file; NULL for what is our own, links and
 * folders. */
static const char *package_of(const json_t *entry)
{
    const char *text = json_string_value(entry);
    const char *last = strrchr(text, ' ');

    return strncmp(text, "100", 3) == 0 && strcmp(last, " -") ? last + 1 : NULL;
}

/* What the suite records of the image: our own entries each; the files picked from a package by one
 * hash for all. */
static json_t *summarise(json_t *files, json_t *packages)
{
    json_t *summary = json_object(), *entry;
    const char *path, *package;

    json_object_foreach(files, path, entry) if (!package_of(entry))
        json_object_set(summary, path, entry);

    json_object_foreach(packages, package, entry)
    {
        json_t *picked = json_object(), *file;
        char text[HEX_SIZE];

        json_object_foreach(files, path,
                            file) if (package_of(file) && strcmp(package_of(file), package) == 0)
            json_object_set(picked, path, file);
        hash_object(picked, text);
        json_object_set_new(
            summary, package,
            json_pack("{s:i, s:s}", "files", (int)json_object_size(picked), "sha256", text));
        json_decref(picked);
    }
    return summary;
}

/* Adds to the description of a workload the packages and input files that the line of its member
 * names. */
static void add_member(json_t *w, char *text, const json_t *packages, const json_t *files)
{
    json_t *uses = json_object(), *inputs = json_object();

    for (char *save = NULL, *word = strtok_r(text, " \t\n", &save); word;
         word = strtok_r(NULL, " \t\n", &save)) {
        if (word[0] == '/') {
            json_t *entry = json_object_get(files, word);

            if (!entry)
                die("input %s is not in the image", word);
            json_object_set(inputs, word, entry);
        } else {
            json_t *package = json_object_get(packages, word);

            if (!package)
                die("package %s is not in the lock", word);
            json_object_set(uses, word, json_object_get(package, "version"));
        }
    }
    json_object_set_new(w, "packages", uses);
    json_object_set_new(w, "inputs", inputs);
}

/* The workloads of the suite, in the runner's order; each must have its line among the members, and
 * the reverse. */
static json_t *read_workloads(const struct arguments *a, const json_t *packages,
                              const json_t *files)
{
    json_error_t error;
    json_t *all = json_load_file(a->list, 0, &error), *mine = json_array(), *w;
    size_t i;

    if (!json_is_array(all))
        die("%s: %s", a->list, error.text);
    json_array_foreach (all, i, w) {
        const char *name = json_string_value(json_object_get(w, "workload"));
        const char *suite = json_string_value(json_object_get(w, "suite"));
        char line[1024];
        FILE *f;
        int found = 0;

        if (!name || !suite || strcmp(suite, a->suite))
            continue;
        f = open_text(a->members);
        while (!found && fgets(line, sizeof(line), f))
            if (strncmp(line, name, strlen(name)) == 0 && strchr(" \t", line[strlen(name)])) {
                add_member(w, line + strlen(name), packages, files);
                found = 1;
            }
        fclose(f);
        if (!found)
            die("%s has no line for workload %s", a->members, name);
        json_object_del(w, "ev");
        json_array_append(mine, w);
    }
    json_decref(all);
    return mine;
}

static json_t *make_suite(const struct arguments *a)
{
    json_t *packages = read_lock(a->lock);
    json_t *files = read_manifest(a->manifest);
    json_t *sources = json_object();
    json_t *suite = json_object();
    char text[HEX_SIZE];

    for (size_t i = 0; i < a->nr_sources; i++) {
        const char *slash = strrchr(a->sources[i], '/');

        hash_file(a->sources[i], text);
        json_object_set_new(sources, slash ? slash + 1 : a->sources[i], json_string(text));
    }
    json_object_set_new(suite, "suite", json_string(a->suite));
    json_object_set_new(suite, "workloads", read_workloads(a, packages, files));
    json_object_set_new(suite, "packages", packages);
    json_object_set_new(suite, "image", summarise(files, packages));
    json_object_set_new(suite, "sources", sources);
    json_decref(files);

    hash_object(suite, text);
    json_object_set_new(suite, HASH_KEY, json_string(text));
    return suite;
}

/* Names the members of the two objects that differ, so that a reader sees what has moved. */
static void print_difference(const json_t *frozen, const json_t *now, const char *where)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)now, key, value)
    {
        json_t *other = json_object_get(frozen, key);

        if (json_equal(value, other) || strcmp(key, HASH_KEY) == 0)
            continue;
        if (json_is_object(value) && json_is_object(other))
            print_difference(other, value, key);
        else
            fprintf(stderr, "mksuite:   %s%s%s: %s\n", where, *where ? " " : "", key,
                    other ? "changed" : "new");
    }
    json_object_foreach((json_t *)frozen, key, value) if (!json_object_get(now, key))
        fprintf(stderr, "mksuite:   %s%s%s: gone\n", where, *where ? " " : "", key);
}

/* Are the packages in use others than those of the lock that the suite was frozen with? */
static int other_packages(const struct arguments *a)
{
    json_t *used = read_lock(a->lock), *frozen = a->frozen_lock ? read_lock(a->frozen_lock) : NULL;
    int other = frozen && !json_equal(used, frozen);

    json_decref(frozen);
    json_decref(used);
    return other;
}

/* 0 when the suite is the frozen one, or another for the one reason that there may be. */
static int check(const struct arguments *a, const json_t *now)
{
    json_error_t error;
    json_t *frozen = json_load_file(a->check, 0, &error);
    int other;

    if (!frozen)
        die("%s: %s", a->check, error.text);
    if (json_equal(frozen, now))
        return 0;
    other = other_packages(a);
    fprintf(stderr, "mksuite: %sthe suite is frozen in %s, and what is built now is another:\n",
            other ? "warning: " : "", a->check);
    print_difference(frozen, now, "");
    if (other)
        fprintf(stderr, "mksuite: locked packages could not be had: results have the hash of the "
                        "other suite, and are not comparable\n");
    else
        fprintf(stderr, "mksuite: undo that, or give the suite a new name (guests/linux/README.md)\n");
    return !other;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;

    switch (key) {
    case 's':
        a->suite = arg;
        return 0;
    case 'w':
        a->list = arg;
        return 0;
    case 'm':
        a->manifest = arg;
        return 0;
    case 'l':
        a->lock = arg;
        return 0;
    case 'f':
        a->frozen_lock = arg;
        return 0;
    case 'e':
        a->members = arg;
        return 0;
    case 'c':
        a->check = arg;
        return 0;
    case 'o':
        a->out = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (a->nr_sources == sizeof(a->sources) / sizeof(a->sources[0]))
            argp_error(state, "too many sources");
        a->sources[a->nr_sources++] = arg;
        return 0;
    case ARGP_KEY_END:
        if (!a->suite || !a->list || !a->manifest || !a->lock || !a->members ||
            (!a->check && !a->out))
            argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"suite", 's', "NAME", 0, "its identity", 0},
        {"workloads", 'w', "FILE", 0, "what `guest-init --list` prints", 0},
        {"manifest", 'm', "FILE", 0, "of the image (mkimage)", 0},
        {"lock", 'l', "FILE", 0, "the packages in use: packages.lock, or what fetch-packages wrote", 0},
        {"frozen-lock", 'f', "FILE", 0,
         "packages.lock: where --lock has others, --check lets the suite be another, with a warning", 0},
        {"members", 'e', "FILE", 0, "packages and inputs of each workload", 0},
        {"check", 'c', "FILE", 0, "compare with this frozen identity", 0},
        {"output", 'o', "FILE", 0, "write the identity there", 0},
        {0},
    };
    static const struct argp argp = {options,
                                     parse_option,
                                     "SOURCE...",
                                     "Write or check the identity of a suite of workloads.\v"
                                     "Exit status: 0 written or the same, 1 not, 64 usage.",
                                     NULL,
                                     NULL,
                                     NULL};
    struct arguments a = {0};
    json_t *suite;

    argp_parse(&argp, argc, argv, 0, NULL, &a);
    suite = make_suite(&a);
    if (a.check && check(&a, suite))
        return 1;
    if (a.out && json_dump_file(suite, a.out, JSON_INDENT(1) | JSON_SORT_KEYS))
        die("%s: %s", a.out, strerror(errno));
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Proves that a trace class that is compiled out leaves nothing.
 *
 *   off_is_identical COMPILE_COMMANDS.JSON SOURCE-TREE FOLDER OPTION [CLASS...]
 *
 * Every C file of FOLDER (below SOURCE-TREE) that the build compiles with OPTION (-ffreestanding)
 * is compiled twice, with the build's own command line: from the tree as it is with the classes
 * off, and from a copy out of which delete_trace_calls() has taken their calls. All sections that
 * are loaded (.text, .rodata, .data...) and all relocations must be the same bytes. (A file without
 * calls, where no header has any, is the same source and not compiled.) CLASS: only these are off,
 * the others on; none named: all are. Exit status: 0 identical, 1 not (says which file and
 * section), 2 usage or the build cannot be repeated.
 */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <ftw.h>
#include <gelf.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "delete_calls.h"
#include "trace/record.h"

static struct trace_schema *schema;
static const char *tree;             /* the source tree */
static char *build;            /* the build folder, often in the tree; it is not copied */
static char work[] = "/tmp/off_is_identicalXXXXXX";
static uint64_t off_classes;
static unsigned calls_deleted, calls_in_headers;

static char *read_file(const char *path)
{
    FILE *in = fopen(path, "re");
    char *text = NULL;
    size_t size = 0;

    if (!in || getdelim(&text, &size, '\0', in) < 0) {
        free(text);
        text = strdup(""); /* an empty file is read as none */
    }
    if (!in || !text)
        err(2, "%s", path);
    fclose(in);
    return text;
}

static void write_file(const char *path, const char *text)
{
    FILE *out = fopen(path, "we");

    if (!out || fputs(text, out) < 0 || fclose(out) != 0)
        err(2, "%s", path);
}

static bool ends_with(const char *path, const char *end)
{
    const size_t size = strlen(path), tail = strlen(end);

    return size >= tail && strcmp(path + size - tail, end) == 0;
}

/*
 * nftw: copy a source file to work/with and, without its calls, to work/gone. The tracer's own
 * files keep theirs.
 */
static int copy_source(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
    const char *relative = path + strlen(tree) + 1;
    char to[PATH_MAX];
    char *text, *gone;

    for (int i = 0; i < 2; i++) {
        snprintf(to, sizeof(to), "%s/%s/%s", work, i ? "gone" : "with", relative);
        if (type == FTW_D && mkdir(to, 0777) < 0)
            err(2, "%s", to);
    }
    if (type != FTW_F || !(ends_with(path, ".c") || ends_with(path, ".h") || ends_with(path, ".def")))
        return 0;
    text = read_file(path);
    gone = strncmp(relative, "trace/", 6) == 0
               ? strdup(text)
               : delete_trace_calls(text, schema, off_classes,
                                    ends_with(path, ".c") ? &calls_deleted : &calls_in_headers);
    if (!gone)
        errx(2, "%s: a trace call without an end", path);
    snprintf(to, sizeof(to), "%s/with/%s", work, relative);
    write_file(to, text);
    snprintf(to, sizeof(to), "%s/gone/%s", work, relative);
    write_file(to, gone);
    free(text);
    free(gone);
    return 0;
}

/* Every folder of the tree but hidden ones, builds, outputs and caches. */
static void copy_tree(void)
{
    char path[PATH_MAX];
    struct dirent *entry;
    DIR *dir = opendir(tree);

    if (!dir)
        err(2, "%s", tree);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/%s", work, i ? "gone" : "with");
        if (mkdir(path, 0777) < 0)
            err(2, "%s", path);
    }
    while ((entry = readdir(dir))) {
        struct stat stat;

        snprintf(path, sizeof(path), "%s/%s", tree, entry->d_name);
        if (entry->d_name[0] == '.' || strncmp(entry->d_name, "build", 5) == 0 ||
            strcmp(entry->d_name, "out") == 0 || strcmp(entry->d_name, "cache") == 0 ||
            lstat(path, &stat) < 0 || !S_ISDIR(stat.st_mode))
            continue;
        if (nftw(path, copy_source, 16, FTW_PHYS) < 0)
            err(2, "%s", path);
    }
    closedir(dir);
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
    return remove(path);
}

static void remove_work(void)
{
    nftw(work, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Whether text begins with this folder's name, and not with a longer one that begins alike. */
static bool names(const char *text, const char *folder)
{
    const size_t length = strlen(folder);

    return strncmp(text, folder, length) == 0 && strchr("/ ='", text[length]);
}

/*
 * `text` with every occurrence of the tree's name replaced by work/side. What lies in the build
 * folder stays as it is, and so do longer names that merely begin alike.
 */
static char *retarget(const char *text, const char *side)
{
    char *result = NULL;
    size_t size;
    FILE *out = open_memstream(&result, &size);
    const size_t length = strlen(tree);

    while (*text) {
        const char *hit = strstr(text, tree);
        const size_t plain = hit ? (size_t)(hit - text) : strlen(text);

        fwrite(text, 1, plain, out);
        text += plain;
        if (hit) {
            if (names(hit, tree) && !names(hit, build))
                fprintf(out, "%s/%s", work, side);
            else
                fwrite(hit, 1, length, out);
            text += length;
        }
    }
    fclose(out);
    return result;
}

/* Repeat one command of the build on a copy of the tree; the object goes to work/side.o. */
static bool compile(json_t *entry, const char *side)
{
    const char *command = json_string_value(json_object_get(entry, "command"));
    const char *directory = json_string_value(json_object_get(entry, "directory"));
    const char *output = command ? strstr(command, " -o ") : NULL;
    char *moved, *line;
    size_t skipped;
    int status;

    if (!output || !directory)
        errx(2, "a build command that this program does not understand: %s", command ? command : "none");
    skipped = strcspn(output + 4, " ");
    if (asprintf(&line,
                 "cd '%s' && %.*s -w -UTRACE_CLASSES -DTRACE_CLASSES=0x%" PRIx64 " -o %s/%s.o%s",
                 directory, (int)(output - command), command, TRACE_CLASSES_ALL & ~off_classes, work, side,
                 output + 4 + skipped) < 0)
        err(2, "memory");
    moved = retarget(line, side);
    status = system(moved);
    if (status != 0)
        warnx("failed: %s", moved);
    free(moved);
    free(line);
    return status == 0;
}

struct object {
    int fd;
    Elf *elf;
    size_t names; /* section of the section names */
};

static void open_object(struct object *object, const char *side)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s.o", work, side);
    object->fd = open(path, O_RDONLY | O_CLOEXEC);
    object->elf = object->fd < 0 ? NULL : elf_begin(object->fd, ELF_C_READ, NULL);
    if (!object->elf || elf_getshdrstrndx(object->elf, &object->names) < 0)
        errx(2, "%s: %s", path, elf_errmsg(-1));
}

static void close_object(struct object *object)
{
    elf_end(object->elf);
    close(object->fd);
}

/* A relocation in words that do not depend on the order of symbols. */
static void print_relocation(FILE *out, const struct object *object, const GElf_Shdr *header,
                             const GElf_Rela *rela)
{
    Elf_Scn *table = elf_getscn(object->elf, header->sh_link);
    const char *name = "";
    GElf_Shdr symbols, section;
    GElf_Sym symbol;

    if (table && gelf_getshdr(table, &symbols) &&
        gelf_getsym(elf_getdata(table, NULL), GELF_R_SYM(rela->r_info), &symbol)) {
        name = elf_strptr(object->elf, symbols.sh_link, symbol.st_name);
        if (GELF_ST_TYPE(symbol.st_info) == STT_SECTION &&
            gelf_getshdr(elf_getscn(object->elf, symbol.st_shndx), &section))
            name = elf_strptr(object->elf, object->names, section.sh_name);
    }
    fprintf(out, "%" PRIx64 " %" PRIx64 " %s %" PRIx64 "\n", (uint64_t)rela->r_offset,
            (uint64_t)GELF_R_TYPE(rela->r_info), name ? name : "", (uint64_t)rela->r_addend);
}

/* All that is loaded, as one text: per section its name, size, bytes and relocations. */
static char *describe(const struct object *object, size_t *size)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, size);
    Elf_Scn *section = NULL;
    GElf_Shdr header, target;

    while ((section = elf_nextscn(object->elf, section))) {
        Elf_Data *data = elf_getdata(section, NULL);

        gelf_getshdr(section, &header);
        if (header.sh_flags & SHF_ALLOC) {
            fprintf(out, "\nsection %s %" PRIu64 "\n",
                    elf_strptr(object->elf, object->names, header.sh_name), (uint64_t)header.sh_size);
            if (header.sh_type != SHT_NOBITS && data && data->d_size)
                fwrite(data->d_buf, 1, data->d_size, out);
        }
        if (header.sh_type != SHT_RELA || !data ||
            !gelf_getshdr(elf_getscn(object->elf, header.sh_info), &target) || !(target.sh_flags & SHF_ALLOC))
            continue;
        fprintf(out, "\nrelocations of %s\n", elf_strptr(object->elf, object->names, target.sh_name));
        for (size_t i = 0; i < header.sh_size / header.sh_entsize; i++) {
            GElf_Rela rela;

            if (gelf_getrela(data, i, &rela))
                print_relocation(out, object, &header, &rela);
        }
    }
    fclose(out);
    return text;
}

/* Name of the section in which two descriptions first differ. */
static void say_where(const char *file, const char *a, size_t size_a, const char *b, size_t size_b)
{
    size_t at = 0, line;

    while (at < size_a && at < size_b && a[at] == b[at])
        at++;
    for (line = at; line > 0; line--) {
        if (strncmp(a + line, "\nsection ", 9) == 0 || strncmp(a + line, "\nrelocations ", 13) == 0)
            break;
    }
    warnx("%s: differs: %.*s", file, (int)strcspn(a + line + 1, "\n"), a + line + 1);
}

static bool has_no_calls(const char *file)
{
    char path[PATH_MAX];
    char *with, *gone;
    bool same;

    snprintf(path, sizeof(path), "%s/with/%s", work, file);
    with = read_file(path);
    snprintf(path, sizeof(path), "%s/gone/%s", work, file);
    gone = read_file(path);
    same = strcmp(with, gone) == 0;
    free(with);
    free(gone);
    return same;
}

enum verdict { IDENTICAL, DIFFERENT, NOT_COMPILED, VERDICTS };

/* Does this file leave the same bytes both ways? */
static enum verdict check(json_t *entry, const char *file)
{
    struct object with, gone;
    char *a, *b;
    size_t size_a, size_b;
    bool same;

    if (!calls_in_headers && has_no_calls(file))
        return IDENTICAL; /* the two sources are */
    if (!compile(entry, "with") || !compile(entry, "gone"))
        return NOT_COMPILED;
    open_object(&with, "with");
    open_object(&gone, "gone");
    a = describe(&with, &size_a);
    b = describe(&gone, &size_b);
    same = size_a == size_b && memcmp(a, b, size_a) == 0;
    if (!same)
        say_where(file, a, size_a, b, size_b);
    free(a);
    free(b);
    close_object(&with);
    close_object(&gone);
    return same ? IDENTICAL : DIFFERENT;
}

/*
 * Did an earlier entry name this file? A build may have it in several variants; the first is the
 * one that is released.
 */
static bool seen_before(json_t *commands, size_t before, const char *file)
{
    for (size_t i = 0; i < before; i++) {
        const char *other = json_string_value(json_object_get(json_array_get(commands, i), "file"));

        if (other && strcmp(other, file) == 0)
            return true;
    }
    return false;
}

static void choose_classes(int argc, char **argv)
{
    off_classes = argc ? 0 : TRACE_CLASSES_ALL;
    for (int i = 0; i < argc; i++) {
        size_t c = 0;

        while (c < schema->nr_classes && strcmp(schema->classes[c].name, argv[i]) != 0)
            c++;
        if (c == schema->nr_classes)
            errx(2, "there is no class %s", argv[i]);
        off_classes |= UINT64_C(1) << schema->classes[c].bit;
    }
}

int main(int argc, char **argv)
{
    unsigned files = 0, count[VERDICTS] = { 0 };
    char prefix[PATH_MAX];
    json_error_t error;
    json_t *commands, *entry;
    size_t i;

    if (argc < 5)
        errx(2, "usage: off_is_identical COMPILE_COMMANDS.JSON SOURCE-TREE FOLDER OPTION [CLASS...]");
    elf_version(EV_CURRENT);
    schema = trace_schema_read(trace_descriptor, trace_descriptor_size);
    tree = argv[2];
    build = strdup(argv[1]);
    if (!build || !strrchr(build, '/'))
        errx(2, "%s: a path with its folder is needed", argv[1]);
    *strrchr(build, '/') = '\0';
    choose_classes(argc - 5, argv + 5);
    commands = json_load_file(argv[1], 0, &error);
    if (!schema || !commands)
        errx(2, "%s: %s", argv[1], error.text);
    if (!mkdtemp(work))
        err(2, "%s", work);
    atexit(remove_work);
    copy_tree();

    snprintf(prefix, sizeof(prefix), "%s/%s/", tree, argv[3]);
    json_array_foreach(commands, i, entry) {
        const char *file = json_string_value(json_object_get(entry, "file"));
        const char *command = json_string_value(json_object_get(entry, "command"));

        if (!file || strncmp(file, prefix, strlen(prefix)) != 0 || !ends_with(file, ".c") ||
            !command || !strstr(command, argv[4]) || seen_before(commands, i, file))
            continue;
        files++;
        count[check(entry, file + strlen(tree) + 1)]++;
    }
    printf("%u files of %s: %u identical, %u differ, %u cannot be compiled "
           "(%u trace calls deleted in the tree)\n",
           files, argv[3], count[IDENTICAL], count[DIFFERENT], count[NOT_COMPILED],
           calls_deleted + calls_in_headers);
    if (!files)
        errx(2, "the build has no C file in %s", argv[3]);
    json_decref(commands);
    trace_schema_free(schema);
    return count[NOT_COMPILED] ? 2 : count[DIFFERENT] ? 1 : 0;
}

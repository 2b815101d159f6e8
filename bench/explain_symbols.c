/* SPDX-License-Identifier: MIT */
/*
 * explain_symbols.h: libelf for symbol tables; for kallsyms a search for the token table, from
 * which all else follows.
 *
 * In the image the parts stand in this order, each aligned to 8 bytes: offsets (int32 each),
 * relative base (uint64), number of symbols (uint32), names, markers (uint32: where every 256th
 * name begins), token table (256 strings), token index (uint16 each: where each string begins). The
 * index proves the token table, the markers prove the names.
 */
#include "bench/explain_symbols.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NR_TOKENS       256
#define NAMES_PER_MARK  256
#define KERNEL_TEXT     0xffffffff80000000ull
#define PAGE_BYTES      4096
#define SYMBOLS_MIN     256 /* fewer are no kernel's */
#define SYMBOLS_MAX     4000000u
#define NAME_MAX_BYTES  1024
#define LAST_SYMBOL_END 0x10000 /* assumed size of the last function */

static void add(struct symbols *symbols, uint64_t start, uint64_t size, const char *name)
{
    struct symbol *s;

    if (symbols->nr == symbols->capacity) {
        symbols->capacity = symbols->capacity ? symbols->capacity * 2 : 4096;
        symbols->symbol = realloc(symbols->symbol, symbols->capacity * sizeof *symbols->symbol);
        if (!symbols->symbol)
            abort();
    }
    s = &symbols->symbol[symbols->nr++];
    *s = (struct symbol){.start = start, .end = size ? start + size : 0, .name = strdup(name)};
    if (!s->name)
        abort();
}

/* Functions, and labels without a type that lie in code. */
static bool is_code(Elf *elf, const GElf_Sym *sym)
{
    int type = GELF_ST_TYPE(sym->st_info);
    GElf_Shdr section;
    Elf_Scn *scn;

    if (sym->st_shndx == SHN_UNDEF || sym->st_shndx >= SHN_LORESERVE ||
        (type != STT_FUNC && type != STT_NOTYPE))
        return false;
    scn = elf_getscn(elf, sym->st_shndx);
    return scn && gelf_getshdr(scn, &section) && (section.sh_flags & SHF_EXECINSTR);
}

static int add_table(struct symbols *symbols, Elf *elf, Elf_Scn *scn)
{
    Elf_Data *data = elf_getdata(scn, NULL);
    GElf_Shdr section;
    GElf_Sym sym;
    int nr = 0;

    if (!data || !gelf_getshdr(scn, &section) || !section.sh_entsize)
        return 0;
    for (size_t i = 0; i < section.sh_size / section.sh_entsize; i++) {
        const char *name;

        if (!gelf_getsym(data, (int)i, &sym) || !is_code(elf, &sym))
            continue;
        name = elf_strptr(elf, section.sh_link, sym.st_name);
        if (!name || !*name || *name == '.' || *name == '$')
            continue;
        add(symbols, sym.st_value, sym.st_size, name);
        nr++;
    }
    return nr;
}

int symbols_add_elf(struct symbols *symbols, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), nr = 0;
    Elf_Scn *scn = NULL;
    GElf_Shdr section;
    Elf *elf;

    if (fd < 0) {
        fprintf(stderr, "parangon: no symbols from %s: %s\n", path, strerror(errno));
        return -1;
    }
    elf_version(EV_CURRENT);
    elf = elf_begin(fd, ELF_C_READ, NULL);
    while (elf && (scn = elf_nextscn(elf, scn)))
        if (gelf_getshdr(scn, &section) && section.sh_type == SHT_SYMTAB)
            nr += add_table(symbols, elf, scn);
    elf_end(elf);
    close(fd);
    if (nr == 0) {
        fprintf(stderr, "parangon: %s has no symbol table\n", path);
        return -1;
    }
    return nr;
}

struct kallsyms {
    const uint8_t *image;
    size_t size;
    size_t tokens;             /* where the token table begins */
    uint16_t index[NR_TOKENS]; /* where each token's string begins in it */
    size_t names;
    uint32_t nr;
};

static uint16_t get16(const uint8_t *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

static uint32_t get32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t get64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

static size_t align8(size_t at)
{
    return (at + 7) & ~(size_t)7;
}

/* 256 strings from `at` on, and behind them, aligned, an index that says where each begins? */
static bool take_tokens(struct kallsyms *k, size_t at)
{
    size_t pos = at, index;

    for (int i = 0; i < NR_TOKENS; i++) {
        const uint8_t *end =
            pos < k->size ? memchr(k->image + pos, 0, k->size - pos < 64 ? k->size - pos : 64)
                          : NULL;

        if (!end)
            return false;
        k->index[i] = (uint16_t)(pos - at);
        pos = (size_t)(end - k->image) + 1;
    }
    index = align8(pos);
    if (index + 2 * NR_TOKENS > k->size)
        return false;
    for (int i = 0; i < NR_TOKENS; i++)
        if (get16(k->image + index + 2 * i) != k->index[i])
            return false;
    k->tokens = at;
    return true;
}

/*
 * The tokens of the digits stand for themselves in every kernel: "0", "1", ... "9" in a row, from
 * token '0' on.
 */
static bool find_tokens(struct kallsyms *k)
{
    static const char digits[] = "0\0001\0002\0003\0004\0005\0006\0007\0008\0009";
    const uint8_t *hit = k->image;

    while ((hit = memmem(hit, (size_t)(k->image + k->size - hit), digits, sizeof digits))) {
        size_t at = (size_t)(hit - k->image);

        /* Back over the strings of tokens 0 to '0' - 1, one at a time. */
        for (int i = 0; i < '0' && at > 1; i++) {
            at--;
            while (at > 0 && k->image[at - 1] != 0)
                at--;
        }
        if (take_tokens(k, at))
            return true;
        hit++;
    }
    return false;
}

/* Length of the name at `at` and where it begins; lengths above 127 take two bytes. */
static size_t name_at(const struct kallsyms *k, size_t at, size_t *length)
{
    *length = k->image[at++];
    if (*length & 0x80)
        *length = (*length & 0x7f) | (size_t)k->image[at++] << 7;
    return at;
}

/*
 * Do `nr` names begin at `at`? Behind them stand markers that agree with where every 256th began,
 * and behind those, with or without a table of 3 bytes a symbol (stable kernels have it, to find
 * symbols by name), the tokens.
 */
static bool names_begin_at(const struct kallsyms *k, size_t at, uint32_t nr)
{
    size_t pos = at, length, markers, end, nr_markers = (nr + NAMES_PER_MARK - 1) / NAMES_PER_MARK;

    for (uint32_t i = 0; i < nr; i++) {
        if (pos + 2 >= k->tokens)
            return false;
        pos = name_at(k, pos, &length);
        pos += length;
    }
    markers = align8(pos);
    end = align8(markers + 4 * nr_markers);
    if (end != k->tokens && align8(end + 3 * (size_t)nr) != k->tokens)
        return false;
    pos = at;
    for (uint32_t i = 0; i < nr; i++) {
        if (i % NAMES_PER_MARK == 0 &&
            get32(k->image + markers + 4 * (i / NAMES_PER_MARK)) != pos - at)
            return false;
        pos = name_at(k, pos, &length);
        pos += length;
    }
    return true;
}

/* Before the names stand their number, and the base, an address of kernel text. */
static bool find_names(struct kallsyms *k)
{
    for (size_t at = k->tokens & ~(size_t)7; at >= 16; at -= 8) {
        uint64_t nr = get64(k->image + at - 8), base = get64(k->image + at - 16);

        if (nr < SYMBOLS_MIN || nr > SYMBOLS_MAX || base < KERNEL_TEXT || base % PAGE_BYTES)
            continue;
        if (names_begin_at(k, at, (uint32_t)nr)) {
            k->names = at;
            k->nr = (uint32_t)nr;
            return true;
        }
    }
    return false;
}

/* One name, its type letter first. */
static size_t expand(const struct kallsyms *k, size_t at, char *name)
{
    size_t length, to = 0;

    at = name_at(k, at, &length);
    for (size_t i = 0; i < length; i++) {
        const char *token = (const char *)k->image + k->tokens + k->index[k->image[at + i]];

        for (; *token && to < NAME_MAX_BYTES - 1; token++)
            name[to++] = *token;
    }
    name[to] = '\0';
    return at + length;
}

int symbols_parse_kallsyms(struct symbols *symbols, const uint8_t *image, size_t size,
                           const char *name)
{
    struct kallsyms k = {.image = image, .size = size};
    size_t offsets, at;
    uint64_t base;
    int nr = 0;

    if (!find_tokens(&k) || !find_names(&k) || k.names < 16 + align8(4 * (size_t)k.nr)) {
        fprintf(stderr, "parangon: %s has no table of kernel symbols in the format of Linux 6.1\n",
                name);
        return -1;
    }
    base = get64(image + k.names - 16);
    offsets = k.names - 16 - align8(4 * (size_t)k.nr);
    at = k.names;
    for (uint32_t i = 0; i < k.nr; i++) {
        int32_t offset = (int32_t)get32(image + offsets + 4 * (size_t)i);
        char text[NAME_MAX_BYTES];

        at = expand(&k, at, text);
        /*
         * Per-CPU symbols are absolute and not negative; all others count down from the base
         * (kallsyms_sym_address).
         */
        if (offset >= 0 || !strchr("tTwW", text[0]))
            continue;
        add(symbols, base - 1 - (int64_t)offset, 0, text + 1);
        nr++;
    }
    return nr;
}

int symbols_add_kallsyms(struct symbols *symbols, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), nr = -1;
    void *image = MAP_FAILED;
    struct stat st;

    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0)
        image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (image == MAP_FAILED) {
        fprintf(stderr, "parangon: no symbols from %s: %s\n", path, strerror(errno));
    } else {
        nr = symbols_parse_kallsyms(symbols, image, (size_t)st.st_size, path);
        munmap(image, (size_t)st.st_size);
    }
    if (fd >= 0)
        close(fd);
    return nr;
}

static size_t underscores(const char *name)
{
    return strspn(name, "_");
}

static int by_start(const void *a, const void *b)
{
    const struct symbol *x = a, *y = b;

    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    if (underscores(x->name) != underscores(y->name))
        return underscores(x->name) < underscores(y->name) ? -1 : 1;
    return strcmp(x->name, y->name);
}

void symbols_sort(struct symbols *symbols)
{
    size_t kept = 0;

    if (symbols->nr)
        qsort(symbols->symbol, symbols->nr, sizeof *symbols->symbol, by_start);
    for (size_t i = 0; i < symbols->nr; i++) {
        if (kept && symbols->symbol[kept - 1].start == symbols->symbol[i].start) {
            if (!symbols->symbol[kept - 1].end)
                symbols->symbol[kept - 1].end = symbols->symbol[i].end;
            free(symbols->symbol[i].name);
            continue;
        }
        symbols->symbol[kept++] = symbols->symbol[i];
    }
    symbols->nr = kept;
    for (size_t i = 0; i < kept; i++) {
        struct symbol *s = &symbols->symbol[i];

        if (!s->end)
            s->end = i + 1 < kept ? s[1].start : s->start + LAST_SYMBOL_END;
    }
}

const struct symbol *symbols_find(const struct symbols *symbols, uint64_t address)
{
    size_t low = 0, high = symbols->nr;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (symbols->symbol[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || address >= symbols->symbol[low - 1].end)
        return NULL;
    return &symbols->symbol[low - 1];
}

void symbols_free(struct symbols *symbols)
{
    for (size_t i = 0; i < symbols->nr; i++)
        free(symbols->symbol[i].name);
    free(symbols->symbol);
    *symbols = (struct symbols){0};
}

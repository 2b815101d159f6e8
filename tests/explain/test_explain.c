/* SPDX-License-Identifier: MIT */
/*
 * The parts of `explain` that need no machine: symbols out of a kernel image (made here, in both
 * layouts that Linux 6.1 has had), symbols of an ELF file (this program), and recordings of the
 * plugin turned into trees.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/explain_path.h"
#include "bench/explain_symbols.h"
#include "bench/plugin/path.h"

#define NR_SYMBOLS 700
#define BASE       0xffffffff81000000ull

/* ---- a kernel image ---- */

struct image {
    uint8_t bytes[65536];
    size_t nr;
};

static void put(struct image *im, const void *bytes, size_t nr)
{
    memcpy(im->bytes + im->nr, bytes, nr);
    im->nr += nr;
}

static void align(struct image *im)
{
    while (im->nr % 8)
        im->bytes[im->nr++] = 0;
}

/*
 * Symbol i is "Tfn<i>" at BASE + 16 i; every tenth is data. "fn" is one token (200), all else
 * stands for itself.
 */
static void make_image(struct image *im, bool with_name_index)
{
    uint32_t marker[NR_SYMBOLS / 256 + 1], nr = NR_SYMBOLS;
    uint16_t index[256];
    uint64_t base = BASE;
    size_t names, tokens;

    memset(im, 0xee, sizeof *im);
    im->nr = 4096;
    for (uint32_t i = 0; i < nr; i++)
        put(im, &(int32_t){-1 - 16 * (int32_t)i}, 4);
    align(im);
    put(im, &base, 8);
    put(im, &nr, 4);
    align(im);
    names = im->nr;
    for (uint32_t i = 0; i < nr; i++) {
        char number[16];
        uint8_t length = (uint8_t)(2 + snprintf(number, sizeof number, "%" PRIu32, i));

        if (i % 256 == 0)
            marker[i / 256] = (uint32_t)(im->nr - names);
        put(im, &length, 1);
        put(im, i % 10 == 9 ? "d\xc8" : "T\xc8", 2);
        put(im, number, length - 2u);
    }
    align(im);
    put(im, marker, 4 * ((nr + 255) / 256));
    align(im);
    for (uint32_t i = 0; with_name_index && i < nr; i++)
        put(im, (uint8_t[]){1, 2, (uint8_t)i}, 3);
    align(im);
    tokens = im->nr;
    for (int i = 0; i < 256; i++) {
        index[i] = (uint16_t)(im->nr - tokens);
        if (i == 200)
            put(im, "fn", 3);
        else
            put(im, i > ' ' && i < 127 ? (char[]){(char)i, 0} : "", i > ' ' && i < 127 ? 2 : 1);
    }
    align(im);
    put(im, index, sizeof index);
    im->nr += 512;
}

static void check_image(bool with_name_index)
{
    static struct image im;
    struct symbols symbols = {0};

    make_image(&im, with_name_index);
    cr_assert_eq(symbols_parse_kallsyms(&symbols, im.bytes, im.nr, "image"),
                 NR_SYMBOLS - NR_SYMBOLS / 10);
    symbols_sort(&symbols);
    cr_assert_str_eq(symbols_find(&symbols, BASE)->name, "fn0");
    cr_assert_str_eq(symbols_find(&symbols, BASE + 16 * 698 + 15)->name, "fn698");
    cr_assert_str_eq(symbols_find(&symbols, BASE + 16 * 300 + 4)->name, "fn300");
    cr_assert_eq(symbols_find(&symbols, BASE + 16 * 300 + 4)->start, BASE + 16 * 300);
    cr_assert_null(symbols_find(&symbols, BASE - 1));
    symbols_free(&symbols);
}

Test(symbols, kernel_image)
{
    check_image(false);
}

Test(symbols, kernel_image_with_name_index)
{
    check_image(true);
}

Test(symbols, damaged_kernel_image_is_refused)
{
    static struct image im;
    struct symbols symbols = {0};

    make_image(&im, false);
    for (size_t cut = 64; cut < im.nr - 512; cut += 997)
        cr_assert_eq(symbols_parse_kallsyms(&symbols, im.bytes, cut, "image"), -1);
    im.bytes[4096 + 4 * NR_SYMBOLS + 8] ^= 64; /* the number of symbols */
    cr_assert_eq(symbols_parse_kallsyms(&symbols, im.bytes, im.nr, "image"), -1);
    cr_assert_eq(symbols.nr, 0);
}

Test(symbols, elf_file)
{
    struct symbols symbols = {0};
    bool found = false;

    cr_assert_gt(symbols_add_elf(&symbols, "/proc/self/exe"), 10);
    symbols_sort(&symbols);
    for (size_t i = 0; i < symbols.nr; i++)
        found |= strcmp(symbols.symbol[i].name, "symbols_find") == 0;
    cr_assert(found);
    cr_assert_eq(symbols_add_elf(&symbols, "/proc/self/maps"), -1);
    cr_assert_eq(symbols_add_elf(&symbols, "/does/not/exist"), -1);
    symbols_free(&symbols);
}

/* ---- recordings ---- */

/*
 * User code, and two kernel functions "outer" (10 instructions at BASE) and "inner" (at BASE + 64):
 * 1 byte each.
 */
static const struct path_block blocks[] = {
    {.vaddr = 0x400000, .nr = 3, .class = 0},
    {.vaddr = BASE, .nr = 4, .class = 1, .flags = PATH_ENDS_CALL},
    {.vaddr = BASE + 64, .nr = 5, .class = 1},
    {.vaddr = BASE + 4, .nr = 6, .class = 1},
};

#define U     0u
#define OUTER 1u
#define INNER 2u
#define REST  3u

static char file[64];

static void write_recording(const uint32_t *tokens, size_t nr, size_t lost_bytes)
{
    struct path_head head = {
        .magic = PATH_MAGIC, .version = PATH_VERSION, .nr_blocks = 4, .nr_tokens = nr};
    FILE *f;

    snprintf(file, sizeof file, "/tmp/parangon-test-path.%d", (int)getpid());
    f = fopen(file, "wb");
    fwrite(&head, sizeof head, 1, f);
    for (int i = 0; i < 4; i++) {
        fwrite(&blocks[i], sizeof blocks[i], 1, f);
        fwrite("\1\1\1\1\1\1", blocks[i].nr, 1, f);
    }
    fwrite(tokens, 4, nr, f);
    fflush(f);
    cr_assert_eq(ftruncate(fileno(f), ftell(f) - (long)lost_bytes), 0);
    fclose(f);
}

static int read_recording(struct path *path)
{
    static struct symbol names[] = {
        {.start = BASE, .end = BASE + 64, .name = "outer"},
        {.start = BASE + 64, .end = BASE + 128, .name = "inner"},
    };
    struct symbols kernel = {.symbol = names, .nr = 2}, none = {0};
    int result = path_read(path, file, &kernel, &none);

    unlink(file);
    return result;
}

Test(path, tree_of_calls)
{
    static const uint32_t tokens[] = {PATH_FROM | 2, U, OUTER, INNER, INNER, REST, U, PATH_CUT | 1};
    struct path path;
    struct path_node *outer;

    write_recording(tokens, 8, 0);
    cr_assert_eq(read_recording(&path), 0);
    cr_assert_eq(path.nr_segments, 3);
    cr_assert_eq(path.instructions[PATH_USER], 1 + 1);
    cr_assert_eq(path.instructions[PATH_KERNEL], 4 + 5 + 5 + 6);
    outer = &path.segment[1].root.child[0];
    cr_assert_str_eq(path.function[outer->function].name, "outer");
    cr_assert_eq(outer->self, 4 + 6);
    cr_assert_eq(outer->total, 20);
    cr_assert_eq(outer->nr, 1);
    cr_assert_eq(outer->child[0].self, 10,
                 "going round to one's own start without a call is no call");
    path_free(&path);
}

Test(path, faults_and_vectors)
{
    static const uint32_t tokens[] = {U, PATH_CUT | 1, PATH_VECTOR | 14, OUTER, PATH_FROM | 1, U};
    struct path path;

    write_recording(tokens, 6, 0);
    cr_assert_eq(read_recording(&path), 0);
    cr_assert_eq(path.nr_segments, 3);
    cr_assert_eq(path.instructions[PATH_USER], 1 + 2);
    cr_assert_eq(path.segment[1].vector, 14);
    cr_assert_eq(path.segment[2].vector, PATH_NO_VECTOR);
    path_free(&path);
}

Test(path, repetitions_fold)
{
    uint32_t tokens[3 * 50 + 1];
    const struct path_segment *typical;
    struct path path;
    uint64_t times;

    for (int i = 0; i < 50; i++) {
        tokens[3 * i] = OUTER;
        tokens[3 * i + 1] = INNER;
        tokens[3 * i + 2] = U;
    }
    tokens[150] = OUTER;
    write_recording(tokens, 151, 0);
    cr_assert_eq(read_recording(&path), 0);
    cr_assert_eq(path.nr_segments, 2);
    typical = path_typical(&path, &times);
    cr_assert_not_null(typical);
    cr_assert_eq(times, 50);
    cr_assert_eq(typical->nr_members, 2);
    cr_assert_eq(typical->member[0].class, PATH_USER, "it is told from user code on");
    cr_assert_eq(typical->instructions, 4 + 5 + 3);
    path_free(&path);
}

/* One of three operations takes another path within the kernel: alike, not equal. */
Test(path, alike_operations)
{
    uint32_t tokens[4 * 30];
    const struct path_segment *typical;
    struct path path;
    uint64_t times;
    size_t nr = 0;

    for (int i = 0; i < 30; i++) {
        tokens[nr++] = U;
        tokens[nr++] = OUTER;
        tokens[nr++] = INNER;
        if (i % 2)
            tokens[nr++] = REST;
    }
    write_recording(tokens, nr, 0);
    cr_assert_eq(read_recording(&path), 0);
    typical = path_typical(&path, &times);
    cr_assert_not_null(typical);
    cr_assert_eq(typical->nr_members, 4, "two operations make the period that repeats exactly");
    path_free(&path);
}

static void add_address(uint64_t address, uint64_t offset, uint64_t count, void *data)
{
    uint64_t *seen = data;

    seen[offset] += count;
    cr_assert_eq(address, BASE + offset);
}

Test(path, addresses_of_a_function)
{
    static const uint32_t tokens[] = {OUTER, PATH_CUT | 2, PATH_VECTOR | 6, OUTER, REST};
    uint64_t seen[16] = {0};
    struct path path;

    write_recording(tokens, 5, 0);
    cr_assert_eq(read_recording(&path), 0);
    cr_assert_eq(path_addresses(&path, "outer", add_address, seen), 10);
    cr_assert_eq(seen[0], 2);
    cr_assert_eq(seen[1], 2);
    cr_assert_eq(seen[2], 1);
    cr_assert_eq(seen[9], 1);
    cr_assert_eq(path_addresses(&path, "nobody", add_address, seen), 0);
    path_free(&path);
}

Test(path, damaged_recordings_are_refused)
{
    static const uint32_t good[] = {U, OUTER}, bad[] = {U, 99};
    struct path path;

    for (size_t lost = 1; lost < 80; lost += 7) {
        write_recording(good, 2, lost);
        cr_assert_eq(read_recording(&path), -1);
        path_free(&path);
    }
    write_recording(bad, 2, 0);
    cr_assert_eq(read_recording(&path), -1);
    path_free(&path);
    strcpy(file, "/does/not/exist");
    cr_assert_eq(read_recording(&path), -1);
    path_free(&path);
}

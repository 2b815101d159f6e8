/* SPDX-License-Identifier: MIT */
/*
 * Symbols by address, for `explain`: of ELF files that have a symbol table (ours, Debian's
 * xen-syms, static programs), and of a stock Linux image, which has none but carries the kernel's
 * own table (kallsyms) in its data.
 *
 * Why it exists: Debian ships no System.map with addresses. The table's format is that of Linux 5.x
 * and 6.1: names packed with 256 tokens, offsets from a base (kernel/kallsyms.c and
 * scripts/kallsyms.c of Linux describe it).
 * Does not: relocate. The kernel has to run with nokaslr.
 */
#ifndef PARANGON_EXPLAIN_SYMBOLS_H
#define PARANGON_EXPLAIN_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

struct symbol {
    uint64_t start, end; /* end is the next symbol's start where the file does not say */
    char *name;
};

struct symbols {
    struct symbol *symbol; /* by start once symbols_sort() has run */
    size_t nr, capacity;
};

/**
 * Add the functions of an ELF file's symbol table (untyped code labels of assembly included).
 *
 * @return how many; -1 with one message on stderr (not readable, no ELF file, no symbol table)
 */
int symbols_add_elf(struct symbols *symbols, const char *path);

/**
 * Add the text symbols of the table inside a Linux image.
 *
 * @param path  vmlinux: the unpacked ELF image
 * @return      how many; -1 with one message on stderr (not readable, or no such table in it)
 */
int symbols_add_kallsyms(struct symbols *symbols, const char *path);

/** The same on bytes in memory; `name` is for messages. */
int symbols_parse_kallsyms(struct symbols *symbols, const uint8_t *image, size_t size,
                           const char *name);

/**
 * Order by address and drop second names of an address (the one without leading underscores stays).
 * Then find works.
 */
void symbols_sort(struct symbols *symbols);

/** @return the symbol that covers the address, or NULL */
const struct symbol *symbols_find(const struct symbols *symbols, uint64_t address);

void symbols_free(struct symbols *symbols);

#endif

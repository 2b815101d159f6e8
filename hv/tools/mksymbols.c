/* SPDX-License-Identifier: MIT */
/*
 * Host tool: reads the function symbols of a linked image (libelf) and writes an assembly file with the table that panic.c searches:
 * magic, count, {offset from the image's start, offset of the name} sorted by address, names.
 *
 * Usage: mksymbols IMAGE >symbols.S. Run on the first link; the table lies behind the text, so it moves no function.
 */
#include <err.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct symbol {
    unsigned long addr;
    const char *name;
};

static int by_address(const void *a, const void *b)
{
    const struct symbol *x = a, *y = b;

    return x->addr < y->addr ? -1 : x->addr > y->addr ? 1 : strcmp(x->name, y->name);
}

int main(int argc, char **argv)
{
    static struct symbol list[65536];
    unsigned int n = 0, kept = 0, name_at = 0;
    unsigned long start = 0;
    Elf_Scn *scn = NULL;
    Elf *elf;
    int fd;

    if (argc != 2)
        errx(2, "usage: mksymbols IMAGE");
    if (elf_version(EV_CURRENT) == EV_NONE || (fd = open(argv[1], O_RDONLY)) < 0 ||
        !(elf = elf_begin(fd, ELF_C_READ, NULL)))
        errx(1, "%s: not readable as ELF", argv[1]);
    while ((scn = elf_nextscn(elf, scn))) {
        GElf_Shdr sh;
        Elf_Data *data;

        if (!gelf_getshdr(scn, &sh) || sh.sh_type != SHT_SYMTAB || !(data = elf_getdata(scn, NULL)))
            continue;
        for (unsigned long i = 0; i < sh.sh_size / sh.sh_entsize; i++) {
            GElf_Sym sym;
            const char *name;

            if (!gelf_getsym(data, i, &sym) || !(name = elf_strptr(elf, sh.sh_link, sym.st_name)) || !*name)
                continue;
            if (!strcmp(name, "__image_start"))
                start = sym.st_value;
            if (GELF_ST_TYPE(sym.st_info) != STT_FUNC && strncmp(name, "syscall", 7) && strncmp(name, "trap_", 5) &&
                strncmp(name, "exit_", 5) && strcmp(name, "guest_copy"))
                continue;
            if (n < sizeof(list) / sizeof(*list))
                list[n++] = (struct symbol){sym.st_value, name};
        }
    }
    if (!start || !n)
        errx(1, "%s: no __image_start or no function symbols", argv[1]);
    qsort(list, n, sizeof(*list), by_address);
    for (unsigned int i = 0; i < n; i++)
        if (list[i].addr >= start && (!kept || list[i].addr != list[kept - 1].addr))
            list[kept++] = list[i];
    puts(".section .symbols, \"a\"\n.align 8\n.long 0x59534750");
    printf(".long %u\n", kept);
    for (unsigned int i = 0; i < kept; i++) {
        printf(".long %#lx, %u\n", list[i].addr - start, name_at);
        name_at += strlen(list[i].name) + 1;
    }
    for (unsigned int i = 0; i < kept; i++)
        printf(".asciz \"%s\"\n", list[i].name);
    puts(".section .note.GNU-stack,\"\",@progbits");
    return 0;
}

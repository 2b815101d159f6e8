/* SPDX-License-Identifier: MIT */
/* The option ROM that bounds the turns of processors: see turns.h. Source: Intel 8254 and 8259A data sheets; BIOS Boot Specification §3 (option ROMs). */
#include "bench/turns.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/paths.h"

#define ROM_BYTES 512
#define PIT_HZ    1193182ull
#define NAME      "turns.rom"

/* In mode 3 the output changes twice in a period, and QEMU has a timer for each change. */
#define COUNT (TURNS_NS * PIT_HZ / 1000000000 * 2)

_Static_assert(COUNT >= 2 && COUNT % 2 == 0 && COUNT < 256, "an even count of one byte");

static const uint8_t code[] = {
    0x55, 0xaa, ROM_BYTES / 512,        /* an option ROM; the firmware calls what follows */
    0x50,                               /* push %ax */
    0xe4, 0x21, 0x0c, 0x01, 0xe6, 0x21, /* port 0x21: interrupt 0 is masked */
    0xb0, 0x36, 0xe6, 0x43,             /* port 0x43: channel 0, both bytes, mode 3 */
    0xb0, COUNT, 0xe6, 0x40,            /* port 0x40: the lower byte of the count */
    0xb0, 0x00, 0xe6, 0x40,             /* and the upper */
    0x58, 0xcb,                         /* pop %ax, far return */
};

char *turns_make_rom(void)
{
    uint8_t rom[ROM_BYTES] = {0}, sum = 0;
    char *path = paths_make_temporary("turns", 0);
    FILE *out;
    int failed;

    if (!path)
        return NULL;
    memcpy(rom, code, sizeof code);
    for (size_t i = 0; i < sizeof rom; i++)
        sum += rom[i];
    rom[ROM_BYTES - 1] = (uint8_t)-sum; /* all its bytes add up to 0 */
    out = fopen(path, "wb");
    failed = !out || fwrite(rom, sizeof rom, 1, out) != 1;
    if ((out && fclose(out)) || failed) {
        fprintf(stderr, "parangon: cannot write %s: %s\n", path, strerror(errno));
        unlink(path);
        free(path);
        return NULL;
    }
    return path;
}

void turns_bound(struct boot *boot, const char *rom)
{
    boot_link(boot, NAME, rom);
    words_option(&boot->argv, "-option-rom", NAME);
}

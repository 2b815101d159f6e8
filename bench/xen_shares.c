/* SPDX-License-Identifier: MIT */
/*
 * The ramdisk and the command line of `parangon shares --on xen`: see xen_shares.h. guests/linux/xen_shares.c is what runs there.
 *
 * A ramdisk may be several archives one after another (the kernel's initramfs format), so what is built here is only appended.
 */
#include "bench/xen_shares.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/paths.h"

static int fail(const char *path, const char *advice)
{
    fprintf(stderr, "parangon: shares on Xen: %s: %s%s\n", path, strerror(errno), advice);
    return -1;
}

/* All of a file; NULL with errno. */
static char *read_file(const char *path, size_t *size)
{
    FILE *in = fopen(path, "rb");
    char *bytes = NULL;
    size_t n = 0, got;

    if (!in)
        return NULL;
    do {
        bytes = realloc(bytes, n + 65536);
        if (!bytes)
            abort();
        got = fread(bytes + n, 1, 65536, in);
        n += got;
    } while (got);
    fclose(in);
    *size = n;
    return bytes;
}

static void pad(FILE *out, size_t written)
{
    while (written++ % 4)
        fputc(0, out);
}

/* One entry of a cpio archive in the form "newc"; the head is 110 characters. */
static void put_entry(FILE *out, const char *name, unsigned mode, const char *bytes, size_t size)
{
    static unsigned inode;

    fprintf(out, "070701%08X%08X%08X%08X%08X%08X%08zX%08X%08X%08X%08X%08zX%08X%s", ++inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, strlen(name) + 1, 0, name);
    fputc(0, out);
    pad(out, 110 + strlen(name) + 1);
    fwrite(bytes, 1, size, out);
    pad(out, size);
}

static int put_file(FILE *out, const char *name, const char *path, const char *advice)
{
    size_t size;
    char *bytes = read_file(path, &size);

    if (!bytes)
        return fail(path, advice);
    if (name)
        put_entry(out, name, 0100644, bytes, size);
    else
        fwrite(bytes, 1, size, out);
    free(bytes);
    return 0;
}

/* The module, in the folder that the kernel's package is unpacked in. Caller frees. */
static char *find_module(const struct inputs *inputs)
{
    char *pattern = format("%.*s/lib/modules/*/kernel/drivers/xen/xen-privcmd.ko", (int)(strrchr(inputs->kernel, '/') - inputs->kernel),
                           inputs->kernel);
    glob_t found;
    char *path = pattern;

    if (glob(pattern, 0, NULL, &found) == 0) {
        path = format("%s", found.gl_pathv[0]);
        free(pattern);
        globfree(&found);
    }
    return path;
}

int xen_shares_ramdisk(const struct inputs *inputs, const char *path)
{
    char *base = format("%s/guests/linux/initrd-xen-shares.cpio", paths_get()->build),
         *micro = format("%s/guests/micro/micro", paths_get()->build), *module = find_module(inputs);
    FILE *out = fopen(path, "wb");
    int failed;

    if (!out)
        return fail(path, "");
    failed = put_file(out, NULL, base, "") || put_file(out, "micro", micro, "") ||
             put_file(out, "xen-privcmd.ko", module, "; remove the kernel's folder from the cache and run `parangon inputs`");
    put_entry(out, "TRAILER!!!", 0, "", 0);
    failed |= fclose(out) != 0;
    free(base);
    free(micro);
    free(module);
    return failed ? -1 : 0;
}

void xen_shares_command(const struct inputs *inputs, const char *ramdisk, const char *policy, const char *options, unsigned nr,
                        const char *does, const char *first, struct boot *boot)
{
    boot_link(boot, "xen", inputs->xen);
    boot_link(boot, "vmlinux", inputs->kernel);
    boot_link(boot, "initrd", ramdisk);
    words_option(&boot->argv, "-kernel", "xen");
    words_option(&boot->argv, "-append", "console=com1 com1=115200,8n1 dom0_mem=320M,max:320M dom0_max_vcpus=1 %s%ssched=%s loglvl=none", options,
                 *options ? " " : "", policy);
    words_option(&boot->argv, "-initrd", "vmlinux console=hvc0 quiet loglevel=1 shares.sched=%s shares.does=%s shares.first=%s shares.domains=%u,initrd", policy,
                 does, first, nr);
}

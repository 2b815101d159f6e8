/* SPDX-License-Identifier: MIT */
/*
 * Kernel images: unpack what distributions ship, and say what an image can boot on before a machine
 * is started.
 */
#ifndef PARANGON_KERNEL_H
#define PARANGON_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

enum kernel_format {
    KERNEL_FOREIGN, /* neither of the two */
    KERNEL_ELF,     /* an ELF image for x86-64 (or i386: multiboot) */
    KERNEL_BZIMAGE, /* Linux' compressed image (Documentation/x86/boot.rst, "HdrS") */
};

/** @return the format, or -errno when the file cannot be read */
int kernel_format(const char *path);

/**
 * Unpack the ELF image out of a bzImage (any compression libarchive knows), whole or not at all.
 *
 * @return 0, or -1 with one message on stderr: unreadable, no payload (boot protocol before 2.08),
 * damaged, disk full
 */
int kernel_unpack(const char *bzimage, const char *elf);

/**
 * Unpack one compressed file (gzip, xz, zstd...), whole or not at all.
 *
 * @return 0, or -1 with one message on stderr
 */
int kernel_unpack_file(const char *packed, const char *plain);

/**
 * Does an ELF image carry a note of owner "Xen" and this type? Types as xen/elfnote.h: 1 = PV
 * entry, 18 = PVH entry.
 *
 * @return 1, 0, or -1 when the file is no readable ELF image
 */
int kernel_has_xen_note(const char *path, unsigned type);

/** Does an image carry a multiboot 1 header (its magic, aligned, in the first 8 KiB)? 1, 0, or -1
 * when unreadable. */
int kernel_has_multiboot(const char *path);

/** The GNU build id of an ELF image in hexadecimal; without one, the SHA-256 of the file. NULL when
 * unreadable. Caller frees. */
char *kernel_build_id(const char *path);

#endif

/* SPDX-License-Identifier: MIT */
/* Kernel images (kernel.h). Offsets of the setup header: Linux Documentation/x86/boot.rst, "The
 * Real-Mode Kernel Header". */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analysis/results.h"
#include "bench/kernel.h"
#include "bench/paths.h"

#define SETUP_SECTS      0x1f1
#define SETUP_MAGIC      0x202 /* "HdrS" */
#define SETUP_VERSION    0x206
#define PAYLOAD_OFFSET   0x248 /* u32, from the end of the setup sectors */
#define PAYLOAD_LENGTH   0x24c
#define PROTOCOL_PAYLOAD 0x208      /* the first boot protocol that states a payload */
#define MULTIBOOT_MAGIC  0x1badb002 /* Multiboot specification 0.6.96, 3.1.1 */

static uint32_t le32(const unsigned char *at)
{
    return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

int kernel_format(const char *path)
{
    unsigned char head[PAYLOAD_LENGTH + 4];
    FILE *in = fopen(path, "rb");
    size_t length;

    if (!in)
        return -errno;
    length = fread(head, 1, sizeof head, in);
    fclose(in);
    if (length >= 4 && memcmp(head, "\177ELF", 4) == 0)
        return KERNEL_ELF;
    if (length == sizeof head && memcmp(head + SETUP_MAGIC, "HdrS", 4) == 0)
        return KERNEL_BZIMAGE;
    return KERNEL_FOREIGN;
}

/* Decompress what `in` reads into `path`, under another name until it is whole. `what` names the
 * source in messages. */
static int unpack(struct archive *in, const char *what, const char *path)
{
    char *part = format("%s.%d.part", path, getpid());
    struct archive_entry *entry;
    int fd, result = -1;

    fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        fprintf(stderr, "parangon: cannot write %s: %s\n", part, strerror(errno));
        goto free_name;
    }
    if (archive_read_next_header(in, &entry) != ARCHIVE_OK) {
        fprintf(stderr, "parangon: %s cannot be unpacked: %s\n", what, archive_error_string(in));
        goto remove_part;
    }
    if (archive_read_data_into_fd(in, fd) < ARCHIVE_WARN) {
        fprintf(stderr, "parangon: %s cannot be unpacked: %s\n", what, archive_error_string(in));
        goto remove_part;
    }
    if (fsync(fd) < 0 || close(fd) < 0 || rename(part, path) < 0) {
        fprintf(stderr, "parangon: cannot write %s: %s\n", path, strerror(errno));
        fd = -1;
        goto remove_part;
    }
    fd = -1;
    result = 0;

remove_part:
    if (fd >= 0)
        close(fd);
    if (result < 0)
        unlink(part);
free_name:
    free(part);
    return result;
}

int kernel_unpack_file(const char *packed, const char *plain)
{
    struct archive *in = archive_read_new();
    int result = -1;

    archive_read_support_filter_all(in);
    archive_read_support_format_raw(in);
    if (archive_read_open_filename(in, packed, 1 << 16) != ARCHIVE_OK)
        fprintf(stderr, "parangon: cannot read %s: %s\n", packed, archive_error_string(in));
    else
        result = unpack(in, packed, plain);
    archive_read_free(in);
    return result;
}

int kernel_unpack(const char *bzimage, const char *elf)
{
    struct archive *in = NULL;
    unsigned char *image = NULL;
    struct stat info;
    uint64_t offset, length;
    FILE *file = fopen(bzimage, "rb");
    int result = -1;

    if (!file || fstat(fileno(file), &info) < 0) {
        fprintf(stderr, "parangon: cannot read %s: %s\n", bzimage, strerror(errno));
        goto out;
    }
    image = malloc(info.st_size);
    if (!image || info.st_size < 0x1000 ||
        fread(image, 1, info.st_size, file) != (size_t)info.st_size) {
        fprintf(stderr, "parangon: %s is cut short or cannot be read\n", bzimage);
        goto out;
    }
    if (image[SETUP_VERSION] + image[SETUP_VERSION + 1] * 256 < PROTOCOL_PAYLOAD) {
        fprintf(stderr,
                "parangon: %s does not say where its payload lies (boot protocol before 2.08)\n",
                bzimage);
        goto out;
    }
    offset = ((image[SETUP_SECTS] ? image[SETUP_SECTS] : 4) + 1) * 512 +
             (uint64_t)le32(image + PAYLOAD_OFFSET);
    length = le32(image + PAYLOAD_LENGTH);
    if (offset + length > (uint64_t)info.st_size || length < 4) {
        fprintf(stderr, "parangon: %s is cut short: its payload would end at %llu of %lld bytes\n",
                bzimage, (unsigned long long)(offset + length), (long long)info.st_size);
        goto out;
    }
    in = archive_read_new();
    archive_read_support_filter_all(in);
    archive_read_support_format_raw(in);
    /* The last four bytes of the payload are its unpacked length, not part of the stream. */
    if (archive_read_open_memory(in, image + offset, length - 4) != ARCHIVE_OK) {
        fprintf(stderr, "parangon: %s cannot be unpacked: %s\n", bzimage, archive_error_string(in));
        goto out;
    }
    result = unpack(in, bzimage, elf);
out:
    if (in)
        archive_read_free(in);
    if (file)
        fclose(file);
    free(image);
    return result;
}

/* Call `look` for each note of an ELF image until it returns non-zero. @return that, 0, or -1: no
 * readable ELF image */
static int each_note(const char *path,
                     int (*look)(const GElf_Nhdr *, const char *owner, const void *desc, void *),
                     void *context)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), found = -1;
    size_t nr;
    Elf *elf;

    if (fd < 0)
        return -1;
    elf_version(EV_CURRENT);
    elf = elf_begin(fd, ELF_C_READ, NULL);
    if (!elf || elf_kind(elf) != ELF_K_ELF || elf_getphdrnum(elf, &nr) < 0)
        goto out;
    found = 0;
    for (size_t i = 0; i < nr && !found; i++) {
        GElf_Phdr segment;
        Elf_Data *data;
        GElf_Nhdr note;
        size_t at = 0, next, name, desc;

        if (!gelf_getphdr(elf, i, &segment) || segment.p_type != PT_NOTE)
            continue;
        data = elf_getdata_rawchunk(elf, segment.p_offset, segment.p_filesz, ELF_T_NHDR);
        for (; data && !found && (next = gelf_getnote(data, at, &note, &name, &desc)) > 0;
             at = next)
            found = look(&note, (char *)data->d_buf + name, (char *)data->d_buf + desc, context);
    }
out:
    elf_end(elf);
    close(fd);
    return found;
}

static int is_xen_note(const GElf_Nhdr *note, const char *owner, const void *desc, void *type)
{
    (void)desc;
    return note->n_type == *(unsigned *)type && note->n_namesz == 4 && memcmp(owner, "Xen", 4) == 0;
}

int kernel_has_xen_note(const char *path, unsigned type)
{
    return each_note(path, is_xen_note, &type);
}

int kernel_has_multiboot(const char *path)
{
    unsigned char head[8192];
    FILE *in = fopen(path, "rb");
    size_t length;

    if (!in)
        return -1;
    length = fread(head, 1, sizeof head, in);
    fclose(in);
    for (size_t i = 0; i + 4 <= length; i += 4)
        if (le32(head + i) == MULTIBOOT_MAGIC)
            return 1;
    return 0;
}

static int is_build_id(const GElf_Nhdr *note, const char *owner, const void *desc, void *result)
{
    char *hex;

    if (note->n_type != NT_GNU_BUILD_ID || note->n_namesz != 4 || memcmp(owner, "GNU", 4) != 0)
        return 0;
    hex = calloc(2, note->n_descsz + 1);
    if (!hex)
        abort();
    for (size_t i = 0; i < note->n_descsz; i++)
        sprintf(hex + 2 * i, "%02x", ((const unsigned char *)desc)[i]);
    *(char **)result = hex;
    return 1;
}

char *kernel_build_id(const char *path)
{
    char *id = NULL, hex[65];

    if (each_note(path, is_build_id, &id) == 1)
        return id;
    return sha256_file_hex(path, hex) == 0 ? format("%s", hex) : NULL;
}

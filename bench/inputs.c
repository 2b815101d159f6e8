/* SPDX-License-Identifier: MIT */
/* Inputs (inputs.h). */
#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "analysis/results.h"
#include "bench/inputs.h"
#include "bench/kernel.h"
#include "bench/paths.h"

#define QEMU_MAJOR_MIN 10

/* The roles that an installed QEMU of version 10 makes unnecessary. */
static bool is_qemu_role(const char *role)
{
    return strncmp(role, "qemu", 4) == 0 || strcmp(role, "seabios") == 0 ||
           strcmp(role, "ipxe") == 0;
}

const struct input *inputs_role(const struct inputs *inputs, const char *role)
{
    for (size_t i = 0; i < inputs->nr; i++)
        if (strcmp(inputs->item[i].role, role) == 0)
            return &inputs->item[i];
    return NULL;
}

/* Read inputs.lock: role package version suite sha256 a line, '#' begins a comment. */
static int read_lock(struct inputs *inputs)
{
    char *path = format("%s/inputs.lock", paths_get()->root);
    char line[512], role[64], package[128], version[128], suite[64], sha256[80];
    FILE *in = fopen(path, "r");
    int number = 0, result = -1;

    if (!in) {
        fprintf(stderr, "parangon: cannot read %s: %s\n", path, strerror(errno));
        goto out;
    }
    while (fgets(line, sizeof line, in)) {
        struct input *item = &inputs->item[inputs->nr];

        number++;
        line[strcspn(line, "#\n")] = '\0';
        if (!line[strspn(line, " \t")])
            continue;
        if (inputs->nr == INPUTS_MAX ||
            sscanf(line, "%63s %127s %127s %63s %79s", role, package, version, suite, sha256) !=
                5 ||
            strlen(sha256) != 64) {
            fprintf(stderr, "parangon: %s:%d: expected: role package version suite sha256\n", path,
                    number);
            goto out;
        }
        *item = (struct input){.role = format("%s", role),
                               .package = format("%s", package),
                               .version = format("%s", version),
                               .suite = format("%s", suite),
                               .sha256 = format("%s", sha256),
                               .locked_sha256 = format("%s", sha256)};
        inputs->nr++;
    }
    result = 0;
out:
    if (in)
        fclose(in);
    free(path);
    return result;
}

/* The version of QEMU on the PATH as text ("10.0.2"), NULL where there is none or it is older than
 * needed. */
static char *installed_qemu_version(void)
{
    FILE *in = popen("qemu-system-x86_64 --version 2>/dev/null", "re");
    char line[256] = "", version[64];
    int major = 0;

    if (in) {
        if (!fgets(line, sizeof line, in))
            line[0] = '\0';
        pclose(in);
    }
    if (sscanf(line, "QEMU emulator version %63[0-9.]", version) == 1)
        major = atoi(version);
    return major >= QEMU_MAJOR_MIN ? format("%s", version) : NULL;
}

/* The full path of a program on the PATH. */
static char *which(const char *program)
{
    char *path = format("%s", getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin"), *save = NULL,
         *found = NULL;

    for (char *dir = strtok_r(path, ":", &save); dir && !found; dir = strtok_r(NULL, ":", &save)) {
        found = format("%s/%s", dir, program);
        if (access(found, X_OK) != 0) {
            free(found);
            found = NULL;
        }
    }
    free(path);
    return found;
}

/* Replace what the lock says by what the cache has: cache/role-<role> holds "sha256 package
 * version". */
static void look_up(struct input *item)
{
    char *path = format("%s/role-%s", paths_get()->cache, item->role), *folder;
    char sha256[80], package[128], version[128];
    FILE *in;

    /* What the lock asks for may be there beside what an earlier run had to take. */
    folder = format("%s/%s", paths_get()->cache, item->locked_sha256);
    if (access(folder, X_OK) == 0) {
        item->present = item->as_locked = true;
    } else if ((in = fopen(path, "r"))) {
        free(folder);
        if (fscanf(in, "%79s %127s %127s", sha256, package, version) == 3) {
            folder = format("%s/%s", paths_get()->cache, sha256);
            if (access(folder, X_OK) == 0) {
                item->present = true;
                item->sha256 = format("%s", sha256);
                item->package = format("%s", package);
                item->version = format("%s", version);
            }
            free(folder);
        }
        fclose(in);
        folder = NULL;
    }
    free(folder);
    free(path);
}

/* Hand the lines of what is missing to bench/fetch-inputs. */
static int fetch(const struct inputs *inputs)
{
    char *command =
        format("exec '%s/bench/fetch-inputs' '%s'", paths_get()->root, paths_get()->cache);
    FILE *out;
    int status;

    fprintf(stderr, "parangon: fetching pinned inputs (once, about 90 MB)\n");
    out = popen(command, "we");
    free(command);
    if (!out) {
        fprintf(stderr, "parangon: cannot run bench/fetch-inputs: %s\n", strerror(errno));
        return -1;
    }
    for (size_t i = 0; i < inputs->nr; i++) {
        const struct input *item = &inputs->item[i];

        if (!item->present)
            fprintf(out, "%s %s %s %s %s\n", item->role, item->package, item->version, item->suite,
                    item->locked_sha256);
    }
    status = pclose(out);
    return status == 0 ? 0 : -1; /* the script has said why */
}

/* The one file in the cache that matches a pattern below a role's folder; NULL where the role is
 * absent. */
static char *file_of(const struct inputs *inputs, const char *role, const char *pattern)
{
    const struct input *item = inputs_role(inputs, role);
    char *path = NULL, *full;
    glob_t found;

    if (!item || !item->present)
        return NULL;
    full = format("%s/%s/%s", paths_get()->cache, item->sha256, pattern);
    if (glob(full, 0, NULL, &found) == 0) {
        path = format("%s", found.gl_pathv[0]);
        globfree(&found);
    }
    free(full);
    return path;
}

/* Path of the unpacked form of a packed file, unpacking it first where that is allowed. 0 or -1
 * (said why). */
static int unpacked(const struct inputs *inputs, enum inputs_how how, const char *role,
                    const char *pattern, const char *name,
                    int (*unpack)(const char *, const char *), char **result)
{
    char *packed = file_of(inputs, role, pattern), *plain;
    int status = 0;

    *result = NULL;
    if (!packed)
        return 0;
    plain = format("%s/%s/%s", paths_get()->cache, inputs_role(inputs, role)->sha256, name);
    if (access(plain, R_OK) != 0)
        status = how == INPUTS_FETCH ? unpack(packed, plain) : 0;
    if (status == 0 && access(plain, R_OK) == 0)
        *result = plain;
    else
        free(plain);
    free(packed);
    return status;
}

/* One hash over role and hash of everything in use. */
static char *hash_of_all(const struct inputs *inputs)
{
    char hex[65], *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        abort();
    for (size_t i = 0; i < inputs->nr; i++)
        fprintf(out, "%s %s\n", inputs->item[i].role, inputs->item[i].sha256);
    fclose(out);
    sha256_hex(text, size, hex);
    free(text);
    return format("%s", hex);
}

/* Use the QEMU of the system, whose firmware it finds itself. */
static void take_installed_qemu(struct inputs *inputs, char *version)
{
    char hex[65] = "";

    inputs->qemu = which("qemu-system-x86_64");
    if (!inputs->qemu || sha256_file_hex(inputs->qemu, hex) < 0)
        return;
    for (size_t i = 0; i < inputs->nr; i++) {
        struct input *item = &inputs->item[i];

        if (!is_qemu_role(item->role))
            continue;
        item->present = true;
        item->as_locked = false;
        item->package = format("(installed)");
        item->version = version;
        item->sha256 = format("%s", strcmp(item->role, "qemu") == 0 ? hex : "");
    }
}

int inputs_get(struct inputs *inputs, enum inputs_how how)
{
    char *installed;
    bool missing = false;

    *inputs = (struct inputs){0};
    if (read_lock(inputs) < 0)
        return -1;
    installed = installed_qemu_version();
    if (installed)
        take_installed_qemu(inputs, installed);
    for (size_t i = 0; i < inputs->nr; i++) {
        if (!inputs->item[i].present)
            look_up(&inputs->item[i]);
        missing |= !inputs->item[i].present;
    }
    if (missing && how == INPUTS_FETCH) {
        if (fetch(inputs) < 0)
            return -1;
        for (size_t i = 0; i < inputs->nr; i++)
            if (!inputs->item[i].present)
                look_up(&inputs->item[i]);
    }
    for (size_t i = 0; i < inputs->nr && how == INPUTS_FETCH; i++) {
        const struct input *item = &inputs->item[i];

        if (!item->present) {
            fprintf(stderr, "parangon: %s %s is not in %s after fetching\n", item->package,
                    item->version, paths_get()->cache);
            return -1;
        }
        if (!item->as_locked && (!is_qemu_role(item->role) || strcmp(item->role, "qemu") == 0))
            fprintf(stderr,
                    "parangon: warning: %s is %s %s, not as inputs.lock says: results are on other "
                    "inputs\n",
                    item->role, item->package, item->version);
    }
    if (!inputs->qemu) {
        inputs->qemu = file_of(inputs, "qemu", "usr/bin/qemu-system-x86_64");
        inputs->firmware[0] = file_of(inputs, "seabios", "usr/share/seabios");
        inputs->firmware[1] = file_of(inputs, "qemu-data", "usr/share/qemu");
        inputs->firmware[2] = file_of(inputs, "ipxe", "usr/lib/ipxe/qemu");
    }
    inputs->xen_syms = file_of(inputs, "xen-syms", "usr/lib/debug/boot/xen-syms-*-amd64");
    inputs->lock_sha256 = hash_of_all(inputs);
    if (unpacked(inputs, how, "kernel", "boot/vmlinuz-*", "vmlinux", kernel_unpack,
                 &inputs->kernel) < 0 ||
        unpacked(inputs, how, "xen", "boot/xen-*.gz", "xen", kernel_unpack_file, &inputs->xen) < 0)
        return -1;
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Inputs: the kernel, Xen, QEMU and firmware that every machine is made of, pinned in inputs.lock.
 *
 * Why it exists: a number is worth what its inputs are known to be. Packages are fetched with apt
 * (bench/fetch-inputs), checked by SHA-256 and unpacked into the cache; nothing is installed. A
 * QEMU of version 10 or later that is installed is used as it is. Does not: build the ramdisk or
 * the hypervisor (those are outputs of the build).
 */
#ifndef PARANGON_INPUTS_H
#define PARANGON_INPUTS_H

#include <stdbool.h>
#include <stddef.h>

#define INPUTS_MAX 16

struct input {
    char *role;    /* "kernel", "xen", "xen-syms", "qemu", "qemu-data", "seabios", "ipxe" */
    char *package; /* Debian package in use; "(installed)" for a QEMU of the system */
    char *version; /* version in use */
    char *sha256;  /* of the package in use */
    char *suite;
    char *locked_sha256; /* what inputs.lock asks for */
    bool present;        /* it is in the cache (or installed) */
    bool as_locked;      /* it is what inputs.lock names */
};

struct inputs {
    struct input item[INPUTS_MAX];
    size_t nr;
    char *lock_sha256; /* of the inputs in use, role and hash by role; equals the lock's own when
                          all are as locked */
    char *qemu;        /* program */
    char *firmware[3]; /* folders for -L; NULL where QEMU knows its own */
    char *kernel;      /* ELF image, unpacked from the package's bzImage */
    char *xen;         /* multiboot ELF image, unpacked */
    char *xen_syms;    /* the same build with symbols */
};

/** What inputs_get() may do. */
enum inputs_how {
    INPUTS_LOOK,  /* look only: absent ones are marked so, their paths NULL */
    INPUTS_FETCH, /* fetch and unpack what is missing, with progress on stderr */
};

/**
 * Find the inputs; with INPUTS_FETCH make them be there, and warn on stderr about each that is not
 * as locked.
 *
 * @return 0; -1 with one message on stderr (inputs.lock unreadable, a package that cannot be
 * fetched, a full disk)
 */
int inputs_get(struct inputs *inputs, enum inputs_how how);

/** The item of a role; NULL where the lock has no such role. */
const struct input *inputs_role(const struct inputs *inputs, const char *role);

#endif

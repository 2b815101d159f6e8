/* SPDX-License-Identifier: MIT */
/* Xen as the hypervisor under `parangon shares`: Debian's Xen and kernel, and a first domain that makes the others. */
#ifndef PARANGON_XEN_SHARES_H
#define PARANGON_XEN_SHARES_H

#include "bench/inputs.h"
#include "bench/run.h"

/**
 * Write the first domain's ramdisk: initrd-xen-shares.cpio of the build with the micro kernel and the module xen-privcmd.ko of the
 * kernel's package behind it.
 *
 * @return 0; -1 with one message on stderr: what is missing, and what to do
 */
int xen_shares_ramdisk(const struct inputs *inputs, const char *path);

/** QEMU's arguments behind the machine: Xen with this policy and these further options; its first domain makes `nr` of guests/micro (weights 1 to 8 again and again) that do what `does` says, the first what `first` says besides (words of their command line). */
void xen_shares_command(const struct inputs *inputs, const char *ramdisk, const char *policy, const char *options, unsigned nr,
                        const char *does, const char *first, struct boot *boot);

#endif

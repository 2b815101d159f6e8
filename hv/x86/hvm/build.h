/* SPDX-License-Identifier: MIT */
/*
 * What the builders of hardware-assisted domains share: build.c for all of them and PVH, linux.c for the Linux boot protocol.
 */
#ifndef PARANGON_HVM_BUILD_H
#define PARANGON_HVM_BUILD_H

#include "hvm.h"

/** An ELF image: guest-physical addresses. */
struct hvm_image {
    u64 start, end;      /* what it takes, bytes not in the file included */
    u64 elf_entry;
    u64 phys32_entry;    /* of the note; ~0: none */
    bool wide;           /* 64-bit */
};

/** Room behind the ramdisk for what the kernel is told at its start. */
#define HVM_INFO_SIZE KB(32)

/** Flat segments from 0, code 32 or 64 bits wide; no descriptor tables. */
void hvm_set_flat_segments(struct vcpu *v, bool wide);
/** linux.c: zero page, page tables and registers of the 64-bit boot protocol, at `info`. 0, -XEN_EINVAL, -XEN_ENOMEM. */
struct launch_domain;
int hvm_start_linux(struct domain *d, const struct launch_domain *plan, const struct hvm_image *img, u64 ramdisk, u64 info);

#endif

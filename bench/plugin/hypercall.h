/* SPDX-License-Identifier: MIT */
/*
 * What a paravirtualized guest's kernel asks of its hypervisor when it enters by SYSCALL: the hypercall, and how much work is in it.
 *
 * Why it exists: all hypercalls enter at one address, and what one costs follows from its arguments. The overhead budget needs both: the
 * call, and the pieces of work within (xen/xen.h: numbers of calls, mmu_update, multicall_entry, mmuext_op).
 * Page tables are followed when they are pinned and unpinned: a table counts once, when the first reference validates it and when the
 * last is dropped, with its present entries. What changes within a pinned tree is not followed, so these two are estimates.
 * Does not: look into hypercalls of hardware-assisted guests, whose exits say enough.
 */
#ifndef PARANGON_PLUGIN_HYPERCALL_H
#define PARANGON_PLUGIN_HYPERCALL_H

#include <stdint.h>

#include "qemu_api.h"

#define HYPERCALL_MMUEXT 26

enum work {
    WORK_MMU_UPDATES,    /* requests of mmu_update */
    WORK_MULTICALL,      /* calls within multicalls */
    WORK_PIN_TABLES,     /* tables that a pin validates */
    WORK_PIN_ENTRIES,    /* present entries of the last level in them */
    WORK_UNPIN_TABLES,   /* tables that nothing refers to after an unpin */
    WORK_UNPIN_ENTRIES,
    WORK_IN_CALL,        /* + number of a hypercall within a multicall, up to 63 */
    WORK_IN_EXT = WORK_IN_CALL + 64, /* + command of an mmuext_op within a multicall, up to 31 */
    WORK_NR = WORK_IN_EXT + 32
};

/** Take note of the registers that carry arguments, out of a vCPU's list. */
void hypercall_take_register(const struct qemu_reg_descriptor *reg);

/**
 * The hypercall that the vCPU has just entered the hypervisor for.
 *
 * @param work  what it asks for is added here
 * @return      number << 8 | for mmuext_op the first command, else 0
 */
unsigned hypercall_read(uint64_t work[WORK_NR]);

/** A short name for a hypercall ("mmu_update"), a command of mmuext_op ("pin-l4"); NULL for the rare ones. */
const char *hypercall_name(unsigned number);
const char *hypercall_ext_name(unsigned command);

#endif

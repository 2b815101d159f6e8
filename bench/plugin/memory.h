/* SPDX-License-Identifier: MIT */
/*
 * The machine's memory, read from outside without side effects: by virtual addresses of what runs, also within a guest of SVM.
 *
 * Why it exists: QEMU's debug access by virtual address takes a guest's CR3 for an address of the machine and forgets the nested
 * tables. Here the guest's walk and the nested one are done together (APM vol. 2, 15.25), over physical memory.
 * Plugin interface 4 reads no physical memory: cpu_physical_memory_rw() is what QEMU exports to its own modules. Where it is missing
 * nothing is read within guests, and the interval file says that its counts are not exact.
 * Does not: read through page tables of 32-bit guests, whose descriptor tables idt.h does not follow either.
 */
#ifndef PARANGON_PLUGIN_MEMORY_H
#define PARANGON_PLUGIN_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qemu_api.h"

/** Take note of the registers that walks need, out of a vCPU's list. */
void memory_take_register(const struct qemu_reg_descriptor *reg);

/** From here on read what runs now: a guest with nested page tables at this root; 0: no guest, or one without. */
void memory_follow(uint64_t nested_root);

/** Read by virtual address into `data`, in the context of a vCPU. @return false where it is not mapped */
bool memory_read(uint64_t vaddr, struct glib_bytes *data, size_t len);

/** Read by the machine's physical address. @return false where QEMU does not let us */
bool memory_read_physical(uint64_t paddr, void *to, size_t len);

/** A register's value in the vCPU that runs; `otherwise` where it cannot be had. */
uint64_t memory_register(struct qemu_plugin_register *handle, uint64_t otherwise);

#endif

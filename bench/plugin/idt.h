/* SPDX-License-Identifier: MIT */
/*
 * The interrupt descriptor tables of the machine, followed from outside: which addresses are gates'
 * targets.
 *
 * Why it exists: plugins of QEMU 10.0 are not told of interrupts and exceptions. A processor takes
 * one by going to a gate's target with a frame on its stack, so a block that starts at a target is
 * where one arrives. Tables are found by watching LIDT in 64-bit mode (its operand is read by the
 * instruction itself) and read again when a block of supervisor code is translated, since kernels
 * fill them in bit by bit.
 * Does not: follow 16- and 32-bit tables (firmware), nor FRED.
 */
#ifndef PARANGON_PLUGIN_IDT_H
#define PARANGON_PLUGIN_IDT_H

#include <stdbool.h>
#include <stdint.h>

#include "qemu_api.h"

#define IDT_VECTORS    256
#define IDT_NR_FAULTS  32 /* vectors below are exceptions, but for 2 (NMI); SDM vol. 3, table 6-1 */
#define IDT_VECTOR_NMI 2
#define IDT_VECTOR_DB  1
#define IDT_VECTOR_PF  14

/**
 * Watch an LIDT instruction: its memory operand tells limit and base. Call while its block is being
 * translated.
 */
void idt_watch(struct qemu_plugin_insn *lidt);

/**
 * Read the known tables again. Call in the context of a vCPU, when its page tables map them
 * (supervisor code).
 */
void idt_refresh(void);

/**
 * The vector whose gate leads to an address.
 *
 * @return  the lowest such vector, -1 when none does
 */
int idt_vector(uint64_t vaddr);

/** True when a 64-bit table has been seen and no address serves exceptions and interrupts both. */
bool idt_sound(void);

/**
 * True for the vectors whose frame begins with an error code (SDM vol. 3, table 6-1; AMD APM vol.
 * 2, 8.2).
 */
bool idt_has_error_code(int vector);

#endif

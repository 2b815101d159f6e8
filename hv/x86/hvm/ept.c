/* SPDX-License-Identifier: MIT */
/*
 * Intel's extended page tables (SDM vol. 3 §29.3.2, tables 29-1 to 29-7; nested.c has the walk): bits 0 to 2 are read, write and
 * execute, bits 3 to 5 of a leaf the memory type, bit 6 tells to ignore the guest's PAT (§29.3.7.2). Accessed and dirty flags are not used.
 *
 * Memory is write-back whatever the guest says: no device is passed through, so nothing needs another type, and two types for
 * one page (the guest's and that of the hypervisor's mapping of all memory) would be the guest's to make. A device's frames are uncached, or
 * write-combining where the guest's PAT says so.
 */
#include "nested.h"

#define EPT_R          (1u << 0)
#define EPT_W          (1u << 1)
#define EPT_X          (1u << 2)
#define EPT_UC         (0u << 3)
#define EPT_WB         (6u << 3)
#define EPT_IGNORE_PAT (1u << 6)

static const struct nested_format ept = {.present = EPT_R | EPT_W | EPT_X, .table = EPT_R | EPT_W | EPT_X,
                                         .leaf = NESTED_LEAVES(EPT_R | EPT_X | EPT_WB | EPT_IGNORE_PAT, EPT_W, EPT_R | EPT_W | EPT_X | EPT_UC)};
NESTED_OPS(ept, ept);

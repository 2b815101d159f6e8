/* SPDX-License-Identifier: MIT */
/*
 * AMD's nested page tables: the format of ordinary ones (APM vol. 2 §15.25; nested.c has the walk). Every entry has USER: the nested walk
 * counts as a user's access (§15.25.5).
 */
#include "nested.h"

#define READ (PTE_P | PTE_US | PTE_A | PTE_D)

static const struct nested_format npt = {.present = PTE_P, .table = PTE_P | PTE_RW | PTE_US | PTE_A,
                                         .leaf = NESTED_LEAVES(READ, PTE_RW, READ | PTE_RW | PTE_PCD | PTE_PWT)};
NESTED_OPS(npt, npt);

/* SPDX-License-Identifier: MIT */
/*
 * AMD's nested page tables: the format of ordinary ones (APM vol. 2 §15.25; nested.c has the walk). Every entry has USER: the nested walk
 * counts as a user's access (§15.25.5).
 */
#include "nested.h"

static u64 leaf(enum p2m_type type)
{
    return PTE_P | PTE_US | PTE_A | PTE_D | (p2m_type_writable(type) ? PTE_RW : 0) | (type == P2M_MMIO ? PTE_PCD | PTE_PWT : 0);
}

static const struct nested_format npt = {.present = PTE_P, .table = PTE_P | PTE_RW | PTE_US | PTE_A, .leaf = leaf};
NESTED_OPS(npt, npt);

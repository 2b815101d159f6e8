/* SPDX-License-Identifier: MIT */
/*
 * See frames.h. Registers no tests.
 */
#include "frames.h"

uint64_t *table_alloc(void)
{
    uint64_t *t = page_alloc();

    EXPECT_RC(page_readonly(t), 0);
    return t;
}

void table_free(uint64_t *table)
{
    EXPECT_RC(page_writable(table), 0);
    page_free(table);
}

struct table_tree tree_build(uint64_t leaf)
{
    struct table_tree tree;

    for (int i = 0; i < 4; i++) {
        tree.t[i] = page_alloc();
        tree.t[i][0] = i ? ENTRY_OF(tree.t[i - 1], PTE_TABLE) : leaf;
    }
    for (int i = 0; i < 4; i++)
        EXPECT_RC(page_readonly(tree.t[i]), 0);
    return tree;
}

void tree_free(struct table_tree *tree)
{
    for (int i = 3; i >= 0; i--)
        table_free(tree->t[i]);
}

long pin(int level, const void *table)
{
    return hc_mmuext((unsigned)(MMUEXT_PIN_L1_TABLE + level - 1), mfn_of(table), 0);
}

long unpin(const void *table)
{
    return hc_mmuext(MMUEXT_UNPIN_TABLE, mfn_of(table), 0);
}

void expect_frame_clean(void *page, const char *what)
{
    long ro, pinned, unpinned, rw;

    ro = page_writable(page); /* it may have been left read-only by the attack */
    if (!ro) {
        memset(page, 0, PAGE_SIZE);
        ro = page_readonly(page);
    }
    pinned = pin(1, page);
    unpinned = unpin(page);
    rw = page_writable(page);
    EXPECT(!ro && !pinned && !unpinned && !rw,
           "%s: frame not clean: read-only %ld, pin %ld, unpin %ld, writable %ld", what, ro, pinned,
           unpinned, rw);
}

static void write_entry(void *entry)
{
    *(volatile uint64_t *)&window_l1[0] = *(uint64_t *)entry;
}

void expect_l1_refused(uint64_t entry, long err, const char *what)
{
    struct trap_caught caught;
    long rc;

    rc = hc_update_va_mapping(window_va(0), entry, UVMF_INVLPG);
    EXPECT(rc == err, "%s: update_va_mapping = %ld, want %ld", what, rc, err);
    EXPECT(!(window_l1[0] & PTE_P), "%s: update_va_mapping left an entry", what);
    rc = hc_mmu_update1(pte_maddr(window_va(0)), entry);
    EXPECT(rc == err, "%s: mmu_update = %ld, want %ld", what, rc, err);
    rc = hc_mmu_update1(pte_maddr(window_va(0)) | MMU_PT_UPDATE_PRESERVE_AD, entry);
    EXPECT(rc == err, "%s: mmu_update preserving = %ld, want %ld", what, rc, err);
    EXPECT(!(window_l1[0] & PTE_P), "%s: mmu_update left an entry", what);
    hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables);
    rc = trap_try(write_entry, &entry, &caught);
    EXPECT(rc == VEC_PF, "%s: a trapped write gave vector %ld, want a page fault", what, rc);
    EXPECT(!(window_l1[0] & PTE_P), "%s: a trapped write left an entry", what);
    if (window_l1[0])
        pte_write(window_va(0), 0);
}

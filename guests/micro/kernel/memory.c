/* SPDX-License-Identifier: MIT */
/*
 * Memory: a pool of pages inside the image, frame numbers, page-table walks, the window and user
 * mappings.
 *
 * All pages the tests use lie in the boot region, which all platforms map linearly from VIRT_BASE
 * (PV: in 4 KiB pages that can be made read-only one by one). The window is 512 pages of address
 * space with an L1 of its own, where tests map what they like.
 */
#include "hypercall.h"
#include "micro.h"

#define POOL_PAGES 768

extern char VIRT_BASE[], user_code[], user_data_page[], user_end[];

static uint8_t pool[POOL_PAGES][PAGE_SIZE] __attribute__((aligned(4096)));
static uint16_t pool_free[POOL_PAGES];
static unsigned pool_free_count;

uint64_t *window_l1;
uint64_t *kernel_l4, *user_l4;

#define virt_base PTR(VIRT_BASE)

void *page_alloc(void)
{
    if (!pool_free_count) {
        print("MICRO out of pages\n");
        print("MICRO done pass=0 fail=1 skip=0\n");
        platform_poweroff();
    }
    return memset(pool[pool_free[--pool_free_count]], 0, PAGE_SIZE);
}

void page_free(void *page)
{
    pool_free[pool_free_count++] = (uint16_t)((PTR(page) - PTR(pool)) / PAGE_SIZE);
}

uint64_t mfn_of_pfn(uint64_t pfn)
{
    return ((const uint64_t *)start_info->mfn_list)[pfn];
}

uint64_t mfn_of(const void *va)
{
    uint64_t pfn = (PTR(va) - virt_base) >> PAGE_SHIFT;

    return platform == PLATFORM_PV ? mfn_of_pfn(pfn) : pfn;
}

uint64_t maddr_of(const void *va)
{
    return mfn_of(va) << PAGE_SHIFT | (PTR(va) & (PAGE_SIZE - 1));
}

void *va_of_mfn(uint64_t mfn)
{
    uint64_t pfn = mfn;

    if (platform == PLATFORM_PV) {
        pfn = machine_to_phys_mapping[mfn];
        if (pfn >= start_info->nr_pages || mfn_of_pfn(pfn) != mfn)
            return NULL;
    }
    return (void *)(virt_base + (pfn << PAGE_SHIFT));
}

uint64_t *pt_entry(uint64_t va, int level)
{
    uint64_t *table = kernel_l4;

    for (int l = 4;; l--) {
        uint64_t *e = &table[va >> (3 + 9 * l) & 511];

        if (l == level)
            return e;
        if (!(*e & PTE_P) || (*e & PTE_PSE))
            return NULL;
        table = va_of_mfn((*e & PTE_ADDR) >> PAGE_SHIFT);
        if (!table)
            return NULL;
    }
}

uint64_t pte_maddr(uint64_t va)
{
    uint64_t *e = pt_entry(va, 1);

    return e ? maddr_of(e) : 0;
}

uint64_t pte_read(uint64_t va)
{
    volatile uint64_t *e = pt_entry(va, 1);

    return e ? *e : 0;
}

long pte_write(uint64_t va, uint64_t pte)
{
    if (platform == PLATFORM_PV)
        return hc_update_va_mapping(va, pte, UVMF_INVLPG);
    *(volatile uint64_t *)pt_entry(va, 1) = pte;
    invlpg(va);
    return 0;
}

long page_readonly(void *page)
{
    if (platform != PLATFORM_PV)
        return 0;
    return pte_write(PTR(page), mfn_of(page) << PAGE_SHIFT | PTE_RO);
}

long page_writable(void *page)
{
    if (platform != PLATFORM_PV)
        return 0;
    return pte_write(PTR(page), mfn_of(page) << PAGE_SHIFT | PTE_RW);
}

/* A chain L3 -> L2 -> L1 for the GiB at va; all three end up read-only on PV. The L3's entry for L4
 * returns. */
static uint64_t table_chain(uint64_t va, uint64_t *l1)
{
    uint64_t *l2 = page_alloc(), *l3 = page_alloc();

    l2[va >> 21 & 511] = mfn_of(l1) << PAGE_SHIFT | PTE_TABLE;
    l3[va >> 30 & 511] = mfn_of(l2) << PAGE_SHIFT | PTE_TABLE;
    if (page_readonly(l1) || page_readonly(l2) || page_readonly(l3))
        print("MICRO cannot make tables read-only\n");
    return mfn_of(l3) << PAGE_SHIFT | PTE_TABLE;
}

static void l4_install(uint64_t va, uint64_t entry)
{
    uint64_t *e = pt_entry(va, 4);

    if (platform != PLATFORM_PV)
        *(volatile uint64_t *)e = entry;
    else if (hc_mmu_update1(maddr_of(e), entry) != 0)
        print("MICRO cannot install an L4 entry\n");
}

void *phys_ptr(uint64_t paddr)
{
    uint64_t *l3 = va_of_mfn((kernel_l4[0] & PTE_ADDR) >> PAGE_SHIFT), *l2;
    unsigned gib = (unsigned)(paddr >> 30);

    if (!(l3[gib] & PTE_P)) {
        l2 = page_alloc();
        for (uint64_t i = 0; i < 512; i++)
            l2[i] = (uint64_t)gib << 30 | i << 21 | PTE_PSE | PTE_RW;
        l3[gib] = mfn_of(l2) << PAGE_SHIFT | PTE_TABLE;
    }
    return (void *)paddr;
}

void memory_init(void)
{
    for (unsigned i = 0; i < POOL_PAGES; i++)
        pool_free[pool_free_count++] = (uint16_t)(POOL_PAGES - 1 - i);
    if (platform == PLATFORM_PV)
        kernel_l4 = (uint64_t *)start_info->pt_base;
    else
        kernel_l4 = (uint64_t *)(virt_base + read_cr3());
    window_l1 = page_alloc();
    l4_install(WINDOW_VA, table_chain(WINDOW_VA, window_l1));
}

void user_init(void)
{
    uint64_t *l1 = page_alloc(), *l4 = page_alloc();
    uint64_t entry;

    for (char *p = user_code; p < user_end; p += PAGE_SIZE)
        l1[(p - user_code) / PAGE_SIZE] = mfn_of(p) << PAGE_SHIFT | PTE_RW | PTE_U;
    entry = table_chain(USER_VA, l1);
    l4_install(USER_VA, entry);
    user_data = (volatile uint64_t *)user_addr(user_data_page);
    user_l4 = l4;
    if (platform != PLATFORM_PV) {
        user_l4 = kernel_l4;
        page_free(l4);
        return;
    }
    l4[USER_VA >> 39 & 511] = entry;
    if (page_readonly(l4) || hc_mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(l4), 0) ||
        hc_mmuext(MMUEXT_NEW_USER_BASEPTR, mfn_of(l4), 0))
        print("MICRO cannot install the user page table\n");
}

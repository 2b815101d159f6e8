/* SPDX-License-Identifier: MIT */
/*
 * Starting an unmodified Linux kernel: the 64-bit boot protocol for an uncompressed image (Linux Documentation/arch/x86/boot.rst,
 * zero-page.rst): long mode, an identity mapping, RSI = the zero page with memory map, ramdisk, command line and RSDP.
 *
 * At `info`: the zero page, the command line, then page tables for the first 4 GiB by 2 MiB pages; the kernel makes its own before it
 * uses that memory. The entry is the image's own (its lowest address).
 */
#include "build.h"
#include "core/launch.h"

/* Offsets in the zero page. */
#define ZP_RSDP         0x070
#define ZP_E820_ENTRIES 0x1e8
#define ZP_BOOT_FLAG    0x1fe
#define ZP_MAGIC        0x202
#define ZP_VERSION      0x206
#define ZP_LOADER       0x210
#define ZP_LOAD_FLAGS   0x211
#define ZP_RAMDISK      0x218
#define ZP_RAMDISK_SIZE 0x21c
#define ZP_CMDLINE      0x228
#define ZP_ALIGNMENT    0x230
#define ZP_CMDLINE_SIZE 0x238
#define ZP_E820         0x2d0

#define CMDLINE_AT PAGE_SIZE
#define TABLES_AT  (2 * PAGE_SIZE) /* L4, L3, four L2 */
_Static_assert(TABLES_AT + 6 * PAGE_SIZE <= HVM_INFO_SIZE, "room");

static void put(u8 *zp, unsigned int at, u64 value, unsigned int n)
{
    memcpy(zp + at, &value, n);
}

/* An e820 map as firmware gives one: without the hole of the old adapters. */
static unsigned int fill_e820(const struct domain *d, u8 *zp)
{
    struct hvm_memmap_table_entry e[HVM_MEMMAP_MAX];
    unsigned int n = hvm_memory_map(d, e), to = 0;

    for (unsigned int i = 0; i < n; i++) {
        if (e[i].addr == 0) {
            put(zp, ZP_E820 + 20 * to, 0, 8);
            put(zp, ZP_E820 + 20 * to + 8, 0xa0000, 8);
            put(zp, ZP_E820 + 20 * to + 16, e[i].type, 4);
            to++;
            e[i].addr = MB(1);
            e[i].size -= MB(1);
        }
        memcpy(zp + ZP_E820 + 20 * to, &e[i], 20);
        to++;
    }
    return to;
}

static int write_zero_page(struct domain *d, const struct launch_domain *plan, u64 ramdisk, u64 info)
{
    u8 *zp = arch_alloc_pages(0);
    int rc;

    if (!zp)
        return -XEN_ENOMEM;
    put(zp, ZP_RSDP, HVM_ACPI_AT, 8);
    put(zp, ZP_E820_ENTRIES, fill_e820(d, zp), 1);
    put(zp, ZP_BOOT_FLAG, 0xaa55, 2);
    memcpy(zp + ZP_MAGIC, "HdrS", 4);
    put(zp, ZP_VERSION, 0x20c, 2);
    put(zp, ZP_LOADER, 0xff, 1);
    put(zp, ZP_LOAD_FLAGS, 1, 1); /* loaded high */
    if (plan->ramdisk) {
        put(zp, ZP_RAMDISK, ramdisk, 4);
        put(zp, ZP_RAMDISK_SIZE, plan->ramdisk->size, 4);
    }
    put(zp, ZP_CMDLINE, info + CMDLINE_AT, 4);
    put(zp, ZP_CMDLINE_SIZE, LAUNCH_CMDLINE_MAX - 1, 4);
    put(zp, ZP_ALIGNMENT, MB(2), 4);
    rc = hvm_copy_to_physical(d, info, zp, PAGE_SIZE) ||
                 hvm_copy_to_physical(d, info + CMDLINE_AT, plan->cmdline, strlen(plan->cmdline) + 1)
             ? -XEN_ENOMEM
             : 0;
    arch_free_pages(zp, 0);
    return rc;
}

static int write_tables(struct domain *d, u64 at)
{
    u64 *page = arch_alloc_pages(0);
    int rc = 0;

    if (!page)
        return -XEN_ENOMEM;
    page[0] = (at + PAGE_SIZE) | PTE_P | PTE_RW;
    rc = hvm_copy_to_physical(d, at, page, PAGE_SIZE) ? -XEN_ENOMEM : 0;
    for (unsigned int i = 0; i < 4; i++)
        page[i] = (at + (2 + i) * PAGE_SIZE) | PTE_P | PTE_RW;
    if (!rc)
        rc = hvm_copy_to_physical(d, at + PAGE_SIZE, page, PAGE_SIZE) ? -XEN_ENOMEM : 0;
    for (unsigned int t = 0; t < 4 && !rc; t++) {
        for (unsigned int i = 0; i < 512; i++)
            page[i] = (GB(t) + MB(2) * i) | PTE_P | PTE_RW | PTE_PSE;
        rc = hvm_copy_to_physical(d, at + (2 + t) * PAGE_SIZE, page, PAGE_SIZE) ? -XEN_ENOMEM : 0;
    }
    arch_free_pages(page, 0);
    return rc;
}

int hvm_start_linux(struct domain *d, const struct launch_domain *plan, const struct hvm_image *img, u64 ramdisk, u64 info)
{
    struct vcpu *v = d->vcpu[0];
    int rc;

    if (!img->wide || img->elf_entry < img->start || img->elf_entry >= img->end) {
        printk("domain %s: its kernel is not one that the 64-bit boot protocol can start (entry %#llx)\n", plan->name,
               (unsigned long long)img->elf_entry);
        return -XEN_EINVAL;
    }
    rc = write_zero_page(d, plan, ramdisk, info);
    if (!rc)
        rc = write_tables(d, info + TABLES_AT);
    if (rc)
        return rc;
    hvm_set_flat_segments(v, true);
    hvm_ops->set(v, HVM_CR3, info + TABLES_AT);
    hvm_ops->set(v, HVM_CR4, X86_CR4_PAE);
    hvm_ops->set(v, HVM_EFER, EFER_LME | EFER_LMA);
    hvm_ops->set(v, HVM_CR0, X86_CR0_PG | 0x11);
    v->arch.regs.rip = img->elf_entry;
    v->arch.regs.rsi = info;
    return 0;
}

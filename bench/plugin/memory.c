/* SPDX-License-Identifier: MIT */
/*
 * memory.h: a four-level walk over entries that are themselves found by a four-level walk.
 */
#include "memory.h"

#include <string.h>

#define PAGE_BYTES  4096u
#define PTE_PRESENT 1u
#define PTE_LARGE   0x80u
#define PTE_ADDRESS 0x000ffffffffff000ull
#define CR0_PG      (1u << 31)
#define EFER_LMA    (1u << 10)

static struct qemu_plugin_register *cr0, *cr3, *efer;
static uint64_t root; /* of the nested tables; 0: none */

void memory_take_register(const struct qemu_reg_descriptor *reg)
{
    if (strcmp(reg->name, "cr0") == 0)
        cr0 = reg->handle;
    else if (strcmp(reg->name, "cr3") == 0)
        cr3 = reg->handle;
    else if (strcmp(reg->name, "efer") == 0)
        efer = reg->handle;
}

uint64_t memory_register(struct qemu_plugin_register *handle, uint64_t otherwise)
{
    static struct glib_bytes *bytes;
    uint64_t value = 0;

    if (!bytes)
        bytes = g_byte_array_new();
    g_byte_array_set_size(bytes, 0);
    if (!handle || qemu_plugin_read_register(handle, bytes) <= 0)
        return otherwise;
    memcpy(&value, bytes->data, bytes->len < sizeof(value) ? bytes->len : sizeof(value));
    return value;
}

void memory_follow(uint64_t nested_root)
{
    root = nested_root;
}

bool memory_read_physical(uint64_t paddr, void *to, size_t len)
{
    if (!cpu_physical_memory_rw)
        return false;
    cpu_physical_memory_rw(paddr, to, len, false);
    return true;
}

/* Where a table's entry leads: through `translate` lie the tables themselves. */
static bool walk(uint64_t table, uint64_t address, bool (*translate)(uint64_t *), uint64_t *to)
{
    for (int shift = 39; shift >= 12; shift -= 9) {
        uint64_t at = (table & PTE_ADDRESS) + (address >> shift & 511) * sizeof(uint64_t), entry;

        if (!translate(&at) || !memory_read_physical(at, &entry, sizeof(entry)) || !(entry & PTE_PRESENT))
            return false;
        if (shift == 12 || (shift < 39 && (entry & PTE_LARGE))) {
            uint64_t within = (1ull << shift) - 1;

            *to = (entry & PTE_ADDRESS & ~within) | (address & within);
            return true;
        }
        table = entry;
    }
    return false;
}

static bool as_it_is(uint64_t *at)
{
    return at != NULL;
}

/* A guest's physical address becomes the machine's. */
static bool through_nested(uint64_t *at)
{
    return walk(root, *at, as_it_is, at);
}

bool memory_read(uint64_t vaddr, struct glib_bytes *data, size_t len)
{
    uint64_t paged = memory_register(cr0, 0) & CR0_PG, paddr;

    if (!root)
        return qemu_plugin_read_memory_vaddr(vaddr, data, len);
    if (paged && !(memory_register(efer, 0) & EFER_LMA))
        return false;
    g_byte_array_set_size(data, len);
    for (size_t done = 0, part; done < len; done += part) {
        part = PAGE_BYTES - (vaddr + done) % PAGE_BYTES;
        part = part < len - done ? part : len - done;
        paddr = vaddr + done;
        if (paged && !walk(memory_register(cr3, 0), vaddr + done, through_nested, &paddr))
            return false;
        if (!through_nested(&paddr) || !memory_read_physical(paddr, data->data + done, part))
            return false;
    }
    return true;
}

/* SPDX-License-Identifier: MIT */
/*
 * idt.h: the tables seen so far, their raw bytes as last read, and the targets in them.
 */
#include "idt.h"

#include <string.h>

#include "memory.h"

#define NR_TABLES  64 /* one per processor at most; more are ignored and make the result unsound */
#define GATE_BYTES 16

struct table {
    uint64_t base;
    unsigned nr; /* gates within the limit */
    uint8_t raw[IDT_VECTORS * GATE_BYTES];
    uint64_t target[IDT_VECTORS]; /* 0: no gate */
};

static struct table tables[NR_TABLES];
static unsigned nr_tables;
static uint16_t limit; /* the first half of an LIDT operand, until the second half comes */
static bool unsound;
static struct glib_bytes *scratch;

static uint64_t gate_target(const uint8_t *gate)
{
    uint64_t low, high;
    unsigned type;

    memcpy(&low, gate, sizeof(low));
    memcpy(&high, gate + 8, sizeof(high));
    type = (low >> 40) & 0x1f;
    if (!(low >> 47 & 1) || (type != 0x0e && type != 0x0f) || high >> 32)
        return 0;
    return (low & 0xffff) | (low >> 48) << 16 | (high & 0xffffffff) << 32;
}

static bool serves_interrupt(int vector)
{
    return vector >= IDT_NR_FAULTS || vector == IDT_VECTOR_NMI;
}

/* One target for an exception and an interrupt leaves open which of the two arrived. */
static void check_sharing(const struct table *t)
{
    for (int v = 0; v < IDT_NR_FAULTS; v++)
        for (int w = 0; w < IDT_VECTORS; w++)
            if (t->target[v] && t->target[v] == t->target[w] &&
                serves_interrupt(v) != serves_interrupt(w))
                unsound = true;
}

static void read_table(struct table *t)
{
    size_t bytes = t->nr * GATE_BYTES;

    if (!memory_read(t->base, scratch, bytes) ||
        memcmp(t->raw, scratch->data, bytes) == 0)
        return;
    memcpy(t->raw, scratch->data, bytes);
    for (unsigned v = 0; v < t->nr; v++)
        t->target[v] = gate_target(t->raw + v * GATE_BYTES);
    check_sharing(t);
}

static void on_operand(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *data)
{
    struct qemu_mem_value value = qemu_plugin_mem_get_value(info);
    uint64_t base = value.data.u64;
    unsigned nr = (limit + 1u) / GATE_BYTES;

    if (value.type == QEMU_MEM_U16)
        limit = value.data.u16;
    if (value.type != QEMU_MEM_U64 || nr == 0)
        return;
    for (unsigned i = 0; i < nr_tables; i++)
        if (tables[i].base == base && tables[i].nr >= nr)
            return;
    if (nr_tables == NR_TABLES) {
        unsound = true;
        return;
    }
    tables[nr_tables].base = base;
    tables[nr_tables++].nr = nr < IDT_VECTORS ? nr : IDT_VECTORS;
    idt_refresh();
}

void idt_watch(struct qemu_plugin_insn *lidt)
{
    qemu_plugin_register_vcpu_mem_cb(lidt, on_operand, QEMU_CB_NO_REGS, QEMU_MEM_R, NULL);
}

void idt_refresh(void)
{
    if (!scratch)
        scratch = g_byte_array_new();
    for (unsigned i = 0; i < nr_tables; i++)
        read_table(&tables[i]);
}

int idt_vector(uint64_t vaddr)
{
    for (unsigned i = 0; i < nr_tables; i++)
        for (int v = 0; v < IDT_VECTORS; v++)
            if (tables[i].target[v] == vaddr)
                return v;
    return -1;
}

bool idt_sound(void)
{
    return nr_tables > 0 && !unsound;
}

bool idt_has_error_code(int vector)
{
    return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 ||
           vector == 29 || vector == 30;
}

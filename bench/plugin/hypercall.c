/* SPDX-License-Identifier: MIT */
/*
 * hypercall.h: arguments by the PV ABI (RAX, RDI, RSI), tables by machine addresses.
 */
#include "hypercall.h"

#include <string.h>

#include "memory.h"

#define NR_MMU_UPDATE 1
#define NR_MULTICALL  13
#define EXT_PIN_L4    3
#define EXT_UNPIN     4

#define ENTRIES       512
#define USER_L4       256 /* of the top level the guest kernel's half is shared by all its tables: references, no work */
#define FRAMES        (1u << 20)
#define REQUESTS_MAX  512u
#define PTE_PRESENT   1u
#define PTE_LARGE     0x80u
#define PTE_ADDRESS   0x000ffffffffff000ull

struct multicall_entry {
    uint64_t op, result, args[6];
};
struct mmuext_op {
    uint32_t cmd, pad;
    uint64_t mfn, arg2;
};

static struct qemu_plugin_register *rax, *rdi, *rsi;
static struct glib_bytes *bytes;
static uint8_t refs[FRAMES];   /* pins and valid tables that lead to a table, as far as they were seen */
static uint8_t level[FRAMES]; /* of a pinned table */

void hypercall_take_register(const struct qemu_reg_descriptor *reg)
{
    if (strcmp(reg->name, "rax") == 0)
        rax = reg->handle;
    else if (strcmp(reg->name, "rdi") == 0)
        rdi = reg->handle;
    else if (strcmp(reg->name, "rsi") == 0)
        rsi = reg->handle;
}

/* A table gains or loses a reference; with its first it is validated, after its last nothing is left of it. */
static void follow_table(uint64_t mfn, int of_level, bool gain, uint64_t work[WORK_NR])
{
    uint64_t table[ENTRIES];
    int last = of_level == 4 ? USER_L4 : ENTRIES;

    if (mfn >= FRAMES)
        return;
    if (gain) {
        refs[mfn] += refs[mfn] < 255;
        if (refs[mfn] > 1)
            return;
    } else {
        refs[mfn] -= refs[mfn] > 0;
        if (refs[mfn])
            return;
    }
    if (!memory_read_physical(mfn << 12, table, sizeof(table)))
        return;
    work[gain ? WORK_PIN_TABLES : WORK_UNPIN_TABLES]++;
    for (int i = 0; i < last; i++) {
        if (!(table[i] & PTE_PRESENT))
            continue;
        if (of_level == 1 || (table[i] & PTE_LARGE))
            work[gain ? WORK_PIN_ENTRIES : WORK_UNPIN_ENTRIES]++;
        else
            follow_table((table[i] & PTE_ADDRESS) >> 12, of_level - 1, gain, work);
    }
}

/* Each operation of an mmuext_op call. @return the first's command */
static unsigned read_ext(uint64_t at, uint64_t nr, bool inner, uint64_t work[WORK_NR])
{
    struct mmuext_op op;
    unsigned first = 0;

    for (uint64_t i = 0; i < nr && i < REQUESTS_MAX; i++) {
        if (!memory_read(at + i * sizeof(op), bytes, sizeof(op)))
            break;
        memcpy(&op, bytes->data, sizeof(op));
        first = i ? first : op.cmd & 31;
        if (inner)
            work[WORK_IN_EXT + (op.cmd & 31)]++;
        if (op.cmd <= EXT_PIN_L4 && op.mfn < FRAMES) {
            level[op.mfn] = op.cmd + 1;
            follow_table(op.mfn, op.cmd + 1, true, work);
        } else if (op.cmd == EXT_UNPIN && op.mfn < FRAMES && level[op.mfn]) {
            follow_table(op.mfn, level[op.mfn], false, work);
            level[op.mfn] = 0;
        }
    }
    return first;
}

static unsigned read_call(uint64_t number, uint64_t first, uint64_t second, bool inner, uint64_t work[WORK_NR])
{
    if (number == NR_MMU_UPDATE)
        work[WORK_MMU_UPDATES] += (uint32_t)second & 0x7fffffff;
    if (number == HYPERCALL_MMUEXT)
        return read_ext(first, (uint32_t)second & 0x7fffffff, inner, work);
    return 0;
}

unsigned hypercall_read(uint64_t work[WORK_NR])
{
    uint64_t number = memory_register(rax, 0), first = memory_register(rdi, 0), second = memory_register(rsi, 0);
    struct multicall_entry e;

    if (!bytes)
        bytes = g_byte_array_new();
    if (number != NR_MULTICALL)
        return (number & 0xff) << 8 | read_call(number, first, second, false, work);
    for (uint64_t i = 0; i < second && i < REQUESTS_MAX; i++) {
        if (!memory_read(first + i * sizeof(e), bytes, sizeof(e)))
            break;
        memcpy(&e, bytes->data, sizeof(e));
        work[WORK_MULTICALL]++;
        work[WORK_IN_CALL + (e.op & 63)]++;
        read_call(e.op, e.args[0], e.args[1], true, work);
    }
    return NR_MULTICALL << 8;
}

const char *hypercall_name(unsigned number)
{
    static const char *const names[] = {
        [1] = "mmu_update",    [3] = "stack_switch",      [5] = "fpu_taskswitch", [8] = "set_debugreg",
        [10] = "descriptor",   [12] = "memory_op",        [13] = "multicall",     [14] = "va_mapping",
        [15] = "timer",        [17] = "version",          [18] = "console_io",    [20] = "grant",
        [21] = "vm_assist",    [23] = "iret",             [24] = "vcpu_op",       [25] = "segment_base",
        [26] = "mmuext",       [29] = "sched_op",         [32] = "event_channel", [33] = "physdev",
    };

    return number < sizeof(names) / sizeof(names[0]) ? names[number] : NULL;
}

const char *hypercall_ext_name(unsigned command)
{
    static const char *const names[] = {
        "pin-l1", "pin-l2", "pin-l3", "pin-l4", "unpin", "baseptr", "flush-local", "invlpg-local", "flush-multi",
        "invlpg-multi", "flush-all", "invlpg-all", "flush-cache", "ldt", NULL, "user-baseptr", "clear-page", "copy-page",
    };

    return command < sizeof(names) / sizeof(names[0]) ? names[command] : NULL;
}

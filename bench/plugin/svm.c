/* SPDX-License-Identifier: MIT */
/*
 * svm.h: offsets and codes of APM vol. 2, appendices B and C.
 */
#include "svm.h"

#include <stddef.h>
#include <string.h>

#include "idt.h"
#include "memory.h"

#define NR_VMRUNS  16
#define PC_HOLE    0xc0000000ull
#define NO_MEMORY  (1ull << 37)

/* Offsets in a VMCB. */
enum {
    EXIT_CODE = 0x70,
    EXIT_INFO1 = 0x78,
    EXIT_INFO2 = 0x80,
    EXIT_INT_INFO = 0x88,
    NESTED_ENABLE = 0x90,
    NESTED_ROOT = 0xb0,
    CS_ATTRIBUTES = 0x412,
    CS_BASE = 0x418,
    RIP = 0x578,
    RAX = 0x5f8,
    SAVE_END = RAX + 8,
};
#define INT_INFO_VALID (1u << 31)
#define CS_LONG        (1u << 9) /* of the attributes as a VMCB packs them */
#define NPF_FETCH      0x10      /* of EXITINFO1 */
#define EXIT_EXCEPTION 0x40      /* and the vector */
#define EXIT_INTR      0x60      /* INTR, NMI, SMI, INIT, VINTR follow each other */
#define EXIT_VINTR     0x64

static uint64_t behind[NR_VMRUNS];
static unsigned nr_behind;

void svm_add_vmrun(uint64_t end)
{
    if (!svm_is_behind_vmrun(end) && nr_behind < NR_VMRUNS)
        behind[nr_behind++] = end;
}

bool svm_is_behind_vmrun(uint64_t vaddr)
{
    for (unsigned i = 0; i < nr_behind; i++)
        if (behind[i] == vaddr)
            return true;
    return false;
}

static uint64_t field(const uint8_t *vmcb, size_t offset)
{
    uint64_t value;

    memcpy(&value, vmcb + offset, sizeof(value));
    return value;
}

uint64_t svm_nested_root(uint64_t vmcb)
{
    uint8_t head[NESTED_ROOT + 8];

    if (!memory_read_physical(vmcb, head, sizeof(head)) || !(field(head, NESTED_ENABLE) & 1))
        return 0;
    return field(head, NESTED_ROOT);
}

static bool is_device(uint64_t gpa)
{
    return (gpa >= PC_HOLE && gpa < 1ull << 32) || gpa >= NO_MEMORY;
}

bool svm_read_exit(uint64_t vmcb, struct svm_exit *x)
{
    uint8_t read[SAVE_END];
    uint64_t interrupted;
    uint16_t attributes;

    if (!memory_read_physical(vmcb, read, sizeof(read)))
        return false;
    memcpy(&attributes, read + CS_ATTRIBUTES, sizeof(attributes));
    interrupted = field(read, EXIT_INT_INFO);
    *x = (struct svm_exit){
        .code = field(read, EXIT_CODE),
        .rax = field(read, RAX),
        .rip = field(read, RIP) + (attributes & CS_LONG ? 0 : field(read, CS_BASE)),
        .vector = -1,
    };
    if (x->code >= EXIT_EXCEPTION && x->code < EXIT_EXCEPTION + IDT_NR_FAULTS)
        x->vector = x->code - EXIT_EXCEPTION;
    else if (interrupted & INT_INFO_VALID)
        x->vector = interrupted & 0xff;
    x->interrupt = (x->code >= EXIT_INTR && x->code <= EXIT_VINTR) || x->vector >= IDT_NR_FAULTS ||
                   x->vector == IDT_VECTOR_NMI;
    x->fetch = x->code == SVM_EXIT_NESTED_FAULT && x->vector < 0 && (field(read, EXIT_INFO1) & NPF_FETCH);
    if (x->code == SVM_EXIT_NESTED_FAULT && is_device(field(read, EXIT_INFO2)))
        x->code = SVM_EXIT_DEVICE;
    return true;
}

const char *svm_exit_name(unsigned code)
{
    static const char *const names[] = {
        [0x18] = "cr8-write", [0x41] = "db",       [0x51] = "ac",      [0x52] = "mc",   [0x60] = "interrupt",
        [0x61] = "nmi",       [0x64] = "window",   [0x72] = "cpuid",   [0x76] = "invd", [0x78] = "hlt",
        [0x7b] = "io",        [0x7c] = "msr",      [0x7f] = "shutdown", [0x81] = "hypercall", [0x89] = "wbinvd",
        [0x8d] = "xsetbv",
    };

    if (code == SVM_EXIT_NESTED_FAULT || code == SVM_EXIT_DEVICE)
        return code == SVM_EXIT_DEVICE ? "device" : "nested-fault";
    return code < sizeof(names) / sizeof(names[0]) ? names[code] : NULL;
}

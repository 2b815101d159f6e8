/* SPDX-License-Identifier: MIT */
/*
 * Other modes of the processor in a hardware-assisted domain: hypercalls of 32-bit code, 32-bit protected mode without paging, real
 * mode with its interrupt table, 32-bit kernels' three modes of paging with hypercalls by instruction and by page, and the way back; each
 * with exits within. kernel/mode.S is the code.
 */
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"
#include "evtchn.h"

#define MODE_PADDR 0x60000ul
#define DATA       0x61000ul

extern const uint8_t mode_code[], mode_code_end[], mode_call32[], mode_tour[], mode_paging[];

static volatile uint32_t *const data = (volatile uint32_t *)DATA;

static bool amd(void)
{
    return cpuid_bare(0, 0).b == 0x68747541; /* "Auth" */
}

/* Call a routine of mode.S at its place below 1 MiB. */
static void enter(const uint8_t *routine)
{
    memcpy((void *)MODE_PADDR, mode_code, (size_t)(mode_code_end - mode_code));
    ((void (*)(void))(MODE_PADDR + (uint64_t)(routine - mode_code)))();
}

/* A hypercall as 32-bit code makes it: nr, then ebx, ecx, edx, esi, edi. */
static int32_t hypercall32(uint32_t nr, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t a4)
{
    data[0] = nr;
    data[1] = a1;
    data[2] = a2;
    data[3] = a3;
    data[4] = a4;
    data[5] = 0;
    data[6] = amd();
    enter(mode_call32);
    return (int32_t)data[16];
}

#define ARGS (DATA + 0x900)
#define EXPECT32(call, want)                                                                                                          \
    do {                                                                                                                              \
        int32_t rc_ = (call);                                                                                                         \
        EXPECT(rc_ == (want), "%s = %d, want %d", #call, rc_, want);                                                                  \
    } while (0)

static void hvm_call32(void)
{
    char *text = (char *)ARGS;

    EXPECT32(hypercall32(__HYPERVISOR_xen_version, XENVER_version, 0, 0, 0), 0x40011);
    EXPECT(data[17] == XENVER_version, "ebx %x", data[17]);
    memset(text, 0, 64);
    EXPECT32(hypercall32(__HYPERVISOR_xen_version, XENVER_extraversion, ARGS, 0, 0), 0);
    EXPECT(text[0] == '.' || text[0] == '-', "extraversion %s", text);
    EXPECT32(hypercall32(__HYPERVISOR_xen_version, 99, 0, 0, 0), -XEN_ENOSYS);
    EXPECT32(hypercall32(63, 0, 0, 0, 0), -XEN_ENOSYS);
    EXPECT32(hypercall32(0x7fffffff, 0, 0, 0, 0), -XEN_ENOSYS);
    EXPECT32(hypercall32(__HYPERVISOR_xen_version, XENVER_extraversion, 0xfffff000, 0, 0), -XEN_EFAULT);
    EXPECT32(hypercall32(__HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0, 0), 0);
    EXPECT(hc_xen_version(XENVER_version, NULL) == 0x40011, "64-bit calls are gone");
}
MICRO_TEST(hvm_call32, "hvm-call32", PLATFORM_PVH);

/* Structures of 32-bit callers: event channels, parameters, reservation, memory. */
static void hvm_call32_structures(void)
{
    struct evtchn_alloc_unbound *a = (void *)ARGS;
    struct evtchn_close *close = (void *)ARGS;
    struct xen_hvm_param *p = (void *)ARGS;
    struct {
        uint32_t extent_start, nr_extents, order, flags;
        uint16_t domid;
    } *r = (void *)ARGS; /* xen_memory_reservation with 32-bit longs and pointers */
    uint8_t *page = page_alloc();
    uint32_t port;
    domid_t self = DOMID_SELF;

    *a = (struct evtchn_alloc_unbound){.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
    EXPECT32(hypercall32(__HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, ARGS, 0, 0), 0);
    port = a->port;
    EXPECT(port, "port 0");
    *close = (struct evtchn_close){.port = port};
    EXPECT32(hypercall32(__HYPERVISOR_event_channel_op, EVTCHNOP_close, ARGS, 0, 0), 0);
    EXPECT(port_close(port) < 0, "closed, and open");
    *p = (struct xen_hvm_param){.domid = DOMID_SELF, .index = HVM_PARAM_CALLBACK_IRQ};
    EXPECT32(hypercall32(__HYPERVISOR_hvm_op, HVMOP_get_param, ARGS, 0, 0), 0);
    EXPECT((p->value & 0xff) == EVENT_VECTOR && p->value >> 56 == HVM_PARAM_CALLBACK_TYPE_VECTOR, "callback %lx", p->value);
    *(domid_t *)ARGS = DOMID_SELF;
    EXPECT32(hypercall32(__HYPERVISOR_memory_op, XENMEM_current_reservation, ARGS, 0, 0),
             (int32_t)hc_memory_op(XENMEM_current_reservation, &self));
    memset(page, 0x5a, PAGE_SIZE);
    *(volatile uint32_t *)(ARGS + 64) = (uint32_t)mfn_of(page);
    r->extent_start = ARGS + 64;
    r->nr_extents = 1;
    r->order = r->flags = 0;
    r->domid = DOMID_SELF;
    EXPECT32(hypercall32(__HYPERVISOR_memory_op, XENMEM_decrease_reservation, ARGS, 0, 0), 1);
    EXPECT(*(volatile uint64_t *)page == ~0ul, "given back, and reads %lx", *(volatile uint64_t *)page);
    EXPECT32(hypercall32(__HYPERVISOR_memory_op, XENMEM_populate_physmap, ARGS, 0, 0), 1);
    memset(page, 0, PAGE_SIZE);
    page_free(page);
}
MICRO_TEST(hvm_call32_structures, "hvm-call32-structures", PLATFORM_PVH);

/* Out of long mode, out of protected mode, and back, with exits in each. */
static void hvm_modes(void)
{
    uint64_t efer = rdmsr(0xc0000080), cr0 = read_cr0();
    uint32_t vendor = cpuid_bare(0, 0).b;

    for (unsigned i = 0; i < 64; i++)
        data[i] = 0;
    data[6] = amd();
    enter(mode_tour);
    EXPECT(!(data[0x44 / 4] & 0x400), "EFER %x without paging", data[0x44 / 4]);
    EXPECT(data[0x48 / 4] == vendor, "protected mode: CPUID %x", data[0x48 / 4]);
    EXPECT(data[0x4c / 4] == ~0u, "protected mode: port %x", data[0x4c / 4]);
    EXPECT(data[0x50 / 4] == 0x11111111, "protected mode: stack %x", data[0x50 / 4]);
    EXPECT(data[0x54 / 4] == 0x40011, "protected mode: hypercall %x", data[0x54 / 4]);
    EXPECT((data[0x58 / 4] & 0xffff) == 1, "real mode: %u interrupts", data[0x58 / 4]);
    EXPECT(data[0x5c / 4] == ~0u, "real mode: port %x", data[0x5c / 4]);
    EXPECT(data[0x60 / 4] == vendor, "real mode: CPUID %x", data[0x60 / 4]);
    EXPECT((data[0x68 / 4] & 0xffff) == 0x703 && (data[0x6c / 4] & 0xffffff) == 0xffffff, "real mode: string to %x: %x",
           data[0x68 / 4], data[0x6c / 4]);
    EXPECT(!(data[0x70 / 4] & 1), "real mode: MSW %x", data[0x70 / 4]);
    EXPECT(rdmsr(0xc0000080) == efer && read_cr0() == cr0, "EFER %lx CR0 %lx", rdmsr(0xc0000080), read_cr0());
    EXPECT(hc_xen_version(XENVER_version, NULL) == 0x40011, "64-bit hypercalls are gone");
}
MICRO_TEST(hvm_modes, "hvm-modes", PLATFORM_PVH);

/* ---- 32-bit paging ---- */

#define CR4_PSE   0x10u
#define CR4_PAE   0x20u
#define SEEN_AT   0x40000000u /* the data page, and behind it the hypercall page */
#define NOBODY_AT 0x80000000u
#define NOBODY    0xf8000000u /* guest-physical, 2 and 4 MiB aligned */

static void expect_paging(const char *mode, uint64_t cr3, uint32_t cr4)
{
    volatile uint8_t *args = (volatile uint8_t *)ARGS;
    uint64_t efer = rdmsr(0xc0000080);

    for (unsigned i = 0; i < 0x120 / 4; i++)
        data[i] = 0;
    for (unsigned i = 0; i < 128; i++)
        args[i] = 0;
    data[6] = amd();
    data[0x100 / 4] = (uint32_t)cr3;
    data[0x104 / 4] = cr4;
    data[0x108 / 4] = SEEN_AT + (uint32_t)(ARGS & (PAGE_SIZE - 1));
    data[0x10c / 4] = SEEN_AT + PAGE_SIZE;
    data[0x110 / 4] = NOBODY_AT;
    enter(mode_paging);
    EXPECT(data[0xd0 / 4] == cpuid_bare(0, 0).b, "%s: CPUID %x", mode, data[0xd0 / 4]);
    EXPECT(data[0xd4 / 4] == 0 && (args[0] == '.' || args[0] == '-'), "%s: hypercall %x, text %x", mode, data[0xd4 / 4], args[0]);
    EXPECT(data[0xd8 / 4] == (uint32_t)-XEN_EFAULT, "%s: hypercall to no memory %x", mode, data[0xd8 / 4]);
    EXPECT(data[0xdc / 4] == 0x40011, "%s: hypercall page %x", mode, data[0xdc / 4]);
    EXPECT(data[0xe0 / 4] == ~0u, "%s: memory of nobody %x", mode, data[0xe0 / 4]);
    EXPECT(data[0xe4 / 4] == 67 && args[64] == 0xff && args[66] == 0xff && args[67] == 0, "%s: ports to %u: %x", mode, data[0xe4 / 4],
           *(volatile uint32_t *)(args + 64));
    EXPECT(rdmsr(0xc0000080) == efer && hc_xen_version(XENVER_version, NULL) == 0x40011, "%s: no way back", mode);
}

static void hvm_paging(void)
{
    void *call = page_alloc();
    uint32_t *pd = page_alloc(), *pt = page_alloc(), *low = page_alloc();
    uint64_t *pdpt = page_alloc(), *pd0 = page_alloc(), *pd1 = page_alloc(), *pd2 = page_alloc(), *pt1 = page_alloc();

    wrmsr(cpuid_bare(xen_leaf + 2, 0).b, maddr_of(call));
    for (unsigned i = 0; i < 1024; i++)
        low[i] = i << PAGE_SHIFT | 3;
    pt[0] = (uint32_t)DATA | 3;
    pt[1] = (uint32_t)maddr_of(call) | 3;
    pd[0] = (uint32_t)maddr_of(low) | 3;
    pd[SEEN_AT >> 22] = (uint32_t)maddr_of(pt) | 3;
    pt1[0] = DATA | 3;
    pt1[1] = maddr_of(call) | 3;

    /* 4 KiB pages alone: what would be a large one is a table. */
    uint32_t *hole = page_alloc();

    hole[0] = NOBODY | 3;
    pd[NOBODY_AT >> 22] = (uint32_t)maddr_of(hole) | 3 | PTE_PSE;
    expect_paging("32-bit, 4 KiB", maddr_of(pd), 0);
    pd[0] = 3 | PTE_PSE;
    pd[NOBODY_AT >> 22] = NOBODY | 3 | PTE_PSE;
    expect_paging("32-bit, 4 MiB", maddr_of(pd), CR4_PSE);
    pdpt[0] = maddr_of(pd0) | 1;
    pdpt[SEEN_AT >> 30] = maddr_of(pd1) | 1;
    pdpt[NOBODY_AT >> 30] = maddr_of(pd2) | 1;
    pd0[0] = 3 | PTE_PSE;
    pd1[0] = maddr_of(pt1) | 3;
    pd2[0] = NOBODY | 3 | PTE_PSE;
    expect_paging("PAE", maddr_of(pdpt), CR4_PAE);

    page_free(hole);
    page_free(pt1);
    page_free(pd2);
    page_free(pd1);
    page_free(pd0);
    page_free(pdpt);
    page_free(low);
    page_free(pt);
    page_free(pd);
    memset(call, 0, PAGE_SIZE);
    page_free(call);
}
MICRO_TEST(hvm_paging, "hvm-paging", PLATFORM_PVH);

/* SPDX-License-Identifier: MIT */
/*
 * Other modes of the processor in a hardware-assisted domain: hypercalls of 32-bit code, 32-bit protected mode without paging, real
 * mode with its interrupt table, and the way back; each with exits within. kernel/mode.S is the code.
 */
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"
#include "evtchn.h"

#define MODE_PADDR 0x60000ul
#define DATA       0x61000ul

extern const uint8_t mode_code[], mode_code_end[], mode_call32[], mode_tour[];

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

/* SPDX-License-Identifier: MIT */
/*
 * Second vCPUs of a PVH or HVM domain that begin where VCPUOP_initialise says: 32-bit code under PAE paging, whose page directory pointers
 * the processor keeps aside; and states that no processor enters, which end the domain alone.
 *
 * By name, in a domain with three vCPUs or more (tests/micro/run -p). Sources: xen/hvm/hvm_vcpu.h, SDM vol. 3 §4.4.1, §27.3.1.1, §27.3.1.6.
 */
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"
#include <xen/hvm/hvm_vcpu.h>

#define STORED 0x50414521u

static struct vcpu_hvm_context context;

static bool soon(volatile uint32_t *word, uint32_t value)
{
    uint64_t end = now_ns() + 1000000000;

    while (*word != value && now_ns() < end)
        hc_sched_op(SCHEDOP_yield, NULL);
    return *word == value;
}

/* The page of the code: it stores STORED behind itself and halts for good. Under PAE paging the first GiB is mapped as it is. */
static volatile uint32_t *make_32bit_context(uint64_t pointer_bits)
{
    struct vcpu_hvm_x86_32 *r = &context.cpu_regs.x86_32;
    uint8_t *code = page_alloc();
    uint64_t *pointers = page_alloc(), *directory = page_alloc();
    uint32_t at = mfn_of(code) << PAGE_SHIFT, to = at + 64, value = STORED;

    memcpy(code, "\xc7\x05", 2); /* movl $STORED, to */
    memcpy(code + 2, &to, 4);
    memcpy(code + 6, &value, 4);
    memcpy(code + 10, "\xf4\xeb\xfd", 3); /* 1: hlt; jmp 1b, with interrupts off */
    pointers[0] = mfn_of(directory) << PAGE_SHIFT | 1 | pointer_bits;
    for (unsigned i = 0; i < 512; i++)
        directory[i] = (uint64_t)i << 21 | 0x83;
    memset(&context, 0, sizeof(context));
    context.mode = VCPU_HVM_MODE_32B;
    r->eip = at;
    r->eflags = 2;
    r->cs_limit = r->ds_limit = r->ss_limit = r->es_limit = ~0u;
    r->cs_ar = 0xc9b;
    r->ds_ar = r->ss_ar = r->es_ar = 0xc93;
    r->tr_ar = 0x8b;
    r->tr_limit = 0x67;
    r->cr0 = 0x80000001;
    r->cr3 = mfn_of(pointers) << PAGE_SHIFT;
    r->cr4 = 0x30;
    return (volatile uint32_t *)(code + 64);
}

static void context_pae(void)
{
    volatile uint32_t *stored = make_32bit_context(0);

    REQUIRE(hc_vcpu_op(VCPUOP_is_up, 2, NULL) == 0, "there is no vCPU 2 that is down");
    EXPECT_RC(hc_vcpu_op(VCPUOP_initialise, 2, &context), 0);
    EXPECT_RC(hc_vcpu_op(VCPUOP_up, 2, NULL), 0);
    EXPECT(soon(stored, STORED), "it did not store its word");
}
MICRO_SMP_TEST(context_pae, "smp-context-pae", PLATFORM_PVH);

/* vCPU 1 cannot begin: the domain ends within this call. */
static void begin(const char *what, volatile uint32_t *stored)
{
    long rc = hc_vcpu_op(VCPUOP_initialise, 1, &context);

    if (rc) {
        test_refused("%s: %ld", what, rc);
        return;
    }
    EXPECT_RC(hc_vcpu_op(VCPUOP_up, 1, NULL), 0);
    (void)soon(stored, STORED);
    test_fail(__FILE_NAME__, __LINE__, "%s: the domain goes on, and the vCPU has %s", what, *stored ? "run" : "not run");
}

static void crash_context_mode(void)
{
    volatile uint32_t *stored = make_32bit_context(0);

    context.cpu_regs.x86_32.efer = 0x100;
    context.cpu_regs.x86_32.cr4 = 0;
    begin("paging of long mode without PAE", stored);
}
MICRO_CRASH_TEST(crash_context_mode, "crash-hvm-context-mode", PLATFORM_PVH);

static void crash_context_pointer(void)
{
    begin("a reserved bit of a page directory pointer", make_32bit_context(1ul << 51));
}
MICRO_CRASH_TEST(crash_context_pointer, "crash-hvm-context-pointer", PLATFORM_PVH);

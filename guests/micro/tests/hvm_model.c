/* SPDX-License-Identifier: MIT */
/*
 * Memory whose device model answers late (hv/x86/hvm/vdevice.c, with the hypervisor's option hvm-test-device): the vCPU waits, other work goes
 * on, and the instruction is carried out once, whole, whatever it is.
 *
 * The device gives the complement of what was written; its last register counts requests.
 */
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"

#define DEVICE 0xfedf0000ul

static volatile uint64_t *reg;

static bool device(void)
{
    reg = phys_ptr(DEVICE);
    if (reg[15] != ~0ul)
        return true;
    test_skip("no test device");
    return false;
}

/* Each instruction makes as many requests as it makes accesses, no more. */
static void model_moves(void)
{
    uint64_t before, v;

    if (!device())
        return;
    before = reg[15];
    reg[0] = 0x1122334455667788;
    v = reg[0];
    EXPECT(v == ~0x1122334455667788ul, "reads %lx", v);
    *(volatile uint32_t *)&reg[1] = 0xcafe0000;
    *(volatile uint16_t *)&reg[1] = 0xbeef;
    EXPECT(*(volatile uint32_t *)&reg[1] == ~0xcafebeefu, "reads %x", *(volatile uint32_t *)&reg[1]);
    EXPECT(reg[15] - before >= 6, "%lu requests", reg[15] - before);
    before = reg[15];
    (void)reg[2];
    EXPECT(reg[15] - before == 2, "%lu requests of a load and this one", reg[15] - before);
}
MICRO_TEST(model_moves, "hvm-model-moves", PLATFORM_PVH);

/* Two accesses in one instruction: the first is not made again when the second has waited. */
static void model_read_modify_write(void)
{
    uint64_t before, old = 5;

    if (!device())
        return;
    reg[3] = ~0x10ul; /* it reads 0x10 */
    before = reg[15];
    __asm__ volatile("addl $7, (%0)" ::"r"(&reg[3]) : "memory", "cc");
    EXPECT(reg[15] - before == 3, "%lu requests", reg[15] - before);
    EXPECT((uint32_t)reg[3] == ~0x17u, "reads %lx", reg[3]);
    reg[4] = ~0x99ul;
    __asm__ volatile("xchg %0, (%1)" : "+r"(old) : "r"(&reg[4]) : "memory");
    EXPECT(old == 0x99 && reg[4] == ~5ul, "xchg gave %lx, left %lx", old, reg[4]);
}
MICRO_TEST(model_read_modify_write, "hvm-model-read-modify-write", PLATFORM_PVH);

/* A string from memory to the device and back. */
static void model_strings(void)
{
    static uint32_t from[6] = {1, 2, 3, 4, 5, 6}, to[6];
    void *src = from, *dst = (void *)&reg[5];
    uint64_t n = 6;

    if (!device())
        return;
    dst = (void *)&reg[5];
    __asm__ volatile("rep movsl" : "+S"(src), "+D"(dst), "+c"(n)::"memory");
    EXPECT(n == 0 && src == from + 6 && dst == (void *)&reg[8], "registers after rep movs: %lu left", n);
    src = (void *)&reg[5];
    dst = to;
    n = 6;
    __asm__ volatile("rep movsl" : "+S"(src), "+D"(dst), "+c"(n)::"memory");
    for (unsigned i = 0; i < 6; i++)
        EXPECT(to[i] == ~from[i], "element %u is %x", i, to[i]);
}
MICRO_TEST(model_strings, "hvm-model-strings", PLATFORM_PVH);

/* While it waits its vCPU does not run: time passes in the instruction. */
static void model_waits(void)
{
    uint64_t t;

    if (!device())
        return;
    t = now_ns();
    (void)reg[0];
    t = now_ns() - t;
    EXPECT(t >= 10000, "the answer came after %lu ns", t);
}
MICRO_TEST(model_waits, "hvm-model-waits", PLATFORM_PVH);

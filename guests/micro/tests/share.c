/* SPDX-License-Identifier: MIT */
/*
 * Not a test: what share of the processor this domain gets when it wants all of it. Whoever boots
 * several of these side by side compares the shares with the weights and caps that were asked for.
 */
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"

static uint64_t ran(uint64_t *at)
{
    static struct vcpu_runstate_info info;

    if (hc_vcpu_op(VCPUOP_get_runstate_info, 0, &info))
        return 0;
    *at = info.time[0] + info.time[1] + info.time[2] + info.time[3];
    return info.time[RUNSTATE_running];
}

void share_run(unsigned from_ms, unsigned to_ms)
{
    uint64_t begin, end, at_begin = 0, at_end = 0;

    while (now_ns() < from_ms * 1000000ul)
        ;
    begin = ran(&at_begin);
    while (now_ns() < to_ms * 1000000ul)
        ;
    end = ran(&at_end);
    print("MICRO share ran %lu of %lu us\n", (end - begin) / 1000, (at_end - at_begin) / 1000);
}

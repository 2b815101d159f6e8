/* SPDX-License-Identifier: MIT */
/*
 * Not a test: what share of the processor this domain gets when it wants all of it, and how long it waits each time that it
 * has to. Whoever boots several of these side by side compares the shares with the weights and caps that were asked for.
 *
 * Both come from the vCPU's runstate as the hypervisor keeps it (xen/vcpu.h): the share by VCPUOP_get_runstate_info at both ends,
 * a wait as what `runnable` has grown by when the registered copy changes, so no clock of the guest's own is in it.
 */
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"

#define WAITS_MAX 8192 /* later ones are counted, not kept */

static struct vcpu_runstate_info copy; /* the hypervisor writes it when the vCPU comes to run */
static uint32_t waits[WAITS_MAX];      /* us */

static uint64_t ran(uint64_t *at)
{
    static struct vcpu_runstate_info info;

    if (hc_vcpu_op(VCPUOP_get_runstate_info, 0, &info))
        return 0;
    *at = info.time[0] + info.time[1] + info.time[2] + info.time[3];
    return info.time[RUNSTATE_running];
}

static void sort(uint32_t *list, unsigned n)
{
    for (unsigned gap = n / 2; gap; gap /= 2) {
        for (unsigned i = gap; i < n; i++) {
            uint32_t value = list[i];
            unsigned at = i;

            for (; at >= gap && list[at - gap] > value; at -= gap)
                list[at] = list[at - gap];
            list[at] = value;
        }
    }
}

void share_run(unsigned from_ms, unsigned to_ms)
{
    struct vcpu_register_runstate_memory_area area = {.addr.v = &copy};
    uint64_t begin, end, at_begin = 0, at_end = 0, waited;
    unsigned nr = 0, kept;

    (void)hc_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &area);
    while (now_ns() < from_ms * 1000000ul)
        ;
    begin = ran(&at_begin);
    waited = *(volatile uint64_t *)&copy.time[RUNSTATE_runnable];
    while (now_ns() < to_ms * 1000000ul) {
        uint64_t now = *(volatile uint64_t *)&copy.time[RUNSTATE_runnable];

        if (now == waited)
            continue;
        if (nr < WAITS_MAX)
            waits[nr] = (now - waited) / 1000;
        nr++;
        waited = now;
    }
    end = ran(&at_end);
    print("MICRO share ran %lu of %lu us\n", (end - begin) / 1000, (at_end - at_begin) / 1000);
    kept = nr < WAITS_MAX ? nr : WAITS_MAX;
    sort(waits, kept);
    if (kept)
        print("MICRO waits %u: half %u, p99 %u, most %u us\n", nr, waits[(kept - 1) / 2], waits[(kept - 1) * 99 / 100], waits[kept - 1]);
}

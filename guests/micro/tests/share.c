/* SPDX-License-Identifier: MIT */
/*
 * Not a test: what share of the processor this domain gets when it wants all of it, and how long it waits each time that it
 * has to. Whoever boots several of these side by side compares the shares with the weights and caps that were asked for.
 *
 * Both come from the vCPU's runstate as the hypervisor keeps it (xen/vcpu.h): the share by VCPUOP_get_runstate_info at both ends of
 * one window, which is the same for all domains; a wait as what `runnable` has grown by when the registered copy changes, so no clock of the guest's own is in it.
 */
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"

#define WAITS_MAX 8192 /* later ones are counted, not kept */

static struct vcpu_runstate_info copy; /* the hypervisor writes it when the vCPU comes to run */
static uint32_t waits[WAITS_MAX];      /* us */

/* How long the vCPU had run at an instant (ns of system time) that is over; it has run all the time since it last came to run. */
static uint64_t ran_at(uint64_t instant)
{
    static struct vcpu_runstate_info info;
    uint64_t since;

    if (hc_vcpu_op(VCPUOP_get_runstate_info, 0, &info))
        return 0;
    since = info.state_entry_time > instant ? info.state_entry_time : instant;
    return info.time[RUNSTATE_running] - (now_ns() - since);
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
    uint64_t from = from_ms * 1000000ul, to = to_ms * 1000000ul, begin, waited;
    unsigned nr = 0, kept;

    (void)hc_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &area);
    while (now_ns() < from)
        ;
    begin = ran_at(from);
    waited = *(volatile uint64_t *)&copy.time[RUNSTATE_runnable];
    while (now_ns() < to) {
        uint64_t now = *(volatile uint64_t *)&copy.time[RUNSTATE_runnable];

        if (now == waited)
            continue;
        if (nr < WAITS_MAX)
            waits[nr] = (now - waited) / 1000;
        nr++;
        waited = now;
    }
    print("MICRO share ran %lu of %lu us\n", (ran_at(to) - begin) / 1000, (to - from) / 1000);
    kept = nr < WAITS_MAX ? nr : WAITS_MAX;
    sort(waits, kept);
    if (kept)
        print("MICRO waits %u: half %u, p99 %u, most %u us\n", nr, waits[(kept - 1) / 2], waits[(kept - 1) * 99 / 100], waits[kept - 1]);
}

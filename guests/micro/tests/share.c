/* SPDX-License-Identifier: MIT */
/*
 * Not a test: what share of the processors this domain gets when it wants all that one or two vCPUs can use, and how long it waits each
 * time that it has to; or how late it comes to run when it sleeps and wakes by its timer; or nothing but giving way, between marks. Whoever boots
 * several of these side by side compares the shares with the weights and caps that were asked for, the wake-ups with what the policy promises,
 * and counts what a switch from domain to domain costs.
 *
 * Shares and waits come from the vCPU's runstate as the hypervisor keeps it (xen/vcpu.h): the share by VCPUOP_get_runstate_info at both ends
 * of one window, which is the same for all domains; a wait as what `runnable` has grown by when the registered copy changes, so no clock of
 * the guest's own is in it. A wake-up is late by system time less what the timer was set to.
 */
#include "../../../bench/mark.h"
#include "../kernel/hypercall.h"
#include "../kernel/micro.h"
#include "evtchn.h"
#include "frames.h"

#define WAITS_MAX 8192 /* later ones are counted, not kept */
#define STACK     8192
#define YIELD_LEAD 250 /* times without reading the clock, which may trap; also before the first mark */

static struct vcpu_runstate_info copy; /* the hypervisor writes it when the vCPU comes to run */
static uint32_t waits[WAITS_MAX];      /* us */

/*
 * How long this vCPU had run at an instant (ns of system time) that is over; it has run all the time since it last came to run.
 * The hypervisor's answer and the clock belong together: who was away between the two asks again.
 */
static uint64_t ran_at(unsigned vcpu, uint64_t instant)
{
    struct vcpu_runstate_info info, after;
    uint64_t now, since;

    do {
        if (hc_vcpu_op(VCPUOP_get_runstate_info, vcpu, &info))
            return 0;
        now = now_ns();
        if (hc_vcpu_op(VCPUOP_get_runstate_info, vcpu, &after))
            return 0;
    } while (after.state_entry_time != info.state_entry_time);
    since = info.state_entry_time > instant ? info.state_entry_time : instant;
    return info.time[RUNSTATE_running] - (now - since);
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

static void print_waits(const char *what, unsigned nr)
{
    unsigned kept = nr < WAITS_MAX ? nr : WAITS_MAX;

    sort(waits, kept);
    if (kept)
        print("MICRO %s %u: half %u, p99 %u, most %u us\n", what, nr, waits[(kept - 1) / 2], waits[(kept - 1) * 99 / 100], waits[kept - 1]);
}

/* ---- a second vCPU ---- */

static struct {
    uint64_t from, to;
    volatile uint64_t ran; /* ns within the window; 0: not over yet */
} second;

static void second_main(void) __attribute__((noreturn));
static void second_main(void)
{
    uint64_t begin;

    while (now_ns() < second.from)
        ;
    begin = ran_at(1, second.from);
    while (now_ns() < second.to)
        ;
    second.ran = ran_at(1, second.to) - begin + 1;
    for (;;)
        hc_vcpu_op(VCPUOP_down, 1, NULL);
}

static bool start_second(uint64_t from, uint64_t to)
{
    static struct vcpu_guest_context context __attribute__((aligned(4096)));
    static uint8_t stack[STACK] __attribute__((aligned(4096)));

    second.from = from;
    second.to = to;
    context.flags = VGCF_in_kernel;
    context.user_regs.rip = PTR(second_main);
    context.user_regs.rsp = PTR(stack) + STACK - 8;
    context.user_regs.cs = kernel_cs;
    context.user_regs.ss = context.kernel_ss = kernel_ss;
    context.kernel_sp = PTR(stack) + STACK;
    context.ctrlreg[3] = mfn_of(kernel_l4) << PAGE_SHIFT;
    return !hc_vcpu_op(VCPUOP_initialise, 1, &context) && !hc_vcpu_op(VCPUOP_up, 1, NULL);
}

/* ---- who computes ---- */

void share_run(unsigned from_ms, unsigned to_ms, unsigned vcpus, bool marked)
{
    struct vcpu_register_runstate_memory_area area = {.addr.v = &copy};
    uint64_t from = from_ms * 1000000ul, to = to_ms * 1000000ul, begin, waited, ran;
    unsigned nr = 0;

    if (vcpus > 1 && !start_second(from, to)) {
        print("MICRO share has no second vCPU\n");
        return;
    }
    (void)hc_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &area);
    while (now_ns() < from)
        ;
    begin = ran_at(0, from);
    waited = *(volatile uint64_t *)&copy.time[RUNSTATE_runnable];
    if (marked)
        MARK_BEGIN();
    while (now_ns() < to) {
        uint64_t now = *(volatile uint64_t *)&copy.time[RUNSTATE_runnable];

        if (now == waited)
            continue;
        if (nr < WAITS_MAX)
            waits[nr] = (now - waited) / 1000;
        nr++;
        waited = now;
    }
    if (marked)
        MARK_END();
    ran = ran_at(0, to) - begin;
    while (vcpus > 1 && !second.ran)
        hc_sched_op(SCHEDOP_yield, NULL);
    print("MICRO share ran %lu of %lu us\n", (ran + second.ran) / 1000, (to - from) / 1000);
    print_waits("waits", nr);
}

/* ---- who sleeps and wakes ---- */

/* Work until this vCPU has run so long: what it waits meanwhile does not count. */
static void work(uint64_t ns)
{
    volatile uint64_t *runnable = (volatile uint64_t *)&copy.time[RUNSTATE_runnable];
    uint64_t began = now_ns(), waited = *runnable;

    while (now_ns() - began < ns + (*runnable - waited))
        ;
}

void wake_run(unsigned from_ms, unsigned to_ms, unsigned run_us, unsigned sleep_us)
{
    struct vcpu_register_runstate_memory_area area = {.addr.v = &copy};
    struct evtchn_bind_virq timer = {.virq = VIRQ_TIMER, .vcpu = 0};
    uint64_t from = from_ms * 1000000ul, to = to_ms * 1000000ul, begin = 0;
    uint32_t random = 1;
    unsigned nr = 0;

    (void)hc_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &area);
    (void)hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    if (hc_evtchn(EVTCHNOP_bind_virq, &timer))
        return;
    port_mask(timer.port, false);
    while (now_ns() < to) {
        struct vcpu_set_singleshot_timer t;
        uint64_t now;

        /* A twentieth of the sleep more or less, so that its wake-ups keep no step with slices. */
        random = random * 1664525 + 1013904223;
        t = (struct vcpu_set_singleshot_timer){.timeout_abs_ns = now_ns() + sleep_us * (950ul + (random >> 16) % 101)};
        events_reset_log();
        if (hc_vcpu_op(VCPUOP_set_singleshot_timer, 0, &t))
            return;
        do {
            (void)events_wait();
            events_mask();
            now = now_ns();
        } while (now < t.timeout_abs_ns);
        if (now >= from) {
            if (!nr)
                begin = ran_at(0, now);
            if (nr < WAITS_MAX)
                waits[nr] = (now - t.timeout_abs_ns) / 1000;
            nr++;
        }
        work(run_us * 1000ul);
    }
    print("MICRO share ran %lu of %lu us\n", (ran_at(0, now_ns()) - begin) / 1000, (to - from) / 1000);
    print_waits("wakes", nr);
}

/* ---- who gives way ---- */

static void yield_until(uint64_t instant)
{
    while (now_ns() < instant)
        for (unsigned i = 0; i < YIELD_LEAD; i++)
            hc_sched_op(SCHEDOP_yield, NULL);
}

void yield_run(unsigned from_ms, unsigned to_ms, unsigned intervals, unsigned times)
{
    struct vcpu_register_runstate_memory_area area = {.addr.v = &copy};
    volatile uint64_t *since = (volatile uint64_t *)&copy.state_entry_time; /* another once it comes back from having been away */
    unsigned away = 0;

    (void)hc_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &area);
    yield_until(from_ms * 1000000ul);
    for (unsigned i = 0; i < intervals; i++) {
        MARK_BEGIN();
        for (unsigned j = 0; j < times; j++) {
            uint64_t before = *since;

            hc_sched_op(SCHEDOP_yield, NULL);
            away += *since != before;
        }
        MARK_END();
    }
    if (intervals)
        print("MICRO yields %u, away %u\n", intervals * times, away);
    yield_until(to_ms * 1000000ul);
}

/* SPDX-License-Identifier: MIT */
/*
 * Units of the trace ring and its reader: layout, contiguous records, sub-buffer ends, full, flight
 * recorder, masks, NMI ring, damage.
 *
 * Runs on the host through the same emitters as the hypervisor (env/trace_env.h: a clock that
 * counts its readings).
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "trace/reader.h"
#include "trace/relay.h"
#include "trace/trace.h"

struct test_machine test_machine;

#define REGION (256 * 1024)
static _Alignas(4096) uint8_t region[REGION];

static void start(uint32_t mode, uint64_t size)
{
    struct trace_config config = {
        .nr_cpus = 2, .mode = mode, .sub_size = TRACE_PAGE, .mask = TRACE_CLASSES_ALL,
        .classes = TRACE_CLASSES, .tsc_hz = 1, .build_id = "test", .build_id_size = 4,
    };

    memset(&test_machine, 0, sizeof(test_machine));
    memset(region, 0xa5, sizeof(region));
    cr_assert_eq(trace_region_init(region, size, &config), 0);
    for (uint32_t cpu = 0; cpu < 2; cpu++) {
        cr_assert_eq(trace_ring_attach(&test_machine.ring[cpu], region, cpu, TRACE_RING_NORMAL, ~0u), 0);
        cr_assert_eq(trace_ring_attach(&test_machine.nmi_ring[cpu], region, cpu, TRACE_RING_NMI, ~0u), 0);
    }
}

/* Read the region as a reader would: from a file. */
static struct trace_log *read_back(size_t size)
{
    char path[] = "/tmp/ring_testXXXXXX";
    const int fd = mkstemp(path);
    struct trace_log *log;

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, region, size), (ssize_t)size);
    close(fd);
    log = trace_log_open(path);
    unlink(path);
    return log;
}

static struct trace_ring_head *shared(uint32_t cpu)
{
    return test_machine.ring[cpu].shared;
}

/*
 * Every record of a stream is the wake-up of vCPU number 0, 1, 2... from `first` on, in the order
 * of time.
 */
static void expect_wakes(const struct trace_stream *stream, uint64_t first, uint64_t nr)
{
    cr_assert_eq(stream->nr_items, nr);
    for (uint64_t i = 0; i < nr; i++) {
        const struct trace_record_sched_wake *wake = (const void *)stream->items[i].record;

        cr_assert_str_eq(stream->items[i].event->name, "sched_wake");
        cr_assert_eq(wake->domid, (uint16_t)(first + i));
        cr_assert(i == 0 || stream->items[i - 1].time < stream->items[i].time);
    }
}

Test(trace_ring, zero_ring_records_nothing)
{
    struct trace_ring ring = { 0 };

    TRACE_ON_sched_wake(&ring, 1, 2, 3, 0, 0);
    cr_assert_eq(ring.pos, 0);
}

Test(trace_ring, too_small_a_region_is_refused_untouched)
{
    struct trace_config config = { .nr_cpus = 2, .sub_size = TRACE_PAGE, .build_id = "", };

    memset(region, 0xa5, sizeof(region));
    cr_assert_eq(trace_region_init(region, 16 * 1024, &config), -1);
    config.nr_cpus = 0;
    cr_assert_eq(trace_region_init(region, REGION, &config), -1);
    config.nr_cpus = 1;
    config.sub_size = 5000;
    cr_assert_eq(trace_region_init(region, REGION, &config), -1);
    for (size_t i = 0; i < sizeof(region); i++)
        cr_assert_eq(region[i], 0xa5);
}

Test(trace_ring, attach_refuses_what_is_not_there)
{
    struct trace_ring ring = { 0 };

    start(TRACE_RECORD, REGION);
    cr_assert_eq(trace_ring_attach(&ring, region, 2, TRACE_RING_NORMAL, ~0u), -1);
    cr_assert_eq(trace_ring_attach(&ring, region, 0, 7, ~0u), -1);
    cr_assert_eq(ring.mask, 0);
}

Test(trace_ring, records_cross_no_sub_buffer_and_none_is_lost)
{
    struct trace_log *log;

    start(TRACE_RECORD, REGION);
    for (int i = 0; i < 1000; i++)
        TRACE_sched_wake(i, 0, 0, 0, 0);
    log = read_back(REGION);
    cr_assert_not_null(log);
    cr_assert_eq(log->lost, 0);
    expect_wakes(&log->streams[0], 0, 1000);
    for (size_t i = 0; i < 1000; i++) {
        const uint64_t offset = log->streams[0].items[i].record - (uint8_t *)log->map;

        cr_assert_eq(offset % 8, 0);
        cr_assert_eq(offset / TRACE_PAGE, (offset + sizeof(struct trace_record_sched_wake) - 1) / TRACE_PAGE);
    }
    trace_log_close(log);
}

Test(trace_ring, slack_at_the_end_of_a_sub_buffer_is_skipped)
{
    const uint64_t room = TRACE_PAGE - sizeof(struct trace_sub_head);
    const uint64_t size = sizeof(struct trace_record_hypercall);
    struct trace_sub_head *sub;

    start(TRACE_RECORD, REGION);
    cr_assert_neq(room % size, 0, "choose another event: this one leaves no slack");
    for (uint64_t i = 0; i <= room / size; i++)
        TRACE_hypercall(TRACE_START(HYPERCALL), 0, 0, TRACE_HC_DONE, i, 0, 0, 0, 0);
    sub = (struct trace_sub_head *)(region + shared(0)->offset);
    cr_assert_eq(sub->used, sizeof(*sub) + room / size * size);
    cr_assert_eq(shared(0)->head, TRACE_PAGE + sizeof(*sub) + size);
}

Test(trace_ring, full_ring_keeps_the_oldest_and_counts_the_rest)
{
    struct trace_log *log;
    uint64_t kept;

    start(TRACE_RECORD, REGION);
    kept = shared(0)->size / TRACE_PAGE *
           ((TRACE_PAGE - sizeof(struct trace_sub_head)) / sizeof(struct trace_record_sched_wake));
    for (uint64_t i = 0; i < kept + 123; i++)
        TRACE_sched_wake(i, 0, 0, 0, 0);
    cr_assert_eq(shared(0)->lost, 123);
    TRACE_sched_yield(1, 1); /* a smaller one that would fit must not come after a gap */
    log = read_back(REGION);
    cr_assert_not_null(log);
    cr_assert_eq(log->lost, 124);
    expect_wakes(&log->streams[0], 0, kept);
    trace_log_close(log);
}

Test(trace_ring, flight_recorder_overwrites_whole_sub_buffers)
{
    const uint64_t in_sub = (TRACE_PAGE - sizeof(struct trace_sub_head)) / sizeof(struct trace_record_sched_wake);
    struct trace_log *log;
    uint64_t subs, kept;

    start(TRACE_FLIGHT, REGION);
    subs = shared(0)->size / TRACE_PAGE;
    for (uint64_t i = 0; i < 3 * subs * in_sub + 5; i++)
        TRACE_sched_wake(i, 0, 0, 0, 0);
    log = read_back(REGION);
    cr_assert_not_null(log);
    kept = (subs - 1) * in_sub + 5;
    cr_assert_eq(log->lost, 0);
    cr_assert_eq(log->streams[0].overwritten, 2 * subs + 1);
    expect_wakes(&log->streams[0], 3 * subs * in_sub + 5 - kept, kept);
    trace_log_close(log);
}

Test(trace_ring, mask_is_looked_at_for_each_record)
{
    struct trace_log *log;

    start(TRACE_RECORD, REGION);
    test_machine.ring[0].mask = TRACE_CLASSES_ALL & ~TRACE_CLASS_SCHED;
    TRACE_sched_wake(1, 0, 0, 0, 0);
    TRACE_page_alloc(1, 2, 3);
    test_machine.ring[0].mask = TRACE_CLASS_SCHED;
    TRACE_page_alloc(1, 2, 3);
    TRACE_sched_wake(0, 0, 0, 0, 0);
    log = read_back(REGION);
    cr_assert_not_null(log);
    cr_assert_eq(log->streams[0].nr_items, 2);
    cr_assert_str_eq(log->streams[0].items[0].event->name, "page_alloc");
    cr_assert_str_eq(log->streams[0].items[1].event->name, "sched_wake");
    trace_log_close(log);
}

Test(trace_ring, nmi_has_a_ring_of_its_own)
{
    struct trace_log *log;

    start(TRACE_RECORD, REGION);
    test_machine.cpu = 1;
    TRACE_sched_wake(0, 0, 0, 0, 0);
    TRACE_ON_trap(&test_machine.nmi_ring[1], TRACE_START(EXIT), 7, 0, TRACE_RES_DONE, TRACE_TRAP_NMI, 2, 0, 0);
    log = read_back(REGION);
    cr_assert_not_null(log);
    expect_wakes(&log->streams[1], 0, 1);
    cr_assert_eq(log->streams[3].nr_items, 1);
    cr_assert_eq(log->streams[3].cpu, 1);
    cr_assert_eq(log->streams[3].kind, TRACE_RING_NMI);
    trace_log_close(log);
}

Test(trace_ring, spans_are_sorted_by_their_start_and_merged)
{
    const struct trace_stream *stream;
    const struct trace_item *item;
    struct trace_merge merge;
    struct trace_log *log;
    uint64_t outer, last = 0, seen = 0;

    start(TRACE_RECORD, REGION);
    outer = TRACE_START(HYPERCALL);
    TRACE_sched_wake(0, 0, 0, 0, 0);
    test_machine.cpu = 1;
    TRACE_sched_wake(0, 0, 0, 0, 0);
    test_machine.cpu = 0;
    TRACE_hypercall(outer, 0, 0, TRACE_HC_DONE, 23, 0, 0, 0, 0);
    log = read_back(REGION);
    cr_assert_not_null(log);
    cr_assert_str_eq(log->streams[0].items[0].event->name, "hypercall");
    cr_assert_eq(trace_field_value(&log->streams[0].items[0].event->fields[0], log->streams[0].items[0].record), 3);
    trace_merge_begin(&merge, log);
    while ((item = trace_merge_next(&merge, &stream))) {
        cr_assert_gt(item->time, last);
        last = item->time;
        seen++;
    }
    trace_merge_end(&merge);
    cr_assert_eq(seen, 3);
    trace_log_close(log);
}

/*
 * What the machine does between two looks of the relay: fill a sub-buffer to its last byte, then
 * some.
 */
static bool machine_runs(void *step)
{
    const unsigned now = ++*(unsigned *)step;
    const int nr = now == 1 ? (TRACE_PAGE - sizeof(struct trace_sub_head)) /
                                  sizeof(struct trace_record_sched_wake)
                            : 100;

    if (now == 8) {
        trace_region_finish(region);
        return false;
    }
    for (int i = 0; i < nr; i++)
        TRACE_sched_wake(i, 0, 0, 0, 0);
    return true;
}

static void read_whole(const char *path, uint8_t *bytes, size_t *size)
{
    FILE *in = fopen(path, "rb");

    cr_assert_not_null(in);
    *size = fread(bytes, 1, REGION, in);
    fclose(in);
    unlink(path);
}

Test(trace_ring, live_relay_gives_the_bytes_of_a_late_one)
{
    const struct trace_relay_options live = { .alive = machine_runs, .poll_us = 1,
                                              .context = &(unsigned){ 0 } };
    const struct trace_relay_options late = { 0 };
    static uint8_t live_bytes[REGION], late_bytes[REGION];
    char memory[] = "/tmp/ring_testXXXXXX", path[64];
    const int fd = mkstemp(memory);
    size_t live_size, late_size;

    cr_assert_eq(ftruncate(fd, REGION), 0);
    cr_assert_eq(mmap(region, REGION, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0), region);
    start(TRACE_RECORD, REGION);
    snprintf(path, sizeof(path), "%s.trace", memory);
    cr_assert_eq(trace_relay(memory, path, &live), 0);
    read_whole(path, live_bytes, &live_size);
    cr_assert_eq(trace_relay(memory, path, &late), 0);
    read_whole(path, late_bytes, &late_size);
    unlink(memory);
    cr_assert_eq(*(unsigned *)live.context, 8);
    cr_assert_eq(live_size, late_size);
    cr_assert_eq(memcmp(live_bytes, late_bytes, live_size), 0);
}

/* A held ring of two sub-buffers, drained between the machine's steps, comes out as one that has room for all. */
Test(trace_ring, held_ring_gives_the_bytes_of_a_large_one)
{
    struct trace_relay_options live = { .alive = machine_runs, .poll_us = 1 };
    static uint8_t held_bytes[REGION], large_bytes[REGION];
    char memory[] = "/tmp/ring_testXXXXXX", path[64];
    const struct trace_config least = { .nr_cpus = 2, .sub_size = TRACE_PAGE, .build_id = "" };
    size_t held_size, large_size, size = TRACE_PAGE;
    const int fd = mkstemp(memory);

    cr_assert_eq(ftruncate(fd, REGION), 0);
    cr_assert_eq(mmap(region, REGION, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0), region);
    while (trace_region_init(region, size, &least) < 0)
        size += TRACE_PAGE;
    snprintf(path, sizeof(path), "%s.trace", memory);
    start(TRACE_HELD, size);
    live.context = &(unsigned){ 0 };
    cr_assert_eq(trace_relay(memory, path, &live), 0);
    cr_assert_gt(shared(0)->head, shared(0)->size, "it goes round");
    read_whole(path, held_bytes, &held_size);
    start(TRACE_RECORD, REGION);
    live.context = &(unsigned){ 0 };
    cr_assert_eq(trace_relay(memory, path, &live), 0);
    read_whole(path, large_bytes, &large_size);
    unlink(memory);
    cr_assert_eq(held_size, large_size);
    cr_assert_eq(memcmp(held_bytes, large_bytes, held_size), 0);
}

/* One that nobody drained in time is refused, whatever is left of it. */
Test(trace_ring, held_ring_that_went_on_is_refused)
{
    char memory[] = "/tmp/ring_testXXXXXX", path[64];
    const struct trace_relay_options late = { 0 };
    const int fd = mkstemp(memory);

    start(TRACE_HELD, REGION);
    for (int i = 0; i < 20000; i++)
        TRACE_sched_wake(i, 0, 0, 0, 0);
    cr_assert_eq(write(fd, region, REGION), REGION);
    cr_assert_null(read_back(REGION));
    snprintf(path, sizeof(path), "%s.trace", memory);
    cr_assert_eq(trace_relay(memory, path, &late), -1);
    cr_assert_eq(access(path, F_OK), -1);
    unlink(memory);
}

/*
 * Damage anywhere in a trace gives a refusal or a shorter reading, never a crash (run under the
 * sanitizers too).
 */
Test(trace_ring, damage_is_survived)
{
    uint64_t random = 88172645463325252ull;
    unsigned refused = 0;
    FILE *quiet = freopen("/dev/null", "w", stderr);

    cr_assert_not_null(quiet);
    for (int round = 0; round < 400; round++) {
        struct trace_log *log;
        size_t size = REGION;

        start(round % 2 ? TRACE_RECORD : TRACE_FLIGHT, REGION);
        for (int i = 0; i < 3000; i++)
            TRACE_evtchn_send(i, 0, 1, 2);
        for (int i = 0; i < 8; i++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            region[random % (round % 4 < 2 ? 512 : REGION)] ^= 1u << (random >> 32) % 8;
        }
        if (round % 5 == 0)
            size = random % REGION;
        log = read_back(size);
        refused += !log;
        trace_log_close(log);
    }
    cr_assert_gt(refused, 100);
}

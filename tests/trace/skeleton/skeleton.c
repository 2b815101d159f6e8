/* SPDX-License-Identifier: MIT */
/*
 * An example of new events (trace/events.def in this folder) and of an environment that traces:
 * what the hypervisor does at boot, and one call for each event. Writes the memory file that is its
 * argument; `trace show` decodes it, though it was built without these events.
 */
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "trace/trace.h"

#define REGION (1 << 20)

struct test_machine test_machine;

/*
 * The code under trace: a call is a statement of its own, with one argument per field and no side
 * effect.
 */
static void send(uint64_t address, int32_t price)
{
    const uint64_t start = TRACE_START(EVENT);

    TRACE_parcel_sent(address, price, price > 9 ? TRACE_PARCEL_LARGE : TRACE_PARCEL_SMALL);
    test_machine.time += 40; /* time passes */
    TRACE_parcel_way(start, 3);
}

int main(int argc, char **argv)
{
    const struct trace_config config = {
        .nr_cpus = 1, .mode = TRACE_RECORD, .mask = TRACE_CLASSES_ALL, .classes = TRACE_CLASSES,
        .clock_mode = TRACE_CLOCK_UNTIMED, .build_id = "skeleton", .build_id_size = 8,
    };
    const int fd = argc == 2 ? open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0666) : -1;
    void *region;

    if (fd < 0 || ftruncate(fd, REGION) < 0)
        err(2, "usage: skeleton MEMORY-FILE");
    region = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (region == MAP_FAILED || trace_region_init(region, REGION, &config) < 0 ||
        trace_ring_attach(&test_machine.ring[0], region, 0, TRACE_RING_NORMAL, config.mask) < 0)
        errx(1, "no ring");
    send(0x1234, 5);
    send(0x5678, -12);
    send(0x9abc, 12);
    trace_region_finish(region);
    return 0;
}

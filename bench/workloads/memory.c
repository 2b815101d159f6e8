/* SPDX-License-Identifier: MIT */
/*
 * Page faults and mappings. A fault's interval is the first touches alone: the region is mapped
 * (and shared with a child, where that is what makes the fault) in `prepare` and unmapped in
 * `finish`.
 *
 * Transparent huge pages are turned off for these regions (MADV_NOHUGEPAGE): an operation is one 4
 * KiB page on every platform, and a paravirtualized domain has no larger ones.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workload.h"

#define FILE_PATH   "/tmp/a-file-to-map"
#define ANON_PAGES  2048ul
#define COW_PAGES   2048ul
#define FILE_PAGES  4096ul
#define MMAP_BYTES  (1ul << 20)
#define MMAP_TOUCH  64
#define LARGE_BYTES (64ul << 20)

static unsigned char *region;
static int file = -1;
static pid_t sharer;

static unsigned char *map_anon(unsigned long bytes)
{
    unsigned char *p =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    madvise(p, bytes, MADV_NOHUGEPAGE);
    return p;
}

static void touch(unsigned char *p, unsigned long pages, unsigned char value)
{
    for (unsigned long i = 0; i < pages; i++)
        *(volatile unsigned char *)(p + i * PAGE) = value;
}

static int fault_anon_prepare(void)
{
    region = map_anon(ANON_PAGES * PAGE);
    return region ? 0 : fail("mmap: %m");
}

static int fault_anon_run(unsigned long ops)
{
    touch(region, ops, 1);
    return 0;
}

static void fault_anon_finish(void)
{
    munmap(region, ANON_PAGES * PAGE);
}

const struct workload workload_fault_anon = {
    .name = "fault-anon",
    .suite = "micro",
    .unit = "page written",
    .ops = ANON_PAGES,
    .prepare = fault_anon_prepare,
    .run = fault_anon_run,
    .finish = fault_anon_finish,
};

static int fault_file_setup(uint64_t seed)
{
    static const char page[PAGE];

    file = open(FILE_PATH, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (file < 0)
        return fail("%s: %m", FILE_PATH);
    for (unsigned long i = 0; i < FILE_PAGES; i++)
        if (write(file, page, PAGE) != (ssize_t)PAGE)
            return fail("%s: %m", FILE_PATH);
    return 0;
}

static int fault_file_prepare(void)
{
    region = mmap(NULL, FILE_PAGES * PAGE, PROT_READ, MAP_SHARED, file, 0);
    return region == MAP_FAILED ? fail("mmap: %m") : 0;
}

static int fault_file_run(unsigned long ops)
{
    for (unsigned long i = 0; i < ops; i++)
        (void)*(volatile unsigned char *)(region + i * PAGE);
    return 0;
}

static void fault_file_finish(void)
{
    munmap(region, FILE_PAGES * PAGE);
}

static void fault_file_teardown(void)
{
    close(file);
    unlink(FILE_PATH);
}

const struct workload workload_fault_file = {
    .name = "fault-file",
    .suite = "micro",
    .unit = "page read (the kernel maps 16 a fault)",
    .ops = FILE_PAGES,
    .setup = fault_file_setup,
    .prepare = fault_file_prepare,
    .run = fault_file_run,
    .finish = fault_file_finish,
    .teardown = fault_file_teardown,
};

/* A child that shares every page of `region` and waits to be killed. */
static int share_region(void)
{
    sharer = fork();
    if (sharer < 0)
        return fail("fork: %m");
    if (sharer == 0)
        for (;;)
            pause();
    return 0;
}

static int fault_cow_prepare(void)
{
    region = map_anon(COW_PAGES * PAGE);
    if (!region)
        return fail("mmap: %m");
    if (populate(region, COW_PAGES * PAGE))
        return -1;
    touch(region, COW_PAGES, 1);
    return share_region();
}

static int fault_cow_run(unsigned long ops)
{
    touch(region, ops, 2);
    return 0;
}

static void fault_cow_finish(void)
{
    kill(sharer, SIGKILL);
    waitpid(sharer, NULL, 0);
    munmap(region, COW_PAGES * PAGE);
}

const struct workload workload_fault_cow = {
    .name = "fault-cow",
    .suite = "micro",
    .unit = "shared page written and copied",
    .ops = COW_PAGES,
    .prepare = fault_cow_prepare,
    .run = fault_cow_run,
    .finish = fault_cow_finish,
};

static int mmap_1m_run(unsigned long ops)
{
    while (ops--) {
        unsigned char *p = map_anon(MMAP_BYTES);

        if (!p)
            return fail("mmap: %m");
        for (unsigned long i = 0; i < MMAP_TOUCH; i++)
            *(volatile unsigned char *)(p + i * (MMAP_BYTES / MMAP_TOUCH)) = 1;
        munmap(p, MMAP_BYTES);
    }
    return 0;
}

const struct workload workload_mmap_1m = {
    .name = "mmap-1m",
    .suite = "micro",
    .unit = "mmap of 1 MB, 64 pages written, munmap",
    .ops = 20,
    .run = mmap_1m_run,
};

/* The page protected lies in the middle, so the kernel splits the area and merges it again. */
static int mprotect_setup(uint64_t seed)
{
    region = map_anon(16 * PAGE);
    if (!region)
        return fail("mmap: %m");
    touch(region, 16, 1);
    return 0;
}

static int mprotect_run(unsigned long ops)
{
    while (ops--)
        if (mprotect(region + 8 * PAGE, PAGE, PROT_READ) ||
            mprotect(region + 8 * PAGE, PAGE, PROT_READ | PROT_WRITE))
            return fail("mprotect: %m");
    return 0;
}

static void mprotect_teardown(void)
{
    munmap(region, 16 * PAGE);
}

const struct workload workload_mprotect_pair = {
    .name = "mprotect-pair",
    .suite = "micro",
    .unit = "one page made read-only and writable again",
    .ops = 500,
    .setup = mprotect_setup,
    .run = mprotect_run,
    .teardown = mprotect_teardown,
};

static int munmap64_prepare(void)
{
    region = map_anon(LARGE_BYTES);
    if (!region)
        return fail("mmap: %m");
    if (populate(region, LARGE_BYTES))
        return -1;
    touch(region, LARGE_BYTES / PAGE, 1);
    return 0;
}

static int munmap64_run(unsigned long ops)
{
    return munmap(region, LARGE_BYTES) ? fail("munmap: %m") : 0;
}

const struct workload workload_munmap64 = {
    .name = "munmap64",
    .suite = "micro",
    .unit = "munmap of 64 MB, every page dirty",
    .params = "\"pages\":16384",
    .ops = 1,
    .flags = WORKLOAD_WARM_ONCE,
    .prepare = munmap64_prepare,
    .run = munmap64_run,
};

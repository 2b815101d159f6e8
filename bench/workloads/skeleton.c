/* SPDX-License-Identifier: MIT */
/*
 * Skeleton of a workload. To add one:
 *
 *   1. copy this file, rename `skeleton` throughout, fill in the functions you need and delete the
 * others;
 *   2. add WORKLOAD(yours) to workloads.def and the file to CMakeLists.txt;
 *   3. boot it: `pgn.workloads=yours` (guests/linux/README.md has the line).
 *
 * The head comment of a real one says what an operation is, whom it copies (lmbench, a program, a
 * paper) and what it leaves out. Compiled with the rest, registered nowhere.
 */
#include <fcntl.h>
#include <unistd.h>

#include "workload.h"

static int fd;

/* Once: what is the same under every seed (start a server, make a corpus). */
static int skeleton_open(void)
{
    return access("/tmp", W_OK) ? fail("/tmp: %m") : 0;
}

/* Under every seed: memory allocated here lies elsewhere each time. */
static int skeleton_setup(uint64_t seed)
{
    fd = open("/tmp/skeleton", O_RDWR | O_CREAT | O_TRUNC, 0600);
    return fd < 0 ? fail("/tmp/skeleton: %m") : 0;
}

/* Before every interval, outside the marks: put back what `run` uses up. */
static int skeleton_prepare(void)
{
    return lseek(fd, 0, SEEK_SET) < 0 ? fail("lseek: %m") : 0;
}

/* Between the marks: exactly `ops` operations, all of their effects done before it returns. */
static int skeleton_run(unsigned long ops)
{
    while (ops--)
        if (write(fd, "x", 1) != 1)
            return fail("write: %m");
    return 0;
}

/* After every interval, outside the marks. */
static void skeleton_finish(void)
{
    if (ftruncate(fd, 0))
        fail("ftruncate: %m");
}

static void skeleton_teardown(void)
{
    close(fd);
}

static void skeleton_close(void)
{
    unlink("/tmp/skeleton");
}

const struct workload workload_skeleton = {
    .name = "skeleton",
    .suite = "micro",
    .unit = "write of one byte to tmpfs",
    .params = "\"file\":\"/tmp/skeleton\"",
    .ops = 5000,
    .open = skeleton_open,
    .setup = skeleton_setup,
    .prepare = skeleton_prepare,
    .run = skeleton_run,
    .finish = skeleton_finish,
    .teardown = skeleton_teardown,
    .close = skeleton_close,
};

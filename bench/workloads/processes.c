/* SPDX-License-Identifier: MIT */
/*
 * Processes: fork and exit, exec, a shell (lmbench's lat_proc), and the fork of a parent with 64 MB
 * of dirty pages, the worst case of paravirtualized paging. The parent of the others has 2 MB
 * dirty, as a middling process would.
 */
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workload.h"

#define TRUE_PATH   "/bin/pgn-true" /* nothing.c */
#define SHELL_PATH  "/bin/sh"
#define HEAP_BYTES  (2ul << 20)
#define LARGE_BYTES (64ul << 20)

static unsigned char *heap, *large;

static int reap(pid_t child)
{
    int status;

    if (waitpid(child, &status, 0) != child)
        return fail("waitpid: %m");
    return WIFEXITED(status) && WEXITSTATUS(status) == 0
               ? 0
               : fail("child ended with status %#x", status);
}

static int heap_setup(uint64_t seed)
{
    heap = mmap(NULL, HEAP_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (heap == MAP_FAILED)
        return fail("mmap: %m");
    madvise(heap, HEAP_BYTES, MADV_NOHUGEPAGE);
    for (unsigned long i = 0; i < HEAP_BYTES; i += PAGE)
        heap[i] = 1;
    return 0;
}

static void heap_teardown(void)
{
    munmap(heap, HEAP_BYTES);
}

static int fork_exit_run(unsigned long ops)
{
    while (ops--) {
        pid_t child = fork();

        if (child < 0)
            return fail("fork: %m");
        if (child == 0)
            _exit(0);
        if (reap(child))
            return -1;
    }
    return 0;
}

const struct workload workload_fork_exit = {
    .name = "fork-exit",
    .suite = "micro",
    .unit = "fork, exit, wait",
    .ops = 30,
    .params = "\"dirty_pages\":512",
    .flags = WORKLOAD_DEFERS,
    .setup = heap_setup,
    .run = fork_exit_run,
    .teardown = heap_teardown,
};

static int spawn_loop(unsigned long ops, char *const argv[])
{
    while (ops--) {
        pid_t child = fork();

        if (child < 0)
            return fail("fork: %m");
        if (child == 0) {
            execv(argv[0], argv);
            _exit(127);
        }
        if (reap(child))
            return -1;
    }
    return 0;
}

static int fork_exec_run(unsigned long ops)
{
    char *argv[] = {TRUE_PATH, NULL};

    return spawn_loop(ops, argv);
}

const struct workload workload_fork_exec = {
    .name = "fork-exec",
    .suite = "micro",
    .unit = "fork, exec of a static program, exit, wait",
    .ops = 20,
    .params = "\"dirty_pages\":512",
    .flags = WORKLOAD_DEFERS,
    .setup = heap_setup,
    .run = fork_exec_run,
    .teardown = heap_teardown,
};

static int fork_sh_run(unsigned long ops)
{
    char *argv[] = {SHELL_PATH, "-c", TRUE_PATH "; exit $?", NULL};

    return spawn_loop(ops, argv);
}

const struct workload workload_fork_sh = {
    .name = "fork-sh",
    .suite = "micro",
    .unit = "fork, exec of a shell that runs a static program",
    .ops = 10,
    .params = "\"dirty_pages\":512",
    .flags = WORKLOAD_DEFERS,
    .setup = heap_setup,
    .run = fork_sh_run,
    .teardown = heap_teardown,
};

static void dirty_large(unsigned char value)
{
    for (unsigned long i = 0; i < LARGE_BYTES; i += PAGE)
        *(volatile unsigned char *)(large + i) = value;
}

static int fork64_open(void)
{
    large = mmap(NULL, LARGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (large == MAP_FAILED)
        return fail("mmap of 64 MB: %m");
    return madvise(large, LARGE_BYTES, MADV_NOHUGEPAGE) ? fail("madvise: %m") : 0;
}

/* Every page present, writable and dirty again, whatever the interval before has left */
static int fork64_prepare(void)
{
    if (populate(large, LARGE_BYTES))
        return -1;
    dirty_large(1);
    return 0;
}

static void fork64_close(void)
{
    munmap(large, LARGE_BYTES);
}

const struct workload workload_fork64 = {
    .name = "fork64",
    .suite = "micro",
    .unit = "fork of a parent with 64 MB dirty, exit, wait",
    .params = "\"pages\":16384",
    .ops = 1,
    .flags = WORKLOAD_DEFERS | WORKLOAD_WARM_ONCE,
    .open = fork64_open,
    .prepare = fork64_prepare,
    .run = fork_exit_run,
    .close = fork64_close,
};

/* The child lives until the parent has written every page, so each write copies. */
static int fork64_touch_run(unsigned long ops)
{
    int go[2];
    char c;
    pid_t child;

    if (pipe(go))
        return fail("pipe: %m");
    child = fork();
    if (child < 0)
        return fail("fork: %m");
    if (child == 0) {
        close(go[1]);
        _exit(read(go[0], &c, 1) == 0 ? 0 : 1);
    }
    close(go[0]);
    dirty_large(2);
    close(go[1]);
    return reap(child);
}

const struct workload workload_fork64_touch = {
    .name = "fork64-touch",
    .suite = "micro",
    .unit = "as fork64, the parent writes every page before the exit",
    .params = "\"pages\":16384",
    .ops = 1,
    .flags = WORKLOAD_DEFERS | WORKLOAD_WARM_ONCE,
    .open = fork64_open,
    .prepare = fork64_prepare,
    .run = fork64_touch_run,
    .close = fork64_close,
};

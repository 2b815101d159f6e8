/* SPDX-License-Identifier: MIT */
/*
 * One system call an operation, as lmbench's lat_syscall and lat_select (McVoy, Staelin, USENIX
 * 1996) choose them. Calls go through syscall() or glibc's thin wrappers: the few user instructions
 * are the same on every platform.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "workload.h"

#define STAT_PATH    "/tmp/a-file-to-stat"
#define SELECT_PAIRS 100

static int fd = -1;
static int select_fd[SELECT_PAIRS], select_peer[SELECT_PAIRS], select_max;
static fd_set select_set;

static int getppid_run(unsigned long ops)
{
    while (ops--)
        syscall(SYS_getppid);
    return 0;
}

const struct workload workload_getppid = {
    .name = "getppid",
    .suite = "micro",
    .unit = "call",
    .ops = 20000,
    .flags = WORKLOAD_WARM_ONCE,
    .run = getppid_run,
};

static int open_device(const char *path, int flags)
{
    fd = open(path, flags);
    return fd < 0 ? fail("%s: %m", path) : 0;
}

static void close_fd(void)
{
    close(fd);
}

static int read_zero_setup(uint64_t seed)
{
    return open_device("/dev/zero", O_RDONLY);
}

static int read_zero_run(unsigned long ops)
{
    char c;

    while (ops--)
        if (read(fd, &c, 1) != 1)
            return fail("read /dev/zero: %m");
    return 0;
}

const struct workload workload_read_zero = {
    .name = "read-zero",
    .suite = "micro",
    .unit = "read of one byte",
    .ops = 10000,
    .flags = WORKLOAD_WARM_ONCE,
    .setup = read_zero_setup,
    .run = read_zero_run,
    .teardown = close_fd,
};

static int write_null_setup(uint64_t seed)
{
    return open_device("/dev/null", O_WRONLY);
}

static int write_null_run(unsigned long ops)
{
    while (ops--)
        if (write(fd, "x", 1) != 1)
            return fail("write /dev/null: %m");
    return 0;
}

const struct workload workload_write_null = {
    .name = "write-null",
    .suite = "micro",
    .unit = "write of one byte",
    .ops = 10000,
    .flags = WORKLOAD_WARM_ONCE,
    .setup = write_null_setup,
    .run = write_null_run,
    .teardown = close_fd,
};

/* An open file on tmpfs that the file calls below name or hold */
static int file_setup(uint64_t seed)
{
    fd = open(STAT_PATH, O_RDWR | O_CREAT | O_TRUNC, 0644);
    return fd < 0 ? fail("%s: %m", STAT_PATH) : 0;
}

static void file_teardown(void)
{
    close(fd);
    unlink(STAT_PATH);
}

static int stat_run(unsigned long ops)
{
    struct stat st;

    while (ops--)
        if (stat(STAT_PATH, &st))
            return fail("stat: %m");
    return 0;
}

const struct workload workload_stat = {
    .name = "stat",
    .suite = "micro",
    .unit = "call",
    .ops = 2000,
    .flags = WORKLOAD_WARM_ONCE,
    .setup = file_setup,
    .run = stat_run,
    .teardown = file_teardown,
};

static int fstat_run(unsigned long ops)
{
    struct stat st;

    while (ops--)
        if (fstat(fd, &st))
            return fail("fstat: %m");
    return 0;
}

const struct workload workload_fstat = {
    .name = "fstat",
    .suite = "micro",
    .unit = "call",
    .ops = 5000,
    .flags = WORKLOAD_WARM_ONCE,
    .setup = file_setup,
    .run = fstat_run,
    .teardown = file_teardown,
};

static int open_close_run(unsigned long ops)
{
    while (ops--) {
        int f = open(STAT_PATH, O_RDONLY);

        if (f < 0)
            return fail("open: %m");
        close(f);
    }
    return 0;
}

const struct workload workload_open_close = {
    .name = "open-close",
    .suite = "micro",
    .unit = "open and close",
    .ops = 1000,
    .flags = WORKLOAD_WARM_ONCE,
    .setup = file_setup,
    .run = open_close_run,
    .teardown = file_teardown,
};

static int select_setup(uint64_t seed)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof(at)) || listen(listener, 8) ||
        getsockname(listener, (struct sockaddr *)&at, &len))
        return fail("listening socket: %m");

    FD_ZERO(&select_set);
    select_max = 0;
    for (int i = 0; i < SELECT_PAIRS; i++) {
        select_fd[i] = socket(AF_INET, SOCK_STREAM, 0);
        if (select_fd[i] < 0 || connect(select_fd[i], (struct sockaddr *)&at, sizeof(at)))
            return fail("connection %d: %m", i);
        select_peer[i] = accept(listener, NULL, NULL);
        if (select_peer[i] < 0)
            return fail("accept %d: %m", i);
        FD_SET(select_fd[i], &select_set);
        if (select_fd[i] >= select_max)
            select_max = select_fd[i] + 1;
    }
    close(listener);
    return 0;
}

static int select_run(unsigned long ops)
{
    while (ops--) {
        struct timeval now = {0, 0};
        fd_set set = select_set;

        if (select(select_max, &set, NULL, NULL, &now) != 0)
            return fail("select: %m");
    }
    return 0;
}

static void select_teardown(void)
{
    for (int i = 0; i < SELECT_PAIRS; i++) {
        close(select_fd[i]);
        close(select_peer[i]);
    }
}

const struct workload workload_select_100tcp = {
    .name = "select-100tcp",
    .suite = "micro",
    .unit = "call, 100 idle connections",
    .ops = 200,
    .flags = WORKLOAD_WARM_ONCE,
    .setup = select_setup,
    .run = select_run,
    .teardown = select_teardown,
};

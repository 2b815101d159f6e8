/* SPDX-License-Identifier: MIT */
/*
 * Control passes between processes on one processor: a token in a ring of pipes (lmbench's lat_ctx,
 * but raw: the pipe operations are part of the hop), and one-byte round trips over a pipe, a unix
 * socket and loopback TCP.
 *
 * The other processes are started in `setup`; each ends when its input reaches end of file. All run under
 * SCHED_BATCH: else the scheduler preempts whoever wakes another until run times have evened out after the
 * pause, which takes some 20 ms and costs a hop up to a fifth more. A short lead brings caches of the
 * kernel's allocators back.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workload.h"

#define RING_MAX  8
/* Hops or round trips before each interval: about 2 ms of each, natively. */
#define LEAD_HOPS 304 /* whole rounds of every ring, or its last process would wait for a token that never comes */
#define LEAD_PIPE 150
#define LEAD_UNIX 120
#define LEAD_TCP  70

_Static_assert(LEAD_HOPS % RING_MAX == 0, "whole rounds");

static int ring_in, ring_out;
static int echo_in, echo_out;
static unsigned ring_size;
static unsigned long work_bytes;
static uint64_t work_area[16384 / sizeof(uint64_t)];

/* Reads and writes the whole area, as a process with that much live data would. */
static void work(void)
{
    for (unsigned long i = 0; i < work_bytes / sizeof(work_area[0]); i++)
        work_area[i] += i;
}

static _Noreturn void ring_member(int in, int out)
{
    char token;

    while (read(in, &token, 1) == 1) {
        work();
        if (write(out, &token, 1) != 1)
            _exit(1);
    }
    _exit(0);
}

/* No process preempts the one that wakes it from here on, and those forked do not either: each switch is that of a
 * process that waits. */
static int switch_in_turn(void)
{
    const struct sched_param none = {0};

    return sched_setscheduler(0, SCHED_BATCH, &none) ? fail("sched_setscheduler: %m") : 0;
}

/* size processes, this one among them, joined by size pipes */
static int ring_setup(unsigned size, unsigned long bytes)
{
    int pipes[RING_MAX][2];

    ring_size = size;
    work_bytes = bytes;
    if (switch_in_turn())
        return -1;
    for (unsigned i = 0; i < size; i++)
        if (pipe(pipes[i]))
            return fail("pipe: %m");

    for (unsigned i = 1; i < size; i++) {
        pid_t child = fork();

        if (child < 0)
            return fail("fork: %m");
        if (child)
            continue;
        for (unsigned j = 0; j < size; j++) {
            if (j != i - 1)
                close(pipes[j][0]);
            if (j != i)
                close(pipes[j][1]);
        }
        ring_member(pipes[i - 1][0], pipes[i][1]);
    }
    ring_out = pipes[0][1];
    ring_in = pipes[size - 1][0];
    for (unsigned j = 0; j < size; j++) {
        if (pipes[j][0] != ring_in)
            close(pipes[j][0]);
        if (pipes[j][1] != ring_out)
            close(pipes[j][1]);
    }
    return 0;
}

/* ops counts hops: one turn of the ring has as many as processes */
static int ring_run(unsigned long ops)
{
    char token = 't';

    for (; ops; ops -= ring_size) {
        work();
        if (write(ring_out, &token, 1) != 1 || read(ring_in, &token, 1) != 1)
            return fail("ring: %m");
    }
    return 0;
}

static void reap_all(void)
{
    while (wait(NULL) > 0)
        ;
}

static void ring_teardown(void)
{
    close(ring_out);
    reap_all();
    close(ring_in);
}

static int ctx_2p_0k_setup(uint64_t seed)
{
    return ring_setup(2, 0);
}

static int ctx_2p_16k_setup(uint64_t seed)
{
    return ring_setup(2, sizeof(work_area));
}

static int ctx_8p_16k_setup(uint64_t seed)
{
    return ring_setup(8, sizeof(work_area));
}

const struct workload workload_ctx_2p_0k = {
    .name = "ctx-2p-0k",
    .suite = "micro",
    .unit = "hop, 2 processes without data",
    .ops = 1000,
    .lead = LEAD_HOPS,
    .flags = WORKLOAD_WARM_ONCE,
    .setup = ctx_2p_0k_setup,
    .run = ring_run,
    .teardown = ring_teardown,
};

const struct workload workload_ctx_2p_16k = {
    .name = "ctx-2p-16k",
    .suite = "micro",
    .unit = "hop, 2 processes with 16 KB",
    .ops = 800,
    .lead = LEAD_HOPS,
    .flags = WORKLOAD_WARM_ONCE,
    .setup = ctx_2p_16k_setup,
    .run = ring_run,
    .teardown = ring_teardown,
};

const struct workload workload_ctx_8p_16k = {
    .name = "ctx-8p-16k",
    .suite = "micro",
    .unit = "hop, 8 processes with 16 KB",
    .ops = 800,
    .lead = LEAD_HOPS,
    .flags = WORKLOAD_WARM_ONCE,
    .setup = ctx_8p_16k_setup,
    .run = ring_run,
    .teardown = ring_teardown,
};

static _Noreturn void echo_server(int in, int out)
{
    char c;

    while (read(in, &c, 1) == 1)
        if (write(out, &c, 1) != 1)
            _exit(1);
    _exit(0);
}

static int echo_run(unsigned long ops)
{
    char c = 'e';

    while (ops--)
        if (write(echo_out, &c, 1) != 1 || read(echo_in, &c, 1) != 1)
            return fail("round trip: %m");
    return 0;
}

static void echo_teardown(void)
{
    close(echo_out);
    if (echo_in != echo_out)
        close(echo_in);
    reap_all();
}

static int pipe_setup(uint64_t seed)
{
    int there[2], back[2];
    pid_t child;

    if (switch_in_turn())
        return -1;
    if (pipe(there) || pipe(back))
        return fail("pipe: %m");
    child = fork();
    if (child < 0)
        return fail("fork: %m");
    if (child == 0) {
        close(there[1]);
        close(back[0]);
        echo_server(there[0], back[1]);
    }
    close(there[0]);
    close(back[1]);
    echo_out = there[1];
    echo_in = back[0];
    return 0;
}

const struct workload workload_pipe_rtt = {
    .name = "pipe-rtt",
    .suite = "micro",
    .unit = "round trip of one byte, two pipes",
    .ops = 500,
    .lead = LEAD_PIPE,
    .flags = WORKLOAD_WARM_ONCE,
    .setup = pipe_setup,
    .run = echo_run,
    .teardown = echo_teardown,
};

static int unix_setup(uint64_t seed)
{
    int pair[2];
    pid_t child;

    if (switch_in_turn())
        return -1;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
        return fail("socketpair: %m");
    child = fork();
    if (child < 0)
        return fail("fork: %m");
    if (child == 0) {
        close(pair[0]);
        echo_server(pair[1], pair[1]);
    }
    close(pair[1]);
    echo_in = echo_out = pair[0];
    return 0;
}

const struct workload workload_unix_rtt = {
    .name = "unix-rtt",
    .suite = "micro",
    .unit = "round trip of one byte, unix stream sockets",
    .ops = 400,
    .lead = LEAD_UNIX,
    .flags = WORKLOAD_WARM_ONCE,
    .setup = unix_setup,
    .run = echo_run,
    .teardown = echo_teardown,
};

static int tcp_setup(uint64_t seed)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(at);
    int one = 1;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int conn;
    pid_t child;

    if (switch_in_turn())
        return -1;
    if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof(at)) || listen(listener, 1) ||
        getsockname(listener, (struct sockaddr *)&at, &len))
        return fail("listening socket: %m");
    conn = socket(AF_INET, SOCK_STREAM, 0);
    if (conn < 0 || connect(conn, (struct sockaddr *)&at, sizeof(at)))
        return fail("connect: %m");
    setsockopt(conn, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));

    child = fork();
    if (child < 0)
        return fail("fork: %m");
    if (child == 0) {
        int peer;

        close(conn);
        peer = accept(listener, NULL, NULL);
        close(listener);
        setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        echo_server(peer, peer);
    }
    close(listener);
    echo_in = echo_out = conn;
    return 0;
}

const struct workload workload_tcp_rtt = {
    .name = "tcp-rtt",
    .suite = "micro",
    .unit = "round trip of one byte, loopback TCP",
    .ops = 200,
    .lead = LEAD_TCP,
    .flags = WORKLOAD_WARM_ONCE,
    .setup = tcp_setup,
    .run = echo_run,
    .teardown = echo_teardown,
};

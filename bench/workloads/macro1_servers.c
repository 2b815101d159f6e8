/* SPDX-License-Identifier: MIT */
/*
 * Suite macro-1, servers under a load over loopback TCP: PostgreSQL under pgbench, nginx under a
 * request loop of our own, Redis under redis-benchmark. The server starts in `open` and lives
 * through all seeds; an interval is a fixed number of requests. The suite is frozen: see
 * macro1_tools.c.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "macro1.h"
#include "program.h"
#include "workload.h"

#define PG_BIN     "/usr/lib/postgresql/15/bin/"
#define PG_DATA    "/tmp/pgdata"
#define PG_UID     101
#define PG_PORT    5432
#define WEB_PORT   8080
#define WEB_ROOT   "/tmp/www"
#define WEB_BUFFER (1 << 17)
#define REDIS_PORT 6379

static pid_t server = -1;

static int start(const char *const argv[], uid_t uid, unsigned short port)
{
    struct program p = {.argv = argv, .uid = uid};

    server = program_start(&p);
    return server < 0 ? -1 : program_wait_port(server, port);
}

static int pgbench(const char *script, const char *transactions)
{
    const char *argv[] = {PG_BIN "pgbench",
                          "-n",
                          "-h",
                          "127.0.0.1",
                          "-p",
                          MACRO1_STR(PG_PORT),
                          "-U",
                          "postgres",
                          "-c",
                          "1",
                          "-j",
                          "1",
                          "-t",
                          transactions,
                          "--random-seed=1",
                          "-f",
                          script,
                          "postgres",
                          NULL};
    struct program p = {.argv = argv, .output = "/tmp/pgbench.out"};

    return program_run(&p);
}

static int postgres_open(void)
{
    static const char *const initdb[] = {PG_BIN "initdb",     "-D", PG_DATA,     "-U",
                                         "postgres",          "-A", "trust",     "-N",
                                         "--locale=C",        "-E", "SQL_ASCII", "--wal-segsize=1",
                                         "--no-instructions", NULL};
    static const char *const serve[] = {PG_BIN "postgres",
                                        "-D",
                                        PG_DATA,
                                        "-c",
                                        "listen_addresses=127.0.0.1",
                                        "-c",
                                        "unix_socket_directories=",
                                        "-c",
                                        "shared_buffers=16MB",
                                        "-c",
                                        "autovacuum=off",
                                        "-c",
                                        "jit=off",
                                        "-c",
                                        "checkpoint_timeout=1d",
                                        "-c",
                                        "max_wal_size=512MB",
                                        NULL};
    struct program init = {.argv = initdb, .output = "/tmp/initdb.out", .uid = PG_UID};

    setenv("LD_PRELOAD", "/usr/lib/parangon/icunone.so", 1);
    if (program_run(&init))
        return -1;
    unsetenv("LD_PRELOAD");
    if (start(serve, PG_UID, PG_PORT))
        return -1;
    return pgbench("/usr/share/parangon/tpcb-tables.sql", "1");
}

static int postgres_run(unsigned long ops)
{
    char transactions[32];

    snprintf(transactions, sizeof(transactions), "%lu", ops);
    return pgbench("/usr/share/parangon/tpcb.sql", transactions);
}

static void postgres_close(void)
{
    program_stop(server, SIGINT);
}

const struct workload workload_postgres = {
    .name = "postgres",
    .suite = "macro-1",
    .unit = "transaction of TPC-B's kind",
    .ops = MACRO1_PGBENCH_TRANSACTIONS,
    .params = "\"clients\":1,\"accounts\":10000",
    .flags = WORKLOAD_DEFERS | WORKLOAD_WARM_ONCE,
    .open = postgres_open,
    .run = postgres_run,
    .close = postgres_close,
};

/* Pages of several sizes, as a site has: asked for in turn */
static const unsigned web_page[] = {400, 2000, 700, 12000, 1500, 40000, 900, 5000};

#define WEB_PAGES (sizeof(web_page) / sizeof(web_page[0]))

static int web_open(void)
{
    static const char *const nginx[] = {
        "/usr/sbin/nginx", "-c", "/usr/share/parangon/nginx.conf", "-g", "daemon off;", NULL};
    static const char text[] = "A line of a page that a web server hands out.\n";

    if (mkdir(WEB_ROOT, 0755))
        return fail(WEB_ROOT ": %m");
    for (unsigned i = 0; i < WEB_PAGES; i++) {
        char path[64];
        FILE *f;

        snprintf(path, sizeof(path), WEB_ROOT "/%u.txt", i);
        f = fopen(path, "w");
        if (!f)
            return fail("%s: %m", path);
        for (unsigned n = 0; n < web_page[i]; n++)
            putc(text[n % (sizeof(text) - 1)], f);
        fclose(f);
    }
    return start(nginx, 0, WEB_PORT);
}

/* One request, and its answer read to the last byte; -1 with fail() when it is not the page. */
static int web_request(int fd, unsigned page, int last)
{
    static char buffer[WEB_BUFFER];
    size_t got = 0, want = 0;
    int n = snprintf(buffer, sizeof(buffer),
                     "GET /%u.txt HTTP/1.1\r\nHost: guest\r\nUser-Agent: parangon\r\n%s\r\n", page,
                     last ? "Connection: close\r\n" : "");

    if (write(fd, buffer, (size_t)n) != n)
        return fail("request: %m");
    while (!want || got < want) {
        ssize_t r = read(fd, buffer + got, sizeof(buffer) - 1 - got);
        char *body;

        if (r <= 0)
            return fail("answer ends after %zu bytes of %zu", got, want);
        got += (size_t)r;
        buffer[got] = 0;
        body = want ? NULL : strstr(buffer, "\r\n\r\n");
        if (body)
            want = (size_t)(body + 4 - buffer) + web_page[page];
    }
    return strncmp(buffer, "HTTP/1.1 200 ", 13) ? fail("answer is %.30s", buffer) : 0;
}

static int web_run(unsigned long ops)
{
    int fd = -1;

    for (unsigned long i = 0; i < ops; i++) {
        unsigned turn = i % MACRO1_WEB_PER_CONNECTION;

        if (turn == 0)
            fd = program_connect(WEB_PORT);
        if (fd < 0)
            return fail("connect: %m");
        if (web_request(fd, (unsigned)(i % WEB_PAGES), turn == MACRO1_WEB_PER_CONNECTION - 1))
            return -1;
        if (turn == MACRO1_WEB_PER_CONNECTION - 1)
            close(fd);
    }
    return 0;
}

static void web_close(void)
{
    program_stop(server, SIGTERM);
}

const struct workload workload_nginx = {
    .name = "nginx",
    .suite = "macro-1",
    .unit = "request",
    .ops = MACRO1_WEB_REQUESTS,
    .params = "\"requests_per_connection\":" MACRO1_STR(MACRO1_WEB_PER_CONNECTION) ",\"pages\":8",
    .flags = WORKLOAD_DEFERS | WORKLOAD_WARM_ONCE,
    .open = web_open,
    .run = web_run,
    .close = web_close,
};

static int redis_open(void)
{
    static const char *const redis[] = {"/usr/bin/redis-server",
                                        "--port",
                                        MACRO1_STR(REDIS_PORT),
                                        "--bind",
                                        "127.0.0.1",
                                        "--save",
                                        "",
                                        "--appendonly",
                                        "no",
                                        "--dir",
                                        "/tmp",
                                        NULL};

    return start(redis, 0, REDIS_PORT);
}

static int redis_run(unsigned long ops)
{
    static const char *const argv[] = {"/usr/bin/redis-benchmark",
                                       "-h",
                                       "127.0.0.1",
                                       "-p",
                                       MACRO1_STR(REDIS_PORT),
                                       "-n",
                                       MACRO1_STR(MACRO1_REDIS_REQUESTS),
                                       "-c",
                                       "8",
                                       "-d",
                                       "64",
                                       "-t",
                                       "set,get,incr,lpush,lpop,zadd",
                                       "--csv",
                                       NULL};
    struct program p = {.argv = argv, .output = "/tmp/redis.out"};

    return program_run(&p);
}

static void redis_close(void)
{
    program_stop(server, SIGTERM);
}

const struct workload workload_redis = {
    .name = "redis",
    .suite = "macro-1",
    .unit = "request (6 commands in turn)",
    .ops = 6 * MACRO1_REDIS_REQUESTS,
    .params = "\"clients\":8,\"commands\":\"set,get,incr,lpush,lpop,zadd\",\"value_bytes\":64",
    .flags = WORKLOAD_DEFERS | WORKLOAD_WARM_ONCE,
    .open = redis_open,
    .run = redis_run,
    .close = redis_close,
};

/* SPDX-License-Identifier: MIT */
/*
 * Suite macro-1, the programs that run to an end: gzip, xz, gcc, a shell script, SQLite, dbench,
 * Python. One operation is one run of the program, process creation and exit included. Files lie on
 * tmpfs; nothing touches a device.
 *
 * The suite is frozen: what it runs, on what and how often is written down in
 * guests/linux/macro-1.json, and a test compares. A change here makes another suite.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "macro1.h"
#include "program.h"
#include "workload.h"

#define CORPUS    "/usr/share/parangon/corpus.txt"
#define PART      "/usr/share/parangon/corpus-part.txt"
#define C_SOURCE  "/usr/share/doc/zlib1g-dev/examples/gun.c"
#define SQL_PATH  "/tmp/mix.sql"
#define SQL_DB    "/tmp/mix.db"
#define LOAD_FROM "/usr/share/parangon/client.txt"
#define LOAD_PATH "/tmp/client.txt"
#define LOAD_DIR  "/tmp/dbench"

static int run_program(unsigned long ops, const char *const argv[], const char *input,
                       const char *output)
{
    struct program p = {.argv = argv, .input = input, .output = output};

    while (ops--)
        if (program_run(&p))
            return -1;
    return 0;
}

static int gzip_run(unsigned long ops)
{
    static const char *const argv[] = {"/bin/gzip", "-6", "-n", "-c", CORPUS, NULL};

    return run_program(ops, argv, NULL, "/tmp/corpus.gz");
}

const struct workload workload_gzip = {
    .name = "gzip",
    .suite = "macro-1",
    .unit = "run",
    .ops = 1,
    .params = "\"level\":6,\"input_bytes\":1100000",
    .flags = WORKLOAD_DEFERS | WORKLOAD_WARM_ONCE,
    .run = gzip_run,
};

static int xz_run(unsigned long ops)
{
    static const char *const argv[] = {
        "/usr/bin/xz", "-" MACRO1_STR(MACRO1_XZ_LEVEL), "-T1", "-c", PART, NULL};

    return run_program(ops, argv, NULL, "/tmp/corpus.xz");
}

const struct workload workload_xz = {
    .name = "xz",
    .suite = "macro-1",
    .unit = "run",
    .ops = 1,
    .params = "\"level\":" MACRO1_STR(MACRO1_XZ_LEVEL) ",\"input_bytes\":630000",
    .flags = WORKLOAD_DEFERS | WORKLOAD_WARM_ONCE,
    .run = xz_run,
};

static int gcc_run(unsigned long ops)
{
    static const char *const argv[] = {
        "/usr/bin/gcc", MACRO1_GCC_OPTION, "-o", "/tmp/gun", C_SOURCE, "-lz", NULL};

    return run_program(ops, argv, NULL, NULL);
}

const struct workload workload_gcc = {
    .name = "gcc",
    .suite = "macro-1",
    .unit = "run: preprocess, compile, assemble, link",
    .ops = 1,
    .params = "\"source\":\"gun.c\",\"option\":\"" MACRO1_GCC_OPTION "\"",
    .flags = WORKLOAD_DEFERS | WORKLOAD_WARM_ONCE,
    .run = gcc_run,
};

static int shell_run(unsigned long ops)
{
    static const char *const argv[] = {"/bin/dash", "/usr/share/parangon/script.sh", CORPUS,
                                       "/tmp/script", NULL};

    return run_program(ops, argv, NULL, "/tmp/script.out");
}

const struct workload workload_shell = {
    .name = "shell",
    .suite = "macro-1",
    .unit = "run",
    .ops = 1,
    .params = "\"shell\":\"dash\"",
    .flags = WORKLOAD_DEFERS | WORKLOAD_WARM_ONCE,
    .run = shell_run,
};

static int python_run(unsigned long ops)
{
    static const char *const argv[] = {"/usr/bin/python3.11", "-I", "-S",
                                       "/usr/share/parangon/collect.py", NULL};

    setenv("PYTHONHASHSEED", "0", 1);
    return run_program(ops, argv, NULL, "/tmp/python.out");
}

const struct workload workload_python = {
    .name = "python",
    .suite = "macro-1",
    .unit = "run",
    .ops = 1,
    .params = "\"hash_seed\":0",
    .flags = WORKLOAD_DEFERS | WORKLOAD_WARM_ONCE,
    .run = python_run,
};

/* A linear congruential generator (Numerical Recipes): the same statements on every machine. */
static unsigned long statement_random(unsigned long range)
{
    static uint32_t state = 1;

    state = state * 1664525u + 1013904223u;
    return (unsigned long)(state >> 8) % range;
}

/* Half reads, half writes, each write a transaction of its own but for one batch. */
static int sqlite_open(void)
{
    FILE *f = fopen(SQL_PATH, "w");

    if (!f)
        return fail(SQL_PATH ": %m");
    fputs("PRAGMA cache_size=200;\n"
          "CREATE TABLE item(id INTEGER PRIMARY KEY, kind INT, name TEXT, note TEXT);\n"
          "CREATE INDEX item_kind ON item(kind);\n"
          "BEGIN;\n",
          f);
    for (unsigned i = 0; i < MACRO1_SQL_ROWS; i++)
        fprintf(f,
                "INSERT INTO item VALUES(%u,%lu,'name-%lu','note %lu about this item and what it "
                "is for');\n",
                i, statement_random(50), statement_random(100000), statement_random(1000000));
    fputs("COMMIT;\n", f);
    for (unsigned i = 0; i < MACRO1_SQL_STATEMENTS; i++) {
        unsigned long id = statement_random(MACRO1_SQL_ROWS);

        switch (i % 8) {
        case 0:
            fprintf(f, "UPDATE item SET note='changed %u' WHERE id=%lu;\n", i, id);
            break;
        case 1:
            fprintf(f, "SELECT name,note FROM item WHERE id=%lu;\n", id);
            break;
        case 2:
            fprintf(f, "SELECT count(*) FROM item WHERE kind=%lu;\n", id % 50);
            break;
        case 3:
            fprintf(f, "INSERT INTO item(kind,name,note) VALUES(%lu,'new-%u','');\n", id % 50, i);
            break;
        case 4:
            fprintf(f, "SELECT id FROM item WHERE kind=%lu ORDER BY name LIMIT 5;\n", id % 50);
            break;
        case 5:
            fprintf(f, "UPDATE item SET kind=%lu WHERE id=%lu;\n", id % 50, id);
            break;
        case 6:
            fprintf(f, "SELECT max(length(note)) FROM item WHERE id BETWEEN %lu AND %lu;\n", id,
                    id + 100);
            break;
        case 7:
            fprintf(f, "DELETE FROM item WHERE id=%lu;\n", id);
            break;
        }
    }
    return fclose(f) ? fail(SQL_PATH ": %m") : 0;
}

static int sqlite_prepare(void)
{
    return unlink(SQL_DB) && errno != ENOENT ? fail(SQL_DB ": %m") : 0;
}

static int sqlite_run(unsigned long ops)
{
    static const char *const argv[] = {"/usr/bin/sqlite3", "-batch", "-bail", SQL_DB, NULL};

    return run_program(ops, argv, SQL_PATH, "/tmp/mix.out");
}

const struct workload workload_sqlite = {
    .name = "sqlite",
    .suite = "macro-1",
    .unit = "run",
    .ops = 1,
    .params = "\"rows\":" MACRO1_STR(MACRO1_SQL_ROWS) ",\"statements\":" MACRO1_STR(
        MACRO1_SQL_STATEMENTS),
    .flags = WORKLOAD_DEFERS | WORKLOAD_WARM_ONCE,
    .open = sqlite_open,
    .prepare = sqlite_prepare,
    .run = sqlite_run,
};

/*
 * dbench repeats its load until a time is over. The load written here is so short that it ends long
 * before, and its last line waits (a time stamp of its format) until dbench has stopped: a fixed
 * amount of work, and idle time.
 */
static int dbench_open(void)
{
    FILE *from = fopen(LOAD_FROM, "r");
    FILE *to = fopen(LOAD_PATH, "w");
    char line[1024];
    unsigned n = 0;

    if (!from || !to)
        return fail(LOAD_FROM " to " LOAD_PATH ": %m");
    while (n < MACRO1_DBENCH_LINES && fgets(line, sizeof(line), from)) {
        fputs(line, to);
        n++;
    }
    fclose(from);
    fprintf(to, "%d.0 Deltree \"\\clients\\client1\" NT_STATUS_OK\n", MACRO1_DBENCH_SECONDS + 2);
    if (fclose(to) || n != MACRO1_DBENCH_LINES)
        return fail(LOAD_PATH ": %u lines written", n);
    return 0;
}

/* An empty folder each time */
static int dbench_prepare(void)
{
    static const char *const argv[] = {"/bin/rm", "-rf", LOAD_DIR, NULL};

    if (run_program(1, argv, NULL, NULL))
        return -1;
    return mkdir(LOAD_DIR, 0755) ? fail(LOAD_DIR ": %m") : 0;
}

static int dbench_run(unsigned long ops)
{
    static const char *const argv[] = {"/usr/bin/dbench",
                                       "-c",
                                       LOAD_PATH,
                                       "-D",
                                       LOAD_DIR,
                                       "-t",
                                       MACRO1_STR(MACRO1_DBENCH_SECONDS),
                                       "1",
                                       NULL};

    return run_program(ops, argv, NULL, "/tmp/dbench.out");
}

const struct workload workload_dbench = {
    .name = "dbench",
    .suite = "macro-1",
    .unit = "run",
    .ops = 1,
    .params = "\"clients\":1,\"load_lines\":" MACRO1_STR(MACRO1_DBENCH_LINES),
    .flags = WORKLOAD_DEFERS | WORKLOAD_WARM_ONCE,
    .open = dbench_open,
    .prepare = dbench_prepare,
    .run = dbench_run,
};

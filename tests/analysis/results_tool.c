/* SPDX-License-Identifier: MIT */
/*
 * A program for the shell tests: the commands of the results room without the rest of the
 * command line, and two of its own, `make OUT.h5 SEEDS GROWTH` (a synthetic run) and `rewrite
 * IN.h5 OUT.h5 KEY VALUE` (the same run with another head).
 */
#include <stdlib.h>
#include <string.h>

#include "synthetic.h"

static int make(int argc, char **argv)
{
    if (argc != 4)
        return STATUS_USAGE;
    struct run *run = synthetic_run(atoi(argv[2]), atoi(argv[3]));
    int error = run_write(run, argv[1]);

    run_free(run);
    return error ? STATUS_INCOMPLETE : STATUS_DONE;
}

static int rewrite(int argc, char **argv)
{
    enum exit_status status = STATUS_USAGE;
    struct run *run = argc == 5 ? run_read(argv[1], &status) : NULL;

    if (!run)
        return status;
    if (!strcmp(argv[3], "mode"))
        run_text(&run->mode, argv[4]);
    if (!strcmp(argv[3], "cpu_model"))
        run_text(&run->cpu_model, argv[4]);
    if (!strcmp(argv[3], "suite_sha256"))
        run_text(&run->suite_sha256, argv[4]);
    if (!strcmp(argv[3], "complete"))
        run->complete = atoi(argv[4]);
    if (!strcmp(argv[3], "samples"))
        run->nr_samples = strtoul(argv[4], NULL, 10);
    status = run_write(run, argv[2]) ? STATUS_INCOMPLETE : STATUS_DONE;
    run_free(run);
    return status;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int, char **);
    } commands[] = {
        {"make", make},         {"rewrite", rewrite},     {"report", cmd_report},
        {"export", cmd_export}, {"compare", cmd_compare}, {"gate", cmd_gate},
    };

    for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
        if (!strcmp(argv[1], commands[i].name))
            return commands[i].run(argc - 1, argv + 1);
    return STATUS_USAGE;
}

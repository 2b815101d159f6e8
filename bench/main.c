/* SPDX-License-Identifier: MIT */
/*
 * The command line: `parangon COMMAND ...`. With no argument, what it can do and what this machine
 * supports.
 */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/results.h"
#include "bench/command.h"
#include "bench/paths.h"
#include "sim/command.h"

struct command {
    const char *name, *args, *what;
    int (*run)(int argc, char **argv);
};

/* Not offered where it is not linked. */
__attribute__((weak)) int cmd_explain(int argc, char **argv);

static const struct command commands[] = {
    {"bench", "[EXPERIMENT]", "measure: run all platforms, print the table, keep the result",
     cmd_bench},
    {"boot", "GUEST --on PLATFORM", "boot one guest, its console on this terminal", cmd_boot},
    {"trace", "record|show|who|export", "record, decode and summarise a trace of the hypervisor",
     cmd_trace},
    {"explain", "OPERATION --on PLATFORMS",
     "the executed path by function, with instruction counts", cmd_explain},
    {"sim", "[EXPERIMENT]", "the scheduler on a simulated machine of up to 1,024 processors", cmd_sim},
    {"shares", "", "shares by weight on the hypervisor, beside the simulator's", cmd_shares},
    {"smt-calibrate", "", "how much threads of a core slow each other down, measured here",
     cmd_smt_calibrate},
    {"compare", "A B", "what changed between two results", cmd_compare},
    {"gate", "A", "fail where the overhead grew over a baseline", cmd_gate},
    {"budget", "UNITS RUN", "predict the hypervisor's shares from causes and unit costs",
     cmd_budget},
    {"rerun", "A", "the same plan again: must give the same counts", cmd_rerun},
    {"report", "FILE...", "tables and figures of results", cmd_report},
    {"export", "FILE", "a result's data for other tools", cmd_export},
    {"list", "", "platforms, experiments, workloads", cmd_list},
    {"doctor", "", "what works on this machine, and why not", cmd_doctor},
    {"inputs", "", "fetch the pinned kernel, Xen and QEMU", cmd_inputs},
    {"test", "[--tier TIER]", "every test the README promises", cmd_test},
};

#define NR_COMMANDS (sizeof commands / sizeof commands[0])

int command_parse(const struct argp *argp, int argc, char **argv, void *input)
{
    argp_err_exit_status = STATUS_USAGE;
    return argp_parse(argp, argc, argv, 0, NULL, input);
}

static error_t parse_none(int key, char *arg, struct argp_state *state)
{
    if (key != ARGP_KEY_ARG)
        return ARGP_ERR_UNKNOWN;
    argp_error(state, "takes no argument");
    return 0;
}

int command_parse_none(const char *doc, int argc, char **argv)
{
    const struct argp argp = {.parser = parse_none, .doc = doc};

    return command_parse(&argp, argc, argv, NULL);
}

static void print_commands(FILE *out)
{
    fprintf(out, "usage: parangon COMMAND ...   (parangon COMMAND --help says more)\n\n");
    for (size_t i = 0; i < NR_COMMANDS; i++) {
        char *head;

        if (!commands[i].run)
            continue;
        head = format("%s %s", commands[i].name, commands[i].args);
        fprintf(out, "  %-34s %s\n", head, commands[i].what);
        free(head);
    }
    fprintf(out, "\nExit status: 0 done, 1 a check failed, 2 usage, 3 not comparable, 4 "
                 "incomplete, 130 interrupted.\n");
}

int main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-?") == 0 ||
        strcmp(argv[1], "help") == 0) {
        printf("Parangon: a hypervisor made to be measured, and the harness that measures it.\n");
        print_commands(stdout);
        printf("\nThis machine\n");
        doctor_summary(stdout);
        return STATUS_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("parangon %s\n", PARANGON_VERSION);
        return STATUS_DONE;
    }
    for (size_t i = 0; i < NR_COMMANDS; i++) {
        int status;

        if (!commands[i].run || strcmp(argv[1], commands[i].name) != 0)
            continue;
        argv[1] = format("parangon %s", commands[i].name);
        program_invocation_name = argv[1];
        program_invocation_short_name = argv[1];
        status = commands[i].run(argc - 1, argv + 1);
        if (fflush(stdout) != 0 || ferror(stdout)) {
            fprintf(stderr, "parangon: the output could not be written: %s\n", strerror(errno));
            return STATUS_INCOMPLETE;
        }
        return status;
    }
    fprintf(stderr, "parangon: no command \"%s\"\n", argv[1]);
    print_commands(stderr);
    return STATUS_USAGE;
}

/* SPDX-License-Identifier: MIT */
/*
 * The commands of the command line. Each is one function in a file of its own, and one line in
 * main.c's table.
 *
 * argv[0] is "parangon COMMAND". They return an exit status (analysis/results.h, run.h): 0 done, 1
 * a check failed, 2 usage, 3 not comparable, 4 incomplete, 130 interrupted. Results go to stdout,
 * all else to stderr; none asks a question.
 */
#ifndef PARANGON_COMMAND_H
#define PARANGON_COMMAND_H

#include <argp.h>

int cmd_bench(int argc, char **argv);
int cmd_boot(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_inputs(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_rerun(int argc, char **argv);
int cmd_shares(int argc, char **argv);
int cmd_test(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_explain(int argc, char **argv); /* bench/explain.c */
/* analysis/ has compare, export, gate and report: analysis/results.h. */

/** What this machine supports, a few lines, for `parangon` alone and for `doctor`. Looks, fetches
 * nothing. */
void doctor_summary(FILE *out);

/** argp_parse() with this project's rules: options in any order, errors end with exit status 2. */
int command_parse(const struct argp *argp, int argc, char **argv, void *input);

/** The same for a command that takes neither option nor argument; `doc` is what --help prints. */
int command_parse_none(const char *doc, int argc, char **argv);

#endif

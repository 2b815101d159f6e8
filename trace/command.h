/* SPDX-License-Identifier: MIT */
/* The command `parangon trace`: record, relay, show, export. */
#ifndef PARANGON_TRACE_COMMAND_H
#define PARANGON_TRACE_COMMAND_H

/**
 * How to run a guest with a trace: given by the harness, since this room knows no guests. argv[0]
 * is "record".
 */
typedef int trace_record_fn(int argc, char **argv);

/**
 * Run one sub-command: argv[0] is "trace".
 *
 * @param record  carries out `trace record`; NULL where there is no harness
 * @return        exit status: 0 done, 1 the trace is damaged or could not be written, 2 usage, 4
 *                done, but records were lost
 */
int trace_command(int argc, char **argv, trace_record_fn *record);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Running the programs of the guest image: to their end, or as servers. For workloads whose
 * interval is a program's run: the marks stay in the process of the runner, which waits.
 */
#ifndef PARANGON_PROGRAM_H
#define PARANGON_PROGRAM_H

#include <sys/types.h>

/* A program and its surroundings. NULL input and output are /dev/null; uid 0 stays root. */
struct program {
    const char *const *argv; /* argv[0] is the path; ends with NULL */
    const char *input, *output;
    uid_t uid;
};

/**
 * Run a program to its end. Its standard error goes to PROGRAM_LOG.
 *
 * @return  0 if it exited with status 0; else -1, with the reason and its last line of error in
 * fail()
 */
int program_run(const struct program *p);

/**
 * Start a server and leave it running, in a process group of its own.
 *
 * @return  its process id, or -1 (fail())
 */
pid_t program_start(const struct program *p);

/**
 * Wait until something listens on a loopback TCP port: tries every 10 ms, up to 60 s.
 *
 * @return  0, or -1 (fail()): nothing listened in time, or the server `pid` has ended
 */
int program_wait_port(pid_t pid, unsigned short port);

/** Stop a server with this signal and wait for its end. */
void program_stop(pid_t pid, int sig);

/** Connect to a loopback TCP port, without delay of small segments; a file descriptor, or -1 with
 * errno. */
int program_connect(unsigned short port);

#define PROGRAM_LOG "/tmp/program.log"

#endif

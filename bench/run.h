/* SPDX-License-Identifier: MIT */
/*
 * The run engine: starts machines in parallel on all cores, watches them, and leaves nothing
 * behind.
 *
 * Each machine is a QEMU in its own process group and its own temporary folder, with its console in
 * console.log there. A machine that says nothing for too long is killed; so are all when the user
 * interrupts; all die with this program. What the console says is for the caller to interpret
 * (join.h). Does not: build command lines (platform.h), know workloads, or keep files after
 * run_boots() but in memory.
 */
#ifndef PARANGON_RUN_H
#define PARANGON_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/words.h"

#define STATUS_INTERRUPTED                                                                         \
    130 /* exit status after Ctrl-C, SIGTERM or SIGHUP: as shells have it                          \
         */

#define BOOT_CONSOLE   "console.log" /* in the folder of a machine, which is its working folder */
#define BOOT_INTERVALS "intervals"   /* the counting plugin's file */
#define BOOT_ENTRIES   "entries"     /* its record of entries into the hypervisor */

#define BOOT_LINKS_MAX 5

enum boot_state { BOOT_WAITS, BOOT_RUNS, BOOT_ENDED };

/** One machine of a run: what to start, and after the run what came of it. */
struct boot {
    char *name;        /* "pv-default-main-micro": unique in the run */
    struct words argv; /* with the names of links, below, where it names a file */
    char *shown;       /* the same as a line for people and records, with full paths */
    double estimate;   /* processor seconds of one core; the longest start first */
    /* Stop it, as it should be, once it has reported so many samples; 0: let it run to its end. */
    unsigned stop_after;
    /* Symbolic links in the machine's folder: what the machine sees of a file's name (a multiboot
     * module's command line begins with it) has the same length wherever the clone lies, so that
     * counts have too. */
    struct {
        char *name, *target;
    } link[BOOT_LINKS_MAX];
    size_t nr_links;

    enum boot_state state;
    char *failure;       /* NULL: it ended as it should; else one line that says what happened */
    char *console;       /* all it said, NUL at the end */
    size_t console_size; /* without the NUL */
    void *intervals;     /* contents of BOOT_INTERVALS; NULL where there is none */
    size_t intervals_size;
    char *entries; /* contents of BOOT_ENTRIES, NUL at the end; NULL where there is none */
    double seconds; /* how long it ran */
    double work;    /* processor seconds it took, of user and system */

    /* The engine's own. */
    int pid;
    char *folder;
    double started, last_word, stop_at;
    double work_at_word; /* processor time used when it said its last word */
    size_t seen, said;   /* bytes of the console looked at, and there */
    unsigned samples;    /* reported so far */
    bool done_line;      /* the guest has said {"ev":"done"} */
    bool killed;
    char activity[64]; /* what it is doing, for the progress line */
};

struct run_limits {
    double silence_seconds; /* kill a machine that says nothing for so long of its own working time,
                             * or so long by the clock without working */
    double total_seconds;   /* or that runs for so long */
    unsigned cores;         /* machines at a time; 0: as many as this process may use */
    bool progress; /* on stderr: one line that changes on a terminal, else a line per event */
};

/** How many cores this process may use. */
unsigned run_cores(void);

/**
 * Run all machines and wait for their ends.
 *
 * A machine is as it should be when its guest has said `done`, or as many samples as it was to stop
 * after, and QEMU has ended with status 0; else boot->failure says why not, the console's tail
 * included. Others go on.
 *
 * @return 0 when all have ended, however; STATUS_INTERRUPTED when the user stopped the run; -1 with
 * a message on stderr when nothing could be started (no temporary folder, full disk). Nothing is
 * left running or on disk.
 */
int run_boots(struct boot *boots, size_t nr, const struct run_limits *limits);

/** Wall-clock estimate for machines on so many cores, longest first, seconds. */
double run_estimate(const struct boot *boots, size_t nr, unsigned cores);

/** Say on stderr what processor time each ended machine took, beside its estimate. */
void run_say_work(const struct boot *boots, size_t nr);

/** Print the failures on stderr, each reason once with the machines that share it. @return how many
 * machines failed */
size_t run_say_failures(const struct boot *boots, size_t nr);

/** Give a machine a file under a name of ours (copied). */
void boot_link(struct boot *boot, const char *name, const char *target);

void boot_free(struct boot *boot);

#endif

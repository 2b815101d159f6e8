/* SPDX-License-Identifier: MIT */
/*
 * What a workload is to the runner (runner.c): a name, the unit of one operation, how many of them
 * make an interval, and the functions that prepare and execute them. A workload is one `struct
 * workload` and one line in workloads.def; skeleton.c is a commented example.
 *
 * A workload runs in a process of its own, started afresh by the runner, so plain static variables
 * are its state. The order of calls, one workload, seeds s1..sK:
 *
 *     open                                  once
 *       setup                               once per seed, after the seeded perturbation is in
 * place prepare, run, finish              warm-up intervals (runner.c states the rule), then
 * measured ones; teardown                            the marks stand around `run` alone close
 *
 * Every function but `run` may be NULL. Each returns 0 or -1; on -1 it has said why through fail().
 */
#ifndef PARANGON_WORKLOAD_H
#define PARANGON_WORKLOAD_H

#include <stdint.h>

#define PAGE 4096ul

enum workload_flags {
    /* Leaves work to the kernel that ends after `run` has returned (RCU callbacks of dead processes
     * and closed sockets): the runner sleeps six ticks before the end mark, so that this work is
     * within. */
    WORKLOAD_DEFERS = 1 << 0,
    /* Not to be warmed up under every seed: warm-up intervals run under the first one only. For what is
     * too long, has a lead of its own, or finds nothing new under another seed (system calls). */
    WORKLOAD_WARM_ONCE = 1 << 1,
};

struct workload {
    const char *name;  /* lower case, dashes */
    const char *suite; /* "micro", or the identity of a frozen suite of programs ("macro-1") */
    const char *unit;  /* what one operation is */
    const char
        *params; /* further facts, the members of a JSON object without its braces; NULL for none */
    unsigned long ops;  /* operations in one interval */
    unsigned long lead; /* operations just before the begin mark of each, to settle what the pause
                           has unsettled */
    unsigned flags;
    int (*open)(void);
    int (*setup)(uint64_t seed);
    int (*prepare)(void);
    int (*run)(unsigned long ops); /* executes exactly `ops` operations */
    void (*finish)(void);
    void (*teardown)(void);
    void (*close)(void);
};

/** Every workload, in the order of workloads.def; ends with NULL. */
extern const struct workload *const workload_table[];

/**
 * Say why a workload cannot go on; the runner prints the text in its error line.
 *
 * @param fmt  as printf; the text of errno is not added (write %m)
 * @return     always -1, so that a function can end with `return fail(...)`
 */
int fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * Every page present, writable and dirty: in one call, since a fault each would cost ten times the processor time of what is
 * measured on them.
 *
 * @return 0; -1 after fail()
 */
int populate(void *p, unsigned long bytes);

#endif

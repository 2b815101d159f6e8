/* SPDX-License-Identifier: MIT */
/*
 * Signals: installing a handler, catching a signal sent to oneself, catching a protection fault
 * (lmbench's lat_sig).
 */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "workload.h"

/* `movb $0, (%rax)` is c6 00 00: the handler steps over it */
#define FAULTING_INSN_BYTES 3

static volatile unsigned long caught;
static unsigned char *read_only;

static void count_signal(int sig)
{
    caught++;
}

static int sig_install_run(unsigned long ops)
{
    struct sigaction act = {.sa_handler = count_signal};

    while (ops--)
        if (sigaction(SIGUSR1, &act, NULL))
            return fail("sigaction: %m");
    return 0;
}

const struct workload workload_sig_install = {
    .name = "sig-install",
    .suite = "micro",
    .unit = "call",
    .ops = 10000,
    .flags = WORKLOAD_WARM_ONCE,
    .run = sig_install_run,
};

static int sig_catch_setup(uint64_t seed)
{
    struct sigaction act = {.sa_handler = count_signal};

    return sigaction(SIGUSR1, &act, NULL) ? fail("sigaction: %m") : 0;
}

static int sig_catch_run(unsigned long ops)
{
    pid_t self = getpid();

    caught = 0;
    for (unsigned long i = 0; i < ops; i++)
        kill(self, SIGUSR1);
    return caught == ops ? 0 : fail("caught %lu signals of %lu", caught, ops);
}

const struct workload workload_sig_catch = {
    .name = "sig-catch",
    .suite = "micro",
    .unit = "signal sent and caught",
    .ops = 2000,
    .flags = WORKLOAD_WARM_ONCE,
    .setup = sig_catch_setup,
    .run = sig_catch_run,
};

static void step_over_store(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;

    caught++;
    uc->uc_mcontext.gregs[REG_RIP] += FAULTING_INSN_BYTES;
}

static int prot_fault_setup(uint64_t seed)
{
    struct sigaction act = {.sa_sigaction = step_over_store, .sa_flags = SA_SIGINFO};

    read_only = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (read_only == MAP_FAILED)
        return fail("mmap: %m");
    *read_only = 1;
    if (mprotect(read_only, PAGE, PROT_READ) || sigaction(SIGSEGV, &act, NULL))
        return fail("read-only page: %m");
    return 0;
}

static int prot_fault_run(unsigned long ops)
{
    caught = 0;
    for (unsigned long i = 0; i < ops; i++)
        __asm__ volatile("movb $0, (%0)" : : "a"(read_only) : "memory");
    return caught == ops ? 0 : fail("caught %lu faults of %lu", caught, ops);
}

static void prot_fault_teardown(void)
{
    signal(SIGSEGV, SIG_DFL);
    munmap(read_only, PAGE);
}

const struct workload workload_prot_fault = {
    .name = "prot-fault",
    .suite = "micro",
    .unit = "store to a read-only page, caught",
    .ops = 2000,
    .flags = WORKLOAD_WARM_ONCE,
    .setup = prot_fault_setup,
    .run = prot_fault_run,
    .teardown = prot_fault_teardown,
};

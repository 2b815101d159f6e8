/* SPDX-License-Identifier: MIT */
/*
 * Counts the instructions that a trace record costs, by executing them one at a time (ptrace), and
 * fails above LIMIT.
 *
 * The emitters are compiled with the hypervisor's options (cost_calls.c). A record's cost is the
 * difference between a function that loads the arguments and records them, and one that only loads
 * them: the test of the mask, the space check, RDTSC (two, of a span: start and end), all stores,
 * the new head, and what registers the function must save for it. "with loads" counts the loading
 * of arguments too, which real calls have mostly at hand. "masked" is what is left where the class
 * is compiled in but masked at run time.
 */
#include <err.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "bench/mark.h"
#include "cost_calls.h"
#include "trace_env.h"

#define LIMIT  40
#define REGION (1 << 20)

/* The first bytes of a mark, and where its kind stands (bench/mark.h). */
#define MARK_BYTES 0x00841f0fu
#define MARK_IS(word, kind)                                                                        \
    ((uint32_t)(word) == MARK_BYTES && (uint64_t)(word) >> 32 == ((uint64_t)MARK_MAGIC << 16 | (kind)))

static uint8_t region[REGION] __attribute__((aligned(4096)));
static struct trace_ring *ring; /* at the base of the aligned stack */
static ucontext_t caller, callee;

static __attribute__((noinline)) void measure(void (*call)(const void *), const void *arguments)
{
    MARK_BEGIN();
    call(arguments);
    MARK_END();
}

/*
 * In the child, on the aligned stack: four intervals for each event (nothing, load, record, record
 * while masked).
 */
enum { NOTHING, LOAD, RECORD, MASKED, INTERVALS };

static void child_body(void)
{
    static const uint8_t arguments[256];

    raise(SIGSTOP);
    for (size_t i = 0; i < nr_cost_calls; i++) {
        measure(cost_calls[i].nothing, arguments);
        measure(cost_calls[i].load, arguments);
        measure(cost_calls[i].record, arguments);
        const uint32_t mask = ring->mask;
        ring->mask = 0;
        measure(cost_calls[i].record, arguments);
        ring->mask = mask;
    }
    _exit(0);
}

static void child(void)
{
    const struct trace_config config = { .nr_cpus = 1, .mask = ~0u, .build_id = "" };
    uint8_t *stack = aligned_alloc(SAMPLE_STACK_SIZE, SAMPLE_STACK_SIZE);

    if (!stack || ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        err(2, "ptrace");
    ring = &((struct sample_pcpu *)stack)->trace;
    if (trace_region_init(region, sizeof(region), &config) < 0 ||
        trace_ring_attach(ring, region, 0, TRACE_RING_NORMAL, ~0u) < 0)
        errx(2, "ring");
    getcontext(&callee);
    callee.uc_stack.ss_sp = stack + sizeof(struct sample_pcpu) + 64;
    callee.uc_stack.ss_size = SAMPLE_STACK_SIZE - sizeof(struct sample_pcpu) - 64;
    callee.uc_link = NULL;
    makecontext(&callee, child_body, 0);
    swapcontext(&caller, &callee);
}

/* Instructions of the next interval of the child. */
static long step_through(pid_t pid)
{
    long count = -1; /* not within an interval */

    for (;;) {
        const long rip = ptrace(PTRACE_PEEKUSER, pid, 8 * 16 /* RIP in struct user_regs_struct */, NULL);
        const long word = ptrace(PTRACE_PEEKTEXT, pid, rip, NULL);
        int status;

        if (MARK_IS(word, MARK_KIND_END))
            return count;
        if (MARK_IS(word, MARK_KIND_BEGIN))
            count = 0;
        else if (count >= 0)
            count++;
        if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) < 0 || waitpid(pid, &status, 0) < 0 ||
            !WIFSTOPPED(status))
            errx(2, "the child ended early");
    }
}

/* Past the END mark at which step_through() stopped. */
static void step_over(pid_t pid)
{
    int status;

    if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) < 0 || waitpid(pid, &status, 0) < 0)
        err(2, "ptrace");
}

int main(void)
{
    const pid_t pid = fork();
    long worst = 0;
    int status;

    if (pid < 0)
        err(2, "fork");
    if (pid == 0)
        child();
    if (waitpid(pid, &status, 0) < 0 || !WIFSTOPPED(status) || WSTOPSIG(status) != SIGSTOP)
        errx(2, "the child cannot be traced here");
    printf("%-20s %6s %13s %11s %7s\n", "event", "bytes", "instructions", "with loads", "masked");
    for (size_t i = 0; i < nr_cost_calls; i++) {
        long count[INTERVALS], cost;

        for (int k = 0; k < INTERVALS; k++) {
            count[k] = step_through(pid);
            step_over(pid);
        }
        cost = count[RECORD] - count[LOAD];
        printf("%-20s %6zu %13ld %11ld %7ld\n", cost_calls[i].name, cost_calls[i].size, cost,
               count[RECORD] - count[NOTHING], count[MASKED] - count[NOTHING]);
        if (cost > worst)
            worst = cost;
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    printf("dearest record: %ld instructions, limit %d\n", worst, LIMIT);
    return worst > LIMIT;
}

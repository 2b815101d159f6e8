/* SPDX-License-Identifier: MIT */
/*
 * Proves that the counting plugin is exact: runs the guest of guest.S under QEMU and compares every
 * interval with what the guest is known to execute, and all of it with the TSC, which under -icount
 * counts instructions independently; guests of SVM in the guest are told from their hypervisor. Also:
 * the guest's console is the same with the plugin, without it, and while it records; two runs write the same bytes; the recorded path of each case has its
 * counts; an unknown argument is refused.
 *
 * Usage: plugin_check PLUGIN GUEST FOLDER (a scratch folder). Needs QEMU in the cache: `parangon
 * inputs`.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/explain_path.h"
#include "bench/inputs.h"
#include "bench/interval.h"
#include "bench/paths.h"
#include "bench/platform.h"

#define TSC_AROUND 5 /* instructions between the two RDTSC and the marks, guest.S */

/*
 * What a case executes. Where not_charged is not 0, -icount charges so many faulting instructions
 * on top.
 */
struct expected {
    const char *name;
    uint64_t user, kernel, hypervisor, rep_iter, rep_bytes, irq, exception, hv_entry, iret, intn,
        vmrun, nested_fault, not_retired;
};

static const struct expected cases[] = {
    {.name = "empty"},
    {.name = "straight", .user = 100},
    {.name = "loop", .user = 2001},
    {.name = "rep",
     .user = 17,
     .rep_iter = 1000 + 512 + 64 + 32,
     .rep_bytes = 1000 + 4096 + 64 + 64},
    {.name = "fault", .user = 6, .kernel = 2 * 13, .exception = 2, .iret = 2},
    {.name = "rep_fault",
     .user = 4,
     .kernel = 3 * 13,
     .rep_iter = 8192,
     .rep_bytes = 8192,
     .exception = 3,
     .iret = 3},
    {.name = "not_retired",
     .user = 3,
     .kernel = 3,
     .hypervisor = 2,
     .exception = 2,
     .hv_entry = 1,
     .iret = 2,
     .not_retired = 2},
    {.name = "int80", .user = 3, .kernel = 1, .iret = 1, .intn = 1},
    {.name = "device", .user = 10, .hypervisor = 5, .irq = 1, .hv_entry = 1, .iret = 1},
    {.name = "rep_interrupt",
     .user = 7,
     .hypervisor = 20 * 5,
     .rep_iter = 60000,
     .rep_bytes = 60000,
     .irq = 20,
     .hv_entry = 20,
     .iret = 20},
    {.name = "hypervisor", .user = 2, .hypervisor = 3, .hv_entry = 1},
    {.name = "kernel", .user = 2, .kernel = 3},
    {.name = "divide", .user = 2, .kernel = 2, .exception = 1, .iret = 1},
    {.name = "last_fault", .user = 3, .kernel = 13, .exception = 1, .iret = 1},
    /* Its fault handler is kernel code, so the return from it enters the hypervisor once more. */
    {.name = "alias",
     .user = 3,
     .kernel = 13,
     .hypervisor = 4,
     .exception = 1,
     .hv_entry = 2,
     .iret = 1},
    {.name = "alias_again",
     .user = 3,
     .kernel = 13,
     .hypervisor = 4,
     .exception = 1,
     .hv_entry = 2,
     .iret = 1},
    {.name = "events", .user = 13},
    /* Guests of SVM: entered through `world`, which is hypervisor code, so one entry more than exits. */
    {.name = "svm_kernel", .user = 4, .kernel = 3, .hypervisor = 19, .hv_entry = 3, .vmrun = 2},
    {.name = "svm_user", .user = 4 + 3, .hypervisor = 19, .hv_entry = 3, .vmrun = 2},
    {.name = "svm_alias", .user = 4, .kernel = 3, .hypervisor = 19, .hv_entry = 3, .vmrun = 2},
    {.name = "svm_nested_fault",
     .user = 4,
     .kernel = 3,
     .hypervisor = 19,
     .hv_entry = 3,
     .vmrun = 2,
     .nested_fault = 1},
    {.name = "svm_nested_fault_last",
     .user = 4,
     .kernel = 3,
     .hypervisor = 19,
     .hv_entry = 3,
     .vmrun = 2,
     .nested_fault = 1},
    {.name = "svm_nested_fault_rep",
     .user = 4 + 4,
     .hypervisor = 19,
     .rep_iter = 4000,
     .rep_bytes = 4000,
     .hv_entry = 3,
     .vmrun = 2,
     .nested_fault = 1},
    {.name = "svm_inject",
     .user = 4,
     .kernel = 2,
     .hypervisor = 10,
     .irq = 1,
     .hv_entry = 2,
     .iret = 1,
     .vmrun = 1},
    {.name = "svm_fault",
     .user = 4,
     .kernel = 3 + 13,
     .hypervisor = 10,
     .exception = 1,
     .hv_entry = 2,
     .iret = 1,
     .vmrun = 1},
    {.name = "svm_interrupt",
     .user = 1 + 4 + 10001,
     .hypervisor = 19 + 5,
     .irq = 1,
     .hv_entry = 3,
     .iret = 1,
     .vmrun = 2},
};

#define NR_CASES (sizeof cases / sizeof cases[0])

static int passed, failed;

static void check(bool ok, const char *what, const char *which)
{
    if (ok) {
        passed++;
        return;
    }
    failed++;
    printf("FAILED: %s %s\n", which, what);
}

static void check_equal(uint64_t got, uint64_t want, const char *what, const char *which)
{
    char text[160];

    snprintf(text, sizeof text, "%s is %" PRIu64 ", not %" PRIu64, what, got, want);
    check(got == want, text, which);
}

/* Run the guest with a -plugin value, or none. Returns QEMU's exit status, -1 when it had none. */
static int run_guest(const struct inputs *inputs, const char *guest, const char *console,
                     const char *plugin)
{
    struct machine machine = {.inputs = inputs, .plugin = plugin};
    struct words argv = {0};
    int status;
    pid_t pid;

    machine.console = format("file:%s", console);
    platform_base(&machine, (struct platform_hardware){.cpu = MACHINE_CPU ",+svm,+npt"}, &argv);
    words_option(&argv, "-kernel", "%s", guest);
    pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);

        dup2(null, STDERR_FILENO); /* QEMU's words on an argument that is refused on purpose */
        alarm(60);
        execv(argv.word[0], argv.word);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

/* The hypervisor's range, counted apart. */
#define ALL_APART "apart=ffff800000000000-ffff880000000000"

/* The bytes of a file, with a NUL behind them. */
static char *slurp(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    char *bytes = malloc(1 << 20);

    *size = f && bytes ? fread(bytes, 1, (1 << 20) - 1, f) : 0;
    if (f)
        fclose(f);
    if (bytes)
        bytes[*size] = '\0';
    return bytes;
}

static void check_same(const char *a, const char *b, const char *what)
{
    size_t a_size, b_size;
    char *a_bytes = slurp(a, &a_size), *b_bytes = slurp(b, &b_size);

    check(a_size > 0 && a_size == b_size && memcmp(a_bytes, b_bytes, a_size) == 0, "differ", what);
    free(a_bytes);
    free(b_bytes);
}

static void check_case(const struct expected *want, const struct interval *got, uint64_t tsc)
{
    uint64_t total = got->user + got->kernel + got->hypervisor;

    check_equal(got->user, want->user, "user", want->name);
    check_equal(got->kernel, want->kernel, "kernel", want->name);
    check_equal(got->hypervisor, want->hypervisor, "hypervisor", want->name);
    check_equal(got->apart, want->hypervisor, "apart, of all hypervisor code", want->name);
    check_equal(got->counter[COUNTER_rep_iter], want->rep_iter, "rep_iter", want->name);
    check_equal(got->counter[COUNTER_rep_bytes], want->rep_bytes, "rep_bytes", want->name);
    check_equal(got->counter[COUNTER_irq], want->irq, "irq", want->name);
    check_equal(got->counter[COUNTER_exception], want->exception, "exception", want->name);
    check_equal(got->counter[COUNTER_hv_entry], want->hv_entry, "hv_entry", want->name);
    check_equal(got->counter[COUNTER_iret], want->iret, "iret", want->name);
    check_equal(got->counter[COUNTER_intn], want->intn, "intn", want->name);
    check_equal(got->counter[COUNTER_vmrun], want->vmrun, "vmrun", want->name);
    check_equal(got->counter[COUNTER_nested_fault], want->nested_fault, "nested_fault", want->name);
    check_equal(tsc, TSC_AROUND + total + want->rep_iter + want->not_retired, "the TSC difference",
                want->name);
}

/* The case "events" executes each of these once (SWAPGS twice). */
static void check_events(const struct interval *got)
{
    static const enum counter_id once[] = {COUNTER_cr3_load, COUNTER_cr_write, COUNTER_cpuid,
                                           COUNTER_invlpg,   COUNTER_rdmsr,    COUNTER_wrmsr,
                                           COUNTER_rdtsc,    COUNTER_pio};

    for (size_t i = 0; i < sizeof once / sizeof once[0]; i++)
        check_equal(got->counter[once[i]], 1, "an event", "events");
    check_equal(got->counter[COUNTER_wrbase], 2, "wrbase", "events");
}

/* A histogram holds every entry, and its bounds enclose what they cost together. */
static void check_histogram(const char *sizes, uint64_t nr, uint64_t instructions, const char *name)
{
    uint64_t entries, seen = 0, least = 0, most = 0;
    unsigned size;
    int used;

    for (; sscanf(sizes, "%u:%" SCNu64 "%n", &size, &entries, &used) == 2; sizes += used) {
        seen += entries;
        least += size ? entries << (size - 1) : 0;
        most += entries * ((1ull << size) - 1);
    }
    check_equal(seen, nr, "entries in the histogram", name);
    check(least <= instructions && instructions <= most, "costs what its histogram excludes", name);
}

/* The entries of each case and what they cost are those of its interval. */
static void check_entries(const char *entries)
{
    uint64_t count[NR_CASES] = {0}, cost[NR_CASES] = {0};
    char line[256];
    FILE *f = fopen(entries, "r");

    check(f != NULL, "is missing", "the record of entries");
    while (f && fgets(line, sizeof line, f)) {
        uint64_t nr, instructions;
        size_t seq;

        int used = 0;

        if (sscanf(line, "measured %zu %*s %*s %" SCNu64 " %" SCNu64 "%n", &seq, &nr, &instructions,
                   &used) == 3 &&
            seq < NR_CASES) {
            count[seq] += nr;
            cost[seq] += instructions;
            check_histogram(line + used, nr, instructions, cases[seq].name);
        }
    }
    if (f)
        fclose(f);
    for (size_t i = 0; i < NR_CASES; i++) {
        check_equal(count[i], cases[i].hv_entry, "recorded entries", cases[i].name);
        check_equal(cost[i], cases[i].hypervisor, "cost of recorded entries", cases[i].name);
    }
}

/* The recorded path of a case has the counts of its interval, class by class. */
static void check_path(const char *recording, const struct expected *want)
{
    static const struct symbols none;
    struct path path;

    check(path_read(&path, recording, &none, &none) == 0, "has no readable recording", want->name);
    check_equal(path.instructions[PATH_USER], want->user, "user in the path", want->name);
    check_equal(path.instructions[PATH_KERNEL], want->kernel, "kernel in the path", want->name);
    check_equal(path.instructions[PATH_HYPERVISOR], want->hypervisor, "hypervisor in the path",
                want->name);
    path_free(&path);
}

static void check_file(const char *intervals, const char *console)
{
    size_t size, console_size;
    const char *bytes = slurp(intervals, &size), *line = slurp(console, &console_size);
    const struct interval_file_head *head = (const void *)bytes;
    const struct interval *got = (const void *)(head + 1);

    check(size >= sizeof *head && head->magic == INTERVAL_MAGIC &&
              head->version == INTERVAL_VERSION && head->nr_counters == COUNTER_NR,
          "is not one", "interval file");
    if (failed)
        return;
    check_equal(head->valid, (1ull << COUNTER_NR) - 1, "the validity mask", "interval file");
    check_equal(head->nr_inexact, 0, "the number of inexact blocks", "interval file");
    check_equal(head->nr_intervals, NR_CASES + 2, "the number of records", "interval file");
    check_equal(size, sizeof *head + head->nr_intervals * sizeof *got, "the size", "interval file");
    if (failed)
        return;
    check(got[0].kind == INTERVAL_PRE_DOMAIN && got[0].user == 0 && got[0].kernel == 0 &&
              got[0].hypervisor > 1000,
          "is wrong", "the record of what comes before the guest");
    check(got[1].kind == INTERVAL_BOOT, "is missing", "the record of the boot");
    got += 2;
    for (size_t i = 0; i < NR_CASES; i++) {
        uint64_t tsc = 0;

        check(sscanf(line, "tsc %" SCNx64, &tsc) == 1, "has no console line", cases[i].name);
        line = strchr(line, '\n') ? strchr(line, '\n') + 1 : "";
        check(got[i].kind == INTERVAL_MEASURED && got[i].seq == i, "has no record of its own",
              cases[i].name);
        check_case(&cases[i], &got[i], tsc);
    }
    for (size_t i = 0; i < NR_CASES; i++)
        if (strcmp(cases[i].name, "events") == 0)
            check_events(&got[i]);
}

/* With nothing counted apart all other counts are the same. */
static void check_nothing_apart(const char *with, const char *without)
{
    size_t size, plain_size;
    char *bytes = slurp(with, &size), *plain = slurp(without, &plain_size);
    struct interval *a = (void *)(bytes + sizeof(struct interval_file_head));
    struct interval *b = (void *)(plain + sizeof(struct interval_file_head));

    check(size == plain_size && size > sizeof(struct interval_file_head), "differ in size",
          "files with and without a range apart");
    for (size_t i = 0; i < NR_CASES + 2 && size == plain_size; i++) {
        check_equal(b[i].apart, 0, "apart, of no range", "an interval");
        a[i].apart = 0;
    }
    check(size == plain_size && memcmp(bytes, plain, size) == 0, "differ",
          "counts with and without a range apart");
    free(plain);
    free(bytes);
}

int main(int argc, char **argv)
{
    struct inputs inputs;
    const char *folder, *plugin, *guest;

    if (argc != 4) {
        fprintf(stderr, "usage: plugin_check PLUGIN GUEST FOLDER\n");
        return 2;
    }
    plugin = argv[1];
    guest = argv[2];
    folder = argv[3];
    if (inputs_get(&inputs, INPUTS_LOOK) < 0 || !inputs.qemu) {
        fprintf(stderr, "plugin_check: there is no QEMU 10: run 'parangon inputs'\n");
        return 1;
    }

    check_equal(run_guest(&inputs, guest, format("%s/none.log", folder), NULL), 0,
                "the exit status", "without plugin");
    check_equal(run_guest(&inputs, guest, format("%s/first.log", folder),
                          format("%s,out=%s/first," ALL_APART, plugin, folder)),
                0, "the exit status", "first run");
    check_equal(run_guest(&inputs, guest, format("%s/plain.log", folder),
                          format("%s,out=%s/plain", plugin, folder)),
                0, "the exit status", "run with nothing apart");
    check_nothing_apart(format("%s/first", folder), format("%s/plain", folder));
    for (size_t i = 0; i < NR_CASES; i++) {
        check_equal(
            run_guest(&inputs, guest, format("%s/second.log", folder),
                      format("%s,out=%s/second," ALL_APART ",entries=%s/entries,trace=%s/trace,trace_seq=%zu",
                             plugin, folder, folder, folder, i)),
            0, "the exit status", "recording run");
        check_path(format("%s/trace", folder), &cases[i]);
    }
    check(run_guest(&inputs, guest, format("%s/bad.log", folder),
                    format("%s,out=%s/bad,nonsense=1", plugin, folder)) > 0,
          "is accepted", "an unknown argument");

    check_entries(format("%s/entries", folder));
    check_file(format("%s/first", folder), format("%s/first.log", folder));
    check_same(format("%s/none.log", folder), format("%s/first.log", folder),
               "consoles with and without the plugin");
    check_same(format("%s/first.log", folder), format("%s/second.log", folder),
               "consoles of counting and recording");
    check_same(format("%s/first", folder), format("%s/second", folder),
               "interval files of two runs");
    printf("%d passed, %d failed\n", passed, failed);
    return failed ? 1 : 0;
}

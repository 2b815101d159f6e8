/* SPDX-License-Identifier: MIT */
/*
 * Command line, the run of tests and costs, and their lines on the console.
 *
 * Arguments, anywhere on the line, separated by spaces:
 *   tests=all|none|P+P...   tests whose names start with one of the prefixes (default all); a comma
 * separates as well, but must be doubled in QEMU's -initrd costs=0|1|P+P...        cost runs, all
 * or by prefix (default 0) after=NAME              leave out all tests up to and with this one (to
 * go on behind one that ended the boot) end=poweroff|reboot     how to leave (default poweroff; Xen
 * halts the machine on that, so its runs reboot) spin=FROM-TO           from system time FROM to TO
 * (ms; +FROM-TO: from this line's reading on) want all of the processor, and say how much of it there was (tests/share.c);
 * spin-vcpus=2: of two      wake=FROM-TO-RUN-SLEEP   until TO work RUN and sleep SLEEP (us) in turn, and say how late it came to run;
 * yield=FROM-TO           do nothing but give way; yield-marks=N-TIMES: in N marked intervals so many times each. A test that ends the domain runs only
 * when one of P is its whole name.
 */
#include "micro.h"
#include "../../../bench/mark.h"

extern const struct micro_test micro_tests_start[], micro_tests_end[];
extern const struct micro_cost micro_costs_start[], micro_costs_end[];

static struct {
    bool failed, skipped, refused;
    unsigned used;
    char detail[256];
} result;

static unsigned passed, failed, skipped;

bool test_failed(void)
{
    return result.failed;
}

/* Add to the detail behind the result, separated from what is there; what does not fit is dropped.
 */
static void detail(const char *fmt, va_list ap)
{
    if (result.used)
        result.used += (unsigned)format(result.detail + result.used,
                                        sizeof(result.detail) - result.used, "; ");
    result.used += (unsigned)vformat(result.detail + result.used,
                                     sizeof(result.detail) - result.used, fmt, ap);
}

void test_note(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    detail(fmt, ap);
    va_end(ap);
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
    va_list ap;

    test_note("%s:%d", file, line);
    va_start(ap, fmt);
    detail(fmt, ap);
    va_end(ap);
    result.failed = true;
}

void test_skip(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    detail(fmt, ap);
    va_end(ap);
    result.skipped = true;
}

void test_refused(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    detail(fmt, ap);
    va_end(ap);
    result.refused = true;
}

/* Value of key (with its '=') on the line: up to the next space, into buf. False when it is not
 * there. */
static bool argument(const char *cmdline, const char *key, char *buf, size_t size)
{
    for (const char *p = cmdline; *p; p++) {
        size_t n = 0;

        if ((p != cmdline && p[-1] != ' ') || !str_starts(p, key))
            continue;
        for (p += strlen(key); *p && *p != ' ' && n + 1 < size; p++)
            buf[n++] = *p;
        buf[n] = 0;
        return true;
    }
    return false;
}

static bool separator(char c)
{
    return c == ',' || c == '+';
}

/* Whether name is in the list: by prefix, or in full only. "all" and "1" select by prefix. */
static bool selected(const char *list, const char *name, bool in_full)
{
    while (*list) {
        size_t n = 0;

        while (list[n] && !separator(list[n]))
            n++;
        if (!in_full && ((n == 3 && str_starts(list, "all")) || (n == 1 && *list == '1')))
            return true;
        if (n <= strlen(name) && memcmp(name, list, n) == 0 && n && (!in_full || !name[n]))
            return true;
        list += n + separator(list[n]);
    }
    return false;
}

static void run_test(const struct micro_test *t)
{
    const char *word = "pass";

    memset(&result, 0, sizeof(result));
    print("MICRO run %s\n", t->name);
    if (!(t->platforms & (int)platform))
        test_skip("not for this platform");
    else if (t->crash)
        print("MICRO crash %s: the domain must end here\n", t->name);
    if (!result.skipped)
        t->run();
    if (t->crash && !result.skipped && !result.refused)
        test_fail("main.c", __LINE__, "the domain survived");
    if (result.failed) {
        word = "fail";
        failed++;
    } else if (result.skipped) {
        word = "skip";
        skipped++;
    } else {
        passed++;
    }
    print("MICRO test %s %s%s%s\n", t->name, word, result.used ? " " : "", result.detail);
}

/*
 * Once unmeasured to settle what settles, then one interval between marks; both lines name it, in
 * the order of the intervals, the second for the harness (its console protocol: one sample for each
 * pair of marks). Ticks are of the TSC: of a machine whose TSC counts instructions, all that was executed.
 */
static void run_cost(const struct micro_cost *c)
{
    uint64_t ticks;

    memset(&result, 0, sizeof(result));
    if (!(c->platforms & (int)platform))
        return;
    if (c->setup && !c->setup()) {
        print("MICRO cost %s unavailable %s\n", c->name, result.detail);
        return;
    }
    c->run(c->ops);
    ticks = rdtsc();
    MARK_BEGIN();
    c->run(c->ops);
    MARK_END();
    ticks = rdtsc() - ticks;
    print("MICRO cost %s ops %u ticks %lu\n", c->name, c->ops, ticks);
    print("@PGN "
          "{\"ev\":\"sample\",\"workload\":\"micro-%s\",\"kind\":\"micro\",\"seed\":0,\"iter\":0,"
          "\"ops\":%u}\n",
          c->name, c->ops);
    if (c->teardown)
        c->teardown();
}

static unsigned decimal(const char **p)
{
    unsigned n = 0;

    while (**p >= '0' && **p <= '9')
        n = n * 10 + (unsigned)(*(*p)++ - '0');
    return n;
}

/* The numbers of a list like 2000-12000. */
static void numbers(const char *text, unsigned *list, unsigned nr)
{
    for (unsigned i = 0; i < nr; i++) {
        list[i] = decimal(&text);
        text += *text == '-';
    }
}

/* FROM-TO, or +FROM-TO from now on. */
static void window(const char *text, unsigned range[2])
{
    unsigned start = *text == '+' ? (unsigned)(now_ns() / 1000000) : 0;

    numbers(text + (*text == '+'), range, 2);
    range[0] += start;
    range[1] += start;
}

void micro_main(const char *cmdline)
{
    static char tests[512] = "all", costs[256] = "0", end[16] = "", after[64] = "", range[48] = "", vcpus[8] = "",
                marks[16] = "";
    unsigned n[4];
    bool started;

    argument(cmdline, "tests=", tests, sizeof(tests));
    argument(cmdline, "costs=", costs, sizeof(costs));
    argument(cmdline, "end=", end, sizeof(end));
    argument(cmdline, "spin-vcpus=", vcpus, sizeof(vcpus));
    started = !argument(cmdline, "after=", after, sizeof(after));
    end_by_reboot = str_starts(end, "reboot");
    print("MICRO boot %s tests=%s costs=%s\n",
          platform == PLATFORM_PV    ? "pv"
          : platform == PLATFORM_PVH ? has_pc ? "hvm" : "pvh"
          : pvh_info                 ? "native-pvh"
          : acpi_table("FACP")       ? "hvm-bare"
                                     : "native",
          tests, costs);
    MARK_INIT();
    for (const struct micro_test *t = micro_tests_start; t < micro_tests_end; t++) {
        if (started && selected(tests, t->name, t->crash || t->in_full))
            run_test(t);
        if (str_equal(t->name, after))
            started = true;
    }
    for (const struct micro_cost *c = micro_costs_start; c < micro_costs_end; c++) {
        if (selected(costs, c->name, false))
            run_cost(c);
    }
    if (argument(cmdline, "spin=", range, sizeof(range))) {
        window(range, n);
        share_run(n[0], n[1], *vcpus == '2' ? 2 : 1, argument(cmdline, "spin-marks=", marks, sizeof(marks)));
    }
    if (argument(cmdline, "yield=", range, sizeof(range))) {
        (void)argument(cmdline, "yield-marks=", marks, sizeof(marks));
        window(range, n);
        numbers(marks, n + 2, 2);
        yield_run(n[0], n[1], n[2], n[3]);
    }
    if (argument(cmdline, "wake=", range, sizeof(range))) {
        numbers(range, n, 4);
        wake_run(n[0], n[1], n[2], n[3]);
    }
    if (!str_starts(costs, "0"))
        print("@PGN {\"ev\":\"done\"}\n");
    print("MICRO done pass=%u fail=%u skip=%u\n", passed, failed, skipped);
    platform_poweroff();
}

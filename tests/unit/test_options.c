/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's command line.
 */
#include <criterion/criterion.h>

#include "core/options.h"
#include "machine.h"

static struct hv_options o;

static void start(void)
{
    host_console_clear();
    options_init(&o);
}

TestSuite(options, .init = start);

static unsigned int parse(const char *s)
{
    return options_parse(s, &o);
}

Test(options, defaults)
{
    cr_assert_eq(parse(""), 0);
    cr_assert_eq(o.dom0_mem, 0);
    cr_assert_eq(o.dom0_max_vcpus, 1);
    cr_assert_str_eq(o.sched, "credit");
    cr_assert_eq(o.console, CONSOLE_COM1);
    cr_assert_eq(o.spec_ctrl, SPEC_CTRL_DEFAULT);
    cr_assert_eq(o.trace_classes, ~0u);
    cr_assert(o.trace && o.smap && o.smep && !o.noreboot);
}

Test(options, all_kinds)
{
    cr_assert_eq(parse("  dom0_mem=512M dom0_max_vcpus=2  console=none sched=rr noreboot spec-ctrl=no "
                       "trace=off no-smap smep=0 trace-classes=HYPERCALL,sched "), 0, "%s", host_console());
    cr_assert_eq(o.dom0_mem, MB(512));
    cr_assert_eq(o.dom0_max_vcpus, 2);
    cr_assert_eq(o.console, CONSOLE_NONE);
    cr_assert_str_eq(o.sched, "rr");
    cr_assert(o.noreboot);
    cr_assert_eq(o.spec_ctrl, SPEC_CTRL_OFF);
    cr_assert_not(o.trace);
    cr_assert_not(o.smap);
    cr_assert_not(o.smep);
    cr_assert_eq(o.trace_classes, 1u << 0 | 1u << 2);
}

Test(options, sizes_without_suffix_are_mebibytes)
{
    cr_assert_eq(parse("dom0_mem=256"), 0);
    cr_assert_eq(o.dom0_mem, MB(256));
    cr_assert_eq(parse("dom0_mem=2G"), 0);
    cr_assert_eq(o.dom0_mem, GB(2));
}

Test(options, trace_classes)
{
    cr_assert_eq(parse("trace-classes=none"), 0);
    cr_assert_eq(o.trace_classes, 0);
    cr_assert_eq(parse("trace-classes=all"), 0);
    cr_assert_eq(o.trace_classes, ~0u);
    cr_assert_eq(parse("trace-classes=EXIT,nonsense"), 1);
    cr_assert_eq(o.trace_classes, ~0u, "a wrong value changes nothing");
}

Test(options, first_word_may_be_the_image)
{
    cr_assert_eq(parse("build/hv/parangon sched=null"), 0);
    cr_assert_str_eq(o.sched, "null");
    cr_assert_eq(parse("/boot/a=b/parangon noreboot"), 0);
    cr_assert_eq(parse("parangon"), 0);
    cr_assert_eq(parse("sched=rr"), 0);
    cr_assert_str_eq(o.sched, "rr");
}

/* Each wrong word, with what is said about it. */
static const struct {
    const char *words, *says;
} wrong[] = {
    {"x colour=red", "option \"colour=red\" does not exist"},
    {"x colour", "option \"colour\" does not exist"},
    {"x no-colour", "option \"no-colour\" does not exist"},
    {"x no-dom0_mem", "option \"no-dom0_mem\" does not exist"},
    {"x no-smap=1", "option \"no-smap=1\" does not exist"},
    {"x dom0_mem", "\"dom0_mem\" has a value that it cannot have"},
    {"x dom0_mem=", "\"dom0_mem=\" has a value"},
    {"x dom0_mem=lots", "\"dom0_mem=lots\" has a value"},
    {"x dom0_mem=1MM", "\"dom0_mem=1MM\" has a value"},
    {"x dom0_mem=1K", "\"dom0_mem=1K\" has a value"},
    {"x dom0_mem=99999999999999999999999", "has a value"},
    {"x dom0_max_vcpus=0", "\"dom0_max_vcpus=0\" has a value"},
    {"x dom0_max_vcpus=33", "has a value"},
    {"x console=vga", "\"console=vga\" has a value"},
    {"x sched=", "\"sched=\" has a value"},
    {"x sched=a-name-that-is-too-long", "has a value"},
    {"x sched-slice=99", "has a value"},
    {"x sched-gran=thread", "has a value"},
    {"x noreboot=perhaps", "\"noreboot=perhaps\" has a value"},
    {"x trace-classes=", "has a value"},
};

Test(options, wrong_words_are_said)
{
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        start();
        cr_assert_eq(parse(wrong[i].words), 1, "%s", wrong[i].words);
        cr_assert(host_console_has(wrong[i].says), "%s: %s", wrong[i].words, host_console());
    }
}

Test(options, how_to_schedule)
{
    cr_assert_eq(o.sched_slice, 0);
    cr_assert_eq(o.sched_ratelimit, 1000);
    cr_assert_eq(parse("x sched-slice=5000 sched-ratelimit=0 sched-gran=socket sched-exclusive pools=2-3:rr/4:null"), 0, "%s", host_console());
    cr_assert_eq(o.sched_slice, 5000);
    cr_assert_eq(o.sched_ratelimit, 0);
    cr_assert_eq(o.sched_gran, SCHED_GRAN_SOCKET);
    cr_assert(o.sched_exclusive);
    cr_assert_str_eq(o.pools, "2-3:rr/4:null");
}

Test(options, all_wrong_words_are_counted)
{
    cr_assert_eq(parse("x a b=1 noreboot c"), 3);
    cr_assert(o.noreboot);
}

/* SPDX-License-Identifier: MIT */
/*
 * The launch plan: what is read, and every error with its line; without a plan, the single
 * privileged domain.
 */
#include <criterion/criterion.h>

#include "core/launch.h"
#include "machine.h"

static u8 elf[128] = "\177ELF";
static u8 bzimage[1024];
static struct launch_plan plan;
static struct launch_machine machine;
static char text[8192];

static struct boot_module mods[] = {
    {"/boot/vmlinux console=hvc0 quiet", elf, sizeof(elf), 0x1000000},
    {"/boot/initrd.cpio", "cpio", 4, 0x2000000},
    {"bzImage", bzimage, sizeof(bzimage), 0x3000000},
    {"/plans/eight.plan", text, 0, 0x4000000},
    {"tiny args", elf, sizeof(elf), 0x5000000},
};

static void start(void)
{
    host_console_clear();
    memcpy(bzimage + 0x202, "HdrS", 4);
    machine = (struct launch_machine){.memory = GB(1), .pcpus = 4, .pools = 3, .dom0_mem = 0, .dom0_vcpus = 1};
}

TestSuite(launch, .init = start);

static int read_plan(const char *s)
{
    mods[3].data = s;
    mods[3].size = strlen(s);
    return launch_plan(mods, ARRAY_SIZE(mods), &machine, &plan);
}

Test(launch, whole_plan)
{
    cr_assert_eq(read_plan("parangon-plan 1\n"
                           "# two domains\r\n"
                           "\n"
                           "domain first\n"
                           "  kernel = vmlinux\n"
                           "  ramdisk = initrd.cpio\n"
                           "  cmdline = console=hvc0  root=/dev/ram0 # not a comment \n"
                           "  memory = 512M\n"
                           "  privileged = yes\n"
                           "domain second-1.a\n"
                           "\tkind=pv\n"
                           "\tkernel=4\n"
                           "\tmemory=64\n"
                           "\tvcpus=2\n"
                           "\tweight=512\n"
                           "\tcap=150\n"
                           "\taffinity=0,2-3\n"
                           "\tpool = 2\n"
                           "\tprivileged=no"),
                 0, "%s", host_console());
    cr_assert_eq(plan.nr, 2);
    cr_assert_str_eq(plan.domain[0].name, "first");
    cr_assert_eq(plan.domain[0].kernel, &mods[0]);
    cr_assert_eq(plan.domain[0].ramdisk, &mods[1]);
    cr_assert_str_eq(plan.domain[0].cmdline, "console=hvc0  root=/dev/ram0 # not a comment");
    cr_assert_eq(plan.domain[0].memory, MB(512));
    cr_assert(plan.domain[0].privileged);
    cr_assert_eq(plan.domain[0].vcpus, 1);
    cr_assert_eq(plan.domain[0].weight, 256);
    cr_assert_eq(plan.domain[0].cap, 0);
    cr_assert_eq(plan.domain[0].affinity, ~0ull);
    cr_assert_eq(plan.domain[0].pool, 0);
    cr_assert_eq(plan.domain[1].pool, 2);
    cr_assert_eq(plan.domain[0].kind, DOMAIN_PV);
    cr_assert_str_eq(plan.domain[1].name, "second-1.a");
    cr_assert_eq(plan.domain[1].kernel, &mods[4]);
    cr_assert_null(plan.domain[1].ramdisk);
    cr_assert_str_eq(plan.domain[1].cmdline, "");
    cr_assert_eq(plan.domain[1].memory, MB(64));
    cr_assert_eq(plan.domain[1].vcpus, 2);
    cr_assert_eq(plan.domain[1].weight, 512);
    cr_assert_eq(plan.domain[1].cap, 150);
    cr_assert_eq(plan.domain[1].affinity, 0xdull);
    cr_assert_not(plan.domain[1].privileged);
    cr_assert_str_eq(host_console(), "");
}

/* Each faulty plan, and what is said about it. */
static const struct {
    const char *plan, *says;
} errors[] = {
    {"", "there is no domain in it"},
    {"# only a comment\n", "there is no domain in it"},
    {"parangon-plan 2\ndomain a\nkernel=0\nmemory=1\n", "line 1: format \"2\""},
    {"parangon-plan one\ndomain a\nkernel=0\nmemory=1\n", "line 1: format \"one\""},
    {"kernel = 0\n", "line 1: \"kernel\" stands before the first domain"},
    {"domain a\nkernel=0\nmemory=1\nhello\n", "line 4: \"hello\" is neither"},
    {"domain a\nkernel=0\nmemory=1\ncolour = red\n", "line 4: there is no key \"colour\""},
    {"domain a\nkernel=0\nmemory=1\nmemory=2\n", "line 4: \"memory\" is given twice"},
    {"domain a\nkernel=\nmemory=1\n", "line 2: \"kernel\" has no value"},
    {"domain a\nmemory=1\n", "line 1: domain a has no \"kernel\""},
    {"\n\ndomain a\nkernel=0\n\n", "line 3: domain a has no \"memory\""},
    {"domain\nkernel=0\nmemory=1\n", "line 1: \"\" is no name"},
    {"domain two words\nkernel=0\nmemory=1\n", "line 1: \"two words\" is no name"},
    {"domain abcdefghijabcdefghijabcdefghijab\nkernel=0\nmemory=1\n", "is no name of a domain"},
    {"domain a\nkernel=0\nmemory=1\ndomain a\nkernel=0\nmemory=1\n", "line 4: there are two domains \"a\""},
    {"domain a\nkind=xen\nkernel=0\nmemory=1\n", "line 2: kind \"xen\""},
    {"domain a\nkind=pvh\nkernel=0\nmemory=1\nxen=no\n", "only a domain of kind hvm"},
    {"domain a\nkind=pvh\nkernel=0\nmemory=1\nupcall=gsi\n", "line 5: upcall is callback or apic"},
    {"domain a\nkernel=9\nmemory=1\n", "line 2: there is no module \"9\" (5 modules)"},
    {"domain a\nkernel=3\nmemory=1\n", "line 2: there is no module \"3\""},
    {"domain a\nkernel=linux\nmemory=1\n", "line 2: there is no module \"linux\""},
    {"domain a\nkernel=bzImage\nmemory=1\n", "line 2: kernel \"bzImage\" is a compressed kernel (bzImage)"},
    {"domain a\nkernel=initrd.cpio\nmemory=1\n", "line 2: kernel \"initrd.cpio\" is no ELF image"},
    {"domain a\nkernel=0\nramdisk=none\nmemory=1\n", "line 3: there is no module \"none\""},
    {"domain a\nkernel=0\nmemory=lots\n", "line 3: memory \"lots\""},
    {"domain a\nkernel=0\nmemory=0\n", "line 3: memory \"0\""},
    {"domain a\nkernel=0\nmemory=1K\n", "line 3: memory \"1K\""},
    {"domain a\nkernel=0\nmemory=1T\n", "line 3: memory \"1T\""},
    {"domain a\nkernel=0\nmemory=99999999999999999999\n", "line 3: memory"},
    {"domain a\nkernel=0\nmemory=999999999999G\n", "line 3: memory"},
    {"domain a\nkernel=0\nmemory=1\nvcpus=0\n", "line 4: vcpus \"0\" is not a number from 1 to 32"},
    {"domain a\nkernel=0\nmemory=1\nvcpus=33\n", "line 4: vcpus \"33\""},
    {"domain a\nkernel=0\nmemory=1\nvcpus=1x\n", "line 4: vcpus \"1x\""},
    {"domain a\nkernel=0\nmemory=1\nweight=0\n", "line 4: weight \"0\" is not a number from 1 to 65535"},
    {"domain a\nkernel=0\nmemory=1\nweight=65536\n", "line 4: weight \"65536\""},
    {"domain a\nkernel=0\nmemory=1\ncap=-1\n", "line 4: cap \"-1\""},
    {"domain a\nkernel=0\nmemory=1\ncap=101\n", "line 1: domain a: a cap of 101 %"},
    {"domain a\nkernel=0\nmemory=1\naffinity=4\n", "line 4: affinity \"4\" is no list of processors below 4"},
    {"domain a\nkernel=0\nmemory=1\npool=3\n", "line 4: pool \"3\" is not a number from 0 to 2"},
    {"domain a\nkernel=0\nmemory=1\naffinity=2-1\n", "affinity \"2-1\""},
    {"domain a\nkernel=0\nmemory=1\naffinity=0,\n", "affinity \"0,\""},
    {"domain a\nkernel=0\nmemory=1\naffinity=,1\n", "affinity \",1\""},
    {"domain a\nkernel=0\nmemory=1\naffinity=1-\n", "affinity \"1-\""},
    {"domain a\nkernel=0\nmemory=1\nprivileged=maybe\n", "line 4: privileged is no or yes, not \"maybe\""},
    {"domain a\nkernel=0\nmemory=1\nprivileged=yes\ndomain b\nkernel=0\nmemory=1\nprivileged=yes\n",
     "line 5: domain b: a is privileged already"},
    {"domain a\nkernel=0\nmemory=1000\ndomain b\nkernel=0\nmemory=25\n",
     "the domains ask for 1025 MiB, the machine has 1024 MiB"},
    {"domain a\nkernel=0\nmemory=1\n\001\n", "line 4: a byte that is no text"},
};

Test(launch, every_error_is_said_with_its_line)
{
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
        host_console_clear();
        cr_assert_eq(read_plan(errors[i].plan), -XEN_EINVAL, "%s", errors[i].plan);
        cr_assert(host_console_has(errors[i].says), "for:\n%s\nexpected: %s\nwas: %s", errors[i].plan, errors[i].says,
                  host_console());
    }
}

Test(launch, all_errors_are_said_at_once)
{
    cr_assert_eq(read_plan("domain a\nkernel=7\nweight=0\nfoo=1\ndomain b\n"), -XEN_EINVAL);
    cr_assert(host_console_has("line 2: there is no module"));
    cr_assert(host_console_has("line 3: weight"));
    cr_assert(host_console_has("line 4: there is no key"));
    cr_assert(host_console_has("line 1: domain a has no \"memory\""));
    cr_assert(host_console_has("line 5: domain b has no \"kernel\""));
}

Test(launch, too_long_a_command_line)
{
    int n = snprintf(text, sizeof(text), "domain a\nkernel=0\nmemory=1\ncmdline=");

    memset(text + n, 'x', 1024);
    text[n + 1024] = 0;
    cr_assert_eq(read_plan(text), -XEN_EINVAL);
    cr_assert(host_console_has("line 4: a command line of 1024 characters; the most is 1023"));
    text[n + 1023] = 0;
    cr_assert_eq(read_plan(text), 0);
    cr_assert_eq(strlen(plan.domain[0].cmdline), 1023);
}

Test(launch, too_many_domains)
{
    char *s = text;

    for (int i = 0; i < LAUNCH_MAX_DOMAINS + 1; i++)
        s += snprintf(s, text + sizeof(text) - s, "domain d%d\nkernel=0\nmemory=1\n", i);
    cr_assert_eq(read_plan(text), -XEN_EINVAL);
    cr_assert(host_console_has("line 601: more than 200 domains"));
}

Test(launch, plan_is_found_by_its_first_word)
{
    static const char magic[] = "parangon-plan 1\ndomain a\nkernel = 1\nmemory = 2\n";
    struct boot_module two[] = {{"x", magic, sizeof(magic) - 1}, {"", elf, sizeof(elf)}};

    cr_assert_eq(launch_plan(two, 2, &machine, &plan), 0, "%s", host_console());
    cr_assert_eq(plan.nr, 1);
    cr_assert_eq(plan.domain[0].kernel, &two[1]);
    cr_assert_eq(plan.domain[0].memory, MB(2));
}

Test(launch, plan_ends_where_its_module_ends)
{
    static const char more[] = "domain a\nkernel=0\nmemory=16garbage that is not part of it";

    mods[3].data = more;
    mods[3].size = strlen("domain a\nkernel=0\nmemory=16");
    cr_assert_eq(launch_plan(mods, ARRAY_SIZE(mods), &machine, &plan), 0, "%s", host_console());
    cr_assert_eq(plan.domain[0].memory, MB(16));
}

Test(launch, no_module)
{
    cr_assert_eq(launch_plan(mods, 0, &machine, &plan), -XEN_ENOENT);
    cr_assert(host_console_has("no boot module"));
}

Test(launch, without_a_plan_the_first_module_is_privileged)
{
    machine.dom0_mem = MB(512);
    machine.dom0_vcpus = 2;
    cr_assert_eq(launch_plan(mods, 2, &machine, &plan), 0);
    cr_assert_eq(plan.nr, 1);
    cr_assert(plan.domain[0].privileged);
    cr_assert_str_eq(plan.domain[0].name, "Domain-0");
    cr_assert_str_eq(plan.domain[0].cmdline, "console=hvc0 quiet");
    cr_assert_eq(plan.domain[0].kernel, &mods[0]);
    cr_assert_eq(plan.domain[0].ramdisk, &mods[1]);
    cr_assert_eq(plan.domain[0].memory, MB(512));
    cr_assert_eq(plan.domain[0].vcpus, 2);
}

Test(launch, without_dom0_mem_it_gets_nearly_all)
{
    cr_assert_eq(launch_plan(mods, 1, &machine, &plan), 0);
    cr_assert_null(plan.domain[0].ramdisk);
    cr_assert_gt(plan.domain[0].memory, MB(900));
    cr_assert_lt(plan.domain[0].memory, GB(1));
    cr_assert_eq(plan.domain[0].memory % PAGE_SIZE, 0);
}

Test(launch, too_much_dom0_mem)
{
    machine.dom0_mem = GB(2);
    cr_assert_eq(launch_plan(mods, 1, &machine, &plan), -XEN_EINVAL);
    cr_assert(host_console_has("ask for 2048 MiB, the machine has 1024 MiB"));
}

Test(launch, a_compressed_kernel_is_refused_in_one_line)
{
    cr_assert_eq(launch_plan(&mods[2], 1, &machine, &plan), -XEN_EINVAL);
    cr_assert(host_console_has("module 0, \"bzImage\", is a compressed kernel (bzImage)"));
    host_console_clear();
    cr_assert_eq(launch_plan(&mods[1], 1, &machine, &plan), -XEN_EINVAL);
    cr_assert(host_console_has("is no ELF image"));
}

/* Any bytes at all: refused or read, never a fault (the sanitizers watch). */
Test(launch, random_text_is_survived)
{
    static const char *const words[] = {"domain ", "kernel", "=", "0", "\n", "memory", "64M", " ", "affinity", "0-3", ",", "cmdline",
                                        "#", "parangon-plan ", "1", "weight", "99999999999999999999", "\t", "cap", "-", "\r", "\377"};
    u64 random = 42;

    for (int round = 0; round < 3000; round++) {
        size_t n = 0;

        do {
            const char *w;

            random = random * 6364136223846793005ull + 1442695040888963407ull;
            w = words[(random >> 33) % ARRAY_SIZE(words)];
            memcpy(text + n, w, strlen(w));
            n += strlen(w);
        } while ((random >> 50) % 60 && n < 2000);
        {
            char *exact = malloc(n);

            memcpy(exact, text, n);
            mods[3].data = exact;
            mods[3].size = n;
            (void)launch_plan(mods, ARRAY_SIZE(mods), &machine, &plan);
            free(exact);
        }
    }
}

/* SPDX-License-Identifier: MIT */
/* `parangon boot GUEST --on PLATFORM`: one guest with its console on this terminal. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/command.h"
#include "bench/kernel.h"
#include "bench/paths.h"
#include "bench/platform.h"

struct guest {
    const char *name, *kernel, *ramdisk, *args,
        *what; /* kernel NULL: the pinned one; paths in the build folder */
};

static const struct guest guests[] = {
    {"linux", NULL, "guests/linux/initrd.cpio", "pgn.shell=1",
     "Debian's kernel and the programs of the suites, to a shell"},
    {"linux-micro", NULL, "guests/linux/initrd-micro.cpio", "pgn.shell=1",
     "the same kernel with a small ramdisk, to a shell"},
    {"micro", "guests/micro/micro", NULL, "", "our own test kernel"},
    {"micro-page", "guests/micro/micro-page", NULL, "",
     "the same with a hypercall page and virtual base 0"},
    {0},
};

struct options {
    const struct platform *platform;
    const char *guest, *ramdisk, *args, *hv_args;
    enum run_class class;
    bool gdb, count, dry_run;
};

enum {
    OPT_ON = 0x100,
    OPT_GDB,
    OPT_CLASS,
    OPT_RAMDISK,
    OPT_APPEND,
    OPT_HV_APPEND,
    OPT_COUNT,
    OPT_DRY
};

static const struct argp_option option_table[] = {
    {"on", OPT_ON, "PLATFORM", 0, "Where (parangon list shows them); default native"},
    {"class", OPT_CLASS, "CLASS", 0, "Mitigations: default or tuned"},
    {"ramdisk", OPT_RAMDISK, "FILE", 0, "Another ramdisk"},
    {"append", OPT_APPEND, "ARGS", 0, "Arguments for the guest instead of its usual ones"},
    {"hv-append", OPT_HV_APPEND, "ARGS", 0, "Further options of the hypervisor"},
    {"count", OPT_COUNT, NULL, 0, "The clock of measurements: one instruction is one nanosecond"},
    {"gdb", OPT_GDB, NULL, 0, "Wait for a debugger: target remote 127.0.0.1:1234"},
    {"dry-run", OPT_DRY, NULL, 0, "Print the QEMU command line and run nothing"},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;

    switch (key) {
    case OPT_ON:
        o->platform = platform_find(arg);
        if (!o->platform)
            argp_error(state, "no platform \"%s\" (parangon list shows them)", arg);
        return 0;
    case OPT_CLASS:
        if (run_class_of(arg) < 0)
            argp_error(state, "no class \"%s\": default or tuned", arg);
        o->class = run_class_of(arg);
        return 0;
    case OPT_RAMDISK:
        o->ramdisk = arg;
        return 0;
    case OPT_APPEND:
        o->args = arg;
        return 0;
    case OPT_HV_APPEND:
        o->hv_args = arg;
        return 0;
    case OPT_COUNT:
        o->count = true;
        return 0;
    case OPT_GDB:
        o->gdb = true;
        return 0;
    case OPT_DRY:
        o->dry_run = true;
        return 0;
    case ARGP_KEY_ARG:
        if (o->guest)
            argp_error(state, "one guest at a time");
        o->guest = arg;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "which guest? linux, linux-micro, micro, micro-page, or a kernel's file");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = option_table,
    .parser = parse,
    .args_doc = "GUEST",
    .doc = "Boot one guest with its console on this terminal. GUEST is linux, linux-micro, micro, "
           "micro-page, or the file of "
           "a kernel (ELF image or bzImage). Ctrl-A X ends the machine, Ctrl-A C reaches QEMU's "
           "monitor.",
};

/* The ELF image of a kernel file, unpacked beside the cache where it is a bzImage; NULL after a
 * message. */
static char *kernel_file(const char *path)
{
    int found = kernel_format(path);
    char hex[65], *elf;

    if (found == KERNEL_ELF)
        return realpath(path, NULL);
    if (found < 0) {
        fprintf(stderr, "parangon: no guest and no readable file \"%s\": %s\n", path,
                strerror(-found));
        return NULL;
    }
    if (found == KERNEL_FOREIGN) {
        fprintf(stderr, "parangon: %s is no kernel: neither an ELF image nor a bzImage\n", path);
        return NULL;
    }
    if (sha256_file_hex(path, hex) < 0)
        return NULL;
    elf = format("%s/unpacked-%s", paths_get()->cache, hex);
    if (access(elf, R_OK) != 0 && kernel_unpack(path, elf) < 0) {
        free(elf);
        return NULL;
    }
    return elf;
}

static const struct guest *guest_find(const char *name)
{
    for (const struct guest *g = guests; g->name; g++)
        if (strcmp(g->name, name) == 0)
            return g;
    return NULL;
}

int cmd_boot(int argc, char **argv)
{
    struct options o = {.platform = &platform_native, .class = RUN_DEFAULT};
    const struct guest *guest;
    struct inputs inputs;
    struct machine machine = {.inputs = &inputs, .console = "mon:stdio"};
    struct words line = {0};
    const char *why;
    char *shown;

    command_parse(&argp, argc, argv, &o);
    guest = guest_find(o.guest);
    if (!platform_has_class(o.platform, o.class))
        o.class = o.class == RUN_DEFAULT ? RUN_TUNED : RUN_DEFAULT;
    if (inputs_get(&inputs, INPUTS_FETCH) < 0)
        return STATUS_INCOMPLETE;

    machine.class = o.class;
    machine.gdb = o.gdb;
    machine.real_time = !o.count;
    machine.hv_args = o.hv_args;
    machine.hypervisor = format("%s/hv/parangon", paths_get()->build);
    machine.kernel =
        guest ? guest->kernel ? format("%s/%s", paths_get()->build, guest->kernel) : inputs.kernel
              : kernel_file(o.guest);
    if (!machine.kernel)
        return STATUS_USAGE;
    machine.guest_args = o.args ? o.args : guest ? guest->args : "";
    if (o.ramdisk)
        machine.ramdisk = o.ramdisk;
    else if (guest && guest->ramdisk)
        machine.ramdisk = format("%s/%s", paths_get()->build, guest->ramdisk);
    why = o.platform->absent(o.platform, &machine);
    if (why) {
        fprintf(stderr, "parangon: %s cannot boot on %s: %s\n", o.guest, o.platform->name, why);
        return guest ? STATUS_INCOMPLETE : STATUS_USAGE;
    }
    machine.plan = platform_plan_file(o.platform, &machine);
    if (o.platform->domain && !machine.plan)
        return STATUS_INCOMPLETE;
    o.platform->command(o.platform, &machine, &line);
    shown = words_line(&line);
    if (o.dry_run) {
        puts(shown);
        return STATUS_DONE;
    }
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "parangon: %s on %s; Ctrl-A X ends it\n", o.guest, o.platform->name);
    if (o.gdb)
        fprintf(stderr, "parangon: waiting for a debugger: target remote 127.0.0.1:1234\n");
    execv(line.word[0], line.word);
    fprintf(stderr, "parangon: cannot run %s: %s\n", line.word[0], strerror(errno));
    return STATUS_INCOMPLETE;
}

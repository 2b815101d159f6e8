/* SPDX-License-Identifier: MIT */
/*
 * What platforms share: the table, the machine, the guest's command line, and the launch forms that are
 * not a peer's (bench/platform.h).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/kernel.h"
#include "bench/paths.h"
#include "bench/platform.h"

const struct platform *const platform_table[] = {
    &platform_native,  &platform_native_matched, &platform_pv,           &platform_pvh,
    &platform_hvm_pv,  &platform_hvm,            &platform_xen_pv,       &platform_xen_pv_tuned,
    &platform_xen_pvh, NULL,
};

const struct platform *platform_find(const char *name)
{
    for (size_t i = 0; platform_table[i]; i++)
        if (strcmp(platform_table[i]->name, name) == 0)
            return platform_table[i];
    return NULL;
}

bool platform_has_class(const struct platform *platform, enum run_class class)
{
    return platform->classes & (1u << class);
}

const char *platform_cpu_of_all(const struct words *names)
{
    const char *cpu = NULL;

    for (size_t i = 0; platform_table[i]; i++)
        for (size_t k = 0; k < names->nr && platform_table[i]->cpu; k++) {
            size_t n = strcspn(names->word[k], ":"); /* "pvh:default" */

            if (strlen(platform_table[i]->name) == n &&
                strncmp(platform_table[i]->name, names->word[k], n) == 0)
                cpu = platform_table[i]->cpu;
        }
    return cpu;
}

/* The processor model of a machine. */
static const char *cpu_of(const struct platform *platform, const struct machine *machine)
{
    return machine->cpu ? machine->cpu : platform->cpu;
}

void platform_base(const struct machine *machine, struct platform_hardware hardware,
                   struct words *argv)
{
    words_add(argv, "%s", machine->inputs->qemu);
    for (size_t i = 0; i < 3; i++)
        if (machine->inputs->firmware[i])
            words_option(argv, "-L", "%s", machine->inputs->firmware[i]);
    if (hardware.low_mib)
        words_option(argv, "-M", "pc,max-ram-below-4g=%uM", hardware.low_mib);
    else
        words_option(argv, "-M", "pc");
    words_option(argv, "-cpu", "%s", hardware.cpu ? hardware.cpu : MACHINE_CPU);
    words_option(argv, "-m", "%d", MACHINE_MEMORY_MIB);
    words_option(argv, "-accel", "tcg");
    /* One instruction is one nanosecond; idle time is skipped. With the clock, the seed and no
     * network all that could make two runs differ is pinned. */
    if (!machine->real_time) {
        words_option(argv, "-icount", "shift=0,sleep=off");
        words_option(argv, "-rtc", "base=2026-01-01T00:00:00,clock=vm");
    }
    words_option(argv, "-seed", "1");
    words_add(argv, "-nodefaults");
    words_add(argv, "-no-user-config");
    words_add(argv, "-no-reboot"); /* a panic ends the machine instead of starting it again */
    words_option(argv, "-display", "none");
    words_option(argv, "-serial", "%s", machine->console);
    if (machine->plugin)
        words_option(argv, "-plugin", "%s", machine->plugin);
    if (machine->gdb) {
        words_option(argv, "-gdb", "tcp:127.0.0.1:1234");
        words_add(argv, "-S");
    }
}

/* The guest kernel's command line: what is common, the class, what the platform and the request add.
 * Caller frees. */
static char *guest_args(const struct platform *platform, const struct machine *machine)
{
    /* nokaslr: one layout on every platform, and addresses that symbols fit. cryptomgr.notests:
     * half of a native boot would be self-tests of ciphers. panic=-1: a panic reboots at once,
     * which ends the machine. */
    static const char common[] = "nokaslr cryptomgr.notests panic=-1 quiet loglevel=2";
    static const char tuned[] = " mitigations=off randomize_kstack_offset=off";
    const char *more = platform->guest_more ? platform->guest_more : "";
    const char *requested = machine->guest_args ? machine->guest_args : "";

    return format("console=%s %s%s%s%s%s%s", platform->console, common,
                  machine->class == RUN_TUNED ? tuned : "", *more ? " " : "", more,
                  *requested ? " " : "", requested);
}

/* A comma inside the arguments of a module would separate modules: QEMU takes a doubled one for
 * one. */
static char *escape_commas(const char *text)
{
    char *escaped = malloc(2 * strlen(text) + 1), *to = escaped;

    if (!escaped)
        abort();
    for (; *text; text++) {
        if (*text == ',')
            *to++ = ',';
        *to++ = *text;
    }
    *to = '\0';
    return escaped;
}

char *platform_plan_file(const struct platform *platform, const struct machine *machine)
{
    char *args, *text, *path, hex[65];
    FILE *out;

    if (!platform->domain)
        return NULL;
    args = guest_args(platform, machine);
    text = format("parangon-plan 1\ndomain linux\n%s\nkernel = 1\n%smemory = %dM\ncmdline = %s\n",
                  platform->domain, machine->ramdisk ? "ramdisk = 2\n" : "", GUEST_MEMORY_MIB, args);
    sha256_hex(text, strlen(text), hex);
    path = format("%s/plans/%.12s.plan", paths_get()->build, hex);
    out = paths_make_parent(path) == 0 ? fopen(path, "w") : NULL;
    if (!out || fputs(text, out) < 0 || fclose(out) != 0) {
        fprintf(stderr, "parangon: cannot write the launch plan %s: %s\n", path, strerror(errno));
        free(path);
        path = NULL;
    }
    free(text);
    free(args);
    return path;
}

/* The value of -initrd for multiboot: the launch plan and the guest kernel, or the guest kernel with its
 * arguments, then the ramdisk. Caller frees. */
static char *modules(const struct platform *platform, const struct machine *machine)
{
    char *args = guest_args(platform, machine), *escaped = escape_commas(args);
    const char *comma = machine->ramdisk ? "," : "", *ramdisk = machine->ramdisk ? machine->ramdisk : "";
    char *list = platform->domain
                     ? format("%s,%s%s%s", machine->plan, machine->kernel, comma, ramdisk)
                     : format("%s %s%s%s", machine->kernel, escaped, comma, ramdisk);

    free(escaped);
    free(args);
    return list;
}

void platform_hypervisor_command(const struct platform *platform, const struct machine *machine,
                                 const char *image, const char *first_options, struct words *argv)
{
    const char *options = platform->options[machine->class];
    char *list = modules(platform, machine);

    platform_base(machine, (struct platform_hardware){.cpu = cpu_of(platform, machine)}, argv);
    words_option(argv, "-kernel", "%s", image);
    words_option(argv, "-append", "%s%s%s%s%s", first_options, options ? " " : "",
                 options ? options : "", machine->hv_args ? " " : "",
                 machine->hv_args ? machine->hv_args : "");
    words_option(argv, "-initrd", "%s", list);
    free(list);
}

const char *platform_base_absent(const struct machine *machine, unsigned note)
{
    int found;

    if (!machine->inputs->qemu || access(machine->inputs->qemu, X_OK) != 0)
        return "QEMU 10 is not fetched yet: run 'parangon inputs'";
    if (!machine->kernel)
        return "the guest kernel is not fetched yet: run 'parangon inputs'";
    if (access(machine->kernel, R_OK) != 0)
        return format("the guest kernel %s cannot be read", machine->kernel);
    if (kernel_format(machine->kernel) != KERNEL_ELF)
        return format("%s is no ELF image", machine->kernel);
    found = kernel_has_xen_note(machine->kernel, note);
    if (!found && note == XEN_NOTE_PVH_ENTRY)
        found = kernel_has_multiboot(machine->kernel); /* QEMU boots these too */
    if (found < 0)
        return format("%s is a damaged ELF image", machine->kernel);
    if (!found && note == XEN_NOTE_PV_ENTRY)
        return format("%s cannot run paravirtualized: it has no Xen note with an entry point (for "
                      "Linux: CONFIG_XEN_PV)",
                      machine->kernel);
    if (!found)
        return format("%s has neither a 32-bit entry point in a Xen note (for Linux: CONFIG_PVH) "
                      "nor a multiboot header",
                      machine->kernel);
    if (machine->ramdisk && access(machine->ramdisk, R_OK) != 0)
        return format("the ramdisk %s is not there (the build makes it)", machine->ramdisk);
    return NULL;
}

const char *platform_bare_absent(const struct platform *platform, const struct machine *machine)
{
    return platform_base_absent(machine, platform->note);
}

void platform_bare_command(const struct platform *platform, const struct machine *machine,
                           struct words *argv)
{
    char *args = guest_args(platform, machine);

    /* The half that mem= takes away lies above 4 GiB: QEMU puts the ramdisk at the end of what is
     * below, and a kernel that may not use that memory would copy the ramdisk first, byte by byte. */
    platform_base(machine,
                  (struct platform_hardware){.cpu = cpu_of(platform, machine), .low_mib = GUEST_MEMORY_MIB},
                  argv);
    words_option(argv, "-kernel", "%s", machine->kernel);
    if (machine->ramdisk)
        words_option(argv, "-initrd", "%s", machine->ramdisk);
    words_option(argv, "-append", "%s mem=%dM", args, GUEST_MEMORY_MIB);
    free(args);
}

const char *platform_parangon_absent(const struct platform *platform, const struct machine *machine)
{
    const char *why = platform_base_absent(machine, platform->note);

    if (!why && access(machine->hypervisor, R_OK) != 0)
        why = format("the hypervisor is not built: %s is not there", machine->hypervisor);
    return why;
}

void platform_parangon_command(const struct platform *platform, const struct machine *machine,
                               struct words *argv)
{
    char *memory = format("dom0_mem=%dM", GUEST_MEMORY_MIB);

    platform_hypervisor_command(platform, machine, machine->hypervisor, memory, argv);
    if (machine->trace_file) {
        words_option(argv, "-object", "memory-backend-file,id=trace,mem-path=%s,share=on,size=%uM",
                     machine->trace_file, machine->trace_mib);
        words_option(argv, "-device", "ivshmem-plain,memdev=trace");
    }
    free(memory);
}

const char *platform_parangon_symbols(const struct machine *machine)
{
    return machine->hypervisor;
}

const char *const platform_parangon_clears[] = {"scrub_frames", NULL};

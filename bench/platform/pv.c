/* SPDX-License-Identifier: MIT */
/*
 * Platform "pv": the guest as the first, paravirtualized domain of Parangon's own hypervisor.
 *
 * Booted by multiboot 1: the first module is the kernel with its arguments, the second its ramdisk.
 * The class "tuned" turns the hypervisor's mitigations off too (spec-ctrl=no).
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/paths.h"
#include "bench/platform.h"

static const char *pv_absent(const struct machine *machine)
{
    const char *why = platform_base_absent(machine, XEN_NOTE_PV_ENTRY);

    if (!why && access(machine->hypervisor, R_OK) != 0)
        why = format("the hypervisor is not built: %s is not there", machine->hypervisor);
    return why;
}

static void pv_command(const struct machine *machine, struct words *argv)
{
    char *args = platform_guest_args(machine, "hvc0", NULL),
         *modules = platform_modules(machine, args);

    platform_base(machine, argv);
    words_option(argv, "-kernel", "%s", machine->hypervisor);
    words_option(argv, "-append", "dom0_mem=%dM%s%s%s", GUEST_MEMORY_MIB,
                 machine->class == RUN_TUNED ? " spec-ctrl=no" : "", machine->hv_args ? " " : "",
                 machine->hv_args ? machine->hv_args : "");
    words_option(argv, "-initrd", "%s", modules);
    if (machine->trace_file) {
        words_option(argv, "-object", "memory-backend-file,id=trace,mem-path=%s,share=on,size=%uM",
                     machine->trace_file, machine->trace_mib);
        words_option(argv, "-device", "ivshmem-plain,memdev=trace");
    }
    free(modules);
    free(args);
}

static const char *pv_symbols(const struct machine *machine)
{
    return machine->hypervisor;
}

static const char *const pv_clears[] = {"scrub_frames", NULL};

const struct platform platform_pv = {
    .name = "pv",
    .what = "paravirtualized on Parangon's hypervisor",
    .classes = PLATFORM_HAS_DEFAULT | PLATFORM_HAS_TUNED,
    .console = "hvc0",
    .symbols = pv_symbols,
    .clears = pv_clears,
    .boot_seconds = 16,
    .slow_down = 1.15,
    .absent = pv_absent,
    .command = pv_command,
};

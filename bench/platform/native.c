/* SPDX-License-Identifier: MIT */
/*
 * Platform "native": the guest with no hypervisor under it, the denominator of every ratio.
 *
 * QEMU enters the ELF image at its 32-bit entry point (PVH boot protocol), as a boot loader would;
 * there is no hypervisor that the kernel could see. mem= leaves the guest as much memory as a
 * domain has.
 */
#include <stdlib.h>

#include "bench/paths.h"
#include "bench/platform.h"

static const char *native_absent(const struct machine *machine)
{
    return platform_base_absent(machine, XEN_NOTE_PVH_ENTRY);
}

static void native_command(const struct machine *machine, struct words *argv)
{
    char *memory = format("mem=%dM", GUEST_MEMORY_MIB);
    char *args = platform_guest_args(machine, "ttyS0", memory);

    platform_base(machine, argv);
    words_option(argv, "-kernel", "%s", machine->kernel);
    if (machine->ramdisk)
        words_option(argv, "-initrd", "%s", machine->ramdisk);
    words_option(argv, "-append", "%s", args);
    free(args);
    free(memory);
}

const struct platform platform_native = {
    .name = "native",
    .what = "the guest on the machine itself",
    .classes = PLATFORM_HAS_DEFAULT | PLATFORM_HAS_TUNED,
    .console = "ttyS0",
    .boot_seconds = 14,
    .slow_down = 1.0,
    .absent = native_absent,
    .command = native_command,
};

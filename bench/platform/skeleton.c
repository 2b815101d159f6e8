/* SPDX-License-Identifier: MIT */
/*
 * A platform to copy. The build compiles this file and registers it nowhere.
 *
 * 1. Copy it to bench/platform/NAME.c, rename what says skeleton, and say in this comment what the
 * platform is and what it cannot have that native has (or the reverse).
 * 2. Declare `platform_NAME` in bench/platform.h, add its line to platform_table[] in common.c (the
 * order of that table is the order of columns) and the file to bench/CMakeLists.txt.
 * 3. `parangon list` shows it; `parangon boot linux --on NAME` boots it; `parangon bench --platform
 * native,NAME` measures it.
 *
 * Rules: the same machine, kernel, ramdisk and guest parameters as every other platform, through
 * platform_base() and platform_guest_args(). No path but those of the request. Nothing random, no
 * clock of the host.
 */
#include <stdlib.h>

#include "bench/paths.h"
#include "bench/platform.h"

extern const struct platform platform_skeleton; /* goes to bench/platform.h in a real one */

/* Why it cannot run here, in words that say what to do; NULL when it can. */
static const char *skeleton_absent(const struct machine *machine)
{
    return platform_base_absent(machine, XEN_NOTE_PVH_ENTRY);
}

/* The command line: the common machine first, then what this platform boots. */
static void skeleton_command(const struct machine *machine, struct words *argv)
{
    char *args = platform_guest_args(machine, platform_skeleton.console, NULL);

    platform_base(machine, argv);
    words_option(argv, "-kernel", "%s", machine->kernel);
    if (machine->ramdisk)
        words_option(argv, "-initrd", "%s", machine->ramdisk);
    words_option(argv, "-append", "%s", args);
    free(args);
}

const struct platform platform_skeleton = {
    .name = "skeleton",
    .what = "one line for `parangon list`",
    .classes =
        PLATFORM_HAS_DEFAULT | PLATFORM_HAS_TUNED, /* the classes of mitigations it can run */
    .console = "ttyS0",                            /* where the guest's console is there */
    .boot_seconds = 14, /* to the first process, of one core: for estimates only */
    .slow_down = 1.0,   /* instructions relative to native: for estimates only */
    .absent = skeleton_absent,
    .command = skeleton_command,
};

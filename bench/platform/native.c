/* SPDX-License-Identifier: MIT */
/*
 * Platform "native": the guest with no hypervisor under it, the denominator of every ratio.
 *
 * QEMU enters the ELF image at its 32-bit entry point (PVH boot protocol), as a boot loader would;
 * there is no hypervisor that the kernel could see. mem= leaves the guest as much memory as a
 * domain has.
 */
#include "bench/platform.h"

const struct platform platform_native = {
    .name = "native",
    .what = "the guest on the machine itself",
    .classes = PLATFORM_HAS_DEFAULT | PLATFORM_HAS_TUNED,
    .console = "ttyS0",
    .note = XEN_NOTE_PVH_ENTRY,
    .absent = platform_bare_absent,
    .command = platform_bare_command,
    .boot_seconds = 11,
    .slow_down = 1.0,
    .slow_down_single = 1.0,
};

/* SPDX-License-Identifier: MIT */
/*
 * Platform "pv": the guest as the first, paravirtualized domain of Parangon's own hypervisor.
 *
 * Booted by multiboot 1: the first module is the kernel with its arguments, the second its ramdisk.
 * The class "tuned" turns the hypervisor's mitigations off too (spec-ctrl=no).
 */
#include "bench/platform.h"

const struct platform platform_pv = {
    .name = "pv",
    .what = "paravirtualized on Parangon's hypervisor",
    .classes = PLATFORM_HAS_DEFAULT | PLATFORM_HAS_TUNED,
    .console = "hvc0",
    .note = XEN_NOTE_PV_ENTRY,
    .options = {[RUN_TUNED] = "spec-ctrl=no"},
    .absent = platform_parangon_absent,
    .command = platform_parangon_command,
    .symbols = platform_parangon_symbols,
    .clears = platform_parangon_clears,
    .boot_seconds = 15,
    .slow_down = 1.6,
    .slow_down_single = 3.0,
};

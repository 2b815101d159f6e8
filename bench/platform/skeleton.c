/* SPDX-License-Identifier: MIT */
/*
 * A platform to copy. The build compiles this file and registers it nowhere.
 *
 * 1. Copy it to bench/platform/NAME.c, rename what says skeleton, and say in this comment what the
 * platform is and what it cannot have that native has (or the reverse).
 * 2. Declare `platform_NAME` in bench/platform.h, add its line to platform_table[] in common.c (the
 * order of that table is the order of columns) and the file to bench/CMakeLists.txt.
 * 3. `parangon list` shows it; `parangon boot linux --on NAME` boots it; `parangon bench --platform
 * native,NAME` measures it. `parangon explain OPERATION --on NAME` uses .symbols.
 *
 * The entry below is a first domain in a hardware-assisted container on our own hypervisor: another
 * CPU model, another entry of the same kernel, one option. A platform that is launched in a form of
 * its own (a plan of several domains, another peer) brings an absent() and a command() of its own, on
 * platform_base() and platform_hypervisor_command().
 *
 * Rules: the same machine, kernel, ramdisk and guest parameters as every other platform, through the
 * shared functions; a run measures native on the same CPU model. No path but those of the
 * request. Nothing random, no clock of the host.
 */
#include "bench/platform.h"

extern const struct platform platform_skeleton; /* goes to bench/platform.h in a real one */

const struct platform platform_skeleton = {
    .name = "skeleton",
    .what = "one line for `parangon list`",
    .classes = PLATFORM_HAS_DEFAULT | PLATFORM_HAS_TUNED, /* of mitigations, that it can run */
    .console = "hvc0",             /* the guest's console on it */
    .cpu = MACHINE_CPU_SVM,         /* left out: MACHINE_CPU. A run takes one model for all its platforms */
    .note = XEN_NOTE_PVH_ENTRY,    /* the kernel's entry that it is launched by */
    .options = {[RUN_DEFAULT] = "dom0=pvh", [RUN_TUNED] = "dom0=pvh spec-ctrl=no"},
    .guest_more = NULL,            /* words for the guest's command line, on this platform only */
    .absent = platform_parangon_absent, /* the launch form: bare, parangon or xen */
    .command = platform_parangon_command,
    .symbols = platform_parangon_symbols,
    .clears = platform_parangon_clears,
    .boot_seconds = 10, /* to the first process, of one core: for estimates only */
    .slow_down = 1.1,   /* processor time relative to native: for estimates only */
    .slow_down_single = 1.2, /* processor time relative to native: for estimates only */
};

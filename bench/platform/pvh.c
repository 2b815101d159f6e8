/* SPDX-License-Identifier: MIT */
/*
 * Platform "pvh": the guest as the first domain of Parangon's own hypervisor, with hardware's help (SVM, nested paging).
 *
 * As "pv", but for the processor, which has SVM, and the entry: the kernel's own 32-bit one, its page tables and descriptors its
 * own. QEMU's SVM does not tell where the next instruction begins (no nrip-save): most exits pay for reading the instruction.
 */
#include "bench/platform.h"

const struct platform platform_pvh = {
    .name = "pvh",
    .what = "with hardware's help (SVM, nested paging) on Parangon's hypervisor",
    .classes = PLATFORM_HAS_DEFAULT | PLATFORM_HAS_TUNED,
    .console = "hvc0",
    .cpu = MACHINE_CPU_SVM,
    .note = XEN_NOTE_PVH_ENTRY,
    .options = {[RUN_DEFAULT] = "dom0=pvh", [RUN_TUNED] = "dom0=pvh spec-ctrl=no"},
    .absent = platform_parangon_absent,
    .command = platform_parangon_command,
    .symbols = platform_parangon_symbols,
    .clears = platform_parangon_clears,
    .boot_seconds = 12,
    .slow_down = 1.1,
    .slow_down_single = 1.1,
};

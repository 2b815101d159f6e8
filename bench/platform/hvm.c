/* SPDX-License-Identifier: MIT */
/*
 * Platforms "hvm" and "hvm-pv": the guest as an HVM domain of Parangon's own hypervisor, by a launch plan: it is entered by
 * Linux' own boot protocol and finds a PC with local APIC, I/O APIC, 8254, RTC, 16550 and ACPI.
 *
 * "hvm" hides every sign of the hypervisor: the operating system that has never heard of Xen. "hvm-pv" shows them, so that the
 * same kernel's PV drivers for events, timers and spinlocks take over from the PC's devices. The console is the 16550 on both.
 * Its clock is the page that the hypervisor publishes, where "pvh" reads the TSC alone: Linux 6.1 prefers the TSC only in a first domain, which
 * an HVM one never is to it; later kernels do where CPUID says that the TSC is invariant, which TCG's processors do not.
 */
#include "bench/platform.h"

#define BOTH                                                                                       \
    .classes = PLATFORM_HAS_DEFAULT | PLATFORM_HAS_TUNED, .console = "ttyS0",                      \
    .cpu = MACHINE_CPU_SVM, .note = XEN_NOTE_PVH_ENTRY, .options = {[RUN_TUNED] = "spec-ctrl=no"}, \
    .absent = platform_parangon_absent, .command = platform_parangon_command,                      \
    .symbols = platform_parangon_symbols, .clears = platform_parangon_clears, .boot_seconds = 14,  \
    .slow_down = 1.1, .slow_down_single = 1.1

const struct platform platform_hvm = {
    .name = "hvm",
    .what = "unmodified in a hardware-assisted PC (SVM) on Parangon's hypervisor, which is hidden",
    .domain = "kind = hvm\nxen = no\nprivileged = yes",
    BOTH,
};

const struct platform platform_hvm_pv = {
    .name = "hvm-pv",
    .what = "the same PC with the kernel's PV drivers on",
    .domain = "kind = hvm\nxen = yes\nprivileged = yes",
    BOTH,
};

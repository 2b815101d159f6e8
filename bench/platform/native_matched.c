/* SPDX-License-Identifier: MIT */
/*
 * Platform "native-matched": native without what a paravirtualized guest cannot have, so that the
 * rest of the difference is the hypervisor's.
 *
 * clearcpuid=pse,pge: no 2 MiB mappings (the direct map is 4 KiB pages throughout: DirectMap2M is
 * 0), no global pages, and with no PSE no transparent huge pages either (transparent_hugepage=never
 * says so again). The clock source is the TSC on all platforms but hvm-pv; clocksource=tsc pins it. What still
 * differs: pse36 and svm stay in the CPU flags; interrupts come from the APIC and not by event
 * channel; the page tables are the kernel's own; memory starts where the machine's does; the
 * console is a UART and not the hypervisor's. The table of differences in every result shows these
 * as the guests saw them.
 */
#include "bench/platform.h"

const struct platform platform_native_matched = {
    .name = "native-matched",
    .what = "native without large and global pages, which PV cannot have",
    .classes = PLATFORM_HAS_DEFAULT | PLATFORM_HAS_TUNED,
    .console = "ttyS0",
    .note = XEN_NOTE_PVH_ENTRY,
    .guest_more = "clearcpuid=pse,pge transparent_hugepage=never clocksource=tsc",
    .absent = platform_bare_absent,
    .command = platform_bare_command,
    .boot_seconds = 11,
    .slow_down = 1.0,
    .slow_down_single = 1.0,
};

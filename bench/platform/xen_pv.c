/* SPDX-License-Identifier: MIT */
/*
 * Platforms "xen-pv", "xen-pv-tuned" and "xen-pvh": the guest as first domain of Debian's Xen 4.17, the peer.
 *
 * Measured in the same run as our own, never taken from an earlier one. "xen-pv" is Xen as Debian
 * ships it, in the class "default"; "xen-pv-tuned" runs with what an expert would turn off, in the
 * class "tuned". The two never cross classes.
 *
 * "xen-pvh" cannot be measured with the QEMU that counts: see platform_xen_pvh_absent(). Its launch form is
 * complete; guests/micro runs on it, and its rows of single exits are the peer of our own.
 */
#include <stdlib.h>
#include <unistd.h>

#include "bench/paths.h"
#include "bench/platform.h"

const char *platform_xen_absent(const struct platform *platform, const struct machine *machine)
{
    const char *why = platform_base_absent(machine, platform->note);

    if (!why && !machine->inputs->xen)
        why = "Debian's Xen is not fetched yet: run 'parangon inputs'";
    return why;
}

void platform_xen_command(const struct platform *platform, const struct machine *machine,
                          struct words *argv)
{
    char *first = format("dom0_mem=%dM,max:%dM console=com1 com1=115200,8n1", GUEST_MEMORY_MIB,
                         GUEST_MEMORY_MIB);

    platform_hypervisor_command(platform, machine, machine->inputs->xen, first, argv);
    free(first);
}

const char *platform_xen_symbols(const struct machine *machine)
{
    return machine->inputs->xen_syms;
}

/* xen/common/page_alloc.c, and the functions that it calls for each page. */
const char *const platform_xen_clears[] = {"scrub_one_page",       "clear_page_sse2",
                                           "clear_domain_page",    "smp_scrub_heap_pages",
                                           "scrub_free_pages",     NULL};

/*
 * QEMU 9 and later report a guest's read of any control register, intercepted or not, as one of CR0 when reads of CR0 are
 * intercepted (EXITCODE 0). Xen intercepts those, emulates the instruction, and for CR2 gives the value that it saved last,
 * not the guest's (`-d int` of QEMU 10.0.2: EXITCODE 0 at the kernel's early MOV from CR2, then the kernel's own halt).
 * QEMU 7.2 does not, but has an older plugin interface, so nothing would be counted.
 */
static const char *platform_xen_pvh_absent(const struct platform *platform, const struct machine *machine)
{
    const char *why = platform_xen_absent(platform, machine);

    return why || machine->micro
               ? why
               : "QEMU 9 and later report a read of CR2 as one of CR0 to Xen, which answers with an old value: Linux halts "
                 "at its first page fault (guests/micro runs: tests/micro/run xen-pvh)";
}

const struct platform platform_xen_pv = {
    .name = "xen-pv",
    .what = "paravirtualized on Debian's Xen 4.17, as shipped",
    .peer = true,
    .classes = PLATFORM_HAS_DEFAULT,
    .console = "hvc0",
    .note = XEN_NOTE_PV_ENTRY,
    .absent = platform_xen_absent,
    .command = platform_xen_command,
    .symbols = platform_xen_symbols,
    .clears = platform_xen_clears,
    .boot_seconds = 38,
    .slow_down = 1.8,
    .slow_down_single = 2.4,
};

const struct platform platform_xen_pv_tuned = {
    .name = "xen-pv-tuned",
    .what = "paravirtualized on Debian's Xen 4.17, mitigations off, null scheduler",
    .peer = true,
    .classes = PLATFORM_HAS_TUNED,
    .console = "hvc0",
    .note = XEN_NOTE_PV_ENTRY,
    .options = {[RUN_TUNED] =
                    "spec-ctrl=no xpti=no pv-l1tf=no bootscrub=0 sched=null loglvl=none"},
    .absent = platform_xen_absent,
    .command = platform_xen_command,
    .symbols = platform_xen_symbols,
    .clears = platform_xen_clears,
    .boot_seconds = 38,
    .slow_down = 1.7,
    .slow_down_single = 2.4,
};

const struct platform platform_xen_pvh = {
    .name = "xen-pvh",
    .what = "with hardware's help (SVM) on Debian's Xen 4.17: guests/micro only, doctor says why",
    .peer = true,
    .classes = PLATFORM_HAS_DEFAULT,
    .console = "hvc0",
    .cpu = MACHINE_CPU_SVM,
    .note = XEN_NOTE_PVH_ENTRY,
    .options = {[RUN_DEFAULT] = "dom0=pvh dom0-iommu=none"},
    .absent = platform_xen_pvh_absent,
    .command = platform_xen_command,
    .symbols = platform_xen_symbols,
    .clears = platform_xen_clears,
    .boot_seconds = 40,
    .slow_down = 3,
    .slow_down_single = 3,
};

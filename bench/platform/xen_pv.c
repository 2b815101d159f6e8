/* SPDX-License-Identifier: MIT */
/*
 * Platforms "xen-pv" and "xen-pv-tuned": the guest as first domain of Debian's Xen 4.17, the peer.
 *
 * Measured in the same run as our own, never taken from an earlier one. "xen-pv" is Xen as Debian
 * ships it, in the class "default"; "xen-pv-tuned" runs with what an expert would turn off, in the
 * class "tuned". The two never cross classes.
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

const struct platform platform_xen_pv = {
    .name = "xen-pv",
    .what = "paravirtualized on Debian's Xen 4.17, as shipped",
    .classes = PLATFORM_HAS_DEFAULT,
    .console = "hvc0",
    .note = XEN_NOTE_PV_ENTRY,
    .absent = platform_xen_absent,
    .command = platform_xen_command,
    .symbols = platform_xen_symbols,
    .clears = platform_xen_clears,
    .boot_seconds = 28,
    .slow_down = 2.8,
};

const struct platform platform_xen_pv_tuned = {
    .name = "xen-pv-tuned",
    .what = "paravirtualized on Debian's Xen 4.17, mitigations off, null scheduler",
    .classes = PLATFORM_HAS_TUNED,
    .console = "hvc0",
    .note = XEN_NOTE_PV_ENTRY,
    .options = {[RUN_TUNED] =
                    "spec-ctrl=no xpti=no pv-l1tf=no bootscrub=0 sched=null loglvl=none"},
    .absent = platform_xen_absent,
    .command = platform_xen_command,
    .symbols = platform_xen_symbols,
    .clears = platform_xen_clears,
    .boot_seconds = 28,
    .slow_down = 2.6,
};

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

static const char *xen_absent(const struct machine *machine)
{
    const char *why = platform_base_absent(machine, XEN_NOTE_PV_ENTRY);

    if (!why && !machine->inputs->xen)
        why = "Debian's Xen is not fetched yet: run 'parangon inputs'";
    return why;
}

static const char *xen_symbols(const struct machine *machine)
{
    return machine->inputs->xen_syms;
}

/* xen/common/page_alloc.c and the function that it calls for each page. */
static const char *const xen_clears[] = {"scrub_one_page", "clear_page_sse2", "clear_domain_page",
                                         "smp_scrub_heap_pages", "scrub_free_pages", NULL};

static void xen_command_with(const struct machine *machine, struct words *argv, const char *options)
{
    char *args = platform_guest_args(machine, "hvc0", NULL),
         *modules = platform_modules(machine, args);

    platform_base(machine, argv);
    words_option(argv, "-kernel", "%s", machine->inputs->xen);
    words_option(argv, "-append", "dom0_mem=%dM,max:%dM console=com1 com1=115200,8n1%s%s%s",
                 GUEST_MEMORY_MIB, GUEST_MEMORY_MIB, options, machine->hv_args ? " " : "",
                 machine->hv_args ? machine->hv_args : "");
    words_option(argv, "-initrd", "%s", modules);
    free(modules);
    free(args);
}

static void xen_command(const struct machine *machine, struct words *argv)
{
    xen_command_with(machine, argv, "");
}

static void xen_tuned_command(const struct machine *machine, struct words *argv)
{
    xen_command_with(machine, argv,
                     " spec-ctrl=no xpti=no pv-l1tf=no bootscrub=0 sched=null loglvl=none");
}

const struct platform platform_xen_pv = {
    .name = "xen-pv",
    .what = "paravirtualized on Debian's Xen 4.17, as shipped",
    .classes = PLATFORM_HAS_DEFAULT,
    .console = "hvc0",
    .symbols = xen_symbols,
    .clears = xen_clears,
    .boot_seconds = 33,
    .slow_down = 1.6,
    .absent = xen_absent,
    .command = xen_command,
};

const struct platform platform_xen_pv_tuned = {
    .name = "xen-pv-tuned",
    .what = "paravirtualized on Debian's Xen 4.17, mitigations off, null scheduler",
    .classes = PLATFORM_HAS_TUNED,
    .console = "hvc0",
    .symbols = xen_symbols,
    .clears = xen_clears,
    .boot_seconds = 30,
    .slow_down = 1.5,
    .absent = xen_absent,
    .command = xen_tuned_command,
};

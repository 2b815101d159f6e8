/* SPDX-License-Identifier: MIT */
/*
 * The launch plan: which domains the hypervisor builds from its boot modules.
 *
 * A plan is a text in a boot module whose file name ends in ".plan" or whose text begins with the
 * word "parangon-plan". Lines:
 *
 *   # comment (a line of its own)
 *   parangon-plan 1                   format version; the first line if present
 *   domain NAME                       begins a domain; 1 to 31 letters, digits, '-', '_' or '.'
 *     kind = pv | pvh | hvm           kind of domain (default pv); pvh and hvm need the processor's virtualization
 *     xen = yes | no                  hvm: whether it may know of the hypervisor and use its drivers (default yes)
 *     upcall = callback | apic        pvh, hvm: events by callback vector (default), or by the local APIC with an EOI each
 *     kernel = MODULE                 a boot module by number (the first is 0) or by its file name without folders
 *     ramdisk = MODULE                default: none
 *     cmdline = ...                   to the end of the line (default: empty)
 *     memory = SIZE                   4 KiB or more; K, M, G, without suffix MiB
 *     vcpus = N                       1 to 32 (default 1)
 *     weight = N                      1 to 65535 (default 256)
 *     cap = N                         percent of one processor, 0: none (default), at most 100 for each vCPU
 *     affinity = LIST                 processors, as 0,2-3, or all (default)
 *     pool = N                        pool of processors (option pools), 0: the one that has all others (default)
 *     privileged = yes | no           the first domain's rights (default no); one domain at most
 *
 * kernel and memory must be given. Every error has one line on the console with the number of its
 * line in the plan, and no domain is launched. Without a plan module 0 is the kernel of a
 * privileged domain, the words behind its file name are that domain's command line, module 1, if
 * any, is its ramdisk.
 */
#ifndef PARANGON_LAUNCH_H
#define PARANGON_LAUNCH_H

#include "domain.h"

#define LAUNCH_MAX_DOMAINS 200
#define LAUNCH_CMDLINE_MAX 1024   /* with its end, as start_info has it (xen.h MAX_GUEST_CMDLINE) */

struct boot_module {
    const char *string;          /* file name and arguments, as the boot loader gives them; never NULL */
    const void *data;            /* mapped */
    u64 size;                    /* bytes */
    u64 paddr;
};

/** What there is for domains. */
struct launch_machine {
    u64 memory;                  /* bytes free for them */
    u16 pcpus, pools;
    u64 dom0_mem;                /* options dom0_mem and dom0_max_vcpus, for the case without a plan */
    u16 dom0_vcpus;
    bool dom0_pvh;               /* option dom0=pvh */
};

struct launch_domain {
    char name[32];
    enum domain_kind kind;
    bool privileged;
    bool hide_xen, upcall_by_apic; /* keys xen and upcall */
    const struct boot_module *kernel, *ramdisk; /* ramdisk NULL: none */
    char cmdline[LAUNCH_CMDLINE_MAX];
    u64 memory;                  /* bytes, a multiple of 4 KiB */
    u16 vcpus, weight, cap, pool;
    u64 affinity;                /* bit per pcpu */
};

struct launch_plan {
    unsigned int nr;
    struct launch_domain domain[LAUNCH_MAX_DOMAINS];
};

/**
 * Read the plan among the modules, or make the one for a single privileged domain.
 *
 * Checks that kernels are uncompressed ELF images, and that the domains fit the machine's memory.
 * @return 0; -XEN_EINVAL after a message for each error; -XEN_ENOENT without any module, with a message
 */
int launch_plan(const struct boot_module *mods, unsigned int nr, const struct launch_machine *machine,
                struct launch_plan *out);

#endif

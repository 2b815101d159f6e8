/* SPDX-License-Identifier: MIT */
/*
 * Platforms: what a workload can run on. Each is one file in bench/platform/ and one line in
 * platform_table[].
 *
 * A platform turns a request (struct machine) into a QEMU command line. All share one machine
 * (platform_base()), one kernel, one ramdisk, one CPU model and one set of guest parameters; a
 * platform adds what makes it what it is, and nothing else. Adding one: copy
 * bench/platform/skeleton.c, which says what to fill in.
 */
#ifndef PARANGON_PLATFORM_H
#define PARANGON_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>

#include "analysis/results.h"
#include "bench/inputs.h"
#include "bench/words.h"

#define MACHINE_CPU        "qemu64"
#define MACHINE_MEMORY_MIB 1024 /* of the machine */
#define GUEST_MEMORY_MIB   512  /* of a domain, and of a native guest */

/** One machine to be: everything a platform needs to know to build its command line. */
struct machine {
    const struct inputs *inputs;
    const char *hypervisor; /* build/hv/parangon */
    const char *kernel;     /* the guest's: an ELF image */
    const char *ramdisk;    /* may be NULL: none */
    const char *guest_args; /* for the guest's command line: pgn.workloads=... */
    const char *hv_args;    /* further options of the hypervisor; NULL for none */
    enum run_class class;
    const char *console;    /* a QEMU character device: "file:console.log", "mon:stdio" */
    const char *plugin;     /* value of -plugin; NULL for none */
    const char *trace_file; /* backs the trace ring in shared memory; NULL for none (pv only) */
    unsigned trace_mib;     /* its size */
    bool real_time; /* the host's clock instead of one instruction a nanosecond: for people at a
                       console */
    bool gdb;       /* wait for a debugger on port 1234 of the loopback interface */
};

#define PLATFORM_HAS_DEFAULT (1u << RUN_DEFAULT)
#define PLATFORM_HAS_TUNED   (1u << RUN_TUNED)

struct platform {
    const char *name;
    const char *what;    /* one line for `list` */
    unsigned classes;    /* PLATFORM_HAS_*: classes of mitigations it can run */
    const char *console; /* the guest's console device on this platform: "ttyS0", "hvc0" */
    /* The file with the hypervisor's symbols, NULL where it is not there; NULL: there is no
     * hypervisor. */
    const char *(*symbols)(const struct machine *machine);
    /* Functions among them that clear memory before it is given to a guest: what they execute before
     * the guest runs is counted apart. Ends with NULL. */
    const char *const *clears;
    double boot_seconds; /* of one core, from start to the guest's first process, for estimates */
    double slow_down;    /* instructions of a workload, relative to native, for estimates */
    /** @return NULL when the platform can run here, else why not and what to do (a static or leaked
     * text) */
    const char *(*absent)(const struct machine *machine);
    /** Append the command line for this machine, argv[0] included. Never fails after absent()
     * returned NULL. */
    void (*command)(const struct machine *machine, struct words *argv);
};

extern const struct platform *const platform_table[]; /* in the order of tables; ends with NULL */

extern const struct platform platform_native, platform_native_matched, platform_pv, platform_xen_pv,
    platform_xen_pv_tuned;

/** @return the platform of that name, or NULL */
const struct platform *platform_find(const char *name);

/** Which classes a platform can run. */
bool platform_has_class(const struct platform *platform, enum run_class class);

/* What platforms share (bench/platform/common.c). */

/** QEMU and the machine that is the same on all platforms, with console, plugin and debugger as
 * requested. */
void platform_base(const struct machine *machine, struct words *argv);

/** The guest kernel's command line: what is common, the class, what the request adds, then `more`.
 * Caller frees. */
char *platform_guest_args(const struct machine *machine, const char *console, const char *more);

/** The value of -initrd for multiboot: the guest kernel with its arguments, then the ramdisk.
 * Caller frees. */
char *platform_modules(const struct machine *machine, const char *guest_args);

/** Why QEMU or the guest's kernel or ramdisk cannot be used; NULL when they can. `note` is the Xen
 * note it boots by. */
const char *platform_base_absent(const struct machine *machine, unsigned note);

/** The guest on the machine itself, no hypervisor under it: why it cannot be had (as platform_base_absent()), or NULL. */
const char *platform_bare_absent(const struct machine *machine);
/**
 * Its command line: the kernel by its 32-bit PVH entry, memory cut to a domain's by mem=.
 *
 * @param more  further words for the kernel's command line; NULL: none
 */
void platform_bare_command(const struct machine *machine, struct words *argv, const char *more);

#define XEN_NOTE_PV_ENTRY  1  /* xen/elfnote.h: XEN_ELFNOTE_ENTRY */
#define XEN_NOTE_PVH_ENTRY 18 /* XEN_ELFNOTE_PHYS32_ENTRY */

#endif

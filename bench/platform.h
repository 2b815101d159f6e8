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
#define MACHINE_CPU_SVM    MACHINE_CPU ",+svm,+npt" /* what hardware-assisted domains need */
#define MACHINE_MEMORY_MIB 1024 /* of the machine */
#define GUEST_MEMORY_MIB   512  /* of a domain, and of a native guest */

/** One machine to be: everything a platform needs to know to build its command line. */
struct machine {
    const struct inputs *inputs;
    const char *hypervisor; /* build/hv/parangon */
    const char *kernel;     /* the guest's: an ELF image */
    const char *ramdisk;    /* may be NULL: none */
    bool micro;             /* the kernel is guests/micro */
    const char *guest_args; /* for the guest's command line: pgn.workloads=... */
    const char *hv_args;    /* further options of the hypervisor; NULL for none */
    enum run_class class;
    const char *cpu;        /* QEMU's model; NULL: what the platform needs */
    const char *plan;       /* file of the launch plan, on platforms that have one */
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

/**
 * A platform: one entry, mostly data. The form in which it is launched is a pair of functions that
 * several share: platform_bare_*, platform_parangon_*, platform_xen_* (below).
 */
struct platform {
    const char *name;
    const char *what;    /* one line for `list` */
    unsigned classes;    /* PLATFORM_HAS_*: classes of mitigations it can run */
    const char *console; /* the guest's console device on this platform: "ttyS0", "hvc0" */
    const char *cpu;     /* QEMU's model that it needs, NULL: MACHINE_CPU; MACHINE_CPU_SVM */
    unsigned note;       /* XEN_NOTE_*: the note in the guest's kernel that names its entry */
    const char *options[2];   /* of the hypervisor, by class; NULL: none */
    const char *guest_more;   /* further words for the guest's command line; NULL: none */
    /* Lines of a launch plan that make its domain what it is ("kind = hvm"); NULL: a first domain by options. */
    const char *domain;
    /** Why it cannot run here, in words that say what to do; NULL when it can. */
    const char *(*absent)(const struct platform *platform, const struct machine *machine);
    /** The command line, program included. Only for machines of which absent() is NULL. */
    void (*command)(const struct platform *platform, const struct machine *machine,
                    struct words *argv);
    /* The file with the hypervisor's symbols, NULL where it is not there; NULL: there is no
     * hypervisor. */
    const char *(*symbols)(const struct machine *machine);
    /* Functions among them that clear memory before it is given to a guest: what they execute before
     * the guest runs is counted apart. Ends with NULL. */
    const char *const *clears;
    bool peer;           /* somebody else's hypervisor, measured beside ours */
    double boot_seconds; /* of one core, from start to the guest's first process, for estimates */
    double slow_down;    /* processor time of programs, relative to native, for estimates */
    double slow_down_single; /* the same of single operations, which enter the hypervisor more often */
};

extern const struct platform *const platform_table[]; /* in the order of tables; ends with NULL */

extern const struct platform platform_native, platform_native_matched, platform_pv, platform_pvh,
    platform_hvm, platform_hvm_pv, platform_xen_pv, platform_xen_pv_tuned, platform_xen_pvh;

/** @return the platform of that name, or NULL */
const struct platform *platform_find(const char *name);

/**
 * The launch plan of a machine, as a file in the build folder that is named by its contents.
 *
 * @return its path (caller frees); NULL where the platform has no plan, and after a message where it
 * cannot be written
 */
char *platform_plan_file(const struct platform *platform, const struct machine *machine);

/** The processor model for machines of a run: one for all that are compared. NULL: MACHINE_CPU. */
const char *platform_cpu_of_all(const struct words *names);

/** Which classes a platform can run. */
bool platform_has_class(const struct platform *platform, enum run_class class);

/* Launch forms (bench/platform/common.c, xen_pv.c). */

/** The guest on the machine itself, no hypervisor under it: by its 32-bit PVH entry, memory cut to a
 * domain's by mem=. */
const char *platform_bare_absent(const struct platform *platform, const struct machine *machine);
void platform_bare_command(const struct platform *platform, const struct machine *machine,
                           struct words *argv);

/** The guest as first domain of Parangon's hypervisor, a boot module of it (multiboot 1). What kind of
 * domain it is, options[] say, or the lines of its launch plan in `domain`. */
const char *platform_parangon_absent(const struct platform *platform,
                                     const struct machine *machine);
void platform_parangon_command(const struct platform *platform, const struct machine *machine,
                               struct words *argv);
const char *platform_parangon_symbols(const struct machine *machine);
extern const char *const platform_parangon_clears[];

/** The same on Debian's Xen. */
const char *platform_xen_absent(const struct platform *platform, const struct machine *machine);
void platform_xen_command(const struct platform *platform, const struct machine *machine,
                          struct words *argv);
const char *platform_xen_symbols(const struct machine *machine);
extern const char *const platform_xen_clears[];

/* What launch forms share (bench/platform/common.c). */

/** What may differ between the machines of two platforms. */
struct platform_hardware {
    const char *cpu;  /* NULL: MACHINE_CPU */
    unsigned low_mib; /* how much of the memory lies below 4 GiB; 0: all that fits */
};

/** QEMU and the machine that is the same on all platforms, with console, plugin and debugger as
 * requested. */
void platform_base(const struct machine *machine, struct platform_hardware hardware,
                   struct words *argv);

/**
 * A hypervisor's command line: the guest's kernel and ramdisk as boot modules.
 *
 * @param first_options  of the hypervisor, before those of platform, class and request
 */
void platform_hypervisor_command(const struct platform *platform, const struct machine *machine,
                                 const char *image, const char *first_options, struct words *argv);

/** Why QEMU or the guest's kernel or ramdisk cannot be used; NULL when they can. `note` is the Xen
 * note it boots by. */
const char *platform_base_absent(const struct machine *machine, unsigned note);

#define XEN_NOTE_PV_ENTRY  1  /* xen/elfnote.h: XEN_ELFNOTE_ENTRY */
#define XEN_NOTE_PVH_ENTRY 18 /* XEN_ELFNOTE_PHYS32_ENTRY */

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The file that the counting plugin writes: one header, then one struct interval per BEGIN/END pair
 * of marks (mark.h), in the order of their ends; plain little-endian memory images.
 *
 * Units: instructions, REP folded (consecutive iterations of one REP instruction are one); events
 * as counters.def.
 * user + kernel + hypervisor is every instruction retired between the marks on all vCPUs. Idle
 * executes none.
 * user + kernel + hypervisor + counter[rep_iter] is what QEMU's -icount charges, but for
 * instructions that fault without being executed (UD2, privileged ones in ring 3, INT through a
 * closed gate): QEMU charges those too.
 *
 * Guest kernel text is any address from 0xffffffff80000000; a guest that never runs there begins
 * its BOOT interval at its first mark. The DOM mark is recognised and changes nothing, so that all
 * platforms share one boundary.
 */
#ifndef PARANGON_INTERVAL_H
#define PARANGON_INTERVAL_H

#include <stdint.h>

enum counter_id {
#define COUNTER(name, what) COUNTER_##name,
#include "counters.def"
#undef COUNTER
    COUNTER_NR
};

#define INTERVAL_MAGIC   0x31564c4f4e474150ull
#define INTERVAL_VERSION 2u

struct interval_file_head {
    uint64_t magic;       /* INTERVAL_MAGIC */
    uint32_t version;     /* INTERVAL_VERSION */
    uint32_t nr_counters; /* COUNTER_NR of the writer */
    uint64_t valid; /* bit i: counter i was measured; where clear, its zero means "not measured" */
    uint32_t nr_intervals; /* records that follow; a shorter file is a broken one */
    /* Early ends of a translation block that the writer could not explain: 0 = counts exact. */
    uint32_t nr_inexact;
};

enum interval_kind {
    INTERVAL_MEASURED = 0, /* between BEGIN and END */
    INTERVAL_PRE_DOMAIN,   /* from reset to the guest kernel's first instruction: all hypervisor */
    INTERVAL_BOOT,         /* from there to the INIT mark */
};

struct interval {
    uint32_t kind; /* enum interval_kind */
    uint32_t seq;  /* 0, 1, 2... among those of its kind */
    uint64_t user, kernel, hypervisor;
    uint64_t apart; /* of hypervisor: within the functions that the plugin was told to count apart */
    uint64_t counter[COUNTER_NR];
};

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The file that the counting plugin writes: one header, then one struct interval per BEGIN/END pair of marks
 * (mark.h), in the order of their ends; plain little-endian memory images.
 *
 * Units: instructions, REP folded (consecutive iterations of one REP instruction are one); events as counters.def.
 * user + kernel + hypervisor is every instruction retired between the marks on all vCPUs. Idle executes none.
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
#define INTERVAL_VERSION 1u

struct interval_file_head {
    uint64_t magic;       /* INTERVAL_MAGIC */
    uint32_t version;     /* INTERVAL_VERSION */
    uint32_t nr_counters; /* COUNTER_NR of the writer */
};

enum interval_kind {
    INTERVAL_MEASURED = 0, /* between BEGIN and END */
    INTERVAL_PRE_DOMAIN,   /* from reset to the DOM mark (firmware excluded from user/kernel: all below it is hypervisor) */
    INTERVAL_BOOT,         /* from the DOM mark, or from the guest kernel's first instruction, to the INIT mark */
};

struct interval {
    uint32_t kind; /* enum interval_kind */
    uint32_t seq;  /* 0, 1, 2... among those of its kind */
    uint64_t user, kernel, hypervisor;
    uint64_t counter[COUNTER_NR];
};

#endif

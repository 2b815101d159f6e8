/* SPDX-License-Identifier: MIT */
/*
 * The table of workloads, made from workloads.def.
 */
#include <stddef.h>

#include "workload.h"

#define WORKLOAD(id) extern const struct workload workload_##id;
#include "workloads.def"
#undef WORKLOAD

const struct workload *const workload_table[] = {
#define WORKLOAD(id) &workload_##id,
#include "workloads.def"
#undef WORKLOAD
    NULL,
};

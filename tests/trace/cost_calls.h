/* SPDX-License-Identifier: MIT */
/* The functions whose instructions cost.c counts: three for each event. */
#ifndef PARANGON_TESTS_TRACE_COST_CALLS_H
#define PARANGON_TESTS_TRACE_COST_CALLS_H

#include <stddef.h>

struct cost_call {
    const char *name;
    size_t size;                            /* of the record, bytes */
    void (*record)(const void *arguments);  /* loads the arguments and makes one record */
    void (*load)(const void *arguments);    /* loads the arguments */
    void (*nothing)(const void *arguments); /* returns */
};

extern const struct cost_call cost_calls[];
extern const size_t nr_cost_calls;

#endif

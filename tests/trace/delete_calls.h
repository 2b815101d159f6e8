/* SPDX-License-Identifier: MIT */
/*
 * Deletes trace calls from C source text: the yardstick for "a class that is off leaves nothing".
 */
#ifndef PARANGON_TESTS_DELETE_CALLS_H
#define PARANGON_TESTS_DELETE_CALLS_H

#include <stdint.h>

#include "trace/schema.h"

/**
 * A copy of C source `text` without the TRACE_<event>() and TRACE_ON_<event>() calls of the classes
 * in `classes`, and with 0 for their TRACE_START(). Line breaks stay, so that line numbers do.
 * Calls in comments and strings are left alone.
 *
 * @param deleted  counts the calls that went
 * @return         to be freed; NULL where a call has no end
 */
char *delete_trace_calls(const char *text, const struct trace_schema *schema, uint64_t classes,
                         unsigned *deleted);

#endif

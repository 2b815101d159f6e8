/* SPDX-License-Identifier: MIT */
/*
 * The body of the LTTng-UST provider "parangon" (lttng.h): linked once into each program that
 * publishes its events.
 */
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "trace/lttng.h"

/* SPDX-License-Identifier: MIT */
/* Republishes a trace as LTTng-UST events, for those whose tools start from an LTTng session. */
#ifndef PARANGON_TRACE_REPUBLISH_H
#define PARANGON_TRACE_REPUBLISH_H

#include "trace/reader.h"
#include "trace/relay.h"

/**
 * Fire one LTTng-UST event of provider "parangon" for every record, in the order of time.
 *
 * LTTng's own time stamp is that of the publication; the hypervisor's stands in the field `time`
 * (lttng.h).
 *
 * @return 0; -1 with the reason on stderr where the trace was made with other events than this
 *         build's
 */
int trace_republish(const struct trace_log *log);

/**
 * The same for a relay (trace_relay_options.watcher): each record as soon as it is relayed, in the order in which records end.
 */
extern const struct trace_relay_watcher trace_republish_live;

#endif

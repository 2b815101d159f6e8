/* SPDX-License-Identifier: MIT */
/*
 * Writer of CTF 1.8 (Common Trace Format): a trace as a folder that babeltrace2, Trace Compass and
 * lttng-analyses read.
 */
#ifndef PARANGON_TRACE_CTF_H
#define PARANGON_TRACE_CTF_H

#include "trace/reader.h"

/**
 * Write a trace as CTF: `metadata`, and one file per ring that holds records.
 *
 * Same trace, same bytes: nothing of the machine, the time of day or the path goes in. Written
 * under another name beside `folder` and renamed when whole.
 *
 * @param folder  must not exist
 * @return        0; -1 on error, with the reason on stderr and nothing left behind
 */
int trace_ctf_write(const struct trace_log *log, const char *folder);

#endif

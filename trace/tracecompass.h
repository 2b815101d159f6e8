/* SPDX-License-Identifier: MIT */
/* The scheduler's records for Trace Compass: a data-driven analysis beside the CTF. */
#ifndef PARANGON_TRACE_TRACECOMPASS_H
#define PARANGON_TRACE_TRACECOMPASS_H

/**
 * Write <ctf_folder>.xml: a state system (what each processor runs; what each vCPU does) and two time graphs over it. In Trace
 * Compass: open the CTF, then Manage XML analyses, Import.
 *
 * @return 0; -1 with a message on stderr
 */
int tracecompass_write(const char *ctf_folder);

#endif

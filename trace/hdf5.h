/* SPDX-License-Identifier: MIT */
/* A trace as an HDF5 file: h5py, pandas, MATLAB and R read it without knowing the trace's format. */
#ifndef PARANGON_TRACE_HDF5_H
#define PARANGON_TRACE_HDF5_H

#include "trace/reader.h"

/**
 * Write all records of a log.
 *
 * /events/<name> is one dataset per event that has records, of a compound type made from the trace's own
 * descriptor: `time` (ticks), `cpu`, `ring`, then the event's fields in their order, enumerations as HDF5 enumerations.
 * Rows are in the order of time. Attributes say what class an event is of and what each field means
 * (`doc`, `unit:<field>`, `doc:<field>`); those of the root, what the time counts and what was lost.
 *
 * @param log   an open trace
 * @param path  the file: written under another name, and renamed when whole; one that is there is replaced
 * @return      0; -1 with one message on stderr (HDF5's, or that of the file system)
 */
int trace_hdf5_write(const struct trace_log *log, const char *path);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Typed emitters for every event of events.def: TRACE_<event>(one argument per field, in order).
 *
 *   TRACE_sched_wake(d->id, v->id, preempts);
 *
 *   uint64_t start = TRACE_START(HYPERCALL);           a SPAN: begin,
 *   ...
 *   TRACE_hypercall(start, d->id, v->id, ...);          and end; the duration is taken here
 *
 *   TRACE_ON_trap(nmi_ring, start, ...);                the same into another ring (NMI and machine check)
 *
 * A record costs at most 40 instructions with its RDTSC (tests/trace/cost.c counts them), 3 to 5 where its class is masked; there is one
 * straight path and an out-of-line one at the end of a sub-buffer (ring.h). The caller has interrupts off (single producer). Durations wrap at 2^32 ticks: one entry into the
 * hypervisor is preempted long before.
 *
 * TRACE_CLASSES is the bit mask of classes compiled in (all by default; -DTRACE_CLASSES=0 is none). A class that is left out leaves
 * no instruction, and its arguments no trace, as long as they are plain values: an argument must have no side effect and read
 * nothing volatile (tests/trace/off_is_identical proves it for every object). A class compiled in is masked at run time by its bit in ring->mask.
 *
 * The environment provides <trace_env.h> on the include path (needed only when some class is compiled in):
 *   static inline struct trace_ring *trace_this_ring(void);   the ring of this processor
 *   static inline uint64_t trace_clock(void);                 the time stamp (trace_tsc() of trace/tsc.h, on real processors)
 * With -DTRACE_LTTNG the same emitters are LTTng-UST tracepoints of provider "parangon" (lttng.h) and need only trace_clock().
 */
#ifndef PARANGON_TRACE_H
#define PARANGON_TRACE_H

#include "trace/record.h"

#ifndef TRACE_CLASSES
#define TRACE_CLASSES TRACE_CLASSES_ALL
#endif

#define TRACE_ALWAYS_INLINE static inline __attribute__((always_inline, unused))
#define TRACE_COMPILED(class) (((TRACE_CLASSES) & TRACE_CLASS_##class) != 0)

#if (TRACE_CLASSES) != 0
#include <trace_env.h>
#endif

#if (TRACE_CLASSES) == 0
#include "trace/emit_none.h"
#elif defined(TRACE_LTTNG)
#include "trace/emit_lttng.h"
#else
#include "trace/emit_ring.h"
#endif

#endif

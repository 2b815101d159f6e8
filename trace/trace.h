/* SPDX-License-Identifier: MIT */
/*
 * Typed emitters for every event of events.def: TRACE_<event>(one argument per field, in order).
 *
 *   TRACE_sched_wake(d->id, v->id, preempts, (u32)now, turn);
 *
 *   uint64_t start = TRACE_START(HYPERCALL);           a SPAN: begin,
 *   ...
 *   TRACE_hypercall(start, d->id, v->id, ...);          and end; the duration is taken here
 *
 *   TRACE_ON_trap(nmi_ring, start, ...);                the same into another ring (NMI and machine check)
 *   if (TRACE_RECORDS(SCHED)) ...                       does this processor record the class now?
 *
 * A record costs at most 40 instructions with its RDTSC (tests/trace/cost.c counts them), 3 to 5
 * where its class is masked; there is one straight path and an out-of-line one at the end of a
 * sub-buffer (ring.h). The caller has interrupts off (single producer). Durations wrap at 2^32
 * ticks: one entry into the hypervisor is preempted long before.
 *
 * TRACE_CLASSES is the bit mask of classes compiled in (all by default; -DTRACE_CLASSES=0 is none).
 * A class that is left out leaves no instruction, and its arguments are not evaluated
 * (tests/trace/off_is_identical proves it for every object): they must have no side effect. A class
 * compiled in is masked at run time by its bit in ring->mask.
 *
 * The environment provides <trace_env.h> on the include path (needed only when some class is
 * compiled in):
 *   static inline struct trace_ring *trace_this_ring(void);   the ring of this processor
 *   static inline uint64_t trace_clock(void);                 the time stamp (trace_tsc() of trace/tsc.h, on real processors)
 * With -DTRACE_LTTNG the same emitters are LTTng-UST tracepoints of provider "parangon" (lttng.h)
 * and need only trace_clock().
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
#define TRACE_START(class) ((uint64_t)0)
#define TRACE_RECORDS(class) 0
#elif defined(TRACE_LTTNG)
#include "trace/emit_lttng.h"
#else
#include "trace/emit_ring.h"
#endif

/*
 * The calls of classes that are left out become macros (off.h, made from events.def) around a
 * function that exists only as a type: the compiler still checks the arguments and sees them used,
 * but evaluates none and so produces what it would without the call.
 */
#define CLASS(name, bit, doc)
#define ENUM_DEF(name, doc, values)
#define FIELD(t, n, u, d) (t, n, u, d)
#define TRACE_OFF_TYPE(name, ...)         TRACE_OFF_TYPE2(name, __VA_ARGS__)
#define TRACE_OFF_TYPE2(name, first, ...) int trace_off_##name(__VA_ARGS__);
#define EVENT(class, name, doc, fields)   TRACE_OFF_TYPE(name, first TRACE_EACH(TRACE_PARAM, fields))
#define SPAN(class, name, doc, fields)                                                             \
    TRACE_OFF_TYPE(name, first, uint64_t start TRACE_EACH(TRACE_PARAM, fields))
#include "trace/events.def"
#undef CLASS
#undef ENUM_DEF
#undef FIELD
#undef EVENT
#undef SPAN
#define TRACE_OFF(call)          ((void)sizeof(call))
#define TRACE_ON_OFF(ring, call) ((void)sizeof(ring), (void)sizeof(call))
#include "trace/off.h"

#endif

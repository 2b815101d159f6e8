/* SPDX-License-Identifier: MIT */
/*
 * The emitters of trace.h as LTTng-UST tracepoints: host programs (simulator, tests) built with
 * -DTRACE_LTTNG and linked with lttng_provider.c.
 *
 * The record is made on the stack and handed over. TRACE_ON_<event>() takes a ring like its twin
 * and has no use for it.
 */
#ifndef PARANGON_TRACE_EMIT_LTTNG_H
#define PARANGON_TRACE_EMIT_LTTNG_H

#include "trace/lttng.h"
#include "trace/record.h"

/** Start of a SPAN of this class: the trace clock, or 0 where the class is left out. */
#define TRACE_START(class) (TRACE_COMPILED(class) ? trace_clock() : (uint64_t)0)
/** A session may listen at any time. */
#define TRACE_RECORDS(class) TRACE_COMPILED(class)

#define CLASS(name, bit, doc)
#define ENUM_DEF(name, doc, values)
#define FIELD(t, n, u, d) (t, n, u, d)
#define TRACE_UST_EMIT(class, name, when, lasted, args, fields, ...)                               \
    TRACE_UST_EMIT2(class, name, when, lasted, args, fields, __VA_ARGS__)
#define TRACE_UST_EMIT2(class, name, when, lasted, args, stores, first, ...)                       \
    TRACE_ALWAYS_INLINE void TRACE_##name(__VA_ARGS__)                                             \
    {                                                                                              \
        struct trace_record_##name record, *trace_rec = &record;                                   \
                                                                                                   \
        if (!TRACE_COMPILED(class) || !lttng_ust_tracepoint_enabled(parangon, name))               \
            return;                                                                                \
        trace_rec->head.event = TRACE_ID_##name;                                                   \
        trace_rec->head.size = sizeof(record);                                                     \
        trace_rec->head.time = when;                                                               \
        lasted stores lttng_ust_do_tracepoint(parangon, name, trace_rec);                          \
    }                                                                                              \
    TRACE_ALWAYS_INLINE void TRACE_ON_##name(struct trace_ring *trace_on, __VA_ARGS__)             \
    {                                                                                              \
        TRACE_##name args;                                                                         \
    }
#define TRACE_UST_ARGS(...)             TRACE_UST_ARGS2(__VA_ARGS__)
#define TRACE_UST_ARGS2(first, ...)     (__VA_ARGS__)
#define EVENT(class, name, doc, fields)                                                            \
    TRACE_UST_EMIT(class, name, trace_clock(), , TRACE_UST_ARGS(first TRACE_EACH(TRACE_ARG, fields)), \
                   TRACE_EACH(TRACE_STORE, fields), first TRACE_EACH(TRACE_PARAM, fields))
#define SPAN(class, name, doc, fields)                                                             \
    TRACE_UST_EMIT(class, name, start, trace_rec->duration = (uint32_t)(trace_clock() - start);    \
                   , TRACE_UST_ARGS(first, start TRACE_EACH(TRACE_ARG, fields)),                   \
                   TRACE_EACH(TRACE_STORE, fields),                                                \
                   first, uint64_t start TRACE_EACH(TRACE_PARAM, fields))
#include "trace/events.def"
#undef CLASS
#undef ENUM_DEF
#undef FIELD
#undef EVENT
#undef SPAN

#endif

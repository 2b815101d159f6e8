/* SPDX-License-Identifier: MIT */
/* The emitters of trace.h when no class is compiled in: they take their arguments and leave nothing. */
#ifndef PARANGON_TRACE_EMIT_NONE_H
#define PARANGON_TRACE_EMIT_NONE_H

#include "trace/record.h"

#define TRACE_START(class) ((uint64_t)0)

#define CLASS(name, bit, doc)
#define ENUM_DEF(name, doc, values)
#define FIELD(t, n, u, d) (t, n, u, d)
#define TRACE_NOTHING(name, ...)                                                                   \
    TRACE_NOTHING2(name, __VA_ARGS__)
#define TRACE_NOTHING2(name, first, ...)                                                           \
    TRACE_ALWAYS_INLINE void TRACE_##name(__VA_ARGS__)                                             \
    {                                                                                              \
    }                                                                                              \
    TRACE_ALWAYS_INLINE void TRACE_ON_##name(struct trace_ring *trace_on, __VA_ARGS__)             \
    {                                                                                              \
    }
#define EVENT(class, name, doc, fields) TRACE_NOTHING(name, first TRACE_EACH(TRACE_PARAM, fields))
#define SPAN(class, name, doc, fields)                                                             \
    TRACE_NOTHING(name, first, uint64_t start TRACE_EACH(TRACE_PARAM, fields))
#include "trace/events.def"
#undef CLASS
#undef ENUM_DEF
#undef FIELD
#undef EVENT
#undef SPAN

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The LTTng-UST provider "parangon", made from events.def: one tracepoint for each event, one
 * enumeration for each of its own.
 *
 * A tracepoint takes a pointer to the packed record that the ring would hold, so the fields of both
 * worlds come from one structure. The field `time` is the record's time stamp on the trace clock
 * (the start, of a span): LTTng stamps an event when it is recorded. LTTng reads this file several
 * times (its multiple inclusion), hence the odd guard.
 */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER parangon

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "trace/lttng.h"

#if !defined(PARANGON_TRACE_LTTNG_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define PARANGON_TRACE_LTTNG_H

#include <lttng/tracepoint.h>

#include "trace/record.h"

#ifndef TRACE_UST_FIELD
#define TRACE_UST_A(t, n, u, d) TRACE_UST_FIELD(t, n, u) TRACE_UST_B
#define TRACE_UST_B(t, n, u, d) TRACE_UST_FIELD(t, n, u) TRACE_UST_A
#define TRACE_UST_A_END
#define TRACE_UST_B_END

/*
 * By unit. TRACE_UST_ENUM(e) and TRACE_UST_CAUSE(e) leave a word that pastes to the macro for an
 * enumeration, and its name.
 */
#define TRACE_UST_FIELD(t, n, u)         TRACE_UST_PICK(TRACE_UST_##u, t, n)
#define TRACE_UST_PICK(...)              TRACE_UST_PICK2(__VA_ARGS__)
#define TRACE_UST_PICK2(how, e, t, n)    TRACE_UST_##how(e, TRACE_TYPE_##t, n)
#define TRACE_UST_NONE                   AS_INTEGER, none
#define TRACE_UST_NS                     AS_INTEGER, none
#define TRACE_UST_TICKS                  AS_INTEGER, none
#define TRACE_UST_BYTES                  AS_INTEGER, none
#define TRACE_UST_PAGES                  AS_INTEGER, none
#define TRACE_UST_EVENTS                 AS_INTEGER, none
#define TRACE_UST_HEX                    AS_HEX, none
#define TRACE_UST_ENUM(e)                AS_ENUM, e
#define TRACE_UST_CAUSE(e)               AS_ENUM, e
#define TRACE_UST_AS_INTEGER(e, type, n) lttng_ust_field_integer(type, n, rec->n)
#define TRACE_UST_AS_HEX(e, type, n)     lttng_ust_field_integer_hex(type, n, rec->n)
#define TRACE_UST_AS_ENUM(e, type, n)    lttng_ust_field_enum(parangon, e, type, n, rec->n)
#endif

#define CLASS(name, bit, doc)
#define VALUE(c_name, number, label, doc) lttng_ust_field_enum_value(#label, number)
#define ENUM_DEF(name, doc, values)                                                                \
    LTTNG_UST_TRACEPOINT_ENUM(parangon, name, LTTNG_UST_TP_ENUM_VALUES(values))
#define FIELD(t, n, u, d) (t, n, u, d)
#define EVENT(class, name, doc, fields)                                                            \
    LTTNG_UST_TRACEPOINT_EVENT(                                                                    \
        parangon, name, LTTNG_UST_TP_ARGS(const struct trace_record_##name *, rec),                \
        LTTNG_UST_TP_FIELDS(lttng_ust_field_integer(uint64_t, time, rec->head.time)                \
                                TRACE_EACH(TRACE_UST, fields)))
#define SPAN(class, name, doc, fields)                                                             \
    LTTNG_UST_TRACEPOINT_EVENT(                                                                    \
        parangon, name, LTTNG_UST_TP_ARGS(const struct trace_record_##name *, rec),                \
        LTTNG_UST_TP_FIELDS(lttng_ust_field_integer(uint64_t, time, rec->head.time)                \
                                lttng_ust_field_integer(uint32_t, duration, rec->duration)         \
                                    TRACE_EACH(TRACE_UST, fields)))
#include "trace/events.def"
#undef CLASS
#undef VALUE
#undef ENUM_DEF
#undef FIELD
#undef EVENT
#undef SPAN

#endif

#include <lttng/tracepoint-event.h>

/* SPDX-License-Identifier: MIT */
/*
 * The descriptor table: events.def as text, carried at the head of every trace so that a reader
 * needs nothing else. One item a line, words separated by one blank, the documentation to the end
 * of the line:
 *
 *   parangon-trace-descriptor 1
 *   class NAME BIT doc
 *   enum NAME doc
 *   value NUMBER LABEL doc                      of the enum above
 *   event NAME CLASS doc                        or `span`; numbered 0, 1, 2... in this order
 *   field NAME TYPE UNIT doc                    of the event above, packed after struct trace_record_head in this order
 *
 * A span has a first field `duration` like any other. UNIT is as in events.def: NONE HEX NS TICKS
 * BYTES PAGES EVENTS ENUM(name) CAUSE(name).
 */
#include "trace/record.h"

#define TRACE_TEXT_A(t, n, u, d) "field " #n " " #t " " #u " " d "\n" TRACE_TEXT_B
#define TRACE_TEXT_B(t, n, u, d) "field " #n " " #t " " #u " " d "\n" TRACE_TEXT_A
#define TRACE_TEXT_A_END
#define TRACE_TEXT_B_END

#define CLASS(name, bit, doc)             "class " #name " " #bit " " doc "\n"
#define VALUE(c_name, number, label, doc) "value " #number " " #label " " doc "\n"
#define ENUM_DEF(name, doc, values)       "enum " #name " " doc "\n" values
#define FIELD(t, n, u, d)                 (t, n, u, d)
#define EVENT(class, name, doc, fields)                                                            \
    "event " #name " " #class " " doc "\n" TRACE_EACH(TRACE_TEXT, fields)
#define SPAN(class, name, doc, fields)                                                             \
    "span " #name " " #class " " doc "\n"                                                          \
    "field duration u32 TICKS from the time stamp to the end, modulo 2^32\n"                       \
    TRACE_EACH(TRACE_TEXT, fields)

const char trace_descriptor[] = "parangon-trace-descriptor 1\n"
#include "trace/events.def"
    ;
#undef CLASS
#undef VALUE
#undef ENUM_DEF
#undef FIELD
#undef EVENT
#undef SPAN

const uint64_t trace_descriptor_size = sizeof(trace_descriptor) - 1;

/* record.h repeats the class bits as macros; they must be those of events.def. */
#define CLASS(name, bit, doc)                                                                      \
    _Static_assert(TRACE_CLASS_##name == 1u << TRACE_CLASS_BIT_##name, "class bit of " #name);     \
    _Static_assert(TRACE_CLASSES_ALL & TRACE_CLASS_##name, "TRACE_CLASSES_ALL lacks " #name);
#define ENUM_DEF(name, doc, values)
#define EVENT(class, name, doc, fields)                                                            \
    _Static_assert(sizeof(struct trace_record_##name) <= 256, "record of " #name);
#define SPAN(class, name, doc, fields) EVENT(class, name, doc, fields)
#include "trace/events.def"

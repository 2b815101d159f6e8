/* SPDX-License-Identifier: MIT */
/*
 * Republishes a trace into LTTng sessions: see republish.h. One table, made from events.def, from
 * event number to tracepoint.
 */
#include "trace/republish.h"

#include <err.h>
#include <string.h>

#include "trace/lttng.h"

#define CLASS(name, bit, doc)
#define ENUM_DEF(name, doc, values)
#define FIELD(t, n, u, d)
#define EVENT(class, name, doc, fields)                                                            \
    static void fire_##name(const void *record)                                                    \
    {                                                                                              \
        lttng_ust_tracepoint(parangon, name, (const struct trace_record_##name *)record);          \
    }
#define SPAN(class, name, doc, fields) EVENT(class, name, doc, fields)
#include "trace/events.def"
#undef EVENT

static void (*const fire[TRACE_EVENTS])(const void *record) = {
#define EVENT(class, name, doc, fields) [TRACE_ID_##name] = fire_##name,
#include "trace/events.def"
};
#undef CLASS
#undef ENUM_DEF
#undef FIELD
#undef EVENT
#undef SPAN

int trace_republish(const struct trace_log *log)
{
    const char *written = (const char *)log->map + log->head.desc_offset;
    const struct trace_stream *stream;
    const struct trace_item *item;
    struct trace_merge merge;

    if (log->head.desc_size != trace_descriptor_size ||
        memcmp(written, trace_descriptor, trace_descriptor_size) != 0) {
        warnx("the trace was made with other events than this program knows; "
              "export it as CTF instead (-o FOLDER)");
        return -1;
    }
    trace_merge_begin(&merge, log);
    while ((item = trace_merge_next(&merge, &stream)))
        fire[item->event - log->schema->events](item->record);
    trace_merge_end(&merge);
    return 0;
}

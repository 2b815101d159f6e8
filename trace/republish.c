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

static int check_events(const char *descriptor, size_t size)
{
    if (size == trace_descriptor_size && memcmp(descriptor, trace_descriptor, size) == 0)
        return 0;
    warnx("the trace was made with other events than this program knows; "
          "export it as CTF instead (-o FOLDER)");
    return -1;
}

static void fire_record(const struct trace_record_head *record)
{
    static const uint16_t size[TRACE_EVENTS] = {
#define CLASS(name, bit, doc)
#define ENUM_DEF(name, doc, values)
#define FIELD(t, n, u, d)
#define EVENT(class, name, doc, fields) [TRACE_ID_##name] = sizeof(struct trace_record_##name),
#define SPAN(class, name, doc, fields)  EVENT(class, name, doc, fields)
#include "trace/events.def"
#undef CLASS
#undef ENUM_DEF
#undef FIELD
#undef EVENT
#undef SPAN
    };

    if (record->event < TRACE_EVENTS && record->size == size[record->event])
        fire[record->event](record);
}

const struct trace_relay_watcher trace_republish_live = { check_events, fire_record };

int trace_republish(const struct trace_log *log)
{
    const struct trace_stream *stream;
    const struct trace_item *item;
    struct trace_merge merge;

    if (check_events((const char *)log->map + log->head.desc_offset, log->head.desc_size) < 0)
        return -1;
    trace_merge_begin(&merge, log);
    while ((item = trace_merge_next(&merge, &stream)))
        fire[item->event - log->schema->events](item->record);
    trace_merge_end(&merge);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Summary of a trace: see summary.h.
 *
 * Spans nest: an interrupt within a hypercall, the entries within a multicall. Shares are of *self*
 * time (a span without what nests in it), so that they add up to 100 % and nothing counts twice.
 * Nesting is found per stream from the times alone: spans are in the order of their starts, and a
 * span that starts before an open one has ended lies within it.
 */
#include "trace/summary.h"

#include <err.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 64

struct open_span {
    size_t row;
    uint64_t end;
};

/*
 * Rows in the making, with a shortcut from event and cause to row for the causes that are small
 * numbers.
 */
#define SHORT_CAUSES 64

struct maker {
    const struct trace_log *log;
    struct trace_summary *summary;
    size_t *row_of; /* [event * SHORT_CAUSES + cause]: row + 1; 0: none yet */
};

static size_t new_row(struct trace_summary *summary, const struct trace_event *event,
                      uint64_t cause)
{
    summary->rows = realloc(summary->rows, (summary->nr_rows + 1) * sizeof(*summary->rows));
    if (!summary->rows)
        err(4, "trace");
    summary->rows[summary->nr_rows] = (struct trace_row){ .event = event, .cause = cause };
    return summary->nr_rows++;
}

/* Index of the row of a record; a new one where it is the first of its kind. */
static size_t find_row(struct maker *maker, const struct trace_item *item)
{
    struct trace_summary *summary = maker->summary;
    const struct trace_event *event = item->event;
    const uint64_t cause = event->cause ? trace_field_value(event->cause, item->record) : 0;

    if (cause < SHORT_CAUSES) {
        size_t *row = &maker->row_of[(event - maker->log->schema->events) * SHORT_CAUSES + cause];

        if (!*row)
            *row = new_row(summary, event, cause) + 1;
        return *row - 1;
    }
    for (size_t i = 0; i < summary->nr_rows; i++) {
        if (summary->rows[i].event == event && summary->rows[i].cause == cause)
            return i;
    }
    return new_row(summary, event, cause);
}

static void add_sample(struct trace_row *row, uint64_t duration)
{
    const uint64_t nr = row->count;

    if (nr == 0 || (nr >= 16 && (nr & (nr - 1)) == 0)) {
        row->samples = realloc(row->samples, (nr ? nr * 2 : 16) * sizeof(*row->samples));
        if (!row->samples)
            err(4, "trace");
    }
    row->samples[nr] = duration;
    row->total += duration;
}

static void add_stream(struct maker *maker, const struct trace_stream *stream)
{
    struct trace_summary *summary = maker->summary;
    struct open_span open[DEPTH_MAX];
    size_t depth = 0;

    for (size_t i = 0; i < stream->nr_items; i++) {
        const struct trace_item *item = &stream->items[i];
        const size_t index = find_row(maker, item);
        struct trace_row *row = &summary->rows[index];
        uint64_t duration = 0, end;

        if (item->event->is_span) {
            duration = trace_field_value(&item->event->fields[0], item->record);
            add_sample(row, duration);
            row->self += duration;
            while (depth && open[depth - 1].end <= item->time)
                depth--;
            if (depth) /* within the innermost open span: not its own time */
                summary->rows[open[depth - 1].row].self -= duration;
            if (depth < DEPTH_MAX)
                open[depth++] = (struct open_span){ index, item->time + duration };
        }
        end = item->time + duration;
        if (!summary->records || item->time < summary->first)
            summary->first = item->time;
        if (end > summary->last)
            summary->last = end;
        row->count++;
        summary->records++;
    }
}

static int compare_samples(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static int compare_rows(const void *a, const void *b)
{
    const struct trace_row *x = a, *y = b;

    if (x->event->is_span != y->event->is_span)
        return x->event->is_span ? -1 : 1;
    if (x->self != y->self)
        return x->self > y->self ? -1 : 1;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    if (x->event != y->event)
        return x->event < y->event ? -1 : 1;
    return x->cause < y->cause ? -1 : x->cause > y->cause;
}

void trace_summarise(struct trace_summary *summary, const struct trace_log *log)
{
    struct maker maker = { .log = log, .summary = summary };

    *summary = (struct trace_summary){ 0 };
    maker.row_of = calloc(log->schema->nr_events * SHORT_CAUSES, sizeof(*maker.row_of));
    if (!maker.row_of)
        err(4, "trace");
    for (size_t s = 0; s < log->nr_streams; s++)
        add_stream(&maker, &log->streams[s]);
    free(maker.row_of);
    for (size_t i = 0; i < summary->nr_rows; i++) {
        struct trace_row *row = &summary->rows[i];

        if (!row->samples)
            continue;
        qsort(row->samples, row->count, sizeof(*row->samples), compare_samples);
        row->min = row->samples[0];
        row->max = row->samples[row->count - 1];
        row->median = row->samples[(row->count - 1) / 2];
        summary->self += row->self;
    }
    if (summary->nr_rows)
        qsort(summary->rows, summary->nr_rows, sizeof(*summary->rows), compare_rows);
}

void trace_summary_free(struct trace_summary *summary)
{
    for (size_t i = 0; i < summary->nr_rows; i++)
        free(summary->rows[i].samples);
    free(summary->rows);
}

/* "hypercall iret", "sched_wake", "trap #77" */
static void row_name(const struct trace_row *row, char *name, size_t size)
{
    const struct trace_field *cause = row->event->cause;
    const char *label;

    if (!cause) {
        snprintf(name, size, "%s", row->event->name);
        return;
    }
    label = trace_label(cause->enumeration, row->cause);
    if (label)
        snprintf(name, size, "%s %s", row->event->name, label);
    else
        snprintf(name, size, "%s #%" PRIu64, row->event->name, row->cause);
}

void trace_summary_print(FILE *out, const struct trace_summary *summary,
                         const struct trace_log *log)
{
    const uint64_t length = summary->last - summary->first;
    uint64_t overwritten = 0;
    char name[96];
    size_t i;

    for (size_t s = 0; s < log->nr_streams; s++)
        overwritten += log->streams[s].overwritten;
    fprintf(out, "times in ticks of the trace clock, which counts %s\n\n",
            trace_clock_words(log->head.clock_mode));
    fprintf(out, "%-40s %10s %10s %10s %14s %7s\n", "cause", "count", "min", "median", "total",
            "share");
    for (i = 0; i < summary->nr_rows && summary->rows[i].event->is_span; i++) {
        const struct trace_row *row = &summary->rows[i];

        row_name(row, name, sizeof(name));
        fprintf(out,
                "%-40s %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %14" PRIu64 " %6.2f%%\n", name,
                row->count, row->min, row->median, row->total,
                summary->self ? 100.0 * row->self / summary->self : 0.0);
    }
    if (i < summary->nr_rows)
        fprintf(out, "\n%-40s %10s\n", "event", "count");
    for (; i < summary->nr_rows; i++) {
        row_name(&summary->rows[i], name, sizeof(name));
        fprintf(out, "%-40s %10" PRIu64 "\n", name, summary->rows[i].count);
    }
    fprintf(out,
            "\n%" PRIu64 " records over %" PRIu64 " ticks on %u processors; %" PRIu64
            " ticks (%.2f%%) within the causes above\n",
            summary->records, length, log->head.nr_cpus, summary->self,
            length ? 100.0 * summary->self / length / (log->head.nr_cpus ? log->head.nr_cpus : 1)
                   : 0.0);
    fprintf(out, "lost records: %" PRIu64 "\n", log->lost);
    if (overwritten)
        fprintf(out, "flight recorder: %" PRIu64 " older sub-buffers were overwritten\n",
                overwritten);
    if (log->head.state != TRACE_STATE_FINISHED)
        fputs("the machine has not ended in order: this is the trace so far\n", out);
}

void trace_summary_json(FILE *out, const struct trace_summary *summary,
                        const struct trace_log *log)
{
    json_t *root, *rows = json_array();

    for (size_t i = 0; i < summary->nr_rows; i++) {
        const struct trace_row *row = &summary->rows[i];
        const struct trace_field *cause = row->event->cause;
        const char *label = cause ? trace_label(cause->enumeration, row->cause) : NULL;
        json_t *object = json_pack("{s:s, s:s, s:s?, s:I}", "event", row->event->name, "class",
                                   row->event->class->name, "cause", label, "count",
                                   (json_int_t)row->count);

        if (cause)
            json_object_set_new(object, "cause_number", json_integer((json_int_t)row->cause));
        if (row->event->is_span) {
            json_object_set_new(object, "min", json_integer((json_int_t)row->min));
            json_object_set_new(object, "median", json_integer((json_int_t)row->median));
            json_object_set_new(object, "max", json_integer((json_int_t)row->max));
            json_object_set_new(object, "total", json_integer((json_int_t)row->total));
            json_object_set_new(object, "self", json_integer((json_int_t)row->self));
            json_object_set_new(object, "share",
                                json_real(summary->self ? (double)row->self / summary->self : 0));
        }
        json_array_append_new(rows, object);
    }
    root = json_pack("{s:s, s:s, s:I, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:b, s:o}", "schema",
                     "parangon-trace-summary-1", "clock", trace_clock_words(log->head.clock_mode),
                     "tsc_hz", (json_int_t)log->head.tsc_hz, "tsc_source",
                     trace_tsc_source_word(log->head.tsc_source), "cpus", (int)log->head.nr_cpus,
                     "records", (json_int_t)summary->records, "lost", (json_int_t)log->lost,
                     "first", (json_int_t)summary->first, "last", (json_int_t)summary->last,
                     "span_ticks", (json_int_t)summary->self, "finished",
                     log->head.state == TRACE_STATE_FINISHED, "rows", rows);
    json_dumpf(root, out, JSON_INDENT(2));
    fputc('\n', out);
    json_decref(root);
}

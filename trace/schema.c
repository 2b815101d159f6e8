/* SPDX-License-Identifier: MIT */
/*
 * Parser of the descriptor table (format: descriptor.c). One pass over a private copy of the text,
 * cut into words in place; all strings of the schema point into that copy. Classes, enumerations
 * and events have room for one a line, so pointers to them stay good. What it does not understand
 * it refuses: guessing would misread every record.
 */
#include "trace/schema.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "trace/ring.h"

#define HEADLINE "parangon-trace-descriptor 1"

/* Room for one more element at the end of an array; NULL when out of memory. */
static void *grow(void *array, size_t *nr, size_t element)
{
    char *bigger = array;

    if ((*nr & (*nr - 1)) == 0) /* full at 0 and at each power of two */
        bigger = realloc(array, (*nr ? *nr * 2 : 1) * element);
    if (bigger)
        memset(bigger + *nr * element, 0, element);
    return bigger;
}

#define APPEND(array, nr)                                                                          \
    ({                                                                                             \
        void *bigger_ = grow((array), &(nr), sizeof(*(array)));                                    \
        if (!bigger_)                                                                              \
            err(4, "trace descriptor");                                                            \
        (array) = bigger_;                                                                         \
        &(array)[(nr)++];                                                                          \
    })

/* Cut the next word off a line; NULL when there is none. */
static char *word(char **line)
{
    char *start = *line, *blank;

    if (!start || !*start)
        return NULL;
    blank = strchr(start, ' ');
    if (blank)
        *blank++ = '\0';
    *line = blank;
    return start;
}

static const char *rest(char *line)
{
    return line ? line : "";
}

static bool number(const char *text, int64_t *value)
{
    char *end;

    if (!text || !*text)
        return false;
    *value = strtoll(text, &end, 0);
    return *end == '\0';
}

static bool parse_type(const char *type, struct trace_field *field)
{
    int64_t bits;

    if (!type || (type[0] != 'u' && type[0] != 's') || !number(type + 1, &bits) ||
        (bits != 8 && bits != 16 && bits != 32 && bits != 64))
        return false;
    field->size = bits / 8;
    field->is_signed = type[0] == 's';
    return true;
}

/* NAME or NAME(enumeration), one that came before. */
static bool parse_unit(const struct trace_schema *schema, char *unit, struct trace_field *field)
{
    char *open;

    if (!unit)
        return false;
    field->unit = unit;
    open = strchr(unit, '(');
    if (!open)
        return true;
    *open++ = '\0';
    open[strcspn(open, ")")] = '\0';
    for (size_t i = 0; i < schema->nr_enumerations; i++) {
        if (strcmp(schema->enumerations[i].name, open) == 0) {
            field->enumeration = &schema->enumerations[i];
            return true;
        }
    }
    return false;
}

static bool parse_field(struct trace_schema *schema, char *line)
{
    struct trace_event *event;
    struct trace_field *field;

    if (!schema->nr_events)
        return false;
    event = &schema->events[schema->nr_events - 1];
    field = APPEND(event->fields, event->nr_fields);
    field->name = word(&line);
    if (!parse_type(word(&line), field) || !parse_unit(schema, word(&line), field))
        return false;
    field->doc = rest(line);
    field->offset = event->end;
    event->end += field->size;
    event->size = (event->end + 7) & ~7u;
    return true;
}

static bool parse_event(struct trace_schema *schema, char *line, bool is_span)
{
    struct trace_event *event = &schema->events[schema->nr_events++];
    const char *class;

    event->name = word(&line);
    class = word(&line);
    if (!event->name || !class)
        return false;
    event->doc = rest(line);
    event->is_span = is_span;
    event->end = sizeof(struct trace_record_head);
    event->size = (event->end + 7) & ~7u;
    for (size_t i = 0; i < schema->nr_classes; i++) {
        if (strcmp(schema->classes[i].name, class) == 0)
            event->class = &schema->classes[i];
    }
    return event->class != NULL;
}

static bool parse_class(struct trace_schema *schema, char *line)
{
    struct trace_class *class = &schema->classes[schema->nr_classes++];
    int64_t bit;

    class->name = word(&line);
    if (!class->name || !number(word(&line), &bit) || bit < 0 || bit > 63)
        return false;
    class->bit = bit;
    class->doc = rest(line);
    return true;
}

static bool parse_enum(struct trace_schema *schema, char *line)
{
    struct trace_enumeration *e = &schema->enumerations[schema->nr_enumerations++];

    e->name = word(&line);
    e->doc = rest(line);
    return e->name != NULL;
}

static bool parse_value(struct trace_schema *schema, char *line)
{
    struct trace_enumeration *e;
    struct trace_value *value;

    if (!schema->nr_enumerations)
        return false;
    e = &schema->enumerations[schema->nr_enumerations - 1];
    value = APPEND(e->values, e->nr_values);
    if (!number(word(&line), &value->number))
        return false;
    value->label = word(&line);
    value->doc = rest(line);
    return value->label != NULL;
}

static bool parse_line(struct trace_schema *schema, char *line)
{
    const char *keyword = word(&line);

    if (!keyword)
        return false;
    if (strcmp(keyword, "class") == 0)
        return parse_class(schema, line);
    if (strcmp(keyword, "enum") == 0)
        return parse_enum(schema, line);
    if (strcmp(keyword, "value") == 0)
        return parse_value(schema, line);
    if (strcmp(keyword, "event") == 0)
        return parse_event(schema, line, false);
    if (strcmp(keyword, "span") == 0)
        return parse_event(schema, line, true);
    if (strcmp(keyword, "field") == 0)
        return parse_field(schema, line);
    return false;
}

/* Once all fields are there: the cause of each event; a span's first field must be its duration. */
static bool link_up(struct trace_schema *schema)
{
    for (size_t i = 0; i < schema->nr_events; i++) {
        struct trace_event *event = &schema->events[i];

        for (size_t f = 0; f < event->nr_fields; f++) {
            if (strcmp(event->fields[f].unit, "CAUSE") == 0)
                event->cause = &event->fields[f];
        }
        if (event->is_span &&
            (!event->nr_fields || strcmp(event->fields[0].name, "duration") != 0))
            return false;
    }
    return schema->nr_events > 0;
}

struct trace_schema *trace_schema_read(const char *text, size_t size)
{
    struct trace_schema *schema = calloc(1, sizeof(*schema));
    char *line, *next;
    unsigned row = 1;

    size_t lines = 1;

    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    if (!schema || !(schema->text = strndup(text, size)) ||
        !(schema->classes = calloc(lines, sizeof(*schema->classes))) ||
        !(schema->enumerations = calloc(lines, sizeof(*schema->enumerations))) ||
        !(schema->events = calloc(lines, sizeof(*schema->events))))
        err(4, "trace descriptor");

    line = schema->text;
    for (next = strchr(line, '\n'); next; line = next, next = strchr(line, '\n'), row++) {
        bool good;

        *next++ = '\0';
        good = row == 1 ? strcmp(line, HEADLINE) == 0 : parse_line(schema, line);
        if (!good) {
            warnx("trace descriptor, line %u: not understood (\"%.60s\"); made by another version?",
                  row, line);
            goto fail;
        }
    }
    if (!link_up(schema)) {
        warnx("trace descriptor: no events, or a span without duration");
        goto fail;
    }
    return schema;

fail:
    trace_schema_free(schema);
    return NULL;
}

void trace_schema_free(struct trace_schema *schema)
{
    if (!schema)
        return;
    for (size_t i = 0; i < schema->nr_events; i++)
        free(schema->events[i].fields);
    for (size_t i = 0; i < schema->nr_enumerations; i++)
        free(schema->enumerations[i].values);
    free(schema->events);
    free(schema->enumerations);
    free(schema->classes);
    free(schema->text);
    free(schema);
}

const struct trace_event *trace_schema_event(const struct trace_schema *schema, const char *name)
{
    for (size_t i = 0; i < schema->nr_events; i++) {
        if (strcmp(schema->events[i].name, name) == 0)
            return &schema->events[i];
    }
    return NULL;
}

const struct trace_field *trace_event_field(const struct trace_event *event, const char *name)
{
    for (size_t i = 0; i < event->nr_fields; i++) {
        if (strcmp(event->fields[i].name, name) == 0)
            return &event->fields[i];
    }
    return NULL;
}

uint64_t trace_field_value(const struct trace_field *field, const void *record)
{
    uint64_t value = 0;

    memcpy(&value, (const char *)record + field->offset, field->size);
    if (field->is_signed && field->size < 8) {
        const unsigned shift = 64 - 8 * field->size;

        value = (uint64_t)((int64_t)(value << shift) >> shift);
    }
    return value;
}

const char *trace_label(const struct trace_enumeration *enumeration, uint64_t number)
{
    if (!enumeration)
        return NULL;
    for (size_t i = 0; i < enumeration->nr_values; i++) {
        if ((uint64_t)enumeration->values[i].number == number)
            return enumeration->values[i].label;
    }
    return NULL;
}

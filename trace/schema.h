/* SPDX-License-Identifier: MIT */
/*
 * The descriptor table of a trace, read back: what its classes, enumerations, events and fields
 * are.
 *
 * Host only. Built from the text in the trace itself (descriptor.c gives the format), never from
 * this build's events.def, so that an old trace decodes as it was written.
 */
#ifndef PARANGON_TRACE_SCHEMA_H
#define PARANGON_TRACE_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trace_class {
    const char *name, *doc;
    unsigned bit;
};

struct trace_value {
    int64_t number;
    const char *label, *doc;
};

struct trace_enumeration {
    const char *name, *doc;
    struct trace_value *values;
    size_t nr_values;
};

struct trace_field {
    const char *name, *doc, *unit; /* unit without its enumeration: "NONE", "ENUM" ... */
    unsigned size;                 /* bytes */
    bool is_signed;
    unsigned offset; /* from the start of the record */
    const struct trace_enumeration *enumeration; /* NULL: none */
};

struct trace_event {
    const char *name, *doc;
    const struct trace_class *class;
    bool is_span;             /* the first field is its duration */
    struct trace_field *fields;
    size_t nr_fields;
    unsigned end;             /* offset after the last field */
    unsigned size;            /* of the record: `end` up to a multiple of 8 */
    const struct trace_field *cause; /* NULL: none */
};

struct trace_schema {
    struct trace_class *classes;
    size_t nr_classes;
    struct trace_enumeration *enumerations;
    size_t nr_enumerations;
    struct trace_event *events; /* index = number in the records */
    size_t nr_events;
    char *text; /* what all names point into */
};

/**
 * Read a descriptor table.
 *
 * @param text  `size` bytes, need not end with a zero
 * @return      the schema, to be freed by trace_schema_free(); NULL where the table is malformed
 *              or another version (said on stderr)
 */
struct trace_schema *trace_schema_read(const char *text, size_t size);

void trace_schema_free(struct trace_schema *schema);

/** The event of that name, NULL where there is none. */
const struct trace_event *trace_schema_event(const struct trace_schema *schema, const char *name);

/** The field of that name, NULL where there is none. */
const struct trace_field *trace_event_field(const struct trace_event *event, const char *name);

/** Value of a field in a record, sign extended where the field is signed. */
uint64_t trace_field_value(const struct trace_field *field, const void *record);

/** Label of a number, NULL where the enumeration does not know it. */
const char *trace_label(const struct trace_enumeration *enumeration, uint64_t number);

#endif

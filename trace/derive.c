/* SPDX-License-Identifier: MIT */
/*
 * Writes what is kept in the tree but made from events.def to standard output: `page`, EVENTS.md;
 * `off`, off.h, the macros of trace calls whose class is left out (C macros cannot be made by other
 * macros).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "trace/ring.h"
#include "trace/schema.h"

/* In words; an enumeration as a link to its table. */
static void print_unit(const struct trace_field *field)
{
    static const struct {
        const char *unit, *words;
    } table[] = {
        { "NONE", "" },         { "HEX", "hexadecimal" }, { "NS", "ns" },
        { "TICKS", "ticks" },   { "BYTES", "bytes" },     { "PAGES", "pages of 4 KiB" },
        { "EVENTS", "events" },
    };

    if (field->enumeration) {
        printf("%s[%s](#%s)", strcmp(field->unit, "CAUSE") == 0 ? "cause: " : "",
               field->enumeration->name, field->enumeration->name);
        return;
    }
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(table[i].unit, field->unit) == 0)
            fputs(table[i].words, stdout);
    }
}

static void print_event(const struct trace_event *event, size_t number)
{
    printf("\n### %s\n\n%s. Event %zu, %u bytes%s.\n\n"
           "| field | type | unit | meaning |\n|---|---|---|---|\n",
           event->name, event->doc, number, event->size,
           event->is_span ? ", a span: its time stamp is its start" : "");
    for (size_t f = 0; f < event->nr_fields; f++) {
        const struct trace_field *field = &event->fields[f];

        printf("| `%s` | %c%u | ", field->name, field->is_signed ? 's' : 'u', field->size * 8);
        print_unit(field);
        printf(" | %s |\n", field->doc);
    }
}

static void print_enumeration(const struct trace_enumeration *enumeration)
{
    printf("\n### %s\n\n%s.\n\n| value | label | meaning |\n|---:|---|---|\n", enumeration->name,
           enumeration->doc);
    for (size_t i = 0; i < enumeration->nr_values; i++) {
        const struct trace_value *value = &enumeration->values[i];

        printf("| %" PRId64 " | `%s` | %s |\n", value->number, value->label, value->doc);
    }
}

static void print_page(const struct trace_schema *schema)
{
    fputs("# Trace events\n\n"
          "Made from `trace/events.def` by `ninja trace_derived`; do not edit. Each record begins "
          "with its event number (u16), its size (u16) and its time stamp (u64, ticks of the trace "
          "clock); the fields follow, packed, little-endian; records are multiples of 8 bytes.\n",
          stdout);
    for (size_t c = 0; c < schema->nr_classes; c++) {
        printf("\n## Class %s\n\n%s (bit %u).\n", schema->classes[c].name, schema->classes[c].doc,
               schema->classes[c].bit);
        for (size_t e = 0; e < schema->nr_events; e++) {
            if (schema->events[e].class == &schema->classes[c])
                print_event(&schema->events[e], e);
        }
    }
    fputs("\n## Enumerations\n", stdout);
    for (size_t i = 0; i < schema->nr_enumerations; i++)
        print_enumeration(&schema->enumerations[i]);
}

static void print_off(const struct trace_schema *schema)
{
    fputs("/* SPDX-License-Identifier: MIT */\n"
          "/*\n"
          " * Trace calls of classes that are left out (trace.h).\n"
          " * Made from events.def by `ninja trace_derived`; do not edit.\n"
          " */\n",
          stdout);
    for (size_t c = 0; c < schema->nr_classes; c++) {
        printf("\n#if !((TRACE_CLASSES) & TRACE_CLASS_%s)\n", schema->classes[c].name);
        for (size_t e = 0; e < schema->nr_events; e++) {
            const char *name = schema->events[e].name;

            if (schema->events[e].class == &schema->classes[c])
                printf("#define TRACE_%s(...) TRACE_OFF(trace_off_%s(__VA_ARGS__))\n"
                       "#define TRACE_ON_%s(ring, ...) TRACE_ON_OFF(ring, trace_off_%s(__VA_ARGS__))\n",
                       name, name, name, name);
        }
        fputs("#endif\n", stdout);
    }
}

int main(int argc, char **argv)
{
    struct trace_schema *schema = trace_schema_read(trace_descriptor, trace_descriptor_size);

    if (!schema)
        return 1;
    if (argc == 2 && strcmp(argv[1], "page") == 0) {
        print_page(schema);
    } else if (argc == 2 && strcmp(argv[1], "off") == 0) {
        print_off(schema);
    } else {
        fputs("usage: trace_derive page|off\n", stderr);
        return 2;
    }
    trace_schema_free(schema);
    return fflush(stdout) == 0 ? 0 : 1;
}

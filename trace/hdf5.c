/* SPDX-License-Identifier: MIT */
/*
 * The compound types and rows of a trace in HDF5: see hdf5.h.
 *
 * A row is built as the type's members lie: no padding, members in the order time, cpu, ring, fields. Does not: read such a file back.
 */
#include "trace/hdf5.h"

#include <err.h>
#include <errno.h>
#include <hdf5.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROWS_AT_ONCE 4096 /* rows of a chunk, and of a write */
#define DEFLATE      4
#define TIME_SIZE    8u
#define CPU_SIZE     4u
#define RING_SIZE    1u
#define FIELDS_AT    (TIME_SIZE + CPU_SIZE + RING_SIZE)

static hid_t number_type(unsigned size, bool is_signed)
{
    switch (size) {
    case 1: return is_signed ? H5T_STD_I8LE : H5T_STD_U8LE;
    case 2: return is_signed ? H5T_STD_I16LE : H5T_STD_U16LE;
    case 4: return is_signed ? H5T_STD_I32LE : H5T_STD_U32LE;
    default: return is_signed ? H5T_STD_I64LE : H5T_STD_U64LE;
    }
}

/* The type of a field; the caller closes it. */
static hid_t field_type(const struct trace_field *field)
{
    hid_t base = number_type(field->size, field->is_signed), type;

    if (!field->enumeration)
        return H5Tcopy(base);
    type = H5Tenum_create(base);
    for (size_t i = 0; type >= 0 && i < field->enumeration->nr_values; i++) {
        const struct trace_value *value = &field->enumeration->values[i];

        if (H5Tenum_insert(type, value->label, &value->number) < 0) { /* little-endian: the low bytes come first */
            H5Tclose(type);
            return -1;
        }
    }
    return type;
}

/* Which of a processor's rings. */
static hid_t ring_type(void)
{
    static const struct {
        const char *label;
        uint8_t kind;
    } kinds[] = { { "normal", TRACE_RING_NORMAL }, { "nmi", TRACE_RING_NMI } };
    hid_t type = H5Tenum_create(H5T_STD_U8LE);

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && type >= 0; i++)
        H5Tenum_insert(type, kinds[i].label, &kinds[i].kind);
    return type;
}

static bool insert(hid_t row, const char *name, size_t at, hid_t member)
{
    bool good = member >= 0 && H5Tinsert(row, name, at, member) >= 0;

    if (member >= 0)
        H5Tclose(member);
    return good;
}

/* The type of an event's rows, and their size. */
static hid_t row_type(const struct trace_event *event, size_t *size)
{
    size_t at = FIELDS_AT;
    bool good;
    hid_t type;

    *size = at;
    for (size_t i = 0; i < event->nr_fields; i++)
        *size += event->fields[i].size;
    type = H5Tcreate(H5T_COMPOUND, *size);
    if (type < 0)
        return -1;
    good = insert(type, "time", 0, H5Tcopy(H5T_STD_U64LE)) && insert(type, "cpu", TIME_SIZE, H5Tcopy(H5T_STD_U32LE)) &&
           insert(type, "ring", TIME_SIZE + CPU_SIZE, ring_type());
    for (size_t i = 0; i < event->nr_fields && good; i++) {
        good = insert(type, event->fields[i].name, at, field_type(&event->fields[i]));
        at += event->fields[i].size;
    }
    if (good)
        return type;
    H5Tclose(type);
    return -1;
}

static bool text_attribute(hid_t object, const char *name, const char *text)
{
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR), attribute = -1;
    bool good = type >= 0 && space >= 0 && H5Tset_size(type, strlen(text) + 1) >= 0 &&
                (attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT)) >= 0 &&
                H5Awrite(attribute, type, text) >= 0;

    if (attribute >= 0)
        H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
    return good;
}

static bool number_attribute(hid_t object, const char *name, uint64_t number)
{
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(object, name, H5T_STD_U64LE, space, H5P_DEFAULT, H5P_DEFAULT);
    bool good = attribute >= 0 && H5Awrite(attribute, H5T_NATIVE_UINT64, &number) >= 0;

    if (attribute >= 0)
        H5Aclose(attribute);
    H5Sclose(space);
    return good;
}

/* What the event and its fields mean. */
static bool describe(hid_t set, const struct trace_event *event)
{
    bool good = text_attribute(set, "class", event->class->name) && text_attribute(set, "doc", event->doc);

    for (size_t i = 0; i < event->nr_fields && good; i++) {
        const struct trace_field *field = &event->fields[i];
        char name[128];

        snprintf(name, sizeof(name), "unit:%s", field->name);
        good = text_attribute(set, name, field->unit);
        snprintf(name, sizeof(name), "doc:%s", field->name);
        good = good && text_attribute(set, name, field->doc);
    }
    return good;
}

/* Where rows of one event go to. */
struct rows {
    hid_t type, set;
    size_t size, nr; /* bytes of a row; rows that wait in `buffer` */
    hsize_t written;
    uint8_t *buffer;
};

static bool flush(struct rows *rows)
{
    hsize_t start = rows->written, count = rows->nr, end = start + count;
    hid_t file_space, memory_space;
    bool good;

    if (!rows->nr)
        return true;
    if (H5Dset_extent(rows->set, &end) < 0)
        return false;
    file_space = H5Dget_space(rows->set);
    memory_space = H5Screate_simple(1, &count, NULL);
    good = H5Sselect_hyperslab(file_space, H5S_SELECT_SET, &start, NULL, &count, NULL) >= 0 &&
           H5Dwrite(rows->set, rows->type, memory_space, file_space, H5P_DEFAULT, rows->buffer) >= 0;
    H5Sclose(memory_space);
    H5Sclose(file_space);
    rows->written = end;
    rows->nr = 0;
    return good;
}

static bool add(struct rows *rows, const struct trace_stream *stream, const struct trace_item *item)
{
    uint8_t *to = rows->buffer + rows->nr++ * rows->size;

    memcpy(to, &item->time, TIME_SIZE);
    memcpy(to + TIME_SIZE, &stream->cpu, CPU_SIZE);
    to[TIME_SIZE + CPU_SIZE] = (uint8_t)stream->kind;
    to += FIELDS_AT;
    for (size_t i = 0; i < item->event->nr_fields; i++) {
        const struct trace_field *field = &item->event->fields[i];

        memcpy(to, item->record + field->offset, field->size);
        to += field->size;
    }
    return rows->nr < ROWS_AT_ONCE || flush(rows);
}

/* An empty set that grows. */
static hid_t make_set(hid_t group, const struct trace_event *event, hid_t type)
{
    hsize_t none = 0, most = H5S_UNLIMITED, chunk = ROWS_AT_ONCE;
    hid_t space = H5Screate_simple(1, &none, &most), how = H5Pcreate(H5P_DATASET_CREATE), set = -1;

    if (H5Pset_chunk(how, 1, &chunk) >= 0 && H5Pset_shuffle(how) >= 0 && H5Pset_deflate(how, DEFLATE) >= 0 &&
        H5Pset_fletcher32(how) >= 0 && H5Pset_obj_track_times(how, false) >= 0)
        set = H5Dcreate2(group, event->name, type, space, H5P_DEFAULT, how, H5P_DEFAULT);
    H5Pclose(how);
    H5Sclose(space);
    return set;
}

/* The table of an event that has a first record. */
static bool begin(struct rows *rows, hid_t group, const struct trace_event *event)
{
    rows->type = row_type(event, &rows->size);
    rows->set = rows->type < 0 ? -1 : make_set(group, event, rows->type);
    rows->buffer = malloc(ROWS_AT_ONCE * rows->size);
    return rows->set >= 0 && rows->buffer && describe(rows->set, event);
}

static bool end(struct rows *rows)
{
    bool good = rows->set < 0 || flush(rows);

    if (rows->set >= 0)
        H5Dclose(rows->set);
    if (rows->type >= 0)
        H5Tclose(rows->type);
    free(rows->buffer);
    return good;
}

static bool write_events(const struct trace_log *log, hid_t group)
{
    const size_t nr = log->schema->nr_events;
    struct rows *tables = calloc(nr, sizeof(*tables));
    const struct trace_stream *stream;
    const struct trace_item *item;
    struct trace_merge merge;
    bool good = tables != NULL;

    for (size_t i = 0; i < nr && good; i++)
        tables[i].set = tables[i].type = -1;
    trace_merge_begin(&merge, log);
    while (good && (item = trace_merge_next(&merge, &stream))) {
        struct rows *rows = &tables[item->event - log->schema->events];

        good = (rows->set >= 0 || begin(rows, group, item->event)) && add(rows, stream, item);
    }
    trace_merge_end(&merge);
    for (size_t i = 0; i < nr && tables; i++)
        good = end(&tables[i]) && good;
    free(tables);
    return good;
}

/* What a reader has to know of the whole trace. */
static bool write_head(const struct trace_log *log, hid_t file)
{
    const struct trace_region_head *head = &log->head;
    uint64_t overwritten = 0;
    char build_id[2 * TRACE_BUILD_ID_MAX + 1] = "";

    for (size_t i = 0; i < log->nr_streams; i++)
        overwritten += log->streams[i].overwritten;
    for (uint32_t i = 0; i < head->build_id_size && i < TRACE_BUILD_ID_MAX; i++)
        snprintf(build_id + (size_t)2 * i, 3, "%02x", head->build_id[i]);
    return text_attribute(file, "format", "parangon-trace") && number_attribute(file, "version_major", head->version_major) &&
           number_attribute(file, "version_minor", head->version_minor) && number_attribute(file, "nr_cpus", head->nr_cpus) &&
           text_attribute(file, "clock", trace_clock_words(head->clock_mode)) && number_attribute(file, "tsc_hz", head->tsc_hz) &&
           text_attribute(file, "tsc_source", trace_tsc_source_word(head->tsc_source)) &&
           text_attribute(file, "build_id", build_id) && number_attribute(file, "lost", log->lost) &&
           number_attribute(file, "overwritten_sub_buffers", overwritten);
}

int trace_hdf5_write(const struct trace_log *log, const char *path)
{
    char *unfinished = NULL;
    hid_t file, group;
    bool good;

    if (asprintf(&unfinished, "%s.unfinished", path) < 0)
        return -1;
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* one message, ours */
    file = H5Fcreate(unfinished, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    if (file < 0) {
        warnx("%s: cannot be written", path);
        free(unfinished);
        return -1;
    }
    group = H5Gcreate2(file, "events", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    good = group >= 0 && write_head(log, file) && write_events(log, group);
    if (group >= 0)
        H5Gclose(group);
    good = H5Fclose(file) >= 0 && good;
    if (!good)
        warnx("%s: HDF5 could not write it (a full disk?)", path);
    else if (rename(unfinished, path) < 0) {
        warn("%s", path);
        good = false;
    }
    if (!good)
        unlink(unfinished);
    free(unfinished);
    return good ? 0 : -1;
}

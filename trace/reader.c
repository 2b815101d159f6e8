/* SPDX-License-Identifier: MIT */
/*
 * Reader of a trace region: see reader.h. Maps the file read-only, walks the sub-buffers, checks
 * each record once, keeps pointers.
 */
#include "trace/reader.h"

#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void *checked(void *memory)
{
    if (!memory)
        err(4, "trace");
    return memory;
}

/* Are `size` bytes at `offset` within the file? */
static bool inside(const struct trace_log *log, uint64_t offset, uint64_t size)
{
    return offset <= log->map_size && size <= log->map_size - offset;
}

static void append(struct trace_stream *stream, const struct trace_item *item)
{
    const size_t nr = stream->nr_items;

    if (nr == 0 || (nr >= 64 && (nr & (nr - 1)) == 0))
        stream->items = checked(realloc(stream->items, (nr ? nr * 2 : 64) * sizeof(*item)));
    stream->items[stream->nr_items++] = *item;
}

/* All records of one sub-buffer: bytes from `at` to `end`. False where one is damaged. */
static bool read_records(const struct trace_log *log, struct trace_stream *stream,
                         const uint8_t *at, const uint8_t *end)
{
    while (at < end) {
        struct trace_record_head head;
        struct trace_item item;

        if ((size_t)(end - at) < sizeof(head))
            return false;
        memcpy(&head, at, sizeof(head));
        if (head.event >= log->schema->nr_events)
            return false;
        item = (struct trace_item){
            .time = head.time, .record = at, .event = &log->schema->events[head.event]
        };
        if (head.size != item.event->size || head.size > end - at)
            return false;
        append(stream, &item);
        at += head.size;
    }
    return true;
}

/*
 * Put the items in the order of time: merge sort, since records are nearly sorted and equal stamps
 * must keep their order.
 */
static void sort_items(struct trace_stream *stream)
{
    const size_t nr = stream->nr_items;
    struct trace_item *from = stream->items, *to = checked(malloc((nr + 1) * sizeof(*to))), *swap;

    for (size_t run = 1; run < nr; run *= 2) {
        for (size_t start = 0; start < nr; start += 2 * run) {
            const size_t middle = start + run < nr ? start + run : nr;
            const size_t end = start + 2 * run < nr ? start + 2 * run : nr;
            size_t a = start, b = middle;

            if (middle == end || from[middle - 1].time <= from[middle].time) {
                memcpy(to + start, from + start, (end - start) * sizeof(*to));
                continue;
            }
            for (size_t i = start; i < end; i++)
                to[i] = b == end || (a < middle && from[a].time <= from[b].time) ? from[a++]
                                                                                 : from[b++];
        }
        swap = from, from = to, to = swap;
    }
    stream->items = from;
    free(to);
}

/*
 * Read one ring. `head` is read once, first: what lies below it is whole, even while the machine
 * runs (TRACE_RECORD).
 */
static bool read_ring(struct trace_log *log, struct trace_stream *stream,
                      const struct trace_ring_head *ring)
{
    const uint64_t head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
    const uint64_t sub_size = ring->sub_size, subs = sub_size ? ring->size / sub_size : 0;
    const uint8_t *data = (const uint8_t *)log->map + ring->offset;
    uint64_t last, first;

    stream->cpu = ring->cpu;
    stream->kind = ring->kind;
    stream->lost = __atomic_load_n(&ring->lost, __ATOMIC_RELAXED);
    log->lost += stream->lost;
    if (!head)
        return true; /* never attached */
    if (!subs || sub_size % 8 || ring->size % sub_size || ring->offset % 8 ||
        !inside(log, ring->offset, ring->size)) {
        warnx("trace: ring of cpu %u lies outside the file", ring->cpu);
        return false;
    }
    last = (head - 1) / sub_size;
    first = last >= subs ? last - subs + 1 : 0;
    if (first && ring->mode == TRACE_HELD) {
        warnx("trace: the relay took the records of cpu %u's ring: they are in its file", ring->cpu);
        return false;
    }
    if (first && ring->mode != TRACE_FLIGHT) {
        warnx("trace: head of cpu %u's ring is beyond its end", ring->cpu);
        return false;
    }
    stream->overwritten = first;
    for (uint64_t seq = first; seq <= last; seq++) {
        const uint8_t *start = data + seq % subs * sub_size;
        const struct trace_sub_head *sub = (const struct trace_sub_head *)start;
        const uint64_t used = seq == last ? head - seq * sub_size : sub->used;

        if (sub->seq != seq || used < sizeof(*sub) || used > sub_size ||
            !read_records(log, stream, start + sizeof(*sub), start + used)) {
            warnx("trace: sub-buffer %" PRIu64 " of cpu %u is damaged", seq, ring->cpu);
            return false;
        }
    }
    sort_items(stream);
    return true;
}

static bool map_file(struct trace_log *log, const char *path)
{
    struct stat stat;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &stat) < 0) {
        warn("%s", path);
        if (fd >= 0)
            close(fd);
        return false;
    }
    log->map_size = stat.st_size;
    if (log->map_size < sizeof(log->head)) {
        warnx("%s: not a trace: %zu bytes are less than its head", path, log->map_size);
        close(fd);
        return false;
    }
    log->map = mmap(NULL, log->map_size, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (log->map == MAP_FAILED) {
        warn("%s", path);
        log->map = NULL;
        return false;
    }
    return true;
}

static bool check_head(struct trace_log *log, const char *path)
{
    struct trace_region_head *head = &log->head;

    memcpy(head, log->map, sizeof(*head));
    if (head->magic != TRACE_MAGIC) {
        warnx("%s: not a trace, or the hypervisor has not reached the point where it starts one",
              path);
        return false;
    }
    if (head->version_major != TRACE_VERSION_MAJOR) {
        warnx("%s: trace format %u.%u; this program reads %u.x", path, head->version_major,
              head->version_minor, TRACE_VERSION_MAJOR);
        return false;
    }
    if (!inside(log, head->desc_offset, head->desc_size) || head->nr_rings > TRACE_MAX_RINGS ||
        head->rings_offset % 8 || head->build_id_size > TRACE_BUILD_ID_MAX ||
        !inside(log, head->rings_offset, head->nr_rings * sizeof(struct trace_ring_head))) {
        warnx("%s: damaged head of a trace", path);
        return false;
    }
    return true;
}

struct trace_log *trace_log_open(const char *path)
{
    struct trace_log *log = checked(calloc(1, sizeof(*log)));
    const struct trace_ring_head *rings;

    if (!map_file(log, path) || !check_head(log, path))
        goto fail;
    log->schema = trace_schema_read((char *)log->map + log->head.desc_offset, log->head.desc_size);
    if (!log->schema)
        goto fail;
    log->streams = checked(calloc(log->head.nr_rings + 1, sizeof(*log->streams)));
    log->nr_streams = log->head.nr_rings;
    rings = (const struct trace_ring_head *)((char *)log->map + log->head.rings_offset);
    for (size_t i = 0; i < log->nr_streams; i++) {
        if (!read_ring(log, &log->streams[i], &rings[i]))
            goto fail;
    }
    return log;

fail:
    trace_log_close(log);
    return NULL;
}

void trace_log_close(struct trace_log *log)
{
    if (!log)
        return;
    for (size_t i = 0; i < log->nr_streams; i++)
        free(log->streams[i].items);
    free(log->streams);
    trace_schema_free(log->schema);
    if (log->map)
        munmap(log->map, log->map_size);
    free(log);
}

const char *trace_clock_words(uint32_t clock_mode)
{
    switch (clock_mode) {
    case TRACE_CLOCK_CYCLES:
        return "cycles (time stamp counter)";
    case TRACE_CLOCK_INSTRUCTIONS:
        return "instructions (synthetic clock)";
    case TRACE_CLOCK_UNTIMED:
        return "nothing (emulator without instruction clock; order only)";
    case TRACE_CLOCK_SIMULATED:
        return "nanoseconds of a simulation";
    default:
        return "unknown";
    }
}

const char *trace_tsc_source_word(uint32_t tsc_source)
{
    static const char *const words[] = { "unknown", "cpuid", "pit", "hpet", "acpi_pm", "given" };

    return tsc_source < sizeof(words) / sizeof(words[0]) ? words[tsc_source] : "unknown";
}

void trace_print(FILE *out, const struct trace_stream *stream, const struct trace_item *item)
{
    fprintf(out, "[%" PRIu64 "] cpu %u%s %s:", item->time, stream->cpu,
            stream->kind == TRACE_RING_NMI ? " nmi" : "", item->event->name);
    for (size_t i = 0; i < item->event->nr_fields; i++) {
        const struct trace_field *field = &item->event->fields[i];
        const uint64_t value = trace_field_value(field, item->record);
        const char *label = trace_label(field->enumeration, value);

        fprintf(out, "%s %s = ", i ? "," : "", field->name);
        if (label)
            fprintf(out, "%s", label);
        else if (strcmp(field->unit, "HEX") == 0)
            fprintf(out, "0x%" PRIX64, value);
        else if (field->is_signed)
            fprintf(out, "%" PRId64, (int64_t)value);
        else
            fprintf(out, "%" PRIu64, value);
    }
    fputc('\n', out);
}

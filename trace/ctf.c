/* SPDX-License-Identifier: MIT */
/*
 * Writer of CTF 1.8: see ctf.h. Source: the Common Trace Format v1.8.3 specification
 * (diamon.org/ctf).
 *
 * Every integer is 8-bit aligned, so that a record's packed fields go out as they are, behind an
 * event head of number and time. Metadata come from the trace's own descriptor table. A stream is a
 * ring; its packets hold up to PACKET_BYTES of events in the order of time. Lost records stand in
 * the last packet of their stream (a ring that is full stays full), cumulative as CTF wants them.
 */
#include "trace/ctf.h"

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PACKET_BYTES 262144u
#define CTF_MAGIC    0xc1fc1fc1u

/* Packet header and context, as metadata() declares them. */
struct packet_head {
    uint32_t magic;
    uint8_t uuid[16];
    uint32_t stream_id;
    uint64_t stream_instance_id;
    uint64_t timestamp_begin, timestamp_end;
    uint64_t content_size, packet_size; /* bits */
    uint64_t packet_seq_num;
    uint64_t events_discarded;
    uint32_t cpu_id;
    uint32_t ring;
} __attribute__((packed));

struct event_head {
    uint16_t id;
    uint64_t timestamp;
} __attribute__((packed));

/*
 * 128 bits of FNV-1a (two 64-bit lanes with different seeds), shaped as a version 8 (vendor) UUID:
 * an identity, not a secret.
 */
struct digest {
    uint64_t lane[2];
};

static void digest_add(struct digest *digest, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        digest->lane[0] = (digest->lane[0] ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3ull;
        digest->lane[1] = (digest->lane[1] ^ digest->lane[0]) * 0x100000001b3ull;
    }
}

static void digest_begin(struct digest *digest, const char *what)
{
    *digest = (struct digest){ { 0xcbf29ce484222325ull, 0x84222325cbf29ce4ull } };
    digest_add(digest, what, strlen(what));
}

static void digest_uuid(const struct digest *digest, uint8_t uuid[16])
{
    memcpy(uuid, digest->lane, 16);
    uuid[6] = (uuid[6] & 0x0f) | 0x80;
    uuid[8] = (uuid[8] & 0x3f) | 0x80;
}

static void clock_uuid(const struct trace_log *log, uint8_t uuid[16])
{
    struct digest digest;

    digest_begin(&digest, "parangon clock");
    digest_add(&digest, &log->head.tsc_hz, sizeof(log->head.tsc_hz));
    digest_add(&digest, &log->head.clock_mode, sizeof(log->head.clock_mode));
    digest_uuid(&digest, uuid);
}

/* Identity of the trace: build, clock, and every record. */
static void trace_uuid(const struct trace_log *log, uint8_t uuid[16])
{
    struct digest digest;

    digest_begin(&digest, "parangon trace");
    digest_add(&digest, log->head.build_id, log->head.build_id_size);
    digest_add(&digest, &log->head.tsc_hz, sizeof(log->head.tsc_hz));
    digest_add(&digest, &log->head.clock_mode, sizeof(log->head.clock_mode));
    for (size_t s = 0; s < log->nr_streams; s++) {
        const struct trace_stream *stream = &log->streams[s];

        digest_add(&digest, &stream->lost, sizeof(stream->lost));
        for (size_t i = 0; i < stream->nr_items; i++)
            digest_add(&digest, stream->items[i].record, stream->items[i].event->end);
    }
    digest_uuid(&digest, uuid);
}

static void print_uuid(FILE *out, const uint8_t uuid[16])
{
    for (int i = 0; i < 16; i++)
        fprintf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
}

static void print_field(FILE *out, const struct trace_field *field)
{
    const unsigned bits = field->size * 8;

    if (field->enumeration) {
        fprintf(out, "\t\tenum : %s%u_t {", field->is_signed ? "int" : "uint", bits);
        for (size_t i = 0; i < field->enumeration->nr_values; i++) {
            const struct trace_value *value = &field->enumeration->values[i];

            fprintf(out, "%s \"%s\" = %" PRId64, i ? "," : "", value->label, value->number);
        }
        fprintf(out, " } _%s;\n", field->name);
        return;
    }
    fprintf(out, "\t\t%s%s%u_t _%s;\n", strcmp(field->unit, "HEX") == 0 ? "x" : "",
            field->is_signed ? "int" : "uint", bits, field->name);
}

static void print_types(FILE *out)
{
    for (unsigned bits = 8; bits <= 64; bits *= 2) {
        fprintf(out,
                "typealias integer { size = %u; align = 8; signed = false; } := uint%u_t;\n"
                "typealias integer { size = %u; align = 8; signed = true; } := int%u_t;\n"
                "typealias integer { size = %u; align = 8; signed = false; base = 16; } := xuint%u_t;\n"
                "typealias integer { size = %u; align = 8; signed = true; base = 16; } := xint%u_t;\n",
                bits, bits, bits, bits, bits, bits, bits, bits);
    }
}

static void print_environment(FILE *out, const struct trace_log *log)
{
    const struct trace_region_head *head = &log->head;
    uint64_t overwritten = 0;

    for (size_t s = 0; s < log->nr_streams; s++)
        overwritten += log->streams[s].overwritten;
    fprintf(out,
            "env {\n"
            "\tdomain = \"hypervisor\";\n"
            "\ttracer_name = \"parangon\";\n"
            "\ttracer_major = %u;\n"
            "\ttracer_minor = %u;\n"
            "\tclock_counts = \"%s\";\n"
            "\ttsc_hz = \"%" PRIu64 "\";\n"
            "\ttsc_source = \"%s\";\n"
            "\tclasses = \"0x%" PRIx64 "\";\n"
            "\tclasses_enabled = \"0x%" PRIx64 "\";\n"
            "\tnr_cpus = %u;\n"
            "\trecords_lost = \"%" PRIu64 "\";\n"
            "\tsub_buffers_overwritten = \"%" PRIu64 "\";\n"
            "\tfinished = %d;\n"
            "\tbuild_id = \"",
            head->version_major, head->version_minor, trace_clock_words(head->clock_mode),
            head->tsc_hz, trace_tsc_source_word(head->tsc_source), head->classes, head->mask,
            head->nr_cpus, log->lost, overwritten, head->state == TRACE_STATE_FINISHED);
    for (uint32_t i = 0; i < head->build_id_size; i++)
        fprintf(out, "%02x", head->build_id[i]);
    fputs("\";\n};\n\n", out);
}

static void print_clock(FILE *out, const struct trace_log *log)
{
    uint8_t uuid[16];

    clock_uuid(log, uuid);
    fputs("clock {\n\tname = \"parangon\";\n\tuuid = \"", out);
    print_uuid(out, uuid);
    fprintf(out,
            "\";\n"
            "\tdescription = \"%s\";\n"
            "\tfreq = %" PRIu64 ";\n"
            "\toffset_s = 0;\n"
            "\toffset = 0;\n"
            "\tabsolute = false;\n"
            "};\n\n"
            "typealias integer { size = 64; align = 8; signed = false; map = clock.parangon.value; } := clock_t;\n\n",
            trace_clock_words(log->head.clock_mode),
            log->head.tsc_hz ? log->head.tsc_hz : UINT64_C(1000000000));
}

static void print_metadata(FILE *out, const struct trace_log *log, const uint8_t uuid[16])
{
    fputs("/* CTF 1.8 */\n\n", out);
    print_types(out);
    fputs("\ntrace {\n\tmajor = 1;\n\tminor = 8;\n\tuuid = \"", out);
    print_uuid(out, uuid);
    fputs("\";\n"
          "\tbyte_order = le;\n"
          "\tpacket.header := struct {\n"
          "\t\tuint32_t magic;\n"
          "\t\tuint8_t uuid[16];\n"
          "\t\tuint32_t stream_id;\n"
          "\t\tuint64_t stream_instance_id;\n"
          "\t};\n"
          "};\n\n",
          out);
    print_environment(out, log);
    print_clock(out, log);
    fputs("stream {\n"
          "\tid = 0;\n"
          "\tpacket.context := struct {\n"
          "\t\tclock_t timestamp_begin;\n"
          "\t\tclock_t timestamp_end;\n"
          "\t\tuint64_t content_size;\n"
          "\t\tuint64_t packet_size;\n"
          "\t\tuint64_t packet_seq_num;\n"
          "\t\tuint64_t events_discarded;\n"
          "\t\tuint32_t cpu_id;\n"
          "\t\tenum : uint32_t { \"normal\" = 0, \"nmi\" = 1 } ring;\n"
          "\t};\n"
          "\tevent.header := struct {\n"
          "\t\tuint16_t id;\n"
          "\t\tclock_t timestamp;\n"
          "\t};\n"
          "};\n\n",
          out);
    for (size_t e = 0; e < log->schema->nr_events; e++) {
        const struct trace_event *event = &log->schema->events[e];

        fprintf(out,
                "/* %s: %s */\n"
                "event {\n"
                "\tid = %zu;\n"
                "\tname = \"%s\";\n"
                "\tstream_id = 0;\n"
                "\tfields := struct {\n",
                event->class->name, event->doc, e, event->name);
        for (size_t f = 0; f < event->nr_fields; f++)
            print_field(out, &event->fields[f]);
        fputs("\t};\n};\n\n", out);
    }
}

/* Write items [first, end) as one packet. */
static void write_packet(FILE *out, const struct trace_log *log, const struct trace_stream *stream,
                         const uint8_t uuid[16], size_t first, size_t end, uint64_t seq)
{
    struct packet_head head = {
        .magic = CTF_MAGIC,
        .stream_instance_id = stream - log->streams,
        .timestamp_begin = stream->items[first].time,
        .timestamp_end = stream->items[end - 1].time,
        .packet_seq_num = seq,
        .events_discarded = end == stream->nr_items ? stream->lost : 0,
        .cpu_id = stream->cpu,
        .ring = stream->kind,
    };
    uint64_t bytes = sizeof(head);

    for (size_t i = first; i < end; i++)
        bytes += sizeof(struct event_head) + stream->items[i].event->end -
                 sizeof(struct trace_record_head);
    memcpy(head.uuid, uuid, sizeof(head.uuid));
    head.content_size = head.packet_size = bytes * 8;
    fwrite(&head, sizeof(head), 1, out);
    for (size_t i = first; i < end; i++) {
        const struct trace_item *item = &stream->items[i];
        const struct event_head event = { item->event - log->schema->events, item->time };

        fwrite(&event, sizeof(event), 1, out);
        fwrite(item->record + sizeof(struct trace_record_head),
               item->event->end - sizeof(struct trace_record_head), 1, out);
    }
}

static void write_stream(FILE *out, const struct trace_log *log, const struct trace_stream *stream,
                         const uint8_t uuid[16])
{
    size_t first = 0, bytes = 0;
    uint64_t seq = 0;

    for (size_t i = 0; i < stream->nr_items; i++) {
        const size_t after = stream->nr_items - i - 1;

        bytes += stream->items[i].event->end;
        /*
         * A loss is the difference between two packets: the last record goes into one of its own.
         */
        if (bytes >= PACKET_BYTES || after == 0 || (after == 1 && stream->lost)) {
            write_packet(out, log, stream, uuid, first, i + 1, seq++);
            first = i + 1;
            bytes = 0;
        }
    }
}

/* Open folder/name for writing; `path` has room for both. */
static FILE *open_in(const char *folder, const char *name, char *path, size_t size)
{
    FILE *out;

    snprintf(path, size, "%s/%s", folder, name);
    out = fopen(path, "wbe");
    if (!out)
        warn("%s", path);
    return out;
}

static bool close_good(FILE *out, const char *path)
{
    const bool bad = ferror(out);

    if (fclose(out) != 0 || bad) {
        warn("%s", path);
        return false;
    }
    return true;
}

static bool write_files(const struct trace_log *log, const char *folder, char *path, size_t size)
{
    uint8_t uuid[16];
    FILE *out;

    trace_uuid(log, uuid);
    out = open_in(folder, "metadata", path, size);
    if (!out)
        return false;
    print_metadata(out, log, uuid);
    if (!close_good(out, path))
        return false;
    for (size_t s = 0; s < log->nr_streams; s++) {
        const struct trace_stream *stream = &log->streams[s];
        char name[32];

        if (!stream->nr_items)
            continue;
        snprintf(name, sizeof(name), "cpu_%u%s", stream->cpu,
                 stream->kind == TRACE_RING_NMI ? "_nmi" : "");
        out = open_in(folder, name, path, size);
        if (!out)
            return false;
        write_stream(out, log, stream, uuid);
        if (!close_good(out, path))
            return false;
    }
    return true;
}

/* Take away what write_files() may have left. */
static void remove_files(const struct trace_log *log, const char *folder, char *path, size_t size)
{
    snprintf(path, size, "%s/metadata", folder);
    unlink(path);
    for (size_t s = 0; s < log->nr_streams; s++) {
        snprintf(path, size, "%s/cpu_%u%s", folder, log->streams[s].cpu,
                 log->streams[s].kind == TRACE_RING_NMI ? "_nmi" : "");
        unlink(path);
    }
    rmdir(folder);
}

int trace_ctf_write(const struct trace_log *log, const char *folder)
{
    const size_t size = strlen(folder) + 64;
    char *partial = malloc(size), *path = malloc(size);
    int result = -1;

    if (!partial || !path)
        err(4, "trace");
    snprintf(partial, size, "%s.partial-%d", folder, (int)getpid());
    if (access(folder, F_OK) == 0) {
        warnx("%s exists; name another folder, or remove it first", folder);
        goto out;
    }
    if (mkdir(partial, 0777) < 0) {
        warn("%s", partial);
        goto out;
    }
    if (!write_files(log, partial, path, size)) {
        remove_files(log, partial, path, size);
        goto out;
    }
    if (rename(partial, folder) < 0) {
        warn("%s", folder);
        remove_files(log, partial, path, size);
        goto out;
    }
    result = 0;
out:
    free(partial);
    free(path);
    return result;
}

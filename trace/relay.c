/* SPDX-License-Identifier: MIT */
/*
 * The relay: see relay.h. While the machine runs, bytes go to the same place in a sparse copy of
 * the region, up to each ring's `head`; at the end the copy is compacted in place, ring after ring,
 * always towards the start of the file.
 */
#include "trace/relay.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "trace/ring.h"

/* Held rings grow without end: where there is one, each ring has so much of the copy's offsets, most of it a hole. */
#define HELD_ROOM (1ull << 36)

struct relay {
    const struct trace_relay_options *options;
    const char *region_name;
    const uint8_t *region; /* mapped, read-only */
    size_t size;
    struct trace_region_head head;
    uint64_t *copied; /* by ring: free-running offset up to which bytes are in the copy */
    uint64_t *shown;  /* and up to which its records were shown to the watcher */
    char *partial;    /* name of the copy until it is whole */
    int out;
    int listener, machine; /* of options->hold; -1: none */
};

static const struct trace_ring_head *ring_at(const struct relay *relay, size_t i)
{
    return (const struct trace_ring_head *)(relay->region + relay->head.rings_offset) + i;
}

static bool is_held(const struct relay *relay, size_t i)
{
    return ring_at(relay, i)->mode == TRACE_HELD;
}

/* Where the copy has the sub-buffer that starts at a free-running offset of a ring. */
static uint64_t place_in_copy(const struct relay *relay, size_t i, uint64_t start)
{
    const struct trace_ring_head *ring = ring_at(relay, i);

    return (is_held(relay, 0) ? (i + 1) * HELD_ROOM : ring->offset) + (is_held(relay, i) ? start : start % ring->size);
}

static bool put(const struct relay *relay, const void *bytes, size_t size, uint64_t offset)
{
    const char *from = bytes;

    while (size) {
        const ssize_t done = pwrite(relay->out, from, size, offset);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            warn("%s", relay->partial);
            return false;
        }
        from += done;
        size -= done;
        offset += done;
    }
    return true;
}

static bool map_region(struct relay *relay)
{
    struct stat stat;
    int fd = open(relay->region_name, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &stat) < 0) {
        warn("%s", relay->region_name);
        if (fd >= 0)
            close(fd);
        return false;
    }
    relay->size = stat.st_size;
    relay->region = relay->size < sizeof(relay->head)
                        ? MAP_FAILED
                        : mmap(NULL, relay->size, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (relay->region == MAP_FAILED) {
        warnx("%s: cannot be mapped, or too small for a trace", relay->region_name);
        relay->region = NULL;
        return false;
    }
    return true;
}

static bool alive(const struct relay *relay)
{
    return relay->options->alive && relay->options->alive(relay->options->context);
}

/* Wait for the head of the trace; false where the machine ended without one. */
static bool wait_for_head(struct relay *relay)
{
    const uint64_t *magic = (const uint64_t *)relay->region;
    bool more = true;

    while (__atomic_load_n(magic, __ATOMIC_ACQUIRE) != TRACE_MAGIC) {
        if (!more) {
            warnx("%s: no trace was started in it", relay->region_name);
            return false;
        }
        more = alive(relay); /* one more look after the end */
        if (more)
            usleep(relay->options->poll_us ? relay->options->poll_us : 1000);
    }
    memcpy(&relay->head, relay->region, sizeof(relay->head));
    return true;
}

static bool check_layout(const struct relay *relay)
{
    const struct trace_region_head *head = &relay->head;

    if (head->version_major != TRACE_VERSION_MAJOR) {
        warnx("%s: trace format %u.%u; this program reads %u.x", relay->region_name,
              head->version_major, head->version_minor, TRACE_VERSION_MAJOR);
        return false;
    }
    if (head->nr_rings > TRACE_MAX_RINGS || head->rings_offset % 8 ||
        head->rings_offset > relay->size ||
        relay->size - head->rings_offset < head->nr_rings * sizeof(struct trace_ring_head)) {
        warnx("%s: damaged head of a trace", relay->region_name);
        return false;
    }
    for (size_t i = 0; i < head->nr_rings; i++) {
        const struct trace_ring_head *ring = ring_at(relay, i);
        const uint64_t before = i ? ring_at(relay, i - 1)->offset + ring_at(relay, i - 1)->size : 0;

        if (ring->offset > relay->size || ring->size > relay->size - ring->offset ||
            ring->offset < before || ring->offset % 8 || !ring->sub_size || ring->sub_size % 8 ||
            ring->size % ring->sub_size) {
            warnx("%s: ring of cpu %u lies outside it", relay->region_name, ring->cpu);
            return false;
        }
    }
    return true;
}

static bool copy_sub_head(const struct relay *relay, size_t i, uint64_t start)
{
    const struct trace_ring_head *ring = ring_at(relay, i);

    return put(relay, relay->region + ring->offset + start % ring->size, sizeof(struct trace_sub_head),
               place_in_copy(relay, i, start));
}

/*
 * Copy what is new in a ring, sub-buffer by sub-buffer. Of a closed sub-buffer only the used part
 * counts. The head of a sub-buffer changes when it is closed, and is taken again with the next one.
 */
static bool copy_ring(struct relay *relay, size_t i, size_t limit)
{
    const struct trace_ring_head *ring = ring_at(relay, i);
    const uint64_t head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
    uint64_t at = relay->copied[i];

    while (at < head && limit) {
        const uint64_t start = at / ring->sub_size * ring->sub_size;
        const uint8_t *data = relay->region + ring->offset + start % ring->size;
        const uint64_t place = place_in_copy(relay, i, start);
        const struct trace_sub_head *sub = (const void *)data;
        const bool closed = head > start + ring->sub_size;
        const uint64_t used = closed ? sub->used : head - start;
        uint64_t size;

        if (at == start && start && !copy_sub_head(relay, i, start - ring->sub_size))
            return false;
        if (used > ring->sub_size || used < at - start) {
            warnx("%s: ring of cpu %u is damaged", relay->region_name, ring->cpu);
            return false;
        }
        size = used - (at - start);
        if (size > limit)
            size = limit;
        if (!put(relay, data + (at - start), size, place + (at - start)))
            return false;
        at += size;
        limit -= size;
        if (closed && at - start == used)
            at = start + ring->sub_size;
    }
    relay->copied[i] = at;
    return true;
}

/* Show the watcher the records of a ring that have been copied as a whole. */
static bool show_ring(struct relay *relay, size_t i)
{
    const struct trace_ring_head *ring = ring_at(relay, i);
    const uint64_t copied = relay->copied[i];
    uint64_t at = relay->shown[i];

    while (at < copied) {
        const uint64_t start = at / ring->sub_size * ring->sub_size;
        const uint8_t *data = relay->region + ring->offset + start % ring->size;
        const bool closed = copied >= start + ring->sub_size;
        const uint64_t end = closed ? start + ((const struct trace_sub_head *)data)->used : copied;
        const struct trace_record_head *record = (const void *)(data + (at - start));

        if (at == start) {
            at += sizeof(struct trace_sub_head);
            continue;
        }
        if (at >= end) {
            if (!closed)
                break;
            at = start + ring->sub_size;
            continue;
        }
        if (end - at < sizeof(*record) || end - at < record->size) {
            if (!closed)
                break; /* the rest comes with the next look */
            warnx("%s: ring of cpu %u is damaged", relay->region_name, ring->cpu);
            return false;
        }
        if (record->size < sizeof(*record) || record->size % 8) {
            warnx("%s: ring of cpu %u has a damaged record", relay->region_name, ring->cpu);
            return false;
        }
        relay->options->watcher->record(record);
        at += record->size;
    }
    relay->shown[i] = at;
    return true;
}

/* Take the head of the last sub-buffer of a ring, once nothing changes any more. */
static bool copy_last_head(const struct relay *relay, size_t i)
{
    const struct trace_ring_head *ring = ring_at(relay, i);

    return !ring->head || copy_sub_head(relay, i, (ring->head - 1) / ring->sub_size * ring->sub_size);
}

static bool copy_rings(struct relay *relay, size_t limit)
{
    for (size_t i = 0; i < relay->head.nr_rings; i++) {
        const struct trace_ring_head *ring = ring_at(relay, i);
        const uint64_t subs = (ring->head + ring->sub_size - 1) / ring->sub_size;
        const uint64_t kept = ring->size / ring->sub_size;

        if (is_held(relay, i)) {
            if (ring->head > relay->copied[i] + ring->size || ring->head > HELD_ROOM) {
                warnx("%s: ring of cpu %u went on before it was drained", relay->region_name, ring->cpu);
                return false;
            }
        } else if (subs > kept) { /* flight recorder that went round: start at the oldest that is left */
            const uint64_t oldest = (subs - kept) * ring->sub_size;

            if (relay->copied[i] < oldest)
                relay->copied[i] = relay->shown[i] = oldest;
        }
        if (!copy_ring(relay, i, limit) || (relay->options->watcher && !show_ring(relay, i)))
            return false;
    }
    return true;
}

static bool is_flight(const struct relay *relay)
{
    return relay->head.nr_rings && ring_at(relay, 0)->mode == TRACE_FLIGHT;
}

/* ---- a machine that is held ---- */

static bool open_hold(struct relay *relay)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    const char *path = relay->options->hold;

    if (!path)
        return true;
    if (strlen(path) >= sizeof(name.sun_path)) {
        warnx("%s: too long for the name of a socket", path);
        return false;
    }
    strcpy(name.sun_path, path);
    relay->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (relay->listener < 0 || bind(relay->listener, (struct sockaddr *)&name, sizeof(name)) < 0 || listen(relay->listener, 1) < 0) {
        warn("%s", path);
        return false;
    }
    return true;
}

static void close_hold(struct relay *relay)
{
    if (relay->machine >= 0)
        close(relay->machine);
    if (relay->listener >= 0) {
        close(relay->listener);
        unlink(relay->options->hold);
    }
}

/* The machine is held at a full sub-buffer: take all there is, and let it go. */
static bool serve(struct relay *relay)
{
    char byte;
    ssize_t got = read(relay->machine, &byte, 1);

    if (got == 1) {
        usleep(relay->options->poll_us);
        if (!copy_rings(relay, SIZE_MAX))
            return false;
        if (send(relay->machine, &byte, 1, MSG_NOSIGNAL) == 1)
            return true;
    }
    close(relay->machine); /* it has ended */
    relay->machine = -1;
    return true;
}

/* Until there may be more to take. */
static bool wait_for_more(struct relay *relay)
{
    const unsigned us = relay->options->poll_us ? relay->options->poll_us : 1000;
    struct pollfd from = { .fd = relay->machine >= 0 ? relay->machine : relay->listener, .events = POLLIN };

    if (from.fd < 0) {
        usleep(us);
        return true;
    }
    if (poll(&from, 1, us / 1000 + 1) <= 0)
        return true;
    if (relay->machine >= 0)
        return serve(relay);
    relay->machine = accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC);
    return true;
}

/* Follow the rings until the machine ends, then take the rest. */
static bool follow(struct relay *relay)
{
    const struct trace_region_head *live = (const void *)relay->region;
    const size_t limit = relay->options->chunk ? relay->options->chunk : SIZE_MAX;

    while (alive(relay) && __atomic_load_n(&live->state, __ATOMIC_ACQUIRE) == TRACE_STATE_LIVE) {
        if (!is_flight(relay) && !copy_rings(relay, limit))
            return false;
        if (!wait_for_more(relay))
            return false;
    }
    return copy_rings(relay, SIZE_MAX);
}

/* Move `size` bytes of the copy down from one offset to another. */
static bool move_down(const struct relay *relay, uint64_t from, uint64_t to, uint64_t size)
{
    char buffer[65536];

    while (from != to && size) {
        const size_t part = size < sizeof(buffer) ? size : sizeof(buffer);
        const ssize_t got = pread(relay->out, buffer, part, from);

        if (got < 0) {
            warn("%s", relay->partial);
            return false;
        }
        memset(buffer + got, 0, part - got); /* a hole at the end of the file */
        if (!put(relay, buffer, part, to))
            return false;
        from += part;
        to += part;
        size -= part;
    }
    return true;
}

/* Squeeze the rings together, write the heads that tell so, cut the file. */
static bool compact(struct relay *relay)
{
    uint64_t end = relay->head.nr_rings ? ring_at(relay, 0)->offset : relay->size;
    bool good = put(relay, relay->region, end, 0);

    for (size_t i = 0; good && i < relay->head.nr_rings; i++) {
        struct trace_ring_head ring = *ring_at(relay, i);
        const uint64_t subs = (ring.head + ring.sub_size - 1) / ring.sub_size;
        const uint64_t from = place_in_copy(relay, i, 0);

        if (ring.head <= sizeof(struct trace_sub_head)) { /* no record */
            ring.head = 0;
            ring.size = 0;
        } else if (is_held(relay, i) || subs * ring.sub_size < ring.size) {
            ring.size = subs * ring.sub_size;
        }
        if (is_held(relay, i))
            ring.mode = TRACE_RECORD;
        ring.offset = end;
        good = copy_last_head(relay, i) && move_down(relay, from, end, ring.size) &&
               put(relay, &ring, sizeof(ring), relay->head.rings_offset + i * sizeof(ring));
        end += ring.size;
    }
    memcpy(&relay->head, relay->region, sizeof(relay->head)); /* with the last state */
    relay->head.region_size = end;
    good = good && put(relay, &relay->head, sizeof(relay->head), 0);
    if (good && ftruncate(relay->out, end) < 0) {
        warn("%s", relay->partial);
        good = false;
    }
    return good;
}

static bool open_copy(struct relay *relay, const char *out)
{
    if (asprintf(&relay->partial, "%s.partial-%d", out, (int)getpid()) < 0)
        err(4, "trace");
    relay->out = open(relay->partial, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (relay->out < 0 || ftruncate(relay->out, relay->size) < 0) {
        warn("%s", relay->partial);
        return false;
    }
    return true;
}

static bool begin_watching(const struct relay *relay)
{
    const struct trace_region_head *head = &relay->head;

    if (!relay->options->watcher)
        return true;
    if (head->desc_offset > relay->size || head->desc_size > relay->size - head->desc_offset) {
        warnx("%s: damaged head of a trace", relay->region_name);
        return false;
    }
    return relay->options->watcher->begin((const char *)relay->region + head->desc_offset,
                                          head->desc_size) == 0;
}

int trace_relay(const char *region, const char *out, const struct trace_relay_options *options)
{
    struct relay relay = { .options = options, .region_name = region, .out = -1, .listener = -1, .machine = -1 };
    bool good = open_hold(&relay) && map_region(&relay) && wait_for_head(&relay) && check_layout(&relay);

    if (good) {
        relay.copied = calloc(relay.head.nr_rings + 1, sizeof(*relay.copied));
        relay.shown = calloc(relay.head.nr_rings + 1, sizeof(*relay.shown));
        if (!relay.copied || !relay.shown)
            err(4, "trace");
        good = begin_watching(&relay) && open_copy(&relay, out) && follow(&relay) && compact(&relay);
    }
    close_hold(&relay); /* a machine that still waits goes on */
    for (size_t i = 0; good && options->lost && i < relay.head.nr_rings; i++)
        *options->lost += ring_at(&relay, i)->lost;
    if (relay.out >= 0 && close(relay.out) < 0 && good) {
        warn("%s", relay.partial);
        good = false;
    }
    if (good && rename(relay.partial, out) < 0) {
        warn("%s", out);
        good = false;
    }
    if (!good && relay.partial)
        unlink(relay.partial);
    free(relay.partial);
    free(relay.copied);
    free(relay.shown);
    if (relay.region)
        munmap((void *)relay.region, relay.size);
    return good ? 0 : -1;
}

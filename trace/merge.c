/* SPDX-License-Identifier: MIT */
/*
 * The records of all processors in the order of time: a binary heap of streams, keyed by the time
 * of each one's next record.
 */
#include "trace/reader.h"

#include <err.h>
#include <stdlib.h>

static bool earlier(const struct trace_merge *merge, size_t a, size_t b)
{
    const uint64_t time_a = merge->log->streams[a].items[merge->next[a]].time;
    const uint64_t time_b = merge->log->streams[b].items[merge->next[b]].time;

    return time_a != time_b ? time_a < time_b : a < b;
}

static void sift_down(struct trace_merge *merge, size_t at)
{
    for (;;) {
        size_t least = at, child = 2 * at + 1;
        const size_t stream = merge->heap[at];

        for (size_t end = child + 2; child < end && child < merge->nr; child++) {
            if (earlier(merge, merge->heap[child], merge->heap[least]))
                least = child;
        }
        if (least == at)
            return;
        merge->heap[at] = merge->heap[least];
        merge->heap[least] = stream;
        at = least;
    }
}

void trace_merge_begin(struct trace_merge *merge, const struct trace_log *log)
{
    *merge = (struct trace_merge){ .log = log };
    merge->heap = calloc(log->nr_streams + 1, sizeof(*merge->heap));
    merge->next = calloc(log->nr_streams + 1, sizeof(*merge->next));
    if (!merge->heap || !merge->next)
        err(4, "trace");
    for (size_t i = 0; i < log->nr_streams; i++) {
        if (log->streams[i].nr_items)
            merge->heap[merge->nr++] = i;
    }
    for (size_t i = merge->nr; i-- > 0;)
        sift_down(merge, i);
}

const struct trace_item *trace_merge_next(struct trace_merge *merge,
                                          const struct trace_stream **stream)
{
    const struct trace_item *item;
    size_t first;

    if (!merge->nr)
        return NULL;
    first = merge->heap[0];
    *stream = &merge->log->streams[first];
    item = &(*stream)->items[merge->next[first]++];
    if (merge->next[first] == (*stream)->nr_items)
        merge->heap[0] = merge->heap[--merge->nr];
    if (merge->nr)
        sift_down(merge, 0);
    return item;
}

void trace_merge_end(struct trace_merge *merge)
{
    free(merge->heap);
    free(merge->next);
}

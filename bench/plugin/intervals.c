/* SPDX-License-Identifier: MIT */
/*
 * intervals.h: a growing array of records and the totals at which the open one began.
 */
#include "intervals.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct interval *records;
static uint32_t nr_records, capacity, nr_measured;
static struct totals start; /* of the open record; of PRE_DOMAIN all zero */
static enum { PHASE_RESET, PHASE_BOOT, PHASE_IDLE, PHASE_MEASURED } phase;

static void add_record(enum interval_kind kind, uint32_t seq, const struct totals *now)
{
    struct interval *r;

    if (nr_records == capacity) {
        capacity = capacity ? capacity * 2 : 256;
        records = realloc(records, capacity * sizeof(*records));
        if (!records) {
            fprintf(stderr, "count plugin: no memory for %u intervals\n", capacity);
            exit(1);
        }
    }
    r = &records[nr_records++];
    *r = (struct interval){
        .kind = kind,
        .seq = seq,
        .user = now->class[CLASS_USER] - start.class[CLASS_USER],
        .kernel = now->class[CLASS_KERNEL] - start.class[CLASS_KERNEL],
        .hypervisor = now->class[CLASS_HYPERVISOR] - start.class[CLASS_HYPERVISOR],
        .apart = now->apart - start.apart,
    };
    for (int i = 0; i < COUNTER_NR; i++)
        r->counter[i] = now->counter[i] - start.counter[i];
}

void interval_guest_starts(const struct totals *now)
{
    struct totals below = *now;

    if (phase != PHASE_RESET)
        return;
    /*
     * No guest ran yet: whatever the addresses were, it was firmware or hypervisor, and nothing
     * entered it.
     */
    below.class[CLASS_HYPERVISOR] += below.class[CLASS_USER] + below.class[CLASS_KERNEL];
    below.class[CLASS_USER] = below.class[CLASS_KERNEL] = 0;
    below.counter[COUNTER_hv_entry] = 0;
    add_record(INTERVAL_PRE_DOMAIN, 0, &below);
    start = *now;
    phase = PHASE_BOOT;
}

void interval_init(const struct totals *now)
{
    interval_guest_starts(now);
    if (phase != PHASE_BOOT) {
        fprintf(stderr, "count plugin: a second INIT mark, ignored\n");
        return;
    }
    add_record(INTERVAL_BOOT, 0, now);
    phase = PHASE_IDLE;
}

void interval_begin(const struct totals *now)
{
    interval_guest_starts(now);
    if (phase == PHASE_MEASURED)
        fprintf(stderr, "count plugin: BEGIN mark in open interval %u, which begins anew\n",
                nr_measured);
    start = *now;
    phase = PHASE_MEASURED;
}

bool interval_end(const struct totals *now)
{
    if (phase != PHASE_MEASURED) {
        fprintf(stderr, "count plugin: END mark without BEGIN, ignored\n");
        return false;
    }
    add_record(INTERVAL_MEASURED, nr_measured++, now);
    phase = PHASE_IDLE;
    return true;
}

bool interval_open(enum interval_kind *kind, uint32_t *seq)
{
    *kind = phase == PHASE_RESET  ? INTERVAL_PRE_DOMAIN
            : phase == PHASE_BOOT ? INTERVAL_BOOT
                                  : INTERVAL_MEASURED;
    *seq = phase == PHASE_MEASURED ? nr_measured : 0;
    return phase != PHASE_IDLE;
}

int interval_write(const char *path, uint64_t valid, uint32_t inexact)
{
    struct interval_file_head head = {
        .magic = INTERVAL_MAGIC,
        .version = INTERVAL_VERSION,
        .nr_counters = COUNTER_NR,
        .valid = valid,
        .nr_intervals = nr_records,
        .nr_inexact = inexact,
    };
    char *temporary;
    FILE *f;
    bool ok;

    if (phase == PHASE_MEASURED)
        fprintf(stderr, "count plugin: the machine ended within interval %u, which is dropped\n",
                nr_measured);
    if (asprintf(&temporary, "%s.part", path) < 0)
        return -1;
    f = fopen(temporary, "wb");
    ok = f && fwrite(&head, sizeof(head), 1, f) == 1 &&
         fwrite(records, sizeof(*records), nr_records, f) == nr_records;
    ok = f && fclose(f) == 0 && ok && rename(temporary, path) == 0;
    if (!ok) {
        fprintf(stderr, "count plugin: cannot write %s: %s\n", path, strerror(errno));
        remove(temporary);
    }
    free(temporary);
    return ok ? 0 : -1;
}

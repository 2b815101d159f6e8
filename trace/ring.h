/* SPDX-License-Identifier: MIT */
/*
 * The trace region: the memory (an ivshmem BAR, or RAM) through which the hypervisor's records
 * reach the host.
 *
 * Layout, all little-endian, offsets from the start of the region:
 *   0                 struct trace_region_head
 *   rings_offset      struct trace_ring_head[nr_rings]
 *   desc_offset       descriptor table: text that describes classes, enumerations, events and fields (descriptor.c)
 *   ring[i].offset    the records of ring i: sub-buffers of sub_size bytes, each a struct trace_sub_head and then records
 *
 * A record is contiguous, never crosses a sub-buffer and is a multiple of 8 bytes: struct
 * trace_record_head, then the packed fields. What is left at the end of a sub-buffer is not used;
 * `used` in its head says where the records end.
 *
 * Producer: the processor that owns the ring, interrupts off; NMI and machine check write to a ring
 * of their own. It keeps its position in struct trace_ring, in private memory, and only *writes* to
 * the region: nothing that a reader does or fails to do can change what the hypervisor executes.
 * Modes: TRACE_RECORD keeps the oldest records; when the ring is full, every later record is
 * counted in `lost`. TRACE_FLIGHT keeps the newest; it overwrites the oldest sub-buffer as a whole.
 * TRACE_HELD goes round like it, but at the mark (bench/mark.h, a NOP) that is executed before a
 * sub-buffer is left the counting plugin holds the machine until a relay has taken what is there, so
 * that nothing is lost in a ring of any size, and the producer still reads nothing.
 * Reader: `head` is stored after the record that it covers (x86 keeps the order of stores), so all
 * below it is whole. In TRACE_RECORD a reader may follow `head` while the machine runs; in
 * TRACE_FLIGHT it reads after the end; in TRACE_HELD the relay must follow.
 *
 * Does not: know what an event is (trace.h), allocate or map memory (the environment does).
 */
#ifndef PARANGON_TRACE_RING_H
#define PARANGON_TRACE_RING_H

#include <stdint.h>

#define TRACE_MAGIC         0x45434152544e4750ull /* the bytes "PGNTRACE" */
#define TRACE_VERSION_MAJOR 1u                    /* another layout */
#define TRACE_VERSION_MINOR 0u                    /* fields added in reserved space */

#define TRACE_PAGE         4096u
#define TRACE_SUB_SIZE     65536u /* default and smallest unit of overwriting; larger than any record */
#define TRACE_NMI_RING     TRACE_SUB_SIZE
#define TRACE_BUILD_ID_MAX 32u
#define TRACE_MAX_RINGS    2048u

enum trace_mode {
    TRACE_RECORD = 0, /* keep the oldest, count what is lost */
    TRACE_FLIGHT = 1, /* keep the newest */
    TRACE_HELD = 2,   /* hold the machine until they are taken (normal rings; an NMI's keeps the oldest) */
};

enum trace_ring_kind {
    TRACE_RING_NORMAL = 0,
    TRACE_RING_NMI = 1, /* NMI and machine check of the same processor */
};

enum trace_state {
    TRACE_STATE_LIVE = 1,     /* records may still come */
    TRACE_STATE_FINISHED = 2, /* the machine has ended in order */
};

/** How the frequency of the time stamp counter was found. */
enum trace_tsc_source {
    TRACE_TSC_UNKNOWN = 0,    /* tsc_hz is 0 */
    TRACE_TSC_CPUID = 1,      /* CPUID leaf 0x15 or 0x16, or a hypervisor leaf */
    TRACE_TSC_PIT = 2,        /* measured against the PIT */
    TRACE_TSC_HPET = 3,       /* measured against the HPET */
    TRACE_TSC_ACPI_PM = 4,    /* measured against the ACPI power management timer */
    TRACE_TSC_GIVEN = 5,      /* told by the command line */
};

/** What the time stamps count. */
enum trace_clock_mode {
    TRACE_CLOCK_CYCLES = 0,       /* TSC of a real or nested processor */
    TRACE_CLOCK_INSTRUCTIONS = 1, /* TSC under QEMU -icount shift=0: a synthetic clock that counts instructions as ns */
    TRACE_CLOCK_UNTIMED = 2,      /* TSC of an emulator without icount: order only */
    TRACE_CLOCK_SIMULATED = 3,    /* ns of the scheduler's simulator */
};

struct trace_region_head {
    uint64_t magic;         /* TRACE_MAGIC; written last, so a reader that sees it sees all of the head */
    uint16_t version_major; /* TRACE_VERSION_MAJOR */
    uint16_t version_minor;
    uint32_t state;         /* enum trace_state */
    uint64_t region_size;   /* bytes */
    uint64_t desc_offset, desc_size;
    uint64_t rings_offset;
    uint32_t nr_rings;
    uint32_t nr_cpus;
    uint64_t tsc_hz;        /* ticks of the time stamps in a second, 0 where not known */
    uint32_t tsc_source;    /* enum trace_tsc_source */
    uint32_t clock_mode;    /* enum trace_clock_mode */
    uint64_t classes;       /* compiled in: bit as CLASS() of events.def */
    uint64_t mask;          /* enabled at boot */
    uint32_t build_id_size; /* bytes used of build_id */
    uint8_t build_id[TRACE_BUILD_ID_MAX];
    uint8_t reserved[4];
};

struct trace_ring_head {
    uint32_t cpu;
    uint32_t kind; /* enum trace_ring_kind */
    uint32_t mode; /* enum trace_mode */
    uint32_t sub_size;
    uint64_t offset, size; /* of the sub-buffers; size is a multiple of sub_size */
    uint64_t head;         /* free-running: ring offset at which the next record will start, modulo size its place */
    uint64_t lost;         /* records dropped so far */
    uint8_t reserved[16];
};

/** At the start of each sub-buffer. */
struct trace_sub_head {
    uint64_t seq;  /* 0, 1, 2... of this ring; its free-running offset is seq * sub_size */
    uint64_t used; /* bytes from the start of the sub-buffer to the end of its last record; 0 while it is being written */
    uint64_t lost; /* records dropped before it was opened */
    uint64_t reserved;
};

/** At the start of each record; packed, the time stamp is at offset 4. */
struct trace_record_head {
    uint16_t event; /* number in the descriptor table */
    uint16_t size;  /* bytes, this head included; a multiple of 8 */
    uint64_t time;  /* ticks of the trace clock */
} __attribute__((packed));

_Static_assert(sizeof(struct trace_region_head) == 128, "layout");
_Static_assert(sizeof(struct trace_ring_head) == 64, "layout");
_Static_assert(sizeof(struct trace_sub_head) == 32, "layout");
_Static_assert(sizeof(struct trace_record_head) == 12, "layout");

/**
 * The producer's side of one ring. Lives in the private memory of the processor (its per-CPU
 * block), zero-initialised: with mask == 0 nothing is recorded, so emitters are safe from the first
 * instruction on.
 */
struct trace_ring {
    uint32_t mask;    /* classes enabled at run time; may be changed at any time by the owning processor */
    uint32_t reserved;
    uint64_t pos;     /* free-running: where the next record starts */
    uint64_t limit;   /* free-running: end of the current sub-buffer; 0 when full */
    uint8_t *base;    /* base + pos is the address of the next record (moved at each wrap) */
    struct trace_ring_head *shared;
    uint64_t lost;
    uint64_t size;
    uint64_t full_at; /* free-running: where a ring that keeps the oldest ends; others: never */
    uint32_t sub_size;
};

/** What the environment tells about itself; see trace_region_init(). */
struct trace_config {
    uint32_t nr_cpus;
    uint32_t mode;       /* enum trace_mode */
    uint32_t sub_size;   /* bytes, a power of two, >= 4096; 0: TRACE_SUB_SIZE */
    uint32_t mask;       /* classes to enable (TRACE_CLASS_ bits) */
    uint64_t classes;    /* compiled in: TRACE_CLASSES of the environment */
    uint64_t tsc_hz;     /* 0 where not known */
    uint32_t tsc_source; /* enum trace_tsc_source */
    uint32_t clock_mode; /* enum trace_clock_mode */
    const void *build_id;
    uint32_t build_id_size; /* bytes, at most TRACE_BUILD_ID_MAX are kept */
};

/**
 * Lay out a trace region: head, descriptor table, and for every processor a ring and a small one
 * for its NMI.
 *
 * @param region  mapped memory, page aligned, writable; its old contents are of no matter
 * @param size    bytes
 * @return        0; -1 where the memory is too small for two sub-buffers a processor (nothing is
 *                written)
 *
 * Called once, by one processor, before any trace_ring_attach().
 */
int trace_region_init(void *region, uint64_t size, const struct trace_config *config);

/**
 * Connect a processor's private ring to its place in the region and enable its classes.
 *
 * @param ring  in the per-CPU block
 * @param kind  enum trace_ring_kind
 * @return      0; -1 where the region has no such ring (the ring stays off)
 *
 * Called by the processor itself (or before it runs), interrupts off.
 */
int trace_ring_attach(struct trace_ring *ring, void *region, uint32_t cpu, uint32_t kind,
                      uint32_t mask);

/**
 * Mark the region finished: the machine ends in order. The last to be done; a relay may not see
 * records made after it.
 */
void trace_region_finish(void *region);

/**
 * Write a record that does not fit into the current sub-buffer: to the next one, or count it as
 * lost. The slow path of trace.h.
 *
 * @param record  whole, head included
 *
 * Called through trace_ring_slow_saving (ring.c), which keeps every register, so that the fast path
 * need not save any.
 */
void trace_ring_slow(struct trace_ring *ring, const struct trace_record_head *record);

/**
 * Make the current sub-buffer hold `size` bytes more, by going to the next one, for a producer that writes its record itself.
 *
 * @return 1: now it does; 0: the ring is full, and the record has been counted as lost
 */
int trace_ring_room(struct trace_ring *ring, uint64_t size);

/** The descriptor table of this build: text, zero-terminated (format: descriptor.c). */
extern const char trace_descriptor[];
extern const uint64_t trace_descriptor_size; /* bytes without the zero */

#endif

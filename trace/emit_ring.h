/* SPDX-License-Identifier: MIT */
/*
 * The emitters of trace.h that write packed records to a ring: the hypervisor, and host programs
 * that stand in for it.
 */
#ifndef PARANGON_TRACE_EMIT_RING_H
#define PARANGON_TRACE_EMIT_RING_H

#include "trace/record.h"

/**
 * Start of a SPAN of this class: the trace clock, or 0 where the class is left out. Dearer to mask
 * than to read.
 */
#define TRACE_START(class) (TRACE_COMPILED(class) ? trace_clock() : (uint64_t)0)
/** Does this processor record the class now? 0 where the class is left out. */
#define TRACE_RECORDS(class)                                                                       \
    (TRACE_COMPILED(class) && __builtin_expect((trace_this_ring()->mask & TRACE_CLASS_##class) != 0, 0))

#define CLASS(name, bit, doc)
#define ENUM_DEF(name, doc, values)
#define FIELD(t, n, u, d) (t, n, u, d)

/*
 * The slow path, as a call that changes no register. The 128 bytes are the red zone of host
 * programs.
 */
TRACE_ALWAYS_INLINE void trace_call_slow(struct trace_ring *ring, const void *record)
{
    __asm__ volatile("lea -128(%%rsp), %%rsp\n\t"
                     "call trace_ring_slow_saving\n\t"
                     "lea 128(%%rsp), %%rsp"
                     :
                     : "D"(ring), "S"(record)
                     : "memory", "cc");
}

/*
 * TRACE_ON_<event>(): the whole path. The head is one 32-bit constant and the time; `head` of the
 * shared ring is stored after the record (the compiler is told by the barrier, the processor keeps
 * the order of stores). A record that does not fit is made on the stack instead.
 */
#define TRACE_FILL(name, when, lasted, stores)                                                     \
    trace_rec->head.event = TRACE_ID_##name;                                                       \
    trace_rec->head.size = sizeof(*trace_rec);                                                     \
    trace_rec->head.time = when;                                                                   \
    lasted stores

#define TRACE_EMIT(class, name, when, lasted, params, stores)                                      \
    TRACE_ALWAYS_INLINE void TRACE_ON_##name params                                                \
    {                                                                                              \
        uint64_t trace_end;                                                                        \
                                                                                                   \
        if (!TRACE_COMPILED(class) ||                                                              \
            __builtin_expect(!(trace_on->mask & TRACE_CLASS_##class), 1))                          \
            return;                                                                                \
        trace_end = trace_on->pos + sizeof(struct trace_record_##name);                            \
        if (__builtin_expect(trace_end <= trace_on->limit, 1)) {                                   \
            struct trace_record_##name *const trace_rec =                                          \
                (struct trace_record_##name *)(trace_on->base + trace_end) - 1;                    \
                                                                                                   \
            TRACE_FILL(name, when, lasted, stores)                                                 \
            trace_on->pos = trace_end;                                                             \
            __asm__ volatile("" ::: "memory");                                                     \
            trace_on->shared->head = trace_end;                                                    \
        } else {                                                                                   \
            struct trace_record_##name trace_copy, *const trace_rec = &trace_copy;                 \
                                                                                                   \
            __builtin_memset((char *)(trace_rec + 1) - 8, 0, 8); /* what is not a field */         \
            TRACE_FILL(name, when, lasted, stores)                                                 \
            trace_call_slow(trace_on, trace_rec);                                                  \
        }                                                                                          \
    }
#define EVENT(class, name, doc, fields)                                                            \
    TRACE_EMIT(class, name, trace_clock(), ,                                                       \
               (struct trace_ring * trace_on TRACE_EACH(TRACE_PARAM, fields)),                     \
               TRACE_EACH(TRACE_STORE, fields))
#define SPAN(class, name, doc, fields)                                                             \
    TRACE_EMIT(class, name, start, trace_rec->duration = (uint32_t)(trace_clock() - start);        \
               , (struct trace_ring * trace_on, uint64_t start TRACE_EACH(TRACE_PARAM, fields)),   \
               TRACE_EACH(TRACE_STORE, fields))
#include "trace/events.def"
#undef EVENT
#undef SPAN

/* TRACE_<event>(): into the ring of this processor. */
#define TRACE_HERE(class, name, args, ...) TRACE_HERE2(class, name, args, __VA_ARGS__)
#define TRACE_HERE2(class, name, args, first, ...)                                                 \
    TRACE_ALWAYS_INLINE void TRACE_##name(__VA_ARGS__)                                             \
    {                                                                                              \
        if (TRACE_COMPILED(class))                                                                 \
            TRACE_ON_##name args;                                                                  \
    }
#define EVENT(class, name, doc, fields)                                                            \
    TRACE_HERE(class, name, (trace_this_ring() TRACE_EACH(TRACE_ARG, fields)),                     \
               first TRACE_EACH(TRACE_PARAM, fields))
#define SPAN(class, name, doc, fields)                                                             \
    TRACE_HERE(class, name, (trace_this_ring(), start TRACE_EACH(TRACE_ARG, fields)),              \
               first, uint64_t start TRACE_EACH(TRACE_PARAM, fields))
#include "trace/events.def"
#undef CLASS
#undef ENUM_DEF
#undef FIELD
#undef EVENT
#undef SPAN

#endif

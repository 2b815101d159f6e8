/* SPDX-License-Identifier: MIT */
/*
 * For each event a function that records it from arguments in memory, one that only loads the
 * arguments, and one that does nothing; compiled as the hypervisor is.
 */
#include "cost_calls.h"

#include "trace/trace.h"

#define COST_ARG_A(t, n, u, d) , a->n COST_ARG_B
#define COST_ARG_B(t, n, u, d) , a->n COST_ARG_A
#define COST_ARG_A_END
#define COST_ARG_B_END
#define COST_ARGS(...)         COST_ARGS2(__VA_ARGS__)
#define COST_ARGS2(first, ...) (__VA_ARGS__)

#define CLASS(name, bit, doc)
#define ENUM_DEF(name, doc, values)
#define FIELD(t, n, u, d) (t, n, u, d)
#define COST_LOAD_A(t, n, u, d) __asm__ volatile("" : : "r"(a->n)); COST_LOAD_B
#define COST_LOAD_B(t, n, u, d) __asm__ volatile("" : : "r"(a->n)); COST_LOAD_A
#define COST_LOAD_A_END
#define COST_LOAD_B_END
#define COST_TWINS(name, fields)                                                                   \
    static __attribute__((noinline)) void load_##name(const void *arguments)                       \
    {                                                                                              \
        const struct { TRACE_EACH(TRACE_MEMBER, fields) } *a = arguments;                          \
                                                                                                   \
        TRACE_EACH(COST_LOAD, fields)                                                              \
    }                                                                                              \
    static __attribute__((noinline)) void nothing_##name(const void *arguments)                    \
    {                                                                                              \
        __asm__ volatile("" ::: "memory");                                                         \
    }
#define EVENT(class, name, doc, fields)                                                            \
    static __attribute__((noinline)) void record_##name(const void *arguments)                     \
    {                                                                                              \
        const struct { TRACE_EACH(TRACE_MEMBER, fields) } *a = arguments;                          \
                                                                                                   \
        __asm__ volatile("" ::: "memory");                                                         \
        TRACE_##name COST_ARGS(first TRACE_EACH(COST_ARG, fields));                                \
    }                                                                                              \
    COST_TWINS(name, fields)
#define SPAN(class, name, doc, fields)                                                             \
    static __attribute__((noinline)) void record_##name(const void *arguments)                     \
    {                                                                                              \
        const struct { TRACE_EACH(TRACE_MEMBER, fields) } *a = arguments;                          \
        const uint64_t start = TRACE_START(class);                                                 \
                                                                                                   \
        __asm__ volatile("" ::: "memory");                                                         \
        TRACE_##name COST_ARGS(first, start TRACE_EACH(COST_ARG, fields));                         \
    }                                                                                              \
    COST_TWINS(name, fields)
#include "trace/events.def"
#undef EVENT
#undef SPAN

const struct cost_call cost_calls[] = {
#define EVENT(class, name, doc, fields)                                                            \
    { #name, sizeof(struct trace_record_##name), record_##name, load_##name, nothing_##name },
#define SPAN(class, name, doc, fields) EVENT(class, name, doc, fields)
#include "trace/events.def"
};

const size_t nr_cost_calls = sizeof(cost_calls) / sizeof(cost_calls[0]);

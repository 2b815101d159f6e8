/* SPDX-License-Identifier: MIT */
/*
 * What events.def means to the compiler: class bits, enumerations, event numbers, packed records.
 *
 * A list of FIELDs is turned into a preprocessor sequence (t,n,u,d)(t,n,u,d)... that TRACE_EACH(X,
 * ...) walks by mutual recursion of X_A and X_B; so one expansion of an EVENT can use its fields
 * more than once.
 */
#ifndef PARANGON_TRACE_RECORD_H
#define PARANGON_TRACE_RECORD_H

#include <stdint.h>

#include "trace/ring.h"

#define TRACE_TYPE_u8  uint8_t
#define TRACE_TYPE_u16 uint16_t
#define TRACE_TYPE_u32 uint32_t
#define TRACE_TYPE_u64 uint64_t
#define TRACE_TYPE_s8  int8_t
#define TRACE_TYPE_s16 int16_t
#define TRACE_TYPE_s32 int32_t
#define TRACE_TYPE_s64 int64_t

#define TRACE_EACH(walk, fields) TRACE_EACH_END(walk##_A fields)
#define TRACE_EACH_END(...)      TRACE_EACH_END2(__VA_ARGS__)
#define TRACE_EACH_END2(...)     __VA_ARGS__##_END

#define TRACE_MEMBER_A(t, n, u, d) TRACE_TYPE_##t n; TRACE_MEMBER_B
#define TRACE_MEMBER_B(t, n, u, d) TRACE_TYPE_##t n; TRACE_MEMBER_A
#define TRACE_MEMBER_A_END
#define TRACE_MEMBER_B_END

#define TRACE_PARAM_A(t, n, u, d) , TRACE_TYPE_##t n TRACE_PARAM_B
#define TRACE_PARAM_B(t, n, u, d) , TRACE_TYPE_##t n TRACE_PARAM_A
#define TRACE_PARAM_A_END
#define TRACE_PARAM_B_END

#define TRACE_ARG_A(t, n, u, d) , n TRACE_ARG_B
#define TRACE_ARG_B(t, n, u, d) , n TRACE_ARG_A
#define TRACE_ARG_A_END
#define TRACE_ARG_B_END

#define TRACE_STORE_A(t, n, u, d) trace_rec->n = n; TRACE_STORE_B
#define TRACE_STORE_B(t, n, u, d) trace_rec->n = n; TRACE_STORE_A
#define TRACE_STORE_A_END
#define TRACE_STORE_B_END

#define FIELD(t, n, u, d) (t, n, u, d)

/* Class bits: TRACE_CLASS_<CLASS>. */
enum trace_class_bit {
#define CLASS(name, bit, doc)             TRACE_CLASS_BIT_##name = bit,
#define ENUM_DEF(name, doc, values)
#define EVENT(class, name, doc, fields)
#define SPAN(class, name, doc, fields)
#include "trace/events.def"
#undef CLASS
#undef ENUM_DEF
    TRACE_CLASS_BITS
};
/*
 * As macros, because the preprocessor tests TRACE_CLASSES; trace/descriptor.c asserts that they
 * agree with events.def.
 */
#define TRACE_CLASS_HYPERCALL (1u << 0)
#define TRACE_CLASS_EXIT      (1u << 1)
#define TRACE_CLASS_SCHED     (1u << 2)
#define TRACE_CLASS_MMU       (1u << 3)
#define TRACE_CLASS_EVENT     (1u << 4)
#define TRACE_CLASS_GRANT     (1u << 5)
#define TRACE_CLASS_IRQ       (1u << 6)
#define TRACE_CLASS_MEM       (1u << 7)
#define TRACE_CLASS_LAUNCH    (1u << 8)
#define TRACE_CLASSES_ALL     0x1ffu

/* Enumerations: enum trace_<name> with the C names of events.def. */
#define CLASS(name, bit, doc)
#define VALUE(c_name, number, label, doc) c_name = number,
#define ENUM_DEF(name, doc, values)       enum trace_##name { values };
#include "trace/events.def"
#undef VALUE
#undef ENUM_DEF
#define ENUM_DEF(name, doc, values)

/* Event numbers: TRACE_ID_<event>. */
#undef EVENT
#undef SPAN
enum trace_event_id {
#define EVENT(class, name, doc, fields) TRACE_ID_##name,
#define SPAN(class, name, doc, fields)  TRACE_ID_##name,
#include "trace/events.def"
#undef EVENT
#undef SPAN
    TRACE_EVENTS
};

/* Records: struct trace_record_<event>, a multiple of 8 bytes. */
#define EVENT(class, name, doc, fields)                                                            \
    struct trace_record_##name {                                                                   \
        struct trace_record_head head;                                                             \
        TRACE_EACH(TRACE_MEMBER, fields)                                                           \
    } __attribute__((packed, aligned(8)));
#define SPAN(class, name, doc, fields)                                                             \
    struct trace_record_##name {                                                                   \
        struct trace_record_head head;                                                             \
        uint32_t duration;                                                                         \
        TRACE_EACH(TRACE_MEMBER, fields)                                                           \
    } __attribute__((packed, aligned(8)));
#include "trace/events.def"
#undef EVENT
#undef SPAN
#undef CLASS
#undef ENUM_DEF
#undef FIELD

#endif

/* SPDX-License-Identifier: MIT */
/* Trace calls as they come: conditions, look-ups and calls in their arguments that nothing else needs. Off, none leaves a byte. */
#include "trace/trace.h"

struct thing {
    uint16_t id;
    uint8_t state, kind;
    struct thing *next;
    int64_t (*run)(struct thing *thing, uint64_t argument);
};

int64_t good_call(struct thing *thing, uint64_t argument);
unsigned good_walk(struct thing *thing);

static uint8_t reason(const struct thing *thing)
{
    if (thing->kind == 3)
        return TRACE_BLOCK_POLL;
    return thing->state ? TRACE_BLOCK_EVENT : TRACE_BLOCK_DOWN;
}

int64_t good_call(struct thing *thing, uint64_t argument)
{
    const uint64_t start = TRACE_START(HYPERCALL);
    int64_t result;

    if (thing->state)
        TRACE_sched_wake(thing->id, thing->kind, 0, 0, 0);
    result = thing->run(thing, argument);
    TRACE_hypercall(start, thing->id, thing->kind,
                    result == -11          ? TRACE_HC_CONTINUED
                    : thing->next->state ? TRACE_HC_CRASHED
                                           : TRACE_HC_DONE,
                    23, argument, thing->next->id, 0, result);
    return result;
}

unsigned good_walk(struct thing *thing)
{
    unsigned nr = 0;

    for (; thing; thing = thing->next, nr++) {
        if (thing->state == 1)
            TRACE_sched_block(thing->id, thing->kind, reason(thing));
        else
            TRACE_tlb_flush((uint64_t)thing, thing->id, TRACE_TLB_PAGE);
    }
    return nr;
}

/* SPDX-License-Identifier: MIT */
/*
 * Refused requests: always a trace event, and one line in the log the first time that a domain
 * makes this kind of wrong request, so that a guest cannot flood the log (DESIGN §3).
 */
#include "domain.h"
#include <trace/trace.h>

/** Sub-operations from this on share one bit. */
#define LAST_KIND 15

long refuse(struct domain *d, unsigned int op, unsigned int subop, long err)
{
    unsigned int vcpu = current_vcpu()->id;
    unsigned int kind = (op % 64) * (LAST_KIND + 1) + min_of(subop, LAST_KIND);

    TRACE_refused(d->id, vcpu, op, subop, err);
    if (!test_and_set_bit(kind, d->warned))
        printk("domain %u vcpu %u: hypercall %u, sub-operation %u refused: error %ld (said once)\n",
               d->id, vcpu, op, subop, err);
    return err;
}

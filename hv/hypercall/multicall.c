/* SPDX-License-Identifier: MIT */
/*
 * MULTICALL: a list of hypercalls in one entry into the hypervisor (xen/xen.h: struct
 * multicall_entry); and the continuation of long hypercalls, inside a multicall and out.
 *
 * Each entry is read just before it is executed, its result written behind it, and between two the
 * multicall makes way for other work: it is then issued again for the rest. An entry that stops
 * half way puts its changed arguments into the guest's list.
 * Refused as an entry: a multicall (-XEN_EINVAL, as on Xen) and iret (-XEN_ENOSYS), which would
 * leave in the middle.
 */
#include "compat.h"
#include "hypercall.h"
#include <stdarg.h>
#include <trace/trace.h>

bool hypercall_preempt_check(void)
{
    return unlikely(arch_preempt_needed());
}

long hypercall_continue(unsigned int op, unsigned int nr_args, ...)
{
    struct vcpu *v = current_vcpu();
    u64 args[6];
    va_list ap;

    va_start(ap, nr_args);
    for (unsigned int i = 0; i < nr_args; i++)
        args[i] = va_arg(ap, u64);
    va_end(ap);

    if (unlikely(v->compat != NULL)) {
        v->compat->continued = true;
        v->compat->op = op;
        memcpy(v->compat->args, args, nr_args * sizeof(args[0]));
        return 0;
    }
    if (!v->multicall)
        return arch_hypercall_continue(op, nr_args, args);
    v->multicall->op = op;
    memcpy(v->multicall->args, args, nr_args * sizeof(args[0]));
    v->multicall_continued = true;
    return 0;
}

static long execute(struct domain *d, struct multicall_entry *e)
{
    hypercall_fn *fn;

    if (unlikely(e->op >= NR_HYPERCALLS))
        return -XEN_ENOSYS;
    fn = hypercall_table[e->op].fn;
    if (unlikely(!fn || e->op == __HYPERVISOR_iret || !arch_hypercall_allowed(d, e->op)))
        return refuse(d, e->op, 0, -XEN_ENOSYS);
    return fn(e->args[0], e->args[1], e->args[2], e->args[3], e->args[4], e->args[5]);
}

/** An entry of a 32-bit guest's list. */
struct multicall_entry_32 {
    u32 op, result, args[6];
};

static bool read_entry_32(struct multicall_entry *e, gva_t at)
{
    struct multicall_entry_32 n;

    if (!guest_read(&n, at))
        return false;
    e->op = n.op;
    for (unsigned int i = 0; i < ARRAY_SIZE(n.args); i++)
        e->args[i] = n.args[i];
    return true;
}

static bool write_entry_32(gva_t at, const struct multicall_entry *e)
{
    struct multicall_entry_32 n = {.op = (u32)e->op, .result = (u32)e->result};

    for (unsigned int i = 0; i < ARRAY_SIZE(n.args); i++)
        n.args[i] = (u32)e->args[i];
    return guest_write(at, &n);
}

static long execute_32(struct domain *d, struct multicall_entry *e)
{
    hypercall_fn *fn = e->op < NR_HYPERCALLS ? hypercall_table_32[e->op].fn : NULL;

    if (unlikely(!fn))
        return e->op < NR_HYPERCALLS ? refuse(d, e->op, 0, -XEN_ENOSYS) : -XEN_ENOSYS;
    return fn(e->args[0], e->args[1], e->args[2], e->args[3], e->args[4], e->args[5]);
}

/** How an entry ended, for the trace. */
static u8 outcome(const struct vcpu *v)
{
    if (v->multicall_continued)
        return TRACE_HC_MULTICALL_CONTINUED;
    if (v->domain->crashed)
        return TRACE_HC_MULTICALL_CRASHED;
    return vcpu_runnable(v) ? TRACE_HC_MULTICALL : TRACE_HC_MULTICALL_DESCHEDULED;
}

/** The list, of 64-bit entries or of 32-bit ones. */
static __always_inline_ long run(u64 list, u64 nr, const bool narrow)
{
    struct vcpu *v = current_vcpu();
    struct domain *d = v->domain;
    const u64 size = narrow ? sizeof(struct multicall_entry_32) : sizeof(struct multicall_entry);
    struct multicall_entry e;
    long rc = 0;
    u32 left = nr;

    if (v->multicall)
        return refuse(d, __HYPERVISOR_multicall, 0, -XEN_EINVAL);
    v->multicall = &e;
    for (; left; left--, list += size) {
        u64 start = TRACE_START(HYPERCALL);

        if (unlikely(narrow ? !read_entry_32(&e, list) : !guest_read(&e, list))) {
            rc = -XEN_EFAULT;
            break;
        }
        v->multicall_continued = false;
        e.result = narrow ? execute_32(d, &e) : execute(d, &e);
        TRACE_hypercall(start, d->id, v->id, outcome(v), e.op, e.args[0], e.args[1], e.args[2],
                        e.result);
        if (unlikely(v->multicall_continued)) {
            rc = (narrow ? write_entry_32(list, &e) : guest_write(list, &e)) ? -XEN_ERESTART : -XEN_EFAULT;
            break;
        }
        if (unlikely(narrow ? guest_copy_to(list + offsetof(struct multicall_entry_32, result), &e.result, sizeof(u32))
                            : guest_copy_to(list + offsetof(struct multicall_entry, result), &e.result,
                                            sizeof(e.result)))) {
            rc = -XEN_EFAULT;
            break;
        }
        if (hypercall_preempt_check() && left > 1) {
            left--;
            list += size;
            rc = -XEN_ERESTART;
            break;
        }
    }
    v->multicall = NULL;
    if (rc == -XEN_ERESTART)
        return hypercall_continue(__HYPERVISOR_multicall, 2, list, (u64)left);
    return rc;
}

long do_multicall(u64 list, u64 nr, u64 a3, u64 a4, u64 a5, u64 a6)
{
    return run(list, nr, false);
}

long do_multicall_32(u64 list, u64 nr, u64 a3, u64 a4, u64 a5, u64 a6)
{
    return run(list, nr, true);
}

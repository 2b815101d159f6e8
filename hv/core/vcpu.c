/* SPDX-License-Identifier: MIT */
/*
 * What keeps a vCPU off its processor, and what the guest sees of its run states.
 *
 * Locks: none of its own. pause_flags change by atomic operations; the scheduler looks at them
 * again under its runqueue lock, so it does not matter in which order two changes reach it.
 */
#include "compat.h"
#include "sched/sched.h"

void vcpu_pause(struct vcpu *v, u32 flag)
{
    __atomic_fetch_or(&v->pause_flags, flag, __ATOMIC_SEQ_CST);
    sched_sleep(v); /* whoever set another flag may not have come so far: it would still be chosen */
}

void vcpu_unpause(struct vcpu *v, u32 flag)
{
    u32 old = __atomic_fetch_and(&v->pause_flags, ~flag, __ATOMIC_SEQ_CST);

    if (old && !(old & ~flag))
        sched_wake(v);
}

void vcpu_down(struct vcpu *v)
{
    struct domain *d = v->domain;
    bool others = false;

    vcpu_pause(v, VPF_DOWN);
    for (unsigned int i = 0; i < d->max_vcpus; i++)
        others |= !(READ_ONCE(d->vcpu[i]->pause_flags) & VPF_DOWN);
    if (!others)
        domain_shutdown(d, SHUTDOWN_poweroff);
}

void vcpu_unblock(struct vcpu *v)
{
    u32 bit = 1u << v->id;

    /* Of several that wake it at once, one stops the timer. */
    if ((v->pause_flags & VPF_POLLING) &&
        (__atomic_fetch_and(&v->domain->poll_mask, ~bit, __ATOMIC_SEQ_CST) & bit))
        timer_stop(&v->poll_timer);
    vcpu_unpause(v, VPF_BLOCKED | VPF_POLLING);
}

/* Other vCPUs may look at it meanwhile: say that it is being changed. */
static __attribute__((noinline)) void copy_flagged(const struct vcpu *v, gva_t dst)
{
    struct vcpu_runstate_info now = v->runstate;
    gva_t entry_time = dst + offsetof(struct vcpu_runstate_info, state_entry_time);

    now.state_entry_time |= XEN_RUNSTATE_UPDATE;
    arch_copy_to_guest_kernel(entry_time, &now.state_entry_time, sizeof(now.state_entry_time));
    arch_copy_to_guest_kernel(dst, &now, sizeof(now));
    now.state_entry_time &= ~XEN_RUNSTATE_UPDATE;
    arch_copy_to_guest_kernel(entry_time, &now.state_entry_time, sizeof(now.state_entry_time));
}

static __attribute__((noinline)) void copy_narrow(const struct vcpu *v, gva_t dst)
{
    struct runstate_info_32 n = runstate_narrow(&v->runstate);

    arch_copy_to_guest_kernel(dst, &n, sizeof(n));
}

void runstate_copy_out(struct vcpu *v)
{
    gva_t dst = v->runstate_guest;

    if (!dst)
        return;
    if (unlikely(v->runstate_narrow))
        copy_narrow(v, dst);
    else if (v->domain->max_vcpus > 1 && (v->domain->vm_assist & (1ull << VMASST_TYPE_runstate_update_flag)))
        copy_flagged(v, dst);
    else
        arch_copy_to_guest_kernel(dst, &v->runstate, sizeof(v->runstate));
}

void domain_set_width(struct domain *d, bool narrow)
{
    if (d->narrow == narrow)
        return;
    d->narrow = narrow;
    time_publish_wallclock(d);
}

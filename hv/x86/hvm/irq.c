/* SPDX-License-Identifier: MIT */
/*
 * Interrupts into a hardware-assisted guest: what goes in before an entry, and the routes between devices' lines, I/O APIC, local
 * APIC and PIC.
 *
 * Order: the event upcall by callback vector (it has no priority of its own: xen/hvm/params.h, HVM_PARAM_CALLBACK_IRQ), then the local
 * APIC, then the PIC. An upcall stays wanted as long as vcpu_info says pending; the guest clears that in its handler, with interrupts
 * off. Nothing is delivered twice: an interrupt leaves its controller (accept) in the moment it is given to the processor.
 */
#include "hvm.h"

/* A vector that v would take now, -1: none. *from tells where it comes from. */
enum source { FROM_NONE, FROM_UPCALL, FROM_APIC, FROM_PIC };

static enum source find(struct vcpu *v, int *vector)
{
    struct hvm_vcpu *h = v->arch.hvm;
    struct hvm_domain *hd = v->domain->arch.hvm;

    if (v->info->evtchn_upcall_pending && hd->callback_vector && !h->upcall_vector) {
        *vector = hd->callback_vector;
        return FROM_UPCALL;
    }
    *vector = vlapic_pending(h->vlapic);
    if (*vector >= 0)
        return FROM_APIC;
    if (hd->platform && vlapic_accepts_pic(h->vlapic)) {
        *vector = hvm_platform_pic_pending(v->domain);
        if (*vector >= 0)
            return FROM_PIC;
    }
    return FROM_NONE;
}

bool hvm_irq_waits(struct vcpu *v)
{
    int vector;

    if (v->arch.hvm->nmi_pending)
        return true;
    vlapic_set_cr8(v->arch.hvm->vlapic, hvm_ops->get_tpr(v));
    return (get_cpu_info()->regs.rflags & X86_FLAGS_IF) && find(v, &vector) != FROM_NONE;
}

bool arch_event_waits(struct vcpu *v)
{
    return is_hvm_vcpu(v) ? hvm_irq_waits(v) : v->info->evtchn_upcall_pending && !v->info->evtchn_upcall_mask;
}

void hvm_irq_assist(struct vcpu *v, struct regs *r)
{
    struct hvm_vcpu *h = v->arch.hvm;
    int vector;
    enum source from;

    if (unlikely(h->startup))
        hvm_start_up(v, r);
    if (unlikely(h->nmi_pending)) { /* goes before all else, and does not ask for IF */
        if (hvm_injecting(v))
            return;
        h->nmi_pending = !hvm_ops->take_nmi(v);
        if (!h->nmi_pending) {
            hvm_inject(v, HVM_EVENT_NMI, VEC_NMI, false, 0);
            return;
        }
    }
    if (unlikely(h->upcall_waits))
        arch_event_pending(v);
    vlapic_set_cr8(h->vlapic, hvm_ops->get_tpr(v));
    from = find(v, &vector);
    if (from == FROM_NONE) {
        h->check_irq = false;
        return;
    }
    if (!(r->rflags & X86_FLAGS_IF) || hvm_injecting(v) || hvm_ops->shadowed(v)) {
        h->check_irq = false; /* until the window's exit */
        hvm_ops->open_window(v);
        return;
    }
    if (from == FROM_APIC)
        vlapic_accept(h->vlapic, vector);
    else if (from == FROM_PIC)
        vector = hvm_platform_pic_accept(v->domain);
    hvm_inject(v, HVM_EVENT_INTERRUPT, vector, false, 0);
    h->check_irq = from != FROM_UPCALL; /* perhaps there is another behind it */
}

void hvm_apic_deliver(struct domain *d, const struct vlapic_message *m)
{
    struct vlapic *lowest = NULL;

    for (unsigned int i = 0; i < d->max_vcpus; i++) {
        struct vcpu *v = d->vcpu[i];
        struct vlapic *l = v && v->arch.hvm ? v->arch.hvm->vlapic : NULL;

        if (!l || l == m->except || !vlapic_matches(l, m->dest, m->logical))
            continue;
        switch (m->mode) {
        case 0: /* fixed */
            vlapic_raise(l, m->vector, m->level);
            break;
        case 1: /* lowest priority; of equal ones the first */
            if (!(v->pause_flags & VPF_DOWN) && (!lowest || vlapic_priority(l) < vlapic_priority(lowest)))
                lowest = l;
            break;
        case 4:
            hvm_vcpu_nmi(v);
            break;
        case 5:
            hvm_vcpu_init(v);
            break;
        case 6:
            hvm_vcpu_startup(v, m->vector);
            break;
        default: /* SMI: nobody handles it; ExtINT: the PIC has its own way */
            break;
        }
    }
    if (lowest)
        vlapic_raise(lowest, m->vector, m->level);
}

void arch_event_pending(struct vcpu *v)
{
    struct hvm_vcpu *h = v->arch.hvm;

    /*
     * A PV vCPU's vcpu_info is looked at on its way out, an HVM one's before each entry. By local APIC an event is an edge, and there is
     * no other as long as this one is pending: where the APIC is off it waits until it is on (hvm_irq_assist()).
     */
    if (h && h->upcall_vector) {
        h->upcall_waits = !vlapic_enabled(h->vlapic);
        if (!h->upcall_waits)
            vlapic_raise(h->vlapic, h->upcall_vector, false);
    }
    arch_kick_vcpu(v);
}

/* SPDX-License-Identifier: MIT */
/*
 * Device models outside of a domain: an access to memory that one has claimed becomes a request in the domain's ioreq page
 * (xen/hvm/ioreq.h), its vCPU waits (VPF_IN_HV), and goes on when the answer is there.
 *
 * A slot's state: NONE, READY when the request is in it, IORESP_READY when the answer is; the model may show INPROCESS between. The
 * page is shared with whoever plays the model, so what it holds is read once and only answers are taken from it: data, of the size that
 * the instruction has. An instruction that waits keeps what it has done in v->arch.hvm->wait (emulate.h); nothing else of the guest runs
 * on this vCPU before it is over, interrupts included.
 * Today's model is the test device (vdevice.c). One range a domain; ports and buffered requests have no way here yet.
 * Locks: none; each vCPU has a slot of its own, and its state says whose turn it is.
 */
#include "hvm.h"
#include <xen/hvm/ioreq.h>

int hvm_model_attach(struct domain *d, const struct hvm_model *m)
{
    struct hvm_domain *hd = d->arch.hvm;

    if (hd->model)
        return -XEN_EBUSY;
    hd->ioreq_page = arch_alloc_pages(0);
    if (!hd->ioreq_page)
        return -XEN_ENOMEM;
    hd->model = m;
    return 0;
}

void hvm_model_detach(struct domain *d)
{
    struct hvm_domain *hd = d->arch.hvm;

    if (!hd->model)
        return;
    hd->model->detached(hd->model);
    arch_free_pages(hd->ioreq_page, 0);
    hd->ioreq_page = NULL;
    hd->model = NULL;
}

static struct ioreq *slot_of(struct vcpu *v)
{
    return &((struct shared_iopage *)v->domain->arch.hvm->ioreq_page)->vcpu_ioreq[v->id];
}

enum emulate_result hvm_model_access(struct vcpu *v, u64 gpa, unsigned int size, u64 *value, bool write)
{
    const struct hvm_model *m = v->domain->arch.hvm->model;
    struct ioreq *q = slot_of(v);

    switch (q->state) {
    case STATE_IORESP_READY:
        barrier();
        if (!write)
            *value = READ_ONCE(q->data);
        q->state = STATE_IOREQ_NONE;
        return EMULATE_DONE;
    case STATE_IOREQ_NONE:
        *q = (struct ioreq){.addr = gpa, .data = write ? *value : 0, .count = 1, .size = size, .type = IOREQ_TYPE_COPY,
                            .dir = write ? IOREQ_WRITE : IOREQ_READ};
        vcpu_pause(v, VPF_IN_HV);
        barrier();
        q->state = STATE_IOREQ_READY;
        m->request(m, v);
        return EMULATE_WAIT;
    default: /* woken by something else */
        vcpu_pause(v, VPF_IN_HV);
        return EMULATE_WAIT;
    }
}

void hvm_model_answer(struct vcpu *v, u64 data)
{
    struct ioreq *q = slot_of(v);

    if (q->state == STATE_IOREQ_NONE || q->state == STATE_IORESP_READY)
        return;
    q->data = data;
    barrier();
    q->state = STATE_IORESP_READY;
    vcpu_unpause(v, VPF_IN_HV);
}

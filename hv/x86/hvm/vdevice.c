/* SPDX-License-Identifier: MIT */
/*
 * A device whose model answers late: 16 registers of 8 bytes at guest-physical 0xfedf0000, for tests of the way by which a vCPU waits
 * (ioreq.c). The hypervisor's option hvm-test-device gives it to every PVH and HVM domain.
 *
 * Registers 0 to 14 hold what is written, by any width; a read gives the complement of it, so that it cannot be mistaken for memory. Register
 * 15 counts the requests so far. Each request is answered ANSWER_NS after it was made.
 */
#include "hvm.h"
#include "vdevice.h"
#include <xen/hvm/ioreq.h>

#define BASE_AT   0xfedf0000ull
#define REGISTERS 16
#define ANSWER_NS MICROSECS(10)

bool hvm_test_device;

struct vdevice {
    struct hvm_model model;  /* first: they are converted */
    u8 bytes[REGISTERS * 8];
    u64 requests;
    struct timer timer;
    struct vcpu *asking;
};

static void request(const struct hvm_model *m, struct vcpu *v)
{
    struct vdevice *t = container_of((struct hvm_model *)m, struct vdevice, model);

    t->asking = v;
    t->requests++;
    timer_set(&t->timer, v->processor, now_ns() + ANSWER_NS);
}

static void answer(void *arg)
{
    struct vdevice *t = arg;
    struct vcpu *v = t->asking;
    const struct ioreq *q = &((struct shared_iopage *)v->domain->arch.hvm->ioreq_page)->vcpu_ioreq[v->id];
    u64 at = q->addr - BASE_AT, v8 = ~0ull;
    unsigned int size = q->size;

    if (at >= sizeof(t->bytes) || size > 8 || at + size > sizeof(t->bytes)) {
        hvm_model_answer(v, ~0ull);
        return;
    }
    memcpy(t->bytes + (REGISTERS - 1) * 8, &(u64){~t->requests}, 8);
    if (q->dir == IOREQ_WRITE)
        memcpy(t->bytes + at, &q->data, size);
    else
        memcpy(&v8, t->bytes + at, size);
    hvm_model_answer(v, ~v8);
}

static void detached(const struct hvm_model *m)
{
    struct vdevice *t = container_of((struct hvm_model *)m, struct vdevice, model);

    timer_stop(&t->timer);
    arch_free(t);
}

int vdevice_attach(struct domain *d)
{
    struct vdevice *t = arch_alloc(sizeof(*t));
    int rc;

    if (!t)
        return -XEN_ENOMEM;
    t->model = (struct hvm_model){.first = BASE_AT, .last = BASE_AT + PAGE_SIZE - 1, .request = request, .detached = detached};
    timer_setup(&t->timer, answer, t);
    rc = hvm_model_attach(d, &t->model);
    if (rc)
        arch_free(t);
    return rc;
}

/* SPDX-License-Identifier: MIT */
/*
 * FIFO event delivery: one word per port in pages that the guest gives, 16 queues per vCPU, their
 * heads in a control block of the guest's (xen/event_channel.h, "FIFO ABI"). Up to 2^17 ports.
 *
 * A port that becomes pending and is neither masked nor linked goes to the tail of queue `priority`
 * of the vCPU it notifies. The hypervisor alone links; the guest alone unlinks, from the head: it
 * clears LINKED and LINK of the word and follows the old LINK.
 * A queue is empty when its tail's LINKED bit is clear; then the hypervisor writes the head and
 * sets the queue's ready bit.
 * A port that moved to another queue while linked stays where it is until the guest has taken it
 * out.
 *
 * Every word may be scribbled on at any time. So the hypervisor never follows a LINK; it keeps the
 * tails itself, where the guest cannot write; and its one compare-and-swap loop is bounded. A guest
 * that plays foul loses its own events.
 *
 * Locks: the queue lock of a vCPU guards its tails; of two the lower address first. Inside port
 * locks, outside the runqueue's.
 */
#include "evtchn_port.h"

#define WORD_PENDING    (1u << EVTCHN_FIFO_PENDING)
#define WORD_MASKED     (1u << EVTCHN_FIFO_MASKED)
#define WORD_LINKED     (1u << EVTCHN_FIFO_LINKED)
#define LINK_MASK       ((u32)EVTCHN_FIFO_LINK_MASK)
#define WORDS_PER_PAGE  (PAGE_SIZE / sizeof(event_word_t))
#define MAX_ARRAY_PAGES (EVTCHN_FIFO_NR_CHANNELS / WORDS_PER_PAGE)
#define LINK_TRIES                                                                                 \
    64 /* a well-behaved guest changes the tail's word at most a few times meanwhile */

/** A vCPU's queues. */
struct evtchn_fifo_queue {
    struct spinlock lock;
    struct evtchn_fifo_control_block *control; /* in the guest's page; NULL: not given yet */
    void *page; /* what arch_put_guest_frame() takes */
    evtchn_port_t tail[EVTCHN_FIFO_MAX_QUEUES]; /* last port linked, 0: none */
};

/** A domain's event array. */
struct evtchn_fifo {
    u32 nr_pages;
    event_word_t *page[MAX_ARRAY_PAGES];
};

static event_word_t *word_of(const struct domain *d, evtchn_port_t port)
{
    const struct evtchn_fifo *f = d->fifo;

    if (unlikely(port / WORDS_PER_PAGE >= __atomic_load_n(&f->nr_pages, __ATOMIC_ACQUIRE)))
        return NULL;
    return &f->page[port / WORDS_PER_PAGE][port % WORDS_PER_PAGE];
}

/**
 * Make the tail's word point to port.
 * @return false if the guest has taken the tail out: the queue is empty. A word that never holds
 *         still counts as taken out.
 */
static bool link_behind(const struct domain *d, evtchn_port_t tail, evtchn_port_t port)
{
    event_word_t *word = word_of(d, tail);
    event_word_t old;

    if (!word)
        return false;
    old = READ_ONCE(*word);
    for (unsigned int tries = 0; tries < LINK_TRIES; tries++) {
        if (!(old & WORD_LINKED))
            return false;
        if (__atomic_compare_exchange_n(word, &old, (old & ~LINK_MASK) | port, false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            return true;
    }
    return false;
}

/**
 * Append port to a queue whose lock is held; true if the queue was empty, so that its vCPU must be
 * told.
 */
static bool append(struct vcpu *v, struct evtchn_fifo_queue *q, unsigned int priority,
                   evtchn_port_t port)
{
    evtchn_port_t tail = q->tail[priority];

    q->tail[priority] = port;
    /* A tail that is the port itself was taken out before: it has only just become LINKED again. */
    if (tail && tail != port && link_behind(v->domain, tail, port))
        return false;
    WRITE_ONCE(q->control->head[priority], port);
    return true;
}

static void ready(struct vcpu *v, struct evtchn_fifo_queue *q, unsigned int priority)
{
    u32 bit = 1u << priority;

    if (!(__atomic_fetch_or(&q->control->ready, bit, __ATOMIC_SEQ_CST) & bit))
        evtchn_tell(v);
}

/**
 * Link a port that was last linked to another queue. If it is still that queue's tail, that queue
 * must forget it, or its next port would be linked behind a word that is by then in our queue.
 */
static __cold_ void link_moved(struct vcpu *v, struct evtchn *c, evtchn_port_t port,
                               event_word_t *word)
{
    struct evtchn_fifo_queue *q = v->fifo;
    bool was_empty = false;
    unsigned int priority = 0;

    for (;;) {
        unsigned int last_vcpu = READ_ONCE(c->last_vcpu);
        struct evtchn_fifo_queue *old = v->domain->vcpu[last_vcpu]->fifo;
        struct evtchn_fifo_queue *first = old < q ? old : q, *second = old < q ? q : old;

        spin_lock(&first->lock);
        if (second != first)
            spin_lock(&second->lock);
        if (c->last_vcpu == last_vcpu) {
            priority = c->priority;
            if (!(__atomic_fetch_or(word, WORD_LINKED, __ATOMIC_SEQ_CST) & WORD_LINKED)) {
                if (old->tail[c->last_priority] == port)
                    old->tail[c->last_priority] = 0;
                c->last_vcpu = v->id;
                c->last_priority = priority;
                was_empty = append(v, q, priority, port);
            }
        } else {
            last_vcpu = ~0u; /* another processor moved it meanwhile: look again */
        }
        if (second != first)
            spin_unlock(&second->lock);
        spin_unlock(&first->lock);
        if (last_vcpu != ~0u)
            break;
    }
    if (was_empty)
        ready(v, q, priority);
}

/** Put a pending, unmasked port into its queue unless it is in one. */
static void link_port(struct vcpu *v, struct evtchn *c, evtchn_port_t port, event_word_t *word)
{
    struct evtchn_fifo_queue *q = v->fifo;
    unsigned int priority = c->priority;
    bool was_empty = false;

    if (unlikely(!q->control))
        return; /* the guest never gave this vCPU a control block; the port stays pending */
    if (unlikely(c->last_vcpu != v->id || c->last_priority != priority)) {
        link_moved(v, c, port, word);
        return;
    }
    spin_lock(&q->lock);
    if (!(__atomic_fetch_or(word, WORD_LINKED, __ATOMIC_SEQ_CST) & WORD_LINKED))
        was_empty = append(v, q, priority, port);
    spin_unlock(&q->lock);
    if (was_empty)
        ready(v, q, priority);
}

void evtchn_fifo_set_pending(struct vcpu *v, struct evtchn *c, evtchn_port_t port)
{
    event_word_t *word = word_of(v->domain, port);

    if (unlikely(!word)) {
        c->pending_unmapped = true;
        return;
    }
    if (!(__atomic_fetch_or(word, WORD_PENDING, __ATOMIC_SEQ_CST) & (WORD_MASKED | WORD_LINKED)))
        link_port(v, c, port, word);
}

void evtchn_fifo_clear_pending(struct domain *d, struct evtchn *c, evtchn_port_t port)
{
    event_word_t *word = word_of(d, port);

    c->pending_unmapped = false;
    if (word)
        __atomic_fetch_and(word, ~WORD_PENDING, __ATOMIC_SEQ_CST);
}

void evtchn_fifo_unmask(struct vcpu *v, struct evtchn *c, evtchn_port_t port)
{
    event_word_t *word = word_of(v->domain, port);

    if (!word)
        return;
    if ((__atomic_and_fetch(word, ~WORD_MASKED, __ATOMIC_SEQ_CST) & (WORD_PENDING | WORD_LINKED)) ==
        WORD_PENDING)
        link_port(v, c, port, word);
}

bool evtchn_fifo_is_pending(const struct domain *d, evtchn_port_t port)
{
    const event_word_t *word = word_of(d, port);

    return word && (READ_ONCE(*word) & WORD_PENDING);
}

bool evtchn_fifo_is_linked(const struct domain *d, evtchn_port_t port)
{
    const event_word_t *word = word_of(d, port);

    return word && (READ_ONCE(*word) & WORD_LINKED);
}

/**
 * Records of the array and of every vCPU's queues; 0 or -XEN_ENOMEM (then what there is stays for
 * the next try).
 */
static int make_records(struct domain *d)
{
    if (!d->fifo)
        d->fifo = arch_alloc(sizeof(*d->fifo));
    if (!d->fifo)
        return -XEN_ENOMEM;
    for (unsigned int i = 0; i < d->max_vcpus; i++) {
        if (!d->vcpu[i]->fifo)
            d->vcpu[i]->fifo = arch_alloc(sizeof(*d->vcpu[i]->fifo));
        if (!d->vcpu[i]->fifo)
            return -XEN_ENOMEM;
        spin_lock_init(&d->vcpu[i]->fifo->lock, LOCK_FIFO_QUEUE);
    }
    return 0;
}

/** Every port begins at the default priority and in no queue. */
static void start_ports(struct domain *d)
{
    for (evtchn_port_t port = 1; port < d->nr_valid_ports; port++) {
        struct evtchn *c = evtchn_record(d, port);

        c->priority = c->last_priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
        c->last_vcpu = 0;
        c->pending_unmapped = c->state != ECS_FREE && evtchn_2l_is_pending(d, port);
    }
}

int evtchn_fifo_init_control(struct domain *d, struct evtchn_init_control *op)
{
    struct evtchn_fifo_queue *q;
    void *page;
    int rc;

    op->link_bits = EVTCHN_FIFO_LINK_BITS;
    if (op->vcpu >= d->max_vcpus)
        return -XEN_ENOENT;
    if (op->offset > PAGE_SIZE - sizeof(struct evtchn_fifo_control_block) || op->offset % 8)
        return -XEN_EINVAL;
    rc = make_records(d);
    if (rc)
        return rc;
    q = d->vcpu[op->vcpu]->fifo;
    if (q->control)
        return -XEN_EINVAL;

    rc = arch_get_guest_frame(d, GFN(op->control_gfn), &page);
    if (rc)
        return rc;
    spin_lock(&q->lock);
    q->page = page;
    q->control = (void *)((char *)page + op->offset);
    spin_unlock(&q->lock);
    if (!d->evtchn_fifo_on) {
        start_ports(d);
        d->evtchn_fifo_on = true;
    }
    return 0;
}

int evtchn_fifo_expand_array(struct domain *d, u64 gfn)
{
    struct evtchn_fifo *f = d->fifo;
    evtchn_port_t port, end;
    void *page;
    int rc;

    if (!d->evtchn_fifo_on)
        return -XEN_EOPNOTSUPP;
    if (f->nr_pages >= MAX_ARRAY_PAGES)
        return -XEN_ENOSPC;
    rc = arch_get_guest_frame(d, GFN(gfn), &page);
    if (rc)
        return rc;
    port = f->nr_pages * WORDS_PER_PAGE;
    end = port + WORDS_PER_PAGE;
    f->page[f->nr_pages] = page;
    __atomic_store_n(&f->nr_pages, f->nr_pages + 1, __ATOMIC_RELEASE);

    for (; port < end && port < d->nr_valid_ports; port++) {
        struct evtchn *c = evtchn_record(d, port);

        if (c->pending_unmapped) {
            c->pending_unmapped = false;
            evtchn_fifo_set_pending(d->vcpu[c->notify_vcpu], c, port);
        }
    }
    return 0;
}

void evtchn_fifo_for_each_page(struct domain *d, void (*fn)(struct domain *d, const void *page))
{
    for (unsigned int i = 0; i < d->max_vcpus; i++)
        if (d->vcpu[i]->fifo && d->vcpu[i]->fifo->page)
            fn(d, d->vcpu[i]->fifo->page);
    for (u32 i = 0; d->fifo && i < d->fifo->nr_pages; i++)
        fn(d, d->fifo->page[i]);
}

void evtchn_fifo_destroy(struct domain *d)
{
    struct evtchn_fifo *f = d->fifo;

    d->evtchn_fifo_on = false;
    for (unsigned int i = 0; i < d->max_vcpus; i++) {
        struct vcpu *v = d->vcpu[i];

        if (!v || !v->fifo)
            continue;
        if (v->fifo->page)
            arch_put_guest_frame(d, v->fifo->page);
        arch_free(v->fifo);
        v->fifo = NULL;
    }
    if (!f)
        return;
    for (u32 i = 0; i < f->nr_pages; i++)
        arch_put_guest_frame(d, f->page[i]);
    arch_free(f);
    d->fifo = NULL;
}

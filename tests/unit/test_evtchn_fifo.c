/* SPDX-License-Identifier: MIT */
/*
 * FIFO event channels, against a guest written down here from the public header alone
 * (xen/event_channel.h): it takes events from its queues as a good guest does, or scribbles over
 * everything as a bad one.
 */
#include <criterion/criterion.h>

#include "core/evtchn.h"
#include "core/hypercall.h"
#include "event_op.h"
#include "machine.h"

#define PENDING        (1u << EVTCHN_FIFO_PENDING)
#define MASKED         (1u << EVTCHN_FIFO_MASKED)
#define LINKED         (1u << EVTCHN_FIFO_LINKED)
#define LINK(w)        ((w)&EVTCHN_FIFO_LINK_MASK)
#define WORDS_PER_PAGE 1024u
#define MAX_PAGES      128u

static struct domain *d;
static event_word_t *array[MAX_PAGES];
static unsigned int nr_pages;
static struct evtchn_fifo_control_block *control[2];

static void expand(void)
{
    mfn_t mfn = host_frame(d);
    struct evtchn_expand_array e = {.array_gfn = mfn.n};

    cr_assert_eq(OP(expand_array, &e), 0);
    array[nr_pages++] = arch_map_mfn(mfn);
}

static void init_control(unsigned int vcpu, u32 offset)
{
    mfn_t mfn = host_frame(d);
    struct evtchn_init_control c = {.control_gfn = mfn.n, .offset = offset, .vcpu = vcpu};

    cr_assert_eq(OP(init_control, &c), 0);
    cr_assert_eq(c.link_bits, 17);
    control[vcpu] = (void *)((char *)arch_map_mfn(mfn) + offset);
}

static void start(void)
{
    host_machine_start(8192, 1, "credit");
    d = host_domain(1, 2, 16);
    host_set_current(d->vcpu[0]);
    nr_pages = 0;
    init_control(0, 0);
    init_control(1, 512);
    expand();
}

static void stop(void)
{
    host_machine_stop();
}

TestSuite(evtchn_fifo, .init = start, .fini = stop);

static event_word_t *word(evtchn_port_t port)
{
    return &array[port / WORDS_PER_PAGE][port % WORDS_PER_PAGE];
}

static evtchn_port_t ipi(unsigned int vcpu)
{
    struct evtchn_bind_ipi b = {.vcpu = vcpu};

    cr_assert_eq(OP(bind_ipi, &b), 0);
    return b.port;
}

static void set_priority(evtchn_port_t port, u32 priority)
{
    struct evtchn_set_priority p = {.port = port, .priority = priority};

    cr_assert_eq(OP(set_priority, &p), 0);
}

static void send(evtchn_port_t port)
{
    struct evtchn_send s = {.port = port};

    cr_assert_eq(OP(send, &s), 0);
}

static u32 local_head[2][EVTCHN_FIFO_MAX_QUEUES];

/** A good guest takes the next event of the highest priority off its queue; 0 if there is none. */
static evtchn_port_t take(unsigned int vcpu)
{
    struct evtchn_fifo_control_block *c = control[vcpu];

    while (c->ready) {
        unsigned int q = __builtin_ctz(c->ready);
        u32 head = local_head[vcpu][q] ? local_head[vcpu][q] : c->head[q];
        event_word_t old = *word(head);

        *word(head) = old & ~(LINKED | EVTCHN_FIFO_LINK_MASK);
        local_head[vcpu][q] = LINK(old);
        if (LINK(old) == 0)
            c->ready &= ~(1u << q);
        if ((old & PENDING) && !(old & MASKED)) {
            *word(head) &= ~PENDING;
            return head;
        }
    }
    d->vcpu[vcpu]->info->evtchn_upcall_pending = 0;
    return 0;
}

Test(evtchn_fifo, events_come_in_order)
{
    evtchn_port_t a = ipi(0), b = ipi(0), c = ipi(0);

    send(b);
    send(a);
    send(c);
    send(b); /* pending already */
    cr_expect_eq(d->vcpu[0]->info->evtchn_upcall_pending, 1);
    cr_expect_eq(take(0), b);
    cr_expect_eq(take(0), a);
    send(b); /* again, behind the others */
    cr_expect_eq(take(0), c);
    cr_expect_eq(take(0), b);
    cr_expect_eq(take(0), 0);
    send(a);
    cr_expect_eq(take(0), a);
    cr_expect_eq(take(0), 0);
}

Test(evtchn_fifo, one_port_again_and_again)
{
    evtchn_port_t a = ipi(0);

    for (unsigned int i = 0; i < 5; i++) {
        send(a);
        cr_expect_eq(d->vcpu[0]->info->evtchn_upcall_pending, 1);
        cr_expect_eq(take(0), a);
        cr_expect_eq(take(0), 0);
    }
}

Test(evtchn_fifo, priorities_come_first)
{
    evtchn_port_t p[16];

    for (unsigned int i = 0; i < 16; i++) {
        p[i] = ipi(0);
        set_priority(p[i], 15 - i);
    }
    for (unsigned int i = 0; i < 16; i++)
        send(p[i]);
    for (unsigned int i = 16; i-- > 0;)
        cr_expect_eq(take(0), p[i]);
    cr_expect_eq(take(0), 0);
}

Test(evtchn_fifo, each_vcpu_has_its_queues)
{
    evtchn_port_t a = ipi(0), b = ipi(1);

    send(a);
    send(b);
    cr_expect_eq(take(1), b);
    cr_expect_eq(take(1), 0);
    cr_expect_eq(take(0), a);
}

Test(evtchn_fifo, a_masked_event_waits_for_unmask)
{
    evtchn_port_t a = ipi(0);
    struct evtchn_unmask u = {.port = a};

    *word(a) |= MASKED;
    send(a);
    cr_expect(*word(a) & PENDING);
    cr_expect_not(*word(a) & LINKED);
    cr_expect_eq(take(0), 0);
    cr_expect_eq(OP(unmask, &u), 0);
    cr_expect_eq(take(0), a);
}

Test(evtchn_fifo, a_linked_event_stays_in_its_old_queue)
{
    evtchn_port_t a = ipi(0), b = ipi(0), c = ipi(0);

    send(a);
    send(b); /* b is the tail of queue 7 */
    set_priority(b, 2);
    send(b); /* linked: must not appear in queue 2 too */
    cr_expect_eq(control[0]->ready, 1u << 7);
    cr_expect_eq(take(0), a);
    cr_expect_eq(take(0), b);
    cr_expect_eq(take(0), 0);
    send(b); /* now it goes to queue 2, and queue 7 must forget it as its tail */
    cr_expect_eq(control[0]->ready, 1u << 2);
    send(c);
    cr_expect_eq(control[0]->ready, 1u << 2 | 1u << 7);
    cr_expect_eq(LINK(*word(b)), 0, "c is not linked behind b, which is in another queue");
    cr_expect_eq(take(0), b);
    cr_expect_eq(take(0), c);
    cr_expect_eq(take(0), 0);
}

Test(evtchn_fifo, moving_to_another_vcpu)
{
    struct evtchn_alloc_unbound u = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
    struct evtchn_bind_interdomain b = {.remote_dom = DOMID_SELF};
    struct evtchn_bind_vcpu m = {.vcpu = 1};

    cr_assert_eq(OP(alloc_unbound, &u), 0);
    b.remote_port = u.port;
    cr_assert_eq(OP(bind_interdomain, &b), 0);
    cr_expect_eq(take(0), b.local_port);
    send(b.local_port);
    cr_expect_eq(take(0), u.port);
    m.port = u.port;
    cr_assert_eq(OP(bind_vcpu, &m), 0);
    send(b.local_port);
    cr_expect_eq(take(0), 0);
    cr_expect_eq(take(1), u.port);
    send(b.local_port);
    m.vcpu = 0; /* while it is linked to vCPU 1 */
    cr_assert_eq(OP(bind_vcpu, &m), 0);
    send(b.local_port);
    cr_expect_eq(take(0), 0);
    cr_expect_eq(take(1), u.port);
    send(b.local_port);
    cr_expect_eq(take(0), u.port);
}

Test(evtchn_fifo, more_than_4096_ports)
{
    evtchn_port_t port = 0;

    while (nr_pages < 8)
        expand();
    for (unsigned int i = 1; i < 8 * WORDS_PER_PAGE; i++)
        cr_assert_eq(port = ipi(0), i);
    send(port);
    send(1);
    send(5000);
    cr_expect_eq(take(0), port);
    cr_expect_eq(take(0), 1);
    cr_expect_eq(take(0), 5000);
    cr_expect_eq(take(0), 0);
}

Test(evtchn_fifo, an_unprivileged_domain_has_16383_ports_and_no_more)
{
    struct evtchn_bind_ipi b = {.vcpu = 0};

    for (unsigned int i = 1; i < EVTCHN_MAX_UNPRIVILEGED; i++)
        cr_assert_eq(ipi(0), i);
    cr_expect_eq(OP(bind_ipi, &b), -XEN_ENOSPC);
}

Test(evtchn_fifo, the_array_grows_to_its_end_and_no_further)
{
    struct evtchn_expand_array e;

    while (nr_pages < MAX_PAGES)
        expand();
    e.array_gfn = host_frame(d).n;
    cr_expect_eq(OP(expand_array, &e), -XEN_ENOSPC);
}

Test(evtchn_fifo, an_event_before_its_page_is_not_lost)
{
    evtchn_port_t port;

    do {
        port = ipi(0);
    } while (port < WORDS_PER_PAGE);
    send(port);
    cr_expect_eq(take(0), 0);
    expand();
    cr_expect_eq(take(0), port);
}

Test(evtchn_fifo, wrong_arguments)
{
    struct evtchn_init_control c = {.control_gfn = host_frame(d).n, .vcpu = 2};
    struct evtchn_expand_array e = {.array_gfn = 1ull << 40};
    struct evtchn_set_priority p = {.port = ipi(0), .priority = 16};

    cr_expect_eq(OP(init_control, &c), -XEN_ENOENT);
    c.vcpu = 0;
    cr_expect_eq(OP(init_control, &c), -XEN_EINVAL, "it has one already");
    c.offset = 4096 - sizeof(struct evtchn_fifo_control_block) + 8;
    cr_expect_eq(OP(init_control, &c), -XEN_EINVAL);
    c.offset = 4;
    cr_expect_eq(OP(init_control, &c), -XEN_EINVAL);
    c.offset = ~0u & ~7u;
    cr_expect_eq(OP(init_control, &c), -XEN_EINVAL);
    cr_expect_eq(OP(expand_array, &e), -XEN_EINVAL);
    cr_expect_eq(OP(set_priority, &p), -XEN_EINVAL);
    p = (struct evtchn_set_priority){.port = 1 << 20, .priority = 1};
    cr_expect_eq(OP(set_priority, &p), -XEN_EINVAL);
}

Test(evtchn_fifo, frames_that_are_not_the_guests)
{
    struct domain *other = host_domain(2, 1, 4);
    struct evtchn_expand_array e = {.array_gfn = host_frame(other).n};

    cr_expect_eq(OP(expand_array, &e), -XEN_EPERM);
    e.array_gfn = arch_virt_to_mfn(arch_alloc_pages(0)).n;
    cr_expect_lt(OP(expand_array, &e), 0, "a page of the hypervisor's");
}

Test(evtchn_fifo, before_fifo)
{
    struct domain *other = host_domain(2, 1, 4);
    struct evtchn_expand_array e = {.array_gfn = host_frame(other).n};
    struct evtchn_set_priority p = {.port = 1, .priority = 1};

    host_set_current(other->vcpu[0]);
    cr_expect_eq(OP(expand_array, &e), -XEN_EOPNOTSUPP);
    cr_expect_eq(OP(set_priority, &p), -XEN_ENOSYS);
}

Test(evtchn_fifo, a_linked_port_is_not_given_out_again)
{
    evtchn_port_t a = ipi(0), b;
    struct evtchn_close c = {.port = a};

    send(a);
    cr_assert_eq(OP(close, &c), 0);
    b = ipi(0);
    cr_expect_neq(b, a, "it is still in the guest's queue");
    cr_expect_eq(take(0), 0, "closed: no longer pending, but taken out");
    c.port = b;
    cr_assert_eq(OP(close, &c), 0);
    cr_expect_eq(ipi(0), a);
}

Test(evtchn_fifo, reset_goes_back_to_two_level)
{
    struct evtchn_reset r = {.dom = DOMID_SELF};
    evtchn_port_t a = ipi(0);
    u64 taken = host_frames_taken(d);

    send(a);
    cr_expect_eq(taken, 3);
    cr_expect_eq(OP(reset, &r), 0);
    cr_expect_eq(host_frames_taken(d), 0, "all frames are the guest's alone again");
    a = ipi(0);
    send(a);
    cr_expect(test_bit(a, d->shared_info->evtchn_pending));
    nr_pages = 0;
    init_control(0, 0);
    expand();
    cr_expect_eq(take(0), a, "what was pending is carried over");
    a = ipi(0);
    send(a);
    cr_expect_eq(take(0), a);
}

/** A generator of our own, so that a failing seed can be run again. */
static u32 random_of(u64 *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return *state >> 33;
}

Test(evtchn_fifo, a_guest_that_scribbles_everywhere)
{
    evtchn_port_t port[64];
    u64 state = 42;

    for (unsigned int i = 0; i < 64; i++) {
        port[i] = ipi(i % 2);
        set_priority(port[i], i % 16);
    }
    for (unsigned int i = 0; i < 200000; i++) {
        evtchn_port_t p = port[random_of(&state) % 64];
        struct evtchn_unmask u = {.port = p};

        switch (random_of(&state) % 8) {
        case 0:
            *word(p) = random_of(&state) << 16 ^ random_of(&state);
            break;
        case 1:
            *word(p) = ~0u;
            break;
        case 2:
            control[0]->head[random_of(&state) % 16] = random_of(&state);
            control[1]->ready = random_of(&state);
            break;
        case 3:
            set_priority(p, random_of(&state) % 16);
            break;
        case 4:
            (void)OP(unmask, &u);
            break;
        default:
            send(p);
        }
    }
    /* Nobody else is hurt, and a guest that comes to its senses starts over. */
    struct evtchn_reset r = {.dom = DOMID_SELF};

    cr_expect_eq(OP(reset, &r), 0);
    cr_expect_eq(host_frames_taken(d), 0);
}

Test(evtchn_fifo, a_tail_that_never_holds_still_costs_bounded_time)
{
    evtchn_port_t a = ipi(0), b = ipi(0);

    send(a);
    *word(a) = LINKED | PENDING | EVTCHN_FIFO_LINK_MASK; /* a link beyond the array */
    send(b);
    cr_expect_eq(LINK(*word(a)), b, "the link is overwritten, not followed");
    *word(b) = 0; /* "taken out", though it was not at the head */
    send(b);
    cr_expect_eq(control[0]->head[7], b, "so the queue counts as empty");
}

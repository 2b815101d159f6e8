/* SPDX-License-Identifier: MIT */
/*
 * Fuzz event channels, grant tables, vCPU and scheduling calls: three domains issue random
 * hypercalls, singly and in multicalls, with arguments near the edges, while their shared pages are
 * scribbled on. After each call the walker checks what must always hold:
 *
 *   the two ends of an interdomain channel name each other, and both domains live
 *   a VIRQ's or pirq's entry names a port bound to it, and every such port is named by its entry
 *   no port that could be given out lies below the allocation hint; port 0 is never free
 *   the frames that the hypervisor holds of a domain are exactly its control blocks, event array
 *   and vcpu_info pages no vCPU is left inside a multicall or a poll without being paused for it
 */
#include "core/evtchn_port.h"
#include "core/hypercall.h"
#include "fuzz.h"
#include "machine.h"
#include "sched/sched.h"

#define DOMAINS 3
#define VCPUS   2
#define FRAMES  8

const char fuzz_name[] = "evtchn";
const size_t fuzz_bytes = 3000;

static struct domain *domain[DOMAINS];
static mfn_t frame[DOMAINS][FRAMES];
static gva_t arg_gva, list_gva, frames_gva;
static u8 *arg;
static struct multicall_entry *list;

static void check_port(struct domain *d, evtchn_port_t port)
{
    const struct evtchn *c = evtchn_record(d, port), *peer;

    FUZZ_CHECK(c->lock.taken == 0, "d%u port %u: its lock is held", d->id, port);
    FUZZ_CHECK(c->notify_vcpu < d->max_vcpus, "d%u port %u: no such vCPU", d->id, port);
    FUZZ_CHECK(port || c->state == ECS_RESERVED, "d%u: port 0 is bound or free", d->id);
    switch (c->state) {
    case ECS_FREE:
        FUZZ_CHECK(port >= d->evtchn_hint, "d%u port %u is free below the hint %u", d->id, port,
                   d->evtchn_hint);
        break;
    case ECS_INTERDOMAIN:
        FUZZ_CHECK(c->remote_port < c->remote->nr_valid_ports, "d%u port %u: no remote port", d->id,
                   port);
        peer = evtchn_record(c->remote, c->remote_port);
        FUZZ_CHECK(peer->state == ECS_INTERDOMAIN && peer->remote == d && peer->remote_port == port,
                   "d%u port %u: the other end is not bound to it", d->id, port);
        break;
    case ECS_VIRQ:
        FUZZ_CHECK(d->vcpu[virq_is_global(c->source) ? 0 : c->notify_vcpu]->virq_port[c->source] ==
                       port,
                   "d%u port %u: VIRQ %u does not name it", d->id, port, c->source);
        break;
    case ECS_PIRQ:
        FUZZ_CHECK(d->pirq_port[c->source] == port, "d%u port %u: pirq %u does not name it", d->id,
                   port, c->source);
        break;
    default:
        FUZZ_CHECK(port == 0 || c->state != ECS_RESERVED, "d%u port %u is left reserved", d->id,
                   port);
    }
}

/**
 * Frames that an event array and control blocks can take are counted by the hypercalls that
 * succeeded: see call().
 */
static u64 frames_expected[DOMAINS];

static void walk(void)
{
    for (unsigned int n = 0; n < DOMAINS; n++) {
        struct domain *d = domain[n];

        FUZZ_CHECK(!d->evtchn_lock.taken && !d->lock.taken, "d%u: a lock is held", d->id);
        for (evtchn_port_t port = 0; port < d->nr_valid_ports; port++)
            check_port(d, port);
        for (unsigned int i = 0; i < VCPUS; i++) {
            struct vcpu *v = d->vcpu[i];

            FUZZ_CHECK(!v->multicall, "d%uv%u is still in a multicall", d->id, i);
            FUZZ_CHECK(!!(d->poll_mask & 1u << i) == !!(v->pause_flags & VPF_POLLING),
                       "d%uv%u polls half", d->id, i);
            for (unsigned int virq = 0; virq < NR_VIRQS; virq++) {
                evtchn_port_t port = v->virq_port[virq];

                FUZZ_CHECK(!port || (evtchn_record(d, port)->state == ECS_VIRQ &&
                                     evtchn_record(d, port)->source == virq),
                           "d%uv%u: VIRQ %u names port %u", d->id, i, virq, port);
            }
        }
        FUZZ_CHECK(host_frames_taken(d) == frames_expected[n],
                   "d%u: %llu frames held, %llu expected", d->id,
                   (unsigned long long)host_frames_taken(d),
                   (unsigned long long)frames_expected[n]);
    }
}

static evtchn_port_t any_port(struct fuzz_input *in)
{
    return fuzz_chance(in, 90) ? fuzz_below(in, 40) : fuzz_bits(in, 3);
}

static domid_t any_domid(struct fuzz_input *in)
{
    return fuzz_chance(in, 60) ? DOMID_SELF : fuzz_below(in, DOMAINS + 1);
}

/** A frame of the caller's, mostly; else another's or none. */
static u64 any_frame(struct fuzz_input *in, unsigned int self)
{
    unsigned int owner = fuzz_chance(in, 85) ? self : fuzz_below(in, DOMAINS);

    return fuzz_chance(in, 95) ? frame[owner][fuzz_below(in, FRAMES)].n : fuzz_bits(in, 5);
}

static u64 any_address(struct fuzz_input *in)
{
    static const u64 bad[] = {0, 0xffff800000000000, 0xffff87fffffffffc, ~0ull - 3,
                              HOST_GUEST_BASE + HOST_GUEST_SIZE - 4};

    return fuzz_chance(in, 95) ? arg_gva : bad[fuzz_below(in, ARRAY_SIZE(bad))];
}

static u64 event_channel_call(struct fuzz_input *in, unsigned int self)
{
    union {
        struct evtchn_alloc_unbound alloc_unbound;
        struct evtchn_bind_interdomain bind_interdomain;
        struct evtchn_bind_virq bind_virq;
        struct evtchn_bind_pirq bind_pirq;
        struct evtchn_bind_ipi bind_ipi;
        struct evtchn_close close;
        struct evtchn_status status;
        struct evtchn_bind_vcpu bind_vcpu;
        struct evtchn_reset reset;
        struct evtchn_init_control init_control;
        struct evtchn_expand_array expand_array;
        struct evtchn_set_priority set_priority;
    } *a = (void *)arg;
    u64 cmd = fuzz_below(in, EVTCHNOP_set_priority + 2);

    if (cmd == EVTCHNOP_reset && fuzz_chance(in, 80))
        cmd = EVTCHNOP_send;
    memset(arg, 0, sizeof(*a));
    switch (cmd) {
    case EVTCHNOP_alloc_unbound:
        a->alloc_unbound.dom = any_domid(in);
        a->alloc_unbound.remote_dom = any_domid(in);
        break;
    case EVTCHNOP_bind_interdomain:
        a->bind_interdomain.remote_dom = any_domid(in);
        a->bind_interdomain.remote_port = any_port(in);
        break;
    case EVTCHNOP_bind_virq:
        a->bind_virq.virq = fuzz_below(in, NR_VIRQS + 1);
        a->bind_virq.vcpu = fuzz_below(in, VCPUS + 1);
        break;
    case EVTCHNOP_bind_pirq:
        a->bind_pirq.pirq = fuzz_below(in, NR_PIRQS + 2);
        break;
    case EVTCHNOP_bind_ipi:
        a->bind_ipi.vcpu = fuzz_below(in, VCPUS + 1);
        break;
    case EVTCHNOP_status:
        a->status.dom = any_domid(in);
        a->status.port = any_port(in);
        break;
    case EVTCHNOP_bind_vcpu:
        a->bind_vcpu.port = any_port(in);
        a->bind_vcpu.vcpu = fuzz_below(in, VCPUS + 1);
        break;
    case EVTCHNOP_reset:
        a->reset.dom = any_domid(in);
        break;
    case EVTCHNOP_init_control:
        a->init_control.control_gfn = any_frame(in, self);
        a->init_control.offset = fuzz_chance(in, 80) ? fuzz_below(in, 512) * 8 : fuzz_bits(in, 4);
        a->init_control.vcpu = fuzz_below(in, VCPUS + 1);
        break;
    case EVTCHNOP_expand_array:
        a->expand_array.array_gfn = any_frame(in, self);
        break;
    case EVTCHNOP_set_priority:
        a->set_priority.port = any_port(in);
        a->set_priority.priority = fuzz_below(in, 17);
        break;
    default: /* send, unmask, close: a port */
        a->close.port = any_port(in);
    }
    return cmd;
}

static u64 vcpu_call(struct fuzz_input *in, unsigned int self)
{
    u64 cmd = fuzz_below(in, 14);

    memset(arg, 0, 64);
    if (cmd == VCPUOP_register_vcpu_info) {
        struct vcpu_register_vcpu_info *a = (void *)arg;

        a->mfn = any_frame(in, self);
        a->offset = fuzz_chance(in, 80) ? fuzz_below(in, 64) * 64 : fuzz_bits(in, 4);
    } else if (cmd == VCPUOP_register_runstate_memory_area) {
        ((struct vcpu_register_runstate_memory_area *)arg)->addr.p = any_address(in);
    } else if (cmd == VCPUOP_down) {
        return VCPUOP_is_up; /* the last one would end its domain */
    } else {
        *(u64 *)arg = fuzz_chance(in, 50) ? now_ns() + fuzz_bits(in, 3) : fuzz_bits(in, 8);
    }
    return cmd;
}

static u64 sched_call(struct fuzz_input *in)
{
    struct sched_poll *a = (void *)arg;

    if (fuzz_chance(in, 50)) {
        a->ports.p = (void *)(arg_gva + 64);
        a->nr_ports = fuzz_below(in, 6);
        a->timeout = fuzz_chance(in, 50) ? 0 : now_ns() + fuzz_bits(in, 2);
        for (unsigned int i = 0; i < 6; i++)
            ((evtchn_port_t *)(arg + 64))[i] = any_port(in);
        return SCHEDOP_poll;
    }
    return fuzz_chance(in, 50) ? SCHEDOP_block : SCHEDOP_yield;
}

static u64 grant_call(struct fuzz_input *in)
{
    struct gnttab_setup_table *a = (void *)arg;
    u64 cmd = fuzz_below(in, 14);

    memset(arg, 0, 64);
    if (cmd == GNTTABOP_setup_table) {
        a->dom = any_domid(in);
        a->nr_frames = fuzz_below(in, 70);
        a->frame_list.p = (void *)frames_gva;
    } else if (cmd == GNTTABOP_swap_grant_ref) {
        ((struct gnttab_swap_grant_ref *)arg)->ref_a = fuzz_bits(in, 2) % 600;
        ((struct gnttab_swap_grant_ref *)arg)->ref_b = fuzz_bits(in, 2) % 600;
    } else {
        *(u64 *)arg = fuzz_below(in, 4);
    }
    return cmd;
}

/** One hypercall's number and arguments; its structure is in arg. */
static void choose(struct fuzz_input *in, unsigned int self, struct multicall_entry *e)
{
    *e = (struct multicall_entry){0};
    switch (fuzz_below(in, 10)) {
    case 0:
        e->op = __HYPERVISOR_vcpu_op;
        e->args[0] = vcpu_call(in, self);
        e->args[1] = fuzz_below(in, VCPUS + 1);
        e->args[2] = any_address(in);
        break;
    case 1:
        e->op = __HYPERVISOR_grant_table_op;
        e->args[0] = grant_call(in);
        e->args[1] = any_address(in);
        e->args[2] = fuzz_below(in, 3);
        break;
    case 2:
        e->op = __HYPERVISOR_sched_op;
        e->args[0] = sched_call(in);
        e->args[1] = any_address(in);
        break;
    default:
        e->op = __HYPERVISOR_event_channel_op;
        e->args[0] = event_channel_call(in, self);
        e->args[1] = any_address(in);
    }
}

/** What a call that succeeded did to the frames that the hypervisor holds. */
static void account(unsigned int self, const struct multicall_entry *e, long rc, domid_t dom)
{
    if (rc)
        return;
    if (e->op == __HYPERVISOR_vcpu_op && e->args[0] == VCPUOP_register_vcpu_info)
        frames_expected[self]++;
    if (e->op != __HYPERVISOR_event_channel_op)
        return;
    if (e->args[0] == EVTCHNOP_init_control || e->args[0] == EVTCHNOP_expand_array)
        frames_expected[self]++;
    if (e->args[0] == EVTCHNOP_reset) {
        unsigned int n = dom == DOMID_SELF ? self : dom;

        frames_expected[n] = 0;
        for (unsigned int i = 0; i < VCPUS; i++)
            frames_expected[n] += domain[n]->vcpu[i]->info_page != NULL;
    }
}

static void call(struct fuzz_input *in, unsigned int self)
{
    struct multicall_entry e;
    domid_t dom = DOMID_SELF;
    long rc;

    choose(in, self, &e);
    (void)guest_copy_from(&dom, e.args[1], sizeof(dom)); /* the domain of a reset */
    if (fuzz_chance(in, 70)) {
        rc = hypercall_table[e.op].fn(e.args[0], e.args[1], e.args[2], 0, 0, 0);
    } else {
        list[0] = (struct multicall_entry){.op = fuzz_below(in, 2) ? __HYPERVISOR_multicall : 63,
                                           .args = {list_gva, 2}};
        list[1] = e;
        FUZZ_CHECK(do_multicall(list_gva, 2, 0, 0, 0, 0) == 0, "the multicall failed");
        FUZZ_CHECK((long)list[0].result < 0, "a multicall in a multicall");
        rc = list[1].result;
    }
    account(self, &e, rc, dom);
}

static void scribble(struct fuzz_input *in, unsigned int self)
{
    u64 *page;

    switch (fuzz_below(in, 3)) {
    case 0:
        page = arch_map_mfn(frame[self][fuzz_below(in, FRAMES)]);
        break;
    case 1:
        page = (u64 *)domain[self]->shared_info;
        break;
    default:
        page = domain[self]->grant_frame[0];
    }
    page[fuzz_below(in, 512)] = fuzz_chance(in, 30) ? ~0ull : fuzz_bits(in, 8);
}

/** Let the scheduler choose who calls; false if all wait. */
static bool choose_caller(struct fuzz_input *in)
{
    if (!current_vcpu()->is_idle && fuzz_chance(in, 50))
        sched_yield_current();
    host_schedule();
    return !current_vcpu()->is_idle;
}

static void step(struct fuzz_input *in)
{
    unsigned int n = fuzz_below(in, DOMAINS);
    struct vcpu *v = domain[n]->vcpu[fuzz_below(in, VCPUS)];

    if (fuzz_chance(in, 15)) {
        scribble(in, n);
    } else if (fuzz_chance(in, 5)) {
        host_advance(fuzz_bits(in, 3));
    } else if (fuzz_chance(in, 10)) {
        evtchn_send_virq(v, fuzz_below(in, NR_VIRQS));
    } else {
        vcpu_unblock(v); /* so that not all sleep for good */
        if (!choose_caller(in))
            return;
        if (fuzz_chance(in, 5))
            host_fail_alloc = fuzz_below(in, 4);
        call(in, current_vcpu()->domain->id);
        host_fail_alloc = 0;
    }
    walk();
}

void fuzz_one(struct fuzz_input *in)
{
    host_machine_start(2048, 1, "rr");
    for (unsigned int n = 0; n < DOMAINS; n++) {
        domain[n] = host_domain(n, VCPUS, 0);
        for (unsigned int i = 0; i < FRAMES; i++)
            frame[n][i] = host_frame(domain[n]);
        frames_expected[n] = 0;
    }
    domain[0]->privileged = fuzz_chance(in, 50);
    arg = host_guest_alloc(256, &arg_gva);
    list = host_guest_alloc(4 * sizeof(*list), &list_gva);
    host_guest_alloc(4096, &frames_gva);
    while (fuzz_more(in))
        step(in);
    host_machine_stop();
}

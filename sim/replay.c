/* SPDX-License-Identifier: MIT */
/*
 * Replay of recorded decisions: see replay.h.
 *
 * The recorded machine's operations of the scheduler (a decision, a wake-up...) came one after another and are numbered (hv/sched/framework.h).
 * They are done again in that order, each at the times that its records say, on the processor that it was of; each record that it makes is
 * compared with the recorded one.
 *
 * An operation has a stack of its own, one a processor: a decision that gives a vCPU away does so in a second operation, after the switch,
 * and others may have come between. It waits there for its turn, as on the recorded machine.
 *
 * The machine model takes no part: no timer is ever run, and nobody runs but when the trace says so.
 */
#include "sim/replay_model.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "core/timer.h"
#include "sched/policy.h"
#include "sched/sched.h"
#include "trace/trace.h"

_Static_assert(SIM_POOLS_MAX == MAX_POOLS, "a trace has as many pools at most as the scheduler");

#define BUFFER 65536u /* bytes of the records of one operation */
#define STACK  65536u

const struct sim_replay_names sim_replay_names[SIM_REPLAY_KINDS] = {
    [SIM_REPLAY_PICK] = {"sched_pick", "why", "slice"},     [SIM_REPLAY_WAKE] = {"sched_wake", "preempts", NULL},
    [SIM_REPLAY_BLOCK] = {"sched_block", "why", NULL},      [SIM_REPLAY_YIELD] = {"sched_yield", NULL, NULL},
    [SIM_REPLAY_TICK] = {"sched_tick", "credit", NULL},     [SIM_REPLAY_BOOST] = {"sched_boost", "credit", NULL},
    [SIM_REPLAY_RESET] = {"sched_reset", "queue", "given"}, [SIM_REPLAY_GANG] = {"sched_gang", "prev_domid", "next_domid"},
    [SIM_REPLAY_MIGRATE] = {"sched_migrate", "to_cpu", "why"},
    [SIM_REPLAY_TOLD] = {"sched_told", "what", "value"},
};

/* ---- what the scheduler says ---- */

/* The record at `raw` in the replay's terms; which operation it is of, and when it was made, is left out. False: its kind is not gone by. */
static bool understand(const void *raw, struct sim_replay_record *r)
{
    union {
        struct trace_record_head head;
        struct trace_record_sched_pick pick;
        struct trace_record_sched_wake wake;
        struct trace_record_sched_block block;
        struct trace_record_sched_yield yield;
        struct trace_record_sched_tick tick;
        struct trace_record_sched_boost boost;
        struct trace_record_sched_reset reset;
        struct trace_record_sched_gang gang;
        struct trace_record_sched_migrate migrate;
        struct trace_record_sched_told told;
    } u;

    memcpy(&u.head, raw, sizeof(u.head));
    if (u.head.size > sizeof(u))
        return false;
    memcpy(&u, raw, u.head.size);
#define SAYS(k, d, i, x, y) *r = (struct sim_replay_record){.kind = (k), .domid = (d), .vcpu_id = (i), .a = (x), .b = (y)}
    switch (u.head.event) {
    case TRACE_ID_sched_pick:
        SAYS(SIM_REPLAY_PICK, u.pick.domid, u.pick.domid == DOMID_IDLE ? 0 : u.pick.vcpu_id, u.pick.why, (int64_t)u.pick.slice);
        return true;
    case TRACE_ID_sched_wake:
        SAYS(SIM_REPLAY_WAKE, u.wake.domid, u.wake.vcpu_id, u.wake.preempts, 0);
        return true;
    case TRACE_ID_sched_block:
        SAYS(SIM_REPLAY_BLOCK, u.block.domid, u.block.vcpu_id, u.block.why, 0);
        return true;
    case TRACE_ID_sched_yield:
        SAYS(SIM_REPLAY_YIELD, u.yield.domid, u.yield.vcpu_id, 0, 0);
        return true;
    case TRACE_ID_sched_tick:
        SAYS(SIM_REPLAY_TICK, u.tick.domid, u.tick.vcpu_id, u.tick.credit, 0);
        return true;
    case TRACE_ID_sched_boost:
        SAYS(SIM_REPLAY_BOOST, u.boost.domid, u.boost.vcpu_id, u.boost.credit, 0);
        return true;
    case TRACE_ID_sched_reset:
        SAYS(SIM_REPLAY_RESET, 0, 0, u.reset.queue, (int64_t)u.reset.given);
        return true;
    case TRACE_ID_sched_gang:
        SAYS(SIM_REPLAY_GANG, 0, 0, u.gang.prev_domid, u.gang.next_domid);
        return true;
    case TRACE_ID_sched_migrate:
        SAYS(SIM_REPLAY_MIGRATE, u.migrate.domid, u.migrate.vcpu_id, u.migrate.to_cpu, u.migrate.why);
        return true;
    case TRACE_ID_sched_told:
        SAYS(SIM_REPLAY_TOLD, u.told.domid, u.told.vcpu_id, u.told.what, (int64_t)u.told.value);
        return true;
    default:
        return false;
    }
#undef SAYS
}

static bool alike(const struct sim_replay_record *x, const struct sim_replay_record *y)
{
    return x->kind == y->kind && x->domid == y->domid && x->vcpu_id == y->vcpu_id && x->a == y->a && x->b == y->b;
}

/* ---- the processors' operations ---- */

struct turn {
    ucontext_t context;
    void *stack;
    const struct sim_replay_record *op;  /* what it does: the first record of it that has a number */
    const struct vcpu *left;             /* what ran before its switch */
    bool busy;                           /* it waits for its turn: the processor's operation is not over */
    uint32_t next, end;                  /* this processor's records that have not come yet */
    uint64_t seen;                       /* of its ring */
    struct trace_ring_head head;
    uint8_t bytes[BUFFER];
};

/* An operation of the recorded machine, by its first record that has its number. */
struct event {
    uint32_t number, record;
};

bool sim_replays;

static struct {
    const struct sim_replay_input *input;
    struct turn *turns;
    struct event *events;
    size_t nr_events;
    uint32_t *numbered; /* by record: the first from it on, of its processor, that has a number; or nr_records */
    struct turn *turn;  /* whose turn it is; NULL: outside */
    ucontext_t outside;
} replay;

/* What the process that replays tells the one that waits for it. */
static struct {
    bool started, differs;
    struct sim_replay_outcome outcome;
} *found;

static const struct sim_replay_record *record(uint32_t i)
{
    return &replay.input->records[i];
}

/* ---- what they say, and what they need to know ---- */

static void differ(uint32_t i, const struct sim_replay_record *instead)
{
    if (found->differs)
        return;
    found->differs = true;
    found->outcome.ended = i;
    found->outcome.came = instead != NULL;
    if (instead)
        found->outcome.instead = *instead;
}

/* The records that t has made since the last time: are they those that were recorded? */
static void compare(struct turn *t)
{
    const struct trace_ring *ring = &sim_rings[t - replay.turns];

    while (t->seen < ring->pos) {
        const uint8_t *raw = t->bytes + t->seen;
        struct trace_record_head head;
        struct sim_replay_record r;

        memcpy(&head, raw, sizeof(head));
        t->seen += head.size;
        if (found->differs || !understand(raw, &r) || t->next >= t->end) /* the machine may have ended in the midst of it */
            continue;
        if (!alike(&r, record(t->next)))
            differ(t->next, &r);
        t->next++;
        found->outcome.done += !found->differs;
    }
}

static u32 asleep_by(int64_t why)
{
    return why == TRACE_BLOCK_DOWN ? VPF_DOWN : why == TRACE_BLOCK_PAUSE ? VPF_PAUSED : why == TRACE_BLOCK_POLL ? VPF_POLLING : VPF_BLOCKED;
}

/* The first of t's records from record i on that has a number, if that is this one; else NULL. */
static const struct sim_replay_record *numbered(const struct turn *t, uint32_t i, uint32_t number)
{
    uint32_t n = i < t->end ? replay.numbered[i] : t->end;

    return n < t->end && record(n)->turn == number ? record(n) : NULL;
}

/* What holds from t's record i on, as far as it is of operation `number`: the time, and whether the vCPU that it is about wants to run. */
static void prepare(const struct turn *t, uint32_t i, uint32_t number)
{
    const struct sim_replay_record *r = numbered(t, i, number);

    if (!r)
        return;
    sim_now = r->now;
    if (r->kind == SIM_REPLAY_WAKE)
        sim.vcpus[r->vcpu].hv.pause_flags = 0;
    else if (r->kind == SIM_REPLAY_TOLD && r->a == TRACE_TOLD_PLACED)
        sim.vcpus[r->vcpu].hv.pause_flags = VPF_DOWN;
}

/* The operation is about to make a record; of which kind, is there already, but not what it says. */
void sim_replay_records(void)
{
    struct turn *t = replay.turn;
    struct sim_replay_record r;

    if (!t)
        return;
    compare(t);
    if (understand(t->bytes + sim_rings[sim_cpu].pos, &r))
        prepare(t, t->next + 1, sched_turn);
}

void sim_replay_waits(void)
{
    struct turn *t = replay.turn;

    if (t)
        swapcontext(&t->context, &replay.outside);
}

void sim_replay_switches(const struct vcpu *from)
{
    if (!replay.turn)
        return;
    replay.turn->left = from;
    sched_turns.taken = 1; /* by others: if it goes on, it waits */
}

/* ---- operations ---- */

static void create(struct vcpu *v)
{
    struct domain *d = v->domain;
    bool made = false;

    for (unsigned i = 0; i < d->max_vcpus; i++)
        made |= d->vcpu[i] && d->vcpu[i]->unit;
    if (!made)
        d->weight = d->cap = 0; /* a new one: parameters come later */
    v->pause_flags = VPF_DOWN;
    if (!v->unit && sched_vcpu_create(v))
        panic("parangon: simulator: no memory for a vCPU\n");
}

static struct sched_tunables tunables_of(const struct sim_replay_record *told)
{
    return (struct sched_tunables){.slice = (u64)told->b >> 32, .rate_limit = (u32)told->b, .span = told->vcpu_id & 127u, .exclusive = told->vcpu_id >> 7};
}

static void do_told(const struct sim_replay_record *op, struct vcpu *v)
{
    struct cpumask mask = cpumask_from_word((u64)op->b);
    struct sched_tunables tunables = tunables_of(op);
    char policy[sizeof(op->b) + 1] = "";

    switch (op->a) {
    case TRACE_TOLD_MADE:
        create(v);
        break;
    case TRACE_TOLD_FORGET:
        v->pause_flags = VPF_DOWN;
        sched_vcpu_destroy(v);
        break;
    case TRACE_TOLD_PARAMS:
        (void)sched_set_params(v->domain, (u16)op->b, (u16)(op->b >> 16));
        break;
    case TRACE_TOLD_TUNED:
        (void)sched_tune(sched_pool(op->domid), &tunables);
        break;
    case TRACE_TOLD_HARD:
        (void)sched_set_affinity_mask(v, &mask);
        break;
    case TRACE_TOLD_SOFT:
        sched_set_soft_affinity(v, &mask);
        break;
    case TRACE_TOLD_CPU:
        sim_model_cpu_comes(op->vcpu_id);
        break;
    case TRACE_TOLD_DOWN:
        (void)sched_cpu_down(op->vcpu_id);
        break;
    case TRACE_TOLD_UP:
        (void)sched_cpu_up(op->vcpu_id);
        break;
    case TRACE_TOLD_POOL:
        (void)sched_set_pool(v->domain, (unsigned)op->b);
        break;
    case TRACE_TOLD_CREATED:
        memcpy(policy, &op->b, sizeof(op->b));
        (void)sched_create_pool(op->vcpu_id, sched_find_policy(policy));
        break;
    case TRACE_TOLD_DESTROYED:
        (void)sched_destroy_pool(op->vcpu_id);
        break;
    case TRACE_TOLD_LEAVES:
    case TRACE_TOLD_LEFT:
        (void)sched_pool_remove_cpu((unsigned)op->b, op->vcpu_id);
        break;
    case TRACE_TOLD_JOINS:
        (void)sched_pool_add_cpu((unsigned)op->b, op->vcpu_id);
        break;
    default: /* asleep: the record behind it says why */
        v->pause_flags = asleep_by(op[1].a);
        sched_sleep(v);
    }
}

/* What runs on a turn's stack. */
static void operate(void)
{
    struct turn *t = replay.turn;
    const struct sim_replay_record *op = t->op;
    struct vcpu *v = op->vcpu == UINT32_MAX ? NULL : &sim.vcpus[op->vcpu].hv;

    if (op->kind == SIM_REPLAY_PICK) {
        if (sim_current[sim_cpu])
            sim_current[sim_cpu]->pause_flags = 0;
        for (const struct sim_replay_record *r = record(t->next); r < op; r++)
            if (r->kind == SIM_REPLAY_BLOCK)
                sim.vcpus[r->vcpu].hv.pause_flags = asleep_by(r->a);
        sched_run();
    } else if (op->kind == SIM_REPLAY_TOLD) {
        do_told(op, v);
    } else if (v->unit) {
        sched_wake(v);
    }
    replay.turn->busy = false;
    sim_replay_waits(); /* for ever */
}

/* To the end of the operation, or until it waits for another turn. */
static void resume(struct turn *t)
{
    sim_cpu = (unsigned)(t - replay.turns);
    sched_turns.taken = 0;
    replay.turn = t;
    swapcontext(&replay.outside, &t->context);
    replay.turn = NULL;
    compare(t);
}

static void begin(struct turn *t, const struct sim_replay_record *op)
{
    unsigned cpu = (unsigned)(t - replay.turns);

    t->op = op;
    t->left = NULL;
    t->seen = 0;
    t->busy = true;
    sim_rings[cpu] = (struct trace_ring){.mask = TRACE_CLASS_SCHED, .base = t->bytes, .shared = &t->head, .limit = BUFFER,
                                         .size = BUFFER, .sub_size = BUFFER};
    getcontext(&t->context);
    t->context.uc_stack = (stack_t){.ss_sp = t->stack, .ss_size = STACK};
    t->context.uc_link = NULL;
    makecontext(&t->context, operate, 0);
    resume(t);
}

/* What gives way does so between two operations of its processor. */
static void give_way(struct turn *t)
{
    for (; t->next < t->end && record(t->next)->kind == SIM_REPLAY_YIELD; t->next++) {
        const struct sim_replay_record *r = record(t->next);
        struct vcpu *v = &sim.vcpus[r->vcpu].hv;

        if (sim_current[r->cpu] != v) {
            differ(t->next, NULL);
            return;
        }
        v->unit->yielded = true;
        found->outcome.done++;
    }
}

/* Operations that wait to wake what they gave away, and which others have woken or placed, have nothing to do any more. */
static void end_idle_turns(void)
{
    for (unsigned c = 0; c < sim.nr_cpus; c++) {
        struct turn *t = &replay.turns[c];

        if (t->busy && t->left && (t->left->unit->runnable || !t->left->unit->moved))
            resume(t);
    }
}

/* The operation of event e comes to pass. */
static void happen(const struct event *e)
{
    struct turn *t = &replay.turns[record(e->record)->cpu];

    give_way(t);
    sched_turn = e->number - 1;
    if (t->busy) {
        prepare(t, t->next, e->number);
        resume(t);
    }
    if (numbered(t, t->next, e->number) && !t->busy && !found->differs) {
        sched_turn = e->number - 1;
        prepare(t, t->next, e->number);
        begin(t, record(e->record));
    }
    if (numbered(t, t->next, e->number))
        differ(t->next, NULL); /* it says nothing any more */
    end_idle_turns();
}

/* ---- the whole ---- */

/* The pools besides pool 0, which is there: before any processor comes. */
void sim_replay_makes_pools(void)
{
    const struct sim_replay_input *in = replay.input;

    if (*in->pools && sched_make_pools(in->pools))
        panic("parangon: simulator: the pools %s cannot be made\n", in->pools);
    for (size_t i = 0; i < in->nr_tuned; i++) {
        struct sched_tunables tunables = tunables_of(&in->tuned[i]);

        (void)sched_tune(sched_pool(in->tuned[i].domid), &tunables);
    }
}

/* The machine begins. @return 0; -1 (said) */
static int start(void)
{
    if (sim_model_begin(replay.input) < 0)
        return -1;
    for (size_t i = replay.input->nr_records; i-- > 0;) {
        struct turn *t = &replay.turns[record((uint32_t)i)->cpu];

        t->next = (uint32_t)i;
        if (!t->end)
            t->end = (uint32_t)i + 1;
    }
    for (unsigned v = 0; v < replay.input->nr_vcpus; v++)
        if (!replay.input->vcpus[v].made && sched_vcpu_create(&sim.vcpus[v].hv))
            return -1;
    sim_replays = true;
    return 0;
}

/* All of it, in a process that may end with operations cut off. */
static void replay_all(void)
{
    if (start() < 0)
        return;
    found->started = true;
    for (size_t e = 0; e < replay.nr_events && !found->differs; e++) {
        happen(&replay.events[e]);
        sim.raised_head = sim.raised_tail; /* the trace says when the next decisions are */
        for (unsigned c = 0; c < sim.nr_cpus; c++)
            sim.cpus[c].raised = sim.cpus[c].kicked = false;
    }
}

static int compare_events(const void *a, const void *b)
{
    const struct event *x = a, *y = b;

    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return x->record < y->record ? -1 : 1;
}

static bool has_number(const struct sim_replay_record *r)
{
    return r->kind == SIM_REPLAY_PICK || r->kind == SIM_REPLAY_WAKE || r->kind == SIM_REPLAY_TOLD;
}

static void find_events(void)
{
    const uint32_t nr = (uint32_t)replay.input->nr_records;

    for (uint32_t i = nr; i-- > 0;) {
        bool last = i + 1 == nr || record(i + 1)->cpu != record(i)->cpu;

        replay.numbered[i] = has_number(record(i)) ? i : last ? nr : replay.numbered[i + 1];
        if (replay.numbered[i] != i)
            continue;
        if (!last && replay.numbered[i + 1] < nr && record(replay.numbered[i + 1])->turn == record(i)->turn)
            replay.nr_events--; /* the same operation: this is its first */
        replay.events[replay.nr_events++] = (struct event){record(i)->turn, i};
    }
    qsort(replay.events, replay.nr_events, sizeof(*replay.events), compare_events);
}

static int allocate_all(const struct sim_replay_input *input)
{
    size_t nr = input->nr_records;

    replay.turns = calloc(input->config->cpus, sizeof(*replay.turns));
    replay.events = calloc(nr + 1, sizeof(*replay.events));
    replay.numbered = calloc(nr + 1, sizeof(*replay.numbered));
    found = mmap(NULL, sizeof(*found), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!replay.turns || !replay.events || !replay.numbered || found == MAP_FAILED)
        return -1;
    for (unsigned c = 0; c < input->config->cpus; c++)
        if (!(replay.turns[c].stack = malloc(STACK)))
            return -1;
    return 0;
}

int sim_replay_run(const struct sim_replay_input *input, struct sim_replay_outcome *outcome)
{
    int status = -1, code = 0;
    pid_t child;

    memset(&replay, 0, sizeof(replay));
    memset(outcome, 0, sizeof(*outcome));
    replay.input = input;
    if (allocate_all(input) < 0) {
        fprintf(stderr, "parangon: not enough memory for %zu records\n", input->nr_records);
        return -1;
    }
    find_events();
    fflush(NULL);
    child = fork();
    if (child == 0) {
        replay_all();
        _exit(0);
    }
    if (child < 0 || waitpid(child, &code, 0) != child || code)
        fprintf(stderr, "parangon: simulator: the replay ended by itself (%d)\n", code);
    else if (found->started)
        status = 0;
    *outcome = found->outcome;
    if (!found->differs)
        outcome->ended = input->nr_records;
    for (unsigned c = 0; c < input->config->cpus; c++)
        free(replay.turns[c].stack);
    free(replay.turns);
    free(replay.events);
    free(replay.numbered);
    munmap(found, sizeof(*found));
    return status;
}

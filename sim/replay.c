/* SPDX-License-Identifier: MIT */
/*
 * Replay of recorded decisions: see replay.h.
 *
 * Each operation of the scheduler (a decision, a wake-up...) runs on a stack of its own, one a processor, and stops before each
 * record that it makes: it goes on when that record's turn has come, in the order in which the recorded machine made them. So the
 * processors' operations overlap as they did there, locks included: who waits for one, or finds one taken, does so here too. An
 * operation begins at the time that it worked by, which its records say, and runs to its first record at once.
 *
 * Between two records of a processor that another's lie between, the trace does not say which of the operation's steps came before the
 * other's: it may have been interrupted at any of them (an emulator gives turns; a host takes processors away). All of them
 * before is tried first. Where a record then comes out otherwise, the nearest such places before it are tried the other way,
 * one at a time, and the one that gets further is kept. Where none does, that is the difference.
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
#include "trace/trace.h"

#define BUFFER    65536u  /* records of one operation */
#define STACK     65536u
#define FAR_BACK  64      /* overlaps before a difference that are tried otherwise */
#define MID_WAY   4       /* processors whose idling may seem otherwise */
#define FAR_AGAIN 12      /* events between two halves of an operation's steps */
#define ATTEMPTS  20000   /* in all */
#define SETTLED   1000    /* events: what lies further back than this is not tried otherwise */
#define ALL_STEPS UINT16_MAX

const struct sim_replay_names sim_replay_names[SIM_REPLAY_KINDS] = {
    [SIM_REPLAY_PICK] = {"sched_pick", "why", "slice"},     [SIM_REPLAY_WAKE] = {"sched_wake", "preempts", NULL},
    [SIM_REPLAY_BLOCK] = {"sched_block", "why", NULL},      [SIM_REPLAY_YIELD] = {"sched_yield", NULL, NULL},
    [SIM_REPLAY_TICK] = {"sched_tick", "credit", NULL},     [SIM_REPLAY_BOOST] = {"sched_boost", "credit", NULL},
    [SIM_REPLAY_RESET] = {"sched_reset", "queue", "given"}, [SIM_REPLAY_GANG] = {"sched_gang", "prev_domid", "next_domid"},
    [SIM_REPLAY_MIGRATE] = {"sched_migrate", "to_cpu", "why"}, [SIM_REPLAY_BUSY] = {"sched_busy", "queue", NULL},
    [SIM_REPLAY_TOLD] = {"sched_told", "what", "value"},
};

/* ---- what the scheduler says ---- */

/* The record at `raw` in the replay's terms. False: its kind is not gone by. */
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
        struct trace_record_sched_busy busy;
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
    case TRACE_ID_sched_busy:
        SAYS(SIM_REPLAY_BUSY, 0, 0, u.busy.queue, 0);
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

enum turn_state {
    NOTHING, /* no operation */
    STEP,    /* between two steps of it */
    WAITS,   /* for a lock */
    SAYS,    /* about to make a record */
};

struct turn {
    ucontext_t context;
    void *stack;
    enum turn_state state;
    const struct sim_replay_record *op;  /* what it does: the record that says its time */
    uint32_t next, end;                  /* this processor's records that have not come yet */
    uint32_t steps, limit;               /* taken since it was let go, and how many it may take */
    uint32_t again;                      /* before this event it may take the others; 0: not */
    uint64_t seen;                       /* of its ring */
    bool pinned;                         /* the next step makes the next record */
    bool spoke;                          /* its record's turn has come, and the record is not looked at yet */
    struct trace_ring_head head;
    uint8_t bytes[BUFFER];
};

/* A step of the recorded machine: an operation begins, or a record is made. */
struct event {
    uint64_t at;
    uint64_t seq;
    uint32_t record;
    uint32_t next; /* the next event of its processor; UINT32_MAX: none */
    bool begins;
};

/* By event: after it, where others' events come before the next of its processor, the operation's steps may have come anywhere between. */
struct overlap {
    uint16_t steps; /* there are; 0: it is no such place */
    uint16_t taken; /* at once; ALL_STEPS */
    uint32_t again; /* the others before this event of another processor; 0: when the next of its own comes */
};

bool sim_replays;

static struct {
    const struct sim_replay_input *input;
    struct turn *turns;
    struct event *events;
    size_t nr_events;
    const struct sim_replay_record **worked; /* by record: the first from it on, of its processor, that says its time */
    const struct sim_replay_record **blocks; /* by pick: the block of what ran, in the same operation; or NULL */
    bool differs, came;
    uint32_t record;                         /* that did not come; `instead` came */
    struct sim_replay_record instead;
    struct turn *turn;                       /* whose turn it is; NULL: outside */
    ucontext_t outside;
    const struct sched_ops *policy;
} replay;

/* What the processes of a replay tell each other. */
static struct {
    bool started, came;
    uint32_t record;
    struct sim_replay_record instead;
    size_t reached;
    uint32_t attempts;
    struct overlap at[];                     /* by event */
} *found;

static void stop_at(enum turn_state state)
{
    replay.turn->state = state;
    swapcontext(&replay.turn->context, &replay.outside);
}

void sim_replay_waits(void)
{
    if (replay.turn)
        stop_at(WAITS);
}

void sim_replay_records(void)
{
    struct sim_replay_record r; /* what it will say is not there yet: only whether its kind is gone by */

    if (replay.turn && understand(replay.turn->bytes + sim_rings[sim_cpu].pos, &r))
        stop_at(SAYS);
}

/*
 * Between two operations of the policy: the same policy, with a stop before each. One that makes a record of this kind with the
 * pool locked does not come much before that record.
 */
static void step(enum sim_replay_kind within)
{
    struct turn *t = replay.turn;
    uint32_t next;

    if (!t)
        return;
    next = t->next + t->spoke;
    t->pinned = next < t->end && replay.input->records[next].kind == within;
    stop_at(STEP);
}

/* Processor cpu idles, or not, as far as others see. */
static void seem(unsigned cpu, bool idle)
{
    struct cpupool *pool = sched_pool(0);
    const struct sched_pcpu *p = sched_pcpu(cpu);

    if (idle)
        cpumask_set(&pool->idle, cpu);
    else
        cpumask_clear(&pool->idle, cpu);
    if (cpumask_within(&p->core, &pool->idle))
        cpumask_set(&pool->idle_cores, p->core_first);
    else
        cpumask_clear(&pool->idle_cores, p->core_first);
}

/* Those of `cpus` that are in `set` seem otherwise; once more, and they seem as they were. */
static void flip(const unsigned *cpus, unsigned set)
{
    for (; set; set &= set - 1) {
        unsigned cpu = cpus[__builtin_ctz(set)];

        seem(cpu, !cpumask_test(&sched_pool(0)->idle, cpu));
    }
}

/*
 * Who idles is a hint: of a processor in the middle of an operation it may be old. Where u was placed otherwise than by what holds here,
 * such processors are looked at as they were before or will be after.
 */
static u16 step_place(struct sched_unit *u, ns_t now)
{
    const struct turn *t = replay.turn;
    u16 (*place)(struct sched_unit *u, ns_t now) = replay.policy->place ? replay.policy->place : sched_place;
    const struct sim_replay_record *next = t && t->next + t->spoke < t->end ? &replay.input->records[t->next + t->spoke] : NULL;
    bool moves = next && next->kind == SIM_REPLAY_MIGRATE && next->vcpu == u->vcpu->arch.index && next->b != TRACE_MIGRATE_BALANCE;
    u16 cpu, recorded = moves ? (u16)next->a : u->cpu;
    unsigned midway[MID_WAY], nr = 0;
    u64 random, drawn;

    step(SIM_REPLAY_KINDS);
    random = sched_pcpu(u->cpu)->random;
    cpu = place(u, now);
    drawn = sched_pcpu(u->cpu)->random;
    for (unsigned c = 0; t && c < sim.nr_cpus; c++)
        if (&replay.turns[c] != t && replay.turns[c].state != NOTHING && nr < MID_WAY)
            midway[nr++] = c;
    for (unsigned set = 1; set < 1u << nr && cpu != recorded; set++) {
        u16 other;

        sched_pcpu(u->cpu)->random = random;
        flip(midway, set);
        other = place(u, now);
        flip(midway, set);
        if (other == recorded)
            return recorded;
    }
    sched_pcpu(u->cpu)->random = drawn;
    return cpu;
}

static struct sched_wake_result step_wake(struct runqueue *q, struct sched_unit *u, ns_t now)
{
    step(SIM_REPLAY_BOOST);
    return replay.policy->wake(q, u, now);
}

static void step_sleep(struct runqueue *q, struct sched_unit *u, ns_t now)
{
    step(SIM_REPLAY_KINDS);
    replay.policy->sleep(q, u, now);
}

static void step_charge(struct sched_pcpu *p, struct sched_unit *u, ns_t ran, ns_t now)
{
    step(SIM_REPLAY_TICK);
    replay.policy->charge(p, u, ran, now);
}

static struct runqueue *step_balance(struct sched_pcpu *p, struct sched_unit *prev, ns_t now)
{
    struct runqueue *from;

    step(SIM_REPLAY_KINDS);
    from = replay.policy->balance(p, prev, now);
    if (from) /* is it locked? */
        step(SIM_REPLAY_KINDS);
    return from;
}

static struct sched_unit *step_steal(struct runqueue *q, struct sched_pcpu *p, ns_t now)
{
    step(SIM_REPLAY_KINDS);
    return replay.policy->steal(q, p, now);
}

static struct sched_choice step_pick(struct sched_pcpu *p, struct sched_unit *prev, ns_t now)
{
    struct sched_choice choice;

    step(SIM_REPLAY_GANG);
    choice = replay.policy->pick(p, prev, now);
    step(SIM_REPLAY_KINDS);
    return choice;
}

static void step_unit_fini(struct runqueue *q, struct sched_unit *u)
{
    step(SIM_REPLAY_KINDS);
    if (replay.policy->unit_fini)
        replay.policy->unit_fini(q, u);
}

static void step_params(struct sched_domain *dom, u16 weight, u16 cap, ns_t now)
{
    step(SIM_REPLAY_KINDS);
    if (replay.policy->params)
        replay.policy->params(dom, weight, cap, now);
}

void sim_replay_listen(void)
{
    static struct sched_ops steps;

    replay.policy = sched_pool(0)->ops;
    steps = *replay.policy;
    steps.place = step_place;
    steps.wake = step_wake;
    steps.sleep = step_sleep;
    steps.pick = step_pick;
    steps.unit_fini = step_unit_fini;
    steps.params = step_params;
    if (steps.charge)
        steps.charge = step_charge;
    if (steps.balance)
        steps.balance = step_balance;
    if (steps.steal)
        steps.steal = step_steal;
    sched_pool(0)->ops = &steps;
}

static u32 asleep_by(int64_t why)
{
    return why == TRACE_BLOCK_DOWN ? VPF_DOWN : why == TRACE_BLOCK_PAUSE ? VPF_PAUSED : why == TRACE_BLOCK_POLL ? VPF_POLLING : VPF_BLOCKED;
}

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

static void do_told(const struct sim_replay_record *op, struct vcpu *v)
{
    struct cpumask mask = cpumask_from_word((u64)op->b);

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
        (void)sched_tune(sched_pool(op->domid), &(struct sched_tunables){.slice = (u64)op->b >> 32,
                                                                         .rate_limit = (u32)op->b,
                                                                         .span = op->vcpu_id & 127u,
                                                                         .exclusive = op->vcpu_id >> 7});
        break;
    case TRACE_TOLD_HARD:
        (void)sched_set_affinity_mask(v, &mask);
        break;
    case TRACE_TOLD_SOFT:
        sched_set_soft_affinity(v, &mask);
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
    const struct sim_replay_record *block = op->kind == SIM_REPLAY_PICK ? replay.blocks[op - replay.input->records] : NULL;

    if (block)
        sim.vcpus[block->vcpu].hv.pause_flags = asleep_by(block->a);
    if (op->kind == SIM_REPLAY_PICK) {
        sched_run();
    } else if (op->kind == SIM_REPLAY_TOLD) {
        do_told(op, v);
    } else if (op->kind == SIM_REPLAY_YIELD) {
        if (!sim_current[sim_cpu]->is_idle)
            sched_yield_current();
    } else if (v->unit) {
        v->pause_flags = 0;
        sched_wake(v);
    }
    stop_at(NOTHING);
}

/* ---- letting them run ---- */

/* A turn has made the record that it was let make: is it what was recorded? */
static void look(struct turn *t)
{
    struct sim_replay_record r;

    t->spoke = false;
    if (!understand(t->bytes + t->seen, &r) || !alike(&r, &replay.input->records[t->next])) {
        replay.differs = replay.came = true;
        replay.record = t->next;
        replay.instead = r;
    }
    t->next++;
}

/* To its next stop. The runqueue that it will find locked is locked meanwhile. */
static void resume(struct turn *t)
{
    uint32_t i = t->next + t->spoke;
    const struct sim_replay_record *next = i < t->end ? &replay.input->records[i] : NULL;
    struct runqueue *busy = next && next->kind == SIM_REPLAY_BUSY ? sched_pcpu((unsigned)next->a)->q : NULL;

    if (busy && busy->lock.taken)
        busy = NULL;
    if (busy)
        busy->lock.taken = 1;
    sim_cpu = (unsigned)(t - replay.turns);
    if (next && replay.worked[i])
        sim_now = replay.worked[i]->now;
    replay.turn = t;
    swapcontext(&replay.outside, &t->context);
    replay.turn = NULL;
    if (busy)
        busy->lock.taken = 0;
    if (t->spoke)
        look(t);
    if (t->state == SAYS)
        t->seen = sim_rings[t - replay.turns].pos;
}

/* One of the others that stopped between two records goes on. False: none can. */
static bool help(const struct turn *t)
{
    for (unsigned c = 0; c < sim.nr_cpus; c++) {
        struct turn *o = &replay.turns[c];
        enum turn_state was = o->state;

        if (o == t || was == NOTHING || (was == SAYS && !o->spoke))
            continue;
        resume(o);
        if (o->state != WAITS || was != WAITS)
            return true;
    }
    return false;
}

/* To its next record or its end, or the limit of its steps; or until nothing can be done. `due`: the next record's time has come. */
static void run(struct turn *t, bool due)
{
    while (!replay.differs && t->state != NOTHING && (t->state != SAYS || t->spoke)) {
        bool waited = t->state == WAITS;

        if ((!waited && t->steps >= t->limit) || (t->state == STEP && t->pinned && !due))
            return;
        t->steps += !waited;
        resume(t);
        if (waited && t->state == WAITS && !help(t))
            return;
    }
}

/* Those that had to wait try again. */
static void run_waiting(void)
{
    for (unsigned c = 0; c < sim.nr_cpus; c++)
        if (replay.turns[c].state == WAITS)
            run(&replay.turns[c], false);
}

/* Let t run on behind event e, as far as it is thought to have come before the others' next. */
static void run_beside(struct turn *t, uint32_t e)
{
    uint32_t next = replay.events[e].next;
    struct overlap *o = &found->at[e];

    t->steps = 0;
    t->limit = ALL_STEPS;
    t->again = 0;
    if (next != UINT32_MAX && next != e + 1 && o->taken != ALL_STEPS) {
        t->limit = o->taken;
        t->again = o->again;
        run(t, false);
        return;
    }
    run(t, false);
    o->steps = 0;
    if (next != UINT32_MAX && next != e + 1 && (t->steps > 1 || t->state != NOTHING))
        o->steps = (uint16_t)t->steps;
}

static void begin(struct turn *t, const struct sim_replay_record *op)
{
    unsigned cpu = (unsigned)(t - replay.turns);

    t->op = op;
    t->seen = 0;
    t->spoke = t->pinned = false;
    sim_rings[cpu] = (struct trace_ring){.mask = TRACE_CLASS_SCHED, .base = t->bytes, .shared = &t->head, .limit = BUFFER,
                                         .size = BUFFER, .sub_size = BUFFER};
    getcontext(&t->context);
    t->context.uc_stack = (stack_t){.ss_sp = t->stack, .ss_size = STACK};
    t->context.uc_link = NULL;
    makecontext(&t->context, operate, 0);
    t->state = STEP;
}

/* What the operation of event e does comes to pass. */
static void happen(uint32_t e)
{
    const struct event *event = &replay.events[e];
    const struct sim_replay_record *r = &replay.input->records[event->record];
    struct turn *t = &replay.turns[r->cpu];

    for (unsigned c = 0; c < sim.nr_cpus; c++) {
        struct turn *o = &replay.turns[c];

        if (o->again != e || !e || o == t)
            continue;
        o->limit = ALL_STEPS;
        run(o, false);
    }
    if (event->begins) {
        if (t->state != NOTHING) { /* of an operation that is not over it is a part */
            t->limit = ALL_STEPS;
            run(t, false);
        }
        if (t->state == NOTHING) {
            begin(t, r);
            run_beside(t, e);
        }
        return;
    }
    t->limit = ALL_STEPS;
    run(t, true);
    if (t->state != SAYS) {
        replay.differs = true; /* it says nothing any more */
        replay.record = event->record;
        return;
    }
    t->spoke = true;
    run_beside(t, e);
    run_waiting();
}

/* ---- finding the order ---- */

/* The machine begins. @return 0; -1 (said) */
static int start(void)
{
    if (sim_model_begin(replay.input) < 0)
        return -1;
    for (size_t i = replay.input->nr_records; i-- > 0;) {
        struct turn *t = &replay.turns[replay.input->records[i].cpu];

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

/* Events from e up to `to` come to pass. @return the first that does not as recorded, or `to` */
static size_t go_on(size_t e, size_t to)
{
    for (; e < to; e++) {
        happen((uint32_t)e);
        if (replay.differs)
            break;
        sim.raised_head = sim.raised_tail; /* the trace says when the next decisions are */
        for (unsigned c = 0; c < sim.nr_cpus; c++)
            sim.cpus[c].raised = sim.cpus[c].kicked = false;
    }
    return e;
}

/* Try from event e on, in a process of its own. @return the first event that differs, or their number */
static size_t attempt(size_t e)
{
    pid_t child = fork();
    int status = 0;

    found->attempts++;
    if (child == 0) {
        found->reached = go_on(e, replay.nr_events);
        found->came = replay.came;
        found->record = replay.record;
        found->instead = replay.instead;
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status)
        return 0;
    return found->reached;
}

/* Is this place otherwise if a run gets further so? Then it stays. */
static bool better(size_t from, size_t *reached, uint32_t place, uint16_t taken, uint32_t again)
{
    struct overlap was = found->at[place];
    size_t now;

    if (found->attempts >= ATTEMPTS || (was.taken == taken && was.again == again))
        return false;
    found->at[place].taken = taken;
    found->at[place].again = again;
    now = attempt(from);
    if (now > *reached) {
        *reached = now;
        return true;
    }
    found->at[place] = was;
    return false;
}

/* The same of all orders at this place. */
static bool better_at(size_t from, size_t *reached, uint32_t place, bool twice)
{
    uint32_t next = min_of(replay.events[place].next, (uint32_t)*reached + 1);

    for (uint16_t taken = found->at[place].steps; taken-- > 0;) {
        if (!twice && better(from, reached, place, taken, 0))
            return true;
        for (uint32_t e = place + 2; twice && e < next && e < place + 2 + FAR_AGAIN; e++)
            if (replay.input->records[replay.events[e].record].cpu != replay.input->records[replay.events[place].record].cpu &&
                better(from, reached, place, taken, e))
                return true;
    }
    return found->at[place].taken != ALL_STEPS && better(from, reached, place, ALL_STEPS, 0);
}

/*
 * Events from `from` on came out up to *reached: change the nearest places before it until a run gets further. One at a time; one of which some
 * steps come between; two.
 */
static bool search(size_t from, size_t *reached)
{
    struct sim_replay_record instead = found->instead;
    uint32_t record = found->record;
    bool came = found->came;
    uint32_t places[FAR_BACK], nr = 0;

    for (size_t e = min_of(*reached + 1, replay.nr_events); e-- > from && nr < FAR_BACK;)
        if (found->at[e].steps)
            places[nr++] = (uint32_t)e;
    for (uint32_t i = 0; i < nr; i++)
        if (better_at(from, reached, places[i], false))
            return true;
    for (uint32_t i = 0; i < nr && i < FAR_BACK / 4; i++)
        if (better_at(from, reached, places[i], true))
            return true;
    for (uint32_t i = 0; i < nr && i < FAR_BACK / 8; i++) {
        struct overlap was = found->at[places[i]];

        for (uint16_t taken = was.steps; taken-- > 0;) {
            found->at[places[i]].taken = taken;
            found->at[places[i]].again = 0;
            for (uint32_t k = 0; k < nr && k < FAR_BACK / 8; k++)
                if (k != i && better_at(from, reached, places[k], false))
                    return true;
        }
        found->at[places[i]] = was;
    }
    found->instead = instead;
    found->record = record;
    found->came = came;
    return false;
}

/* All of it, in a process that may end with operations cut off. */
static void replay_all(void)
{
    size_t at = 0, reached;

    for (size_t e = 0; e < replay.nr_events; e++)
        found->at[e].taken = ALL_STEPS;
    if (start() < 0)
        return;
    found->started = true;
    reached = attempt(at);
    while (reached < replay.nr_events && search(at, &reached))
        if (reached > at + 2 * SETTLED) /* what is so far behind stays */
            at = go_on(at, reached - SETTLED);
    found->reached = reached;
}

/* ---- what the records say ---- */

static bool says_time(const struct sim_replay_record *r)
{
    return r->kind == SIM_REPLAY_PICK || r->kind == SIM_REPLAY_WAKE || r->kind == SIM_REPLAY_TOLD || r->kind == SIM_REPLAY_YIELD;
}

static int compare_events(const void *a, const void *b)
{
    const struct event *x = a, *y = b;

    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* A record that comes behind the one that says the time of its operation: a move after the decision, why one sleeps. */
static bool ends_operation(const struct sim_replay_record *r)
{
    return (r->kind == SIM_REPLAY_MIGRATE && r->b == TRACE_MIGRATE_SHARED) ||
           (r->kind == SIM_REPLAY_BLOCK && r > replay.input->records && r[-1].cpu == r->cpu && r[-1].kind == SIM_REPLAY_TOLD && r[-1].a == TRACE_TOLD_ASLEEP);
}

/* The operation that record i says the time of: it begins before the first of its records, of those from `first` on. */
static void find_operation(size_t first, size_t i)
{
    const struct sim_replay_record *records = replay.input->records;
    struct event *event = &replay.events[replay.nr_events++];
    uint64_t earliest = first && records[first - 1].cpu == records[i].cpu ? records[first - 1].at : 0;

    while (first < i && ends_operation(&records[first]))
        first++;
    for (size_t k = first; k < i; k++)
        if (records[k].kind == SIM_REPLAY_BLOCK)
            replay.blocks[i] = &records[k];
    *event = (struct event){.at = records[i].now, .seq = 2 * first, .record = (uint32_t)i, .begins = true};
    if (event->at > records[first].at)
        event->at = records[first].at;
    if (event->at < earliest)
        event->at = earliest;
}

static void find_events(void)
{
    const struct sim_replay_record *records = replay.input->records;
    size_t first = 0, nr = replay.input->nr_records;
    uint32_t next[SIM_CPUS_MAX];

    for (size_t i = nr; i-- > 0;) {
        bool last = i + 1 == nr || records[i + 1].cpu != records[i].cpu;

        replay.worked[i] = says_time(&records[i]) ? &records[i] : last ? NULL : replay.worked[i + 1];
    }
    for (size_t i = 0; i < nr; i++) {
        if (i && records[i].cpu != records[i - 1].cpu)
            first = i;
        replay.events[replay.nr_events++] = (struct event){.at = records[i].at, .seq = 2 * i + 1, .record = (uint32_t)i};
        if (says_time(&records[i])) {
            find_operation(first, i);
            first = i + 1;
        }
    }
    qsort(replay.events, replay.nr_events, sizeof(*replay.events), compare_events);
    memset(next, 0xff, sizeof(next));
    for (size_t e = replay.nr_events; e-- > 0;) {
        uint32_t *of = &next[records[replay.events[e].record].cpu];

        replay.events[e].next = *of;
        *of = (uint32_t)e;
    }
}

/* ---- the whole ---- */

static int allocate_all(const struct sim_replay_input *input, size_t *shared)
{
    size_t nr = input->nr_records;

    *shared = sizeof(*found) + (2 * nr + 1) * sizeof(struct overlap);
    replay.turns = calloc(input->config->cpus, sizeof(*replay.turns));
    replay.events = calloc(2 * nr + 1, sizeof(*replay.events));
    replay.worked = calloc(nr + 1, sizeof(*replay.worked));
    replay.blocks = calloc(nr + 1, sizeof(*replay.blocks));
    found = mmap(NULL, *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!replay.turns || !replay.events || !replay.worked || !replay.blocks || found == MAP_FAILED)
        return -1;
    for (unsigned c = 0; c < input->config->cpus; c++)
        if (!(replay.turns[c].stack = malloc(STACK)))
            return -1;
    return 0;
}

int sim_replay_run(const struct sim_replay_input *input, struct sim_replay_outcome *outcome)
{
    int status = -1, code = 0;
    size_t shared;
    pid_t child;

    memset(&replay, 0, sizeof(replay));
    memset(outcome, 0, sizeof(*outcome));
    replay.input = input;
    if (allocate_all(input, &shared) < 0) {
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
    outcome->ended = found->reached < replay.nr_events ? found->record : input->nr_records;
    for (size_t e = 0; e < found->reached; e++) {
        outcome->done += !replay.events[e].begins;
        outcome->overlaps += found->at[e].steps != 0;
        outcome->otherwise += found->at[e].taken != ALL_STEPS;
    }
    outcome->attempts = found->attempts;
    outcome->came = found->came;
    outcome->instead = found->instead;
    for (unsigned c = 0; c < input->config->cpus; c++)
        free(replay.turns[c].stack);
    free(replay.turns);
    free(replay.events);
    free(replay.worked);
    free(replay.blocks);
    munmap(found, shared);
    return status;
}

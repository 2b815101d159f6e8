/* SPDX-License-Identifier: MIT */
/*
 * Weights and caps by virtual time, for the policies that share processors in proportion (credit,
 * smt): accounts, and queues ordered by them.
 *
 * Virtual time. The pool's V runs as a fluid scheduler would serve weight 1; a domain's vt as it is
 * served: its use / its weight. Its credit is weight * (V - vt). A domain's vt stands still while it
 * waits, so the order of the waiting does not change, a heap holds it, and no tick hands out credit:
 * use is accounted when something happens, exactly as used.
 *
 * Who comes and goes. V is where those who share are on average. When one goes from among them (it sleeps, or is full) V moves on by
 * its credit for its share, and back when it comes, by debts the other way (Stoica and others, A Proportional Share Resource
 * Allocation Algorithm, RTSS 1996). Who does not share follows V's moves, so that it is as far from V as before. Who falls asleep in debt
 * lingers: it counts as sharing until V has come to where it is, so its debts are paid off no sooner than if it wanted to run, and nobody
 * gets more than its share by sleeping at the right time. Credit a sleeper earns none, or those who never sleep would pay for it: it
 * wakes with what it had, a slice's at most, less what V would have gone with it. With that it goes first, and with a little debt too
 * (BOOST_DEBT_PART), which stands: else who works now more, now less, in all far less than its share, would each so often wait for a slice
 * of each of the others. Before it comes, those share again who are full no
 * more beside it, as those were full after it went: else V would be somewhere else in between, and debts would be lost.
 *
 * Feasible shares. A domain cannot use more pcpus than it has units that want to run, or than its cap
 * lets it, whatever its weight: that is its worth. Those whose weight would give them more ("full") get their worth, and the rest
 * share the remaining pcpus by weight: V runs at (pcpus left / weight of the rest), or as the lightest of the full is served, and while a
 * domain is full it is charged at that rate (water filling; Chandra et al., Surplus Fair Scheduling, OSDI 2000,
 * call it weight readjustment). Otherwise V would fall behind all but the heavy ones, and a newcomer
 * that starts at V would starve them.
 *
 * Within a domain, who has waited longest goes first; and once the others have had a slice for each of the
 * domain's units, it keeps its place in the pool's order while the domain's vt goes on, until a pcpu takes it over.
 *
 * Slices are 30 ms, or the pool's. The policy's own are shorter where a domain's share is small: what
 * it gets in 60 ms by its feasible share, over the square of the number of its units that may run at
 * once, but at least 1 ms. So what a domain is ahead or behind is less than 1 % of what it gets in
 * 10 s, and the light are served as often as the heavy. On several pcpus they are 12 ms at most: no order of turns as long as a
 * slice keeps the error in any window within one (it would be a balanced word, which hardly any three different rates have:
 * Altman, Gaujal and Hordijk, Balanced Sequences and Optimal Routing, J. ACM 47, 2000).
 *
 * Caps. As budget.h has it, in periods of 30 ms. When the budget is gone the domain's units are parked until the period ends. They compete all the same: a domain whose
 * cap is less than what its weight would give it is full, and comes first when the period begins; any other earns meanwhile
 * what it has to catch up with, since it was served early. All pcpus of the pool decide anew when they come back: what they have
 * to get until the next period's end cannot wait for the slices of others.
 * Where fewer units compete without a cap than there are pcpus, all who may run can have used what they may, and pcpus idle, while others
 * have more left than the period is long. So who cannot wait any more goes first until the period ends, and others run no longer than
 * until that comes. With one deadline for all this loses nothing, whatever the order is otherwise: as long as nobody needs more than the
 * time that is left on each of its units, and all together need all pcpus, enough of them have something left (as by McNaughton's
 * wrap-around rule, Scheduling with Deadlines and Loss Functions, Management Science 6, 1959).
 *
 * Locks: everything here is guarded by the pool's lock (fair_lock()), which is inside the
 * runqueues'.
 */
#ifndef PARANGON_SCHED_FAIR_H
#define PARANGON_SCHED_FAIR_H

#include "budget.h"
#include "core/pheap.h"
#include "lib.h"
#include "policy.h"

#define SLICE        MILLISECS(30)
#define SLICE_SEVERAL MILLISECS(12) /* the policy's own on several pcpus */
#define SHARE_PERIOD MILLISECS(60)  /* a slice is no more than a domain's share of this... */
#define SLICE_SHORTEST MILLISECS(1)  /* ...or than this */
#define BOOST_PART   3               /* a boost lasts this part of a slice */
#define BOOST_DEBT_PART 6            /* and is had with a debt of so much of one, or less */
#define BALANCE_PART 16              /* worth a migration: behind by more than this part of a slice */
#define CAP_PERIOD   MILLISECS(30)
#define CPU_WORTH    100             /* what one pcpu is worth, in the unit of caps */
/* Where units are parked, all of the pool's pcpus look so long after a period's end for what came back elsewhere. */
#define UNPARKED_AFTER MICROSECS(100)
/* Less than this of a slice left is not worth a turn of its own. */
#define SLICE_LEAST  MICROSECS(500)
/*
 * The longest slice while domains with a cap compete: these have to get what they may use before their period ends. What waits
 * for slices of others then is lost.
 */
#define SLICE_CAPPED (CAP_PERIOD / 8)
#define SLICE_OWED   (CAP_PERIOD / 5) /* the same where urge() sees to that... */
#define URGED_MOST   4                /* ...with no more domains for each pcpu */
/*
 * Virtual time: 4,096 units are a nanosecond of a processor for weight 1. It starts away from 0 so
 * that a sleeper's credit does not wrap, and lasts 18 years with total weight 256 on one pcpu, 26
 * days with total weight 1; of that an n-th where a domain has n pcpus to itself.
 */
#define VT_SHIFT     12
#define VT_START     (1ull << 48)
#define FADES_MOST   (1ull << 36) /* of V: more than anybody saves */
#define LAG_SLICES   2 /* of the pool's or 30 ms, for each unit: no order of turns makes a domain lead or lag by more */

struct fair_pool {
    struct spinlock lock;
    u64 vt;                  /* V */
    u64 rest;                /* remainder of its last division */
    u64 fluid;               /* how far V went by the passing of time alone */
    u64 along;               /* and how far it was moved: see move() */
    ns_t updated;
    u64 fluid_weight, fluid_cpus; /* of the next two, what V goes by: see recount() */
    u64 counts;              /* how often they were counted */
    u64 weight;              /* sum over the domains that compete and are not full */
    s64 cpus;                /* hundredths of a pcpu that are left to them */
    u16 nr_cpus;             /* of the pool, as counted in cpus */
    bool fills;              /* there were several, or a cap, at some time: domains are in sharing or full */
    struct pheap sharing, full; /* domains that compete, then: most weight for their worth first; least first */
    struct pheap lingering;  /* domains asleep in debt that count as sharing until V comes by, by vt */
    struct pheap queues;     /* runqueues in which units wait that may run anywhere, by the first's key */
    u32 nr_pinned;           /* units that wait and may not run anywhere */
    u32 nr_parked;
    u32 nr_filled;           /* domains that became full, so far */
    struct list competing;   /* domains */
    u32 nr_domains;          /* these */
    u32 capped;              /* those with a cap */
    bool urged;              /* urge() may have put some first */
    bool owed;               /* fewer units compete without a cap than there are pcpus, when last counted: see urge() */
};

struct fair_domain {
    u64 vt;
    u64 rest;                /* remainder of its last division */
    u64 charged_fluid;       /* the pool's fluid when the units that run were charged last... */
    ns_t charged_at;         /* ...which was then */
    u32 running;             /* units that run, where domains may be full */
    u64 saved;               /* asleep: its credit, in V, when it fell asleep: it has no more when it wakes */
    u64 along;               /* of who does not share: the pool's, as far as its vt has followed */
    u64 moved;               /* how far vt has gone by following, in all */
    u32 competing;           /* its units that are runnable */
    u32 worth;               /* hundredths of a pcpu that these can use */
    u16 weight;
    u16 cap;
    struct budget budget;    /* capped */
    struct pheap_node node;  /* in the pool's sharing or full... */
    struct pheap_node lingers; /* ...and in its lingering */
    ns_t slice;              /* the policy's own, as of that count: see slice_of() */
    u64 slice_count;
    u8 set;                  /* enum fair_set */
    bool first;              /* what its units do not get at once they get never: full, and worth a pcpu for each; or so by urge() */
    struct list waiting;     /* its units that wait, boosted or not */
    struct list in_pool;     /* in the pool's competing */
    u32 timed;               /* capped: its units that run... */
    ns_t until;              /* ...and the sum of the times until which they may */
    struct sched_domain *dom;
};

enum fair_set { FAIR_OUT, FAIR_ALONE, FAIR_SHARING, FAIR_FULL };

struct fair_queue {
    struct pheap waiting;    /* by vt: units that may run on each pcpu of the pool */
    struct pheap pinned;     /* by vt: the others */
    struct list pins;        /* the others again */
    struct list boosted;     /* in order of waking */
    struct list parked;      /* until the next period */
    u32 special;             /* units in the three lists, and those that run and have a cap */
    struct pheap_node node;  /* in the pool's queues */
    bool listed;
    struct runqueue *q;
};

#define FAIR_FULL_KEY 1 /* before all who share; 0: somebody boosted */

enum fair_place { FAIR_NOWHERE, FAIR_WAITING, FAIR_PINNED, FAIR_BOOSTED, FAIR_PARKED };

struct fair_unit {
    struct pheap_node node;
    struct list link;        /* in boosted, parked or pins */
    struct list in_domain;   /* in its domain's waiting */
    struct sched_unit *unit;
    struct fair_domain *domain;
    u8 place;                /* enum fair_place */
    bool parked;             /* counted in its runqueue's parked */
    bool runs;               /* counted in its domain's running */
    bool in_boost;           /* runs because it was boosted */
    bool competes;           /* counted in its domain's competing */
    bool gave_way;           /* it has, and waits: fill() leaves it where it is */
    ns_t turn;               /* length of the slice that it is in */
    ns_t left;               /* of the slice that it was in when preempted; 0: none, or used up */
    ns_t used;               /* since the slice began */
    u64 slice_vt;            /* its domain's vt when the slice began, less what had moved it by then */
    u64 set_back;            /* how far its domain's others have set it back since it came to wait, at most its patience */
    struct budget_part part; /* of its domain's budget */
    ns_t until;              /* its part of its domain's; 0: not counted there */
};

static inline struct fair_pool *fair_pool(const struct cpupool *pool)
{
    return pool->priv;
}

static inline struct fair_domain *fair_domain(const struct sched_unit *u)
{
    return u->dom->priv;
}

static inline struct fair_unit *fair_unit(const struct sched_unit *u)
{
    return u->priv;
}

static inline struct fair_queue *fair_queue(const struct runqueue *q)
{
    return q->priv;
}

/** Bring V, and what depends on the number of pcpus, up to now. The lock is held. */
void fair_advance(struct fair_pool *p, const struct cpupool *pool, ns_t now);
/** Lock the pool's accounts, and bring V up to now. */
static inline struct fair_pool *fair_lock(struct cpupool *pool, ns_t now)
{
    struct fair_pool *p = fair_pool(pool);

    spin_lock(&p->lock);
    if (now > p->updated || unlikely(p->nr_cpus != pool->nr_cpus))
        fair_advance(p, pool, now);
    return p;
}
static inline void fair_unlock(struct fair_pool *p)
{
    spin_unlock(&p->lock);
}

/** Has the domain credit left? */
static inline bool fair_under(const struct fair_pool *p, const struct fair_domain *d)
{
    return d->vt <= p->vt;
}

/* Operations that a policy has as they are, or calls first: see struct sched_ops. */
void fair_pool_init(struct cpupool *pool, ns_t now);
void fair_queue_init(struct runqueue *q, ns_t now);
void fair_domain_init(struct sched_domain *dom, ns_t now);
void fair_domain_fini(struct sched_domain *dom);
void fair_unit_init(struct sched_unit *u);
void fair_params(struct sched_domain *dom, u16 weight, u16 cap, ns_t now);
void fair_cpus_change(struct cpupool *pool, ns_t now);
/** The first of who waits and prev: the boosted, then by virtual time. O(log n), and O(n) while domains with a cap compete, few for each pcpu. */
struct sched_choice fair_pick(struct sched_pcpu *p, struct sched_unit *prev, ns_t now);
/** BOOST: see credit.c. What u waits behind on its pcpu has a limit from now on. */
struct sched_wake_result fair_wake(struct runqueue *q, struct sched_unit *u, ns_t now);
void fair_sleep(struct runqueue *q, struct sched_unit *u, ns_t now);
void fair_charge(struct sched_pcpu *p, struct sched_unit *u, ns_t ran, ns_t now);

/** A capped domain has nothing left that u could take; of what it has, the present period's is known. */
bool fair_out_of_budget(const struct sched_unit *u, ns_t now);
/** u has stopped, or is about to be picked again: give back what it took and did not use. */
static inline void fair_give_back(const struct sched_unit *u)
{
    struct fair_unit *c = fair_unit(u);

    if (likely(!c->until))
        return;
    budget_return(&c->domain->budget, &c->part);
    fair_queue(sched_queue_of(u))->special--;
    c->domain->timed--;
    c->domain->until -= c->until;
    c->until = 0;
}
/** u, which ran (or NULL), or NULL where its domain has used up what it may. */
static inline struct sched_unit *fair_with_budget(struct sched_unit *u, ns_t now)
{
    if (!u)
        return u;
    fair_give_back(u);
    return fair_out_of_budget(u, now) ? NULL : u;
}

/**
 * Queue u: by its vt, or (preempted in a slice of which something is left) where it was.
 */
void fair_enqueue(struct runqueue *q, struct sched_unit *u);
/** u was taken first and is not to run: it is first again. */
void fair_put_back(struct runqueue *q, struct sched_unit *u);
/** Out of wherever it is. */
void fair_dequeue(struct runqueue *q, struct sched_unit *u);
/** p is about to pick: budgets and slices of what ran, and who is parked, as of now. */
void fair_before_pick(struct sched_pcpu *p, struct sched_unit *prev, ns_t now);
/**
 * The first unit of p's runqueue that may run on p, or prev, what ran and still wants to (NULL: nothing), which waits if it is not the
 * one; taken out of the queue. Those on the way whose domain has used up its time are parked; the boosted come first. If prev has
 * yielded, it is the one only where nobody else is.
 */
struct sched_unit *fair_take_next(struct sched_pcpu *p, struct sched_unit *prev, ns_t now);
/**
 * By what a unit is ordered: least first. One preempted in a slice of which something is left keeps the place that it had. Who gives
 * way gives up, until it runs again, what its domain's being full is worth: else it would be first of all, and hide from the others who
 * waits behind units of full domains.
 */
static inline u64 fair_key_of(const struct fair_unit *c, bool yielded, ns_t left)
{
    const struct fair_domain *d = c->domain;

    return unlikely(yielded) ? d->vt + 1 : d->first ? FAIR_FULL_KEY : left ? c->slice_vt + d->moved : d->vt;
}
static inline u64 fair_key(const struct fair_unit *c)
{
    return fair_key_of(c, c->unit->yielded, c->left);
}
/**
 * The runqueue from which p had better take a unit before it picks: that of the pool's first waiting
 * unit, if this is further behind, by more than a sixteenth of a slice (of V), than p's first and
 * prev, or these are none. NULL: none is.
 */
struct runqueue *fair_balance(struct sched_pcpu *p, struct sched_unit *prev, ns_t now);
struct sched_unit *fair_steal(struct runqueue *q, struct sched_pcpu *p, ns_t now);
/** Answer to a pick: u, taken from the queue (NULL: none), runs for its slice, as the cap lets it. */
struct sched_choice fair_choice(struct sched_pcpu *p, struct sched_unit *u, ns_t now);

#endif

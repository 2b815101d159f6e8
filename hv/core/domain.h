/* SPDX-License-Identifier: MIT */
/*
 * Domains and vCPUs: what they are, how they live and die.
 *
 * Lifetime: domain_get()/domain_put() count references; a look-up takes one, so a domain cannot
 * vanish under it.
 * A domain is created with one reference (the domain list's); domain_kill() marks it dying, stops
 * its vCPUs, closes its event channels and gives back its memory in steps (preemptible); the last
 * put frees it.
 * Locks: enum lock_rank (lib.h) is the order; what each guards says hv/README.md.
 */
#ifndef PARANGON_DOMAIN_H
#define PARANGON_DOMAIN_H

#include "abi.h"
#include "arch.h"
#include "cpumask.h"
#include "lib.h"
#include "list.h"
#include "p2m.h"
#include "timer.h"

#define MAX_VCPUS        32    /* per domain; XEN_LEGACY_MAX_VCPUS of shared_info */
#define DOMID_HV         DOMID_XEN

struct compat_frame;
struct dirty_log;
struct evtchn_fifo;
struct grant_mapping;
struct grant_use;
struct evtchn;
struct sched_unit;

enum vcpu_pause { /* bits of vcpu->pause_flags; any set bit keeps it off the processor */
    VPF_BLOCKED = 1u << 0,    /* waits for an event (SCHEDOP_block) */
    VPF_POLLING = 1u << 1,    /* SCHEDOP_poll */
    VPF_DOWN = 1u << 2,       /* not brought up, or taken down */
    VPF_PAUSED = 1u << 3,     /* by the toolstack or because the domain shuts down or dies */
    VPF_IN_HV = 1u << 4,      /* a hypercall waits in the hypervisor, and is retried on resume */
    VPF_TOOL = 1u << 5,       /* domain_pause() */
};

struct vcpu {
    struct arch_vcpu arch;     /* first: entry code finds it at offset 0 */
    struct domain *domain;
    struct vcpu_info *info;    /* the guest's vcpu_info, hypervisor's mapping; never NULL */
    u16 id;
    bool is_idle;
    /* has registers to start with (VCPUOP_initialise, or the domain builder) */
    bool initialised;
    bool being_initialised;    /* VCPUOP_initialise is at work on it */
    u16 processor;             /* pcpu it runs on or is queued at */
    u32 pause_flags;           /* enum vcpu_pause */

    /* scheduling: owned by the framework (hv/sched/sched.c) and the policy */
    struct sched_unit *unit;
    struct vcpu_runstate_info runstate;
    gva_t runstate_guest;      /* where the guest wants a copy; 0: nowhere */
    bool runstate_narrow;      /* ... in the 32-bit layout */

    /* timers of the guest */
    struct timer singleshot, periodic, poll_timer;
    ns_t periodic_period;

    /* event channels */
    u32 virq_port[NR_VIRQS];   /* port bound to each VIRQ; 0: none */
    struct spinlock virq_lock;
    u32 poll_port;             /* the one port polled, or 0 for several */
    struct evtchn_fifo_queue *fifo; /* FIFO control block and queues (evtchn_fifo.c) */
    /* mapping to give back when vcpu_info was moved; NULL: in shared_info */
    void *info_page;

    /* the multicall it is in (multicall.c) */
    struct multicall_entry *multicall; /* copy of the entry being executed; NULL outside */
    struct compat_frame *compat; /* the translated call of a 32-bit guest that runs (compat.h) */
    bool multicall_continued;  /* that entry stopped half way, its arguments are changed */
};

enum domain_kind { DOMAIN_IDLE, DOMAIN_PV, DOMAIN_PVH, DOMAIN_HVM };

struct domain {
    struct arch_domain arch;
    domid_t id;
    enum domain_kind kind;
    bool privileged;           /* the first domain: console_io, physdev, platform calls */
    bool dying, shut_down, crashed;
    u8 shutdown_code;          /* SHUTDOWN_* once shut_down */
    u8 latched_code;           /* SCHEDOP_shutdown_code: 1 + the code to report instead; 0: none */
    char name[32];
    u32 refs;
    struct spinlock lock;
    struct list node;          /* in the domain list, by id */
    u16 max_vcpus;
    struct vcpu *vcpu[MAX_VCPUS];
    struct shared_info *shared_info; /* hypervisor's mapping */
    bool narrow;               /* shared_info is laid out for a 32-bit guest (compat.h) */
    u64 tot_pages, max_pages;  /* frames owned, and the most it may own */
    u64 claimed_pages;         /* frames set aside for it that it has not taken yet (XENMEM_claim_pages) */
    u64 max_ever_pfn;
    struct dirty_log *dirty;   /* which frames are written (dirty.h); NULL: nobody asks */
    struct p2m p2m;            /* guest frames of an auto-translated domain (p2m.c) */

    /* event channels (evtchn.c) */
    struct evtchn **evtchn_bucket; /* buckets of ports, allocated on demand */
    u32 max_ports;             /* most ports it may use */
    u32 nr_valid_ports;        /* ports 0..n-1 have a record (their bucket exists) */
    u32 evtchn_hint;           /* no port below is free */
    u32 evtchn_close_next;     /* where a preempted reset or destroy goes on */
    u32 poll_mask;             /* vCPUs in SCHEDOP_poll */
    u32 *pirq_port;            /* privileged: port bound to each pirq; NULL: none may be bound */
    void *pirq_eoi;            /* bitmap page of PHYSDEVOP_pirq_eoi_gmfn_v2 */
    bool evtchn_fifo_on;
    struct evtchn_fifo *fifo;
    struct spinlock evtchn_lock;

    /* grant table (grant.c) */
    void **grant_frame;        /* shared pages */
    u32 nr_grant_frames, max_grant_frames;
    u8 grant_version;
    struct spinlock grant_lock;
    struct grant_use **grant_use;         /* its grants that are in use, for each shared page */
    struct grant_mapping **grant_mapping; /* what it has mapped by others' grants, by handle */
    u32 nr_grant_handles, grant_free;
    u32 grant_dropped;         /* where grant_drop_mappings() goes on */

    /* scheduling parameters */
    u16 weight;                /* credit: 1..65535, 256 is normal */
    u16 cap;                   /* percent of one pcpu, 0: none */

    /* console ring of an unprivileged domain (console.c) */
    void *console_page;        /* struct xencons_interface, NULL: none */
    u32 console_port;          /* the domain's port; remote end is the hypervisor */
    struct spinlock console_lock;
    u32 console_cons;          /* what has been read of out[]; the guest's copy is not trusted */
    u32 console_fill;
    char console_line[2048];

    struct timer watchdog[2];  /* SCHEDOP_watchdog */
    u8 watchdogs;              /* those in use, a bit for each */
    u64 vm_assist;             /* VMASST_TYPE_* bits that it has enabled */
    u32 tool_pauses;           /* calls of domain_pause() that wait for their end; under lock */
    u32 kill_step;             /* how far domain_kill() has come */
    /* one bit per hypercall and sub-operation (0..15) that has had its log line */
    u64 warned[16];
};

extern struct list domain_list;
extern struct domain *hardware_domain; /* the privileged first domain, or NULL */
/* option "noreboot": halt where the machine would power off or reboot */
extern bool machine_noreboot;

/**
 * Create a domain with its shared_info and vCPU structures, none running.
 * @return 0 and *out, or -XEN_ENOMEM, -XEN_EINVAL (vCPUs out of 1..MAX_VCPUS), -XEN_EEXIST (id in
 *         use).
 */
int domain_create(domid_t id, enum domain_kind kind, bool privileged, unsigned int nr_vcpus,
                  u64 max_pages, struct domain **out);
/**
 * Look up by id (DOMID_SELF: the caller's) and take a reference; NULL if there is none or it is
 * being freed.
 */
struct domain *domain_get(domid_t id);
void domain_put(struct domain *d);
/** The same for the first domain with this id or a higher one. */
struct domain *domain_get_from(domid_t id);
/**
 * Stop another domain than the caller's: when this returns, no pcpu runs a vCPU of it. Calls count; it goes on when each has had its
 * domain_unpause(). Takes interrupts while it waits; no lock may be held.
 */
void domain_pause(struct domain *d);
void domain_unpause(struct domain *d);
/**
 * The guest asked for it, or broke its contract: stop all its vCPUs with a SHUTDOWN_* code. Safe
 * from any context of d.
 */
void domain_shutdown(struct domain *d, u8 code);
/**
 * A guest broke the rules: log its registers, crash this domain alone. The vCPU does not run again.
 */
void domain_crash(struct domain *d, const char *why, ...) __printf_(2, 3) __cold_;
/** Begin or go on destroying: 0 when all is given back, -XEN_ERESTART to be called again. */
int domain_kill(struct domain *d);
/**
 * Destroy domains that have ended, when the pcpu has nothing better to do; end the machine after
 * the last. From the idle loop.
 * @return true if there is more to do: look at the pcpu's work, then call again before sleeping.
 */
bool domain_reap(void);
/**
 * Make the idle vCPU of a pcpu, and the pcpu one that the scheduler knows (timer_init_cpu() done
 * before). NULL: no memory.
 */
struct vcpu *idle_vcpu_create(unsigned int cpu);

/**
 * Set memory aside for d until it owns `pages` frames in all; 0 gives up what is left of a claim.
 * @return 0; -XEN_EINVAL: it has a claim already, or `pages` is not above what it owns or is above
 *         what it may own; -XEN_ENOMEM: not so much is free and unclaimed
 */
int domain_claim(struct domain *d, u64 pages);
/**
 * Count n frames more as d's, before they are allocated: vCPUs that take at once never pass its
 * maximum together. @return false: it would own more than it may, and nothing is counted.
 */
bool domain_take(struct domain *d, u64 n);
/** They are allocated: lowers its claim. @return false: others' claims need them; they must go back. */
bool domain_taken(struct domain *d, u64 n);
/** Count n frames less: they went back, or there were none. */
void domain_give_back(struct domain *d, u64 n);

/**
 * Keep v off its processor for a reason (a bit of enum vcpu_pause), or take the reason away and
 * wake it if it was the last. When vcpu_pause() returns no pcpu chooses v any more, whoever else
 * pauses it meanwhile: once sched_is_off(v), it stays off.
 */
void vcpu_pause(struct vcpu *v, u32 flag);
void vcpu_unpause(struct vcpu *v, u32 flag);
/**
 * v, the current one, goes down (VPF_DOWN). The last one of a domain ends it: nobody could bring one up
 * again. Down first, then the look: of the last two that take themselves down at once, one sees it.
 */
void vcpu_down(struct vcpu *v);
/**
 * An event for v, or its time limit: end SCHEDOP_block and SCHEDOP_poll. Nothing happens if it is
 * in neither.
 */
void vcpu_unblock(struct vcpu *v);
/**
 * Copy v's runstate, as of when it last changed, to where its guest wants it (xen/vcpu.h: `state_entry_time` is when it was last
 * scheduled to run); v is current. Nothing happens without a registered area.
 */
void runstate_copy_out(struct vcpu *v);

/**
 * One line in the log, the first time that a domain makes this kind of wrong request (hypercall and
 * sub-operation); always a trace event. Returns err, so that a caller can write `return
 * refuse(...)`. For the current vCPU's domain.
 */
long refuse(struct domain *d, unsigned int op, unsigned int subop, long err);

static inline bool vcpu_runnable(const struct vcpu *v)
{
    return v->pause_flags == 0;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The life of domains: creation, look-up by reference, shutdown, crash, destruction in steps, and
 * the end of the machine with the last of them.
 *
 * Locks: domain_list_lock and d->lock, neither with the other held. Destruction is single-threaded
 * for a domain: from the idle loop's domain_reap().
 * Does not: load a guest (launch.c, hv/x86), nor start one; a new domain's vCPUs are all VPF_DOWN.
 */
#include "console.h"
#include "dirty.h"
#include "evtchn.h"
#include "grant.h"
#include "sched/sched.h"
#include <trace/trace.h>

struct list domain_list = LIST_INIT(domain_list);
struct domain *hardware_domain;
bool machine_noreboot;

static struct spinlock domain_list_lock = SPINLOCK(LOCK_DOMAIN_LIST);
static struct domain idle_domain;
static struct vcpu_info idle_info; /* idle vCPUs have no guest, but v->info is never NULL */

/** How far domain_kill() has come: values of d->kill_step. */
enum kill_step { KILL_STOP, KILL_WAIT, KILL_EVENTS, KILL_MEMORY, KILL_UNLIST, KILL_DONE };

static void singleshot_fired(void *arg)
{
    evtchn_send_virq(arg, VIRQ_TIMER);
}

static void periodic_fired(void *arg)
{
    struct vcpu *v = arg;

    if (!v->periodic_period)
        return;
    timer_set(&v->periodic, v->processor, now_ns() + v->periodic_period);
    evtchn_send_virq(v, VIRQ_TIMER);
}

static void poll_timed_out(void *arg)
{
    vcpu_unblock(arg);
}

static void watchdog_fired(void *arg)
{
    domain_shutdown(arg, SHUTDOWN_watchdog);
}

static void vcpu_free(struct vcpu *v)
{
    sched_vcpu_destroy(v);
    arch_vcpu_destroy(v);
    arch_free(v);
}

/** 0, -XEN_ENOMEM or what arch_vcpu_create() says. */
static int vcpu_create(struct domain *d, unsigned int id)
{
    struct vcpu *v = arch_alloc(sizeof(*v));
    int rc;

    if (!v)
        return -XEN_ENOMEM;
    v->domain = d;
    v->id = id;
    v->info = &d->shared_info->vcpu_info[id];
    spin_lock_init(&v->virq_lock, LOCK_VIRQ);
    v->info->evtchn_upcall_mask = 1; /* no event before the guest is ready for one */
    v->pause_flags = VPF_DOWN;
    v->initialised = id == 0; /* the builder's */
    timer_setup(&v->singleshot, singleshot_fired, v);
    timer_setup(&v->periodic, periodic_fired, v);
    timer_setup(&v->poll_timer, poll_timed_out, v);

    rc = arch_vcpu_create(v);
    if (!rc) {
        rc = sched_vcpu_create(v);
        if (rc)
            arch_vcpu_destroy(v);
    }
    if (rc)
        arch_free(v);
    else
        d->vcpu[id] = v;
    return rc;
}

static void domain_free(struct domain *d)
{
    for (unsigned int i = 0; i < d->max_vcpus; i++)
        if (d->vcpu[i])
            vcpu_free(d->vcpu[i]);
    evtchn_free(d);
    if (d->shared_info)
        arch_unshare_page(d, d->shared_info);
    arch_domain_destroy(d);
    arch_free(d);
}

/** Insert by id. 0, or -XEN_EEXIST. */
static int domain_enlist(struct domain *d)
{
    struct list *pos;
    HOLD(&domain_list_lock);

    for (pos = domain_list.next; pos != &domain_list; pos = pos->next)
        if (list_entry(pos, struct domain, node)->id >= d->id)
            break;
    if (pos != &domain_list && list_entry(pos, struct domain, node)->id == d->id)
        return -XEN_EEXIST;
    list_add_before(pos, &d->node);
    return 0;
}

int domain_create(domid_t id, enum domain_kind kind, bool privileged, unsigned int nr_vcpus,
                  u64 max_pages, struct domain **out)
{
    struct domain *d;
    int rc;

    if (nr_vcpus < 1 || nr_vcpus > MAX_VCPUS || id >= DOMID_FIRST_RESERVED)
        return -XEN_EINVAL;
    d = arch_alloc(sizeof(*d));
    if (!d)
        return -XEN_ENOMEM;
    d->id = id;
    d->kind = kind;
    d->privileged = privileged;
    d->refs = 1;
    d->max_vcpus = nr_vcpus;
    d->max_pages = max_pages;
    d->weight = SCHED_WEIGHT_NORMAL;
    snprintf(d->name, sizeof(d->name), "Domain-%u", id);
    list_init(&d->node);
    spin_lock_init(&d->lock, LOCK_DOMAIN);
    spin_lock_init(&d->console_lock, LOCK_CONSOLE);
    spin_lock_init(&d->grant_lock, LOCK_GRANT);
    for (unsigned int i = 0; i < ARRAY_SIZE(d->watchdog); i++)
        timer_setup(&d->watchdog[i], watchdog_fired, d);
    spin_lock_init(&d->p2m.lock, LOCK_P2M);

    rc = arch_domain_create(d);
    if (rc) {
        arch_free(d);
        return rc;
    }
    rc = -XEN_ENOMEM;
    d->shared_info = arch_alloc_pages(0);
    if (!d->shared_info)
        goto free_domain;
    (void)arch_share_page(d, d->shared_info, true);
    time_publish_wallclock(d);
    rc = evtchn_init(d);
    if (!rc)
        rc = grant_init(d);
    for (unsigned int i = 0; i < nr_vcpus && !rc; i++)
        rc = vcpu_create(d, i);
    if (!rc)
        rc = domain_enlist(d);
    if (rc)
        goto free_grants;

    if (privileged && !hardware_domain)
        hardware_domain = d;
    TRACE_domain_create(d->id, kind - DOMAIN_PV, nr_vcpus, max_pages);
    *out = d;
    return 0;

free_grants:
    grant_destroy(d);
free_domain:
    domain_free(d);
    return rc;
}

struct vcpu *idle_vcpu_create(unsigned int cpu)
{
    struct vcpu *v = arch_alloc(sizeof(*v));

    if (!v)
        return NULL;
    idle_domain.id = DOMID_IDLE;
    idle_domain.kind = DOMAIN_IDLE;
    idle_domain.refs = 1; /* never freed */
    v->domain = &idle_domain;
    v->info = &idle_info;
    v->id = cpu;
    v->is_idle = true;
    v->processor = cpu;
    if (sched_vcpu_create(v)) {
        arch_free(v);
        return NULL;
    }
    return v;
}

/**
 * The first domain, by id, for which is(d, id) holds; with a reference where hold is set (the list's own keeps it from being freed
 * meanwhile).
 */
static struct domain *find(bool (*is)(const struct domain *d, domid_t id), domid_t id, bool hold)
{
    HOLD(&domain_list_lock);

    list_for_each(pos, &domain_list) {
        struct domain *d = list_entry(pos, struct domain, node);

        if (is(d, id)) {
            __atomic_fetch_add(&d->refs, hold, __ATOMIC_RELAXED);
            return d;
        }
    }
    return NULL;
}

static bool has_id(const struct domain *d, domid_t id)
{
    return d->id == id;
}

static bool from_id(const struct domain *d, domid_t id)
{
    return d->id >= id;
}

/** One that has ended and is not gone. */
static bool has_ended(const struct domain *d, domid_t id)
{
    return d->shut_down || d->dying;
}

struct domain *domain_get(domid_t id)
{
    struct domain *own = current_vcpu()->domain;

    if (id != DOMID_SELF && id != own->id)
        return find(has_id, id, true);
    __atomic_fetch_add(&own->refs, 1, __ATOMIC_RELAXED);
    return own;
}

struct domain *domain_get_from(domid_t id)
{
    return find(from_id, id, true);
}

void domain_pause(struct domain *d)
{
    spin_lock(&d->lock);
    if (d->tool_pauses++ == 0)
        for (unsigned int i = 0; i < d->max_vcpus; i++)
            vcpu_pause(d->vcpu[i], VPF_TOOL);
    spin_unlock(&d->lock);
    for (unsigned int i = 0; i < d->max_vcpus; i++)
        while (!sched_is_off(d->vcpu[i]) || !arch_vcpu_settled(d->vcpu[i]))
            (void)arch_preempt_needed();
}

void domain_unpause(struct domain *d)
{
    HOLD(&d->lock);

    if (--d->tool_pauses == 0)
        for (unsigned int i = 0; i < d->max_vcpus; i++)
            vcpu_unpause(d->vcpu[i], VPF_TOOL);
}

void domain_put(struct domain *d)
{
    ASSERT_NAMED("domain_refs", READ_ONCE(d->refs) != 0);
    if (__atomic_sub_fetch(&d->refs, 1, __ATOMIC_ACQ_REL) == 0)
        domain_free(d);
}

static __cold_ __attribute__((noreturn)) void machine_end(bool reboot)
{
    arch_machine_end(machine_noreboot ? MACHINE_HALT : reboot ? MACHINE_REBOOT : MACHINE_POWEROFF);
}

/**
 * Begin d's end once; false if it has begun before. No lock: a domain may be crashed wherever its
 * rule-breaking is found.
 */
static bool begin_shutdown(struct domain *d, u8 code, bool by_hypervisor)
{
    if (d->dying || __atomic_exchange_n(&d->shut_down, true, __ATOMIC_SEQ_CST))
        return false;
    d->shutdown_code = d->latched_code ? d->latched_code - 1 : code;
    d->crashed = code == SHUTDOWN_crash;
    TRACE_domain_end(d->id, by_hypervisor ? TRACE_END_CRASHED_BY_HV : d->shutdown_code);
    return true;
}

static void finish_shutdown(struct domain *d)
{
    static const char *const names[] = {"power off", "reboot",   "suspend",
                                        "crash",     "watchdog", "soft reset"};
    u8 code = d->shutdown_code;

    for (unsigned int i = 0; i < d->max_vcpus; i++)
        if (d->vcpu[i])
            vcpu_pause(d->vcpu[i], VPF_PAUSED);
    console_flush(d);
    printk("domain %u has ended: %s\n", d->id,
           code < ARRAY_SIZE(names) ? names[code] : "unknown reason");
    if (d == hardware_domain)
        machine_end(code == SHUTDOWN_reboot); /* as on Xen, nothing outlives the first domain */
    evtchn_send_global_virq(VIRQ_DOM_EXC);
}

void domain_shutdown(struct domain *d, u8 code)
{
    if (begin_shutdown(d, code, false))
        finish_shutdown(d);
}

void domain_crash(struct domain *d, const char *why, ...)
{
    char text[160];
    __builtin_va_list ap;

    if (!begin_shutdown(d, SHUTDOWN_crash, true))
        return;
    __builtin_va_start(ap, why);
    vsnprintf(text, sizeof(text), why, ap);
    __builtin_va_end(ap);
    printk("domain %u is crashed: %s\n", d->id, text);
    if (current_vcpu()->domain == d)
        arch_dump_guest(current_vcpu());
    finish_shutdown(d);
}

/* ---- memory: how much ---- */

static u64 claimed_pages; /* of all domains; changes under no lock but d->lock, so by atomic operations */

/* Whether what others have claimed is free. */
static bool others_have_theirs(const struct domain *d)
{
    u64 others = READ_ONCE(claimed_pages) - READ_ONCE(d->claimed_pages);

    return likely(!others) || others <= arch_free_memory();
}

bool domain_take(struct domain *d, u64 n)
{
    HOLD(&d->lock);

    if (unlikely(d->tot_pages + n > d->max_pages))
        return false;
    d->tot_pages += n;
    return true;
}

void domain_give_back(struct domain *d, u64 n)
{
    HOLD(&d->lock);

    d->tot_pages -= n;
}

static void set_claim(struct domain *d, u64 pages)
{
    __atomic_fetch_add(&claimed_pages, pages - d->claimed_pages, __ATOMIC_SEQ_CST);
    d->claimed_pages = pages;
}

bool domain_taken(struct domain *d, u64 n)
{
    if (unlikely(!others_have_theirs(d)))
        return false;
    if (unlikely(READ_ONCE(d->claimed_pages))) {
        HOLD(&d->lock);
        set_claim(d, d->claimed_pages - min_of(d->claimed_pages, n));
    }
    return true;
}

int domain_claim(struct domain *d, u64 pages)
{
    HOLD(&d->lock);

    if (pages && (d->dying || d->claimed_pages || pages <= d->tot_pages || pages > d->max_pages))
        return -XEN_EINVAL;
    set_claim(d, pages ? pages - d->tot_pages : 0);
    /* Said first, then looked: whoever takes frames meanwhile looks behind that, and one of the two gives way. */
    if (d->claimed_pages && READ_ONCE(claimed_pages) > arch_free_memory()) {
        set_claim(d, 0);
        return -XEN_ENOMEM;
    }
    return 0;
}

static bool any_vcpu_running(const struct domain *d)
{
    for (unsigned int i = 0; i < d->max_vcpus; i++)
        if (!sched_is_off(d->vcpu[i]) || d->vcpu[i] == current_vcpu() || !arch_vcpu_settled(d->vcpu[i]))
            return true;
    return false;
}

/**
 * Give back what the core took of the domain's: timers, ports, console, vcpu_info pages, grant
 * frames.
 */
static int kill_events(struct domain *d)
{
    int rc = evtchn_destroy(d);

    if (!rc)
        rc = grant_drop_mappings(d);
    if (rc)
        return rc;
    console_detach(d);
    for (unsigned int i = 0; i < ARRAY_SIZE(d->watchdog); i++)
        timer_settle(&d->watchdog[i]);
    for (unsigned int i = 0; i < d->max_vcpus; i++) {
        struct vcpu *v = d->vcpu[i];

        timer_settle(&v->singleshot);
        timer_settle(&v->periodic);
        timer_settle(&v->poll_timer);
        v->runstate_guest = 0;
        if (v->info_page) {
            v->info = &d->shared_info->vcpu_info[v->id];
            arch_put_guest_frame(d, v->info_page);
            v->info_page = NULL;
        }
    }
    grant_destroy(d);
    return 0;
}

int domain_kill(struct domain *d)
{
    int rc;

    switch ((enum kill_step)d->kill_step) {
    case KILL_STOP:
        spin_lock(&d->lock);
        d->dying = true;
        set_claim(d, 0);
        spin_unlock(&d->lock);
        for (unsigned int i = 0; i < d->max_vcpus; i++)
            vcpu_pause(d->vcpu[i], VPF_PAUSED);
        d->kill_step = KILL_WAIT;
        /* fall through */
    case KILL_WAIT:
        if (any_vcpu_running(d))
            return -XEN_ERESTART;
        d->kill_step = KILL_EVENTS;
        /* fall through */
    case KILL_EVENTS:
        rc = kill_events(d);
        if (rc)
            return rc;
        d->kill_step = KILL_MEMORY;
        /* fall through */
    case KILL_MEMORY:
        dirty_log_free(d);
        rc = p2m_teardown(d);
        if (!rc)
            rc = arch_domain_relinquish(d);
        if (rc)
            return rc;
        d->kill_step = KILL_UNLIST;
        /* fall through */
    case KILL_UNLIST:
        spin_lock(&domain_list_lock);
        list_del(&d->node);
        spin_unlock(&domain_list_lock);
        if (hardware_domain == d)
            hardware_domain = NULL;
        d->kill_step = KILL_DONE;
        domain_put(d);
        /* fall through */
    case KILL_DONE:
        break;
    }
    return 0;
}

/** No reference is taken: only the reaper frees. */
static struct domain *find_ended(void)
{
    return find(has_ended, 0, false);
}

bool domain_reap(void)
{
    static struct spinlock reaping = SPINLOCK(LOCK_REAPING); /* one pcpu at a time */
    static bool any_reaped;
    struct domain *d;
    bool more = false;

    if (!spin_trylock(&reaping))
        return false;
    while ((d = find_ended()) != NULL) {
        any_reaped = true;
        if (domain_kill(d)) {
            more = true;
            break;
        }
    }
    if (!more && any_reaped && list_empty(&domain_list)) {
        printk("the last domain has ended\n");
        machine_end(false);
    }
    spin_unlock(&reaping);
    return more || find_ended(); /* one that ended meanwhile: a pcpu that only tried has gone to sleep */
}

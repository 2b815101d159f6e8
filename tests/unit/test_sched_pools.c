/* SPDX-License-Identifier: MIT */
/*
 * Pools at run time: made, given processors, emptied and unmade, of every policy and in random order, while domains run in them.
 */
#include <criterion/criterion.h>

#include "machine.h"
#include "sched/policy.h"

#define PCPUS   8
#define DOMAINS 6

/* The sanitizer's. */
size_t __sanitizer_get_current_allocated_bytes(void);

static struct domain *domains[DOMAINS];
static unsigned int nr_domains;
static u64 random_state;

static void start(const char *policy, unsigned int nr, unsigned int cpus)
{
    host_machine_start(1024, cpus, policy);
    for (nr_domains = 0; nr_domains < nr; nr_domains++)
        domains[nr_domains] = host_domain(nr_domains + 1, 1 + nr_domains % 3, 0);
    host_schedule();
}

static unsigned int chance(unsigned int n)
{
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return (random_state >> 33) % n;
}

static int create(unsigned int id, const char *policy)
{
    return sched_create_pool(id, sched_find_policy(policy));
}

static u64 free_cpus(void)
{
    struct cpumask m;

    sched_free_cpus(&m);
    return m.word[0];
}

static u64 cpus_of(unsigned int id)
{
    return sched_pool(id)->cpus.word[0];
}

/* It leaves at once where it idles, else when it has decided. */
static int remove_cpu(unsigned int id, unsigned int cpu)
{
    int rc = sched_pool_remove_cpu(id, cpu);

    if (rc != -XEN_EAGAIN)
        return rc;
    host_schedule();
    return sched_pool_remove_cpu(id, cpu);
}

static int move(unsigned int domain, unsigned int id)
{
    struct domain *d = domains[domain];
    int rc;

    for (unsigned int i = 0; i < d->max_vcpus; i++)
        vcpu_pause(d->vcpu[i], VPF_TOOL);
    host_schedule();
    rc = sched_set_pool(d, id);
    for (unsigned int i = 0; i < d->max_vcpus; i++)
        vcpu_unpause(d->vcpu[i], VPF_TOOL);
    return rc;
}

Test(sched_pools, a_pool_is_made_filled_used_emptied_and_unmade)
{
    for (unsigned int n = 0; sched_policy_at(n); n++) {
        const char *policy = sched_policy_name(sched_policy_at(n));
        size_t before;

        start("credit", 1, 4);
        before = __sanitizer_get_current_allocated_bytes();
        domains[1] = domains[0];
        domains[0] = host_domain(9, 1, 0);
        cr_assert_eq(create(SCHED_ANY, policy), 1, "%s", policy);
        cr_assert_eq(move(0, 1), -XEN_EBUSY, "%s: it has no processors", policy);
        cr_assert_eq(sched_pool_add_cpu(1, 3), -XEN_ENODEV, "it is pool 0's");
        cr_assert_eq(remove_cpu(1, 3), -XEN_EADDRNOTAVAIL, "it is pool 0's");
        cr_assert_eq(remove_cpu(0, 3), 0);
        cr_assert_eq(remove_cpu(0, 2), 0);
        cr_assert_eq(free_cpus(), 0xc);
        cr_assert_eq(remove_cpu(0, 2), -XEN_EADDRNOTAVAIL, "it is free");
        host_advance(MILLISECS(100));
        cr_assert(host_running(2)->is_idle && host_running(3)->is_idle, "%s: a free processor runs something", policy);
        cr_assert_eq(sched_pool_add_cpu(1, 2), 0);
        cr_assert_eq(sched_pool_add_cpu(1, SCHED_ANY), 0);
        cr_assert_eq(sched_pool_add_cpu(1, SCHED_ANY), -XEN_ENODEV);
        cr_assert_eq(cpus_of(1), 0xc);
        cr_assert_eq(move(0, 1), 0);
        host_advance(MILLISECS(100));
        cr_assert_eq(domains[0]->vcpu[0]->runstate.state, RUNSTATE_running, "%s", policy);
        cr_assert_geq(domains[0]->vcpu[0]->processor, 2, "%s", policy);
        cr_assert_eq(remove_cpu(1, SCHED_ANY), 0, "%s", policy);
        cr_assert_eq(remove_cpu(1, 2), -XEN_EBUSY, "%s: a domain needs it", policy);
        host_advance(MILLISECS(100));
        cr_assert_eq(host_running(2), domains[0]->vcpu[0], "%s", policy);
        cr_assert_eq(sched_destroy_pool(1), -XEN_EBUSY, "%s", policy);
        cr_assert_eq(move(0, 0), 0);
        cr_assert_eq(sched_destroy_pool(1), -XEN_EBUSY, "%s: it has a processor", policy);
        cr_assert_eq(remove_cpu(1, 2), 0, "%s", policy);
        cr_assert_eq(remove_cpu(1, SCHED_ANY), -XEN_EADDRNOTAVAIL, "%s", policy);
        cr_assert_eq(sched_destroy_pool(1), 0, "%s", policy);
        cr_assert_eq(sched_destroy_pool(1), -XEN_ENOENT, "%s", policy);
        cr_assert_eq(sched_pool_add_cpu(0, 2), 0);
        cr_assert_eq(sched_pool_add_cpu(0, 3), 0);
        host_advance(MILLISECS(100));
        for (unsigned int i = 0; i < 2; i++)
            cr_assert_eq(domains[i]->vcpu[0]->runstate.state, RUNSTATE_running, "%s", policy);
        host_domain_end(domains[0]);
        cr_assert_eq(__sanitizer_get_current_allocated_bytes(), before, "%s: memory", policy);
        host_machine_stop();
    }
}

Test(sched_pools, what_cannot_be_is_refused)
{
    struct sched_tunables t = SCHED_TUNABLES_DEFAULT;
    struct cpupool *gone;

    start("credit", 1, 2);
    cr_assert_eq(create(0, "rr"), -XEN_EEXIST);
    cr_assert_eq(create(MAX_POOLS, "rr"), -XEN_ENOSPC);
    cr_assert_eq(create(0xfffffffe, "rr"), -XEN_ENOSPC);
    for (unsigned int id = 1; id < MAX_POOLS; id++)
        cr_assert_eq(create(id % 2 ? SCHED_ANY : id, "smt"), (int)id);
    cr_assert_eq(create(SCHED_ANY, "rr"), -XEN_ENOSPC);
    gone = sched_pool(5);
    cr_assert_eq(sched_destroy_pool(5), 0);
    cr_assert_eq(sched_tune(gone, &t), -XEN_ENOENT);
    cr_assert_eq(create(SCHED_ANY, "rr"), 5);
    cr_assert_eq(sched_destroy_pool(0), -XEN_EBUSY);
    cr_assert_eq(sched_destroy_pool(MAX_POOLS), -XEN_ENOENT, "where free processors are is no pool");
    cr_assert_eq(sched_destroy_pool(SCHED_ANY), -XEN_ENOENT);
    cr_assert_eq(sched_pool_add_cpu(MAX_POOLS, 1), -XEN_ENOENT);
    cr_assert_eq(sched_pool_remove_cpu(MAX_POOLS, 1), -XEN_ENOENT);
    for (unsigned int bad = 2; bad; bad = bad == 2 ? NR_PCPUS : bad == NR_PCPUS ? SCHED_ANY - 1 : 0) {
        cr_assert_eq(sched_pool_add_cpu(1, bad), -XEN_EINVAL, "%u", bad);
        cr_assert_eq(sched_pool_remove_cpu(0, bad), -XEN_EINVAL, "%u", bad);
    }
    cr_assert_eq(remove_cpu(0, 0), 0);
    cr_assert_eq(remove_cpu(0, 1), -XEN_EBUSY, "the last of pool 0");
    host_domain_end(domains[0]);
    cr_assert_eq(remove_cpu(0, 1), -XEN_EBUSY, "even without domains");
    host_fail_alloc = 1;
    cr_assert_eq(sched_pool_add_cpu(1, 0), -XEN_ENOMEM);
    host_fail_alloc = 2;
    cr_assert_eq(sched_pool_add_cpu(1, 0), -XEN_ENOMEM);
    cr_assert_eq(free_cpus(), 1);
    cr_assert_eq(sched_pool_add_cpu(1, 0), 0);
    host_fail_alloc = 1;
    cr_assert_eq(sched_destroy_pool(7), 0);
    cr_assert_eq(create(7, "smt"), -XEN_ENOMEM);
    cr_assert_eq(create(7, "smt"), 7);
    host_machine_stop();
}

/* A processor that is asked to leave does so when it has decided; until then it is neither the pool's nor free. */
Test(sched_pools, a_busy_processor_leaves_when_it_has_decided)
{
    unsigned int cpu;

    start("credit", 1, 2);
    cpu = domains[0]->vcpu[0]->processor;
    cr_assert_eq(sched_pool_remove_cpu(0, cpu), -XEN_EAGAIN);
    cr_assert_eq(sched_pool_remove_cpu(0, cpu), -XEN_EAGAIN);
    cr_assert_eq(free_cpus(), 0);
    cr_assert_eq(cpus_of(0), 3ull & ~(1ull << cpu));
    cr_assert_eq(sched_pool_add_cpu(0, cpu), -XEN_ENODEV, "it is not free yet");
    cr_assert_eq(sched_cpu_down(cpu), -XEN_ENOENT, "it is leaving");
    host_schedule();
    cr_assert_eq(sched_pool_remove_cpu(0, cpu), 0);
    cr_assert_eq(host_running(1 - cpu), domains[0]->vcpu[0]);
    host_machine_stop();
}

Test(sched_pools, free_and_foreign_processors_are_unplugged_and_come_back)
{
    start("credit", 1, 4);
    cr_assert_eq(create(1, "smt"), 1);
    for (unsigned int cpu = 1; cpu < 4; cpu++)
        cr_assert_eq(remove_cpu(0, cpu), 0);
    cr_assert_eq(sched_pool_add_cpu(1, 2), 0);
    cr_assert_eq(sched_pool_add_cpu(1, 3), 0);
    cr_assert_eq(sched_cpu_down(1), 0, "free");
    cr_assert(sched_cpu_is_idle(1));
    cr_assert_eq(free_cpus(), 0);
    cr_assert_eq(sched_pool_add_cpu(1, 1), -XEN_ENODEV, "unplugged");
    cr_assert_eq(sched_cpu_up(1), 0);
    cr_assert_eq(free_cpus(), 2, "it comes back to where it was");
    cr_assert_eq(sched_cpu_down(2), 0);
    host_schedule();
    cr_assert_eq(cpus_of(1), 8);
    cr_assert_eq(sched_cpu_up(2), 0);
    cr_assert_eq(cpus_of(1), 12);
    cr_assert_eq(sched_cpu_down(2), 0);
    cr_assert_eq(remove_cpu(1, 3), 0);
    host_schedule();
    cr_assert_eq(sched_destroy_pool(1), 0, "although one that is unplugged was its own");
    cr_assert_eq(free_cpus(), 10);
    cr_assert_eq(sched_cpu_up(2), 0);
    cr_assert_eq(free_cpus(), 14);
    for (unsigned int cpu = 1; cpu < 4; cpu++)
        cr_assert_eq(sched_pool_add_cpu(0, cpu), 0);
    host_machine_stop();
}

/* Units wait on a pool's only processor; another comes, and takes its half. */
Test(sched_pools, a_second_processor_takes_who_waits_at_the_first)
{
    for (unsigned int n = 0; sched_policy_at(n); n++) {
        const char *policy = sched_policy_name(sched_policy_at(n));

        start(policy, 2, 2);
        cr_assert_eq(remove_cpu(0, 1), 0);
        host_advance(MILLISECS(100));
        cr_assert_eq(sched_pool_add_cpu(0, 1), 0);
        host_schedule();
        cr_assert(!host_running(0)->is_idle && !host_running(1)->is_idle, "%s", policy);
        host_machine_stop();
    }
}

/* The guest's timers go where its vCPU goes: they shall not interrupt a processor of another pool. */
Test(sched_pools, timers_come_along_to_another_pool)
{
    struct vcpu *v;

    start("credit", 1, 2);
    v = domains[0]->vcpu[0];
    cr_assert_eq(create(1, "credit2"), 1);
    cr_assert_eq(remove_cpu(0, v->processor ^ 1), 0);
    cr_assert_eq(sched_pool_add_cpu(1, SCHED_ANY), 0);
    timer_set(&v->singleshot, v->processor, host_now + SECONDS(1));
    cr_assert_eq(move(0, 1), 0);
    cr_assert_eq(v->singleshot.cpu, v->processor, "it is on %u, its vCPU on %u", v->singleshot.cpu, v->processor);
    host_machine_stop();
}

/* One wakes, and before its waker comes to say so it is sent to another processor: it has slept all the same, and saved up nothing. */
Test(sched_pools, who_is_sent_away_as_it_wakes_has_slept)
{
    static const char *const policies[] = {"credit", "smt", "credit2"};
    ns_t before, got;
    struct vcpu *v;

    for (unsigned int n = 0; n < ARRAY_SIZE(policies); n++) {
        start(policies[n], 3, 2);
        v = domains[0]->vcpu[0];
        vcpu_pause(v, VPF_BLOCKED);
        host_advance(SECONDS(100));
        v->pause_flags = 0;
        cr_assert_eq(sched_set_affinity(v, 3ull & ~(1ull << v->processor)), 0);
        cr_assert_eq(sched_set_affinity(v, 3), 0);
        sched_wake(v);
        before = host_time_run(v);
        host_advance(SECONDS(9));
        got = host_time_run(v) - before;
        cr_assert_leq(got, SECONDS(6) + MILLISECS(100), "%s: %d ms, not a third of two processors", policies[n], (int)(got / 1000000));
        host_machine_stop();
    }
}

/* Four processors, two threads a core, exclusive: domain 1 runs on the first core, and domain 2, pinned there too, has just woken boosted. @return where 1 runs */
static unsigned int core_about_to_drain(void)
{
    struct sched_tunables t = SCHED_TUNABLES_DEFAULT;

    host_threads = 2;
    host_cores = 2;
    host_machine_start(1024, 4, "smt");
    t.exclusive = true;
    cr_assert_eq(sched_tune(sched_pool(0), &t), 0);
    domains[0] = host_domain(1, 1, 0);
    domains[1] = host_domain(2, 1, 0);
    for (unsigned int i = 0; i < 2; i++)
        cr_assert_eq(sched_set_affinity(domains[i]->vcpu[0], 3), 0);
    vcpu_pause(domains[1]->vcpu[0], VPF_BLOCKED);
    host_schedule();
    host_advance(MILLISECS(5));
    vcpu_unpause(domains[1]->vcpu[0], VPF_BLOCKED); /* the first has to stop */
    return domains[0]->vcpu[0]->processor;
}

static void core_end(void)
{
    host_machine_stop();
    host_threads = 1;
    host_cores = NR_PCPUS;
}

/*
 * A core drains, and both its processors leave before it has; the one that was to choose first goes to another pool. The other comes
 * back, and runs what there is.
 */
Test(sched_pools, a_core_that_drained_as_its_processors_left_runs_again)
{
    unsigned int first = core_about_to_drain(), other = first ^ 1;

    cr_assert_eq(create(1, "credit"), 1);
    host_on_cpu(other);
    sched_run();
    cr_assert_eq(sched_pcpu(first)->decide_by, host_now, "it does not drain");
    cr_assert_eq(sched_cpu_down(first), 0);
    cr_assert_eq(remove_cpu(0, other), 0);
    host_schedule();
    cr_assert_eq(sched_pool_add_cpu(1, other), 0);
    host_schedule();
    cr_assert_eq(sched_cpu_up(first), 0);
    host_advance(SECONDS(1));
    cr_assert(!host_running(first)->is_idle, "it idles for ever");
    core_end();
}

static unsigned int goes;

static void other_goes(struct vcpu *prev)
{
    unsigned int here = host_cpu;

    if (prev != domains[0]->vcpu[0])
        return;
    host_on_switch = NULL;
    host_on_cpu(2);
    cr_assert_eq(sched_cpu_down(goes), 0);
    host_on_cpu(here);
}

/* A core has drained, and who was to choose first there leaves before it does: the other, who waits for it, chooses. */
Test(sched_pools, a_core_whose_claimant_left_after_it_drained_runs_again)
{
    unsigned int mine = core_about_to_drain();

    goes = mine ^ 1;
    host_on_cpu(goes);
    sched_run();
    vcpu_pause(domains[1]->vcpu[0], VPF_BLOCKED);
    host_on_switch = other_goes;
    host_on_cpu(mine);
    host_schedule();
    cr_assert_null(host_on_switch, "it does not drain");
    host_advance(SECONDS(1));
    cr_assert(!host_running(mine)->is_idle, "it idles for ever");
    core_end();
}

/* ---- random order ---- */

/* Each processor is of one pool, free, unplugged, or on its way; nothing idles beside who waits; everybody runs in his pool. */
static void check(const char *policy, u64 gone)
{
    u64 seen = free_cpus() | gone;

    cr_assert_eq(free_cpus() & gone, 0);
    for (unsigned int id = 0; id < MAX_POOLS; id++) {
        if (!sched_pool(id))
            continue;
        cr_assert_eq(seen & cpus_of(id), 0, "%s: a processor of two pools", policy);
        seen |= cpus_of(id);
    }
    cr_assert_eq(seen, (1ull << PCPUS) - 1, "%s: %lx", policy, seen);
    for (unsigned int d = 0; d < nr_domains; d++) {
        u64 cpus = cpus_of(sched_pool_of(domains[d]));
        const char *own = sched_policy_name(sched_pool(sched_pool_of(domains[d]))->ops);

        for (unsigned int i = 0; i < domains[d]->max_vcpus; i++) {
            struct vcpu *v = domains[d]->vcpu[i];

            cr_assert_neq(cpus >> v->processor & 1, 0, "%s: d%uv%u is on %u, of %lx", own, d, i, v->processor, cpus);
            if (!vcpu_runnable(v) || v->runstate.state == RUNSTATE_running || !strcmp(own, "null"))
                continue;
            for (unsigned int cpu = 0; cpu < PCPUS; cpu++)
                cr_assert(!(cpus >> cpu & 1) || !host_running(cpu)->is_idle, "%s: %u idles beside d%uv%u", own, cpu, d, i);
        }
    }
}

static void one_step(unsigned int step, u64 *gone)
{
    unsigned int cpu = chance(PCPUS), id = chance(4);
    struct domain *d = domains[chance(nr_domains)];
    struct vcpu *v = d->vcpu[chance(d->max_vcpus)];

    switch (chance(9)) {
    case 0:
        (void)create(chance(2) ? SCHED_ANY : id, sched_policy_name(sched_policy_at(chance(6))));
        break;
    case 1:
        (void)sched_destroy_pool(id);
        break;
    case 2:
    case 3:
        (void)sched_pool_add_cpu(id, chance(4) ? cpu : SCHED_ANY);
        break;
    case 4:
        (void)remove_cpu(id, chance(4) ? cpu : SCHED_ANY);
        break;
    case 5:
        (void)move(d->id - 1, id);
        break;
    case 6:
        if (*gone >> cpu & 1)
            cr_assert_eq(sched_cpu_up(cpu), 0);
        else if (sched_cpu_down(cpu))
            break;
        *gone ^= 1ull << cpu;
        host_schedule();
        break;
    case 7:
        if (v->pause_flags)
            vcpu_unpause(v, VPF_BLOCKED);
        else
            vcpu_pause(v, VPF_BLOCKED);
        break;
    default:
        (void)sched_set_affinity(v, chance(3) ? ~0ull : 1 + chance(255));
    }
    if (step % 2)
        host_advance(MICROSECS(1 + chance(20000)));
}

static void run_random(u64 seed, const char *policy)
{
    u64 gone = 0;

    random_state = seed;
    host_threads = 1 + seed % 2;
    host_cores = 4;
    start(policy, DOMAINS, PCPUS);
    for (unsigned int step = 0; step < 300; step++) {
        one_step(step, &gone);
        host_schedule();
        for (unsigned int d = 0; d < nr_domains; d++) /* what may run everywhere is not kept from it */
            for (unsigned int i = 0; step % 50 == 49 && i < domains[d]->max_vcpus; i++)
                (void)sched_set_affinity(domains[d]->vcpu[i], ~0ull);
        if (step % 50 == 49) {
            host_advance(MILLISECS(200));
            check(policy, gone);
        }
    }
    for (unsigned int cpu = 0; cpu < PCPUS; cpu++)
        if (gone >> cpu & 1)
            cr_assert_eq(sched_cpu_up(cpu), 0);
    host_schedule();
    while (free_cpus())
        cr_assert_eq(sched_pool_add_cpu(0, SCHED_ANY), 0);
    for (unsigned int d = 0; d < nr_domains; d++)
        cr_assert_eq(move(d, 0), 0);
    for (unsigned int id = 1; id < MAX_POOLS; id++) {
        while (sched_pool(id) && remove_cpu(id, SCHED_ANY) == 0)
            ;
        cr_assert(!sched_pool(id) || sched_destroy_pool(id) == 0, "seed %lu", seed);
    }
    while (free_cpus())
        cr_assert_eq(sched_pool_add_cpu(0, SCHED_ANY), 0);
    cr_assert_eq(cpus_of(0), (1ull << PCPUS) - 1);
    host_advance(MILLISECS(200));
    check(policy, 0);
    host_machine_stop();
    host_threads = 1;
    host_cores = NR_PCPUS;
}

Test(sched_pools, random_changes_lose_nothing)
{
    for (u64 seed = 1; seed <= 240; seed++)
        run_random(seed, sched_policy_name(sched_policy_at(seed % 6)));
}

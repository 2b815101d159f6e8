/* SPDX-License-Identifier: MIT */
/*
 * The scheduling framework with every registered policy: nothing runs that may not, no wake-up is
 * lost, runstates add up, a lone vCPU is left alone.
 */
#include <criterion/criterion.h>

#include "actors.h"
#include "sched/policy.h"

static struct domain *domains[8];

static void start(const char *policy, unsigned int nr, unsigned int cpus)
{
    actors_reset();
    host_machine_start(1024, cpus, policy);
    for (unsigned int i = 0; i < nr; i++)
        domains[i] = host_domain(i + 1, 1, 0);
    host_schedule();
}

static struct vcpu *vcpu(unsigned int i)
{
    return domains[i]->vcpu[0];
}

/* Policies that let each of several vCPUs run sooner or later. */
static bool shares(const char *policy)
{
    return strcmp(policy, "null");
}

#define FOR_EACH_POLICY(p)                                                                         \
    for (unsigned int policy_nr = 0; sched_policy_at(policy_nr); policy_nr++)                      \
        for (const char *p = sched_policy_at(policy_nr)->name; p; p = NULL)

Test(sched, all_policies_are_registered)
{
    static const char *const names[] = {"credit", "credit2", "null", "rr", "skeleton", "smt"};

    for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
        cr_assert_not_null(sched_find_policy(names[i]), "%s", names[i]);
        cr_assert_not_null(sched_find_policy(names[i])->doc);
    }
    cr_assert_null(sched_find_policy("nope"));
    cr_assert_null(sched_policy_at(1000));
}

Test(sched, unknown_policy_is_refused)
{
    host_console_clear();
    cr_assert_eq(sched_init("nope"), -XEN_ENOENT);
    cr_assert(host_console_has("there is no policy \"nope\""));
}

Test(sched, lone_vcpu_sets_no_timer)
{
    FOR_EACH_POLICY(policy) {
        start(policy, 1, 1);
        actor_add(vcpu(0), HOG, 0, 0);
        actors_run(SECONDS(10));
        cr_assert_eq(host_running(0), vcpu(0), "%s", policy);
        cr_assert_eq(host_timer_interrupts, 0, "%s: %d interrupts", policy, (int)host_timer_interrupts);
        host_machine_stop();
    }
}

Test(sched, lone_sleeper_sets_no_timer)
{
    FOR_EACH_POLICY(policy) {
        struct actor *a;
        ns_t idle;

        start(policy, 1, 1);
        a = actor_add(vcpu(0), SLEEPER, MILLISECS(3), MILLISECS(7));
        idle = actors_run(SECONDS(1));
        cr_assert_eq(a->used, MILLISECS(300), "%s", policy);
        cr_assert_eq(idle, MILLISECS(700), "%s", policy);
        cr_assert_eq(a->worst_wait, 0, "%s", policy);
        cr_assert_eq(host_timer_interrupts, 0, "%s", policy);
        host_machine_stop();
    }
}

Test(sched, every_hog_gets_its_turn)
{
    FOR_EACH_POLICY(policy) {
        struct actor *a[8];

        if (!shares(policy))
            continue;
        start(policy, 8, 1);
        for (int i = 0; i < 8; i++)
            a[i] = actor_add(vcpu(i), HOG, 0, 0);
        cr_assert_eq(actors_run(SECONDS(4)), 0, "%s: never idle", policy);
        for (int i = 0; i < 8; i++)
            cr_assert_gt(a[i]->used, MILLISECS(400), "%s: %d ms", policy, (int)(a[i]->used / 1000000));
        host_machine_stop();
    }
}

Test(sched, runstate_times_add_up)
{
    FOR_EACH_POLICY(policy) {
        struct actor *a[3];
        ns_t created;

        start(policy, 3, 1);
        created = host_now;
        a[0] = actor_add(vcpu(0), HOG, 0, 0);
        a[1] = actor_add(vcpu(1), SLEEPER, MILLISECS(1), MILLISECS(5));
        a[2] = actor_add(vcpu(2), YIELDER, MILLISECS(2), 0);
        actors_run(SECONDS(1) + 12345);
        for (int i = 0; i < 3; i++) {
            struct vcpu_runstate_info r;
            u64 sum = 0;

            sched_get_runstate(vcpu(i), &r);
            for (int s = 0; s < 4; s++)
                sum += r.time[s];
            cr_assert_eq(sum, host_now - created, "%s", policy);
            cr_assert_eq(r.time[RUNSTATE_running], a[i]->used, "%s", policy);
        }
        host_machine_stop();
    }
}

/*
 * Whatever happens in whatever order: what is runnable runs sooner or later, what is not does not,
 * the states say so.
 */
Test(sched, no_wakeup_is_lost_in_random_orders)
{
    FOR_EACH_POLICY(policy) {
        u64 random = 1234567;
        bool asleep[8] = {false};

        start(policy, 8, 1);
        for (int step = 0; step < 20000; step++) {
            int i, runnable = 0;

            random = random * 6364136223846793005ull + 1442695040888963407ull;
            i = (random >> 33) % 8;
            switch ((random >> 40) % 6) {
            case 0:
                vcpu_pause(vcpu(i), VPF_PAUSED);
                asleep[i] = true;
                break;
            case 1:
            case 2:
                vcpu_unpause(vcpu(i), VPF_PAUSED);
                vcpu_unpause(vcpu(i), VPF_BLOCKED);
                asleep[i] = false;
                break;
            case 3:
                if (!host_running(0)->is_idle) {
                    asleep[host_running(0)->domain->id - 1] = true;
                    sched_block_current();
                    if ((random >> 50) & 1) { /* an event came in between */
                        asleep[host_running(0)->domain->id - 1] = false;
                        vcpu_unpause(host_running(0), VPF_BLOCKED);
                    }
                }
                break;
            case 4:
                if (!host_running(0)->is_idle)
                    sched_yield_current();
                break;
            default:
                host_advance((random >> 45) % MILLISECS(20));
            }
            /* Several things may happen before the way out to the guest. */
            if ((random >> 48) % 3 == 0)
                continue;
            host_schedule();
            for (int k = 0; k < 8; k++) {
                asleep[k] = !vcpu_runnable(vcpu(k));
                runnable += !asleep[k];
                cr_assert_eq(vcpu(k)->runstate.state == RUNSTATE_running, host_running(0) == vcpu(k), "%s", policy);
                cr_assert_eq(asleep[k], vcpu(k)->runstate.state == RUNSTATE_blocked || vcpu(k)->runstate.state == RUNSTATE_offline,
                             "%s: vCPU %d at step %d", policy, k, step);
            }
            cr_assert(host_running(0)->is_idle || vcpu_runnable(host_running(0)), "%s", policy);
            if (shares(policy))
                cr_assert_eq(host_running(0)->is_idle, runnable == 0, "%s at step %d: %d runnable", policy, step, runnable);
        }
        /* And in the end each of them gets to run. */
        for (int i = 0; i < 8; i++) {
            vcpu_unpause(vcpu(i), VPF_PAUSED);
            vcpu_unpause(vcpu(i), VPF_BLOCKED);
        }
        for (int i = 0; i < 8 && shares(policy); i++) {
            u64 before = host_vcpu(vcpu(i))->switches_in;

            if (host_running(0) != vcpu(i)) {
                host_advance(SECONDS(3));
                cr_assert_gt(host_vcpu(vcpu(i))->switches_in, before, "%s", policy);
            }
        }
        host_machine_stop();
    }
}

Test(sched, pause_of_a_running_vcpu_takes_effect)
{
    FOR_EACH_POLICY(policy) {
        start(policy, 1, 1);
        cr_assert_eq(host_running(0), vcpu(0));
        vcpu_pause(vcpu(0), VPF_PAUSED);
        cr_assert(host_schedule_raised(0));
        host_schedule();
        cr_assert(host_running(0)->is_idle, "%s", policy);
        cr_assert_eq(vcpu(0)->runstate.state, RUNSTATE_offline);
        vcpu_unpause(vcpu(0), VPF_PAUSED);
        host_schedule();
        cr_assert_eq(host_running(0), vcpu(0), "%s", policy);
        host_machine_stop();
    }
}

/* Another processor has set its flag and not yet come to the runqueue: who pauses, too, takes off what waits there. */
Test(sched, who_is_being_paused_elsewhere_is_not_chosen)
{
    FOR_EACH_POLICY(policy) {
        struct vcpu *waits;

        start(policy, 2, 1);
        waits = vcpu(host_running(0) == vcpu(0));
        waits->pause_flags = VPF_TOOL;
        vcpu_pause(waits, VPF_PAUSED);
        cr_assert(sched_is_off(waits), "%s", policy);
        vcpu_pause(host_running(0), VPF_BLOCKED);
        host_schedule();
        cr_assert(host_running(0)->is_idle, "%s", policy);
        sched_sleep(waits); /* the other, at last */
        vcpu_unpause(waits, VPF_TOOL);
        cr_assert(!host_schedule_raised(0), "%s: one flag is left", policy);
        vcpu_unpause(waits, VPF_PAUSED);
        host_schedule();
        cr_assert_eq(host_running(0) == waits, shares(policy), "%s", policy);
        host_machine_stop();
    }
}

Test(sched, wakeup_undoes_a_block_that_has_not_happened)
{
    FOR_EACH_POLICY(policy) {
        u64 switches;

        start(policy, 1, 1);
        switches = host_vcpu(vcpu(0))->switches_out;
        sched_block_current();
        vcpu_unpause(vcpu(0), VPF_BLOCKED);
        host_schedule();
        cr_assert_eq(host_running(0), vcpu(0), "%s", policy);
        cr_assert_eq(host_vcpu(vcpu(0))->switches_out, switches);
        host_machine_stop();
    }
}

/*
 * A sleeper that wakes 0.3 ms after the hog came back waits until the hog has had its 1 ms, no more
 * and no less.
 */
Test(sched, rate_limit_delays_a_preemption)
{
    struct actor *sleeper;

    start("credit", 2, 1);
    vcpu_pause(vcpu(1), VPF_BLOCKED);
    host_schedule();
    actor_add(vcpu(0), HOG, 0, 0);
    actors_run(MILLISECS(100));
    sleeper = actor_add(vcpu(1), SLEEPER, MICROSECS(200), MICROSECS(300));
    vcpu_unpause(vcpu(1), VPF_BLOCKED);
    actors_run(MICROSECS(200));
    cr_assert_eq(sleeper->worst_wait, 0, "the hog had run for long");
    cr_assert_eq(sleeper->used, MICROSECS(200));
    actors_run(MICROSECS(999));
    cr_assert_eq(sleeper->used, MICROSECS(200), "the hog has had 0.999 ms");
    actors_run(MILLISECS(100));
    cr_assert_eq(sleeper->worst_wait, MICROSECS(700));
    host_machine_stop();
}

Test(sched, destroyed_while_queued)
{
    FOR_EACH_POLICY(policy) {
        start(policy, 4, 1);
        host_advance(MILLISECS(7));
        host_domain_end(domains[2]);
        host_domain_end(domains[0]);
        host_advance(MILLISECS(200));
        if (shares(policy))
            cr_assert(host_running(0) == vcpu(1) || host_running(0) == vcpu(3), "%s", policy);
        host_domain_end(domains[1]);
        host_domain_end(domains[3]);
        cr_assert(host_running(0)->is_idle, "%s", policy);
        host_machine_stop();
    }
}

Test(sched, null_gives_the_processor_to_the_next_after_the_owner)
{
    start("null", 2, 1);
    host_advance(SECONDS(1));
    cr_assert_eq(host_running(0), vcpu(0));
    vcpu_pause(vcpu(0), VPF_BLOCKED);
    host_schedule();
    cr_assert(host_running(0)->is_idle, "an owner keeps its processor while it sleeps");
    host_domain_end(domains[0]);
    vcpu_pause(vcpu(1), VPF_PAUSED);
    vcpu_unpause(vcpu(1), VPF_PAUSED);
    host_schedule();
    cr_assert_eq(host_running(0), vcpu(1));
    host_machine_stop();
}

Test(sched, rr_slices_are_ten_milliseconds)
{
    start("rr", 2, 1);
    actor_add(vcpu(0), HOG, 0, 0);
    actor_add(vcpu(1), HOG, 0, 0);
    actors_run(SECONDS(1));
    cr_assert(host_vcpu(vcpu(0))->switches_in >= 49 && host_vcpu(vcpu(0))->switches_in <= 51, "%d", (int)host_vcpu(vcpu(0))->switches_in);
    host_machine_stop();
}

Test(sched, two_processors_run_two_vcpus)
{
    FOR_EACH_POLICY(policy) {
        start(policy, 2, 2);
        cr_assert_neq(vcpu(0)->processor, vcpu(1)->processor, "%s", policy);
        cr_assert_eq(host_running(vcpu(0)->processor), vcpu(0), "%s", policy);
        cr_assert_eq(host_running(vcpu(1)->processor), vcpu(1), "%s", policy);
        host_advance(SECONDS(1));
        cr_assert_eq(host_vcpu(vcpu(0))->switches_in, 1, "%s", policy);
        host_machine_stop();
    }
}

Test(sched, affinity_moves_a_sleeping_vcpu)
{
    start("credit", 2, 2);
    cr_assert_eq(sched_set_affinity(vcpu(0), 1ull << 5), -XEN_EINVAL, "no such processor");
    vcpu_pause(vcpu(0), VPF_BLOCKED);
    host_schedule();
    cr_assert_eq(sched_set_affinity(vcpu(0), 1ull << vcpu(1)->processor), 0);
    cr_assert_eq(vcpu(0)->processor, vcpu(1)->processor);
    vcpu_unpause(vcpu(0), VPF_BLOCKED);
    host_advance(MILLISECS(100));
    cr_assert_gt(host_vcpu(vcpu(0))->switches_in, 1);
    host_machine_stop();
}

Test(sched, affinity_of_a_running_vcpu_holds_from_its_next_sleep)
{
    unsigned int here, there;

    start("credit", 1, 2);
    here = vcpu(0)->processor;
    there = 1 - here;
    cr_assert_eq(sched_set_affinity(vcpu(0), 1ull << there), 0);
    cr_assert_eq(host_running(here), vcpu(0));
    vcpu_pause(vcpu(0), VPF_BLOCKED);
    host_schedule();
    vcpu_unpause(vcpu(0), VPF_BLOCKED);
    host_schedule();
    cr_assert_eq(host_running(there), vcpu(0));
    cr_assert(host_running(here)->is_idle);
    host_machine_stop();
}

Test(sched, a_live_soft_mask_places_what_wakes)
{
    static const struct {
        u64 soft;
        u16 expected; /* processor; 4: any */
    } steps[] = {{1 << 2, 2}, {1 << 3, 3}, {1 << 1, 4}, {1 << 2 | 1 << 3, 3}, {1 << 2, 2}};

    FOR_EACH_POLICY(policy) {
        if (!strcmp(policy, "null")) /* there a vCPU keeps its processor */
            continue;
        start(policy, 2, 4);
        for (unsigned int i = 0; i < 2; i++) {
            vcpu_pause(vcpu(i), VPF_BLOCKED);
            host_schedule();
        }
        cr_assert_eq(sched_set_affinity(vcpu(1), 1 << 1), 0);
        for (unsigned int i = 2; i-- > 0;) { /* from now on processor 1 is never idle */
            vcpu_unpause(vcpu(i), VPF_BLOCKED);
            host_schedule();
        }
        cr_assert_eq(host_running(1), vcpu(1), "%s", policy);
        for (unsigned int i = 0; i < ARRAY_SIZE(steps); i++) {
            struct cpumask soft = cpumask_from_word(steps[i].soft);
            u16 was = vcpu(0)->processor;

            cr_assert_eq(host_running(was), vcpu(0), "%s: it runs when it is told", policy);
            sched_set_soft_affinity(vcpu(0), &soft);
            host_schedule();
            cr_assert_eq(host_running(was), vcpu(0), "%s: it is not taken away from what it runs on", policy);
            for (int wakes = 0; wakes < 3; wakes++) {
                u16 cpu;

                vcpu_pause(vcpu(0), VPF_BLOCKED);
                host_schedule();
                host_advance(MILLISECS(1));
                vcpu_unpause(vcpu(0), VPF_BLOCKED);
                host_schedule();
                cpu = vcpu(0)->processor;
                cr_assert_eq(host_running(cpu), vcpu(0), "%s, step %u: it waits beside idle processors", policy, i);
                cr_assert_neq(cpu, 1, "%s, step %u: it runs on the busy one", policy, i);
                cr_assert(steps[i].expected == 4 || cpu == steps[i].expected, "%s, step %u: on %u", policy, i, cpu);
            }
        }
        host_machine_stop();
    }
}

Test(sched, parameters_out_of_range_are_refused)
{
    start("credit", 1, 1);
    cr_assert_eq(sched_set_params(domains[0], 0, 0), -XEN_EINVAL);
    cr_assert_eq(sched_set_params(domains[0], 256, 101), -XEN_EINVAL);
    cr_assert_eq(sched_set_params(domains[0], 65535, 100), 0);
    cr_assert_eq(domains[0]->weight, 65535);
    cr_assert_eq(domains[0]->cap, 100);
    host_machine_stop();
}

Test(sched, no_memory_is_reported)
{
    struct domain *d;

    start("credit", 0, 1);
    for (unsigned int n = 1; n < 12; n++) {
        host_fail_alloc = n;
        if (domain_create(7, DOMAIN_PV, false, 1, 16, &d) == 0)
            host_domain_end(d);
    }
    host_fail_alloc = 0;
    cr_assert_eq(domain_create(7, DOMAIN_PV, false, 1, 16, &d), 0);
    host_machine_stop();
}

/* All of them run somewhere, or one waits for each that does not. */
static unsigned int running_vcpus(unsigned int nr, unsigned int cpus)
{
    unsigned int n = 0;

    for (unsigned int i = 0; i < nr; i++) {
        cr_assert(vcpu_runnable(vcpu(i)));
        n += vcpu(i)->runstate.state == RUNSTATE_running;
    }
    for (unsigned int cpu = 0; cpu < cpus; cpu++)
        cr_assert(host_running(cpu)->is_idle || host_running(cpu)->processor == cpu);
    return n;
}

Test(sched, a_pcpu_leaves_and_comes_back_under_load)
{
    FOR_EACH_POLICY(policy) {
        start(policy, 8, 4);
        cr_assert_eq(sched_set_affinity(vcpu(3), 1ull << 2), 0); /* pinned to the one that goes */
        host_advance(MILLISECS(100));
        cr_assert_eq(running_vcpus(8, 4), 4, "%s", policy);

        cr_assert_eq(sched_cpu_down(2), 0, "%s", policy);
        host_schedule();
        cr_assert(sched_cpu_is_idle(2), "%s", policy);
        for (int i = 0; i < 20; i++) {
            host_advance(MILLISECS(31));
            cr_assert(host_running(2)->is_idle, "%s", policy);
            for (int v = 0; v < 8; v++)
                cr_assert_neq(vcpu(v)->processor, 2, "%s", policy);
        }
        cr_assert_eq(running_vcpus(8, 4), 3, "%s", policy);

        cr_assert_eq(sched_cpu_up(2), 0);
        host_advance(SECONDS(1));
        cr_assert_eq(running_vcpus(8, 4), 4, "%s", policy);
        if (shares(policy))
            cr_assert_eq(vcpu(3)->processor, 2, "%s: what was asked for holds again", policy);
        host_machine_stop();
    }
}

/* What runs alone has no time limit: it gets one when a vCPU more than there are processors is made. */
Test(sched, a_domain_made_beside_busy_ones_gets_its_share)
{
    static const char *const policies[] = {"credit", "credit2", "smt"};

    for (unsigned int p = 0; p < ARRAY_SIZE(policies); p++) {
        struct vcpu_runstate_info before[3], after;

        start(policies[p], 2, 2);
        host_advance(SECONDS(1));
        domains[2] = host_domain(3, 1, 0);
        host_schedule();
        host_advance(MILLISECS(100)); /* what the others ran alone is not their debt */
        for (int v = 0; v < 3; v++)
            sched_get_runstate(vcpu(v), &before[v]);
        host_advance(SECONDS(6));
        for (int v = 0; v < 3; v++) {
            ns_t ran;

            sched_get_runstate(vcpu(v), &after);
            ran = after.time[RUNSTATE_running] - before[v].time[RUNSTATE_running];
            cr_assert(ran > MILLISECS(3900) && ran < MILLISECS(4100), "%s: vCPU %d ran for %llu ms of 4,000", policies[p], v,
                      (unsigned long long)ran / 1000000);
        }
        host_machine_stop();
    }
}

Test(sched, the_last_pcpu_stays)
{
    start("credit", 1, 1);
    cr_assert_eq(sched_cpu_down(0), -XEN_EBUSY);
    cr_assert_eq(sched_cpu_down(5), -XEN_ENOENT);
    cr_assert_eq(sched_cpu_up(5), -XEN_ENOENT);
    host_machine_stop();
}

/* What another pcpu finds in the midst of a switch away from vCPU 0. */
static int killed;
static bool off;

static void try_to_kill(struct vcpu *prev)
{
    if (prev != vcpu(0))
        return;
    host_on_switch = NULL;
    killed = domain_kill(domains[0]);
}

static void look_if_off(unsigned int cpu)
{
    if (host_vcpu(vcpu(0))->switches_out)
        off |= sched_is_off(vcpu(0));
}

/* A vCPU whose registers have just been saved, since it blocks or is given away, is not destroyed before its pcpu is done with it. */
Test(sched, a_domain_ends_in_the_midst_of_a_switch)
{
    FOR_EACH_POLICY(policy) {
        for (int given_away = 0; given_away < 2; given_away++) {
            start(policy, 1, 2);
            if (given_away)
                cr_assert_eq(sched_set_affinity(vcpu(0), 2u >> vcpu(0)->processor), 0);
            else
                vcpu_pause(vcpu(0), VPF_BLOCKED);
            host_on_switch = try_to_kill;
            killed = 0;
            host_schedule();
            cr_assert_eq(killed, -XEN_ERESTART, "%s: %d", policy, killed);
            cr_assert(sched_is_off(vcpu(0)), "%s", policy);
            cr_assert_eq(domain_kill(domains[0]), 0, "%s", policy);
            host_machine_stop();
        }
    }
}

/* Nor while it is being woken elsewhere. */
Test(sched, a_vcpu_that_is_given_away_is_woken_before_it_is_off)
{
    FOR_EACH_POLICY(policy) {
        unsigned int there;

        start(policy, 1, 2);
        there = 1 - vcpu(0)->processor;
        cr_assert_eq(sched_set_affinity(vcpu(0), 1u << there), 0);
        host_on_raise = look_if_off;
        off = false;
        host_schedule();
        cr_assert_eq(host_running(there), vcpu(0), "%s", policy);
        cr_assert(!off, "%s: destroying it was possible", policy);
        host_machine_stop();
    }
}

/* A domain goes through pools of every policy and back, runs in each, and leaves nothing behind. */
Test(sched, a_domain_moves_between_pools)
{
    static const char *const names[] = {"credit2", "rr", "smt", "null"};

    host_pools = "1:credit2/2:rr/3:smt/4:null";
    start("credit", 1, 5);
    for (unsigned int round = 0; round < 3; round++) {
        for (unsigned int id = 1; id <= 5; id++) {
            struct sched_pool_info info;

            cr_assert_eq(sched_set_pool(domains[0], id % 5), -XEN_EBUSY, "it runs");
            vcpu_pause(vcpu(0), VPF_TOOL);
            host_advance(MILLISECS(1));
            cr_assert_eq(sched_set_pool(domains[0], id % 5), 0);
            cr_assert_eq(sched_set_pool(domains[0], id % 5), 0, "it is there");
            vcpu_unpause(vcpu(0), VPF_TOOL);
            host_advance(MILLISECS(100));
            cr_assert_eq(vcpu(0)->processor, id % 5);
            cr_assert_eq(host_running(id % 5), vcpu(0));
            cr_assert_eq(sched_pool_info(id % 5, &info), 0);
            cr_assert_eq(info.nr_domains, 1);
            cr_assert_str_eq(info.policy, id == 5 ? "credit" : names[id - 1]);
            cr_assert(cpumask_test(&info.cpus, id % 5));
        }
    }
    cr_assert_eq(sched_pool_info(5, &(struct sched_pool_info){0}), -XEN_ENOENT);
    host_machine_stop();
}

Test(sched, pools_have_policies_of_their_own)
{
    start("credit", 1, 1);
    cr_assert_eq(sched_make_pools("2-3:rr/4,6:null"), 0);
    cr_assert_str_eq(sched_policy_name(sched_pool(1)->ops), "rr");
    cr_assert(cpumask_test(&sched_pool(2)->claimed, 6) && !cpumask_test(&sched_pool(2)->claimed, 5));
    cr_assert_eq(sched_make_pools("3:rr"), -XEN_EINVAL, "claimed already");
    cr_assert_eq(sched_make_pools("7:nope"), -XEN_ENOENT);
    cr_assert_eq(sched_make_pools("7-5:rr"), -XEN_EINVAL);
    cr_assert_eq(sched_make_pools("7rr"), -XEN_EINVAL);
    cr_assert_eq(sched_make_pools("64:rr"), -XEN_EINVAL);
    cr_assert_eq(sched_set_pool(domains[0], 1), -XEN_EBUSY, "no pcpus");
    cr_assert_eq(sched_set_pool(domains[0], 9), -XEN_ENOENT);
    host_machine_stop();
}

/* Of ten seconds each of two that want to run on one processor has its half, but for 100 ms. */
static void halves(const char *policy, unsigned int a, unsigned int b, const char *when)
{
    s64 more = (s64)(host_time_run(vcpu(a)) - host_time_run(vcpu(b)));

    host_advance(SECONDS(10));
    more = (s64)(host_time_run(vcpu(a)) - host_time_run(vcpu(b))) - more;
    cr_assert_leq(more < 0 ? -more : more, (s64)MILLISECS(200), "%s, %s: %d ms more", policy, when, (int)(more / 1000000));
}

#define DAYS(n) ((n)*SECONDS(86400))

/* Nothing is decided while one runs alone, for hours or years; who wakes then has its half, and no more. */
Test(sched, who_ran_alone_for_long_shares_from_then_on)
{
    static const char *const policies[] = {"credit", "smt", "credit2"};
    static const ns_t times[] = {SECONDS(1), SECONDS(3600), DAYS(1), DAYS(60), DAYS(365), DAYS(3650)};

    for (unsigned int n = 0; n < ARRAY_SIZE(policies) * ARRAY_SIZE(times) * 2; n++) {
        const char *policy = policies[n % ARRAY_SIZE(policies)];
        ns_t time = times[n / 2 / ARRAY_SIZE(policies)];
        bool several = n / ARRAY_SIZE(policies) % 2;

        if (!several && !strcmp(policy, "credit2")) /* it never runs without a limit */
            continue;
        start(policy, 2, several ? 4 : 1);
        for (unsigned int i = 0; i < 2; i++)
            cr_assert_eq(sched_set_affinity(vcpu(i), 1), 0);
        host_advance(MILLISECS(1234));
        vcpu_pause(vcpu(1), VPF_BLOCKED);
        host_advance(time);
        vcpu_unpause(vcpu(1), VPF_BLOCKED);
        halves(policy, 0, 1, several ? "one of four processors" : "one processor");
        host_machine_stop();
    }
}

/* One sleeps in debt that takes longer to be paid than a step of V, and long after it has been nothing is decided. */
Test(sched, a_debt_is_paid_while_nothing_is_decided)
{
    struct sched_tunables t = SCHED_TUNABLES_DEFAULT;

    start("credit", 3, 1);
    t.slice = MILLISECS(30);
    cr_assert_eq(sched_tune(sched_pool(0), &t), 0);
    cr_assert_eq(sched_set_params(domains[0], 1, 0), 0);
    for (unsigned int i = 0; host_time_run(vcpu(0)) < MILLISECS(29) && i < 100000; i++)
        host_advance(MILLISECS(1));
    vcpu_pause(vcpu(0), VPF_BLOCKED);
    vcpu_pause(vcpu(1), VPF_BLOCKED);
    host_advance(SECONDS(36000));
    vcpu_unpause(vcpu(1), VPF_BLOCKED);
    halves("credit", 1, 2, "after ten hours");
    host_machine_stop();
}

/* V goes exactly as far as who shares, however seldom something is decided. */
Test(sched, seldom_decisions_add_up)
{
    start("credit", 3, 1);
    for (unsigned int i = 0; i < 2; i++)
        cr_assert_eq(sched_set_params(domains[i], 65535, 0), 0);
    vcpu_pause(vcpu(1), VPF_BLOCKED);
    vcpu_pause(vcpu(2), VPF_BLOCKED);
    for (unsigned int i = 0; i < 50000; i++) {
        host_advance(MILLISECS(3000) + 60000);
        vcpu_unpause(vcpu(2), VPF_BLOCKED);
        host_advance(MICROSECS(10));
        vcpu_pause(vcpu(2), VPF_BLOCKED);
    }
    vcpu_unpause(vcpu(1), VPF_BLOCKED);
    halves("credit", 0, 1, "after two days");
    host_machine_stop();
}

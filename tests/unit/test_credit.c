/* SPDX-License-Identifier: MIT */
/*
 * The credit policy in virtual time: shares by weight within a stated error, caps that hold, boost,
 * and tricks that gain nothing.
 */
#include <criterion/criterion.h>

#include "actors.h"
#include "sched/sched.h"

#define SLICE MILLISECS(30)

static void start(void)
{
    actors_reset();
    host_machine_start(2048, 1, "credit");
}

TestSuite(credit, .init = start, .fini = host_machine_stop);

/* A domain with so many vCPUs, with weight and cap. */
static struct domain *domain(unsigned int vcpus, u16 weight, u16 cap)
{
    static domid_t id;
    struct domain *d = host_domain(++id, vcpus, 0);

    cr_assert_eq(sched_set_params(d, weight, cap), 0);
    return d;
}

static struct actor *hog(u16 weight, u16 cap)
{
    return actor_add(domain(1, weight, cap)->vcpu[0], HOG, 0, 0);
}

/* Time within `error` of what was expected. */
static void used(const struct actor *a, ns_t expected, ns_t error, const char *who)
{
    ns_t off = a->used > expected ? a->used - expected : expected - a->used;

    cr_assert_leq(off, error, "%s used %llu us, expected %llu us within %llu us", who, (unsigned long long)a->used / 1000,
                  (unsigned long long)expected / 1000, (unsigned long long)error / 1000);
}

Test(credit, equal_weights_share_equally)
{
    struct actor *a[8];

    for (int i = 0; i < 8; i++)
        a[i] = hog(256, 0);
    for (int second = 1; second <= 20; second++) {
        cr_assert_eq(actors_run(SECONDS(1)), 0);
        for (int i = 0; i < 8; i++)
            used(a[i], SECONDS(second) / 8, SLICE, "hog");
    }
}

/* The bound that credit.c states, at each tenth of a second. */
Test(credit, weights_are_kept_to_the_stated_bound)
{
    static const u16 weights[] = {64, 128, 256, 512, 1024, 1000, 3};
    const s64 n = ARRAY_SIZE(weights);
    struct actor *a[ARRAY_SIZE(weights)];
    s64 sum = 0;

    for (int i = 0; i < n; i++) {
        a[i] = hog(weights[i], 0);
        sum += weights[i];
    }
    for (s64 t = MILLISECS(100); t <= (s64)SECONDS(60); t += MILLISECS(100)) {
        actors_run(MILLISECS(100));
        for (int i = 0; i < n; i++) {
            s64 ahead = (s64)a[i]->used - t * weights[i] / sum;

            cr_assert_leq(ahead, (s64)SLICE, "weight %d at %d ms", weights[i], (int)(t / 1000000));
            cr_assert_geq(ahead, -(n * weights[i] * (s64)SLICE / sum) - 1000, "weight %d at %d ms: %d us", weights[i],
                          (int)(t / 1000000), (int)(ahead / 1000));
        }
    }
}

Test(credit, shares_over_a_minute_are_within_a_thousandth)
{
    struct actor *a = hog(256, 0), *b = hog(512, 0), *c = hog(1024, 0);

    actors_run(SECONDS(60));
    used(a, SECONDS(60) / 7, MILLISECS(60), "256");
    used(b, SECONDS(60) * 2 / 7, MILLISECS(60), "512");
    used(c, SECONDS(60) * 4 / 7, MILLISECS(60), "1024");
}

Test(credit, weight_belongs_to_the_domain)
{
    struct domain *two = domain(2, 256, 0);
    struct actor *a = actor_add(two->vcpu[0], HOG, 0, 0), *b = actor_add(two->vcpu[1], HOG, 0, 0);
    struct actor *c = hog(256, 0);

    actors_run(SECONDS(20));
    used(c, SECONDS(10), 2 * SLICE, "the domain with one vCPU");
    used(a, SECONDS(5), 2 * SLICE, "first of two");
    used(b, SECONDS(5), 2 * SLICE, "second of two");
}

Test(credit, weight_changes_at_run_time)
{
    struct actor *a = hog(256, 0), *b = hog(256, 0);
    ns_t a0, b0;

    actors_run(SECONDS(5));
    used(a, SECONDS(5) / 2, SLICE, "before");
    cr_assert_eq(sched_set_params(a->v->domain, 768, 0), 0);
    a0 = a->used;
    b0 = b->used;
    actors_run(SECONDS(8));
    a->used -= a0;
    b->used -= b0;
    used(a, SECONDS(6), 2 * SLICE, "three times the weight");
    used(b, SECONDS(2), 2 * SLICE, "the other");
}

Test(credit, unused_shares_go_to_the_others)
{
    struct actor *a = hog(256, 0), *b = hog(256, 0);
    struct actor *s = actor_add(domain(1, 1024, 0)->vcpu[0], SLEEPER, MILLISECS(1), MILLISECS(19));

    cr_assert_eq(actors_run(SECONDS(10)), 0, "work conserving");
    cr_assert_gt(s->used, MILLISECS(450), "the sleeper gets nearly all that it asks for: %d ms", (int)(s->used / 1000000));
    used(a, (SECONDS(10) - s->used) / 2, SLICE, "hog");
    used(b, (SECONDS(10) - s->used) / 2, SLICE, "hog");
}

Test(credit, cap_holds_when_alone)
{
    struct actor *a = hog(256, 20);
    ns_t before = 0;

    /* Periods of 30 ms begin at multiples of 30 ms of system time. */
    host_advance((MILLISECS(30) - host_now % MILLISECS(30)) % MILLISECS(30));
    for (int period = 0; period < 200; period++) {
        actors_run(MILLISECS(30));
        cr_assert_leq(a->used - before, MILLISECS(6), "period %d", period);
        before = a->used;
    }
    used(a, MILLISECS(6) * 200, MILLISECS(12), "capped");
}

Test(credit, caps_hold_among_others)
{
    struct actor *a = hog(65535, 10), *b = hog(256, 40), *c = hog(256, 0);
    ns_t a0 = 0, b0 = 0;

    host_advance((MILLISECS(30) - host_now % MILLISECS(30)) % MILLISECS(30));
    for (int period = 0; period < 400; period++) {
        cr_assert_eq(actors_run(MILLISECS(30)), 0, "c takes what is left");
        cr_assert_leq(a->used - a0, MILLISECS(3), "10 %% in period %d", period);
        cr_assert_leq(b->used - b0, MILLISECS(12), "40 %% in period %d", period);
        a0 = a->used;
        b0 = b->used;
    }
    cr_assert_gt(a->used, MILLISECS(3) * 400 * 9 / 10, "a heavy domain gets its cap: %d ms", (int)(a->used / 1000000));
    cr_assert_gt(c->used, SECONDS(12) * 45 / 100);
}

Test(credit, cap_is_of_the_domain_not_of_each_vcpu)
{
    struct domain *d = domain(2, 256, 30);
    struct actor *a = actor_add(d->vcpu[0], HOG, 0, 0), *b = actor_add(d->vcpu[1], HOG, 0, 0);

    actors_run(SECONDS(10));
    cr_assert_leq(a->used + b->used, SECONDS(3) + MILLISECS(9));
    cr_assert_gt(a->used + b->used, SECONDS(3) - MILLISECS(50));
}

Test(credit, cap_changes_at_run_time)
{
    struct actor *a = hog(256, 10);

    actors_run(SECONDS(3));
    used(a, MILLISECS(300), MILLISECS(6), "10 %");
    a->used = 0;
    cr_assert_eq(sched_set_params(a->v->domain, 256, 50), 0);
    actors_run(SECONDS(3));
    used(a, MILLISECS(1500), MILLISECS(30), "50 %");
    a->used = 0;
    cr_assert_eq(sched_set_params(a->v->domain, 256, 0), 0);
    actors_run(SECONDS(3));
    used(a, SECONDS(3), MILLISECS(30), "no cap");
}

Test(credit, sleeping_does_not_save_up_against_the_cap)
{
    struct actor *a = actor_add(domain(1, 256, 20)->vcpu[0], SLEEPER, MILLISECS(50), SECONDS(1));

    actors_run(SECONDS(1));
    cr_assert_leq(a->used, MILLISECS(50));
    a->used = 0;
    actors_run(SECONDS(20));
    cr_assert_leq(a->used, SECONDS(4));
}

/* A tick would fall on each multiple of 10 ms: give way just before it. */
Test(credit, yielding_before_the_tick_gains_nothing)
{
    struct actor *honest = hog(256, 0);
    struct actor *cheat = actor_add(domain(1, 256, 0)->vcpu[0], YIELDER, MICROSECS(9900), 0);

    actors_run(SECONDS(20));
    cr_assert_leq(cheat->used, SECONDS(10) + SLICE);
    cr_assert_geq(honest->used, SECONDS(10) - SLICE);
}

Test(credit, sleeping_before_the_tick_gains_nothing)
{
    struct actor *honest[3], *cheat;

    for (int i = 0; i < 3; i++)
        honest[i] = hog(256, 0);
    cheat = actor_add(domain(1, 256, 0)->vcpu[0], SLEEPER, MICROSECS(9900), MICROSECS(100));
    actors_run(SECONDS(20));
    cr_assert_leq(cheat->used, SECONDS(5) + 2 * SLICE, "%d ms of 5000", (int)(cheat->used / 1000000));
    for (int i = 0; i < 3; i++)
        cr_assert_geq(honest[i]->used, SECONDS(5) - 2 * SLICE);
}

Test(credit, waking_all_the_time_gains_nothing)
{
    struct actor *honest[3], *cheat;

    for (int i = 0; i < 3; i++)
        honest[i] = hog(256, 0);
    cheat = actor_add(domain(1, 256, 0)->vcpu[0], SLEEPER, MICROSECS(1500), MICROSECS(10));
    actors_run(SECONDS(20));
    cr_assert_leq(cheat->used, SECONDS(5) + 2 * SLICE, "%d ms of 5000", (int)(cheat->used / 1000000));
    (void)honest;
}

Test(credit, a_light_sleeper_runs_as_soon_as_the_rate_limit_lets_it)
{
    struct actor *s;

    for (int i = 0; i < 7; i++)
        hog(256, 0);
    s = actor_add(domain(1, 256, 0)->vcpu[0], SLEEPER, MICROSECS(200), MILLISECS(10));
    actors_run(MILLISECS(500)); /* until it has slept once */
    s->worst_wait = 0;
    actors_run(SECONDS(10));
    cr_assert_leq(s->worst_wait, MILLISECS(1));
    cr_assert_gt(s->used, MILLISECS(170));
}

Test(credit, boost_ends_after_ten_milliseconds)
{
    struct actor *a = hog(256, 0), *s;
    struct domain *d = domain(1, 256, 0);
    ns_t before;

    vcpu_pause(d->vcpu[0], VPF_BLOCKED);
    actors_run(SECONDS(1) + MILLISECS(15));
    s = actor_add(d->vcpu[0], HOG, 0, 0);
    vcpu_unpause(d->vcpu[0], VPF_BLOCKED);
    before = a->used;
    actors_run(MILLISECS(10));
    cr_assert_eq(s->used, MILLISECS(10));
    cr_assert_eq(a->used, before);
    actors_run(SECONDS(4));
    used(s, SECONDS(2), 2 * SLICE, "no more than its share and what it saved");
}

Test(credit, preempted_unit_keeps_its_slice)
{
    struct actor *a[4], *s;
    u64 switches = 0;

    for (int i = 0; i < 4; i++)
        a[i] = hog(256, 0);
    s = actor_add(domain(1, 256, 0)->vcpu[0], SLEEPER, MICROSECS(100), MILLISECS(5));
    actors_run(SECONDS(6));
    for (int i = 0; i < 4; i++)
        switches += host_vcpu(a[i]->v)->switches_in;
    /* Each wake-up returns to the one that it interrupted: so there are as many switches, and those at the ends of slices, of 12 ms or more. */
    cr_assert_gt(s->used, MILLISECS(100));
    for (int i = 0; i < 4; i++)
        used(a[i], (SECONDS(6) - s->used) / 4, SLICE, "hog");
    cr_assert_leq(switches, host_vcpu(s->v)->switches_in + 6000 / 12, "%d", (int)switches);
}

Test(credit, slices_are_thirty_milliseconds)
{
    struct actor *a = hog(256, 0), *b = hog(256, 0);

    actors_run(SECONDS(6));
    cr_assert(host_vcpu(a->v)->switches_in >= 95 && host_vcpu(a->v)->switches_in <= 102, "%d", (int)host_vcpu(a->v)->switches_in);
    (void)b;
}

Test(credit, debt_is_not_forgiven_by_a_short_sleep)
{
    struct actor *honest[7], *cheat;

    for (int i = 0; i < 7; i++)
        honest[i] = hog(256, 0);
    cheat = actor_add(domain(1, 256, 0)->vcpu[0], SLEEPER, MILLISECS(30), MILLISECS(120));
    actors_run(SECONDS(40));
    cr_assert_leq(cheat->used, SECONDS(5) + 2 * SLICE, "%d ms of 5000", (int)(cheat->used / 1000000));
    (void)honest;
}

Test(credit, many_random_loads_never_starve_nor_idle)
{
    struct actor *a[12];
    ns_t idle, sum = 0;

    for (int i = 0; i < 12; i++) {
        if (i % 3 == 0)
            a[i] = hog(64 + 97 * i, 0);
        else
            a[i] = actor_add(domain(1, 64 + 97 * i, 0)->vcpu[0], i % 3 == 1 ? SLEEPER : YIELDER, MICROSECS(137 * (i + 1)),
                             MICROSECS(911 * i));
    }
    idle = actors_run(SECONDS(20));
    cr_assert_eq(idle, 0);
    for (int i = 0; i < 12; i++) {
        sum += a[i]->used;
        cr_assert_gt(a[i]->used, MILLISECS(50), "%d", i);
    }
    cr_assert_eq(sum, SECONDS(20));
}

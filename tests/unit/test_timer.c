/* SPDX-License-Identifier: MIT */
/*
 * Timers: order, ties, setting and stopping from handlers, migration, and ten thousand random
 * operations against a sorted array.
 */
#include <criterion/criterion.h>

#include "core/timer.h"
#include "machine.h"

#define MAX_FIRED 64

static struct timer timers[16];
static int fired[MAX_FIRED];
static unsigned int nr_fired;

static void note(void *arg)
{
    cr_assert_lt(nr_fired, MAX_FIRED);
    fired[nr_fired++] = (int)((struct timer *)arg - timers);
}

static void start(void)
{
    host_machine_start(256, 2, "rr");
    nr_fired = 0;
    for (int i = 0; i < 16; i++)
        timer_setup(&timers[i], note, &timers[i]);
}

TestSuite(timer, .init = start, .fini = host_machine_stop);

Test(timer, fires_in_order_of_time)
{
    timer_set(&timers[0], 0, host_now + 300);
    timer_set(&timers[1], 0, host_now + 100);
    timer_set(&timers[2], 0, host_now + 200);
    host_advance(99);
    cr_assert_eq(nr_fired, 0);
    host_advance(1);
    cr_assert_eq(nr_fired, 1);
    host_advance(1000);
    cr_assert_eq(nr_fired, 3);
    cr_assert_eq(fired[0], 1);
    cr_assert_eq(fired[1], 2);
    cr_assert_eq(fired[2], 0);
    cr_assert_eq(host_next_interrupt(), NS_NEVER);
}

Test(timer, ties_fire_in_order_of_setting)
{
    for (int i = 0; i < 10; i++)
        timer_set(&timers[(i * 7) % 10], 0, host_now + 50);
    host_advance(50);
    cr_assert_eq(nr_fired, 10);
    for (int i = 0; i < 10; i++)
        cr_assert_eq(fired[i], (i * 7) % 10);
}

Test(timer, setting_again_replaces)
{
    timer_set(&timers[0], 0, host_now + 10);
    timer_set(&timers[0], 0, host_now + 500);
    cr_assert_eq(timer_expires(&timers[0]), host_now + 500);
    host_advance(499);
    cr_assert_eq(nr_fired, 0);
    host_advance(1);
    cr_assert_eq(nr_fired, 1);
    cr_assert_not(timer_active(&timers[0]));
}

Test(timer, past_fires_at_once)
{
    timer_set(&timers[0], 0, host_now - 5);
    host_advance(0);
    cr_assert_eq(nr_fired, 1);
}

Test(timer, stopped_does_not_fire)
{
    timer_set(&timers[0], 0, host_now + 10);
    timer_set(&timers[1], 0, host_now + 10);
    timer_stop(&timers[0]);
    timer_stop(&timers[0]);
    cr_assert_not(timer_active(&timers[0]));
    host_advance(100);
    cr_assert_eq(nr_fired, 1);
    cr_assert_eq(fired[0], 1);
}

Test(timer, zeroed_may_be_stopped)
{
    struct timer t = {0};

    timer_stop(&t);
    cr_assert_not(timer_active(&t));
}

static void stop_the_next(void *arg)
{
    note(arg);
    timer_stop((struct timer *)arg + 1);
}

Test(timer, handler_stops_one_that_is_due_too)
{
    timer_setup(&timers[3], stop_the_next, &timers[3]);
    timer_set(&timers[3], 0, host_now + 10);
    timer_set(&timers[4], 0, host_now + 10);
    timer_set(&timers[5], 0, host_now + 10);
    host_advance(10);
    cr_assert_eq(nr_fired, 2);
    cr_assert_eq(fired[0], 3);
    cr_assert_eq(fired[1], 5);
}

static void set_into_the_past(void *arg)
{
    note(arg);
    if (nr_fired < 5)
        timer_set(arg, 0, host_now - 1);
}

Test(timer, handler_that_sets_itself_into_the_past_does_not_hang)
{
    timer_setup(&timers[0], set_into_the_past, &timers[0]);
    timer_set(&timers[0], 0, host_now + 1);
    host_now++;
    timer_run();
    cr_assert_eq(nr_fired, 1, "one round, one call");
    cr_assert_leq(host_next_interrupt(), host_now, "the next one is asked for at once");
    host_advance(0);
    cr_assert_eq(nr_fired, 5);
}

static void set_again(void *arg)
{
    note(arg);
    timer_set(arg, 0, host_now + 100);
}

Test(timer, handler_sets_itself_again)
{
    timer_setup(&timers[0], set_again, &timers[0]);
    timer_set(&timers[0], 0, host_now + 100);
    host_advance(1000);
    cr_assert_eq(nr_fired, 10);
}

Test(timer, migrates_and_fires_there)
{
    timer_set(&timers[0], 0, host_now + 100);
    timer_set(&timers[1], 0, host_now + 50);
    timer_migrate(&timers[0], 1);
    cr_assert_eq(timers[0].cpu, 1);
    cr_assert_eq(timer_expires(&timers[0]), host_now + 100);
    timer_migrate(&timers[2], 1);
    cr_assert_not(timer_active(&timers[2]), "one that is not set stays so");
    host_advance(200);
    cr_assert_eq(nr_fired, 2);
    cr_assert_eq(fired[0], 1);
    cr_assert_eq(fired[1], 0);
}

Test(timer, early_interrupt_loses_nothing)
{
    timer_set(&timers[0], 0, host_now + 100);
    host_now += 40;
    timer_run();
    cr_assert_eq(nr_fired, 0);
    cr_assert_eq(host_next_interrupt(), host_now + 60);
    host_advance(60);
    cr_assert_eq(nr_fired, 1);
}

Test(timer, later_deadline_does_not_touch_the_hardware)
{
    u64 before;

    timer_set(&timers[0], 0, host_now + 100);
    before = host_timer_programmed;
    timer_set(&timers[1], 0, host_now + 200);
    timer_set(&timers[0], 0, host_now + 300);
    timer_stop(&timers[1]);
    cr_assert_eq(host_timer_programmed, before);
    host_advance(1000);
    cr_assert_eq(nr_fired, 1);
}

/* The model: an array searched for the smallest (deadline, order of setting). */
#define N 200

static struct timer many[N];
static ns_t model_when[N];
static u64 model_seq[N];
static bool model_set[N];
static u64 model_next;

static int model_first(void)
{
    int first = -1;

    for (int i = 0; i < N; i++) {
        if (model_set[i] && (first < 0 || model_when[i] < model_when[first] ||
                             (model_when[i] == model_when[first] && model_seq[i] < model_seq[first])))
            first = i;
    }
    return first;
}

static void check_against_model(void *arg)
{
    int i = (int)((struct timer *)arg - many);

    cr_assert_eq(i, model_first());
    cr_assert_leq(model_when[i], host_now);
    model_set[i] = false;
    nr_fired++;
}

Test(timer, ten_thousand_random_operations)
{
    u64 random = 88172645463325252ull;

    for (int i = 0; i < N; i++)
        timer_setup(&many[i], check_against_model, &many[i]);
    for (int op = 0; op < 10000; op++) {
        int i, first;

        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        i = (random >> 20) % N;
        switch (random % 8) {
        case 0:
            timer_stop(&many[i]);
            model_set[i] = false;
            break;
        case 1:
            host_advance((random >> 40) % 50);
            break;
        default:
            model_when[i] = host_now + (random >> 40) % 1000;
            model_seq[i] = model_next++;
            model_set[i] = true;
            timer_set(&many[i], 0, model_when[i]);
            break;
        }
        cr_assert_eq(timer_active(&many[i]), model_set[i]);
        first = model_first();
        cr_assert(first < 0 || model_when[first] > host_now || random % 8 != 1);
    }
    host_advance(2000);
    cr_assert_eq(model_first(), -1);
    cr_assert_gt(nr_fired, 1000);
}

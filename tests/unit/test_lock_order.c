/* SPDX-License-Identifier: MIT */
/*
 * The lock order of debug builds (hv/core/lock_order.c): the right way is silent, each wrong way ends the machine, and a
 * lock that is tried may come in any order.
 */
#include <criterion/criterion.h>
#include <signal.h>

#include "machine.h"

static struct spinlock list = SPINLOCK(LOCK_DOMAIN_LIST), topology = SPINLOCK(LOCK_TOPOLOGY), heap = SPINLOCK(LOCK_HEAP),
                       port[2] = {SPINLOCK(LOCK_PORT), SPINLOCK(LOCK_PORT)}, sched = SPINLOCK(LOCK_SCHED), rankless;

static void start(void)
{
    host_machine_start(64, 2, "rr");
}

TestSuite(lock_order, .init = start, .fini = host_machine_stop);

Test(lock_order, the_right_way)
{
    spin_lock(&topology);
    spin_lock(&port[0]);
    spin_lock(&port[1]);
    spin_lock(&list);
    spin_lock(&heap);
    spin_unlock(&topology); /* given up in any order */
    spin_unlock(&heap);
    spin_unlock(&port[1]);
    spin_unlock(&list);
    spin_unlock(&port[0]);
    lock_order_none();
}

Test(lock_order, each_processor_has_its_own)
{
    spin_lock(&heap);
    host_on_cpu(1);
    spin_lock(&topology);
    lock_order_wait(&port[0]);
    spin_unlock(&topology);
    lock_order_none();
    host_on_cpu(0);
    spin_unlock(&heap);
}

Test(lock_order, the_wrong_way_dies, .signal = SIGABRT)
{
    spin_lock(&heap);
    spin_lock(&topology);
}

Test(lock_order, not_the_last_taken_alone_counts, .signal = SIGABRT)
{
    spin_lock(&topology);
    spin_lock(&sched);
    spin_lock(&heap);
    spin_unlock(&heap);
    spin_lock(&port[0]);
}

Test(lock_order, the_same_twice_dies, .signal = SIGABRT)
{
    spin_lock(&topology);
    topology.taken = 0; /* without the check it would wait forever */
    spin_lock(&topology);
}

Test(lock_order, of_two_ports_the_lower_address_first, .signal = SIGABRT)
{
    spin_lock(&port[1]);
    spin_lock(&port[0]);
}

Test(lock_order, one_that_is_tried_may_come_in_any_order)
{
    spin_lock(&heap);
    cr_assert(spin_trylock(&topology));
    cr_assert_not(spin_trylock(&topology));
    spin_unlock(&topology);
    spin_unlock(&heap);
    lock_order_none();
}

Test(lock_order, but_counts_when_it_is_held, .signal = SIGABRT)
{
    cr_assert(spin_trylock(&heap));
    spin_lock(&topology);
}

Test(lock_order, without_a_rank, .signal = SIGABRT)
{
    spin_lock(&rankless);
}

Test(lock_order, given_up_and_not_held, .signal = SIGABRT)
{
    spin_unlock(&heap);
}

Test(lock_order, held_where_none_may_be, .signal = SIGABRT)
{
    spin_lock(&heap);
    lock_order_none();
}

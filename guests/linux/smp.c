/* SPDX-License-Identifier: MIT */
/*
 * /init of initrd-smp.cpio: does Linux run right on all its processors? Static, PID 1, orders on the kernel command line:
 *
 *   smp.rounds=N     rounds of each worker (default 20)
 *   smp.hotplug=N    times that every processor but the first goes offline and comes back (default 0)
 *
 * 1. On each processor a worker, pinned: forks, maps, writes, protects, unmaps, and sends bytes to the worker of the next processor; what
 *    it reads back must be what was written.
 * 2. Threads of one address space: when mprotect() has returned to one, no write of another may reach the page. This is what a forgotten
 *    or late TLB flush breaks.
 * 3. Processors go offline and come back by /sys, and take a worker again.
 *
 * Lines on the console: "@SMP cpus N", "@SMP stress ok", "@SMP protect ok", "@SMP hotplug ok", "@SMP done"; "@SMP fail WHAT" for anything
 * that is not as it should be. Then power off.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE      4096
#define PAGES     32
#define MAX_CPUS  64

static int failures;

static void say(const char *fmt, ...)
{
    char line[256];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    if (write(1, line, n) != n)
        _exit(9);
}

static int fail(const char *what, long a, long b)
{
    say("@SMP fail %s %ld %ld\n", what, a, b);
    failures++;
    return 1;
}

static int number(const char *key, int otherwise)
{
    static char line[4096];
    const char *at;

    if (!line[0]) {
        int fd = open("/proc/cmdline", O_RDONLY);

        if (fd < 0 || read(fd, line, sizeof(line) - 1) <= 0)
            return otherwise;
        close(fd);
    }
    at = strstr(line, key);
    return at ? atoi(at + strlen(key)) : otherwise;
}

static int pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return sched_setaffinity(0, sizeof(set), &set);
}

static bool online(int cpu)
{
    char path[64], c = '1';
    int fd;

    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
    fd = open(path, O_RDONLY);
    if (fd < 0)
        return cpu == 0;
    if (read(fd, &c, 1) != 1)
        c = '?';
    close(fd);
    return c == '1';
}

/* ---- workers ---- */

static int once(int cpu, int round)
{
    unsigned char *p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char want = cpu * 7 + round;
    int status;
    pid_t pid;

    if (p == MAP_FAILED)
        return 2;
    for (int i = 0; i < PAGES; i++)
        p[i * PAGE] = want + i;
    pid = fork();
    if (pid < 0)
        return 3;
    if (pid == 0) { /* its copies are its own, and hold what the parent wrote */
        for (int i = 0; i < PAGES; i++) {
            if (p[i * PAGE] != (unsigned char)(want + i))
                _exit(1);
            p[i * PAGE] = 0xee;
        }
        _exit(sched_getcpu() == cpu ? 0 : 2);
    }
    if (waitpid(pid, &status, 0) != pid || status)
        return 4;
    if (mprotect(p, PAGES / 2 * PAGE, PROT_READ) || munmap(p + PAGES / 2 * PAGE, PAGES / 2 * PAGE))
        return 5;
    for (int i = 0; i < PAGES / 2; i++)
        if (p[i * PAGE] != (unsigned char)(want + i))
            return 6;
    return munmap(p, PAGES / 2 * PAGE) ? 7 : 0;
}

static int worker(int cpu, int rounds, int in, int out)
{
    unsigned char byte;

    if (pin(cpu) || sched_getcpu() != cpu)
        return 1;
    for (int round = 0; round < rounds; round++) {
        int rc = once(cpu, round);

        if (rc)
            return rc;
        byte = round;
        if (write(out, &byte, 1) != 1 || read(in, &byte, 1) != 1 || byte != (unsigned char)round)
            return 8;
    }
    return 0;
}

/* A ring of workers on these processors. */
static void stress(const int *cpu, int n, int rounds)
{
    int ring[MAX_CPUS][2], status, before = failures;
    pid_t pid[MAX_CPUS];

    for (int i = 0; i < n; i++)
        if (pipe(ring[i]))
            fail("pipe", i, 0);
    for (int i = 0; i < n; i++) {
        pid[i] = fork();
        if (pid[i] == 0)
            _exit(worker(cpu[i], rounds, ring[i][0], ring[(i + 1) % n][1]));
    }
    for (int i = 0; i < n; i++) {
        if (waitpid(pid[i], &status, 0) != pid[i] || status)
            fail("worker", cpu[i], status);
        close(ring[i][0]);
        close(ring[i][1]);
    }
    if (failures == before)
        say("@SMP stress ok %d workers %d rounds\n", n, rounds);
}

/* ---- one address space ---- */

static _Atomic int writable, stop;
static unsigned long *shared; /* a page; each thread has a cache line of it */

static void on_fault(int sig)
{
    (void)sig;
    while (!atomic_load(&writable) && !atomic_load(&stop))
        sched_yield();
}

static void *writer(void *arg)
{
    long me = (long)arg;
    volatile unsigned long *mine = shared + me * 8;

    if (pin(me))
        return (void *)1;
    while (!atomic_load(&stop)) {
        ++*mine;
        if (!(*mine & 1023))
            sched_yield();
    }
    return NULL;
}

static void protect(int n, int rounds)
{
    unsigned long seen[MAX_CPUS];
    pthread_t thread[MAX_CPUS];
    int before = failures;
    void *rc;

    shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    signal(SIGSEGV, on_fault);
    pin(0);
    atomic_store(&writable, 1);
    for (long i = 1; i < n; i++)
        if (pthread_create(&thread[i], NULL, writer, (void *)i))
            fail("thread", i, 0);
    for (int round = 0; round < rounds; round++) {
        usleep(3000);
        atomic_store(&writable, 0);
        if (mprotect(shared, PAGE, PROT_READ))
            fail("mprotect", round, 0);
        for (int i = 1; i < n; i++)
            seen[i] = ((volatile unsigned long *)shared)[i * 8];
        usleep(3000);
        for (int i = 1; i < n; i++)
            if (((volatile unsigned long *)shared)[i * 8] != seen[i])
                fail("a write went through a protection of", i, round);
        if (mprotect(shared, PAGE, PROT_READ | PROT_WRITE))
            fail("mprotect", round, 1);
        atomic_store(&writable, 1);
    }
    for (int i = 1; i < n; i++) /* with fewer processors than threads, some have not had a turn yet */
        for (int waits = 0; waits < 6000 && !((volatile unsigned long *)shared)[i * 8]; waits++)
            usleep(10000);
    atomic_store(&stop, 1);
    for (int i = 1; i < n; i++)
        if (pthread_join(thread[i], &rc) || rc)
            fail("join", i, (long)rc);
        else if (!shared[i * 8])
            fail("nothing was written by", i, 0);
    if (failures == before)
        say("@SMP protect ok %d threads %d rounds\n", n, rounds);
}

/* ---- processors that come and go ---- */

static void turn(int cpu, bool on)
{
    char path[64];
    int fd;

    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
    fd = open(path, O_WRONLY);
    if (fd < 0 || write(fd, on ? "1" : "0", 1) != 1 || online(cpu) != on)
        fail(on ? "online" : "offline", cpu, 0);
    if (fd >= 0)
        close(fd);
}

static void hotplug(int n, int times)
{
    int before = failures;

    for (int t = 0; t < times; t++) {
        for (int cpu = 1; cpu < n; cpu++) {
            turn(cpu, false);
            if (sysconf(_SC_NPROCESSORS_ONLN) != n - 1)
                fail("processors online", sysconf(_SC_NPROCESSORS_ONLN), cpu);
            turn(cpu, true);
            stress((int[]){cpu, 0}, 2, 2);
        }
    }
    for (int cpu = 1; cpu < n; cpu++)
        turn(cpu, false);
    stress((int[]){0}, 1, 2);
    for (int cpu = 1; cpu < n; cpu++)
        turn(cpu, true);
    if (failures == before)
        say("@SMP hotplug ok %d processors %d times\n", n, times);
}

int main(void)
{
    int n, cpu[MAX_CPUS], rounds, times;

    mount("proc", "/proc", "proc", 0, NULL);
    mount("sysfs", "/sys", "sysfs", 0, NULL);
    n = sysconf(_SC_NPROCESSORS_ONLN);
    say("@SMP cpus %d\n", n);
    if (n > MAX_CPUS)
        n = MAX_CPUS;
    for (int i = 0; i < n; i++)
        cpu[i] = i;
    rounds = number("smp.rounds=", 20);
    times = number("smp.hotplug=", 0);
    stress(cpu, n, rounds);
    if (n > 1)
        protect(n, rounds);
    pin(0);
    if (times && n > 1) {
        hotplug(n, times);
        stress(cpu, n, rounds);
    }
    say(failures ? "@SMP failed %d\n" : "@SMP done\n", failures);
    sync();
    usleep(100000);
    reboot(RB_POWER_OFF);
    return 0;
}

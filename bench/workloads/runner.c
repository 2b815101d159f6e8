/* SPDX-License-Identifier: MIT */
/*
 * The runner: /init of the Linux guest image. It prepares the guest, runs the workloads that the
 * kernel command line names, tells the harness on the console what each measured interval was, and
 * powers off.
 *
 *     pgn.workloads=a,b,c   workloads or suites ("micro", "macro-1"), in this order; default
 * "micro". `+` separates too, for boot loaders that give the comma a meaning of their own.
 *     pgn.seeds=1,2,3       perturbations (perturb.c), default 1,2,3,4,5
 *     pgn.warmup=N          intervals before the measured ones, default 1: for every seed, but
 * under the first seed only for workloads that are WORKLOAD_WARM_ONCE. Warm-up intervals have a
 * quarter of the operations (at least one), no marks and no line. pgn.iters=N           measured intervals per seed, default 3 pgn.shell=1 an
 * interactive shell instead
 *
 * Each workload runs in a fresh process (this program executed again with --worker). Between the
 * marks is nothing but the workload's `run`. Before the begin mark the console is drained, the
 * system idles for QUIET_MS so that deferred work of what came before is done, a seeded spin moves
 * the phase of the tick, and workloads that ask for it run their lead.
 *
 * A workload that fails, crashes or cannot be found costs an `error` line, and the next one runs.
 * If it dies between the marks, the runner sets the end mark for it: there is one `sample` line for
 * every pair of marks, always. `guest-init --list`, on any Linux, prints the table of workloads as
 * JSON instead. Does not: measure time, read random devices, touch a disk or a network but
 * loopback.
 */
#define _GNU_SOURCE
#include <alloca.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <net/if.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "../mark.h"
#include "runner.h"
#include "workload.h"

#define SEEDS_MAX    64
#define NAMES_MAX    128
/* Before the first workload: what the boot left to idle time ends, on Debian's Xen the scrubbing of free memory. */
#define SETTLE_MS    1000
#define QUIET_MS     20
#define WARMUP_SHARE 4 /* a warm-up interval has so much fewer operations than a measured one */
/* Six ticks at 250 Hz: RCU grace periods and the exit of a large process end within, on every platform. */
#define DEFER_MS     24
#define STATE_PATH   "/run/interval"
#define RANDOM_PATH  "/run/random"
#define RANDOM_BYTES 65536

struct options {
    char cmdline[4096]; /* cut into words; the fields below point into it */
    const char *names[NAMES_MAX];
    size_t nr_names;
    uint64_t seeds[SEEDS_MAX];
    size_t nr_seeds;
    unsigned warmup, iters;
    int shell;
};

/* What the worker is doing, in a file both map: if it dies, the runner closes its interval. */
struct interval_state {
    int open;
    uint64_t seed;
    unsigned iter;
    unsigned long ops;
};

static char failure[256] = "no reason given";

int fail(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(failure, sizeof(failure), fmt, ap);
    va_end(ap);
    return -1;
}

int populate(void *p, unsigned long bytes)
{
    return madvise(p, bytes, MADV_POPULATE_WRITE) ? fail("populate: %m") : 0;
}

static void report_error(const char *workload, const char *msg)
{
    static struct line l;

    line_begin(&l, "error");
    line_string(&l, "workload", workload);
    line_string(&l, "msg", msg);
    line_send(&l);
}

static const char *kind_of(const struct workload *w)
{
    return strcmp(w->suite, "micro") == 0 ? "micro" : "macro";
}

/* The members that say what a workload is */
static void describe(struct line *l, const struct workload *w)
{
    char params[2048];

    line_string(l, "workload", w->name);
    line_string(l, "kind", kind_of(w));
    line_string(l, "suite", w->suite);
    line_string(l, "unit", w->unit);
    line_number(l, "ops", (long long)w->ops);
    snprintf(params, sizeof(params), "{%s}", w->params ? w->params : "");
    line_json(l, "params", params);
}

static void report_begin(const struct workload *w)
{
    static struct line l;

    line_begin(&l, "begin");
    describe(&l, w);
    line_send(&l);
}

/* The table as a JSON array, one workload a line */
static int list(void)
{
    static struct line l;

    for (size_t i = 0; workload_table[i]; i++) {
        line_begin(&l, "workload");
        describe(&l, workload_table[i]);
        printf("%c%s}\n", i ? ',' : '[', strchr(l.text, '{'));
    }
    return puts("]") < 0;
}

static void report_sample(const struct workload *w, const struct interval_state *s, int failed)
{
    static struct line l;

    line_begin(&l, "sample");
    line_string(&l, "workload", w->name);
    line_string(&l, "kind", kind_of(w));
    line_number(&l, "seed", (long long)s->seed);
    line_number(&l, "iter", s->iter);
    line_number(&l, "ops", (long long)s->ops);
    if (failed)
        line_json(&l, "failed", "true");
    line_send(&l);
}

static void sleep_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    while (nanosleep(&t, &t) && errno == EINTR)
        ;
}

static struct interval_state *map_state(void)
{
    struct interval_state *s;
    int fd = open(STATE_PATH, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0 || ftruncate(fd, PAGE))
        return NULL;
    s = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return s == MAP_FAILED ? NULL : s;
}

static int measure(const struct workload *w, struct interval_state *s)
{
    int failed;

    if (w->prepare && w->prepare())
        return -1;
    tcdrain(STDOUT_FILENO);
    sleep_ms(QUIET_MS);
    perturb_spin(s->seed, s->iter);
    if (w->lead && w->run(w->lead))
        return -1;

    s->open = 1;
    MARK_BEGIN();
    failed = w->run(w->ops);
    if (w->flags & WORKLOAD_DEFERS)
        sleep_ms(DEFER_MS);
    MARK_END();
    s->open = 0;

    if (w->finish)
        w->finish();
    report_sample(w, s, failed);
    return failed;
}

static int warm_up(const struct workload *w)
{
    int failed;

    if (w->prepare && w->prepare())
        return -1;
    failed = w->run(w->ops < WARMUP_SHARE ? 1 : w->ops / WARMUP_SHARE);
    if (w->finish)
        w->finish();
    return failed;
}

/* One seed, on a stack that the seed has moved */
static __attribute__((noinline)) int run_seed(const struct workload *w, const struct options *o,
                                              struct interval_state *s, unsigned warmup)
{
    volatile char *pad = alloca(perturb_stack(s->seed) + 16);
    int failed = 0;

    pad[0] = 0;
    for (unsigned i = 0; i < warmup && !failed; i++)
        failed = warm_up(w);
    for (s->iter = 0; s->iter < o->iters && !failed; s->iter++)
        failed = measure(w, s);
    return failed;
}

static int run_seeds(const struct workload *w, const struct options *o, struct interval_state *s)
{
    for (size_t i = 0; i < o->nr_seeds; i++) {
        int warm = i == 0 || !(w->flags & WORKLOAD_WARM_ONCE);
        int failed, kept;

        s->seed = o->seeds[i];
        s->ops = w->ops;
        kept = perturb_begin(s->seed);
        if (kept < 0 && s->seed)
            return -1;
        failed = w->setup ? w->setup(s->seed) : 0;
        if (!failed)
            failed = run_seed(w, o, s, warm ? o->warmup : 0);
        if (w->teardown && !failed)
            w->teardown();
        perturb_end(kept);
        if (failed)
            return -1;
    }
    return 0;
}

static const struct workload *find(const char *name)
{
    for (size_t i = 0; workload_table[i]; i++)
        if (strcmp(workload_table[i]->name, name) == 0)
            return workload_table[i];
    return NULL;
}

/* The process of one workload */
static int worker(const char *name, const struct options *o)
{
    const struct workload *w = find(name);
    struct interval_state *s = map_state();

    if (!w || !s) {
        report_error(name, w ? "no state file" : "no such workload");
        return 1;
    }
    report_begin(w);
    if ((w->open && w->open()) || run_seeds(w, o, s)) {
        report_error(name, failure);
        return 1;
    }
    if (w->close)
        w->close();
    return 0;
}

static void mount_or_report(const char *type, const char *at, const char *options)
{
    mkdir(at, 0755);
    if (mount(type, at, type, 0, options) && errno != EBUSY)
        report_error(at, strerror(errno));
}

/* No workload finds what another has left: processes (all but ourselves) and files. */
static void clean_up(void)
{
    kill(-1, SIGKILL);
    while (wait(NULL) > 0 || errno == EINTR)
        ;
    if (umount("/tmp"))
        report_error("/tmp", strerror(errno));
    mount_or_report("tmpfs", "/tmp", "mode=1777");
}

/* Start a worker, wait for it (and for orphans, which are ours), close the interval it may have
 * left open. */
static void run_workload(const struct workload *w, struct interval_state *s)
{
    char *argv[] = {"/init", "--worker", (char *)w->name, NULL};
    char text[80];
    int status = 0;
    pid_t child, ended;

    s->open = 0;
    child = fork();
    if (child < 0) {
        report_error(w->name, "fork failed");
        return;
    }
    if (child == 0) {
        setsid();
        execv("/proc/self/exe", argv);
        _exit(127);
    }
    while ((ended = wait(&status)) != child)
        if (ended < 0 && errno != EINTR)
            break;
    if (s->open) {
        MARK_END();
        s->open = 0;
        report_sample(w, s, 1);
    }
    if (WIFSIGNALED(status)) {
        snprintf(text, sizeof(text), "killed by signal %d", WTERMSIG(status));
        report_error(w->name, text);
    }
    clean_up();
}

static void run_named(const char *name, struct interval_state *s)
{
    int found = 0;

    for (size_t i = 0; workload_table[i]; i++) {
        const struct workload *w = workload_table[i];

        if (strcmp(w->name, name) == 0 || strcmp(w->suite, name) == 0) {
            run_workload(w, s);
            found = 1;
        }
    }
    if (!found)
        report_error(name, "no such workload or suite");
}

static void parse_words(struct options *o, char *list)
{
    o->nr_names = 0;
    for (char *save = NULL, *w = strtok_r(list, ",+", &save); w; w = strtok_r(NULL, ",+", &save))
        if (o->nr_names < NAMES_MAX)
            o->names[o->nr_names++] = w;
}

static void parse_seeds(struct options *o, char *list)
{
    o->nr_seeds = 0;
    for (char *save = NULL, *w = strtok_r(list, ",+", &save); w; w = strtok_r(NULL, ",+", &save))
        if (o->nr_seeds < SEEDS_MAX)
            o->seeds[o->nr_seeds++] = strtoull(w, NULL, 0);
}

static void parse_options(struct options *o)
{
    *o = (struct options){.names = {"micro"},
                          .nr_names = 1,
                          .seeds = {1, 2, 3, 4, 5},
                          .nr_seeds = 5,
                          .warmup = 1,
                          .iters = 3};
    slurp("/proc/cmdline", o->cmdline, sizeof(o->cmdline));
    for (char *save = NULL, *w = strtok_r(o->cmdline, " \t", &save); w;
         w = strtok_r(NULL, " \t", &save)) {
        char *value = strchr(w, '=');

        if (strncmp(w, "pgn.", 4) || !value)
            continue;
        *value++ = 0;
        if (strcmp(w, "pgn.workloads") == 0)
            parse_words(o, value);
        else if (strcmp(w, "pgn.seeds") == 0)
            parse_seeds(o, value);
        else if (strcmp(w, "pgn.warmup") == 0)
            o->warmup = (unsigned)strtoul(value, NULL, 0);
        else if (strcmp(w, "pgn.iters") == 0)
            o->iters = (unsigned)strtoul(value, NULL, 0);
        else if (strcmp(w, "pgn.shell") == 0)
            o->shell = atoi(value);
    }
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        report_error(path, strerror(errno));
    if (fd >= 0)
        close(fd);
}

static void loopback_up(void)
{
    struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr))
        report_error("loopback", strerror(errno));
    if (fd >= 0)
        close(fd);
}

/*
 * No randomness: what reads a random device gets the same bytes each time it opens it; what asks by
 * system call gets the kernel's generator, seeded so that nobody waits for interrupts.
 */
static void fix_random(void)
{
    static const char *const device[] = {"/dev/random", "/dev/urandom"};
    struct {
        struct rand_pool_info info;
        unsigned char bytes[64];
    } pool = {.info = {.entropy_count = 512, .buf_size = 64}, .bytes = "parangon"};
    int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);

    if (fd < 0 || ioctl(fd, RNDADDENTROPY, &pool))
        report_error("random", strerror(errno));
    if (fd >= 0)
        close(fd);

    fd = open(RANDOM_PATH, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || perturb_write_random(fd, RANDOM_BYTES) || close(fd))
        report_error(RANDOM_PATH, strerror(errno));
    for (size_t i = 0; i < sizeof(device) / sizeof(device[0]); i++)
        if (mount(RANDOM_PATH, device[i], NULL, MS_BIND, NULL))
            report_error(device[i], strerror(errno));
}

static void open_console(void)
{
    int fd = open("/dev/console", O_RDWR);

    if (fd < 0)
        return;
    dup2(fd, STDIN_FILENO);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

static void prepare_guest(void)
{
    mount_or_report("devtmpfs", "/dev", "");
    open_console();
    mount_or_report("proc", "/proc", "");
    mount_or_report("sysfs", "/sys", "");
    mount_or_report("tmpfs", "/tmp", "mode=1777");
    mount_or_report("tmpfs", "/run", "mode=0755");
    mount_or_report("tmpfs", "/dev/shm", "mode=1777");
    write_file("/proc/sys/kernel/randomize_va_space", "0");
    sethostname("guest", 5);
    loopback_up();
    fix_random();

    clearenv();
    setenv("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
    setenv("HOME", "/root", 1);
    setenv("LC_ALL", "C", 1);
    setenv("TZ", "UTC", 1);
}

static void interactive_shell(void)
{
    pid_t child = fork();

    if (child == 0) {
        setsid();
        ioctl(STDIN_FILENO, TIOCSCTTY, 1);
        execl("/bin/sh", "sh", "-i", NULL);
        _exit(127);
    }
    while (wait(NULL) != child)
        ;
}

int main(int argc, char **argv)
{
    static struct options options;
    static struct line l;
    struct interval_state *state;

    if (argc == 3 && strcmp(argv[1], "--worker") == 0) {
        parse_options(&options);
        return worker(argv[2], &options);
    }
    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return list();
    if (getpid() != 1) {
        fprintf(stderr, "%s is /init of a guest image: guests/linux/README.md\n", argv[0]);
        return 2;
    }

    MARK_INIT();
    prepare_guest();
    parse_options(&options);
    env_report();
    state = map_state();
    if (options.shell)
        interactive_shell();
    else if (!state)
        report_error("runner", "cannot map " STATE_PATH);
    else {
        sleep_ms(SETTLE_MS);
        for (size_t i = 0; i < options.nr_names; i++)
            run_named(options.names[i], state);
    }

    env_report_interrupts();
    line_begin(&l, "done");
    line_send(&l);
    tcdrain(STDOUT_FILENO);
    sleep_ms(QUIET_MS);
    reboot(RB_POWER_OFF);
    for (;;)
        pause();
}

/* SPDX-License-Identifier: MIT */
/* The run engine (run.h). */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/paths.h"
#include "bench/run.h"

#define TICK_NS       100000000L /* how often machines are looked at */
#define GRACE_SECONDS 15.0       /* for a guest to power off after its `done` */
#define TERM_SECONDS  3.0        /* between SIGTERM and SIGKILL */
#define IDLE_SHARE    0.02       /* of a core: a machine that works less does nothing */
#define TAIL_LINES    12         /* of a console, in messages */
#define SPACE_NEEDED  (64ull << 20)
#define QEMU_MESSAGES "qemu.log"

static volatile sig_atomic_t interrupted;

static void on_signal(int signal)
{
    interrupted = signal;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

unsigned run_cores(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

void boot_free(struct boot *boot)
{
    words_free(&boot->argv);
    for (size_t i = 0; i < boot->nr_links; i++) {
        free(boot->link[i].name);
        free(boot->link[i].target);
    }
    free(boot->name);
    free(boot->shown);
    free(boot->failure);
    free(boot->console);
    free(boot->intervals);
    free(boot->entries);
    *boot = (struct boot){0};
}

/* Read a whole file into fresh memory with a NUL behind it; NULL when it cannot be read. */
static char *read_whole(const char *folder, const char *name, size_t *size)
{
    char *path = format("%s/%s", folder, name), *text = NULL;
    FILE *in = fopen(path, "rb");
    struct stat info;

    *size = 0;
    if (in && fstat(fileno(in), &info) == 0 && (text = malloc(info.st_size + 1))) {
        *size = fread(text, 1, info.st_size, in);
        text[*size] = '\0';
    }
    if (in)
        fclose(in);
    free(path);
    return text;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info, (void)type, (void)at;
    return remove(path);
}

static void remove_tree(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- progress ---- */

struct board {
    struct boot *boots;
    size_t nr;
    double started, estimate;
    bool show, tty;
    unsigned cores;
};

static void board_event(const struct board *b, const struct boot *boot, const char *what)
{
    if (b->show)
        fprintf(stderr, "%s%-34s %s\n", b->tty ? "\r\033[K" : "", boot->name, what);
}

/* What is left, by the estimates of those that have not ended; those that have correct the others'
 * estimates. */
static double board_left(const struct board *b)
{
    double expected = 0, took = 0, left = 0, running = 0;

    for (size_t i = 0; i < b->nr; i++)
        if (b->boots[i].state == BOOT_ENDED) {
            expected += b->boots[i].estimate;
            took += b->boots[i].seconds;
        }
    for (size_t i = 0; i < b->nr; i++) {
        const struct boot *boot = &b->boots[i];
        double rest = boot->estimate * (expected > 0 ? took / expected : 1);

        if (boot->state == BOOT_RUNS)
            rest -= now() - boot->started;
        if (boot->state == BOOT_ENDED || rest < 0)
            rest = 0;
        left += rest;
        if (rest > running)
            running = rest;
    }
    left /= b->cores;
    return left > running ? left : running;
}

static void board_line(const struct board *b)
{
    size_t ended = 0;
    int left = (int)board_left(b), used, width = 100;

    if (!b->show || !b->tty)
        return;
    for (size_t i = 0; i < b->nr; i++)
        ended += b->boots[i].state == BOOT_ENDED;
    used = fprintf(stderr, "\r\033[K%zu of %zu machines, about %d:%02d left", ended, b->nr,
                   left / 60, left % 60);
    for (size_t i = 0; i < b->nr && used < width; i++)
        if (b->boots[i].state == BOOT_RUNS)
            used += fprintf(stderr, " | %.*s %.24s", 24, b->boots[i].name, b->boots[i].activity);
    fflush(stderr);
}

/* ---- one machine ---- */

/* The last lines of a console, each indented. */
static char *tail_of(const char *text, size_t size)
{
    const char *from = text + size;
    char *result = NULL;
    int lines = 0;
    size_t length;
    FILE *out = open_memstream(&result, &length);

    if (!out)
        abort();
    while (from > text && (lines += from[-1] == '\n') <= TAIL_LINES)
        from--;
    for (bool fresh = true; *from; from++) {
        if (fresh)
            fputs("\n    | ", out);
        fresh = *from == '\n';
        if (!fresh && *from != '\r')
            fputc(*from, out);
    }
    fclose(out);
    return result;
}

static void boot_fail(struct boot *boot, const char *why)
{
    char *tail = boot->console_size ? tail_of(boot->console, boot->console_size)
                                    : format(" (it said nothing)");

    free(boot->failure);
    boot->failure = format("%s: %s; the end of its console:%s", boot->name, why, tail);
    free(tail);
}

/* Processor time that a process has used, seconds; 0 when it cannot be found out. */
static double work_seconds(int pid)
{
    char *path = format("/proc/%d/stat", pid), line[1024], *at;
    unsigned long user = 0, system = 0;
    FILE *in = fopen(path, "r");

    if (in) {
        if (fgets(line, sizeof line, in) && (at = strrchr(line, ')')))
            sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
        fclose(in);
    }
    free(path);
    return (double)(user + system) / sysconf(_SC_CLK_TCK);
}

/* Has a machine been silent for too long? What counts is how much it has worked since its last
 * word, so that a busy host kills nobody; a machine that does not work at all has the same limit
 * by the clock. */
static bool silent_too_long(const struct boot *boot, double limit)
{
    double silent = now() - boot->last_word, worked;

    if (silent <= limit)
        return false;
    worked = work_seconds(boot->pid) - boot->work_at_word;
    return worked > limit || worked < silent * IDLE_SHARE;
}

/* Note what the console has said since the last look: the guest's progress lines. */
static void boot_listen(struct boot *boot)
{
    char *path = format("%s/" BOOT_CONSOLE, boot->folder), line[512];
    FILE *in = fopen(path, "r");
    struct stat info;
    char *event, *name;

    free(path);
    if (!in)
        return;
    if (fstat(fileno(in), &info) == 0 && (size_t)info.st_size != boot->said) {
        boot->said = info.st_size;
        boot->last_word = now();
        boot->work_at_word = work_seconds(boot->pid);
    }
    fseek(in, boot->seen, SEEK_SET);
    while (fgets(line, sizeof line, in)) {
        if (!strchr(line, '\n') && strlen(line) < sizeof line - 1)
            break; /* not whole yet: look at it again */
        boot->seen = ftell(in);
        event = strstr(line, "@PGN {\"ev\":\"");
        if (!event)
            continue;
        event += strlen("@PGN {\"ev\":\"");
        if (strncmp(event, "done\"", 5) == 0)
            boot->done_line = true;
        boot->samples += strncmp(event, "sample\"", 7) == 0;
        if (strncmp(event, "begin\"", 6) == 0 && (name = strstr(event, "\"workload\":\""))) {
            name += strlen("\"workload\":\"");
            snprintf(boot->activity, sizeof boot->activity, "%.*s", (int)strcspn(name, "\""), name);
        }
    }
    fclose(in);
}

static void child(const struct boot *boot, pid_t parent)
{
    sigset_t none;
    int null = open("/dev/null", O_RDONLY), log;

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || chdir(boot->folder) < 0)
        _exit(126);
    log = open(QEMU_MESSAGES, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    dup2(null, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv(boot->argv.word[0], boot->argv.word);
    dprintf(STDERR_FILENO, "cannot run %s: %s\n", boot->argv.word[0], strerror(errno));
    _exit(127);
}

static int make_links(const struct boot *boot)
{
    for (size_t i = 0; i < boot->nr_links; i++) {
        char *path = format("%s/%s", boot->folder, boot->link[i].name);
        int result = symlink(boot->link[i].target, path);

        free(path);
        if (result < 0)
            return -1;
    }
    return 0;
}

static void boot_start(struct boot *boot, const char *folder, const struct board *board)
{
    pid_t self = getpid();

    boot->folder = format("%s/%s", folder, boot->name);
    boot->started = boot->last_word = now();
    boot->stop_at = 0;
    boot->work_at_word = 0;
    snprintf(boot->activity, sizeof boot->activity, "boots");
    if (mkdir(boot->folder, 0777) < 0 || make_links(boot) < 0 || (boot->pid = fork()) < 0) {
        boot->failure = format("%s: cannot be started: %s", boot->name, strerror(errno));
        boot->state = BOOT_ENDED;
        return;
    }
    if (boot->pid == 0)
        child(boot, self);
    setpgid(boot->pid, boot->pid);
    boot->state = BOOT_RUNS;
    if (!board->tty)
        board_event(board, boot, "starts");
}

/* Why a machine that has ended is not as it should be; NULL when it is. Caller frees. */
static char *verdict(const struct boot *boot, int status)
{
    size_t size;
    char *said, *last, *why;

    if ((boot->done_line && ((WIFEXITED(status) && WEXITSTATUS(status) == 0) || boot->stop_at > 0)) ||
        (boot->stop_after && boot->samples >= boot->stop_after))
        return NULL;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return format("the machine ended before its guest was done");
    said = read_whole(boot->folder, QEMU_MESSAGES, &size);
    while (size && said[size - 1] == '\n')
        said[--size] = '\0';
    last = size ? (strrchr(said, '\n') ? strrchr(said, '\n') + 1 : said) : "(it gave no reason)";
    if (WIFSIGNALED(status))
        why = format("QEMU was ended by signal %d (%s): %s", WTERMSIG(status),
                     strsignal(WTERMSIG(status)), last);
    else
        why = format("QEMU ended with status %d: %s", WEXITSTATUS(status), last);
    free(said);
    return why;
}

/* Collect what an ended machine has left, and take its folder away. */
static void boot_collect(struct boot *boot, int status, const struct rusage *used,
                         const struct board *board)
{
    size_t entries_size;
    char *why, *text;

    boot_listen(boot);
    boot->work = used->ru_utime.tv_sec + used->ru_stime.tv_sec +
                 (used->ru_utime.tv_usec + used->ru_stime.tv_usec) * 1e-6;
    boot->seconds = now() - boot->started;
    boot->state = BOOT_ENDED;
    boot->console = read_whole(boot->folder, BOOT_CONSOLE, &boot->console_size);
    boot->intervals = read_whole(boot->folder, BOOT_INTERVALS, &boot->intervals_size);
    boot->entries = read_whole(boot->folder, BOOT_ENTRIES, &entries_size);
    if (!boot->killed && (why = verdict(boot, status))) {
        boot_fail(boot, why);
        free(why);
    } else if (boot->killed && !interrupted) {
        text = format("killed after %.0f s at \"%s\", its last word %.0f s ago (--time-limit "
                      "changes the limit)",
                      boot->seconds, boot->activity, now() - boot->last_word);
        boot_fail(boot, text);
        free(text);
    }
    remove_tree(boot->folder);
    free(boot->folder);
    boot->folder = NULL;
    text = format("%s after %.0f s, %.0f s of a processor", boot->failure ? "FAILED" : "done",
                  boot->seconds, boot->work);
    if (!interrupted)
        board_event(board, boot, text);
    free(text);
}

/* Look at a machine that runs: has it ended, is it to be stopped? */
static void boot_watch(struct boot *boot, const struct run_limits *limits,
                       const struct board *board)
{
    struct rusage used;
    int status;

    if (wait4(boot->pid, &status, WNOHANG, &used) == boot->pid) {
        boot_collect(boot, status, &used, board);
        return;
    }
    boot_listen(boot);
    if (boot->stop_at > 0) {
        if (now() > boot->stop_at + TERM_SECONDS)
            kill(-boot->pid, SIGKILL);
    } else if ((boot->done_line && now() - boot->last_word > GRACE_SECONDS) ||
               (boot->stop_after && boot->samples >= boot->stop_after)) {
        boot->stop_at = now(); /* all is said; it only does not power off, or need not go on */
        kill(-boot->pid, SIGTERM);
    } else if (silent_too_long(boot, limits->silence_seconds) ||
               now() - boot->started > limits->total_seconds) {
        boot->stop_at = now();
        boot->killed = true;
        kill(-boot->pid, SIGTERM);
    }
}

/* End every machine that runs, and wait for it. */
static void kill_all(struct boot *boots, size_t nr)
{
    for (int force = 0; force < 2; force++) {
        double until = now() + TERM_SECONDS;
        bool some = true;

        for (size_t i = 0; i < nr; i++)
            if (boots[i].state == BOOT_RUNS)
                kill(-boots[i].pid, force ? SIGKILL : SIGTERM);
        while (some && now() < until) {
            some = false;
            for (size_t i = 0; i < nr; i++) {
                if (boots[i].state != BOOT_RUNS)
                    continue;
                if (waitpid(boots[i].pid, NULL, WNOHANG) == boots[i].pid) {
                    boots[i].state = BOOT_ENDED;
                    boots[i].killed = true;
                } else {
                    some = true;
                }
            }
            nanosleep(&(struct timespec){.tv_nsec = TICK_NS / 5}, NULL);
        }
    }
}

/* A machine that ended badly without a word, where none has said one yet: QEMU itself does not work
 * here. */
static bool hopeless(const struct boot *boots, size_t nr)
{
    bool failed = false;

    for (size_t i = 0; i < nr; i++) {
        if (boots[i].said || boots[i].console_size)
            return false;
        failed |= boots[i].failure && boots[i].state == BOOT_ENDED && !boots[i].killed;
    }
    return failed;
}

/* Give machines that never ran their reason. */
static void give_up(struct boot *boots, size_t nr)
{
    kill_all(boots, nr);
    for (size_t i = 0; i < nr; i++)
        if (!boots[i].failure)
            boots[i].failure = format("%s: not run: no machine works here", boots[i].name);
}

static struct boot *longest_waiting(struct boot *boots, size_t nr)
{
    struct boot *best = NULL;

    for (size_t i = 0; i < nr; i++)
        if (boots[i].state == BOOT_WAITS && (!best || boots[i].estimate > best->estimate))
            best = &boots[i];
    return best;
}

/* A failure without the name of its machine. */
static const char *reason(const struct boot *boot)
{
    return boot->failure + strlen(boot->name) + 2;
}

size_t run_say_failures(const struct boot *boots, size_t nr)
{
    size_t failed = 0;

    for (size_t i = 0; i < nr; i++) {
        size_t alike = 0;
        bool said = false;

        if (!boots[i].failure)
            continue;
        failed++;
        for (size_t k = 0; k < nr; k++)
            if (boots[k].failure && strcmp(reason(&boots[k]), reason(&boots[i])) == 0) {
                said |= k < i;
                alike += k > i;
            }
        if (!said && alike)
            fprintf(stderr, "parangon: %s and %zu more: %s\n", boots[i].name, alike,
                    reason(&boots[i]));
        else if (!said)
            fprintf(stderr, "parangon: %s\n", boots[i].failure);
    }
    return failed;
}

void boot_link(struct boot *boot, const char *name, const char *target)
{
    if (boot->nr_links == BOOT_LINKS_MAX)
        abort();
    boot->link[boot->nr_links].name = format("%s", name);
    boot->link[boot->nr_links++].target = format("%s", target);
}

double run_estimate(const struct boot *boots, size_t nr, unsigned cores)
{
    double *busy = calloc(cores, sizeof *busy), longest = 0;
    bool *taken = calloc(nr ? nr : 1, sizeof *taken);

    if (!busy || !taken)
        abort();
    for (size_t n = 0; n < nr; n++) {
        size_t best = nr, core = 0;

        for (size_t i = 0; i < nr; i++)
            if (!taken[i] && (best == nr || boots[i].estimate > boots[best].estimate))
                best = i;
        for (size_t c = 1; c < cores; c++)
            if (busy[c] < busy[core])
                core = c;
        taken[best] = true;
        busy[core] += boots[best].estimate;
        if (busy[core] > longest)
            longest = busy[core];
    }
    free(taken);
    free(busy);
    return longest;
}

void run_say_work(const struct boot *boots, size_t nr)
{
    double all = 0;

    fprintf(stderr, "parangon: processor seconds, used (estimated):");
    for (size_t i = 0; i < nr; i++) {
        fprintf(stderr, "%s %s %.0f (%.0f)", i % 3 ? "," : i ? ",\n   " : "\n   ", boots[i].name,
                boots[i].work, boots[i].estimate);
        all += boots[i].work;
    }
    fprintf(stderr, "\n    together %.0f\n", all);
}

/* A temporary folder with room in it; NULL with a message on stderr. */
static char *make_folder(void)
{
    const char *base = paths_temporary();
    char *folder = format("%s/parangon.XXXXXX", base);
    struct statvfs space;

    if (!mkdtemp(folder)) {
        fprintf(
            stderr,
            "parangon: cannot make a temporary folder in %s: %s (TMPDIR chooses another place)\n",
            base, strerror(errno));
        free(folder);
        return NULL;
    }
    if (statvfs(folder, &space) == 0 &&
        (unsigned long long)space.f_bavail * space.f_frsize < SPACE_NEEDED) {
        fprintf(stderr,
                "parangon: %s has %llu MiB free, a run needs %llu (TMPDIR chooses another place)\n",
                base, (unsigned long long)space.f_bavail * space.f_frsize >> 20,
                SPACE_NEEDED >> 20);
        rmdir(folder);
        free(folder);
        return NULL;
    }
    return folder;
}

int run_boots(struct boot *boots, size_t nr, const struct run_limits *limits)
{
    struct sigaction act = {.sa_handler = on_signal}, before[3];
    static const int signals[3] = {SIGINT, SIGTERM, SIGHUP};
    struct board board = {.boots = boots,
                          .nr = nr,
                          .started = now(),
                          .show = limits->progress,
                          .tty = isatty(STDERR_FILENO),
                          .cores = limits->cores ? limits->cores : run_cores()};
    char *folder = make_folder();
    size_t running = 0, left = nr;

    if (!folder)
        return -1;
    interrupted = 0;
    for (int i = 0; i < 3; i++)
        sigaction(signals[i], &act, &before[i]);

    while (left && !interrupted) {
        struct boot *next;

        while (running < board.cores && (next = longest_waiting(boots, nr))) {
            boot_start(next, folder, &board);
            if (next->state == BOOT_RUNS)
                running++;
            else
                left--;
        }
        nanosleep(&(struct timespec){.tv_nsec = TICK_NS}, NULL);
        for (size_t i = 0; i < nr; i++) {
            if (boots[i].state != BOOT_RUNS)
                continue;
            boot_watch(&boots[i], limits, &board);
            if (boots[i].state == BOOT_ENDED) {
                running--;
                left--;
            }
        }
        if (hopeless(boots, nr)) {
            give_up(boots, nr);
            break;
        }
        board_line(&board);
    }
    if (board.show && board.tty)
        fprintf(stderr, "\r\033[K");
    if (interrupted) {
        kill_all(boots, nr);
        fprintf(stderr, "parangon: interrupted; machines stopped, nothing kept\n");
    }
    for (size_t i = 0; i < nr; i++) {
        free(boots[i].folder);
        boots[i].folder = NULL;
    }
    remove_tree(folder);
    free(folder);
    for (int i = 0; i < 3; i++)
        sigaction(signals[i], &before[i], NULL);
    return interrupted ? STATUS_INTERRUPTED : 0;
}

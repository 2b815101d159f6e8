/* SPDX-License-Identifier: MIT */
/*
 * Running the programs of the guest image (program.h).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "program.h"
#include "runner.h"
#include "workload.h"

#define POLL_MS    10
#define POLL_TRIES 6000

static int redirect(const char *path, int flags, int to)
{
    int fd = open(path ? path : "/dev/null", flags, 0644);

    return fd < 0 || dup2(fd, to) < 0 || (fd != to && close(fd)) ? -1 : 0;
}

static _Noreturn void become(const struct program *p)
{
    if (redirect(p->input, O_RDONLY, STDIN_FILENO) ||
        redirect(p->output, O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO) ||
        redirect(PROGRAM_LOG, O_WRONLY | O_CREAT | O_APPEND, STDERR_FILENO))
        _exit(126);
    if (p->uid && (setgroups(0, NULL) || setgid(p->uid) || setuid(p->uid)))
        _exit(126);
    execv(p->argv[0], (char *const *)p->argv);
    _exit(127);
}

/* The end of what it wrote to its standard error, for the error line */
static const char *last_words(void)
{
    static char text[8192];
    char *line;

    slurp(PROGRAM_LOG, text, sizeof(text));
    line = strrchr(text, '\n');
    return line ? line + 1 : text;
}

int program_run(const struct program *p)
{
    int status;
    pid_t pid = fork();

    if (pid < 0)
        return fail("fork: %m");
    if (pid == 0)
        become(p);
    if (waitpid(pid, &status, 0) != pid)
        return fail("waitpid: %m");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    return fail("%s ended with status %#x: %s", p->argv[0], status, last_words());
}

pid_t program_start(const struct program *p)
{
    pid_t pid = fork();

    if (pid < 0)
        return fail("fork: %m");
    if (pid == 0) {
        setpgid(0, 0);
        become(p);
    }
    return pid;
}

int program_connect(unsigned short port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (connect(fd, (struct sockaddr *)&at, sizeof(at))) {
        int saved = errno;

        close(fd);
        errno = saved;
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

int program_wait_port(pid_t pid, unsigned short port)
{
    struct timespec pause = {.tv_nsec = POLL_MS * 1000000};

    for (int i = 0; i < POLL_TRIES; i++) {
        int fd = program_connect(port);

        if (fd >= 0) {
            close(fd);
            return 0;
        }
        if (waitpid(pid, NULL, WNOHANG) == pid)
            return fail("the server of port %u has ended: %s", port, last_words());
        nanosleep(&pause, NULL);
    }
    return fail("nothing listens on port %u", port);
}

void program_stop(pid_t pid, int sig)
{
    if (pid > 0 && kill(pid, sig) == 0)
        waitpid(pid, NULL, 0);
}

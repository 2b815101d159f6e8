/* SPDX-License-Identifier: MIT */
/*
 * hold.h: a byte to the relay, a byte back. The relay may be started a moment after the machine, so the first time waits for its socket.
 */
#include "hold.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_MS 30000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* virtual processors may have a thread each */
static const char *path;
static int relay = -1;

void hold_setup(const char *socket)
{
    path = socket;
}

static int reach(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = -1;

    if (strlen(path) < sizeof(name.sun_path))
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strncpy(name.sun_path, path, sizeof(name.sun_path) - 1);
    for (int ms = 0; fd >= 0 && connect(fd, (struct sockaddr *)&name, sizeof(name)) < 0; ms++) {
        if (ms == PATIENCE_MS) {
            close(fd);
            return -1;
        }
        usleep(1000);
    }
    return fd;
}

void hold_machine(void)
{
    char byte = 0;

    pthread_mutex_lock(&lock);
    if (path && relay < 0)
        relay = reach();
    if (path && (relay < 0 || send(relay, &byte, 1, MSG_NOSIGNAL) != 1 || read(relay, &byte, 1) != 1)) {
        fprintf(stderr, "count plugin: nobody drains the trace ring at %s: records are lost\n", path);
        path = NULL;
    }
    pthread_mutex_unlock(&lock);
}

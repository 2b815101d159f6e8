/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's log: printk(), text of guests' consoles, and the ring that keeps the last 16 KiB
 * of both.
 *
 * Lock: the log's own, innermost but for none; a processor that finds it taken for very long (a
 * panic within printk) goes on without it. Does not: buffer output; arch_console_write() has sent
 * it when it returns.
 */
#include "log.h"
#include "arch.h"

#define LOG_RING_SIZE  KB(16)
#define LINE_MAX_CHARS 512

static char log_ring[LOG_RING_SIZE];
static u32 log_start, log_end; /* bytes since boot modulo 2^32; the ring holds [start, end) */
static bool line_begun; /* the last character was no newline */
static bool line_is_ours; /* ... and came from printk() */
static struct spinlock log_lock = SPINLOCK(LOCK_LOG);

static bool log_enter(void)
{
    for (unsigned int tries = 0; tries < 10000000; tries++) {
        if (spin_trylock(&log_lock))
            return true;
        __builtin_ia32_pause();
    }
    return false;
}

static void log_leave(bool entered)
{
    if (entered)
        spin_unlock(&log_lock);
}

static void emit(const char *s, size_t n)
{
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++)
        log_ring[log_end++ % LOG_RING_SIZE] = s[i];
    if (log_end - log_start > LOG_RING_SIZE)
        log_start = log_end - LOG_RING_SIZE;
    line_begun = s[n - 1] != '\n';
    arch_console_write(s, n);
}

void log_write(const char *s, size_t n)
{
    bool entered = log_enter();

    if (line_begun && line_is_ours)
        emit("\n", 1);
    emit(s, n);
    line_is_ours = false;
    log_leave(entered);
}

void log_domain_line(unsigned int domid, const char *s, size_t n)
{
    char prefix[16];
    bool entered = log_enter();

    if (line_begun)
        emit("\n", 1);
    emit(prefix, snprintf(prefix, sizeof(prefix), "(d%u) ", domid));
    emit(s, n);
    emit("\n", 1);
    log_leave(entered);
}

void printk(const char *fmt, ...)
{
    char line[LINE_MAX_CHARS];
    __builtin_va_list ap;
    int n;
    bool entered;

    __builtin_va_start(ap, fmt);
    n = vsnprintf(line, sizeof(line), fmt, ap);
    __builtin_va_end(ap);
    if (n <= 0)
        return;
    if ((size_t)n >= sizeof(line)) {
        n = sizeof(line) - 1;
        line[n - 1] = '\n';
    }

    entered = log_enter();
    if (line_begun && !line_is_ours)
        emit("\n", 1);
    if (!line_begun)
        emit("(prg) ", 6);
    emit(line, n);
    line_is_ours = true;
    log_leave(entered);
}

size_t log_read(u32 *from, char *dst, size_t n)
{
    bool entered = log_enter();
    size_t done = 0;

    if (log_end - *from > log_end - log_start)
        *from = log_start;
    while (done < n && *from != log_end)
        dst[done++] = log_ring[(*from)++ % LOG_RING_SIZE];
    log_leave(entered);
    return done;
}

void log_clear(void)
{
    bool entered = log_enter();

    log_start = log_end;
    log_leave(entered);
}

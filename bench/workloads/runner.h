/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the runner share: lines to the harness (report.c), facts about the guest
 * (env.c), perturbations (perturb.c). Workloads use workload.h only.
 */
#ifndef PARANGON_RUNNER_H
#define PARANGON_RUNNER_H

#include <stddef.h>
#include <stdint.h>

/* A line under construction; text beyond its end is dropped, and report_line() then says so. */
struct line {
    size_t used;
    int overflow;
    char text[12288];
};

/** Begin a line: an event of this kind, its JSON object still open. */
void line_begin(struct line *l, const char *event);

/** Append a member: a string (quoted and escaped here), a number, or JSON text as it is. */
void line_string(struct line *l, const char *key, const char *value);
void line_number(struct line *l, const char *key, long long value);
void line_json(struct line *l, const char *key, const char *json);

/** Open and close an object that is itself a member. */
void line_object_begin(struct line *l, const char *key);
void line_object_end(struct line *l);

/** Close the object and write the whole line to the console in one call. */
void line_send(struct line *l);

/**
 * Read a small file whole, without the newline at its end.
 *
 * @return  buf, or an empty string where the file cannot be read
 */
const char *slurp(const char *path, char *buf, size_t size);

/** Report the facts of this guest that could make platforms differ: one `env` line. */
void env_report(void);

/** Report /proc/interrupts as one line, event `interrupts`: vector name to count. */
void env_report_interrupts(void);

/**
 * Put the perturbation of a seed in place: pages allocated and kept, some of them freed, so that
 * allocations to come fall elsewhere; an environment variable PGN_PAD of seeded length for programs
 * executed later. Seed 0 is no perturbation. The pages belong to a memfd, not to the process: its
 * page tables, and so the cost of its fork, stay the same.
 *
 * @return  a file descriptor that holds the pages, -1 for seed 0 or on failure (reported with
 * fail())
 */
int perturb_begin(uint64_t seed);

/** Give the pages back. */
void perturb_end(int fd);

/** Bytes by which the stack is to be moved under this seed: a multiple of 16 below 4,096. */
size_t perturb_stack(uint64_t seed);

/** Write bytes of a fixed pseudo-random sequence to a file; -1 with errno if it cannot. */
int perturb_write_random(int fd, size_t bytes);

/** Execute a seeded number of instructions, up to one tick of HZ=250 at one instruction a
 * nanosecond. */
void perturb_spin(uint64_t seed, unsigned interval);

#endif

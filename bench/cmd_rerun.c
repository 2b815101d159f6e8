/* SPDX-License-Identifier: MIT */
/*
 * `parangon rerun FILE`: the plan of an earlier result again, on the same inputs and build; every
 * count must be the same.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/command.h"
#include "bench/measure.h"
#include "bench/plan.h"
#include "bench/provenance.h"

struct options {
    const char *file;
    struct measure_options measure;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;

    switch (key) {
    case ARGP_KEY_ARG:
        if (o->file)
            argp_error(state, "one result at a time");
        o->file = arg;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "which result?");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .parser = parse,
    .args_doc = "FILE",
    .doc = "Carry out the plan of a result again and compare: exit status 0 when every count is "
           "the same, 1 when one is "
           "not, 3 when inputs or hypervisor are other ones, so that no comparison would mean "
           "anything.",
};

static const struct run_sample *same_sample(const struct run *run, const struct run_sample *wanted)
{
    for (size_t i = 0; i < run->nr_samples; i++)
        if (run_sample_order(&(const struct run_sample *){&run->samples[i]},
                             &(const struct run_sample *){wanted}) == 0)
            return &run->samples[i];
    return NULL;
}

static uint64_t total(const struct run_sample *sample)
{
    return sample->interval.user + sample->interval.kernel + sample->interval.hypervisor;
}

/* Say how the second run differs; 0 when it does not. */
static int say_difference(const struct run *before, const struct run *after)
{
    char old_hex[65], new_hex[65];
    size_t differ = 0;

    run_fingerprint(before, old_hex);
    run_fingerprint(after, new_hex);
    for (size_t i = 0; i < before->nr_samples; i++) {
        const struct run_sample *old = &before->samples[i], *new = same_sample(after, old);

        if (new &&total(new) == total(old) && new->interval.hypervisor == old->interval.hypervisor)
            continue;
        if (differ++ < 10)
            printf("%s %s %s seed %u iteration %u: %" PRIu64 " before, %s%" PRIu64 " now\n",
                   old->platform, run_class_name(old->class), old->workload, old->seed, old->iter,
                   total(old), new ? "" : "absent, ", new ? total(new) : 0);
    }
    if (strcmp(old_hex, new_hex) == 0) {
        printf("the same: %zu samples, fingerprint %.12s\n", before->nr_samples, old_hex);
        return STATUS_DONE;
    }
    printf("not the same: %zu of %zu samples differ; fingerprint %.12s before, %.12s now\n", differ,
           before->nr_samples, old_hex, new_hex);
    return STATUS_CHECK_FAILED;
}

int cmd_rerun(int argc, char **argv)
{
    struct options o = {0};
    struct measurement m = {0};
    struct plan plan = {0};
    struct run *before, *after = NULL;
    enum exit_status unread = STATUS_USAGE;
    int status;

    command_parse(&argp, argc, argv, &o);
    before = run_read(o.file, &unread);
    if (!before)
        return unread;
    status = plan_parse(&plan, before->plan) < 0 ? STATUS_NOT_COMPARABLE
                                                 : measure_prepare(&m, &plan, &o.measure);
    if (!status && !measure_comparable(&m, before))
        status = STATUS_NOT_COMPARABLE;
    if (!status)
        status = measure_run(&m, &plan, &o.measure, &after);
    if (after)
        status = say_difference(before, after);
    if (after)
        run_free(after);
    measure_free(&m);
    plan_free(&plan);
    run_free(before);
    return status;
}

/* SPDX-License-Identifier: MIT */
/* From console and interval file to samples (join.h). */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/interval.h"
#include "bench/join.h"
#include "bench/paths.h"

#define PREFIX "@PGN "

struct join {
    struct run *run;
    const struct boot *boot;
    const struct join_request *request;
    const struct interval *interval; /* of the file */
    size_t nr_intervals, next;       /* next: where to look for the next MEASURED one */
    uint64_t valid;
    uint32_t flags; /* enum sample_flag, for every sample */
    int errors;
};

static void join_error(struct join *j, const char *workload, const char *message)
{
    j->errors++;
    run_add_error(j->run, j->request->platform, j->request->class, workload, message);
    if (message != j->boot->failure) /* that is said once for all machines that failed alike */
        fprintf(stderr, "parangon: %s%s%s: %s\n", j->boot->name, *workload ? ", " : "", workload,
                message);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

char *join_intervals_damage(const struct boot *boot)
{
    const struct interval_file_head *head = boot->intervals;

    if (!head || boot->intervals_size < sizeof *head)
        return format("the counting plugin has left no intervals (is the disk full?)");
    if (head->magic != INTERVAL_MAGIC || head->version != INTERVAL_VERSION ||
        head->nr_counters != COUNTER_NR)
        return format("the interval file is of another build of the plugin");
    if (boot->intervals_size < sizeof *head + head->nr_intervals * sizeof(struct interval))
        return format(
            "the interval file is cut short: %zu bytes for %u intervals (is the disk full?)",
            boot->intervals_size, head->nr_intervals);
    return NULL;
}

/* Find the interval records; 0, or -1 after saying what is wrong with the file. */
static int open_intervals(struct join *j)
{
    const struct interval_file_head *head = j->boot->intervals;
    char *why = join_intervals_damage(j->boot);

    if (why) {
        join_error(j, "", why);
        free(why);
        return -1;
    }
    j->interval = (const void *)(head + 1);
    j->nr_intervals = head->nr_intervals;
    j->valid = head->valid;
    j->flags = head->nr_inexact ? SAMPLE_INEXACT : 0;
    if (head->nr_inexact)
        fprintf(stderr,
                "parangon: warning: %s: the plugin could not explain %u ends of blocks; its "
                "samples are marked\n",
                j->boot->name, head->nr_inexact);
    return 0;
}

/* Which of the two sets a seed belongs to. */
static enum run_set set_of(const struct join_request *request, uint32_t seed)
{
    for (size_t i = 0; i < request->nr_null; i++)
        if (request->seeds[request->nr_seeds + i] == seed)
            return RUN_NULL;
    return RUN_MAIN;
}

static void add_sample(struct join *j, const char *workload, enum run_kind kind, uint32_t seed,
                       uint32_t iter, uint64_t ops, const struct interval *interval)
{
    struct run_sample sample = {.kind = kind,
                                .class = j->request->class,
                                .set = set_of(j->request, seed),
                                .seed = seed,
                                .iter = iter,
                                .flags = j->flags,
                                .ops = ops,
                                .measured = j->valid,
                                .interval = *interval};

    snprintf(sample.workload, sizeof sample.workload, "%s", workload);
    snprintf(sample.platform, sizeof sample.platform, "%s", j->request->platform);
    if (run_add_sample(j->run, &sample) < 0)
        join_error(j, workload, "a sample that cannot be kept (see above)");
}

/* The line of the entries file that begins at `line`: one cause of one interval. false: it is another
 * interval's, or none. */
static bool entries_line(const char *line, const char *kind, uint32_t seq, char cause[RUN_NAME_MAX],
                         uint64_t *instructions, const char **sizes)
{
    char of[16];
    uint32_t number;
    int used = 0;

    if (sscanf(line, "%15s %" SCNu32 " %*s %39s %*u %" SCNu64 "%n", of, &number, cause, instructions,
               &used) != 4 ||
        !used || strcmp(of, kind) != 0 || number != seq)
        return false;
    *sizes = line + used;
    return true;
}

/* A line of the entries file about work within entries; false: it is none. */
static bool work_line(const char *line, const char *kind, uint32_t seq, struct run_histogram *h)
{
    char of[16], name[RUN_NAME_MAX - 8];
    uint32_t number;

    if (sscanf(line, "work %15s %" SCNu32 " %31s %" SCNu64, of, &number, name, &h->entries) != 4 ||
        strcmp(of, kind) != 0 || number != seq)
        return false;
    snprintf(h->cause, sizeof h->cause, "work-%s", name);
    h->size = 0;
    h->instructions = 0;
    return true;
}

/* What entries into the hypervisor cost within an interval, as the plugin saw it. */
static void add_histograms(struct join *j, const char *workload, uint32_t seed, uint32_t iter,
                           const char *kind, uint32_t seq)
{
    const char *line = j->boot->entries, *next, *sizes;
    struct run_histogram h = {
        .class = j->request->class, .set = set_of(j->request, seed), .seed = seed, .iter = iter};
    int used;

    snprintf(h.workload, sizeof h.workload, "%s", workload);
    snprintf(h.platform, sizeof h.platform, "%s", j->request->platform);
    for (; line && *line; line = next) {
        next = strchr(line, '\n');
        next = next ? next + 1 : line + strlen(line);
        if (work_line(line, kind, seq, &h))
            run_add_histogram(j->run, &h);
        else if (!entries_line(line, kind, seq, h.cause, &h.instructions, &sizes))
            continue;
        else
            while (sscanf(sizes, "%" SCNu32 ":%" SCNu64 "%n", &h.size, &h.entries, &used) == 2 &&
                   sizes + used < next) {
                run_add_histogram(j->run, &h);
                sizes += used;
                h.instructions = 0;
            }
    }
}

static void on_sample(struct join *j, const json_t *line)
{
    const char *workload = text_of(line, "workload");
    int kind = run_kind_of(text_of(line, "kind"));

    while (j->next < j->nr_intervals && j->interval[j->next].kind != INTERVAL_MEASURED)
        j->next++;
    if (kind < 0 || json_is_true(json_object_get(line, "failed"))) {
        j->next++; /* the interval is there, but it is not one operation's work */
        return;
    }
    add_sample(j, workload, kind, json_integer_value(json_object_get(line, "seed")),
               json_integer_value(json_object_get(line, "iter")),
               json_integer_value(json_object_get(line, "ops")), &j->interval[j->next]);
    add_histograms(j, workload, json_integer_value(json_object_get(line, "seed")),
                   json_integer_value(json_object_get(line, "iter")), "measured",
                   j->interval[j->next].seq);
    j->next++;
}

static void on_begin(struct join *j, const json_t *line)
{
    const char *name = text_of(line, "workload");
    int kind = run_kind_of(text_of(line, "kind"));
    json_t *params;
    char *text;

    for (size_t i = 0; i < j->run->nr_workloads; i++)
        if (strcmp(j->run->workloads[i].name, name) == 0)
            return;
    if (kind < 0)
        return;
    params = json_deep_copy(line);
    json_object_del(params, "ev");
    text = json_dumps(params, JSON_SORT_KEYS | JSON_COMPACT);
    run_add_workload(j->run, name, kind, kind == RUN_MACRO, text);
    free(text);
    json_decref(params);
}

/* The suites that the image holds, with the hash of each: the first names the run's. */
static void on_suites(struct join *j, json_t *suites)
{
    const char *name;
    json_t *hash;

    json_object_foreach(suites, name, hash)
    {
        if (*j->run->suite_sha256 || !json_is_string(hash))
            continue;
        run_text(&j->run->suite_id, name);
        run_text(&j->run->suite_sha256, json_string_value(hash));
    }
}

/* Facts that are their own event ("interrupts") stand under its name. */
static void on_facts(struct join *j, const char *event, const json_t *line)
{
    json_t *wrapped;

    if (strcmp(event, "env") == 0)
        on_suites(j, json_object_get(line, "suites"));
    if (!j->request->facts)
        return;
    if (strcmp(event, "env") == 0) {
        run_add_facts_json(j->run, j->request->platform, j->request->class, line);
        return;
    }
    wrapped = json_object();
    json_object_set(wrapped, event, (json_t *)line);
    run_add_facts_json(j->run, j->request->platform, j->request->class, wrapped);
    json_decref(wrapped);
}

static void on_line(struct join *j, const json_t *line, bool samples)
{
    const char *event = text_of(line, "ev");

    if (strcmp(event, "sample") == 0) {
        if (samples)
            on_sample(j, line);
    } else if (strcmp(event, "begin") == 0) {
        on_begin(j, line);
    } else if (strcmp(event, "error") == 0) {
        join_error(j, text_of(line, "workload"), text_of(line, "msg"));
    } else if (strcmp(event, "done") != 0) {
        on_facts(j, event, line);
    }
}

/* Walk the guest's lines; `handle` gets each as JSON. */
static void each_line(struct join *j, void (*handle)(struct join *, const json_t *, void *),
                      void *context)
{
    const char *at = j->boot->console, *end;
    json_error_t error;

    for (; at && (at = strstr(at, PREFIX)); at = end) {
        json_t *line;

        at += strlen(PREFIX);
        end = at + strcspn(at, "\r\n");
        line = json_loadb(at, end - at, 0, &error);
        if (line)
            handle(j, line, context);
        else
            join_error(j, "", "a damaged line on its console");
        json_decref(line);
    }
}

static void count_sample(struct join *j, const json_t *line, void *count)
{
    *(size_t *)count += strcmp(text_of(line, "ev"), "sample") == 0;
}

static void use_line(struct join *j, const json_t *line, void *samples)
{
    on_line(j, line, *(bool *)samples);
}

/* Every workload that began must have all its planned samples. */
static void check_planned(struct join *j, const json_t *line, void *unused)
{
    const char *name = text_of(line, "workload");
    size_t found = 0, planned = (j->request->nr_seeds + j->request->nr_null) * j->request->iters;

    if (strcmp(text_of(line, "ev"), "begin") != 0)
        return;
    for (size_t i = 0; i < j->run->nr_samples; i++) {
        const struct run_sample *s = &j->run->samples[i];

        found += s->class == j->request->class && strcmp(s->workload, name) == 0 &&
                 strcmp(s->platform, j->request->platform) == 0;
    }
    if (found != planned) {
        char *why = format("%zu samples of %zu", found, planned);

        join_error(j, name, why);
        free(why);
    }
}

/* One of the rows that a boot gives; what was counted apart before the guest is a row of its own. */
static void add_boot_row(struct join *j, const char *name, struct interval interval)
{
    if (j->request->apart && interval.kind == INTERVAL_PRE_DOMAIN) {
        const struct interval scrub = {.kind = interval.kind, .hypervisor = interval.apart};
        uint64_t valid = j->valid;

        interval.hypervisor -= interval.apart;
        j->valid = 0; /* events are not counted apart */
        add_sample(j, "boot-scrub", RUN_MICRO, j->request->seeds[0], 0, 1, &scrub);
        j->valid = valid;
    }
    add_sample(j, name, RUN_MICRO, j->request->seeds[0], 0, 1, &interval);
}

static void add_boot_rows(struct join *j)
{
    static const struct {
        enum interval_kind kind;
        const char *name;
    } rows[] = {{INTERVAL_PRE_DOMAIN, "boot-before"}, {INTERVAL_BOOT, "boot"}};

    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++)
        for (size_t i = 0; i < j->nr_intervals; i++)
            if (j->interval[i].kind == rows[r].kind && j->interval[i].seq == 0)
                add_boot_row(j, rows[r].name, j->interval[i]);
    add_histograms(j, "boot", j->request->seeds[0], 0, "boot", 0);
}

/* What an interval is, for messages. */
static char *interval_title(const struct interval *interval)
{
    return interval->kind == INTERVAL_PRE_DOMAIN ? format("before the guest")
           : interval->kind == INTERVAL_BOOT     ? format("the boot")
                                                 : format("measured interval %u", interval->seq);
}

int join_compare(const struct boot *boot, const struct boot *again, unsigned samples,
                 size_t *compared)
{
    const struct interval_file_head *head = boot->intervals, *head_again = again->intervals;
    const struct interval *first = (const void *)(head + 1), *second = (const void *)(head_again + 1);
    char *why = join_intervals_damage(boot), *why_again = join_intervals_damage(again);
    size_t measured = 0, wanted = 0, differ = 0;
    int result = -1;

    *compared = 0;
    if (why || why_again) {
        fprintf(stderr, "parangon: %s: cannot be compared with its second run: %s\n", boot->name,
                why ? why : why_again);
        goto out;
    }
    *compared = head->nr_intervals < head_again->nr_intervals ? head->nr_intervals
                                                              : head_again->nr_intervals;
    for (size_t i = 0; i < head->nr_intervals && wanted < samples; i++)
        wanted += first[i].kind == INTERVAL_MEASURED;
    for (size_t i = 0; i < *compared; i++) {
        measured += second[i].kind == INTERVAL_MEASURED;
        if (memcmp(&first[i], &second[i], sizeof first[i]) == 0)
            continue;
        if (differ++ == 0) {
            char *title = interval_title(&first[i]);

            fprintf(stderr,
                    "parangon: warning: %s, run twice, does not repeat: %s is %" PRIu64 " + %" PRIu64
                    " + %" PRIu64 " instructions, then %" PRIu64 " + %" PRIu64 " + %" PRIu64
                    " (user, kernel, hypervisor); its samples are marked\n",
                    boot->name, title, first[i].user, first[i].kernel, first[i].hypervisor,
                    second[i].user, second[i].kernel, second[i].hypervisor);
            free(title);
        }
    }
    if (!wanted || measured < wanted)
        fprintf(stderr, "parangon: %s: its second run has %zu measured intervals of %zu\n",
                boot->name, measured, wanted);
    else
        result = differ;
out:
    free(why_again);
    free(why);
    return result;
}

int join_boot(struct run *run, const struct boot *boot, const struct join_request *request)
{
    struct join j = {.run = run, .boot = boot, .request = request};
    size_t lines = 0, measured = 0;
    bool use = false;
    char *why, *console;

    if (boot->console) {
        console = paths_neutral(boot->console);
        run_add_console(run, boot->name, console, strlen(console));
        free(console);
    }
    if (boot->failure)
        join_error(&j, "", boot->failure);
    if ((boot->intervals || !boot->failure) && open_intervals(&j) == 0) {
        each_line(&j, count_sample, &lines);
        for (size_t i = 0; i < j.nr_intervals; i++)
            measured += j.interval[i].kind == INTERVAL_MEASURED;
        use = lines == measured;
        if (!use) {
            why = format(
                "the console names %zu samples and the plugin saw %zu intervals: none is used",
                lines, measured);
            join_error(&j, "", why);
            free(why);
        }
    }
    each_line(&j, use_line, &use);
    if (use) {
        if (request->boot_rows)
            add_boot_rows(&j);
        each_line(&j, check_planned, NULL);
    }
    return j.errors;
}

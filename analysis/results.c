/* SPDX-License-Identifier: MIT */
/*
 * A run in memory: building it up, naming its parts, its fingerprint.
 *
 * Why it exists: one place copies and checks what the harness collects, so that the writer, the
 * statistics and the tables need not doubt it. Memory that runs out ends the program with one
 * message: a half-collected run is of no use.
 * Does not: touch HDF5 (store.c, load.c) or compute (stats.c).
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <nettle/sha2.h>

#include "analysis/results.h"

/* The largest count that every column of the file holds exactly (a double has 53 bits). */
#define COUNT_LIMIT (1ull << 53)

const char *const counter_names[COUNTER_NR] = {
#define COUNTER(name, what) [COUNTER_##name] = #name,
#include "bench/counters.def"
#undef COUNTER
};

const char *const counter_whats[COUNTER_NR] = {
#define COUNTER(name, what) [COUNTER_##name] = what,
#include "bench/counters.def"
#undef COUNTER
};

static const char *const kind_names[] = {[RUN_MICRO] = "micro", [RUN_MACRO] = "macro"};
static const char *const class_names[] = {[RUN_DEFAULT] = "default", [RUN_TUNED] = "tuned"};
static const char *const set_names[] = {[RUN_MAIN] = "main", [RUN_NULL] = "null"};

static int name_index(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(names[i], name))
            return i;
    return -1;
}

const char *run_kind_name(enum run_kind kind)
{
    return kind_names[kind];
}

const char *run_class_name(enum run_class class)
{
    return class_names[class];
}

const char *run_set_name(enum run_set set)
{
    return set_names[set];
}

int run_kind_of(const char *name)
{
    return name_index(kind_names, 2, name);
}

int run_class_of(const char *name)
{
    return name_index(class_names, 2, name);
}

int run_set_of(const char *name)
{
    return name_index(set_names, 2, name);
}

static void *need(void *memory)
{
    if (!memory) {
        fputs("parangon: out of memory while collecting results\n", stderr);
        exit(STATUS_INCOMPLETE);
    }
    return memory;
}

static char *copy(const char *text)
{
    return need(strdup(text ? text : ""));
}

/* The array with room for one more element, which is zeroed; it doubles whenever `count` is a power
 * of two. */
static void *grow(void *array, size_t count, size_t size)
{
    if ((count & (count - 1)) == 0)
        array = need(realloc(array, (count ? count * 2 : 1) * size));
    memset((char *)array + count * size, 0, size);
    return array;
}

/* Add a zeroed element to run->part[] and give its address. */
#define APPEND(run, part)                                                                          \
    ((run)->part = grow((run)->part, (run)->nr_##part, sizeof(*(run)->part)),                      \
     &(run)->part[(run)->nr_##part++])

struct run *run_new(void)
{
    struct run *run = need(calloc(1, sizeof(*run)));
    char **texts[] = {&run->run_id,        &run->experiment,  &run->suite_id, &run->suite_sha256,
                      &run->inputs_sha256, &run->hv_build_id, &run->cpu_model};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        *texts[i] = copy("");
    run->mode = copy("count");
    run->unit = copy("instructions");
    run->plan = copy("{}");
    return run;
}

void run_free(struct run *run)
{
    if (!run)
        return;
    char *texts[] = {run->run_id,    run->experiment,   run->mode,          run->unit,
                     run->suite_id,  run->suite_sha256, run->inputs_sha256, run->hv_build_id,
                     run->cpu_model, run->plan};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        free(texts[i]);
    for (size_t i = 0; i < run->nr_workloads; i++) {
        free(run->workloads[i].name);
        free(run->workloads[i].params);
    }
    for (size_t i = 0; i < run->nr_provenance; i++) {
        free(run->provenance[i].key);
        free(run->provenance[i].value);
    }
    for (size_t i = 0; i < run->nr_inputs; i++) {
        free(run->inputs[i].name);
        free(run->inputs[i].version);
        free(run->inputs[i].sha256);
    }
    for (size_t i = 0; i < run->nr_facts; i++) {
        free(run->facts[i].platform);
        free(run->facts[i].key);
        free(run->facts[i].value);
    }
    for (size_t i = 0; i < run->nr_consoles; i++) {
        free(run->consoles[i].name);
        free(run->consoles[i].text);
    }
    for (size_t i = 0; i < run->nr_traces; i++) {
        free(run->traces[i].name);
        free(run->traces[i].sha256);
    }
    for (size_t i = 0; i < run->nr_errors; i++) {
        free(run->errors[i].platform);
        free(run->errors[i].workload);
        free(run->errors[i].message);
    }
    free(run->workloads);
    free(run->provenance);
    free(run->inputs);
    free(run->facts);
    free(run->consoles);
    free(run->traces);
    free(run->errors);
    free(run->histograms);
    free(run->samples);
    free(run->points);
    free(run);
}

void run_text(char **slot, const char *value)
{
    char *text = copy(value);

    free(*slot);
    *slot = text;
}

void run_add_workload(struct run *run, const char *name, enum run_kind kind, bool in_suite,
                      const char *params_json)
{
    struct run_workload *workload = APPEND(run, workloads);

    workload->name = copy(name);
    workload->kind = kind;
    workload->in_suite = in_suite;
    workload->params = copy(params_json && *params_json ? params_json : "{}");
}

void run_add_provenance(struct run *run, const char *key, const char *value)
{
    struct run_pair *pair = APPEND(run, provenance);

    pair->key = copy(key);
    pair->value = copy(value);
}

void run_add_input(struct run *run, const char *name, const char *version, const char *sha256)
{
    struct run_input *input = APPEND(run, inputs);

    input->name = copy(name);
    input->version = copy(version);
    input->sha256 = copy(sha256);
}

void run_add_fact(struct run *run, const char *platform, enum run_class class, const char *key,
                  const char *value)
{
    struct run_fact *fact = APPEND(run, facts);

    fact->platform = copy(platform);
    fact->class = class;
    fact->key = copy(key);
    fact->value = copy(value);
}

/* A scalar as text; NULL becomes "null". The caller frees it. */
static char *scalar_text(const json_t *value)
{
    if (json_is_string(value))
        return copy(json_string_value(value));
    return need(json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS));
}

static char *array_text(const json_t *array)
{
    char *text = copy("");

    for (size_t i = 0; i < json_array_size(array); i++) {
        char *item = scalar_text(json_array_get(array, i));
        size_t length = strlen(text);

        text = need(realloc(text, length + strlen(item) + 2));
        sprintf(text + length, "%s%s", i ? " " : "", item);
        free(item);
    }
    return text;
}

static void add_facts(struct run *run, const char *platform, enum run_class class,
                      const char *prefix, const json_t *facts)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)facts, key, value)
    {
        char full[256];

        if (!strcmp(key, "ev"))
            continue;
        snprintf(full, sizeof(full), "%s%s%s", prefix, *prefix ? "." : "", key);
        if (json_is_object(value)) {
            add_facts(run, platform, class, full, value);
        } else {
            char *text = json_is_array(value) ? array_text(value) : scalar_text(value);

            run_add_fact(run, platform, class, full, text);
            free(text);
        }
    }
}

void run_add_facts_json(struct run *run, const char *platform, enum run_class class,
                        const json_t *facts)
{
    add_facts(run, platform, class, "", facts);
}

void run_add_console(struct run *run, const char *name, const char *text, size_t length)
{
    struct run_console *console = APPEND(run, consoles);

    console->name = copy(name);
    console->text = need(malloc(length + 1));
    memcpy(console->text, text, length);
    console->text[length] = 0;
    console->length = length;
}

void run_add_trace(struct run *run, const char *name, const char *sha256, uint64_t bytes)
{
    struct run_trace *trace = APPEND(run, traces);

    trace->name = copy(name);
    trace->sha256 = copy(sha256);
    trace->bytes = bytes;
}

void run_add_error(struct run *run, const char *platform, enum run_class class,
                   const char *workload, const char *message)
{
    struct run_error *error = APPEND(run, errors);

    error->platform = copy(platform);
    error->class = class;
    error->workload = copy(workload);
    error->message = copy(message);
}

static bool name_ok(const char *name)
{
    return *name && memchr(name, 0, RUN_NAME_MAX);
}

/* The reason why a sample cannot be kept, or NULL. */
static const char *sample_fault(const struct run_sample *sample)
{
    const struct interval *counts = &sample->interval;

    if (!name_ok(sample->workload) || !name_ok(sample->platform))
        return "its workload or platform has no name, or one that is too long";
    if (sample->kind > RUN_MACRO || sample->class > RUN_TUNED || sample->set > RUN_NULL)
        return "its kind, class or set is unknown";
    if (!sample->ops)
        return "it says that it did no operation";
    if (counts->user >= COUNT_LIMIT || counts->kernel >= COUNT_LIMIT ||
        counts->hypervisor >= COUNT_LIMIT || sample->ops >= COUNT_LIMIT)
        return "a count reaches 2^53";
    for (int i = 0; i < COUNTER_NR; i++)
        if ((sample->measured >> i & 1) && counts->counter[i] >= COUNT_LIMIT)
            return "a count reaches 2^53";
    return NULL;
}

void run_add_point(struct run *run, const struct run_point *point)
{
    *APPEND(run, points) = *point;
}

int run_add_sample(struct run *run, const struct run_sample *sample)
{
    const char *fault = sample_fault(sample);

    if (fault) {
        fprintf(stderr, "parangon: sample of %.*s on %.*s (seed %u, iteration %u) refused: %s\n",
                RUN_NAME_MAX, sample->workload, RUN_NAME_MAX, sample->platform, sample->seed,
                sample->iter, fault);
        return -EINVAL;
    }
    struct run_sample *kept = APPEND(run, samples);

    *kept = *sample;
    kept->measured &= MEASURED_ALL;
    for (int i = 0; i < COUNTER_NR; i++)
        if (!(kept->measured >> i & 1))
            kept->interval.counter[i] = 0;
    return 0;
}

void run_add_histogram(struct run *run, const struct run_histogram *bar)
{
    struct run_histogram *kept = APPEND(run, histograms);

    *kept = *bar;
}

static void hex_digest(struct sha256_ctx *hash, char hex[65])
{
    uint8_t digest[SHA256_DIGEST_SIZE];

    sha256_digest(hash, sizeof(digest), digest);
    for (size_t i = 0; i < sizeof(digest); i++)
        sprintf(hex + 2 * i, "%02x", digest[i]);
}

void sha256_hex(const void *data, size_t length, char hex[65])
{
    struct sha256_ctx hash;

    sha256_init(&hash);
    sha256_update(&hash, length, data);
    hex_digest(&hash, hex);
}

int sha256_file_hex(const char *path, char hex[65])
{
    struct sha256_ctx hash;
    uint8_t block[65536];
    size_t length;
    FILE *file = fopen(path, "rb");

    if (!file)
        return -errno;
    sha256_init(&hash);
    while ((length = fread(block, 1, sizeof(block), file)) > 0)
        sha256_update(&hash, length, block);
    int error = ferror(file) ? -EIO : 0;

    fclose(file);
    hex_digest(&hash, hex);
    return error;
}

int run_sample_order(const void *left, const void *right)
{
    const struct run_sample *a = *(const struct run_sample *const *)left;
    const struct run_sample *b = *(const struct run_sample *const *)right;
    int order = strcmp(a->workload, b->workload);

    if (!order)
        order = strcmp(a->platform, b->platform);
    if (!order)
        order = (a->class > b->class) - (a->class < b->class);
    if (!order)
        order = (a->set > b->set) - (a->set < b->set);
    if (!order)
        order = (a->seed > b->seed) - (a->seed < b->seed);
    if (!order)
        order = (a->iter > b->iter) - (a->iter < b->iter);
    return order;
}

static void __attribute__((format(printf, 2, 3)))
hash_print(struct sha256_ctx *hash, const char *format, ...)
{
    char line[256];
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(line, sizeof(line), format, arguments);

    va_end(arguments);
    sha256_update(hash, length, (const uint8_t *)line);
}

void run_fingerprint(const struct run *run, char hex[65])
{
    struct sha256_ctx hash;
    const struct run_sample **order = need(calloc(run->nr_samples + 1, sizeof(*order)));

    for (size_t i = 0; i < run->nr_samples; i++)
        order[i] = &run->samples[i];
    qsort(order, run->nr_samples, sizeof(*order), run_sample_order);

    sha256_init(&hash);
    hash_print(&hash, "%s %s\n", run->mode, run->unit);
    for (size_t i = 0; i < run->nr_samples; i++) {
        const struct run_sample *s = order[i];

        hash_print(&hash, "%s %s %s %s %s %u %u %llu %llu %llu %llu", s->workload, s->platform,
                   run_kind_name(s->kind), run_class_name(s->class), run_set_name(s->set), s->seed,
                   s->iter, (unsigned long long)s->ops, (unsigned long long)s->interval.user,
                   (unsigned long long)s->interval.kernel,
                   (unsigned long long)s->interval.hypervisor);
        for (int c = 0; c < COUNTER_NR; c++)
            if (s->measured >> c & 1)
                hash_print(&hash, " %s=%llu", counter_names[c],
                           (unsigned long long)s->interval.counter[c]);
        hash_print(&hash, "\n");
    }
    hex_digest(&hash, hex);
    free(order);
}

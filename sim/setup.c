/* SPDX-License-Identifier: MIT */
/* Words to a configuration and back: see setup.h. */
#include "sim/setup.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS 1000000ull
#define MIX_MOST 100000 /* vCPUs of a mix: their domains have numbers */
#define SKEWED 32       /* tenants */

static const char *const off_on[] = {"off", "on"};
static const char *const span_names[] = {"policy", "cpu", "core", "socket"};

static int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int complain(const char *format, ...)
{
    va_list ap;

    fputs("parangon: simulator: ", stderr);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
    return -1;
}

/* ---- values ---- */

static int parse_number(const char *key, const char *value, double least, double most, double *out)
{
    char *end;
    double x = strtod(value, &end);

    if (end == value || *end || !(x >= least && x <= most))
        return complain("%s=%s: a number from %g to %g is wanted", key, value, least, most);
    *out = x;
    return 0;
}

static int parse_unsigned(const char *key, const char *value, unsigned least, unsigned most, unsigned *out)
{
    double x;

    if (parse_number(key, value, least, most, &x) < 0)
        return -1;
    if (x != floor(x))
        return complain("%s=%s: a whole number is wanted", key, value);
    *out = (unsigned)x;
    return 0;
}

static int parse_time(const char *key, const char *value, uint64_t *out)
{
    static const struct {
        const char *suffix;
        double ns;
    } units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
    char *end;
    double x = strtod(value, &end);

    for (size_t i = 0; end != value && i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(end, units[i].suffix) != 0 || !(x >= 0 && x * units[i].ns <= 1e15))
            continue;
        *out = (uint64_t)(x * units[i].ns + 0.5);
        return 0;
    }
    if (end != value && !*end && x == 0) {
        *out = 0;
        return 0;
    }
    return complain("%s=%s: a time is wanted, as 250us, 30ms, 2s (at most 1000000s)", key, value);
}

static int parse_word(const char *key, const char *value, char out[SIM_NAME_MAX])
{
    if (!*value || strlen(value) >= SIM_NAME_MAX)
        return complain("%s=%s: a name of 1 to %d letters is wanted", key, value, SIM_NAME_MAX - 1);
    strcpy(out, value);
    return 0;
}

static int parse_among(const char *key, const char *value, const char *const *names, unsigned nr, unsigned *out)
{
    for (unsigned i = 0; i < nr; i++) {
        if (strcmp(names[i], value) == 0) {
            *out = i;
            return 0;
        }
    }
    fprintf(stderr, "parangon: simulator: %s=%s: there are", key, value);
    for (unsigned i = 0; i < nr; i++)
        fprintf(stderr, " %s", names[i]);
    fputc('\n', stderr);
    return -1;
}

const char *sim_time_text(char text[16], double ns)
{
    if (isnan(ns))
        snprintf(text, 16, "-");
    else if (ns < 1e4)
        snprintf(text, 16, "%.0f ns", ns);
    else if (ns < 1e7)
        snprintf(text, 16, "%.4g us", ns * 1e-3);
    else if (ns < 1e10)
        snprintf(text, 16, "%.4g ms", ns * 1e-6);
    else
        snprintf(text, 16, "%.4g s", ns * 1e-9);
    return text;
}

/* ---- the machine ---- */

void sim_setup_init(struct sim_setup *setup)
{
    *setup = (struct sim_setup){
        .config = {.cpus = 1,
                   .threads = 1,
                   .seed = 1,
                   .policy = "credit",
                   .rate_limit = SIM_RATE_LIMIT_OWN,
                   .switch_cost = 1500,
                   .migrate_cost = {0, 10000, 30000},
                   .matrix_name = "none: S = 1",
                   .matrix = {{1}},
                   .warmup = 100 * MS,
                   .length = 1000 * MS},
    };
}

static int parse_migrate(const char *value, uint64_t cost[3])
{
    char *copy = strdup(value), *save, *word = strtok_r(copy, ",", &save);
    int n = 0, status = 0;

    for (; word && n < 3 && !status; word = strtok_r(NULL, ",", &save))
        status = parse_time("migrate-cost", word, &cost[n++]);
    if (!status && n == 1) {
        cost[1] = cost[2] = cost[0];
        cost[0] = 0;
    } else if (!status && (n != 3 || word)) {
        status = complain("migrate-cost=%s: one time, or three", value);
    }
    free(copy);
    return status;
}

/* A matrix as smt-calibrate writes it: {"classes": [...], "S": [[...], ...]}. */
static int read_matrix(struct sim_config *config, const char *path)
{
    json_error_t error;
    json_t *file = json_load_file(path, 0, &error), *rows = json_object_get(file, "S"), *row, *cell;
    size_t i, j, nr = json_array_size(rows);
    int status = 0;

    if (!file || !nr || nr > SIM_CLASSES_MAX) {
        json_decref(file);
        return complain("matrix=%s: neither a number nor a file with a matrix \"S\" of 1 to %d rows%s%s", path, SIM_CLASSES_MAX,
                        file ? "" : ": ", file ? "" : error.text);
    }
    json_array_foreach(rows, i, row) {
        if (json_array_size(row) != nr)
            status = -1;
        json_array_foreach(row, j, cell) {
            if (j < nr)
                config->matrix[i][j] = json_number_value(cell);
        }
    }
    config->classes = nr;
    snprintf(config->matrix_name, sizeof config->matrix_name, "%.*s", SIM_NAME_MAX - 1,
             strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
    json_decref(file);
    return status ? complain("matrix=%s: its rows are not as long as it has rows", path) : 0;
}

static int parse_matrix(struct sim_config *config, const char *value)
{
    char *end;
    double s = strtod(value, &end);

    if (end == value || *end)
        return read_matrix(config, value);
    if (!(s >= 0.01 && s <= 2))
        return complain("matrix=%s: S is from 0.01 to 2", value);
    config->classes = SIM_CLASSES_MAX;
    for (unsigned i = 0; i < SIM_CLASSES_MAX; i++)
        for (unsigned j = 0; j < SIM_CLASSES_MAX; j++)
            config->matrix[i][j] = s;
    snprintf(config->matrix_name, sizeof config->matrix_name, "uniform: S = %g", s);
    return 0;
}

/* ---- loads ---- */

static int parse_cpus(const char *value, struct sim_load *l)
{
    int end = 0;

    if (sscanf(value, "%d-%d%n", &l->first_cpu, &l->last_cpu, &end) == 2 && !value[end] && l->first_cpu >= 0 &&
        l->last_cpu >= l->first_cpu)
        return 0;
    end = 0;
    if (sscanf(value, "%d%n", &l->first_cpu, &end) == 1 && !value[end] && l->first_cpu >= 0) {
        l->last_cpu = l->first_cpu;
        return 0;
    }
    return complain("cpus=%s: FIRST-LAST is wanted", value);
}

static int set_load(struct sim_load *l, const char *key, const char *value)
{
    unsigned n = 0;
    int status;

    if (!strcmp(key, "name"))
        return parse_word(key, value, l->name);
    if (!strcmp(key, "domains"))
        return parse_unsigned(key, value, 1, 32750, &l->domains);
    if (!strcmp(key, "vcpus"))
        return parse_unsigned(key, value, 1, SIM_VCPUS_MAX, &l->vcpus);
    if (!strcmp(key, "class"))
        return parse_unsigned(key, value, 0, SIM_CLASSES_MAX - 1, &l->class);
    if (!strcmp(key, "run"))
        return parse_time(key, value, &l->run);
    if (!strcmp(key, "period"))
        return parse_time(key, value, &l->period);
    if (!strcmp(key, "util"))
        return parse_number(key, value, 0, 1024, &l->util);
    if (!strcmp(key, "via"))
        return parse_word(key, value, l->via);
    if (!strcmp(key, "via-run"))
        return parse_time(key, value, &l->via_run);
    if (!strcmp(key, "cpus"))
        return parse_cpus(value, l);
    if (!strcmp(key, "weight")) {
        status = parse_unsigned(key, value, 1, 65535, &n);
        l->weight = n;
        return status;
    }
    if (!strcmp(key, "cap")) {
        status = parse_unsigned(key, value, 0, 3200, &n);
        l->cap = n;
        return status;
    }
    if (!strcmp(key, "spin")) {
        status = parse_unsigned(key, value, 0, 1, &n);
        l->spin = n;
        return status;
    }
    if (!strcmp(key, "dist")) {
        status = parse_among(key, value, sim_dist_names, SIM_DISTS, &n);
        l->dist = n;
        return status;
    }
    return complain("a load has no parameter \"%s\": name, domains, vcpus, weight, cap, class, run, period, dist, util, via, via-run, spin, cpus",
                    key);
}

/* What each kind does where nothing else is said. */
static const struct sim_load defaults[SIM_KINDS] = {
    [SIM_HOG] = {.run = 0},
    [SIM_INTERACTIVE] = {.run = MS, .period = 9 * MS, .dist = SIM_EXP},
    [SIM_PERIODIC] = {.run = MS, .period = 10 * MS},
    [SIM_BURSTY] = {.run = 20 * MS, .period = 80 * MS, .dist = SIM_PARETO},
    [SIM_SERVICE] = {.run = MS, .util = 0.5, .dist = SIM_EXP},
    [SIM_BARRIER] = {.run = 2 * MS, .dist = SIM_EXP},
    [SIM_YIELDER] = {.run = MS},
};

int sim_setup_load(struct sim_setup *setup, const char *spec)
{
    struct sim_load *l = &setup->loads[setup->nr_loads];
    char *copy = strdup(spec), *save, *word = strtok_r(copy, ":", &save), *star;
    unsigned kind, domains = 1;
    int status = -1;

    if (setup->nr_loads == SIM_LOADS_MAX)
        complain("more than %d loads", SIM_LOADS_MAX);
    else if (!word)
        complain("an empty load");
    else {
        if ((star = strchr(word, '*')))
            *star++ = 0;
        status = parse_among("kind", word, sim_kind_names, SIM_KINDS, &kind);
        if (!status && star)
            status = parse_unsigned("domains", star, 1, 32750, &domains);
    }
    if (!status && kind == SIM_SCRIPT)
        status = complain("a script is read from a trace: --bursts FILE");
    if (!status) {
        *l = defaults[kind];
        l->kind = kind;
        l->domains = domains;
        l->vcpus = 1;
        l->weight = 256;
        l->first_cpu = l->last_cpu = -1;
        snprintf(l->name, sizeof l->name, "%s", sim_kind_names[kind]);
    }
    for (word = strtok_r(NULL, ":", &save); word && !status; word = strtok_r(NULL, ":", &save)) {
        char *equals = strchr(word, '=');

        if (!equals) {
            status = complain("\"%s\" in a load: KEY=VALUE is wanted", word);
            break;
        }
        *equals = 0;
        status = set_load(l, word, equals + 1);
    }
    for (unsigned i = 0; i < setup->nr_loads && !status; i++)
        if (!strcmp(setup->loads[i].name, l->name))
            status = complain("two loads named \"%s\": give one a name=...", l->name);
    free(copy);
    setup->nr_loads += !status;
    return status;
}

int sim_setup_set(struct sim_setup *setup, const char *key, const char *value)
{
    struct sim_config *c = &setup->config;
    const char *dot = strchr(key, '.');
    unsigned n;

    for (unsigned i = 0; dot && i < setup->nr_loads; i++)
        if (strlen(setup->loads[i].name) == (size_t)(dot - key) && !strncmp(setup->loads[i].name, key, dot - key))
            return set_load(&setup->loads[i], dot + 1, value);
    if (!strcmp(key, "cpus"))
        return parse_unsigned(key, value, 1, SIM_CPUS_MAX, &c->cpus);
    if (!strcmp(key, "threads"))
        return parse_unsigned(key, value, 1, 8, &c->threads);
    if (!strcmp(key, "cores"))
        return parse_unsigned(key, value, 1, SIM_CPUS_MAX, &c->cores);
    if (!strcmp(key, "vcpus"))
        return parse_unsigned(key, value, 1, MIX_MOST, &setup->vcpus);
    if (!strcmp(key, "mix")) {
        if (parse_among(key, value, (const char *const[]){"all", "skewed"}, 2, &n) < 0)
            return -1;
        setup->skewed = n;
        return 0;
    }
    if (!strcmp(key, "sched"))
        return parse_word(key, value, c->policy);
    if (!strcmp(key, "slice"))
        return parse_time(key, value, &c->slice);
    if (!strcmp(key, "rate-limit"))
        return parse_time(key, value, &c->rate_limit);
    if (!strcmp(key, "span"))
        return parse_among(key, value, span_names, 4, &c->span);
    if (!strcmp(key, "exclusive")) {
        if (parse_among(key, value, off_on, 2, &n) < 0)
            return -1;
        c->exclusive = n;
        return 0;
    }
    if (!strcmp(key, "switch-cost"))
        return parse_time(key, value, &c->switch_cost);
    if (!strcmp(key, "migrate-cost"))
        return parse_migrate(value, c->migrate_cost);
    if (!strcmp(key, "matrix"))
        return parse_matrix(c, value);
    if (!strcmp(key, "warmup"))
        return parse_time(key, value, &c->warmup);
    if (!strcmp(key, "lag")) {
        if (parse_among(key, value, off_on, 2, &n) < 0)
            return -1;
        setup->lag = n ? SIM_LAG_ON : SIM_LAG_OFF;
        return 0;
    }
    if (!strcmp(key, "seconds")) {
        double seconds;

        if (parse_number(key, value, 1e-6, 1e6, &seconds) < 0)
            return -1;
        c->length = (uint64_t)(seconds * 1e9 + 0.5);
        return 0;
    }
    if (!strcmp(key, "seed")) {
        char *end;

        errno = 0;
        c->seed = strtoull(value, &end, 0);
        return errno || end == value || *end ? complain("seed=%s: a number is wanted", value) : 0;
    }
    return complain("no parameter \"%s\" (parangon sim --help)", key);
}

/*
 * A mix of all kinds: of ten domains of four vCPUs, four hogs, three services, two interactive, one of parallel rounds; what is left
 * over is hogs of one vCPU.
 */
static void make_mix(struct sim_setup *setup)
{
    static const struct {
        unsigned tenths;
        const char *spec;
    } parts[] = {{4, "hog"}, {3, "service:util=1"}, {2, "interactive"}, {1, "barrier"}};
    unsigned vcpus = setup->vcpus ? setup->vcpus : setup->config.cpus, domains = vcpus / 4, left = domains;
    char spec[64];

    for (unsigned i = 0; i < 4 && left; i++) {
        unsigned n = i == 3 ? left : (domains * parts[i].tenths + 5) / 10;

        n = n > left ? left : n;
        if (!n)
            continue;
        snprintf(spec, sizeof spec, "%s:domains=%u:vcpus=4", parts[i].spec, n);
        sim_setup_load(setup, spec);
        left -= n;
    }
    if (vcpus % 4) {
        snprintf(spec, sizeof spec, "hog:name=single:domains=%u", vcpus % 4);
        sim_setup_load(setup, spec);
    }
}

static unsigned nr_domains(const struct sim_setup *setup)
{
    unsigned n = 0;

    for (unsigned i = 0; i < setup->nr_loads; i++)
        n += setup->loads[i].domains;
    return n;
}

/*
 * Skewed tenants: the k-th of them has 1/k of the first one's vCPUs and weight (Zipf), and of three one computes, one serves and
 * one is bursty. 32 tenants; the first has a quarter of what there is, or the most vCPUs that a domain can have. Where they have had as
 * much as that lets them, each comes as often as there is room for it.
 */
static void make_skewed(struct sim_setup *setup)
{
    static const char *const kinds[] = {"hog", "service", "bursty"};
    unsigned left = setup->vcpus ? setup->vcpus : setup->config.cpus, first = left / 4 > SIM_VCPUS_MAX ? SIM_VCPUS_MAX : left / 4, all = 0, times;

    for (unsigned k = 1; k <= SKEWED; k++)
        all += first / k ? first / k : 1;
    times = left / all;
    left -= times * all;
    for (unsigned k = 1; k <= SKEWED && (left || times); k++) {
        unsigned vcpus = first / k ? first / k : 1, more = vcpus <= left;
        char spec[128], util[32] = "";

        if (!times && !more) /* the last of few */
            vcpus = left, more = 1;
        left -= more * vcpus;
        if (k % 3 == 2)
            snprintf(util, sizeof util, ":util=%g", vcpus * 0.6);
        snprintf(spec, sizeof spec, "%s:name=tenant%u:domains=%u:vcpus=%u:weight=%u%s", kinds[(k - 1) % 3], k, times + more, vcpus, 4096 / k, util);
        sim_setup_load(setup, spec);
    }
}

const struct sim_config *sim_setup_config(struct sim_setup *setup)
{
    struct sim_config *c = &setup->config;

    if (!setup->nr_loads)
        (setup->skewed ? make_skewed : make_mix)(setup);
    c->fluid = c->threads == 1 && (setup->lag == SIM_LAG_ON || (setup->lag == SIM_LAG_FEW && nr_domains(setup) <= 64));
    c->loads = setup->loads;
    c->nr_loads = setup->nr_loads;
    return c;
}

/* ---- back to words ---- */

static json_t *load_json(const struct sim_load *l)
{
    json_t *o = json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:I, s:I, s:s}", "name", l->name, "kind", sim_kind_names[l->kind],
                          "domains", l->domains, "vcpus", l->vcpus, "weight", l->weight, "cap", l->cap, "class", l->class,
                          "run_ns", (json_int_t)l->run, "period_ns", (json_int_t)l->period, "dist", sim_dist_names[l->dist]);

    if (l->kind == SIM_SERVICE)
        json_object_set_new(o, "util", json_real(l->util));
    if (*l->via) {
        json_object_set_new(o, "via", json_string(l->via));
        json_object_set_new(o, "via_run_ns", json_integer((json_int_t)l->via_run));
    }
    if (l->kind == SIM_BARRIER)
        json_object_set_new(o, "spin", json_boolean(l->spin));
    if (l->first_cpu >= 0)
        json_object_set_new(o, "cpus", json_pack("[i,i]", l->first_cpu, l->last_cpu));
    return o;
}

json_t *sim_setup_json(const struct sim_setup *setup)
{
    const struct sim_config *c = &setup->config;
    json_t *matrix = json_array(), *loads = json_array();
    unsigned classes = c->classes ? c->classes : 1;

    for (unsigned i = 0; i < classes; i++) {
        json_t *row = json_array();

        for (unsigned j = 0; j < classes; j++)
            json_array_append_new(row, json_real(c->matrix[i][j]));
        json_array_append_new(matrix, row);
    }
    for (unsigned i = 0; i < setup->nr_loads; i++)
        json_array_append_new(loads, load_json(&setup->loads[i]));
    return json_pack("{s:i, s:i, s:i, s:s, s:s, s:b, s:I, s:I, s:o, s:I, s:[I,I,I], s:s, s:o, s:I, s:I, s:o}", "cpus", c->cpus, "threads",
                     c->threads, "cores", c->cores, "sched", c->policy, "span", span_names[c->span], "exclusive", c->exclusive, "seed", (json_int_t)c->seed, "slice_ns", (json_int_t)c->slice,
                     "rate_limit_ns",
                     c->rate_limit == SIM_RATE_LIMIT_OWN ? json_null() : json_integer((json_int_t)c->rate_limit), "switch_cost_ns", (json_int_t)c->switch_cost, "migrate_cost_ns",
                     (json_int_t)c->migrate_cost[0], (json_int_t)c->migrate_cost[1], (json_int_t)c->migrate_cost[2], "matrix",
                     c->matrix_name, "S", matrix, "warmup_ns", (json_int_t)c->warmup, "length_ns", (json_int_t)c->length, "loads",
                     loads);
}

/* SPDX-License-Identifier: MIT */
/*
 * Reads a run back from its HDF5 file (results/SCHEMA.md).
 *
 * Columns are asked for by name: what an older minor lacks counts as not measured or empty, what
 * a newer one adds is skipped. A file is believed only when the fingerprint of the samples read
 * equals the one that it carries.
 * Does not: write files (store.c).
 */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "analysis/points.h"
#include "analysis/results.h"
#include "analysis/table.h"

#define COLUMNS_MAX 8

/* The text columns of one table, all or none of them there. */
struct columns {
    long rows;
    char *cells[COLUMNS_MAX];
    size_t width[COLUMNS_MAX];
};

static const char *cell(const struct columns *columns, int column, size_t row)
{
    return columns->cells[column] + row * columns->width[column];
}

static void columns_free(struct columns *columns)
{
    for (int i = 0; i < COLUMNS_MAX; i++)
        free(columns->cells[i]);
}

/* Read the named text columns of a table. @return 0, or -EBADMSG (whatever was read must still be
 * freed) */
static int columns_read(hid_t file, const char *table, const char *const *names,
                        struct columns *columns)
{
    memset(columns, 0, sizeof(*columns));
    columns->rows = table_rows(file, table);
    if (columns->rows < 0)
        return -EBADMSG;
    for (int i = 0; names[i]; i++) {
        columns->cells[i] = table_read_text(file, table, names[i], &columns->width[i]);
        if (!columns->cells[i])
            return -EBADMSG;
    }
    return 0;
}

static int read_workloads(struct run *run, hid_t file)
{
    struct columns columns;
    int error =
        columns_read(file, "workloads",
                     (const char *const[]){"name", "kind", "suite", "params", NULL}, &columns);

    for (long i = 0; !error && i < columns.rows; i++) {
        int kind = run_kind_of(cell(&columns, 1, i));

        if (kind < 0)
            error = -EBADMSG;
        else
            run_add_workload(run, cell(&columns, 0, i), kind, *cell(&columns, 2, i) != 0,
                             cell(&columns, 3, i));
    }
    columns_free(&columns);
    return error;
}

static int read_provenance(struct run *run, hid_t file)
{
    struct columns columns;
    int error =
        columns_read(file, "provenance", (const char *const[]){"key", "value", NULL}, &columns);

    for (long i = 0; !error && i < columns.rows; i++)
        run_add_provenance(run, cell(&columns, 0, i), cell(&columns, 1, i));
    columns_free(&columns);
    return error;
}

static int read_inputs(struct run *run, hid_t file)
{
    struct columns columns;
    int error = columns_read(file, "inputs",
                             (const char *const[]){"name", "version", "sha256", NULL}, &columns);

    for (long i = 0; !error && i < columns.rows; i++)
        run_add_input(run, cell(&columns, 0, i), cell(&columns, 1, i), cell(&columns, 2, i));
    columns_free(&columns);
    return error;
}

static int read_facts(struct run *run, hid_t file)
{
    struct columns columns;
    int error =
        columns_read(file, "environment",
                     (const char *const[]){"platform", "class", "key", "value", NULL}, &columns);

    for (long i = 0; !error && i < columns.rows; i++) {
        int class = run_class_of(cell(&columns, 1, i));

        if (class < 0)
            error = -EBADMSG;
        else
            run_add_fact(run, cell(&columns, 0, i), class, cell(&columns, 2, i),
                         cell(&columns, 3, i));
    }
    columns_free(&columns);
    return error;
}

static int read_traces(struct run *run, hid_t file)
{
    struct columns columns;
    int error =
        columns_read(file, "traces", (const char *const[]){"name", "sha256", NULL}, &columns);
    double *bytes = error ? NULL : table_read_f64(file, "traces", "bytes");

    if (!error && !bytes)
        error = -EBADMSG;
    for (long i = 0; !error && i < columns.rows; i++)
        run_add_trace(run, cell(&columns, 0, i), cell(&columns, 1, i), bytes[i]);
    free(bytes);
    columns_free(&columns);
    return error;
}

static int read_errors(struct run *run, hid_t file)
{
    struct columns columns;
    int error = columns_read(
        file, "errors", (const char *const[]){"platform", "class", "workload", "message", NULL},
        &columns);

    for (long i = 0; !error && i < columns.rows; i++) {
        int class = run_class_of(cell(&columns, 1, i));

        if (class < 0)
            error = -EBADMSG;
        else
            run_add_error(run, cell(&columns, 0, i), class, cell(&columns, 2, i),
                          cell(&columns, 3, i));
    }
    columns_free(&columns);
    return error;
}

/* Whether a double from a file is a count that an integer holds exactly. */
static bool is_count(double value)
{
    return value >= 0 && value < (double)(1ull << 53) && value == floor(value);
}

/* Files of schema 1.0 have none, those of 1.1 no instructions. */
static int read_histograms(struct run *run, hid_t file)
{
    static const char *const number_names[] = {"seed", "iter", "size", "entries"};
    double *numbers[4] = {NULL}, *instructions = NULL;
    struct columns texts;
    int error;

    if (H5Lexists(file, "histograms", H5P_DEFAULT) <= 0)
        return 0;
    error = columns_read(
        file, "histograms",
        (const char *const[]){"workload", "platform", "class", "set", "cause", NULL}, &texts);
    for (int i = 0; !error && i < 4; i++) {
        numbers[i] = table_read_f64(file, "histograms", number_names[i]);
        error = numbers[i] ? 0 : -EBADMSG;
    }
    instructions = error ? NULL : table_read_f64(file, "histograms", "instructions");
    for (long row = 0; !error && row < texts.rows; row++) {
        int class = run_class_of(cell(&texts, 2, row)), set = run_set_of(cell(&texts, 3, row));
        struct run_histogram bar = {.class = class, .set = set};

        for (int i = 0; i < 4; i++)
            if (!is_count(numbers[i][row]))
                error = -EBADMSG;
        if (error || class < 0 || set < 0 || (instructions && !is_count(instructions[row]))) {
            error = -EBADMSG;
            break;
        }
        snprintf(bar.workload, sizeof(bar.workload), "%s", cell(&texts, 0, row));
        snprintf(bar.platform, sizeof(bar.platform), "%s", cell(&texts, 1, row));
        snprintf(bar.cause, sizeof(bar.cause), "%s", cell(&texts, 4, row));
        bar.seed = numbers[0][row];
        bar.iter = numbers[1][row];
        bar.size = numbers[2][row];
        bar.entries = numbers[3][row];
        bar.instructions = instructions ? instructions[row] : 0;
        run_add_histogram(run, &bar);
    }
    for (int i = 0; i < 4; i++)
        free(numbers[i]);
    free(instructions);
    columns_free(&texts);
    return error;
}

enum { N_SEED, N_ITER, N_FLAGS, N_OPS, N_USER, N_KERNEL, N_HYPERVISOR, N_FIXED };

/* One sample from its columns; counters that are absent or NaN are not measured. */
static int sample_read(struct run *run, const struct columns *texts, double **numbers,
                       double **counters, long row)
{
    struct run_sample sample = {0};
    int kind = run_kind_of(cell(texts, 1, row));
    int class = run_class_of(cell(texts, 3, row));
    int set = run_set_of(cell(texts, 4, row));

    if (kind < 0 || class < 0 || set < 0 || strlen(cell(texts, 0, row)) >= RUN_NAME_MAX ||
        strlen(cell(texts, 2, row)) >= RUN_NAME_MAX || !*cell(texts, 0, row) ||
        !*cell(texts, 2, row))
        return -EBADMSG;
    for (int i = 0; i < N_FIXED; i++)
        if (!is_count(numbers[i][row]) || (i == N_OPS && !numbers[i][row]))
            return -EBADMSG;
    strcpy(sample.workload, cell(texts, 0, row));
    strcpy(sample.platform, cell(texts, 2, row));
    sample.kind = kind;
    sample.class = class;
    sample.set = set;
    sample.seed = numbers[N_SEED][row];
    sample.iter = numbers[N_ITER][row];
    sample.flags = numbers[N_FLAGS][row];
    sample.ops = numbers[N_OPS][row];
    sample.interval.user = numbers[N_USER][row];
    sample.interval.kernel = numbers[N_KERNEL][row];
    sample.interval.hypervisor = numbers[N_HYPERVISOR][row];
    for (int i = 0; i < COUNTER_NR; i++) {
        if (!counters[i] || isnan(counters[i][row]))
            continue;
        if (!is_count(counters[i][row]))
            return -EBADMSG;
        sample.measured |= 1ull << i;
        sample.interval.counter[i] = counters[i][row];
    }
    return run_add_sample(run, &sample);
}

static int read_samples(struct run *run, hid_t file)
{
    static const char *const number_names[N_FIXED] = {
        [N_SEED] = "seed", [N_ITER] = "iter",     [N_FLAGS] = "flags",           [N_OPS] = "ops",
        [N_USER] = "user", [N_KERNEL] = "kernel", [N_HYPERVISOR] = "hypervisor",
    };
    double *numbers[N_FIXED] = {NULL};
    double *counters[COUNTER_NR] = {NULL};
    struct columns texts;
    int error = columns_read(
        file, "samples",
        (const char *const[]){"workload", "kind", "platform", "class", "set", NULL}, &texts);

    for (int i = 0; !error && i < N_FIXED; i++) {
        numbers[i] = table_read_f64(file, "samples", number_names[i]);
        error = numbers[i] ? 0 : -EBADMSG;
    }
    for (int i = 0; !error && i < COUNTER_NR; i++)
        counters[i] = table_read_f64(file, "samples", counter_names[i]);
    for (long row = 0; !error && row < texts.rows; row++)
        error = sample_read(run, &texts, numbers, counters, row);
    for (int i = 0; i < N_FIXED; i++)
        free(numbers[i]);
    for (int i = 0; i < COUNTER_NR; i++)
        free(counters[i]);
    columns_free(&texts);
    return error;
}

/* The bytes of a scalar fixed-length text that `read` fills in; NULL when it is none. */
static char *text_of(hid_t type, size_t *length)
{
    if (type < 0 || H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) != 0)
        return NULL;
    *length = H5Tget_size(type);
    return *length < 1u << 30 ? calloc(*length + 1, 1) : NULL;
}

static char *read_attribute(hid_t file, const char *name)
{
    hid_t attribute = H5Aopen(file, name, H5P_DEFAULT);
    size_t length;

    if (attribute < 0)
        return NULL;
    hid_t type = H5Aget_type(attribute);
    char *text = text_of(type, &length);

    if (text && H5Aread(attribute, type, text) < 0) {
        free(text);
        text = NULL;
    }
    H5Tclose(type);
    H5Aclose(attribute);
    return text;
}

/* Does a text have the sum that its dataset carries? Those of schema 1.0 carry none. */
static bool sum_fits(hid_t dataset, const char *text, size_t length)
{
    char *stored, computed[65];
    bool fits;

    if (H5Aexists(dataset, "sha256") <= 0)
        return true;
    stored = read_attribute(dataset, "sha256");
    while (length && !text[length - 1])
        length--;
    sha256_hex(text, length, computed);
    fits = stored && strcmp(stored, computed) == 0;
    free(stored);
    return fits;
}

/* A text with its length, padding left out; NULL when it is not there or damaged. */
static char *read_dataset(hid_t where, const char *name, size_t *length)
{
    hid_t dataset = H5Dopen2(where, name, H5P_DEFAULT);

    if (dataset < 0)
        return NULL;
    hid_t type = H5Dget_type(dataset);
    hid_t space = H5Dget_space(dataset);
    char *text = H5Sget_simple_extent_npoints(space) == 1 ? text_of(type, length) : NULL;

    if (text && (H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) < 0 ||
                 !sum_fits(dataset, text, *length))) {
        free(text);
        text = NULL;
    }
    H5Sclose(space);
    H5Tclose(type);
    H5Dclose(dataset);
    return text;
}

static int read_number(hid_t file, const char *name, uint32_t *value)
{
    hid_t attribute = H5Aopen(file, name, H5P_DEFAULT);

    if (attribute < 0)
        return -EBADMSG;
    hid_t type = H5Aget_type(attribute);
    int error =
        H5Tget_class(type) != H5T_INTEGER || H5Aread(attribute, H5T_NATIVE_UINT32, value) < 0
            ? -EBADMSG
            : 0;

    H5Tclose(type);
    H5Aclose(attribute);
    return error;
}

static int read_consoles(struct run *run, hid_t file)
{
    hid_t group = H5Gopen2(file, "console", H5P_DEFAULT);
    H5G_info_t info;
    int error = group < 0 || H5Gget_info(group, &info) < 0 ? -EBADMSG : 0;

    for (hsize_t i = 0; !error && i < info.nlinks; i++) {
        char name[256];
        size_t length;
        char *text = H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, name,
                                        sizeof(name), H5P_DEFAULT) < 0
                         ? NULL
                         : read_dataset(group, name, &length);

        if (text) {
            while (length && !text[length - 1])
                length--;
            run_add_console(run, name, text, length);
        } else {
            error = -EBADMSG;
        }
        free(text);
    }
    if (group >= 0)
        H5Gclose(group);
    return error;
}

static int read_head(struct run *run, hid_t file)
{
    const struct {
        const char *name;
        char **slot;
    } texts[] = {
        {"run_id", &run->run_id},
        {"experiment", &run->experiment},
        {"mode", &run->mode},
        {"unit", &run->unit},
        {"suite_id", &run->suite_id},
        {"suite_sha256", &run->suite_sha256},
        {"inputs_sha256", &run->inputs_sha256},
        {"hv_build_id", &run->hv_build_id},
        {"cpu_model", &run->cpu_model},
    };
    uint32_t complete, quick;
    size_t length;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char *text = read_attribute(file, texts[i].name);

        if (!text)
            return -EBADMSG;
        run_text(texts[i].slot, text);
        free(text);
    }
    if (read_number(file, "complete", &complete) || read_number(file, "quick", &quick))
        return -EBADMSG;
    run->complete = complete;
    run->quick = quick;

    char *plan = read_dataset(file, "plan", &length);

    if (!plan)
        return -EBADMSG;
    run_text(&run->plan, plan);
    free(plan);
    return 0;
}

static struct run *refuse(const char *path, enum exit_status *status, enum exit_status why,
                          const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "parangon: %s: ", path);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    if (status)
        *status = why;
    return NULL;
}

/* All parts of an open file whose major is ours; the name of the first part that cannot be read
 * goes to *part. */
static struct run *read_parts(hid_t file, const char **part)
{
    static const struct {
        const char *name;
        int (*read)(struct run *, hid_t);
    } parts[] = {
        {"head", read_head},     {"workloads", read_workloads}, {"provenance", read_provenance},
        {"inputs", read_inputs}, {"environment", read_facts},   {"traces", read_traces},
        {"errors", read_errors}, {"console", read_consoles},    {"samples", read_samples},
        {"histograms", read_histograms}, {"points", points_read},
    };
    struct run *run = run_new();

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (parts[i].read(run, file)) {
            *part = parts[i].name;
            run_free(run);
            return NULL;
        }
    }
    return run;
}

static struct run *read_open(hid_t file, const char *path, enum exit_status *status)
{
    uint32_t major = 0;
    const char *part = NULL;
    char computed[65];
    char *format = read_attribute(file, "format");
    bool ours =
        format && !strcmp(format, "parangon results") && !read_number(file, "schema_major", &major);

    free(format);
    if (!ours)
        return refuse(path, status, STATUS_USAGE, "an HDF5 file, but not a Parangon result");
    if (major != RESULTS_SCHEMA_MAJOR)
        return refuse(path, status, STATUS_NOT_COMPARABLE,
                      "schema %u, and this program reads schema %d; use the release that wrote it",
                      major, RESULTS_SCHEMA_MAJOR);

    struct run *run = read_parts(file, &part);
    char *stored = read_attribute(file, "fingerprint");

    if (run)
        run_fingerprint(run, computed);
    if (run && (!stored || strcmp(stored, computed))) {
        part = "fingerprint";
        run_free(run);
        run = NULL;
    }
    free(stored);
    stored = read_attribute(file, "points_sha256");
    if (run)
        run_points_hash(run, computed);
    if (run && run->nr_points && (!stored || strcmp(stored, computed))) {
        part = "points";
        run_free(run);
        run = NULL;
    }
    free(stored);
    return run ? run
               : refuse(path, status, STATUS_USAGE,
                        "damaged: its %s cannot be read or does not fit the rest", part);
}

struct run *run_read(const char *path, enum exit_status *status)
{
    struct stat info;

    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    if (stat(path, &info))
        return refuse(path, status, STATUS_USAGE, "cannot be read: %s", strerror(errno));
    if (!S_ISREG(info.st_mode))
        return refuse(path, status, STATUS_USAGE, "not a file");
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);

    if (file < 0)
        return refuse(path, status, STATUS_USAGE,
                      "not a whole HDF5 file (%lld bytes: truncated, damaged or something else)",
                      (long long)info.st_size);
    struct run *run = read_open(file, path, status);

    H5Fclose(file);
    if (run && status)
        *status = STATUS_DONE;
    return run;
}

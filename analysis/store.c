/* SPDX-License-Identifier: MIT */
/*
 * Writes a run to one HDF5 file, whole or not at all (results/SCHEMA.md says what lies where).
 *
 * Why this way: HDF5 1.10 leaves an unreadable file when its writer is killed. So the file is
 * built in memory (the core driver), then its bytes go to a nameless file that gets its name
 * only when all of them are on the disk. The same run gives the same bytes: no time stamps,
 * fixed order. Metadata and data carry check sums.
 * Does not: read files (load.c).
 */
#define _GNU_SOURCE /* O_TMPFILE */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analysis/points.h"
#include "analysis/results.h"
#include "analysis/table.h"

/* Text cells of the tables: one function per column, `context` is the run. */
#define TEXT_CELL(part, field)                                                                     \
    static const char *part##_##field(const void *context, size_t row)                             \
    {                                                                                              \
        return ((const struct run *)context)->part[row].field;                                     \
    }
#define CLASS_CELL(part)                                                                           \
    static const char *part##_class(const void *context, size_t row)                               \
    {                                                                                              \
        return run_class_name(((const struct run *)context)->part[row].class);                     \
    }
#define NUMBER_CELL(part, field)                                                                   \
    static uint64_t part##_##field(const void *context, size_t row)                                \
    {                                                                                              \
        return ((const struct run *)context)->part[row].field;                                     \
    }

TEXT_CELL(workloads, name)
TEXT_CELL(workloads, params)
TEXT_CELL(provenance, key)
TEXT_CELL(provenance, value)
TEXT_CELL(inputs, name)
TEXT_CELL(inputs, version)
TEXT_CELL(inputs, sha256)
TEXT_CELL(facts, platform)
CLASS_CELL(facts)
TEXT_CELL(facts, key)
TEXT_CELL(facts, value)
TEXT_CELL(traces, name)
TEXT_CELL(traces, sha256)
NUMBER_CELL(traces, bytes)
TEXT_CELL(errors, platform)
CLASS_CELL(errors)
TEXT_CELL(errors, workload)
TEXT_CELL(errors, message)
TEXT_CELL(samples, workload)
TEXT_CELL(samples, platform)
CLASS_CELL(samples)
NUMBER_CELL(samples, seed)
NUMBER_CELL(samples, iter)
NUMBER_CELL(samples, flags)
NUMBER_CELL(samples, ops)

static const char *workloads_kind(const void *context, size_t row)
{
    return run_kind_name(((const struct run *)context)->workloads[row].kind);
}

static const char *workloads_suite(const void *context, size_t row)
{
    const struct run *run = context;

    return run->workloads[row].in_suite ? run->suite_id : "";
}

static const char *samples_kind(const void *context, size_t row)
{
    return run_kind_name(((const struct run *)context)->samples[row].kind);
}

TEXT_CELL(histograms, workload)
TEXT_CELL(histograms, platform)
CLASS_CELL(histograms)
NUMBER_CELL(histograms, seed)
NUMBER_CELL(histograms, iter)
TEXT_CELL(histograms, cause)
NUMBER_CELL(histograms, size)
NUMBER_CELL(histograms, entries)
NUMBER_CELL(histograms, instructions)

static const char *histograms_set(const void *context, size_t row)
{
    return run_set_name(((const struct run *)context)->histograms[row].set);
}

static const char *samples_set(const void *context, size_t row)
{
    return run_set_name(((const struct run *)context)->samples[row].set);
}

static double samples_split(const void *context, size_t row, int which)
{
    const struct interval *counts = &((const struct run *)context)->samples[row].interval;

    return which == 0 ? counts->user : which == 1 ? counts->kernel : counts->hypervisor;
}

static double samples_counter(const void *context, size_t row, int which)
{
    const struct run_sample *sample = &((const struct run *)context)->samples[row];

    return sample->measured >> which & 1 ? (double)sample->interval.counter[which] : NAN;
}

static const char *counters_name(const void *context, size_t row)
{
    return counter_names[row];
}

static const char *counters_what(const void *context, size_t row)
{
    return counter_whats[row];
}

static const char *counters_unit(const void *context, size_t row)
{
    return row == COUNTER_rep_bytes ? "bytes" : "events";
}

static int write_samples(const struct run *run, hid_t file)
{
    struct table table = {.rows = run->nr_samples};

    table_add_text(&table, "workload", samples_workload, run);
    table_add_text(&table, "kind", samples_kind, run);
    table_add_text(&table, "platform", samples_platform, run);
    table_add_text(&table, "class", samples_class, run);
    table_add_text(&table, "set", samples_set, run);
    table_add_u32(&table, "seed", samples_seed, run);
    table_add_u32(&table, "iter", samples_iter, run);
    table_add_u32(&table, "flags", samples_flags, run);
    table_add_u64(&table, "ops", samples_ops, run);
    table_add_f64(&table, "user", samples_split, run, 0);
    table_add_f64(&table, "kernel", samples_split, run, 1);
    table_add_f64(&table, "hypervisor", samples_split, run, 2);
    for (int i = 0; i < COUNTER_NR; i++)
        table_add_f64(&table, counter_names[i], samples_counter, run, i);
    return table_write(&table, file, "samples");
}

static int write_workloads(const struct run *run, hid_t file)
{
    struct table table = {.rows = run->nr_workloads};

    table_add_text(&table, "name", workloads_name, run);
    table_add_text(&table, "kind", workloads_kind, run);
    table_add_text(&table, "suite", workloads_suite, run);
    table_add_text(&table, "params", workloads_params, run);
    return table_write(&table, file, "workloads");
}

static int write_provenance(const struct run *run, hid_t file)
{
    struct table table = {.rows = run->nr_provenance};

    table_add_text(&table, "key", provenance_key, run);
    table_add_text(&table, "value", provenance_value, run);
    return table_write(&table, file, "provenance");
}

static int write_inputs(const struct run *run, hid_t file)
{
    struct table table = {.rows = run->nr_inputs};

    table_add_text(&table, "name", inputs_name, run);
    table_add_text(&table, "version", inputs_version, run);
    table_add_text(&table, "sha256", inputs_sha256, run);
    return table_write(&table, file, "inputs");
}

static int write_facts(const struct run *run, hid_t file)
{
    struct table table = {.rows = run->nr_facts};

    table_add_text(&table, "platform", facts_platform, run);
    table_add_text(&table, "class", facts_class, run);
    table_add_text(&table, "key", facts_key, run);
    table_add_text(&table, "value", facts_value, run);
    return table_write(&table, file, "environment");
}

static int write_traces(const struct run *run, hid_t file)
{
    struct table table = {.rows = run->nr_traces};

    table_add_text(&table, "name", traces_name, run);
    table_add_text(&table, "sha256", traces_sha256, run);
    table_add_u64(&table, "bytes", traces_bytes, run);
    return table_write(&table, file, "traces");
}

static int write_errors(const struct run *run, hid_t file)
{
    struct table table = {.rows = run->nr_errors};

    table_add_text(&table, "platform", errors_platform, run);
    table_add_text(&table, "class", errors_class, run);
    table_add_text(&table, "workload", errors_workload, run);
    table_add_text(&table, "message", errors_message, run);
    return table_write(&table, file, "errors");
}

static int write_histograms(const struct run *run, hid_t file)
{
    struct table table = {.rows = run->nr_histograms};

    table_add_text(&table, "workload", histograms_workload, run);
    table_add_text(&table, "platform", histograms_platform, run);
    table_add_text(&table, "class", histograms_class, run);
    table_add_text(&table, "set", histograms_set, run);
    table_add_u32(&table, "seed", histograms_seed, run);
    table_add_u32(&table, "iter", histograms_iter, run);
    table_add_text(&table, "cause", histograms_cause, run);
    table_add_u32(&table, "size", histograms_size, run);
    table_add_u64(&table, "entries", histograms_entries, run);
    table_add_u64(&table, "instructions", histograms_instructions, run);
    return table_write(&table, file, "histograms");
}

static int write_counters(const struct run *run, hid_t file)
{
    struct table table = {.rows = COUNTER_NR};

    table_add_text(&table, "name", counters_name, NULL);
    table_add_text(&table, "unit", counters_unit, NULL);
    table_add_text(&table, "what", counters_what, NULL);
    return table_write(&table, file, "counters");
}

/* A scalar text, as an attribute or as a dataset of its own (`as_dataset`), which gets its SHA-256 as
 * an attribute: sums of HDF5 are for chunked datasets only. */
static int write_text(hid_t where, const char *name, const char *text, size_t length,
                      bool as_dataset)
{
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t type = H5Tcopy(H5T_C_S1);
    hid_t layout = H5Pcreate(H5P_DATASET_CREATE);
    int error = 0;

    H5Tset_size(type, length ? length : 1);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Tset_cset(type, as_dataset ? H5T_CSET_ASCII : H5T_CSET_UTF8);
    H5Pset_obj_track_times(layout, false);
    if (as_dataset) {
        hid_t set = H5Dcreate2(where, name, type, space, H5P_DEFAULT, layout, H5P_DEFAULT);
        char sum[65];

        error = set < 0 || H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) < 0;
        while (length && !text[length - 1]) /* a reader cannot tell NULs at the end from padding */
            length--;
        sha256_hex(text, length, sum);
        error = error || write_text(set, "sha256", sum, 64, false);
        if (set >= 0)
            H5Dclose(set);
    } else {
        hid_t attribute = H5Acreate2(where, name, type, space, H5P_DEFAULT, H5P_DEFAULT);

        error = attribute < 0 || H5Awrite(attribute, type, text) < 0;
        if (attribute >= 0)
            H5Aclose(attribute);
    }
    H5Pclose(layout);
    H5Tclose(type);
    H5Sclose(space);
    return error ? -EIO : 0;
}

static int write_number(hid_t file, const char *name, uint32_t value)
{
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(file, name, H5T_STD_U32LE, space, H5P_DEFAULT, H5P_DEFAULT);
    int error = attribute < 0 || H5Awrite(attribute, H5T_NATIVE_UINT32, &value) < 0 ? -EIO : 0;

    if (attribute >= 0)
        H5Aclose(attribute);
    H5Sclose(space);
    return error;
}

static int write_head(const struct run *run, hid_t file)
{
    char fingerprint[65];
    int error = write_number(file, "schema_major", RESULTS_SCHEMA_MAJOR);

    run_fingerprint(run, fingerprint);
    const char *const texts[][2] = {
        {"format", "parangon results"},
        {"run_id", run->run_id},
        {"experiment", run->experiment},
        {"mode", run->mode},
        {"unit", run->unit},
        {"suite_id", run->suite_id},
        {"suite_sha256", run->suite_sha256},
        {"inputs_sha256", run->inputs_sha256},
        {"hv_build_id", run->hv_build_id},
        {"cpu_model", run->cpu_model},
        {"fingerprint", fingerprint},
    };

    if (run->nr_points) {
        char points[65];

        run_points_hash(run, points);
        error = error ? error : write_text(file, "points_sha256", points, strlen(points), false);
    }
    error = error ? error : write_number(file, "schema_minor", RESULTS_SCHEMA_MINOR);
    error = error ? error : write_number(file, "complete", run->complete);
    error = error ? error : write_number(file, "quick", run->quick);
    for (size_t i = 0; !error && i < sizeof(texts) / sizeof(texts[0]); i++)
        error = write_text(file, texts[i][0], texts[i][1], strlen(texts[i][1]), false);
    return error ? error : write_text(file, "plan", run->plan, strlen(run->plan), true);
}

static int write_consoles(const struct run *run, hid_t file)
{
    hid_t layout = H5Pcreate(H5P_GROUP_CREATE);

    H5Pset_obj_track_times(layout, false);
    hid_t group = H5Gcreate2(file, "console", H5P_DEFAULT, layout, H5P_DEFAULT);
    int error = group < 0 ? -EIO : 0;

    for (size_t i = 0; !error && i < run->nr_consoles; i++)
        error = write_text(group, run->consoles[i].name, run->consoles[i].text,
                           run->consoles[i].length, true);
    if (group >= 0)
        H5Gclose(group);
    H5Pclose(layout);
    return error;
}

/*
 * The memory of the core driver. H5Fget_file_image() of 1.10 gives files with check sums a wrong
 * one in the superblock, so the memory itself is taken over when the driver wants to free it on
 * closing.
 */
struct image {
    unsigned char *bytes;
};

static void *image_alloc(size_t size, H5FD_file_image_op_t when, void *image)
{
    return malloc(size);
}

static void *image_grow(void *bytes, size_t size, H5FD_file_image_op_t when, void *image)
{
    return realloc(bytes, size);
}

static void *image_copy(void *to, const void *from, size_t size, H5FD_file_image_op_t when,
                        void *image)
{
    return memcpy(to, from, size);
}

static herr_t image_free(void *bytes, H5FD_file_image_op_t when, void *image)
{
    if (when == H5FD_FILE_IMAGE_OP_FILE_CLOSE)
        ((struct image *)image)->bytes = bytes;
    else
        free(bytes);
    return 0;
}

static void *image_share(void *image)
{
    return image;
}

static herr_t image_unshare(void *image)
{
    return 0;
}

/* Where the file ends, by its superblock (HDF5 File Format Specification II.A, version 3); the
 * memory is longer. */
static size_t image_length(const unsigned char *bytes)
{
    size_t length = 0;

    for (int i = 7; i >= 0; i--)
        length = length << 8 | bytes[28 + i];
    return length;
}

/* The bytes of the whole file, in memory that the caller frees. */
static int build_image(const struct run *run, unsigned char **bytes, size_t *length)
{
    static int (*const writers[])(const struct run *, hid_t) = {
        write_head,   write_workloads, write_provenance, write_inputs,   write_facts,
        write_traces, write_errors,    write_counters,   write_consoles, write_samples, write_histograms,
        points_write,
    };
    struct image image = {NULL};
    H5FD_file_image_callbacks_t callbacks = {image_alloc, image_copy,    image_grow, image_free,
                                             image_share, image_unshare, &image};
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    hid_t create = H5Pcreate(H5P_FILE_CREATE);
    int error = 0;

    H5Pset_fapl_core(access, 4096, false);
    H5Pset_file_image_callbacks(access, &callbacks);
    H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110);
    H5Pset_obj_track_times(create, false);
    hid_t file = H5Fcreate("parangon-results", H5F_ACC_TRUNC, create, access);

    if (file < 0)
        error = -EIO;
    for (size_t i = 0; !error && i < sizeof(writers) / sizeof(writers[0]); i++)
        error = writers[i](run, file);
    if (file >= 0 && H5Fclose(file) < 0)
        error = -EIO;
    H5Pclose(create);
    H5Pclose(access);
    *bytes = image.bytes;
    *length = image.bytes ? image_length(image.bytes) : 0;
    return error ? error : image.bytes ? 0 : -ENOMEM;
}

static int write_all(int fd, const unsigned char *bytes, size_t length)
{
    while (length) {
        ssize_t written = write(fd, bytes, length);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written ? -errno : -ENOSPC;
        bytes += written;
        length -= written;
    }
    return fsync(fd) ? -errno : 0;
}

/* Give the nameless file `fd` its name; an older file of that name is replaced in one step. */
static int give_name(int fd, const char *path, const char *partial)
{
    char self[64];

    snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
    if (!linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW))
        return 0;
    if (errno != EEXIST)
        return -errno;
    unlink(partial);
    if (linkat(AT_FDCWD, self, AT_FDCWD, partial, AT_SYMLINK_FOLLOW) || rename(partial, path)) {
        int error = -errno;

        unlink(partial);
        return error;
    }
    return 0;
}

/* The folder of a path, "." when it has none; the caller frees it. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? strndup(path, slash == path ? 1 : slash - path) : strdup(".");
}

static int put_file(const char *path, const unsigned char *image, size_t length)
{
    char *folder = folder_of(path);
    char *partial = malloc(strlen(path) + sizeof(".partial"));
    int error = folder && partial ? 0 : -ENOMEM;
    bool named = false;
    int fd = -1;

    if (!error) {
        sprintf(partial, "%s.partial", path);
        fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);
        if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
            fd = open(partial, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
            named = fd >= 0;
        }
        error = fd < 0 ? -errno : write_all(fd, image, length);
    }
    if (!error && named)
        error = rename(partial, path) ? -errno : 0;
    else if (!error)
        error = give_name(fd, path, partial);
    if (error && named)
        unlink(partial);
    if (fd >= 0)
        close(fd);
    free(partial);
    free(folder);
    return error;
}

int run_write(const struct run *run, const char *path)
{
    unsigned char *image = NULL;
    size_t length = 0;

    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    int error = build_image(run, &image, &length);

    if (error)
        fprintf(stderr, "parangon: cannot build the result file %s in memory: %s\n", path,
                strerror(-error));
    else if ((error = put_file(path, image, length)))
        fprintf(
            stderr,
            "parangon: cannot write the result file %s (%zu bytes): %s; nothing was left there. "
            "Make room or choose another folder.\n",
            path, length, strerror(-error));
    free(image);
    return error;
}

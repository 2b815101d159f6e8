/* SPDX-License-Identifier: MIT */
/*
 * Points of a simulated experiment: one figure of one simulated run each, in the order in which they were made.
 *
 * Why it exists: what a simulator says is no sample of a machine. It has other columns, another unit in each row, and never
 * stands in one table with counts (mode "simulated").
 * Does not: know what the figures mean (sim/).
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/points.h"

#define TEXT_CELL(column)                                                                                                          \
    static const char *column##_cell(const void *context, size_t row)                                                             \
    {                                                                                                                              \
        return ((const struct run *)context)->points[row].column;                                                                  \
    }
TEXT_CELL(series)
TEXT_CELL(key)
TEXT_CELL(x)
TEXT_CELL(load)
TEXT_CELL(metric)
TEXT_CELL(unit)

static uint64_t seed_cell(const void *context, size_t row)
{
    return ((const struct run *)context)->points[row].seed;
}

static double value_cell(const void *context, size_t row, int which)
{
    return ((const struct run *)context)->points[row].value;
}

int points_write(const struct run *run, hid_t file)
{
    struct table table = {.rows = run->nr_points};

    if (!run->nr_points)
        return 0;
    table_add_text(&table, "series", series_cell, run);
    table_add_text(&table, "key", key_cell, run);
    table_add_text(&table, "x", x_cell, run);
    table_add_text(&table, "load", load_cell, run);
    table_add_text(&table, "metric", metric_cell, run);
    table_add_text(&table, "unit", unit_cell, run);
    table_add_u64(&table, "seed", seed_cell, run);
    table_add_f64(&table, "value", value_cell, run, 0);
    return table_write(&table, file, "points");
}

int points_read(struct run *run, hid_t file)
{
    static const struct {
        const char *name;
        size_t offset;
    } columns[] = {{"series", offsetof(struct run_point, series)}, {"key", offsetof(struct run_point, key)},
                   {"x", offsetof(struct run_point, x)},           {"load", offsetof(struct run_point, load)},
                   {"metric", offsetof(struct run_point, metric)}, {"unit", offsetof(struct run_point, unit)}};
    enum { NR = sizeof columns / sizeof columns[0] };
    char *text[NR] = {0};
    size_t width[NR];
    long rows = H5Lexists(file, "points", H5P_DEFAULT) > 0 ? table_rows(file, "points") : 0;
    double *seed = rows > 0 ? table_read_f64(file, "points", "seed") : NULL;
    double *value = rows > 0 ? table_read_f64(file, "points", "value") : NULL;
    int error = rows < 0 || (rows > 0 && (!seed || !value)) ? -EBADMSG : 0;

    for (int i = 0; i < NR && rows > 0 && !error; i++)
        if (!(text[i] = table_read_text(file, "points", columns[i].name, &width[i])))
            error = -EBADMSG;
    for (long row = 0; row < rows && !error; row++) {
        struct run_point point = {.seed = (uint64_t)seed[row], .value = value[row]};

        for (int i = 0; i < NR; i++)
            strncpy((char *)&point + columns[i].offset, text[i] + row * width[i], RUN_NAME_MAX - 1);
        run_add_point(run, &point);
    }
    for (int i = 0; i < NR; i++)
        free(text[i]);
    free(seed);
    free(value);
    return error;
}

void run_points_hash(const struct run *run, char hex[65])
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);

    if (!out)
        abort();
    for (size_t i = 0; i < run->nr_points; i++) {
        const struct run_point *p = &run->points[i];

        fprintf(out, "%s|%s|%s|%s|%s|%s|%llu|%.17g\n", p->series, p->key, p->x, p->load, p->metric, p->unit,
                (unsigned long long)p->seed, p->value);
    }
    fclose(out);
    sha256_hex(text, length, hex);
    free(text);
}

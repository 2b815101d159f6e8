/* SPDX-License-Identifier: MIT */
/*
 * Tables in HDF5: see table.h. Columns are collected one by one, then packed into rows and
 * written at once.
 *
 * Datasets are chunked, deflated and carry Fletcher-32 sums, and no time stamps: a damaged file
 * is noticed and the same run gives the same bytes.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/table.h"

/* The new last column with room for its cells, or NULL after an error. Takes over `type`. */
static struct table_column *column_add(struct table *table, const char *name, hid_t type)
{
    if (table->error || table->nr_columns == TABLE_COLUMNS_MAX) {
        table->error = table->error ? table->error : -E2BIG;
        H5Tclose(type);
        return NULL;
    }
    struct table_column *column = &table->columns[table->nr_columns++];

    strncpy(column->name, name, sizeof(column->name) - 1);
    column->type = type;
    column->size = H5Tget_size(type);
    column->cells = calloc(table->rows + 1, column->size);
    if (!column->cells)
        table->error = -ENOMEM;
    return column->cells ? column : NULL;
}

static hid_t text_type(size_t size)
{
    hid_t type = H5Tcopy(H5T_C_S1);

    H5Tset_size(type, size);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

void table_add_text(struct table *table, const char *name, table_text_fn cell, const void *context)
{
    size_t widest = 1;

    for (size_t row = 0; row < table->rows; row++) {
        size_t length = strlen(cell(context, row));

        widest = length > widest ? length : widest;
    }
    struct table_column *column = column_add(table, name, text_type(widest));

    for (size_t row = 0; column && row < table->rows; row++) {
        const char *text = cell(context, row);

        memcpy(column->cells + row * widest, text, strlen(text));
    }
}

void table_add_u32(struct table *table, const char *name, table_u64_fn cell, const void *context)
{
    struct table_column *column = column_add(table, name, H5Tcopy(H5T_STD_U32LE));

    for (size_t row = 0; column && row < table->rows; row++)
        ((uint32_t *)column->cells)[row] = cell(context, row);
}

void table_add_u64(struct table *table, const char *name, table_u64_fn cell, const void *context)
{
    struct table_column *column = column_add(table, name, H5Tcopy(H5T_STD_U64LE));

    for (size_t row = 0; column && row < table->rows; row++)
        ((uint64_t *)column->cells)[row] = cell(context, row);
}

void table_add_f64(struct table *table, const char *name, table_f64_fn cell, const void *context,
                   int which)
{
    struct table_column *column = column_add(table, name, H5Tcopy(H5T_IEEE_F64LE));

    for (size_t row = 0; column && row < table->rows; row++)
        ((double *)column->cells)[row] = cell(context, row, which);
}

static void table_free(struct table *table)
{
    for (size_t i = 0; i < table->nr_columns; i++) {
        H5Tclose(table->columns[i].type);
        free(table->columns[i].cells);
    }
    table->nr_columns = 0;
}

/* How a dataset of so many rows is laid out in the file. */
static hid_t dataset_layout(size_t rows)
{
    hid_t layout = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t chunk = rows < 4096 ? rows : 4096;

    H5Pset_obj_track_times(layout, false);
    if (rows) {
        H5Pset_chunk(layout, 1, &chunk);
        H5Pset_shuffle(layout);
        H5Pset_deflate(layout, 6);
        H5Pset_fletcher32(layout);
    }
    return layout;
}

static int rows_write(const struct table *table, hid_t file, const char *name,
                      const unsigned char *rows, hid_t type)
{
    hsize_t extent = table->rows;
    hid_t space = H5Screate_simple(1, &extent, NULL);
    hid_t layout = dataset_layout(table->rows);
    hid_t dataset = H5Dcreate2(file, name, type, space, H5P_DEFAULT, layout, H5P_DEFAULT);
    int error = dataset < 0 ? -EIO : 0;

    if (!error && table->rows && H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, rows) < 0)
        error = -EIO;
    if (dataset >= 0 && H5Dclose(dataset) < 0)
        error = -EIO;
    H5Pclose(layout);
    H5Sclose(space);
    return error;
}

int table_write(struct table *table, hid_t file, const char *name)
{
    size_t row_size = 0;
    size_t offset = 0;

    for (size_t i = 0; i < table->nr_columns; i++)
        row_size += table->columns[i].size;

    unsigned char *rows = calloc(table->rows + 1, row_size + 1);
    int error = table->error ? table->error : rows ? 0 : -ENOMEM;

    if (!error) {
        hid_t type = H5Tcreate(H5T_COMPOUND, row_size);

        for (size_t i = 0; i < table->nr_columns; i++) {
            const struct table_column *column = &table->columns[i];

            H5Tinsert(type, column->name, offset, column->type);
            for (size_t row = 0; row < table->rows; row++)
                memcpy(rows + row * row_size + offset, column->cells + row * column->size,
                       column->size);
            offset += column->size;
        }
        error = rows_write(table, file, name, rows, type);
        H5Tclose(type);
    }
    free(rows);
    table_free(table);
    return error;
}

long table_rows(hid_t file, const char *name)
{
    hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
    hsize_t extent = 0;

    if (dataset < 0)
        return -1;
    hid_t space = H5Dget_space(dataset);
    hid_t type = H5Dget_type(dataset);
    bool ours = H5Sget_simple_extent_ndims(space) == 1 && H5Tget_class(type) == H5T_COMPOUND &&
                H5Sget_simple_extent_dims(space, &extent, NULL) == 1 && extent < 1u << 28;

    H5Tclose(type);
    H5Sclose(space);
    H5Dclose(dataset);
    return ours ? (long)extent : -1;
}

/* The type in the file of one column, or -1. */
static hid_t column_type(hid_t dataset, const char *column)
{
    hid_t row_type = H5Dget_type(dataset);
    int index = H5Tget_class(row_type) == H5T_COMPOUND ? H5Tget_member_index(row_type, column) : -1;
    hid_t type = index < 0 ? -1 : H5Tget_member_type(row_type, index);

    H5Tclose(row_type);
    return type;
}

/* All cells of one column, converted to `type` (`size` bytes each); NULL when that fails. */
static void *column_read(hid_t dataset, const char *column, hid_t type, size_t size, long rows)
{
    hid_t wanted = H5Tcreate(H5T_COMPOUND, size);
    void *cells = calloc(rows + 1, size);

    if (H5Tinsert(wanted, column, 0, type) < 0 || !cells ||
        (rows && H5Dread(dataset, wanted, H5S_ALL, H5S_ALL, H5P_DEFAULT, cells) < 0)) {
        free(cells);
        cells = NULL;
    }
    H5Tclose(wanted);
    return cells;
}

char *table_read_text(hid_t file, const char *name, const char *column, size_t *width)
{
    long rows = table_rows(file, name);
    hid_t dataset = rows < 0 ? -1 : H5Dopen2(file, name, H5P_DEFAULT);
    char *cells = NULL;

    if (dataset < 0)
        return NULL;
    hid_t type = column_type(dataset, column);

    if (type >= 0 && H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0) {
        hid_t memory = text_type(H5Tget_size(type) + 1);

        *width = H5Tget_size(memory);
        cells = column_read(dataset, column, memory, *width, rows);
        H5Tclose(memory);
    }
    if (type >= 0)
        H5Tclose(type);
    H5Dclose(dataset);
    return cells;
}

double *table_read_f64(hid_t file, const char *name, const char *column)
{
    long rows = table_rows(file, name);
    hid_t dataset = rows < 0 ? -1 : H5Dopen2(file, name, H5P_DEFAULT);
    double *cells = NULL;

    if (dataset < 0)
        return NULL;
    hid_t type = column_type(dataset, column);

    if (type >= 0 && (H5Tget_class(type) == H5T_INTEGER || H5Tget_class(type) == H5T_FLOAT))
        cells = column_read(dataset, column, H5T_NATIVE_DOUBLE, sizeof(double), rows);
    if (type >= 0)
        H5Tclose(type);
    H5Dclose(dataset);
    return cells;
}

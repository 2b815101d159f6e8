/* SPDX-License-Identifier: MIT */
/*
 * Tables in HDF5: a one-dimensional dataset of a compound type, one member per column.
 *
 * Why it exists: h5py gives such a dataset as a structured array and pandas as a frame, without
 * help. The writer hands over columns and the reader asks for columns by name, so that a newer
 * minor may add some and an older file may lack some. Text columns are fixed-length, NUL-padded
 * UTF-8 as wide as the longest cell; numbers are u32, u64 or double.
 * Does not: know what the columns mean (store.c, load.c).
 */
#ifndef PARANGON_TABLE_H
#define PARANGON_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include <hdf5.h>

#define TABLE_COLUMNS_MAX 64

struct table_column {
    char name[48];
    hid_t type; /* its type in the file */
    size_t size;
    unsigned char *cells; /* rows * size */
};

/* A table that is being built; starts as {.rows = N}. After the first error the rest of the calls
 * do nothing. */
struct table {
    size_t rows;
    size_t nr_columns;
    int error; /* 0 or -errno */
    struct table_column columns[TABLE_COLUMNS_MAX];
};

/* One cell of text for a row. */
typedef const char *(*table_text_fn)(const void *context, size_t row);
/* One number for a row; columns of u32 and u64 take it as it is, those of double accept NAN. */
typedef uint64_t (*table_u64_fn)(const void *context, size_t row);
typedef double (*table_f64_fn)(const void *context, size_t row, int which);

void table_add_text(struct table *table, const char *name, table_text_fn cell, const void *context);
void table_add_u32(struct table *table, const char *name, table_u64_fn cell, const void *context);
void table_add_u64(struct table *table, const char *name, table_u64_fn cell, const void *context);
void table_add_f64(struct table *table, const char *name, table_f64_fn cell, const void *context,
                   int which);

/**
 * Write the table as dataset `name` (compressed, checksummed) and free what it holds.
 * @return 0, -ENOMEM, or -EIO when HDF5 refuses
 */
int table_write(struct table *table, hid_t file, const char *name);

/** The number of rows of dataset `name`, or -1 when it is not a readable table. */
long table_rows(hid_t file, const char *name);

/**
 * Read one text column: rows strings of `*width` bytes each, every one with a NUL at its end.
 * @return the cells (caller frees), or NULL when the column is missing or damaged
 */
char *table_read_text(hid_t file, const char *name, const char *column, size_t *width);

/** Read one column of numbers as doubles. @return the cells (caller frees), or NULL when missing or
 * damaged */
double *table_read_f64(hid_t file, const char *name, const char *column);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * explain_show.h: each platform's segments become blocks of lines; the blocks of several platforms
 * are aligned like two texts in a comparison (a block pairs with one of the same class, best with
 * one that begins with the same function), and printed in columns.
 */
#include "bench/explain_show.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bench/paths.h"

#define COUNT_WIDTH   9
#define GAP           2
#define LINES_MAX     300 /* of the path, unless the user wants it full */
#define FUNCTIONS_MAX 40

/* One segment or group as lines. */
struct item {
    const struct path_segment *segment;
    char **line;
    size_t nr, capacity;
};

struct column {
    struct item *item;
    size_t nr;
};

static const char *const counter_names[] = {
#define COUNTER(name, what) #name,
#include "bench/counters.def"
#undef COUNTER
};

/* ---- numbers and cells ---- */

/* With thousands separated: "1,099". */
static char *grouped(uint64_t value)
{
    char digits[24], *text = malloc(40);
    int nr = snprintf(digits, sizeof digits, "%" PRIu64, value), to = 0;

    if (!text)
        abort();
    for (int i = 0; i < nr; i++) {
        if (i && (nr - i) % 3 == 0)
            text[to++] = ',';
        text[to++] = digits[i];
    }
    text[to] = '\0';
    return text;
}

/* Per operation: whole numbers plain, others with one decimal; "-" for none. */
static char *per_operation(uint64_t value, uint64_t ops)
{
    if (value == 0)
        return format("-");
    if (value * 20 < ops)
        return format("<0.1");
    if (value % ops == 0 || value / ops >= 10000)
        return grouped((value + ops / 2) / ops);
    return format("%.1f", (double)value / (double)ops);
}

static size_t display_width(const char *text)
{
    size_t width = 0;

    for (; *text; text++)
        width +=
            ((unsigned char)*text & 0xc0) != 0x80; /* UTF-8: continuation bytes take no place */
    return width;
}

/* A text in a cell of this width, cut with "~" where it is longer. */
static void put_cell(FILE *out, const char *text, size_t width, bool last)
{
    size_t shown = 0, long_text = display_width(text) > width;

    for (; *text; text++) {
        if (((unsigned char)*text & 0xc0) != 0x80 && ++shown >= width && long_text) {
            fputc('~', out);
            return;
        }
        fputc(*text, out);
    }
    for (; !last && shown < width; shown++)
        fputc(' ', out);
}

static void put_right(FILE *out, char *text, size_t width)
{
    for (size_t at = display_width(text); at < width; at++)
        fputc(' ', out);
    fputs(text, out);
    free(text);
}

/* ---- lines ---- */

static void add_line(struct item *item, uint64_t count, size_t indent, char *text)
{
    char *number = grouped(count);

    if (item->nr == item->capacity) {
        item->capacity = item->capacity ? item->capacity * 2 : 16;
        item->line = realloc(item->line, item->capacity * sizeof *item->line);
        if (!item->line)
            abort();
    }
    item->line[item->nr++] = format("%*s %*s%s", COUNT_WIDTH, number, (int)indent, "", text);
    free(number);
    free(text);
}

static char *times_suffix(uint64_t times)
{
    char *number, *text;

    if (times == 1)
        return format("%s", "");
    number = grouped(times);
    text = format(" × %s", number);
    free(number);
    return text;
}

static const char *vector_name(int vector)
{
    static const char *const names[] = {
        [0] = "divide error",        [1] = "debug",           [2] = "NMI",
        [3] = "breakpoint",          [4] = "overflow",        [5] = "bound",
        [6] = "invalid opcode",      [7] = "no FPU",          [8] = "double fault",
        [10] = "invalid TSS",        [11] = "absent segment", [12] = "stack fault",
        [13] = "general protection", [14] = "page fault",     [16] = "FPU error",
        [17] = "alignment",          [18] = "machine check",  [19] = "SIMD error",
    };
    static char text[32];

    if (vector >= 0 && vector < (int)(sizeof names / sizeof names[0]) && names[vector])
        return names[vector];
    snprintf(text, sizeof text, vector < 32 ? "exception %d" : "interrupt %d", vector);
    return text;
}

static void add_node(struct item *item, const struct path *path, const struct path_node *n,
                     size_t indent)
{
    char *suffix = times_suffix(n->times);

    add_line(item, n->self, indent,
             format("%s%s%s", n->continued ? ".." : "", path->function[n->function].name, suffix));
    free(suffix);
    for (size_t i = 0; i < n->nr; i++)
        add_node(item, path, &n->child[i], indent + 1);
}

static void add_segment(struct item *item, const struct path *path, const struct path_segment *s,
                        size_t indent)
{
    char *suffix = times_suffix(s->times);

    if (s->nr_members) {
        add_line(item, s->instructions, indent, format("== repeats%s", suffix));
        for (size_t i = 0; i < s->nr_members; i++)
            add_segment(item, path, &s->member[i], indent + 1);
    } else {
        add_line(item, s->instructions, indent,
                 format("-- %s%s%s%s", path_class_name(s->class),
                        s->vector == PATH_NO_VECTOR ? "" : ", ",
                        s->vector == PATH_NO_VECTOR ? "" : vector_name(s->vector), suffix));
        for (size_t i = 0; i < s->root.nr; i++)
            add_node(item, path, &s->root.child[i], indent + 1);
    }
    free(suffix);
}

/*
 * Where no operation is typical: how many segments the first one takes, if all are about as long.
 */
static size_t first_operation(const struct explained *e)
{
    uint64_t all = 0, sum = 0;
    size_t nr = 0;

    for (int class = 0; class < PATH_CLASSES; class ++)
        all += e->path.instructions[class];
    while (nr < e->path.nr_segments && sum < all / e->ops) {
        sum += e->path.segment[nr].instructions * e->path.segment[nr].times;
        nr++;
    }
    return nr;
}

static struct column column_of(const struct explained *e, bool full)
{
    const struct path_segment *first = e->path.segment;
    struct column c = {.nr = full ? e->path.nr_segments : first_operation(e)};

    if (e->typical && !full) {
        first = e->typical->nr_members ? e->typical->member : e->typical;
        c.nr = e->typical->nr_members ? e->typical->nr_members : 1;
    }
    c.item = calloc(c.nr + 1, sizeof *c.item);
    if (!c.item)
        abort();
    for (size_t i = 0; i < c.nr; i++) {
        struct path_segment once = first[i];

        c.item[i].segment = &first[i];
        if (e->typical == &first[i] && !full)
            once.times = 1;
        add_segment(&c.item[i], &e->path, &once, 0);
    }
    return c;
}

static void column_free(struct column *c)
{
    for (size_t i = 0; i < c->nr; i++) {
        for (size_t k = 0; k < c->item[i].nr; k++)
            free(c->item[i].line[k]);
        free(c->item[i].line);
    }
    free(c->item);
}

/* ---- alignment ---- */

/* A row of the aligned table: which item of each column stands in it, -1 for none. */
struct row {
    long at[EXPLAIN_PLATFORMS_MAX];
};

static const char *first_function(const struct explained *e, const struct path_segment *s)
{
    while (s->nr_members)
        s = &s->member[0];
    return s->root.nr ? e->path.function[s->root.child[0].function].name : "";
}

static int similarity(const struct explained *ea, const struct path_segment *a,
                      const struct explained *eb, const struct path_segment *b)
{
    if (a->class != b->class || !a->nr_members != !b->nr_members)
        return 0;
    return 2 + (strcmp(first_function(ea, a), first_function(eb, b)) == 0);
}

/* The item that stands for a row: of the first column that has one. */
static size_t row_column(const struct row *r)
{
    size_t c = 0;

    while (r->at[c] < 0)
        c++;
    return c;
}

/* Merge column c into the rows so far: the longest common subsequence, weighted by similarity. */
static struct row *merge_column(const struct explained *e, const struct column *columns, size_t c,
                                struct row *rows, size_t *nr_rows)
{
    size_t n = *nr_rows, m = columns[c].nr, i, k, to = 0;
    int *best = calloc((n + 1) * (m + 1), sizeof *best);
    struct row *merged = calloc(n + m + 1, sizeof *merged);
#define BEST(i, k) best[(i) * (m + 1) + (k)]
#define SIMILAR(i, k)                                                                              \
    similarity(&e[row_column(&rows[i])],                                                           \
               columns[row_column(&rows[i])].item[rows[i].at[row_column(&rows[i])]].segment,       \
               &e[c], columns[c].item[k].segment)

    if (!best || !merged)
        abort();
    for (i = n; i-- > 0;) {
        for (k = m; k-- > 0;) {
            int pair = SIMILAR(i, k),
                skip = BEST(i + 1, k) > BEST(i, k + 1) ? BEST(i + 1, k) : BEST(i, k + 1);

            BEST(i, k) =
                pair && pair + BEST(i + 1, k + 1) > skip ? pair + BEST(i + 1, k + 1) : skip;
        }
    }
    for (i = k = 0; i < n || k < m; to++) {
        int pair = i < n && k < m ? SIMILAR(i, k) : 0;

        for (size_t x = 0; x < EXPLAIN_PLATFORMS_MAX; x++)
            merged[to].at[x] = -1;
        if (pair && BEST(i, k) == pair + BEST(i + 1, k + 1)) {
            merged[to] = rows[i++];
            merged[to].at[c] = (long)k++;
        } else if (i < n && (k == m || BEST(i, k) == BEST(i + 1, k))) {
            merged[to] = rows[i++];
        } else {
            merged[to].at[c] = (long)k++;
        }
    }
#undef BEST
#undef SIMILAR
    free(best);
    free(rows);
    *nr_rows = to;
    return merged;
}

/* ---- the screen ---- */

static void print_rows(FILE *out, const struct column *columns, size_t nr, const struct row *rows,
                       size_t nr_rows, size_t width, bool full)
{
    size_t printed = 0, left_out = 0;

    for (size_t r = 0; r < nr_rows; r++) {
        size_t lines = 0;

        for (size_t c = 0; c < nr; c++)
            if (rows[r].at[c] >= 0 && columns[c].item[rows[r].at[c]].nr > lines)
                lines = columns[c].item[rows[r].at[c]].nr;
        for (size_t l = 0; l < lines; l++) {
            if (!full && printed >= LINES_MAX) {
                left_out++;
                continue;
            }
            for (size_t c = 0; c < nr; c++) {
                const struct item *item =
                    rows[r].at[c] >= 0 ? &columns[c].item[rows[r].at[c]] : NULL;

                put_cell(out, item && l < item->nr ? item->line[l] : "", width, c + 1 == nr);
                if (c + 1 < nr)
                    fprintf(out, "%*s", GAP, "");
            }
            fputc('\n', out);
            printed++;
        }
    }
    if (left_out)
        fprintf(out, "... %zu more lines (--full shows them)\n", left_out);
}

static char *path_head(const struct explained *e, bool full)
{
    char *times = grouped(e->typical_times), *least = grouped(e->path.alike_least),
         *most = grouped(e->path.alike_most);
    char *head;

    if (full)
        head = format("%*s %s, whole interval", COUNT_WIDTH, "instr.", e->platform);
    else if (!e->typical)
        head = format("%*s %s, first of %" PRIu64 ", about", COUNT_WIDTH, "instr.", e->platform,
                      e->ops);
    else if (e->typical != &e->path.alike)
        head = format("%*s %s × %s", COUNT_WIDTH, "instr.", e->platform, times);
    else
        head = format("%*s %s, of %s: %s to %s", COUNT_WIDTH, "instr.", e->platform, times, least,
                      most);
    free(times);
    free(least);
    free(most);
    return head;
}

static void print_path(FILE *out, const struct explained *e, size_t nr,
                       const struct explain_view *view)
{
    size_t width = (view->width - GAP * (nr - 1)) / nr, nr_rows = 0;
    struct column columns[EXPLAIN_PLATFORMS_MAX];
    struct row *rows = NULL;

    for (size_t i = 0; i < nr; i++) {
        columns[i] = column_of(&e[i], view->full);
        rows = merge_column(e, columns, i, rows, &nr_rows);
    }
    for (size_t i = 0; i < nr; i++) {
        char *head = path_head(&e[i], view->full);

        put_cell(out, head, width, i + 1 == nr);
        if (i + 1 < nr)
            fprintf(out, "%*s", GAP, "");
        free(head);
    }
    fputc('\n', out);
    print_rows(out, columns, nr, rows, nr_rows, width, view->full);
    for (size_t i = 0; i < nr; i++)
        column_free(&columns[i]);
    free(rows);
}

static void print_number_row(FILE *out, const char *label, const struct explained *e, size_t nr,
                             const uint64_t *value)
{
    fprintf(out, "%-14s", label);
    for (size_t i = 0; i < nr; i++)
        put_right(out, per_operation(value[i], e[i].ops), 14);
    fputc('\n', out);
}

static void print_totals(FILE *out, const struct explained *e, size_t nr)
{
    uint64_t user[EXPLAIN_PLATFORMS_MAX], kernel[EXPLAIN_PLATFORMS_MAX],
        hypervisor[EXPLAIN_PLATFORMS_MAX], total[EXPLAIN_PLATFORMS_MAX],
        counter[EXPLAIN_PLATFORMS_MAX];

    for (size_t i = 0; i < nr; i++) {
        user[i] = e[i].interval.user;
        kernel[i] = e[i].interval.kernel;
        hypervisor[i] = e[i].interval.hypervisor;
        total[i] = user[i] + kernel[i] + hypervisor[i];
    }
    fprintf(out, "%-14s", "per operation");
    for (size_t i = 0; i < nr; i++)
        fprintf(out, "%14s", e[i].platform);
    fputc('\n', out);
    print_number_row(out, "instructions", e, nr, total);
    print_number_row(out, "  user", e, nr, user);
    print_number_row(out, "  kernel", e, nr, kernel);
    print_number_row(out, "  hypervisor", e, nr, hypervisor);
    for (int k = 0; k < COUNTER_NR; k++) {
        bool any = false;

        for (size_t i = 0; i < nr; i++) {
            counter[i] = e[i].interval.counter[k];
            any |= counter[i] != 0 && (e[i].valid >> k & 1);
        }
        if (any)
            print_number_row(out, counter_names[k], e, nr, counter);
    }
}

struct summary {
    const char *name;
    enum path_class class;
    uint64_t calls[EXPLAIN_PLATFORMS_MAX], instructions[EXPLAIN_PLATFORMS_MAX];
    double most; /* instructions per operation, of the platform with most */
};

static int by_most(const void *a, const void *b)
{
    const struct summary *x = a, *y = b;

    if (x->most != y->most)
        return x->most > y->most ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b)
{
    const struct summary *x = a, *y = b;

    return x->class != y->class ? (int)x->class - (int)y->class : strcmp(x->name, y->name);
}

static struct summary *summarize(const struct explained *e, size_t nr, size_t *nr_functions)
{
    size_t all = 0, to = 0;
    struct summary *s;

    for (size_t i = 0; i < nr; i++)
        all += e[i].path.nr_functions;
    s = calloc(all + 1, sizeof *s);
    if (!s)
        abort();
    all = 0;
    for (size_t i = 0; i < nr; i++) {
        for (size_t k = 0; k < e[i].path.nr_functions; k++) {
            const struct path_function *f = &e[i].path.function[k];

            if (!f->instructions)
                continue;
            s[all].name = f->name;
            s[all].class = f->class;
            s[all].calls[i] = f->calls;
            s[all++].instructions[i] = f->instructions;
        }
    }
    qsort(s, all, sizeof *s, by_name);
    for (size_t k = 0; k < all; k++) {
        if (to && by_name(&s[to - 1], &s[k]) == 0) {
            for (size_t i = 0; i < nr; i++) {
                s[to - 1].calls[i] += s[k].calls[i];
                s[to - 1].instructions[i] += s[k].instructions[i];
            }
            continue;
        }
        s[to++] = s[k];
    }
    for (size_t k = 0; k < to; k++)
        for (size_t i = 0; i < nr; i++)
            if ((double)s[k].instructions[i] / (double)e[i].ops > s[k].most)
                s[k].most = (double)s[k].instructions[i] / (double)e[i].ops;
    qsort(s, to, sizeof *s, by_most);
    *nr_functions = to;
    return s;
}

static void print_functions(FILE *out, const struct explained *e, size_t nr,
                            const struct explain_view *view)
{
    size_t nr_functions,
        name_width = view->width > 12 + 20 * nr + 16 ? view->width - 12 - 20 * nr : 16;
    struct summary *s = summarize(e, nr, &nr_functions);
    size_t shown = view->full || nr_functions < FUNCTIONS_MAX ? nr_functions : FUNCTIONS_MAX;

    fprintf(out, "%-11s ", "per operation");
    put_cell(out, "", name_width - 2, false);
    for (size_t i = 0; i < nr; i++)
        fprintf(out, "%20.20s", e[i].platform);
    fprintf(out, "\n%-11s ", "");
    put_cell(out, "", name_width, false);
    for (size_t i = 0; i < nr; i++)
        fprintf(out, "%9s%11s", "calls", "instr.");
    fputc('\n', out);
    for (size_t k = 0; k < shown; k++) {
        fprintf(out, "%-11s ", path_class_name(s[k].class));
        put_cell(out, s[k].name, name_width, false);
        for (size_t i = 0; i < nr; i++) {
            put_right(out, per_operation(s[k].calls[i], e[i].ops), 9);
            put_right(out, per_operation(s[k].instructions[i], e[i].ops), 11);
        }
        fputc('\n', out);
    }
    if (shown < nr_functions)
        fprintf(out, "... %zu more functions (--full shows them)\n", nr_functions - shown);
    free(s);
}

void explain_print(FILE *out, const struct explained *e, size_t nr, const struct explain_view *view)
{
    fprintf(out, "%s: what one operation executes, REP folded\n\n", view->operation);
    print_totals(out, e, nr);
    fprintf(out, "\nThe path, in order: own instructions of each function, callees indented; "
                 "\"..\" goes on from before.\n");
    if (!view->full)
        fprintf(out,
                "\"× n\": n operations went exactly so; \"of n\": the median of n that differ.\n");
    fputc('\n', out);
    print_path(out, e, nr, view);
    fprintf(out, "\nThe functions, over the whole interval\n\n");
    print_functions(out, e, nr, view);
    for (size_t i = 0; i < nr; i++)
        if (e[i].path.truncated)
            fprintf(out,
                    "\nThe path on %s is cut: the interval is longer than a recording may be.\n",
                    e[i].platform);
}

struct address_list {
    FILE *out;
    uint64_t ops;
};

static void print_address(uint64_t address, uint64_t offset, uint64_t count, void *data)
{
    const struct address_list *list = data;

    fprintf(list->out, "  0x%016" PRIx64 "  +0x%-5" PRIx64, address, offset);
    put_right(list->out, grouped(count), 12);
    put_right(list->out, per_operation(count, list->ops), 12);
    fputc('\n', list->out);
}

bool explain_print_addresses(FILE *out, const struct explained *e, size_t nr, const char *function)
{
    bool any = false;

    for (size_t i = 0; i < nr; i++) {
        struct address_list list = {.out = out, .ops = e[i].ops};

        fprintf(out, "%s on %s: address, offset, executions, per operation\n", function,
                e[i].platform);
        if (path_addresses(&e[i].path, function, print_address, &list))
            any = true;
        else
            fprintf(out, "  not executed\n");
    }
    return any;
}

/* ---- JSON ---- */

static json_t *node_json(const struct path *path, const struct path_node *n)
{
    json_t *calls = json_array();

    for (size_t i = 0; i < n->nr; i++)
        json_array_append_new(calls, node_json(path, &n->child[i]));
    return json_pack("{s:s, s:I, s:b, s:I, s:I, s:o}", "function", path->function[n->function].name,
                     "times", (json_int_t)n->times, "continued", n->continued, "self",
                     (json_int_t)n->self, "total", (json_int_t)n->total, "calls", calls);
}

static json_t *segment_json(const struct path *path, const struct path_segment *s)
{
    json_t *parts = json_array(), *object;

    for (size_t i = 0; i < s->nr_members; i++)
        json_array_append_new(parts, segment_json(path, &s->member[i]));
    for (size_t i = 0; i < s->root.nr; i++)
        json_array_append_new(parts, node_json(path, &s->root.child[i]));
    object = json_pack("{s:I, s:I}", "times", (json_int_t)s->times, "instructions",
                       (json_int_t)s->instructions);
    if (s->nr_members) {
        json_object_set_new(object, "segments", parts);
        return object;
    }
    json_object_set_new(object, "class", json_string(path_class_name(s->class)));
    json_object_set_new(object, "vector",
                        s->vector == PATH_NO_VECTOR ? json_null() : json_integer(s->vector));
    json_object_set_new(object, "calls", parts);
    return object;
}

static json_t *functions_json(const struct path *path)
{
    json_t *list = json_array();

    for (size_t i = 0; i < path->nr_functions; i++) {
        const struct path_function *f = &path->function[i];

        if (f->instructions)
            json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:I}", "name", f->name, "class",
                                                  path_class_name(f->class), "calls",
                                                  (json_int_t)f->calls, "instructions",
                                                  (json_int_t)f->instructions));
    }
    return list;
}

static json_t *platform_json(const struct explained *e, bool full)
{
    json_t *events = json_object(), *segments = json_array();
    size_t nr = e->typical && !full ? 1 : e->path.nr_segments;

    for (int k = 0; k < COUNTER_NR; k++)
        json_object_set_new(events, counter_names[k],
                            e->valid >> k & 1 ? json_integer((json_int_t)e->interval.counter[k])
                                              : json_null());
    for (size_t i = 0; i < nr; i++)
        json_array_append_new(
            segments,
            segment_json(&e->path, e->typical && !full ? e->typical : &e->path.segment[i]));
    return json_pack("{s:s, s:s, s:I, s:{s:I, s:I, s:I}, s:o, s:I, s:b, s:o, s:o}", "platform",
                     e->platform, "class", e->class, "ops", (json_int_t)e->ops, "instructions",
                     "user", (json_int_t)e->interval.user, "kernel", (json_int_t)e->interval.kernel,
                     "hypervisor", (json_int_t)e->interval.hypervisor, "events", events,
                     "typical_times", (json_int_t)(full ? 0 : e->typical_times), "truncated",
                     e->path.truncated, "path", segments, "functions", functions_json(&e->path));
}

json_t *explain_json(const struct explained *e, size_t nr, const struct explain_view *view)
{
    json_t *platforms = json_array();

    for (size_t i = 0; i < nr; i++)
        json_array_append_new(platforms, platform_json(&e[i], view->full));
    return json_pack("{s:i, s:s, s:s, s:o}", "schema", 1, "operation", view->operation, "unit",
                     "instructions", "platforms", platforms);
}

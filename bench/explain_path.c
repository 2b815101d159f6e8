/* SPDX-License-Identifier: MIT */
/*
 * explain_path.h: the recording's blocks are cut at function boundaries once; what ran is then
 * walked once. Trees are built with a stack of activations; folding compares hashes, short periods
 * first, so that loops within loops fold too.
 */
#include "bench/explain_path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/explain_recording.h"

#define DEPTH_MAX          64
#define SEGMENT_PERIOD_MAX 256
#define SHAPE_DEPTH        4
#define PAGE_BYTES         4096

/* A stretch of a block within one function. */
struct part {
    uint16_t first; /* instruction */
    bool at_start;  /* which is the function's first */
    uint32_t function;
};

/* What is known of a block beside its recording. */
struct cut {
    struct part *part;
    size_t nr_parts;
    uint64_t *changes; /* of the execution count at instruction i against i - 1; nr + 1 of them */
};

struct path_recording {
    struct recording file;
    struct cut *cut; /* of each block */
};

struct walk {
    struct path *path;
    struct path_segment *segment; /* the open one, NULL before the first */
    size_t depth;
    /* Functions, outermost first; the nodes are the last children down from the root. */
    uint32_t chain[DEPTH_MAX];
    bool after_call;
};

static void *grow(void *old, size_t nr, size_t *capacity, size_t size)
{
    void *p = old;

    if (nr < *capacity)
        return old;
    *capacity = *capacity ? *capacity * 2 : 4;
    p = realloc(old, *capacity * size);
    if (!p)
        abort();
    return p;
}

const char *path_class_name(enum path_class class)
{
    static const char *const names[] = {"user", "kernel", "hypervisor", "early"};

    return names[class];
}

/* ---- functions ---- */

/*
 * The compilers' detours around returns and indirect calls: no functions to the reader of a path.
 */
static bool is_thunk(const char *name)
{
    return strncmp(name, "__x86_return_thunk", 18) == 0 ||
           strncmp(name, "__x86_indirect_thunk", 20) == 0 ||
           strcmp(name, "__indirect_thunk_start") == 0;
}

static uint32_t function_add(struct path *path, enum path_class class, uint64_t start,
                             const char *name)
{
    struct path_function *f;

    for (size_t i = path->nr_functions; i-- > 0;) {
        f = &path->function[i];
        if (f->class == class && f->start == start && strcmp(f->name, name) == 0)
            return (uint32_t)i;
    }
    path->function =
        grow(path->function, path->nr_functions, &path->functions_capacity, sizeof *path->function);
    f = &path->function[path->nr_functions];
    *f = (struct path_function){
        .name = strdup(name), .class = class, .start = start, .thunk = is_thunk(name)};
    if (!f->name)
        abort();
    return (uint32_t)path->nr_functions++;
}

static uint32_t function_of(struct path *path, enum path_class class, const struct symbol *symbol,
                            uint64_t address)
{
    char name[64];

    if (symbol)
        return function_add(path, class, symbol->start, symbol->name);
    if (class == PATH_USER)
        return function_add(path, class, 0, "(program)");
    snprintf(name, sizeof name, "(0x%llx)",
             (unsigned long long)(address & ~(uint64_t)(PAGE_BYTES - 1)));
    return function_add(path, class, 0, name);
}

static void cut_block(struct path *path, uint32_t number, const struct symbols *symbols)
{
    const struct recorded_block *b = &path->recording->file.block[number];
    struct cut *c = &path->recording->cut[number];
    uint64_t address = b->head.vaddr;
    size_t capacity = 0;

    c->changes = calloc(b->head.nr + 1u, sizeof *c->changes);
    if (!c->changes)
        abort();
    for (uint16_t i = 0; i < b->head.nr; i++) {
        const struct symbol *symbol = symbols_find(symbols, address);
        uint32_t function = function_of(path, b->head.class, symbol, address);
        bool at_start = symbol && symbol->start == address;

        if (i == 0 || at_start || function != c->part[c->nr_parts - 1].function) {
            c->part = grow(c->part, c->nr_parts, &capacity, sizeof *c->part);
            c->part[c->nr_parts++] =
                (struct part){.first = i, .at_start = at_start, .function = function};
        }
        address += b->length[i];
    }
}

/* ---- trees ---- */

static struct path_node *node_add(struct path_node *parent, uint32_t function, bool continued)
{
    struct path_node *n;

    parent->child = grow(parent->child, parent->nr, &parent->capacity, sizeof *parent->child);
    n = &parent->child[parent->nr++];
    *n = (struct path_node){.function = function, .times = 1, .continued = continued};
    return n;
}

/* The activation at a depth: always the last child of the one above. */
static struct path_node *node_at(struct walk *w, size_t depth)
{
    struct path_node *n = &w->segment->root;

    while (depth-- > 0)
        n = &n->child[n->nr - 1];
    return n;
}

static void open_segment(struct walk *w, enum path_class class, int vector)
{
    struct path *path = w->path;

    path->segment =
        grow(path->segment, path->nr_segments, &path->segments_capacity, sizeof *path->segment);
    w->segment = &path->segment[path->nr_segments++];
    *w->segment = (struct path_segment){
        .class = class, .vector = vector, .times = 1, .root = {.times = 1}};
    w->depth = 0;
    w->after_call = false;
}

static void enter(struct walk *w, uint32_t function, bool at_start)
{
    size_t depth;

    if (w->depth && w->path->function[function].thunk)
        return;
    if (w->depth && w->chain[w->depth - 1] == function && !(at_start && w->after_call))
        return;
    if (!at_start) {
        for (depth = w->depth; depth > 0; depth--) {
            if (w->chain[depth - 1] == function) {
                w->depth = depth;
                return;
            }
        }
        w->depth = 0;
    }
    if (w->depth == DEPTH_MAX)
        w->depth--;
    node_add(node_at(w, w->depth), function, !at_start);
    w->chain[w->depth++] = function;
}

static void execute(void *walk, uint32_t number, uint32_t from, uint32_t to, int vector)
{
    struct walk *w = walk;
    struct path *path = w->path;
    const struct path_block *b = &path->recording->file.block[number].head;
    struct cut *c = &path->recording->cut[number];

    c->changes[from]++;
    c->changes[to]--;
    for (size_t i = 0; i < c->nr_parts; i++) {
        uint32_t first = c->part[i].first,
                 end = i + 1 < c->nr_parts ? c->part[i + 1].first : b->nr, nr;
        struct path_function *f = &path->function[c->part[i].function];
        bool at_start = c->part[i].at_start && from <= first;

        first = first > from ? first : from;
        end = end < to ? end : to;
        if (first >= end)
            continue;
        if (!w->segment || w->segment->class != b->class || vector != PATH_NO_VECTOR)
            open_segment(w, b->class, vector);
        vector = PATH_NO_VECTOR;
        enter(w, c->part[i].function, at_start);
        nr = end - first;
        node_at(w, w->depth)->self += nr;
        w->segment->instructions += nr;
        path->instructions[b->class] += nr;
        f->instructions += nr;
        f->calls += at_start;
        w->after_call = false;
    }
    w->after_call = to == b->nr && (b->flags & PATH_ENDS_CALL);
}

/* ---- folding ---- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15ull;
    return hash ^ hash >> 32;
}

static void node_free(struct path_node *n)
{
    for (size_t i = 0; i < n->nr; i++)
        node_free(&n->child[i]);
    free(n->child);
}

/* Equal neighbours become one that happens several times. */
static void fold_children(struct path_node *n)
{
    size_t to = 0;

    for (size_t i = 0; i < n->nr; i++) {
        if (to && n->child[to - 1].hash == n->child[i].hash) {
            n->child[to - 1].times += n->child[i].times;
            node_free(&n->child[i]);
            continue;
        }
        n->child[to++] = n->child[i];
    }
    n->nr = to;
}

static void finish_node(struct path_node *n)
{
    n->total = n->self;
    n->hash = mix(mix(n->continued + 1u, n->function), n->self);
    for (size_t i = 0; i < n->nr; i++)
        finish_node(&n->child[i]);
    fold_children(n);
    for (size_t i = 0; i < n->nr; i++) {
        n->total += n->child[i].total * n->child[i].times;
        n->hash = mix(mix(n->hash, n->child[i].hash), n->child[i].times);
    }
}

static void finish_segment(struct path_segment *s)
{
    finish_node(&s->root);
    s->hash = mix(mix(s->root.hash, s->class), (uint64_t)(s->vector + 1));
}

static bool segments_equal(const struct path_segment *a, const struct path_segment *b, size_t nr)
{
    for (size_t i = 0; i < nr; i++)
        if (a[i].hash != b[i].hash || a[i].times != b[i].times)
            return false;
    return true;
}

static void segment_free(struct path_segment *s)
{
    for (size_t i = 0; i < s->nr_members; i++)
        segment_free(&s->member[i]);
    free(s->member);
    node_free(&s->root);
}

static struct path_segment group_of(struct path_segment *first, size_t nr, uint64_t times)
{
    struct path_segment group = {.class = first->class,
                                 .vector = PATH_NO_VECTOR,
                                 .times = times,
                                 .nr_members = nr,
                                 .hash = 1,
                                 .root = {.times = 1}};

    group.member = malloc(nr * sizeof *first);
    if (!group.member)
        abort();
    memcpy(group.member, first, nr * sizeof *first);
    for (size_t i = 0; i < nr; i++) {
        group.instructions += first[i].instructions * first[i].times;
        group.hash = mix(mix(group.hash, first[i].hash), first[i].times);
    }
    return group;
}

/* One pass: every run of repetitions with this period becomes a group. */
static void fold_period(struct path *path, size_t period)
{
    struct path_segment *s = path->segment;
    size_t to = 0, i = 0;

    while (i < path->nr_segments) {
        uint64_t times = 1;

        while (i + (times + 1) * period <= path->nr_segments &&
               segments_equal(s + i, s + i + times * period, period))
            times++;
        if (times == 1) {
            s[to++] = s[i++];
            continue;
        }
        for (size_t k = period; k < times * period; k++)
            segment_free(&s[i + k]);
        if (period == 1) {
            struct path_segment one = s[i];

            one.times *= times;
            s[to++] = one;
        } else {
            s[to++] = group_of(s + i, period, times);
        }
        i += times * period;
    }
    path->nr_segments = to;
}

static void fold_segments(struct path *path)
{
    for (size_t period = 1; period <= SEGMENT_PERIOD_MAX && period * 2 <= path->nr_segments;
         period++)
        fold_period(path, period);
}

/* ---- operations that are alike but not equal ---- */

/*
 * What a segment is, counts aside: its class, what began it, and the first functions down its first
 * branch.
 */
static uint64_t shape_of(const struct path_segment *s)
{
    const struct path_node *n = &s->root;
    uint64_t shape = mix(mix(7, s->class), (uint64_t)(s->vector + 1));

    for (int depth = 0; depth < SHAPE_DEPTH && n->nr; depth++) {
        n = &n->child[0];
        shape = mix(shape, n->function);
    }
    return shape;
}

/*
 * The shortest distance at which most segments have the shape of the one before; 0 when there is
 * none.
 */
static size_t shape_period(const uint64_t *shape, size_t nr)
{
    for (size_t period = 1; period <= SEGMENT_PERIOD_MAX && period * 3 <= nr; period++) {
        size_t same = 0;

        for (size_t i = 0; i + period < nr; i++)
            same += shape[i] == shape[i + period];
        if (same * 10 >= (nr - period) * 8)
            return period;
    }
    return 0;
}

struct window {
    size_t first;
    uint64_t shape, instructions;
};

static int by_shape(const void *a, const void *b)
{
    const struct window *x = a, *y = b;

    if (x->shape != y->shape)
        return x->shape < y->shape ? -1 : 1;
    if (x->instructions != y->instructions)
        return x->instructions < y->instructions ? -1 : 1;
    return x->first < y->first ? -1 : 1;
}

static struct path_node node_copy(const struct path_node *from)
{
    struct path_node n = *from;

    n.child = calloc(from->nr + 1, sizeof *n.child);
    if (!n.child)
        abort();
    for (size_t i = 0; i < from->nr; i++)
        n.child[i] = node_copy(&from->child[i]);
    n.capacity = from->nr;
    return n;
}

/* Keep the median of the windows, by instructions, as the path's alike. */
static void keep_window(struct path *path, const struct window *window, size_t nr, size_t period)
{
    struct path_segment *median = &path->segment[window[nr / 2].first];
    struct path_segment copies[SEGMENT_PERIOD_MAX];

    for (size_t i = 0; i < period; i++) {
        copies[i] = median[i];
        copies[i].root = node_copy(&median[i].root);
    }
    path->alike = group_of(copies, period, nr);
    path->alike_least = window[0].instructions;
    path->alike_most = window[nr - 1].instructions;
}

/*
 * Windows of one period that begin with user code; of the most frequent shape, the median is kept.
 */
static void find_alike(struct path *path)
{
    size_t nr = path->nr_segments, period, nr_windows = 0, best = 0, best_nr = 0;
    uint64_t *shape = calloc(nr + 1, sizeof *shape), all = 0, covered = 0;
    struct window *window = calloc(nr + 1, sizeof *window);

    if (!shape || !window)
        abort();
    for (size_t i = 0; i < nr; i++) {
        shape[i] = shape_of(&path->segment[i]);
        all += path->segment[i].instructions;
    }
    period = shape_period(shape, nr);
    for (size_t i = 0; period && i + period <= nr; i++) {
        struct window w = {.first = i, .shape = 1};

        if (path->segment[i].class != PATH_USER)
            continue;
        for (size_t k = i; k < i + period; k++) {
            w.shape = mix(w.shape, shape[k]);
            w.instructions += path->segment[k].instructions;
        }
        window[nr_windows++] = w;
    }
    qsort(window, nr_windows, sizeof *window, by_shape);
    for (size_t i = 0, k; i < nr_windows; i = k) {
        for (k = i; k < nr_windows && window[k].shape == window[i].shape; k++)
            ;
        if (k - i > best_nr) {
            best = i;
            best_nr = k - i;
        }
    }
    for (size_t i = best; i < best + best_nr; i++)
        covered += window[i].instructions;
    if (best_nr > 1 && covered * 2 >= all)
        keep_window(path, window + best, best_nr, period);
    free(window);
    free(shape);
}

/* ---- the interface ---- */

int path_read(struct path *path, const char *file, const struct symbols *kernel,
              const struct symbols *hypervisor)
{
    static const struct symbols none;
    const struct symbols *const by_class[] = {&none, kernel, hypervisor, hypervisor};
    struct walk w = {.path = path};
    struct path_recording *r = calloc(1, sizeof *r);

    *path = (struct path){.recording = r};
    if (!r)
        abort();
    if (recording_read(&r->file, file) < 0)
        return -1;
    r->cut = calloc(r->file.head.nr_blocks + 1u, sizeof *r->cut);
    if (!r->cut)
        abort();
    for (uint32_t i = 0; i < r->file.head.nr_blocks; i++)
        cut_block(path, i, by_class[r->file.block[i].head.class]);
    path->truncated = r->file.head.truncated;
    recording_walk(&r->file, execute, &w);
    for (size_t i = 0; i < path->nr_segments; i++)
        finish_segment(&path->segment[i]);
    find_alike(path);
    fold_segments(path);
    return 0;
}

/*
 * A repetition may be told from any of its members on; from user code it reads best. That member's
 * number.
 */
static size_t told_from(const struct path_segment *group)
{
    for (size_t i = 0; i < group->nr_members; i++)
        if (group->member[i].class == PATH_USER)
            return i;
    return 0;
}

/* The hash of a repetition, whichever member it was found to begin with. */
static uint64_t cycle_hash(const struct path_segment *s)
{
    size_t first = told_from(s);
    uint64_t hash = 1;

    if (!s->nr_members)
        return s->hash;
    for (size_t i = 0; i < s->nr_members; i++) {
        const struct path_segment *m = &s->member[(first + i) % s->nr_members];

        hash = mix(mix(hash, m->hash), m->times);
    }
    return hash;
}

static void rotate(struct path_segment *group)
{
    size_t first = told_from(group);
    struct path_segment *turned = malloc((group->nr_members + 1) * sizeof *turned);

    if (!turned)
        abort();
    for (size_t i = 0; i < group->nr_members; i++)
        turned[i] = group->member[(first + i) % group->nr_members];
    free(group->member);
    group->member = turned;
}

/*
 * Timer ticks and the like cut a repetition into several: all with one cycle hash count together.
 */
static const struct path_segment *typical_exactly(struct path *path, uint64_t *times)
{
    struct path_segment *best = NULL;
    uint64_t all = 0, most = 0;

    for (size_t i = 0; i < path->nr_segments; i++) {
        struct path_segment *s = &path->segment[i];
        uint64_t hash = cycle_hash(s), same = 0;

        all += s->instructions * s->times;
        if (s->times == 1 || (best && hash == cycle_hash(best)))
            continue;
        for (size_t k = 0; k < path->nr_segments; k++)
            if (path->segment[k].times > 1 && cycle_hash(&path->segment[k]) == hash)
                same += path->segment[k].times;
        if (same * s->instructions > most) {
            most = same * s->instructions;
            *times = same;
            best = s;
        }
    }
    if (!best || most * 2 < all)
        return NULL;
    if (best->nr_members)
        rotate(best);
    return best;
}

const struct path_segment *path_typical(struct path *path, uint64_t *times)
{
    const struct path_segment *best = typical_exactly(path, times);

    if (best)
        return best;
    *times = path->alike.times;
    return path->alike.nr_members ? &path->alike : NULL;
}

static int by_address(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return x[0] < y[0] ? -1 : x[0] > y[0];
}

size_t path_addresses(const struct path *path, const char *function,
                      void (*each)(uint64_t address, uint64_t offset, uint64_t count, void *data),
                      void *data)
{
    const struct path_recording *r = path->recording;
    uint64_t(*hit)[3] = NULL; /* address, offset, count */
    size_t nr = 0, capacity = 0, kept = 0;

    for (uint32_t b = 0; b < r->file.head.nr_blocks; b++) {
        const struct recorded_block *block = &r->file.block[b];
        const struct cut *cut = &r->cut[b];
        uint64_t address = block->head.vaddr, count = 0;
        size_t part = 0;

        for (uint16_t i = 0; i < block->head.nr; address += block->length[i++]) {
            const struct path_function *f;

            count += cut->changes[i];
            while (part + 1 < cut->nr_parts && cut->part[part + 1].first <= i)
                part++;
            f = &path->function[cut->part[part].function];
            if (!count || strcmp(f->name, function) != 0)
                continue;
            hit = grow(hit, nr, &capacity, sizeof *hit);
            hit[nr][0] = address;
            hit[nr][1] = f->start ? address - f->start : 0;
            hit[nr++][2] = count;
        }
    }
    if (nr)
        qsort(hit, nr, sizeof *hit, by_address);
    for (size_t i = 0; i < nr; i++) {
        if (kept && hit[kept - 1][0] == hit[i][0])
            hit[kept - 1][2] += hit[i][2];
        else
            memmove(hit[kept++], hit[i], sizeof *hit);
    }
    for (size_t i = 0; i < kept; i++)
        each(hit[i][0], hit[i][1], hit[i][2], data);
    free(hit);
    return kept;
}

void path_free(struct path *path)
{
    struct path_recording *r = path->recording;

    for (size_t i = 0; i < path->nr_segments; i++)
        segment_free(&path->segment[i]);
    free(path->segment);
    segment_free(&path->alike);
    for (size_t i = 0; i < path->nr_functions; i++)
        free(path->function[i].name);
    free(path->function);
    for (uint32_t i = 0; r && r->cut && i < r->file.head.nr_blocks; i++) {
        free(r->cut[i].part);
        free(r->cut[i].changes);
    }
    if (r) {
        free(r->cut);
        recording_free(&r->file);
    }
    free(r);
    *path = (struct path){0};
}

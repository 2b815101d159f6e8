/* SPDX-License-Identifier: MIT */
/*
 * record.h: the token array of one interval, and a small table of entry points for the open
 * interval.
 */
#include "record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hypercall.h"
#include "insn.h"
#include "path.h"
#include "svm.h"

static struct {
    const char *file;
    uint32_t seq;
    uint64_t max;
    bool active, done, truncated;
    const struct block *last; /* of the newest PATH_BLOCK token */
    uint32_t *tokens;
    uint64_t nr, capacity;
    uint32_t *number;   /* by block id: its number in the file plus 1, 0: not yet */
    uint32_t nr_number; /* length of that array */
    uint32_t *ids;      /* by number: block id */
    uint32_t nr_ids, ids_capacity;
} path;

static void *resize(void *old, size_t bytes)
{
    void *p = realloc(old, bytes);

    if (!p) {
        fprintf(stderr, "count plugin: no memory for %zu bytes of recording\n", bytes);
        exit(1);
    }
    return p;
}

void path_setup(const char *file, uint32_t seq, uint64_t max)
{
    path.file = file;
    path.seq = seq;
    path.max = max;
}

bool path_active(void)
{
    return path.active;
}

static void add_token(uint32_t token)
{
    if (path.nr == path.max) {
        path.truncated = true;
        return;
    }
    if (path.nr == path.capacity) {
        path.capacity = path.capacity ? path.capacity * 2 : 1u << 16;
        path.tokens = resize(path.tokens, path.capacity * sizeof(*path.tokens));
    }
    path.tokens[path.nr++] = token;
}

static uint32_t block_number(uint32_t id)
{
    if (id >= path.nr_number) {
        uint32_t nr = id * 2 + 1024;

        path.number = resize(path.number, nr * sizeof(*path.number));
        memset(path.number + path.nr_number, 0, (nr - path.nr_number) * sizeof(*path.number));
        path.nr_number = nr;
    }
    if (!path.number[id]) {
        if (path.nr_ids == path.ids_capacity) {
            path.ids_capacity = path.ids_capacity ? path.ids_capacity * 2 : 1024;
            path.ids = resize(path.ids, path.ids_capacity * sizeof(*path.ids));
        }
        path.ids[path.nr_ids++] = id;
        path.number[id] = path.nr_ids;
    }
    return path.number[id] - 1;
}

void path_begin(uint32_t seq, const struct block *b, int index)
{
    if (!path.file || path.done || seq != path.seq)
        return;
    path.active = true;
    path.nr = 0;
    if (index + 1 < b->nr) {
        add_token(PATH_FROM | (uint32_t)(index + 1));
        path_block(b);
    }
}

void path_end(const struct block *b, int index)
{
    if (!path.active)
        return;
    add_token(PATH_CUT | (uint32_t)index);
    path.active = false;
    path.done = true;
}

void path_block(const struct block *b)
{
    add_token(PATH_BLOCK | block_number(b->id));
    path.last = b;
}

void path_cut_last(void)
{
    if (path.active && path.last)
        add_token(PATH_CUT | (path.last->nr - 1u));
}

void path_cut(int index)
{
    if (path.active)
        add_token(PATH_CUT | (uint32_t)index);
}

void path_vector(int vector)
{
    if (path.active)
        add_token(PATH_VECTOR | (uint32_t)vector);
}

static bool write_blocks(FILE *f)
{
    for (uint32_t i = 0; i < path.nr_ids; i++) {
        const struct block *b = block_get(path.ids[i]);
        struct path_block out = {
            .vaddr = b->vaddr,
            .nr = b->nr,
            .class = b->class,
            .flags = (b->last_flags & INSN_CALL ? PATH_ENDS_CALL : 0) |
                     (b->last_flags & INSN_REP ? PATH_ENDS_REP : 0),
        };

        if (fwrite(&out, sizeof(out), 1, f) != 1 || fwrite(b->body, b->nr, 1, f) != 1)
            return false;
    }
    return true;
}

int path_write(void)
{
    struct path_head head = {
        .magic = PATH_MAGIC,
        .version = PATH_VERSION,
        .seq = path.seq,
        .nr_blocks = path.nr_ids,
        .truncated = path.truncated,
        .nr_tokens = path.nr,
    };
    FILE *f;
    bool ok;

    if (!path.file)
        return 0;
    if (!path.done) {
        fprintf(stderr, "count plugin: interval %u, whose path was asked for, never ended\n",
                path.seq);
        return -1;
    }
    f = fopen(path.file, "wb");
    ok = f && fwrite(&head, sizeof(head), 1, f) == 1 && write_blocks(f) &&
         fwrite(path.tokens, sizeof(*path.tokens), path.nr, f) == path.nr;
    ok = f && fclose(f) == 0 && ok;
    if (!ok)
        fprintf(stderr, "count plugin: cannot write %s: %s\n", path.file, strerror(errno));
    return ok ? 0 : -1;
}

struct entry {
    uint64_t pc, count, instructions;
    uint64_t of_size[ENTRY_SIZES]; /* how many cost 2^(i-1) to 2^i - 1 instructions; 0: none */
    int cause;
};

static struct {
    const char *file;
    struct entry *table;
    uint32_t nr, capacity;
    struct entry *last;
    uint64_t at; /* hypervisor instructions when the last entry happened */
    uint64_t all;     /* entries since the guest began */
    uint64_t opened;  /* of them, those before the open interval */
    bool begun;
    uint64_t work[WORK_NR];
    char *text;
    size_t text_size;
    FILE *out;
} entries;

void entries_setup(const char *file)
{
    entries.file = file;
    entries.out = open_memstream(&entries.text, &entries.text_size);
    if (entries.out)
        fprintf(entries.out, "# kind interval address cause entries instructions size:entries...\n");
}

static void settle(uint64_t now)
{
    if (entries.last) {
        uint64_t cost = now - entries.at;
        int size = cost ? 64 - __builtin_clzll(cost) : 0;

        entries.last->instructions += cost;
        entries.last->of_size[size < ENTRY_SIZES ? size : ENTRY_SIZES - 1]++;
    }
    entries.last = NULL;
}

void entries_add(uint64_t pc, int cause, uint64_t now)
{
    struct entry *e;

    if (!entries.out)
        return;
    settle(now);
    entries.all++;
    for (e = entries.table; e < entries.table + entries.nr; e++)
        if (e->pc == pc && e->cause == cause)
            break;
    if (e == entries.table + entries.nr) {
        if (entries.nr == entries.capacity) {
            entries.capacity = entries.capacity ? entries.capacity * 2 : 64;
            entries.table = resize(entries.table, entries.capacity * sizeof(*entries.table));
        }
        e = &entries.table[entries.nr++];
        *e = (struct entry){.pc = pc, .cause = cause};
    }
    e->count++;
    entries.last = e;
    entries.at = now;
}

static void print_call(const char *prefix, unsigned number, unsigned command)
{
    const char *name = hypercall_name(number), *ext = number == HYPERCALL_MMUEXT ? hypercall_ext_name(command) : NULL;

    if (name)
        fprintf(entries.out, "%s%s%s%s", prefix, name, ext ? "-" : "", ext ? ext : "");
    else
        fprintf(entries.out, "%s%u", prefix, number);
}

/* Lines of what was asked for within entries. */
static void print_work(const char *kind, uint32_t seq)
{
    static const char *const names[] = {"mmu-updates", "multicall-calls", "pin-tables", "pin-entries", "unpin-tables", "unpin-entries"};

    for (unsigned i = 0; i < WORK_NR; i++) {
        if (!entries.work[i])
            continue;
        fprintf(entries.out, "work %s %" PRIu32 " ", kind, seq);
        if (i < WORK_IN_CALL)
            fputs(names[i], entries.out);
        else if (i < WORK_IN_EXT)
            print_call("inner-", i - WORK_IN_CALL, ~0u);
        else
            print_call("inner-", HYPERCALL_MMUEXT, i - WORK_IN_EXT);
        fprintf(entries.out, " %" PRIu64 "\n", entries.work[i]);
    }
    memset(entries.work, 0, sizeof(entries.work));
}

uint64_t *entries_work(void)
{
    return entries.out ? entries.work : NULL;
}

static void print_cause(int cause)
{
    unsigned code = -16 - cause, which = cause - ENTRY_HYPERCALL(0);

    if (cause >= ENTRY_HYPERCALL(0))
        print_call("hypercall-", which >> 8, which & 0xff);
    else if (cause >= ENTRY_VMMCALL(0))
        print_call("exit-hypercall-", cause - ENTRY_VMMCALL(0), ~0u);
    else if (cause >= ENTRY_KERNEL(0))
        fprintf(entries.out, "vector-%d-kernel", cause - ENTRY_KERNEL(0));
    else if (cause >= 0)
        fprintf(entries.out, "vector-%d", cause);
    else if (cause > ENTRY_EXIT(0))
        fputs(cause == ENTRY_SYSCALL ? "syscall" : "other", entries.out);
    else if (svm_exit_name(code))
        fprintf(entries.out, "exit-%s", svm_exit_name(code));
    else
        fprintf(entries.out, "exit-%#x", code);
}

void entries_close(const char *kind, uint32_t seq, uint64_t now)
{
    if (!entries.out)
        return;
    settle(now);
    fprintf(entries.out, "# %s %" PRIu32 " is entries %" PRIu64 " to %" PRIu64 "\n", kind, seq, entries.opened,
            entries.all);
    for (uint32_t i = 0; i < entries.nr; i++) {
        const struct entry *e = &entries.table[i];

        fprintf(entries.out, "%s %" PRIu32 " 0x%016" PRIx64 " ", kind, seq, e->pc);
        print_cause(e->cause);
        fprintf(entries.out, " %" PRIu64 " %" PRIu64, e->count, e->instructions);
        for (int size = 0; size < ENTRY_SIZES; size++)
            if (e->of_size[size])
                fprintf(entries.out, " %d:%" PRIu64, size, e->of_size[size]);
        fputc('\n', entries.out);
    }
    print_work(kind, seq);
    entries.nr = 0;
}

void entries_reset(void)
{
    if (!entries.begun) /* the guest begins: what was before entered nothing */
        entries.all = 0;
    entries.begun = true;
    entries.opened = entries.all;
    entries.nr = 0;
    entries.last = NULL;
    memset(entries.work, 0, sizeof(entries.work));
}

int entries_write(void)
{
    FILE *f;
    bool ok;

    if (!entries.file)
        return 0;
    if (entries.out)
        fprintf(entries.out, "# the run has %" PRIu64 " entries\n", entries.all);
    ok = entries.out && fclose(entries.out) == 0;
    entries.out = NULL;
    f = ok ? fopen(entries.file, "wb") : NULL;
    ok = f && fwrite(entries.text, 1, entries.text_size, f) == entries.text_size;
    ok = f && fclose(f) == 0 && ok;
    if (!ok)
        fprintf(stderr, "count plugin: cannot write %s: %s\n", entries.file, strerror(errno));
    return ok ? 0 : -1;
}

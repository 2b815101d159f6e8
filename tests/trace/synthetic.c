/* SPDX-License-Identifier: MIT */
/*
 * A machine that is not there: writes a trace of random records through the emitters, and prints
 * what it wrote.
 *
 *   synthetic MEMORY-FILE KIB CPUS RECORDS SEED record|flight [PAUSE_US]
 *
 * Each line it prints is one record, as `parangon trace show --events` must print it, made here
 * from the arguments alone. With PAUSE_US it sleeps so long after every 64 records, so that a relay
 * can follow. Built with -DTRACE_LTTNG the same program fires LTTng events, and ignores the memory
 * file. Values are spread over all widths, enumerations include numbers without a label.
 */
#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "trace/trace.h"

struct test_machine test_machine;

static uint64_t random_state;

/* xorshift64*: repeatable, good enough to fill fields. */
static uint64_t random_word(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 0x2545f4914f6cdd1dull;
}

/* Of any magnitude: small, large, all ones. */
static uint64_t random_value(void)
{
    const uint64_t word = random_word();

    return word % 16 == 0 ? ~0ull : random_word() >> (word >> 32) % 64;
}

/* Labels, straight from events.def. */
#define CLASS(name, bit, doc)
#define FIELD(t, n, u, d)
#define EVENT(class, name, doc, fields)
#define SPAN(class, name, doc, fields)
#define VALUE(c_name, number, label, doc) case number: return #label;
#define ENUM_DEF(name, doc, values)                                                                \
    static const char *label_##name(uint64_t number)                                               \
    {                                                                                              \
        switch (number) {                                                                          \
            values                                                                                 \
        default:                                                                                   \
            return NULL;                                                                           \
        }                                                                                          \
    }
#include "trace/events.def"
#undef FIELD
#undef EVENT
#undef SPAN
#undef VALUE
#undef ENUM_DEF
#define ENUM_DEF(name, doc, values)

static void print_label(const char *label, uint64_t value)
{
    if (label)
        fputs(label, stdout);
    else
        printf("%" PRIu64, value);
}

/* By unit: how a value is made, and printed. */
#define SHOW_NONE(n)        _Generic((n), int8_t: show_signed, int16_t: show_signed, int32_t: show_signed, \
                                     int64_t: show_signed, default: show_unsigned)((uint64_t)(n))
#define SHOW_HEX(n)         printf("0x%" PRIX64, (uint64_t)(n))
#define MAKE_NONE           random_value()
#define MAKE_NS             random_value()
#define MAKE_PAGES          random_value()
#define MAKE_HEX            random_value()
#define MAKE_ENUM(e)        random_value() % 48
#define MAKE_CAUSE(e)       random_value() % 48

static void show_signed(uint64_t value)
{
    printf("%" PRId64, (int64_t)value);
}

static void show_unsigned(uint64_t value)
{
    printf("%" PRIu64, value);
}

#define DECLARE_A(t, n, u, d) const TRACE_TYPE_##t n = (TRACE_TYPE_##t)(MAKE_##u); DECLARE_B
#define DECLARE_B(t, n, u, d) const TRACE_TYPE_##t n = (TRACE_TYPE_##t)(MAKE_##u); DECLARE_A
#define DECLARE_A_END
#define DECLARE_B_END

#define PRINT_A(t, n, u, d) PRINT_FIELD(n, u) PRINT_B
#define PRINT_B(t, n, u, d) PRINT_FIELD(n, u) PRINT_A
#define PRINT_A_END
#define PRINT_B_END
#define PRINT_FIELD(n, u)                                                                          \
    printf("%s " #n " = ", separator);                                                             \
    separator = ",";                                                                               \
    SHOW_FIELD(n, SHOW_AS_##u);
#define SHOW_FIELD(n, ...)        SHOW_FIELD2(n, __VA_ARGS__)
#define SHOW_FIELD2(n, how, e)    SHOW_WITH_##how(n, e)
#define SHOW_AS_NONE              PLAIN, none
#define SHOW_AS_NS                PLAIN, none
#define SHOW_AS_PAGES             PLAIN, none
#define SHOW_AS_HEX               HEX, none
#define SHOW_AS_ENUM(e)           LABEL, e
#define SHOW_AS_CAUSE(e)          LABEL, e
#define SHOW_WITH_PLAIN(n, e)     SHOW_NONE(n)
#define SHOW_WITH_HEX(n, e)       SHOW_HEX(n)
#define SHOW_WITH_LABEL(n, e)     print_label(label_##e(n), n)

static void print_head(uint64_t time, const char *ring, const char *name)
{
    printf("[%" PRIu64 "] cpu %u%s %s:", time, test_machine.cpu, ring, name);
}

/* One random record of each event. A span lasts for a random while in which the clock moves. */
static void emit_inner(void);

#define FIELD(t, n, u, d) (t, n, u, d)
#define EVENT(class, name, doc, fields)                                                            \
    static void emit_##name(void)                                                                  \
    {                                                                                              \
        TRACE_EACH(DECLARE, fields)                                                                \
        const char *separator = "";                                                                \
                                                                                                   \
        TRACE_##name TRACE_CALL(first TRACE_EACH(TRACE_ARG, fields));                              \
        print_head(test_machine.time, "", #name);                                                  \
        TRACE_EACH(PRINT, fields)                                                                  \
        putchar('\n');                                                                             \
    }
#define SPAN(class, name, doc, fields)                                                             \
    static void emit_##name(void)                                                                  \
    {                                                                                              \
        TRACE_EACH(DECLARE, fields)                                                                \
        const uint64_t start = TRACE_START(class);                                                 \
                                                                                                   \
        emit_inner();                                                                              \
        test_machine.time += random_word() % 5000;                                                 \
        TRACE_##name TRACE_CALL(first, start TRACE_EACH(TRACE_ARG, fields));                       \
        print_head(start, "", #name);                                                              \
        printf(" duration = %" PRIu64 ",", test_machine.time - start);                             \
        const char *separator = "";                                                                \
        TRACE_EACH(PRINT, fields)                                                                  \
        putchar('\n');                                                                             \
    }
#define TRACE_CALL(...)         TRACE_CALL2(__VA_ARGS__)
#define TRACE_CALL2(first, ...) (__VA_ARGS__)
#include "trace/events.def"
#undef EVENT
#undef SPAN

static void (*const emit[TRACE_EVENTS])(void) = {
#define EVENT(class, name, doc, fields) [TRACE_ID_##name] = emit_##name,
#define SPAN(class, name, doc, fields)  EVENT(class, name, doc, fields)
#include "trace/events.def"
};

static uint64_t left; /* records to write */
static unsigned depth;

static void emit_one(void)
{
    left--;
    test_machine.time += random_word() % 100;
    emit[random_word() % TRACE_EVENTS]();
}

/* What happens within a span: up to three records, spans among them. */
static void emit_inner(void)
{
    if (depth == 4)
        return;
    depth++;
    for (uint64_t i = random_word() % 4; i && left; i--)
        emit_one();
    depth--;
}

static void *map_region(const char *path, size_t size)
{
    const int fd = open(path, O_RDWR | O_CREAT, 0666);
    void *region;

    if (fd < 0 || ftruncate(fd, size) < 0)
        err(1, "%s", path);
    region = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (region == MAP_FAILED)
        err(1, "%s", path);
    close(fd);
    return region;
}

int main(int argc, char **argv)
{
    struct trace_config config = {
        .mask = TRACE_CLASSES_ALL,   .classes = TRACE_CLASSES,
        .tsc_hz = 1000000000,        .tsc_source = TRACE_TSC_PIT,
        .clock_mode = TRACE_CLOCK_INSTRUCTIONS,
        .build_id = "synthetic",     .build_id_size = 9,
        .sub_size = TRACE_PAGE,
    };
    useconds_t pause;
    uint64_t burst = 0;
    size_t size;
    void *region;

    if (argc != 7 && argc != 8)
        errx(2, "usage: synthetic MEMORY-FILE KIB CPUS RECORDS SEED record|flight [PAUSE_US]");
    size = strtoul(argv[2], NULL, 10) * 1024;
    config.nr_cpus = strtoul(argv[3], NULL, 10);
    left = strtoull(argv[4], NULL, 10);
    random_state = strtoull(argv[5], NULL, 10) * 2 + 1;
    config.mode = strcmp(argv[6], "flight") == 0 ? TRACE_FLIGHT : TRACE_RECORD;
    pause = argc == 8 ? strtoul(argv[7], NULL, 10) : 0;

    region = map_region(argv[1], size);
    memset(region, 0x5a, size); /* old contents are of no matter */
    if (config.nr_cpus > TEST_CPUS || trace_region_init(region, size, &config) < 0)
        errx(1, "the memory is too small");
    for (uint32_t cpu = 0; cpu < config.nr_cpus; cpu++) {
        trace_ring_attach(&test_machine.ring[cpu], region, cpu, TRACE_RING_NORMAL, config.mask);
        trace_ring_attach(&test_machine.nmi_ring[cpu], region, cpu, TRACE_RING_NMI, config.mask);
    }
    while (left) {
        test_machine.cpu = random_word() % config.nr_cpus;
        emit_one();
        if (pause && ++burst % 64 == 0)
            usleep(pause);
    }
    trace_region_finish(region);
    return fflush(stdout) == 0 ? 0 : 1;
}

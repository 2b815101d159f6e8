/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's command line: see options.h. A new option is one line in `options` and its field
 * there.
 */
#include "options.h"

#include "lib.h"
#include "trace/record.h"

enum option_kind { SWITCH, SIZE, NUMBER, WORD, CHOICE, CLASSES };

struct choice {
    const char *name;
    u32 value;
};

static const struct choice consoles[] = {{"com1", CONSOLE_COM1}, {"none", CONSOLE_NONE}, {NULL, 0}};
static const struct choice dom0_kinds[] = {{"pv", DOM0_PV}, {"pvh", DOM0_PVH}, {NULL, 0}};
static const struct choice grans[] = {{"cpu", SCHED_GRAN_CPU}, {"core", SCHED_GRAN_CORE}, {"socket", SCHED_GRAN_SOCKET}, {NULL, 0}};
static const struct choice spec_ctrls[] = {
    {"default", SPEC_CTRL_DEFAULT}, {"yes", SPEC_CTRL_DEFAULT}, {"no", SPEC_CTRL_OFF}, {"off", SPEC_CTRL_OFF}, {NULL, 0}};
static const struct choice truths[] = {{"yes", 1}, {"on", 1}, {"true", 1}, {"1", 1},
                                       {"no", 0}, {"off", 0}, {"false", 0}, {"0", 0}, {NULL, 0}};

/* The classes of trace/events.def, by name. */
static const struct choice classes[] = {
#define CLASS(name, bit, doc) {#name, 1u << (bit)},
#define ENUM_DEF(name, doc, values)
#define EVENT(class, name, doc, fields)
#define SPAN(class, name, doc, fields)
#include "trace/events.def"
#undef CLASS
#undef ENUM_DEF
#undef EVENT
#undef SPAN
    {NULL, 0}};

#define AT(member) offsetof(struct hv_options, member)
#define ROOM(member) sizeof(((struct hv_options *)0)->member)

static const struct option {
    const char *name;
    enum option_kind kind;
    size_t at;
    u64 least, most;             /* SIZE, NUMBER: range; WORD: most is the room */
    const struct choice *choices;
} options[] = {
    {"dom0", CHOICE, AT(dom0), .choices = dom0_kinds},
    {"dom0_mem", SIZE, AT(dom0_mem), MB(1), GB(1ull << 20)},
    {"dom0_max_vcpus", NUMBER, AT(dom0_max_vcpus), 1, 32},
    {"console", CHOICE, AT(console), .choices = consoles},
    {"spec-ctrl", CHOICE, AT(spec_ctrl), .choices = spec_ctrls},
    {"sched", WORD, AT(sched), 1, ROOM(sched)},
    {"sched-slice", NUMBER, AT(sched_slice), 100, 1000000},
    {"sched-ratelimit", NUMBER, AT(sched_ratelimit), 0, 1000000},
    {"sched-gran", CHOICE, AT(sched_gran), .choices = grans},
    {"sched-exclusive", SWITCH, AT(sched_exclusive)},
    {"pools", WORD, AT(pools), 3, ROOM(pools)},
    {"maxcpus", NUMBER, AT(maxcpus), 1, 64},
    {"topology", WORD, AT(topology), 3, ROOM(topology)},
    {"trace", SWITCH, AT(trace)},
    {"trace-classes", CLASSES, AT(trace_classes)},
    {"trace-hold", SWITCH, AT(trace_hold)},
    {"noreboot", SWITCH, AT(noreboot)},
    {"hvm", SWITCH, AT(hvm)},
    {"hvm-test-device", SWITCH, AT(hvm_test_device)},
    {"smep", SWITCH, AT(smep)},
    {"smap", SWITCH, AT(smap)},
    {"fsgsbase", SWITCH, AT(fsgsbase)},
    {"xsave", SWITCH, AT(xsave)},
    {"x2apic", SWITCH, AT(x2apic)},
};

void options_init(struct hv_options *o)
{
    *o = (struct hv_options){
        .dom0_max_vcpus = 1, .trace_classes = ~0u, .sched = "credit", .sched_ratelimit = 1000, .maxcpus = 64, .trace = true, .hvm = true,
        .smep = true, .smap = true, .fsgsbase = true, .xsave = true, .x2apic = true};
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static bool same(const char *name, const char *s, size_t n)
{
    if (strlen(name) != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (lower(name[i]) != lower(s[i]))
            return false;
    }
    return true;
}

static bool choose(const struct choice *c, const char *s, size_t n, u32 *value)
{
    for (; c->name; c++) {
        if (same(c->name, s, n)) {
            *value = c->value;
            return true;
        }
    }
    return false;
}

static const struct option *find(const char *s, size_t n)
{
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        if (strlen(options[i].name) == n && !strncmp(options[i].name, s, n))
            return &options[i];
    }
    return NULL;
}

/* "all", "none", or names of classes separated by commas. */
static bool set_classes(u32 *mask, const char *s, size_t n)
{
    u32 bits = 0, bit;

    if (same("all", s, n)) {
        *mask = ~0u;
        return true;
    }
    if (same("none", s, n)) {
        *mask = 0;
        return true;
    }
    while (n) {
        size_t len = 0;

        while (len < n && s[len] != ',')
            len++;
        if (!choose(classes, s, len, &bit))
            return false;
        bits |= bit;
        s += len + (len < n);
        n -= len + (len < n);
    }
    *mask = bits;
    return bits != 0;
}

/* Give an option its value; false if it cannot have that one. value NULL: there was no '='. */
static bool set(struct hv_options *o, const struct option *opt, const char *value, size_t n)
{
    void *at = (char *)o + opt->at;
    const char *end;
    u64 number;
    u32 chosen = 1;

    if (!value && opt->kind != SWITCH)
        return false;
    switch (opt->kind) {
    case SWITCH:
        if (value && !choose(truths, value, n, &chosen))
            return false;
        *(bool *)at = chosen;
        return true;
    case CHOICE:
        return choose(opt->choices, value, n, at);
    case CLASSES:
        return set_classes(at, value, n);
    case WORD:
        if (n < opt->least || n >= opt->most)
            return false;
        memcpy(at, value, n);
        ((char *)at)[n] = 0;
        return true;
    default:
        number = opt->kind == SIZE ? parse_size(value, MB(1), &end) : parse_u64(value, &end);
        if (end == value || end != value + n || n > 12 || number < opt->least || number > opt->most)
            return false;
        if (opt->kind == SIZE)
            *(u64 *)at = number;
        else
            *(u32 *)at = number;
        return true;
    }
}

/* One word; true if it was right. */
static bool parse_word(const char *s, size_t n, struct hv_options *o)
{
    const struct option *opt;
    size_t name = 0;

    while (name < n && s[name] != '=')
        name++;
    opt = find(s, name);
    if (!opt && name == n && n > 3 && !strncmp(s, "no-", 3)) {
        opt = find(s + 3, n - 3);
        if (opt && opt->kind == SWITCH)
            return set(o, opt, "no", 2);
        opt = NULL;
    }
    if (!opt) {
        printk("option \"%.*s\" does not exist\n", (int)n, s);
        return false;
    }
    if (!set(o, opt, name < n ? s + name + 1 : NULL, name < n ? n - name - 1 : 0)) {
        printk("option \"%.*s\" has a value that it cannot have; the default holds\n", (int)n, s);
        return false;
    }
    return true;
}

static bool is_image_name(const char *s, size_t n)
{
    size_t name = 0;
    bool slash = false;

    for (size_t i = 0; i < n; i++)
        slash |= s[i] == '/';
    while (name < n && s[name] != '=')
        name++;
    return !find(s, name) && strncmp(s, "no-", 3) && (slash || name == n);
}

unsigned int options_parse(const char *cmdline, struct hv_options *o)
{
    unsigned int wrong = 0;

    for (bool first = true; *cmdline; first = false) {
        size_t n = 0;

        while (*cmdline == ' ')
            cmdline++;
        while (cmdline[n] && cmdline[n] != ' ')
            n++;
        if (n && !(first && is_image_name(cmdline, n)))
            wrong += !parse_word(cmdline, n, o);
        cmdline += n;
    }
    return wrong;
}

/* SPDX-License-Identifier: MIT */
/*
 * Reading the launch plan: see launch.h for its format.
 *
 * The text is read where it lies, not written, and not trusted to end with a zero. A key is one
 * line of the table `keys`. Errors do not stop the reading, so that one boot shows them all.
 */
#include "launch.h"

#include "lib.h"

#define PLAN_VERSION 1
#define MAGIC        "parangon-plan"

/* A piece of the text, without blanks around it. */
struct text {
    const char *s;
    size_t n;
};

struct reader {
    const struct boot_module *mods;
    unsigned int nr_mods;
    const struct launch_machine *machine;
    struct launch_plan *plan;
    struct launch_domain *now;   /* the domain that is being described */
    u32 given;                   /* its keys so far, bit by position in `keys` */
    unsigned int first_line;     /* of the domain */
    unsigned int line;
    unsigned int errors;
};

#define ERROR(r, fmt, ...)                                                                         \
    do {                                                                                           \
        printk("launch plan line %u: " fmt "\n", (r)->line, ##__VA_ARGS__);                        \
        (r)->errors++;                                                                             \
    } while (0)

/* ---- pieces of text ---- */

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct text trim(const char *s, size_t n)
{
    while (n && blank(*s)) {
        s++;
        n--;
    }
    while (n && blank(s[n - 1]))
        n--;
    return (struct text){s, n};
}

static bool is(struct text t, const char *word)
{
    return strlen(word) == t.n && !strncmp(t.s, word, t.n);
}

/*
 * Whether anything between s and end is no text: control characters other than the tab and the
 * carriage return.
 */
static bool has_control(const char *s, const char *end)
{
    for (; s < end; s++) {
        if ((u8)*s < ' ' && !blank(*s))
            return true;
    }
    return false;
}

/* The first word of *t, which keeps the rest. */
static struct text take_word(struct text *t)
{
    size_t n = 0;
    struct text word;

    while (n < t->n && !blank(t->s[n]))
        n++;
    word = (struct text){t->s, n};
    *t = trim(t->s + n, t->n - n);
    return word;
}

/*
 * A whole piece as a number; without digits, with anything behind them or too long: false. unit 0:
 * no suffix allowed.
 */
static bool number(struct text t, u64 unit, u64 *value)
{
    char buf[16];
    const char *end;

    if (!t.n || t.n >= sizeof(buf))
        return false;
    memcpy(buf, t.s, t.n);
    buf[t.n] = 0;
    *value = unit ? parse_size(buf, unit, &end) : parse_u64(buf, &end);
    return end == buf + t.n;
}

/* ---- modules ---- */

/* The file's name in a module's string: its first word, without folders. */
static struct text module_name(const struct boot_module *m)
{
    size_t n = 0, from = 0;

    while (m->string[n] && !blank(m->string[n])) {
        if (m->string[n] == '/')
            from = n + 1;
        n++;
    }
    return (struct text){m->string + from, n - from};
}

static bool begins_with_magic(const struct boot_module *m)
{
    const size_t n = sizeof(MAGIC) - 1;

    return m->size > n && !memcmp(m->data, MAGIC, n) && (blank(((const char *)m->data)[n]) || ((const char *)m->data)[n] == '\n');
}

static bool is_plan(const struct boot_module *m)
{
    struct text name = module_name(m);

    return begins_with_magic(m) || (name.n > 5 && !strncmp(name.s + name.n - 5, ".plan", 5));
}

static const struct boot_module *find_module(const struct reader *r, struct text t)
{
    u64 nr;

    if (number(t, 0, &nr))
        return nr < r->nr_mods && !is_plan(&r->mods[nr]) ? &r->mods[nr] : NULL;
    for (unsigned int i = 0; i < r->nr_mods; i++) {
        struct text name = module_name(&r->mods[i]);

        if (name.n == t.n && !strncmp(name.s, t.s, t.n) && !is_plan(&r->mods[i]))
            return &r->mods[i];
    }
    return NULL;
}

/* Why a module cannot be started as a kernel, or NULL. */
static const char *not_a_kernel(const struct boot_module *m)
{
    const u8 *b = m->data;

    if (m->size >= 64 && !memcmp(b, "\177ELF", 4))
        return NULL;
    if (m->size > 0x206 && !memcmp(b + 0x202, "HdrS", 4))
        return "is a compressed kernel (bzImage); give the vmlinux that is packed in it";
    return "is no ELF image";
}

/* ---- the keys of a domain ---- */

/* One key, and where its value goes. */
struct key {
    const char *name;
    void (*set)(struct reader *r, const struct key *k, struct text value);
    size_t at;                   /* set_choice(), set_number(): the field of struct launch_domain */
    u32 least, most;             /* set_number(); most 0: the last pool */
    const char *word[2];         /* set_choice() */
    bool required, may_be_empty;
};

static void set_kind(struct reader *r, const struct key *k, struct text t)
{
    if (is(t, "pv"))
        r->now->kind = DOMAIN_PV;
    else if (is(t, "pvh"))
        r->now->kind = DOMAIN_PVH;
    else if (is(t, "hvm"))
        r->now->kind = DOMAIN_HVM;
    else
        ERROR(r, "kind \"%.*s\" is none that can be launched (pv, pvh, hvm)", (int)t.n, t.s);
}

/* One of two words: the field, a bool, is whether it is the second. */
static void set_choice(struct reader *r, const struct key *k, struct text t)
{
    bool second = is(t, k->word[1]);

    if (!second && !is(t, k->word[0]))
        ERROR(r, "%s is %s or %s, not \"%.*s\"", k->name, k->word[0], k->word[1], (int)t.n, t.s);
    *(bool *)((u8 *)r->now + k->at) = second;
}

static void set_kernel(struct reader *r, const struct key *k, struct text t)
{
    const char *why;

    r->now->kernel = find_module(r, t);
    if (!r->now->kernel)
        ERROR(r, "there is no module \"%.*s\" (%u modules)", (int)t.n, t.s, r->nr_mods);
    else if ((why = not_a_kernel(r->now->kernel)))
        ERROR(r, "kernel \"%.*s\" %s", (int)t.n, t.s, why);
}

static void set_ramdisk(struct reader *r, const struct key *k, struct text t)
{
    r->now->ramdisk = find_module(r, t);
    if (!r->now->ramdisk)
        ERROR(r, "there is no module \"%.*s\" (%u modules)", (int)t.n, t.s, r->nr_mods);
}

static void set_cmdline(struct reader *r, const struct key *k, struct text t)
{
    if (t.n >= sizeof(r->now->cmdline)) {
        ERROR(r, "a command line of %u characters; the most is %u", (unsigned int)t.n, LAUNCH_CMDLINE_MAX - 1);
        return;
    }
    memcpy(r->now->cmdline, t.s, t.n);
    r->now->cmdline[t.n] = 0;
}

static void set_memory(struct reader *r, const struct key *k, struct text t)
{
    u64 bytes;

    if (!number(t, MB(1), &bytes) || bytes < PAGE_SIZE || bytes % PAGE_SIZE || bytes > GB(1ull << 20))
        ERROR(r, "memory \"%.*s\" is no size of whole 4 KiB pages", (int)t.n, t.s);
    else
        r->now->memory = bytes;
}

static void set_number(struct reader *r, const struct key *k, struct text t)
{
    u64 value, most = k->most ? k->most : r->machine->pools - 1u;

    if (!number(t, 0, &value) || value < k->least || value > most)
        ERROR(r, "%s \"%.*s\" is not a number from %u to %u", k->name, (int)t.n, t.s, k->least, (unsigned int)most);
    else
        *(u16 *)((u8 *)r->now + k->at) = value;
}

/* "all", or numbers and ranges: 0,2-3 */
static void set_affinity(struct reader *r, const struct key *k, struct text t)
{
    char list[192];
    const char *end;
    u64 mask = 0;

    if (is(t, "all"))
        return;
    if (t.n < sizeof(list)) {
        memcpy(list, t.s, t.n);
        list[t.n] = 0;
        if (parse_list(list, min_of(r->machine->pcpus, 64u), &mask, &end) && end == list + t.n) {
            r->now->affinity = mask;
            return;
        }
    }
    ERROR(r, "affinity \"%.*s\" is no list of processors below %u", (int)t.n, t.s, r->machine->pcpus);
}

#define AT(member) offsetof(struct launch_domain, member)

static const struct key keys[] = {
    {"kernel", set_kernel, .required = true},
    {"memory", set_memory, .required = true},
    {"kind", set_kind},
    {"xen", set_choice, AT(hide_xen), .word = {"yes", "no"}},
    {"upcall", set_choice, AT(upcall_by_apic), .word = {"callback", "apic"}},
    {"ramdisk", set_ramdisk},
    {"cmdline", set_cmdline, .may_be_empty = true},
    {"vcpus", set_number, AT(vcpus), 1, MAX_VCPUS},
    {"weight", set_number, AT(weight), 1, 65535},
    {"cap", set_number, AT(cap), 0, 100 * MAX_VCPUS},
    {"affinity", set_affinity},
    {"pool", set_number, AT(pool), .most = 0},
    {"privileged", set_choice, AT(privileged), .word = {"no", "yes"}},
};

/* ---- domains ---- */

static void set_defaults(struct launch_domain *d)
{
    memset(d, 0, sizeof(*d));
    d->kind = DOMAIN_PV;
    d->vcpus = 1;
    d->weight = 256;
    d->affinity = ~0ull;
}

/*
 * The domain that was described is complete: check what concerns several of its keys. Errors name
 * its first line.
 */
static void end_domain(struct reader *r)
{
    unsigned int here = r->line;
    struct launch_domain *d = r->now;

    if (!d)
        return;
    r->line = r->first_line;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (keys[i].required && !(r->given & (1u << i)))
            ERROR(r, "domain %s has no \"%s\"", d->name, keys[i].name);
    }
    if (d->hide_xen && d->kind != DOMAIN_HVM)
        ERROR(r, "domain %s: only a domain of kind hvm can do without the hypervisor's interface", d->name);
    if (d->cap > 100 * d->vcpus)
        ERROR(r, "domain %s: a cap of %u %% is more than its %u vCPUs can use", d->name, d->cap, d->vcpus);
    if (d->privileged) {
        for (struct launch_domain *other = r->plan->domain; other < d; other++) {
            if (other->privileged)
                ERROR(r, "domain %s: %s is privileged already, and only one can be", d->name, other->name);
        }
    }
    r->line = here;
    r->now = NULL;
}

static bool good_name(struct text t)
{
    for (size_t i = 0; i < t.n; i++) {
        char c = t.s[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'))
            return false;
    }
    return t.n > 0 && t.n < sizeof(((struct launch_domain *)0)->name);
}

static void begin_domain(struct reader *r, struct text name)
{
    struct launch_domain *d;

    end_domain(r);
    if (r->plan->nr == LAUNCH_MAX_DOMAINS) {
        ERROR(r, "more than %u domains", LAUNCH_MAX_DOMAINS);
        return;
    }
    d = &r->plan->domain[r->plan->nr++];
    set_defaults(d);
    r->now = d;
    r->given = 0;
    r->first_line = r->line;
    if (!good_name(name)) {
        ERROR(r, "\"%.*s\" is no name of a domain (1 to 31 letters, digits, - _ .)", (int)name.n, name.s);
        return;
    }
    for (struct launch_domain *other = r->plan->domain; other < d; other++) {
        if (is(name, other->name))
            ERROR(r, "there are two domains \"%.*s\"", (int)name.n, name.s);
    }
    memcpy(d->name, name.s, name.n);
}

static void read_key(struct reader *r, struct text line)
{
    size_t eq = 0;
    struct text name, value;

    while (eq < line.n && line.s[eq] != '=')
        eq++;
    if (eq == line.n) {
        ERROR(r, "\"%.*s\" is neither \"domain NAME\" nor \"key = value\"", (int)line.n, line.s);
        return;
    }
    name = trim(line.s, eq);
    value = trim(line.s + eq + 1, line.n - eq - 1);
    if (!r->now) {
        ERROR(r, "\"%.*s\" stands before the first domain", (int)name.n, name.s);
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (!is(name, keys[i].name))
            continue;
        if (r->given & (1u << i))
            ERROR(r, "\"%s\" is given twice", keys[i].name);
        else if (!value.n && !keys[i].may_be_empty)
            ERROR(r, "\"%s\" has no value", keys[i].name);
        else
            keys[i].set(r, &keys[i], value);
        r->given |= 1u << i;
        return;
    }
    ERROR(r, "there is no key \"%.*s\"", (int)name.n, name.s);
}

static void read_line(struct reader *r, struct text line)
{
    struct text rest = line, word = take_word(&rest);
    u64 version;

    if (!line.n || *line.s == '#')
        return;
    if (is(word, MAGIC) && r->plan->nr == 0) {
        if (!number(rest, 0, &version) || version != PLAN_VERSION)
            ERROR(r, "format \"%.*s\" is not the one known here (%u)", (int)rest.n, rest.s, PLAN_VERSION);
    } else if (is(word, "domain")) {
        begin_domain(r, rest);
    } else {
        read_key(r, line);
    }
}

static void check_memory(struct reader *r)
{
    u64 sum = 0;

    for (unsigned int i = 0; i < r->plan->nr; i++)
        sum += r->plan->domain[i].memory;
    if (sum <= r->machine->memory)
        return;
    printk("launch plan: the domains ask for %lu MiB, the machine has %lu MiB for them\n",
           (unsigned long)((sum + MB(1) - 1) >> 20), (unsigned long)(r->machine->memory >> 20));
    r->errors++;
}

static int read_plan(struct reader *r, const struct boot_module *m)
{
    const char *s = m->data, *end = s + m->size;

    while (s < end) {
        const char *eol = s;

        while (eol < end && *eol != '\n')
            eol++;
        r->line++;
        if (has_control(s, eol))
            ERROR(r, "a byte that is no text");
        else
            read_line(r, trim(s, eol - s));
        s = eol + 1;
    }
    end_domain(r);
    if (!r->plan->nr) {
        printk("launch plan: there is no domain in it\n");
        r->errors++;
    }
    check_memory(r);
    return r->errors ? -XEN_EINVAL : 0;
}

/* No plan: module 0 is the kernel of the privileged domain, module 1 its ramdisk. */
static int single_domain(struct reader *r)
{
    struct launch_domain *d = &r->plan->domain[0];
    const struct boot_module *m = &r->mods[0];
    const char *args = m->string, *why = not_a_kernel(m);

    if (why) {
        struct text name = module_name(m);

        printk("module 0, \"%.*s\", %s\n", (int)name.n, name.s, why);
        return -XEN_EINVAL;
    }
    while (*args && !blank(*args))
        args++;
    while (blank(*args))
        args++;
    if (strlen(args) >= sizeof(d->cmdline)) {
        printk("the first domain's command line has more than %u characters\n", LAUNCH_CMDLINE_MAX - 1);
        return -XEN_EINVAL;
    }
    set_defaults(d);
    memcpy(d->name, "Domain-0", 9);
    memcpy(d->cmdline, args, strlen(args) + 1);
    d->privileged = true;
    d->kind = r->machine->dom0_pvh ? DOMAIN_PVH : DOMAIN_PV;
    d->kernel = m;
    d->ramdisk = r->nr_mods > 1 ? &r->mods[1] : NULL;
    d->vcpus = r->machine->dom0_vcpus ? r->machine->dom0_vcpus : 1;
    d->memory = r->machine->dom0_mem;
    if (!d->memory) /* some for the hypervisor's own later needs */
        d->memory = (r->machine->memory - r->machine->memory / 32) & PAGE_MASK;
    r->plan->nr = 1;
    check_memory(r);
    return r->errors ? -XEN_EINVAL : 0;
}

int launch_plan(const struct boot_module *mods, unsigned int nr, const struct launch_machine *machine,
                struct launch_plan *out)
{
    struct reader r = {.mods = mods, .nr_mods = nr, .machine = machine, .plan = out};

    out->nr = 0;
    if (!nr) {
        printk("no boot module: the first is the kernel of the first domain, or there is a launch plan\n");
        return -XEN_ENOENT;
    }
    for (unsigned int i = 0; i < nr; i++) {
        if (is_plan(&mods[i]))
            return read_plan(&r, &mods[i]);
    }
    return single_domain(&r);
}

/* SPDX-License-Identifier: MIT */
/*
 * Process 1 of the first domain on Xen, for `parangon shares --on xen`: a toolstack of one page. It makes paravirtual domains
 * of guests/micro with weights 1 to 8 (times 64), again and again, lets them run, and prints what their consoles say as lines of "(dN) ".
 *
 * Why it exists: Xen makes domains only on behalf of its first one; xl, its daemons and their files would be a hundred times of this.
 * The library that xl itself builds domains with (libxenguest) does all the work here.
 * The kernel's command line says shares.sched=credit|credit2, shares.domains=N, shares.does=WORD, what each of them does (see guests/micro), and
 * shares.first=WORD, what the first does besides (may be empty).
 * Does not: serve consoles while domains run (what they say must fit into the ring), or have a xenstore.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#define XC_WANT_COMPAT_MAP_FOREIGN_API
#include <xenctrl.h>
#include <xenguest.h>
#include <xen/io/console.h>

#define DOMAINS 16 /* at most */

static xc_interface *xch;
static struct {
    uint32_t id;
    struct xencons_interface *console;
} domain[DOMAINS];
static unsigned nr_domains;

static void __attribute__((noreturn)) end(void)
{
    fflush(stdout);
    sync();
    reboot(RB_AUTOBOOT);
    for (;;)
        pause();
}

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    printf("SHARES failed: ");
    vprintf(fmt, ap);
    printf(": %m\n");
    va_end(ap);
    end();
}

/* The word behind `key` on the kernel's command line, in text. */
static void argument(const char *key, char *text, size_t size)
{
    char line[2048] = "";
    FILE *in = fopen("/proc/cmdline", "r");
    const char *at;

    if (!in || !fgets(line, sizeof line, in) || !(at = strstr(line, key)))
        fail("no %s", key);
    fclose(in);
    snprintf(text, size, "%.*s", (int)strcspn(at + strlen(key), " \n"), at + strlen(key));
}

static void set_weight(uint32_t id, const char *sched, unsigned weight)
{
    struct xen_domctl_sched_credit one = {.weight = weight};
    struct xen_domctl_sched_credit2 two = {.weight = weight};

    if (strcmp(sched, "credit") ? xc_sched_credit2_domain_set(xch, id, &two) : xc_sched_credit_domain_set(xch, id, &one))
        fail("weight %u of domain %u", weight, id);
}

static void make(unsigned n, const char *sched, const char *does, const char *besides)
{
    struct xen_domctl_createdomain how = {.max_vcpus = 1, .max_evtchn_port = -1, .max_grant_frames = 4, .max_maptrack_frames = 16,
                                          .grant_opts = XEN_DOMCTL_GRANT_version(1)};
    struct xc_dom_image *image;
    char cmdline[128];
    uint32_t id = 0;

    if (xc_domain_create(xch, &id, &how) || xc_domain_max_vcpus(xch, id, 1) || xc_domain_setmaxmem(xch, id, 9 << 10))
        fail("domain %u", n + 1);
    set_weight(id, sched, 64 * (n % 8 + 1));
    snprintf(cmdline, sizeof cmdline, "tests=none %s %s", does, besides);
    image = xc_dom_allocate(xch, cmdline, NULL);
    image->console_evtchn = xc_evtchn_alloc_unbound(xch, id, 0);
    image->xenstore_evtchn = xc_evtchn_alloc_unbound(xch, id, 0);
    if (xc_dom_kernel_file(image, "/micro") || xc_dom_boot_xen_init(image, xch, id) || xc_dom_parse_image(image) ||
        xc_dom_mem_init(image, 8) || xc_dom_boot_mem_init(image) || xc_dom_build_image(image) || xc_dom_boot_image(image))
        fail("building domain %u", n + 1);
    domain[n].id = id;
    domain[n].console = xc_map_foreign_range(xch, id, XC_PAGE_SIZE, PROT_READ | PROT_WRITE, xc_dom_p2m(image, image->console_pfn));
    if (!domain[n].console)
        fail("console of domain %u", n + 1);
    xc_dom_release(image);
}

static bool all_have_ended(void)
{
    for (unsigned n = 0; n < nr_domains; n++) {
        xc_dominfo_t info;

        if (xc_domain_getinfo(xch, domain[n].id, 1, &info) == 1 && info.domid == domain[n].id && !info.shutdown)
            return false;
    }
    return true;
}

static void print_console(unsigned n)
{
    const struct xencons_interface *ring = domain[n].console;
    bool begins = true;

    for (XENCONS_RING_IDX at = 0; at < ring->out_prod; at++) {
        char c = ring->out[MASK_XENCONS_IDX(at, ring->out)];

        if (begins)
            printf("(d%u) ", n + 1);
        begins = c == '\n';
        putchar(c);
    }
}

int main(void)
{
    char sched[16], does[48], first[32], nr[8];
    int module;

    mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
    mount("proc", "/proc", "proc", 0, NULL);
    module = open("/xen-privcmd.ko", O_RDONLY);
    if (syscall(SYS_finit_module, module, "", 0))
        fail("xen-privcmd.ko");
    argument("shares.sched=", sched, sizeof sched);
    argument("shares.does=", does, sizeof does);
    argument("shares.first=", first, sizeof first);
    argument("shares.domains=", nr, sizeof nr);
    nr_domains = (unsigned)atoi(nr) <= DOMAINS ? (unsigned)atoi(nr) : DOMAINS;
    xch = xc_interface_open(NULL, NULL, 0);
    if (!xch)
        fail("no hypervisor");
    for (unsigned n = 0; n < nr_domains; n++)
        make(n, sched, does, n ? "" : first);
    for (unsigned n = 0; n < nr_domains; n++)
        if (xc_domain_unpause(xch, domain[n].id))
            fail("domain %u", n + 1);
    do
        nanosleep(&(struct timespec){.tv_nsec = 500000000}, NULL);
    while (!all_have_ended());
    for (unsigned n = 0; n < nr_domains; n++)
        print_console(n);
    printf("@PGN {\"ev\":\"done\"}\n");
    end();
}
